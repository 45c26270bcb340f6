//! A12: recorded long after it is said to have happened.
//!
//! Whoever joins the ledger brings its history, and honest history is late: one `LOW` flag for each
//! month of it. Lateness matters where something had come between: the key, role or licence that it
//! needs had ended; or the site had recorded on time before and after, so that the entry is put
//! into a month whose report was due, or that was audited since.

use std::collections::{BTreeMap, BTreeSet};

use super::super::anomaly::{Number, Rule, Severity};
use super::super::book::{Book, Seen};
use super::calendar::{DAY_MS, after, between, report_due};
use super::found::{Found, span, time};
use crate::domain::credit::Month;
use crate::domain::party::PartyState;
use crate::domain::units::Validity;
use crate::domain::vocabulary::{EventKind, LicenceKind};
use crate::domain::{Body, EntryIndex, EventId, PartyId, SiteId, TimeMs};

/// Who records on time, which keys there are, what was audited and what was told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Notes {
    live: BTreeMap<(PartyId, SiteId), Live>,
    keys: BTreeMap<PartyId, Vec<Validity>>,
    /// The newest attestation.
    attested: Option<(EntryIndex, TimeMs)>,
    /// Correctives that are announced: their error is declared openly.
    announced: BTreeSet<EventId>,
    told: BTreeSet<(PartyId, Month, Month)>,
}

/// What a site recorded on time. That it did stays true when an entry is declared an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Live {
    first: TimeMs,
    last: TimeMs,
    last_by: EntryIndex,
}

impl Notes {
    pub(super) fn look(&mut self, seen: &Seen<'_>, book: &Book, found: &mut Found<'_>) {
        let event = seen.event;
        let is_corrective = self.announced.remove(&event.id);
        match &event.body {
            Body::RegisterKey(it) => self.keys.entry(it.party).or_default().push(it.validity),
            Body::DeclareError(it) => self.announced.extend(it.correctives.iter().map(|it| it.0)),
            _ => {}
        }
        if let Some(days) = found.limit("BACKDATE_LATE_DAYS") {
            let limit = days.saturating_mul(DAY_MS);
            let late = between(event.occurred_at, seen.fact.recorded_at);
            if late > limit {
                let numbers = vec![span("late", late), span("limit", limit)];
                self.judge(seen, book, is_corrective, numbers, found);
            } else if let Some(site) = event.site {
                self.on_time(event.actor, site, seen);
            }
        }
        if matches!(event.body, Body::Attest(_)) {
            self.attested = Some((seen.fact.index, seen.fact.recorded_at));
        }
    }

    fn on_time(&mut self, party: PartyId, site: SiteId, seen: &Seen<'_>) {
        let (at, by) = (seen.event.occurred_at, seen.fact.index);
        let now = Live { first: at, last: at, last_by: by };
        let live = self.live.entry((party, site)).or_insert(now);
        live.first = live.first.min(at);
        if at >= live.last {
            (live.last, live.last_by) = (at, by);
        }
    }

    fn judge(
        &mut self,
        seen: &Seen<'_>,
        book: &Book,
        is_corrective: bool,
        mut numbers: Vec<Number>,
        found: &mut Found<'_>,
    ) {
        let about = found.about_event();
        if !is_corrective {
            if let Some(variant) = self.ended(seen, book) {
                found.raise(Rule::A12, variant, Severity::High, about, [], numbers);
                return;
            }
            if let Some((due, by)) = self.put_in_between(seen, found) {
                numbers.push(time("due", due.get()));
                let audit = self.attested.filter(|(_, at)| *at >= due);
                let (variant, severity) = match audit {
                    Some(_) => ("audited", Severity::High),
                    None => ("reported", Severity::Medium),
                };
                let rests_on = audit.map(|(audit, _)| audit).into_iter().chain([by]);
                found.raise(Rule::A12, variant, severity, about, rests_on, numbers);
                return;
            }
        }
        let months = (Month::of(seen.event.occurred_at), Month::of(seen.fact.recorded_at));
        if self.told.insert((seen.event.actor, months.0, months.1)) {
            found.raise(Rule::A12, "late", Severity::Low, about, [], numbers);
        }
    }

    /// When the report of the month was due and what the site had recorded later, if it recorded on
    /// time before and after.
    fn put_in_between(&self, seen: &Seen<'_>, found: &Found<'_>) -> Option<(TimeMs, EntryIndex)> {
        let at = seen.event.occurred_at;
        let live = self.live.get(&(seen.event.actor, seen.event.site?))?;
        let behind = found.limit("BACKDATE_BEHIND_DAYS")?.saturating_mul(DAY_MS);
        let due = report_due(Month::of(at), found.limit("REPORT_DUE_DAY")?)?;
        let is_between = live.first <= at && live.last > after(at, behind);
        (is_between && seen.fact.recorded_at >= due).then_some((due, live.last_by))
    }

    /// What held when it is said to have happened and had ended when it was recorded.
    fn ended(&self, seen: &Seen<'_>, book: &Book) -> Option<&'static str> {
        let (then, now) = (seen.event.occurred_at, seen.fact.recorded_at);
        let had_ended = |validity: &&Validity| validity.contains(then) && !validity.contains(now);
        let keys = self.keys.get(&seen.event.actor).map_or(&[][..], Vec::as_slice);
        // Which key signed is not told here: one that lasts is given the benefit of the doubt. A
        // revoked one is not at issue, for nothing that it signed is taken since.
        let mut usable = keys.iter().filter(|validity| validity.contains(then)).peekable();
        if usable.peek().is_some() && usable.all(|validity| had_ended(&validity)) {
            return Some("key_ended");
        }
        let party = book.registry().party(seen.event.actor)?;
        let may = |at| may(party, seen, at);
        if may(then) && !may(now) {
            return Some("role_ended");
        }
        let permitted = |at| is_permitted(party, seen, at);
        (permitted(then) && !permitted(now)).then_some("permit_ended")
    }
}

/// Whether a row of the permission table lets a party do this at a time; what has no row is
/// everybody's.
fn may(party: &PartyState, seen: &Seen<'_>, at: TimeMs) -> bool {
    let action = match seen.event.body.kind() {
        // Owners may do these without a row.
        EventKind::HoldLot | EventKind::VisibilityGrant => return true,
        EventKind::PartlyAcceptTransfer => EventKind::AcceptTransfer,
        EventKind::ReturnTransfer => EventKind::OfferTransfer,
        kind => kind,
    };
    let Some(rows) = seen.tables.permissions.get(action.name()) else { return true };
    rows.iter().any(|row| {
        let has_licence = row.licence.is_none_or(|needed| party.has_licence(needed, at));
        party.party.has_role(row.role, at) && has_licence
    })
}

/// Whether its permits cover the hazardous waste that it takes in.
fn is_permitted(party: &PartyState, seen: &Seen<'_>, at: TimeMs) -> bool {
    let takes_in = matches!(
        seen.event.body.kind(),
        EventKind::CollectLot | EventKind::AcceptTransfer | EventKind::PartlyAcceptTransfer
    );
    let materials = seen.fact.lots.iter().filter_map(|it| seen.tables.materials.get(&it.material));
    let mut codes = materials.map(|it| &it.waste_code).filter(|code| takes_in && !code.is_empty());
    codes.all(|code| {
        party.licences.iter().any(|held| {
            let is_permit = held.kind == LicenceKind::HazardousWaste;
            is_permit && held.waste_codes.contains(code) && held.validity.contains(at)
        })
    })
}
