//! An SMB connection, as the program follows it: pieces of both ends in any order, gaps. Each piece has a head of three
//! bytes: whose and what, then its length; what is marked so is put into a packet of its own.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portolan::learn::knowledge::Knowledge;
use portolan::learn::pipe_flow::PIPES_KEPT_MAX;
use portolan::learn::rpc::JOINED_MAX;
use portolan::learn::rpc_flow::FlowId;
use portolan::learn::smb::PIPES_MAX;
use portolan::learn::smb::SmbSession;
use portolan::model::addr::Addr;
use portolan::model::addr::FlowKey;
use portolan::model::ids::FrameId;
use portolan::model::time::Timestamp;
use portolan::model::transport::Transport;
use portolan::proto::pipe;

/// In each pipe the longest PDU of each end and the joined calls, where room grows by doubling; and what is small.
const HELD_MAX: usize = PIPES_MAX * 2 * (2 * (64 << 10) + JOINED_MAX) + (64 << 10);

fuzz_target!(|data: &[u8]| {
    let knowledge = Knowledge::new();
    let (server, client) = (Addr::v4([10, 0, 0, 10]), Addr::v4([10, 0, 0, 50]));
    let (key, asks) = FlowKey::of(client, 50_000, server, 445, Transport::Tcp);
    let id = FlowId { key, first_frame: FrameId::new(0, 1) };
    let mut session = SmbSession::new(id);
    let (mut rest, mut number) = (data, 0);
    while let Some(([what, high, low], following)) = rest.split_first_chunk::<3>() {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let (piece, following) = following.split_at(length.min(following.len()));
        rest = following;
        number += 1;
        let (ts, frame) = (Timestamp(number * 1_000_000), FrameId::new(0, number));
        let side = if what & 1 == 0 { asks } else { asks.other() };
        if let Ok(command) = pipe::command(piece, piece.len()) {
            let data = command.data.map_or(0, |span| span.at + span.len);
            assert!(command.length <= piece.len() && data <= command.length);
        }
        match what >> 1 & 3 {
            0 => session.stream(side, piece, ts, frame, &knowledge),
            1 => session.gap(side),
            _ => {
                let header = u32::try_from(piece.len()).unwrap_or_default().to_be_bytes();
                session.stream(side, &[&header, piece].concat(), ts, frame, &knowledge);
            }
        }
        assert!(session.held() <= HELD_MAX, "{} bytes are held", session.held());
    }
    // What was learned can be read.
    let endpoints = knowledge.endpoints();
    assert!(endpoints.ports().all(|(_, _, port, known)| port != 0 && !known.is_empty()));
    assert!(endpoints.pipe_flows().all(|(_, flow)| flow.pipes.len() <= PIPES_KEPT_MAX));
    assert_eq!(endpoints.flows().count(), 0, "a pipe is no flow");
});
