//! A6: more than a site can work through in a calendar year, or than a licence lets in.
//!
//! A site's year is what it used of each material less what it made of it: what goes from step to
//! step on one site is one input. A licence's year is what came in under it, from outside of the
//! party.

use std::collections::{BTreeMap, BTreeSet};

use super::super::anomaly::{Number, Rule, Severity};
use super::super::book::{Book, Seen};
use super::super::columns::Column;
use super::super::posting::{Account, Code};
use super::found::{About, Found, behind, count, fraction, grams, number, ratio_e8};
use crate::domain::credit::Month;
use crate::domain::party::Licence;
use crate::domain::vocabulary::LicenceKind;
use crate::domain::{EntryIndex, PartyId, SiteId, Tables, TimeMs};
use crate::limits::WHOLE_E8;
use crate::provenance::Measure;

/// Calendar years, of sites and of parties.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Notes {
    /// By material: used less made.
    sites: BTreeMap<(SiteId, u32), BTreeMap<Code, i128>>,
    /// By material: what came in.
    parties: BTreeMap<(PartyId, u32), BTreeMap<Code, i128>>,
    told: BTreeMap<(Whose, u32), Severity>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Whose {
    Site(SiteId),
    Licence(PartyId, LicenceKind),
}

/// Calendar years of somebody.
type Years<T> = BTreeSet<(T, u32)>;

/// Licences whose capacity is one of feed.
const LICENCES: [LicenceKind; 3] =
    [LicenceKind::HazardousWaste, LicenceKind::RareEarthRecovery, LicenceKind::RareEarthSeparation];

/// A year of Beijing.
const fn year_of(month: Month) -> u32 {
    month.number() / 12 + 1970
}

impl Notes {
    pub(super) fn look(&mut self, seen: &Seen<'_>, book: &Book, found: &mut Found<'_>) {
        let (sites, parties) = self.learn(seen, book);
        let Some(grave) = found.limit("CAPACITY_OVER_HIGH_E8") else { return };
        for (site, year) in sites {
            let capacity = book.registry().site(site).map(|it| number(it.yearly_capacity));
            let used = self.sites.get(&(site, year)).into_iter().flatten();
            let used: i128 = used.map(|(_, grams)| (*grams).max(0)).sum();
            let case = (used, capacity.unwrap_or_default(), i128::from(grave));
            let Some(severity) = self.news((Whose::Site(site), year), case) else { continue };
            let party = book.registry().site(site).map(|it| it.party);
            let about = About { party, site: Some(site), ..About::default() };
            let entries = in_year(book, year, |it| it.site == site && is_used(it));
            found.raise(Rule::A6, "site", severity, about, entries, numbers(year, case));
        }
        for (party, year) in parties {
            for kind in LICENCES {
                self.licence(seen, book, (party, year, kind), grave.into(), found);
            }
        }
    }

    /// Which sites and parties did something, in which year.
    fn learn(&mut self, seen: &Seen<'_>, book: &Book) -> (Years<SiteId>, Years<PartyId>) {
        let (mut sites, mut parties) = (BTreeSet::new(), BTreeSet::new());
        for row in book.rows_of(seen.fact.index) {
            let Some(account) = book.account(row.account) else { continue };
            let (year, grams) = (year_of(account.month), i128::from(row.grams));
            let material = Code::clone(&account.material);
            let sign = i128::from(-account.column.in_lots());
            if is_used(account) {
                let key = (account.site, year);
                *self.sites.entry(key).or_default().entry(material).or_default() += sign * grams;
                sites.insert(key);
            } else if is_from_outside(account) {
                let key = (account.party, year);
                *self.parties.entry(key).or_default().entry(material).or_default() += grams;
                parties.insert(key);
            }
        }
        if seen.fact.undoes.is_some() {
            // It may be told again when it is exceeded again.
            self.told.retain(|(whose, year), _| match whose {
                Whose::Site(site) => !sites.contains(&(*site, *year)),
                Whose::Licence(party, _) => !parties.contains(&(*party, *year)),
            });
            return (BTreeSet::new(), BTreeSet::new());
        }
        (sites, parties)
    }

    fn licence(
        &mut self,
        seen: &Seen<'_>,
        book: &Book,
        (party, year, kind): (PartyId, u32, LicenceKind),
        grave: i128,
        found: &mut Found<'_>,
    ) {
        let Some(state) = book.registry().party(party) else { return };
        let licences = in_force(&state.licences, kind, seen.event.occurred_at);
        // One that states no capacity lets everything in.
        if licences.is_empty() || licences.iter().any(|it| it.yearly_capacity.is_zero()) {
            return;
        }
        let capacity = licences.iter().map(|it| number(it.yearly_capacity)).sum();
        let is_under = |material: &str| is_under(&licences, kind, material, seen.tables);
        let loads = self.parties.get(&(party, year)).into_iter().flatten();
        let mass: i128 = loads.filter(|(it, _)| is_under(it)).map(|(_, grams)| *grams).sum();
        let case = (mass, capacity, grave);
        let whose = Whose::Licence(party, kind);
        let Some(severity) = self.news((whose, year), case) else { return };
        let about = About { party: Some(party), ..About::default() };
        let entries = in_year(book, year, |it| {
            it.party == party && is_from_outside(it) && is_under(&it.material)
        });
        let variant = match kind {
            LicenceKind::HazardousWaste => "hazardous_waste",
            LicenceKind::RareEarthSeparation => "rare_earth_separation",
            _ => "rare_earth_recovery",
        };
        found.raise(Rule::A6, variant, severity, about, entries, numbers(year, case));
    }

    /// How grave it is, when it was not told as gravely before. A capacity of nothing is not
    /// stated.
    fn news(
        &mut self,
        key: (Whose, u32),
        (mass, capacity, grave): (i128, i128, i128),
    ) -> Option<Severity> {
        if capacity == 0 || mass <= capacity {
            return None;
        }
        let is_grave = (mass - capacity) * i128::from(WHOLE_E8) > grave * capacity;
        let severity = if is_grave { Severity::High } else { Severity::Medium };
        if self.told.get(&key).is_some_and(|told| *told >= severity) {
            return None;
        }
        self.told.insert(key, severity);
        Some(severity)
    }
}

fn is_used(account: &Account) -> bool {
    let is_run = matches!(account.column, Column::Used | Column::Produced | Column::Residue);
    is_run && account.measure == Measure::Mass
}

/// Collected, or taken over from somebody else.
fn is_from_outside(account: &Account) -> bool {
    let is_in = match account.column {
        Column::Collected => true,
        Column::Received => account.other.is_some_and(|(party, _)| party != account.party),
        _ => false,
    };
    is_in && account.measure == Measure::Mass
}

fn in_force(licences: &[Licence], kind: LicenceKind, at: TimeMs) -> Vec<&Licence> {
    licences.iter().filter(|it| it.kind == kind && it.validity.contains(at)).collect()
}

/// Whether a material comes in under these licences.
fn is_under(licences: &[&Licence], kind: LicenceKind, material: &str, tables: &Tables) -> bool {
    let Some(row) = tables.materials.get(material) else { return false };
    let is_earth = row.family == "RARE_EARTH";
    match kind {
        LicenceKind::RareEarthRecovery => is_earth && !row.is_ore_product,
        LicenceKind::RareEarthSeparation => is_earth && row.is_ore_product,
        _ => licences.iter().any(|it| it.waste_codes.contains(&row.waste_code)),
    }
}

fn in_year(book: &Book, year: u32, wanted: impl Fn(&Account) -> bool) -> Vec<EntryIndex> {
    behind(book, |it| year_of(it.month) == year && wanted(it))
}

fn numbers(year: u32, (mass, capacity, _): (i128, i128, i128)) -> Vec<Number> {
    vec![
        count("year", year),
        grams("mass", mass),
        grams("limit", capacity),
        fraction("over", ratio_e8(mass - capacity, capacity).unwrap_or_default()),
    ]
}
