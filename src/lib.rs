//! portolan: what a capture says about Active Directory, Exchange and Windows services, per host pair.

pub mod capture;
pub mod catalogue;
pub mod classify;
pub mod cli;
pub mod decode;
pub mod flow;
pub mod learn;
pub mod model;
pub mod pipeline;
pub mod report;
