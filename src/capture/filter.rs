//! A tcpdump filter expression, compiled by libpcap for each link type that appears.
//!
//! It hands on yes or no per frame. It must never know which input a frame came from.

#[cfg(feature = "live")]
use pcap::BpfProgram;
#[cfg(feature = "live")]
use pcap::Capture;
#[cfg(feature = "live")]
use pcap::Linktype;

use crate::capture::batch::LinkType;
use crate::capture::error::CaptureError;

const ETHERNET: LinkType = LinkType(1);

/// Programs kept. More link types than this in one run is a hostile file; their frames do not match.
const PROGRAMS_MAX: usize = 64;

/// A filter for frames of any link type.
///
/// libpcap's program for saved frames is run through a call that takes only the bytes, so in an expression `len`, `less` and
/// `greater` mean the *captured* length: the length on the wire is not known to it.
pub struct Filter {
    expression: String,
    programs: Vec<Program>,
    /// The program of the newest frame, which the next one most likely needs too.
    current: usize,
}

struct Program {
    link: LinkType,
    /// libpcap's program, or why it made none.
    compiled: Result<BpfProgram, String>,
    /// Frames that had no chance to match for want of a program.
    unjudged: u64,
}

impl Filter {
    /// Compiles an expression (pcap-filter(7)) for Ethernet, so that a wrong one is found before anything is read.
    ///
    /// # Errors
    /// [`CaptureError::Filter`] with libpcap's message.
    pub fn compile(expression: &str) -> Result<Self, CaptureError> {
        let ethernet = program(expression, ETHERNET);
        if let Err(message) = &ethernet.compiled {
            return Err(CaptureError::Filter { expression: expression.to_owned(), message: message.clone() });
        }
        Ok(Self { expression: expression.to_owned(), programs: vec![ethernet], current: 0 })
    }

    /// The expression as typed.
    pub fn expression(&self) -> &str {
        &self.expression
    }

    /// Whether the filter lets a frame pass. A frame of a link type for which the expression has no meaning does not.
    ///
    /// The length on the wire is asked for so that callers need not change when libpcap can be told it; see above.
    pub fn matches(&mut self, link: LinkType, bytes: &[u8], _wire_len: u32) -> bool {
        if self.programs.get(self.current).is_none_or(|program| program.link != link) {
            self.current = self.find(link);
        }
        match self.programs.get_mut(self.current) {
            Some(Program { compiled: Ok(compiled), .. }) => compiled.filter(bytes),
            Some(Program { unjudged, .. }) => {
                *unjudged += 1;
                false
            }
            None => false,
        }
    }

    #[cold]
    fn find(&mut self, link: LinkType) -> usize {
        if let Some(known) = self.programs.iter().position(|program| program.link == link) {
            return known;
        }
        if self.programs.len() < PROGRAMS_MAX {
            self.programs.push(program(&self.expression, link));
            return self.programs.len() - 1;
        }
        PROGRAMS_MAX
    }

    /// One sentence for each link type whose frames could not be judged.
    pub fn notes(&self) -> Vec<String> {
        let unjudged = self.programs.iter().filter(|program| program.unjudged > 0);
        unjudged
            .map(|Program { link, compiled, unjudged }| {
                let name = link.name().map_or_else(|| format!("number {}", link.0), str::to_owned);
                let why = compiled.as_ref().err().map_or("", String::as_str);
                format!("the filter has no meaning for link type {name}: {unjudged} frames left out ({why})")
            })
            .collect()
    }
}

#[cfg(feature = "live")]
fn program(expression: &str, link: LinkType) -> Program {
    let compiled = Capture::dead(Linktype(link.dlt())).and_then(|capture| capture.compile(expression, true));
    let compiled = compiled.map_err(|error| match error {
        pcap::Error::PcapError(message) => message,
        other => other.to_string(),
    });
    Program { link, compiled, unjudged: 0 }
}

/// A program of libpcap, which was left out: there is none.
#[cfg(not(feature = "live"))]
enum BpfProgram {}

#[cfg(not(feature = "live"))]
impl BpfProgram {
    fn filter(&self, _: &[u8]) -> bool {
        match *self {}
    }
}

#[cfg(not(feature = "live"))]
fn program(_: &str, link: LinkType) -> Program {
    let why = "this program was built without libpcap, which reads filter expressions".to_owned();
    Program { link, compiled: Err(why), unjudged: 0 }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop here")]

    use super::ETHERNET;
    use super::Filter;
    use crate::capture::batch::LinkType;

    /// An IPv4 TCP SYN from port 1025 to port 389, without a link header.
    const IP: &[u8] = &[
        0x45, 0, 0, 40, 0, 1, 0, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 4, 1, 1, 0x85, 0, 0, 0, 1, 0, 0, 0, 0, 0x50,
        2, 0, 0, 0, 0, 0, 0,
    ];

    fn ethernet() -> Vec<u8> {
        [&[0; 12][..], &[8, 0], IP].concat()
    }

    #[test]
    fn a_wrong_expression_is_refused_with_the_words_of_libpcap() {
        let error = Filter::compile("tcp prot 389").err().unwrap().to_string();
        assert!(error.contains("tcp prot 389") && error.contains("syntax error"), "{error}");
        assert!(Filter::compile("a\0b").is_err());
    }

    #[test]
    fn each_link_type_gets_its_own_program() {
        let mut filter = Filter::compile("tcp dst port 389").unwrap();
        assert!(filter.matches(ETHERNET, &ethernet(), 54));
        assert!(filter.matches(LinkType(101), IP, 40));
        assert!(!filter.matches(ETHERNET, IP, 40));
        assert!(!filter.matches(ETHERNET, &[], 0));
        let mut filter = Filter::compile("tcp dst port 88").unwrap();
        assert!(!filter.matches(ETHERNET, &ethernet(), 54));
        assert!(filter.notes().is_empty());
    }

    #[test]
    fn a_link_type_without_meaning_matches_nothing_and_says_so() {
        let mut filter = Filter::compile("ether host 00:00:00:00:00:00").unwrap();
        assert!(filter.matches(ETHERNET, &ethernet(), 54));
        assert!(!filter.matches(LinkType(101), IP, 40));
        let notes = filter.notes();
        assert!(notes.len() == 1 && notes.iter().all(|note| note.contains("RAW: 1 frames left out")), "{notes:?}");
    }

    #[test]
    fn a_flood_of_link_types_is_bounded() {
        let mut filter = Filter::compile("tcp").unwrap();
        for link in 30_000..31_000 {
            filter.matches(LinkType(link), IP, 40);
        }
        assert_eq!(filter.programs.len(), super::PROGRAMS_MAX);
    }

    #[test]
    fn length_is_the_captured_length() {
        let mut filter = Filter::compile("greater 1000").unwrap();
        assert!(!filter.matches(ETHERNET, &ethernet(), 1500));
    }
}
