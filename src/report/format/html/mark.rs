//! Signs for what was seen, so that colour is never the only one.

use crate::classify::verdict::FindingKind;
use crate::classify::verdict::Outcome;
use crate::report::pairs::PairService;
use crate::report::pairs::Worst;
use crate::report::readiness::State;

/// What a cell, a finding or a row shows at a glance, the gravest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Mark {
    Blocked,
    Unexpected,
    Attempt,
    RangeOnly,
    Failed,
    Fine,
    Unclear,
}

impl Mark {
    pub(super) const ALL: [Self; 7] =
        [Self::Blocked, Self::Unexpected, Self::Attempt, Self::RangeOnly, Self::Failed, Self::Fine, Self::Unclear];

    /// The name in the style sheet and the script.
    pub(super) fn id(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Unexpected => "unexpected",
            Self::Attempt => "attempt",
            Self::RangeOnly => "range",
            Self::Failed => "failed",
            Self::Fine => "fine",
            Self::Unclear => "unclear",
        }
    }

    pub(super) fn sign(self) -> &'static str {
        match self {
            Self::Blocked => "✕",
            Self::Unexpected => "!",
            Self::Attempt => "?",
            Self::RangeOnly => "≈",
            Self::Failed => "○",
            Self::Fine => "✓",
            Self::Unclear => "–",
        }
    }

    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Unexpected => "unexpected",
            Self::Attempt => "attempt",
            Self::RangeOnly => "range only",
            Self::Failed => "failed, not judged",
            Self::Fine => "fine",
            Self::Unclear => "not judged",
        }
    }

    pub(super) fn meaning(self) -> &'static str {
        match self {
            Self::Blocked => "a document expects it, and it failed",
            Self::Unexpected => "no document allows it, and it works",
            Self::Attempt => "no document allows it, and it failed; or part of a scan or flood",
            Self::RangeOnly => "it works, and nothing but a wide range of ports allows it",
            Self::Failed => "it failed, and no document could judge it",
            Self::Fine => "expected, and it works",
            Self::Unclear => "no document could judge it, or the capture does not show how it ended",
        }
    }

    pub(super) fn of_service(service: &PairService<'_>) -> Self {
        match service.worst {
            Worst::Blocked => Self::Blocked,
            Worst::Unexpected => Self::Unexpected,
            Worst::Attempt => Self::Attempt,
            Worst::RangeOnly => Self::RangeOnly,
            Worst::Ok => Self::Fine,
            Worst::NotJudged if service.outcomes.iter().any(|(outcome, _)| Outcome::is_failure_name(outcome)) => {
                Self::Failed
            }
            Worst::NotJudged => Self::Unclear,
        }
    }

    pub(super) fn of_kind(kind: FindingKind) -> Self {
        match kind {
            FindingKind::Blocked | FindingKind::RpcBlocked | FindingKind::EpmBlocked => Self::Blocked,
            FindingKind::Unexpected => Self::Unexpected,
            FindingKind::Attempt | FindingKind::Scan | FindingKind::Flood => Self::Attempt,
            FindingKind::RangeOnly => Self::RangeOnly,
            FindingKind::RpcNotRegistered => Self::Failed,
        }
    }

    pub(super) fn of_state(state: State) -> Self {
        match state {
            State::Blocked => Self::Blocked,
            State::SeenFailed => Self::Unexpected,
            State::Ok => Self::Fine,
            State::NotJudgeable => Self::Failed,
            State::NotExercised => Self::Unclear,
        }
    }
}
