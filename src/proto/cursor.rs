//! A place in a payload: reads what comes next, and tells bytes that end too early from bytes that contradict.
//!
//! A recogniser reads field after field with `?`; the first that cannot be read, or is not as it must be, is its answer.
//! It must never know a protocol.

use crate::proto::Recognition;

/// What was read, or the answer that ends the reading.
pub(super) type Read<T> = Result<T, Recognition>;

/// The answer of a recogniser, whether it came to its end or stopped on the way.
pub(super) fn answer(read: Read<Recognition>) -> Recognition {
    let (Ok(answer) | Err(answer)) = read;
    answer
}

/// Contradicts the protocol unless `fits`.
pub(super) fn must(fits: bool) -> Read<()> {
    if fits { Ok(()) } else { Err(Recognition::NotForUs) }
}

/// The bytes that are not read yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a>(pub(super) &'a [u8]);

impl<'a> Cursor<'a> {
    /// How many bytes are left.
    pub(super) fn left(self) -> usize {
        self.0.len()
    }

    /// The next `count` bytes.
    pub(super) fn take(&mut self, count: usize) -> Read<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(Recognition::NeedMore)?;
        self.0 = rest;
        Ok(taken)
    }

    /// The next `N` bytes.
    pub(super) fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>().ok_or(Recognition::NeedMore)?;
        self.0 = rest;
        Ok(*taken)
    }

    /// The next byte.
    pub(super) fn u8(&mut self) -> Read<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// The next two bytes, the high one first.
    pub(super) fn be16(&mut self) -> Read<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// The next three bytes, the highest first.
    pub(super) fn be24(&mut self) -> Read<u32> {
        self.array::<3>().map(|[high, middle, low]| u32::from_be_bytes([0, high, middle, low]))
    }

    /// The next four bytes, the highest first.
    pub(super) fn be32(&mut self) -> Read<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// The next two bytes, the low one first.
    pub(super) fn le16(&mut self) -> Read<u16> {
        self.array().map(u16::from_le_bytes)
    }

    /// The next four bytes, the lowest first.
    pub(super) fn le32(&mut self) -> Read<u32> {
        self.array().map(u32::from_le_bytes)
    }

    /// Exactly these bytes; a difference in those that are there contradicts, even if the rest is missing.
    pub(super) fn literal(&mut self, wanted: &[u8]) -> Read<()> {
        must(self.0.iter().zip(wanted).all(|(is, wants)| is == wants))?;
        self.take(wanted.len()).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_few_bytes_are_no_contradiction() {
        let mut cursor = Cursor(&[1, 2, 3]);
        assert_eq!(cursor.be32(), Err(Recognition::NeedMore));
        assert_eq!(cursor.literal(&[1, 2, 3, 4]), Err(Recognition::NeedMore));
        assert_eq!(cursor.literal(&[1, 2, 4, 4]), Err(Recognition::NotForUs));
        assert_eq!(cursor.left(), 3);
        assert_eq!(cursor.be24(), Ok(0x01_0203));
        assert_eq!(cursor.u8(), Err(Recognition::NeedMore));
    }

    #[test]
    fn numbers_are_read_in_their_order() {
        let mut cursor = Cursor(&[1, 2, 1, 2, 3, 4, 1, 2, 3, 4]);
        assert_eq!(cursor.be16(), Ok(0x0102));
        assert_eq!(cursor.le16(), Ok(0x0201));
        assert_eq!(cursor.take(2), Ok(&[3, 4][..]));
        assert_eq!(cursor.le32(), Ok(0x0403_0201));
        assert_eq!(must(false), Err(Recognition::NotForUs));
    }
}
