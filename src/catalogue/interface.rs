//! RPC interfaces and their names.

/// An RPC interface by its UUID.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interface {
    /// The UUID in the order it is written, most significant byte first; on the wire the first three fields are
    /// usually little-endian (C706, appendix A).
    pub uuid: [u8; 16],
    /// Major and minor version; every version where there is none.
    pub version: Option<(u16, u16)>,
    /// The short name, as the documents write it.
    pub name: String,
    /// What it does.
    pub title: String,
    /// The document that defines it.
    pub source: String,
}

/// Reads `e3514235-4b06-11d1-ab04-00c04fc2dcd2`, in letters of either case.
pub(crate) fn parse_uuid(text: &str) -> Option<[u8; 16]> {
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
    Some(uuid)
}

/// Reads `4.0`.
pub(crate) fn parse_version(text: &str) -> Option<(u16, u16)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop here")]

    use super::*;

    #[test]
    fn uuids_are_read_in_written_order() {
        let uuid = parse_uuid("E3514235-4b06-11d1-ab04-00c04fc2dcd2").unwrap();
        assert_eq!(uuid[..4], [0xe3, 0x51, 0x42, 0x35]);
        assert_eq!(uuid[15], 0xd2);
        for bad in ["", "e3514235", "e3514235-4b06-11d1-ab04-00c04fc2dcd", "g3514235-4b06-11d1-ab04-00c04fc2dcd2"] {
            assert_eq!(parse_uuid(bad), None, "{bad}");
        }
        assert_eq!(parse_version("4.0"), Some((4, 0)));
        assert_eq!(parse_version("4"), None);
    }
}
