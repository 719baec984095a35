//! Display filters: what to type into Wireshark to see the packets of a finding.

use crate::model::transport::Transport;
use crate::report::names::Party;

/// A display filter for the flows between two parties to a port.
///
/// Wireshark's fields also match the packet that an ICMP error quotes, so that the errors are shown with the flows.
pub(crate) fn wireshark(client: Party, server: Party, transport: Transport, port: Option<u16>) -> String {
    let v6 = [client, server].iter().any(|party| matches!(party, Party::One(addr) if !addr.is_v4()));
    let what = match (transport, port) {
        (Transport::Tcp, Some(port)) => format!("tcp.port == {port}"),
        (Transport::Udp, Some(port)) => format!("udp.port == {port}"),
        (Transport::Sctp, Some(port)) => format!("sctp.port == {port}"),
        (Transport::Icmp, _) if v6 => "icmpv6".to_owned(),
        (transport, _) => transport.to_string(),
    };
    hosts(client, server).chain([what]).collect::<Vec<_>>().join(" && ")
}

/// A display filter for everything between two parties.
pub(crate) fn of_hosts(client: Party, server: Party) -> String {
    hosts(client, server).collect::<Vec<_>>().join(" && ")
}

fn hosts(client: Party, server: Party) -> impl Iterator<Item = String> {
    [client, server].into_iter().filter_map(|party| match party {
        Party::One(addr) if addr.is_v4() => Some(format!("ip.addr == {addr}")),
        Party::One(addr) => Some(format!("ipv6.addr == {addr}")),
        Party::Many => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::addr::Addr;

    #[test]
    fn filters_name_hosts_by_version_and_the_port() {
        let a = Party::One(Addr::v4([10, 0, 0, 1]));
        let b = Party::One(Addr::v4([10, 0, 0, 2]));
        let c = Party::One(Addr::v6([0xfd; 16]));
        let c_text = "fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd";
        assert_eq!(
            wireshark(a, b, Transport::Tcp, Some(88)),
            "ip.addr == 10.0.0.1 && ip.addr == 10.0.0.2 && tcp.port == 88"
        );
        assert_eq!(wireshark(c, Party::Many, Transport::Icmp, None), format!("ipv6.addr == {c_text} && icmpv6"));
        assert_eq!(wireshark(a, Party::Many, Transport::Udp, None), "ip.addr == 10.0.0.1 && udp");
        assert_eq!(wireshark(Party::Many, b, Transport::Gre, None), "ip.addr == 10.0.0.2 && gre");
    }
}
