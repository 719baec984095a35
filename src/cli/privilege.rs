//! Giving up rights once every interface is open: another user, no capability, no way to get one again, no file but
//! those named.
//!
//! Nothing of this can be taken back, and threads inherit it: it must come before the first thread and the first frame.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;

use caps::CapSet;
use caps::Capability;
use landlock::ABI;
use landlock::Access;
use landlock::AccessFs;
use landlock::AccessNet;
use landlock::CompatLevel;
use landlock::Compatible;
use landlock::Ruleset;
use landlock::RulesetAttr;
use landlock::RulesetCreatedAttr;
use landlock::RulesetError;
use landlock::RulesetStatus;
use landlock::path_beneath_rules;
use nix::libc;
use nix::sys::prctl::set_no_new_privs;
use nix::unistd::Uid;
use nix::unistd::User;
use nix::unistd::setgroups;
use nix::unistd::setresgid;
use nix::unistd::setresuid;

use crate::cli::exit::Stop;
use crate::cli::output::folder_of;
use crate::cli::output::is_special;
use crate::report::sanitise::Shown;

/// Who watches if nobody is named and root began it: the first of these that there is.
const USERS: [&str; 2] = ["portolan", "nobody"];

/// What must stay possible.
#[derive(Debug, Default)]
pub struct Needs {
    /// Files that are written, beside a temporary one.
    pub written: Vec<PathBuf>,
    /// Files and folders that are read again at a reload.
    pub read: Vec<PathBuf>,
}

/// What was given up, for a word to the person.
#[derive(Debug)]
pub struct Given {
    /// Whose rights are left; `None` if they are those of whoever began it.
    pub user: Option<String>,
    /// How far the kernel keeps files away: `fully`, `partly` or `not`.
    pub files: &'static str,
}

/// Whether there is the right to open an interface.
pub fn may_open() -> bool {
    caps::has_cap(None, CapSet::Effective, Capability::CAP_NET_RAW).unwrap_or(false)
}

/// Gives up everything but what is needed.
///
/// # Errors
/// [`Stop`] if the user is not known, rights cannot be given up, or a file that is to be written cannot be written by
/// that user.
pub fn give_up(user: Option<&str>, needs: &Needs) -> Result<Given, Stop> {
    // The bounding set can be emptied only while there are rights; where there are none it does not matter.
    caps::clear(None, CapSet::Bounding).ok();
    let user = become_user(user)?;
    no_capabilities()?;
    set_no_new_privs().map_err(|error| Stop::io(format!("cannot forbid new privileges: {error}")))?;
    let files = keep_files_away(needs).map_err(|error| Stop::io(format!("cannot restrict files: {error}")))?;
    for path in &needs.written {
        check_written(path, user.as_deref())?;
    }
    Ok(Given { user, files })
}

fn become_user(wanted: Option<&str>) -> Result<Option<String>, Stop> {
    let known = |name: &str| {
        User::from_name(name).map_err(|error| Stop::io(format!("cannot look up the user {name}: {error}")))
    };
    let root = Uid::effective().is_root();
    let user = match wanted {
        Some(name) => known(name)?.ok_or_else(|| Stop::usage(format!("there is no user \"{name}\" (-Z)")))?,
        None if !root => return Ok(None),
        None => {
            let first = USERS.iter().find_map(|name| known(name).ok().flatten());
            first.ok_or_else(|| Stop::usage("there is no user nobody: name one with -Z"))?
        }
    };
    if user.uid == Uid::effective() {
        return Ok(Some(user.name));
    }
    setgroups(&[user.gid])
        .and_then(|()| setresgid(user.gid, user.gid, user.gid))
        .and_then(|()| setresuid(user.uid, user.uid, user.uid))
        .map_err(|error| Stop::io(format!("cannot become the user {}: {error}", user.name)))?;
    Ok(Some(user.name))
}

fn no_capabilities() -> Result<(), Stop> {
    for set in [CapSet::Ambient, CapSet::Effective, CapSet::Permitted, CapSet::Inheritable] {
        caps::clear(None, set).map_err(|error| Stop::io(format!("cannot give up capabilities: {error}")))?;
    }
    Ok(())
}

/// Landlock (kernel 5.13 and later). What the kernel does not know is left out.
fn keep_files_away(needs: &Needs) -> Result<&'static str, RulesetError> {
    let abi = ABI::V5;
    // Devices and pipes are written themselves; other files are made anew in their folder.
    let (devices, files): (Vec<_>, Vec<_>) = needs.written.iter().partition(|path| is_special(path));
    let folders = files.into_iter().map(|path| folder_of(path));
    // Counters and states of interfaces, by the kernel's own files.
    let read = needs.read.iter().map(PathBuf::as_path).chain([Path::new("/sys")]);
    let ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(abi))?
        .handle_access(AccessNet::from_all(abi))?
        .create()?
        .add_rules(path_beneath_rules(read, AccessFs::from_read(abi)))?
        .add_rules(path_beneath_rules(folders, AccessFs::from_all(abi)))?
        .add_rules(path_beneath_rules(devices, AccessFs::from_file(abi)))?;
    Ok(match ruleset.restrict_self()?.ruleset {
        RulesetStatus::FullyEnforced => "fully",
        RulesetStatus::PartiallyEnforced => "partly",
        RulesetStatus::NotEnforced => "not",
    })
}

/// Better told now than after a week.
fn check_written(path: &Path, user: Option<&str>) -> Result<(), Stop> {
    if is_special(path) {
        return Ok(());
    }
    let folder = folder_of(path);
    let (name, place) = (Shown::path(path), Shown::path(folder));
    tempfile::Builder::new().prefix(".portolan-").tempfile_in(folder).map_err(|error| {
        let who = user.map_or(String::new(), |user| format!(" as the user {user}; name another with -Z"));
        Stop::io(format!("cannot write {name} in {place}: {error}{who}"))
    })?;
    if may_replace(path) {
        return Ok(());
    }
    let who = user.map_or(String::new(), |user| format!(", and that is not {user}"));
    Err(Stop::io(format!(
        "cannot write {name}: only its owner may replace it in {place}{who}; name another folder, or the owner with -Z"
    )))
}

/// Whether another file may take the place of one. In a sticky folder, as /tmp is, that is for the owner of either.
fn may_replace(path: &Path) -> bool {
    let Ok(file) = fs::symlink_metadata(path) else { return true };
    let own = |meta: &fs::Metadata| meta.uid() == Uid::effective().as_raw();
    let sticky = |folder: &fs::Metadata| folder.mode() & libc::S_ISVTX != 0;
    fs::metadata(folder_of(path)).is_ok_and(|folder| !sticky(&folder) || own(&folder) || own(&file))
}
