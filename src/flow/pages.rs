//! Large pages of memory, cut into pieces that tables of all threads take as they grow.
//!
//! Packets come in no order of flows, so that each touches another page. With pages of 4 KiB the processor walks its
//! tables for most of them; pages of 2 MiB, where the system has them, end that: a quarter less time for each packet of
//! 100,000 flows. A whole one for each list of each table would be cleared by the system for little use, so that many
//! share it. What was taken once is never given back to the system, but to the next who asks.

use std::sync::Mutex;
use std::sync::PoisonError;

use memmap2::Advice;
use memmap2::MmapMut;

/// What is asked of the system at a time: eight large pages, of which those that nobody touches take no memory.
const MAP_BYTES: usize = 16 << 20;

/// What is handed out.
pub(crate) const PIECE_BYTES: usize = 256 << 10;

/// A piece whose bytes are anything.
pub(crate) type Piece = &'static mut [u8];

/// Those that nobody has, the next one last.
static FREE: Mutex<Vec<Piece>> = Mutex::new(Vec::new());

/// A piece of [`PIECE_BYTES`], aligned to them or at least to a page; `None` if the system has no more.
pub(crate) fn take() -> Option<Piece> {
    let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
    if free.is_empty() {
        let map = MmapMut::map_anon(MAP_BYTES).ok()?;
        // Not every system has large pages; then the usual ones do.
        map.advise(Advice::HugePage).ok();
        let map: &'static mut MmapMut = Box::leak(Box::new(map));
        free.extend(map.chunks_exact_mut(PIECE_BYTES).rev());
    }
    free.pop()
}

/// Takes a piece back.
pub(crate) fn give(piece: Piece) {
    FREE.lock().unwrap_or_else(PoisonError::into_inner).push(piece);
}
