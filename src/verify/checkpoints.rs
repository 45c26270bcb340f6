//! Checkpoints held against the entries: who signed, and whether the root is theirs.

use super::replay::Identity;
use super::report::{FindingKind, Findings};
use super::roots::RootStack;
use super::told;
use crate::domain::{EntryCount, EntryIndex, PublicKey};
use crate::ledger::{Checkpoint, CheckpointFault, SignedCheckpoint};
use crate::limits::MAX_PENDING_CHECKPOINTS;

/// The checkpoints of one verification.
#[derive(Debug, Default)]
pub(super) struct Checkpoints {
    /// Of sizes that have not been reached, with their texts.
    pending: Vec<(EntryCount, Vec<u8>)>,
    /// Whether a checkpoint of the head was given at all, good or bad.
    is_head_given: bool,
    /// The largest one that holds.
    held: Option<Checkpoint>,
    /// The keys under which one holds: at most as many as a ledger has.
    heard: Vec<PublicKey>,
}

impl Checkpoints {
    /// The largest one that holds.
    pub(super) fn held(&self) -> Option<&Checkpoint> {
        self.held.as_ref()
    }

    /// Whether one holds that this key signed.
    pub(super) fn is_heard(&self, key: &PublicKey) -> bool {
        self.heard.contains(key)
    }

    /// Takes one of the head. It is judged when as many entries have come as it speaks of.
    pub(super) fn take(
        &mut self,
        text: &[u8],
        roots: &RootStack,
        trusted: Option<&Identity>,
        findings: &mut Findings,
    ) {
        self.is_head_given = true;
        let (claimed, _) = match SignedCheckpoint::parse(text) {
            Ok(parsed) => parsed,
            Err(fault) => return findings.overall(kind_of(&fault), told(&fault)),
        };
        if claimed.size == EntryCount(0) {
            let detail = "the checkpoint of the head is of 0 entries, and says nothing about any";
            return findings.overall(FindingKind::CheckpointEmpty, detail);
        }
        match claimed.size.cmp(&roots.size()) {
            std::cmp::Ordering::Equal => self.judge(text, roots, trusted, findings),
            std::cmp::Ordering::Less => {
                let detail = format!(
                    "a checkpoint of {} entries, given after {}: its root is not known any more",
                    claimed.size,
                    roots.size()
                );
                findings.overall(FindingKind::CheckpointLate, detail);
            }
            std::cmp::Ordering::Greater if self.pending.len() < MAX_PENDING_CHECKPOINTS => {
                self.pending.push((claimed.size, text.to_vec()));
            }
            std::cmp::Ordering::Greater => {
                let detail = format!(
                    "more than {MAX_PENDING_CHECKPOINTS} checkpoints wait for their entries"
                );
                findings.overall(FindingKind::CheckpointUnchecked, detail);
            }
        }
    }

    /// Whether one is of exactly the entries that have come.
    pub(super) fn is_due(&self, roots: &RootStack) -> bool {
        self.pending.iter().any(|(pending, _)| *pending == roots.size())
    }

    /// Judges those whose entries have all come.
    pub(super) fn entries_came(
        &mut self,
        roots: &RootStack,
        trusted: Option<&Identity>,
        findings: &mut Findings,
    ) {
        let size = roots.size();
        let (due, later) = std::mem::take(&mut self.pending)
            .into_iter()
            .partition::<Vec<_>, _>(|(pending, _)| *pending == size);
        self.pending = later;
        for (_, text) in due {
            self.judge(&text, roots, trusted, findings);
        }
    }

    /// Judges one that must be of exactly the entries that have come.
    pub(super) fn judge(
        &mut self,
        text: &[u8],
        roots: &RootStack,
        trusted: Option<&Identity>,
        findings: &mut Findings,
    ) {
        let Some(checkpoint) = open(text, trusted, findings) else { return };
        if checkpoint.size != roots.size() {
            let detail = format!(
                "a checkpoint of {} entries, where {} have come",
                checkpoint.size,
                roots.size()
            );
            return findings.overall(FindingKind::GroupMalformed, detail);
        }
        if checkpoint.root == roots.root() {
            if let Some(Identity { ledger_key, .. }) = trusted
                && !self.is_heard(ledger_key)
            {
                self.heard.push(*ledger_key);
            }
            self.held = Some(checkpoint);
            return;
        }
        let proven = self.held.as_ref().map_or(0, |held| held.size.0);
        let detail = format!(
            "the ledger signed root {} over {} entries, these give {}; the last root before that \
             holds is over {proven} entries, so the change lies in entries {proven} to {}",
            checkpoint.root,
            checkpoint.size,
            roots.root(),
            checkpoint.size.0.saturating_sub(1)
        );
        findings.overall(FindingKind::RootMismatch, detail);
    }

    /// No more entries come.
    pub(super) fn finish(
        &mut self,
        roots: &RootStack,
        trusted: Option<&Identity>,
        findings: &mut Findings,
    ) {
        for (_, text) in std::mem::take(&mut self.pending) {
            let Some(checkpoint) = open(&text, trusted, findings) else { continue };
            let (signed, came) = (checkpoint.size, roots.size());
            let detail = format!("the ledger signed for {signed} entries, and {came} came");
            findings.at(EntryIndex(came.0), FindingKind::EntriesMissing, detail);
        }
        if !self.is_head_given {
            let detail =
                "no checkpoint of the head was given, so nobody signs for the last entries";
            findings.overall(FindingKind::CheckpointMissing, detail);
        }
        let covered = self.held.as_ref().map_or(0, |held| held.size.0);
        let came = roots.size().0;
        if covered > 0 && covered < came {
            let detail = format!(
                "entries {covered} to {} are after the last checkpoint that holds: the ledger has \
                 not signed for them",
                came - 1
            );
            findings.at(EntryIndex(covered), FindingKind::TailUncovered, detail);
        }
    }
}

/// Opens one under the trusted name and key; says why not.
fn open(text: &[u8], trusted: Option<&Identity>, findings: &mut Findings) -> Option<Checkpoint> {
    let Some(Identity { origin, ledger_key }) = trusted else {
        let detail = "it is not known who signs: no key is pinned and no genesis was read";
        findings.overall(FindingKind::CheckpointUnchecked, detail);
        return None;
    };
    match SignedCheckpoint::open(text, origin, ledger_key) {
        Ok((checkpoint, _)) => Some(checkpoint),
        Err(fault) => {
            findings.overall(kind_of(&fault), told(&fault));
            None
        }
    }
}

/// Whether a text is no checkpoint, or one that the ledger did not sign, or the given key is of no
/// use.
pub(super) const fn kind_of(fault: &CheckpointFault) -> FindingKind {
    match fault {
        CheckpointFault::Key(_) => FindingKind::CheckpointUnchecked,
        CheckpointFault::OtherOrigin { .. }
        | CheckpointFault::NotSigned { .. }
        | CheckpointFault::SignedTwice { .. }
        | CheckpointFault::BadSignature { .. } => FindingKind::CheckpointUnsigned,
        CheckpointFault::TooLong { .. }
        | CheckpointFault::NotUtf8 { .. }
        | CheckpointFault::ControlCharacter { .. }
        | CheckpointFault::NoSignatures
        | CheckpointFault::LineCount { .. }
        | CheckpointFault::Origin(_)
        | CheckpointFault::Size { .. }
        | CheckpointFault::Root { .. }
        | CheckpointFault::SignatureLine { .. } => FindingKind::CheckpointMalformed,
    }
}
