//! Writes the classic capture file format (draft-ietf-opsawg-pcap).

use std::io;
use std::io::Write;

use crate::craft::scene::Frame;

/// Byte order of a file or section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Least significant byte first.
    Little,
    /// Most significant byte first.
    Big,
}

impl Order {
    /// A 16-bit number in this order.
    pub(crate) fn u16(self, n: u16) -> [u8; 2] {
        if self == Self::Little { n.to_le_bytes() } else { n.to_be_bytes() }
    }

    /// A 32-bit number in this order.
    pub(crate) fn u32(self, n: u32) -> [u8; 4] {
        if self == Self::Little { n.to_le_bytes() } else { n.to_be_bytes() }
    }

    /// A 64-bit number in this order.
    pub(crate) fn u64(self, n: u64) -> [u8; 8] {
        if self == Self::Little { n.to_le_bytes() } else { n.to_be_bytes() }
    }
}

/// What the file header promises.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pcap {
    /// The magic number, which also says the unit of the time fraction.
    pub(crate) magic: u32,
    /// Byte order.
    pub(crate) order: Order,
    /// Snaplen, bytes.
    pub(crate) snaplen: u32,
    /// Link type.
    pub(crate) link: u32,
}

/// Magic with microseconds.
pub(crate) const MICROS: u32 = 0xa1b2_c3d4;
/// Magic with nanoseconds.
pub(crate) const NANOS: u32 = 0xa1b2_3c4d;
/// Magic of Alexey Kuznetsov's patched libpcap: eight more bytes in each record header.
pub(crate) const MODIFIED: u32 = 0xa1b2_cd34;

impl Pcap {
    /// Little endian, microseconds, Ethernet.
    pub(crate) const ETHERNET: Self = Self { magic: MICROS, order: Order::Little, snaplen: 262_144, link: 1 };

    /// The same with another link type.
    pub(crate) const fn link(link: u32) -> Self {
        Self { link, ..Self::ETHERNET }
    }

    /// Writes the file header.
    pub(crate) fn header(&self, out: &mut impl Write) -> io::Result<()> {
        let o = self.order;
        out.write_all(&o.u32(self.magic))?;
        out.write_all(&o.u16(2))?;
        out.write_all(&o.u16(4))?;
        out.write_all(&[0; 8])?;
        out.write_all(&o.u32(self.snaplen))?;
        out.write_all(&o.u32(self.link))
    }

    /// Writes one record.
    pub(crate) fn record(&self, out: &mut impl Write, frame: &Frame) -> io::Result<()> {
        let captured = u32::try_from(frame.bytes.len()).unwrap();
        self.record_header(out, frame.at_ns, captured, frame.wire_len)?;
        out.write_all(&frame.bytes)
    }

    /// Writes a record header with any lengths.
    pub(crate) fn record_header(&self, out: &mut impl Write, at_ns: u64, captured: u32, wire: u32) -> io::Result<()> {
        let o = self.order;
        let unit_ns = if self.magic == NANOS { 1 } else { 1000 };
        out.write_all(&o.u32(u32::try_from(at_ns / 1_000_000_000).unwrap()))?;
        out.write_all(&o.u32(u32::try_from(at_ns % 1_000_000_000 / unit_ns).unwrap()))?;
        out.write_all(&o.u32(captured))?;
        out.write_all(&o.u32(wire))?;
        if self.magic == MODIFIED {
            // Interface index, protocol, packet type, padding.
            out.write_all(&o.u32(2))?;
            out.write_all(&o.u16(0x0800))?;
            out.write_all(&[0, 0])?;
        }
        Ok(())
    }

    /// A whole file.
    pub(crate) fn file(&self, frames: &[Frame]) -> Vec<u8> {
        let mut out = Vec::new();
        self.header(&mut out).unwrap();
        for frame in frames {
            self.record(&mut out, frame).unwrap();
        }
        out
    }
}
