//! Rows that are written together.

use std::collections::BTreeMap;

use sled::IVec;

/// What stands under a key from now on; `None` when nothing does.
pub(super) type Value = Option<IVec>;

/// A key and what stands under it. Most keys are short enough to lie in place: to find one among
/// others then follows no pointers, and to let it go frees nothing.
pub(super) type Row = (IVec, Value);

/// Rows by their keys.
pub(super) type Rows = BTreeMap<IVec, Value>;

/// Changes of rows in their order: all of them or none, and readers see them at once.
#[derive(Debug, Default)]
pub(super) struct Batch(Vec<Row>);

impl Batch {
    /// Puts a row where there is none, or another.
    pub(super) fn insert(&mut self, key: impl AsRef<[u8]>, value: impl Into<IVec>) {
        self.0.push((IVec::from(key.as_ref()), Some(value.into())));
    }

    /// Takes a row away, if there is one.
    pub(super) fn remove(&mut self, key: impl AsRef<[u8]>) {
        self.0.push((IVec::from(key.as_ref()), None));
    }

    /// The changes, the last of a key in force.
    pub(super) fn into_rows(self) -> impl Iterator<Item = Row> {
        self.0.into_iter()
    }
}
