//! VXLAN (RFC 7348), with the group policy extension that Cisco sends and the generic protocol extension.

use crate::decode::link::Inside;
use crate::decode::link::ethernet::IPV4;
use crate::decode::link::ethernet::IPV6;
use crate::decode::link::ethernet::NSH;
use crate::decode::wire::array;

const HEADER_LEN: usize = 8;
const NETWORK_VALID: u8 = 0x08;
const POLICY_VALID: u8 = NETWORK_VALID | 0x80;
const PROTOCOL_VALID: u8 = 0x04;

/// What is behind a VXLAN header: an Ethernet frame unless the header names something else.
pub(super) fn open(payload: &[u8]) -> Option<(Inside, usize)> {
    let [flags, first, second, third, _, _, _, last] = array(payload, 0)?;
    let inside = match (flags & !PROTOCOL_VALID, [first, second, third]) {
        // Some senders of the generic extension fill in the protocol and leave its flag out.
        (NETWORK_VALID, [0, 0, next]) => match next {
            0 | 3 => Inside::Ethernet,
            1 => Inside::EtherType(IPV4),
            2 => Inside::EtherType(IPV6),
            4 => Inside::EtherType(NSH),
            _ => return None,
        },
        // The policy's own flags and group number lie where the plain header is zero.
        (POLICY_VALID, _) => Inside::Ethernet,
        _ => return None,
    };
    (last == 0).then_some((inside, HEADER_LEN))
}
