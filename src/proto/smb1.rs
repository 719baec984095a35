//! Commands of SMB 1 (MS-CIFS section 2.2.4, MS-SMB section 2.2.4), as far as named pipes need.
//!
//! Of commands in a chain only the first is read: clients chain none of those that matter here. This file must never
//! know what a pipe carries.

use crate::model::app::Speaker;
use crate::proto::part::Part;
use crate::proto::part::Read;
use crate::proto::part::check;
use crate::proto::pipe::Command;
use crate::proto::pipe::Does;
use crate::proto::pipe::Handle;
use crate::proto::pipe::NAME_MAX;
use crate::proto::pipe::Name;
use crate::proto::pipe::Span;
use crate::proto::pipe::Tree;
use crate::proto::pipe::or_other;
use crate::proto::pipe::span;

/// Bytes of a header (MS-CIFS section 2.2.3.1).
const HEADER_LEN: usize = 32;

/// The flag of answers.
const ANSWERS: u8 = 0x80;
/// The second flags' bit for texts in UTF-16.
const WIDE: u16 = 0x8000;

// Commands (MS-CIFS section 2.2.2.1).
const CLOSE: u8 = 0x04;
const TRANSACTION: u8 = 0x25;
const READ_ANDX: u8 = 0x2e;
const WRITE_ANDX: u8 = 0x2f;
const TREE_CONNECT_ANDX: u8 = 0x75;
const NT_CREATE_ANDX: u8 = 0xa2;

// Statuses that say: the pipe's message is longer than was asked for. As a status of NT, and as class and code of DOS
// (MS-CIFS section 2.2.2.4).
const BUFFER_OVERFLOW: u32 = 0x8000_0005;
const MORE_DATA: u32 = 0x00ea_0001;

/// `TRANS_TRANSACT_NMPIPE` (MS-CIFS section 2.2.5.6).
const TRANSACT: u16 = 0x0026;
/// Both bits of a write's mode say that the message's length stands before it (MS-CIFS section 2.2.4.43.1).
const MESSAGE_START_RAW: u16 = 0x000c;

/// Reads a command from behind its protocol's four letters on; `bytes` are all of it at hand.
pub(super) fn command<'a>(mut header: Part<'a>, bytes: &'a [u8], declared: usize) -> Read<Command<'a>> {
    let number = header.u8()?;
    let status = header.le32()?;
    let (flags, flags2) = (header.u8()?, header.le16()?);
    let process_high = header.le16()?;
    header.take(8 + 2)?;
    let tree = header.le16()?;
    let process = header.le16()?;
    let (user, multiplex) = (header.le16()?, header.le16()?);
    let answers = flags & ANSWERS != 0;
    let body = Part::open(bytes).inner(declared).and_then(|mut all| all.take(HEADER_LEN).map(|_| all))?;
    let read = if answers { answer(number, status, body, declared) } else { question(number, flags2, body, declared) };
    let (does, data) = or_other(read)?;
    Ok(Command {
        speaker: if answers { Speaker::Server } else { Speaker::Client },
        call: u64::from(process_high) << 32 | u64::from(process) << 16 | u64::from(multiplex),
        tree: Some(Tree(user.into(), tree.into())),
        follows: false,
        does,
        data,
        length: declared,
    })
}

type Content<'a> = Read<(Does<'a>, Option<Span>)>;

fn question(number: u8, flags2: u16, mut body: Part<'_>, length: usize) -> Content<'_> {
    match number {
        // MS-CIFS section 2.2.4.5.1.
        CLOSE => {
            let mut words = words(&mut body, 3)?;
            Ok((Does::Close(handle(&mut words)?), None))
        }
        // MS-CIFS section 2.2.4.42.1.
        READ_ANDX => {
            let mut words = words(&mut body, 10)?;
            words.take(4)?;
            Ok((Does::Read(handle(&mut words)?), None))
        }
        // MS-CIFS section 2.2.4.43.1; the high half of the length is MS-SMB section 2.2.4.3.1.
        WRITE_ANDX => {
            let mut words = words(&mut body, 12)?;
            words.take(4)?;
            let handle = handle(&mut words)?;
            words.take(8)?;
            let mode = words.le16()?;
            words.take(2)?;
            let (high, low, at) = (words.le16()?, words.le16()?, usize::from(words.le16()?));
            let len = usize::from(high) << 16 | usize::from(low);
            let prefix = if mode & MESSAGE_START_RAW == MESSAGE_START_RAW { 2 } else { 0 };
            let data = span(at + prefix, len.saturating_sub(prefix), HEADER_LEN, length)?;
            Ok((Does::Write(handle), data))
        }
        // MS-CIFS sections 2.2.4.33.1 and 2.2.5.6.1.
        TRANSACTION => {
            let mut words = words(&mut body, 16)?;
            words.take(22)?;
            let (len, at) = (usize::from(words.le16()?), usize::from(words.le16()?));
            words.take(2)?;
            check(words.le16()? == TRANSACT)?;
            Ok((Does::Transact(handle(&mut words)?), span(at, len, HEADER_LEN, length)?))
        }
        // MS-CIFS section 2.2.4.64.1.
        NT_CREATE_ANDX => {
            let mut words = words(&mut body, 24)?;
            words.take(5)?;
            let len = usize::from(words.le16()?);
            check(len <= NAME_MAX)?;
            body.take(2)?;
            let wide = flags2 & WIDE != 0;
            if wide && (length - body.declared()) % 2 == 1 {
                body.take(1)?;
            }
            Ok((Does::Open(Name { bytes: body.take(len)?, wide }), None))
        }
        _ => Ok((Does::Other, None)),
    }
}

fn answer(number: u8, status: u32, mut body: Part<'_>, length: usize) -> Content<'_> {
    match (number, status) {
        // MS-CIFS section 2.2.4.55.2: behind the words stands what the share is, in one byte a character always.
        (TREE_CONNECT_ANDX, 0) => {
            words(&mut body, 2)?;
            let text = body.inner(body.declared())?;
            let mut text = text;
            text.take(2)?;
            let pipes = text.take(3)? == b"IPC";
            Ok((Does::Connected { pipes }, None))
        }
        // MS-CIFS section 2.2.4.64.2: a kind of 1 or 2 is a pipe.
        (NT_CREATE_ANDX, 0) => {
            let mut words = words(&mut body, 34)?;
            words.take(5)?;
            let handle = handle(&mut words)?;
            words.take(56)?;
            Ok((Does::Opened { handle, pipe: Some(matches!(words.le16()?, 1 | 2)) }, None))
        }
        // MS-CIFS section 2.2.4.42.2.
        (READ_ANDX, 0 | BUFFER_OVERFLOW | MORE_DATA) => {
            let mut words = words(&mut body, 12)?;
            words.take(10)?;
            let (low, at, high) = (words.le16()?, usize::from(words.le16()?), words.le16()?);
            let len = usize::from(high) << 16 | usize::from(low);
            Ok((Does::Answer { handle: None, more: false }, span(at, len, HEADER_LEN, length)?))
        }
        // MS-CIFS section 2.2.4.33.2. One without words only says that the question came.
        (TRANSACTION, 0 | BUFFER_OVERFLOW | MORE_DATA) => {
            if body.u8()? == 0 {
                return Ok((Does::Wait, None));
            }
            body.take(2)?;
            let total = usize::from(body.le16()?);
            body.take(8)?;
            let (len, at, before) = (usize::from(body.le16()?), usize::from(body.le16()?), usize::from(body.le16()?));
            Ok((Does::Answer { handle: None, more: before + len < total }, span(at, len, HEADER_LEN, length)?))
        }
        (NT_CREATE_ANDX | READ_ANDX | TRANSACTION, _) => Ok((Does::Fail, None)),
        _ => Ok((Does::Other, None)),
    }
}

/// The words of a command, of which there are at least so many.
fn words<'a>(body: &mut Part<'a>, least: usize) -> Read<Part<'a>> {
    let count = usize::from(body.u8()?);
    check(count >= least)?;
    body.inner(count * 2)
}

fn handle(words: &mut Part<'_>) -> Read<Handle> {
    words.le16().map(|number| Handle(number.into()))
}
