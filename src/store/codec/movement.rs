//! Movements.

use super::codec_struct;
use crate::domain::event::LotDraw;
use crate::domain::movement::{Birth, InProcess, Movement};

codec_struct!(LotDraw { lot, mass });
codec_struct!(Birth { lot, mass, contents });
codec_struct!(InProcess { mass, contents, from, left });
codec_struct!(Movement {
    index,
    event,
    kind,
    draws,
    births,
    output_count,
    uptake,
    loss,
    assay,
    campaign,
    stock,
    gained,
});

#[cfg(test)]
mod tests {
    use super::super::{assert_round_trip, lot};
    use super::*;
    use crate::domain::vocabulary::EventKind;
    use crate::domain::{CampaignId, EntryIndex, EventId, Grams, LotId};

    #[test]
    fn movements_come_back() {
        let id = LotId::from_bytes([2; 16]);
        let birth = |contents| Birth { lot: id, mass: Grams::of(4), contents };
        let full = Movement {
            index: EntryIndex(5),
            event: EventId::from_bytes([1; 16]),
            kind: EventKind::TransformLots,
            draws: vec![LotDraw { lot: id, mass: Grams::of(9) }; 3],
            births: vec![birth(None), birth(Some(lot::tests::contents()))],
            output_count: 1,
            uptake: Grams::of(1),
            loss: Grams::of(2),
            assay: Some(birth(Some(lot::tests::contents()))),
            campaign: Some(CampaignId::from_bytes([3; 16])),
            stock: Some(InProcess {
                mass: Grams::of(7),
                contents: lot::tests::contents(),
                from: Some(CampaignId::from_bytes([4; 16])),
                left: lot::tests::contents(),
            }),
            gained: Some(LotDraw { lot: id, mass: Grams::of(3) }),
        };
        assert_round_trip(&full);
        assert_round_trip(&Movement {
            draws: vec![],
            births: vec![],
            assay: None,
            campaign: None,
            stock: None,
            gained: None,
            ..full
        });
    }
}
