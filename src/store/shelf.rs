//! A directory of small files that are replaced whole: each holds the last of something that only
//! moves forward.

use std::path::{Path, PathBuf};

use super::fault::StoreFault;
use super::files;
use super::lock::DirectoryLock;

/// The directory. A file in it is the old or the new one, each whole, whatever happens between.
#[derive(Debug)]
pub struct Shelf {
    dir: PathBuf,
    limit: u64,
    _lock: Option<DirectoryLock>,
}

impl Shelf {
    /// Opens one for this process alone, for files of at most `limit` bytes. Makes it where it is
    /// missing.
    pub fn open(dir: &Path, limit: u64) -> Result<Self, StoreFault> {
        files::make_dir(dir)?;
        let lock = Some(DirectoryLock::acquire(dir)?);
        Ok(Self { dir: dir.to_owned(), limit, _lock: lock })
    }

    /// One in a directory that is locked already.
    pub(super) fn within(dir: &Path, limit: u64) -> Result<Self, StoreFault> {
        files::make_dir(dir)?;
        Ok(Self { dir: dir.to_owned(), limit, _lock: None })
    }

    /// A file's content; `None` when there is no such file.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StoreFault> {
        files::read_small(&self.path(name)?, self.limit)
    }

    /// Puts a file in the place of the one of that name. It is durable when this returns; after a
    /// fault it is not known which of the two is there.
    pub fn replace(&self, name: &str, content: &[u8]) -> Result<(), StoreFault> {
        let path = self.path(name)?;
        if content.len() as u64 > self.limit {
            let rule = format!("at most {} bytes, not {}", self.limit, content.len());
            return Err(StoreFault::Format { path, rule });
        }
        files::replace_file(&path, content)
    }

    /// A name never leads out of the directory, nor to its lock.
    fn path(&self, name: &str) -> Result<PathBuf, StoreFault> {
        let is_name = !name.is_empty()
            && name.len() <= 64
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        if is_name {
            return Ok(self.dir.join(name));
        }
        let rule = "the name is not of lower-case letters and digits".to_owned();
        Err(StoreFault::Format { path: self.dir.clone(), rule })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_replaced_whole_and_one_process_has_them() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = Shelf::open(folder.path(), 8).unwrap();
        assert!(matches!(Shelf::open(folder.path(), 8), Err(StoreFault::InUse(_))));
        assert_eq!(shelf.read("a1").unwrap(), None);
        shelf.replace("a1", b"first").unwrap();
        shelf.replace("a1", b"second").unwrap();
        assert_eq!(shelf.read("a1").unwrap().as_deref(), Some(&b"second"[..]));
        assert!(matches!(shelf.replace("a1", b"too long!"), Err(StoreFault::Format { .. })));
        for name in ["", "LOCK", "..", "a/b", "a.b"] {
            assert!(matches!(shelf.read(name), Err(StoreFault::Format { .. })), "{name}");
        }
        drop(shelf);
        // What a crash between write and rename leaves is not the file.
        std::fs::write(folder.path().join("a1.next"), b"torn").unwrap();
        let shelf = Shelf::open(folder.path(), 8).unwrap();
        assert_eq!(shelf.read("a1").unwrap().as_deref(), Some(&b"second"[..]));
    }
}
