//! Who sees what: the rules, and nothing but the rules.
//!
//! Everything here is a function of facts that are handed in: who looks, how a lot stands, how the
//! party is related to it. [`super::eyes`] gets the facts, and no handler decides by itself. What
//! is not seen is told as if it were not there, in the same bytes.

use super::viewer::Viewer;
use crate::domain::lot::{Contents, Lot, Transfer};
use crate::domain::party::Party;
use crate::domain::sight::{Kinship, Relation};
use crate::domain::{Grams, PartyId, TimeMs};
use crate::wire::v1;

/// How much of a lot is seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LotSight {
    /// All of it, as it stands.
    Whole {
        /// Its mass when it came to the viewer, when it was not born there.
        arrived: Option<Grams>,
    },
    /// As it stood when it left the viewer.
    AsLeft {
        /// How it stood.
        stood: Box<Lot>,
        /// Its mass when it had come to the viewer.
        arrived: Option<Grams>,
    },
    /// All of it, as it stands, and so many steps back, by a grant.
    Granted {
        /// How many steps.
        depth: u32,
    },
    /// One step up or down, across a transfer with this counterparty.
    Step(Kinship, PartyId),
    /// Nothing.
    Hidden,
}

/// How much of a party is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartySight {
    /// All of it.
    Whole,
    /// Credit code, names, roles, keys, and where it has sites.
    Card,
    /// Nothing.
    Hidden,
}

/// A lot, by who has it now, by how the viewer is related to it, and by what it was granted now.
pub fn lot_sight(viewer: Viewer, lot: &Lot, relation: Option<&Relation>, now: TimeMs) -> LotSight {
    let party = match viewer {
        Viewer::Overseer => return LotSight::Whole { arrived: None },
        Viewer::Stranger => return LotSight::Hidden,
        Viewer::Party(party) => party,
    };
    let arrived = relation.and_then(|relation| relation.arrived);
    if lot.owner == party || lot.possessor == party {
        return LotSight::Whole { arrived };
    }
    if let Some(grant) = lot.grant_to(party, now) {
        return LotSight::Granted { depth: grant.depth };
    }
    let Some(relation) = relation else { return LotSight::Hidden };
    if let Some(stood) = &relation.left {
        return LotSight::AsLeft { stood: Box::new(stood.clone()), arrived };
    }
    match relation.kin {
        Some((kinship, with)) => LotSight::Step(kinship, with),
        None => LotSight::Hidden,
    }
}

/// Approvals between the viewer and another, and grants that it gave or got: what others were
/// allowed is theirs.
pub fn allowances(viewer: Viewer, mut lot: v1::Lot) -> v1::Lot {
    if let Viewer::Party(party) = viewer {
        let own = party.as_bytes();
        lot.approvals.retain(|it| it.from_party_id == own[..] || it.to_party_id == own[..]);
        lot.grants.retain(|it| it.reader_party_id == own[..] || it.owner_party_id == own[..]);
    }
    lot
}

/// A party, by whether it shares an entry with the viewer.
pub fn party_sight(viewer: Viewer, party: &Party, is_acquainted: bool) -> PartySight {
    match viewer {
        Viewer::Overseer => PartySight::Whole,
        Viewer::Party(own) if own == party.id => PartySight::Whole,
        Viewer::Party(_) if is_acquainted || party.is_public() => PartySight::Card,
        Viewer::Party(_) | Viewer::Stranger => PartySight::Hidden,
    }
}

/// A transfer, by who is party to it. Whose lot is offered by who has it in its hands sees it too,
/// while the lot is its: so the offer has to concern it, or whoever takes over the rest of a lot
/// would see what was sold of it before.
pub fn sees_transfer(
    viewer: Viewer,
    transfer: &Transfer,
    lot: Option<&Lot>,
    is_concerned: bool,
) -> bool {
    match viewer {
        Viewer::Overseer => true,
        Viewer::Stranger => false,
        Viewer::Party(party) => {
            let is_side = transfer.sender == party || transfer.consignee == party;
            let has_lot = lot.is_some_and(|lot| lot.owner == party || lot.possessor == party);
            is_side || (has_lot && is_concerned)
        }
    }
}

/// What is told of a lot that came from others: not what it was when it was born there, nor how
/// often it was written about since. `arrived` is its mass when it came.
pub fn since_arrival(
    mut told: v1::Lot,
    viewer: PartyId,
    contents: &Contents,
    arrived: Grams,
) -> v1::Lot {
    told.initial_mass_g = arrived.get();
    told.born_event_id = bytes::Bytes::new();
    told.born_entry_index = 0;
    told.born_occurred_at_ms = 0;
    told.entry_count = 0;
    // Those of others are about grams that went elsewhere.
    let own = viewer.as_bytes();
    let names = |ids: [&bytes::Bytes; 2]| ids.iter().any(|id| id[..] == own[..]);
    told.approvals.retain(|it| names([&it.from_party_id, &it.to_party_id]));
    told.grants.retain(|it| names([&it.reader_party_id, &it.owner_party_id]));
    if contents.of_mass > arrived {
        let scaled = |grams: Grams| contents.at_mass(grams, arrived).get();
        for (told, item) in told.contents.iter_mut().zip(&contents.items) {
            told.mass_g = scaled(item.contained);
            told.uncertainty_g = scaled(item.uncertainty);
        }
        told.contents_mass_g = arrived.get();
    }
    told
}

/// What is told of a lot one step away. All of it was fixed when the lot was born.
pub fn step_of(whole: v1::Lot, kinship: Kinship, with: PartyId) -> v1::Lot {
    let view = match kinship {
        Kinship::Up => v1::LotView::StepUp,
        Kinship::Down => v1::LotView::StepDown,
    };
    v1::Lot {
        lot_id: whole.lot_id,
        material: whole.material,
        form: whole.form,
        origin_kinds: whole.origin_kinds,
        view: view.into(),
        counterparty_party_id: super::convert::raw(with.as_bytes()),
        ..v1::Lot::default()
    }
}

impl PartySight {
    /// What is told of a party that is seen.
    pub fn party(self, whole: v1::Party) -> v1::Party {
        if self == Self::Whole {
            return whole;
        }
        let party = whole.party.map(|party| v1::PartyRecord {
            credit_code_waiver_event_id: bytes::Bytes::new(),
            ..party
        });
        let in_force = whole.in_force.map(|held| v1::PartyInForce {
            roles: held.roles,
            key_ids: held.key_ids,
            ..v1::PartyInForce::default()
        });
        v1::Party { party, key_ids: whole.key_ids, in_force, ..v1::Party::default() }
    }

    /// What is told of a site of the party: of others', where it is.
    pub fn site(self, whole: v1::SiteRecord) -> Option<v1::SiteRecord> {
        match self {
            Self::Whole => Some(whole),
            Self::Card => Some(v1::SiteRecord {
                site_id: whole.site_id,
                party_id: whole.party_id,
                name_zh: whole.name_zh,
                name_en: whole.name_en,
                region_code: whole.region_code,
                ..v1::SiteRecord::default()
            }),
            Self::Hidden => None,
        }
    }

    /// What is told of a key of the party: of others', what a verifier of signatures needs.
    pub fn key(self, whole: v1::PartyKey) -> v1::PartyKey {
        if self == Self::Whole {
            return whole;
        }
        let told = |revocation| v1::KeyRevocation { entry_index: 0, ..revocation };
        let revocation = whole.revocation.map(told);
        v1::PartyKey { registered_entry_index: 0, revocation, ..whole }
    }
}
