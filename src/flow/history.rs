//! Zeek's history string: what happened, in order, upper case for the originator.

use bytemuck::Pod;
use bytemuck::Zeroable;

use crate::model::addr::Side;

/// Every letter that a flow may have. A letter's code is its place here, from 1.
const LETTERS: &[u8] = b"shadfr";

/// Set in the code of a letter of the high end.
const HIGH_SIDE: u64 = 8;

/// One in each of the twelve codes.
const EACH: u64 = 0x1111_1111_1111;

/// Up to twelve letters, each once per direction, in the order first seen (Zeek `conn.log` field `history`).
///
/// Kept by side, since who the originator is may be decided only later: [`History::text`] gives Zeek's case.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Pod, Zeroable)]
#[repr(transparent)]
pub struct History {
    /// Codes of four bits, the first in the lowest; 0 behind the last.
    codes: [u8; 6],
}

impl History {
    /// Adds a lower-case letter unless this side already has it.
    #[inline]
    pub(crate) fn add(&mut self, letter: u8, side: Side) {
        let Some(place) = (1..).zip(LETTERS).find_map(|(code, known)| (*known == letter).then_some(code)) else {
            return;
        };
        let code: u64 = if side == Side::High { place | HIGH_SIDE } else { place };
        let word = self.word();
        // A code that is known is the one place where this is zero; behind the last, it is the code itself.
        let other = word ^ (code * EACH);
        if other.wrapping_sub(EACH) & !other & (HIGH_SIDE * EACH) == 0 {
            let used = (u64::BITS - word.leading_zeros()).div_ceil(4);
            if let Some(codes) = (word | code << (4 * used)).to_le_bytes().first_chunk() {
                self.codes = *codes;
            }
        }
    }

    /// The letters, upper case for the side of the originator.
    pub fn text(&self, originator: Side) -> String {
        let letter = |code: u64| {
            let side = if code & HIGH_SIDE == 0 { Side::Low } else { Side::High };
            let letter = LETTERS.iter().zip(1..).find(|(_, known)| *known == code & !HIGH_SIDE)?;
            let letter = char::from(*letter.0);
            Some(if side == originator { letter.to_ascii_uppercase() } else { letter })
        };
        self.codes().filter_map(letter).collect()
    }

    #[inline]
    fn word(self) -> u64 {
        let mut word = [0; 8];
        word[..6].copy_from_slice(&self.codes);
        u64::from_le_bytes(word)
    }

    fn codes(self) -> impl Iterator<Item = u64> + Clone {
        let word = self.word();
        (0..12).map(move |place| word >> (4 * place) & 0xf).take_while(|code| *code != 0)
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

    #[test]
    fn every_letter_of_both_sides_has_room() {
        let mut history = History::default();
        for letter in b"rfdahs" {
            history.add(*letter, Side::Low);
            history.add(*letter, Side::High);
        }
        assert_eq!(history.text(Side::Low), "RrFfDdAaHhSs");
    }
}
