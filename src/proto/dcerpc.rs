//! DCE/RPC, connection-oriented (version 5) and connectionless (version 4): what tells it from other protocols, and a reader
//! of its PDUs (C706 chapter 12, MS-RPCE section 2.2.2).
//!
//! Hands on headers and bodies whose variable parts are borrowed. This file must never know ports, calls or what a stub holds.

use crate::model::app::Speaker;
use crate::model::transport::Transport;
use crate::model::uuid::InterfaceId;
use crate::model::uuid::Uuid;
use crate::proto::Recognition;
use crate::proto::ndr::Layout;
use crate::proto::ndr::Reader;

/// Bytes of the header that all PDUs of a connection share.
pub const HEADER_LEN: usize = 16;

/// Bytes of a request's or response's own header behind the common one, without the object.
pub const CALL_HEADER_LEN: usize = 8;

/// What a server of RPC over HTTP version 1 sends before anything else (MS-RPCH section 2.1.1.1.1).
pub const HTTP_GREETING: &[u8] = b"ncacn_http/1.0";

/// The authentication level that encrypts stubs, `RPC_C_AUTHN_LEVEL_PKT_PRIVACY` (MS-RPCE section 2.2.1.1.8).
pub const PRIVACY: u8 = 6;

/// The management interface, which every RPC server has on every port beside its own (C706 appendix Q).
pub const MANAGEMENT: Uuid =
    Uuid([0xaf, 0xa8, 0xbd, 0x80, 0x7d, 0x8a, 0x11, 0xc9, 0xbe, 0xf4, 0x08, 0x00, 0x2b, 0x10, 0x29, 0x89]);

/// The transfer syntax NDR64 (MS-RPCE section 2.2.5).
const NDR64: Uuid =
    Uuid([0x71, 0x71, 0x05, 0x33, 0xbe, 0xba, 0x49, 0x37, 0x83, 0x19, 0xb5, 0xdb, 0xef, 0x9c, 0xcc, 0x36]);
/// The transfer syntax NDR, version 2 (C706 chapter 14).
const NDR: Uuid =
    Uuid([0x8a, 0x88, 0x5d, 0x04, 0x1c, 0xeb, 0x11, 0xc9, 0x9f, 0xe8, 0x08, 0x00, 0x2b, 0x10, 0x48, 0x60]);
/// The beginning of what a client sends in place of a transfer syntax to negotiate features at bind time (MS-RPCE section
/// 3.3.1.5.3).
const BIND_TIME_FEATURES: [u8; 8] = [0x6c, 0xb7, 0x1c, 0x2c, 0x98, 0x12, 0x45, 0x40];

/// Bits of the flags byte (C706 section 12.6.3.1).
mod flag {
    pub(super) const FIRST: u8 = 0x01;
    pub(super) const LAST: u8 = 0x02;
    pub(super) const RESERVED: u8 = 0x08;
    pub(super) const OBJECT: u8 = 0x80;
}

/// What a PDU of a connection is (C706 section 12.6.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(missing_docs, reason = "the names of the specification")]
pub enum Kind {
    Request,
    Response,
    Fault,
    Bind,
    BindAck,
    BindNak,
    AlterContext,
    AlterContextResp,
    Auth3,
    Shutdown,
    CoCancel,
    Orphaned,
}

impl Kind {
    fn by_number(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Request,
            2 => Self::Response,
            3 => Self::Fault,
            11 => Self::Bind,
            12 => Self::BindAck,
            13 => Self::BindNak,
            14 => Self::AlterContext,
            15 => Self::AlterContextResp,
            16 => Self::Auth3,
            17 => Self::Shutdown,
            18 => Self::CoCancel,
            19 => Self::Orphaned,
            _ => return None,
        })
    }

    /// Which part sends it. No kind is sent by both.
    pub fn speaker(self) -> Speaker {
        match self {
            Self::Request | Self::Bind | Self::AlterContext | Self::Auth3 | Self::CoCancel | Self::Orphaned => {
                Speaker::Client
            }
            Self::Response | Self::Fault | Self::BindAck | Self::BindNak | Self::AlterContextResp | Self::Shutdown => {
                Speaker::Server
            }
        }
    }

    /// The fewest bytes that a PDU of this kind has.
    fn length_min(self) -> u16 {
        match self {
            Self::Request | Self::Response => 24,
            Self::Fault | Self::Bind | Self::AlterContext | Self::BindAck | Self::AlterContextResp => 28,
            Self::BindNak => 18,
            Self::Auth3 => 20,
            Self::Shutdown | Self::CoCancel | Self::Orphaned => 16,
        }
    }
}

/// The header that all PDUs of a connection share.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// What follows.
    pub kind: Kind,
    /// The flag bits as sent.
    flags: u8,
    /// Its numbers are little-endian.
    pub little: bool,
    /// Bytes of the whole PDU, this header included. At least 16.
    pub frag_length: u16,
    /// Bytes of the authentication token; 0 if the PDU has no authentication trailer.
    pub auth_length: u16,
    /// Which call it belongs to, within its connection.
    pub call_id: u32,
}

/// What the first bytes of a piece say about a header.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Begins {
    /// They are a header.
    With(Header),
    /// They could become one.
    Perhaps,
    /// They are none.
    Not,
}

impl Header {
    /// Looks for a header at the beginning of `bytes`.
    pub fn read(bytes: &[u8]) -> Begins {
        let fits = |(place, byte): (usize, &u8)| match place {
            0 => *byte == 5,
            1 => *byte <= 1,
            2 => Kind::by_number(*byte).is_some(),
            3 => byte & flag::RESERVED == 0,
            4 => matches!(byte, 0x00 | 0x10),
            5..=7 => *byte == 0,
            _ => true,
        };
        let Some(head) = bytes.first_chunk::<HEADER_LEN>() else {
            return if bytes.iter().enumerate().all(fits) { Begins::Perhaps } else { Begins::Not };
        };
        let [_, _, kind, flags, order, _, _, _, f0, f1, a0, a1, c0, c1, c2, c3] = *head;
        let little = order == 0x10;
        let short = |bytes| if little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) };
        let call = [c0, c1, c2, c3];
        let call_id = if little { u32::from_le_bytes(call) } else { u32::from_be_bytes(call) };
        let (frag_length, auth_length) = (short([f0, f1]), short([a0, a1]));
        match Kind::by_number(kind) {
            Some(kind)
                if head.iter().enumerate().all(fits)
                    && frag_length >= kind.length_min()
                    && auth_length < frag_length =>
            {
                Begins::With(Self { kind, flags, little, frag_length, auth_length, call_id })
            }
            _ => Begins::Not,
        }
    }

    /// The first fragment of its call.
    pub fn is_first(&self) -> bool {
        self.flags & flag::FIRST != 0
    }

    /// The last fragment of its call.
    pub fn is_last(&self) -> bool {
        self.flags & flag::LAST != 0
    }

    /// How the numbers of its body are laid out; bodies of PDUs have no NDR64.
    fn layout(&self) -> Layout {
        Layout { little: self.little, wide: false }
    }
}

/// The authentication trailer (MS-RPCE section 2.2.2.11).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Auth {
    /// The mechanism: 9 SPNEGO, 10 NTLM, 16 Kerberos, 68 Netlogon.
    pub kind: u8,
    /// 1 none, 2 connect, 3 call, 4 packet, 5 integrity, [`PRIVACY`].
    pub level: u8,
}

/// How parameters are laid out under a context.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transfer {
    /// NDR with 32-bit counts.
    Ndr,
    /// NDR64.
    Ndr64,
    /// No transfer syntax but an offer of features.
    Features,
    /// One that is not known here.
    Other,
}

/// One presentation context that a client offers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Offer {
    /// Its number, chosen by the client.
    pub context: u16,
    /// The interface.
    pub interface: InterfaceId,
    /// The first transfer syntax offered; a server that accepts another names it.
    pub transfer: Transfer,
}

/// What a server says to one offered context, by its place in the list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reply {
    /// Accepted, with this transfer syntax.
    Accepted(Transfer),
    /// Rejected: the result and the reason (C706 section 12.6.3.1, `p_cont_def_result_t` and `p_provider_reason_t`).
    Rejected(u16, u16),
    /// An answer to an offer of features.
    Negotiated,
}

/// A PDU behind its header.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Body<'a> {
    /// bind and `alter_context`.
    Offers(Vec<Offer>),
    /// `bind_ack` and `alter_context_resp`.
    Replies {
        /// The secondary address: the server's own port as text. Empty in most of the second kind.
        sec_addr: &'a [u8],
        /// One for each offer, in order.
        replies: Vec<Reply>,
    },
    /// `bind_nak`, with the reason.
    Refused(u16),
    /// A request's fragment.
    Request(Call<'a>),
    /// A response's fragment.
    Response(Call<'a>),
    /// A call failed.
    Fault {
        /// The context's number.
        context: u16,
        /// Why.
        status: u32,
    },
    /// Anything else, or a body that contradicts its header.
    Other,
}

/// A fragment of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Call<'a> {
    /// The context's number.
    pub context: u16,
    /// The operation; 0 in responses, which do not carry it.
    pub opnum: u16,
    /// Parameters, without object and authentication trailer.
    pub stub: &'a [u8],
}

/// Contexts of one bind that are looked at. Windows sends three for each interface.
pub const OFFERS_MAX: usize = 64;

/// Reads a whole PDU: its body, and its authentication trailer if there is one.
pub fn body<'a>(header: &Header, pdu: &'a [u8]) -> (Body<'a>, Option<Auth>) {
    let pdu = pdu.get(..header.frag_length.into()).unwrap_or(pdu);
    let (end, auth) = match trailer(header, pdu) {
        Some((end, auth)) => (end, Some(auth)),
        None => (pdu.len(), None),
    };
    let cut = pdu.get(..end).unwrap_or_default();
    let body = match header.kind {
        // A trailer's padding counts from the stub only, so only stubs are cut.
        Kind::Bind | Kind::AlterContext => offers(header, pdu).map(Body::Offers),
        Kind::BindAck | Kind::AlterContextResp => replies(header, pdu),
        Kind::BindNak => behind_header(header, pdu).u16().map(Body::Refused),
        Kind::Request => call(header, cut).map(Body::Request),
        Kind::Response => call(header, cut).map(Body::Response),
        Kind::Fault => fault(header, pdu),
        Kind::Auth3 | Kind::Shutdown | Kind::CoCancel | Kind::Orphaned => None,
    };
    (body.unwrap_or(Body::Other), auth)
}

/// The context and the operation of a request or response whose first [`HEADER_LEN`] + [`CALL_HEADER_LEN`] bytes these are.
pub fn call_head(header: &Header, pdu: &[u8]) -> Option<(u16, u16)> {
    let mut reader = behind_header(header, pdu);
    let _hint = reader.u32()?;
    let context = reader.u16()?;
    let opnum = reader.u16()?;
    Some((context, if header.kind == Kind::Request { opnum } else { 0 }))
}

/// Where the stub ends, and what the trailer behind it says.
fn trailer(header: &Header, pdu: &[u8]) -> Option<(usize, Auth)> {
    if header.auth_length == 0 || pdu.len() != usize::from(header.frag_length) {
        return None;
    }
    let at = pdu.len().checked_sub(usize::from(header.auth_length) + 8)?;
    let &[kind, level, padding, ..] = pdu.get(at..)? else { return None };
    Some((at.saturating_sub(padding.into()).max(HEADER_LEN), Auth { kind, level }))
}

fn behind_header<'a>(header: &Header, pdu: &'a [u8]) -> Reader<'a> {
    let mut reader = Reader::new(pdu, header.layout());
    reader.skip(HEADER_LEN);
    reader
}

fn call<'a>(header: &Header, pdu: &'a [u8]) -> Option<Call<'a>> {
    let (context, opnum) = call_head(header, pdu)?;
    let object = if header.kind == Kind::Request && header.flags & flag::OBJECT != 0 { 16 } else { 0 };
    let stub = pdu.get(HEADER_LEN + CALL_HEADER_LEN + object..)?;
    Some(Call { context, opnum, stub })
}

fn fault<'a>(header: &Header, pdu: &'a [u8]) -> Option<Body<'a>> {
    let mut reader = behind_header(header, pdu);
    let (_hint, context, _cancels) = (reader.u32()?, reader.u16()?, reader.u16()?);
    Some(Body::Fault { context, status: reader.u32()? })
}

fn offers(header: &Header, pdu: &[u8]) -> Option<Vec<Offer>> {
    let mut reader = behind_header(header, pdu);
    let (_send, _receive, _group) = (reader.u16()?, reader.u16()?, reader.u32()?);
    let &[count, _, _, _] = reader.bytes(4)? else { return None };
    let mut offers = Vec::new();
    for _ in 0..usize::from(count).min(OFFERS_MAX) {
        let Some(offer) = offer(&mut reader) else { break };
        offers.push(offer);
    }
    Some(offers)
}

fn offer(reader: &mut Reader) -> Option<Offer> {
    reader.align(4);
    let context = reader.u16()?;
    let &[transfers, _] = reader.bytes(2)? else { return None };
    let (uuid, version) = (reader.uuid()?, reader.u32()?);
    // A version is one number: major in the low half (C706 section 12.6.3.1).
    let [m0, m1, n0, n1] = version.to_le_bytes();
    let interface = InterfaceId { uuid, major: u16::from_le_bytes([m0, m1]), minor: u16::from_le_bytes([n0, n1]) };
    let mut first = None;
    for _ in 0..transfers {
        let syntax = transfer(reader.uuid()?);
        reader.u32()?;
        first = first.or(Some(syntax));
    }
    Some(Offer { context, interface, transfer: first.unwrap_or(Transfer::Other) })
}

fn transfer(uuid: Uuid) -> Transfer {
    match uuid {
        NDR => Transfer::Ndr,
        NDR64 => Transfer::Ndr64,
        Uuid(bytes) if bytes.starts_with(&BIND_TIME_FEATURES) => Transfer::Features,
        _ => Transfer::Other,
    }
}

fn replies<'a>(header: &Header, pdu: &'a [u8]) -> Option<Body<'a>> {
    let mut reader = behind_header(header, pdu);
    let (_send, _receive, _group) = (reader.u16()?, reader.u16()?, reader.u32()?);
    let length = reader.u16()?;
    let sec_addr = reader.bytes(length.into())?;
    let sec_addr = sec_addr.strip_suffix(&[0]).unwrap_or(sec_addr);
    reader.align(4);
    let &[count, _, _, _] = reader.bytes(4)? else { return None };
    let mut replies = Vec::new();
    for _ in 0..usize::from(count).min(OFFERS_MAX) {
        let Some(reply) = reply(&mut reader) else { break };
        replies.push(reply);
    }
    Some(Body::Replies { sec_addr, replies })
}

fn reply(reader: &mut Reader) -> Option<Reply> {
    let (result, reason) = (reader.u16()?, reader.u16()?);
    let (syntax, _version) = (reader.uuid()?, reader.u32()?);
    Some(match result {
        0 => Reply::Accepted(transfer(syntax)),
        // `negotiate_ack` (MS-RPCE section 2.2.2.4).
        3 => Reply::Negotiated,
        _ => Reply::Rejected(result, reason),
    })
}

/// Tells DCE/RPC from other protocols by the first bytes of a connection's direction, or by one datagram.
pub fn recognise(transport: Transport, bytes: &[u8]) -> Recognition {
    match transport {
        Transport::Tcp => stream(bytes),
        Transport::Udp => datagram(bytes),
        _ => Recognition::NotForUs,
    }
}

fn stream(bytes: &[u8]) -> Recognition {
    match Header::read(bytes) {
        Begins::Not => Recognition::NotForUs,
        Begins::Perhaps => Recognition::NeedMore,
        // The mark of little-endian numbers is one bit among zeros. Without it, a length of five before some zeros begins
        // alike, so a bind must show a transfer syntax first.
        Begins::With(header) if header.little => Recognition::Certain(header.kind.speaker()),
        Begins::With(header) => match body(&header, bytes).0 {
            Body::Offers(offers) if offers.iter().any(|offer| offer.transfer != Transfer::Other) => {
                Recognition::Certain(header.kind.speaker())
            }
            _ => Recognition::Likely(header.kind.speaker()),
        },
    }
}

/// Bytes of the header of connectionless PDUs (C706 section 12.5.2).
const DATAGRAM_HEADER_LEN: usize = 80;

/// The header of a connectionless PDU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Datagram {
    /// Which part sends it.
    pub speaker: Speaker,
    /// It is the answer to a call, so that the server has the interface.
    pub answers: bool,
    /// The interface.
    pub interface: InterfaceId,
    /// The operation.
    pub opnum: u16,
    /// Its length and its interface are what a header's would be, beyond doubt.
    exact: bool,
}

impl Datagram {
    /// Reads the header of a datagram that is one.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.len().checked_sub(DATAGRAM_HEADER_LEN)?;
        let &[_, kind, _, _, order, ..] = bytes else { return None };
        if !begins_datagram(bytes) {
            return None;
        }
        let mut reader = Reader::new(bytes, Layout { little: order == 0x10, wide: false });
        // Behind the first eight bytes and the object.
        reader.skip(24);
        let (uuid, _activity) = (reader.uuid()?, reader.uuid()?);
        let (_boot, version, _sequence) = (reader.u32()?, reader.u32()?, reader.u32()?);
        let (opnum, _interface, _activity) = (reader.u16()?, reader.u16()?, reader.u16()?);
        let length = usize::from(reader.u16()?);
        let [m0, m1, n0, n1] = version.to_le_bytes();
        let interface = InterfaceId { uuid, major: u16::from_le_bytes([m0, m1]), minor: u16::from_le_bytes([n0, n1]) };
        let speaker = match kind {
            // request, ping, acknowledge, cancel
            0 | 1 | 7 | 8 => Speaker::Client,
            // response, fault, working, no call, reject, cancel acknowledged
            2..=6 | 10 => Speaker::Server,
            _ => Speaker::Either,
        };
        let exact = length == rest && uuid != Uuid::default();
        (length <= rest).then_some(Self { speaker, answers: kind == 2, interface, opnum, exact })
    }
}

fn begins_datagram(bytes: &[u8]) -> bool {
    bytes.iter().take(8).enumerate().all(|(place, &byte)| match place {
        0 => byte == 4,
        1 => byte <= 10,
        4 => matches!(byte, 0x00 | 0x10),
        5 | 6 => byte == 0,
        _ => true,
    })
}

fn datagram(bytes: &[u8]) -> Recognition {
    match Datagram::read(bytes) {
        Some(datagram) if datagram.exact => Recognition::Certain(datagram.speaker),
        Some(datagram) => Recognition::Likely(datagram.speaker),
        // The header, or what it announces, was cut.
        None if begins_datagram(bytes) => Recognition::NeedMore,
        None => Recognition::NotForUs,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::panic, reason = "a test may stop here")]

    use super::*;
    use crate::proto::craft;
    use crate::proto::craft::DRSUAPI;
    use crate::proto::craft::EPM;

    fn header(bytes: &[u8]) -> Header {
        match Header::read(bytes) {
            Begins::With(header) => header,
            other => panic!("{other:?}"),
        }
    }

    /// One PDU of each kind that has a body.
    fn pdus(little: bool) -> Vec<(Vec<u8>, Speaker)> {
        let call = craft::call(little, 1, 3, b"parameters");
        vec![
            (craft::bind(little, craft::BIND, 2, &[(0, EPM, craft::NDR), (1, EPM, craft::NDR64)]), Speaker::Client),
            (craft::bind(little, craft::ALTER, 2, &[(7, DRSUAPI, craft::NDR)]), Speaker::Client),
            (craft::bind_ack(little, craft::BIND_ACK, 2, "49668", &[(0, 0, craft::NDR)]), Speaker::Server),
            (craft::pdu(little, craft::BIND_NAK, 3, 2, &[4, 4, 1, 5, 0], None), Speaker::Server),
            (craft::pdu(little, craft::REQUEST, 3, 2, &call, None), Speaker::Client),
            (craft::pdu(little, craft::RESPONSE, 3, 2, &call, Some(5)), Speaker::Server),
            (craft::fault(little, 2, 1, 0x1c01_0003), Speaker::Server),
        ]
    }

    #[test]
    fn bodies_are_read_in_both_byte_orders() {
        for little in [true, false] {
            let pdus = pdus(little);
            let bodies: Vec<_> = pdus.iter().map(|(pdu, _)| body(&header(pdu), pdu)).collect();
            let offer = |context, interface, transfer| Offer { context, interface, transfer };
            assert_eq!(bodies[0].0, Body::Offers(vec![offer(0, EPM, Transfer::Ndr), offer(1, EPM, Transfer::Ndr64)]));
            assert_eq!(bodies[1].0, Body::Offers(vec![offer(7, DRSUAPI, Transfer::Ndr)]));
            let replies = vec![Reply::Accepted(Transfer::Ndr)];
            assert_eq!(bodies[2].0, Body::Replies { sec_addr: b"49668", replies });
            assert_eq!(bodies[3].0, Body::Refused(0x0404));
            assert_eq!(bodies[4], (Body::Request(Call { context: 1, opnum: 3, stub: b"parameters" }), None));
            let response = Body::Response(Call { context: 1, opnum: 0, stub: b"parameters" });
            assert_eq!(bodies[5], (response, Some(Auth { kind: 9, level: 5 })));
            assert_eq!(bodies[6].0, Body::Fault { context: 1, status: 0x1c01_0003 });
        }
    }

    #[test]
    fn the_object_before_a_stub_is_passed_over() {
        let stub = [&[0xee; 16][..], b"parameters"].concat();
        let pdu = craft::pdu(true, craft::REQUEST, 0x83, 2, &craft::call(true, 0, 4, &stub), None);
        assert_eq!(body(&header(&pdu), &pdu).0, Body::Request(Call { context: 0, opnum: 4, stub: b"parameters" }));
    }

    #[test]
    fn feature_negotiation_is_told_from_transfer_syntaxes() {
        let pdu = craft::bind(true, craft::BIND, 2, &[(2, EPM, craft::FEATURES)]);
        let (Body::Offers(offers), _) = body(&header(&pdu), &pdu) else { panic!("no bind") };
        assert_eq!(offers[0].transfer, Transfer::Features);
        let pdu = craft::bind_ack(true, craft::BIND_ACK, 2, "", &[(3, 3, EPM), (2, 1, EPM)]);
        let (Body::Replies { replies, .. }, _) = body(&header(&pdu), &pdu) else { panic!("no answer") };
        assert_eq!(replies, [Reply::Negotiated, Reply::Rejected(2, 1)]);
    }

    #[test]
    fn openings_are_recognised_at_every_length() {
        for little in [true, false] {
            for (pdu, speaker) in pdus(little) {
                for length in 0..HEADER_LEN {
                    assert_eq!(recognise(Transport::Tcp, &pdu[..length]), Recognition::NeedMore);
                }
                for length in HEADER_LEN..=pdu.len() {
                    let said = recognise(Transport::Tcp, &pdu[..length]);
                    let certain = said == Recognition::Certain(speaker);
                    assert!(certain || !little && said == Recognition::Likely(speaker), "{said:?}");
                }
            }
        }
    }

    #[test]
    fn other_openings_are_not_taken_for_it() {
        let others: [&[u8]; 8] = [
            b"\x05\x01\x00\x01\x0a\x00\x00\x01\x00\x50",
            b"\x05\x00\x00\x00\x01hello",
            b"\x05\x00\x14\x03\x10\x00\x00\x00\x20\x00\x00\x00\x01\x00\x00\x00",
            b"\x05\x00\x0b\x03\x10\x00\x00\x00\x0f\x00\x00\x00\x01\x00\x00\x00",
            b"\x05\x00\x00\x03\x10\x00\x00\x00\x20\x00\x20\x00\x01\x00\x00\x00",
            b"ncacn_http/1.0",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x00\x00\x00\x00",
            b"GET / HTTP/1.1\r\n",
        ];
        for other in others {
            assert_eq!(recognise(Transport::Tcp, other), Recognition::NotForUs, "{other:?}");
            assert_eq!(recognise(Transport::Udp, other), Recognition::NotForUs, "{other:?}");
        }
    }

    /// A connectionless request for interface 1.0 of a UUID of ones, with this many bytes behind its header.
    fn datagram_of(little: bool, kind: u8, behind: usize) -> Vec<u8> {
        let mut out = craft::Writer::new(Layout { little, wide: false });
        out.raw(&[4, kind, 0x20, 0, if little { 0x10 } else { 0 }, 0, 0, 0]);
        out.raw(&[0; 16]);
        out.raw(&[1; 16]);
        out.raw(&[2; 16]);
        for word in [0, 1, 9] {
            out.u32(word);
        }
        for half in [5, 0xffff, 0xffff, u16::try_from(behind).unwrap(), 0] {
            out.u16(half);
        }
        out.raw(&[0, 0]);
        out.raw(&vec![0; behind]);
        out.bytes
    }

    #[test]
    fn datagrams_are_recognised_and_name_their_interface() {
        for little in [true, false] {
            let answer = datagram_of(little, 2, 12);
            assert_eq!(recognise(Transport::Udp, &answer), Recognition::Certain(Speaker::Server));
            let read = Datagram::read(&answer).unwrap();
            assert_eq!((read.interface.uuid, read.interface.major, read.opnum), (Uuid([1; 16]), 1, 5));
            assert!(read.answers && !Datagram::read(&datagram_of(little, 0, 0)).unwrap().answers);
            assert_eq!(recognise(Transport::Udp, &answer[..80]), Recognition::NeedMore, "a snap length cut it");
            let longer = [&answer[..], b"trailer"].concat();
            assert_eq!(recognise(Transport::Udp, &longer), Recognition::Likely(Speaker::Server));
            assert_eq!(recognise(Transport::Udp, &answer[..79]), Recognition::NeedMore);
        }
    }

    #[test]
    fn cut_and_flipped_pdus_do_not_panic() {
        for little in [true, false] {
            for (pdu, _) in pdus(little) {
                let right = header(&pdu);
                for length in 0..=pdu.len() {
                    let _ = body(&right, &pdu[..length]);
                }
                for bit in 0..pdu.len() * 8 {
                    let mut wrong = pdu.clone();
                    wrong[bit / 8] ^= 1 << (bit % 8);
                    if let Begins::With(header) = Header::read(&wrong) {
                        assert!(usize::from(header.frag_length) >= HEADER_LEN);
                        if let Body::Offers(offers) = body(&header, &wrong).0 {
                            assert!(offers.len() <= OFFERS_MAX);
                        }
                    }
                }
            }
        }
    }
}
