//! A small capture that never was, judged by hand: what the tests of this room report.

#![expect(clippy::unwrap_used, reason = "a test may stop here")]

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::LazyLock;

use crate::catalogue::Catalogue;
use crate::catalogue::LoadOptions;
use crate::catalogue::load;
use crate::catalogue::policy::RowId;
use crate::classify::hosts::Hosts;
use crate::classify::judged::Collapse;
use crate::classify::judged::Host;
use crate::classify::judged::HostRole;
use crate::classify::judged::Judged;
use crate::classify::judged::Placed;
use crate::classify::judged::Ruled;
use crate::classify::judged::Sums;
use crate::classify::verdict::By;
use crate::classify::verdict::Confidence;
use crate::classify::verdict::DirBasis;
use crate::classify::verdict::FindingKind;
use crate::classify::verdict::Frames;
use crate::classify::verdict::Outcome;
use crate::classify::verdict::Reason;
use crate::classify::verdict::Standing;
use crate::classify::verdict::Verdict;
use crate::classify::verdict::Why;
use crate::classify::verdict::WhyNot;
use crate::decode::packet::Layer;
use crate::decode::packet::Packet;
use crate::flow::fold::Folds;
use crate::flow::icmp::IcmpSeen;
use crate::flow::record::Flow;
use crate::learn::grade::Endpoints;
use crate::model::addr::Addr;
use crate::model::addr::FlowKey;
use crate::model::addr::Side;
use crate::model::ids::FrameId;
use crate::model::time::Timestamp;
use crate::model::transport::Transport;
use crate::report::Beside;
use crate::report::Flows;
use crate::report::Report;
use crate::report::archive::Archive;
use crate::report::facts::Health;
use crate::report::facts::InputError;
use crate::report::facts::InputRow;
use crate::report::facts::RunFacts;
use crate::report::moment::Moment;
use crate::report::names::Names;
use crate::report::pairs::Pairs;
use crate::report::sanitise::Shown;

/// 2026-03-01T10:02:11Z.
const BEGIN_NS: u64 = 1_772_359_331_000_000_000;

const SITE: &str = r#"
[hosts]
domain-controller = ["10.0.0.10"]
[names]
"10.0.0.10" = "dc1.corp.example"
"10.0.3.7" = "=cmd|'x'!A0 <script>"
[judge]
profiles = ["site"]
[[row]]
id = "kerberos"
from = "client"
to = "domain-controller"
service = "kerberos"
purpose = "signing in"
document = "page 1"
[[row]]
id = "ldap"
from = "client"
to = "domain-controller"
service = "ldap"
purpose = "looking up"
document = "page 1"
[[row]]
id = "wide"
from = "client"
to = "domain-controller"
ports = ["tcp/1024-65535"]
purpose = "anything"
document = "page 2"
"#;

static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let site = folder.path().join("site.toml");
    std::fs::write(&site, SITE).unwrap();
    load(&LoadOptions { site: Some(&site), ..LoadOptions::default() }).unwrap()
});

/// A catalogue whose profile `site` has the rows `kerberos`, `ldap` and `wide`.
pub(crate) fn catalogue() -> &'static Catalogue {
    &CATALOGUE
}

pub(crate) fn addr(text: &str) -> Addr {
    Addr::from(text.parse::<IpAddr>().unwrap())
}

/// A time so many milliseconds after the sample's beginning.
pub(crate) fn at(ms: u64) -> Timestamp {
    Timestamp(BEGIN_NS + ms * 1_000_000)
}

/// One flow by hand: who, to whom, on which port, how it ended, and what is said of it.
pub(crate) struct Made {
    pub(crate) flow: Flow,
    pub(crate) icmp: Option<IcmpSeen>,
    pub(crate) orig: Side,
    pub(crate) verdict: Verdict,
    pub(crate) standing: Standing,
    pub(crate) service: Option<&'static str>,
    pub(crate) finding: Option<FindingKind>,
    pub(crate) collapse: Option<usize>,
}

/// A flow that was answered: three packets each way.
pub(crate) fn open(client: &str, server: &str, transport: Transport, port: u16, frame: u64) -> Made {
    let (key, orig) = FlowKey::of(addr(client), 50_000, addr(server), port, transport);
    let packet = Packet {
        frame: FrameId::new(0, frame),
        ts: at(frame * 100),
        key,
        from: orig,
        ttl: 64,
        ip_id: 1,
        ip_len: 60,
        payload_len: 0,
        payload_at: 0,
        payload_captured: 0,
        lead: 0,
        layer: Layer::Other,
        link_group: false,
        tunnels: 0,
    };
    let mut flow = Flow::begin(&packet);
    flow.last = [packet.ts, at(frame * 100 + 50)];
    flow.packets = [3, 3];
    flow.payload[orig.index()] = 100;
    flow.payload[orig.other().index()] = 200;
    flow.ip_bytes[orig.index()] = 220;
    flow.ip_bytes[orig.other().index()] = 320;
    flow.history.add(b's', orig);
    flow.history.add(b'h', orig.other());
    flow.syns[orig.index()] = 1;
    flow.synacks[orig.other().index()] = 1;
    let verdict = Verdict {
        outcome: Outcome::Open,
        confidence: Confidence::Confirmed,
        reason: Reason::Handshake,
        by: None,
        frames: Frames::of(&[packet.frame]),
    };
    Made {
        flow,
        icmp: None,
        orig,
        verdict,
        standing: Standing::Uncatalogued,
        service: None,
        finding: None,
        collapse: None,
    }
}

impl Made {
    /// The same, failed: nothing came back, and the client tried `tries` times.
    pub(crate) fn failed(mut self, outcome: Outcome, reason: Reason, by: By, tries: u16) -> Self {
        let (orig, resp) = (self.orig.index(), self.orig.other().index());
        self.flow.packets[resp] = 0;
        self.flow.payload = [0; 2];
        self.flow.ip_bytes[resp] = 0;
        self.flow.synacks[resp] = 0;
        self.flow.syns[orig] = tries;
        self.flow.packets[orig] = u64::from(tries);
        self.verdict = Verdict { outcome, reason, by: Some(by), ..self.verdict };
        self
    }

    /// The same with what the documents say.
    pub(crate) fn told(
        mut self,
        service: Option<&'static str>,
        standing: Standing,
        finding: Option<FindingKind>,
    ) -> Self {
        self.service = service;
        self.standing = standing;
        self.finding = finding;
        self
    }

    pub(crate) fn judged(&self, catalogue: &Catalogue) -> Judged<'_> {
        Judged {
            flow: self.flow.clone(),
            icmp: self.icmp.as_ref(),
            orig: self.orig,
            dir_basis: DirBasis::Syn,
            verdict: self.verdict,
            standing: self.standing.clone(),
            service: self.service.map(|service| catalogue.service_by_id(service).unwrap()),
            finding: self.finding,
            collapse: self.collapse,
            notes: vec!["mid_stream"],
            roles_inferred: true,
            errors: Vec::new(),
            app: None,
            rpc: None,
            pipes: None,
        }
    }

    /// The same flow as sums see it; its hosts get numbers.
    pub(crate) fn ruled(&self, catalogue: &Catalogue, hosts: &mut Hosts) -> Ruled<'_> {
        let ends = self.flow.five_tuple(self.orig);
        Ruled {
            number: 0,
            sums: Sums::of(
                &self.flow.totals(),
                self.orig,
                self.flow.key.transport,
                self.flow.key.end(self.orig.other()).port,
            ),
            client: hosts.number(ends.orig.addr),
            server: hosts.number(ends.resp.addr),
            outcome: self.verdict.outcome,
            standing: &self.standing,
            service: self.service.map(|service| catalogue.service_by_id(service).unwrap()),
            finding: self.finding,
            collapse: self.collapse,
        }
    }
}

fn row(catalogue: &Catalogue, id: &str) -> Rc<[RowId]> {
    let at = catalogue.rows().iter().position(|row| row.id == id).unwrap();
    [RowId(u32::try_from(at).unwrap())].into()
}

/// The flows of the sample, in order.
pub(crate) fn flows(catalogue: &Catalogue) -> Vec<Made> {
    let (ws, dc) = ("10.0.1.20", "10.0.0.10");
    let kerberos = || Standing::Expected(row(catalogue, "site/kerberos"));
    let ldap = || Standing::Expected(row(catalogue, "site/ldap"));
    let blocked = Some(FindingKind::Blocked);
    let tcp = Transport::Tcp;
    let mut flows =
        vec![
            open(ws, dc, tcp, 88, 12).failed(Outcome::Dropped, Reason::SynUnanswered, By::Unknown, 4).told(
                Some("kerberos"),
                kerberos(),
                blocked,
            ),
            open(ws, dc, tcp, 88, 19).failed(Outcome::Dropped, Reason::SynUnanswered, By::Unknown, 4).told(
                Some("kerberos"),
                kerberos(),
                blocked,
            ),
            open(ws, dc, tcp, 389, 30).told(Some("ldap"), ldap(), None),
            open(ws, dc, tcp, 389, 31).told(Some("ldap"), ldap(), None),
            open(ws, dc, tcp, 389, 40).failed(Outcome::Refused, Reason::RstHost, By::Host, 1).told(
                Some("ldap"),
                ldap(),
                blocked,
            ),
            open("10.0.3.7", dc, tcp, 23, 50).told(
                Some("telnet"),
                Standing::Unexpected(Why::RolePair),
                Some(FindingKind::Unexpected),
            ),
            open("10.0.3.7", dc, tcp, 4999, 51)
                .failed(Outcome::Refused, Reason::RstUnknownOrigin, By::Unknown, 2)
                .told(None, Standing::Unexpected(Why::NoRow), Some(FindingKind::Attempt)),
            open(ws, dc, tcp, 49_999, 60).told(
                Some("rpc-dynamic"),
                Standing::ExpectedRange(row(catalogue, "site/wide")),
                Some(FindingKind::RangeOnly),
            ),
            open("10.0.9.9", "10.0.7.1", tcp, 445, 70)
                .failed(Outcome::Dropped, Reason::SynSingle, By::Unknown, 1)
                .told(Some("smb"), Standing::NotJudged(WhyNot::RoleUnknown), None),
            open("10.0.9.9", "10.0.7.2", tcp, 445, 71)
                .failed(Outcome::Dropped, Reason::SynSingle, By::Unknown, 1)
                .told(Some("smb"), Standing::NotJudged(WhyNot::RoleUnknown), None),
            open("fd00::20", "fd00::10", Transport::Udp, 53, 80)
                .failed(Outcome::Rejected, Reason::Icmp { kind: 1, code: 1 }, By::Address(addr("fd00::1")), 3)
                .told(Some("dns"), ldap(), blocked),
        ];
    flows[2].flow.handshake_us = 310;
    flows[3].flow.handshake_us = 420;
    flows[8].collapse = Some(0);
    flows[9].collapse = Some(0);
    flows[10].icmp = Some(IcmpSeen {
        about: flows[10].orig,
        sender: addr("fd00::1"),
        v6: true,
        kind: 1,
        code: 1,
        ts: at(8_010),
        frame: FrameId::new(0, 81),
        count: 3,
    });
    flows
}

pub(crate) fn collapses() -> Vec<Collapse> {
    vec![Collapse {
        kind: FindingKind::Scan,
        client: Some(addr("10.0.9.9")),
        server: None,
        transport: Transport::Tcp,
        port: Some(445),
        outcome: Outcome::Dropped,
        confidence: Confidence::Confirmed,
        folded: 0,
        flows: 254,
        attempts: 254,
        sources: 1,
        targets: 254,
        ports: 1,
        first: at(7_000),
        last: at(9_000),
        frames: Frames::of(&[FrameId::new(0, 70), FrameId::new(0, 71)]),
    }]
}

fn hosts(catalogue: &Catalogue) -> Vec<Host> {
    let role = |id: &str, by_site: bool, because: &str, frame: Option<u64>| HostRole {
        role: catalogue.role_by_id(id).unwrap(),
        by_site,
        because: because.into(),
        frames: frame.map(|number| FrameId::new(0, number)).into_iter().collect(),
    };
    vec![
        Host { addr: addr("10.0.0.10"), roles: vec![role("domain-controller", true, "site file", None)] },
        Host { addr: addr("10.0.1.20"), roles: vec![role("client", false, "asked ldap of 10.0.0.10", Some(30))] },
    ]
}

pub(crate) fn run() -> RunFacts {
    RunFacts {
        inputs: vec![InputRow {
            path: Shown::path("captures/a.pcap".as_ref()),
            format: Some("pcap"),
            compression: None,
            link_types: vec!["EN10MB".to_owned()],
            frames: 90,
            bytes: 6_660,
            first: Some(Moment(at(0))),
            last: Some(Moment(at(9_000))),
            snaplen: 262_144,
            error: None,
        }],
        filter: None,
        site: Some(Shown::text("site.toml")),
        profiles: vec!["site".to_owned()],
        readiness: Vec::new(),
    }
}

pub(crate) fn health() -> Health {
    Health { frames: 90, decoded: 88, skipped: [("arp", 2)].into(), flows: 11, ..Health::default() }
}

/// The sample capture's names.
pub(crate) fn names<'a>(catalogue: &'a Catalogue, run: &RunFacts) -> Names<'a> {
    Names::new(catalogue, hosts(catalogue), &[], run)
}

/// The report on these flows.
pub(crate) fn report_of<'a>(
    catalogue: &'a Catalogue,
    run: RunFacts,
    health: Health,
    made: &[Made],
    folds: &Folds,
) -> Report<'a> {
    report_with(catalogue, run, health, made, &collapses(), folds)
}

/// The report on these flows and scans.
pub(crate) fn report_with<'a>(
    catalogue: &'a Catalogue,
    run: RunFacts,
    health: Health,
    made: &[Made],
    collapses: &[Collapse],
    folds: &Folds,
) -> Report<'a> {
    let names = names(catalogue, &run);
    let mut sample = Sample::of(catalogue, made);
    for (key, _) in folds.iter() {
        for addr in key.client.into_iter().chain(key.server.map(|(addr, _)| addr)) {
            sample.hosts.number(addr);
        }
    }
    let beside = Beside {
        numbered: &sample.hosts,
        collapses,
        endpoints: &Endpoints::default(),
        folds,
        archive: &Archive::default(),
    };
    Report::of(run, health, &sample, &beside, names)
}

/// The pairs of these flows.
pub(crate) fn pairs_of(catalogue: &Catalogue, made: &[Made]) -> Pairs {
    let sample = Sample::of(catalogue, made);
    let beside = Beside {
        numbered: &sample.hosts,
        collapses: &[],
        endpoints: &Endpoints::default(),
        folds: &Folds::default(),
        archive: &Archive::default(),
    };
    Pairs::of(&sample, &beside, &names(catalogue, &run()), |_, _| ())
}

/// Flows by hand in the order of time, whatever the order they were made in.
struct Sample<'m> {
    catalogue: &'m Catalogue,
    hosts: Hosts,
    flows: Vec<(&'m Made, Ruled<'m>)>,
}

impl<'m> Sample<'m> {
    fn of(catalogue: &'m Catalogue, made: &'m [Made]) -> Self {
        let mut hosts = Hosts::default();
        let mut by_time: Vec<&Made> = made.iter().collect();
        by_time.sort_by_key(|made| made.flow.first);
        let numbered = by_time.into_iter().enumerate();
        let ruled = |(number, made): (usize, &'m Made)| (made, Ruled { number, ..made.ruled(catalogue, &mut hosts) });
        let flows = numbered.map(ruled).collect();
        Self { catalogue, hosts, flows }
    }
}

impl Flows for Sample<'_> {
    fn len(&self) -> usize {
        self.flows.len()
    }

    fn placed(&self) -> impl Iterator<Item = Placed> {
        self.flows.iter().map(|(_, ruled)| {
            let Ruled { client, server, service, collapse, sums, .. } = *ruled;
            Placed { client, server, transport: sums.transport, port: sums.port, service, collapse }
        })
    }

    fn ruled(&self, number: u32) -> Option<Ruled<'_>> {
        self.flows.get(number as usize).map(|(_, ruled)| *ruled)
    }

    fn judged(&self, ruled: &Ruled<'_>) -> Option<Judged<'_>> {
        self.flows.get(ruled.number).map(|(made, _)| made.judged(self.catalogue))
    }

    fn frames(&self, number: u32) -> Option<Frames> {
        self.flows.get(number as usize).map(|(made, _)| made.verdict.frames)
    }
}

/// The report on the sample capture.
pub(crate) fn report() -> Report<'static> {
    let catalogue = catalogue();
    let made = flows(catalogue);
    let mut folds = Folds::default();
    folds.take(&open("10.0.5.5", "10.0.0.10", Transport::Udp, 53, 5).flow, 100);
    report_of(catalogue, run(), health(), &made, &folds)
}

/// The sample report with everything wrong that can be.
pub(crate) fn hurt_report() -> Report<'static> {
    let catalogue = catalogue();
    let made = flows(catalogue);
    let mut run = run();
    for input in &mut run.inputs {
        let message = Shown::text("record says 4,294,967,295 bytes\x1b[2J");
        input.error = Some(InputError { frame: 91, offset: 7_788, message });
    }
    run.inputs
        .push(InputRow { path: Shown::path(format!("{}/b.pcap", "d".repeat(300)).as_ref()), ..InputRow::default() });
    let health = Health {
        one_way_share: 0.4,
        asymmetric: true,
        dropped_by_kernel: 1_234,
        flows_evicted: 1,
        cut_frames: 3,
        bad_replies: 2,
        notes: vec![Shown::text("note \u{202e}evil")],
        ..health()
    };
    report_of(catalogue, run, health, &made, &Folds::default())
}
