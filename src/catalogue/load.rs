//! Collects the rule files: the embedded ones, the folders and files laid over them, the site file.
//!
//! A later layer replaces what has the same id in an earlier one; twice in one layer is a fault. It must never know
//! what the ids stand for.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use crate::catalogue::LoadOptions;
use crate::catalogue::fault::At;
use crate::catalogue::fault::Faults;
use crate::catalogue::fault::Source;
use crate::catalogue::file::InterfaceEntry;
use crate::catalogue::file::ProfileEntry;
use crate::catalogue::file::RoleEntry;
use crate::catalogue::file::RowEntry;
use crate::catalogue::file::RuleFile;
use crate::catalogue::file::ServiceEntry;
use crate::catalogue::file::SiteFile;
use crate::catalogue::file::read_rules;
use crate::catalogue::file::read_site;
use crate::catalogue::reader::Word;

/// The files of `rules/` as they were when the program was built: path and text.
static EMBEDDED: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/embedded_rules.rs"));

/// The profile that the rows of a site file form.
pub(crate) const SITE_PROFILE: &str = "site";
/// A sample for people, no rule.
const NOT_A_RULE: &str = "site.sample.toml";
/// A rule file or site file may be so large.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// A folder of rules may hold so many files, its subfolders included.
const FILES_MAX: usize = 1000;
/// Subfolders may go so deep.
const DEPTH_MAX: usize = 8;

/// A file that was read.
pub(crate) struct Loaded {
    pub(crate) name: String,
    /// Its text; bytes that are no UTF-8 are replaced.
    pub(crate) text: String,
    /// Where the first of these is.
    bad_byte: Option<usize>,
}

impl Loaded {
    /// The file of that name and content.
    pub(crate) fn new(name: String, bytes: Vec<u8>) -> Self {
        match String::from_utf8(bytes) {
            Ok(text) => Self { name, text, bad_byte: None },
            Err(error) => {
                let bad_byte = Some(error.utf8_error().valid_up_to());
                Self { name, text: String::from_utf8_lossy(error.as_bytes()).into_owned(), bad_byte }
            }
        }
    }
}

/// A row with the profile it was found in.
pub(crate) struct OwnedRow {
    pub(crate) profile: String,
    pub(crate) row: RowEntry,
}

/// All that was written, each id once unless a fault says otherwise.
#[derive(Default)]
pub(crate) struct Written {
    pub(crate) sources: Vec<Arc<Source>>,
    pub(crate) roles: Vec<RoleEntry>,
    pub(crate) services: Vec<ServiceEntry>,
    pub(crate) interfaces: Vec<InterfaceEntry>,
    pub(crate) profiles: Vec<ProfileEntry>,
    pub(crate) rows: Vec<OwnedRow>,
    pub(crate) site: Option<SiteFile>,
}

/// Reads what the options name, over the embedded files.
pub(crate) fn collect(options: &LoadOptions<'_>, faults: &mut Faults) -> Written {
    let embedded = EMBEDDED.iter().map(|&(name, text)| Loaded::new(name.to_owned(), text.into()));
    let mut layers = vec![embedded.collect()];
    for path in options.overlays {
        layers.push(read_overlay(path, faults));
    }
    let site = options.site.and_then(|path| read_file(path, faults));
    merge(layers, site, faults)
}

/// Lays the layers over one another, the first one lowest.
pub(crate) fn merge(layers: Vec<Vec<Loaded>>, site: Option<Loaded>, faults: &mut Faults) -> Written {
    let mut written = Written::default();
    let mut seen = Seen::default();
    for (layer, files) in layers.into_iter().enumerate() {
        seen.layer = layer;
        for file in files {
            if let Some(source) = add_source(&mut written, file, faults) {
                let number = u32::try_from(written.sources.len() - 1).unwrap_or(u32::MAX);
                add(&mut written, &mut seen, read_rules(number, &source.text, faults), faults);
            }
        }
    }
    seen.layer += 1;
    if let Some(source) = site.and_then(|site| add_source(&mut written, site, faults)) {
        let number = u32::try_from(written.sources.len() - 1).unwrap_or(u32::MAX);
        let mut site = read_site(number, &source.text, faults);
        let word = |text: &str| Word { text: text.to_owned(), at: At { source: number, start: 0, end: 0 } };
        let (id, title, document) = (word(SITE_PROFILE), word("Rows of the site file"), word(&source.name));
        written.profiles.push(ProfileEntry { id, title, document });
        for row in std::mem::take(&mut site.rows) {
            add_row(&mut written, &mut seen, SITE_PROFILE, row, faults);
        }
        written.site = Some(site);
    }
    written
}

/// Keeps the file's text for the sake of its faults, and hands it back if it can be read.
fn add_source(written: &mut Written, file: Loaded, faults: &mut Faults) -> Option<Arc<Source>> {
    let number = u32::try_from(written.sources.len()).unwrap_or(u32::MAX);
    let source = Arc::new(Source { name: file.name, text: file.text });
    written.sources.push(Arc::clone(&source));
    if let Some(bad_byte) = file.bad_byte {
        let start = u32::try_from(bad_byte).unwrap_or(u32::MAX);
        let at = At { source: number, start, end: start.saturating_add(1) };
        faults.error(at, "this is not UTF-8 text", Some("save the file as UTF-8".to_owned()));
        faults.set_broken();
        return None;
    }
    Some(source)
}

/// Where each id was seen last: its place in the list, its layer and its place in the text.
#[derive(Default)]
struct Seen {
    layer: usize,
    ids: HashMap<(&'static str, String), (usize, usize, At)>,
}

impl Seen {
    /// Puts the entry where it belongs: in place of that of a lower layer, or at the end.
    ///
    /// An entry without an id, or with one that this layer has already, is kept too, so that whatever else is wrong
    /// with it is said at once. It comes into no catalogue, for its fault lets none be made.
    fn put<T>(&mut self, list: &mut Vec<T>, kind: &'static str, id: &Word, entry: T, faults: &mut Faults) {
        if id.is_blank() {
            list.push(entry);
            return;
        }
        let known = self.ids.get(&(kind, id.text.clone())).copied();
        if let Some((_, _, first)) = known.filter(|&(_, layer, _)| layer == self.layer) {
            faults.twice(id.at, format!("the {kind} `{}` is declared twice", id.text), first);
            list.push(entry);
            return;
        }
        let slot = known.map_or(list.len(), |(slot, ..)| slot);
        self.ids.insert((kind, id.text.clone()), (slot, self.layer, id.at));
        match list.get_mut(slot) {
            Some(lower) => *lower = entry,
            None => list.push(entry),
        }
    }
}

fn add(written: &mut Written, seen: &mut Seen, file: RuleFile, faults: &mut Faults) {
    for role in file.roles {
        seen.put(&mut written.roles, "role", &role.id.clone(), role, faults);
    }
    for service in file.services {
        seen.put(&mut written.services, "service", &service.id.clone(), service, faults);
    }
    for interface in file.interfaces {
        let version = interface.version.as_ref().map(|version| version.text.as_str()).unwrap_or_default();
        let text = format!("{} {version}", interface.uuid.text.to_ascii_lowercase());
        let text = if interface.uuid.is_blank() { String::new() } else { text.trim().to_owned() };
        let id = Word { text, at: interface.uuid.at };
        seen.put(&mut written.interfaces, "interface", &id, interface, faults);
    }
    let profile = file.profile.as_ref().map(|profile| profile.id.text.clone());
    if let Some(profile) = file.profile {
        if profile.id.text == SITE_PROFILE {
            let message = format!("the profile `{SITE_PROFILE}` is that of the site file");
            faults.error(profile.id.at, message, Some("choose another id".to_owned()));
        }
        seen.put(&mut written.profiles, "profile", &profile.id.clone(), profile, faults);
    }
    let Some(profile) = profile else {
        if let Some(row) = file.rows.first() {
            let hint = "begin the file with [profile] and its id, title and document";
            faults.error(row.at, "a row belongs to a profile, and this file declares none", Some(hint.to_owned()));
        }
        return;
    };
    for row in file.rows {
        add_row(written, seen, &profile, row, faults);
    }
}

fn add_row(written: &mut Written, seen: &mut Seen, profile: &str, row: RowEntry, faults: &mut Faults) {
    let text = if row.id.is_blank() { String::new() } else { format!("{profile}/{}", row.id.text) };
    let id = Word { text, at: row.id.at };
    let entry = OwnedRow { profile: profile.to_owned(), row };
    seen.put(&mut written.rows, "row", &id, entry, faults);
}

/// The rule files of a folder and its subfolders, in the order of their paths; or the one file that is meant.
fn read_overlay(path: &Path, faults: &mut Faults) -> Vec<Loaded> {
    if !path.is_dir() {
        return read_file(path, faults).into_iter().collect();
    }
    let mut paths = Vec::new();
    match list_folder(path, DEPTH_MAX, &mut paths) {
        Err(error) => faults.unreadable(format!("cannot read the rules in {}: {error}", path.display())),
        Ok(()) if paths.is_empty() => {
            faults.placeless_warning(format!("there is no rule file (.toml) in {}", path.display()));
        }
        Ok(()) => {}
    }
    paths.sort();
    paths.iter().filter_map(|path| read_file(path, faults)).collect()
}

fn list_folder(folder: &Path, depth: usize, paths: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in folder.read_dir()? {
        let path = entry?.path();
        if path.is_dir() {
            let Some(depth) = depth.checked_sub(1) else {
                return Err(io::Error::other(format!("its folders are nested more than {DEPTH_MAX} deep")));
            };
            list_folder(&path, depth, paths)?;
        } else if path.extension().is_some_and(|end| end == "toml") && path.file_name().is_some_and(|n| n != NOT_A_RULE)
        {
            paths.push(path);
        }
        if paths.len() > FILES_MAX {
            return Err(io::Error::other(format!("it holds more than {FILES_MAX} files")));
        }
    }
    Ok(())
}

/// The file, unless it cannot be read or is too large.
fn read_file(path: &Path, faults: &mut Faults) -> Option<Loaded> {
    let mut bytes = Vec::new();
    match File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)) {
        Err(error) => faults.unreadable(format!("cannot read {}: {error}", path.display())),
        Ok(length) if u64::try_from(length).is_ok_and(|length| length > FILE_BYTES_MAX) => {
            faults.placeless(format!("{} is larger than {} MiB", path.display(), FILE_BYTES_MAX >> 20), None);
            faults.set_broken();
        }
        Ok(_) => return Some(Loaded::new(path.display().to_string(), bytes)),
    }
    None
}
