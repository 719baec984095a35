//! iptables and ip6tables: what iptables-restore(8) reads, for the traffic that a firewall forwards.

use std::io;
use std::io::Write;

use ipnet::IpNet;

use crate::model::transport::Transport;
use crate::report::firewall::Rules;
use crate::report::firewall::address;
use crate::report::firewall::cited;
use crate::report::firewall::head;
use crate::report::firewall::reasons;
use crate::report::firewall::versions;
use crate::report::permits::Permit;

/// A comment may have 256 bytes, its end among them.
const COMMENT_CHARS: usize = 240;

/// Places of the multiport match; a range takes two.
const PLACES_MAX: usize = 15;

/// Writes the rules of one IP version.
///
/// # Errors
/// Those of the writer.
pub(super) fn write(rules: &Rules<'_>, v4: bool, out: &mut dyn Write) -> io::Result<()> {
    head(rules).iter().try_for_each(|line| writeln!(out, "# {line}"))?;
    let (own, other) = if v4 { ("IPv4", "ip6tables") } else { ("IPv6", "iptables") };
    writeln!(out, "# {own} only: see --to {other}. Everything forwarded that no rule lets through is dropped.")?;
    writeln!(out, "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n:PORTOLAN - [0:0]")?;
    writeln!(out, "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n-A FORWARD -j PORTOLAN")?;
    for permit in rules.permits.grouped(false) {
        let Some(ends) = versions(&permit).into_iter().find(|ends| ends.v4 == v4) else { continue };
        reasons(rules, &permit).iter().try_for_each(|line| writeln!(out, "# {line}"))?;
        for from in each(ends.from.as_deref(), "-s") {
            for to in each(ends.to.as_deref(), "-d") {
                for what in matches(&permit, v4) {
                    let comment = cited(&permit, COMMENT_CHARS);
                    writeln!(out, "-A PORTOLAN{from}{to}{what} -m comment --comment \"{comment}\" -j ACCEPT")?;
                }
            }
        }
    }
    writeln!(out, "COMMIT")
}

/// The addresses one by one, as the tool would take them apart itself.
fn each(nets: Option<&[IpNet]>, option: &str) -> Vec<String> {
    nets.map_or_else(
        || vec![String::new()],
        |nets| nets.iter().map(|net| format!(" {option} {}", address(net))).collect(),
    )
}

fn matches(permit: &Permit, v4: bool) -> Vec<String> {
    match permit.transport {
        None => vec![String::new()],
        Some(Transport::Icmp) if v4 => vec![" -p icmp -m icmp --icmp-type echo-request".to_owned()],
        Some(Transport::Icmp) => vec![" -p ipv6-icmp -m icmp6 --icmpv6-type echo-request".to_owned()],
        Some(transport) if transport.has_ports() => {
            let lists = port_lists(&permit.ports);
            lists.iter().map(|ports| format!(" -p {transport} -m multiport --dports {ports}")).collect()
        }
        Some(transport) => vec![format!(" -p {}", transport as u8)],
    }
}

/// The ports in lists that one match has room for.
fn port_lists(ports: &[[u16; 2]]) -> Vec<String> {
    let mut lists: Vec<(usize, Vec<String>)> = Vec::new();
    for &[low, high] in ports {
        let (places, text) = if low == high { (1, low.to_string()) } else { (2, format!("{low}:{high}")) };
        match lists.last_mut() {
            Some((taken, list)) if *taken + places <= PLACES_MAX => {
                *taken += places;
                list.push(text);
            }
            _ => lists.push((places, vec![text])),
        }
    }
    lists.into_iter().map(|(_, list)| list.join(",")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_match_has_fifteen_places() {
        let singles: Vec<[u16; 2]> = (0..14).map(|number| [number * 2 + 1; 2]).collect();
        assert_eq!(port_lists(&singles).len(), 1);
        let with_range: Vec<[u16; 2]> = singles.iter().copied().chain([[100, 200]]).collect();
        let lists = port_lists(&with_range);
        assert_eq!((lists.len(), lists.last().map(String::as_str)), (2, Some("100:200")));
    }
}
