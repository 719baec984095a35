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

use crate::capture::ahead::Ahead;
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

    /// Decompresses a file in a thread of its own. What comes as it is made has to be waited for anyway, and what is not
    /// compressed is read faster than it could be handed over.
    pub(super) fn read_ahead(&mut self) {
        if self.compression.is_some() && self.size.is_some() {
            let here = std::mem::replace(&mut self.reader, Box::new(io::empty()));
            self.reader = Box::new(Ahead::new(here));
        }
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

/// Bytes in memory that others hold too.
pub(super) struct Held {
    bytes: Arc<Vec<u8>>,
    at: usize,
}

impl Held {
    pub(super) fn new(bytes: Arc<Vec<u8>>) -> Self {
        Self { bytes, at: 0 }
    }
}

impl Read for Held {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let mut rest = self.bytes.get(self.at..).unwrap_or_default();
        let count = rest.read(space)?;
        self.at += count;
        Ok(count)
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
    /// The two last reads.
    last: [Word; 2],
    legacy: bool,
    met_end: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    Zero,
    Other,
    Longer,
}

impl<R: Read> Lz4<R> {
    fn new(reader: R) -> Self {
        let words = Words { reader, last: [Word::Longer; 2], legacy: false, met_end: false };
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
            let word = match space.get(..count) {
                Some([0, 0, 0, 0]) => Word::Zero,
                Some([_, _, _, _]) => Word::Other,
                _ => Word::Longer,
            };
            self.legacy |= *space == [0x02, 0x21, 0x4c, 0x18];
            let [_, before] = self.last;
            self.last = [before, word];
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop here")]

    use std::io::Cursor;
    use std::io::Read;
    use std::io::Write;

    use crate::capture::craft::PcapFile;
    use crate::capture::craft::read;
    use crate::capture::facts::Compression;

    /// Some 300 KiB of frames that compress, but not to nothing.
    fn plain() -> Vec<u8> {
        let mut file = PcapFile::new(0xa1b2_c3d4, false);
        let mut seed = 1_u32;
        for number in 0..3_000 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            file.record(number, 0, &[&seed.to_le_bytes()[..], &[0x55; 80]].concat());
        }
        file.bytes
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn xz(bytes: &[u8]) -> Vec<u8> {
        let mut compressed = Vec::new();
        liblzma::read::XzEncoder::new(bytes, 1).read_to_end(&mut compressed).unwrap();
        compressed
    }

    fn lz4_with(info: lz4_flex::frame::FrameInfo, bytes: &[u8]) -> Vec<u8> {
        let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn lz4(bytes: &[u8]) -> Vec<u8> {
        let info = lz4_flex::frame::FrameInfo::new().block_size(lz4_flex::frame::BlockSize::Max64KB);
        lz4_with(info, bytes)
    }

    fn zstd(bytes: &[u8]) -> Vec<u8> {
        zstd::encode_all(bytes, 1).unwrap()
    }

    type Compress = fn(&[u8]) -> Vec<u8>;

    const ALL: [(Compression, Compress); 4] =
        [(Compression::Gzip, gzip), (Compression::Zstd, zstd), (Compression::Lz4, lz4), (Compression::Xz, xz)];

    #[test]
    fn each_compression_gives_the_frames_of_the_plain_file() {
        let plain = plain();
        let expected = read(&plain);
        for (compression, compress) in ALL {
            let outcome = read(&compress(&plain));
            assert_eq!(outcome.facts.compression, Some(compression));
            assert_eq!(outcome.facts.damage, None);
            assert!(outcome.frames == expected.frames, "{compression:?}");
        }
    }

    #[test]
    fn reading_ahead_changes_neither_frames_nor_damage() {
        // Enough for the thread to begin.
        let mut file = PcapFile::new(0xa1b2_c3d4, false);
        let mut seed = 1_u32;
        for number in 0..60_000 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            file.record(number, 0, &[&seed.to_le_bytes()[..], &[0x55; 40]].concat());
        }
        for (compression, compress) in ALL {
            let whole = compress(&file.bytes);
            let mut spoilt = whole.clone();
            let middle = whole.len() * 3 / 4;
            spoilt[middle..middle + 32].fill(0xff);
            // Zstandard without a checksum need not notice what was spoilt.
            let cut = whole[..whole.len() - 9].to_vec();
            for (bytes, sound) in [(whole, Some(true)), (cut, Some(false)), (spoilt, None)] {
                let size = bytes.len() as u64;
                let open = || super::Stream::new(Cursor::new(bytes.clone()), Some(size)).unwrap();
                let mut ahead = open();
                ahead.read_ahead();
                let (one, other) = (drain(open()), drain(ahead));
                assert!(sound.is_none_or(|sound| one.1.is_none() == sound), "{compression:?}");
                assert_eq!(one.1, other.1, "{compression:?}");
                // Bytes that a decompressor had in hand when it met the damage depend on how many were asked for.
                assert!(one.0.starts_with(&other.0) || other.0.starts_with(&one.0), "{compression:?}");
                assert!(one.0.len().abs_diff(other.0.len()) <= 256 << 10, "{compression:?}");
                assert!(sound != Some(true) || other.0 == file.bytes, "{compression:?}");
            }
        }
    }

    /// What a stream gives, and what stopped it.
    fn drain(mut stream: super::Stream) -> (Vec<u8>, Option<String>) {
        let mut all = Vec::new();
        let mut space = vec![0; 256 << 10];
        loop {
            match stream.read(&mut space) {
                Ok(0) => return (all, None),
                Ok(count) => all.extend(&space[..count]),
                Err(message) => return (all, Some(message)),
            }
        }
    }

    #[test]
    fn many_members_are_one_stream() {
        let plain = plain();
        let expected = read(&plain).frames;
        let (one, rest) = plain.split_at(100_001);
        let (two, three) = rest.split_at(3);
        for (compression, compress) in ALL {
            let outcome = read(&[compress(one), compress(two), compress(&[]), compress(three)].concat());
            assert_eq!(outcome.facts.damage, None, "{compression:?}");
            assert!(outcome.frames == expected, "{compression:?}");
        }
    }

    #[test]
    fn lz4_with_checksums_is_read() {
        let info = lz4_flex::frame::FrameInfo::new().content_checksum(true).block_checksums(true);
        let compressed = lz4_with(info, &plain());
        let outcome = read(&compressed);
        assert_eq!((outcome.frames.len(), outcome.facts.damage), (3_000, None));
        let cut = read(&compressed[..compressed.len() - 4]);
        assert!(cut.frames.len() == 3_000 && cut.message().contains("lz4 stream is cut short"), "{}", cut.message());
    }

    #[test]
    fn a_stream_cut_anywhere_gives_what_was_before_and_says_so() {
        let plain = plain();
        let expected = read(&plain).frames;
        for (compression, compress) in ALL {
            let compressed = compress(&plain);
            let mut given = 0;
            for length in (7..compressed.len()).step_by(997).chain([compressed.len() - 1]) {
                let outcome = read(&compressed[..length]);
                let name = compression.name();
                assert!(
                    outcome.message().contains(&format!("{name} stream is cut short")),
                    "{length}: {}",
                    outcome.message()
                );
                assert!(outcome.frames.len() >= given, "{name} {length}");
                given = outcome.frames.len();
                assert!(expected.starts_with(&outcome.frames), "{name} {length}");
            }
            assert!(given > 2_000, "{compression:?}: {given}");
        }
    }

    #[test]
    fn lz4_cut_between_two_blocks_is_cut() {
        let compressed = lz4(&plain());
        let size = |at: usize| u32::from_le_bytes(*compressed[at..].first_chunk().unwrap()) & 0x7fff_ffff;
        let mut at = 7;
        let mut blocks = 0;
        while size(at) != 0 {
            at += 4 + size(at) as usize;
            blocks += 1;
            let outcome = read(&compressed[..at]);
            assert!(outcome.message().contains("cut short"), "{at}: {}", outcome.message());
        }
        assert!(blocks > 3);
    }

    #[test]
    fn a_damaged_stream_never_panics() {
        for (compression, compress) in ALL {
            let compressed = compress(&plain());
            let mut damaged = 0;
            for at in (0..compressed.len()).step_by(1_009) {
                let mut compressed = compressed.clone();
                compressed[at] ^= 0x55;
                damaged += usize::from(read(&compressed).facts.damage.is_some());
            }
            assert!(damaged > 3, "{compression:?}");
        }
    }

    #[test]
    fn damage_in_the_middle_loses_little_of_what_was_before() {
        let compressed = gzip(&plain());
        for place in (1..10).map(|tenth| compressed.len() * tenth / 10) {
            let before = read(&compressed[..place]).frames.len();
            let mut compressed = compressed.clone();
            compressed[place..].fill(0xff);
            let given = read(&compressed).frames.len();
            // Some 16 KiB may go with the block that is damaged.
            assert!(given + 200 > before, "{place}: {given} of {before}");
        }
    }

    #[test]
    fn headers_that_ask_for_gigabytes_are_refused() {
        // A zstd frame whose window is 2^31 bytes, and an xz stream whose block wants a dictionary of 4 GiB less one.
        let zstd = [&[0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8][..], &[0; 64]].concat();
        let block = [2, 0, 0x21, 1, 40, 0, 0, 0];
        let mut crc = flate2::Crc::new();
        crc.update(&block);
        let header = [0xfd, b'7', b'z', b'X', b'Z', 0, 0, 1, 0x69, 0x22, 0xde, 0x36];
        let xz = [&header[..], &block, &crc.sum().to_le_bytes(), &[0; 64]].concat();
        for (name, words, bytes) in [("zstd", "", zstd), ("xz", "memory", xz)] {
            let outcome = read(&bytes);
            let message = outcome.message().to_lowercase();
            assert!(message.contains(&format!("{name} stream is damaged")) && message.contains(words), "{message}");
        }
    }

    #[test]
    fn compression_in_compression_is_named() {
        let outcome = read(&gzip(&zstd(&plain())));
        assert!(outcome.frames.is_empty() && outcome.message().contains("zstd data inside other compression"));
    }

    #[test]
    fn an_error_of_the_system_is_damage_after_the_frames_before_it() {
        struct Fails;
        impl Read for Fails {
            fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
                Err(std::io::Error::other("disk on fire"))
            }
        }
        let mut file = PcapFile::new(0xa1b2_c3d4, false);
        file.record(1, 0, b"abc");
        let outcome = crate::capture::craft::read_from(Cursor::new(file.bytes).chain(Fails), false);
        assert_eq!((outcome.frames.len(), outcome.damage_at()), (1, (2, 43)));
        assert_eq!(outcome.message(), "reading failed: disk on fire; what followed is lost");
    }
}
