//! WHAT ONE FLOW TELLS ABOUT ANOTHER: which servers answer where, shared by all workers.
//!
//! This room must never know policy, nor whether something is allowed.

pub mod knowledge;
pub mod listen;
pub mod names;
