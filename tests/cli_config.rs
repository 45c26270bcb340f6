//! What `serve` is told: file, environment, flags; and where the ledger's key comes from.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

#[path = "common/place.rs"]
mod place;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use place::{PASSPHRASE, Place, exits, json_of, run, said, start, urbanmine};

#[test]
fn config_show_says_where_each_value_came_from_and_hides_secrets() {
    let place = Place::with_keys();
    let file = place.text("urbanmine.toml");
    fs::write(file, "[ledger]\ndata = '/srv/ledger'\n[log]\nlevel = 'info'\n").unwrap();
    let args = ["config", "show", "--config", file, "--log-level", "debug"];
    let ask = |more: &[&str]| {
        let mut command = urbanmine(&[&args[..], more].concat());
        command.env("URBANMINE_PASSPHRASE", PASSPHRASE);
        let output = command.env("URBANMINE_LEDGER_GUARD", "/mnt/guard").output().unwrap();
        exits(&output, 0);
        String::from_utf8(output.stdout).unwrap()
    };
    let shown: serde_json::Value = serde_json::from_str(&ask(&["--json"])).unwrap();
    let rows = [
        ("ledger.data", "/srv/ledger", file),
        ("ledger.guard", "/mnt/guard", "URBANMINE_LEDGER_GUARD"),
        ("log.level", "debug", "--log-level"),
        ("listen.address", "127.0.0.1:7878", "default"),
        ("key.passphrase", "(hidden)", "URBANMINE_PASSPHRASE"),
    ];
    for (key, value, from) in rows {
        let found = (shown[key]["value"].as_str(), shown[key]["from"].as_str());
        assert_eq!(found, (Some(value), Some(from)), "{key}");
    }
    assert!(shown["key.file"]["value"].is_null());
    for text in [ask(&[]), ask(&["--json"])] {
        assert!(!text.contains(PASSPHRASE), "{text}");
    }
    // The file may also be named by the environment.
    let mut command = urbanmine(&["config", "show"]);
    let output = command.env("URBANMINE_CONFIG", file).output().unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().contains("/srv/ledger"));
}

#[test]
fn what_is_not_understood_is_named_and_nothing_starts() {
    let place = Place::with_keys();
    let file = place.text("urbanmine.toml");
    let rows = [
        ("[ledger]\ndta = 'd'\n", "did you mean ledger.data?"),
        ("[listen]\naddress = 'everywhere'\n", "127.0.0.1:7878"),
        ("[key]\npassphrase = 'hush'\n", "URBANMINE_PASSPHRASE"),
        ("[ledger\n", "line 1"),
        ("", "--data, URBANMINE_LEDGER_DATA"),
        ("[ledger]\ndata = 'd'\n", "--ledger-key"),
        ("[ledger]\ndata = 'd'\n[key]\nfile = 'a'\nfd = 3\n", "key.file and key.fd"),
    ];
    for (text, told) in rows {
        fs::write(file, text).unwrap();
        let output = run(&["serve", "--config", file]);
        exits(&output, 64);
        let talk = String::from_utf8(output.stderr).unwrap();
        assert!(talk.contains(told) && !talk.contains("hush"), "{text}: {talk}");
        assert!(output.stdout.is_empty());
    }
    let output = urbanmine(&["config", "show"]).env("URBANMINE_LOG_LEVL", "info").output().unwrap();
    exits(&output, 64);
    assert!(String::from_utf8(output.stderr).unwrap().contains("log.level"));
}

#[test]
fn the_example_is_a_configuration() {
    let place = Place::with_keys();
    let example = said(&["config", "example"], 0);
    for words in ["[ledger]", "# address = \"127.0.0.1:7878\"", "账本数据目录"] {
        assert!(example.contains(words), "{words}: {example}");
    }
    let file = place.text("example.toml");
    fs::write(file, example).unwrap();
    json_of(&["config", "show", "--config", file], 0);
}

#[test]
fn a_service_manager_gives_the_key() {
    let place = Place::new();
    let file = place.text("urbanmine.toml");
    // Encrypted, as two credentials.
    let credentials = place.path("credentials");
    fs::create_dir(&credentials).unwrap();
    fs::copy(place.path("ledger.pem"), credentials.join("ledger-key")).unwrap();
    fs::copy(place.path("passphrase"), credentials.join("passphrase")).unwrap();
    let settings = format!(
        "[ledger]\ndata = '{}'\n[listen]\naddress = '127.0.0.1:0'\n[key]\n\
         credential = 'ledger-key'\npassphrase_credential = 'passphrase'\n",
        place.text("data")
    );
    fs::write(file, settings).unwrap();
    let mut command = urbanmine(&["serve", "--config", file]);
    command.env("CREDENTIALS_DIRECTORY", &credentials);
    start(command).stop();
    let output = run(&["serve", "--config", file]);
    exits(&output, 1);
    assert!(String::from_utf8(output.stderr).unwrap().contains("CREDENTIALS_DIRECTORY"));

    // From an open file: here the standard input.
    let args = place.with(
        &["serve", "--listen", "127.0.0.1:0", "--ledger-key-fd", "0"],
        &[("--data", "data"), ("--passphrase-file", "passphrase")],
    );
    let mut command = urbanmine(&args);
    command.stdin(Stdio::from(fs::File::open(place.path("ledger.pem")).unwrap()));
    start(command).stop();
}

#[test]
fn an_unencrypted_key_that_others_may_read_does_not_serve() {
    let place = Place::new();
    let plain = place.path("plain.pem");
    // PKCS#8 of some key, unencrypted: which one does not matter here.
    let pem = "-----BEGIN PRIVATE KEY-----\n\
               MC4CAQAwBQYDK2VwBCIEIAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH\n\
               -----END PRIVATE KEY-----\n";
    fs::write(&plain, pem).unwrap();
    let try_with = |mode| {
        fs::set_permissions(&plain, fs::Permissions::from_mode(mode)).unwrap();
        let files = [("--data", "data"), ("--ledger-key", "plain.pem")];
        let output = run(&place.with(&["serve", "--listen", "127.0.0.1:0"], &files));
        exits(&output, 1);
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(try_with(0o644).contains("0644"));
    // Readable by its owner alone it is taken, and found to be another ledger's.
    assert!(try_with(0o400).contains("signed by key"));
}
