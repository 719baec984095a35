//! Reads every capture of the collection beside the repository and compares counts, times and lengths with what tshark says.
//! Without the collection each test says so and does nothing.
#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test may stop here, and says when it is skipped")]

use std::fs;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;

use portolan::capture::batch::FrameBatch;
use portolan::capture::facts::InputFacts;
use portolan::capture::source::Options;
use portolan::capture::source::Source;

/// What is compared of one frame: number, nanoseconds, length on the wire, captured length.
type Row = (u64, u64, u32, u32);

/// Files where tshark and this reader count differently by decision: end of the name, frames here, why.
const DIFFERENT: &[(&str, u64, &str)] = &[
    ("be/test017.pcapng", 0, CUSTOM),
    ("be/test018.pcapng", 4, CUSTOM),
    ("be/test102.pcapng", 5, CUSTOM),
    ("be/test202.pcapng", 8, CUSTOM),
    ("le/test017.pcapng", 0, CUSTOM),
    ("le/test018.pcapng", 4, CUSTOM),
    ("le/test102.pcapng", 5, CUSTOM),
    ("le/test202.pcapng", 8, CUSTOM),
    ("solaris.snoop", 0, "snoop is not read; the damage names it and editcap"),
    (
        "clusterfuzz-testcase-minimized-FuzzTarget-5766899836387328",
        1,
        "version 2.3 was written with both orders of lengths; taking the smaller as the captured one, as libpcap does, its frame is whole",
    ),
    (
        "crash-exception-cast-constructed-record",
        2,
        "tshark tries other record headers once the third record is nonsense, and loses the second, which is whole",
    ),
    ("filter/brcm-tag-stp.pcap", 4, UNKNOWN_LINK),
    ("filter/brcm-tag.pcap", 15, UNKNOWN_LINK),
    ("tests/vtp_asan.pcap", 5, UNKNOWN_LINK),
];

const CUSTOM: &str = "tshark shows custom blocks as records; they take numbers here too, but are no frames";
const UNKNOWN_LINK: &str = "tshark 4.0 refuses files of this link type; reading needs no knowledge of it";

fn collection() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/captures");
    if path.is_dir() {
        return Some(path);
    }
    eprintln!("skipped: there is no collection of captures at {}", path.display());
    None
}

fn read(path: &Path) -> (Vec<Row>, InputFacts) {
    let mut source = Source::open(&[path.to_owned()], Options::default()).unwrap();
    let mut batch = FrameBatch::default();
    let mut rows = Vec::new();
    while source.next_batch(&mut batch).unwrap() {
        for frame in &batch.frames {
            assert_eq!(batch.bytes(frame).len(), frame.captured as usize);
            rows.push((frame.id.number(), frame.ts.0, frame.wire_len, frame.captured));
        }
    }
    (rows, source.facts().first().unwrap().clone())
}

/// A table with a header line: its rows as functions from column name to cell.
fn table(text: &str) -> Vec<impl Fn(&str) -> String> {
    let mut lines = text.lines();
    let names: Vec<String> = lines.next().unwrap().split('\t').map(str::to_owned).collect();
    lines
        .map(|line| {
            let cells: Vec<String> = line.split('\t').map(str::to_owned).collect();
            let names = names.clone();
            move |name: &str| {
                let column = names.iter().position(|known| known == name).unwrap();
                cells.get(column).cloned().unwrap_or_default()
            }
        })
        .collect()
}

fn expected(file: &str, tshark: u64) -> u64 {
    DIFFERENT.iter().find(|(end, ..)| file.ends_with(end)).map_or(tshark, |(_, ours, _)| *ours)
}

#[test]
fn every_public_capture_has_as_many_frames_as_tshark_reads() {
    let Some(collection) = collection() else { return };
    let index = fs::read_to_string(collection.join("index.tsv")).unwrap();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for row in table(&index) {
        let file = row("file");
        let Ok(packets) = row("packets").parse::<u64>() else { continue };
        let (rows, facts) = read(&collection.join(&file));
        seen += 1;
        if rows.len() as u64 != expected(&file, packets) {
            wrong.push(format!("{file}: {} frames, tshark {packets}, {:?}", rows.len(), facts.damage));
        }
        assert_eq!(facts.frames, rows.len() as u64, "{file}");
    }
    assert!(seen > 2_000, "only {seen} captures were compared");
    assert!(wrong.is_empty(), "{} of {seen}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn time_and_lengths_of_every_frame_are_those_of_tshark() {
    let Some(collection) = collection() else { return };
    let mut wrong = Vec::new();
    let mut seen = 0;
    for entry in fs::read_dir(collection.join("truth")).unwrap() {
        let path = entry.unwrap().path();
        let Some(stem) = path.to_str().unwrap().strip_suffix(".packets.tsv.gz") else { continue };
        let about: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(format!("{stem}.json")).unwrap()).unwrap();
        let file = about["source"]["file"].as_str().unwrap();
        let mut text = String::new();
        flate2::read::MultiGzDecoder::new(fs::File::open(&path).unwrap()).read_to_string(&mut text).unwrap();
        let truth: Vec<Row> = table(&text)
            .iter()
            .map(|row| {
                let time = row("time");
                let (seconds, fraction) = time.split_once('.').unwrap();
                let ns = seconds.parse::<u64>().unwrap() * 1_000_000_000 + fraction.parse::<u64>().unwrap();
                (row("frame").parse().unwrap(), ns, row("len").parse().unwrap(), row("caplen").parse().unwrap())
            })
            .collect();
        let (rows, facts) = read(&collection.join(file));
        seen += 1;
        if DIFFERENT.iter().all(|(end, ..)| !file.ends_with(end)) && rows != truth {
            let at = rows.iter().zip(&truth).position(|(ours, theirs)| ours != theirs);
            let both = at.map(|at| (rows[at], truth[at]));
            wrong.push(format!(
                "{file}: {} frames, tshark {}, first difference {both:?}, {:?}",
                rows.len(),
                truth.len(),
                facts.damage
            ));
        }
    }
    assert!(seen > 100, "only {seen} captures were compared");
    assert!(wrong.is_empty(), "{} of {seen}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn crafted_captures_give_every_whole_frame_and_then_say_what_is_wrong() {
    let Some(collection) = collection() else { return };
    let list = fs::read_to_string(collection.join("bad_inputs.tsv")).unwrap();
    let mut wrong = Vec::new();
    let mut seen = 0;
    for row in table(&list) {
        let (file, verdict) = (row("file"), row("tshark"));
        let tshark = row("tshark_frames").parse::<u64>().unwrap();
        let (rows, facts) = read(&collection.join(&file));
        seen += 1;
        let different = DIFFERENT.iter().any(|(end, ..)| file.ends_with(end));
        if rows.len() as u64 != expected(&file, tshark) || (!different && facts.damage.is_some() != (verdict != "ok")) {
            wrong.push(format!("{file}: {} frames, tshark {tshark} ({verdict}), {:?}", rows.len(), facts.damage));
        }
    }
    assert!(seen > 250, "only {seen} captures were compared");
    assert!(wrong.is_empty(), "{} of {seen}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn crafted_captures_survive_being_cut_and_changed() {
    let Some(collection) = collection() else { return };
    let list = fs::read_to_string(collection.join("bad_inputs.tsv")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut mutants = 0;
    for row in table(&list) {
        let file = row("file");
        let bytes = fs::read(collection.join(&file)).unwrap();
        if bytes.len() > 100_000 {
            continue;
        }
        let (whole, _) = read(&collection.join(&file));
        let step = (bytes.len() / 24).max(7);
        for place in (0..bytes.len()).step_by(step) {
            // Writing over a file waits for the disk on some file systems, so each gets a new one.
            let path = folder.path().join(format!("{mutants}.cut"));
            fs::write(&path, &bytes[..place]).unwrap();
            let (cut, _) = read(&path);
            assert!(cut.len() <= whole.len() + 1, "{file} cut at {place}");
            let mut changed = bytes.clone();
            changed[place] = !changed[place];
            let path = folder.path().join(format!("{mutants}.changed"));
            fs::write(&path, &changed).unwrap();
            let (_, facts) = read(&path);
            assert!(facts.damage.is_none_or(|damage| damage.offset <= bytes.len() as u64), "{file} changed at {place}");
            mutants += 2;
        }
    }
    assert!(mutants > 5_000, "only {mutants} mutants were read");
}
