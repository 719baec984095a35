//! What names on the wire must not become: recordings whose host, domain and realm names were made for terminals, web
//! pages, spreadsheets and rule files. In every format of the program they are text and nothing else.
//!
//! The recordings are the shipped ones with their names overwritten by others of the same length, in ASCII and in UTF-16:
//! whatever carries a name carries these. How a browser takes the page is in `tests/html`.

#![expect(clippy::unwrap_used, reason = "a test may stop here")]

mod common;

use std::collections::BTreeMap;
use std::fs;

use common::files_below;
use common::root;
use common::run;

/// The names that the recordings have, each in the spelling of the wire.
const NAMES: [&str; 8] = ["example", "EXAMPLE", "lab", "LAB", "test", "TEST", "corp", "CORP"];

/// What is written over them, as long as needed: the rest is filled with `x`.
const WICKED: [&str; 6] = ["<i x>", "=1+1", "\x1b[m", "\u{202e}a", "a\r\n#", "@A1"];

/// These many characters, or bytes, of a wicked name.
fn fit(wicked: &str, len: usize, length: fn(&str) -> usize) -> String {
    let mut name = String::new();
    for char in wicked.chars().chain(std::iter::repeat('x')) {
        if length(&name) + length(&char.to_string()) > len {
            break;
        }
        name.push(char);
    }
    while length(&name) < len {
        name.push('x');
    }
    name
}

fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// A capture with every name overwritten; how many there were.
fn poison(capture: &[u8], wicked: &str) -> (Vec<u8>, usize) {
    let mut bytes = capture.to_vec();
    let mut found = 0;
    for name in NAMES {
        let narrow = fit(wicked, name.len(), str::len).into_bytes();
        let broad = wide(&fit(wicked, name.len(), |text| text.encode_utf16().count()));
        for (old, new) in [(name.as_bytes().to_vec(), narrow), (wide(name), broad)] {
            assert_eq!(old.len(), new.len());
            for at in 0..bytes.len().saturating_sub(old.len()) {
                if bytes[at..].starts_with(&old) {
                    bytes[at..at + old.len()].copy_from_slice(&new);
                    found += 1;
                }
            }
        }
    }
    (bytes, found)
}

/// Characters that steer a terminal, or turn text around (Unicode's bidirectional controls).
fn steers(char: char) -> bool {
    (char.is_control() && char != '\n')
        || matches!(char, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The cells of a CSV page (RFC 4180).
fn cells(page: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut quoted = false;
    for char in page.chars() {
        match char {
            '"' => quoted = !quoted,
            ',' | '\r' | '\n' if !quoted => cells.push(String::new()),
            other => cells.last_mut().unwrap().push(other),
        }
    }
    cells
}

/// What is wrong with a page, if anything.
fn fault(format: &str, page: &str) -> Option<String> {
    let page = if format == "csv" { page.replace("\r\n", "\n") } else { page.to_owned() };
    if let Some(bad) = page.chars().find(|char| steers(*char) && !(format.starts_with("zeek") && *char == '\t')) {
        return Some(format!("{bad:?} is in it"));
    }
    let formula = |cell: &String| cell.starts_with(['=', '+', '@', '\t']);
    match format {
        "csv" => cells(&page).into_iter().find(formula).map(|cell| format!("{cell:?} is a formula")),
        "md" | "html" => page.contains("<i x").then(|| "a tag is in it".to_owned()),
        _ => None,
    }
}

/// The formats that the program has, as it says itself.
fn formats() -> Vec<String> {
    let help = run(&["analyze", "--help"]).text();
    let after = help.split("--format <FORMAT>").nth(1).unwrap();
    let values = after.split("[possible values: ").nth(1).unwrap().split(']').next().unwrap();
    let all = values.split(',').map(|value| value.split_whitespace().collect::<String>());
    // Parquet holds the same texts in a form that no terminal or spreadsheet reads.
    all.filter(|format| !format.starts_with("parquet")).collect()
}

#[test]
fn names_from_the_wire_are_text_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let formats = formats();
    assert!(formats.len() >= 6, "{formats:?}");
    let mut captures: Vec<_> = files_below(&root().join("pcaps/ad"));
    captures.extend(["clean", "unexpected"].map(|name| root().join(format!("pcaps/lab/{name}.pcap"))));
    let mut overwritten = 0;
    // In how many pages a name was shown, in whatever harmless form.
    let mut shown: BTreeMap<String, usize> = BTreeMap::new();
    for (number, capture) in captures.iter().enumerate() {
        let bytes = fs::read(capture).unwrap();
        for (which, wicked) in WICKED.iter().enumerate() {
            // The large recordings get one name each.
            if bytes.len() > 20_000 && which != number % WICKED.len() {
                continue;
            }
            let (poisoned, found) = poison(&bytes, wicked);
            if found == 0 {
                continue;
            }
            overwritten += found;
            let path = folder.path().join("capture.pcap");
            fs::write(&path, poisoned).unwrap();
            for format in &formats {
                let ran = run(&["analyze", path.to_str().unwrap(), "--threads", "1", "--format", format]);
                assert_eq!(ran.code, Some(0), "{} {format}: {}", capture.display(), ran.stderr);
                let page = ran.text();
                assert_eq!(fault(format, &page), None, "{} as {format}, {wicked:?}", capture.display());
                let said = ran.stderr.chars().find(|char| steers(*char) && *char != '\r');
                assert_eq!(said, None, "standard error of {}", capture.display());
                *shown.entry(format.clone()).or_default() += usize::from(page.contains("i x") || page.contains("1+1"));
            }
            // What was seen becomes firewall rules: no name becomes one.
            let report = folder.path().join("report.json");
            let made = run(&["analyze", path.to_str().unwrap(), "-q", "-o", report.to_str().unwrap()]);
            assert_eq!(made.code, Some(0), "{}", made.stderr);
            for target in ["nft", "iptables", "windows", "asa", "csv"] {
                let ran = run(&["rules", "export", "--to", target, "--from", report.to_str().unwrap()]);
                let page = ran.text().replace("\r\n", "\n");
                assert!(!page.chars().any(|char| steers(char) && char != '\t'), "{} for {target}", capture.display());
                assert!(!page.contains("<i x") && !page.contains("=1+1"), "{} for {target}", capture.display());
            }
        }
    }
    // A page that shows none of the names would prove nothing.
    assert!(overwritten > 300, "{overwritten}");
    for (format, least) in [("text", 5), ("json", 5), ("html", 5), ("csv", 5), ("md", 1)] {
        assert!(shown.get(format).is_some_and(|pages| *pages >= least), "{shown:?}");
    }
}

#[test]
fn a_wicked_name_is_as_long_as_what_it_replaces() {
    for wicked in WICKED {
        for len in 3..9 {
            assert_eq!(fit(wicked, len, str::len).len(), len);
        }
    }
    assert_eq!(cells("a,\"b,\"\"=c\"\r\n=d").last().map(String::as_str), Some("=d"));
    assert!(
        fault("csv", "a,=1\r\n").is_some() && fault("text", "\u{1b}[m").is_some() && fault("md", "<i x>").is_some()
    );
    assert!(fault("json", "{\"a\": \"<i x>\"}").is_none());
}
