//! A backup is read: into a directory beside the one that it is for, which gets its name only when
//! everything in it was judged.
//!
//! The container comes from anywhere, so nothing in it is believed: a member is a regular file of a
//! name that a backup has, in the order of a backup, no longer than what is left of the container,
//! and as the manifest says. Names of members never become paths.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, BufWriter, Read, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::archive::{self, BLOCK_BYTES, END_BYTES, Member};
use super::cabinet::Drawer;
use super::fault::{StoreFault, io_at};
use super::format::Format;
use super::{FORMAT_NAME, Groups, JOURNAL_NAME, files, guard, segment};
use crate::domain::{EntryCount, EntryIndex, Hash32};
use crate::ledger::checkpoint::{Checkpoint, SignedCheckpoint};
use crate::ledger::hash::{RunningSha256, leaf_hash};
use crate::ledger::tree::Frontier;
use crate::limits::MAX_MANIFEST_LINE_BYTES;

const BUFFER_BYTES: usize = 64 * 1024;
const DATA: &str = "data";
const GUARD: &str = "guard";
const FOUND: &str = "manifest.found";

/// Why a backup is not restored. Nothing of it is left behind.
#[derive(Debug, thiserror::Error)]
pub enum RestoreFault {
    /// A file or directory failed.
    #[error(transparent)]
    Store(#[from] StoreFault),
    /// There is something where it would go.
    #[error("{0:?} is there and not empty; a restore takes nothing over")]
    NotEmpty(PathBuf),
    /// Another restore is under way, or one was killed.
    #[error("{0:?} is there: a restore is under way, or one was killed; then remove it")]
    UnderWay(PathBuf),
    /// There is no room for what is in it.
    #[error("{path:?} has {free} bytes free, and the backup has {needed}")]
    NoSpace {
        /// Where.
        path: PathBuf,
        /// Bytes that are free.
        free: u64,
        /// Bytes of the backup.
        needed: u64,
    },
    /// It ends before its end.
    #[error("the backup was cut short: {0}")]
    CutShort(String),
    /// It is no tar that can be read.
    #[error("the container cannot be read at byte {offset}: {rule}")]
    Container {
        /// Where.
        offset: u64,
        /// What is wrong.
        rule: String,
    },
    /// A member that no backup has.
    #[error("member {name:?}: {rule}")]
    Member {
        /// Its name.
        name: String,
        /// Which rule it breaks.
        rule: String,
    },
    /// What came is not what the manifest says.
    #[error("the manifest, line {line}, says {said:?}, and what came is {found:?}")]
    Manifest {
        /// Which line, from 1.
        line: u64,
        /// What it says.
        said: String,
        /// What it would say of the members that came.
        found: String,
    },
    /// Its members do not fit together.
    #[error("the backup does not fit together: {0}")]
    Disagrees(String),
    /// The head guard knows of more.
    #[error(
        "the head guard has seen {guard} entries and the backup holds {backup}: this is an old \
         copy, and going on from it would fork the ledger"
    )]
    BehindGuard {
        /// Entries that the guard has seen.
        guard: EntryCount,
        /// Entries of the backup.
        backup: EntryCount,
    },
    /// The head guard knows another history.
    #[error("the head guard's checkpoint at {size} entries is not this backup's: {rule}")]
    BesideGuard {
        /// Size of the guard's checkpoint.
        size: EntryCount,
        /// What does not fit.
        rule: String,
    },
    /// There is no head guard, and nobody said that nothing newer was signed.
    #[error(
        "there is no head guard, so whether the ledger went on after {backup} entries is not \
         known here"
    )]
    GuardMissing {
        /// Entries of the backup.
        backup: EntryCount,
    },
}

/// What came out of a backup; nothing of it is judged yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpacked {
    /// The checkpoint that it ends with, as signed.
    pub signed: Bytes,
    /// What it says.
    pub checkpoint: Checkpoint,
    /// Drafts in it, and taken.
    pub drafts: u64,
    /// Openings in it, and taken.
    pub openings: u64,
}

/// What an operator says where no head guard is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewerCheckpoint {
    /// Nothing: then a guard has to be there.
    Unknown,
    /// That the ledger signed nothing after the backup. If that is false, going on is a fork.
    DoesNotExist,
}

/// The directory in which a backup is judged. It is gone when this is dropped.
#[derive(Debug)]
pub struct Staging {
    dir: PathBuf,
    target: PathBuf,
}

impl Staging {
    /// Makes it beside the target, where a rename reaches; a target with anything in it is refused.
    /// The directory above has to be there.
    pub fn beside(target: &Path) -> Result<Self, RestoreFault> {
        match fs::read_dir(target).map(|mut items| items.next().is_none()) {
            Ok(true) => {}
            Ok(false) => return Err(RestoreFault::NotEmpty(target.to_owned())),
            Err(absent) if absent.kind() == io::ErrorKind::NotFound => {}
            Err(other) => return Err(io_at("list", target)(other).into()),
        }
        let mut name = target.as_os_str().to_owned();
        name.push(".restoring");
        let dir = PathBuf::from(name);
        make_private(&dir).map_err(|fault| match fault.kind() {
            io::ErrorKind::AlreadyExists => RestoreFault::UnderWay(dir.clone()),
            _ => io_at("make directory", &dir)(fault).into(),
        })?;
        let staging = Self { dir, target: target.to_owned() };
        for made in [staging.data(), staging.guard()] {
            files::make_dir(&made)?;
        }
        Ok(staging)
    }

    /// The data directory that is to be.
    pub fn data(&self) -> PathBuf {
        self.dir.join(DATA)
    }

    /// A head guard's directory with the checkpoint of the backup.
    pub fn guard(&self) -> PathBuf {
        self.dir.join(GUARD)
    }

    /// Takes everything out of a backup; tells how many bytes of how many were read.
    pub fn unpack(
        &self,
        from: &Path,
        without: &[Drawer],
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Unpacked, RestoreFault> {
        let file = File::open(from).map_err(io_at("open", from))?;
        let length = file.metadata().map_err(io_at("look at", from))?.len();
        if let Some(free) = files::free_bytes(&self.dir).filter(|free| *free < length) {
            let path = self.dir.clone();
            return Err(RestoreFault::NoSpace { path, free, needed: length });
        }
        check_end(from, &file, length)?;
        let mut archive = tar::Archive::new(BufReader::with_capacity(BUFFER_BYTES, file));
        let mut unpacking = Unpacking::new(self, without, length)?;
        let entries = archive.entries().map_err(io_at("read", from))?;
        for entry in entries.raw(true) {
            let mut entry = entry.map_err(|it| unpacking.unreadable(&it))?;
            unpacking.take(&mut entry)?;
            progress(unpacking.offset, length);
        }
        unpacking.finish()
    }

    /// Gives the directory its name. Everything in it is durable before.
    pub fn settle(self) -> Result<(), RestoreFault> {
        let (data, target) = (self.data(), self.target.clone());
        for dir in [data.join(JOURNAL_NAME), data.clone()] {
            files::sync_dir(&dir)?;
        }
        for drawer in Drawer::ALL.map(|drawer| data.join(drawer.name())) {
            if drawer.exists() {
                files::sync_dir(&drawer)?;
            }
        }
        // A crash before leaves nothing under the target's name; after, all of it. An empty
        // directory of that name is replaced, one with anything in it never.
        fs::rename(&data, &target).map_err(io_at("rename to", &target))?;
        files::sync_dir(files::parent(&target))?;
        Ok(())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// A container that was cut short does not end in its two blank blocks.
fn check_end(from: &Path, file: &File, length: u64) -> Result<(), RestoreFault> {
    let mut file = file;
    if length < END_BYTES || !length.is_multiple_of(BLOCK_BYTES) {
        let rule = format!("{length} bytes are no whole blocks of {BLOCK_BYTES}");
        return Err(RestoreFault::CutShort(rule));
    }
    let mut end = Vec::new();
    file.seek(SeekFrom::Start(length - END_BYTES)).map_err(io_at("read", from))?;
    file.take(END_BYTES).read_to_end(&mut end).map_err(io_at("read", from))?;
    file.seek(SeekFrom::Start(0)).map_err(io_at("read", from))?;
    if end.iter().any(|byte| *byte != 0) {
        let rule = format!("its last {END_BYTES} bytes are not blank");
        return Err(RestoreFault::CutShort(rule));
    }
    Ok(())
}

/// A container on its way into a staging directory.
struct Unpacking<'a> {
    staging: &'a Staging,
    without: &'a [Drawer],
    length: u64,
    /// Where the next header begins.
    offset: u64,
    before: Option<Member>,
    /// What the manifest has to say.
    found: BufWriter<File>,
    members: u64,
    bytes: u64,
    drafts: u64,
    openings: u64,
}

impl<'a> Unpacking<'a> {
    fn new(staging: &'a Staging, without: &'a [Drawer], length: u64) -> Result<Self, StoreFault> {
        let path = staging.dir.join(FOUND);
        let file = new_private(&path).map_err(io_at("create", &path))?;
        files::make_dir(&staging.data().join(JOURNAL_NAME))?;
        let mut unpacking = Self {
            staging,
            without,
            length,
            offset: 0,
            before: None,
            found: BufWriter::new(file),
            members: 0,
            bytes: 0,
            drafts: 0,
            openings: 0,
        };
        unpacking.note(archive::MANIFEST_HEAD)?;
        Ok(unpacking)
    }

    fn note(&mut self, text: &str) -> Result<(), StoreFault> {
        self.found.write_all(text.as_bytes()).map_err(io_at("write", self.staging.dir.join(FOUND)))
    }

    fn unreadable(&self, fault: &io::Error) -> RestoreFault {
        RestoreFault::Container { offset: self.offset, rule: fault.to_string() }
    }

    fn take(&mut self, entry: &mut tar::Entry<'_, impl Read>) -> Result<(), RestoreFault> {
        let (member, size) = self.admit(entry)?;
        if member == Member::Manifest {
            self.note(&archive::manifest_end(self.members, self.bytes))?;
            self.compare(entry)?;
        } else {
            let hash = self.copy(&member, entry, size)?;
            self.members += 1;
            self.bytes += size;
            self.note(&archive::manifest_lines(&member, size, &hash))?;
        }
        // Sizes were held against the length, so this is not beyond it.
        self.offset += BLOCK_BYTES + size.next_multiple_of(BLOCK_BYTES);
        self.before = Some(member);
        Ok(())
    }

    /// Which member comes, if it may.
    fn admit(&self, entry: &tar::Entry<'_, impl Read>) -> Result<(Member, u64), RestoreFault> {
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let refused = |rule: String| RestoreFault::Member { name: name.clone(), rule };
        let kind = entry.header().entry_type();
        if kind != tar::EntryType::Regular {
            let rule = format!("a backup has regular files only, and this is of type {kind:?}");
            return Err(refused(rule));
        }
        let Some(member) = Member::parse(&name) else {
            return Err(refused("no member of a backup has this name".to_owned()));
        };
        if !member.follows(self.before.as_ref()) {
            let before = self.before.as_ref().map_or("nothing".to_owned(), Member::to_string);
            return Err(refused(format!("it does not come after {before}")));
        }
        let size = entry.header().entry_size().map_err(|it| refused(it.to_string()))?;
        let left = self.length.saturating_sub(self.offset + BLOCK_BYTES + END_BYTES);
        if size > left {
            let rule = format!("{name} announces {size} bytes, and {left} are left");
            return Err(RestoreFault::CutShort(rule));
        }
        match member.max_bytes() {
            Some(most) if size > most => {
                Err(refused(format!("it has at most {most} bytes, not {size}")))
            }
            _ => Ok((member, size)),
        }
    }

    fn copy(
        &mut self,
        member: &Member,
        content: &mut impl Read,
        size: u64,
    ) -> Result<Hash32, RestoreFault> {
        let target = self.place(member)?;
        let mut file = match &target {
            None => None,
            Some(path) => Some(new_private(path).map_err(|fault| match fault.kind() {
                io::ErrorKind::AlreadyExists => RestoreFault::Member {
                    name: member.to_string(),
                    rule: "it is there twice".to_owned(),
                },
                _ => io_at("create", path)(fault).into(),
            })?),
        };
        let (mut hash, mut left) = (RunningSha256::default(), size);
        let mut part = vec![0; BUFFER_BYTES];
        // Each turn takes a byte at least of a content that is bounded.
        while left > 0 {
            let count = content.read(&mut part).map_err(|it| self.unreadable(&it))?;
            if count == 0 {
                return Err(RestoreFault::CutShort(format!("{member} lacks {left} bytes")));
            }
            hash.update(&part[..count]);
            left = left.saturating_sub(count as u64);
            if let (Some(file), Some(path)) = (&mut file, &target) {
                file.write_all(&part[..count]).map_err(io_at("write", path))?;
            }
        }
        if let (Some(file), Some(path)) = (&file, &target) {
            file.sync_all().map_err(io_at("sync", path))?;
        }
        Ok(hash.finish())
    }

    /// Where a member goes; `None` for one that is left out.
    fn place(&mut self, member: &Member) -> Result<Option<PathBuf>, StoreFault> {
        let data = self.staging.data();
        Ok(match member {
            Member::Format => Some(data.join(FORMAT_NAME)),
            Member::Checkpoint => Some(guard::file_in(&self.staging.guard())),
            Member::Segment(first) => Some(data.join(JOURNAL_NAME).join(segment::name(*first))),
            Member::Beside(drawer, _) if self.without.contains(drawer) => None,
            Member::Beside(drawer, file) => {
                let dir = data.join(drawer.name());
                if !dir.exists() {
                    make_private(&dir).map_err(io_at("make directory", &dir))?;
                }
                match drawer {
                    Drawer::Drafts => self.drafts += 1,
                    Drawer::Openings => self.openings += 1,
                }
                Some(dir.join(file))
            }
            Member::Manifest => None,
        })
    }

    /// Holds the manifest against what came, line by line.
    fn compare(&mut self, manifest: &mut impl Read) -> Result<(), RestoreFault> {
        let path = self.staging.dir.join(FOUND);
        self.found.flush().map_err(io_at("write", &path))?;
        let mut found = BufReader::new(File::open(&path).map_err(io_at("open", &path))?);
        let mut said = BufReader::new(manifest);
        let mut line = 0;
        // As many turns as the shorter of the two has lines.
        loop {
            line += 1;
            let of_found = next_line(&mut found).map_err(io_at("read", &path))?;
            let of_said = next_line(&mut said).map_err(|it| self.unreadable(&it))?;
            if of_found != of_said {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
                let (said, found) = (text(&of_said), text(&of_found));
                return Err(RestoreFault::Manifest { line, said, found });
            }
            if of_found.is_empty() {
                return Ok(());
            }
        }
    }

    fn finish(self) -> Result<Unpacked, RestoreFault> {
        if self.before != Some(Member::Manifest) {
            let before = self.before.map_or("nothing".to_owned(), |it| it.to_string());
            let rule = format!("it ends after {before}, without its manifest");
            return Err(RestoreFault::CutShort(rule));
        }
        if self.offset + END_BYTES != self.length {
            let rule = format!("{} bytes follow the manifest", self.length - self.offset);
            return Err(RestoreFault::Container { offset: self.offset, rule });
        }
        let format = Format::read(&self.staging.data().join(FORMAT_NAME))?;
        let signed = guard::read(&self.staging.guard())?.unwrap_or_default();
        let (checkpoint, _) = SignedCheckpoint::parse(&signed)
            .map_err(|it| RestoreFault::Disagrees(format!("its checkpoint: {it}")))?;
        if checkpoint.origin != format.origin {
            let (said, is) = (&checkpoint.origin, &format.origin);
            let rule = format!("its checkpoint is of {said}, and its store of {is}");
            return Err(RestoreFault::Disagrees(rule));
        }
        let Self { drafts, openings, .. } = self;
        Ok(Unpacked { signed, checkpoint, drafts, openings })
    }
}

/// A line with its end; empty at the end. A longer one than a manifest has comes in pieces.
fn next_line(from: &mut impl io::BufRead) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    from.by_ref().take(MAX_MANIFEST_LINE_BYTES).read_until(b'\n', &mut line)?;
    Ok(line)
}

/// Holds a journal that was unpacked against its checkpoint and a head guard, before it is judged:
/// it ends where the checkpoint does, and the guard has seen nothing else.
pub fn check_unpacked(
    staging: &Staging,
    unpacked: &Unpacked,
    guard: Option<&[u8]>,
    newer: NewerCheckpoint,
) -> Result<(), RestoreFault> {
    let seen = match guard {
        None => None,
        Some(text) => Some(SignedCheckpoint::parse(text).map(|(said, _)| said).map_err(|it| {
            RestoreFault::BesideGuard { size: EntryCount(0), rule: it.to_string() }
        })?),
    };
    let backup = unpacked.checkpoint.size;
    match &seen {
        None if newer == NewerCheckpoint::Unknown => {
            return Err(RestoreFault::GuardMissing { backup });
        }
        Some(seen) if seen.origin != unpacked.checkpoint.origin => {
            let (said, is) = (&seen.origin, &unpacked.checkpoint.origin);
            let rule = format!("it is of {said}, and the backup of {is}");
            return Err(RestoreFault::BesideGuard { size: seen.size, rule });
        }
        Some(seen) if seen.size > backup => {
            return Err(RestoreFault::BehindGuard { guard: seen.size, backup });
        }
        _ => {}
    }
    let at_guard = root_of(&staging.data(), &unpacked.checkpoint, seen.as_ref().map(|it| it.size))?;
    match seen {
        Some(seen) if at_guard != Some(seen.root) => {
            let found = at_guard.map_or("none".to_owned(), |root| root.to_string());
            let rule = format!("it has root {}, and the backup's entries have {found}", seen.root);
            Err(RestoreFault::BesideGuard { size: seen.size, rule })
        }
        _ => Ok(()),
    }
}

/// Reads a whole journal: it ends with its checkpoint, to the entry and the byte. Answers its root
/// at a smaller size.
fn root_of(
    data: &Path,
    checkpoint: &Checkpoint,
    at: Option<EntryCount>,
) -> Result<Option<Hash32>, RestoreFault> {
    let format = Format::read(&data.join(FORMAT_NAME))?;
    let groups = Groups::new(&data.join(JOURNAL_NAME), format.ledger_hash(), EntryIndex(0), None)?;
    let mut frontier = Frontier::default();
    let mut root = (at == Some(EntryCount(0))).then(|| frontier.root());
    for group in groups {
        for entry in &group.map_err(StoreFault::from)?.entries {
            frontier.push(leaf_hash(entry));
            if at == Some(frontier.size()) {
                root = Some(frontier.root());
            }
        }
    }
    if frontier.size() != checkpoint.size {
        let (size, said) = (frontier.size(), checkpoint.size);
        let rule = format!("its journal has {size} entries, and its checkpoint {said}");
        return Err(RestoreFault::Disagrees(rule));
    }
    if frontier.root() != checkpoint.root {
        let (root, said) = (frontier.root(), checkpoint.root);
        let rule = format!("its journal has root {root}, and its checkpoint {said}");
        return Err(RestoreFault::Disagrees(rule));
    }
    Ok(root)
}

fn make_private(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

fn new_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
