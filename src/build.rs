//! Embeds `rules/`.
fn main() {}
