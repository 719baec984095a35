//! The formats: one file and one row of [`FORMATS`] each.

mod answers;
pub mod csv;
pub mod html;
pub mod json;
pub mod markdown;
pub mod ndjson;
mod pen;
pub(crate) mod summary;
pub mod text;

use std::io;
use std::io::Write;

use crate::catalogue::Catalogue;
use crate::classify::judge::Judge;
use crate::report::Report;

/// What a format may draw from.
#[derive(Clone, Copy, Debug)]
pub struct Pages<'a> {
    /// The report.
    pub report: &'a Report<'a>,
    /// The flows themselves, for formats that list each.
    pub judge: &'a Judge<'a>,
    /// The rules they were judged by.
    pub catalogue: &'a Catalogue,
    /// How it should look.
    pub style: Style,
}

/// How a page for people should look.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Style {
    /// With ANSI colours.
    pub color: bool,
}

/// A format.
#[derive(Clone, Copy, Debug)]
pub struct Format {
    /// Its name on the command line.
    pub name: &'static str,
    /// The ending of its files.
    pub extension: &'static str,
    /// Writes it, in many small pieces: the writer should have a buffer. Fails only if the writer does.
    pub write: fn(&Pages<'_>, &mut dyn Write) -> io::Result<()>,
}

/// All formats.
pub const FORMATS: &[Format] = &[
    Format { name: "text", extension: "txt", write: |pages, out| text::write(pages.report, pages.style, out) },
    Format { name: "json", extension: "json", write: |pages, out| json::write(pages.report, out) },
    Format { name: "ndjson", extension: "ndjson", write: ndjson::write },
    Format { name: "csv", extension: "csv", write: |pages, out| csv::write(pages.report, out) },
    Format { name: "html", extension: "html", write: |pages, out| html::write(pages.report, out) },
    Format { name: "md", extension: "md", write: |pages, out| markdown::write(pages.report, out) },
];

/// The format of that name.
pub fn by_name(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|format| format.name == name)
}

/// The format of files that end so, without the dot.
pub fn by_extension(extension: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|format| format.extension == extension)
}
