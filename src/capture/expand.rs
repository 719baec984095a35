//! Turns what was named on the command line into a list of inputs: a folder becomes the captures in it.
//!
//! It must never read more of a file than its first bytes.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use crate::capture::error::CaptureError;
use crate::capture::sniff;
use crate::capture::stream;
use crate::capture::stream::Stream;

/// A frame's name has sixteen bits for its input.
const INPUTS_MAX: usize = 1 << 16;

/// How the names of captures end, before what tells of compression.
const CAPTURES: [&str; 3] = [".pcap", ".pcapng", ".cap"];
const COMPRESSED: [&str; 4] = [".gz", ".zst", ".lz4", ".xz"];

/// What the names of files begin with that this program has not finished writing.
pub(crate) const UNFINISHED: &str = ".portolan-";

/// The inputs in the order of the command line; within a folder by name, folders where their name puts them.
///
/// # Errors
/// A folder that cannot be listed or holds no capture, no input at all, too many, or standard input twice.
pub(super) fn expand(given: &[PathBuf]) -> Result<Vec<PathBuf>, CaptureError> {
    let mut inputs = Vec::new();
    for path in given {
        if !stream::is_stdin(path) && path.is_dir() {
            let before = inputs.len();
            let mut files = 0;
            folder(path, &mut inputs, &mut files)?;
            if inputs.len() == before {
                return Err(CaptureError::EmptyFolder { path: printable(path), files });
            }
        } else {
            inputs.push(path.clone());
        }
    }
    if inputs.is_empty() {
        return Err(CaptureError::NoInput);
    }
    if inputs.len() > INPUTS_MAX {
        return Err(CaptureError::TooManyInputs { count: inputs.len() });
    }
    if inputs.iter().filter(|path| stream::is_stdin(path)).count() > 1 {
        return Err(CaptureError::StdinTwice);
    }
    Ok(inputs)
}

/// A path for people: what is not UTF-8 is spelt out.
pub(super) fn printable(path: &Path) -> String {
    let mut text = String::new();
    for chunk in path.as_os_str().as_encoded_bytes().utf8_chunks() {
        text += chunk.valid();
        text += &chunk.invalid().escape_ascii().to_string();
    }
    text
}

/// Adds the captures of a folder and of those below it. Links to folders are not followed: they may lead in a circle.
fn folder(path: &Path, inputs: &mut Vec<PathBuf>, files: &mut usize) -> Result<(), CaptureError> {
    let failed = |source| CaptureError::Folder { path: printable(path), source };
    let mut names: Vec<(OsString, bool)> = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        names.push((entry.file_name(), entry.file_type().map_err(failed)?.is_dir()));
    }
    names.sort();
    for (name, is_folder) in
        names.into_iter().filter(|(name, _)| !name.as_encoded_bytes().starts_with(UNFINISHED.as_bytes()))
    {
        let path = path.join(name);
        if is_folder {
            folder(&path, inputs, files)?;
        } else if path.is_file() {
            *files += 1;
            if looks_like_capture(&path) || is_named_as_one(&path) {
                inputs.push(path);
            }
        }
    }
    Ok(())
}

/// Whether a file is called a capture. If it is none, empty or damaged, leaving it out silently would hide that.
fn is_named_as_one(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    // What a Mac writes beside a file on other systems is called like it.
    if name.starts_with("._") {
        return false;
    }
    let plain = COMPRESSED.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name);
    CAPTURES.iter().any(|end| plain.ends_with(end))
}

/// A file that cannot be read counts as one: leaving it out silently would hide it, opening it tells why.
fn looks_like_capture(path: &Path) -> bool {
    let Ok(mut stream) = Stream::open(path, false) else { return true };
    let mut first = [0; 4];
    let mut have = 0;
    while let Some(rest) = first.get_mut(have..).filter(|rest| !rest.is_empty()) {
        match stream.read(rest) {
            Ok(0) | Err(_) => break,
            Ok(count) => have += count,
        }
    }
    sniff::is_capture(&first)
}
