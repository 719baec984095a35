//! FTP control connections (RFC 959, RFC 2228): the greeting of a server, the commands of a client.
//!
//! It must never know of data connections: where they go is said later on the same flow.

use crate::model::app::Speaker;
use crate::model::transport::Transport;
use crate::proto::Recognition;
use crate::proto::ready::Ready;
use crate::proto::ready::ready;
use crate::proto::smtp::refusal;
use crate::proto::text::commands;

const OWN: &[&str] =
    &["SYST", "FEAT", "PASV", "EPSV", "EPSV ", "EPRT ", "PBSZ ", "MDTM ", "XPWD", "AUTH TLS", "AUTH SSL"];

/// Others have them too: POP3 its users, SMTP its help.
const SHARED: &[&str] = &[
    "USER ",
    "PASS ",
    "PASS",
    "ACCT ",
    "QUIT",
    "NOOP",
    "HELP",
    "TYPE ",
    "PORT ",
    "CWD ",
    "PWD",
    "LIST",
    "LIST ",
    "RETR ",
    "STOR ",
    "NLST",
    "OPTS ",
    "SITE ",
    "SIZE ",
    "HOST ",
    "CLNT ",
    "AUTH GSSAPI",
    "ADAT ",
];

/// What a server that is not ready says first; SMTP has the second too.
const REFUSALS: &[&[u8]] = &[b"120 ", b"421 ", b"421-"];

/// Says whether these bytes begin a direction of FTP.
pub fn recognise(_: Transport, bytes: &[u8]) -> Recognition {
    if !bytes.first().is_some_and(u8::is_ascii_digit) {
        return commands(bytes, OWN, SHARED);
    }
    match ready(bytes) {
        Ready::Files => Recognition::Certain(Speaker::Server),
        Ready::Either => Recognition::Likely(Speaker::Server),
        Ready::TooFew => Recognition::NeedMore,
        Ready::Mail => Recognition::NotForUs,
        Ready::Neither => refusal(bytes, REFUSALS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greetings_and_commands() {
        let say = |text: &str| recognise(Transport::Tcp, text.as_bytes());
        assert_eq!(say("220 Microsoft FTP Service\r\n"), Recognition::Certain(Speaker::Server));
        assert_eq!(say("220 hello\r\n"), Recognition::Likely(Speaker::Server));
        assert_eq!(say("220 a.example ESMTP\r\n"), Recognition::NotForUs);
        assert_eq!(say("USER anonymous\r\n"), Recognition::Likely(Speaker::Client));
        assert_eq!(say("USER anonymous\r\nPASS x\r\nSYST\r\n"), Recognition::Certain(Speaker::Client));
        assert_eq!(say("AUTH TLS\r\n\x16\x03\x01"), Recognition::Certain(Speaker::Client));
        assert_eq!(say("AUTH LOGIN\r\n"), Recognition::NotForUs);
    }
}
