//! The screen: a [`State`] as cells of a terminal.
//!
//! Marks stand beside colours, and everything is ASCII but names, so that it reads without colour and over any line.
//! Text from outside comes as [`Shown`](crate::report::sanitise::Shown) and is free of control characters.

use std::time::Duration;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Color;
use ratatui::style::Modifier;
use ratatui::style::Style;
use ratatui::text::Span;

use crate::classify::verdict::FindingKind;
use crate::cli::tui::board::Board;
use crate::cli::tui::board::FindingLine;
use crate::cli::tui::board::List;
use crate::cli::tui::board::PairLine;
use crate::cli::tui::board::ServiceLine;
use crate::cli::tui::order::View;
use crate::cli::tui::state::Mode;
use crate::cli::tui::state::Page;
use crate::cli::tui::state::State;
use crate::report::filter::of_hosts;
use crate::report::format::text::wrap_within;
use crate::report::ledger::Item;
use crate::report::ledger::State as Life;
use crate::report::moment::span;
use crate::report::names::Party;
use crate::report::pairs::Worst;
use crate::report::status::Status;
use crate::report::status::rate;
use crate::report::words::count;
use crate::report::words::shares;
use crate::report::words::thousands;

/// On less nothing can be read.
const COLUMNS_MIN: u16 = 40;
const ROWS_MIN: u16 = 8;

/// From here on there is room for the columns that a narrow screen leaves out.
const WIDE: u16 = 110;

/// The longest address of IPv6.
const ADDRESS: u16 = 39;

/// Lines above the list: title, health, views, heads of columns.
const ABOVE: u16 = 4;

/// How something looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Look {
    Plain,
    Head,
    Grave,
    Doubtful,
    Good,
}

/// A line of a page.
struct Line {
    look: Look,
    text: String,
}

/// A column of a list.
#[derive(Clone, Copy)]
struct Column {
    head: &'static str,
    width: u16,
    side: Side,
}

/// Where a cell's text lies, and which part of it is left out where there is no room for all of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Side {
    Left,
    Right,
    /// On the left; the middle is left out, for addresses of one network differ at their ends.
    Ends,
}

/// A line of a list.
struct Row {
    look: Look,
    cells: Vec<String>,
}

const fn left(head: &'static str, width: u16) -> Column {
    Column { head, width, side: Side::Left }
}

const fn right(head: &'static str, width: u16) -> Column {
    Column { head, width, side: Side::Right }
}

const fn host(head: &'static str, width: u16) -> Column {
    Column { head, width, side: Side::Ends }
}

/// Draws everything.
pub(super) fn draw(state: &mut State, color: bool, area: Rect, buf: &mut Buffer) {
    let mut pen = Pen { buf, area, color };
    if area.width < COLUMNS_MIN || area.height < ROWS_MIN {
        let text = if state.mode == Mode::EndOrNot { "end the watch? y: yes" } else { "too small; q ends the watch" };
        pen.put(0, 0, text, Look::Plain);
        return;
    }
    title(state, &mut pen);
    health_line(state, &mut pen);
    views(state, &mut pen);
    let body = Rect { y: ABOVE, height: area.height - ABOVE - 1, ..area };
    if state.page.is_some() || state.view == View::Health || state.board.is_none() {
        let lines = page(state, usize::from(area.width));
        show_page(state, &lines, body, &mut pen);
    } else {
        show_list(state, body, &mut pen);
    }
    footer(state, &mut pen);
}

/// Puts text on the buffer.
struct Pen<'b> {
    buf: &'b mut Buffer,
    area: Rect,
    color: bool,
}

impl Pen<'_> {
    fn style(&self, look: Look) -> Style {
        let style = Style::default();
        match (look, self.color) {
            (Look::Plain, _) | (Look::Good | Look::Doubtful, false) => style,
            (Look::Head | Look::Grave, false) | (Look::Head, true) => style.add_modifier(Modifier::BOLD),
            (Look::Grave, true) => style.fg(Color::Red).add_modifier(Modifier::BOLD),
            (Look::Doubtful, true) => style.fg(Color::Yellow),
            (Look::Good, true) => style.fg(Color::Green),
        }
    }

    /// A line from this column on, cut at the edge.
    fn put(&mut self, x: u16, y: u16, text: &str, look: Look) {
        self.cell(x, y, self.area.width.saturating_sub(x), text, look);
    }

    /// Text in so many columns; a mark says where it was cut.
    fn cell(&mut self, x: u16, y: u16, width: u16, text: &str, look: Look) {
        let style = self.style(look);
        let (x, y) = (self.area.x + x, self.area.y + y);
        let room = usize::from(width);
        if room == 0 || y >= self.area.bottom() {
            return;
        }
        if Span::raw(text).width() <= room {
            self.buf.set_stringn(x, y, text, room, style);
        } else {
            let (end, _) = self.buf.set_stringn(x, y, text, room - 1, style);
            self.buf.set_stringn(end, y, "~", 1, style);
        }
    }

    fn reverse(&mut self, y: u16) {
        let row = Rect { y: self.area.y + y, height: 1, ..self.area };
        self.buf.set_style(row, Style::default().add_modifier(Modifier::REVERSED));
    }
}

/// `portolan  rx0 up` and when.
fn title(state: &State, pen: &mut Pen<'_>) {
    let Some(status) = &state.status else {
        pen.put(0, 0, "portolan: listening", Look::Head);
        return;
    };
    let down = status.interfaces.iter().any(|interface| interface.state != "up");
    let interfaces: Vec<String> =
        status.interfaces.iter().map(|interface| format!("{} {}", interface.name, interface.state)).collect();
    let look = if down { Look::Grave } else { Look::Head };
    let when = format!("{} UTC, for {}", status.at.clock(true), lasted(status));
    let width = u16::try_from(when.len()).unwrap_or(u16::MAX);
    let at = pen.area.width.saturating_sub(width);
    pen.cell(0, 0, at.saturating_sub(1), &format!("portolan  {}", interfaces.join(", ")), look);
    pen.put(at, 0, &when, Look::Plain);
}

/// `2 d 03:10:11`: how long it has watched.
fn lasted(status: &Status) -> String {
    let seconds = status.at.0.since(status.started.0).as_secs();
    let clock = format!("{:02}:{:02}:{:02}", seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    if seconds >= 86_400 { format!("{} d {clock}", seconds / 86_400) } else { clock }
}

/// What weakens the watch comes first, for the line may be cut.
fn health_line(state: &State, pen: &mut Pen<'_>) {
    let Some(status) = &state.status else { return };
    let frames = &status.frames;
    let mut words = Vec::new();
    if status.asymmetric {
        words.push("ONE DIRECTION ONLY".to_owned());
    }
    if frames.dropped() > 0 {
        let losses = [
            ("kernel", frames.dropped_by_kernel),
            ("interface", frames.dropped_by_interface),
            ("queue", frames.dropped_by_queue),
        ];
        let by: Vec<String> = losses
            .into_iter()
            .filter(|(_, count)| *count > 0)
            .map(|(by, count)| format!("{by} {}", thousands(count)))
            .collect();
        words.push(format!("LOST {} ({})", thousands(frames.dropped()), by.join(", ")));
    }
    if status.acked_unseen > 0 {
        words.push(format!("{} MISSED BEFORE", thousands(status.acked_unseen)));
    }
    if status.findings_not_kept > 0 {
        words.push(format!("{} FINDINGS NOT TOLD", thousands(status.findings_not_kept)));
    }
    let weak = !words.is_empty();
    if frames.dropped() == 0 {
        words.push("none lost".to_owned());
    }
    let rates = format!("{} frames/s, {}", thousands(status.frames_per_second), rate(status.bits_per_second));
    words.extend([rates, count(frames.arrived, "frame"), count(status.flows_active, "flow")]);
    if status.flows_pending > 0 {
        words.push(format!("{} pending", thousands(status.flows_pending)));
    }
    pen.put(0, 1, &words.join(" | "), if weak { Look::Grave } else { Look::Plain });
}

/// The views, which one is shown, and how.
fn views(state: &State, pen: &mut Pen<'_>) {
    let totals = state.board.as_ref().map(|board| [board.findings.total, board.pairs.total, board.services.total]);
    let mut x = 0;
    for (number, view) in (1..).zip(View::ALL) {
        let total = totals.as_ref().and_then(|totals| totals.get(view.place()));
        let total = total.map_or(String::new(), |total| format!(" {}", thousands(*total as u64)));
        let shown = view == state.view;
        let text = format!("{number} {}{total}", view.name());
        let (text, look) = if shown { (format!("[{text}]"), Look::Head) } else { (format!(" {text} "), Look::Plain) };
        let width = u16::try_from(text.len()).unwrap_or(u16::MAX);
        pen.put(x, 2, &text, look);
        x += width;
    }
    let order = if state.view == View::Health { String::new() } else { format!("by {}", state.order().name()) };
    let filter = if state.filter.is_empty() { String::new() } else { format!("only \"{}\"", state.filter) };
    let paused = if state.paused { "PAUSED" } else { "" };
    let how: Vec<&str> = [order.as_str(), &filter, paused].into_iter().filter(|part| !part.is_empty()).collect();
    let how = how.join(", ");
    let width = u16::try_from(Span::raw(how.as_str()).width()).unwrap_or(u16::MAX);
    let at = pen.area.width.saturating_sub(width).max(x + 1);
    pen.put(at, 2, &how, if state.paused { Look::Doubtful } else { Look::Plain });
}

/// Keys, or what the person is told or asked.
fn footer(state: &State, pen: &mut Pen<'_>) {
    let y = pen.area.height - 1;
    let keys = "q end  ? help  Enter open  Esc back  / filter  s sort  p pause  w save  1-4 view";
    match (state.mode, &state.message) {
        (Mode::Ending, _) => pen.put(0, y, "ending: judging for the last time", Look::Head),
        (Mode::EndOrNot, _) => {
            pen.put(0, y, "End the watch? y: yes, and print the report; any other key: go on", Look::Head);
        }
        (Mode::Filter, _) => {
            let words = format!("only lines with: {}_   (Enter keeps it, Esc clears it)", state.filter);
            pen.put(0, y, &words, Look::Head);
        }
        (Mode::Commands, Some((bad, words))) => {
            pen.put(0, y, words, if *bad { Look::Grave } else { Look::Head });
        }
        (Mode::Commands, None) => pen.put(0, y, keys, Look::Plain),
    }
}

/// The list of the view.
fn show_list(state: &mut State, body: Rect, pen: &mut Pen<'_>) {
    let room = usize::from(body.height.saturating_sub(1));
    let (top, at) = state.window(room);
    let wide = pen.area.width >= WIDE;
    let Some(board) = &state.board else { return };
    let (columns, rows, listed, hidden) = match state.view {
        View::Findings => {
            let lines = state.findings();
            let rows: Vec<Row> = lines.iter().skip(top).take(room).map(|line| finding_row(line, wide)).collect();
            (finding_columns(pen.area.width), rows, lines.len(), hidden(&board.findings))
        }
        View::Pairs => {
            let lines = state.pairs();
            let rows: Vec<Row> = lines.iter().skip(top).take(room).map(|line| pair_row(line, wide)).collect();
            (pair_columns(pen.area.width), rows, lines.len(), hidden(&board.pairs))
        }
        _ => {
            let lines = state.services();
            let rows: Vec<Row> = lines.iter().skip(top).take(room).map(|line| service_row(line)).collect();
            (service_columns(pen.area.width), rows, lines.len(), hidden(&board.services))
        }
    };
    let heads: Vec<String> = columns.iter().map(|column| column.head.to_owned()).collect();
    put_row(&columns, &Row { look: Look::Head, cells: heads }, ABOVE - 1, pen);
    if rows.is_empty() {
        let words = match (state.filter.is_empty(), state.view) {
            (false, _) => "Nothing has these words. Esc shows everything.",
            (true, View::Findings) => "No finding. What nobody tried was not tested.",
            (true, _) => "Nothing was seen.",
        };
        pen.put(4, body.y + 1, words, Look::Plain);
    }
    for (place, row) in (top..).zip(&rows) {
        let y = body.y + u16::try_from(place - top).unwrap_or(0);
        put_row(&columns, row, y, pen);
        if place == at {
            pen.put(0, y, ">", row.look);
            pen.reverse(y);
        }
    }
    let place = if listed == 0 { 0 } else { at + 1 };
    let more = if hidden == 0 {
        String::new()
    } else {
        format!("; {} more are not listed: filter, or see the report", thousands(hidden as u64))
    };
    let foot = format!("{} of {}{more}", thousands(place as u64), thousands(listed as u64));
    pen.put(4, body.bottom() - 1, &foot, Look::Plain);
}

/// Lines that there was no room for.
fn hidden<T>(list: &List<T>) -> usize {
    list.total.saturating_sub(list.lines.len())
}

/// A row of cells; the last column takes what is left.
fn put_row(columns: &[Column], row: &Row, y: u16, pen: &mut Pen<'_>) {
    // Two columns are for the mark of the chosen line.
    let mut x = 2;
    for (place, (column, text)) in columns.iter().zip(&row.cells).enumerate() {
        let last = place + 1 == columns.len();
        let width = if last { pen.area.width.saturating_sub(x) } else { column.width };
        match column.side {
            Side::Left => pen.cell(x, y, width, text, row.look),
            Side::Right => {
                let pad = width.saturating_sub(u16::try_from(text.len()).unwrap_or(u16::MAX));
                pen.cell(x + pad, y, width - pad, text, row.look);
            }
            Side::Ends => pen.cell(x, y, width, &ends(text, usize::from(width)), row.look),
        }
        x += width + 1;
    }
}

/// `2001:db~1:2::a1`: both ends of what has no room; the end tells more.
fn ends(text: &str, room: usize) -> String {
    let length = text.chars().count();
    if length <= room {
        return text.to_owned();
    }
    let (first, last) = (room.saturating_sub(1) / 2, room.saturating_sub(1).div_ceil(2));
    let chars = text.chars();
    chars.clone().take(first).chain(['~']).chain(chars.skip(length - last)).collect()
}

fn finding_columns(width: u16) -> Vec<Column> {
    if width < WIDE {
        return vec![
            left("", 1),
            left("finding", 11),
            host("from", 15),
            host("to", 15),
            left("service", 18),
            left("now", 0),
        ];
    }
    let room = match width {
        ..140 => 15,
        140..170 => 25,
        170.. => ADDRESS,
    };
    vec![
        left("", 1),
        left("finding", 18),
        host("from", room),
        host("to", room),
        left("service", 22),
        right("flows", 6),
        left("sure", 9),
        left("since", 8),
        left("now", 0),
    ]
}

fn finding_row(line: &FindingLine, wide: bool) -> Row {
    let (item, finding) = (&line.item, &line.item.finding);
    let (mark, look) = mark_of(item);
    let kind = finding.kind.name().replace('_', " ");
    // What was seen tells more of a finding that is open, its life more of one that is over.
    let now = if item.state == Life::Open { finding.outcome } else { item.state.name() };
    let mut cells = vec![mark.to_owned(), kind, finding.client.to_string(), finding.server.to_string(), place_of(item)];
    if wide {
        cells.extend([thousands(finding.flows), finding.confidence.to_owned(), item.since.clock(false)]);
    }
    cells.push(now.replace('_', " "));
    Row { look, cells }
}

/// `tcp/88 kerberos`; of an RPC port the interface tells more than the service.
fn place_of(item: &Item) -> String {
    let finding = &item.finding;
    let interface = finding.interface.as_ref().and_then(|interface| interface.name.as_ref());
    let name = interface.unwrap_or(&finding.service);
    match finding.port.map(|port| format!("{}/{port}", finding.transport)) {
        Some(port) if name.as_str() == port => port,
        Some(port) => format!("{port} {name}"),
        None => name.to_string(),
    }
}

/// The mark beside a finding.
fn mark_of(item: &Item) -> (&'static str, Look) {
    match (item.state, item.finding.kind) {
        (Life::Works, _) => ("+", Look::Good),
        (Life::Quiet | Life::Withdrawn, _) => (".", Look::Plain),
        (Life::Open, FindingKind::Blocked | FindingKind::RpcBlocked | FindingKind::EpmBlocked) => ("X", Look::Grave),
        (Life::Open, FindingKind::Unexpected) => ("!", Look::Doubtful),
        (Life::Open, FindingKind::RangeOnly) => ("~", Look::Plain),
        (Life::Open, _) => ("?", Look::Doubtful),
    }
}

/// The mark beside a pair or service.
fn mark_of_worst(worst: Worst) -> (&'static str, Look) {
    match worst {
        Worst::Blocked => ("X", Look::Grave),
        Worst::Unexpected => ("!", Look::Doubtful),
        Worst::Attempt => ("?", Look::Doubtful),
        Worst::RangeOnly => ("~", Look::Plain),
        Worst::Ok => ("+", Look::Good),
        Worst::NotJudged => (".", Look::Plain),
    }
}

fn pair_columns(width: u16) -> Vec<Column> {
    let room = match width {
        ..WIDE => 15,
        WIDE..140 => 25,
        140.. => ADDRESS,
    };
    let mut columns = vec![left("", 1), left("worst", 10), host("from", room), host("to", room)];
    columns.extend([right("flows", 7), right("failed", 7)]);
    if width >= WIDE {
        columns.push(right("bytes", 9));
    }
    columns.push(left("services", 0));
    columns
}

fn pair_row(line: &PairLine, wide: bool) -> Row {
    let (mark, look) = mark_of_worst(line.sums.worst);
    let services: Vec<&str> = line.services.iter().map(|service| service.service.as_str()).collect();
    let more = line.services_total.saturating_sub(services.len());
    let more = if more == 0 { String::new() } else { format!(" +{more}") };
    let mut cells = vec![
        mark.to_owned(),
        line.sums.worst.name().replace('_', " "),
        line.sums.client.to_string(),
        line.sums.server.to_string(),
        short(line.sums.flows),
        short(line.failed),
    ];
    if wide {
        cells.push(short(line.sums.bytes));
    }
    cells.push(format!("{}{more}", services.join(" ")));
    Row { look, cells }
}

fn service_columns(width: u16) -> Vec<Column> {
    let title = if width < WIDE { 22 } else { 40 };
    vec![
        left("", 1),
        left("worst", 10),
        left("service", title),
        right("pairs", 6),
        right("flows", 7),
        right("worked", 7),
        right("failed", 7),
        left("port", 0),
    ]
}

fn service_row(line: &ServiceLine) -> Row {
    let (mark, look) = mark_of_worst(line.worst);
    let cells = vec![
        mark.to_owned(),
        line.worst.name().replace('_', " "),
        line.title.to_string(),
        short(line.pairs),
        short(line.flows),
        short(line.worked()),
        short(line.failed()),
        line.ports.clone(),
    ];
    Row { look, cells }
}

/// A count in at most seven characters: `123,456`, `1.2 M`.
fn short(number: u64) -> String {
    let tenths = |unit: u64, name: &str| format!("{}.{} {name}", number / unit, number % unit * 10 / unit);
    match number {
        0..1_000_000 => thousands(number),
        1_000_000..1_000_000_000 => tenths(1_000_000, "M"),
        1_000_000_000..1_000_000_000_000 => tenths(1_000_000_000, "G"),
        _ => tenths(1_000_000_000_000, "T"),
    }
}

/// What lies over the list, or the health of the watch.
fn page(state: &State, width: usize) -> Vec<Line> {
    let mut page = Words { lines: Vec::new(), width };
    match (&state.page, &state.board, &state.status) {
        (Some(Page::Help), ..) => page.help(),
        (_, None, _) | (_, _, None) => page.say(Look::Plain, "Nothing was judged yet."),
        (Some(Page::Pair(client, server, first)), Some(board), _) => page.pair(board, (*client, *server), *first),
        (Some(Page::Finding(id)), Some(board), _) => {
            match board.findings.lines.iter().find(|line| line.item.id == *id) {
                Some(line) => page.finding(&line.item),
                None => page.say(Look::Plain, "This finding is not listed any more."),
            }
        }
        (Some(Page::Service(service, transport)), Some(board), _) => page.service(board, service.as_str(), transport),
        (None, Some(board), Some(status)) => page.health(board, status, state),
    }
    page.lines
}

/// A page while it is written.
struct Words {
    lines: Vec<Line>,
    width: usize,
}

impl Words {
    fn say(&mut self, look: Look, text: &str) {
        self.indented(look, "", "  ", text);
    }

    fn indented(&mut self, look: Look, first: &str, rest: &str, text: &str) {
        let lines = wrap_within(self.width, first, rest, text);
        self.lines.extend(lines.into_iter().map(|text| Line { look, text }));
    }

    fn gap(&mut self) {
        self.lines.push(Line { look: Look::Plain, text: String::new() });
    }

    fn pair(&mut self, board: &Board, (client, server): (Party, Party), first: Option<u64>) {
        let own = |line: &&PairLine| (line.sums.client, line.sums.server) == (client, server);
        let line = board.open.iter().chain(&board.pairs.lines).find(own);
        let named = |party: Party, is: Option<&str>| match is.filter(|is| !is.is_empty()) {
            Some(is) => format!("{party} ({is})"),
            None => party.to_string(),
        };
        let (client_is, server_is) =
            (line.map(|line| line.client_is.as_str()), line.map(|line| line.server_is.as_str()));
        self.say(Look::Head, &format!("{} -> {}", named(client, client_is), named(server, server_is)));
        self.indented(Look::Plain, "  Wireshark: ", "    ", &of_hosts(client, server));
        let own = |line: &&FindingLine| (line.item.finding.client, line.item.finding.server) == (client, server);
        let mut findings: Vec<&FindingLine> = board.findings.lines.iter().filter(own).collect();
        findings.sort_by_key(|line| Some(line.item.id) != first);
        for line in findings {
            self.gap();
            self.finding(&line.item);
        }
        let Some(line) = line else { return };
        self.gap();
        self.say(Look::Head, &format!("SERVICES: {}", thousands(line.services_total as u64)));
        let handshake = |line: &ServiceLine| line.handshake.map(|us| span(Duration::from_micros(us.p50)));
        for service in &line.services {
            let (mark, look) = mark_of_worst(service.worst);
            let took = handshake(service).map_or(String::new(), |took| format!(", handshake {took}"));
            let text = format!(
                "{}, {}: {}{took}: {}; {}; last {}",
                service.title,
                service.ports,
                count(service.flows, "flow"),
                shares(service.outcomes.iter()),
                shares(service.standings.iter()),
                service.last.map_or("-".to_owned(), |last| last.clock(true)),
            );
            self.indented(look, &format!("{mark} "), "    ", &text);
        }
        let more = line.services_total.saturating_sub(line.services.len());
        if more > 0 {
            self.say(Look::Plain, &format!("  and {} more", thousands(more as u64)));
        }
    }

    fn finding(&mut self, item: &Item) {
        let finding = &item.finding;
        let (mark, look) = mark_of(item);
        let kind = finding.kind.name().replace('_', " ").to_uppercase();
        let head = format!(
            "{kind} #{}: {} -> {} {}: {}, {} ({})",
            item.id,
            finding.client,
            finding.server,
            place_of(item),
            finding.outcome,
            finding.confidence,
            finding.reason
        );
        self.indented(look, &format!("{mark} "), "    ", &head);
        self.indented(Look::Plain, "  ", "  ", &format!("{}.", item.life(true)));
        self.indented(Look::Plain, "  ", "  ", &finding.text);
        let frames: Vec<String> = finding.frames.iter().map(ToString::to_string).collect();
        let rows: Vec<&str> = finding.rows.iter().map(AsRef::as_ref).collect();
        for (name, list) in [("Frames", frames.join(", ")), ("Rows", rows.join(", "))] {
            if !list.is_empty() {
                self.indented(Look::Plain, &format!("  {name}: "), "    ", &list);
            }
        }
        self.indented(Look::Plain, "  Wireshark: ", "    ", &finding.wireshark);
    }

    fn service(&mut self, board: &Board, service: &str, transport: &str) {
        let line =
            board.services.lines.iter().find(|line| line.service.as_str() == service && line.transport == transport);
        let Some(line) = line else {
            self.say(Look::Plain, "This service is not listed any more.");
            return;
        };
        self.say(Look::Head, &format!("{} ({}), {}", line.title, line.service, line.ports));
        let counts = format!("{} of {}", count(line.flows, "flow"), count(line.pairs, "pair"));
        self.say(Look::Plain, &format!("  {counts}: {}", shares(line.outcomes.iter())));
        self.say(Look::Plain, &format!("  {}", shares(line.standings.iter())));
        self.gap();
        self.say(Look::Head, "PAIRS");
        for pair in &board.pairs.lines {
            let own = pair.services.iter().filter(|own| own.service.as_str() == service && own.transport == transport);
            for own in own {
                let (mark, look) = mark_of_worst(own.worst);
                let text = format!("{} -> {}: {}", pair.sums.client, pair.sums.server, shares(own.outcomes.iter()));
                self.indented(look, &format!("{mark} "), "    ", &text);
            }
        }
        self.gap();
        self.say(
            Look::Plain,
            "Pairs that are not listed, and services after the first of a pair, may be missing here.",
        );
    }

    fn health(&mut self, board: &Board, status: &Status, state: &State) {
        let frames = &status.frames;
        let line = |name: &str, count: u64, more: &str| format!("  {name:<24}{:>15}{more}", thousands(count));
        self.say(Look::Head, "FRAMES, each once");
        for (name, count) in [
            ("parsed", frames.parsed),
            ("filtered", frames.filtered),
            ("waiting", frames.waiting),
            ("dropped by queue", frames.dropped_by_queue),
            ("dropped by kernel", frames.dropped_by_kernel),
            ("dropped by interface", frames.dropped_by_interface),
            ("together: arrived", frames.arrived),
        ] {
            let bad = name.starts_with("dropped") && count > 0;
            self.lines.push(Line { look: if bad { Look::Grave } else { Look::Plain }, text: line(name, count, "") });
        }
        let missed = "  acknowledged, never seen";
        self.say(Look::Plain, &format!("{missed}{:>15}", thousands(status.acked_unseen)));
        let share = format!("  lost of all, recently    {:>13.4} %", status.lost_share * 100.0);
        self.lines.push(Line { look: Look::Plain, text: share });
        for interface in &status.interfaces {
            self.gap();
            let look = if interface.state == "up" { Look::Head } else { Look::Grave };
            let since = interface.since.clock(true);
            self.say(look, &format!("{} is {} since {since}", interface.name, interface.state));
            if let Some(fault) = &interface.fault {
                self.indented(Look::Grave, "  ", "  ", fault.as_str());
            }
            let text = format!(
                "{} received, {} dropped by the kernel, {} by the interface",
                thousands(interface.received),
                thousands(interface.dropped_by_kernel),
                thousands(interface.dropped_by_interface)
            );
            self.indented(Look::Plain, "  ", "    ", &text);
        }
        self.gap();
        self.say(Look::Head, "FLOWS");
        for (name, count) in [
            ("kept with all detail", status.flows_active),
            ("too early to judge", status.flows_pending),
            ("seen since the start", status.flows),
            ("added to the totals", status.flows_expired),
            ("given up for room", status.flows_evicted),
        ] {
            self.lines.push(Line { look: Look::Plain, text: line(name, count, "") });
        }
        let until = status.judged_until.clock(false);
        let judged = format!("  judged until {until}, in {} ms", thousands(status.judged_in_ms));
        self.say(Look::Plain, &judged);
        self.list("BEWARE", Look::Grave, board.notes.iter().map(AsRef::as_ref));
        self.list("LATELY, newest first", Look::Head, state.lately.iter().rev().map(String::as_str));
    }

    fn list<'t>(&mut self, head: &str, look: Look, mut lines: impl Iterator<Item = &'t str>) {
        let Some(first) = lines.next() else { return };
        self.gap();
        self.say(look, head);
        for line in std::iter::once(first).chain(lines) {
            self.indented(Look::Plain, "  - ", "    ", line);
        }
    }

    fn help(&mut self) {
        self.say(Look::Head, "KEYS");
        for (key, what) in [
            ("1 2 3 4, Tab", "findings, pairs, services, health of the watch"),
            ("up down, j k", "move; PageUp PageDown, Home End, g G"),
            ("Enter", "open: evidence of a pair, or who uses a service"),
            ("Esc, left", "back; without a page, show everything again"),
            ("/", "show only lines that have all these words: addresses, names, ports, outcomes"),
            ("s r", "next order; reversed"),
            ("p, space", "hold the lists still; the watch goes on"),
            ("w", "save the report to the files of -o"),
            ("q", "end the watch and print the report; Ctrl-C without asking"),
        ] {
            self.indented(Look::Plain, &format!("  {key:<14}"), &" ".repeat(16), what);
        }
        self.gap();
        self.say(Look::Head, "MARKS");
        for (mark, what, look) in [
            ("X", "blocked: expected, and it failed", Look::Grave),
            ("!", "unexpected: no row allows it, and it works", Look::Doubtful),
            ("?", "attempt, scan, flood, not registered", Look::Doubtful),
            ("~", "works, and only a wide range allows it", Look::Plain),
            ("+", "works", Look::Good),
            (".", "not judged, quiet, or taken back", Look::Plain),
        ] {
            self.lines.push(Line { look, text: format!("  {mark} {what}") });
        }
        self.gap();
        self.say(
            Look::Plain,
            "Times are UTC. No answer seen is no proof of a block, and no finding is no proof of none.",
        );
    }
}

/// As much of a page as fits.
fn show_page(state: &mut State, lines: &[Line], body: Rect, pen: &mut Pen<'_>) {
    // A page needs no heads of columns.
    let (y, room) = (body.y - 1, usize::from(body.height));
    state.room = room;
    state.scroll = state.scroll.min(lines.len().saturating_sub(room));
    for (place, line) in (0..).zip(lines.iter().skip(state.scroll).take(room)) {
        pen.put(0, y + place, &line.text, line.look);
    }
    let left = lines.len().saturating_sub(state.scroll + room);
    if left > 0 {
        let more = format!("-- {} below --", count(left as u64, "line"));
        pen.put(0, body.bottom() - 1, &more, Look::Head);
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop here")]

    use std::collections::BTreeSet;
    use std::env;
    use std::fs;
    use std::path::Path;

    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use ratatui::crossterm::event::KeyCode;
    use ratatui::crossterm::event::KeyEvent;
    use ratatui::crossterm::event::KeyModifiers;

    use super::*;
    use crate::cli::tui::state::Ask;
    use crate::model::time::Timestamp;
    use crate::report::Report;
    use crate::report::ledger::Latest;
    use crate::report::ledger::Ledger;
    use crate::report::moment::Moment;
    use crate::report::sample;
    use crate::report::sanitise::Shown;
    use crate::report::status::FrameCounts;
    use crate::report::status::Interface;
    use crate::report::status::Snapshot;

    /// What is typed for each screen of a golden file.
    const SCREENS: [(&str, &str); 9] = [
        ("findings", ""),
        ("one pair", "\n"),
        ("pairs", "2"),
        ("services", "3"),
        ("who uses a service", "3\n"),
        ("health", "4"),
        ("help", "?"),
        ("a filter while it is typed", "/kerb"),
        ("asked whether to end", "q"),
    ];

    fn status(report: &Report<'_>, ledger: &Ledger) -> Status {
        let at = |ms| Moment(sample::at(ms));
        let interface = |name: &str, state, received| Interface {
            name: Shown::text(name),
            state,
            since: at(0),
            fault: None,
            received,
            dropped_by_kernel: 0,
            dropped_by_interface: 0,
        };
        Status {
            at: at(62_000),
            started: at(0),
            judged_until: at(61_000),
            frames: FrameCounts { arrived: 1_234_657, parsed: 1_234_567, waiting: 90, ..FrameCounts::default() },
            frames_per_second: 12_345,
            bits_per_second: 98_765_432,
            interfaces: vec![interface("mon0", "up", 1_234_657)],
            lost_share: 0.0,
            acked_unseen: 0,
            asymmetric: false,
            flows_active: 11,
            flows_pending: 2,
            flows: 11,
            flows_evicted: 0,
            flows_expired: 0,
            pairs: report.pairs.len() as u64,
            findings: ledger.open(),
            findings_not_kept: 0,
            judged_in_ms: 3,
        }
    }

    /// The sample report on a screen.
    fn begun(report: &Report<'_>, change: impl Fn(&mut Status)) -> State {
        let mut ledger = Ledger::default();
        ledger.update(report.findings.iter(), &Latest::default(), sample::at(9_000), Timestamp::default());
        let mut status = status(report, &ledger);
        change(&mut status);
        let mut state = State::new(true);
        let snapshot = Snapshot { report, status: &status, ledger: &ledger };
        state.take(Board::of(&snapshot, &state.wanted()));
        state
    }

    fn press(state: &mut State, keys: &str) -> Vec<Ask> {
        let code = |char| match char {
            '\n' => KeyCode::Enter,
            '\x1b' => KeyCode::Esc,
            '\t' => KeyCode::Tab,
            'v' => KeyCode::Down,
            char => KeyCode::Char(char),
        };
        keys.chars().filter_map(|char| state.key(KeyEvent::new(code(char), KeyModifiers::NONE))).collect()
    }

    fn drawn(state: &mut State, color: bool, width: u16, height: u16) -> Buffer {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(state, color, frame.area(), frame.buffer_mut())).unwrap();
        terminal.backend().buffer().clone()
    }

    fn text(buffer: &Buffer) -> String {
        let width = usize::from(buffer.area.width);
        let rows = buffer.content.chunks(width).map(|row| {
            let row: String = row.iter().map(ratatui::buffer::Cell::symbol).collect();
            format!("{}\n", row.trim_end())
        });
        rows.collect()
    }

    fn screen(keys: &str, width: u16, height: u16) -> String {
        let mut state = begun(&sample::report(), |_| {});
        // What is chosen is known once it was drawn.
        drawn(&mut state, true, width, height);
        for key in keys.chars() {
            press(&mut state, &key.to_string());
            drawn(&mut state, true, width, height);
        }
        text(&drawn(&mut state, true, width, height))
    }

    #[test]
    fn the_screens_read_so() {
        for (width, height) in [(80, 24), (120, 40)] {
            let screens = SCREENS.map(|(name, keys)| format!("== {name} ==\n{}", screen(keys, width, height)));
            let path = format!("{}/src/cli/tui/screens/{width}x{height}.txt", env!("CARGO_MANIFEST_DIR"));
            let path = Path::new(&path);
            if env::var_os("UPDATE").is_some() {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, screens.concat()).unwrap();
            }
            let expected = fs::read_to_string(path).unwrap();
            for (got, expected) in screens.concat().lines().zip(expected.lines()) {
                assert_eq!(got, expected);
            }
            assert_eq!(screens.concat().len(), expected.len());
        }
    }

    #[test]
    fn the_readme_shows_true_screens() {
        let readme = include_str!("../../../README.md");
        for keys in ["", "\n"] {
            let screen = screen(keys, 80, 24);
            assert!(readme.contains(screen.trim_end()), "{screen}");
        }
    }

    #[test]
    fn without_colour_there_are_marks_and_no_colour() {
        let mut state = begun(&sample::hurt_report(), |_| {});
        for keys in ["", "2", "3", "4", "?"] {
            press(&mut state, keys);
            let buffer = drawn(&mut state, false, 80, 24);
            let plain = |color| color == Color::Reset;
            assert!(buffer.content.iter().all(|cell| plain(cell.fg) && plain(cell.bg)), "{keys}");
            press(&mut state, "\x1b");
        }
        let coloured = drawn(&mut begun(&sample::report(), |_| {}), true, 80, 24);
        let colours: BTreeSet<String> = coloured.content.iter().map(|cell| format!("{:?}", cell.fg)).collect();
        assert!(colours.len() > 2, "{colours:?}");
        let page = text(&drawn(&mut begun(&sample::report(), |_| {}), false, 80, 24));
        for mark in ["> X blocked", "  ! unexpected", "  ? attempt", "  ~ range only"] {
            assert!(page.contains(mark), "{mark} in\n{page}");
        }
    }

    #[test]
    fn no_size_is_too_much_or_too_little() {
        let mut state = begun(&sample::hurt_report(), |_| {});
        for keys in ["", "\n", "\x1b2", "\n", "3", "\n", "4", "?", "?1q", "n/some words", "\n"] {
            press(&mut state, keys);
            for (width, height) in (1..130).step_by(7).zip((1..50).cycle()).chain([(500, 3), (3, 200), (300, 100)]) {
                drawn(&mut state, true, width, height);
            }
        }
    }

    #[test]
    fn nothing_from_outside_reaches_the_terminal_as_it_was() {
        let mut state = begun(&sample::hurt_report(), |status| {
            status.interfaces[0].fault = Some(Shown::text("no \u{1b}[2J such device"));
        });
        state.filter = String::new();
        press(&mut state, "4/a\u{1b}");
        for keys in ["1", "\n", "2", "\n", "3", "4"] {
            press(&mut state, keys);
            let page = text(&drawn(&mut state, true, 200, 100));
            let bad = page.chars().find(|&char| (char.is_control() && char != '\n') || char == '\u{202e}');
            assert_eq!(bad, None, "{page}");
        }
    }

    #[test]
    fn addresses_that_differ_look_different() {
        assert_eq!(ends("2001:db8:1:2::a1", 16), "2001:db8:1:2::a1");
        assert_eq!(ends("2001:db8:1:2::a1", 15), "2001:db~1:2::a1");
        assert_eq!(ends("2001:db8:1:2::a1", 4), "2~a1");
        assert_eq!([ends("2001:db8::1", 1), ends("2001:db8::1", 0)], ["~", "~"], "no room is cut by who draws");
    }

    #[test]
    fn what_was_lost_comes_first() {
        let mut state = begun(&sample::report(), |status| {
            (status.frames.dropped_by_kernel, status.asymmetric) = (1_234, true);
            status.interfaces[0].state = "down";
        });
        let page = text(&drawn(&mut state, true, 80, 24));
        assert!(page.starts_with("portolan  mon0 down"), "{page}");
        assert!(page.lines().nth(1).unwrap().starts_with("ONE DIRECTION ONLY | LOST 1,234 (kernel 1,234) |"), "{page}");
    }

    #[test]
    fn the_choice_follows_its_line_and_a_pause_holds_the_lists_still() {
        let mut state = begun(&sample::report(), |_| {});
        drawn(&mut state, true, 80, 24);
        press(&mut state, "vv");
        let chosen = |state: &mut State| {
            let page = text(&drawn(state, true, 80, 24));
            page.lines().find(|line| line.starts_with('>')).unwrap().to_owned()
        };
        let before = chosen(&mut state);
        press(&mut state, "r");
        assert_eq!(chosen(&mut state), before);
        assert_eq!(
            (state.wanted().orders[0].name(), state.wanted().orders[1].name()),
            ("gravest, reversed".into(), "gravest".into())
        );
        press(&mut state, "p");
        let other = begun(&sample::hurt_report(), |status| status.frames_per_second = 1);
        let findings = state.findings().len();
        state.take(Board { findings: List::default(), ..other.board.unwrap() });
        assert_eq!(state.findings().len(), findings);
        let page = text(&drawn(&mut state, true, 80, 24));
        assert!(page.contains("| 1 frames/s") && page.contains("PAUSED"), "how the watch is goes on: {page}");
    }

    #[test]
    fn a_filter_takes_lines_with_all_its_words() {
        let mut state = begun(&sample::report(), |_| {});
        press(&mut state, "/KERB 10.0.1\n");
        assert_eq!(state.findings().len(), 1);
        press(&mut state, "2");
        assert_eq!(state.pairs().len(), 1);
        press(&mut state, "\x1b");
        assert_eq!(state.pairs().len(), 5);
    }

    #[test]
    fn keys_ask_and_say_what_cannot_be() {
        let mut state = begun(&sample::report(), |_| {});
        assert_eq!(press(&mut state, "w"), [Ask::Report]);
        assert_eq!(press(&mut state, "qn"), []);
        assert_eq!(press(&mut state, "qy"), [Ask::End]);
        assert_eq!(press(&mut state, "w2q"), [], "nothing is heard after that");
        let mut without = State::new(false);
        assert_eq!(press(&mut without, "w"), []);
        assert!(without.message.unwrap().1.contains("-o"));
    }
}
