//! Text from outside, made fit to be shown: names from the wire, paths, what rule and site files say.
//!
//! Hands on [`Shown`], the only kind of outside text that a report holds, so that no format can forget to clean it.
//! It must never know which format shows it: each format quotes its own special characters.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde::Deserializer;
use serde::Serialize;
use serde::Serializer;

/// Longest name shown, in characters; a DNS name is no longer (RFC 1035 section 2.3.4).
pub const NAME_CHARS_MAX: usize = 255;

/// Longest path, filter or message shown, in characters.
pub const TEXT_CHARS_MAX: usize = 4096;

/// Text without control characters, without characters that reorder or hide others, and of bounded length.
///
/// Cloning shares the text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Shown(Arc<str>);

impl Shown {
    /// A name, cut after [`NAME_CHARS_MAX`] characters.
    pub fn name(raw: &str) -> Self {
        Self::chars(raw, NAME_CHARS_MAX)
    }

    /// A name in bytes of any kind; what is not UTF-8 shows as `\xff`.
    pub fn name_bytes(raw: &[u8]) -> Self {
        Self(cut_end(pieces(raw), NAME_CHARS_MAX).into())
    }

    /// A filter, a message or a note, cut after [`TEXT_CHARS_MAX`] characters.
    pub fn text(raw: &str) -> Self {
        Self::chars(raw, TEXT_CHARS_MAX)
    }

    fn chars(raw: &str, chars_max: usize) -> Self {
        // Nearly all names are fit to be shown as they are.
        let plain = || raw.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if raw.len() <= chars_max && (plain() || !raw.chars().any(is_harmful)) {
            return Self(raw.into());
        }
        Self(cut_end(raw.chars().map(Piece::Char), chars_max).into())
    }

    /// Lines for a person, such as a fault with the place in its file: each by itself, cut as [`Shown::text`] is.
    pub fn lines(raw: &str) -> String {
        raw.lines().map(|line| Self::text(line).as_str().to_owned()).collect::<Vec<_>>().join("\n")
    }

    /// A path. Its end tells more than its beginning, so that is what is kept of one longer than [`TEXT_CHARS_MAX`].
    pub fn path(raw: &Path) -> Self {
        let bytes = raw.as_os_str().as_encoded_bytes();
        let length = pieces(bytes).count();
        if length <= TEXT_CHARS_MAX {
            return Self(pieces(bytes).map(clean).collect::<String>().into());
        }
        let kept = pieces(bytes).skip(length - (TEXT_CHARS_MAX - 1)).map(clean);
        Self(std::iter::once("…".to_owned()).chain(kept).collect::<String>().into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Shown {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Shown {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// Text that is read back is cleaned again: anybody may have written it.
impl<'de> Deserialize<'de> for Shown {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|raw| Self::text(&raw))
    }
}

/// A character, or a byte that belongs to none.
#[derive(Clone, Copy)]
enum Piece {
    Char(char),
    Byte(u8),
}

fn pieces(raw: &[u8]) -> impl Iterator<Item = Piece> + '_ {
    raw.utf8_chunks().flat_map(|chunk| {
        chunk.valid().chars().map(Piece::Char).chain(chunk.invalid().iter().copied().map(Piece::Byte))
    })
}

fn cut_end(mut pieces: impl Iterator<Item = Piece>, chars_max: usize) -> String {
    let mut text: String = pieces.by_ref().take(chars_max - 1).map(clean).collect();
    match (pieces.next(), pieces.next()) {
        (Some(_), Some(_)) => text.push('…'),
        (Some(last), None) => text.push_str(&clean(last)),
        (None, _) => {}
    }
    text
}

fn clean(piece: Piece) -> String {
    match piece {
        Piece::Char(char) if is_harmful(char) => char.escape_unicode().to_string(),
        Piece::Char(char) => char.to_string(),
        Piece::Byte(byte) => format!("\\x{byte:02x}"),
    }
}

/// Whether a character does something else than show itself: it drives a terminal, begins a line, turns the direction
/// of writing (Unicode Standard Annex 9), or cannot be seen.
fn is_harmful(char: char) -> bool {
    char.is_control()
        || matches!(char,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_drives_a_terminal_or_hides_is_spelt_out() {
        let rows = [
            ("dc1.corp.example", "dc1.corp.example"),
            ("Zürich-日本", "Zürich-日本"),
            ("\x1b[2Jgone", "\\u{1b}[2Jgone"),
            ("ding\x07", "ding\\u{7}"),
            ("a\r\nb\tc\0", "a\\u{d}\\u{a}b\\u{9}c\\u{0}"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("exe\u{202e}fdp", "exe\\u{202e}fdp"),
            ("\u{2066}x\u{2069}", "\\u{2066}x\\u{2069}"),
            ("pay\u{200b}pal\u{feff}", "pay\\u{200b}pal\\u{feff}"),
            ("line\u{2028}line", "line\\u{2028}line"),
        ];
        for (raw, shown) in rows {
            assert_eq!(Shown::name(raw).as_str(), shown);
            assert_eq!(Shown::text(raw).as_str(), shown);
            assert_eq!(Shown::path(Path::new(raw)).as_str(), shown);
        }
    }

    #[test]
    fn bytes_that_are_no_text_stay_visible() {
        assert_eq!(Shown::name_bytes(b"dc\xff\xc3.corp").as_str(), "dc\\xff\\xc3.corp");
    }

    #[test]
    fn length_is_bounded_and_says_so() {
        assert_eq!(Shown::name(&"a".repeat(255)).as_str(), "a".repeat(255));
        assert_eq!(Shown::name(&"a".repeat(256)).as_str(), format!("{}…", "a".repeat(254)));
        let long = format!("{}/tail.pcap", "d".repeat(5000));
        let shown = Shown::path(Path::new(&long));
        assert_eq!(shown.as_str().chars().count(), TEXT_CHARS_MAX);
        assert!(shown.as_str().starts_with('…') && shown.as_str().ends_with("/tail.pcap"));
    }
}
