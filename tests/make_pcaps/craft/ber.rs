//! Just enough of BER (X.690) to write LDAP and Kerberos messages: definite lengths only.

/// A tag, its length and the parts one after another.
pub(crate) fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let mut out = vec![tag];
    if let Ok(short @ 0..=127) = u8::try_from(body.len()) {
        out.push(short);
    } else {
        out.push(0x82);
        out.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
    }
    out.extend(body);
    out
}

/// INTEGER.
pub(crate) fn int(n: u32) -> Vec<u8> {
    number(0x02, n)
}

/// ENUMERATED.
pub(crate) fn enumerated(n: u32) -> Vec<u8> {
    number(0x0a, n)
}

/// OCTET STRING.
pub(crate) fn octets(bytes: &[u8]) -> Vec<u8> {
    tlv(0x04, &[bytes])
}

/// `GeneralString` (the strings of Kerberos).
pub(crate) fn general(text: &str) -> Vec<u8> {
    tlv(0x1b, &[text.as_bytes()])
}

/// SEQUENCE.
pub(crate) fn seq(parts: &[&[u8]]) -> Vec<u8> {
    tlv(0x30, parts)
}

fn number(tag: u8, n: u32) -> Vec<u8> {
    let bytes = n.to_be_bytes();
    // The shortest form that keeps the sign bit clear.
    let skip = bytes.iter().take_while(|byte| **byte == 0).count().min(3);
    let shortest = bytes.get(skip..).unwrap();
    let sign: &[u8] = if shortest.first().is_some_and(|byte| byte & 0x80 != 0) { &[0] } else { &[] };
    tlv(tag, &[sign, shortest])
}
