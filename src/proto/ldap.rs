//! LDAP over TCP and UDP (RFC 4511), and what a search told about the server.
//!
//! It hands on the part of the sender, and the attributes of entries. It must never know ports, nor what a name that
//! it read is good for.

use crate::model::app::Speaker;
use crate::model::transport::Transport;
use crate::proto::Recognition;
use crate::proto::ber;
use crate::proto::part::Part;
use crate::proto::part::Read;
use crate::proto::part::Stop;
use crate::proto::part::check;

// The tags of the operations (RFC 4511 section 4.2 to 4.14).
const BIND_REQUEST: u8 = 0x60;
const BIND_RESPONSE: u8 = 0x61;
const UNBIND: u8 = 0x42;
const SEARCH: u8 = 0x63;
const ENTRY: u8 = 0x64;
const SEARCH_DONE: u8 = 0x65;
const MODIFY: u8 = 0x66;
const MODIFIED: u8 = 0x67;
const ADD: u8 = 0x68;
const ADDED: u8 = 0x69;
const DELETE: u8 = 0x4a;
const DELETED: u8 = 0x6b;
const RENAME: u8 = 0x6c;
const RENAMED: u8 = 0x6d;
const COMPARE: u8 = 0x6e;
const COMPARED: u8 = 0x6f;
const ABANDON: u8 = 0x50;
const REFERENCE: u8 = 0x73;
const EXTENDED: u8 = 0x77;
const EXTENDED_RESPONSE: u8 = 0x78;
const INTERMEDIATE: u8 = 0x79;

/// The ways to bind: simple, SASL, and the three of Sicily, which Windows still offers (MS-ADTS section 5.1.1.1.3).
const BIND_WAYS: [u8; 5] = [0x80, 0xa3, 0x89, 0x8a, 0x8b];

/// The capability that a server has if it is a domain controller of Active Directory (MS-ADTS section 3.1.1.3.4.3.1).
pub const ACTIVE_DIRECTORY: &[u8] = b"1.2.840.113556.1.4.800";

/// How long the first token met of a SASL layer may be: 1 MiB. Peers may agree to more, and rarely use it.
const SASL_MAX: u32 = 1 << 20;

/// Whether this is LDAP. Certain once the first operation's own first fields have been read.
pub fn recognise(transport: Transport, bytes: &[u8]) -> Recognition {
    let first = match bytes.first() {
        Some(0) if transport == Transport::Tcp => protected(bytes),
        _ => message(transport, bytes),
    };
    first.unwrap_or_else(Recognition::from)
}

fn message(transport: Transport, bytes: &[u8]) -> Read<Recognition> {
    let mut message = ber::expect(&mut Part::open(bytes), ber::SEQUENCE)?;
    let id = ber::integer(&mut message, ber::INTEGER)?;
    check((0..=i64::from(i32::MAX)).contains(&id))?;
    let (tag, mut content) = ber::element(&mut message)?;
    // Without a connection there is nothing but searching, and giving up a search (MS-ADTS section 3.1.1.3.2).
    check(transport == Transport::Tcp || matches!(tag, SEARCH | ENTRY | SEARCH_DONE | ABANDON | REFERENCE))?;
    let speaker = match tag {
        BIND_REQUEST => {
            let version = ber::integer(&mut content, ber::INTEGER)?;
            check((1..=127).contains(&version))?;
            ber::expect(&mut content, ber::OCTETS)?;
            check(BIND_WAYS.contains(&content.u8()?))?;
            Speaker::Client
        }
        SEARCH => {
            ber::expect(&mut content, ber::OCTETS)?;
            // Scope, and how aliases are followed.
            check((0..=3).contains(&ber::integer(&mut content, ber::ENUMERATED)?))?;
            check((0..=3).contains(&ber::integer(&mut content, ber::ENUMERATED)?))?;
            Speaker::Client
        }
        MODIFY | ADD | COMPARE => {
            ber::expect(&mut content, ber::OCTETS)?;
            ber::peek(&content, ber::SEQUENCE)?;
            Speaker::Client
        }
        RENAME => {
            ber::expect(&mut content, ber::OCTETS)?;
            ber::peek(&content, ber::OCTETS)?;
            Speaker::Client
        }
        EXTENDED => {
            ber::peek(&content, 0x80)?;
            Speaker::Client
        }
        UNBIND => {
            check(content.is_end())?;
            Speaker::Client
        }
        ABANDON => {
            check((1..=5).contains(&content.declared()))?;
            Speaker::Client
        }
        DELETE => {
            check(!content.is_end())?;
            return Ok(Recognition::Likely(Speaker::Client));
        }
        BIND_RESPONSE | SEARCH_DONE | MODIFIED | ADDED | DELETED | RENAMED | COMPARED | EXTENDED_RESPONSE => {
            check(ber::integer(&mut content, ber::ENUMERATED)? >= 0)?;
            ber::peek(&content, ber::OCTETS)?;
            Speaker::Server
        }
        ENTRY => {
            ber::expect(&mut content, ber::OCTETS)?;
            ber::peek(&content, ber::SEQUENCE)?;
            Speaker::Server
        }
        REFERENCE => {
            ber::peek(&content, ber::OCTETS)?;
            Speaker::Server
        }
        INTERMEDIATE => return Ok(Recognition::Likely(Speaker::Server)),
        _ => return Err(Stop::Wrong),
    };
    Ok(Recognition::Certain(speaker))
}

/// What a conversation looks like that is met after its SASL bind: a length, then a sealed token. Other protocols have
/// such a layer too, so it is never certain.
fn protected(bytes: &[u8]) -> Read<Recognition> {
    let mut all = Part::open(bytes);
    let length = all.be32()?;
    check((16..SASL_MAX).contains(&length))?;
    let mut token = all.inner(length.try_into().map_err(|_| Stop::Wrong)?)?;
    match token.u8()? {
        // Kerberos (RFC 4121 section 4.2.6.2): the flags tell who sealed it.
        5 => {
            check(token.u8()? == 4)?;
            let flags = token.u8()?;
            check(flags & !7 == 0 && token.u8()? == 0xff)?;
            Ok(Recognition::Likely(if flags & 1 == 0 { Speaker::Client } else { Speaker::Server }))
        }
        // NTLM (MS-NLMP section 2.2.2.9): version 1, checksum, a number that counts from 0.
        1 => {
            check(token.take(3)? == [0; 3])?;
            token.take(8)?;
            check(token.le32()? <= 0xffff)?;
            Ok(Recognition::Likely(Speaker::Either))
        }
        // Kerberos as RFC 1964 section 1.2 wraps it: the mechanism's own number.
        0x60 => {
            let mut outer = all_from(bytes)?;
            let mut wrapped = ber::expect(&mut outer, 0x60)?;
            let mechanism = ber::expect(&mut wrapped, 0x06)?;
            check(mechanism.rest()? == [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 1, 2, 2])?;
            check(wrapped.be16()? == 0x0201)?;
            Ok(Recognition::Likely(Speaker::Either))
        }
        _ => Err(Stop::Wrong),
    }
}

/// The token behind the length.
fn all_from(bytes: &[u8]) -> Read<Part<'_>> {
    let mut all = Part::open(bytes);
    let length = all.be32()?;
    all.inner(length.try_into().map_err(|_| Stop::Wrong)?)
}

/// What is read of the first messages of one end.
#[derive(Debug)]
pub enum Fact<'a> {
    /// An attribute of a search's entry: the entry's own name, the attribute's, one of its values.
    Value {
        /// The entry's distinguished name; empty for the root of the server's own description.
        entry: &'a [u8],
        /// The attribute's name, as written.
        attribute: &'a [u8],
        /// One value.
        value: &'a [u8],
    },
    /// How an operation other than a search ended, if not with success (RFC 4511 appendix A).
    Failed(u16),
}

/// Reads message after message and hands on what they tell.
///
/// # Errors
///
/// [`Stop::Short`] if more bytes could tell more, [`Stop::Wrong`] where something else than LDAP follows, such as TLS.
pub fn facts<'a>(bytes: &'a [u8], mut tell: impl FnMut(Fact<'a>)) -> Read<()> {
    let mut all = Part::open(bytes);
    loop {
        let mut message = ber::expect(&mut all, ber::SEQUENCE)?;
        ber::integer(&mut message, ber::INTEGER)?;
        let (tag, mut content) = ber::element(&mut message)?;
        match tag {
            ENTRY => entry(&mut content, &mut tell)?,
            BIND_RESPONSE | SEARCH_DONE | EXTENDED_RESPONSE => {
                let code = ber::integer(&mut content, ber::ENUMERATED)?;
                // 14 asks for the next step of a bind; it is no failure.
                if let Ok(code @ 1..) = u16::try_from(code)
                    && code != 14
                {
                    tell(Fact::Failed(code));
                }
            }
            _ => {}
        }
    }
}

fn entry<'a>(content: &mut Part<'a>, tell: &mut impl FnMut(Fact<'a>)) -> Read<()> {
    let entry = ber::expect(content, ber::OCTETS)?.rest()?;
    let mut attributes = ber::expect(content, ber::SEQUENCE)?;
    while !attributes.is_end() {
        let mut pair = ber::expect(&mut attributes, ber::SEQUENCE)?;
        let attribute = ber::expect(&mut pair, ber::OCTETS)?.rest()?;
        let mut values = ber::expect(&mut pair, ber::SET)?;
        while !values.is_end() {
            let value = ber::expect(&mut values, ber::OCTETS)?.rest()?;
            tell(Fact::Value { entry, attribute, value });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::samples;

    #[test]
    fn the_root_entry_is_read() {
        let mut values = Vec::new();
        let bytes = samples::LDAP_ROOT.bytes();
        let end = facts(&bytes, |fact| {
            if let Fact::Value { entry: b"", attribute, value } = fact {
                values.push((String::from_utf8_lossy(attribute), String::from_utf8_lossy(value)));
            }
        });
        assert_eq!(values, [("defaultNamingContext".into(), "DC=lab,DC=test".into())]);
        assert_eq!(end, Err(Stop::Short));
    }

    #[test]
    fn failures_are_told_from_steps() {
        let codes = |bytes: &[u8]| {
            let mut codes = Vec::new();
            let _ = facts(bytes, |fact| {
                if let Fact::Failed(code) = fact {
                    codes.push(code);
                }
            });
            codes
        };
        let bind_answer = |code| [0x30, 12, 2, 1, 1, 0x61, 7, 10, 1, code, 4, 0, 4, 0];
        assert_eq!(codes(&bind_answer(49)), [49], "invalid credentials");
        assert_eq!(codes(&bind_answer(14)), [0; 0], "the bind goes on");
        assert_eq!(codes(&bind_answer(0)), [0; 0]);
    }

    #[test]
    fn what_a_security_layer_carries_is_likely_at_most() {
        let over_tcp = |bytes: &[u8]| recognise(Transport::Tcp, bytes);
        let by = |flags| over_tcp(&[0, 0, 0, 60, 5, 4, flags, 0xff, 0, 0, 0, 12]);
        assert_eq!(by(6), Recognition::Likely(Speaker::Client));
        assert_eq!(by(7), Recognition::Likely(Speaker::Server));
        assert_eq!(by(8), Recognition::NotForUs);
        let mut ntlm = vec![0, 0, 0, 60, 1, 0, 0, 0];
        ntlm.extend([0xaa; 8]);
        ntlm.extend([3, 0, 0, 0]);
        assert_eq!(over_tcp(&ntlm), Recognition::Likely(Speaker::Either));
        assert_eq!(over_tcp(&ntlm[..10]), Recognition::NeedMore);
        assert_eq!(recognise(Transport::Udp, &ntlm), Recognition::NotForUs);
    }

    #[test]
    fn snmp_is_not_ldap() {
        // Version, then a community instead of an operation.
        assert_eq!(message(Transport::Tcp, &[0x30, 12, 2, 1, 1, 4, 6, b'p', b'u', b'b']), Err(Stop::Wrong));
    }
}
