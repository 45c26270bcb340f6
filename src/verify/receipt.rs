//! A receipt, checked without the ledger.

use super::checkpoints::kind_of;
use super::keys::LedgerKeys;
use super::report::{Finding, FindingKind, Findings, Verdict};
use super::told;
use super::verifier::Pins;
use crate::domain::{EntryCount, Origin, PublicKey};
use crate::ledger::envelope::pae;
use crate::ledger::{
    Checkpoint, Entry, EntryKind, Envelope, Receipt, ReceiptFault, SignedCheckpoint, StrictKey,
};
use crate::wire::statement::StatementBody;
use crate::wire::{decode_statement, encode_possession};

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
    verify_receipt_after(bytes, &[], pins)
}

/// As [`verify_receipt`], where other keys followed the pinned one: `rotations` are the receipts of
/// the statements that say so, in their order. A receipt from before the pinned key needs the key
/// that was in force then.
pub fn verify_receipt_after(bytes: &[u8], rotations: &[Vec<u8>], pins: &Pins) -> ReceiptReport {
    let mut findings = Findings::default();
    let verified = check(bytes, rotations, pins, &mut findings);
    if let Some(missing) = pins.missing() {
        let detail = format!("{missing} was pinned, so another ledger could have vouched");
        findings.overall(FindingKind::PinsMissing, detail);
    }
    let verdict = findings.verdict();
    let (entry, checkpoint) = verified.unzip();
    ReceiptReport { verdict, findings: findings.into_kept().0, entry, checkpoint }
}

fn check(
    bytes: &[u8],
    rotations: &[Vec<u8>],
    pins: &Pins,
    findings: &mut Findings,
) -> Option<(Entry, Checkpoint)> {
    let receipt = match Receipt::parse(bytes) {
        Ok(receipt) => receipt,
        Err(fault) => {
            findings.overall(FindingKind::ReceiptMalformed, told(&fault));
            return None;
        }
    };
    let vouched = vouch(&receipt, rotations, pins, findings)?;
    Some((vouched.entry, vouched.checkpoint))
}

/// What a receipt shows under the pins.
pub(super) struct Vouched {
    /// The entry.
    pub(super) entry: Entry,
    /// The checkpoint that it is proven under.
    pub(super) checkpoint: Checkpoint,
    /// Whose.
    pub(super) origin: Origin,
    /// The pinned key, and those that followed it.
    pub(super) keys: LedgerKeys,
}

/// Whether the pinned ledger vouches for the entry of a receipt.
pub(super) fn vouch(
    receipt: &Receipt,
    rotations: &[Vec<u8>],
    pins: &Pins,
    findings: &mut Findings,
) -> Option<Vouched> {
    let Some(ledger_key) = &pins.ledger_key else {
        let detail = "no ledger key is pinned: it is not known who signs the receipt's checkpoint";
        findings.overall(FindingKind::CheckpointUnchecked, detail);
        return None;
    };
    let claimed_origin = || claimed(receipt).map(|claimed| claimed.origin);
    let Some(origin) = pins.origin.clone().or_else(claimed_origin) else {
        findings.overall(FindingKind::ReceiptMalformed, "its checkpoint names no origin");
        return None;
    };
    let mut keys = LedgerKeys::begin(*ledger_key);
    for (place, rotation) in rotations.iter().enumerate() {
        if let Err((kind, detail)) = follow(rotation, &origin, &mut keys) {
            findings.overall(kind, format!("rotation {}: {detail}", place + 1));
            return None;
        }
    }
    let size = claimed(receipt).map_or(EntryCount(0), |claimed| claimed.size);
    let signer = keys.signer_of(size).unwrap_or(*ledger_key);
    match receipt.verify(&origin, &signer) {
        Ok(verified) => {
            let (entry, checkpoint) = (verified.entry().clone(), verified.checkpoint().clone());
            Some(Vouched { entry, checkpoint, origin, keys })
        }
        Err(fault) => {
            findings.overall(kind_of_receipt(&fault), told(&fault));
            None
        }
    }
}

/// What the receipt's own checkpoint says; the parser has read it before.
fn claimed(receipt: &Receipt) -> Option<Checkpoint> {
    let (checkpoint, _) = SignedCheckpoint::parse(receipt.checkpoint.as_bytes()).ok()?;
    Some(checkpoint)
}

/// The receipt of a statement by the newest key so far, in which it names the next one.
pub(super) fn follow(
    bytes: &[u8],
    origin: &Origin,
    keys: &mut LedgerKeys,
) -> Result<(), (FindingKind, String)> {
    let malformed = |detail: String| (FindingKind::ReceiptMalformed, detail);
    let invalid = |detail: &str| (FindingKind::StatementInvalid, detail.to_owned());
    let receipt = Receipt::parse(bytes).map_err(|fault| malformed(told(&fault)))?;
    let Some(in_force) = keys.current().filter(|_| !keys.is_full()) else {
        return Err(invalid("the ledger has had as many keys as it may"));
    };
    let verified =
        receipt.verify(origin, &in_force).map_err(|it| (kind_of_receipt(&it), told(&it)))?;
    let (entry, checkpoint) = (verified.entry(), verified.checkpoint());
    if entry.kind != EntryKind::Statement || checkpoint.size.0 != entry.index.next().0 {
        return Err(invalid("not a statement that ends a checkpoint of the old key"));
    }
    let envelope = Envelope::parse(&entry.envelope).map_err(|fault| malformed(told(&fault)))?;
    let next = next_key(&envelope, origin, &in_force).map_err(invalid)?;
    if keys.contains(&next) {
        return Err(invalid("the key that it names is or was the ledger's own"));
    }
    keys.push(next, entry.index);
    Ok(())
}

/// The key that a statement names: the ledger's key in force signed it, alone, and the next one
/// shows that somebody holds it.
fn next_key(
    envelope: &Envelope,
    origin: &Origin,
    in_force: &PublicKey,
) -> Result<PublicKey, &'static str> {
    let StatementBody::LedgerKeyRotation { next_key, possession } =
        stated(envelope, origin, in_force)?
    else {
        return Err("a statement that names no next key");
    };
    let next = StrictKey::parse(&next_key).map_err(|_| "the next key is not sound")?;
    let payload_type = EntryKind::Statement.payload_type();
    next.verify(&pae(payload_type, &encode_possession(origin, &next_key)), &possession)
        .map_err(|_| "the next key did not sign that somebody holds it")?;
    Ok(next_key)
}

/// What a ledger states under its key in force alone.
pub(super) fn stated(
    envelope: &Envelope,
    origin: &Origin,
    in_force: &PublicKey,
) -> Result<StatementBody, &'static str> {
    let payload_type = EntryKind::Statement.payload_type();
    let [signature] = envelope.signatures.as_slice() else {
        return Err("not signed by the ledger key alone");
    };
    let key = StrictKey::parse(in_force).map_err(|_| "the key in force is not sound")?;
    let is_signed = signature.key == key.id()
        && key.verify(&pae(payload_type, &envelope.payload), &signature.signature).is_ok();
    if !is_signed {
        return Err("not signed by the ledger key in force");
    }
    let statement = decode_statement(&envelope.payload).map_err(|_| "not a statement")?;
    if statement.origin != *origin {
        return Err("a statement of another ledger");
    }
    Ok(statement.body)
}

const fn kind_of_receipt(fault: &ReceiptFault) -> FindingKind {
    match fault {
        ReceiptFault::Checkpoint(fault) => kind_of(fault),
        ReceiptFault::Proof(_) => FindingKind::ReceiptUnproven,
        _ => FindingKind::ReceiptMalformed,
    }
}
