//! What provenance answers, as flat lists of the proto. The only file of this room that knows its
//! types; it has them from `node`, which hands them on.

use bytes::Bytes;

use super::convert::raw;
use super::errors::Failure;
use crate::domain::vocabulary::Substance;
use crate::domain::{CampaignId, Grams, LotId};
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
        now: Some(v1::OriginHolding {
            total_g: origins.total.map(Grams::get),
            shares: shares(&origins.shares),
            is_attributed: origins.is_attributed,
            pending: pending(&origins.pending),
        }),
        at_birth: Some(v1::OriginHolding {
            total_g: at_birth.total.map(Grams::get),
            shares: shares(&at_birth.shares),
            is_attributed: at_birth.is_attributed,
            pending: pending(&at_birth.pending),
        }),
        lineage_lot_ids: ids(&origins.lineage),
        steps: trace.steps.iter().map(step).collect(),
        lots: trace.nodes.iter().map(lot).collect(),
        uptake_g: trace.uptake.map(Grams::get),
        is_complete: origins.is_complete && trace.is_complete,
        lot_cap: cap(MAX_TRACE_LOTS),
        step_cap: cap(MAX_TRACE_STEPS),
        is_final: origins.pending_campaigns.is_empty() && trace.pending_campaigns.is_empty(),
        pending_campaign_ids: campaigns(&trace.pending_campaigns),
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
        is_final: trace.pending_campaigns.is_empty(),
        pending_campaign_ids: campaigns(&trace.pending_campaigns),
    }
}

fn shares(shares: &[(LotId, Grams)]) -> Vec<v1::OriginShare> {
    let share = |(origin, mass): &(LotId, Grams)| {
        let (lot_id, campaign_id) = place(*origin);
        v1::OriginShare { lot_id, mass_g: mass.get(), campaign_id }
    };
    shares.iter().map(share).collect()
}

fn pending(shares: &[(CampaignId, Grams)]) -> Vec<v1::PendingShare> {
    let share = |(campaign, mass): &(CampaignId, Grams)| v1::PendingShare {
        campaign_id: raw(campaign.as_bytes()),
        mass_g: mass.get(),
    };
    shares.iter().map(share).collect()
}

/// A place of a trace: a lot, or a campaign.
fn place(lot: LotId) -> (Bytes, Bytes) {
    match lot.pool_of().or(lot.waived_stock_of()) {
        Some(campaign) => (Bytes::new(), raw(campaign.as_bytes())),
        None => (raw(lot.as_bytes()), Bytes::new()),
    }
}

fn campaigns(campaigns: &[CampaignId]) -> Vec<Bytes> {
    campaigns.iter().map(|campaign| raw(campaign.as_bytes())).collect()
}

fn lot(node: &TraceNode) -> v1::TraceLot {
    let (lot_id, campaign_id) = place(node.lot);
    v1::TraceLot {
        lot_id,
        campaign_id,
        depth: node.depth,
        mass_g: node.mass.map(Grams::get),
        remaining_g: node.remaining.map(Grams::get),
    }
}

fn step(step: &Step) -> v1::TraceStep {
    let (from_lot_id, from_campaign_id) = place(step.from);
    let (to_lot_id, to_campaign_id) = place(step.to);
    v1::TraceStep {
        entry_index: step.index.0,
        event_id: raw(step.event.as_bytes()),
        kind: step.kind.number().into(),
        from_lot_id,
        to_lot_id,
        mass_g: step.mass.get(),
        from_campaign_id,
        to_campaign_id,
    }
}

/// Origins that are lots; stock that a waiver let in stands among the steps.
fn ids(lots: &[LotId]) -> Vec<Bytes> {
    let lots = lots.iter().filter(|lot| lot.waived_stock_of().is_none());
    lots.map(|lot| raw(lot.as_bytes())).collect()
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
