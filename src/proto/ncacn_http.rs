//! The greeting of RPC over HTTP version 1 (MS-RPCH section 2.1.1): a server says its protocol's name before a word of
//! DCE/RPC.
//!
//! It must never know what follows: that is DCE/RPC.

use crate::model::app::Speaker;
use crate::model::transport::Transport;
use crate::proto::Recognition;
use crate::proto::cursor::Cursor;
use crate::proto::cursor::answer;
use crate::proto::dcerpc::HTTP_GREETING;

/// Says whether these bytes begin with the greeting.
pub fn recognise(_: Transport, bytes: &[u8]) -> Recognition {
    answer(Cursor(bytes).literal(HTTP_GREETING).map(|()| Recognition::Certain(Speaker::Server)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_greeting_is_needed() {
        assert_eq!(recognise(Transport::Tcp, b"ncacn_http/1.0\x05\x00"), Recognition::Certain(Speaker::Server));
        assert_eq!(recognise(Transport::Tcp, b"ncacn_http/1."), Recognition::NeedMore);
        assert_eq!(recognise(Transport::Tcp, b"ncacn_http/1.1"), Recognition::NotForUs);
    }
}
