//! The decoder: frames of every link type, one after the other, so that fragments meet.
//!
//! The input is a pcap file with a little-endian header, so that small captures are seeds as they are.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portolan::capture::batch::Frame;
use portolan::capture::batch::LinkType;
use portolan::decode::decoder::Decoder;
use portolan::decode::packet::Decoded;
use portolan::model::ids::FrameId;
use portolan::model::time::Timestamp;

fuzz_target!(|data: &[u8]| {
    let Some((header, mut records)) = data.split_first_chunk::<24>() else { return };
    let link = LinkType(u16::from_le_bytes([header[20], header[21]]));
    let mut decoder = Decoder::new();
    let mut number = 0;
    while let Some((record, rest)) = records.split_first_chunk::<16>() {
        let field = |at: usize| u32::from_le_bytes([record[at], record[at + 1], record[at + 2], record[at + 3]]);
        let (bytes, following) = rest.split_at((field(8) as usize).min(rest.len()));
        records = following;
        number += 1;
        let frame = Frame {
            id: FrameId::new(0, number),
            ts: Timestamp(u64::from(field(0)) * 1_000_000_000),
            at: 0,
            captured: bytes.len() as u32,
            wire_len: field(12).max(bytes.len() as u32),
            link,
        };
        if let Decoded::Packet(packet) = decoder.decode(&frame, bytes) {
            assert!((packet.payload_at + packet.payload_captured) as usize <= bytes.len());
            assert!(packet.payload_captured <= packet.payload_len);
        }
    }
});
