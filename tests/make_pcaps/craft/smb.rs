//! SMB 2.1 as far as a named pipe needs it (MS-SMB2 section 2.2): the share of pipes, opening one, writing and reading in
//! one command, closing. Without a session's set-up, which no reader needs.

use crate::craft::payload::framed;

/// The session that is taken for set up, the share in it and the pipe on that.
const SESSION: u64 = 0x0000_4c00_0000_0021;
const TREE: u32 = 5;
const PIPE: [u8; 16] = [0x31, 0, 0, 0, 0, 0, 0, 0, 0x0d, 0, 0, 0, 0xff, 0xff, 0xff, 0xff];
/// `FSCTL_PIPE_TRANSCEIVE`.
const TRANSCEIVE: u32 = 0x0011_c017;

/// A question and its answer, each in its packet.
pub(crate) type Exchange = (Vec<u8>, Vec<u8>);

/// Connects `\\10.0.0.10\IPC$`.
pub(crate) fn connect_pipes(call: u64) -> Exchange {
    let path = utf16("\\\\10.0.0.10\\IPC$");
    let mut asked = vec![9, 0, 0, 0, 72, 0];
    asked.extend(u16::try_from(path.len()).unwrap().to_le_bytes());
    asked.extend(path);
    let given = [16, 0, 2, 0, 0x30, 0, 0, 0, 0, 0, 0, 0, 0xff, 1, 0x1f, 0];
    (command(3, false, call, 0, &asked), command(3, true, call, TREE, &given))
}

/// Opens a pipe.
pub(crate) fn open(call: u64, name: &str) -> Exchange {
    let name = utf16(name);
    let mut asked = vec![57, 0, 0, 0, 2, 0, 0, 0];
    asked.extend([0; 16]);
    for word in [0x0012_019f_u32, 0, 7, 1, 0x40] {
        asked.extend(word.to_le_bytes());
    }
    asked.extend(120_u16.to_le_bytes());
    asked.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
    asked.extend([0; 8]);
    asked.extend(name);
    let mut given = vec![89, 0, 0, 0, 1, 0, 0, 0];
    given.extend([0; 32]);
    given.extend(4096_u64.to_le_bytes());
    given.extend([0; 8]);
    given.extend(128_u32.to_le_bytes());
    given.extend([0; 4]);
    given.extend(PIPE);
    given.extend([0; 8]);
    (command(5, false, call, TREE, &asked), command(5, true, call, TREE, &given))
}

/// Writes into the pipe and reads what comes back.
pub(crate) fn transceive(call: u64, written: &[u8], read: &[u8]) -> Exchange {
    let len = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap().to_le_bytes();
    let begin = |size: u8| {
        let mut body = vec![size, 0, 0, 0];
        body.extend(TRANSCEIVE.to_le_bytes());
        body.extend(PIPE);
        body
    };
    let mut asked = begin(57);
    asked.extend(120_u32.to_le_bytes());
    asked.extend(len(written));
    asked.extend([0; 12]);
    asked.extend(4280_u32.to_le_bytes());
    asked.extend([1, 0, 0, 0, 0, 0, 0, 0]);
    asked.extend(written);
    let mut given = begin(49);
    given.extend(112_u32.to_le_bytes());
    given.extend([0; 4]);
    given.extend(112_u32.to_le_bytes());
    given.extend(len(read));
    given.extend([0; 8]);
    given.extend(read);
    (command(11, false, call, TREE, &asked), command(11, true, call, TREE, &given))
}

/// Closes the pipe.
pub(crate) fn close(call: u64) -> Exchange {
    let mut asked = vec![24, 0, 0, 0, 0, 0, 0, 0];
    asked.extend(PIPE);
    let mut given = vec![60, 0];
    given.extend([0; 58]);
    (command(6, false, call, TREE, &asked), command(6, true, call, TREE, &given))
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn command(number: u16, answers: bool, call: u64, tree: u32, body: &[u8]) -> Vec<u8> {
    let mut out = vec![0xfe, b'S', b'M', b'B', 64, 0, 1, 0, 0, 0, 0, 0];
    out.extend(number.to_le_bytes());
    out.extend([1, 0]);
    out.extend(u32::from(answers).to_le_bytes());
    out.extend([0; 4]);
    out.extend(call.to_le_bytes());
    out.extend([0xff, 0xfe, 0, 0]);
    out.extend(tree.to_le_bytes());
    out.extend(SESSION.to_le_bytes());
    out.extend([0; 16]);
    out.extend(body);
    framed(&out)
}
