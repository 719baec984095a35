//! From a frame to what finds its flow: the step that whoever reads frames takes before they are counted.

use crate::capture::batch::Frame;
use crate::capture::batch::FrameBatch;
use crate::decode::counts::DecodeCounts;
use crate::decode::decoder::Decoder;
use crate::decode::packet::Decoded;
use crate::decode::packet::Packet;
use crate::flow::duplicate::CopyPlace;
use crate::pipeline::shard::KeyHash;
use crate::pipeline::shard::mix_of_v4;
use crate::pipeline::shard::shard_of;
use crate::pipeline::worker::Handle;
use crate::pipeline::worker::IN_FRAME;

/// A decoder, and the hash by which tables find flows.
pub(crate) struct Finder {
    decoder: Decoder,
    hash: KeyHash,
}

impl Finder {
    /// One that saw nothing yet.
    pub(crate) fn new(hash: KeyHash) -> Self {
        Self { decoder: Decoder::new(), hash }
    }

    /// What finds the packet in a plain frame, the one of this number in its batch, and its flow; `None` says nothing of
    /// the frame.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "what it says goes where it is wanted, from registers")]
    pub(crate) fn plain(&mut self, batch: &FrameBatch, number: u16, frame: &Frame) -> Option<Handle> {
        let bytes = batch.bytes(frame);
        let outline = self.decoder.outline(frame, bytes)?;
        let mix = mix_of_v4(outline.ends());
        let (hash, copy_place) = (self.hash.of_v4(outline.ends()), CopyPlace::of(mix, outline.numbers(bytes)));
        Some(Handle { hash, copy_place, outline, beside: IN_FRAME, frame: number, shard: shard_of(mix) })
    }

    /// The packet of a frame that is not plain, if it has one, and what finds its flow.
    #[inline(never)]
    pub(crate) fn other(&mut self, batch: &FrameBatch, number: u16, frame: &Frame) -> Option<(Handle, Packet)> {
        let Decoded::Packet(packet) = self.decoder.decode_other(frame, batch.bytes(frame)) else { return None };
        Some((Handle { frame: number, ..Handle::of(&packet, &self.hash) }, packet))
    }

    /// What became of all frames that it saw.
    pub(crate) fn counts(&self) -> &DecodeCounts {
        self.decoder.counts()
    }
}
