//! Small files beside the ledger that can be made to go away: drafts, and the openings of private
//! facts.
//!
//! Nothing here is part of the record: whoever loses a drawer loses no entry, and a rebuild of the
//! database leaves it alone. The database is no place for what must be erasable: it keeps old
//! values on disk for as long as it likes.
//!
//! A file appears whole or not at all. One that is removed is overwritten first; what a
//! copy-on-write file system, a flash translation layer or a backup keeps of it is beyond us, and
//! `docs/PRIVACY.md` says so.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::fault::{StoreFault, io_at};
use super::files;
use crate::limits::{MAX_CABINET_FILE_BYTES, MAX_CABINET_NAME_BYTES};

/// What lies in a drawer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drawer {
    /// Events that wait for a second signature.
    Drafts,
    /// Salts and facts behind commitments.
    Openings,
}

impl Drawer {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Drafts, Self::Openings];

    /// Its directory, beside the ledger.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Drafts => "drafts",
            Self::Openings => "openings",
        }
    }
}

/// One drawer of small files.
#[derive(Debug, Clone)]
pub struct Cabinet {
    dir: PathBuf,
}

/// Of a file that is being written. A crash leaves it; the next opening wipes it.
const UNFINISHED: &str = "next";

impl Cabinet {
    /// Opens a drawer, makes it where it is missing, and wipes what a crash left half written.
    pub(super) fn open(data: &Path, drawer: Drawer) -> Result<Self, StoreFault> {
        let dir = data.join(drawer.name());
        files::make_dir(&dir)?;
        keep_to_owner(&dir, 0o700)?;
        let cabinet = Self { dir };
        for entry in cabinet.entries()? {
            let path = entry.map_err(io_at("list", &cabinet.dir))?.path();
            if path.extension().is_some_and(|extension| extension == UNFINISHED) {
                wipe(&path)?;
            }
        }
        files::sync_dir(&cabinet.dir)?;
        Ok(cabinet)
    }

    /// Puts a file in, durably; one of that name is wiped and replaced.
    pub fn put(&self, name: &str, content: &[u8]) -> Result<(), StoreFault> {
        let path = self.path(name)?;
        if content.len() as u64 > MAX_CABINET_FILE_BYTES {
            let rule = format!("at most {MAX_CABINET_FILE_BYTES} bytes, not {}", content.len());
            return Err(StoreFault::Format { path, rule });
        }
        let next = path.with_extension(UNFINISHED);
        let mut file = new_file(&next).map_err(io_at("create", &next))?;
        file.write_all(content).map_err(io_at("write", &next))?;
        file.sync_all().map_err(io_at("sync", &next))?;
        // The old bytes are reached through this handle when their name is gone.
        let old = if path.exists() { Some(writable(&path)?) } else { None };
        // A crash here leaves the old file, and an unfinished one that the next opening wipes.
        fs::rename(&next, &path).map_err(io_at("rename to", &path))?;
        files::sync_dir(&self.dir)?;
        // A crash here leaves the new file, and the old bytes unwiped in space that is free: better
        // than to lose a draft with its signatures.
        old.map_or(Ok(()), |old| overwrite(old, &path))
    }

    /// A file's content; `None` when there is no such file, or only a wiped one.
    pub fn get(&self, name: &str) -> Result<Option<Vec<u8>>, StoreFault> {
        let content = files::read_small(&self.path(name)?, MAX_CABINET_FILE_BYTES)?;
        Ok(content.filter(|content| content.iter().any(|byte| *byte != 0)))
    }

    /// Removes a file, durably, and its bytes from where they lay. Whether there was one.
    pub fn remove(&self, name: &str) -> Result<bool, StoreFault> {
        let path = self.path(name)?;
        if !path.exists() {
            return Ok(false);
        }
        wipe(&path)?;
        files::sync_dir(&self.dir)?;
        Ok(true)
    }

    /// The names of at most `limit` files, in no order.
    pub fn names(&self, limit: usize) -> Result<Vec<String>, StoreFault> {
        let mut names = Vec::new();
        for entry in self.entries()? {
            let name = entry.map_err(io_at("list", &self.dir))?.file_name();
            if let Some(name) = name.to_str().filter(|name| is_name(name)) {
                names.push(name.to_owned());
            }
            if names.len() >= limit {
                break;
            }
        }
        Ok(names)
    }

    fn entries(&self) -> Result<fs::ReadDir, StoreFault> {
        fs::read_dir(&self.dir).map_err(io_at("list", &self.dir))
    }

    /// A name never leads out of the drawer.
    fn path(&self, name: &str) -> Result<PathBuf, StoreFault> {
        if is_name(name) {
            return Ok(self.dir.join(name));
        }
        let rule = "the name is not of hexadecimal digits and hyphens".to_owned();
        Err(StoreFault::Format { path: self.dir.clone(), rule })
    }
}

pub(super) fn is_name(name: &str) -> bool {
    let is_short = (1..=MAX_CABINET_NAME_BYTES).contains(&name.len());
    is_short && name.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-'))
}

/// A new file that only its owner reads.
fn new_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path)
}

#[cfg(unix)]
fn keep_to_owner(path: &Path, mode: u32) -> Result<(), StoreFault> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .map_err(io_at("set permissions of", path))
}

#[cfg(not(unix))]
fn keep_to_owner(_path: &Path, _mode: u32) -> Result<(), StoreFault> {
    Ok(())
}

fn writable(path: &Path) -> Result<File, StoreFault> {
    OpenOptions::new().write(true).open(path).map_err(io_at("open", path))
}

/// Zeros over a file's bytes, on disk.
fn overwrite(mut file: File, path: &Path) -> Result<(), StoreFault> {
    let length = file.metadata().map_err(io_at("look at", path))?.len();
    let length = usize::try_from(length.min(MAX_CABINET_FILE_BYTES)).unwrap_or(0);
    file.write_all(&vec![0; length]).map_err(io_at("overwrite", path))?;
    file.sync_all().map_err(io_at("sync", path))
}

/// Overwrites and unlinks. A crash between leaves zeros, which read as nothing.
fn wipe(path: &Path) -> Result<(), StoreFault> {
    overwrite(writable(path)?, path)?;
    fs::remove_file(path).map_err(io_at("remove", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_and_go() {
        let folder = tempfile::tempdir().unwrap();
        let cabinet = Cabinet::open(folder.path(), Drawer::Drafts).unwrap();
        assert_eq!(cabinet.get("01").unwrap(), None);
        cabinet.put("01", b"a fact").unwrap();
        cabinet.put("02", b"another").unwrap();
        cabinet.put("01", b"a newer fact").unwrap();
        assert_eq!(cabinet.get("01").unwrap().as_deref(), Some(&b"a newer fact"[..]));
        let mut names = cabinet.names(10).unwrap();
        names.sort();
        assert_eq!(names, ["01", "02"]);
        assert_eq!(cabinet.names(1).unwrap().len(), 1);

        // Another opening finds the same.
        let again = Cabinet::open(folder.path(), Drawer::Drafts).unwrap();
        assert!(again.remove("01").unwrap());
        assert!(!again.remove("01").unwrap());
        assert_eq!(cabinet.get("01").unwrap(), None);
        assert_eq!(again.names(10).unwrap(), ["02"]);
    }

    #[test]
    fn a_name_never_leads_out() {
        let folder = tempfile::tempdir().unwrap();
        let cabinet = Cabinet::open(folder.path(), Drawer::Openings).unwrap();
        let long = "0".repeat(MAX_CABINET_NAME_BYTES + 1);
        for name in ["", "..", "../01", "a/b", "A", "01.next", long.as_str()] {
            assert!(cabinet.put(name, b"x").is_err(), "{name}");
            assert!(cabinet.get(name).is_err(), "{name}");
            assert!(cabinet.remove(name).is_err(), "{name}");
        }
    }

    #[test]
    fn what_a_crash_left_half_written_is_wiped() {
        let folder = tempfile::tempdir().unwrap();
        let cabinet = Cabinet::open(folder.path(), Drawer::Openings).unwrap();
        cabinet.put("01", b"kept").unwrap();
        let half = folder.path().join("openings/02.next");
        fs::write(&half, b"half a secret").unwrap();
        // A crash between overwriting and unlinking leaves zeros.
        fs::write(folder.path().join("openings/03"), [0; 16]).unwrap();
        let cabinet = Cabinet::open(folder.path(), Drawer::Openings).unwrap();
        assert!(!half.exists());
        assert_eq!(cabinet.get("03").unwrap(), None);
        assert_eq!(cabinet.get("01").unwrap().as_deref(), Some(&b"kept"[..]));
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_reads() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let cabinet = Cabinet::open(folder.path(), Drawer::Openings).unwrap();
        cabinet.put("01", b"x").unwrap();
        let mode = |path: &str| {
            fs::metadata(folder.path().join(path)).unwrap().permissions().mode() & 0o777
        };
        assert_eq!((mode("openings"), mode("openings/01")), (0o700, 0o600));
    }

    #[test]
    fn a_file_beyond_its_limit_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let cabinet = Cabinet::open(folder.path(), Drawer::Drafts).unwrap();
        let most = usize::try_from(MAX_CABINET_FILE_BYTES).unwrap();
        cabinet.put("01", &vec![1; most]).unwrap();
        assert!(cabinet.put("02", &vec![1; most + 1]).is_err());
        assert_eq!(cabinet.names(10).unwrap(), ["01"]);
    }
}
