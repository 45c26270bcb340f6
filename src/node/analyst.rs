//! The book of the ledger, kept beside the write path: it takes over what is committed, and the
//! writer waits for none of it. What the writer handed on (`node/feed.rs`) it takes as it is, what
//! came before, or so much at a time that it was forgotten there, it reads.
//!
//! The book lies in memory and can be made again from the entries at any time. Whoever asks it
//! brings it up to the last checkpoint first, so an answer is never older than its question.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::feed::Told;
use super::reader::{ReadFault, Reader};
use crate::domain::fact::Fact;
use crate::domain::{Body, EntryCount, EntryIndex, Event, Hash32, Tables};
use crate::insight::{Book, Seen};
use crate::ledger::entry::{Entry, EntryKind};
use crate::ledger::envelope::Envelope;
use crate::limits::ANALYST_STEP_ENTRIES;
use crate::wire::decode_event;

/// Keeps the book.
pub struct Analyst {
    reader: Reader,
    kept: RwLock<Kept>,
    /// Set when the node closes: nothing more is taken over.
    is_closing: AtomicBool,
}

#[derive(Debug, Default)]
struct Kept {
    book: Book,
    /// Table sets whose last chunk was taken over, by hash. A ledger has few.
    tables: BTreeMap<Hash32, Arc<Tables>>,
    /// Everything before it was read.
    next: EntryIndex,
}

impl Analyst {
    pub(super) fn new(reader: Reader) -> Self {
        Self { reader, kept: RwLock::default(), is_closing: AtomicBool::new(false) }
    }

    /// Ends what is being taken over, at the next step: a node that closes does not wait for a long
    /// ledger to be folded.
    pub(super) fn close(&self) {
        self.is_closing.store(true, Ordering::Relaxed);
    }

    /// Asks the book, which is brought up to the last checkpoint before. What another call holds is
    /// waited for; nothing is held afterwards.
    pub fn ask<T>(&self, question: impl FnOnce(&Book) -> T) -> Result<T, ReadFault> {
        let size = self.reader.size();
        if self.catch_up()?.0 < size.0 {
            // Half a book is no answer.
            return Err(ReadFault::Entry("the node closes, and the book is not whole".to_owned()));
        }
        let kept = self.kept.read().unwrap_or_else(PoisonError::into_inner);
        Ok(question(&kept.book))
    }

    /// Takes over every entry under the last checkpoint. Steps are short, so that questions of
    /// others come in between.
    pub fn catch_up(&self) -> Result<EntryCount, ReadFault> {
        let size = self.reader.size();
        loop {
            let reached = self.kept.read().unwrap_or_else(PoisonError::into_inner).next;
            if reached.0 >= size.0 || self.is_closing.load(Ordering::Relaxed) {
                return Ok(EntryCount(reached.0));
            }
            // A step that panicked left a book that ends at an entry, or in the middle of one: it
            // is made anew.
            let mut kept = self.kept.write().unwrap_or_else(|poisoned| {
                let mut kept = poisoned.into_inner();
                *kept = Kept::default();
                kept
            });
            self.kept.clear_poison();
            self.step(&mut kept, size)?;
        }
    }

    fn step(&self, kept: &mut Kept, size: EntryCount) -> Result<(), ReadFault> {
        let from = kept.next;
        if let Some(piece) = self.reader.feed().take(from, EntryIndex(size.0)) {
            self.reader.recent().take_told(&piece);
            for Told { event, fact, tables_hash, links: _ } in &piece.told {
                self.take_over(kept, event, fact, *tables_hash)?;
            }
            kept.next = piece.end;
            kept.book.reach(EntryCount(piece.end.0));
            return Ok(());
        }
        let entries = self.reader.entries(from, ANALYST_STEP_ENTRIES)?;
        let Some(&(last, _)) = entries.last() else {
            kept.next = EntryIndex(size.0);
            return Ok(());
        };
        let end = EntryCount(last.next().0);
        let facts = self.reader.facts(from, end, ANALYST_STEP_ENTRIES)?;
        let mut facts: BTreeMap<EntryIndex, Fact> =
            facts.into_iter().map(|fact| (fact.index, fact)).collect();
        for (index, bytes) in entries {
            let entry = Entry::parse(&bytes).map_err(|fault| unreadable(&fault))?;
            if let Some(event) = event_of(&entry)? {
                let fact = facts.remove(&index).unwrap_or_else(|| bare(index, &entry));
                self.take_over(kept, &event, &fact, entry.tables_hash)?;
            }
            kept.next = index.next();
        }
        kept.book.reach(end);
        Ok(())
    }

    fn take_over(
        &self,
        kept: &mut Kept,
        event: &Event,
        fact: &Fact,
        tables_hash: Hash32,
    ) -> Result<(), ReadFault> {
        // Until the first set is published nothing is recorded that a rule looks at.
        let tables = kept.tables.get(&tables_hash).map(Arc::clone).unwrap_or_default();
        // It may fail, and then comes again: no entry is absorbed twice.
        self.publish(kept, &event.body)?;
        kept.book.absorb(&Seen { event, fact, tables: &tables, tables_hash });
        kept.next = fact.index.next();
        Ok(())
    }

    /// With its last chunk a set is whole.
    fn publish(&self, kept: &mut Kept, body: &Body) -> Result<(), ReadFault> {
        let Body::PublishTables(chunk) = body else { return Ok(()) };
        if chunk.chunk_index.saturating_add(1) == chunk.chunk_count {
            let text = self.reader.tables_text(chunk.tables_hash)?;
            let tables = Tables::parse(&text).map_err(|fault| unreadable(&fault))?;
            kept.tables.insert(chunk.tables_hash, Arc::new(tables));
        }
        Ok(())
    }
}

/// What an entry changed that changed nothing beside what its event says.
fn bare(index: EntryIndex, entry: &Entry) -> Fact {
    let recorded_at = entry.recorded_at;
    Fact { index, recorded_at, lots: Vec::new(), stock: None, flags: Vec::new(), undoes: None }
}

/// The event of an entry; `None` for a statement.
pub(super) fn event_of(entry: &Entry) -> Result<Option<Event>, ReadFault> {
    if entry.kind == EntryKind::Statement {
        return Ok(None);
    }
    let envelope = Envelope::parse(&entry.envelope).map_err(|fault| unreadable(&fault))?;
    decode_event(&envelope.payload).map(Some).map_err(|fault| unreadable(&fault))
}

fn unreadable(fault: &dyn std::fmt::Display) -> ReadFault {
    ReadFault::Entry(fault.to_string())
}
