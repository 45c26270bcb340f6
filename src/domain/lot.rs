//! A lot, a transfer and the memory of an event, as they stand at an index.

use super::campaign::Flow;
use super::credit::CreditKey;
use super::event::GradeRef;
use super::flag::Flag;
use super::ids::{CampaignId, EntryIndex, EventId, Hash32, LotId, PartyId, SiteId};
use super::units::{Grams, TimeMs, Validity};
use super::vocabulary::{
    CustodyModel, EventKind, HoldReason, InvoiceClass, OriginKinds, Substance, TransferScope,
};

/// A quantity of material with one history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lot {
    /// Its id.
    pub id: LotId,
    /// Code of the material table.
    pub material: String,
    /// Code of the form table.
    pub form: String,
    /// Every origin kind of what it was made from.
    pub origin_kinds: OriginKinds,
    /// How custody is modelled.
    pub custody_model: CustodyModel,
    /// References to grades.
    pub grades: Vec<GradeRef>,
    /// Whose property.
    pub owner: PartyId,
    /// In whose hands.
    pub possessor: PartyId,
    /// Where.
    pub site: SiteId,
    /// Where it arose, for collected scrap; else empty.
    pub origin_region: String,
    /// How it was bought, for collected or transferred lots.
    pub invoice_class: Option<InvoiceClass>,
    /// The entry it was born in.
    pub born_at: EntryIndex,
    /// The event it was born by.
    pub born_by: EventId,
    /// When that happened, as the actor said.
    pub born_occurred_at: TimeMs,
    /// The last entry that changed owner, possessor or site.
    pub moved_at: EntryIndex,
    /// Mass at birth.
    pub initial_mass: Grams,
    /// Mass that is still there, reserved grams included.
    pub remaining: Grams,
    /// Grams promised to open transfers.
    pub reserved: Grams,
    /// What is in it, as fixed at birth or at the last assay.
    pub contents: Contents,
    /// The assay that fixed it; `None` when birth did.
    pub assayed_by: Option<EventId>,
    /// Why it may not move.
    pub holds: Vec<Hold>,
    /// How its last grams went, when they were disposed of or left the ledger.
    pub ended: Option<Ending>,
    /// What stocktakes changed.
    pub tally: Tally,
    /// Whether its recycled content, or some of it, is in an account since it was used up
    /// somewhere: the same metal earns once.
    pub has_earned: bool,
    /// What authorities let happen to it, in the order of their events.
    pub approvals: Vec<LotApproval>,
    /// Who else may see it and what is behind it; at most one for a reader.
    pub grants: Vec<LotGrant>,
    /// Set when its birth was declared an error.
    pub retracted_by: Option<EventId>,
    /// Latest `occurred_at` of the events that used it.
    pub last_occurred_at: TimeMs,
    /// Its chain of entries.
    pub life: Life,
}

/// A lot's chain of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    /// How many entries name it.
    pub count: u32,
    /// The last of them.
    pub last: EntryIndex,
}

/// What was found in a mass, rounded once, half to even.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Contents {
    /// The mass that it was found in.
    pub of_mass: Grams,
    /// Ascending by substance; a substance that is missing was not looked for.
    pub items: Vec<Content>,
}

/// One substance in a mass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    /// Of what (the element, never its oxide).
    pub substance: Substance,
    /// How much.
    pub contained: Grams,
    /// Give or take, rounded up.
    pub uncertainty: Grams,
}

/// Why a lot may not move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    /// The event that placed it.
    pub event: EventId,
    /// Why; `None` for a transfer's discrepancy, which only a settlement ends.
    pub reason: Option<HoldReason>,
    /// Who placed it.
    pub placed_by: PartyId,
}

/// How the last grams of a lot went, when they went into no other lot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// To a facility that disposes of them.
    Disposed,
    /// Out of the ledger, to a buyer.
    Exited,
}

/// What stocktakes changed in a lot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// The entry of the last stocktake that stands. What was done before it is not undone: it was
    /// counted with it.
    pub at: Option<EntryIndex>,
    /// Grams found over what was booked, without an approval, in all of them.
    pub gained: Grams,
    /// Grams missing, without an approval, in all of them.
    pub missing: Grams,
}

/// What an authority lets happen to a lot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LotApproval {
    /// The event that gave it. A later one with the same number and parties replaces mass and
    /// validity, and leaves this name to the transfers that use it.
    pub event: EventId,
    /// From whom.
    pub from: PartyId,
    /// To whom; the same as `from` for a stocktake.
    pub to: PartyId,
    /// How much.
    pub mass: Grams,
    /// How much of it is used.
    pub used: Grams,
    /// The authority's number.
    pub number: String,
    /// When it may be used.
    pub validity: Validity,
}

/// Who else may see a lot and what is behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LotGrant {
    /// The event that gave it.
    pub event: EventId,
    /// Who may.
    pub reader: PartyId,
    /// How many steps back, at least one.
    pub depth: u32,
    /// The owner whose word it is; `None`: an authority's.
    pub owner: Option<PartyId>,
    /// When.
    pub validity: Validity,
}

/// How a lot stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LotStatus {
    /// Free to be used.
    Open,
    /// All that remains is promised to open transfers.
    InTransit,
    /// Stopped.
    OnHold,
    /// Nothing remains; the last of it went into other lots, or was lost.
    Consumed,
    /// Nothing remains; the last of it was disposed of.
    Disposed,
    /// Nothing remains; the last of it left the ledger.
    Exited,
    /// Its birth was declared an error.
    Retracted,
}

/// An offer, named by its event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// The event of the offer.
    pub offer: EventId,
    /// Of which lot.
    pub lot: LotId,
    /// How much.
    pub mass: Grams,
    /// Whether that was all of the lot: then the lot itself moves.
    pub is_whole_lot: bool,
    /// From whom.
    pub sender: PartyId,
    /// To whom.
    pub consignee: PartyId,
    /// To where, when custody moves.
    pub consignee_site: Option<SiteId>,
    /// What moves.
    pub scope: TransferScope,
    /// Where the lot was.
    pub from_site: SiteId,
    /// Paid how.
    pub invoice_class: Option<InvoiceClass>,
    /// How the sender had bought the lot: so it is again when it comes back.
    pub bought_class: Option<InvoiceClass>,
    /// The entry of the offer.
    pub offered_at: EntryIndex,
    /// When it was offered, as the sender says.
    pub occurred_at: TimeMs,
    /// The approval of which it uses as many grams; `None` where none is needed.
    pub approval: Option<EventId>,
    /// How it stands.
    pub status: TransferStatus,
    /// Grams that the consignee refused when it took over the others.
    pub refused: Grams,
    /// What the consignee took over.
    pub arrived: Option<Arrived>,
    /// The offer whose goods come back by this one.
    pub returns: Option<EventId>,
}

/// What a consignee took over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrived {
    /// By which event.
    pub by: EventId,
    /// As which lot: the offered one when all of it moved, else the part.
    pub lot: LotId,
    /// How much the ledger booked: what both agreed on, once they settled.
    pub booked: Grams,
}

/// How a transfer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TransferStatus {
    /// Not answered.
    Open,
    /// Taken over.
    Accepted,
    /// Taken over, with a difference beyond tolerance.
    Discrepant,
    /// Taken over with a difference beyond tolerance, that both parties settled.
    Settled,
    /// A part was taken over, and the rest refused.
    PartlyAccepted,
    /// Refused by the consignee.
    Rejected,
    /// Withdrawn by the sender.
    Cancelled,
    /// The offer was declared an error.
    Retracted,
}

/// What is remembered of a recorded event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRecord {
    /// Its id.
    pub id: EventId,
    /// Its entry.
    pub index: EntryIndex,
    /// SHA-256 of its signed bytes.
    pub payload_hash: Hash32,
    /// Its kind.
    pub kind: EventKind,
    /// Who acted.
    pub actor: PartyId,
    /// When, as the actor said.
    pub occurred_at: TimeMs,
    /// What it did, so that it can be undone; empty for kinds that cannot be.
    pub deltas: Vec<Delta>,
    /// What the rules remarked when they let it pass.
    pub flags: Vec<Flag>,
    /// The event that declared it an error.
    pub corrected_by: Option<EventId>,
}

/// One thing that an event did to a lot or transfer. What is seldom and long lies in a box: a
/// replayed ledger holds one or two of these for every entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delta {
    /// A lot was born with a mass.
    Born(LotId, Grams),
    /// Grams were taken from a lot.
    Drawn(LotId, Grams),
    /// A lot's contents were replaced; these were the contents, and the assay, before.
    Assayed(LotId, Box<Contents>, Option<EventId>),
    /// Grams were reserved for the transfer of this event.
    Offered(EventId),
    /// A transfer was taken over as part: the new lot is also `Born`, the grams also `Drawn`.
    AcceptedPart(EventId),
    /// A transfer was taken over whole: the lot stood like this before.
    AcceptedWhole(EventId, Box<Standing>),
    /// A transfer ended without happening.
    Closed(EventId),
    /// A hold was placed.
    Held(LotId, EventId),
    /// A hold was ended.
    Released(LotId, Box<Hold>),
    /// A campaign was opened.
    CampaignOpened(CampaignId),
    /// Lots were charged to it, as inputs and as additions: each is also `Drawn`.
    CampaignCharged(CampaignId, Box<Flow>, Box<Flow>),
    /// Lots were drawn from it, as outputs and as residues: each is also `Born`.
    CampaignDrawn(CampaignId, Box<Flow>, Box<Flow>),
    /// It was closed.
    CampaignClosed(CampaignId),
    /// Grams of a lot's approval, named by its event, were used.
    ApprovalUsed(LotId, EventId, Grams),
    /// Recycled metal was used up at a site.
    Earned(CreditKey, Grams),
    /// Grams of an account were claimed.
    Claimed(CreditKey, Grams),
    /// The discrepancy of a transfer was settled.
    Settled(EventId, Box<Settlement>),
    /// A lot was counted.
    Counted(LotId, Box<Count>),
}

/// What a settlement changed in the lot that had arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settlement {
    /// Which lot.
    pub lot: LotId,
    /// The hold that it ended.
    pub hold: Hold,
    /// What had been booked.
    pub booked: Grams,
    /// What was agreed.
    pub agreed: Grams,
    /// The lot's mass at birth, before.
    pub initial: Grams,
}

/// What a stocktake changed in a lot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// What was booked.
    pub booked: Grams,
    /// What was counted.
    pub counted: Grams,
    /// What was in it, before.
    pub contents: Contents,
    /// What stocktakes had changed, before.
    pub tally: Tally,
}

/// Who and where, before a whole lot moved, and the grams lost on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Which lot.
    pub lot: LotId,
    /// Whose property it was.
    pub owner: PartyId,
    /// In whose hands it was.
    pub possessor: PartyId,
    /// Where it was.
    pub site: SiteId,
    /// How it had been bought.
    pub invoice_class: Option<InvoiceClass>,
    /// The entry that had last moved it.
    pub moved_at: EntryIndex,
    /// Lost on the way.
    pub loss: Grams,
}

impl Lot {
    /// Grams that are neither drawn nor promised.
    pub fn available(&self) -> Grams {
        self.remaining.checked_sub(self.reserved).unwrap_or_default()
    }

    /// What a reader may see of it at a time by a grant: the deepest of its owner's and an
    /// authority's. An owner's word ends when the lot becomes another's property.
    pub fn grant_to(&self, reader: PartyId, at: TimeMs) -> Option<&LotGrant> {
        let is_given = |grant: &&LotGrant| {
            grant.reader == reader
                && grant.validity.contains(at)
                && grant.owner.is_none_or(|owner| owner == self.owner)
        };
        self.grants.iter().filter(is_given).max_by_key(|grant| grant.depth)
    }

    /// How it stands. Holds are told before transit: a held lot does not move.
    pub fn status(&self) -> LotStatus {
        if self.retracted_by.is_some() {
            LotStatus::Retracted
        } else if self.remaining.is_zero() {
            match self.ended {
                Some(Ending::Disposed) => LotStatus::Disposed,
                Some(Ending::Exited) => LotStatus::Exited,
                None => LotStatus::Consumed,
            }
        } else if !self.holds.is_empty() {
            LotStatus::OnHold
        } else if self.available().is_zero() {
            LotStatus::InTransit
        } else {
            LotStatus::Open
        }
    }
}

impl Transfer {
    /// Grams that the consignee did not refuse: what can arrive.
    pub fn sent(&self) -> Grams {
        self.mass.checked_sub(self.refused).unwrap_or_default()
    }
}

impl TransferStatus {
    /// The word, as in the proto.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "OPEN",
            Self::Accepted => "ACCEPTED",
            Self::Discrepant => "DISCREPANT",
            Self::Rejected => "REJECTED",
            Self::Cancelled => "CANCELLED",
            Self::Retracted => "RETRACTED",
            Self::Settled => "SETTLED",
            Self::PartlyAccepted => "PARTLY_ACCEPTED",
        }
    }
}

impl Tally {
    /// What of it a part of a lot takes along, rounded up: else many parts would be counted as one
    /// lot is not.
    #[must_use]
    pub fn share(self, part: Grams, whole: Grams) -> Self {
        let share = |grams: Grams| {
            let product = u128::from(grams.get()) * u128::from(part.get());
            let grams = product.div_ceil(u128::from(whole.get()).max(1));
            Grams::of(u64::try_from(grams).unwrap_or(u64::MAX))
        };
        Self { at: None, gained: share(self.gained), missing: share(self.missing) }
    }

    /// What two lots take along into one.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let sum = |one: Grams, two: Grams| Grams::of(one.get().saturating_add(two.get()));
        Self {
            at: None,
            gained: sum(self.gained, other.gained),
            missing: sum(self.missing, other.missing),
        }
    }
}

impl LotApproval {
    /// Grams that are approved and not used. (A replacement may approve less than was used.)
    pub fn unused(&self) -> Grams {
        self.mass.checked_sub(self.used).unwrap_or_default()
    }
}

impl LotStatus {
    /// The word, as in the proto.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "OPEN",
            Self::InTransit => "IN_TRANSIT",
            Self::OnHold => "ON_HOLD",
            Self::Consumed => "CONSUMED",
            Self::Disposed => "DISPOSED",
            Self::Exited => "EXITED",
            Self::Retracted => "RETRACTED",
        }
    }
}

impl Contents {
    /// What was found of a substance; `None` when it was not looked for.
    pub fn of(&self, substance: Substance) -> Option<Content> {
        self.items.iter().find(|item| item.substance == substance).copied()
    }

    /// Grams contained in `mass` of it: `contained * mass / of_mass`, half to even. A function of
    /// the mass alone, so what a draw takes is the difference of two values of it, and draws that
    /// empty a lot take exactly what was in it.
    pub fn at_mass(&self, contained: Grams, mass: Grams) -> Grams {
        if self.of_mass.is_zero() {
            return Grams::ZERO;
        }
        let numerator = u128::from(contained.get()) * u128::from(mass.get());
        let rounded = super::composition::div_half_even(numerator, self.of_mass.get().into());
        Grams::of(u64::try_from(rounded).unwrap_or(u64::MAX))
    }

    /// The same grams in more mass: what `before` grams held is in `after` grams, fixed anew.
    #[must_use]
    pub fn thinned(&self, before: Grams, after: Grams) -> Contents {
        let items = self.items.iter().map(|item| Content {
            substance: item.substance,
            contained: self.at_mass(item.contained, before),
            uncertainty: self.at_mass(item.uncertainty, before),
        });
        Contents { of_mass: after, items: items.collect() }
    }

    /// What a draw takes when `before` grams become `after` grams, `after <= before`.
    #[must_use]
    pub fn drawn(&self, before: Grams, after: Grams) -> Contents {
        let share = |whole: Grams| {
            let taken = self.at_mass(whole, before).checked_sub(self.at_mass(whole, after));
            taken.unwrap_or_default()
        };
        let items = self.items.iter().map(|item| Content {
            substance: item.substance,
            contained: share(item.contained),
            uncertainty: share(item.uncertainty),
        });
        Contents { of_mass: before.checked_sub(after).unwrap_or_default(), items: items.collect() }
    }
}
