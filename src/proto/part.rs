//! Reads a payload that may stop anywhere, and tells *not there yet* from *cannot be*.
//!
//! A message says how long it and its parts are. What lies past that is a contradiction; what lies past the bytes at
//! hand was cut off or has not come yet. This file must never know a protocol.

use crate::proto::Recognition;

/// Why a reader stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// The bytes at hand end here, and what they began could go on.
    Short,
    /// They contradict what is being read.
    Wrong,
}

/// What was read, or why not.
pub type Read<T> = Result<T, Stop>;

impl From<Stop> for Recognition {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Short => Self::NeedMore,
            Stop::Wrong => Self::NotForUs,
        }
    }
}

/// [`Stop::Wrong`] unless `holds`.
pub(crate) fn check(holds: bool) -> Read<()> {
    if holds { Ok(()) } else { Err(Stop::Wrong) }
}

/// A part of a payload that is not read yet: the bytes at hand, and how many the message says there are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part<'a> {
    at_hand: &'a [u8],
    declared: usize,
}

impl<'a> Part<'a> {
    /// The beginning of bytes whose end is not known.
    pub(crate) fn open(bytes: &'a [u8]) -> Self {
        Self { at_hand: bytes, declared: usize::MAX }
    }

    /// The beginning of bytes that are all there is.
    pub(crate) fn whole(bytes: &'a [u8]) -> Self {
        Self { at_hand: bytes, declared: bytes.len() }
    }

    /// The next `count` bytes.
    pub(crate) fn take(&mut self, count: usize) -> Read<&'a [u8]> {
        check(count <= self.declared)?;
        let (taken, rest) = self.at_hand.split_at_checked(count).ok_or(Stop::Short)?;
        self.at_hand = rest;
        self.declared -= count;
        Ok(taken)
    }

    /// The next `N` bytes.
    pub(crate) fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| Stop::Wrong)
    }

    /// One byte.
    pub(crate) fn u8(&mut self) -> Read<u8> {
        self.array().map(|[byte]: [u8; 1]| byte)
    }

    /// 16 bits, the high ones first.
    pub(crate) fn be16(&mut self) -> Read<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// Four times the same, which are looked at together.
    pub(crate) fn four_be16(&mut self) -> Read<[u16; 4]> {
        let [a1, a0, b1, b0, c1, c0, d1, d0] = self.array()?;
        Ok([[a1, a0], [b1, b0], [c1, c0], [d1, d0]].map(u16::from_be_bytes))
    }

    /// 32 bits, the high ones first.
    pub(crate) fn be32(&mut self) -> Read<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// 16 bits, the low ones first.
    pub(crate) fn le16(&mut self) -> Read<u16> {
        self.array().map(u16::from_le_bytes)
    }

    /// 32 bits, the low ones first.
    pub(crate) fn le32(&mut self) -> Read<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// The next `count` bytes as a part of their own, whether or not all of them are at hand, and steps past them.
    pub(crate) fn inner(&mut self, count: usize) -> Read<Self> {
        check(count <= self.declared)?;
        let (inner, rest) = self.at_hand.split_at(count.min(self.at_hand.len()));
        self.at_hand = rest;
        self.declared -= count;
        Ok(Self { at_hand: inner, declared: count })
    }

    /// Everything the message says is left; [`Stop::Short`] if not all of it is at hand.
    pub(crate) fn rest(&self) -> Read<&'a [u8]> {
        if self.at_hand.len() < self.declared { Err(Stop::Short) } else { Ok(self.at_hand) }
    }

    /// What is at hand, cut or not.
    pub(crate) fn at_hand(&self) -> &'a [u8] {
        self.at_hand
    }

    /// How many bytes are left by the message's own word. [`usize::MAX`] where it gave none.
    pub(crate) fn declared(&self) -> usize {
        self.declared
    }

    /// Whether the message says that nothing is left.
    pub(crate) fn is_end(&self) -> bool {
        self.declared == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_is_told_from_a_contradiction() {
        let mut all = Part::open(&[1, 2, 3, 4]);
        assert_eq!(all.be16(), Ok(0x0102));
        let mut part = all.inner(3).unwrap_or(all);
        assert_eq!((part.declared(), part.at_hand()), (3, &[3, 4][..]));
        assert_eq!(part.rest(), Err(Stop::Short));
        assert_eq!(part.le16(), Ok(0x0403));
        assert_eq!(part.u8(), Err(Stop::Short));
        assert_eq!(part.be16(), Err(Stop::Wrong), "the part has one byte left, and says so");
        assert_eq!(all.u8(), Err(Stop::Short));
        assert_eq!(Part::whole(&[1]).be16(), Err(Stop::Wrong));
    }
}
