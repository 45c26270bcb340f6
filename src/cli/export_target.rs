//! The directory that an export is written to.
//!
//! Files come whole or not at all, and stay as they are. The checkpoint comes last, when everything
//! that it speaks of is on disk; so a reader never sees one whose tiles are not there.

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::domain::EntryIndex;
use crate::ledger::checkpoint::{Checkpoint, SignedCheckpoint};
use crate::limits::MAX_CHECKPOINT_BYTES;

/// Name of the checkpoint in an export.
pub(super) const CHECKPOINT_NAME: &str = "checkpoint";
/// Folder of the checkpoints at which the ledger's key changed.
pub(super) const ROTATION_FOLDER: &str = "rotation";
/// Folder of tiles and entry bundles.
const TILE_FOLDER: &str = "tile";
/// How a file that is being written is called.
const UNFINISHED: &str = "next";

/// Path, in an export, of the checkpoint that ends with a rotation.
pub(super) fn rotation_name(at: EntryIndex) -> String {
    format!("{ROTATION_FOLDER}/{at}")
}

/// The directory, held exclusively.
pub(super) struct Target {
    dir: PathBuf,
    /// The directory itself, locked; the system lets go of it when the process ends.
    _lock: File,
    /// Directories with new names in them, which are not durable yet.
    unsynced: BTreeSet<PathBuf>,
    written: u64,
    kept: u64,
}

impl Target {
    /// Makes the directory if it is missing. One that holds anything but an export is refused.
    pub(super) fn open(dir: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
        let lock = File::open(dir).with_context(|| format!("cannot open {}", dir.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                bail!("another export writes into {} just now", dir.display())
            }
            Err(TryLockError::Error(fault)) => {
                return Err(fault).with_context(|| format!("cannot lock {}", dir.display()));
            }
        }
        let known = [CHECKPOINT_NAME, ROTATION_FOLDER, TILE_FOLDER];
        let unfinished = format!("{CHECKPOINT_NAME}.{UNFINISHED}");
        for entry in fs::read_dir(dir)? {
            let name = entry?.file_name();
            let is_ours = name == *unfinished || known.iter().any(|known| name == **known);
            if !is_ours {
                let (dir, name) = (dir.display(), name.display());
                bail!("{dir} is no export: it holds {name}; give a directory that is new or empty");
            }
        }
        let (dir, unsynced) = (dir.to_owned(), BTreeSet::new());
        Ok(Self { dir, _lock: lock, unsynced, written: 0, kept: 0 })
    }

    /// What the checkpoint of an earlier export says.
    pub(super) fn checkpoint(&self) -> anyhow::Result<Option<Checkpoint>> {
        let path = self.dir.join(CHECKPOINT_NAME);
        let Some(text) = read_at_most(&path, MAX_CHECKPOINT_BYTES)? else { return Ok(None) };
        let (said, _) = SignedCheckpoint::parse(&text)
            .with_context(|| format!("{} is no checkpoint of an export", path.display()))?;
        Ok(Some(said))
    }

    /// Writes a file, durably, or finds that it is there. One with other content is refused: what
    /// an export said once it says for ever.
    pub(super) fn put(&mut self, name: &str, content: &[u8]) -> anyhow::Result<()> {
        let path = self.dir.join(name);
        match read_at_most(&path, content.len())? {
            Some(found) if found == content => {
                self.kept += 1;
                return Ok(());
            }
            Some(_) => bail!(
                "{} is there already with other content: it was changed, or is another ledger's; \
                 nothing was written over it",
                path.display()
            ),
            None => {}
        }
        self.replace(&path, content)
    }

    /// Makes everything durable, then the checkpoint. One of the same tree stays: others may have
    /// cosigned it.
    pub(super) fn finish(
        &mut self,
        name: &str,
        text: &[u8],
        checkpoint: &Checkpoint,
    ) -> anyhow::Result<()> {
        self.sync_names()?;
        if self.checkpoint()?.as_ref() == Some(checkpoint) {
            self.kept += 1;
            return Ok(());
        }
        let path = self.dir.join(name);
        self.replace(&path, text)?;
        // And the directory's own name.
        let above = self.dir.parent().filter(|above| *above != Path::new(""));
        self.unsynced.insert(above.unwrap_or(Path::new(".")).to_owned());
        self.sync_names()
    }

    /// Files that were written.
    pub(super) const fn written(&self) -> u64 {
        self.written
    }

    /// Files that were there already.
    pub(super) const fn kept(&self) -> u64 {
        self.kept
    }

    fn replace(&mut self, path: &Path, content: &[u8]) -> anyhow::Result<()> {
        let parent = path.parent().unwrap_or(&self.dir);
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
        let unfinished = path.with_extension(UNFINISHED);
        write_durably(&unfinished, content)
            .with_context(|| format!("cannot write {}", unfinished.display()))?;
        // A crash here leaves a file that the next export writes anew.
        fs::rename(&unfinished, path).with_context(|| format!("cannot name {}", path.display()))?;
        self.written += 1;
        // The way up ends at the directory itself, and is as long as a path of a tile.
        let above = parent.ancestors().take_while(|above| above.starts_with(&self.dir));
        self.unsynced.extend(above.map(Path::to_owned));
        Ok(())
    }

    fn sync_names(&mut self) -> anyhow::Result<()> {
        for dir in std::mem::take(&mut self.unsynced) {
            let synced = File::open(&dir).and_then(|dir| dir.sync_all());
            synced.with_context(|| format!("cannot sync {}", dir.display()))?;
        }
        Ok(())
    }
}

fn write_durably(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// A file's content, and one byte more than `limit` of a longer one; `None` when there is no file.
pub(super) fn read_at_most(path: &Path, limit: usize) -> anyhow::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(absent) if absent.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(fault) => return Err(fault).with_context(|| format!("cannot open {}", path.display())),
    };
    let mut content = Vec::new();
    let limit = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let read = file.take(limit).read_to_end(&mut content);
    read.with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Some(content))
}
