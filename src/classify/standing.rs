//! What the documents say of a flow: SEMANTICS table 1d.
//!
//! Flows are many, questions few: each question is answered once, and its answer has a number.

use std::collections::HashMap;

use foldhash::quality::RandomState;

use crate::catalogue::policy::RowId;
use crate::catalogue::service::ServiceId;
use crate::classify::context::About;
use crate::classify::context::CompanionsId;
use crate::classify::context::Context;
use crate::classify::context::Seen;
use crate::classify::ports::PortClass;
use crate::classify::roles::KindId;
use crate::classify::roles::Roles;
use crate::classify::verdict::DirBasis;
use crate::classify::verdict::Reason;
use crate::classify::verdict::Standing;
use crate::classify::verdict::Why;
use crate::classify::verdict::WhyNot;
use crate::model::transport::Transport;

/// All of a flow that the documents have a word on. Whatever else comes to matter is to stand here, so that flows which
/// differ in it do not share an answer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
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
    pub(crate) fn of(&mut self, seen: &Seen<'_>, reason: Reason, known: &Known<'_>) -> AnswerId {
        let (from, to) = (known.roles.kind_of(seen.client), known.roles.kind_of(seen.server));
        let question = Question {
            from,
            to,
            class: seen.class,
            dir_basis: seen.dir_basis,
            one_way: reason == Reason::OneWayProtocol,
            excepted: known.excepts(seen, from, to),
            half_known: known.roles.half_known(seen.server),
            beside: match known.about.meaning(seen) {
                Some(meaning) if meaning.accompanied => known.context.companions(seen.client, seen.server),
                _ => CompanionsId::default(),
            },
        };
        if let Some(id) = self.ids.get(&question) {
            return *id;
        }
        let id = AnswerId(u32::try_from(self.all.len()).unwrap_or(u32::MAX));
        self.all.push(known.answer(&question));
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
        let transport = seen.flow.key.transport;
        let port = if transport.has_ports() { seen.port } else { 0 };
        let (client, server) = (hosts.addr(seen.client).ip(), hosts.addr(seen.server).ip());
        let (from, to) = (self.roles.held(from).set, self.roles.held(to).set);
        catalogue.exception(client, server, from, to, transport, port, seen.flow.first).is_some()
    }

    fn answer(&self, question: &Question) -> Answer {
        let meaning = self.about.classes.meaning(question.class);
        let standing = self.standing(question);
        let in_range = matches!(standing, Standing::ExpectedRange(_));
        let service = meaning.and_then(|meaning| if in_range { meaning.service } else { meaning.named });
        let [from, to] = [question.from, question.to].map(|kind| self.roles.held(kind));
        Answer { standing, service, roles_inferred: from.inferred || to.inferred }
    }

    /// Which rows allow the flow, and if none, what that means.
    fn standing(&self, question: &Question) -> Standing {
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
        if !rows.exact.is_empty() {
            return Standing::Expected(rows.exact.into());
        }
        if !rows.between.is_empty() {
            return Standing::Expected(rows.between.into());
        }
        let spoken = self.context.companion_set(question.beside);
        let beside = |row: &RowId| catalogue.row(*row).related.iter().any(|service| spoken.contains(service));
        let accompanied: Vec<RowId> = rows.related.iter().copied().filter(beside).collect();
        if !accompanied.is_empty() {
            return Standing::Expected(accompanied.into());
        }
        if !rows.range.is_empty() && !rows.known_port {
            return Standing::ExpectedRange(rows.range.into());
        }
        // From here on no row allows it. To say so, it must be certain who called whom.
        let certain = match question.dir_basis {
            DirBasis::Syn | DirBasis::SynAck | DirBasis::NtpMode => true,
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
            let known_from = from_held.decided || !for_another_client;
            return if !rows.range.is_empty() && to.is_empty() {
                Standing::ExpectedRange(rows.range.into())
            } else if self.strict || (known_from && to_held.decided) {
                let why = if rows.reverse.is_empty() { Why::RolePair } else { Why::Direction };
                Standing::Unexpected(why)
            } else if roles.is_asked(from) && to.is_empty() && !question.half_known && transport == Transport::Tcp {
                // A domain controller has no business with hosts that nobody knows. Datagrams apart: it forwards DNS and
                // sets its clock by hosts outside.
                Standing::Unexpected(if rows.reverse.is_empty() { Why::NoRow } else { Why::Direction })
            } else {
                Standing::NotJudged(WhyNot::RoleUnknown)
            };
        }
        let from_controller = roles.is_asked(from) && !question.half_known;
        if self.strict || (to_held.decided && roles.serves(to)) || from_controller {
            return Standing::Unexpected(Why::NoRow);
        }
        Standing::Uncatalogued
    }
}
