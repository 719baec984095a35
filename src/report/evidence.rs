//! What is said of a packet that belongs to a finding, where packets are written as evidence.

use crate::report::findings::Finding;

/// Packets of one finding that are written; who needs more knows by then what to capture.
pub const PACKETS_MAX: u32 = 1000;

/// The comment on a packet of the finding with this number, which was frame `frame` of what was read.
pub fn comment(finding: &Finding, number: u64, frame: &str) -> String {
    format!(
        "portolan: frame {frame}, finding {number} {}: {} -> {} {} {} ({}, {})",
        finding.kind.name(),
        finding.client,
        finding.server,
        finding.service.as_str(),
        finding.outcome,
        finding.confidence,
        finding.reason
    )
}

/// The comment on the first packet of a finding: with all that the report says of it.
pub fn first_comment(finding: &Finding, number: u64, frame: &str) -> String {
    format!("{}. {}", comment(finding, number, frame), finding.text)
}
