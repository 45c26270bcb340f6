//! A17: a party that the mechanism of "full coverage" covers trades rare earths with a recovery
//! plant that it does not.
//!
//! Covered is who belongs to a group by equity, golden share or cooperation agreement, and the
//! group itself. The mechanism is for the recovery plants of one province (`COVERAGE_PROVINCE`);
//! collectors, traders and dismantlers belong to no group and may deal with anybody. What counts is
//! the register as it stands when the transfer is recorded, at the time of the transfer: an
//! affiliation that is recorded later judges nothing again.

use super::super::anomaly::{Rule, Severity};
use super::super::book::{Book, Seen};
use super::found::{About, Found, count, grams, number};
use super::handover::Handover;
use crate::domain::party::PartyState;
use crate::domain::vocabulary::{AffiliationKind, PartyRole};
use crate::domain::{PartyId, SiteId, TimeMs};

/// The family of materials that the mechanism is about.
const FAMILY: &str = "RARE_EARTH";

/// Nothing has to be remembered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Notes;

impl Notes {
    #[expect(clippy::unused_self, reason = "every rule is asked the same way")]
    pub(super) fn look(&mut self, seen: &Seen<'_>, book: &Book, found: &mut Found<'_>) {
        let Some(handover) = Handover::of(seen, book) else { return };
        let Some(province) = found.limit("COVERAGE_PROVINCE") else { return };
        let material = seen.fact.lots.first().map(|change| change.material.as_str());
        let row = material.and_then(|code| seen.tables.materials.get(code));
        if row.is_none_or(|row| row.family != FAMILY) {
            return;
        }
        let offer = handover.offer;
        let to_site = offer.to_site.or(seen.event.site);
        let sender = (offer.sender, Some(offer.from_site), "sold_by_uncovered");
        let taker = (seen.event.actor, to_site, "sold_to_uncovered");
        let at = seen.event.occurred_at;
        for ((uncovered, site, variant), (covered, ..)) in [(sender, taker), (taker, sender)] {
            let Some(severity) = uncovered_plant(uncovered, site, province, at, book) else {
                continue;
            };
            if !is_covered(covered, at, book) {
                continue;
            }
            let about =
                About { party: Some(uncovered), site, lot: Some(handover.lot), campaign: None };
            let numbers =
                vec![grams("mass", number(handover.sent)), count("limit_province", province)];
            found.raise(Rule::A17, variant, severity, about, [offer.index], numbers);
        }
    }
}

/// How bad it is to trade with a recovery plant of the province that is not covered: who has left
/// the market has no business in it. `None` for anybody else.
fn uncovered_plant(
    id: PartyId,
    site: Option<SiteId>,
    province: u64,
    at: TimeMs,
    book: &Book,
) -> Option<Severity> {
    let registry = book.registry();
    let party = registry.party(id)?;
    let is_plant = party.party.has_role(PartyRole::RareEarthRecoveryPlant, at);
    let region = site.and_then(|site| registry.site(site)).map(|site| site.region_code.as_str());
    let is_here = region?.get(..2) == Some(province.to_string().as_str());
    if !is_plant || !is_here || is_covered(id, at, book) {
        return None;
    }
    let has_left = matches!(
        affiliation(party, at),
        Some(AffiliationKind::Exited | AffiliationKind::Deregistered)
    );
    Some(if has_left { Severity::High } else { Severity::Medium })
}

/// The affiliation in force at a time that began last; of two, the one that was registered last.
fn affiliation(party: &PartyState, at: TimeMs) -> Option<AffiliationKind> {
    let in_force = party.affiliations.iter().filter(|it| it.validity.contains(at));
    in_force.max_by_key(|it| it.validity.from).map(|it| it.kind)
}

fn is_covered(id: PartyId, at: TimeMs, book: &Book) -> bool {
    use AffiliationKind::{CooperationAgreement, Equity, GoldenShare};
    let registry = book.registry();
    let kind = registry.party(id).and_then(|party| affiliation(party, at));
    let belongs = matches!(kind, Some(Equity | GoldenShare | CooperationAgreement));
    let is_group_of = |party: &PartyState| {
        party.affiliations.iter().any(|it| it.group == Some(id) && it.validity.contains(at))
    };
    belongs || registry.parties_as_of(book.size()).any(is_group_of)
}
