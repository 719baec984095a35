//! nftables: a table of its own for the traffic that a firewall forwards (nft(8)).

use std::io;
use std::io::Write;

use ipnet::IpNet;

use crate::model::transport::Transport;
use crate::report::firewall::Ends;
use crate::report::firewall::Rules;
use crate::report::firewall::address;
use crate::report::firewall::cited;
use crate::report::firewall::head;
use crate::report::firewall::reasons;
use crate::report::firewall::versions;
use crate::report::permits::Permit;
use crate::report::ranges::dashed;

/// A comment in a rule may have 128 bytes, its end among them.
const COMMENT_CHARS: usize = 120;

/// Writes the rules.
///
/// # Errors
/// Those of the writer.
pub(super) fn write(rules: &Rules<'_>, out: &mut dyn Write) -> io::Result<()> {
    head(rules).iter().try_for_each(|line| writeln!(out, "# {line}"))?;
    writeln!(out, "# Everything that no rule lets through is dropped.\n")?;
    writeln!(out, "add table inet portolan\ndelete table inet portolan\n")?;
    writeln!(out, "table inet portolan {{\n\tchain forward {{")?;
    writeln!(out, "\t\ttype filter hook forward priority filter; policy drop;")?;
    writeln!(out, "\t\tct state established,related accept")?;
    for permit in rules.permits.grouped(false) {
        writeln!(out)?;
        reasons(rules, &permit).iter().try_for_each(|line| writeln!(out, "\t\t# {line}"))?;
        for ends in versions(&permit) {
            writeln!(out, "\t\t{}", rule(&permit, &ends))?;
        }
    }
    writeln!(out, "\t}}\n}}")
}

fn rule(permit: &Permit, ends: &Ends) -> String {
    let family = if ends.v4 { "ip" } else { "ip6" };
    let mut words = Vec::new();
    if ends.from.is_none() && ends.to.is_none() {
        words.push(format!("meta nfproto {}", if ends.v4 { "ipv4" } else { "ipv6" }));
    }
    words.extend(ends.from.as_deref().map(|nets| format!("{family} saddr {}", set(nets.iter().map(address)))));
    words.extend(ends.to.as_deref().map(|nets: &[IpNet]| format!("{family} daddr {}", set(nets.iter().map(address)))));
    words.extend(match permit.transport {
        None => None,
        Some(Transport::Icmp) if ends.v4 => Some("icmp type echo-request".to_owned()),
        Some(Transport::Icmp) => Some("icmpv6 type echo-request".to_owned()),
        Some(transport) if transport.has_ports() => {
            Some(format!("{transport} dport {}", set(permit.ports.iter().copied().map(dashed))))
        }
        // By number: names come from a file that may not be there.
        Some(transport) => Some(format!("meta l4proto {}", transport as u8)),
    });
    format!("{} accept comment \"{}\"", words.join(" "), cited(permit, COMMENT_CHARS))
}

fn set(items: impl Iterator<Item = String>) -> String {
    let items: Vec<String> = items.collect();
    if items.len() == 1 { items.concat() } else { format!("{{ {} }}", items.join(", ")) }
}
