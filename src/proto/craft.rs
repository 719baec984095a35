//! Builds DCE/RPC PDUs in memory for the tests of this room and of `learn`, right in every byte and in either byte order.

#![expect(clippy::unwrap_used, reason = "a test may stop here")]

use crate::model::uuid::InterfaceId;
use crate::model::uuid::Uuid;
use crate::proto::ndr::Layout;

/// Directory replication.
pub(crate) const DRSUAPI: InterfaceId = InterfaceId {
    uuid: Uuid([0xe3, 0x51, 0x42, 0x35, 0x4b, 0x06, 0x11, 0xd1, 0xab, 0x04, 0x00, 0xc0, 0x4f, 0xc2, 0xdc, 0xd2]),
    major: 4,
    minor: 0,
};
/// Service control.
pub(crate) const SVCCTL: InterfaceId = InterfaceId {
    uuid: Uuid([0x36, 0x7a, 0xbb, 0x81, 0x98, 0x44, 0x35, 0xf1, 0xad, 0x32, 0x98, 0xf0, 0x38, 0x00, 0x10, 0x03]),
    major: 2,
    minor: 0,
};
/// The endpoint mapper.
pub(crate) const EPM: InterfaceId = InterfaceId { uuid: crate::proto::epm::INTERFACE, major: 3, minor: 0 };
/// DCOM's object resolver.
pub(crate) const RESOLVER: InterfaceId = InterfaceId {
    uuid: Uuid([0x99, 0xfc, 0xfe, 0xc4, 0x52, 0x60, 0x10, 0x1b, 0xbb, 0xcb, 0x00, 0xaa, 0x00, 0x21, 0x34, 0x7a]),
    major: 0,
    minor: 0,
};
/// DCOM's activation.
pub(crate) const ACTIVATOR: InterfaceId =
    InterfaceId { uuid: Uuid([0, 0, 1, 0xa0, 0, 0, 0, 0, 0xc0, 0, 0, 0, 0, 0, 0, 0x46]), major: 0, minor: 0 };
/// NDR.
pub(crate) const NDR: InterfaceId = InterfaceId {
    uuid: Uuid([0x8a, 0x88, 0x5d, 0x04, 0x1c, 0xeb, 0x11, 0xc9, 0x9f, 0xe8, 0x08, 0x00, 0x2b, 0x10, 0x48, 0x60]),
    major: 2,
    minor: 0,
};
/// NDR64.
pub(crate) const NDR64: InterfaceId = InterfaceId {
    uuid: Uuid([0x71, 0x71, 0x05, 0x33, 0xbe, 0xba, 0x49, 0x37, 0x83, 0x19, 0xb5, 0xdb, 0xef, 0x9c, 0xcc, 0x36]),
    major: 1,
    minor: 0,
};
/// What Windows offers beside, to negotiate features.
pub(crate) const FEATURES: InterfaceId = InterfaceId {
    uuid: Uuid([0x6c, 0xb7, 0x1c, 0x2c, 0x98, 0x12, 0x45, 0x40, 3, 0, 0, 0, 0, 0, 0, 0]),
    major: 1,
    minor: 0,
};

/// Numbers of kinds of PDUs.
pub(crate) const REQUEST: u8 = 0;
pub(crate) const RESPONSE: u8 = 2;
pub(crate) const FAULT: u8 = 3;
pub(crate) const BIND: u8 = 11;
pub(crate) const BIND_ACK: u8 = 12;
pub(crate) const BIND_NAK: u8 = 13;
pub(crate) const ALTER: u8 = 14;
pub(crate) const ALTER_RESP: u8 = 15;
/// First and last fragment.
pub(crate) const WHOLE: u8 = 3;

/// Writes numbers as a [`Layout`] says.
pub(crate) struct Writer {
    pub(crate) bytes: Vec<u8>,
    layout: Layout,
}

impl Writer {
    pub(crate) fn new(layout: Layout) -> Self {
        Self { bytes: Vec::new(), layout }
    }

    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(crate) fn align(&mut self, size: usize) {
        self.bytes.resize(self.bytes.len().next_multiple_of(size), 0);
    }

    pub(crate) fn u16(&mut self, number: u16) {
        self.align(2);
        self.raw(&if self.layout.little { number.to_le_bytes() } else { number.to_be_bytes() });
    }

    pub(crate) fn u32(&mut self, number: u32) {
        self.align(4);
        self.raw(&if self.layout.little { number.to_le_bytes() } else { number.to_be_bytes() });
    }

    pub(crate) fn u64(&mut self, number: u64) {
        self.align(8);
        self.raw(&if self.layout.little { number.to_le_bytes() } else { number.to_be_bytes() });
    }

    /// A count or a pointer.
    pub(crate) fn count(&mut self, number: usize) {
        if self.layout.wide {
            self.u64(number.try_into().unwrap());
        } else {
            self.u32(number.try_into().unwrap());
        }
    }

    pub(crate) fn uuid(&mut self, uuid: Uuid) {
        self.align(4);
        self.raw(&Uuid::from_wire(uuid.0, self.layout.little).0);
    }

    fn syntax(&mut self, id: InterfaceId) {
        self.uuid(id.uuid);
        self.u32(u32::from(id.minor) << 16 | u32::from(id.major));
    }
}

/// A PDU around a body, with authentication of this level around 16 bytes of token, if any.
pub(crate) fn pdu(little: bool, kind: u8, flags: u8, call_id: u32, body: &[u8], level: Option<u8>) -> Vec<u8> {
    let mut out = Writer::new(Layout { little, wide: false });
    let padding = level.map_or(0, |_| body.len().next_multiple_of(16) - body.len());
    let trailer = level.map_or(0, |_| padding + 8 + 16);
    out.raw(&[5, 0, kind, flags, if little { 0x10 } else { 0 }, 0, 0, 0]);
    out.u16((16 + body.len() + trailer).try_into().unwrap());
    out.u16(level.map_or(0, |_| 16));
    out.u32(call_id);
    out.raw(body);
    if let Some(level) = level {
        out.raw(&vec![0xbb; padding]);
        out.raw(&[9, level, padding.try_into().unwrap(), 0, 7, 0, 0, 0]);
        out.raw(&[0xaa; 16]);
    }
    out.bytes
}

/// Offers contexts: number, interface, transfer syntax.
pub(crate) fn bind(little: bool, kind: u8, call_id: u32, offers: &[(u16, InterfaceId, InterfaceId)]) -> Vec<u8> {
    let mut body = Writer::new(Layout { little, wide: false });
    body.u16(5840);
    body.u16(5840);
    body.u32(0);
    body.raw(&[offers.len().try_into().unwrap(), 0, 0, 0]);
    for &(number, interface, transfer) in offers {
        body.u16(number);
        body.raw(&[1, 0]);
        body.syntax(interface);
        body.syntax(transfer);
    }
    pdu(little, kind, WHOLE, call_id, &body.bytes, None)
}

/// Answers offers: result, reason, transfer syntax; the server names this port as its own.
pub(crate) fn bind_ack(
    little: bool,
    kind: u8,
    call_id: u32,
    port: &str,
    results: &[(u16, u16, InterfaceId)],
) -> Vec<u8> {
    let mut body = Writer::new(Layout { little, wide: false });
    body.u16(5840);
    body.u16(5840);
    body.u32(0x1234);
    body.u16((port.len() + 1).try_into().unwrap());
    body.raw(port.as_bytes());
    body.raw(&[0]);
    body.align(4);
    body.raw(&[results.len().try_into().unwrap(), 0, 0, 0]);
    for &(result, reason, transfer) in results {
        body.u16(result);
        body.u16(reason);
        body.syntax(transfer);
    }
    pdu(little, kind, WHOLE, call_id, &body.bytes, None)
}

/// The body of a request or response.
pub(crate) fn call(little: bool, context: u16, opnum: u16, stub: &[u8]) -> Vec<u8> {
    let mut body = Writer::new(Layout { little, wide: false });
    body.u32(stub.len().try_into().unwrap());
    body.u16(context);
    body.u16(opnum);
    body.raw(stub);
    body.bytes
}

/// A fault with this status.
pub(crate) fn fault(little: bool, call_id: u32, context: u16, status: u32) -> Vec<u8> {
    let mut body = Writer::new(Layout { little, wide: false });
    body.u32(32);
    body.u16(context);
    body.u16(0);
    body.u32(status);
    body.u32(0);
    pdu(little, FAULT, WHOLE, call_id, &body.bytes, None)
}

/// A tower: interface, NDR, connection-oriented RPC, then this floor with this port, then an address.
pub(crate) fn tower(interface: InterfaceId, floor: u8, port: u16, addr: [u8; 4]) -> Vec<u8> {
    let mut out = vec![5, 0];
    let mut side = |bytes: &[u8]| {
        out.extend(u16::try_from(bytes.len()).unwrap().to_le_bytes());
        out.extend(bytes);
    };
    for id in [interface, NDR] {
        let mut left = vec![0x0d];
        left.extend(Uuid::from_wire(id.uuid.0, true).0);
        left.extend(id.major.to_le_bytes());
        side(&left);
        side(&id.minor.to_le_bytes());
    }
    side(&[0x0b]);
    side(&[0, 0]);
    side(&[floor]);
    side(&port.to_be_bytes());
    side(&[0x09]);
    side(&addr);
    out
}

fn octets(out: &mut Writer, tower: &[u8]) {
    out.count(tower.len());
    out.u32(tower.len().try_into().unwrap());
    out.raw(tower);
}

/// The stub of an `ept_map` request.
pub(crate) fn map_request(layout: Layout, tower: &[u8], continued: bool) -> Vec<u8> {
    let mut out = Writer::new(layout);
    out.count(1);
    out.raw(&[0; 16]);
    out.count(2);
    octets(&mut out, tower);
    out.align(4);
    out.raw(&[u8::from(continued); 20]);
    out.u32(4);
    out.bytes
}

/// The stub of an `ept_map` reply.
pub(crate) fn map_reply(layout: Layout, towers: &[Vec<u8>], status: u32) -> Vec<u8> {
    let mut out = Writer::new(layout);
    out.raw(&[0; 20]);
    out.u32(towers.len().try_into().unwrap());
    for count in [4.max(towers.len()), 0, towers.len()] {
        out.count(count);
    }
    for nth in 0..towers.len() {
        out.count(nth + 3);
    }
    for tower in towers {
        octets(&mut out, tower);
    }
    out.u32(status);
    out.bytes
}

/// The stub of an `ept_lookup` reply. Every other entry has an annotation.
pub(crate) fn lookup_reply(layout: Layout, towers: &[Vec<u8>], status: u32) -> Vec<u8> {
    let mut out = Writer::new(layout);
    out.raw(&[0; 20]);
    out.u32(towers.len().try_into().unwrap());
    for count in [500, 0, towers.len()] {
        out.count(count);
    }
    for nth in 0..towers.len() {
        let note: &[u8] = if nth % 2 == 0 { b"\0" } else { b"a note\0" };
        out.align(if layout.wide { 8 } else { 4 });
        out.raw(&[0; 16]);
        out.count(nth + 3);
        out.count(0);
        out.count(note.len());
        out.raw(note);
    }
    for tower in towers {
        octets(&mut out, tower);
    }
    out.u32(status);
    out.bytes
}

/// A `DUALSTRINGARRAY` of TCP bindings, with its count before it.
pub(crate) fn dual_string_array(out: &mut Writer, texts: &[&str]) {
    let mut units = Vec::new();
    for text in texts {
        units.push(7);
        units.extend(text.encode_utf16());
        units.push(0);
    }
    units.push(0);
    let security = units.len();
    units.extend([0x0a, 0xffff, 0, 0]);
    out.count(units.len());
    out.u16(units.len().try_into().unwrap());
    out.u16(security.try_into().unwrap());
    for unit in units {
        out.u16(unit);
    }
}

/// The stub of a `ResolveOxid2` reply.
pub(crate) fn resolve_reply(layout: Layout, texts: &[&str]) -> Vec<u8> {
    let mut out = Writer::new(layout);
    out.count(0x2_0000);
    dual_string_array(&mut out, texts);
    out.align(4);
    out.raw(&[0; 16]);
    for word in [0, 0x0007_0005, 0] {
        out.u32(word);
    }
    out.bytes
}

/// The stub of a `RemoteCreateInstance` reply, with two properties, or with extensions before its parameters.
pub(crate) fn create_reply(layout: Layout, texts: &[&str], extents: bool) -> Vec<u8> {
    let plain = Layout { little: true, wide: false };
    let serialized = |body: &[u8]| {
        let mut out = vec![1, 0x10, 8, 0, 0xcc, 0xcc, 0xcc, 0xcc];
        out.extend(u32::try_from(body.len()).unwrap().to_le_bytes());
        out.extend([0; 4]);
        out.extend(body);
        out.resize(out.len().next_multiple_of(8), 0);
        out
    };
    let mut info = Writer::new(plain);
    info.u32(0);
    info.u32(2);
    info.u64(0x0102_0304_0506_0708);
    info.u32(3);
    info.raw(&[9; 16]);
    info.u32(4);
    info.u32(0x0007_0005);
    dual_string_array(&mut info, texts);
    let properties = [serialized(&[7; 20]), serialized(&info.bytes)];
    let mut header = Writer::new(plain);
    let header_len = 16 + 5 * 4 + 16 + 3 * 4 + 4 + 32 + 4 + 8;
    header.u32(u32::try_from(header_len + properties.concat().len()).unwrap());
    header.u32(header_len.try_into().unwrap());
    header.u32(0);
    header.u32(2);
    header.u32(2);
    header.raw(&[0; 16]);
    for pointer in [1, 2, 0] {
        header.u32(pointer);
    }
    header.u32(2);
    header.raw(&[3; 16]);
    header.uuid(Uuid([0, 0, 1, 0xb6, 0, 0, 0, 0, 0xc0, 0, 0, 0, 0, 0, 0, 0x46]));
    header.u32(2);
    for property in &properties {
        header.u32(property.len().try_into().unwrap());
    }
    let mut reference = Writer::new(plain);
    reference.raw(b"MEOW");
    reference.u32(4);
    reference.raw(&[0; 40]);
    let blob = [serialized(&header.bytes), properties.concat()].concat();
    reference.u32(blob.len().try_into().unwrap());
    reference.u32(0);
    reference.raw(&blob);
    let mut out = Writer::new(layout);
    out.u32(0);
    out.count(usize::from(extents));
    if extents {
        out.u32(1);
        out.u32(0);
        out.count(5);
        out.count(2);
        out.count(6);
        out.count(0);
        out.count(8);
        out.raw(&[4; 16]);
        out.u32(8);
        out.raw(&[5; 8]);
    }
    out.count(0x2_0000);
    out.count(reference.bytes.len());
    out.u32(reference.bytes.len().try_into().unwrap());
    out.raw(&reference.bytes);
    out.u32(0);
    out.bytes
}
