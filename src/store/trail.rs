//! What is kept of each entry by its index.

use sled::Batch;

use super::codec;
use super::keyspace::Key;
use crate::domain::effects::Effects;
use crate::domain::fact::Fact;
use crate::domain::party::{PartyState, Site};
use crate::domain::vocabulary::EventKind;
use crate::domain::{EntryIndex, EventId, TimeMs};

/// What is kept of each entry by its index, beside the last values of everything: the registry as
/// it stood after it, its kind, and what it changed.
#[derive(Debug, Clone, Default)]
pub struct Trail {
    parties: Vec<(EntryIndex, PartyState)>,
    sites: Vec<(EntryIndex, Site)>,
    kinds: Vec<(EntryIndex, EventKind)>,
    facts: Vec<Fact>,
}

impl Trail {
    /// Keeps what the next entry did.
    pub fn note(
        &mut self,
        index: EntryIndex,
        recorded_at: TimeMs,
        event: (EventId, EventKind),
        effects: &Effects,
    ) {
        let (id, kind) = event;
        self.kinds.push((index, kind));
        let fact = Fact::of(index, recorded_at, id, effects);
        self.facts.extend(fact.is_telling().then_some(fact));
        self.parties.extend(effects.parties.iter().map(|party| (index, party.clone())));
        self.sites.extend(effects.sites.iter().map(|site| (index, site.clone())));
    }

    /// Takes over what another kept of later entries.
    pub fn append(&mut self, mut other: Self) {
        self.parties.append(&mut other.parties);
        self.sites.append(&mut other.sites);
        self.kinds.append(&mut other.kinds);
        self.facts.append(&mut other.facts);
    }
}

/// Rows by entry are never written again and never removed.
pub(super) fn put_trail(batch: &mut Batch, trail: &Trail) {
    for (index, party) in &trail.parties {
        batch.insert(Key::PartyVersion(party.party.id, *index).bytes(), codec::encode(party));
    }
    for (index, site) in &trail.sites {
        batch.insert(Key::SiteVersion(site.id, *index).bytes(), codec::encode(site));
    }
    for (index, kind) in &trail.kinds {
        batch.insert(Key::KindEntry(kind.number(), *index).bytes(), &[]);
    }
    for fact in &trail.facts {
        batch.insert(Key::Fact(fact.index).bytes(), codec::encode(fact));
    }
}
