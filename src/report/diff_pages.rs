//! A comparison as text, JSON or Markdown.

use std::io;
use std::io::Write;

use crate::report::diff::Change;
use crate::report::diff::ChangeKind;
use crate::report::diff::Diff;
use crate::report::diff::Side;
use crate::report::format::markdown;
use crate::report::format::summary::ROWS_MAX;
use crate::report::format::text::wrap;
use crate::report::sanitise::Shown;
use crate::report::words::count;
use crate::report::words::some;
use crate::report::words::thousands;

/// Ports named of one service.
const PORTS_MAX: usize = 4;

/// Captures named of one report.
const INPUTS_MAX: usize = 3;

/// A way to write a comparison.
#[derive(Clone, Copy, Debug)]
pub struct DiffFormat {
    /// Its name on the command line.
    pub name: &'static str,
    /// The ending of its files.
    pub extension: &'static str,
    /// Writes it. Fails only if the writer does.
    pub write: fn(&Diff, &mut dyn Write) -> io::Result<()>,
}

/// All of them.
pub const FORMATS: &[DiffFormat] = &[
    DiffFormat { name: "text", extension: "txt", write: text },
    DiffFormat { name: "json", extension: "json", write: json },
    DiffFormat { name: "md", extension: "md", write: markdown },
];

fn json(diff: &Diff, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, diff)?;
    writeln!(out)
}

fn text(diff: &Diff, out: &mut dyn Write) -> io::Result<()> {
    let mut paragraph = |first: &str, rest: &str, words: &str| {
        wrap(first, rest, words).iter().try_for_each(|line| writeln!(out, "{line}"))
    };
    paragraph("", "", &format!("{} {}: {}", diff.tool.name, diff.tool.version, tally(diff)))?;
    paragraph("before: ", "  ", &side(&diff.before))?;
    paragraph("after:  ", "  ", &side(&diff.after))?;
    for note in &diff.notes {
        paragraph("beware: ", "  ", note)?;
    }
    for kind in ChangeKind::ALL {
        let total = diff.of_kind(kind).count();
        if total == 0 {
            continue;
        }
        paragraph("", "", "")?;
        paragraph("", "", &format!("{}: {}", kind.title().to_uppercase(), thousands(total as u64)))?;
        for change in diff.of_kind(kind).take(ROWS_MAX) {
            paragraph("  ", "      ", &headline(change))?;
            if let Some(evidence) = change.evidence.as_ref().filter(|_| is_told(kind)) {
                paragraph("    ", "    ", evidence.text.as_str())?;
                paragraph("    ", "      ", &format!("Frames {}: {}", evidence.of, frames(&evidence.frames)))?;
            }
        }
        if let Some(more) = total.checked_sub(ROWS_MAX).filter(|&more| more > 0) {
            paragraph("  ", "  ", &format!("… and {} more: see --format json", thousands(more as u64)))?;
        }
    }
    Ok(())
}

fn markdown(diff: &Diff, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "# {} {}: {}", diff.tool.name, diff.tool.version, markdown::escape(&tally(diff)))?;
    let facts = [format!("before: {}", side(&diff.before)), format!("after: {}", side(&diff.after))];
    markdown::list(out, "Compared", &facts)?;
    markdown::list(out, "Beware", &diff.notes)?;
    for kind in ChangeKind::ALL {
        let total = diff.of_kind(kind).count();
        if total == 0 {
            continue;
        }
        writeln!(out, "\n## {} ({})\n", kind.title(), thousands(total as u64))?;
        markdown::table(out, &["From", "To", "Service", "Ports", "Before", "After", "What to know", "Frames"])?;
        for change in diff.of_kind(kind).take(ROWS_MAX) {
            let told = change.evidence.as_ref().filter(|_| is_told(kind));
            let cells = [
                change.client.to_string(),
                change.server.to_string(),
                change.title.to_string(),
                ports(change),
                change.before.words().to_owned(),
                change.after.words().to_owned(),
                told.map(|evidence| evidence.text.to_string()).unwrap_or_default(),
                told.map(|evidence| format!("{}: {}", evidence.of, frames(&evidence.frames))).unwrap_or_default(),
            ];
            markdown::row(out, &cells)?;
        }
        markdown::remainder(out, total)?;
    }
    Ok(())
}

/// Whether changes of this kind are told with their evidence.
fn is_told(kind: ChangeKind) -> bool {
    matches!(kind, ChangeKind::NewlyBlocked | ChangeKind::NewlyUnexpected | ChangeKind::StillBlocked)
}

/// `2 newly blocked, 1 now working`, or that nothing changed.
fn tally(diff: &Diff) -> String {
    let kinds = ChangeKind::ALL.into_iter().map(|kind| (kind, diff.of_kind(kind).count()));
    let words: Vec<String> = kinds
        .filter(|(_, changes)| *changes > 0)
        .map(|(kind, changes)| {
            let (changes, words) = (changes as u64, kind.name().replace('_', " "));
            if kind.is_of_things() { count(changes, &words) } else { format!("{} {words}", thousands(changes)) }
        })
        .collect();
    if words.is_empty() { "no change".to_owned() } else { words.join(", ") }
}

fn side(side: &Side) -> String {
    let span = match (&side.first, &side.last) {
        (Some(first), Some(last)) => format!(", from {first} to {last}"),
        _ => String::new(),
    };
    format!("{}{span}, {}", some(&side.inputs, INPUTS_MAX), count(side.services, "service"))
}

/// `10.0.1.20 -> 10.0.0.10 Kerberos, tcp/88: works (3 flows), then blocked (2 flows)`
fn headline(change: &Change) -> String {
    let [before, after] = change.flows;
    let interfaces = change.evidence.as_ref().map(|evidence| evidence.interfaces.as_slice()).unwrap_or_default();
    let named = if interfaces.is_empty() { String::new() } else { format!(" ({})", some(interfaces, PORTS_MAX)) };
    format!(
        "{} -> {} {}, {}{named}: {} ({}), then {} ({})",
        change.client,
        change.server,
        change.title,
        ports(change),
        change.before.words(),
        count(before, "flow"),
        change.after.words(),
        count(after, "flow")
    )
}

fn ports(change: &Change) -> String {
    let all: Vec<String> = change.ports.iter().map(ToString::to_string).collect();
    if all.is_empty() {
        change.transport.to_string()
    } else {
        format!("{}/{}", change.transport, some(&all, PORTS_MAX))
    }
}

fn frames(frames: &[Shown]) -> String {
    let all: Vec<&str> = frames.iter().map(Shown::as_str).collect();
    all.join(", ")
}
