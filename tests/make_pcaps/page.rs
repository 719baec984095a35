//! The page `pcaps/README.md`, made from the same rows as the captures so that neither can be forgotten.

use std::fmt::Write;

use crate::lab::RECORDINGS;
use crate::shelf::Folder;

const HEAD: &str = "# Captures\n
Small captures, one for each thing that portolan must see or must survive.
All but the recordings in `lab` are made by the test program `tests/make_pcaps`: `cargo test --test make_pcaps` proves that the files here are what it makes, `UPDATE=1 cargo test --test make_pcaps` writes them anew.
This page is made by it as well.
The scenes begin at 2026-01-05T09:00:00Z at a span port of the clients' switch: clients 10.0.1.20 and 10.0.1.21, gateway 10.0.1.1, domain controllers 10.0.0.10 and 10.0.0.11, member server 10.0.0.20.
Frame checksums and lengths are right unless a row says otherwise.
The words of the answers are those of the report: outcome, standing, confidence, reason.
An answer is what this version gives; `tests/cases/shipped` holds all it prints.

Licence: every file here is ours, made by the generator or recorded in our own lab with Samba and stand-in services, and under the licence of the project (MIT or Apache-2.0).
No packet comes from anybody else's network.
";

const LAB: &str = "\n## lab\n
Recordings of a domain with two Samba controllers, a member server, two clients, an agent and a firewall, in network namespaces of one machine, taken at a mirror port.
The truth files were counted by the kernels of the hosts and by the firewall, not taken from the recordings; they are never edited.
Their `outcome` is what the host experienced, which a one-way recording cannot always show.

| file | what it shows | expected answer | how made |
|---|---|---|---|
";

/// The whole page.
pub(crate) fn text(folders: &[Folder]) -> String {
    let mut out = HEAD.to_owned();
    for folder in folders {
        write!(out, "\n## {}\n\n{}\n\n", folder.name, folder.about).unwrap();
        out.push_str("| file | what it shows | expected answer | how made |\n|---|---|---|---|\n");
        for capture in folder.captures {
            let (shows, answer, how) = (capture.shows, capture.answer, capture.how());
            writeln!(out, "| `{}/{}` | {shows} | {answer} | {how} |", folder.name, capture.file).unwrap();
        }
    }
    out.push_str(LAB);
    for recording in RECORDINGS {
        let (file, truth, shows, answer) = (recording.file, recording.truth, recording.shows, recording.answer);
        writeln!(out, "| `lab/{file}` | {shows} | {answer} | recorded; `lab/{truth}` |").unwrap();
    }
    out
}
