//! Cisco ASA: object groups and one access list, to be bound to an interface by hand.

use std::io;
use std::io::Write;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::model::transport::Transport;
use crate::report::firewall::Rules;
use crate::report::firewall::head;
use crate::report::firewall::plain;
use crate::report::firewall::reasons;
use crate::report::permits::End;
use crate::report::permits::Permit;
use crate::report::permits::PortKind;

/// Longest remark.
const REMARK_CHARS: usize = 100;

/// Writes the rules.
///
/// # Errors
/// Those of the writer.
pub(super) fn write(rules: &Rules<'_>, out: &mut dyn Write) -> io::Result<()> {
    head(rules).iter().try_for_each(|line| writeln!(out, "! {line}"))?;
    let permits = rules.permits.grouped(false);
    let dynamic = rules.permits.grouped(true).iter().any(|permit| permit.kind == PortKind::Dynamic);
    if dynamic {
        writeln!(
            out,
            "! Dynamic RPC ports change when a server starts again. inspect dcerpc in the policy map opens those"
        )?;
        writeln!(out, "! that the endpoint mapper hands out, and makes the permits of single dynamic ports needless.")?;
    }
    for (number, permit) in (1..).zip(&permits) {
        let from = group(out, number, "FROM", &permit.from)?;
        let to = group(out, number, "TO", &permit.to)?;
        for line in reasons(rules, permit) {
            writeln!(out, "access-list PORTOLAN remark {}", plain(&line, REMARK_CHARS))?;
        }
        for what in services(out, number, permit)? {
            let (protocol, rest) = what;
            writeln!(out, "access-list PORTOLAN extended permit {protocol} {from} {to}{rest}")?;
        }
    }
    writeln!(out, "access-list PORTOLAN extended deny ip any any")
}

/// Writes the group of one end, and gives what an access list calls it.
fn group(out: &mut dyn Write, number: u32, side: &str, end: &End) -> io::Result<String> {
    if *end == End::Any {
        return Ok("any".to_owned());
    }
    writeln!(out, "object-group network PORTOLAN-{number}-{side}")?;
    for net in [true, false].into_iter().filter_map(|v4| end.of_version(v4)).flatten() {
        writeln!(out, " network-object {}", object(&net))?;
    }
    Ok(format!("object-group PORTOLAN-{number}-{side}"))
}

fn object(net: &IpNet) -> String {
    match net {
        net if net.prefix_len() == net.max_prefix_len() => format!("host {}", net.addr()),
        IpNet::V4(v4) => format!("{} {}", v4.network(), IpAddr::V4(v4.netmask())),
        IpNet::V6(v6) => v6.to_string(),
    }
}

/// The protocol and what follows the addresses, once for each line that is needed.
fn services(out: &mut dyn Write, number: u32, permit: &Permit) -> io::Result<Vec<(String, String)>> {
    let line = |protocol: &str, rest: &str| (protocol.to_owned(), rest.to_owned());
    let Some(transport) = permit.transport else { return Ok(vec![line("ip", "")]) };
    if transport == Transport::Icmp {
        return Ok(vec![line("icmp", " echo"), line("icmp6", " echo-request")]);
    }
    if !transport.has_ports() {
        return Ok(vec![line(transport.name(), "")]);
    }
    writeln!(out, "object-group service PORTOLAN-{number}-PORTS {transport}")?;
    for [low, high] in &permit.ports {
        if low == high {
            writeln!(out, " port-object eq {low}")?;
        } else {
            writeln!(out, " port-object range {low} {high}")?;
        }
    }
    Ok(vec![line(transport.name(), &format!(" object-group PORTOLAN-{number}-PORTS"))])
}
