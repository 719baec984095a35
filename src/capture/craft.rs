//! Builds capture files in memory for the tests of this room, right or wrong in any byte.

use crate::capture::batch::FrameBatch;
use crate::capture::facts::InputFacts;
use crate::capture::input::ARENA_BYTES;
use crate::capture::input::Input;
use crate::capture::stream::Stream;
use crate::capture::walk::BATCH_FRAMES;

/// Builds a pcap file.
pub(super) struct PcapFile {
    big: bool,
    pub(super) bytes: Vec<u8>,
    extra: usize,
}

impl PcapFile {
    pub(super) fn new(magic: u32, big: bool) -> Self {
        Self::with(magic, big, (2, 4), 65_535, 1)
    }

    pub(super) fn with(magic: u32, big: bool, version: (u16, u16), snaplen: u32, network: u32) -> Self {
        let mut file = Self { big, bytes: Vec::new(), extra: if magic == 0xa1b2_cd34 { 8 } else { 0 } };
        file.u32(magic);
        file.u16(version.0);
        file.u16(version.1);
        file.u32(0);
        file.u32(0);
        file.u32(snaplen);
        file.u32(network);
        file
    }

    fn u16(&mut self, value: u16) {
        self.bytes.extend(if self.big { value.to_be_bytes() } else { value.to_le_bytes() });
    }

    fn u32(&mut self, value: u32) {
        self.bytes.extend(if self.big { value.to_be_bytes() } else { value.to_le_bytes() });
    }

    /// A record of these bytes as they are.
    pub(super) fn record(&mut self, seconds: u32, ticks: u32, bytes: &[u8]) -> &mut Self {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.claim(seconds, ticks, length, length, bytes)
    }

    /// A record that says what it likes about its lengths.
    pub(super) fn claim(&mut self, seconds: u32, ticks: u32, captured: u32, wire: u32, bytes: &[u8]) -> &mut Self {
        for value in [seconds, ticks, captured, wire] {
            self.u32(value);
        }
        self.bytes.extend(std::iter::repeat_n(0, self.extra));
        self.bytes.extend(bytes);
        self
    }
}

/// Builds a pcapng file; the byte order may change with each section.
#[derive(Default)]
pub(super) struct NgFile {
    big: bool,
    pub(super) bytes: Vec<u8>,
}

impl NgFile {
    /// A file with one section header.
    pub(super) fn new(big: bool) -> Self {
        let mut file = Self::default();
        file.section(big);
        file
    }

    pub(super) fn u16(&self, value: u16) -> [u8; 2] {
        if self.big { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    pub(super) fn u32(&self, value: u32) -> [u8; 4] {
        if self.big { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    pub(super) fn u64(&self, value: u64) -> [u8; 8] {
        if self.big { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    pub(super) fn option(&self, code: u16, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
        let mut bytes = [&self.u16(code)[..], &self.u16(length), value].concat();
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    pub(super) fn block(&mut self, kind: u32, body: &[u8]) -> &mut Self {
        let mut body = body.to_vec();
        body.resize(body.len().next_multiple_of(4), 0);
        let length = self.u32(u32::try_from(body.len() + 12).unwrap_or(u32::MAX));
        self.bytes.extend([&self.u32(kind)[..], &length, &body, &length].concat());
        self
    }

    pub(super) fn section(&mut self, big: bool) -> &mut Self {
        self.big = big;
        let body = [&self.u32(0x1a2b_3c4d)[..], &self.u16(1), &self.u16(0), &[0xff; 8]].concat();
        self.block(0x0a0d_0d0a, &body)
    }

    pub(super) fn interface(&mut self, link: u16, snaplen: u32, options: &[u8]) -> &mut Self {
        let body = [&self.u16(link)[..], &[0, 0], &self.u32(snaplen), options].concat();
        self.block(1, &body)
    }

    pub(super) fn packet(&mut self, interface: u32, ticks: u64, bytes: &[u8]) -> &mut Self {
        self.packet_with(interface, ticks, bytes, bytes.len(), &[])
    }

    pub(super) fn packet_with(
        &mut self,
        interface: u32,
        ticks: u64,
        bytes: &[u8],
        wire: usize,
        options: &[u8],
    ) -> &mut Self {
        let [high, low] = [ticks >> 32, ticks & 0xffff_ffff].map(|half| u32::try_from(half).unwrap_or_default());
        let lengths = [bytes.len(), wire].map(|length| u32::try_from(length).unwrap_or(u32::MAX));
        let mut body: Vec<u8> =
            [interface, high, low, lengths[0], lengths[1]].iter().flat_map(|value| self.u32(*value)).collect();
        body.extend(bytes);
        body.resize(body.len().next_multiple_of(4), 0);
        body.extend(options);
        self.block(6, &body)
    }

    pub(super) fn simple(&mut self, wire: u32, bytes: &[u8]) -> &mut Self {
        let body = [&self.u32(wire)[..], bytes].concat();
        self.block(3, &body)
    }
}

/// What one frame was: number, nanoseconds, link type, length on the wire, bytes.
pub(super) type Seen = (u64, u64, u16, u32, Vec<u8>);

/// Everything that reading gave.
pub(super) struct Outcome {
    pub(super) frames: Vec<Seen>,
    pub(super) facts: InputFacts,
    /// How large the arena became.
    pub(super) arena: usize,
}

impl Outcome {
    pub(super) fn times(&self) -> Vec<u64> {
        self.frames.iter().map(|frame| frame.1).collect()
    }

    /// The frame and the place of the damage; zeros if there is none.
    pub(super) fn damage_at(&self) -> (u64, u64) {
        self.facts.damage.as_ref().map_or((0, 0), |damage| (damage.frame, damage.offset))
    }

    pub(super) fn message(&self) -> &str {
        self.facts.damage.as_ref().map_or("", |damage| &damage.message)
    }
}

/// Reads a file that is in memory, in pieces as large as a file on disk would give.
pub(super) fn read(bytes: &[u8]) -> Outcome {
    read_from(std::io::Cursor::new(bytes.to_vec()), false)
}

/// Reads from anything; with `trickles` each batch takes what one read gives.
pub(super) fn read_from(reader: impl std::io::Read + Send + 'static, trickles: bool) -> Outcome {
    let mut outcome = Outcome { frames: Vec::new(), facts: InputFacts::default(), arena: 0 };
    let Ok(mut stream) = Stream::new(reader, None) else { return outcome };
    stream.trickles = trickles;
    let mut input = Input::new(0, "x".to_owned(), stream, ARENA_BYTES);
    let mut batch = FrameBatch::default();
    while input.fill(&mut batch) {
        assert!(batch.frames.len() <= BATCH_FRAMES);
        for frame in &batch.frames {
            let bytes = batch.bytes(frame);
            assert_eq!(bytes.len(), frame.captured as usize);
            outcome.frames.push((frame.id.number(), frame.ts.0, frame.link.0, frame.wire_len, bytes.to_vec()));
        }
    }
    outcome.arena = batch.arena.len();
    input.tell(&mut outcome.facts);
    outcome
}

/// A small pcap file: five frames of different lengths, one of them empty.
pub(super) fn small_pcap() -> Vec<u8> {
    let mut file = PcapFile::new(0xa1b2_c3d4, false);
    for (number, length) in [60, 0, 1, 61, 300].into_iter().enumerate() {
        let number = u8::try_from(number).unwrap_or_default();
        file.record(1_000 + u32::from(number), 5, &vec![number; length]);
    }
    file.bytes
}

/// A small pcapng file with every kind of block, in two sections of different byte order.
pub(super) fn small_pcapng() -> Vec<u8> {
    let mut file = NgFile::new(false);
    file.interface(1, 0, &[]).packet(0, 1_000_000, &[1; 61]).simple(5, &[2; 5]);
    let drops = file.option(5, &file.u64(7));
    let statistics = [&file.u32(0)[..], &[0; 8], &drops].concat();
    file.block(5, &statistics).block(0x0bad, &[0; 8]).block(4, b"names").section(true);
    let nanoseconds = file.option(9, &[9]);
    file.interface(101, 128, &nanoseconds).packet(0, 2_000_000_000, &[3; 40]);
    file.bytes
}
