//! `pcaps/format`: the same LDAP connection in every capture file format and compression.

use crate::craft::encap;
use crate::craft::host::CLIENT;
use crate::craft::host::CLIENT2;
use crate::craft::host::DC1;
use crate::craft::pcap::MICROS;
use crate::craft::pcap::MODIFIED;
use crate::craft::pcap::NANOS;
use crate::craft::pcap::Order;
use crate::craft::pcap::Pcap;
use crate::craft::pcapng::DSB;
use crate::craft::pcapng::EPB;
use crate::craft::pcapng::IF_TSOFFSET;
use crate::craft::pcapng::IF_TSRESOL;
use crate::craft::pcapng::ISB_IFDROP;
use crate::craft::pcapng::NRB;
use crate::craft::pcapng::Ng;
use crate::craft::play::at_work;
use crate::craft::play::ldap;
use crate::craft::scene::Frame;
use crate::craft::scene::Scene;
use crate::craft::tcp::dropped;
use crate::shelf::Capture;
use crate::shelf::Folder;
use crate::shelf::Make;
use crate::shelf::Packer;

const SAME: &str = "as pcap_le_us.pcap";

pub(crate) const FOLDER: Folder = Folder {
    name: "format",
    about: "The LDAP connection of `link/ethernet.pcap` in every capture file format and compression: 9 frames, \
            10.0.1.20 to 10.0.0.10 tcp/389 open, first packet at 2026-01-05T09:00:00Z.",
    captures: &[
        Capture::bytes("pcap_le_us.pcap", "pcap, little endian, microseconds", "9 frames, tcp/389 open", || {
            pcap(MICROS, Order::Little)
        }),
        Capture::bytes("pcap_be_us.pcap", "pcap, big endian, microseconds", SAME, || pcap(MICROS, Order::Big)),
        Capture::bytes("pcap_le_ns.pcap", "pcap, little endian, nanoseconds", SAME, || pcap(NANOS, Order::Little)),
        Capture::bytes("pcap_be_ns.pcap", "pcap, big endian, nanoseconds", SAME, || pcap(NANOS, Order::Big)),
        Capture::bytes("pcap_modified.pcap", "pcap with the longer record headers of magic a1b2cd34", SAME, || {
            pcap(MODIFIED, Order::Little)
        }),
        Capture::bytes("pcap_modified_be.pcap", "the same, big endian", SAME, || pcap(MODIFIED, Order::Big)),
        Capture::bytes("pcap_fcs.pcap", "pcap whose link type field also says that 4 bytes of FCS follow", SAME, fcs),
        Capture::bytes("pcapng_le.pcapng", "pcapng, little endian", SAME, || pcapng(Order::Little)),
        Capture::bytes("pcapng_be.pcapng", "pcapng, big endian", SAME, || pcapng(Order::Big)),
        Capture::bytes("pcapng_named.pcap", "pcapng in a file named .pcap", SAME, || pcapng(Order::Little)),
        Capture::bytes(
            "two_links.pcapng",
            "two interfaces: the client's packets raw, the server's Ethernet",
            SAME,
            two_links,
        ),
        Capture::bytes(
            "two_sections.pcapng",
            "two sections, little then big endian; interface 0 of the second is raw",
            SAME,
            two_sections,
        ),
        Capture::bytes("tsresol_ns.pcapng", "time in nanoseconds", SAME, || resolution(9, |ns| ns)),
        Capture::bytes(
            "tsresol_2_20.pcapng",
            "time in units of 2^-20 s",
            "as pcap_le_us.pcap, times within 1 us",
            || resolution(0x94, |ns| u64::try_from((u128::from(ns) << 20).div_ceil(1_000_000_000)).unwrap()),
        ),
        Capture::bytes("tsresol_ms.pcapng", "time in milliseconds", "as pcap_le_us.pcap, times within 1 ms", || {
            resolution(3, |ns| ns / 1_000_000)
        }),
        Capture::bytes("tsoffset.pcapng", "times an hour early and an offset of 3600 s", SAME, || {
            tsoffset(Order::Little)
        }),
        Capture::bytes("tsoffset_be.pcapng", "the same, big endian", SAME, || tsoffset(Order::Big)),
        Capture::bytes(
            "simple_packets.pcapng",
            "simple packet blocks, which have no time",
            "9 frames, tcp/389 open, no times",
            simple,
        ),
        Capture::bytes("old_packets.pcapng", "the obsolete packet blocks", SAME, old_packets),
        Capture::bytes(
            "other_blocks.pcapng",
            "between the packets: name resolution, decryption secrets, a custom block, two unknown ones",
            SAME,
            other_blocks,
        ),
        Capture::bytes("packet_options.pcapng", "packets with comment, flags and drop count", SAME, packet_options),
        Capture::bytes(
            "ifdrop.pcapng",
            "interface statistics that tell of 7 lost packets",
            "as pcap_le_us.pcap, `dropped_by_kernel` 7",
            ifdrop,
        ),
        Capture::bytes(
            "ifdrop_dropped.pcapng",
            "the same, with three unanswered SYNs to 88",
            "tcp/88 dropped, only probable: the capture lost packets",
            ifdrop_dropped,
        ),
        packed("gzip.pcap.gz", "pcap_le_us.pcap in gzip", Packer::Gzip, plain),
        packed("zstd.pcap.zst", "pcap_le_us.pcap in zstd", Packer::Zstd, plain),
        packed("lz4.pcap.lz4", "pcap_le_us.pcap in an LZ4 frame", Packer::Lz4, plain),
        packed("xz.pcap.xz", "pcap_le_us.pcap in xz", Packer::Xz, plain),
        packed("gzip.pcapng.gz", "pcapng_le.pcapng in gzip", Packer::Gzip, || pcapng(Order::Little)),
        Capture::bytes(
            "gzip_two_members.pcap.gz",
            "two gzip members one after another, without compression",
            SAME,
            || {
                let file = plain();
                let (first, second) = file.split_at(400);
                [stored_gzip(first), stored_gzip(second)].concat()
            },
        ),
    ],
};

const fn packed(file: &'static str, shows: &'static str, packer: Packer, make: fn() -> Vec<u8>) -> Capture {
    Capture { file, shows, answer: SAME, make: Make::Packed(packer, make) }
}

fn scene() -> Scene {
    let mut scene = Scene::new();
    ldap(&mut scene, &CLIENT, &DC1);
    scene
}

fn frames() -> Vec<Frame> {
    scene().ethernet()
}

fn plain() -> Vec<u8> {
    pcap(MICROS, Order::Little)
}

fn pcap(magic: u32, order: Order) -> Vec<u8> {
    Pcap { magic, order, ..Pcap::ETHERNET }.file(&frames())
}

/// The upper bits of the link type: FCS length present, two 16-bit words.
fn fcs() -> Vec<u8> {
    let mut frames = frames();
    for frame in &mut frames {
        let sum = crc32(&frame.bytes);
        frame.bytes.extend(sum.to_le_bytes());
        frame.wire_len += 4;
    }
    Pcap::link(0x2400_0001).file(&frames)
}

/// The CRC of Ethernet and of gzip.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

/// A gzip member (RFC 1952) with one stored block (RFC 1951).
pub(crate) fn stored_gzip(content: &[u8]) -> Vec<u8> {
    let len = u16::try_from(content.len()).unwrap();
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1];
    out.extend(len.to_le_bytes());
    out.extend((!len).to_le_bytes());
    out.extend(content);
    out.extend(crc32(content).to_le_bytes());
    out.extend(u32::from(len).to_le_bytes());
    out
}

fn pcapng(order: Order) -> Vec<u8> {
    let mut ng = Ng::ethernet(order);
    ng.packets(&frames());
    ng.out
}

fn two_links() -> Vec<u8> {
    let mut ng = Ng::new(Order::Little);
    ng.interface(101, 0, &[]);
    ng.interface(1, 262_144, &[]);
    let scene = scene();
    let wrapped =
        scene.frames(|shot| vec![if shot.src_mac == CLIENT.mac { encap::raw(shot) } else { encap::ethernet(shot) }]);
    for (frame, shot) in wrapped.iter().zip(&scene.shots) {
        ng.packet(u32::from(shot.src_mac != CLIENT.mac), frame.at_ns / 1000, frame);
    }
    ng.out
}

fn two_sections() -> Vec<u8> {
    let mut ng = Ng::ethernet(Order::Little);
    let (ethernet, raw) = (frames(), scene().frames(|shot| vec![encap::raw(shot)]));
    ng.packets(ethernet.get(..4).unwrap());
    ng.section(Order::Big);
    ng.interface(101, 262_144, &[]);
    ng.packets(raw.get(4..).unwrap());
    ng.out
}

fn resolution(code: u8, to_units: fn(u64) -> u64) -> Vec<u8> {
    let mut ng = Ng::new(Order::Little);
    let option = ng.option(IF_TSRESOL, &[code]);
    ng.interface(1, 262_144, &option);
    for frame in frames() {
        ng.packet(0, to_units(frame.at_ns), &frame);
    }
    ng.out
}

fn tsoffset(order: Order) -> Vec<u8> {
    let mut ng = Ng::new(order);
    let option = ng.option(IF_TSOFFSET, &order.u64(3600));
    ng.interface(1, 262_144, &option);
    for frame in frames() {
        ng.packet(0, frame.at_ns / 1000 - 3_600_000_000, &frame);
    }
    ng.out
}

fn simple() -> Vec<u8> {
    let mut ng = Ng::ethernet(Order::Little);
    for frame in frames() {
        ng.simple_packet(&frame);
    }
    ng.out
}

fn old_packets() -> Vec<u8> {
    let mut ng = Ng::ethernet(Order::Little);
    for frame in frames() {
        ng.old_packet(0, frame.at_ns / 1000, &frame);
    }
    ng.out
}

fn other_blocks() -> Vec<u8> {
    let mut ng = Ng::ethernet(Order::Little);
    // 10.0.0.10 is dc1.corp.example, then the end of the records.
    ng.block(NRB, b"\x01\0\x15\0\x0a\0\0\x0adc1.corp.example\0\0\0\0\0\0\0\0");
    for (nth, frame) in frames().iter().enumerate() {
        match nth {
            2 => ng.block(DSB, b"KSLT\x0c\0\0\0no secrets\n\0"),
            4 => ng.block(0x0000_0bad, &[0; 400]),
            6 => ng.block(0x9999_0001, &[]),
            // A custom block of IANA's example enterprise number 32473.
            7 => ng.block(0x0000_0bad, &32_473_u32.to_le_bytes()),
            _ => {}
        }
        ng.packet(0, frame.at_ns / 1000, frame);
    }
    ng.out
}

fn packet_options() -> Vec<u8> {
    let mut ng = Ng::ethernet(Order::Little);
    for frame in frames() {
        let mut body = ng.packet_body(0, frame.at_ns / 1000, &frame);
        body.extend(ng.option(1, b"a comment"));
        body.extend(ng.option(2, &[1, 0, 0, 0]));
        body.extend(ng.option(4, &[0; 8]));
        body.extend([0; 4]);
        ng.block(EPB, &body);
    }
    ng.out
}

fn ifdrop() -> Vec<u8> {
    let mut ng = Ng::ethernet(Order::Little);
    let frames = frames();
    ng.packets(&frames);
    ng.statistics(0, frames.last().unwrap().at_ns / 1000, ISB_IFDROP, 7);
    ng.out
}

fn ifdrop_dropped() -> Vec<u8> {
    let mut scene = Scene::new();
    at_work(&mut scene);
    dropped(&mut scene, &CLIENT, &DC1, 88, &[0, 1000, 3000]);
    scene.wait_ms(15_000);
    ldap(&mut scene, &CLIENT2, &DC1);
    let mut ng = Ng::ethernet(Order::Little);
    ng.packets(&scene.ethernet());
    ng.statistics(0, scene.now_ns / 1000, ISB_IFDROP, 7);
    ng.out
}
