//! No capture makes the program panic, hang, or take memory without bound; whatever it prints as a report is JSON.
//!
//! Every capture is also cut at places that a fixed generator chooses, and has bytes changed. By default a fixed sample of
//! the public captures runs; `PORTOLAN_SURVIVE=full` runs every capture with twenty cuts and four changed copies each.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test may stop, and says what it ran")]

mod common;

use common::PROGRAM;
use common::Run;
use common::files_below;
use common::finish;
use common::root;
use common::shared;
use std::collections::BTreeMap;
use std::fs;
use std::fs::File;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::thread;

/// A run that takes longer hangs.
const TIMEOUT_S: u32 = 20;

/// Address space for one run; what is resident is always less.
const ADDRESS_SPACE_KIB: u32 = 1_200_000;

/// Runs at the same time.
const AT_ONCE: usize = 2;

/// What is done to a capture before it is fed to the program.
#[derive(Clone, Copy)]
enum Damage {
    /// Nothing: the file is named as it is.
    None,
    /// Only so many bytes, through standard input.
    Cut(usize),
    /// About one byte in fifty is another one, chosen from this seed, through standard input.
    Changed(u64),
}

/// A capture and what is done to it.
struct Input {
    path: PathBuf,
    damage: Damage,
    /// Whether the capture is known to be readable as it is.
    readable: bool,
}

#[test]
fn the_projects_own_captures_and_their_cuts() {
    let own: Vec<_> = files_below(&root().join("pcaps")).into_iter().filter(|path| is_capture(path)).collect();
    let mut inputs = Vec::new();
    for path in own {
        let hostile = path.components().any(|part| part.as_os_str() == "hostile");
        inputs.extend(if hostile { damaged(&path, 20, 4, false) } else { damaged(&path, 2, 1, false) });
    }
    assert!(!inputs.is_empty(), "pcaps/ holds no capture");
    survive(&inputs);
}

#[test]
fn public_captures_and_their_cuts() {
    let Some(folder) = shared("captures") else { return };
    let full = std::env::var("PORTOLAN_SURVIVE").is_ok_and(|value| value == "full");
    let readable = readable(&folder);
    let bad: Vec<_> = lines_of(&folder.join("bad_inputs.tsv")).into_iter().map(|row| row[0].clone()).collect();
    assert!(bad.len() > 200 && readable.len() > 1000, "a list was not read");
    let mut inputs = Vec::new();
    for (place, path) in files_below(&folder.join("public")).iter().enumerate() {
        let name = path.strip_prefix(&folder).unwrap().to_str().unwrap().to_owned();
        let chosen = full || place % 6 == 0 || bad.contains(&name);
        if chosen {
            let readable = readable.contains(&name);
            inputs.extend(if full { damaged(path, 20, 4, readable) } else { damaged(path, 2, 1, readable) });
        }
    }
    survive(&inputs);
}

/// Captures that tshark reads to the end and that hold frames.
fn readable(folder: &Path) -> Vec<String> {
    let bad: Vec<_> = lines_of(&folder.join("bad_inputs.tsv"))
        .into_iter()
        .filter(|row| row[4] != "ok")
        .map(|row| row[0].clone())
        .collect();
    lines_of(&folder.join("index.tsv"))
        .into_iter()
        .filter(|row| row[2].starts_with("pcap") && row[4].parse::<u64>().is_ok_and(|packets| packets > 0))
        .map(|row| row[0].clone())
        .filter(|name| !bad.contains(name))
        .collect()
}

/// The rows of a tab-separated file without its head.
fn lines_of(path: &Path) -> Vec<Vec<String>> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().skip(1).map(|line| line.split('\t').map(str::to_owned).collect()).collect()
}

fn is_capture(path: &Path) -> bool {
    let name = path.file_name().unwrap().to_str().unwrap();
    [".pcap", ".pcapng", ".cap", ".gz", ".zst", ".lz4", ".xz", ".bin"].iter().any(|end| name.ends_with(end))
}

/// A capture as it is, cut, and changed, at places that depend on its name only.
fn damaged(path: &Path, cuts: usize, changes: usize, readable: bool) -> Vec<Input> {
    let length = fs::metadata(path).unwrap().len();
    let name = path.file_name().unwrap().to_str().unwrap();
    let mut state = name.bytes().fold(FNV_OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME));
    let mut damages = vec![Damage::None];
    damages.extend((0..cuts).map(|_| Damage::Cut(usize::try_from(next(&mut state) % length.max(1)).unwrap())));
    damages.extend((0..changes).map(|_| Damage::Changed(next(&mut state))));
    let input = |damage| Input { path: path.to_owned(), readable: readable && matches!(damage, Damage::None), damage };
    damages.into_iter().map(input).collect()
}

/// The constants of FNV-1a with 64 bits.
const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;

/// The next number of splitmix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014).
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// What the program is fed, where it is not the file itself.
fn bytes_of(input: &Input) -> Option<Vec<u8>> {
    let mut bytes = fs::read(&input.path).unwrap();
    match input.damage {
        Damage::None => return None,
        Damage::Cut(length) => bytes.truncate(length),
        Damage::Changed(mut state) => {
            for byte in &mut bytes {
                let [changes, to, ..] = next(&mut state).to_le_bytes();
                if changes < 5 {
                    *byte = to;
                }
            }
        }
    }
    Some(bytes)
}

/// Runs the program on every input, a few at once, and collects every fault.
fn survive(inputs: &[Input]) {
    let place = AtomicUsize::new(0);
    let codes: Mutex<BTreeMap<Option<i32>, u32>> = Mutex::new(BTreeMap::new());
    let faults: Mutex<Vec<String>> = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                let folder = tempfile::tempdir().unwrap();
                while let Some(input) = inputs.get(place.fetch_add(1, Ordering::Relaxed)) {
                    let ran = run(input, folder.path());
                    *codes.lock().unwrap().entry(ran.code).or_default() += 1;
                    if let Some(fault) = fault(input, &ran) {
                        faults.lock().unwrap().push(format!(
                            "{} {}: {fault}",
                            input.path.display(),
                            name_of(input.damage)
                        ));
                    }
                }
            });
        }
    });
    println!("{} runs, exit codes {:?}", inputs.len(), codes.lock().unwrap());
    let mut faults = faults.into_inner().unwrap();
    faults.sort();
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

fn name_of(damage: Damage) -> String {
    match damage {
        Damage::None => "as it is".to_owned(),
        Damage::Cut(length) => format!("cut at {length}"),
        Damage::Changed(seed) => format!("changed from seed {seed}"),
    }
}

/// One run under a time and a memory limit. What is damaged comes through standard input.
fn run(input: &Input, folder: &Path) -> Run {
    let limited = format!("ulimit -v {ADDRESS_SPACE_KIB}; exec timeout -s KILL {TIMEOUT_S} \"$0\" \"$@\"");
    let mut command = Command::new("sh");
    command.arg("-c").arg(limited).arg(PROGRAM).args(["analyze", "--format", "json"]);
    match bytes_of(input) {
        None => command.arg(&input.path).stdin(Stdio::null()),
        Some(bytes) => {
            let copy = folder.join("copy");
            fs::write(&copy, bytes).unwrap();
            command.arg("-").stdin(File::open(copy).unwrap())
        }
    };
    finish(&mut command)
}

/// What is wrong with a run, if anything is.
fn fault(input: &Input, ran: &Run) -> Option<String> {
    let stderr = ran.stderr.trim();
    if stderr.contains("panicked") || stderr.contains("overflow") && stderr.contains("stack") {
        return Some(format!("panic: {stderr}"));
    }
    match ran.code {
        Some(0 | 1 | 3) => {
            let parsed: Result<serde_json::Value, _> = serde_json::from_slice(&ran.stdout);
            parsed.err().map(|error| format!("exit {:?}, no JSON: {error}", ran.code))
        }
        Some(4) if input.readable => Some(format!("a readable capture was refused: {stderr}")),
        Some(4) if stderr.is_empty() => Some("exit 4 without a word".to_owned()),
        Some(4) => None,
        Some(137) => Some("hung, or killed".to_owned()),
        other => Some(format!("exit {other:?}: {stderr}")),
    }
}
