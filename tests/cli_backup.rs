//! Backup and restore on the command line: beside a busy node, under a kill, of every broken file,
//! and of an old copy under the same key.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

#[path = "common/place.rs"]
mod place;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use place::{ORIGIN, Place, exits, json_of, run, said, start, urbanmine};
use serde_json::{Value as Json, json};
use urbanmine::domain::{EntryCount, Hash32};
use urbanmine::ledger::checkpoint::SignedCheckpoint;
use urbanmine::ledger::hash::{leaf_hash, node_hash, sha256};
use urbanmine::ledger::tree::{NodeSource, consistency_proof, verify_consistency};
use urbanmine::store::read_journal;

const CLAIM: &str = "--no-newer-checkpoint-exists";
/// Backups that are taken under load.
const MAX_BUSY: usize = 6;
/// Files of one backup.
type Members = Vec<(String, Vec<u8>)>;

/// What a backup is restored to, beside what is there.
fn restore_args(place: &Place, from: &str, to: &str, more: &[&str]) -> Vec<String> {
    let key = place.public_key("ledger");
    let guard = format!("{to}.guard");
    let files = [("--from", from), ("--data", to), ("--guard", guard.as_str())];
    let args = ["restore", "--origin", ORIGIN, "--ledger-public-key", &key];
    place.with(&args, &files).iter().chain(more).map(|&arg| arg.to_owned()).collect()
}

fn restored(place: &Place, from: &str, to: &str, more: &[&str]) -> Json {
    let args = restore_args(place, from, to, more);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    json_of(&args, 0)
}

/// A restore that is refused, with what it says, and nothing is left of it.
#[track_caller]
fn refused(place: &Place, from: &str, to: &str, more: &[&str], code: i32) -> String {
    let args = restore_args(place, from, to, more);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let output = run(&args);
    exits(&output, code);
    assert!(!place.path(to).exists(), "it is restored");
    assert!(!place.path(&format!("{to}.restoring")).exists(), "something is left of it");
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}

fn back_up(place: &Place, to: &str) -> Json {
    json_of(&place.with(&["backup"], &[("--data", "data"), ("--to", to)]), 0)
}

fn verify(place: &Place, data: &str) -> u64 {
    let key = place.public_key("ledger");
    let guard = format!("{data}.guard");
    let files = [("--data", data), ("--guard", guard.as_str())];
    let args = ["verify", "--origin", ORIGIN, "--ledger-key", &key];
    json_of(&place.with(&args, &files), 0)["entries"].as_u64().unwrap()
}

/// A script of sites of the coordinator's.
fn script(place: &Place, name: &str, count: usize) {
    let line = |number: usize| {
        json!({
            "event_id": format!("@event/{name}/{number}"),
            "actor_party_id": "@party/coordinator",
            "occurred_at_ms": jiff::Timestamp::now().as_millisecond(),
            "occurred_at_offset_min": 480,
            "register_site": { "site": {
                "site_id": format!("@site/{name}/{number}"), "party_id": "@party/coordinator",
                "name_en": "A yard (fictional)", "region_code": "360702",
            } },
        })
        .to_string()
    };
    let lines: Vec<String> = (0..count).map(line).collect();
    fs::write(place.path(name), lines.join("\n")).unwrap();
}

fn submit_args(place: &Place, script: &str, url: &str, receipts: &str) -> Vec<String> {
    let key = format!("@party/coordinator={}", place.text("coordinator.pem"));
    let files = [("--receipts", receipts), ("--passphrase-file", "passphrase")];
    let args = ["submit", place.text(script), "--server", url, "--key", &key];
    place.with(&args, &files).into_iter().map(str::to_owned).collect()
}

fn submit(place: &Place, script: &str, url: &str, receipts: &str) {
    let args = submit_args(place, script, url, receipts);
    said(&args.iter().map(String::as_str).collect::<Vec<_>>(), 0);
}

fn files_in(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let read = |item: std::io::Result<fs::DirEntry>| {
        let item = item.unwrap();
        (item.file_name().into_string().unwrap(), fs::read(item.path()).unwrap())
    };
    fs::read_dir(dir).unwrap().map(read).collect()
}

fn served(place: &Place, data: &str) -> place::Server {
    let guard = format!("{data}.guard");
    let files = [
        ("--data", data),
        ("--guard", guard.as_str()),
        ("--ledger-key", "ledger.pem"),
        ("--passphrase-file", "passphrase"),
    ];
    let mut command = urbanmine(&place.with(&["serve", "--listen", "127.0.0.1:0"], &files));
    command.env("URBANMINE_LEDGER_LOT_STATE_EVERY_ENTRIES", "0"); // entries are counted
    start(command)
}

#[test]
fn a_backup_beside_a_busy_node_is_restored_and_goes_on() {
    let place = Place::new();
    script(&place, "load", 300);
    let server = place.serve("ledger", &[]);
    let args = submit_args(&place, "load", &server.url, "receipts");
    let mut load = urbanmine(&args.iter().map(String::as_str).collect::<Vec<_>>())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut sizes = Vec::new();
    while load.try_wait().unwrap().is_none() && sizes.len() < MAX_BUSY {
        let done = back_up(&place, &format!("busy-{}.tar", sizes.len()));
        sizes.push(done["checkpoint"]["size"].as_u64().unwrap());
    }
    assert!(load.wait().unwrap().success());
    back_up(&place, "whole.tar");
    server.stop();
    assert!(sizes.is_sorted() && sizes.len() > 1, "{sizes:?}");
    let whole = verify(&place, "data");
    assert!(sizes.iter().any(|size| *size < whole), "no backup came under load: {sizes:?}");

    // Every one is a whole ledger, up to its checkpoint and no further.
    for (number, size) in sizes.iter().enumerate() {
        let to = format!("copy-{number}");
        let told = restored(&place, &format!("busy-{number}.tar"), &to, &[CLAIM]);
        assert_eq!(
            (&told["verdict"], &told["restored"], &told["entries"]),
            (&json!("verified"), &json!(true), &json!(size))
        );
        assert_eq!(verify(&place, &to), *size);
    }
    let mode = fs::metadata(place.path("whole.tar")).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);

    // The newest serves again: the same receipts, and it goes on.
    restored(&place, "whole.tar", "again", &[CLAIM]);
    let server = served(&place, "again");
    submit(&place, "load", &server.url, "receipts-again");
    let receipts = files_in(&place.path("receipts"));
    assert_eq!(receipts.len(), 300);
    assert!(receipts == files_in(&place.path("receipts-again")), "a receipt changed");
    script(&place, "more", 3);
    submit(&place, "more", &server.url, "receipts-more");
    server.stop();
    assert_eq!(verify(&place, "again"), whole + 3);
}

#[test]
fn a_backup_never_replaces_a_file_and_is_asked_of_a_ledger() {
    let place = Place::new();
    fs::write(place.path("taken"), "mine").unwrap();
    for to in ["taken", "data"] {
        let output = run(&place.with(&["backup"], &[("--data", "data"), ("--to", to)]));
        exits(&output, 1);
        assert!(String::from_utf8(output.stderr).unwrap().contains("never replaces a file"));
    }
    assert_eq!(fs::read(place.path("taken")).unwrap(), b"mine");
    let files = [("--data", "data"), ("--to", "b.tar"), ("--guard", "nowhere")];
    let output = run(&place.with(&["backup"], &files));
    exits(&output, 1);
    assert!(String::from_utf8(output.stderr).unwrap().contains("no head guard"));
    // The guard of another ledger's is told, and so is a damaged journal; nothing is left.
    let segment = place.path("data/journal/00000000000000000000.umj");
    let sound = fs::read(&segment).unwrap();
    let mut bent = sound.clone();
    bent[500] ^= 1;
    fs::write(&segment, bent).unwrap();
    let output = run(&place.with(&["backup"], &[("--data", "data"), ("--to", "b.tar")]));
    exits(&output, 1);
    assert!(String::from_utf8(output.stderr).unwrap().contains("damaged"));
    let left: Vec<String> = files_in_names(place.folder.path());
    assert!(left.iter().all(|name| !name.starts_with("b.tar")), "{left:?}");
}

fn files_in_names(dir: &Path) -> Vec<String> {
    let name = |item: std::io::Result<fs::DirEntry>| item.unwrap().file_name();
    fs::read_dir(dir).unwrap().map(|item| name(item).into_string().unwrap()).collect()
}

#[test]
fn a_backup_that_is_killed_has_no_name() {
    let place = Place::new();
    place.append_site("ledger", "before", "receipts");
    // A journal that stops in the middle of a frame: a pipe that somebody holds open.
    let segment = place.path("data/journal/00000000000000000000.umj");
    let whole = fs::read(&segment).unwrap();
    fs::rename(&segment, place.path("kept")).unwrap();
    assert!(Command::new("mkfifo").arg(&segment).status().unwrap().success());
    let args = place.with(&["backup"], &[("--data", "data"), ("--to", "b.tar")]);
    let mut child = urbanmine(&args).spawn().unwrap();
    let mut pipe = fs::OpenOptions::new().write(true).open(&segment).unwrap();
    pipe.write_all(&whole[..700]).unwrap();
    let part = place.path("b.tar.part");
    for _ in 0..500 {
        if part.exists() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(part.exists() && child.try_wait().unwrap().is_none(), "it is not under way");
    // A second one of the same name is refused, not waited for.
    let second = run(&args);
    exits(&second, 1);
    assert!(String::from_utf8(second.stderr).unwrap().contains("another backup"));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!place.path("b.tar").exists(), "a backup that was killed has its name");
    assert!(part.exists(), "what was begun has another name");
    drop(pipe);

    fs::remove_file(&segment).unwrap();
    fs::rename(place.path("kept"), &segment).unwrap();
    // What it left is no backup, and is in nobody's way.
    refused(&place, "b.tar.part", "copy", &[CLAIM], 2);
    back_up(&place, "b.tar");
    assert!(!part.exists() && !place.path("b.tar.part-manifest").exists());
    restored(&place, "b.tar", "copy", &[CLAIM]);
}

#[test]
fn what_lies_beside_the_ledger_comes_along_or_stays_out() {
    let place = Place::new();
    let (event, commitment) = ("01975898-0000-7000-8000-0000000000c1", "ab".repeat(32));
    let (draft, opening) = (event.to_owned(), format!("{event}-{commitment}"));
    for (dir, name) in [("drafts", &draft), ("openings", &opening)] {
        fs::create_dir_all(place.path("data").join(dir)).unwrap();
        fs::write(place.path("data").join(dir).join(name), format!("{dir} content")).unwrap();
        // What a crash left half written, what was wiped, and what is not a file, stay out.
        let dir = place.path("data").join(dir);
        fs::write(dir.join("02.next"), "half a secret").unwrap();
        fs::write(dir.join("03-04"), [0; 9]).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", dir.join("05-06")).unwrap();
    }
    let told = back_up(&place, "all.tar");
    assert_eq!((&told["drafts"], &told["openings"]), (&json!(1), &json!(1)));
    let files = [("--data", "data"), ("--to", "few.tar")];
    let told = json_of(&place.with(&["backup", "--without-openings"], &files), 0);
    assert_eq!((&told["drafts"], &told["openings"]), (&json!(1), &json!(0)));

    let at = |to: &str, dir: &str, name: &str| place.path(to).join(dir).join(name);
    restored(&place, "all.tar", "all", &[CLAIM]);
    for (dir, name) in [("drafts", &draft), ("openings", &opening)] {
        assert_eq!(files_in_names(&place.path("all").join(dir)), std::slice::from_ref(name));
        assert_eq!(fs::read(at("all", dir, name)).unwrap(), format!("{dir} content").as_bytes());
        let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(at("all", dir, name)), mode(at("all", dir, "."))), (0o600, 0o700));
    }
    restored(&place, "all.tar", "without", &[CLAIM, "--without-openings"]);
    restored(&place, "few.tar", "few", &[CLAIM]);
    for to in ["without", "few"] {
        assert!(at(to, "drafts", &draft).exists() && !place.path(to).join("openings").exists());
    }
    // An operator looks inside, and checks it, with tools that every system has.
    let unpacked = place.path("unpacked");
    fs::create_dir(&unpacked).unwrap();
    let tar = |args: &[&str]| {
        let output = Command::new("tar").args(args).current_dir(&unpacked).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let names = tar(&["tf", place.text("all.tar")]);
    let expected = format!(
        "FORMAT\ncheckpoint\njournal/00000000000000000000.umj\ndrafts/{draft}\n\
         openings/{event}/{commitment}\nMANIFEST\n"
    );
    assert_eq!(names, expected);
    tar(&["xf", place.text("all.tar")]);
    let mut check = Command::new("sha256sum");
    let checked = check.args(["--check", "--strict", "MANIFEST"]).current_dir(&unpacked).output();
    let checked = checked.unwrap();
    assert!(checked.status.success(), "{checked:?}");
    assert_eq!(String::from_utf8(checked.stdout).unwrap().lines().count(), 5);
}

// --- broken backups
// ---------------------------------------------------------------------------------

/// The members of a container, by a reading of our own: name, where its content begins, its bytes.
fn members_at(container: &[u8]) -> Vec<(String, usize, usize)> {
    let mut found = Vec::new();
    let mut at = 0;
    while container[at] != 0 {
        let text = |from: usize, len: usize| {
            let raw = &container[at + from..at + from + len];
            let end = raw.iter().position(|byte| *byte == 0).unwrap_or(len);
            String::from_utf8(raw[..end].to_vec()).unwrap()
        };
        let (name, prefix) = (text(0, 100), text(345, 155));
        let name = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
        let size = usize::from_str_radix(text(124, 12).trim(), 8).unwrap();
        found.push((name, at + 512, size));
        at += 512 + size.next_multiple_of(512);
    }
    found
}

fn members_of(container: &[u8]) -> Members {
    let of = |(name, at, size): (String, usize, usize)| (name, container[at..at + size].to_vec());
    let all = members_at(container).into_iter().map(of);
    all.filter(|(name, _)| name != "MANIFEST").collect()
}

fn header(name: &str, kind: tar::EntryType, size: u64) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o600);
    // Names that the library would refuse to write.
    let raw = header.as_mut_bytes();
    raw[..name.len()].copy_from_slice(name.as_bytes());
    header.set_cksum();
    header
}

/// A manifest that fits, whatever the members are: anybody can write one.
fn manifest_of(members: &Members) -> Vec<u8> {
    let mut text = "# urbanmine backup 1\n".to_owned();
    let mut bytes = 0;
    for (name, content) in members {
        let (len, hash) = (content.len(), sha256(content));
        text.push_str(&["# ", &len.to_string(), " bytes\n"].concat());
        text.push_str(&[&hash.to_string(), "  ", name, "\n"].concat());
        bytes += content.len();
    }
    let (count, bytes) = (members.len().to_string(), bytes.to_string());
    text.push_str(&["# ", &count, " members, ", &bytes, " bytes\n"].concat());
    text.into_bytes()
}

struct Forged(tar::Builder<Vec<u8>>);

impl Forged {
    fn new() -> Self {
        Self(tar::Builder::new(Vec::new()))
    }

    fn put(mut self, name: &str, content: &[u8]) -> Self {
        let header = header(name, tar::EntryType::Regular, content.len() as u64);
        self.0.append(&header, content).unwrap();
        self
    }

    fn odd(mut self, name: &str, kind: tar::EntryType, size: u64) -> Self {
        self.0.append(&header(name, kind, size), &b""[..]).unwrap();
        self
    }

    fn all(self, members: &Members) -> Self {
        members.iter().fold(self, |forged, (name, content)| forged.put(name, content))
    }

    fn bytes(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }

    /// All of them, and a manifest that fits.
    fn of(members: &Members) -> Vec<u8> {
        Self::new().all(members).put("MANIFEST", &manifest_of(members)).bytes()
    }
}

/// A place with a backup that has a draft, its bytes, and its members.
fn backed_up() -> (Place, Vec<u8>, Members) {
    let place = Place::new();
    place.append_site("ledger", "before", "receipts");
    fs::create_dir_all(place.path("data/drafts")).unwrap();
    fs::write(place.path("data/drafts/01"), "a draft").unwrap();
    back_up(&place, "sound.tar");
    let sound = fs::read(place.path("sound.tar")).unwrap();
    let members = members_of(&sound);
    assert_eq!(members.len(), 4);
    (place, sound, members)
}

#[track_caller]
fn is_refused(place: &Place, container: &[u8], code: i32, reason: &str) {
    fs::write(place.path("broken.tar"), container).unwrap();
    let told = refused(place, "broken.tar", "copy", &[CLAIM], code);
    assert!(told.contains(reason), "{reason:?} is not in {told:?}");
    assert!(!place.path("copy.guard").exists(), "a guard was made");
}

#[test]
fn a_backup_that_was_cut_or_bent_is_refused() {
    let (place, sound, members) = backed_up();
    // Cut at every beginning and end of a member, and in between.
    let mut cuts: Vec<usize> = vec![0, 1, 511, 512, sound.len() - 1, sound.len() - 512];
    for (_, at, size) in members_at(&sound) {
        let end = at + size.next_multiple_of(512);
        cuts.extend([at - 512, at - 256, at, at + size / 2, end - 512, end]);
    }
    cuts.extend((1..16).map(|part| sound.len() * part / 16));
    for cut in cuts.into_iter().filter(|cut| *cut < sound.len()) {
        is_refused(&place, &sound[..cut], 2, "the backup was cut short");
        // Also where somebody made it end like a container.
        let whole = sound[..cut / 512 * 512].iter().copied().chain([0; 1024]).collect::<Vec<_>>();
        if whole.len() < sound.len() {
            is_refused(&place, &whole, 2, "the backup was cut short");
        }
    }
    // A byte of each member, of each header.
    for (name, at, size) in members_at(&sound) {
        for place_in in [0, size / 2, size - 1] {
            let mut bent = sound.clone();
            bent[at + place_in] ^= 1;
            is_refused(&place, &bent, 2, "the manifest, line");
        }
        let mut bent = sound.clone();
        bent[at - 512] ^= 1;
        is_refused(&place, &bent, 2, "checksum mismatch");
        assert!(!name.is_empty());
    }
    // A member that is missing, or comes twice, or in another place.
    for (position, (name, _)) in members.iter().enumerate() {
        let mut fewer = members.clone();
        fewer.remove(position);
        let whole = manifest_of(&members);
        let without = Forged::new().all(&fewer).put("MANIFEST", &whole).bytes();
        let reason =
            if name.starts_with("drafts") { "the manifest, line" } else { "not come after" };
        is_refused(&place, &without, 2, reason);
        let mut more = members.clone();
        more.insert(position, members[position].clone());
        let reason = if name.starts_with("drafts") { "twice" } else { "does not come after" };
        is_refused(&place, &Forged::of(&more), 2, reason);
    }
    let after = Forged::new().all(&members).put("MANIFEST", &manifest_of(&members));
    is_refused(&place, &after.put("drafts/02", b"x").bytes(), 2, "does not come after");
    is_refused(&place, &[&sound[..], &[0; 512]].concat(), 2, "follow the manifest");
    is_refused(&place, &[&sound[..], &[1; 512]].concat(), 2, "cut short");
    fs::write(place.path("broken.tar"), &sound).unwrap();
    restored(&place, "broken.tar", "copy", &[CLAIM]);
}

#[test]
fn a_container_never_leads_out_of_its_place() {
    let (place, _, members) = backed_up();
    let long = format!("drafts/{}", "a".repeat(93));
    for name in [
        "../evil",
        "/etc/evil",
        "drafts/../../evil",
        "drafts/..",
        "./drafts/02",
        "drafts/02/",
        "openings/../evil/02",
        "sled/db",
        "LOCK",
        "journal/../FORMAT",
        "journal/1.umj",
        "drafts/A",
        "drafts//02",
        "DRAFTS/02",
    ] {
        let forged = Forged::new().all(&members).put(name, b"x").bytes();
        is_refused(&place, &forged, 2, "no member of a backup has this name");
    }
    for kind in [
        tar::EntryType::Symlink,
        tar::EntryType::Link,
        tar::EntryType::Directory,
        tar::EntryType::Char,
        tar::EntryType::Block,
        tar::EntryType::Fifo,
        tar::EntryType::GNUSparse,
        tar::EntryType::GNULongName,
        tar::EntryType::XHeader,
        tar::EntryType::XGlobalHeader,
        tar::EntryType::Continuous,
    ] {
        let forged = Forged::new().all(&members).odd("drafts/02", kind, 0).bytes();
        is_refused(&place, &forged, 2, "a backup has regular files only");
    }
    // Sizes beyond the container, and beyond what such a file has.
    let regular = tar::EntryType::Regular;
    for (size, reason) in [
        (1_000_000, "announces 1000000 bytes"),
        (u64::MAX >> 1, "announces 9223372036854775807 bytes"),
        (u64::MAX, "size overflow"),
    ] {
        let forged = Forged::new().all(&members).odd("drafts/02", regular, size).bytes();
        is_refused(&place, &forged, 2, reason);
    }
    let forged = Forged::new().all(&members).put("drafts/02", &vec![7; 70_000]).bytes();
    is_refused(&place, &forged, 2, "it has at most 65536 bytes, not 70000");
    let forged = Forged::new().put("FORMAT", &[b'x'; 2_000]).bytes();
    is_refused(&place, &forged, 2, "it has at most 1024 bytes");
    let forged = Forged::new().all(&members).put(&long, b"x").bytes();
    is_refused(&place, &forged, 2, "without its manifest");
    assert!(!place.folder.path().parent().unwrap().join("evil").exists());
}

/// With a manifest that fits: what is wrong is found by what the bytes mean.
#[test]
fn a_backup_that_lies_is_refused() {
    let (place, _, members) = backed_up();
    let with = |name: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let mut members = members.clone();
        let member = members.iter_mut().find(|it| it.0.starts_with(name)).unwrap();
        change(&mut member.1);
        Forged::of(&members)
    };
    // The journal: bent, cut at a frame and within one, and with more behind it.
    is_refused(&place, &with("journal", &|it| it[600] ^= 1), 2, "damaged");
    is_refused(&place, &with("journal", &|it| it.truncate(it.len() - 1)), 2, "unfinished write");
    is_refused(&place, &with("journal", &|it| it.extend([7; 40])), 2, "unfinished write");
    is_refused(&place, &with("journal", &|it| it.truncate(54)), 2, "does not fit together");
    // The checkpoint: not one, of more entries, of another root, with another's signature.
    is_refused(&place, &with("checkpoint", &|it| it.truncate(20)), 2, "does not fit together");
    let text = String::from_utf8(members[1].1.clone()).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines[1] = (lines[1].parse::<u64>().unwrap() + 1).to_string();
    let longer = format!("{}\n", lines.join("\n")).into_bytes();
    is_refused(&place, &with("checkpoint", &|it| it.clone_from(&longer)), 2, "does not fit");
    let end = text.trim_end().len();
    let resigned = |it: &mut Vec<u8>| it[end - 8] = if it[end - 8] == b'A' { b'B' } else { b'A' };
    is_refused(&place, &with("checkpoint", &resigned), 1, "checkpoint-unsigned");
    // The store's name: of another origin, of another key.
    let renamed = |from: &str, to: &str| {
        let (from, to) = (from.to_owned(), to.to_owned());
        with("FORMAT", &move |it: &mut Vec<u8>| {
            *it = String::from_utf8(it.clone()).unwrap().replace(&from, &to).into_bytes();
        })
    };
    is_refused(&place, &renamed("operations", "operation5"), 2, "does not fit together");
    let key = place.public_key("ledger");
    is_refused(&place, &renamed(&key, &"11".repeat(32)), 2, "belongs to another ledger");
    is_refused(&place, &renamed("urbanmine store 1", "urbanmine store 2"), 2, "version 1");

    // The same, and every segment with it: its genesis says another key.
    let renamed_all = {
        let mut members = members.clone();
        let other = "11".repeat(32);
        let text = String::from_utf8(members[0].1.clone()).unwrap().replace(&key, &other);
        members[0].1 = text.into_bytes();
        let name = [ORIGIN.as_bytes(), b"\n", &[0x11; 32]].concat();
        let segment = &mut members[2].1;
        segment[10..42].copy_from_slice(&sha256(&name).0);
        let sum = crc32c::crc32c(&segment[..50]).to_be_bytes();
        segment[50..54].copy_from_slice(&sum);
        Forged::of(&members)
    };
    is_refused(&place, &renamed_all, 2, "names another ledger than its genesis");

    // Another's ledger, whole and true, under these pins; and nobody's pins.
    let other = Place::new();
    back_up(&other, "other.tar");
    let foreign = fs::read(other.path("other.tar")).unwrap();
    is_refused(&place, &foreign, 1, "ledger-key-mismatch");
    fs::write(place.path("foreign.tar"), &foreign).unwrap();
    let files = [("--from", "foreign.tar"), ("--data", "copy")];
    let told = json_of(&place.with(&["restore", CLAIM], &files), 3);
    assert_eq!(told["findings"][0]["kind"], "pins-missing");
    assert!(place.path("copy.guard/guard").exists(), "the usual place");
}

// --- the same key, twice
// ----------------------------------------------------------------------------

/// All leaves of a journal, as a source of nodes.
struct Leaves(Vec<Hash32>);

impl Leaves {
    fn of(data: &Path) -> Self {
        let groups = read_journal(data).unwrap().map(Result::unwrap);
        Self(groups.flat_map(|it| it.entries).map(|entry| leaf_hash(&entry)).collect())
    }

    fn root(&self, size: usize) -> Hash32 {
        fn root_of(leaves: &[Hash32]) -> Hash32 {
            if leaves.len() == 1 {
                return leaves[0];
            }
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            node_hash(&root_of(left), &root_of(right))
        }
        root_of(&self.0[..size])
    }
}

impl NodeSource for Leaves {
    type Fault = std::convert::Infallible;

    fn node(&self, level: u8, index: u64) -> Result<Hash32, Self::Fault> {
        let (from, count) = (usize::try_from(index << level).unwrap(), 1 << level);
        Ok(Self(self.0[from..from + count].to_vec()).root(count))
    }
}

fn remembered(place: &Place, data: &str) -> (u64, Hash32) {
    let text = fs::read(place.path(&format!("{data}.guard/guard"))).unwrap();
    let (said, _) = SignedCheckpoint::parse(&text).unwrap();
    (said.size.0, said.root)
}

#[test]
fn an_old_backup_under_the_same_key_is_refused_or_noticed() {
    let place = Place::new();
    place.append_site("ledger", "first", "receipts");
    back_up(&place, "old.tar");
    let (old, _) = remembered(&place, "data");
    place.append_site("ledger", "second", "receipts");
    let (newest, newest_root) = remembered(&place, "data");
    assert!(newest > old);
    fs::rename(place.path("data"), place.path("lost")).unwrap();

    // The guard is there: refused, with numbers, whatever anybody claims; and it stays as it is.
    for more in [&[][..], &[CLAIM]] {
        let told = refused(&place, "old.tar", "data", more, 2);
        let numbers = format!("has seen {newest} entries and the backup holds {old}");
        assert!(told.contains(&numbers), "{told}");
    }
    assert_eq!(remembered(&place, "data"), (newest, newest_root));
    // The guard is gone: only with the claim.
    fs::rename(place.path("data.guard"), place.path("lost.guard")).unwrap();
    let told = refused(&place, "old.tar", "data", &[], 2);
    assert!(told.contains(CLAIM), "{told}");
    assert!(!place.path("data.guard").exists());
    restored(&place, "old.tar", "data", &[CLAIM]);
    assert_eq!(remembered(&place, "data").0, old);

    // The claim was false. The node goes on and signs a second history, each lawful by itself.
    place.append_site("ledger", "another", "receipts-fork");
    place.append_site("ledger", "and-more", "receipts-fork");
    let (forked, forked_root) = remembered(&place, "data");
    assert!(forked > newest);
    assert_eq!((verify(&place, "data"), verify(&place, "lost")), (forked, newest));
    // Whoever remembers the newer checkpoint is given no proof that this one continues it.
    let (leaves, lost) = (Leaves::of(&place.path("data")), Leaves::of(&place.path("lost")));
    assert_eq!(leaves.root(usize::try_from(forked).unwrap()), forked_root);
    let (size, end) = (EntryCount(newest), EntryCount(forked));
    let proof = consistency_proof(size, end, &leaves).unwrap();
    assert!(verify_consistency(size, &newest_root, end, &forked_root, &proof).is_err());
    // It does continue what it was restored from, as the lost one does.
    let before = EntryCount(old);
    let root = lost.root(usize::try_from(old).unwrap());
    let proof = consistency_proof(before, end, &leaves).unwrap();
    verify_consistency(before, &root, end, &forked_root, &proof).unwrap();
    let proof = consistency_proof(before, size, &lost).unwrap();
    verify_consistency(before, &root, size, &newest_root, &proof).unwrap();
    // Under the guard of the first history the second does not start, nor is it restored.
    let files = [
        ("--data", "data"),
        ("--guard", "lost.guard"),
        ("--ledger-key", "ledger.pem"),
        ("--passphrase-file", "passphrase"),
    ];
    let output = run(&place.with(&["serve", "--listen", "127.0.0.1:0"], &files));
    exits(&output, 1);
    back_up(&place, "fork.tar");
    fs::rename(place.path("lost.guard"), place.path("copy.guard")).unwrap();
    let told = refused(&place, "fork.tar", "copy", &[CLAIM], 2);
    assert!(told.contains("is not this backup's: it has root"), "{told}");
}

#[test]
fn a_restore_takes_nothing_over() {
    let place = Place::new();
    back_up(&place, "b.tar");
    let args = restore_args(&place, "b.tar", "data", &[]);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let before = remembered(&place, "data");
    let output = run(&args);
    exits(&output, 2);
    assert!(String::from_utf8(output.stderr).unwrap().contains("takes nothing over"));
    // Beside a running node, under its guard, neither.
    let server = place.serve("ledger", &[]);
    let files = [("--from", "b.tar"), ("--data", "copy"), ("--guard", "data.guard")];
    let output = run(&place.with(&["restore"], &files));
    exits(&output, 2);
    assert!(String::from_utf8(output.stderr).unwrap().contains("in use by another instance"));
    server.stop();
    // The newest backup, under the guard that is there, with a data directory that is lost: no
    // claim is needed. An empty directory is as good as none.
    fs::remove_dir_all(place.path("data")).unwrap();
    fs::create_dir(place.path("data")).unwrap();
    restored(&place, "b.tar", "data", &[]);
    assert_eq!(remembered(&place, "data"), before);
    place.append_site("ledger", "after", "receipts");
    verify(&place, "data");
    // A guard that is behind the backup is moved to it.
    back_up(&place, "newer.tar");
    fs::rename(place.path("data"), place.path("lost")).unwrap();
    let newest = remembered(&place, "data");
    let text = members_of(&fs::read(place.path("b.tar")).unwrap())[1].1.clone();
    fs::write(place.path("data.guard/guard"), text).unwrap();
    restored(&place, "newer.tar", "data", &[]);
    assert_eq!(remembered(&place, "data"), newest);
}
