//! What an entry changed, for those who look across entries: the part of it that its event does not
//! say.
//!
//! Facts are history: never changed afterwards, not even by a correction, which is a fact of its
//! own. So whatever is computed from them in ledger order is what would have been computed then.

use super::effects::Effects;
use super::event::GradeRef;
use super::flag::Flag;
use super::ids::{EntryIndex, EventId, LotId, PartyId, SiteId};
use super::lot::Lot;
use super::movement::InProcess;
use super::units::{Grams, TimeMs};
use super::vocabulary::{OriginKinds, Substance};

/// What one entry changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// Its entry.
    pub index: EntryIndex,
    /// The ledger's clock.
    pub recorded_at: TimeMs,
    /// Lots that it changed, ascending by id.
    pub lots: Vec<LotChange>,
    /// For the opening and the close of a campaign: what was in process.
    pub stock: Option<InProcess>,
    /// What the rules remarked.
    pub flags: Vec<Flag>,
    /// For a declared error: the entry that it undoes.
    pub undoes: Option<EntryIndex>,
}

/// One lot, before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LotChange {
    /// Which.
    pub lot: LotId,
    /// Code of the material table.
    pub material: String,
    /// References to grades.
    pub grades: Vec<GradeRef>,
    /// Every origin kind of what it was made from.
    pub origin_kinds: OriginKinds,
    /// `None`: it came into being.
    pub before: Option<Stand>,
    /// As it stood afterwards.
    pub after: Stand,
}

/// Whose a lot is, where, and how much of what is left of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stand {
    /// Whose property.
    pub owner: PartyId,
    /// In whose hands.
    pub possessor: PartyId,
    /// Who acts for whose hands it is in, when somebody succeeded them; else the same.
    pub keeper: PartyId,
    /// Where.
    pub site: SiteId,
    /// What is there; nothing when its birth was declared an error.
    pub mass: Grams,
    /// Grams of it that are promised to open transfers.
    pub reserved: Grams,
    /// Grams of each substance in it that was looked for, ascending.
    pub contents: Vec<(Substance, Grams)>,
    /// Whether it may not move.
    pub is_held: bool,
}

impl Stand {
    /// How a lot stands.
    pub fn of(lot: &Lot, keeper: PartyId) -> Self {
        let is_there = lot.retracted_by.is_none();
        let mass = if is_there { lot.remaining } else { Grams::ZERO };
        let grams = |it: &super::lot::Content| lot.contents.at_mass(it.contained, mass);
        Self {
            owner: lot.owner,
            possessor: lot.possessor,
            keeper,
            site: lot.site,
            mass,
            reserved: if is_there { lot.reserved } else { Grams::ZERO },
            contents: lot.contents.items.iter().map(|it| (it.substance, grams(it))).collect(),
            is_held: !lot.holds.is_empty(),
        }
    }

    /// Grams of a substance in it; `None` when it was not looked for.
    pub fn contained(&self, substance: Substance) -> Option<Grams> {
        self.contents.iter().find(|(it, _)| *it == substance).map(|(_, grams)| *grams)
    }
}

impl LotChange {
    /// What became of a lot.
    pub fn new(before: Option<Stand>, lot: &Lot, keeper: PartyId) -> Self {
        Self {
            lot: lot.id,
            material: lot.material.clone(),
            grades: lot.grades.clone(),
            origin_kinds: lot.origin_kinds,
            before,
            after: Stand::of(lot, keeper),
        }
    }
}

impl Fact {
    /// What an accepted event changed.
    pub fn of(index: EntryIndex, recorded_at: TimeMs, event: EventId, effects: &Effects) -> Self {
        let lots = effects.lot_changes.clone();
        Self { lots, ..Self::without_lots(index, recorded_at, event, effects) }
    }

    fn without_lots(
        index: EntryIndex,
        recorded_at: TimeMs,
        event: EventId,
        effects: &Effects,
    ) -> Self {
        let own = effects.events.iter().find(|record| record.id == event);
        let undone = effects.events.iter().find(|record| record.id != event);
        Self {
            index,
            recorded_at,
            lots: Vec::new(),
            stock: effects.movement.as_ref().and_then(|it| it.stock.clone()),
            flags: own.map(|record| record.flags.clone()).unwrap_or_default(),
            undoes: undone.map(|record| record.index),
        }
    }

    /// The same, of effects that nobody asks for lots' changes any more.
    pub fn taken(
        index: EntryIndex,
        recorded_at: TimeMs,
        event: EventId,
        effects: &mut Effects,
    ) -> Self {
        let lots = std::mem::take(&mut effects.lot_changes);
        Self { lots, ..Self::without_lots(index, recorded_at, event, effects) }
    }

    /// Whether there is more to say of the entry than its event does.
    pub fn is_telling(&self) -> bool {
        let Self { index: _, recorded_at: _, lots, stock, flags, undoes } = self;
        !lots.is_empty() || stock.is_some() || !flags.is_empty() || undoes.is_some()
    }
}
