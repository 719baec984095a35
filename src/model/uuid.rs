//! Identifiers of RPC interfaces.

use std::fmt;

/// A UUID in the order it is written, most significant byte first (RFC 9562).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct Uuid(pub [u8; 16]);

impl Uuid {
    /// The UUID of sixteen bytes as DCE/RPC sends them: the first three fields in the sender's byte order, which is
    /// little-endian where `little` (C706, appendix A).
    pub fn from_wire(bytes: [u8; 16], little: bool) -> Self {
        if !little {
            return Self(bytes);
        }
        let mut uuid = bytes;
        for field in [0..4, 4..6, 6..8] {
            if let Some(field) = uuid.get_mut(field) {
                field.reverse();
            }
        }
        Self(uuid)
    }

    /// Reads `e3514235-4b06-11d1-ab04-00c04fc2dcd2`, in letters of either case.
    pub fn parse(text: &str) -> Option<Self> {
        const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];
        if !text.split('-').map(str::len).eq(GROUPS) {
            return None;
        }
        let digits: Vec<u8> = text
            .bytes()
            .filter(|&byte| byte != b'-')
            .map(|byte| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
            .collect::<Option<_>>()?;
        let mut uuid = [0; 16];
        for (byte, pair) in uuid.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = pair.iter().fold(0, |byte, digit| byte << 4 | digit);
        }
        Some(Self(uuid))
    }
}

impl fmt::Display for Uuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, byte) in self.0.iter().enumerate() {
            if matches!(place, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

/// An RPC interface: its UUID with major and minor version.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct InterfaceId {
    /// The UUID.
    pub uuid: Uuid,
    /// The major version.
    pub major: u16,
    /// The minor version.
    pub minor: u16,
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop here")]

    use super::*;

    #[test]
    fn uuids_are_read_and_written_alike() {
        let text = "e3514235-4b06-11d1-ab04-00c04fc2dcd2";
        let uuid = Uuid::parse(&text.to_uppercase()).unwrap();
        assert_eq!(uuid.to_string(), text);
        let mut wire = uuid.0;
        wire[..4].reverse();
        wire[4..6].reverse();
        wire[6..8].reverse();
        assert_eq!(Uuid::from_wire(wire, true), uuid);
        assert_eq!(Uuid::from_wire(uuid.0, false), uuid);
        for bad in ["", "e3514235", "e3514235-4b06-11d1-ab04-00c04fc2dcd", "g3514235-4b06-11d1-ab04-00c04fc2dcd2"] {
            assert_eq!(Uuid::parse(bad), None, "{bad}");
        }
    }
}
