//! Firewall rules out: one file for each target, one row of [`TARGETS`] each.
//!
//! A rule is made of addresses, port numbers and transports, which are numbers until they are written. Every other text,
//! wherever it comes from, goes through [`plain`] into a comment, so that nothing can end a comment or begin a rule.

mod asa;
mod iptables;
mod nft;
mod table;
mod windows;

use std::collections::BTreeSet;
use std::io;
use std::io::Write;

use ipnet::IpNet;

use crate::catalogue::Catalogue;
use crate::report::permits::End;
use crate::report::permits::Permit;
use crate::report::permits::Permits;
use crate::report::ranges::dashed;
use crate::report::sanitise::Shown;

/// Rows named in a comment.
const CITES_MAX: usize = 4;

/// What a target is written from.
pub struct Rules<'a> {
    /// What is to be let through.
    pub permits: &'a Permits,
    /// The documents, for what they are called and where rows stand in them.
    pub catalogue: &'a Catalogue,
    /// Who writes it: name and version.
    pub maker: String,
}

/// A kind of filter.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name on the command line.
    pub name: &'static str,
    /// Writes its rules. Fails only if the writer does.
    pub write: fn(&Rules<'_>, &mut dyn Write) -> io::Result<()>,
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target { name: "nft", write: nft::write },
    Target { name: "iptables", write: |rules, out| iptables::write(rules, true, out) },
    Target { name: "ip6tables", write: |rules, out| iptables::write(rules, false, out) },
    Target { name: "windows", write: windows::write },
    Target { name: "rpc-filter", write: windows::write_rpc_filter },
    Target { name: "asa", write: asa::write },
    Target { name: "csv", write: table::write },
];

/// The target of that name.
pub fn by_name(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// Text for a comment: letters, digits and harmless signs of ASCII, everything else as `_`, cut after so many.
fn plain(text: &str, chars_max: usize) -> String {
    let safe = |char: char| if char.is_ascii_alphanumeric() || " ./:,;()+-_*>".contains(char) { char } else { '_' };
    let mut kept: String = text.chars().take(chars_max).map(safe).collect();
    if text.chars().nth(chars_max).is_some() {
        kept.truncate(chars_max.saturating_sub(3));
        kept.push_str("...");
    }
    kept
}

/// What stands at the head of the rules, a line each.
fn head(rules: &Rules<'_>) -> Vec<String> {
    let mut lines = vec![format!("Written by {}", rules.maker)];
    lines.extend(rules.permits.origin.iter().cloned());
    lines.extend(rules.permits.left_out.iter().map(|what| format!("left out: {what}")));
    lines.iter().map(|line| plain(line, 400)).collect()
}

/// Why a permit is there, a line for each of its ports: the rows, and where in the documents the first of them stands.
fn reasons(rules: &Rules<'_>, permit: &Permit) -> Vec<String> {
    let line = |(ports, cites): &(Option<[u16; 2]>, BTreeSet<Shown>)| {
        let what = permit.transport.map_or("anything", |transport| transport.name());
        let ports = ports.map(|ends| format!("/{}", dashed(ends))).unwrap_or_default();
        let named: Vec<&str> = cites.iter().take(CITES_MAX).map(Shown::as_str).collect();
        let more = cites.len().saturating_sub(CITES_MAX);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let document = cites.first().and_then(|id| {
            let row = rules.catalogue.rows().iter().find(|row| row.id == id.as_str())?;
            Some(format!(" ({})", row.document))
        });
        plain(&format!("{what}{ports}: {}{more}{}", named.join(", "), document.unwrap_or_default()), 400)
    };
    permit.cites.iter().map(line).collect()
}

/// The rows of a permit in one line.
fn cited(permit: &Permit, chars_max: usize) -> String {
    let all: BTreeSet<&str> = permit.cites.iter().flat_map(|(_, cites)| cites).map(Shown::as_str).collect();
    let named: Vec<&str> = all.iter().take(CITES_MAX).copied().collect();
    let more = all.len().saturating_sub(CITES_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    plain(&format!("{}{more}", named.join(", ")), chars_max)
}

/// The addresses of a permit by IP version; `None` for every host.
struct Ends {
    v4: bool,
    from: Option<Vec<IpNet>>,
    to: Option<Vec<IpNet>>,
}

/// The versions of IP for which a permit lets something through.
fn versions(permit: &Permit) -> Vec<Ends> {
    versions_of(&permit.from, &permit.to)
}

fn versions_of(from: &End, to: &End) -> Vec<Ends> {
    let ends = |v4| Ends { v4, from: from.of_version(v4), to: to.of_version(v4) };
    let has = |end: &Option<Vec<IpNet>>| end.as_ref().is_none_or(|nets| !nets.is_empty());
    [ends(true), ends(false)].into_iter().filter(|ends| has(&ends.from) && has(&ends.to)).collect()
}

/// `10.0.0.10` for a single host, `10.0.5.0/24` for a prefix.
fn address(net: &IpNet) -> String {
    if net.prefix_len() == net.max_prefix_len() { net.addr().to_string() } else { net.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_stays_one() {
        let evil = "x\"; drop\n}\n-A INPUT -j ACCEPT # '$(reboot)` \u{202e}\r\n";
        let told = plain(evil, 400);
        assert!(told.chars().all(|char| char.is_ascii_alphanumeric() || " ./:,;()+-_*>".contains(char)), "{told}");
        assert_eq!(plain("abcdefgh", 6), "abc...");
        assert_eq!(plain("abcdef", 6), "abcdef");
    }
}
