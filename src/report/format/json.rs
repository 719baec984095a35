//! JSON: the whole report, one line for each host, pair and finding, so that two reports can be compared line by line.

use std::io;
use std::io::Write;

use serde::Serialize;
use serde_json::ser::Formatter;
use serde_json::ser::Serializer;

use crate::report::Report;
use crate::report::counts::Counts;
use crate::report::format::pen;
use crate::report::pairs::Pair;
use crate::report::pairs::PairService;

/// How much is gathered before it is handed on.
const GATHERED: usize = 1 << 16;

/// Writes the report.
///
/// # Errors
/// Those of the writer.
pub fn write(report: &Report<'_>, out: &mut dyn Write) -> io::Result<()> {
    let mut page = Page { gathered: Vec::with_capacity(GATHERED + (GATHERED >> 2)), out, first: true };
    page.gathered.push(b'{');
    page.field("schema", &report.schema)?;
    page.field("tool", &report.tool)?;
    page.field("run", &report.run)?;
    page.field("health", &report.health)?;
    page.field("hosts", &report.hosts)?;
    page.list("pairs", report.pairs.iter(), |pair, out| {
        write_pair(pair, out);
        Ok(())
    })?;
    page.list("findings", report.findings.iter(), |finding, out| {
        Ok(finding.serialize(&mut Serializer::with_formatter(out, Lines::inside()))?)
    })?;
    page.field("rpc_endpoints", &report.rpc_endpoints)?;
    page.field("readiness", &report.readiness)?;
    page.field("readiness_pairs", &report.readiness_pairs)?;
    page.field("readiness_cut", &report.readiness_cut)?;
    page.field("ranges", &report.ranges)?;
    if let Some(vantage) = &report.vantage {
        page.field("vantage", vantage)?;
    }
    page.gathered.extend_from_slice(b"\n}\n");
    page.out.write_all(&page.gathered)
}

/// The report's object. What few reports have much of is left to the library.
struct Page<'a> {
    gathered: Vec<u8>,
    out: &'a mut dyn Write,
    first: bool,
}

impl Page<'_> {
    fn key(&mut self, key: &str) {
        if !std::mem::take(&mut self.first) {
            self.gathered.push(b',');
        }
        self.gathered.extend_from_slice(b"\n  \"");
        self.gathered.extend_from_slice(key.as_bytes());
        self.gathered.extend_from_slice(b"\": ");
    }

    fn field<T: Serialize>(&mut self, key: &str, value: &T) -> io::Result<()> {
        self.key(key);
        value.serialize(&mut Serializer::with_formatter(&mut self.gathered, Lines::at(1)))?;
        self.hand_on()
    }

    /// A list with a line for each item.
    fn list<T>(
        &mut self,
        key: &str,
        items: impl Iterator<Item = T>,
        mut write: impl FnMut(T, &mut Vec<u8>) -> io::Result<()>,
    ) -> io::Result<()> {
        self.key(key);
        self.gathered.push(b'[');
        let mut empty = true;
        for item in items {
            self.gathered.extend_from_slice(if empty { b"\n    " } else { b",\n    " });
            empty = false;
            write(item, &mut self.gathered)?;
            self.hand_on()?;
        }
        self.gathered.extend_from_slice(if empty { b"]" } else { b"\n  ]" });
        Ok(())
    }

    fn hand_on(&mut self) -> io::Result<()> {
        if self.gathered.len() >= GATHERED {
            self.out.write_all(&self.gathered)?;
            self.gathered.clear();
        }
        Ok(())
    }
}

fn write_pair(pair: Pair<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"client\": ");
    pen::party(out, pair.client);
    out.extend_from_slice(b", \"server\": ");
    pen::party(out, pair.server);
    out.extend_from_slice(b", \"worst\": ");
    pen::text(out, pair.worst.name());
    out.extend_from_slice(b", \"services\": [");
    for (at, service) in pair.services().enumerate() {
        if at > 0 {
            out.extend_from_slice(b", ");
        }
        write_service(&service, out);
    }
    out.extend_from_slice(b"]}");
}

fn write_service(service: &PairService<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"service\": ");
    pen::text(out, service.service.as_str());
    out.extend_from_slice(b", \"title\": ");
    pen::text(out, service.title.as_str());
    out.extend_from_slice(b", \"transport\": ");
    pen::text(out, service.transport);
    out.extend_from_slice(b", \"ports\": [");
    for (at, port) in service.ports.iter().enumerate() {
        if at > 0 {
            out.extend_from_slice(b", ");
        }
        pen::number(out, u64::from(*port));
    }
    out.extend_from_slice(b"], \"flows\": ");
    pen::number(out, service.flows);
    out.extend_from_slice(b", \"outcomes\": ");
    write_counts(&service.outcomes, out);
    out.extend_from_slice(b", \"standings\": ");
    write_counts(&service.standings, out);
    out.extend_from_slice(b", \"packets_to_server\": ");
    pen::number(out, service.packets_to_server);
    out.extend_from_slice(b", \"packets_to_client\": ");
    pen::number(out, service.packets_to_client);
    out.extend_from_slice(b", \"bytes_to_server\": ");
    pen::number(out, service.bytes_to_server);
    out.extend_from_slice(b", \"bytes_to_client\": ");
    pen::number(out, service.bytes_to_client);
    out.extend_from_slice(b", \"first\": ");
    pen::moment(out, service.first);
    out.extend_from_slice(b", \"last\": ");
    pen::moment(out, service.last);
    out.extend_from_slice(b", \"handshake_us\": ");
    if let Some(us) = service.handshake_us {
        out.extend_from_slice(b"{\"count\": ");
        pen::number(out, us.count);
        out.extend_from_slice(b", \"p50\": ");
        pen::number(out, us.p50);
        out.extend_from_slice(b", \"p99\": ");
        pen::number(out, us.p99);
        out.extend_from_slice(b", \"max\": ");
        pen::number(out, us.max);
        out.push(b'}');
    } else {
        out.extend_from_slice(b"null");
    }
    out.extend_from_slice(b", \"worst\": ");
    pen::text(out, service.worst.name());
    out.push(b'}');
}

fn write_counts(counts: &Counts, out: &mut Vec<u8>) {
    out.push(b'{');
    for (at, (word, number)) in counts.iter().enumerate() {
        if at > 0 {
            out.extend_from_slice(b", ");
        }
        pen::text(out, word);
        out.extend_from_slice(b": ");
        pen::number(out, number);
    }
    out.push(b'}');
}

/// Nesting that gets lines of its own: the report's fields, and what is in them.
const DEPTH_MAX: usize = 2;

/// Breaks lines down to [`DEPTH_MAX`], and nowhere below.
struct Lines {
    depth: usize,
    empty: bool,
}

impl Lines {
    /// Inside of so many brackets.
    fn at(depth: usize) -> Self {
        Self { depth, empty: false }
    }

    /// Where nothing gets a line of its own.
    fn inside() -> Self {
        Self::at(DEPTH_MAX)
    }

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
        assert!(page.contains("\n  \"rpc_endpoints\": [],\n  \"readiness\": [\n    {\"profile\": \"site\", "));
        assert!(page.ends_with("\n}\n"));
        let value: serde_json::Value = serde_json::from_str(&page).unwrap();
        assert_eq!(value, serde_json::to_value(&report).unwrap());
    }
}
