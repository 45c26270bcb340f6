//! Days in Beijing, by which reports are due and dated.

use std::fmt;

use crate::domain::TimeMs;
use crate::domain::credit::Month;

/// Beijing time is 8 hours ahead of UTC.
const OFFSET_MS: u64 = 8 * 3_600_000;
pub(super) const DAY_MS: u64 = 24 * 3_600_000;

/// A calendar day in Beijing (UTC+8), counted from 1970-01-01 as 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(u32);

impl Day {
    /// The day that a moment lies in.
    pub fn of(at: TimeMs) -> Self {
        Self(u32::try_from(at.get().saturating_add(OFFSET_MS) / DAY_MS).unwrap_or(u32::MAX))
    }

    /// Its first moment; 1970 begins with the first that is counted.
    pub fn begin(self) -> TimeMs {
        TimeMs::of((u64::from(self.0) * DAY_MS).saturating_sub(OFFSET_MS))
    }

    /// The day after it.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// So many days later.
    #[must_use]
    pub const fn plus(self, days: u32) -> Self {
        Self(self.0.saturating_add(days))
    }

    /// Days from another day to this one; less than zero when the other is later.
    pub fn since(self, other: Self) -> i64 {
        i64::from(self.0) - i64::from(other.0)
    }

    /// A day of a month; `None` when the month has no such day.
    pub fn of_month(month: Month, day: u32) -> Option<Self> {
        let first = month.begin().map_or(Self(0), Self::of);
        let found = Self(first.0.checked_add(day.checked_sub(1)?)?);
        (Month::of(found.begin()) == month).then_some(found)
    }

    /// Takes the text that [`fmt::Display`] writes, and no other spelling of it.
    pub fn from_text(text: &str) -> Option<Self> {
        let (month, day) = text.rsplit_once('-')?;
        let found = Self::of_month(month_from_text(month)?, day.parse().ok()?)?;
        (found.to_string() == text).then_some(found)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let month = Month::of(self.begin());
        let first = month.begin().map_or(0, |first| Self::of(first).0);
        write!(f, "{month}-{:02}", self.0 - first + 1)
    }
}

/// Takes `2016-09`, and no other spelling of it.
pub(super) fn month_from_text(text: &str) -> Option<Month> {
    let (year, month) = text.split_once('-')?;
    let (year, month): (u32, u32) = (year.parse().ok()?, month.parse().ok()?);
    let months = year.checked_sub(1970)?.checked_mul(12)?;
    let found = Month::of_number(months.checked_add(month.checked_sub(1)?)?);
    (found.to_string() == text).then_some(found)
}

/// A moment as Beijing's clocks show it: `2016-09-29T10:00:00.000+08:00`.
pub fn time_text(at: TimeMs) -> String {
    let millis = at.get().saturating_add(OFFSET_MS) % DAY_MS;
    let (seconds, millis) = (millis / 1_000, millis % 1_000);
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{}T{hours:02}:{minutes:02}:{seconds:02}.{millis:03}+08:00", Day::of(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_begin_at_midnight_in_beijing() {
        let rows = [
            (0, "1970-01-01"),
            (1_456_675_200_000 - 1, "2016-02-28"),
            (1_456_675_200_000, "2016-02-29"),
            (1_456_761_600_000, "2016-03-01"),
            (1_475_078_400_000, "2016-09-29"),
            (1_483_199_999_999, "2016-12-31"),
        ];
        for (at, text) in rows {
            let day = Day::of(TimeMs::of(at));
            assert_eq!(day.to_string(), text, "{at}");
            assert_eq!(Day::from_text(text), Some(day));
        }
        for stranger in ["2016-2-29", "2016-02-30", "2015-02-29", "2016-13-01", "2016-00-01", "x"] {
            assert_eq!(Day::from_text(stranger), None, "{stranger}");
        }
        assert_eq!(time_text(TimeMs::of(1_475_114_400_001)), "2016-09-29T10:00:00.001+08:00");
    }
}
