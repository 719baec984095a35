//! TLS and SSL: the records that can begin a direction (RFC 8446 section 5.1), and the hello of SSL 2 that old clients
//! send (RFC 5246 appendix E.2); the server name of a `ClientHello` (RFC 6066 section 3).
//!
//! It must never know what TLS protects.

use crate::model::app::Speaker;
use crate::model::transport::Transport;
use crate::proto::Recognition;
use crate::proto::cursor::Cursor;
use crate::proto::cursor::Read;
use crate::proto::cursor::answer;
use crate::proto::cursor::must;

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;

const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;

/// The longest protected record, with the room that TLS 1.2 grants a cipher.
const RECORD_MAX: u16 = (1 << 14) + 2048;

/// The longest hello that is believed. Real ones with post-quantum keys stay below 4 KiB.
const HELLO_MAX: u32 = 1 << 16;

/// Version, random, empty session id; one cipher suite and one compression of a client, or the chosen ones of a server.
const HELLO_MIN: u32 = 38;

/// Says whether these bytes begin a direction of TLS.
pub fn recognise(_: Transport, bytes: &[u8]) -> Recognition {
    answer(if bytes.first().is_some_and(|first| first & 0x80 != 0) { ssl2_hello(bytes) } else { record(bytes) })
}

fn record(bytes: &[u8]) -> Read<Recognition> {
    let mut cursor = Cursor(bytes);
    let (kind, length) = record_header(&mut cursor)?;
    let body = cursor;
    let either = Speaker::Either;
    match kind {
        HANDSHAKE => Ok(handshake(bytes, body, length)),
        CHANGE_CIPHER_SPEC => {
            must(length == 1)?;
            cursor.literal(&[1])?;
            Ok(Recognition::Certain(either))
        }
        ALERT if length == 2 => {
            // Warning or fatal; RFC 8446 section 6 and its forerunners have numbers up to 120.
            must(matches!(cursor.u8()?, 1 | 2))?;
            must(cursor.u8()? <= 120)?;
            Ok(Recognition::Certain(either))
        }
        _ => Ok(next_record(body, length)),
    }
}

/// Type and length of a record.
fn record_header(cursor: &mut Cursor) -> Read<(u8, u16)> {
    let kind = cursor.u8()?;
    must(matches!(kind, CHANGE_CIPHER_SPEC..=APPLICATION_DATA))?;
    cursor.literal(&[3])?;
    must(cursor.u8()? <= 4)?;
    let length = cursor.be16()?;
    must(length <= RECORD_MAX && (length > 0 || kind == APPLICATION_DATA))?;
    Ok((kind, length))
}

fn handshake(bytes: &[u8], body: Cursor, record_length: u16) -> Recognition {
    let mut hello = Hello::new(bytes);
    let speaker = match hello.u8() {
        None => return Recognition::NeedMore,
        Some(CLIENT_HELLO) => Speaker::Client,
        Some(SERVER_HELLO) => Speaker::Server,
        // Seen where the capture began within the handshake; an encrypted message can begin with anything.
        Some(_) => return next_record(body, record_length),
    };
    match hello.length_and_version() {
        None => Recognition::Likely(speaker),
        Some((length, [3, 0..=4])) if (HELLO_MIN..=HELLO_MAX).contains(&length) => Recognition::Certain(speaker),
        // A protected message that began like a hello by chance.
        Some(_) => next_record(body, record_length),
    }
}

/// A record that says nothing by itself is believed if another begins where it ends.
fn next_record(mut body: Cursor, length: u16) -> Recognition {
    if body.take(usize::from(length)).is_err() {
        return Recognition::Likely(Speaker::Either);
    }
    match record_header(&mut body) {
        Ok(_) => Recognition::Certain(Speaker::Either),
        Err(Recognition::NotForUs) => Recognition::NotForUs,
        Err(_) => Recognition::Likely(Speaker::Either),
    }
}

/// The two-byte header of SSL 2 and a client's or server's hello, whose lengths must add up.
fn ssl2_hello(bytes: &[u8]) -> Read<Recognition> {
    let mut cursor = Cursor(bytes);
    let length = u32::from(cursor.be16()? & 0x7fff);
    match cursor.u8()? {
        CLIENT_HELLO => {
            let [major, minor] = cursor.array()?;
            must(matches!((major, minor), (0, 2) | (3, 0..=4)))?;
            let (ciphers, session, challenge) = (cursor.be16()?, cursor.be16()?, cursor.be16()?);
            must(ciphers > 0 && ciphers % 3 == 0 && session <= 32 && (16..=32).contains(&challenge))?;
            must(length == 9 + u32::from(ciphers) + u32::from(session) + u32::from(challenge))?;
            Ok(Recognition::Certain(Speaker::Client))
        }
        4 => {
            let [session_hit, certificate] = cursor.array()?;
            must(session_hit <= 1 && certificate <= 1)?;
            cursor.literal(&[0, 2])?;
            let (certificate, ciphers, connection) = (cursor.be16()?, cursor.be16()?, cursor.be16()?);
            must(ciphers % 3 == 0 && (16..=32).contains(&connection))?;
            must(length == 11 + u32::from(certificate) + u32::from(ciphers) + u32::from(connection))?;
            Ok(Recognition::Certain(Speaker::Server))
        }
        _ => Err(Recognition::NotForUs),
    }
}

/// The name of the server that a client asks for, from the first bytes that it sent. Printable ASCII only.
///
/// Reads as far as the bytes go: a `ClientHello` may be cut, and may lie in several records. A name that is itself
/// divided between two records is not found.
pub fn server_name(bytes: &[u8]) -> Option<&str> {
    let mut hello = Hello::new(bytes);
    if hello.u8()? != CLIENT_HELLO {
        return None;
    }
    hello.length_and_version()?;
    // The random.
    hello.skip(32)?;
    let session = usize::from(hello.u8()?);
    hello.skip(session)?;
    let ciphers = usize::from(hello.u16()?);
    hello.skip(ciphers)?;
    let compressions = usize::from(hello.u8()?);
    hello.skip(compressions)?;
    let mut extensions = usize::from(hello.u16()?);
    while extensions >= 4 {
        let (kind, length) = (hello.u16()?, usize::from(hello.u16()?));
        extensions = extensions.checked_sub(4 + length)?;
        if kind != 0 {
            hello.skip(length)?;
            continue;
        }
        // A list, of which only the type "host name" was ever defined.
        let (_, name_type, name_length) = (hello.u16()?, hello.u8()?, usize::from(hello.u16()?));
        if name_type != 0 || name_length == 0 || name_length + 5 > length {
            return None;
        }
        let name = std::str::from_utf8(hello.whole(name_length)?).ok()?;
        return name.bytes().all(|byte| byte.is_ascii_graphic()).then_some(name);
    }
    None
}

/// A handshake message that may continue from record to record.
struct Hello<'a> {
    /// What follows the current record.
    records: Cursor<'a>,
    /// What is left of the current record.
    piece: Cursor<'a>,
}

impl<'a> Hello<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { records: Cursor(bytes), piece: Cursor(&[]) }
    }

    /// Makes sure that something of a record is left. `None` where the bytes end, or other records follow.
    fn fill(&mut self) -> Option<()> {
        while self.piece.left() == 0 {
            let (kind, length) = record_header(&mut self.records).ok()?;
            let there = self.records.left().min(usize::from(length));
            self.piece = Cursor(self.records.take(there).ok()?);
            if kind != HANDSHAKE || there == 0 {
                return None;
            }
        }
        Some(())
    }

    fn u8(&mut self) -> Option<u8> {
        self.fill()?;
        self.piece.u8().ok()
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes([self.u8()?, self.u8()?]))
    }

    fn length_and_version(&mut self) -> Option<(u32, [u8; 2])> {
        let length = u32::from_be_bytes([0, self.u8()?, self.u8()?, self.u8()?]);
        Some((length, [self.u8()?, self.u8()?]))
    }

    fn skip(&mut self, mut count: usize) -> Option<()> {
        while count > 0 {
            self.fill()?;
            let step = count.min(self.piece.left());
            self.piece.take(step).ok()?;
            count -= step;
        }
        Some(())
    }

    /// The next `count` bytes, if they lie in one record.
    fn whole(&mut self, count: usize) -> Option<&'a [u8]> {
        self.fill()?;
        self.piece.take(count).ok()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop here")]

    use super::*;

    /// A `ClientHello` message with this server name behind an extension of another kind, without records.
    fn hello(name: &str) -> Vec<u8> {
        let length = u16::try_from(name.len()).unwrap();
        let mut sni = vec![0, 0];
        sni.extend((length + 5).to_be_bytes());
        sni.extend((length + 3).to_be_bytes());
        sni.push(0);
        sni.extend(length.to_be_bytes());
        sni.extend(name.bytes());
        let mut body = vec![3, 3];
        body.extend([7; 32]);
        body.push(0);
        body.extend([0, 2, 0x13, 0x01, 1, 0]);
        let extensions = [&[0, 23, 0, 0][..], &sni].concat();
        body.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
        body.extend(extensions);
        let mut message = vec![CLIENT_HELLO, 0];
        message.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
        message.extend(body);
        message
    }

    fn records(message: &[u8], each: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        for piece in message.chunks(each) {
            bytes.extend([HANDSHAKE, 3, 1]);
            bytes.extend(u16::try_from(piece.len()).unwrap().to_be_bytes());
            bytes.extend(piece);
        }
        bytes
    }

    fn say(bytes: &[u8]) -> Recognition {
        recognise(Transport::Tcp, bytes)
    }

    #[test]
    fn a_name_is_found_across_records_and_cuts() {
        let message = hello("dc1.corp.example");
        let whole = records(&message, 9000);
        assert_eq!(server_name(&whole), Some("dc1.corp.example"));
        // The name lies whole in one record.
        assert_eq!(server_name(&records(&message, 40)), Some("dc1.corp.example"));
        // The name is divided.
        assert_eq!(server_name(&records(&message, 7)), None);
        for cut in 0..whole.len() {
            assert_eq!(server_name(&whole[..cut]), None, "{cut}");
        }
        let longer = [&whole[..], &[0; 9]].concat();
        assert_eq!(server_name(&longer), Some("dc1.corp.example"));
    }

    #[test]
    fn a_name_that_could_harm_a_terminal_is_none() {
        assert_eq!(server_name(&records(&hello("a\u{1b}[0m"), 9000)), None);
        assert_eq!(server_name(&records(&hello(""), 9000)), None);
    }

    #[test]
    fn hellos_tell_who_speaks() {
        let client = records(&hello("a.example"), 9000);
        assert_eq!(say(&client), Recognition::Certain(Speaker::Client));
        assert_eq!(say(&records(&hello("a.example"), 3)), Recognition::Certain(Speaker::Client));
        assert_eq!(say(&client[..6]), Recognition::Likely(Speaker::Client));
        assert_eq!(say(&client[..5]), Recognition::NeedMore);
        let mut server = client;
        server[5] = SERVER_HELLO;
        assert_eq!(say(&server), Recognition::Certain(Speaker::Server));
    }

    #[test]
    fn a_record_alone_is_likely_and_two_are_certain() {
        let one = [APPLICATION_DATA, 3, 3, 0, 2, 9, 9];
        assert_eq!(say(&one), Recognition::Likely(Speaker::Either));
        assert_eq!(say(&[one, one].concat()), Recognition::Certain(Speaker::Either));
        assert_eq!(say(&[&one[..], b"text"].concat()), Recognition::NotForUs);
        assert_eq!(say(&[ALERT, 3, 3, 0, 2, 2, 40]), Recognition::Certain(Speaker::Either));
        assert_eq!(say(&[ALERT, 3, 3, 0, 2, 3, 40]), Recognition::NotForUs);
    }

    #[test]
    fn the_old_hello_must_add_up() {
        let mut old = vec![0x80, 9 + 3 + 16, CLIENT_HELLO, 3, 1, 0, 3, 0, 0, 0, 16];
        old.extend([5; 19]);
        assert_eq!(say(&old), Recognition::Certain(Speaker::Client));
        old[1] += 1;
        assert_eq!(say(&old), Recognition::NotForUs);
    }
}
