//! The rooms keep the plan, and what belongs into `rules/` stays out of the code.
//!
//! A room may name only the rooms that `MAY_USE` grants it. This replaces the crate boundaries of a workspace:
//! it judges directions, not sizes. The second half looks for ports, UUIDs, roles and profiles written into code.

#![expect(clippy::unwrap_used, reason = "a test may stop here")]

mod common;

use common::files_below;
use common::root;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Room, and the rooms it may name. A room with a file (`capture::batch`) grants that file only.
const MAY_USE: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("capture", &["model"]),
    ("decode", &["model", "capture::batch"]),
    ("proto", &["model"]),
    ("catalogue", &["model"]),
    ("flow", &["model", "decode"]),
    ("learn", &["model", "proto"]),
    ("pipeline", &["model", "capture", "decode", "proto", "flow", "learn"]),
    ("classify", &["model", "catalogue", "flow", "learn"]),
    ("report", &["model", "catalogue", "flow", "learn", "classify"]),
    ("cli", &["model", "capture", "catalogue", "learn", "pipeline", "classify", "report"]),
];

/// Files that belong to no room: the door, the front page, the build script.
const OUTSIDE: &[&str] = &["main.rs", "lib.rs", "build.rs"];

/// Rooms in which a number must not be a port that the catalogue knows.
const NO_PORTS: &[&str] = &["flow", "learn", "classify", "pipeline", "report"];

/// Numbers that equal a port and are none. File, number, reason.
const NOT_A_PORT: &[(&str, u64, &str)] =
    &[("pipeline/shard.rs", 7, "a hash rotates by it"), ("pipeline/shard.rs", 17, "a hash rotates by it")];

/// Text that only `rules/` may hold, and why one file may name it nevertheless. File, text, reason.
const MAY_NAME: &[(&str, &str, &str)] = &[
    (
        "catalogue/check.rs",
        "e3514235-4b06-11d1-ab04-00c04fc2dcd2",
        "the hint beside a UUID that is none shows how one is written",
    ),
    ("report/format/csv.rs", "client", "the head of a column: who began the flow"),
    ("report/format/parquet.rs", "client", "the name of a column: who began the flow"),
];

#[test]
fn rooms_name_only_what_lies_below_them() {
    let mut faults = Vec::new();
    for (path, text) in sources() {
        faults.extend(wrong_names(&path, &text));
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn every_folder_of_the_source_is_a_room() {
    let mut strangers = BTreeSet::new();
    for (path, _) in sources() {
        let room = room_of(&path);
        if !OUTSIDE.contains(&path.as_str()) && !MAY_USE.iter().any(|(known, _)| *known == room) {
            strangers.insert(path);
        }
    }
    assert!(strangers.is_empty(), "no room of MAY_USE: {strangers:?}");
}

#[test]
fn the_plan_has_no_circle() {
    for (place, (_, uses)) in MAY_USE.iter().enumerate() {
        for used in *uses {
            let room = used.split("::").next().unwrap();
            assert!(MAY_USE.iter().take(place).any(|(above, _)| *above == room), "{used} is not below its user");
        }
    }
}

#[test]
fn no_port_uuid_role_or_profile_is_written_into_code() {
    let ports = catalogue_ports();
    let words = catalogue_words();
    let mut faults = Vec::new();
    for (path, text) in sources() {
        let code = without_comments(product_code(&text));
        if NO_PORTS.contains(&room_of(&path)) {
            faults.extend(port_literals(&path, &code, &ports));
        }
        if room_of(&path) != "proto" {
            faults.extend(uuid_literals(&path, &code));
        }
        faults.extend(catalogue_literals(&path, &code, &words));
    }
    assert!(faults.is_empty(), "these belong into rules/:\n{}", faults.join("\n"));
}

#[test]
fn every_exception_is_still_needed() {
    let all = sources();
    let code_of = |file: &str| {
        let (_, text) = all.iter().find(|(path, _)| path == file).unwrap();
        without_comments(product_code(text))
    };
    for (file, number, reason) in NOT_A_PORT {
        assert!(!reason.is_empty());
        let found = code_of(file).lines().any(|line| numbers(&without_strings(line)).contains(number));
        assert!(found, "{file} has no {number} any more");
    }
    for (file, text, reason) in MAY_NAME {
        assert!(!reason.is_empty());
        assert!(code_of(file).contains(text), "{file} does not name {text} any more");
    }
}

#[test]
fn the_checker_finds_a_wrong_name_in_every_spelling() {
    let fault = |path: &str, text: &str| wrong_names(path, text);
    assert_eq!(
        fault("decode/mod.rs", "\nuse crate::flow::table::Table;\n"),
        ["src/decode/mod.rs:2: decode names flow"]
    );
    assert_eq!(fault("decode/link/sll.rs", "fn f() { crate::flow::x(); }").len(), 1);
    assert_eq!(fault("decode/link/sll.rs", "use super::super::super::flow::Table;").len(), 1);
    assert_eq!(fault("decode/mod.rs", "use super::flow::Table;").len(), 1);
    assert_eq!(fault("decode/mod.rs", "use crate::{model, flow};"), ["src/decode/mod.rs:1: decode names {"]);
    assert_eq!(fault("decode/mod.rs", "use crate::capture::pcap::Reader;").len(), 1);
    assert_eq!(fault("classify/mod.rs", "use crate::pipeline::run;").len(), 1);
    assert_eq!(fault("model/mod.rs", "use crate :: flow::Table;").len(), 1);
}

#[test]
fn the_checker_is_silent_on_what_is_granted() {
    let silent = |path: &str, text: &str| assert_eq!(wrong_names(path, text), [""; 0], "{text}");
    silent("decode/mod.rs", "use crate::model::time::Timestamp;");
    silent("decode/mod.rs", "use crate::capture::batch::Frame;");
    silent("decode/link/sll.rs", "use super::super::packet::Packet;");
    silent("decode/mod.rs", "// use crate::flow::Table;\n/* crate::flow */ const A: &str = \"crate::flow\";");
    silent("decode/mod.rs", "fn f() {}\n#[cfg(test)]\nmod tests {\n    use crate::flow::Table;\n}\n");
    silent("main.rs", "use portolan::cli::run;");
}

#[test]
fn the_checker_finds_what_belongs_into_rules() {
    let ports = BTreeSet::from([88, 389, 49152]);
    assert_eq!(port_literals("classify/mod.rs", "if port == 389 {", &ports).len(), 1);
    assert_eq!(port_literals("classify/mod.rs", "if port >= 49_152_u16 {", &ports).len(), 1);
    assert_eq!(port_literals("classify/mod.rs", "if endpoint.port == 88 {", &ports).len(), 1);
    assert_eq!(
        port_literals("classify/mod.rs", "let tries = 88; // small numbers count beside a port only", &ports).len(),
        0
    );
    assert_eq!(
        port_literals("classify/mod.rs", "let a = [0; 3890]; let b = \"389\"; let x389 = 1.389;", &ports).len(),
        0
    );
    let uuid = "e1af8308-5d1f-11c9-91a4-08002b14a0fa";
    assert_eq!(uuid_literals("learn/epm.rs", &format!("const EPM: &str = \"{uuid}\";")).len(), 1);
    assert_eq!(uuid_literals("learn/epm.rs", "const EPM: u128 = 0xe1af_8308_5d1f_11c9_91a4_0800_2b14_a0fa;").len(), 1);
    assert_eq!(uuid_literals("learn/epm.rs", "const MASK: u64 = 0xffff_ffff_ffff_ffff;").len(), 0);
    let words = BTreeSet::from(["domain-controller".to_owned()]);
    assert_eq!(catalogue_literals("learn/roles.rs", "role == \"domain-controller\"", &words).len(), 1);
    assert_eq!(catalogue_literals("learn/roles.rs", "\"a domain-controller is needed\"", &words).len(), 0);
}

#[test]
fn comments_strings_and_tests_are_told_from_code() {
    assert_eq!(without_comments("a // b\nc /* d\n/* e */ f */ g").trim_end(), "a \nc \n g");
    assert_eq!(without_comments(r#"x("//", '"', '/') // y"#).trim_end(), r#"x("//", '"', '/')"#);
    assert_eq!(without_strings(r#"a("b\"c", 'd', b'\'', 'x: loop)"#), "a(\"\", '', b'', 'x: loop)");
    assert_eq!(without_strings("r#\"a \" b\"# c"), "r#\"\"# c");
    assert_eq!(product_code("a\n#[cfg(test)]\nmod tests {\nb\n}\n").trim_end(), "a");
    assert_eq!(product_code("#[cfg(test)]\nuse x;\nb").lines().count(), 3);
    assert_eq!(product_code("#[cfg(test)]\nmod sample;\nb").lines().count(), 3);
    assert_eq!(test_files("report/mod.rs", "#[cfg(test)]\npub(crate) mod sample;\n"), ["report/sample.rs"]);
}

/// Every source file: its path below `src` with forward slashes, and its text.
fn sources() -> Vec<(String, String)> {
    let src = root().join("src");
    let rust = |path: &Path| path.extension().is_some_and(|extension| extension == "rs");
    let all: Vec<_> = files_below(&src)
        .into_iter()
        .filter(|path| rust(path))
        .map(|path| {
            let below = path.strip_prefix(&src).unwrap().to_str().unwrap().replace('\\', "/");
            (below, fs::read_to_string(&path).unwrap())
        })
        .collect();
    assert!(all.len() > 5, "the source was not found");
    let for_tests: Vec<String> = all.iter().flat_map(|(path, text)| test_files(path, text)).collect();
    all.into_iter().filter(|(path, _)| !for_tests.contains(path)).collect()
}

/// Files that `text` takes in for tests only: `#[cfg(test)]`, then `mod name;`.
fn test_files(path: &str, text: &str) -> Vec<String> {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let after = text.split("#[cfg(test)]\n").skip(1);
    let names = after.filter_map(|rest| {
        let rest = rest.strip_prefix("pub(crate) ").unwrap_or(rest);
        rest.strip_prefix("mod ")?.split_once(';').map(|(name, _)| name)
    });
    names
        .filter(|name| name.chars().all(|c| c.is_alphanumeric() || c == '_'))
        .map(|name| format!("{folder}/{name}.rs"))
        .collect()
}

fn room_of(path: &str) -> &str {
    path.split('/').next().unwrap().trim_end_matches(".rs")
}

/// How many `super` lead from a file's module to the crate root.
fn depth(path: &str) -> usize {
    let parts = path.trim_end_matches(".rs").split('/');
    parts.filter(|part| *part != "mod").count()
}

/// Each place where a file names a room that was not granted to its own.
fn wrong_names(path: &str, text: &str) -> Vec<String> {
    if OUTSIDE.contains(&path) {
        return Vec::new();
    }
    let room = room_of(path);
    let granted = MAY_USE.iter().find(|(name, _)| *name == room).map_or(&[][..], |(_, uses)| *uses);
    let code = without_strings(&without_comments(product_code(text)));
    let mut faults = Vec::new();
    for (place, line) in code.lines().enumerate() {
        for named in named_from_root(line, depth(path)) {
            let allowed = named.first().is_some_and(|first| first == room)
                || granted.iter().any(|grant| {
                    grant.split("::").zip(&named).all(|(a, b)| a == b) && named.len() >= grant.split("::").count()
                });
            if !allowed {
                let shown = named.first().map_or("the root", String::as_str);
                faults.push(format!("src/{path}:{}: {room} names {shown}", place + 1));
            }
        }
    }
    faults
}

/// The paths in a line that start at the crate root, by `crate::` or by enough `super::`, without that start.
fn named_from_root(line: &str, depth: usize) -> Vec<Vec<String>> {
    let words = tokens(line);
    let mut found = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let mut next = at;
        let mut supers = 0;
        while words.get(next).is_some_and(|word| word == "super")
            && words.get(next + 1).is_some_and(|word| word == "::")
        {
            supers += 1;
            next += 2;
        }
        let is_crate = words[at] == "crate" && words.get(at + 1).is_some_and(|word| word == "::");
        if is_crate {
            next = at + 2;
        }
        if is_crate || (supers > 0 && supers >= depth) {
            let mut path = Vec::new();
            while let Some(word) = words.get(next) {
                path.push(word.clone());
                if words.get(next + 1).is_none_or(|word| word != "::") {
                    break;
                }
                next += 2;
            }
            found.push(path);
        }
        at = next.max(at + 1);
    }
    found
}

/// Words, `::` and single other characters of a line of code.
fn tokens(line: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut gap = true;
    for letter in line.chars() {
        let part_of_word = letter.is_alphanumeric() || letter == '_';
        match found.last_mut() {
            Some(last) if !gap && part_of_word && last.chars().all(|c| c.is_alphanumeric() || c == '_') => {
                last.push(letter);
            }
            Some(last) if !gap && letter == ':' && last == ":" => last.push(':'),
            _ if letter.is_whitespace() => {}
            _ => found.push(letter.to_string()),
        }
        gap = letter.is_whitespace();
    }
    found
}

/// The text up to the test module at its foot.
fn product_code(text: &str) -> &str {
    let mut from = 0;
    while let Some(place) = text[from..].find("#[cfg(test)]") {
        let start = from + place;
        let rest = &text[start + "#[cfg(test)]".len()..];
        let item = rest.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with("#[")).unwrap_or("");
        // What only takes in another file leaves the rest of this one to be looked at.
        if item.trim_start_matches("pub(crate) ").starts_with("mod ") && item.ends_with('{') {
            return &text[..start];
        }
        from = start + 1;
    }
    text
}

/// Where a reader of source text stands.
enum Place {
    Code,
    Line,
    Block(u32),
    Text { hashes: Option<usize> },
}

/// Walks source text and hands each character on with the place it lies in; quotes count as code.
fn walk(text: &str, mut keep: impl FnMut(char, &Place)) {
    let letters: Vec<char> = text.chars().collect();
    let mut place = Place::Code;
    let mut at = 0;
    while let Some(&letter) = letters.get(at) {
        let next = letters.get(at + 1).copied().unwrap_or('\0');
        match place {
            Place::Code if letter == '/' && next == '/' => place = Place::Line,
            Place::Code if letter == '/' && next == '*' => {
                place = Place::Block(1);
                at += 1;
            }
            Place::Code if letter == '"' => {
                keep(letter, &Place::Code);
                let hashes = letters[..at].iter().rev().take_while(|c| **c == '#').count();
                let raw = at > hashes && letters[at - hashes - 1] == 'r';
                place = Place::Text { hashes: raw.then_some(hashes) };
            }
            Place::Code if letter == '\'' => {
                // A character, or the start of a lifetime's name.
                let end = if next == '\\' {
                    letters.iter().skip(at + 3).position(|c| *c == '\'').map(|n| at + 3 + n)
                } else {
                    Some(at + 2)
                };
                keep('\'', &Place::Code);
                if let Some(end) = end.filter(|end| letters.get(*end) == Some(&'\'')) {
                    for inner in &letters[at + 1..end] {
                        keep(*inner, &Place::Text { hashes: None });
                    }
                    keep('\'', &Place::Code);
                    at = end;
                }
            }
            Place::Code => keep(letter, &place),
            Place::Line if letter == '\n' => {
                place = Place::Code;
                keep(letter, &place);
            }
            Place::Line => {}
            Place::Block(level) => {
                if letter == '\n' {
                    keep(letter, &Place::Code);
                } else if letter == '/' && next == '*' {
                    place = Place::Block(level + 1);
                    at += 1;
                } else if letter == '*' && next == '/' {
                    place = if level == 1 { Place::Code } else { Place::Block(level - 1) };
                    at += 1;
                }
            }
            Place::Text { hashes: None } if letter == '\\' => {
                keep(letter, &place);
                keep(next, &place);
                at += 1;
            }
            Place::Text { hashes } => {
                let closing = hashes.unwrap_or(0);
                if letter == '"' && letters.iter().skip(at + 1).take(closing).filter(|c| **c == '#').count() == closing
                {
                    place = Place::Code;
                }
                keep(letter, &place);
            }
        }
        at += 1;
    }
}

fn without_comments(text: &str) -> String {
    let mut kept = String::new();
    walk(text, |letter, _| kept.push(letter));
    kept
}

/// Code with every string and character emptied. Newlines stay, so that line numbers do.
fn without_strings(text: &str) -> String {
    let mut kept = String::new();
    walk(text, |letter, place| {
        if matches!(place, Place::Code) || letter == '\n' {
            kept.push(letter);
        }
    });
    kept
}

/// The whole numbers in a line of code, decimal, without underscores and type suffixes.
fn numbers(line: &str) -> Vec<u64> {
    let mut found = Vec::new();
    for word in line.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.')) {
        if !word.starts_with(|c: char| c.is_ascii_digit()) || word.starts_with("0x") {
            continue;
        }
        // A range such as `1..389` is two numbers, a fraction such as `1.389` is none of interest.
        for part in word.split("..") {
            let digits: String = part.chars().filter(|c| *c != '_').take_while(char::is_ascii_digit).collect();
            if !part.contains('.') {
                found.extend(digits.parse::<u64>());
            }
        }
    }
    found
}

/// Numbers that equal a catalogue port. Below 100 too many numbers are ports: those count only beside the word port.
fn port_literals(path: &str, code: &str, ports: &BTreeSet<u64>) -> Vec<String> {
    let mut faults = Vec::new();
    for (place, line) in without_strings(code).lines().enumerate() {
        for number in numbers(line) {
            let meant = number >= 100 || line.to_lowercase().contains("port");
            let excused = NOT_A_PORT.iter().any(|(file, value, _)| *file == path && *value == number);
            if ports.contains(&number) && meant && !excused {
                faults.push(format!("src/{path}:{}: port {number}: {}", place + 1, line.trim()));
            }
        }
    }
    faults
}

/// UUIDs as text, and hexadecimal numbers too long for anything else.
fn uuid_literals(path: &str, code: &str) -> Vec<String> {
    let is_uuid = |word: &&str| {
        let groups: Vec<_> = word.split('-').collect();
        groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
            && word.chars().all(|c| c == '-' || c.is_ascii_hexdigit())
    };
    let is_number =
        |word: &&str| word.starts_with("0x") && word.chars().filter(char::is_ascii_hexdigit).count() > 1 + 24;
    let mut faults = Vec::new();
    for (place, line) in code.lines().enumerate() {
        let texts = line.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).filter(is_uuid);
        let wholes = line.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).filter(is_number);
        for word in texts.chain(wholes).filter(|word| !may_name(path, word)) {
            faults.push(format!("src/{path}:{}: UUID {word}", place + 1));
        }
    }
    faults
}

/// String literals that are exactly a role or profile of the catalogue.
fn catalogue_literals(path: &str, code: &str, words: &BTreeSet<String>) -> Vec<String> {
    let mut faults = Vec::new();
    for (place, line) in code.lines().enumerate() {
        for text in line.split('"').skip(1).step_by(2) {
            if words.contains(text) && !may_name(path, text) {
                faults.push(format!("src/{path}:{}: \"{text}\"", place + 1));
            }
        }
    }
    faults
}

fn may_name(path: &str, text: &str) -> bool {
    MAY_NAME.iter().any(|(file, allowed, _)| *file == path && *allowed == text)
}

/// The TOML files below a folder of `rules/`.
fn rule_files(below: &str) -> Vec<toml::Table> {
    let files = files_below(&root().join("rules").join(below));
    let tables = files.iter().filter(|path| path.extension().is_some_and(|extension| extension == "toml"));
    tables.map(|path| fs::read_to_string(path).unwrap().parse().unwrap()).collect()
}

/// Every port that a service names alone, and both ends of every range but the last possible port.
fn catalogue_ports() -> BTreeSet<u64> {
    let mut ports = BTreeSet::new();
    for file in rule_files("services") {
        for service in file.get("service").and_then(toml::Value::as_array).into_iter().flatten() {
            for text in service.get("ports").and_then(toml::Value::as_array).into_iter().flatten() {
                let text = text.as_str().unwrap();
                let range = text.split_once('/').map_or("", |(_, range)| range);
                ports.extend(range.split('-').filter_map(|end| end.parse::<u64>().ok()));
            }
        }
    }
    // 1024 and 65535 end the widest range; as numbers they are sizes and masks everywhere.
    ports.remove(&1024);
    ports.remove(&65535);
    assert!(ports.len() > 50, "rules/services was not found");
    ports
}

/// The ids of all roles and profiles.
fn catalogue_words() -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    let roles: toml::Table = fs::read_to_string(root().join("rules/roles.toml")).unwrap().parse().unwrap();
    for role in roles.get("role").and_then(toml::Value::as_array).into_iter().flatten() {
        words.insert(role.get("id").and_then(toml::Value::as_str).unwrap().to_owned());
    }
    for file in rule_files("profiles") {
        let id = file.get("profile").and_then(|profile| profile.get("id")).and_then(toml::Value::as_str);
        words.insert(id.unwrap().to_owned());
    }
    assert!(words.len() > 10, "rules/roles.toml was not found");
    words
}
