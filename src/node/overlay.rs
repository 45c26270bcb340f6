//! What the writer looks at: the database, under the not yet written group, under the request at
//! hand.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::domain::campaign::{Campaign, Line};
use crate::domain::credit::{Credit, CreditKey};
use crate::domain::effects::{LedgerState, View};
use crate::domain::lot::{EventRecord, Lot, Transfer};
use crate::domain::memory::MemoryState;
use crate::domain::party::{KeyState, PartyState, Site};
use crate::domain::waiver::WaiverState;
use crate::domain::{CampaignId, EventId, Hash32, KeyId, LotId, PartyId, SiteId};

/// Layers of not yet written state over a view; the last layer is asked first.
pub struct Overlay<'a, V> {
    /// What is written.
    pub base: &'a V,
    /// What is accepted since, older first.
    pub layers: [&'a MemoryState; 2],
    /// An event that was looked for, here and in all that is below, and has no record.
    pub unrecorded: Option<EventId>,
}

impl<V> Overlay<'_, V> {
    fn is_unrecorded(&self, id: EventId) -> bool {
        self.unrecorded == Some(id)
    }

    fn newest<T>(&self, find: impl Fn(&MemoryState) -> Option<T>) -> Option<T> {
        self.layers.iter().rev().find_map(|layer| find(layer))
    }
}

/// Groups that are not written yet, over a view; the newest is asked first.
pub struct Unwritten<'a, V> {
    /// What is written, or about to be.
    pub base: &'a V,
    /// What each group changes, older first.
    pub layers: &'a VecDeque<Arc<MemoryState>>,
}

impl<V> Unwritten<'_, V> {
    #[expect(clippy::unused_self, reason = "one macro for both")]
    const fn is_unrecorded(&self, _: EventId) -> bool {
        false
    }

    fn newest<T>(&self, find: impl Fn(&MemoryState) -> Option<T>) -> Option<T> {
        self.layers.iter().rev().find_map(|layer| find(layer))
    }
}

macro_rules! layered {
    ($($name:ident($($arg:ident: $type:ty),*) -> $out:ty, $find:expr;)+) => {
        $(fn $name(&self, $($arg: $type),*) -> Result<Option<$out>, V::Fault> {
            match self.newest($find) {
                Some(found) => Ok(Some(found)),
                None => self.base.$name($($arg),*),
            }
        })+
    };
}

macro_rules! view {
    ($layers:ident) => {
impl<V: View> View for $layers<'_, V> {
    type Fault = V::Fault;

    fn event(&self, id: EventId) -> Result<Option<EventRecord>, V::Fault> {
        if self.is_unrecorded(id) {
            return Ok(None);
        }
        match self.newest(|layer| layer.events.get(&id).map(|it| EventRecord::clone(it))) {
            Some(found) => Ok(Some(found)),
            None => self.base.event(id),
        }
    }

    layered! {
        ledger() -> LedgerState, |layer| layer.ledger.clone();
        party(id: PartyId) -> Arc<PartyState>, |layer| layer.parties.get(&id).cloned();
        party_of_credit_code(code: &str) -> PartyId, |layer| layer.credit_codes.get(code).copied();
        site(id: SiteId) -> Arc<Site>, |layer| layer.sites.get(&id).cloned();
        key(id: KeyId) -> KeyState, |layer| layer.keys.get(&id).cloned();
        lot(id: LotId) -> Lot, |layer| layer.lots.get(&id).map(|it| Lot::clone(it));
        transfer(offer: EventId) -> Transfer,
            |layer| layer.transfers.get(&offer).map(|it| Transfer::clone(it));
        campaign(id: CampaignId) -> Campaign, |layer| layer.campaigns.get(&id).cloned();
        line(site: SiteId, process: &str) -> Line,
            |layer| layer.lines.get(&(site, process.to_owned())).copied();
        life(lot: LotId, ordinal: u32) -> EventId,
            |layer| layer.lives.get(&(lot, ordinal)).copied();
        waiver(reason_code: &str, subject: &str) -> WaiverState,
            |layer| layer.waivers.get(&(reason_code.to_owned(), subject.to_owned())).cloned();
        credit(key: CreditKey) -> Credit, |layer| layer.credits.get(&key).copied();
        table_chunk(tables: Hash32, chunk: u32) -> Vec<u8>,
            |layer| layer.table_chunks.get(&(tables, chunk)).cloned();
    }
}
    };
}

view!(Overlay);
view!(Unwritten);
