//! Cuts one direction of an SMB connection into commands, and hands on what they carry as it comes.
//!
//! Only the head of a command is ever kept, and that only where a segment ends in it: data are handed on or passed over by
//! their length. This file must never know files, pipes or calls.

use crate::proto::part::Stop;
use crate::proto::pipe;
use crate::proto::pipe::Command;
use crate::proto::pipe::PACKET_LEN;
use crate::proto::pipe::Packet;

/// The most bytes of a command that are kept: the longest that one is until its data or the end of a name.
pub(super) const HEAD_MAX: usize = 1024;

/// What is waited for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Stage {
    /// Where a packet begins is not known: the next piece may tell.
    #[default]
    Lost,
    /// The header of a packet.
    Packet,
    /// The head of a command, with so many bytes until its message's end.
    Command(usize),
    /// The rest of a command.
    Rest(Rest),
}

/// What is still to come of a command whose head is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Rest {
    /// Bytes until its data.
    before: usize,
    /// Bytes of data.
    data: usize,
    /// Bytes behind its data.
    behind: usize,
    /// Bytes of further commands of the same message.
    others: usize,
}

/// One direction of a connection.
#[derive(Debug, Default)]
pub(super) struct Framer {
    stage: Stage,
    kept: Vec<u8>,
}

/// A part of what one end sent.
#[derive(Debug)]
pub(super) enum Piece<'a> {
    /// The head of a command.
    Command(&'a Command<'a>),
    /// Data of the command before, or a part of them.
    Data(&'a [u8]),
}

impl Framer {
    /// Takes the next bytes of the stream and tells what is in them. Where the place was lost, they may begin a packet.
    pub(super) fn take(&mut self, bytes: &[u8], tell: &mut dyn FnMut(Piece<'_>)) {
        if self.stage == Stage::Lost && begins(bytes) {
            self.stage = Stage::Packet;
        }
        self.go_on(bytes, tell);
    }

    /// Bytes of the stream are missing.
    pub(super) fn lose(&mut self) {
        self.stage = Stage::Lost;
        self.kept.clear();
    }

    /// How many bytes are kept.
    pub(super) fn held(&self) -> usize {
        self.kept.capacity()
    }

    fn go_on(&mut self, bytes: &[u8], tell: &mut dyn FnMut(Piece<'_>)) {
        let mut left = bytes;
        while !left.is_empty() {
            let used = match self.stage {
                Stage::Lost => return,
                Stage::Packet => self.packet(left),
                Stage::Command(declared) => self.command(left, declared, tell),
                Stage::Rest(rest) => self.rest(left, rest, tell),
            };
            left = left.get(used..).unwrap_or_default();
        }
    }

    /// Goes on with the header of a packet; how many bytes that took.
    fn packet(&mut self, left: &[u8]) -> usize {
        if let Some(header) = left.first_chunk().filter(|_| self.kept.is_empty()) {
            self.stage = after(*header);
            return PACKET_LEN;
        }
        let taken = left.get(..PACKET_LEN.saturating_sub(self.kept.len())).unwrap_or(left);
        self.kept.extend_from_slice(taken);
        if let Ok(header) = <[u8; PACKET_LEN]>::try_from(self.kept.as_slice()) {
            self.kept.clear();
            self.stage = after(header);
        }
        taken.len()
    }

    /// Goes on with the head of a command. If all of it is at hand nothing is kept, and none of it is used up: the rest
    /// of the command begins with its first byte.
    fn command(&mut self, left: &[u8], declared: usize, tell: &mut dyn FnMut(Piece<'_>)) -> usize {
        let most = HEAD_MAX.min(declared);
        if self.kept.is_empty() {
            let view = left.get(..most).unwrap_or(left);
            if self.head(view, declared, most, tell) {
                return 0;
            }
            self.kept.extend_from_slice(view);
            return view.len();
        }
        // What goes on may go on again.
        self.kept.reserve_exact(most.saturating_sub(self.kept.len()));
        let taken = left.get(..most.saturating_sub(self.kept.len())).unwrap_or(left);
        self.kept.extend_from_slice(taken);
        let mut kept = std::mem::take(&mut self.kept);
        if self.head(&kept, declared, most, tell) {
            self.go_on(&kept, tell);
            kept.clear();
        }
        if self.kept.is_empty() {
            // Its room is used again.
            self.kept = kept;
        }
        taken.len()
    }

    /// Looks at the beginning of a command; whether it is known by now what comes next.
    fn head(&mut self, view: &[u8], declared: usize, most: usize, tell: &mut dyn FnMut(Piece<'_>)) -> bool {
        match pipe::command(view, declared) {
            Ok(command) => {
                let (at, data) = command.data.map_or((command.length, 0), |span| (span.at, span.len));
                let behind = command.length.saturating_sub(at + data);
                let others = declared.saturating_sub(command.length);
                self.stage = Rest { before: at, data, behind, others }.stage();
                tell(Piece::Command(&command));
                true
            }
            Err(Stop::Short) if view.len() < most => false,
            // Longer than any command of interest.
            Err(Stop::Short) => {
                self.stage = Rest { before: declared, ..Rest::default() }.stage();
                true
            }
            Err(Stop::Wrong) => {
                self.stage = Stage::Lost;
                true
            }
        }
    }

    /// Goes on with the rest of a command; how many bytes that took.
    fn rest(&mut self, left: &[u8], mut rest: Rest, tell: &mut dyn FnMut(Piece<'_>)) -> usize {
        let passed = rest.before.min(left.len());
        rest.before -= passed;
        let data = left.get(passed..).unwrap_or_default();
        let data = data.get(..rest.data).unwrap_or(data);
        rest.data -= data.len();
        let mut used = passed + data.len();
        if rest.before == 0 && rest.data == 0 {
            let passed = rest.behind.min(left.len() - used);
            rest.behind -= passed;
            used += passed;
        }
        self.stage = rest.stage();
        if !data.is_empty() {
            tell(Piece::Data(data));
        }
        used
    }
}

impl Rest {
    /// What to wait for.
    fn stage(self) -> Stage {
        match self {
            Self { before: 0, data: 0, behind: 0, others: 0 } => Stage::Packet,
            Self { before: 0, data: 0, behind: 0, others } => Stage::Command(others),
            rest => Stage::Rest(rest),
        }
    }
}

/// What to wait for behind the header of a packet.
fn after(header: [u8; PACKET_LEN]) -> Stage {
    match pipe::packet(header) {
        Some(Packet::Message(0)) => Stage::Packet,
        Some(Packet::Message(length)) => Stage::Command(length),
        Some(Packet::Session(length)) => Rest { before: length, ..Rest::default() }.stage(),
        None => Stage::Lost,
    }
}

/// Whether a packet of SMB begins here. Less than its first letters is not enough to say so, unless it is all alone.
fn begins(bytes: &[u8]) -> bool {
    let Some((header, rest)) = bytes.split_first_chunk::<PACKET_LEN>() else { return true };
    match pipe::packet(*header) {
        Some(Packet::Message(0)) => true,
        Some(Packet::Message(length)) => rest.is_empty() || pipe::command(rest, length) != Err(Stop::Wrong),
        Some(Packet::Session(length)) => length <= HEAD_MAX,
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::craft_smb as craft;

    /// What a framer tells of a stream that comes in pieces of this many bytes: how many commands, and their data.
    fn told(stream: &[u8], piece: usize) -> (usize, Vec<u8>, usize) {
        let mut framer = Framer::default();
        let (mut commands, mut data, mut held) = (0, Vec::new(), 0);
        for bytes in stream.chunks(piece) {
            framer.take(bytes, &mut |piece| match piece {
                Piece::Command(_) => commands += 1,
                Piece::Data(bytes) => data.extend_from_slice(bytes),
            });
            held = held.max(framer.held());
        }
        (commands, data, held)
    }

    fn stream() -> Vec<u8> {
        [
            vec![0x85, 0, 0, 0],
            craft::packet(&craft::create2(1, craft::TREE, "lsarpc")),
            craft::packet(&craft::compound2(&[
                craft::write2(2, craft::FILE, b"first"),
                craft::close2(3, craft::FILE),
                craft::write2(4, craft::FILE, b"second"),
            ])),
            craft::packet(&craft::write2(5, craft::FILE, &vec![9; 70_000])),
            craft::packet(&craft::write1(6, 0x4001, b"third")),
        ]
        .concat()
    }

    #[test]
    fn segmentation_does_not_matter_and_data_are_not_kept() {
        let wanted = [&b"firstsecond"[..], &vec![9; 70_000], b"third"].concat();
        for piece in (1..200).chain([1000, 1460, 64_000, usize::MAX]) {
            let (commands, data, held) = told(&stream(), piece);
            assert_eq!((commands, data == wanted), (6, true), "{piece}");
            assert!(held <= HEAD_MAX, "{piece}: {held}");
        }
    }

    #[test]
    fn after_a_gap_the_next_packet_that_begins_a_piece_goes_on() {
        let mut framer = Framer::default();
        let packet = craft::packet(&craft::write2(5, craft::FILE, b"data"));
        let mut heard = Vec::new();
        let mut tell = |piece: Piece<'_>| {
            if let Piece::Data(bytes) = piece {
                heard.extend_from_slice(bytes);
            }
        };
        framer.take(&packet[..100], &mut tell);
        framer.lose();
        framer.take(&packet[102..], &mut tell);
        framer.take(b"\0\0\0\x20not a message of it at all, sure", &mut tell);
        framer.take(&packet, &mut tell);
        assert_eq!(heard, b"data");
    }

    #[test]
    fn cut_anywhere_or_with_a_flipped_bit_it_stays_within_its_bounds() {
        let stream: Vec<u8> = stream()[..900].to_vec();
        for end in 0..stream.len() {
            told(&stream[..end], usize::MAX);
        }
        for bit in 0..stream.len() * 8 {
            let mut stream = stream.clone();
            stream[bit / 8] ^= 1 << (bit % 8);
            let (_, data, held) = told(&stream, 64);
            assert!(data.len() <= stream.len() && held <= HEAD_MAX);
        }
    }
}
