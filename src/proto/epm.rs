//! The endpoint mapper: which interface a client asks for, and on which ports the server says it listens (C706 appendices L
//! and O, MS-RPCE section 2.2.1.2).
//!
//! Takes the stub of a call, gives towers. This file must never know who asked whom, nor whether an answer is to be believed.

use crate::model::uuid::InterfaceId;
use crate::model::uuid::Uuid;
use crate::proto::ndr::Layout;
use crate::proto::ndr::Reader;

/// The interface of the endpoint mapper.
pub const INTERFACE: Uuid =
    Uuid([0xe1, 0xaf, 0x83, 0x08, 0x5d, 0x1f, 0x11, 0xc9, 0x91, 0xa4, 0x08, 0x00, 0x2b, 0x14, 0xa0, 0xfa]);

/// The status `ept_s_not_registered`: nothing, or nothing more, matches.
pub const NOT_REGISTERED: u32 = 0x16c9_a0d6;

/// Towers read from one reply: MS-RPCE lets a client ask for no more.
pub const TOWERS_MAX: usize = 500;

/// Floors of one tower that are looked at. RPC over any transport has five.
const FLOORS_MAX: u16 = 8;

/// Floor identifiers (C706 appendix I, MS-RPCE section 2.2.1.2.1).
mod floor {
    pub(super) const TCP: u8 = 0x07;
    pub(super) const UDP: u8 = 0x08;
    pub(super) const IP: u8 = 0x09;
    pub(super) const SYNTAX: u8 = 0x0d;
    pub(super) const PIPE: u8 = 0x0f;
    pub(super) const HTTP: u8 = 0x1f;
}

/// What an operation of the mapper is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    /// `ept_lookup`: list what is registered.
    Lookup,
    /// `ept_map` and its authenticated forms: where is this interface?
    Map {
        /// The request ends with the handle of a continued search, not with other parameters.
        plain: bool,
    },
}

impl Operation {
    /// The operation with this number, if its reply holds towers.
    pub fn by_number(opnum: u16) -> Option<Self> {
        match opnum {
            2 => Some(Self::Lookup),
            3 => Some(Self::Map { plain: true }),
            7 | 8 => Some(Self::Map { plain: false }),
            _ => None,
        }
    }
}

/// Where an interface listens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// A TCP port.
    Tcp(u16),
    /// A UDP port.
    Udp(u16),
    /// A TCP port that speaks RPC over HTTP version 1.
    Http(u16),
    /// A named pipe.
    Pipe,
    /// Another transport, such as local calls.
    Other,
}

/// One protocol tower.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tower {
    /// The interface.
    pub interface: InterfaceId,
    /// Where it listens.
    pub place: Place,
    /// The IPv4 address of the floor above; `None` if that floor holds something else. 0.0.0.0 in questions.
    pub addr: Option<[u8; 4]>,
}

/// What a mapping request asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Question {
    /// The tower to be completed.
    pub tower: Tower,
    /// The request goes on with an earlier search, so that an empty answer only means that nothing is left.
    pub continued: bool,
}

/// What a reply holds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Answer {
    /// The towers that could be read, in order.
    pub towers: Vec<Tower>,
    /// How many towers the reply says it has.
    pub promised: u32,
    /// The status at its end; `None` if the reply was cut or is wrong before it.
    pub status: Option<u32>,
}

/// Reads the stub of a mapping request. `None` if it holds no tower.
pub fn question(plain: bool, stub: &[u8], layout: Layout) -> Option<Question> {
    let mut reader = Reader::new(stub, layout);
    if reader.pointer()? {
        reader.uuid()?;
    }
    if !reader.pointer()? {
        return None;
    }
    let tower = tower(octets(&mut reader)?)?;
    let continued = plain && handle(&mut reader).is_some_and(|handle| handle.iter().any(|&byte| byte != 0));
    Some(Question { tower, continued })
}

/// Reads the stub of a reply: a handle, the number of towers, all pointers to them, then all towers, then the status.
///
/// A tower of a form that is not known is left out; whatever breaks the array ends it.
pub fn answer(operation: Operation, stub: &[u8], layout: Layout) -> Answer {
    let mut answer = Answer::default();
    let mut reader = Reader::new(stub, layout);
    answer.status = read_answer(operation, &mut reader, &mut answer);
    answer
}

fn read_answer(operation: Operation, reader: &mut Reader, answer: &mut Answer) -> Option<u32> {
    handle(reader)?;
    answer.promised = reader.u32()?;
    let listed = reader.varying()?;
    if listed > TOWERS_MAX {
        return None;
    }
    let mut present = 0;
    for _ in 0..listed {
        let there = match operation {
            Operation::Map { .. } => reader.pointer()?,
            Operation::Lookup => entry(reader)?,
        };
        present += usize::from(there);
    }
    for _ in 0..present {
        answer.towers.extend(tower(octets(reader)?));
    }
    reader.u32()
}

/// A context handle: attributes and a UUID. All zero if there is none.
fn handle<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    reader.align(4);
    reader.bytes(20)
}

/// One `ept_entry_t` of a lookup: object, pointer to the tower, annotation. Whether there is a tower.
fn entry(reader: &mut Reader) -> Option<bool> {
    reader.align(if reader.layout().wide { 8 } else { 4 });
    reader.uuid()?;
    let there = reader.pointer()?;
    let _offset = reader.count()?;
    let letters = reader.count()?;
    reader.bytes(letters)?;
    Some(there)
}

/// The bytes of a `twr_t`: its size before the structure, its length within, then so many bytes.
fn octets<'a>(reader: &mut Reader<'a>) -> Option<&'a [u8]> {
    let max = reader.count()?;
    let length = usize::try_from(reader.u32()?).ok()?;
    if length > max {
        return None;
    }
    reader.bytes(length)
}

/// Reads a tower. Its numbers are little-endian whatever the call's are, but for ports and addresses.
fn tower(octets: &[u8]) -> Option<Tower> {
    let (floors, mut rest) = octets.split_first_chunk()?;
    let mut found = Found::default();
    for nth in 0..u16::from_le_bytes(*floors).min(FLOORS_MAX) {
        let left = sized(&mut rest)?;
        let right = sized(&mut rest)?;
        found.floor(nth, left, right);
    }
    Some(Tower { interface: found.interface?, place: found.place?, addr: found.addr })
}

#[derive(Default)]
struct Found {
    interface: Option<InterfaceId>,
    place: Option<Place>,
    addr: Option<[u8; 4]>,
}

impl Found {
    fn floor(&mut self, nth: u16, left: &[u8], right: &[u8]) {
        let Some((&id, name)) = left.split_first() else { return };
        match nth {
            0 if id == floor::SYNTAX => self.interface = syntax(name, right),
            // Floor two is the transfer syntax, floor three the kind of RPC: neither changes where the port is.
            0..=2 => {}
            3 => self.place = Some(place(id, right).unwrap_or(Place::Other)),
            _ => {
                if let (floor::IP, Ok(addr)) = (id, right.try_into()) {
                    self.addr = Some(addr);
                }
            }
        }
    }
}

fn place(id: u8, right: &[u8]) -> Option<Place> {
    let port = || right.try_into().ok().map(u16::from_be_bytes);
    match id {
        floor::TCP => port().map(Place::Tcp),
        floor::UDP => port().map(Place::Udp),
        floor::HTTP => port().map(Place::Http),
        floor::PIPE => Some(Place::Pipe),
        _ => None,
    }
}

fn syntax(name: &[u8], right: &[u8]) -> Option<InterfaceId> {
    let (uuid, rest) = name.split_first_chunk()?;
    let major = u16::from_le_bytes(*rest.first_chunk()?);
    let minor = right.first_chunk().map_or(0, |minor| u16::from_le_bytes(*minor));
    Some(InterfaceId { uuid: Uuid::from_wire(*uuid, true), major, minor })
}

/// A piece with its length before it.
fn sized<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk()?;
    let (piece, after) = after.split_at_checked(u16::from_le_bytes(*length).into())?;
    *rest = after;
    Some(piece)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::craft;
    use crate::proto::craft::DRSUAPI;
    use crate::proto::craft::SVCCTL;

    const LAYOUTS: [Layout; 4] = [
        Layout { little: true, wide: false },
        Layout { little: true, wide: true },
        Layout { little: false, wide: false },
        Layout { little: false, wide: true },
    ];
    const MAP: Operation = Operation::Map { plain: true };
    const HOST: [u8; 4] = [10, 0, 0, 10];

    fn three() -> Vec<Vec<u8>> {
        vec![
            craft::tower(DRSUAPI, floor::TCP, 49_668, HOST),
            craft::tower(DRSUAPI, floor::HTTP, 49_669, HOST),
            craft::tower(SVCCTL, floor::UDP, 49_670, [0; 4]),
        ]
    }

    #[test]
    fn replies_of_no_one_and_three_towers_are_read_in_every_layout() {
        for layout in LAYOUTS {
            for count in [0, 1, 3] {
                let towers = three()[..count].to_vec();
                for (operation, stub) in [
                    (MAP, craft::map_reply(layout, &towers, NOT_REGISTERED)),
                    (Operation::Lookup, craft::lookup_reply(layout, &towers, NOT_REGISTERED)),
                ] {
                    let answer = answer(operation, &stub, layout);
                    assert_eq!(answer.status, Some(NOT_REGISTERED), "{operation:?} {layout:?} {count}");
                    assert_eq!((answer.towers.len(), answer.promised as usize), (count, count));
                    let wanted = [
                        Tower { interface: DRSUAPI, place: Place::Tcp(49_668), addr: Some(HOST) },
                        Tower { interface: DRSUAPI, place: Place::Http(49_669), addr: Some(HOST) },
                        Tower { interface: SVCCTL, place: Place::Udp(49_670), addr: Some([0; 4]) },
                    ];
                    assert_eq!(answer.towers, wanted[..count]);
                }
            }
        }
    }

    #[test]
    fn a_tcp_tower_has_the_length_that_servers_send() {
        assert_eq!(craft::tower(DRSUAPI, floor::TCP, 49_668, HOST).len(), 75);
    }

    #[test]
    fn requests_tell_what_is_asked_for() {
        for layout in LAYOUTS {
            let tower = craft::tower(DRSUAPI, floor::TCP, 0, [0; 4]);
            for continued in [false, true] {
                let stub = craft::map_request(layout, &tower, continued);
                let tower = Tower { interface: DRSUAPI, place: Place::Tcp(0), addr: Some([0; 4]) };
                assert_eq!(question(true, &stub, layout), Some(Question { tower, continued }));
                assert_eq!(question(false, &stub, layout), Some(Question { tower, continued: false }));
            }
        }
    }

    #[test]
    fn a_cut_reply_gives_the_towers_before_the_cut_and_no_status() {
        for layout in LAYOUTS {
            let whole = craft::map_reply(layout, &three(), 0);
            for length in 0..whole.len() {
                let answer = answer(MAP, &whole[..length], layout);
                assert_eq!(answer.status, None);
                assert!(answer.towers.len() <= 3 && answer.towers.iter().all(|tower| tower.place != Place::Other));
            }
        }
    }

    #[test]
    fn flipped_bits_neither_panic_nor_promise_more_than_is_read() {
        for layout in LAYOUTS {
            for (operation, whole) in [
                (MAP, craft::map_reply(layout, &three(), 0)),
                (Operation::Lookup, craft::lookup_reply(layout, &three(), 0)),
            ] {
                for bit in 0..whole.len() * 8 {
                    let mut wrong = whole.clone();
                    wrong[bit / 8] ^= 1 << (bit % 8);
                    assert!(answer(operation, &wrong, layout).towers.len() <= 3);
                    let _ = question(true, &wrong, layout);
                }
            }
        }
    }

    #[test]
    fn pipes_and_strange_floors_are_no_ports() {
        let mut pipe = craft::tower(SVCCTL, floor::PIPE, 0x5c00, HOST);
        assert_eq!(tower(&pipe).map(|tower| tower.place), Some(Place::Pipe));
        let at = pipe.len() - 16;
        assert_eq!(pipe[at + 2], floor::PIPE);
        pipe[at + 2] = 0x10;
        assert_eq!(tower(&pipe).map(|tower| tower.place), Some(Place::Other));
        // A port that is not two bytes long is none.
        let long = [&pipe[..at], &[1, 0, floor::TCP, 3, 0, 1, 2, 3, 1, 0, 9, 4, 0, 1, 2, 3, 4]].concat();
        assert_eq!(tower(&long).map(|tower| tower.place), Some(Place::Other));
        assert_eq!(tower(&pipe[..at]), None);
    }
}
