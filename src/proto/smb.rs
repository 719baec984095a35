//! SMB 1, 2 and 3 over TCP, direct or in a `NetBIOS` session (MS-CIFS, MS-SMB2), and what is said before SMB in such a
//! session (RFC 1002 section 4.3).
//!
//! It hands on the part of the sender, and must never know ports.

use crate::model::app::Speaker;
use crate::model::transport::Transport;
use crate::proto::Recognition;
use crate::proto::netbios;
use crate::proto::part::Part;
use crate::proto::part::Read;
use crate::proto::part::Stop;
use crate::proto::part::check;

// Types of a packet of the session service.
const MESSAGE: u8 = 0x00;
const REQUEST: u8 = 0x81;
const ACCEPTED: u8 = 0x82;
const REFUSED: u8 = 0x83;
const RETARGET: u8 = 0x84;
const KEEP_ALIVE: u8 = 0x85;

/// Whether this is SMB. Certain once the fixed part of the first header agrees with itself.
pub fn recognise(_transport: Transport, bytes: &[u8]) -> Recognition {
    let mut all = Part::open(bytes);
    loop {
        match packet(&mut all) {
            // Either end sends these whenever it likes, and some clients an empty message to the same end.
            Ok((KEEP_ALIVE, _)) => {}
            Ok((MESSAGE, message)) if message.is_end() => {}
            Ok((MESSAGE, mut message)) => return header(&mut message).unwrap_or_else(Recognition::from),
            Ok(_) => return Recognition::NotForUs,
            Err(stop) => return stop.into(),
        }
    }
}

/// Whether a `NetBIOS` session is being opened, refused or kept alive. SMB in an open one is SMB.
pub fn recognise_session(_transport: Transport, bytes: &[u8]) -> Recognition {
    session(bytes).unwrap_or_else(Recognition::from)
}

/// The next packet of a session: its type, and its content.
fn packet<'a>(stream: &mut Part<'a>) -> Read<(u8, Part<'a>)> {
    let kind = stream.u8()?;
    check(kind == MESSAGE || (REQUEST..=KEEP_ALIVE).contains(&kind))?;
    // Direct TCP uses all 24 bits (MS-SMB2 section 2.1), a session 17 of them.
    let [high, middle, low] = stream.array()?;
    let length = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
    check((kind == KEEP_ALIVE) == (length == 0) || matches!(kind, MESSAGE | ACCEPTED))?;
    Ok((kind, stream.inner(length)?))
}

/// Whether a message begins with a header. What it begins with is compared as soon as it is there.
fn header(message: &mut Part<'_>) -> Read<Recognition> {
    let version = message.u8()?;
    check((0xfc..=0xff).contains(&version))?;
    for letter in b"SMB" {
        check(message.u8()? == *letter)?;
    }
    match speaker(version, message) {
        Ok(speaker) => Ok(Recognition::Certain(speaker)),
        // Four letters behind a length are hardly chance.
        Err(Stop::Wrong) => Ok(Recognition::Likely(Speaker::Either)),
        Err(Stop::Short) => Err(Stop::Short),
    }
}

/// Who wrote the header of this version, from behind its letters on.
fn speaker(version: u8, message: &mut Part<'_>) -> Read<Speaker> {
    match version {
        // SMB 1 (MS-CIFS section 2.2.3.1): command, status, flags; the flag 0x80 marks a reply.
        0xff => {
            check(message.declared() >= 28)?;
            message.take(1 + 4)?;
            Ok(by_bit(message.u8()? & 0x80 != 0))
        }
        // SMB 2 and 3 (MS-SMB2 section 2.2.1): the size of the header, then after ten bytes the flags.
        0xfe => {
            check(message.declared() >= 60 && message.le16()? == 64)?;
            message.take(2 + 4)?;
            check(message.le16()? <= 0x12)?;
            message.take(2)?;
            Ok(by_bit(message.le32()? & 1 != 0))
        }
        // Sealed (MS-SMB2 section 2.2.41): signature, nonce, size, reserved, and a field that is 1 in every dialect.
        0xfd => {
            check(message.declared() >= 48)?;
            message.take(16 + 16 + 4)?;
            check(message.le16()? == 0 && message.le16()? == 1)?;
            Ok(Speaker::Either)
        }
        // Compressed (MS-SMB2 section 2.2.42): size, algorithm, and whether further ones follow.
        _ => {
            check(message.declared() >= 12)?;
            message.take(4)?;
            check(message.le16()? <= 5 && message.le16()? <= 1)?;
            Ok(Speaker::Either)
        }
    }
}

fn by_bit(answers: bool) -> Speaker {
    if answers { Speaker::Server } else { Speaker::Client }
}

fn session(bytes: &[u8]) -> Read<Recognition> {
    let mut all = Part::open(bytes);
    let (kind, mut content) = packet(&mut all)?;
    match kind {
        REQUEST => {
            // Whom it calls, and who calls.
            netbios::encoded_name(&mut content)?;
            netbios::encoded_name(&mut content)?;
            Ok(Recognition::Certain(Speaker::Client))
        }
        REFUSED => {
            check(content.declared() == 1)?;
            check(matches!(content.u8()?, 0x80..=0x83 | 0x8f))?;
            Ok(Recognition::Certain(Speaker::Server))
        }
        RETARGET => {
            check(content.declared() == 6)?;
            Ok(Recognition::Likely(Speaker::Server))
        }
        ACCEPTED => {
            check(content.is_end())?;
            // Four bytes prove little; SMB behind them proves them.
            let smb = packet(&mut all).and_then(|(_, mut message)| header(&mut message));
            Ok(match smb {
                Ok(Recognition::Certain(speaker)) => Recognition::Certain(speaker),
                _ => Recognition::Likely(Speaker::Server),
            })
        }
        KEEP_ALIVE => match packet(&mut all) {
            Ok((KEEP_ALIVE, _)) | Err(Stop::Short) => Ok(Recognition::Likely(Speaker::Either)),
            _ => Err(Stop::Wrong),
        },
        _ => Err(Stop::Wrong),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::samples;

    fn both(bytes: &[u8]) -> (Recognition, Recognition) {
        (recognise(Transport::Tcp, bytes), recognise_session(Transport::Tcp, bytes))
    }

    #[test]
    fn keep_alives_may_come_first() {
        let alone = [0x85, 0, 0, 0];
        assert_eq!(both(&alone), (Recognition::NeedMore, Recognition::Likely(Speaker::Either)));
        let then_smb = [&alone[..], &[0; 4], &samples::SMB2_NEGOTIATE.bytes()].concat();
        assert_eq!(both(&then_smb), (Recognition::Certain(Speaker::Client), Recognition::NotForUs));
    }

    #[test]
    fn an_accepted_session_is_likely_until_smb_follows() {
        let accepted = [0x82, 0, 0, 0];
        assert_eq!(both(&accepted), (Recognition::NotForUs, Recognition::Likely(Speaker::Server)));
        let then_smb = [&accepted[..], &samples::SMB2_NEGOTIATED.bytes()].concat();
        assert_eq!(both(&then_smb).1, Recognition::Certain(Speaker::Server));
    }

    #[test]
    fn an_odd_header_is_likely() {
        let mut bytes = samples::SMB2_NEGOTIATE.bytes();
        bytes[8] = 0x3f;
        assert_eq!(both(&bytes).0, Recognition::Likely(Speaker::Either));
        bytes[6] = b'N';
        assert_eq!(both(&bytes).0, Recognition::NotForUs);
    }
}
