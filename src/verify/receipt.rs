//! A receipt, checked without the ledger.

use super::checkpoints::kind_of;
use super::report::{Finding, FindingKind, Findings, Verdict};
use super::told;
use super::verifier::Pins;
use crate::domain::Origin;
use crate::ledger::{Checkpoint, Entry, Receipt, ReceiptFault, SignedCheckpoint};

/// What the judge says of a receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptReport {
    /// In one word.
    pub verdict: Verdict,
    /// What was found.
    pub findings: Vec<Finding>,
    /// The entry, when the ledger's key vouches for it.
    pub entry: Option<Entry>,
    /// The checkpoint that it is proven under, when the ledger's key signed it.
    pub checkpoint: Option<Checkpoint>,
}

/// Checks that the pinned ledger vouches for an entry. Whether the entry's own signatures hold and
/// its event was allowed needs the entries before it: that is [`super::Verifier`]'s to say.
pub fn verify_receipt(bytes: &[u8], pins: &Pins) -> ReceiptReport {
    let mut findings = Findings::default();
    let verified = check(bytes, pins, &mut findings);
    if let Some(missing) = pins.missing() {
        let detail = format!("{missing} was pinned, so another ledger could have vouched");
        findings.overall(FindingKind::PinsMissing, detail);
    }
    let verdict = findings.verdict();
    let (entry, checkpoint) = verified.unzip();
    ReceiptReport { verdict, findings: findings.into_kept().0, entry, checkpoint }
}

fn check(bytes: &[u8], pins: &Pins, findings: &mut Findings) -> Option<(Entry, Checkpoint)> {
    let receipt = match Receipt::parse(bytes) {
        Ok(receipt) => receipt,
        Err(fault) => {
            findings.overall(FindingKind::ReceiptMalformed, told(&fault));
            return None;
        }
    };
    let Some(ledger_key) = &pins.ledger_key else {
        let detail = "no ledger key is pinned: it is not known who signs the receipt's checkpoint";
        findings.overall(FindingKind::CheckpointUnchecked, detail);
        return None;
    };
    let Some(origin) = pins.origin.clone().or_else(|| claimed_origin(&receipt)) else {
        findings.overall(FindingKind::ReceiptMalformed, "its checkpoint names no origin");
        return None;
    };
    match receipt.verify(&origin, ledger_key) {
        Ok(verified) => Some((verified.entry().clone(), verified.checkpoint().clone())),
        Err(fault) => {
            findings.overall(kind_of_receipt(&fault), told(&fault));
            None
        }
    }
}

/// The name in the receipt's own checkpoint; the parser has read it before.
fn claimed_origin(receipt: &Receipt) -> Option<Origin> {
    let (checkpoint, _) = SignedCheckpoint::parse(receipt.checkpoint.as_bytes()).ok()?;
    Some(checkpoint.origin)
}

const fn kind_of_receipt(fault: &ReceiptFault) -> FindingKind {
    match fault {
        ReceiptFault::Checkpoint(fault) => kind_of(fault),
        ReceiptFault::Proof(_) => FindingKind::ReceiptUnproven,
        _ => FindingKind::ReceiptMalformed,
    }
}
