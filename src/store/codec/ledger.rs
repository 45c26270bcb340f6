//! The ledger's own state.

use super::codec_struct;
use crate::domain::effects::LedgerState;

codec_struct!(LedgerState {
    origin,
    ledger_key,
    rules_version,
    tables_hash,
    are_tables_published,
    publishing,
    expected_correctives,
    corrected_occurred_at,
});

#[cfg(test)]
mod tests {
    use super::super::assert_round_trip;
    use super::*;
    use crate::domain::{EventId, Hash32, Origin, PublicKey, TimeMs};

    #[test]
    fn the_ledger_comes_back() {
        let state = LedgerState {
            origin: Origin::parse("ledger.example/a").unwrap(),
            ledger_key: PublicKey([1; 32]),
            rules_version: 1,
            tables_hash: Hash32([2; 32]),
            are_tables_published: true,
            publishing: None,
            expected_correctives: vec![],
            corrected_occurred_at: TimeMs::of(0),
        };
        assert_round_trip(&state);
        let next = (EventId::from_bytes([1; 16]), Hash32([4; 32]));
        assert_round_trip(&LedgerState {
            publishing: Some((Hash32([3; 32]), 1, 2)),
            expected_correctives: vec![next; 2],
            corrected_occurred_at: TimeMs::of(77),
            ..state
        });
    }
}
