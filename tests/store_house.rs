//! The store as a whole: who may open it, what stops it, and what a restart finds.
#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

mod store_support;

use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use store_support::{House, KEY, SEGMENT_BYTES, checkpoint, commit, group, groups, origin, write};
use urbanmine::domain::memory::MemoryState;
use urbanmine::domain::{EntryCount, EntryIndex, Origin, PublicKey};
use urbanmine::ledger::SigningKey;
use urbanmine::ledger::checkpoint::Checkpoint;
use urbanmine::ledger::hash::leaf_hash;
use urbanmine::ledger::tree::Frontier;
use urbanmine::store::{
    BackupFault, BackupPlan, DatabaseState, Drawer, FaultPoint, Faults, Group, GuardFault,
    NewerCheckpoint, RestoreFault, Staging, Store, StoreConfig, StoreFault, back_up,
    check_unpacked, read_journal,
};

const POINTS: [FaultPoint; 12] = [
    FaultPoint::BeforeJournalWrite,
    FaultPoint::AfterJournalWrite,
    FaultPoint::BeforeJournalSync,
    FaultPoint::AfterJournalSync,
    FaultPoint::BeforeDatabaseWrite,
    FaultPoint::AfterDatabaseWrite,
    FaultPoint::BeforeDatabaseSync,
    FaultPoint::AfterDatabaseSync,
    FaultPoint::BeforeCheckpointWrite,
    FaultPoint::AfterCheckpointWrite,
    FaultPoint::BeforeGuardAdvance,
    FaultPoint::AfterGuardAdvance,
];

#[test]
fn a_store_is_made_once_and_held_by_one() {
    let house = House::new();
    assert!(matches!(Store::open(&house.config), Err(StoreFault::Format { .. })));
    let store = house.create();
    let again = Store::create(&house.config, &origin(), &KEY).unwrap_err();
    assert!(matches!(again, StoreFault::InUse(_)), "{again}");
    let second = Store::open(&house.config).unwrap_err();
    assert!(matches!(second, StoreFault::InUse(_)), "{second}");
    let elsewhere = StoreConfig { data: house.dir.path().join("other"), ..house.config.clone() };
    let guarded = Store::create(&elsewhere, &origin(), &KEY).unwrap_err();
    assert!(matches!(guarded, StoreFault::InUse(_)), "{guarded}");
    drop(store);
    let opened = Store::open(&house.config).unwrap();
    assert_eq!((opened.store.origin(), opened.store.ledger_key()), (&origin(), &KEY));
    assert_eq!(opened.tail.database, DatabaseState::Found);
    assert_eq!(opened.tail.torn, None);
}

#[test]
fn a_guard_of_a_living_ledger_guards_no_new_one() {
    let house = House::new();
    let store = house.create();
    commit(&store, &group(0, 1)).unwrap();
    drop(store);
    let again = Store::create(&house.config, &origin(), &KEY).unwrap_err();
    assert!(matches!(again, StoreFault::NotEmpty(_)), "an entry is there: {again}");
    let elsewhere = StoreConfig { data: house.dir.path().join("other"), ..house.config.clone() };
    let refused = Store::create(&elsewhere, &origin(), &KEY).unwrap_err();
    assert!(matches!(refused, StoreFault::NotEmpty(_)), "{refused}");
}

#[test]
fn parts_of_another_ledger_are_refused() {
    let house = House::new();
    drop(house.create());
    let format = house.config.data.join("FORMAT");
    let text = fs::read_to_string(&format).unwrap();
    assert_eq!(text, format!("urbanmine store 1\norigin {}\nledger-key {KEY}\n", origin()));
    for bent in [
        text.replace("store 1", "store 2"),
        text.replace("origin ", "origin a b"),
        text.replace(&KEY.to_string(), &KEY.to_string().replace("07", "0G")),
        format!("{text}\n"),
        text.replace('\n', "\r\n"),
    ] {
        fs::write(&format, bent).unwrap();
        let refused = Store::open(&house.config).unwrap_err();
        assert!(matches!(refused, StoreFault::Format { .. }), "{refused}");
    }
    let other = House::new();
    drop(Store::create(&other.config, &Origin::parse("other").unwrap(), &KEY).unwrap());
    let third = House::new();
    drop(Store::create(&third.config, &origin(), &PublicKey([8; 32])).unwrap());
    for stranger in [other, third] {
        fs::copy(stranger.config.data.join("FORMAT"), &format).unwrap();
        let refused = Store::open(&house.config).unwrap_err();
        assert!(refused.to_string().contains("another ledger"), "{refused}");
        fs::write(&format, &text).unwrap();
        let moved = stranger.config.data.join("sled");
        fs::remove_dir_all(&moved).unwrap();
        fs::rename(house.config.data.join("sled"), &moved).unwrap();
        let refused = Store::open(&stranger.config).unwrap_err();
        assert!(refused.to_string().contains("another ledger"), "{refused}");
        fs::rename(&moved, house.config.data.join("sled")).unwrap();
    }
    drop(house.open());
}

/// What is durable already comes under the guard, whatever happens to what comes after it.
#[test]
fn the_guard_moves_over_what_was_before_a_fault() {
    let mut house = House::new();
    let fails = |point| point == FaultPoint::BeforeJournalWrite;
    house.config.faults = Faults::new(fails);
    let store = house.create();
    store.guard_advance(None, b"one").unwrap();
    assert!(store.journal_append(&group(0, 1)).is_err());
    assert!(store.is_poisoned());
    store.guard_advance(Some(b"one"), b"two").unwrap();
    assert_eq!(store.guard_current().unwrap().unwrap(), &b"two"[..]);
    assert!(matches!(store.sync(), Err(StoreFault::Poisoned)), "it moves, and nothing else does");
}

#[test]
fn the_guard_moves_from_where_it_is_or_not_at_all() {
    let house = House::new();
    let store = house.create();
    assert_eq!(store.guard_current().unwrap(), None);
    store.guard_advance(None, b"one").unwrap();
    store.guard_advance(Some(b"one"), b"two").unwrap();
    drop(store);
    let store = house.open();
    assert_eq!(store.guard_current().unwrap().unwrap(), &b"two"[..]);
    let conflict = store.guard_advance(Some(b"one"), b"three").unwrap_err();
    let StoreFault::Guard(GuardFault::Conflict { expected, found }) = &conflict else {
        panic!("a conflict is expected, not {conflict}");
    };
    assert_eq!((expected.as_deref(), found.as_deref()), (Some("one"), Some("two")));
    assert_eq!(store.guard_current().unwrap().unwrap(), &b"two"[..]);
    let after = store.guard_advance(Some(b"two"), b"three").unwrap_err();
    assert!(matches!(after, StoreFault::Poisoned), "somebody else writes this ledger: {after}");
    assert!(matches!(store.journal_append(&group(0, 1)), Err(StoreFault::Poisoned)));
    drop(store);
    let store = house.open();
    assert!(store.guard_advance(None, b"three").is_err(), "an absent guard is expected in vain");
    drop(store);
    let store = house.open();
    assert!(store.guard_advance(Some(b"two"), b"").is_err());
    drop(store);
    fs::write(house.config.guard.join("guard"), b"by another hand").unwrap();
    let store = house.open();
    assert!(store.guard_advance(Some(b"two"), b"three").is_err());
}

#[test]
fn a_restart_finds_what_the_database_lacks() {
    let house = House::new();
    let store = house.create();
    let written = groups(&[3, 4, 5]);
    commit(&store, &written[0]).unwrap();
    store.sync().unwrap();
    // One that no sync brought in, and one that never came to the database.
    commit(&store, &written[1]).unwrap();
    store.journal_append(&written[2]).unwrap();
    drop(store);
    let opened = Store::open(&house.config).unwrap();
    let (store, tail) = (opened.store, opened.tail);
    assert_eq!((tail.applied.0, tail.journaled.0), (3, 12));
    let from = EntryIndex(tail.applied.0);
    let missing: Vec<Group> = store.journal_read(from).unwrap().map(Result::unwrap).collect();
    assert_eq!(missing, written[1..]);
    for group in &missing {
        write(&store, group, &MemoryState::default()).unwrap();
    }
    assert_eq!(store.compare_with_journal(EntryIndex(4)).unwrap(), EntryCount(9));
    assert_eq!(store.applied(), store.journaled());
}

#[test]
fn a_journal_that_lost_what_the_database_has_is_refused() {
    let house = House::new();
    let store = house.create();
    commit(&store, &group(0, 2)).unwrap();
    let segment = house.config.data.join("journal").join(format!("{:020}.umj", 0));
    let before = fs::read(&segment).unwrap();
    commit(&store, &group(2, 2)).unwrap();
    store.sync().unwrap();
    drop(store);
    fs::write(&segment, before).unwrap();
    let refused = Store::open(&house.config).unwrap_err();
    let is_named = matches!(refused, StoreFault::Disagreement { index: EntryIndex(2), .. });
    assert!(is_named, "{refused}");
}

#[test]
fn a_journal_that_tells_another_story_is_noticed_with_the_place() {
    let house = House::new();
    let store = house.create();
    commit(&store, &group(0, 2)).unwrap();
    commit(&store, &group(2, 5)).unwrap();
    store.sync().unwrap();
    drop(store);
    let journal = house.config.data.join("journal");
    fs::remove_dir_all(&journal).unwrap();
    let forged = House::new();
    let other = forged.create();
    commit(&other, &group(0, 2)).unwrap();
    let mut forgery = group(2, 5);
    forgery.entries[3] = bytes::Bytes::from_static(b"it never happened");
    commit(&other, &forgery).unwrap();
    drop(other);
    fs::rename(forged.config.data.join("journal"), &journal).unwrap();
    let store = house.open();
    let refused = store.compare_with_journal(EntryIndex(0)).unwrap_err();
    let is_named = matches!(refused, StoreFault::Disagreement { index: EntryIndex(5), .. });
    assert!(is_named, "{refused}");
}

#[test]
fn reading_alone_works_beside_a_running_store_and_changes_nothing() {
    let house = House::new();
    let store = house.create();
    let written = groups(&[60; 12]);
    for group in &written {
        store.journal_append(group).unwrap();
    }
    let reader = Store::open_read_only(&house.config).unwrap();
    assert_eq!((reader.origin(), reader.ledger_key()), (&origin(), &KEY));
    let read: Vec<Group> =
        reader.journal_read(EntryIndex(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(read, written);
    store.journal_append(&group(720, 1)).unwrap();
    assert_eq!(reader.journal_read(EntryIndex(720)).unwrap().count(), 1);
}

/// A fault at one point, the `skip`-th time it is passed.
fn failing_at(point: FaultPoint, skip: u8) -> Faults {
    let passed = Arc::new(AtomicU8::new(0));
    Faults::hook(move |at| {
        if at == point && passed.fetch_add(1, Ordering::Relaxed) == skip {
            return Err(io::Error::other("the disk is gone"));
        }
        Ok(())
    })
}

fn commit_and_sync(store: &Store, group: &Group) -> Result<(), StoreFault> {
    commit(store, group)?;
    store.sync()
}

#[test]
fn a_fault_anywhere_stops_the_store_and_a_restart_goes_on() {
    for point in POINTS {
        let mut house = House::new();
        house.config.faults = failing_at(point, 1);
        let store = house.create();
        let written = groups(&[3, 4]);
        commit_and_sync(&store, &written[0]).unwrap();
        let fault = commit_and_sync(&store, &written[1]).unwrap_err();
        let is_io = matches!(&fault, StoreFault::Io { .. });
        assert!(is_io && !fault.had_no_effect(), "{point:?}: {fault}");
        assert!(store.is_poisoned());
        for refused in [
            store.journal_append(&group(7, 1)),
            write(&store, &written[1], &MemoryState::default()),
            store.write_checkpoint(EntryCount(3), &checkpoint(3)),
            store.sync(),
        ] {
            let refused = refused.unwrap_err();
            assert!(matches!(refused, StoreFault::Poisoned) && refused.had_no_effect());
        }
        if matches!(point, FaultPoint::BeforeGuardAdvance | FaultPoint::AfterGuardAdvance) {
            let guarded = store.guard_current().unwrap();
            let refused = store.guard_advance(guarded.as_deref(), &checkpoint(7)).unwrap_err();
            assert!(matches!(refused, StoreFault::Poisoned), "{point:?}: {refused}");
        }
        assert_eq!(store.entry(EntryIndex(2)).unwrap(), Some(store_support::entry(2)));
        drop(store);
        house.config.faults = Faults::default();
        assert_goes_on(&house, point);
    }
}

/// After a restart: nothing that was acknowledged is missing, and the ledger grows on.
fn assert_goes_on(house: &House, point: FaultPoint) {
    let opened = Store::open(&house.config).unwrap();
    let (store, tail) = (opened.store, opened.tail);
    let expected = if point == FaultPoint::BeforeJournalWrite { 3 } else { 7 };
    assert_eq!(tail.journaled.0, expected, "{point:?}");
    assert!(tail.applied <= tail.journaled);
    let replay = store.journal_read(EntryIndex(tail.applied.0)).unwrap();
    for group in replay {
        let group = group.unwrap();
        write(&store, &group, &MemoryState::default()).unwrap();
    }
    let end = store.applied();
    store.write_checkpoint(end, &checkpoint(end.0)).unwrap();
    let guarded = store.guard_current().unwrap();
    store.guard_advance(guarded.as_deref(), &checkpoint(end.0)).unwrap();
    commit_and_sync(&store, &group(end.0, 2)).unwrap();
    let entries = store.compare_with_journal(EntryIndex(0)).unwrap();
    assert_eq!(entries.0, end.0 + 2, "{point:?}");
}

#[test]
fn a_fault_in_rotation_leaves_a_journal_that_goes_on() {
    for point in [FaultPoint::BeforeJournalRotation, FaultPoint::AfterJournalRotation] {
        let mut house = House::new();
        house.config.faults = failing_at(point, 0);
        let store = house.create();
        let written = groups(&[60; 30]);
        let failed = written.iter().position(|group| store.journal_append(group).is_err()).unwrap();
        assert!(failed > 1 && u64::try_from(failed).unwrap() * 60 * 64 < 2 * SEGMENT_BYTES);
        drop(store);
        house.config.faults = Faults::default();
        let opened = Store::open(&house.config).unwrap();
        assert_eq!(opened.tail.journaled.0, written[failed].first.0);
        for group in &written[failed..] {
            opened.store.journal_append(group).unwrap();
        }
        let read = opened.store.journal_read(EntryIndex(0)).unwrap().map(Result::unwrap);
        assert!(read.eq(written), "{point:?}");
    }
}

/// `init` makes anew what a crash before the first entry left, and nothing that ever held an entry:
/// not when its small files are gone, and not when another guard is named.
#[test]
fn a_ledger_that_lost_its_format_file_or_guard_is_not_made_anew() {
    let house = House::new();
    let store = house.create();
    commit(&store, &group(0, 1)).unwrap();
    drop(store);
    let data = &house.config.data;
    let segment = data.join("journal/00000000000000000000.umj");
    let whole = std::fs::read(&segment).unwrap();
    let guard = house.dir.path().join("another guard");
    let elsewhere = StoreConfig { guard, ..house.config.clone() };

    let with_name = std::fs::read(data.join("FORMAT")).unwrap();
    for config in [&house.config, &elsewhere] {
        for has_name in [true, false] {
            std::fs::write(data.join("FORMAT"), &with_name).unwrap();
            if !has_name {
                std::fs::remove_file(data.join("FORMAT")).unwrap();
            }
            let refused = Store::create(config, &origin(), &KEY).unwrap_err();
            assert!(matches!(refused, StoreFault::NotEmpty(_)), "{refused}");
            assert_eq!(std::fs::read(&segment).unwrap(), whole, "the journal was touched");
            assert!(data.join("sled").exists(), "the database was touched");
        }
    }
}

#[test]
fn a_stillborn_store_is_made_anew_and_set_aside() {
    let house = House::new();
    drop(house.create());
    // Once with its name, once as a crash before the name leaves it.
    drop(house.create());
    std::fs::remove_file(house.config.data.join("FORMAT")).unwrap();
    let store = house.create();
    commit(&store, &group(0, 1)).unwrap();
    for number in 1..=2 {
        assert!(house.config.data.join(format!("journal.stillborn-{number}")).exists());
    }
}

/// The checkpoint of so many entries of the tests' kind.
fn signed(size: u64) -> (Checkpoint, Vec<u8>) {
    let mut frontier = Frontier::default();
    for index in 0..size {
        frontier.push(leaf_hash(&store_support::entry(index)));
    }
    let (size, root) = (frontier.size(), frontier.root());
    let checkpoint = Checkpoint { origin: origin(), size, root };
    let text = checkpoint.sign(&SigningKey::from_seed([7; 32])).as_bytes().to_vec();
    (checkpoint, text)
}

#[test]
fn a_backup_has_every_segment_up_to_the_guard_and_nothing_behind() {
    let house = House::new();
    let store = house.create();
    // Some 80 bytes an entry: five segments, and groups that nobody signed for at their end.
    let all = groups(&[200; 5]);
    for group in &all {
        store.journal_append(group).unwrap();
    }
    let segments = fs::read_dir(house.config.data.join("journal")).unwrap().count();
    assert!(segments >= 3, "{segments} segments");
    let (data, guard) = (house.config.data.clone(), house.config.guard.clone());
    let file = house.dir.path().join("backup.tar");
    let try_backup = |to: &std::path::Path, tell: &mut dyn FnMut(EntryCount, EntryCount)| {
        let plan = BackupPlan { data: &data, guard: &guard, to, without: &Drawer::ALL };
        back_up(&plan, tell)
    };
    assert!(matches!(try_backup(&file, &mut |_, _| {}), Err(BackupFault::GuardMissing(_))));

    for (number, whole_groups) in [1_usize, 3, 4, 5].into_iter().enumerate() {
        let size = 200 * whole_groups as u64;
        let (checkpoint, text) = signed(size);
        fs::write(guard.join("guard"), &text).unwrap();
        let file = house.dir.path().join(format!("backup-{number}.tar"));
        let mut last = EntryCount(0);
        let done = try_backup(&file, &mut |done, all| {
            assert!(done > last && all.0 == size, "{done} of {all}");
            last = done;
        });
        let done = done.unwrap();
        assert_eq!((done.checkpoint, done.bytes), (checkpoint, fs::metadata(&file).unwrap().len()));

        let staging = Staging::beside(&house.dir.path().join(format!("back-{number}"))).unwrap();
        let unpacked = staging.unpack(&file, &[], &mut |_, _| {}).unwrap();
        assert_eq!(unpacked.signed, text);
        check_unpacked(&staging, &unpacked, Some(&text), NewerCheckpoint::Unknown).unwrap();
        let newer = signed(size + 1).1;
        let behind = check_unpacked(&staging, &unpacked, Some(&newer), NewerCheckpoint::Unknown);
        assert!(matches!(behind, Err(RestoreFault::BehindGuard { guard, backup })
            if guard.0 == size + 1 && backup.0 == size));
        // A guard within it, in the middle of a group even, is one of its own.
        let older = signed(size - 77).1;
        check_unpacked(&staging, &unpacked, Some(&older), NewerCheckpoint::Unknown).unwrap();
        let read: Vec<Group> = read_journal(&staging.data()).unwrap().map(Result::unwrap).collect();
        assert_eq!(read, all[..whole_groups]);
        staging.settle().unwrap();

        // It goes on where the checkpoint ends.
        let data = house.dir.path().join(format!("back-{number}"));
        let guard = house.dir.path().join(format!("guard-{number}"));
        let config = StoreConfig { data: data.clone(), guard, ..house.config.clone() };
        let again = Store::open(&config).unwrap().store;
        assert_eq!(again.journaled().0, size);
        again.journal_append(&group(size, 3)).unwrap();
        assert_eq!(read_journal(&data).unwrap().last().unwrap().unwrap(), group(size, 3));
    }

    // A guard that is no end of a group, is of more, or of other entries: no backup of that.
    for (size, text) in [(300, signed(300).1), (1_001, signed(1_001).1), (200, signed(201).1)] {
        let text = String::from_utf8(text).unwrap().replacen("\n201\n", "\n200\n", 1);
        fs::write(guard.join("guard"), text).unwrap();
        let refused = try_backup(&file, &mut |_, _| {}).unwrap_err();
        assert!(matches!(refused, BackupFault::GuardDisagrees(_)), "{size}: {refused}");
        let left = fs::read_dir(house.dir.path()).unwrap();
        let names = left.map(|item| item.unwrap().file_name().into_string().unwrap());
        assert!(names.filter(|name| name.starts_with("backup.tar")).count() == 0, "{size}");
    }
}
