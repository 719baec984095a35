//! SSH (RFC 4253 section 4.2): both ends begin with the same kind of line.
//!
//! A server may send other lines first; none was seen to, and such a flow stays unknown.

use crate::model::app::Speaker;
use crate::model::transport::Transport;
use crate::proto::Recognition;
use crate::proto::cursor::Cursor;
use crate::proto::cursor::answer;

/// The versions that were ever spoken: 2.0, a server that speaks both, and the first.
const BEGINNINGS: &[&[u8]] = &[b"SSH-2.0-", b"SSH-1.99-", b"SSH-1.5-", b"SSH-1.3-"];

/// Says whether these bytes begin a direction of SSH.
pub fn recognise(_: Transport, bytes: &[u8]) -> Recognition {
    let certain = Recognition::Certain(Speaker::Either);
    let answers = BEGINNINGS.iter().map(|begin| answer(Cursor(bytes).literal(begin).map(|()| certain)));
    answers.into_iter().find(|one| *one != Recognition::NotForUs).unwrap_or(Recognition::NotForUs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_needed() {
        let say = |text: &str| recognise(Transport::Tcp, text.as_bytes());
        assert_eq!(say("SSH-2.0-OpenSSH_for_Windows_9.5\r\n"), Recognition::Certain(Speaker::Either));
        assert_eq!(say("SSH-1.99-"), Recognition::Certain(Speaker::Either));
        assert_eq!(say("SSH-1.9"), Recognition::NeedMore);
        assert_eq!(say("SSH-3"), Recognition::NotForUs);
    }
}
