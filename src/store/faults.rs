//! Faults that tests put between the steps of a commit. Without one installed they cost a branch.

use std::fmt;
use std::sync::Arc;

use super::fault::StoreFault;

/// A place in the write path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names say where")]
pub enum FaultPoint {
    BeforeJournalWrite,
    /// Half of the frame is written: what a crash in the middle of a write leaves.
    MidJournalWrite,
    AfterJournalWrite,
    AfterJournalSync,
    BeforeDatabaseWrite,
    AfterDatabaseWrite,
    BeforeSign,
    AfterSign,
    AfterCheckpointWrite,
    BeforeGuard,
    AfterGuard,
    BeforeReply,
    BeforeDatabaseSync,
    AfterDatabaseSync,
}

impl FaultPoint {
    /// All of them, in the order of a commit.
    pub const ALL: &'static [Self] = &[
        Self::BeforeJournalWrite,
        Self::MidJournalWrite,
        Self::AfterJournalWrite,
        Self::AfterJournalSync,
        Self::BeforeDatabaseWrite,
        Self::AfterDatabaseWrite,
        Self::BeforeSign,
        Self::AfterSign,
        Self::AfterCheckpointWrite,
        Self::BeforeGuard,
        Self::AfterGuard,
        Self::BeforeReply,
        Self::BeforeDatabaseSync,
        Self::AfterDatabaseSync,
    ];
}

type Hook = dyn Fn(FaultPoint) -> bool + Send + Sync;

/// Decides where to fail; by default nowhere.
#[derive(Clone, Default)]
pub struct Faults(Option<Arc<Hook>>);

impl Faults {
    /// Fails wherever the hook says so.
    pub fn new(hook: impl Fn(FaultPoint) -> bool + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(hook)))
    }

    /// Fails here if the hook says so.
    pub fn at(&self, point: FaultPoint) -> Result<(), StoreFault> {
        match &self.0 {
            Some(hook) if hook(point) => Err(StoreFault::Injected(point)),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Faults(hook)" } else { "Faults(none)" })
    }
}
