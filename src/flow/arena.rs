//! Values that stay where they were put, found by their number.
//!
//! Grows by whole chunks, so that nothing is moved and no more than one chunk lies idle. It must never know what it holds.

const CHUNK_BITS: usize = 12;
const CHUNK: usize = 1 << CHUNK_BITS;

/// Values numbered from 1, so that 0 can say "none". The number of a value that was taken out goes to a later one.
#[derive(Clone, Debug)]
pub(crate) struct Arena<T> {
    chunks: Vec<Vec<T>>,
    len: usize,
    free: Vec<u32>,
}

impl<T> Default for Arena<T> {
    fn default() -> Self {
        Self { chunks: Vec::new(), len: 0, free: Vec::new() }
    }
}

impl<T> Arena<T> {
    /// The value of a number; `None` for 0.
    #[inline]
    pub(crate) fn get(&self, number: u32) -> Option<&T> {
        let place = (number as usize).wrapping_sub(1);
        self.chunks.get(place >> CHUNK_BITS)?.get(place & (CHUNK - 1))
    }

    /// The value of a number; `None` for 0.
    #[inline]
    pub(crate) fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        let place = (number as usize).wrapping_sub(1);
        self.chunks.get_mut(place >> CHUNK_BITS)?.get_mut(place & (CHUNK - 1))
    }

    /// Keeps a value; its number.
    pub(crate) fn put(&mut self, value: T) -> u32 {
        if let Some(number) = self.free.pop() {
            if let Some(place) = self.get_mut(number) {
                *place = value;
            }
            return number;
        }
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        if let Some(chunk) = self.chunks.last_mut() {
            chunk.push(value);
        }
        self.len += 1;
        u32::try_from(self.len).unwrap_or(u32::MAX)
    }

    /// Lets a later value have this number, if it is one.
    pub(crate) fn release(&mut self, number: u32) {
        if number != 0 {
            self.free.push(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_begin_at_one_and_are_given_again() {
        let mut arena = Arena::default();
        let many = u32::try_from(CHUNK).unwrap_or_default() + 2;
        assert!((1..=many).all(|number| arena.put(number) == number));
        assert!((1..=many).all(|number| arena.get(number) == Some(&number)));
        assert_eq!((arena.get(0), arena.get(many + 1)), (None, None));
        arena.release(7);
        arena.release(0);
        assert_eq!((arena.put(70), arena.put(71)), (7, many + 1));
        assert_eq!((arena.get(7), arena.get(many + 1)), (Some(&70), Some(&71)));
    }
}
