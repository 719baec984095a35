//! WHAT A PAYLOAD IS: one file for each protocol, bytes in, a [`Recognition`] out; and readers of what other rooms
//! want from a payload.
//!
//! This room must never know port numbers, flows or rules: a recogniser that looked at the port would only repeat the
//! catalogue.

pub mod ber;
pub mod dcerpc;
pub mod dcom;
pub mod dhcp;
pub mod dns;
pub mod epm;
pub mod ftp;
pub mod http;
pub mod ike;
pub mod imap;
pub mod kerberos;
pub mod kpasswd;
pub mod ldap;
pub mod ncacn_http;
pub mod ndr;
pub mod netbios;
pub mod netlogon;
pub mod nmf;
pub mod ntlm;
pub mod ntp;
pub mod part;
pub mod pipe;
pub mod pop3;
pub mod radius;
pub mod rdp;
#[cfg(test)]
pub(crate) mod samples;
pub mod smb;
pub mod smtp;
pub mod snmp;
pub mod ssh;
pub mod tds;
pub mod telnet;
pub mod tls;
pub mod wire_name;

mod cursor;
mod ready;
mod smb1;
mod smb2;
mod text;

#[cfg(test)]
pub(crate) mod craft;
#[cfg(test)]
pub(crate) mod craft_smb;

use std::sync::LazyLock;

use crate::model::app::AppProto;
use crate::model::app::ProtoSet;
use crate::model::app::Said;
use crate::model::app::Speaker;
use crate::model::transport::Transport;

/// The most bytes of one direction that recognisers are shown. What is not known by then stays unknown.
pub const OPENING_MAX: usize = 2048;

/// What a recogniser says of the first bytes that one end sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Recognition {
    /// They are this protocol and can be nothing else; sent by this part of it.
    Certain(Speaker),
    /// They look like it; another protocol could begin so too.
    Likely(Speaker),
    /// Too few to tell. Never said of bytes that already contradict the protocol.
    NeedMore,
    /// They are not this protocol, whatever follows.
    NotForUs,
}

/// One protocol, the transports it is spoken over, and the function that knows it.
#[derive(Debug)]
pub struct Recogniser {
    /// What it recognises.
    pub proto: AppProto,
    /// Where it is spoken.
    pub over: &'static [Transport],
    /// Looks at the first bytes of one direction: a stream's beginning for TCP, one datagram for UDP.
    pub recognise: fn(Transport, &[u8]) -> Recognition,
}

const TCP: &[Transport] = &[Transport::Tcp];
const UDP: &[Transport] = &[Transport::Udp];
const BOTH: &[Transport] = &[Transport::Tcp, Transport::Udp];

/// Every recogniser. Of two that are equally sure, the first is believed; where two are certain of the same bytes,
/// nothing is certain.
pub const RECOGNISERS: &[Recogniser] = &[
    Recogniser { proto: AppProto::Ldap, over: BOTH, recognise: ldap::recognise },
    Recogniser { proto: AppProto::Kerberos, over: BOTH, recognise: kerberos::recognise },
    Recogniser { proto: AppProto::Kpasswd, over: BOTH, recognise: kpasswd::recognise },
    Recogniser { proto: AppProto::Smb, over: TCP, recognise: smb::recognise },
    Recogniser { proto: AppProto::NetbiosSession, over: TCP, recognise: smb::recognise_session },
    Recogniser { proto: AppProto::NetbiosName, over: UDP, recognise: netbios::recognise_name },
    Recogniser { proto: AppProto::NetbiosDatagram, over: UDP, recognise: netbios::recognise_datagram },
    Recogniser { proto: AppProto::DceRpc, over: BOTH, recognise: dcerpc::recognise },
    Recogniser { proto: AppProto::Dns, over: BOTH, recognise: dns::recognise },
    Recogniser { proto: AppProto::Ntp, over: UDP, recognise: ntp::recognise },
    Recogniser { proto: AppProto::NcacnHttp, over: TCP, recognise: ncacn_http::recognise },
    Recogniser { proto: AppProto::Tls, over: TCP, recognise: tls::recognise },
    Recogniser { proto: AppProto::Http, over: TCP, recognise: http::recognise },
    Recogniser { proto: AppProto::Rdp, over: TCP, recognise: rdp::recognise },
    Recogniser { proto: AppProto::Tds, over: BOTH, recognise: tds::recognise },
    Recogniser { proto: AppProto::Smtp, over: TCP, recognise: smtp::recognise },
    Recogniser { proto: AppProto::Imap, over: TCP, recognise: imap::recognise },
    Recogniser { proto: AppProto::Pop3, over: TCP, recognise: pop3::recognise },
    Recogniser { proto: AppProto::Ftp, over: TCP, recognise: ftp::recognise },
    Recogniser { proto: AppProto::Ssh, over: TCP, recognise: ssh::recognise },
    Recogniser { proto: AppProto::Telnet, over: TCP, recognise: telnet::recognise },
    Recogniser { proto: AppProto::Nmf, over: TCP, recognise: nmf::recognise },
    Recogniser { proto: AppProto::Snmp, over: UDP, recognise: snmp::recognise },
    Recogniser { proto: AppProto::Radius, over: UDP, recognise: radius::recognise },
    Recogniser { proto: AppProto::Dhcp, over: UDP, recognise: dhcp::recognise },
    Recogniser { proto: AppProto::Ike, over: UDP, recognise: ike::recognise },
];

/// What the first bytes of one end are. The second value tells whether more bytes could change that.
pub fn recognise(transport: Transport, bytes: &[u8]) -> (Said, bool) {
    recognise_on(transport, bytes, ProtoSet::default())
}

/// The same of bytes whose beginning was looked at before: whoever denied that is not asked again.
pub fn recognise_on(transport: Transport, bytes: &[u8], denied: ProtoSet) -> (Said, bool) {
    static OVER_TCP: LazyLock<Shelf> = LazyLock::new(|| Shelf::new(Transport::Tcp));
    static OVER_UDP: LazyLock<Shelf> = LazyLock::new(|| Shelf::new(Transport::Udp));
    let Some(first) = bytes.first() else { return (Said::default(), true) };
    let shelf = match transport {
        Transport::Tcp => &OVER_TCP,
        Transport::Udp => &OVER_UDP,
        _ => return (Said::default(), false),
    };
    let mut ruled_out = shelf.denied(*first).union(denied);
    let mut heard = Opinions::default();
    for open in shelf.open(*first) {
        if ruled_out.contains(open.proto) {
            continue;
        }
        match (open.recognise)(transport, bytes) {
            Recognition::NotForUs => ruled_out.insert(open.proto),
            opinion => heard.add(open.proto, opinion),
        }
    }
    // Bytes made to be two protocols are certainly neither.
    let said = Said { proto: heard.proto, certain: heard.sure == 1, speaker: heard.speaker, ruled_out };
    (said, heard.more && heard.sure == 0)
}

/// What those said who did not deny some bytes.
#[derive(Default)]
struct Opinions {
    /// Whom to believe, and of whom.
    proto: Option<AppProto>,
    speaker: Speaker,
    /// How many are certain.
    sure: u32,
    /// More bytes could change it.
    more: bool,
}

impl Opinions {
    /// Apart from where it is asked for: nearly all deny, and what few need would have to be put by for each.
    #[inline(never)]
    fn add(&mut self, proto: AppProto, opinion: Recognition) {
        let (speaker, believed) = match opinion {
            Recognition::Certain(speaker) => {
                self.sure += 1;
                (speaker, self.sure == 1)
            }
            Recognition::Likely(speaker) => {
                self.more = true;
                (speaker, self.proto.is_none())
            }
            Recognition::NeedMore | Recognition::NotForUs => {
                self.more = true;
                return;
            }
        };
        if believed {
            (self.proto, self.speaker) = (Some(proto), speaker);
        }
    }
}

/// The recognisers of one transport, sorted by the first byte: whoever denies that alone denies all that begin with it,
/// and most do.
struct Shelf {
    open: Vec<Vec<&'static Recogniser>>,
    denied: Vec<ProtoSet>,
}

impl Shelf {
    fn new(transport: Transport) -> Self {
        let own = || RECOGNISERS.iter().filter(|recogniser| recogniser.over.contains(&transport));
        let denies =
            |recogniser: &Recogniser, first: u8| (recogniser.recognise)(transport, &[first]) == Recognition::NotForUs;
        let open = |first: u8| own().filter(|recogniser| !denies(recogniser, first)).collect();
        let denied =
            |first: u8| own().filter(|recogniser| denies(recogniser, first)).map(|denying| denying.proto).collect();
        Self { open: (0..=u8::MAX).map(open).collect(), denied: (0..=u8::MAX).map(denied).collect() }
    }

    /// Those that do not deny this byte, in the order of the table.
    fn open(&self, first: u8) -> &[&'static Recogniser] {
        self.open.get(usize::from(first)).map_or(&[], Vec::as_slice)
    }

    /// The protocols that do not begin with this byte.
    fn denied(&self, first: u8) -> ProtoSet {
        self.denied.get(usize::from(first)).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_are_asked_about_bytes_that_are_nobodys() {
        for transport in [Transport::Tcp, Transport::Udp] {
            let shelf = Shelf::new(transport);
            let asked: usize = (0..=u8::MAX).map(|first| shelf.open(first).len()).sum();
            let own = RECOGNISERS.iter().filter(|recogniser| recogniser.over.contains(&transport)).count();
            assert!(asked < 256 * own * 2 / 3, "{asked} of {}", 256 * own);
            for first in 0..=u8::MAX {
                assert_eq!(shelf.open(first).iter().filter(|open| shelf.denied(first).contains(open.proto)).count(), 0);
            }
        }
    }
}
