//! The way down through the headers of one frame: where it stands, and what it has met.
//!
//! Knows no header format.

use crate::capture::batch::Frame;
use crate::decode::ip::Ip;
use crate::decode::packet::Layer;
use crate::decode::packet::Packet;
use crate::decode::wire::len32;
use crate::model::addr::FlowKey;
use crate::model::addr::Side;
use crate::model::ids::FrameId;
use crate::model::time::Timestamp;

/// What one frame's decoding knows on its way. A value, so that a tunnel that fails to open changes nothing.
#[derive(Clone, Copy)]
pub(super) struct Walk<'a> {
    /// The captured bytes of the frame, up to the end of the layer reached.
    pub(super) bytes: &'a [u8],
    /// Where the layer reached ends on the wire, in bytes from the frame's start.
    pub(super) end: usize,
    /// Link headers met between Ethernet and IP, over all tunnels.
    pub(super) link_headers: u8,
    /// Tunnels opened.
    pub(super) tunnels: u8,
    /// The innermost link header that has an address names a group.
    pub(super) group: bool,
    frame: FrameId,
    ts: Timestamp,
}

impl<'a> Walk<'a> {
    #[inline]
    pub(super) fn new(frame: &Frame, bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            end: bytes.len().max(frame.wire_len as usize),
            link_headers: 0,
            tunnels: 0,
            group: false,
            frame: frame.id,
            ts: frame.ts,
        }
    }

    /// Time of the frame.
    pub(super) fn ts(&self) -> Timestamp {
        self.ts
    }

    /// The captured bytes from `at` on; empty if there are none.
    #[inline]
    pub(super) fn from(&self, at: usize) -> &'a [u8] {
        self.bytes.get(at..).unwrap_or_default()
    }

    /// The walk inside this IP packet, behind a link header that named a group or did not.
    #[inline]
    pub(super) fn within(mut self, ip: &Ip, group: bool) -> Self {
        self.group = group;
        self.narrow(ip.limit);
        self
    }

    /// Narrows the walk to a layer that ends at `end`.
    #[inline]
    pub(super) fn narrow(&mut self, end: usize) {
        self.end = end;
        self.bytes = self.bytes.get(..end).unwrap_or(self.bytes);
    }

    /// The packet of this frame whose payload begins at `payload_at` and is `payload_len` bytes by the headers.
    #[inline]
    pub(super) fn packet(
        &self,
        ip: &Ip,
        (key, from): (FlowKey, Side),
        (payload_at, payload_len): (usize, usize),
        layer: Layer,
    ) -> Packet {
        let captured = self.bytes.len();
        Packet {
            frame: self.frame,
            ts: self.ts,
            key,
            from,
            ttl: ip.ttl,
            ip_id: ip.id,
            ip_len: len32(ip.len),
            payload_len: len32(payload_len),
            payload_at: len32(payload_at.min(captured)),
            payload_captured: len32(captured.saturating_sub(payload_at).min(payload_len)),
            lead: if payload_len > 0 { self.bytes.get(payload_at).copied().unwrap_or_default() } else { 0 },
            layer,
            link_group: self.group,
            tunnels: self.tunnels,
        }
    }
}
