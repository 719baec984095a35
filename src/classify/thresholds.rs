//! Every number of the judgement, in one place, each with its reason. SEMANTICS section 1 proposes them.

use std::time::Duration;

/// The least time after the last SYN before silence counts. Windows waits 3 s before its first repeat by its
/// documentation, newer systems 1 s.
pub const SYN_WAIT_MIN: Duration = Duration::from_secs(3);

/// While a capture runs nobody is waited for longer after a SYN: Windows gives up after 21 s in all.
pub const SYN_WAIT_RUNNING: Duration = Duration::from_secs(30);

/// SYNs (the first included) after which silence is no accident.
pub const SYN_TRIES_SURE: u16 = 3;

/// A gap between SYNs longer than this says that earlier ones may lie before the capture.
pub const SYN_SERIES_GAP_MS: u32 = 3_000;

/// Timers of a SYN start at a second (RFC 6298 section 2) and grow. What comes again sooner, and as soon again, may be what
/// Windows does after a refusal, each half second.
pub const SYN_HASTY_MS: u32 = 900;

/// A capture whose TCP is nothing but SYNs left out what answered them, if at so many ports of servers or more, and at nine of
/// ten, no client repeats one.
pub const SYNS_ALONE: usize = 6;

/// Attempts that are looked at for that, the first of the capture.
pub const SYNS_ALONE_OF: usize = 4_096;

/// A client or service with more attempts than this a second scans or is flooded; more requests in all, the same.
pub const CROWDED_PER_SECOND: u64 = 10;

/// As long as this at least.
pub const CROWDED_FOR: Duration = Duration::from_secs(10);

/// A capture in which so many flows were answered, and none went on after that, left out what came then.
pub const ANSWERS_ALONE: u64 = 3;

/// So many clients or more asked over UDP, and no answer of anybody: none was captured.
pub const REQUESTS_ALONE: usize = 3;

/// How long a client asks the same again: resolvers and Kerberos give up sooner. What goes on for longer are new questions.
pub const ASKS_AGAIN: Duration = Duration::from_secs(20);

/// How long after an attempt in clear the same hosts may begin to speak in `IPsec`: IKE repeats for as long.
pub const IPSEC_FOLLOWS: Duration = Duration::from_secs(30);

/// Routers that lie between two points whose mirrors show the same packets: so much may times to live differ by that.
pub const COPY_HOPS: u8 = 3;

/// Routers limit how often they send ICMP errors; one this much earlier, for the same target and port, still speaks.
pub const ICMP_INHERIT: Duration = Duration::from_secs(10);

/// Repeats of data without any answer after which an established connection counts as stalled.
pub const STALL_REPEATS: u8 = 3;

/// How long nothing may have come from the server of a stalled connection: fast repeats alone prove nothing.
pub const STALL_SILENCE: Duration = Duration::from_secs(3);

/// How long after the server's last packet the client repeats its data at least: three timeouts of its own are longer.
pub const STALL_SPAN: Duration = Duration::from_secs(1);

/// A SYN captured with a time to live of at most this is a traceroute's probe: systems begin with 64, 128 or 255.
pub const PROBE_TTL_MAX: u8 = 32;

/// Packets and flows that a time-to-live baseline needs.
pub const BASELINE_PACKETS: u64 = 3;
/// See [`BASELINE_PACKETS`].
pub const BASELINE_FLOWS: u64 = 2;

/// Lost packets up to this share leave a verdict probable, more only possible.
pub const LOSS_PROBABLE_SHARE: f64 = 0.01;

/// Share of frames whose headers could not be read above which a run that finds nothing proves nothing.
pub const UNREAD_SHARE: f64 = 0.01;

/// Share of flows given up for lack of room above which a run that finds nothing proves nothing.
pub const GIVEN_UP_SHARE: f64 = 0.01;

/// One-way flows above this share mean that the capture sees one direction only.
pub const ASYMMETRIC_SHARE: f64 = 0.30;

/// Requests after which silence of a request-reply protocol counts.
pub const REQUEST_TRIES: u64 = 2;

/// An unanswered request that works over TCP this soon is a fallback.
pub const FALLBACK_WAIT: Duration = Duration::from_secs(10);

/// A server that answered another request of the same client so shortly before can be reached.
pub const ANSWERED_JUST_BEFORE: Duration = Duration::from_secs(2);

/// So long after a flow showed that a way back is not captured, others may still take it.
pub const ONE_WAY_LASTS: Duration = Duration::from_secs(60);

/// More tries than this without any answer are a stream, no request.
pub const REQUEST_TRIES_MAX: u64 = 32;

/// Distinct clients that a host answers before it can no more be taken for a mere client itself.
pub const CLIENTS_OF_A_SERVER: usize = 3;

/// Echo requests after which silence is worth a word.
pub const ECHO_TRIES: u64 = 3;

/// How long the last of them must have waited: Windows gives a reply 4 s.
pub const ECHO_WAIT: Duration = Duration::from_secs(4);

/// Distinct failing ports of one target, or failing targets on one port, that make a scan.
pub const SCAN_DISTINCT: usize = 25;

/// Distinct failing ports of whatever targets that do. A site whose uplink fails may well show some hundred.
pub const SCAN_DISTINCT_ANYWHERE: usize = 1_000;

/// Within this time.
pub const SCAN_WINDOW: Duration = Duration::from_secs(60);

/// At least this share of the tries must fail, in percent.
pub const SCAN_FAILING_PERCENT: u64 = 80;

/// Half-open connections of one service within a second that make a flood.
pub const FLOOD_PER_SECOND: usize = 200;

/// At most this share of the connections of a flooded service is completed, in percent.
pub const FLOOD_COMPLETED_PERCENT: u64 = 10;
