//! Plain values that stay where they were put, found by their number. Many lie in pieces of large pages, few in usual memory.
//! It must never know what it holds.

use bytemuck::Pod;
use prefetch_index::prefetch_index;

use crate::flow::pages;
use crate::flow::pages::PIECE_BYTES;

/// So many values need no large page: small captures have fewer.
const FEW: usize = 512;

/// Bytes that a processor fetches at a time.
const CACHE_LINE: usize = 64;

/// How many values lie between asking for one and looking at it.
const AHEAD: usize = 4;

/// As [`Arena`](crate::flow::arena::Arena): numbered from 1, so that 0 can say "none". The number of a value that was
/// taken out goes to a later one.
#[derive(Debug)]
pub(crate) struct Vast<T: Pod> {
    chunks: Vec<Chunk<T>>,
    len: usize,
    free: Vec<u32>,
    /// It is looked at once, so that usual memory will do, and no more of it than there are values.
    passing: bool,
}

/// Where some of the values lie.
#[derive(Debug)]
enum Chunk<T: Pod> {
    /// A piece of a large page, with values that were never put among them.
    Paged(&'static mut [T]),
    /// There are too few, or the system gave no page.
    Plain(Vec<T>),
}

impl<T: Pod> Default for Vast<T> {
    fn default() -> Self {
        Self { chunks: Vec::new(), len: 0, free: Vec::new(), passing: false }
    }
}

impl<T: Pod> Chunk<T> {
    /// Values in a chunk.
    const VALUES: usize = PIECE_BYTES / size_of::<T>();

    fn new() -> Self {
        const { assert!(Self::VALUES.is_power_of_two(), "finding one takes no division") }
        const { assert!(align_of::<T>() <= 4096, "memory that is mapped begins with a page") }
        match pages::take().map(bytemuck::try_cast_slice_mut) {
            Some(Ok(values)) => Self::Paged(values),
            _ => Self::Plain(vec![T::zeroed(); Self::VALUES]),
        }
    }

    /// All of them, those that were never put among them.
    #[inline]
    fn values(&self) -> &[T] {
        match self {
            Self::Paged(values) => values,
            Self::Plain(values) => values,
        }
    }

    #[inline]
    fn values_mut(&mut self) -> &mut [T] {
        match self {
            Self::Paged(values) => values,
            Self::Plain(values) => values,
        }
    }

    #[inline]
    fn prefetch(&self, place: usize) {
        for line in 0..size_of::<T>().div_ceil(CACHE_LINE) {
            self.prefetch_line(place, line);
        }
    }

    #[inline]
    fn prefetch_line(&self, place: usize, line: usize) {
        // Also of few: a ring that is read throws them out of the nearer caches.
        let bytes: &[u8] = bytemuck::cast_slice(self.values());
        prefetch_index(bytes, place * size_of::<T>() + line * CACHE_LINE);
    }
}

/// A piece goes to whoever asks next.
impl<T: Pod> Drop for Chunk<T> {
    fn drop(&mut self) {
        if let Self::Paged(values) = self {
            pages::give(bytemuck::cast_slice_mut(std::mem::take(values)));
        }
    }
}

/// The copy is a passing one.
impl<T: Pod> Clone for Vast<T> {
    fn clone(&self) -> Self {
        let kept = |place: usize| self.len.saturating_sub(place * Chunk::<T>::VALUES);
        let copy = |(place, chunk): (usize, &Chunk<T>)| {
            // Most of a piece may be room for more.
            let values = chunk.values();
            Chunk::Plain(values.get(..kept(place)).unwrap_or(values).to_vec())
        };
        let chunks = self.chunks.iter().enumerate().map(copy).collect();
        Self { chunks, len: self.len, free: self.free.clone(), passing: true }
    }
}

impl<T: Pod> Vast<T> {
    /// Where values are put to be looked at once.
    pub(crate) fn passing() -> Self {
        Self { passing: true, ..Self::default() }
    }

    /// How many values there are.
    pub(crate) fn held(&self) -> usize {
        self.len - self.free.len()
    }

    /// How many numbers were given out so far.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The value of a number that was given out; `None` for 0.
    #[inline]
    pub(crate) fn get(&self, number: u32) -> Option<&T> {
        let place = (number as usize).wrapping_sub(1);
        self.chunks.get(place / Chunk::<T>::VALUES)?.values().get(place % Chunk::<T>::VALUES)
    }

    /// The value of a number that was given out; `None` for 0.
    #[inline]
    pub(crate) fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        let place = (number as usize).wrapping_sub(1);
        self.chunks.get_mut(place / Chunk::<T>::VALUES)?.values_mut().get_mut(place % Chunk::<T>::VALUES)
    }

    /// Asks for the cache lines of a value.
    #[inline]
    pub(crate) fn prefetch(&self, number: u32) {
        let place = (number as usize).wrapping_sub(1);
        if let Some(chunk) = self.chunks.get(place / Chunk::<T>::VALUES) {
            chunk.prefetch(place % Chunk::<T>::VALUES);
        }
    }

    /// Asks for one of the cache lines of a value, by its number from 0.
    #[inline]
    pub(crate) fn prefetch_line(&self, number: u32, line: usize) {
        let place = (number as usize).wrapping_sub(1);
        if let Some(chunk) = self.chunks.get(place / Chunk::<T>::VALUES) {
            chunk.prefetch_line(place % Chunk::<T>::VALUES, line);
        }
    }

    /// Keeps a value; its number.
    pub(crate) fn put(&mut self, value: T) -> u32 {
        let number = self.free.pop().unwrap_or_else(|| self.grow());
        if let Some(place) = self.get_mut(number) {
            *place = value;
        }
        number
    }

    /// Makes room for one value more; its number.
    fn grow(&mut self) -> u32 {
        let place = self.len % Chunk::<T>::VALUES;
        if place == 0 {
            self.chunks.push(match self.len {
                _ if self.passing => Chunk::Plain(Vec::new()),
                // Room for all that few can be, so that memory is not asked for again and again; what is not used is not there.
                0 => Chunk::Plain(Vec::with_capacity(FEW)),
                _ => Chunk::new(),
            });
        }
        if self.len == FEW && !self.passing {
            let few: Vec<T> = self.iter().copied().collect();
            self.chunks = vec![Chunk::new()];
            for (number, value) in (1..).zip(few) {
                if let Some(place) = self.get_mut(number) {
                    *place = value;
                }
            }
        }
        if let Some(Chunk::Plain(values)) = self.chunks.last_mut()
            && values.len() == place
        {
            values.push(T::zeroed());
        }
        self.len += 1;
        let number = u32::try_from(self.len).unwrap_or(u32::MAX);
        // No cache has the place of the next one, and whoever writes there would wait.
        self.prefetch(number.wrapping_add(1));
        number
    }

    /// Lets a later value have this number, if it is one.
    pub(crate) fn release(&mut self, number: u32) {
        if number != 0 {
            self.free.push(number);
        }
    }

    /// All values in the order of their numbers, those that were released among them. No processor guesses what comes
    /// next of many such lists at once, so that it is asked for.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        let all = self.chunks.iter().flat_map(|chunk| {
            chunk.values().iter().enumerate().map(|(place, value)| {
                chunk.prefetch(place + AHEAD);
                value
            })
        });
        all.take(self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_begin_at_one_and_are_given_again() {
        let mut vast = Vast::default();
        let many = u32::try_from(Chunk::<u64>::VALUES + 2).unwrap_or_default();
        assert!((1..=many).all(|number| vast.put(u64::from(number)) == number));
        assert!((1..=many).all(|number| vast.get(number) == Some(&u64::from(number))));
        assert_eq!((vast.get(0), vast.iter().count()), (None, many as usize));
        vast.release(7);
        vast.release(0);
        assert_eq!((vast.put(70), vast.put(71)), (7, many + 1));
        assert_eq!((vast.get(7).copied(), vast.get_mut(many + 1).copied()), (Some(70), Some(71)));
        let mut copy = vast.clone();
        assert!(copy.iter().eq(vast.iter()) && copy.held() == vast.held());
        let mut passing = Vast::passing();
        vast.iter().for_each(|value| assert!(passing.put(*value) == copy.put(*value) - many - 1));
        assert!(passing.iter().eq(vast.iter()) && copy.iter().eq(vast.iter().chain(vast.iter())));
        assert!(vast.iter().copied().eq((1..=u64::from(many)).map(|n| if n == 7 { 70 } else { n }).chain([71])));
    }
}
