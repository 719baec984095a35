//! DHCP and BOOTP for IPv4 (RFC 2131, RFC 951), DHCP for IPv6 (RFC 8415); readers of the name and the address that a
//! client has.
//!
//! It must never know what the other options say.

use std::net::Ipv4Addr;

use crate::model::app::Speaker;
use crate::model::transport::Transport;
use crate::proto::Recognition;
use crate::proto::cursor::Cursor;
use crate::proto::cursor::Read;
use crate::proto::cursor::answer;
use crate::proto::cursor::must;

const BOOT_REQUEST: u8 = 1;
const BOOT_REPLY: u8 = 2;

/// What tells DHCP's options from those of a maker (RFC 2131 section 3).
const COOKIE: [u8; 4] = [99, 130, 83, 99];

/// Where the addresses and the cookie lie.
const CLIENT_ADDRESS_AT: usize = 12;
const YOUR_ADDRESS_AT: usize = 16;
const COOKIE_AT: usize = 236;

const PAD: u8 = 0;
const HOST_NAME: u8 = 12;
const REQUESTED_ADDRESS: u8 = 50;
const MESSAGE_TYPE: u8 = 53;
const END: u8 = 255;

const REQUEST: u8 = 3;
const ACK: u8 = 5;
const INFORM: u8 = 8;

/// Says whether this datagram is DHCP.
pub fn recognise(_: Transport, bytes: &[u8]) -> Recognition {
    // BOOTP's numbers 1 and 2 are messages of version 6 too.
    match (answer(version_4(bytes)), answer(version_6(bytes))) {
        (certain @ Recognition::Certain(_), _) | (_, certain @ Recognition::Certain(_)) => certain,
        (likely @ Recognition::Likely(_), _) | (_, likely @ Recognition::Likely(_)) => likely,
        (Recognition::NotForUs, Recognition::NotForUs) => Recognition::NotForUs,
        (Recognition::NeedMore, _) | (_, Recognition::NeedMore) => Recognition::NeedMore,
    }
}

fn version_4(bytes: &[u8]) -> Read<Recognition> {
    let mut cursor = Cursor(bytes);
    let speaker = match cursor.u8()? {
        BOOT_REQUEST => Speaker::Client,
        BOOT_REPLY => Speaker::Server,
        _ => return Err(Recognition::NotForUs),
    };
    let [hardware, hardware_length, hops] = cursor.array()?;
    must((1..=37).contains(&hardware) && hardware_length <= 16 && hops <= 16)?;
    let _transaction_and_seconds = cursor.take(4 + 2)?;
    // Only the flag for broadcasts is defined.
    must(matches!(cursor.be16()?, 0 | 0x8000))?;
    let _addresses = cursor.take(4 * 4)?;
    let (_, unused) = cursor.take(16)?.split_at_checked(usize::from(hardware_length)).ok_or(Recognition::NotForUs)?;
    // Ethernet's six bytes of sixteen.
    let ethernet = hardware_length == 6;
    must(!ethernet || unused.iter().all(|byte| *byte == 0))?;
    if bytes.get(COOKIE_AT..).is_some_and(|rest| rest.starts_with(&COOKIE)) {
        return Ok(Recognition::Certain(speaker));
    }
    // BOOTP has options of a maker instead, or none.
    if ethernet { Ok(Recognition::Likely(speaker)) } else { Err(Recognition::NeedMore) }
}

fn version_6(bytes: &[u8]) -> Read<Recognition> {
    let mut cursor = Cursor(bytes);
    let kind = cursor.u8()?;
    let speaker = match kind {
        1 | 3..=6 | 8 | 9 | 11 | 12 => Speaker::Client,
        2 | 7 | 10 | 13 => Speaker::Server,
        _ => return Err(Recognition::NotForUs),
    };
    // The transaction; for relays the hops, the link's and the peer's address.
    let relayed = kind >= 12;
    cursor.take(if relayed { 33 } else { 3 })?;
    let mut proven = false;
    if cursor.left() == 0 {
        return Err(Recognition::NeedMore);
    }
    while cursor.left() > 0 {
        let (option, length) = (cursor.be16()?, usize::from(cursor.be16()?));
        must((1..=150).contains(&option))?;
        let there = cursor.0.get(..length.min(cursor.left())).unwrap_or_default();
        proven |= match option {
            // An identity begins with one of four kinds of it (section 11).
            1 | 2 => {
                must((3..=130).contains(&length))?;
                if let [high, low, ..] = there {
                    must(*high == 0 && (1..=4).contains(low))?;
                }
                there.len() == length
            }
            8 => {
                must(length == 2)?;
                false
            }
            // The message that a relay passes on.
            9 if relayed => matches!(there, [1..=13, ..]),
            _ => false,
        };
        cursor.take(length)?;
    }
    Ok(if proven { Recognition::Certain(speaker) } else { Recognition::Likely(speaker) })
}

/// The name by which a client of IPv4 calls itself (option 12). Printable ASCII only.
pub fn host_name(bytes: &[u8]) -> Option<&str> {
    let name = std::str::from_utf8(option(bytes, HOST_NAME)?).ok()?;
    // Some clients count an ending zero.
    let name = name.trim_end_matches('\0');
    (!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic())).then_some(name)
}

/// The address that a client of IPv4 has or is granted by this message: what it requests (option 50) or already uses,
/// or what the server acknowledges. Offers and discoveries are only wishes.
pub fn client_address(bytes: &[u8]) -> Option<Ipv4Addr> {
    let field = |at: usize| bytes.get(at..)?.first_chunk::<4>().copied();
    let used = field(CLIENT_ADDRESS_AT).filter(|address| *address != [0; 4]);
    let address = match (bytes.first()?, option(bytes, MESSAGE_TYPE)?) {
        (&BOOT_REQUEST, &[REQUEST]) => {
            option(bytes, REQUESTED_ADDRESS).and_then(|value| <[u8; 4]>::try_from(value).ok()).or(used)?
        }
        (&BOOT_REQUEST, &[INFORM]) => used?,
        (&BOOT_REPLY, &[ACK]) => field(YOUR_ADDRESS_AT).filter(|address| *address != [0; 4]).or(used)?,
        _ => return None,
    };
    Some(Ipv4Addr::from(address))
}

/// The value of the first option with this number, if the whole of it was captured.
fn option(bytes: &[u8], wanted: u8) -> Option<&[u8]> {
    let mut cursor = Cursor(bytes.get(COOKIE_AT..)?);
    cursor.literal(&COOKIE).ok()?;
    loop {
        match cursor.u8().ok()? {
            PAD => {}
            END => return None,
            number => {
                let length = usize::from(cursor.u8().ok()?);
                let value = cursor.take(length).ok()?;
                if number == wanted {
                    return Some(value);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message with these addresses in `ciaddr` and `yiaddr`, and these options.
    fn message(kind: u8, used: [u8; 4], yours: [u8; 4], options: &[u8]) -> Vec<u8> {
        let mut bytes = vec![kind, 1, 6, 0, 1, 2, 3, 4, 0, 0, 0x80, 0];
        bytes.extend(used);
        bytes.extend(yours);
        bytes.extend([0; 8]);
        bytes.extend([2, 0, 0, 0, 0, 9]);
        bytes.resize(COOKIE_AT, 0);
        bytes.extend(COOKIE);
        bytes.extend(options);
        bytes.push(END);
        bytes
    }

    fn say(bytes: &[u8]) -> Recognition {
        recognise(Transport::Udp, bytes)
    }

    #[test]
    fn the_cookie_is_certain() {
        let mut request = message(BOOT_REQUEST, [0; 4], [0; 4], &[53, 1, 1]);
        assert_eq!(say(&request), Recognition::Certain(Speaker::Client));
        assert_eq!(say(&request[..100]), Recognition::Likely(Speaker::Client));
        assert_eq!(say(&request[..20]), Recognition::NeedMore);
        request[40] = 1;
        assert_eq!(say(&request), Recognition::NotForUs);
    }

    #[test]
    fn a_client_tells_its_name_and_address() {
        let [none, granted] = [[0; 4], [10, 0, 0, 50]];
        let ask = message(BOOT_REQUEST, none, none, b"\x35\x01\x03\x00\x32\x04\x0a\x00\x00\x33\x0c\x03pc1");
        assert_eq!(host_name(&ask), Some("pc1"));
        assert_eq!(client_address(&ask), Some(Ipv4Addr::new(10, 0, 0, 51)));
        let renewal = message(BOOT_REQUEST, granted, none, &[53, 1, 3]);
        assert_eq!(client_address(&renewal), Some(Ipv4Addr::from(granted)));
        let acknowledged = message(BOOT_REPLY, none, granted, &[53, 1, 5]);
        assert_eq!(client_address(&acknowledged), Some(Ipv4Addr::from(granted)));
        let offered = message(BOOT_REPLY, none, granted, &[53, 1, 2]);
        assert_eq!(client_address(&offered), None);
        let wished = message(BOOT_REQUEST, none, none, b"\x35\x01\x01\x32\x04\x0a\x00\x00\x33");
        assert_eq!(client_address(&wished), None);
        assert_eq!(host_name(&message(BOOT_REQUEST, none, none, b"\x0c\x03p\x1b1")), None);
        assert_eq!(host_name(&ask[..ask.len() - 3]), None);
    }

    #[test]
    fn version_6_needs_an_identity() {
        let solicit =
            b"\x01\xaa\xbb\xcc\x00\x08\x00\x02\x00\x00\x00\x01\x00\x0a\x00\x03\x00\x01\x02\x00\x00\x00\x00\x09";
        assert_eq!(say(solicit), Recognition::Certain(Speaker::Client));
        assert_eq!(say(&solicit[..12]), Recognition::NeedMore);
        assert_eq!(say(&solicit[..10]), Recognition::Likely(Speaker::Client));
        assert_eq!(say(b"\x01\xaa\xbb\xcc\x00\x08\x00\x03\x00\x00\x00"), Recognition::NotForUs);
    }
}
