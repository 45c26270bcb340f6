//! Whether the database says the same as the journal: all of it, not the last group alone.
//!
//! The journal is replayed into a shadow database, as a rebuild would, but without any key: the
//! checkpoints are in its frames, and the last one in the head guard. Then both databases are
//! held against each other. Nothing is left to differ: what a group writes follows from its
//! entries and the rows before it, and the groups are those of the journal.

use std::path::Path;

use bytes::Bytes;

use super::error::NodeFault;
use super::handle::Node;
use super::open::{NodeConfig, Tail};
use crate::domain::{EntryCount, EntryIndex};
use crate::store::{
    Difference, DirectoryLock, Found, FoundFault, Group, JournalCause, ReadOnly, Shadow, Store,
    StoreFault, is_no_space, read_guard,
};

/// What the comparison of a database with its journal says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatabaseCheck {
    /// It was not compared.
    NotPerformed {
        /// Why not, in words.
        why: String,
    },
    /// The database cannot be read. No entry is lost: the journal makes it again.
    Unreadable {
        /// What the database said.
        why: String,
    },
    /// Every row is the one that the journal makes.
    Same {
        /// Entries in the database.
        entries: EntryCount,
        /// Entries in the journal; the next start brings those in between into the database.
        journaled: EntryCount,
        /// Rows that were compared.
        rows: u64,
    },
    /// Some rows are not those that the journal makes.
    Differs {
        /// Entries in the database, as far as the journal goes with it.
        entries: EntryCount,
        /// Entries in the journal.
        journaled: EntryCount,
        /// How many rows differ.
        differing: u64,
        /// The first of them, by key.
        first: Difference,
    },
}

impl Node {
    /// Holds the database of a stopped node, or of a copy of its data directory, against its
    /// journal, row by row. Nothing in the directory is changed; a copy of the database and a
    /// shadow of it are made in a new directory under `scratch`, and removed. While this runs, no
    /// node starts on the directory. Tells how many entries were replayed.
    ///
    /// # Errors
    ///
    /// A journal that is damaged, or that does not replay; a file that cannot be read.
    pub fn compare_database(
        config: &NodeConfig,
        scratch: &Path,
        progress: &mut dyn FnMut(EntryCount),
    ) -> Result<DatabaseCheck, NodeFault> {
        let source = Store::open_read_only(&config.store())?;
        let lock = match DirectoryLock::keep_still(&config.data) {
            Ok(lock) => lock,
            Err(StoreFault::InUse(_)) => {
                let why = "the node runs; stop it, or give a backup copy".to_owned();
                return Ok(DatabaseCheck::NotPerformed { why });
            }
            Err(other) => return Err(other.into()),
        };
        let checked = check(config, &source, scratch, progress)?;
        // In a copy without a lock nobody could be kept out.
        let is_alone =
            lock.is_some() || matches!(DirectoryLock::keep_still(&config.data), Ok(None));
        if is_alone {
            return Ok(checked);
        }
        let why = "a node was started on it meanwhile".to_owned();
        Ok(DatabaseCheck::NotPerformed { why })
    }
}

fn check(
    config: &NodeConfig,
    source: &ReadOnly,
    scratch: &Path,
    progress: &mut dyn FnMut(EntryCount),
) -> Result<DatabaseCheck, NodeFault> {
    let found = match Found::copy(source, &config.data, scratch) {
        Ok(found) => found,
        Err(fault) => return unchecked(fault),
    };
    let full = |fault: StoreFault| {
        let why = format!("there is no room in {}: {fault}", scratch.display());
        DatabaseCheck::NotPerformed { why }
    };
    let shadow = match Shadow::create(source, scratch) {
        Ok(shadow) => shadow,
        Err(fault) if is_no_space(&fault) => return Ok(full(fault)),
        Err(other) => return Err(other.into()),
    };
    let in_guard = read_guard(&config.guard)?;
    let journaled = match replay(source, &shadow, &found, in_guard.as_ref(), progress) {
        Ok(journaled) => journaled,
        Err(NodeFault::Store(fault)) if is_no_space(&fault) => return Ok(full(fault)),
        Err(other) => return Err(other),
    };
    let entries = shadow.store().applied();
    match found.compare(&shadow) {
        Err(fault) => unchecked(fault),
        Ok(compared) => Ok(match compared.first {
            None => DatabaseCheck::Same { entries, journaled, rows: compared.same },
            Some(first) => {
                let differing = compared.differing;
                DatabaseCheck::Differs { entries, journaled, differing, first }
            }
        }),
    }
}

fn unchecked(fault: FoundFault) -> Result<DatabaseCheck, NodeFault> {
    match fault {
        FoundFault::NotPerformed(why) => Ok(DatabaseCheck::NotPerformed { why }),
        FoundFault::Unreadable(why) => Ok(DatabaseCheck::Unreadable { why }),
        FoundFault::Store(fault) => Err(fault.into()),
    }
}

/// Replays the groups that the database says it has, or all when it does not say; answers how many
/// entries the journal has.
fn replay(
    source: &ReadOnly,
    shadow: &Shadow,
    found: &Found,
    in_guard: Option<&Bytes>,
    progress: &mut dyn FnMut(EntryCount),
) -> Result<EntryCount, NodeFault> {
    let applied = found.applied().unwrap_or(EntryCount(u64::MAX));
    let mut tail = Tail::keyless(shadow.store())?;
    let mut groups = source.journal_read(EntryIndex(0))?;
    let mut next = whole(groups.next())?;
    let mut journaled = EntryCount(0);
    while let Some(group) = next {
        next = whole(groups.next())?;
        journaled = EntryCount(group.end().0);
        if journaled > applied {
            continue;
        }
        let kept = match &next {
            Some(following) => vec![following.previous_checkpoint.clone()],
            // The last one: nobody but the guard and the database has its checkpoint.
            None => in_guard.cloned().into_iter().chain(found.checkpoint(journaled)).collect(),
        };
        let is_kept = tail.replay_kept(&group, &kept)?;
        if let Some(following) = next.as_ref().filter(|_| !is_kept) {
            let rule = "the checkpoint in its frame is not one of the entries before it".to_owned();
            return Err(NodeFault::Replay { index: following.first, rule });
        }
        progress(journaled);
    }
    Ok(journaled)
}

/// The next group; an unfinished write at the end is none, as nobody was told of it.
fn whole(
    next: Option<Result<Group, crate::store::JournalFault>>,
) -> Result<Option<Group>, NodeFault> {
    match next {
        Some(Err(fault)) if matches!(fault.cause, JournalCause::Torn(_)) => Ok(None),
        other => Ok(other.transpose().map_err(StoreFault::from)?),
    }
}
