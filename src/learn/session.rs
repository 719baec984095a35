//! A conversation that is followed as long as it lasts, because anything in it may teach.
//!
//! This file must never know what is learned.

use crate::learn::knowledge::Knowledge;
use crate::learn::rpc::RpcSession;
use crate::learn::rpc_flow::FlowId;
use crate::learn::smb::SmbSession;
use crate::model::addr::Side;
use crate::model::app::AppProto;
use crate::model::ids::FrameId;
use crate::model::time::Timestamp;

/// A conversation by its protocol.
#[derive(Debug)]
pub enum Session {
    /// RPC right above its transport.
    Rpc(Box<RpcSession>),
    /// SMB, for the RPC in its pipes.
    Smb(Box<SmbSession>),
}

impl Session {
    /// Whether conversations of a protocol are followed.
    pub fn follows(proto: AppProto) -> bool {
        matches!(proto, AppProto::DceRpc | AppProto::NcacnHttp | AppProto::Smb | AppProto::NetbiosSession)
    }

    /// A conversation of this protocol of which nothing was seen yet.
    pub fn new(proto: AppProto, id: FlowId) -> Self {
        match proto {
            AppProto::Smb | AppProto::NetbiosSession => Self::Smb(Box::new(SmbSession::new(id))),
            _ => Self::Rpc(Box::new(RpcSession::new(id.key, id.first_frame))),
        }
    }

    /// Asks for what any further bytes are looked at with.
    pub fn prefetch(&self) {
        match self {
            Self::Rpc(rpc) => rpc.prefetch(),
            Self::Smb(smb) => smb.prefetch(),
        }
    }

    /// How many bytes it holds.
    pub fn held(&self) -> usize {
        match self {
            Self::Rpc(rpc) => rpc.held(),
            Self::Smb(smb) => smb.held(),
        }
    }

    /// Whether following it is in vain.
    pub fn is_lost(&self) -> bool {
        match self {
            Self::Rpc(rpc) => rpc.is_lost(),
            Self::Smb(smb) => smb.is_lost(),
        }
    }

    /// The next bytes of one direction, each byte once and in order.
    pub fn stream(&mut self, from: Side, bytes: &[u8], ts: Timestamp, frame: FrameId, knowledge: &Knowledge) {
        match self {
            Self::Rpc(rpc) => rpc.stream(from, bytes, ts, frame, knowledge),
            Self::Smb(smb) => smb.stream(from, bytes, ts, frame, knowledge),
        }
    }

    /// Bytes of one direction were lost.
    pub fn gap(&mut self, from: Side) {
        match self {
            Self::Rpc(rpc) => rpc.gap(from),
            Self::Smb(smb) => smb.gap(from),
        }
    }

    /// A datagram of one end.
    pub fn datagram(&mut self, from: Side, bytes: &[u8], ts: Timestamp, frame: FrameId, knowledge: &Knowledge) {
        if let Self::Rpc(rpc) = self {
            rpc.datagram(from, bytes, ts, frame, knowledge);
        }
    }
}
