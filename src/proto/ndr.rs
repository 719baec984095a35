//! Network Data Representation: reads the parameters of a call, aligned, in the sender's byte order, in the 32-bit or the
//! 64-bit transfer syntax (C706 chapter 14, MS-RPCE section 2.2.5).
//!
//! Every read returns `None` past the end; nothing is allocated, and no count is believed before its bytes are there.
//! This file must never know what the parameters mean.

use crate::model::uuid::Uuid;

/// How numbers are laid out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layout {
    /// Little-endian numbers.
    pub little: bool,
    /// NDR64: counts and pointers have eight bytes and are aligned to eight.
    pub wide: bool,
}

/// A place in a stub. Alignment is counted from its first byte.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    layout: Layout,
}

impl<'a> Reader<'a> {
    /// At the first byte.
    pub fn new(bytes: &'a [u8], layout: Layout) -> Self {
        Self { bytes, at: 0, layout }
    }

    /// How numbers are laid out.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// The bytes that were not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Goes on to the next multiple of `size`, a power of two.
    pub fn align(&mut self, size: usize) {
        self.at = self.at.checked_next_multiple_of(size).unwrap_or(usize::MAX);
    }

    /// Goes past `count` bytes that nobody reads.
    pub fn skip(&mut self, count: usize) {
        self.at = self.at.saturating_add(count);
    }

    /// The next `count` bytes.
    pub fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let taken = self.rest().get(..count)?;
        self.at += count;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let taken = *self.rest().first_chunk()?;
        self.at += N;
        Some(taken)
    }

    /// A `u16`, aligned.
    pub fn u16(&mut self) -> Option<u16> {
        self.align(2);
        let bytes = self.array()?;
        Some(if self.layout.little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
    }

    /// A `u32`, aligned.
    pub fn u32(&mut self) -> Option<u32> {
        self.align(4);
        let bytes = self.array()?;
        Some(if self.layout.little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    }

    /// A `u64`, aligned.
    pub fn u64(&mut self) -> Option<u64> {
        self.align(8);
        let bytes = self.array()?;
        Some(if self.layout.little { u64::from_le_bytes(bytes) } else { u64::from_be_bytes(bytes) })
    }

    /// A UUID, aligned to four bytes.
    pub fn uuid(&mut self) -> Option<Uuid> {
        self.align(4);
        Some(Uuid::from_wire(self.array()?, self.layout.little))
    }

    /// A count of elements: the maximum, offset or actual count before an array.
    pub fn count(&mut self) -> Option<usize> {
        if self.layout.wide { usize::try_from(self.u64()?).ok() } else { usize::try_from(self.u32()?).ok() }
    }

    /// Whether the next pointer points to something. What it points to comes later.
    pub fn pointer(&mut self) -> Option<bool> {
        Some(self.count()? != 0)
    }

    /// The counts of an array that is both conformant and varying; gives the number of elements that follow.
    pub fn varying(&mut self) -> Option<usize> {
        let (max, offset, actual) = (self.count()?, self.count()?, self.count()?);
        (offset.checked_add(actual)? <= max).then_some(actual)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_aligned_and_ordered() {
        let bytes = [1, 0, 0, 2, 9, 9, 9, 9, 0, 0, 0, 0, 0, 0, 0, 5, 7];
        let mut big = Reader::new(&bytes, Layout { little: false, wide: true });
        assert_eq!((big.u16(), big.u16()), (Some(0x100), Some(2)));
        assert_eq!(big.count(), Some(5));
        assert_eq!(big.u16(), None);
        assert_eq!(big.bytes(1), Some(&[7][..]));
        assert_eq!((big.bytes(1), big.rest()), (None, &[][..]));
        let mut little = Reader::new(&bytes, Layout { little: true, wide: false });
        assert_eq!((little.u16(), little.count()), (Some(1), Some(0x0909_0909)));
    }

    #[test]
    fn arrays_that_end_behind_their_maximum_are_refused() {
        let counts =
            |numbers: [u32; 3]| -> Vec<u8> { numbers.iter().flat_map(|number| number.to_le_bytes()).collect() };
        let read = |bytes: &[u8]| Reader::new(bytes, Layout { little: true, wide: false }).varying();
        assert_eq!(read(&counts([4, 0, 4])), Some(4));
        assert_eq!(read(&counts([4, 1, 4])), None);
        assert_eq!(read(&counts([4, u32::MAX, 4])), None);
        assert_eq!(read(&counts([4, 0, 4])[..11]), None);
    }
}
