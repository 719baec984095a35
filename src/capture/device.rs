//! A network interface, read through libpcap: frames in batches, exact counts of what was lost, and what became of the link.
//!
//! A ring is one libpcap handle. Several rings on one interface share its frames (`PACKET_FANOUT`), so that each can be read
//! by a thread of its own. A socket that shares cannot be bound to another interface any more, so that the first of these
//! rings keeps a second handle in reserve: it takes all frames once the interface was replaced. Reading never blocks; who
//! has nothing to do asks [`wait`]. This page must never know what a frame means.

use std::fs;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use nix::poll::PollFd;
use nix::poll::PollFlags;
use nix::poll::PollTimeout;
use nix::poll::poll;
use pcap::Active;
use pcap::Capture;
use pcap::Linktype;
use pcap::Precision;

use crate::capture::batch::Frame;
use crate::capture::batch::FrameBatch;
use crate::capture::batch::LinkType;
use crate::capture::error::CaptureError;
use crate::capture::socket;
use crate::capture::socket::Identity;
use crate::model::ids::FrameId;
use crate::model::time::Timestamp;

/// The kernel hands over what it has collected after this time at the latest.
pub const BLOCK_WAIT: Duration = Duration::from_millis(50);

/// libpcap's name for all interfaces together.
pub const ALL: &str = "any";

/// `LINKTYPE_LINUX_SLL2`.
const LINUX_SLL2: Linktype = Linktype(276);

/// What frames of 64 bytes take of a ring in a second where 10 Gbit/s come: 14.88 million of them, 144 bytes each.
const RING_BYTES_PER_SECOND: u64 = 14_880_000 * 144;

/// The longest that a ring is left alone: who waits for older frames of another ring counts on less than 30 ms.
pub const REST_MAX: Duration = Duration::from_millis(10);

/// The most frames that are read at once. What they take stays with the reader, so that after a halt of the machine, when
/// many wait, it must not be many.
pub const READ_MAX: usize = 512;

/// Looks at the handle in reserve before it is used: the first may tell only that its interface is gone.
const RESERVE_READS: usize = 2;

/// How to read interfaces.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// Bytes of each frame that are captured.
    pub snaplen: u32,
    /// Bytes of memory for frames that wait to be read, for each ring.
    pub buffer: u32,
    /// Whether frames for other hosts are wanted too.
    pub promiscuous: bool,
    /// Hand over each frame at once instead of many together; costs more for each.
    pub immediate: bool,
    /// A tcpdump expression; frames that do not match never leave the kernel.
    pub filter: Option<String>,
}

/// An interface that could be watched.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listed {
    /// Its name, for `-i`.
    pub name: String,
    /// What the system says of it.
    pub description: Option<String>,
    /// Its addresses.
    pub addresses: Vec<String>,
    /// Whether it is up.
    pub up: bool,
    /// Whether it has a carrier.
    pub running: bool,
}

/// The interfaces that libpcap knows, in its order: those that are up and carry traffic first. Of the devices that it knows
/// beside, such as queues of netfilter, there are no frames here.
///
/// # Errors
/// [`CaptureError::Device`] with libpcap's words.
pub fn list() -> Result<Vec<Listed>, CaptureError> {
    let all = pcap::Device::list().map_err(|error| failed("any interface", &error))?;
    let listed = |device: pcap::Device| Listed {
        up: device.flags.is_up(),
        running: device.flags.is_running(),
        addresses: device.addresses.iter().map(|address| address.addr.to_string()).collect(),
        description: device.desc,
        name: device.name,
    };
    Ok(all.into_iter().filter(|device| is_there(&device.name)).map(listed).collect())
}

/// The interface that is meant: its name, or its number in [`list`], from 1.
///
/// # Errors
/// [`CaptureError::Device`] if there is none.
pub fn find(wanted: &str) -> Result<String, CaptureError> {
    if is_there(wanted) {
        return Ok(wanted.to_owned());
    }
    let place = wanted.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
    let numbered = place.and_then(|place| list().ok()?.into_iter().nth(place));
    let none = || CaptureError::Device { name: wanted.to_owned(), message: "there is no such interface".into() };
    numbered.map(|listed| listed.name).ok_or_else(none)
}

fn is_there(name: &str) -> bool {
    name == ALL || if_nametoindex(name).is_ok()
}

/// Frames of one ring, since it was first opened. What came is what was read, what was lost and what still waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RingCounts {
    /// Frames that the kernel took for this ring: they match the filter.
    pub received: u64,
    /// Frames that were read.
    pub read: u64,
    /// Bytes of these on the wire.
    pub bytes: u64,
    /// Frames for which the ring had no room.
    pub dropped_by_kernel: u64,
    /// Frames that the interface itself had no room for.
    pub dropped_by_interface: u64,
    /// Of those read, how many the snaplen cut.
    pub cut: u64,
    /// Of those read, how many were earlier than the one before them.
    pub out_of_order: u64,
}

impl RingCounts {
    /// Frames that wait in the ring.
    pub fn waiting(&self) -> u64 {
        self.received.saturating_sub(self.dropped_by_kernel).saturating_sub(self.read)
    }

    /// Adds another ring's counts.
    pub fn add(&mut self, other: &Self) {
        self.received += other.received;
        self.read += other.read;
        self.bytes += other.bytes;
        self.dropped_by_kernel += other.dropped_by_kernel;
        self.dropped_by_interface += other.dropped_by_interface;
        self.cut += other.cut;
        self.out_of_order += other.out_of_order;
    }
}

/// What became of the interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LinkState {
    /// Frames can come.
    Up,
    /// It is there and switched off, or has no carrier.
    Down,
    /// There is no such interface any more.
    Gone,
}

impl LinkState {
    /// The word for people and events.
    pub fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
            Self::Gone => "gone",
        }
    }
}

/// How several rings share the frames of one interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Share {
    /// It begins their group, and takes all frames once the interface was replaced.
    First,
    /// It joins the [`group`](Ring::group) of the first, and has no frames once the interface was replaced.
    Joins(u16),
}

/// One handle on an interface.
pub struct Ring {
    name: String,
    options: Options,
    /// How it shares its interface's frames.
    share: Option<Share>,
    /// The number of the group that it began or joined.
    group: Option<u16>,
    input: u16,
    link: LinkType,
    handle: Option<Capture<Active>>,
    /// What it goes on with if its interface is replaced: a handle that shares no frames, and gets none until then.
    reserve: Option<Capture<Active>>,
    /// It shared an interface that was replaced, and another ring has the frames of the one that came after it: so many
    /// of its own still waited then.
    bequeathed: Option<u64>,
    /// The interface that the handle is bound to; nothing for the device of all.
    bound: Option<Identity>,
    /// The interface that it was bound to is there no more.
    lost: bool,
    /// What libpcap counted when it was last asked; it counts in 32 bits.
    told: [u32; 3],
    counts: RingCounts,
    newest: Timestamp,
    /// What the interface had carried when it was last asked, and what it carried since it was opened.
    carried: (u64, u64),
}

impl Ring {
    /// Opens an interface, as input number `input` of the run.
    ///
    /// # Errors
    /// [`CaptureError::Device`], and [`CaptureError::Filter`] for an expression that libpcap does not understand.
    pub fn open(name: &str, input: u16, share: Option<Share>, options: &Options) -> Result<Self, CaptureError> {
        let mut ring = Self {
            name: name.to_owned(),
            options: options.clone(),
            share,
            group: None,
            input,
            link: LinkType(1),
            handle: None,
            reserve: None,
            bequeathed: None,
            bound: None,
            lost: false,
            told: [0; 3],
            counts: RingCounts::default(),
            newest: Timestamp::default(),
            carried: (0, 0),
        };
        ring.open_handle()?;
        if share == Some(Share::First)
            && let Some(bound) = ring.bound
        {
            let reserve = ring.activate()?;
            socket::rest(&reserve, bound).map_err(|error| CaptureError::Device {
                name: name.to_owned(),
                message: format!("nothing can be held in reserve for it: {error}"),
            })?;
            ring.reserve = Some(reserve);
        }
        Ok(ring)
    }

    /// The interface's name.
    pub fn interface(&self) -> &str {
        &self.name
    }

    /// The interface's name, and which of its rings this is where it has several.
    pub fn name(&self) -> String {
        match self.share {
            Some(_) => format!("{}#{}", self.name, self.input),
            None => self.name.clone(),
        }
    }

    /// Bytes of each frame that are captured.
    pub fn snaplen(&self) -> u32 {
        self.options.snaplen
    }

    /// The link type of its frames.
    pub fn link(&self) -> LinkType {
        self.link
    }

    /// The number that its frames name as their input.
    pub fn input(&self) -> u16 {
        self.input
    }

    /// The number of the group that shares its interface's frames, in the network namespace.
    pub fn group(&self) -> Option<u16> {
        self.group
    }

    /// Goes on with the interface that has the name now, after another one was gone. Counting goes on.
    ///
    /// The socket that is open already is bound to it, or the one in reserve, which takes no right. Where that cannot be,
    /// because frames begin otherwise now, the interface is opened anew, and that takes one.
    ///
    /// # Errors
    /// As [`Ring::open`].
    pub fn reopen(&mut self) -> Result<(), CaptureError> {
        if let (Some(before), Some(now)) = (self.bound, self.now_bound())
            && before.is_like(now)
            && (self.bind_again(now) || self.inherit(now) || self.bequeath())
        {
            self.carried.0 = carried(&self.name).unwrap_or(0);
            (self.bound, self.lost) = (Some(now), false);
            return Ok(());
        }
        self.open_handle()
    }

    fn bind_again(&self, now: Identity) -> bool {
        let handle = self.handle.as_ref();
        handle.is_some_and(|handle| socket::bind_again(handle, now, self.options.promiscuous).is_ok())
    }

    /// Goes on with the handle in reserve. What the other one still held is lost.
    fn inherit(&mut self, now: Identity) -> bool {
        let Some(mut reserve) = self.reserve.take() else { return false };
        // What came before it rested was read by others; that its interface is gone is known.
        for _ in 0..RESERVE_READS {
            while reserve.dispatch(Some(READ_MAX), |_| ()).is_ok_and(|read| read > 0) {}
        }
        self.counts.dropped_by_kernel += self.count().waiting();
        self.told = told(&mut reserve);
        let bound = socket::bind_again(&reserve, now, self.options.promiscuous).is_ok();
        if bound {
            self.handle = Some(reserve);
        }
        bound
    }

    /// Leaves the frames to the one that inherits. The interface may live on under another name: what comes of it from
    /// now on is nobody's.
    fn bequeath(&mut self) -> bool {
        if self.bequeathed.is_none() && matches!(self.share, Some(Share::Joins(_))) {
            self.bequeathed = Some(self.count().waiting());
        }
        self.bequeathed.is_some()
    }

    /// Whether another ring has its frames, since the interface that they shared was replaced.
    pub fn is_bequeathed(&self) -> bool {
        self.bequeathed.is_some()
    }

    /// Whether [`Ring::reopen`] would lose what waits.
    pub fn still_holds(&mut self) -> bool {
        self.reserve.is_some() && self.count().waiting() > 0
    }

    /// A handle on the interface, with its filter.
    fn activate(&self) -> Result<Capture<Active>, CaptureError> {
        let options = &self.options;
        let bytes = |value: u32| i32::try_from(value).unwrap_or(i32::MAX);
        let opened = Capture::from_device(self.name.as_str()).and_then(|inactive| {
            inactive
                .snaplen(bytes(options.snaplen))
                .buffer_size(bytes(options.buffer))
                .promisc(options.promiscuous)
                .immediate_mode(options.immediate)
                .timeout(i32::try_from(BLOCK_WAIT.as_millis()).unwrap_or(1))
                // Linux has them on every interface.
                .precision(Precision::Nano)
                .open()
        });
        let mut handle = opened.map_err(|error| failed(&self.name, &error))?;
        if self.name == ALL {
            // The newer header is the first choice; an older libpcap has only the other.
            handle.set_datalink(LINUX_SLL2).ok();
        }
        if let Some(expression) = &options.filter {
            handle
                .filter(expression, true)
                .map_err(|error| CaptureError::Filter { expression: expression.clone(), message: words_of(&error) })?;
        }
        handle.setnonblock().map_err(|error| failed(&self.name, &error))
    }

    fn open_handle(&mut self) -> Result<(), CaptureError> {
        let mut handle = self.activate()?;
        if let Some(share) = self.share {
            let group = match share {
                Share::First => socket::begin_group(&handle),
                Share::Joins(group) => socket::join(&handle, group).map(|()| group),
            };
            self.group = Some(group.map_err(|error| CaptureError::Device {
                name: self.name.clone(),
                message: format!("its frames cannot be shared among threads: {error}"),
            })?);
        }
        self.link = LinkType::of_dlt(handle.get_datalink().0);
        // What waits in the ring before goes with it.
        self.counts.dropped_by_kernel += self.count().waiting();
        // What the interface had dropped before is not ours, nor what came before there was a filter.
        let [received, dropped, if_dropped] = told(&mut handle);
        self.told = if self.options.filter.is_some() { [received, dropped, if_dropped] } else { [0, 0, if_dropped] };
        self.carried.0 = carried(&self.name).unwrap_or(0);
        self.handle = Some(handle);
        (self.bound, self.lost) = (self.now_bound(), false);
        Ok(())
    }

    /// Adds the frames that are there to a batch, at most so many, and at most [`READ_MAX`]; how many.
    ///
    /// # Errors
    /// The interface is gone, with libpcap's words. What waits in the ring can be read all the same.
    pub fn read(&mut self, batch: &mut FrameBatch, most: usize) -> Result<usize, CaptureError> {
        let most = self.bequeathed.map_or(most, |left| most.min(usize::try_from(left).unwrap_or(usize::MAX)));
        let Some(handle) = &mut self.handle else { return Ok(0) };
        let (input, link, counts, newest) = (self.input, self.link, &mut self.counts, &mut self.newest);
        let FrameBatch { arena, frames } = batch;
        let read = handle.dispatch(Some(most.min(READ_MAX)), |packet| {
            let header = packet.header;
            let captured = u32::try_from(packet.data.len()).unwrap_or(u32::MAX);
            let ts = timestamp(header);
            counts.read += 1;
            counts.bytes += u64::from(header.len);
            counts.cut += u64::from(captured < header.len);
            counts.out_of_order += u64::from(ts < *newest);
            *newest = ts.max(*newest);
            let at = u32::try_from(arena.len()).unwrap_or(u32::MAX);
            arena.extend_from_slice(packet.data);
            let id = FrameId::new(input, counts.read);
            frames.push(Frame { id, ts, at, captured, wire_len: header.len, link });
        });
        match read {
            Ok(read) => {
                self.bequeathed = self.bequeathed.map(|left| left.saturating_sub(read as u64));
                Ok(read)
            }
            // That its interface is gone is said of the ring that inherits.
            Err(_) if self.bequeathed.is_some() => Ok(0),
            read => read.map_err(|error| {
                self.lost = true;
                failed(&self.name, &error)
            }),
        }
    }

    /// How long it may be left alone after the kernel said that there are frames, so that more of them are read at once:
    /// until a quarter of it is full at worst, and [`REST_MAX`] at most. To wake for every block of the kernel costs as much
    /// as reading it.
    pub fn rest(&self) -> Duration {
        rest(&self.options)
    }

    /// Whether its interface was there when last read.
    pub fn is_open(&self) -> bool {
        !self.lost
    }

    /// Whether its interface went away, and not merely down: the name is another one's now, or nobody's.
    pub fn is_gone(&self) -> bool {
        self.bound.is_some() && self.now_bound() != self.bound
    }

    /// Which interface has the name now.
    fn now_bound(&self) -> Option<Identity> {
        socket::identity(self.handle.as_ref()?, &self.name)
    }

    /// What was counted until now.
    pub fn count(&mut self) -> RingCounts {
        if self.bequeathed.is_none()
            && let Some(handle) = &mut self.handle
            && let Ok(stats) = handle.stats()
        {
            let now = [stats.received, stats.dropped, stats.if_dropped];
            // They count on from where 32 bits end. What the interface counts is lost where it is replaced.
            let [received, kernel, interface] = [0, 1, 2].map(|place: usize| {
                let more = now[place].wrapping_sub(self.told[place]);
                if more > u32::MAX / 2 { 0 } else { u64::from(more) }
            });
            self.told = now;
            self.counts.received += received;
            self.counts.dropped_by_kernel += kernel;
            self.counts.dropped_by_interface += interface;
        }
        self.counts
    }

    /// Frames in and out that the interface counted since it was opened, where a filter hides some of them.
    pub fn carried(&mut self) -> Option<u64> {
        self.options.filter.as_ref()?;
        let (before, sum) = self.carried;
        // One that was replaced counts from zero.
        let now = carried(&self.name).unwrap_or(0);
        self.carried = (now, sum + now.saturating_sub(before));
        Some(self.carried.1)
    }

    /// What the system says of the interface now.
    pub fn link_state(&self) -> LinkState {
        // Some devices of libpcap are no interfaces of the kernel, and always there.
        if self.name == ALL {
            return LinkState::Up;
        }
        match self.handle.as_ref().and_then(|handle| socket::carries(handle, &self.name)) {
            None => LinkState::Gone,
            Some(true) => LinkState::Up,
            Some(false) => LinkState::Down,
        }
    }
}

fn rest(options: &Options) -> Duration {
    let full = Duration::from_nanos(u64::from(options.buffer) * 1_000_000_000 / RING_BYTES_PER_SECOND);
    // A sleep may take a tenth of a millisecond longer than it was asked for.
    let rest = (full / 4).min(REST_MAX);
    if options.immediate || rest < Duration::from_millis(1) { Duration::ZERO } else { rest }
}

/// What waiting for frames came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Waited {
    /// A ring has something to read.
    Ready,
    /// None has.
    Silent,
    /// An interface reported an error: it went down or away.
    Erred,
}

/// Waits until a ring has something to read, at most so long.
pub fn wait<'r>(rings: impl Iterator<Item = &'r Ring>, at_most: Duration) -> Waited {
    let timeout = PollTimeout::try_from(at_most).unwrap_or(PollTimeout::ZERO);
    let handles = rings.filter(|ring| ring.bequeathed != Some(0)).filter_map(|ring| ring.handle.as_ref());
    let mut waiting: Vec<PollFd<'_>> = handles.map(|handle| PollFd::new(handle.as_fd(), PollFlags::POLLIN)).collect();
    match poll(&mut waiting, timeout) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(_) => std::thread::sleep(at_most),
    }
    let erred = |events: PollFlags| events.intersects(PollFlags::POLLERR | PollFlags::POLLHUP | PollFlags::POLLNVAL);
    let any = |is: fn(PollFlags) -> bool| waiting.iter().any(|one| one.revents().is_some_and(is));
    if any(erred) {
        Waited::Erred
    } else if any(|events| events.contains(PollFlags::POLLIN)) {
        Waited::Ready
    } else {
        Waited::Silent
    }
}

/// What libpcap counted: received, dropped by the kernel, dropped by the interface.
fn told(handle: &mut Capture<Active>) -> [u32; 3] {
    handle.stats().map_or([0; 3], |stats| [stats.received, stats.dropped, stats.if_dropped])
}

/// Frames in and out, by the interface's own count.
fn carried(name: &str) -> Option<u64> {
    let count = |which: &str| -> Option<u64> {
        let text = fs::read_to_string(format!("/sys/class/net/{name}/statistics/{which}")).ok()?;
        text.trim().parse().ok()
    };
    Some(count("rx_packets")? + count("tx_packets")?)
}

/// Seconds and, as it was asked for, nanoseconds.
fn timestamp(header: &pcap::PacketHeader) -> Timestamp {
    let part = |value: i64| u64::try_from(value).unwrap_or(0);
    Timestamp(part(header.ts.tv_sec).saturating_mul(1_000_000_000).saturating_add(part(header.ts.tv_usec)))
}

fn failed(name: &str, error: &pcap::Error) -> CaptureError {
    CaptureError::Device { name: name.to_owned(), message: words_of(error) }
}

fn words_of(error: &pcap::Error) -> String {
    match error {
        pcap::Error::PcapError(message) => message.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_is_left_alone_for_a_quarter_of_what_it_holds_or_not_at_all() {
        let rest_of = |buffer, immediate| {
            rest(&Options { buffer, immediate, snaplen: 2048, promiscuous: true, filter: None }).as_micros()
        };
        assert_eq!([64 << 10, 1 << 20, 8 << 20].map(|buffer| rest_of(buffer, false)), [0, 0, 0]);
        assert_eq!([16 << 20, 64 << 20].map(|buffer| rest_of(buffer, false)), [1_957, 7_829]);
        assert_eq!([128 << 20, 2047 << 20].map(|buffer| rest_of(buffer, false)), [10_000; 2]);
        assert_eq!(rest_of(64 << 20, true), 0);
    }
}
