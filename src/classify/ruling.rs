//! What is kept of the judgement of a flow. The whole verdict is found again where somebody asks for it.

use crate::classify::judged::tries;
use crate::classify::standing::AnswerId;
use crate::classify::verdict::Outcome;
use crate::classify::verdict::Reason;
use crate::classify::verdict::Verdict;
use crate::flow::record::Flow;
use crate::flow::record::Mark;
use crate::model::addr::Side;
use crate::model::transport::Transport;

/// Eight bytes for each flow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ruling {
    /// What the documents say.
    pub(crate) answer: AnswerId,
    /// What became of it.
    pub(crate) outcome: Outcome,
    /// It failed, or met no answer.
    pub(crate) failed: bool,
    /// What [`tries`] says, up to 255.
    pub(crate) tries: u8,
    /// TCP, SYN without the handshake's end, and nothing that refused it; or a request over UDP without the reply that is
    /// due.
    pub(crate) half_open: bool,
}

const _: () = assert!(size_of::<Ruling>() == 8);

impl Ruling {
    /// Of one SYN that met no answer: see [`of_single_syn`](crate::classify::outcome::of_single_syn).
    pub(crate) fn of_single_syn(outcome: Outcome, answer: AnswerId) -> Self {
        Self { answer, outcome, failed: true, tries: 1, half_open: true }
    }

    pub(crate) fn new(flow: &Flow, orig: Side, verdict: &Verdict, answer: AnswerId) -> Self {
        let tries = u8::try_from(tries(flow, orig)).unwrap_or(u8::MAX);
        let Verdict { outcome, reason, .. } = *verdict;
        let tcp = flow.key.transport == Transport::Tcp;
        let half_open = tcp && flow.syns[orig.index()] > 0 && !flow.marks.has(Mark::Established);
        // A flood or a scan is told by what the source does; that the capture ends early changes nothing.
        let silent = half_open && !flow.acked(orig);
        Self {
            answer,
            outcome,
            failed: outcome.is_failure() || silent,
            tries,
            half_open: matches!(reason, Reason::UdpSingle | Reason::UdpUnanswered)
                || silent && !flow.marks.has(Mark::Refused) && flow.icmp == 0,
        }
    }
}
