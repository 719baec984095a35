//! Lines of the protocols that talk in lines: a client's commands, words in a greeting.
//!
//! It must never know which protocol has which commands.

use crate::model::app::Speaker;
use crate::proto::Recognition;

/// The longest line that is believed to be a command or greeting. The documents say 512; many servers accept more.
const LINE_MAX: usize = 1000;

/// What one line of a client is.
enum Line {
    /// A command that no other protocol has.
    Own,
    /// A command that others have too.
    Shared,
    /// The line is not at its end, but can become a command; whether its word is already a command's.
    Unfinished { worded: bool },
    /// No command.
    Foreign,
}

/// Judges a client's lines by the commands of one protocol: `own` ones that no other protocol has, and `shared` ones.
///
/// A command that ends in a space or colon wants an argument; any other stands alone in its line. Upper case.
/// Only the first line can contradict: what follows a command may be a message, a password, or TLS.
pub(super) fn commands(bytes: &[u8], own: &[&str], shared: &[&str]) -> Recognition {
    let mut answer = Recognition::NeedMore;
    for (place, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        match judge(line, own, shared) {
            Line::Own => return Recognition::Certain(Speaker::Client),
            Line::Shared => answer = Recognition::Likely(Speaker::Client),
            Line::Unfinished { worded } if place == 0 && worded => return Recognition::Likely(Speaker::Client),
            Line::Foreign if place == 0 => return Recognition::NotForUs,
            Line::Unfinished { .. } | Line::Foreign => return answer,
        }
    }
    answer
}

fn judge(line: &[u8], own: &[&str], shared: &[&str]) -> Line {
    let (text, ended) = text_of(line);
    if text.len() > LINE_MAX || !is_text(text) {
        return Line::Foreign;
    }
    let is = |command: &str| if ended { fits(text, command) } else { begins(text, command) };
    match (own.iter().any(|command| is(command)), shared.iter().any(|command| is(command))) {
        (false, false) => Line::Foreign,
        _ if !ended => {
            let worded = own.iter().chain(shared).any(|command| wants_argument(command) && fits(text, command));
            Line::Unfinished { worded }
        }
        (true, _) => Line::Own,
        (false, true) => Line::Shared,
    }
}

/// The line without its end, and whether it has one.
pub(super) fn text_of(line: &[u8]) -> (&[u8], bool) {
    match line {
        [text @ .., b'\r', b'\n'] | [text @ .., b'\n'] => (text, true),
        [text @ .., b'\r'] | text => (text, false),
    }
}

/// The first line without its end, and whether its end is there.
pub(super) fn first_line(bytes: &[u8]) -> (&[u8], bool) {
    let end = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1);
    text_of(bytes.get(..end).unwrap_or(bytes))
}

fn wants_argument(command: &str) -> bool {
    command.ends_with([' ', ':'])
}

/// Whether the whole line is this command.
fn fits(text: &[u8], command: &str) -> bool {
    if wants_argument(command) {
        text.len() > command.len() && starts(text, command)
    } else {
        text.trim_ascii_end().eq_ignore_ascii_case(command.as_bytes())
    }
}

/// Whether a line that begins so can become this command.
fn begins(text: &[u8], command: &str) -> bool {
    let whole = if wants_argument(command) { starts(text, command) } else { fits(text, command) };
    whole || starts(command.as_bytes(), text)
}

fn starts(text: &[u8], with: impl AsRef<[u8]>) -> bool {
    let with = with.as_ref();
    text.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with))
}

/// Whether these bytes can stand in a line: printable, or a tab, or beyond ASCII.
pub(super) fn is_text(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| matches!(byte, b'\t' | 0x20..=0x7e | 0x80..))
}

/// The words of a text: runs of letters and digits.
pub(super) fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| !byte.is_ascii_alphanumeric()).filter(|word| !word.is_empty())
}

/// Whether a word of the text contains these letters, in either case.
pub(super) fn mentions(text: &[u8], letters: &str) -> bool {
    words(text).any(|word| word.windows(letters.len()).any(|part| part.eq_ignore_ascii_case(letters.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &[&str] = &["EHLO ", "STARTTLS"];
    const SHARED: &[&str] = &["QUIT", "AUTH "];

    fn say(text: &str) -> Recognition {
        commands(text.as_bytes(), OWN, SHARED)
    }

    #[test]
    fn only_a_whole_line_of_its_own_is_certain() {
        assert_eq!(say("ehlo me\r\n"), Recognition::Certain(Speaker::Client));
        assert_eq!(say("QUIT\r\nSTARTTLS\n"), Recognition::Certain(Speaker::Client));
        assert_eq!(say("EHLO me\r"), Recognition::Likely(Speaker::Client));
        assert_eq!(say("QUIT\r\n\x16\x03\x01"), Recognition::Likely(Speaker::Client));
        assert_eq!(say("AUTH x"), Recognition::Likely(Speaker::Client));
    }

    #[test]
    fn beginnings_are_waited_for_and_strangers_sent_away() {
        for start in ["", "E", "eh", "EHLO", "EHLO ", "QUIT", "QUIT\r", "QUIT \t"] {
            assert_eq!(say(start), Recognition::NeedMore, "{start}");
        }
        for stranger in ["X", "EHLX", "EHLO\r\n", "QUIT now\r\n", "EHLO \0", "\r\n"] {
            assert_eq!(say(stranger), Recognition::NotForUs, "{stranger}");
        }
        assert_eq!(say(&format!("EHLO {}", "x".repeat(LINE_MAX))), Recognition::NotForUs);
    }

    #[test]
    fn lines_and_words_are_cut_where_they_end() {
        assert_eq!(first_line(b"one\r\ntwo"), (&b"one"[..], true));
        assert_eq!(first_line(b"one\r"), (&b"one"[..], false));
        assert!(mentions(b"220 (vsFTPd 3)", "ftp") && !mentions(b"f-tp", "ftp"));
        assert_eq!(words(b"a, b-c").count(), 3);
    }
}
