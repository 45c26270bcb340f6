//! Command lines that cannot work: exit codes, and that stdout stays data.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

use std::process::{Command, Output, Stdio};

use assert_cmd::cargo::CommandCargoExt as _;

fn run(args: &[&str]) -> Output {
    let mut command = Command::cargo_bin("urbanmine").unwrap();
    command.args(args).env_remove("RUST_LOG").env_remove("URBANMINE_PASSPHRASE");
    command.stdin(Stdio::null()).output().unwrap()
}

#[test]
fn a_command_line_that_is_not_understood_is_64() {
    let rows: [&[&str]; 9] = [
        &[],
        &["melt"],
        &["verify"],
        &["verify", "--data", "a", "--server", "b"],
        &["verify", "--server", "b", "--guard", "g"],
        &["serve", "--data", "d", "--ledger-key", "k", "--listen", "localhost"],
        &["submit", "events.jsonl"],
        &["trace", "@lot/a", "--forward", "--substance", "Cu"],
        &["lot", "--unknown"],
    ];
    for args in rows {
        let output = run(args);
        assert_eq!(output.status.code(), Some(64), "{args:?}: {output:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{args:?}");
    }
}

#[test]
fn help_and_version_are_answers() {
    for args in [&["--help"][..], &["--version"], &["verify", "--help"]] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        assert!(!output.stdout.is_empty() && output.stderr.is_empty(), "{args:?}");
    }
}

#[test]
fn what_cannot_be_verified_is_2() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().to_str().unwrap();
    let none = folder.path().join("none");
    let none = none.to_str().unwrap();
    let rows: [&[&str]; 5] = [
        &["verify", "--data", empty],
        &["verify", "--data", none],
        &["verify", "--receipt", none],
        // Nobody listens on port 1.
        &["verify", "--server", "http://127.0.0.1:1"],
        &["verify", "--server", "not a url"],
    ];
    for args in rows {
        let output = run(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {output:?}");
        assert!(!output.stderr.is_empty(), "{args:?}");
    }
    assert!(!folder.path().join("none").exists(), "verify makes nothing");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "verify makes nothing");
}

#[test]
fn a_server_that_is_not_there_is_1_and_says_where() {
    for args in [&["lot", "@lot/a"][..], &["trace", "@lot/a"]] {
        let output = run(&[args, &["--server", "http://127.0.0.1:1"]].concat());
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        let talk = String::from_utf8(output.stderr).unwrap();
        assert!(talk.contains("http://127.0.0.1:1"), "{talk}");
        assert!(output.stdout.is_empty());
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_report_that_nobody_can_read_is_no_verdict() {
    let folder = tempfile::tempdir().unwrap();
    let receipt = folder.path().join("receipt");
    std::fs::write(&receipt, "no receipt").unwrap();
    let mut command = Command::cargo_bin("urbanmine").unwrap();
    command.args(["verify", "--receipt"]).arg(receipt).stdin(Stdio::null());
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let status = command.stdout(full).stderr(Stdio::null()).status().unwrap();
    assert_eq!(status.code(), Some(2));
}
