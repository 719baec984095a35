//! Payloads that the tests of this room share: recorded in the project's own laboratory of Samba domain controllers,
//! or written down by hand from the documents. Long ones are cut.

#![expect(clippy::unwrap_used, reason = "a test may stop here")]

use crate::model::app::AppProto;
use crate::model::app::Speaker;
use crate::model::transport::Transport;

/// A payload, and what it is.
#[derive(Debug)]
pub(crate) struct Sample {
    pub(crate) proto: AppProto,
    pub(crate) transport: Transport,
    pub(crate) speaker: Speaker,
    pub(crate) hex: &'static str,
}

impl Sample {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let digits: Vec<char> = self.hex.chars().filter(char::is_ascii_hexdigit).collect();
        let byte = |pair: &[char; 2]| pair.iter().fold(0, |byte, digit| byte << 4 | digit.to_digit(16).unwrap());
        digits.as_chunks().0.iter().map(|pair| byte(pair).try_into().unwrap()).collect()
    }
}

pub(crate) const DNS_SRV: Sample = Sample {
    proto: AppProto::Dns,
    transport: Transport::Udp,
    speaker: Speaker::Server,
    hex: "e52d85200001000200010000055f6c646170045f746370026463065f6d73646373036c616204746573740000210001c00c0021000100 \
        000384000c00000064018503646331c021c00c0021000100000384000c00000064018503646332c021c01a0006000100000e100023c0 \
        410a686f73746d6173746572c0210000000200000384000002580001518000000e10",
};

pub(crate) const DNS_TCP: Sample = Sample {
    proto: AppProto::Dns,
    transport: Transport::Tcp,
    speaker: Speaker::Server,
    hex: "005d30ff8520000100010001000003646331036c616204746573740000010001c00c000100010000038400040a0a010ac01000060001 \
        00000e100023c00c0a686f73746d6173746572c0100000000300000384000002580001518000000e10",
};

pub(crate) const DNS_TCP_QUERY: Sample = Sample {
    proto: AppProto::Dns,
    transport: Transport::Tcp,
    speaker: Speaker::Client,
    hex: "003530ff0120000100000000000103646331036c61620474657374000001000100002904d000000000000c000a00082a1564d02319e0 \
        81",
};

pub(crate) const CLDAP_PING: Sample = Sample {
    proto: AppProto::Ldap,
    transport: Transport::Udp,
    speaker: Speaker::Client,
    hex: "305b020101635604000a01000a0100020100020100010100a037a3150409446e73446f6d61696e04086c61622e74657374a30f040448 \
        6f73740407434c49454e5431a30d04054e74566572040416000000300a04086e65746c6f676f6e",
};

pub(crate) const CLDAP_ANSWER: Sample = Sample {
    proto: AppProto::Ldap,
    transport: Transport::Udp,
    speaker: Speaker::Server,
    hex: "3071020101646c04003068306604086e65746c6f676f6e315a045817000000fd13000098773528f2b5934f87d12a1783d128d3036c61 \
        62047465737400c01803646331c018034c4142000344433100001744656661756c742d46697273742d536974652d4e616d6500c03505 \
        000000ffffffff300c02010165070a010004000400",
};

pub(crate) const KRB_ERROR: Sample = Sample {
    proto: AppProto::Kerberos,
    transport: Transport::Udp,
    speaker: Speaker::Server,
    hex: "7e82011d30820119a003020105a10302011ea411180f32303236313132313032323835355aa505020303e2d5a603020119a70a1b084c \
        41422e54455354a8123010a003020101a10930071b05616c696365a90a1b084c41422e54455354aa1d301ba003020102a11430121b06 \
        6b72627467741b084c41422e54455354ab2b1b294e65656420746f207573652050412d454e432d54494d455354414d502f50412d504b \
        2d41532d524551ac76047430723009a103020110a20204003009a10302010fa2020400300aa10402020093a20204003009a103020102 \
        a2020400300aa10402020088a2020400300aa1040202028fa2020400302ba103020113a22404223020301ea003020112a10f1b0d4c41 \
        422e54455354616c696365a206040400001000",
};

pub(crate) const AS_REQ: Sample = Sample {
    proto: AppProto::Kerberos,
    transport: Transport::Udp,
    speaker: Speaker::Client,
    hex: "6a81b03081ada103020105a20302010aa31a3018300aa10402020096a2020400300aa10402020095a2020400a48184308181a0070305 \
        0000000010a1143012a003020101a10b30091b076e657477726978a20a1b084c41422e54455354a31d301ba003020102a11430121b06 \
        6b72627467741b084c41422e54455354a511180f32303236313132323032333131375aa70602044860e4e8a81a301802011202011102 \
        011402011302011002011702011902011a",
};

pub(crate) const AS_REQ_TCP: Sample = Sample {
    proto: AppProto::Kerberos,
    transport: Transport::Tcp,
    speaker: Speaker::Client,
    hex: "000001016a81fe3081fba103020105a20302010aa3683066304ca103020102a24504433041a003020112a23a0438c83057371a686627 \
        40df43fca341b017de1053f08ee6ed54f4d75a8491861938d0da4929f1da9fbc1db83526d77d5cbaa5ca929d823d7695300aa1040202 \
        0096a2020400300aa10402020095a2020400a48184308181a00703050000000010a1143012a003020101a10b30091b076e6574777269 \
        78a20a1b084c41422e54455354a31d301ba003020102a11430121b066b72627467741b084c41422e54455354a511180f323032363131 \
        32323032333131375aa70602040c5e181ea81a301802011202011102011402011302011002011702011902011a",
};

pub(crate) const AS_REP_TCP: Sample = Sample {
    proto: AppProto::Kerberos,
    transport: Transport::Tcp,
    speaker: Speaker::Server,
    hex: "000005cf6b8205cb308205c7a003020105a10302010ba22f302d302ba103020113a22404223020301ea003020112a10f1b0d4c41422e \
        54455354616c696365a206040400001000a30a1b084c41422e54455354a4123010a003020101a10930071b05616c696365a582043961 \
        82043530820431a003020105a10a1b084c41422e54455354a21d301ba003020102a11430121b066b72627467741b084c41422e544553 \
        54a38203fd308203f9a003020112a103020101a28203eb048203e72581fec521ecc44eb3b2876f0ef4fbde5a4126562ecc899b7dc87f \
        8411dade",
};

pub(crate) const LDAP_ROOT: Sample = Sample {
    proto: AppProto::Ldap,
    transport: Transport::Tcp,
    speaker: Speaker::Server,
    hex: "300c02010161070a0100040004003033020102642e0400302a3028041464656661756c744e616d696e67436f6e746578743110040e44 \
        433d6c61622c44433d74657374300c02010265070a010004000400",
};

pub(crate) const LDAP_BIND: Sample = Sample {
    proto: AppProto::Ldap,
    transport: Transport::Tcp,
    speaker: Speaker::Client,
    hex: "300c020101600702010304008000303b020102633604000a01000a0100020100020100010100870b6f626a656374636c617373301604 \
        1464656661756c744e616d696e67436f6e7465787430050201034200",
};

pub(crate) const START_TLS: Sample = Sample {
    proto: AppProto::Ldap,
    transport: Transport::Tcp,
    speaker: Speaker::Client,
    hex: "301d02010177188016312e332e362e312e342e312e313436362e3230303337",
};

pub(crate) const KPASSWD_REPLY: Sample = Sample {
    proto: AppProto::Kpasswd,
    transport: Transport::Tcp,
    speaker: Speaker::Server,
    hex: "000000cd00cd0001005d6f5b3059a003020105a10302010fa24d304ba003020112a2440442faa9bcab4a5c0cd577537a761aba9e82bd \
        8df4ea6e06f17317a3b7105168bf36dee74abf3f3f25c0d95a094fadcbed0e164c85941a68840a459ab9d8a65d452221bd75683066a0 \
        03020105a103020115a35a3058a003020112a251044f8243fa10f06dd5975a78eab435dbc3145d3577597c998ebeac6ae68b3b3b7427 \
        a82e4a79547e44880a373b33e394f0d8e5af397ec550f3077ffaa156efaaef75a366477837afd56bbbacce138334ca",
};

pub(crate) const KPASSWD_REQUEST: Sample = Sample {
    proto: AppProto::Kpasswd,
    transport: Transport::Tcp,
    speaker: Speaker::Client,
    hex: "000005100510000104ad6e8204a9308204a5a003020105a10302010ea20703050000000000a38203f1618203ed308203e9a003020105 \
        a10a1b084c41422e54455354a21d301ba003020101a11430121b066b61646d696e1b086368616e67657077a38203b5308203b1a00302 \
        0112a103020101a28203a30482039f5d454286157e10056c3b91569afe1982095882250f0b9a13824626bf8376d6e0198d8dd629",
};

pub(crate) const SMB2_NEGOTIATED: Sample = Sample {
    proto: AppProto::Smb,
    transport: Transport::Tcp,
    speaker: Speaker::Server,
    hex: "0000012cfe534d4240000000000000000000010001000000000000000000000000000000000000000000000000000000000000000000 \
        00000000000000000000000000004100030011030300646331000000000000000000000000000f000000000080000000800000008000 \
        c804850e6079dd01000000000000000080006000e0000000605e06062b0601050502a0543052a024302206092a864882f71201020206 \
        092a864886f712010202060a2b06010401823702020aa32a3028a0261b246e6f745f646566696e65645f696e5f524643343137384070 \
        6c656173655f69676e6f7265010026000000000001002000010046067f1b7570f17c3ef562cbdea5814a3ad774ca48f2a94805230084 \
        9240037e000002000400000000000100020000000000080004000000000001000200",
};

pub(crate) const SMB2_NEGOTIATE: Sample = Sample {
    proto: AppProto::Smb,
    transport: Transport::Tcp,
    speaker: Speaker::Client,
    hex: "000000e8fe534d42400000000000000000001f0000000000000000000000000000000000000000000000000000000000000000000000 \
        000000000000000000000000000024000500010000007f00000013eaec045df9f34098782343c15f985c700000000400000002021002 \
        0003020311030000010026000000000001002000010030fb22a251ed1c589ec8304600fb91603a2f5f1184f76196a63328e811f8d95a \
        000002000a00000000000400020001000400030000000000000008000800000000000300020001000000050018000000000064006300 \
        31002e006c00610062002e007400650073007400",
};

pub(crate) const NBSS_REQUEST: Sample = Sample {
    proto: AppProto::NetbiosSession,
    transport: Transport::Tcp,
    speaker: Speaker::Client,
    hex: "8100004420454545444442434f454d45424543434f464545464644464543414341434143410020454245484546454f46454341434143 \
        414341434143414341434143414341414100",
};

pub(crate) const NBSS_ACCEPTED: Sample = Sample {
    proto: AppProto::NetbiosSession,
    transport: Transport::Tcp,
    speaker: Speaker::Server,
    hex: "820000000000012cfe534d42400000000000000000000100010000000000000000000000000000000000000000000000000000000000 \
        0000000000000000000000000000000000004100030011030300646331000000000000000000000000000b0000000000010000000100 \
        000001003e6fd0286079dd01000000000000000080006000e0000000605e0606",
};

pub(crate) const NBNS_QUERY: Sample = Sample {
    proto: AppProto::NetbiosName,
    transport: Transport::Udp,
    speaker: Speaker::Client,
    hex: "34470100000100000000000020454d45424543434143414341434143414341434143414341434143414341424c0000200001",
};

pub(crate) const NBNS_ANSWER: Sample = Sample {
    proto: AppProto::NetbiosName,
    transport: Transport::Udp,
    speaker: Speaker::Server,
    hex: "34478580000000010000000020454d45424543434143414341434143414341434143414341434143414341424c0000200001000493e0 \
        000644000a0a010a",
};

pub(crate) const NBNS_REGISTRATION: Sample = Sample {
    proto: AppProto::NetbiosName,
    transport: Transport::Udp,
    speaker: Speaker::Client,
    hex: "db64281000010000000000012045454544444343414341434143414341434143414341434143414341434141410000200001c00c0020 \
        0001000493e0000640000a0a010b",
};

pub(crate) const NTP_ASK: Sample = Sample {
    proto: AppProto::Ntp,
    transport: Transport::Udp,
    speaker: Speaker::Client,
    hex: "1b000000000000000000000000000000000000000000000000000000000000000000000000000000eeab806900000000",
};

pub(crate) const NTP_TOLD: Sample = Sample {
    proto: AppProto::Ntp,
    transport: Transport::Udp,
    speaker: Speaker::Server,
    hex: "1c0300ec00000100000002004c4f434ceeab80692a621800eeab806900000000eeab80692a621800eeab80692a621800",
};

pub(crate) const UNBIND: Sample =
    Sample { proto: AppProto::Ldap, transport: Transport::Tcp, speaker: Speaker::Client, hex: "30050201034200" };

pub(crate) const SMB1_NEGOTIATE: Sample = Sample {
    proto: AppProto::Smb,
    transport: Transport::Tcp,
    speaker: Speaker::Client,
    hex: "0000002fff534d4272000000001843c800000000000000000000000000000000fffe00000000000c00024e54204c4d20302e313200",
};

pub(crate) const SMB1_NEGOTIATED: Sample = Sample {
    proto: AppProto::Smb,
    transport: Transport::Tcp,
    speaker: Speaker::Server,
    hex: "00000025ff534d4272000000009843c800000000000000000000000000000000fffe0000000001ffff0000",
};

pub(crate) const SMB3_SEALED: Sample = Sample {
    proto: AppProto::Smb,
    transport: Transport::Tcp,
    speaker: Speaker::Either,
    hex: "00000074fd534d4211111111111111111111111111111111222222222222222222222222222222224000000000000100330000000044 \
        000055555555555555555555555555555555555555555555555555555555555555555555555555555555555555555555555555555555 \
        555555555555555555555555",
};

pub(crate) const SMB3_COMPRESSED: Sample = Sample {
    proto: AppProto::Smb,
    transport: Transport::Tcp,
    speaker: Speaker::Either,
    hex: "00000030fc534d420010000002000000000000006666666666666666666666666666666666666666666666666666666666666666",
};

pub(crate) const NBSS_REFUSED: Sample =
    Sample { proto: AppProto::NetbiosSession, transport: Transport::Tcp, speaker: Speaker::Server, hex: "8300000182" };

pub(crate) const NBDS: Sample = Sample {
    proto: AppProto::NetbiosDatagram,
    transport: Transport::Udp,
    speaker: Speaker::Either,
    hex: "110a00010a000114008a005000002045474644444243414341434143414341434143414341434143414341434143410020454d454245 \
        43434143414341434143414341434143414341434143414341424e00ff534d422500000000000000",
};

pub(crate) const ALL: [Sample; 30] = [
    DNS_SRV,
    DNS_TCP,
    DNS_TCP_QUERY,
    CLDAP_PING,
    CLDAP_ANSWER,
    KRB_ERROR,
    AS_REQ,
    AS_REQ_TCP,
    AS_REP_TCP,
    LDAP_ROOT,
    LDAP_BIND,
    START_TLS,
    KPASSWD_REPLY,
    KPASSWD_REQUEST,
    SMB2_NEGOTIATED,
    SMB2_NEGOTIATE,
    NBSS_REQUEST,
    NBSS_ACCEPTED,
    NBNS_QUERY,
    NBNS_ANSWER,
    NBNS_REGISTRATION,
    NTP_ASK,
    NTP_TOLD,
    UNBIND,
    SMB1_NEGOTIATE,
    SMB1_NEGOTIATED,
    SMB3_SEALED,
    SMB3_COMPRESSED,
    NBSS_REFUSED,
    NBDS,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::RECOGNISERS;
    use crate::proto::Recognition;
    use crate::proto::dns;
    use crate::proto::kerberos;
    use crate::proto::ldap;
    use crate::proto::netbios;
    use crate::proto::netlogon;
    use crate::proto::ntlm;
    use crate::proto::part::Read;
    use crate::proto::recognise;

    /// Everything this room can do with the bytes. It must come to an end.
    fn read_all(transport: Transport, bytes: &[u8]) {
        let _all: [Read<()>; 6] = [
            dns::facts(transport, bytes, |_| {}),
            kerberos::facts(transport, bytes, |_| {}),
            ldap::facts(bytes, |_| {}),
            netbios::name_facts(bytes, |_| {}),
            netbios::datagram_facts(bytes, |_| {}),
            ntlm::messages(bytes, |_| {}),
        ];
        let _answer = netlogon::answer(bytes);
        recognise(transport, bytes);
    }

    fn answers(sample: &Sample, bytes: &[u8]) -> Vec<(AppProto, Recognition)> {
        let over = RECOGNISERS.iter().filter(|recogniser| recogniser.over.contains(&sample.transport));
        over.map(|recogniser| (recogniser.proto, (recogniser.recognise)(sample.transport, bytes))).collect()
    }

    #[test]
    fn each_sample_is_one_protocol_and_no_other() {
        for sample in ALL {
            let bytes = sample.bytes();
            for (proto, answer) in answers(&sample, &bytes) {
                if proto == sample.proto {
                    assert_eq!(answer, Recognition::Certain(sample.speaker), "{sample:?}");
                } else {
                    // A few bytes can be the length of anything, and hardly a field of NTP contradicts.
                    let open = answer == Recognition::NeedMore && (bytes.len() < 8 || proto == AppProto::Ntp);
                    assert!(open || answer == Recognition::NotForUs, "{answer:?} of {proto} of {sample:?}");
                }
            }
            let (said, more) = recognise(sample.transport, &bytes);
            assert_eq!((said.proto, said.certain, said.speaker), (Some(sample.proto), true, sample.speaker));
            assert!(!more);
        }
    }

    #[test]
    fn a_cut_is_never_a_contradiction() {
        for sample in ALL {
            let bytes = sample.bytes();
            for cut in 0..bytes.len() {
                let answers = answers(&sample, &bytes[..cut]);
                for (proto, answer) in answers {
                    if proto == sample.proto {
                        assert_ne!(answer, Recognition::NotForUs, "{cut} bytes of {sample:?}");
                    } else {
                        assert!(!matches!(answer, Recognition::Certain(_)), "{proto} of {cut} bytes of {sample:?}");
                    }
                }
                read_all(sample.transport, &bytes[..cut]);
            }
        }
    }

    #[test]
    fn what_is_certain_of_a_stream_stays_certain() {
        for sample in ALL.iter().filter(|sample| sample.transport == Transport::Tcp) {
            let mut bytes = sample.bytes();
            bytes.extend([0xff; 64]);
            let mut certain = false;
            for cut in 0..=bytes.len() {
                let (said, _) = recognise(sample.transport, &bytes[..cut]);
                assert!(said.certain || !certain, "{cut} bytes of {sample:?}");
                certain = said.certain;
            }
        }
    }

    #[test]
    fn any_flipped_bit_is_survived() {
        for sample in ALL {
            let mut bytes = sample.bytes();
            for bit in 0..bytes.len() * 8 {
                bytes[bit / 8] ^= 1 << (bit % 8);
                read_all(sample.transport, &bytes);
                let certain = answers(&sample, &bytes)
                    .into_iter()
                    .filter(|(_, answer)| matches!(answer, Recognition::Certain(_)));
                assert!(certain.count() <= 1, "bit {bit} of {sample:?}");
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
        }
    }

    #[test]
    fn no_protocol_has_two_recognisers() {
        for (place, recogniser) in RECOGNISERS.iter().enumerate() {
            let others = RECOGNISERS.iter().take(place);
            assert!(others.filter(|other| other.proto == recogniser.proto).count() == 0, "{}", recogniser.proto);
        }
    }
}
