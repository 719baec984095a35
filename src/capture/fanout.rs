//! Joining rings on one interface, so that the kernel shares its frames among them by flow (packet(7), `PACKET_FANOUT`).
//!
//! The one place of this crate with unsafe code: no library that is kept well offers this socket option.

use std::io;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;

use nix::libc;

/// Joins a packet socket to a group. Both directions of a flow, and all fragments of a datagram, go to one member.
///
/// # Errors
/// What the kernel says: the socket is of no interface, or the group has 256 members.
#[expect(unsafe_code, reason = "setsockopt of an option that is one integer")]
pub(super) fn join(socket: &impl AsFd, group: u16) -> io::Result<()> {
    let how = libc::PACKET_FANOUT_HASH | libc::PACKET_FANOUT_FLAG_DEFRAG;
    let value = libc::c_int::from(group) | how.cast_signed() << 16;
    let len = libc::socklen_t::try_from(size_of_val(&value)).unwrap_or(0);
    let descriptor = socket.as_fd().as_raw_fd();
    // SAFETY: the descriptor is open as long as `socket` is borrowed; the pointer is to `len` bytes that live until the
    // call returns, and the kernel only reads them.
    let answer =
        unsafe { libc::setsockopt(descriptor, libc::SOL_PACKET, libc::PACKET_FANOUT, (&raw const value).cast(), len) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
