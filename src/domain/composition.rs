//! From assay values to grams: exact, in 128 bits, rounded once.

/// Divides, rounding half to even (GB/T 8170). `denominator` is not zero.
pub fn div_half_even(numerator: u128, denominator: u128) -> u128 {
    let quotient = numerator / denominator;
    let rest = numerator % denominator;
    let is_odd = quotient % 2 == 1;
    match (rest).cmp(&(denominator - rest)) {
        std::cmp::Ordering::Less => quotient,
        std::cmp::Ordering::Equal => quotient + u128::from(is_odd),
        std::cmp::Ordering::Greater => quotient + 1,
    }
}
