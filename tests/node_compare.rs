//! Database and journal of a stopped node, held against each other: what was changed behind the
//! node's back is found, whatever row it is, and an untouched database is never suspected.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

mod common {
    pub mod node_kit;
    pub mod rows;
}
#[path = "common/place.rs"]
mod place;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use common::node_kit::{Kit, signed};
use common::rows::{Rows, with_rows};
use place::{Place, exits, run};
use urbanmine::domain::{EntryCount, EntryIndex};
use urbanmine::limits::IDLE_SYNC_MS;
use urbanmine::node::{DatabaseCheck, Node, NodeConfig, NodeFault};
use urbanmine::store::faults::FaultPoint;
use urbanmine::store::{Difference, DifferenceKind, StoreFault};

/// The sample's ledger, stopped: every kind of event, corrections among them.
fn sample() -> &'static Place {
    static SAMPLE: OnceLock<Place> = OnceLock::new();
    SAMPLE.get_or_init(|| {
        let place = Place { folder: tempfile::tempdir().unwrap() };
        exits(&run(&["demo", "--exit", "--json", "--dir", place.text("demo")]), 0);
        place
    })
}

/// A copy of it, to do things to.
struct Copy {
    folder: tempfile::TempDir,
}

impl Copy {
    fn new() -> Self {
        let copy = Self { folder: tempfile::tempdir().unwrap() };
        copy_directory(&sample().path("demo/data"), &copy.data());
        copy_directory(&sample().path("demo/data.guard"), &copy.guard());
        fs::create_dir(copy.scratch()).unwrap();
        copy
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn guard(&self) -> PathBuf {
        self.folder.path().join("guard")
    }

    fn scratch(&self) -> PathBuf {
        self.folder.path().join("scratch")
    }

    fn with_rows<T>(&self, change: impl FnOnce(&mut Rows) -> T) -> T {
        with_rows(&self.data().join("sled"), change)
    }

    fn with_sled(&self, change: impl FnOnce(&sled::Db)) {
        let db = sled::Config::new().path(self.data().join("sled")).open().unwrap();
        change(&db);
        db.flush().unwrap();
    }

    fn try_compare(&self) -> Result<DatabaseCheck, NodeFault> {
        let config = NodeConfig::new(self.data(), self.guard());
        let before = content_of(&self.data());
        let checked = Node::compare_database(&config, &self.scratch(), &mut |_| {});
        assert!(before == content_of(&self.data()), "the data directory was changed");
        let left = fs::read_dir(self.scratch()).unwrap().count();
        assert_eq!(left, 0, "something is left of the comparison");
        checked
    }

    fn compare(&self) -> DatabaseCheck {
        self.try_compare().unwrap()
    }

    #[track_caller]
    fn differs(&self) -> (u64, Difference) {
        match self.compare() {
            DatabaseCheck::Differs { differing, first, .. } => (differing, first),
            other => panic!("{other:?}"),
        }
    }
}

fn copy_directory(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for item in fs::read_dir(from).unwrap() {
        let path = item.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_directory(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// Every file under a directory, with its bytes.
fn content_of(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for item in fs::read_dir(dir).unwrap() {
        let path = item.unwrap().path();
        if path.is_dir() {
            found.extend(content_of(&path));
        } else {
            found.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    found
}

type Tables = BTreeMap<u8, Vec<(Vec<u8>, Vec<u8>)>>;

/// Rows by their first byte.
fn tables(rows: &Rows) -> Tables {
    let mut tables = Tables::new();
    for (key, value) in rows {
        tables.entry(key[0]).or_default().push((key.clone(), value.clone()));
    }
    tables
}

/// Meta and head say what the database is; they have rows of their own below.
fn is_named(tag: u8) -> bool {
    tag <= 0x02
}

#[test]
fn an_untouched_database_is_the_journals() {
    let copy = Copy::new();
    let count: usize = copy.with_rows(|rows| rows.len());
    let DatabaseCheck::Same { entries, journaled, rows } = copy.compare() else {
        panic!("{:?}", copy.compare());
    };
    assert_eq!((entries, rows), (journaled, count as u64));
    assert!(entries.0 > 500, "the sample has {entries} entries");
    // A copy without a lock file is as good.
    fs::remove_file(copy.data().join("LOCK")).unwrap();
    assert!(matches!(copy.compare(), DatabaseCheck::Same { .. }));
    // Made anew from the journal by a start it is the same again.
    let key = sample().path("demo/keys/ledger.pem");
    fs::write(copy.folder.path().join("passphrase"), "urbanmine demo\n").unwrap();
    let text = |path: PathBuf| path.to_str().unwrap().to_owned();
    let (data, guard, key) = (text(copy.data()), text(copy.guard()), text(key));
    let passphrase = text(copy.folder.path().join("passphrase"));
    let args = ["rebuild", "--data", &data, "--guard", &guard, "--ledger-key", &key];
    exits(&run(&[&args[..], &["--passphrase-file", &passphrase]].concat()), 0);
    assert!(matches!(copy.compare(), DatabaseCheck::Same { .. }));
}

#[test]
fn a_row_of_any_table_that_was_changed_is_found() {
    let copy = Copy::new();
    let (changed, tags) = copy.with_rows(|db| {
        let rows = tables(db);
        let mut changed = 0_u64;
        for (tag, rows) in rows.iter().filter(|(tag, _)| !is_named(**tag)) {
            // One in the middle; where values are empty, a value that should be.
            let (key, mut value) = rows[rows.len() / 2].clone();
            match value.last_mut() {
                Some(last) => *last ^= 1,
                None => value.push(*tag),
            }
            db.insert(key, value);
            changed += 1;
        }
        (changed, rows.len())
    });
    assert!(tags > 25, "the sample fills {tags} tables");
    let (differing, first) = copy.differs();
    assert_eq!(differing, changed, "{first}");
    assert!(matches!(first.kind, DifferenceKind::Changed { .. }), "{first}");
}

#[test]
fn a_row_of_any_table_that_was_removed_is_found() {
    let copy = Copy::new();
    let removed = copy.with_rows(|db| {
        let rows = tables(db);
        // The first of each: the last checkpoint may be missing.
        let firsts = rows.iter().filter(|(tag, _)| !is_named(**tag)).map(|(_, rows)| &rows[0].0);
        firsts.map(|key| assert!(db.remove(key).is_some())).count() as u64
    });
    let (differing, first) = copy.differs();
    assert_eq!(differing, removed, "{first}");
    assert_eq!(first.kind, DifferenceKind::Missing, "{first}");
}

#[test]
fn a_row_of_any_table_that_was_added_is_found() {
    let copy = Copy::new();
    let added = copy.with_rows(|db| {
        let mut added = 0_u64;
        for (tag, rows) in tables(db) {
            let (mut key, value) = rows[0].clone();
            match key.get_mut(1) {
                // Far from what the table has: another id, an index out of reach.
                Some(byte) => *byte ^= 0x80,
                // The one row of its table has no neighbour: a key that no table has.
                None => key.push(0),
            }
            if db.insert(key, value).is_none() {
                added += 1;
            } else {
                panic!("table {tag:02x} has such a row");
            }
        }
        added
    });
    let (differing, first) = copy.differs();
    assert_eq!(differing, added, "{first}");
    assert_eq!(first.kind, DifferenceKind::Added, "{first}");
}

type Bend<'a> = Box<dyn Fn(&mut Rows, &Tables) + 'a>;
type Change<'a> = (&'a str, u8, Option<EntryIndex>, bool, Bend<'a>);

/// Bends a byte of a value: which row of its table, which byte.
fn bend<'a>(tag: u8, row: fn(usize) -> usize, at: usize) -> Bend<'a> {
    Box::new(move |db, rows| {
        let (key, mut value) = rows[&tag][row(rows[&tag].len())].clone();
        value[at] ^= 1;
        db.insert(key, value);
    })
}

#[test]
fn the_first_difference_is_told_in_words_with_its_entry() {
    let copy = Copy::new();
    let kept = copy.folder.path().join("kept");
    copy_directory(&copy.data(), &kept);
    let rows = copy.with_rows(|rows| tables(rows));
    let last = |len: usize| len - 1;
    let first = |_: usize| 0;
    // A group of several entries: three numbers of eight bytes, then two for each length.
    let several = rows[&0x10].iter().position(|(_, value)| value.len() > 24 + 2);
    let (_, value) = &rows[&0x10][several.unwrap()];
    let begins = u64::from_be_bytes(value[..8].try_into().unwrap());
    let second = Box::new(move |db: &mut Rows, rows: &Tables| {
        let (key, mut value) = rows[&0x10][several.unwrap()].clone();
        value[24 + 2] ^= 1;
        db.insert(key, value);
    });
    // The last entry of a lot's life, with which its row ends.
    let (_, lot) = &rows[&0x24][0];
    let of_lot = u64::from_be_bytes(*lot.last_chunk().unwrap());
    let (party, version) = rows[&0x37].first().cloned().unwrap();
    let of_party = u64::from_be_bytes(version_index(&party));
    assert!(!version.is_empty());
    let size = u64::from_be_bytes(rows[&0x12][0].0[1..].try_into().unwrap());
    let index = |it: u64| Some(EntryIndex(it));
    let table: Vec<Change<'_>> = vec![
        ("places of entries: the group", 0x10, index(begins + 1), false, second),
        ("hashes of the tree: row 0 of tree level 0", 0x11, index(1), false, bend(0x11, first, 33)),
        ("checkpoints: at", 0x12, index(size - 1), false, bend(0x12, first, 9)),
        ("lots: lot", 0x24, index(of_lot), true, bend(0x24, first, 20)),
        ("parties as they stood: party", 0x37, index(of_party), false, bend(0x37, first, 30)),
        ("the ledger's own state", 0x03, None, false, bend(0x03, last, 5)),
        ("how far the database goes", 0x02, None, false, bend(0x02, last, 20)),
    ];
    for (words, tag, entry, has_lot, change) in table {
        fs::remove_dir_all(copy.data()).unwrap();
        copy_directory(&kept, &copy.data());
        copy.with_rows(|db| change(db, &rows));
        let (differing, first) = copy.differs();
        assert_eq!(differing, 1, "{tag:02x}: {first}");
        assert!(first.to_string().starts_with(words), "{words}: {first}");
        assert_eq!((first.entry, first.lot.is_some()), (entry, has_lot), "{first}");
    }
}

fn version_index(key: &[u8]) -> [u8; 8] {
    key[17..25].try_into().unwrap()
}

#[test]
fn a_database_that_is_behind_is_the_journals_as_far_as_it_goes() {
    let copy = Copy::new();
    let kept = copy.folder.path().join("kept");
    copy_directory(&copy.data(), &kept);
    // The checkpoint over the last group is written again by the next start.
    let head = copy.with_rows(|db| {
        let (key, _) = tables(db)[&0x12].last().unwrap().clone();
        db.remove(&key).unwrap();
        u64::from_be_bytes(key[1..].try_into().unwrap())
    });
    let checked = copy.compare();
    assert!(matches!(checked, DatabaseCheck::Same { entries, .. } if entries.0 == head));
    // An older database under the same journal: only what it says that it has is asked of it.
    fs::remove_dir_all(copy.data().join("sled")).unwrap();
    let checked = copy.compare();
    assert!(
        matches!(&checked, DatabaseCheck::NotPerformed { why } if why.contains("no database yet")),
        "{checked:?}"
    );
    drop(sled::Config::new().path(copy.data().join("sled")).open().unwrap());
    match copy.compare() {
        DatabaseCheck::Same { entries, journaled, rows } => {
            assert_eq!((entries, journaled, rows), (EntryCount(0), EntryCount(head), 1));
        }
        other => panic!("{other:?}"),
    }
    // A journal that lost its end, under the database of before: every row of more is one too many.
    fs::remove_dir_all(copy.data()).unwrap();
    copy_directory(&kept, &copy.data());
    let segment = copy.data().join("journal/00000000000000000000.umj");
    let bytes = fs::read(&segment).unwrap();
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap();
    fs::write(&segment, &bytes[..used - 10]).unwrap();
    let (differing, first) = copy.differs();
    assert!(differing > 1, "{first}");
    assert!(first.table == "how far the database goes", "{first}");
}

#[test]
fn what_cannot_be_compared_is_said() {
    let copy = Copy::new();
    // Somebody has the lock.
    let lock = fs::File::open(copy.data().join("LOCK")).unwrap();
    lock.lock().unwrap();
    let checked = copy.compare();
    let DatabaseCheck::NotPerformed { why } = checked else { panic!("{checked:?}") };
    assert!(why.contains("the node runs"), "{why}");
    drop(lock);
    // A tree that is not ours.
    let kept = copy.folder.path().join("kept");
    copy_directory(&copy.data(), &kept);
    copy.with_sled(|db| drop(db.open_tree("another").unwrap().insert("k", "v").unwrap()));
    let checked = copy.compare();
    let DatabaseCheck::Unreadable { why } = checked else { panic!("{checked:?}") };
    assert!(why.contains("another"), "{why}");
    // Rows that nothing reads: of no kind, and of a kind that lies in runs.
    for strange in [[0xf4, 1, 2], [0x24, 1, 2]] {
        fs::remove_dir_all(copy.data()).unwrap();
        copy_directory(&kept, &copy.data());
        copy.with_sled(|db| drop(db.insert(strange, &[]).unwrap()));
        let checked = copy.compare();
        let DatabaseCheck::Unreadable { why } = checked else { panic!("{checked:?}") };
        assert!(why.contains("no row of ours lies there"), "{why}");
    }
    // Another ledger's; not a database at all.
    fs::remove_dir_all(copy.data()).unwrap();
    copy_directory(&kept, &copy.data());
    copy.with_rows(|db| {
        let (key, mut value) = tables(db)[&0x01][0].clone();
        value[10] ^= 1;
        db.insert(key, value);
    });
    let checked = copy.compare();
    let DatabaseCheck::Unreadable { why } = checked else { panic!("{checked:?}") };
    assert!(why.contains("another ledger"), "{why}");
    fs::write(copy.data().join("sled/conf"), "nonsense").unwrap();
    assert!(matches!(copy.compare(), DatabaseCheck::Unreadable { .. }));
    // A journal that is damaged is no measure.
    fs::remove_dir_all(copy.data()).unwrap();
    copy_directory(&kept, &copy.data());
    let segment = copy.data().join("journal/00000000000000000000.umj");
    let mut bytes = fs::read(&segment).unwrap();
    bytes[900] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let checked = copy.try_compare();
    assert!(matches!(checked, Err(NodeFault::Store(StoreFault::Journal(_)))), "{checked:?}");
}

/// Compares as soon as the thread of a node that was dropped has let go of the lock.
fn compare_kit(kit: &Kit) -> DatabaseCheck {
    let scratch = tempfile::tempdir().unwrap();
    for _ in 0..500 {
        match Node::compare_database(&kit.config(), scratch.path(), &mut |_| {}).unwrap() {
            DatabaseCheck::NotPerformed { why } if why.contains("the node runs") => {
                std::thread::sleep(Duration::from_millis(10));
            }
            other => return other,
        }
    }
    panic!("the node never ends");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_crash_and_many_callers_leave_the_journals_rows() {
    let (mut kit, mut node) = Kit::new().await;
    for point in FaultPoint::STEPS {
        // Groups of many sizes, with refusals between.
        let events = kit.mixed(40);
        let mut calls = Vec::new();
        for event in &events {
            for _ in 0..2 {
                let (node, envelope) = (node.clone(), signed(event));
                calls.push(tokio::spawn(async move { node.append(envelope).await }));
            }
        }
        for call in calls {
            call.await.unwrap().unwrap();
        }
        // Nothing comes for a while: what is there is synced.
        tokio::time::sleep(Duration::from_millis(4 * IDLE_SYNC_MS)).await;
        let synced = node.reader().size();
        kit.plan.arm(*point);
        let event = kit.copper();
        let _ = node.append(signed(&event)).await;
        drop(node);
        let checked = compare_kit(&kit);
        let DatabaseCheck::Same { entries, journaled, .. } = checked else {
            panic!("{point:?}: {checked:?}");
        };
        assert!(entries >= synced && entries <= journaled, "{point:?}: {entries} of {journaled}");
        kit.plan.disarm();
        node = kit.open();
    }
    node.shutdown().await;
    drop(node);
    assert!(matches!(compare_kit(&kit), DatabaseCheck::Same { .. }));
}
