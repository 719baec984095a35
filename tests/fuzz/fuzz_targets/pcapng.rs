//! The reader of pcapng files: inputs that do not begin with a section are given its type and a byte order.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portolan_fuzz::read_capture;

const SECTION: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
const ORDERS: [[u8; 4]; 2] = [[0x4d, 0x3c, 0x2b, 0x1a], [0x1a, 0x2b, 0x3c, 0x4d]];

fuzz_target!(|data: &[u8]| {
    let mut bytes = data.to_vec();
    let Some((head, _)) = bytes.split_first_chunk_mut::<12>() else { return };
    let (kind, order) = (&mut [0; 4], [head[8], head[9], head[10], head[11]]);
    kind.copy_from_slice(&head[..4]);
    if *kind != SECTION || !ORDERS.contains(&order) {
        head[..4].copy_from_slice(&SECTION);
        head[8..].copy_from_slice(&ORDERS[usize::from(head[8]) % ORDERS.len()]);
    }
    read_capture("input.pcapng", &bytes);
});
