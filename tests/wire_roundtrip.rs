//! Random events through the border: what is written is admitted and read back the same, and
//! whatever is admitted has exactly one spelling.

#![allow(clippy::expect_used, reason = "a test may stop")]

#[path = "common/events.rs"]
mod events;

use proptest::prelude::*;
use prost::Message as _;
use urbanmine::wire::canonical::{self, MessageName};
use urbanmine::wire::{decode_event, encode_event, v1};

/// One change to a byte string.
#[derive(Debug, Clone)]
enum Mutation {
    Set {
        at: usize,
        to: u8,
    },
    Flip {
        at: usize,
        bit: u8,
    },
    Insert {
        at: usize,
        byte: u8,
    },
    Remove {
        at: usize,
    },
    /// Copies a span to another place: repeated and misplaced fields.
    Copy {
        from: usize,
        length: usize,
        to: usize,
    },
    Truncate {
        at: usize,
    },
    /// Spells a varint with a needless byte.
    Widen {
        at: usize,
    },
}

impl Mutation {
    fn of(&self, bytes: &[u8]) -> Vec<u8> {
        let mut mutated = bytes.to_vec();
        let length = bytes.len();
        match *self {
            Self::Set { at, to } => mutated[at % length] = to,
            Self::Flip { at, bit } => mutated[at % length] ^= 1 << bit,
            Self::Insert { at, byte } => mutated.insert(at % (length + 1), byte),
            Self::Remove { at } => drop(mutated.remove(at % length)),
            Self::Copy { from, length: span, to } => {
                let from = from % length;
                let span = bytes[from..(from + span).min(length)].to_vec();
                let to = to % (length + 1);
                mutated.splice(to..to, span);
            }
            Self::Truncate { at } => mutated.truncate(at % length),
            Self::Widen { at } => {
                mutated[at % length] |= 0x80;
                mutated.insert(at % length + 1, 0);
            }
        }
        mutated
    }
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let at = || 0..4_000_usize;
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, to)| Mutation::Set { at, to }),
        (at(), 0..8_u8).prop_map(|(at, bit)| Mutation::Flip { at, bit }),
        (at(), any::<u8>()).prop_map(|(at, byte)| Mutation::Insert { at, byte }),
        at().prop_map(|at| Mutation::Remove { at }),
        (at(), 1..40_usize, at()).prop_map(|(from, length, to)| Mutation::Copy {
            from,
            length,
            to
        }),
        at().prop_map(|at| Mutation::Truncate { at }),
        at().prop_map(|at| Mutation::Widen { at }),
    ]
}

/// What is admitted decodes, and is what the decoder's own writer gives back.
fn assert_one_spelling(bytes: &[u8]) {
    if canonical::check(MessageName::Event, bytes).is_ok() {
        let decoded = v1::Event::decode(bytes).expect("what is admitted decodes");
        assert_eq!(decoded.encode_to_vec(), bytes, "two spellings of one event are admitted");
    }
}

/// What is refused is no decoder's own spelling of an event with a body and known words.
fn assert_no_false_refusal(bytes: &[u8]) {
    let Ok(decoded) = v1::Event::decode(bytes) else { return };
    if decoded.body.is_none() || decoded.encode_to_vec() != bytes {
        return;
    }
    if let Err(fault) = canonical::check(MessageName::Event, bytes) {
        let may_be = matches!(fault.rule, canonical::CanonicalRule::UnknownEnumValue);
        assert!(may_be, "refused what prost writes: {fault}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn written_events_are_admitted_and_read_back(event in events::event()) {
        let bytes = encode_event(&event);
        prop_assert_eq!(canonical::check(MessageName::Event, &bytes), Ok(()));
        prop_assert_eq!(decode_event(&bytes), Ok(event));
    }

    #[test]
    fn mutated_events_have_one_spelling(
        event in events::event(),
        mutations in prop::collection::vec(mutation(), 64),
    ) {
        let bytes = encode_event(&event);
        for mutation in &mutations {
            let mutated = mutation.of(&bytes);
            assert_one_spelling(&mutated);
            assert_no_false_refusal(&mutated);
        }
    }

    #[test]
    fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        assert_one_spelling(&bytes);
        let _ = decode_event(&bytes);
    }
}
