//! The judge's desk: entries in, one report out.

use bytes::Bytes;

use super::checkpoints::Checkpoints;
use super::replay::{Identity, Replay};
use super::report::{FindingKind, Findings, Report};
use super::roots::RootStack;
use super::sequence::{Continuity, Sequence};
use super::told;
use crate::domain::{EntryIndex, Origin, PublicKey};
use crate::ledger::hash::leaf_hash;
use crate::ledger::{ChainValue, Entry, EntryFault};

/// Who the ledger must be, from a source that is not the ledger.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pins {
    /// Its name.
    pub origin: Option<Origin>,
    /// The key that signs its checkpoints.
    pub ledger_key: Option<PublicKey>,
}

impl Pins {
    /// What is missing, in words; `None` when both are there.
    pub(super) const fn missing(&self) -> Option<&'static str> {
        match (&self.origin, &self.ledger_key) {
            (Some(_), Some(_)) => None,
            (None, None) => Some("neither key nor origin"),
            (None, Some(_)) => Some("the key but no origin"),
            (Some(_), None) => Some("the origin but no key"),
        }
    }

    /// Name and key that checkpoints and statements are held against: the pinned ones, and what is
    /// not pinned from the ledger's own claims.
    pub(super) fn trusted(&self, claims: Option<&Identity>) -> Option<Identity> {
        let origin = self.origin.as_ref().or(claims.map(|claims| &claims.origin))?;
        let ledger_key = self.ledger_key.or(claims.map(|claims| claims.ledger_key))?;
        Some(Identity { origin: origin.clone(), ledger_key })
    }
}

/// One commit group of a journal.
#[derive(Debug, Clone, Copy)]
pub struct GroupInput<'a> {
    /// Index of its first entry.
    pub first: EntryIndex,
    /// Its entries.
    pub entries: &'a [Bytes],
    /// The signed checkpoint of the group before; `None` or empty for the first group.
    pub previous_checkpoint: Option<&'a [u8]>,
}

/// How much was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Entries that came.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Entries whose rules were replayed.
    pub replayed: u64,
    /// Signatures of entries that were checked.
    pub signatures: u64,
    /// Findings so far.
    pub findings: u64,
}

/// Checks a ledger as it streams by.
///
/// Give it the checkpoint of the head ([`Verifier::checkpoint`]) before the entries, or right after
/// the entry that it ends with; then entries in order, in groups where they are known; then
/// [`Verifier::finish`].
#[derive(Debug)]
pub struct Verifier {
    pins: Pins,
    roots: RootStack,
    sequence: Sequence,
    replay: Replay,
    checkpoints: Checkpoints,
    findings: Findings,
    bytes: u64,
}

impl Verifier {
    /// A verifier that has seen nothing.
    pub fn new(pins: Pins) -> Self {
        Self {
            pins,
            roots: RootStack::default(),
            sequence: Sequence::default(),
            replay: Replay::default(),
            checkpoints: Checkpoints::default(),
            findings: Findings::default(),
            bytes: 0,
        }
    }

    /// The next commit group of a journal, with its boundaries.
    pub fn feed_group(&mut self, group: &GroupInput<'_>) {
        self.check_group(group);
        for entry in group.entries {
            self.feed_entry(entry);
        }
        self.end_batch("the group ends");
    }

    /// The next entry.
    pub fn feed_entry(&mut self, bytes: &Bytes) {
        let at = self.position();
        let chain = ChainValue::of_entry(bytes);
        self.roots.push(leaf_hash(bytes));
        self.bytes = self.bytes.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        match Entry::parse(bytes) {
            Ok(entry) => self.check_entry(at, &entry, chain),
            Err(fault) => {
                let kind = match fault {
                    EntryFault::UnknownVersion { .. } => FindingKind::FormatUnknown,
                    _ => FindingKind::EntryMalformed,
                };
                self.findings.at(at, kind, told(&fault));
                self.sequence.pass(chain);
                self.replay.stop(at);
            }
        }
        if self.checkpoints.is_due(&self.roots) {
            let trusted = self.trusted();
            self.checkpoints.entries_came(&self.roots, trusted.as_ref(), &mut self.findings);
            self.end_batch("a checkpoint is signed");
        }
    }

    /// The signed checkpoint of the head, or another one to hold the entries against. It is judged
    /// when as many entries have come as it speaks of.
    pub fn checkpoint(&mut self, text: &[u8]) {
        let trusted = self.trusted();
        self.checkpoints.take(text, &self.roots, trusted.as_ref(), &mut self.findings);
    }

    /// How much was done so far.
    pub fn progress(&self) -> Progress {
        Progress {
            entries: self.roots.size().0,
            bytes: self.bytes,
            replayed: self.replay.replayed(),
            signatures: self.replay.signatures(),
            findings: self.findings.count(),
        }
    }

    /// No more entries come.
    pub fn finish(mut self) -> Report {
        self.end_batch("the ledger ends");
        let trusted = self.trusted();
        let entries = self.roots.size();
        if entries.0 == 0 {
            self.findings.overall(FindingKind::NoEntries, "no entries came: nothing was verified");
        }
        self.checkpoints.finish(&self.roots, trusted.as_ref(), &mut self.findings);
        if let Some(stopped) = self.replay.stopped_at()
            && stopped.0.saturating_add(1) < entries.0
        {
            let detail = format!(
                "what entry {stopped} did is not known, so from entry {} on rules and lot links \
                 were not checked",
                stopped.next()
            );
            self.findings.at(stopped.next(), FindingKind::ReplayStopped, detail);
        }
        if let Some(missing) = self.pins.missing() {
            let detail = format!(
                "consistent with itself at best: {missing} was pinned, so another ledger could \
                 have been shown"
            );
            self.findings.overall(FindingKind::PinsMissing, detail);
        }
        let progress = self.progress();
        let (verdict, first_bad) = (self.findings.verdict(), self.findings.first_bad());
        let (findings, findings_left_out) = self.findings.into_kept();
        Report {
            verdict,
            entries,
            first_bad,
            findings,
            findings_left_out,
            checkpoint: self.checkpoints.held().cloned(),
            claims: self.replay.claims().cloned(),
            progress,
        }
    }

    /// Under whose name and key checkpoints stand; `None` when that is not known.
    fn trusted(&self) -> Option<Identity> {
        if self.replay.is_key_rotated() {
            return None;
        }
        self.pins.trusted(self.replay.claims())
    }

    /// The place of the next entry, counted as they come.
    fn position(&self) -> EntryIndex {
        EntryIndex(self.roots.size().0)
    }

    fn check_entry(&mut self, at: EntryIndex, entry: &Entry, chain: ChainValue) {
        let continuity = self.sequence.check(at, entry, chain, &mut self.findings);
        if continuity == Continuity::Broken {
            self.replay.stop(at);
        }
        self.replay.judge(at, entry, &self.pins, &mut self.findings);
        if !self.sequence.is_in_batch() {
            self.replay.check_no_correctives_missing(at, &mut self.findings);
        }
    }

    /// A group begins where the one before it ended, and carries its checkpoint.
    fn check_group(&mut self, group: &GroupInput<'_>) {
        let at = self.position();
        self.end_batch("a group begins");
        if group.entries.is_empty() {
            self.findings.at(at, FindingKind::GroupMalformed, "a group without entries");
        }
        if group.first != self.sequence.next() {
            let (next, first) = (self.sequence.next(), group.first);
            let detail = format!("entry {next} is next, the group begins with entry {first}");
            self.findings.at(at, FindingKind::GroupMalformed, detail);
        }
        let previous = group.previous_checkpoint.unwrap_or_default();
        match (at.0 == 0, previous.is_empty()) {
            (true, true) => {}
            (true, false) => {
                let detail = "the first group carries a checkpoint of entries before it";
                self.findings.at(at, FindingKind::GroupMalformed, detail);
            }
            (false, true) => {
                let detail = "the group carries no checkpoint of the group before it";
                self.findings.at(at, FindingKind::GroupMalformed, detail);
            }
            (false, false) => {
                let trusted = self.trusted();
                let (roots, findings) = (&self.roots, &mut self.findings);
                self.checkpoints.judge(previous, roots, trusted.as_ref(), findings);
            }
        }
    }

    fn end_batch(&mut self, place: &str) {
        let at = self.position();
        let is_broken = self.sequence.is_in_batch();
        self.sequence.end_batch(at, place, &mut self.findings);
        if is_broken {
            self.replay.check_no_correctives_missing(at, &mut self.findings);
        }
    }
}
