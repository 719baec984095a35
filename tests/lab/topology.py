"""Who is there, and which wire goes where.

    client1 .50  client2 .51  agent .60          dc1 .10  dc2 .11  srv1 .20
       |            |           |                   |        |        |
    [======== switch: 10.10.2.0/24, clients ==]  [== switch: 10.10.1.0/24, servers ==]
                      |                                    |
                      +----------- firewall ---------------+
    the switch copies frames to its span port, and `sniffer` listens there

The domain speaks IPv4 and IPv6; the clients are set to one of them.
"""

from dataclasses import dataclass
from pathlib import Path

from host import Host


@dataclass(frozen=True)
class Place:
    """Where a host stands, and what it is for."""

    role: str
    net: str
    ip4: str
    ip6: str


PLACES = {
    "dc1": Place("dc", "servers", "10.10.1.10", "fd10:1::10"),
    "dc2": Place("dc", "servers", "10.10.1.11", "fd10:1::11"),
    "srv1": Place("member-server", "servers", "10.10.1.20", "fd10:1::20"),
    "client1": Place("workstation", "clients", "10.10.2.50", "fd10:2::50"),
    "client2": Place("workstation", "clients", "10.10.2.51", "fd10:2::51"),
    "agent": Place("netwrix-agent", "clients", "10.10.2.60", "fd10:2::60"),
}
CLIENTS = [name for name, place in PLACES.items() if place.net == "clients"]
GATEWAY4 = {"servers": "10.10.1.1", "clients": "10.10.2.1"}
GATEWAY6 = {"servers": "fd10:1::1", "clients": "fd10:2::1"}
NETS = list(GATEWAY4)

OFFLOADS = ["tx", "rx", "tso", "gso", "gro", "sg"]

# The two ends of the span port: the switch sends to the first, the sniffer listens on the second.
SPAN_OUT, SPAN = "span", "mirror"


def uplink(net: str) -> str:
    """The firewall's interface towards one of the nets; the switch's port has the same name with `up-` before it."""
    return f"to-{net}"


class Topology:
    """All hosts and all wires."""

    def __init__(self, state: Path):
        self.hosts = {name: Host(name, state / name) for name in [*PLACES, "switch", "firewall", "sniffer"]}
        self.switch, self.firewall, self.sniffer = (self.hosts[name] for name in ("switch", "firewall", "sniffer"))
        self.members = {name: self.hosts[name] for name in PLACES}
        self.family = 0
        self.offloads = False

    def build(self):
        """Makes hosts, wires, addresses and routes."""
        for host in self.hosts.values():
            host.start()
        for net in NETS:
            # A bridge that waits before it forwards would lose the first frames.
            self.switch.ip(f"link add {net} type bridge stp_state 0 forward_delay 0 mcast_snooping 0")
            self.switch.ip(f"link set {net} up")
        for name, place in PLACES.items():
            self._wire(self.hosts[name], "eth0", f"p-{name}")
            self.switch.ip(f"link set p-{name} master {place.net}")
            self._address(name, 4)
            self._address(name, 6)
            self._names(name, 4)
            # What a server holds half open is gone after 7 s, before another scenario begins.
            self.hosts[name].set(ipv4__tcp_synack_retries=2)
        for net in NETS:
            self._wire(self.firewall, uplink(net), f"up-{net}")
            self.switch.ip(f"link set up-{net} master {net}")
            self.firewall.ip(
                f"addr add {GATEWAY4[net]}/24 dev {uplink(net)}", f"addr add {GATEWAY6[net]}/64 dev {uplink(net)} nodad"
            )
        self.firewall.set(
            ipv4__ip_forward=1,
            ipv6__conf__all__forwarding=1,
            # No limit on ICMP errors. (`icmp_msgs_per_sec` 0 would mean none at all.)
            ipv4__icmp_ratelimit=0,
            ipv6__icmp__ratelimit=0,
        )
        self.connect_span()
        # The switch and the sniffer say nothing themselves.
        self.sniffer.set(ipv6__conf__all__disable_ipv6=1)
        self.switch.shell(
            "for file in /proc/sys/net/ipv6/conf/*/disable_ipv6; do echo 1 > $file; done\n"
            # Bridged frames must not pass the packet filters of the switch.
            "for file in /proc/sys/net/bridge/bridge-nf-call-*; do [ ! -e $file ] || echo 0 > $file; done"
        )

    def connect_span(self):
        """Plugs the sniffer into the span port."""
        self._wire(self.sniffer, SPAN, SPAN_OUT)

    def _wire(self, host: Host, here: str, port: str):
        """A cable between an interface of a host and a port of the switch."""
        host.ip(f"link add {here} type veth peer name {port} netns {self.switch.pid}")
        for end, name in ((host, here), (self.switch, port)):
            self._offload(end, name, False)
            end.ip(f"link set {name} up")

    @staticmethod
    def _offload(host: Host, interface: str, on: bool):
        """Whether an interface leaves checksums and the cutting into segments to hardware that is not there.

        With it captures hold frames of 64 KiB with half-made checksums, as those of real hosts do. Without it a host
        must not hand over several segments as one either: its kernel would count one packet, the wire carry two.
        """
        settings = [word for feature in OFFLOADS for word in (feature, "on" if on else "off")]
        host.network("ethtool", "-K", interface, *settings)
        host.ip(f"link set {interface} gso_max_segs {65535 if on else 1}")

    def use_offloads(self, on: bool):
        """Sets all interfaces that carry the hosts' packets."""
        if self.offloads == on:
            return
        ends = [(self.members[name], "eth0") for name in PLACES] + [(self.switch, f"p-{name}") for name in PLACES]
        ends += [(self.firewall, uplink(net)) for net in NETS] + [(self.switch, f"up-{net}") for net in NETS]
        for host, interface in [*ends, (self.switch, SPAN_OUT), (self.sniffer, SPAN)]:
            self._offload(host, interface, on)
        self.offloads = on

    def _address(self, name: str, version: int):
        place = PLACES[name]
        if version == 4:
            addresses = f"addr replace {place.ip4}/24 dev eth0", f"route replace default via {GATEWAY4[place.net]}"
        else:
            addresses = (
                f"addr replace {place.ip6}/64 dev eth0 nodad",
                f"route replace default via {GATEWAY6[place.net]}",
            )
        self.hosts[name].ip(*addresses)

    def _names(self, name: str, version: int):
        """Who answers for names: always dc1, so that expectations do not depend on a choice."""
        host, place, dns = self.hosts[name], PLACES[name], PLACES["dc1"]
        server = dns.ip4 if version == 4 else dns.ip6
        host.write("resolv.conf", f"search lab.test\nnameserver {server}\noptions timeout:2 attempts:2\n")
        host.write("hosts", f"127.0.0.1 localhost\n{place.ip4} {name}.lab.test {name}\n{place.ip6} {name}.lab.test {name}\n")
        # libkrb5 would pick one of the KDCs at random.
        pinned = "\n[realms]\n  LAB.TEST = {\n    kdc = dc1.lab.test\n    kpasswd_server = dc1.lab.test\n  }\n"
        host.write(
            "krb5.conf",
            "[libdefaults]\n  default_realm = LAB.TEST\n  dns_lookup_realm = false\n  dns_lookup_kdc = true\n  rdns = false\n"
            f"  udp_preference_limit = 1465\n{pinned if place.net == 'clients' else ''}",
        )

    def use_family(self, version: int):
        """Sets the clients to IPv4 or IPv6. Names have both addresses, and programs would mix them."""
        if self.family == version:
            return
        for name in CLIENTS:
            host = self.hosts[name]
            host.set(ipv6__conf__eth0__disable_ipv6=int(version == 4))
            if version == 6:
                host.network("ip", "-4", "addr", "flush", "dev", "eth0")
            self._address(name, version)
            self._names(name, version)
            # Samba's programs remember addresses for minutes.
            host.must("net", "cache", "flush")
        self.family = version

    def address(self, name: str) -> str:
        """The address by which the clients know a host now."""
        return PLACES[name].ip6 if self.family == 6 else PLACES[name].ip4

    def forget_neighbours(self):
        """Every scenario begins by asking who has which address."""
        for host in [*self.members.values(), self.firewall]:
            host.network("ip", "neigh", "flush", "all")
