//! .NET message framing (MC-NMF): the preamble of a client, with the address that it wants to reach, and what a server
//! answers. AD Web Services and other services of Windows speak it.
//!
//! It must never know of the messages, which are protected.

use crate::model::app::Speaker;
use crate::model::transport::Transport;
use crate::proto::Recognition;
use crate::proto::cursor::Cursor;
use crate::proto::cursor::Read;
use crate::proto::cursor::answer;
use crate::proto::cursor::must;

const VERSION: u8 = 0;
const FAULT: u8 = 8;
const UPGRADE_RESPONSE: u8 = 10;
const PREAMBLE_ACK: u8 = 11;

/// No address or fault in use is longer.
const TEXT_MAX: usize = 1024;

/// What every fault begins with (MC-NMF section 2.2.3.5 and its table of faults).
const FAULTS: &[u8] = b"http://schemas.microsoft.com/ws/2006/05/framing/faults/";

/// Says whether these bytes begin a direction of message framing.
pub fn recognise(_: Transport, bytes: &[u8]) -> Recognition {
    answer(match bytes.first() {
        None => Err(Recognition::NeedMore),
        Some(&VERSION) => preamble(bytes),
        Some(_) => reply(bytes),
    })
}

/// Version, mode and address, in this order (section 2.2.3.1 to 2.2.3.3).
fn preamble(bytes: &[u8]) -> Read<Recognition> {
    let mut cursor = Cursor(bytes);
    let length = before_address(&mut cursor)?;
    let address = cursor.0.get(..length.min(cursor.left())).unwrap_or_default();
    // The scheme is in most cases "net.tcp"; SOAP over anything else has one too.
    let scheme = address.split(|byte| *byte == b':').next().unwrap_or_default();
    must(scheme.iter().all(|byte| byte.is_ascii_alphanumeric() || b".+-".contains(byte)))?;
    if scheme.len() == address.len() {
        return Ok(Recognition::Likely(Speaker::Client));
    }
    Cursor(address.get(scheme.len()..).unwrap_or_default())
        .literal(b"://")
        .map(|()| Recognition::Certain(Speaker::Client))
}

/// Reads up to the address, and says how long that is, in bytes.
fn before_address(cursor: &mut Cursor) -> Read<usize> {
    cursor.literal(&[VERSION, 1, 0, 1])?;
    must((1..=4).contains(&cursor.u8()?))?;
    cursor.literal(&[2])?;
    let length = size(cursor)?;
    must((4..=TEXT_MAX).contains(&length))?;
    Ok(length)
}

fn reply(bytes: &[u8]) -> Read<Recognition> {
    let mut cursor = Cursor(bytes);
    let likely = Ok(Recognition::Likely(Speaker::Server));
    match cursor.u8()? {
        FAULT => {
            must((FAULTS.len()..=TEXT_MAX).contains(&size(&mut cursor)?))?;
            cursor.literal(FAULTS)?;
            Ok(Recognition::Certain(Speaker::Server))
        }
        // A byte alone; then nothing, or the first message or the end of the session.
        PREAMBLE_ACK => {
            must(matches!(cursor.0.first(), None | Some(5..=8)))?;
            likely
        }
        // A byte alone; then TLS, or the handshake of MS-NNS with SPNEGO or NTLM in it.
        UPGRADE_RESPONSE => match cursor.0 {
            [] | [0x14..=0x16] | [0x14..=0x16, 1] | [0x16, 3, ..] => likely,
            [0x14..=0x16, 1, 0, ..] => {
                cursor.take(3)?;
                let length = cursor.be16()?;
                must(length > 0)?;
                match cursor.0 {
                    [] => likely,
                    [0xa1 | 0x60, ..] => Ok(Recognition::Certain(Speaker::Server)),
                    [b'N', ..] => cursor.literal(b"NTLMSSP\0").map(|()| Recognition::Certain(Speaker::Server)),
                    _ => Err(Recognition::NotForUs),
                }
            }
            _ => Err(Recognition::NotForUs),
        },
        _ => Err(Recognition::NotForUs),
    }
}

/// A length: seven bits a byte, the lowest first, at most five bytes (section 2.2.2).
fn size(cursor: &mut Cursor) -> Read<usize> {
    let mut value = 0;
    for place in 0..5 {
        let byte = cursor.u8()?;
        value |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Recognition::NotForUs)
}

/// The address that a client wants to reach, like `net.tcp://dc1:9389/ActiveDirectoryWebServices/Windows/Resource`.
/// `None` where the bytes end before it does, or where it holds more than printable ASCII.
pub fn via(bytes: &[u8]) -> Option<&str> {
    let mut cursor = Cursor(bytes);
    let length = before_address(&mut cursor).ok()?;
    let address = std::str::from_utf8(cursor.take(length).ok()?).ok()?;
    address.bytes().all(|byte| byte.is_ascii_graphic()).then_some(address)
}

/// Whether a client wants to reach AD Web Services (MS-ADDM section 2.1).
pub fn is_ad_web_services(bytes: &[u8]) -> bool {
    let path = via(bytes).and_then(|via| via.split_once("://")?.1.split_once('/')).map(|(_, path)| path);
    path.and_then(|path| path.split('/').next()).is_some_and(|first| first == "ActiveDirectoryWebServices")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preamble_to(address: &str) -> Vec<u8> {
        let mut bytes = vec![0, 1, 0, 1, 2, 2, u8::try_from(address.len()).unwrap_or(0)];
        bytes.extend(address.bytes());
        bytes.extend([3, 8, 12]);
        bytes
    }

    fn say(bytes: &[u8]) -> Recognition {
        recognise(Transport::Tcp, bytes)
    }

    #[test]
    fn a_preamble_tells_where_to() {
        let adws = preamble_to("net.tcp://dc1:9389/ActiveDirectoryWebServices/Windows/Resource");
        assert_eq!(say(&adws), Recognition::Certain(Speaker::Client));
        assert_eq!(say(&adws[..12]), Recognition::Likely(Speaker::Client));
        assert_eq!(say(&adws[..6]), Recognition::NeedMore);
        assert_eq!(via(&adws), Some("net.tcp://dc1:9389/ActiveDirectoryWebServices/Windows/Resource"));
        assert!(is_ad_web_services(&adws));
        assert!(!is_ad_web_services(&adws[..30]));
        assert!(!is_ad_web_services(&preamble_to("net.tcp://dc1:9389/Other")));
        assert_eq!(say(&preamble_to("soap.tcp")), Recognition::Likely(Speaker::Client));
        assert_eq!(say(&preamble_to("no address")), Recognition::NotForUs);
    }

    #[test]
    fn replies_of_one_byte_are_only_likely() {
        assert_eq!(say(&[PREAMBLE_ACK]), Recognition::Likely(Speaker::Server));
        assert_eq!(say(&[PREAMBLE_ACK, 0]), Recognition::NotForUs);
        assert_eq!(say(&[UPGRADE_RESPONSE]), Recognition::Likely(Speaker::Server));
        assert_eq!(say(&[UPGRADE_RESPONSE, 0x16, 1, 0, 0, 90, 0xa1, 88]), Recognition::Certain(Speaker::Server));
        assert_eq!(say(&[UPGRADE_RESPONSE, 0x16, 1]), Recognition::Likely(Speaker::Server));
        let fault = [&[FAULT, 70][..], FAULTS, b"EndpointNotFound"].concat();
        assert_eq!(say(&fault), Recognition::Certain(Speaker::Server));
    }

    #[test]
    fn lengths_end() {
        assert_eq!(size(&mut Cursor(&[0xac, 0x02])), Ok(300));
        assert_eq!(size(&mut Cursor(&[0xff; 6])), Err(Recognition::NotForUs));
        assert_eq!(size(&mut Cursor(&[0xff; 4])), Err(Recognition::NeedMore));
    }
}
