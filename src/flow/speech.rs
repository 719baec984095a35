//! What was recognised in the payload of a flow.

use crate::model::addr::Side;
use crate::model::app::Said;

/// What both ends said first.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Speech {
    said: [Said; 2],
}

impl Speech {
    /// What one end said.
    pub fn of(&self, side: Side) -> &Said {
        let [low, high] = &self.said;
        match side {
            Side::Low => low,
            Side::High => high,
        }
    }

    /// Notes what one end said.
    pub fn set(&mut self, side: Side, said: Said) {
        self.said[side.index()] = said;
    }
}
