//! Co-signing and private facts on the command line, with the parties of the sample.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

#[path = "common/place.rs"]
mod place;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use place::{Place, Server, exits, json_of, run, said, start, urbanmine};
use serde_json::{Value as Json, json};

const BASE: &str = "@party/base-ganzhou";
const SMELTER: &str = "@party/copper-smelter";

/// The sample's ledger, served.
struct Scene {
    place: Place,
    server: Server,
    /// 2026-10-01, in Beijing: after everything in the sample.
    minute: u32,
}

impl Scene {
    fn new() -> Self {
        let place = Place { folder: tempfile::tempdir().unwrap() };
        fs::write(place.path("passphrase"), "urbanmine demo\n").unwrap();
        exits(&run(&["demo", "--exit", "--json", "--dir", place.text("demo")]), 0);
        let files = [
            ("--data", "demo/data"),
            ("--guard", "demo/data.guard"),
            ("--ledger-key", "demo/keys/ledger.pem"),
            ("--passphrase-file", "passphrase"),
        ];
        let server = start(urbanmine(&place.with(&["serve", "--listen", "127.0.0.1:0"], &files)));
        Self { place, server, minute: 0 }
    }

    fn line(&mut self, name: &str, actor: &str, site: &str, body: (&str, Json)) -> Json {
        self.minute += 1;
        let at = format!("2026-10-01T09:{:02}:00+08:00", self.minute);
        let mut line = json!({
            "event_id": format!("@event/cli/{name}"), "actor_party_id": actor, "site_id": site,
            "occurred_at": at,
        });
        line[body.0] = body.1;
        line
    }

    fn script(&self, name: &str, lines: &[Json]) {
        let lines: Vec<String> = lines.iter().map(Json::to_string).collect();
        fs::write(self.place.path(name), lines.join("\n")).unwrap();
    }

    fn call<'a>(&'a self, args: &[&'a str], files: &[(&'a str, &str)]) -> Vec<&'a str> {
        let mut all = self.place.with(args, files);
        all.extend(["--server", self.server.url.as_str()]);
        all
    }

    /// Two tonnes are sent, 1.9 arrive.
    fn deliver(&mut self) {
        let (yard, works) = ("@site/base-ganzhou/yard", "@site/copper-smelter/works");
        let collect = json!({
            "lot": {
                "lot_id": "@lot/cli-scrap", "material": "CU_SCRAP_NO2", "form": "WIRE",
                "origin_kind": "POST_CONSUMER", "net_mass_g": "2 t", "custody_model": "SEGREGATED",
            },
            "seller_kind": "ENTERPRISE", "seller_commitment": "@hash/cli",
            "weighing": { "gross_g": "17 t", "tare_g": "15 t", "net_g": "2 t", "ticket": "CLI-1" },
            "origin_region": "360702", "invoice_class": "VAT_SPECIAL",
        });
        let offer = json!({
            "lot_id": "@lot/cli-scrap", "mass_g": "2 t", "consignee_party_id": SMELTER,
            "consignee_site_id": works, "scope": "CUSTODY_AND_OWNERSHIP",
            "invoice_class": "VAT_SPECIAL",
        });
        let weighed =
            json!({ "gross_g": "16.9 t", "tare_g": "15 t", "net_g": "1.9 t", "ticket": "CLI-2" });
        let accept = json!({ "offer_event_id": "@event/cli/offer", "received": weighed });
        let lines = [
            self.line("collect", BASE, yard, ("collect_lot", collect)),
            self.line("offer", BASE, yard, ("offer_transfer", offer)),
            self.line("accept", SMELTER, works, ("accept_transfer", accept)),
        ];
        self.script("delivery.jsonl", &lines);
        let base = format!("{BASE}={}", self.place.text("demo/keys/base-ganzhou.pem"));
        let smelter = format!("{SMELTER}={}", self.place.text("demo/keys/copper-smelter.pem"));
        let keys = ["submit", self.place.text("delivery.jsonl"), "--key", &base, "--key", &smelter];
        json_of(&self.call(&keys, &[("--passphrase-file", "passphrase")]), 0);
    }
}

#[test]
fn two_parties_co_sign_on_the_command_line() {
    let mut scene = Scene::new();
    scene.deliver();
    let settle = json!({
        "offer_event_id": "@event/cli/offer", "agreed_g": "1.95 t", "cause": "QUANTITY",
    });
    let yard = "@site/base-ganzhou/yard";
    let line = scene.line("settle", BASE, yard, ("settle_discrepancy", settle));
    scene.script("settle.jsonl", &[line]);
    let own = [("--key", "demo/keys/base-ganzhou.pem"), ("--passphrase-file", "passphrase")];
    let create = ["draft", "create", scene.place.text("settle.jsonl")];
    let draft = json_of(&scene.call(&create, &own), 0);
    assert_eq!(draft["event"]["settle_discrepancy"]["agreed_g"], 1_950_000);
    let id = draft["draft_id"].as_str().unwrap();

    // The other side reads what it is to sign, and pins its bytes.
    let list = ["draft", "list", "--party", SMELTER, "--unsigned"];
    let waiting = json_of(&scene.call(&list, &[]), 0);
    assert_eq!(waiting.as_array().unwrap().len(), 1);
    assert_eq!(waiting[0]["draft_id"], id);
    let shown = said(&scene.call(&["draft", "show", id], &[]), 0);
    assert!(shown.contains("has to sign") && shown.contains("has signed"), "{shown}");

    let key = [("--key", "demo/keys/copper-smelter.pem"), ("--passphrase-file", "passphrase")];
    let other = "00".repeat(32);
    let sign = ["draft", "sign", id, "--payload-sha256", &other];
    let refused = run(&scene.call(&sign, &key));
    exits(&refused, 1);
    let told = String::from_utf8(refused.stderr).unwrap();
    assert!(told.contains("not the") && told.contains("nothing was signed"), "{told}");
    let agreed = draft["payload_sha256"].as_str().unwrap();
    let files = [&key[..], &[("--receipt", "receipt")]].concat();
    let sign = ["draft", "sign", id, "--payload-sha256", agreed];
    let recorded = json_of(&scene.call(&sign, &files), 0);
    assert_eq!(recorded["receipt"], fs::read_to_string(scene.place.path("receipt")).unwrap());
    let lot = json_of(&scene.call(&["lot", "@lot/cli-scrap"], &[]), 0);
    assert_eq!(lot["remaining_mass_g"], 1_950_000);

    // It is gone from the drafts; discarding it now says so.
    assert_eq!(json_of(&scene.call(&list, &[]), 0), json!([]));
    let gone = run(&scene.call(&["draft", "delete", id], &[]));
    exits(&gone, 1);
    assert!(String::from_utf8(gone.stderr).unwrap().contains("NOT_FOUND"));
}

#[test]
fn a_draft_survives_a_restart_and_ends_by_hand() {
    let mut scene = Scene::new();
    scene.deliver();
    let settle = json!({
        "offer_event_id": "@event/cli/offer", "agreed_g": "1.9 t", "cause": "QUANTITY",
    });
    let yard = "@site/base-ganzhou/yard";
    let line = scene.line("settle", BASE, yard, ("settle_discrepancy", settle));
    scene.script("settle.jsonl", &[line]);
    let own = [("--key", "demo/keys/base-ganzhou.pem"), ("--passphrase-file", "passphrase")];
    let create = ["draft", "create", scene.place.text("settle.jsonl")];
    let draft = json_of(&scene.call(&create, &own), 0);
    let id = draft["draft_id"].as_str().unwrap().to_owned();

    let Scene { place, server, minute } = scene;
    server.stop();
    let files = [
        ("--data", "demo/data"),
        ("--guard", "demo/data.guard"),
        ("--ledger-key", "demo/keys/ledger.pem"),
        ("--passphrase-file", "passphrase"),
    ];
    let server = start(urbanmine(&place.with(&["serve", "--listen", "127.0.0.1:0"], &files)));
    let scene = Scene { place, server, minute };
    assert_eq!(json_of(&scene.call(&["draft", "show", &id], &[]), 0), draft);
    exits(&run(&scene.call(&["draft", "delete", &id], &[])), 0);
    exits(&run(&scene.call(&["draft", "show", &id], &[])), 1);
}

#[test]
fn a_commitment_is_made_and_checked_offline() {
    let place = Place { folder: tempfile::tempdir().unwrap() };
    fs::write(place.path("fact"), "卖方：虚构回收站").unwrap();
    let make = ["commitment", "make", place.text("fact")];
    let printed = said(&place.with(&make, &[("--out", "opening")]), 0);
    let commitment = printed.trim();
    assert_eq!(commitment.len(), 64);
    let mode = fs::metadata(place.path("opening")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // Another salt each time, and never over an opening that exists.
    exits(&run(&place.with(&make, &[("--out", "opening")])), 1);
    let again = said(&place.with(&make, &[("--out", "other")]), 0);
    assert_ne!(again.trim(), commitment);

    let opening = place.text("opening");
    assert!(said(&["commitment", "check", opening, commitment], 0).contains(commitment));
    let wrong = run(&["commitment", "check", opening, again.trim()]);
    exits(&wrong, 1);
    assert!(String::from_utf8(wrong.stderr).unwrap().contains(commitment));
    fs::write(place.path("empty"), "").unwrap();
    let empty = ["commitment", "make", place.text("empty")];
    exits(&run(&place.with(&empty, &[("--out", "none")])), 1);
    assert!(!place.path("none").exists());
}

#[test]
fn an_opening_is_deposited_read_shared_and_erased() {
    let mut scene = Scene::new();
    fs::write(scene.place.path("fact"), "seller 0042 (fictional)").unwrap();
    let make = ["commitment", "make", scene.place.text("fact")];
    let printed = said(&scene.place.with(&make, &[("--out", "opening")]), 0);
    let commitment = printed.trim().to_owned();
    let collect = json!({
        "lot": {
            "lot_id": "@lot/cli-private", "material": "CU_SCRAP_NO2", "form": "WIRE",
            "origin_kind": "POST_CONSUMER", "net_mass_g": "2 t", "custody_model": "SEGREGATED",
        },
        "seller_kind": "ENTERPRISE", "seller_commitment": commitment,
        "weighing": { "gross_g": "17 t", "tare_g": "15 t", "net_g": "2 t", "ticket": "CLI-3" },
        "origin_region": "360702", "invoice_class": "VAT_SPECIAL",
    });
    let yard = "@site/base-ganzhou/yard";
    let line = scene.line("private", BASE, yard, ("collect_lot", collect));
    scene.script("private.jsonl", &[line]);
    let own = [("--key", "demo/keys/base-ganzhou.pem"), ("--passphrase-file", "passphrase")];
    json_of(&scene.call(&["submit", scene.place.text("private.jsonl")], &own), 0);

    let event = ["--event", "@event/cli/private"];
    let deposit = ["commitment", "deposit", scene.place.text("opening"), "--reader", SMELTER];
    let kept = said(&scene.call(&[&deposit[..], &event].concat(), &[]), 0);
    assert_eq!(kept.trim(), commitment);
    let read = [&["commitment", "read"][..], &event].concat();
    let openings: Json = serde_json::from_str(&said(&scene.call(&read, &[]), 0)).unwrap();
    assert_eq!(openings[0]["fact_text"], "seller 0042 (fictional)");
    assert_eq!(openings[0]["reader_party_ids"].as_array().unwrap().len(), 1);
    let share = [&["commitment", "share", commitment.as_str()][..], &event].concat();
    exits(&run(&scene.call(&share, &[])), 0);
    let openings: Json = serde_json::from_str(&said(&scene.call(&read, &[]), 0)).unwrap();
    assert_eq!(openings[0]["reader_party_ids"], json!([]));
    let erase = [&["commitment", "erase", commitment.as_str()][..], &event].concat();
    exits(&run(&scene.call(&erase, &[])), 0);
    assert_eq!(said(&scene.call(&read, &[]), 0).trim(), "[]");
    exits(&run(&scene.call(&erase, &[])), 1);
}
