//! Listens to one SMB connection for the RPC in its named pipes (MS-RPCE section 2.1.1.2, `ncacn_np`).
//!
//! Which bytes are a pipe's is told by the handle that opening it gave; what is for files is passed over. A connection
//! that carries much and nothing for pipes is given up. This file must never know ports, nor what is allowed.

use std::collections::VecDeque;

use prefetch_index::prefetch_index;

use crate::learn::endpoints::Count;
use crate::learn::endpoints::RpcBook;
use crate::learn::knowledge::Knowledge;
use crate::learn::pipe_flow::PIPES_KEPT_MAX;
use crate::learn::pipe_flow::PipeFlow;
use crate::learn::rpc::RpcSession;
use crate::learn::rpc_flow::FlowId;
use crate::learn::rpc_flow::Moment;
use crate::learn::smb_framing::Framer;
use crate::learn::smb_framing::Piece;
use crate::model::addr::Side;
use crate::model::app::Speaker;
use crate::model::ids::FrameId;
use crate::model::time::Timestamp;
use crate::proto::dcerpc::Begins;
use crate::proto::dcerpc::Header;
use crate::proto::dcerpc::Kind;
use crate::proto::pipe::Command;
use crate::proto::pipe::Does;
use crate::proto::pipe::Handle;
use crate::proto::pipe::Name;
use crate::proto::pipe::Tree;

/// Pipes of one connection that are open at the same time; of more, the one unused the longest is given up.
pub const PIPES_MAX: usize = 16;
/// Questions about pipes that wait for their answers; of more, the oldest is given up.
pub const ASKED_MAX: usize = 64;
/// Shares of one connection of which it is known whether they are that of pipes; of more, the oldest is forgotten.
pub const TREES_MAX: usize = 64;
/// So many pieces in a row with nothing for a pipe, and a connection is given up: about 3 MB of a file.
pub const IDLE_MAX: u32 = 2048;
/// So many gaps in a row with no command between them, and a connection is given up.
pub const GAPS_MAX: u32 = 8;

/// One SMB connection. To be fed from its first byte on, or from where the capture begins.
#[derive(Debug)]
pub struct SmbSession {
    id: FlowId,
    framers: [Framer; 2],
    /// For which file the data of the last command are, of each end.
    aims: [Option<File>; 2],
    /// What the client's last command was about, for those that go on with it.
    before: Option<About>,
    trees: VecDeque<(Tree, bool)>,
    asked: VecDeque<Asked>,
    /// The one used last stands last.
    pipes: Vec<Pipe>,
    flow: PipeFlow,
    /// Pieces since the last that had something for a pipe.
    idle: u32,
    /// Gaps since the last command.
    gaps: u32,
    /// It was given up.
    over: bool,
    /// The flow shows something that the knowledge does not have yet.
    news: bool,
}

/// A file as far as it is known: a command may name one that the command before it in the same message opens.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum File {
    Open(Handle),
    /// The one that this call opens.
    Opening(u64),
}

/// What a command of the client is about.
#[derive(Clone, Copy, Debug)]
struct About {
    tree: Option<Tree>,
    file: Option<File>,
}

/// A question without its answer.
#[derive(Debug)]
struct Asked {
    call: u64,
    what: Wanted,
}

#[derive(Debug)]
enum Wanted {
    /// A pipe of this name.
    Pipe(String),
    /// Bytes of this pipe.
    Bytes(File),
    /// The end of this pipe.
    End(File),
}

/// An open pipe.
#[derive(Debug)]
struct Pipe {
    file: File,
    name: String,
    /// What is spoken in it, from its first byte on.
    rpc: Option<Box<RpcSession>>,
}

/// What pieces are judged with.
struct Scene<'a> {
    from: Side,
    at: Moment,
    knowledge: &'a Knowledge,
}

impl Scene<'_> {
    fn book(&self) -> &RpcBook {
        self.knowledge.rpc()
    }
}

impl SmbSession {
    /// A connection of which nothing was seen yet.
    pub fn new(id: FlowId) -> Self {
        Self {
            id,
            framers: [Framer::default(), Framer::default()],
            aims: [None, None],
            before: None,
            trees: VecDeque::new(),
            asked: VecDeque::new(),
            pipes: Vec::new(),
            flow: PipeFlow::default(),
            idle: 0,
            gaps: 0,
            over: false,
            news: false,
        }
    }

    /// Asks for what any further bytes are looked at with.
    pub fn prefetch(&self) {
        prefetch_index(&self.framers, 0);
        prefetch_index(&self.framers, 1);
        prefetch_index(std::slice::from_ref(&self.over), 0);
    }

    /// How many bytes it holds, but for what has a bound of its own and is small.
    pub fn held(&self) -> usize {
        let kept: usize = self.framers.iter().map(Framer::held).sum();
        let in_pipes =
            |pipe: &Pipe| size_of::<Pipe>() + pipe.rpc.as_ref().map_or(0, |rpc| size_of::<RpcSession>() + rpc.held());
        kept + self.pipes.iter().map(in_pipes).sum::<usize>() + self.asked.capacity() * size_of::<Asked>()
    }

    /// Whether following it is in vain.
    pub fn is_lost(&self) -> bool {
        self.over
    }

    /// The next bytes of one direction, each byte once and in order, as they came in `frame` at `ts`.
    pub fn stream(&mut self, from: Side, bytes: &[u8], ts: Timestamp, frame: FrameId, knowledge: &Knowledge) {
        if self.over {
            return;
        }
        let scene = Scene { from, at: Moment { ts, frame }, knowledge };
        self.idle += 1;
        let mut framer = self.framers.get_mut(from.index()).map(std::mem::take).unwrap_or_default();
        framer.take(bytes, &mut |piece| match piece {
            Piece::Command(command) => self.command(command, &scene),
            Piece::Data(bytes) => self.data(bytes, &scene),
        });
        if let Some(place) = self.framers.get_mut(from.index()) {
            *place = framer;
        }
        if self.idle > IDLE_MAX {
            self.give_up(Count::PipesLeft, &scene);
        }
        if std::mem::take(&mut self.news) {
            scene.book().showed_pipes(self.id, &self.flow);
        }
    }

    /// Bytes of one direction were lost: those of any pipe may be among them.
    pub fn gap(&mut self, from: Side) {
        self.gaps += 1;
        self.over |= self.gaps >= GAPS_MAX;
        if let Some(framer) = self.framers.get_mut(from.index()) {
            framer.lose();
        }
        if let Some(aim) = self.aims.get_mut(from.index()) {
            *aim = None;
        }
        self.before = None;
        for rpc in self.pipes.iter_mut().filter_map(|pipe| pipe.rpc.as_mut()) {
            rpc.gap(from);
        }
    }

    fn give_up(&mut self, count: Count, scene: &Scene) {
        self.over = true;
        self.pipes = Vec::new();
        self.asked = VecDeque::new();
        self.trees = VecDeque::new();
        scene.book().count(count, 1);
    }

    fn command(&mut self, command: &Command<'_>, scene: &Scene) {
        self.gaps = 0;
        self.aim(scene.from, None);
        let client = match command.speaker {
            Speaker::Server => scene.from.other(),
            Speaker::Client => scene.from,
            Speaker::Either => return self.sealed(command, scene),
        };
        if *self.flow.client.get_or_insert(client) != client {
            return;
        }
        match command.does {
            Does::Connected { pipes } => self.connected(command.tree, pipes, scene),
            Does::Opened { handle, pipe } => self.opened(command.call, handle, pipe != Some(false), scene),
            Does::Answer { handle, more } => {
                let asked = match self.answered(command.call, more) {
                    Some(Wanted::Bytes(file)) => Some(file),
                    _ => None,
                };
                self.aim(scene.from, handle.map(File::Open).or(asked));
            }
            Does::Closed => {
                if let Some(Wanted::End(file)) = self.answered(command.call, false) {
                    self.close(file);
                }
            }
            Does::Fail => {
                self.answered(command.call, false);
                self.close(File::Opening(command.call));
            }
            _ if command.speaker == Speaker::Client => self.question(command, scene),
            _ => {}
        }
    }

    /// A command of the client.
    fn question(&mut self, command: &Command<'_>, scene: &Scene) {
        let before = self.before.take().filter(|_| command.follows);
        let tree = before.map_or(command.tree, |before| before.tree);
        let of_before = before.and_then(|before| before.file);
        let named = |handle| match handle {
            Handle::BEFORE => of_before,
            handle => Some(File::Open(handle)),
        };
        let file = match command.does {
            Does::Open(name) => self.open(command.call, tree, &name, scene),
            Does::Close(handle) | Does::Write(handle) | Does::Read(handle) | Does::Transact(handle) => named(handle),
            _ => of_before,
        };
        self.before = Some(About { tree, file });
        let Some(file) = file else { return };
        match command.does {
            // Answers to what stands before it in the message are still to come.
            Does::Close(_) if command.follows => self.ask(command.call, Wanted::End(file), scene),
            Does::Close(_) => self.close(file),
            Does::Write(_) => {
                let of_pipes = self.is_of_pipes(tree);
                let must = of_pipes == Some(true) || matches!(file, File::Opening(_));
                // On a share of which nothing is known, the data will tell.
                if self.knows(file, must, scene) || of_pipes.is_none() {
                    self.aim(scene.from, Some(file));
                }
            }
            Does::Read(_) if self.knows(file, false, scene) => {
                self.ask(command.call, Wanted::Bytes(file), scene);
            }
            Does::Transact(_) => {
                self.knows(file, true, scene);
                self.aim(scene.from, Some(file));
                self.ask(command.call, Wanted::Bytes(file), scene);
            }
            _ => {}
        }
    }

    /// Data of the last command of this end.
    fn data(&mut self, bytes: &[u8], scene: &Scene) {
        let Some(aim) = self.aims.get(scene.from.index()).copied().flatten() else { return };
        let Some(nth) = self.pipe(aim, bytes, scene) else { return self.aim(scene.from, None) };
        // The one used last stands last.
        if let Some(used) = self.pipes.get_mut(nth..) {
            used.rotate_left(1);
        }
        let Some(Pipe { name, rpc, .. }) = self.pipes.last_mut() else { return };
        let rpc = rpc.get_or_insert_with(|| Box::new(RpcSession::in_pipe(self.id, name.clone())));
        if rpc.is_lost() {
            return;
        }
        self.idle = 0;
        rpc.stream(scene.from, bytes, scene.at.ts, scene.at.frame, scene.knowledge);
        let Some(shown) = rpc.news() else { return };
        let known = self.flow.pipes.len();
        match self.flow.pipes.get_mut(name) {
            Some(pipe) => scene.book().count(Count::FlowFull, pipe.merge(shown)),
            None if known >= PIPES_KEPT_MAX => scene.book().count(Count::FlowFull, 1),
            None => {
                self.flow.pipes.insert(name.clone(), shown.clone());
            }
        }
        self.news = true;
    }

    /// Which pipe a file is; an unknown one is one, if what is written to it begins with a bind. So is one that was opened
    /// before the capture began, or on another channel of the same session (MS-SMB2 section 1.3).
    fn pipe(&mut self, file: File, bytes: &[u8], scene: &Scene) -> Option<usize> {
        let place = |pipes: &[Pipe]| pipes.iter().position(|pipe| pipe.file == file);
        if place(&self.pipes).is_none()
            && let Begins::With(Header { kind: Kind::Bind, .. }) = Header::read(bytes)
        {
            self.begin(file, scene);
        }
        place(&self.pipes)
    }

    fn aim(&mut self, from: Side, at: Option<File>) {
        if let Some(aim) = self.aims.get_mut(from.index()) {
            *aim = at;
        }
    }

    fn sealed(&mut self, command: &Command<'_>, scene: &Scene) {
        if command.does == Does::Sealed && self.flow.sealed.is_none() {
            self.flow.sealed = Some(scene.at);
            self.news = true;
            scene.book().count(Count::SmbSealed, 1);
        }
    }

    fn connected(&mut self, tree: Option<Tree>, pipes: bool, scene: &Scene) {
        let Some(tree) = tree else { return };
        self.trees.retain(|(known, _)| *known != tree);
        if self.trees.len() >= TREES_MAX {
            self.trees.pop_front();
            scene.book().count(Count::PipesOver, 1);
        }
        self.trees.push_back((tree, pipes));
    }

    /// Whether a share is that of pipes; `None` if it was connected before the capture began.
    fn is_of_pipes(&self, tree: Option<Tree>) -> Option<bool> {
        self.trees.iter().find(|(known, _)| Some(*known) == tree).map(|(_, pipes)| *pipes)
    }

    /// The client asks for a pipe; which file that will be. None if it is no pipe.
    fn open(&mut self, call: u64, tree: Option<Tree>, name: &Name<'_>, scene: &Scene) -> Option<File> {
        let name = name.of_pipe().filter(|_| self.is_of_pipes(tree) != Some(false))?;
        self.ask(call, Wanted::Pipe(name), scene);
        Some(File::Opening(call))
    }

    /// The server opened what was asked for. What the client sent to it before goes on under its number.
    fn opened(&mut self, call: u64, handle: Handle, is_pipe: bool, scene: &Scene) {
        let (early, file) = (File::Opening(call), File::Open(handle));
        if is_pipe && self.asked.iter().any(|asked| asked.call == call && matches!(asked.what, Wanted::Pipe(_))) {
            self.close(file);
            if self.pipes.iter().all(|pipe| pipe.file != early) {
                self.begin(early, scene);
            }
        } else {
            self.close(early);
        }
        self.answered(call, false);
        let of_asked = self.asked.iter_mut().filter_map(|asked| match &mut asked.what {
            Wanted::Bytes(of) | Wanted::End(of) => Some(of),
            Wanted::Pipe(_) => None,
        });
        let of_pipes = self.pipes.iter_mut().map(|pipe| &mut pipe.file);
        for of in of_pipes.chain(of_asked).chain(self.aims.iter_mut().flatten()).filter(|of| **of == early) {
            *of = file;
        }
    }

    /// From here on the file is followed as a pipe, by the name that its opening asks for, if that was seen.
    fn begin(&mut self, file: File, scene: &Scene) {
        let name = self.asked.iter().find_map(|asked| match &asked.what {
            Wanted::Pipe(name) if file == File::Opening(asked.call) => Some(name.clone()),
            _ => None,
        });
        if self.pipes.len() >= PIPES_MAX {
            self.pipes.remove(0);
            scene.book().count(Count::PipesOver, 1);
        }
        self.pipes.push(Pipe { file, name: name.unwrap_or_default(), rpc: None });
    }

    fn close(&mut self, file: File) {
        self.pipes.retain(|pipe| pipe.file != file);
        self.asked.retain(|asked| !matches!(asked.what, Wanted::Bytes(of) | Wanted::End(of) if of == file));
    }

    /// Whether a file is a pipe. If it must be one, it was opened before the capture began, or is about to be.
    fn knows(&mut self, file: File, must: bool, scene: &Scene) -> bool {
        let known = self.pipes.iter().any(|pipe| pipe.file == file);
        if !known && must {
            self.begin(file, scene);
        }
        known || must
    }

    fn ask(&mut self, call: u64, what: Wanted, scene: &Scene) {
        if self.asked.len() >= ASKED_MAX {
            self.asked.pop_front();
            scene.book().count(Count::PipesOver, 1);
        }
        self.asked.push_back(Asked { call, what });
    }

    /// What was asked in a call, which is answered with this unless more follows.
    fn answered(&mut self, call: u64, more: bool) -> Option<Wanted> {
        let nth = self.asked.iter().position(|asked| asked.call == call)?;
        match self.asked.get(nth) {
            Some(Asked { what: Wanted::Bytes(file), .. }) if more => Some(Wanted::Bytes(*file)),
            _ => self.asked.remove(nth).map(|asked| asked.what),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop here")]

    use super::*;
    use crate::learn::endpoints::Learned;
    use crate::learn::endpoints::Over;
    use crate::learn::endpoints::Source;
    use crate::learn::grade::Endpoints;
    use crate::learn::rpc_flow::RpcFlow;
    use crate::model::addr::Addr;
    use crate::model::addr::FlowKey;
    use crate::model::transport::Transport;
    use crate::model::uuid::InterfaceId;
    use crate::proto::craft;
    use crate::proto::craft::DRSUAPI;
    use crate::proto::craft::SVCCTL;
    use crate::proto::craft_smb as smb;
    use crate::proto::craft_smb::FILE;
    use crate::proto::craft_smb::TREE;
    use crate::proto::ndr::Layout;

    const SERVER: [u8; 4] = [10, 0, 0, 10];
    const CLIENT: [u8; 4] = [10, 0, 0, 50];
    const PORT: u16 = 1000;
    const PLAIN: Layout = Layout { little: true, wide: false };

    /// A connection under test, and what was learned from it.
    struct Talk {
        session: SmbSession,
        knowledge: Knowledge,
        client: Side,
        frame: u64,
        piece: usize,
    }

    impl Talk {
        fn new(piece: usize) -> Self {
            let (key, client) = FlowKey::of(Addr::v4(CLIENT), 50_000, Addr::v4(SERVER), PORT, Transport::Tcp);
            let session = SmbSession::new(FlowId { key, first_frame: FrameId::new(0, 1) });
            Self { session, knowledge: Knowledge::new(), client, frame: 1, piece }
        }

        fn say(&mut self, from: Side, bytes: &[u8]) {
            for bytes in bytes.chunks(self.piece) {
                self.frame += 1;
                let at = Timestamp(self.frame * 1_000_000);
                self.session.stream(from, bytes, at, FrameId::new(0, self.frame), &self.knowledge);
            }
        }

        fn ask(&mut self, command: &[u8]) {
            self.say(self.client, &smb::packet(command));
        }

        fn answer(&mut self, command: &[u8]) {
            self.say(self.client.other(), &smb::packet(command));
        }

        fn learned(&self) -> Endpoints {
            self.knowledge.endpoints()
        }

        /// Interfaces by the pipes they were accepted on.
        fn bound(&self) -> Vec<(String, InterfaceId)> {
            let learned = self.learned();
            let Some(flow) = learned.pipes_of(self.session.id) else { return Vec::new() };
            let of_pipe = |(name, rpc): (&String, &RpcFlow)| -> Vec<_> {
                rpc.bound.iter().map(|bound| (name.clone(), bound.interface)).collect()
            };
            flow.pipes.iter().flat_map(of_pipe).collect()
        }
    }

    fn bind(interface: InterfaceId) -> Vec<u8> {
        craft::bind(true, craft::BIND, 1, &[(0, interface, craft::NDR)])
    }

    fn ack() -> Vec<u8> {
        craft::bind_ack(true, craft::BIND_ACK, 1, "\\PIPE\\lsass", &[(0, 0, craft::NDR)])
    }

    fn request() -> Vec<u8> {
        let stub = craft::map_request(PLAIN, &craft::tower(DRSUAPI, 7, 0, [0; 4]), false);
        craft::pdu(true, craft::REQUEST, craft::WHOLE, 2, &craft::call(true, 0, 3, &stub), None)
    }

    fn reply() -> Vec<u8> {
        let stub = craft::map_reply(PLAIN, &[craft::tower(DRSUAPI, 7, 49_668, SERVER)], 0);
        craft::pdu(true, craft::RESPONSE, craft::WHOLE, 2, &craft::call(true, 0, 0, &stub), None)
    }

    /// Questions to the endpoint mapper in SMB 2: the bind written and read, the call in one IOCTL, its answer in two parts.
    fn mapped2() -> Vec<(bool, Vec<u8>)> {
        let (half, rest) = (reply()[..90].to_vec(), reply()[90..].to_vec());
        vec![
            (false, smb::connected2(3, TREE, smb::PIPES)),
            (true, smb::create2(4, TREE, "epmapper")),
            (false, smb::failed2(5, 4, smb::PENDING)),
            (false, smb::created2(4, FILE)),
            (true, smb::compound2(&[smb::write2(5, FILE, &bind(craft::EPM)), smb::read2(6, FILE)])),
            (false, smb::failed2(8, 6, smb::PENDING)),
            (false, smb::given2(6, 0, &ack())),
            (true, smb::transceive2(7, false, 0, FILE, &request())),
            (false, smb::transceive2(7, true, smb::OVERFLOW, FILE, &half)),
            (true, smb::read2(8, FILE)),
            (false, smb::given2(8, 0, &rest)),
            (true, smb::close2(9, FILE)),
        ]
    }

    /// The same in SMB 1: a bind that is written and read, a call in a transaction whose answer comes in two.
    fn mapped1() -> Vec<(bool, Vec<u8>)> {
        let (half, rest) = (reply()[..90].to_vec(), reply()[90..].to_vec());
        vec![
            (false, smb::connected1(3, true)),
            (true, smb::create1(4, "\\epmapper")),
            (false, smb::created1(4, 0x4001, 2)),
            (true, smb::write1(5, 0x4001, &bind(craft::EPM))),
            (true, smb::read1(6, 0x4001)),
            (false, smb::given1(6, 0, &ack())),
            (true, smb::transact1(7, 0x4001, &request())),
            (false, smb::transacted1(7, reply().len(), 0, &half)),
            (false, smb::transacted1(7, reply().len(), half.len(), &rest)),
            (true, smb::close1(8, 0x4001)),
        ]
    }

    fn played(said: &[(bool, Vec<u8>)], piece: usize) -> Talk {
        let mut talk = Talk::new(piece);
        for (asks, command) in said {
            if *asks {
                talk.ask(command);
            } else {
                talk.answer(command);
            }
        }
        talk
    }

    #[test]
    fn the_endpoint_mapper_in_a_pipe_teaches_ports_as_its_own_port_does() {
        for said in [mapped2(), mapped1()] {
            for piece in [1, 3, 64, 100, 1460, usize::MAX] {
                let talk = played(&said, piece);
                assert_eq!(talk.bound(), [("epmapper".to_owned(), craft::EPM)], "{piece}");
                let learned = talk.learned();
                let [of_port]: &[Learned] = learned.at(Addr::v4(SERVER), Over::Tcp, 49_668) else {
                    unreachable!("{piece}")
                };
                assert_eq!((of_port.interface, of_port.source), (Some(DRSUAPI), Source::EptMap));
                assert!(of_port.clients().eq([Addr::v4(CLIENT)]));
                assert!(talk.session.pipes.is_empty() && talk.session.asked.is_empty(), "everything was closed");
                assert!(learned.flow(talk.session.id).is_none(), "it is no flow of RPC's own");
            }
        }
    }

    /// One message that opens the mapper's pipe, binds, reads, calls and closes, each going on with the file of the first.
    fn mapped_at_once() -> Vec<u8> {
        smb::compound2(&[
            smb::create2(4, TREE, "epmapper"),
            smb::follows2(smb::write2(5, FILE, &bind(craft::EPM))),
            smb::follows2(smb::read2(6, FILE)),
            smb::follows2(smb::transceive2(7, false, 0, FILE, &request())),
            smb::follows2(smb::close2(8, FILE)),
        ])
    }

    #[test]
    fn commands_that_go_on_with_the_file_before_them_are_of_its_pipe() {
        let connected = |kind| (false, smb::connected2(3, TREE, kind));
        let answers = |opened| {
            let answered = [
                opened,
                smb::smb2(9, true, 0, 5, TREE, &[17, 0, 0, 0, 0, 0, 0, 0]),
                smb::given2(6, 0, &ack()),
                smb::follows2(smb::transceive2(7, true, 0, FILE, &reply())),
                smb::smb2(6, true, 0, 8, TREE, &[60, 0]),
            ];
            (false, smb::compound2(&answered))
        };
        for piece in [1, 7, 100, usize::MAX] {
            let opened = answers(smb::created2(4, FILE));
            let talk = played(&[connected(smb::PIPES), (true, mapped_at_once()), opened.clone()], piece);
            assert_eq!(talk.bound(), [("epmapper".to_owned(), craft::EPM)], "{piece}");
            assert_eq!(talk.learned().at(Addr::v4(SERVER), Over::Tcp, 49_668).len(), 1, "{piece}");
            assert!(talk.session.pipes.is_empty() && talk.session.asked.is_empty(), "everything was closed");
            let talk = played(&[(true, mapped_at_once()), opened.clone()], piece);
            assert_eq!(talk.bound(), [("epmapper".to_owned(), craft::EPM)], "a share of which nothing is known");
            let refused = answers(smb::failed2(5, 4, smb::NOT_FOUND));
            let talk = played(&[connected(smb::PIPES), (true, mapped_at_once()), refused], piece);
            assert!(talk.session.pipes.is_empty() && talk.bound().is_empty(), "what was refused is no pipe");
            let talk = played(&[connected(smb::DISK), (true, mapped_at_once()), opened], piece);
            assert!(talk.session.pipes.is_empty() && talk.bound().is_empty(), "a file is no pipe");
            assert_eq!(talk.learned().ports().count(), 0, "{piece}");
        }
    }

    #[test]
    fn a_command_that_goes_on_with_nothing_is_of_no_pipe() {
        let alone = smb::follows2(smb::transceive2(7, false, 0, FILE, &bind(SVCCTL)));
        let mut talk = played(&mapped2()[..7], usize::MAX);
        let known = talk.session.pipes.len();
        talk.session.gap(talk.client);
        talk.ask(&alone);
        talk.ask(&smb::compound2(&[smb::create2(9, TREE, "a\\file"), alone]));
        assert_eq!((talk.session.pipes.len(), talk.session.asked.len()), (known, 0));
        assert_eq!(talk.bound(), [("epmapper".to_owned(), craft::EPM)]);
    }

    #[test]
    fn interfaces_in_pipes_are_learned_with_the_names_of_the_pipes() {
        let mut talk = Talk::new(usize::MAX);
        talk.answer(&smb::connected2(3, TREE, smb::PIPES));
        for (nth, name) in [(1, "\\SVCCTL"), (2, "atsvc"), (3, "svcctl")] {
            let file = Handle(nth.into());
            talk.ask(&smb::create2(nth, TREE, name));
            talk.answer(&smb::created2(nth, file));
            talk.ask(&smb::transceive2(nth, false, 0, file, &bind(SVCCTL)));
            talk.answer(&smb::transceive2(nth, true, 0, file, &ack()));
        }
        assert_eq!(talk.bound(), [("atsvc".to_owned(), SVCCTL), ("svcctl".to_owned(), SVCCTL)]);
        let learned = talk.learned();
        let [of_pipes]: &[Learned] = learned.at(Addr::v4(SERVER), Over::Pipe, PORT) else { unreachable!() };
        assert_eq!((of_pipes.interface, of_pipes.source), (Some(SVCCTL), Source::Bind));
        assert!(of_pipes.pipes.iter().eq(["atsvc", "svcctl"]));
        assert!(learned.at(Addr::v4(SERVER), Over::Tcp, PORT).is_empty(), "nothing listens on the port itself");
    }

    #[test]
    fn files_are_no_pipes_whatever_they_hold() {
        let mut talk = Talk::new(usize::MAX);
        talk.answer(&smb::connected2(3, TREE, smb::DISK));
        talk.ask(&smb::create2(4, TREE, "epmapper"));
        talk.answer(&smb::created2(4, FILE));
        talk.ask(&smb::write2(5, FILE, &bind(SVCCTL)));
        assert!(talk.session.pipes.is_empty() && talk.session.asked.is_empty());
        let mut talk = Talk::new(usize::MAX);
        talk.ask(&smb::create1(4, "\\epmapper"));
        talk.answer(&smb::created1(4, 7, 0));
        assert!(talk.session.pipes.is_empty(), "the server says that it is a file");
        talk.answer(&smb::connected1(3, false));
        talk.ask(&smb::write1(5, 7, &bind(SVCCTL)));
        assert!(talk.session.pipes.is_empty() && talk.bound().is_empty());
    }

    #[test]
    fn who_comes_in_the_middle_learns_what_is_opened_later_and_what_must_be_a_pipe() {
        let mut talk = Talk::new(usize::MAX);
        // Opened before, on a share of which nothing is known.
        talk.ask(&smb::write2(5, FILE, &request()));
        assert!(talk.session.pipes.is_empty(), "it may be a file");
        talk.ask(&smb::write2(5, Handle(8), &bind(DRSUAPI)));
        assert_eq!(talk.session.pipes.len(), 1, "a bind tells");
        talk.ask(&smb::transceive2(6, false, 0, FILE, &bind(SVCCTL)));
        talk.answer(&smb::transceive2(6, true, 0, FILE, &ack()));
        talk.ask(&smb::create2(7, TREE, "samr"));
        talk.answer(&smb::created2(7, Handle(9)));
        talk.ask(&smb::transceive2(8, false, 0, Handle(9), &bind(DRSUAPI)));
        talk.answer(&smb::transceive2(8, true, 0, Handle(9), &ack()));
        assert_eq!(talk.bound(), [(String::new(), SVCCTL), ("samr".to_owned(), DRSUAPI)]);
        let learned = talk.learned();
        let names: Vec<_> =
            learned.at(Addr::v4(SERVER), Over::Pipe, PORT).iter().map(|known| known.pipes.len()).collect();
        assert_eq!(names, [0, 1], "a name that is not known is none");
    }

    #[test]
    fn what_was_refused_is_no_pipe() {
        let mut talk = Talk::new(usize::MAX);
        talk.answer(&smb::connected2(3, TREE, smb::PIPES));
        talk.ask(&smb::create2(4, TREE, "svcctl"));
        talk.answer(&smb::failed2(5, 4, smb::NOT_FOUND));
        talk.answer(&smb::created2(4, FILE));
        assert!(talk.session.pipes.is_empty() && talk.session.asked.is_empty());
    }

    #[test]
    fn encrypted_or_compressed_connections_are_counted_once_and_not_guessed_at() {
        let mut talk = Talk::new(usize::MAX);
        for _ in 0..3 {
            talk.ask(&smb::sealed());
            talk.answer(b"\xfcSMB and what is compressed");
        }
        assert_eq!(talk.learned().count(Count::SmbSealed), 1);
        assert_eq!(talk.knowledge.rpc().smb_sealed(), 1);
        assert!(talk.learned().pipes_of(talk.session.id).unwrap().sealed.is_some());
        assert!(talk.bound().is_empty());
    }

    #[test]
    fn a_long_file_ends_the_listening_and_a_busy_pipe_does_not() {
        for (busy, wanted) in [(false, 1), (true, 0)] {
            let mut talk = played(&mapped2()[..7], usize::MAX);
            for _ in 0..IDLE_MAX / 100 {
                talk.piece = 1000;
                talk.say(talk.client, &smb::packet(&smb::write2(5, Handle(99), &vec![7; 105_000])));
                talk.piece = usize::MAX;
                if busy {
                    talk.ask(&smb::transceive2(7, false, 0, FILE, &request()));
                }
            }
            assert_eq!(talk.learned().count(Count::PipesLeft), wanted);
            assert_eq!((talk.session.is_lost(), talk.session.pipes.is_empty()), (!busy, !busy));
            assert!(talk.session.held() < 16 << 10, "{}", talk.session.held());
        }
    }

    #[test]
    fn memory_stays_bounded_and_what_is_given_up_is_counted() {
        let mut talk = Talk::new(usize::MAX);
        for nth in 0..200 {
            let tree = Tree(TREE.0, u32::try_from(nth).unwrap());
            talk.answer(&smb::connected2(nth, tree, smb::PIPES));
            talk.ask(&smb::create2(nth, tree, &format!("pipe{nth}")));
            talk.answer(&smb::created2(nth, Handle(nth.into())));
            talk.ask(&smb::transceive2(nth, false, 0, Handle(nth.into()), &bind(SVCCTL)[..40]));
            talk.ask(&smb::transceive2(nth, false, 0, Handle(nth.into()), &bind(SVCCTL)[40..]));
            talk.answer(&smb::given2(nth, 0, &ack()));
            for more in 0..10 {
                talk.ask(&smb::read2(1000 + nth * 10 + more, Handle(nth.into())));
            }
            assert!(talk.session.pipes.len() <= PIPES_MAX && talk.session.asked.len() <= ASKED_MAX);
            assert!(talk.session.trees.len() <= TREES_MAX && talk.session.flow.pipes.len() <= PIPES_KEPT_MAX);
        }
        assert_eq!(talk.session.flow.pipes.len(), PIPES_KEPT_MAX);
        assert!(talk.learned().count(Count::PipesOver) > 200 - 16 && talk.learned().count(Count::FlowFull) > 0);
        for _ in 0..GAPS_MAX {
            assert!(!talk.session.is_lost());
            talk.session.gap(talk.client);
        }
        assert!(talk.session.is_lost());
    }

    #[test]
    fn after_a_gap_the_next_command_goes_on() {
        let mut talk = played(&mapped2()[..7], usize::MAX);
        talk.session.gap(talk.client);
        talk.session.gap(talk.client.other());
        for (asks, command) in &mapped2()[7..] {
            let from = if *asks { talk.client } else { talk.client.other() };
            talk.say(from, &smb::packet(command));
        }
        assert_eq!(talk.learned().at(Addr::v4(SERVER), Over::Tcp, 49_668).len(), 1);
    }

    #[test]
    fn cut_anywhere_or_with_a_flipped_bit_nothing_is_invented() {
        let at_once = vec![mapped2()[0].clone(), (true, mapped_at_once()), (false, smb::created2(4, FILE))];
        for said in [mapped2(), mapped1(), at_once] {
            for wrong in 0..said.len() {
                let whole = &said[wrong].1;
                for end in 0..whole.len() {
                    let mut cut = said.clone();
                    cut[wrong].1.truncate(end);
                    let talk = played(&cut, usize::MAX);
                    assert!(talk.learned().ports().count() <= 1, "{wrong} {end}");
                }
                for bit in 0..whole.len() * 8 {
                    let mut flipped = said.clone();
                    flipped[wrong].1[bit / 8] ^= 1 << (bit % 8);
                    let talk = played(&flipped, 100);
                    assert!(talk.learned().ports().count() <= 2 && talk.bound().len() <= 1, "{wrong} {bit}");
                    assert!(talk.session.held() < 16 << 10);
                }
            }
        }
    }
}
