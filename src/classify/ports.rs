//! Ports that no document tells apart are one: what the catalogue says of a flow's port is looked up once for all of
//! them.

use crate::catalogue::Catalogue;
use crate::catalogue::service::Ports;
use crate::catalogue::service::ServiceId;
use crate::model::transport::Transport;

const TRANSPORTS: &[Transport] =
    &[Transport::Tcp, Transport::Udp, Transport::Sctp, Transport::Icmp, Transport::Gre, Transport::Esp, Transport::Ah];

/// A stretch of ports of one transport: the place of that in [`TRANSPORTS`] in the top bits, its own in [`PortClasses`]
/// below.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct PortClass(u32);

const PLACE_BITS: u32 = 24;

impl PortClass {
    /// The transport.
    #[inline]
    pub(crate) fn transport(self) -> Transport {
        TRANSPORTS.get((self.0 >> PLACE_BITS) as usize).copied().unwrap_or(Transport::Tcp)
    }

    /// A place for each port of each transport.
    #[inline]
    pub(crate) fn port_place(self, port: u16) -> usize {
        ((self.0 >> PLACE_BITS) as usize) << 16 | usize::from(port)
    }

    fn place(self) -> usize {
        (self.0 & ((1 << PLACE_BITS) - 1)) as usize
    }
}

/// What the catalogue says of the ports of a class.
#[derive(Debug)]
pub(crate) struct Meaning {
    pub(crate) transport: Transport,
    /// One of the ports; 0 where the transport has none.
    pub(crate) port: u16,
    /// The best name for them.
    pub(crate) service: Option<ServiceId>,
    /// The same, if it says more than that the ports lie in a wide range.
    pub(crate) named: Option<ServiceId>,
    /// They lie where Windows gives ports to RPC alone.
    pub(crate) of_rpc_alone: bool,
    /// Services over these ports that rows name as companions of others.
    pub(crate) parents: Vec<ServiceId>,
    /// Whether a row allows these ports beside such a companion.
    pub(crate) accompanied: bool,
}

/// All ports of all transports, each in its class.
#[derive(Debug)]
pub(crate) struct PortClasses {
    /// For each transport its first class, and for each of its ports how far from that the port's own class is.
    transports: Vec<(u32, Vec<u16>)>,
    meanings: Vec<Meaning>,
}

impl PortClasses {
    /// The classes that a catalogue tells apart.
    pub(crate) fn new(catalogue: &Catalogue) -> Self {
        let services = catalogue.services().iter().flat_map(|service| &service.ports);
        let rows = catalogue.rows().iter().flat_map(|row| &row.ports);
        let told: Vec<Ports> = services.chain(rows).copied().collect();
        let mut parents: Vec<ServiceId> = catalogue.rows().iter().flat_map(|row| row.related.iter().copied()).collect();
        parents.sort_unstable();
        parents.dedup();
        let mut classes = Self { transports: Vec::new(), meanings: Vec::new() };
        for &transport in TRANSPORTS {
            let first = u32::try_from(classes.meanings.len()).unwrap_or(u32::MAX);
            let starts = if transport.has_ports() { starts(transport, &told) } else { vec![0] };
            let ends = starts.iter().skip(1).map(|&next| usize::from(next)).chain([1 << 16]);
            let mut steps = Vec::new();
            for ((step, &start), end) in (0..).zip(&starts).zip(ends) {
                if transport.has_ports() {
                    steps.resize(end, step);
                }
                classes.meanings.push(Meaning::of(catalogue, &parents, transport, start));
            }
            classes.transports.push((first, steps));
        }
        classes
    }

    /// The class of a port; `port` does not matter where the transport has none.
    #[inline]
    pub(crate) fn of(&self, transport: Transport, port: u16) -> PortClass {
        let at: u32 = match transport {
            Transport::Tcp => 0,
            Transport::Udp => 1,
            Transport::Sctp => 2,
            Transport::Icmp => 3,
            Transport::Gre => 4,
            Transport::Esp => 5,
            Transport::Ah => 6,
        };
        let Some((first, steps)) = self.transports.get(at as usize) else { return PortClass(0) };
        let place = first + steps.get(usize::from(port)).map_or(0, |&step| u32::from(step));
        PortClass(at << PLACE_BITS | place)
    }

    /// What the ports of a class mean.
    #[inline]
    pub(crate) fn meaning(&self, class: PortClass) -> Option<&Meaning> {
        self.meanings.get(class.place())
    }
}

impl Meaning {
    fn of(catalogue: &Catalogue, parents: &[ServiceId], transport: Transport, port: u16) -> Self {
        let service = catalogue.service_at(transport, port);
        let cover = |ports: &[Ports]| ports.iter().any(|ports| ports.cover(transport, port));
        Self {
            transport,
            port,
            service,
            named: service.filter(|service| !catalogue.service(*service).dynamic),
            of_rpc_alone: catalogue.services().iter().any(|service| service.exclusive && cover(&service.ports)),
            parents: parents.iter().copied().filter(|parent| cover(&catalogue.service(*parent).ports)).collect(),
            accompanied: catalogue.rows().iter().any(|row| !row.related.is_empty() && cover(&row.ports)),
        }
    }
}

/// Where the documents begin to say something else, the first port among them.
fn starts(transport: Transport, told: &[Ports]) -> Vec<u16> {
    let own = told.iter().filter(|ports| ports.transport == transport);
    let edges = own.flat_map(|ports| [Some(ports.low), ports.high.checked_add(1)]).flatten();
    let mut starts: Vec<u16> = edges.chain([0]).collect();
    starts.sort_unstable();
    starts.dedup();
    starts
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop here")]

    use super::*;
    use crate::catalogue::LoadOptions;
    use crate::catalogue::load;
    use crate::catalogue::role::RoleSet;

    #[test]
    fn a_class_means_what_each_of_its_ports_means() {
        let catalogue = load(&LoadOptions::default()).unwrap();
        let classes = PortClasses::new(&catalogue);
        for &transport in TRANSPORTS {
            let last = if transport.has_ports() { u16::MAX } else { 0 };
            for port in (0..=last).filter(|port| *port < 4096 || port % 97 == 0 || *port > 65_500) {
                let meaning = classes.meaning(classes.of(transport, port)).unwrap();
                assert_eq!(meaning.service, catalogue.service_at(transport, port), "{transport}/{port}");
                let judged = |port| catalogue.judge(RoleSet::EMPTY, RoleSet::EMPTY, transport, port);
                assert_eq!(judged(meaning.port), judged(port), "{transport}/{port}");
            }
        }
    }
}
