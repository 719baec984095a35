//! Cuts one direction of a connection into PDUs, whatever its segments were.
//!
//! Hands on whole PDUs where somebody wants to read them, and only the beginning of all others, whose rest is passed over
//! without being kept. This file must never know calls, contexts or what a PDU holds.

use crate::proto::dcerpc::Begins;
use crate::proto::dcerpc::CALL_HEADER_LEN;
use crate::proto::dcerpc::HEADER_LEN;
use crate::proto::dcerpc::HTTP_GREETING;
use crate::proto::dcerpc::Header;
use crate::proto::dcerpc::Kind;

/// Room that is made for a PDU at once: most binds and calls to the mapper are no longer.
const USUAL_LEN: usize = 256;

/// What is waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Stage {
    /// Where a PDU begins is not known: the next piece may tell.
    #[default]
    Lost,
    /// A header.
    Header,
    /// The head of a request or response, which tells whether it is wanted.
    Call(Header),
    /// All of a PDU.
    Whole(Header),
}

/// What came first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Opening {
    #[default]
    Nothing,
    Greeting,
    /// Anything else, so that a greeting can no longer come.
    Other,
}

/// One direction of a connection. At most 64 KiB are kept, the longest that a PDU can be.
#[derive(Debug, Default)]
pub(super) struct Framer {
    stage: Stage,
    kept: Vec<u8>,
    /// What is kept was handed on already.
    spent: bool,
    /// Bytes of an unwanted PDU that are still to come.
    skip: usize,
    /// The place was lost, and this piece may not be the one that tells it again.
    guessing: bool,
    /// Pieces in a row that did not tell it.
    guesses: u32,
    opening: Opening,
    losses: u64,
}

/// A PDU, or its beginning.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pdu<'a> {
    pub(super) header: Header,
    pub(super) bytes: &'a [u8],
    /// All of it is there; else only as much as was needed to see that nobody wants it.
    pub(super) whole: bool,
}

impl Framer {
    /// To be called before each new piece of the stream: where the place was lost, a piece may begin a PDU.
    pub(super) fn piece(&mut self) {
        if self.stage == Stage::Lost {
            self.kept.clear();
            self.spent = false;
            self.skip = 0;
            self.guessing = true;
            self.stage = Stage::Header;
        }
    }

    /// The next PDU that `rest` completes; `None` when all of it is used up. What lies in one piece is looked at there:
    /// only what goes on in another is kept.
    ///
    /// `wanted` is shown each request's and response's first bytes.
    pub(super) fn next<'a, 'b: 'a>(
        &'a mut self,
        rest: &mut &'b [u8],
        wanted: impl Fn(&Header, &[u8]) -> bool,
    ) -> Option<Pdu<'a>> {
        if self.spent {
            self.kept.clear();
            self.spent = false;
        }
        let passed = self.skip.min(rest.len());
        *rest = rest.get(passed..).unwrap_or_default();
        self.skip -= passed;
        while self.skip == 0 {
            let need = self.need(rest)?;
            let whole = rest.get(..need).filter(|_| self.kept.is_empty());
            if whole.is_none() {
                self.keep(need, rest);
            }
            let view = whole.unwrap_or(&self.kept);
            let full = view.len() >= need;
            match self.stage {
                Stage::Lost => return None,
                Stage::Header if self.opening == Opening::Nothing && HTTP_GREETING.starts_with(view) => {
                    if full {
                        self.kept.clear();
                        *rest = after(rest, whole);
                        self.opening = Opening::Greeting;
                    }
                }
                Stage::Header => {
                    let begins = Header::read(view);
                    self.header(begins, rest);
                }
                _ if !full => return None,
                Stage::Call(header) if wanted(&header, view) => self.stage = Stage::Whole(header),
                Stage::Call(header) => {
                    self.skip = usize::from(header.frag_length).saturating_sub(need);
                    *rest = after(rest, whole);
                    return Some(self.hand_on(header, whole, false));
                }
                Stage::Whole(header) => {
                    *rest = after(rest, whole);
                    return Some(self.hand_on(header, whole, true));
                }
            }
            if !full && rest.is_empty() {
                return None;
            }
        }
        None
    }

    /// Bytes of the stream are missing, or what came was no PDU.
    pub(super) fn lose(&mut self) {
        self.stage = Stage::Lost;
        self.kept.clear();
        self.kept.shrink_to(USUAL_LEN);
    }

    /// How many bytes are kept.
    pub(super) fn held(&self) -> usize {
        self.kept.capacity()
    }

    /// The server greeted as RPC over HTTP version 1 does.
    pub(super) fn greeted(&self) -> bool {
        self.opening == Opening::Greeting
    }

    /// How often something that was no PDU stood where one had to begin.
    pub(super) fn losses(&self) -> u64 {
        self.losses
    }

    /// How many pieces in a row began no PDU, since the place was lost.
    pub(super) fn guesses(&self) -> u32 {
        self.guesses
    }

    /// How many bytes must be kept to go on. `None` if there is nothing to look at.
    fn need(&self, rest: &[u8]) -> Option<usize> {
        match self.stage {
            Stage::Lost => None,
            Stage::Header => {
                let first = self.kept.first().or(rest.first())?;
                let greeting = self.opening == Opening::Nothing && HTTP_GREETING.first() == Some(first);
                Some(if greeting { HTTP_GREETING.len() } else { HEADER_LEN })
            }
            Stage::Call(_) => Some(HEADER_LEN + CALL_HEADER_LEN),
            Stage::Whole(header) => Some(header.frag_length.into()),
        }
    }

    /// Keeps as much of `rest` as is needed.
    fn keep(&mut self, need: usize, rest: &mut &[u8]) {
        let (taken, after) = rest.split_at(rest.len().min(need.saturating_sub(self.kept.len())));
        // Not more than is usual by what a length field says.
        self.kept.reserve_exact(need.min(USUAL_LEN).saturating_sub(self.kept.len()));
        self.kept.extend_from_slice(taken);
        *rest = after;
    }

    fn header(&mut self, begins: Begins, rest: &mut &[u8]) {
        match begins {
            Begins::Perhaps => {}
            Begins::With(header) => {
                self.open();
                self.guessing = false;
                self.guesses = 0;
                let call = matches!(header.kind, Kind::Request | Kind::Response);
                self.stage = if call { Stage::Call(header) } else { Stage::Whole(header) };
            }
            Begins::Not => {
                self.losses += u64::from(!self.guessing);
                self.guesses += u32::from(self.guessing);
                self.open();
                self.lose();
                *rest = &[];
            }
        }
    }

    fn open(&mut self) {
        if self.opening == Opening::Nothing {
            self.opening = Opening::Other;
        }
    }

    /// `whole` is what lay in one piece; else it was kept.
    fn hand_on<'a>(&'a mut self, header: Header, whole: Option<&'a [u8]>, complete: bool) -> Pdu<'a> {
        self.stage = Stage::Header;
        self.spent = whole.is_none();
        Pdu { header, bytes: whole.unwrap_or(&self.kept), whole: complete }
    }
}

/// What comes behind that which lay in one piece.
fn after<'b>(rest: &'b [u8], whole: Option<&[u8]>) -> &'b [u8] {
    rest.get(whole.map_or(0, <[u8]>::len)..).unwrap_or_default()
}
