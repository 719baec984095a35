//! Services: what a port means, and the index that finds what covers a port.
//!
//! Hands on names for ports. It must never know who may use them.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use crate::model::app::ProtoSet;
use crate::model::transport::Transport;

/// A service's place in [`Catalogue::services`](crate::catalogue::Catalogue::services).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct ServiceId(pub u16);

/// What a port means.
#[derive(Clone, PartialEq, Eq, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a key of the rule file, independent of the others")]
pub struct Service {
    /// The name used in rules and reports.
    pub id: String,
    /// The name for people.
    pub title: String,
    /// Where it listens.
    pub ports: Vec<Ports>,
    /// Whether its range of ports proves nothing: without word of the endpoint mapper a flow is covered "by range only".
    pub dynamic: bool,
    /// The protocols that its payload may be; empty if none of them is known here.
    pub speaks: ProtoSet,
    /// What silence over UDP means; nothing is said of it without.
    pub udp: Option<UdpHabit>,
    /// An unanswered UDP request that works over TCP on the same port soon after fell back, and was not blocked.
    pub tcp_twin: bool,
    /// Answers come from another port than was asked (TFTP, RFC 1350).
    pub replies_elsewhere: bool,
    /// Preferred where several services share a port.
    pub primary: bool,
    /// Between hosts of the site nothing else listens on its range: payload that is no RPC is unexpected there.
    pub exclusive: bool,
    /// It is the RPC endpoint mapper.
    pub mapper: bool,
}

/// Whether a datagram wants an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UdpHabit {
    /// Every request wants a reply, and silence for this long counts as none.
    RequestReply {
        /// How long to wait.
        timeout: Duration,
    },
    /// Sent without expecting any answer.
    OneWay,
}

/// Ports, both ends included; for a transport without ports 0 to 65535, which stands for no port at all.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct Ports {
    /// The transport.
    pub transport: Transport,
    /// The first port.
    pub low: u16,
    /// The last port.
    pub high: u16,
}

impl Ports {
    /// How many ports after the first.
    pub fn width(self) -> u16 {
        self.high.saturating_sub(self.low)
    }

    /// Whether the port of that transport is one of these; `port` does not matter where the transport has none.
    pub fn cover(self, transport: Transport, port: u16) -> bool {
        self.transport == transport && (!transport.has_ports() || (self.low..=self.high).contains(&port))
    }

    /// Reads `tcp/88`, `tcp/1024-65535` or `icmp`.
    ///
    /// # Errors
    /// A pair: what is wrong, and what to write instead.
    pub(crate) fn parse(text: &str) -> Result<Self, (String, Option<String>)> {
        let (name, numbers) = match text.split_once('/') {
            Some((name, numbers)) => (name, Some(numbers)),
            None => (text, None),
        };
        let form = || Some("write it as `tcp/88`, `udp/1024-65535` or `icmp`".to_owned());
        let Some(transport) = Transport::by_name(&name.to_ascii_lowercase()) else {
            return Err((format!("`{name}` is no transport"), form()));
        };
        let Some(numbers) = numbers else {
            if transport.has_ports() {
                return Err((format!("`{text}` names no port"), form()));
            }
            return Ok(Self { transport, low: 0, high: u16::MAX });
        };
        if !transport.has_ports() {
            return Err((format!("{transport} has no ports"), Some(format!("write `{transport}` alone"))));
        }
        let (low, high) = numbers.split_once('-').unwrap_or((numbers, numbers));
        let (low, high) = (Self::number(low)?, Self::number(high)?);
        if low > high {
            return Err((format!("`{text}` runs backwards"), Some(format!("write `{transport}/{high}-{low}`"))));
        }
        Ok(Self { transport, low, high })
    }

    fn number(text: &str) -> Result<u16, (String, Option<String>)> {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse::<u16>() {
            Ok(port) if digits && port > 0 => Ok(port),
            _ if digits => {
                let hint = "ports go from 1 to 65535; what the document prints belongs into `note`";
                Err((format!("`{text}` is no port"), Some(hint.to_owned())))
            }
            _ => Err((
                format!("`{text}` is no port number"),
                Some("write it as `tcp/88` or `tcp/1024-65535`".to_owned()),
            )),
        }
    }
}

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { transport, low, high } = self;
        if !transport.has_ports() {
            write!(f, "{transport}")
        } else if low == high {
            write!(f, "{transport}/{low}")
        } else {
            write!(f, "{transport}/{low}-{high}")
        }
    }
}

/// Finds everything that covers a port, in time that grows with the logarithm of what is stored plus what is found.
///
/// One search tree for each transport: its entries sorted by their first port, the middle of a stretch being its root,
/// with the highest last port of that stretch beside it.
#[derive(Debug, Default)]
pub(crate) struct PortIndex {
    trees: Vec<(Transport, Vec<Node>)>,
}

#[derive(Debug)]
struct Node {
    low: u16,
    high: u16,
    highest: u16,
    item: u32,
}

impl PortIndex {
    /// An index of items and the ports they have.
    pub(crate) fn new(items: impl IntoIterator<Item = (Ports, u32)>) -> Self {
        let mut items: Vec<(Ports, u32)> = items.into_iter().collect();
        items.sort_unstable();
        items.dedup();
        let trees = items.chunk_by(|(left, _), (right, _)| left.transport == right.transport).filter_map(|chunk| {
            let mut nodes: Vec<Node> = chunk
                .iter()
                .map(|&(ports, item)| Node { low: ports.low, high: ports.high, highest: ports.high, item })
                .collect();
            set_highest(&mut nodes);
            Some((chunk.first()?.0.transport, nodes))
        });
        Self { trees: trees.collect() }
    }

    /// Shows each item that covers the port. An item with several ranges over it is shown for each.
    pub(crate) fn at(&self, transport: Transport, port: u16, mut show: impl FnMut(u32)) {
        let port = if transport.has_ports() { port } else { 0 };
        if let Some((_, nodes)) = self.trees.iter().find(|(of, _)| *of == transport) {
            search(nodes, port, &mut show);
        }
    }
}

/// The middle of a stretch and the two halves beside it.
fn middle(length: usize) -> (usize, Range<usize>, Range<usize>) {
    let middle = length / 2;
    (middle, 0..middle, middle + 1..length)
}

fn set_highest(nodes: &mut [Node]) -> u16 {
    let (at, left, right) = middle(nodes.len());
    let below_left = nodes.get_mut(left).filter(|half| !half.is_empty()).map_or(0, set_highest);
    let below_right = nodes.get_mut(right).filter(|half| !half.is_empty()).map_or(0, set_highest);
    nodes.get_mut(at).map_or(0, |node| {
        node.highest = node.high.max(below_left).max(below_right);
        node.highest
    })
}

fn search(nodes: &[Node], port: u16, show: &mut impl FnMut(u32)) {
    let (at, left, right) = middle(nodes.len());
    let Some(node) = nodes.get(at).filter(|node| node.highest >= port) else { return };
    search(nodes.get(left).unwrap_or_default(), port, show);
    if node.low <= port {
        if node.high >= port {
            show(node.item);
        }
        search(nodes.get(right).unwrap_or_default(), port, show);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop here")]

    use super::*;

    #[test]
    fn ports_are_read_and_written_alike() {
        for text in ["tcp/88", "udp/1024-65535", "icmp", "gre", "esp", "ah", "sctp/9"] {
            assert_eq!(Ports::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Ports::parse("tcp/88-88").unwrap().to_string(), "tcp/88");
    }

    #[test]
    fn bad_ports_are_refused_with_a_reason() {
        for (text, what) in [
            ("tcp/0", "`0` is no port"),
            ("tcp/65536", "`65536` is no port"),
            ("tcp/9-1", "runs backwards"),
            ("tcp", "names no port"),
            ("icmp/8", "has no ports"),
            ("tpc/88", "no transport"),
            ("tcp/+88", "no port number"),
            ("tcp/", "no port number"),
            ("tcp/1-2-3", "no port number"),
            ("", "no transport"),
        ] {
            let (message, hint) = Ports::parse(text).unwrap_err();
            assert!(message.contains(what), "{text}: {message}");
            assert!(hint.is_some());
        }
        assert_eq!(Ports::parse("udp/5000-1025").unwrap_err().1.unwrap(), "write `udp/1025-5000`");
    }

    #[test]
    fn the_index_finds_what_a_plain_search_finds() {
        let mut state = 7u32;
        let mut next = |below: u32| {
            state = state.wrapping_mul(1_103_515_245).wrapping_add(12345);
            u16::try_from((state >> 8) % below).unwrap()
        };
        let items: Vec<(Ports, u32)> = (0..300)
            .map(|item| {
                let transport = if next(2) == 0 { Transport::Tcp } else { Transport::Udp };
                let low = next(2000);
                (Ports { transport, low, high: low + next(if item % 9 == 0 { 900 } else { 3 }) }, item)
            })
            .collect();
        let index = PortIndex::new(items.iter().copied());
        for port in 0..3000 {
            for transport in [Transport::Tcp, Transport::Udp, Transport::Icmp] {
                let mut found = Vec::new();
                index.at(transport, port, |item| found.push(item));
                found.sort_unstable();
                let plain: Vec<u32> =
                    items.iter().filter(|(ports, _)| ports.cover(transport, port)).map(|&(_, item)| item).collect();
                assert_eq!(found, plain, "{transport}/{port}");
            }
        }
    }
}
