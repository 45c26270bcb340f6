//! Whom an entry concerns, and how a party is related to a lot: what visibility rests on.
//!
//! Nothing here is a verdict. The rules compute it beside their effects, so a rebuild makes it
//! again; the answers that follow from it are given elsewhere.

use super::ids::{EntryIndex, LotId, PartyId};
use super::lot::Lot;
use super::units::Grams;

/// For whose eyes an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Onlooker {
    /// Somebody who may see everything.
    Everything,
    /// A party.
    Party(PartyId),
    /// Somebody who may see nothing.
    Nothing,
}

/// What one entry lets parties see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntrySight {
    /// The entry.
    pub index: EntryIndex,
    /// The parties that it concerns, ascending.
    pub concerned: Vec<PartyId>,
    /// Parties that know each other from now on: each pair once, the smaller id first.
    pub acquainted: Vec<(PartyId, PartyId)>,
    /// Lots that parties see otherwise from now on, in the order in which it happened.
    pub sights: Vec<Sight>,
}

/// A party sees a lot otherwise from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sight {
    /// Who.
    pub party: PartyId,
    /// Which lot.
    pub lot: LotId,
    /// How.
    pub turn: Turn,
}

/// How a lot came into a party's sight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// It is the party's property, or came into its hands, with this mass.
    Came(Grams),
    /// It is neither any more; so it stood before the event that took it away.
    Left(Box<Lot>),
    /// It is one step up or down, across a transfer with this counterparty.
    Kin(Kinship, PartyId),
}

/// Which way a lot lies, seen from a lot of the party.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kinship {
    /// It went into the party's lot.
    Up,
    /// It was made from the party's lot.
    Down,
}

/// How a party is related to a lot, all in all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Relation {
    /// Its mass when it became the party's property or came into its hands, last; `None` when it
    /// never did. What it was before is the business of whoever had it then.
    pub arrived: Option<Grams>,
    /// How it stood when it left them last. While the lot is the party's again this is an old
    /// story.
    pub left: Option<Lot>,
    /// The first step that related it, across a transfer with this counterparty.
    pub kin: Option<(Kinship, PartyId)>,
}

impl Relation {
    /// Takes in one more turn. The counterparty of the first transfer stands: a lot is born once.
    pub fn take(&mut self, turn: &Turn) {
        match turn {
            Turn::Came(mass) => self.arrived = Some(*mass),
            Turn::Left(lot) => self.left = Some((**lot).clone()),
            Turn::Kin(kinship, with) => self.kin = self.kin.or(Some((*kinship, *with))),
        }
    }
}
