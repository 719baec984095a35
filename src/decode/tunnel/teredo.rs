//! Teredo (RFC 4380 section 5.1).

use crate::decode::link::Inside;
use crate::decode::link::ethernet::IPV6;
use crate::decode::wire::array;
use crate::decode::wire::be16;
use crate::decode::wire::u8_at;

const V6_HEADER_LEN: usize = 40;

/// The IPv6 packet behind the optional indications, in a datagram whose payload is `len` bytes.
pub(super) fn open(payload: &[u8], len: usize) -> Option<(Inside, usize)> {
    let mut at = 0;
    if let Some([0, 1, identifier, authentication]) = array(payload, at) {
        // Two lengths, what they measure, a nonce of eight bytes, a confirmation byte.
        at += 4 + usize::from(identifier) + usize::from(authentication) + 9;
    }
    if be16(payload, at) == Some(0) {
        at += 8;
    }
    // There is no magic number: the lengths must agree instead. Trailers may follow (RFC 6081).
    let version = u8_at(payload, at)? >> 4;
    let inner_len = V6_HEADER_LEN + usize::from(be16(payload, at + 4)?);
    (version == 6 && at + inner_len <= len).then_some((Inside::EtherType(IPV6), at))
}
