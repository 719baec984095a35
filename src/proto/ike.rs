//! IKE versions 1 and 2 (RFC 2408 section 3.1, RFC 7296 section 3.1), with or without the four zero bytes that tell it
//! from ESP behind an address translator (RFC 3948 section 2.2).
//!
//! It must never know of proposals or keys.

use crate::model::app::Speaker;
use crate::model::transport::Transport;
use crate::proto::Recognition;
use crate::proto::ber;
use crate::proto::cursor::Cursor;
use crate::proto::cursor::Read;
use crate::proto::cursor::answer;
use crate::proto::cursor::must;
use crate::proto::ldap;

const HEADER_BYTES: usize = 28;

/// The first exchange of version 2.
const IKE_SA_INIT: u8 = 34;

const ENCRYPTED_1: u8 = 0x01;
const INITIATOR_2: u8 = 0x08;
const VERSION_2: u8 = 0x10;
const RESPONSE_2: u8 = 0x20;

/// Says whether this datagram is IKE.
pub fn recognise(transport: Transport, bytes: &[u8]) -> Recognition {
    if bytes.first() == Some(&ber::SEQUENCE)
        && let Recognition::Certain(_) = ldap::recognise(transport, bytes)
    {
        // Cookies are random, and sooner or later somebody's choice.
        return Recognition::NotForUs;
    }
    // An initiator's cookie is never zero, so the marker can be nothing else.
    answer(message(bytes.strip_prefix(&[0; 4]).unwrap_or(bytes)))
}

fn message(bytes: &[u8]) -> Read<Recognition> {
    let mut cursor = Cursor(bytes);
    let (initiator, responder) = (cursor.array::<8>()?, cursor.array::<8>()?);
    must(initiator != [0; 8])?;
    let (payload, version, exchange, flags) = (cursor.u8()?, cursor.u8()?, cursor.u8()?, cursor.u8()?);
    let first = responder == [0; 8];
    let speaker = match version {
        0x10 => {
            // Base, identity, authentication, aggressive, information, transaction, quick, new group.
            must(matches!(exchange, 1..=6 | 32 | 33) && matches!(payload, 0..=20 | 128..=255))?;
            must(flags & !0x07 == 0)?;
            let opens = matches!(exchange, 1..=4) && flags & ENCRYPTED_1 == 0 && payload == 1;
            match (first, opens) {
                (true, _) => Speaker::Client,
                (false, true) => Speaker::Server,
                (false, false) => Speaker::Either,
            }
        }
        0x20..=0x2f => {
            must((IKE_SA_INIT..=44).contains(&exchange) && matches!(payload, 0 | 33..=255))?;
            must(flags & !(INITIATOR_2 | VERSION_2 | RESPONSE_2) == 0)?;
            match (exchange, flags & RESPONSE_2 != 0) {
                (IKE_SA_INIT, false) => Speaker::Client,
                (IKE_SA_INIT, true) => Speaker::Server,
                // Either end may ask later on.
                _ => Speaker::Either,
            }
        }
        _ => return Err(Recognition::NotForUs),
    };
    let _message = cursor.be32()?;
    let length = usize::try_from(cursor.be32()?).unwrap_or(usize::MAX);
    must((HEADER_BYTES..=0xffff).contains(&length) && bytes.len() <= length)?;
    Ok(if bytes.len() == length { Recognition::Certain(speaker) } else { Recognition::Likely(speaker) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(version: u8, exchange: u8, flags: u8, payload: u8) -> Vec<u8> {
        [&[7; 8][..], &[0; 8], &[payload, version, exchange, flags], &[0, 0, 0, 0, 0, 0, 0, 32], &[0, 0, 0, 4]].concat()
    }

    fn say(bytes: &[u8]) -> Recognition {
        recognise(Transport::Udp, bytes)
    }

    #[test]
    fn the_length_must_be_the_datagrams() {
        let begin = header(0x20, IKE_SA_INIT, INITIATOR_2, 33);
        assert_eq!(say(&begin), Recognition::Certain(Speaker::Client));
        assert_eq!(say(&[&[0; 4][..], &begin].concat()), Recognition::Certain(Speaker::Client));
        assert_eq!(say(&begin[..30]), Recognition::Likely(Speaker::Client));
        assert_eq!(say(&begin[..20]), Recognition::NeedMore);
        assert_eq!(say(&[&begin[..], &[0]].concat()), Recognition::NotForUs);
        assert_eq!(say(&header(0x20, IKE_SA_INIT, RESPONSE_2, 33)), Recognition::Certain(Speaker::Server));
        assert_eq!(say(&header(0x10, 2, 0, 1)), Recognition::Certain(Speaker::Client));
        assert_eq!(say(&header(0x10, 34, 0, 1)), Recognition::NotForUs);
        assert_eq!(say(&header(0x30, 34, 0, 1)), Recognition::NotForUs);
    }
}
