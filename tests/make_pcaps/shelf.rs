//! What a shipped capture is: its file, what it shows, what a reader should answer, and how it is made.
//!
//! Hands on rows for the verifier and for the page `pcaps/README.md`. Must never know the scenes themselves.

use crate::craft::pcap::Pcap;
use crate::craft::scene::Scene;

/// A folder of `pcaps/` and the captures in it.
pub(crate) struct Folder {
    /// Its name.
    pub(crate) name: &'static str,
    /// What the captures in it have in common, one or two sentences.
    pub(crate) about: &'static str,
    /// Its captures, in the order of the page.
    pub(crate) captures: &'static [Capture],
}

/// One file.
pub(crate) struct Capture {
    /// Its name within the folder.
    pub(crate) file: &'static str,
    /// What it shows.
    pub(crate) shows: &'static str,
    /// The answer expected of it, in one phrase.
    pub(crate) answer: &'static str,
    /// How it is made.
    pub(crate) make: Make,
}

/// How the bytes come about.
pub(crate) enum Make {
    /// A scene played from nine o'clock, written as little-endian microsecond pcap of Ethernet frames.
    Scene(fn(&mut Scene)),
    /// Bytes of any kind.
    Bytes(fn() -> Vec<u8>),
    /// A compressed form. Compressors of other versions may make other bytes of the same content, so content is compared.
    Packed(Packer, fn() -> Vec<u8>),
}

/// A compression format.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Packer {
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
    /// LZ4 frame format.
    Lz4,
    /// The .xz file format.
    Xz,
}

impl Capture {
    /// A capture of a scene.
    pub(crate) const fn scene(
        file: &'static str,
        shows: &'static str,
        answer: &'static str,
        play: fn(&mut Scene),
    ) -> Self {
        Self { file, shows, answer, make: Make::Scene(play) }
    }

    /// A capture of any bytes.
    pub(crate) const fn bytes(
        file: &'static str,
        shows: &'static str,
        answer: &'static str,
        make: fn() -> Vec<u8>,
    ) -> Self {
        Self { file, shows, answer, make: Make::Bytes(make) }
    }

    /// The content that the generator makes, before compression.
    pub(crate) fn content(&self) -> Vec<u8> {
        match self.make {
            Make::Scene(play) => {
                let mut scene = Scene::new();
                play(&mut scene);
                Pcap::ETHERNET.file(&scene.ethernet())
            }
            Make::Bytes(make) | Make::Packed(_, make) => make(),
        }
    }

    /// How the page says it was made.
    pub(crate) fn how(&self) -> String {
        match self.make {
            Make::Scene(_) => "a scene, written as pcap".to_owned(),
            Make::Bytes(_) => "bytes written one by one".to_owned(),
            Make::Packed(packer, _) => format!("a scene, written as pcap, then packed ({packer:?})"),
        }
    }
}
