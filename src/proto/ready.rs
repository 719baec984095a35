//! The reply 220, "service ready", with which both SMTP (RFC 5321 section 4.2) and FTP (RFC 959 section 5.4) greet.
//!
//! One judge for both, so that they cannot disagree.

use crate::proto::text::first_line;
use crate::proto::text::is_text;
use crate::proto::text::mentions;
use crate::proto::text::text_of;
use crate::proto::text::words;

/// Whose greeting it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ready {
    /// It names SMTP where a mail server does.
    Mail,
    /// It names FTP and is no mail server's.
    Files,
    /// A greeting that names neither, or not yet.
    Either,
    /// Too few bytes to be a greeting.
    TooFew,
    /// No greeting.
    Neither,
}

/// Judges the first bytes of a server.
pub(super) fn ready(bytes: &[u8]) -> Ready {
    let (line, ended) = first_line(bytes);
    if !line.iter().zip(b"220").all(|(is, wants)| is == wants) || !is_text(line) {
        return Ready::Neither;
    }
    let said = match line.get(3..) {
        None if ended => return Ready::Neither,
        None | Some([]) => return if ended { Ready::Either } else { Ready::TooFew },
        Some([b' ' | b'-', said @ ..]) => said,
        Some(_) => return Ready::Neither,
    };
    // A mail server names itself first: the domain is no evidence, "ftp.example.com" may well serve mail.
    let domain = said.iter().position(|byte| *byte == b' ').unwrap_or(said.len());
    let (domain, rest) = said.split_at(domain);
    if complete_words(rest, ended).any(|word| is(word, "SMTP") || is(word, "ESMTP") || is(word, "LMTP")) {
        return Ready::Mail;
    }
    if !ended {
        return Ready::Either;
    }
    let names_host = domain.contains(&b'.') && !domain.starts_with(b"(");
    if mentions(rest, "FTP") || (!names_host && mentions(domain, "FTP")) {
        return Ready::Files;
    }
    let later = bytes.split_inclusive(|byte| *byte == b'\n').skip(1).map(text_of);
    later
        .take_while(|(text, ended)| *ended && is_text(text))
        .find_map(|(text, _)| later_line(text))
        .unwrap_or(Ready::Either)
}

/// What a line after the first one says: more of the greeting, or the reply to the first command.
fn later_line(text: &[u8]) -> Option<Ready> {
    match text {
        [b'2', b'2', b'0', b' ' | b'-', said @ ..] if mentions(said, "FTP") => Some(Ready::Files),
        // FTP asks for a password or lets in; SMTP says what it can.
        [b'3', b'3', b'1', b' ', ..] | [b'2', b'3', b'0', b' ' | b'-', ..] => Some(Ready::Files),
        [b'2', b'5', b'0', b' ' | b'-', ..] => Some(Ready::Mail),
        _ => None,
    }
}

/// The words of a line, without one at the end that may go on.
fn complete_words(text: &[u8], ended: bool) -> impl Iterator<Item = &[u8]> {
    let end = if ended {
        text.len()
    } else {
        text.iter().rposition(|byte| !byte.is_ascii_alphanumeric()).map_or(0, |last| last + 1)
    };
    words(text.get(..end).unwrap_or_default())
}

fn is(word: &[u8], name: &str) -> bool {
    word.eq_ignore_ascii_case(name.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_greeting_is_mail_or_files_only_if_it_says_so() {
        let rows = [
            ("220 ex1.corp.example Microsoft ESMTP MAIL Service ready at Mon\r\n", Ready::Mail),
            ("220-mx.example ESMTP Postfix\r\n", Ready::Mail),
            ("220 ftp.example ESMTP x", Ready::Mail),
            ("220 Microsoft FTP Service\r\n", Ready::Files),
            ("220 (vsFTPd 3.0.3)\r\n", Ready::Files),
            ("220-Hello\r\n220 This is an FTP server\r\n", Ready::Files),
            ("220 ftp.example ready\r\n", Ready::Either),
            ("220 hello\r\n331 Password, please.\r\n", Ready::Files),
            ("220 hello\r\n250-a.example\r\n", Ready::Mail),
            ("220 hello\r\n331 Pass", Ready::Either),
            ("220 mx.example SMTP", Ready::Either),
            ("220 Microsoft FTP", Ready::Either),
            ("220 ", Ready::Either),
            ("22", Ready::TooFew),
            ("", Ready::TooFew),
            ("220x", Ready::Neither),
            ("22\r\n", Ready::Neither),
            ("221 bye\r\n", Ready::Neither),
            ("220 \x01", Ready::Neither),
        ];
        for (text, expected) in rows {
            assert_eq!(ready(text.as_bytes()), expected, "{text}");
        }
    }
}
