//! SMTP (RFC 5321) and LMTP: the greeting of a server, the commands of a client.
//!
//! It must never know of messages or the extensions of Exchange.

use crate::model::app::Speaker;
use crate::model::transport::Transport;
use crate::proto::Recognition;
use crate::proto::cursor::Cursor;
use crate::proto::cursor::answer;
use crate::proto::ready::Ready;
use crate::proto::ready::ready;
use crate::proto::text::commands;

const OWN: &[&str] = &["EHLO ", "EHLO", "HELO ", "HELO", "LHLO ", "MAIL FROM:", "RCPT TO:"];

/// Others have them too.
const SHARED: &[&str] = &[
    "QUIT",
    "NOOP",
    "RSET",
    "HELP",
    "STARTTLS",
    "VRFY ",
    "EXPN ",
    "AUTH PLAIN",
    "AUTH PLAIN ",
    "AUTH LOGIN",
    "AUTH LOGIN ",
    "AUTH NTLM",
    "AUTH NTLM ",
    "AUTH GSSAPI",
    "AUTH GSSAPI ",
    "AUTH CRAM-MD5",
    "AUTH XOAUTH2 ",
];

/// What a server that cannot serve says first; FTP has the first of them too.
const REFUSALS: &[&[u8]] = &[b"421 ", b"554 ", b"554-"];

/// Says whether these bytes begin a direction of SMTP.
pub fn recognise(_: Transport, bytes: &[u8]) -> Recognition {
    if !bytes.first().is_some_and(u8::is_ascii_digit) {
        return commands(bytes, OWN, SHARED);
    }
    match ready(bytes) {
        Ready::Mail => Recognition::Certain(Speaker::Server),
        Ready::Either => Recognition::Likely(Speaker::Server),
        Ready::TooFew => Recognition::NeedMore,
        Ready::Files => Recognition::NotForUs,
        Ready::Neither => refusal(bytes, REFUSALS),
    }
}

/// A server's refusal looks like its protocol, and like any other with three digits.
pub(super) fn refusal(bytes: &[u8], known: &[&[u8]]) -> Recognition {
    let begins = |code: &[u8]| answer(Cursor(bytes).literal(code).map(|()| Recognition::Likely(Speaker::Server)));
    known.iter().map(|code| begins(code)).find(|one| *one != Recognition::NotForUs).unwrap_or(Recognition::NotForUs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greetings_commands_and_refusals() {
        let say = |text: &str| recognise(Transport::Tcp, text.as_bytes());
        assert_eq!(say("220 a.example ESMTP\r\n"), Recognition::Certain(Speaker::Server));
        assert_eq!(say("220 a.example\r\n"), Recognition::Likely(Speaker::Server));
        assert_eq!(say("220 FTP\r\n"), Recognition::NotForUs);
        assert_eq!(say("2"), Recognition::NeedMore);
        assert_eq!(say("554 no\r\n"), Recognition::Likely(Speaker::Server));
        assert_eq!(say("5"), Recognition::NeedMore);
        assert_eq!(say("500 no\r\n"), Recognition::NotForUs);
        assert_eq!(say("ehlo a\r\n"), Recognition::Certain(Speaker::Client));
        assert_eq!(say("MAIL FROM:<a@b>\r\n"), Recognition::Certain(Speaker::Client));
        assert_eq!(say("QUIT\r\n"), Recognition::Likely(Speaker::Client));
        assert_eq!(say("USER a\r\n"), Recognition::NotForUs);
        assert_eq!(say("AUTH LOGIN\r\n"), Recognition::Likely(Speaker::Client));
        assert_eq!(say("AUTH TLS\r\n"), Recognition::NotForUs);
    }
}
