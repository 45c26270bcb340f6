//! The head guard: the last signed checkpoint, kept apart from what it guards, so that an old
//! backup, a rollback or a second copy of the data cannot go on as if it were the ledger.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::fault::StoreFault;
use super::faults::{FaultPoint, Faults};
use super::files;
use super::lock::DirectoryLock;
use crate::limits::MAX_CHECKPOINT_TEXT_BYTES;

const GUARD_NAME: &str = "guard";

/// Why the guard did not move.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GuardFault {
    /// It stands elsewhere than the caller believes: somebody else advanced it.
    #[error("the head guard stands elsewhere: expected {expected:?}, found {found:?}")]
    Conflict {
        /// What the caller believed, first lines only.
        expected: Option<String>,
        /// What stands there, first lines only.
        found: Option<String>,
    },
    /// A checkpoint that is empty or over the limit.
    #[error("a guarded checkpoint has 1 to {MAX_CHECKPOINT_TEXT_BYTES} bytes, not {0}")]
    Length(usize),
}

/// The guard's directory, locked.
#[derive(Debug)]
pub struct Guard {
    path: PathBuf,
    faults: Faults,
    _lock: DirectoryLock,
}

impl Guard {
    /// Makes the directory if it is missing, and locks it.
    pub fn open(dir: &Path, faults: Faults) -> Result<Self, StoreFault> {
        files::make_dir(dir)?;
        let lock = DirectoryLock::acquire(dir)?;
        Ok(Self { path: dir.join(GUARD_NAME), faults, _lock: lock })
    }

    /// The guarded checkpoint; `None` before the first.
    pub fn current(&self) -> Result<Option<Bytes>, StoreFault> {
        read_file(&self.path)
    }

    /// Moves from `expected` to `next`, durably, or not at all. The file is read again each time:
    /// the lock keeps other instances out, not other hands.
    pub fn advance(&self, expected: Option<&[u8]>, next: &[u8]) -> Result<(), StoreFault> {
        if next.is_empty() || next.len() > MAX_CHECKPOINT_TEXT_BYTES {
            return Err(GuardFault::Length(next.len()).into());
        }
        let found = self.current()?;
        if found.as_deref() != expected {
            let conflict = GuardFault::Conflict {
                expected: expected.map(head_of),
                found: found.as_deref().map(head_of),
            };
            return Err(conflict.into());
        }
        self.faults.at(FaultPoint::BeforeGuardAdvance, &self.path)?;
        files::replace_file(&self.path, next)?;
        self.faults.at(FaultPoint::AfterGuardAdvance, &self.path)
    }
}

/// The checkpoint in a guard's directory, whoever holds its lock.
pub(super) fn read(dir: &Path) -> Result<Option<Bytes>, StoreFault> {
    read_file(&file_in(dir))
}

/// Where the checkpoint lies in a guard's directory.
pub(super) fn file_in(dir: &Path) -> PathBuf {
    dir.join(GUARD_NAME)
}

fn read_file(path: &Path) -> Result<Option<Bytes>, StoreFault> {
    let limit = MAX_CHECKPOINT_TEXT_BYTES as u64;
    Ok(files::read_small(path, limit)?.map(Bytes::from))
}

/// Origin and size of a checkpoint, for a message.
fn head_of(checkpoint: &[u8]) -> String {
    let text = String::from_utf8_lossy(checkpoint);
    text.lines().take(2).collect::<Vec<_>>().join(" ")
}
