//! Who decides the order: one writer, and everybody reads.
//!
//! *Owns:* the write path (admission, the writer thread, commit groups, receipts), start-up (replay
//! of the journal's tail, rebuild, refusals), the ledger's own statements and the rotation of its
//! key, the collecting of cosignatures, and the one place that says "now" ([`clock`]).
//!
//! *Never:* spells bytes of the record (`wire`, `ledger`), decides what is allowed (`domain`), or
//! finds out who calls (`api`): it is told for whose eyes a refusal is.
//!
//! *See:* `docs/ARCHITECTURE.md`, walkthrough *a melt is recorded*, for the path of an event.

pub mod admission;
pub mod analyst;
pub mod as_of;
pub mod clock;
pub mod collector;
mod committer;
mod compare;
pub mod drafts;
pub mod error;
pub mod feed;
pub mod follow;
mod fresh;
mod gather;
pub mod group;
pub mod handle;
pub mod listener;
mod lot_state;
pub mod measures;
pub mod open;
pub mod overlay;
pub mod reader;
pub mod recent;
pub mod statement;
pub mod vault;
mod veil;
mod witnessing;
pub mod writer;

pub use crate::provenance::{
    Categories, Detail, Direction, Holding, LotClass, Measure, OriginRange, Origins, Step, Trace,
    TraceNode, categories,
};
pub use crate::store::Page;
pub use admission::{Admitted, admit};
pub use analyst::Analyst;
pub use as_of::{AsOf, TablesAsOf};
pub use clock::{Clock, SystemClock};
pub use collector::{CollectFault, Collector, Cosigned};
pub use compare::DatabaseCheck;
pub use drafts::{Asker, Draft, DraftFault, Signed};
pub use error::{AppendError, BatchError, NodeFault};
pub use follow::{EntryFilter, Matches};
pub use handle::{Appended, Node};
pub use listener::Listener;
pub use lot_state::LotStatePolicy;
pub use open::{NodeConfig, Rotated, genesis_envelope};
pub use reader::{CampaignFilter, LotFilter, ReadFault, Reader, TransferFilter, TransferScan};
pub use vault::{Opening, OpeningFault, Vault};
