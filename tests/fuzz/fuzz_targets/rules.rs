//! The catalogue: an input of even length is a rule file laid over a small one, one of odd length is the site file. The
//! embedded rules are left out, for reading all of them again costs a thousand times what an input costs.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portolan::catalogue::load_texts;

/// Names for an input to use and to replace.
const BASE: &[u8] = include_bytes!("rules_base.toml");

fuzz_target!(init: assert!(load_texts(&[BASE], None, &[]).is_ok(), "the base is sound"), |data: &[u8]| {
    let loaded =
        if data.len() % 2 == 0 { load_texts(&[BASE, data], None, &[]) } else { load_texts(&[BASE], Some(data), &[]) };
    let faults = match loaded {
        Ok(catalogue) => catalogue.warnings().render(false),
        Err(faults) => faults.render(false),
    };
    // What is wrong is told in text, without control characters of the input.
    assert!(faults.chars().all(|c| c == '\n' || !c.is_control()), "{faults:?}");
});
