//! What the documents say of a flow: SEMANTICS table 1d.

use crate::catalogue::Catalogue;
use crate::catalogue::policy::RowId;
use crate::classify::context::Context;
use crate::classify::roles::Held;
use crate::classify::roles::Roles;
use crate::classify::verdict::DirBasis;
use crate::classify::verdict::Reason;
use crate::classify::verdict::Standing;
use crate::classify::verdict::Verdict;
use crate::classify::verdict::Why;
use crate::classify::verdict::WhyNot;
use crate::flow::record::Flow;
use crate::model::addr::Side;
use crate::model::transport::Transport;

/// A flow with its ends' roles.
pub(crate) struct Question<'a> {
    pub(crate) flow: &'a Flow,
    pub(crate) orig: Side,
    pub(crate) dir_basis: DirBasis,
    pub(crate) verdict: &'a Verdict,
    pub(crate) from: &'a Held,
    pub(crate) to: &'a Held,
    pub(crate) strict: bool,
}

impl Question<'_> {
    /// The rows that allow the flow beside another one between the same hosts, if that one was seen.
    fn accompanied(&self, rows: &[RowId], context: &Context, catalogue: &Catalogue) -> Option<Vec<RowId>> {
        let ends = self.flow.five_tuple(self.orig);
        let kept: Vec<RowId> = rows
            .iter()
            .copied()
            .filter(|row| {
                let services = &catalogue.row(*row).related;
                services.iter().any(|service| context.companion(ends.orig.addr, ends.resp.addr, *service))
            })
            .collect();
        (!kept.is_empty()).then_some(kept)
    }
}

/// Which rows allow the flow, and if none, what that means.
pub(crate) fn standing(question: &Question<'_>, roles: &Roles, context: &Context, catalogue: &Catalogue) -> Standing {
    let ends = question.flow.five_tuple(question.orig);
    let (from, to) = (question.from.set, question.to.set);
    let transport = question.flow.key.transport;
    let port = if transport.has_ports() { ends.resp.port } else { 0 };
    if question.verdict.reason == Reason::OneWayProtocol {
        return Standing::NotJudged(WhyNot::OneWayProtocol);
    }
    let (client, server) = (ends.orig.addr.ip(), ends.resp.addr.ip());
    if catalogue.exception(client, server, from, to, transport, port, question.flow.first).is_some() {
        return Standing::NotJudged(WhyNot::SiteException);
    }
    let rows = catalogue.judge(from, to, transport, port);
    if !rows.exact.is_empty() {
        return Standing::Expected(rows.exact);
    }
    if !rows.between.is_empty() {
        return Standing::Expected(rows.between);
    }
    if let Some(companions) = question.accompanied(&rows.related, context, catalogue) {
        return Standing::Expected(companions);
    }
    if !rows.range.is_empty() && !rows.known_port {
        return Standing::ExpectedRange(rows.range);
    }
    // From here on no row allows it. To say so, it must be certain who called whom.
    let certain = match question.dir_basis {
        DirBasis::Syn | DirBasis::SynAck | DirBasis::NtpMode => true,
        // Caught in the middle, a client's port may look like a service.
        DirBasis::CataloguePort => transport != Transport::Tcp,
        DirBasis::LearnedPort | DirBasis::FirstPacket | DirBasis::LowerPort => false,
    };
    if !certain {
        return if question.strict {
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
        let known_from = question.from.decided || !for_another_client;
        return if !rows.range.is_empty() && to.is_empty() {
            Standing::ExpectedRange(rows.range)
        } else if question.strict || (known_from && question.to.decided) {
            let why = if rows.reverse.is_empty() { Why::RolePair } else { Why::Direction };
            Standing::Unexpected(why)
        } else if roles.is_asked(from)
            && to.is_empty()
            && !roles.half_known(ends.resp.addr)
            && transport == Transport::Tcp
        {
            // A domain controller has no business with hosts that nobody knows. Datagrams apart: it forwards DNS and
            // sets its clock by hosts outside.
            Standing::Unexpected(if rows.reverse.is_empty() { Why::NoRow } else { Why::Direction })
        } else {
            Standing::NotJudged(WhyNot::RoleUnknown)
        };
    }
    let from_controller = roles.is_asked(from) && !roles.half_known(ends.resp.addr);
    if question.strict || (question.to.decided && roles.serves(to)) || from_controller {
        return Standing::Unexpected(Why::NoRow);
    }
    Standing::Uncatalogued
}
