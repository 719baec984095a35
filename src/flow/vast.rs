//! Plain values that stay where they were put, found by their number, in as few pages of memory as possible.
//!
//! Packets come in no order of flows, so that each touches another page. With pages of 4 KiB the processor walks its
//! tables for most of them; pages of 2 MiB, where the system has them, end that: a quarter less time for each packet of
//! 100,000 flows. It must never know what it holds.

use bytemuck::Pod;
use memmap2::Advice;
use memmap2::MmapMut;
use prefetch_index::prefetch_index;

/// So many values need no large page: small captures have fewer.
const FEW: usize = 512;

/// Bytes that a processor fetches at a time.
const CACHE_LINE: usize = 64;

/// How many values lie between asking for one and looking at it.
const AHEAD: usize = 4;

/// What is asked of the system at a time: one large page.
const CHUNK_BYTES: usize = 2 << 20;

/// As [`Arena`](crate::flow::arena::Arena): numbered from 1, so that 0 can say "none". The number of a value that was
/// taken out goes to a later one.
#[derive(Debug)]
pub(crate) struct Vast<T> {
    chunks: Vec<Chunk<T>>,
    len: usize,
    free: Vec<u32>,
    /// It is looked at once, so that usual memory will do, and no more of it than there are values.
    passing: bool,
}

/// Where the values of one large page lie.
#[derive(Debug)]
enum Chunk<T> {
    Mapped(MmapMut),
    /// There are too few, or the system gave no page.
    Plain(Vec<T>),
}

impl<T> Default for Vast<T> {
    fn default() -> Self {
        Self { chunks: Vec::new(), len: 0, free: Vec::new(), passing: false }
    }
}

impl<T: Pod> Chunk<T> {
    /// Values in a chunk: a power of two, so that finding one takes no division.
    const VALUES: usize = 1 << (CHUNK_BYTES / size_of::<T>()).ilog2();

    fn new() -> Self {
        const { assert!(align_of::<T>() <= 4096, "memory that is mapped begins with a page") }
        let Ok(map) = MmapMut::map_anon(CHUNK_BYTES) else { return Self::Plain(vec![T::zeroed(); Self::VALUES]) };
        // Not every system has large pages; then the usual ones do.
        map.advise(Advice::HugePage).ok();
        Self::Mapped(map)
    }

    /// All of them, those that were never kept among them.
    fn values(&self) -> &[T] {
        match self {
            Self::Mapped(map) => {
                let bytes = map.get(..Self::VALUES * size_of::<T>()).unwrap_or_default();
                bytemuck::try_cast_slice(bytes).unwrap_or_default()
            }
            Self::Plain(values) => values,
        }
    }

    #[inline]
    fn get(&self, place: usize) -> Option<&T> {
        match self {
            Self::Mapped(map) => {
                let at = place * size_of::<T>();
                bytemuck::try_from_bytes(map.get(at..at + size_of::<T>())?).ok()
            }
            Self::Plain(values) => values.get(place),
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
        let bytes: &[u8] = match self {
            Self::Mapped(map) => map,
            Self::Plain(values) => bytemuck::cast_slice(values),
        };
        prefetch_index(bytes, place * size_of::<T>() + line * CACHE_LINE);
    }

    #[inline]
    fn get_mut(&mut self, place: usize) -> Option<&mut T> {
        match self {
            Self::Mapped(map) => {
                let at = place * size_of::<T>();
                bytemuck::try_from_bytes_mut(map.get_mut(at..at + size_of::<T>())?).ok()
            }
            Self::Plain(values) => values.get_mut(place),
        }
    }
}

/// The copy is a passing one.
impl<T: Pod> Clone for Vast<T> {
    fn clone(&self) -> Self {
        let kept = |place: usize| self.len.saturating_sub(place * Chunk::<T>::VALUES);
        let copy = |(place, chunk): (usize, &Chunk<T>)| {
            // Most of a large page may be room for more.
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
        self.chunks.get(place / Chunk::<T>::VALUES)?.get(place % Chunk::<T>::VALUES)
    }

    /// The value of a number that was given out; `None` for 0.
    #[inline]
    pub(crate) fn get_mut(&mut self, number: u32) -> Option<&mut T> {
        let place = (number as usize).wrapping_sub(1);
        self.chunks.get_mut(place / Chunk::<T>::VALUES)?.get_mut(place % Chunk::<T>::VALUES)
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
            (0..Chunk::<T>::VALUES).map_while(|place| {
                chunk.prefetch(place + AHEAD);
                chunk.get(place)
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
