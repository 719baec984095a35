"""The firewall between the clients' net and the servers' net.

Its own rules are stateful and count what they meet. A ruleset from outside, such as `portolan rules export --to nft`
makes, takes their place as it is.
"""

import json
from pathlib import Path

from topology import Topology
from topology import uplink

RULES = """
table inet filtering {{
  chain forwarding {{
    type filter hook forward priority 0; policy accept;
    {before}
    ct state established,related counter accept
    {rules}
    counter accept
  }}
}}
"""


# Servers see the firewall's address, and ports that are not the clients' own.
TRANSLATION = f"""
table inet translating {{
  chain leaving {{ type nat hook postrouting priority srcnat; oifname "{uplink("servers")}" masquerade fully-random; }}
}}
"""


class Firewall:
    """What stands between the nets now."""

    def __init__(self, topology: Topology):
        self.host = topology.firewall
        self.outside: Path | None = None

    def load(self, rules: str = "", before: str = "", translate: bool = False):
        """Sets the rules of a scenario: `rules` for new connections, `before` for every packet."""
        own = RULES.format(rules=rules, before=before) + (TRANSLATION if translate else "")
        self._replace(self.outside.read_text() if self.outside else own)

    def add_first(self, rule: str):
        """Puts one rule before all others, as somebody does on a running firewall."""
        self.host.network("nft", "insert", "rule", "inet", "filtering", "forwarding", *rule.split())

    def open(self):
        """Lets everything pass; what is known of connections is forgotten."""
        self._replace(RULES.format(rules="", before=""))

    def _replace(self, text: str):
        """Exchanges all rules at one moment. The counting tables are not the firewall's, and stay."""
        known = json.loads(self.host.network("nft", "-j", "list", "tables"))["nftables"]
        names = [(row["table"]["family"], row["table"]["name"]) for row in known if "table" in row]
        old = "".join(f"delete table {family} {name}\n" for family, name in names if not name.startswith("counting"))
        # A file of rules may begin by emptying everything; that would end the counting too.
        lines = [line for line in text.splitlines() if line.split("#")[0].strip().rstrip(";") != "flush ruleset"]
        self.host.network("nft", "-f", "-", text=old + "\n".join(lines) + "\n")

    def counters(self) -> list[dict]:
        """What each rule met."""
        rows = []
        for row in json.loads(self.host.network("nft", "-j", "list", "ruleset"))["nftables"]:
            rule = row.get("rule")
            if rule is None or rule["table"].startswith("counting"):
                continue
            counted = [part["counter"]["packets"] for part in rule["expr"] if isinstance(part.get("counter"), dict)]
            verdicts = [word for part in rule["expr"] for word in part if word in ("accept", "drop", "reject")]
            rows.append({"packets": counted[0] if counted else None, "verdict": verdicts, "comment": rule.get("comment")})
        return rows
