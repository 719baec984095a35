//! BER as LDAP and Kerberos write it: one-byte tags, definite lengths (X.690 section 8.1).
//!
//! Lengths need not be minimal: Windows writes four bytes of length for everything. This file must never know what an
//! element means.

use crate::proto::part::Part;
use crate::proto::part::Read;
use crate::proto::part::Stop;
use crate::proto::part::check;

/// INTEGER.
pub(crate) const INTEGER: u8 = 0x02;
/// OCTET STRING.
pub(crate) const OCTETS: u8 = 0x04;
/// ENUMERATED.
pub(crate) const ENUMERATED: u8 = 0x0a;
/// `GeneralString`, which Kerberos writes all its names in.
pub(crate) const GENERAL_STRING: u8 = 0x1b;
/// SEQUENCE.
pub(crate) const SEQUENCE: u8 = 0x30;
/// SET.
pub(crate) const SET: u8 = 0x31;

/// The next element: its tag, and its content as a part of its own.
pub(crate) fn element<'a>(from: &mut Part<'a>) -> Read<(u8, Part<'a>)> {
    let tag = from.u8()?;
    check(tag & 0x1f != 0x1f)?;
    let length = match from.u8()? {
        short if short < 0x80 => usize::from(short),
        long @ 0x81..=0x84 => {
            from.take(usize::from(long & 0x7f))?.iter().fold(0, |length, byte| length << 8 | usize::from(*byte))
        }
        _ => return Err(Stop::Wrong),
    };
    Ok((tag, from.inner(length)?))
}

/// The content of the next element, which must have this tag. A first byte that is another tag is enough to refuse.
pub(crate) fn expect<'a>(from: &mut Part<'a>, tag: u8) -> Read<Part<'a>> {
    peek(from, tag)?;
    element(from).map(|(_, content)| content)
}

/// Refuses if the next byte is there and is not this tag.
pub(crate) fn peek(from: &Part<'_>, tag: u8) -> Read<()> {
    let mut ahead = *from;
    check(ahead.u8()? == tag)
}

/// The value of the next element, an integer of up to eight bytes behind this tag.
pub(crate) fn integer(from: &mut Part<'_>, tag: u8) -> Read<i64> {
    let mut content = expect(from, tag)?;
    check((1..=8).contains(&content.declared()))?;
    let bytes = content.take(content.declared())?;
    let negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
    Ok(bytes.iter().fold(if negative { -1 } else { 0 }, |value, byte| value << 8 | i64::from(*byte)))
}

/// The value of an integer that stands alone inside an element with the tag `outer`, as Kerberos numbers its fields.
pub(crate) fn numbered(from: &mut Part<'_>, outer: u8) -> Read<i64> {
    let mut field = expect(from, outer)?;
    let value = integer(&mut field, INTEGER)?;
    check(field.is_end())?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_every_form() {
        let read = |bytes: &[u8]| integer(&mut Part::open(bytes), INTEGER);
        assert_eq!(read(&[2, 1, 5]), Ok(5));
        assert_eq!(read(&[2, 0x84, 0, 0, 0, 2, 1, 0]), Ok(256));
        assert_eq!(read(&[2, 1, 0xff]), Ok(-1));
        assert_eq!(read(&[2, 2, 0]), Err(Stop::Short));
        assert_eq!(read(&[2, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0]), Err(Stop::Wrong));
        assert_eq!(read(&[2, 0x80]), Err(Stop::Wrong), "no indefinite lengths");
        assert_eq!(read(&[4]), Err(Stop::Wrong), "a wrong tag is enough");
        assert_eq!(read(&[]), Err(Stop::Short));
    }

    #[test]
    fn a_part_may_not_leave_its_whole() {
        let mut outer = expect(&mut Part::open(&[0x30, 3, 4, 2, 0, 0]), SEQUENCE).unwrap_or(Part::whole(&[]));
        assert_eq!(element(&mut outer).map(|(tag, _)| tag), Err(Stop::Wrong));
    }
}
