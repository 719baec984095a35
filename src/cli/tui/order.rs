//! The lists of the screen, and the orders that each can be in.
//!
//! What is copied for the screen and what is shown of it are put in order by the same comparison, so that the first lines
//! of a list are the first of all, not of those that were copied for another order.

use std::cmp::Ordering;
use std::cmp::Reverse;

use crate::cli::tui::board::PairSums;
use crate::cli::tui::board::ServiceLine;
use crate::report::findings::KINDS;
use crate::report::ledger::Item;
use crate::report::ledger::State as Life;

/// A list of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum View {
    /// What a person should look at.
    Findings,
    /// Who talks to whom.
    Pairs,
    /// By what.
    Services,
    /// How the watch itself is.
    Health,
}

impl View {
    /// All, in the order of their keys.
    pub(super) const ALL: [Self; 4] = [Self::Findings, Self::Pairs, Self::Services, Self::Health];

    /// What it is called.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Findings => "Findings",
            Self::Pairs => "Pairs",
            Self::Services => "Services",
            Self::Health => "Health",
        }
    }

    /// Its place among all.
    pub(super) fn place(self) -> usize {
        Self::ALL.iter().position(|view| *view == self).unwrap_or(0)
    }

    /// What it can be ordered by, the usual first.
    fn orders(self) -> &'static [By] {
        match self {
            Self::Findings => &[By::Gravest, By::Newest, By::From, By::To],
            Self::Pairs => &[By::Gravest, By::Newest, By::From, By::To, By::Flows, By::Bytes],
            Self::Services => &[By::Gravest, By::Newest, By::Name, By::Flows, By::Bytes],
            Self::Health => &[By::Gravest],
        }
    }
}

/// What a list is ordered by.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum By {
    #[default]
    Gravest,
    Newest,
    From,
    To,
    Name,
    Flows,
    Bytes,
}

/// The order of a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Order {
    by: By,
    reversed: bool,
}

impl Order {
    /// The next that the list can be in.
    pub(super) fn next(self, view: View) -> Self {
        let orders = view.orders();
        let next = orders.iter().skip_while(|by| **by != self.by).nth(1).or(orders.first());
        Self { by: next.copied().unwrap_or_default(), ..self }
    }

    /// The other way round.
    pub(super) fn turned(self) -> Self {
        Self { reversed: !self.reversed, ..self }
    }

    /// In words.
    pub(super) fn name(self) -> String {
        let name = match self.by {
            By::Gravest => "gravest",
            By::Newest => "newest",
            By::From => "from",
            By::To => "to",
            By::Name => "name",
            By::Flows => "flows",
            By::Bytes => "bytes",
        };
        if self.reversed { format!("{name}, reversed") } else { name.to_owned() }
    }

    /// Which of two findings comes first. Among the gravest, what is open comes first, then the kind, then the newest.
    pub(super) fn of_findings(self, a: &Item, b: &Item) -> Ordering {
        let (one, other) = (&a.finding, &b.finding);
        let rank = |item: &Item| {
            let kind = KINDS.iter().position(|kind| *kind == item.finding.kind).unwrap_or(KINDS.len());
            (item.state != Life::Open, kind, Reverse(item.finding.last))
        };
        let order = match self.by {
            By::Newest => other.last.cmp(&one.last),
            By::From => (one.client, one.server).cmp(&(other.client, other.server)),
            By::To => (one.server, one.client).cmp(&(other.server, other.client)),
            By::Gravest | By::Name | By::Flows | By::Bytes => rank(a).cmp(&rank(b)),
        };
        self.directed(order.then(a.id.cmp(&b.id)))
    }

    /// Which of two pairs comes first.
    pub(super) fn of_pairs(self, a: &PairSums, b: &PairSums) -> Ordering {
        let order = match self.by {
            By::Newest => b.last.cmp(&a.last),
            By::From | By::Name => Ordering::Equal,
            By::To => (a.server, a.client).cmp(&(b.server, b.client)),
            By::Flows => b.flows.cmp(&a.flows),
            By::Bytes => b.bytes.cmp(&a.bytes),
            By::Gravest => a.worst.cmp(&b.worst),
        };
        self.directed(order.then((a.client, a.server).cmp(&(b.client, b.server))))
    }

    /// Which of two services comes first.
    pub(super) fn of_services(self, a: &ServiceLine, b: &ServiceLine) -> Ordering {
        let order = match self.by {
            By::Newest => b.last.cmp(&a.last),
            By::Name | By::From | By::To => Ordering::Equal,
            By::Flows => b.flows.cmp(&a.flows),
            By::Bytes => b.bytes.cmp(&a.bytes),
            By::Gravest => a.worst.cmp(&b.worst),
        };
        self.directed(order.then((&a.service, a.transport).cmp(&(&b.service, b.transport))))
    }

    fn directed(self, order: Ordering) -> Ordering {
        if self.reversed { order.reverse() } else { order }
    }
}
