//! What a report says of the run itself: what was read, and how far it can be trusted.
//!
//! Filled in by whoever ran it; this room knows neither files nor decoders.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::classify::judged::LeftOut;
use crate::report::moment::Moment;
use crate::report::sanitise::Shown;

/// What was read, and with which choices.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct RunFacts {
    /// The captures, in the order of their numbers in [`FrameId`](crate::model::ids::FrameId).
    pub inputs: Vec<InputRow>,
    /// The BPF expression.
    pub filter: Option<Shown>,
    /// The site file.
    pub site: Option<Shown>,
    /// The profiles judged by.
    pub profiles: Vec<String>,
    /// The profiles whose rows are all listed under readiness.
    pub readiness: Vec<String>,
}

/// One capture.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct InputRow {
    /// Its path as given, or `-`.
    pub path: Shown,
    /// `pcap` or `pcapng`; `None` if it could not be told.
    pub format: Option<&'static str>,
    /// `gzip`, `zstd`, `lz4` or `xz`.
    pub compression: Option<&'static str>,
    /// Names of its link types in the tcpdump.org registry, without `DLT_`.
    pub link_types: Vec<String>,
    /// Frames read.
    pub frames: u64,
    /// Bytes of these frames on the wire.
    pub bytes: u64,
    /// Time of the earliest frame.
    pub first: Option<Moment>,
    /// Time of the latest frame.
    pub last: Option<Moment>,
    /// The longest a frame could be captured, bytes; 0 if the capture does not say.
    pub snaplen: u32,
    /// What was wrong with it.
    pub error: Option<InputError>,
}

/// Damage: what stands before it was read, and counts.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct InputError {
    /// The frame that could not be read, from 1.
    pub frame: u64,
    /// Where its record begins, in bytes of the uncompressed capture.
    pub offset: u64,
    /// What is wrong with it.
    pub message: Shown,
}

/// What the capture can show, and what it cost to read it. Every limit that was reached has its count here.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct Health {
    /// Frames read.
    pub frames: u64,
    /// Frames that became packets of flows.
    pub decoded: u64,
    /// Frames that did not, by reason.
    pub skipped: BTreeMap<&'static str, u64>,
    /// Packets that were copies of others.
    pub duplicates: u64,
    /// Fragments of datagrams, first ones included.
    pub fragments: u64,
    /// Packets that the capturing system says it lost.
    pub dropped_by_kernel: u64,
    /// Packets lost between capture and analysis.
    pub dropped_by_queue: u64,
    /// Flows seen.
    pub flows: u64,
    /// Flows whose detail was given up for lack of room; their totals are kept.
    pub flows_evicted: u64,
    /// Share of flows with payload that were captured in one direction only, 0.0 to 1.0. Set by the report.
    pub one_way_share: f64,
    /// Whether the capture as a whole sees one direction only. Set by the report.
    pub asymmetric: bool,
    /// Whether so much is missing that no finding is no proof: what `--fail-on` answers with exit code 3.
    pub blind: bool,
    /// What a filter seems to have left out; a note says so. Set by the report.
    #[serde(skip)]
    pub left_out: Option<LeftOut>,
    /// What else should be known, a sentence each.
    pub notes: Vec<Shown>,
    /// Packets for which the interface itself had no room; of live captures.
    #[serde(skip_serializing_if = "is_none")]
    pub dropped_by_interface: u64,
    /// Frames that the filter left out.
    pub filtered: u64,
    /// Frames of which the snaplen cut something off.
    pub cut_frames: u64,
    /// Frames earlier than the one before them.
    pub out_of_order: u64,
    /// Packets found inside tunnels.
    pub tunnels: u64,
    /// ICMP errors, copies apart: no packets of the flows they quote.
    pub icmp_errors: u64,
    /// ICMP errors that quote no flow seen.
    pub icmp_unmatched: u64,
    /// SYN-ACK and RST whose numbers do not fit the SYN.
    pub bad_replies: u64,
    /// Acknowledgements of data that was not captured: what the capture itself missed.
    pub acked_unseen: u64,
    /// Evicted flows of which not even the host pair is known; known once a report is built.
    pub folds_collapsed: u64,
    /// Flows whose payload was not followed to its end, for lack of room or because it came in crumbs.
    pub payloads_given_up: u64,
    /// Places where bytes of a followed stream were not captured.
    pub payload_holes: u64,
    /// Flows whose questions to the endpoint mapper or to DCOM are encrypted: the ports they were told are not known.
    pub rpc_sealed: u64,
    /// Flows of SMB that are encrypted or compressed: which pipes were used in them, and for what, is not all known.
    pub smb_sealed: u64,
    /// Flows of SMB of which the end was not looked at for pipes, because they carried so much else before.
    pub smb_left: u64,
    /// Calls, interfaces, servers and questions of RPC for which there was no room.
    pub rpc_not_kept: u64,
}

impl Health {
    /// Leaves what was counted since: the report of a watch may have begun anew. What is no count stays as it is.
    pub fn leave_since(&mut self, before: &Self) {
        for (count, before) in [
            (&mut self.frames, before.frames),
            (&mut self.decoded, before.decoded),
            (&mut self.duplicates, before.duplicates),
            (&mut self.fragments, before.fragments),
            (&mut self.dropped_by_kernel, before.dropped_by_kernel),
            (&mut self.dropped_by_queue, before.dropped_by_queue),
            (&mut self.dropped_by_interface, before.dropped_by_interface),
            (&mut self.flows, before.flows),
            (&mut self.flows_evicted, before.flows_evicted),
            (&mut self.filtered, before.filtered),
            (&mut self.cut_frames, before.cut_frames),
            (&mut self.out_of_order, before.out_of_order),
            (&mut self.tunnels, before.tunnels),
            (&mut self.icmp_errors, before.icmp_errors),
            (&mut self.icmp_unmatched, before.icmp_unmatched),
            (&mut self.bad_replies, before.bad_replies),
            (&mut self.acked_unseen, before.acked_unseen),
            (&mut self.payloads_given_up, before.payloads_given_up),
            (&mut self.payload_holes, before.payload_holes),
            (&mut self.rpc_sealed, before.rpc_sealed),
            (&mut self.smb_sealed, before.smb_sealed),
            (&mut self.smb_left, before.smb_left),
            (&mut self.rpc_not_kept, before.rpc_not_kept),
        ] {
            *count = count.saturating_sub(before);
        }
        for (reason, count) in &mut self.skipped {
            *count = count.saturating_sub(before.skipped.get(reason).copied().unwrap_or_default());
        }
        self.skipped.retain(|_, count| *count > 0);
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_none(count: &u64) -> bool {
    *count == 0
}

impl RunFacts {
    /// When the earliest and the latest frame were captured.
    pub fn span(&self) -> Option<(Moment, Moment)> {
        let first = self.inputs.iter().filter_map(|input| input.first).min()?;
        let last = self.inputs.iter().filter_map(|input| input.last).max()?;
        Some((first, last))
    }

    /// How long was captured, from the first to the last frame, in seconds to a tenth.
    pub(crate) fn watched_s(&self) -> f64 {
        let watched = self.span().map(|(first, last)| last.0.since(first.0)).unwrap_or_default();
        (watched.as_secs_f64() * 10.0).round() / 10.0
    }

    /// Whether all frames are of one day, UTC.
    pub(crate) fn is_one_day(&self) -> bool {
        self.span().is_none_or(|(first, last)| first.same_day(last))
    }
}
