//! What libpcap does not do with its packet sockets (packet(7)): sharing an interface's frames by flow, and going on with
//! an interface that was replaced.
//!
//! The one place of this crate with unsafe code: no library that is kept well offers these calls.

use std::io;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;

use nix::libc;

/// Joins a packet socket to a group (`PACKET_FANOUT`). Both directions of a flow, and all fragments of a datagram, go to
/// one member.
///
/// # Errors
/// What the kernel says: the socket is of no interface, or the group has 256 members.
pub(super) fn join(socket: &impl AsFd, group: u16) -> io::Result<()> {
    let how = libc::PACKET_FANOUT_HASH | libc::PACKET_FANOUT_FLAG_DEFRAG;
    set(socket, libc::PACKET_FANOUT, &(libc::c_int::from(group) | how.cast_signed() << 16))
}

/// Binds a packet socket to another interface. It keeps its ring, its filter and its counts, and needs none of the
/// rights that opening one needs; a socket that shares its frames cannot be bound again.
///
/// # Errors
/// What the kernel says: there is no such interface, or the socket shares its frames.
#[expect(unsafe_code, reason = "bind to an address that nix makes from raw memory only")]
pub(super) fn bind_again(socket: &impl AsFd, interface: usize, promiscuous: bool) -> io::Result<()> {
    let interface = libc::c_int::try_from(interface).unwrap_or(0);
    let address = libc::sockaddr_ll {
        sll_family: libc::sa_family_t::try_from(libc::AF_PACKET).unwrap_or_default(),
        sll_protocol: u16::try_from(libc::ETH_P_ALL).unwrap_or_default().to_be(),
        sll_ifindex: interface,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let len = libc::socklen_t::try_from(size_of_val(&address)).unwrap_or(0);
    let descriptor = socket.as_fd().as_raw_fd();
    // SAFETY: the descriptor is open as long as `socket` is borrowed; the pointer is to `len` bytes that live until the
    // call returns, and the kernel only reads them.
    if unsafe { libc::bind(descriptor, (&raw const address).cast(), len) } != 0 {
        return Err(io::Error::last_os_error());
    }
    if promiscuous {
        let member = libc::packet_mreq {
            mr_ifindex: interface,
            mr_type: u16::try_from(libc::PACKET_MR_PROMISC).unwrap_or_default(),
            mr_alen: 0,
            mr_address: [0; 8],
        };
        set(socket, libc::PACKET_ADD_MEMBERSHIP, &member)?;
    }
    Ok(())
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
