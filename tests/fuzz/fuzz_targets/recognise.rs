//! Every recogniser and the readers beside them. The first byte chooses the transport; the rest is one end's first bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portolan::model::transport::Transport;
use portolan::proto::RECOGNISERS;
use portolan::proto::Recognition;
use portolan::proto::dhcp;
use portolan::proto::http;
use portolan::proto::nmf;
use portolan::proto::recognise;
use portolan::proto::tls;

fuzz_target!(|data: &[u8]| {
    let Some((first, bytes)) = data.split_first() else { return };
    let transport = if first & 1 == 0 { Transport::Tcp } else { Transport::Udp };
    let rows = RECOGNISERS.iter().filter(|row| row.over.contains(&transport));
    let certain = |row: &&_| {
        let row: &portolan::proto::Recogniser = row;
        matches!((row.recognise)(transport, bytes), Recognition::Certain(_))
    };
    let sure: Vec<_> = rows.filter(certain).map(|row| row.proto).collect();
    let (said, _) = recognise(transport, bytes);
    assert_eq!(said.certain, sure.len() == 1, "{sure:?}");
    let outside = [
        tls::server_name(bytes),
        nmf::via(bytes),
        dhcp::host_name(bytes),
        http::request(bytes).and_then(|head| head.host),
    ];
    assert!(outside.into_iter().flatten().all(|name| name.bytes().all(|byte| byte.is_ascii_graphic())));
    let _ = dhcp::client_address(bytes);
    let _ = nmf::is_ad_web_services(bytes);
    let _ = http::request(bytes).is_some_and(|head| head.is_ws_management() || head.is_rpc_channel());
});
