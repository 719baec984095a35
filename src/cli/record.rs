//! `-w`: the packets of findings, in a ring of pcapng files with a comment on each packet.
//!
//! Readers keep the newest frames; when a finding is told, those of its port are still there. A file grows by whole
//! blocks, one write for each judgement.

use std::collections::HashMap;
use std::fs;
use std::fs::File;
use std::io;
use std::io::Seek;
use std::io::SeekFrom;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

use crate::capture::write;
use crate::capture::write::Interface;
use crate::cli::exit::Stop;
use crate::cli::output::is_special;
use crate::model::addr::FlowKey;
use crate::pipeline::live::Live;
use crate::report::evidence::PACKETS_MAX;
use crate::report::evidence::comment;
use crate::report::findings::Service;
use crate::report::ledger::Item;
use crate::report::moment::Moment;
use crate::report::sanitise::Shown;

/// Findings whose packets are counted; then counting begins anew.
const COUNTED_MAX: usize = 1 << 16;

/// The ring of files.
#[derive(Debug)]
pub struct Recorder {
    path: PathBuf,
    file: File,
    head: Vec<u8>,
    size: u64,
    size_max: u64,
    files_max: u32,
    /// How many packets of each finding were written.
    written: HashMap<u64, u32>,
}

impl Recorder {
    /// Begins the first file.
    ///
    /// # Errors
    /// [`Stop`] if it cannot be made.
    pub fn begin(path: &Path, interfaces: &[Interface], size_max: u64, files_max: u32) -> Result<Self, Stop> {
        let head = write::section(interfaces);
        // A device or a pipe is one file for ever.
        let size_max = if is_special(path) { u64::MAX } else { size_max };
        let file = first(path, &head, files_max).map_err(|error| failed(path, &error))?;
        let (path, size) = (path.to_path_buf(), head.len() as u64);
        Ok(Self { path, file, head, size, size_max, files_max, written: HashMap::new() })
    }

    /// Writes the packets of findings that the readers still have.
    ///
    /// # Errors
    /// [`Stop`] if they cannot be written.
    pub fn take<'i>(&mut self, live: &Live<'_>, items: impl Iterator<Item = &'i Item>) -> Result<(), Stop> {
        if self.written.len() > COUNTED_MAX {
            self.written.clear();
        }
        let mut wanted: HashMap<Service, Vec<&Item>> = HashMap::new();
        for item in items {
            let full = self.written.get(&item.id).is_some_and(|count| *count >= PACKETS_MAX);
            if let Some(service) = item.finding.service().filter(|_| !full) {
                wanted.entry(service).or_default().push(item);
            }
        }
        if wanted.is_empty() {
            return Ok(());
        }
        let find = |key: &FlowKey| {
            let ends = [(key.low, key.high, key.high_port), (key.high, key.low, key.low_port)];
            let transport = key.transport.name();
            ends.into_iter().find_map(|(client, server, port)| wanted.get(&(client, server, transport, port)))
        };
        let mut out = Vec::new();
        for (key, frame, kept) in live.take_kept(|key| find(key).is_some()) {
            // A service may be told of twice: dropped first, and refused later.
            let at = Moment(kept.ts);
            let open = |item: &&&Item| item.finding.first <= at && at <= item.finding.last;
            let Some(items) = find(&key) else { continue };
            let Some(item) = items.iter().find(open).or(items.last()) else { continue };
            let count = self.written.entry(item.id).or_default();
            *count += 1;
            if *count <= PACKETS_MAX {
                write::packet(&mut out, &kept, &comment(&item.finding, item.id, &frame.to_string()));
            }
        }
        self.append(&out).map_err(|error| failed(&self.path, &error))
    }

    fn append(&mut self, blocks: &[u8]) -> io::Result<()> {
        if blocks.is_empty() {
            return Ok(());
        }
        let more = blocks.len() as u64;
        if self.size + more > self.size_max && self.size > self.head.len() as u64 {
            self.turn()?;
        }
        if let Err(error) = self.file.write_all(blocks) {
            // A full disk took a part of them: what is there stays a whole file.
            let size = self.size;
            self.file.set_len(size).and_then(|()| self.file.seek(SeekFrom::Start(size))).ok();
            return Err(error);
        }
        self.size += more;
        Ok(())
    }

    fn turn(&mut self) -> io::Result<()> {
        self.file.sync_all()?;
        turn(&self.path, self.files_max)?;
        self.file = start(&self.path, &self.head)?;
        self.size = self.head.len() as u64;
        Ok(())
    }
}

/// Begins the first file of a run. One of an earlier run stays in the ring, if there is anything in it.
fn first(path: &Path, head: &[u8], files_max: u32) -> io::Result<File> {
    if is_special(path) {
        let mut file = File::options().write(true).open(path)?;
        file.write_all(head)?;
        return Ok(file);
    }
    match fs::symlink_metadata(path) {
        // A watch that begins again and again and finds nothing must not push out what was found.
        Ok(meta) if meta.is_file() && meta.len() <= head.len() as u64 => fs::remove_file(path)?,
        Ok(_) => turn(path, files_max)?,
        Err(_) => {}
    }
    start(path, head)
}

/// Makes room for the newest file, which goes by the name itself: older ones go by a number, and the oldest goes. A link
/// is nobody's evidence, and followed nowhere.
fn turn(path: &Path, files_max: u32) -> io::Result<()> {
    for number in (0..files_max.saturating_sub(1)).rev() {
        let (from, to) = (numbered(path, number), numbered(path, number + 1));
        match fs::symlink_metadata(&from) {
            Ok(meta) if meta.is_file() => fs::rename(from, to)?,
            Ok(_) => fs::remove_file(from)?,
            Err(_) => {}
        }
    }
    // A ring of one file.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// A new file, where there is none: nothing that somebody put there meanwhile is written to.
fn start(path: &Path, head: &[u8]) -> io::Result<File> {
    let mut file = File::create_new(path)?;
    file.write_all(head)?;
    Ok(file)
}

fn failed(path: &Path, error: &io::Error) -> Stop {
    Stop::io(format!("cannot write {}: {error}", Shown::path(path)))
}

/// `found.pcapng`, then `found.1.pcapng` and so on.
fn numbered(path: &Path, number: u32) -> PathBuf {
    if number == 0 {
        return path.to_path_buf();
    }
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(format!(".{number}"));
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop here")]

    use super::*;

    /// What the files of a ring hold, the newest first.
    fn held(path: &Path) -> Vec<String> {
        (0..4).map_while(|number| fs::read_to_string(numbered(path, number)).ok()).collect()
    }

    #[test]
    fn a_run_that_begins_again_keeps_what_was_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("found.pcapng");
        let begin = |files_max| first(&path, b"head", files_max).unwrap();
        begin(3).write_all(b" one").unwrap();
        begin(3).write_all(b" two").unwrap();
        assert_eq!(held(&path), ["head two", "head one"]);
        // Of runs that found nothing there is nothing to keep.
        (0..5).for_each(|_| drop(begin(3)));
        assert_eq!(held(&path), ["head", "head two", "head one"]);
        begin(3).write_all(b" three").unwrap();
        begin(3).write_all(b" four").unwrap();
        assert_eq!(held(&path), ["head four", "head three", "head two"]);
        begin(1);
        assert_eq!(held(&path), ["head", "head three", "head two"]);
    }

    #[test]
    fn no_link_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("found.pcapng"), folder.path().join("other"));
        fs::write(&other, "of another").unwrap();
        let link = |number| std::os::unix::fs::symlink(&other, numbered(&path, number)).unwrap();
        (0..3).for_each(link);
        first(&path, b"head", 4).unwrap().write_all(b" one").unwrap();
        assert_eq!(held(&path), ["head one"]);
        link(1);
        turn(&path, 4).unwrap();
        assert_eq!(held(&path), [""; 0]);
        start(&path, b"head").unwrap();
        assert_eq!(held(&path), ["head", "head one"]);
        assert!(start(&path, b"head").is_err(), "what is there is not written to");
        assert_eq!(fs::read_to_string(&other).unwrap(), "of another");
    }

    #[test]
    fn a_device_is_written_as_it_is() {
        first(Path::new("/dev/null"), b"head", 4).unwrap().write_all(b" one").unwrap();
    }
}
