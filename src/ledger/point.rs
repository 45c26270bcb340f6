//! Sums of points that were prepared once.
//!
//! *Owns:* an addition of seven multiplications, where that of the library's points takes nine, and
//! a prepared point of 96 bytes, where one of the library takes 160. The field is that of
//! fiat-crypto, whose code is generated from proofs; points come from curve25519-dalek, which is
//! what the tests hold the sums against.
//!
//! *Never:* knows a key or a signature; hides anything, its time depends on its inputs.
//!
//! *See:* `docs/adr/0020-tables-of-signers.md`. The curve is -x^2 + y^2 = 1 + d x^2 y^2. Its
//! addition (Hisil, Wong, Carter, Dawson 2008, 3.1, with one point affine) is complete: there is no
//! pair of points, small order included, for which it fails.

use curve25519_dalek::EdwardsPoint;
use curve25519_dalek::constants::EIGHT_TORSION;
use fiat_crypto::curve25519_64::{
    fiat_25519_add, fiat_25519_carry, fiat_25519_carry_mul, fiat_25519_carry_square,
    fiat_25519_from_bytes, fiat_25519_loose_field_element as Loose, fiat_25519_sub,
    fiat_25519_tight_field_element as Tight, fiat_25519_to_bytes,
};

/// d, the constant of the curve.
const D: Packed = Packed([
    0x75eb_4dca_1359_78a3,
    0x0070_0a4d_4141_d8ab,
    0x8cc7_4079_7779_e898,
    0x5203_6cee_2b6f_fe73,
]);
/// x of the point of order 4 that is added to read x off a point: a root of -1.
const QUARTER_X: Packed = Packed([
    0xc4ee_1b27_4a0e_a0b0,
    0x2f43_1806_ad2f_e478,
    0x2b4d_0099_3dfb_d7a7,
    0x2b83_2480_4fc1_df0b,
]);
/// 1/2.
const HALF: Packed = Packed([0xffff_ffff_ffff_fff7, u64::MAX, u64::MAX, 0x3fff_ffff_ffff_ffff]);

/// An element of the field: limbs of 51 bits, within the bounds that fiat-crypto calls tight.
#[derive(Clone, Copy)]
pub(super) struct Field([u64; 5]);

impl Field {
    const ZERO: Self = Self([0; 5]);
    const ONE: Self = Self([1, 0, 0, 0, 0]);

    /// Looser bounds, for what is multiplied next.
    #[inline]
    const fn relaxed(&self) -> Loose {
        Loose(self.0)
    }

    #[inline]
    pub(super) fn plus(&self, other: &Self) -> Loose {
        let mut sum = Loose([0; 5]);
        fiat_25519_add(&mut sum, &Tight(self.0), &Tight(other.0));
        sum
    }

    #[inline]
    pub(super) fn minus(&self, other: &Self) -> Loose {
        let mut difference = Loose([0; 5]);
        fiat_25519_sub(&mut difference, &Tight(self.0), &Tight(other.0));
        difference
    }

    #[inline]
    pub(super) fn times(&self, other: &Self) -> Self {
        product(&self.relaxed(), &other.relaxed())
    }

    fn squared(self, times: usize) -> Self {
        let mut square = Tight(self.0);
        for _ in 0..times {
            let root = Loose(square.0);
            fiat_25519_carry_square(&mut square, &root);
        }
        Self(square.0)
    }

    pub(super) fn carried(loose: &Loose) -> Self {
        let mut tight = Tight([0; 5]);
        fiat_25519_carry(&mut tight, loose);
        Self(tight.0)
    }

    /// The lower 255 bits.
    fn from_bytes(bytes: &[u8; 32]) -> Self {
        let (mut tight, mut bytes) = (Tight([0; 5]), *bytes);
        bytes[31] &= 0x7f;
        fiat_25519_from_bytes(&mut tight, &bytes);
        Self(tight.0)
    }

    /// The one canonical spelling.
    pub(super) fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        fiat_25519_to_bytes(&mut bytes, &Tight(self.0));
        bytes
    }

    /// To the power of p - 2; 0 stays 0. The exponent is 250 ones, and 01011.
    fn inverted(self) -> Self {
        // x^2, x^9, x^11: of these two, eleven ends the exponent.
        let square = self.squared(1);
        let nine = square.squared(2).times(&self);
        let eleven = nine.times(&square);
        // Names count the ones.
        let five = eleven.squared(1).times(&nine);
        let ten = five.squared(5).times(&five);
        let twenty = ten.squared(10).times(&ten);
        let forty = twenty.squared(20).times(&twenty);
        let fifty = forty.squared(10).times(&ten);
        let hundred = fifty.squared(50).times(&fifty);
        let all = hundred.squared(100).times(&hundred).squared(50).times(&fifty);
        all.squared(5).times(&eleven)
    }
}

#[inline]
fn product(one: &Loose, other: &Loose) -> Field {
    let mut product = Tight([0; 5]);
    fiat_25519_carry_mul(&mut product, one, other);
    Field(product.0)
}

/// A field element in its canonical 32 bytes, as four numbers.
#[derive(Clone, Copy)]
struct Packed([u64; 4]);

impl Packed {
    fn of(element: Field) -> Self {
        let (bytes, mut words) = (element.to_bytes(), [0; 4]);
        for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        Self(words)
    }

    #[inline]
    const fn unpacked(self) -> Field {
        const LIMB: u64 = (1 << 51) - 1;
        let [a, b, c, d] = self.0;
        Field([
            a & LIMB,
            (a >> 51 | b << 13) & LIMB,
            (b >> 38 | c << 26) & LIMB,
            (c >> 25 | d << 39) & LIMB,
            d >> 12,
        ])
    }
}

/// A point to be added often: (y + x) / 2, (y - x) / 2 and d x y of its affine x and y. Halved, so
/// that a sum's z needs no doubling.
#[derive(Clone, Copy)]
#[repr(align(32))] // two cache lines, never three
pub(super) struct Prepared {
    sum: Packed,
    difference: Packed,
    product: Packed,
}

impl Prepared {
    /// The point that adds nothing: x = 0, y = 1.
    #[cfg(target_arch = "x86_64")]
    pub(super) const ZERO: Self = Self { sum: HALF, difference: HALF, product: Packed([0; 4]) };

    fn of(x: &Field, y: &Field) -> Self {
        let half = HALF.unpacked().relaxed();
        Self {
            sum: Packed::of(product(&y.plus(x), &half)),
            difference: Packed::of(product(&y.minus(x), &half)),
            product: Packed::of(x.times(y).times(&D.unpacked())),
        }
    }

    /// The same points, prepared.
    pub(super) fn of_points(points: &[EdwardsPoint]) -> Vec<Self> {
        // The library spells y. With q = (t, 0) of order 4, where t^2 = -1, the y of p + q is t x.
        let quarter = EIGHT_TORSION[6];
        let turned: Vec<EdwardsPoint> = points.iter().map(|point| point + quarter).collect();
        let turned = EdwardsPoint::compress_batch_alloc(&turned);
        let points = EdwardsPoint::compress_batch_alloc(points);
        let by = Field::carried(&Field::ZERO.minus(&QUARTER_X.unpacked()));
        let both = turned.iter().zip(&points);
        both.map(|(turned, point)| {
            let x = Field::from_bytes(turned.as_bytes()).times(&by);
            Self::of(&x, &Field::from_bytes(point.as_bytes()))
        })
        .collect()
    }

    /// The same sums, prepared.
    pub(super) fn of_sums(sums: &[Sum]) -> Vec<Self> {
        let scales = inverted_scales(sums);
        let both = sums.iter().zip(&scales);
        both.map(|(sum, scale)| Self::of(&sum.x.times(scale), &sum.y.times(scale))).collect()
    }

    /// The three elements, each in its canonical 32 bytes as four numbers.
    #[cfg(target_arch = "x86_64")]
    #[inline]
    pub(super) const fn words(&self) -> [&[u64; 4]; 3] {
        [&self.sum.0, &self.difference.0, &self.product.0]
    }

    /// Fetches it into the cache; of no other use. It begins on a boundary of 32 bytes, so its
    /// first and its last word lie in all lines that it has.
    #[inline]
    pub(super) const fn touch(&self) -> u64 {
        self.sum.0[0] ^ self.product.0[3]
    }
}

/// A sum of points: x = X/Z, y = Y/Z, T = XY/Z.
#[derive(Clone, Copy)]
pub(super) struct Sum {
    x: Field,
    y: Field,
    z: Field,
    t: Field,
}

impl Sum {
    /// Of no points.
    pub(super) const ZERO: Self =
        Self { x: Field::ZERO, y: Field::ONE, z: Field::ONE, t: Field::ZERO };

    /// Of X, Y, Z and T that were computed elsewhere, in limbs of 51 bits that may be three times
    /// as large.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn of_limbs(coordinates: [[u64; 5]; 4]) -> Self {
        let [x, y, z, t] = coordinates.map(|limbs| Field::carried(&Loose(limbs)));
        Self { x, y, z, t }
    }

    /// Adds a point, or the point opposite to it: whose x is -x, so that sum and difference change
    /// places and d x y its sign. No branch on which of them: it would be a guess each time.
    #[inline]
    pub(super) fn add(&mut self, point: &Prepared, is_negated: bool) {
        let (difference, sum) = if is_negated {
            (&point.sum, &point.difference)
        } else {
            (&point.difference, &point.sum)
        };
        let lower = product(&self.y.minus(&self.x), &difference.unpacked().relaxed());
        let upper = product(&self.y.plus(&self.x), &sum.unpacked().relaxed());
        let twist = self.t.times(&point.product.unpacked());
        let below_and_above = [self.z.minus(&twist), self.z.plus(&twist)];
        let turn = usize::from(is_negated);
        let (e, h) = (upper.minus(&lower), upper.plus(&lower));
        let (f, g) = (&below_and_above[turn], &below_and_above[1 - turn]);
        self.x = product(&e, f);
        self.y = product(g, &h);
        self.z = product(f, g);
        self.t = product(&e, &h);
    }

    /// Each as its canonical 32 bytes.
    pub(super) fn spell_all(sums: &[Self]) -> Vec<[u8; 32]> {
        let scales = inverted_scales(sums);
        let spell = |(sum, scale): (&Self, &Field)| {
            let [parity, ..] = sum.x.times(scale).to_bytes();
            let mut bytes = sum.y.times(scale).to_bytes();
            bytes[31] |= parity << 7;
            bytes
        };
        sums.iter().zip(&scales).map(spell).collect()
    }
}

/// 1/Z of each, by one inversion for all. No Z is 0: the addition is complete.
fn inverted_scales(sums: &[Sum]) -> Vec<Field> {
    let mut scales = Vec::with_capacity(sums.len());
    let mut product = Field::ONE;
    for sum in sums {
        scales.push(product);
        product = product.times(&sum.z);
    }
    let mut inverted = product.inverted();
    for (scale, sum) in scales.iter_mut().zip(sums).rev() {
        *scale = scale.times(&inverted);
        inverted = inverted.times(&sum.z);
    }
    scales
}

#[cfg(test)]
mod tests {
    use super::*;
    use curve25519_dalek::Scalar;
    use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
    use curve25519_dalek::edwards::CompressedEdwardsY;

    /// Points of all kinds: of prime order, of small order, and mixed.
    fn points() -> Vec<EdwardsPoint> {
        let multiple = |number: u64| ED25519_BASEPOINT_POINT * Scalar::from(number);
        let large = [0, 1, 2, 3, 0x1234_5678_9abc_def1, u64::MAX].map(multiple);
        let all = large.iter().flat_map(|large| EIGHT_TORSION.map(|small| large + small));
        all.collect()
    }

    #[test]
    fn constants_are_what_they_are_called() {
        let one = Field::ONE.to_bytes();
        let minus_one = Field::carried(&Field::ZERO.minus(&Field::ONE)).to_bytes();
        let half = HALF.unpacked();
        assert_eq!(Field::carried(&half.plus(&half)).to_bytes(), one);
        assert_eq!(QUARTER_X.unpacked().squared(1).to_bytes(), minus_one);
        // d = -121665 / 121666
        let number = |number: u64| Field([number, 0, 0, 0, 0]);
        let minus_d = number(121_665).times(&number(121_666).inverted());
        let sum = Field::carried(&minus_d.plus(&D.unpacked()));
        assert_eq!(sum.to_bytes(), [0; 32]);
        // (t, 0): y is 0, and the highest bit is the parity of x.
        let mut quarter = [0; 32];
        quarter[31] = QUARTER_X.unpacked().to_bytes()[0] << 7;
        assert_eq!(EIGHT_TORSION[6].compress().to_bytes(), quarter);
    }

    #[test]
    fn elements_are_packed_and_unpacked_and_inverted() {
        let mut element = D.unpacked();
        for _ in 0..500 {
            let bytes = element.to_bytes();
            assert_eq!(Field::from_bytes(&bytes).to_bytes(), bytes);
            assert_eq!(Packed::of(element).unpacked().to_bytes(), bytes);
            assert_eq!(element.times(&element.inverted()).to_bytes(), Field::ONE.to_bytes());
            element = Field::carried(&element.squared(1).plus(&QUARTER_X.unpacked()));
        }
        // The largest element, and 0 in its two loose spellings.
        let largest = Field::carried(&Field::ZERO.minus(&Field::ONE));
        assert_eq!(Packed::of(largest).unpacked().to_bytes(), largest.to_bytes());
        let modulus =
            Field([(1 << 51) - 19, (1 << 51) - 1, (1 << 51) - 1, (1 << 51) - 1, (1 << 51) - 1]);
        assert_eq!(modulus.to_bytes(), [0; 32]);
        assert_eq!(modulus.inverted().to_bytes(), [0; 32]);
    }

    #[test]
    fn sums_are_those_of_the_library_for_every_pair_of_points() {
        let points = points();
        let prepared = Prepared::of_points(&points);
        let mut sums = Vec::new();
        let mut expected = Vec::new();
        for (one, prepared_one) in points.iter().zip(&prepared) {
            for (other, prepared_other) in points.iter().zip(&prepared) {
                for (is_one_negated, is_other_negated) in
                    [(false, false), (false, true), (true, false), (true, true)]
                {
                    let mut sum = Sum::ZERO;
                    sum.add(prepared_one, is_one_negated);
                    sum.add(prepared_other, is_other_negated);
                    sums.push(sum);
                    let signed = |point: &EdwardsPoint, is_negated| {
                        if is_negated { -point } else { *point }
                    };
                    expected.push(signed(one, is_one_negated) + signed(other, is_other_negated));
                }
            }
        }
        let expected = EdwardsPoint::compress_batch_alloc(&expected);
        let expected: Vec<[u8; 32]> = expected.iter().map(CompressedEdwardsY::to_bytes).collect();
        assert!(Sum::spell_all(&sums) == expected);
        // Prepared again, they are still the same points.
        let again = Prepared::of_sums(&sums).into_iter().map(|point| {
            let mut sum = Sum::ZERO;
            sum.add(&point, false);
            sum
        });
        assert!(Sum::spell_all(&again.collect::<Vec<_>>()) == expected);
    }

    #[test]
    fn none_are_spelled_as_none() {
        assert!(Sum::spell_all(&[]).is_empty());
        assert!(Prepared::of_sums(&[]).is_empty());
    }
}
