//! Days, working days and due dates, in Beijing (UTC+8).

use crate::domain::TimeMs;
use crate::domain::credit::Month;

/// Milliseconds of a day.
pub(super) const DAY_MS: u64 = 24 * 3_600_000;
/// Beijing is so far ahead of UTC.
const OFFSET_MS: u64 = 8 * 3_600_000;

/// A moment later.
pub(super) const fn after(at: TimeMs, span_ms: u64) -> TimeMs {
    TimeMs::of(at.get().saturating_add(span_ms))
}

/// How long from one moment to another; nothing backwards.
pub(super) const fn between(from: TimeMs, to: TimeMs) -> u64 {
    to.get().saturating_sub(from.get())
}

/// The first moment after the last of so many working days that follow the day of a moment.
/// Saturday and Sunday are no working days; which days are public holidays, or worked in their
/// place, nobody told the ledger.
pub(super) const fn after_working_days(at: TimeMs, days: u64) -> TimeMs {
    let day = at.get().saturating_add(OFFSET_MS) / DAY_MS;
    // 1970-01-01 was a Thursday. What happened at a weekend counts from the Friday before it.
    let weekday = (day + 3) % 7;
    let (day, weekday) = if weekday > 4 { (day - (weekday - 4), 4) } else { (day, weekday) };
    let over = weekday + days % 5;
    let weekend = if over > 4 { 2 } else { 0 };
    let days = (days / 5).saturating_mul(7).saturating_add(days % 5 + weekend);
    TimeMs::of(day.saturating_add(days).saturating_add(1).saturating_mul(DAY_MS) - OFFSET_MS)
}

/// The first moment after the day of the next month by which a month's report is due; `None` after
/// the year 9999.
pub(super) fn report_due(month: Month, day: u64) -> Option<TimeMs> {
    month.next().begin().map(|begin| after(begin, day.saturating_mul(DAY_MS)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-03-02 is a Monday; midnight in Beijing.
    const MONDAY: u64 = 1_772_380_800_000;

    #[test]
    fn five_working_days_skip_the_weekend() {
        let rows = [
            // (day of shipment, days, first day after the deadline), as days from that Monday.
            (0, 5, 8),
            (2, 5, 10),
            (4, 5, 12),
            (5, 5, 12),
            (6, 5, 12),
            (0, 1, 2),
            (3, 1, 5),
            (4, 1, 8),
            (0, 4, 5),
            (1, 10, 16),
        ];
        for (day, days, expected) in rows {
            for within in [0, DAY_MS - 1] {
                let at = TimeMs::of(MONDAY + day * DAY_MS + within);
                let expected = TimeMs::of(MONDAY + expected * DAY_MS);
                assert_eq!(after_working_days(at, days), expected, "day {day}, {days} days");
            }
        }
    }

    #[test]
    fn a_report_is_due_until_the_end_of_the_tenth() {
        let march = Month::of(TimeMs::of(MONDAY));
        // 2026-04-11, 00:00 in Beijing.
        assert_eq!(report_due(march, 10), Some(TimeMs::of(MONDAY + 40 * DAY_MS)));
    }
}
