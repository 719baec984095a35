//! POP 3 (RFC 1939, RFC 2449, RFC 2595): the greeting of a server, the commands of a client.
//!
//! Redis answers "+OK" and "-ERR" too, so that these words alone are only likely.

use crate::model::app::Speaker;
use crate::model::transport::Transport;
use crate::proto::Recognition;
use crate::proto::cursor::Cursor;
use crate::proto::text::commands;
use crate::proto::text::first_line;
use crate::proto::text::is_text;
use crate::proto::text::mentions;

const OWN: &[&str] = &["CAPA", "STLS", "APOP ", "UIDL", "UIDL ", "XTND "];

/// Others have them too: FTP its users and files. FTP's "AUTH TLS" is none of them.
const SHARED: &[&str] = &[
    "USER ",
    "PASS ",
    "AUTH",
    "AUTH PLAIN",
    "AUTH PLAIN ",
    "AUTH LOGIN",
    "AUTH NTLM",
    "AUTH GSSAPI",
    "AUTH CRAM-MD5",
    "AUTH XOAUTH2 ",
    "QUIT",
    "NOOP",
    "RSET",
    "STAT",
    "LIST",
    "LIST ",
    "RETR ",
    "DELE ",
];

/// Says whether these bytes begin a direction of POP 3.
pub fn recognise(_: Transport, bytes: &[u8]) -> Recognition {
    let word = match bytes.first() {
        Some(b'+') => "+OK",
        Some(b'-') => "-ERR",
        _ => return commands(bytes, OWN, SHARED),
    };
    let mut cursor = Cursor(bytes);
    if let Err(stop) = cursor.literal(word.as_bytes()) {
        return stop;
    }
    let (said, ended) = first_line(cursor.0);
    match said.first() {
        None if !ended => Recognition::NeedMore,
        None => Recognition::Likely(Speaker::Server),
        Some(b' ') if is_text(said) => {
            // The name of the protocol, or the time stamp of APOP, which is a message identifier at the end.
            let stamp = said.ends_with(b">") && said.contains(&b'<') && said.contains(&b'@');
            let named = ended && (mentions(said, "POP") || stamp);
            if named { Recognition::Certain(Speaker::Server) } else { Recognition::Likely(Speaker::Server) }
        }
        Some(_) => Recognition::NotForUs,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn greetings_and_commands() {
        let say = |text: &str| recognise(Transport::Tcp, text.as_bytes());
        let exchange = "+OK The Microsoft Exchange POP3 service is ready.\r\n";
        assert_eq!(say(exchange), Recognition::Certain(Speaker::Server));
        assert_eq!(say(&exchange[..40]), Recognition::Likely(Speaker::Server));
        assert_eq!(say("+OK <1.2@a.example>\r\n"), Recognition::Certain(Speaker::Server));
        assert_eq!(say("+OK\r\n"), Recognition::Likely(Speaker::Server));
        assert_eq!(say("-ER"), Recognition::NeedMore);
        assert_eq!(say("+PONG\r\n"), Recognition::NotForUs);
        assert_eq!(say("CAPA\r\n"), Recognition::Certain(Speaker::Client));
        assert_eq!(say("USER a\r\n"), Recognition::Likely(Speaker::Client));
        assert_eq!(say("EHLO a\r\n"), Recognition::NotForUs);
        assert_eq!(say("AUTH TLS\r\nCAPA\r\n"), Recognition::NotForUs);
    }
}
