//! Reads ahead in a thread of its own: decompression goes on while what it gave is walked and decoded.
//!
//! Blocks go round over two bounded ways, so that memory is bounded and nothing is allocated in the long run. An error
//! comes exactly behind the bytes before it. It must never know what it reads.

use std::io;
use std::io::ErrorKind;
use std::io::Read;
use std::thread;
use std::thread::JoinHandle;

use crossbeam_channel::Receiver;
use crossbeam_channel::Sender;
use crossbeam_channel::bounded;

/// What is read before a thread begins: smaller inputs, and first looks at larger ones, are not worth it.
const PATIENCE_BYTES: usize = 1 << 20;

/// One block: as much as is walked at once.
const BLOCK_BYTES: usize = 256 << 10;

/// Blocks that may wait. Many, so that on a busy machine either side can use up its turn.
const BLOCKS: usize = 16;

/// A reader that reads ahead once it is worth it.
pub(super) struct Ahead {
    place: Place,
    /// Bytes read without a thread.
    read: usize,
}

enum Place {
    Here(Box<dyn Read + Send>),
    There(Blocks),
    /// The end, or an error, was told.
    Over,
}

/// Blocks of the other thread.
struct Blocks {
    /// Gone when the thread is to end.
    full: Option<Receiver<Block>>,
    empty: Sender<Vec<u8>>,
    block: Vec<u8>,
    at: usize,
    thread: Option<JoinHandle<()>>,
}

/// Bytes, none of them at the end; or what stopped reading.
type Block = io::Result<Vec<u8>>;

impl Ahead {
    pub(super) fn new(reader: Box<dyn Read + Send>) -> Self {
        Self { place: Place::Here(reader), read: 0 }
    }

    /// Hands the reader to a thread of its own; without one it goes on here.
    #[cold]
    fn part(&mut self) {
        let (hand, take) = bounded::<Box<dyn Read + Send>>(1);
        let (give, full) = bounded(BLOCKS);
        let (empty, emptied) = bounded(BLOCKS + 2);
        let work = move || {
            if let Ok(mut reader) = take.recv() {
                read_on(&mut *reader, &give, &emptied);
            }
        };
        let Ok(thread) = thread::Builder::new().name("decompress".into()).spawn(work) else {
            self.read = 0;
            return;
        };
        let blocks = Blocks { full: Some(full), empty, block: Vec::new(), at: 0, thread: Some(thread) };
        if let Place::Here(reader) = std::mem::replace(&mut self.place, Place::There(blocks)) {
            hand.send(reader).ok();
        }
    }
}

impl Read for Ahead {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let answer = match &mut self.place {
            Place::Over => return Ok(0),
            Place::Here(reader) => reader.read(space),
            Place::There(blocks) => blocks.read(space),
        };
        match &answer {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Ok(0) if space.is_empty() => {}
            Ok(0) | Err(_) => self.place = Place::Over,
            Ok(count) => {
                self.read = self.read.saturating_add(*count);
                if self.read >= PATIENCE_BYTES && matches!(self.place, Place::Here(_)) {
                    self.part();
                }
            }
        }
        answer
    }
}

impl Blocks {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        if self.at == self.block.len() && !space.is_empty() {
            let next = self.full.as_ref().and_then(|full| full.recv().ok());
            // The thread ends its last block with none. Without that it died, which is not the end of the file.
            let next = next.unwrap_or_else(|| Err(io::Error::other("reading ahead ended early")))?;
            let used = std::mem::replace(&mut self.block, next);
            if used.capacity() > 0 {
                self.empty.try_send(used).ok();
            }
            self.at = 0;
        }
        let mut rest = self.block.get(self.at..).unwrap_or_default();
        let count = rest.read(space)?;
        self.at += count;
        Ok(count)
    }
}

impl Drop for Blocks {
    /// Ends the thread: nobody takes its next block.
    fn drop(&mut self) {
        drop(self.full.take());
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// Fills blocks until the end, an error, or until nobody wants them.
fn read_on(reader: &mut dyn Read, full: &Sender<Block>, emptied: &Receiver<Vec<u8>>) {
    loop {
        let mut block = emptied.try_recv().unwrap_or_default();
        block.resize(BLOCK_BYTES, 0);
        let mut filled = 0;
        let mut fault = None;
        let mut over = false;
        while let Some(space) = block.get_mut(filled..).filter(|space| !space.is_empty()) {
            match reader.read(space) {
                Ok(0) => {
                    over = true;
                    break;
                }
                Ok(count) => filled += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    fault = Some(error);
                    break;
                }
            }
        }
        block.truncate(filled);
        let wanted = filled == 0 || full.send(Ok(block)).is_ok();
        if !wanted {
            return;
        }
        if over || fault.is_some() {
            full.send(fault.map_or_else(|| Ok(Vec::new()), Err)).ok();
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop here")]

    use std::io;
    use std::io::Cursor;
    use std::io::Read;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;
    use std::sync::atomic::AtomicUsize;
    use std::sync::atomic::Ordering;

    use super::Ahead;
    use super::BLOCK_BYTES;
    use super::BLOCKS;
    use super::PATIENCE_BYTES;

    fn bytes(length: usize) -> Vec<u8> {
        (0..=250).cycle().take(length).collect()
    }

    /// Reads in pieces of this size; what came, and what stopped it.
    fn drain(mut reader: impl Read, piece: usize) -> (Vec<u8>, Option<String>) {
        let mut space = vec![0; piece];
        let mut all = Vec::new();
        loop {
            match reader.read(&mut space) {
                Ok(0) => return (all, None),
                Ok(count) => all.extend(&space[..count]),
                Err(error) => {
                    assert_eq!(reader.read(&mut space).unwrap(), 0, "an error is told once");
                    return (all, Some(error.to_string()));
                }
            }
        }
    }

    struct Fails;

    impl Read for Fails {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("disk on fire"))
        }
    }

    const LENGTHS: [usize; 5] =
        [0, 1_000, PATIENCE_BYTES, PATIENCE_BYTES + 8 * BLOCK_BYTES, PATIENCE_BYTES + 9 * BLOCK_BYTES + 7];

    #[test]
    fn every_byte_comes_in_order() {
        for length in LENGTHS {
            for piece in [777, 256 << 10] {
                let bytes = bytes(length);
                let (all, fault) = drain(Ahead::new(Box::new(Cursor::new(bytes.clone()))), piece);
                assert!(all == bytes && fault.is_none(), "{length} in pieces of {piece}");
            }
        }
    }

    #[test]
    fn an_error_comes_behind_every_byte_before_it() {
        for length in LENGTHS {
            let bytes = bytes(length);
            let (all, fault) = drain(Ahead::new(Box::new(Cursor::new(bytes.clone()).chain(Fails))), 10_000);
            assert!(all == bytes, "{length}");
            assert_eq!(fault.unwrap(), "disk on fire");
        }
    }

    /// Gives bytes for ever, counts them, and says when it is dropped.
    struct Endless {
        given: Arc<AtomicUsize>,
        dropped: Arc<AtomicBool>,
    }

    impl Read for Endless {
        fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
            self.given.fetch_add(space.len(), Ordering::SeqCst);
            Ok(space.len())
        }
    }

    impl Drop for Endless {
        fn drop(&mut self) {
            self.dropped.store(true, Ordering::SeqCst);
        }
    }

    #[test]
    fn the_thread_runs_ahead_so_far_and_ends_when_nobody_reads() {
        let (given, dropped) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let endless = Endless { given: Arc::clone(&given), dropped: Arc::clone(&dropped) };
        let mut ahead = Ahead::new(Box::new(endless));
        let mut taken = 0;
        let mut space = vec![0; 100_000];
        while taken < 4 * PATIENCE_BYTES {
            taken += ahead.read(&mut space).unwrap();
        }
        drop(ahead);
        assert!(dropped.load(Ordering::SeqCst), "dropping waits for the thread");
        let most = taken + (BLOCKS + 3) * BLOCK_BYTES;
        assert!(given.load(Ordering::SeqCst) <= most, "{} of {most}", given.load(Ordering::SeqCst));
    }

    #[test]
    fn a_reader_that_dies_is_an_error_and_no_end() {
        struct Dies;
        impl Read for Dies {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                std::panic::resume_unwind(Box::new("dead"))
            }
        }
        let bytes = bytes(PATIENCE_BYTES + 100);
        let (all, fault) = drain(Ahead::new(Box::new(Cursor::new(bytes).chain(Dies))), 4_096);
        assert!(all.len() >= PATIENCE_BYTES);
        assert_eq!(fault.unwrap(), "reading ahead ended early");
    }
}
