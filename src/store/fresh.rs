//! What was written since the database was synced: in memory, and made again from the journal by
//! the next start.

use std::collections::btree_map::Entry;
use std::ops::Bound;
use std::sync::Arc;

use sled::IVec;

use super::batch::{Batch, Row, Rows, Value};
use super::partial;
use super::runs::Runs;
use crate::limits::FRESH_ROW_BYTES;

/// Where readers look first, and the runs that go with it.
#[derive(Debug, Default)]
pub(super) struct Fresh {
    rows: Rows,
    bytes: usize,
    /// What a sync brings into sled at this moment.
    folding: Option<Arc<Rows>>,
    runs: Arc<Runs>,
    /// How many times rows left memory. A walk that finds another number begins again where it is.
    folded: u64,
}

/// Rows of memory, and whether there are more.
pub(super) struct Piece {
    pub(super) rows: Vec<Row>,
    pub(super) is_all: bool,
}

impl Fresh {
    /// Over the runs that a database has.
    pub(super) fn over(runs: Arc<Runs>) -> Self {
        Self { runs, ..Self::default() }
    }

    /// Writes.
    pub(super) fn take(&mut self, batch: Batch) {
        for (key, value) in batch.into_rows() {
            let length = |value: &Value| value.as_ref().map_or(0, |it| it.len());
            match self.rows.entry(key) {
                Entry::Vacant(place) => {
                    self.bytes += FRESH_ROW_BYTES + place.key().len() + length(&value);
                    place.insert(value);
                }
                Entry::Occupied(mut place) => {
                    let mut value = value;
                    if partial::is_partial(place.key()) {
                        debug_assert!(value.is_some(), "a place that was taken is never empty");
                        value = laid_over(value, place.get());
                    }
                    self.bytes += length(&value);
                    self.bytes -= length(&place.insert(value));
                }
            }
        }
    }

    /// Bytes that it takes, of what no sync has begun to bring in.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// What it says of a key: the newer rows, then those that a sync brings into sled.
    pub(super) fn find(&self, key: &[u8]) -> impl Iterator<Item = &Value> {
        let folding = self.folding.as_ref().and_then(|rows| rows.get(key));
        self.rows.get(key).into_iter().chain(folding)
    }

    /// The runs that are older than what is in memory.
    pub(super) fn runs(&self) -> &Arc<Runs> {
        &self.runs
    }

    /// See [`Fresh::folded`].
    pub(super) const fn folded(&self) -> u64 {
        self.folded
    }

    /// The first rows of a range, ascending.
    pub(super) fn piece(&self, from: &[u8], behind: &[u8], most: usize) -> Piece {
        if from >= behind {
            return Piece { rows: Vec::new(), is_all: true };
        }
        let range = (Bound::Included(from), Bound::Excluded(behind));
        let mut newer = self.rows.range::<[u8], _>(range).peekable();
        let older = self.folding.iter().flat_map(|it| it.range::<[u8], _>(range));
        let mut older = older.peekable();
        let mut rows: Vec<Row> = Vec::new();
        while rows.len() < most {
            let next = match (newer.peek(), older.peek()) {
                (None, None) => return Piece { rows, is_all: true },
                (Some((one, value)), Some((other, before))) if one == other => {
                    let is_partial = partial::is_partial(one);
                    let value = (*value).clone();
                    let value = if is_partial { laid_over(value, before) } else { value };
                    let row = ((*one).clone(), value);
                    older.next();
                    newer.next();
                    Some(row)
                }
                (Some((one, _)), Some((other, _))) if one > other => older.next().map(owned),
                (Some(_), _) => newer.next().map(owned),
                (None, Some(_)) => older.next().map(owned),
            };
            rows.extend(next);
        }
        Piece { rows, is_all: false }
    }

    /// The last row of a range.
    pub(super) fn last(&self, from: &[u8], behind: &[u8]) -> Option<Row> {
        if from >= behind {
            return None;
        }
        let range = (Bound::Included(from), Bound::Excluded(behind));
        let newer = self.rows.range::<[u8], _>(range).next_back();
        let older = self.folding.as_ref().and_then(|it| it.range::<[u8], _>(range).next_back());
        // Of the same key the newer one.
        let last = newer.into_iter().chain(older).reduce(|a, b| if b.0 > a.0 { b } else { a })?;
        Some((last.0.clone(), last.1.clone()))
    }

    /// Whether what was set apart before could not be brought into sled.
    pub(super) const fn is_stuck(&self) -> bool {
        self.folding.is_some()
    }

    /// Sets what is there apart, to be brought into sled; it is read until [`Fresh::forget`].
    pub(super) fn set_apart(&mut self) -> Option<Arc<Rows>> {
        if self.rows.is_empty() {
            return None;
        }
        self.bytes = 0;
        let apart = Arc::new(std::mem::take(&mut self.rows));
        self.folding = Some(Arc::clone(&apart));
        Some(apart)
    }

    /// What was set apart is in sled; what of it is in runs is in these.
    pub(super) fn forget(&mut self, runs: Arc<Runs>) -> Option<Arc<Rows>> {
        self.runs = runs;
        self.folded += 1;
        self.folding.take()
    }

    /// A merge put other runs in the place of some; they hold the same.
    pub(super) fn exchange(&mut self, runs: Arc<Runs>) {
        self.runs = runs;
    }
}

fn owned((key, value): (&IVec, &Value)) -> Row {
    (key.clone(), value.clone())
}

/// What two rows of a key say that say a part each.
fn laid_over(newer: Value, older: &Value) -> Value {
    match (newer, older) {
        // Both were encoded here, so it cannot fail; if it did, the newer one's hash is refused.
        (Some(newer), Some(older)) => Some(partial::over(&newer, older).map_or(newer, IVec::from)),
        (newer, _) => newer,
    }
}
