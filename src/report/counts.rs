//! Small tallies: how often each of a few words was the case.

use serde::Serialize;
use serde::Serializer;

/// The most words that one tally knows.
const WORDS_MAX: usize = 11;

/// How often each word occurred, in the order of the words. Words that never occurred are not there.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    words: &'static [&'static str],
    counts: [u64; WORDS_MAX],
}

impl Counts {
    /// Nothing counted yet of these words, which are in order and at most eleven.
    pub(crate) fn of(words: &'static [&'static str]) -> Self {
        Self { words, counts: [0; WORDS_MAX] }
    }

    /// Counts `number` more of the word at a place.
    pub(crate) fn add(&mut self, place: usize, number: u64) {
        if let Some(count) = self.counts.get_mut(place) {
            *count += number;
        }
    }

    /// Adds others of the same words.
    pub(crate) fn join(&mut self, other: &Self) {
        if self.words.is_empty() {
            self.words = other.words;
        }
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
    }

    /// How often a word occurred.
    pub fn get(&self, word: &str) -> u64 {
        self.iter().find(|(known, _)| *known == word).map_or(0, |(_, count)| count)
    }

    /// How often the word at a place occurred.
    pub(crate) fn at(&self, place: usize) -> u64 {
        self.counts.get(place).copied().unwrap_or_default()
    }

    /// Words and numbers.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.words.iter().copied().zip(self.counts).filter(|(_, count)| *count > 0)
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
        let mut counts = Counts::of(&["dropped", "open", "reset"]);
        for (place, number) in [(1, 2), (0, 1), (1, 3), (2, 0)] {
            counts.add(place, number);
        }
        assert_eq!(counts.iter().collect::<Vec<_>>(), [("dropped", 1), ("open", 5)]);
        assert_eq!((counts.at(1), counts.at(2)), (5, 0));
    }
}
