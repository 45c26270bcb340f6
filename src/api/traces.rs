//! What provenance answers, as flat lists of the proto. The only file of this room that knows its
//! types; it has them from `node`, which hands them on.

use bytes::Bytes;

use super::convert::raw;
use super::errors::Failure;
use crate::domain::vocabulary::Substance;
use crate::domain::{Grams, LotId};
use crate::limits::{MAX_TRACE_LOTS, MAX_TRACE_STEPS};
use crate::node::{Measure, Origins, Step, Trace, TraceNode};
use crate::wire::v1;

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
    let at_birth = &origins.at_birth;
    v1::TraceOriginsResponse {
        now: Some(holding(origins.total, &origins.shares, origins.is_attributed)),
        at_birth: Some(holding(at_birth.total, &at_birth.shares, at_birth.is_attributed)),
        lineage_lot_ids: ids(&origins.lineage),
        steps: trace.steps.iter().map(step).collect(),
        lots: trace.nodes.iter().map(lot).collect(),
        uptake_g: trace.uptake.map(Grams::get),
        is_complete: origins.is_complete && trace.is_complete,
        lot_cap: cap(MAX_TRACE_LOTS),
        step_cap: cap(MAX_TRACE_STEPS),
    }
}

/// Where a lot went.
pub fn destinations(trace: &Trace) -> v1::TraceDestinationsResponse {
    v1::TraceDestinationsResponse {
        steps: trace.steps.iter().map(step).collect(),
        lots: trace.nodes.iter().map(lot).collect(),
        lost_g: trace.lost.map(Grams::get),
        is_complete: trace.is_complete,
        lot_cap: cap(MAX_TRACE_LOTS),
        step_cap: cap(MAX_TRACE_STEPS),
    }
}

fn holding(
    total: Option<Grams>,
    shares: &[(LotId, Grams)],
    is_attributed: bool,
) -> v1::OriginHolding {
    let shares = shares
        .iter()
        .map(|(lot, mass)| v1::OriginShare { lot_id: raw(lot.as_bytes()), mass_g: mass.get() });
    v1::OriginHolding { total_g: total.map(Grams::get), shares: shares.collect(), is_attributed }
}

fn lot(node: &TraceNode) -> v1::TraceLot {
    v1::TraceLot {
        lot_id: raw(node.lot.as_bytes()),
        depth: node.depth,
        mass_g: node.mass.map(Grams::get),
        remaining_g: node.remaining.map(Grams::get),
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

fn ids(lots: &[LotId]) -> Vec<Bytes> {
    lots.iter().map(|lot| raw(lot.as_bytes())).collect()
}

fn cap(limit: usize) -> u32 {
    u32::try_from(limit).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::vocabulary::EventKind;
    use crate::domain::{EntryIndex, EventId};
    use crate::node::Holding;

    const ORE: LotId = LotId::from_bytes([1; 16]);
    const BAR: LotId = LotId::from_bytes([2; 16]);

    fn walked(is_complete: bool) -> Trace {
        let step = Step {
            index: EntryIndex(9),
            event: EventId::from_bytes([3; 16]),
            kind: EventKind::TransformLots,
            from: ORE,
            to: BAR,
            mass: Grams::of(70),
        };
        let grams = is_complete.then_some(Grams::of(70));
        let node = TraceNode { lot: ORE, depth: 1, mass: grams, remaining: None };
        let (uptake, lost) = (grams, None);
        Trace {
            steps: vec![step],
            lots: vec![ORE],
            nodes: vec![node],
            uptake,
            lost,
            pending_campaigns: Vec::new(),
            is_complete,
        }
    }

    fn found(is_complete: bool) -> Origins {
        let at_birth = Holding {
            total: Some(Grams::of(70)),
            shares: vec![(ORE, Grams::of(70))],
            pending: Vec::new(),
            is_attributed: true,
        };
        Origins {
            total: Some(Grams::ZERO),
            shares: Vec::new(),
            pending: Vec::new(),
            is_attributed: true,
            at_birth,
            lineage: vec![ORE],
            pending_campaigns: Vec::new(),
            is_complete,
        }
    }

    #[test]
    fn every_gram_stands_where_the_proto_says() {
        let answer = origins(&found(true), &walked(true));
        let (now, at_birth) = (answer.now.unwrap(), answer.at_birth.unwrap());
        assert_eq!((now.total_g, now.shares.len()), (Some(0), 0));
        assert_eq!((at_birth.total_g, at_birth.shares[0].mass_g), (Some(70), 70));
        assert_eq!((answer.uptake_g, answer.lots[0].mass_g), (Some(70), Some(70)));
        assert_eq!(answer.lots[0].remaining_g, None);
        let step = &answer.steps[0];
        assert_eq!((step.kind(), step.mass_g), (v1::EventKind::TransformLots, 70));
        assert_eq!((&step.from_lot_id, &step.to_lot_id), (&raw(&[1; 16]), &raw(&[2; 16])));
        assert!(answer.is_complete);
    }

    #[test]
    fn a_walk_that_was_cut_short_makes_the_answer_so() {
        for (has_origins, has_steps) in [(true, false), (false, true), (false, false)] {
            let answer = origins(&found(has_origins), &walked(has_steps));
            assert!(!answer.is_complete);
        }
        let answer = destinations(&walked(false));
        assert!(!answer.is_complete && answer.lots[0].mass_g.is_none());
        assert_eq!((answer.lot_cap, answer.step_cap), (20_000, 100_000));
    }

    #[test]
    fn a_substance_is_one_that_can_be_traced() {
        assert_eq!(measure(0).unwrap(), Measure::Mass);
        assert_eq!(measure(29).unwrap(), Measure::Substance(Substance::Cu));
        for stranger in [-1, 1, 61, i32::MAX] {
            assert!(measure(stranger).is_err());
        }
    }
}
