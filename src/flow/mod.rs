//! WHO TALKED, AND HOW IT ENDED: packets become [`record::Flow`]s, in a bounded [`table::Table`].
//!
//! This room must never know services, roles or verdicts, nor that there are other tables or threads.

mod arena;
pub mod duplicate;
mod entry;
pub mod fold;
pub mod history;
pub(crate) mod hole;
mod hosts;
pub mod icmp;
pub mod limits;
mod pages;
pub mod record;
mod slots;
pub mod speech;
pub mod state;
pub mod stream;
pub mod table;
pub(crate) mod tcp;
pub mod trace;
mod vast;
