//! The person: words in, exit code out.

pub mod rules;
