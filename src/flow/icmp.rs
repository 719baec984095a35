//! ICMP errors, joined to the flow they quote.

use crate::model::addr::Addr;
use crate::model::addr::Side;
use crate::model::ids::FrameId;
use crate::model::time::Timestamp;

/// The ICMP error that a flow met first, of those that may end an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct IcmpSeen {
    /// Who sent it.
    pub sender: Addr,
    /// The end of the flow whose packet it quotes: that packet did not arrive.
    pub about: Side,
    /// Whether it is `ICMPv6`.
    pub v6: bool,
    /// ICMP type.
    pub kind: u8,
    /// ICMP code.
    pub code: u8,
    /// When it came.
    pub ts: Timestamp,
    /// Its frame.
    pub frame: FrameId,
    /// How many errors the flow met in all.
    pub count: u32,
}

impl IcmpSeen {
    /// What it means for the flow that it is about.
    pub fn meaning(&self) -> IcmpMeaning {
        IcmpMeaning::of(self.v6, self.kind, self.code)
    }
}

/// What an ICMP error means for the packet that it quotes (RFC 792, RFC 1122, RFC 1812, RFC 4443).
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub enum IcmpMeaning {
    /// No route to the network.
    NoRoute,
    /// The last router could not find the host.
    HostDown,
    /// The host does not speak this protocol.
    ProtocolUnreachable,
    /// Nobody listens, or a filter says so.
    PortUnreachable,
    /// Forbidden by an administrator.
    Admin,
    /// The source address does not reach that far (`ICMPv6` 1/2).
    Scope,
    /// The hop count ran out: a routing loop, or a traceroute.
    Loop,
    /// Too big to forward: never a block.
    Mtu,
    /// Says nothing about reachability.
    Info,
}

impl IcmpMeaning {
    /// The meaning of a type and code (SEMANTICS table 1c).
    pub fn of(v6: bool, kind: u8, code: u8) -> Self {
        match (v6, kind, code) {
            (false, 3, 0 | 6 | 11) | (true, 1, 0) => Self::NoRoute,
            (false, 3, 1 | 7 | 12) | (true, 1, 3) => Self::HostDown,
            (false, 3, 2) | (true, 4, 1) => Self::ProtocolUnreachable,
            (false, 3, 3) | (true, 1, 4) => Self::PortUnreachable,
            (false, 3, 4) | (true, 2, _) => Self::Mtu,
            (false, 3, 9 | 10 | 13 | 14 | 15) | (true, 1, 1 | 5 | 6) => Self::Admin,
            (true, 1, 2) => Self::Scope,
            (false, 11, 0) | (true, 3, 0) => Self::Loop,
            _ => Self::Info,
        }
    }

    /// Whether such an error can end an attempt.
    pub fn is_hard(self) -> bool {
        !matches!(self, Self::Mtu | Self::Info)
    }

    /// A few words for people.
    pub fn words(self) -> &'static str {
        match self {
            Self::NoRoute => "no route",
            Self::HostDown => "host unreachable",
            Self::ProtocolUnreachable => "protocol unreachable",
            Self::PortUnreachable => "port unreachable",
            Self::Admin => "administratively prohibited",
            Self::Scope => "beyond scope of the source address",
            Self::Loop => "time to live exceeded",
            Self::Mtu => "packet too big",
            Self::Info => "information",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_the_table_has_its_meaning() {
        let rows = [
            (false, 3, 0, IcmpMeaning::NoRoute),
            (false, 3, 6, IcmpMeaning::NoRoute),
            (false, 3, 11, IcmpMeaning::NoRoute),
            (true, 1, 0, IcmpMeaning::NoRoute),
            (false, 3, 1, IcmpMeaning::HostDown),
            (false, 3, 7, IcmpMeaning::HostDown),
            (false, 3, 12, IcmpMeaning::HostDown),
            (true, 1, 3, IcmpMeaning::HostDown),
            (false, 3, 2, IcmpMeaning::ProtocolUnreachable),
            (true, 4, 1, IcmpMeaning::ProtocolUnreachable),
            (false, 3, 3, IcmpMeaning::PortUnreachable),
            (true, 1, 4, IcmpMeaning::PortUnreachable),
            (false, 3, 4, IcmpMeaning::Mtu),
            (true, 2, 0, IcmpMeaning::Mtu),
            (false, 3, 5, IcmpMeaning::Info),
            (false, 3, 8, IcmpMeaning::Info),
            (true, 4, 0, IcmpMeaning::Info),
            (true, 1, 7, IcmpMeaning::Info),
            (true, 1, 8, IcmpMeaning::Info),
            (false, 3, 9, IcmpMeaning::Admin),
            (false, 3, 10, IcmpMeaning::Admin),
            (false, 3, 13, IcmpMeaning::Admin),
            (false, 3, 14, IcmpMeaning::Admin),
            (false, 3, 15, IcmpMeaning::Admin),
            (true, 1, 1, IcmpMeaning::Admin),
            (true, 1, 5, IcmpMeaning::Admin),
            (true, 1, 6, IcmpMeaning::Admin),
            (true, 1, 2, IcmpMeaning::Scope),
            (false, 11, 0, IcmpMeaning::Loop),
            (true, 3, 0, IcmpMeaning::Loop),
            (false, 11, 1, IcmpMeaning::Info),
            (false, 12, 0, IcmpMeaning::Info),
            (true, 3, 1, IcmpMeaning::Info),
            (true, 4, 2, IcmpMeaning::Info),
        ];
        for (v6, kind, code, meaning) in rows {
            assert_eq!(IcmpMeaning::of(v6, kind, code), meaning, "v6 {v6} {kind}/{code}");
        }
    }
}
