//! One process per directory: an exclusive lock on a file in it, held for as long as the value
//! lives.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use super::fault::{StoreFault, io_at};

const LOCK_NAME: &str = "LOCK";

/// The right to write in a directory. The system takes it back when the process ends, however it
/// ends.
#[derive(Debug)]
pub struct DirectoryLock {
    _file: File,
}

impl DirectoryLock {
    /// Takes the lock or says who is in the way; never waits.
    pub fn acquire(dir: &Path) -> Result<Self, StoreFault> {
        let path = dir.join(LOCK_NAME);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(io_at("open", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(StoreFault::InUse(dir.to_owned())),
            Err(TryLockError::Error(source)) => Err(io_at("lock", &path)(source)),
        }
    }
}
