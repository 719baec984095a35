//! WHAT ONE FLOW TELLS ABOUT ANOTHER: which servers answer where, shared by all workers.
//!
//! This room must never know policy, nor whether something is allowed.

pub mod endpoints;
pub mod grade;
pub mod knowledge;
pub mod listen;
pub mod names;
pub mod pipe_flow;
pub mod rpc;
pub mod rpc_flow;
pub mod session;
pub mod smb;

mod calls;
mod framing;
mod smb_framing;
mod supersede;
