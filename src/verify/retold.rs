//! What the judge learned of an entry whose rules hold, for those who look across entries: whoever
//! follows a verification needs no replay of its own.

use std::fmt;

use crate::domain::fact::Fact;
use crate::domain::{Event, Hash32, Tables};

/// An entry that was judged, and held.
#[derive(Debug, Clone, Copy)]
pub struct Retold<'a> {
    /// What the actor said.
    pub event: &'a Event,
    /// What it changed.
    pub fact: &'a Fact,
    /// The tables that judged it; `None` until those of the genesis are published.
    pub tables: Option<&'a Tables>,
    /// Their hash.
    pub tables_hash: Hash32,
}

/// Hears of every entry that held, in ledger order; of none after the first whose effects are not
/// known.
pub(super) struct Listener(Box<dyn FnMut(&Retold<'_>) + Send>);

impl Listener {
    pub(super) fn new(hear: impl FnMut(&Retold<'_>) + Send + 'static) -> Self {
        Self(Box::new(hear))
    }

    pub(super) fn tell(&mut self, retold: &Retold<'_>) {
        (self.0)(retold);
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Listener")
    }
}
