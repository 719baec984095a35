//! What the tables may hold, and what it cost when they were full.

/// A UDP or other connectionless flow that was silent this long has ended; the next packet begins another.
pub(crate) const IDLE_NS: u64 = 300 * 1_000_000_000;

/// A datagram that follows another sooner belongs to the same try: two questions at once, or a copy.
pub(crate) const TRY_GAP_NS: u64 = 400_000_000;

/// Bounds of one table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Flows kept with all their detail; more than 2,097,151 are not.
    pub flows_max: usize,
    /// Rows that evicted flows are added up into.
    pub folds_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { flows_max: 1 << 20, folds_max: 1 << 14 }
    }
}

/// What one table counted. Sums over tables give the capture's.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Packets seen, copies included.
    pub packets: u64,
    /// Packets that were copies of another.
    pub duplicates: u64,
    /// Flows begun.
    pub flows: u64,
    /// Flows given up for lack of room; their packets and bytes are in the folded totals.
    pub flows_evicted: u64,
    /// ICMP errors, copies apart. They belong to the flows they quote and are no packets of theirs.
    pub icmp_errors: u64,
    /// ICMP errors that quote no flow seen, or a TCP sequence number that does not fit.
    pub icmp_unmatched: u64,
    /// SYN-ACK or RST whose numbers do not fit the SYN.
    pub bad_replies: u64,
    /// ACKs of data that was never seen: what the capture itself lost.
    pub acked_unseen: u64,
}

impl Counters {
    /// The share of flows that were given up, from 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more than 52 bits")]
    pub fn given_up_share(&self) -> f64 {
        self.flows_evicted as f64 / self.flows.max(1) as f64
    }

    /// Adds another table's counts.
    pub fn add(&mut self, other: &Self) {
        self.packets += other.packets;
        self.duplicates += other.duplicates;
        self.flows += other.flows;
        self.flows_evicted += other.flows_evicted;
        self.icmp_errors += other.icmp_errors;
        self.icmp_unmatched += other.icmp_unmatched;
        self.bad_replies += other.bad_replies;
        self.acked_unseen += other.acked_unseen;
    }
}
