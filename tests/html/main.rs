//! The HTML report in a real browser: it renders, filters and copies, asks for nothing, hides nothing from the keyboard,
//! a screen reader or a printer, and what came from the wire stays text.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test may stop, and says why it skips")]

mod browser;
#[path = "../common/mod.rs"]
mod common;

use browser::Browser;
use common::command;
use common::finish;
use common::root;
use serde_json::Value;
use serde_json::json;
use std::fs;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// Captures whose pages are opened, and what else their runs are told.
const PAGES: &[(&str, &[&str])] = &[
    ("pcaps/lab/dynrpc.pcap", &["--readiness", "netwrix-group-policy"]),
    ("pcaps/lab/unexpected.pcap", &[]),
    ("pcaps/lab/clean.pcap", &[]),
    ("pcaps/lab/c2s.pcap", &[]),
    ("pcaps/hostile/names_to_escape.pcap", &[]),
    ("pcaps/hostile/empty.pcap", &[]),
];

/// Text that does something wherever it is taken for anything but text.
const WICKED: &str = "<img src=x onerror=owned=1>'\"--><script>owned=1</script>=1+1|{{7*7}}";

/// Writes the page of a run, and says where it is.
fn page(folder: &TempDir, capture: &Path, options: &[&str]) -> PathBuf {
    let path = folder.path().join("report.html");
    let run = finish(command().arg("analyze").arg(capture).arg("-q").args(options).arg("-o").arg(&path));
    assert!(matches!(run.code, Some(0 | 3)), "{}", run.stderr);
    path
}

/// Opens every `details`.
const OPEN_ALL: &str = "document.querySelectorAll('details').forEach((node) => { node.open = true; })";

#[test]
fn every_page_loads_nothing_and_complains_of_nothing() {
    let Some(mut browser) = Browser::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    for (capture, options) in PAGES {
        let path = page(&folder, &root().join(capture), options);
        browser.open(&path);
        browser.value(OPEN_ALL);
        assert_eq!(browser.complaints(), [""; 0], "{capture}");
        let own = format!("file://{}", path.canonicalize().unwrap().display());
        assert_eq!(browser.requests(), [own], "{capture}");
        assert_eq!(browser.number("document.querySelectorAll('h1').length"), 1, "{capture}");
        assert!(fs::metadata(&path).unwrap().len() < 1 << 20, "{capture}");
    }
}

#[test]
fn the_policy_stops_what_a_page_might_be_made_to_do() {
    let Some(mut browser) = Browser::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = page(&folder, &root().join("pcaps/lab/drop.pcap"), &[]);
    // As if the escaping had failed: a script, a handler, a style and an image from elsewhere, put into the file.
    let text = fs::read_to_string(&path).unwrap();
    let evil = "<script>owned=1</script><img src=http://127.0.0.1:9/x onerror=owned=1>\
                <p id=evil style='display:none'>x</p><style>#evil{color:red}</style>";
    fs::write(&path, text.replacen("<h1>", &format!("{evil}<h1>"), 1)).unwrap();
    browser.open(&path);
    assert_eq!(browser.value("typeof owned"), "undefined");
    assert_eq!(browser.value("getComputedStyle(document.getElementById('evil')).display"), "block");
    assert!(browser.complaints().iter().filter(|line| line.contains("Content Security Policy")).count() >= 4);
}

#[test]
fn what_came_from_the_wire_stays_text() {
    let Some(mut browser) = Browser::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    // A path, a filter and names of the site file that would all like to be markup; the capture has more of them.
    let capture = folder.path().join("<img src=x onerror=owned=1>.pcap");
    fs::copy(root().join("pcaps/hostile/names_to_escape.pcap"), &capture).unwrap();
    let site = folder.path().join("site.toml");
    let quoted = toml_text(WICKED);
    fs::write(&site, format!("[names]\n\"10.10.1.10\" = {quoted}\n")).unwrap();
    for (capture, seen) in [(capture.as_path(), "onerror=owned=1>.pcap"), (&root().join("pcaps/lab/drop.pcap"), WICKED)]
    {
        let path = page(&folder, capture, &["--site", site.to_str().unwrap()]);
        browser.open(&path);
        browser.value(OPEN_ALL);
        assert_eq!(browser.value("typeof owned"), "undefined");
        assert_eq!(browser.complaints(), [""; 0]);
        for (query, number) in [("img, iframe, object, embed, link, base", 0), ("script", 1), ("style", 1)] {
            assert_eq!(browser.number(&format!("document.querySelectorAll('{query}').length")), number, "{query}");
        }
        // What is shown is what was there, cut where it is long.
        let shown: String = seen.chars().take(50).collect();
        let whole = browser.value("document.body.textContent");
        assert!(whole.as_str().unwrap().contains(&shown), "{shown}");
        let handlers = "[...document.querySelectorAll('*')].flatMap((node) => [...node.attributes])\
                        .filter((attribute) => attribute.name.startsWith('on') || attribute.name === 'style').length";
        assert_eq!(browser.number(handlers), 0);
        let links = "[...document.querySelectorAll('a')].filter((link) => !/^#[a-z_-]+\\d*$/.test(link.getAttribute('href'))).length";
        assert_eq!(browser.number(links), 0);
    }
}

fn toml_text(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[test]
fn filters_sort_and_links_do_what_they_say() {
    let Some(mut browser) = Browser::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    browser.open(&page(&folder, &root().join("pcaps/lab/dynrpc.pcap"), &[]));
    let shown = |query: &str| {
        format!("[...document.querySelectorAll('{query}')].filter((node) => !node.hasAttribute('data-out')).length")
    };
    let (rows, findings) = (shown("#grid tbody tr"), shown("details.finding"));
    let all = (browser.number(&rows), browser.number(&findings));
    assert!(all.0 == 9 && all.1 >= 6, "{all:?}");
    let type_in = |text: &str| {
        format!("words.value = '{text}'; words.dispatchEvent(new Event('input', {{bubbles: true}})); shown.textContent")
    };
    // By host and by service; what no row has leaves none.
    let told = browser.value(&type_in("10.10.2.50 samr"));
    assert_eq!(browser.number(&findings), 1);
    assert!(told.as_str().unwrap().contains(&format!("1 of {} findings", all.1)), "{told}");
    browser.value(&type_in("nothing has this"));
    assert_eq!((browser.number(&rows), browser.number(&findings)), (0, 0));
    browser.value("document.querySelector('.filter').reset()");
    browser.value("new Promise((done) => setTimeout(done, 10))");
    assert_eq!((browser.number(&rows), browser.number(&findings)), all);
    // By mark.
    browser.value("document.querySelector('.filter input[value=range]').click()");
    let ranges = "[...document.querySelectorAll('details.finding:not([data-out])')].every((node) => node.dataset.mark === 'range')";
    assert_eq!(browser.value(ranges), true);
    assert!(browser.number(&findings) < all.1 && browser.number(&rows) < all.0);
    // A link to what is hidden shows it.
    browser.value("location.hash = '#f1'");
    browser.value("new Promise((done) => setTimeout(done, 50))");
    assert_eq!(browser.value("document.getElementById('f1').closest('details').checkVisibility()"), true);
    assert_eq!(browser.value("document.getElementById('f1').closest('details').open"), true);
    browser.value("document.querySelector('.filter input[value=range]').click()");
    // By column, up and down.
    let order = "[...document.querySelectorAll('#grid tbody tr')].map((row) => row.cells[2].dataset.key)";
    browser.value("document.querySelector('#grid thead th:nth-child(3) button').click()");
    let up: Vec<String> = serde_json::from_value(browser.value(order)).unwrap();
    assert!(up.is_sorted() && up.first() != up.last(), "{up:?}");
    browser.value("document.querySelector('#grid thead th:nth-child(3) button').click()");
    let down: Vec<String> = serde_json::from_value(browser.value(order)).unwrap();
    assert!(down.iter().rev().is_sorted(), "{down:?}");
    assert_eq!(browser.value("document.querySelector('#grid thead th:nth-child(3)').ariaSort"), "descending");
    // The button copies, or at least selects.
    browser.value("document.querySelector('.copy button').click()");
    let code = browser.value("document.querySelector('.copy code').textContent");
    assert_eq!(browser.value("getSelection().toString()"), code);
    assert!(code.as_str().unwrap().starts_with("ip.addr == "));
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn it_reads_without_a_script_and_on_paper() {
    let Some(mut browser) = Browser::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = page(&folder, &root().join("pcaps/lab/dynrpc.pcap"), &[]);
    browser.call("Emulation.setScriptExecutionDisabled", &json!({"value": true}));
    browser.open(&path);
    // Nothing is offered that needs the script.
    assert_eq!(browser.number("document.querySelectorAll('button').length - 3"), 0);
    assert_eq!(browser.value("document.querySelector('.filter').checkVisibility()"), false);
    assert_eq!(browser.value("document.querySelector('.tools').checkVisibility()"), false);
    // A link from the matrix opens the finding.
    let folded = "document.getElementById('f1').checkVisibility({contentVisibilityAuto: true})";
    assert_eq!(browser.value(folded), false);
    browser.value("document.querySelector('#grid a[href=\"#f1\"]').click()");
    assert_eq!(browser.value(folded), true);
    // Paper shows what is folded.
    browser.call("Emulation.setEmulatedMedia", &json!({"media": "print"}));
    let hidden = "[...document.querySelectorAll('details .body')].filter((node) => node.getBoundingClientRect().height < 10 || !node.checkVisibility()).length";
    assert_eq!(browser.number(hidden), 0);
    let pdf = browser.call("Page.printToPDF", &json!({"preferCSSPageSize": true}));
    assert!(pdf["data"].as_str().unwrap().starts_with("JVBERi"), "no PDF");
}

#[test]
fn it_fits_a_narrow_screen() {
    let Some(mut browser) = Browser::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    let size = json!({"width": 360, "height": 800, "deviceScaleFactor": 1, "mobile": true});
    browser.call("Emulation.setDeviceMetricsOverride", &size);
    for (capture, options) in PAGES {
        browser.open(&page(&folder, &root().join(capture), options));
        browser.value(OPEN_ALL);
        assert!(browser.number("document.documentElement.scrollWidth") <= 360, "{capture}");
    }
}

#[test]
fn nothing_is_kept_from_the_keyboard_or_a_screen_reader() {
    let Some(axe) = axe() else { return };
    let Some(mut browser) = Browser::start() else { return };
    let folder = tempfile::tempdir().unwrap();
    for (capture, options) in PAGES {
        let path = page(&folder, &root().join(capture), options);
        for scheme in ["light", "dark"] {
            let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
            browser.call("Emulation.setEmulatedMedia", &features);
            browser.open(&path);
            browser.value(OPEN_ALL);
            browser.value(&format!("{axe}; 0"));
            let run = "axe.run(document, {resultTypes: ['violations']}).then((result) => result.violations.map(\
                       (fault) => fault.id + ': ' + fault.help + ': ' + fault.nodes.slice(0, 3).map((node) => node.html + ' ' + node.failureSummary).join(' | ')))";
            let faults = browser.value(run);
            assert_eq!(faults, Value::Array(Vec::new()), "{capture}, {scheme}: {faults:#}");
        }
    }
}

/// The rules of axe-core, from the npm registry; `None`, with a printed notice, where it cannot be had.
fn axe() -> Option<String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("axe");
    let script = folder.join("node_modules/axe-core/axe.min.js");
    if !script.exists() {
        fs::create_dir_all(&folder).unwrap();
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"]).arg(&folder).arg("axe-core@4");
        if !npm.output().is_ok_and(|output| output.status.success()) {
            eprintln!("skipped: axe-core cannot be had by npm on this machine");
            return None;
        }
    }
    Some(fs::read_to_string(script).unwrap())
}
