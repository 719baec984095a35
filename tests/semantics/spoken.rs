//! Captures with payload, between the hosts of the scripts: what their ends say decides, so everything runs, from the
//! file to the judgement.

use portolan::model::app::AppProto;
use portolan::model::app::Speaker;
use portolan::model::transport::Transport;

use crate::craft::host;
use crate::craft::host::Host;
use crate::craft::scene::Frame;
use crate::craft::scene::Scene;
use crate::craft::tcp::End;
use crate::craft::tcp::Tcp;
use crate::samples::Certainty;
use crate::samples::samples;
use crate::script::C;
use crate::script::C2;
use crate::script::S;
use crate::script::SITE;
use crate::script::World;
use crate::script::heard;

/// The client's port of every connection here.
pub(crate) const OWN: u16 = 50_000;

/// The host of that address.
pub(crate) fn host(addr: &str) -> Host {
    Host { addr: addr.parse().unwrap(), ..host::CLIENT }
}

/// What one end of a protocol says first.
pub(crate) fn says(proto: AppProto, transport: Transport, speaker: Speaker) -> Vec<u8> {
    let fits = |of: Option<Speaker>| of.is_none_or(|known| known == speaker);
    let found = samples().into_iter().find(|sample| {
        let sure = sample.certainty == Certainty::Certain;
        sure && (sample.proto, sample.transport) == (proto, transport) && fits(sample.speaker)
    });
    found.unwrap().bytes
}

/// What both ends of a protocol over TCP say first.
pub(crate) fn both(proto: AppProto) -> [Vec<u8>; 2] {
    [Speaker::Client, Speaker::Server].map(|speaker| says(proto, Transport::Tcp, speaker))
}

/// Nothing that any protocol begins with.
pub(crate) const NOISE: [&[u8]; 2] = [&[0xe7; 64], &[0xf3; 64]];

/// A connection of [`C`] to a port of [`S`]: handshake, each end's bytes, an orderly end.
pub(crate) fn talk(scene: &mut Scene, port: u16, client: &[u8], server: &[u8]) {
    let mut tcp = Tcp::from_port(scene, &host(C), OWN, &host(S), port);
    tcp.open(scene);
    middle(scene, &mut tcp, client, server);
}

/// What both ends say and how they end. An end that says nothing only acknowledges.
fn middle(scene: &mut Scene, tcp: &mut Tcp, client: &[u8], server: &[u8]) {
    for (end, bytes) in [(End::Client, client), (End::Server, server)] {
        if bytes.is_empty() {
            tcp.ack(scene, end);
        } else {
            tcp.say(scene, end, bytes);
        }
    }
    tcp.close(scene);
}

/// The frames of a connection to that port, from its handshake on.
pub(crate) fn whole(port: u16, client: &[u8], server: &[u8]) -> Vec<Frame> {
    let mut scene = Scene::new();
    talk(&mut scene, port, client, server);
    scene.ethernet()
}

/// The frames of a connection between these ports that was there before the capture began.
pub(crate) fn joined_late(own: u16, port: u16, client: &[u8], server: &[u8]) -> Vec<Frame> {
    let mut scene = Scene::new();
    let mut tcp = Tcp::from_port(&mut scene, &host(C), own, &host(S), port);
    tcp.established();
    middle(&mut scene, &mut tcp, client, server);
    scene.ethernet()
}

/// The frames of one datagram of each end.
pub(crate) fn datagrams(own: u16, port: u16, client: &[u8], server: &[u8]) -> Vec<Frame> {
    let mut scene = Scene::new();
    scene.udp_from(&host(C), own, &host(S), port, client, server);
    scene.ethernet()
}

/// The same frames with so many bytes of payload, and no more, captured of each.
pub(crate) fn cut(frames: Vec<Frame>, headers: usize, payload: usize) -> Vec<Frame> {
    frames.into_iter().map(|frame| frame.cut(headers + payload)).collect()
}

/// What is said of these frames with the usual site file.
pub(crate) fn judged(frames: &[Frame]) -> World {
    heard(frames, SITE)
}

/// Another client of the site file.
pub(crate) fn other_client() -> Host {
    host(C2)
}
