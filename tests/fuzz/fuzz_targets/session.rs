//! A conversation of DCE/RPC, as the program follows it: pieces of both ends in any order, gaps, datagrams; and what both
//! ends say heard for names. Each piece has a head of three bytes: whose and what, then its length.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portolan::learn::knowledge::Knowledge;
use portolan::learn::listen::Heard;
use portolan::learn::listen::listen;
use portolan::learn::listen::tells;
use portolan::learn::rpc::JOINED_MAX;
use portolan::learn::rpc::RpcSession;
use portolan::model::addr::Addr;
use portolan::model::addr::FlowKey;
use portolan::model::app::AppProto;
use portolan::model::app::Speaker;
use portolan::model::ids::FrameId;
use portolan::model::time::Timestamp;
use portolan::model::transport::Transport;

/// The longest PDU of each end, and the joined calls; room grows by doubling.
const HELD_MAX: usize = 2 * (2 * (64 << 10) + JOINED_MAX);

fuzz_target!(|data: &[u8]| {
    let knowledge = Knowledge::new();
    let (server, client) = (Addr::v4([10, 0, 0, 10]), Addr::v4([10, 0, 0, 50]));
    let (key, asks) = FlowKey::of(client, 50_000, server, 135, Transport::Tcp);
    let mut session = RpcSession::new(key, FrameId::new(0, 1));
    let (mut rest, mut number) = (data, 0);
    while let Some(([what, high, low], following)) = rest.split_first_chunk::<3>() {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let (piece, following) = following.split_at(length.min(following.len()));
        rest = following;
        number += 1;
        let (ts, frame) = (Timestamp(number * 1_000_000), FrameId::new(0, number));
        let side = if what & 1 == 0 { asks } else { asks.other() };
        match what >> 1 & 3 {
            0 => session.stream(side, piece, ts, frame, &knowledge),
            1 => session.gap(side),
            2 => session.datagram(side, piece, ts, frame, &knowledge),
            _ => {
                let transport = if what >> 3 & 1 == 0 { Transport::Tcp } else { Transport::Udp };
                let (sender, receiver) = (key.end(side), key.end(side.other()));
                let speaker = if what & 1 == 0 { Speaker::Client } else { Speaker::Server };
                for proto in AppProto::ALL.into_iter().filter(|proto| tells(*proto)) {
                    listen(&Heard { proto, transport, speaker, sender, receiver, bytes: piece, ts, frame }, &knowledge);
                }
            }
        }
        assert!(session.held() <= HELD_MAX, "{} bytes are held", session.held());
    }
    // What was learned can be read, and names of hosts are text.
    let endpoints = knowledge.endpoints();
    assert!(endpoints.ports().all(|(_, _, port, known)| port != 0 && !known.is_empty()));
    assert!(knowledge.names().all().iter().all(|(_, names)| names.iter().all(|name| !name.text.is_empty())));
});
