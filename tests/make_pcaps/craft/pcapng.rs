//! Writes pcapng blocks (draft-ietf-opsawg-pcapng), right ones and wrong ones.

use crate::craft::pcap::Order;
use crate::craft::scene::Frame;

/// A section header block's type, the same in both byte orders.
pub(crate) const SHB: u32 = 0x0a0d_0d0a;
/// Interface description block.
pub(crate) const IDB: u32 = 1;
/// Packet block, obsolete.
pub(crate) const OPB: u32 = 2;
/// Simple packet block.
pub(crate) const SPB: u32 = 3;
/// Name resolution block.
pub(crate) const NRB: u32 = 4;
/// Interface statistics block.
pub(crate) const ISB: u32 = 5;
/// Enhanced packet block.
pub(crate) const EPB: u32 = 6;
/// Decryption secrets block.
pub(crate) const DSB: u32 = 10;

/// Option `if_tsresol`.
pub(crate) const IF_TSRESOL: u16 = 9;
/// Option `if_tsoffset`.
pub(crate) const IF_TSOFFSET: u16 = 14;
/// Option `isb_ifdrop`.
pub(crate) const ISB_IFDROP: u16 = 5;

/// A file that grows block by block.
#[derive(Clone, Debug)]
pub(crate) struct Ng {
    /// The byte order of the present section.
    pub(crate) order: Order,
    /// The file so far.
    pub(crate) out: Vec<u8>,
}

impl Ng {
    /// A file with one section header of unknown section length.
    pub(crate) fn new(order: Order) -> Self {
        let mut ng = Self { order, out: Vec::new() };
        ng.section(order);
        ng
    }

    /// A file with one Ethernet interface whose unit of time is the microsecond.
    pub(crate) fn ethernet(order: Order) -> Self {
        let mut ng = Self::new(order);
        ng.interface(1, 262_144, &[]);
        ng
    }

    /// Begins a section.
    pub(crate) fn section(&mut self, order: Order) {
        self.order = order;
        let mut body = order.u32(0x1a2b_3c4d).to_vec();
        body.extend(order.u16(1));
        body.extend(order.u16(0));
        body.extend([0xff; 8]);
        self.block(SHB, &body);
    }

    /// Describes an interface; options already encoded by `option`.
    pub(crate) fn interface(&mut self, link: u16, snaplen: u32, options: &[u8]) {
        let o = self.order;
        let mut body = o.u16(link).to_vec();
        body.extend([0, 0]);
        body.extend(o.u32(snaplen));
        body.extend(options);
        if !options.is_empty() {
            body.extend([0; 4]);
        }
        self.block(IDB, &body);
    }

    /// One option.
    pub(crate) fn option(&self, code: u16, value: &[u8]) -> Vec<u8> {
        let len = u16::try_from(value.len()).unwrap();
        padded([&self.order.u16(code)[..], &self.order.u16(len), value].concat())
    }

    /// A packet whose time is already in the interface's unit.
    pub(crate) fn packet(&mut self, interface: u32, time: u64, frame: &Frame) {
        let body = self.packet_body(interface, time, frame);
        self.block(EPB, &body);
    }

    /// The body of such a block, for those who want to spoil it.
    pub(crate) fn packet_body(&self, interface: u32, time: u64, frame: &Frame) -> Vec<u8> {
        let o = self.order;
        let mut body = o.u32(interface).to_vec();
        body.extend(self.halves(time));
        body.extend(o.u32(u32::try_from(frame.bytes.len()).unwrap()));
        body.extend(o.u32(frame.wire_len));
        body.extend(&frame.bytes);
        padded(body)
    }

    /// All frames on interface 0 in microseconds.
    pub(crate) fn packets(&mut self, frames: &[Frame]) {
        for frame in frames {
            self.packet(0, frame.at_ns / 1000, frame);
        }
    }

    /// A simple packet block: no time, interface 0.
    pub(crate) fn simple_packet(&mut self, frame: &Frame) {
        let body = [&self.order.u32(frame.wire_len)[..], &frame.bytes].concat();
        self.block(SPB, &body);
    }

    /// The obsolete packet block.
    pub(crate) fn old_packet(&mut self, interface: u16, time: u64, frame: &Frame) {
        let o = self.order;
        let mut body = o.u16(interface).to_vec();
        // Drop count unknown.
        body.extend([0xff, 0xff]);
        body.extend(self.halves(time));
        body.extend(o.u32(u32::try_from(frame.bytes.len()).unwrap()));
        body.extend(o.u32(frame.wire_len));
        body.extend(&frame.bytes);
        self.block(OPB, &body);
    }

    /// Interface statistics with one counter.
    pub(crate) fn statistics(&mut self, interface: u32, time: u64, option: u16, count: u64) {
        let mut body = self.order.u32(interface).to_vec();
        body.extend(self.halves(time));
        body.extend(self.option(option, &self.order.u64(count)));
        body.extend([0; 4]);
        self.block(ISB, &body);
    }

    /// Any block with correct lengths.
    pub(crate) fn block(&mut self, kind: u32, body: &[u8]) {
        let body = padded(body.to_vec());
        let len = u32::try_from(12 + body.len()).unwrap();
        self.block_of(kind, len, &body, len);
    }

    /// Any block with any lengths.
    pub(crate) fn block_of(&mut self, kind: u32, first_len: u32, body: &[u8], last_len: u32) {
        let o = self.order;
        self.out.extend(o.u32(kind));
        self.out.extend(o.u32(first_len));
        self.out.extend(body);
        self.out.extend(o.u32(last_len));
    }

    /// A 64-bit time as its high half, then its low half.
    fn halves(&self, time: u64) -> Vec<u8> {
        let [high, low] = [time >> 32, time & 0xffff_ffff].map(|half| u32::try_from(half).unwrap());
        [self.order.u32(high), self.order.u32(low)].concat()
    }
}

/// Zeros up to a multiple of four bytes.
fn padded(mut bytes: Vec<u8>) -> Vec<u8> {
    while !bytes.len().is_multiple_of(4) {
        bytes.push(0);
    }
    bytes
}
