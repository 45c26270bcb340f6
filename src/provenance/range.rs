//! What could be in a lot if nothing was mixed: beside each share the least and the most grams of
//! that origin. The rules are in `docs/PROVENANCE.md`, section *Possible range*.

use std::collections::BTreeSet;

use super::share::Vector;
use crate::domain::LotId;

/// The least and the most grams of one origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Range {
    pub(super) least: u64,
    pub(super) most: u64,
}

/// Ascending by origin, none with a most of 0.
pub(super) type Ranges = Vec<(LotId, Range)>;

impl Range {
    /// Of a draw of `drawn` grams out of `whole`.
    fn of_draw(self, drawn: u64, whole: u64) -> Self {
        let left = whole.saturating_sub(drawn);
        Self { least: self.least.saturating_sub(left), most: self.most.min(drawn) }
    }

    /// The same after `whole` grams were found to be `found`: the least rounds down, the most up,
    /// so that the share, which rounds either way, stays between.
    fn rescaled(self, found: u64, whole: u64) -> Self {
        let product = |grams: u64| u128::from(grams) * u128::from(found);
        let divisor = u128::from(whole.max(1));
        let least = product(self.least) / divisor;
        let most = product(self.most).div_ceil(divisor);
        Self {
            least: u64::try_from(least).unwrap_or(found).min(found),
            most: u64::try_from(most).unwrap_or(found).min(found),
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            least: self.least.saturating_add(other.least),
            most: self.most.saturating_add(other.most),
        }
    }
}

/// What an account, a pool or a campaign carries forward of the origins of its grams: shares alone,
/// or ranges beside them.
pub(super) trait Mix: Clone + Default {
    /// Whether ranges are followed.
    const HAS_RANGES: bool;
    /// All of it from one origin.
    fn of(origin: LotId, grams: u64) -> Self;
    /// The shares.
    fn shares(&self) -> &Vector;
    /// Takes grams out, of each origin its share of what is there.
    fn take(&mut self, grams: u64) -> Self;
    /// The same mix, of another amount.
    fn rescaled(&self, grams: u64) -> Self;
    /// Both together.
    fn merged(self, other: &Self) -> Self;
    /// What is of some origins, and the rest.
    fn parted(&self, is_part: impl Fn(LotId) -> bool) -> (Self, Self);
    /// Every origin that has a share or may have one.
    fn origins(&self) -> Vec<LotId>;
    /// The range of each of them; `None` when ranges are not followed.
    fn ranges(&self) -> Option<&Ranges>;
    /// What these grams of one pool are, of which the mix is given; `doubt` is how much more than
    /// the sum of the mix may be in it.
    fn drawn_from(&self, mix: &Self, doubt: u64) -> Self;
    /// Of the grams of some origins, how many are not certainly theirs.
    fn doubt_of(&self, origins: &BTreeSet<LotId>) -> u64;
    /// How much work it is to handle.
    fn size(&self) -> usize;

    /// Grams from all origins.
    fn sum(&self) -> u64 {
        self.shares().sum()
    }
}

/// All of them together, by pairs: 300 inputs are nine passes over their shares, and not 300.
pub(super) fn merged_all<V: Mix>(mut parts: Vec<V>) -> V {
    while parts.len() > 1 {
        let mut pairs = Vec::with_capacity(parts.len().div_ceil(2));
        let mut each = parts.into_iter();
        while let Some(one) = each.next() {
            pairs.push(match each.next() {
                Some(other) => one.merged(&other),
                None => one,
            });
        }
        parts = pairs;
    }
    parts.pop().unwrap_or_default()
}

impl Mix for Vector {
    const HAS_RANGES: bool = false;

    fn of(origin: LotId, grams: u64) -> Self {
        Self::of(origin, grams)
    }

    fn shares(&self) -> &Vector {
        self
    }

    fn take(&mut self, grams: u64) -> Self {
        self.take(grams)
    }

    fn rescaled(&self, grams: u64) -> Self {
        self.rescaled(grams)
    }

    fn merged(self, other: &Self) -> Self {
        self.merged(other)
    }

    fn parted(&self, is_part: impl Fn(LotId) -> bool) -> (Self, Self) {
        self.parted(is_part)
    }

    fn origins(&self) -> Vec<LotId> {
        self.components().iter().map(|(origin, _)| *origin).collect()
    }

    fn ranges(&self) -> Option<&Ranges> {
        None
    }

    fn drawn_from(&self, mix: &Self, _: u64) -> Self {
        mix.rescaled(self.sum())
    }

    fn doubt_of(&self, _: &BTreeSet<LotId>) -> u64 {
        0
    }

    fn size(&self) -> usize {
        self.components().len()
    }
}

/// Shares with the range of each. An origin that may have a part and has no share is among the
/// ranges.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Ranged {
    shares: Vector,
    ranges: Ranges,
}

impl Ranged {
    fn map(&self, shares: Vector, range: impl Fn(Range) -> Range) -> Self {
        let ranges = self.ranges.iter().map(|(origin, it)| (*origin, range(*it)));
        Self { shares, ranges: ranges.filter(|(_, it)| it.most > 0).collect() }
    }
}

impl Mix for Ranged {
    const HAS_RANGES: bool = true;

    fn of(origin: LotId, grams: u64) -> Self {
        let range = Range { least: grams, most: grams };
        let ranges = if grams > 0 { vec![(origin, range)] } else { Vec::new() };
        Self { shares: Vector::of(origin, grams), ranges }
    }

    fn shares(&self) -> &Vector {
        &self.shares
    }

    fn take(&mut self, grams: u64) -> Self {
        let whole = self.shares.sum();
        let shares = self.shares.take(grams);
        let taken = self.map(shares, |it| it.of_draw(grams, whole));
        let left = std::mem::take(&mut self.shares);
        *self = self.map(left, |it| it.of_draw(whole.saturating_sub(grams), whole));
        taken
    }

    fn rescaled(&self, grams: u64) -> Self {
        let whole = self.shares.sum();
        if whole == 0 {
            return self.clone();
        }
        self.map(self.shares.rescaled(grams), |it| it.rescaled(grams, whole))
    }

    fn merged(self, other: &Self) -> Self {
        let mut ranges = Vec::with_capacity(self.ranges.len() + other.ranges.len());
        let mut theirs = other.ranges.iter().copied().peekable();
        for (origin, range) in self.ranges {
            while let Some(it) = theirs.next_if(|(other, _)| *other < origin) {
                ranges.push(it);
            }
            let more = theirs.next_if(|(other, _)| *other == origin);
            ranges.push((origin, range.plus(more.map(|(_, it)| it).unwrap_or_default())));
        }
        ranges.extend(theirs);
        Self { shares: self.shares.merged(&other.shares), ranges }
    }

    fn parted(&self, is_part: impl Fn(LotId) -> bool) -> (Self, Self) {
        let (part, rest) = self.shares.parted(&is_part);
        let (of_part, of_rest) = self.ranges.iter().partition(|(origin, _)| is_part(*origin));
        (Self { shares: part, ranges: of_part }, Self { shares: rest, ranges: of_rest })
    }

    fn origins(&self) -> Vec<LotId> {
        self.ranges.iter().map(|(origin, _)| *origin).collect()
    }

    fn ranges(&self) -> Option<&Ranges> {
        Some(&self.ranges)
    }

    fn drawn_from(&self, mix: &Self, doubt: u64) -> Self {
        let whole = mix.shares.sum();
        let shares = mix.shares.rescaled(self.shares.sum());
        let Some((_, of_pool)) = self.ranges.first().copied() else {
            return Self { shares, ranges: Vec::new() };
        };
        // Where more came out of the pool than went in, what went in is taken to be more.
        let scaled = |it: Range, drawn: u64| {
            if drawn > whole {
                it.rescaled(drawn, whole)
            } else {
                it.of_draw(drawn, whole.saturating_add(doubt))
            }
        };
        mix.map(shares, |it| Range {
            least: scaled(it, of_pool.least).least,
            most: scaled(it, of_pool.most).most,
        })
    }

    fn doubt_of(&self, origins: &BTreeSet<LotId>) -> u64 {
        let theirs = self.ranges.iter().filter(|(origin, _)| origins.contains(origin));
        let certain: u64 = theirs.map(|(_, range)| range.least).sum();
        let shares = origins.iter().map(|origin| self.shares.grams_of(*origin));
        shares.sum::<u64>().saturating_sub(certain)
    }

    fn size(&self) -> usize {
        self.ranges.len()
    }
}
