//! Small steps on files, each durable when it returns.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use super::fault::{StoreFault, io_at};
use crate::limits::MAX_SET_ASIDE;

/// Makes a directory and its name in its parent durable. Parents that are missing are made too.
pub(super) fn make_dir(path: &Path) -> Result<(), StoreFault> {
    fs::create_dir_all(path).map_err(io_at("make directory", path))?;
    sync_dir(path)?;
    match path.parent() {
        Some(parent) if parent != Path::new("") => sync_dir(parent),
        Some(_) => sync_dir(Path::new(".")),
        None => Ok(()),
    }
}

/// Makes the names in a directory durable.
pub(super) fn sync_dir(path: &Path) -> Result<(), StoreFault> {
    let dir = File::open(path).map_err(io_at("open directory", path))?;
    dir.sync_all().map_err(io_at("sync directory", path))
}

/// Replaces a file by new content: whole or not at all, whatever happens between.
pub(super) fn replace_file(path: &Path, content: &[u8]) -> Result<(), StoreFault> {
    let next = path.with_extension("next");
    let mut file = File::create(&next).map_err(io_at("create", &next))?;
    file.write_all(content).map_err(io_at("write", &next))?;
    // A crash here leaves the old file under its name.
    file.sync_all().map_err(io_at("sync", &next))?;
    fs::rename(&next, path).map_err(io_at("rename to", path))?;
    // A crash here leaves the old or the new one, each whole.
    sync_dir(path.parent().unwrap_or(Path::new(".")))
}

/// The directory that a path lies in.
pub(super) fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."))
}

/// Renames, unless there is something under the new name: then it is `AlreadyExists`, and nothing
/// was changed.
pub(super) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        use rustix::io::Errno;
        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            // A file system that cannot: the look before the rename has to do.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {}
            other => return Ok(other?),
        }
    }
    if to.symlink_metadata().is_ok() {
        return Err(io::ErrorKind::AlreadyExists.into());
    }
    fs::rename(from, to)
}

/// Whether an open file is still the one of a name.
#[cfg(unix)]
pub(super) fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let id = |found: fs::Metadata| (found.dev(), found.ino());
    let (opened, named) = (file.metadata().map(id), path.symlink_metadata().map(id));
    matches!((opened, named), (Ok(opened), Ok(named)) if opened == named)
}

/// Whether an open file is still the one of a name.
#[cfg(not(unix))]
pub(super) fn is_at(_file: &File, path: &Path) -> bool {
    path.exists()
}

/// Bytes that are free in the file system of a directory; `None` where that cannot be asked.
pub(super) fn free_bytes(dir: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(dir).ok()?;
    found.f_bavail.checked_mul(found.f_frsize)
}

/// A small file's content; `None` when there is no file.
pub(super) fn read_small(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, StoreFault> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(absent) if absent.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(other) => return Err(io_at("open", path)(other)),
    };
    let mut content = Vec::new();
    file.take(limit + 1).read_to_end(&mut content).map_err(io_at("read", path))?;
    if content.len() as u64 > limit {
        let rule = format!("the file is longer than {limit} bytes");
        return Err(StoreFault::Format { path: path.to_owned(), rule });
    }
    Ok(Some(content))
}

/// Reserves a file's bytes as zeros, so that a power cut never shows what the disk held before.
pub(super) fn reserve_zeros(file: &mut File, from: u64, to: u64) -> io::Result<()> {
    if to <= from {
        return Ok(());
    }
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{FallocateFlags, fallocate};
        match fallocate(&*file, FallocateFlags::empty(), from, to - from) {
            Ok(()) => return Ok(()),
            Err(rustix::io::Errno::OPNOTSUPP) => {}
            Err(other) => return Err(other.into()),
        }
    }
    write_zeros(file, from, to)
}

fn write_zeros(file: &mut File, from: u64, to: u64) -> io::Result<()> {
    use std::io::{Seek as _, SeekFrom};
    static BLANK: [u8; 64 * 1024] = [0; 64 * 1024];
    file.seek(SeekFrom::Start(from))?;
    let mut left = to - from;
    while left > 0 {
        let now = left.min(BLANK.len() as u64);
        file.write_all(&BLANK[..usize::try_from(now).unwrap_or(BLANK.len())])?;
        left -= now;
    }
    Ok(())
}

/// A new file for writing; refuses one that exists.
pub(super) fn create_new(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).open(path)
}

/// The first name of the form `<stem><n>` that is free.
pub(super) fn free_name(dir: &Path, stem: &str) -> Result<PathBuf, StoreFault> {
    let mut names = (1..=MAX_SET_ASIDE).map(|number| dir.join(format!("{stem}{number}")));
    names.find(|path| !path.exists()).ok_or_else(|| StoreFault::Format {
        path: dir.to_owned(),
        rule: format!("{MAX_SET_ASIDE} of {stem}* are set aside here already; clear them away"),
    })
}

/// Reads from a place of a file that others read too.
pub(super) fn read_at(file: &File, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
    #[cfg(unix)]
    {
        std::os::unix::fs::FileExt::read_exact_at(file, bytes, offset)
    }
    #[cfg(windows)]
    {
        let (mut offset, mut rest) = (offset, bytes);
        // Each turn reads at least a byte.
        while !rest.is_empty() {
            let read = std::os::windows::fs::FileExt::seek_read(file, rest, offset)?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            offset += read as u64;
            rest = &mut rest[read..];
        }
        Ok(())
    }
}
