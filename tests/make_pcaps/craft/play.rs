//! Short acts that many scenes share: each protocol once, working, and the background that makes a network look alive.

use crate::craft::host::CLIENT;
use crate::craft::host::CLIENT2;
use crate::craft::host::DC1;
use crate::craft::host::Host;
use crate::craft::payload;
use crate::craft::rpc;
use crate::craft::scene::Scene;
use crate::craft::smb;
use crate::craft::tcp::connect;

/// The dynamic port on which the controllers of these scenes offer `drsuapi`.
pub(crate) const RPC_PORT: u16 = 49_668;

/// Asks for the controllers of the domain, then for the address of the first.
pub(crate) fn dns(scene: &mut Scene, client: &Host, server: &Host) {
    let (name, target) = ("_ldap._tcp.dc._msdcs.corp.example", "dc1.corp.example");
    let answer = payload::dns_srv(0x2a01, name, target, 389);
    scene.udp_exchange(client, server, 53, &payload::dns_query(0x2a01, name, 33), &answer);
    let answer = payload::dns_a(0x2a02, target, &DC1);
    scene.udp_exchange(client, server, 53, &payload::dns_query(0x2a02, target, 1), &answer);
}

/// The netlogon ping that tells a client that a controller is near and well.
pub(crate) fn cldap(scene: &mut Scene, client: &Host, server: &Host) {
    scene.udp_exchange(client, server, 389, &payload::cldap_ping(1), &payload::cldap_pong(1));
}

/// A ticket request over UDP that is told to authenticate first.
pub(crate) fn kerberos_udp(scene: &mut Scene, client: &Host, server: &Host) {
    scene.udp_exchange(client, server, 88, &payload::kerberos_as_req(), &payload::kerberos_error(25));
}

/// A ticket request over TCP that gets its ticket.
pub(crate) fn kerberos(scene: &mut Scene, client: &Host, server: &Host) {
    let request = payload::framed(&payload::kerberos_as_req());
    connect(scene, client, server, 88, &[(&request, &payload::framed(&payload::kerberos_as_rep()))]);
}

/// A search of the directory's root.
pub(crate) fn ldap(scene: &mut Scene, client: &Host, server: &Host) {
    connect(scene, client, server, 389, &[(&payload::ldap_search(1), &payload::ldap_found(1))]);
}

/// An SMB 2.1 negotiation.
pub(crate) fn smb(scene: &mut Scene, client: &Host, server: &Host) {
    connect(scene, client, server, 445, &[(&payload::smb_negotiate(), &payload::smb_negotiated())]);
}

/// Asks the endpoint mapper where an interface listens.
pub(crate) fn epm(scene: &mut Scene, client: &Host, server: &Host, interface: rpc::Interface, answer: &[u8]) {
    let bind = (rpc::bind(rpc::EPM), rpc::bind_ack(135));
    connect(scene, client, server, 135, &[(&bind.0, &bind.1), (&rpc::ept_map(interface), answer)]);
}

/// Asks the endpoint mapper in its named pipe where an interface listens.
pub(crate) fn epm_in_pipe(scene: &mut Scene, client: &Host, server: &Host, interface: rpc::Interface, answer: &[u8]) {
    let exchanges = [
        (payload::smb_negotiate(), payload::smb_negotiated()),
        smb::connect_pipes(1),
        smb::open(2, "epmapper"),
        smb::transceive(3, &rpc::bind(rpc::EPM), &rpc::bind_ack_at("\\PIPE\\epmapper")),
        smb::transceive(4, &rpc::ept_map(interface), answer),
        smb::close(5),
    ];
    let exchanges: Vec<(&[u8], &[u8])> = exchanges.iter().map(|(asked, given)| (&asked[..], &given[..])).collect();
    connect(scene, client, server, 445, &exchanges);
}

/// Binds to an interface on a dynamic port and calls it.
pub(crate) fn rpc_call(scene: &mut Scene, client: &Host, server: &Host, port: u16, call: rpc::Call) {
    let exchanges: [(&[u8], &[u8]); 2] =
        [(&rpc::bind(call.interface), &rpc::bind_ack(port)), (&call.request(), &call.answer())];
    connect(scene, client, server, port, &exchanges);
}

/// The mapper's answer and the call that follows it.
pub(crate) fn rpc(scene: &mut Scene, client: &Host, server: &Host) {
    epm(scene, client, server, rpc::DRSUAPI, &rpc::ept_map_found(rpc::DRSUAPI, server, RPC_PORT));
    rpc_call(scene, client, server, RPC_PORT, rpc::DRS_BIND);
}

/// Asks the controller for the time, port 123 to port 123.
pub(crate) fn ntp(scene: &mut Scene, client: &Host, server: &Host) {
    scene.udp_from(client, 123, server, 123, &payload::ntp_client(), &payload::ntp_server());
}

/// Everything that a member does when its user logs on.
pub(crate) fn logon(scene: &mut Scene, client: &Host, server: &Host) {
    for act in [dns, cldap, kerberos_udp, kerberos, ldap, smb, rpc, ntp] {
        act(scene, client, server);
        scene.wait_ms(5);
    }
}

/// The background of most scenes, about a tenth of a second: another client is served by DC1 on 88, 389 and 445, and the
/// client itself on 389. So the controller is known by its answers, its TTL has a baseline, and the way back is visible.
pub(crate) fn at_work(scene: &mut Scene) {
    for act in [kerberos, ldap, smb] {
        act(scene, &CLIENT2, &DC1);
        scene.wait_ms(5);
    }
    ldap(scene, &CLIENT, &DC1);
    scene.at_ms(100);
}

/// Traffic long after the point of the scene, so that silence before it counts.
pub(crate) fn ending(scene: &mut Scene) {
    scene.wait_ms(15_000);
    ntp(scene, &CLIENT2, &DC1);
}
