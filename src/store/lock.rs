//! One process per directory: an exclusive lock on a file in it, held for as long as the value
//! lives.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
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
    /// Keeps everybody who would write out of a directory, and makes nothing in it; `None` where
    /// nobody ever wrote.
    pub fn keep_still(dir: &Path) -> Result<Option<Self>, StoreFault> {
        let path = dir.join(LOCK_NAME);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(absent) if absent.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(other) => return Err(io_at("open", &path)(other)),
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Err(StoreFault::InUse(dir.to_owned())),
            Err(TryLockError::Error(source)) => Err(io_at("lock", &path)(source)),
        }
    }

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
