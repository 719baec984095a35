//! RPC interfaces and their names.

use crate::model::uuid::Uuid;

/// An RPC interface by its UUID.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interface {
    /// The UUID.
    pub uuid: Uuid,
    /// Major and minor version; every version where there is none.
    pub version: Option<(u16, u16)>,
    /// The short name, as the documents write it.
    pub name: String,
    /// What it does.
    pub title: String,
    /// The document that defines it.
    pub source: String,
}

/// Reads `4.0`.
pub(crate) fn parse_version(text: &str) -> Option<(u16, u16)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_two_numbers() {
        assert_eq!(parse_version("4.0"), Some((4, 0)));
        assert_eq!(parse_version("4"), None);
    }
}
