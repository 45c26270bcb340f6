//! A forged ledger on disk.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use urbanmine::domain::EntryIndex;
use urbanmine::ledger::frame::Group;
use urbanmine::store::{Store, StoreConfig};

use super::forge::{Forged, LEDGER, origin, public};

/// A ledger as a data directory with its guard, the journal cut behind its last frame and a page of
/// the zeros that follow it.
pub fn write_data(forged: &Forged, dir: &Path) -> PathBuf {
    let data = dir.join("data");
    let config = StoreConfig::new(&data, dir.join("data.guard"));
    let store = Store::create(&config, &origin(), &public(LEDGER)).unwrap();
    let (mut next, mut previous) = (0, Bytes::new());
    for (length, checkpoint) in forged.groups.iter().zip(&forged.checkpoints) {
        let entries = forged.entries[next..next + length].to_vec();
        let first = EntryIndex(u64::try_from(next).unwrap());
        store.journal_append(&Group { first, previous_checkpoint: previous, entries }).unwrap();
        next += length;
        previous = Bytes::from(checkpoint.clone());
    }
    store.guard_advance(None, &previous).unwrap();
    drop(store);
    let bytes = fs::read(segment(&data)).unwrap();
    let used = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    fs::write(segment(&data), &bytes[..used + 4_096]).unwrap();
    fs::remove_dir_all(data.join("sled")).unwrap();
    data
}

/// The first segment of its journal.
pub fn segment(data: &Path) -> PathBuf {
    data.join("journal/00000000000000000000.umj")
}
