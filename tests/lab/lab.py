"""The lab: hosts, domain, firewall and span port together, and how a scenario is recorded.

Whatever is recorded nests: the capture is on before the kernels count, and they are read before it goes off. Before
they are read, all processes of all hosts stand still, so that nothing happens between counters and capture.
"""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Callable

import counting
import limit
import truth
from domain import Domain
from firewall import Firewall
from recorder import Beside
from recorder import Recorder
from recorder import listening
from span import set_span
from topology import PLACES
from topology import SPAN
from topology import Topology
from topology import uplink

# Seconds after which a client program that does not end is ended.
PATIENCE = 60
# Seconds that one scenario, and one step of building, may take before it counts as stuck.
STUCK = 240
BUILD = 420
# Seconds for which silence is listened to, where the firewall makes some. A server repeats a SYN-ACK that nobody heard for
# two seconds more than its client waits, and then three seconds of silence are due.
LINGER = 5.5
# Seconds in which answers to the last packets arrive once nobody sends any more.
SETTLE = 0.5

TOOLS = Path(__file__).resolve().parent


class Lab:
    """One lab; it ends with this process."""

    def __init__(self, state: Path, out: Path):
        self.out = out
        self.topology = Topology(state)
        self.domain = Domain(self.topology, TOOLS)
        self.firewall = Firewall(self.topology)
        self.hosts = self.topology.hosts
        self.beside: str | None = None
        self.recorders: dict[str, Recorder] = {}
        self.beside_now: Beside | None = None
        self.expectations: list[dict] = []
        self.actions: list[dict] = []

    def build(self):
        """Everything from nothing; gives the name of each step that is done."""
        limit.begin("building hosts and wires", BUILD)
        self.topology.build()
        self.topology.use_family(4)
        self.firewall.open()
        yield "hosts and wires"
        limit.begin("building the first controller", BUILD)
        self.domain.provision()
        yield "first controller"
        limit.begin("building the second controller, members, users", BUILD)
        self.domain.populate()
        limit.over()
        yield "second controller, members, users"
        (self.out / "site.toml").write_text(self.site())

    def site(self) -> str:
        """Which host holds which role, as a site file."""
        words = {"dc": "domain-controller", "member-server": "file-server", "workstation": "client", "netwrix-agent": "auditor"}
        lines = ["[hosts]"]
        for role, word in words.items():
            places = [place for place in PLACES.values() if place.role == role]
            lines.append(f"{word} = {json.dumps([address for place in places for address in (place.ip4, place.ip6)])}")
        return "\n".join(lines) + "\n"

    # What scenarios do.

    def act(self, host: str, action: str, *command, timeout: float = PATIENCE, folder: Path | None = None) -> str:
        """Runs a program on a host, in a folder if one is given, and writes down what it saw."""
        begun = time.monotonic()
        # Whoever does not end when asked is ended.
        words = ["env", "-C", str(folder or "/"), "timeout", "--kill-after=5", str(timeout), *map(str, command)]
        done = self.hosts[host].run(*words)
        self.actions.append(
            {
                "host": host,
                "action": action,
                "rc": done.returncode,
                "ms": int((time.monotonic() - begun) * 1000),
                "cmd": " ".join(map(str, command))[:200],
                "out": done.stdout[-300:],
            }
        )
        return done.stdout

    def probe(self, host: str, what: str, *arguments) -> str:
        """Runs one of the small clients of `probe.py`."""
        command = ["/usr/bin/python3", "probe.py", what, *map(str, arguments)]
        return self.act(host, f"probe-{what}", *command, folder=TOOLS)

    @staticmethod
    def together(*work: Callable[[], object]):
        """Does things at the same time, and waits for all."""
        with ThreadPoolExecutor(max_workers=len(work)) as pool:
            for each in [pool.submit(one) for one in work]:
                each.result()

    def expect(self, flow: str, outcome: str, by: str = "", unexpected: bool = False, note: str = ""):
        """Says what a kind of flow will meet: `agent > dc1 tcp/88`, or `tcp/dyn` for the dynamic RPC ports."""
        source, _, target, service = flow.split()
        proto, port = service.split("/")
        self.expectations.append(
            {
                "src": source,
                "dst": target,
                "proto": proto,
                "port": "dyn" if port == "dyn" else int(port),
                "outcome": outcome,
                "by": by,
                "unexpected": unexpected,
                "note": note,
            }
        )

    def expect_all(self, source: str, target: str, services: str, outcome: str = "established"):
        """The same outcome for several services."""
        for service in services.split():
            self.expect(f"{source} > {target} {service}", outcome)

    def reload_listeners(self):
        """What somebody does who changed the rules of a program that watches."""
        if self.beside_now:
            self.beside_now.reload()

    # How it is recorded.

    def run(self, scenario, rules: Path | None = None) -> dict:
        """Runs one scenario, with the firewall's rules from a file if one is given; writes its truth beside the capture."""
        begun = time.monotonic()
        name = f"{scenario.name}@{rules.stem}" if rules else scenario.name
        limit.begin(f"scenario {name}", STUCK)
        self.expectations, self.actions = [], []
        self.topology.use_family(scenario.family)
        self.topology.use_offloads(scenario.offloads)
        self.firewall.outside = rules
        if scenario.prepare:
            scenario.prepare(self)
        self.firewall.load(scenario.rules, scenario.before, scenario.translate)
        self.topology.forget_neighbours()
        for host in self.hosts.values():
            (host.state / "tickets").unlink(missing_ok=True)
        # Whoever listens hears the same from the first frame on.
        set_span(self.topology, "off")
        self._listen(name, scenario.sides)
        self.wait_for_listeners()
        set_span(self.topology, scenario.span)
        for host in self.topology.members.values():
            counting.begin_on_host(host)
        counting.begin_on_firewall(self.topology.firewall)
        window_start = time.time()
        scenario.work(self)
        if rules or any(expected["by"].startswith("firewall-drop") for expected in self.expectations):
            time.sleep(LINGER)
            # A capture lasts until its last packet, whoever still listened then.
            self.probe("client1", "tcp", self.topology.address("dc1"), 389)
        hosts, firewall, counters, window_end = self._count()
        beside_code = self._stop_listening()
        self.firewall.open()
        set_span(self.topology, "off")
        if scenario.clean_up:
            scenario.clean_up(self)
        limit.over()
        found = truth.flows(hosts, firewall)
        pairs = truth.host_pairs(found)
        truth.measure(self.expectations, pairs)
        result = {
            "scenario": name,
            "description": scenario.description,
            "span_mode": scenario.span,
            "captures": {name: recorder.file.name for name, recorder in self.recorders.items()},
            "firewall_rules": [line.strip() for line in (scenario.before + scenario.rules).splitlines() if line.strip()],
            "rules_from_outside": rules is not None,
            "hosts": {name: {"role": place.role, "ip4": place.ip4, "ip6": place.ip6} for name, place in PLACES.items()},
            "window_start": window_start,
            "window_end": window_end,
            "expectations": self.expectations,
            "firewall_counters": counters,
            "host_pairs": pairs,
            "actions": self.actions,
            "flows": found,
            "beside_exit": beside_code,
            "tcpdump": {name: recorder.said for name, recorder in self.recorders.items()},
            "seconds": round(time.monotonic() - begun, 1),
            "note": "host_pairs and flows: counted by nft inside the kernels of hosts and firewall, not read from a capture",
        }
        if rules:
            result["outside_rules"] = truth.rule_rows(self.expectations)
        text = json.dumps(result, indent=1)
        (self.out / f"{name}.json").write_text(text)
        return result

    def wait_for_listeners(self):
        """Waits until whoever listens on the span port has it, as it is now."""
        sniffer = self.topology.sniffer
        listeners = 2 if self.beside_now else 1
        deadline = time.monotonic() + PATIENCE
        while listening(sniffer, SPAN) < listeners:
            if self.beside_now:
                self.beside_now.must_live()
            if time.monotonic() > deadline:
                raise RuntimeError(f"{listening(sniffer, SPAN)} of {listeners} listen on the span port")
            time.sleep(0.02)

    def _listen(self, name: str, sides: bool):
        self.recorders = {"span": Recorder(self.topology.sniffer, SPAN, self.out / f"{name}.pcap")}
        if sides:
            for net, side in (("clients", "client-side"), ("servers", "server-side")):
                file = self.out / f"{name}.{side}.pcap"
                self.recorders[side] = Recorder(self.topology.firewall, uplink(net), file)
        for recorder in self.recorders.values():
            recorder.start()
        self.beside_now = None
        if self.beside:
            self.beside_now = Beside(self.topology.sniffer, SPAN, self.beside, self.out, name)

    def _count(self):
        """Lets nothing happen any more, then reads what was counted."""
        members, firewall = self.topology.members, self.topology.firewall
        for host in members.values():
            host.hold_still(True)
        for host in [*members.values(), firewall]:
            counting.freeze(host, True)
        time.sleep(SETTLE)
        window_end = time.time()
        *counted, at_firewall = counting.read_all([*members.values(), firewall])
        return dict(zip(members, counted)), at_firewall, self.firewall.counters(), window_end

    def _stop_listening(self):
        time.sleep(SETTLE)
        for recorder in self.recorders.values():
            recorder.stop()
            recorder.finish()
        code = self.beside_now.stop() if self.beside_now else None
        for host in [*self.topology.members.values(), self.topology.firewall]:
            counting.freeze(host, False)
        for host in self.topology.members.values():
            host.hold_still(False)
        return code
