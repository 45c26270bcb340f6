//! A campaign, as it stands at an index: a continuous process that is balanced over a period,
//! because its metal cannot be followed from one charge to one draw.

use super::ids::{CampaignId, EntryIndex, EventId, PartyId, SiteId};
use super::lot::Contents;
use super::units::{Grams, TimeMs};
use super::vocabulary::{OriginKind, OriginKinds, Substance};

/// A continuous process of one party at one site, over a period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Campaign {
    /// Its id.
    pub id: CampaignId,
    /// Code of the process table.
    pub process: String,
    /// What the process balanced when the campaign was opened, ascending.
    pub balances: Vec<Substance>,
    /// Whose campaign.
    pub party: PartyId,
    /// Where.
    pub site: SiteId,
    /// Whose property everything in it is; `None` while there is nothing in it.
    pub owner: Option<PartyId>,
    /// The site's campaign of this process before it, when there was one.
    pub before: Option<CampaignId>,
    /// The entry that opened it.
    pub opened_at: EntryIndex,
    /// The event that opened it.
    pub opened_by: EventId,
    /// When that happened, as the actor said.
    pub opened_occurred_at: TimeMs,
    /// What was in process when it was opened.
    pub opening: Opening,
    /// Lots that were charged as inputs.
    pub inputs: Flow,
    /// Lots that were charged as additions.
    pub additions: Flow,
    /// Lots that were drawn as outputs.
    pub outputs: Flow,
    /// Lots that were drawn as residues.
    pub residues: Flow,
    /// How it was closed; `None` while it is open.
    pub closing: Option<Closing>,
    /// Latest `occurred_at` of its events.
    pub last_occurred_at: TimeMs,
    /// Set when its opening was declared an error.
    pub retracted_by: Option<EventId>,
    /// Its events that stand, and the opening of the campaign that follows it; in ledger order.
    pub life: Vec<(EntryIndex, EventId)>,
}

/// How a campaign stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CampaignStatus {
    /// Lots go in and come out.
    Open,
    /// Its balance is struck.
    Closed,
    /// Its opening was declared an error.
    Retracted,
}

/// In-process stock at the opening.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Opening {
    /// How much, and what is in it.
    pub stock: Contents,
    /// Every origin kind of what it was made from.
    pub kinds: OriginKinds,
    /// The waiver that let it in although no campaign left it; else it is what the campaign before
    /// left.
    pub waived_by: Option<EventId>,
    /// Whether some of its recycled content is in an account already.
    pub has_earned: bool,
}

/// The end of a campaign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closing {
    /// The event that closed it.
    pub event: EventId,
    /// When, as the actor said.
    pub occurred_at: TimeMs,
    /// What is still in process, and what is in it.
    pub stock: Contents,
    /// Mass that is in no lot.
    pub loss: Grams,
    /// Mass that joined and carries no traced metal.
    pub uptake: Grams,
}

/// What many lots contained together, so that a part of them can be taken out again.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Flow {
    /// How many times a lot was counted.
    pub lots: u32,
    /// Their mass.
    pub mass: Grams,
    /// Ascending by substance.
    pub items: Vec<FlowItem>,
    /// How many of them had an origin kind; ascending by kind, none zero.
    pub kinds: Vec<(OriginKind, u32)>,
    /// How many of them earned recycled content when they were counted, or had before.
    pub earned: u32,
}

/// One substance in many lots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlowItem {
    /// Of what.
    pub substance: Substance,
    /// In how many of the lots it was looked for.
    pub lots: u32,
    /// How much.
    pub contained: Grams,
    /// Give or take, added linearly.
    pub uncertainty: Grams,
}

/// The last campaign of a process at a site, open or closed; `None` when every one of them was
/// declared an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Line {
    /// Which.
    pub last: Option<CampaignId>,
}

/// Grams of a substance with their uncertainty, of one flow or of many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Amount {
    /// How much.
    pub grams: u128,
    /// Give or take.
    pub uncertainty: u128,
}

impl Amount {
    /// Both together; uncertainties add linearly.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self { grams: self.grams + other.grams, uncertainty: self.uncertainty + other.uncertainty }
    }

    /// Of what was found in one mass; `None` when it was not looked for in a mass that is there.
    pub fn in_contents(contents: &Contents, substance: Substance) -> Option<Self> {
        if contents.of_mass.is_zero() {
            return Some(Self::default());
        }
        let found = contents.of(substance)?;
        let (grams, uncertainty) = (found.contained.get(), found.uncertainty.get());
        Some(Self { grams: grams.into(), uncertainty: uncertainty.into() })
    }
}

impl Campaign {
    /// How it stands.
    pub const fn status(&self) -> CampaignStatus {
        match (&self.retracted_by, &self.closing) {
            (Some(_), _) => CampaignStatus::Retracted,
            (None, Some(_)) => CampaignStatus::Closed,
            (None, None) => CampaignStatus::Open,
        }
    }

    /// Every origin kind of what is in it.
    pub fn origin_kinds(&self) -> OriginKinds {
        self.opening.kinds.union(self.inputs.kinds()).union(self.additions.kinds())
    }

    /// Whether recycled content of what is in it is in an account already: what is drawn of it
    /// earns no more.
    pub const fn has_earned(&self) -> bool {
        self.opening.has_earned || self.inputs.earned > 0 || self.additions.earned > 0
    }

    /// Whether lots were drawn from it.
    pub const fn has_draws(&self) -> bool {
        self.outputs.lots > 0 || self.residues.lots > 0
    }

    /// Whether something is in it that can be drawn.
    pub const fn is_fed(&self) -> bool {
        self.inputs.lots > 0 || self.additions.lots > 0 || !self.opening.stock.of_mass.is_zero()
    }

    /// What went in of a substance, opening stock included; `None` when some of it was not analysed
    /// for it.
    pub fn went_in(&self, substance: Substance) -> Option<Amount> {
        let opening = Amount::in_contents(&self.opening.stock, substance)?;
        let charged = self.inputs.known(substance)?.plus(self.additions.known(substance)?);
        Some(opening.plus(charged))
    }

    /// What was said to come out of a substance, closing stock not included.
    pub fn came_out(&self, substance: Substance) -> Amount {
        self.outputs.said(substance).plus(self.residues.said(substance))
    }

    /// What is judged: the substances that are balanced, and every one that was said to come out of
    /// it: in lots, or in the stock given here.
    pub fn judged(&self, stock: &Contents) -> Vec<Substance> {
        let is_said = |substance: Substance| {
            let stays = stock.of(substance).is_some_and(|found| !found.contained.is_zero());
            stays || self.came_out(substance).grams > 0
        };
        let is_judged =
            |substance: &Substance| self.balances.contains(substance) || is_said(*substance);
        Substance::ALL.iter().copied().filter(is_judged).collect()
    }
}

impl Flow {
    /// Counts a lot, or a part of one.
    pub fn add(&mut self, contents: &Contents, mass: Grams, kinds: OriginKinds) {
        let item = |found: &super::lot::Content| FlowItem {
            substance: found.substance,
            lots: 1,
            contained: found.contained,
            uncertainty: found.uncertainty,
        };
        let items = contents.items.iter().map(item).collect();
        let kinds = kinds.iter().map(|kind| (kind, 1)).collect();
        self.plus(&Self { lots: 1, mass, items, kinds, earned: 0 });
    }

    /// Counts all that another one counts. At most [`crate::limits::MAX_CAMPAIGN_EVENTS`] events
    /// are added up, so nothing saturates.
    pub fn plus(&mut self, other: &Self) {
        self.lots = self.lots.saturating_add(other.lots);
        self.earned = self.earned.saturating_add(other.earned);
        self.mass = sum(self.mass, other.mass);
        for item in &other.items {
            match self.items.binary_search_by_key(&item.substance, |it| it.substance) {
                Err(place) => self.items.insert(place, *item),
                Ok(place) => {
                    let here = &mut self.items[place];
                    here.lots = here.lots.saturating_add(item.lots);
                    here.contained = sum(here.contained, item.contained);
                    here.uncertainty = sum(here.uncertainty, item.uncertainty);
                }
            }
        }
        for &(kind, count) in &other.kinds {
            match self.kinds.binary_search_by_key(&kind, |it| it.0) {
                Err(place) => self.kinds.insert(place, (kind, count)),
                Ok(place) => self.kinds[place].1 = self.kinds[place].1.saturating_add(count),
            }
        }
    }

    /// Takes out what was counted before.
    pub fn minus(&mut self, other: &Self) {
        self.lots = self.lots.saturating_sub(other.lots);
        self.earned = self.earned.saturating_sub(other.earned);
        self.mass = self.mass.checked_sub(other.mass).unwrap_or_default();
        for item in &other.items {
            if let Some(here) = self.items.iter_mut().find(|it| it.substance == item.substance) {
                here.lots = here.lots.saturating_sub(item.lots);
                here.contained = here.contained.checked_sub(item.contained).unwrap_or_default();
                here.uncertainty =
                    here.uncertainty.checked_sub(item.uncertainty).unwrap_or_default();
            }
        }
        for &(kind, count) in &other.kinds {
            if let Some(here) = self.kinds.iter_mut().find(|it| it.0 == kind) {
                here.1 = here.1.saturating_sub(count);
            }
        }
        self.items.retain(|item| item.lots > 0);
        self.kinds.retain(|(_, count)| *count > 0);
    }

    /// Grams of a substance, when every lot was analysed for it.
    pub fn known(&self, substance: Substance) -> Option<Amount> {
        let found = self.items.iter().find(|item| item.substance == substance);
        let lots = found.map_or(0, |item| item.lots);
        (lots == self.lots).then(|| self.said(substance))
    }

    /// Grams of a substance in the lots that were analysed for it.
    pub fn said(&self, substance: Substance) -> Amount {
        let found = self.items.iter().find(|item| item.substance == substance);
        found.map_or_else(Amount::default, |item| Amount {
            grams: item.contained.get().into(),
            uncertainty: item.uncertainty.get().into(),
        })
    }

    /// Every origin kind.
    pub fn kinds(&self) -> OriginKinds {
        let kinds = self.kinds.iter().map(|(kind, _)| OriginKinds::of(*kind));
        kinds.fold(OriginKinds::default(), OriginKinds::union)
    }
}

fn sum(one: Grams, other: Grams) -> Grams {
    Grams::of(one.get().saturating_add(other.get()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::lot::Content;

    fn of(mass: u64, items: &[(Substance, u64)]) -> Contents {
        let item = |(substance, grams): &(Substance, u64)| Content {
            substance: *substance,
            contained: Grams::of(*grams),
            uncertainty: Grams::of(1),
        };
        Contents { of_mass: Grams::of(mass), items: items.iter().map(item).collect() }
    }

    #[test]
    fn a_tally_gives_back_what_it_took() {
        let (cu, ag) = (Substance::Cu, Substance::Au);
        let scrap = OriginKinds::of(OriginKind::PostConsumer);
        let ore = OriginKinds::of(OriginKind::Ore);
        let mut tally = Flow::default();
        assert_eq!(tally.known(cu), Some(Amount::default()), "nothing has nothing of it");
        tally.add(&of(10, &[(cu, 5)]), Grams::of(10), scrap);
        let first = tally.clone();
        let mut second = Flow::default();
        second.add(&of(20, &[(cu, 7), (ag, 2)]), Grams::of(20), scrap.union(ore));
        tally.plus(&second);
        assert_eq!(tally.known(cu), Some(Amount { grams: 12, uncertainty: 2 }));
        assert_eq!(tally.known(ag), None, "one of two lots was analysed for it");
        assert_eq!(tally.said(ag), Amount { grams: 2, uncertainty: 1 });
        assert_eq!((tally.lots, tally.mass), (2, Grams::of(30)));
        assert_eq!(tally.kinds(), scrap.union(ore));
        tally.minus(&second);
        assert_eq!(tally, first);
    }
}
