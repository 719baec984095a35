//! The catalogue: an input of even length is laid over the built-in rules as a rule file, one of odd length is the site
//! file. Each run reads all built-in rules too, which makes this the slowest target.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portolan::catalogue::LoadOptions;
use portolan::catalogue::load;
use portolan_fuzz::file;

fuzz_target!(|data: &[u8]| {
    let path = file("input.toml", data);
    let overlays = [path.clone()];
    let options = if data.len() % 2 == 0 {
        LoadOptions { overlays: &overlays, ..LoadOptions::default() }
    } else {
        LoadOptions { site: Some(&path), ..LoadOptions::default() }
    };
    let faults = match load(&options) {
        Ok(catalogue) => catalogue.warnings().render(false),
        Err(faults) => faults.render(false),
    };
    // What is wrong is told in text, without control characters of the input.
    assert!(faults.chars().all(|c| c == '\n' || !c.is_control()), "{faults:?}");
});
