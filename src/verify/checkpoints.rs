//! Checkpoints held against the entries: who signed, and whether the root is theirs.

use super::prepare::Vouched;
use super::replay::Identity;
use super::report::{FindingKind, Findings, Fork};
use super::roots::RootStack;
use super::told;
use crate::domain::{EntryCount, EntryIndex, PublicKey};
use crate::ledger::{Checkpoint, CheckpointFault, SignedCheckpoint};
use crate::limits::MAX_PENDING_CHECKPOINTS;

/// Where a checkpoint comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// With the entries.
    Ledger,
    /// From the reader's own memory: the ledger that it checked another time.
    Reader,
}

/// One whose entries have not all come.
#[derive(Debug, Clone)]
struct Pending {
    size: EntryCount,
    whose: Whose,
    text: Vec<u8>,
}

/// The checkpoints of one verification.
#[derive(Debug, Clone, Default)]
pub(super) struct Checkpoints {
    /// Of sizes that have not been reached.
    pending: Vec<Pending>,
    /// Why no more entries could be read, though there may be some.
    cut_short: Option<String>,
    /// Whether a checkpoint of the head was given at all, good or bad.
    is_head_given: bool,
    /// The largest one that holds, and its text.
    held: Option<(Checkpoint, SignedCheckpoint)>,
    /// The last that ends with an entry in which the ledger states its lots.
    stating: Option<SignedCheckpoint>,
    /// The reader's own, once it holds.
    remembered: Option<EntryCount>,
    /// The reader's own, when it does not, and whose signature is on it.
    fork: Option<(Fork, PublicKey)>,
    /// The key that the reader pinned.
    pinned: Option<PublicKey>,
    /// The keys under which one holds, at most as many as a ledger has, each with its last.
    heard: Vec<(PublicKey, SignedCheckpoint)>,
}

impl Checkpoints {
    /// None yet, for a reader who pinned a key.
    pub(super) fn of(pinned: Option<PublicKey>) -> Self {
        Self { pinned, ..Self::default() }
    }

    /// The largest one that holds.
    pub(super) fn held(&self) -> Option<&Checkpoint> {
        self.held.as_ref().map(|(held, _)| held)
    }

    /// Its text.
    pub(super) fn held_text(&self) -> Option<&SignedCheckpoint> {
        self.held.as_ref().map(|(_, text)| text)
    }

    /// The held one ends with an entry in which the ledger states its lots.
    pub(super) fn note_stating(&mut self) {
        self.stating = self.held_text().cloned();
    }

    /// The last that ends so.
    pub(super) fn stating(&self) -> Option<&SignedCheckpoint> {
        self.stating.as_ref()
    }

    /// What the reader remembers, when the ledger begins otherwise.
    pub(super) fn fork(&self) -> Option<Fork> {
        let (fork, key) = self.fork.as_ref()?;
        let mut fork = fork.clone();
        if fork.newer.is_none() {
            let its_last = self.heard.iter().find(|(heard, _)| heard == key);
            let size = |text: &SignedCheckpoint| SignedCheckpoint::parse(text.as_bytes());
            fork.newer = its_last
                .map(|(_, text)| text.clone())
                .filter(|text| size(text).is_ok_and(|(newest, _)| newest.size >= fork.size));
        }
        Some(fork)
    }

    /// How many entries the reader's own covers, when it holds.
    pub(super) fn remembered(&self) -> Option<EntryCount> {
        self.remembered
    }

    /// Whether one holds that this key signed.
    pub(super) fn is_heard(&self, key: &PublicKey) -> bool {
        self.heard.iter().any(|(heard, _)| heard == key)
    }

    /// The last that holds of each key, in the order in which they signed.
    pub(super) fn heard(&self) -> &[(PublicKey, SignedCheckpoint)] {
        &self.heard
    }

    /// Takes one, and answers of how many entries it is. It is judged when as many have come.
    pub(super) fn take(
        &mut self,
        text: &[u8],
        whose: Whose,
        roots: &RootStack,
        trusted: Option<&Identity>,
        findings: &mut Findings,
    ) -> Option<EntryCount> {
        self.is_head_given |= whose == Whose::Ledger;
        let size = match SignedCheckpoint::parse(text) {
            Ok((claimed, _)) => claimed.size,
            Err(fault) => {
                findings.overall(whose.kind(kind_of(&fault)), told(&fault));
                return None;
            }
        };
        if size == EntryCount(0) {
            let detail = "a checkpoint of 0 entries says nothing about any";
            findings.overall(whose.kind(FindingKind::CheckpointEmpty), detail);
            return None;
        }
        match size.cmp(&roots.size()) {
            std::cmp::Ordering::Equal => self.judge(text, whose, roots, trusted, None, findings),
            std::cmp::Ordering::Less => {
                let detail = format!(
                    "a checkpoint of {size} entries, given after {}: its root is not known any \
                     more",
                    roots.size()
                );
                findings.overall(FindingKind::CheckpointLate, detail);
                return None;
            }
            std::cmp::Ordering::Greater if self.pending.len() < MAX_PENDING_CHECKPOINTS => {
                self.pending.push(Pending { size, whose, text: text.to_vec() });
            }
            std::cmp::Ordering::Greater => {
                let detail = format!(
                    "more than {MAX_PENDING_CHECKPOINTS} checkpoints wait for their entries"
                );
                findings.overall(FindingKind::CheckpointUnchecked, detail);
                return None;
            }
        }
        Some(size)
    }

    /// What follows could not be read: that it did not come accuses nobody.
    pub(super) fn cut_short(&mut self, detail: String) {
        self.cut_short.get_or_insert(detail);
    }

    /// Whether one is of exactly the entries that have come.
    pub(super) fn is_due(&self, roots: &RootStack) -> bool {
        self.pending.iter().any(|pending| pending.size == roots.size())
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
            .partition::<Vec<_>, _>(|pending| pending.size == size);
        self.pending = later;
        for Pending { text, whose, .. } in due {
            self.judge(&text, whose, roots, trusted, None, findings);
        }
    }

    /// Judges one that must be of exactly the entries that have come. `vouched` is what is known
    /// of its signature.
    pub(super) fn judge(
        &mut self,
        text: &[u8],
        whose: Whose,
        roots: &RootStack,
        trusted: Option<&Identity>,
        vouched: Option<&Vouched>,
        findings: &mut Findings,
    ) {
        if whose == Whose::Reader && self.is_of_another_past(text, roots, trusted, findings) {
            return;
        }
        let opened = open(text, whose, trusted, vouched, findings);
        let Some((checkpoint, text)) = opened else { return };
        if checkpoint.size != roots.size() {
            let detail = format!(
                "a checkpoint of {} entries, where {} have come",
                checkpoint.size,
                roots.size()
            );
            return findings.overall(FindingKind::GroupMalformed, detail);
        }
        if checkpoint.root != roots.root() {
            self.note_fork(&checkpoint, text, whose, roots, trusted);
            return self.tell_other_root(&checkpoint, whose, roots, findings);
        }
        if let Some(Identity { ledger_key, .. }) = trusted {
            self.heard.retain(|(heard, _)| heard != ledger_key);
            self.heard.push((*ledger_key, text.clone()));
        }
        if whose == Whose::Reader {
            self.remembered = Some(checkpoint.size);
        }
        self.held = Some((checkpoint, text));
    }

    /// The reader's own, which the pinned key signed where another one's turn would be by the
    /// entries that came, over other entries than these: whoever holds the keys told two histories.
    fn is_of_another_past(
        &mut self,
        text: &[u8],
        roots: &RootStack,
        trusted: Option<&Identity>,
        findings: &mut Findings,
    ) -> bool {
        let (Some(Identity { origin, ledger_key }), Some(pinned)) = (trusted, self.pinned) else {
            return false;
        };
        if *ledger_key == pinned {
            return false;
        }
        let Ok((checkpoint, text)) = SignedCheckpoint::open(text, origin, &pinned) else {
            return false;
        };
        if checkpoint.size != roots.size() || checkpoint.root == roots.root() {
            return false;
        }
        let by_pinned = Identity { origin: origin.clone(), ledger_key: pinned };
        self.note_fork(&checkpoint, text, Whose::Reader, roots, Some(&by_pinned));
        self.tell_other_root(&checkpoint, Whose::Reader, roots, findings);
        true
    }

    /// Two signed roots: what there may be evidence of.
    fn note_fork(
        &mut self,
        checkpoint: &Checkpoint,
        text: SignedCheckpoint,
        whose: Whose,
        roots: &RootStack,
        trusted: Option<&Identity>,
    ) {
        let Some(Identity { ledger_key, .. }) = trusted else { return };
        let (size, found) = (checkpoint.size, roots.root());
        let fork = match (whose, &self.held) {
            (Whose::Reader, _) => Fork { remembered: text, size, found, newer: None },
            // Of as many entries as one that holds, by the same key: they need no entries.
            (Whose::Ledger, Some((held, older))) if held.size == size => {
                let (remembered, found) = (older.clone(), checkpoint.root);
                Fork { remembered, size, found, newer: Some(text) }
            }
            (Whose::Ledger, _) => return,
        };
        self.fork.get_or_insert((fork, *ledger_key));
    }

    fn tell_other_root(
        &self,
        checkpoint: &Checkpoint,
        whose: Whose,
        roots: &RootStack,
        findings: &mut Findings,
    ) {
        let Checkpoint { size, root, .. } = checkpoint;
        let (found, last) = (roots.root(), size.0.saturating_sub(1));
        let proven = self.held().map_or(0, |held| held.size.0);
        let (kind, detail) = match whose {
            Whose::Ledger => {
                let detail = format!(
                    "the ledger signed root {root} over {size} entries, these give {found}; the \
                     last root before that holds is over {proven} entries, so the change lies in \
                     entries {proven} to {last}"
                );
                (FindingKind::RootMismatch, detail)
            }
            Whose::Reader => {
                let detail = format!(
                    "root {root} over {size} entries was remembered, signed by the ledger's key, \
                     and these {size} give {found}: the ledger shows another history, and the \
                     change lies in entries {proven} to {last}"
                );
                (FindingKind::Forked, detail)
            }
        };
        findings.overall(kind, detail);
    }

    /// No more entries come.
    pub(super) fn finish(
        &mut self,
        roots: &RootStack,
        trusted: Option<&Identity>,
        findings: &mut Findings,
    ) {
        let came = roots.size();
        if let Some(detail) = self.cut_short.take() {
            findings.overall(FindingKind::EntriesUnreadable, detail);
            self.pending.clear();
        }
        for Pending { text, whose, .. } in std::mem::take(&mut self.pending) {
            let opened = open(&text, whose, trusted, None, findings);
            let Some((checkpoint, _)) = opened else { continue };
            let signed = checkpoint.size;
            let (kind, detail) = match whose {
                Whose::Ledger => {
                    let detail = format!("the ledger signed for {signed} entries, and {came} came");
                    (FindingKind::EntriesMissing, detail)
                }
                Whose::Reader => {
                    let detail = format!(
                        "the ledger had {signed} entries when it was last checked, and {came} came"
                    );
                    (FindingKind::RolledBack, detail)
                }
            };
            findings.at(EntryIndex(came.0), kind, detail);
        }
        if !self.is_head_given {
            let detail =
                "no checkpoint of the head was given, so nobody signs for the last entries";
            findings.overall(FindingKind::CheckpointMissing, detail);
        }
        let covered = self.held().map_or(0, |held| held.size.0);
        if covered > 0 && covered < came.0 {
            let detail = format!(
                "entries {covered} to {} are after the last checkpoint that holds: the ledger has \
                 not signed for them",
                came.0 - 1
            );
            findings.at(EntryIndex(covered), FindingKind::TailUncovered, detail);
        }
    }
}

impl Whose {
    /// A text of the reader's own that is no checkpoint accuses nobody.
    const fn kind(self, kind: FindingKind) -> FindingKind {
        match self {
            Self::Ledger => kind,
            Self::Reader => FindingKind::RememberedUnusable,
        }
    }
}

/// Opens one under the trusted name and key; says why not.
fn open(
    text: &[u8],
    whose: Whose,
    trusted: Option<&Identity>,
    vouched: Option<&Vouched>,
    findings: &mut Findings,
) -> Option<(Checkpoint, SignedCheckpoint)> {
    let Some(Identity { origin, ledger_key }) = trusted else {
        let detail = "it is not known who signs: no key is pinned and no genesis was read";
        findings.overall(FindingKind::CheckpointUnchecked, detail);
        return None;
    };
    let is_by_them = |vouched: &&Vouched| {
        vouched.speaker.key.public_key() == *ledger_key && vouched.speaker.origin == *origin
    };
    let opened = match vouched.filter(is_by_them) {
        Some(Vouched { speaker, holds }) => {
            SignedCheckpoint::open_by(text, origin, &speaker.key, |_, _| *holds)
        }
        None => SignedCheckpoint::open(text, origin, ledger_key),
    };
    if let Err(fault) = &opened {
        findings.overall(whose.kind(kind_of(fault)), told(fault));
    }
    opened.ok()
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
