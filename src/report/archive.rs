//! What flows came to that are kept no more: sums per host pair and port, and findings, so that a watch of weeks loses
//! no total.
//!
//! A flow comes here once, with its last verdict.

use std::collections::BTreeMap;

use crate::catalogue::Catalogue;
use crate::classify::hosts::Hosts;
use crate::classify::judge::Judge;
use crate::classify::judged::Collapse;
use crate::classify::judged::Ruled;
use crate::flow::fold::Folds;
use crate::flow::fold::place_for;
use crate::flow::limits::Limits;
use crate::model::addr::Addr;
use crate::model::time::Timestamp;
use crate::model::transport::Transport;
use crate::report::findings::Past as PastFindings;
use crate::report::names::ServiceKey;
use crate::report::pairs::Past as PastRow;

/// Rows that are kept apart, half of them for pairs. Beyond, a row has many clients, and then many servers and ports.
const ROWS_MAX: usize = 1 << 16;

/// Scans and floods that are remembered; the oldest are forgotten.
const COLLAPSES_MAX: usize = 1 << 10;

/// Whose flows were added up. `None` = many.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct PastKey {
    pub(crate) client: Option<Addr>,
    pub(crate) server: Option<Addr>,
    pub(crate) transport: Transport,
    pub(crate) port: u16,
    /// What its port meant when it was judged; read anew when the rules are.
    pub(crate) service: ServiceKey,
}

/// Everything that flows came to which are kept no more.
#[derive(Debug, Default)]
pub struct Archive {
    rows: BTreeMap<PastKey, PastRow>,
    findings: PastFindings,
    collapses: Vec<Collapse>,
    flows: u64,
    folds: Folds,
}

impl Archive {
    /// Flows that came here.
    pub fn flows(&self) -> u64 {
        self.flows
    }

    /// What is left of flows that were given up.
    pub fn folds(&self) -> &Folds {
        &self.folds
    }

    /// Takes in what is left of flows that were given up.
    pub fn take_folds(&mut self, folds: &Folds) {
        self.folds.join(folds, Limits::default().folds_max);
    }

    /// Every host that it names.
    pub fn hosts(&self) -> impl Iterator<Item = Addr> + '_ {
        self.rows.keys().flat_map(|key| key.client.into_iter().chain(key.server))
    }

    /// Takes the flows in that were last seen before a time.
    pub fn take(&mut self, judge: &Judge<'_>, before: Timestamp) {
        let hosts = judge.numbered();
        for ruled in judge.rulings().filter(|ruled| ruled.sums.last < before) {
            self.flows += 1;
            let key = self.key(&ruled, hosts);
            self.rows.entry(key).or_default().add(&ruled);
            if let Some(judged) = ruled.finding.and_then(|_| judge.judged(&ruled)) {
                self.findings.add(key.service, &judged);
            }
        }
        // A scan whose flows leave one after the other is told by its last ones.
        self.collapses.extend(judge.collapses().iter().filter(|collapse| collapse.last < before).cloned());
        let surplus = self.collapses.len().saturating_sub(COLLAPSES_MAX);
        self.collapses.drain(..surplus);
    }

    /// Speaks of other rules from now on: ports get their names anew, and findings stay but those of a service, or of
    /// rows, that are there no more.
    pub fn rename(&mut self, before: &Catalogue, now: &Catalogue) {
        self.findings.rename(before, now);
        for (key, row) in std::mem::take(&mut self.rows) {
            let service = match key.server {
                Some(_) => ServiceKey::of(now.service_at(key.transport, key.port), key.transport, key.port),
                None => key.service,
            };
            self.rows.entry(PastKey { service, ..key }).or_default().join(row);
        }
    }

    /// The sums, in order.
    pub(crate) fn rows(&self) -> impl Iterator<Item = (&PastKey, &PastRow)> {
        self.rows.iter()
    }

    /// The findings.
    pub(crate) fn findings(&self) -> &PastFindings {
        &self.findings
    }

    /// The scans and floods.
    pub(crate) fn collapses(&self) -> &[Collapse] {
        &self.collapses
    }

    fn key(&self, ruled: &Ruled<'_>, hosts: &Hosts) -> PastKey {
        let (transport, port) = (ruled.sums.transport, ruled.sums.port);
        let service = ServiceKey::of(ruled.service, transport, port);
        let (client, server) = (Some(hosts.addr(ruled.client)), Some(hosts.addr(ruled.server)));
        let key = PastKey { client, server, transport, port, service };
        let many = PastKey { client: None, server: None, transport, port: 0, service: ServiceKey::of_many(transport) };
        let keys = [key, PastKey { client: None, ..key }, many];
        place_for(keys, self.rows.len(), ROWS_MAX, |key| self.rows.contains_key(key))
    }
}
