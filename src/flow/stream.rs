//! One direction of a TCP connection, put back in order: each byte once, whatever the segments.
//!
//! This file knows sequence numbers and nothing else. What the bytes mean is decided by whoever asked for them.

/// Bytes that may wait for a missing segment. With more, the missing one is given up.
const WAITING_MAX: usize = 64 << 10;

/// Segments that may wait.
const SEGMENTS_MAX: usize = 64;

/// A direction of a connection.
#[derive(Debug, Default)]
pub struct Stream {
    /// The sequence number of the next byte wanted; `None` before anything is known.
    next: Option<u32>,
    /// Segments that came too early, in the order of their numbers.
    waiting: Vec<Segment>,
    waiting_bytes: usize,
}

#[derive(Debug)]
struct Segment {
    seq: u32,
    bytes: Vec<u8>,
}

/// How far `a` is behind `b` in sequence space; negative if it is before (RFC 9293 section 3.4).
#[expect(clippy::cast_possible_wrap, reason = "sequence numbers are compared modulo 2^32")]
fn distance(a: u32, b: u32) -> i32 {
    a.wrapping_sub(b) as i32
}

#[expect(clippy::cast_possible_truncation, reason = "a segment is no longer than an IP packet")]
fn end_of(seq: u32, bytes: &[u8]) -> u32 {
    seq.wrapping_add(bytes.len() as u32)
}

impl Stream {
    /// A direction whose first byte has this number: one more than the SYN's.
    pub fn from_syn(isn: u32) -> Self {
        Self { next: Some(isn.wrapping_add(1)), ..Self::default() }
    }

    /// Takes a segment and returns those of its bytes that come next; nothing if it is old, or early and kept.
    ///
    /// The first segment of a direction whose SYN was not seen is taken as its beginning.
    pub fn take<'b>(&mut self, seq: u32, bytes: &'b [u8]) -> &'b [u8] {
        let next = *self.next.get_or_insert(seq);
        let early = distance(seq, next);
        if early > 0 {
            self.keep(seq, bytes);
            return &[];
        }
        let fresh = usize::try_from(early.unsigned_abs()).ok().and_then(|old| bytes.get(old..)).unwrap_or_default();
        self.next = Some(end_of(next, fresh));
        fresh
    }

    /// A kept segment whose turn has come. To be asked until it has none.
    pub fn follow(&mut self) -> Option<Vec<u8>> {
        while let Some(first) = self.waiting.first() {
            let early = distance(first.seq, self.next?);
            if early > 0 {
                return None;
            }
            let segment = self.waiting.remove(0);
            self.waiting_bytes -= segment.bytes.len();
            let old = usize::try_from(early.unsigned_abs()).unwrap_or(usize::MAX);
            if old < segment.bytes.len() {
                let mut bytes = segment.bytes;
                bytes.drain(..old);
                self.next = self.next.map(|next| end_of(next, &bytes));
                return Some(bytes);
            }
        }
        None
    }

    /// Whether so much waits that the bytes before it will not come: they were lost, and [`Self::skip`] is due.
    pub fn is_stuck(&self) -> bool {
        self.waiting_bytes > WAITING_MAX || self.waiting.len() > SEGMENTS_MAX
    }

    /// Whether the bytes before what waits were not captured and did arrive: the other end acknowledged so much.
    pub fn lacks(&self, acked: u32) -> bool {
        !self.waiting.is_empty() && self.missing(acked) > 0
    }

    /// How many bytes before this number did not come yet; none before anything is known.
    pub fn missing(&self, seq: u32) -> i32 {
        self.next.map_or(0, |next| distance(seq, next))
    }

    /// Gives up the missing bytes: the first waiting segment is next.
    pub fn skip(&mut self) {
        if let Some(first) = self.waiting.first() {
            self.next = Some(first.seq);
        }
    }

    /// Bytes were cut off the end of the last segment: they count as taken and lost.
    pub fn lose(&mut self, bytes: u32) {
        self.next = self.next.map(|next| next.wrapping_add(bytes));
    }

    /// How many bytes it holds.
    pub fn held(&self) -> usize {
        self.waiting_bytes
    }

    fn keep(&mut self, seq: u32, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let place = self.waiting.partition_point(|segment| distance(segment.seq, seq) < 0);
        let repeats =
            self.waiting.get(place).is_some_and(|segment| segment.seq == seq && segment.bytes.len() >= bytes.len());
        if !repeats {
            self.waiting_bytes += bytes.len();
            self.waiting.insert(place, Segment { seq, bytes: bytes.to_vec() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds pieces of `text`, by place and length, and returns what came out in order.
    fn order(text: &[u8], isn: u32, pieces: &[(usize, usize)]) -> Vec<u8> {
        let mut stream = Stream::from_syn(isn);
        let mut out = Vec::new();
        for (at, len) in pieces {
            let seq = isn.wrapping_add(1).wrapping_add(u32::try_from(*at).unwrap_or(0));
            out.extend_from_slice(stream.take(seq, &text[*at..at + len]));
            while let Some(more) = stream.follow() {
                out.extend_from_slice(&more);
            }
        }
        out
    }

    #[test]
    fn any_order_and_overlap_gives_each_byte_once() {
        let text: Vec<u8> = (0..=255).collect();
        for isn in [0, 7, u32::MAX - 100, u32::MAX] {
            assert_eq!(order(&text, isn, &[(0, 100), (100, 156)]), text);
            assert_eq!(order(&text, isn, &[(100, 156), (0, 100)]), text);
            assert_eq!(order(&text, isn, &[(200, 56), (50, 100), (0, 60), (140, 70)]), text);
            assert_eq!(order(&text, isn, &[(0, 256), (0, 256), (10, 20)]), text);
            assert_eq!(order(&text, isn, &[(50, 10), (50, 206), (0, 50)]), text);
            assert_eq!(order(&text, isn, &[(0, 50), (60, 100)]), text[..50]);
        }
    }

    #[test]
    fn a_hole_that_is_never_filled_is_skipped_and_memory_stays_bounded() {
        let mut stream = Stream::from_syn(0);
        let piece = [7; 1000];
        let mut seq = 500;
        while !stream.is_stuck() {
            assert!(stream.take(seq, &piece).is_empty() && stream.follow().is_none());
            seq += 1000;
            assert!(stream.held() <= WAITING_MAX + 1000);
        }
        stream.skip();
        let mut got = 0;
        while let Some(bytes) = stream.follow() {
            got += bytes.len();
        }
        assert_eq!(got, seq as usize - 500);
        assert_eq!(stream.held(), 0);
        assert_eq!(stream.take(seq, b"on").len(), 2);
    }

    #[test]
    fn what_the_other_end_acknowledged_and_nobody_captured_is_lacking() {
        let mut stream = Stream::from_syn(u32::MAX - 2);
        assert_eq!(stream.take(u32::MAX - 1, b"ab"), b"ab");
        assert!(!stream.lacks(9), "nothing waits");
        assert_eq!(stream.take(3, b"fg"), b"");
        assert!(!stream.lacks(0) && stream.lacks(1) && stream.lacks(5));
        stream.skip();
        assert_eq!(stream.follow().as_deref(), Some(&b"fg"[..]));
    }

    #[test]
    fn a_direction_without_syn_begins_where_it_is_first_seen() {
        let mut stream = Stream::default();
        assert_eq!(stream.take(4_000_000_000, b"abc"), b"abc");
        assert_eq!(stream.take(4_000_000_002, b"cd"), b"d");
        stream.lose(10);
        assert_eq!(stream.take(4_000_000_014, b"x"), b"x");
    }
}
