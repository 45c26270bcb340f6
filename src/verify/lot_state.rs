//! One lot, checked without the ledger: how many entries it has, which is the last, that there is
//! no such lot, and that a story of it leaves nothing out and adds nothing.
//!
//! It rests on the ledger's own word, the root that it stated. That the word is true is found by
//! whoever replays the entries: [`super::Verifier`], which names a wrong one by its index. A wrong
//! root is signed, so what is checked here and what is found there convict the ledger together.

use super::receipt::{Vouched, stated, vouch};
use super::report::{Finding, FindingKind, Findings, Verdict};
use super::told;
use super::verifier::Pins;
use crate::domain::{EntryCount, EntryIndex, LotId};
use crate::ledger::hash::leaf_hash;
use crate::ledger::tree::verify_inclusion;
use crate::ledger::{
    Checkpoint, Entry, EntryKind, Envelope, LotFile, LotState, LotStateProof, ProvenEntry,
};
use crate::wire::statement::StatementBody;

/// How a lot stands under a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LotStanding {
    /// It has so many entries.
    Present(LotState),
    /// There is no such lot.
    Absent,
}

/// What the judge says of a lot's state, and of its story where one is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LotReport {
    /// In one word. "Verified" is: the pinned ledger states it so, and the story, where there is
    /// one, is all of it. That the events were signed by their parties and allowed is not asked.
    pub verdict: Verdict,
    /// What was found.
    pub findings: Vec<Finding>,
    /// The lot that the file is about.
    pub lot: Option<LotId>,
    /// How it stands; `None` when that is not proven.
    pub standing: Option<LotStanding>,
    /// As of how many entries; the entry behind them states it.
    pub as_of: Option<EntryCount>,
    /// The checkpoint under which the statement is proven, when the ledger's key signed it.
    pub checkpoint: Option<Checkpoint>,
    /// Entries of the story, in their order, when it holds; `None` when there is none.
    pub story: Option<Vec<Entry>>,
}

/// Checks the text of a lot's state or story ([`LotFile`]) against the pins. `lot` is the one that
/// the reader asks about; without it any will do, and the report says which it is. `rotations` are
/// receipts as for [`super::verify_receipt_after`].
pub fn verify_lot(
    bytes: &[u8],
    lot: Option<LotId>,
    rotations: &[Vec<u8>],
    pins: &Pins,
) -> LotReport {
    let mut findings = Findings::default();
    let file = LotFile::parse(bytes);
    let mut report = LotReport {
        verdict: Verdict::Undetermined,
        findings: Vec::new(),
        lot: file.as_ref().ok().map(|file| file.state.lot),
        standing: None,
        as_of: None,
        checkpoint: None,
        story: None,
    };
    match &file {
        Err(fault) => findings.overall(FindingKind::LotStateMalformed, told(fault)),
        Ok(file) => check(file, lot, rotations, pins, &mut report, &mut findings),
    }
    if let Some(missing) = pins.missing() {
        let detail = format!("{missing} was pinned, so another ledger could have vouched");
        findings.overall(FindingKind::PinsMissing, detail);
    }
    report.verdict = findings.verdict();
    report.findings = findings.into_kept().0;
    report
}

fn check(
    file: &LotFile,
    lot: Option<LotId>,
    rotations: &[Vec<u8>],
    pins: &Pins,
    report: &mut LotReport,
    findings: &mut Findings,
) {
    let proof = &file.state;
    if let Some(asked) = lot
        && asked != proof.lot
    {
        let detail = format!("it is about lot {}, and lot {asked} was asked for", proof.lot);
        return findings.overall(FindingKind::LotStateUnproven, detail);
    }
    let Some(vouched) = vouch(&proof.statement, rotations, pins, findings) else { return };
    report.checkpoint = Some(vouched.checkpoint.clone());
    let (as_of, standing) = match standing(proof, &vouched) {
        Ok(found) => found,
        Err((kind, detail)) => return findings.at(vouched.entry.index, kind, detail),
    };
    report.as_of = Some(as_of);
    report.standing = Some(standing);
    let Some(story) = &file.story else { return };
    let told = Story { lot: proof.lot, as_of, checkpoint: &vouched.checkpoint };
    report.story = told.check(story, standing, findings);
}

type Refused = (FindingKind, String);

/// What the ledger stated of a lot.
fn standing(
    proof: &LotStateProof,
    vouched: &Vouched,
) -> Result<(EntryCount, LotStanding), Refused> {
    let entry = &vouched.entry;
    let invalid = |detail: &str| (FindingKind::StatementInvalid, detail.to_owned());
    if entry.kind != EntryKind::Statement {
        return Err(invalid("an event, not a statement of the ledger"));
    }
    // The key whose turn it is at the entry; that of its group's checkpoint.
    let in_force = vouched.keys.signer_of(EntryCount(entry.index.next().0));
    let in_force = in_force.ok_or_else(|| invalid("no key was in force"))?;
    let envelope = Envelope::parse(&entry.envelope).map_err(|fault| invalid(&told(&fault)))?;
    let StatementBody::LotStateRoot { size, root } =
        stated(&envelope, &vouched.origin, &in_force).map_err(invalid)?
    else {
        return Err(invalid("a statement of something else than the lots"));
    };
    if size.0 != entry.index.0 {
        let detail =
            format!("it states the lots of {size} entries, and {} stand before it", entry.index);
        return Err((FindingKind::LotStateWrong, detail));
    }
    let found = proof.way.verify(proof.lot, &root);
    let found = found.map_err(|fault| (FindingKind::LotStateUnproven, told(&fault)))?;
    match found {
        None => Ok((size, LotStanding::Absent)),
        Some(state) if state.last.0 < size.0 => Ok((size, LotStanding::Present(state))),
        Some(state) => {
            let last = state.last;
            let detail = format!("it states that entry {last} is among the {size} before it");
            Err((FindingKind::LotStateWrong, detail))
        }
    }
}

/// What a story is held against.
struct Story<'a> {
    lot: LotId,
    as_of: EntryCount,
    checkpoint: &'a Checkpoint,
}

impl Story<'_> {
    /// The entries, when they are exactly those that the ledger counted: each is in the ledger and
    /// links the lot with the next ordinal and the entry before, none is missing, none is more.
    fn check(
        &self,
        story: &[ProvenEntry],
        standing: LotStanding,
        findings: &mut Findings,
    ) -> Option<Vec<Entry>> {
        let mut entries: Vec<Entry> = Vec::with_capacity(story.len());
        for (place, one) in (0_u64..).zip(story) {
            let previous = entries.last().map(|entry| entry.index);
            match self.next(place, one, previous) {
                Ok(entry) => entries.push(entry),
                Err((index, kind, detail)) => {
                    match index {
                        Some(index) => findings.at(index, kind, detail),
                        None => findings.overall(kind, detail),
                    }
                    return None;
                }
            }
        }
        let told = u64::try_from(entries.len()).unwrap_or(u64::MAX);
        let last = entries.last().map(|entry| entry.index);
        let (counted, expected) = match standing {
            LotStanding::Present(state) => (state.entry_count, Some(state.last)),
            LotStanding::Absent => (0, None),
        };
        if told == counted && last == expected {
            return Some(entries);
        }
        let text = |last: Option<EntryIndex>| {
            last.map_or_else(|| "none".to_owned(), |last| format!("entry {last}"))
        };
        let kind =
            if told < counted { FindingKind::LotStoryOmits } else { FindingKind::LotStoryInvents };
        let detail = format!(
            "the story has {told} entries, the last {}; as of {} entries lot {} has {counted}, the \
             last {}",
            text(last),
            self.as_of,
            self.lot,
            text(expected)
        );
        findings.overall(kind, detail);
        None
    }

    /// The entry at a place of the story.
    fn next(
        &self,
        place: u64,
        one: &ProvenEntry,
        previous: Option<EntryIndex>,
    ) -> Result<Entry, (Option<EntryIndex>, FindingKind, String)> {
        let invents = FindingKind::LotStoryInvents;
        let entry = Entry::parse(&one.entry)
            .map_err(|fault| (None, invents, format!("place {place}: {}", told(&fault))))?;
        let at = Some(entry.index);
        let Checkpoint { size, root, .. } = self.checkpoint;
        verify_inclusion(&leaf_hash(&one.entry), entry.index, *size, &one.proof, root)
            .map_err(|fault| (at, invents, format!("it is not in the ledger: {}", told(&fault))))?;
        if entry.index.0 >= self.as_of.0 {
            let detail = format!("the lot was stated as of {} entries", self.as_of);
            return Err((at, invents, detail));
        }
        let Some(link) = entry.links.iter().find(|link| link.lot == self.lot) else {
            return Err((at, invents, format!("it does not link lot {}", self.lot)));
        };
        let ordinal = u64::from(link.ordinal);
        if ordinal > place {
            let detail = format!(
                "it is number {ordinal} in the life of the lot, and the story has {place} before \
                 it: left out after {}",
                previous.map_or_else(|| "its beginning".to_owned(), |it| format!("entry {it}"))
            );
            return Err((at, FindingKind::LotStoryOmits, detail));
        }
        if ordinal < place || link.previous != previous {
            let before = |it: Option<EntryIndex>| {
                it.map_or_else(|| "nothing".to_owned(), |it| format!("entry {it}"))
            };
            let detail = format!(
                "it is number {ordinal} in the life of the lot, after {}; the story has it as \
                 number {place}, after {}",
                before(link.previous),
                before(previous)
            );
            return Err((at, invents, detail));
        }
        Ok(entry)
    }
}
