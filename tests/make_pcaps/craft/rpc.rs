//! DCE/RPC over TCP (C706, MS-RPCE): bind, endpoint map, requests without authentication.

use std::net::IpAddr;

use crate::craft::host::Host;

/// The endpoint mapper.
pub(crate) const EPM: Interface = Interface { uuid: "e1af8308-5d1f-11c9-91a4-08002b14a0fa", major: 3 };
/// Directory replication and name cracking (MS-DRSR).
pub(crate) const DRSUAPI: Interface = Interface { uuid: "e3514235-4b06-11d1-ab04-00c04fc2dcd2", major: 4 };
/// Service control (MS-SCMR).
pub(crate) const SVCCTL: Interface = Interface { uuid: "367abb81-9844-35f1-ad32-98f038001003", major: 2 };
/// Which ports the processes of DCOM objects have (MS-DCOM).
pub(crate) const OBJECT_EXPORTER: Interface = Interface { uuid: "99fcfec4-5260-101b-bbcb-00aa0021347a", major: 0 };
/// `DRSBind` (operation 0) by no client in particular, extensions unsaid; the answer is a context handle.
pub(crate) const DRS_BIND: Call =
    Call { interface: DRSUAPI, opnum: 0, request: &DRS_BIND_REQUEST, answer: &DRS_BIND_ANSWER };
/// `ROpenSCManagerW` (operation 15) of the local machine; the answer is a context handle.
pub(crate) const OPEN_SC_MANAGER: Call =
    Call { interface: SVCCTL, opnum: 15, request: &OPEN_SC_MANAGER_REQUEST, answer: &OPEN_SC_MANAGER_ANSWER };

const DRS_BIND_REQUEST: [u8; 24] = [1, 0, 2, 0, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 0, 0, 0, 0];
const DRS_BIND_ANSWER: [u8; 28] = [0, 0, 0, 0, 0, 0, 0, 0, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 0, 0, 0, 0];
const OPEN_SC_MANAGER_REQUEST: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0];
const OPEN_SC_MANAGER_ANSWER: [u8; 24] = [0, 0, 0, 0, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 0, 0, 0, 0];
const NDR: Interface = Interface { uuid: "8a885d04-1ceb-11c9-9fe8-08002b104860", major: 2 };
/// `ept_s_not_registered`: the mapper knows no such interface.
const NOT_REGISTERED: u32 = 0x16c9_a0d6;

/// One operation with what goes to and fro.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    /// The interface that it belongs to.
    pub(crate) interface: Interface,
    opnum: u16,
    request: &'static [u8],
    answer: &'static [u8],
}

impl Call {
    /// The request PDU.
    pub(crate) fn request(&self) -> Vec<u8> {
        request(2, self.opnum, self.request)
    }

    /// The response PDU.
    pub(crate) fn answer(&self) -> Vec<u8> {
        response(2, self.answer)
    }
}

/// An interface by its UUID and major version; all minor versions here are 0.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Interface {
    uuid: &'static str,
    major: u16,
}

impl Interface {
    /// UUID with its first three fields little endian.
    fn uuid(self) -> Vec<u8> {
        let mut out = Vec::new();
        for (nth, field) in self.uuid.split('-').enumerate() {
            let digits: Vec<u8> =
                field.bytes().map(|c| u8::try_from(char::from(c).to_digit(16).unwrap()).unwrap()).collect();
            let mut bytes: Vec<u8> = digits.chunks(2).map(|pair| pair.iter().fold(0, |n, d| n << 4 | d)).collect();
            if nth < 3 {
                bytes.reverse();
            }
            out.extend(bytes);
        }
        out
    }

    fn with_version(self) -> Vec<u8> {
        let mut out = self.uuid();
        out.extend(self.major.to_le_bytes());
        out.extend([0, 0]);
        out
    }
}

/// Offers one interface as context 0, transfer syntax NDR.
pub(crate) fn bind(interface: Interface) -> Vec<u8> {
    let mut body = vec![0xd0, 0x16, 0xd0, 0x16, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0];
    body.extend(interface.with_version());
    body.extend(NDR.with_version());
    pdu(11, 1, &body)
}

/// Accepts context 0; `port` is the secondary address that the server names.
pub(crate) fn bind_ack(port: u16) -> Vec<u8> {
    bind_ack_at(&port.to_string())
}

/// The same where the server names a pipe.
pub(crate) fn bind_ack_at(named: &str) -> Vec<u8> {
    let mut body = vec![0xd0, 0x16, 0xd0, 0x16, 0x01, 0x52, 0, 0];
    let text = format!("{named}\0");
    body.extend(u16::try_from(text.len()).unwrap().to_le_bytes());
    body.extend(text.as_bytes());
    while !body.len().is_multiple_of(4) {
        body.push(0);
    }
    body.extend([1, 0, 0, 0, 0, 0, 0, 0]);
    body.extend(NDR.with_version());
    pdu(12, 1, &body)
}

/// `ept_map` (operation 3): where does this interface listen on TCP?
pub(crate) fn ept_map(interface: Interface) -> Vec<u8> {
    let tower = tower(interface, 0, [0; 4]);
    let mut stub = vec![1, 0, 0, 0];
    stub.extend([0; 16]);
    stub.extend([2, 0, 0, 0]);
    stub.extend(counted(&tower));
    stub.extend([0; 20]);
    stub.extend([4, 0, 0, 0]);
    request(2, 3, &stub)
}

/// The answer with one tower: that port of that host.
pub(crate) fn ept_map_found(interface: Interface, host: &Host, port: u16) -> Vec<u8> {
    let IpAddr::V4(addr) = host.addr else { unreachable!("towers hold IPv4") };
    let mut stub = vec![0; 20];
    for word in [1_u32, 4, 0, 1, 3] {
        stub.extend(word.to_le_bytes());
    }
    stub.extend(counted(&tower(interface, port, addr.octets())));
    stub.extend([0; 4]);
    response(2, &stub)
}

/// The answer that the interface is not registered: no tower.
pub(crate) fn ept_map_unknown() -> Vec<u8> {
    let mut stub = vec![0; 20];
    for word in [0_u32, 4, 0, 0, NOT_REGISTERED] {
        stub.extend(word.to_le_bytes());
    }
    response(2, &stub)
}

/// `ResolveOxid2` (operation 4): where does the process of this object listen, over TCP?
pub(crate) fn resolve_oxid() -> Vec<u8> {
    request(2, 4, &[7, 7, 7, 7, 7, 7, 7, 7, 1, 0, 0, 0, 1, 0, 0, 0, 7, 0])
}

/// The answer: at this port of this host. No security bindings.
pub(crate) fn oxid_resolved(host: &Host, port: u16) -> Vec<u8> {
    let mut units = vec![7];
    units.extend(format!("{}[{port}]\0\0\0", host.addr).encode_utf16());
    let count = u16::try_from(units.len()).unwrap();
    let mut stub = vec![0, 0, 2, 0];
    stub.extend(u32::from(count).to_le_bytes());
    for unit in [count, count - 1].into_iter().chain(units) {
        stub.extend(unit.to_le_bytes());
    }
    while !stub.len().is_multiple_of(4) {
        stub.push(0);
    }
    stub.extend([9; 16]);
    stub.extend([1, 0, 0, 0, 5, 0, 7, 0, 0, 0, 0, 0]);
    response(2, &stub)
}

fn request(call_id: u32, opnum: u16, stub: &[u8]) -> Vec<u8> {
    let mut body = u32::try_from(stub.len()).unwrap().to_le_bytes().to_vec();
    body.extend([0, 0]);
    body.extend(opnum.to_le_bytes());
    body.extend(stub);
    pdu(0, call_id, &body)
}

fn response(call_id: u32, stub: &[u8]) -> Vec<u8> {
    let mut body = u32::try_from(stub.len()).unwrap().to_le_bytes().to_vec();
    body.extend([0; 4]);
    body.extend(stub);
    pdu(2, call_id, &body)
}

/// The common header: version 5.0, first and last fragment, little endian, no authentication.
fn pdu(kind: u8, call_id: u32, body: &[u8]) -> Vec<u8> {
    let mut out = vec![5, 0, kind, 3, 0x10, 0, 0, 0];
    out.extend(u16::try_from(16 + body.len()).unwrap().to_le_bytes());
    out.extend([0, 0]);
    out.extend(call_id.to_le_bytes());
    out.extend(body);
    out
}

/// A protocol tower of five floors (C706 appendix L): interface, NDR, connection-oriented RPC, TCP, IP.
fn tower(interface: Interface, port: u16, addr: [u8; 4]) -> Vec<u8> {
    let mut out = vec![5, 0];
    for syntax in [interface, NDR] {
        let mut left = vec![0x0d];
        left.extend(syntax.uuid());
        left.extend(syntax.major.to_le_bytes());
        floor(&mut out, &left, &[0, 0]);
    }
    floor(&mut out, &[0x0b], &[0, 0]);
    floor(&mut out, &[0x07], &port.to_be_bytes());
    floor(&mut out, &[0x09], &addr);
    out
}

fn floor(out: &mut Vec<u8>, left: &[u8], right: &[u8]) {
    for side in [left, right] {
        out.extend(u16::try_from(side.len()).unwrap().to_le_bytes());
        out.extend(side);
    }
}

/// A conformant array with its length before it, padded to four bytes.
fn counted(bytes: &[u8]) -> Vec<u8> {
    let len = u32::try_from(bytes.len()).unwrap().to_le_bytes();
    let mut out = [&len[..], &len, bytes].concat();
    while !out.len().is_multiple_of(4) {
        out.push(0);
    }
    out
}
