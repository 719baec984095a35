//! Capture files that lie about themselves: the container is wrong, the packets in it are right.

use crate::craft::host::CLIENT;
use crate::craft::host::DC1;
use crate::craft::pcap::Order;
use crate::craft::pcap::Pcap;
use crate::craft::pcapng::EPB;
use crate::craft::pcapng::IDB;
use crate::craft::pcapng::IF_TSOFFSET;
use crate::craft::pcapng::IF_TSRESOL;
use crate::craft::pcapng::Ng;
use crate::craft::pcapng::OPB;
use crate::craft::pcapng::SHB;
use crate::craft::pcapng::SPB;
use crate::craft::play::ldap;
use crate::craft::scene::Frame;
use crate::craft::scene::START_NS;
use crate::craft::scene::Scene;

const START_US: u64 = START_NS / 1000;

/// The frames of one LDAP connection.
pub(crate) fn frames() -> Vec<Frame> {
    let mut scene = Scene::new();
    ldap(&mut scene, &CLIENT, &DC1);
    scene.ethernet()
}

fn first() -> Frame {
    frames().swap_remove(0)
}

/// A good file.
pub(crate) fn good() -> Vec<u8> {
    Pcap::ETHERNET.file(&frames())
}

/// Its first so many bytes; a negative count leaves off the end.
pub(crate) fn cut(count: isize) -> Vec<u8> {
    let mut file = good();
    let len = if count < 0 { file.len() - count.unsigned_abs() } else { count.unsigned_abs() };
    file.truncate(len);
    file
}

/// Three good records, then a header with any lengths and the good frame's bytes, then the rest.
pub(crate) fn lying_record(captured: u32, wire: u32) -> Vec<u8> {
    record_after_three(Pcap::ETHERNET, START_NS + 1_000_000, captured, wire)
}

fn record_after_three(pcap: Pcap, at_ns: u64, captured: u32, wire: u32) -> Vec<u8> {
    let frames = frames();
    let (before, after) = frames.split_at(3);
    let mut out = pcap.file(before);
    pcap.record_header(&mut out, at_ns, captured, wire).unwrap();
    for frame in after {
        out.extend(&frame.bytes);
        pcap.record(&mut out, frame).unwrap();
    }
    out
}

/// A record that captured nothing and whose frame had no bytes, among good ones.
pub(crate) fn empty_record() -> Vec<u8> {
    let frames = frames();
    let (before, after) = frames.split_at(3);
    let mut out = Pcap::ETHERNET.file(before);
    let empty = Frame { at_ns: START_NS + 800_000, wire_len: 0, bytes: Vec::new() };
    Pcap::ETHERNET.record(&mut out, &empty).unwrap();
    for frame in after {
        Pcap::ETHERNET.record(&mut out, frame).unwrap();
    }
    out
}

/// More bytes captured than the snaplen allows, all of them there.
pub(crate) fn over_snaplen() -> Vec<u8> {
    Pcap { snaplen: 40, ..Pcap::ETHERNET }.file(&frames())
}

/// A frame of which more was captured than there was.
pub(crate) fn captured_more_than_wire() -> Vec<u8> {
    let mut frames = frames();
    for frame in &mut frames {
        frame.wire_len = 40;
    }
    Pcap::ETHERNET.file(&frames)
}

/// A fraction of 4294967295 microseconds in every record.
pub(crate) fn wild_fraction() -> Vec<u8> {
    let mut file = good();
    let mut at = 24;
    for frame in frames() {
        file.splice(at + 4..at + 8, [0xff; 4]);
        at += 16 + frame.bytes.len();
    }
    file
}

/// A good file with bytes replaced.
pub(crate) fn patched(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut file = good();
    file.splice(at..at + bytes.len(), bytes.iter().copied());
    file
}

/// Three good records, then bytes of no meaning.
pub(crate) fn garbage_after() -> Vec<u8> {
    let mut out = Pcap::ETHERNET.file(frames().get(..3).unwrap());
    let mut state = 1_u32;
    for _ in 0..500 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        out.extend(state.to_be_bytes());
    }
    out
}

/// A packet before any interface is described.
pub(crate) fn ng_no_interface(kind: u32) -> Vec<u8> {
    let mut ng = Ng::new(Order::Little);
    spoil(&mut ng, kind, 0);
    ng.out
}

/// Good packets and one of an interface that nobody described.
pub(crate) fn ng_unknown_interface(kind: u32) -> Vec<u8> {
    let mut ng = Ng::ethernet(Order::Little);
    ng.packets(frames().get(..3).unwrap());
    spoil(&mut ng, kind, 7);
    ng.packets(frames().get(3..).unwrap());
    ng.out
}

fn spoil(ng: &mut Ng, kind: u32, interface: u16) {
    match kind {
        EPB => ng.packet(interface.into(), START_US, &first()),
        SPB => ng.simple_packet(&first()),
        OPB => ng.old_packet(interface, START_US, &first()),
        _ => ng.statistics(interface.into(), START_US, 5, 1),
    }
}

/// Three good packets, then a packet block with any lengths, then good ones.
pub(crate) fn ng_lying_block(first_len: u32, last_len: u32) -> Vec<u8> {
    let mut ng = Ng::ethernet(Order::Little);
    ng.packets(frames().get(..3).unwrap());
    let body = ng.packet_body(0, START_US, &first());
    ng.block_of(EPB, first_len, &body, last_len);
    ng.packets(frames().get(3..).unwrap());
    ng.out
}

/// A packet block whose captured length reaches beyond the block.
pub(crate) fn ng_captured_beyond_block() -> Vec<u8> {
    let mut ng = Ng::ethernet(Order::Little);
    ng.packets(frames().get(..3).unwrap());
    let mut body = ng.packet_body(0, START_US, &first());
    body.splice(12..16, 5000_u32.to_le_bytes());
    ng.block(EPB, &body);
    ng.packets(frames().get(3..).unwrap());
    ng.out
}

/// An interface with one option given raw.
pub(crate) fn ng_interface_option(option: &[u8]) -> Vec<u8> {
    let mut ng = Ng::new(Order::Little);
    let mut body = vec![1, 0, 0, 0, 0, 0, 4, 0];
    body.extend(option);
    ng.block(IDB, &body);
    ng.packets(&frames());
    ng.out
}

/// An interface with one well-formed option.
pub(crate) fn ng_interface(code: u16, value: &[u8]) -> Vec<u8> {
    let mut ng = Ng::new(Order::Little);
    let option = ng.option(code, value);
    ng.interface(1, 262_144, &option);
    ng.packets(&frames());
    ng.out
}

/// Time resolutions at the edge of what 8 bits can say.
pub(crate) fn ng_resolution(code: u8) -> Vec<u8> {
    ng_interface(IF_TSRESOL, &[code])
}

/// An offset that no 64-bit time survives.
pub(crate) fn ng_offset() -> Vec<u8> {
    ng_interface(IF_TSOFFSET, &i64::MIN.to_le_bytes())
}

/// A time of all ones.
pub(crate) fn ng_time_max() -> Vec<u8> {
    let mut ng = Ng::ethernet(Order::Little);
    for frame in frames() {
        ng.packet(0, u64::MAX, &frame);
    }
    ng.out
}

/// A thousand empty options before the packets.
pub(crate) fn ng_many_options() -> Vec<u8> {
    ng_interface_option(&[1, 0, 0, 0].repeat(1000))
}

/// Two thousand interfaces, the last of which has the packets.
pub(crate) fn ng_many_interfaces() -> Vec<u8> {
    let mut ng = Ng::new(Order::Little);
    for _ in 0..2000 {
        ng.interface(1, 262_144, &[]);
    }
    for frame in frames() {
        ng.packet(1999, frame.at_ns / 1000, &frame);
    }
    ng.out
}

/// Three hundred sections of one packet each.
pub(crate) fn ng_many_sections() -> Vec<u8> {
    let mut ng = Ng::new(Order::Little);
    for nth in 0..300 {
        let order = if nth % 2 == 0 { Order::Big } else { Order::Little };
        ng.section(order);
        ng.interface(1, 262_144, &[]);
        ng.packet(0, START_US + nth * 1000, &first());
    }
    ng.out
}

/// A section header with any magic and version.
pub(crate) fn ng_section(magic: u32, major: u16) -> Vec<u8> {
    let mut ng = Ng { order: Order::Little, out: Vec::new() };
    let mut body = magic.to_le_bytes().to_vec();
    body.extend(major.to_le_bytes());
    body.extend([0, 0]);
    body.extend([0xff; 8]);
    ng.block(SHB, &body);
    ng.interface(1, 262_144, &[]);
    ng.packets(&frames());
    ng.out
}

/// A good file without its last bytes.
pub(crate) fn ng_cut(left_off: usize) -> Vec<u8> {
    let mut ng = Ng::ethernet(Order::Little);
    ng.packets(&frames());
    ng.out.truncate(ng.out.len() - left_off);
    ng.out
}

/// A block of four gigabytes before the first packet.
pub(crate) fn ng_giant_block() -> Vec<u8> {
    let mut ng = Ng::ethernet(Order::Little);
    ng.block_of(EPB, 0xffff_fffc, &[0; 64], 0xffff_fffc);
    ng.packets(&frames());
    ng.out
}

/// Half a million records without a byte in them, for a packer.
pub(crate) fn bomb() -> Vec<u8> {
    let record = [&1_767_603_600_u32.to_le_bytes()[..], &[0; 12]].concat();
    [Pcap::ETHERNET.file(&[]), record.repeat(500_000)].concat()
}
