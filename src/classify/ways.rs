//! Which ways of packets the capture sees: the one-way gate.

use std::collections::HashMap;
use std::collections::HashSet;

use foldhash::quality::RandomState;

use crate::classify::hosts::HostId;
use crate::classify::hosts::Marked;
use crate::classify::seen::Seen;
use crate::classify::thresholds::ONE_WAY_LASTS;
use crate::flow::record::Flow;
use crate::model::addr::Side;
use crate::model::time::Timestamp;
use crate::model::transport::Transport;

type Map<K, V> = HashMap<K, V, RandomState>;

/// What tells whether the way back of a pair is captured.
#[derive(Clone, Copy, Debug, Default)]
struct OneWay {
    /// The first packet of the flows that show that it is not.
    from: Timestamp,
    /// The last one.
    until: Timestamp,
    /// The last packet that came back all the same, if any did.
    seen: Timestamp,
}

/// The ways between all hosts.
#[derive(Debug, Default)]
pub(crate) struct Ways {
    /// Most of the capture shows one direction only.
    pub(crate) asymmetric: bool,
    /// Hosts of which a packet was captured.
    spoke: Marked,
    /// Hosts to which one was.
    reached: Marked,
    /// A client proves that it hears these hosts, and the flow shows no packet of them.
    must_have_spoken: Marked,
    /// Client to server pairs with flows in which the client hears the server, and nothing of it was captured.
    one_way: Map<(HostId, HostId), OneWay>,
    /// The last packet of all such flows.
    one_way_until: Timestamp,
    /// In an asymmetric capture, the (server, client) ways that were captured, and until when.
    visible: Map<(HostId, HostId), Timestamp>,
    /// Ways that may not be captured, and that datagrams of the server were seen to take.
    of_datagrams: HashSet<(HostId, HostId), RandomState>,
}

impl Ways {
    /// Notes that a packet of a host was captured.
    pub(crate) fn spoke(&mut self, host: HostId) {
        self.spoke.add(host);
    }

    /// Notes that a packet to a host was captured.
    pub(crate) fn reached(&mut self, host: HostId) {
        self.reached.add(host);
    }

    /// Whether nothing to this host was captured: what it is told may not be in the capture at all.
    pub(crate) fn deaf(&self, host: HostId) -> bool {
        !self.reached.has(host)
    }

    /// Notes a flow in which a client hears a server of which nothing was captured.
    pub(crate) fn hears_unseen(&mut self, client: HostId, server: HostId, flow: &Flow) {
        let new = OneWay { from: flow.first, ..OneWay::default() };
        let pair = self.one_way.entry((client, server)).or_insert(new);
        pair.from = pair.from.min(flow.first);
        pair.until = pair.until.max(flow.last_seen());
        self.one_way_until = self.one_way_until.max(pair.until);
        self.must_have_spoken.add(server);
    }

    /// Whether it matters what was captured of whom.
    pub(crate) fn is_asked(&self) -> bool {
        self.asymmetric || !self.one_way.is_empty()
    }

    /// Notes what was captured of one end of a flow.
    #[inline]
    pub(crate) fn note(&mut self, [sender, receiver]: [HostId; 2], side: Side, seen: &Seen<'_>) {
        // What the server begins itself may pass a filter by ports that keeps its answers away.
        if side == seen.orig {
            return;
        }
        let mut doubted = self.asymmetric;
        if !self.one_way.is_empty()
            && let Some(pair) = self.one_way.get_mut(&(receiver, sender))
        {
            pair.seen = pair.seen.max(seen.stored.last(side));
            doubted = true;
        }
        if self.asymmetric {
            let until = self.visible.entry((sender, receiver)).or_default();
            *until = (*until).max(seen.stored.last(side));
        }
        if doubted && seen.class.transport() == Transport::Udp {
            self.of_datagrams.insert((sender, receiver));
        }
    }

    /// Whether anything of a host was captured.
    pub(crate) fn heard(&self, host: HostId) -> bool {
        self.spoke.has(host)
    }

    /// Whether the way from server back to client is invisible in this capture, or was at that time.
    fn reverse_invisible(&self, client: HostId, server: HostId, at: Timestamp) -> bool {
        // What was captured of it before, says nothing of a time since which flows show that it is not any more.
        let of_pair = |pair: &OneWay| pair.seen < at && pair.seen < pair.until;
        let of_all = || {
            let seen = self.visible.get(&(server, client));
            seen.is_none_or(|seen| *seen < at && *seen < self.one_way_until)
        };
        (self.must_have_spoken.has(server) && !self.heard(server))
            || self.one_way.get(&(client, server)).is_some_and(of_pair)
            || (self.asymmetric && of_all())
    }

    /// Whether that way may be invisible to an attempt of that time: it is, or flows showed just before, or later, that the
    /// pair has such a way among several.
    pub(crate) fn doubted(&self, client: HostId, server: HostId, at: Timestamp) -> bool {
        self.has_other_way(client, server, at) || self.reverse_invisible(client, server, at)
    }

    fn has_other_way(&self, client: HostId, server: HostId, at: Timestamp) -> bool {
        let near = |pair: &OneWay| at.plus(ONE_WAY_LASTS) >= pair.from && at <= pair.until.plus(ONE_WAY_LASTS);
        self.one_way.get(&(client, server)).is_some_and(near)
    }

    /// Whether datagrams may have come back unseen at that time: the capture is one-sided, or some flow of the pair showed
    /// that a way back is not captured, and no datagram of the server was; or it showed so a moment before, or later.
    pub(crate) fn datagrams_invisible(&self, client: HostId, server: HostId, at: Timestamp) -> bool {
        let of_pair = self.one_way.get(&(client, server));
        let unseen = !self.of_datagrams.contains(&(server, client));
        (unseen && (self.asymmetric || of_pair.is_some())) || self.doubted(client, server, at)
    }
}
