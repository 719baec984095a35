"""The truth of one scenario, written down: what was done, what the kernels counted, and what was expected.

Outcomes are what a client's kernel experienced: `established`, `refused-rst`, `rejected-icmp:<code>`, `no-answer` for
TCP; `answered`, `rejected-icmp:<code>`, `no-answer` for UDP. Where a flow passes the firewall, `path` has its packets
from place to place, and `lost` the first place that one did not leave.
"""

from collections import Counter

from topology import GATEWAY4
from topology import PLACES

CODES = {
    (3, 0): "net-unreach",
    (3, 1): "host-unreach",
    (3, 2): "proto-unreach",
    (3, 3): "port-unreach",
    (3, 9): "net-prohibited",
    (3, 10): "host-prohibited",
    (3, 13): "admin-prohibited",
    (1, 0): "no-route",
    (1, 1): "admin-prohibited",
    (1, 3): "addr-unreach",
    (1, 4): "port-unreach",
    (1, 5): "policy-fail",
    (1, 6): "reject-route",
}
BY_ADDRESS = {address: name for name, place in PLACES.items() for address in (place.ip4, place.ip6)}
# Outcomes of flows that worked.
WORKED = ("established", "answered")


def flows(hosts: dict[str, dict], firewall: dict) -> list[dict]:
    """Every connection that a host began, as its kernel and the firewall's counted it."""
    # Behind the firewall a client may have another name.
    translated = {
        (client, port, server, server_port, proto): (GATEWAY4["servers"], outside_port)
        for proto in ("tcp", "udp")
        for client, port, server, server_port, outside_port in firewall[f"translated_{proto}"]
    }
    found = []
    for name, counted in hosts.items():
        errors: dict[tuple, list[dict]] = {}
        for (peer, peer_port, port, kind, code), number in counted["icmp"].items():
            what = CODES.get((kind, code), f"type{kind}code{code}")
            errors.setdefault((peer, peer_port, port), []).append({"what": what, "n": number, "type": kind, "code": code})
        for proto, tries in (("tcp", "syn"), ("udp", "udp")):
            for (peer, peer_port, port), sent in counted[tries].items():
                key = (peer, peer_port, port)
                icmp = errors.get(key, [])
                flow = {
                    "src": name,
                    "src_ip": PLACES[name].ip6 if ":" in peer else PLACES[name].ip4,
                    "sport": port,
                    "dst": BY_ADDRESS.get(peer, peer),
                    "dst_ip": peer,
                    "dport": peer_port,
                    "proto": proto,
                }
                if proto == "tcp":
                    flow |= {"syn": sent, "synack": counted["syn_ack"].get(key, 0), "rst_in": counted["rst"].get(key, 0)}
                    yes, no = flow["synack"], flow["rst_in"]
                else:
                    flow |= {"sent": sent, "replies": counted["udp_reply"].get(key, 0)}
                    yes, no = flow["replies"], 0
                flow["icmp"] = icmp
                if yes:
                    flow["outcome"] = "established" if proto == "tcp" else "answered"
                elif no:
                    flow["outcome"] = "refused-rst"
                else:
                    flow["outcome"] = f"rejected-icmp:{icmp[0]['what']}" if icmp else "no-answer"
                if crosses(flow):
                    flow |= path(flow, hosts, firewall, translated)
                found.append(flow)
    found.sort(key=lambda flow: (flow["src_ip"], flow["dst_ip"], flow["proto"], flow["dport"], flow["sport"]))
    return found


def crosses(flow: dict) -> bool:
    """Whether the firewall stands between the two hosts of a flow."""
    return flow["dst"] in PLACES and PLACES[flow["src"]].net != PLACES[flow["dst"]].net


def path(flow: dict, hosts: dict[str, dict], firewall: dict, translated: dict) -> dict:
    """The packets of a flow at every place they passed, and where some were lost."""
    proto = flow["proto"]
    client, server = (flow["src_ip"], flow["sport"]), (flow["dst_ip"], flow["dport"])
    here, beyond = PLACES[flow["src"]].net, PLACES[flow["dst"]].net
    there, back = (*client, *server, proto), (*server, *client, proto)
    outside = translated.get(there, client)
    there_outside, back_outside = (*outside, *server, proto), (*server, *outside, proto)
    places = {
        "client_sent": hosts[flow["src"]]["sent"].get(there, 0),
        "firewall_got": firewall[f"in_{here}"].get(there, 0),
        "firewall_sent": firewall[f"out_{beyond}"].get(there_outside, 0),
        "server_got": hosts[flow["dst"]]["arrived"].get(there_outside, 0),
        "server_sent": hosts[flow["dst"]]["sent"].get(back_outside, 0),
        "firewall_got_back": firewall[f"in_{beyond}"].get(back_outside, 0),
        "firewall_sent_back": firewall[f"out_{here}"].get(back, 0),
        "client_got": hosts[flow["src"]]["arrived"].get(back, 0),
    }
    ways = [
        ("client_sent", "firewall_got", "request before the firewall"),
        ("firewall_got", "firewall_sent", "request at the firewall"),
        ("firewall_sent", "server_got", "request behind the firewall"),
        ("server_sent", "firewall_got_back", "answer behind the firewall"),
        ("firewall_got_back", "firewall_sent_back", "answer at the firewall"),
        ("firewall_sent_back", "client_got", "answer before the firewall"),
    ]
    row: dict = {"path": places, "lost": [what for before, after, what in ways if places[after] < places[before]]}
    if outside != client:
        row["translated"] = {"src_ip": outside[0], "sport": outside[1]}
    return row


def host_pairs(found: list[dict]) -> list[dict]:
    """The flows, summed by pair and port."""
    pairs: dict[tuple, dict] = {}
    for flow in found:
        key = tuple(flow[name] for name in ("src", "dst", "src_ip", "dst_ip", "proto", "dport"))
        names = dict(zip(("src", "dst", "src_ip", "dst_ip", "proto", "dport"), key))
        pair = pairs.setdefault(key, {**names, "flows": 0, "packets_out": 0, "outcomes": Counter()})
        pair["flows"] += 1
        pair["packets_out"] += flow.get("syn", flow.get("sent", 0))
        pair["outcomes"][flow["outcome"]] += 1
    return list(pairs.values())


def measure(expectations: list[dict], pairs: list[dict]):
    """Compares what was expected with what was counted: an experiment that failed proves nothing."""
    for expected in expectations:
        matching = [pair for pair in pairs if fits(expected, pair)]
        seen = sorted({outcome for pair in matching for outcome in pair["outcomes"]})
        expected["measured"] = seen
        if expected["outcome"] == "mixed":
            expected["holds"] = len(seen) > 1
        else:
            expected["holds"] = bool(seen) and all(outcome.startswith(expected["outcome"]) for outcome in seen)


def fits(expected: dict, pair: dict) -> bool:
    """Whether an expectation speaks of a pair."""
    if any(expected[name] != pair[name] for name in ("src", "dst", "proto")):
        return False
    return pair["dport"] >= 49152 if expected["port"] == "dyn" else pair["dport"] == expected["port"]


def rule_rows(expectations: list[dict]) -> list[dict]:
    """What a ruleset from outside did to what was wanted and to what was not.

    `good`: a wanted flow worked, an unwanted one did not. Flows that do not pass the firewall say nothing of its rules.
    """
    rows = []
    for expected in expectations:
        wanted = not expected["unexpected"] and expected["outcome"] in WORKED
        if not (wanted or expected["unexpected"]) or not crosses(expected):
            continue
        worked = bool(expected["measured"]) and all(outcome in WORKED for outcome in expected["measured"])
        any_worked = any(outcome in WORKED for outcome in expected["measured"])
        rows.append(
            {name: expected[name] for name in ("src", "dst", "proto", "port", "note")}
            | {"wanted": wanted, "measured": expected["measured"], "good": worked if wanted else not any_worked}
        )
    return rows
