//! What an event did to metal: the edges that provenance walks.
//!
//! A movement holds masses and the contents that were *fixed* in it (by declaration or assay). It
//! holds no origin vectors: those are computed from movements, skipping the ones whose event was
//! declared an error, so a trace after a correction equals a trace of a ledger in which the error
//! never happened.

use super::event::LotDraw;
use super::ids::{CampaignId, EntryIndex, EventId, LotId};
use super::lot::Contents;
use super::units::Grams;
use super::vocabulary::{EventKind, Substance};

/// What one event did to metal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Movement {
    /// Its entry.
    pub index: EntryIndex,
    /// Its event.
    pub event: EventId,
    /// Its kind: one that makes, measures, moves, counts or ends lots.
    pub kind: EventKind,
    /// Grams taken from lots (inputs and additions), in the order of the event.
    pub draws: Vec<LotDraw>,
    /// Lots that came into being, in the order in which they draw from the pool: outputs, then
    /// residues.
    pub births: Vec<Birth>,
    /// How many of `births` are outputs; the rest are residues.
    pub output_count: usize,
    /// Mass that joined and carries no traced metal.
    pub uptake: Grams,
    /// Mass that is in no lot afterwards: declared, handling and transit losses, what a stocktake
    /// missed, and what was disposed of or left the ledger.
    pub loss: Grams,
    /// For an assay: the lot, its mass then, and what was found.
    pub assay: Option<Birth>,
    /// For an event of a campaign: which. Its draws go into what is in process there, its births
    /// come out of that.
    pub campaign: Option<CampaignId>,
    /// For the opening and the close of a campaign: what was in process.
    pub stock: Option<InProcess>,
    /// For a stocktake that counted more than was booked: the lot, and the grams it has more. They
    /// carry no traced metal.
    pub gained: Option<LotDraw>,
}

/// In-process stock of a campaign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InProcess {
    /// How much.
    pub mass: Grams,
    /// What was fixed to be in it.
    pub contents: Contents,
    /// At an opening: the campaign that left it; `None` when a waiver let all of it in, and at a
    /// close.
    pub from: Option<CampaignId>,
    /// At an opening: what that campaign left. What is more of it, a waiver let in.
    pub left: Contents,
}

impl InProcess {
    /// Of so many grams of it, those of a substance or of mass, what the campaign before left.
    pub fn left_of(&self, substance: Option<Substance>, grams: Grams) -> Grams {
        let left = match substance {
            None => self.left.of_mass,
            Some(it) => self.left.of(it).map_or(Grams::ZERO, |found| found.contained),
        };
        if self.from.is_some() { left.min(grams) } else { Grams::ZERO }
    }

    /// Whether there is more of it, of mass or of a substance, than was left.
    pub fn is_waived(&self) -> bool {
        let is_more = |substance, grams| self.left_of(substance, grams) < grams;
        let mut items = self.contents.items.iter();
        is_more(None, self.mass) || items.any(|it| is_more(Some(it.substance), it.contained))
    }

    /// Of what it is at the opening of a campaign, with masses: the pool of the campaign before,
    /// and stock that a waiver let in.
    pub fn feeds(&self, campaign: CampaignId) -> Vec<(LotId, Grams)> {
        let left = self.left_of(None, self.mass);
        let rest = self.mass.checked_sub(left).unwrap_or_default();
        let waived = self.is_waived().then_some((LotId::waived_stock(campaign), rest));
        self.from.map(|before| (LotId::pool(before), left)).into_iter().chain(waived).collect()
    }
}

/// A lot that came into being, or was assayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Birth {
    /// Which.
    pub lot: LotId,
    /// Its mass.
    pub mass: Grams,
    /// What was fixed to be in it; `None`: it has its share of the pool it was drawn from.
    pub contents: Option<Contents>,
}
