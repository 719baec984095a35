//! What was recognised in the payload of a flow, as small as it can be: it lies where everything else of the flow does.

use bytemuck::Pod;
use bytemuck::Zeroable;

use crate::model::addr::Side;
use crate::model::app::AppProto;
use crate::model::app::ProtoSet;
use crate::model::app::Said;
use crate::model::app::Speaker;

/// What both ends said first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Pod, Zeroable)]
#[repr(C)]
pub struct Speech {
    /// What they did not speak.
    pub(super) ruled_out: [u32; 2],
    /// The rest, each in one byte.
    pub(super) heads: [u8; 2],
    unused: [u8; 2],
}

/// The bits of a head that say which protocol it is: the number of it and one, 0 for none.
const PROTO: u8 = (1 << 5) - 1;
const CERTAIN: u8 = 1 << 5;
const BY_CLIENT: u8 = 1 << 6;
const BY_SERVER: u8 = 1 << 7;

const _: () = assert!(AppProto::ALL.len() <= PROTO as usize);

impl Speech {
    pub(super) const fn of_parts(ruled_out: [u32; 2], heads: [u8; 2]) -> Self {
        Self { ruled_out, heads, unused: [0; 2] }
    }

    /// What one end said.
    pub fn of(&self, side: Side) -> Said {
        let head = self.heads[side.index()];
        Said {
            proto: usize::from(head & PROTO).checked_sub(1).and_then(|number| AppProto::ALL.get(number)).copied(),
            certain: head & CERTAIN != 0,
            speaker: match head & (BY_CLIENT | BY_SERVER) {
                BY_CLIENT => Speaker::Client,
                BY_SERVER => Speaker::Server,
                _ => Speaker::Either,
            },
            ruled_out: ProtoSet::of_bits(self.ruled_out[side.index()]),
        }
    }

    /// Notes what one end said.
    pub fn set(&mut self, side: Side, said: Said) {
        let Said { proto, certain, speaker, ruled_out } = said;
        let speaker = match speaker {
            Speaker::Client => BY_CLIENT,
            Speaker::Server => BY_SERVER,
            Speaker::Either => 0,
        };
        self.heads[side.index()] =
            proto.map_or(0, |proto| proto as u8 + 1) | if certain { CERTAIN } else { 0 } | speaker;
        self.ruled_out[side.index()] = ruled_out.bits();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_is_what_is_read() {
        let protos = AppProto::ALL.into_iter().map(Some).chain([None]);
        for (number, proto) in protos.enumerate() {
            for (certain, speaker) in
                [(false, Speaker::Either), (true, Speaker::Client), (false, Speaker::Server), (true, Speaker::Either)]
            {
                let others = AppProto::ALL.into_iter().skip(number).collect();
                let (said, other) = (Said { proto, certain, speaker, ruled_out: others }, Said::default());
                let mut speech = Speech::default();
                speech.set(Side::High, said);
                assert_eq!((speech.of(Side::Low), speech.of(Side::High)), (other, said));
                speech.set(Side::Low, said);
                speech.set(Side::High, other);
                assert_eq!((speech.of(Side::Low), speech.of(Side::High)), (said, other));
            }
        }
    }
}
