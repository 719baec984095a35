//! GRE version 0 (RFC 2784, RFC 2890) and the ERSPAN types that ride on it.

use crate::decode::counts::TunnelKind;
use crate::decode::link::Inside;
use crate::decode::tunnel::Opening;
use crate::decode::tunnel::carried;
use crate::decode::wire::be16;
use crate::decode::wire::be32;

const CHECKSUM: u16 = 0x8000;
const ROUTING: u16 = 0x4000;
const KEY: u16 = 0x2000;
const SEQUENCE: u16 = 0x1000;
const VERSION: u16 = 0x0007;
/// `MikroTik`'s Ethernet over IP: flags and version, then a key field of length and tunnel number.
const EOIP: (u16, u16) = (KEY | 1, 0x6400);
const ERSPAN: u16 = 0x88be;
const ERSPAN_3: u16 = 0x22eb;

/// The inside of a GRE packet; `None` for PPTP (version 1), source routes and what is neither IP nor Ethernet.
pub(in crate::decode) fn open(bytes: &[u8]) -> Option<Opening> {
    let (flags, protocol) = (be16(bytes, 0)?, be16(bytes, 2)?);
    if (flags, protocol) == EOIP {
        return Some(Opening { kind: TunnelKind::Gre, inside: Inside::Ethernet, at: 8 });
    }
    if flags & (VERSION | ROUTING) != 0 {
        return None;
    }
    let optional = [CHECKSUM, KEY, SEQUENCE].iter().filter(|flag| flags & **flag != 0).count();
    let at = 4 + 4 * optional;
    let (kind, inside, at) = match protocol {
        // Type I has no header of its own and no sequence number; type II always numbers.
        ERSPAN if flags & SEQUENCE == 0 => (TunnelKind::Erspan, Inside::Ethernet, at),
        ERSPAN => (TunnelKind::Erspan, Inside::Ethernet, at + 8),
        ERSPAN_3 => {
            let (inside, len) = erspan_3(bytes.get(at..)?)?;
            (TunnelKind::Erspan, inside, at + len)
        }
        _ => (TunnelKind::Gre, carried(protocol)?, at),
    };
    Some(Opening { kind, inside, at })
}

/// Type III: twelve bytes, eight more where the last bit says so; the frame type tells Ethernet from IP.
fn erspan_3(header: &[u8]) -> Option<(Inside, usize)> {
    const OPTIONAL: u32 = 1;
    let last = be32(header, 8)?;
    let len = if last & OPTIONAL == 0 { 12 } else { 20 };
    match last >> 10 & 0x1f {
        0 => Some((Inside::Ethernet, len)),
        2 => Some((Inside::Ip, len)),
        _ => None,
    }
}
