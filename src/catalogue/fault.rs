//! Faults of rule files: where, what, and what to write instead.
//!
//! Hands on [`RuleFaults`], which prints like a compiler does. It must never know what a rule means.

use std::error::Error;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use annotate_snippets::AnnotationKind;
use annotate_snippets::Group;
use annotate_snippets::Level;
use annotate_snippets::Origin;
use annotate_snippets::Renderer;
use annotate_snippets::Snippet;

/// So many faults are kept; the others are counted.
const FAULTS_MAX: usize = 200;
/// A longer line is not shown, only named by its number.
const LINE_BYTES_MAX: usize = 4096;

/// A text that rules were read from.
#[derive(Debug)]
pub(crate) struct Source {
    /// The path as a person knows it.
    pub(crate) name: String,
    /// The whole text.
    pub(crate) text: String,
}

/// A place in one of the sources: which one, and the bytes from `start` to `end`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct At {
    pub(crate) source: u32,
    pub(crate) start: u32,
    pub(crate) end: u32,
}

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Severity {
    /// The rules cannot be used.
    Error,
    /// The rules can be used, and probably do not say what was meant.
    Warning,
}

/// One thing that is wrong in a rule file.
#[derive(Clone, Debug)]
pub struct Fault {
    severity: Severity,
    message: String,
    hint: Option<String>,
    place: Option<Place>,
}

#[derive(Clone, Debug)]
struct Place {
    source: Arc<Source>,
    span: Range<usize>,
}

/// Where a place is in its text, as people count.
struct Position<'s> {
    line: usize,
    column: usize,
    /// The text of that line, without its end.
    text: &'s str,
    /// The bytes meant, inside of `text`.
    marked: Range<usize>,
}

impl Fault {
    /// Error or warning.
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// What is wrong.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to write instead.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The file at fault, where it is one.
    pub fn file(&self) -> Option<&str> {
        self.place.as_ref().map(|place| place.source.name.as_str())
    }

    /// Line and column, both from 1, the column in characters.
    pub fn line_column(&self) -> Option<(usize, usize)> {
        self.place.as_ref().map(|place| {
            let position = place.position();
            (position.line, position.column)
        })
    }

    fn render(&self, renderer: &Renderer) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = level.primary_title(visible(&self.message));
        let mut group = match &self.place {
            None => Group::with_title(title),
            Some(place) => {
                let position = place.position();
                let path = visible(&place.source.name);
                if position.text.len() > LINE_BYTES_MAX {
                    title.element(Origin::path(path).line(position.line).char_column(position.column))
                } else {
                    title.element(
                        Snippet::source(visible(position.text))
                            .line_start(position.line)
                            .path(path)
                            .annotation(AnnotationKind::Primary.span(position.marked)),
                    )
                }
            }
        };
        if let Some(hint) = &self.hint {
            group = group.element(Level::HELP.message(visible(hint)));
        }
        renderer.render(&[group])
    }
}

/// The same number of bytes with every control character replaced, so that no rule file can steer a terminal.
fn visible(text: &str) -> String {
    text.chars()
        .map(|c| match (c.is_control(), c.len_utf8()) {
            (false, _) => c,
            (true, 1) => ' ',
            (true, _) => '\u{b7}',
        })
        .collect()
}

impl Place {
    fn position(&self) -> Position<'_> {
        let text = self.source.text.as_str();
        let start = floor_boundary(text, self.span.start);
        let end = floor_boundary(text, self.span.end.max(start));
        let before = text.get(..start).unwrap_or_default();
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let rest = text.get(line_start..).unwrap_or_default();
        let line = rest.split('\n').next().unwrap_or_default();
        let line = line.strip_suffix('\r').unwrap_or(line);
        let from = (start - line_start).min(line.len());
        Position {
            line: 1 + before.matches('\n').count(),
            column: 1 + before.get(line_start..).unwrap_or_default().chars().count(),
            text: line,
            marked: from..(end - line_start).clamp(from, line.len()),
        }
    }
}

fn floor_boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

/// Everything that is wrong with the rules, in the order of the files.
#[derive(Clone, Debug, Default)]
pub struct RuleFaults {
    faults: Vec<Fault>,
    left_off: usize,
    unreadable: bool,
}

impl RuleFaults {
    /// The faults, errors and warnings, by file and place.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// Whether a file or folder could not be read at all (exit code 4 and not 2).
    pub fn is_unreadable(&self) -> bool {
        self.unreadable
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.faults.is_empty()
    }

    /// All faults as text, one after another, with terminal colours where asked.
    pub fn render(&self, color: bool) -> String {
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        let mut text = self.faults.iter().map(|fault| fault.render(&renderer)).collect::<Vec<_>>().join("\n\n");
        if self.left_off > 0 {
            text.push_str("\n\n");
            text.push_str(&renderer.render(&[Group::with_title(
                Level::ERROR.primary_title(format!("{} more faults are not shown", self.left_off)),
            )]));
        }
        text
    }
}

impl fmt::Display for RuleFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl Error for RuleFaults {}

/// Faults while they are found.
#[derive(Default)]
pub(crate) struct Faults {
    found: Vec<Found>,
    left_off: usize,
    errors: usize,
    unreadable: bool,
    broken: bool,
}

struct Found {
    severity: Severity,
    message: String,
    hint: Option<String>,
    at: Option<At>,
    /// Where the same id was declared before. Its line is counted only for the faults that are kept.
    earlier: Option<At>,
}

impl Faults {
    /// Something that makes the rules unusable.
    pub(crate) fn error(&mut self, at: At, message: impl Into<String>, hint: Option<String>) {
        self.errors += 1;
        self.push(Found { severity: Severity::Error, message: message.into(), hint, at: Some(at), earlier: None });
    }

    /// An id that was declared before, at `earlier`.
    pub(crate) fn twice(&mut self, at: At, message: impl Into<String>, earlier: At) {
        self.errors += 1;
        let (message, earlier) = (message.into(), Some(earlier));
        self.push(Found { severity: Severity::Error, message, hint: None, at: Some(at), earlier });
    }

    /// Something that is probably not meant.
    pub(crate) fn warn(&mut self, at: At, message: impl Into<String>, hint: Option<String>) {
        self.push(Found { severity: Severity::Warning, message: message.into(), hint, at: Some(at), earlier: None });
    }

    /// Something about a whole folder that is probably not meant.
    pub(crate) fn placeless_warning(&mut self, message: impl Into<String>) {
        self.push(Found { severity: Severity::Warning, message: message.into(), hint: None, at: None, earlier: None });
    }

    /// A fault of the command line, which has no place in a file.
    pub(crate) fn placeless(&mut self, message: impl Into<String>, hint: Option<String>) {
        self.errors += 1;
        self.push(Found { severity: Severity::Error, message: message.into(), hint, at: None, earlier: None });
    }

    /// A file or folder that cannot be read.
    pub(crate) fn unreadable(&mut self, message: impl Into<String>) {
        self.unreadable = true;
        self.placeless(message, None);
    }

    /// Notes that a text could not be understood as TOML, so that names declared there may be missing.
    pub(crate) fn set_broken(&mut self) {
        self.broken = true;
    }

    /// Whether any text was broken: then a missing name is no fault of those who use it.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken || self.unreadable
    }

    /// Whether the rules cannot be used.
    pub(crate) fn has_errors(&self) -> bool {
        self.errors > 0
    }

    fn push(&mut self, found: Found) {
        if self.found.len() < FAULTS_MAX {
            self.found.push(found);
        } else {
            self.left_off += 1;
        }
    }

    /// All of them in the order of the texts; those without a place come first.
    pub(crate) fn into_rule_faults(mut self, sources: &[Arc<Source>]) -> RuleFaults {
        self.found.sort_by_key(|found| found.at);
        let faults = self.found.into_iter().map(|found| {
            let place = |at: At| {
                let source = Arc::clone(sources.get(usize::try_from(at.source).ok()?)?);
                Some(Place { source, span: usize::try_from(at.start).ok()?..usize::try_from(at.end).ok()? })
            };
            let earlier = found.earlier.and_then(place).map(|earlier| {
                let line = earlier.position().line;
                format!("it was declared before in {}, line {line}; choose another id", earlier.source.name)
            });
            let hint = found.hint.or(earlier);
            Fault { severity: found.severity, message: found.message, hint, place: found.at.and_then(place) }
        });
        RuleFaults { faults: faults.collect(), left_off: self.left_off, unreadable: self.unreadable }
    }
}

/// "did you mean" with the nearest of the names, where one is near.
pub(crate) fn did_you_mean<'n>(word: &str, names: impl IntoIterator<Item = &'n str>) -> Option<String> {
    nearest(word, names).map(|name| format!("did you mean `{name}`?"))
}

/// The name with the fewest edits from `word`, if these are no more than a third of its letters (at least one).
pub(crate) fn nearest<'n>(word: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    const WORD_CHARS_MAX: usize = 64;
    let length = word.chars().count();
    if length > WORD_CHARS_MAX {
        return None;
    }
    let edits_max = (length / 3).max(1);
    names
        .into_iter()
        .filter(|name| name.len().abs_diff(word.len()) <= edits_max * 4)
        .map(|name| (edits(word, name), name))
        .filter(|&(edits, _)| edits <= edits_max)
        .min()
        .map(|(_, name)| name)
}

/// How many letters to insert, delete, replace or swap with their neighbour (the distance of Damerau, each place being
/// edited once).
fn edits(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let at = |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX / 2);
    let mut last: Vec<usize> = (0..=right.len()).collect();
    let mut last_but_one: Vec<usize> = Vec::new();
    let mut previous = None;
    for (i, a) in left.chars().enumerate() {
        let mut row = vec![i + 1];
        for (j, &b) in right.iter().enumerate() {
            let mut least = (at(&last, j) + usize::from(a != b)).min(at(&last, j + 1) + 1).min(at(&row, j) + 1);
            let before = j.checked_sub(1);
            if previous == Some(b) && before.and_then(|before| right.get(before)) == Some(&a) {
                least = least.min(before.map_or(usize::MAX, |before| at(&last_but_one, before) + 1));
            }
            row.push(least);
        }
        last_but_one = std::mem::replace(&mut last, row);
        previous = Some(a);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str, start: u32, end: u32, hint: Option<&str>) -> RuleFaults {
        let sources = [Arc::new(Source { name: "a.toml".to_owned(), text: text.to_owned() })];
        let mut faults = Faults::default();
        faults.error(At { source: 0, start, end }, "unknown key", hint.map(str::to_owned));
        faults.into_rule_faults(&sources)
    }

    #[test]
    fn a_fault_shows_its_line_and_what_to_write() {
        let text = one("first = 1\nsecnd = 2\n", 10, 15, Some("did you mean `second`?")).to_string();
        assert_eq!(
            text,
            "error: unknown key\n --> a.toml:2:1\n  |\n2 | secnd = 2\n  | ^^^^^\n  |\n  = help: did you mean `second`?"
        );
    }

    #[test]
    fn any_place_in_any_text_can_be_shown() {
        let text = "a\u{1b}[31m = \"\u{e9}\u{1f600}\u{85}\"\r\n\t\tb = 1\n\n";
        for start in 0..40 {
            for end in 0..40 {
                let shown = one(text, start, end, None).to_string();
                assert!(!shown.contains('\u{1b}'), "{shown}");
            }
        }
    }

    #[test]
    fn a_long_line_is_named_and_not_shown() {
        let faults = one(&"x".repeat(10_000), 5000, 5001, None);
        assert!(faults.to_string().contains("a.toml:1:5001"));
        assert!(faults.to_string().len() < 200);
    }

    #[test]
    fn only_near_names_are_proposed() {
        let names = ["purpose", "ports", "profile"];
        assert_eq!(nearest("prupose", names), Some("purpose"));
        assert_eq!(nearest("port", names), Some("ports"));
        assert_eq!(nearest("elephant", names), None);
        for (left, right, distance) in
            [("kitten", "sitting", 3), ("tilte", "title", 1), ("", "ab", 2), ("ab", "", 2), ("ab", "ba", 1)]
        {
            assert_eq!(edits(left, right), distance, "{left} {right}");
        }
    }

    #[test]
    fn faults_beyond_the_bound_are_counted() {
        let mut faults = Faults::default();
        for _ in 0..FAULTS_MAX + 3 {
            faults.placeless("no", None);
        }
        assert!(faults.into_rule_faults(&[]).to_string().contains("3 more faults"));
    }
}
