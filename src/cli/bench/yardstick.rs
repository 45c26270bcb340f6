//! The yardstick: plain strict signature checks, as ed25519-dalek has them, on all cores.

use std::time::Instant;

use anyhow::{Context as _, bail};
use ed25519_dalek::{Signature, VerifyingKey};
use rayon::prelude::*;

use super::load::Signed;
use super::rate::per_second;
use crate::ledger::envelope::{EVENT_PAYLOAD_TYPE, Envelope, pae};
use crate::limits::MAX_YARDSTICK_CHECKS;

/// Signatures with what they are over, taken apart before anything is measured.
pub(super) struct Yardstick(Vec<Check>);

struct Check {
    key: VerifyingKey,
    signature: Signature,
    message: Vec<u8>,
}

impl Yardstick {
    /// The messages of events, spread evenly where there are more than it takes.
    pub(super) fn of(events: &[Signed]) -> anyhow::Result<Self> {
        let step = events.len().div_ceil(MAX_YARDSTICK_CHECKS).max(1);
        let checks = events.par_iter().step_by(step).map(|it| {
            let envelope = Envelope::parse(&it.envelope)?;
            let [signature] = &envelope.signatures[..] else { bail!("one signs each event") };
            let key = VerifyingKey::from_bytes(it.key.as_bytes());
            Ok(Check {
                key: key.context("a key of the load is none")?,
                signature: Signature::from_bytes(&signature.signature),
                message: pae(EVENT_PAYLOAD_TYPE, &envelope.payload),
            })
        });
        Ok(Self(checks.collect::<anyhow::Result<_>>()?))
    }

    /// How many they are.
    pub(super) fn count(&self) -> u64 {
        self.0.len() as u64
    }

    /// Checks all of them; how many a second.
    pub(super) fn measure(&self) -> anyhow::Result<f64> {
        let begun = Instant::now();
        let hold =
            self.0.par_iter().all(|it| it.key.verify_strict(&it.message, &it.signature).is_ok());
        let took = begun.elapsed();
        if hold {
            Ok(per_second(self.count(), took))
        } else {
            bail!("a signature of the load does not hold")
        }
    }
}
