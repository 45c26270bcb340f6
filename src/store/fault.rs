//! What goes wrong on a disk.

use std::io;
use std::path::{Path, PathBuf};

use crate::domain::{EntryCount, EntryIndex};
use crate::ledger::frame::FrameFault;

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreFault {
    /// The operating system said no.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What it said.
        #[source]
        source: io::Error,
    },
    /// A ledger is there already.
    #[error("{} holds a ledger already", path.display())]
    Exists {
        /// Where.
        path: PathBuf,
    },
    /// No ledger is there.
    #[error("{} holds no ledger", path.display())]
    NoLedger {
        /// Where.
        path: PathBuf,
    },
    /// Another version wrote it.
    #[error("{}: this software reads \"{}\", found \"{found}\"", path.display(), super::DISK_VERSION)]
    Version {
        /// Where.
        path: PathBuf,
        /// What it says.
        found: String,
    },
    /// Another instance has it.
    #[error("{} is in use by another instance", path.display())]
    Locked {
        /// Where.
        path: PathBuf,
    },
    /// An earlier write failed.
    #[error("an earlier write failed; a restart finds out what is on disk")]
    Poisoned,
    /// The journal is not as it was written.
    #[error("journal segment {}, offset {offset}, before entry {index}: {rule}", path.display())]
    Journal {
        /// Which segment.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// The entry that should come next.
        index: EntryIndex,
        /// What is wrong.
        rule: String,
    },
    /// A group that does not follow the last one.
    #[error("a group begins at entry {first}, and the journal ends at {end}")]
    OutOfOrder {
        /// Where it begins.
        first: EntryIndex,
        /// Where the journal ends.
        end: EntryCount,
    },
    /// A group beyond the limits.
    #[error("the group is too large for a frame")]
    GroupTooLarge,
    /// sled said no.
    #[error("the database failed")]
    Sled(#[source] sled::Error),
    /// A value of the database is not one.
    #[error("database key {key}: {rule}")]
    Database {
        /// Which, in hexadecimal.
        key: String,
        /// What is wrong.
        rule: String,
    },
    /// The guard holds something else than expected.
    #[error("the head guard in {} holds another checkpoint than this instance wrote", path.display())]
    GuardConflict {
        /// Where.
        path: PathBuf,
    },
    /// Too many databases were moved aside.
    #[error("{} holds too many databases that were moved aside; remove some", path.display())]
    TooManyLost {
        /// Where.
        path: PathBuf,
    },
    /// A thread could not be started.
    #[error("a thread cannot be started")]
    Thread(#[source] io::Error),
    /// A test wanted it.
    #[error("a fault was injected {0:?}")]
    Injected(super::faults::FaultPoint),
}

impl StoreFault {
    /// An error of the operating system, with what was tried.
    pub fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_path_buf(), source }
    }

    /// A thread that could not be started.
    pub fn thread(source: io::Error) -> Self {
        Self::Thread(source)
    }

    /// A frame that is not one, with its place.
    pub fn frame(path: &Path, offset: u64, index: EntryIndex, fault: &FrameFault) -> Self {
        Self::Journal { path: path.to_path_buf(), offset, index, rule: fault.to_string() }
    }
}

impl From<sled::Error> for StoreFault {
    fn from(error: sled::Error) -> Self {
        Self::Sled(error)
    }
}
