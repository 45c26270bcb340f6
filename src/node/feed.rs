//! What the writer said of entries, handed on to the book and to recent history while it is in
//! memory, so that they have not to read and decode the same again.
//!
//! It holds little, and who comes late reads the store: both give the same.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::effects::LotLink;
use crate::domain::fact::Fact;
use crate::domain::memory::MemoryState;
use crate::domain::{EntryIndex, Event, Hash32};
use crate::limits::MAX_FEED_BYTES;

/// An event that was recorded, as the writer judged it.
#[derive(Debug)]
pub struct Told {
    /// What the actor said.
    pub event: Event,
    /// What it changed, with its entry.
    pub fact: Arc<Fact>,
    /// The lots that its entry names, ascending.
    pub links: Vec<LotLink>,
    /// The tables that judged it.
    pub tables_hash: Hash32,
}

/// The events of a group; its other entries are statements.
#[derive(Debug)]
pub struct Piece {
    /// Its first entry.
    pub first: EntryIndex,
    /// The entry behind its last.
    pub end: EntryIndex,
    /// Ascending.
    pub told: Vec<Told>,
    /// Last values of what the group changed, its movements among them.
    pub changes: Arc<MemoryState>,
    /// Whether it changed what an entry before had done to metal: a correction did, or a
    /// settlement.
    pub amends: bool,
    /// Bytes of its entries.
    pub bytes: usize,
}

/// Pieces that were not taken yet.
#[derive(Debug, Default)]
pub struct Feed(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    /// Whether anybody takes: until then nothing is kept.
    is_wanted: bool,
    /// In ledger order, without a gap.
    pieces: VecDeque<Piece>,
    bytes: usize,
}

impl Feed {
    /// Hands on the next group, before anybody is told of it. The oldest are forgotten for it when
    /// nobody took them.
    pub fn give(&self, piece: Piece) {
        let mut waiting = self.lock();
        if !waiting.is_wanted {
            return;
        }
        waiting.bytes += piece.bytes;
        waiting.pieces.push_back(piece);
        while waiting.bytes > MAX_FEED_BYTES && waiting.forget_first() {}
    }

    /// The piece with an entry, when it lies among the first `end` entries; without what is before
    /// that entry. Whoever asks wants what comes from now on, too.
    pub fn take(&self, from: EntryIndex, end: EntryIndex) -> Option<Piece> {
        let mut waiting = self.lock();
        waiting.is_wanted = true;
        while waiting.pieces.front().is_some_and(|it| it.end <= from) {
            waiting.forget_first();
        }
        let is_asked = |it: &Piece| it.first <= from && it.end <= end;
        if !waiting.pieces.front().is_some_and(is_asked) {
            return None;
        }
        let mut piece = waiting.pieces.pop_front()?;
        waiting.bytes -= piece.bytes;
        drop(waiting);
        piece.told.retain(|told| told.fact.index >= from);
        piece.first = from;
        Some(piece)
    }

    /// A panic of another thread leaves at worst a count of bytes that is too high.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn forget_first(&mut self) -> bool {
        let Some(piece) = self.pieces.pop_front() else { return false };
        self.bytes -= piece.bytes;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(first: u64, end: u64, bytes: usize) -> Piece {
        let (first, end) = (EntryIndex(first), EntryIndex(end));
        Piece { first, end, told: Vec::new(), changes: Arc::default(), amends: false, bytes }
    }

    fn taken(feed: &Feed, from: u64, end: u64) -> Option<(u64, u64)> {
        let piece = feed.take(EntryIndex(from), EntryIndex(end));
        piece.map(|it| (it.first.0, it.end.0))
    }

    #[test]
    fn pieces_come_in_order_once_somebody_asked() {
        let feed = Feed::default();
        feed.give(piece(0, 4, 10));
        assert_eq!(taken(&feed, 0, 100), None);
        for first in [4, 8, 12, 16] {
            feed.give(piece(first, first + 4, 10));
        }
        // What was before is read elsewhere, up to the middle of a piece.
        assert_eq!(taken(&feed, 3, 100), None);
        assert_eq!(taken(&feed, 10, 100), Some((10, 12)));
        // Not what nobody was told of.
        assert_eq!(taken(&feed, 12, 15), None);
        assert_eq!(taken(&feed, 12, 16), Some((12, 16)));
        assert_eq!(taken(&feed, 16, 20), Some((16, 20)));
        assert_eq!(taken(&feed, 20, 100), None);
        assert_eq!(feed.lock().bytes, 0);
    }

    #[test]
    fn the_oldest_are_forgotten_when_nobody_takes_them() {
        let feed = Feed::default();
        assert_eq!(taken(&feed, 0, 0), None);
        for first in 0..10 {
            feed.give(piece(first, first + 1, MAX_FEED_BYTES / 4));
        }
        assert_eq!(feed.lock().pieces.len(), 4);
        assert_eq!(taken(&feed, 0, 100), None);
        assert_eq!(taken(&feed, 6, 100), Some((6, 7)));
        feed.give(piece(10, 11, 2 * MAX_FEED_BYTES));
        let waiting = feed.lock();
        assert_eq!((waiting.pieces.len(), waiting.bytes), (0, 0));
    }
}
