//! GENEVE (RFC 8926).

use crate::decode::link::Inside;
use crate::decode::tunnel::carried;
use crate::decode::wire::array;

/// What the protocol type says is behind header and options.
pub(super) fn open(payload: &[u8]) -> Option<(Inside, usize)> {
    const VERSION: u8 = 0xc0;
    let [first, _, high, low] = array(payload, 0)?;
    if first & VERSION != 0 {
        return None;
    }
    Some((carried(u16::from_be_bytes([high, low]))?, 8 + 4 * usize::from(first)))
}
