//! The formats: one file and one row of [`FORMATS`] each.

mod answers;
pub mod csv;
pub mod ecs;
pub mod eve;
pub mod html;
pub mod json;
pub mod markdown;
pub mod ndjson;
#[cfg(feature = "parquet")]
pub mod parquet;
mod pen;
pub(crate) mod summary;
pub mod text;
pub mod zeek;

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
    /// The ending of its files, behind a dot or alone.
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
    Format { name: "ecs", extension: "ecs.ndjson", write: ecs::write },
    Format { name: "eve", extension: "eve.ndjson", write: eve::write },
    Format { name: "zeek", extension: "log", write: zeek::write },
    Format { name: "zeek-json", extension: "zeek.ndjson", write: zeek::write_json },
    #[cfg(feature = "parquet")]
    Format { name: "parquet", extension: "parquet", write: parquet::write_flows },
    #[cfg(feature = "parquet")]
    Format { name: "parquet-pairs", extension: "pairs.parquet", write: parquet::write_pairs },
];

/// The format of that name.
pub fn by_name(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|format| format.name == name)
}

/// The format of a file of that name: the longest extension that it ends with.
pub fn by_file_name(name: &str) -> Option<&'static Format> {
    let name = name.to_ascii_lowercase();
    let ends = |format: &&Format| {
        let double = format.extension.contains('.');
        name.strip_suffix(format.extension)
            .is_some_and(|rest| rest.ends_with('.') || (double && (rest.is_empty() || rest.ends_with(['-', '_']))))
    };
    FORMATS.iter().filter(ends).max_by_key(|format| format.extension.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_ending_counts() {
        let name = |file: &str| by_file_name(file).map(|format| format.name);
        assert_eq!(name("report.json"), Some("json"));
        assert_eq!(name("a.b.NDJSON"), Some("ndjson"));
        assert_eq!(name("sensor1.ecs.ndjson"), Some("ecs"));
        assert_eq!(name("conn.log"), Some("zeek"));
        #[cfg(feature = "parquet")]
        assert_eq!(
            ["flows.parquet", "pairs.parquet", "dc1-pairs.parquet"].map(name),
            [Some("parquet"), Some("parquet-pairs"), Some("parquet-pairs")]
        );
        assert_eq!(name("report.xjson"), None);
        assert_eq!([name("report"), name("json")], [None, None]);
    }
}
