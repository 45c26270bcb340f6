//! What is said of the ledger itself. It changes nobody's metal.

use super::super::audit::{Acknowledgement, Attestation};
use super::super::effects::View;
use super::super::event::{AcknowledgeAnomaly, Attest};
use super::super::ids::{EntryCount, Hash32};
use super::super::rejection::Rejection;
use super::Verdict;
use super::work::Work;

/// The checkpoint is this ledger's, and of no more entries than are before this one. Whether its
/// root is that of those entries is for who replays them to say: the rules see no tree.
pub(super) fn attest<V: View>(work: &mut Work<'_, V>, attest: &Attest) -> Verdict<(), V> {
    let (size, root) = read(work, &attest.checkpoint)?;
    let index = work.moment.index;
    if size.0 > index.0 {
        let detail = format!("it is of {size} entries, and {index} are recorded before this one");
        return Err(Rejection::CheckpointInvalid { detail }.into());
    }
    work.effects.attestation = Some(Attestation {
        index,
        event: work.event.id,
        by: work.event.actor,
        occurred_at: work.at(),
        scope: attest.scope.clone(),
        size,
        root,
        result: attest.result,
    });
    Ok(())
}

/// A checkpoint is under the key that signed for the ledger at its size.
fn read<V: View>(work: &Work<'_, V>, text: &str) -> Result<(EntryCount, Hash32), Rejection> {
    let ledger = &work.ledger;
    let formers = ledger.former_ledger_keys.iter().map(|former| &former.key);
    let mut refused = String::new();
    for key in [&ledger.ledger_key].into_iter().chain(formers) {
        match (work.moment.checkpoint)(text, &ledger.origin, key) {
            Ok((size, root)) if ledger.signer_of(size) == *key => return Ok((size, root)),
            Ok((size, _)) => refused = format!("another key signed at {size} entries"),
            Err(detail) => {
                if refused.is_empty() {
                    refused = detail;
                }
            }
        }
    }
    Err(Rejection::CheckpointInvalid { detail: refused })
}

/// Anomalies are found outside the rules, so no id is unknown here.
pub(super) fn acknowledge<V: View>(work: &mut Work<'_, V>, seen: &AcknowledgeAnomaly) {
    work.effects.acknowledgement = Some(Acknowledgement {
        anomaly: seen.anomaly.clone(),
        by: work.event.actor,
        note: seen.note.clone(),
        event: work.event.id,
        index: work.moment.index,
        occurred_at: work.at(),
    });
}
