//! What the judge says: findings, and one verdict.

use std::collections::BTreeMap;
use std::fmt;

use super::explain::Step;
use super::replay::Identity;
use super::verifier::Progress;
use crate::domain::{EntryCount, EntryIndex, Hash32, PublicKey};
use crate::ledger::{Checkpoint, SignedCheckpoint};
use crate::limits::{MAX_FINDINGS, MAX_FINDINGS_OF_A_KIND};

/// What a finding weighs. Ordered: the heaviest decides the verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Weight {
    /// Nothing is wrong, but something is not as good as it could be.
    Warning,
    /// Something could not be checked.
    Undetermined,
    /// Something is not as its signers left it, or was never allowed.
    Tampered,
}

macro_rules! finding_kinds {
    ($($(#[$doc:meta])* $variant:ident = $name:literal $weight:ident,)+) => {
        /// What was found. Names are stable.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum FindingKind { $($(#[$doc])* $variant,)+ }

        impl FindingKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The stable name.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// What it weighs.
            pub const fn weight(self) -> Weight {
                match self { $(Self::$variant => Weight::$weight,)+ }
            }
        }
    };
}

finding_kinds! {
    /// A batch does not begin, continue or end where it says.
    BatchBroken = "batch-broken" Tampered,
    /// The bundle does not hold all of a lot's grounds.
    BundleIncomplete = "bundle-incomplete" Tampered,
    /// The text is no bundle.
    BundleMalformed = "bundle-malformed" Tampered,
    /// The bundle of another lot than the one that was asked for.
    BundleOfOther = "bundle-of-other" Tampered,
    /// The entry does not repeat the chain value of the entry before it.
    ChainBroken = "chain-broken" Tampered,
    /// The latest checkpoint is of no entries: it says nothing.
    CheckpointEmpty = "checkpoint-empty" Undetermined,
    /// A checkpoint came after the entries that it is about.
    CheckpointLate = "checkpoint-late" Undetermined,
    /// A text that should be a checkpoint is none.
    CheckpointMalformed = "checkpoint-malformed" Tampered,
    /// No checkpoint of the head was given.
    CheckpointMissing = "checkpoint-missing" Undetermined,
    /// Nobody said which key signs checkpoints: no pin, and no readable genesis.
    CheckpointUnchecked = "checkpoint-unchecked" Undetermined,
    /// A checkpoint without a sound signature by the ledger's key under the ledger's name.
    CheckpointUnsigned = "checkpoint-unsigned" Tampered,
    /// A batch ends, or the ledger does, before the correctives that a declared error announced.
    CorrectivesMissing = "correctives-missing" Tampered,
    /// The checkpoint is of more entries than there are.
    EntriesMissing = "entries-missing" Tampered,
    /// A line under the name and key id of a witness of the policy that does not hold.
    CosignatureInvalid = "cosignature-invalid" Tampered,
    /// Too few witnesses cosigned the checkpoint for the policy.
    CosignaturesMissing = "cosignatures-missing" Undetermined,
    /// Entries that could not be read where they should be: they may be there.
    EntriesUnreadable = "entries-unreadable" Undetermined,
    /// The bytes are not an entry.
    EntryMalformed = "entry-malformed" Tampered,
    /// The fields of an event or statement break their rules.
    EventMalformed = "event-malformed" Tampered,
    /// The text proves no fork of the pinned ledger.
    EvidenceUnusable = "evidence-unusable" Undetermined,
    /// The ledger begins otherwise than it did when the reader last checked it, under its own
    /// signature: two histories.
    Forked = "forked" Tampered,
    /// A format version that this software does not read.
    FormatUnknown = "format-unknown" Undetermined,
    /// A commit group does not begin where the one before it ended, is empty, or has no checkpoint
    /// of it.
    GroupMalformed = "group-malformed" Tampered,
    /// The entry's proof does not lead to the checkpoint's root: it is not in that tree, or not
    /// there.
    InclusionUnproven = "inclusion-unproven" Tampered,
    /// The index is not the next one.
    IndexWrong = "index-wrong" Tampered,
    /// A key of the registry under which no signature can be trusted.
    KeyUnsound = "key-unsound" Tampered,
    /// The pinned key is none of the ledger's: neither that of the genesis nor one that followed.
    LedgerKeyMismatch = "ledger-key-mismatch" Tampered,
    /// The lot links are not those that follow from the events.
    LinksWrong = "links-wrong" Tampered,
    /// A text that should be a proof of a lot's state, or its story, is none.
    LotStateMalformed = "lot-state-malformed" Tampered,
    /// The proof does not show what the ledger stated of the lot.
    LotStateUnproven = "lot-state-unproven" Tampered,
    /// The ledger states another root of its lots than its entries give, or over other entries.
    LotStateWrong = "lot-state-wrong" Tampered,
    /// The story of a lot holds an entry that is not of it, or not in the ledger.
    LotStoryInvents = "lot-story-invents" Tampered,
    /// The story of a lot leaves out an entry of it.
    LotStoryOmits = "lot-story-omits" Tampered,
    /// There is nothing to check.
    NoEntries = "no-entries" Undetermined,
    /// The signed bytes are not in canonical form.
    NonCanonical = "non-canonical" Tampered,
    /// The genesis names another origin than the pinned one.
    OriginMismatch = "origin-mismatch" Tampered,
    /// The pinned key is one of the ledger's, and no checkpoint that it signed holds: nobody whom
    /// the reader trusts vouches for these entries.
    PinUnvouched = "pin-unvouched" Undetermined,
    /// Consistent with itself, but nobody pinned the key and the origin.
    PinsMissing = "pins-missing" Warning,
    /// The policy names logs, and the pinned ledger is none of them.
    PolicyLogUnknown = "policy-log-unknown" Undetermined,
    /// The receipt is not one.
    ReceiptMalformed = "receipt-malformed" Tampered,
    /// The receipt's proof does not lead to the checkpoint's root.
    ReceiptUnproven = "receipt-unproven" Tampered,
    /// What the reader remembers is no checkpoint of this ledger.
    RememberedUnusable = "remembered-unusable" Undetermined,
    /// That a lot of a bundle has no event after the last one here is not proven.
    StoryEndUnproven = "story-end-unproven" Warning,
    /// From this entry on the state is not known, so rules and lot links are not checked.
    ReplayStopped = "replay-stopped" Undetermined,
    /// The ledger has fewer entries than when the reader last checked it.
    RolledBack = "rolled-back" Tampered,
    /// The entries do not give the root that the ledger signed.
    RootMismatch = "root-mismatch" Tampered,
    /// The rules do not let the event in.
    RuleBroken = "rule-broken" Tampered,
    /// The ledger names a next key, and the old one signed no checkpoint that ends with that entry.
    RotationUncovered = "rotation-uncovered" Undetermined,
    /// Rules that this software does not execute.
    RulesUnknown = "rules-unknown" Undetermined,
    /// The entry names other rules than those in force.
    RulesWrong = "rules-wrong" Tampered,
    /// A signature that does not hold.
    SignatureInvalid = "signature-invalid" Tampered,
    /// A signature under a key that was not registered by then.
    SignerUnknown = "signer-unknown" Tampered,
    /// A statement that the ledger did not make.
    StatementInvalid = "statement-invalid" Tampered,
    /// The entry names other tables than those in force.
    TablesWrong = "tables-wrong" Tampered,
    /// Entries after the latest checkpoint: the ledger has not signed for them.
    TailUncovered = "tail-uncovered" Warning,
    /// The ledger's clock steps back.
    TimeDecreases = "time-decreases" Tampered,
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where, counted from 0 in the entries as they came; `None` when it is about no single entry.
    pub index: Option<EntryIndex>,
    /// What.
    pub kind: FindingKind,
    /// In words and numbers, with the rule.
    pub detail: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            Some(index) => write!(f, "entry {index}: {}: {}", self.kind, self.detail),
            None => write!(f, "{}: {}", self.kind, self.detail),
        }
    }
}

/// What follows from all findings. Ordered from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Everything was checked, against a pinned key and origin, and holds.
    Verified,
    /// Everything that was checked holds; see the warnings.
    Warnings,
    /// Something could not be checked, and nothing bad was found.
    Undetermined,
    /// Something is not as its signers left it, or was never allowed.
    Tampered,
}

impl Verdict {
    /// The verdict of findings by the heaviest of them.
    pub(super) const fn of(heaviest: Option<Weight>) -> Self {
        match heaviest {
            None => Self::Verified,
            Some(Weight::Warning) => Self::Warnings,
            Some(Weight::Undetermined) => Self::Undetermined,
            Some(Weight::Tampered) => Self::Tampered,
        }
    }

    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Warnings => "warnings",
            Self::Undetermined => "undetermined",
            Self::Tampered => "tampered",
        }
    }

    /// The exit code of `verify`.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Verified => 0,
            Self::Tampered => 1,
            Self::Undetermined => 2,
            Self::Warnings => 3,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What the judge says of a ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// In one word.
    pub verdict: Verdict,
    /// How many entries came.
    pub entries: EntryCount,
    /// The first entry with which something is wrong. `None` when nothing is, or when only a
    /// checkpoint tells: then its finding says between which entries the change lies.
    pub first_bad: Option<EntryIndex>,
    /// What was found, in the order of the entries, at most [`MAX_FINDINGS`],
    /// of one kind at most [`MAX_FINDINGS_OF_A_KIND`].
    pub findings: Vec<Finding>,
    /// Findings beyond that; they count in the verdict.
    pub findings_left_out: u64,
    /// The largest checkpoint that the ledger's key signed and that the entries bear out.
    pub checkpoint: Option<Checkpoint>,
    /// Its text, verbatim: what a reader keeps until the next time.
    pub signed_checkpoint: Option<SignedCheckpoint>,
    /// Entries under the checkpoint that the reader remembered, when the ledger still begins so.
    pub remembered: Option<EntryCount>,
    /// The ledger begins otherwise than the reader remembers.
    pub fork: Option<Fork>,
    /// Who the ledger says it is, in its genesis: what there is to pin, not a proof of it.
    pub claims: Option<Identity>,
    /// The ledger key in force after the last entry; another than that of `claims` when it was
    /// rotated.
    pub ledger_key: Option<PublicKey>,
    /// How often the ledger key was rotated.
    pub rotations: usize,
    /// The entry that was to be explained, step by step; empty when none was, or it did not come.
    pub steps: Vec<Step>,
    /// How much was done.
    pub progress: Progress,
}

/// Two histories: what was remembered, and what the same number of entries gives now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fork {
    /// The remembered checkpoint.
    pub remembered: SignedCheckpoint,
    /// Its size.
    pub size: EntryCount,
    /// The root over so many entries of those that came.
    pub found: Hash32,
    /// The last checkpoint by the key that signed the remembered one, of as many entries or more,
    /// under which that root stands; `None` when that key signed none.
    pub newer: Option<SignedCheckpoint>,
}

/// Findings as they gather, bounded in all and by kind; the verdict counts all of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Findings {
    kept: Vec<Finding>,
    kept_of: BTreeMap<FindingKind, usize>,
    left_out: u64,
    heaviest: Option<Weight>,
    first_bad: Option<EntryIndex>,
}

impl Findings {
    /// Something about one entry.
    pub(super) fn at(&mut self, index: EntryIndex, kind: FindingKind, detail: impl Into<String>) {
        if kind.weight() == Weight::Tampered {
            self.first_bad = Some(self.first_bad.map_or(index, |first| first.min(index)));
        }
        self.keep(Finding { index: Some(index), kind, detail: detail.into() });
    }

    /// Something about no single entry.
    pub(super) fn overall(&mut self, kind: FindingKind, detail: impl Into<String>) {
        self.keep(Finding { index: None, kind, detail: detail.into() });
    }

    /// Something that another judge found.
    pub(super) fn take(&mut self, finding: Finding) {
        match finding.index {
            Some(index) => self.at(index, finding.kind, finding.detail),
            None => self.keep(finding),
        }
    }

    fn keep(&mut self, finding: Finding) {
        self.heaviest = self.heaviest.max(Some(finding.kind.weight()));
        let of_kind = self.kept_of.entry(finding.kind).or_default();
        if self.kept.len() < MAX_FINDINGS && *of_kind < MAX_FINDINGS_OF_A_KIND {
            *of_kind += 1;
            self.kept.push(finding);
        } else {
            self.left_out = self.left_out.saturating_add(1);
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.left_out.saturating_add(u64::try_from(self.kept.len()).unwrap_or(u64::MAX))
    }

    pub(super) fn verdict(&self) -> Verdict {
        Verdict::of(self.heaviest)
    }

    pub(super) fn first_bad(&self) -> Option<EntryIndex> {
        self.first_bad
    }

    /// The kept ones, and how many were left out.
    pub(super) fn into_kept(self) -> (Vec<Finding>, u64) {
        (self.kept, self.left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kebab_and_unique() {
        let mut names: Vec<&str> = FindingKind::ALL.iter().map(|kind| kind.name()).collect();
        let is_kebab = |name: &&str| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
        assert!(names.iter().all(is_kebab));
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), FindingKind::ALL.len());
    }

    #[test]
    fn findings_beyond_the_cap_still_count() {
        let mut findings = Findings::default();
        for _ in 0..MAX_FINDINGS {
            findings.overall(FindingKind::PinsMissing, "");
        }
        assert_eq!(findings.verdict(), Verdict::Warnings);
        findings.at(EntryIndex(7), FindingKind::ChainBroken, "");
        findings.at(EntryIndex(5), FindingKind::ReplayStopped, "");
        assert_eq!(findings.verdict(), Verdict::Tampered);
        assert_eq!(findings.first_bad(), Some(EntryIndex(7)));
        let (kept, left_out) = findings.into_kept();
        let told: Vec<_> = kept.iter().filter_map(|it| it.index).collect();
        assert_eq!(told, [EntryIndex(7), EntryIndex(5)], "not crowded out by what names no entry");
        assert_eq!(kept.len(), MAX_FINDINGS_OF_A_KIND + 2);
        assert_eq!(usize::try_from(left_out), Ok(MAX_FINDINGS - MAX_FINDINGS_OF_A_KIND));
    }
}
