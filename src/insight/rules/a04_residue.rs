//! A4: no residue where the process always makes one, and a feed that gives more or less metal than
//! it can.

use std::collections::BTreeMap;

use super::super::anomaly::{Rule, Severity};
use super::super::book::{Book, Seen};
use super::super::columns::Column;
use super::super::posting::{Account, Code};
use super::found::{About, Found, behind, count, fraction, grams, number, ratio_e8};
use super::yields;
use crate::domain::credit::Month;
use crate::domain::event::TransformLots;
use crate::domain::tables::{Chain, ResidueRow};
use crate::domain::{Body, CampaignId, EntryIndex, LotId, SiteId, Tables};
use crate::limits::{LOOK_BACK_MONTHS, WHOLE_E8};
use crate::provenance::Measure;

/// The last year of every site that uses the feed of a chain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Notes {
    chains: BTreeMap<(SiteId, Code), BTreeMap<Month, Won>>,
}

/// What was used of a feed in a month, and what was won from it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Won {
    feed: i128,
    /// Metal in all that was made in the month, less what was used of it.
    metal: i128,
    is_told: [bool; 2],
}

/// Grams by material: what went in, and all that came out.
type Masses = BTreeMap<String, i128>;

impl Notes {
    pub(super) fn look(&mut self, seen: &Seen<'_>, book: &Book, found: &mut Found<'_>) {
        let touched = self.learn(seen, book);
        match &seen.event.body {
            Body::TransformLots(melt) => {
                let (into, out) = masses_of(seen, melt);
                let about = found.about_event();
                left(&melt.process, seen.tables, (&into, &out), about, Vec::new, found);
                for (chain, month) in touched {
                    self.chain(seen, book, chain, month, found);
                }
            }
            Body::CloseCampaign(close) => {
                let Some(run) = book.run(close.campaign) else { return };
                let (into, out) = masses_of_campaign(book, close.campaign);
                let about = About { campaign: Some(close.campaign), ..found.about_event() };
                let entries = || yields::entries_of_campaign(book, close.campaign);
                left(&run.process, seen.tables, (&into, &out), about, entries, found);
            }
            _ => {}
        }
    }

    /// Adds what an entry did in processes to the chains that it belongs to. In campaigns metal
    /// stays behind, so they are not counted.
    fn learn<'a>(&mut self, seen: &Seen<'a>, book: &Book) -> Vec<(&'a Chain, (SiteId, Month))> {
        let mut touched = Vec::new();
        for row in book.rows_of(seen.fact.index) {
            let Some(account) = book.account(row.account) else { continue };
            for chain in seen.tables.chains.iter().filter(|_| !account.process.is_empty()) {
                let Some(won) = part(chain, account, seen.tables, row.grams.into()) else {
                    continue;
                };
                let key = (account.site, Code::from(chain.feed.as_str()));
                let months = self.chains.entry(key).or_default();
                let month = months.entry(account.month).or_default();
                (month.feed, month.metal) = (month.feed + won.feed, month.metal + won.metal);
                if seen.fact.undoes.is_some() {
                    month.is_told = [false; 2];
                }
                while months.len() > LOOK_BACK_MONTHS as usize + 1 {
                    months.pop_first();
                }
                let touch = (chain, (account.site, account.month));
                if !touched.contains(&touch) {
                    touched.push(touch);
                }
            }
        }
        touched
    }

    fn chain(
        &mut self,
        seen: &Seen<'_>,
        book: &Book,
        chain: &Chain,
        (site, month): (SiteId, Month),
        found: &mut Found<'_>,
    ) {
        let key = (site, Code::from(chain.feed.as_str()));
        let Some(months) = self.chains.get_mut(&key) else { return };
        let first = Month::of_number((month.number() + 1).saturating_sub(LOOK_BACK_MONTHS));
        let year = months.range(first..=month);
        let (feed, metal) = year.fold((0, 0), |sum, it| (sum.0 + it.1.feed, sum.1 + it.1.metal));
        let Some(share) = ratio_e8(metal, feed) else { return };
        let (low, high) = (i128::from(chain.share.0.get()), i128::from(chain.share.1.get()));
        let (variant, severity, place) = if share > high {
            ("more_than_feed_has", Severity::High, 0)
        } else if share < low {
            ("less_than_feed_has", Severity::Medium, 1)
        } else {
            return;
        };
        let Some(here) = months.get_mut(&month).filter(|it| !it.is_told[place]) else { return };
        here.is_told[place] = true;
        let entries = behind(book, |it| {
            it.site == site
                && (first..=month).contains(&it.month)
                && !it.process.is_empty()
                && part(chain, it, seen.tables, 1).is_some()
        });
        let numbers = vec![
            count("atomic_number", chain.substance.number()),
            grams("feed", feed),
            grams("won", metal),
            fraction("share", share),
            fraction("band_low", low),
            fraction("band_high", high),
        ];
        let about = About { lot: None, ..found.about_event() };
        found.raise(Rule::A4, variant, severity, about, entries, numbers);
    }
}

/// What grams in an account are to a chain.
fn part(chain: &Chain, account: &Account, tables: &Tables, grams: i128) -> Option<Won> {
    if account.campaign.is_some() {
        return None;
    }
    let material = account.material.as_ref();
    if material == chain.feed {
        let is_used = account.column == Column::Used && account.measure == Measure::Mass;
        return is_used.then(|| Won { feed: grams, ..Won::default() });
    }
    let is_family = tables.materials.get(material).is_some_and(|it| it.family == chain.family);
    let is_metal = account.measure == Measure::Substance(chain.substance);
    let sign = match account.column {
        Column::Produced | Column::Residue => 1,
        Column::Used | Column::Added => -1,
        _ => return None,
    };
    (is_family && is_metal).then(|| Won { metal: sign * grams, ..Won::default() })
}

fn masses_of(seen: &Seen<'_>, melt: &TransformLots) -> (Masses, Masses) {
    let material = |lot: LotId| {
        let change = seen.fact.lots.iter().find(|it| it.lot == lot);
        change.map(|it| it.material.clone()).unwrap_or_default()
    };
    let (mut into, mut out) = (Masses::new(), Masses::new());
    for draw in &melt.inputs {
        *into.entry(material(draw.lot)).or_default() += number(draw.mass);
    }
    for new in melt.outputs.iter().chain(&melt.residues) {
        *out.entry(new.material.clone()).or_default() += number(new.net_mass);
    }
    (into, out)
}

fn masses_of_campaign(book: &Book, campaign: CampaignId) -> (Masses, Masses) {
    let (mut into, mut out) = (Masses::new(), Masses::new());
    let rows = book.totals(book.size(), None, |it| {
        it.campaign == Some(campaign) && it.measure == Measure::Mass
    });
    for (account, grams) in rows {
        let side = match account.column {
            Column::Used => &mut into,
            Column::Produced | Column::Residue => &mut out,
            _ => continue,
        };
        *side.entry(account.material.to_string()).or_default() += grams;
    }
    (into, out)
}

/// Every row of the residue table that the process and its feed have.
fn left(
    process: &str,
    tables: &Tables,
    (into, out): (&Masses, &Masses),
    about: About,
    entries: impl Fn() -> Vec<EntryIndex>,
    found: &mut Found<'_>,
) {
    for row in tables.residues.iter().filter(|row| row.process == process) {
        let feed: i128 = match &row.feed {
            Some(code) => into.get(code).copied().unwrap_or_default(),
            None => into.values().sum(),
        };
        let sum = |row: &ResidueRow| -> i128 {
            row.residues.iter().filter_map(|code| out.get(code)).sum()
        };
        let (left, least) = (sum(row), i128::from(row.least.get()));
        if feed <= 0 || left * i128::from(WHOLE_E8) >= least * feed {
            continue;
        }
        let (variant, severity) =
            if left == 0 { ("none", Severity::High) } else { ("little", Severity::Low) };
        let numbers = vec![
            grams("feed", feed),
            grams("residue", left),
            fraction("share", ratio_e8(left, feed).unwrap_or_default()),
            fraction("limit", least),
        ];
        found.raise(Rule::A4, variant, severity, about, entries(), numbers);
    }
}
