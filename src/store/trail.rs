//! What is kept of each entry by its index.

use std::sync::Arc;

use super::batch::Batch;
use super::codec;
use super::headings::Headings;
use super::keyspace::Key;
use crate::domain::effects::Effects;
use crate::domain::fact::Fact;
use crate::domain::party::{PartyState, Site};
use crate::domain::vocabulary::EventKind;
use crate::domain::{EntryIndex, EventId, TimeMs};
use crate::limits::{MAX_PACK_BYTES, MAX_PACK_ENTRIES};

/// What is kept of each entry by its index, beside the last values of everything: the registry as
/// it stood after it, its kind, and what it changed.
#[derive(Debug, Clone, Default)]
pub struct Trail {
    parties: Vec<(EntryIndex, PartyState)>,
    sites: Vec<(EntryIndex, Site)>,
    kinds: Vec<(EntryIndex, EventKind)>,
    facts: Vec<Arc<Fact>>,
}

impl Trail {
    /// Keeps what the next entry did, and takes the changes of lots out of it for the fact.
    pub fn note(
        &mut self,
        index: EntryIndex,
        recorded_at: TimeMs,
        event: (EventId, EventKind),
        effects: &mut Effects,
    ) -> Arc<Fact> {
        let (id, kind) = event;
        self.kinds.push((index, kind));
        let fact = Arc::new(Fact::taken(index, recorded_at, id, effects));
        self.facts.extend(fact.is_telling().then(|| Arc::clone(&fact)));
        self.parties.extend(effects.parties.iter().map(|party| (index, party.clone())));
        self.sites.extend(effects.sites.iter().map(|site| (index, site.clone())));
        fact
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
        batch.insert(Key::PartyVersion(party.party.id, *index).packed(), codec::encode(party));
    }
    for (index, site) in &trail.sites {
        batch.insert(Key::SiteVersion(site.id, *index).packed(), codec::encode(site));
    }
    let mut kinds = Headings::default();
    for (index, kind) in &trail.kinds {
        kinds.note(kind.number(), *index);
    }
    kinds.put(batch, Key::KindEntry);
    put_facts(batch, &trail.facts);
}

/// In packs, as entries are: few are read one by one.
fn put_facts(batch: &mut Batch, facts: &[Arc<Fact>]) {
    let mut rest = facts;
    // Each turn takes at least one fact.
    while !rest.is_empty() {
        let (mut pack, mut count) = (Vec::new(), 0_u32);
        let mut last = EntryIndex(0);
        for fact in rest.iter().take(MAX_PACK_ENTRIES) {
            let bytes = codec::encode(&**fact);
            if count > 0 && pack.len() + bytes.len() > MAX_PACK_BYTES {
                break;
            }
            pack.extend(bytes);
            (last, count) = (fact.index, count + 1);
        }
        batch.insert(Key::Facts(last).packed(), [&count.to_be_bytes()[..], &pack].concat());
        rest = &rest[count as usize..];
    }
}
