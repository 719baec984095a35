//! `pcaps/hostile`: what must be survived. The container lies in some, the packets in others.

use crate::craft::pcapng::EPB;
use crate::craft::pcapng::ISB;
use crate::craft::pcapng::OPB;
use crate::craft::pcapng::SPB;
use crate::format::stored_gzip;
use crate::hostile_files as files;
use crate::hostile_packets as packets;
use crate::shelf::Capture;
use crate::shelf::Folder;
use crate::shelf::Make;
use crate::shelf::Packer;

const DAMAGED: &str = "whole frames before the damage count; exit 3 with frame and offset";
const NOT_A_CAPTURE: &str = "exit 3: not a capture file; no frame";
const SKIPPED: &str = "the bad frames are skipped and counted, the LDAP connection after them is open";

pub(crate) const FOLDER: Folder = Folder {
    name: "hostile",
    about: "Damaged, lying or malicious input. Nothing here may panic, hang or allocate without bound.",
    captures: &[
        Capture::bytes("empty.pcap", "a file of no bytes", NOT_A_CAPTURE, Vec::new),
        Capture::bytes("text.pcap", "a text file by this name", NOT_A_CAPTURE, || {
            b"This is not a capture.\nIt is a text whose name says otherwise.\n".to_vec()
        }),
        Capture::bytes("zeros.pcap", "a kilobyte of zeros", NOT_A_CAPTURE, || vec![0; 1024]),
        Capture::bytes("magic_only.pcap", "the first 4 bytes of a pcap", DAMAGED, || files::cut(4)),
        Capture::bytes("header_cut.pcap", "the first 23 bytes of a pcap", DAMAGED, || files::cut(23)),
        Capture::bytes("header_only.pcap", "a pcap without packets", "0 frames, no finding, exit 0", || files::cut(24)),
        Capture::bytes("cut_in_record_header.pcap", "ends within the header of the second record", DAMAGED, || {
            files::cut(114)
        }),
        Capture::bytes("cut_in_frame.pcap", "ends within the fourth frame", DAMAGED, || files::cut(320)),
        Capture::bytes("cut_last_byte.pcap", "the last byte is missing", DAMAGED, || files::cut(-1)),
        Capture::bytes("version_9.pcap", "a pcap of version 9.4", "read as version 2.4; no panic", || {
            files::patched(4, &[9, 0])
        }),
        Capture::bytes("record_giant.pcap", "the fourth record claims 4294967295 bytes", DAMAGED, || {
            files::lying_record(u32::MAX, u32::MAX)
        }),
        Capture::bytes("record_negative.pcap", "the fourth record claims 2147483648 bytes", DAMAGED, || {
            files::lying_record(0x8000_0000, 60)
        }),
        Capture::bytes("record_100_mb.pcap", "the fourth record claims 100 MB", DAMAGED, || {
            files::lying_record(100_000_000, 100_000_000)
        }),
        Capture::bytes(
            "record_empty.pcap",
            "a record of no bytes among good ones",
            "10 frames, 1 cut_short; tcp/389 open",
            files::empty_record,
        ),
        Capture::bytes(
            "over_snaplen.pcap",
            "frames longer than the snaplen of 40 that the file claims",
            "9 frames, tcp/389 open",
            files::over_snaplen,
        ),
        Capture::bytes(
            "captured_more_than_wire.pcap",
            "records that captured more bytes than their frames had",
            "9 frames, no panic",
            files::captured_more_than_wire,
        ),
        Capture::bytes(
            "fraction_wild.pcap",
            "4294967295 microseconds in every record",
            "9 frames, no panic",
            files::wild_fraction,
        ),
        Capture::bytes("garbage_after.pcap", "three good frames, then noise", DAMAGED, files::garbage_after),
        Capture::bytes("ng_section_cut.pcapng", "the first 11 bytes of a pcapng", DAMAGED, || {
            files::ng_cut(0).into_iter().take(11).collect()
        }),
        Capture::bytes("ng_no_interface.pcapng", "a packet before any interface is described", DAMAGED, || {
            files::ng_no_interface(EPB)
        }),
        Capture::bytes("ng_simple_no_interface.pcapng", "the same with a simple packet", DAMAGED, || {
            files::ng_no_interface(SPB)
        }),
        Capture::bytes("ng_old_no_interface.pcapng", "the same with an obsolete packet block", DAMAGED, || {
            files::ng_no_interface(OPB)
        }),
        Capture::bytes(
            "ng_unknown_interface.pcapng",
            "the fourth packet names interface 7 of one",
            "3 frames at least; the fourth is skipped or ends the reading, said either way",
            || files::ng_unknown_interface(EPB),
        ),
        Capture::bytes(
            "ng_statistics_unknown_interface.pcapng",
            "statistics of interface 7 of one",
            "9 frames, tcp/389 open",
            || files::ng_unknown_interface(ISB),
        ),
        Capture::bytes("ng_block_length_0.pcapng", "a block of length 0", DAMAGED, || files::ng_lying_block(0, 0)),
        Capture::bytes("ng_block_length_8.pcapng", "a block of length 8", DAMAGED, || files::ng_lying_block(8, 8)),
        Capture::bytes("ng_block_length_12.pcapng", "a packet block without body", DAMAGED, || {
            files::ng_lying_block(12, 12)
        }),
        Capture::bytes("ng_block_length_odd.pcapng", "a block whose length is no multiple of 4", DAMAGED, || {
            files::ng_lying_block(101, 101)
        }),
        Capture::bytes(
            "ng_block_lengths_differ.pcapng",
            "a block whose two lengths differ",
            "3 frames at least; no panic",
            || files::ng_lying_block(100, 96),
        ),
        Capture::bytes("ng_block_giant.pcapng", "a block of 4 GB", DAMAGED, files::ng_giant_block),
        Capture::bytes(
            "ng_captured_beyond_block.pcapng",
            "a packet whose captured length reaches beyond its block",
            "3 frames at least; no bytes of the next block are read as its own",
            files::ng_captured_beyond_block,
        ),
        Capture::bytes(
            "ng_option_beyond_block.pcapng",
            "an option of 65535 bytes in a block of 24",
            "9 frames or exit 3; no panic",
            || files::ng_interface_option(&[9, 0, 0xff, 0xff]),
        ),
        Capture::bytes(
            "ng_options_many.pcapng",
            "a thousand empty options, then no end mark",
            "9 frames, tcp/389 open",
            files::ng_many_options,
        ),
        Capture::bytes(
            "ng_tsresol_10_127.pcapng",
            "time in units of 10^-127 s",
            "9 frames or exit 3; no panic",
            || files::ng_resolution(127),
        ),
        Capture::bytes("ng_tsresol_2_127.pcapng", "time in units of 2^-127 s", "9 frames or exit 3; no panic", || {
            files::ng_resolution(255)
        }),
        Capture::bytes(
            "ng_tsresol_0.pcapng",
            "time in seconds, of the year 56000000",
            "9 frames, times clamped; no panic",
            || files::ng_resolution(0),
        ),
        Capture::bytes(
            "ng_tsresol_empty.pcapng",
            "a time resolution of no bytes",
            "9 frames or exit 3; no panic",
            || files::ng_interface(9, &[]),
        ),
        Capture::bytes(
            "ng_tsoffset_min.pcapng",
            "an offset of -2^63 s",
            "9 frames, times clamped; no panic",
            files::ng_offset,
        ),
        Capture::bytes(
            "ng_time_max.pcapng",
            "times of all ones",
            "9 frames, times clamped; no panic",
            files::ng_time_max,
        ),
        Capture::bytes(
            "ng_interfaces_2000.pcapng",
            "two thousand interfaces",
            "9 frames, tcp/389 open",
            files::ng_many_interfaces,
        ),
        Capture::bytes(
            "ng_sections_300.pcapng",
            "three hundred sections of alternating byte order",
            "300 frames",
            files::ng_many_sections,
        ),
        Capture::bytes(
            "ng_bad_magic.pcapng",
            "a section header whose byte-order magic is nobody's",
            NOT_A_CAPTURE,
            || files::ng_section(0x1234_5678, 1),
        ),
        Capture::bytes("ng_version_2.pcapng", "a section of version 2", "refused or read; no panic", || {
            files::ng_section(0x1a2b_3c4d, 2)
        }),
        Capture::bytes("ng_cut_in_block.pcapng", "ends within the last block", DAMAGED, || files::ng_cut(30)),
        Capture::bytes("ng_cut_last_length.pcapng", "the last length is missing", DAMAGED, || files::ng_cut(4)),
        Capture::bytes("gzip_cut.pcap.gz", "a gzip file without its last third", DAMAGED, || {
            let mut file = stored_gzip(&files::good());
            file.truncate(600);
            file
        }),
        Capture::bytes("gzip_bad_sum.pcap.gz", "a gzip file with a wrong checksum", "9 frames, exit 3", || {
            let mut file = stored_gzip(&files::good());
            let at = file.len() - 8;
            file.splice(at..at + 4, [0; 4]);
            file
        }),
        Capture::bytes(
            "gzip_then_noise.pcap.gz",
            "a whole gzip member, then bytes that are none",
            "9 frames; noise said or ignored",
            || {
                let mut file = stored_gzip(&files::good());
                file.extend([0x55; 64]);
                file
            },
        ),
        Capture::bytes("zstd_cut.pcap.zst", "the magic of zstd and nothing more", NOT_A_CAPTURE, || {
            vec![0x28, 0xb5, 0x2f, 0xfd]
        }),
        Capture::bytes("xz_cut.pcap.xz", "the magic of xz and nothing more", NOT_A_CAPTURE, || {
            vec![0xfd, b'7', b'z', b'X', b'Z', 0]
        }),
        Capture::bytes("lz4_cut.pcap.lz4", "the magic of LZ4 and nothing more", NOT_A_CAPTURE, || {
            vec![0x04, 0x22, 0x4d, 0x18]
        }),
        Capture {
            file: "gzip_bomb.pcap.gz",
            shows: "8 MB of empty records in 8 kB",
            answer: "500000 frames cut_short; memory bounded",
            make: Make::Packed(Packer::Gzip, files::bomb),
        },
        Capture::bytes("tunnels_50.pcap", "a SYN inside fifty IPv4 headers with the same addresses", SKIPPED, || {
            packets::tunnels(50)
        }),
        Capture::bytes("vxlan_20.pcap", "a segment inside twenty VXLAN tunnels", SKIPPED, || packets::vxlans(20)),
        Capture::bytes("vlan_300.pcap", "300 VLAN tags", SKIPPED, || packets::tags(0x8100, 300)),
        Capture::bytes("mpls_300.pcap", "300 MPLS labels, none of them the last", SKIPPED, || {
            packets::tags(0x8847, 300)
        }),
        Capture::bytes("ipv6_extensions_200.pcap", "a SYN behind 200 destination options headers", SKIPPED, || {
            packets::extensions(60, 200, 0)
        }),
        Capture::bytes("ipv6_fragments_nested.pcap", "a SYN behind 20 fragment headers", SKIPPED, || {
            packets::extensions(44, 20, 0)
        }),
        Capture::bytes("ipv6_extension_giant.pcap", "a hop-by-hop header that claims 2048 bytes", SKIPPED, || {
            packets::extensions(0, 1, 255)
        }),
        Capture::bytes(
            "fragments_overlapping.pcap",
            "fragments that overlap, with differing bytes",
            SKIPPED,
            packets::fragments_overlapping,
        ),
        Capture::bytes(
            "fragments_giant.pcap",
            "fragments that end beyond byte 65535",
            SKIPPED,
            packets::fragments_giant,
        ),
        Capture::bytes(
            "fragments_tiny.pcap",
            "a first fragment that ends before TCP's flags",
            SKIPPED,
            packets::fragments_tiny,
        ),
        Capture::bytes("fragments_empty.pcap", "fragments without payload", SKIPPED, packets::fragments_empty),
        Capture::bytes(
            "fragments_orphaned.pcap",
            "200 first fragments without rest, 200 last ones without first",
            SKIPPED,
            packets::fragments_orphaned,
        ),
        Capture::bytes(
            "ip_lengths.pcap",
            "IPv4 total lengths from 0 to 65535 that do not fit",
            SKIPPED,
            packets::ip_lengths,
        ),
        Capture::bytes(
            "ip_header_lengths.pcap",
            "IPv4 header lengths of 0 to 4 and 15 words",
            SKIPPED,
            packets::ip_header_lengths,
        ),
        Capture::bytes(
            "ip_versions.pcap",
            "IP versions 0, 1, 5, 7 and 15 under the type of IPv4",
            SKIPPED,
            packets::ip_versions,
        ),
        Capture::bytes("tcp_offsets.pcap", "TCP data offsets of 0 to 4 and 15 words", SKIPPED, packets::tcp_offsets),
        Capture::bytes(
            "tcp_flags.pcap",
            "all 256 combinations of TCP flags",
            "no panic; the LDAP connection after them is open",
            packets::tcp_flags,
        ),
        Capture::bytes("options.pcap", "TCP and IPv4 options of length 0, 1 and 255", SKIPPED, packets::options),
        Capture::bytes(
            "udp_lengths.pcap",
            "UDP lengths from 0 to 65535 that do not fit",
            SKIPPED,
            packets::udp_lengths,
        ),
        Capture::bytes(
            "transports_cut.pcap",
            "eight transports with 0 to 19 bytes each",
            "no panic; the LDAP connection after them is open",
            packets::transports_cut,
        ),
        Capture::bytes(
            "icmp_nested.pcap",
            "an ICMP error that quotes an ICMP error, forty deep",
            SKIPPED,
            packets::icmp_nested,
        ),
        Capture::bytes(
            "icmp_short_quotes.pcap",
            "ICMP errors whose quote ends at every length",
            SKIPPED,
            packets::icmp_short_quotes,
        ),
        Capture::bytes(
            "cut_at_every_length.pcap",
            "one frame of VLAN, VXLAN, TCP and LDAP captured at every length from 0 to all of it",
            "tcp/389 from the frames that reach the inner ports, cut_short for the others",
            packets::cut_at_every_length,
        ),
        Capture::bytes(
            "ethernet_short.pcap",
            "Ethernet frames of 0 to 14 bytes, and types without their header",
            SKIPPED,
            packets::ethernet_short,
        ),
        Capture::bytes(
            "tunnel_headers.pcap",
            "GRE, ERSPAN, Geneve, VXLAN, GTP-U and Teredo headers that lie",
            SKIPPED,
            packets::tunnel_headers,
        ),
        Capture::bytes(
            "radiotap.pcap",
            "radiotap lengths that lie, 802.11 frames cut and protected",
            SKIPPED,
            packets::radiotap,
        ),
        Capture::bytes(
            "nflog.pcap",
            "netfilter log attributes of lengths 0, 1, 3, 4 and 65535",
            SKIPPED,
            packets::nflog,
        ),
        Capture::bytes(
            "dns_loops.pcap",
            "DNS names that point at themselves or nowhere",
            "udp/53 open; no host gets a name",
            packets::dns_loops,
        ),
        Capture::bytes(
            "names_to_escape.pcap",
            "DNS names with terminal codes, HTML, a spreadsheet formula, a line break and a right-to-left mark",
            "udp/53 open; no output holds the bytes as they are",
            packets::escape_names,
        ),
        Capture::bytes(
            "text_everywhere.pcap",
            "terminal codes, HTML, a formula, line breaks and right-to-left marks in DNS, Netlogon, TLS, HTTP and LDAP",
            "tcp/88 dropped, the rest open; no output holds the bytes as they are",
            packets::escape_everywhere,
        ),
        Capture::bytes(
            "payload_lengths.pcap",
            "LDAP, Kerberos, SMB, RPC and mapper messages that lie about their length",
            "all flows open; what the first message on 88 is not, is `unexpected`; nothing is read beyond its end",
            packets::payload_lengths,
        ),
    ],
};
