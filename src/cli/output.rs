//! Where reports go: standard output, or a file that is there whole or not at all. And words to the person: standard error.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io;
use std::io::BufWriter;
use std::io::Write;
use std::path::Path;
use std::path::PathBuf;

use crate::capture::expand::UNFINISHED;
use crate::cli::exit::Stop;
use crate::report::sanitise::Shown;

/// Writes to standard output, buffered.
///
/// # Errors
/// [`Stop`] with exit code 4, or a quiet one if the reader went away.
pub fn to_stdout(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Stop> {
    let mut out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    write(&mut out).and_then(|()| out.flush()).map_err(|error| Stop::stdout(&error))
}

/// The same of what a run came to: a reader that has seen enough changes nothing of that.
///
/// # Errors
/// [`Stop`] with exit code 4.
pub fn outcome_to_stdout(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Stop> {
    to_stdout(write).or_else(|stop| if stop.is_quiet() { Ok(()) } else { Err(stop) })
}

/// Says a line to the person, on standard error. Nobody may listen there any more, or its disk be full: that ends nothing.
pub fn to_stderr(line: impl fmt::Display) {
    io::stderr().write_all(format!("{line}\n").as_bytes()).ok();
}

/// Says that a file's extension tells no format, and which would.
pub fn unknown_extension<'k>(path: &Path, known: impl IntoIterator<Item = &'k str>) -> Stop {
    let known: Vec<String> = known.into_iter().map(|extension| format!(".{extension}")).collect();
    let (path, known) = (Shown::path(path), known.join(" "));
    Stop::usage(format!("cannot tell from its extension how to write {path}; these are known: {known}"))
}

/// Writes a file at once, as a [`Target`] does.
///
/// # Errors
/// See [`Target::write`].
pub fn to_file(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Stop> {
    Target::at(path).write(write)
}

/// Where a file is written later. Devices and pipes are written as they are; whether one is meant is looked at here, and
/// not when it is written: whatever somebody put there since is not what was meant, and may wait for ever.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    path: PathBuf,
    special: bool,
}

impl Target {
    /// A path as the person gave it.
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_path_buf(), special: is_special(path) }
    }

    /// A path that is no device or pipe.
    pub fn plain(path: PathBuf) -> Self {
        Self { path, special: false }
    }

    /// The path.
    pub fn path(&self) -> &PathBuf {
        &self.path
    }

    /// Writes beside the path, syncs, and renames into place; or into the device or pipe.
    ///
    /// # Errors
    /// [`Stop`] with exit code 4; what was there is then as it was.
    pub fn write(&self, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Stop> {
        let name = Shown::path(&self.path);
        let written = if self.special { write_through(&self.path, write) } else { write_whole(&self.path, write) };
        written.map_err(|error| Stop::io(format!("cannot write {name}: {error}")))
    }
}

/// Writes several outputs: one that fails keeps nobody from the others.
///
/// # Errors
/// The first that failed; others are told here.
pub fn each_of(outputs: impl IntoIterator<Item = Result<(), Stop>>) -> Result<(), Stop> {
    let mut failed = None;
    for stop in outputs.into_iter().filter_map(Result::err) {
        if failed.is_some() {
            to_stderr(format_args!("portolan: {}", stop.message));
        } else {
            failed = Some(stop);
        }
    }
    failed.map_or(Ok(()), Err)
}

/// Whether it is there and no file: a device, a pipe, a folder.
pub(super) fn is_special(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| !meta.is_file())
}

/// Whether a file can be made there, as far as can be told before there is anything to write.
///
/// # Errors
/// [`Stop`] with exit code 4: the folder is not there; with 2: standard output is meant, which the report has.
pub fn check_place(path: &Path) -> Result<(), Stop> {
    if path == Path::new("-") {
        return Err(Stop::usage("standard output is for the report that --format names; name a file instead of -"));
    }
    let folder = folder_of(path);
    if folder.is_dir() {
        return Ok(());
    }
    Err(Stop::io(format!("cannot write {}: there is no folder {}", Shown::path(path), Shown::path(folder))))
}

/// Whether nothing that is read, and no other output, would be written over.
///
/// # Errors
/// [`Stop`] with exit code 2: which would.
pub fn check_apart<'p>(
    written: impl IntoIterator<Item = &'p PathBuf>,
    read: impl IntoIterator<Item = &'p PathBuf>,
) -> Result<(), Stop> {
    let read: BTreeSet<PathBuf> = read.into_iter().filter_map(|path| place_of(path)).collect();
    let mut places = BTreeSet::new();
    for path in written {
        let Some(place) = place_of(path) else { continue };
        let why = if read.contains(&place) {
            "what is read from it would be written over"
        } else if places.insert(place) {
            continue;
        } else {
            "it is named for two outputs"
        };
        return Err(Stop::usage(format!("cannot write {}: {why}; name another file", Shown::path(path))));
    }
    Ok(())
}

/// Where a file is or will be, whatever leads to it. Devices and pipes can be written and read by many.
fn place_of(path: &Path) -> Option<PathBuf> {
    if is_special(path) {
        return None;
    }
    let there = || Some(fs::canonicalize(folder_of(path)).ok()?.join(path.file_name()?));
    fs::canonicalize(path).ok().or_else(there)
}

/// The folder of a file, or where it will be.
pub(super) fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn write_through(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut file = BufWriter::new(fs::OpenOptions::new().write(true).open(path)?);
    write(&mut file)?;
    file.flush()
}

/// A link of whoever writes leads to the file that is replaced, if its folder can be written, and a file of theirs keeps
/// its permissions. A link that somebody else put there is replaced itself, and leads nowhere.
fn write_whole(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    if is_special(path) {
        return Err(io::Error::other("something that is no file was put in its place"));
    }
    let mut file = unfinished(path)?;
    let mut path = path.to_path_buf();
    let own = |there: &fs::Metadata| file.as_file().metadata().is_ok_and(|meta| same_owner(&meta, there));
    if fs::symlink_metadata(&path).is_ok_and(|link| link.is_symlink() && own(&link))
        && let Ok(target) = fs::canonicalize(&path)
        && let Ok(beside_target) = unfinished(&target)
    {
        (file, path) = (beside_target, target);
    }
    let before = fs::symlink_metadata(&path).ok().filter(fs::Metadata::is_file);
    let meta = file.as_file().metadata()?;
    if let Some(before) = before.filter(|before| same_owner(&meta, before)) {
        file.as_file().set_permissions(before.permissions())?;
    }
    let mut out = BufWriter::with_capacity(1 << 16, file);
    write(&mut out)?;
    let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// A file beside `path` that is not finished yet.
fn unfinished(path: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(UNFINISHED);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder_of(path))
}

#[cfg(unix)]
fn same_owner(one: &fs::Metadata, other: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    one.uid() == other.uid()
}

#[cfg(not(unix))]
fn same_owner(_: &fs::Metadata, _: &fs::Metadata) -> bool {
    false
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop here")]

    use super::*;

    #[test]
    #[cfg(unix)]
    fn a_pipe_is_written_only_where_it_was_meant() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        let target = Target::at(&path);
        target.write(|out| out.write_all(b"old")).unwrap();
        fs::remove_file(&path).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        // Nobody will ever read from it: to open it would wait for ever.
        let stop = target.write(|out| out.write_all(b"new")).unwrap_err();
        assert!(stop.message.contains("no file"), "{}", stop.message);
        // One that is meant is written as it is.
        let reader = std::process::Command::new("cat").arg(&path).stdout(std::process::Stdio::piped()).spawn().unwrap();
        Target::at(&path).write(|out| out.write_all(b"new")).unwrap();
        assert_eq!(reader.wait_with_output().unwrap().stdout, b"new");
    }

    #[test]
    fn a_failed_report_leaves_the_old_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        to_file(&path, |out| out.write_all(b"old")).unwrap();
        let stop = to_file(&path, |out| {
            out.write_all(b"half of the new")?;
            Err(io::Error::other("disk full"))
        })
        .unwrap_err();
        assert_eq!(stop.code, crate::cli::exit::IO);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
