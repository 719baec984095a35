//! Names from the wire as text: bounded, and without loss.
//!
//! What is not UTF-8 or could be taken for an escape is written as `\` and three decimal digits, as RFC 1035 section
//! 5.1 does; what does not fit is left out whole, since a shortened name would be a wrong one. Control characters stay
//! as they are: who prints makes them harmless.

use std::fmt::Write;

/// The longest name kept, in bytes.
pub(crate) const NAME_MAX: usize = 255;

/// Text of bytes in UTF-8 or something like it. `None` if empty or longer than [`NAME_MAX`].
pub(crate) fn of_bytes(bytes: &[u8]) -> Option<String> {
    if bytes.len() > NAME_MAX {
        return None;
    }
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        for letter in chunk.valid().chars() {
            push(&mut text, letter);
        }
        for byte in chunk.invalid() {
            escape(&mut text, u32::from(*byte));
        }
    }
    fits(text)
}

/// Text of UTF-16 with the low byte first, without zeros at its end. A half character is written as its number. `None`
/// as for [`of_bytes`].
pub(crate) fn of_utf16(bytes: &[u8]) -> Option<String> {
    let (mut pairs, []) = bytes.as_chunks::<2>() else { return None };
    while let [before @ .., [0, 0]] = pairs {
        pairs = before;
    }
    if pairs.len() > NAME_MAX {
        return None;
    }
    let mut text = String::new();
    for letter in char::decode_utf16(pairs.iter().map(|pair| u16::from_le_bytes(*pair))) {
        match letter {
            Ok(letter) => push(&mut text, letter),
            Err(half) => escape(&mut text, u32::from(half.unpaired_surrogate())),
        }
    }
    fits(text)
}

/// Adds one label of a DNS name, lower-cased as DNS compares them (RFC 4343); a dot in it is escaped.
pub(crate) fn push_label(name: &mut String, label: &[u8]) {
    if !name.is_empty() {
        name.push('.');
    }
    for chunk in label.utf8_chunks() {
        for letter in chunk.valid().chars() {
            match letter {
                '.' => escape(name, u32::from(b'.')),
                _ => push(name, letter.to_ascii_lowercase()),
            }
        }
        for byte in chunk.invalid() {
            escape(name, u32::from(*byte));
        }
    }
}

fn push(text: &mut String, letter: char) {
    match letter {
        '\\' => escape(text, u32::from(b'\\')),
        _ => text.push(letter),
    }
}

fn escape(text: &mut String, number: u32) {
    // Writing to a string cannot fail.
    let _ = write!(text, "\\{number:03}");
}

/// The text, if it is any and not too long.
pub(crate) fn fits(text: String) -> Option<String> {
    (1..=NAME_MAX).contains(&text.len()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost() {
        assert_eq!(of_bytes(b"dc1.lab.test").as_deref(), Some("dc1.lab.test"));
        assert_eq!(of_bytes(b"a\xffb\\").as_deref(), Some(r"a\255b\092"));
        assert_eq!(of_bytes("Büro".as_bytes()).as_deref(), Some("Büro"));
        assert_eq!(of_utf16(b"D\0C\x001\0").as_deref(), Some("DC1"));
        assert_eq!(of_utf16(&[0, 0xd8]).as_deref(), Some(r"\55296"));
        assert_eq!(of_utf16(b"A\0\0\0").as_deref(), Some("A"));
        assert_eq!(of_utf16(&[0; 2]), None);
        assert_eq!(of_utf16(b"odd"), None);
    }

    #[test]
    fn what_does_not_fit_is_left_out() {
        assert_eq!(of_bytes(b""), None);
        assert_eq!(of_bytes(&[b'a'; NAME_MAX]).map(|text| text.len()), Some(NAME_MAX));
        assert_eq!(of_bytes(&[b'a'; NAME_MAX + 1]), None);
        assert_eq!(of_bytes(&[0xff; NAME_MAX]), None);
    }

    #[test]
    fn labels_are_told_from_dots() {
        let mut name = String::new();
        push_label(&mut name, b"Dc1.x");
        push_label(&mut name, b"LAB");
        assert_eq!(name, r"dc1\046x.lab");
    }
}
