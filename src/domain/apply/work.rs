//! The working set of one judgement: what was read, what changes, and the checks that several kinds
//! share.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::super::campaign::{Campaign, Line};
use super::super::credit::{Credit, CreditKey};
use super::super::effects::{Effects, LedgerState, LotLink, View};
use super::super::event::{Event, GradeRef, LotDraw, NewLot};
use super::super::flag::Flag;
use super::super::ids::{CampaignId, EventId, LotId, PartyId, SiteId};
use super::super::lot::{Contents, Delta, EventRecord, Life, Lot, Tally, Transfer};
use super::super::movement::Movement;
use super::super::party::{PartyState, Site};
use super::super::rejection::Rejection;
use super::super::tables::{Material, Tables};
use super::super::units::{Grams, TimeMs};
use super::super::vocabulary::{InvoiceClass, LicenceKind, OriginKind, OriginKinds, PartyRole};
use super::{Moment, Refusal, Signed, Verdict, sight};

/// One judgement under way.
pub(super) struct Work<'a, V: View> {
    view: &'a V,
    pub(super) event: &'a Event,
    pub(super) signed: Signed<'a>,
    pub(super) moment: Moment<'a>,
    pub(super) ledger: LedgerState,
    /// The acting party, once admission found it.
    pub(super) actor: Option<Arc<PartyState>>,
    /// The event's site, once admission found it.
    pub(super) site: Option<Arc<Site>>,
    /// In boxes: a node of the map has room for eleven, and most events have one.
    lots: BTreeMap<LotId, Box<Lot>>,
    transfers: BTreeMap<EventId, Transfer>,
    campaigns: BTreeMap<CampaignId, Campaign>,
    pub(super) credits: BTreeMap<CreditKey, Credit>,
    /// Who acts for whom, as far as it was asked.
    pub(super) acting: RefCell<BTreeMap<PartyId, PartyId>>,
    deltas: Vec<Delta>,
    flags: Vec<Flag>,
    pub(super) effects: Effects,
}

/// What a new lot has that its `NewLot` does not say.
pub(super) struct BirthRight {
    pub(super) origin_kinds: OriginKinds,
    pub(super) owner: PartyId,
    pub(super) possessor: PartyId,
    pub(super) site: SiteId,
    pub(super) origin_region: String,
    pub(super) invoice_class: Option<InvoiceClass>,
    /// What stocktakes found and missed in what it is a part of.
    pub(super) tally: Tally,
    /// See [`Lot::has_earned`].
    pub(super) has_earned: bool,
}

#[expect(clippy::unused_self, reason = "every check is asked of the judgement")]
impl<'a, V: View> Work<'a, V> {
    pub(super) fn new(
        view: &'a V,
        signed: Signed<'a>,
        moment: Moment<'a>,
        ledger: LedgerState,
    ) -> Self {
        Self {
            view,
            event: signed.event,
            signed,
            moment,
            ledger,
            actor: None,
            site: None,
            lots: BTreeMap::new(),
            transfers: BTreeMap::new(),
            campaigns: BTreeMap::new(),
            credits: BTreeMap::new(),
            acting: RefCell::new(BTreeMap::new()),
            deltas: Vec::new(),
            flags: Vec::new(),
            effects: Effects::default(),
        }
    }

    pub(super) fn at(&self) -> TimeMs {
        self.event.occurred_at
    }

    /// Reads from the view; a fault of the view is not a verdict.
    pub(super) fn read<T>(&self, read: impl FnOnce(&V) -> Result<T, V::Fault>) -> Verdict<T, V> {
        read(self.view).map_err(Refusal::Unreadable)
    }

    /// The tables; admission lets nothing that needs them pass before they are published.
    pub(super) fn tables(&self) -> Result<&'a Tables, Rejection> {
        self.moment.tables.ok_or(Rejection::TablesNotPublished {
            tables: self.ledger.tables_hash,
            next_chunk: self.ledger.publishing.map_or(0, |(_, next, _)| next),
        })
    }

    pub(super) fn party(&self, id: PartyId) -> Verdict<Arc<PartyState>, V> {
        let found = self.read(|view| view.party(id))?;
        found.ok_or_else(|| Rejection::PartyUnknown { party: id }.into())
    }

    pub(super) fn site_of(&self, id: SiteId) -> Verdict<Arc<Site>, V> {
        let found = self.read(|view| view.site(id))?;
        found.ok_or_else(|| Rejection::SiteUnknown { site: id }.into())
    }

    /// A lot as this event has left it so far; with who acts now for its owner and possessor.
    pub(super) fn lot(&self, id: LotId) -> Verdict<Lot, V> {
        if let Some(lot) = self.lots.get(&id) {
            return Ok(Lot::clone(lot));
        }
        let found = self.read(|view| view.lot(id))?;
        let mut lot = found.ok_or(Rejection::LotUnknown { lot: id })?;
        lot.owner = self.acting_for(lot.owner)?;
        lot.possessor = self.acting_for(lot.possessor)?;
        Ok(lot)
    }

    pub(super) fn transfer(&self, offer: EventId) -> Verdict<Transfer, V> {
        if let Some(transfer) = self.transfers.get(&offer) {
            return Ok(transfer.clone());
        }
        let found = self.read(|view| view.transfer(offer))?;
        let mut transfer = found.ok_or(Rejection::TransferUnknown { offer })?;
        transfer.sender = self.acting_for(transfer.sender)?;
        transfer.consignee = self.acting_for(transfer.consignee)?;
        Ok(transfer)
    }

    /// A campaign as this event has left it so far.
    pub(super) fn campaign(&self, id: CampaignId) -> Verdict<Campaign, V> {
        if let Some(campaign) = self.campaigns.get(&id) {
            return Ok(campaign.clone());
        }
        let found = self.read(|view| view.campaign(id))?;
        let mut campaign = found.ok_or(Rejection::CampaignUnknown { campaign: id })?;
        campaign.party = self.acting_for(campaign.party)?;
        if let Some(owner) = campaign.owner {
            campaign.owner = Some(self.acting_for(owner)?);
        }
        Ok(campaign)
    }

    /// Keeps a changed lot.
    pub(super) fn put(&mut self, lot: Lot) {
        self.lots.insert(lot.id, Box::new(lot));
    }

    /// Keeps a lot that the event used: its last occurrence advances.
    pub(super) fn put_used(&mut self, mut lot: Lot) {
        lot.last_occurred_at = lot.last_occurred_at.max(self.at());
        self.put(lot);
    }

    pub(super) fn put_transfer(&mut self, transfer: Transfer) {
        self.transfers.insert(transfer.offer, transfer);
    }

    pub(super) fn put_campaign(&mut self, campaign: Campaign) {
        self.campaigns.insert(campaign.id, campaign);
    }

    /// Which campaign is the last of its process at its site from now on.
    pub(super) fn put_line(&mut self, of: &Campaign, last: Option<CampaignId>) {
        self.effects.lines.push((of.site, of.process.clone(), Line { last }));
    }

    pub(super) fn delta(&mut self, delta: Delta) {
        self.deltas.push(delta);
    }

    /// Lets the event pass, with a remark.
    pub(super) fn flag(&mut self, flag: Flag) {
        self.flags.push(flag);
    }

    // --- checks, each over all lots of the event -------------------------------------------------

    /// Every lot is named once (new ones and drawn ones together).
    pub(super) fn check_named_once(
        &self,
        ids: impl IntoIterator<Item = LotId>,
    ) -> Result<(), Rejection> {
        let mut seen = BTreeSet::new();
        let again = ids.into_iter().find(|id| !seen.insert(*id));
        again.map_or(Ok(()), |lot| Err(Rejection::LotRepeated { lot }))
    }

    /// No new lot's id was used before.
    pub(super) fn check_new(&self, ids: impl IntoIterator<Item = LotId>) -> Verdict<(), V> {
        for lot in ids {
            if self.read(|view| view.lot(lot))?.is_some() {
                return Err(Rejection::LotExists { lot }.into());
            }
        }
        Ok(())
    }

    /// Materials, then forms, then grades, of all new lots.
    pub(super) fn check_codes(&self, lots: &[&NewLot]) -> Result<(), Rejection> {
        let tables = self.tables()?;
        for lot in lots {
            self.material(&lot.material)?;
        }
        for lot in lots {
            if !tables.forms.contains_key(&lot.form) {
                return Err(Rejection::FormUnknown { code: lot.form.clone() });
            }
        }
        for GradeRef { scheme, code } in lots.iter().flat_map(|lot| &lot.grades) {
            if tables.grade(scheme, code).is_none() {
                return Err(Rejection::GradeUnknown { scheme: scheme.clone(), code: code.clone() });
            }
        }
        Ok(())
    }

    /// A material row in force at the time of the event.
    pub(super) fn material(&self, code: &str) -> Result<&'a Material, Rejection> {
        let row = self.tables()?.material(code, self.at());
        row.ok_or_else(|| Rejection::MaterialUnknown { code: code.to_owned() })
    }

    /// Materials of lots that the event names; a lot that is not known is refused later, in its
    /// turn.
    pub(super) fn check_materials_of(
        &self,
        lots: impl IntoIterator<Item = LotId>,
    ) -> Verdict<(), V> {
        for id in lots {
            if let Some(lot) = self.read(|view| view.lot(id))? {
                self.material(&lot.material)?;
            }
        }
        Ok(())
    }

    /// A laboratory named in a composition is registered.
    pub(super) fn check_laboratories(&self, lots: &[&NewLot]) -> Verdict<(), V> {
        let compositions = lots.iter().filter_map(|lot| lot.composition.as_ref());
        for laboratory in compositions.filter_map(|it| it.laboratory) {
            self.party(laboratory)?;
        }
        Ok(())
    }

    pub(super) fn check_not_retracted(&self, lots: &[Lot]) -> Result<(), Rejection> {
        for lot in lots {
            if let Some(by) = lot.retracted_by {
                return Err(Rejection::LotRetracted { lot: lot.id, by });
            }
        }
        Ok(())
    }

    pub(super) fn check_held_by_actor(&self, lots: &[Lot]) -> Result<(), Rejection> {
        let actor = self.event.actor;
        let stray = lots.iter().find(|lot| lot.possessor != actor);
        stray.map_or(Ok(()), |lot| {
            let (possessor, lot) = (lot.possessor, lot.id);
            Err(Rejection::LotNotHeld { lot, possessor, actor })
        })
    }

    pub(super) fn check_at_site(&self, lots: &[Lot], event_site: SiteId) -> Result<(), Rejection> {
        let stray = lots.iter().find(|lot| lot.site != event_site);
        stray.map_or(Ok(()), |lot| {
            Err(Rejection::LotElsewhere { lot: lot.id, site: lot.site, event_site })
        })
    }

    pub(super) fn check_not_on_hold(&self, lots: &[Lot]) -> Result<(), Rejection> {
        let held = lots.iter().find_map(|lot| lot.holds.first().map(|hold| (lot.id, hold.event)));
        held.map_or(Ok(()), |(lot, hold)| Err(Rejection::LotOnHold { lot, hold }))
    }

    /// R3. A corrective may be dated back to the event that it corrects, never before a lot's
    /// birth.
    pub(super) fn check_not_before(&self, lots: &[Lot]) -> Result<(), Rejection> {
        let at = self.at();
        let is_corrective = self.is_corrective();
        for lot in lots {
            let floor = if is_corrective {
                lot.born_occurred_at
                    .max(lot.last_occurred_at.min(self.ledger.corrected_occurred_at))
            } else {
                lot.last_occurred_at
            };
            if at < floor {
                return Err(Rejection::EventBeforeLot {
                    lot: lot.id,
                    last: floor,
                    occurred_at: at,
                });
            }
        }
        Ok(())
    }

    /// R3 for an event that does not take from the lot: not before what it speaks of.
    pub(super) fn check_not_earlier(&self, lot: LotId, last: TimeMs) -> Result<(), Rejection> {
        let occurred_at = self.at();
        if occurred_at < last {
            return Err(Rejection::EventBeforeLot { lot, last, occurred_at });
        }
        Ok(())
    }

    /// Whether this event follows a declared error as one of its correctives.
    pub(super) fn is_corrective(&self) -> bool {
        !self.ledger.expected_correctives.is_empty()
    }

    /// R2.
    pub(super) fn check_available(&self, draws: &[LotDraw], lots: &[Lot]) -> Result<(), Rejection> {
        for (draw, lot) in draws.iter().zip(lots) {
            if draw.mass > lot.available() {
                return Err(Rejection::InsufficientMass {
                    lot: lot.id,
                    asked: draw.mass,
                    available: lot.available(),
                    remaining: lot.remaining,
                });
            }
        }
        Ok(())
    }

    /// R1: a party whose only rare-earth role is recovery neither holds nor uses rare earths from
    /// ore.
    pub(super) fn check_ore(
        &self,
        party: &PartyState,
        lot: LotId,
        material: &Material,
        kinds: OriginKinds,
        contents: &Contents,
    ) -> Result<(), Rejection> {
        let record = &party.party;
        let recovers = record.has_role(PartyRole::RareEarthRecoveryPlant, self.at());
        let separates = record.has_role(PartyRole::RareEarthSeparationPlant, self.at());
        let is_rare_earth = material.family == "RARE_EARTH"
            || contents
                .items
                .iter()
                .any(|item| item.substance.is_rare_earth() && !item.contained.is_zero());
        let is_from_ore = material.is_ore_product
            || kinds.contains(OriginKind::Ore)
            || kinds.contains(OriginKind::Primary);
        if recovers && !separates && is_rare_earth && is_from_ore {
            return Err(Rejection::OreForbidden { party: record.id, lot, origin_kinds: kinds });
        }
        Ok(())
    }

    /// R7: a hazardous-waste licence whose scope has the code, at the time of the event.
    pub(super) fn check_permit(
        &self,
        party: &PartyState,
        waste_code: &str,
    ) -> Result<(), Rejection> {
        let at = self.at();
        let covers = party.licences.iter().any(|licence| {
            licence.kind == LicenceKind::HazardousWaste
                && licence.validity.contains(at)
                && licence.waste_codes.iter().any(|code| code == waste_code)
        });
        if waste_code.is_empty() || covers {
            return Ok(());
        }
        let waste_code = waste_code.to_owned();
        Err(Rejection::PermitMissing { party: party.party.id, waste_code })
    }

    // --- changes ---------------------------------------------------------------------------------

    /// Takes grams from a lot and says what was in them.
    pub(super) fn draw(&mut self, mut lot: Lot, mass: Grams) -> Contents {
        lot.last_occurred_at = lot.last_occurred_at.max(self.at());
        self.draw_reserved(lot, mass)
    }

    /// Takes grams that left when they were offered: for the lot's holder nothing happens now.
    pub(super) fn draw_reserved(&mut self, mut lot: Lot, mass: Grams) -> Contents {
        let before = lot.remaining;
        lot.remaining = before.checked_sub(mass).unwrap_or_default();
        let taken = lot.contents.drawn(before, lot.remaining);
        self.delta(Delta::Drawn(lot.id, mass));
        self.put(lot);
        taken
    }

    /// Brings a lot into being.
    pub(super) fn bear(&mut self, new: &NewLot, contents: Contents, right: BirthRight) {
        self.delta(Delta::Born(new.id, new.net_mass));
        self.put(Lot {
            id: new.id,
            material: new.material.clone(),
            form: new.form.clone(),
            origin_kinds: right.origin_kinds,
            custody_model: new.custody_model,
            grades: new.grades.clone(),
            owner: right.owner,
            possessor: right.possessor,
            site: right.site,
            origin_region: right.origin_region,
            invoice_class: right.invoice_class,
            born_at: self.moment.index,
            born_by: self.event.id,
            born_occurred_at: self.at(),
            moved_at: self.moment.index,
            initial_mass: new.net_mass,
            remaining: new.net_mass,
            reserved: Grams::ZERO,
            contents,
            assayed_by: None,
            holds: Vec::new(),
            ended: None,
            tally: right.tally,
            has_earned: right.has_earned,
            approvals: Vec::new(),
            grants: Vec::new(),
            retracted_by: None,
            last_occurred_at: self.at(),
            life: Life { count: 0, last: self.moment.index },
        });
    }

    /// A movement of this event, to be filled in.
    pub(super) fn movement(&self) -> Movement {
        Movement {
            index: self.moment.index,
            event: self.event.id,
            kind: self.event.body.kind(),
            draws: Vec::new(),
            births: Vec::new(),
            output_count: 0,
            uptake: Grams::ZERO,
            loss: Grams::ZERO,
            assay: None,
            campaign: None,
            stock: None,
            gained: None,
        }
    }

    /// Closes the judgement: links, records, changed values.
    pub(super) fn into_effects(mut self, is_seen: bool) -> Verdict<Effects, V> {
        let index = self.moment.index;
        for (id, mut lot) in std::mem::take(&mut self.lots) {
            let is_new = lot.life.count == 0;
            let previous = (!is_new).then_some(lot.life.last);
            self.effects.links.push(LotLink { lot: id, ordinal: lot.life.count, previous });
            lot.life = Life { count: lot.life.count.saturating_add(1), last: index };
            self.effects.lots.push(*lot);
        }
        self.effects.credits = std::mem::take(&mut self.credits).into_values().collect();
        self.effects.transfers = std::mem::take(&mut self.transfers).into_values().collect();
        self.effects.campaigns = std::mem::take(&mut self.campaigns).into_values().collect();
        let record = EventRecord {
            id: self.event.id,
            index,
            payload_hash: self.signed.payload_hash,
            kind: self.event.body.kind(),
            actor: self.event.actor,
            occurred_at: self.event.occurred_at,
            deltas: std::mem::take(&mut self.deltas),
            flags: std::mem::take(&mut self.flags),
            corrected_by: None,
        };
        self.effects.events.push(record);
        if is_seen {
            sight::see(&mut self)?;
        }
        if self.is_corrective() {
            // This corrective has come; the next one, if any, is expected now.
            let mut ledger = self.effects.ledger.take().unwrap_or(self.ledger);
            ledger.expected_correctives.remove(0);
            self.effects.ledger = Some(ledger);
        }
        Ok(self.effects)
    }
}
