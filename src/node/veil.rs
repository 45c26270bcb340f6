//! The state as one party may know it.
//!
//! When the rules refuse what a party handed in, they are asked again over this: what the party may
//! not see is not there. So a refusal tells nothing but what the party would be told if it really
//! were not there, whichever rule comes first.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::admission::Admitted;
use super::error::{AppendError, BatchError};
use crate::domain::campaign::{Campaign, Line};
use crate::domain::credit::{Credit, CreditKey};
use crate::domain::effects::{LedgerState, View};
use crate::domain::lot::{EventRecord, Lot, Transfer};
use crate::domain::party::{KeyState, PartyState, Site};
use crate::domain::sight::Onlooker;
use crate::domain::waiver::WaiverState;
use crate::domain::{
    Body, CampaignId, EventId, Hash32, KeyId, LotId, PartyId, PublicKey, Rejection, SiteId,
};
use crate::ledger::entry::Entry;
use crate::store::{Store, StoreFault};

/// The store behind a veil.
pub struct Veil<'a> {
    store: &'a Store,
    onlooker: Onlooker,
    /// Lots of others that the events at hand lead to, through a transfer of the party's or an
    /// event that concerns it.
    reach: BTreeSet<LotId>,
}

impl<'a> Veil<'a> {
    /// What an onlooker may know, with what its events lead to.
    pub fn new(
        store: &'a Store,
        onlooker: Onlooker,
        batch: &[Admitted],
    ) -> Result<Self, StoreFault> {
        let mut veil = Self { store, onlooker, reach: BTreeSet::new() };
        for admitted in batch {
            let lots = veil.led_to(&admitted.event().body)?;
            veil.reach.extend(lots);
        }
        Ok(veil)
    }

    /// Lots that a body leads to without naming them.
    fn led_to(&self, body: &Body) -> Result<Vec<LotId>, StoreFault> {
        let offer = match body {
            Body::AcceptTransfer(accept) => accept.offer,
            Body::PartlyAcceptTransfer(accept) => accept.offer,
            Body::ReturnTransfer(back) => back.offer,
            Body::SettleDiscrepancy(settle) => settle.offer,
            Body::RejectTransfer(close) | Body::CancelTransfer(close) => close.offer,
            Body::DeclareError(error) => return self.lots_of(error.target),
            Body::Genesis(_)
            | Body::RegisterParty(_)
            | Body::AmendParty(_)
            | Body::RegisterSite(_)
            | Body::AmendSite(_)
            | Body::RegisterLicence(..)
            | Body::AmendLicence(..)
            | Body::RegisterAffiliation(..)
            | Body::AmendAffiliation(..)
            | Body::RegisterKey(_)
            | Body::RevokeKey(_)
            | Body::PublishTables(_)
            | Body::OpeningInventory(_)
            | Body::Waiver(_)
            | Body::Approval(_)
            | Body::CollectLot(_)
            | Body::AssayLot(_)
            | Body::SplitLot(_)
            | Body::MergeLots(_)
            | Body::TransformLots(_)
            | Body::OfferTransfer(_)
            | Body::HoldLot(_)
            | Body::ReleaseLot(_)
            | Body::VisibilityGrant(_)
            | Body::SucceedParty(_)
            | Body::Attest(_)
            | Body::AcknowledgeAnomaly(_)
            | Body::ClaimCredit(_)
            | Body::OpenCampaign(_)
            | Body::ChargeCampaign(_)
            | Body::DrawCampaign(_)
            | Body::CloseCampaign(_)
            | Body::Stocktake(_)
            | Body::DisposeResidue(_)
            | Body::ExitLot(_) => return Ok(Vec::new()),
        };
        Ok(self.transfer(offer)?.map(|transfer| transfer.lot).into_iter().collect())
    }

    /// The lots of a recorded event that concerns the onlooker.
    fn lots_of(&self, event: EventId) -> Result<Vec<LotId>, StoreFault> {
        let Some(record) = self.event(event)? else { return Ok(Vec::new()) };
        let entry = self.store.entry(record.index)?.and_then(|bytes| Entry::parse(&bytes).ok());
        let links = entry.map(|entry| entry.links).unwrap_or_default();
        Ok(links.into_iter().map(|link| link.lot).collect())
    }

    /// Whether the onlooker knows a party.
    fn knows(&self, party: PartyId) -> Result<bool, StoreFault> {
        match self.onlooker {
            Onlooker::Everything => Ok(true),
            Onlooker::Nothing => Ok(false),
            Onlooker::Party(own) if own == party => Ok(true),
            Onlooker::Party(own) => {
                let is_public = |state: Arc<PartyState>| state.party.is_public();
                Ok(self.store.are_acquainted(own, party)?
                    || self.store.party(party)?.is_some_and(is_public))
            }
        }
    }

    fn has(&self, lot: &Lot) -> bool {
        match self.onlooker {
            Onlooker::Everything => true,
            Onlooker::Nothing => false,
            Onlooker::Party(own) => lot.owner == own || lot.possessor == own,
        }
    }

    /// Whether an event concerns the onlooker.
    fn is_concerned(&self, record: &EventRecord) -> Result<bool, StoreFault> {
        match self.onlooker {
            Onlooker::Everything => Ok(true),
            Onlooker::Nothing => Ok(false),
            Onlooker::Party(own) => self.store.concerns(own, record.index),
        }
    }

    /// A key that the onlooker knows. Signatures by others are left for the writer, who finds out
    /// the same, later: whether a key is registered is not told by when a bad signature is refused.
    pub fn public_key(&self, key: KeyId) -> Result<Option<PublicKey>, StoreFault> {
        Ok(self.key(key)?.map(|state| state.public_key))
    }

    /// R8 answers with a receipt whoever sends the same signed bytes. Whom the entry does not
    /// concern has to know its envelope too, or it could guess what others signed and be told when
    /// it is right.
    pub fn check_repeats(&self, batch: &[Admitted]) -> Result<Result<(), BatchError>, StoreFault> {
        for (position, admitted) in batch.iter().enumerate() {
            let event = admitted.event().id;
            let Some(record) = self.store.event(event)? else { continue };
            if record.payload_hash != admitted.payload_hash() || self.is_concerned(&record)? {
                continue;
            }
            let entry = self.store.entry(record.index)?;
            let entry = entry.and_then(|bytes| Entry::parse(&bytes).ok());
            if entry.is_none_or(|entry| entry.envelope != admitted.envelope_bytes()) {
                let recorded_at = record.index;
                let conflict = Rejection::EventIdConflict { event, recorded_at };
                let error = AppendError::Rejected(conflict);
                return Ok(Err(BatchError::at(position, error)));
            }
        }
        Ok(Ok(()))
    }
}

impl View for Veil<'_> {
    type Fault = StoreFault;

    fn ledger(&self) -> Result<Option<LedgerState>, StoreFault> {
        self.store.ledger()
    }

    fn party(&self, id: PartyId) -> Result<Option<Arc<PartyState>>, StoreFault> {
        if self.knows(id)? { self.store.party(id) } else { Ok(None) }
    }

    fn party_of_credit_code(&self, code: &str) -> Result<Option<PartyId>, StoreFault> {
        match self.store.party_of_credit_code(code)? {
            Some(party) if self.knows(party)? => Ok(Some(party)),
            _ => Ok(None),
        }
    }

    fn site(&self, id: SiteId) -> Result<Option<Arc<Site>>, StoreFault> {
        match self.store.site(id)? {
            Some(site) if self.knows(site.party)? => Ok(Some(site)),
            _ => Ok(None),
        }
    }

    fn key(&self, id: KeyId) -> Result<Option<KeyState>, StoreFault> {
        match self.store.key(id)? {
            Some(key) if self.knows(key.party)? => Ok(Some(key)),
            _ => Ok(None),
        }
    }

    fn lot(&self, id: LotId) -> Result<Option<Lot>, StoreFault> {
        let found = self.store.lot(id)?;
        Ok(found.filter(|lot| self.has(lot) || self.reach.contains(&id)))
    }

    fn transfer(&self, offer: EventId) -> Result<Option<Transfer>, StoreFault> {
        let Some(transfer) = self.store.transfer(offer)? else { return Ok(None) };
        let own = match self.onlooker {
            Onlooker::Everything => return Ok(Some(transfer)),
            Onlooker::Nothing => return Ok(None),
            Onlooker::Party(own) => own,
        };
        let is_side = transfer.sender == own || transfer.consignee == own;
        let is_seen = is_side
            || (self.store.concerns(own, transfer.offered_at)?
                && self.store.lot(transfer.lot)?.is_some_and(|lot| self.has(&lot)));
        Ok(is_seen.then_some(transfer))
    }

    fn campaign(&self, id: CampaignId) -> Result<Option<Campaign>, StoreFault> {
        let is_seen = |campaign: &Campaign| match self.onlooker {
            Onlooker::Everything => true,
            Onlooker::Nothing => false,
            Onlooker::Party(own) => campaign.party == own || campaign.owner == Some(own),
        };
        Ok(self.store.campaign(id)?.filter(is_seen))
    }

    fn line(&self, site: SiteId, process: &str) -> Result<Option<Line>, StoreFault> {
        let Some(place) = self.store.site(site)? else { return Ok(None) };
        match self.onlooker {
            Onlooker::Party(own) if own != place.party => Ok(None),
            Onlooker::Nothing => Ok(None),
            Onlooker::Everything | Onlooker::Party(_) => self.store.line(site, process),
        }
    }

    fn credit(&self, key: CreditKey) -> Result<Option<Credit>, StoreFault> {
        let place = self.store.site(key.0)?;
        let is_own = match self.onlooker {
            Onlooker::Everything => true,
            Onlooker::Nothing => false,
            Onlooker::Party(own) => place.is_some_and(|place| place.party == own),
        };
        if is_own { self.store.credit(key) } else { Ok(None) }
    }

    fn event(&self, id: EventId) -> Result<Option<EventRecord>, StoreFault> {
        match self.store.event(id)? {
            Some(record) if self.is_concerned(&record)? => Ok(Some(record)),
            _ => Ok(None),
        }
    }

    fn life(&self, lot: LotId, ordinal: u32) -> Result<Option<EventId>, StoreFault> {
        View::life(self.store, lot, ordinal)
    }

    fn waiver(&self, reason: &str, subject: &str) -> Result<Option<WaiverState>, StoreFault> {
        self.store.waiver(reason, subject)
    }

    fn table_chunk(&self, tables: Hash32, chunk: u32) -> Result<Option<Vec<u8>>, StoreFault> {
        self.store.table_chunk(tables, chunk)
    }
}
