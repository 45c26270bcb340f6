//! The journal against crashes and hands: what was whole stays, what was torn goes, what was
//! changed is named and left alone.
#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

mod store_support;

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use store_support::{SEGMENT_BYTES, group, groups};
use tempfile::TempDir;
use urbanmine::domain::{EntryIndex, Hash32};
use urbanmine::ledger::frame::{self, Group};
use urbanmine::limits::SEGMENT_HEADER_BYTES;
use urbanmine::store::journal::{Groups, Journal, JournalCause, JournalConfig, JournalFault};
use urbanmine::store::{StoreFault, TornTail};

const LEDGER: Hash32 = Hash32([1; 32]);

fn config(dir: &Path) -> JournalConfig {
    let segment_bytes = SEGMENT_BYTES;
    JournalConfig { segment_bytes, ..JournalConfig::new(dir.join("journal"), LEDGER) }
}

fn journal_of(groups: &[Group]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Journal::create(config(dir.path())).unwrap();
    for group in groups {
        journal.append(group).unwrap();
    }
    dir
}

fn reopen(dir: &Path) -> Result<(Journal, Option<TornTail>), StoreFault> {
    Journal::open(config(dir))
}

fn read_all(journal: &Journal) -> Vec<Group> {
    journal.read(EntryIndex(0)).unwrap().map(Result::unwrap).collect()
}

fn read_only(dir: &Path) -> Vec<Result<Group, JournalFault>> {
    Groups::new(&config(dir).dir, LEDGER, EntryIndex(0), None).unwrap().collect()
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let listed = fs::read_dir(config(dir).dir).unwrap().map(|item| item.unwrap().path());
    let mut found: Vec<_> = listed.filter(|path| path.extension().unwrap() == "umj").collect();
    found.sort();
    found
}

fn fault_of(outcome: Result<(Journal, Option<TornTail>), StoreFault>) -> JournalFault {
    match outcome {
        Err(StoreFault::Journal(fault)) => fault,
        other => panic!("a journal fault is expected, not {other:?}"),
    }
}

#[test]
fn groups_come_back_with_their_boundaries() {
    let written = groups(&[1, 3, 1, 64, 2]);
    let dir = journal_of(&written);
    let (journal, torn) = reopen(dir.path()).unwrap();
    assert_eq!(torn, None);
    assert_eq!(journal.next(), EntryIndex(71));
    assert_eq!(read_all(&journal), written);
    assert!(read_only(dir.path()).into_iter().map(Result::unwrap).eq(written.iter().cloned()));
    for from in 0..71 {
        let found = journal.read(EntryIndex(from)).unwrap().next().unwrap().unwrap();
        assert!(found.first.0 <= from && from < found.end().0, "from {from}: {}", found.first);
    }
    assert!(journal.read(EntryIndex(71)).unwrap().next().is_none());
}

#[test]
fn an_open_journal_reads_up_to_what_is_durable_and_goes_on() {
    let dir = journal_of(&groups(&[2, 2]));
    let (mut journal, _) = reopen(dir.path()).unwrap();
    let reader = journal.read(EntryIndex(0)).unwrap();
    journal.append(&group(4, 5)).unwrap();
    assert_eq!(reader.count(), 2, "a reader ends where the journal ended when it began");
    assert_eq!(read_all(&journal), groups(&[2, 2, 5]));
}

#[test]
fn a_group_that_does_not_follow_is_refused_without_effect() {
    let dir = journal_of(&groups(&[2]));
    let (mut journal, _) = reopen(dir.path()).unwrap();
    for first in [0, 1, 3] {
        let refused = journal.append(&group(first, 1)).unwrap_err();
        assert!(matches!(refused, StoreFault::Order { .. }), "{refused}");
        assert!(refused.had_no_effect());
    }
    journal.append(&group(2, 1)).unwrap();
}

#[test]
fn segments_follow_one_another() {
    let counts = [60; 40];
    let dir = journal_of(&groups(&counts));
    assert!(segments(dir.path()).len() > 5);
    for path in segments(dir.path()) {
        assert_eq!(fs::metadata(path).unwrap().len(), SEGMENT_BYTES);
    }
    let (mut journal, _) = reopen(dir.path()).unwrap();
    assert_eq!(read_all(&journal), groups(&counts));
    let late = journal.read(EntryIndex(2_399)).unwrap().map(Result::unwrap).collect::<Vec<_>>();
    assert_eq!(late, [group(2_340, 60)]);
    journal.append(&group(2_400, 1_000)).unwrap();
    let largest = fs::metadata(segments(dir.path()).pop().unwrap()).unwrap().len();
    assert!(largest > SEGMENT_BYTES, "a group that fits no segment gets one of its own size");
    assert_eq!(journal.read(EntryIndex(3_000)).unwrap().next().unwrap().unwrap().first.0, 2_400);
}

#[test]
fn a_segment_just_begun_is_a_clean_end() {
    let dir = journal_of(&groups(&[60; 3]));
    let (mut journal, _) = reopen(dir.path()).unwrap();
    let counts: Vec<u64> = vec![60; 4];
    journal.append(&group(180, 60)).unwrap();
    drop(journal);
    // Blank all frames of the last segment: it is as if the crash had come right after the
    // rotation.
    let last = segments(dir.path()).pop().unwrap();
    let first: u64 = last.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    assert!(first > 0);
    let mut bytes = fs::read(&last).unwrap();
    bytes[SEGMENT_HEADER_BYTES..].fill(0);
    fs::write(&last, bytes).unwrap();
    let (journal, torn) = reopen(dir.path()).unwrap();
    assert_eq!((journal.next().0, torn), (first, None));
    assert!(read_all(&journal).len() < counts.len());
}

/// The last segment, where its last frame begins, and where it ends.
fn last_frame(dir: &Path, last: &Group) -> (PathBuf, Vec<u8>, usize, usize) {
    let path = segments(dir).pop().unwrap();
    let bytes = fs::read(&path).unwrap();
    let frame = frame::encode(last).unwrap();
    let start = bytes.windows(frame.len()).position(|window| window == frame).unwrap();
    (path, bytes, start, start + frame.len())
}

#[test]
fn a_last_frame_cut_or_blanked_at_any_byte_leaves_exactly_the_groups_before() {
    let before = groups(&[1, 3]);
    // Short, because every byte costs three crashes, and one entry ends in a zero.
    let entries = [&b"ab"[..], b"c\0"].map(Bytes::from_static).to_vec();
    let last = Group { entries, ..group(4, 2) };
    let dir = journal_of(&[before.clone(), vec![last.clone()]].concat());
    let (path, whole, start, end) = last_frame(dir.path(), &last);
    for at in start..end {
        let mut blanked = whole.clone();
        blanked[at..].fill(0);
        let mut front_lost = whole.clone();
        front_lost[start..=at].fill(0);
        for (how, broken) in [("cut", &whole[..at]), ("blank", &blanked), ("late", &front_lost)] {
            // The last bytes of the frame may themselves be zeros: then nothing was lost.
            if broken.len() == whole.len() && broken == whole {
                continue;
            }
            fs::write(&path, broken).unwrap();
            let (mut journal, torn) = reopen(dir.path()).unwrap();
            assert_eq!(read_all(&journal), before, "{how} at {at}");
            let is_clean = broken[start..].iter().all(|byte| *byte == 0);
            assert_eq!(torn.is_none(), is_clean, "{how} at {at}");
            if let Some(torn) = torn {
                assert_eq!(torn.offset, start as u64);
                let kept = fs::read(&torn.kept_as).unwrap();
                assert_eq!(kept, broken[start..start + torn.bytes], "{how} at {at}");
                fs::remove_file(torn.kept_as).unwrap();
            }
            journal.append(&last).unwrap();
            drop(journal);
            assert_eq!(fs::read(&path).unwrap(), whole, "{how} at {at}: as if nothing had been");
        }
    }
}

#[test]
fn reading_alone_reports_a_torn_tail_and_touches_nothing() {
    let last = group(4, 2);
    let dir = journal_of(&[groups(&[1, 3]), vec![last.clone()]].concat());
    let (path, whole, start, _) = last_frame(dir.path(), &last);
    fs::write(&path, &whole[..start + 40]).unwrap();
    let found = read_only(dir.path());
    assert_eq!(found.len(), 3);
    let torn = found.last().unwrap().as_ref().unwrap_err();
    assert!(matches!(torn.cause, JournalCause::Torn(_)), "{torn}");
    assert_eq!((torn.offset, torn.entry.0), (start as u64, 4));
    assert_eq!(fs::read(&path).unwrap(), whole[..start + 40]);
}

#[test]
fn a_bit_flipped_anywhere_before_the_last_frame_is_refused_with_the_place() {
    let written = groups(&[1, 3, 2]);
    let dir = journal_of(&written);
    let (path, whole, last_start, _) = last_frame(dir.path(), &written[2]);
    let second_start = SEGMENT_HEADER_BYTES + frame::encode(&written[0]).unwrap().len();
    for at in 0..last_start {
        let mut bent = whole.clone();
        bent[at] ^= 1 << (at % 8);
        fs::write(&path, &bent).unwrap();
        let refused = fault_of(reopen(dir.path()));
        let (offset, entry) = match at {
            _ if at < SEGMENT_HEADER_BYTES => (0, 0),
            _ if at < second_start => (SEGMENT_HEADER_BYTES, 0),
            _ => (second_start, 1),
        };
        assert_eq!((refused.offset, refused.entry.0), (offset as u64, entry), "bit at {at}");
        assert!(!matches!(refused.cause, JournalCause::Torn(_)), "bit at {at}: {refused}");
        assert_eq!(fs::read(&path).unwrap(), bent, "bit at {at}: what is refused is left alone");
    }
}

#[test]
fn damage_in_an_earlier_segment_is_named_when_it_is_read() {
    let dir = journal_of(&groups(&[60; 20]));
    let path = segments(dir.path())[1].clone();
    let whole = fs::read(&path).unwrap();
    let used = whole.iter().rposition(|byte| *byte != 0).unwrap();
    // The last frame of a segment that is not the last cannot be a crash; nor can bytes behind it.
    for at in [SEGMENT_HEADER_BYTES + 50, used - 3, used + 40] {
        let mut bent = whole.clone();
        bent[at] ^= 0x10;
        fs::write(&path, &bent).unwrap();
        let (journal, torn) = reopen(dir.path()).unwrap();
        assert_eq!(torn, None);
        let fault = journal.read(EntryIndex(0)).unwrap().find_map(Result::err).unwrap();
        assert!(matches!(fault.cause, JournalCause::Damaged(_)), "{fault}");
        assert_eq!(path.file_name().unwrap().to_str(), Some(fault.segment.as_str()));
    }
}

#[test]
fn a_missing_or_foreign_segment_is_refused() {
    let dir = journal_of(&groups(&[60; 20]));
    let paths = segments(dir.path());
    let second = fs::read(&paths[1]).unwrap();
    fs::remove_file(&paths[1]).unwrap();
    let (journal, _) = reopen(dir.path()).unwrap();
    let gap = journal.read(EntryIndex(0)).unwrap().find_map(Result::err).unwrap();
    assert!(matches!(gap.cause, JournalCause::Gap(_)), "{gap}");
    drop(journal);

    fs::write(&paths[1], fs::read(&paths[2]).unwrap()).unwrap();
    let misnamed = fault_of(reopen(dir.path()));
    assert!(misnamed.to_string().contains("name is not its first index"), "{misnamed}");
    fs::write(&paths[1], second).unwrap();

    let foreign = JournalConfig { ledger: Hash32([2; 32]), ..config(dir.path()) };
    let refused = fault_of(Journal::open(foreign));
    assert!(refused.to_string().contains("another ledger"), "{refused}");

    fs::remove_file(&paths[0]).unwrap();
    assert!(matches!(fault_of(reopen(dir.path())).cause, JournalCause::Gap(_)));
    for path in &paths[1..] {
        fs::remove_file(path).unwrap();
    }
    assert!(matches!(reopen(dir.path()), Err(StoreFault::Format { .. })));
}

#[test]
fn an_unnamed_segment_left_by_a_crash_is_made_again() {
    let dir = journal_of(&groups(&[60; 2]));
    let journal_dir = config(dir.path()).dir;
    for first in 0..1_000 {
        fs::write(journal_dir.join(format!("{first:020}.next")), b"left by a crash").unwrap();
    }
    let (mut journal, _) = reopen(dir.path()).unwrap();
    for turn in 2..10 {
        journal.append(&group(turn * 60, 60)).unwrap();
    }
    assert_eq!(read_all(&journal), groups(&[60; 10]));
}
