//! Listens to what hosts say in the clear of protocols that name someone, and notes it.
//!
//! It is called with the bytes of one direction from their beginning, again and again as they grow: everything is noted
//! with its earliest sight, so hearing it twice changes nothing. This file must never know ports, nor what is allowed.

use std::net::IpAddr;

use crate::learn::knowledge::Knowledge;
use crate::learn::names::Kind;
use crate::learn::names::Names;
use crate::learn::names::Proof;
use crate::learn::names::Seen;
use crate::learn::names::Service;
use crate::learn::names::Source;
use crate::model::addr::Addr;
use crate::model::addr::Endpoint;
use crate::model::addr::FlowKey;
use crate::model::app::AppProto;
use crate::model::app::Speaker;
use crate::model::ids::FrameId;
use crate::model::time::Timestamp;
use crate::model::transport::Transport;
use crate::proto::dhcp;
use crate::proto::dns;
use crate::proto::kerberos;
use crate::proto::ldap;
use crate::proto::netbios;
use crate::proto::netlogon;
use crate::proto::ntlm;
use crate::proto::part::Read;
use crate::proto::part::Stop;
use crate::proto::tls;
use crate::proto::wire_name;

/// What one end of a flow said so far.
#[derive(Clone, Copy, Debug)]
pub struct Heard<'a> {
    /// What it speaks, as recognised.
    pub proto: AppProto,
    /// Over what.
    pub transport: Transport,
    /// The part of the sender, if its bytes told.
    pub speaker: Speaker,
    /// Who said it.
    pub sender: Endpoint,
    /// To whom.
    pub receiver: Endpoint,
    /// A stream's first bytes, without a gap, as far as they have come; or one datagram.
    pub bytes: &'a [u8],
    /// When the last of them came.
    pub ts: Timestamp,
    /// In which frame.
    pub frame: FrameId,
}

/// Whether to go on listening to this direction of the flow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Attention {
    /// Nothing more will be learnt from it. Of a datagram: from this one.
    Enough,
    /// More bytes could tell more.
    More,
}

impl From<Read<()>> for Attention {
    fn from(read: Read<()>) -> Self {
        match read {
            Err(Stop::Short) => Self::More,
            Ok(()) | Err(Stop::Wrong) => Self::Enough,
        }
    }
}

/// Whether a protocol names anybody in the clear.
pub fn tells(proto: AppProto) -> bool {
    matches!(
        proto,
        AppProto::Dns
            | AppProto::Ldap
            | AppProto::Kerberos
            | AppProto::Smb
            | AppProto::NetbiosSession
            | AppProto::DceRpc
            | AppProto::NetbiosName
            | AppProto::NetbiosDatagram
            | AppProto::Dhcp
            | AppProto::Tls
    )
}

/// Notes what can be learnt from the bytes of one end. Bytes after the first wrong one tell nothing.
pub fn listen(heard: &Heard<'_>, knowledge: &Knowledge) -> Attention {
    let ear = Ear { heard, names: knowledge.names(), seen: Seen { at: heard.ts, frame: heard.frame } };
    match heard.proto {
        AppProto::Dns => ear.dns(),
        AppProto::Ldap => ear.ldap(),
        AppProto::Kerberos => ear.kerberos(),
        AppProto::Smb | AppProto::NetbiosSession | AppProto::DceRpc => ear.ntlm(),
        AppProto::NetbiosName => netbios::name_facts(heard.bytes, |fact| ear.netbios(fact)).into(),
        AppProto::NetbiosDatagram => netbios::datagram_facts(heard.bytes, |fact| ear.netbios(fact)).into(),
        AppProto::Dhcp => ear.dhcp(),
        AppProto::Tls => ear.tls(),
        _ => Attention::Enough,
    }
}

struct Ear<'a> {
    heard: &'a Heard<'a>,
    names: &'a Names,
    seen: Seen,
}

impl Ear<'_> {
    /// Notes a name, if it could be read.
    fn name(&self, addr: Addr, kind: Kind, source: Source, text: Option<&str>) {
        if let Some(text) = text {
            self.names.name(addr, kind, source, text, self.seen);
        }
    }

    fn error(&self, code: u16) {
        let Heard { proto, transport, sender, receiver, .. } = *self.heard;
        let (key, _) = FlowKey::of(sender.addr, sender.port, receiver.addr, receiver.port, transport);
        self.names.error(&key, proto, code, self.seen);
    }

    fn dns(&self) -> Attention {
        if self.heard.speaker == Speaker::Client {
            return Attention::Enough;
        }
        let note = |fact| match fact {
            dns::Fact::Failed(code) => self.error(code),
            dns::Fact::Record { owner, data: dns::Data::Address(addr) } => {
                self.name(addr, Kind::Host, Source::Dns, Some(&owner));
            }
            dns::Fact::Record { owner, data: dns::Data::Pointer(host) } => {
                if let Some(addr) = dns::reversed(&owner) {
                    self.name(addr, Kind::Host, Source::Dns, Some(&host));
                }
            }
            dns::Fact::Record { owner, data: dns::Data::Service { target, port } } => {
                self.names.service(Service { owner, target, port }, self.seen);
            }
        };
        dns::facts(self.heard.transport, self.heard.bytes, note).into()
    }

    fn ldap(&self) -> Attention {
        let from_ntlm = self.ntlm();
        if self.heard.speaker == Speaker::Client {
            return from_ntlm;
        }
        let sender = self.heard.sender.addr;
        let note = |fact: ldap::Fact<'_>| match fact {
            ldap::Fact::Failed(code) => self.error(code),
            ldap::Fact::Value { entry: [], attribute, value } => self.root_entry(sender, attribute, value),
            ldap::Fact::Value { .. } => {}
        };
        ldap::facts(self.heard.bytes, note).into()
    }

    /// What the root entry says of the server itself (MS-ADTS section 3.1.1.3.2).
    fn root_entry(&self, server: Addr, attribute: &[u8], value: &[u8]) {
        if attribute.eq_ignore_ascii_case(b"dnsHostName") {
            let host = wire_name::of_bytes(value);
            self.name(server, Kind::Host, Source::Ldap, host.as_deref());
        } else if attribute.eq_ignore_ascii_case(b"supportedCapabilities") && value == ldap::ACTIVE_DIRECTORY {
            self.names.controller(server, Proof::RootEntry, self.seen);
        } else if attribute.eq_ignore_ascii_case(b"Netlogon")
            && let Ok(answer) = netlogon::answer(value)
        {
            self.names.controller(server, Proof::Netlogon, self.seen);
            self.name(server, Kind::Host, Source::Netlogon, answer.host.as_deref());
            self.name(server, Kind::Domain, Source::Netlogon, answer.domain.as_deref());
            self.name(server, Kind::NetbiosHost, Source::Netlogon, answer.netbios_host.as_deref());
            self.name(server, Kind::NetbiosDomain, Source::Netlogon, answer.netbios_domain.as_deref());
        }
    }

    /// What NTLM messages name, whatever carries them.
    fn ntlm(&self) -> Attention {
        let sender = self.heard.sender.addr;
        let mut named = false;
        let note = |message| match message {
            ntlm::Message::Challenge(server) => {
                named = true;
                self.name(sender, Kind::Host, Source::Ntlm, server.host.as_deref());
                self.name(sender, Kind::NetbiosHost, Source::Ntlm, server.netbios_host.as_deref());
                // A host without a domain writes its own name there.
                if server.domain != server.host {
                    self.name(sender, Kind::Domain, Source::Ntlm, server.domain.as_deref());
                }
                if server.netbios_domain != server.netbios_host {
                    self.name(sender, Kind::NetbiosDomain, Source::Ntlm, server.netbios_domain.as_deref());
                }
            }
            ntlm::Message::Workstation(name) => {
                named = true;
                self.name(sender, Kind::NetbiosHost, Source::Ntlm, Some(&name));
            }
        };
        let read = ntlm::messages(self.heard.bytes, note);
        // Each end has one name, however often it sets up a session.
        if named || self.heard.transport != Transport::Tcp { read.into() } else { Attention::More }
    }

    fn kerberos(&self) -> Attention {
        let note = |named: kerberos::Named| {
            let from_kdc = matches!(named.kind, kerberos::Kind::AsReply | kerberos::Kind::TgsReply);
            if from_kdc {
                self.name(self.heard.sender.addr, Kind::Realm, Source::Kerberos, named.realm.as_deref());
            }
            if let Some(code) = named.error {
                self.error(code);
            }
        };
        kerberos::facts(self.heard.transport, self.heard.bytes, note).into()
    }

    /// What a client of DHCP calls itself, in a message that tells its address too.
    fn dhcp(&self) -> Attention {
        if let Some(addr) = dhcp::client_address(self.heard.bytes) {
            self.name(IpAddr::V4(addr).into(), Kind::Host, Source::Dhcp, dhcp::host_name(self.heard.bytes));
        }
        Attention::Enough
    }

    /// By which name a client calls its server.
    fn tls(&self) -> Attention {
        if self.heard.speaker == Speaker::Server {
            return Attention::Enough;
        }
        let name = tls::server_name(self.heard.bytes);
        self.name(self.heard.receiver.addr, Kind::Host, Source::Tls, name);
        if name.is_some() { Attention::Enough } else { Attention::More }
    }

    fn netbios(&self, fact: netbios::Fact) {
        let (name, group, addr) = match fact {
            netbios::Fact::Failed(code) => return self.error(code),
            netbios::Fact::Name { name, group, addr } => (name, group, addr.unwrap_or(self.heard.sender.addr)),
        };
        // Of the many suffixes, these are registered by hosts and domains themselves (MS-NBTE section 2.2.1 names more).
        let kind = match (name.suffix, group) {
            (0x00 | 0x20, false) => Kind::NetbiosHost,
            (0x00 | 0x1c, true) | (0x1b, false) => Kind::NetbiosDomain,
            _ => return,
        };
        if (name.suffix, group) == (0x1c, true) {
            self.names.controller(addr, Proof::NetbiosGroup, self.seen);
        }
        self.name(addr, kind, Source::Netbios, Some(&name.text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::samples;
    use crate::proto::samples::Sample;

    const SERVER: [u8; 4] = [10, 10, 1, 10];

    /// Hears `bytes` in frame `frame`, said by the server to a client.
    fn hear(sample: &Sample, bytes: &[u8], frame: u64, knowledge: &Knowledge) -> Attention {
        let heard = Heard {
            proto: sample.proto,
            transport: sample.transport,
            speaker: sample.speaker,
            sender: Endpoint { addr: Addr::v4(SERVER), port: 1000 },
            receiver: Endpoint { addr: Addr::v4([10, 10, 2, 50]), port: 50_000 },
            bytes,
            ts: Timestamp(frame),
            frame: FrameId::new(0, frame),
        };
        listen(&heard, knowledge)
    }

    fn names_after(sample: &Sample) -> Vec<String> {
        let knowledge = Knowledge::new();
        hear(sample, &sample.bytes(), 1, &knowledge);
        let all = knowledge.names().of(Addr::v4(SERVER));
        all.iter().map(|name| format!("{} {} {}", name.source.name(), name.kind.name(), name.text)).collect()
    }

    #[test]
    fn a_ping_is_answered_by_a_domain_controller() {
        assert_eq!(
            names_after(&samples::CLDAP_ANSWER),
            [
                "netlogon host dc1.lab.test",
                "netlogon netbios-host DC1",
                "netlogon domain lab.test",
                "netlogon netbios-domain LAB",
            ]
        );
        let knowledge = Knowledge::new();
        hear(&samples::CLDAP_ANSWER, &samples::CLDAP_ANSWER.bytes(), 3, &knowledge);
        let controllers = knowledge.names().controllers();
        let [controller] = &controllers[..] else { unreachable!("{controllers:?}") };
        assert_eq!((controller.addr, controller.proof), (Addr::v4(SERVER), Proof::Netlogon));
        // The same bytes as a question name nobody.
        let asked = Sample { speaker: Speaker::Client, ..samples::CLDAP_ANSWER };
        assert_eq!(names_after(&asked), [""; 0]);
    }

    #[test]
    fn names_of_dns_and_netbios_and_realms() {
        assert_eq!(names_after(&samples::DNS_TCP), ["dns host dc1.lab.test"]);
        assert_eq!(names_after(&samples::NBNS_ANSWER), ["netbios netbios-domain LAB"]);
        assert_eq!(names_after(&samples::AS_REP_TCP), ["kerberos realm LAB.TEST"]);
        assert_eq!(names_after(&samples::AS_REQ_TCP), [""; 0]);
    }

    /// Tells `bytes` of a protocol that the shared samples do not have, and what the two hosts are called then.
    fn names_of_both(proto: AppProto, transport: Transport, bytes: &[u8]) -> Vec<(Addr, String)> {
        let knowledge = Knowledge::new();
        let sample = Sample { proto, transport, speaker: Speaker::Client, hex: "" };
        hear(&sample, bytes, 1, &knowledge);
        let all = knowledge.names().all().into_iter();
        all.flat_map(|(addr, names)| names.into_iter().map(move |name| (addr, name.text.to_string()))).collect()
    }

    #[test]
    fn a_client_of_dhcp_names_the_address_it_asks_for() {
        let mut request = vec![1, 1, 6, 0];
        request.resize(236, 0);
        request.extend([99, 130, 83, 99]);
        request.extend(b"\x35\x01\x03\x32\x04\x0a\x0a\x02\x33\x0c\x03WS7\xff");
        let named = names_of_both(AppProto::Dhcp, Transport::Udp, &request);
        assert_eq!(named, [(Addr::v4([10, 10, 2, 51]), "ws7".to_owned())]);
    }

    #[test]
    fn a_client_of_tls_names_its_server() {
        let name = b"dc1.lab.test";
        let length = u8::try_from(name.len()).unwrap_or(0);
        let extension = [&[0, 0, 0, length + 5, 0, length + 3, 0, 0, length], &name[..]].concat();
        let mut body = vec![3, 3];
        body.extend([7; 32]);
        body.extend([0, 0, 2, 0x13, 1, 1, 0, 0, length + 9]);
        body.extend(extension);
        let size = u8::try_from(body.len()).unwrap_or(0);
        let hello = [&[22, 3, 1, 0, size + 4, 1, 0, 0, size], &body[..]].concat();
        let named = names_of_both(AppProto::Tls, Transport::Tcp, &hello);
        assert_eq!(named, [(Addr::v4([10, 10, 2, 50]), "dc1.lab.test".to_owned())], "the receiver");
    }

    #[test]
    fn what_grows_is_told_once_with_its_first_sight() {
        for sample in samples::ALL {
            let bytes = sample.bytes();
            let knowledge = Knowledge::new();
            let mut first = None;
            for end in 1..=bytes.len() {
                hear(&sample, &bytes[..end], end as u64, &knowledge);
                let names = knowledge.names().all();
                if !names.is_empty() {
                    let earlier = first.get_or_insert_with(|| names.clone());
                    assert!(earlier.iter().all(|host| {
                        names.iter().any(|(addr, now)| *addr == host.0 && host.1.iter().all(|name| now.contains(name)))
                    }));
                }
            }
            let whole = Knowledge::new();
            hear(&sample, &bytes, 1, &whole);
            let texts = |knowledge: &Knowledge| {
                let all = knowledge.names().all();
                let texts = all
                    .into_iter()
                    .map(|(addr, names)| (addr, names.into_iter().map(|name| name.text.to_string()).collect()));
                texts.collect::<Vec<(Addr, Vec<String>)>>()
            };
            assert_eq!(texts(&knowledge), texts(&whole), "{sample:?}");
        }
    }

    #[test]
    fn errors_are_noted_on_their_flow() {
        let knowledge = Knowledge::new();
        let attention = hear(&samples::KRB_ERROR, &samples::KRB_ERROR.bytes(), 4, &knowledge);
        assert_eq!(attention, Attention::Enough, "a datagram is whole");
        let (key, _) =
            FlowKey::of(Addr::v4([10, 10, 2, 50]), 50_000, Addr::v4(SERVER), 1000, samples::KRB_ERROR.transport);
        let errors = knowledge.names().errors();
        assert_eq!(
            errors.of(&key).iter().map(|error| (error.proto, error.code)).collect::<Vec<_>>(),
            [(AppProto::Kerberos, 25)]
        );
    }

    #[test]
    fn damaged_bytes_are_survived() {
        for sample in samples::ALL {
            let mut bytes = sample.bytes();
            for bit in 0..bytes.len() * 8 {
                bytes[bit / 8] ^= 1 << (bit % 8);
                hear(&sample, &bytes, 1, &Knowledge::new());
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
        }
    }
}
