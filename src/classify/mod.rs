//! THE JUDGEMENT: a flow, the catalogue and what other flows told become a verdict, a standing and a finding.
//!
//! Pure and deterministic. This room must never know threads, files, the time of day, or how it will be printed.

mod baseline;
mod collapse;
mod companions;
mod context;
mod direction;
pub mod hosts;
pub mod judge;
pub mod judged;
mod left_out;
mod outcome;
mod payload;
mod pending;
mod ports;
mod roles;
mod ruling;
mod seen;
mod standing;
pub mod thresholds;
pub mod vantage;
pub mod verdict;
mod watched;
mod ways;
