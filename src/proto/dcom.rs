//! DCOM: the replies in which a server names the ports of an object's process (MS-DCOM).
//!
//! Takes the stub of a reply, gives string bindings. Bindings of `ServerAlive2` are left out on purpose: they must not
//! contain endpoints (MS-DCOM section 3.1.2.5.1.6). This file must never know who asked whom.

use crate::model::uuid::Uuid;
use crate::proto::ndr::Layout;
use crate::proto::ndr::Reader;

/// `IObjectExporter`, which resolves where an object's process listens.
const OBJECT_EXPORTER: Uuid =
    Uuid([0x99, 0xfc, 0xfe, 0xc4, 0x52, 0x60, 0x10, 0x1b, 0xbb, 0xcb, 0x00, 0xaa, 0x00, 0x21, 0x34, 0x7a]);
/// `IActivation`, the activation of DCOM before version 5.6.
const ACTIVATION: Uuid =
    Uuid([0x4d, 0x9f, 0x4a, 0xb8, 0x7d, 0x1c, 0x11, 0xcf, 0x86, 0x1e, 0x00, 0x20, 0xaf, 0x6e, 0x7c, 0x57]);
/// `IRemoteSCMActivator`, the activation since.
const REMOTE_ACTIVATOR: Uuid = Uuid([0, 0, 1, 0xa0, 0, 0, 0, 0, 0xc0, 0, 0, 0, 0, 0, 0, 0x46]);
/// The property of an activation's reply that holds the bindings (`ScmReplyInfo`).
const SCM_REPLY_INFO: Uuid = Uuid([0, 0, 1, 0xb6, 0, 0, 0, 0, 0xc0, 0, 0, 0, 0, 0, 0, 0x46]);

/// The first four bytes of a marshalled object reference, read as a number (MS-DCOM section 2.2.18).
const OBJREF_SIGNATURE: u32 = 0x574f_454d;
/// The kind of reference that holds activation properties.
const OBJREF_CUSTOM: u32 = 4;
/// Properties of one activation (MS-DCOM section 2.2.22.1 allows so many).
const PROPERTIES_MAX: usize = 20;
/// Bytes of the two serialization headers before each structure (MS-RPCE section 2.2.6).
const SERIALIZATION_HEADERS: usize = 16;
/// Extents in front of the parameters of one reply. No server was seen to send more than two.
const EXTENTS_MAX: usize = 16;

/// String bindings read from one reply. A server names each of its addresses once for each protocol.
pub const BINDINGS_MAX: usize = 64;

/// The protocol identifier of TCP in a string binding (MS-DCOM section 2.2.19.3).
pub const TOWER_TCP: u16 = 0x07;

/// A reply that can hold bindings with endpoints.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    /// `ResolveOxid` and `ResolveOxid2`.
    Resolve,
    /// `RemoteActivation`.
    Activate,
    /// `RemoteGetClassObject` and `RemoteCreateInstance`.
    Create,
}

impl Operation {
    /// The operation with this number of this interface, if its reply can hold endpoints.
    pub fn by_number(interface: Uuid, opnum: u16) -> Option<Self> {
        match (interface, opnum) {
            (OBJECT_EXPORTER, 0 | 4) => Some(Self::Resolve),
            (ACTIVATION, 0) => Some(Self::Activate),
            (REMOTE_ACTIVATOR, 3 | 4) => Some(Self::Create),
            _ => None,
        }
    }
}

/// One string binding.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Binding {
    /// The protocol, such as [`TOWER_TCP`].
    pub tower: u16,
    /// The host by name or address, as sent.
    pub host: String,
    /// The port, if the endpoint is one.
    pub port: Option<u16>,
}

/// The bindings in the stub of a reply; empty if it has none, was cut or is wrong.
pub fn bindings(operation: Operation, stub: &[u8], layout: Layout) -> Vec<Binding> {
    let mut reader = Reader::new(stub, layout);
    match operation {
        Operation::Resolve => pointed_array(&mut reader),
        Operation::Activate => {
            that(&mut reader).and_then(|()| reader.u64()).and_then(|_oxid| pointed_array(&mut reader))
        }
        Operation::Create => that(&mut reader).and_then(|()| properties(&mut reader)),
    }
    .unwrap_or_default()
}

/// The `ORPCTHAT` in front of the parameters: flags and, seldom, extensions.
fn that(reader: &mut Reader) -> Option<()> {
    reader.u32()?;
    if !reader.pointer()? {
        return Some(());
    }
    let extents = reader.u32()?;
    reader.u32()?;
    if !reader.pointer()? {
        return Some(());
    }
    let places = reader.count()?;
    if places > EXTENTS_MAX || usize::try_from(extents).ok()? > places {
        return None;
    }
    let mut present = 0;
    for _ in 0..places {
        present += usize::from(reader.pointer()?);
    }
    for _ in 0..present {
        let length = reader.count()?;
        reader.uuid()?;
        reader.u32()?;
        reader.bytes(length)?;
    }
    Some(())
}

/// A pointer and the `DUALSTRINGARRAY` that it points to.
fn pointed_array(reader: &mut Reader) -> Option<Vec<Binding>> {
    if reader.pointer()? { dual_string_array(reader) } else { None }
}

/// A `DUALSTRINGARRAY` with its count in front (MS-DCOM section 2.2.19.1): string bindings up to the security offset, in units
/// of two bytes.
fn dual_string_array(reader: &mut Reader) -> Option<Vec<Binding>> {
    let max = reader.count()?;
    let (entries, security) = (reader.u16()?, reader.u16()?);
    if security > entries || usize::from(entries) > max {
        return None;
    }
    let mut units = Vec::with_capacity(security.into());
    for _ in 0..security {
        units.push(reader.u16()?);
    }
    Some(string_bindings(&units))
}

/// Each binding is a protocol identifier and a zero-ended string; a zero in place of an identifier ends the list.
fn string_bindings(units: &[u16]) -> Vec<Binding> {
    let mut bindings = Vec::new();
    let mut rest = units;
    while let Some((&tower, after)) = rest.split_first() {
        if tower == 0 || bindings.len() == BINDINGS_MAX {
            break;
        }
        let mut pieces = after.splitn(2, |&unit| unit == 0);
        let text = String::from_utf16_lossy(pieces.next().unwrap_or_default());
        rest = pieces.next().unwrap_or_default();
        let (host, endpoint) = text.split_once('[').unwrap_or((&text, ""));
        let port = endpoint.strip_suffix(']').and_then(|port| port.parse().ok());
        bindings.push(Binding { tower, host: host.to_owned(), port });
    }
    bindings
}

/// A pointer to a marshalled interface pointer, whose reference of custom kind holds the activation properties.
fn properties(reader: &mut Reader) -> Option<Vec<Binding>> {
    if !reader.pointer()? {
        return None;
    }
    let max = reader.count()?;
    let length = usize::try_from(reader.u32()?).ok()?;
    if length > max {
        return None;
    }
    // A reference is little-endian whatever the call's numbers are (MS-DCOM section 2.2.18).
    let mut reference = Reader::new(reader.bytes(length)?, Layout { little: true, wide: false });
    if reference.u32()? != OBJREF_SIGNATURE || reference.u32()? != OBJREF_CUSTOM {
        return None;
    }
    let (_interface, _class) = (reference.uuid()?, reference.uuid()?);
    let (_extensions, _reserved) = (reference.u32()?, reference.u32()?);
    let (_size, _reserved) = (reference.u32()?, reference.u32()?);
    let blob = reference.rest();
    let header = serialized(blob)?;
    let (at, length) = reply_info(header)?;
    let info = serialized(blob.get(at..)?.get(..length)?)?;
    oxid_bindings(info)
}

/// Takes off the serialization headers, of which the second byte tells the byte order (MS-RPCE section 2.2.6.1).
fn serialized(bytes: &[u8]) -> Option<Reader<'_>> {
    let (headers, body) = bytes.split_at_checked(SERIALIZATION_HEADERS)?;
    let layout = Layout { little: *headers.get(1)? == 0x10, wide: false };
    (*headers.first()? == 1).then_some(Reader::new(body, layout))
}

/// Where in the blob the reply's property lies, and its length, by the `CustomHeader` (MS-DCOM section 2.2.22.1).
fn reply_info(mut header: Reader) -> Option<(usize, usize)> {
    let _total = header.u32()?;
    let mut at = usize::try_from(header.u32()?).ok()?;
    let (_reserved, _context) = (header.u32()?, header.u32()?);
    let count = usize::try_from(header.u32()?).ok()?;
    let _class = header.uuid()?;
    let (classes, sizes, _reserved) = (header.pointer()?, header.pointer()?, header.pointer()?);
    if !classes || !sizes || count > PROPERTIES_MAX || header.count()? != count {
        return None;
    }
    let mut nth = None;
    for place in 0..count {
        if header.uuid()? == SCM_REPLY_INFO {
            nth = Some(place);
        }
    }
    if header.count()? != count {
        return None;
    }
    for place in 0..count {
        let size = usize::try_from(header.u32()?).ok()?;
        if nth == Some(place) {
            return Some((at, size));
        }
        at = at.checked_add(size)?;
    }
    None
}

/// The bindings within `ScmReplyInfoData` (MS-DCOM section 2.2.22.2.8).
fn oxid_bindings(mut info: Reader) -> Option<Vec<Binding>> {
    let reserved = info.pointer()?;
    if !info.pointer()? {
        return None;
    }
    if reserved {
        info.u32()?;
    }
    let _oxid = info.u64()?;
    let bindings = info.pointer()?;
    let _ipid = info.uuid()?;
    let (_hint, _version) = (info.u32()?, info.u32()?);
    if bindings { dual_string_array(&mut info) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::craft;

    const LAYOUTS: [Layout; 4] = [
        Layout { little: true, wide: false },
        Layout { little: true, wide: true },
        Layout { little: false, wide: false },
        Layout { little: false, wide: true },
    ];
    const TEXTS: [&str; 3] = ["DC1[49670]", "10.0.0.10[49670]", "dc1.example"];

    fn ports(bindings: &[Binding]) -> Vec<(&str, Option<u16>)> {
        bindings.iter().map(|binding| (binding.host.as_str(), binding.port)).collect()
    }

    fn replies(layout: Layout) -> [(Operation, Vec<u8>); 4] {
        let mut activated = craft::Writer::new(layout);
        activated.u32(0);
        activated.count(0);
        activated.u64(77);
        activated.raw(&craft::resolve_reply(layout, &TEXTS));
        [
            (Operation::Resolve, craft::resolve_reply(layout, &TEXTS)),
            (Operation::Create, craft::create_reply(layout, &TEXTS, false)),
            (Operation::Create, craft::create_reply(layout, &TEXTS, true)),
            (Operation::Activate, activated.bytes),
        ]
    }

    #[test]
    fn every_reply_gives_its_bindings_in_every_layout() {
        for layout in LAYOUTS {
            for (operation, stub) in replies(layout) {
                let found = bindings(operation, &stub, layout);
                let wanted = [("DC1", Some(49_670)), ("10.0.0.10", Some(49_670)), ("dc1.example", None)];
                assert_eq!(ports(&found), wanted, "{operation:?} {layout:?}");
                assert!(found.iter().all(|binding| binding.tower == TOWER_TCP));
            }
        }
    }

    #[test]
    fn security_bindings_are_not_read_as_hosts() {
        let layout = Layout { little: true, wide: false };
        let found = bindings(Operation::Resolve, &craft::resolve_reply(layout, &[]), layout);
        assert_eq!(found, []);
    }

    #[test]
    fn a_server_that_names_no_end_is_read_no_further_than_allowed() {
        let layout = Layout { little: true, wide: false };
        let many = vec!["a[1]"; 200];
        assert_eq!(bindings(Operation::Resolve, &craft::resolve_reply(layout, &many), layout).len(), BINDINGS_MAX);
    }

    #[test]
    fn only_replies_that_may_hold_endpoints_are_read() {
        assert_eq!(Operation::by_number(OBJECT_EXPORTER, 4), Some(Operation::Resolve));
        assert_eq!(Operation::by_number(OBJECT_EXPORTER, 5), None, "ServerAlive2");
        assert_eq!(Operation::by_number(REMOTE_ACTIVATOR, 4), Some(Operation::Create));
        assert_eq!(Operation::by_number(Uuid::default(), 4), None);
    }

    #[test]
    fn cut_and_flipped_replies_do_not_panic() {
        for layout in LAYOUTS {
            for (operation, whole) in replies(layout) {
                for length in 0..whole.len() {
                    assert!(bindings(operation, &whole[..length], layout).len() <= TEXTS.len());
                }
                for bit in 0..whole.len() * 8 {
                    let mut wrong = whole.clone();
                    wrong[bit / 8] ^= 1 << (bit % 8);
                    assert!(bindings(operation, &wrong, layout).len() <= BINDINGS_MAX);
                }
            }
        }
    }
}
