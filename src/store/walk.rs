//! A walk over rows, ascending by key: what is in memory, the runs, and sled as one. The newest row
//! of a key is in force.

use std::collections::VecDeque;
use std::iter::Peekable;
use std::sync::Arc;

use sled::IVec;

use super::batch::Row;
use super::database::Database;
use super::fault::{StoreFault, sled_at};
use super::runs::{BLOCK_TAG, Run, RunCursor};
use crate::limits::{WALK_FIRST_ROWS, WALK_ROWS};

/// Where rows of a walk lie, beside memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Places {
    Runs,
    Sled,
    Both,
}

/// See the module.
pub(super) struct Walk<'a> {
    database: &'a Database,
    places: Places,
    /// Where it goes on.
    from: Vec<u8>,
    behind: Vec<u8>,
    /// Rows of memory that come next, and whether they are all.
    memory: VecDeque<Row>,
    is_all_memory: bool,
    /// How often rows had left memory when it looked at the other places; `None` before that.
    folded: Option<u64>,
    /// Newest first.
    lanes: Vec<Lane<'a>>,
    sled: Option<Peekable<sled::Iter>>,
    has_failed: bool,
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

impl<'a> Walk<'a> {
    /// Over the keys from one on and before another.
    pub(super) fn new(
        database: &'a Database,
        places: Places,
        from: Vec<u8>,
        behind: Vec<u8>,
    ) -> Self {
        Self {
            database,
            places,
            from,
            behind,
            memory: VecDeque::new(),
            is_all_memory: false,
            folded: None,
            lanes: Vec::new(),
            sled: None,
            has_failed: false,
        }
    }

    /// Looks into memory. Rows that left it since the walk began are in places that it has not
    /// looked at, so it begins again there.
    fn look_into_memory(&mut self) {
        let most = if self.folded.is_none() { WALK_FIRST_ROWS } else { WALK_ROWS };
        let (piece, folded, runs) = {
            let fresh = self.database.fresh();
            let piece = fresh.piece(&self.from, &self.behind, most);
            (piece, fresh.folded(), Arc::clone(fresh.runs()))
        };
        self.memory = piece.rows.into();
        self.is_all_memory = piece.is_all;
        if self.folded == Some(folded) {
            return;
        }
        self.folded = Some(folded);
        if self.places != Places::Sled {
            let ahead = |run: &Arc<Run>| {
                let bound = run.bound(&self.from).filter(|bound| *bound < self.behind)?;
                Some(Lane::Ahead { bound, run: Arc::clone(run) })
            };
            self.lanes = runs.iter().filter_map(ahead).collect();
        }
        if self.places != Places::Runs && self.from < self.behind {
            let rows = self.database.sled().range(self.from.clone()..self.behind.clone());
            self.sled = Some(rows.peekable());
        }
    }

    /// The next row of any place; `None` in the value: it is gone.
    fn next_row(&mut self) -> Result<Option<Row>, StoreFault> {
        // Each turn reads ahead in one place.
        loop {
            if self.memory.is_empty() && !self.is_all_memory {
                self.look_into_memory();
            }
            let least = self.lanes.iter().map(Lane::key).min().map(<[u8]>::to_vec);
            let in_memory = self.memory.front().map(|(key, _)| key.clone());
            let in_sled = match self.sled.as_mut().and_then(Peekable::peek) {
                Some(Ok((key, _))) => Some(key.to_vec()),
                Some(Err(_)) => {
                    let failed = self.sled.take().and_then(|mut rows| rows.next());
                    return match failed {
                        Some(Err(fault)) => Err(sled_at("read")(fault)),
                        _ => Ok(None),
                    };
                }
                None => None,
            };
            let candidates = [&in_memory, &least, &in_sled];
            let Some(key) = candidates.into_iter().flatten().min().cloned() else {
                return Ok(None);
            };
            if self.open_lanes_at(&key)? {
                continue;
            }
            return self.take(key).map(Some);
        }
    }

    /// Opens the runs whose next row can be of this key; whether there were any.
    fn open_lanes_at(&mut self, key: &[u8]) -> Result<bool, StoreFault> {
        let mut opened = false;
        let mut lanes = Vec::with_capacity(self.lanes.len());
        for lane in std::mem::take(&mut self.lanes) {
            match lane {
                Lane::Ahead { bound, run } if bound == key => {
                    opened = true;
                    let mut cursor = RunCursor::new(self.database.sled(), run, bound);
                    if let Some(head) = cursor.next().transpose()? {
                        lanes.push(Lane::Open { head, cursor });
                    }
                }
                other => lanes.push(other),
            }
        }
        self.lanes = lanes;
        // One that was passed by because its rows are behind the range stays, and is not opened
        // again.
        self.lanes.retain(|lane| lane.key() < self.behind.as_slice());
        Ok(opened)
    }

    /// Takes the row of a key from every place; the newest is in force.
    fn take(&mut self, key: Vec<u8>) -> Result<Row, StoreFault> {
        let mut found = None;
        if self.memory.front().is_some_and(|(front, _)| *front == key) {
            found = self.memory.pop_front().map(|(_, value)| value);
        }
        let mut at = 0;
        while let Some(lane) = self.lanes.get_mut(at) {
            let Lane::Open { head, cursor } = lane else {
                at += 1;
                continue;
            };
            if head.0 != key {
                at += 1;
                continue;
            }
            let next = cursor.next().transpose()?.filter(|(next, _)| *next < self.behind);
            let taken = match next {
                Some(next) => {
                    at += 1;
                    std::mem::replace(head, next).1
                }
                None => match self.lanes.remove(at) {
                    Lane::Open { head, .. } => head.1,
                    Lane::Ahead { .. } => None,
                },
            };
            found.get_or_insert(taken);
        }
        if let Some(rows) = self.sled.as_mut() {
            let is_same = |item: &sled::Result<(IVec, IVec)>| {
                item.as_ref().is_ok_and(|(other, _)| other.as_ref() == key)
            };
            if let Some(Ok((_, value))) = rows.next_if(is_same) {
                found.get_or_insert(Some(value));
            }
        }
        self.from = [&key[..], &[0]].concat();
        Ok((key, found.flatten()))
    }
}

/// The key behind all rows: where what is not ours begins.
pub(super) fn behind_all() -> Vec<u8> {
    vec![BLOCK_TAG]
}

impl Iterator for Walk<'_> {
    type Item = Result<(Vec<u8>, IVec), StoreFault>;

    fn next(&mut self) -> Option<Self::Item> {
        // Each turn takes a key of finitely many.
        while !self.has_failed {
            match self.next_row() {
                Ok(Some((key, Some(value)))) => return Some(Ok((key, value))),
                Ok(Some((_, None))) => {}
                Ok(None) => return None,
                Err(fault) => {
                    self.has_failed = true;
                    return Some(Err(fault));
                }
            }
        }
        None
    }
}
