//! The book: every posting of every entry, and what the rules found, as of the last entry that was
//! taken over.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use super::anomaly::Anomaly;
use super::diary::Diary;
use super::posting::{Account, Amounts, Code, postings};
use super::registry::Registry;
use super::rules::Rules;
use crate::domain::audit::Acknowledgement;
use crate::domain::event::{Event, OfferTransfer};
use crate::domain::fact::Fact;
use crate::domain::vocabulary::{InvoiceClass, TransferScope};
use crate::domain::{
    Body, CampaignId, EntryCount, EntryIndex, EventId, Grams, Hash32, LotId, PartyId, SiteId,
    Tables, TimeMs,
};

/// One entry, as it is taken over: what was said, and what it changed.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// What the actor said.
    pub event: &'a Event,
    /// What it changed.
    pub fact: &'a Fact,
    /// The tables that judged it.
    pub tables: &'a Tables,
    /// Their hash.
    pub tables_hash: Hash32,
}

/// An account of the book, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(u32);

/// One posting, as it stands in the book.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Where.
    pub account: AccountId,
    /// How much.
    pub grams: i64,
}

/// An offer that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Its entry.
    pub index: EntryIndex,
    /// Of which lot.
    pub lot: LotId,
    /// How much.
    pub mass: Grams,
    /// From whom.
    pub sender: PartyId,
    /// From where.
    pub from_site: SiteId,
    /// To whom.
    pub consignee: PartyId,
    /// To where; `None` when only ownership moves.
    pub to_site: Option<SiteId>,
    /// What moves.
    pub scope: TransferScope,
    /// When, as the sender says.
    pub occurred_at: TimeMs,
    /// In what; empty when not stated.
    pub vehicle: String,
    /// Number of its manifest; empty without one.
    pub manifest: String,
    /// Paid how.
    pub invoice_class: Option<InvoiceClass>,
    /// The entry that answered or ended it, and when that was said to be; an answer that is
    /// declared an error opens it again.
    pub closed: Option<(EntryIndex, TimeMs)>,
}

/// A campaign that was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Code of the process table.
    pub process: Code,
    /// Whose.
    pub party: PartyId,
    /// Where.
    pub site: SiteId,
    /// The entry that opened it.
    pub opened_at: EntryIndex,
    /// When.
    pub occurred_at: TimeMs,
    /// The entry that closed it, and when.
    pub closed: Option<(EntryIndex, TimeMs)>,
}

/// An entry in the book.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Leaf {
    index: EntryIndex,
    occurred_at: TimeMs,
    /// Its first row.
    first: usize,
}

/// Every posting of every entry, and what the rules found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Book {
    size: EntryCount,
    /// The latest occurrence of a row.
    latest: TimeMs,
    registry: Registry,
    diary: Diary,
    codes: HashSet<Code>,
    numbers: BTreeMap<Arc<Account>, AccountId>,
    accounts: Vec<Arc<Account>>,
    totals: Vec<i64>,
    rows: Vec<Row>,
    leaves: Vec<Leaf>,
    offers: BTreeMap<EventId, Offer>,
    runs: BTreeMap<CampaignId, Run>,
    inside: BTreeMap<CampaignId, Amounts>,
    corrected: BTreeMap<EntryIndex, EntryIndex>,
    /// In a box: they are 3 kB, and taken out for each entry. `None` before the first.
    rules: Option<Box<Rules>>,
    anomalies: Vec<Anomaly>,
    /// Everything that was said of flags, in ledger order, by the id of the flag.
    acknowledgements: BTreeMap<String, Vec<Acknowledgement>>,
}

impl Book {
    /// Takes over the next entry; none is taken twice. Entries in between that are no events may be
    /// passed over.
    pub fn absorb(&mut self, seen: &Seen<'_>) {
        let index = seen.fact.index;
        debug_assert!(index.0 >= self.size.0, "entries come in ledger order, each once");
        self.registry.absorb(index, seen.event);
        self.diary.absorb(seen);
        self.learn(seen);
        let first = self.rows.len();
        for posting in postings(seen, self) {
            self.post(posting.account, posting.grams);
        }
        if self.rows.len() > first {
            let occurred_at = seen.event.occurred_at;
            self.leaves.push(Leaf { index, occurred_at, first });
            self.latest = self.latest.max(occurred_at);
        }
        self.answer(seen);
        self.correct(seen);
        self.size = EntryCount(index.0.saturating_add(1));
        // The rules read the book, and their own notes are part of it.
        let mut rules = self.rules.take().unwrap_or_default();
        let found = rules.look(seen, self);
        self.rules = Some(rules);
        self.anomalies.extend(found);
    }

    /// Says that there are so many entries: what came after the last event were the ledger's own
    /// statements.
    pub fn reach(&mut self, size: EntryCount) {
        self.size = EntryCount(self.size.0.max(size.0));
    }

    /// How many entries were taken over.
    pub const fn size(&self) -> EntryCount {
        self.size
    }

    /// Parties and sites.
    pub const fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Who acted when, and what was declared an error.
    pub const fn diary(&self) -> &Diary {
        &self.diary
    }

    /// Every flag so far, in the order in which they could be told.
    pub fn anomalies(&self) -> &[Anomaly] {
        &self.anomalies
    }

    /// What each party had said last of a flag under so many entries, ascending by party.
    pub fn acknowledgements(&self, id: &str, size: EntryCount) -> Vec<&Acknowledgement> {
        let said = self.acknowledgements.get(id).map_or(&[][..], Vec::as_slice);
        let known = said.iter().filter(|it| it.index.0 < size.0);
        let latest: BTreeMap<PartyId, &Acknowledgement> = known.map(|it| (it.by, it)).collect();
        latest.into_values().collect()
    }

    /// The entry that declared an entry an error.
    pub fn corrected_by(&self, index: EntryIndex) -> Option<EntryIndex> {
        self.corrected.get(&index).copied()
    }

    /// Entries that were declared errors, with those that did.
    pub fn corrections(&self) -> impl Iterator<Item = (EntryIndex, EntryIndex)> {
        self.corrected.iter().map(|(target, by)| (*target, *by))
    }

    /// An offer, by its event.
    pub fn offer(&self, id: EventId) -> Option<&Offer> {
        self.offers.get(&id)
    }

    /// Every offer, by the id of its event.
    pub fn offers(&self) -> impl Iterator<Item = (EventId, &Offer)> {
        self.offers.iter().map(|(id, offer)| (*id, offer))
    }

    /// A campaign that was opened.
    pub fn run(&self, id: CampaignId) -> Option<&Run> {
        self.runs.get(&id)
    }

    /// Every campaign, by its id.
    pub fn runs(&self) -> impl Iterator<Item = (CampaignId, &Run)> {
        self.runs.iter().map(|(id, run)| (*id, run))
    }

    /// An account of the book.
    pub fn account(&self, id: AccountId) -> Option<&Account> {
        self.accounts.get(id.0 as usize).map(AsRef::as_ref)
    }

    /// What an entry posted, in the order in which it did.
    pub fn rows_of(&self, index: EntryIndex) -> &[Row] {
        let found = self.leaves.binary_search_by_key(&index, |leaf| leaf.index);
        let Ok(place) = found else { return &[] };
        let end = self.leaves.get(place + 1).map_or(self.rows.len(), |next| next.first);
        &self.rows[self.leaves[place].first..end]
    }

    /// Grams in each account that is asked for, ascending by account, none zero; under so many
    /// entries, and of what happened before a time.
    ///
    /// The book as it stands is a look at every account; an earlier one at every row.
    pub fn totals(
        &self,
        size: EntryCount,
        until: Option<TimeMs>,
        wanted: impl Fn(&Account) -> bool,
    ) -> Vec<(&Account, i128)> {
        let is_after_all = until.is_none_or(|until| self.latest < until);
        let is_now = size.0 >= self.size.0 && is_after_all;
        let mut grams: Vec<i128> = vec![0; self.accounts.len()];
        if is_now {
            grams = self.totals.iter().map(|grams| i128::from(*grams)).collect();
        } else {
            self.each_row(size, until, |_, row| {
                grams[row.account.0 as usize] += i128::from(row.grams);
            });
        }
        let found =
            self.numbers.iter().map(|(account, id)| (account.as_ref(), grams[id.0 as usize]));
        found.filter(|(account, grams)| *grams != 0 && wanted(account)).collect()
    }

    /// The entries behind a figure: what each of them posted to the accounts that are asked for,
    /// in ledger order.
    pub fn entries_behind(
        &self,
        size: EntryCount,
        until: Option<TimeMs>,
        wanted: impl Fn(&Account) -> bool,
    ) -> Vec<(EntryIndex, i128)> {
        let is_wanted: Vec<bool> = self.accounts.iter().map(|account| wanted(account)).collect();
        let mut entries: Vec<(EntryIndex, i128)> = Vec::new();
        self.each_row(size, until, |leaf, row| {
            if !is_wanted[row.account.0 as usize] {
                return;
            }
            match entries.last_mut() {
                Some((index, grams)) if *index == leaf.index => *grams += i128::from(row.grams),
                _ => entries.push((leaf.index, row.grams.into())),
            }
        });
        entries
    }

    /// Every row of the accounts that count, in ledger order: the entry, the account, and the grams
    /// times what one of them counts.
    pub fn each_weighed(
        &self,
        size: EntryCount,
        until: Option<TimeMs>,
        weigh: impl Fn(&Account) -> i8,
        mut visit: impl FnMut(EntryIndex, &Account, i128),
    ) {
        let weights: Vec<i8> = self.accounts.iter().map(|account| weigh(account)).collect();
        self.each_row(size, until, |leaf, row| {
            let place = row.account.0 as usize;
            if weights[place] != 0 {
                let grams = i128::from(row.grams) * i128::from(weights[place]);
                visit(leaf.index, &self.accounts[place], grams);
            }
        });
    }

    /// How an offer ended: by which entry, and when that was said to be; of what was recorded
    /// under so many entries and happened before a time. `None`: it is open.
    pub fn offer_end(
        &self,
        id: EventId,
        size: EntryCount,
        until: TimeMs,
    ) -> Option<(EntryIndex, TimeMs)> {
        let offer = self.offers.get(&id)?;
        let undone = self.undone(offer.index, size, until);
        undone.or_else(|| self.standing(self.diary.answers(id), size, until))
    }

    /// How a campaign ended; as [`Self::offer_end`].
    pub fn run_end(
        &self,
        id: CampaignId,
        size: EntryCount,
        until: TimeMs,
    ) -> Option<(EntryIndex, TimeMs)> {
        let run = self.runs.get(&id)?;
        let undone = self.undone(run.opened_at, size, until);
        undone.or_else(|| self.standing(self.diary.closes(id), size, until))
    }

    /// The entry that declared another an error, and when.
    fn undone(
        &self,
        target: EntryIndex,
        size: EntryCount,
        until: TimeMs,
    ) -> Option<(EntryIndex, TimeMs)> {
        let by = self.corrected_by(target)?;
        let at = self.diary.declared_by(by)?.occurred_at;
        (by.0 < size.0 && at < until).then_some((by, at))
    }

    /// The first of some entries that was not declared an error.
    fn standing(
        &self,
        entries: &[(EntryIndex, TimeMs)],
        size: EntryCount,
        until: TimeMs,
    ) -> Option<(EntryIndex, TimeMs)> {
        let is_told = |(index, at): &&(EntryIndex, TimeMs)| {
            index.0 < size.0 && *at < until && self.undone(*index, size, until).is_none()
        };
        entries.iter().find(is_told).copied()
    }

    fn each_row(&self, size: EntryCount, until: Option<TimeMs>, mut visit: impl FnMut(Leaf, Row)) {
        let end = self.leaves.partition_point(|leaf| leaf.index.0 < size.0);
        for (place, leaf) in self.leaves[..end].iter().enumerate() {
            if until.is_some_and(|until| leaf.occurred_at >= until) {
                continue;
            }
            let next = self.leaves.get(place + 1).map_or(self.rows.len(), |next| next.first);
            for row in &self.rows[leaf.first..next] {
                visit(*leaf, *row);
            }
        }
    }

    /// A code that is shared by all that name it.
    pub(super) fn code(&self, text: &str) -> Code {
        self.codes.get(text).map_or_else(|| Code::from(text), Arc::clone)
    }

    /// The process of a campaign; empty for a stranger.
    pub(super) fn process_of(&self, campaign: CampaignId) -> Code {
        self.runs.get(&campaign).map_or_else(|| self.code(""), |run| Arc::clone(&run.process))
    }

    /// What is in process in a campaign.
    pub(super) fn in_process(&self, campaign: CampaignId) -> Amounts {
        self.inside.get(&campaign).cloned().unwrap_or_default()
    }

    fn post(&mut self, account: Account, grams: i64) {
        if let (Some(campaign), sign) = (account.campaign, account.column.in_process())
            && sign != 0
        {
            let inside = self.inside.entry(campaign).or_default();
            *inside.entry(account.measure).or_default() += grams * i64::from(sign);
        }
        let id = match self.numbers.get(&account) {
            Some(id) => *id,
            None => self.open_account(account),
        };
        self.totals[id.0 as usize] += grams;
        self.rows.push(Row { account: id, grams });
    }

    fn open_account(&mut self, account: Account) -> AccountId {
        // As many accounts as rows at most, and rows are fewer than the bytes of their entries.
        let id = AccountId(u32::try_from(self.accounts.len()).unwrap_or(u32::MAX));
        for code in [&account.material, &account.process] {
            self.codes.insert(Arc::clone(code));
        }
        let account = Arc::new(account);
        self.numbers.insert(Arc::clone(&account), id);
        self.accounts.push(account);
        self.totals.push(0);
        id
    }

    /// Offers and campaigns that the postings ask for.
    fn learn(&mut self, seen: &Seen<'_>) {
        let (event, index) = (seen.event, seen.fact.index);
        match &event.body {
            Body::OfferTransfer(said) => self.offered(seen, said),
            Body::ReturnTransfer(said) => {
                let Some(first) = self.offers.get(&said.offer).cloned() else { return };
                let back = Offer {
                    index,
                    lot: said.lot,
                    mass: said.mass,
                    sender: event.actor,
                    from_site: event.site.unwrap_or(first.from_site),
                    consignee: first.sender,
                    to_site: first.to_site.map(|_| first.from_site),
                    occurred_at: event.occurred_at,
                    vehicle: String::new(),
                    manifest: String::new(),
                    closed: None,
                    ..first
                };
                self.offers.insert(event.id, back);
            }
            Body::AcknowledgeAnomaly(said) => {
                let (by, occurred_at) = (event.actor, event.occurred_at);
                let (anomaly, note) = (said.anomaly.clone(), said.note.clone());
                let it = Acknowledgement { anomaly, by, note, event: event.id, index, occurred_at };
                self.acknowledgements.entry(said.anomaly.clone()).or_default().push(it);
            }
            Body::OpenCampaign(said) => {
                let Some(site) = event.site else { return };
                let run = Run {
                    process: self.code(&said.process),
                    party: event.actor,
                    site,
                    opened_at: index,
                    occurred_at: event.occurred_at,
                    closed: None,
                };
                self.runs.insert(said.campaign, run);
            }
            _ => {}
        }
    }

    fn offered(&mut self, seen: &Seen<'_>, said: &OfferTransfer) {
        let event = seen.event;
        let held = seen.fact.lots.first().map(|change| change.after.site);
        let Some(from_site) = event.site.or(held) else { return };
        let offer = Offer {
            index: seen.fact.index,
            lot: said.lot,
            mass: said.mass,
            sender: event.actor,
            from_site,
            consignee: said.consignee,
            to_site: said.consignee_site,
            scope: said.scope,
            occurred_at: event.occurred_at,
            vehicle: said.vehicle.clone(),
            manifest: said.manifest.as_ref().map(|it| it.number.clone()).unwrap_or_default(),
            invoice_class: said.invoice_class,
            closed: None,
        };
        self.offers.insert(event.id, offer);
    }

    /// Offers that were answered, campaigns that were closed.
    fn answer(&mut self, seen: &Seen<'_>) {
        let now = Some((seen.fact.index, seen.event.occurred_at));
        let offer = match &seen.event.body {
            Body::AcceptTransfer(it) => it.offer,
            Body::PartlyAcceptTransfer(it) => it.offer,
            Body::RejectTransfer(it) | Body::CancelTransfer(it) => it.offer,
            Body::CloseCampaign(it) => {
                if let Some(run) = self.runs.get_mut(&it.campaign) {
                    run.closed = now;
                }
                return;
            }
            _ => return,
        };
        if let Some(offer) = self.offers.get_mut(&offer) {
            offer.closed = now;
        }
    }

    /// What rests on an entry that is declared an error stays told, and says so.
    fn correct(&mut self, seen: &Seen<'_>) {
        let (Some(target), by) = (seen.fact.undoes, seen.fact.index) else { return };
        self.corrected.insert(target, by);
        let rests_on_it = |it: &&mut Anomaly| it.entries.binary_search(&target).is_ok();
        for anomaly in self.anomalies.iter_mut().filter(rests_on_it) {
            anomaly.corrected_at.get_or_insert(by);
        }
        for offer in self.offers.values_mut() {
            if offer.index == target {
                offer.closed = Some((by, seen.event.occurred_at));
            } else if offer.closed.is_some_and(|(at, _)| at == target) {
                offer.closed = None;
            }
        }
        for run in
            self.runs.values_mut().filter(|run| run.closed.is_some_and(|(at, _)| at == target))
        {
            run.closed = None;
        }
    }
}
