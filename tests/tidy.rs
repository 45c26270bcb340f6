//! The style of the house, held as a test: directions between rooms, sizes, headers, leftovers,
//! documents.
//!
//! Each check returns every violation that it finds, and the test lists them all with file and
//! line.

#![allow(clippy::expect_used, reason = "a test may stop")]

#[path = "tidy/scan.rs"]
mod scan;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use scan::{Source, Word};

/// What a room may use: the table of the house. Every room may use `limits` besides.
struct Room {
    name: &'static str,
    rooms: &'static [&'static str],
    crates: &'static [&'static str],
    /// Synchronous, without IO, clock and randomness.
    is_pure: bool,
}

/// The direction rule. An arrow never turns.
const ROOMS: [Room; 12] = [
    Room { name: "domain", rooms: &[], crates: &["thiserror", "uuid"], is_pure: true },
    Room {
        name: "wire",
        rooms: &["domain"],
        // tonic: the generated services stand beside the generated messages.
        crates: &["bytes", "prost", "prost_types", "thiserror", "tonic"],
        is_pure: true,
    },
    Room {
        name: "ledger",
        rooms: &["domain", "wire"],
        crates: &[
            "base64",
            "blake3",
            "bytes",
            "crc32c",
            "curve25519_dalek",
            "ed25519_dalek",
            "fiat_crypto",
            "pulp",
            "sha2",
            "thiserror",
            "zeroize",
        ],
        is_pure: true,
    },
    Room { name: "provenance", rooms: &["domain"], crates: &["thiserror"], is_pure: true },
    Room {
        name: "insight",
        rooms: &["domain", "provenance"],
        crates: &["csv", "thiserror"],
        is_pure: true,
    },
    Room {
        name: "verify",
        rooms: &["domain", "wire", "ledger", "provenance"],
        crates: &["bytes", "thiserror"],
        is_pure: true,
    },
    Room {
        name: "store",
        rooms: &["domain", "wire", "ledger"],
        crates: &[
            "bytes",
            "crc32c",
            "fastbloom",
            "lz4_flex",
            "rustix",
            "sled",
            "smallvec",
            "tar",
            "thiserror",
            "tracing",
            "twox_hash",
        ],
        is_pure: false,
    },
    Room {
        name: "witness",
        rooms: &["domain", "ledger", "store"],
        crates: &[
            "bytes",
            "governor",
            "http",
            "http_body_util",
            "hyper",
            "hyper_util",
            "thiserror",
            "tokio",
            "tracing",
            "ureq",
        ],
        is_pure: false,
    },
    Room {
        name: "node",
        rooms: &["domain", "wire", "ledger", "provenance", "insight", "store", "witness"],
        crates: &["bytes", "crossbeam_channel", "metrics", "rand", "thiserror", "tokio", "tracing"],
        is_pure: false,
    },
    Room {
        name: "api",
        rooms: &["domain", "wire", "ledger", "provenance", "insight", "node"],
        crates: &[
            "arc_swap",
            "axum",
            "base64",
            "bytes",
            "governor",
            "http",
            "http_body_util",
            "hyper",
            "hyper_util",
            "metrics",
            "metrics_exporter_prometheus",
            "prost",
            "prost_reflect",
            "prost_types",
            "rustls_pki_types",
            "serde",
            "serde_json",
            "thiserror",
            "tokio",
            "tokio_rustls",
            "tokio_stream",
            "tonic",
            "tonic_health",
            "tonic_prost",
            "tonic_reflection",
            "tonic_types",
            "tonic_web",
            "tower",
            "tower_http",
            "tracing",
            "uuid",
            "x509_parser",
        ],
        is_pure: false,
    },
    Room {
        name: "web",
        rooms: &["domain", "node"],
        crates: &["askama", "axum", "thiserror", "tracing"],
        is_pure: false,
    },
    Room {
        name: "cli",
        rooms: &[
            "domain",
            "wire",
            "ledger",
            "provenance",
            "insight",
            "verify",
            "store",
            "witness",
            "node",
            "api",
            "web",
        ],
        crates: &["*"],
        is_pure: false,
    },
];

/// What a pure room never reaches for.
const IMPURE_MODULES: [&str; 8] = ["env", "fs", "io", "net", "os", "process", "thread", "time"];

/// What seals, signs or proves: the judge shares none of it with the writer.
const WRITERS_WORDS: [&str; 14] = [
    "Draft",
    "Frontier",
    "MapFold",
    "MapTile",
    "MapUpdate",
    "Position",
    "SealFault",
    "Sealed",
    "SigningKey",
    "TileChanges",
    "consistency_proof",
    "inclusion_proof",
    "prove_lot",
    "update_map",
];

const MAX_LINE_COLUMNS: usize = 100;
const MAX_FUNCTION_LINES: usize = 70;

/// Functions that are one table: a row for each case and nothing else, so there is no step to split
/// off.
const TABLE_FUNCTIONS: [(&str, &str); 2] =
    [("src/domain/rejection.rs", "number"), ("src/api/errors.rs", "verdict")];

/// One violation.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    file: String,
    line: usize,
    rule: String,
}

type Findings = Vec<Finding>;

fn finding(file: &str, line: usize, rule: impl Into<String>) -> Finding {
    Finding { file: file.to_owned(), line, rule: rule.into() }
}

#[test]
fn the_house_is_tidy() {
    let house = House::read();
    let mut findings: Findings = [
        directions(&house),
        foreign_crates(&house),
        the_pure_crate_can_be_built(&house),
        purity(&house),
        the_judge_shares_no_writing(&house),
        line_lengths(&house),
        function_lengths(&house),
        room_headers(&house),
        leftovers(&house),
        lib_is_a_map(&house),
        limits_are_used(&house),
        links_lead_somewhere(&house),
        changelog_has_the_version(&house),
        nothing_names_a_machine(&house),
    ]
    .into_iter()
    .flatten()
    .collect();
    findings.sort();
    let lines: Vec<String> =
        findings.iter().map(|it| format!("{}:{}: {}", it.file, it.line, it.rule)).collect();
    assert!(lines.is_empty(), "{} violations:\n{}", lines.len(), lines.join("\n"));
}

/// All texts that are held.
struct House {
    root: PathBuf,
    /// Rust, by path from the root.
    sources: BTreeMap<String, Source>,
    /// Everything else that is text, by path from the root.
    texts: BTreeMap<String, String>,
}

impl House {
    fn read() -> Self {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let mut house = Self { root, sources: BTreeMap::new(), texts: BTreeMap::new() };
        for folder in ["src", "tests", "proto", "docs", "tables", "samples", ".ci"] {
            house.read_folder(&house.root.join(folder));
        }
        for file in ["build.rs", "Cargo.toml", "clippy.toml", "README.md", "CHANGELOG.md"] {
            house.read_file(&house.root.join(file));
        }
        assert!(house.sources.len() > 20, "the sources were not found");
        house
    }

    fn read_folder(&mut self, folder: &Path) {
        let mut folders = vec![folder.to_path_buf()];
        while let Some(folder) = folders.pop() {
            let Ok(entries) = std::fs::read_dir(&folder) else { continue };
            for entry in entries {
                let path = entry.expect("a directory entry is readable").path();
                let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                match (path.is_dir(), name) {
                    // Vectors are other people's words, and byte strings; the rest is built.
                    (true, "vectors" | "__pycache__" | "target") => {}
                    (true, _) => folders.push(path),
                    (false, _) => self.read_file(&path),
                }
            }
        }
    }

    fn read_file(&mut self, path: &Path) {
        let name = path.strip_prefix(&self.root).expect("a path under the root");
        let name = name.to_str().expect("a path of ours is UTF-8").replace('\\', "/");
        // What is not text has no lines.
        let Ok(text) = std::fs::read_to_string(path) else { return };
        if path.extension().is_some_and(|extension| extension == "rs") {
            let source = Source::read(&text);
            let is_tests = name.ends_with("/tests.rs") || name.contains("/tests/");
            let source = if is_tests { source.of_tests() } else { source };
            self.sources.insert(name, source);
        } else {
            self.texts.insert(name, text);
        }
    }

    /// The sources of a room.
    fn room(&self, room: &str) -> impl Iterator<Item = (&String, &Source)> {
        let (folder, file) = (format!("src/{room}/"), format!("src/{room}.rs"));
        self.sources.iter().filter(move |(path, _)| path.starts_with(&folder) || **path == file)
    }

    fn text(&self, path: &str) -> &str {
        self.texts.get(path).map_or("", String::as_str)
    }

    /// Every line of everything, with its path and number.
    fn lines(&self) -> impl Iterator<Item = (&str, usize, &str)> {
        let rust = self.sources.iter().map(|(path, source)| (path.as_str(), source.raw.as_str()));
        let other = self.texts.iter().map(|(path, text)| (path.as_str(), text.as_str()));
        rust.chain(other).flat_map(|(path, text)| {
            text.lines().enumerate().map(move |(at, line)| (path, at + 1, line))
        })
    }
}

fn is_room(name: &str) -> bool {
    ROOMS.iter().any(|room| room.name == name)
}

/// `use crate::…` and `crate::…` paths, against the table; `super::` that climbs out of a room too.
fn directions(house: &House) -> Findings {
    let mut findings = Vec::new();
    for room in &ROOMS {
        for (path, source) in house.room(room.name) {
            for Word { text: used, line } in source.rooms_named() {
                let is_allowed =
                    used == room.name || !is_room(&used) || room.rooms.contains(&used.as_str());
                if !is_allowed {
                    let rule = format!("{} may not use {used}", room.name);
                    findings.push(finding(path, line, rule));
                }
            }
        }
    }
    let known: BTreeSet<String> = house
        .sources
        .keys()
        .filter_map(|path| path.strip_prefix("src/")?.split(['/', '.']).next().map(str::to_owned))
        .filter(|name| !["lib", "main", "limits"].contains(&name.as_str()))
        .collect();
    for name in known.iter().filter(|name| !is_room(name)) {
        findings.push(finding("src/lib.rs", 1, format!("{name} is no room of the table")));
    }
    findings
}

/// Which dependency is at home where.
fn foreign_crates(house: &House) -> Findings {
    let all: BTreeSet<String> = dependencies(house.text("Cargo.toml"));
    let mut findings = Vec::new();
    for room in ROOMS.iter().filter(|room| !room.crates.contains(&"*")) {
        for (path, source) in house.room(room.name) {
            for Word { text: used, line } in source.path_heads() {
                if all.contains(&used) && !room.crates.contains(&used.as_str()) {
                    let rule = format!("{used} is not at home in {}", room.name);
                    findings.push(finding(path, line, rule));
                }
            }
        }
    }
    findings
}

/// Names under `[dependencies]`, as code spells them.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let lines = manifest.lines().skip_while(|line| *line != "[dependencies]").skip(1);
    let lines = lines.take_while(|line| !line.starts_with('['));
    let names = lines.filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('='));
    names.map(|(name, _)| name.trim().replace('-', "_")).collect()
}

/// What the pure rooms use stands in the manifest of the crate that fuzzing and mutation testing
/// build from their sources: nothing else of the tests compiles it.
fn the_pure_crate_can_be_built(house: &House) -> Findings {
    let all = dependencies(house.text("Cargo.toml"));
    let listed = dependencies(house.text("tests/mutants/Cargo.toml"));
    let map = house.sources.get("tests/mutants/lib.rs").map_or("", |source| source.raw.as_str());
    let mut findings = Vec::new();
    for room in ROOMS.iter().filter(|room| map.contains(&format!("src/{}/mod.rs", room.name))) {
        for (path, source) in house.room(room.name) {
            for Word { text: used, line } in source.path_heads() {
                if all.contains(&used) && !listed.contains(&used) && !source.is_test(line) {
                    let rule = format!("{used} is not in tests/mutants/Cargo.toml");
                    findings.push(finding(path, line, rule));
                }
            }
        }
    }
    findings
}

/// Pure rooms are synchronous, do no IO, read no clock and draw no randomness.
fn purity(house: &House) -> Findings {
    let mut findings = Vec::new();
    for room in ROOMS.iter().filter(|room| room.is_pure) {
        for (path, source) in house.room(room.name) {
            for Word { text: module, line } in source.paths_under("std") {
                // A test may read its vectors.
                if IMPURE_MODULES.contains(&module.as_str()) && !source.is_test(line) {
                    let rule = format!("{} is pure: no std::{module}", room.name);
                    findings.push(finding(path, line, rule));
                }
            }
            for Word { text, line } in source.words() {
                if text == "async" || text == "await" {
                    findings.push(finding(path, line, format!("{} is synchronous", room.name)));
                }
            }
        }
    }
    findings
}

/// Judge and writer share the format and the rules, not sealing, signing, or the building of
/// proofs.
fn the_judge_shares_no_writing(house: &House) -> Findings {
    let mut findings = Vec::new();
    for (path, source) in house.room("verify") {
        for Word { text, line } in source.words() {
            // Tests of the judge need something to judge.
            if WRITERS_WORDS.contains(&text.as_str()) && !source.is_test(line) {
                findings.push(finding(path, line, format!("the judge does not use {text}")));
            }
        }
    }
    findings
}

fn line_lengths(house: &House) -> Findings {
    let is_held = |path: &str| {
        let is_test_in_python = path.starts_with("tests/") && has_extension(path, "py");
        has_extension(path, "rs") || has_extension(path, "proto") || is_test_in_python
    };
    house
        .lines()
        .filter(|(path, _, line)| is_held(path) && line.chars().count() > MAX_LINE_COLUMNS)
        .map(|(path, at, line)| {
            let columns = line.chars().count();
            finding(path, at, format!("{columns} columns, at most {MAX_LINE_COLUMNS}"))
        })
        .collect()
}

/// Tables of tests may be long; what runs in production may not.
fn function_lengths(house: &House) -> Findings {
    let mut findings = Vec::new();
    for (path, source) in house.sources.iter().filter(|(path, _)| path.starts_with("src/")) {
        for function in source.functions() {
            let is_table = TABLE_FUNCTIONS.contains(&(path.as_str(), function.name.as_str()));
            let is_held = !is_table && !source.is_test(function.line);
            if is_held && function.lines > MAX_FUNCTION_LINES {
                let (name, lines) = (&function.name, function.lines);
                let rule = format!("{name} has {lines} lines, at most {MAX_FUNCTION_LINES}");
                findings.push(finding(path, function.line, rule));
            }
        }
    }
    findings
}

/// Every room, and every `mod.rs`, opens with what it owns, never does, and where to see more.
fn room_headers(house: &House) -> Findings {
    let mut findings = Vec::new();
    for (path, source) in &house.sources {
        let is_room = path.starts_with("src/") && path.ends_with("/mod.rs");
        let is_room = is_room || ROOMS.iter().any(|room| *path == format!("src/{}.rs", room.name));
        if !is_room {
            continue;
        }
        let header: Vec<&str> =
            source.raw.lines().take_while(|line| line.starts_with("//!")).collect();
        let mut at = 0;
        for word in ["*Owns:*", "*Never:*", "*See:*"] {
            let found = header.iter().position(|line| line.starts_with(&format!("//! {word}")));
            match found {
                Some(line) if line >= at => at = line,
                Some(_) => findings.push(finding(path, 1, format!("{word} stands out of order"))),
                None => findings.push(finding(path, 1, format!("the header has no {word}"))),
            }
        }
    }
    findings
}

/// Nothing unfinished. The words are joined here so that this file does not name them.
fn leftovers(house: &House) -> Findings {
    let words = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("X", "XX")];
    let calls = [concat!("to", "do!"), concat!("unimple", "mented!"), concat!("#[ig", "nore")];
    let mut findings = Vec::new();
    for (path, at, line) in house.lines() {
        let has_word = |word: &&str| {
            line.split(|letter: char| !letter.is_ascii_alphanumeric()).any(|it| it == *word)
        };
        let found = words.iter().find(|word| has_word(word));
        let found = found.or_else(|| calls.iter().find(|call| line.contains(**call)));
        // The manifest denies them by name.
        if let Some(found) = found.filter(|_| path != "Cargo.toml") {
            findings.push(finding(path, at, format!("{found} is left over")));
        }
    }
    findings
}

/// `lib.rs` holds modules and the map of them, no code.
fn lib_is_a_map(house: &House) -> Findings {
    let path = "src/lib.rs";
    let source = &house.sources[path];
    let mut findings = Vec::new();
    for (at, code) in source.code.lines().enumerate() {
        let code = code.trim();
        let module = code.strip_prefix("pub mod ").and_then(|rest| rest.strip_suffix(';'));
        match module {
            Some(name) if source.raw.contains(&format!("//! | [`{name}`] |")) => {}
            Some(name) => findings.push(finding(path, at + 1, format!("{name} is not on the map"))),
            None if code.is_empty() => {}
            None => findings.push(finding(path, at + 1, "lib.rs has only modules")),
        }
    }
    findings
}

/// A maximum that nothing reads holds nothing.
fn limits_are_used(house: &House) -> Findings {
    let path = "src/limits.rs";
    let limits = &house.sources[path];
    let mut used = BTreeSet::new();
    for (other, source) in &house.sources {
        if other != path && other.starts_with("src/") {
            used.extend(source.words().into_iter().map(|word| word.text));
        }
    }
    let words = limits.words();
    let mut findings = Vec::new();
    for pair in words.windows(2).filter(|pair| pair[0].text == "const") {
        let Word { text: name, line } = &pair[1];
        if name == "_" || used.contains(name) {
            continue;
        }
        // So does a part of the arithmetic of another number, or of an assertion over them.
        let is_part = limits
            .code
            .split("const ")
            .skip(1)
            .filter(|rest| !rest.starts_with(&format!("{name}:")))
            .any(|rest| rest.split(';').next().is_some_and(|it| has_word(it, name)));
        if !is_part {
            findings.push(finding(path, *line, format!("nothing uses {name}")));
        }
    }
    findings
}

fn has_extension(path: &str, extension: &str) -> bool {
    Path::new(path).extension().is_some_and(|found| found == extension)
}

fn has_word(text: &str, word: &str) -> bool {
    text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').any(|it| it == word)
}

/// Links between our documents.
fn links_lead_somewhere(house: &House) -> Findings {
    let mut findings = Vec::new();
    if house.text("README.md").is_empty() {
        findings.push(finding("README.md", 1, "there is no README"));
    }
    let pages = house.texts.iter().filter(|(path, _)| has_extension(path, "md"));
    for (path, text) in pages {
        let folder = Path::new(path).parent().unwrap_or(Path::new(""));
        for (at, line) in text.lines().enumerate() {
            for link in line.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
                let file = link.split('#').next().unwrap_or_default();
                let is_outside = file.contains("://") || file.starts_with("mailto:");
                if file.is_empty() || is_outside {
                    continue;
                }
                if !house.root.join(folder).join(file).exists() {
                    findings.push(finding(path, at + 1, format!("the link {link} leads nowhere")));
                }
            }
        }
    }
    findings
}

fn changelog_has_the_version(house: &House) -> Findings {
    let heading = concat!("## ", env!("CARGO_PKG_VERSION"));
    let has = house.text("CHANGELOG.md").lines().any(|line| line.starts_with(heading));
    if has {
        return Vec::new();
    }
    vec![finding("CHANGELOG.md", 1, format!("no heading {heading}"))]
}

/// Paths of somebody's machine, and hosts of registries, belong to nobody else.
fn nothing_names_a_machine(house: &House) -> Findings {
    let names = [
        concat!("/ro", "ot/"),
        concat!("/ho", "me/"),
        concat!("/wo", "rk/"),
        concat!("/Use", "rs/"),
        concat!("/tm", "p/"),
        concat!("index.cra", "tes.io"),
        concat!("py", "pi.org"),
        concat!("pythonho", "sted"),
    ];
    let mut findings = Vec::new();
    for (path, at, line) in house.lines() {
        if let Some(name) = names.iter().find(|name| line.contains(**name)) {
            findings.push(finding(path, at, format!("{name} is of somebody's machine")));
        }
    }
    findings
}

#[test]
fn the_dependencies_are_read_as_code_spells_them() {
    let manifest = "[package]\nname = \"x\"\n\n[dependencies]\n# why\ntonic-types = \"1\"\n\
                    sled = { version = \"=0.34.7\" }\n\n[dev-dependencies]\nproptest = \"1\"\n";
    let names: Vec<String> = dependencies(manifest).into_iter().collect();
    assert_eq!(names, ["sled", "tonic_types"]);
}
