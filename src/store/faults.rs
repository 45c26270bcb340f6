//! Fault hooks: a test makes a durable step fail before or after it happened. The files and the
//! database are always the real ones.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::fault::{StoreFault, io_at};

/// A place in the write path. What a crash there means stands beside each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultPoint {
    /// Nothing of the group is anywhere: it never happened.
    BeforeJournalWrite,
    /// The group may be in the journal, whole, in part or not at all; nobody was told.
    AfterJournalWrite,
    /// A new segment is about to be made; the last one stays whole.
    BeforeJournalRotation,
    /// The new segment is in the directory, and empty.
    AfterJournalRotation,
    /// The group may be in the journal; nobody was told.
    BeforeJournalSync,
    /// The group is durable; nobody was told. A restart brings it into the database.
    AfterJournalSync,
    /// As after the journal's sync.
    BeforeDatabaseWrite,
    /// The database has the group, perhaps not durably; a restart writes it again if not.
    AfterDatabaseWrite,
    /// As after the database's write.
    BeforeDatabaseSync,
    /// The database is durable up to here.
    AfterDatabaseSync,
    /// The group's checkpoint is not stored; signing is deterministic, so a restart makes the same
    /// again.
    BeforeCheckpointWrite,
    /// The checkpoint is stored; nobody was told.
    AfterCheckpointWrite,
    /// The journal is ahead of the guard, which is fine: a restart advances it.
    BeforeGuardAdvance,
    /// The guard is durable; only the reply is missing.
    AfterGuardAdvance,
    /// Half of the frame is in the journal: what a crash in the middle of its write leaves.
    MidJournalWrite,
    /// Journal and database have the group; nothing is signed over it yet.
    BeforeSign,
    /// The checkpoint is signed and nowhere kept; a restart signs the same bytes again.
    AfterSign,
    /// Everything is durable; the caller was not told, and asks again.
    BeforeReply,
}

impl FaultPoint {
    /// The points of a commit in its order, then those of a sync; a rotation's come now and then.
    pub const STEPS: &'static [Self] = &[
        Self::BeforeJournalWrite,
        Self::MidJournalWrite,
        Self::AfterJournalWrite,
        Self::BeforeJournalSync,
        Self::AfterJournalSync,
        Self::BeforeDatabaseWrite,
        Self::AfterDatabaseWrite,
        Self::BeforeSign,
        Self::AfterSign,
        Self::BeforeCheckpointWrite,
        Self::AfterCheckpointWrite,
        Self::BeforeGuardAdvance,
        Self::AfterGuardAdvance,
        Self::BeforeReply,
        Self::BeforeDatabaseSync,
        Self::AfterDatabaseSync,
    ];
}

type Hook = dyn Fn(FaultPoint) -> io::Result<()> + Send + Sync;

/// The hook, if any.
#[derive(Clone, Default)]
pub struct Faults(Option<Arc<Hook>>);

impl Faults {
    /// Asks `hook` at every point; an error from it is taken for one of the system.
    pub fn hook(hook: impl Fn(FaultPoint) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(hook)))
    }

    /// Fails wherever the hook says so.
    pub fn new(hook: impl Fn(FaultPoint) -> bool + Send + Sync + 'static) -> Self {
        Self::hook(
            move |point| {
                if hook(point) { Err(io::Error::other(format!("{point:?}"))) } else { Ok(()) }
            },
        )
    }

    pub(super) fn at(&self, point: FaultPoint, path: &Path) -> Result<(), StoreFault> {
        match &self.0 {
            None => Ok(()),
            Some(hook) => hook(point).map_err(io_at("fault hook at", path)),
        }
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Faults(hooked)" } else { "Faults(none)" })
    }
}
