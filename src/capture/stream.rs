//! One input as a stream of plain bytes: opened, counted, and decompressed on the way, never held whole.
//!
//! It hands on a reader and what compression it undid. It must never know what a capture looks like.

use std::fs::File;
use std::io;
use std::io::BufReader;
use std::io::ErrorKind;
use std::io::Read;
use std::io::Seek;
use std::io::SeekFrom;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use crate::capture::facts::Compression;
use crate::capture::sniff;

/// What is read ahead of a decompressor.
const AHEAD_BYTES: usize = 64 << 10;

/// A zstd window may be 2 to this power: what `zstd --long` needs, and the decompressor's own default limit.
const ZSTD_WINDOW_LOG: u32 = 27;

/// xz may use this much: `xz -9` needs 65 MiB, while a hostile header can ask for 4 GiB.
const XZ_BYTES_MAX: u64 = 256 << 20;

/// An input as plain bytes.
pub(super) struct Stream {
    reader: Box<dyn Read + Send>,
    /// What is being undone.
    pub(super) compression: Option<Compression>,
    /// How large the file is on disk; `None` for standard input and pipes.
    pub(super) size: Option<u64>,
    /// Whether bytes come as they are made, so that waiting for many would hold back the few.
    pub(super) trickles: bool,
    taken: Arc<AtomicU64>,
}

/// Whether this path means standard input.
pub(super) fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

impl Stream {
    /// Opens a path (`-` is standard input) and reads its first bytes.
    ///
    /// With `closing` the file is open only while it is read, so that any number of inputs can be under way.
    pub(super) fn open(path: &Path, closing: bool) -> io::Result<Self> {
        let (source, size) = if is_stdin(path) {
            (Source::Stdin(io::stdin()), None)
        } else {
            let file = File::open(path)?;
            let metadata = file.metadata()?;
            let size = metadata.is_file().then_some(metadata.len());
            let source = if closing && size.is_some() {
                Source::Closing { path: path.to_owned(), at: 0 }
            } else {
                Source::File(file)
            };
            (source, size)
        };
        Self::new(source, size)
    }

    /// A stream over any reader.
    pub(super) fn new(raw: impl Read + Send + 'static, size: Option<u64>) -> io::Result<Self> {
        let taken = Arc::new(AtomicU64::new(0));
        let mut raw = Counted { reader: raw, taken: Arc::clone(&taken) };
        let mut head = Vec::with_capacity(sniff::MAGIC_BYTES);
        raw.by_ref().take(sniff::MAGIC_BYTES as u64).read_to_end(&mut head)?;
        let compression = sniff::compression(&head);
        let raw = io::Cursor::new(head).chain(raw);
        let reader: Box<dyn Read + Send> = match compression {
            None => Box::new(raw),
            Some(Compression::Gzip) => {
                Box::new(flate2::bufread::MultiGzDecoder::new(BufReader::with_capacity(AHEAD_BYTES, raw)))
            }
            Some(Compression::Zstd) => {
                let mut decoder = zstd::Decoder::with_buffer(BufReader::with_capacity(AHEAD_BYTES, raw))?;
                decoder.window_log_max(ZSTD_WINDOW_LOG)?;
                Box::new(decoder)
            }
            Some(Compression::Lz4) => Box::new(Lz4::new(BufReader::with_capacity(AHEAD_BYTES, raw))),
            Some(Compression::Xz) => {
                let stream = liblzma::stream::Stream::new_stream_decoder(XZ_BYTES_MAX, liblzma::stream::CONCATENATED)?;
                Box::new(liblzma::bufread::XzDecoder::new_stream(BufReader::with_capacity(AHEAD_BYTES, raw), stream))
            }
        };
        Ok(Self { reader, compression, size, trickles: size.is_none(), taken })
    }

    /// Bytes taken from the system so far, before decompression.
    pub(super) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// Reads some bytes; 0 is the end. The error is a sentence for the person.
    pub(super) fn read(&mut self, space: &mut [u8]) -> Result<usize, String> {
        loop {
            match self.reader.read(space) {
                Ok(count) => return Ok(count),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.explain(&error)),
            }
        }
    }

    #[cold]
    fn explain(&self, error: &io::Error) -> String {
        match self.compression.map(Compression::name) {
            None => format!("reading failed: {error}"),
            Some(name) if error.kind() == ErrorKind::UnexpectedEof => format!("the {name} stream is cut short"),
            Some(name) => format!("the {name} stream is damaged: {error}"),
        }
    }
}

/// Where the bytes on disk come from.
enum Source {
    Stdin(io::Stdin),
    File(File),
    /// A file that is opened anew for each read.
    Closing {
        path: PathBuf,
        at: u64,
    },
}

impl Read for Source {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Stdin(stdin) => stdin.read(space),
            Self::File(file) => file.read(space),
            Self::Closing { path, at } => {
                let mut file = File::open(path)?;
                file.seek(SeekFrom::Start(*at))?;
                let count = file.read(space)?;
                *at += count as u64;
                Ok(count)
            }
        }
    }
}

/// Counts what is taken from a reader that is out of reach below a decompressor.
struct Counted<R> {
    reader: R,
    taken: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(space)?;
        self.taken.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// LZ4 frames one after another. The decoder ends a read where a frame ends, and also, silently, where a frame is cut between two
/// blocks; the words that it read last tell the two apart.
struct Lz4<R: Read> {
    decoder: lz4_flex::frame::FrameDecoder<Words<R>>,
}

/// Remembers whether the last reads of four bytes ended an LZ4 frame: a zero word, or one and a checksum behind it.
struct Words<R> {
    reader: R,
    /// The two last reads: were they a zero word, or a word at all?
    last: [Word; 2],
    legacy: bool,
    met_end: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    Zero,
    Other,
    NoWord,
}

impl<R: Read> Lz4<R> {
    fn new(reader: R) -> Self {
        let words = Words { reader, last: [Word::NoWord; 2], legacy: false, met_end: false };
        Self { decoder: lz4_flex::frame::FrameDecoder::new(words) }
    }
}

impl<R: Read> Read for Words<R> {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        // A word is read whole, so that it is seen whole.
        let mut count = 0;
        while let Some(rest) = space.get_mut(count..).filter(|rest| !rest.is_empty()) {
            match self.reader.read(rest) {
                Ok(0) => break,
                Ok(more) => count += more,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if count == 0 {
            self.met_end = true;
        } else {
            let word = match space {
                [0, 0, 0, 0] => Word::Zero,
                [_, _, _, _] => Word::Other,
                _ => Word::NoWord,
            };
            self.legacy |= *space == [0x02, 0x21, 0x4c, 0x18];
            self.last = [self.last[1], word];
        }
        Ok(count)
    }
}

impl<R: Read> Read for Lz4<R> {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.decoder.read(space)?;
            if count > 0 || space.is_empty() {
                return Ok(count);
            }
            let words = self.decoder.get_ref();
            if words.met_end {
                // The oldest format has no end mark.
                let whole = words.legacy || matches!(words.last, [_, Word::Zero] | [Word::Zero, Word::Other]);
                return if whole { Ok(0) } else { Err(ErrorKind::UnexpectedEof.into()) };
            }
        }
    }
}
