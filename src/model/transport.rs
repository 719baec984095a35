//! The IP protocols that flows are made of.

use std::fmt;

/// What carries a flow, directly above IP.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
#[repr(u8)]
pub enum Transport {
    /// TCP, IP protocol 6.
    Tcp = 6,
    /// UDP, IP protocol 17.
    Udp = 17,
    /// ICMP echo of either IP version (protocols 1 and 58). Errors belong to the flow they quote.
    Icmp = 1,
    /// GRE that carries nothing this program looks into (PPTP), protocol 47.
    Gre = 47,
    /// `IPsec` ESP, protocol 50.
    Esp = 50,
    /// `IPsec` AH whose content cannot be followed, protocol 51.
    Ah = 51,
    /// SCTP, protocol 132.
    Sctp = 132,
}

impl Transport {
    /// The lower-case name used in rules and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Icmp => "icmp",
            Self::Gre => "gre",
            Self::Esp => "esp",
            Self::Ah => "ah",
            Self::Sctp => "sctp",
        }
    }

    /// The transport of this number; TCP if it is of none.
    #[inline]
    pub fn of_number(number: u8) -> Self {
        let others = [Self::Udp, Self::Icmp, Self::Gre, Self::Esp, Self::Ah, Self::Sctp];
        others.into_iter().find(|transport| *transport as u8 == number).unwrap_or(Self::Tcp)
    }

    /// The transport with this lower-case name.
    pub fn by_name(name: &str) -> Option<Self> {
        [Self::Tcp, Self::Udp, Self::Icmp, Self::Gre, Self::Esp, Self::Ah, Self::Sctp]
            .into_iter()
            .find(|transport| transport.name() == name)
    }

    /// Whether its flows have port numbers.
    pub fn has_ports(self) -> bool {
        matches!(self, Self::Tcp | Self::Udp | Self::Sctp)
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
