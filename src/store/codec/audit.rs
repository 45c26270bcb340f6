//! Attestations, acknowledgements, accounts of credits.

use super::{Codec, CodecFault, Input, codec_struct, codec_vocabulary};
use crate::domain::audit::{Acknowledgement, Attestation};
use crate::domain::credit::{Credit, Month};
use crate::domain::vocabulary::AttestResult;

codec_vocabulary!(AttestResult);
codec_struct!(Attestation { index, event, by, occurred_at, scope, size, root, result });
codec_struct!(Acknowledgement { anomaly, by, note, event, index, occurred_at });
codec_struct!(Credit { site, substance, month, earned, claimed });

impl Codec for Month {
    fn put(&self, out: &mut Vec<u8>) {
        self.number().put(out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecFault> {
        u32::take(input).map(Self::of_number)
    }
}

#[cfg(test)]
mod tests {
    use super::super::assert_round_trip;
    use super::*;
    use crate::domain::vocabulary::Substance;
    use crate::domain::{EntryCount, EntryIndex, EventId, Grams, Hash32, PartyId, SiteId, TimeMs};

    #[test]
    fn words_on_the_ledger_come_back() {
        for result in AttestResult::ALL {
            assert_round_trip(&Attestation {
                index: EntryIndex(8),
                event: EventId::from_bytes([1; 16]),
                by: PartyId::from_bytes([2; 16]),
                occurred_at: TimeMs::of(3),
                scope: "2026-09 的平衡".to_owned(),
                size: EntryCount(7),
                root: Hash32([4; 32]),
                result: *result,
            });
        }
        assert_round_trip(&Acknowledgement {
            anomaly: "A2-7".to_owned(),
            by: PartyId::from_bytes([2; 16]),
            note: String::new(),
            event: EventId::from_bytes([1; 16]),
            index: EntryIndex(9),
            occurred_at: TimeMs::of(3),
        });
    }

    #[test]
    fn accounts_come_back() {
        let key = (SiteId::from_bytes([1; 16]), Substance::Cu, Month::of_number(560));
        assert_round_trip(&key);
        let account = Credit { earned: Grams::of(9), claimed: Grams::of(4), ..Credit::empty(key) };
        assert_round_trip(&account);
    }
}
