//! Evidence that a ledger told two histories: a text that proves it to anybody who knows its key.
//!
//! Two checkpoints that the ledger's key signed, and a proof that the newer tree begins otherwise
//! than the older one says. Nobody can make it up without the ledger's key, and the operator cannot
//! explain it away.

use super::checkpoints::kind_of;
use super::keys::LedgerKeys;
use super::receipt::follow;
use super::report::{Finding, FindingKind, Findings, Verdict};
use super::told;
use super::verifier::Pins;
use crate::domain::EntryCount;
use crate::ledger::tree::verify_consistency;
use crate::ledger::{Checkpoint, Evidence, SignedCheckpoint};

/// What the judge says of an evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvidenceReport {
    /// `Tampered`: the fork is proven. `Undetermined`: it proves nothing.
    pub verdict: Verdict,
    /// What was found.
    pub findings: Vec<Finding>,
    /// The older checkpoint, when the ledger's key signed it.
    pub older: Option<Checkpoint>,
    /// The newer one.
    pub newer: Option<Checkpoint>,
}

/// Judges an evidence. Both pins are needed: whoever holds another key can make any. `rotations`
/// are receipts as for [`super::verify_receipt_after`]: a key that was followed convicts nobody of
/// what came later, and without them that is not known.
pub fn verify_evidence(bytes: &[u8], rotations: &[Vec<u8>], pins: &Pins) -> EvidenceReport {
    let mut findings = Findings::default();
    let (mut older, mut newer) = (None, None);
    match Evidence::parse(bytes) {
        Ok(evidence) => {
            let keys = signers(rotations, pins, &mut findings);
            older = open(&evidence.older, keys.as_ref(), pins, &mut findings);
            newer = open(&evidence.newer, keys.as_ref(), pins, &mut findings);
            if let (Some(older), Some(newer)) = (&older, &newer) {
                judge(&evidence, older, newer, &mut findings);
            }
        }
        Err(detail) => findings.overall(FindingKind::EvidenceUnusable, detail),
    }
    let verdict = findings.verdict();
    EvidenceReport { verdict, findings: findings.into_kept().0, older, newer }
}

/// The pinned key and those that followed it; `None` when that cannot be said.
fn signers(rotations: &[Vec<u8>], pins: &Pins, findings: &mut Findings) -> Option<LedgerKeys> {
    let (Some(origin), Some(key)) = (&pins.origin, &pins.ledger_key) else {
        let detail = "origin and ledger key have to be pinned: anybody can sign with another key";
        findings.overall(FindingKind::EvidenceUnusable, detail);
        return None;
    };
    let mut keys = LedgerKeys::begin(*key);
    for receipt in rotations {
        if let Err((_, detail)) = follow(receipt, origin, &mut keys) {
            findings.overall(FindingKind::EvidenceUnusable, detail);
            return None;
        }
    }
    Some(keys)
}

/// A checkpoint that the pinned ledger did not sign accuses nobody.
fn open(
    text: &SignedCheckpoint,
    keys: Option<&LedgerKeys>,
    pins: &Pins,
    findings: &mut Findings,
) -> Option<Checkpoint> {
    let size = SignedCheckpoint::parse(text.as_bytes()).ok().map(|(said, _)| said.size)?;
    let (origin, key) = (pins.origin.as_ref()?, keys?.signer_of(size)?);
    match SignedCheckpoint::open(text.as_bytes(), origin, &key) {
        Ok((checkpoint, _)) => Some(checkpoint),
        Err(fault) => {
            let detail = format!("{}: {}", kind_of(&fault), told(&fault));
            findings.overall(FindingKind::EvidenceUnusable, detail);
            None
        }
    }
}

fn judge(evidence: &Evidence, older: &Checkpoint, newer: &Checkpoint, findings: &mut Findings) {
    let found = &evidence.found;
    if older.size == EntryCount(0) || *found == older.root {
        let detail = "the newer tree begins as the older one says: the two may be of one ledger";
        return findings.overall(FindingKind::EvidenceUnusable, detail);
    }
    let proof = &evidence.proof;
    if let Err(fault) = verify_consistency(older.size, found, newer.size, &newer.root, proof) {
        return findings.overall(FindingKind::EvidenceUnusable, told(&fault));
    }
    let detail = format!(
        "the ledger's key signed root {} over {} entries, and root {} over {} whose first {} have \
         root {found}: no ledger has both",
        older.root, older.size, newer.root, newer.size, older.size
    );
    findings.overall(FindingKind::Forked, detail);
}
