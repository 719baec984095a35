//! The nouns every room shares: small values, `Copy` or nearly so.
//!
//! This room knows nothing of files, packets, rules or the clock.

pub mod addr;
pub mod app;
pub mod ids;
pub mod time;
pub mod transport;
pub mod uuid;
