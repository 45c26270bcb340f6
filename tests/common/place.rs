//! A directory with keys and a ledger in it, and the binary at work there: for tests of what an
//! operator does.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]
#![allow(dead_code, reason = "not every test needs all of it")]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread::JoinHandle;

use assert_cmd::cargo::CommandCargoExt as _;
use serde_json::{Value as Json, json};
use tempfile::TempDir;

pub const ORIGIN: &str = "ledger.example/operations";
pub const PASSPHRASE: &str = "correct horse battery staple";

/// The directory.
pub struct Place {
    pub folder: TempDir,
}

/// A node that is killed when its test ends.
pub struct Server {
    child: Child,
    /// Reads what it says: a service whose talk nobody takes would stand still.
    talk: Option<JoinHandle<String>>,
    pub url: String,
}

impl Server {
    /// Sends it a signal, such as `-HUP`.
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    /// Asks it to end, and gives everything that it said on stderr.
    pub fn stop(mut self) -> String {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").arg(pid).status().unwrap().success());
        let talk = self.talk.take().unwrap().join().unwrap();
        assert!(self.child.wait().unwrap().success(), "{talk}");
        talk
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The binary, without anything of the machine's own settings.
pub fn urbanmine(args: &[&str]) -> Command {
    let mut command = Command::cargo_bin("urbanmine").unwrap();
    command.args(args).env_remove("RUST_LOG").stdin(Stdio::null());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("URBANMINE")) {
        command.env_remove(name);
    }
    command
}

pub fn run(args: &[&str]) -> Output {
    urbanmine(args).output().unwrap()
}

#[track_caller]
pub fn exits(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
}

/// What it said on stdout, when it exits so.
#[track_caller]
pub fn said(args: &[&str], code: i32) -> String {
    let output = run(args);
    exits(&output, code);
    String::from_utf8(output.stdout).unwrap()
}

/// The one JSON value on stdout of a command that exits so.
#[track_caller]
pub fn json_of(args: &[&str], code: i32) -> Json {
    let text = said(&[args, &["--json"]].concat(), code);
    serde_json::from_str(&text).unwrap_or_else(|fault| panic!("{fault}: {text}"))
}

impl Place {
    /// Keys of ledger, successor, coordinator and collector, and a ledger with its tables.
    pub fn new() -> Self {
        let place = Self::with_keys();
        json_of(&place.with(&["init", "--origin", ORIGIN], &Self::founding()), 0);
        place
    }

    /// The keys alone.
    pub fn with_keys() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = Self { folder };
        fs::write(place.path("passphrase"), format!("{PASSPHRASE}\n")).unwrap();
        for name in ["ledger", "next", "coordinator", "collector"] {
            let file = format!("{name}.pem");
            let files = [("--out", file.as_str()), ("--passphrase-file", "passphrase")];
            let made = json_of(&place.with(&["keygen"], &files), 0);
            fs::write(place.path(&format!("{name}.json")), made.to_string()).unwrap();
        }
        let record = json!({
            "party_id": "@party/coordinator",
            "credit_code": "12360000MBTEXA001U",
            "name_en": "Coordinator (fictional)",
            "roles": [{ "role": "COORDINATOR", "valid_from_ms": "2024-01-01T00:00:00+08:00" }],
        });
        fs::write(place.path("party.json"), record.to_string()).unwrap();
        place
    }

    pub fn founding() -> [(&'static str, &'static str); 5] {
        [
            ("--data", "data"),
            ("--ledger-key", "ledger.pem"),
            ("--coordinator-key", "coordinator.pem"),
            ("--coordinator", "party.json"),
            ("--passphrase-file", "passphrase"),
        ]
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn text(&self, name: &str) -> &'static str {
        // A test is short: its few paths stay.
        self.path(name).to_str().unwrap().to_owned().leak()
    }

    /// Arguments, and options whose values are files of the place.
    pub fn with<'a>(&self, args: &[&'a str], files: &[(&'a str, &str)]) -> Vec<&'a str> {
        let files = files.iter().flat_map(|(option, file)| [*option, self.text(file)]);
        args.iter().copied().chain(files).collect()
    }

    pub fn public_key(&self, name: &str) -> String {
        let text = fs::read_to_string(self.path(&format!("{name}.json"))).unwrap();
        let made: Json = serde_json::from_str(&text).unwrap();
        made["public_key"].as_str().unwrap().to_owned()
    }

    /// A node with a key; further arguments as they are. It states no lots by itself, so that tests
    /// can count entries.
    pub fn serve(&self, key: &str, more: &[&str]) -> Server {
        let file = format!("{key}.pem");
        let files = [
            ("--data", "data"),
            ("--ledger-key", file.as_str()),
            ("--passphrase-file", "passphrase"),
        ];
        let args = self.with(&["serve", "--listen", "127.0.0.1:0"], &files);
        let mut command = urbanmine(&[&args[..], more].concat());
        command.env("URBANMINE_LEDGER_LOT_STATE_EVERY_ENTRIES", "0");
        start(command)
    }
}

/// Starts a service and waits for its address.
#[track_caller]
pub fn start(mut command: Command) -> Server {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let url = line.trim().to_owned();
    if !url.starts_with("http") {
        let output = child.wait_with_output().unwrap();
        panic!("it does not start: {output:?}");
    }
    let mut stderr = child.stderr.take().unwrap();
    let talk = std::thread::spawn(move || {
        let mut talk = String::new();
        stderr.read_to_string(&mut talk).unwrap();
        talk
    });
    Server { child, talk: Some(talk), url }
}

impl Place {
    /// Starts a node with a key, registers one site of the coordinator's, and stops it.
    pub fn append_site(&self, key: &str, name: &str, receipts: &str) {
        let server = self.serve(key, &[]);
        let event = json!({
            "event_id": format!("@event/{name}"),
            "actor_party_id": "@party/coordinator",
            "occurred_at_ms": jiff::Timestamp::now().as_millisecond(),
            "occurred_at_offset_min": 480,
            "register_site": { "site": {
                "site_id": format!("@site/{name}"), "party_id": "@party/coordinator",
                "name_en": "A yard (fictional)", "region_code": "360702",
            } },
        });
        let script = format!("{name}.jsonl");
        fs::write(self.path(&script), format!("{event}\n")).unwrap();
        let files = [("--receipts", receipts), ("--passphrase-file", "passphrase")];
        let key = format!("@party/coordinator={}", self.text("coordinator.pem"));
        let args = ["submit", self.text(&script), "--server", &server.url, "--key", &key];
        said(&self.with(&args, &files), 0);
        server.stop();
    }
}
