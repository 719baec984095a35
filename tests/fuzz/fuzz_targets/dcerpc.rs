//! DCE/RPC alone, deeper than among all recognisers: an input is read whole and from each of its first places.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portolan::model::app::AppProto;
use portolan::proto::RECOGNISERS;

fuzz_target!(|data: &[u8]| {
    for row in RECOGNISERS.iter().filter(|row| row.proto == AppProto::DceRpc) {
        for transport in row.over {
            for from in 0..data.len().min(32) {
                let _ = (row.recognise)(*transport, &data[from..]);
            }
        }
    }
});
