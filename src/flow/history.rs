//! Zeek's history string: what happened, in order, upper case for the originator.

use crate::model::addr::Side;

/// Up to fifteen letters, each once per direction, in the order first seen (Zeek `conn.log` field `history`).
///
/// Kept by side, since who the originator is may be decided only later: [`History::text`] gives Zeek's case.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct History {
    /// One letter in the low seven bits, the side in the high one.
    marks: [u8; 15],
    len: u8,
}

const HIGH_SIDE: u8 = 0x80;

impl History {
    /// Adds a lower-case letter unless this side already has it.
    #[inline]
    pub fn add(&mut self, letter: u8, side: Side) {
        let mark = if side == Side::High { letter | HIGH_SIDE } else { letter };
        let used = self.marks.get(..usize::from(self.len)).unwrap_or_default();
        if used.contains(&mark) {
            return;
        }
        if let Some(place) = self.marks.get_mut(usize::from(self.len)) {
            *place = mark;
            self.len += 1;
        }
    }

    /// The letters, upper case for the side of the originator.
    pub fn text(&self, originator: Side) -> String {
        self.marks
            .iter()
            .take(usize::from(self.len))
            .map(|mark| {
                let side = if mark & HIGH_SIDE == 0 { Side::Low } else { Side::High };
                let letter = char::from(mark & !HIGH_SIDE);
                if side == originator { letter.to_ascii_uppercase() } else { letter }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_stand_once_per_side_in_order() {
        let mut history = History::default();
        for (letter, side) in
            [(b's', Side::High), (b'h', Side::Low), (b'a', Side::High), (b'd', Side::High), (b'd', Side::High)]
        {
            history.add(letter, side);
        }
        assert_eq!(history.text(Side::High), "ShAD");
        assert_eq!(history.text(Side::Low), "sHad");
    }
}
