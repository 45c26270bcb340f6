//! TLS, certificates and tokens as an operator and a party use them, from the command line.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

#[path = "common/place.rs"]
mod place;

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use place::{Place, exits, json_of, run, said, urbanmine};

const LOT: &str = "01980000-0000-7000-8000-00000000000a";

/// Why a command failed, as it says on stderr; empty when it did not.
fn refusal(args: &[&str], token: Option<&str>) -> String {
    let mut command = urbanmine(args);
    if let Some(token) = token {
        command.env("URBANMINE_TOKEN", token);
    }
    let output = command.output().unwrap();
    if output.status.success() { String::new() } else { String::from_utf8(output.stderr).unwrap() }
}

fn assert_refused(args: &[&str], token: Option<&str>, reason: &str) {
    let told = refusal(args, token);
    assert!(told.contains(reason), "{args:?}: {told}");
}

#[test]
fn certificates_and_tokens_open_the_doors_and_are_taken_back() {
    let place = Place::new();
    let dev = ["cert", "dev", "--host", "127.0.0.1", "localhost", "--party", "@party/coordinator"];
    let made = run(&place.with(&dev, &[("--dir", "certs")]));
    exits(&made, 0);
    assert!(String::from_utf8_lossy(&made.stderr).contains("DEVELOPMENT ONLY"));
    let made = run(&place.with(&dev, &[("--dir", "certs")]));
    exits(&made, 1);
    let folder = std::fs::read_dir(place.path("certs")).unwrap();
    let names: Vec<String> =
        folder.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    let client = names.iter().find(|it| it.starts_with("client-") && !it.contains("-key")).unwrap();
    for name in names.iter().filter(|it| it.ends_with("-key.pem")) {
        let file = std::fs::metadata(place.path("certs").join(name)).unwrap();
        assert_eq!(file.permissions().mode() & 0o777, 0o600, "{name}");
    }

    let file = [("--file", "tokens.json")];
    let new = ["token", "new", "--operator", "--scopes", "read", "--note", "a test"];
    let operator = json_of(&place.with(&new, &file), 0);
    let token = operator["token"].as_str().unwrap();
    let tls = [
        ("--tls-cert", "certs/server.pem"),
        ("--tls-key", "certs/server-key.pem"),
        ("--client-ca", "certs/ca.pem"),
        ("--tokens", "tokens.json"),
    ];
    let server = place.serve("ledger", &place.with(&[], &tls));
    assert!(server.url.starts_with("https://127.0.0.1:"), "{}", server.url);

    let ask = ["lot", LOT, "--server", &server.url];
    assert_refused(&ask, None, "--tls-ca");
    let ask = place.with(&ask, &[("--tls-ca", "certs/ca.pem")]);
    assert_refused(&ask, None, "IDENTITY_MISSING");
    assert_refused(&ask, Some("umt1_x"), "TOKEN_MALFORMED");
    assert_refused(&ask, Some(token), "NOT_FOUND");
    std::fs::write(place.path("token"), format!("{token}\n")).unwrap();
    assert_refused(&place.with(&ask, &[("--token-file", "token")]), None, "NOT_FOUND");
    let (cert, key) = (format!("certs/{client}"), client.replace(".pem", "-key.pem"));
    let key = format!("certs/{key}");
    let pair = [("--client-cert", cert.as_str()), ("--client-key", key.as_str())];
    assert_refused(&place.with(&ask, &pair), None, "NOT_FOUND");
    assert_refused(&place.with(&ask, &pair), Some(token), "IDENTITIES_DIFFER");

    // A whole audit over the line, by the coordinator's certificate.
    let pin = place.public_key("ledger");
    let verify = ["verify", "--server", &server.url, "--ledger-key", &pin];
    let verify = [&verify[..], &["--origin", place::ORIGIN]].concat();
    let verify = place.with(&verify, &[&pair[..], &[("--tls-ca", "certs/ca.pem")]].concat());
    assert_eq!(json_of(&verify, 0)["verdict"], "verified");

    // Taken back: known at once when the service is told to look.
    let id = operator["id"].as_str().unwrap();
    exits(&run(&place.with(&["token", "revoke", id], &file)), 0);
    let listed = json_of(&place.with(&["token", "list"], &file), 0);
    assert!(listed[0]["revoked_at_ms"].is_u64() && listed[0]["token"].is_null());
    assert!(said(&place.with(&["token", "list"], &file), 0).contains("revoked"));
    server.signal("-HUP");
    let mut told = String::new();
    for _ in 0..50 {
        told = refusal(&ask, Some(token));
        if told.contains("TOKEN_REVOKED") {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(told.contains("TOKEN_REVOKED"), "{told}");
    let talk = server.stop();
    assert!(!talk.contains(token) && !talk.contains(&token[23..]), "{talk}");
}

#[test]
fn what_would_be_read_on_the_way_is_not_sent() {
    let place = Place::new();
    let listen = |more: &[&'static str]| {
        let files = [
            ("--data", "data"),
            ("--ledger-key", "ledger.pem"),
            ("--passphrase-file", "passphrase"),
        ];
        let args = [&["serve", "--listen", "0.0.0.0:0"][..], more].concat();
        place.with(&args, &files)
    };
    let told = refusal(&listen(&[]), None);
    assert!(told.contains("0.0.0.0:0") && told.contains("certificate"), "{told}");
    let half = place.with(&listen(&[]), &[("--tls-cert", "ledger.pem")]);
    assert!(refusal(&half, None).contains("come together"));
    let told = place.with(&listen(&["--plaintext-beyond-loopback"]), &[]);
    let server = place::start(urbanmine(&told));
    assert!(server.url.starts_with("http://0.0.0.0:"), "{}", server.url);
    server.stop();
    // A client does not send its token in plain text, except to this machine.
    let away = ["lot", LOT, "--server", "http://192.0.2.1:7878"];
    assert_refused(&away, Some("umt1_x"), "https only");
}
