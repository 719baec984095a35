//! What the documents say of a flow: SEMANTICS table 1d.
//!
//! Flows are many, questions few: each question is answered once, and its answer has a number.

use std::collections::HashMap;
use std::hash::Hash;
use std::hash::Hasher;

use foldhash::quality::RandomState;

use crate::catalogue::policy::InterfaceJudgement;
use crate::catalogue::policy::Judgement;
use crate::catalogue::policy::RowId;
use crate::catalogue::role::RoleSet;
use crate::catalogue::service::ServiceId;
use crate::classify::companions::CompanionsId;
use crate::classify::context::Context;
use crate::classify::payload::Likeness;
use crate::classify::payload::LikenessId;
use crate::classify::payload::Payload;
use crate::classify::payload::Rpc;
use crate::classify::ports::Meaning;
use crate::classify::ports::PortClass;
use crate::classify::roles::KindId;
use crate::classify::roles::Roles;
use crate::classify::seen::About;
use crate::classify::seen::Seen;
use crate::classify::verdict::DirBasis;
use crate::classify::verdict::FindingKind;
use crate::classify::verdict::Reason;
use crate::classify::verdict::Standing;
use crate::classify::verdict::Why;
use crate::classify::verdict::WhyNot;
use crate::learn::grade::Grade;
use crate::model::app::AppProto;
use crate::model::transport::Transport;
use crate::model::uuid::Uuid;

/// All of a flow that the documents have a word on. Whatever else comes to matter is to stand here, so that flows which
/// differ in it do not share an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
struct Question {
    from: KindId,
    to: KindId,
    class: PortClass,
    dir_basis: DirBasis,
    /// No answer is due, by the flow's outcome.
    one_way: bool,
    /// The site file accepts it.
    excepted: bool,
    /// The server may well be one of those that clients are known by asking.
    half_known: bool,
    /// What else the two hosts speak, where a row allows the port beside such a service only.
    beside: CompanionsId,
    /// What it certainly is.
    payload: Payload,
    /// For which RPC interface.
    rpc: Option<LikenessId>,
    /// Both hosts are of networks that belong to somebody.
    internal: bool,
}

/// Every flow asks, so that only what may have many values is hashed.
impl Hash for Question {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.from, self.to, self.class, self.beside, self.rpc).hash(state);
    }
}

/// The number of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct AnswerId(u32);

/// What is said of all flows with the same question.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) standing: Standing,
    /// What the port means. That it lies in a wide range means something only where a row says so.
    pub(crate) service: Option<ServiceId>,
    /// The standing rests on roles that were inferred, not given.
    pub(crate) roles_inferred: bool,
    /// What it means if such a flow fails, roles apart.
    pub(crate) blocked: Option<FindingKind>,
}

/// What is known when flows are held against the documents.
pub(crate) struct Known<'a> {
    pub(crate) about: &'a About<'a>,
    pub(crate) context: &'a Context,
    pub(crate) roles: &'a Roles,
    pub(crate) strict: bool,
}

/// The answers given so far.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    ids: HashMap<Question, AnswerId, RandomState>,
    all: Vec<Answer>,
}

impl Answers {
    /// What the documents say of a flow whose outcome has this reason.
    pub(crate) fn of(&mut self, seen: &Seen<'_>, reason: Reason, known: &Known<'_>, rpc: &mut Rpc) -> AnswerId {
        let meaning = known.about.meaning(seen);
        let key = seen.stored.key();
        let (from, to) = (known.roles.kind_of(seen.client), known.roles.kind_of(seen.server));
        let question = Question {
            from,
            to,
            class: seen.class,
            dir_basis: seen.dir_basis,
            one_way: reason == Reason::OneWayProtocol,
            excepted: known.excepts(seen, from, to),
            half_known: known.roles.half_known(seen.server),
            beside: match meaning {
                Some(meaning) if meaning.accompanied => known.context.companions.between(seen.client, seen.server),
                _ => CompanionsId::default(),
            },
            payload: known.payload(seen, meaning),
            rpc: rpc.likeness(seen, known.about.hosts),
            internal: key.low.is_internal() && key.high.is_internal(),
        };
        if let Some(id) = self.ids.get(&question) {
            return *id;
        }
        let id = AnswerId(u32::try_from(self.all.len()).unwrap_or(u32::MAX));
        self.all.push(known.answer(&question, rpc));
        self.ids.insert(question, id);
        id
    }

    /// The answer of that number.
    #[inline]
    pub(crate) fn get(&self, id: AnswerId) -> Option<&Answer> {
        self.all.get(id.0 as usize)
    }
}

impl Known<'_> {
    fn excepts(&self, seen: &Seen<'_>, from: KindId, to: KindId) -> bool {
        let About { catalogue, hosts, .. } = *self.about;
        if catalogue.exceptions().is_empty() {
            return false;
        }
        let transport = seen.class.transport();
        let port = if transport.has_ports() { seen.port } else { 0 };
        let (client, server) = (hosts.addr(seen.client).ip(), hosts.addr(seen.server).ip());
        let (from, to) = (self.roles.held(from).set, self.roles.held(to).set);
        catalogue.exception(client, server, from, to, transport, port, seen.stored.first()).is_some()
    }

    /// What the payload says, where the port may speak something known.
    fn payload(&self, seen: &Seen<'_>, meaning: Option<&Meaning>) -> Payload {
        let named = meaning.and_then(|meaning| meaning.named);
        let speaks = named.map(|service| self.about.catalogue.service(service).speaks).unwrap_or_default();
        Payload::of(&seen.stored.speech(), seen.orig, speaks)
    }

    fn answer(&self, question: &Question, rpc: &Rpc) -> Answer {
        let meaning = self.about.classes.meaning(question.class);
        let likeness = question.rpc.and_then(|id| rpc.get(id));
        let standing = self.standing(question, likeness);
        let in_range = matches!(standing, Standing::ExpectedRpc(_) | Standing::ExpectedRange(_));
        let service = meaning.and_then(|meaning| if in_range { meaning.service } else { meaning.named });
        let [from, to] = [question.from, question.to].map(|kind| self.roles.held(kind));
        let mapper =
            meaning.and_then(|meaning| meaning.named).is_some_and(|id| self.about.catalogue.service(id).mapper);
        let handed_out = likeness.is_some_and(|likeness| likeness.handed_out);
        let blocked = match &standing {
            Standing::NotJudged(WhyNot::SiteException | WhyNot::OneWayProtocol) => None,
            Standing::Expected(_) if mapper => Some(FindingKind::EpmBlocked),
            // Whoever asks a mapper inside means it, whatever the roles are.
            Standing::NotJudged(_) if mapper && question.internal => Some(FindingKind::EpmBlocked),
            _ if handed_out && !mapper => Some(FindingKind::RpcBlocked),
            Standing::Expected(_) | Standing::ExpectedRpc(_) | Standing::ExpectedRange(_) => Some(FindingKind::Blocked),
            Standing::Unexpected(_) => Some(FindingKind::Attempt),
            _ => None,
        };
        Answer { standing, service, roles_inferred: from.inferred || to.inferred, blocked }
    }

    /// Which rows allow the flow, and if none, what that means.
    fn standing(&self, question: &Question, likeness: Option<&Likeness>) -> Standing {
        let (catalogue, roles) = (self.about.catalogue, self.roles);
        let Some(meaning) = self.about.classes.meaning(question.class) else { return Standing::Uncatalogued };
        let (transport, port) = (meaning.transport, meaning.port);
        let [from_held, to_held] = [question.from, question.to].map(|kind| roles.held(kind));
        let (from, to) = (from_held.set, to_held.set);
        if question.one_way {
            return Standing::NotJudged(WhyNot::OneWayProtocol);
        }
        if question.excepted {
            return Standing::NotJudged(WhyNot::SiteException);
        }
        let rows = catalogue.judge(from, to, transport, port);
        let mismatch = self.mismatch(question, meaning, !rows.exact.is_empty());
        // What a port is named after counts for less than what its server bound there or gave out.
        let known = likeness.is_some_and(|likeness| likeness.grade <= Grade::B && !likeness.superseded);
        let may_be_rpc = match question.payload {
            Payload::Is(proto) => is_rpc(proto),
            Payload::Quiet => true,
            Payload::Foreign => false,
        };
        if known
            && may_be_rpc
            && rows.known_port
            && (rows.exact.is_empty() || mismatch.is_some())
            && let Some(standing) = self.dynamic(question, likeness, &rows.range, meaning)
        {
            return standing;
        }
        if let Some(why) = mismatch {
            return Standing::Unexpected(why);
        }
        if !rows.exact.is_empty() {
            return Standing::Expected(rows.exact.into());
        }
        if !rows.between.is_empty() {
            // Everything is a lot: whoever merely looks like one of the two gets no licence for it.
            let firm = catalogue.judge(from_held.firm, to_held.firm, transport, port).between;
            return if firm.is_empty() {
                Standing::NotJudged(WhyNot::RoleUnknown)
            } else {
                Standing::Expected(firm.into())
            };
        }
        let spoken = self.context.companions.set(question.beside);
        // Where it is known what a service speaks, its companion speaks for nothing else, nor for what said nothing.
        let beside = |row: &RowId| {
            let row = catalogue.row(*row);
            let speaks = row.service.map(|service| catalogue.service(service).speaks).unwrap_or_default();
            let own = speaks.is_empty() || matches!(question.payload, Payload::Is(proto) if speaks.contains(proto));
            !known && own && row.related.iter().any(|service| spoken.contains(service))
        };
        let accompanied: Vec<RowId> = rows.related.iter().copied().filter(beside).collect();
        if !accompanied.is_empty() {
            return Standing::Expected(accompanied.into());
        }
        // What rows would allow if a server without role had the right one.
        let possible = if to.is_empty() { catalogue.judge(from, RoleSet::ALL, transport, port) } else { rows.clone() };
        let proven = likeness.is_some_and(|likeness| likeness.grade == Grade::A) && meaning.of_rpc_alone;
        if !rows.known_port || proven {
            if likeness.is_none() && possible.related.iter().any(beside) {
                return Standing::NotJudged(WhyNot::RoleUnknown);
            }
            if let Some(standing) = self.dynamic(question, likeness, &rows.range, meaning) {
                return standing;
            }
        }
        self.without_row(question, meaning, &rows, &possible)
    }

    /// What it means that no row allows a flow: `rows` judge its ends, `possible` a server without role as if it had any.
    fn without_row(&self, question: &Question, meaning: &Meaning, rows: &Judgement, possible: &Judgement) -> Standing {
        let (catalogue, roles) = (self.about.catalogue, self.roles);
        let [from_held, to_held] = [question.from, question.to].map(|kind| roles.held(kind));
        let (from, to, transport) = (from_held.set, to_held.set, meaning.transport);
        // To say so, it must be certain who called whom.
        let certain = match question.dir_basis {
            DirBasis::Syn | DirBasis::SynAck | DirBasis::Payload | DirBasis::NtpMode => true,
            // Caught in the middle, a client's port may look like a service.
            DirBasis::CataloguePort => transport != Transport::Tcp,
            DirBasis::LearnedPort | DirBasis::FirstPacket | DirBasis::LowerPort => false,
        };
        if !certain {
            return if self.strict {
                Standing::Unexpected(Why::NoRow)
            } else if rows.known_port && (from.is_empty() || to.is_empty()) {
                Standing::NotJudged(WhyNot::RoleUnknown)
            } else if rows.known_port {
                Standing::NotJudged(WhyNot::DirectionUnknown)
            } else {
                Standing::Uncatalogued
            };
        }
        if rows.known_port {
            // Some other role may: then an unknown client may hold that role.
            let for_another_client =
                rows.other_roles.iter().any(|row| catalogue.row(*row).to.iter().any(|role| to.contains(*role)));
            let known_from = from_held.decided() || !for_another_client;
            return if !rows.range.is_empty() && to.is_empty() {
                Standing::ExpectedRange(rows.range.clone().into())
            } else if self.strict || (known_from && to_held.decided()) {
                let why = if rows.reverse.is_empty() { Why::RolePair } else { Why::Direction };
                Standing::Unexpected(why)
            } else if roles.is_asked(from)
                && to.is_empty()
                && !question.half_known
                && transport == Transport::Tcp
                && !self.is_twin(meaning)
                && (!question.internal || possible.exact.is_empty())
            {
                // A domain controller has no business with hosts that nobody knows, unless inside a row would allow it for
                // a host of some role. Datagrams, and what is asked over TCP instead, apart: it forwards DNS and sets its
                // clock by hosts outside.
                let only_back = possible.exact.is_empty() && !rows.reverse.is_empty();
                Standing::Unexpected(if only_back { Why::Direction } else { Why::NoRow })
            } else {
                Standing::NotJudged(WhyNot::RoleUnknown)
            };
        }
        let from_controller = roles.is_asked(from) && !question.half_known;
        if self.strict || (to_held.decided() && roles.serves(to)) || from_controller {
            return Standing::Unexpected(Why::NoRow);
        }
        Standing::Uncatalogued
    }

    /// Whether the same is asked over UDP, and over TCP where there is no room or no answer.
    fn is_twin(&self, meaning: &Meaning) -> bool {
        meaning.named.is_some_and(|service| self.about.catalogue.service(service).tcp_twin)
    }

    /// Whether the payload is another protocol than the port says.
    fn mismatch(&self, question: &Question, meaning: &Meaning, allowed: bool) -> Option<Why> {
        let speaks = self.about.catalogue.service(meaning.named?).speaks;
        match question.payload {
            Payload::Is(proto) if !speaks.is_empty() && !speaks.contains(proto) => {
                Some(Why::ProtocolMismatch(Some(proto)))
            }
            // That it is none of them is a weaker word: it counts where the documents rely on the port.
            Payload::Foreign if allowed => Some(Why::ProtocolMismatch(None)),
            _ => None,
        }
    }

    /// What is said of a port that only a range covers, by the interface that was learned for it or by its payload.
    fn dynamic(
        &self,
        question: &Question,
        likeness: Option<&Likeness>,
        range: &[RowId],
        meaning: &Meaning,
    ) -> Option<Standing> {
        let [from, to] = [question.from, question.to].map(|kind| self.roles.held(kind));
        let in_range = || (!range.is_empty()).then(|| Standing::ExpectedRange(range.into()));
        if range.is_empty() && likeness.is_some_and(|likeness| likeness.grade == Grade::F) && to.set.is_empty() {
            // RPC to a host of which nothing is known: it may well be a server that rows allow it to.
            return Some(Standing::NotJudged(WhyNot::RoleUnknown));
        }
        let Some(likeness) = likeness.filter(|likeness| likeness.grade != Grade::F && !likeness.superseded) else {
            let Payload::Is(proto) = question.payload else { return in_range() };
            if is_rpc(proto) {
                return in_range();
            }
            let at_home = question.internal && (from.decided() || to.decided());
            return if (!range.is_empty() && to.decided()) || (meaning.of_rpc_alone && at_home) {
                Some(Standing::Unexpected(Why::NonRpcInRange(proto)))
            } else {
                (!range.is_empty()).then_some(Standing::NotJudged(WhyNot::RoleUnknown))
            };
        };
        let judge = |uuid: &Uuid| self.about.catalogue.judge_interface(from.set, to.set, *uuid);
        let judged: Vec<_> = likeness.interfaces.iter().map(judge).collect();
        let forbidden = |judgement: &InterfaceJudgement| judgement.governed && judgement.allowed.is_empty();
        // Of several that were bound none may be forbidden; of several that it may be, one that is allowed is enough.
        let wrong = match likeness.grade {
            Grade::E => !judged.is_empty() && judged.iter().all(forbidden),
            _ => judged.iter().any(forbidden),
        };
        if wrong {
            let known = from.decided() && to.decided();
            return Some(if known || self.strict {
                Standing::Unexpected(Why::RpcInterface)
            } else {
                Standing::NotJudged(WhyNot::RoleUnknown)
            });
        }
        let mut rows: Vec<RowId> = judged.into_iter().flat_map(|judgement| judgement.allowed).collect();
        rows.extend(range);
        rows.sort_unstable();
        rows.dedup();
        if rows.is_empty() {
            return to.set.is_empty().then_some(Standing::NotJudged(WhyNot::RoleUnknown));
        }
        Some(Standing::ExpectedRpc(rows.into()))
    }
}

fn is_rpc(proto: AppProto) -> bool {
    matches!(proto, AppProto::DceRpc | AppProto::NcacnHttp)
}
