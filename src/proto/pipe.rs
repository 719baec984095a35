//! What SMB commands have to do with named pipes: which opens one, which carries bytes to or from one (MS-SMB2, MS-CIFS).
//!
//! Reads the head of a command only and says where its data stand, so that no data need to be kept. Hands on numbers of
//! calls, trees and handles as the two ends chose them. This file must never know what a pipe carries, nor ports.

use crate::model::app::Speaker;
use crate::proto::part::Part;
use crate::proto::part::Read;
use crate::proto::part::Stop;
use crate::proto::part::check;
use crate::proto::smb1;
use crate::proto::smb2;
use crate::proto::wire_name;

/// Bytes of the header that every packet of a session has: its type, and its length in 24 bits (MS-SMB2 section 2.1).
pub const PACKET_LEN: usize = 4;

/// The longest name of a pipe that is read, bytes: 256 characters of UTF-16, as many as `CreateNamedPipe` allows.
pub(super) const NAME_MAX: usize = 512;

/// A session's packet that holds a message, and the range of those that hold none (RFC 1002 section 4.3.1).
const MESSAGE: u8 = 0x00;
const REQUEST: u8 = 0x81;
const KEEP_ALIVE: u8 = 0x85;

/// What a packet of a session holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Packet {
    /// Commands of SMB, in this many bytes.
    Message(usize),
    /// Something of the session itself, in this many bytes.
    Session(usize),
}

/// The header of a packet; `None` if it is none.
pub fn packet([kind, high, middle, low]: [u8; PACKET_LEN]) -> Option<Packet> {
    let length = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
    match kind {
        MESSAGE => Some(Packet::Message(length)),
        REQUEST..=KEEP_ALIVE => Some(Packet::Session(length)),
        _ => None,
    }
}

/// An open pipe, as the server numbers it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Handle(pub u128);

impl Handle {
    /// No number: the file is that of the command before, which may be about to open it.
    pub const BEFORE: Self = Self(u128::MAX);
}

/// A share that a session is connected to: the session's number, and the share's in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tree(pub u64, pub u32);

/// Where data stand: counted from the command's first byte, and how many.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    /// The first byte.
    pub at: usize,
    /// How many.
    pub len: usize,
}

/// One command, or the answer to one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Command<'a> {
    /// Who sent it; either where it is encrypted or compressed.
    pub speaker: Speaker,
    /// What a question and its answer have in common.
    pub call: u64,
    /// The share that it is about. `None` where that is not said.
    pub tree: Option<Tree>,
    /// It goes on with what the command before it in the same message was about: the same share, and where it names
    /// [`Handle::BEFORE`] the same file (MS-SMB2 section 3.3.5.2.7.2).
    pub follows: bool,
    /// What it does.
    pub does: Does<'a>,
    /// The bytes that it carries into or out of a file.
    pub data: Option<Span>,
    /// Bytes until the next command of the same message, or to the message's end.
    pub length: usize,
}

/// What a command does, as far as pipes are concerned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Does<'a> {
    /// Something encrypted or compressed (MS-SMB2 sections 2.2.41 and 2.2.42).
    Sealed,
    /// The server connected a share; whether that is the one of pipes.
    Connected {
        /// It is.
        pipes: bool,
    },
    /// The client opens a file or pipe.
    Open(Name<'a>),
    /// The server opened it.
    Opened {
        /// As what.
        handle: Handle,
        /// Whether it is a pipe, where the server says so.
        pipe: Option<bool>,
    },
    /// The client closes it.
    Close(Handle),
    /// The server closed it.
    Closed,
    /// The client writes the data.
    Write(Handle),
    /// The client asks for data.
    Read(Handle),
    /// The client writes the data and asks for more. Only pipes can do so.
    Transact(Handle),
    /// The server answers one of these, with data if it was asked for some.
    Answer {
        /// The file, where the answer names it.
        handle: Option<Handle>,
        /// Further answers to the same question follow.
        more: bool,
    },
    /// The server will answer later.
    Wait,
    /// The server refuses.
    Fail,
    /// Nothing of that.
    Other,
}

/// A file's name as a client writes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Name<'a> {
    pub(super) bytes: &'a [u8],
    /// It is UTF-16; else one byte a character.
    pub(super) wide: bool,
}

impl Name<'_> {
    /// The name of a pipe in small letters, without the path before it, since none of this tells pipes apart. `None` if it
    /// is empty, too long or in a folder, as no pipe with RPC is.
    pub fn of_pipe(&self) -> Option<String> {
        let narrow: Vec<u8> = if self.wide {
            let (pairs, _) = self.bytes.as_chunks::<2>();
            // A letter that does not fit keeps the name from being taken for another; the whole name is read below.
            pairs.iter().map(|[low, high]| if *high == 0 { *low } else { b'?' }).collect()
        } else {
            self.bytes.to_vec()
        };
        let mut begin = narrow.iter().take_while(|byte| **byte == b'\\').count();
        let folder = narrow.get(begin..begin + FOLDER.len());
        if folder.is_some_and(|folder| folder.eq_ignore_ascii_case(FOLDER)) {
            begin += FOLDER.len();
        }
        if narrow.get(begin..)?.contains(&b'\\') {
            return None;
        }
        let name = if self.wide {
            wire_name::of_utf16(self.bytes.get(begin * 2..)?)
        } else {
            let bytes = self.bytes.get(begin..)?;
            wire_name::of_bytes(bytes.strip_suffix(&[0]).unwrap_or(bytes))
        };
        name.map(|name| name.to_lowercase())
    }
}

/// Some clients write it before the name.
const FOLDER: &[u8] = b"pipe\\";

/// The command that begins here. `bytes` are those at hand, of `declared` until the message's end.
///
/// # Errors
///
/// [`Stop::Short`] if more bytes are needed to tell, [`Stop::Wrong`] if no command begins here. A command that contradicts
/// itself behind its header does [`Does::Other`].
pub fn command(bytes: &[u8], declared: usize) -> Read<Command<'_>> {
    let mut message = Part::open(bytes).inner(declared)?;
    let version = message.u8()?;
    check((0xfc..=0xff).contains(&version))?;
    for letter in b"SMB" {
        check(message.u8()? == *letter)?;
    }
    match version {
        0xff => smb1::command(message, bytes, declared),
        0xfe => smb2::command(message, bytes, declared),
        _ => Ok(Command {
            speaker: Speaker::Either,
            call: 0,
            tree: None,
            follows: false,
            does: Does::Sealed,
            data: None,
            length: declared,
        }),
    }
}

/// What a command does, and its data. What contradicts itself does nothing, what is not there yet is waited for.
pub(super) fn or_other(read: Read<(Does<'_>, Option<Span>)>) -> Read<(Does<'_>, Option<Span>)> {
    match read {
        Err(Stop::Wrong) => Ok((Does::Other, None)),
        read => read,
    }
}

/// The place of data in a command of `length` bytes whose first `head` are its header.
pub(super) fn span(at: usize, len: usize, head: usize, length: usize) -> Read<Option<Span>> {
    if len == 0 {
        return Ok(None);
    }
    check(at >= head && at.checked_add(len).is_some_and(|end| end <= length))?;
    Ok(Some(Span { at, len }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_pipes_alone() {
        let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        for (text, wanted) in [
            ("lsarpc", Some("lsarpc")),
            ("\\SVCCTL", Some("svcctl")),
            ("\\PIPE\\epmapper", Some("epmapper")),
            ("pipe\\samr", Some("samr")),
            ("dir\\file.txt", None),
            ("", None),
            ("\\", None),
            ("K\u{e4}se\u{20ac}", Some("k\u{e4}se\u{20ac}")),
        ] {
            let bytes = wide(text);
            assert_eq!(Name { bytes: &bytes, wide: true }.of_pipe().as_deref(), wanted, "{text}");
            if text.is_ascii() {
                assert_eq!(Name { bytes: text.as_bytes(), wide: false }.of_pipe().as_deref(), wanted, "{text}");
            }
        }
        assert_eq!(Name { bytes: b"\\srvsvc\0", wide: false }.of_pipe().as_deref(), Some("srvsvc"));
    }

    #[test]
    fn a_packet_has_its_length_in_three_bytes() {
        assert_eq!(packet([0, 1, 2, 3]), Some(Packet::Message(0x01_0203)));
        assert_eq!(packet([0x85, 0, 0, 0]), Some(Packet::Session(0)));
        assert_eq!(packet([1, 0, 0, 9]), None);
    }

    #[test]
    fn what_is_no_command_is_told_from_what_is_cut() {
        assert_eq!(command(b"\xfeSM", 100), Err(Stop::Short));
        assert_eq!(command(b"\xfeSM", 3), Err(Stop::Wrong));
        assert_eq!(command(b"\xfeSMC", 100), Err(Stop::Wrong));
        assert_eq!(command(b"HTTP", 100), Err(Stop::Wrong));
        assert_eq!(command(b"\xfdSMB", 100).map(|command| command.does), Ok(Does::Sealed));
        assert_eq!(command(b"\xfcSMB", 100).map(|command| (command.does, command.length)), Ok((Does::Sealed, 100)));
    }
}
