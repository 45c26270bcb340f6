//! Runs side by side, read as one, ascending by key: the newest row of a key is in force.

use std::sync::Arc;

use super::batch::{Row, Value};
use super::fault::StoreFault;
use super::runs::{Run, RunCursor};

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
    Open { head: Row, cursor: RunCursor<'a> },
}

impl Lane<'_> {
    fn key(&self) -> &[u8] {
        match self {
            Self::Ahead { bound, .. } => bound,
            Self::Open { head: (key, _), .. } => key,
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
            match next_before(&mut cursor, self.behind.as_deref())? {
                Some(head) => {
                    *lane = Lane::Open { head, cursor };
                    at += 1;
                }
                None => drop(self.all.remove(at)),
            }
        }
        Ok(opened)
    }

    /// Takes the rows of a key; the newest is told, if there is one.
    pub(super) fn take(&mut self, key: &[u8]) -> Result<Option<Value>, StoreFault> {
        let mut newest = None;
        let mut at = 0;
        while let Some(lane) = self.all.get_mut(at) {
            let Lane::Open { head, cursor } = lane else {
                at += 1;
                continue;
            };
            if head.0 != key {
                at += 1;
                continue;
            }
            let value = std::mem::take(&mut head.1);
            match next_before(cursor, self.behind.as_deref())? {
                Some(next) => {
                    *head = next;
                    at += 1;
                }
                None => drop(self.all.remove(at)),
            }
            newest.get_or_insert(value);
        }
        Ok(newest)
    }
}

fn next_before(
    cursor: &mut RunCursor<'_>,
    behind: Option<&[u8]>,
) -> Result<Option<Row>, StoreFault> {
    let next = cursor.next().transpose()?;
    Ok(next.filter(|(key, _)| behind.is_none_or(|behind| key.as_slice() < behind)))
}
