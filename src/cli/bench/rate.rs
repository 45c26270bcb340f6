//! Numbers a second, ratios, medians: the only place of the bench that computes with fractions.

#![expect(
    clippy::float_arithmetic,
    clippy::cast_precision_loss,
    reason = "rates and ratios of measurements; nothing of the record comes near"
)]

use std::time::Duration;

/// So many in a time, a second.
pub(super) fn per_second(count: u64, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64().max(1e-9)
}

/// From one to the next at half of a rate.
pub(super) fn gap_at_half(per_second: f64) -> Duration {
    Duration::from_secs_f64((2.0 / per_second.max(1.0)).min(1.0))
}

/// One by another; nothing by nothing.
pub(super) fn ratio(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}

/// A count by another.
pub(super) fn quotient(part: u64, whole: u64) -> Option<f64> {
    ratio(part as f64, whole as f64)
}

/// A thousandth, of microseconds in milliseconds and of milliseconds in seconds.
pub(super) fn thousandth(count: u64) -> f64 {
    count as f64 / 1_000.0
}

/// Bytes in MiB.
pub(super) fn mib(bytes: u64) -> f64 {
    bytes as f64 / (1_024.0 * 1_024.0)
}

/// The mean of two.
pub(super) fn mean(one: f64, other: f64) -> f64 {
    f64::midpoint(one, other)
}

/// The middle one; of an even number the mean of the middle two.
pub(super) fn median(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let mut sorted: Vec<f64> = values.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    let (lower, upper) = (sorted.len().checked_sub(1)? / 2, sorted.len() / 2);
    Some(mean(*sorted.get(lower)?, *sorted.get(upper)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median([3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(median([]), None);
    }

    #[test]
    fn half_of_a_rate_has_twice_the_gap() {
        assert_eq!(gap_at_half(2_000.0), Duration::from_millis(1));
        assert_eq!(gap_at_half(0.0), Duration::from_secs(1));
    }
}
