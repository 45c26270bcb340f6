//! One instance for one directory.

use std::fs::{File, TryLockError};
use std::path::Path;

use super::fault::StoreFault;

/// A lock that is held as long as it lives; the system frees it when the process dies.
#[derive(Debug)]
pub struct DirectoryLock {
    _file: File,
}

impl DirectoryLock {
    /// Takes it, or says that another instance has it.
    pub fn take(directory: &Path) -> Result<Self, StoreFault> {
        let path = directory.join("LOCK");
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|error| StoreFault::io("open", &path, error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => {
                Err(StoreFault::Locked { path: directory.to_path_buf() })
            }
            Err(TryLockError::Error(error)) => Err(StoreFault::io("lock", &path, error)),
        }
    }
}
