//! Findings in words: who, to whom, what happened how often, what the documents say, what to look at next.
//!
//! Honest by construction: silence has several causes, and all of them are named.

use std::fmt::Write as _;

use crate::classify::judged::Collapse;
use crate::classify::verdict::By;
use crate::classify::verdict::FindingKind;
use crate::classify::verdict::Outcome;
use crate::classify::verdict::Reason;
use crate::classify::verdict::Standing;
use crate::classify::verdict::Why;
use crate::flow::icmp::IcmpMeaning;
use crate::learn::endpoints::Asked;
use crate::learn::endpoints::Unregistered;
use crate::learn::grade::Grade;
use crate::model::time::Timestamp;
use crate::model::transport::Transport;
use crate::report::findings::Group;
use crate::report::findings::Story;
use crate::report::moment::Moment;
use crate::report::names::Names;
use crate::report::names::Party;
use crate::report::names::ServiceKey;
use crate::report::rpc::called;
use crate::report::sanitise::Shown;
use crate::report::words::count;
use crate::report::words::some;

/// Rows named in a sentence; the finding itself lists all.
pub(crate) const ROWS_MAX: usize = 3;

/// Roles of a host named in a sentence; the list of hosts has all.
const ROLES_MAX: usize = 3;

/// Why an answer may not have been seen.
pub(crate) const SILENCE: &str =
    "packet filter, Windows stealth mode, host down, loss, or a return path that was not captured";

/// Writes findings in words.
#[derive(Debug)]
pub(crate) struct Sentence<'a> {
    names: &'a Names<'a>,
    dated: bool,
}

impl<'a> Sentence<'a> {
    /// Times are told with their day if `dated`.
    pub(crate) fn new(names: &'a Names<'a>, dated: bool) -> Self {
        Self { names, dated }
    }

    /// A finding made of flows.
    pub(crate) fn flows(&self, story: &Story, group: &Group) -> String {
        let mut text = self.told(story, group);
        text.push_str(&self.event(story, group));
        if story.outcome != Outcome::Open
            && let Some(worked) = group.worked
        {
            let (open, flows) = (worked.open, count(worked.flows, "flow"));
            let at = self.clock(worked.last);
            let _ = write!(text, " {open} of {flows} of this service between the two worked, the last at {at}.");
        }
        text.push(' ');
        text.push_str(&self.documents(story, group));
        if let Some(doubt) = self.inferred(story, group) {
            text.push(' ');
            text.push_str(&doubt);
        }
        text.push(' ');
        text.push_str(advice(story, group));
        text
    }

    /// How the client came to know the port, where that is the story.
    fn told(&self, story: &Story, group: &Group) -> String {
        let (Some(guess), FindingKind::RpcBlocked, Some(port)) = (&group.rpc, story.kind, story.port) else {
            return String::new();
        };
        let (client, server) = (self.who(story.client), self.who(story.server));
        let frame = self.names.frame(guess.learned);
        let Some(first) = guess.interfaces.first().filter(|_| guess.grade != Grade::D) else {
            let others: Vec<Shown> = guess.interfaces.iter().map(|id| called(*id, self.names)).collect();
            let beside =
                if others.is_empty() { String::new() } else { format!("; bound there: {}", some(&others, ROWS_MAX)) };
            return format!(
                "{server} told {client} by DCOM that an object is at port {port} (frame {frame}){beside}. "
            );
        };
        let name = called(*first, self.names);
        match guess.grade {
            Grade::B => format!("{client} asked {server} for {name} and was told port {port} (frame {frame}). "),
            _ => format!("{server} has {name} at port {port}, as frame {frame} shows, and {client} wanted it. "),
        }
    }

    /// An interface that the endpoint mapper does not know.
    pub(crate) fn unregistered(&self, question: &Unregistered, asked: &Asked) -> String {
        let (client, server) = (self.who(Party::One(question.client)), self.who(Party::One(question.server)));
        let name = called(question.interface, self.names);
        let when = self.when(asked.first.ts, asked.last.ts);
        let times = count(asked.answers, "time");
        format!(
            "{client} asked the endpoint mapper of {server} for {name} over {} {when}, {times}, and was told that it is \
             not registered. The network did its part: the service behind it does not run there, or not yet, or not over \
             that.",
            question.over.name()
        )
    }

    /// A scan or flood.
    pub(crate) fn collapse(&self, collapse: &Collapse, service: ServiceKey) -> String {
        let client = self.who(collapse.client.into());
        let targets = match collapse.server {
            Some(server) => self.who(Party::One(server)),
            None => count(collapse.targets, "host"),
        };
        let what = match collapse.port {
            Some(port) => self.what(service, collapse.transport, Some(port)),
            None => format!("{} ports", collapse.ports),
        };
        let when = self.when(collapse.first, collapse.last);
        let attempts = count(collapse.attempts, "attempt");
        let most = collapse.outcome.name();
        match collapse.kind {
            FindingKind::Flood => {
                let least = if collapse.folded > 0 { "at least " } else { "" };
                let sources = format!("{least}{}", count(collapse.sources, "source"));
                format!(
                    "{targets} was flooded on {what}: {attempts} from {sources} {when}, nearly none completed. \
                     Real clients that failed meanwhile may have failed because of it. Look for spoofed sources, or \
                     for a client gone wild."
                )
            }
            _ => format!(
                "{client} tried {what} on {targets}: {attempts} {when}, most of them {most}. Its attempts are not \
                 listed one by one. If it is an inventory or vulnerability scanner, name it under judge.scanners in \
                 the site file; if not, find out what runs on it."
            ),
        }
    }

    fn event(&self, story: &Story, group: &Group) -> String {
        let (client, server) = (self.who(story.client), self.who(story.server));
        let what = self.what(group.service, story.transport, story.port);
        let tries = count(group.attempts, if story.transport == Transport::Tcp { "attempt" } else { "request" });
        let when = self.when(group.first, group.last);
        let flows = count(group.flows, "flow");
        let tried = if story.kind == FindingKind::RpcBlocked && group.rpc.is_some() {
            format!("It tried the port {when}: {tries} in {flows}")
        } else {
            format!("{client} tried {what} on {server} {when}: {tries} in {flows}")
        };
        match story.outcome {
            Outcome::Dropped => format!("{tried}, and no answer was seen at this capture point ({SILENCE})."),
            Outcome::Unanswered => format!("{tried}, and no reply was seen at this capture point ({SILENCE})."),
            Outcome::Refused => format!("{tried}, {}.", refusal(story, group)),
            Outcome::Rejected => format!("{tried}, {}.", self.rejection(story, group)),
            Outcome::ReplyLost => format!(
                "{tried}. The server answered, and the client did not take the answer up: it was lost between this \
                 capture point and the client, or the client is gone."
            ),
            Outcome::Stalled => {
                let then = match story.reason {
                    Some(Reason::AnswerUnacked) => {
                        "the server sent its answer again and again, and the client acknowledged none of it"
                    }
                    Some(Reason::SynAckUnacked) => {
                        "the server repeated its SYN-ACK, as if nothing that the client sent had arrived"
                    }
                    _ => "the server was not heard again, although the client repeated its data",
                };
                format!("{client} connected to {what} on {server} {when}, {flows}; then {then}.")
            }
            Outcome::Reset => format!("{tried}; the connection was cut at its first data."),
            Outcome::OneWay => format!("{client} used {what} of {server} {when}, {flows}, seen in one direction only."),
            Outcome::Open => format!("{client} used {what} of {server} {when}, {flows}, and it worked."),
            Outcome::Pending | Outcome::Unknown => format!("{tried}; how it ended cannot be said."),
        }
    }

    fn rejection(&self, story: &Story, group: &Group) -> String {
        let icmp = group.icmp.map(|meaning| format!(" (ICMP: {})", meaning.words())).unwrap_or_default();
        match story.by {
            Some(By::Address(addr)) => format!("rejected by {}{icmp}", self.who(Party::One(addr))),
            Some(By::Host) => format!("rejected by the host itself{icmp}"),
            Some(By::Middlebox) => "answered by a RST that is not the server's own: something on the way rejects \
                                    them"
                .to_owned(),
            Some(By::Unknown) | None => format!("rejected on the way{icmp}"),
        }
    }

    fn documents(&self, story: &Story, group: &Group) -> String {
        let named: Vec<Shown> = group.rows.iter().map(|&row| self.names.row(row)).collect();
        let rows = some(&named, ROWS_MAX);
        match (&group.standing, story.port) {
            (Standing::Expected(_), _) => format!("Expected by {rows}."),
            (Standing::ExpectedRpc(_), _) => match group.rpc.as_ref().and_then(|guess| guess.interfaces.first()) {
                Some(id) => format!("Expected by {rows}, as it is for {}.", called(*id, self.names)),
                None => format!("Expected by {rows}, as RPC was announced there."),
            },
            (Standing::ExpectedRange(_), _) => {
                format!("Nothing but the wide range of {rows} allows it; no row names this port.")
            }
            (Standing::Unexpected(Why::NoRow), Some(port)) => {
                format!("No row of the chosen profiles allows {}/{port} there.", story.transport)
            }
            (Standing::Unexpected(Why::NoRow), None) => {
                format!("No row of the chosen profiles allows {} there.", story.transport)
            }
            (Standing::Unexpected(Why::RolePair), _) => {
                "Rows name it for hosts of other roles than these two.".to_owned()
            }
            (Standing::Unexpected(Why::ProtocolMismatch(Some(proto))), _) => {
                format!("Its payload is {proto}, and that is not what the port is for.")
            }
            (Standing::Unexpected(Why::ProtocolMismatch(None)), _) => {
                "Its payload, whatever it is, is not what the port is for.".to_owned()
            }
            (Standing::Unexpected(Why::RpcInterface), _) => {
                let name = group.rpc.as_ref().and_then(|guess| guess.interfaces.first());
                let name = name.map_or_else(|| Shown::name("its interface"), |id| called(*id, self.names));
                let sure = match group.rpc.as_ref().map(|guess| guess.grade) {
                    Some(Grade::A | Grade::B) | None => "It is",
                    Some(Grade::C | Grade::D) => "It is probably",
                    Some(Grade::E | Grade::F) => "It may be",
                };
                format!("{sure} for {name}, which rows allow to hosts of other roles only.")
            }
            (Standing::Unexpected(Why::NonRpcInRange(proto)), _) => {
                format!("Its port lies in the range of RPC, and its payload is {proto}.")
            }
            (Standing::Unexpected(Why::Direction), _) => "Rows allow it in the other direction only.".to_owned(),
            (Standing::Uncatalogued, _) => "The catalogue does not know it.".to_owned(),
            (Standing::NotJudged(why), _) => format!("It is not judged ({}).", why.name()),
        }
    }

    /// Says so if what the documents say rests on roles that nobody declared.
    fn inferred(&self, story: &Story, group: &Group) -> Option<String> {
        if !group.roles_inferred {
            return None;
        }
        let guessed: Vec<String> = [story.client, story.server]
            .into_iter()
            .filter_map(|party| match party {
                Party::One(addr) => Some(addr),
                Party::Many => None,
            })
            .filter(|&addr| {
                let roles = self.names.roles(addr);
                !roles.is_empty() && roles.iter().all(|role| !role.by_site)
            })
            .map(|addr| addr.to_string())
            .collect();
        let (whose, are, them) = match guessed.as_slice() {
            [] => return None,
            [one] => (format!("role of {one}"), "is", "it"),
            all => (format!("roles of {}", all.join(" and ")), "are", "them"),
        };
        Some(format!("The {whose} {are} inferred from this capture; a site file would make {them} certain."))
    }

    /// A party with its name and roles: `dc1.corp (10.0.0.10, domain-controller)`.
    fn who(&self, party: Party) -> String {
        let Party::One(addr) = party else { return "many hosts".to_owned() };
        let all = self.names.roles(addr);
        let mut roles: Vec<&str> = all.iter().take(ROLES_MAX).map(|role| self.names.role_name(role)).collect();
        if all.len() > ROLES_MAX {
            roles.push("…");
        }
        match (self.names.host_name(addr), roles.join(", ")) {
            (Some(name), roles) if roles.is_empty() => format!("{name} ({addr})"),
            (Some(name), roles) => format!("{name} ({addr}, {roles})"),
            (None, roles) if roles.is_empty() => addr.to_string(),
            (None, roles) => format!("{addr} ({roles})"),
        }
    }

    /// A service with its port: `Kerberos (tcp/88)`, or the port alone.
    fn what(&self, service: ServiceKey, transport: Transport, port: Option<u16>) -> String {
        let title = self.names.service_title(service, transport);
        match (service, port) {
            (ServiceKey::Known(_), Some(port)) => format!("{title} ({transport}/{port})"),
            (ServiceKey::Known(_), None) => format!("{title} ({transport})"),
            _ => title.to_string(),
        }
    }

    fn clock(&self, at: Timestamp) -> String {
        Moment(at).clock(self.dated)
    }

    fn when(&self, first: Timestamp, last: Timestamp) -> String {
        let (from, to) = (self.clock(first), self.clock(last));
        if from == to { format!("at {from}") } else { format!("between {from} and {to}") }
    }
}

fn refusal(story: &Story, group: &Group) -> String {
    let by_icmp = matches!(story.reason, Some(Reason::IcmpClosed | Reason::Icmp { .. }));
    match (by_icmp, group.icmp, story.by) {
        (true, Some(meaning), _) => format!("refused by the host itself (ICMP: {})", meaning.words()),
        (_, _, Some(By::Host)) => "refused by the host itself".to_owned(),
        _ => "refused by a RST; whether the host or a filter sent it cannot be told from this capture".to_owned(),
    }
}

/// What else to look at.
fn advice(story: &Story, group: &Group) -> &'static str {
    // What was let in, or what a row names, needs no range.
    let as_any = matches!(story.outcome, Outcome::Stalled | Outcome::ReplyLost)
        || (matches!(group.standing, Standing::Expected(_)) && story.outcome != Outcome::Refused);
    let moved = group.rpc.as_ref().is_some_and(|guess| guess.superseded);
    let kind = match story.kind {
        FindingKind::RpcBlocked if as_any => FindingKind::Blocked,
        FindingKind::Blocked if moved && story.outcome == Outcome::Refused => FindingKind::RpcBlocked,
        kind => kind,
    };
    match (kind, story.outcome) {
        (FindingKind::RpcBlocked, Outcome::Refused) => {
            "The port may be an old one: see whether the service was restarted, and whether the client asks anew."
        }
        (FindingKind::RpcBlocked, _) => {
            "The port is one of the server's dynamic RPC ports: let the client reach the whole range of the server, or \
             let the filter follow the endpoint mapper's answers."
        }
        (FindingKind::EpmBlocked, _) => {
            "Without the endpoint mapper no RPC service of the server can be found; what would become of its dynamic \
             ports is not known."
        }
        (FindingKind::Blocked, Outcome::Dropped | Outcome::Unanswered) => {
            "Check whether the request arrives at the server: if it does, look at the host's own firewall and at the \
             service; if not, at the filters on the way."
        }
        (FindingKind::Blocked, Outcome::Refused) => {
            "Check whether the service runs on the server and listens on this address and port."
        }
        (FindingKind::Blocked, Outcome::Rejected)
            if matches!(group.icmp, Some(IcmpMeaning::HostDown | IcmpMeaning::NoRoute)) =>
        {
            "The router could not reach the host: see whether it is up and in the network where the route leads."
        }
        (FindingKind::Blocked, Outcome::Rejected) => "Check the rules and the routes of what rejected it.",
        (FindingKind::Blocked, Outcome::ReplyLost) => {
            "Check the way back: filters for traffic from the server to the client, and asymmetric routes."
        }
        (FindingKind::Blocked, Outcome::Stalled) => {
            "Check for large packets that do not get through (MTU), and for a firewall that forgot the connection."
        }
        (FindingKind::Blocked, _) => "Check both ends.",
        (FindingKind::Unexpected, _) => {
            "If it is needed, say so in the site file (a row or an exception); if not, close it."
        }
        (FindingKind::Attempt, _) => "If it should work, it lacks a row; if not, find out what on the client tries it.",
        (FindingKind::RangeOnly, _) => {
            "Check which program listens there before relying on it: the range alone proves nothing."
        }
        (FindingKind::Scan | FindingKind::Flood | FindingKind::RpcNotRegistered, _) => "",
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop here")]

    use crate::classify::verdict::By;
    use crate::classify::verdict::FindingKind;
    use crate::classify::verdict::Outcome;
    use crate::classify::verdict::Reason;
    use crate::classify::verdict::Standing;
    use crate::classify::verdict::Why;
    use crate::flow::fold::Folds;
    use crate::model::transport::Transport;
    use crate::report::moment::Moment;
    use crate::report::sample;
    use crate::report::sentence::SILENCE;

    fn text(outcome: Outcome, by: By, standing: Standing, kind: FindingKind) -> String {
        let catalogue = sample::catalogue();
        let made = sample::open("10.0.1.20", "10.0.0.10", Transport::Tcp, 88, 12)
            .failed(outcome, Reason::SynSingle, by, 1)
            .told(Some("kerberos"), standing, Some(kind));
        let report = sample::report_of(catalogue, sample::run(), sample::health(), &[made], &Folds::default());
        report.findings.of_kind(kind).next().unwrap().text
    }

    fn blocked(outcome: Outcome, by: By) -> String {
        text(outcome, by, Standing::Expected([].into()), FindingKind::Blocked)
    }

    #[test]
    fn silence_names_every_cause_and_nothing_else_does() {
        let all = [
            (Outcome::Dropped, true),
            (Outcome::Unanswered, true),
            (Outcome::Refused, false),
            (Outcome::Rejected, false),
            (Outcome::ReplyLost, false),
            (Outcome::Stalled, false),
            (Outcome::Reset, false),
            (Outcome::OneWay, false),
            (Outcome::Unknown, false),
        ];
        for (outcome, silent) in all {
            let text = blocked(outcome, By::Unknown);
            assert_eq!(text.contains(SILENCE), silent, "{text}");
            assert!(!text.contains("policy"), "{text}");
            assert!(text.contains("10.0.1.20") && text.contains("Kerberos (tcp/88)"), "{text}");
        }
    }

    #[test]
    fn who_made_it_fail_is_told_as_far_as_it_is_known() {
        assert!(blocked(Outcome::Refused, By::Host).contains("refused by the host itself."));
        assert!(blocked(Outcome::Refused, By::Unknown).contains("whether the host or a filter sent it cannot be told"));
        assert!(blocked(Outcome::Rejected, By::Middlebox).contains("not the server's own"));
        let router = By::Address(sample::addr("10.0.0.1"));
        assert!(blocked(Outcome::Rejected, router).contains("rejected by 10.0.0.1."));
    }

    #[test]
    fn what_the_documents_say_is_told() {
        let rows = [
            (Why::NoRow, "No row of the chosen profiles allows tcp/88 there."),
            (Why::RolePair, "Rows name it for hosts of other roles"),
            (Why::Direction, "in the other direction only"),
        ];
        for (why, words) in rows {
            let told = text(Outcome::Dropped, By::Unknown, Standing::Unexpected(why), FindingKind::Attempt);
            assert!(told.contains(words), "{told}");
        }
    }

    #[test]
    fn times_have_their_day_if_the_capture_has_several() {
        let catalogue = sample::catalogue();
        let mut run = sample::run();
        let told = |run| {
            let made = sample::flows(catalogue);
            sample::report_of(catalogue, run, sample::health(), &made, &Folds::default()).findings.get(0).unwrap().text
        };
        assert!(told(run.clone()).contains(" at 10:02:12:"));
        run.inputs[0].last = Some(Moment(sample::at(86_400_000)));
        assert!(told(run).contains(" at 2026-03-01 10:02:12:"));
    }
}
