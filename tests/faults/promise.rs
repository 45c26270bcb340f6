//! What an acknowledgement promises, held against what the kernel saw.
//!
//! **The promise:** when the first byte of a receipt leaves, the frame with its entry is durable in
//! the journal, and a checkpoint that covers it is durable in the guard's directory. A file's bytes
//! are durable when a sync that began after their write has ended without an error; its name is
//! when its directory was synced after it got the name.
//!
//! Nothing here knows in which order the writer works, how the guard's file is laid out, or how
//! many threads there are. What it has to know of the format stands in [`frames`] and [`sizes`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use prost::Message as _;
use urbanmine::ledger::frame;
use urbanmine::limits::MAX_CHECKPOINT_TEXT_BYTES;
use urbanmine::wire::v1;

use crate::node_kit::origin;
use crate::strace::{Call, text};

/// The calls that have to be traced.
pub const TRACED: &str = "trace=openat,write,pwrite64,writev,pwritev,pwritev2,sendto,sendmsg,\
                          fsync,fdatasync,rename,renameat,renameat2,ftruncate,fallocate";
const WRITES: [&str; 5] = ["write", "pwrite64", "writev", "pwritev", "pwritev2"];
const SENDS: [&str; 4] = ["sendto", "sendmsg", "write", "writev"];
const SYNCS: [&str; 2] = ["fsync", "fdatasync"];

/// Where things lie, and what was there before anybody looked.
#[derive(Debug, Clone)]
pub struct Watched {
    pub journal: String,
    pub guard: String,
    /// Entries that were recorded before the trace began.
    pub entries_before: u64,
    /// Files that had their names before.
    pub names_before: BTreeSet<String>,
}

/// An acknowledgement that left.
#[derive(Debug, Clone)]
pub struct Acknowledged {
    pub entry: u64,
    /// Line of the trace in which its first byte leaves.
    pub at: usize,
    pub receipt: String,
}

/// What a trace shows.
#[derive(Debug, Default)]
pub struct Shown {
    pub acknowledged: Vec<Acknowledged>,
    /// Syncs of the journal's files.
    pub journal_syncs: usize,
    /// Acknowledgements that left before something of theirs was durable, and what.
    pub broken: Vec<String>,
}

/// One file while the trace is read.
#[derive(Debug, Default)]
struct Traced {
    /// Bytes in the order of their writes, each with the line in which it ended.
    writes: Vec<(usize, Vec<u8>)>,
    /// For each write, the line in which it became durable.
    durable: Vec<Option<usize>>,
    /// The line in which its name became durable; `Some(0)` when it had it before.
    named: Option<usize>,
}

#[derive(Debug, Default)]
struct Disk {
    files: BTreeMap<String, Traced>,
}

/// First entry, the one after the last, and where the bytes that say so begin and end.
type Place = (u64, u64, usize, usize);

/// Something that is durable from a line on.
#[derive(Debug)]
struct Durable {
    first: u64,
    end: u64,
    from: usize,
}

/// Leaves out what concerns neither a promise nor an acknowledgement: most of it is the database's.
pub fn concerning(calls: Vec<Call>, watched: &Watched) -> Vec<Call> {
    let is_ours = |file: &str| {
        [&watched.journal, &watched.guard].iter().any(|dir| is_in(file, dir) || file == **dir)
    };
    let concerns = |call: &Call| {
        call.name.starts_with("rename")
            || call.connection().is_some()
            || call.file().is_some_and(|file| is_ours(&file))
    };
    calls.into_iter().filter(concerns).collect()
}

/// Reads a trace.
pub fn check(calls: &[Call], watched: &Watched) -> Result<Shown> {
    let disk = Disk::follow(calls, watched)?;
    let journal = disk.durable_in(&watched.journal, frames);
    let guard = disk.durable_in(&watched.guard, sizes);
    let mut shown = Shown { acknowledged: acknowledged(calls)?, ..Shown::default() };
    shown.journal_syncs = calls
        .iter()
        .filter(|call| SYNCS.contains(&call.name.as_str()))
        .filter(|call| call.file().is_some_and(|file| is_in(&file, &watched.journal)))
        .count();
    for ack in &shown.acknowledged {
        let is_covered = |durable: &[Durable]| {
            ack.entry < watched.entries_before
                || durable
                    .iter()
                    .any(|it| (it.first..it.end).contains(&ack.entry) && it.from < ack.at)
        };
        for (what, durable) in [("its frame", &journal), ("a checkpoint over it", &guard)] {
            if !is_covered(durable) {
                let Acknowledged { entry, at, .. } = ack;
                let line = at + 1;
                shown.broken.push(format!("entry {entry}, line {line}: {what} was not durable"));
            }
        }
    }
    Ok(shown)
}

impl Disk {
    fn follow(calls: &[Call], watched: &Watched) -> Result<Self> {
        let mut disk = Self::default();
        // Ends of calls in their order; a sync also has to know what had ended when it began.
        let mut ended: Vec<&Call> = calls.iter().filter(|call| call.is_done()).collect();
        ended.sort_by_key(|call| call.ended);
        for call in ended {
            let (Some(line), name) = (call.ended, call.name.as_str()) else { continue };
            if SYNCS.contains(&name) {
                disk.sync(&call.file().context("a sync of a file")?, call.began, line);
            } else if name.starts_with("rename") {
                disk.rename(call, line)?;
            } else if WRITES.contains(&name)
                && let Some(file) = call.file()
                && (is_in(&file, &watched.journal) || is_in(&file, &watched.guard))
            {
                let traced = disk.file(&file, watched);
                traced.writes.push((line, call.written()?));
                traced.durable.push(None);
            }
        }
        Ok(disk)
    }

    fn file(&mut self, path: &str, watched: &Watched) -> &mut Traced {
        let named = watched.names_before.contains(path).then_some(0);
        self.files.entry(path.to_owned()).or_insert_with(|| Traced { named, ..Traced::default() })
    }

    fn sync(&mut self, path: &str, began: usize, line: usize) {
        if let Some(traced) = self.files.get_mut(path) {
            for ((written, _), durable) in traced.writes.iter().zip(&mut traced.durable) {
                if *written < began && durable.is_none() {
                    *durable = Some(line);
                }
            }
            return;
        }
        // A directory: the names in it. One that was given while the sync ran is taken for given
        // after; nothing here renames while it syncs.
        for (file, traced) in &mut self.files {
            if parent(file) == path && traced.named.is_none() {
                traced.named = Some(line);
            }
        }
    }

    fn rename(&mut self, call: &Call, line: usize) -> Result<()> {
        let names = call.strings()?;
        let [.., from, to] = names.as_slice() else { return Ok(()) };
        let (from, to) = (text(from), text(to));
        ensure!(to.starts_with('/'), "a name that is not absolute: {to}");
        let Some(moved) = self.files.remove(&from) else { return Ok(()) };
        // What was under the new name is gone, but had the promise kept until then.
        let before = self.files.remove(&to);
        if let Some(before) = before {
            self.files.insert(format!("{to} until line {line}"), before);
        }
        self.files.insert(to, Traced { named: None, ..moved });
        Ok(())
    }

    /// What becomes durable in the files of a directory.
    fn durable_in(&self, dir: &str, read: fn(&[u8]) -> Vec<Place>) -> Vec<Durable> {
        let mut found = Vec::new();
        for (_, traced) in self.files.iter().filter(|(file, _)| is_in(file, dir)) {
            let bytes: Vec<u8> = traced.writes.iter().flat_map(|it| it.1.clone()).collect();
            for (first, end, from, to) in read(&bytes) {
                let Some(line) = traced.durable_at(from, to) else { continue };
                let Some(named) = traced.named else { continue };
                found.push(Durable { first, end, from: line.max(named) });
            }
        }
        found
    }
}

impl Traced {
    /// The line in which all bytes of a range are durable.
    fn durable_at(&self, from: usize, to: usize) -> Option<usize> {
        let (mut at, mut latest) = (0, 0);
        for ((_, bytes), durable) in self.writes.iter().zip(&self.durable) {
            let end = at + bytes.len();
            if at < to && end > from {
                latest = latest.max((*durable)?);
            }
            at = end;
        }
        Some(latest)
    }
}

/// The frames in what was written to a segment: first entry, the one after the last, and where its
/// bytes lie.
fn frames(bytes: &[u8]) -> Vec<Place> {
    let mut found = Vec::new();
    let all = Bytes::copy_from_slice(bytes);
    let mut at = 0;
    while at + 4 <= all.len() {
        let rest = all.slice(at..);
        let parsed = frame::parse_header(&rest).ok();
        let parsed = parsed.and_then(|header| {
            let whole = rest.get(..header.frame_len())?;
            frame::parse(&Bytes::copy_from_slice(whole)).ok()
        });
        let Some((header, group)) = parsed else {
            at += 1;
            continue;
        };
        found.push((group.first.0, group.end().0, at, at + header.frame_len()));
        at += header.frame_len();
    }
    found
}

/// The checkpoints in what was written to the guard: each covers every entry below its size.
fn sizes(bytes: &[u8]) -> Vec<Place> {
    let head = format!("{}\n", origin().as_str());
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(next) = find(&bytes[at..], head.as_bytes()) {
        let from = at + next;
        at = from + head.len();
        // To the end of its first signature line.
        let rest = text(&bytes[at..bytes.len().min(at + MAX_CHECKPOINT_TEXT_BYTES)]);
        let size = rest.lines().next().and_then(|line| line.parse().ok());
        let signed = rest.find("\n\n\u{2014} ").and_then(|mark| {
            let line = rest.get(mark + 2..)?.find('\n')?;
            Some(mark + 2 + line + 1)
        });
        if let (Some(size), Some(len)) = (size, signed) {
            found.push((0, size, from, at + len));
        }
    }
    found
}

/// Every receipt that left, in order: what is sent on a connection is HTTP/2 from its first byte.
fn acknowledged(calls: &[Call]) -> Result<Vec<Acknowledged>> {
    let mut streams = BTreeMap::<&str, Vec<(usize, usize)>>::new();
    let mut sent = BTreeMap::<&str, Vec<u8>>::new();
    for call in calls.iter().filter(|call| SENDS.contains(&call.name.as_str())) {
        let Some(connection) = call.connection() else { continue };
        let bytes = sent.entry(connection).or_default();
        streams.entry(connection).or_default().push((bytes.len(), call.began));
        bytes.extend(call.written()?);
    }
    let mut found = Vec::new();
    for (connection, bytes) in &sent {
        let begins = &streams[connection];
        let line_of = |at: usize| {
            let after = begins.partition_point(|(begin, _)| *begin <= at);
            begins[after - 1].1
        };
        for (at, message) in messages(bytes) {
            for appended in appended_in(&message) {
                let v1::AppendedEvent { entry_index: entry, receipt, .. } = appended;
                found.push(Acknowledged { entry, at: line_of(at), receipt });
            }
        }
    }
    found.sort_by_key(|ack| ack.at);
    Ok(found)
}

/// The gRPC messages in the bytes of a connection, each with the place of its first byte.
fn messages(bytes: &[u8]) -> Vec<(usize, Vec<u8>)> {
    const HEAD: usize = 9;
    const DATA: u8 = 0;
    let mut bodies = BTreeMap::<u32, (usize, Vec<u8>)>::new();
    let mut at = 0;
    while let Some(head) = bytes.get(at..at + HEAD) {
        let len = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let stream = u32::from_be_bytes([head[5] & 0x7f, head[6], head[7], head[8]]);
        let Some(payload) = bytes.get(at + HEAD..at + HEAD + len) else { break };
        if head[3] == DATA && !payload.is_empty() {
            let body = bodies.entry(stream).or_insert_with(|| (at, Vec::new()));
            body.1.extend_from_slice(payload);
        }
        at += HEAD + len;
    }
    // Unary calls: one message each, behind a flag and its length.
    let whole = bodies.into_values().filter_map(|(at, body)| {
        let len = u32::from_be_bytes(body.get(1..5)?.try_into().ok()?);
        let message = body.get(5..5 + usize::try_from(len).ok()?)?;
        Some((at, message.to_vec()))
    });
    whole.collect()
}

/// What an answer acknowledges. The answers of one and of several differ by one being a list, which
/// protobuf does not show: one reading does for both.
fn appended_in(message: &[u8]) -> Vec<v1::AppendedEvent> {
    let reply = v1::BatchAppendEventsResponse::decode(message).unwrap_or_default();
    let is_receipt = |it: &v1::AppendedEvent| it.receipt.starts_with("c2sp.org/tlog-proof");
    reply.appended.into_iter().filter(is_receipt).collect()
}

/// A trace in which something is not as it should be. What is checked has to be refused then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doctored {
    /// No sync of the journal.
    JournalUnsynced,
    /// One sync of the journal is not there.
    OneSyncMissing,
    /// One sync of the journal failed.
    OneSyncFailed,
    /// One sync of the journal ends when the trace does.
    OneSyncLate,
    /// No sync of the guard's file.
    GuardUnsynced,
    /// No sync of the guard's directory, where it is synced.
    GuardUnnamed,
}

impl Doctored {
    pub const ALL: &[Self] = &[
        Self::JournalUnsynced,
        Self::OneSyncMissing,
        Self::OneSyncFailed,
        Self::OneSyncLate,
        Self::GuardUnsynced,
        Self::GuardUnnamed,
    ];

    /// How many syncs of the journal to try, from the last one back, until one is missed. The next
    /// sync makes one good that was not there, when it ends before the receipts leave: the writer
    /// appends the next group meanwhile. And a group may be a statement that nobody waits for.
    pub fn tries(self) -> usize {
        match self {
            Self::OneSyncMissing | Self::OneSyncFailed | Self::OneSyncLate => 16,
            Self::JournalUnsynced | Self::GuardUnsynced | Self::GuardUnnamed => 1,
        }
    }

    /// The trace with this in it; `None` when there is nothing to change. `back`: at which sync,
    /// from the last one back.
    pub fn of(self, calls: &[Call], watched: &Watched, back: usize) -> Option<Vec<Call>> {
        let is_sync = |call: &Call, dir: &str| {
            SYNCS.contains(&call.name.as_str()) && call.file().is_some_and(|it| is_in(&it, dir))
        };
        let without = |dir: &str| -> Vec<Call> {
            calls.iter().filter(|call| !is_sync(call, dir)).cloned().collect()
        };
        let is_of_guard_dir = |call: &Call| {
            SYNCS.contains(&call.name.as_str())
                && call.file().is_some_and(|file| file == watched.guard)
        };
        // Of a segment that has its name: before, there are no frames in it.
        let is_of_frames = |call: &Call| {
            is_sync(call, &watched.journal) && call.file().is_some_and(|it| is_segment(&it))
        };
        let syncs = calls.iter().enumerate().filter(|(_, call)| is_of_frames(call));
        let syncs: Vec<usize> = syncs.map(|(place, _)| place).collect();
        let at = *syncs.get(syncs.len().checked_sub(1 + back)?)?;
        let mut doctored = calls.to_vec();
        match self {
            Self::JournalUnsynced => return Some(without(&watched.journal)),
            Self::OneSyncMissing => drop(doctored.remove(at)),
            Self::OneSyncFailed => doctored[at].result = Some(-1),
            Self::OneSyncLate => {
                doctored[at].ended = calls.iter().filter_map(|call| call.ended).max();
            }
            Self::GuardUnsynced => return Some(without(&watched.guard)),
            Self::GuardUnnamed => {
                calls.iter().find(|call| is_of_guard_dir(call))?;
                doctored.retain(|call| !is_of_guard_dir(call));
            }
        }
        Some(doctored)
    }
}

/// Whether a file is a segment of the journal.
fn is_segment(file: &str) -> bool {
    std::path::Path::new(file).extension().is_some_and(|it| it == "umj")
}

/// Whether a file lies in a directory.
fn is_in(file: &str, dir: &str) -> bool {
    parent(file) == dir
}

fn parent(file: &str) -> &str {
    file.rsplit_once('/').map_or("", |(dir, _)| dir)
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

/// What is watched of a ledger's directories.
pub fn watched(data: &Path, guard: &Path, entries_before: u64) -> Result<Watched> {
    let (journal, guard) = (data.join("journal").canonicalize()?, guard.canonicalize()?);
    let mut names_before = BTreeSet::new();
    for dir in [&journal, &guard] {
        for item in std::fs::read_dir(dir)? {
            names_before.insert(item?.path().to_string_lossy().into_owned());
        }
    }
    ensure!(!names_before.is_empty(), "there is no ledger");
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let (journal, guard) = (text(&journal), text(&guard));
    Ok(Watched { journal, guard, entries_before, names_before })
}
