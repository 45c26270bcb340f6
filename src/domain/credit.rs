//! Claims of recycled content: what a site earned by using recycled metal, and what it claimed.
//!
//! An account of its own beside the origins: a claim never touches an origin vector.

use std::fmt;

use super::ids::SiteId;
use super::units::{Grams, TimeMs};
use super::vocabulary::Substance;

/// Beijing time, in which months are counted, is 8 hours ahead of UTC.
const OFFSET_MS: u64 = 8 * 3_600_000;
const DAY_MS: u64 = 24 * 3_600_000;
/// Days of 400 years, and of the 1,969 years and two months before 1970-03-01 that the calendar of
/// [`civil`] counts from.
const ERA_DAYS: u64 = 146_097;
const DAYS_BEFORE_1970: u64 = 719_468;

/// A calendar month in Beijing (UTC+8), counted from January 1970 as 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month(u32);

/// What a site earned in a month, and what of it was claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credit {
    /// Where.
    pub site: SiteId,
    /// Of what.
    pub substance: Substance,
    /// When it was used.
    pub month: Month,
    /// Grams contained in recycled lots that were used up there.
    pub earned: Grams,
    /// Grams of them that were claimed.
    pub claimed: Grams,
}

/// The name of an account: where, of what, when.
pub type CreditKey = (SiteId, Substance, Month);

impl Month {
    /// The month of a number that was checked before.
    pub const fn of_number(number: u32) -> Self {
        Self(number)
    }

    /// Months since January 1970.
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The month that a moment lies in.
    pub fn of(at: TimeMs) -> Self {
        let days = at.get().saturating_add(OFFSET_MS) / DAY_MS;
        let (year, month) = civil(days);
        let number = year.saturating_sub(1970) * 12 + (month - 1);
        Self(u32::try_from(number).unwrap_or(u32::MAX))
    }

    /// The month after it.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// Its first moment; `None` for January 1970, which began before time is counted, and after the
    /// year 9999.
    pub fn begin(self) -> Option<TimeMs> {
        let days = days_before(u64::from(self.0 / 12) + 1970, u64::from(self.0 % 12) + 1);
        let begin = (days * DAY_MS).checked_sub(OFFSET_MS)?;
        TimeMs::new(begin).ok()
    }

    /// The month that begins at a moment; `None` when none does.
    pub fn beginning_at(at: TimeMs) -> Option<Self> {
        let month = Self::of(at);
        (month.begin() == Some(at)).then_some(month)
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:02}", self.0 / 12 + 1970, self.0 % 12 + 1)
    }
}

impl Credit {
    /// An account that nothing happened to.
    pub const fn empty((site, substance, month): CreditKey) -> Self {
        Self { site, substance, month, earned: Grams::ZERO, claimed: Grams::ZERO }
    }

    /// Its name.
    pub const fn key(&self) -> CreditKey {
        (self.site, self.substance, self.month)
    }

    /// What may still be claimed.
    pub fn available(&self) -> Grams {
        self.earned.checked_sub(self.claimed).unwrap_or_default()
    }
}

/// Year and month (1 to 12) of a day since 1970-01-01, in the Gregorian calendar. Years are counted
/// from March, so that the leap day is the last of its year.
fn civil(days: u64) -> (u64, u64) {
    let days = days + DAYS_BEFORE_1970;
    let (era, day_of_era) = (days / ERA_DAYS, days % ERA_DAYS);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month)
}

/// Days from 1970-01-01 to the first day of a month, 1970 or later.
fn days_before(year: u64, month: u64) -> u64 {
    let year = year - u64::from(month <= 2);
    let (era, year_of_era) = (year / 400, year % 400);
    let from_march = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * from_march + 2) / 5;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * ERA_DAYS + day_of_era - DAYS_BEFORE_1970
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_begin_at_midnight_in_beijing() {
        let rows = [
            // 2016-02-29T15:59:59.999Z is the last millisecond of February in Beijing.
            (1_456_761_599_999, "2016-02"),
            (1_456_761_600_000, "2016-03"),
            (1_475_251_199_999, "2016-09"),
            (1_475_251_200_000, "2016-10"),
            (1_483_199_999_999, "2016-12"),
            (1_483_200_000_000, "2017-01"),
            (0, "1970-01"),
            (253_402_300_799_999, "10000-01"),
        ];
        for (at, month) in rows {
            assert_eq!(Month::of(TimeMs::of(at)).to_string(), month, "{at}");
        }
    }

    #[test]
    fn every_month_begins_where_the_one_before_ends() {
        let lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        let mut begin = Month::of_number(1).begin().unwrap();
        assert_eq!(begin, TimeMs::of(31 * DAY_MS - OFFSET_MS));
        for number in 1..12 * 500 {
            let month = Month::of_number(number);
            let year = number / 12 + 1970;
            let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let days = lengths[number as usize % 12] + u64::from(is_leap && number % 12 == 1);
            let end = TimeMs::of(begin.get() + days * DAY_MS);
            assert_eq!(month.begin(), Some(begin), "{month}");
            assert_eq!(Month::beginning_at(begin), Some(month));
            assert_eq!(Month::of(TimeMs::of(end.get() - 1)), month);
            assert_eq!(Month::beginning_at(TimeMs::of(end.get() - 1)), None);
            assert_eq!(Month::of(end), month.next());
            begin = end;
        }
        assert_eq!(Month::of_number(0).begin(), None);
        assert_eq!(Month::of_number(u32::MAX).begin(), None);
    }
}
