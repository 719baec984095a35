//! `pcaps/lab`: recordings of a real Samba domain in our own lab, which no generator makes.
//!
//! Each has a truth file: what the kernels of the hosts and the firewall counted, connection by connection.

/// One recording.
pub(crate) struct Recording {
    /// Its name within the folder.
    pub(crate) file: &'static str,
    /// Its truth file within the folder.
    pub(crate) truth: &'static str,
    /// What happened in it.
    pub(crate) shows: &'static str,
    /// The answer expected of it, in one phrase; the truth file has the rest.
    pub(crate) answer: &'static str,
}

const fn recording(file: &'static str, truth: &'static str, shows: &'static str, answer: &'static str) -> Recording {
    Recording { file, truth, shows, answer }
}

/// All recordings.
pub(crate) const RECORDINGS: &[Recording] = &[
    recording(
        "clean.pcap",
        "truth/clean.json",
        "everything allowed: clients, agent, member server and both controllers at work",
        "nothing blocked",
    ),
    recording(
        "drop.pcap",
        "truth/drop.json",
        "88/tcp, 88/udp and 3268/tcp of the agent dropped; client1 goes through",
        "agent: tcp/88, udp/88 and tcp/3268 blocked, dropped; client1: nothing",
    ),
    recording(
        "reject.pcap",
        "truth/reject.json",
        "the agent's 445, 5985, 636, udp/389 and udp/123 rejected, each in another way",
        "rejected: icmp 3/13, RST of the firewall, 3/10, 3/3 and 3/13",
    ),
    recording(
        "dynrpc.pcap",
        "truth/dynrpc.json",
        "135 allowed, 49152-65535 dropped for the clients' network",
        "the ports that the mapper handed out blocked, dropped: rpc_blocked for samr, netlogon and drsuapi; 135 open",
    ),
    recording(
        "ipv6.pcap",
        "truth/ipv6.json",
        "IPv6 clients: 445 of the agent rejected, 3268 dropped, 5985 reset by the firewall",
        "tcp/445 rejected `icmp_1_1`, tcp/3268 dropped, tcp/5985 rejected or refused",
    ),
    recording(
        "midblock.pcap",
        "truth/midblock.json",
        "the firewall swallows live LDAP and GC connections, and new SYNs",
        "blocked: tcp/389 and tcp/3268 stalled, then tcp/389 dropped, all probable",
    ),
    recording(
        "dcdown.pcap",
        "truth/dcdown.json",
        "dc1 works, then its services are stopped, then its link is down",
        "open, then refused by host, then dropped and rejected `icmp_3_1`",
    ),
    recording(
        "unexpected.pcap",
        "truth/unexpected.json",
        "SMB between workstations, LDAP and HTTP to 389 of a member, SSH on 445, telnet, an unknown service in the dynamic range",
        "unexpected: 445 and telnet between workstations, HTTP on 389, SSH on 445, the unknown service on 49200; nothing blocked",
    ),
    recording(
        "winrm.pcap",
        "truth/winrm.json",
        "5985 answers on two hosts, is closed on two others; 5986 closed everywhere",
        "tcp/5985 open, or refused, by host or by unknown; tcp/5986 refused; `blocked` where the controller's role is inferred, else `not_judged`",
    ),
    recording(
        "c2s.pcap",
        "truth/c2s.json",
        "a span port that shows the clients' packets only; 3268 is dropped",
        "asymmetric, said first; nothing blocked; 3268 dropped, `syn_repeated_oneway`, by the client's own repeats, and `not_judged`",
    ),
    recording(
        "s2c.pcap",
        "truth/s2c.json",
        "a span port that shows the servers' packets only",
        "asymmetric, said first; nothing blocked",
    ),
    recording(
        "dup.pcap",
        "truth/dup.json",
        "a span of both networks: every routed packet twice, other MACs, TTL one lower",
        "each connection once; duplicates counted",
    ),
    recording(
        "dup-any-sll2.pcap",
        "truth/dup.json",
        "the same moment recorded on the device \"any\": cooked frames of version 2, every packet twice",
        "as dup.pcap",
    ),
    recording(
        "reload.pcap",
        "truth/reload.json",
        "the firewall's rules are reloaded twice while the agent works: 445 open, dropped, open again",
        "tcp/445 of the agent: open, then dropped, then open; nothing else blocked",
    ),
    recording(
        "flap.pcap",
        "truth/flap.json",
        "the span port's cable is pulled, its interface set down and up, then replaced, while hosts work on unseen",
        "nothing blocked, although answers, and the middle of a connection, are missing",
    ),
    recording(
        "sides.client-side.pcap",
        "truth/sides.json",
        "the clients' side of the firewall: requests to 3268 lost in it, answers of 636 and udp/123 lost in it, 445 rejected by it",
        "tcp/3268 and tcp/636 dropped, udp/123 unknown, tcp/445 rejected `icmp_3_13`, tcp/5985 refused",
    ),
    recording(
        "sides.server-side.pcap",
        "truth/sides.json",
        "the servers' side at the same time: no request to 3268 and 445 arrives; 636 and udp/123 are answered",
        "tcp/636 reply_lost; udp/123 open; nothing of 3268 and 445; tcp/5985 refused",
    ),
    recording(
        "nat.client-side.pcap",
        "truth/nat.json",
        "the clients' side of a firewall that translates addresses and ports; 3268 is dropped",
        "tcp/3268 dropped",
    ),
    recording(
        "nat.server-side.pcap",
        "truth/nat.json",
        "the servers' side at the same time: the same connections from 10.10.1.1 and other ports",
        "all open but 5985, which is refused; nothing of 3268",
    ),
];
