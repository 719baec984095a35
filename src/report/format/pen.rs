//! Writes values as JSON into a buffer, for what a report has millions of.

use std::io::Write;
use std::net::IpAddr;

use crate::report::moment::Moment;
use crate::report::names::Party;

/// A number.
#[inline]
pub(crate) fn number(out: &mut Vec<u8>, number: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    let mut rest = number;
    loop {
        at -= 1;
        if let (Some(place), Ok(digit)) = (digits.get_mut(at), u8::try_from(rest % 10)) {
            *place = b'0' + digit;
        }
        rest /= 10;
        if rest == 0 || at == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(at..).unwrap_or_default());
}

/// Text in quotes (RFC 8259 section 7).
#[inline]
pub(crate) fn text(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    if text.bytes().any(|byte| byte < b' ' || byte == b'"' || byte == b'\\') {
        escaped(out, text);
    } else {
        out.extend_from_slice(text.as_bytes());
    }
    out.push(b'"');
}

#[cold]
fn escaped(out: &mut Vec<u8>, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            0..0x20 => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                let digit = |nibble: u8| HEX.get(usize::from(nibble)).copied().unwrap_or(b'0');
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 15)]);
            }
            _ => out.push(byte),
        }
    }
}

/// A host's address in quotes, or `"*"`.
#[inline]
pub(crate) fn party(out: &mut Vec<u8>, party: Party) {
    out.push(b'"');
    match party {
        Party::Many => out.push(b'*'),
        Party::One(addr) => match addr.ip() {
            IpAddr::V4(v4) => {
                let [first, rest @ ..] = v4.octets();
                number(out, u64::from(first));
                for byte in rest {
                    out.push(b'.');
                    number(out, u64::from(byte));
                }
            }
            // Writing into memory does not fail.
            IpAddr::V6(v6) => write!(out, "{v6}").unwrap_or_default(),
        },
    }
    out.push(b'"');
}

/// A time in quotes, or `null`.
#[inline]
pub(crate) fn moment(out: &mut Vec<u8>, moment: Option<Moment>) {
    let Some(moment) = moment else {
        out.extend_from_slice(b"null");
        return;
    };
    out.push(b'"');
    out.extend_from_slice(&moment.digits());
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop here")]

    use super::*;
    use crate::model::addr::Addr;

    #[test]
    fn values_are_written_as_the_library_writes_them() {
        let mut out = Vec::new();
        let mut expected = Vec::new();
        for value in [0, 9, 10, 65_535, 1 << 32, u64::MAX] {
            number(&mut out, value);
            serde_json::to_writer(&mut expected, &value).unwrap();
        }
        let all: String = (0..0x250u32).filter_map(char::from_u32).collect();
        for value in ["", "tcp/8080", "a\"b\\c", all.as_str()] {
            text(&mut out, value);
            serde_json::to_writer(&mut expected, value).unwrap();
        }
        let v6 = Addr::from("2001:db8::10.0.0.1".parse::<IpAddr>().unwrap());
        for value in [Party::Many, Party::One(Addr::v4([10, 0, 200, 7])), Party::One(v6)] {
            party(&mut out, value);
            serde_json::to_writer(&mut expected, &value).unwrap();
        }
        assert_eq!(String::from_utf8(out).unwrap(), String::from_utf8(expected).unwrap());
    }
}
