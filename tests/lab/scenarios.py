"""What is played: for each scenario the firewall's rules, what hosts do, and what they will meet.

An expectation is no truth. The truth is what the kernels counted; where it differs from what was expected, the
experiment itself failed.
"""

import time
from dataclasses import dataclass
from typing import Callable

import work
from lab import Lab
from span import set_span
from topology import GATEWAY4
from topology import PLACES
from topology import SPAN
from topology import SPAN_OUT
from work import LDAP
from work import NETWRIX
from work import PASSWORD

AGENT = PLACES["agent"]
FIREWALL_DROPS, FIREWALL_REJECTS = "firewall-drop", "firewall-reject"
CLOSED = "host-closed-port"


@dataclass
class Scenario:
    """One scenario, by the name of the function that plays it."""

    name: str
    description: str
    work: Callable[[Lab], None]
    span: str = "once"
    # The firewall's rules for new connections, and those before it looks at connections at all.
    rules: str = ""
    before: str = ""
    # The version of IP that the clients speak.
    family: int = 4
    # Whether both sides of the firewall are recorded too.
    sides: bool = False
    # Whether interfaces leave checksums and segments to hardware.
    offloads: bool = False
    # Whether the firewall gives clients its own address and other ports.
    translate: bool = False
    prepare: Callable[[Lab], None] | None = None
    clean_up: Callable[[Lab], None] | None = None


SCENARIOS: dict[str, Scenario] = {}


def scenario(name: str, description: str, **settings):
    """Registers the function that plays a scenario."""

    def register(play):
        SCENARIOS[name] = Scenario(name, description, play, **settings)
        return play

    return register


def dropped(services: str) -> str:
    """Rules that let the agent's packets to these services vanish."""
    rows = [service.split("/") for service in services.split()]
    return "".join(f"ip saddr {AGENT.ip4} {proto} dport {port} counter drop\n" for proto, port in rows)


@scenario("clean", "everything allowed: clients, agent, member server and both controllers at work")
def clean(lab: Lab):
    lab.together(
        lambda: work.workstation(lab, "client1"), lambda: work.auditor(lab, "agent"), lambda: work.servers(lab)
    )
    tcp = "tcp/53 tcp/389 tcp/636 tcp/3268 tcp/3269 tcp/445 tcp/135 tcp/464 tcp/dyn"
    lab.expect_all("client1", "dc1", tcp)
    lab.expect_all("client1", "dc1", "udp/53 udp/88 udp/389 udp/123 udp/137", "answered")
    lab.expect_all("agent", "dc1", "tcp/389 tcp/3268 tcp/445 tcp/135 tcp/dyn tcp/5985 tcp/9389")
    lab.expect_all("agent", "srv1", "tcp/5985 tcp/445")
    lab.expect("dc1 > dc2 tcp/135", "established")


@scenario(
    "drop",
    "88/tcp, 88/udp and 3268/tcp of the agent dropped; client1 goes through",
    rules=dropped("tcp/88 udp/88 tcp/3268"),
)
def drop(lab: Lab):
    def agent():
        lab.together(
            lambda: work.kerberos(lab, "agent", "netwrix"),
            lambda: lab.probe("agent", "tcp", PLACES["dc1"].ip4, 88),
            lambda: work.catalogue_plain(lab, "agent"),
            lambda: work.rpc(lab, "agent"),
        )
        work.ldaps(lab, "agent")
        work.ldap_anonymous(lab, "agent")
        lab.act("agent", "smb-ntlm", "smbclient", "-U", NETWRIX, f"//{work.DC1}/netlogon", "-c", "ls")

    def client1():
        work.kerberos(lab, "client1", "alice")
        work.catalogue(lab, "client1")
        work.ldap(lab, "client1")
        work.smb(lab, "client1")

    work.dns(lab, "agent")
    lab.together(agent, client1)
    for service in ("tcp/88", "udp/88", "tcp/3268"):
        lab.expect(f"agent > dc1 {service}", "no-answer", by=FIREWALL_DROPS)
    lab.expect_all("agent", "dc1", "tcp/389 tcp/636 tcp/445 tcp/135 tcp/dyn")
    lab.expect_all("client1", "dc1", "tcp/3268 tcp/389 tcp/445")
    lab.expect("client1 > dc1 udp/88", "answered")


@scenario(
    "reject",
    "the agent's 445, 5985, 636, udp/389 and udp/123 rejected, each in another way",
    rules=f"""
        ip saddr {AGENT.ip4} tcp dport 445 counter reject with icmp type admin-prohibited
        ip saddr {AGENT.ip4} tcp dport 5985 counter reject with tcp reset
        ip saddr {AGENT.ip4} tcp dport 636 counter reject with icmp type host-prohibited
        ip saddr {AGENT.ip4} udp dport 389 counter reject with icmp type port-unreachable
        ip saddr {AGENT.ip4} udp dport 123 counter reject with icmp type admin-prohibited
    """,
)
def reject(lab: Lab):
    def agent():
        work.dns(lab, "agent")
        work.kerberos(lab, "agent", "netwrix")
        work.ldap(lab, "agent")
        work.rpc(lab, "agent")
        work.smb(lab, "agent")
        work.winrm(lab, "agent", "dc1")
        work.winrm(lab, "agent", "srv1")
        work.ldaps(lab, "agent")
        work.cldap(lab, "agent")
        work.ntp(lab, "agent")
        lab.probe("agent", "tcp", PLACES["dc2"].ip4, 5985)

    def client1():
        work.smb(lab, "client1")
        work.winrm(lab, "client1", "srv1")
        work.cldap(lab, "client1")
        lab.probe("client1", "tcp", PLACES["dc2"].ip4, 5985)

    lab.together(agent, client1)
    lab.expect("agent > dc1 tcp/445", "rejected-icmp:admin-prohibited", by=FIREWALL_REJECTS)
    lab.expect("agent > dc1 tcp/636", "rejected-icmp:host-prohibited", by=FIREWALL_REJECTS)
    lab.expect("agent > dc1 udp/389", "rejected-icmp:port-unreach", by=FIREWALL_REJECTS)
    lab.expect("agent > dc1 udp/123", "rejected-icmp:admin-prohibited", by=FIREWALL_REJECTS)
    for server in ("dc1", "dc2", "srv1"):
        lab.expect(f"agent > {server} tcp/5985", "refused-rst", by=FIREWALL_REJECTS)
    lab.expect("client1 > dc2 tcp/5985", "refused-rst", by=CLOSED)
    lab.expect_all("agent", "dc1", "tcp/389 tcp/135 tcp/dyn")
    lab.expect("client1 > dc1 tcp/445", "established")
    lab.expect("client1 > dc1 udp/389", "answered")
    lab.expect("client1 > srv1 tcp/5985", "established")


@scenario(
    "dynrpc",
    "135 allowed, 49152-65535 dropped for the clients' network",
    rules="ip saddr 10.10.2.0/24 tcp dport 49152-65535 counter drop",
)
def dynrpc(lab: Lab):
    def agent():
        work.kerberos(lab, "agent", "netwrix")
        work.ldap(lab, "agent")
        work.smb(lab, "agent")

    lab.together(
        agent,
        lambda: work.rpc(lab, "agent"),
        lambda: work.rpc_client(lab, "agent"),
        lambda: work.replication_state(lab, "agent"),
        lambda: lab.probe("client1", "samr", PLACES["dc1"].ip4, "alice", PASSWORD),
        lambda: lab.probe("client1", "nrpc", PLACES["dc2"].ip4),
        lambda: work.servers(lab),
    )
    lab.expect_all("agent", "dc1", "tcp/135 tcp/389 tcp/445")
    lab.expect("client1 > dc1 tcp/135", "established")
    lab.expect("client1 > dc2 tcp/135", "established")
    lab.expect("agent > dc1 tcp/dyn", "no-answer", by=FIREWALL_DROPS)
    lab.expect("client1 > dc1 tcp/dyn", "no-answer", by=FIREWALL_DROPS)
    lab.expect("client1 > dc2 tcp/dyn", "no-answer", by=FIREWALL_DROPS)
    lab.expect("dc1 > dc2 tcp/135", "established")


def disguise(lab: Lab):
    lab.domain.share_from_client2()
    lab.domain.start_stand_ins("client1", "ssh:445", "telnet:23")
    lab.domain.start_stand_ins("srv1", "http:389", "http:49200", "telnet:23")


def undisguise(lab: Lab):
    lab.hosts["client1"].kill_all()
    lab.hosts["client2"].kill_all()
    lab.hosts["srv1"].run("pkill", "-f", "[s]tand_ins.py http:389")


@scenario(
    "unexpected",
    "SMB between workstations, LDAP and HTTP to 389 of a member, SSH on 445, telnet, an unknown service in the dynamic range",
    prepare=disguise,
    clean_up=undisguise,
)
def unexpected(lab: Lab):
    srv1, client1, client2, dc1 = (PLACES[name].ip4 for name in ("srv1", "client1", "client2", "dc1"))
    ssh, will = r"SSH-2.0-OpenSSH_9.2\r\n", r"\xff\xfb\x18"

    def first():
        lab.act("client1", "smb-c2c", "smbclient", "-N", f"//{client2}/loot", "-c", "ls")
        lab.act("client1", "smb-c2c-list", "smbclient", "-N", "-L", f"//{client2}")
        lab.act("client1", "ldap-nondc", *LDAP, "-x", "-H", f"ldap://{srv1}", "-b", "", "-s", "base", "dn", timeout=6)
        lab.probe("client1", "tcp", srv1, 23, will)
        lab.act("client1", "http49200", "curl", "-sS", "-m", "5", "-i", f"http://{srv1}:49200/x")
        work.dns(lab, "client1")
        work.kerberos(lab, "client1", "alice")
        work.ldap(lab, "client1")

    def second():
        lab.act("agent", "http389", "curl", "-sS", "-m", "5", "-i", f"http://{srv1}:389/")
        lab.probe("client2", "tcp", client1, 445, ssh)
        lab.probe("agent", "tcp", client1, 445, ssh)
        lab.probe("client2", "tcp", client1, 23, will)
        lab.probe("client2", "tcp", dc1, 3389)
        lab.probe("client2", "tcp", dc1, 1433)
        lab.act("client2", "smb-to-dc", "smbclient", "-N", "-L", f"//{dc1}")

    lab.together(first, second)
    for flow, note in {
        "client1 > client2 tcp/445": "SMB between workstations",
        "client1 > srv1 tcp/389": "LDAP to a host that is no controller and answers HTTP",
        "agent > srv1 tcp/389": "HTTP on port 389",
        "client2 > client1 tcp/445": "SSH banner on 445",
        "agent > client1 tcp/445": "SSH banner on 445",
        "client1 > srv1 tcp/23": "telnet",
        "client2 > client1 tcp/23": "telnet",
        "client1 > srv1 tcp/dyn": "HTTP on 49200, which no mapper announced",
    }.items():
        lab.expect(flow, "established", unexpected=True, note=note)
    for port, note in ((3389, "remote desktop to a controller"), (1433, "SQL Server on a controller")):
        lab.expect(f"client2 > dc1 tcp/{port}", "refused-rst", by=CLOSED, unexpected=True, note=note)
    lab.expect("client1 > dc1 tcp/389", "established")


@scenario("winrm", "5985 answers on two hosts, is closed on two others; 5986 closed everywhere")
def winrm(lab: Lab):
    for _ in range(2):
        work.winrm(lab, "agent", "srv1")
        work.winrm(lab, "agent", "dc1")
    work.winrm(lab, "agent", "dc2")
    lab.probe("agent", "tcp", PLACES["client2"].ip4, 5985)
    lab.probe("agent", "tcp", PLACES["srv1"].ip4, 5986)
    lab.expect("agent > srv1 tcp/5985", "established")
    lab.expect("agent > dc1 tcp/5985", "established")
    lab.expect("agent > dc2 tcp/5985", "refused-rst", by=CLOSED)
    lab.expect("agent > client2 tcp/5985", "refused-rst", by=CLOSED)
    lab.expect("agent > srv1 tcp/5986", "refused-rst", by=CLOSED)


@scenario(
    "ipv6",
    "IPv6 clients: 445 of the agent rejected, 3268 dropped, 5985 reset by the firewall",
    family=6,
    rules=f"""
        ip6 saddr {AGENT.ip6} tcp dport 445 counter reject with icmpv6 type admin-prohibited
        ip6 saddr {AGENT.ip6} tcp dport 3268 counter drop
        ip6 saddr {AGENT.ip6} tcp dport 5985 counter reject with tcp reset
    """,
)
def ipv6(lab: Lab):
    def agent():
        work.dns(lab, "agent")
        work.kerberos(lab, "agent", "netwrix")
        work.ldap(lab, "agent")
        work.rpc(lab, "agent")
        lab.probe("agent", "tcp", PLACES["dc1"].ip6, 445)
        work.catalogue_plain(lab, "agent")
        work.winrm(lab, "agent", "dc1")

    lab.together(lambda: work.workstation(lab, "client1"), agent)
    lab.expect_all("client1", "dc1", "tcp/389 tcp/636 tcp/3268 tcp/3269 tcp/445 tcp/135 tcp/dyn")
    lab.expect_all("client1", "dc1", "udp/53 udp/88 udp/389 udp/123", "answered")
    lab.expect_all("agent", "dc1", "tcp/389 tcp/135 tcp/dyn")
    lab.expect("agent > dc1 tcp/445", "rejected-icmp:admin-prohibited", by=FIREWALL_REJECTS)
    lab.expect("agent > dc1 tcp/3268", "no-answer", by=FIREWALL_DROPS)
    lab.expect("agent > dc1 tcp/5985", "refused-rst", by=FIREWALL_REJECTS)


def one_round(lab: Lab):
    work.round_of_services(lab, "agent")
    lab.expect_all("agent", "dc1", "tcp/389 tcp/445 tcp/135 tcp/dyn")
    lab.expect("agent > dc1 tcp/3268", "no-answer", by=FIREWALL_DROPS)
    lab.expect("agent > dc2 tcp/5985", "refused-rst", by=CLOSED)


@scenario(
    "c2s",
    "a span port that shows the clients' packets only; 3268 is dropped",
    span="to-servers",
    rules=dropped("tcp/3268"),
)
def c2s(lab: Lab):
    one_round(lab)


@scenario(
    "s2c",
    "a span port that shows the servers' packets only; 3268 is dropped",
    span="to-clients",
    rules=dropped("tcp/3268"),
)
def s2c(lab: Lab):
    one_round(lab)


@scenario(
    "dup",
    "a span of both networks: every routed packet twice, other MACs, TTL one lower; 3268 is dropped",
    span="twice",
    rules=dropped("tcp/3268"),
)
def dup(lab: Lab):
    one_round(lab)


@scenario(
    "offload",
    "interfaces that leave segments and checksums to hardware: frames of up to 64 KiB; 3268 is dropped",
    offloads=True,
    rules=dropped("tcp/3268"),
)
def offload(lab: Lab):
    one_round(lab)


@scenario("midblock", "the firewall swallows live LDAP and catalogue connections, and new SYNs")
def midblock(lab: Lab):
    dc1 = PLACES["dc1"].ip4

    def late():
        time.sleep(2.5)
        lab.firewall.add_first(f"ip saddr {AGENT.ip4} ip daddr {dc1} tcp dport {{ 389, 3268 }} counter drop")
        time.sleep(1)
        lab.probe("agent", "tcp", dc1, 389)

    lab.together(
        lambda: lab.probe("agent", "hold", dc1, 389, 9), lambda: lab.probe("agent", "hold", dc1, 3268, 9), late
    )
    lab.expect("agent > dc1 tcp/3268", "established", by="firewall-drop-midflow")
    lab.expect("agent > dc1 tcp/389", "mixed", by="firewall-drop-midflow")


def revive(lab: Lab):
    """Starts dc1 again, on a link that is up."""
    lab.topology.switch.ip("link set p-dc1 up")
    lab.hosts["dc1"].ip(f"route replace default via {GATEWAY4['servers']}")
    lab.domain.start_controller("dc1")
    lab.domain.start_stand_ins("dc1")


@scenario("dcdown", "dc1 works, then its services die in mid-work, then its link is down; dc2 stays", clean_up=revive)
def dcdown(lab: Lab):
    dc1, dc2 = PLACES["dc1"].ip4, PLACES["dc2"].ip4

    def agent():
        lab.act("agent", "ldap1", *LDAP, "-x", "-H", f"ldap://{work.DC1}", "-b", "", "-s", "base", "dn")
        lab.probe("agent", "tcp", dc1, 445)
        lab.probe("agent", "samr", dc1, "netwrix", PASSWORD)
        work.cldap(lab, "agent")
        time.sleep(1)
        lab.hosts["dc1"].kill_all()
        for port in (389, 88, 135, 445, 3268):
            lab.probe("agent", "tcp", dc1, port)
        work.cldap(lab, "agent")
        lab.topology.switch.ip("link set p-dc1 down")
        lab.topology.forget_neighbours()
        # The router gives up after 3 s what waits for the address of dc1. A SYN that comes in just then makes it ask again
        # before it has told all of them.
        lab.together(
            lambda: lab.probe("agent", "patient", dc1, 389),
            lambda: lab.probe("agent", "patient", dc1, 636),
            lambda: lab.probe("client1", "patient", dc1, 389),
            lambda: lab.probe("agent", "tcp", dc2, 389),
            lambda: lab.probe("agent", "samr", dc2, "netwrix", PASSWORD),
        )
        work.cldap(lab, "agent")

    # Somebody is in the middle of something when it happens.
    lab.together(agent, lambda: lab.probe("client1", "hold", dc1, 3268, 12))
    lab.expect("agent > dc1 tcp/389", "mixed")
    lab.expect("agent > dc1 tcp/445", "mixed")
    lab.expect("agent > dc1 tcp/88", "refused-rst", by=CLOSED)
    lab.expect("agent > dc1 tcp/636", "rejected-icmp:host-unreach", by="router")
    lab.expect("client1 > dc1 tcp/389", "rejected-icmp:host-unreach", by="router")
    lab.expect("agent > dc2 tcp/389", "established")


@scenario("reload", "the firewall's rules are reloaded twice while the agent works: 445 open, dropped, open again")
def reload(lab: Lab):
    dc1 = PLACES["dc1"].ip4
    others = lambda: [lab.probe("agent", "tcp", dc1, port) for port in (389, 135)]  # noqa: E731

    lab.probe("agent", "tcp", dc1, 445)
    work.ldap_anonymous(lab, "agent")
    lab.firewall.load(dropped("tcp/445"))
    lab.reload_listeners()
    lab.together(lambda: lab.probe("agent", "tcp", dc1, 445), others, lambda: lab.probe("client1", "tcp", dc1, 445))
    lab.firewall.load()
    lab.reload_listeners()
    work.smb(lab, "agent")
    work.ldap_anonymous(lab, "agent")
    lab.expect("agent > dc1 tcp/445", "mixed", by=FIREWALL_DROPS)
    lab.expect("client1 > dc1 tcp/445", "established")
    lab.expect_all("agent", "dc1", "tcp/389 tcp/135")


@scenario(
    "flap",
    "the span port's cable is pulled, then its interface set down and up, then replaced; work goes on, unseen at times",
)
def flap(lab: Lab):
    dc1 = PLACES["dc1"].ip4
    sniffer, switch, recorder = lab.topology.sniffer, lab.topology.switch, lab.recorders["span"]

    def round_of_work():
        lab.together(
            lambda: work.cldap(lab, "agent"),
            lambda: work.ldap_anonymous(lab, "agent"),
            lambda: lab.probe("client1", "tcp", dc1, 445),
        )

    def watched():
        round_of_work()
        for end, interface in ((switch, SPAN_OUT), (sniffer, SPAN)):
            end.ip(f"link set {interface} down")
            round_of_work()
            end.ip(f"link set {interface} up")
            round_of_work()
        sniffer.ip(f"link delete {SPAN}")
        recorder.ended_by_itself()
        round_of_work()
        lab.topology.connect_span()
        recorder.start()
        lab.wait_for_listeners()
        set_span(lab.topology, "once")
        round_of_work()

    # A connection that lives through all of it.
    lab.together(watched, lambda: lab.probe("agent", "hold", dc1, 3268, 8))
    lab.expect_all("agent", "dc1", "tcp/389 tcp/3268")
    lab.expect("agent > dc1 udp/389", "answered")
    lab.expect("client1 > dc1 tcp/445", "established")


def both_sides(lab: Lab, client: str):
    dc1, dc2 = PLACES["dc1"].ip4, PLACES["dc2"].ip4
    lab.together(
        lambda: work.dns(lab, client),
        lambda: work.cldap(lab, client),
        lambda: work.ldap_anonymous(lab, client),
        lambda: work.ldaps(lab, client),
        lambda: work.ntp(lab, client),
        lambda: lab.probe(client, "tcp", dc1, 445),
        lambda: lab.probe(client, "tcp", dc1, 3268),
        lambda: lab.probe(client, "samr", dc1, "netwrix", PASSWORD),
        lambda: work.winrm(lab, client, "dc2"),
        lambda: lab.probe(client, "tcp", dc2, 389),
    )


@scenario(
    "sides",
    "both sides of the firewall: requests to 3268 lost, answers of 636 and of udp/123 lost, 445 rejected, 5985 closed",
    sides=True,
    rules=f"""
        ip saddr {AGENT.ip4} tcp dport 3268 counter drop
        ip saddr {AGENT.ip4} tcp dport 445 counter reject with icmp type admin-prohibited
    """,
    before=f"""
        ip daddr {AGENT.ip4} tcp sport 636 counter drop
        ip daddr {AGENT.ip4} udp sport 123 counter drop
    """,
)
def sides(lab: Lab):
    both_sides(lab, "agent")
    lab.expect("agent > dc1 tcp/3268", "no-answer", by=FIREWALL_DROPS, note="the request is lost")
    lab.expect("agent > dc1 tcp/636", "no-answer", by=FIREWALL_DROPS, note="the answer is lost")
    lab.expect("agent > dc1 udp/123", "no-answer", by=FIREWALL_DROPS, note="the answer is lost")
    lab.expect("agent > dc1 tcp/445", "rejected-icmp:admin-prohibited", by=FIREWALL_REJECTS)
    lab.expect("agent > dc2 tcp/5985", "refused-rst", by=CLOSED)
    lab.expect_all("agent", "dc1", "tcp/389 tcp/135 tcp/dyn")
    lab.expect("agent > dc2 tcp/389", "established")


@scenario(
    "nat",
    "both sides of a firewall that gives the clients its own address and other ports; 3268 is dropped",
    sides=True,
    translate=True,
    rules=dropped("tcp/3268"),
)
def nat(lab: Lab):
    both_sides(lab, "agent")
    lab.expect("agent > dc1 tcp/3268", "no-answer", by=FIREWALL_DROPS)
    lab.expect("agent > dc2 tcp/5985", "refused-rst", by=CLOSED)
    lab.expect_all("agent", "dc1", "tcp/389 tcp/445 tcp/636 tcp/135 tcp/dyn")
    lab.expect("agent > dc2 tcp/389", "established")
