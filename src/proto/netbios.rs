//! The `NetBIOS` name and datagram services (RFC 1001, RFC 1002), and who calls himself what in them.
//!
//! It hands on the part of the sender, and names with their suffixes. It must never know ports.

use crate::model::addr::Addr;
use crate::model::app::Speaker;
use crate::model::transport::Transport;
use crate::proto::Recognition;
use crate::proto::part::Part;
use crate::proto::part::Read;
use crate::proto::part::Stop;
use crate::proto::part::check;
use crate::proto::wire_name;

// Types of records of the name service (RFC 1002 section 4.2.1.3).
const NB: u16 = 0x20;
const NBSTAT: u16 = 0x21;

// Its operations (RFC 1002 section 4.2.1.1); 15 registers a host with several addresses.
const QUERY: u8 = 0;
const REGISTER: u8 = 5;
const REFRESH: [u8; 2] = [8, 9];
const REGISTER_MULTIHOMED: u8 = 15;

/// A name of fifteen characters, and the sixteenth byte that says what kind of name it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Name {
    /// The name, without the blanks at its end.
    pub text: String,
    /// The last byte.
    pub suffix: u8,
}

/// Whether this is the name service. Certain once a name, its type and its class have been read.
pub fn recognise_name(_transport: Transport, bytes: &[u8]) -> Recognition {
    name_service(bytes).unwrap_or_else(Recognition::from)
}

fn name_service(bytes: &[u8]) -> Read<Recognition> {
    let mut from = Part::open(bytes);
    let header = header(&mut from)?;
    encoded_name(&mut from)?;
    let kind = from.be16()?;
    check(if header.answers { matches!(kind, 1 | 2 | 0x0a | NB | NBSTAT) } else { matches!(kind, NB | NBSTAT) })?;
    check(from.be16()? == 1)?;
    let speaker = if header.answers { Speaker::Server } else { Speaker::Client };
    // Addresses and name servers are records of DNS too, whose names may look so.
    Ok(if matches!(kind, 1 | 2) { Recognition::Likely(speaker) } else { Recognition::Certain(speaker) })
}

struct Header {
    answers: bool,
    operation: u8,
    code: u8,
}

fn header(from: &mut Part<'_>) -> Read<Header> {
    let [_, _, high] = from.array()?;
    let (answers, operation) = (high & 0x80 != 0, high >> 3 & 0xf);
    check(matches!(operation, 0 | 5..=9 | 15))?;
    let low = from.u8()?;
    check(low & 0x60 == 0)?;
    // A request asks about one name; an answer is about one.
    let [questions, answered, redirected, further] = from.four_be16()?;
    check(questions <= 1 && answered <= 1 && redirected <= 1 && further <= 1)?;
    check(answers || questions == 1)?;
    Ok(Header { answers, operation, code: low & 0xf })
}

/// Whether this is the datagram service. Certain once the names in it have been read.
pub fn recognise_datagram(_transport: Transport, bytes: &[u8]) -> Recognition {
    datagram(bytes).map_or_else(Recognition::from, |(recognition, _)| recognition)
}

/// What a datagram is, and who says in it that he sent it.
fn datagram(bytes: &[u8]) -> Read<(Recognition, Option<(Addr, Name)>)> {
    let mut from = Part::open(bytes);
    let kind = from.u8()?;
    check((0x10..=0x16).contains(&kind))?;
    // Four bits of the flags are reserved; some senders set them.
    let _flags = from.u8()?;
    let _id = from.be16()?;
    let sender = from.array()?;
    let _port = from.be16()?;
    match kind {
        0x10..=0x12 => {
            let length = from.be16()?;
            // Two names of 34 bytes or more.
            check(length >= 68)?;
            let _offset = from.be16()?;
            let source = encoded_name(&mut from)?;
            encoded_name(&mut from)?;
            Ok((Recognition::Certain(Speaker::Either), Some((Addr::v4(sender), source))))
        }
        0x13 => {
            check((0x82..=0x84).contains(&from.u8()?))?;
            Ok((Recognition::Likely(Speaker::Server), None))
        }
        _ => {
            encoded_name(&mut from)?;
            let speaker = if kind == 0x14 { Speaker::Client } else { Speaker::Server };
            Ok((Recognition::Certain(speaker), None))
        }
    }
}

/// A name as all three services write it: half bytes as letters from A, then perhaps a scope (RFC 1001 section 14.1).
pub(crate) fn encoded_name(from: &mut Part<'_>) -> Read<Name> {
    check(from.u8()? == 32)?;
    let mut raw = [0; 16];
    for byte in &mut raw {
        let [high, low] = [from.u8()?, from.u8()?];
        check((b'A'..=b'P').contains(&high) && (b'A'..=b'P').contains(&low))?;
        *byte = (high - b'A') << 4 | (low - b'A');
    }
    let mut scope = 0;
    loop {
        match from.u8()? {
            0 => break,
            length @ 1..0x40 => {
                scope += 1 + from.take(usize::from(length))?.len();
                check(scope < 255 - 34)?;
            }
            _ => return Err(Stop::Wrong),
        }
    }
    let [name @ .., suffix] = &raw;
    Ok(Name { text: plain(name), suffix: *suffix })
}

/// The name without the blanks and zeros that fill it up.
fn plain(name: &[u8]) -> String {
    let end = name.iter().rposition(|byte| !matches!(byte, b' ' | 0)).map_or(0, |last| last + 1);
    wire_name::of_bytes(name.get(..end).unwrap_or_default()).unwrap_or_default()
}

/// What a message of the name or datagram service says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fact {
    /// Someone has this name.
    Name {
        /// The name.
        name: Name,
        /// Several hosts may have it.
        group: bool,
        /// Who; `None` means the sender.
        addr: Option<Addr>,
    },
    /// The answer's code, if not 0 (RFC 1002 section 4.2).
    Failed(u16),
}

/// Hands on what a message of the name service says: registrations, answers to queries, lists of a host's names.
///
/// # Errors
///
/// [`Stop::Short`] if the message is cut, [`Stop::Wrong`] if it is none; what stood before was handed on.
pub fn name_facts(bytes: &[u8], mut tell: impl FnMut(Fact)) -> Read<()> {
    let mut from = Part::open(bytes);
    let header = header(&mut from)?;
    let name = encoded_name(&mut from)?;
    let mut kind = from.be16()?;
    check(from.be16()? == 1)?;
    let registers =
        header.operation == REGISTER || header.operation == REGISTER_MULTIHOMED || REFRESH.contains(&header.operation);
    if header.answers && header.code != 0 {
        tell(Fact::Failed(u16::from(header.code)));
        return Ok(());
    }
    if !header.answers {
        if !registers {
            return Ok(());
        }
        // The record that follows the question points back to its name.
        check(from.be16()? & 0xc000 == 0xc000)?;
        kind = from.be16()?;
        check(from.be16()? == 1)?;
    } else if !registers && header.operation != QUERY {
        return Ok(());
    }
    let _ttl = from.be32()?;
    let length = usize::from(from.be16()?);
    let mut record = from.inner(length)?;
    match kind {
        NB => {
            while !record.is_end() {
                let group = record.be16()? & 0x8000 != 0;
                let addr = Addr::v4(record.array()?);
                tell(Fact::Name { name: name.clone(), group, addr: Some(addr) });
            }
        }
        NBSTAT => {
            for _ in 0..record.u8()? {
                let text = plain(record.take(15)?);
                let suffix = record.u8()?;
                let group = record.be16()? & 0x8000 != 0;
                tell(Fact::Name { name: Name { text, suffix }, group, addr: None });
            }
        }
        _ => {}
    }
    Ok(())
}

/// Hands on who says in a datagram that he sent it.
///
/// # Errors
///
/// [`Stop::Short`] if the message is cut, [`Stop::Wrong`] if it is none; what stood before was handed on.
pub fn datagram_facts(bytes: &[u8], mut tell: impl FnMut(Fact)) -> Read<()> {
    if let (_, Some((addr, name))) = datagram(bytes)? {
        tell(Fact::Name { name, group: false, addr: Some(addr) });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::samples;

    fn read(reader: fn(&[u8], &mut Vec<Fact>) -> Read<()>, sample: &samples::Sample) -> Vec<Fact> {
        let mut all = Vec::new();
        assert_eq!(reader(&sample.bytes(), &mut all), Ok(()));
        all
    }

    fn by_name(bytes: &[u8], all: &mut Vec<Fact>) -> Read<()> {
        name_facts(bytes, |fact| all.push(fact))
    }

    #[test]
    fn registrations_and_answers_are_read() {
        let named = |text: &str, suffix, group, addr| Fact::Name {
            name: Name { text: text.to_owned(), suffix },
            group,
            addr: Some(Addr::v4(addr)),
        };
        assert_eq!(read(by_name, &samples::NBNS_QUERY), []);
        assert_eq!(read(by_name, &samples::NBNS_ANSWER), [named("LAB", 0x1b, false, [10, 10, 1, 10])]);
        assert_eq!(read(by_name, &samples::NBNS_REGISTRATION), [named("DC2", 0x00, false, [10, 10, 1, 11])]);
        let by_datagram = |bytes: &[u8], all: &mut Vec<Fact>| datagram_facts(bytes, |fact| all.push(fact));
        assert_eq!(read(by_datagram, &samples::NBDS), [named("FS1", 0x20, false, [10, 0, 1, 20])]);
    }

    #[test]
    fn a_list_of_names_is_the_senders() {
        let mut bytes = samples::NBNS_QUERY.bytes()[..46].to_vec();
        bytes[2..8].copy_from_slice(&[0x84, 0, 0, 0, 0, 1]);
        bytes.extend([0, 0x21, 0, 1, 0, 0, 0, 0, 0, 37, 2]);
        bytes.extend(b"WS7            \x00\x04\x00");
        bytes.extend(b"LAB            \x00\x84\x00");
        let name =
            |text: &str, group| Fact::Name { name: Name { text: text.to_owned(), suffix: 0 }, group, addr: None };
        let mut all = Vec::new();
        assert_eq!(by_name(&bytes, &mut all), Ok(()));
        assert_eq!(all, [name("WS7", false), name("LAB", true)]);
        assert_eq!(recognise_name(Transport::Udp, &bytes), Recognition::Certain(Speaker::Server));
    }

    /// Found by damaging samples: an answer whose type is one of DNS as well.
    #[test]
    fn a_record_that_dns_has_too_is_likely_only() {
        let mut bytes = b"\x34\x47\x85\x80\0\0\0\x01\0\0\0\0\x20EMEBECCACACACACACACACACACACACABL\0".to_vec();
        bytes.extend(b"\0\x02\0\x01\0\x04\x93\xe0\0\x06\x44\0\x0a\x0a\x01\x0a");
        assert_eq!(recognise_name(Transport::Udp, &bytes), Recognition::Likely(Speaker::Server));
        bytes[47] = 0x20;
        assert_eq!(recognise_name(Transport::Udp, &bytes), Recognition::Certain(Speaker::Server));
    }
}
