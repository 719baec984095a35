//! What two captures of one path say together: where flows were lost, by host pair and service, in rows and in words.
//!
//! The report itself is that of the client's side. It must never know how flows were aligned.

use std::collections::BTreeMap;
use std::collections::HashMap;

use foldhash::quality::RandomState;
use serde::Serialize;

use crate::classify::judge::Judge;
use crate::classify::judged::Judged;
use crate::classify::vantage::Comparison;
use crate::classify::vantage::align::By;
use crate::classify::vantage::place::Crossing;
use crate::classify::vantage::place::Place;
use crate::classify::vantage::place::Story;
use crate::classify::verdict::FindingKind;
use crate::flow::record::Flow;
use crate::flow::trace::Trace;
use crate::model::addr::Addr;
use crate::model::addr::FlowKey;
use crate::model::addr::Side;
use crate::model::ids::FrameId;
use crate::model::transport::Transport;
use crate::report::facts::InputRow;
use crate::report::facts::RunFacts;
use crate::report::findings::Finding;
use crate::report::names::FrameName;
use crate::report::names::Names;
use crate::report::names::Party;
use crate::report::names::ServiceKey;
use crate::report::sanitise::Shown;
use crate::report::words::count;
use crate::report::words::thousands;

/// Rows that are told; further ones are counted.
const ROWS_MAX: usize = 1 << 16;

/// Translations that are told.
const TRANSLATIONS_MAX: usize = 1 << 12;

/// Frames of a row, for each side.
const FRAMES_MAX: usize = 6;

/// What two captures say together.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Vantage {
    /// The captures of the server's side; those of the client's side are the inputs of the run.
    pub server_side: Vec<InputRow>,
    /// How the clocks differ.
    pub clock: ClockRow,
    /// Routers between the points, by the time to live; `None` if nothing tells.
    pub hops: Option<u8>,
    /// How many flows were found on which side.
    pub flows: FlowCounts,
    /// Addresses that are rewritten on the way.
    pub translations: Vec<Translation>,
    /// Where flows were lost, those lost between the points first.
    pub rows: Vec<VantageRow>,
    /// Rows for which there was no room.
    pub rows_cut: u64,
    /// What weakens all this, a sentence each.
    pub notes: Vec<Shown>,
}

/// How the clocks differ.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct ClockRow {
    /// Server's side minus client's side, microseconds.
    pub offset_us: Option<i64>,
    /// How far single packets lie from the median, microseconds.
    pub spread_us: u64,
    /// How long a packet takes from one point to the other, microseconds.
    pub transit_us: Option<u64>,
    /// Packets measured on their way to the server.
    pub packets_to_server: u64,
    /// Packets measured on their way to the client.
    pub packets_to_client: u64,
}

/// How many flows were found on which side.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct FlowCounts {
    /// On both.
    pub aligned: u64,
    /// Of these, with other addresses or ports on the server's side.
    pub translated: u64,
    /// On the client's side only.
    pub client_side_only: u64,
    /// On the server's side only.
    pub server_side_only: u64,
    /// Of the flows of the report: arrived, and nothing of them is known to be lost.
    pub arrived: u64,
    /// Of the flows of the report: nothing can be said, and they did not fail.
    pub not_told: u64,
}

/// Addresses that are rewritten between the points.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Translation {
    /// The client, as its side knows it.
    pub client: Party,
    /// The server, as the client's side knows it.
    pub server: Party,
    /// The client, as the server's side knows it.
    pub client_outside: Party,
    /// The server, as its side knows it.
    pub server_outside: Party,
    /// Whether ports are rewritten too.
    pub ports: bool,
    /// Flows.
    pub flows: u64,
    /// Of these, recognised by their initial sequence number and by payload or the answer's number as well.
    pub by_number_and_payload: u64,
}

/// Flows with the same story.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct VantageRow {
    /// Who began it.
    pub client: Party,
    /// Who was to answer.
    pub server: Party,
    /// The transport.
    pub transport: &'static str,
    /// The port.
    pub port: u16,
    /// The service's id.
    pub service: Shown,
    /// Where it was lost.
    pub place: &'static str,
    /// How sure that is.
    pub confidence: &'static str,
    /// Why nothing is said, or why it is less sure.
    pub why: Option<&'static str>,
    /// The kind of the finding it belongs to.
    pub finding: Option<&'static str>,
    /// How many flows.
    pub flows: u64,
    /// Packets to the server.
    pub to_server: CrossingRow,
    /// Packets to the client.
    pub to_client: CrossingRow,
    /// Who is who on the server's side, where that differs.
    pub outside: Option<String>,
    /// Some frames on the client's side.
    pub frames: Vec<FrameName>,
    /// Some frames on the server's side.
    pub server_frames: Vec<FrameName>,
    /// What to know, in words.
    pub text: String,
}

/// Packets of one way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct CrossingRow {
    /// Seen where they leave.
    pub left: u64,
    /// Seen where they arrive.
    pub arrived: u64,
    /// Lost between, packet by packet; `None` where that cannot be told of every flow.
    pub lost: Option<u64>,
    /// Repeated by the sender.
    pub repeated: u64,
}

/// What flows of one row share; also the order of rows.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Group {
    place: Place,
    ends: (Addr, Addr),
    transport: Transport,
    port: u16,
    why: Option<&'static str>,
    outside: Option<(Addr, Addr)>,
    finding: Option<&'static str>,
}

struct Gathered {
    first: Story,
    service: ServiceKey,
    flows: u64,
    crossings: [CrossingRow; 2],
    frames: [Vec<FrameId>; 2],
}

impl Vantage {
    /// Lays the stories of all flows of the client's side into rows.
    pub fn build(
        comparison: &Comparison<'_>,
        judge: &Judge<'_>,
        names: &Names<'_>,
        server_side: Vec<InputRow>,
        notes: Vec<String>,
    ) -> Self {
        let index = Index::of(comparison.traces().all());
        let mut flows = counts(comparison);
        let mut groups: BTreeMap<Group, Gathered> = BTreeMap::new();
        let mut rows_cut = 0;
        for judged in judge.flows() {
            let story = index.find(&judged.flow, judged.orig).and_then(|place| comparison.story(place, judged.orig));
            let Some(story) = story else { continue };
            if !is_worth_a_row(&story, &judged) {
                let count = if story.place == Place::Unknown { &mut flows.not_told } else { &mut flows.arrived };
                *count += 1;
                continue;
            }
            let group = group(&story, &judged);
            let full = groups.len() >= ROWS_MAX;
            match groups.get_mut(&group) {
                Some(known) => known.add(&story),
                None if full => rows_cut += 1,
                None => {
                    let ends = judged.ends();
                    let service = ServiceKey::of(judged.service, ends.transport, ends.resp.port);
                    groups.insert(group, Gathered::new(story, service));
                }
            }
        }
        let run = RunFacts { inputs: server_side.clone(), ..RunFacts::default() };
        let there = Names::new(names.catalogue(), Vec::new(), &[], &run);
        let hops = comparison.hops;
        Self {
            rows: groups.into_iter().map(|(group, row)| row.told(&group, hops, names, &there)).collect(),
            clock: clock(comparison),
            translations: translations(comparison),
            notes: own_notes(comparison, notes),
            server_side,
            hops,
            flows,
            rows_cut,
        }
    }

    /// What is said of a finding: the rows of its flows.
    pub fn of_finding<'a>(&'a self, finding: &'a Finding) -> impl Iterator<Item = &'a VantageRow> {
        self.rows.iter().filter(|row| {
            (row.client, row.server) == (finding.client, finding.server)
                && (row.transport, Some(row.port)) == (finding.transport, finding.port)
                && row.finding == Some(finding.kind.name())
        })
    }

    /// How clocks, points and flows lie to each other, a sentence each.
    pub fn facts(&self) -> Vec<String> {
        let mut all = Vec::new();
        all.extend(self.clock_words());
        all.extend(self.hops.map(|hops| {
            match hops {
                0 => "nothing between the two points lowers the time to live: a switch, a bridge or a filter on a host"
                    .to_owned(),
                1 => "one router or firewall lies between the two points, by the time to live".to_owned(),
                hops => format!("{hops} routers or firewalls lie between the two points, by the time to live"),
            }
        }));
        let flows = &self.flows;
        let mut words = format!("{} seen at both points", count(flows.aligned, "flow"));
        for (number, what) in [
            (flows.translated, "of these with other addresses or ports at the server's side"),
            (flows.client_side_only, "at the client's side only"),
            (flows.server_side_only, "at the server's side only"),
        ] {
            if number > 0 {
                words.extend([", ", &thousands(number), " ", what]);
            }
        }
        all.push(words);
        for translation in &self.translations {
            let ports = if translation.ports { ", with other ports" } else { "" };
            all.push(format!(
                "address translation: {} -> {} is {} -> {} at the server's side{ports} ({})",
                translation.client,
                translation.server,
                translation.client_outside,
                translation.server_outside,
                count(translation.flows, "flow")
            ));
        }
        all
    }

    fn clock_words(&self) -> Option<String> {
        let offset = self.clock.offset_us?;
        let matched = self.clock.packets_to_server + self.clock.packets_to_client;
        let way = match self.clock.transit_us {
            Some(us) => format!("a packet takes {} us between the points", thousands(us)),
            None => "measured one way only, the time of the way included".to_owned(),
        };
        let ahead = if offset < 0 { "behind" } else { "ahead" };
        Some(format!(
            "the server's side's clock is {} us {ahead}, within {} us, by {} seen at both points; {way}",
            thousands(offset.unsigned_abs()),
            thousands(self.clock.spread_us),
            count(matched, "packet")
        ))
    }
}

/// A loss, a failure, or a finding: what works without loss is counted only.
fn is_worth_a_row(story: &Story, judged: &Judged<'_>) -> bool {
    let failed = judged.verdict.outcome.is_failure();
    let lost = |crossing: &Crossing| crossing.lost.is_some_and(|lost| lost > 0);
    match story.place {
        Place::Unknown => failed,
        Place::Arrived => lost(&story.to_server) || lost(&story.to_client),
        _ => true,
    }
}

fn group(story: &Story, judged: &Judged<'_>) -> Group {
    let ends = judged.ends();
    let inside = (ends.orig.addr, ends.resp.addr);
    let outside = story.outside.map(|[client, server]| (client.0, server.0)).filter(|outside| *outside != inside);
    Group {
        place: story.place,
        ends: inside,
        transport: ends.transport,
        port: ends.resp.port,
        why: story.why,
        outside,
        finding: judged.finding.map(FindingKind::name),
    }
}

impl Gathered {
    fn new(story: Story, service: ServiceKey) -> Self {
        let none = CrossingRow { lost: Some(0), ..CrossingRow::default() };
        let mut gathered =
            Self { first: story, service, flows: 0, crossings: [none; 2], frames: [Vec::new(), Vec::new()] };
        gathered.add(&story);
        gathered
    }

    fn add(&mut self, story: &Story) {
        self.flows += 1;
        self.first.confidence = self.first.confidence.max(story.confidence);
        for (sum, crossing) in self.crossings.iter_mut().zip([story.to_server, story.to_client]) {
            sum.left += crossing.left;
            sum.arrived += crossing.arrived;
            sum.repeated += crossing.repeated;
            sum.lost = sum.lost.zip(crossing.lost).map(|(one, other)| one + other);
        }
        for (frames, own) in self.frames.iter_mut().zip([story.frames, story.server_frames]) {
            let room = FRAMES_MAX.saturating_sub(frames.len());
            frames.extend(own.into_iter().filter(|frame| frame.is_some()).take(room));
        }
    }

    fn told(self, group: &Group, hops: Option<u8>, names: &Names<'_>, there: &Names<'_>) -> VantageRow {
        let [to_server, to_client] = self.crossings;
        let outside = group.outside.map(|(client, server)| format!("{} -> {}", client.ip(), server.ip()));
        VantageRow {
            client: Party::One(group.ends.0),
            server: Party::One(group.ends.1),
            transport: group.transport.name(),
            port: group.port,
            service: names.service_id(self.service, group.transport),
            place: group.place.name(),
            confidence: self.first.confidence.name(),
            why: group.why,
            finding: group.finding,
            flows: self.flows,
            to_server,
            to_client,
            text: sentence(group, &self.first, to_server, to_client, hops),
            outside,
            frames: self.frames[0].iter().map(|frame| names.frame(*frame)).collect(),
            server_frames: self.frames[1].iter().map(|frame| there.frame(*frame)).collect(),
        }
    }
}

/// Where between the points.
fn between(hops: Option<u8>) -> String {
    match hops {
        Some(1) => "between the two capture points, at the one router or firewall there".to_owned(),
        Some(hops) if hops > 1 => {
            format!("between the two capture points, at one of the {hops} routers or firewalls there")
        }
        Some(_) => "between the two capture points, where nothing routes: a switch, or a filter on a host".to_owned(),
        None => "between the two capture points".to_owned(),
    }
}

fn sentence(group: &Group, story: &Story, to_server: CrossingRow, to_client: CrossingRow, hops: Option<u8>) -> String {
    let place = between(hops);
    let packets = |number| count(number, "packet");
    let repeated = |crossing: CrossingRow| match crossing.repeated {
        0 => String::new(),
        number => format!(" ({} of them repeated)", thousands(number)),
    };
    let mut text = match group.place {
        Place::RequestLost => format!(
            "Left the client, never reached the server's side: {}{} seen to leave, none to arrive. Lost {place}.",
            packets(to_server.left),
            repeated(to_server)
        ),
        Place::AnswerLost => format!(
            "The answer left, and never arrived: {} of {} reached the server's side, {}{} left there, none arrived. Lost \
             {place}.",
            thousands(to_server.arrived),
            packets(to_server.left),
            packets(to_client.left),
            repeated(to_client)
        ),
        Place::RequestLostLater => format!(
            "Answered at first; then what the client sent reached the server's side no more: {} left, {} arrived. Lost \
             {place}.",
            packets(to_server.left),
            thousands(to_server.arrived)
        ),
        Place::AnswerLostLater => format!(
            "Answered at first; then what the server sent arrived no more: {} left the server's side, {} arrived. Lost \
             {place}.",
            packets(to_client.left),
            thousands(to_client.arrived)
        ),
        Place::RejectedBetween if to_server.arrived == 0 => {
            let who = story.said_no.map(|addr| format!(" by {}", addr.ip())).unwrap_or_default();
            format!("Rejected{who} before it reached the server's side: {place}.")
        }
        Place::RejectedBetween => format!(
            "Reached the server's side, and no refusal was seen to leave there; the one that arrived at the client came from \
             {place}."
        ),
        Place::RefusedBeyond => {
            "Reached the server's side, and the refusal came from there: from the server, or from what \
                                 lies between it and that capture point."
                .to_owned()
        }
        Place::NoAnswer => format!(
            "Reached the server's side ({} of {}), and no answer was seen to leave there: look at the server, and at what \
             lies between it and that capture point.",
            thousands(to_server.arrived),
            packets(to_server.left)
        ),
        Place::Arrived => format!(
            "Lost {place} and sent again: {} to the server, {} to the client.",
            packets(to_server.lost.unwrap_or(0)),
            packets(to_client.lost.unwrap_or(0))
        ),
        Place::Unknown => format!("Cannot be told: {}.", because(group.why)),
    };
    if group.place != Place::Unknown
        && let Some(why) = group.why
    {
        text.extend([" Less sure, because ", because(Some(why)), "."]);
    }
    text
}

/// A reason in words.
fn because(why: Option<&str>) -> &'static str {
    match why {
        Some("nothing_in_both") => "no packet of the one capture is in the other",
        Some("not_kept") => "there was no room for all flows of the other capture",
        Some("not_watched") => "the other capture did not watch, or was silent, at that time",
        Some("passes_elsewhere") => "flows of these hosts work without passing the server's side's capture point",
        Some("unclear") => "several flows of the server's side could be this one, or too little of it was captured",
        Some("server_not_seen") => "the server's side's capture never shows this server",
        Some("way_back_not_seen") => "nothing that this server sent was captured there",
        Some("pair_not_seen") => "the other capture shows the server with other hosts only",
        Some("way_not_seen") => "the other capture shows the server, but nothing that passed both points",
        Some("capture_lost_packets") => "the other capture is known to have lost packets",
        Some("begun_before") => "it began before the client's side's capture",
        Some("to_many") => "it goes to many hosts",
        _ => "the request itself was not captured",
    }
}

fn counts(comparison: &Comparison<'_>) -> FlowCounts {
    let [here, there] = [comparison.traces(), comparison.server_traces()].map(|traces| traces.all().len() as u64);
    let aligned = comparison.alignment.len() as u64;
    let translated = comparison.alignment.pairs().filter(|(_, pair)| pair.by.is_translated()).count() as u64;
    FlowCounts {
        aligned,
        translated,
        client_side_only: here.saturating_sub(aligned),
        server_side_only: there.saturating_sub(aligned),
        ..FlowCounts::default()
    }
}

fn clock(comparison: &Comparison<'_>) -> ClockRow {
    let clock = comparison.clock;
    ClockRow {
        offset_us: clock.offset_ns.map(|ns| ns / 1000),
        spread_us: clock.spread_ns / 1000,
        transit_us: clock.transit_ns.map(|ns| ns / 1000),
        packets_to_server: clock.matched[0],
        packets_to_client: clock.matched[1],
    }
}

fn translations(comparison: &Comparison<'_>) -> Vec<Translation> {
    let mut known: BTreeMap<[Addr; 4], Translation> = BTreeMap::new();
    for (place, pair) in comparison.alignment.pairs().filter(|(_, pair)| pair.by.is_translated()) {
        let traces = comparison.traces().all().get(place).zip(comparison.server_traces().all().get(pair.server));
        let Some((here, there)) = traces else { continue };
        let ends = |trace: &Trace, began: Side| [trace.key.end(began), trace.key.end(began.other())];
        let began_there = if pair.flipped { here.began.other() } else { here.began };
        let ([client, server], [outside, server_outside]) = (ends(here, here.began), ends(there, began_there));
        let key = [client.addr, server.addr, outside.addr, server_outside.addr];
        if known.len() >= TRANSLATIONS_MAX && !known.contains_key(&key) {
            continue;
        }
        let row = known.entry(key).or_insert_with(|| Translation {
            client: Party::One(client.addr),
            server: Party::One(server.addr),
            client_outside: Party::One(outside.addr),
            server_outside: Party::One(server_outside.addr),
            ports: false,
            flows: 0,
            by_number_and_payload: 0,
        });
        row.flows += 1;
        row.ports |= client.port != outside.port || server.port != server_outside.port;
        row.by_number_and_payload += u64::from(pair.by == By::IsnAndMore);
    }
    known.into_values().collect()
}

fn own_notes(comparison: &Comparison<'_>, notes: Vec<String>) -> Vec<Shown> {
    let mut all = Vec::new();
    if !comparison.clock.is_set() {
        all.push(
            "No packet of the one capture is in the other: they were not taken on one path, not at one time, or something \
             between rewrites addresses and sequence numbers. Nothing can be said of where flows were lost."
                .to_owned(),
        );
    }
    for (traces, side) in [(comparison.traces(), "client's"), (comparison.server_traces(), "server's")] {
        if traces.left_out() > 0 {
            let packets = count(traces.left_out(), "packet");
            all.push(format!("{packets} of the {side} side belong to flows for which there was no room."));
        }
    }
    all.extend(notes);
    all.iter().map(|note| Shown::text(note)).collect()
}

/// Finds the trace of a flow.
struct Index<'t> {
    traces: &'t [Trace],
    /// In the order they began.
    by_key: HashMap<FlowKey, Vec<usize>, RandomState>,
    /// The same of those whose beginning was seen.
    by_number: HashMap<(FlowKey, Side, u32), Vec<usize>, RandomState>,
}

impl<'t> Index<'t> {
    fn of(traces: &'t [Trace]) -> Self {
        let mut index = Self { traces, by_key: HashMap::default(), by_number: HashMap::default() };
        for (place, trace) in traces.iter().enumerate() {
            index.by_key.entry(trace.key).or_default().push(place);
            for side in [Side::Low, Side::High] {
                if let Some(isn) = trace.isn(side) {
                    index.by_number.entry((trace.key, side, isn)).or_default().push(place);
                }
            }
        }
        index
    }

    /// By its initial sequence number and its time, else by its time alone.
    fn find(&self, flow: &Flow, orig: Side) -> Option<usize> {
        let begun = flow.syns.get(orig.index()).is_some_and(|syns| *syns > 0);
        let isn = flow.isn.get(orig.index()).copied().filter(|_| begun && flow.key.transport == Transport::Tcp);
        let places = match isn {
            Some(isn) => self.by_number.get(&(flow.key, orig, isn)),
            None => self.by_key.get(&flow.key),
        }?;
        // Each ended before the next began: many with the same ends need no look at all of them.
        let begins = |place: &usize| self.traces.get(*place).is_some_and(|trace| trace.first <= flow.first);
        let later = places.partition_point(begins).max(usize::from(isn.is_some()));
        let place = places.get(later.checked_sub(1)?).copied()?;
        let holds = |trace: &Trace| isn.is_some() || flow.first <= trace.last;
        self.traces.get(place).filter(|trace| holds(trace)).map(|_| place)
    }
}
