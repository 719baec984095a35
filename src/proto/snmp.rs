//! SNMP versions 1, 2c and 3 (RFC 1157, RFC 3416, RFC 3412), one message a datagram.
//!
//! Like LDAP it is a BER sequence that begins with a small number; here an octet string or a sequence follows. It must
//! never know of objects, communities or users.

use crate::model::app::Speaker;
use crate::model::transport::Transport;
use crate::proto::Recognition;
use crate::proto::cursor::Cursor;
use crate::proto::cursor::Read;
use crate::proto::cursor::answer;
use crate::proto::cursor::must;

const INTEGER: u8 = 0x02;
const OCTETS: u8 = 0x04;
const SEQUENCE: u8 = 0x30;

/// No community or engine in use is longer.
const COMMUNITY_MAX: usize = 255;

/// Says whether this datagram is SNMP.
pub fn recognise(_: Transport, bytes: &[u8]) -> Recognition {
    answer(message(bytes))
}

fn message(bytes: &[u8]) -> Read<Recognition> {
    let mut cursor = Cursor(bytes);
    let length = open(&mut cursor, SEQUENCE)?;
    must(cursor.left() <= length)?;
    cursor.literal(&[INTEGER, 1])?;
    match cursor.u8()? {
        0 | 1 => {
            let community = open(&mut cursor, OCTETS)?;
            must(community <= COMMUNITY_MAX)?;
            cursor.take(community)?;
            Ok(Recognition::Certain(pdu(&mut cursor)?))
        }
        3 => version_3(cursor),
        _ => Err(Recognition::NotForUs),
    }
}

/// The kind of a PDU and its request identifier; a trap of version 1 begins with an object identifier instead.
fn pdu(cursor: &mut Cursor) -> Read<Speaker> {
    let kind = cursor.u8()?;
    must((0xa0..=0xa8).contains(&kind))?;
    let length = length(cursor)?;
    must(cursor.left() <= length)?;
    must(cursor.u8()? == if kind == 0xa4 { 0x06 } else { INTEGER })?;
    Ok(match kind {
        0xa2 | 0xa8 => Speaker::Server,
        _ => Speaker::Client,
    })
}

/// Message identifier, largest size, flags, security model (RFC 3412 section 6).
fn version_3(mut cursor: Cursor) -> Read<Recognition> {
    let header = open(&mut cursor, SEQUENCE)?;
    must(header <= 32)?;
    for _ in 0..2 {
        let size = open(&mut cursor, INTEGER)?;
        must((1..=5).contains(&size))?;
        cursor.take(size)?;
    }
    cursor.literal(&[OCTETS, 1])?;
    let flags = cursor.u8()?;
    must(flags & !0x07 == 0)?;
    let model = open(&mut cursor, INTEGER)?;
    must((1..=4).contains(&model))?;
    cursor.take(model)?;
    let security = open(&mut cursor, OCTETS)?;
    // From here on the message is certain; the rest only tells who speaks.
    let privacy = flags & 0x02 != 0;
    let plain = (!privacy).then(|| plain_pdu(cursor, security).ok()).flatten();
    // A request asks to be answered.
    let asks = if flags & 0x04 != 0 { Speaker::Client } else { Speaker::Either };
    Ok(Recognition::Certain(plain.unwrap_or(asks)))
}

/// The speaker by the PDU of a message that is not encrypted.
fn plain_pdu(mut cursor: Cursor, security: usize) -> Read<Speaker> {
    cursor.take(security)?;
    open(&mut cursor, SEQUENCE)?;
    for _ in 0..2 {
        let text = open(&mut cursor, OCTETS)?;
        cursor.take(text)?;
    }
    pdu(&mut cursor)
}

/// The tag must be this one; its length.
fn open(cursor: &mut Cursor, tag: u8) -> Read<usize> {
    cursor.literal(&[tag])?;
    length(cursor)
}

/// A definite length of at most four bytes.
fn length(cursor: &mut Cursor) -> Read<usize> {
    let first = cursor.u8()?;
    if first < 0x80 {
        return Ok(usize::from(first));
    }
    must((0x81..=0x84).contains(&first))?;
    let bytes = cursor.take(usize::from(first & 0x7f))?;
    Ok(bytes.iter().fold(0, |value, byte| value << 8 | usize::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: &[u8] = b"\x30\x26\x02\x01\x01\x04\x06public\xa0\x19\x02\x01\x07\x02\x01\x00\x02\x01\x00\x30\x0e\x30\x0c\x06\x08\x2b\x06\x01\x02\x01\x01\x01\x00\x05\x00";

    fn say(bytes: &[u8]) -> Recognition {
        recognise(Transport::Udp, bytes)
    }

    #[test]
    fn a_community_and_a_pdu_are_certain() {
        assert_eq!(say(GET), Recognition::Certain(Speaker::Client));
        let mut reply = GET.to_vec();
        reply[13] = 0xa2;
        assert_eq!(say(&reply), Recognition::Certain(Speaker::Server));
        reply[13] = 0xa9;
        assert_eq!(say(&reply), Recognition::NotForUs);
        assert_eq!(say(&GET[..14]), Recognition::NeedMore);
        assert_eq!(say(&[GET, &[0]].concat()), Recognition::NotForUs);
    }

    #[test]
    fn ldap_begins_alike_and_goes_on_otherwise() {
        assert_eq!(say(b"\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00"), Recognition::NotForUs);
    }

    #[test]
    fn version_3_tells_by_its_flags_or_its_pdu() {
        let mut header =
            b"\x30\x3e\x02\x01\x03\x30\x0d\x02\x01\x09\x02\x03\x00\xff\xe3\x04\x01\x04\x02\x01\x03\x04\x10".to_vec();
        assert_eq!(say(&header), Recognition::Certain(Speaker::Client));
        header[17] = 0x03;
        assert_eq!(say(&header), Recognition::Certain(Speaker::Either));
        header[17] = 0x08;
        assert_eq!(say(&header), Recognition::NotForUs);
    }
}
