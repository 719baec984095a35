//! Help where people look: no words at all, short and long help, manual pages, completions.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a test may stop, and says why it skips")]

mod common;

use std::fs;
use std::io::Write;
use std::process::Command;
use std::process::Stdio;

use common::command;
use common::finish;
use common::run;

#[test]
fn who_types_nothing_is_told_what_to_type() {
    let ran = run::<&str>(&[]);
    assert_eq!(ran.code, Some(2));
    assert!(ran.stdout.is_empty());
    assert!(ran.stderr.contains("portolan analyze capture.pcapng") && ran.stderr.contains("portolan --help"));
    assert!(ran.stderr.lines().count() < 20 && ran.stderr.lines().all(|line| line.len() <= 100), "{}", ran.stderr);
}

#[test]
fn short_help_is_shorter_than_long_help() {
    for words in [&[][..], &["analyze"]] {
        let help = |option: &str| {
            let ran = run(&[words, &[option]].concat());
            assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""));
            ran.text()
        };
        let (short, long) = (help("-h"), help("--help"));
        assert!(short.lines().count() < long.lines().count());
        assert!(long.contains("Exit codes:") && long.contains("Examples:"));
    }
}

#[test]
fn every_command_has_a_page_that_man_reads() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(finish(command().arg("man").arg(folder.path())).code, Some(0));
    let mut names: Vec<String> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    for name in ["portolan.1", "portolan-analyze.1", "portolan-diff.1", "portolan-rules-export.1", "portolan-watch.1"] {
        assert!(names.iter().any(|known| known == name), "{name} is not among {names:?}");
    }
    let alone = run(&["man"]);
    assert_eq!(alone.stdout, fs::read(folder.path().join("portolan.1")).unwrap());
    for name in &names {
        let page = folder.path().join(name);
        let text = fs::read_to_string(&page).unwrap();
        assert!(text.contains(".SH NAME") && text.contains(".SH SYNOPSIS"), "{name}");
        let Ok(ran) = Command::new("man").args(["--warnings", "-l"]).arg(&page).env("MANPAGER", "cat").output() else {
            eprintln!("skipped: man is not installed");
            return;
        };
        assert!(ran.status.success() && ran.stderr.is_empty(), "{name}: {}", String::from_utf8_lossy(&ran.stderr));
    }
}

/// Each shell accepts its own, where it is installed.
#[test]
fn shells_accept_their_completions() {
    for (shell, check) in [("bash", "-n"), ("zsh", "-n"), ("fish", "--no-execute")] {
        let made = run(&["completions", shell]);
        assert_eq!(made.code, Some(0));
        assert!(made.text().contains("analyze"));
        let Ok(mut child) = Command::new(shell).arg(check).stdin(Stdio::piped()).spawn() else {
            eprintln!("skipped: {shell} is not installed");
            continue;
        };
        child.stdin.take().unwrap().write_all(&made.stdout).unwrap();
        assert!(child.wait().unwrap().success(), "{shell}");
    }
    assert_eq!(run(&["completions", "tcsh"]).code, Some(2));
}

#[test]
fn a_folder_that_is_not_there_is_said() {
    let ran = run(&["man", "/nowhere/at/all"]);
    assert_eq!(ran.code, Some(4));
    assert!(ran.stderr.contains("/nowhere/at/all"));
}
