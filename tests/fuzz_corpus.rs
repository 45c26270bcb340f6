//! The committed corpus of every fuzz target, through the same code that libFuzzer runs: what was
//! once found is never found again, and honest bytes stay honest. Needs no nightly compiler.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may stop")]

#[path = "common/artefacts.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by test files that use parts of it")]
mod artefacts;
#[path = "../fuzz/src/bodies.rs"]
#[allow(
    clippy::pedantic,
    clippy::panic,
    reason = "the targets, which stop where one does not hold"
)]
mod bodies;
#[path = "common/forge.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by test files that use parts of it")]
mod forge;
#[path = "common/forge_world.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by test files that use parts of it")]
mod forge_world;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use bodies::{Honest, TARGETS};

/// What the whole corpus has at most: it is cloned with the source.
const MAX_CORPUS_BYTES: u64 = 300_000;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

fn inputs(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut inputs = Vec::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        inputs.push((name, std::fs::read(&path).unwrap()));
    }
    inputs.sort();
    inputs
}

#[test]
fn every_property_holds_on_the_corpus() {
    let mut bytes = 0;
    for target in &TARGETS {
        let folder = root().join("fuzz/corpus").join(target.name);
        let inputs = inputs(&folder);
        assert!(inputs.len() > 1, "{} has a corpus", target.name);
        for (name, input) in inputs {
            bytes += u64::try_from(input.len()).unwrap();
            let run = std::panic::catch_unwind(|| (target.run)(&input));
            assert!(run.is_ok(), "{}: {name} breaks a property", target.name);
        }
    }
    assert!(bytes <= MAX_CORPUS_BYTES, "the corpus has {bytes} bytes");
}

/// The seeds are made from the forged ledger, so they follow the format.
/// `URBANMINE_WRITE_CORPUS=1` writes them anew.
#[test]
fn the_seeds_are_those_of_the_honest_ledger() {
    let honest = Honest::make();
    let is_written = std::env::var_os("URBANMINE_WRITE_CORPUS").is_some();
    for target in &TARGETS {
        let folder = root().join("fuzz/corpus").join(target.name);
        for (name, bytes) in (target.seeds)(&honest) {
            let path = folder.join(format!("seed-{name}"));
            if is_written {
                std::fs::create_dir_all(&folder).unwrap();
                std::fs::write(&path, &bytes).unwrap();
            }
            let found = std::fs::read(&path).unwrap_or_default();
            assert!(found == bytes, "{} is not what the forge writes", path.display());
        }
    }
}

/// A seed that its own parser refuses would start the fuzzer on nothing.
#[test]
fn the_honest_ledger_is_verified_and_its_artefacts_too() {
    use urbanmine::verify::{Verdict, verify_bundle, verify_evidence, verify_lot, verify_receipt};
    let honest = Honest::make();
    let pins = forge::pins();
    assert_eq!(honest.forged.judge_stream(forge::pins()).verdict, Verdict::Verified);
    assert_eq!(honest.forged.judge_groups(forge::pins()).verdict, Verdict::Verified);
    assert_eq!(honest.fork.judge_stream(forge::pins()).verdict, Verdict::Verified);
    let bytes = |text: String| text.into_bytes();
    let bundle = bytes(artefacts::bundle(&honest.forged, honest.lot).encode());
    // It holds no word of the ledger on its lots, so that their ends are not proven.
    let verdict = verify_bundle(&bundle, Some(honest.lot), &pins, None).verdict;
    assert_eq!(verdict, Verdict::Warnings);
    let receipt = bytes(artefacts::receipt(&honest.forged, honest.stated).encode());
    assert_eq!(verify_receipt(&receipt, &pins).verdict, Verdict::Verified);
    let file = bytes(artefacts::lot_file(&honest.forged, honest.stated, honest.lot).encode());
    let report = verify_lot(&file, Some(honest.lot), &[], &pins);
    assert_eq!(report.verdict, Verdict::Verified, "{:?}", report.findings);
    assert_eq!(report.story.map(|story| story.len()), Some(2));
    let older = artefacts::checkpoint_of(&honest.forged, honest.forged.size().0);
    let evidence = bytes(artefacts::evidence(&older, &honest.fork).encode());
    assert_eq!(verify_evidence(&evidence, &[], &pins).verdict, Verdict::Tampered);
}

#[test]
fn every_target_is_built_and_run() {
    let manifest = read("fuzz/Cargo.toml");
    let built: BTreeSet<&str> =
        manifest.split("[[bin]]").skip(1).map(|bin| bin.split('"').nth(1).unwrap()).collect();
    let held: BTreeSet<&str> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(built, held);
    for name in held {
        let text = read(&format!("fuzz/fuzz_targets/{name}.rs"));
        assert!(text.contains(&format!("urbanmine_fuzz::run(\"{name}\", data)")), "{name}");
    }
}

/// The pure rooms are fuzzed and mutated with the libraries that they run with.
#[test]
fn the_crates_beside_the_house_use_its_versions() {
    let house = versions(&read("Cargo.lock"));
    for lock in ["fuzz/Cargo.lock", "tests/mutants/Cargo.lock"] {
        for (name, found) in versions(&read(lock)) {
            // What only the fuzzer needs is not in the house.
            let Some(expected) = house.get(&name) else { continue };
            assert!(found.is_subset(expected), "{lock}: {name} {found:?}, not {expected:?}");
        }
    }
}

fn versions(lock: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in lock.split("[[package]]").skip(1) {
        let field = |name: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(&format!("{name} = ")));
            line.unwrap().trim_matches('"').to_owned()
        };
        versions.entry(field("name")).or_default().insert(field("version"));
    }
    versions
}
