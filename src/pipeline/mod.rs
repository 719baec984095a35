//! THE MACHINE: frames in, flows out, on as many threads as asked.
//!
//! One thread reads and decodes; each worker owns the tables of its shards and shares nothing but
//! [`Knowledge`](crate::learn::knowledge::Knowledge). This room must never know rules, verdicts, formats or the
//! terminal.

pub mod ears;
pub mod evidence;
#[cfg(all(target_os = "linux", feature = "live"))]
pub mod live;
pub mod observe;
pub mod run;
mod shard;
pub mod trace;
mod worker;
