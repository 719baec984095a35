//! The names of link types, and the numbers libpcap's filter compiler knows them by.
//!
//! A capture file numbers a link type by the registry of tcpdump.org (`LINKTYPE_…`); libpcap numbers some of them
//! differently inside a program (`DLT_…`). This page must never know what a header of any of them looks like.

use crate::capture::batch::LinkType;

impl LinkType {
    /// The registry's name without its `LINKTYPE_` or `DLT_` prefix, as `tcpdump -L` prints it; `None` for a number not in the table.
    pub fn name(self) -> Option<&'static str> {
        self.row().map(|&(_, name, _)| name)
    }

    /// The number that libpcap's filter compiler knows this link type by; from 107 on the two are the same.
    #[cfg(any(feature = "live", test))]
    pub(crate) fn dlt(self) -> i32 {
        self.row().map_or(i32::from(self.0), |&(_, _, dlt)| i32::from(dlt))
    }

    /// The link type that libpcap calls so.
    #[cfg(all(target_os = "linux", feature = "live"))]
    pub(crate) fn of_dlt(dlt: i32) -> Self {
        let own = u16::try_from(dlt).unwrap_or(u16::MAX);
        // What OpenBSD calls raw IP is some other system's, and the registry's number is the highest of its names.
        let row = LINK_TYPES.iter().rev().find(|&&(number, _, known)| known == own && (number == own || number > 99));
        Self(row.map_or(own, |&(number, _, _)| number))
    }

    fn row(self) -> Option<&'static (u16, &'static str, u16)> {
        let row = LINK_TYPES.binary_search_by_key(&self.0, |&(number, _, _)| number).ok()?;
        LINK_TYPES.get(row)
    }
}

/// Number in a file, name, number inside libpcap. Sorted by the first.
///
/// 12 and 14 are `DLT_RAW` of most systems and of `OpenBSD`, which some programs wrongly put into files.
#[rustfmt::skip]
const LINK_TYPES: &[(u16, &str, u16)] = &[
    (0, "NULL", 0),
    (1, "EN10MB", 1),
    (2, "EN3MB", 2),
    (3, "AX25", 3),
    (4, "PRONET", 4),
    (5, "CHAOS", 5),
    (6, "IEEE802", 6),
    (7, "ARCNET", 7),
    (8, "SLIP", 8),
    (9, "PPP", 9),
    (10, "FDDI", 10),
    (12, "RAW", 12),
    (14, "RAW", 12),
    (32, "REDBACK", 32),
    (50, "PPP_SERIAL", 50),
    (51, "PPP_ETHER", 51),
    (99, "SYMANTEC_FIREWALL", 99),
    (100, "ATM_RFC1483", 11),
    (101, "RAW", 12),
    (102, "SLIP_BSDOS", 15),
    (103, "PPP_BSDOS", 16),
    (104, "C_HDLC", 104),
    (105, "IEEE802_11", 105),
    (106, "ATM_CLIP", 19),
    (107, "FRELAY", 107),
    (108, "LOOP", 108),
    (109, "ENC", 109),
    (113, "LINUX_SLL", 113),
    (114, "LTALK", 114),
    (117, "PFLOG", 117),
    (118, "CISCO_IOS", 118),
    (119, "PRISM_HEADER", 119),
    (122, "IP_OVER_FC", 122),
    (123, "SUNATM", 123),
    (127, "IEEE802_11_RADIO", 127),
    (129, "ARCNET_LINUX", 129),
    (130, "JUNIPER_MLPPP", 130),
    (131, "JUNIPER_MLFR", 131),
    (132, "JUNIPER_ES", 132),
    (133, "JUNIPER_GGSN", 133),
    (134, "JUNIPER_MFR", 134),
    (135, "JUNIPER_ATM2", 135),
    (136, "JUNIPER_SERVICES", 136),
    (137, "JUNIPER_ATM1", 137),
    (138, "APPLE_IP_OVER_IEEE1394", 138),
    (139, "MTP2_WITH_PHDR", 139),
    (140, "MTP2", 140),
    (141, "MTP3", 141),
    (142, "SCCP", 142),
    (143, "DOCSIS", 143),
    (144, "LINUX_IRDA", 144),
    (147, "USER0", 147),
    (148, "USER1", 148),
    (149, "USER2", 149),
    (150, "USER3", 150),
    (151, "USER4", 151),
    (152, "USER5", 152),
    (153, "USER6", 153),
    (154, "USER7", 154),
    (155, "USER8", 155),
    (156, "USER9", 156),
    (157, "USER10", 157),
    (158, "USER11", 158),
    (159, "USER12", 159),
    (160, "USER13", 160),
    (161, "USER14", 161),
    (162, "USER15", 162),
    (163, "IEEE802_11_RADIO_AVS", 163),
    (164, "JUNIPER_MONITOR", 164),
    (165, "BACNET_MS_TP", 165),
    (166, "PPP_PPPD", 166),
    (167, "JUNIPER_PPPOE", 167),
    (168, "JUNIPER_PPPOE_ATM", 168),
    (169, "GPRS_LLC", 169),
    (170, "GPF_T", 170),
    (171, "GPF_F", 171),
    (174, "JUNIPER_PIC_PEER", 174),
    (175, "ERF_ETH", 175),
    (176, "ERF_POS", 176),
    (177, "LINUX_LAPD", 177),
    (178, "JUNIPER_ETHER", 178),
    (179, "JUNIPER_PPP", 179),
    (180, "JUNIPER_FRELAY", 180),
    (181, "JUNIPER_CHDLC", 181),
    (182, "MFR", 182),
    (183, "JUNIPER_VP", 183),
    (184, "A429", 184),
    (185, "A653_ICM", 185),
    (186, "USB_FREEBSD", 186),
    (187, "BLUETOOTH_HCI_H4", 187),
    (188, "IEEE802_16_MAC_CPS", 188),
    (189, "USB_LINUX", 189),
    (190, "CAN20B", 190),
    (191, "IEEE802_15_4_LINUX", 191),
    (192, "PPI", 192),
    (193, "IEEE802_16_MAC_CPS_RADIO", 193),
    (194, "JUNIPER_ISM", 194),
    (195, "IEEE802_15_4", 195),
    (196, "SITA", 196),
    (197, "ERF", 197),
    (198, "RAIF1", 198),
    (199, "IPMB_KONTRON", 199),
    (200, "JUNIPER_ST", 200),
    (201, "BLUETOOTH_HCI_H4_WITH_PHDR", 201),
    (202, "AX25_KISS", 202),
    (209, "IPMB_LINUX", 209),
    (215, "IEEE802_15_4_NONASK_PHY", 215),
    (216, "LINUX_EVDEV", 216),
    (219, "MPLS", 219),
    (220, "USB_LINUX_MMAPPED", 220),
    (221, "DECT", 221),
    (222, "AOS", 222),
    (223, "WIHART", 223),
    (224, "FC_2", 224),
    (225, "FC_2_WITH_FRAME_DELIMS", 225),
    (226, "IPNET", 226),
    (227, "CAN_SOCKETCAN", 227),
    (228, "IPV4", 228),
    (229, "IPV6", 229),
    (230, "IEEE802_15_4_NOFCS", 230),
    (231, "DBUS", 231),
    (232, "JUNIPER_VS", 232),
    (233, "JUNIPER_SRX_E2E", 233),
    (234, "JUNIPER_FIBRECHANNEL", 234),
    (235, "DVB_CI", 235),
    (236, "MUX27010", 236),
    (237, "STANAG_5066_D_PDU", 237),
    (238, "JUNIPER_ATM_CEMIC", 238),
    (239, "NFLOG", 239),
    (240, "NETANALYZER", 240),
    (241, "NETANALYZER_TRANSPARENT", 241),
    (242, "IPOIB", 242),
    (243, "MPEG_2_TS", 243),
    (244, "NG40", 244),
    (245, "NFC_LLCP", 245),
    (246, "PFSYNC", 246),
    (247, "INFINIBAND", 247),
    (248, "SCTP", 248),
    (249, "USBPCAP", 249),
    (250, "RTAC_SERIAL", 250),
    (251, "BLUETOOTH_LE_LL", 251),
    (252, "WIRESHARK_UPPER_PDU", 252),
    (253, "NETLINK", 253),
    (254, "BLUETOOTH_LINUX_MONITOR", 254),
    (255, "BLUETOOTH_BREDR_BB", 255),
    (256, "BLUETOOTH_LE_LL_WITH_PHDR", 256),
    (257, "PROFIBUS_DL", 257),
    (258, "PKTAP", 258),
    (259, "EPON", 259),
    (260, "IPMI_HPM_2", 260),
    (261, "ZWAVE_R1_R2", 261),
    (262, "ZWAVE_R3", 262),
    (263, "WATTSTOPPER_DLM", 263),
    (264, "ISO_14443", 264),
    (265, "RDS", 265),
    (266, "USB_DARWIN", 266),
    (267, "OPENFLOW", 267),
    (268, "SDLC", 268),
    (269, "TI_LLN_SNIFFER", 269),
    (270, "LORATAP", 270),
    (271, "VSOCK", 271),
    (272, "NORDIC_BLE", 272),
    (273, "DOCSIS31_XRA31", 273),
    (274, "ETHERNET_MPACKET", 274),
    (275, "DISPLAYPORT_AUX", 275),
    (276, "LINUX_SLL2", 276),
    (278, "OPENVIZSLA", 278),
    (279, "EBHSCR", 279),
    (280, "VPP_DISPATCH", 280),
    (281, "DSA_TAG_BRCM", 281),
    (282, "DSA_TAG_BRCM_PREPEND", 282),
    (283, "IEEE802_15_4_TAP", 283),
    (284, "DSA_TAG_DSA", 284),
    (285, "DSA_TAG_EDSA", 285),
    (286, "ELEE", 286),
    (287, "Z_WAVE_SERIAL", 287),
    (288, "USB_2_0", 288),
    (289, "ATSC_ALP", 289),
    (290, "ETW", 290),
    (291, "NETANALYZER_NG", 291),
    (292, "ZBOSS_NCP", 292),
];

#[cfg(test)]
mod tests {
    use super::LINK_TYPES;
    use crate::capture::batch::LinkType;

    #[test]
    fn the_table_is_sorted_and_names_nothing_twice() {
        assert!(LINK_TYPES.is_sorted_by(|a, b| a.0 < b.0));
        for (number, name, dlt) in LINK_TYPES {
            // 106 (19 inside) came before the rule.
            assert!(*number < 107 || number == dlt, "{name}: from 107 on both numbers are the same");
        }
    }

    #[test]
    fn well_known_numbers_have_their_names() {
        let known = [(0, "NULL"), (1, "EN10MB"), (101, "RAW"), (113, "LINUX_SLL"), (228, "IPV4"), (276, "LINUX_SLL2")];
        for (number, name) in known {
            assert_eq!(LinkType(number).name(), Some(name));
        }
        assert_eq!(LinkType(40_000).name(), None);
    }

    #[test]
    fn raw_ip_is_twelve_inside_libpcap() {
        assert_eq!(LinkType(101).dlt(), 12);
        assert_eq!(LinkType(276).dlt(), 276);
        assert_eq!(LinkType(40_000).dlt(), 40_000);
        #[cfg(all(target_os = "linux", feature = "live"))]
        for (dlt, number) in [(12, 101), (1, 1), (276, 276), (113, 113), (9, 9), (50_000, 50_000)] {
            assert_eq!(LinkType::of_dlt(dlt), LinkType(number));
        }
    }
}
