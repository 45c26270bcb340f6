//! What reports ask that no account tells: who acted when, what was declared an error, and how
//! offers and campaigns ended, with every answer that was ever given.

use std::collections::BTreeMap;

use super::book::Seen;
use crate::domain::vocabulary::ErrorKind;
use crate::domain::{Body, CampaignId, EntryCount, EntryIndex, EventId, PartyId, TimeMs};

/// An entry that declared another an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// Itself.
    pub by: EntryIndex,
    /// What it undid; `None` when that changed nothing.
    pub target: Option<EntryIndex>,
    /// The event of the target.
    pub target_event: EventId,
    /// Who declared it.
    pub party: PartyId,
    /// When, as they say.
    pub occurred_at: TimeMs,
    /// What was wrong.
    pub kind: ErrorKind,
    /// In words.
    pub note: String,
    /// What stands in its place, with the entries that have come.
    pub correctives: Vec<(EventId, Option<EntryIndex>)>,
}

/// Who acted when, what was declared an error, and how offers and campaigns ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diary {
    acts: BTreeMap<PartyId, Vec<(EntryIndex, TimeMs)>>,
    declared: BTreeMap<EntryIndex, Declared>,
    /// Correctives that have not come yet: of which declaration, and which of them.
    awaited: BTreeMap<EventId, (EntryIndex, usize)>,
    answers: BTreeMap<EventId, Vec<(EntryIndex, TimeMs)>>,
    closes: BTreeMap<CampaignId, Vec<(EntryIndex, TimeMs)>>,
}

impl Diary {
    pub(super) fn absorb(&mut self, seen: &Seen<'_>) {
        let (event, index) = (seen.event, seen.fact.index);
        let now = (index, event.occurred_at);
        self.acts.entry(event.actor).or_default().push(now);
        if let Some((by, place)) = self.awaited.remove(&event.id)
            && let Some(declared) = self.declared.get_mut(&by)
        {
            declared.correctives[place].1 = Some(index);
        }
        let offer = match &event.body {
            Body::AcceptTransfer(it) => it.offer,
            Body::PartlyAcceptTransfer(it) => it.offer,
            Body::RejectTransfer(it) | Body::CancelTransfer(it) => it.offer,
            Body::CloseCampaign(it) => {
                return self.closes.entry(it.campaign).or_default().push(now);
            }
            Body::DeclareError(_) => return self.declare(seen),
            _ => return,
        };
        self.answers.entry(offer).or_default().push(now);
    }

    fn declare(&mut self, seen: &Seen<'_>) {
        let Body::DeclareError(error) = &seen.event.body else { return };
        let by = seen.fact.index;
        for (place, (event, _)) in error.correctives.iter().enumerate() {
            self.awaited.insert(*event, (by, place));
        }
        let declared = Declared {
            by,
            target: seen.fact.undoes,
            target_event: error.target,
            party: seen.event.actor,
            occurred_at: seen.event.occurred_at,
            kind: error.kind,
            note: error.note.clone(),
            correctives: error.correctives.iter().map(|(event, _)| (*event, None)).collect(),
        };
        self.declared.insert(by, declared);
    }

    /// What a party did, in ledger order: the entries that it signed as the one who acts, and when
    /// they are said to have happened; under so many entries, and before a time.
    pub fn acts(
        &self,
        party: PartyId,
        size: EntryCount,
        until: TimeMs,
    ) -> impl Iterator<Item = (EntryIndex, TimeMs)> {
        let acts = self.acts.get(&party).map_or(&[][..], Vec::as_slice);
        let end = acts.partition_point(|(index, _)| index.0 < size.0);
        acts[..end].iter().copied().filter(move |(_, at)| *at < until)
    }

    /// Entries that declared others errors, under so many entries, in ledger order.
    pub fn declared(&self, size: EntryCount) -> impl Iterator<Item = &Declared> {
        self.declared.range(..EntryIndex(size.0)).map(|(_, declared)| declared)
    }

    /// What an entry declared an error.
    pub fn declared_by(&self, by: EntryIndex) -> Option<&Declared> {
        self.declared.get(&by)
    }

    /// Every answer to an offer, in ledger order.
    pub(super) fn answers(&self, offer: EventId) -> &[(EntryIndex, TimeMs)] {
        self.answers.get(&offer).map_or(&[], Vec::as_slice)
    }

    /// Every close of a campaign, in ledger order.
    pub(super) fn closes(&self, campaign: CampaignId) -> &[(EntryIndex, TimeMs)] {
        self.closes.get(&campaign).map_or(&[], Vec::as_slice)
    }
}
