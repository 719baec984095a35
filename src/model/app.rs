//! What a payload can be, and what the first bytes of one end said.

use std::fmt;

/// An application protocol: what the bytes are, not where they sit.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
#[repr(u8)]
pub enum AppProto {
    /// LDAP over TCP, and its connectionless form over UDP (RFC 4511, MS-ADTS section 3.1.1.3.2).
    Ldap,
    /// Kerberos 5 (RFC 4120).
    Kerberos,
    /// Kerberos change and set password (RFC 3244).
    Kpasswd,
    /// SMB 1, 2 and 3, direct over TCP or within a `NetBIOS` session (MS-CIFS, MS-SMB2).
    Smb,
    /// The `NetBIOS` session service before SMB begins (RFC 1002 section 4.3).
    NetbiosSession,
    /// The `NetBIOS` name service (RFC 1002 section 4.2).
    NetbiosName,
    /// The `NetBIOS` datagram service (RFC 1002 section 4.4).
    NetbiosDatagram,
    /// DCE/RPC, connection-oriented over TCP or connectionless over UDP (C706, MS-RPCE).
    DceRpc,
    /// The greeting of RPC over HTTP version 1, before DCE/RPC begins (MS-RPCH section 2.1).
    NcacnHttp,
    /// TLS and SSL (RFC 8446).
    Tls,
    /// HTTP/1 (RFC 9112) and the preface of HTTP/2.
    Http,
    /// DNS, and the multicast protocols of the same format (RFC 1035).
    Dns,
    /// NTP (RFC 5905).
    Ntp,
    /// RDP: TPKT with an X.224 connection request or confirm (MS-RDPBCGR).
    Rdp,
    /// Tabular Data Stream of SQL Server, and its resolution protocol over UDP (MS-TDS, MC-SQLR).
    Tds,
    /// SMTP (RFC 5321).
    Smtp,
    /// IMAP 4 (RFC 9051).
    Imap,
    /// POP 3 (RFC 1939).
    Pop3,
    /// FTP control (RFC 959).
    Ftp,
    /// SSH (RFC 4253).
    Ssh,
    /// Telnet (RFC 854).
    Telnet,
    /// .NET message framing, which carries AD Web Services (MC-NMF).
    Nmf,
    /// SNMP (RFC 3412).
    Snmp,
    /// RADIUS (RFC 2865).
    Radius,
    /// DHCP and BOOTP for IPv4, DHCP for IPv6 (RFC 2131, RFC 8415).
    Dhcp,
    /// IKE (RFC 7296).
    Ike,
}

impl AppProto {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 26] = [
        Self::Ldap,
        Self::Kerberos,
        Self::Kpasswd,
        Self::Smb,
        Self::NetbiosSession,
        Self::NetbiosName,
        Self::NetbiosDatagram,
        Self::DceRpc,
        Self::NcacnHttp,
        Self::Tls,
        Self::Http,
        Self::Dns,
        Self::Ntp,
        Self::Rdp,
        Self::Tds,
        Self::Smtp,
        Self::Imap,
        Self::Pop3,
        Self::Ftp,
        Self::Ssh,
        Self::Telnet,
        Self::Nmf,
        Self::Snmp,
        Self::Radius,
        Self::Dhcp,
        Self::Ike,
    ];

    /// The lower-case name used in rules (`speaks`) and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ldap => "ldap",
            Self::Kerberos => "kerberos",
            Self::Kpasswd => "kpasswd",
            Self::Smb => "smb",
            Self::NetbiosSession => "netbios-session",
            Self::NetbiosName => "netbios-name",
            Self::NetbiosDatagram => "netbios-datagram",
            Self::DceRpc => "dcerpc",
            Self::NcacnHttp => "ncacn_http",
            Self::Tls => "tls",
            Self::Http => "http",
            Self::Dns => "dns",
            Self::Ntp => "ntp",
            Self::Rdp => "rdp",
            Self::Tds => "tds",
            Self::Smtp => "smtp",
            Self::Imap => "imap",
            Self::Pop3 => "pop3",
            Self::Ftp => "ftp",
            Self::Ssh => "ssh",
            Self::Telnet => "telnet",
            Self::Nmf => "nmf",
            Self::Snmp => "snmp",
            Self::Radius => "radius",
            Self::Dhcp => "dhcp",
            Self::Ike => "ike",
        }
    }

    /// The protocol with this name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|proto| proto.name() == name)
    }
}

impl fmt::Display for AppProto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of protocols.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ProtoSet(u32);

impl ProtoSet {
    /// Adds one.
    #[inline]
    pub fn insert(&mut self, proto: AppProto) {
        self.0 |= 1 << proto as u32;
    }

    /// Whether it is in the set.
    #[inline]
    pub fn contains(self, proto: AppProto) -> bool {
        self.0 & (1 << proto as u32) != 0
    }

    /// What is in either.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of it is in `other`.
    #[must_use]
    pub fn is_within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// A bit for each protocol, in the order of [`AppProto::ALL`].
    pub fn bits(self) -> u32 {
        self.0
    }

    /// The set of these [`bits`](Self::bits).
    pub fn of_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// Whether nothing is in it.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<AppProto> for ProtoSet {
    fn from_iter<I: IntoIterator<Item = AppProto>>(protos: I) -> Self {
        let mut set = Self::default();
        for proto in protos {
            set.insert(proto);
        }
        set
    }
}

/// Which part the sender of some bytes has in the conversation, as the bytes themselves tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Speaker {
    /// It asks: a request, a hello, a bind.
    Client,
    /// It answers: a response, a greeting, an acknowledged bind.
    Server,
    /// Both ends send such bytes.
    #[default]
    Either,
}

/// What the first bytes of one end were.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Said {
    /// The protocol they are, if one is certain or likely.
    pub proto: Option<AppProto>,
    /// They can be nothing else.
    pub certain: bool,
    /// The part of their sender.
    pub speaker: Speaker,
    /// What they are not, after enough bytes to tell.
    pub ruled_out: ProtoSet,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_agree() {
        for (number, proto) in AppProto::ALL.into_iter().enumerate() {
            assert_eq!(proto as usize, number);
            assert_eq!(AppProto::by_name(proto.name()), Some(proto));
        }
        let set: ProtoSet = [AppProto::Ldap, AppProto::Ike].into_iter().collect();
        assert!(set.contains(AppProto::Ike) && !set.contains(AppProto::Dhcp));
        assert_eq!(AppProto::by_name("gopher"), None);
    }
}
