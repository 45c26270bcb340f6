//! A walk over rows, ascending by key: what is in memory, the runs, and sled as one. The newest row
//! of a key is in force.

use std::collections::VecDeque;
use std::iter::Peekable;
use std::sync::Arc;

use sled::IVec;

use super::batch::{Row, Value};
use super::database::Database;
use super::fault::{StoreFault, sled_at};
use super::lanes::Lanes;
use super::partial::Told;
use super::runs::BLOCK_TAG;
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
    lanes: Option<Lanes<'a>>,
    sled: Option<Peekable<sled::Iter>>,
    has_failed: bool,
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
            lanes: None,
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
            let behind = Some(self.behind.clone());
            self.lanes = Some(Lanes::over(self.database.sled(), runs.iter(), &self.from, behind));
        }
        if self.places != Places::Runs && self.from < self.behind {
            let rows = self.database.sled().range(self.from.clone()..self.behind.clone());
            self.sled = Some(rows.peekable());
        }
    }

    /// The next row of any place; `None` in the value: it is gone.
    fn next_row(&mut self) -> Result<Option<(Vec<u8>, Value)>, StoreFault> {
        // Each turn reads ahead in one place.
        loop {
            if self.memory.is_empty() && !self.is_all_memory {
                self.look_into_memory();
            }
            let least = self.lanes.as_ref().and_then(Lanes::least).map(<[u8]>::to_vec);
            let in_memory = self.memory.front().map(|(key, _)| key.to_vec());
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
            if let Some(lanes) = self.lanes.as_mut()
                && lanes.open_at(&key)?
            {
                continue;
            }
            return self.take(key).map(Some);
        }
    }

    /// Takes the row of a key from every place; the newest is in force.
    fn take(&mut self, key: Vec<u8>) -> Result<(Vec<u8>, Value), StoreFault> {
        let mut told = Told::of(&key);
        if self.memory.front().is_some_and(|(front, _)| *front == key)
            && let Some((_, value)) = self.memory.pop_front()
        {
            told.add(value)?;
        }
        if let Some(value) = self.lanes.as_mut().map(|it| it.take(&key)).transpose()?.flatten() {
            told.add(value)?;
        }
        if let Some(rows) = self.sled.as_mut() {
            let is_same = |item: &sled::Result<(IVec, IVec)>| {
                item.as_ref().is_ok_and(|(other, _)| other.as_ref() == key)
            };
            if let Some(Ok((_, value))) = rows.next_if(is_same) {
                told.add(Some(value))?;
            }
        }
        let value = told.into_value().flatten();
        self.from = [&key[..], &[0]].concat();
        Ok((key, value))
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
