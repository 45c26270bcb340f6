//! What the rules read and change, by name: so that it can be told which entries an event rests on.
//!
//! An event is judged by what a [`View`] answers, and changes whole values. So an entry rests on
//! those entries that last wrote what it read, and on nothing else; replayed over them alone it has
//! the same effects as over the whole ledger.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use super::campaign::{Campaign, Line};
use super::credit::{Credit, CreditKey};
use super::effects::{Effects, LedgerState, View};
use super::ids::{CampaignId, EventId, Hash32, KeyId, LotId, PartyId, SiteId};
use super::lot::{EventRecord, Lot, Transfer};
use super::party::{KeyState, PartyState, Site};
use super::waiver::WaiverState;

/// One value of the state, by its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A campaign.
    Campaign(CampaignId),
    /// An account of credits.
    Credit(CreditKey),
    /// Who has a credit code.
    CreditCode(String),
    /// What is remembered of an event.
    Event(EventId),
    /// A signing key.
    Key(KeyId),
    /// The ledger's own state.
    Ledger,
    /// The event at a place in a lot's life.
    Life(LotId, u32),
    /// The last campaign of a process at a site.
    Line(SiteId, String),
    /// A lot.
    Lot(LotId),
    /// A party.
    Party(PartyId),
    /// A site.
    Site(SiteId),
    /// A chunk of a table set.
    TableChunk(Hash32, u32),
    /// A transfer, by the event of its offer.
    Transfer(EventId),
    /// The waiver of a rule for a subject.
    Waiver(String, String),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Campaign(id) => write!(f, "campaign {id}"),
            Self::Credit((site, of, month)) => {
                write!(f, "credits of site {site} for {of} in month {}", month.number())
            }
            Self::CreditCode(code) => write!(f, "credit code {code}"),
            Self::Event(id) => write!(f, "event {id}"),
            Self::Key(id) => write!(f, "key {id}"),
            Self::Ledger => f.write_str("the ledger itself"),
            Self::Life(lot, ordinal) => write!(f, "event {ordinal} in the life of lot {lot}"),
            Self::Line(site, process) => write!(f, "last campaign of {process} at site {site}"),
            Self::Lot(id) => write!(f, "lot {id}"),
            Self::Party(id) => write!(f, "party {id}"),
            Self::Site(id) => write!(f, "site {id}"),
            Self::TableChunk(set, chunk) => write!(f, "chunk {chunk} of tables {set}"),
            Self::Transfer(offer) => write!(f, "transfer {offer}"),
            Self::Waiver(rule, subject) => write!(f, "waiver of {rule} for {subject}"),
        }
    }
}

impl Effects {
    /// The values that they set, in no particular order; one may come twice.
    pub fn subjects(&self, event: EventId) -> impl Iterator<Item = Subject> {
        let ledger = self.ledger.iter().map(|_| Subject::Ledger);
        let parties = self.parties.iter().map(|it| Subject::Party(it.party.id));
        let codes = self.credit_codes.iter().map(|(code, _)| Subject::CreditCode(code.clone()));
        let sites = self.sites.iter().map(|it| Subject::Site(it.id));
        let keys = self.keys.iter().map(|it| Subject::Key(it.id));
        let waivers = self.waivers.iter();
        let waivers = waivers.map(|it| Subject::Waiver(it.reason_code.clone(), it.subject.clone()));
        let credits = self.credits.iter().map(|it| Subject::Credit(it.key()));
        let lots = self.lots.iter().map(|it| Subject::Lot(it.id));
        let lives = self.links.iter().map(|it| Subject::Life(it.lot, it.ordinal));
        let transfers = self.transfers.iter().map(|it| Subject::Transfer(it.offer));
        let campaigns = self.campaigns.iter().map(|it| Subject::Campaign(it.id));
        let last_campaigns =
            self.lines.iter().map(|(site, process, _)| Subject::Line(*site, process.clone()));
        let events = self.events.iter().map(|it| Subject::Event(it.id));
        let chunks = self.table_chunk.iter().map(|(set, at, _)| Subject::TableChunk(*set, *at));
        let own = std::iter::once(Subject::Event(event));
        ledger
            .chain(parties)
            .chain(codes)
            .chain(sites)
            .chain(keys)
            .chain(waivers)
            .chain(credits)
            .chain(lots)
            .chain(lives)
            .chain(transfers)
            .chain(campaigns)
            .chain(last_campaigns)
            .chain(events)
            .chain(chunks)
            .chain(own)
    }
}

/// A view that remembers what was asked of it.
#[derive(Debug)]
pub struct Recorder<'a, V> {
    view: &'a V,
    read: RefCell<BTreeSet<Subject>>,
}

impl<'a, V: View> Recorder<'a, V> {
    /// Nothing was asked yet.
    pub fn new(view: &'a V) -> Self {
        Self { view, read: RefCell::default() }
    }

    /// What was asked, each once, in order of name.
    pub fn into_read(self) -> BTreeSet<Subject> {
        self.read.into_inner()
    }

    fn asked(&self, subject: Subject) -> &'a V {
        self.read.borrow_mut().insert(subject);
        self.view
    }
}

impl<V: View> View for Recorder<'_, V> {
    type Fault = V::Fault;

    fn ledger(&self) -> Result<Option<LedgerState>, V::Fault> {
        self.asked(Subject::Ledger).ledger()
    }

    fn party(&self, id: PartyId) -> Result<Option<Arc<PartyState>>, V::Fault> {
        self.asked(Subject::Party(id)).party(id)
    }

    fn party_of_credit_code(&self, code: &str) -> Result<Option<PartyId>, V::Fault> {
        self.asked(Subject::CreditCode(code.to_owned())).party_of_credit_code(code)
    }

    fn site(&self, id: SiteId) -> Result<Option<Arc<Site>>, V::Fault> {
        self.asked(Subject::Site(id)).site(id)
    }

    fn key(&self, id: KeyId) -> Result<Option<KeyState>, V::Fault> {
        self.asked(Subject::Key(id)).key(id)
    }

    fn lot(&self, id: LotId) -> Result<Option<Lot>, V::Fault> {
        self.asked(Subject::Lot(id)).lot(id)
    }

    fn transfer(&self, offer: EventId) -> Result<Option<Transfer>, V::Fault> {
        self.asked(Subject::Transfer(offer)).transfer(offer)
    }

    fn campaign(&self, id: CampaignId) -> Result<Option<Campaign>, V::Fault> {
        self.asked(Subject::Campaign(id)).campaign(id)
    }

    fn line(&self, site: SiteId, process: &str) -> Result<Option<Line>, V::Fault> {
        self.asked(Subject::Line(site, process.to_owned())).line(site, process)
    }

    fn event(&self, id: EventId) -> Result<Option<EventRecord>, V::Fault> {
        self.asked(Subject::Event(id)).event(id)
    }

    fn life(&self, lot: LotId, ordinal: u32) -> Result<Option<EventId>, V::Fault> {
        self.asked(Subject::Life(lot, ordinal)).life(lot, ordinal)
    }

    fn waiver(&self, reason_code: &str, subject: &str) -> Result<Option<WaiverState>, V::Fault> {
        let name = Subject::Waiver(reason_code.to_owned(), subject.to_owned());
        self.asked(name).waiver(reason_code, subject)
    }

    fn credit(&self, key: CreditKey) -> Result<Option<Credit>, V::Fault> {
        self.asked(Subject::Credit(key)).credit(key)
    }

    fn table_chunk(&self, tables: Hash32, chunk: u32) -> Result<Option<Vec<u8>>, V::Fault> {
        self.asked(Subject::TableChunk(tables, chunk)).table_chunk(tables, chunk)
    }
}
