//! DNS over UDP and TCP, and the multicast protocols of the same format (RFC 1035, RFC 6762, RFC 4795); and what its
//! answers say of names.
//!
//! It hands on the part of the sender, and records of answers. It must never know ports, nor which names matter.

use crate::model::addr::Addr;
use crate::model::app::Speaker;
use crate::model::transport::Transport;
use crate::proto::Recognition;
use crate::proto::part::Part;
use crate::proto::part::Read;
use crate::proto::part::Stop;
use crate::proto::part::check;
use crate::proto::wire_name;

// Types of records.
const A: u16 = 1;
const NULL: u16 = 10;
const PTR: u16 = 12;
const AAAA: u16 = 28;
const NIMLOC: u16 = 32;
const SRV: u16 = 33;
const OPT: u16 = 41;

/// Bytes of the header.
const HEADER: usize = 12;
/// A name's length on the wire with all its length bytes (RFC 1035 section 2.3.4).
const NAME_MAX: usize = 255;
/// Pointers followed in one name; names with more than a few are made to waste time.
const JUMPS_MAX: u32 = 64;
/// How many records of a message that is not yet complete make it certain.
const ENOUGH: u32 = 2;

/// What the header says.
#[derive(Clone, Copy, Debug)]
struct Header {
    answers: bool,
    operation: u8,
    code: u8,
    questions: u16,
    /// Of all three sections.
    records: u32,
}

/// One message, and a place in it.
struct Message<'a> {
    bytes: &'a [u8],
    from: Part<'a>,
}

/// What a walk over a whole message came to.
struct Walked {
    questions_done: bool,
    records: u32,
    end: Read<()>,
}

/// Whether this is DNS. Certain if every name, question and record of the message ends where the next begins, and the
/// last where the message does.
pub fn recognise(transport: Transport, bytes: &[u8]) -> Recognition {
    opening(transport, bytes).unwrap_or_else(Recognition::from)
}

fn opening(transport: Transport, bytes: &[u8]) -> Read<Recognition> {
    let mut all = Part::open(bytes);
    let mut message = message(transport, &mut all)?;
    let header = message.header()?;
    let speaker = if header.answers { Speaker::Server } else { Speaker::Client };
    if header.questions == 0 && header.records == 0 {
        // A header alone is what a server returns that could not read the question.
        check(header.answers && header.code != 0 && message.from.at_hand().is_empty())?;
        return Ok(Recognition::Likely(speaker));
    }
    let walked = message.walk(header);
    // Unknown length means a datagram, all of it at hand unless the capture cut it.
    let left = if transport == Transport::Tcp { message.from.declared() } else { message.from.at_hand().len() };
    match walked.end {
        Ok(()) if left == 0 => Ok(Recognition::Certain(speaker)),
        Err(Stop::Short) if header.questions > 0 && walked.records >= ENOUGH => Ok(Recognition::Certain(speaker)),
        _ if header.questions > 0 && walked.questions_done => Ok(Recognition::Likely(speaker)),
        Ok(()) => Ok(Recognition::Likely(speaker)),
        Err(stop) => Err(stop),
    }
}

/// The next message: a datagram, or what stands behind two bytes of length in a stream.
fn message<'a>(transport: Transport, all: &mut Part<'a>) -> Read<Message<'a>> {
    let from = if transport == Transport::Tcp {
        let length = usize::from(all.be16()?);
        check(length >= HEADER)?;
        all.inner(length)?
    } else {
        *all
    };
    Ok(Message { bytes: from.at_hand(), from })
}

impl<'a> Message<'a> {
    fn header(&mut self) -> Read<Header> {
        let [_, _, high] = self.from.array()?;
        let answers = high & 0x80 != 0;
        let operation = high >> 3 & 0xf;
        // Query, inverse query, status, notify, update, stateful operations.
        check(matches!(operation, 0 | 1 | 2 | 4 | 5 | 6))?;
        let low = self.from.u8()?;
        // One bit is still reserved; a question has no result.
        check(low & 0x40 == 0)?;
        let code = low & 0xf;
        check(answers || code == 0)?;
        let [questions, records @ ..] = self.from.four_be16()?;
        let records = records.into_iter().map(u32::from).sum();
        // The smallest question has 5 bytes, the smallest record 11.
        check(u16::try_from(u32::from(questions) * 5 + records * 11).is_ok())?;
        Ok(Header { answers, operation, code, questions, records })
    }

    /// Reads everything behind the header without keeping it.
    fn walk(&mut self, header: Header) -> Walked {
        let mut walked = Walked { questions_done: false, records: 0, end: Ok(()) };
        for place in 0..header.questions {
            let question = self.question(place == 0);
            if question.is_err() {
                walked.end = question;
                return walked;
            }
        }
        walked.questions_done = true;
        for place in 0..header.records {
            let first = place == 0 && header.questions == 0;
            if let Err(stop) = self.record(first) {
                walked.end = Err(stop);
                return walked;
            }
            walked.records += 1;
        }
        walked
    }

    fn question(&mut self, first: bool) -> Read<()> {
        let start = self.from;
        self.name(None)?;
        let kind = self.from.be16()?;
        check(kind != 0)?;
        check(!(first && is_netbios(start.at_hand(), kind)))?;
        check(is_class(self.from.be16()?))
    }

    fn record(&mut self, first: bool) -> Read<()> {
        let start = self.from;
        self.name(None)?;
        let (kind, _, _) = self.record_body()?;
        check(!(first && is_netbios(start.at_hand(), kind)))
    }

    /// The type of a record, its class, and where its data begin.
    fn record_body(&mut self) -> Read<(u16, u16, Part<'a>)> {
        let kind = self.from.be16()?;
        let class = self.from.be16()?;
        // EDNS keeps a size in the place of the class.
        check(kind != 0 && (kind == OPT || is_class(class)))?;
        let _ttl = self.from.be32()?;
        let length = usize::from(self.from.be16()?);
        // Updates delete with records that have no data.
        check(match kind {
            A => matches!(length, 0 | 4),
            AAAA => matches!(length, 0 | 16),
            _ => true,
        })?;
        let start = self.from;
        self.from.take(length)?;
        Ok((kind, class, start))
    }

    /// Reads a name at the present place, and steps behind it.
    fn name(&mut self, out: Option<&mut String>) -> Read<()> {
        name(self.bytes, &mut self.from, out)
    }
}

/// Reads a name of `message` at `from`, following pointers, which may lead backwards only.
fn name<'a>(message: &'a [u8], from: &mut Part<'a>, mut out: Option<&mut String>) -> Read<()> {
    let (mut length, mut jumps) = (0, 0);
    let mut before = message.len() - from.at_hand().len().min(message.len());
    let mut here = *from;
    loop {
        match here.u8()? {
            0 => break,
            count @ 1..0x40 => {
                let label = here.take(usize::from(count))?;
                length += 1 + label.len();
                check(length < NAME_MAX)?;
                if let Some(out) = out.as_deref_mut() {
                    wire_name::push_label(out, label);
                }
            }
            high @ 0xc0.. => {
                let target = usize::from(u16::from_be_bytes([high & 0x3f, here.u8()?]));
                // What follows the name follows its first pointer.
                if jumps == 0 {
                    *from = here;
                }
                // Each pointer leads before the part that it ends, so no loop is possible.
                jumps += 1;
                check((HEADER..before).contains(&target) && jumps <= JUMPS_MAX)?;
                here = Part::whole(message.get(target..before).ok_or(Stop::Wrong)?);
                before = target;
            }
            _ => return Err(Stop::Wrong),
        }
    }
    if jumps == 0 {
        *from = here;
    }
    Ok(())
}

/// Internet, Chaos, Hesiod, none, any; the high bit is a flag of multicast DNS.
fn is_class(class: u16) -> bool {
    matches!(class & 0x7fff, 1 | 3 | 4 | 254 | 255)
}

/// Whether a name and its type are the `NetBIOS` name service's, whose messages are built alike: one long label of
/// half bytes as letters (RFC 1001 section 14.1), and other meanings for three types.
fn is_netbios(name: &[u8], kind: u16) -> bool {
    let label = name.split_first().filter(|(length, _)| **length == 32).and_then(|(_, rest)| rest.get(..32));
    let letters = label.map_or(0, |label| label.iter().filter(|byte| (b'A'..=b'P').contains(byte)).count());
    // A few damaged letters do not make it DNS.
    letters >= 24 && matches!(kind, NULL | NIMLOC | SRV)
}

/// What an answer says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fact {
    /// A record of class Internet, in any section of an answer to a query.
    Record {
        /// The name it is about, in lower case.
        owner: String,
        /// What it says.
        data: Data,
    },
    /// The answer's code, if not 0 (RFC 6895 section 2.3).
    Failed(u16),
}

/// What a record says. Of the many types, those that tell where hosts are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Data {
    /// The owner has this address (A, AAAA).
    Address(Addr),
    /// The owner is the name of an address in reverse (PTR), and this is the host.
    Pointer(String),
    /// The service that the owner names is offered there (SRV, RFC 2782).
    Service {
        /// The host that offers it.
        target: String,
        /// At which port.
        port: u16,
    },
}

/// Hands on what the answers of one end say.
///
/// # Errors
///
/// [`Stop::Short`] if more bytes could tell more, [`Stop::Wrong`] where a message contradicts itself.
pub fn facts(transport: Transport, bytes: &[u8], mut tell: impl FnMut(Fact)) -> Read<()> {
    let mut all = Part::open(bytes);
    if transport != Transport::Tcp {
        return answer(&mut message(transport, &mut all)?, &mut tell);
    }
    loop {
        answer(&mut message(transport, &mut all)?, &mut tell)?;
    }
}

fn answer(message: &mut Message<'_>, tell: &mut impl FnMut(Fact)) -> Read<()> {
    let header = message.header()?;
    if !header.answers {
        return Ok(());
    }
    if header.code != 0 {
        tell(Fact::Failed(u16::from(header.code)));
    }
    for place in 0..header.questions {
        message.question(place == 0)?;
    }
    if header.operation != 0 {
        return Ok(());
    }
    for _ in 0..header.records {
        let mut owner = String::new();
        message.name(Some(&mut owner))?;
        let (kind, class, mut start) = message.record_body()?;
        if class & 0x7fff != 1 {
            continue;
        }
        let data = match kind {
            A => Data::Address(Addr::v4(start.array()?)),
            AAAA => Data::Address(Addr::v6(start.array()?)),
            PTR => Data::Pointer(target(message.bytes, &mut start)?),
            SRV => {
                let _priority_and_weight = start.be32()?;
                let port = start.be16()?;
                Data::Service { target: target(message.bytes, &mut start)?, port }
            }
            _ => continue,
        };
        if let Some(owner) = wire_name::fits(owner) {
            tell(Fact::Record { owner, data });
        }
    }
    Ok(())
}

fn target<'a>(message: &'a [u8], from: &mut Part<'a>) -> Read<String> {
    let mut target = String::new();
    name(message, from, Some(&mut target))?;
    wire_name::fits(target).ok_or(Stop::Wrong)
}

/// The address whose reverse name this is (RFC 1035 section 3.5, RFC 3596 section 2.5).
pub fn reversed(name: &str) -> Option<Addr> {
    if let Some(numbers) = name.strip_suffix(".in-addr.arpa") {
        let mut bytes = [0; 4];
        let mut parts = numbers.split('.');
        for byte in bytes.iter_mut().rev() {
            *byte = parts.next()?.parse().ok()?;
        }
        return parts.next().is_none().then(|| Addr::v4(bytes));
    }
    let digits = name.strip_suffix(".ip6.arpa")?;
    let mut value: u128 = 0;
    let mut count: u32 = 0;
    for digit in digits.split('.') {
        let nibble = u8::from_str_radix(digit, 16).ok().filter(|_| digit.len() == 1 && count < 32)?;
        value |= u128::from(nibble) << (4 * count);
        count += 1;
    }
    (count == 32).then(|| Addr::v6(value.to_be_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::samples;

    fn records(transport: Transport, bytes: &[u8]) -> (Vec<Fact>, Read<()>) {
        let mut all = Vec::new();
        let end = facts(transport, bytes, |fact| all.push(fact));
        (all, end)
    }

    #[test]
    fn services_and_addresses_are_read() {
        let (facts, end) = records(Transport::Udp, &samples::DNS_SRV.bytes());
        let service = |target: &str| Fact::Record {
            owner: "_ldap._tcp.dc._msdcs.lab.test".to_owned(),
            data: Data::Service { target: target.to_owned(), port: 389 },
        };
        assert_eq!(facts, [service("dc1.lab.test"), service("dc2.lab.test")]);
        assert_eq!(end, Ok(()));

        let (facts, end) = records(Transport::Tcp, &samples::DNS_TCP.bytes());
        let address = Data::Address(Addr::v4([10, 10, 1, 10]));
        assert!(facts.iter().any(|fact| matches!(fact, Fact::Record { data, .. } if *data == address)), "{facts:?}");
        assert_eq!(end, Err(Stop::Short), "another message may follow");
    }

    #[test]
    fn a_question_says_nothing() {
        assert_eq!(records(Transport::Tcp, &samples::DNS_TCP_QUERY.bytes()).0, []);
    }

    #[test]
    fn pointers_lead_backwards_only() {
        let answer = |name: &[u8]| {
            let mut bytes = vec![0, 9, 0x85, 0x80, 0, 0, 0, 1, 0, 0, 0, 0];
            bytes.extend(name);
            bytes.extend([0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 10, 0, 0, 1]);
            records(Transport::Udp, &bytes)
        };
        assert_eq!(answer(&[1, b'a', 0]).1, Ok(()));
        assert_eq!(answer(&[0xc0, 12]), (vec![], Err(Stop::Wrong)), "to itself");
        assert_eq!(answer(&[0xc0, 14, 0xc0, 12]), (vec![], Err(Stop::Wrong)), "there and back");
        assert_eq!(answer(&[1, b'a', 0xc0, 12]), (vec![], Err(Stop::Wrong)), "to its own beginning");
        assert_eq!(answer(&[0xc0, 2]), (vec![], Err(Stop::Wrong)), "into the header");
        assert_eq!(answer(&[0x40, 1]), (vec![], Err(Stop::Wrong)), "an undefined kind of label");
    }

    #[test]
    fn reverse_names_are_addresses() {
        assert_eq!(reversed("10.1.10.10.in-addr.arpa"), Some(Addr::v4([10, 10, 1, 10])));
        assert_eq!(reversed("1.10.10.in-addr.arpa"), None);
        assert_eq!(reversed("1.1.10.10.10.in-addr.arpa"), None);
        let six = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.0.1.d.f.ip6.arpa";
        assert_eq!(reversed(six).map(|addr| addr.to_string()).as_deref(), Some("fd10:1::1"));
        assert_eq!(reversed("lab.test"), None);
    }
}
