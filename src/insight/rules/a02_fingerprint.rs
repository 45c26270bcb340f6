//! A2: what is called magnet scrap, or made of nothing else, is not made of what magnets are made
//! of.
//!
//! Looked at are lots when somebody says what is in them, what goes into a process together, and
//! what comes out of it together. The same party is not told of the same metal twice, unless it is
//! graver.

use std::collections::{BTreeMap, BTreeSet};

use super::super::anomaly::{Number, Rule, Severity};
use super::super::book::{Book, Seen};
use super::super::columns::Column;
use super::super::posting::Code;
use super::found::{About, Found, fraction, grams, number, ratio_e8};
use crate::domain::composition::contents;
use crate::domain::event::{Composition, LotDraw, NewLot};
use crate::domain::fact::{LotChange, Stand};
use crate::domain::tables::OxideGroup;
use crate::domain::vocabulary::Substance;
use crate::domain::{Body, CampaignId, EntryIndex, EventId, LotId, PartyId, Tables};
use crate::limits::MAX_EVIDENCE;
use crate::provenance::Measure;

/// Lots that are magnet feed or made of nothing else, and the campaigns that they are in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Notes {
    lots: BTreeMap<LotId, Feed>,
    /// `None`: something else is in it too.
    campaigns: BTreeMap<CampaignId, Option<Feed>>,
}

/// What is remembered of magnet feed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Feed {
    /// Classes of scrap that it was.
    classes: BTreeSet<Code>,
    /// By how much of all oxide the foreign ones may err, in 1e-8.
    doubt_e8: i128,
    /// Who said what is in it.
    entries: BTreeSet<EntryIndex>,
    told: BTreeMap<(PartyId, OxideGroup), Severity>,
}

/// Grams of what was looked for.
type Metal = BTreeMap<Substance, i128>;

impl Feed {
    fn of(all: &[Self]) -> Self {
        let mut feed = Self::default();
        for one in all {
            feed.join(one);
        }
        feed
    }

    fn join(&mut self, other: &Self) {
        self.classes.extend(other.classes.iter().cloned());
        self.doubt_e8 = self.doubt_e8.max(other.doubt_e8);
        self.entries.extend(&other.entries);
        while self.entries.len() > MAX_EVIDENCE {
            self.entries.pop_first();
        }
        for (key, severity) in &other.told {
            let told = self.told.entry(*key).or_insert(*severity);
            *told = (*told).max(*severity);
        }
    }
}

impl Notes {
    pub(super) fn look(&mut self, seen: &Seen<'_>, book: &Book, found: &mut Found<'_>) {
        if seen.tables.fingerprints.is_empty() {
            return;
        }
        if seen.fact.undoes.is_some() {
            // What was told of it rests on an error: it may be told again.
            for change in &seen.fact.lots {
                if let Some(feed) = self.lots.get_mut(&change.lot) {
                    feed.told.clear();
                }
            }
            return;
        }
        match &seen.event.body {
            Body::CollectLot(it) => self.said(seen, &[&it.lot], found),
            Body::OpeningInventory(it) => {
                self.said(seen, &it.lots.iter().collect::<Vec<_>>(), found);
            }
            Body::AssayLot(it) => self.lot(seen, it.lot, Some(&it.composition), found),
            Body::SplitLot(it) => it.children.iter().for_each(|to| self.descend(it.parent, to.lot)),
            Body::MergeLots(it) => self.merge(seen, &it.parents, &it.output, found),
            Body::AcceptTransfer(it) => self.part(book, it.offer, it.received_lot),
            Body::PartlyAcceptTransfer(it) => self.part(book, it.offer, Some(it.received_lot)),
            Body::TransformLots(it) => {
                let made: Vec<&NewLot> = it.outputs.iter().chain(&it.residues).collect();
                let fed = self.feed(seen, &it.inputs, &it.additions, None, found);
                self.made(seen, fed, &made, found);
            }
            _ => self.campaign(seen, book, found),
        }
    }

    fn campaign(&mut self, seen: &Seen<'_>, book: &Book, found: &mut Found<'_>) {
        match &seen.event.body {
            Body::OpenCampaign(it) => {
                let stock = seen.fact.stock.as_ref();
                let before = stock.and_then(|stock| stock.from);
                let left = before.and_then(|before| self.campaigns.get(&before).cloned());
                let is_empty = stock.is_none_or(|stock| stock.mass.is_zero());
                let feed = if is_empty { Some(Feed::default()) } else { left.flatten() };
                self.campaigns.insert(it.campaign, feed);
            }
            Body::ChargeCampaign(it) => {
                let id = Some(it.campaign);
                let fed = self.feed(seen, &it.inputs, &it.additions, id, found);
                let here = self.campaigns.entry(it.campaign).or_default();
                *here = here.take().zip(fed).map(|(mut here, fed)| {
                    here.join(&fed);
                    here
                });
            }
            Body::DrawCampaign(it) => {
                let Some(Some(feed)) = self.campaigns.get(&it.campaign).cloned() else { return };
                for new in it.outputs.iter().chain(&it.residues) {
                    self.lots.insert(new.id, feed.clone());
                }
            }
            Body::CloseCampaign(it) => {
                let Some(Some(mut feed)) = self.campaigns.get(&it.campaign).cloned() else {
                    return;
                };
                let out = drawn(book, it.campaign);
                let about = About { campaign: Some(it.campaign), lot: None, ..found.about_event() };
                judge(seen, &mut feed, &out, &[OxideGroup::Foreign], about, found);
                self.campaigns.insert(it.campaign, Some(feed));
            }
            _ => {}
        }
    }

    fn said(&mut self, seen: &Seen<'_>, new: &[&NewLot], found: &mut Found<'_>) {
        for lot in new {
            self.lot(seen, lot.id, lot.composition.as_ref(), found);
        }
    }

    /// Somebody says what is in a lot.
    fn lot(
        &mut self,
        seen: &Seen<'_>,
        lot: LotId,
        composition: Option<&Composition>,
        found: &mut Found<'_>,
    ) {
        let Some(change) = seen.fact.lots.iter().find(|it| it.lot == lot) else { return };
        let Some(mut feed) = self.feed_of(change, seen.tables) else { return };
        feed.entries.insert(seen.fact.index);
        if let Some(said) = composition {
            feed.doubt_e8 = doubt_e8(said, &change.after, seen.tables);
            // Whoever analyses it: it is about who holds it.
            let (party, site) = (Some(change.after.possessor), Some(change.after.site));
            let about = About { party, site, lot: Some(lot), campaign: None };
            // What is made of magnets is parted: of an oxide, only what it was made of can tell.
            if seen.tables.fingerprints.contains_key(&change.material) {
                let metal = metal(&change.after);
                judge(seen, &mut feed, &metal, OxideGroup::ALL, about, found);
            }
        }
        self.lots.insert(lot, feed);
    }

    fn merge(
        &mut self,
        seen: &Seen<'_>,
        parents: &[LotDraw],
        output: &NewLot,
        found: &mut Found<'_>,
    ) {
        let feeds: Option<Vec<Feed>> = parents.iter().map(|it| self.known(seen, it.lot)).collect();
        let Some(feeds) = feeds else { return };
        let feed = Feed::of(&feeds);
        self.lots.insert(output.id, feed);
        self.lot(seen, output.id, output.composition.as_ref(), found);
    }

    fn descend(&mut self, from: LotId, to: LotId) {
        if let Some(feed) = self.lots.get(&from).cloned() {
            self.lots.insert(to, feed);
        }
    }

    fn part(&mut self, book: &Book, offer: EventId, to: Option<LotId>) {
        let from = book.offer(offer).map(|offer| offer.lot);
        if let Some((from, to)) = from.zip(to) {
            self.descend(from, to);
        }
    }

    /// Holds what goes in against what magnets are made of; what it is when it is nothing else.
    fn feed(
        &mut self,
        seen: &Seen<'_>,
        inputs: &[LotDraw],
        additions: &[LotDraw],
        campaign: Option<CampaignId>,
        found: &mut Found<'_>,
    ) -> Option<Feed> {
        let drawn: BTreeSet<LotId> = inputs.iter().chain(additions).map(|it| it.lot).collect();
        let is_drawn = |it: &&LotChange| drawn.contains(&it.lot);
        let changes = seen.fact.lots.iter().filter(is_drawn);
        let (mut feeds, mut metals) = (Vec::new(), Vec::new());
        for change in changes {
            if let Some(feed) = self.feed_of(change, seen.tables) {
                feeds.push(feed);
                metals.push(taken(change));
            }
        }
        let about = About { campaign, lot: None, ..found.about_event() };
        let mut pooled = Feed::of(&feeds);
        if !feeds.is_empty() {
            judge(seen, &mut pooled, &pool(metals), OxideGroup::ALL, about, found);
        }
        (!feeds.is_empty() && feeds.len() == drawn.len()).then_some(pooled)
    }

    fn made(
        &mut self,
        seen: &Seen<'_>,
        feed: Option<Feed>,
        new: &[&NewLot],
        found: &mut Found<'_>,
    ) {
        let Some(mut feed) = feed else { return };
        let mut out = Metal::new();
        for change in seen.fact.lots.iter().filter(|it| it.before.is_none()) {
            for (substance, grams) in metal(&change.after) {
                *out.entry(substance).or_default() += grams;
            }
        }
        let about = About { lot: None, ..found.about_event() };
        judge(seen, &mut feed, &out, &[OxideGroup::Foreign], about, found);
        feed.entries.insert(seen.fact.index);
        for lot in new {
            self.lots.insert(lot.id, feed.clone());
        }
    }

    fn known(&self, seen: &Seen<'_>, lot: LotId) -> Option<Feed> {
        let change = seen.fact.lots.iter().find(|it| it.lot == lot)?;
        self.feed_of(change, seen.tables)
    }

    /// As it was noted; else by what it is called.
    fn feed_of(&self, change: &LotChange, tables: &Tables) -> Option<Feed> {
        if let Some(feed) = self.lots.get(&change.lot) {
            return Some(feed.clone());
        }
        let is_magnet = tables.fingerprints.contains_key(&change.material);
        is_magnet.then(|| Feed {
            classes: BTreeSet::from([Code::from(change.material.as_str())]),
            ..Feed::default()
        })
    }
}

fn metal(stand: &Stand) -> Metal {
    stand.contents.iter().map(|(substance, grams)| (*substance, number(*grams))).collect()
}

/// What a draw took.
fn taken(change: &LotChange) -> Metal {
    let mut taken = change.before.as_ref().map(metal).unwrap_or_default();
    for (substance, grams) in metal(&change.after) {
        *taken.entry(substance).or_default() -= grams;
    }
    taken
}

/// What all of them hold of what was looked for in each.
fn pool(all: Vec<Metal>) -> Metal {
    let mut all = all.into_iter();
    let mut pool = all.next().unwrap_or_default();
    for metal in all {
        pool.retain(|substance, _| metal.contains_key(substance));
        for (substance, grams) in &mut pool {
            *grams += metal.get(substance).copied().unwrap_or_default();
        }
    }
    pool
}

/// What was drawn from a campaign.
fn drawn(book: &Book, campaign: CampaignId) -> Metal {
    let rows = book.totals(book.size(), None, |it| {
        it.campaign == Some(campaign) && matches!(it.column, Column::Produced | Column::Residue)
    });
    let mut metal = Metal::new();
    for (account, grams) in rows {
        if let Measure::Substance(substance) = account.measure {
            *metal.entry(substance).or_default() += grams;
        }
    }
    metal
}

/// Grams of oxide in 1e-6 g, of elements that have one.
fn oxide_e6(metal: &Metal, tables: &Tables, of: impl Fn(Substance) -> bool) -> i128 {
    let grams = |(substance, grams): (&Substance, &i128)| {
        let factor = tables.oxide_factors_e6.get(substance)?;
        of(*substance).then(|| grams * i128::from(*factor))
    };
    metal.iter().filter_map(grams).sum()
}

/// By how much of all oxide the foreign ones may err, as the analysis says.
fn doubt_e8(said: &Composition, stand: &Stand, tables: &Tables) -> i128 {
    let items = contents(said, stand.mass, tables).items;
    let doubt = items.iter().map(|it| (it.substance, number(it.uncertainty))).collect();
    let is_foreign = |it| OxideGroup::Foreign.substances().contains(&it);
    let all = oxide_e6(&metal(stand), tables, |_| true);
    ratio_e8(oxide_e6(&doubt, tables, is_foreign), all).unwrap_or_default()
}

fn judge(
    seen: &Seen<'_>,
    feed: &mut Feed,
    metal: &Metal,
    groups: &[OxideGroup],
    about: About,
    found: &mut Found<'_>,
) {
    let all = oxide_e6(metal, seen.tables, |_| true);
    for group in groups {
        let elements = group.substances();
        // Of the foreign ones, each that was found tells; of the others all have to be looked for.
        let is_known = elements.iter().all(|it| metal.contains_key(it));
        if !is_known && *group != OxideGroup::Foreign {
            continue;
        }
        let oxide = oxide_e6(metal, seen.tables, |it| elements.contains(&it));
        let Some(share) = ratio_e8(oxide, all) else { continue };
        let off = match group {
            OxideGroup::Foreign => foreign(seen.tables, feed, share, found),
            _ => off_band(seen.tables, feed, *group, share, found),
        };
        let Some((severity, limits)) = off else { continue };
        let key = (about.party.unwrap_or(seen.event.actor), *group);
        if feed.told.get(&key).is_some_and(|told| *told >= severity) {
            continue;
        }
        feed.told.insert(key, severity);
        let mut numbers = vec![grams("oxide", oxide / 1_000_000), grams("treo", all / 1_000_000)];
        numbers.push(fraction("share", share));
        numbers.extend(limits);
        let entries: Vec<EntryIndex> = feed.entries.iter().copied().collect();
        found.raise(Rule::A2, group.name(), severity, about, entries, numbers);
    }
}

/// Above the limit of its classes, beyond what the analysis may err, it is severe.
fn foreign(
    tables: &Tables,
    feed: &Feed,
    share: i128,
    found: &Found<'_>,
) -> Option<(Severity, Vec<Number>)> {
    let general = i128::from(found.limit("FINGERPRINT_FOREIGN_MAX_E8")?);
    let own = |class: &Code| {
        let band = tables.fingerprints.get(class.as_ref())?.get(&OxideGroup::Foreign)?;
        Some(i128::from(band.1.get()))
    };
    let limit = feed.classes.iter().map(|it| own(it).unwrap_or(general)).max().unwrap_or(general);
    let severity = if share - feed.doubt_e8 > limit { Severity::Severe } else { Severity::Low };
    let numbers = vec![fraction("uncertainty", feed.doubt_e8), fraction("limit", limit)];
    (share > general.min(limit)).then_some((severity, numbers))
}

/// The band of all its classes together.
fn off_band(
    tables: &Tables,
    feed: &Feed,
    group: OxideGroup,
    share: i128,
    found: &Found<'_>,
) -> Option<(Severity, Vec<Number>)> {
    let near = i128::from(found.limit("FINGERPRINT_NEAR_E8")?);
    let [usual_low, usual_high] = match group {
        OxideGroup::Dy => ["NDFEB_OXIDE_DY_LOW_E8", "NDFEB_OXIDE_DY_HIGH_E8"],
        OxideGroup::Gd => ["NDFEB_OXIDE_GD_LOW_E8", "NDFEB_OXIDE_GD_HIGH_E8"],
        OxideGroup::Tb => ["NDFEB_OXIDE_TB_LOW_E8", "NDFEB_OXIDE_TB_HIGH_E8"],
        OxideGroup::PrNd | OxideGroup::Foreign => {
            ["NDFEB_OXIDE_PRND_LOW_E8", "NDFEB_OXIDE_PRND_HIGH_E8"]
        }
    };
    let usual = || Some((found.limit(usual_low)?.into(), found.limit(usual_high)?.into()));
    let band_of = |class: &Code| -> Option<(i128, i128)> {
        let own = tables.fingerprints.get(class.as_ref()).and_then(|bands| bands.get(&group));
        own.map(|(low, high)| (low.get().into(), high.get().into())).or_else(usual)
    };
    let bands: Vec<(i128, i128)> = feed.classes.iter().filter_map(band_of).collect();
    let low = bands.iter().map(|band| band.0).min()?;
    let high = bands.iter().map(|band| band.1).max()?;
    let distance = (low - share).max(share - high);
    let severity = if distance <= near { Severity::Low } else { Severity::Medium };
    let numbers = vec![fraction("band_low", low), fraction("band_high", high)];
    (distance > 0).then_some((severity, numbers))
}
