//! What a witness has cosigned of each log, and the one place where it decides to cosign more.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tracing::{error, info, warn};

use super::submission::{Submission, SubmissionFault};
use crate::domain::{EntryCount, Hash32};
use crate::ledger::cosignature::{Cosigner, cosignature_on};
use crate::ledger::hash::sha256;
use crate::ledger::log_checkpoint::{LogCheckpoint, LogSignatureFault, OpenedCheckpoint};
use crate::ledger::tree::{ProofRefused, verify_consistency};
use crate::ledger::vkey::VerifierKey;
use crate::limits::{
    MAX_CHECKPOINT_BYTES, MAX_LEDGER_KEYS, MAX_WITNESS_STEP_BACK_SECONDS, MAX_WITNESSED_LOGS,
    RECOSIGN_SECONDS,
};
use crate::store::{Shelf, StoreFault};

/// Seconds since 1970, by the witness's clock.
pub type Now = Box<dyn Fn() -> u64 + Send + Sync>;

/// A witness: a name and key, the logs that it knows, and what it has cosigned of each.
pub struct Witness {
    cosigner: Cosigner,
    shelf: Shelf,
    now: Now,
    logs: BTreeMap<String, Log>,
}

/// One log.
struct Log {
    /// In the order in which they followed each other.
    keys: Vec<VerifierKey>,
    /// Name of its file: SHA-256 of the origin, in hexadecimal digits.
    file: String,
    /// Held from the look at it until the next one is on disk: two submissions never both advance
    /// from the same state.
    record: Mutex<Record>,
}

#[derive(Default)]
struct Record {
    latest: Option<Latest>,
    /// A write failed: what is on disk is not known, and nothing is cosigned until a restart.
    is_poisoned: bool,
}

/// The last checkpoint that was cosigned.
struct Latest {
    size: EntryCount,
    root: Hash32,
    note_text: String,
    /// The youngest of the log's keys that was seen; older ones have had their time.
    newest_key: usize,
    cosigned_at_s: u64,
    line: String,
    /// All of it, as on disk.
    text: String,
}

/// Why there is no witness.
#[derive(Debug, thiserror::Error)]
pub enum WitnessFault {
    /// The state directory.
    #[error("the state of the witness cannot be used")]
    Store(#[from] StoreFault),
    /// No logs.
    #[error("a witness needs at least one log")]
    NoLogs,
    /// Too many logs, or keys of one.
    #[error("at most {most} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        most: usize,
    },
    /// The same key twice.
    #[error("the key of {0} is given twice")]
    KeyTwice(String),
    /// A state that this witness did not write.
    #[error(
        "the state of {origin} (file {file}) is not what this witness wrote: {rule}. A witness \
         that lost its state takes a new name and key"
    )]
    State {
        /// Of which log.
        origin: String,
        /// In which file of the state directory.
        file: String,
        /// What is wrong with it.
        rule: String,
    },
}

/// Why a submission is not cosigned. In the order in which it is asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The body is none (400).
    #[error("{0}")]
    Malformed(SubmissionFault),
    /// An unknown log (404).
    #[error("this witness does not know the log {0:?}")]
    UnknownLog(String),
    /// No sound signature by a trusted key (403).
    #[error("{0}")]
    NotSigned(LogSignatureFault),
    /// The proof begins behind the checkpoint (400).
    #[error("the old size {old} is more than the checkpoint's {new}")]
    OldSizeBeyond {
        /// Size that the proof begins with.
        old: EntryCount,
        /// Size of the checkpoint.
        new: EntryCount,
    },
    /// Signed by a key that was followed by another (403).
    #[error("the checkpoint is signed by a key that another one has followed")]
    KeyFollowed,
    /// The proof begins elsewhere than this witness stands (409).
    #[error("the latest cosigned checkpoint has {0} entries")]
    Conflict(EntryCount),
    /// The trees do not grow into each other (422).
    #[error("{0}")]
    Inconsistent(ProofRefused),
    /// The clock is behind the last cosignature (503).
    #[error("this witness's clock is behind its own last cosignature")]
    ClockBehind,
    /// A write failed (500).
    #[error("this witness could not keep the checkpoint; it cosigns nothing of this log")]
    NotKept,
}

impl Witness {
    /// Opens the state of a witness for these logs; it is this process's alone. Several keys of one
    /// name are keys of one log, in the order in which they followed each other.
    pub fn open(
        cosigner: Cosigner,
        keys: Vec<VerifierKey>,
        state: &Path,
        now: Now,
    ) -> Result<Self, WitnessFault> {
        let shelf = Shelf::open(state, MAX_CHECKPOINT_BYTES as u64)?;
        let mut by_origin: BTreeMap<String, Vec<VerifierKey>> = BTreeMap::new();
        for key in keys {
            let known = by_origin.entry(key.name().to_owned()).or_default();
            if known.iter().any(|it| it.public_key() == key.public_key()) {
                return Err(WitnessFault::KeyTwice(key.name().to_owned()));
            }
            if known.len() == MAX_LEDGER_KEYS {
                return Err(WitnessFault::TooMany { what: "keys of one log", most: known.len() });
            }
            known.push(key);
        }
        if by_origin.is_empty() {
            return Err(WitnessFault::NoLogs);
        }
        if by_origin.len() > MAX_WITNESSED_LOGS {
            return Err(WitnessFault::TooMany { what: "logs", most: MAX_WITNESSED_LOGS });
        }
        let mut logs = BTreeMap::new();
        for (origin, keys) in by_origin {
            let file = sha256(origin.as_bytes()).to_string();
            let latest = load(&shelf, &cosigner, &origin, &keys, &file)?;
            if let Some(Latest { size, .. }) = &latest {
                info!(origin, size = size.0, "a log is followed on");
            } else {
                warn!(origin, "nothing was ever cosigned of this log: its first is taken");
            }
            let record = Mutex::new(Record { latest, is_poisoned: false });
            logs.insert(origin, Log { keys, file, record });
        }
        Ok(Self { cosigner, shelf, now, logs })
    }

    /// By what others know it.
    pub fn vkey(&self) -> &VerifierKey {
        self.cosigner.vkey()
    }

    /// Judges a submission. When it holds, the checkpoint is on disk, and the answer is the
    /// cosignature line with its newline.
    pub fn add_checkpoint(&self, body: &[u8]) -> Result<String, Refusal> {
        let Submission { old, proof, checkpoint } =
            Submission::parse(body).map_err(Refusal::Malformed)?;
        let log = self.logs.get(checkpoint.origin());
        let log = log.ok_or_else(|| Refusal::UnknownLog(checkpoint.origin().to_owned()))?;
        // Outside of the lock: it takes as long as somebody has put signatures under it.
        let opened = checkpoint.open(&log.keys).map_err(Refusal::NotSigned)?;
        let new = checkpoint.size();
        if old > new {
            return Err(Refusal::OldSizeBeyond { old, new });
        }
        let mut record = lock(&log.record);
        check(&record, old, &proof, &opened)?;
        self.cosign(log, &mut record, &opened)
    }

    /// The last cosigned checkpoint of the log with this origin hash (64 hexadecimal digits).
    pub fn checkpoint(&self, origin_hash: &str) -> Option<String> {
        let log = self.logs.values().find(|log| log.file == origin_hash)?;
        lock(&log.record).latest.as_ref().map(|latest| latest.text.clone())
    }

    /// Keeps a checkpoint that was checked under this very lock, and cosigns it.
    fn cosign(
        &self,
        log: &Log,
        record: &mut Record,
        opened: &OpenedCheckpoint,
    ) -> Result<String, Refusal> {
        let before = record.latest.as_ref().map_or(0, |latest| latest.cosigned_at_s);
        let now = (self.now)();
        if now == 0 || now.saturating_add(MAX_WITNESS_STEP_BACK_SECONDS) < before {
            return Err(Refusal::ClockBehind);
        }
        if let Some(latest) = &record.latest
            && latest.note_text == opened.note_text()
            && now.saturating_sub(before) < RECOSIGN_SECONDS
        {
            return Ok(format!("{}\n", latest.line));
        }
        let held = self.cosigner.cosign(opened.note_text(), now.max(before));
        let text = opened.with_line(held.line());
        if text.len() > MAX_CHECKPOINT_BYTES {
            let fault = crate::ledger::CheckpointFault::TooLong { found: text.len() };
            return Err(Refusal::Malformed(SubmissionFault::Checkpoint(fault)));
        }
        // A crash before: the log has no answer and asks again from the old size. A crash within:
        // the old or the new checkpoint is there, whole; of the new one no cosignature has left.
        if let Err(fault) = self.shelf.replace(&log.file, text.as_bytes()) {
            // Which of the two is there is not known, so no other one may be cosigned.
            record.is_poisoned = true;
            let origin = opened.checkpoint().origin();
            error!(origin, fault = %fault, "a checkpoint could not be kept; the log is stopped");
            return Err(Refusal::NotKept);
        }
        // A crash from here on: the checkpoint is kept. The log asks again, is told the new size,
        // and gets its cosignature with an empty proof.
        let checkpoint = opened.checkpoint();
        let newest_key = record.latest.as_ref().map_or(0, |latest| latest.newest_key);
        record.latest = Some(Latest {
            size: checkpoint.size(),
            root: *checkpoint.root(),
            note_text: opened.note_text().to_owned(),
            newest_key: newest_key.max(opened.newest_key()),
            cosigned_at_s: held.time_s(),
            line: held.line().to_owned(),
            text,
        });
        Ok(format!("{}\n", held.line()))
    }
}

impl fmt::Debug for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Witness").field("vkey", &self.vkey().to_string()).finish_non_exhaustive()
    }
}

/// Whether a checkpoint follows what was cosigned last.
fn check(
    record: &Record,
    old: EntryCount,
    proof: &[Hash32],
    opened: &OpenedCheckpoint,
) -> Result<(), Refusal> {
    if record.is_poisoned {
        return Err(Refusal::NotKept);
    }
    let empty = sha256(&[]);
    let (size, root, newest_key) = match &record.latest {
        Some(latest) => (latest.size, &latest.root, latest.newest_key),
        None => (EntryCount(0), &empty, 0),
    };
    // Who stole a key that was rotated away gets no further.
    if opened.newest_key() < newest_key {
        return Err(Refusal::KeyFollowed);
    }
    if old != size {
        return Err(Refusal::Conflict(size));
    }
    let checkpoint = opened.checkpoint();
    let verified = verify_consistency(old, root, checkpoint.size(), checkpoint.root(), proof);
    verified.map_err(|fault| {
        // The log signed it: whoever has this line and the last checkpoint can show a fork.
        let (origin, new) = (checkpoint.origin(), checkpoint.size().0);
        let root = checkpoint.root().to_string();
        warn!(origin, old = old.0, new, root, %fault, "a signed checkpoint does not follow");
        Refusal::Inconsistent(fault)
    })
}

/// Reads what was cosigned last of a log. Only a text with this witness's cosignature, or with the
/// log's signature, is taken: anything else is not ours, and to go on from it would be to forget.
fn load(
    shelf: &Shelf,
    cosigner: &Cosigner,
    origin: &str,
    keys: &[VerifierKey],
    file: &str,
) -> Result<Option<Latest>, WitnessFault> {
    let Some(bytes) = shelf.read(file)? else { return Ok(None) };
    let wrong =
        |rule: String| WitnessFault::State { origin: origin.into(), file: file.into(), rule };
    let checkpoint = LogCheckpoint::parse(&bytes).map_err(|fault| wrong(fault.to_string()))?;
    if checkpoint.origin() != origin {
        return Err(wrong(format!("it is of {:?}", checkpoint.origin())));
    }
    let held = cosignature_on(&bytes, cosigner.vkey()).map_err(|fault| wrong(fault.to_string()))?;
    let held = held.map_err(|fault| wrong(fault.to_string()))?;
    let opened = checkpoint.open(keys);
    let newest_key = opened.as_ref().map_or(0, OpenedCheckpoint::newest_key);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let blank = text.rfind("\n\n").unwrap_or(0);
    let (cosigned_at_s, line) = match (held, opened) {
        (Some(held), _) => (held.time_s(), held.line().to_owned()),
        // The witness's key is a new one; the log's word is enough to go on from.
        (None, Ok(_)) => (0, String::new()),
        (None, Err(fault)) => {
            return Err(wrong(format!("neither this witness nor the log signed it: {fault}")));
        }
    };
    let note_text = text[..=blank].to_owned();
    let (size, root) = (checkpoint.size(), *checkpoint.root());
    Ok(Some(Latest { size, root, note_text, newest_key, cosigned_at_s, line, text }))
}

/// A panic of another thread while it held the lock: the record changes in one assignment, after
/// the disk, so it is the old or the new one. The old one is behind the disk at worst, and then of
/// the new one no cosignature has left.
fn lock(record: &Mutex<Record>) -> MutexGuard<'_, Record> {
    record.lock().unwrap_or_else(PoisonError::into_inner)
}
