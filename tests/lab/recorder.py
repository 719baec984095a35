"""Who listens: tcpdump on the span port, and whatever else shall listen beside it.

A program beside tcpdump is given as a command line with `{interface}`, `{out}` and `{scenario}` in it. It gets SIGHUP
where a scenario reloads its rules, and SIGINT at the end, and then has 20 s to write its report.
"""

import json
import re
import shlex
import signal
import subprocess
import time
from pathlib import Path

from host import Host

CLASSIC_HEADER = 24


def listening(host: Host, interface: str) -> int:
    """How many packet sockets are bound to an interface and get its frames (packet(7), /proc/net/packet)."""
    number = json.loads(host.network("ip", "-j", "link", "show", interface))[0]["ifindex"]
    rows = [row.split() for row in host.network("cat", "/proc/net/packet").splitlines()[1:]]
    return sum(int(row[4]) == number and row[5] == "1" for row in rows)


class Recorder:
    """One tcpdump on one interface. What it writes after an interface was gone is put behind what it wrote before."""

    def __init__(self, host: Host, interface: str, file: Path):
        self.host = host
        self.interface = interface
        self.file = file
        self.parts: list[Path] = []
        self.said: list[str] = []
        self.process = None

    def start(self):
        """Returns when tcpdump listens."""
        part = self.file.with_suffix(f".part{len(self.parts)}")
        self.parts.append(part)
        # Every packet is delivered and written at once: nothing waits in a buffer when the end comes.
        command = ["tcpdump", "-i", self.interface, "-n", "-s", "0", "-B", "32768", "--immediate-mode", "-U", "-Z", "root"]
        self.process = self.host.listen_in_network(
            [*command, "-w", str(part)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        for line in self.process.stderr:
            self.said.append(line.strip())
            if "listening on" in line:
                return
        raise RuntimeError(f"tcpdump: {self.said}")

    def stop(self):
        """Ends tcpdump. What the kernel threw away would make the comparison void."""
        self.process.send_signal(signal.SIGINT)
        self._ended()

    def ended_by_itself(self):
        """Waits for a tcpdump whose interface is gone."""
        self.process.wait(timeout=20)
        self._ended()

    def _ended(self):
        # The rest of standard error is read to its end: a full pipe would hold tcpdump up.
        rest = self.process.stderr.read()
        self.process.wait(timeout=20)
        self.said += [line.strip() for line in rest.splitlines()]
        lost = re.search(r"(\d+) packets? dropped by kernel", rest)
        if lost and int(lost[1]) > 0:
            raise RuntimeError(f"tcpdump lost packets on {self.interface}: {rest}")

    def finish(self):
        """Makes one file of the parts."""
        whole = self.parts[0].read_bytes()
        for part in self.parts[1:]:
            whole += part.read_bytes()[CLASSIC_HEADER:]
        self.file.write_bytes(whole)
        for part in self.parts:
            part.unlink()


class Beside:
    """A program that listens beside tcpdump."""

    def __init__(self, host: Host, interface: str, command: str, out: Path, scenario: str):
        words = shlex.split(command.format(interface=interface, out=out, scenario=scenario))
        self.err = (out / f"{scenario}.beside.err").open("w")
        with (out / f"{scenario}.beside.out").open("w") as stdout:
            self.process = host.listen_in_network(words, stdout=stdout, stderr=self.err)
        self.command = command

    def must_live(self):
        """An error if it ended by itself."""
        if self.process.poll() is not None:
            raise RuntimeError(f"it ended by itself, {self.process.returncode}: {self.command}")

    def reload(self):
        """Tells it that its rules may have changed."""
        self.process.send_signal(signal.SIGHUP)

    def stop(self) -> int:
        """Asks for the end, and waits for it."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        code = self.process.wait(timeout=20)
        self.err.close()
        return code
