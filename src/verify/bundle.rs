//! A bundle, judged without the ledger: one lot's life, and all that it rests on.
//!
//! The entries of a bundle are judged by the same replay as a whole ledger. That is enough: an
//! event is judged by the values that it reads, a bundle holds the entries that last wrote them,
//! and every entry is proven to stand in the tree of the ledger's checkpoint. What is left out
//! inside a lot's life shows in the lot links; what is left out at its end shows where the ledger
//! states how many events the lot has. Nothing is stated of keys, parties, licences, waivers and
//! campaigns: that the last event of one of those was left out does not show.

use std::collections::{BTreeMap, BTreeSet};

use super::checkpoints::kind_of;
use super::cosignatures::judge_cosignatures;
use super::history::Measured;
use super::keys::LedgerKeys;
use super::lot_state::{LotStanding, verify_lot};
use super::prepare::prepare;
use super::receipt::follow;
use super::replay::Replay;
use super::report::{Finding, FindingKind, Findings, Verdict};
use super::told;
use super::verifier::{Pins, Progress};
use crate::domain::lot::Lot;
use crate::domain::{EntryCount, EntryIndex, LotId, PublicKey};
use crate::ledger::hash::leaf_hash;
use crate::ledger::tree::verify_inclusion;
use crate::ledger::{Bundle, BundledEntry, ChainValue, Checkpoint, Policy, SignedCheckpoint};

/// What the judge says of a bundle.
#[derive(Debug, Clone)]
pub struct BundleReport {
    /// In one word.
    pub verdict: Verdict,
    /// What was found.
    pub findings: Vec<Finding>,
    /// Findings beyond [`MAX_FINDINGS`](crate::limits::MAX_FINDINGS); they count in the verdict.
    pub findings_left_out: u64,
    /// The first entry with which something is wrong.
    pub first_bad: Option<EntryIndex>,
    /// Whose grounds these are, as the bundle says.
    pub lot: Option<LotId>,
    /// The lot as it stands after the bundle's entries; `None` when they do not bring it into
    /// being.
    pub state: Option<Lot>,
    /// Where its grams come from, recomputed; empty when the grounds do not hold together.
    pub measured: Vec<Measured>,
    /// Entries that link the lot, ascending.
    pub life: Vec<EntryIndex>,
    /// Of how many entries of the ledger it is proven that the lot, and those behind it, have no
    /// other events than these; `None` when the ledger's word on that did not come.
    pub complete_to: Option<EntryCount>,
    /// The checkpoint that the entries are proven under, when the ledger's key signed it.
    pub checkpoint: Option<Checkpoint>,
    /// How much was done.
    pub progress: Progress,
}

/// Judges a bundle. `lot`: whose the reader asked for; `policy`: which witnesses have to have
/// cosigned its checkpoint.
pub fn verify_bundle(
    bytes: &[u8],
    lot: Option<LotId>,
    pins: &Pins,
    policy: Option<&Policy>,
) -> BundleReport {
    let mut judge = Judge::default();
    let bundle = match Bundle::parse(bytes) {
        Ok(bundle) => Some(bundle),
        Err(fault) => {
            judge.findings.overall(FindingKind::BundleMalformed, told(&fault));
            None
        }
    };
    let mut checkpoint = None;
    if let Some(bundle) = &bundle {
        checkpoint = judge.judge(bundle, lot, pins);
        if let (Some(policy), Some(checkpoint)) = (policy, &checkpoint) {
            let (text, keys) = (bundle.checkpoint.as_bytes(), judge.replay.keys().all());
            let said = judge_cosignatures(text, policy, &checkpoint.origin, &keys);
            said.findings.into_iter().for_each(|it| judge.findings.take(it));
        }
    }
    if let Some(missing) = pins.missing() {
        let detail = format!("{missing} was pinned, so another ledger could have vouched");
        judge.findings.overall(FindingKind::PinsMissing, detail);
    }
    judge.report(bundle.map(|bundle| bundle.lot), checkpoint)
}

/// Whether a life is all that the ledger states; in words, what is missing or invented.
fn is_whole(
    lot: LotId,
    life: &[EntryIndex],
    standing: LotStanding,
    as_of: EntryCount,
) -> Result<(), String> {
    let (count, last) = match standing {
        LotStanding::Present(state) => (state.entry_count, Some(state.last)),
        LotStanding::Absent => (0, None),
    };
    let before: Vec<EntryIndex> = life.iter().copied().filter(|it| it.0 < as_of.0).collect();
    let found = u64::try_from(before.len()).unwrap_or(u64::MAX);
    if found == count && before.last().copied() == last {
        return Ok(());
    }
    let told = |index: Option<EntryIndex>| index.map_or("none".to_owned(), |it| it.to_string());
    Err(format!(
        "as of {as_of} entries lot {lot} has {count} events, the last in entry {}; here are \
         {found}, the last in entry {}",
        told(last),
        told(before.last().copied())
    ))
}

#[derive(Default)]
struct Judge {
    replay: Replay,
    findings: Findings,
    /// The entries that link each lot, ascending.
    lives: BTreeMap<LotId, Vec<EntryIndex>>,
    /// Entries up to which all events of the lots of the grounds are proven to be there.
    complete_to: Option<EntryCount>,
    measured: Vec<Measured>,
    entries: u64,
    bytes: u64,
}

impl Judge {
    fn judge(&mut self, bundle: &Bundle, lot: Option<LotId>, pins: &Pins) -> Option<Checkpoint> {
        if let Some(asked) = lot
            && asked != bundle.lot
        {
            let detail = format!("asked was lot {asked}, this is the bundle of lot {}", bundle.lot);
            self.findings.overall(FindingKind::BundleOfOther, detail);
        }
        self.replay.keep_history();
        self.replay_entries(bundle, pins);
        let checkpoint = self.open_checkpoint(bundle, pins)?;
        self.check_proofs(bundle, &checkpoint);
        self.tell_grounds(bundle, &checkpoint, pins);
        Some(checkpoint)
    }

    /// In the order of the ledger, as if there were no others between them.
    fn replay_entries(&mut self, bundle: &Bundle, pins: &Pins) {
        let mut before: Option<(EntryIndex, ChainValue)> = None;
        for BundledEntry { index, entry: bytes, .. } in &bundle.entries {
            let prepared = prepare(bytes);
            self.entries += 1;
            self.bytes = self.bytes.saturating_add(bytes.len() as u64);
            let parsed = match prepared.parsed {
                Ok(parsed) => parsed,
                Err(fault) => {
                    self.findings.at(*index, FindingKind::EntryMalformed, told(&fault));
                    self.replay.stop(*index);
                    before = None;
                    continue;
                }
            };
            let entry = &parsed.entry;
            if entry.index != *index {
                let detail = format!("the bundle says entry {index}, its bytes {}", entry.index);
                self.findings.at(*index, FindingKind::IndexWrong, detail);
                self.replay.stop(*index);
            }
            if let Some((neighbour, chain)) = before
                && neighbour.next() == *index
                && entry.previous != chain
            {
                let detail = format!("it does not repeat the chain value of entry {neighbour}");
                self.findings.at(*index, FindingKind::ChainBroken, detail);
            }
            for link in &entry.links {
                self.lives.entry(link.lot).or_default().push(*index);
            }
            self.replay.judge(*index, &parsed, pins, &mut self.findings);
            before = Some((*index, prepared.chain));
        }
        if self.entries == 0 {
            self.findings.overall(FindingKind::NoEntries, "a bundle without entries");
        }
    }

    /// The head under the key whose turn it is, and the keys from the pinned one to it.
    fn open_checkpoint(&mut self, bundle: &Bundle, pins: &Pins) -> Option<Checkpoint> {
        let text = bundle.checkpoint.as_bytes();
        let claimed = SignedCheckpoint::parse(text).ok().map(|(claimed, _)| claimed)?;
        let Some(claims) = self.replay.claims().cloned() else {
            let detail = "it holds no genesis, so it is not known whose ledger it is";
            self.findings.overall(FindingKind::BundleIncomplete, detail);
            return None;
        };
        let pinned = pins.ledger_key.unwrap_or(claims.ledger_key);
        let origin = pins.origin.as_ref().unwrap_or(&claims.origin);
        // From the first key on, whichever is pinned: without the old key's last checkpoint the
        // next one could tell another history of what was before it.
        let mut keys = LedgerKeys::begin(claims.ledger_key);
        if !self.replay.keys().contains(&pinned) {
            let detail = format!("pinned is {pinned}, the genesis says {}", claims.ledger_key);
            self.findings.at(EntryIndex(0), FindingKind::LedgerKeyMismatch, detail);
            return None;
        }
        if !self.has_all_rotations(bundle) {
            return None;
        }
        for receipt in &bundle.rotations {
            if let Err((kind, detail)) = follow(receipt, origin, &mut keys) {
                self.findings.overall(kind, format!("receipt of a rotation: {detail}"));
                return None;
            }
        }
        let signer: PublicKey = keys.signer_of(claimed.size)?;
        if keys.place_of(&signer) < keys.place_of(&pinned) {
            let detail = format!("no checkpoint that the pinned key {pinned} signed is here");
            self.findings.overall(FindingKind::PinUnvouched, detail);
        }
        match SignedCheckpoint::open(text, origin, &signer) {
            Ok((checkpoint, _)) => Some(checkpoint),
            Err(fault) => {
                self.findings.overall(kind_of(&fault), told(&fault));
                None
            }
        }
    }

    /// Each key of the replay that was followed comes with the receipt of the statement.
    fn has_all_rotations(&mut self, bundle: &Bundle) -> bool {
        let (rotations, receipts) = (self.replay.keys().rotations(), bundle.rotations.len());
        if rotations != receipts {
            let detail = format!(
                "{rotations} entries name a next ledger key, and {receipts} receipts of those came"
            );
            self.findings.overall(FindingKind::RotationUncovered, detail);
        }
        rotations == receipts
    }

    fn check_proofs(&mut self, bundle: &Bundle, checkpoint: &Checkpoint) {
        for BundledEntry { index, entry, proof } in &bundle.entries {
            let leaf = leaf_hash(entry);
            let (size, root) = (checkpoint.size, &checkpoint.root);
            if let Err(fault) = verify_inclusion(&leaf, *index, size, proof, root) {
                self.findings.at(*index, FindingKind::InclusionUnproven, told(&fault));
            }
        }
    }

    /// The lot's life is whole as far as its links tell, and its grams are recomputed.
    fn tell_grounds(&mut self, bundle: &Bundle, checkpoint: &Checkpoint, pins: &Pins) {
        let lot = bundle.lot;
        if self.replay.lot(lot).is_none() {
            let detail = format!("its entries do not bring lot {lot} into being");
            return self.findings.overall(FindingKind::BundleIncomplete, detail);
        }
        match self.replay.measure(lot) {
            Ok(measured) => self.measured = measured,
            Err(detail) => self.findings.overall(FindingKind::BundleIncomplete, detail),
        }
        if let Ok(grounds) = self.replay.grounds(lot) {
            let came: BTreeSet<EntryIndex> = bundle.entries.iter().map(|it| it.index).collect();
            let missing = grounds.entries.iter().find(|index| !came.contains(index));
            if let Some(missing) = missing {
                let detail = format!("entry {missing} stands behind the lot and is not there");
                self.findings.overall(FindingKind::BundleIncomplete, detail);
            }
            self.check_ends(bundle, &grounds.lots, checkpoint, pins);
        }
        self.check_campaigns();
    }

    /// A campaign has no state that the ledger would state: that it has not ended is not proven.
    fn check_campaigns(&mut self) {
        let pending = self.measured.iter().flat_map(|(_, it)| it.pending_campaigns.iter());
        for campaign in pending.collect::<BTreeSet<_>>() {
            let detail = format!(
                "campaign {campaign} does not end here: whether it goes on, or its end was left \
                 out, is not proven"
            );
            self.findings.overall(FindingKind::StoryEndUnproven, detail);
        }
    }

    /// Each lot of the grounds has exactly the events that the ledger states it has.
    fn check_ends(
        &mut self,
        bundle: &Bundle,
        lots: &[LotId],
        checkpoint: &Checkpoint,
        pins: &Pins,
    ) {
        let stated = self.states(bundle, lots, checkpoint, pins);
        let mut complete_to: Option<EntryCount> = None;
        for lot in lots {
            let life = self.lives.get(lot).map_or(&[][..], Vec::as_slice);
            let Some((standing, as_of)) = stated.get(lot) else {
                let detail =
                    format!("the ledger's word on how many events lot {lot} has is not here");
                self.findings.overall(FindingKind::StoryEndUnproven, detail);
                continue;
            };
            if let Err(detail) = is_whole(*lot, life, *standing, *as_of) {
                self.findings.overall(FindingKind::BundleIncomplete, detail);
            }
            complete_to = Some(complete_to.map_or(*as_of, |least| least.min(*as_of)));
        }
        // The ledger's last word is the last entry that the checkpoint covers, or something may
        // have come behind it.
        if let Some(as_of) = complete_to
            && as_of.0.saturating_add(1) < checkpoint.size.0
        {
            let detail = format!(
                "that these are all events of the lots is stated as of {as_of} entries, and the \
                 checkpoint has {}",
                checkpoint.size
            );
            self.findings.overall(FindingKind::StoryEndUnproven, detail);
        }
        self.complete_to = complete_to.filter(|_| stated.len() == lots.len());
    }

    /// What the ledger states of the lots of the grounds, at most once each.
    fn states(
        &mut self,
        bundle: &Bundle,
        lots: &[LotId],
        checkpoint: &Checkpoint,
        pins: &Pins,
    ) -> BTreeMap<LotId, (LotStanding, EntryCount)> {
        let mut stated = BTreeMap::new();
        // The pinned key is one that the first leads to: that was asked before.
        let ledger_key = self.replay.claims().map(|claims| claims.ledger_key);
        let pins = &Pins { ledger_key, ..pins.clone() };
        for text in &bundle.lot_states {
            let report = verify_lot(text, None, &bundle.rotations, pins);
            if report.checkpoint.as_ref().is_some_and(|it| it != checkpoint) {
                let detail = "the lots are stated under another checkpoint than the bundle's";
                self.findings.overall(FindingKind::LotStateUnproven, detail);
            }
            let pinless = |it: &Finding| it.kind != FindingKind::PinsMissing;
            report.findings.into_iter().filter(pinless).for_each(|it| self.findings.take(it));
            let (Some(lot), Some(standing), Some(as_of)) =
                (report.lot, report.standing, report.as_of)
            else {
                break;
            };
            // Each costs a signature; so no more are read than the grounds have lots.
            if lots.binary_search(&lot).is_err() || stated.insert(lot, (standing, as_of)).is_some()
            {
                let detail =
                    format!("a state of lot {lot}, which does not stand behind it, or twice");
                self.findings.overall(FindingKind::BundleMalformed, detail);
                break;
            }
        }
        stated
    }

    fn report(self, lot: Option<LotId>, checkpoint: Option<Checkpoint>) -> BundleReport {
        let progress = Progress {
            entries: self.entries,
            bytes: self.bytes,
            replayed: self.replay.replayed(),
            signatures: self.replay.signatures(),
            signatures_trusted: 0,
            findings: self.findings.count(),
        };
        let (verdict, first_bad) = (self.findings.verdict(), self.findings.first_bad());
        let state = lot.and_then(|lot| self.replay.lot(lot)).cloned();
        let life = lot.and_then(|lot| self.lives.get(&lot)).cloned().unwrap_or_default();
        let (findings, findings_left_out) = self.findings.into_kept();
        BundleReport {
            verdict,
            findings,
            findings_left_out,
            first_bad,
            lot,
            state,
            measured: self.measured,
            life,
            complete_to: self.complete_to,
            checkpoint,
            progress,
        }
    }
}
