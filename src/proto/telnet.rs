//! Telnet (RFC 854): the negotiation of options, with which either end may begin.
//!
//! A single negotiation is like the marks of some other formats; two in a row are not. Both ends may do without, so that
//! text alone is never known as Telnet and never denied. It must never know what the text says.

use crate::model::app::Speaker;
use crate::model::transport::Transport;
use crate::proto::Recognition;
use crate::proto::cursor::Cursor;
use crate::proto::cursor::Read;
use crate::proto::cursor::answer;
use crate::proto::cursor::must;
use crate::proto::text::is_text;

const IAC: u8 = 255;
const SE: u8 = 240;
const SB: u8 = 250;
const WILL: u8 = 251;
const WONT: u8 = 252;
const DO: u8 = 253;
const DONT: u8 = 254;

/// The options of the IANA registry end here; a few later ones begin at 138.
const OPTION_MAX: u8 = 49;

const ECHO: u8 = 1;

/// So much of a text is looked at.
const TEXT_LEN: usize = 32;

/// What only a client has: type, window size, speed, X display, environment (two numbers) of a terminal.
const OF_TERMINALS: &[u8] = &[24, 31, 32, 35, 36, 39];

/// Says whether these bytes begin a direction of Telnet.
pub fn recognise(_: Transport, bytes: &[u8]) -> Recognition {
    match bytes.split_first() {
        Some((&IAC, _)) | None => answer(negotiation(bytes)),
        Some((7..=13 | 0x1b | 0x20..=0x7e, text)) if text.iter().take(TEXT_LEN).all(|byte| is_of_text(*byte)) => {
            Recognition::NeedMore
        }
        Some(_) => Recognition::NotForUs,
    }
}

/// A character of a terminal's text or of its control: zero follows a carriage return.
fn is_of_text(byte: u8) -> bool {
    matches!(byte, 0 | 7..=13 | 0x1b | 0x20..=0x7e | 0x80..)
}

fn negotiation(bytes: &[u8]) -> Read<Recognition> {
    let mut cursor = Cursor(bytes);
    let mut speaker = one(&mut cursor)?;
    // Text may follow one negotiation. That the bytes end within a second one says nothing against it.
    match cursor.0 {
        [] | [IAC] => return Ok(Recognition::Likely(speaker)),
        [IAC, ..] => {}
        text => {
            let line_ends = |byte: &u8| matches!(byte, b'\r' | b'\n' | 0 | 7 | 8 | 0x1b);
            must(text.split(line_ends).all(is_text))?;
            return Ok(Recognition::Likely(speaker));
        }
    }
    let mut count = 1;
    while cursor.0.first() == Some(&IAC) {
        match one(&mut cursor) {
            Ok(another) if speaker == Speaker::Either => speaker = another,
            Ok(_) => {}
            Err(Recognition::NotForUs) if count == 1 => return Err(Recognition::NotForUs),
            Err(_) => break,
        }
        count += 1;
    }
    Ok(if count > 1 { Recognition::Certain(speaker) } else { Recognition::Likely(speaker) })
}

/// Reads one command with its option, and says who sends such.
fn one(cursor: &mut Cursor) -> Read<Speaker> {
    cursor.literal(&[IAC])?;
    let command = cursor.u8()?;
    must(matches!(command, SB..=DONT))?;
    let option = cursor.u8()?;
    must(option <= OPTION_MAX || matches!(option, 138..=140))?;
    if command == SB {
        let end = cursor.0.windows(2).position(|two| two == [IAC, SE]).ok_or(Recognition::NeedMore)?;
        cursor.take(end + 2)?;
    }
    let of_terminals = OF_TERMINALS.contains(&option);
    Ok(match command {
        WILL if of_terminals => Speaker::Client,
        DO if of_terminals => Speaker::Server,
        WILL if option == ECHO => Speaker::Server,
        DO if option == ECHO => Speaker::Client,
        WONT | DONT | SB | WILL | DO => Speaker::Either,
        _ => return Err(Recognition::NotForUs),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(bytes: &[u8]) -> Recognition {
        recognise(Transport::Tcp, bytes)
    }

    #[test]
    fn two_negotiations_are_certain() {
        // Windows: authentication, then echo.
        let server = [IAC, DO, 37, IAC, WILL, 1, IAC, WILL, 3];
        assert_eq!(say(&server), Recognition::Certain(Speaker::Server));
        assert_eq!(say(&[IAC, WILL, 24, IAC, WONT, 37]), Recognition::Certain(Speaker::Client));
        assert_eq!(say(&server[..3]), Recognition::Likely(Speaker::Either));
        assert_eq!(say(&server[..5]), Recognition::Likely(Speaker::Either));
        assert_eq!(say(&server[..2]), Recognition::NeedMore);
        assert_eq!(say(b"\xff\xfb\x01\r\nlogin: "), Recognition::Likely(Speaker::Server));
        let sub = [IAC, SB, 24, 1, IAC, SE, IAC, SB, 31, 0, 80];
        assert_eq!(say(&sub), Recognition::Likely(Speaker::Either));
    }

    #[test]
    fn text_without_negotiation_is_neither_known_nor_denied() {
        for text in [&b"login: "[..], b"\r\n\r\nWelcome\r\n", b"\x1b[2J", b"root\r\0", b"Gr\xfc\xdfe"] {
            assert_eq!(say(text), Recognition::NeedMore);
        }
        for stranger in [&b"0\x0c\x02\x01\x01"[..], b"\x16\x03\x01", &[0, 0, 0, 90], b"a\x05"] {
            assert_eq!(say(stranger), Recognition::NotForUs);
        }
    }

    #[test]
    fn marks_of_other_formats_are_not_telnet() {
        // Text in UTF-16, an MPEG frame, a JPEG.
        for stranger in [&[0xff, 0xfe, 0x3c, 0, 0x3f, 0][..], &[0xff, 0xfb, 0x90, 0x64], &[0xff, 0xd8, 0xff, 0xe0]] {
            assert_eq!(say(stranger), Recognition::NotForUs);
        }
        assert_eq!(say(&[0xff, 0xfe, 0x31, 0, 0x32, 0]), Recognition::Likely(Speaker::Either));
    }
}
