//! Flows that leave the tables of a watch lose nothing of the report: totals and findings stay.

#![expect(clippy::unwrap_used, reason = "a test may stop here")]

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use portolan::capture::source::Options as SourceOptions;
use portolan::capture::source::Source;
use portolan::catalogue::Catalogue;
use portolan::catalogue::LoadOptions;
use portolan::catalogue::load;
use portolan::catalogue::load_texts;
use portolan::classify::judge::Judge;
use portolan::classify::judged::CaptureFacts;
use portolan::classify::judged::Options as JudgeOptions;
use portolan::learn::knowledge::Knowledge;
use portolan::model::time::Timestamp;
use portolan::pipeline::run::Settings;
use portolan::pipeline::run::run;
use portolan::report::Report;
use portolan::report::archive::Archive;
use portolan::report::facts::Health;
use portolan::report::facts::RunFacts;
use portolan::report::findings::Finding;
use portolan::report::handshakes::HandshakeUs;
use portolan::report::sanitise::Shown;

/// Per pair and service: flows, outcomes, packets and bytes, times of handshakes.
type Sums = BTreeMap<String, (u64, String, [u64; 4], Option<HandshakeUs>)>;

fn sums(report: &Report<'_>) -> Sums {
    let rows = report.pairs.rows().map(|(pair, service)| {
        let key = format!("{} {} {} {}", pair.client, pair.server, service.transport, service.service.as_str());
        let outcomes: Vec<_> = service.outcomes.iter().chain(service.standings.iter()).collect();
        let volume =
            [service.packets_to_server, service.packets_to_client, service.bytes_to_server, service.bytes_to_client];
        (
            key,
            (
                service.flows,
                format!("{outcomes:?} {:?} {:?}", service.first, service.last),
                volume,
                service.handshake_us,
            ),
        )
    });
    rows.collect()
}

/// What of findings does not depend on their order.
fn findings(report: &Report<'_>) -> Vec<String> {
    let told = |finding: Finding| {
        format!(
            "{} {} {} {:?} {} {} {} {}",
            finding.kind.name(),
            finding.client,
            finding.server,
            finding.port,
            finding.outcome,
            finding.confidence,
            finding.flows,
            finding.attempts
        )
    };
    report.findings.iter().map(told).collect()
}

fn stays_the_same(capture: &str) {
    let mut source = Source::open(&[capture.into()], SourceOptions::default()).unwrap();
    let (knowledge, catalogue) = (Knowledge::new(), load(&LoadOptions::default()).unwrap());
    let settings = Settings { threads: 1, flows_max: 100_000 };
    let mut captured = run(&mut source, settings, &knowledge, &AtomicBool::new(false), &mut |_| {}).unwrap();
    let [first, last] = [source.facts()[0].first, source.facts()[0].last].map(Option::unwrap);
    let facts = || CaptureFacts { first, last, first_frame: captured.first_frame, ..CaptureFacts::default() };
    let (facts, again) = (facts(), facts());
    let options = JudgeOptions { infer: true, strict: false };
    let whole = {
        let judge = Judge::new(&captured.tables, facts.clone(), &knowledge, &catalogue, options);
        let report = Report::build(RunFacts::default(), Health::default(), &judge, &catalogue);
        (sums(&report), findings(&report))
    };
    // Half of the time has passed: what was silent since then leaves, judged with all others for the last time.
    let before = Timestamp(first.0.midpoint(last.0));
    let kept = captured.tables.iter().map(|table| table.flows().count()).sum::<usize>();
    let past: Vec<_> = captured.tables.iter_mut().map(|table| table.expire(before)).collect();
    let left = past.iter().map(|table| table.flows().count()).sum::<usize>();
    let stayed = captured.tables.iter().map(|table| table.flows().count()).sum::<usize>();
    assert!(left > 0 && stayed > 0 && left + stayed == kept, "{left} + {stayed} of {kept}");
    let mut archive = Archive::default();
    captured.tables.extend(past);
    {
        let judge = Judge::new(&captured.tables, facts, &knowledge, &catalogue, options);
        archive.take(&judge, before);
        assert_eq!(archive.flows(), left as u64);
    }
    // The verdicts of those that stayed need the others no more if nothing else is asked than sums.
    captured.tables.truncate(16);
    let mut judge = Judge::new(&captured.tables, again, &knowledge, &catalogue, options);
    judge.know(archive.hosts());
    let report = Report::build_after(RunFacts::default(), Health::default(), &judge, &catalogue, &archive);
    let flows = |sums: &Sums| sums.values().map(|row| row.0).sum::<u64>();
    let volume = |sums: &Sums| sums.values().fold([0; 4], |all, row| [0, 1, 2, 3].map(|at: usize| all[at] + row.2[at]));
    assert_eq!((flows(&sums(&report)), volume(&sums(&report))), (flows(&whole.0), volume(&whole.0)));
    assert_eq!(findings(&report), whole.1);
    // They are few, and so exact, also where flows left.
    let shook = |sums: &Sums| sums.values().filter_map(|row| row.3).map(|told| told.count).sum::<u64>();
    assert_eq!(shook(&sums(&report)), shook(&whole.0));
    let without = Report::build(RunFacts::default(), Health::default(), &judge, &catalogue);
    let (after, without) = (sums(&report), sums(&without));
    let alike = whole.0.iter().filter(|(key, row)| after.get(*key).is_some_and(|after| after.0 == row.0));
    let (mut compared, mut left) = (0, 0);
    for (key, row) in alike {
        assert_eq!(after[key].3, row.3, "{key}");
        compared += u32::from(row.3.is_some());
        left += u32::from(without.get(key).and_then(|row| row.3) != row.3);
    }
    assert!(compared > 0 && left > 0, "{compared} {left}");
}

#[test]
fn totals_and_findings_stay_when_flows_leave() {
    stays_the_same("pcaps/lab/drop.pcap");
    stays_the_same("pcaps/lab/dynrpc.pcap");
}

/// The built-in rules, each file in the place that `order` gives it.
fn rules(order: impl Fn(&mut Vec<Vec<u8>>)) -> Catalogue {
    let folders = ["rules", "rules/services", "rules/profiles"];
    let files = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap()).map(|entry| entry.unwrap().path());
    let rules =
        |path: &PathBuf| path.extension().is_some_and(|end| end == "toml") && !path.ends_with("site.sample.toml");
    let mut files: Vec<PathBuf> = files.filter(rules).collect();
    files.sort();
    let mut texts = files.iter().map(|path| fs::read(path).unwrap()).collect();
    order(&mut texts);
    let layers: Vec<&[u8]> = texts.iter().map(Vec::as_slice).collect();
    load_texts(&layers, None, &[]).unwrap()
}

#[test]
fn findings_of_flows_that_left_stay_when_the_rules_are_replaced() {
    let mut source = Source::open(&["pcaps/lab/drop.pcap".into()], SourceOptions::default()).unwrap();
    let (knowledge, catalogue) = (Knowledge::new(), rules(|_| {}));
    let settings = Settings { threads: 1, flows_max: 100_000 };
    let captured = run(&mut source, settings, &knowledge, &AtomicBool::new(false), &mut |_| {}).unwrap();
    let [first, last] = [source.facts()[0].first, source.facts()[0].last].map(Option::unwrap);
    let facts = || CaptureFacts { first, last, first_frame: captured.first_frame, ..CaptureFacts::default() };
    let options = JudgeOptions { infer: true, strict: false };
    let mut archive = Archive::default();
    archive.take(&Judge::new(&captured.tables, facts(), &knowledge, &catalogue, options), Timestamp(u64::MAX));
    // What findings say of a document, by name.
    let told = |archive: &Archive, catalogue: &Catalogue| -> Vec<String> {
        let mut judge = Judge::new(&[], facts(), &knowledge, catalogue, options);
        judge.know(archive.hosts());
        let (run, health) = (RunFacts::default(), Health::default());
        let report = Report::build_after(run, health, &judge, catalogue, archive);
        let known: BTreeSet<String> = report
            .pairs
            .rows()
            .map(|(pair, row)| format!("{} {} {}", pair.client, pair.server, row.service.as_str()))
            .collect();
        let told = |finding: Finding| {
            let pair = format!("{} {} {}", finding.client, finding.server, finding.service.as_str());
            assert!(known.contains(&pair), "{pair} of {known:?}");
            let rows: BTreeSet<&str> = finding.rows.iter().map(Shown::as_str).collect();
            format!("{pair} {} {} {rows:?}", finding.kind.name(), finding.standing)
        };
        report.findings.iter().map(told).collect()
    };
    let before = told(&archive, &catalogue);
    assert!(!before.is_empty() && before.iter().any(|told| told.contains('/')), "{before:?}");
    // The same rules under other numbers.
    let turned = rules(|texts| texts.reverse());
    assert_ne!(catalogue.service_by_id("ldap"), turned.service_by_id("ldap"));
    archive.rename(&catalogue, &turned);
    assert_eq!(told(&archive, &turned), before);
    // Rules that know nothing of them.
    let none = load_texts(&[], None, &[]).unwrap();
    archive.rename(&turned, &none);
    assert_eq!(told(&archive, &none), [""; 0]);
}
