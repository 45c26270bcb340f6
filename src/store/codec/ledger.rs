//! The ledger's own state.

use super::codec_struct;
use crate::domain::effects::{FormerLedgerKey, LedgerState};

codec_struct!(LedgerState {
    origin,
    ledger_key,
    former_ledger_keys,
    rules_version,
    tables_hash,
    are_tables_published,
    publishing,
    expected_correctives,
    corrected_occurred_at,
});

codec_struct!(FormerLedgerKey { key, rotated_at });

#[cfg(test)]
mod tests {
    use super::super::assert_round_trip;
    use super::*;
    use crate::domain::{EntryIndex, EventId, Hash32, Origin, PublicKey, TimeMs};

    #[test]
    fn the_ledger_comes_back() {
        let state = LedgerState {
            origin: Origin::parse("ledger.example/a").unwrap(),
            ledger_key: PublicKey([1; 32]),
            former_ledger_keys: vec![],
            rules_version: 1,
            tables_hash: Hash32([2; 32]),
            are_tables_published: true,
            publishing: None,
            expected_correctives: vec![],
            corrected_occurred_at: TimeMs::of(0),
        };
        assert_round_trip(&state);
        let next = (EventId::from_bytes([1; 16]), Hash32([4; 32]));
        let former = FormerLedgerKey { key: PublicKey([5; 32]), rotated_at: EntryIndex(9) };
        assert_round_trip(&LedgerState {
            former_ledger_keys: vec![former; 2],
            publishing: Some((Hash32([3; 32]), 1, 2)),
            expected_correctives: vec![next; 2],
            corrected_occurred_at: TimeMs::of(77),
            ..state
        });
    }
}
