//! Eight sums of points at once, for processors that have the instructions.
//!
//! *Owns:* the addition of [`super::point`], the same formula, in eight lanes of AVX-512 with its
//! multiplication of 52 bits (IFMA). Prepared points and sums are those of that file.
//!
//! *Never:* is the last word. No proof was generated for this field, as it was for the other one:
//! who gets no for an answer asks [`super::point`] again.
//!
//! *See:* `docs/adr/0025-eight-sums-at-once.md`. Tests hold it against the library's points.
//!
//! An element is five limbs of 51 bits: the sum of `limb[i] << (51 * i)`. *Tight* limbs are below
//! 2^51 + 2^14; every operation takes tight limbs and gives tight ones, and says why.

use std::arch::x86_64::__m512i;

use super::point::{Prepared, Sum};

/// How many.
pub(super) const LANES: usize = 8;

/// A prepared point for one lane, or the point opposite to it.
#[derive(Clone, Copy)]
pub(super) struct Term<'a> {
    pub(super) point: &'a Prepared,
    pub(super) is_negated: bool,
}

pulp::simd_type! {
    /// Proof that this processor has them.
    pub(super) struct Wide {
        base: "avx512f",
        products: "avx512ifma",
    }
}

impl Wide {
    /// The sums of each lane's terms: `rows` are added one after the other.
    pub(super) fn sums(self, rows: &[[Term<'_>; LANES]]) -> [Sum; LANES] {
        self.vectorize(Additions { wide: self, rows })
    }
}

struct Additions<'a> {
    wide: Wide,
    rows: &'a [[Term<'a>; LANES]],
}

impl pulp::NullaryFnOnce for Additions<'_> {
    type Output = [Sum; LANES];

    // What is not inlined into `vectorize` is compiled for any processor: a call for every
    // instruction, ten times as slow. So are closures, and there are none from here on.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "see above")]
    fn call(self) -> [Sum; LANES] {
        let mut sums = Sums::zero(self.wide);
        let mut touched = 0;
        for (place, row) in self.rows.iter().enumerate() {
            // Tables of many signers lie further away than an addition can wait.
            for term in self.rows.get(place + 1).into_iter().flatten() {
                touched ^= term.point.touch();
            }
            sums.add(self.wide, row);
        }
        // Or nothing would be fetched.
        std::hint::black_box(touched);
        sums.apart()
    }
}

/// Field elements, one in each lane.
type Element = [__m512i; 5];

/// Sums of points: x = X/Z, y = Y/Z, T = XY/Z.
struct Sums {
    x: Element,
    y: Element,
    z: Element,
    t: Element,
}

#[expect(clippy::inline_always, reason = "as above")]
impl Sums {
    #[inline(always)]
    fn zero(wide: Wide) -> Self {
        let zero = [wide.base._mm512_setzero_si512(); 5];
        let mut one = zero;
        one[0] = wide.base._mm512_set1_epi64(1);
        Self { x: zero, y: one, z: one, t: zero }
    }

    /// [`Sum::add`], line by line.
    #[inline(always)]
    fn add(&mut self, wide: Wide, row: &[Term<'_>; LANES]) {
        let [difference, sum, product] = wide.prepared(row);
        let lower = wide.times(&wide.minus(&self.y, &self.x), &difference);
        let upper = wide.times(&wide.plus(&self.y, &self.x), &sum);
        let twist = wide.times(&self.t, &product);
        let twist = wide.negated_where(&twist, row);
        let (e, h) = (wide.minus(&upper, &lower), wide.plus(&upper, &lower));
        let (f, g) = (wide.minus(&self.z, &twist), wide.plus(&self.z, &twist));
        self.x = wide.times(&e, &f);
        self.y = wide.times(&g, &h);
        self.z = wide.times(&f, &g);
        self.t = wide.times(&e, &h);
    }

    #[inline(always)]
    fn apart(&self) -> [Sum; LANES] {
        let mut coordinates = [[[0; 5]; 4]; LANES];
        for (which, element) in [&self.x, &self.y, &self.z, &self.t].into_iter().enumerate() {
            for (limb, vector) in element.iter().enumerate() {
                let numbers: [u64; LANES] = pulp::cast(*vector);
                for (coordinates, number) in coordinates.iter_mut().zip(numbers) {
                    coordinates[which][limb] = number;
                }
            }
        }
        coordinates.map(Sum::of_limbs)
    }
}

#[expect(
    clippy::inline_always,
    clippy::needless_range_loop,
    reason = "as above; and a loop over numbers is unrolled, so that vectors stay in registers"
)]
impl Wide {
    #[inline(always)]
    fn all(self, number: i64) -> __m512i {
        self.base._mm512_set1_epi64(number)
    }

    /// Of limbs below 2^60.4, tight ones: what each has above 51 bits is below 2^9.4 and goes to
    /// the next; from the last one to the first 19 times, below 2^13.7, since 2^255 = 19.
    #[inline(always)]
    fn carried(self, loose: &Element) -> Element {
        let base = self.base;
        let mask = self.all((1 << 51) - 1);
        let (mut tight, mut above) = (*loose, *loose);
        for limb in 0..5 {
            tight[limb] = base._mm512_and_si512(loose[limb], mask);
            above[limb] = base._mm512_srli_epi64::<51>(loose[limb]);
        }
        tight[0] = self.products._mm512_madd52lo_epu64(tight[0], above[4], self.all(19));
        for limb in 1..5 {
            tight[limb] = base._mm512_add_epi64(tight[limb], above[limb - 1]);
        }
        tight
    }

    #[inline(always)]
    fn plus(self, one: &Element, other: &Element) -> Element {
        let mut sum = *one;
        for limb in 0..5 {
            sum[limb] = self.base._mm512_add_epi64(one[limb], other[limb]);
        }
        self.carried(&sum)
    }

    /// With 4p added, whose limbs are above 2^52: so none is below zero.
    #[inline(always)]
    fn minus(self, one: &Element, other: &Element) -> Element {
        let base = self.base;
        let mut difference = *one;
        for limb in 0..5 {
            let bias = self.all(if limb == 0 { (1 << 53) - 76 } else { (1 << 53) - 4 });
            let raised = base._mm512_add_epi64(one[limb], bias);
            difference[limb] = base._mm512_sub_epi64(raised, other[limb]);
        }
        self.carried(&difference)
    }

    /// The multiplication takes 52 bits of each factor, and tight limbs have no more. It gives the
    /// lower 52 bits of each product and the upper ones apart; the latter weigh 2^52, twice a limb.
    ///
    /// Five lower ones and twice five upper ones are below 15 * 2^52 < 2^56; with 19 times as much
    /// from above, 2^255 being 19, below 20 * 15 * 2^52 < 2^60.3.
    #[inline(always)]
    fn times(self, one: &Element, other: &Element) -> Element {
        let (base, products) = (self.base, self.products);
        let zero = base._mm512_setzero_si512();
        let (mut lower, mut upper) = ([zero; 10], [zero; 10]);
        for i in 0..5 {
            for j in 0..5 {
                let at = i + j;
                lower[at] = products._mm512_madd52lo_epu64(lower[at], one[i], other[j]);
                upper[at + 1] = products._mm512_madd52hi_epu64(upper[at + 1], one[i], other[j]);
            }
        }
        for at in 0..10 {
            let twice = base._mm512_slli_epi64::<1>(upper[at]);
            lower[at] = base._mm512_add_epi64(lower[at], twice);
        }
        let mut folded = *one;
        for limb in 0..5 {
            let above = lower[limb + 5];
            let sixteen = base._mm512_slli_epi64::<4>(above);
            let three = base._mm512_add_epi64(above, base._mm512_slli_epi64::<1>(above));
            let nineteen = base._mm512_add_epi64(sixteen, three);
            folded[limb] = base._mm512_add_epi64(lower[limb], nineteen);
        }
        self.carried(&folded)
    }

    /// The element, and its opposite in lanes whose point is negated: 2p less it, whose limbs are
    /// not below zero, nor above 2^52; [`Wide::minus`] takes them with its 4p, and so does
    /// [`Wide::plus`].
    #[inline(always)]
    fn negated_where(self, element: &Element, row: &[Term<'_>; LANES]) -> Element {
        let mut mask = 0_u8;
        for (lane, term) in row.iter().enumerate() {
            mask |= u8::from(term.is_negated) << lane;
        }
        let mut turned = *element;
        for limb in 0..5 {
            let from = self.all(if limb == 0 { (1 << 52) - 38 } else { (1 << 52) - 2 });
            turned[limb] =
                self.base._mm512_mask_sub_epi64(element[limb], mask, from, element[limb]);
        }
        turned
    }

    /// What is multiplied: (y - x) / 2, (y + x) / 2 and d x y; of a negated point the first two
    /// change places. Limbs of exactly 51 bits.
    #[inline(always)]
    fn prepared(self, row: &[Term<'_>; LANES]) -> [Element; 3] {
        let nothing = &[0; 4];
        let (mut differences, mut sums) = ([nothing; LANES], [nothing; LANES]);
        let mut products = [nothing; LANES];
        for lane in 0..LANES {
            let Term { point, is_negated } = row[lane];
            let [sum, difference, product] = point.words();
            (differences[lane], sums[lane]) =
                if is_negated { (sum, difference) } else { (difference, sum) };
            products[lane] = product;
        }
        [self.unpacked(&differences), self.unpacked(&sums), self.unpacked(&products)]
    }

    /// Of 255 bits in four words for each lane, five limbs.
    #[inline(always)]
    fn unpacked(self, words: &[&[u64; 4]; LANES]) -> Element {
        let base = self.base;
        let mask = self.all((1 << 51) - 1);
        let [a, b, c, d] = self.turned(words);
        let mut limbs = [
            a,
            self.either(base._mm512_srli_epi64::<51>(a), base._mm512_slli_epi64::<13>(b)),
            self.either(base._mm512_srli_epi64::<38>(b), base._mm512_slli_epi64::<26>(c)),
            self.either(base._mm512_srli_epi64::<25>(c), base._mm512_slli_epi64::<39>(d)),
            base._mm512_srli_epi64::<12>(d),
        ];
        for limb in 0..5 {
            limbs[limb] = base._mm512_and_si512(limbs[limb], mask);
        }
        limbs
    }

    #[inline(always)]
    fn either(self, one: __m512i, other: __m512i) -> __m512i {
        self.base._mm512_or_si512(one, other)
    }

    /// Four words of each lane, as four vectors of one word of every lane.
    #[inline(always)]
    fn turned(self, words: &[&[u64; 4]; LANES]) -> [__m512i; 4] {
        let base = self.base;
        let (a, b) = (self.pair(words[0], words[2]), self.pair(words[1], words[3]));
        let (c, d) = (self.pair(words[4], words[6]), self.pair(words[5], words[7]));
        let (even, odd) = (base._mm512_unpacklo_epi64(a, b), base._mm512_unpackhi_epi64(a, b));
        let (even_of_next, odd_of_next) =
            (base._mm512_unpacklo_epi64(c, d), base._mm512_unpackhi_epi64(c, d));
        [
            base._mm512_shuffle_i64x2::<0x88>(even, even_of_next),
            base._mm512_shuffle_i64x2::<0x88>(odd, odd_of_next),
            base._mm512_shuffle_i64x2::<0xdd>(even, even_of_next),
            base._mm512_shuffle_i64x2::<0xdd>(odd, odd_of_next),
        ]
    }

    #[inline(always)]
    fn pair(self, one: &[u64; 4], other: &[u64; 4]) -> __m512i {
        let one = self.base._mm512_castsi256_si512(pulp::cast(*one));
        self.base._mm512_inserti64x4::<1>(one, pulp::cast(*other))
    }
}

#[cfg(test)]
mod tests {
    use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
    use curve25519_dalek::edwards::CompressedEdwardsY;
    use curve25519_dalek::{EdwardsPoint, Scalar};
    use fiat_crypto::curve25519_64::fiat_25519_loose_field_element as Loose;

    use super::super::point::Field;
    use super::*;

    /// What this processor has; a test that needs it says so where it is not there.
    fn wide() -> Option<Wide> {
        let wide = Wide::try_new();
        if wide.is_none() {
            eprintln!("SKIPPED: this processor has no AVX-512 with IFMA");
        }
        wide
    }

    /// Tight limbs from their largest downwards, and others from everywhere.
    fn elements() -> Vec<[u64; 5]> {
        const LARGEST: u64 = (1 << 51) + (1 << 14) - 1;
        let edges = [0, 1, 19, 1 << 50, (1 << 51) - 19, (1 << 51) - 1, 1 << 51, LARGEST];
        let mut number = 0x9e37_79b9_7f4a_7c15_u64;
        let mut elements: Vec<[u64; 5]> = edges.iter().map(|limb| [*limb; 5]).collect();
        for turn in 0..200 {
            elements.push([(); 5].map(|()| {
                number = number.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                let pick = usize::try_from(number >> 61).unwrap();
                if turn % 2 == 0 { edges[pick] } else { (number >> 8) % (LARGEST + 1) }
            }));
        }
        elements
    }

    struct Arithmetic<'a> {
        wide: Wide,
        one: &'a [[u64; LANES]; 5],
        other: &'a [[u64; LANES]; 5],
    }

    impl pulp::NullaryFnOnce for Arithmetic<'_> {
        type Output = [[[u64; LANES]; 5]; 3];

        #[inline(always)]
        #[expect(clippy::inline_always, reason = "as above")]
        fn call(self) -> Self::Output {
            let Self { wide, one, other } = self;
            let (one, other) = (one.map(pulp::cast), other.map(pulp::cast));
            [wide.times(&one, &other), wide.plus(&one, &other), wide.minus(&one, &other)]
                .map(|element: Element| element.map(pulp::cast))
        }
    }

    fn bytes(limbs: [u64; 5]) -> [u8; 32] {
        Field::carried(&Loose(limbs)).to_bytes()
    }

    #[test]
    fn arithmetic_is_that_of_the_proven_field_and_stays_within_its_bounds() {
        let Some(wide) = wide() else { return };
        let elements = elements();
        let across = |of: &[[u64; 5]]| {
            std::array::from_fn(|limb| std::array::from_fn(|lane| of[lane % of.len()][limb]))
        };
        for turn in 0..elements.len() {
            let mut others = elements.clone();
            others.rotate_left(turn);
            for (one, other) in elements.chunks(LANES).zip(others.chunks(LANES)) {
                let (one_across, other_across) = (across(one), across(other));
                let job = Arithmetic { wide, one: &one_across, other: &other_across };
                let results = wide.vectorize(job);
                for (lane, (one, other)) in one.iter().zip(other).enumerate() {
                    let [one, other] = [one, other].map(|limbs| Field::carried(&Loose(*limbs)));
                    let expected = [
                        one.times(&other),
                        Field::carried(&one.plus(&other)),
                        Field::carried(&one.minus(&other)),
                    ];
                    for (result, expected) in results.iter().zip(expected) {
                        let limbs = result.map(|limb| limb[lane]);
                        assert!(limbs.iter().all(|limb| *limb < (1 << 51) + (1 << 14)));
                        assert!(bytes(limbs) == expected.to_bytes());
                    }
                }
            }
        }
    }

    /// Points of all kinds: of prime order, of small order, and mixed.
    fn points() -> Vec<EdwardsPoint> {
        let multiple = |number: u64| ED25519_BASEPOINT_POINT * Scalar::from(number);
        let large = [0, 1, 2, 3, 0x1234_5678_9abc_def1, u64::MAX].map(multiple);
        large.iter().flat_map(|large| EIGHT_TORSION.map(|small| large + small)).collect()
    }

    #[test]
    fn sums_are_those_of_the_library_for_every_pair_of_points_in_every_lane() {
        let Some(wide) = wide() else { return };
        let points = points();
        let prepared = Prepared::of_points(&points);
        let signs = [(false, false), (false, true), (true, false), (true, true)];
        let signed = |place: usize, is_negated| {
            if is_negated { -points[place] } else { points[place] }
        };
        let mut pairs = Vec::new();
        for one in 0..points.len() {
            for other in 0..points.len() {
                pairs.extend(signs.map(|(first, second)| ((one, first), (other, second))));
            }
        }
        // A length that no eight divides: each pair comes by in other lanes, beside other pairs.
        assert!(pairs.len().is_multiple_of(LANES));
        pairs.push(pairs[1]);
        let (mut sums, mut expected) = (Vec::new(), Vec::new());
        let cycle: Vec<_> = pairs.iter().cycle().take(LANES * pairs.len()).copied().collect();
        for eight in cycle.as_chunks::<LANES>().0 {
            let term =
                |(place, is_negated): (usize, bool)| Term { point: &prepared[place], is_negated };
            let nothing = Term { point: &Prepared::ZERO, is_negated: true };
            let rows =
                [eight.map(|(one, _)| term(one)), [nothing; LANES], eight.map(|(_, it)| term(it))];
            sums.extend(wide.sums(&rows));
            let of = |((one, first), (other, second))| signed(one, first) + signed(other, second);
            expected.extend(eight.map(of));
        }
        let expected = EdwardsPoint::compress_batch_alloc(&expected);
        let expected: Vec<[u8; 32]> = expected.iter().map(CompressedEdwardsY::to_bytes).collect();
        assert!(Sum::spell_all(&sums) == expected);
    }

    #[test]
    fn long_sums_are_those_of_the_proven_additions() {
        let Some(wide) = wide() else { return };
        let prepared = Prepared::of_points(&points());
        let row = |row: usize| {
            std::array::from_fn(|lane| Term {
                point: &prepared[(row * 31 + lane * 7) % prepared.len()],
                is_negated: (row + lane).is_multiple_of(3),
            })
        };
        let rows: Vec<[Term<'_>; LANES]> = (0..500).map(row).collect();
        let expected: Vec<Sum> = (0..LANES)
            .map(|lane| {
                let mut sum = Sum::ZERO;
                for row in &rows {
                    sum.add(row[lane].point, row[lane].is_negated);
                }
                sum
            })
            .collect();
        assert!(Sum::spell_all(&wide.sums(&rows)) == Sum::spell_all(&expected));
        assert!(Sum::spell_all(&wide.sums(&[])) == vec![Sum::spell_all(&[Sum::ZERO])[0]; LANES]);
    }
}
