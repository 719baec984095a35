//! What the payload says to the documents, and to the question who called whom: table 1d.

use portolan::model::app::AppProto;
use portolan::model::app::Speaker;
use portolan::model::transport::Transport;

use crate::craft::scene::Frame;
use crate::script::C;
use crate::script::S;
use crate::script::SITE;
use crate::script::conn;
use crate::script::heard;
use crate::spoken::NOISE;
use crate::spoken::OWN;
use crate::spoken::both;
use crate::spoken::cut;
use crate::spoken::datagrams;
use crate::spoken::joined_late;
use crate::spoken::judged;
use crate::spoken::says;
use crate::spoken::whole;

/// Ethernet, IPv4 and TCP without options.
const TCP_HEADERS: usize = 54;

/// Ethernet, IPv4 and UDP.
const UDP_HEADERS: usize = 42;

#[test]
fn another_protocol_than_the_rows_is_unexpected() {
    for (port, app) in [(389, AppProto::Ssh), (445, AppProto::Http), (88, AppProto::Tls), (135, AppProto::Http)] {
        let c = conn(C, OWN, S, port);
        let [client, server] = both(app);
        let world = judged(&whole(port, &client, &server));
        world.of(c).standing("unexpected: protocol_mismatch").finding("unexpected").app(app.name());
    }
    for (port, app) in [(389, AppProto::Ldap), (445, AppProto::Smb), (88, AppProto::Kerberos), (135, AppProto::DceRpc)]
    {
        let c = conn(C, OWN, S, port);
        let [client, server] = both(app);
        judged(&whole(port, &client, &server)).of(c).standing("expected").finding("-").app(app.name());
    }
}

#[test]
fn what_the_server_says_counts_before_what_the_client_takes_it_for() {
    let c = conn(C, OWN, S, 389);
    let ([http, _], [ldap, answer]) = (both(AppProto::Http), both(AppProto::Ldap));
    judged(&whole(389, &http, &answer)).of(c).standing("expected").finding("-").app("ldap");
    let [_, page] = both(AppProto::Http);
    judged(&whole(389, &ldap, &page)).of(c).standing("unexpected: protocol_mismatch").finding("unexpected");
    // Where the server says nothing, what the client wants of it is still not what the port is for.
    judged(&whole(389, &http, &[])).of(c).standing("unexpected: protocol_mismatch").app("http");
}

#[test]
fn what_neither_end_begins_as_it_should_is_unexpected_too() {
    let c = conn(C, OWN, S, 389);
    let [client, server] = NOISE;
    let world = judged(&whole(389, client, server));
    world.of(c).standing("unexpected: protocol_mismatch").finding("unexpected").app("-");
    // Twin: one end alone may be misread.
    let [ldap, answer] = both(AppProto::Ldap);
    judged(&whole(389, client, &answer)).of(c).standing("expected").finding("-");
    judged(&whole(389, &ldap, server)).of(c).standing("expected").finding("-");
    judged(&whole(389, client, &[])).of(c).standing("expected").finding("-");
    // Twin: no row of these roles says what the port speaks.
    let unnamed = conn(C, OWN, S, 49_700);
    judged(&whole(49_700, client, server)).of(unnamed).standing("expected_range").finding("range_only");
}

#[test]
fn text_on_the_port_of_telnet_is_not_denied() {
    let c = conn(C, OWN, S, 23);
    let site = SITE.replace("client = [", "telnet-server = [\"10.0.0.10\"]\nclient = [");
    let of = |client: &[u8], server: &[u8]| heard(&whole(23, client, server), &site);
    of(b"root\r\n", b"\r\nWelcome\r\nlogin: ").of(c).standing("expected").finding("-").app("-");
    // Twins: bytes that are no text, and another protocol of text.
    let [client, server] = NOISE;
    of(client, server).of(c).standing("unexpected: protocol_mismatch").finding("unexpected");
    let [client, server] = both(AppProto::Ssh);
    of(&client, &server).of(c).standing("unexpected: protocol_mismatch").app("ssh");
}

#[test]
fn what_was_cut_off_says_nothing() {
    let c = conn(C, OWN, S, 389);
    let [client, server] = both(AppProto::Ssh);
    for payload in 0..4 {
        let frames = cut(whole(389, &client, &server), TCP_HEADERS, payload);
        judged(&frames).of(c).standing("expected").finding("-").app("-");
    }
    // Twin: as much as decides.
    let frames = cut(whole(389, &client, &server), TCP_HEADERS, 24);
    judged(&frames).of(c).standing("unexpected: protocol_mismatch");
}

#[test]
fn a_cut_datagram_is_not_denied() {
    let c = conn(C, OWN, S, 53);
    let [asks, answers] = [Speaker::Client, Speaker::Server].map(|who| says(AppProto::Dns, Transport::Udp, who));
    for payload in 0..asks.len().min(answers.len()) {
        let frames = cut(datagrams(OWN, 53, &asks, &answers), UDP_HEADERS, payload);
        judged(&frames).of(c).standing("expected").finding("-");
    }
    let [client, server] = NOISE;
    judged(&cut(datagrams(OWN, 53, client, server), UDP_HEADERS, 40)).of(c).standing("expected").finding("-");
    // Twin: the same datagrams whole.
    judged(&datagrams(OWN, 53, client, server)).of(c).standing("unexpected: protocol_mismatch");
    judged(&datagrams(OWN, 53, &asks, &answers)).of(c).standing("expected").app("dns");
}

#[test]
fn what_began_before_the_capture_is_not_accused_by_its_payload() {
    let c = conn(C, OWN, S, 389);
    let [client, server] = both(AppProto::Ssh);
    let [noise, more_noise] = NOISE;
    for (client, server) in [(&client[..], &server[..]), (noise, more_noise)] {
        judged(&joined_late(OWN, 389, client, server)).of(c).standing("expected").finding("-");
        // Twin: with its beginning.
        judged(&whole(389, client, server)).of(c).standing("unexpected: protocol_mismatch");
    }
}

#[test]
fn what_is_no_rpc_in_the_range_is_unexpected() {
    let c = conn(C, OWN, S, 49_700);
    for app in [AppProto::Http, AppProto::Tls, AppProto::Ssh, AppProto::Smb] {
        let [client, server] = both(app);
        let world = judged(&whole(49_700, &client, &server));
        world.of(c).standing("unexpected: non_rpc_in_range").finding("unexpected").app(app.name());
        // Twins: cut, met in its middle, or on a port that has a row.
        let cut = cut(whole(49_700, &client, &server), TCP_HEADERS, 2);
        judged(&cut).of(c).standing("expected_range").finding("range_only");
        judged(&joined_late(OWN, 49_700, &client, &server)).of(c).standing("expected_range");
        let row = format!(
            "{SITE}\n[[row]]\nid = \"app\"\nfrom = \"client\"\nto = \"domain-controller\"\n\
             ports = [\"tcp/49700\"]\npurpose = \"application\"\ndocument = \"change 4712\"\n"
        );
        heard(&whole(49_700, &client, &server), &row).of(c).standing("expected").row("site/app").finding("-");
    }
}

#[test]
fn who_asks_is_the_client_even_where_ports_say_otherwise() {
    // The client's port is the lower one, and neither is in any document.
    let (own, port) = (1_100, 47_000);
    let c = conn(C, own, S, port);
    for app in [AppProto::DceRpc, AppProto::Ldap, AppProto::Tls, AppProto::Smb, AppProto::Http] {
        let [client, server] = both(app);
        judged(&joined_late(own, port, &client, &server)).of(c).dir("payload", C).app(app.name());
        // One end is enough.
        judged(&joined_late(own, port, &client, &[])).of(c).dir("payload", C);
        judged(&joined_late(own, port, &[], &server)).of(c).dir("payload", C);
    }
    let [client, server] = NOISE;
    judged(&joined_late(own, port, client, server)).of(c).dir("lower_port", S);
    // Twin: a handshake is better evidence than any payload.
    let [client, server] = both(AppProto::Ldap);
    judged(&whole(389, &server, &client)).of(conn(C, OWN, S, 389)).dir("syn", C);
}

#[test]
fn who_asks_by_datagram_is_the_client_even_if_the_answer_is_seen_first() {
    let (own, port) = (47_001, 47_002);
    let c = conn(C, own, S, port);
    for app in [AppProto::Dns, AppProto::Ldap, AppProto::DceRpc] {
        let [asks, answers] = [Speaker::Client, Speaker::Server].map(|who| says(app, Transport::Udp, who));
        let frames = datagrams(own, port, &asks, &answers);
        judged(&frames).of(c).dir("payload", C).app(app.name());
        judged(&frames[1..]).of(c).dir("payload", C);
    }
    let [one, other] = NOISE;
    judged(&datagrams(own, port, one, other)[1..]).of(c).dir("first_packet", S);
}

#[test]
fn who_speaks_something_else_on_a_port_is_no_server_of_it() {
    let c = conn(C, OWN, S, 53);
    let roles = |app| {
        let [client, server] = both(app);
        let world = heard(&whole(53, &client, &server), "");
        world.of(c);
        world.roles(S).len()
    };
    assert_eq!(roles(AppProto::Ssh), 0);
    assert_eq!(roles(AppProto::Dns), 1);
    // What a client says there is not its doing: nobody makes a server none by asking it for something else.
    let [[http, _], [_, answer]] = [both(AppProto::Http), both(AppProto::Dns)];
    for said in [&answer[..], b""] {
        assert_eq!(heard(&whole(53, &http, said), "").roles(S).len(), 1);
    }
}

/// Two conversations of one time.
fn beside(one: Vec<Frame>, other: Vec<Frame>) -> Vec<Frame> {
    let mut both = [one, other].concat();
    both.sort_by_key(|frame| frame.at_ns);
    both
}

#[test]
fn what_a_server_of_an_inferred_role_has_beside_rpc_is_not_judged() {
    let [client, server] = both(AppProto::Tls);
    // A Windows server by what it answers: what else it may have is not known.
    let web = beside(whole(5985, b"", b""), whole(8443, &client, &server));
    let c = conn(C, OWN, S, 8443);
    heard(&web, "").of(c).standing("not_judged: role_unknown").finding("-");
    // Twin: the site file says what it is.
    let site = "[hosts]\nwindows-server = [\"10.0.0.10\"]\n";
    heard(&web, site).of(c).standing("unexpected: non_rpc_in_range").finding("unexpected");
}

#[test]
fn a_named_instance_of_a_database_is_where_its_look_up_says() {
    let c = conn(C, OWN, S, 49_721);
    let [client, server] = both(AppProto::Tds);
    let database = whole(49_721, &client, &server);
    let looked_up = beside(datagrams(OWN, 1434, b"\x04SQLEXPRESS", b"\x05\x0b\x00tcp;49721;;"), database.clone());
    let site = |roles: &str| format!("[hosts]\nclient = [\"10.0.3.7\"]\n{roles}");
    let told = site("sql-server = [\"10.0.0.10\"]\n");
    heard(&looked_up, &told).of(c).standing("expected").row("modern-windows/sql-named-instance").finding("-");
    heard(&looked_up, &site("")).of(c).standing("not_judged: role_unknown").finding("-");
    // Twin: it is no database that was found there.
    let [ssh, banner] = both(AppProto::Ssh);
    let shell =
        beside(datagrams(OWN, 1434, b"\x04SQLEXPRESS", b"\x05\x0b\x00tcp;49721;;"), whole(49_721, &ssh, &banner));
    heard(&shell, &told).of(c).standing("unexpected: non_rpc_in_range").finding("unexpected");
    // Nor is anything known of one that says nothing: the range alone would allow it.
    let silent = beside(datagrams(OWN, 1434, b"\x04SQLEXPRESS", b"\x05\x0b\x00tcp;49721;;"), whole(49_721, b"", b""));
    heard(&silent, &told).of(c).standing("expected_range").finding("range_only");
    // Twins: nobody looked it up.
    heard(&database, &told).of(c).standing("unexpected: non_rpc_in_range");
    heard(&database, &site("")).of(c).standing("unexpected: non_rpc_in_range");
}
