//! Campaigns.

use super::{codec_struct, codec_vocabulary};
use crate::domain::campaign::{Campaign, Closing, Flow, FlowItem, Line, Opening};
use crate::domain::vocabulary::OriginKind;

codec_vocabulary!(OriginKind);
codec_struct!(FlowItem { substance, lots, contained, uncertainty });
codec_struct!(Flow { lots, mass, items, kinds, earned });
codec_struct!(Opening { stock, kinds, waived_by, has_earned });
codec_struct!(Closing { event, occurred_at, stock, loss, uptake });
codec_struct!(Line { last });
codec_struct!(Campaign {
    id,
    process,
    balances,
    party,
    site,
    owner,
    before,
    opened_at,
    opened_by,
    opened_occurred_at,
    opening,
    inputs,
    additions,
    outputs,
    residues,
    closing,
    last_occurred_at,
    retracted_by,
    life,
});

#[cfg(test)]
pub(super) mod tests {
    use super::super::{assert_round_trip, lot};
    use super::*;
    use crate::domain::vocabulary::{OriginKinds, Substance};
    use crate::domain::{CampaignId, EntryIndex, EventId, Grams, PartyId, SiteId, TimeMs};

    const ID: CampaignId = CampaignId::from_bytes([2; 16]);
    const EVENT: EventId = EventId::from_bytes([1; 16]);

    pub(in super::super) fn flow() -> Flow {
        let mut tally = Flow::default();
        let kinds = OriginKinds::of(OriginKind::Residue).union(OriginKinds::of(OriginKind::Ore));
        tally.add(&lot::tests::contents(), Grams::of(1_000), kinds);
        tally.earned = 1;
        tally
    }

    #[test]
    fn campaigns_come_back() {
        let closing = Closing {
            event: EVENT,
            occurred_at: TimeMs::of(9),
            stock: lot::tests::contents(),
            loss: Grams::of(3),
            uptake: Grams::of(4),
        };
        let full = Campaign {
            id: ID,
            process: "RE_SEPARATE".to_owned(),
            balances: vec![Substance::Pr, Substance::Nd],
            party: PartyId::from_bytes([3; 16]),
            site: SiteId::from_bytes([4; 16]),
            owner: Some(PartyId::from_bytes([5; 16])),
            before: Some(CampaignId::from_bytes([6; 16])),
            opened_at: EntryIndex(7),
            opened_by: EVENT,
            opened_occurred_at: TimeMs::of(8),
            opening: Opening {
                stock: lot::tests::contents(),
                kinds: OriginKinds::of(OriginKind::Unknown),
                waived_by: Some(EVENT),
                has_earned: true,
            },
            inputs: flow(),
            additions: flow(),
            outputs: flow(),
            residues: Flow::default(),
            closing: Some(closing),
            last_occurred_at: TimeMs::of(9),
            retracted_by: Some(EVENT),
            life: vec![(EntryIndex(7), EVENT), (EntryIndex(8), EVENT)],
        };
        assert_round_trip(&full);
        assert_round_trip(&Campaign {
            owner: None,
            before: None,
            opening: Opening::default(),
            inputs: Flow::default(),
            closing: None,
            retracted_by: None,
            life: vec![],
            ..full
        });
        assert_round_trip(&Line { last: Some(ID) });
        assert_round_trip(&Line { last: None });
    }
}
