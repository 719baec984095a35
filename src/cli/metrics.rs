//! Numbers for Prometheus: a page that says how the watch is doing, at `/metrics`.
//!
//! Labels are interfaces as the person named them and words of the rules and of this program. Nothing from the wire
//! becomes a label: no address, no name, no port. Counters never fall, though a flow may be judged anew.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::io::Read;
use std::io::Write;
use std::net::SocketAddr;
use std::net::TcpListener;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use crate::catalogue::Catalogue;
use crate::classify::judge::Judge;
use crate::classify::judged::Ruled;
use crate::classify::verdict::Outcome;
use crate::cli::exit::Stop;
use crate::report::facts::Health;
use crate::report::status::Status;

/// Who asks has so long for all of the question, and the answer may wait so long for each piece to be taken.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long nobody is listened to after one who asked could not be heard.
const REST: Duration = Duration::from_millis(100);

/// The most that a question may say.
const REQUEST_MAX: usize = 4096;

/// What services that no rule names are counted as: their ports come from the wire.
const OTHER: &str = "other";

/// Upper bounds of the times of handshakes, microseconds.
const BOUNDS_US: [u64; 10] = [100, 250, 500, 1_000, 2_500, 5_000, 10_000, 50_000, 250_000, 1_000_000];

/// The page and who serves it.
#[derive(Debug)]
pub struct Metrics {
    page: Arc<Mutex<String>>,
    /// What flows that are kept no more came to.
    past: Tally,
    /// What was shown last.
    shown: Tally,
}

/// Flows by service, standing and outcome; handshakes by service.
#[derive(Clone, Debug, Default)]
struct Tally {
    flows: BTreeMap<(String, &'static str, &'static str), u64>,
    handshakes: BTreeMap<String, Handshakes>,
    acked_unseen: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Handshakes {
    /// Up to each bound, and more.
    buckets: [u64; BOUNDS_US.len() + 1],
    sum_us: u64,
}

impl Tally {
    fn add(&mut self, flow: &Ruled<'_>, catalogue: &Catalogue) {
        if flow.outcome == Outcome::Pending {
            return;
        }
        let service = flow.service.map_or(OTHER, |id| catalogue.service(id).id.as_str());
        *self.flows.entry((service.to_owned(), flow.standing.name(), flow.outcome.name())).or_default() += 1;
        let us = u64::from(flow.sums.handshake_us);
        if us > 0 {
            let handshakes = self.handshakes.entry(service.to_owned()).or_default();
            let place = BOUNDS_US.partition_point(|bound| *bound < us);
            if let Some(bucket) = handshakes.buckets.get_mut(place) {
                *bucket += 1;
            }
            handshakes.sum_us += us;
        }
    }

    /// Never less than before.
    fn rise_to(&mut self, now: &Self) {
        self.acked_unseen = self.acked_unseen.max(now.acked_unseen);
        for (key, count) in &now.flows {
            let shown = self.flows.entry(key.clone()).or_default();
            *shown = (*shown).max(*count);
        }
        for (service, now) in &now.handshakes {
            let shown = self.handshakes.entry(service.clone()).or_default();
            shown.sum_us = shown.sum_us.max(now.sum_us);
            for (shown, now) in shown.buckets.iter_mut().zip(now.buckets) {
                *shown = (*shown).max(now);
            }
        }
    }
}

/// A place to serve at, which nobody serves yet: threads come after rights were given up.
#[derive(Debug)]
pub struct Bound(TcpListener);

impl Bound {
    /// Takes an address; a port alone is of this host only.
    ///
    /// # Errors
    /// [`Stop`] if it cannot be used.
    pub fn take(address: &str) -> Result<Self, Stop> {
        let bound = TcpListener::bind(place(address)?);
        bound.map(Self).map_err(|error| Stop::io(format!("cannot serve metrics at {address}: {error}")))
    }
}

impl Metrics {
    /// Begins to serve.
    ///
    /// # Errors
    /// [`Stop`] if there can be no thread.
    pub fn serve(bound: Bound) -> Result<Self, Stop> {
        // Who asks before anything was judged hears who it is.
        let page = Arc::new(Mutex::new(Page::begun().0));
        let listener = bound.0;
        let own = Arc::clone(&page);
        let answer = move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else {
                    // No descriptor is free, or whoever asked is gone already.
                    thread::sleep(REST);
                    continue;
                };
                let page = own.lock().unwrap_or_else(PoisonError::into_inner).clone();
                // Who does not listen gets no answer.
                reply(stream, &page).ok();
            }
        };
        thread::Builder::new().name("metrics".into()).spawn(answer).map_err(Stop::io)?;
        Ok(Self { page, past: Tally::default(), shown: Tally::default() })
    }

    /// Makes the page anew.
    pub fn update(&mut self, judge: &Judge<'_>, catalogue: &Catalogue, status: &Status, health: &Health) {
        let mut now = Tally { acked_unseen: status.acked_unseen, ..self.past.clone() };
        judge.rulings().for_each(|flow| now.add(&flow, catalogue));
        self.shown.rise_to(&now);
        let page = page(&self.shown, status, health);
        *self.page.lock().unwrap_or_else(PoisonError::into_inner) = page;
    }

    /// Remembers a flow that will be kept no more.
    pub fn pass(&mut self, flow: &Ruled<'_>, catalogue: &Catalogue) {
        self.past.add(flow, catalogue);
    }
}

fn place(address: &str) -> Result<SocketAddr, Stop> {
    let whole = if address.parse::<u16>().is_ok() { format!("127.0.0.1:{address}") } else { address.to_owned() };
    // An address only: no name is ever looked up.
    whole.parse().map_err(|_| Stop::usage(format!("\"{address}\" is no address: write it as 127.0.0.1:9477")))
}

/// Answers one question.
fn reply(mut stream: TcpStream, page: &str) -> io::Result<()> {
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut request = Vec::new();
    let mut piece = [0; 1024];
    let until = Instant::now() + PATIENCE;
    while !request.windows(4).any(|end| end == b"\r\n\r\n") && request.len() < REQUEST_MAX {
        // Whoever says one byte now and then must not keep others waiting.
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        stream.set_read_timeout(Some(left))?;
        let count = stream.read(&mut piece)?;
        if count == 0 {
            break;
        }
        request.extend_from_slice(piece.get(..count).unwrap_or_default());
    }
    let asks_head = request.starts_with(b"HEAD ");
    let (code, body) = if request.starts_with(b"GET /metrics") || request.starts_with(b"HEAD /metrics") {
        ("200 OK", page)
    } else {
        ("404 Not Found", "the numbers are at /metrics\n")
    };
    let head = format!(
        "HTTP/1.1 {code}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    if asks_head { Ok(()) } else { stream.write_all(body.as_bytes()) }
}

/// The page in Prometheus' text format 0.0.4.
fn page(tally: &Tally, status: &Status, health: &Health) -> String {
    let mut page = Page::begun();
    page.family("packets_received_total", "counter", "Frames that the kernel took from an interface.");
    for interface in &status.interfaces {
        page.line("packets_received_total", &[("interface", interface.name.as_str())], interface.received);
    }
    page.family("packets_dropped_total", "counter", "Frames lost or skipped, by where.");
    let frames = &status.frames;
    let stages = [
        ("kernel", frames.dropped_by_kernel),
        ("interface", frames.dropped_by_interface),
        ("queue", frames.dropped_by_queue),
        ("parse", health.skipped.values().sum()),
    ];
    for (stage, count) in stages {
        page.line("packets_dropped_total", &[("stage", stage)], count);
    }
    page.family("interface_up", "gauge", "Whether an interface can be watched.");
    for interface in &status.interfaces {
        page.line("interface_up", &[("interface", interface.name.as_str())], u64::from(interface.state == "up"));
    }
    // It stands still where the judge does: the page is made by whoever judged.
    let judged_until = status.judged_until.0.0 / 1_000_000_000;
    let plain = [
        ("judged_until_seconds", "gauge", "Time until which all was judged, since 1970.", judged_until),
        ("flows_active", "gauge", "Flows kept with all their detail.", status.flows_active),
        ("flows_pending", "gauge", "Flows that are too early to judge.", status.flows_pending),
        ("flows_evicted_total", "counter", "Flows given up for lack of room.", status.flows_evicted),
        ("flows_expired_total", "counter", "Silent flows that were added to the totals.", status.flows_expired),
        (
            "findings_not_kept",
            "gauge",
            "Findings that hold now and for which there is no room.",
            status.findings_not_kept,
        ),
        ("acked_unseen_total", "counter", "Acknowledgements of data that was not captured.", tally.acked_unseen),
        ("capture_asymmetric", "gauge", "Whether the mirror shows one direction only.", status.asymmetric.into()),
    ];
    for (name, kind, help, value) in plain {
        page.family(name, kind, help);
        page.line(name, &[], value);
    }
    page.family("capture_loss_ratio", "gauge", "Share of frames lost while flows are kept.");
    page.line("capture_loss_ratio", &[], status.lost_share);
    page.family("findings_open", "gauge", "Findings that hold now, by kind.");
    for (kind, count) in &status.findings {
        page.line("findings_open", &[("kind", kind)], *count);
    }
    page.family("flows_total", "counter", "Flows judged, by service, standing and outcome.");
    for ((service, standing, outcome), count) in &tally.flows {
        page.line("flows_total", &[("service", service), ("verdict", standing), ("state", outcome)], *count);
    }
    page.family("rtt_seconds", "histogram", "Times of TCP handshakes, by service.");
    for (service, handshakes) in &tally.handshakes {
        page.histogram(service, handshakes);
    }
    page.0
}

struct Page(String);

impl Page {
    /// With what is known before anything was seen.
    fn begun() -> Self {
        let mut page = Self(String::new());
        page.family("build_info", "gauge", "The version that runs.");
        page.line("build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
        page
    }

    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string cannot fail.
        write!(self.0, "# HELP portolan_{name} {help}\n# TYPE portolan_{name} {kind}\n").ok();
    }

    fn line(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let labels: Vec<String> = labels.iter().map(|(label, text)| format!("{label}=\"{}\"", quoted(text))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        writeln!(self.0, "portolan_{name}{labels} {value}").ok();
    }

    #[expect(clippy::cast_precision_loss, reason = "Prometheus has floating-point numbers only")]
    fn histogram(&mut self, service: &str, handshakes: &Handshakes) {
        let mut count = 0;
        for (bucket, bound) in handshakes.buckets.iter().zip(BOUNDS_US.map(Some).into_iter().chain([None])) {
            count += bucket;
            let bound = bound.map_or("+Inf".to_owned(), |us| (us as f64 / 1e6).to_string());
            self.line("rtt_seconds_bucket", &[("service", service), ("le", &bound)], count);
        }
        self.line("rtt_seconds_sum", &[("service", service)], handshakes.sum_us as f64 / 1e6);
        self.line("rtt_seconds_count", &[("service", service)], count);
    }
}

/// What may stand between the quotes of a label.
fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_quoted_and_counters_never_fall() {
        let mut page = Page(String::new());
        page.line("interface_up", &[("interface", "a\"b\\c\nd")], 1);
        assert_eq!(page.0, "portolan_interface_up{interface=\"a\\\"b\\\\c\\nd\"} 1\n");
        let key = || ("ldap".to_owned(), "expected", "open");
        let tally = |count| Tally { flows: [(key(), count)].into(), ..Tally::default() };
        let mut shown = tally(5);
        shown.rise_to(&tally(3));
        assert_eq!(shown.flows[&key()], 5);
        shown.rise_to(&tally(7));
        assert_eq!(shown.flows[&key()], 7);
    }

    #[test]
    fn a_histogram_adds_up() {
        let mut page = Page(String::new());
        let mut handshakes = Handshakes { sum_us: 2_000_150, ..Handshakes::default() };
        handshakes.buckets[0] = 1;
        handshakes.buckets[BOUNDS_US.len()] = 1;
        page.histogram("ldap", &handshakes);
        assert!(page.0.contains("rtt_seconds_bucket{service=\"ldap\",le=\"0.0001\"} 1\n"), "{}", page.0);
        assert!(page.0.contains("rtt_seconds_bucket{service=\"ldap\",le=\"1\"} 1\n"));
        assert!(page.0.contains("rtt_seconds_bucket{service=\"ldap\",le=\"+Inf\"} 2\n"));
        assert!(page.0.contains("rtt_seconds_sum{service=\"ldap\"} 2.00015\n"));
    }

    #[test]
    fn a_port_alone_is_of_this_host() {
        assert_eq!(place("9477").ok().map(|at| at.to_string()).as_deref(), Some("127.0.0.1:9477"));
        assert!(place("localhost:9477").is_err() && place("[::1]:9477").is_ok());
    }
}
