//! Listens to what hosts say in the clear of protocols that name someone, and notes it.
//!
//! It is called with the bytes of one direction from their beginning, again and again as they grow: everything is noted
//! with its earliest sight, so hearing it twice changes nothing. This file must never know ports, nor what is allowed.

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
use crate::proto::dns;
use crate::proto::kerberos;
use crate::proto::ldap;
use crate::proto::netbios;
use crate::proto::netlogon;
use crate::proto::ntlm;
use crate::proto::part::Read;
use crate::proto::part::Stop;
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
            | AppProto::DceRpc
            | AppProto::NetbiosName
            | AppProto::NetbiosDatagram
    )
}

/// Notes what can be learnt from the bytes of one end. Bytes after the first wrong one tell nothing.
pub fn listen(heard: &Heard<'_>, knowledge: &Knowledge) -> Attention {
    let ear = Ear { heard, names: knowledge.names(), seen: Seen { at: heard.ts, frame: heard.frame } };
    match heard.proto {
        AppProto::Dns => ear.dns(),
        AppProto::Ldap => ear.ldap(),
        AppProto::Kerberos => ear.kerberos(),
        AppProto::Smb | AppProto::DceRpc => ear.ntlm(),
        AppProto::NetbiosName => netbios::name_facts(heard.bytes, |fact| ear.netbios(fact)).into(),
        AppProto::NetbiosDatagram => netbios::datagram_facts(heard.bytes, |fact| ear.netbios(fact)).into(),
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
