//! The judge's desk: entries in, one report out.

use bytes::Bytes;

use super::checkpoints::{Checkpoints, Whose};
use super::explain::{self, Step};
use super::history::Grounds;
use super::prepare::{Ahead, KnownKeys, Parsed, Prepared, Speaker, Vouched, prepare};
use super::replay::{Identity, Replay};
use super::report::{FindingKind, Findings, Report};
use super::retold::{Listener, Retold};
use super::roots::RootStack;
use super::sequence::{Continuity, Sequence};
use super::told;
use crate::domain::{EntryIndex, Hash32, LotId, Origin, PublicKey};
use crate::ledger::{ChainValue, EntryFault, SignedCheckpoint, StrictKey};

/// Who the ledger must be, from a source that is not the ledger.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pins {
    /// Its name.
    pub origin: Option<Origin>,
    /// A key that signs or signed its checkpoints: that of the genesis, or one that followed it.
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

    /// Name and key that a checkpoint is held against: the pinned name, or the one that the ledger
    /// claims; the key that signs by the ledger's own words, or, where it said none that hold, the
    /// pinned one, or the claimed one.
    /// Whether the pinned key is one of the ledger's is asked at the end.
    fn trusted(&self, claims: Option<&Identity>, signer: Option<PublicKey>) -> Option<Identity> {
        let origin = self.origin.as_ref().or(claims.map(|claims| &claims.origin))?;
        let claimed = claims.map(|claims| claims.ledger_key);
        let ledger_key = signer.or(self.ledger_key).or(claimed)?;
        Some(Identity { origin: origin.clone(), ledger_key })
    }
}

/// What a remembered checkpoint is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remembered {
    /// The ledger must still begin as it did then.
    Consistency,
    /// Besides, everything was checked then, so signatures before it are not checked again. Should
    /// the ledger not begin as it did, the report says that a full check is needed.
    Checked,
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
    /// Signatures that were not checked again, because the remembered checkpoint was kept after
    /// they had been.
    pub signatures_trusted: u64,
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
        let checkpoints = Checkpoints::of(pins.ledger_key);
        Self {
            pins,
            roots: RootStack::default(),
            sequence: Sequence::default(),
            replay: Replay::default(),
            checkpoints,
            findings: Findings::default(),
            bytes: 0,
        }
    }

    /// Has somebody hear of every entry that holds, from now on.
    pub fn listen(&mut self, hear: impl FnMut(&Retold<'_>) + Send + 'static) {
        self.replay.listen(Listener::new(hear));
    }

    /// Keeps what entries rest on and what they did to metal, for [`Verifier::grounds`]. To be
    /// asked before the first entry.
    pub fn keep_history(&mut self) {
        self.replay.keep_history();
    }

    /// Tells one entry step by step: [`Report::steps`]. To be asked before the first entry.
    pub fn explain(&mut self, index: EntryIndex) {
        self.replay.explain(index);
    }

    /// The grounds of a lot; in words, why that cannot be said.
    pub fn grounds(&self, lot: LotId) -> Result<Grounds, String> {
        self.replay.grounds(lot)
    }

    /// The last checkpoint that holds and ends with an entry in which the ledger states its lots.
    pub fn stating_checkpoint(&self) -> Option<&SignedCheckpoint> {
        self.checkpoints.stating()
    }

    /// The last entry in which the ledger states its lots, when what it states is right.
    pub fn lots_stated_at(&self) -> Option<EntryIndex> {
        self.replay.lots_stated_at()
    }

    /// The last checkpoint of each ledger key that holds, in the order in which they signed.
    pub fn last_checkpoints(&self) -> &[(PublicKey, SignedCheckpoint)] {
        self.checkpoints.heard()
    }

    /// The keys known so far, for [`super::questions`].
    pub fn known_keys(&self) -> KnownKeys {
        self.replay.known_keys().clone()
    }

    /// Whose checkpoints are looked for so far, for [`super::questions`].
    pub fn speaker(&self) -> Option<Speaker> {
        let Identity { origin, ledger_key } = self.trusted()?;
        StrictKey::parse(&ledger_key).ok().map(|key| Speaker { origin, key })
    }

    /// Whether the signatures of an entry are to be checked.
    pub fn ahead(&self, index: EntryIndex) -> Ahead {
        if self.replay.is_trusted(index) { Ahead::Nothing } else { Ahead::Signatures }
    }

    /// The next commit group of a journal, with its boundaries.
    pub fn feed_group(&mut self, group: &GroupInput<'_>) {
        self.feed_group_of(group, group.entries.iter().map(prepare).collect(), None);
    }

    /// As [`Verifier::feed_group`], with its entries taken apart before, and what is known of the
    /// signature of its checkpoint.
    pub fn feed_group_of(
        &mut self,
        group: &GroupInput<'_>,
        entries: Vec<Prepared>,
        vouched: Option<&Vouched>,
    ) {
        self.check_group(group, vouched);
        let count = entries.len();
        for entry in entries {
            let at = self.position();
            self.feed(entry);
            if self.replay.rotated_at() == Some(at) && count > 1 {
                let detail = "it names a next ledger key, and is no commit group of its own";
                self.findings.at(at, FindingKind::StatementInvalid, detail);
            }
        }
        self.end_batch("the group ends");
    }

    /// The next entry.
    pub fn feed_entry(&mut self, bytes: &Bytes) {
        self.feed(prepare(bytes));
    }

    /// The next entry, taken apart before.
    pub fn feed(&mut self, prepared: Prepared) {
        let at = self.position();
        if let Some(rotated) = self.awaits_checkpoint() {
            let detail = format!(
                "it names the next ledger key, and the old one signed no checkpoint of {} entries",
                rotated.next()
            );
            self.findings.at(rotated, FindingKind::RotationUncovered, detail);
        }
        let Prepared { length, chain, leaf, parsed } = prepared;
        self.roots.push(leaf);
        self.bytes = self.bytes.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
        match parsed {
            Ok(parsed) => self.check_entry(at, &parsed, chain, leaf),
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
            self.note_stating();
            self.end_batch("a checkpoint is signed");
        }
    }

    /// The signed checkpoint of the head, or another one to hold the entries against. It is judged
    /// when as many entries have come as it speaks of.
    pub fn checkpoint(&mut self, text: &[u8]) {
        let trusted = self.trusted();
        let findings = &mut self.findings;
        self.checkpoints.take(text, Whose::Ledger, &self.roots, trusted.as_ref(), findings);
        self.note_stating();
    }

    /// The old key's checkpoint that ends with the entry just fed, which names a next key: of
    /// exactly the entries that have come, or it is refused.
    pub fn rotation_checkpoint(&mut self, text: &[u8]) {
        let (trusted, whose) = (self.trusted(), Whose::Ledger);
        let (roots, findings) = (&self.roots, &mut self.findings);
        self.checkpoints.judge(text, whose, roots, trusted.as_ref(), None, findings);
    }

    /// The checkpoint that the reader kept when it last checked this ledger; given before the
    /// first entry.
    pub fn remember(&mut self, text: &[u8], remembered: Remembered) {
        let trusted = self.trusted();
        let findings = &mut self.findings;
        let size =
            self.checkpoints.take(text, Whose::Reader, &self.roots, trusted.as_ref(), findings);
        if let (Some(size), Remembered::Checked) = (size, remembered) {
            self.replay.trust_signatures(size);
        }
    }

    /// No more entries can be read, though there may be some; in words, why. Checkpoints of more
    /// entries than came are not judged then.
    pub fn cut_short(&mut self, detail: impl Into<String>) {
        self.checkpoints.cut_short(detail.into());
    }

    /// Every key that the ledger had so far, in the order in which they signed.
    pub fn ledger_keys(&self) -> Vec<PublicKey> {
        self.replay.keys().all()
    }

    /// The entry just fed, when it names a next ledger key and no checkpoint that ends with it came
    /// yet: whoever reads the entries from elsewhere than a journal gets it (from the entry's
    /// receipt, say) and hands it in before the next entry.
    pub fn awaits_checkpoint(&self) -> Option<EntryIndex> {
        let rotated = self.replay.rotated_at().filter(|at| at.next().0 == self.roots.size().0)?;
        let held = self.checkpoints.held().map(|held| held.size);
        (held != Some(self.roots.size())).then_some(rotated)
    }

    /// How much was done so far.
    pub fn progress(&self) -> Progress {
        Progress {
            entries: self.roots.size().0,
            bytes: self.bytes,
            replayed: self.replay.replayed(),
            signatures: self.replay.signatures(),
            signatures_trusted: self.replay.signatures_trusted(),
            findings: self.findings.count(),
        }
    }

    /// No more entries come.
    pub fn finish(self) -> Report {
        self.report()
    }

    /// What is to be said if no more entries come. More may.
    pub fn report(&self) -> Report {
        let mut findings = self.findings.clone();
        let entries = self.roots.size();
        self.check_end(&mut findings);
        let checkpoints = self.check_checkpoints(&mut findings);
        let is_pin_met = self.check_pinned_key(&checkpoints, &mut findings);
        if let Some(missing) = self.pins.missing() {
            let detail = format!(
                "consistent with itself at best: {missing} was pinned, so another ledger could \
                 have been shown"
            );
            findings.overall(FindingKind::PinsMissing, detail);
        }
        let progress = Progress { findings: findings.count(), ..self.progress() };
        let (verdict, first_bad) = (findings.verdict(), findings.first_bad());
        let (findings, findings_left_out) = findings.into_kept();
        // One that another ledger's key signed is nothing to go by.
        let held = checkpoints.held_text().filter(|_| is_pin_met);
        Report {
            verdict,
            entries,
            first_bad,
            findings,
            findings_left_out,
            checkpoint: checkpoints.held().filter(|_| is_pin_met).cloned(),
            signed_checkpoint: held.cloned(),
            remembered: checkpoints.remembered(),
            fork: checkpoints.fork(),
            ledger_key: self.replay.keys().current(),
            rotations: self.replay.keys().rotations(),
            claims: self.replay.claims().cloned(),
            steps: self.replay.steps().to_vec(),
            progress,
        }
    }

    /// What must not be under way where the ledger ends.
    fn check_end(&self, findings: &mut Findings) {
        let (entries, at) = (self.roots.size(), self.position());
        let mut sequence = self.sequence.clone();
        let is_broken = sequence.is_in_batch();
        sequence.end_batch(at, "the ledger ends", findings);
        if is_broken && let Some(detail) = self.replay.missing_correctives() {
            findings.at(at, FindingKind::CorrectivesMissing, detail);
        }
        if entries.0 == 0 {
            findings.overall(FindingKind::NoEntries, "no entries came: nothing was verified");
        }
    }

    fn check_checkpoints(&self, findings: &mut Findings) -> Checkpoints {
        let entries = self.roots.size();
        let mut checkpoints = self.checkpoints.clone();
        checkpoints.finish(&self.roots, self.trusted().as_ref(), findings);
        if let Some(stopped) = self.replay.stopped_at()
            && stopped.0.saturating_add(1) < entries.0
        {
            let detail = format!(
                "what entry {stopped} did is not known, so from entry {} on rules and lot links \
                 were not checked",
                stopped.next()
            );
            findings.at(stopped.next(), FindingKind::ReplayStopped, detail);
        }
        checkpoints
    }

    /// Under whose name and key a checkpoint of the entries so far stands; `None` when that is not
    /// known.
    fn trusted(&self) -> Option<Identity> {
        let signer = self.replay.keys().signer_of(self.roots.size());
        self.pins.trusted(self.replay.claims(), signer)
    }

    /// The pinned key is one of the ledger's, and vouches. A key that followed vouches by a
    /// checkpoint of its own: that somebody named it, and that it once said to be held, can be
    /// copied into another ledger.
    fn check_pinned_key(&self, checkpoints: &Checkpoints, findings: &mut Findings) -> bool {
        let Some(pinned) = self.pins.ledger_key else { return true };
        let Some(claims) = self.replay.claims() else { return true };
        let (keys, said) = (self.replay.keys(), claims.ledger_key);
        let is_claimed = keys.current().is_none() && said == pinned;
        if !keys.contains(&pinned) && !is_claimed {
            let detail = format!("pinned is {pinned}, the genesis says {said}, and none followed");
            findings.at(EntryIndex(0), FindingKind::LedgerKeyMismatch, detail);
            return false;
        }
        if keys.rotations() > 0 && !checkpoints.is_heard(&pinned) {
            let detail = format!("no checkpoint that the pinned key {pinned} signed holds");
            findings.overall(FindingKind::PinUnvouched, detail);
        }
        true
    }

    /// A checkpoint that ends with the ledger's word on its lots is worth keeping.
    fn note_stating(&mut self) {
        let held = self.checkpoints.held().map(|held| held.size.0);
        let stated = self.replay.lots_stated_at().map(|at| at.next().0);
        if stated.is_some() && held == stated {
            self.checkpoints.note_stating();
        }
    }

    /// The place of the next entry, counted as they come.
    fn position(&self) -> EntryIndex {
        EntryIndex(self.roots.size().0)
    }

    fn check_entry(&mut self, at: EntryIndex, parsed: &Parsed, chain: ChainValue, leaf: Hash32) {
        let before = self.sequence.chain();
        if let Some((_, steps)) = self.replay.explained().filter(|(told, _)| *told == at) {
            steps.push(Step::new("tree", "leaf (SHA-256)", leaf.to_string()));
            let root = self.roots.root().to_string();
            let name = format!("root over {} entries", at.next());
            steps.push(Step::new("tree", name, root));
            steps.extend(explain::of_bytes(parsed, chain, before));
        }
        let continuity = self.sequence.check(at, &parsed.entry, chain, &mut self.findings);
        if continuity == Continuity::Broken {
            self.replay.stop(at);
        }
        self.replay.judge(at, parsed, &self.pins, &mut self.findings);
        if !self.sequence.is_in_batch() {
            self.replay.check_no_correctives_missing(at, &mut self.findings);
        }
    }

    /// A group begins where the one before it ended, and carries its checkpoint.
    fn check_group(&mut self, group: &GroupInput<'_>, vouched: Option<&Vouched>) {
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
                let (whose, trusted) = (Whose::Ledger, trusted.as_ref());
                self.checkpoints.judge(previous, whose, roots, trusted, vouched, findings);
                self.note_stating();
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
