//! VXLAN (RFC 7348), with the group policy extension that Cisco sends.

use crate::decode::link::Inside;
use crate::decode::wire::array;

const NETWORK_VALID: u8 = 0x08;
const GROUP_POLICY: u8 = 0x80;

/// The Ethernet frame behind a VXLAN header.
pub(super) fn open(payload: &[u8]) -> Option<(Inside, usize)> {
    let [flags, reserved @ .., last] = array::<8>(payload, 0)?;
    let [first, second, third, ..] = reserved;
    let known = flags & !(NETWORK_VALID | GROUP_POLICY) == 0 && flags & NETWORK_VALID != 0;
    // The policy's own flags and group number lie where the plain header is zero.
    let zero = flags & GROUP_POLICY != 0 || [first, second, third] == [0; 3];
    (known && zero && last == 0).then_some((Inside::Ethernet, 8))
}
