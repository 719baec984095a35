//! One conversation: what it did, counted and dated, with the frames that show it.

use crate::decode::packet::Packet;
use crate::flow::history::History;
use crate::flow::hole::Hole;
use crate::flow::speech::Speech;
use crate::model::addr::Addr;
use crate::model::addr::FiveTuple;
use crate::model::addr::FlowKey;
use crate::model::addr::Side;
use crate::model::ids::FrameId;
use crate::model::time::Timestamp;

/// TCP FIN bit.
pub const FIN: u8 = 0x01;
/// TCP SYN bit.
pub const SYN: u8 = 0x02;
/// TCP RST bit.
pub const RST: u8 = 0x04;
/// TCP ACK bit.
pub const ACK: u8 = 0x10;

/// Whether a set of TCP flags has FIN.
#[inline]
pub fn fin(flags: u8) -> bool {
    flags & FIN != 0
}

/// Whether a set of TCP flags has RST.
#[inline]
pub fn rst(flags: u8) -> bool {
    flags & RST != 0
}

/// A flow as it is changed and judged. The table keeps it in less room.
///
/// Arrays of two have one place for each [`Side`] of the key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Flow {
    /// Both ends.
    pub key: FlowKey,
    /// The sequence number that each end will send next.
    pub next_seq: [u32; 2],
    /// The highest acknowledgement that each end sent.
    pub max_ack: [u32; 2],
    /// What happened.
    pub marks: Marks,
    /// All TCP flags that each end set.
    pub flags: [u8; 2],
    /// Retransmissions of data by each end since the other was last heard.
    pub unheard: [u8; 2],
    /// When each end was last seen.
    pub last: [Timestamp; 2],
    /// Packets sent by each end, copies not counted.
    pub packets: [u64; 2],
    /// Transport payload sent by each end, bytes by the headers, retransmissions included.
    pub payload: [u64; 2],
    /// IP packets sent by each end, bytes with their headers (Zeek `orig_ip_bytes`).
    pub ip_bytes: [u64; 2],
    /// Frame of the newest packet of each end.
    pub last_frame: [FrameId; 2],
    /// Time to live of each end's first packet (RSTs apart).
    pub ttl: [u8; 2],
    /// First captured payload byte of each end.
    pub lead: [u8; 2],
    /// Who began it, as far as packets alone tell.
    pub began: Side,
    /// How that is known.
    pub began_by: Began,
    /// SYNs without ACK by each end.
    pub syns: [u16; 2],
    /// SYN-ACKs by each end.
    pub synacks: [u16; 2],
    /// Segments of each end that carry only data seen before.
    pub retransmits: [u16; 2],
    /// Datagrams of each end that came some time after the one before, later fragments apart: tries, not packets.
    pub tries: [u16; 2],
    /// Initial sequence number of each end.
    pub isn: [u32; 2],
    /// Zeek's history.
    pub history: History,
    /// Place of its ICMP error in the table, from 1; 0 = none.
    pub icmp: u32,
    /// What was recognised in its payload.
    pub(crate) speech: Speech,
    /// When the first packet was seen.
    pub first: Timestamp,
    /// Frame of the first packet.
    pub first_frame: FrameId,
    /// When the newest SYN was seen.
    pub syn_last: Timestamp,
    /// Frame of the newest SYN.
    pub syn_frame: FrameId,
    /// How long before it the SYN before it was, milliseconds.
    pub syn_gap_ms: u32,
    /// How long after the first SYN the second was seen, milliseconds.
    pub syn_first_gap_ms: u32,
    /// How long after its last packet a new flow on the same key took its place, milliseconds; `u32::MAX` if none did.
    pub superseded_after_ms: u32,
    /// From the SYN that was answered to the ACK that completed the handshake, microseconds; 0 if not seen whole.
    pub handshake_us: u32,
    /// IP-ID of the newest SYN.
    pub syn_ip_id: u16,
    /// Window of the newest SYN.
    pub syn_window: u16,
    /// Frame of the first SYN-ACK.
    pub synack_frame: FrameId,
    /// When the first SYN-ACK was seen.
    pub synack_at: Timestamp,
    /// The first RST.
    pub reset: Reset,
    /// The newest data that was acknowledged and not captured before.
    pub(crate) hole: Hole,
}

/// What the sums of host pairs need of a flow; see [`Flow`] for what the fields mean.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Totals {
    /// Packets sent by each end.
    pub packets: [u64; 2],
    /// Payload sent by each end, bytes.
    pub payload: [u64; 2],
    /// When the first packet was seen.
    pub first: Timestamp,
    /// When the last packet was seen.
    pub last: Timestamp,
    /// How long the handshake took, microseconds.
    pub handshake_us: u32,
}

/// The first RST of a flow.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Reset {
    /// When.
    pub ts: Timestamp,
    /// Its frame; [`FrameId::NONE`] if there was no RST.
    pub frame: FrameId,
    /// Its time to live.
    pub ttl: u8,
    /// Its IPv4 identification.
    pub ip_id: u16,
    /// Its window.
    pub window: u16,
    /// Whether the high end sent it.
    pub by_high: bool,
}

/// How it is known who began.
#[derive(Clone, Copy, PartialEq, Eq, Debug, PartialOrd, Ord)]
pub enum Began {
    /// It sent a SYN.
    Syn,
    /// The other end sent a SYN-ACK.
    SynAck,
    /// Its packet was the first.
    FirstPacket,
}

/// One thing that happened to a flow. An entry of the table has room for 24 of them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Mark {
    /// SYN, SYN-ACK and ACK, all fitting.
    Established = 1,
    /// A RST whose numbers fit answered the SYN.
    Refused = 1 << 1,
    /// A SYN came again after the refusal, on the same ports.
    Retried = 1 << 2,
    /// The originator sent SYN again although a SYN-ACK had been seen.
    SynAfterSynAck = 1 << 3,
    /// The responder sent its SYN-ACK again.
    SynAckRepeated = 1 << 4,
    /// The originator answered the SYN-ACK with RST.
    HalfOpenReset = 1 << 5,
    /// The low end's acknowledgements advanced.
    AckAdvancedLow = 1 << 6,
    /// The high end's acknowledgements advanced.
    AckAdvancedHigh = 1 << 7,
    /// The low end's packets came with more than one time to live.
    TtlVariesLow = 1 << 8,
    /// The high end's packets came with more than one time to live.
    TtlVariesHigh = 1 << 9,
    /// The link layer delivered it to many hosts.
    Group = 1 << 10,
    /// An ICMP error said that a packet was too big.
    Mtu = 1 << 11,
    /// A newer flow on the same key took its place.
    Superseded = 1 << 12,
    /// Copies of its packets were seen.
    Copied = 1 << 13,
    /// The low end sent an acknowledgement that is no RST.
    AckedLow = 1 << 14,
    /// The high end sent an acknowledgement that is no RST.
    AckedHigh = 1 << 15,
    /// A copy of a RST was seen.
    ResetCopied = 1 << 16,
    /// The low end acknowledged: its letter stands in the history.
    SaidAckLow = 1 << 17,
    /// The high end acknowledged.
    SaidAckHigh = 1 << 18,
    /// The low end sent payload.
    SaidDataLow = 1 << 19,
    /// The high end sent payload.
    SaidDataHigh = 1 << 20,
    /// A SYN-ACK came whose numbers do not fit the SYN.
    MisfitSynAck = 1 << 21,
    /// The low end's payload is not listened to any more: what it is, is known or will not be.
    HeardLow = 1 << 22,
    /// The same of the high end.
    HeardHigh = 1 << 23,
}

/// A set of [`Mark`]s.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Marks(u32);

impl Marks {
    /// The set of these bits.
    #[inline]
    pub(crate) fn of(bits: u32) -> Self {
        Self(bits)
    }

    /// Its bits, of [`Mark`]'s numbers.
    #[inline]
    pub(crate) fn bits(self) -> u32 {
        self.0
    }

    /// Whether the set has `mark`.
    #[inline]
    pub fn has(self, mark: Mark) -> bool {
        self.0 & mark as u32 != 0
    }

    /// Adds `mark`.
    #[inline]
    pub fn set(&mut self, mark: Mark) {
        self.0 |= mark as u32;
    }

    /// Takes `mark` away.
    #[inline]
    pub fn clear(&mut self, mark: Mark) {
        self.0 &= !(mark as u32);
    }
}

impl Flow {
    /// A flow that begins with `packet`; the packet itself is not yet counted.
    pub(crate) fn begin(packet: &Packet) -> Self {
        Self {
            key: packet.key,
            last: [Timestamp::default(); 2],
            packets: [0; 2],
            payload: [0; 2],
            ip_bytes: [0; 2],
            next_seq: [0; 2],
            max_ack: [0; 2],
            marks: Marks::default(),
            flags: [0; 2],
            unheard: [0; 2],
            last_frame: [FrameId::NONE; 2],
            first: packet.ts,
            first_frame: packet.frame,
            history: History::default(),
            began: packet.from,
            began_by: Began::FirstPacket,
            ttl: [0; 2],
            lead: [0; 2],
            isn: [0; 2],
            syns: [0; 2],
            synacks: [0; 2],
            retransmits: [0; 2],
            tries: [0; 2],
            syn_ip_id: 0,
            syn_window: 0,
            syn_last: Timestamp::default(),
            syn_gap_ms: 0,
            syn_first_gap_ms: 0,
            superseded_after_ms: u32::MAX,
            handshake_us: 0,
            syn_frame: FrameId::NONE,
            synack_frame: FrameId::NONE,
            synack_at: Timestamp::default(),
            reset: Reset::default(),
            hole: Hole::default(),
            icmp: 0,
            speech: Speech::default(),
        }
    }

    /// The end that sent the first RST.
    pub fn reset_by(&self) -> Option<Side> {
        self.reset.frame.is_some().then_some(if self.reset.by_high { Side::High } else { Side::Low })
    }

    /// See [`Totals`].
    pub fn totals(&self) -> Totals {
        let Self { packets, payload, first, handshake_us, .. } = *self;
        Totals { packets, payload, first, last: self.last_seen(), handshake_us }
    }

    /// When anything of it was last seen.
    #[inline]
    pub fn last_seen(&self) -> Timestamp {
        self.last[0].max(self.last[1])
    }

    /// Its ends with direction, if `orig` began it.
    pub fn five_tuple(&self, orig: Side) -> FiveTuple {
        FiveTuple { orig: self.key.end(orig), resp: self.key.end(orig.other()), transport: self.key.transport }
    }

    /// The address at one end.
    pub fn addr(&self, side: Side) -> Addr {
        self.key.end(side).addr
    }

    /// Whether `side` acknowledged anything by a segment that is no RST: it was sent something that it accepts.
    #[inline]
    pub fn acked(&self, side: Side) -> bool {
        self.marks.has(match side {
            Side::Low => Mark::AckedLow,
            Side::High => Mark::AckedHigh,
        })
    }

    /// Whether acknowledgements of `side` advanced: it heard what it was sent.
    pub fn ack_advanced(&self, side: Side) -> bool {
        self.marks.has(match side {
            Side::Low => Mark::AckAdvancedLow,
            Side::High => Mark::AckAdvancedHigh,
        })
    }

    /// Whether the packets of `side` came with more than one time to live.
    pub fn ttl_varies(&self, side: Side) -> bool {
        self.marks.has(match side {
            Side::Low => Mark::TtlVariesLow,
            Side::High => Mark::TtlVariesHigh,
        })
    }

    /// Notes in the history that `side` acknowledged. Every packet asks this, so a bit among those at hand answers.
    #[inline]
    pub(crate) fn say_ack(&mut self, side: Side) {
        self.say_once(if side == Side::Low { Mark::SaidAckLow } else { Mark::SaidAckHigh }, b'a', side);
    }

    /// Notes in the history that `side` sent payload.
    #[inline]
    pub(crate) fn say_data(&mut self, side: Side) {
        self.say_once(if side == Side::Low { Mark::SaidDataLow } else { Mark::SaidDataHigh }, b'd', side);
    }

    #[inline]
    fn say_once(&mut self, said: Mark, letter: u8, side: Side) {
        if !self.marks.has(said) {
            self.marks.set(said);
            self.history.add(letter, side);
        }
    }

    /// Notes the time to live of a packet of `side` that is no RST.
    #[inline]
    pub(crate) fn note_ttl(&mut self, side: Side, ttl: u8) {
        let known = &mut self.ttl[side.index()];
        if *known == 0 {
            *known = ttl;
        } else if *known != ttl {
            self.marks.set(match side {
                Side::Low => Mark::TtlVariesLow,
                Side::High => Mark::TtlVariesHigh,
            });
        }
    }
}
