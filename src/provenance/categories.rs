//! Which categories are the grams of a lot of: sums over its origin vector.

use std::collections::BTreeMap;

use super::origins::Holding;
use crate::domain::vocabulary::{OriginKind, OriginKinds};
use crate::domain::{Grams, LotId};

/// The grams of a lot by how their origins entered the ledger. `kinds`, `uptake` and `pending` add
/// up to its total, and so do the four classes with `uptake` and `pending`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Categories {
    /// Grams per kind, ascending, none zero; `None` comes first and stands for origins that entered
    /// as more than one kind.
    pub kinds: Vec<(Option<OriginKind>, Grams)>,
    /// Of kinds that the tables count as recycled, but for what was imported.
    pub recycled: Grams,
    /// Imported as recycled raw material.
    pub imported: Grams,
    /// Of kinds that the tables do not count as recycled.
    pub primary: Grams,
    /// Of the kind UNKNOWN, of more than one kind, and stock that a waiver let in.
    pub unknown: Grams,
    /// Joined in processes: oxygen, water, reagents. Of no origin.
    pub uptake: Grams,
    /// Out of campaigns that are not closed.
    pub pending: Grams,
    /// All grams of kinds that the tables count as recycled, imported ones among them.
    pub recycled_content: Grams,
}

/// Which of the four classes a kind is of.
enum Class {
    Imported,
    Primary,
    Recycled,
    Unknown,
}

fn class_of(kind: Option<OriginKind>, recycled: OriginKinds) -> Class {
    match kind {
        None | Some(OriginKind::Unknown) => Class::Unknown,
        Some(OriginKind::ImportedRawMaterial) => Class::Imported,
        Some(kind) if recycled.contains(kind) => Class::Recycled,
        Some(_) => Class::Primary,
    }
}

/// Sums over what is held. `kind_of` answers as what an origin lot entered, `None` when as more
/// than one kind; `recycled` are the kinds that the tables count. `None` when the origins are not
/// known.
pub fn categories<F>(
    held: &Holding,
    recycled: OriginKinds,
    mut kind_of: impl FnMut(LotId) -> Result<Option<OriginKind>, F>,
) -> Result<Option<Categories>, F> {
    if !held.is_attributed {
        return Ok(None);
    }
    let mut kinds: BTreeMap<Option<OriginKind>, u64> = BTreeMap::new();
    let mut uptake = 0_u64;
    for (origin, grams) in &held.shares {
        if *origin == LotId::UPTAKE {
            uptake = uptake.saturating_add(grams.get());
            continue;
        }
        let kind = match origin.waived_stock_of() {
            Some(_) => Some(OriginKind::Unknown),
            None => kind_of(*origin)?,
        };
        let sum = kinds.entry(kind).or_default();
        *sum = sum.saturating_add(grams.get());
    }
    let pending = held.pending.iter().map(|(_, grams)| grams.get()).sum();
    let mut found = Categories {
        uptake: Grams::of(uptake),
        pending: Grams::of(pending),
        ..Categories::default()
    };
    for (kind, grams) in kinds {
        let sum = match class_of(kind, recycled) {
            Class::Imported => &mut found.imported,
            Class::Primary => &mut found.primary,
            Class::Recycled => &mut found.recycled,
            Class::Unknown => &mut found.unknown,
        };
        *sum = Grams::of(sum.get().saturating_add(grams));
        if kind.is_some_and(|kind| recycled.contains(kind)) {
            let sum = found.recycled_content.get().saturating_add(grams);
            found.recycled_content = Grams::of(sum);
        }
        found.kinds.push((kind, Grams::of(grams)));
    }
    Ok(Some(found))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::domain::CampaignId;

    const RECYCLED: [OriginKind; 3] =
        [OriginKind::ImportedRawMaterial, OriginKind::PostConsumer, OriginKind::PreConsumer];

    fn id(number: u8) -> LotId {
        LotId::from_bytes([number; 16])
    }

    fn held(shares: &[(LotId, u64)], pending: u64) -> Holding {
        let shares: Vec<_> = shares.iter().map(|(lot, grams)| (*lot, Grams::of(*grams))).collect();
        let campaign = CampaignId::from_bytes([0x77; 16]);
        Holding {
            shares,
            pending: vec![(campaign, Grams::of(pending))],
            is_attributed: true,
            ..Holding::default()
        }
    }

    fn sums(held: &Holding) -> Categories {
        let recycled = RECYCLED.map(OriginKinds::of);
        let recycled = recycled.into_iter().fold(OriginKinds::default(), OriginKinds::union);
        let kind = |lot: LotId| match lot.as_bytes()[0] {
            1 => Some(OriginKind::PostConsumer),
            2 => Some(OriginKind::ImportedRawMaterial),
            3 => Some(OriginKind::Primary),
            4 => Some(OriginKind::Unknown),
            5 => Some(OriginKind::PreConsumer),
            _ => None,
        };
        let found = categories(held, recycled, |lot| Ok::<_, Infallible>(kind(lot)));
        found.unwrap().unwrap()
    }

    #[test]
    fn every_gram_is_of_one_class() {
        let stock = LotId::waived_stock(CampaignId::from_bytes([0x78; 16]));
        let shares = [
            (LotId::UPTAKE, 5),
            (id(1), 100),
            (id(2), 20),
            (id(3), 7),
            (id(4), 3),
            (id(5), 50),
            (id(6), 2),
            (stock, 11),
        ];
        let found = sums(&held(&shares, 13));
        let grams = [found.recycled, found.imported, found.primary, found.unknown];
        assert_eq!(grams.map(Grams::get), [150, 20, 7, 16]);
        let rest = [found.uptake, found.pending, found.recycled_content];
        assert_eq!(rest.map(Grams::get), [5, 13, 170]);
        let of_kinds: u64 = found.kinds.iter().map(|(_, grams)| grams.get()).sum();
        let total: u64 = shares.iter().map(|(_, grams)| grams).sum::<u64>() + 13;
        assert_eq!(of_kinds + 5 + 13, total);
        assert_eq!(grams.map(Grams::get).iter().sum::<u64>() + 5 + 13, total);
        assert_eq!(found.kinds[0], (None, Grams::of(2)), "of more than one kind");
    }

    #[test]
    fn what_is_not_attributed_has_no_categories() {
        let held = Holding { is_attributed: false, ..held(&[(id(1), 4)], 0) };
        let found = categories(&held, OriginKinds::default(), |_| Ok::<_, Infallible>(None));
        assert_eq!(found, Ok(None));
    }
}
