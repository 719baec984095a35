//! JSON: the whole report, one line for each host, pair and finding, so that two reports can be compared line by line.

use std::io;
use std::io::BufWriter;
use std::io::Write;

use serde::Serialize;
use serde_json::ser::Formatter;
use serde_json::ser::Serializer;

use crate::report::Report;

/// Writes the report.
///
/// # Errors
/// Those of the writer.
pub fn write(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    // The serializer writes a few bytes at a time: into a buffer whose type it knows, these are plain copies.
    let mut out = BufWriter::with_capacity(1 << 16, out);
    report.serialize(&mut Serializer::with_formatter(&mut out, Lines::default()))?;
    out.write_all(b"\n")?;
    out.flush()
}

/// Nesting that gets lines of its own: the report's fields, and what is in them.
const DEPTH_MAX: usize = 2;

/// Breaks lines down to [`DEPTH_MAX`], and nowhere below.
#[derive(Default)]
struct Lines {
    depth: usize,
    empty: bool,
}

impl Lines {
    fn open<W: ?Sized + Write>(&mut self, bracket: &[u8], out: &mut W) -> io::Result<()> {
        self.depth += 1;
        self.empty = true;
        out.write_all(bracket)
    }

    fn close<W: ?Sized + Write>(&mut self, bracket: &[u8], out: &mut W) -> io::Result<()> {
        let inline = self.empty || self.depth > DEPTH_MAX;
        self.depth = self.depth.saturating_sub(1);
        self.empty = false;
        if !inline {
            self.indent(out)?;
        }
        out.write_all(bracket)
    }

    fn item<W: ?Sized + Write>(&mut self, first: bool, out: &mut W) -> io::Result<()> {
        self.empty = false;
        if !first {
            out.write_all(b",")?;
        }
        if self.depth <= DEPTH_MAX {
            self.indent(out)
        } else if first {
            Ok(())
        } else {
            out.write_all(b" ")
        }
    }

    fn indent<W: ?Sized + Write>(&self, out: &mut W) -> io::Result<()> {
        out.write_all(b"\n")?;
        (0..self.depth).try_for_each(|_| out.write_all(b"  "))
    }
}

impl Formatter for Lines {
    fn begin_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.open(b"[", out)
    }

    fn end_array<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.close(b"]", out)
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.item(first, out)
    }

    fn begin_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.open(b"{", out)
    }

    fn end_object<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        self.close(b"}", out)
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.item(first, out)
    }

    fn begin_object_value<W: ?Sized + Write>(&mut self, out: &mut W) -> io::Result<()> {
        out.write_all(b": ")
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop here")]

    use super::*;
    use crate::report::sample;

    #[test]
    fn hosts_pairs_and_findings_have_a_line_each() {
        let report = sample::report();
        let mut out = Vec::new();
        write(&report, &mut out).unwrap();
        let page = String::from_utf8(out).unwrap();
        let starting = |words: &str| page.lines().filter(|line| line.starts_with(words)).count();
        assert_eq!(starting("    {\"address\": "), report.hosts.len());
        assert_eq!(starting("    {\"client\": "), report.pairs.len());
        assert_eq!(starting("    {\"finding\": "), report.findings.len());
        assert!(
            page.starts_with("{\n  \"schema\": \"portolan/report/1\",\n  \"tool\": {\n    \"name\": \"portolan\",\n")
        );
        assert!(page.ends_with("  \"rpc_endpoints\": [],\n  \"readiness\": []\n}\n"));
        let value: serde_json::Value = serde_json::from_str(&page).unwrap();
        assert_eq!(value, serde_json::to_value(&report).unwrap());
    }
}
