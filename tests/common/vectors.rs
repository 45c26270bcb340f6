//! Origin vectors against the state that the rules keep: the same grams, from the same movements.

use std::convert::Infallible;

use urbanmine::domain::memory::MemoryState;
use urbanmine::domain::movement::Movement;
use urbanmine::domain::vocabulary::Substance;
use urbanmine::domain::{CampaignId, EntryIndex, Grams, LotId};
use urbanmine::provenance::{Graph, Measure, Origins, TraceLimits, origins};

/// The movements of a state.
pub struct Movements<'a>(pub &'a MemoryState);

impl Graph for Movements<'_> {
    type Fault = Infallible;

    fn life(&self, lot: LotId) -> Result<Vec<EntryIndex>, Infallible> {
        let life = self.0.lives.range((lot, 0)..=(lot, u32::MAX));
        Ok(life.map(|(_, event)| self.0.events[event].index).collect())
    }

    fn movement(&self, index: EntryIndex) -> Result<Option<Movement>, Infallible> {
        Ok(self.0.movements.get(&index).cloned())
    }

    fn campaign(&self, id: CampaignId) -> Result<Vec<EntryIndex>, Infallible> {
        let life = self.0.campaigns.get(&id).map(|campaign| &campaign.life);
        Ok(life.into_iter().flatten().map(|(index, _)| *index).collect())
    }
}

fn check_sum(found: &Origins, expected: u64, what: &str) {
    assert_eq!(found.total.map(Grams::get), Some(expected), "{what}");
    if found.is_attributed {
        let pending = found.pending.iter().map(|(_, share)| share.get());
        let sum: u64 = found.shares.iter().map(|(_, share)| share.get()).chain(pending).sum();
        assert_eq!(sum, expected, "shares of {what}");
    }
}

/// Holds the vector of every lot that stands against the state: by mass always, by substance where
/// the state knows what is in the lot. How many of each were compared.
///
/// After a correction a trace is that of a ledger in which the error never happened, while lots
/// keep the contents that they were born with; so `substances` compares only where nothing was
/// corrected.
pub fn check_vectors(state: &MemoryState, substances: bool) -> (usize, usize) {
    let graph = Movements(state);
    let (mut masses, mut contents) = (0, 0);
    for lot in state.lots.values().filter(|lot| lot.retracted_by.is_none()) {
        let found = origins(&graph, lot.id, Measure::Mass, TraceLimits::default()).unwrap();
        check_sum(&found, lot.remaining.get(), &format!("mass of lot {}", lot.id));
        masses += 1;
        // A lot that is used up may be analysed for the record: nothing of it is left to share out.
        if lot.remaining.is_zero() && lot.assayed_by.is_some() {
            continue;
        }
        for &substance in Substance::ALL.iter().filter(|_| substances) {
            // A lot without own contents has a share in provenance where the state says nothing.
            let Some(content) = lot.contents.of(substance) else { continue };
            let expected = lot.contents.at_mass(content.contained, lot.remaining);
            let measure = Measure::Substance(substance);
            let found = origins(&graph, lot.id, measure, TraceLimits::default()).unwrap();
            check_sum(&found, expected.get(), &format!("{substance} in lot {}", lot.id));
            contents += 1;
        }
    }
    (masses, contents)
}
