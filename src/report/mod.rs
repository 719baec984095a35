//! THE PAGES: judged flows become one sorted [`Report`], and the report becomes text, JSON, NDJSON, CSV or Markdown.
//!
//! Same flows, same bytes: nothing here asks the clock, the terminal or a hash map. This room must never know how a
//! verdict was reached, nor where the pages go.

pub mod community_id;
pub mod facts;
mod filter;
pub mod findings;
pub mod flow_record;
pub mod format;
pub mod handshakes;
pub mod hosts;
pub mod moment;
pub mod names;
pub mod pairs;
#[cfg(test)]
mod sample;
pub mod sanitise;
mod sentence;
mod words;

use serde::Serialize;

use crate::catalogue::Catalogue;
use crate::classify::judge::Collapse;
use crate::classify::judge::Judge;
use crate::classify::judge::Judged;
use crate::flow::fold::Folds;
use crate::report::facts::Health;
use crate::report::facts::RunFacts;
use crate::report::findings::FailOn;
use crate::report::findings::Finding;
use crate::report::findings::Findings;
use crate::report::hosts::HostRow;
use crate::report::names::Names;
use crate::report::names::ServiceKey;
use crate::report::pairs::Pair;
use crate::report::pairs::Pairs;
use crate::report::sentence::Sentence;

/// Everything that is told of a run. Serialises as schema `portolan/report/1`.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Report {
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
    pub pairs: Vec<Pair>,
    /// Findings, gravest first.
    pub findings: Vec<Finding>,
    /// RPC endpoints learned; none yet.
    pub rpc_endpoints: [(); 0],
    /// Rows and whether they were exercised; none yet.
    pub readiness: [(); 0],
}

/// The program.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct Tool {
    /// Its name.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
}

impl Report {
    /// Goes once over all flows. Memory grows with pairs and findings, not with flows.
    pub fn build(run: RunFacts, mut health: Health, judge: &Judge<'_>, catalogue: &Catalogue, folds: &Folds) -> Self {
        health.one_way_share = judge.one_way_share();
        health.asymmetric = judge.asymmetric();
        let names = Names::new(catalogue, judge.hosts(), &run);
        Self::of(run, health, judge.flows(), judge.collapses(), &names, folds)
    }

    fn of<'f>(
        run: RunFacts,
        health: Health,
        flows: impl Iterator<Item = Judged<'f>>,
        collapses: &[Collapse],
        names: &Names<'_>,
        folds: &Folds,
    ) -> Self {
        let mut pairs = Pairs::default();
        let mut findings = Findings::default();
        for flow in flows {
            let row = Pairs::key_of(&flow, collapses);
            pairs.add(row, &flow);
            findings.add(row, &flow);
        }
        for (key, fold) in folds.iter() {
            let service = match key.server {
                Some((_, port)) => ServiceKey::of(names.service_at(key.transport, port), key.transport, port),
                None if key.transport.has_ports() => ServiceKey::Many,
                None => ServiceKey::Bare,
            };
            pairs.add_fold(key, fold, service);
        }
        let sentence = Sentence::new(names, !run.is_one_day());
        let findings = findings.finish(collapses, &pairs, names, &sentence);
        let pairs = pairs.finish(names);
        Self {
            schema: "portolan/report/1",
            tool: Tool { name: env!("CARGO_PKG_NAME"), version: env!("CARGO_PKG_VERSION") },
            hosts: hosts::rows(&pairs, names),
            run,
            health,
            pairs,
            findings,
            rpc_endpoints: [],
            readiness: [],
        }
    }

    /// Whether there is a finding that `fail_on` means.
    pub fn has(&self, fail_on: FailOn) -> bool {
        self.findings.iter().any(|finding| fail_on.means(finding.kind))
    }
}
