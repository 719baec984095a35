//! Commands of SMB 2 and 3 (MS-SMB2 section 2.2), as far as named pipes need.
//!
//! This file must never know what a pipe carries.

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

/// Bytes of a header.
const HEADER_LEN: usize = 64;

// Flags of a header (section 2.2.1.1).
const ANSWERS: u32 = 0x1;
const ASYNC: u32 = 0x2;
const RELATED: u32 = 0x4;

// Commands (section 2.2.1.1).
const TREE_CONNECT: u16 = 0x3;
const CREATE: u16 = 0x5;
const CLOSE: u16 = 0x6;
const READ: u16 = 0x8;
const WRITE: u16 = 0x9;
const IOCTL: u16 = 0xb;

// Statuses (MS-ERREF section 2.3.1).
const PENDING: u32 = 0x103;
/// The pipe's message is longer than was asked for: these are its first bytes.
const BUFFER_OVERFLOW: u32 = 0x8000_0005;

/// The share has named pipes (section 2.2.10).
const SHARE_OF_PIPES: u8 = 2;

/// `FSCTL_PIPE_TRANSCEIVE` (section 2.2.31): writes a message into a pipe and reads one.
const TRANSCEIVE: u32 = 0x0011_c017;

/// Reads a command from behind its protocol's four letters on; `bytes` are all of it at hand.
pub(super) fn command<'a>(mut header: Part<'a>, bytes: &'a [u8], declared: usize) -> Read<Command<'a>> {
    check(usize::from(header.le16()?) == HEADER_LEN)?;
    header.take(2)?;
    let status = header.le32()?;
    let number = header.le16()?;
    header.take(2)?;
    let (flags, next) = (header.le32()?, header.le32()? as usize);
    let call = u64::from_le_bytes(header.array()?);
    header.take(4)?;
    let (tree, session) = (header.le32()?, u64::from_le_bytes(header.array()?));
    header.take(16)?;
    check(next == 0 || (HEADER_LEN..=declared).contains(&next))?;
    let length = if next == 0 { declared } else { next };
    let answers = flags & ANSWERS != 0;
    let body = Part::open(bytes).inner(length).and_then(|mut all| all.take(HEADER_LEN).map(|_| all))?;
    let read = if answers { answer(number, status, body, length) } else { question(number, body, length) };
    let (does, data) = or_other(read)?;
    Ok(Command {
        speaker: if answers { Speaker::Server } else { Speaker::Client },
        call,
        tree: (flags & ASYNC == 0).then_some(Tree(session, tree)),
        follows: flags & RELATED != 0,
        does,
        data,
        length,
    })
}

type Content<'a> = Read<(Does<'a>, Option<Span>)>;

fn question(number: u16, mut body: Part<'_>, length: usize) -> Content<'_> {
    match number {
        // Section 2.2.13. Its name stands behind what is of fixed length.
        CREATE => {
            check(body.le16()? == 57)?;
            body.take(42)?;
            let (at, len) = (usize::from(body.le16()?), usize::from(body.le16()?));
            check(len <= NAME_MAX)?;
            body.take(8)?;
            let before = length - body.declared();
            body.take(at.checked_sub(before).unwrap_or(usize::MAX))?;
            Ok((Does::Open(Name { bytes: body.take(len)?, wide: true }), None))
        }
        // Section 2.2.15.
        CLOSE => {
            check(body.le16()? == 24)?;
            body.take(6)?;
            Ok((Does::Close(handle(&mut body)?), None))
        }
        // Section 2.2.19.
        READ => {
            check(body.le16()? == 49)?;
            body.take(14)?;
            Ok((Does::Read(handle(&mut body)?), None))
        }
        // Section 2.2.21.
        WRITE => {
            check(body.le16()? == 49)?;
            let (at, len) = (usize::from(body.le16()?), body.le32()? as usize);
            body.take(8)?;
            Ok((Does::Write(handle(&mut body)?), span(at, len, HEADER_LEN, length)?))
        }
        // Section 2.2.31.
        IOCTL => {
            check(body.le16()? == 57)?;
            body.take(2)?;
            check(body.le32()? == TRANSCEIVE)?;
            let handle = handle(&mut body)?;
            let (at, len) = (body.le32()? as usize, body.le32()? as usize);
            Ok((Does::Transact(handle), span(at, len, HEADER_LEN, length)?))
        }
        _ => Ok((Does::Other, None)),
    }
}

fn answer(number: u16, status: u32, mut body: Part<'_>, length: usize) -> Content<'_> {
    match (number, status) {
        (TREE_CONNECT | CREATE | READ | IOCTL, PENDING) => Ok((Does::Wait, None)),
        // Section 2.2.10.
        (TREE_CONNECT, 0) => {
            check(body.le16()? == 16)?;
            Ok((Does::Connected { pipes: body.u8()? == SHARE_OF_PIPES }, None))
        }
        // Section 2.2.14.
        (CREATE, 0) => {
            check(body.le16()? == 89)?;
            body.take(62)?;
            Ok((Does::Opened { handle: handle(&mut body)?, pipe: None }, None))
        }
        // Section 2.2.20.
        (READ, 0 | BUFFER_OVERFLOW) => {
            check(body.le16()? == 17)?;
            let at = usize::from(body.u8()?);
            body.take(1)?;
            let len = body.le32()? as usize;
            Ok((Does::Answer { handle: None, more: false }, span(at, len, HEADER_LEN, length)?))
        }
        // Section 2.2.32.
        (IOCTL, 0 | BUFFER_OVERFLOW) => {
            check(body.le16()? == 49)?;
            body.take(2)?;
            check(body.le32()? == TRANSCEIVE)?;
            let handle = handle(&mut body)?;
            body.take(8)?;
            let (at, len) = (body.le32()? as usize, body.le32()? as usize);
            let handle = Some(handle).filter(|handle| *handle != Handle::BEFORE);
            Ok((Does::Answer { handle, more: false }, span(at, len, HEADER_LEN, length)?))
        }
        (CLOSE, 0) => Ok((Does::Closed, None)),
        (CREATE | CLOSE | READ | IOCTL, _) => Ok((Does::Fail, None)),
        _ => Ok((Does::Other, None)),
    }
}

/// A file's number: what lasts, then what does not (section 2.2.14.1).
fn handle(body: &mut Part<'_>) -> Read<Handle> {
    body.array().map(|bytes| Handle(u128::from_le_bytes(bytes)))
}
