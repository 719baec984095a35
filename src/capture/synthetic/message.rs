//! First messages of the protocols of a Windows network, small and well formed: the bytes behind TCP or UDP.

/// What a conversation speaks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Language {
    Smb,
    Ldap,
    Kerberos,
    KerberosStream,
    Rpc,
    Dns,
    DnsStream,
    Tls,
    Http,
    Ntp,
}

impl Language {
    const ALL: [Self; 10] = [
        Self::Smb,
        Self::Ldap,
        Self::Kerberos,
        Self::KerberosStream,
        Self::Rpc,
        Self::Dns,
        Self::DnsStream,
        Self::Tls,
        Self::Http,
        Self::Ntp,
    ];

    fn request(self) -> Vec<u8> {
        match self {
            Self::Smb => smb_negotiate(),
            Self::Ldap => ldap_search(),
            Self::Kerberos => kerberos_request(),
            Self::KerberosStream => counted_long(&kerberos_request()),
            Self::Rpc => rpc_bind(MAPPER, 3),
            Self::Dns => dns(0x0100, &[]),
            Self::DnsStream => counted_short(&dns(0x0100, &[])),
            Self::Tls => client_hello(),
            Self::Http => b"POST /wsman HTTP/1.1\r\nHost: member1.example.test\r\nContent-Length: 0\r\n\r\n".to_vec(),
            Self::Ntp => time(0x1b, 0),
        }
    }

    fn answer(self) -> Vec<u8> {
        match self {
            Self::Smb => smb_negotiated(),
            Self::Ldap => ldap_found(),
            Self::Kerberos => kerberos_error(),
            Self::KerberosStream => counted_long(&kerberos_error()),
            Self::Rpc => rpc_bind_ack(),
            Self::Dns => dns(0x8580, &[10, 0, 0, 1]),
            Self::DnsStream => counted_short(&dns(0x8580, &[10, 0, 0, 1])),
            Self::Tls => server_hello(),
            Self::Http => b"HTTP/1.1 401 \r\nWWW-Authenticate: Negotiate\r\nContent-Length: 0\r\n\r\n".to_vec(),
            Self::Ntp => time(0x1c, 2),
        }
    }
}

/// The first request and the first answer of each language, made once.
pub(super) struct Phrases {
    all: Vec<[Vec<u8>; 2]>,
}

impl Phrases {
    pub(super) fn new() -> Self {
        Self { all: Language::ALL.iter().map(|language| [language.request(), language.answer()]).collect() }
    }

    pub(super) fn of(&self, language: Language, from_server: bool) -> &[u8] {
        let place = Language::ALL.iter().position(|known| *known == language).unwrap_or_default();
        let [request, answer] = self.all.get(place).map_or([&[][..]; 2], |[request, answer]| [request, answer]);
        if from_server { answer } else { request }
    }
}

fn short(length: usize) -> u16 {
    u16::try_from(length).unwrap_or(u16::MAX)
}

fn long(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// With the four-byte length of Kerberos over TCP and of `NetBIOS` sessions.
fn counted_long(message: &[u8]) -> Vec<u8> {
    [&long(message.len()).to_be_bytes(), message].concat()
}

/// With the two-byte length of DNS over TCP.
fn counted_short(message: &[u8]) -> Vec<u8> {
    [&short(message.len()).to_be_bytes(), message].concat()
}

/// A value of BER (X.690), definite length.
fn ber(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let [high, low] = short(body.len()).to_be_bytes();
    let head = if body.len() < 128 { vec![tag, low] } else { vec![tag, 0x82, high, low] };
    [head, body].concat()
}

fn text(tag: u8, words: &str) -> Vec<u8> {
    ber(tag, &[words.as_bytes()])
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 2;
const OCTETS: u8 = 4;
const ENUMERATED: u8 = 10;
const GENERAL_STRING: u8 = 0x1b;

/// Search of the root entry for one attribute (RFC 4511); over UDP it is what a client sends to find a controller.
fn ldap_search() -> Vec<u8> {
    let choices = [ENUMERATED, 1, 0, ENUMERATED, 1, 0, INTEGER, 1, 0, INTEGER, 1, 0, 1, 1, 0];
    let wanted = ber(SEQUENCE, &[&text(OCTETS, "defaultNamingContext")]);
    let search = ber(0x63, &[&text(OCTETS, ""), &choices, &text(0x87, "objectClass"), &wanted]);
    ber(SEQUENCE, &[&[INTEGER, 1, 1], &search])
}

/// One entry, and the end of the search.
fn ldap_found() -> Vec<u8> {
    let values = ber(0x31, &[&text(OCTETS, "DC=example,DC=test")]);
    let attribute = ber(SEQUENCE, &[&text(OCTETS, "defaultNamingContext"), &values]);
    let entry = ber(0x64, &[&text(OCTETS, ""), &ber(SEQUENCE, &[&attribute])]);
    let done = ber(0x65, &[&[ENUMERATED, 1, 0, OCTETS, 0, OCTETS, 0]]);
    let message = |body: &[u8]| ber(SEQUENCE, &[&[INTEGER, 1, 1], body]);
    [message(&entry), message(&done)].concat()
}

const REALM: &str = "EXAMPLE.TEST";

fn principal(kind: u8, names: &[&str]) -> Vec<u8> {
    let names: Vec<u8> = names.iter().flat_map(|name| text(GENERAL_STRING, name)).collect();
    ber(SEQUENCE, &[&ber(0xa0, &[&[INTEGER, 1, kind]]), &ber(0xa1, &[&ber(SEQUENCE, &[&names])])])
}

/// AS-REQ (RFC 4120 section 5.4.1).
fn kerberos_request() -> Vec<u8> {
    let body = ber(
        SEQUENCE,
        &[
            &ber(0xa0, &[&[3, 5, 0, 0x40, 0x81, 0, 0x10]]),
            &ber(0xa1, &[&principal(1, &["someone"])]),
            &ber(0xa2, &[&text(GENERAL_STRING, REALM)]),
            &ber(0xa3, &[&principal(2, &["krbtgt", REALM])]),
            &ber(0xa5, &[&text(0x18, "20370913024805Z")]),
            &ber(0xa7, &[&[INTEGER, 4, 1, 2, 3, 4]]),
            &ber(0xa8, &[&ber(SEQUENCE, &[&[INTEGER, 1, 18, INTEGER, 1, 17]])]),
        ],
    );
    let version = ber(0xa1, &[&[INTEGER, 1, 5]]);
    ber(0x6a, &[&ber(SEQUENCE, &[&version, &ber(0xa2, &[&[INTEGER, 1, 10]]), &ber(0xa4, &[&body])])])
}

/// KRB-ERROR 25: the client should prove who it is first, as in every logon.
fn kerberos_error() -> Vec<u8> {
    let parts = [
        ber(0xa0, &[&[INTEGER, 1, 5]]),
        ber(0xa1, &[&[INTEGER, 1, 30]]),
        ber(0xa4, &[&text(0x18, "20231114221320Z")]),
        ber(0xa5, &[&[INTEGER, 1, 7]]),
        ber(0xa6, &[&[INTEGER, 1, 25]]),
        ber(0xa9, &[&text(GENERAL_STRING, REALM)]),
        ber(0xaa, &[&principal(2, &["krbtgt", REALM])]),
    ];
    ber(0x7e, &[&ber(SEQUENCE, &[&parts.concat()])])
}

/// Asks for, or tells, the address of a controller (RFC 1035).
fn dns(flags: u16, addr: &[u8]) -> Vec<u8> {
    let answers = u16::from(!addr.is_empty());
    let mut out: Vec<u8> = [0x1234, flags, 1, answers, 0, 0].iter().flat_map(|word: &u16| word.to_be_bytes()).collect();
    for label in ["dc1", "example", "test", ""] {
        out.extend(short(label.len()).to_be_bytes().get(1));
        out.extend(label.as_bytes());
    }
    out.extend([0, 1, 0, 1]);
    if answers > 0 {
        out.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 2, 0x58]);
        out.extend(counted_short(addr));
    }
    out
}

/// NTP version 3 (RFC 5905 has the layout).
fn time(first: u8, stratum: u8) -> Vec<u8> {
    let mut out = vec![first, stratum, 6, 0xe9];
    out.resize(40, 0);
    out.extend([0xe8, 0xfe, 0x6b, 0x90, 0, 0, 0, 0]);
    out
}

fn smb_head(flags: u8) -> Vec<u8> {
    let mut out = vec![0xfe, b'S', b'M', b'B', 64, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, flags];
    out.resize(64, 0);
    out
}

/// SMB2 NEGOTIATE (MS-SMB2 2.2.3) for two dialects.
fn smb_negotiate() -> Vec<u8> {
    let mut out = smb_head(0);
    out.extend([36, 0, 2, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
    out.extend([0x11; 16]);
    out.extend([0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x02, 0x10, 0x02]);
    counted_long(&out)
}

/// Its response (MS-SMB2 2.2.4).
fn smb_negotiated() -> Vec<u8> {
    let mut out = smb_head(1);
    out.extend([65, 0, 1, 0, 0x10, 0x02, 0, 0]);
    out.extend([0x22; 16]);
    out.extend([7, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0x10, 0, 0, 0, 0x10, 0]);
    out.resize(out.len() + 16, 0);
    out.extend([128, 0, 0, 0, 0, 0, 0, 0]);
    counted_long(&out)
}

/// The endpoint mapper's interface, and the transfer syntax of all, as they stand in a PDU.
pub(super) const MAPPER: [u8; 16] =
    [0x08, 0x83, 0xaf, 0xe1, 0x1f, 0x5d, 0xc9, 0x11, 0x91, 0xa4, 0x08, 0x00, 0x2b, 0x14, 0xa0, 0xfa];
const NDR: [u8; 16] = [0x04, 0x5d, 0x88, 0x8a, 0xeb, 0x1c, 0xc9, 0x11, 0x9f, 0xe8, 0x08, 0x00, 0x2b, 0x10, 0x48, 0x60];
/// The interface that clients of directory services ask the mapper for (MS-DRSR).
pub(super) const REPLICATION: [u8; 16] =
    [0x35, 0x42, 0x51, 0xe3, 0x06, 0x4b, 0xd1, 0x11, 0xab, 0x04, 0x00, 0xc0, 0x4f, 0xc2, 0xdc, 0xd2];

/// A whole PDU of DCE/RPC (C706 chapter 12), little endian.
fn pdu(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![5, 0, kind, 3, 0x10, 0, 0, 0];
    out.extend(short(16 + body.len()).to_le_bytes());
    out.extend([0, 0, 1, 0, 0, 0]);
    out.extend(body);
    out
}

/// Offers an interface of that major version.
pub(super) fn rpc_bind(interface: [u8; 16], version: u8) -> Vec<u8> {
    let mut body = vec![0xd0, 0x16, 0xd0, 0x16, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0];
    body.extend(interface);
    body.extend([version, 0, 0, 0]);
    body.extend(NDR);
    body.extend([2, 0, 0, 0]);
    pdu(11, &body)
}

/// Accepts it.
pub(super) fn rpc_bind_ack() -> Vec<u8> {
    let mut body = vec![0xd0, 0x16, 0xd0, 0x16, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0];
    body.extend(NDR);
    body.extend([2, 0, 0, 0]);
    pdu(12, &body)
}

/// A call of operation `opnum`.
pub(super) fn rpc_request(opnum: u8, stub: &[u8]) -> Vec<u8> {
    pdu(0, &[&long(stub.len()).to_le_bytes(), &[0, 0, opnum, 0], stub].concat())
}

/// What it gives back.
pub(super) fn rpc_response(stub: &[u8]) -> Vec<u8> {
    pdu(2, &[&long(stub.len()).to_le_bytes(), &[0; 4], stub].concat())
}

/// `ept_map`, operation 3 of the mapper: where is an interface?
pub(super) fn map_request(interface: [u8; 16], version: u8) -> Vec<u8> {
    let mut stub = vec![1, 0, 0, 0];
    stub.extend([0; 16]);
    stub.extend([2, 0, 0, 0]);
    stub.extend(array(&tower(interface, version, 0, 0)));
    stub.extend([0; 20]);
    stub.extend([4, 0, 0, 0]);
    rpc_request(3, &stub)
}

/// Its answer: at that TCP port of that host.
pub(super) fn map_response(interface: [u8; 16], version: u8, port: u16, host: u32) -> Vec<u8> {
    let mut stub = vec![0; 20];
    for word in [1_u32, 4, 0, 1, 3] {
        stub.extend(word.to_le_bytes());
    }
    stub.extend(array(&tower(interface, version, port, host)));
    stub.extend([0; 4]);
    rpc_response(&stub)
}

/// A tower of five floors (C706 appendix L): interface, NDR, RPC over connections, TCP, IP.
fn tower(interface: [u8; 16], version: u8, port: u16, host: u32) -> Vec<u8> {
    let syntax = |uuid: [u8; 16], version: u8| [&[13][..], &uuid, &[version, 0]].concat();
    let floors: [(Vec<u8>, Vec<u8>); 5] = [
        (syntax(interface, version), vec![0, 0]),
        (syntax(NDR, 2), vec![0, 0]),
        (vec![11], vec![0, 0]),
        (vec![7], port.to_be_bytes().to_vec()),
        (vec![9], host.to_be_bytes().to_vec()),
    ];
    let mut out = vec![5, 0];
    for side in floors.into_iter().flat_map(|(left, right)| [left, right]) {
        out.extend(short(side.len()).to_le_bytes());
        out.extend(side);
    }
    out
}

/// A conformant array of NDR, padded to four bytes.
fn array(bytes: &[u8]) -> Vec<u8> {
    let length = long(bytes.len()).to_le_bytes();
    let mut out = [&length[..], &length, bytes].concat();
    out.resize(out.len().next_multiple_of(4), 0);
    out
}

/// A record of TLS with one handshake message (RFC 8446 sections 4 and 5.1).
fn hello(kind: u8, choices: &[u8]) -> Vec<u8> {
    let body = [&[3, 3][..], &[0x5a; 32], choices].concat();
    let message = [&[kind, 0][..], &counted_short(&body)].concat();
    [&[22, 3, 3][..], &counted_short(&message)].concat()
}

fn client_hello() -> Vec<u8> {
    let name = b"dc1.example.test";
    let names = counted_short(&[&[0][..], &counted_short(name)].concat());
    let extensions = [&[0, 0][..], &counted_short(&names)].concat();
    hello(1, &[&[0, 0, 4, 0xc0, 0x2f, 0xc0, 0x30, 1, 0][..], &counted_short(&extensions)].concat())
}

fn server_hello() -> Vec<u8> {
    hello(2, &[0, 0xc0, 0x30, 0])
}
