//! The catalogue: the input is laid over the built-in rules as a rule file, then given as the site file.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portolan::catalogue::LoadOptions;
use portolan::catalogue::load;
use portolan_fuzz::file;

fuzz_target!(|data: &[u8]| {
    let path = file("input.toml", data);
    let overlays = [path.clone()];
    let rules = LoadOptions { overlays: &overlays, ..LoadOptions::default() };
    let site = LoadOptions { site: Some(&path), ..LoadOptions::default() };
    for options in [rules, site] {
        let faults = match load(&options) {
            Ok(catalogue) => catalogue.warnings().render(false),
            Err(faults) => faults.render(false),
        };
        // What is wrong is told in text, without control characters of the input.
        assert!(faults.chars().all(|c| c == '\n' || !c.is_control()), "{faults:?}");
    }
});
