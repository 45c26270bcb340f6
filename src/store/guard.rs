//! The head guard: the last signed checkpoint, in a place of its own.
//!
//! It makes an old copy notice that it is old. It is advanced by compare-and-swap with every group, under a
//! lock, synced before the reply. What lies in it is opaque here.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::fault::StoreFault;
use super::faults::{FaultPoint, Faults};
use super::lock::DirectoryLock;
use super::{make_directory, write_durably};
use crate::limits::MAX_CHECKPOINT_BYTES;

/// An open guard.
#[derive(Debug)]
pub struct Guard {
    file: PathBuf,
    faults: Faults,
    _lock: DirectoryLock,
}

impl Guard {
    /// Opens the guard in its directory, which is made if it is not there.
    pub fn open(directory: &Path, faults: &Faults) -> Result<Self, StoreFault> {
        make_directory(directory)?;
        let lock = DirectoryLock::take(directory)?;
        Ok(Self { file: directory.join(FILE), faults: faults.clone(), _lock: lock })
    }

    /// The checkpoint that it holds.
    pub fn current(&self) -> Result<Option<Bytes>, StoreFault> {
        read(&self.file)
    }

    /// Puts the next checkpoint in the place of the expected one; durable when it returns.
    pub fn advance(&self, expected: Option<&[u8]>, next: &[u8]) -> Result<(), StoreFault> {
        self.faults.at(FaultPoint::BeforeGuard)?;
        if self.current()?.as_deref() != expected {
            return Err(StoreFault::GuardConflict { path: self.file.clone() });
        }
        // A crash before the rename: the old checkpoint stands, and the journal is ahead, which is fine.
        write_durably(&self.file, next)?;
        self.faults.at(FaultPoint::AfterGuard)
    }
}

/// Name of the file in the guard's directory.
pub(super) const FILE: &str = "guard";

pub(super) fn read(file: &Path) -> Result<Option<Bytes>, StoreFault> {
    match std::fs::read(file) {
        Ok(bytes) if bytes.len() <= MAX_CHECKPOINT_BYTES => Ok(Some(bytes.into())),
        Ok(_) => Err(StoreFault::GuardConflict { path: file.to_path_buf() }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreFault::io("read", file, error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_advances_only_from_what_it_holds() {
        let folder = tempfile::tempdir().unwrap();
        let guard = Guard::open(folder.path(), &Faults::default()).unwrap();
        assert_eq!(guard.current().unwrap(), None);
        guard.advance(None, b"one").unwrap();
        assert!(matches!(guard.advance(None, b"two"), Err(StoreFault::GuardConflict { .. })));
        assert!(matches!(
            guard.advance(Some(b"zero"), b"two"),
            Err(StoreFault::GuardConflict { .. })
        ));
        guard.advance(Some(b"one"), b"two").unwrap();
        assert_eq!(guard.current().unwrap().as_deref(), Some(&b"two"[..]));
        let second = Guard::open(folder.path(), &Faults::default());
        assert!(matches!(second, Err(StoreFault::Locked { .. })));
    }
}
