//! Grams, fractions and times. Parsed at the border, trusted below. No floats.

use std::fmt;

use crate::limits::{MAX_LOT_MASS_G, WHOLE_E8};

/// Why a number is not of its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnitFault {
    /// A mass over the limit.
    #[error("a mass is at most {MAX_LOT_MASS_G} g, not {0} g")]
    MassTooLarge(u64),
    /// A fraction over 100 %.
    #[error("a fraction is at most {WHOLE_E8} (1e-8 parts), not {0}")]
    FractionTooLarge(u32),
    /// A time that does not fit.
    #[error("a time is at most 253402300799999 ms (end of the year 9999), not {0}")]
    TimeTooLarge(u64),
    /// An offset that no place on earth has.
    #[error("an offset is -720 to 840 min, not {0}")]
    OffsetOutOfRange(i32),
}

/// A mass in whole grams, 0 to [`MAX_LOT_MASS_G`] where it is one lot's; sums may be larger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Grams(u64);

impl Grams {
    /// None.
    pub const ZERO: Grams = Grams(0);

    /// A mass of one lot, or part of one.
    pub fn new(grams: u64) -> Result<Self, UnitFault> {
        if grams > MAX_LOT_MASS_G {
            return Err(UnitFault::MassTooLarge(grams));
        }
        Ok(Self(grams))
    }

    /// A number that was checked before, or a sum.
    pub const fn of(grams: u64) -> Self {
        Self(grams)
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Whether it is nothing.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The sum; `None` on overflow of 64 bits, which 1.8e7 lots of the largest mass would take.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// The difference; `None` when it would be negative.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(rest) => Some(Self(rest)),
            None => None,
        }
    }

    /// Sum of bounded lists: at most 512 lots of at most 1e12 g, so 64 bits hold it.
    pub fn sum(masses: impl IntoIterator<Item = Grams>) -> u128 {
        masses.into_iter().map(|mass| u128::from(mass.0)).sum()
    }
}

impl fmt::Display for Grams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} g", self.0)
    }
}

/// A mass fraction in 1e-8 parts, 0 to 100 %.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct FractionE8(u32);

impl FractionE8 {
    /// Nothing.
    pub const ZERO: FractionE8 = FractionE8(0);
    /// 100 %.
    pub const WHOLE: FractionE8 = FractionE8(WHOLE_E8);

    /// Takes 0 to 100,000,000.
    pub fn new(parts: u32) -> Result<Self, UnitFault> {
        if parts > WHOLE_E8 {
            return Err(UnitFault::FractionTooLarge(parts));
        }
        Ok(Self(parts))
    }

    /// The number of 1e-8 parts.
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TimeMs(u64);

impl TimeMs {
    /// Last millisecond of the year 9999.
    pub const MAX: TimeMs = TimeMs(253_402_300_799_999);

    /// Takes a time up to the year 9999.
    pub fn new(millis: u64) -> Result<Self, UnitFault> {
        if millis > Self::MAX.0 {
            return Err(UnitFault::TimeTooLarge(millis));
        }
        Ok(Self(millis))
    }

    /// A number that was checked before.
    pub const fn of(millis: u64) -> Self {
        Self(millis)
    }

    /// The number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// A half-open interval: `from` is inside, `to` is outside; no `to` means without end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Validity {
    /// First moment inside.
    pub from: TimeMs,
    /// First moment outside.
    pub to: Option<TimeMs>,
}

impl Validity {
    /// Whether a moment is inside.
    pub fn contains(&self, at: TimeMs) -> bool {
        self.from <= at && self.to.is_none_or(|to| at < to)
    }
}

/// Offset of a wall clock from UTC in minutes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct OffsetMin(i32);

impl OffsetMin {
    /// Takes -720 to 840.
    pub fn new(minutes: i32) -> Result<Self, UnitFault> {
        if (-720..=840).contains(&minutes) {
            Ok(Self(minutes))
        } else {
            Err(UnitFault::OffsetOutOfRange(minutes))
        }
    }

    /// The minutes.
    pub const fn get(self) -> i32 {
        self.0
    }
}
