//! The reader of pcap files: inputs that do not begin with a magic number are given one.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portolan_fuzz::read_capture;

/// Both byte orders, nanoseconds, and the modified header.
const MAGICS: [[u8; 4]; 5] = [
    [0xd4, 0xc3, 0xb2, 0xa1],
    [0xa1, 0xb2, 0xc3, 0xd4],
    [0x4d, 0x3c, 0xb2, 0xa1],
    [0x34, 0xcd, 0xb2, 0xa1],
    [0xa1, 0xb2, 0xcd, 0x34],
];

fuzz_target!(|data: &[u8]| {
    let mut bytes = data.to_vec();
    let Some(magic) = bytes.first_chunk_mut::<4>() else { return };
    if !MAGICS.contains(magic) {
        *magic = MAGICS[usize::from(magic[0]) % MAGICS.len()];
    }
    read_capture("input.pcap", &bytes);
});
