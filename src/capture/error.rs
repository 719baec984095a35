//! What stops a capture from being read at all. Damage inside an input is not here: it is a fact of that input.

use std::io;

/// Why reading could not begin (exit code 4 of the program).
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// No path was given.
    #[error("no capture given: name a file, a folder, or - for standard input")]
    NoInput,
    /// A file cannot be opened or its first bytes cannot be read.
    #[error("cannot open {path}: {source}")]
    Open {
        /// The path as given.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// A folder cannot be listed.
    #[error("cannot list the folder {path}: {source}")]
    Folder {
        /// The path as given, or of a folder below it.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// A folder was listed and none of its files begins like a capture.
    #[error(
        "no capture in the folder {path}: none of its {files} files begins like pcap or pcapng, plain or compressed"
    )]
    EmptyFolder {
        /// The path as given.
        path: String,
        /// How many files were looked at.
        files: usize,
    },
    /// More inputs than a frame's name has room for.
    #[error("{count} captures are too many for one run: the limit is 65536, merge some of them with mergecap")]
    TooManyInputs {
        /// How many there were.
        count: usize,
    },
    /// Standard input can be read only once.
    #[error("standard input (-) is named twice: it can be read only once")]
    StdinTwice,
    /// libpcap does not understand the filter expression.
    #[error(
        "the filter \"{expression}\" does not compile: {message}; it is tcpdump's language, as in `tcp port 445 or icmp` (pcap-filter(7))"
    )]
    Filter {
        /// The expression as typed.
        expression: String,
        /// libpcap's words.
        message: String,
    },
    /// A device cannot be opened.
    #[error("cannot watch {name}: {message}")]
    Device {
        /// Its name as given.
        name: String,
        /// What the system said.
        message: String,
    },
}
