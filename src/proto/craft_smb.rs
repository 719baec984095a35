//! Builds SMB commands in memory for the tests of this room and of `learn`, right in every byte.

use crate::proto::pipe::Handle;
use crate::proto::pipe::Tree;

/// A session and a share in it.
pub(crate) const TREE: Tree = Tree(0x1122_3344_5566_7788, 5);
/// An open file.
pub(crate) const FILE: Handle = Handle(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10);
/// `STATUS_PENDING`.
pub(crate) const PENDING: u32 = 0x103;
/// `STATUS_BUFFER_OVERFLOW`.
pub(crate) const OVERFLOW: u32 = 0x8000_0005;
/// `STATUS_OBJECT_NAME_NOT_FOUND`.
pub(crate) const NOT_FOUND: u32 = 0xc000_0034;
/// A share of files, as a tree connect's answer says so.
pub(crate) const DISK: u8 = 1;
/// The share of pipes.
pub(crate) const PIPES: u8 = 2;

fn number(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

fn short(bytes: usize) -> u16 {
    u16::try_from(bytes).unwrap_or(u16::MAX)
}

/// The packet of a session around commands.
pub(crate) fn packet(commands: &[u8]) -> Vec<u8> {
    [&number(commands.len()).to_be_bytes()[..], commands].concat()
}

/// Commands of SMB 2 in one message.
pub(crate) fn compound2(commands: &[Vec<u8>]) -> Vec<u8> {
    let mut all = Vec::new();
    for (nth, command) in commands.iter().enumerate() {
        let begin = all.len();
        all.extend_from_slice(command);
        if nth + 1 < commands.len() {
            all.resize(all.len().next_multiple_of(8), 0);
            let next = number(all.len() - begin);
            all.splice(begin + 20..begin + 24, next.to_le_bytes());
        }
    }
    all
}

/// The same command of SMB 2, going on with the file, the share and the session of the one before it in its message.
pub(crate) fn follows2(mut command: Vec<u8>) -> Vec<u8> {
    command[16] |= 4;
    command[36..48].fill(0xff);
    let file = FILE.0.to_le_bytes();
    if let Some(at) = command.windows(file.len()).position(|bytes| *bytes == file) {
        command[at..at + file.len()].fill(0xff);
    }
    command
}

/// What an encrypted message begins with, and some of it.
pub(crate) fn sealed() -> Vec<u8> {
    let mut all = b"\xfdSMB".to_vec();
    all.extend([0x5a; 32]);
    all.extend(100_u32.to_le_bytes());
    all.extend([0, 0, 1, 0]);
    all.extend([0x77; 108]);
    all
}

/// A command of SMB 2 around its body.
pub(crate) fn smb2(command: u16, answers: bool, status: u32, call: u64, tree: Tree, body: &[u8]) -> Vec<u8> {
    let mut all = b"\xfeSMB".to_vec();
    all.extend(64_u16.to_le_bytes());
    all.extend([1, 0]);
    all.extend(status.to_le_bytes());
    all.extend(command.to_le_bytes());
    all.extend([1, 0]);
    all.extend(u32::from(answers).to_le_bytes());
    all.extend([0; 4]);
    all.extend(call.to_le_bytes());
    all.extend([0xff, 0xfe, 0, 0]);
    all.extend(tree.1.to_le_bytes());
    all.extend(tree.0.to_le_bytes());
    all.extend([0; 16]);
    all.extend(body);
    all
}

/// The server connected a share of this kind.
pub(crate) fn connected2(call: u64, tree: Tree, kind: u8) -> Vec<u8> {
    smb2(3, true, 0, call, tree, &[16, 0, kind, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 1, 0x1f, 0])
}

/// The client opens a file of this name.
pub(crate) fn create2(call: u64, tree: Tree, name: &str) -> Vec<u8> {
    let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut body = vec![57, 0];
    body.extend([0; 42]);
    body.extend(120_u16.to_le_bytes());
    body.extend(short(name.len()).to_le_bytes());
    body.extend([0; 8]);
    body.extend(name);
    smb2(5, false, 0, call, tree, &body)
}

/// The server opened it.
pub(crate) fn created2(call: u64, file: Handle) -> Vec<u8> {
    let mut body = vec![89, 0];
    body.extend([0; 62]);
    body.extend(file.0.to_le_bytes());
    body.extend([0; 8]);
    smb2(5, true, 0, call, TREE, &body)
}

/// A refusal, or an answer that is still to come, to a command of this number.
pub(crate) fn failed2(command: u16, call: u64, status: u32) -> Vec<u8> {
    smb2(command, true, status, call, TREE, &[9, 0, 0, 0, 0, 0, 0, 0, 0])
}

/// The client closes a file.
pub(crate) fn close2(call: u64, file: Handle) -> Vec<u8> {
    let mut body = vec![24, 0, 0, 0, 0, 0, 0, 0];
    body.extend(file.0.to_le_bytes());
    smb2(6, false, 0, call, TREE, &body)
}

/// The client writes.
pub(crate) fn write2(call: u64, file: Handle, data: &[u8]) -> Vec<u8> {
    let mut body = vec![49, 0];
    body.extend(112_u16.to_le_bytes());
    body.extend(number(data.len()).to_le_bytes());
    body.extend([0; 8]);
    body.extend(file.0.to_le_bytes());
    body.extend([0; 16]);
    body.extend(data);
    smb2(9, false, 0, call, TREE, &body)
}

/// The client asks for bytes.
pub(crate) fn read2(call: u64, file: Handle) -> Vec<u8> {
    let mut body = vec![49, 0, 0x50, 0];
    body.extend(4280_u32.to_le_bytes());
    body.extend([0; 8]);
    body.extend(file.0.to_le_bytes());
    body.extend([0; 17]);
    smb2(8, false, 0, call, TREE, &body)
}

/// The server gives them.
pub(crate) fn given2(call: u64, status: u32, data: &[u8]) -> Vec<u8> {
    let mut body = vec![17, 0, 80, 0];
    body.extend(number(data.len()).to_le_bytes());
    body.extend([0; 8]);
    body.extend(data);
    smb2(8, true, status, call, TREE, &body)
}

/// The client writes into a pipe and asks for an answer in one, or the server gives it.
pub(crate) fn transceive2(call: u64, answers: bool, status: u32, file: Handle, data: &[u8]) -> Vec<u8> {
    let mut body = vec![if answers { 49 } else { 57 }, 0, 0, 0];
    body.extend(0x0011_c017_u32.to_le_bytes());
    body.extend(file.0.to_le_bytes());
    let at = if answers { 112_u32 } else { 120 };
    if answers {
        body.extend(at.to_le_bytes());
        body.extend([0; 4]);
        body.extend(at.to_le_bytes());
        body.extend(number(data.len()).to_le_bytes());
    } else {
        body.extend(at.to_le_bytes());
        body.extend(number(data.len()).to_le_bytes());
        body.extend([0; 16]);
    }
    body.resize(at as usize - 64, 0);
    body.extend(data);
    smb2(0xb, answers, status, call, TREE, &body)
}

/// A command of SMB 1 around its words and bytes. Names in it are UTF-16.
fn smb1(command: u8, answers: bool, status: u32, call: u64, words: &[u8], bytes: &[u8]) -> Vec<u8> {
    let mut all = b"\xffSMB".to_vec();
    all.push(command);
    all.extend(status.to_le_bytes());
    all.push(if answers { 0x98 } else { 0x18 });
    all.extend(0xc807_u16.to_le_bytes());
    all.extend([0; 12]);
    let [multiplex_low, multiplex_high, process_low, process_high, ..] = call.to_le_bytes();
    all.extend([0, 8, process_low, process_high, 0, 8, multiplex_low, multiplex_high]);
    all.push(words.len().div_ceil(2).try_into().unwrap_or(u8::MAX));
    all.extend(words);
    all.extend(short(bytes.len()).to_le_bytes());
    all.extend(bytes);
    all
}

/// Where a command's bytes begin, with so many words before them.
fn bytes_at(words: usize) -> u16 {
    short(32 + 1 + words * 2 + 2)
}

/// The server connected a share: `IPC` or a disk.
pub(crate) fn connected1(call: u64, pipes: bool) -> Vec<u8> {
    smb1(0x75, true, 0, call, &[0xff, 0, 0, 0, 1, 0], if pipes { b"IPC\0\0\0" } else { b"A:\0N\0T\0" })
}

/// The client opens a file of this name.
pub(crate) fn create1(call: u64, name: &str) -> Vec<u8> {
    let name: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut words = vec![0xff, 0, 0, 0, 0];
    words.extend(short(name.len()).to_le_bytes());
    words.resize(48, 0);
    smb1(0xa2, false, 0, call, &words, &[&[0][..], &name].concat())
}

/// The server opened it, as this kind of file.
pub(crate) fn created1(call: u64, file: u16, kind: u16) -> Vec<u8> {
    let mut words = vec![0xff, 0, 0, 0, 0];
    words.extend(file.to_le_bytes());
    words.resize(63, 0);
    words.extend(kind.to_le_bytes());
    words.resize(68, 0);
    smb1(0xa2, true, 0, call, &words, &[])
}

/// The client writes.
pub(crate) fn write1(call: u64, file: u16, data: &[u8]) -> Vec<u8> {
    let mut words = vec![0xff, 0, 0, 0];
    words.extend(file.to_le_bytes());
    words.extend([0; 8]);
    words.extend(8_u16.to_le_bytes());
    words.extend([0; 4]);
    words.extend(short(data.len()).to_le_bytes());
    words.extend((bytes_at(14) + 1).to_le_bytes());
    words.extend([0; 4]);
    smb1(0x2f, false, 0, call, &words, &[&[0xee][..], data].concat())
}

/// The client asks for bytes.
pub(crate) fn read1(call: u64, file: u16) -> Vec<u8> {
    let mut words = vec![0xff, 0, 0, 0];
    words.extend(file.to_le_bytes());
    words.resize(24, 0);
    smb1(0x2e, false, 0, call, &words, &[])
}

/// The server gives them.
pub(crate) fn given1(call: u64, status: u32, data: &[u8]) -> Vec<u8> {
    let mut words = vec![0xff, 0, 0, 0];
    words.extend([0; 6]);
    words.extend(short(data.len()).to_le_bytes());
    words.extend((bytes_at(12) + 1).to_le_bytes());
    words.resize(24, 0);
    smb1(0x2e, true, status, call, &words, &[&[0][..], data].concat())
}

/// The client writes into a pipe and asks for an answer in one.
pub(crate) fn transact1(call: u64, file: u16, data: &[u8]) -> Vec<u8> {
    let name: Vec<u8> = [0].into_iter().chain("\\PIPE\\\0".encode_utf16().flat_map(u16::to_le_bytes)).collect();
    let mut words = vec![0; 22];
    words.extend(short(data.len()).to_le_bytes());
    words.extend((bytes_at(16) + short(name.len())).to_le_bytes());
    words.extend([2, 0, 0x26, 0]);
    words.extend(file.to_le_bytes());
    smb1(0x25, false, 0, call, &words, &[&name[..], data].concat())
}

/// The server answers with a part of `total` bytes, of which `before` were sent before.
pub(crate) fn transacted1(call: u64, total: usize, before: usize, data: &[u8]) -> Vec<u8> {
    let mut words = vec![0, 0];
    words.extend(short(total).to_le_bytes());
    words.extend([0; 8]);
    words.extend(short(data.len()).to_le_bytes());
    words.extend((bytes_at(10) + 1).to_le_bytes());
    words.extend(short(before).to_le_bytes());
    words.extend([0, 0]);
    smb1(0x25, true, 0, call, &words, &[&[0][..], data].concat())
}

/// The client closes a file.
pub(crate) fn close1(call: u64, file: u16) -> Vec<u8> {
    let mut words = file.to_le_bytes().to_vec();
    words.extend([0; 4]);
    smb1(0x04, false, 0, call, &words, &[])
}
