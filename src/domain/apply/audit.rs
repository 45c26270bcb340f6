//! What is said of the ledger itself. It changes nobody's metal.

use super::super::audit::{Acknowledgement, Attestation};
use super::super::effects::View;
use super::super::event::{AcknowledgeAnomaly, Attest};
use super::super::rejection::Rejection;
use super::Verdict;
use super::work::Work;

/// The checkpoint is this ledger's, and of no more entries than are before this one. Whether its
/// root is that of those entries is for who replays them to say: the rules see no tree.
pub(super) fn attest<V: View>(work: &mut Work<'_, V>, attest: &Attest) -> Verdict<(), V> {
    let (origin, key) = (&work.ledger.origin, &work.ledger.ledger_key);
    let read = (work.moment.checkpoint)(&attest.checkpoint, origin, key);
    let (size, root) = read.map_err(|detail| Rejection::CheckpointInvalid { detail })?;
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
