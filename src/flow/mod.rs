//! WHO TALKED, AND HOW IT ENDED: packets become [`record::Flow`]s, in a bounded [`table::Table`].
//!
//! This room must never know services, roles or verdicts, nor that there are other tables or threads.

pub mod duplicate;
pub mod fold;
pub mod history;
pub mod icmp;
pub mod limits;
pub mod record;
pub mod speech;
pub mod state;
pub mod stream;
pub mod table;
mod tcp;
