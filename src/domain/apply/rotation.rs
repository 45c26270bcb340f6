//! The ledger key that follows: what a statement of the ledger may change of its own state.

use super::super::effects::{FormerLedgerKey, LedgerState, View};
use super::super::ids::{EntryIndex, Hash32, KeyId, PublicKey};
use crate::limits::MAX_LEDGER_KEYS;

/// Why a key does not follow. In the order in which it is asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RotationFault {
    /// The ledger has had as many keys as it may.
    #[error("a ledger has at most {MAX_LEDGER_KEYS} keys in its life")]
    TooMany,
    /// A key that signs for the ledger now, or did: what it signs would have two meanings.
    #[error("key {key} is or was the ledger's own; a next key is a new one")]
    NotNew {
        /// The key.
        key: PublicKey,
    },
    /// A key that speaks for a party.
    #[error("key {key} is registered for a party; the ledger's key speaks for nobody else")]
    OfParty {
        /// Its id.
        key: KeyId,
    },
}

/// The ledger's state from the entry after `index` on, when the statement there names the key that
/// follows.
pub fn rotate_ledger_key<V: View>(
    view: &V,
    ledger: &LedgerState,
    next: PublicKey,
    index: EntryIndex,
    sha256: fn(&[u8]) -> Hash32,
) -> Result<Result<LedgerState, RotationFault>, V::Fault> {
    if ledger.former_ledger_keys.len() + 1 >= MAX_LEDGER_KEYS {
        return Ok(Err(RotationFault::TooMany));
    }
    if ledger.was_ledger_key(&next) {
        return Ok(Err(RotationFault::NotNew { key: next }));
    }
    let id = KeyId(sha256(next.as_bytes()).0);
    if view.key(id)?.is_some() {
        return Ok(Err(RotationFault::OfParty { key: id }));
    }
    let mut after = ledger.clone();
    after.former_ledger_keys.push(FormerLedgerKey { key: ledger.ledger_key, rotated_at: index });
    after.ledger_key = next;
    Ok(Ok(after))
}
