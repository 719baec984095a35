"""A host of the lab: a process that holds namespaces, and what runs inside them.

A host is four namespaces (network, mounts, name, processes) and a first process that does nothing but reap. Everything
that is started in the host ends with that process, and that process ends with the lab, whatever ends the lab: the
kernel does the cleaning.
"""

import os
import subprocess
import sys
from pathlib import Path

# The first process of a host. It tells when it is ready; children whose parents died are reaped by the kernel.
FIRST_PROCESS = """
import signal, socket, sys
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
socket.sethostname(sys.argv[1])
print("ready", flush=True)
while True:
    signal.pause()
"""

# Samba with its default paths, each of them private to the host.
SAMBA_FOLDERS = {
    "etc": "/etc/samba",
    "lib": "/var/lib/samba",
    "cache": "/var/cache/samba",
    "run": "/run/samba",
    "log": "/var/log/samba",
}


class Host:
    """One host; `state` is its own folder of files."""

    def __init__(self, name: str, state: Path):
        self.name = name
        self.state = state
        self.pid = 0

    def start(self):
        """Makes the namespaces, and private copies of the files that programs of a host read."""
        self.state.mkdir(parents=True)
        keeper = subprocess.Popen(
            ["unshare", "--net", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc"]
            + ["--propagation", "private", sys.executable, "-c", FIRST_PROCESS, self.name],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        if keeper.stdout.readline() != "ready\n":
            raise RuntimeError(f"{self.name}: no namespaces")
        # The keeper waits for its only child, which is process 1 of the host.
        self.pid = int(Path(f"/proc/{keeper.pid}/task/{keeper.pid}/children").read_text().split()[0])
        self.network("ip", "link", "set", "lo", "up")
        self._private_files()

    def _private_files(self):
        mounts = ["mount -t sysfs sysfs /sys"]
        for folder, place in SAMBA_FOLDERS.items():
            (self.state / folder / "private").mkdir(parents=True)
            mounts.append(f"mount --bind {self.state}/{folder} {place}")
        (self.state / "share").mkdir(mode=0o1777)
        (self.state / "share").chmod(0o1777)
        for file in ("resolv.conf", "hosts"):
            (self.state / file).touch()
            mounts.append(f"mount --bind {self.state}/{file} /etc/{file}")
        self.shell("\n".join(mounts))

    def write(self, file: str, text: str):
        """Writes one of the host's files; the inode stays, because it is mounted elsewhere."""
        (self.state / file).write_text(text)

    def command(self, *words) -> list[str]:
        """A command line that runs inside all namespaces of the host."""
        return ["nsenter", "-t", str(self.pid), "-n", "-m", "-u", "-i", "-p", "--", *map(str, words)]

    def environment(self) -> dict[str, str]:
        """What programs of the host find in their environment."""
        return {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(self.state),
            "TMPDIR": str(self.state),
            "LC_ALL": "C.UTF-8",
            "KRB5_CONFIG": str(self.state / "krb5.conf"),
            "KRB5CCNAME": f"FILE:{self.state}/tickets",
            "LDAPTLS_REQCERT": "never",
        }

    def run(self, *words, timeout=240, text=None) -> subprocess.CompletedProcess:
        """Runs a command to its end; the caller looks at its exit code."""
        return subprocess.run(
            self.command(*words),
            input=text,
            stdin=subprocess.DEVNULL if text is None else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout,
            env=self.environment(),
        )

    def must(self, *words, timeout=240, text=None) -> str:
        """Runs a command that has to succeed."""
        done = self.run(*words, timeout=timeout, text=text)
        if done.returncode != 0:
            raise RuntimeError(f"{self.name}: {' '.join(map(str, words))[:200]}: {done.stdout[-2000:]}")
        return done.stdout

    def shell(self, script: str) -> str:
        """Runs lines of shell, the first failing one ends them."""
        return self.must("sh", "-e", text=script)

    def spawn(self, *words) -> subprocess.Popen:
        """Starts something that goes on; it ends with the host."""
        return subprocess.Popen(
            self.command(*words),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=self.environment(),
        )

    def network(self, *words, text=None) -> str:
        """Runs a command in the host's network only, where the lab's process numbers and files are the outer ones."""
        done = subprocess.run(
            ["nsenter", "-t", str(self.pid), "-n", "--", *map(str, words)],
            input=text,
            stdin=subprocess.DEVNULL if text is None else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{self.name}: {' '.join(map(str, words))}: {done.stderr}\n{text or ''}")
        return done.stdout

    def listen_in_network(self, words, **streams) -> subprocess.Popen:
        """Starts a program in the host's network only, so that its process can be signalled from here."""
        return subprocess.Popen(
            ["nsenter", "-t", str(self.pid), "-n", "--", *map(str, words)], stdin=subprocess.DEVNULL, **streams
        )

    def ip(self, *commands: str):
        """Commands of `ip`, in one go."""
        self.network("ip", "-batch", "-", text="\n".join(commands) + "\n")

    def set(self, **values):
        """Kernel settings below /proc/sys/net, with `__` for `/`."""
        self.shell("\n".join(f"echo {value} > /proc/sys/net/{name.replace('__', '/')}" for name, value in values.items()))

    def hold_still(self, still: bool):
        """Stops every process of the host, or lets all go on."""
        self.run("sh", "-c", f"kill -{'STOP' if still else 'CONT'} -1")

    def kill_all(self):
        """Ends every process of the host but the first, without warning, and waits until their ports are closed."""
        self.must("sh", "-c", 'kill -KILL -1; until [ -z "$(ss -Hltun)" ]; do sleep 0.05; done', timeout=20)

    def listens(self, port: int) -> bool:
        """Whether something listens on a TCP port."""
        return self.run("ss", "-Hltn", f"sport = :{port}").stdout.strip() != ""


def is_root() -> bool:
    """Whether this process may make namespaces without asking."""
    return os.geteuid() == 0
