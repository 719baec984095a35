//! Windows Firewall: inbound rules for the servers themselves, in PowerShell (`New-NetFirewallRule`), with its keywords
//! for RPC; and RPC filters (`netsh rpc filter`), which allow interfaces instead of ports.

use std::io;
use std::io::Write;

use ipnet::IpNet;

use crate::model::transport::Transport;
use crate::report::firewall::Ends;
use crate::report::firewall::Rules;
use crate::report::firewall::address;
use crate::report::firewall::cited;
use crate::report::firewall::head;
use crate::report::firewall::plain;
use crate::report::firewall::reasons;
use crate::report::firewall::versions;
use crate::report::firewall::versions_of;
use crate::report::permits::Permit;
use crate::report::permits::PortKind;
use crate::report::ranges::dashed;
use crate::report::sanitise::Shown;

/// Longest description.
const DESCRIPTION_CHARS: usize = 400;

/// Writes the rules.
///
/// # Errors
/// Those of the writer.
pub(super) fn write(rules: &Rules<'_>, out: &mut dyn Write) -> io::Result<()> {
    head(rules).iter().try_for_each(|line| writeln!(out, "# {line}"))?;
    writeln!(
        out,
        "# Run it on the servers: each rule is for the addresses of its own server, and does nothing elsewhere."
    )?;
    writeln!(out, "# Whether anything else is let in is up to the other rules of that server.")?;
    writeln!(out, "Remove-NetFirewallRule -Group 'portolan' -ErrorAction SilentlyContinue")?;
    let mut number = 0;
    for permit in rules.permits.grouped(true) {
        writeln!(out)?;
        reasons(rules, &permit).iter().try_for_each(|line| writeln!(out, "# {line}"))?;
        for ends in versions(&permit) {
            number += 1;
            let what = protocol(&permit, ends.v4);
            let (local, remote) = (addresses(ends.to.as_deref()), addresses(ends.from.as_deref()));
            let told = cited(&permit, DESCRIPTION_CHARS);
            writeln!(
                out,
                "New-NetFirewallRule -Group 'portolan' -DisplayName 'portolan {number}' -Description '{told}' \
                 -Direction Inbound -Action Allow -Profile Any{what}{local}{remote}",
                local = local.map(|local| format!(" -LocalAddress {local}")).unwrap_or_default(),
                remote = remote.map(|remote| format!(" -RemoteAddress {remote}")).unwrap_or_default(),
            )?;
        }
    }
    Ok(())
}

fn protocol(permit: &Permit, v4: bool) -> String {
    let Some(transport) = permit.transport else { return " -Protocol Any".to_owned() };
    match (transport, permit.kind) {
        // ICMP type 8 and ICMPv6 type 128: echo request (RFC 792, RFC 4443).
        (Transport::Icmp, _) if v4 => " -Protocol ICMPv4 -IcmpType 8".to_owned(),
        (Transport::Icmp, _) => " -Protocol ICMPv6 -IcmpType 128".to_owned(),
        (Transport::Tcp, PortKind::Mapper) => " -Protocol TCP -LocalPort RPCEPMap".to_owned(),
        (Transport::Tcp, PortKind::Dynamic) => " -Protocol TCP -LocalPort RPC".to_owned(),
        (Transport::Tcp, PortKind::Fixed) => format!(" -Protocol TCP -LocalPort {}", ports(permit)),
        (Transport::Udp, _) => format!(" -Protocol UDP -LocalPort {}", ports(permit)),
        // The firewall knows no ports of other transports.
        (other, _) => format!(" -Protocol {}", other as u8),
    }
}

fn ports(permit: &Permit) -> String {
    let all: Vec<String> = permit.ports.iter().map(|ends| format!("'{}'", dashed(*ends))).collect();
    all.join(",")
}

fn addresses(nets: Option<&[IpNet]>) -> Option<String> {
    let all: Vec<String> = nets?.iter().map(|net| format!("'{}'", address(net))).collect();
    Some(all.join(","))
}

/// Writes RPC filters, for `netsh -f`.
///
/// # Errors
/// Those of the writer.
pub(super) fn write_rpc_filter(rules: &Rules<'_>, out: &mut dyn Write) -> io::Result<()> {
    head(rules).iter().try_for_each(|line| writeln!(out, "# {line}"))?;
    writeln!(out, "# For netsh -f, on the servers that are named. An interface that is named here is refused to")?;
    writeln!(out, "# every other host, calls over named pipes and from the server itself included: try it first.")?;
    writeln!(out, "rpc filter")?;
    let permits = &rules.permits.interfaces;
    let mut interfaces: Vec<_> = permits.iter().map(|permit| permit.uuid).collect();
    interfaces.sort_unstable();
    interfaces.dedup();
    for uuid in interfaces {
        for permit in permits.iter().filter(|permit| permit.uuid == uuid) {
            let name = permit.name.as_ref().map_or("interface without a name", |name| name.as_str());
            let rows: Vec<&str> = permit.cites.iter().map(Shown::as_str).collect();
            writeln!(out, "# {}", plain(&format!("{name} {}", rows.join(", ")), DESCRIPTION_CHARS))?;
            for ends in versions_of(&permit.from, &permit.to) {
                for [to, from] in pairs(&ends) {
                    writeln!(out, "add rule layer=um actiontype=permit")?;
                    writeln!(out, "add condition field=if_uuid matchtype=equal data={uuid}")?;
                    let version = if ends.v4 { "v4" } else { "v6" };
                    for (field, net) in [("local", to), ("remote", from)] {
                        let Some(net) = net else { continue };
                        let data = address(net);
                        writeln!(out, "add condition field={field}_addr_{version} matchtype=equal data={data}")?;
                    }
                    writeln!(out, "add filter")?;
                }
            }
        }
        writeln!(out, "add rule layer=um actiontype=block")?;
        writeln!(out, "add condition field=if_uuid matchtype=equal data={uuid}\nadd filter")?;
    }
    writeln!(out, "quit")
}

/// Each server with each client; `None` for every host.
fn pairs(ends: &Ends) -> Vec<[Option<&IpNet>; 2]> {
    let to: Vec<Option<&IpNet>> = ends.to.as_ref().map_or_else(|| vec![None], |nets| nets.iter().map(Some).collect());
    let from: Vec<Option<&IpNet>> =
        ends.from.as_ref().map_or_else(|| vec![None], |nets| nets.iter().map(Some).collect());
    to.into_iter().flat_map(|to| from.clone().into_iter().map(move |from| [to, from])).collect()
}
