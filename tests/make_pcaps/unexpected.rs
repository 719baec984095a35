//! `pcaps/unexpected`: connections that work and that no document asks for, and look-alikes that are fine.

use crate::craft::host::CLIENT;
use crate::craft::host::CLIENT2;
use crate::craft::host::DC1;
use crate::craft::host::GATEWAY;
use crate::craft::host::Host;
use crate::craft::host::v4;
use crate::craft::payload;
use crate::craft::play;
use crate::craft::play::at_work;
use crate::craft::play::ending;
use crate::craft::rpc;
use crate::craft::scene::Scene;
use crate::craft::tcp;
use crate::craft::tcp::connect;
use crate::shelf::Capture;
use crate::shelf::Folder;

/// A web server outside (RFC 5737).
const WEB: Host = Host { addr: v4(203, 0, 113, 80), mac: GATEWAY.mac, ttl: 52, counts_ids: false };

pub(crate) const FOLDER: Folder = Folder {
    name: "unexpected",
    about: "What no row of the catalogue allows, after the same background as in `blocked`: DC1 and its two clients have shown their roles.",
    captures: &[
        Capture::scene(
            "lateral_smb.pcap",
            "SMB from one client of DC1 to another",
            "unexpected: tcp/445 open, `role_pair`",
            |scene| {
                at_work(scene);
                play::smb(scene, &CLIENT, &CLIENT2);
                ending(scene);
            },
        ),
        Capture::scene(
            "lateral_smb_refused.pcap",
            "the same, refused by the other client",
            "attempt: tcp/445 refused, `role_pair`",
            |scene| {
                at_work(scene);
                tcp::refused(scene, &CLIENT, &CLIENT2, 445, &CLIENT2);
                ending(scene);
            },
        ),
        Capture::scene(
            "telnet_to_dc.pcap",
            "a telnet session with the domain controller",
            "unexpected: tcp/23 open, `role_pair`",
            telnet,
        ),
        Capture::scene(
            "dc_to_client_ldap.pcap",
            "LDAP from the domain controller to its client",
            "tcp/389 open, `not_judged`: who answers LDAP is not inferred a client; with a site file unexpected, `direction`",
            |scene| {
                at_work(scene);
                play::ldap(scene, &DC1, &CLIENT);
                ending(scene);
            },
        ),
        Capture::scene(
            "dc_browses_web.pcap",
            "the domain controller fetches a web page outside",
            "unexpected: tcp/80 open, `no_row`",
            |scene| browse(scene, &DC1),
        ),
        Capture::scene(
            "client_browses_web.pcap",
            "a client does the same",
            "tcp/80 `not_judged`, `role_unknown`; no finding without --strict",
            |scene| browse(scene, &CLIENT),
        ),
        Capture::scene(
            "ssh_on_389.pcap",
            "SSH spoken on the LDAP port of the domain controller",
            "unexpected: tcp/389 open, `protocol_mismatch`",
            |scene| {
                at_work(scene);
                connect(scene, &CLIENT, &DC1, 389, &[(payload::SSH_CLIENT, payload::SSH_SERVER)]);
                ending(scene);
            },
        ),
        Capture::scene(
            "range_never_announced.pcap",
            "unknown bytes on port 49700 of the domain controller, which no mapper ever named",
            "range_only: tcp/49700 open, `expected_range`",
            |scene| range(scene, b"\x01\x02\x03\x04hello", b"\x01\x02\x03\x04there"),
        ),
        Capture::scene(
            "range_http.pcap",
            "HTTP on port 49700 of the domain controller",
            "unexpected: tcp/49700 open, `non_rpc_in_range`",
            |scene| range(scene, payload::HTTP_GET, payload::HTTP_OK),
        ),
        Capture::scene(
            "rpc_service_control.pcap",
            "the mapper names 49670 for svcctl, the client binds to it and opens the service manager",
            "unexpected: tcp/49670 open, `rpc_interface`",
            |scene| {
                at_work(scene);
                play::epm(scene, &CLIENT, &DC1, rpc::SVCCTL, &rpc::ept_map_found(rpc::SVCCTL, &DC1, 49_670));
                play::rpc_call(scene, &CLIENT, &DC1, 49_670, rpc::OPEN_SC_MANAGER);
                ending(scene);
            },
        ),
        Capture::scene(
            "rpc_bound_never_mapped.pcap",
            "a bind to drsuapi on 49668; the mapper's answer was not captured",
            "tcp/49668 open, `expected_rpc`: drsuapi, grade A by the bind",
            |scene| {
                at_work(scene);
                play::rpc_call(scene, &CLIENT, &DC1, play::RPC_PORT, rpc::DRS_BIND);
                ending(scene);
            },
        ),
        Capture::scene(
            "rpc_mapped_for_another.pcap",
            "the other client asks the mapper for drsuapi; this one connects to 49668 and says nothing",
            "tcp/49668 open, `connect_only`, `expected_rpc`: drsuapi, grade C as another client was told",
            |scene| {
                at_work(scene);
                play::epm(scene, &CLIENT2, &DC1, rpc::DRSUAPI, &rpc::ept_map_found(rpc::DRSUAPI, &DC1, play::RPC_PORT));
                connect(scene, &CLIENT, &DC1, play::RPC_PORT, &[]);
                ending(scene);
            },
        ),
        Capture::scene(
            "rpc_mapped_later.pcap",
            "a connection to 49668 without payload, and only then the mapper's answer that explains it",
            "tcp/49668 open, `connect_only`, `expected_rpc`: drsuapi, grade C by an answer that came after",
            |scene| {
                at_work(scene);
                connect(scene, &CLIENT, &DC1, play::RPC_PORT, &[]);
                scene.wait_ms(500);
                play::epm(scene, &CLIENT, &DC1, rpc::DRSUAPI, &rpc::ept_map_found(rpc::DRSUAPI, &DC1, play::RPC_PORT));
                ending(scene);
            },
        ),
    ],
};

fn telnet(scene: &mut Scene) {
    at_work(scene);
    let mut session = tcp::Tcp::new(scene, &CLIENT, &DC1, 23);
    session.open(scene);
    session.say(scene, tcp::End::Server, payload::TELNET_HELLO);
    session.exchange(scene, payload::TELNET_REPLY, b"\r\n");
    session.close(scene);
    ending(scene);
}

fn browse(scene: &mut Scene, who: &Host) {
    at_work(scene);
    connect(scene, who, &WEB, 80, &[(payload::HTTP_GET, payload::HTTP_OK)]);
    ending(scene);
}

fn range(scene: &mut Scene, request: &[u8], answer: &[u8]) {
    at_work(scene);
    connect(scene, &CLIENT, &DC1, 49_700, &[(request, answer)]);
    ending(scene);
}
