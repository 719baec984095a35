//! Tells by its first bytes what a file is: a capture, something compressed, or something else that has a name.
//!
//! It hands on words for the person who named the wrong file. It must never read more than it is given.

use crate::capture::facts::Compression;
use crate::capture::pcap;
use crate::capture::pcapng;

/// How many bytes decide about compression.
pub(super) const MAGIC_BYTES: usize = 6;

/// Whether these bytes begin a pcap or pcapng file.
pub(super) fn is_capture(bytes: &[u8]) -> bool {
    bytes.first_chunk::<4>().is_some_and(|four| *four == pcapng::SECTION_HEADER || pcap::is_magic(*four))
}

/// What a stream that begins with these bytes is compressed with.
pub(super) fn compression(bytes: &[u8]) -> Option<Compression> {
    match bytes {
        [0x1f, 0x8b, ..] => Some(Compression::Gzip),
        // The second is a skippable frame, which parallel zstd writes first.
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Compression::Zstd),
        // The second is the format of the first lz4 tools.
        [0x04, 0x22, 0x4d, 0x18, ..] | [0x02, 0x21, 0x4c, 0x18, ..] => Some(Compression::Lz4),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Compression::Xz),
        _ => None,
    }
}

const EDITCAP: &str = "convert it with editcap -F pcapng";
const UNPACK: &str = "unpack it first";
const NOT_CAPTURE: &str = "it is no capture";

/// Offset, bytes there, what it is, what to do.
const KNOWN: &[(usize, &[u8], &str, &str)] = &[
    (0, b"snoop\0\0\0", "a snoop capture (Solaris)", EDITCAP),
    (0, b"btsnoop\0", "a Bluetooth snoop capture", EDITCAP),
    (0, b"RTSS", "a Network Monitor 1 capture", EDITCAP),
    (0, b"GMBU", "a Network Monitor 2 capture", EDITCAP),
    (0, b"XCP\0", "a NetXRay or Windows Sniffer capture", EDITCAP),
    (0, b"TRSNIFF data    \x1a", "a DOS Sniffer capture", EDITCAP),
    (0, b"iptrace 1.0", "an AIX iptrace capture", EDITCAP),
    (0, b"iptrace 2.0", "an AIX iptrace capture", EDITCAP),
    (0, b"ObserverPktBuffe", "an Observer capture", EDITCAP),
    (0, b"\x7fver", "a Savvius OmniPeek capture", EDITCAP),
    (0, b"\x05VNF", "a Visual Networks capture", EDITCAP),
    (0, b"\x54\x52\x00\x64\x00", "an HP-UX nettl trace", EDITCAP),
    (
        0,
        b"\x0d\x0a\x0d\x0d\x0a",
        "a pcapng file whose line ends were changed in transfer (FTP in text mode?)",
        "fetch it again in binary mode",
    ),
    (
        0,
        b"\x0a\x0a\x0a",
        "a pcapng file whose line ends were changed in transfer (FTP in text mode?)",
        "fetch it again in binary mode",
    ),
    (
        0,
        b"\x0a\x0d\x0a",
        "a pcapng file whose line ends were changed in transfer (FTP in text mode?)",
        "fetch it again in binary mode",
    ),
    (0, b"PK\x03\x04", "a ZIP archive", UNPACK),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", UNPACK),
    (0, b"Rar!", "a RAR archive", UNPACK),
    (0, b"MSCF", "a Windows cabinet", UNPACK),
    (257, b"ustar", "a tar archive", UNPACK),
    (0, b"BZh", "bzip2 data", "unpack it with bzip2 -d"),
    (0, b"\x1f\x9d", "compress (.Z) data", "unpack it with gzip -d"),
    (0, b"\x1f\x8b", "gzip data inside other compression", UNPACK),
    (0, b"\x28\xb5\x2f\xfd", "zstd data inside other compression", UNPACK),
    (0, b"\x04\x22\x4d\x18", "lz4 data inside other compression", UNPACK),
    (0, b"\xfd7zXZ\0", "xz data inside other compression", UNPACK),
    (0, b"ElfFile\0", "a Windows event log (.evtx)", NOT_CAPTURE),
    (0, b"\x7fELF", "a program", NOT_CAPTURE),
    (0, b"MZ", "a Windows program", NOT_CAPTURE),
    (0, b"%PDF", "a PDF document", NOT_CAPTURE),
    (0, b"SQLite format 3", "an SQLite database", NOT_CAPTURE),
    (0, b"PAR1", "a Parquet table", NOT_CAPTURE),
];

/// Formats without a reliable magic number: the end of the file's name, what it is then, what to do.
const BY_NAME: &[(&str, &str, &str)] = &[
    (".etl", "a Windows event trace (netsh or pktmon)", "convert it with etl2pcapng, or with pktmon etl2pcap"),
    (".erf", "an Endace ERF capture", EDITCAP),
    (".pkt", "a packet-analyser capture", EDITCAP),
];

/// Says what a file that is no capture looks like, and what to do; `bytes` is its beginning, decompressed.
pub(super) fn describe(path: &str, bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return "the input is empty".to_owned();
    }
    let by_bytes = KNOWN.iter().find(|(at, magic, ..)| bytes.get(*at..).is_some_and(|rest| rest.starts_with(magic)));
    let by_name = || {
        let path = path.to_ascii_lowercase();
        BY_NAME.iter().find(|(end, ..)| path.ends_with(end))
    };
    if let Some((_, _, what, todo)) = by_bytes {
        format!("neither pcap nor pcapng: it is {what}; {todo}")
    } else if let Some((_, what, todo)) = by_name() {
        format!("neither pcap nor pcapng: by its name it is {what}; {todo}")
    } else if bytes.iter().all(|byte| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~' | 0x80..)) {
        "neither pcap nor pcapng: it is text; if it is a hex dump, text2pcap makes a capture of it".to_owned()
    } else if bytes.len() < 4 {
        format!("the input is only {} bytes long, too short for any capture", bytes.len())
    } else {
        let beginning = bytes.get(..8).unwrap_or(bytes);
        format!("neither pcap nor pcapng: it begins with {beginning:02x?}; if capinfos knows the format, {EDITCAP}")
    }
}

#[cfg(test)]
mod tests {
    use super::describe;

    #[test]
    fn an_alien_file_is_named_with_the_next_step() {
        let cases: [(&str, &[u8], &str); 7] = [
            ("a.snoop", b"snoop\0\0\0\0\0\0\x02", "snoop capture (Solaris); convert it with editcap"),
            ("trace.ETL", &[0, 0, 1, 0, 9, 9], "Windows event trace"),
            ("x", b"hello, world\n", "it is text"),
            ("x", b"PK\x03\x04....", "a ZIP archive; unpack"),
            ("x", &[1, 2, 3, 4, 5], "begins with [01, 02, 03, 04, 05]"),
            ("x", &[0xff, 0, 1], "only 3 bytes"),
            ("x", b"", "empty"),
        ];
        for (path, bytes, words) in cases {
            let said = describe(path, bytes);
            assert!(said.contains(words), "{said}");
        }
    }

    #[test]
    fn a_tar_archive_is_known_by_its_middle() {
        let mut bytes = vec![b'a'; 512];
        bytes.splice(257..262, *b"ustar");
        assert!(describe("x", &bytes).contains("tar archive"));
    }
}
