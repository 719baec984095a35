//! Embeds `rules/`: writes a list of (path, text) which the library includes, so that a new rule file needs no Rust.

use std::env;
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

/// A sample for people, no rule.
const NOT_A_RULE: &str = "site.sample.toml";

fn main() -> Result<(), Box<dyn Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?);
    let mut files = Vec::new();
    collect(&root.join("rules"), &mut files)?;
    files.sort();
    let mut list = String::from("&[\n");
    for file in &files {
        let name = file.strip_prefix(&root)?.to_string_lossy().replace('\\', "/");
        // Not where this checkout lies now: it may move, and what was built of it before with it.
        let place = format!("/{name}");
        writeln!(list, "    ({name:?}, include_str!(concat!(env!(\"CARGO_MANIFEST_DIR\"), {place:?}))),")?;
    }
    list.push_str("]\n");
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("embedded_rules.rs"), list)?;
    println!("cargo::rerun-if-changed=src/build.rs");
    println!("cargo::rerun-if-changed=rules");
    Ok(())
}

/// Every `.toml` below `folder`. A folder that is not there holds none.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|end| end == "toml") && path.file_name().is_some_and(|n| n != NOT_A_RULE)
        {
            files.push(path);
        }
    }
    Ok(())
}
