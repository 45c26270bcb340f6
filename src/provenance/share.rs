//! Sharing whole grams: largest remainder, ties to the smaller id.

use crate::domain::LotId;

/// Shares `total` in proportion to `weights`, exactly: each gets the floor of its share, and the
/// grams that are left go one each to the largest remainders, the smaller id first where they are
/// equal. All weights zero: nobody gets anything. Products stay below 2^128 because both sides are
/// 64 bits.
pub(super) fn largest_remainder<K: Ord>(weights: &[(K, u64)], total: u64) -> Vec<u64> {
    let sum: u128 = weights.iter().map(|(_, weight)| u128::from(*weight)).sum();
    if sum == 0 || total == 0 {
        return vec![0; weights.len()];
    }
    // All of it is what there is: each gets its weight.
    if sum == u128::from(total) {
        return weights.iter().map(|(_, weight)| *weight).collect();
    }
    match u64::try_from(sum) {
        Ok(sum) => share_out(weights, total, |weight| divided(weight, total, sum)),
        // Only weights of more than all metal there is come here.
        Err(_) => share_out(weights, total, |weight| {
            let product = u128::from(weight) * u128::from(total);
            // The weight is at most the sum, so the quotient is at most the total.
            (u64::try_from(product / sum).unwrap_or(total), product % sum)
        }),
    }
}

/// `divide` gives the floor and the remainder of a weight's share.
fn share_out<K: Ord, R: Ord + Copy>(
    weights: &[(K, u64)],
    total: u64,
    divide: impl Fn(u64) -> (u64, R),
) -> Vec<u64> {
    let mut shares = Vec::with_capacity(weights.len());
    let mut remainders = Vec::with_capacity(weights.len());
    let mut left = total;
    for (_, weight) in weights {
        let (floor, remainder) = divide(*weight);
        shares.push(floor);
        left -= floor;
        remainders.push(remainder);
    }
    // Fewer grams are left than there are remainders above zero, so a zero remainder gets none and
    // no share of a part of the whole exceeds its weight.
    let favoured = usize::try_from(left).unwrap_or(usize::MAX).min(remainders.len());
    if favoured > 0 {
        favour(weights, &remainders, favoured, &mut shares);
    }
    shares
}

/// One more for each of the largest remainders. Who is among them matters, and not in which order:
/// the least of them is selected, and only those that are equal to it are held against each other.
fn favour<K: Ord, R: Ord + Copy>(
    weights: &[(K, u64)],
    remainders: &[R],
    count: usize,
    shares: &mut [u64],
) {
    let mut ranked = remainders.to_vec();
    let (above, least, _) = ranked.select_nth_unstable_by(count - 1, |one, other| other.cmp(one));
    let (least, mut left) = (*least, count);
    // Equal ones may stand before the least.
    left -= above.iter().filter(|it| **it > least).count();
    let mut equal = Vec::new();
    for (position, remainder) in remainders.iter().enumerate() {
        if *remainder > least {
            shares[position] += 1;
        } else if *remainder == least {
            equal.push(position);
        }
    }
    if left < equal.len() {
        equal.sort_unstable_by(|one, other| weights[*one].0.cmp(&weights[*other].0));
    }
    for position in equal.into_iter().take(left) {
        shares[position] += 1;
    }
}

/// Floor and remainder of a share. Division of 128 bits takes several times as long as one of 64,
/// and most products of grams fit these.
fn divided(weight: u64, total: u64, sum: u64) -> (u64, u64) {
    if let Some(product) = weight.checked_mul(total) {
        return (product / sum, product % sum);
    }
    let product = u128::from(weight) * u128::from(total);
    let floor = product / u128::from(sum);
    let remainder = product - floor * u128::from(sum);
    // The weight is at most the sum, so the floor is at most the total; a remainder is below it.
    (u64::try_from(floor).unwrap_or(total), u64::try_from(remainder).unwrap_or_default())
}

/// Grams per origin: ascending by origin, none zero.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Vector(Vec<(LotId, u64)>);

impl Vector {
    /// All of it from one origin.
    pub(super) fn of(origin: LotId, grams: u64) -> Self {
        let mut vector = Self(vec![(origin, grams)]);
        vector.drop_zeros();
        vector
    }

    /// The components.
    pub(super) fn components(&self) -> &[(LotId, u64)] {
        &self.0
    }

    /// Grams from one origin.
    pub(super) fn grams_of(&self, origin: LotId) -> u64 {
        let found = self.0.binary_search_by(|(id, _)| id.cmp(&origin));
        found.map_or(0, |at| self.0[at].1)
    }

    /// Grams from all origins; sums of at most 512 lots of at most 1e12 g fit.
    pub(super) fn sum(&self) -> u64 {
        self.0.iter().map(|(_, grams)| *grams).sum()
    }

    /// Takes grams out, of each origin its share of what is there; `grams` is at most the sum.
    pub(super) fn take(&mut self, grams: u64) -> Self {
        if grams == self.sum() {
            return std::mem::take(self);
        }
        let mut shares = largest_remainder(&self.0, grams).into_iter();
        let mut taken = Self(Vec::with_capacity(self.0.len()));
        self.0.retain_mut(|(origin, left)| {
            let share = shares.next().unwrap_or_default();
            if share > 0 {
                taken.0.push((*origin, share));
            }
            *left = left.saturating_sub(share);
            *left > 0
        });
        taken
    }

    /// The same mix, of another amount; an empty vector has no mix and stays empty.
    pub(super) fn rescaled(&self, grams: u64) -> Self {
        let shares = largest_remainder(&self.0, grams);
        let scaled = self.0.iter().zip(shares).map(|((origin, _), share)| (*origin, share));
        let mut vector = Self(scaled.collect());
        vector.drop_zeros();
        vector
    }

    /// Both together, origin by origin.
    pub(super) fn merged(self, other: &Self) -> Self {
        if self.0.is_empty() {
            return other.clone();
        }
        let mut sum = Vec::with_capacity(self.0.len() + other.0.len());
        let mut ours = self.0.into_iter().peekable();
        let mut theirs = other.0.iter().copied().peekable();
        while let (Some((our_id, our_grams)), Some((their_id, their_grams))) =
            (ours.peek().copied(), theirs.peek().copied())
        {
            let order = our_id.cmp(&their_id);
            let is_ours = order.is_le();
            let is_theirs = order.is_ge();
            let grams =
                if is_ours { our_grams } else { 0 } + if is_theirs { their_grams } else { 0 };
            sum.push((our_id.min(their_id), grams));
            if is_ours {
                ours.next();
            }
            if is_theirs {
                theirs.next();
            }
        }
        sum.extend(ours);
        sum.extend(theirs);
        Self(sum)
    }

    /// What is of some origins, and the rest.
    pub(super) fn parted(&self, is_part: impl Fn(LotId) -> bool) -> (Self, Self) {
        let (part, rest) = self.0.iter().partition(|(origin, _)| is_part(*origin));
        (Self(part), Self(rest))
    }

    fn drop_zeros(&mut self) {
        self.0.retain(|(_, grams)| *grams > 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> LotId {
        LotId::from_bytes([number; 16])
    }

    #[test]
    fn the_largest_remainders_get_the_grams_that_are_left() {
        let rows: [(&[u64], u64, &[u64]); 8] = [
            (&[1, 1, 1], 10, &[4, 3, 3]),
            (&[1, 1, 1], 11, &[4, 4, 3]),
            (&[2, 1], 1, &[1, 0]),
            (&[5, 3, 2], 10, &[5, 3, 2]),
            (&[5, 3, 2], 7, &[4, 2, 1]),
            (&[0, 7], 3, &[0, 3]),
            (&[0, 0], 3, &[0, 0]),
            (&[u64::MAX, u64::MAX], 3, &[2, 1]),
        ];
        for (weights, total, expected) in rows {
            let weights: Vec<_> =
                weights.iter().zip(1..).map(|(weight, number)| (id(number), *weight)).collect();
            assert_eq!(largest_remainder(&weights, total), expected, "{weights:?} of {total}");
        }
    }

    #[test]
    fn a_tie_goes_to_the_smaller_id_wherever_it_stands() {
        assert_eq!(largest_remainder(&[(id(9), 1), (id(2), 1)], 1), [0, 1]);
    }

    #[test]
    fn shares_are_those_of_a_full_sort_also_where_products_need_128_bits() {
        let mut dice = 7_u64;
        for turn in 0..2_000_u32 {
            let weights: Vec<_> = (0..=u8::try_from(turn % 23).unwrap())
                .map(|place| {
                    dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695);
                    let weight = if turn % 3 == 0 { dice >> 60 } else { dice >> 24 };
                    (id(place), weight)
                })
                .collect();
            let sum: u64 = weights.iter().map(|(_, weight)| weight).sum();
            let total = if sum == 0 { 3 } else { dice % sum };
            let mut rest: Vec<_> = (0..weights.len()).collect();
            let product = |at: usize| u128::from(weights[at].1) * u128::from(total);
            let whole = u128::from(sum.max(1));
            rest.sort_by_key(|at| (std::cmp::Reverse(product(*at) % whole), weights[*at].0));
            let mut expected: Vec<u64> =
                (0..weights.len()).map(|at| u64::try_from(product(at) / whole).unwrap()).collect();
            let left = total - expected.iter().sum::<u64>();
            for at in rest.into_iter().take(usize::try_from(left).unwrap()).filter(|_| sum > 0) {
                expected[at] += 1;
            }
            assert_eq!(largest_remainder(&weights, total), expected, "{weights:?} of {total}");
        }
    }

    #[test]
    fn vectors_add_and_part_without_loss() {
        let both = Vector::of(id(1), 7).merged(&Vector::of(id(3), 5)).merged(&Vector::of(id(1), 2));
        assert_eq!(both.components(), [(id(1), 9), (id(3), 5)]);
        let mut rest = both.clone();
        let taken = rest.take(6);
        assert_eq!(taken.sum(), 6);
        assert_eq!(taken.merged(&rest), both);
        assert_eq!(both.rescaled(28).components(), [(id(1), 18), (id(3), 10)]);
        assert_eq!(both.grams_of(id(3)), 5);
        assert_eq!(both.grams_of(id(2)), 0);
    }
}
