//! What flows showed of the documents' rows: how often the service of a row worked between two hosts, or failed.
//!
//! Hands on tallies of each row of [`Pairs`](crate::report::pairs::Pairs). It must never know what is made of them.

use std::rc::Rc;

use crate::catalogue::Catalogue;
use crate::catalogue::policy::RowId;
use crate::classify::judged::Ruled;
use crate::classify::verdict::FindingKind;
use crate::classify::verdict::Outcome;
use crate::classify::verdict::Standing;
use crate::classify::verdict::WhyNot;
use crate::report::pairs::RowPlace;

/// Ports of one tally; further ones are counted.
const PORTS_MAX: usize = 1024;

/// Stands for no flow.
const NONE: u32 = u32::MAX;

/// By what a flow belongs to a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Basis {
    /// The row names its port.
    Port,
    /// The row allows its RPC interface, or the range that it lies in.
    Interface,
    /// The row's range covers its port, and nothing more is known.
    Range,
    /// No row: it is of a kind that is never answered.
    NoAnswerDue,
}

/// What one flow says of its rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sign {
    /// The service was reached.
    Worked,
    /// The attempt is a finding: blocked.
    Failed,
    /// Let in, and cut at the first data.
    Cut,
    /// Neither can be told.
    Unclear,
}

/// How often which sign was seen. There are fewer flows than 2^32, and these are kept for every service of every pair.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Signs {
    pub(crate) worked: u32,
    pub(crate) failed: u32,
    pub(crate) cut: u32,
    pub(crate) unclear: u32,
}

impl Signs {
    pub(crate) fn add(&mut self, more: Self) {
        self.worked += more.worked;
        self.failed += more.failed;
        self.cut += more.cut;
        self.unclear += more.unclear;
    }

    fn count(&mut self, sign: Sign) -> &mut u32 {
        match sign {
            Sign::Worked => &mut self.worked,
            Sign::Failed => &mut self.failed,
            Sign::Cut => &mut self.cut,
            Sign::Unclear => &mut self.unclear,
        }
    }
}

/// How often a port worked, and failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct PortUse {
    pub(crate) port: u16,
    pub(crate) worked: u32,
    pub(crate) failed: u32,
}

impl PortUse {
    fn count(&mut self, sign: Sign) {
        match sign {
            Sign::Worked | Sign::Cut => self.worked += 1,
            Sign::Failed => self.failed += 1,
            Sign::Unclear => {}
        }
    }
}

/// Flows of one service between two hosts of which the documents say the same.
#[derive(Debug)]
pub(crate) struct Tally {
    /// The rows that allow them.
    pub(crate) rows: Rc<[RowId]>,
    pub(crate) basis: Basis,
    pub(crate) signs: Signs,
    /// The number of the first flow that worked, that failed or was cut, and of which neither can be told.
    shown: [u32; 3],
    /// The first port, and the others in order.
    first_port: PortUse,
    more_ports: Vec<PortUse>,
    /// Flows to ports for which there was no room.
    pub(crate) ports_cut: u32,
}

impl Tally {
    fn new(rows: Rc<[RowId]>, basis: Basis, port: u16) -> Self {
        Self {
            rows,
            basis,
            signs: Signs::default(),
            shown: [NONE; 3],
            first_port: PortUse { port, ..PortUse::default() },
            more_ports: Vec::new(),
            ports_cut: 0,
        }
    }

    /// The number of the first flow that worked, that failed or was cut, and of which neither can be told.
    pub(crate) fn shown(&self) -> [Option<u32>; 3] {
        self.shown.map(|number| Some(number).filter(|number| *number != NONE))
    }

    /// The ports used, the first one met before the others, which are in order.
    pub(crate) fn ports(&self) -> impl Iterator<Item = PortUse> + '_ {
        std::iter::once(self.first_port).chain(self.more_ports.iter().copied())
    }

    fn count(&mut self, sign: Sign, port: u16, number: usize) {
        *self.signs.count(sign) += 1;
        let shown = match sign {
            Sign::Worked => 0,
            Sign::Failed | Sign::Cut => 1,
            Sign::Unclear => 2,
        };
        if let Some(first) = self.shown.get_mut(shown) {
            *first = (*first).min(u32::try_from(number).unwrap_or(NONE));
        }
        if self.first_port.port == port {
            self.first_port.count(sign);
            return;
        }
        match self.more_ports.binary_search_by_key(&port, |known| known.port) {
            Ok(at) => {
                if let Some(known) = self.more_ports.get_mut(at) {
                    known.count(sign);
                }
            }
            Err(at) if self.more_ports.len() < PORTS_MAX => {
                let mut new = PortUse { port, ..PortUse::default() };
                new.count(sign);
                self.more_ports.insert(at, new);
            }
            Err(_) => self.ports_cut += 1,
        }
    }
}

/// All tallies, row by row.
#[derive(Debug, Default)]
pub(crate) struct Exercised {
    /// For each row of the pairs its first tally. What comes after the last has none.
    starts: Vec<u32>,
    tallies: Vec<Tally>,
}

impl Exercised {
    /// Adds a flow; `place` is where its pair counts it. Places never go back.
    pub(crate) fn add(&mut self, place: RowPlace, ruled: &Ruled<'_>, catalogue: &Catalogue) {
        // A scan's or flood's attempts are counted in a row of many hosts, and tell nothing of one pair.
        if ruled.collapse.is_some() {
            return;
        }
        let empty;
        let (rows, basis) = match ruled.standing {
            Standing::Expected(rows) => (rows, Basis::Port),
            Standing::ExpectedRpc(rows) => (rows, Basis::Interface),
            Standing::ExpectedRange(rows) => (rows, Basis::Range),
            Standing::NotJudged(WhyNot::OneWayProtocol) => {
                empty = Rc::from([]);
                (&empty, Basis::NoAnswerDue)
            }
            _ => return,
        };
        // A port with a name of its own that happens to lie in a range is no use of the range.
        let named = ruled.service.is_some_and(|service| !catalogue.service(service).dynamic);
        if basis == Basis::Range && named {
            return;
        }
        let port = ruled.sums.port;
        if let Some(tally) = self.tally(place, rows, basis, port) {
            tally.count(sign(ruled, basis), port, ruled.number);
        }
    }

    /// The tallies of a row of the pairs.
    pub(crate) fn at(&self, place: RowPlace) -> &[Tally] {
        let start = |place: usize| self.starts.get(place).map_or(self.tallies.len(), |start| *start as usize);
        self.tallies.get(start(place.index())..start(place.index() + 1)).unwrap_or_default()
    }

    fn tally(&mut self, place: RowPlace, rows: &Rc<[RowId]>, basis: Basis, port: u16) -> Option<&mut Tally> {
        if self.starts.len() <= place.index() {
            let next = u32::try_from(self.tallies.len()).unwrap_or(NONE);
            self.starts.resize(place.index() + 1, next);
        }
        let start = *self.starts.last()? as usize;
        let is_it = |tally: &Tally| tally.basis == basis && (Rc::ptr_eq(&tally.rows, rows) || tally.rows == *rows);
        let known = self.tallies.get(start..)?.iter().position(is_it);
        let at = known.map_or(self.tallies.len(), |at| start + at);
        if known.is_none() {
            self.tallies.push(Tally::new(Rc::clone(rows), basis, port));
        }
        self.tallies.get_mut(at)
    }
}

fn sign(ruled: &Ruled<'_>, basis: Basis) -> Sign {
    let blocked =
        matches!(ruled.finding, Some(FindingKind::Blocked | FindingKind::RpcBlocked | FindingKind::EpmBlocked));
    match ruled.outcome {
        Outcome::Open | Outcome::OneWay => Sign::Worked,
        Outcome::Reset => Sign::Cut,
        // That nobody listens on some port of a range says nothing of the others.
        Outcome::Refused if basis == Basis::Range => Sign::Unclear,
        _ if blocked => Sign::Failed,
        _ => Sign::Unclear,
    }
}
