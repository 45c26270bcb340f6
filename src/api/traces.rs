//! What provenance answers, as flat lists of the proto. The only file of this room that knows its
//! types.

use super::convert::raw;
use crate::domain::LotId;
use crate::domain::vocabulary::Substance;
use crate::limits::{MAX_TRACE_LOTS, MAX_TRACE_STEPS};
use crate::node::{Measure, Origins, Step, Trace};
use crate::wire::v1;

use super::errors::Failure;

/// What a request measures by: a substance, or the mass when none is given.
pub fn measure(substance: i32) -> Result<Measure, Failure> {
    if substance == 0 {
        return Ok(Measure::Mass);
    }
    let known = Substance::from_number(substance).map(Measure::Substance);
    known.ok_or_else(|| Failure::field("substance", "a number of Substance", substance.to_string()))
}

/// Where a lot came from. Complete only when both walks were.
pub fn origins(origins: &Origins, trace: &Trace) -> v1::TraceOriginsResponse {
    let shares = origins
        .shares
        .iter()
        .map(|(lot, mass)| v1::OriginShare { lot_id: raw(lot.as_bytes()), mass_g: mass.get() });
    v1::TraceOriginsResponse {
        total_g: origins.total.get(),
        shares: shares.collect(),
        lineage_lot_ids: ids(&origins.lineage),
        steps: trace.steps.iter().map(step).collect(),
        lot_ids: ids(&trace.lots),
        is_complete: origins.is_complete && trace.is_complete,
        lot_cap: cap(MAX_TRACE_LOTS),
        step_cap: cap(MAX_TRACE_STEPS),
    }
}

/// Where a lot went.
pub fn destinations(trace: &Trace) -> v1::TraceDestinationsResponse {
    v1::TraceDestinationsResponse {
        steps: trace.steps.iter().map(step).collect(),
        lot_ids: ids(&trace.lots),
        is_complete: trace.is_complete,
        lot_cap: cap(MAX_TRACE_LOTS),
        step_cap: cap(MAX_TRACE_STEPS),
    }
}

fn step(step: &Step) -> v1::TraceStep {
    v1::TraceStep {
        entry_index: step.index.0,
        event_id: raw(step.event.as_bytes()),
        kind: step.kind.number().into(),
        from_lot_id: raw(step.from.as_bytes()),
        to_lot_id: raw(step.to.as_bytes()),
        mass_g: step.mass.get(),
    }
}

fn ids(lots: &[LotId]) -> Vec<bytes::Bytes> {
    lots.iter().map(|lot| raw(lot.as_bytes())).collect()
}

fn cap(limit: usize) -> u32 {
    u32::try_from(limit).unwrap_or(u32::MAX)
}
