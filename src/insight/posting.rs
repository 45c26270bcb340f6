//! What one entry did to stocks: its postings.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::book::{Book, Offer, Seen};
use super::columns::Column;
use crate::domain::credit::Month;
use crate::domain::event::{LotDraw, NewLot, TransformLots};
use crate::domain::fact::{LotChange, Stand};
use crate::domain::lot::Contents;
use crate::domain::{Body, CampaignId, EventId, Grams, LotId, PartyId, SiteId};
use crate::provenance::Measure;

/// A code of a table, shared by all accounts that name it.
pub type Code = Arc<str>;

/// Where grams are booked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Account {
    /// The month of the event, in Beijing.
    pub month: Month,
    /// In whose hands; for `SOLD` and `BOUGHT`, whose property.
    pub party: PartyId,
    /// Where.
    pub site: SiteId,
    /// How they came or left.
    pub column: Column,
    /// Of what.
    pub measure: Measure,
    /// Code of the material table; empty for what is in process.
    pub material: Code,
    /// Code of the process table; empty without one.
    pub process: Code,
    /// In which campaign.
    pub campaign: Option<CampaignId>,
    /// From or to whom and where, when somebody else is concerned.
    pub other: Option<(PartyId, SiteId)>,
}

/// Grams in an account; less than zero where a correction takes them back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posting {
    /// Which.
    pub account: Account,
    /// How much.
    pub grams: i64,
}

/// Grams by measure.
pub(super) type Amounts = BTreeMap<Measure, i64>;

/// What one entry did to stocks. What no column explains (another analysis, a rounding, a
/// correction that comes late) is `ADJUSTED`, so that stocks are always the sum of their columns.
pub(super) fn postings(seen: &Seen<'_>, book: &Book) -> Vec<Posting> {
    let mut clerk = Clerk { seen, book, out: Vec::new() };
    clerk.succeed();
    match &seen.event.body {
        Body::CollectLot(_) => clerk.born(Column::Collected),
        Body::OpeningInventory(_) => clerk.born(Column::OpeningInventory),
        Body::SplitLot(_) => clerk.split(),
        Body::MergeLots(_) => clerk.merge(),
        Body::TransformLots(melt) => clerk.transform(melt),
        Body::OpenCampaign(it) => clerk.open(it.campaign, &it.process),
        Body::ChargeCampaign(it) => clerk.charge(it.campaign, &it.inputs, &it.additions),
        Body::DrawCampaign(it) => clerk.draw(it.campaign, &it.outputs, &it.residues),
        Body::CloseCampaign(it) => {
            let loss = grams(it.losses.iter().map(|(_, mass)| *mass));
            clerk.close(it.campaign, loss, grams(it.uptakes.iter().map(|(_, mass)| *mass)));
        }
        Body::AcceptTransfer(it) => clerk.arrive(it.offer),
        Body::PartlyAcceptTransfer(it) => clerk.arrive(it.offer),
        Body::SettleDiscrepancy(it) => clerk.settle(it.offer),
        Body::DisposeResidue(_) => clerk.leave(Column::Disposed),
        Body::ExitLot(_) => clerk.leave(Column::Exited),
        Body::Stocktake(_) => clerk.count(),
        Body::DeclareError(_) => clerk.undo(),
        _ => {}
    }
    clerk.adjust();
    clerk.out
}

/// Grams of a stand, by measure.
pub(super) fn amounts(stand: &Stand) -> Amounts {
    let of = |(substance, grams): &(_, Grams)| (Measure::Substance(*substance), signed(*grams));
    std::iter::once((Measure::Mass, signed(stand.mass)))
        .chain(stand.contents.iter().map(of))
        .collect()
}

/// Grams of a stock in process, by measure.
fn stock_amounts(mass: Grams, contents: &Contents) -> Amounts {
    let items = contents.items.iter();
    let of = items.map(|it| (Measure::Substance(it.substance), signed(it.contained)));
    std::iter::once((Measure::Mass, signed(mass))).chain(of).collect()
}

/// At most `1e12` g by the border, so it fits.
pub(super) fn signed(grams: Grams) -> i64 {
    i64::try_from(grams.get()).unwrap_or(i64::MAX)
}

fn grams(masses: impl Iterator<Item = Grams>) -> i64 {
    masses.map(signed).fold(0, i64::saturating_add)
}

/// `one - other`, of every measure that either has.
pub(super) fn less(one: &Amounts, other: &Amounts) -> Amounts {
    let mut rest = one.clone();
    for (measure, grams) in other {
        *rest.entry(*measure).or_default() -= grams;
    }
    rest
}

fn add(to: &mut Amounts, more: &Amounts) {
    for (measure, grams) in more {
        *to.entry(*measure).or_default() += grams;
    }
}

/// Where an amount is booked, beside its column and measure.
#[derive(Clone)]
struct Place {
    party: PartyId,
    site: SiteId,
    material: Code,
    process: Code,
    campaign: Option<CampaignId>,
    other: Option<(PartyId, SiteId)>,
}

struct Clerk<'a> {
    seen: &'a Seen<'a>,
    book: &'a Book,
    out: Vec<Posting>,
}

impl<'a> Clerk<'a> {
    fn place(&self, party: PartyId, site: SiteId, material: &str) -> Place {
        let (material, process) = (self.book.code(material), self.book.code(""));
        Place { party, site, material, process, campaign: None, other: None }
    }

    fn post(&mut self, place: &Place, column: Column, amounts: &Amounts) {
        let month = Month::of(self.seen.event.occurred_at);
        let Place { party, site, material, process, campaign, other } = place.clone();
        for (&measure, &grams) in amounts.iter().filter(|(_, grams)| **grams != 0) {
            let account = Account {
                month,
                party,
                site,
                column,
                measure,
                material: Arc::clone(&material),
                process: Arc::clone(&process),
                campaign,
                other,
            };
            self.out.push(Posting { account, grams });
        }
    }

    fn changes(&self) -> &'a [LotChange] {
        &self.seen.fact.lots
    }

    /// Lots whose holder was succeeded come into the books of who acts now.
    fn succeed(&mut self) {
        for change in self.changes() {
            let Some(before) = &change.before else { continue };
            if before.possessor == before.keeper {
                continue;
            }
            let (all, none) = (amounts(before), Amounts::new());
            let from = self.place(before.possessor, before.site, &change.material);
            self.post(&from, Column::Succeeded, &less(&none, &all));
            self.post(&Place { party: before.keeper, ..from }, Column::Succeeded, &all);
        }
    }

    fn born(&mut self, column: Column) {
        for change in self.changes() {
            let place = self.place(change.after.possessor, change.after.site, &change.material);
            self.post(&place, column, &amounts(&change.after));
        }
    }

    /// What the parent had and no child has was lost in handling.
    fn split(&mut self) {
        let mut lost = Amounts::new();
        let mut place = None;
        for change in self.changes() {
            add(&mut lost, &taken(change));
            if let Some(before) = &change.before {
                place = Some(self.place(before.keeper, before.site, &change.material));
            }
        }
        lost.retain(|_, grams| *grams > 0);
        if let Some(place) = place {
            self.post(&place, Column::HandlingLoss, &lost);
        }
    }

    fn merge(&mut self) {
        for change in self.changes() {
            let place = self.place(keeper(change), change.after.site, &change.material);
            let more = less(&Amounts::new(), &taken(change));
            self.post(&place, Column::Remade, &more);
        }
    }

    /// Lots into or out of a process; what all of them together took and gave.
    fn run(
        &mut self,
        process: &str,
        campaign: Option<CampaignId>,
        columns: &BTreeMap<LotId, Column>,
    ) -> Amounts {
        let mut inside = Amounts::new();
        for change in self.changes() {
            let Some(&column) = columns.get(&change.lot) else { continue };
            let place = self.place(keeper(change), change.after.site, &change.material);
            let place = Place { process: self.book.code(process), campaign, ..place };
            let went_in = taken(change);
            add(&mut inside, &went_in);
            let is_in = column.in_process() > 0;
            let amount = if is_in { went_in } else { less(&Amounts::new(), &went_in) };
            self.post(&place, column, &amount);
        }
        inside
    }

    fn process_place(&self, process: &str, campaign: Option<CampaignId>) -> Option<Place> {
        let site = self.seen.event.site?;
        let place = self.place(self.seen.event.actor, site, "");
        Some(Place { process: self.book.code(process), campaign, ..place })
    }

    fn transform(&mut self, melt: &TransformLots) {
        let columns = columns(&melt.inputs, &melt.additions, &melt.outputs, &melt.residues);
        let mut rest = self.run(&melt.process, None, &columns);
        let Some(place) = self.process_place(&melt.process, None) else { return };
        let uptake = grams(melt.uptakes.iter().map(|(_, mass)| *mass));
        let uptake = Amounts::from([(Measure::Mass, uptake)]);
        self.post(&place, Column::Uptake, &uptake);
        // Of mass that is exactly what was declared as lost: the rules asked.
        add(&mut rest, &uptake);
        self.post(&place, Column::ProcessLoss, &rest);
    }

    fn open(&mut self, campaign: CampaignId, process: &str) {
        let Some(stock) = &self.seen.fact.stock else { return };
        let Some(place) = self.process_place(process, Some(campaign)) else { return };
        let left = match stock.from {
            Some(before) => {
                let inside = self.book.in_process(before);
                let from = Place { campaign: Some(before), ..place.clone() };
                self.post(&from, Column::CarriedOut, &inside);
                self.post(&place, Column::CarriedIn, &inside);
                inside
            }
            None => Amounts::new(),
        };
        let waived = less(&stock_amounts(stock.mass, &stock.contents), &left);
        self.post(&place, Column::Waived, &waived);
    }

    fn charge(&mut self, campaign: CampaignId, inputs: &[LotDraw], additions: &[LotDraw]) {
        let process = self.book.process_of(campaign);
        self.run(&process, Some(campaign), &columns(inputs, additions, &[], &[]));
    }

    fn draw(&mut self, campaign: CampaignId, outputs: &[NewLot], residues: &[NewLot]) {
        let process = self.book.process_of(campaign);
        self.run(&process, Some(campaign), &columns(&[], &[], outputs, residues));
    }

    /// What is not in the closing stock is lost; but for a substance that nobody looked for in it:
    /// then it is not known.
    fn close(&mut self, campaign: CampaignId, loss: i64, uptake: i64) {
        let process = self.book.process_of(campaign);
        let Some(place) = self.process_place(&process, Some(campaign)) else { return };
        self.post(&place, Column::Uptake, &Amounts::from([(Measure::Mass, uptake)]));
        let Some(stock) = &self.seen.fact.stock else { return };
        let stays = stock_amounts(stock.mass, &stock.contents);
        let mut gone = less(&self.book.in_process(campaign), &stays);
        gone.retain(|measure, _| stock.mass.is_zero() || stays.contains_key(measure));
        gone.insert(Measure::Mass, loss);
        self.post(&place, Column::ProcessLoss, &gone);
    }

    /// A transfer was taken over: what arrived left the sender, and what did not arrive was lost
    /// on the way, in the sender's books.
    fn arrive(&mut self, offer: EventId) {
        let Some(offer) = self.book.offer(offer).cloned() else { return };
        let (mut sent, mut arrived) = (Amounts::new(), Amounts::new());
        let mut material = String::new();
        for change in self.changes() {
            material.clone_from(&change.material);
            match &change.before {
                Some(before) if self.changes().len() == 1 => {
                    add(&mut sent, &amounts(before));
                    add(&mut arrived, &amounts(&change.after));
                }
                Some(_) => add(&mut sent, &taken(change)),
                None => add(&mut arrived, &amounts(&change.after)),
            }
        }
        let lost = less(&sent, &arrived);
        self.hand_over(&offer, &material, &arrived, &lost);
    }

    /// Both agree on what arrived: more or less than was booked.
    fn settle(&mut self, offer: EventId) {
        let Some(offer) = self.book.offer(offer).cloned() else { return };
        for change in self.changes() {
            let more = less(&Amounts::new(), &taken(change));
            let lost = less(&Amounts::new(), &more);
            self.hand_over(&offer, &change.material, &more, &lost);
        }
    }

    fn hand_over(&mut self, offer: &Offer, material: &str, arrived: &Amounts, lost: &Amounts) {
        let to_site = offer.to_site.unwrap_or(offer.from_site);
        let at = self.seen.event.occurred_at;
        let sender = self.book.registry().acting_for(offer.sender, at);
        let (from, to) = ((sender, offer.from_site), (self.taker(offer), to_site));
        let place = |(party, site): (PartyId, SiteId), other| Place {
            other: Some(other),
            ..self.place(party, site, material)
        };
        let (giving, taking) = (place(from, to), place(to, from));
        if offer.scope.moves_custody() {
            self.post(&giving, Column::Shipped, arrived);
            self.post(&giving, Column::TransitLoss, lost);
            self.post(&taking, Column::Received, arrived);
        }
        if offer.scope.moves_ownership() {
            self.post(&giving, Column::Sold, arrived);
            self.post(&taking, Column::Bought, arrived);
        }
    }

    /// Who took over: in a settlement, where both sign, whose lot changes.
    fn taker(&self, offer: &Offer) -> PartyId {
        let settles = matches!(self.seen.event.body, Body::SettleDiscrepancy(_));
        let moved = self.changes().first().map(|change| change.after.possessor);
        if settles && offer.scope.moves_custody() {
            return moved.unwrap_or(offer.consignee);
        }
        if settles { offer.consignee } else { self.seen.event.actor }
    }

    fn leave(&mut self, column: Column) {
        for change in self.changes() {
            let place = self.place(keeper(change), change.after.site, &change.material);
            self.post(&place, column, &taken(change));
        }
    }

    fn count(&mut self) {
        for change in self.changes() {
            let place = self.place(keeper(change), change.after.site, &change.material);
            self.post(&place, Column::Counted, &less(&Amounts::new(), &taken(change)));
        }
    }

    /// The postings of the entry that is declared an error are taken back where they stand, in the
    /// month that they were made for.
    fn undo(&mut self) {
        let Some(target) = self.seen.fact.undoes else { return };
        for row in self.book.rows_of(target) {
            let Some(account) = self.book.account(row.account) else { continue };
            self.out.push(Posting { account: account.clone(), grams: -row.grams });
        }
    }

    /// What the lots changed by, less what the columns say of them.
    fn adjust(&mut self) {
        let mut rest: BTreeMap<(PartyId, SiteId, Code), Amounts> = BTreeMap::new();
        for change in self.changes() {
            let material = self.book.code(&change.material);
            if let Some(before) = &change.before {
                let key = (before.possessor, before.site, Arc::clone(&material));
                let amount = less(&Amounts::new(), &amounts(before));
                add(rest.entry(key).or_default(), &amount);
            }
            let key = (change.after.possessor, change.after.site, material);
            add(rest.entry(key).or_default(), &amounts(&change.after));
        }
        for posting in &self.out {
            let account = &posting.account;
            let key = (account.party, account.site, Arc::clone(&account.material));
            let grams = posting.grams * i64::from(account.column.in_lots());
            if grams != 0 {
                *rest.entry(key).or_default().entry(account.measure).or_default() -= grams;
            }
        }
        for ((party, site, material), amounts) in rest {
            let place = self.place(party, site, &material);
            self.post(&place, Column::Adjusted, &amounts);
        }
    }
}

/// Who keeps the books of a lot that an event uses.
fn keeper(change: &LotChange) -> PartyId {
    change.before.as_ref().map_or(change.after.possessor, |before| before.keeper)
}

/// What a lot has less afterwards; less than zero: more.
fn taken(change: &LotChange) -> Amounts {
    let before = change.before.as_ref().map(amounts).unwrap_or_default();
    less(&before, &amounts(&change.after))
}

fn columns(
    inputs: &[LotDraw],
    additions: &[LotDraw],
    outputs: &[NewLot],
    residues: &[NewLot],
) -> BTreeMap<LotId, Column> {
    let drawn = inputs.iter().map(|it| (it.lot, Column::Used));
    let added = additions.iter().map(|it| (it.lot, Column::Added));
    let made = outputs.iter().map(|it| (it.id, Column::Produced));
    let left = residues.iter().map(|it| (it.id, Column::Residue));
    drawn.chain(added).chain(made).chain(left).collect()
}
