//! A flow as it is judged, and what it shows by itself.

use crate::catalogue::Catalogue;
use crate::classify::hosts::HostId;
use crate::classify::hosts::Hosts;
use crate::classify::ports::Meaning;
use crate::classify::ports::PortClass;
use crate::classify::ports::PortClasses;
use crate::classify::thresholds::PROBE_TTL_MAX;
use crate::classify::thresholds::SYN_HASTY_MS;
use crate::classify::verdict::DirBasis;
use crate::flow::icmp::IcmpMeaning;
use crate::flow::icmp::IcmpSeen;
use crate::flow::record::Began;
use crate::flow::record::Flow;
use crate::flow::record::rst;
use crate::flow::table::Stored;
use crate::learn::knowledge::Listener;
use crate::model::addr::Side;
use crate::model::transport::Transport;

/// A flow with its direction, and where to find what is known of its ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen<'a> {
    pub(crate) stored: Stored<'a>,
    pub(crate) client: HostId,
    pub(crate) server: HostId,
    /// That of the server's port.
    pub(crate) class: PortClass,
    /// The server's port.
    pub(crate) port: u16,
    pub(crate) orig: Side,
    pub(crate) dir_basis: DirBasis,
}

// A scan makes millions of them.
const _: () = assert!(size_of::<Seen<'_>>() <= 32);

impl<'a> Seen<'a> {
    /// Whether packets of one end were counted.
    #[inline]
    pub(crate) fn sent(&self, side: Side) -> bool {
        let (_, _, newest) = self.stored.order();
        newest[side.index()].is_some()
    }

    /// The host at one end.
    pub(crate) fn host(&self, side: Side) -> HostId {
        if side == self.orig { self.client } else { self.server }
    }

    /// SYNs or requests of the client, as [`tries`](crate::classify::judged::tries) counts them.
    pub(crate) fn tries(&self) -> u64 {
        match self.class.transport() {
            Transport::Tcp => u64::from(self.stored.syns(self.orig).max(1)),
            _ => self.stored.totals().packets[self.orig.index()].max(1),
        }
    }

    /// The ICMP error that says the client's packets did not arrive.
    #[inline]
    pub(crate) fn icmp(&self) -> Option<&'a IcmpSeen> {
        self.stored.icmp().filter(|icmp| icmp.about == self.orig)
    }
}

/// All flows in their order. What lies in the tables of later ones is asked for meanwhile, since the order of time is no
/// order of places.
pub(crate) fn ahead<'f, 'a>(flows: &'f [Seen<'a>]) -> impl Iterator<Item = &'f Seen<'a>> {
    flows.iter().enumerate().map(|(at, seen)| {
        if let Some(later) = flows.get(at + 2 * AHEAD) {
            later.stored.prefetch();
        }
        if let Some(later) = flows.get(at + AHEAD) {
            later.stored.prefetch_more();
        }
        seen
    })
}

/// How many flows lie between asking for one and looking at it: enough for memory to answer.
pub(crate) const AHEAD: usize = 8;

/// What numbers stand for.
pub(crate) struct About<'a> {
    pub(crate) catalogue: &'a Catalogue,
    pub(crate) hosts: &'a Hosts,
    pub(crate) classes: &'a PortClasses,
}

impl<'a> About<'a> {
    /// What the server's port means.
    #[inline]
    pub(crate) fn meaning(&self, seen: &Seen<'_>) -> Option<&'a Meaning> {
        self.classes.meaning(seen.class)
    }
}

/// Whether a flow that began with this time to live may have been to expire on its way.
pub(crate) fn may_be_probe(ttl: u8) -> bool {
    (1..=PROBE_TTL_MAX).contains(&ttl)
}

/// Whether an error tells of a packet that a traceroute lets expire, though its flow began otherwise: Windows gives all its
/// echo requests one identifier.
pub(crate) fn expired_on_purpose(flow: &Flow, orig: Side, icmp: Option<&IcmpSeen>) -> bool {
    let expired = icmp.is_some_and(|icmp| icmp.meaning() == IcmpMeaning::Loop);
    expired && flow.key.transport == Transport::Icmp && flow.ttl_varies(orig)
}

/// Whether the client repeats its SYN as if it were refused each time: soon, and no later the next time.
pub(crate) fn is_hasty(flow: &Flow, orig: Side) -> bool {
    let [first, last] = [flow.syn_first_gap_ms, flow.syn_gap_ms];
    flow.syns[orig.index()] > 1 && first.max(last) < SYN_HASTY_MS && last < first * 3 / 2
}

/// Whether what one end sent proves that it hears the other: it acknowledges after its SYN, its SYN-ACK was followed
/// by more, or its acknowledgements advance.
pub(crate) fn proves_reply(flow: &Flow, side: Side) -> bool {
    let me = side.index();
    let beyond_syn = flow.syns[me] > 0 && flow.acked(side);
    let beyond_synack = flow.synacks[me] > 0 && flow.packets[me] > u64::from(flow.synacks[me]);
    beyond_syn || beyond_synack || flow.ack_advanced(side)
}

/// Whether a flow answered, and nobody was told while it was counted: caught in the middle, or turned round since.
pub(crate) fn untold(flow: &Flow, orig: Side) -> bool {
    let midway = flow.key.transport == Transport::Tcp || flow.began != orig;
    let one_way = flow.began_by == Began::SynAck && proves_reply(flow, orig.other());
    flow.began_by != Began::Syn && midway && (replied(flow, orig) || one_way)
}

/// Whether the server said something: of a connection caught in the middle, a RST alone means that it knows none.
pub(crate) fn replied(flow: &Flow, orig: Side) -> bool {
    let server = orig.other().index();
    let only_rst = flow.began_by != Began::Syn && rst(flow.flags[server]) && flow.payload[server] == 0;
    both_ways(flow) && !only_rst
}

/// Whether packets of both ends were captured.
pub(crate) fn both_ways(flow: &Flow) -> bool {
    flow.packets[0] > 0 && flow.packets[1] > 0
}

/// The server's place in a flow whose client is at `orig`.
pub(crate) fn listener_of(flow: &Flow, orig: Side) -> Listener {
    let resp = flow.key.end(orig.other());
    let port = if flow.key.transport.has_ports() { resp.port } else { 0 };
    Listener { addr: resp.addr, transport: flow.key.transport, port }
}
