//! Small tallies: how often each of a few words was the case. Reports hold many of them, so they are kept small.

use serde::Serialize;
use serde::Serializer;

/// How often each word occurred, in the order of the words. Words that never occurred are not there.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Counts(Vec<(&'static str, u64)>);

impl Counts {
    /// Counts `number` more of a word.
    pub(crate) fn add(&mut self, word: &'static str, number: u64) {
        if number == 0 {
            return;
        }
        match self.0.binary_search_by_key(&word, |(known, _)| known) {
            Ok(at) => {
                if let Some((_, count)) = self.0.get_mut(at) {
                    *count += number;
                }
            }
            Err(at) => {
                // Most rows have one word, few more than two.
                self.0.reserve_exact(1);
                self.0.insert(at, (word, number));
            }
        }
    }

    /// How often a word occurred.
    pub fn get(&self, word: &str) -> u64 {
        self.iter().find(|(known, _)| *known == word).map_or(0, |(_, count)| count)
    }

    /// Words and numbers.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.0.iter().copied()
    }
}

impl Serialize for Counts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_counted_in_their_order() {
        let mut counts = Counts::default();
        for (word, number) in [("open", 2), ("dropped", 1), ("open", 3), ("reset", 0)] {
            counts.add(word, number);
        }
        assert_eq!(counts.iter().collect::<Vec<_>>(), [("dropped", 1), ("open", 5)]);
        assert_eq!((counts.get("open"), counts.get("reset")), (5, 0));
    }
}
