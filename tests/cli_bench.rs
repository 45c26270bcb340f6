//! `urbanmine bench` on a small ledger: it measures everything in one run, and says so in one
//! shape. How fast anything is, no test asks.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

#[path = "common/place.rs"]
mod place;

use place::{Place, json_of, said};
use serde_json::Value as Json;

/// Figures that every size has.
const FIGURES: [&str; 28] = [
    "verify_strict_per_s",
    "verify_strict_us",
    "batch_append_per_s",
    "batch_append",
    "batch_growth",
    "batch_by_processor",
    "batch_node_us",
    "batch_client_us",
    "single_append_per_s",
    "single_append",
    "single_by_processor",
    "single_node_us",
    "single_client_us",
    "receipt_p50_ms",
    "receipt_p99_ms",
    "audit_per_s",
    "audit",
    "audit_memory_mib",
    "inclusion_proof_p50_ms",
    "inclusion_proof_p99_ms",
    "lot_read_p50_ms",
    "lot_read_p99_ms",
    "disk_per_entry_byte",
    "disk_per_signed_byte",
    "disk_set_aside_mib",
    "memory_mib",
    "reopen_s",
    "reopen_memory_mib",
];

fn number(of: &Json, name: &str) -> f64 {
    of[name].as_f64().unwrap_or_else(|| panic!("{name} of {of}"))
}

#[test]
fn a_run_measures_everything_beside_the_yardstick() {
    let args = ["bench", "--entries", "3500", "--rounds", "1", "--signers", "8"];
    let measured = json_of(&args, 0);
    for name in ["batch_append", "single_append", "audit"] {
        let ratio = number(&measured["ratios"], name);
        assert!(ratio > 0.001 && ratio < 100.0, "{name}: {ratio}");
    }
    let [point] = &measured["points"].as_array().unwrap()[..] else { panic!("{measured}") };
    let size = point["entries"].as_u64().unwrap();
    assert!((2_500..=3_600).contains(&size), "{size}");
    assert!((500..700).contains(&point["entry_bytes"].as_u64().unwrap()), "{point}");
    for name in FIGURES {
        assert!(number(point, name) >= 0.0, "{name}: {point}");
    }
    assert!(number(point, "receipt_p50_ms") <= number(point, "receipt_p99_ms"));
    assert_eq!(point["rounds"].as_array().unwrap().len(), 1);
    let targets = measured["targets"].as_array().unwrap();
    assert_eq!(targets.len(), 9);
    for target in targets {
        assert_eq!(target["measured"], point[target["figure"].as_str().unwrap()], "{target}");
        assert!(target["must"].is_number() && target["aim"].is_number(), "{target}");
    }
}

#[test]
fn a_node_that_is_there_is_measured_from_outside_only() {
    let place = Place::new();
    let server = place.serve("ledger", &[]);
    let coordinator = format!("@party/coordinator={}", place.text("coordinator.pem"));
    let args = ["bench", "--entries", "3500", "--rounds", "1", "--server", &server.url];
    let args = [&args[..], &["--coordinator", &coordinator]].concat();
    let args = place.with(&args, &[("--passphrase-file", "passphrase")]);
    let measured = json_of(&args, 0);
    let point = &measured["points"][0];
    assert!(number(point, "batch_append") > 0.0 && number(point, "receipt_p99_ms") > 0.0);
    for name in ["audit", "disk_per_entry_byte", "memory_mib", "reopen_s", "batch_node_us"] {
        assert!(point[name].is_null(), "{name}: {point}");
    }
    // The same load again is recorded already, and measures nothing.
    said(&args, 1);
    server.stop();
}

#[test]
fn fresh_keys_and_stories_are_loads_as_well() {
    let few = ["bench", "--entries", "3500", "--rounds", "1"];
    let fresh = json_of(&[&few[..], &["--signers", "1", "--fresh-percent", "10"]].concat(), 0);
    assert_eq!(fresh["load"]["fresh_percent"], 10);
    let told = said(&[&few[..], &["--signers", "5", "--mix", "trade"]].concat(), 0);
    for words in ["batch append", "reopening after kill -9", "must", "trade"] {
        assert!(told.contains(words), "{words}: {told}");
    }
    said(&[&few[..], &["--mix", "trade", "--fresh-percent", "10"]].concat(), 1);
    said(&["bench", "--entries", "1000", "--rounds", "5"], 1);
}
