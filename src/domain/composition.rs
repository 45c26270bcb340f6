//! From assay values to grams: exact, in 128 bits, rounded once, half to even (GB/T 8170).
//!
//! The bases differ in what they are a fraction of, and of what; see `AssayBasis` in the proto.
//! With mass `m` in grams, fractions in 1e-8 parts, moisture `w`, total `t` and the oxide factor
//! `k` (1e-6 parts):
//!
//! | basis | grams of the element |
//! |---|---|
//! | `AS_RECEIVED` | `m f / 1e8` |
//! | `DRY` | `m (1e8 - w) f / 1e16` |
//! | `METAL` | `m (1e8 - w) t f / 1e24` |
//! | `REO_OF_TREO` | `m (1e8 - w) t f / (1e18 k)` |
//!
//! `m <= 1e12`, so no numerator exceeds `3e36 < 2^127`. Uncertainties add linearly and round up.

use super::event::{AssayValue, Composition};
use super::ids::LotId;
use super::lot::{Content, Contents};
use super::rejection::Rejection;
use super::tables::Tables;
use super::units::Grams;
use super::vocabulary::AssayBasis;
use crate::limits::WHOLE_E8;

const WHOLE: u128 = WHOLE_E8 as u128;

/// Divides, rounding half to even (GB/T 8170). `denominator` is not zero.
pub fn div_half_even(numerator: u128, denominator: u128) -> u128 {
    let quotient = numerator / denominator;
    let rest = numerator % denominator;
    let is_odd = quotient % 2 == 1;
    match rest.cmp(&(denominator - rest)) {
        std::cmp::Ordering::Less => quotient,
        std::cmp::Ordering::Equal => quotient + u128::from(is_odd),
        std::cmp::Ordering::Greater => quotient + 1,
    }
}

/// What a composition says is in a mass. A rare earth without an oxide factor in the tables cannot
/// be said on an oxide basis; `composition_fault` refuses that before.
pub fn contents(composition: &Composition, mass: Grams, tables: &Tables) -> Contents {
    let items = composition.values.iter().map(|value| {
        let (contained, uncertainty) = grams(composition, value, mass, tables);
        Content {
            substance: value.substance,
            contained: Grams::of(saturate(contained)),
            uncertainty: Grams::of(saturate(uncertainty)),
        }
    });
    Contents { of_mass: mass, items: items.collect() }
}

/// Whether a composition can be true: fractions of one whole do not exceed it by more than they may
/// err.
pub fn composition_fault(
    lot: LotId,
    composition: &Composition,
    tables: &Tables,
) -> Result<(), Rejection> {
    let fault = |rule, sum_e8, limit_e8| {
        Err(Rejection::CompositionInconsistent { lot, rule, sum_e8, limit_e8 })
    };
    let mut relative = 0_u128;
    let mut relative_limit = WHOLE;
    let mut absolute = u128::from(composition.moisture.get());
    let mut absolute_limit = WHOLE;
    for value in &composition.values {
        if value.basis == AssayBasis::ReoOfTreo
            && !tables.oxide_factors_e6.contains_key(&value.substance)
        {
            return fault("a value on oxide basis needs an oxide factor in the tables", 0, 0);
        }
        if matches!(value.basis, AssayBasis::ReoOfTreo | AssayBasis::Metal) {
            relative += u128::from(value.fraction.get());
            relative_limit += u128::from(value.uncertainty.get());
        }
        // In a mass of 1e8 grams, grams are 1e-8 parts.
        let (contained, uncertainty) =
            grams(composition, value, Grams::of(u64::from(WHOLE_E8)), tables);
        absolute += contained;
        absolute_limit += uncertainty + 1;
    }
    if relative > relative_limit {
        return fault("fractions of the total add up to more than it", relative, relative_limit);
    }
    if absolute > absolute_limit {
        return fault("elements and moisture add up to more than 100 %", absolute, absolute_limit);
    }
    Ok(())
}

/// Contained grams, half to even, and uncertainty, up.
fn grams(
    composition: &Composition,
    value: &AssayValue,
    mass: Grams,
    tables: &Tables,
) -> (u128, u128) {
    let mass = u128::from(mass.get());
    let fraction = u128::from(value.fraction.get());
    let uncertainty = u128::from(value.uncertainty.get());
    let dry = WHOLE.saturating_sub(u128::from(composition.moisture.get()));
    let total = u128::from(composition.total.get());
    let total_uncertainty = u128::from(composition.total_uncertainty.get());
    // (t + dt)(f + df) - t f, so that the errors of both count in full.
    let both = total * uncertainty + total_uncertainty * (fraction + uncertainty);
    let (numerator, spread, denominator) = match value.basis {
        AssayBasis::AsReceived => (mass * fraction, mass * uncertainty, WHOLE),
        AssayBasis::Dry => (mass * dry * fraction, mass * dry * uncertainty, WHOLE * WHOLE),
        AssayBasis::Metal => (mass * dry * total * fraction, mass * dry * both, WHOLE.pow(3)),
        AssayBasis::ReoOfTreo => {
            let factor_e6 = tables.oxide_factors_e6.get(&value.substance).copied().unwrap_or(1);
            let scale = WHOLE.pow(3) / 1_000_000 * u128::from(factor_e6.max(1));
            (mass * dry * total * fraction, mass * dry * both, scale)
        }
    };
    (div_half_even(numerator, denominator), spread.div_ceil(denominator))
}

fn saturate(grams: u128) -> u64 {
    u64::try_from(grams).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::units::FractionE8;
    use crate::domain::vocabulary::Substance;

    fn fraction(parts: u32) -> FractionE8 {
        FractionE8::new(parts).unwrap()
    }

    fn one(basis: AssayBasis, parts: u32, err: u32, moisture: u32, total: u32) -> Composition {
        let value = AssayValue {
            substance: Substance::Nd,
            basis,
            fraction: fraction(parts),
            uncertainty: fraction(err),
        };
        Composition {
            values: vec![value],
            moisture: fraction(moisture),
            total: fraction(total),
            total_uncertainty: FractionE8::ZERO,
            method: String::new(),
            laboratory: None,
            sample: String::new(),
        }
    }

    fn tables() -> Tables {
        Tables { oxide_factors_e6: [(Substance::Nd, 1_166_377)].into(), ..Tables::default() }
    }

    #[test]
    fn every_basis_gives_grams_of_the_element() {
        let rows = [
            // basis, fraction, uncertainty, moisture, total, mass, contained, uncertainty
            (AssayBasis::AsReceived, 25_000_000, 100_000, 0, 0, 1_000_000, 250_000, 1_000),
            (AssayBasis::Dry, 25_000_000, 100_000, 20_000_000, 0, 1_000_000, 200_000, 800),
            (AssayBasis::Metal, 50_000_000, 0, 0, 30_000_000, 1_000_000, 150_000, 0),
            // 1,000,000 g x 35 % oxide x 50 % Nd2O3 / 1.166377 = 150,037.12 g of Nd.
            (AssayBasis::ReoOfTreo, 50_000_000, 0, 0, 35_000_000, 1_000_000, 150_037, 0),
        ];
        for (basis, parts, err, moisture, total, mass, contained, uncertainty) in rows {
            let found = contents(
                &one(basis, parts, err, moisture, total),
                Grams::new(mass).unwrap(),
                &tables(),
            );
            assert_eq!(found.items[0].contained.get(), contained, "{basis}");
            assert_eq!(found.items[0].uncertainty.get(), uncertainty, "{basis}");
        }
    }

    #[test]
    fn the_largest_lot_does_not_overflow() {
        let largest = Grams::new(crate::limits::MAX_LOT_MASS_G).unwrap();
        let whole = one(AssayBasis::ReoOfTreo, WHOLE_E8, WHOLE_E8, 0, WHOLE_E8);
        let found = contents(&whole, largest, &tables());
        assert_eq!(found.items[0].contained.get(), 857_355_726_322);
    }

    #[test]
    fn half_goes_to_even() {
        let rows = [(5, 2, 2), (7, 2, 4), (3, 2, 2), (1, 2, 0), (10, 4, 2), (11, 4, 3), (9, 4, 2)];
        for (numerator, denominator, expected) in rows {
            assert_eq!(div_half_even(numerator, denominator), expected);
        }
    }

    #[test]
    fn more_than_a_whole_is_refused_beyond_its_uncertainty() {
        let lot = LotId::UPTAKE;
        let moist = one(AssayBasis::AsReceived, 60_000_000, 1_000_000, 42_000_000, 0);
        let refused = composition_fault(lot, &moist, &tables()).unwrap_err();
        assert!(matches!(
            refused,
            Rejection::CompositionInconsistent { sum_e8: 102_000_000, limit_e8: 101_000_001, .. }
        ));
        let within = one(AssayBasis::AsReceived, 60_000_000, 1_000_000, 40_900_000, 0);
        assert_eq!(composition_fault(lot, &within, &tables()), Ok(()));
    }
}
