//! Numbers a second, ratios, medians: the only place of the bench that computes with fractions.

#![expect(
    clippy::float_arithmetic,
    clippy::cast_precision_loss,
    reason = "rates and ratios of measurements; nothing of the record comes near"
)]

use std::time::Duration;

/// So many in a time, a second.
pub(super) fn per_second(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64().max(1e-9)
}

/// One to another; none to nothing.
pub(super) fn ratio(part: f64, whole: f64) -> Option<f64> {
    (whole > 0.0).then(|| part / whole)
}

/// The mean of two.
pub(super) fn mean(one: f64, other: f64) -> f64 {
    f64::midpoint(one, other)
}

/// The middle one; of an even number the mean of both.
pub(super) fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    let upper = *sorted.get(middle)?;
    let lower = *sorted.get(middle.checked_sub(1).filter(|_| sorted.len().is_multiple_of(2)).unwrap_or(middle))?;
    Some(mean(lower, upper))
}

/// A count by another.
pub(super) fn quotient(part: u64, whole: u64) -> Option<f64> {
    ratio(part as f64, whole as f64)
}
