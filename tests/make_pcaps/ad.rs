//! `pcaps/ad`: a domain that works.

use crate::craft::host::CLIENT;
use crate::craft::host::CLIENT_V6;
use crate::craft::host::DC1;
use crate::craft::host::DC1_V6;
use crate::craft::payload;
use crate::craft::play;
use crate::craft::scene::Scene;
use crate::craft::tcp::connect;
use crate::shelf::Capture;
use crate::shelf::Folder;

pub(crate) const FOLDER: Folder = Folder {
    name: "ad",
    about: "Traffic of a domain in which nothing is blocked. Every flow ends `open`, and none is a finding.",
    captures: &[
        Capture::scene(
            "logon.pcap",
            "a client logs on: DNS, CLDAP, Kerberos over UDP and TCP, LDAP, SMB, endpoint mapper, drsuapi on 49668, NTP",
            "10 flows, all open; 10.0.0.10 inferred a domain controller; 49668 `expected_rpc`: drsuapi, grade A",
            |scene| play::logon(scene, &CLIENT, &DC1),
        ),
        Capture::scene(
            "dns.pcap",
            "an SRV and an A question with their answers",
            "udp/53 open, `udp_reply`",
            |scene| play::dns(scene, &CLIENT, &DC1),
        ),
        Capture::scene(
            "dns_tcp.pcap",
            "an answer with the TC bit, then the same question over TCP",
            "udp/53 open, `udp_reply`; tcp/53 open, `handshake`",
            dns_tcp,
        ),
        Capture::scene(
            "cldap.pcap",
            "a netlogon ping",
            "udp/389 open; 10.0.0.10 answers as a domain controller",
            |scene| {
                play::cldap(scene, &CLIENT, &DC1);
            },
        ),
        Capture::scene(
            "kerberos_udp.pcap",
            "an AS-REQ over UDP, answered with KDC_ERR_PREAUTH_REQUIRED",
            "udp/88 open, `udp_reply`: the network works; the error 25 stands in `app_errors`",
            |scene| play::kerberos_udp(scene, &CLIENT, &DC1),
        ),
        Capture::scene("kerberos_tcp.pcap", "an AS-REQ over TCP and its AS-REP", "tcp/88 open, `handshake`", |scene| {
            play::kerberos(scene, &CLIENT, &DC1);
        }),
        Capture::scene("ldap.pcap", "a search of the directory's root", "tcp/389 open, `handshake`", |scene| {
            play::ldap(scene, &CLIENT, &DC1);
        }),
        Capture::scene("ldap_ipv6.pcap", "the same over IPv6", "tcp/389 open, `handshake`", |scene| {
            play::ldap(scene, &CLIENT_V6, &DC1_V6);
        }),
        Capture::scene("smb.pcap", "an SMB 2.1 negotiation", "tcp/445 open, `handshake`", |scene| {
            play::smb(scene, &CLIENT, &DC1);
        }),
        Capture::scene(
            "rpc.pcap",
            "bind and ept_map on 135 for drsuapi, then bind and call on 49668",
            "tcp/135 open; tcp/49668 open, `not_judged`: drsuapi, grade A, but 135 alone tells no role",
            |scene| play::rpc(scene, &CLIENT, &DC1),
        ),
        Capture::scene("ntp.pcap", "NTP from port 123 to port 123", "udp/123 open; client by `ntp_mode`", |scene| {
            play::ntp(scene, &CLIENT, &DC1);
        }),
    ],
};

fn dns_tcp(scene: &mut Scene) {
    let name = "dc1.corp.example";
    let query = payload::dns_query(7, name, 1);
    scene.udp_exchange(&CLIENT, &DC1, 53, &query, &payload::dns_truncated(7, name, 1));
    let answer = payload::dns_over_tcp(&payload::dns_a(7, name, &DC1));
    connect(scene, &CLIENT, &DC1, 53, &[(&payload::dns_over_tcp(&query), &answer)]);
}
