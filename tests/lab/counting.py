"""The truth: what the kernels of the hosts and of the firewall counted.

Every host counts its own attempts and what came back, connection by connection, in sets of its packet filter. The
firewall counts each connection's packets at its four doors. Nothing here reads a capture, and nothing that is counted
passes through libpcap.
"""

import ipaddress
import json

from host import Host
from topology import uplink

# Set of a host: what a packet must be, for the version of IP, and the key under which it counts: peer, its port, ours.
OUT = "{ip} daddr . th dport . th sport"
IN = "{ip} saddr . th sport . th dport"
HOST_SETS = {
    "syn": ("sent", "tcp flags & (syn|ack) == syn", OUT),
    "syn_ack": ("arrived", "tcp flags & (syn|ack) == (syn|ack)", IN),
    "rst": ("arrived", "tcp flags & rst == rst", IN),
    "udp": ("sent", "meta l4proto udp ct direction original", OUT),
    "udp_reply": ("taken", "meta l4proto udp ct direction reply", IN),
}
# An ICMP error counts under what it quotes: the peer, its port and ours, then type and code. By version of IP: the
# offsets from the ICMP header, and what makes it an error.
QUOTED = {
    4: ("icmp type destination-unreachable", "@th,192,32 . @th,240,16 . @th,224,16 . @th,0,16"),
    6: ("icmpv6 type destination-unreachable", "@th,256,128 . @th,400,16 . @th,384,16 . @th,0,16"),
}
# Every packet of a connection at one place: from, port, to, port, protocol.
WHOLE = "{ip} saddr . th sport . {ip} daddr . th dport . meta l4proto"
# From which of its own ports the firewall sends on what it translates: client, its port, server, its port, ours. (Keys
# have at most five parts.)
TRANSLATED = "ct original ip saddr . ct original proto-src . ip daddr . th dport . th sport"

# Readings of the counters until two of them must agree.
READINGS = 20

PROTOCOLS = {6: "tcp", 17: "udp"}
ADDRESS = {4: "ipv4_addr", 6: "ipv6_addr"}
IP = {4: "ip", 6: "ip6"}


def _set(name: str, kind: str) -> str:
    return f"  set {name} {{ {kind}; size 65535; flags dynamic; counter; }}\n"


def _table(sets: str, chains: dict[str, tuple[str, list[str]]]) -> str:
    text = "table inet counting\ndelete table inet counting\ntable inet counting {\n" + sets
    for name, (hook, rules) in chains.items():
        text += f"  chain {name} {{\n    type filter hook {hook};\n" + "".join(f"    {rule}\n" for rule in rules) + "  }\n"
    return text + "}\n"


def begin_on_host(host: Host):
    """Sets the counters of a host to nothing."""
    sets, rules = "", {"sent": [], "arrived": [], "taken": []}
    for chain, interface in (("sent", "oifname"), ("arrived", "iifname"), ("taken", "iifname")):
        rules[chain].append(f'{interface} != "eth0" accept')
    for version in (4, 6):
        for name, (chain, match, key) in HOST_SETS.items():
            sets += _set(f"{name}{version}", f"type {ADDRESS[version]} . inet_service . inet_service")
            key = key.format(ip=IP[version])
            rules[chain].append(f"meta nfproto ipv{version} {match} update @{name}{version} {{ {key} }}")
        for chain in ("sent", "arrived"):
            sets += _whole(f"{chain}{version}", version)
            rules[chain].append(_count_whole(f"{chain}{version}", version))
        match, key = QUOTED[version]
        sets += _set(f"icmp{version}", f"typeof {key}")
        rules["arrived"].append(f"{match} update @icmp{version} {{ {key} }}")
    hooks = {
        "sent": "output priority 300",
        # Before conntrack and any rule: what the wire brought.
        "arrived": "prerouting priority -400",
        "taken": "input priority 0",
    }
    host.network("nft", "-f", "-", text=_table(sets, {name: (hooks[name], rows) for name, rows in rules.items()}))


def _whole(name: str, version: int) -> str:
    address = ADDRESS[version]
    return _set(name, f"type {address} . inet_service . {address} . inet_service . inet_proto")


def _count_whole(name: str, version: int, which: str = "") -> str:
    match = f"{which} meta nfproto ipv{version} meta l4proto {{ tcp, udp }}"
    return f"{match} update @{name} {{ {WHOLE.format(ip=IP[version])} }}"


# The firewall's doors: the way in and the way out, on both sides.
DOORS = {
    "in_clients": ("prerouting priority -400", "iifname", "clients"),
    "in_servers": ("prerouting priority -400", "iifname", "servers"),
    "out_clients": ("postrouting priority 350", "oifname", "clients"),
    "out_servers": ("postrouting priority 350", "oifname", "servers"),
}


WITH_PROTOCOL = ["sent", "arrived", *DOORS]


def begin_on_firewall(host: Host):
    """Sets the counters of the firewall to nothing."""
    sets, chains = "", {}
    for door, (hook, interface, net) in DOORS.items():
        match = f'{interface} "{uplink(net)}"'
        chains[door] = (hook, [_count_whole(f"{door}{version}", version, match) for version in (4, 6)])
        sets += "".join(_whole(f"{door}{version}", version) for version in (4, 6))
    for proto in ("tcp", "udp"):
        name = f"translated_{proto}4"
        sets += _set(name, "type ipv4_addr . inet_service . ipv4_addr . inet_service . inet_service")
        match = f'oifname "{uplink("servers")}" ct direction original ct status snat meta l4proto {proto}'
        chains["out_servers"][1].append(f"{match} update @{name} {{ {TRANSLATED} }}")
    host.network("nft", "-f", "-", text=_table(sets, chains))


def freeze(host: Host, on: bool):
    """Whether the host's kernel sends nothing of its own any more: no retransmission, no keep-alive, no error.

    What is on the way arrives, and is counted wherever it comes; what the kernel wants to say later is neither counted
    nor seen. A firewall goes on forwarding.
    """
    table = "table inet frozen\ndelete table inet frozen\n"
    if on:
        # Before the counters of what is sent.
        table += "table inet frozen {\n  chain sent { type filter hook output priority 200; policy drop; }\n}\n"
    host.network("nft", "-f", "-", text=table)


def read_all(hosts: list[Host]) -> list[dict[str, dict[tuple, int]]]:
    """The sets of all hosts at one moment: read until nothing has changed meanwhile."""
    before = None
    for _ in range(READINGS):
        if (now := [read(host) for host in hosts]) == before:
            return now
        before = now
    raise RuntimeError(f"after {READINGS} readings the counters still change, though nobody sends")


def read(host: Host) -> dict[str, dict[tuple, int]]:
    """The sets of a host, without version in their names: key to packets."""
    counted: dict[str, dict[tuple, int]] = {}
    for row in json.loads(host.network("nft", "-j", "list", "sets"))["nftables"]:
        found = row.get("set")
        if found is None or found["table"] != "counting":
            continue
        name, version = found["name"][:-1], found["name"][-1]
        of_name = counted.setdefault(name, {})
        for element in found.get("elem", []):
            key = element["elem"]["val"]["concat"]
            if name == "icmp":
                key = _quoted(key, version)
            # A protocol comes by name or by number, as the machine's list of protocols has it or not.
            if name in WITH_PROTOCOL:
                key[-1] = PROTOCOLS.get(key[-1], key[-1])
            of_name[tuple(key)] = element["elem"]["counter"]["packets"]
    return counted


def _quoted(key: list, version: str) -> list:
    """Raw bytes of a quoted header as peer, its port, ours, type, code."""
    peer, peer_port, port, kind = (int(part, 16) if isinstance(part, str) else part for part in key)
    address = ipaddress.IPv4Address(peer) if version == "4" else ipaddress.IPv6Address(peer)
    return [str(address), peer_port, port, kind >> 8, kind & 255]
