//! Reads the samples of this folder: what the two ends of each protocol begin with.

#![allow(dead_code, reason = "each test binary uses its own part of this file")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may stop here")]

use portolan::model::app::AppProto;
use portolan::model::app::Speaker;
use portolan::model::transport::Transport;
use std::fs;
use std::path::Path;

/// How sure the answer must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Certainty {
    /// These bytes can be nothing else.
    Certain,
    /// Another protocol could begin so, but none that has a recogniser.
    Likely,
    /// Another protocol with a recogniser begins so.
    Shared,
    /// Certain or likely.
    Any,
}

/// The first bytes of one end.
pub(crate) struct Sample {
    pub(crate) proto: AppProto,
    pub(crate) title: String,
    pub(crate) transport: Transport,
    /// Who sends them; none where any answer will do.
    pub(crate) speaker: Option<Speaker>,
    pub(crate) certainty: Certainty,
    pub(crate) bytes: Vec<u8>,
}

/// All of them, in the order of the protocols.
pub(crate) fn samples() -> Vec<Sample> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/samples");
    let mut all = Vec::new();
    for proto in AppProto::ALL {
        let Ok(text) = fs::read_to_string(folder.join(format!("{proto}.txt"))) else { continue };
        all.extend(text.split("\n\n").map(|block| sample(proto, block)));
    }
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let texts = files.filter(|path| path.extension().is_some_and(|extension| extension == "txt"));
    for path in texts {
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert!(AppProto::by_name(name).is_some(), "{name}.txt is no protocol's file");
    }
    all
}

fn sample(proto: AppProto, block: &str) -> Sample {
    let mut lines = block.lines();
    let title = lines.next().and_then(|line| line.strip_prefix("# ")).unwrap().to_owned();
    let words: Vec<_> = lines.next().unwrap().split(' ').collect();
    let [transport, speaker, certainty] = words[..] else { panic!("{proto}: three words belong below {title}") };
    Sample {
        proto,
        transport: Transport::by_name(transport).unwrap(),
        speaker: match speaker {
            "client" => Some(Speaker::Client),
            "server" => Some(Speaker::Server),
            "any" => None,
            other => panic!("{proto}: {title}: {other} is no speaker"),
        },
        certainty: match certainty {
            "certain" => Certainty::Certain,
            "likely" => Certainty::Likely,
            "shared" => Certainty::Shared,
            "any" => Certainty::Any,
            other => panic!("{proto}: {title}: {other} is no certainty"),
        },
        bytes: lines.flat_map(bytes).collect(),
        title,
    }
}

/// The bytes of one line: quoted text with `\r`, `\n` and `\\`, or hexadecimal digits.
fn bytes(line: &str) -> Vec<u8> {
    let Some(text) = line.strip_prefix('"') else {
        let digits: Vec<_> = line.chars().map(|digit| u8::try_from(digit.to_digit(16).unwrap()).unwrap()).collect();
        assert_eq!(digits.len() % 2, 0, "half a byte: {line}");
        return digits.chunks(2).map(|two| two[0] << 4 | two[1]).collect();
    };
    let text = text.strip_suffix('"').unwrap();
    text.replace("\\r", "\r").replace("\\n", "\n").replace("\\\\", "\\").into_bytes()
}
