//! What an entry has to do with its neighbours: index, chain, time, batch.

use super::report::{FindingKind, Findings};
use crate::domain::{EntryIndex, TimeMs};
use crate::ledger::{ChainValue, Entry};

/// Whether an entry follows the one before it, so that a state known before it is the state it met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Continuity {
    Whole,
    Broken,
}

/// Where the entries have got to.
#[derive(Debug, Clone)]
pub(super) struct Sequence {
    next: EntryIndex,
    chain: ChainValue,
    recorded_at: TimeMs,
    batch: Option<Batch>,
}

/// A batch whose last member has not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Batch {
    first: EntryIndex,
    length: u16,
}

impl Batch {
    fn is_last(self, index: EntryIndex) -> bool {
        // The parser refused an end that overflows.
        index.0.checked_add(1) == self.first.0.checked_add(u64::from(self.length))
    }
}

impl Default for Sequence {
    fn default() -> Self {
        Self {
            next: EntryIndex(0),
            chain: ChainValue::START,
            recorded_at: TimeMs::default(),
            batch: None,
        }
    }
}

impl Sequence {
    /// The index that comes next.
    pub(super) fn next(&self) -> EntryIndex {
        self.next
    }

    /// The chain value that the next entry repeats.
    pub(super) fn chain(&self) -> ChainValue {
        self.chain
    }

    /// Whether a batch has begun and not ended.
    pub(super) fn is_in_batch(&self) -> bool {
        self.batch.is_some()
    }

    /// Passes over bytes that are not an entry: what follows is held against their chain value.
    pub(super) fn pass(&mut self, chain: ChainValue) {
        self.next = self.next.next();
        self.chain = chain;
        self.batch = None;
    }

    /// Holds an entry against those before it; `chain` is the value of its own bytes. What follows
    /// is held against the entry as it is, so that one break is not told again for every entry
    /// after it.
    pub(super) fn check(
        &mut self,
        at: EntryIndex,
        entry: &Entry,
        chain: ChainValue,
        findings: &mut Findings,
    ) -> Continuity {
        let mut continuity = Continuity::Whole;
        if entry.index != self.next {
            let detail = format!("entry {} is next, this says {}", self.next, entry.index);
            findings.at(at, FindingKind::IndexWrong, detail);
            continuity = Continuity::Broken;
        }
        if entry.previous != self.chain {
            let detail = format!(
                "the chain value before it is {}, it repeats {}",
                hex(&self.chain.0),
                hex(&entry.previous.0)
            );
            findings.at(at, FindingKind::ChainBroken, detail);
            continuity = Continuity::Broken;
        }
        if entry.recorded_at < self.recorded_at {
            let (before, now) = (self.recorded_at.get(), entry.recorded_at.get());
            let detail = format!("recorded at {now} ms, after an entry recorded at {before} ms");
            findings.at(at, FindingKind::TimeDecreases, detail);
        }
        self.check_batch(at, entry, findings);
        self.next = entry.index.next();
        self.chain = chain;
        self.recorded_at = entry.recorded_at;
        continuity
    }

    /// Members of a batch agree on it and stand side by side.
    fn check_batch(&mut self, at: EntryIndex, entry: &Entry, findings: &mut Findings) {
        let says = Batch { first: entry.batch_first, length: entry.batch_len };
        let told = |batch: Batch| format!("batch of {} from entry {}", batch.length, batch.first);
        let fault = match self.batch {
            Some(open) if open != says => {
                Some(format!("it stands in a {}, and says {}", told(open), told(says)))
            }
            None if says.first != entry.index => {
                Some(format!("it says {}, whose first entry is not there", told(says)))
            }
            _ => None,
        };
        if let Some(detail) = fault {
            findings.at(at, FindingKind::BatchBroken, detail);
        }
        self.batch = (!says.is_last(entry.index)).then_some(says);
    }

    /// A place where no batch may be under way: the end of a group, or of the ledger.
    pub(super) fn end_batch(&mut self, at: EntryIndex, place: &str, findings: &mut Findings) {
        let Some(open) = self.batch.take() else { return };
        let detail = format!(
            "{place} at entry {at}, inside a batch of {} from entry {}",
            open.length, open.first
        );
        findings.at(at, FindingKind::BatchBroken, detail);
    }
}

fn hex(bytes: &[u8; 32]) -> String {
    crate::domain::Hash32(*bytes).to_string()
}
