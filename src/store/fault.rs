//! What goes wrong in a store. Words for the log; a client never sees them.

use std::io;
use std::path::{Path, PathBuf};

use super::guard::GuardFault;
use super::journal::JournalFault;
use super::keyspace::Key;
use crate::domain::EntryIndex;
use crate::ledger::frame::FrameFault;

/// Why the store cannot do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreFault {
    /// A file or directory failed. Whether the bytes are durable is not known.
    #[error("{action} {path:?}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process, or another part of this one, has the directory.
    #[error("{0:?} is in use by another instance")]
    InUse(PathBuf),
    /// A store would be made where something is.
    #[error("{0:?} is not empty; a new store takes nothing over")]
    NotEmpty(PathBuf),
    /// What lies there is not a store of this version.
    #[error("{path:?}: {rule}")]
    Format {
        /// Which file.
        path: PathBuf,
        /// Which rule it breaks.
        rule: String,
    },
    /// The journal cannot be read as written.
    #[error(transparent)]
    Journal(#[from] JournalFault),
    /// A group cannot be a frame. Nothing was written.
    #[error("the group is no frame: {0}")]
    Frame(#[from] FrameFault),
    /// The database said no.
    #[error("{action} the database: {source}")]
    Sled {
        /// What was tried.
        action: &'static str,
        /// What sled said.
        source: sled::Error,
    },
    /// The database panicked over what it found in its files.
    #[error("{0:?}: the database panicked while it was opened; rebuild it")]
    DatabasePanicked(PathBuf),
    /// A value of the database is not what its key says.
    #[error("database value {key}: {rule}")]
    Database {
        /// Which key.
        key: String,
        /// Which rule it breaks.
        rule: String,
    },
    /// The head guard stands elsewhere, or cannot be moved.
    #[error(transparent)]
    Guard(#[from] GuardFault),
    /// A group does not follow the last. Nothing was written.
    #[error("{place}: entry {expected} is next, not {found}")]
    Order {
        /// Journal or database.
        place: &'static str,
        /// What would follow.
        expected: EntryIndex,
        /// What came.
        found: EntryIndex,
    },
    /// Journal and database do not tell the same story.
    #[error("journal and database disagree at entry {index}: {detail}")]
    Disagreement {
        /// Where.
        index: EntryIndex,
        /// About what.
        detail: String,
    },
    /// An earlier fault left it unknown what is on disk. Nothing was written.
    #[error("the store stopped after an earlier fault; a restart reads what is on disk")]
    Poisoned,
}

impl StoreFault {
    /// Whether it is certain that nothing was changed.
    pub fn had_no_effect(&self) -> bool {
        match self {
            Self::InUse(_)
            | Self::NotEmpty(_)
            | Self::Format { .. }
            | Self::Frame(_)
            | Self::DatabasePanicked(_)
            | Self::Order { .. }
            | Self::Poisoned => true,
            Self::Io { .. }
            | Self::Journal(_)
            | Self::Sled { .. }
            | Self::Database { .. }
            | Self::Guard(_)
            | Self::Disagreement { .. } => false,
        }
    }

    /// Whether the database's files are not such that they can be read: damaged, or not all there.
    /// A power cut leaves that now and then, and the journal makes them again. A database that
    /// tells another story is something else, and so is a disk that fails.
    pub fn is_broken_database(&self) -> bool {
        use io::ErrorKind::{InvalidData, NotFound, UnexpectedEof};
        match self {
            Self::DatabasePanicked(_) => true,
            Self::Sled { source, .. } => match source {
                sled::Error::Corruption { .. } | sled::Error::ReportableBug(_) => true,
                sled::Error::Io(fault) => {
                    matches!(fault.kind(), InvalidData | NotFound | UnexpectedEof)
                }
                sled::Error::CollectionNotFound(_) | sled::Error::Unsupported(_) => false,
            },
            Self::Io { .. }
            | Self::InUse(_)
            | Self::NotEmpty(_)
            | Self::Format { .. }
            | Self::Journal(_)
            | Self::Frame(_)
            | Self::Database { .. }
            | Self::Guard(_)
            | Self::Order { .. }
            | Self::Disagreement { .. }
            | Self::Poisoned => false,
        }
    }

    pub(super) fn value(key: &Key, rule: impl Into<String>) -> Self {
        Self::Database { key: key.to_string(), rule: rule.into() }
    }
}

/// Names the action and the path of a system error.
pub(super) fn io_at(
    action: &'static str,
    path: impl AsRef<Path>,
) -> impl FnOnce(io::Error) -> StoreFault {
    let path = path.as_ref().to_owned();
    move |source| StoreFault::Io { action, path, source }
}

/// Names the action of a database error.
pub(super) fn sled_at(action: &'static str) -> impl FnOnce(sled::Error) -> StoreFault {
    move |source| StoreFault::Sled { action, source }
}
