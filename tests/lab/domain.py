"""The domain: two Samba domain controllers, a member server and a joined workstation, from nothing."""

import time
from concurrent.futures import ThreadPoolExecutor

from host import Host
from topology import PLACES
from topology import Topology

REALM, DOMAIN = "LAB.TEST", "LAB"
# A password of a domain that lives for minutes in a network without a way out.
PASSWORD = "Passw0rd.Lab1"
ADMINISTRATOR = f"administrator%{PASSWORD}"
OWN_INTERFACE = ["--option=interfaces=lo eth0", "--option=bind interfaces only=yes"]

# When the last of these is open, a controller answers everything: LDAP, SMB, global catalogue, the dynamic RPC ports.
CONTROLLER_PORTS = [389, 445, 3268, 49154]

# Stand-ins for what Samba has not, host by host.
STAND_INS = {"dc1": ["ntp:123", "adws:9389", "wsman:5985"], "srv1": ["wsman:5985", "smtp:25", "http:80"]}

MEMBER = f"""[global]
  workgroup = {DOMAIN}
  realm = {REALM}
  security = ads
  netbios name = {{name}}
  interfaces = lo eth0
  bind interfaces only = yes
  map to guest = Bad Uid
  idmap config * : backend = tdb
  idmap config * : range = 10000-20000
  idmap config {DOMAIN} : backend = rid
  idmap config {DOMAIN} : range = 100000-200000
[data]
  path = {{share}}
  read only = no
"""

# A workstation that shares a folder with everybody.
SHARING = """[global]
  workgroup = LAB
  netbios name = CLIENT2
  map to guest = bad user
  interfaces = lo eth0
  bind interfaces only = yes
[loot]
  path = {share}
  guest ok = yes
"""


def wait_for(host: Host, *ports: int):
    """Waits until something listens on every port."""
    until = time.monotonic() + 120
    for port in ports:
        while not host.listens(port):
            if time.monotonic() > until:
                raise RuntimeError(f"{host.name}: nothing listens on {port}")
            time.sleep(0.1)


class Domain:
    """LAB.TEST."""

    def __init__(self, topology: Topology, tools):
        self.hosts = topology.hosts
        self.tools = tools

    def provision(self):
        """Makes the domain with its first controller."""
        dc1, place = self.hosts["dc1"], PLACES["dc1"]
        dc1.must(
            *["samba-tool", "domain", "provision", f"--realm={REALM}", f"--domain={DOMAIN}", "--server-role=dc"],
            *["--dns-backend=SAMBA_INTERNAL", f"--adminpass={PASSWORD}", "--host-name=dc1"],
            *[f"--host-ip={place.ip4}", f"--host-ip6={place.ip6}", *OWN_INTERFACE],
            timeout=300,
        )
        # Provisioning names the host itself as the forwarder of names.
        settings = (dc1.state / "etc/smb.conf").read_text().splitlines(keepends=True)
        dc1.write("etc/smb.conf", "".join(line for line in settings if "dns forwarder" not in line))
        self.start_controller("dc1")

    def populate(self):
        """Joins and starts everybody who belongs to the domain, all at the same time."""
        dc2, srv1, client1 = (self.hosts[name] for name in ("dc2", "srv1", "client1"))
        with ThreadPoolExecutor() as pool:
            work = [pool.submit(self._users), pool.submit(self._second_controller, dc2)]
            work += [pool.submit(self._join, member) for member in (srv1, client1)]
            for each in work:
                each.result()
        srv1.must("winbindd", "-D")
        srv1.must("smbd", "-D")
        for name in STAND_INS:
            self.start_stand_ins(name)

    def _users(self):
        dc1 = self.hosts["dc1"]
        tool = ["samba-tool"]
        # The password of a user is changed to itself again and again.
        limits = ["--complexity=off", "--history-length=0", "--min-pwd-age=0", "--max-pwd-age=0"]
        dc1.must(*tool, "domain", "passwordsettings", "set", *limits)
        dc1.must(*tool, "user", "create", "alice", PASSWORD)
        dc1.must(*tool, "user", "create", "netwrix", PASSWORD)
        dc1.must(*tool, "group", "addmembers", "Domain Admins", "netwrix")

    def _second_controller(self, host: Host):
        host.must(
            *["samba-tool", "domain", "join", "lab.test", "DC", "-U", ADMINISTRATOR],
            *["--dns-backend=SAMBA_INTERNAL", *OWN_INTERFACE],
            timeout=300,
        )
        self.start_controller("dc2")

    def _join(self, host: Host):
        host.write("etc/smb.conf", MEMBER.format(name=host.name.upper(), share=host.state / "share"))
        host.must("net", "ads", "join", "-U", ADMINISTRATOR)

    def start_controller(self, name: str):
        """Starts Samba on a controller and waits until it answers."""
        self.hosts[name].must("samba", "-D")
        wait_for(self.hosts[name], *CONTROLLER_PORTS)

    def start_stand_ins(self, name: str, *services: str):
        """Starts stand-ins, those of the host unless others are named; ends with the host or with `kill`."""
        services = services or STAND_INS[name]
        process = self.hosts[name].spawn("python3", self.tools / "stand_ins.py", *services)
        wait_for(self.hosts[name], *[int(port) for kind, port in (each.split(":") for each in services) if kind != "ntp"])
        return process

    def share_from_client2(self):
        """Lets a workstation share a folder."""
        host = self.hosts["client2"]
        host.write("etc/smb.conf", SHARING.format(share=host.state / "share"))
        host.must("smbd", "-D")
        wait_for(host, 445)
