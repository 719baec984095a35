//! The embedded rules: sound, cited, and complete against the documents they were written from.
//!
//! The documents as data are not part of the project; where they do not lie beside it, that part is skipped and says so.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test may stop here, and says what it skips")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use portolan::catalogue::Catalogue;
use portolan::catalogue::LoadOptions;
use portolan::catalogue::load;
use portolan::catalogue::policy::Row;
use portolan::catalogue::role::RoleBasis;
use portolan::catalogue::role::RoleSet;
use portolan::cli::rules::ListFormat;
use portolan::cli::rules::RulesError;
use portolan::cli::rules::check;
use portolan::cli::rules::explain;
use portolan::cli::rules::list;
use portolan::model::transport::Transport;
use serde_json::Value;
use tempfile::TempDir;

/// The parts of a document, and how many facts each has.
type Parts = &'static [(&'static str, usize)];

/// Each document, its profile, and how many facts it has in each of its parts. A fact is named by its part and its
/// number there: `002s:184`.
const DOCUMENTS: [(&str, &str, Parts); 5] = [
    ("000", "netwrix-cloud-agent", &[("000", 9), ("000t", 2)]),
    ("001", "netwrix-group-policy", &[("001", 7), ("001t", 2)]),
    ("002", "windows-services", &[("002s", 184), ("002p", 165), ("002t", 31)]),
    ("003", "exchange-2000", &[("003", 27), ("003t", 6)]),
    ("004", "exchange-firewall", &[("004a", 16), ("004b", 21), ("004t", 5)]),
];

/// Where our own rows are, which no seed document prints.
const OWN_PROFILE: &str = "modern-windows";

fn catalogue() -> Catalogue {
    load(&LoadOptions::default()).unwrap()
}

/// What `rules list --format json` prints.
fn listed() -> Vec<Value> {
    let mut out = Vec::new();
    list(&LoadOptions::default(), ListFormat::Json, &mut out).unwrap();
    serde_json::from_slice(&out).unwrap()
}

#[test]
fn the_embedded_rules_are_sound() {
    let catalogue = catalogue();
    assert!(catalogue.warnings().is_empty(), "{}", catalogue.warnings());
    for row in catalogue.rows() {
        assert!(!row.document.trim().is_empty() && !row.purpose.trim().is_empty(), "{}", row.id);
        assert!(row.between || !row.ports.is_empty(), "{}", row.id);
        assert!(!row.from.is_empty() && !row.to.is_empty(), "{}", row.id);
    }
    let profiles: BTreeSet<&str> = catalogue.profiles().map(|profile| profile.id.as_str()).collect();
    let expected: BTreeSet<&str> = DOCUMENTS.iter().map(|(_, profile, _)| *profile).chain([OWN_PROFILE]).collect();
    assert_eq!(profiles, expected);
}

#[test]
fn every_fact_of_the_documents_has_its_row() {
    let catalogue = catalogue();
    let mut facts = 0;
    for (_, profile, parts) in DOCUMENTS {
        let rows = catalogue.rows().iter().filter(|row| row.profile == profile);
        let carried: BTreeSet<String> = rows.flat_map(|row| row.seed.iter().cloned()).collect();
        let expected: BTreeSet<String> =
            parts.iter().flat_map(|(part, count)| (1..=*count).map(move |n| format!("{part}:{n:03}"))).collect();
        let missing: Vec<&String> = expected.difference(&carried).collect();
        let strange: Vec<&String> = carried.difference(&expected).collect();
        assert!(missing.is_empty() && strange.is_empty(), "{profile}: missing {missing:?}, strange {strange:?}");
        facts += expected.len();
    }
    assert_eq!(facts, 475);
}

#[test]
fn roles_that_are_inferred_name_services_that_rows_use() {
    let catalogue = catalogue();
    let used: BTreeSet<_> = catalogue.rows().iter().filter_map(|row| row.service).collect();
    assert!(!catalogue.inference().is_empty());
    for inference in catalogue.inference() {
        let services: Vec<_> = match &inference.basis {
            RoleBasis::Answers { all, any, .. } => all.iter().chain(any).collect(),
            RoleBasis::Asks { any, .. } => any.iter().collect(),
            RoleBasis::Proved { .. } => continue,
        };
        for service in services {
            assert!(
                used.contains(service),
                "{}: {}",
                catalogue.role_name(inference.role),
                catalogue.service(*service).id
            );
        }
    }
}

#[test]
fn the_sample_site_file_is_sound() {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules/site.sample.toml");
    let loaded = load(&LoadOptions { site: Some(&sample), ..LoadOptions::default() });
    assert!(loaded.is_ok(), "{}", loaded.unwrap_err());
}

#[test]
fn the_list_says_the_same_in_every_format() {
    let catalogue = catalogue();
    let rows = listed();
    let transports = |row: &Row| row.ports.iter().map(|ports| ports.transport).collect::<BTreeSet<_>>().len().max(1);
    assert_eq!(rows.len(), catalogue.rows().iter().map(transports).sum::<usize>());
    let keys = "id profile from to service title transport ports dynamic interfaces purpose document note judges";
    for row in &rows {
        let names: BTreeSet<&str> = row.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, keys.split(' ').collect());
    }
    let mut csv = Vec::new();
    list(&LoadOptions::default(), ListFormat::Csv, &mut csv).unwrap();
    let csv = String::from_utf8(csv).unwrap();
    assert_eq!(csv.lines().next().unwrap(), keys.replace(' ', ","));
    assert_eq!(csv.lines().count(), rows.len() + 1);
    let mut text = Vec::new();
    list(&LoadOptions::default(), ListFormat::Text, &mut text).unwrap();
    let text = String::from_utf8(text).unwrap();
    assert_eq!(text.lines().filter(|line| line.contains(" -> ")).count(), rows.len());
}

#[test]
fn an_interface_is_allowed_for_the_roles_of_its_rows_only() {
    let catalogue = catalogue();
    let uuid = |name: &str| {
        let mut known = catalogue.interfaces().iter().filter(|interface| interface.name == name);
        known.next().unwrap().uuid
    };
    let roles = |name: &str| RoleSet::of(catalogue.role_by_id(name).unwrap());
    let (member, controller, manager) = (roles("client"), roles("domain-controller"), roles("management-station"));
    let judge = |from, to, name| catalogue.judge_interface(from, to, uuid(name));
    assert_eq!(judge(member, controller, "netlogon").allowed.len(), 1);
    assert!(judge(member, controller, "svcctl").allowed.is_empty() && judge(member, controller, "svcctl").governed);
    assert_eq!(judge(manager, member, "svcctl").allowed.len(), 1);
    assert!(!judge(member, controller, "mgmt").governed);
    // Such a row says nothing of a port.
    let judgement = catalogue.judge(manager, member, Transport::Tcp, 50_000);
    assert!(judgement.exact.is_empty() && judgement.range.is_empty());
    for row in catalogue.rows().iter().filter(|row| !row.interfaces.is_empty()) {
        assert!(row.dynamic && row.service.is_some(), "{}", row.id);
    }
}

#[test]
fn a_list_may_be_of_one_profile() {
    let profiles = ["exchange-2000".to_owned()];
    let mut out = Vec::new();
    list(&LoadOptions { profiles: &profiles, ..LoadOptions::default() }, ListFormat::Json, &mut out).unwrap();
    let rows: Vec<Value> = serde_json::from_slice(&out).unwrap();
    assert!(!rows.is_empty() && rows.iter().all(|row| row["profile"] == "exchange-2000"));
    let unknown = ["exchange-20000".to_owned()];
    let options = LoadOptions { profiles: &unknown, ..LoadOptions::default() };
    let error = list(&options, ListFormat::Json, &mut Vec::new()).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains("did you mean `exchange-2000`?"), "{error}");
}

/// A folder with one file in it.
fn folder(name: &str, content: &[u8]) -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join(name), content).unwrap();
    folder
}

fn checked(folder: &Path) -> (Result<(), RulesError>, String) {
    let mut out = Vec::new();
    let result = check(Some(folder), None, &mut out);
    (result, String::from_utf8(out).unwrap())
}

#[test]
fn check_accepts_the_rules_laid_over_themselves() {
    let (result, out) = checked(&Path::new(env!("CARGO_MANIFEST_DIR")).join("rules"));
    assert!(result.is_ok());
    assert!(out.contains(&format!("{} rows", catalogue().rows().len())), "{out}");
}

#[test]
fn check_names_every_fault_with_its_place() {
    let text = "[profile]\nid = \"x\"\ntitle = \"X\"\ndocument = \"X\"\n[[row]]\nid = \"y\"\nfrom = \"clyent\"\nto = \"any\"\n\
                service = \"ldap\"\nports = [\"tcp/65536\"]\npurpose = \"z\"\ndocument = \"z\"\nnotes = \"z\"\n";
    let folder = folder("x.toml", text.as_bytes());
    let error = checked(folder.path()).0.unwrap_err();
    assert_eq!(error.exit_code(), 2);
    let said = error.to_string();
    for part in [
        "x.toml:7:8",
        "did you mean `client`?",
        "x.toml:10:10",
        "`65536` is no port",
        "x.toml:13:1",
        "did you mean `note`?",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn check_refuses_what_is_no_text_or_too_large() {
    for content in [vec![b'#', 0xff], vec![b'#'; (4 << 20) + 1]] {
        assert_eq!(checked(folder("x.toml", &content).path()).0.unwrap_err().exit_code(), 2);
    }
    assert!(checked(folder("x.toml", &vec![b'#'; 4 << 20]).path()).0.is_ok());
}

#[test]
fn what_cannot_be_read_has_its_own_exit_code() {
    let folder = TempDir::new().unwrap();
    let absent = folder.path().join("absent");
    assert_eq!(checked(&absent).0.unwrap_err().exit_code(), 4);
    let error = load(&LoadOptions { site: Some(&absent), ..LoadOptions::default() }).unwrap_err();
    assert!(error.is_unreadable() && error.to_string().contains("absent"), "{error}");
}

#[test]
fn explain_says_why() {
    let site = folder("site.toml", b"[hosts]\nauditor = [\"10.0.5.20\"]\ndomain-controller = [\"10.0.0.10\"]\n");
    let site = site.path().join("site.toml");
    let say = |src: &str, dst: &str, port: &str| {
        let mut out = Vec::new();
        let options = LoadOptions { site: Some(&site), ..LoadOptions::default() };
        explain(&options, src, dst, port, &mut out).map(|()| String::from_utf8(out).unwrap())
    };
    let allowed = say("10.0.5.20", "10.0.0.10", "389/tcp").unwrap();
    assert!(allowed.contains("The documents allow it."), "{allowed}");
    assert!(allowed.contains("Rows that allow it:\n  netwrix-group-policy/ldap"), "{allowed}");
    assert!(allowed.contains("10.0.5.20 is not known as cloud-agent"), "{allowed}");
    let turned = say("domain-controller", "auditor", "tcp/3269").unwrap();
    assert!(turned.contains("in the other direction only") && turned.contains("the other way round"), "{turned}");
    let unknown = say("10.9.9.9", "10.9.9.8", "389/tcp").unwrap();
    assert!(unknown.contains("as long as 10.9.9.8 has no known role"), "the nearest row is for any client: {unknown}");
    let known = say("10.0.0.10", "10.9.9.8", "389/tcp").unwrap();
    assert!(known.contains("as long as 10.9.9.8 has no known role"), "{known}");
    let nothing = say("auditor", "domain-controller", "3/tcp").unwrap();
    assert!(nothing.contains("No document speaks of it."), "{nothing}");
    for (src, port) in
        [("auditer", "389/tcp"), ("auditor", "389/tpc"), ("auditor", "70000/tcp"), ("auditor", "1-2/tcp")]
    {
        assert_eq!(say(src, "any", port).unwrap_err().exit_code(), 2, "{src} {port}");
    }
}

/// A profile whose texts would run in a spreadsheet and drive a terminal.
const HOSTILE: &str = "[profile]\nid = \"x\"\ntitle = \"T\\u001b[2J\"\ndocument = \"D\\u0007\"\n\
    [[service]]\nid = \"s\"\ntitle = \"@x\\u009b1m\"\nports = [\"tcp/7\"]\n\
    [[row]]\nid = \"y\"\nfrom = \"any\"\nto = \"any\"\nservice = \"s\"\npurpose = \"=1+1\"\ndocument = \"P\\u001b]0;x\\u0007\"\n\
    [[row]]\nid = \"z\"\nfrom = \"any\"\nto = \"any\"\nservice = \"s\"\nlisted_only = true\npurpose = \"p\"\ndocument = \"d\"\n";

#[test]
fn texts_of_rule_files_are_shown_and_never_run() {
    let overlays = [folder("x.toml", HOSTILE.as_bytes())];
    let paths = overlays.each_ref().map(|folder| folder.path().to_path_buf());
    let profiles = ["x".to_owned()];
    let options = LoadOptions { overlays: &paths, profiles: &profiles, site: None };
    let say = |format| {
        let mut out = Vec::new();
        list(&options, format, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    let steers = |text: &str| text.chars().any(|c| c.is_control() && c != '\n' && c != '\r');
    let csv = say(ListFormat::Csv);
    assert!(csv.contains(",'=1+1,") && csv.contains(",'@x") && !steers(&csv), "{csv}");
    let text = say(ListFormat::Text);
    assert!(!steers(&text), "{text:?}");
    assert!(text.contains("x/y  tcp/7 ") && text.contains("x/z  tcp/7 "), "{text}");
    let marked: Vec<&str> = text.lines().filter(|line| line.contains("listed only")).collect();
    assert!(matches!(marked.as_slice(), [line] if line.contains("x/z")), "{text}");
    let rows: Vec<Value> = serde_json::from_str(&say(ListFormat::Json)).unwrap();
    let judges: Vec<bool> = rows.iter().map(|row| row["judges"].as_bool().unwrap()).collect();
    assert_eq!(judges, [true, false]);
    let site = folder(
        "s.toml",
        b"[names]\n\"10.0.0.1\" = \"n\\u001b[2J\"\n[[exception]]\nfrom = \"10.0.0.1\"\nto = \"10.0.0.2\"\nreason = \"r\\u0007\"\n",
    );
    let site = site.path().join("s.toml");
    let mut out = Vec::new();
    explain(&LoadOptions { site: Some(&site), ..options }, "10.0.0.1", "10.0.0.2", "7/tcp", &mut out).unwrap();
    let told = String::from_utf8(out).unwrap();
    assert!(told.contains("accepts it: r\\u{7}") && told.contains("x/y") && !steers(&told), "{told:?}");
}

#[test]
fn check_takes_one_file_and_warns_of_a_folder_without_any() {
    let folder = folder("x.toml", HOSTILE.as_bytes());
    let (result, out) = checked(&folder.path().join("x.toml"));
    assert!(result.is_ok() && out.contains(&format!("{} rows", catalogue().rows().len() + 2)), "{out}");
    assert!(out.contains("0 warnings"), "{out}");
    let (result, out) = checked(TempDir::new().unwrap().path());
    assert!(result.is_ok() && out.contains("there is no rule file") && out.ends_with("1 warning\n"), "{out}");
}

/// A fact of a document as the seeds tell it.
struct Fact<'s> {
    id: &'s str,
    ports: Vec<(u64, u64)>,
    transports: Vec<&'s str>,
}

fn fact(value: &Value) -> Fact<'_> {
    let pair = |pair: &Value| (pair[0].as_u64().unwrap(), pair[1].as_u64().unwrap());
    Fact {
        id: value["id"].as_str().unwrap(),
        ports: value["ports"].as_array().unwrap().iter().map(pair).collect(),
        transports: value["transports"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect(),
    }
}

/// Whether one of the rows has the range: a port or a narrow range within a narrow one, a wide one from its first port
/// (or the one before, as documents say "1024" and "above 1024" of one thing) to its last, or to where ports end.
fn has_range(rows: &[&Value], transport: &str, low: u64, high: u64) -> bool {
    let high = if high >= 65534 { 65535 } else { high };
    rows.iter().filter(|row| row["transport"] == transport).any(|row| {
        row["ports"].as_array().unwrap().iter().any(|ports| {
            let (first, last) = (ports[0].as_u64().unwrap(), ports[1].as_u64().unwrap());
            let narrow = last - first < 16;
            (low.wrapping_sub(first) <= 1 && last == high && last > first) || (narrow && first <= low && high <= last)
        })
    })
}

/// Whether the rows have all of the fact. Where the document names no transport, the rows choose one.
fn covers(rows: &[&Value], fact: &Fact<'_>) -> bool {
    let over = |transport: &&str| match fact.ports.as_slice() {
        [] => rows.iter().any(|row| row["transport"] == *transport),
        ports => ports.iter().all(|&(low, high)| has_range(rows, transport, low, high)),
    };
    if fact.transports.is_empty() { ["tcp", "udp"].iter().any(over) } else { fact.transports.iter().all(over) }
}

#[test]
fn every_port_of_the_seeds_is_listed_in_its_profile() {
    let seeds: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/seeds/seeds.json");
    let Ok(text) = fs::read_to_string(&seeds) else {
        println!("skipped: there is no {}", seeds.display());
        return;
    };
    let seeds: Value = serde_json::from_str(&text).unwrap();
    let (rows, catalogue) = (listed(), catalogue());
    let mut facts = 0;
    let mut missing = Vec::new();
    for (file, document) in seeds["documents"].as_object().unwrap() {
        let (_, profile, _) = DOCUMENTS.iter().find(|(prefix, ..)| file.starts_with(prefix)).unwrap();
        let of_profile: Vec<&Value> = rows.iter().filter(|row| row["profile"] == *profile).collect();
        let told = document["rows"].as_array().unwrap().iter().chain(document["text_facts"].as_array().unwrap());
        for fact in told.map(fact) {
            facts += 1;
            let carriers = catalogue.rows().iter().filter(|row| row.seed.iter().any(|id| id == fact.id));
            let carriers: BTreeSet<&str> = carriers.map(|row| row.id.as_str()).collect();
            let by_name: Vec<&Value> =
                of_profile.iter().filter(|row| carriers.contains(row["id"].as_str().unwrap())).copied().collect();
            if !covers(&of_profile, &fact) {
                missing.push(format!("{}: {profile} has no such port", fact.id));
            } else if !covers(&by_name, &fact) {
                missing.push(format!("{}: {carriers:?} do not carry all of it", fact.id));
            }
        }
    }
    assert_eq!(facts, 475);
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}
