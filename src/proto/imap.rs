//! IMAP 4 (RFC 9051): the greeting of a server, the tagged commands of a client.
//!
//! It must never know of mailboxes.

use crate::model::app::Speaker;
use crate::model::transport::Transport;
use crate::proto::Recognition;
use crate::proto::cursor::Cursor;
use crate::proto::cursor::Read;
use crate::proto::cursor::answer;
use crate::proto::cursor::must;
use crate::proto::text::commands;
use crate::proto::text::first_line;
use crate::proto::text::is_text;
use crate::proto::text::mentions;

/// What a client can say before and just after it logs in.
const COMMANDS: &[&str] = &[
    "CAPABILITY",
    "STARTTLS",
    "LOGIN ",
    "AUTHENTICATE ",
    "ID ",
    "NOOP",
    "LOGOUT",
    "ENABLE ",
    "NAMESPACE",
    "SELECT ",
    "EXAMINE ",
    "LIST ",
    "LSUB ",
    "STATUS ",
    "COMPRESS ",
];

/// No client in use has a longer tag.
const TAG_MAX: usize = 24;

/// Says whether these bytes begin a direction of IMAP.
pub fn recognise(_: Transport, bytes: &[u8]) -> Recognition {
    answer(if bytes.first() == Some(&b'*') { greeting(bytes) } else { tagged(bytes) })
}

/// "* OK", "* PREAUTH" or "* BYE", and text.
fn greeting(bytes: &[u8]) -> Read<Recognition> {
    let (line, ended) = first_line(bytes);
    must(is_text(line))?;
    let begins = |start: &[u8]| answer(Cursor(line).literal(start).map(|()| Recognition::Likely(Speaker::Server)));
    let known = [&b"* OK "[..], b"* PREAUTH ", b"* BYE "].map(begins);
    let known = known.into_iter().find(|one| *one != Recognition::NotForUs).unwrap_or(Recognition::NotForUs);
    must(known != Recognition::NotForUs && (known != Recognition::NeedMore || !ended))?;
    let named = mentions(line, "IMAP");
    Ok(if named && ended { Recognition::Certain(Speaker::Server) } else { known })
}

/// A tag, a space, and a command. A tag of letters with a digit, as nearly all clients write, is no word of another
/// protocol; one with other signs could be SSH's name of itself.
fn tagged(bytes: &[u8]) -> Read<Recognition> {
    let is_tag_byte = |byte: &u8| byte.is_ascii_graphic() && !b"(){%*\"\\]+".contains(byte);
    let tag_end = bytes.iter().position(|byte| !is_tag_byte(byte)).unwrap_or(bytes.len());
    must(tag_end <= TAG_MAX)?;
    let (tag, behind) = bytes.split_at(tag_end);
    match behind {
        [b' ', ..] => must(tag_end > 0)?,
        [] | [b'\r'] => return Err(Recognition::NeedMore),
        _ => return Err(Recognition::NotForUs),
    }
    // Only the first line of a client says that this is IMAP: literals may follow.
    let first = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1);
    let command = bytes.get(tag_end + 1..first).unwrap_or_default();
    let said = commands(command, COMMANDS, &[]);
    let sure = tag.iter().any(u8::is_ascii_digit) && tag.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'.');
    Ok(if said == Recognition::Certain(Speaker::Client) && !sure { Recognition::Likely(Speaker::Client) } else { said })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(text: &str) -> Recognition {
        recognise(Transport::Tcp, text.as_bytes())
    }

    #[test]
    fn a_greeting_names_the_protocol() {
        assert_eq!(
            say("* OK The Microsoft Exchange IMAP4 service is ready.\r\n"),
            Recognition::Certain(Speaker::Server)
        );
        assert_eq!(say("* OK [CAPABILITY IMAP4rev1"), Recognition::Likely(Speaker::Server));
        assert_eq!(say("* OK hello\r\n"), Recognition::Likely(Speaker::Server));
        assert_eq!(say("* PRE"), Recognition::NeedMore);
        assert_eq!(say("* ACAP\r\n"), Recognition::NotForUs);
        assert_eq!(say("* OK\r\n"), Recognition::NotForUs);
    }

    #[test]
    fn a_command_has_a_tag() {
        assert_eq!(say("a1 CAPABILITY\r\n"), Recognition::Certain(Speaker::Client));
        assert_eq!(say("00000001 login a b\r\n"), Recognition::Certain(Speaker::Client));
        assert_eq!(say("a LOGOUT\r\n"), Recognition::Likely(Speaker::Client));
        assert_eq!(say("SSH-2.0-a LOGOUT\r\n"), Recognition::Likely(Speaker::Client));
        // A user of FTP with that name.
        assert_eq!(say("USER LOGOUT\r\n"), Recognition::Likely(Speaker::Client));
        assert_eq!(say("USER"), Recognition::NeedMore);
        assert_eq!(say("a1 CAPA"), Recognition::NeedMore);
        assert_eq!(say("a1 GET\r\n"), Recognition::NotForUs);
        assert_eq!(say("a1\r\n"), Recognition::NotForUs);
        assert_eq!(say(" LIST\r\n"), Recognition::NotForUs);
    }
}
