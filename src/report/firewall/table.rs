//! CSV (RFC 4180): one line for each permit, for people and tools that make rules themselves.

use std::collections::BTreeSet;
use std::io;
use std::io::Write;

use crate::report::firewall::Rules;
use crate::report::firewall::address;
use crate::report::firewall::plain;
use crate::report::format::csv::cell;
use crate::report::permits::End;
use crate::report::permits::PortKind;
use crate::report::ranges::dashed;
use crate::report::sanitise::NAME_CHARS_MAX;
use crate::report::sanitise::Shown;

/// Writes the table.
///
/// # Errors
/// Those of the writer.
pub(super) fn write(rules: &Rules<'_>, out: &mut dyn Write) -> io::Result<()> {
    write!(out, "from,to,transport,ports,kind,rows,documents\r\n")?;
    for permit in rules.permits.grouped(true) {
        let rows: BTreeSet<&str> = permit.cites.iter().flat_map(|(_, cites)| cites).map(Shown::as_str).collect();
        let known = rules.catalogue.rows().iter().filter(|row| rows.contains(row.id.as_str()));
        let documents: BTreeSet<&str> = known.map(|row| row.document.as_str()).collect();
        let ports: Vec<String> = permit.ports.iter().map(|ends| dashed(*ends)).collect();
        let cells = [
            end(&permit.from),
            end(&permit.to),
            permit.transport.map_or("any", |transport| transport.name()).to_owned(),
            ports.join(" "),
            match permit.kind {
                PortKind::Fixed => "fixed",
                PortKind::Mapper => "rpc_mapper",
                PortKind::Dynamic => "rpc_dynamic",
            }
            .to_owned(),
            rows.into_iter().map(|row| plain(row, NAME_CHARS_MAX)).collect::<Vec<_>>().join(" "),
            documents.into_iter().collect::<Vec<_>>().join("; "),
        ];
        write!(out, "{}\r\n", cells.map(|text| cell(&text)).join(","))?;
    }
    Ok(())
}

fn end(end: &End) -> String {
    let nets = [true, false].into_iter().map(|v4| end.of_version(v4));
    let all: Option<Vec<String>> =
        nets.map(|nets| nets.map(|nets| nets.iter().map(address).collect::<Vec<_>>().join(" "))).collect();
    all.map_or_else(|| "any".to_owned(), |all| all.join(" ").trim().to_owned())
}
