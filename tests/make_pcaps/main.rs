//! Makes the captures under `pcaps/` and proves that the committed ones are what it makes.
//!
//! `cargo test --test make_pcaps` compares; `UPDATE=1 cargo test --test make_pcaps` writes what differs.
//! The vocabulary in `craft` serves other test programs too; the folders of captures are one module each.
#![expect(clippy::unwrap_used, reason = "a test may stop here")]

mod ad;
mod blocked;
mod blocked_scenes;
mod capture;
mod craft;
mod format;
mod hostile;
mod hostile_files;
mod hostile_packets;
mod lab;
mod link;
mod page;
mod scan;
mod shelf;
mod unexpected;

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::io::Read;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

use crate::craft::flood::flood;
use crate::craft::flood::repeat;
use crate::craft::flood::workstation;
use crate::craft::host::CLIENT;
use crate::craft::host::DC1;
use crate::craft::scene::Scene;
use crate::craft::tcp::connect;
use crate::lab::RECORDINGS;
use crate::shelf::Capture;
use crate::shelf::Folder;
use crate::shelf::Make;
use crate::shelf::Packer;

const FOLDERS: &[Folder] = &[
    ad::FOLDER,
    blocked::FOLDER,
    unexpected::FOLDER,
    capture::FOLDER,
    scan::FOLDER,
    link::FOLDER,
    format::FOLDER,
    hostile::FOLDER,
];
/// What all captures of the repository may weigh together, recordings included, bytes.
const SIZE_MAX: u64 = 3 * 1024 * 1024;

#[test]
fn the_committed_captures_are_what_the_generator_makes() {
    let update = env::var_os("UPDATE").is_some();
    let mut differing = Vec::new();
    for folder in FOLDERS {
        for capture in folder.captures {
            let path = root().join(folder.name).join(capture.file);
            let content = capture.content();
            if unpacked(capture, &path).is_some_and(|committed| committed == content) {
                continue;
            }
            if update {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(&path, packed(capture, content)).unwrap();
            } else {
                differing.push(format!("{}/{}", folder.name, capture.file));
            }
        }
    }
    let page = root().join("README.md");
    let text = page::text(FOLDERS);
    if fs::read_to_string(&page).ok().as_ref() != Some(&text) {
        if update {
            fs::write(&page, text).unwrap();
        } else {
            differing.push("README.md".to_owned());
        }
    }
    assert!(differing.is_empty(), "UPDATE=1 would rewrite: {differing:#?}");
}

#[test]
fn no_file_is_without_a_row_and_all_are_small() {
    let page = page::text(FOLDERS);
    let mut files = BTreeSet::new();
    list(&root(), &mut files);
    let mut bytes = 0;
    for file in &files {
        bytes += fs::metadata(file).unwrap().len();
        let name = file.strip_prefix(root()).unwrap().to_str().unwrap();
        assert!(name == "README.md" || page.contains(&format!("`{name}`")), "{name} has no row in the page");
    }
    assert!(bytes <= SIZE_MAX, "the captures weigh {bytes} bytes together");
}

#[test]
fn every_recording_is_there_with_its_truth() {
    for recording in RECORDINGS {
        for file in [recording.file, recording.truth] {
            assert!(root().join("lab").join(file).is_file(), "lab/{file} is listed and not there");
        }
    }
}

#[test]
fn names_are_unique_and_every_row_says_something() {
    let mut seen = BTreeSet::new();
    for folder in FOLDERS {
        for capture in folder.captures {
            assert!(seen.insert((folder.name, capture.file)), "{} twice in {}", capture.file, folder.name);
            for words in [capture.shows, capture.answer] {
                assert!(!words.is_empty() && !words.contains('|'), "{}: {words:?}", capture.file);
            }
        }
    }
}

#[test]
fn a_flood_is_as_long_as_asked_and_no_two_of_its_syns_are_alike() {
    const RECORD: usize = 16 + 60;
    let mut file = Vec::new();
    flood(&mut file, 140_000, 1000).unwrap();
    assert_eq!(file.len(), 24 + 140_000 * RECORD);
    // Source address, then source port, behind record, Ethernet and most of the IP header.
    let sources: BTreeSet<&[u8]> = file[24..].chunks(RECORD).map(|record| &record[16 + 26..16 + 36]).collect();
    assert_eq!(sources.len(), 140_000);
}

#[test]
fn a_long_repetition_outlives_the_ports_and_each_client_is_another() {
    const COUNT: u32 = 20_000;
    let mut file = Vec::new();
    let play = |scene: &mut Scene, nth| connect(scene, &workstation(nth, &CLIENT), &DC1, 389, &[]);
    repeat(&mut file, COUNT, play).unwrap();
    let mut clients = BTreeSet::new();
    let mut records = &file[24..];
    while let [_, _, _, _, _, _, _, _, len, 0, 0, 0, _, _, _, _, rest @ ..] = records {
        let (frame, next) = rest.split_at(usize::from(*len));
        clients.insert(frame[26..30].to_vec());
        records = next;
    }
    assert!(records.is_empty(), "the file does not end with a whole record");
    assert_eq!(clients.len(), COUNT as usize + 1, "every client, and the controller");
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("pcaps")
}

fn list(folder: &Path, files: &mut BTreeSet<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            list(&path, files);
        } else {
            files.insert(path);
        }
    }
}

/// The content of a committed file, if it is there and whole.
fn unpacked(capture: &Capture, path: &Path) -> Option<Vec<u8>> {
    let file = fs::read(path).ok()?;
    let Make::Packed(packer, _) = capture.make else { return Some(file) };
    let mut content = Vec::new();
    match packer {
        Packer::Gzip => flate2::read::MultiGzDecoder::new(&file[..]).read_to_end(&mut content).ok()?,
        Packer::Zstd => zstd::Decoder::new(&file[..]).ok()?.read_to_end(&mut content).ok()?,
        Packer::Lz4 => lz4_flex::frame::FrameDecoder::new(&file[..]).read_to_end(&mut content).ok()?,
        Packer::Xz => liblzma::read::XzDecoder::new_multi_decoder(&file[..]).read_to_end(&mut content).ok()?,
    };
    Some(content)
}

fn packed(capture: &Capture, content: Vec<u8>) -> Vec<u8> {
    let Make::Packed(packer, _) = capture.make else { return content };
    match packer {
        Packer::Gzip => {
            let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
            writer.write_all(&content).unwrap();
            writer.finish().unwrap()
        }
        Packer::Zstd => zstd::encode_all(&content[..], 19).unwrap(),
        Packer::Lz4 => {
            let mut writer = lz4_flex::frame::FrameEncoder::new(Vec::new());
            writer.write_all(&content).unwrap();
            writer.finish().unwrap()
        }
        Packer::Xz => {
            let mut writer = liblzma::write::XzEncoder::new(Vec::new(), 6);
            writer.write_all(&content).unwrap();
            writer.finish().unwrap()
        }
    }
}
