//! What the targets share: the program reads captures and rules from files only, so that inputs are written to one.

use portolan::capture::batch::FrameBatch;
use portolan::capture::source::Options;
use portolan::capture::source::Source;
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

thread_local! {
    static FOLDER: TempDir = tempfile::tempdir().expect("a folder for inputs");
}

/// Writes an input to a file of this name. The next one of that name replaces it.
pub fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = FOLDER.with(|folder| folder.path().join(name));
    fs::write(&path, bytes).expect("a file for inputs");
    path
}

/// Reads a capture to its end and checks what a reader promises of its frames.
pub fn read_capture(name: &str, bytes: &[u8]) {
    let path = file(name, bytes);
    let mut source = Source::open(&[path], Options::default()).expect("a file opens");
    let mut batch = FrameBatch::default();
    let mut last = 0;
    while source.next_batch(&mut batch).expect("damage is no error") {
        for frame in &batch.frames {
            assert_eq!(batch.bytes(frame).len(), frame.captured as usize);
            assert!(frame.id.number() > last, "frames are numbered upwards");
            last = frame.id.number();
        }
    }
    // A record has a header; no input is so small that its frames outgrow it.
    assert!(last <= bytes.len() as u64);
}
