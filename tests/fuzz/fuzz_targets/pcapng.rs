//! The reader of pcapng files: inputs that do not begin with a section are given its type and a byte order.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portolan_fuzz::read_capture;

const SECTION: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
const ORDERS: [[u8; 4]; 2] = [[0x4d, 0x3c, 0x2b, 0x1a], [0x1a, 0x2b, 0x3c, 0x4d]];

fuzz_target!(|data: &[u8]| {
    let mut bytes = data.to_vec();
    let Some((head, _)) = bytes.split_first_chunk_mut::<12>() else { return };
    let [k0, k1, k2, k3, _, _, _, _, o0, o1, o2, o3] = *head;
    if [k0, k1, k2, k3] != SECTION || !ORDERS.contains(&[o0, o1, o2, o3]) {
        head[..4].copy_from_slice(&SECTION);
        head[8..].copy_from_slice(&ORDERS[usize::from(o0) % ORDERS.len()]);
    }
    read_capture("input.pcapng", &bytes);
});
