//! Writing pcapng (draft-ietf-opsawg-pcapng): a section with its interfaces, and packets with a comment each.
//!
//! Blocks are made in memory, so that a file only ever grows by whole ones. This page must never know why a packet is
//! worth keeping.

use crate::capture::batch::LinkType;
use crate::model::time::Timestamp;

/// An interface as the file names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// The link type of its frames.
    pub link: LinkType,
    /// Bytes of each frame that are captured.
    pub snaplen: u32,
}

/// A frame to be written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kept {
    /// The place of its interface in the section.
    pub interface: u32,
    /// When it was captured.
    pub ts: Timestamp,
    /// How many bytes it had on the wire.
    pub wire_len: u32,
    /// What was captured of it.
    pub bytes: Box<[u8]>,
}

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const PACKET: u32 = 6;

const OPTION_END: u16 = 0;
const OPTION_COMMENT: u16 = 1;
const OPTION_INTERFACE_NAME: u16 = 2;
const OPTION_USER_APPLICATION: u16 = 4;
const OPTION_TIME_RESOLUTION: u16 = 9;

/// The longest text of an option.
const TEXT_MAX: usize = 4096;

/// The beginning of a file.
pub fn section(interfaces: &[Interface]) -> Vec<u8> {
    let mut out = Vec::new();
    block(&mut out, SECTION, |body| {
        body.extend(0x1a2b_3c4d_u32.to_le_bytes());
        body.extend([1, 0, 0, 0]);
        // How long the section will be is not known.
        body.extend(u64::MAX.to_le_bytes());
        option(body, OPTION_USER_APPLICATION, concat!("portolan ", env!("CARGO_PKG_VERSION")).as_bytes());
        option(body, OPTION_END, &[]);
    });
    for described in interfaces {
        interface(&mut out, described);
    }
    out
}

/// Adds an interface; its place is the number of those before it.
pub fn interface(out: &mut Vec<u8>, interface: &Interface) {
    block(out, INTERFACE, |body| {
        body.extend(interface.link.0.to_le_bytes());
        body.extend([0, 0]);
        body.extend(interface.snaplen.to_le_bytes());
        option(body, OPTION_INTERFACE_NAME, interface.name.as_bytes());
        // Ten to the power of minus nine: nanoseconds.
        option(body, OPTION_TIME_RESOLUTION, &[9]);
        option(body, OPTION_END, &[]);
    });
}

/// Adds a packet.
pub fn packet(out: &mut Vec<u8>, kept: &Kept, comment: &str) {
    block(out, PACKET, |body| {
        body.extend(kept.interface.to_le_bytes());
        // The upper half first, each of them in the order of the file.
        let (low, high) = (kept.ts.0 & u64::from(u32::MAX), kept.ts.0 >> 32);
        for half in [high, low] {
            body.extend(u32::try_from(half).unwrap_or(0).to_le_bytes());
        }
        body.extend(u32::try_from(kept.bytes.len()).unwrap_or(u32::MAX).to_le_bytes());
        body.extend(kept.wire_len.to_le_bytes());
        body.extend(&kept.bytes);
        pad(body);
        option(body, OPTION_COMMENT, comment.as_bytes());
        option(body, OPTION_END, &[]);
    });
}

fn block(out: &mut Vec<u8>, kind: u32, fill: impl FnOnce(&mut Vec<u8>)) {
    let mut body = Vec::new();
    fill(&mut body);
    let length = u32::try_from(body.len() + 12).unwrap_or(u32::MAX);
    out.extend(kind.to_le_bytes());
    out.extend(length.to_le_bytes());
    out.extend(body);
    out.extend(length.to_le_bytes());
}

fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    let value = value.get(..TEXT_MAX).unwrap_or(value);
    body.extend(code.to_le_bytes());
    body.extend(u16::try_from(value.len()).unwrap_or(0).to_le_bytes());
    body.extend(value);
    pad(body);
}

/// Everything in a block begins at a multiple of four bytes.
fn pad(body: &mut Vec<u8>) {
    body.resize(body.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::craft::read;

    #[test]
    fn what_is_written_can_be_read() {
        let interfaces = [Interface { name: "mon0".into(), link: LinkType(1), snaplen: 2048 }];
        let mut file = section(&interfaces);
        for (ts, bytes) in [(1_772_359_331_000_250_999, &[1, 2, 3][..]), (1_772_359_332_000_000_000, &[4; 60])] {
            let kept = Kept { interface: 0, ts: Timestamp(ts), wire_len: 90, bytes: bytes.into() };
            packet(&mut file, &kept, "blocked, frame 7");
        }
        let outcome = read(&file);
        assert_eq!(outcome.facts.damage, None);
        let seen: Vec<_> = outcome.frames.iter().map(|frame| (frame.1, frame.3, frame.4.clone())).collect();
        let first = (1_772_359_331_000_250_999, 90, vec![1, 2, 3]);
        assert_eq!(seen, [first, (1_772_359_332_000_000_000, 90, vec![4; 60])]);
        assert_eq!(outcome.facts.snaplen, Some(2048));
    }
}
