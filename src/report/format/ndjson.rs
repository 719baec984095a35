//! NDJSON: one flow a line, in the order they began. Nothing is held back: lines leave as flows are judged.

use std::io;
use std::io::Write;

use crate::classify::judge::Collapse;
use crate::classify::judge::Judged;
use crate::report::flow_record::FlowRecord;
use crate::report::format::Pages;
use crate::report::names::Names;

/// Writes every flow of the judge.
///
/// # Errors
/// Those of the writer.
pub fn write(pages: &Pages<'_>, out: &mut dyn Write) -> io::Result<()> {
    let names = Names::new(pages.catalogue, pages.judge.hosts(), &pages.report.run);
    write_flows(pages.judge.flows(), pages.judge.collapses(), &names, out)
}

fn write_flows<'f>(
    flows: impl Iterator<Item = Judged<'f>>,
    collapses: &[Collapse],
    names: &Names<'_>,
    out: &mut dyn Write,
) -> io::Result<()> {
    for flow in flows {
        serde_json::to_writer(&mut *out, &FlowRecord::of(&flow, collapses, names))?;
        out.write_all(b"\n")?;
    }
    Ok(())
}
