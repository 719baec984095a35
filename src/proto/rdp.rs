//! RDP: the X.224 connection request and confirm within TPKT (MS-RDPBCGR sections 2.2.1.1 and 2.2.1.2).
//!
//! H.323, S7 and other users of TPKT and X.224 begin alike; what Microsoft appends tells, and without it RDP is only
//! likely. It must never know of the sessions that follow, which TLS hides.

use crate::model::app::Speaker;
use crate::model::transport::Transport;
use crate::proto::Recognition;
use crate::proto::cursor::Cursor;
use crate::proto::cursor::Read;
use crate::proto::cursor::answer;
use crate::proto::cursor::must;

const CONNECTION_REQUEST: u8 = 0xe0;
const CONNECTION_CONFIRM: u8 = 0xd0;

/// The X.224 part without length byte and appendix.
const X224_FIXED: usize = 6;

/// Every flag of `requestedProtocols` that is defined: TLS, `CredSSP`, RDSTLS, `CredSSP` with early authorisation, AAD.
const PROTOCOLS: u32 = 0x1f;

/// Says whether these bytes begin a direction of RDP.
pub fn recognise(_: Transport, bytes: &[u8]) -> Recognition {
    answer(connection(bytes))
}

fn connection(bytes: &[u8]) -> Read<Recognition> {
    let mut cursor = Cursor(bytes);
    cursor.literal(&[3, 0])?;
    let length = usize::from(cursor.be16()?);
    let x224 = usize::from(cursor.u8()?);
    must(length == x224 + 5 && x224 >= X224_FIXED)?;
    let kind = cursor.u8()?;
    must(matches!(kind, CONNECTION_REQUEST | CONNECTION_CONFIRM))?;
    let (to, _from, class) = (cursor.be16()?, cursor.be16()?, cursor.u8()?);
    must(class == 0)?;
    let appended = cursor.0.get(..(x224 - X224_FIXED).min(cursor.left())).unwrap_or_default();
    let whole = appended.len() == x224 - X224_FIXED;
    let appendix = Cursor(appended);
    if kind == CONNECTION_CONFIRM {
        return confirm(appendix, whole);
    }
    must(to == 0)?;
    request(appendix, whole)
}

/// What a client appends: a cookie or routing token with its end of line, then perhaps the negotiation.
fn request(mut appendix: Cursor, whole: bool) -> Read<Recognition> {
    let likely = Ok(Recognition::Likely(Speaker::Client));
    if appendix.left() == 0 {
        return if whole { likely } else { Err(Recognition::NeedMore) };
    }
    for cookie in [&b"Cookie: mstshash="[..], b"Cookie: msts="] {
        match appendix.literal(cookie) {
            Ok(()) => return Ok(Recognition::Certain(Speaker::Client)),
            Err(Recognition::NeedMore) => return likely,
            Err(_) => {}
        }
    }
    if appendix.0.first() != Some(&1) {
        // A token of a broker is text in any form; the parameters of others are not.
        must(appendix.0.first().is_some_and(u8::is_ascii_graphic))?;
        return likely;
    }
    appendix.u8()?;
    // Restricted administration, redirected authentication, correlation.
    must(appendix.u8()? & !0x0b == 0)?;
    appendix.literal(&[8, 0])?;
    must(appendix.le32()? & !PROTOCOLS == 0)?;
    Ok(Recognition::Certain(Speaker::Client))
}

/// What a server appends: what it chose, or why it refuses.
fn confirm(mut appendix: Cursor, whole: bool) -> Read<Recognition> {
    if appendix.left() == 0 {
        return if whole { Ok(Recognition::Likely(Speaker::Server)) } else { Err(Recognition::NeedMore) };
    }
    let kind = appendix.u8()?;
    must(matches!(kind, 2 | 3))?;
    appendix.u8()?;
    appendix.literal(&[8, 0])?;
    let value = appendix.le32()?;
    must(if kind == 2 { value & !PROTOCOLS == 0 } else { (1..=6).contains(&value) })?;
    Ok(Recognition::Certain(Speaker::Server))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(bytes: &[u8]) -> Recognition {
        recognise(Transport::Tcp, bytes)
    }

    #[test]
    fn the_appendix_tells_rdp_from_its_neighbours() {
        let negotiation = [3, 0, 0, 19, 14, 0xe0, 0, 0, 0, 0, 0, 1, 0, 8, 0, 3, 0, 0, 0];
        assert_eq!(say(&negotiation), Recognition::Certain(Speaker::Client));
        let bare = [3, 0, 0, 11, 6, 0xe0, 0, 0, 0, 0, 0];
        assert_eq!(say(&bare), Recognition::Likely(Speaker::Client));
        // S7: the same request with TSAP parameters.
        let s7 = [3, 0, 0, 22, 17, 0xe0, 0, 0, 0, 1, 0, 0xc0, 1, 10, 0xc1, 2, 1, 0, 0xc2, 2, 1, 2];
        assert_eq!(say(&s7), Recognition::NotForUs);
        // H.225 within TPKT.
        assert_eq!(say(&[3, 0, 1, 0, 8, 2, 0, 1, 5]), Recognition::NotForUs);
    }

    #[test]
    fn a_confirm_tells_what_was_chosen_or_why_not() {
        let chosen = [3, 0, 0, 19, 14, 0xd0, 0, 0, 0x12, 0x34, 0, 2, 0x1f, 8, 0, 2, 0, 0, 0];
        assert_eq!(say(&chosen), Recognition::Certain(Speaker::Server));
        let mut refused = chosen;
        (refused[11], refused[15]) = (3, 5);
        assert_eq!(say(&refused), Recognition::Certain(Speaker::Server));
        refused[15] = 9;
        assert_eq!(say(&refused), Recognition::NotForUs);
        assert_eq!(say(&chosen[..14]), Recognition::NeedMore);
    }

    #[test]
    fn cookies_and_tokens() {
        let with = |text: &[u8]| {
            let x224 = u8::try_from(6 + text.len()).unwrap_or(u8::MAX);
            [&[3, 0, 0, x224 + 5, x224, 0xe0, 0, 0, 0, 0, 0], text].concat()
        };
        assert_eq!(say(&with(b"Cookie: mstshash=user\r\n")), Recognition::Certain(Speaker::Client));
        assert_eq!(say(&with(b"tsv://MS Terminal Services\r\n")), Recognition::Likely(Speaker::Client));
        assert_eq!(say(&with(b"Coo")), Recognition::Likely(Speaker::Client));
    }
}
