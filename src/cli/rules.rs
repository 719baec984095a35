//! `portolan rules`: lists the rows, checks rule files, and explains which rows speak of a flow.
//!
//! Everything is written to the given output; what went wrong is handed back with its exit code.

use std::io;
use std::io::Write;
use std::net::IpAddr;
use std::path::Path;
use std::path::PathBuf;

use serde::Serialize;
use thiserror::Error;

use crate::catalogue::Catalogue;
use crate::catalogue::LoadOptions;
use crate::catalogue::fault::RuleFaults;
use crate::catalogue::fault::did_you_mean;
use crate::catalogue::load;
use crate::catalogue::policy::Judgement;
use crate::catalogue::policy::Row;
use crate::catalogue::policy::RowId;
use crate::catalogue::role::RoleId;
use crate::catalogue::role::RoleSet;
use crate::catalogue::service::Ports;
use crate::model::time::Timestamp;
use crate::model::transport::Transport;
use crate::report::format::csv::cell;
use crate::report::sanitise::Shown;

/// Why a `rules` command did not do what was asked.
#[derive(Debug, Error)]
pub enum RulesError {
    /// Rules, overlays or the site file are at fault, or cannot be read.
    #[error(transparent)]
    Faults(#[from] RuleFaults),
    /// An argument cannot be understood.
    #[error("{0}")]
    Argument(String),
    /// The output cannot be written.
    #[error("cannot write the output: {0}")]
    Write(#[from] io::Error),
}

impl RulesError {
    /// The exit code: 2 where rules or arguments are wrong, 4 where something cannot be read or written.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Faults(faults) if faults.is_unreadable() => 4,
            Self::Faults(_) | Self::Argument(_) => 2,
            Self::Write(_) => 4,
        }
    }
}

/// How rows are listed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ListFormat {
    /// For people.
    #[default]
    Text,
    /// An array with one object for each transport of a row.
    Json,
    /// The same with a header line, as RFC 4180 says.
    Csv,
}

impl ListFormat {
    /// The format of that name.
    pub fn by_name(name: &str) -> Option<Self> {
        match name {
            "text" => Some(Self::Text),
            "json" => Some(Self::Json),
            "csv" => Some(Self::Csv),
            _ => None,
        }
    }
}

/// One transport of a row. What rule files say in their own words is shown clean in every format.
#[derive(Serialize)]
struct Listed<'c> {
    id: &'c str,
    profile: &'c str,
    from: String,
    to: String,
    service: &'c str,
    title: Shown,
    transport: &'static str,
    ports: Vec<[u16; 2]>,
    dynamic: bool,
    /// RPC interfaces by name: such a row allows these on a dynamic port, and the port itself proves nothing.
    interfaces: Vec<&'c str>,
    purpose: Shown,
    document: Shown,
    note: Option<Shown>,
    /// Whether flows are judged by it; if not, the document prints it and asks for nothing.
    judges: bool,
}

/// What stands for the service and the transport of a row that allows everything between two roles.
const ANYTHING: &str = "any";

/// Lists every row of the active profiles, those that are only listed among them.
///
/// # Errors
/// Faults of the rules, or of the output.
pub fn list(options: &LoadOptions<'_>, format: ListFormat, out: &mut dyn Write) -> Result<(), RulesError> {
    let catalogue = load(options)?;
    let listed: Vec<Listed<'_>> =
        catalogue.rows().iter().filter(|row| row.active).flat_map(|row| listed(&catalogue, row)).collect();
    match format {
        ListFormat::Text => list_text(&catalogue, &listed, out)?,
        ListFormat::Json => list_json(&listed, out)?,
        ListFormat::Csv => list_csv(&listed, out)?,
    }
    Ok(())
}

fn listed<'c>(catalogue: &'c Catalogue, row: &'c Row) -> Vec<Listed<'c>> {
    let mut transports: Vec<Transport> = Vec::new();
    for ports in &row.ports {
        if !transports.contains(&ports.transport) {
            transports.push(ports.transport);
        }
    }
    let service = row.service.map(|service| catalogue.service(service));
    let of = |transport: Option<Transport>| {
        let here: Vec<Ports> = row.ports.iter().filter(|ports| Some(ports.transport) == transport).copied().collect();
        Listed {
            id: &row.id,
            profile: &row.profile,
            from: roles(catalogue, &row.from, ","),
            to: roles(catalogue, &row.to, ","),
            service: service.map_or(ANYTHING, |service| &service.id),
            title: Shown::text(service.map_or("Any service", |service| &service.title)),
            transport: transport.map_or(ANYTHING, Transport::name),
            dynamic: here.iter().any(|&ports| row.is_range(ports)),
            ports: here
                .iter()
                .filter(|ports| ports.transport.has_ports())
                .map(|ports| [ports.low, ports.high])
                .collect(),
            interfaces: row
                .interfaces
                .iter()
                .filter_map(|uuid| catalogue.interface(*uuid))
                .map(|interface| interface.name.as_str())
                .collect(),
            purpose: Shown::text(&row.purpose),
            document: Shown::text(&row.document),
            note: row.note.as_deref().map(Shown::text),
            judges: row.judges(),
        }
    };
    if transports.is_empty() {
        vec![of(None)]
    } else {
        transports.into_iter().map(|transport| of(Some(transport))).collect()
    }
}

fn roles(catalogue: &Catalogue, roles: &[RoleId], between: &str) -> String {
    roles.iter().map(|&role| catalogue.role_name(role)).collect::<Vec<_>>().join(between)
}

fn range([low, high]: [u16; 2]) -> String {
    if low == high { low.to_string() } else { format!("{low}-{high}") }
}

fn list_text(catalogue: &Catalogue, rows: &[Listed<'_>], out: &mut dyn Write) -> io::Result<()> {
    for (number, profile) in catalogue.profiles().enumerate() {
        if number > 0 {
            writeln!(out)?;
        }
        writeln!(out, "{}: {}", profile.id, Shown::text(&profile.title))?;
        writeln!(out, "  {}", Shown::text(&profile.document))?;
        let of_profile = || rows.iter().filter(|row| row.profile == profile.id);
        let width = of_profile().map(|row| row.id.len()).max().unwrap_or(0);
        for row in of_profile() {
            let ports: Vec<String> = row.ports.iter().map(|&ports| range(ports)).collect();
            let at = if ports.is_empty() {
                row.transport.to_owned()
            } else {
                format!("{}/{}", row.transport, ports.join(","))
            };
            let Listed { id, from, to, title, purpose, document, .. } = row;
            let only =
                if row.interfaces.is_empty() { String::new() } else { format!(" ({})", row.interfaces.join(", ")) };
            let standing = if row.judges { "" } else { " (listed only)" };
            writeln!(out, "  {id:<width$}  {at:<18} {from} -> {to}: {title}{only}. {purpose} [{document}]{standing}")?;
        }
    }
    Ok(())
}

fn list_json(rows: &[Listed<'_>], out: &mut dyn Write) -> io::Result<()> {
    let mut before = "[\n  ";
    for row in rows {
        out.write_all(before.as_bytes())?;
        serde_json::to_writer(&mut *out, row)?;
        before = ",\n  ";
    }
    out.write_all(if rows.is_empty() { b"[]\n" } else { b"\n]\n" })
}

fn list_csv(rows: &[Listed<'_>], out: &mut dyn Write) -> io::Result<()> {
    out.write_all(
        b"id,profile,from,to,service,title,transport,ports,dynamic,interfaces,purpose,document,note,judges\r\n",
    )?;
    for row in rows {
        let ports: Vec<String> = row.ports.iter().map(|&ports| range(ports)).collect();
        let fields = [
            row.id,
            row.profile,
            &row.from,
            &row.to,
            row.service,
            row.title.as_str(),
            row.transport,
            &ports.join(" "),
            if row.dynamic { "true" } else { "false" },
            &row.interfaces.join(" "),
            row.purpose.as_str(),
            row.document.as_str(),
            row.note.as_ref().map(Shown::as_str).unwrap_or_default(),
            if row.judges { "true" } else { "false" },
        ];
        write!(out, "{}\r\n", fields.map(cell).join(","))?;
    }
    Ok(())
}

/// Checks the embedded rules, with a rule file or a folder of them and a site file over them where they are given.
/// Warnings and a line that counts what was checked are written out.
///
/// # Errors
/// Every fault at once.
pub fn check(over: Option<&Path>, site: Option<&Path>, out: &mut dyn Write) -> Result<(), RulesError> {
    let overlays: Vec<PathBuf> = over.map(Path::to_path_buf).into_iter().collect();
    let catalogue = load(&LoadOptions { overlays: &overlays, site, profiles: &[] })?;
    if !catalogue.warnings().is_empty() {
        writeln!(out, "{}\n", catalogue.warnings())?;
    }
    let (rows, services, roles) = (catalogue.rows().len(), catalogue.services().len(), catalogue.roles().len());
    let (interfaces, warnings) = (catalogue.interfaces().len(), catalogue.warnings().faults().len());
    let warnings = if warnings == 1 { "1 warning".to_owned() } else { format!("{warnings} warnings") };
    writeln!(out, "{rows} rows, {services} services, {roles} roles and {interfaces} interfaces: no error, {warnings}")?;
    Ok(())
}

/// One end of a flow that is asked about.
struct End<'a> {
    text: &'a str,
    ip: Option<IpAddr>,
    roles: RoleSet,
}

/// Explains which rows speak of a flow from `src` to `dst`, each an address or a role, over `service` (`389/tcp` or
/// `icmp`), and which do not and why.
///
/// # Errors
/// Faults of the rules or the site file, an argument that says nothing, or an output that cannot be written.
pub fn explain(
    options: &LoadOptions<'_>,
    src: &str,
    dst: &str,
    service: &str,
    out: &mut dyn Write,
) -> Result<(), RulesError> {
    let catalogue = load(options)?;
    let (from, to) = (end(&catalogue, src)?, end(&catalogue, dst)?);
    let wanted = one_port(service)?;
    let (transport, port) = (wanted.transport, wanted.low);
    let judgement = catalogue.judge(from.roles, to.roles, transport, port);
    let service = catalogue.service_at(transport, port).map(|id| catalogue.service(id));
    let title = service.map_or("a port that no service has", |service| &service.title);
    let title = Shown::text(title);
    let shown = if transport.has_ports() { format!("{transport}/{port}") } else { transport.to_string() };
    writeln!(out, "{} to {}, {shown}: {title}", describe(&catalogue, &from), describe(&catalogue, &to))?;
    let covers = |row: &&Row| row.ports.iter().any(|ports| ports.cover(transport, port));
    let of_interfaces = catalogue.rows().iter().filter(|row| row.judges() && !row.interfaces.is_empty());
    let fit = |row: &&Row| {
        let fits = |one: &End<'_>, other: &End<'_>| fits(&row.from, one) && fits(&row.to, other);
        fits(&from, &to) || (row.bidirectional && fits(&to, &from))
    };
    let (interfaces, others): (Vec<&Row>, Vec<&Row>) = of_interfaces.filter(covers).partition(fit);
    let word = in_a_word(&catalogue, &judgement, !interfaces.is_empty(), &from, &to, wanted);
    writeln!(out, "{word}")?;
    if let (Some(from_ip), Some(to_ip)) = (from.ip, to.ip) {
        let found = catalogue.exception(from_ip, to_ip, from.roles, to.roles, transport, port, Timestamp::default());
        if let Some(exception) = found {
            let until = exception.until.as_ref().map(|until| format!(" (until {until})")).unwrap_or_default();
            writeln!(out, "The site file accepts it: {}{until}", Shown::text(&exception.reason))?;
        }
    }
    let mut section = |heading: &str, rows: &[RowId], why: &dyn Fn(&Row) -> String| {
        let rows: Vec<&Row> = rows.iter().map(|&row| catalogue.row(row)).collect();
        write_rows(&catalogue, heading, &rows, why, out)
    };
    let plain = |_: &Row| String::new();
    section("Rows that allow it", &judgement.exact, &plain)?;
    section("Rows that allow everything between the two", &judgement.between, &plain)?;
    section("Rows that allow it beside another flow", &judgement.related, &|row| beside(&catalogue, row))?;
    section("Rows that cover it by a range only, which proves nothing by itself", &judgement.range, &plain)?;
    section("Rows that allow it the other way round", &judgement.reverse, &plain)?;
    section("Rows that name the port for other hosts", &judgement.other_roles, &|row| {
        misfit(&catalogue, row, &from, &to)
    })?;
    let named = |row: &Row| format!("for {}", interface_names(&catalogue, row));
    write_rows(&catalogue, "Rows that allow RPC interfaces there", &interfaces, &named, out)?;
    let named_elsewhere =
        |row: &Row| format!("for {}: {}", interface_names(&catalogue, row), misfit(&catalogue, row, &from, &to));
    write_rows(&catalogue, "Rows that allow RPC interfaces there to other hosts", &others, &named_elsewhere, out)?;
    let idle: Vec<&Row> = catalogue.rows().iter().filter(|row| !row.judges()).filter(covers).collect();
    write_rows(&catalogue, "Rows that cover the port and judge nothing", &idle, &idleness, out)?;
    Ok(())
}

fn end<'a>(catalogue: &Catalogue, text: &'a str) -> Result<End<'a>, RulesError> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok(End { text, ip: Some(ip), roles: catalogue.closure(catalogue.site_roles(ip)) });
    }
    if let Some(role) = catalogue.role_by_id(text) {
        let roles = if role == RoleId::ANY { RoleSet::EMPTY } else { catalogue.closure(RoleSet::of(role)) };
        return Ok(End { text, ip: None, roles });
    }
    let hint = did_you_mean(text, catalogue.roles().iter().map(|role| role.id.as_str()));
    let hint = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
    Err(RulesError::Argument(format!("`{text}` is neither an address nor a role{hint}")))
}

/// Reads `389/tcp`, `tcp/389` or `icmp`.
fn one_port(text: &str) -> Result<Ports, RulesError> {
    let turned = match text.split_once('/') {
        Some((port, transport)) if Transport::by_name(&transport.to_ascii_lowercase()).is_some() => {
            format!("{transport}/{port}")
        }
        _ => text.to_owned(),
    };
    match Ports::parse(&turned) {
        Ok(ports) if ports.width() == 0 || !ports.transport.has_ports() => Ok(ports),
        Ok(_) => Err(RulesError::Argument(format!("`{text}` is more than one port"))),
        Err((message, _)) => Err(RulesError::Argument(format!("{message}; write `389/tcp` or `icmp`"))),
    }
}

fn describe(catalogue: &Catalogue, end: &End<'_>) -> String {
    let named =
        end.ip.and_then(|ip| catalogue.site_name(ip)).map(|name| format!(" {}", Shown::name(name))).unwrap_or_default();
    let roles = roles(catalogue, &end.roles.iter().collect::<Vec<_>>(), ", ");
    let roles = if roles.is_empty() { "no known role" } else { &roles };
    if end.ip.is_none() && end.roles.iter().count() < 2 {
        end.text.to_owned()
    } else {
        format!("{}{named} ({roles})", end.text)
    }
}

fn in_a_word(
    catalogue: &Catalogue,
    judgement: &Judgement,
    for_interfaces: bool,
    from: &End<'_>,
    to: &End<'_>,
    wanted: Ports,
) -> String {
    let unknown = roles_to_learn(catalogue, judgement, from, to, wanted);
    if !judgement.exact.is_empty() || !judgement.between.is_empty() {
        "The documents allow it.".to_owned()
    } else if !judgement.related.is_empty() {
        "The documents allow it beside another flow of the same two hosts.".to_owned()
    } else if let [end] = unknown.as_slice() {
        format!("No row fits as long as {end} has no known role; a site file can give it one.")
    } else if let [one, other] = unknown.as_slice() {
        format!("No row fits as long as {one} and {other} have no known role; a site file can give them one.")
    } else if !judgement.reverse.is_empty() {
        "The documents allow it in the other direction only.".to_owned()
    } else if judgement.known_port {
        "The documents name the port, and not for these two.".to_owned()
    } else if !judgement.range.is_empty() {
        "Only a wide range covers it.".to_owned()
    } else if for_interfaces {
        "Only for certain RPC interfaces.".to_owned()
    } else {
        "No document speaks of it.".to_owned()
    }
}

/// The hosts without a role that keep the nearest row from fitting: that which the fewest ends miss. None where no
/// more roles would help.
fn roles_to_learn<'a>(
    catalogue: &Catalogue,
    judgement: &Judgement,
    from: &End<'a>,
    to: &End<'a>,
    wanted: Ports,
) -> Vec<&'a str> {
    // Where a range fits already, only a row that names the port would say more.
    let names = |row: &Row, ports: Ports| {
        ports.cover(wanted.transport, wanted.low) && (judgement.range.is_empty() || !row.is_range(ports))
    };
    let near = catalogue.rows().iter().filter(|row| row.judges() && row.ports.iter().any(|&ports| names(row, ports)));
    near.map(|row| [(&row.from, from), (&row.to, to)].into_iter().filter(|(wanted, end)| !fits(wanted, end)))
        .map(|missed| missed.map(|(_, end)| end).collect::<Vec<_>>())
        .filter(|missed| !missed.is_empty() && missed.iter().all(|end| end.ip.is_some() && end.roles.is_empty()))
        .min_by_key(Vec::len)
        .map(|missed| missed.iter().map(|end| end.text).collect())
        .unwrap_or_default()
}

/// Whether the end has one of the roles that a row wants.
fn fits(wanted: &[RoleId], end: &End<'_>) -> bool {
    wanted.iter().any(|&role| role == RoleId::ANY || end.roles.contains(role))
}

fn write_rows(
    catalogue: &Catalogue,
    heading: &str,
    rows: &[&Row],
    why: &dyn Fn(&Row) -> String,
    out: &mut dyn Write,
) -> io::Result<()> {
    if !rows.is_empty() {
        writeln!(out, "\n{heading}:")?;
    }
    for row in rows {
        let ports: Vec<String> = row.ports.iter().map(ToString::to_string).collect();
        let (from, to) = (roles(catalogue, &row.from, ","), roles(catalogue, &row.to, ","));
        writeln!(out, "  {}  {from} -> {to}  {}", row.id, ports.join(" "))?;
        writeln!(out, "    {} [{}]", Shown::text(&row.purpose), Shown::text(&row.document))?;
        let why = why(row);
        if !why.is_empty() {
            writeln!(out, "    {why}")?;
        }
    }
    Ok(())
}

fn idleness(row: &Row) -> String {
    let why = if row.active {
        "only listed: the document prints it and asks for nothing"
    } else {
        "its profile is not active"
    };
    why.to_owned()
}

fn interface_names(catalogue: &Catalogue, row: &Row) -> String {
    let name = |uuid| catalogue.interface(uuid).map_or_else(|| format!("{uuid}"), |known| known.name.clone());
    row.interfaces.iter().map(|&uuid| name(uuid)).collect::<Vec<_>>().join(", ")
}

fn beside(catalogue: &Catalogue, row: &Row) -> String {
    let ids: Vec<&str> = row.related.iter().map(|&id| catalogue.service(id).id.as_str()).collect();
    format!("only beside a flow of {}", ids.join(" or "))
}

/// Which end is not what the row wants.
fn misfit(catalogue: &Catalogue, row: &Row, from: &End<'_>, to: &End<'_>) -> String {
    let wants = |wanted: &[RoleId], end: &End<'_>| {
        (!fits(wanted, end)).then(|| format!("{} is not known as {}", end.text, roles(catalogue, wanted, " or ")))
    };
    [wants(&row.from, from), wants(&row.to, to)].into_iter().flatten().collect::<Vec<_>>().join(", ")
}
