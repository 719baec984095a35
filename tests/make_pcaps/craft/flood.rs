//! Traffic too big to ship, written straight to any sink.
//!
//! Every generator is a function of its count alone, so two runs give the same bytes.

use std::io;
use std::io::Write;
use std::net::IpAddr;
use std::net::Ipv4Addr;

use crate::craft::encap::ethernet;
use crate::craft::encap::internet_checksum;
use crate::craft::host::DC1;
use crate::craft::host::GATEWAY;
use crate::craft::host::Host;
use crate::craft::pcap::Pcap;
use crate::craft::scene::Frame;
use crate::craft::scene::START_NS;
use crate::craft::scene::Scene;
use crate::craft::scene::Shot;
use crate::craft::tcp::SYN;

const SYN_LEN: u16 = 40;

/// Writes a pcap of `count` SYNs from as many spoofed sources (198.18.0.0/15 and on, RFC 2544) to DC1's LDAP port,
/// `gap_ns` apart. No two share source address and port.
pub(crate) fn flood(out: &mut impl Write, count: u32, gap_ns: u64) -> io::Result<()> {
    let pcap = Pcap::ETHERNET;
    pcap.header(out)?;
    for nth in 0..count {
        let bytes = ethernet(&Shot {
            at_ns: START_NS,
            src_mac: GATEWAY.mac,
            dst_mac: [0x00, 0x00, 0x5e, 0x00, 0x53, 0x10],
            ip: spoofed_syn(nth),
        });
        pcap.record(out, &Frame::whole(START_NS + u64::from(nth) * gap_ns, bytes))?;
    }
    Ok(())
}

/// One SYN without options whose source is a function of its number.
fn spoofed_syn(nth: u32) -> Vec<u8> {
    let IpAddr::V4(target) = DC1.addr else { return Vec::new() };
    let base = u32::from(Ipv4Addr::new(198, 18, 0, 0));
    let source = base + nth % 0x0002_0000;
    let port = u16::try_from(1024 + nth / 0x0002_0000 % 64_000).unwrap();
    // An odd multiplier visits every sequence number once.
    let seq = nth.wrapping_mul(2_654_435_761);

    let mut ip = Vec::with_capacity(usize::from(SYN_LEN));
    ip.extend([0x45, 0]);
    ip.extend(SYN_LEN.to_be_bytes());
    ip.extend([0, 0, 0x40, 0, 54, 6, 0, 0]);
    ip.extend(source.to_be_bytes());
    ip.extend(target.octets());
    let sum = internet_checksum(&ip).to_be_bytes();
    ip.splice(10..12, sum);

    let mut pseudo = [source.to_be_bytes(), target.octets(), [0, 6, 0, 20]].concat();
    let mut tcp = [port.to_be_bytes(), 389_u16.to_be_bytes()].concat();
    tcp.extend(seq.to_be_bytes());
    tcp.extend([0, 0, 0, 0, 0x50, SYN, 0x04, 0x00, 0, 0, 0, 0]);
    pseudo.extend(&tcp);
    let sum = internet_checksum(&pseudo).to_be_bytes();
    tcp.splice(16..18, sum);
    ip.extend(tcp);
    ip
}

/// Writes a pcap of `count` whole conversations made by `play`, one second apart; memory does not grow with the count.
pub(crate) fn repeat(out: &mut impl Write, count: u32, play: impl Fn(&mut Scene, u32)) -> io::Result<()> {
    let pcap = Pcap::ETHERNET;
    pcap.header(out)?;
    let mut scene = Scene::new();
    for nth in 0..count {
        scene.at_ms(u64::from(nth) * 1000);
        play(&mut scene, nth);
        for frame in scene.ethernet() {
            pcap.record(out, &frame)?;
        }
        scene.shots.clear();
    }
    Ok(())
}

/// The workstation number `nth` of a large network, 10.64.0.0 and on.
pub(crate) fn workstation(nth: u32, like: &Host) -> Host {
    let [_, b, c, d] = nth.to_be_bytes();
    Host { addr: IpAddr::V4(Ipv4Addr::new(10, 64 | b, c, d)), ..*like }
}
