//! What is known about the inputs: what they were, how far they could be read, what is missing.

use crate::capture::batch::LinkType;
use crate::model::time::Timestamp;

/// The container of a capture.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// libpcap's first format (RFC draft `draft-ietf-opsawg-pcap`), in any of its variants.
    Pcap,
    /// The block format (RFC draft `draft-ietf-opsawg-pcapng`).
    Pcapng,
    /// None: frames as the kernel hands them over.
    Live,
}

impl Format {
    /// The word for reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pcap => "pcap",
            Self::Pcapng => "pcapng",
            Self::Live => "live",
        }
    }
}

/// How an input was compressed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Compression {
    /// RFC 1952, one or many members.
    Gzip,
    /// RFC 8878, one or many frames.
    Zstd,
    /// The LZ4 frame format.
    Lz4,
    /// The .xz format.
    Xz,
}

impl Compression {
    /// The word for reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Lz4 => "lz4",
            Self::Xz => "xz",
        }
    }
}

/// Where an input could not be read further, and why. Every frame before it was given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Damage {
    /// The number (from 1) that the frame which could not be read would have had.
    pub frame: u64,
    /// Where its record begins, in bytes from the start of the decompressed stream.
    pub offset: u64,
    /// What is wrong, and what was lost as far as known.
    pub message: String,
}

/// What is known about one input.
///
/// Frames count when they are handed on or dropped by the filter; those behind the end of a run (`count`) do not.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct InputFacts {
    /// The path as given, or as found in a given folder; made printable if it is not UTF-8.
    pub path: String,
    /// The container; `None` if it is unknown or was not reached.
    pub format: Option<Format>,
    /// The compression around it.
    pub compression: Option<Compression>,
    /// Link types in the order in which frames showed them (a pcap file's own even without frames); at most 64.
    pub link_types: Vec<LinkType>,
    /// Frames read, those that the filter dropped among them.
    pub frames: u64,
    /// The sum of their lengths on the wire.
    pub bytes: u64,
    /// The earliest time of a frame.
    pub first: Option<Timestamp>,
    /// The latest time of a frame.
    pub last: Option<Timestamp>,
    /// The smallest snap length that an interface declares, in bytes; `None` if none declares a limit.
    pub snaplen: Option<u32>,
    /// Frames that the capturing machine says it lost.
    pub dropped: u64,
    /// Frames earlier than the one before them.
    pub out_of_order: u64,
    /// Frames of which fewer bytes were captured than were on the wire.
    pub cut_frames: u64,
    /// Where reading ended early.
    pub damage: Option<Damage>,
}

/// How far reading is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Progress {
    /// Bytes taken from files and standard input, before decompression.
    pub bytes_read: u64,
    /// Bytes there are to take; `None` as soon as one input has no known size.
    pub bytes_total: Option<u64>,
    /// Frames read.
    pub frames: u64,
}
