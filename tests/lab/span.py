"""The span port: which frames the switch copies to it.

The filters are `u32`, which every kernel with traffic control has; `matchall` and `flower` are often missing.
"""

from topology import CLIENTS
from topology import NETS
from topology import PLACES
from topology import SPAN_OUT
from topology import Topology

EVERYTHING = [("all", "u32 0 0")]
TO_SERVERS = [("ip", "ip dst 10.10.1.0/24"), ("ipv6", "ip6 dst fd10:1::/64")]

CLIENT_PORTS = [f"p-{name}" for name in CLIENTS]
SERVER_PORTS = [f"p-{name}" for name, place in PLACES.items() if place.net == "servers"]
UPLINKS = [f"up-{net}" for net in NETS]

# Mode: what arrives at which ports of the switch is copied.
MODES = {
    "off": {},
    # Each packet once, those that the firewall makes and those between servers too.
    "once": {port: EVERYTHING for port in [*CLIENT_PORTS, "up-clients"]} | {port: TO_SERVERS for port in SERVER_PORTS},
    # Both nets: what the firewall lets through is copied on both sides, with other MAC addresses and a lower TTL.
    "twice": {port: EVERYTHING for port in [*CLIENT_PORTS, *SERVER_PORTS, *UPLINKS]},
    # A span port that was set up for one direction only.
    "to-servers": {port: EVERYTHING for port in CLIENT_PORTS},
    "to-clients": {"up-clients": EVERYTHING},
}


def set_span(topology: Topology, mode: str):
    """Copies what `mode` says, and nothing else."""
    for port in [*CLIENT_PORTS, *SERVER_PORTS, *UPLINKS]:
        qdiscs = topology.switch.network("tc", "qdisc", "show", "dev", port)
        if "clsact" in qdiscs:
            topology.switch.network("tc", "qdisc", "del", "dev", port, "clsact")
        topology.switch.network("tc", "qdisc", "add", "dev", port, "clsact")
        for order, (protocol, match) in enumerate(MODES[mode].get(port, []), start=1):
            rule = f"filter add dev {port} ingress prio {order} protocol {protocol} u32 match {match}"
            topology.switch.network("tc", *rule.split(), *f"action mirred egress mirror dev {SPAN_OUT}".split())
