//! What one SMB connection showed: which RPC interfaces were bound on which of its named pipes.
//!
//! This file must never know whether an interface is allowed, nor where bytes come from.

use std::collections::BTreeMap;

use crate::learn::rpc_flow::Moment;
use crate::learn::rpc_flow::RpcFlow;
use crate::model::addr::Side;

/// Names of pipes kept for one flow; what comes after is counted.
pub const PIPES_KEPT_MAX: usize = 64;

/// What one flow showed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PipeFlow {
    /// The end that asks.
    pub client: Option<Side>,
    /// What the RPC conversations in its pipes showed, all of one name together. Of pipes opened before the capture began
    /// the name is not known, and empty.
    pub pipes: BTreeMap<String, RpcFlow>,
    /// The first encrypted or compressed message: what pipes it is about is not known.
    pub sealed: Option<Moment>,
}
