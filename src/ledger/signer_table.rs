//! Multiples of a signer's point, made once: its signatures are then decided by additions alone.
//!
//! The answer is that of [`StrictKey::verify`], bit for bit. `[S]B - [k]A` is computed for each
//! signature by itself and spelled as bytes, which are compared with R: so a second spelling of R
//! never passes, and R is a point. S is below the group order or refused; R of small order is
//! refused by its bytes; A is canonical and not of small order, or it would be no [`StrictKey`].
//! Many signatures share the one inversion that spelling points takes, and nothing else. The
//! additions are those of [`super::point`].
//!
//! Time depends on the inputs, all of which are public.

use std::sync::LazyLock;

use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
use curve25519_dalek::{EdwardsPoint, Scalar};
use sha2::{Digest as _, Sha512};

use super::keys::{SIGNATURE_LEN, StrictKey};
use super::point::{Prepared, Sum};
#[cfg(target_arch = "x86_64")]
use super::wide::{LANES, Term, Wide};
use crate::domain::PublicKey;
use crate::limits::{MAX_SIGNER_TABLE_BYTES, SIGNATURES_AT_ONCE};

/// Bits of a scalar below the group order.
const SCALAR_BITS: usize = 253;

/// Multiples of a point by the signed digits of a scalar, `WIDTH` bits each.
///
/// Row `i` holds 1 to 2^(WIDTH-1) times the point times 2^(WIDTH * i). The last row is shorter: few
/// bits are left for it, and a carry.
struct Comb<const WIDTH: usize> {
    points: Box<[Prepared]>,
}

/// Of a key: fits a second-level cache beside others.
type KeyComb = Comb<6>;
/// Of the base point: one for all, so it may be wide.
type BaseComb = Comb<10>;

const _: () = assert!(KeyComb::BYTES <= MAX_SIGNER_TABLE_BYTES);

static BASE: LazyLock<BaseComb> = LazyLock::new(|| Comb::of(ED25519_BASEPOINT_POINT));

/// Signatures from which lanes are worth their while: one alone takes 15 us in them and 12 without,
/// two take 16 and 20; and more than that in a node that does much else in between.
#[cfg(target_arch = "x86_64")]
const LEAST_IN_LANES: usize = 4;

/// The only bytes that spell a point of small order canonically.
static SMALL_ORDER: LazyLock<[[u8; 32]; 8]> =
    LazyLock::new(|| EIGHT_TORSION.map(|point| point.compress().to_bytes()));

impl<const WIDTH: usize> Comb<WIDTH> {
    /// One bit more than a scalar has: a carry.
    const DIGITS: usize = (SCALAR_BITS + 1).div_ceil(WIDTH);
    const ROW_POINTS: usize = 1 << (WIDTH - 1);
    /// The last digit has the bits that are left, and a carry.
    const LAST_ROW_POINTS: usize = {
        let left = SCALAR_BITS - (Self::DIGITS - 1) * WIDTH;
        if left < WIDTH { 1 << left } else { Self::ROW_POINTS }
    };
    const POINTS: usize = (Self::DIGITS - 1) * Self::ROW_POINTS + Self::LAST_ROW_POINTS;
    const BYTES: usize = Self::POINTS * size_of::<Prepared>();
    /// Rows that are prepared together: they share an inversion.
    const ROWS_AT_ONCE: usize = 2_048_usize.div_ceil(Self::ROW_POINTS);

    fn of(point: EdwardsPoint) -> Self {
        let mut units = Vec::with_capacity(Self::DIGITS);
        let mut unit = point;
        for _ in 0..Self::DIGITS {
            units.push(unit);
            unit = doubled(unit, WIDTH);
        }
        let mut points = Vec::with_capacity(Self::POINTS);
        let mut multiples = Vec::with_capacity(Self::ROWS_AT_ONCE * Self::ROW_POINTS);
        for units in Prepared::of_points(&units).chunks(Self::ROWS_AT_ONCE) {
            multiples.clear();
            for unit in units {
                let mut multiple = Sum::ZERO;
                for _ in 0..Self::ROW_POINTS {
                    multiple.add(unit, false);
                    multiples.push(multiple);
                }
            }
            multiples.truncate(Self::POINTS - points.len());
            points.extend(Prepared::of_sums(&multiples));
        }
        Self { points: points.into_boxed_slice() }
    }

    /// Puts what a scalar times the point is the sum of into a lane, one term a row.
    #[cfg(target_arch = "x86_64")]
    fn fill<'a>(&'a self, rows: &mut [[Term<'a>; LANES]], lane: usize, scalar: &Scalar) {
        debug_assert_eq!(rows.len(), Self::DIGITS);
        let digits = digits(scalar, WIDTH);
        for ((row, points), digit) in
            rows.iter_mut().zip(self.points.chunks(Self::ROW_POINTS)).zip(digits)
        {
            if let (Some(term), Some(point)) = (row.get_mut(lane), multiple(points, digit)) {
                *term = Term { point, is_negated: digit < 0 };
            }
        }
    }

    /// Adds to each sum its scalar times the point. Row by row over all sums: a row then stays in
    /// the first-level cache, and the additions do not wait for each other.
    fn add(&self, sums: &mut [Sum], scalars: &[Scalar]) {
        debug_assert_eq!(sums.len(), scalars.len());
        let mut of_all = vec![0; Self::DIGITS * sums.len()];
        for (place, scalar) in scalars.iter().enumerate() {
            let column = of_all.iter_mut().skip(place).step_by(sums.len());
            column.zip(digits(scalar, WIDTH)).for_each(|(digit, of_scalar)| *digit = of_scalar);
        }
        let rows = self.points.chunks(Self::ROW_POINTS);
        let mut rows = rows.zip(of_all.chunks_exact(sums.len().max(1))).peekable();
        let mut touched = 0;
        while let Some((row, digits)) = rows.next() {
            let (next_row, next_digits) = rows.peek().copied().unwrap_or_default();
            // What the next row gives to this sum is fetched while this row is added: tables of
            // many signers lie further away than an addition can wait.
            let mut coming = next_digits.iter().map(|digit| multiple(next_row, *digit));
            for (sum, digit) in sums.iter_mut().zip(digits) {
                touched ^= coming.next().flatten().map_or(0, Prepared::touch);
                if let Some(point) = multiple(row, *digit) {
                    sum.add(point, *digit < 0);
                }
            }
        }
        // Or nothing would be fetched.
        std::hint::black_box(touched);
    }
}

/// The multiple of a digit, whatever its sign; `None` for digit 0, which adds nothing: there is no
/// place before the first.
#[inline]
fn multiple(row: &[Prepared], digit: i16) -> Option<&Prepared> {
    row.get(usize::from(digit.unsigned_abs()).wrapping_sub(1))
}

fn doubled(mut point: EdwardsPoint, times: usize) -> EdwardsPoint {
    for _ in 0..times / 3 {
        point = point.mul_by_cofactor();
    }
    for _ in 0..times % 3 {
        point += point;
    }
    point
}

/// The digits of a scalar, least first, each from -2^(width-1) to 2^(width-1) - 1, then zeros.
/// Their weighted sum is the scalar itself: a part of small order in the point counts as it must.
fn digits(scalar: &Scalar, width: usize) -> impl Iterator<Item = i16> {
    let mut words = [0_u64; 5];
    for (word, bytes) in words.iter_mut().zip(scalar.as_bytes().as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    let half = 1_u64 << (width - 1);
    let mut carry = 0;
    (0..).step_by(width).map(move |bit: usize| {
        let word = |place: usize| words.get(place).copied().unwrap_or(0);
        let (at, shift) = (bit / 64, bit % 64);
        let window = word(at) >> shift | word(at + 1) << 1 << (63 - shift);
        let found = (window & (2 * half - 1)) + carry;
        carry = u64::from(found >= half);
        // Both parts are at most 2^10.
        #[expect(clippy::cast_possible_truncation, reason = "small")]
        let signed = found as i16 - ((carry * 2 * half) as i16);
        signed
    })
}

/// The table of one signer.
pub(super) struct SignerTable {
    public: PublicKey,
    negated: KeyComb,
}

impl SignerTable {
    pub(super) fn of(key: &StrictKey) -> Self {
        Self { public: key.public_key(), negated: Comb::of(-key.point()) }
    }
}

/// A signature to be decided with a table.
#[derive(Clone, Copy)]
pub(super) struct TableCheck<'a> {
    pub table: &'a SignerTable,
    pub message: &'a [u8],
    pub signature: &'a [u8; SIGNATURE_LEN],
}

/// Whether each signature holds. Those of one signer stand together, or its rows are fetched anew.
pub(super) fn hold(checks: &[TableCheck<'_>]) -> Vec<bool> {
    let chunks = checks.chunks(SIGNATURES_AT_ONCE);
    chunks.flat_map(hold_at_once).collect()
}

fn hold_at_once(checks: &[TableCheck<'_>]) -> Vec<bool> {
    let scalars: Vec<Scalars> = checks.iter().map(Scalars::of).collect();
    #[cfg(target_arch = "x86_64")]
    if checks.len() >= LEAST_IN_LANES
        && let Some(wide) = Wide::try_new()
    {
        let mut holds = decide(checks, &scalars, &sums_in_lanes(wide, checks, &scalars));
        ask_again(checks, &scalars, &mut holds);
        return holds;
    }
    hold_by_proven_sums(checks, &scalars)
}

fn hold_by_proven_sums(checks: &[TableCheck<'_>], scalars: &[Scalars]) -> Vec<bool> {
    decide(checks, scalars, &sums(checks, scalars))
}

/// Lanes have no proof behind them. They are believed that R is the sum, which a mistake does not
/// make true by chance; that it is not, never: the answer of no is the proven field's.
#[cfg(target_arch = "x86_64")]
fn ask_again(checks: &[TableCheck<'_>], scalars: &[Scalars], holds: &mut [bool]) {
    let all = checks.iter().zip(scalars).zip(holds);
    let refused: Vec<_> = all.filter(|(_, holds)| !**holds).collect();
    if refused.is_empty() {
        return;
    }
    let checks: Vec<TableCheck<'_>> = refused.iter().map(|((check, _), _)| **check).collect();
    let scalars: Vec<Scalars> = refused.iter().map(|((_, scalars), _)| **scalars).collect();
    for ((_, holds), answer) in refused.into_iter().zip(hold_by_proven_sums(&checks, &scalars)) {
        *holds = answer;
    }
}

/// What a signature and its message come to, before points are added.
#[derive(Clone, Copy)]
struct Scalars {
    challenge: Scalar,
    /// `None` where S is not below the group order.
    answer: Option<Scalar>,
}

impl Scalars {
    fn of(check: &TableCheck<'_>) -> Self {
        Self { challenge: challenge(check), answer: answer(check) }
    }
}

/// [S]B - [k]A of each.
fn sums(checks: &[TableCheck<'_>], scalars: &[Scalars]) -> Vec<Sum> {
    let mut sums = vec![Sum::ZERO; checks.len()];
    let challenges: Vec<Scalar> = scalars.iter().map(|it| it.challenge).collect();
    let mut left = (sums.as_mut_slice(), challenges.as_slice());
    for of_one in checks.chunk_by(|one, next| std::ptr::eq(one.table, next.table)) {
        let (sums, sums_left) = left.0.split_at_mut(of_one.len());
        let (challenges, challenges_left) = left.1.split_at(of_one.len());
        if let Some(first) = of_one.first() {
            first.table.negated.add(sums, challenges);
        }
        left = (sums_left, challenges_left);
    }
    let answers: Vec<Scalar> = scalars.iter().map(|it| it.answer.unwrap_or_default()).collect();
    BASE.add(&mut sums, &answers);
    sums
}

/// The same by eights.
#[cfg(target_arch = "x86_64")]
fn sums_in_lanes(wide: Wide, checks: &[TableCheck<'_>], scalars: &[Scalars]) -> Vec<Sum> {
    const NOTHING: Term<'static> = Term { point: &Prepared::ZERO, is_negated: false };
    let mut sums = Vec::with_capacity(checks.len());
    let mut rows = vec![[NOTHING; LANES]; KeyComb::DIGITS + BaseComb::DIGITS];
    for (checks, scalars) in checks.chunks(LANES).zip(scalars.chunks(LANES)) {
        rows.fill([NOTHING; LANES]);
        let (of_keys, of_base) = rows.split_at_mut(KeyComb::DIGITS);
        for (lane, (check, scalars)) in checks.iter().zip(scalars).enumerate() {
            check.table.negated.fill(of_keys, lane, &scalars.challenge);
            BASE.fill(of_base, lane, &scalars.answer.unwrap_or_default());
        }
        sums.extend(wide.sums(&rows).into_iter().take(checks.len()));
    }
    sums
}

fn decide(checks: &[TableCheck<'_>], scalars: &[Scalars], sums: &[Sum]) -> Vec<bool> {
    let decide = |((check, scalars), expected): ((&TableCheck<'_>, &Scalars), _)| {
        let [r, _] = halves(check.signature);
        scalars.answer.is_some() && r == expected && !SMALL_ORDER.contains(&r)
    };
    checks.iter().zip(scalars).zip(Sum::spell_all(sums)).map(decide).collect()
}

/// k = SHA-512(R || A || message), reduced.
fn challenge(check: &TableCheck<'_>) -> Scalar {
    let [r, _] = halves(check.signature);
    let hash = Sha512::new().chain_update(r).chain_update(check.table.public.as_bytes());
    Scalar::from_bytes_mod_order_wide(&hash.chain_update(check.message).finalize().into())
}

/// S; `None` when it is not below the group order.
fn answer(check: &TableCheck<'_>) -> Option<Scalar> {
    let [_, s] = halves(check.signature);
    Scalar::from_canonical_bytes(s).into_option()
}

/// R and S.
fn halves(signature: &[u8; SIGNATURE_LEN]) -> [[u8; 32]; 2] {
    let (mut r, mut s) = ([0; 32], [0; 32]);
    let (first, second) = signature.split_at(32);
    r.copy_from_slice(first);
    s.copy_from_slice(second);
    [r, s]
}

#[cfg(test)]
mod tests {
    use super::*;
    use curve25519_dalek::edwards::CompressedEdwardsY;

    fn sum_of(digits: &[i16], width: usize) -> Scalar {
        let unit = Scalar::from(1_u64 << width);
        digits.iter().rev().fold(Scalar::ZERO, |sum, digit| {
            let magnitude = Scalar::from(digit.unsigned_abs());
            sum * unit + if *digit < 0 { -magnitude } else { magnitude }
        })
    }

    #[test]
    fn digits_spell_their_scalar() {
        let edges = [
            Scalar::ZERO,
            Scalar::ONE,
            -Scalar::ONE,
            Scalar::from(u64::MAX),
            Scalar::from_bytes_mod_order([0xff; 32]),
            Scalar::from_bytes_mod_order([0x55; 32]),
            Scalar::from_bytes_mod_order([0xaa; 32]),
        ];
        let mut scalar = Scalar::from(0x1234_5678_9abc_def1_u64);
        let mut all = edges.to_vec();
        for _ in 0..500 {
            scalar = scalar * scalar + Scalar::ONE;
            all.push(scalar);
        }
        for scalar in all {
            for (width, count) in [(6, KeyComb::DIGITS), (10, BaseComb::DIGITS)] {
                let digits: Vec<i16> = digits(&scalar, width).take(count).collect();
                let half = 1 << (width - 1);
                assert!(digits.iter().all(|digit| (-half..half).contains(digit)));
                assert_eq!(sum_of(&digits, width), scalar);
            }
        }
    }

    #[test]
    fn multiples_are_those_of_the_library() {
        let point = ED25519_BASEPOINT_POINT * Scalar::from(7_u64) + EIGHT_TORSION[1];
        let comb: KeyComb = Comb::of(point);
        assert_eq!(comb.points.len(), KeyComb::POINTS);
        assert_eq!(BASE.points.len(), BaseComb::POINTS);
        let mut scalars: Vec<Scalar> = (1..40_u64)
            .map(|number| Scalar::from(number).invert() - Scalar::from(number))
            .collect();
        // The largest reach the last row, by a bit of their own and by a carry.
        let high = |high: u8, low: u8| {
            let mut bytes = [low; 32];
            bytes[31] = high;
            Scalar::from_bytes_mod_order(bytes)
        };
        scalars.extend([Scalar::ZERO, Scalar::ONE, -Scalar::ONE, high(0x10, 0), high(0x0f, 0xff)]);
        let mut sums = vec![Sum::ZERO; scalars.len()];
        comb.add(&mut sums, &scalars);
        BASE.add(&mut sums, &scalars);
        for (spelled, scalar) in Sum::spell_all(&sums).iter().zip(&scalars) {
            let expected = point * scalar + ED25519_BASEPOINT_POINT * scalar;
            assert_eq!(*spelled, expected.compress().to_bytes());
        }
    }

    #[test]
    fn no_digit_is_beyond_its_row() {
        let high = |high: u8, low: u8| {
            let mut bytes = [low; 32];
            bytes[31] = high;
            Scalar::from_bytes_mod_order(bytes)
        };
        for scalar in [-Scalar::ONE, high(0x10, 0), high(0x0f, 0xff), high(0x08, 0)] {
            let last = digits(&scalar, 6).nth(KeyComb::DIGITS - 1).unwrap();
            assert!(usize::from(last.unsigned_abs()) <= KeyComb::LAST_ROW_POINTS, "{last}");
            let last = digits(&scalar, 10).nth(BaseComb::DIGITS - 1).unwrap();
            assert!(usize::from(last.unsigned_abs()) <= BaseComb::LAST_ROW_POINTS, "{last}");
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn a_no_of_the_lanes_is_asked_again_and_a_yes_is_not() {
        let signer = crate::ledger::SigningKey::from_seed([7; 32]);
        let table = SignerTable::of(&StrictKey::parse(&signer.public_key()).unwrap());
        let (right, wrong) = (signer.sign(b"one"), signer.sign(b"another"));
        let of = |signature| TableCheck { table: &table, message: b"one", signature };
        let checks = [of(&right), of(&wrong), of(&right), of(&wrong)];
        let scalars: Vec<Scalars> = checks.iter().map(Scalars::of).collect();
        let mut holds = [false, false, true, true];
        ask_again(&checks, &scalars, &mut holds);
        assert_eq!(holds, [true, false, true, true]);
    }

    #[test]
    fn points_of_small_order_are_eight() {
        let distinct: std::collections::BTreeSet<_> = SMALL_ORDER.iter().collect();
        assert_eq!(distinct.len(), 8);
        for bytes in SMALL_ORDER.iter() {
            let point = CompressedEdwardsY(*bytes).decompress().unwrap();
            assert!(point.is_small_order());
        }
    }
}
