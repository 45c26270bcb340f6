//! The rows of a run, one after the other.

use std::sync::Arc;

use super::block::{Block, Lent, Place};
use super::fault::StoreFault;
use super::runs::{Found, Run, block_from, block_key, broken_block, plain_key};

/// The rows of a run from one key on, ascending. It stands before the first until it is advanced.
pub(super) struct RunCursor<'a> {
    db: &'a sled::Db,
    run: Arc<Run>,
    open: Option<Open>,
    /// From where the next block is looked for; `None` after the last.
    next: Option<Vec<u8>>,
    /// Rows before it are passed by, once.
    from: Vec<u8>,
}

/// The block that a cursor is in.
struct Open {
    found: Found,
    place: Place,
    /// No row of it was passed by.
    is_whole: bool,
}

/// A block of a run, all of it.
pub(super) struct WholeBlock<'a> {
    /// The last key in it.
    pub(super) last: &'a [u8],
    /// The run under which it lies.
    pub(super) origin: u32,
    pub(super) block: &'a Block,
}

impl<'a> RunCursor<'a> {
    /// From a key on.
    pub(super) fn new(db: &'a sled::Db, run: Arc<Run>, from: Vec<u8>) -> Self {
        let next = Some(block_key(run.id(), &from));
        Self { db, run, open: None, next, from }
    }

    /// Goes on to the next row; `false` behind the last.
    pub(super) fn advance(&mut self) -> Result<bool, StoreFault> {
        // Each turn goes on to a row or a block.
        loop {
            if let Some(open) = &mut self.open {
                let is_first = open.place.key().is_empty();
                let next = open.found.block.next(&mut open.place);
                if !next.map_err(broken_block(self.run.id()))? {
                    self.open = None;
                    continue;
                }
                open.is_whole = is_first;
                if open.place.key() < self.from.as_slice() {
                    continue;
                }
                self.from.clear();
                return Ok(true);
            }
            let Some(at) = self.next.take() else { return Ok(false) };
            let Some(found) = block_from(self.db, self.run.id(), at)? else { return Ok(false) };
            // Right behind it.
            self.next = Some([found.key.as_ref(), &[0]].concat());
            self.open = Some(Open { found, place: Place::default(), is_whole: false });
        }
    }

    /// Goes on to the first row of the next block.
    pub(super) fn advance_block(&mut self) -> Result<bool, StoreFault> {
        self.open = None;
        self.advance()
    }

    /// The key of the row at which it stands; empty at none.
    pub(super) fn key(&self) -> &[u8] {
        self.open.as_ref().map_or(&[], |open| open.place.key())
    }

    /// The value of that row.
    pub(super) fn value(&self) -> Lent<'_> {
        let open = self.open.as_ref()?;
        open.found.block.value(&open.place)
    }

    /// The block in which it stands, at its first row.
    pub(super) fn whole_block(&self) -> Option<WholeBlock<'_>> {
        let open = self.open.as_ref().filter(|open| open.is_whole)?;
        let Found { key, origin, block } = &open.found;
        Some(WholeBlock { last: plain_key(key), origin: *origin, block })
    }
}
