//! What libpcap does not do with its packet sockets (packet(7), netdevice(7)): sharing an interface's frames by flow,
//! asking how an interface is, and going on with one that was replaced.
//!
//! The kernel is asked by these calls, and not through netlink or /sys: the first waits for whoever changes interfaces,
//! while frames are lost, and the second may show another network namespace. The one place of this crate with unsafe code: no library that is kept well offers these calls.

use std::io;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;

use nix::libc;

/// Which interface has a name: another one of the same name has another number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Identity {
    number: libc::c_int,
    /// `ARPHRD_`: what its frames begin with.
    kind: libc::sa_family_t,
}

impl Identity {
    /// Whether frames of both begin in the same way.
    pub(super) fn is_like(self, other: Self) -> bool {
        self.kind == other.kind
    }
}

/// How a group shares frames: both directions of a flow, and all fragments of a datagram, go to one member.
const SHARING: libc::c_uint = libc::PACKET_FANOUT_HASH | libc::PACKET_FANOUT_FLAG_DEFRAG;

/// Begins a group of packet sockets that share frames (`PACKET_FANOUT`); its number. Numbers are of the whole network
/// namespace, so that the kernel must choose one: what another program chose by itself would be shared with it.
///
/// # Errors
/// What the kernel says: the socket is of no interface, or no number is free.
pub(super) fn begin_group(socket: &impl AsFd) -> io::Result<u16> {
    let how = SHARING | libc::PACKET_FANOUT_FLAG_UNIQUEID;
    set(socket, libc::PACKET_FANOUT, &(how.cast_signed() << 16))?;
    // The number is in the lower half.
    let [low, high, ..] = get(socket, libc::PACKET_FANOUT)?.to_le_bytes();
    Ok(u16::from_le_bytes([low, high]))
}

/// Joins a packet socket to a group.
///
/// # Errors
/// What the kernel says: the socket is of another interface, or the group has 256 members.
pub(super) fn join(socket: &impl AsFd, group: u16) -> io::Result<()> {
    set(socket, libc::PACKET_FANOUT, &(libc::c_int::from(group) | SHARING.cast_signed() << 16))
}

/// Binds a packet socket to another interface. It keeps its ring, its filter and its counts, and needs none of the
/// rights that opening one needs; a socket that shares its frames cannot be bound again.
///
/// # Errors
/// What the kernel says: there is no such interface, or the socket shares its frames.
pub(super) fn bind_again(socket: &impl AsFd, interface: Identity, promiscuous: bool) -> io::Result<()> {
    bind(socket, interface, libc::ETH_P_ALL)?;
    if promiscuous {
        let member = libc::packet_mreq {
            mr_ifindex: interface.number,
            mr_type: u16::try_from(libc::PACKET_MR_PROMISC).unwrap_or_default(),
            mr_alen: 0,
            mr_address: [0; 8],
        };
        set(socket, libc::PACKET_ADD_MEMBERSHIP, &member)?;
    }
    Ok(())
}

/// Lets no frame come to a packet socket until it is bound again: it asks for a type that the kernel uses inside and
/// gives to no frame that it receives.
///
/// # Errors
/// What the kernel says.
pub(super) fn rest(socket: &impl AsFd, interface: Identity) -> io::Result<()> {
    bind(socket, interface, libc::ETH_P_SNAP)
}

/// Binds a packet socket to an interface, for frames of a type.
#[expect(unsafe_code, reason = "bind to an address that nix makes from raw memory only")]
fn bind(socket: &impl AsFd, interface: Identity, of_type: libc::c_int) -> io::Result<()> {
    let address = libc::sockaddr_ll {
        sll_family: libc::sa_family_t::try_from(libc::AF_PACKET).unwrap_or_default(),
        sll_protocol: u16::try_from(of_type).unwrap_or_default().to_be(),
        sll_ifindex: interface.number,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let len = libc::socklen_t::try_from(size_of_val(&address)).unwrap_or(0);
    let descriptor = socket.as_fd().as_raw_fd();
    // SAFETY: the descriptor is open as long as `socket` is borrowed; the pointer is to `len` bytes that live until the
    // call returns, and the kernel only reads them.
    let answer = unsafe { libc::bind(descriptor, (&raw const address).cast(), len) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Which interface has this name, if there is one.
#[expect(unsafe_code, reason = "the answer is in a union")]
pub(super) fn identity(socket: &impl AsFd, name: &str) -> Option<Identity> {
    let (number, kind) = (ask(socket, name, libc::SIOCGIFINDEX)?, ask(socket, name, libc::SIOCGIFHWADDR)?);
    // SAFETY: that is what the kernel answers to these questions, in a union that was all set before.
    Some(unsafe { Identity { number: number.ifru_ifindex, kind: kind.ifru_hwaddr.sa_family } })
}

/// Whether the interface of this name is up and has a carrier, if there is one.
#[expect(unsafe_code, reason = "the answer is in a union")]
pub(super) fn carries(socket: &impl AsFd, name: &str) -> Option<bool> {
    let answer = ask(socket, name, libc::SIOCGIFFLAGS)?;
    // SAFETY: as above.
    let flags = libc::c_int::from(unsafe { answer.ifru_flags });
    let both = libc::IFF_UP | libc::IFF_RUNNING;
    Some(flags & both == both)
}

/// Asks the kernel something of an interface; nothing if there is none of that name.
#[expect(unsafe_code, reason = "ioctl of questions that nix does not know")]
fn ask(socket: &impl AsFd, name: &str, what: libc::Ioctl) -> Option<libc::__c_anonymous_ifr_ifru> {
    let empty = libc::__c_anonymous_ifru_map { mem_start: 0, mem_end: 0, base_addr: 0, irq: 0, dma: 0, port: 0 };
    let mut question =
        libc::ifreq { ifr_name: [0; libc::IFNAMSIZ], ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_map: empty } };
    // The last byte ends the name.
    let (place, _) = question.ifr_name.split_last_chunk_mut::<1>()?;
    if name.len() > place.len() {
        return None;
    }
    for (to, from) in place.iter_mut().zip(name.bytes()) {
        *to = libc::c_char::from_ne_bytes([from]);
    }
    let descriptor = socket.as_fd().as_raw_fd();
    // SAFETY: the descriptor is open as long as `socket` is borrowed; the kernel reads and writes no more than the
    // structure, which lives until the call returns.
    let answer = unsafe { libc::ioctl(descriptor, what, &raw mut question) };
    (answer == 0).then_some(question.ifr_ifru)
}

/// An option of packet sockets.
#[expect(unsafe_code, reason = "setsockopt of options that nix does not know")]
fn set<T>(socket: &impl AsFd, option: libc::c_int, value: &T) -> io::Result<()> {
    let len = libc::socklen_t::try_from(size_of_val(value)).unwrap_or(0);
    let descriptor = socket.as_fd().as_raw_fd();
    // SAFETY: as above; `T` is an integer or a structure of the kernel's without padding.
    let answer =
        unsafe { libc::setsockopt(descriptor, libc::SOL_PACKET, option, std::ptr::from_ref(value).cast(), len) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// What an option of packet sockets is set to.
#[expect(unsafe_code, reason = "getsockopt of options that nix does not know")]
fn get(socket: &impl AsFd, option: libc::c_int) -> io::Result<libc::c_int> {
    let mut value: libc::c_int = 0;
    let mut len = libc::socklen_t::try_from(size_of_val(&value)).unwrap_or(0);
    let descriptor = socket.as_fd().as_raw_fd();
    // SAFETY: as above; the kernel writes no more than `len` bytes of `value`, and the length itself.
    let answer =
        unsafe { libc::getsockopt(descriptor, libc::SOL_PACKET, option, (&raw mut value).cast(), &raw mut len) };
    if answer == 0 { Ok(value) } else { Err(io::Error::last_os_error()) }
}
