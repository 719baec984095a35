//! Where the person is: which list, which line, what is typed. Keys change it, and some of them ask for something.
//!
//! This page must never know how anything is drawn, nor where keys come from.

use std::cmp::Ordering;
use std::collections::VecDeque;

use ratatui::crossterm::event::KeyCode;
use ratatui::crossterm::event::KeyEvent;
use ratatui::crossterm::event::KeyModifiers;

use crate::cli::tui::board::Board;
use crate::cli::tui::board::Filter;
use crate::cli::tui::board::FindingLine;
use crate::cli::tui::board::PairLine;
use crate::cli::tui::board::ServiceLine;
use crate::cli::tui::board::Wanted;
use crate::cli::tui::order::Order;
use crate::cli::tui::order::View;
use crate::report::names::Party;
use crate::report::sanitise::Shown;
use crate::report::status::Status;

/// The longest filter, in characters.
const FILTER_MAX: usize = 60;

/// Words of the watch that are remembered.
const LATELY_MAX: usize = 100;

/// What a line is about, whatever place it has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Id {
    /// A finding, by its number.
    Finding(u64),
    /// Two hosts.
    Pair(Party, Party),
    /// A service over a transport.
    Service(Shown, &'static str),
}

/// What lies over the list.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Page {
    /// Two hosts with all that is known of them; the finding that was chosen comes first.
    Pair(Party, Party, Option<u64>),
    /// A finding of many hosts.
    Finding(u64),
    /// Who uses a service.
    Service(Shown, &'static str),
    /// The keys and marks.
    Help,
}

/// What a key asks for of others than the screen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ask {
    /// The report files, now.
    Report,
    /// To end.
    End,
}

/// Where typed characters go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mode {
    /// They are commands.
    Commands,
    /// They are the filter.
    Filter,
    /// They say whether to end.
    EndOrNot,
    /// The watch ends; nothing is heard any more.
    Ending,
}

/// Where one list stands.
#[derive(Clone, Debug, Default)]
struct Cursor {
    on: Option<Id>,
    /// The place of `on` when last drawn.
    at: usize,
    /// The first line that is visible.
    top: usize,
    order: Order,
}

/// All of it.
#[derive(Debug)]
pub(super) struct State {
    pub(super) view: View,
    pub(super) page: Option<Page>,
    pub(super) mode: Mode,
    pub(super) filter: String,
    /// A word to the person, until the next key; and whether it is bad news.
    pub(super) message: Option<(bool, String)>,
    /// What the watch said, the newest last.
    pub(super) lately: VecDeque<String>,
    /// How it is now, also while the lists stand still.
    pub(super) status: Option<Status>,
    /// What the lists show.
    pub(super) board: Option<Board>,
    pub(super) paused: bool,
    /// Whether files were named that the report can be saved to.
    can_save: bool,
    /// The first line of the page that is visible.
    pub(super) scroll: usize,
    /// Lines that fit, when last drawn.
    pub(super) room: usize,
    cursors: [Cursor; 4],
}

impl State {
    /// At the start. `can_save`: there is a file for the report.
    pub(super) fn new(can_save: bool) -> Self {
        Self {
            view: View::Findings,
            page: None,
            mode: Mode::Commands,
            filter: String::new(),
            message: None,
            lately: VecDeque::new(),
            status: None,
            board: None,
            paused: false,
            can_save,
            scroll: 0,
            room: 1,
            cursors: std::array::from_fn(|_| Cursor::default()),
        }
    }

    /// Takes what is known now. While paused, only how the watch is.
    pub(super) fn take(&mut self, board: Board) {
        self.status = Some(board.status.clone());
        if !self.paused || self.board.is_none() {
            self.board = Some(board);
        }
    }

    /// Remembers a word of the watch; shows it if the person waits for it.
    pub(super) fn hear(&mut self, line: String, answer: Option<bool>) {
        if let Some(ok) = answer {
            self.message = Some((!ok, line.clone()));
        }
        if self.lately.len() >= LATELY_MAX {
            self.lately.pop_front();
        }
        self.lately.push_back(line);
    }

    /// What the next board should hold.
    pub(super) fn wanted(&self) -> Wanted {
        let pair = match self.page {
            Some(Page::Pair(client, server, _)) => Some((client, server)),
            _ => None,
        };
        Wanted { filter: Filter::of(&self.filter), orders: self.cursors.each_ref().map(|cursor| cursor.order), pair }
    }

    /// How the list is ordered.
    pub(super) fn order(&self) -> Order {
        self.cursor().order
    }

    fn cursor(&self) -> &Cursor {
        let [first, ..] = &self.cursors;
        self.cursors.get(self.view.place()).unwrap_or(first)
    }

    fn cursor_mut(&mut self) -> Option<&mut Cursor> {
        self.cursors.get_mut(self.view.place())
    }

    /// The findings that are listed, in order.
    pub(super) fn findings(&self) -> Vec<&FindingLine> {
        let all = self.board.iter().flat_map(|board| &board.findings.lines);
        self.listed(all, |line| &line.words, |order, a, b| order.of_findings(&a.item, &b.item))
    }

    /// The pairs that are listed, in order.
    pub(super) fn pairs(&self) -> Vec<&PairLine> {
        let all = self.board.iter().flat_map(|board| &board.pairs.lines);
        self.listed(all, |line| &line.words, |order, a, b| order.of_pairs(&a.sums, &b.sums))
    }

    /// The services that are listed, in order.
    pub(super) fn services(&self) -> Vec<&ServiceLine> {
        let all = self.board.iter().flat_map(|board| &board.services.lines);
        self.listed(all, |line| &line.words, Order::of_services)
    }

    /// The lines that the filter takes as it is typed, which may be younger than the board, in order.
    fn listed<'s, T>(
        &self,
        all: impl Iterator<Item = &'s T>,
        words: impl Fn(&T) -> &str,
        before: impl Fn(Order, &T, &T) -> Ordering,
    ) -> Vec<&'s T> {
        let (filter, order) = (Filter::of(&self.filter), self.order());
        let mut lines: Vec<&T> = all.filter(|line| filter.takes(words(line))).collect();
        lines.sort_by(|a, b| before(order, a, b));
        lines
    }

    /// What the lines of the list are about, in order.
    fn ids(&self) -> Vec<Id> {
        match self.view {
            View::Findings => self.findings().iter().map(|line| Id::Finding(line.item.id)).collect(),
            View::Pairs => self.pairs().iter().map(|line| Id::Pair(line.sums.client, line.sums.server)).collect(),
            View::Services => {
                self.services().iter().map(|line| Id::Service(line.service.clone(), line.transport)).collect()
            }
            View::Health => Vec::new(),
        }
    }

    /// The first visible line of the list, and the chosen one, for so many lines of room. The choice follows its line
    /// to wherever that went.
    pub(super) fn window(&mut self, room: usize) -> (usize, usize) {
        self.room = room.max(1);
        let ids = self.ids();
        let room = self.room;
        let Some(cursor) = self.cursor_mut() else { return (0, 0) };
        let known = cursor.on.as_ref().and_then(|on| ids.iter().position(|id| id == on));
        cursor.at = known.unwrap_or(cursor.at).min(ids.len().saturating_sub(1));
        // Who never moved looks at the top, whatever comes there.
        if cursor.on.is_some() {
            cursor.on = ids.get(cursor.at).cloned();
        } else {
            cursor.at = 0;
        }
        cursor.top = cursor.top.clamp((cursor.at + 1).saturating_sub(room), cursor.at);
        cursor.top = cursor.top.min(ids.len().saturating_sub(room));
        (cursor.top, cursor.at)
    }

    /// Moves the choice, or the page.
    fn go(&mut self, by: impl Fn(usize, usize) -> usize) {
        if self.page.is_some() || self.view == View::Health {
            // The end of the page is found when it is drawn.
            self.scroll = by(self.scroll, usize::MAX);
            return;
        }
        let ids = self.ids();
        if let Some(cursor) = self.cursor_mut() {
            let last = ids.len().saturating_sub(1);
            cursor.at = by(cursor.at, last).min(last);
            cursor.on = ids.get(cursor.at).cloned();
        }
    }

    fn look_at(&mut self, view: View) {
        (self.view, self.page, self.scroll) = (view, None, 0);
    }

    fn open(&mut self) {
        let at = self.cursor().at;
        let page = match self.view {
            View::Findings => self.findings().get(at).map(|line| {
                let finding = &line.item.finding;
                match (finding.client, finding.server) {
                    (Party::One(_), Party::One(_)) => Page::Pair(finding.client, finding.server, Some(line.item.id)),
                    _ => Page::Finding(line.item.id),
                }
            }),
            View::Pairs => self.pairs().get(at).map(|line| Page::Pair(line.sums.client, line.sums.server, None)),
            View::Services => self.services().get(at).map(|line| Page::Service(line.service.clone(), line.transport)),
            View::Health => None,
        };
        if page.is_some() {
            // The choice stays with what was opened.
            self.go(|at, _| at);
            (self.page, self.scroll) = (page, 0);
        }
    }

    /// Obeys a key; what it asks for.
    pub(super) fn key(&mut self, key: KeyEvent) -> Option<Ask> {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        self.message = None;
        if control && matches!(key.code, KeyCode::Char('c' | 'd')) {
            self.mode = Mode::Ending;
            return Some(Ask::End);
        }
        match self.mode {
            Mode::Ending => None,
            Mode::EndOrNot => {
                let yes = matches!(key.code, KeyCode::Char('y' | 'Y') | KeyCode::Enter);
                self.mode = if yes { Mode::Ending } else { Mode::Commands };
                yes.then_some(Ask::End)
            }
            Mode::Filter => {
                self.type_filter(key.code, control);
                None
            }
            Mode::Commands if control => {
                match key.code {
                    KeyCode::Char('f') => self.page_down(),
                    KeyCode::Char('b') => self.page_up(),
                    _ => {}
                }
                None
            }
            Mode::Commands => self.command(key.code),
        }
    }

    fn type_filter(&mut self, code: KeyCode, control: bool) {
        match code {
            KeyCode::Enter => self.mode = Mode::Commands,
            KeyCode::Esc => {
                self.filter.clear();
                self.mode = Mode::Commands;
            }
            KeyCode::Char('u') if control => self.filter.clear(),
            KeyCode::Backspace => {
                self.filter.pop();
            }
            KeyCode::Char(char) if !control && self.filter.chars().count() < FILTER_MAX => {
                // What somebody pastes is from outside, too.
                self.filter.push_str(Shown::text(char.encode_utf8(&mut [0; 4])).as_str());
            }
            _ => {}
        }
    }

    fn page_down(&mut self) {
        let room = self.room;
        self.go(|at, last| at.saturating_add(room).min(last));
    }

    fn page_up(&mut self) {
        let room = self.room;
        self.go(|at, _| at.saturating_sub(room));
    }

    fn command(&mut self, code: KeyCode) -> Option<Ask> {
        match code {
            KeyCode::Char('q') => self.mode = Mode::EndOrNot,
            KeyCode::Char('?' | 'h') | KeyCode::F(1) => {
                let help = self.page == Some(Page::Help);
                (self.page, self.scroll) = ((!help).then_some(Page::Help), 0);
            }
            KeyCode::Char('/') => {
                self.page = None;
                self.mode = Mode::Filter;
            }
            KeyCode::Char('s') => {
                let view = self.view;
                self.cursor_mut().into_iter().for_each(|cursor| cursor.order = cursor.order.next(view));
            }
            KeyCode::Char('r') => {
                self.cursor_mut().into_iter().for_each(|cursor| cursor.order = cursor.order.turned());
            }
            KeyCode::Char('p' | ' ') => self.paused = !self.paused,
            KeyCode::Char('w') if self.can_save => {
                self.message = Some((false, "the report is being saved".to_owned()));
                return Some(Ask::Report);
            }
            KeyCode::Char('w') => {
                let why = "cannot save: no file was named with -o, and no other may be written now";
                self.message = Some((true, why.to_owned()));
            }
            KeyCode::Char(digit @ '1'..='4') => {
                let place = digit.to_digit(10).map_or(0, |digit| digit as usize - 1);
                View::ALL.get(place).into_iter().for_each(|view| self.look_at(*view));
            }
            KeyCode::Tab => self.turn(1),
            KeyCode::BackTab => self.turn(View::ALL.len() - 1),
            KeyCode::Esc | KeyCode::Backspace if self.page.is_some() => (self.page, self.scroll) = (None, 0),
            KeyCode::Esc => self.filter.clear(),
            KeyCode::Enter | KeyCode::Right if self.page.is_none() => self.open(),
            KeyCode::Left => (self.page, self.scroll) = (None, 0),
            KeyCode::Up | KeyCode::Char('k') => self.go(|at, _| at.saturating_sub(1)),
            KeyCode::Down | KeyCode::Char('j') => self.go(|at, last| at.saturating_add(1).min(last)),
            KeyCode::PageUp => self.page_up(),
            KeyCode::PageDown => self.page_down(),
            KeyCode::Home | KeyCode::Char('g') => self.go(|_, _| 0),
            KeyCode::End | KeyCode::Char('G') => self.go(|_, last| last),
            _ => {}
        }
        None
    }

    fn turn(&mut self, by: usize) {
        let place = (self.view.place() + by) % View::ALL.len();
        View::ALL.get(place).into_iter().for_each(|view| self.look_at(*view));
    }
}
