//! How parties are related to lots.

use super::{codec_enum, codec_struct};
use crate::domain::sight::{Kinship, Relation};

codec_enum!(Kinship {
    1 Up,
    2 Down,
});
codec_struct!(Relation { arrived, left, kin });

#[cfg(test)]
mod tests {
    use super::super::{assert_round_trip, lot};
    use super::*;
    use crate::domain::{Grams, PartyId};

    #[test]
    fn relations_come_back() {
        let with = PartyId::from_bytes([5; 16]);
        assert_round_trip(&Relation::default());
        for kinship in [Kinship::Up, Kinship::Down] {
            let left = Some(lot::tests::full_lot());
            let arrived = Some(Grams::of(9));
            assert_round_trip(&Relation { arrived, left, kin: Some((kinship, with)) });
        }
    }
}
