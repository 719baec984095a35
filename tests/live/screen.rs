//! The screen of `watch` in a real terminal: tmux runs it, types, and tells what is to be seen.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::process::Output;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use serde_json::Value;

use crate::KERBEROS;
use crate::LDAP;
use crate::SITE;
use crate::common::PROGRAM;
use crate::connection;
use crate::dropped_kerberos;
use crate::net::Net;
use crate::net::WATCHED;
use crate::open_folder;

/// Nobody waits longer; a test that gets so far failed.
const PATIENCE: Duration = Duration::from_secs(120);

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A terminal with a shell in the namespace of a test.
struct Terminal<'n> {
    server: String,
    _net: &'n Net,
}

impl<'n> Terminal<'n> {
    /// 80 columns and 24 lines, or a printed notice that the test skips.
    fn new(net: &'n Net) -> Option<Self> {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let terminal = Self { server: format!("portolan-{}-{number}", std::process::id()), _net: net };
        let shell = ["ip", "netns", "exec", &net.name, "env", "PS1=$ ", "sh"];
        let size = ["-x", "80", "-y", "24"];
        let Ok(made) =
            terminal.command().args(["-f", "/dev/null", "new-session", "-d"]).args(size).args(shell).output()
        else {
            eprintln!("skipped: there is no tmux");
            return None;
        };
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Some(terminal)
    }

    fn command(&self) -> Command {
        let mut command = Command::new("tmux");
        command.args(["-L", &self.server]);
        command
    }

    fn ask(&self, words: &[&str]) -> String {
        let Output { status, stdout, stderr } = self.command().args(words).output().unwrap();
        assert!(status.success(), "{words:?}: {}", String::from_utf8_lossy(&stderr));
        String::from_utf8(stdout).unwrap()
    }

    /// Presses keys, by tmux's names for them.
    fn press(&self, keys: &[&str]) {
        self.ask(&[&["send-keys"], keys].concat());
    }

    /// Types a line to the shell.
    fn line(&self, text: &str) {
        self.ask(&["send-keys", "-l", text]);
        self.press(&["Enter"]);
    }

    fn screen(&self) -> String {
        self.ask(&["capture-pane", "-p"])
    }

    /// The screen, once it shows all of these words.
    fn wait_for(&self, words: &[&str]) -> String {
        self.wait(words, |screen| words.iter().all(|word| screen.contains(word)))
    }

    fn wait(&self, what: &[&str], wanted: impl Fn(&str) -> bool) -> String {
        let began = Instant::now();
        loop {
            let screen = self.screen();
            if wanted(&screen) {
                return screen;
            }
            assert!(began.elapsed() < PATIENCE, "{what:?} did not come:\n{screen}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// What tmux knows of the terminal: whether a program has taken the screen, whether the cursor shows, whether keys
    /// and the mouse have their usual meaning.
    fn state(&self) -> String {
        let names = ["alternate_on", "cursor_flag", "keypad_flag", "keypad_cursor_flag", "mouse_any_flag", "wrap_flag"];
        let format = names.map(|name| format!("{name}=#{{{name}}}")).join(" ");
        self.ask(&["display-message", "-p", &format])
    }
}

impl Drop for Terminal<'_> {
    fn drop(&mut self) {
        self.command().arg("kill-server").output().ok();
    }
}

/// Begins to watch on a screen; what the terminal was before.
fn begin(terminal: &Terminal<'_>, folder: &Path, options: &str) -> String {
    let folder = folder.display();
    terminal.wait_for(&["$"]);
    terminal.line(&format!("cd {folder}; stty -g > before; clear; echo ready"));
    terminal.wait_for(&["ready"]);
    let before = terminal.state();
    terminal.line(&format!(
        "{PROGRAM} watch -i {WATCHED} --site site.toml {options} 2> said; echo \"code $?\"; stty -g > after; echo over"
    ));
    terminal.wait_for(&["portolan  rx0", "[1 Findings 0]"]);
    assert!(terminal.state().contains("alternate_on=1"), "{}", terminal.state());
    before
}

/// That everything is as it was, and the code that the program ended with.
fn ended(terminal: &Terminal<'_>, folder: &Path, before: &str) -> String {
    let screen = terminal.wait(&["over"], |screen| screen.lines().any(|line| line == "over"));
    assert_eq!(terminal.state(), before);
    let settings = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    assert_eq!(settings("after"), settings("before"));
    let said = settings("said");
    assert!(!said.contains("panicked"), "{said}");
    screen.lines().find(|line| line.starts_with("code ")).unwrap().to_owned()
}

/// A folder with a site file, in which anybody may write.
fn folder() -> tempfile::TempDir {
    let folder = open_folder();
    fs::write(folder.path().join("site.toml"), SITE).unwrap();
    folder
}

#[test]
fn the_screen_shows_opens_filters_saves_and_gives_the_terminal_back() {
    let Some(net) = Net::new() else { return };
    let Some(terminal) = Terminal::new(&net) else { return };
    let folder = folder();
    let before = begin(&terminal, folder.path(), "-o report.json");
    net.play(&connection(0, (50000, LDAP)));
    net.play(&dropped_kerberos());
    let list = terminal.wait_for(&["[1 Findings 1]", "X blocked"]);
    assert!(list.contains("> X blocked     10.0.1.20       10.0.0.10       tcp/88 kerberos"), "{list}");
    terminal.press(&["Enter"]);
    let page = terminal.wait_for(&["BLOCKED #1", "Frames: 4, 6", "Rows: "]);
    assert!(page.contains("dropped, confirmed") && page.contains("(syn_unanswered)"), "{page}");
    terminal.press(&["End"]);
    let filter = "Wireshark: ip.addr == 10.0.1.20 && ip.addr == 10.0.0.10 && tcp.port == 88";
    terminal.wait_for(&[filter, "SERVICES: 2"]);
    terminal.press(&["Escape"]);
    terminal.wait_for(&["> X blocked"]);
    terminal.press(&["/", "n", "t", "p"]);
    terminal.wait_for(&["only lines with: ntp_", "Nothing has these words"]);
    terminal.press(&["C-u"]);
    terminal.ask(&["send-keys", "-l", "KERB 10.0.1"]);
    terminal.press(&["Enter"]);
    terminal.wait_for(&["only \"KERB 10.0.1\"", "> X blocked"]);
    terminal.press(&["Escape"]);
    terminal.press(&["2"]);
    terminal.wait_for(&["[2 Pairs 1]", "> X blocked", "kerberos ldap"]);
    terminal.press(&["3"]);
    terminal.wait_for(&["[3 Services 2]", "Kerberos", "tcp/88"]);
    terminal.press(&["4"]);
    terminal.wait_for(&["FRAMES", "together: arrived", "rx0 is up since"]);
    // The lists stand still, the watch does not.
    terminal.press(&["1", "p"]);
    terminal.wait_for(&["PAUSED"]);
    net.play(&connection(0, (50002, KERBEROS)));
    terminal.wait_for(&["| 9 frames |", "X blocked"]);
    terminal.press(&["p"]);
    terminal.wait_for(&["+ blocked", "works"]);
    terminal.ask(&["resize-window", "-x", "120", "-y", "40"]);
    terminal.wait_for(&["since", "sure", "confirmed"]);
    terminal.press(&["w"]);
    terminal.wait_for(&["report saved to report.json"]);
    let report: Value = serde_json::from_slice(&fs::read(folder.path().join("report.json")).unwrap()).unwrap();
    assert_eq!(report["findings"][0]["service"], "kerberos");
    terminal.press(&["q"]);
    terminal.wait_for(&["End the watch?"]);
    terminal.press(&["y"]);
    assert_eq!(ended(&terminal, folder.path(), &before), "code 0");
    assert!(terminal.ask(&["capture-pane", "-p", "-S", "-"]).contains("BLOCKED: 1 finding"), "{}", terminal.screen());
}

/// The watch that runs in a namespace.
fn pid_of(net: &Net) -> Option<String> {
    let pids = Command::new("ip").args(["netns", "pids", &net.name]).output().unwrap().stdout;
    let pids = String::from_utf8(pids).unwrap();
    let own = |pid: &&str| fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == Path::new(PROGRAM));
    pids.lines().map(str::trim).find(own).map(str::to_owned)
}

#[test]
fn whatever_ends_it_the_terminal_is_given_back() {
    let Some(net) = Net::new() else { return };
    for how in ["C-c", "TERM", "INT", "gone"] {
        let Some(terminal) = Terminal::new(&net) else { return };
        let folder = folder();
        let before = begin(&terminal, folder.path(), "");
        match how {
            "C-c" => {
                terminal.press(&["w"]);
                terminal.wait_for(&["cannot save: no file was named with -o"]);
                terminal.press(&["C-c"]);
            }
            "gone" => {
                net.exec(&["ip", "link", "del", WATCHED]);
                terminal.wait_for(&["rx0 gone"]);
                // One of another kind cannot be read: an error ends the watch.
                if !net.plug_another_kind() {
                    return;
                }
            }
            signal => {
                let pid = pid_of(&net).unwrap();
                assert!(Command::new("kill").args([&format!("-{signal}"), &pid]).status().unwrap().success());
            }
        }
        let code = ended(&terminal, folder.path(), &before);
        assert_eq!(code, if how == "gone" { "code 4" } else { "code 0" }, "{how}");
    }
}

#[test]
fn a_terminal_that_hangs_up_ends_the_watch() {
    let Some(net) = Net::new() else { return };
    let Some(terminal) = Terminal::new(&net) else { return };
    let folder = folder();
    begin(&terminal, folder.path(), "-o report.json");
    assert!(pid_of(&net).is_some());
    terminal.command().arg("kill-server").output().unwrap();
    let began = Instant::now();
    while pid_of(&net).is_some() {
        assert!(began.elapsed() < PATIENCE, "it goes on without a terminal");
        thread::sleep(Duration::from_millis(20));
    }
    let report: Value = serde_json::from_slice(&fs::read(folder.path().join("report.json")).unwrap()).unwrap();
    assert_eq!(report["schema"], "portolan/report/1");
}
