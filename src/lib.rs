//! portolan: what a capture says about Active Directory, Exchange and Windows services, per host pair.

pub mod capture;
pub mod catalogue;
pub mod cli;
pub mod decode;
pub mod model;
