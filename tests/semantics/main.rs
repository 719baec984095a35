//! The tables of the judgement, row by row: each row has a test, and a twin that looks nearly the same and must not
//! give the same verdict. Names begin with the row: T = TCP, U = UDP, I = ICMP echo.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may stop here")]

mod codes;
mod collapse;
#[path = "../make_pcaps/craft/mod.rs"]
mod craft;
mod false_alarms;
mod filtered;
mod gate;
mod guards;
mod interfaces;
mod payload;
mod running;
#[path = "../samples/mod.rs"]
mod samples;
mod script;
mod spoken;
mod standing;
mod table;
mod tcp_open;
mod tcp_refusal;
mod tcp_silence;
mod tcp_stall;
mod udp;
