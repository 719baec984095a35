//! RADIUS (RFC 2865, RFC 2866, RFC 5176): a code, a length and attributes that must fill the datagram exactly.
//!
//! It must never know what the attributes say.

use crate::model::app::Speaker;
use crate::model::transport::Transport;
use crate::proto::Recognition;
use crate::proto::cursor::Cursor;
use crate::proto::cursor::Read;
use crate::proto::cursor::answer;
use crate::proto::cursor::must;

/// The length of a packet without attributes, and the longest (RFC 2865 section 3).
const LENGTHS: std::ops::RangeInclusive<usize> = 20..=4096;

/// STUN begins with codes and a length like these; this stands where its messages have it (RFC 8489 section 5), and where
/// RADIUS has bytes that nobody can foresee.
const COOKIE_OF_STUN: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

/// Attributes whose value is an address or a number of four bytes (RFC 2865 section 5, RFC 2866 section 5).
const FOUR_BYTES: &[u8] = &[
    4, 5, 6, 7, 8, 9, 10, 12, 13, 14, 15, 16, 23, 27, 28, 29, 37, 38, 40, 41, 42, 43, 45, 46, 47, 48, 49, 51, 52, 53,
    61,
];

/// Says whether this datagram is RADIUS.
pub fn recognise(_: Transport, bytes: &[u8]) -> Recognition {
    answer(packet(bytes))
}

fn packet(bytes: &[u8]) -> Read<Recognition> {
    let mut cursor = Cursor(bytes);
    let speaker = match cursor.u8()? {
        // Requests for access and accounting, of a server's status, to disconnect and to change an authorisation.
        1 | 4 | 12 | 40 | 43 => Speaker::Client,
        2 | 3 | 5 | 11 | 41 | 42 | 44 | 45 => Speaker::Server,
        _ => return Err(Recognition::NotForUs),
    };
    let _identifier = cursor.u8()?;
    let length = usize::from(cursor.be16()?);
    must(LENGTHS.contains(&length))?;
    // Bytes behind the length are padding (section 3), but a length that is not the datagram's is no proof.
    let padded = bytes.len() > length;
    cursor.0 = cursor.0.get(..length - 4).unwrap_or(cursor.0);
    must(!cursor.take(16)?.starts_with(&COOKIE_OF_STUN))?;
    let mut seen = 0;
    while cursor.left() > 0 {
        let [kind, size] = cursor.array()?;
        must(kind != 0 && size > 2)?;
        must(!FOUR_BYTES.contains(&kind) || size == 6)?;
        cursor.take(usize::from(size) - 2)?;
        seen += 1;
    }
    if bytes.len() < length {
        return Err(Recognition::NeedMore);
    }
    // An answer may have no attributes; its length alone is no proof either.
    Ok(if seen > 0 && !padded { Recognition::Certain(speaker) } else { Recognition::Likely(speaker) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(code: u8, attributes: &[u8]) -> Vec<u8> {
        let length = u16::try_from(20 + attributes.len()).unwrap_or(u16::MAX).to_be_bytes();
        [&[code, 7, length[0], length[1]][..], &[9; 16], attributes].concat()
    }

    fn say(bytes: &[u8]) -> Recognition {
        recognise(Transport::Udp, bytes)
    }

    #[test]
    fn attributes_must_fill_the_packet() {
        let request = with(1, b"\x01\x06user\x04\x06\x0a\x00\x00\x01");
        assert_eq!(say(&request), Recognition::Certain(Speaker::Client));
        assert_eq!(say(&request[..30]), Recognition::NeedMore);
        assert_eq!(say(&[&request[..], &[0]].concat()), Recognition::Likely(Speaker::Client));
        assert_eq!(say(&with(2, b"\x04\x05\x0a\x00\x00")), Recognition::NotForUs);
        assert_eq!(say(&with(5, b"")), Recognition::Likely(Speaker::Server));
        assert_eq!(say(&with(99, b"")), Recognition::NotForUs);
        assert_eq!(say(&with(1, b"\x00\x03a")), Recognition::NotForUs);
    }

    #[test]
    fn stun_is_something_else() {
        let head = [1, 1, 0, 0x14, 0x21, 0x12, 0xa4, 0x42];
        let rest = b"iKtdr0GBNUQc\x00\x20\x00\x08\x00\x01\xa0\x81\x7c\x31\x0d\xd4\x80\x28\x00\x04\x54\xba\xd7\xfa";
        assert_eq!(say(&[&head[..], rest].concat()), Recognition::NotForUs);
    }
}
