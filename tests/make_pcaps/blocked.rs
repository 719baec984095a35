//! `pcaps/blocked`: every way in which a connection fails, and the look-alikes that do not.

use crate::blocked_scenes as scenes;
use crate::craft::host::CLIENT;
use crate::craft::host::DC1;
use crate::craft::host::GATEWAY;
use crate::craft::host::SERVER;
use crate::craft::play::at_work;
use crate::craft::play::ending;
use crate::craft::tcp;
use crate::shelf::Capture;
use crate::shelf::Folder;

pub(crate) const FOLDER: Folder = Folder {
    name: "blocked",
    about: "One failure each, or a look-alike that is none. Unless a row says otherwise, DC1 serves another client on 88, 389 and 445 \
            first and this client on 389, so its role and its TTL of 127 are known and the way back is visible; the last packet \
            comes at least 15 s after the point of the scene.",
    captures: &[
        Capture::scene(
            "kerberos_dropped.pcap",
            "three SYNs at 0, 1 and 3 s, no answer",
            "blocked: tcp/88 dropped, confirmed, `syn_unanswered`",
            |scene| {
                at_work(scene);
                tcp::dropped(scene, &CLIENT, &DC1, 88, &[0, 1000, 3000]);
                ending(scene);
            },
        ),
        Capture::scene(
            "kerberos_dropped_ipv6.pcap",
            "the same over IPv6",
            "blocked: tcp/88 dropped, confirmed, `syn_unanswered`",
            scenes::dropped_ipv6,
        ),
        Capture::scene(
            "dropped_one_retransmit.pcap",
            "two SYNs, no answer",
            "blocked: tcp/88 dropped, probable, `syn_unanswered`",
            |scene| {
                at_work(scene);
                tcp::dropped(scene, &CLIENT, &DC1, 88, &[0, 1000]);
                ending(scene);
            },
        ),
        Capture::scene(
            "syn_single.pcap",
            "one SYN, no answer",
            "blocked: tcp/88 dropped, possible, `syn_single`",
            |scene| {
                at_work(scene);
                tcp::dropped(scene, &CLIENT, &DC1, 88, &[0]);
                ending(scene);
            },
        ),
        Capture::scene(
            "syn_at_end.pcap",
            "one SYN, the last packet of the capture",
            "tcp/88 unknown, possible, `edge_end`; no finding",
            |scene| {
                at_work(scene);
                tcp::dropped(scene, &CLIENT, &DC1, 88, &[0]);
            },
        ),
        Capture::scene(
            "syn_series_cut_at_start.pcap",
            "the first packet is a SYN, its repeat follows 6 s later: the tail of an older series",
            "blocked: tcp/88 dropped, lowered by `edge_start`",
            scenes::series_cut_at_start,
        ),
        Capture::scene(
            "host_silent.pcap",
            "three SYNs to 10.0.0.99, of which nothing is ever seen",
            "tcp/445 to 10.0.0.99 dropped, probable, `host_silent`",
            |scene| {
                at_work(scene);
                tcp::dropped(scene, &CLIENT, &SERVER.neighbour(99), 445, &[0, 1000, 3000]);
                ending(scene);
            },
        ),
        Capture::scene(
            "syn_lost_once.pcap",
            "a SYN, its repeat after 1 s, then everything works",
            "tcp/389 open, `handshake`; no finding",
            scenes::syn_lost_once,
        ),
        Capture::scene(
            "winrm_refused_by_host.pcap",
            "a SYN to 5985 answered by RST with the server's own TTL of 127 and counting IP identification",
            "blocked: tcp/5985 refused, confirmed, `rst_host`, by host",
            |scene| {
                at_work(scene);
                tcp::refused(scene, &CLIENT, &DC1, 5985, &DC1);
                ending(scene);
            },
        ),
        Capture::scene(
            "winrm_reset_by_middlebox.pcap",
            "a SYN to 5985 answered within 20 us by RST with TTL 64 and IP identification 0",
            "blocked: tcp/5985 rejected, probable, `rst_middlebox`, by middlebox",
            scenes::reset_by_middlebox,
        ),
        Capture::scene(
            "refused_no_baseline.pcap",
            "a SYN answered by RST; the server is never seen otherwise",
            "tcp/5985 refused, possible, `rst_unknown_origin`",
            |scene| {
                at_work(scene);
                tcp::refused(scene, &CLIENT, &SERVER, 5985, &SERVER);
                ending(scene);
            },
        ),
        Capture::scene(
            "rst_with_wrong_ack.pcap",
            "three SYNs; a RST whose acknowledgement does not fit comes after the first",
            "blocked: tcp/88 dropped, `syn_unanswered`; the RST is counted as a bad reply",
            scenes::rst_with_wrong_ack,
        ),
        Capture::scene(
            "smb_rejected_admin.pcap",
            "a SYN to 445 answered by ICMP 3/13 from the gateway",
            "blocked: tcp/445 rejected, confirmed, `icmp_3_13`, by 10.0.1.1",
            |scene| {
                at_work(scene);
                tcp::rejected(scene, (&CLIENT, &DC1), 445, &GATEWAY, (3, 13));
                ending(scene);
            },
        ),
        Capture::scene(
            "smb_rejected_admin_ipv6.pcap",
            "a SYN to 445 answered by ICMPv6 1/1 from the gateway",
            "blocked: tcp/445 rejected, confirmed, `icmp_1_1`, by 2001:db8:1::1",
            scenes::rejected_ipv6,
        ),
        Capture::scene(
            "smb_host_unreachable.pcap",
            "a SYN to 445 of 10.0.0.99 answered by ICMP 3/1 from the gateway",
            "tcp/445 rejected, confirmed, `icmp_3_1` (host down), by 10.0.1.1",
            |scene| {
                at_work(scene);
                tcp::rejected(scene, (&CLIENT, &SERVER.neighbour(99)), 445, &GATEWAY, (3, 1));
                ending(scene);
            },
        ),
        Capture::scene(
            "smb_router_port_unreachable.pcap",
            "a SYN to 445 answered by ICMP 3/3 from the gateway, a packet filter's default reject",
            "blocked: tcp/445 rejected, confirmed, `icmp_3_3`, by 10.0.1.1",
            |scene| {
                at_work(scene);
                tcp::rejected(scene, (&CLIENT, &DC1), 445, &GATEWAY, (3, 3));
                ending(scene);
            },
        ),
        Capture::scene(
            "icmp_then_syn_ack.pcap",
            "a SYN answered by ICMP 3/1, its repeat answered by SYN-ACK",
            "tcp/389 open, note `soft_error`; no finding",
            scenes::soft_error,
        ),
        Capture::scene(
            "icmp_rate_limited.pcap",
            "an attempt at 445 answered by ICMP 3/13; another 5 s later gets nothing",
            "blocked: tcp/445 rejected twice, first `icmp_3_13`, then probable, `icmp_inherited`",
            scenes::icmp_rate_limited,
        ),
        Capture::scene(
            "icmp_with_foreign_quote.pcap",
            "an ICMP 3/13 that quotes a connection nobody tried",
            "no flow gets it; counted as `icmp_unmatched`",
            scenes::icmp_foreign_quote,
        ),
        Capture::scene(
            "reply_lost.pcap",
            "SYN-ACKs are seen, yet the client repeats its SYN",
            "blocked: tcp/88 reply_lost, confirmed, `synack_unheard`",
            scenes::reply_lost,
        ),
        Capture::scene(
            "syn_ack_never_acked.pcap",
            "the server repeats its SYN-ACK, the client says nothing more",
            "tcp/88 reply_lost, possible, `synack_unacked`",
            scenes::syn_ack_never_acked,
        ),
        Capture::scene(
            "half_open_probe.pcap",
            "SYN, SYN-ACK, RST from the client",
            "tcp/445 open, `half_open_probe`",
            scenes::half_open_probe,
        ),
        Capture::scene(
            "connect_only.pcap",
            "a connection closed without payload: a port test",
            "tcp/445 open, `connect_only`",
            |scene| {
                at_work(scene);
                tcp::connect(scene, &CLIENT, &DC1, 445, &[]);
                ending(scene);
            },
        ),
        Capture::scene(
            "stalled.pcap",
            "after the handshake the client repeats its request five times, the server says nothing",
            "blocked: tcp/389 stalled, probable, `no_ack_after_setup`",
            scenes::stalled,
        ),
        Capture::scene(
            "stalled_mtu.pcap",
            "a small request works, the large one is repeated and answered by ICMP 3/4 only",
            "tcp/389 stalled, MTU confirmed by ICMP 3/4",
            scenes::stalled_mtu,
        ),
        Capture::scene(
            "reset_after_data_by_host.pcap",
            "the first request is answered by RST with the server's TTL",
            "tcp/445 reset, confirmed, `rst_after_data`, by host; no finding",
            |scene| scenes::reset_after_data(scene, &DC1),
        ),
        Capture::scene(
            "reset_after_data_by_middlebox.pcap",
            "the first request is answered by RST with TTL 64 and IP identification 0",
            "tcp/445 reset, probable, `rst_after_data`, by middlebox; no finding",
            |scene| scenes::reset_after_data(scene, &DC1.forged()),
        ),
        Capture::scene(
            "late_rst.pcap",
            "request, answer, then RST from the client instead of FIN",
            "tcp/389 open, `late_rst`; no finding",
            scenes::late_rst,
        ),
        Capture::scene(
            "refused_then_open.pcap",
            "refused, tried again 500 ms later on the same ports, then it works",
            "tcp/5985 open, `retried`; no finding",
            scenes::refused_then_open,
        ),
        Capture::scene(
            "port_reuse.pcap",
            "a closed connection, then another from the same client port; then a third that nobody answers",
            "three flows on one 5-tuple: open, open, dropped",
            scenes::port_reuse,
        ),
        Capture::scene(
            "stray_segments.pcap",
            "a lone RST and a lone FIN without any connection",
            "tcp/445 unknown, `stray`; no finding",
            scenes::stray_segments,
        ),
        Capture::scene(
            "dns_unanswered.pcap",
            "a DNS question sent at 0, 1, 2 and 4 s, no answer; DC1 answers the other client's",
            "blocked: udp/53 unanswered, confirmed",
            scenes::dns_unanswered,
        ),
        Capture::scene(
            "kerberos_udp_fallback.pcap",
            "Kerberos over UDP twice without answer, then over TCP with answer",
            "udp/88 open, `udp_fallback`: a note, no finding",
            scenes::kerberos_fallback,
        ),
        Capture::scene(
            "udp_port_unreachable_by_host.pcap",
            "an NTP question answered by ICMP 3/3 from the server itself",
            "udp/123 refused, `icmp_closed`",
            |scene| scenes::udp_rejected(scene, &DC1, (3, 3)),
        ),
        Capture::scene(
            "udp_port_unreachable_by_router.pcap",
            "the same from the gateway",
            "udp/123 rejected, `icmp_3_3`, by 10.0.1.1",
            |scene| scenes::udp_rejected(scene, &GATEWAY, (3, 3)),
        ),
        Capture::scene(
            "udp_rejected_admin.pcap",
            "an NTP question answered by ICMP 3/13 from the gateway",
            "blocked: udp/123 rejected, `icmp_3_13`, by 10.0.1.1",
            |scene| scenes::udp_rejected(scene, &GATEWAY, (3, 13)),
        ),
        Capture::scene(
            "syslog_one_way.pcap",
            "three syslog datagrams, which nobody ever answers",
            "udp/514 unknown, `no_reply_known`, `uncatalogued`; no finding",
            scenes::syslog,
        ),
        Capture::scene(
            "tftp_answers_elsewhere.pcap",
            "a read request to 69, answered from another port",
            "udp/69 open, `related`",
            scenes::tftp,
        ),
        Capture::scene(
            "echo_unanswered.pcap",
            "four echo requests without reply while LDAP works",
            "icmp echo unanswered, possible",
            scenes::echo_unanswered,
        ),
        Capture::scene(
            "epm_dropped.pcap",
            "three SYNs to 135, no answer",
            "epm_blocked: tcp/135 dropped, confirmed, `syn_unanswered`; nothing said of the range",
            |scene| {
                at_work(scene);
                tcp::dropped(scene, &CLIENT, &DC1, 135, &[0, 1000, 3000]);
                ending(scene);
            },
        ),
        Capture::scene(
            "rpc_dynamic_dropped.pcap",
            "the mapper hands out 49668 for drsuapi, three SYNs to it get no answer",
            "rpc_blocked: tcp/49668 dropped, confirmed, `syn_unanswered`: drsuapi, grade B",
            scenes::rpc_dynamic_dropped,
        ),
        Capture::scene(
            "rpc_told_in_pipe_dropped.pcap",
            "the mapper, asked in the pipe `epmapper` over SMB, hands out 49668 for drsuapi, three SYNs to it get no answer",
            "rpc_blocked: tcp/49668 dropped, confirmed, `syn_unanswered`: drsuapi, grade B; the flow to 445 shows the pipe",
            scenes::rpc_told_in_pipe_dropped,
        ),
        Capture::scene(
            "rpc_dynamic_refused.pcap",
            "the mapper hands out 49668 for drsuapi, and the server refuses a connection to it",
            "rpc_blocked: tcp/49668 refused, confirmed, `rst_host`: drsuapi, grade B; the port shows as refused since",
            scenes::rpc_dynamic_refused,
        ),
        Capture::scene(
            "rpc_not_registered.pcap",
            "the mapper answers that the interface is not registered",
            "rpc_not_registered: drsuapi; tcp/135 open, `handshake`",
            scenes::rpc_not_registered,
        ),
    ],
};
