//! Zeek's `conn_state`, from what a flow saw.

use crate::flow::record::Flow;
use crate::flow::record::Mark;
use crate::flow::record::fin;
use crate::flow::record::rst;
use crate::model::addr::Side;
use crate::model::transport::Transport;

/// The thirteen states of Zeek's `conn.log`, with Zeek's meaning (`base/protocols/conn/main.zeek`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord, Hash)]
pub enum ConnState {
    /// Attempt seen, no reply.
    S0,
    /// Established, not terminated.
    S1,
    /// Established and terminated normally.
    Sf,
    /// Attempt rejected.
    Rej,
    /// Established, the originator closed, no answer to that.
    S2,
    /// Established, the responder closed, no answer to that.
    S3,
    /// Established, the originator aborted.
    RstO,
    /// The responder aborted.
    RstR,
    /// SYN then RST of the originator, no SYN-ACK.
    RstOS0,
    /// SYN-ACK then RST of the responder, no SYN.
    RstRH,
    /// SYN then FIN of the originator, no SYN-ACK.
    Sh,
    /// SYN-ACK then FIN of the responder, no SYN.
    Shr,
    /// No SYN seen, just midstream traffic.
    Oth,
}

impl ConnState {
    /// Zeek's spelling.
    pub fn name(self) -> &'static str {
        match self {
            Self::S0 => "S0",
            Self::S1 => "S1",
            Self::Sf => "SF",
            Self::Rej => "REJ",
            Self::S2 => "S2",
            Self::S3 => "S3",
            Self::RstO => "RSTO",
            Self::RstR => "RSTR",
            Self::RstOS0 => "RSTOS0",
            Self::RstRH => "RSTRH",
            Self::Sh => "SH",
            Self::Shr => "SHR",
            Self::Oth => "OTH",
        }
    }

    /// The state of a flow whose originator is at `orig`.
    pub fn of(flow: &Flow, orig: Side) -> Self {
        let resp = orig.other();
        if flow.key.transport != Transport::Tcp {
            return match (flow.packets[orig.index()] > 0, flow.packets[resp.index()] > 0) {
                (true, true) => Self::Sf,
                (true, false) => Self::S0,
                (false, true) => Self::Shr,
                (false, false) => Self::Oth,
            };
        }
        let syn = flow.syns[orig.index()] > 0;
        let synack = flow.synacks[resp.index()] > 0;
        let reset_by = |side: Side| rst(flow.flags[side.index()]);
        let closed_by = |side: Side| fin(flow.flags[side.index()]);
        if syn && !synack {
            if flow.marks.has(Mark::Refused) {
                return Self::Rej;
            }
            return if reset_by(orig) {
                Self::RstOS0
            } else if closed_by(orig) && flow.packets[resp.index()] == 0 {
                Self::Sh
            } else if flow.packets[resp.index()] == 0 {
                Self::S0
            } else {
                Self::Oth
            };
        }
        if synack && !syn && flow.packets[orig.index()] == 0 {
            return if reset_by(resp) {
                Self::RstRH
            } else if closed_by(resp) {
                Self::Shr
            } else {
                Self::Oth
            };
        }
        if !syn && !synack {
            return Self::Oth;
        }
        match (closed_by(orig), closed_by(resp)) {
            (true, true) => Self::Sf,
            _ if reset_by(resp) => Self::RstR,
            _ if reset_by(orig) => Self::RstO,
            (true, false) => Self::S2,
            (false, true) => Self::S3,
            (false, false) => Self::S1,
        }
    }
}
