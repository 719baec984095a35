//! THE PAGES: judged flows become one sorted [`Report`], and the report becomes text, JSON, NDJSON, CSV, Markdown or HTML.
//!
//! Same flows, same bytes: nothing here asks the clock, the terminal or a hash map. This room must never know how a
//! verdict was reached, nor where the pages go.

pub mod archive;
pub mod community_id;
pub mod counts;
pub mod diff;
pub mod diff_pages;
pub mod evidence;
mod exercised;
pub mod facts;
pub(crate) mod filter;
pub mod findings;
pub mod firewall;
pub mod flow_record;
pub mod format;
pub mod handshakes;
pub mod hosts;
pub mod ledger;
pub mod moment;
pub mod names;
pub mod pairs;
pub mod permits;
pub mod ranges;
pub mod readiness;
pub mod rpc;
#[cfg(test)]
pub(crate) mod sample;
pub mod sanitise;
pub mod saved;
pub mod schema;
mod sentence;
pub mod status;
pub mod vantage;
pub(crate) mod words;

use serde::Serialize;

use crate::catalogue::Catalogue;
use crate::classify::hosts::HostId;
use crate::classify::hosts::Hosts;
use crate::classify::judge::Judge;
use crate::classify::judged::Collapse;
use crate::classify::judged::Judged;
use crate::classify::judged::Placed;
use crate::classify::judged::Ruled;
use crate::classify::verdict::Frames;
use crate::flow::fold::Folds;
use crate::learn::grade::Endpoints;
use crate::report::archive::Archive;
use crate::report::exercised::Exercised;
use crate::report::facts::Health;
use crate::report::facts::RunFacts;
use crate::report::findings::FailOn;
use crate::report::findings::Findings;
use crate::report::findings::Gathered;
use crate::report::format::summary;
use crate::report::hosts::HostRow;
use crate::report::names::Names;
use crate::report::pairs::Pairs;
use crate::report::pairs::RowPlace;
use crate::report::ranges::ServerRange;
use crate::report::readiness::Fits;
use crate::report::readiness::ReadinessPair;
use crate::report::readiness::ReadinessRow;
use crate::report::readiness::Seen;
use crate::report::readiness::Untold;
use crate::report::rpc::EndpointRow;
use crate::report::rpc::Stale;
use crate::report::sanitise::Shown;
use crate::report::vantage::Vantage;

/// Everything that is told of a run. Serialises as schema `portolan/report/1`.
#[derive(Debug, Serialize)]
pub struct Report<'a> {
    /// The schema's name.
    pub schema: &'static str,
    /// Who made it.
    pub tool: Tool,
    /// What was read.
    pub run: RunFacts,
    /// How far it can be trusted.
    pub health: Health,
    /// Hosts with a name or a role, in order of address.
    pub hosts: Vec<HostRow>,
    /// Host pairs, gravest first.
    pub pairs: Pairs,
    /// Findings, gravest first.
    pub findings: Findings<'a>,
    /// Ports at which RPC interfaces were learned to be, in order of server and port.
    pub rpc_endpoints: Vec<EndpointRow>,
    /// Rows of the documents between two hosts, and whether they were reached.
    pub readiness: Vec<ReadinessRow>,
    /// The same added up for each profile and pair.
    pub readiness_pairs: Vec<ReadinessPair>,
    /// Pairs whose rows are not listed, for lack of room.
    pub readiness_cut: u64,
    /// Which dynamic ports of each server were really used, in order of server.
    pub ranges: Vec<ServerRange>,
    /// What a second capture, from the server's side, says of where flows were lost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vantage: Option<Vantage>,
}

/// The program.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Tool {
    /// Its name.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
}

/// What there is beside flows.
pub(crate) struct Beside<'b> {
    /// What the numbers of hosts stand for.
    numbered: &'b Hosts,
    /// Scans and floods.
    collapses: &'b [Collapse],
    /// What RPC sessions learned.
    endpoints: &'b Endpoints,
    /// Totals of flows that were given up.
    folds: &'b Folds,
    /// What flows came to that are kept no more.
    archive: &'b Archive,
}

/// Judged flows by their numbers, which are in the order they began.
pub(crate) trait Flows {
    /// How many.
    fn len(&self) -> usize;

    /// Whose sums each belongs to.
    fn placed(&self) -> impl Iterator<Item = Placed>;

    /// One of them.
    fn ruled(&self, number: u32) -> Option<Ruled<'_>>;

    /// All that is to be said of it.
    fn judged(&self, ruled: &Ruled<'_>) -> Option<Judged<'_>>;

    /// The frames that show what became of it.
    fn frames(&self, number: u32) -> Option<Frames>;

    /// Asks memory for what [`Flows::ruled`] looks at first.
    fn ask_for(&self, _number: u32) {}

    /// Asks for what it looks at then.
    fn ask_for_sums(&self, _number: u32) {}

    /// Asks for what it looks at last.
    fn ask_for_more(&self, _number: u32) {}
}

impl Flows for Judge<'_> {
    fn len(&self) -> usize {
        self.len()
    }

    fn placed(&self) -> impl Iterator<Item = Placed> {
        self.placed()
    }

    fn ruled(&self, number: u32) -> Option<Ruled<'_>> {
        self.ruling(number as usize)
    }

    fn judged(&self, ruled: &Ruled<'_>) -> Option<Judged<'_>> {
        self.judged(ruled)
    }

    fn frames(&self, number: u32) -> Option<Frames> {
        self.frames(number as usize)
    }

    #[inline]
    fn ask_for(&self, number: u32) {
        self.ask_for(number as usize);
    }

    #[inline]
    fn ask_for_sums(&self, number: u32) {
        self.ask_for_entry(number as usize);
    }

    #[inline]
    fn ask_for_more(&self, number: u32) {
        self.ask_for_detail(number as usize);
    }
}

/// What flows with findings add up to.
struct Told<'t, F> {
    flows: &'t F,
    endpoints: &'t Endpoints,
    findings: Gathered,
    stale: Stale,
    /// Those of one pair, and where it counts them: its rows come one after the other, its findings go by time.
    waiting: Vec<(u32, RowPlace)>,
    ends: Option<[HostId; 2]>,
}

impl<F: Flows> Told<'_, F> {
    fn add(&mut self, row: RowPlace, ruled: &Ruled<'_>) {
        let ends = Some([ruled.client, ruled.server]);
        if self.ends != ends {
            self.tell();
            self.ends = ends;
        }
        if let Ok(number) = u32::try_from(ruled.number) {
            self.waiting.push((number, row));
        }
    }

    fn tell(&mut self) {
        self.waiting.sort_unstable_by_key(|(number, _)| *number);
        for (number, row) in self.waiting.drain(..) {
            let Some(judged) = self.flows.ruled(number).and_then(|ruled| self.flows.judged(&ruled)) else { continue };
            self.stale.look(&judged, self.endpoints);
            self.findings.add(row, &judged);
        }
        self.findings.end_pair();
    }
}

impl Tool {
    /// This program.
    pub fn this() -> Self {
        Self { name: env!("CARGO_PKG_NAME"), version: env!("CARGO_PKG_VERSION") }
    }
}

impl<'a> Report<'a> {
    /// Goes once over all flows. Memory grows with pairs and findings, not with flows.
    pub fn build(run: RunFacts, health: Health, judge: &Judge<'_>, catalogue: &'a Catalogue) -> Self {
        Self::build_after(run, health, judge, catalogue, &Archive::default())
    }

    /// The same with what flows came to that are kept no more. The judge knows their hosts.
    pub fn build_after(
        run: RunFacts,
        mut health: Health,
        judge: &Judge<'_>,
        catalogue: &'a Catalogue,
        archive: &Archive,
    ) -> Self {
        // Four digits are all that such a share is worth.
        health.one_way_share = (judge.one_way_share() * 1e4).round() / 1e4;
        health.asymmetric = judge.asymmetric();
        health.left_out = judge.left_out();
        health.folds_collapsed = judge.folds().collapsed();
        let names = Names::new(catalogue, judge.hosts(), judge.names(), &run);
        let beside = Beside {
            numbered: judge.numbered(),
            collapses: judge.collapses(),
            endpoints: judge.endpoints(),
            folds: judge.folds(),
            archive,
        };
        Self::of(run, health, judge, &beside, names)
    }

    fn of(run: RunFacts, mut health: Health, flows: &impl Flows, beside: &Beside<'_>, names: Names<'a>) -> Self {
        let Beside { collapses, endpoints, folds, archive, .. } = *beside;
        let mut exercised = Exercised::default();
        let findings = Gathered::after(archive.findings());
        let mut told = Told { flows, endpoints, findings, stale: Stale::default(), waiting: Vec::new(), ends: None };
        let pairs = Pairs::of(flows, beside, &names, |row, ruled| {
            exercised.add(row, ruled, names.catalogue());
            if ruled.finding.is_some() {
                told.add(row, ruled);
            }
        });
        told.tell();
        let Told { findings, stale, .. } = told;
        let own_notes = std::mem::take(&mut health.notes);
        health.notes = summary::warnings(&run, &health).iter().map(|note| Shown::text(note)).collect();
        health.notes.extend(own_notes);
        let dated = !run.is_one_day();
        let rpc_endpoints = rpc::endpoints(endpoints, &stale, &names);
        let mut fits = Fits::new(names.catalogue());
        let untold = Untold::of(folds, collapses);
        let seen = Seen {
            pairs: &pairs,
            exercised: &exercised,
            names: &names,
            untold: &untold,
            frames: &|number| flows.frames(number),
            wanted: &run.readiness,
        };
        let readiness = readiness::readiness(&seen, &mut fits);
        let ranges = ranges::ranges(&pairs, &exercised, endpoints, &names, &mut fits, run.watched_s());
        Self {
            schema: saved::SCHEMA,
            tool: Tool::this(),
            hosts: hosts::rows(&pairs, &names),
            run,
            health,
            findings: findings.finish(&[archive.collapses(), collapses].concat(), endpoints, &pairs, names, dated),
            pairs,
            rpc_endpoints,
            readiness: readiness.rows,
            readiness_pairs: readiness.pairs,
            readiness_cut: readiness.cut,
            ranges,
            vantage: None,
        }
    }

    /// Whether there is a finding that `fail_on` means.
    pub fn has(&self, fail_on: FailOn) -> bool {
        self.findings.kinds().any(|kind| fail_on.means(kind))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop here")]

    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::report::format::csv;
    use crate::report::format::html;
    use crate::report::format::json;
    use crate::report::format::markdown;
    use crate::report::format::text;
    use crate::report::sample::Made;

    fn value(report: &Report<'_>) -> Value {
        let mut out = Vec::new();
        json::write(report, &mut out).unwrap();
        serde_json::from_slice(&out).unwrap()
    }

    fn strings<'a>(value: &'a Value, list: &str, key: &str) -> Vec<&'a str> {
        value[list].as_array().unwrap().iter().map(|item| item[key].as_str().unwrap()).collect()
    }

    /// The schema as it was promised: place, and the keys found there.
    const PROMISED: &[(&str, &str)] = &[
        (
            "",
            "schema tool run health hosts pairs findings rpc_endpoints readiness readiness_pairs readiness_cut ranges",
        ),
        ("/tool", "name version"),
        ("/run", "inputs filter site profiles"),
        ("/run/inputs/0", "path format compression link_types frames bytes first last snaplen error"),
        ("/run/inputs/0/error", "frame offset message"),
        (
            "/health",
            "frames decoded skipped duplicates fragments dropped_by_kernel dropped_by_queue flows flows_evicted \
             one_way_share asymmetric notes",
        ),
        ("/hosts/0", "address names roles"),
        ("/hosts/0/roles/0", "role basis because frames"),
        ("/pairs/0", "client server worst services"),
        (
            "/pairs/0/services/1",
            "service title transport ports flows outcomes standings packets_to_server packets_to_client \
             bytes_to_server bytes_to_client first last handshake_us",
        ),
        ("/pairs/0/services/1/handshake_us", "count p50 p99 max"),
        (
            "/findings/0",
            "finding client server transport port service outcome standing confidence reason by flows attempts first \
             last frames rows interface wireshark text",
        ),
        ("/readiness/0", "profile row client server state frames service transports"),
        ("/readiness/0/transports/0", "transport ports state worked failed"),
        (
            "/readiness_pairs/0",
            "profile client server ok blocked seen_failed not_exercised not_judgeable complete checklist",
        ),
    ];

    #[test]
    fn the_schema_keeps_its_promise() {
        let value = value(&sample::hurt_report());
        assert_eq!(value["schema"], "portolan/report/1");
        for (place, keys) in PROMISED {
            let found: BTreeSet<&str> =
                value.pointer(place).unwrap().as_object().unwrap().keys().map(String::as_str).collect();
            for key in keys.split_whitespace() {
                assert!(found.contains(key), "no {key} in {place}: {found:?}");
            }
        }
    }

    #[test]
    fn the_gravest_comes_first() {
        let value = value(&sample::report());
        assert_eq!(
            strings(&value, "findings", "finding"),
            ["blocked", "blocked", "blocked", "unexpected", "scan", "attempt", "range_only"]
        );
        assert_eq!(strings(&value, "pairs", "worst"), ["blocked", "blocked", "unexpected", "attempt", "not_judged"]);
        assert_eq!(strings(&value, "pairs", "server")[3], "*");
        let kerberos = &value["findings"][0];
        assert_eq!((&kerberos["flows"], &kerberos["attempts"]), (&2.into(), &8.into()));
        assert_eq!(kerberos["frames"], serde_json::json!([12, 19]));
        let ldap = &value["pairs"][0]["services"][1];
        assert_eq!(ldap["outcomes"], serde_json::json!({"open": 2, "refused": 1}));
        assert_eq!(ldap["handshake_us"], serde_json::json!({"count": 2, "p50": 310, "p99": 420, "max": 420}));
        assert_eq!(ldap["ports"], serde_json::json!([389]));
        assert_eq!(value["hosts"][1]["roles"][0]["basis"], "inferred");
    }

    #[test]
    fn frames_name_their_file_where_there_are_several() {
        let value = value(&sample::hurt_report());
        assert_eq!(value["findings"][0]["frames"], serde_json::json!(["a.pcap:12", "a.pcap:19"]));
    }

    #[test]
    fn what_a_run_may_fail_on() {
        let report = sample::report();
        assert!(FailOn::ALL.into_iter().all(|(_, fail_on)| report.has(fail_on)));
        let catalogue = sample::catalogue();
        let open = |made: &[Made]| {
            let folds = Folds::default();
            sample::report_with(catalogue, sample::run(), sample::health(), made, &[], &folds)
        };
        let quiet = open(&sample::flows(catalogue)[2..4]);
        assert!(!FailOn::ALL.into_iter().any(|(_, fail_on)| quiet.has(fail_on)));
        let doubtful = open(&sample::flows(catalogue)[7..8]);
        assert!(doubtful.has(FailOn::Any) && !doubtful.has(FailOn::Unexpected) && !doubtful.has(FailOn::Blocked));
    }

    #[test]
    fn flows_that_were_given_up_still_count() {
        let report = sample::report();
        let (pair, service) = report.pairs.rows().last().unwrap();
        assert_eq!(pair.client.to_string(), "10.0.5.5");
        assert_eq!(service.service.as_str(), "dns");
        assert_eq!((service.flows, service.packets_to_client), (1, 3));
        assert_eq!(service.outcomes.iter().collect::<Vec<_>>(), [("open", 1)]);
        assert_eq!(service.standings.iter().collect::<Vec<_>>(), [("not_judged", 1)]);
    }

    #[test]
    fn the_order_of_flows_does_not_matter_to_sums() {
        let catalogue = sample::catalogue();
        let mut made = sample::flows(catalogue);
        let page = |made: &[Made]| {
            let report = sample::report_of(catalogue, sample::run(), sample::health(), made, &Folds::default());
            let mut out = Vec::new();
            json::write(&report, &mut out).unwrap();
            out
        };
        let forth = page(&made);
        made.reverse();
        assert_eq!(String::from_utf8(page(&made)).unwrap(), String::from_utf8(forth).unwrap());
    }

    #[test]
    fn nothing_from_outside_reaches_a_terminal_or_a_browser_as_it_was() {
        let report = sample::hurt_report();
        let mut pages = Vec::new();
        text::write(&report, crate::report::format::Style::default(), &mut pages).unwrap();
        csv::write(&report, &mut pages).unwrap();
        json::write(&report, &mut pages).unwrap();
        let mut page = Vec::new();
        markdown::write(&report, &mut page).unwrap();
        assert!(!String::from_utf8_lossy(&page).contains("<script>"));
        pages.extend(page);
        html::write(&report, &mut pages).unwrap();
        let pages = String::from_utf8(pages).unwrap();
        let bad = pages.chars().find(|&char| (char.is_control() && !"\r\n".contains(char)) || char == '\u{202e}');
        assert_eq!(bad, None);
        assert!(pages.contains("\\u{1b}[2J") && pages.contains("\\u{202e}evil"));
    }
}
