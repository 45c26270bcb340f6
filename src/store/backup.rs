//! A backup of a ledger in one file, made beside a running node: takes no lock, changes nothing.
//!
//! What goes in is what was signed: the head guard is read first, and the journal up to the end of
//! its checkpoint exactly. All of that was durable before the guard was moved, so however busy the
//! node is, no frame that is half written and no group that nobody signed for gets in.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::archive::{self, Member};
use super::cabinet::Drawer;
use super::fault::{StoreFault, io_at};
use super::format::Format;
use super::journal::{JournalCause, JournalFault};
use super::segment::{self, SegmentReader, Step};
use super::{FORMAT_NAME, JOURNAL_NAME, files, guard};
use crate::domain::{EntryCount, EntryIndex, PublicKey};
use crate::ledger::checkpoint::{Checkpoint, SignedCheckpoint};
use crate::ledger::frame;
use crate::ledger::hash::{RunningSha256, leaf_hash};
use crate::ledger::tree::Frontier;
use crate::limits::{MAX_BESIDE_READS, MAX_CABINET_FILE_BYTES, SEGMENT_HEADER_BYTES};

const BUFFER_BYTES: usize = 1 << 20;

/// What to back up, and where to.
#[derive(Debug, Clone)]
pub struct BackupPlan<'a> {
    /// The data directory.
    pub data: &'a Path,
    /// The head guard's directory.
    pub guard: &'a Path,
    /// The file that is made.
    pub to: &'a Path,
    /// Drawers that stay out of it.
    pub without: &'a [Drawer],
}

/// A backup that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackedUp {
    /// The checkpoint that it ends with.
    pub checkpoint: Checkpoint,
    /// The ledger's first key, as the store says.
    pub ledger_key: PublicKey,
    /// Drafts in it.
    pub drafts: u64,
    /// Openings in it.
    pub openings: u64,
    /// Bytes of the file.
    pub bytes: u64,
}

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupFault {
    /// A file failed, or the journal cannot be read as written.
    #[error(transparent)]
    Store(#[from] StoreFault),
    /// There is something under the name already.
    #[error("{0:?} exists, and a backup never replaces a file")]
    Exists(PathBuf),
    /// Another backup of the same name is being written.
    #[error("another backup is being written to {0:?}")]
    UnderWay(PathBuf),
    /// Without the guard's checkpoint it is not known what was signed.
    #[error("{0:?} holds no head guard: what the ledger has signed is not known; see doctor")]
    GuardMissing(PathBuf),
    /// The guard's checkpoint is not this journal's: a restore would refuse such a backup.
    #[error("the head guard's checkpoint is not this journal's: {0}")]
    GuardDisagrees(String),
}

/// Backs up a ledger; tells how many entries of how many are in.
pub fn back_up(
    plan: &BackupPlan<'_>,
    progress: &mut dyn FnMut(EntryCount, EntryCount),
) -> Result<BackedUp, BackupFault> {
    if plan.to.symlink_metadata().is_ok() {
        return Err(BackupFault::Exists(plan.to.to_owned()));
    }
    let format = Format::read(&plan.data.join(FORMAT_NAME))?;
    // The guard before the journal: what is appended meanwhile is newer than it, never older.
    let signed = guard::read(plan.guard)?;
    let signed = signed.ok_or_else(|| BackupFault::GuardMissing(plan.guard.to_owned()))?;
    let (checkpoint, _) = SignedCheckpoint::parse(&signed)
        .map_err(|it| BackupFault::GuardDisagrees(it.to_string()))?;
    if checkpoint.origin != format.origin {
        let (said, is) = (&checkpoint.origin, &format.origin);
        return Err(BackupFault::GuardDisagrees(format!("it is of {said}, and this is {is}")));
    }

    let mut container = Container::create(plan.to)?;
    container.put(&Member::Format, format.text().as_bytes())?;
    container.put(&Member::Checkpoint, &signed)?;
    copy_journal(plan.data, &format, &checkpoint, &mut container, progress)?;
    let mut counts = [0; 2];
    for (drawer, count) in Drawer::ALL.into_iter().zip(&mut counts) {
        if !plan.without.contains(&drawer) {
            *count = copy_drawer(plan.data, drawer, &mut container)?;
        }
    }
    let bytes = container.finish(plan.to)?;
    let [drafts, openings] = counts;
    Ok(BackedUp { checkpoint, ledger_key: format.ledger_key, drafts, openings, bytes })
}

/// Copies frames up to the end of the checkpoint. Each is read with its checksums and written
/// again, one in memory at a time; damage ends the backup, and is told by its place.
fn copy_journal(
    data: &Path,
    format: &Format,
    checkpoint: &Checkpoint,
    container: &mut Container,
    progress: &mut dyn FnMut(EntryCount, EntryCount),
) -> Result<(), BackupFault> {
    let (dir, ledger) = (data.join(JOURNAL_NAME), format.ledger_hash());
    let end = EntryIndex(checkpoint.size.0);
    let mut next = EntryIndex(0);
    let mut frontier = Frontier::default();
    for first in segment::list(&dir)? {
        if next >= end {
            break;
        }
        if first != next {
            let (segment, cause) = (segment::name(first), JournalCause::Gap(first));
            let fault = JournalFault { segment, offset: 0, entry: next, cause };
            return Err(StoreFault::from(fault).into());
        }
        // Everything up to the guard was acknowledged: what cannot be read there is damage.
        let reader = SegmentReader::open(&dir, &ledger, first, false).map_err(StoreFault::from)?;
        let header = segment::header(&ledger, first);
        container.put_parts(&Member::Segment(first), |part| {
            part(&header)?;
            next = copy_segment(reader, next, end, |bytes, group| {
                for entry in &group.entries {
                    frontier.push(leaf_hash(entry));
                }
                progress(frontier.size(), checkpoint.size);
                part(bytes)
            })?;
            Ok(())
        })?;
    }
    if next != end {
        let rule = format!("it has {end} entries, and the journal's groups end at {next}");
        return Err(BackupFault::GuardDisagrees(rule));
    }
    if frontier.root() != checkpoint.root {
        let (root, said) = (frontier.root(), checkpoint.root);
        let rule = format!("it has root {said}, and the journal's {end} entries have {root}");
        return Err(BackupFault::GuardDisagrees(rule));
    }
    Ok(())
}

/// Hands on the frames of a segment up to an end; answers what comes next.
fn copy_segment(
    mut reader: SegmentReader,
    first: EntryIndex,
    end: EntryIndex,
    mut frame: impl FnMut(&[u8], &frame::Group) -> Result<(), BackupFault>,
) -> Result<EntryIndex, BackupFault> {
    let mut next = first;
    debug_assert_eq!(reader.offset(), SEGMENT_HEADER_BYTES as u64);
    while next < end {
        match reader.step(next, EntryIndex(0)).map_err(StoreFault::from)? {
            Step::Group(group) if group.end() > end => {
                let (first, behind) = (group.first, group.end());
                let rule = format!(
                    "it has {end} entries, and a group of the journal those from {first} to before \
                     {behind}: no checkpoint ends within one"
                );
                return Err(BackupFault::GuardDisagrees(rule));
            }
            Step::Group(group) => {
                let bytes = frame::encode(&group).map_err(StoreFault::from)?;
                frame(&bytes, &group)?;
                next = group.end();
            }
            // Nothing is passed over from 0 on.
            Step::Skipped(_) | Step::End => break,
        }
    }
    Ok(next)
}

/// Copies the small files of a drawer; how many. The node may put and remove files meanwhile.
fn copy_drawer(data: &Path, drawer: Drawer, out: &mut Container) -> Result<u64, BackupFault> {
    let dir = data.join(drawer.name());
    let items = match fs::read_dir(&dir) {
        Ok(items) => items,
        Err(absent) if absent.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(other) => return Err(io_at("list", &dir)(other).into()),
    };
    let mut count = 0;
    for item in items {
        let item = item.map_err(io_at("list", &dir))?;
        let name = item.file_name();
        let is_file = item.file_type().is_ok_and(|kind| kind.is_file());
        // What a crash left half written, and what is not ours, stays out.
        let member = name.to_str().and_then(|name| Member::beside(drawer, name));
        let member = member.filter(|_| is_file);
        if let Some(member) = member
            && let Some(content) = read_beside(&dir.join(&name))?
        {
            out.put(&member, &content)?;
            count += 1;
        }
    }
    Ok(count)
}

/// A small file, unless it is being wiped: a file is overwritten before it goes, so one that reads
/// the same twice, and not as zeros, is whole.
fn read_beside(path: &Path) -> Result<Option<Vec<u8>>, StoreFault> {
    let mut before = None;
    for _ in 0..MAX_BESIDE_READS {
        let now = files::read_small(path, MAX_CABINET_FILE_BYTES)?;
        let is_wiped = now.as_ref().is_none_or(|now| now.iter().all(|byte| *byte == 0));
        if is_wiped {
            return Ok(None);
        }
        if now == before {
            return Ok(now);
        }
        before = now;
    }
    let rule = "changes whenever it is read".to_owned();
    Err(StoreFault::Format { path: path.to_owned(), rule })
}

/// Takes the next part of a member's content.
type Part<'a> = dyn FnMut(&[u8]) -> Result<(), BackupFault> + 'a;

/// The file in the making. It has its own name only when it is whole and durable.
struct Container {
    builder: tar::Builder<BufWriter<File>>,
    path: PathBuf,
    /// The manifest's lines, until it is their turn.
    lines: BufWriter<File>,
    lines_path: PathBuf,
    members: u64,
    bytes: u64,
    is_done: bool,
}

impl Container {
    fn create(to: &Path) -> Result<Self, BackupFault> {
        let (path, lines_path) = (beside(to, ".part"), beside(to, ".part-manifest"));
        // What a backup that was killed left is written over.
        let file = open_private(&path).map_err(io_at("create", &path))?;
        // A file that was finished between the opening and the lock has another name by now.
        if file.try_lock().is_err() || !files::is_at(&file, &path) {
            return Err(BackupFault::UnderWay(path));
        }
        file.set_len(0).map_err(io_at("empty", &path))?;
        let lines = open_private(&lines_path).map_err(io_at("create", &lines_path))?;
        lines.set_len(0).map_err(io_at("empty", &lines_path))?;
        let mut builder = tar::Builder::new(BufWriter::with_capacity(BUFFER_BYTES, file));
        builder.sparse(false);
        let lines = BufWriter::new(lines);
        let mut container =
            Self { builder, path, lines, lines_path, members: 0, bytes: 0, is_done: false };
        container.note(archive::MANIFEST_HEAD)?;
        Ok(container)
    }

    fn note(&mut self, text: &str) -> Result<(), StoreFault> {
        self.lines.write_all(text.as_bytes()).map_err(io_at("write", &self.lines_path))
    }

    fn put(&mut self, member: &Member, content: &[u8]) -> Result<(), BackupFault> {
        self.put_parts(member, |part| part(content))
    }

    /// Adds a member whose content comes in parts.
    fn put_parts(
        &mut self,
        member: &Member,
        fill: impl FnOnce(&mut Part<'_>) -> Result<(), BackupFault>,
    ) -> Result<(), BackupFault> {
        let path = self.path.clone();
        let mut header = archive::header();
        let entry = self.builder.append_writer(&mut header, member.to_string());
        let mut entry = entry.map_err(io_at("write", &path))?;
        let (mut hash, mut bytes) = (RunningSha256::default(), 0);
        fill(&mut |part| {
            hash.update(part);
            bytes += part.len() as u64;
            Ok(entry.write_all(part).map_err(io_at("write", &path))?)
        })?;
        entry.finish().map_err(io_at("write", &path))?;
        self.members += 1;
        self.bytes += bytes;
        self.note(&archive::manifest_lines(member, bytes, &hash.finish()))?;
        Ok(())
    }

    /// Adds the manifest, makes the file durable and gives it its name. Its bytes.
    fn finish(mut self, to: &Path) -> Result<u64, BackupFault> {
        self.note(&archive::manifest_end(self.members, self.bytes))?;
        let (path, lines_path) = (self.path.clone(), self.lines_path.clone());
        let at = || io_at("write", &path);
        self.lines.flush().map_err(io_at("write", &lines_path))?;
        let lines = self.lines.get_mut();
        lines.seek(SeekFrom::Start(0)).map_err(io_at("read", &lines_path))?;
        let mut header = archive::header();
        let entry = self.builder.append_writer(&mut header, Member::Manifest.to_string());
        let mut entry = entry.map_err(at())?;
        io::copy(lines, &mut entry).map_err(at())?;
        entry.finish().map_err(at())?;
        self.builder.finish().map_err(at())?;
        let file = self.builder.get_mut();
        file.flush().map_err(at())?;
        let bytes = file.stream_position().map_err(at())?;
        // A crash up to here leaves a file of another name, which the next backup writes over.
        file.get_ref().sync_all().map_err(io_at("sync", &path))?;
        rename_new(&path, to)?;
        self.is_done = true;
        // A crash here may leave either name; under its own the file is whole.
        files::sync_dir(files::parent(to))?;
        Ok(bytes)
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.lines_path);
        if !self.is_done {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// Openings are in it: only its owner reads it.
fn open_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path)
}

/// Gives a file its name, unless somebody else has it by now.
fn rename_new(from: &Path, to: &Path) -> Result<(), BackupFault> {
    match files::rename_new(from, to) {
        Ok(()) => Ok(()),
        Err(taken) if taken.kind() == io::ErrorKind::AlreadyExists => {
            Err(BackupFault::Exists(to.to_owned()))
        }
        Err(other) => Err(io_at("rename to", to)(other).into()),
    }
}
