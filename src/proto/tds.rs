//! Tabular Data Stream of SQL Server (MS-TDS) and, over UDP, the resolution protocol that finds its instances (MC-SQLR).
//!
//! It must never know of queries: after the first packets TLS hides most of them.

use crate::model::app::Speaker;
use crate::model::transport::Transport;
use crate::proto::Recognition;
use crate::proto::cursor::Cursor;
use crate::proto::cursor::Read;
use crate::proto::cursor::answer;
use crate::proto::cursor::must;
use crate::proto::text::is_text;

const SQL_BATCH: u8 = 0x01;
const RPC: u8 = 0x03;
const RESPONSE: u8 = 0x04;
const LOGIN7: u8 = 0x10;
const PRELOGIN: u8 = 0x12;

/// The header of every packet.
const HEADER_BYTES: usize = 8;

/// The versions that a login can name, TDS 7.0 to 7.4.
const VERSIONS: &[u32] = &[0x7000_0000, 0x7100_0000, 0x7100_0001, 0x7209_0002, 0x730a_0003, 0x730b_0003, 0x7400_0004];

/// Says whether these bytes begin a direction of TDS, or are a datagram of the resolution protocol.
pub fn recognise(transport: Transport, bytes: &[u8]) -> Recognition {
    answer(if transport == Transport::Udp { resolution(bytes) } else { packet(bytes) })
}

fn packet(bytes: &[u8]) -> Read<Recognition> {
    let mut cursor = Cursor(bytes);
    let kind = cursor.u8()?;
    must(matches!(kind, SQL_BATCH | RPC | RESPONSE | LOGIN7 | PRELOGIN))?;
    // More to come, or the end of the message.
    let last = match cursor.u8()? {
        0 => false,
        1 => true,
        _ => return Err(Recognition::NotForUs),
    };
    let length = usize::from(cursor.be16()?);
    must(length > HEADER_BYTES)?;
    let _process = cursor.be16()?;
    must(cursor.u8()? <= 1)?;
    cursor.literal(&[0])?;
    match kind {
        PRELOGIN => {
            must(last)?;
            prelogin_options(&mut cursor, length - HEADER_BYTES)?;
            Ok(Recognition::Certain(Speaker::Client))
        }
        RESPONSE => response(cursor, length - HEADER_BYTES),
        LOGIN7 => {
            let login = usize::try_from(cursor.le32()?).unwrap_or(usize::MAX);
            must(if last { login == length - HEADER_BYTES } else { login >= length - HEADER_BYTES })?;
            must(VERSIONS.contains(&cursor.le32()?))?;
            Ok(Recognition::Certain(Speaker::Client))
        }
        _ => {
            // All headers, of which the one for transactions is always there (section 2.2.5.3); seen where the capture
            // began within a session.
            must((22..=0x1000).contains(&cursor.le32()?))?;
            cursor.literal(&[18, 0, 0, 0, 2, 0])?;
            Ok(Recognition::Likely(Speaker::Client))
        }
    }
}

/// The options of a prelogin, of which the first must be the version, six bytes long and behind all of them.
fn prelogin_options(cursor: &mut Cursor, length: usize) -> Read<()> {
    cursor.literal(&[0])?;
    let data = usize::from(cursor.be16()?);
    // Five bytes each, and one that ends them.
    must(data % 5 == 1 && data >= 6 && data + 6 <= length)?;
    cursor.literal(&[0, 6])
}

fn response(mut cursor: Cursor, length: usize) -> Read<Recognition> {
    match cursor.0.first() {
        None => Err(Recognition::NeedMore),
        Some(0) => {
            prelogin_options(&mut cursor, length)?;
            Ok(Recognition::Certain(Speaker::Server))
        }
        // Change of environment, error, message, acknowledged login, SSPI, done: seen within a session.
        Some(0xe3 | 0xaa | 0xab | 0xad | 0xed | 0xfd | 0x81) => Ok(Recognition::Likely(Speaker::Server)),
        Some(_) => Err(Recognition::NotForUs),
    }
}

/// The requests of MC-SQLR section 2.2 are a byte alone, or a byte and an instance's name; the answer lists servers.
fn resolution(bytes: &[u8]) -> Read<Recognition> {
    let mut cursor = Cursor(bytes);
    match cursor.u8()? {
        2 | 3 => {
            must(cursor.left() == 0)?;
            Ok(Recognition::Likely(Speaker::Client))
        }
        4 => instance(cursor),
        5 => {
            let length = usize::from(cursor.le16()?);
            must(cursor.left() <= length)?;
            // A dedicated administrator's port: version 1 and two bytes.
            if length == 6 {
                cursor.literal(&[1])?;
                must(cursor.left() <= 2)?;
                return Ok(Recognition::Likely(Speaker::Server));
            }
            cursor.literal(b"ServerName;")?;
            Ok(Recognition::Certain(Speaker::Server))
        }
        15 => {
            cursor.literal(&[1])?;
            instance(cursor)
        }
        _ => Err(Recognition::NotForUs),
    }
}

/// The name of an instance, at most 32 letters, and a zero.
fn instance(cursor: Cursor) -> Read<Recognition> {
    let name = cursor.0.split(|byte| *byte == 0).next().unwrap_or_default();
    must(name.len() <= 32 && is_text(name))?;
    must(cursor.left() <= name.len() + 1)?;
    if name.len() == cursor.left() {
        return Err(Recognition::NeedMore);
    }
    must(!name.is_empty())?;
    Ok(Recognition::Likely(Speaker::Client))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASKED: &[u8] = &[0x12, 1, 0, 26, 0, 0, 0, 0, 0, 0, 11, 0, 6, 1, 0, 17, 0, 1, 0xff, 16, 0, 0, 0, 0, 0, 2];

    fn say(bytes: &[u8]) -> Recognition {
        recognise(Transport::Tcp, bytes)
    }

    #[test]
    fn the_version_comes_first_in_a_prelogin() {
        assert_eq!(say(ASKED), Recognition::Certain(Speaker::Client));
        let mut answer = ASKED.to_vec();
        answer[0] = RESPONSE;
        assert_eq!(say(&answer), Recognition::Certain(Speaker::Server));
        answer[10] = 12;
        assert_eq!(say(&answer), Recognition::NotForUs);
        assert_eq!(say(&ASKED[..12]), Recognition::NeedMore);
    }

    #[test]
    fn a_login_names_its_length_twice() {
        let mut login = vec![0x10, 1, 0, 0x68, 0, 0, 1, 0, 0x60, 0, 0, 0, 4, 0, 0, 0x74];
        assert_eq!(say(&login), Recognition::Certain(Speaker::Client));
        login[8] = 0x61;
        assert_eq!(say(&login), Recognition::NotForUs);
    }

    #[test]
    fn the_browser_answers_with_names() {
        let udp = |bytes: &[u8]| recognise(Transport::Udp, bytes);
        assert_eq!(udp(&[3]), Recognition::Likely(Speaker::Client));
        assert_eq!(udp(&[3, 0]), Recognition::NotForUs);
        assert_eq!(udp(b"\x04SQLEXPRESS\0"), Recognition::Likely(Speaker::Client));
        assert_eq!(udp(b"\x04SQLEXPRESS"), Recognition::NeedMore);
        assert_eq!(udp(b"\x05\x16\x00ServerName;DB1;;"), Recognition::Certain(Speaker::Server));
        assert_eq!(udp(b"\x05\x01\x00ServerName;DB1;;"), Recognition::NotForUs);
    }
}
