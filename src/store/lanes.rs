//! Runs side by side, read as one, ascending by key: the newest row of a key is in force.

use std::sync::Arc;

use sled::IVec;

use super::batch::Value;
use super::cursor::{RunCursor, WholeBlock};
use super::fault::StoreFault;
use super::partial::Told;
use super::runs::Run;

/// The rows of some runs from one key on and before another.
pub(super) struct Lanes<'a> {
    db: &'a sled::Db,
    /// Newest first.
    all: Vec<Lane<'a>>,
    /// `None`: to the end.
    behind: Option<Vec<u8>>,
}

/// A run, opened only once its rows can be next.
enum Lane<'a> {
    Ahead { bound: Vec<u8>, run: Arc<Run> },
    Open(RunCursor<'a>),
}

impl Lane<'_> {
    fn key(&self) -> &[u8] {
        match self {
            Self::Ahead { bound, .. } => bound,
            Self::Open(cursor) => cursor.key(),
        }
    }
}

impl<'a> Lanes<'a> {
    /// Over runs, newest first. Reads nothing yet.
    pub(super) fn over<'r>(
        db: &'a sled::Db,
        runs: impl IntoIterator<Item = &'r Arc<Run>>,
        from: &[u8],
        behind: Option<Vec<u8>>,
    ) -> Self {
        let ahead = |run: &Arc<Run>| {
            let bound = run.bound(from)?;
            let is_before = behind.as_ref().is_none_or(|behind| bound < *behind);
            is_before.then(|| Lane::Ahead { bound, run: Arc::clone(run) })
        };
        let all = runs.into_iter().filter_map(ahead).collect();
        Self { db, all, behind }
    }

    /// The next key, or one before it in a run that is not open: [`Lanes::open_at`] finds out.
    pub(super) fn least(&self) -> Option<&[u8]> {
        self.all.iter().map(Lane::key).min()
    }

    /// Opens the runs whose next row can be of this key; whether there were any.
    pub(super) fn open_at(&mut self, key: &[u8]) -> Result<bool, StoreFault> {
        let mut opened = false;
        let mut at = 0;
        while let Some(lane) = self.all.get_mut(at) {
            let bound = match lane {
                Lane::Ahead { bound, run } if bound == key => Some((std::mem::take(bound), run)),
                _ => None,
            };
            let Some((bound, run)) = bound else {
                at += 1;
                continue;
            };
            opened = true;
            let mut cursor = RunCursor::new(self.db, Arc::clone(run), bound);
            if advance_before(&mut cursor, self.behind.as_deref())? {
                *lane = Lane::Open(cursor);
                at += 1;
            } else {
                drop(self.all.remove(at));
            }
        }
        Ok(opened)
    }

    /// Takes the rows of a key; what they say, if there are any.
    pub(super) fn take(&mut self, key: &[u8]) -> Result<Option<Value>, StoreFault> {
        let mut told = Told::of(key);
        for lane in &self.all {
            if let Lane::Open(cursor) = lane
                && cursor.key() == key
            {
                told.add(cursor.value().map(IVec::from))?;
                if told.is_all() {
                    break;
                }
            }
        }
        let value = told.into_value();
        self.go_on(key, RunCursor::advance)?;
        Ok(value)
    }

    /// The block that begins with the next key, if all of it lies before the rows of other runs.
    pub(super) fn whole_block(&self, key: &[u8]) -> Option<WholeBlock<'_>> {
        let at = self.all.iter().position(|lane| lane.key() == key)?;
        let Some(Lane::Open(cursor)) = self.all.get(at) else { return None };
        let block = cursor.whole_block()?;
        let mut others = self.all.iter().enumerate().filter(|(other, _)| *other != at);
        others.all(|(_, lane)| block.last < lane.key()).then_some(block)
    }

    /// Passes by the block that begins with the next key.
    pub(super) fn pass_block(&mut self, key: &[u8]) -> Result<(), StoreFault> {
        self.go_on(key, RunCursor::advance_block)
    }

    fn go_on(
        &mut self,
        key: &[u8],
        mut advance: impl FnMut(&mut RunCursor<'a>) -> Result<bool, StoreFault>,
    ) -> Result<(), StoreFault> {
        let mut at = 0;
        while let Some(lane) = self.all.get_mut(at) {
            match lane {
                Lane::Open(cursor) if cursor.key() == key => {
                    if advance(cursor)? && is_before(cursor, self.behind.as_deref()) {
                        at += 1;
                    } else {
                        drop(self.all.remove(at));
                    }
                }
                _ => at += 1,
            }
        }
        Ok(())
    }
}

fn advance_before(cursor: &mut RunCursor<'_>, behind: Option<&[u8]>) -> Result<bool, StoreFault> {
    Ok(cursor.advance()? && is_before(cursor, behind))
}

fn is_before(cursor: &RunCursor<'_>, behind: Option<&[u8]>) -> bool {
    behind.is_none_or(|behind| cursor.key() < behind)
}
