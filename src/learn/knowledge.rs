//! What workers share. What answers their flows have is counted by each for itself, and told when somebody asks.
//!
//! Every entry is merged with minimum, maximum and sum only, so that the result does not depend on which worker came
//! first.

use std::collections::BTreeSet;
use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use dashmap::DashMap;
use foldhash::quality::RandomState;

use crate::learn::endpoints::RpcBook;
use crate::learn::grade::Endpoints;
use crate::learn::names::Names;
use crate::learn::rpc_flow::FlowId;
use crate::model::addr::Addr;
use crate::model::ids::FrameId;
use crate::model::time::Timestamp;
use crate::model::transport::Transport;

/// How many answering endpoints are remembered: 1,048,576. What comes after is counted.
pub const ENDPOINTS_MAX: usize = 1 << 20;

/// A place that can answer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Listener {
    /// The host.
    pub addr: Addr,
    /// The transport.
    pub transport: Transport,
    /// The port, 0 where there is none.
    pub port: u16,
}

/// That a listener answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answered {
    /// When first.
    pub first: Timestamp,
    /// In which frame first.
    pub frame: FrameId,
    /// How many flows it answered.
    pub flows: u64,
}

impl Answered {
    /// That a flow was answered at a time in this frame.
    pub fn once(at: Timestamp, frame: FrameId) -> Self {
        Self { first: at, frame, flows: 1 }
    }

    /// Adds what else the same listener answered.
    fn add(&mut self, other: Self) {
        (self.first, self.frame) = (self.first, self.frame).min((other.first, other.frame));
        self.flows += other.flows;
    }
}

/// Who answered the flows of one worker, as far as it did not tell yet.
#[derive(Debug, Default)]
pub struct Answers {
    /// The latest. What they add to lies far apart, and is looked for many at a time, so that none waits for another.
    latest: Vec<(Listener, Answered)>,
    sums: HashMap<Listener, Answered, RandomState>,
}

impl Answers {
    /// So many are added up at a time.
    const LATEST: usize = 64;
    /// So many listeners are worth to be told.
    const MANY: usize = 1 << 15;

    /// Notes that a listener answered; whether there is much to tell.
    pub fn note(&mut self, listener: Listener, answered: Answered) -> bool {
        self.latest.push((listener, answered));
        if self.latest.len() < Self::LATEST {
            return false;
        }
        self.add_up();
        self.sums.len() >= Self::MANY
    }

    fn add_up(&mut self) {
        for (listener, answered) in self.latest.drain(..) {
            self.sums.entry(listener).and_modify(|known| known.add(answered)).or_insert(answered);
        }
    }
}

/// What flows told. Survives the flows themselves.
#[derive(Debug, Default)]
pub struct Knowledge {
    answers: DashMap<Listener, Answered, RandomState>,
    forgotten: AtomicU64,
    rpc: RpcBook,
    names: Names,
}

impl Knowledge {
    /// Nothing known.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes what a worker has to tell, in the order it happened: of one worker, which are remembered is no chance.
    pub fn take(&self, answers: &mut Answers) {
        answers.add_up();
        let mut all: Vec<_> = answers.sums.drain().collect();
        all.sort_unstable_by_key(|(_, answered)| (answered.first, answered.frame));
        for (listener, answered) in all {
            self.answered(listener, answered);
        }
    }

    /// Remembers that a listener answered.
    pub fn answered(&self, listener: Listener, answered: Answered) {
        if let Some(mut known) = self.answers.get_mut(&listener) {
            return known.add(answered);
        }
        if self.answers.len() >= ENDPOINTS_MAX {
            self.forgotten.fetch_add(answered.flows, Ordering::Relaxed);
            return;
        }
        self.answers.entry(listener).and_modify(|known| known.add(answered)).or_insert(answered);
    }

    /// Everything that answered, in order.
    pub fn answers(&self) -> Vec<(Listener, Answered)> {
        let mut all: Vec<_> = self.answers.iter().map(|entry| (*entry.key(), *entry.value())).collect();
        all.sort_unstable_by_key(|(listener, _)| *listener);
        all
    }

    /// What RPC sessions write to.
    pub fn rpc(&self) -> &RpcBook {
        &self.rpc
    }

    /// What RPC sessions learned, sorted and at rest. To be made once, when all flows are done.
    pub fn endpoints(&self) -> Endpoints {
        Endpoints::of(&self.rpc)
    }

    /// What hosts are called, and what applications told of errors.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// Forgets what matters to a flow alone, which was seen last at a time and is kept no more.
    pub fn forget(&self, id: &FlowId, last: Timestamp) {
        self.rpc.forget(id);
        self.names.forget(&id.key, last);
    }

    /// Forgets what was said to clients before a time and no flow rests on. `flows` are those that began before and are
    /// still kept: the client, and when it began.
    pub fn forget_told(&self, before: Timestamp, flows: &BTreeSet<(Addr, Timestamp)>) {
        self.rpc.forget_told(before, flows);
    }

    /// Answers that came when no place was left.
    pub fn forgotten(&self) -> u64 {
        self.forgotten.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::names::Seen;
    use crate::learn::rpc_flow::RpcFlow;
    use crate::model::addr::FlowKey;
    use crate::model::app::AppProto;

    #[test]
    fn the_order_of_arrival_does_not_matter() {
        let listener = Listener { addr: Addr::v4([10, 0, 0, 1]), transport: Transport::Tcp, port: 445 };
        let answers = [
            (Timestamp(5), FrameId::new(0, 9)),
            (Timestamp(3), FrameId::new(0, 4)),
            (Timestamp(3), FrameId::new(0, 7)),
        ];
        let tell = |order: [usize; 3]| {
            let knowledge = Knowledge::new();
            let mut counted = Answers::default();
            for (at, frame) in order.map(|index| answers[index]) {
                let answered = Answered::once(at, frame);
                knowledge.answered(listener, answered);
                assert!(!counted.note(listener, answered));
            }
            let together = Knowledge::new();
            together.take(&mut counted);
            together.take(&mut counted);
            assert_eq!(together.answers(), knowledge.answers());
            knowledge.answers()
        };
        let expected = vec![(listener, Answered { first: Timestamp(3), frame: FrameId::new(0, 4), flows: 3 })];
        for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2]] {
            assert_eq!(tell(order), expected);
        }
    }

    #[test]
    fn what_mattered_to_a_flow_alone_is_forgotten_with_it() {
        let knowledge = Knowledge::new();
        let (client, server) = (Addr::v4([10, 0, 0, 2]), Addr::v4([10, 0, 0, 1]));
        let (key, _) = FlowKey::of(client, 50_000, server, 135, Transport::Tcp);
        let id = |frame| FlowId { key, first_frame: FrameId::new(0, frame) };
        for (frame, code) in [(1, 25), (10, 6)] {
            knowledge.rpc().showed(id(frame), &RpcFlow::default());
            let seen = Seen { at: Timestamp(frame), frame: FrameId::new(0, frame) };
            knowledge.names().error(&key, AppProto::Kerberos, code, seen);
        }
        // The same ports were used again.
        knowledge.forget(&id(1), Timestamp(9));
        let flows = |knowledge: &Knowledge| knowledge.endpoints().flows().map(|(id, _)| id).collect::<Vec<_>>();
        let codes =
            |knowledge: &Knowledge| knowledge.names().errors().of(&key).iter().map(|error| error.code).collect();
        assert_eq!((flows(&knowledge), codes(&knowledge)), (vec![id(10)], vec![6]));
        knowledge.forget(&id(10), Timestamp(10));
        assert_eq!((flows(&knowledge), codes(&knowledge)), (vec![], vec![]));
    }
}
