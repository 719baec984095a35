//! What the payload of a flow has to say to the documents: which protocol it is, and for which RPC interface.

use std::collections::HashMap;

use foldhash::quality::RandomState;

use crate::classify::hosts::Hosts;
use crate::classify::seen::Seen;
use crate::flow::record::Flow;
use crate::flow::speech::Speech;
use crate::learn::grade::Attempt;
use crate::learn::grade::Endpoints;
use crate::learn::grade::Grade;
use crate::learn::grade::Guess;
use crate::learn::pipe_flow::PipeFlow;
use crate::learn::rpc_flow::FlowId;
use crate::model::addr::Side;
use crate::model::app::AppProto;
use crate::model::app::ProtoSet;
use crate::model::app::Said;
use crate::model::uuid::Uuid;

/// What the payload is, held against what its port may speak.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Payload {
    /// Nothing that contradicts the port, and nothing certain.
    Quiet,
    /// Certainly this.
    Is(AppProto),
    /// Both ends spoke, and neither said anything that the port's protocols begin with.
    Foreign,
}

impl Payload {
    /// What both ends said, where the port may speak any of `expected`; empty if nobody says what it speaks.
    ///
    /// What the server says comes first: that is what listens there, whatever the client takes it for.
    pub(crate) fn of(speech: &Speech, client: Side, expected: ProtoSet) -> Self {
        let ends = [client.other(), client].map(|side| speech.of(side));
        if let Some(proto) = ends.iter().filter(|said| said.certain).find_map(|said| said.proto) {
            return Self::Is(proto);
        }
        let foreign = |said: &Said| !said.ruled_out.is_empty() && expected.is_within(said.ruled_out);
        if !expected.is_empty() && ends.iter().all(foreign) { Self::Foreign } else { Self::Quiet }
    }
}

/// The protocol that was recognised in a flow, certain or likely.
pub(crate) fn recognised(speech: &Speech) -> Option<AppProto> {
    let ends = [Side::Low, Side::High].map(|side| speech.of(side));
    let certain = ends.iter().filter(|said| said.certain).find_map(|said| said.proto);
    certain.or_else(|| ends.iter().find_map(|said| said.proto))
}

/// The number of a [`Likeness`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct LikenessId(u32);

/// For which RPC interface flows are, as far as the documents ask.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Likeness {
    /// How sure that is.
    pub(crate) grade: Grade,
    /// What it is, or may be.
    pub(crate) interfaces: Vec<Uuid>,
    /// It had left the port when the flow began, as far as is known.
    pub(crate) superseded: bool,
    /// The server gave the port out.
    pub(crate) handed_out: bool,
}

/// Which flows are for which RPC interfaces.
#[derive(Debug, Default)]
pub(crate) struct Rpc {
    endpoints: Endpoints,
    ids: HashMap<Likeness, LikenessId, RandomState>,
    all: Vec<Likeness>,
}

impl Rpc {
    pub(crate) fn new(endpoints: Endpoints) -> Self {
        Self { endpoints, ..Self::default() }
    }

    /// What sessions learned.
    pub(crate) fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// For which interface a flow is, with everything that tells so.
    pub(crate) fn guess(&self, seen: &Seen<'_>, hosts: &Hosts) -> Option<Guess> {
        if self.endpoints.is_empty() {
            return None;
        }
        let (key, (began, first_frame, _)) = (seen.stored.key(), seen.stored.order());
        let server = key.end(seen.orig.other());
        self.endpoints.grade(&Attempt {
            flow: FlowId { key, first_frame },
            server,
            client: hosts.addr(seen.client),
            began,
        })
    }

    /// What a flow showed in named pipes.
    pub(crate) fn pipes(&self, flow: &Flow) -> Option<&PipeFlow> {
        self.endpoints.pipes_of(FlowId { key: flow.key, first_frame: flow.first_frame })
    }

    /// The same, as far as the documents ask.
    pub(crate) fn likeness(&mut self, seen: &Seen<'_>, hosts: &Hosts) -> Option<LikenessId> {
        let guess = self.guess(seen, hosts)?;
        let asked = match guess.grade {
            // The one that was asked for last.
            Grade::B => guess.interfaces.get(..1).unwrap_or_default(),
            _ => &guess.interfaces,
        };
        let likeness = Likeness {
            grade: guess.grade,
            interfaces: asked.iter().map(|id| id.uuid).collect(),
            superseded: guess.superseded,
            handed_out: guess.handed_out,
        };
        if let Some(id) = self.ids.get(&likeness) {
            return Some(*id);
        }
        let id = LikenessId(u32::try_from(self.all.len()).unwrap_or(u32::MAX));
        self.all.push(likeness.clone());
        self.ids.insert(likeness, id);
        Some(id)
    }

    /// What a number stands for.
    pub(crate) fn get(&self, id: LikenessId) -> Option<&Likeness> {
        self.all.get(id.0 as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn speech(low: Said, high: Said) -> Speech {
        let mut speech = Speech::default();
        speech.set(Side::Low, low);
        speech.set(Side::High, high);
        speech
    }

    #[test]
    fn only_what_is_certain_contradicts() {
        let ldap: ProtoSet = [AppProto::Ldap].into_iter().collect();
        let is = |proto, certain| Said { proto: Some(proto), certain, ..Said::default() };
        let not = |protos: &[AppProto]| Said { ruled_out: protos.iter().copied().collect(), ..Said::default() };
        let of = |client, server| Payload::of(&speech(client, server), Side::Low, ldap);
        assert_eq!(of(is(AppProto::Http, true), Said::default()), Payload::Is(AppProto::Http));
        assert_eq!(of(is(AppProto::Http, false), Said::default()), Payload::Quiet);
        // What the client takes it for does not matter.
        assert_eq!(of(is(AppProto::Http, true), is(AppProto::Ldap, true)), Payload::Is(AppProto::Ldap));
        assert_eq!(of(is(AppProto::Ldap, true), is(AppProto::Http, true)), Payload::Is(AppProto::Http));
        assert_eq!(of(not(&[AppProto::Ldap]), not(&[AppProto::Ldap, AppProto::Dns])), Payload::Foreign);
        assert_eq!(of(not(&[AppProto::Ldap]), Said::default()), Payload::Quiet);
        assert_eq!(of(not(&[AppProto::Dns]), not(&[AppProto::Ldap])), Payload::Quiet);
        // Where nobody says what a port speaks, nothing is foreign.
        let silent = speech(not(&[AppProto::Ldap]), not(&[AppProto::Ldap]));
        assert_eq!(Payload::of(&silent, Side::Low, ProtoSet::default()), Payload::Quiet);
    }
}
