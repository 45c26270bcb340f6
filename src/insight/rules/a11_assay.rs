//! A11: another analysis after a transfer than before, or a better grade without a process.
//!
//! Two analyses are compared dry, so that water that came or went is no drift, and only where both
//! looked for the element. Which grade is better is told by the metal that it names (`GRADE_E8_..`
//! in the tables): a grade or material without such a row is neither better nor worse.

use std::collections::BTreeMap;

use super::super::anomaly::{Rule, Severity};
use super::super::book::{Book, Seen};
use super::found::{About, Found, fraction, ratio_e8};
use super::handover::Handover;
use crate::domain::composition::contents;
use crate::domain::event::{Composition, MergeLots, NewLot};
use crate::domain::fact::LotChange;
use crate::domain::vocabulary::Substance;
use crate::domain::{Body, EntryIndex, Grams, LotId, TimeMs};
use crate::limits::{MAX_REMEMBERED, WHOLE_E8};

const WHOLE: i128 = WHOLE_E8 as i128;

/// What each lot was found to hold, and when it changed hands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Notes {
    lots: BTreeMap<LotId, History>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct History {
    analyses: Vec<Analysis>,
    moves: Vec<(EntryIndex, TimeMs)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Analysis {
    by: EntryIndex,
    /// Parts that are not water.
    dry: i128,
    /// Parts of each element, give or take, as received.
    values: Vec<(Substance, i128, i128)>,
}

/// One element, before and after: all over the same denominator.
#[derive(Clone, Copy)]
struct Drift {
    before: i128,
    after: i128,
    uncertainty: i128,
    /// What they are parts of.
    whole: i128,
}

impl Notes {
    pub(super) fn look(&mut self, seen: &Seen<'_>, book: &Book, found: &mut Found<'_>) {
        match &seen.event.body {
            Body::AssayLot(it) => {
                let analysis = Analysis::of(&it.composition, seen);
                self.compare(it.lot, &analysis, seen, book, found);
                self.remember(it.lot, analysis);
            }
            Body::SplitLot(it) => {
                let history = self.lots.get(&it.parent).cloned();
                for child in &it.children {
                    self.lots.extend(history.clone().map(|history| (child.lot, history)));
                }
            }
            Body::MergeLots(it) => upgrade(it, seen, found),
            _ => {}
        }
        for new in born(&seen.event.body) {
            if let Some(composition) = &new.composition {
                self.remember(new.id, Analysis::of(composition, seen));
            }
        }
        self.moved(seen, book);
    }

    fn remember(&mut self, lot: LotId, analysis: Analysis) {
        let known = &mut self.lots.entry(lot).or_default().analyses;
        known.push(analysis);
        let over = known.len().saturating_sub(MAX_REMEMBERED);
        known.drain(..over);
    }

    /// A lot is in other hands; a part of one takes over what is known of the whole.
    fn moved(&mut self, seen: &Seen<'_>, book: &Book) {
        let Some(handover) = Handover::of(seen, book) else { return };
        let Some(mut history) = self.lots.get(&handover.offer.lot).cloned() else { return };
        if handover.offer.scope.moves_custody() {
            history.moves.push((seen.fact.index, seen.event.occurred_at));
            let over = history.moves.len().saturating_sub(MAX_REMEMBERED);
            history.moves.drain(..over);
        }
        self.lots.insert(handover.lot, history);
    }

    /// The newest analysis from before the newest transfer, against this one.
    fn compare(
        &self,
        lot: LotId,
        now: &Analysis,
        seen: &Seen<'_>,
        book: &Book,
        found: &mut Found<'_>,
    ) {
        let (Some(limit), Some(floor)) =
            (found.limit("ASSAY_DRIFT_E8"), found.limit("ASSAY_DRIFT_FLOOR_E8"))
        else {
            return;
        };
        let Some(history) = self.lots.get(&lot) else { return };
        let stands = |index: EntryIndex| book.corrected_by(index).is_none();
        let Some(before) = history.analyses.iter().rev().find(|it| stands(it.by)) else { return };
        // What was analysed before it left says nothing of the journey, even when it is told late.
        let moved = history
            .moves
            .iter()
            .rev()
            .find(|(by, at)| *by > before.by && *at <= seen.event.occurred_at && stands(*by));
        let Some((moved, _)) = moved else { return };
        let about = About { lot: Some(lot), ..found.about_event() };
        for (substance, parts, uncertainty) in &now.values {
            let Some(drift) = before.drift(*substance, now, (*parts, *uncertainty)) else {
                continue;
            };
            let Some(severity) = drift.severity(limit.into(), floor.into()) else { continue };
            let numbers = vec![
                fraction("before", drift.e8(drift.before)),
                fraction("after", drift.e8(drift.after)),
                fraction("uncertainty", drift.e8(drift.uncertainty)),
                fraction("limit", limit),
            ];
            let rests_on = [before.by, *moved];
            found.raise(Rule::A11, substance.name(), severity, about, rests_on, numbers);
        }
    }
}

impl Analysis {
    fn of(composition: &Composition, seen: &Seen<'_>) -> Self {
        // Grams in as many grams as there are parts of the whole are parts of the whole.
        let whole = Grams::of(u64::from(WHOLE_E8));
        let found = contents(composition, whole, seen.tables);
        let parts = |grams: Grams| i128::from(grams.get());
        let items = found.items.iter();
        Self {
            by: seen.fact.index,
            dry: WHOLE - i128::from(composition.moisture.get()),
            values: items
                .map(|it| (it.substance, parts(it.contained), parts(it.uncertainty)))
                .collect(),
        }
    }

    fn drift(&self, substance: Substance, now: &Self, after: (i128, i128)) -> Option<Drift> {
        let (_, parts, err) = self.values.iter().find(|(it, ..)| *it == substance)?;
        let whole = self.dry * now.dry;
        (whole > 0).then_some(Drift {
            before: parts * now.dry,
            after: after.0 * self.dry,
            uncertainty: err * now.dry + after.1 * self.dry,
            whole,
        })
    }
}

impl Drift {
    /// How bad, when it is more than both analyses may err and the limit; traces may drift.
    fn severity(self, limit_e8: i128, floor_e8: i128) -> Option<Severity> {
        if self.before.max(self.after) * WHOLE < floor_e8 * self.whole {
            return None;
        }
        let beyond = ((self.before - self.after).abs() - self.uncertainty) * WHOLE;
        let limit = self.before * limit_e8;
        (beyond > limit).then_some(if beyond > 2 * limit {
            Severity::High
        } else {
            Severity::Medium
        })
    }

    fn e8(self, part: i128) -> i128 {
        ratio_e8(part, self.whole).unwrap_or_default()
    }
}

/// Every lot that an event brings into being with a composition of its own.
fn born(body: &Body) -> Vec<&NewLot> {
    match body {
        Body::CollectLot(it) => vec![&it.lot],
        Body::OpeningInventory(it) => it.lots.iter().collect(),
        Body::MergeLots(it) => vec![&it.output],
        Body::TransformLots(it) => it.outputs.iter().chain(&it.residues).collect(),
        Body::DrawCampaign(it) => it.outputs.iter().chain(&it.residues).collect(),
        _ => Vec::new(),
    }
}

/// A merge names its output better than the best that went into it.
fn upgrade(merge: &MergeLots, seen: &Seen<'_>, found: &mut Found<'_>) {
    let change = |lot| seen.fact.lots.iter().find(|change| change.lot == lot);
    let Some(output) = change(merge.output.id) else { return };
    let Some((worth, variant)) = worth_of(output, found) else { return };
    let parents = merge.parents.iter().map(|draw| change(draw.lot));
    let worths: Option<Vec<u64>> =
        parents.map(|parent| worth_of(parent?, found).map(|(worth, _)| worth)).collect();
    let Some(best) = worths.and_then(|worths| worths.into_iter().max()) else { return };
    let Some(margin) = found.limit("UPGRADE_MARGIN_E8") else { return };
    if worth <= best.saturating_add(margin) {
        return;
    }
    let about = About { lot: Some(output.lot), ..found.about_event() };
    let numbers =
        vec![fraction("output", worth), fraction("best_parent", best), fraction("limit", margin)];
    found.raise(Rule::A11, variant, Severity::Medium, about, [], numbers);
}

/// The metal that a lot's grade promises; without a grade of the tables, that its material does.
fn worth_of(lot: &LotChange, found: &Found<'_>) -> Option<(u64, &'static str)> {
    let of = |grade: &crate::domain::event::GradeRef| {
        found.limit(&format!("GRADE_E8_{}_{}", grade.scheme, grade.code))
    };
    let graded = lot.grades.iter().filter_map(of).max().map(|worth| (worth, "grade"));
    graded.or_else(|| Some((found.limit(&format!("GRADE_E8_{}", lot.material))?, "material")))
}
