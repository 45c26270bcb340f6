//! What entries changed.

use super::codec_struct;
use crate::domain::fact::{Fact, LotChange, Stand};

codec_struct!(Stand { owner, possessor, keeper, site, mass, reserved, contents, is_held });
codec_struct!(LotChange { lot, material, grades, origin_kinds, before, after });
codec_struct!(Fact { index, recorded_at, lots, stock, flags, undoes });

#[cfg(test)]
mod tests {
    use super::super::assert_round_trip;
    use super::*;
    use crate::domain::flag::Flag;
    use crate::domain::lot::Contents;
    use crate::domain::movement::InProcess;
    use crate::domain::vocabulary::{InvoiceClass, OriginKind, OriginKinds, Substance};
    use crate::domain::{EntryIndex, Grams, LotId, PartyId, SiteId, TimeMs};

    #[test]
    fn facts_come_back() {
        let stand = Stand {
            owner: PartyId::from_bytes([1; 16]),
            possessor: PartyId::from_bytes([2; 16]),
            keeper: PartyId::from_bytes([3; 16]),
            site: SiteId::from_bytes([4; 16]),
            mass: Grams::of(9),
            reserved: Grams::of(1),
            contents: vec![(Substance::Cu, Grams::of(5))],
            is_held: true,
        };
        let change = |before| LotChange {
            lot: LotId::from_bytes([5; 16]),
            material: "CU_SCRAP_NO2".to_owned(),
            grades: Vec::new(),
            origin_kinds: OriginKinds::of(OriginKind::Ore),
            before,
            after: stand.clone(),
        };
        let stock = InProcess {
            mass: Grams::of(7),
            contents: Contents::default(),
            from: None,
            left: Contents::default(),
        };
        let full = Fact {
            index: EntryIndex(8),
            recorded_at: TimeMs::of(6),
            lots: vec![change(None), change(Some(stand.clone()))],
            stock: Some(stock),
            flags: vec![Flag::InvoiceClassUnmatched(InvoiceClass::None, InvoiceClass::Reverse)],
            undoes: Some(EntryIndex(3)),
        };
        assert_round_trip(&full);
        let bare = Fact { lots: Vec::new(), stock: None, flags: Vec::new(), undoes: None, ..full };
        assert_round_trip(&bare);
        assert!(!bare.is_telling());
    }
}
