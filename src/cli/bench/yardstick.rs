//! The yardstick: plain strict signature checks, as ed25519-dalek has them, on all cores.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use ed25519_dalek::{Signature, VerifyingKey};
use rayon::prelude::*;

use super::load::Signed;
use crate::ledger::envelope::{EVENT_PAYLOAD_TYPE, Envelope, pae};

/// A signature with what it is over, taken apart before anything is measured.
pub(super) struct Check {
    signer: usize,
    signature: Signature,
    message: Vec<u8>,
}

/// Keys of all signers, decompressed.
pub(super) struct Yardstick(Vec<VerifyingKey>);

impl Yardstick {
    pub(super) fn of(keys: &[[u8; 32]]) -> anyhow::Result<Self> {
        let keys = keys.par_iter().map(VerifyingKey::from_bytes).collect::<Result<_, _>>();
        Ok(Self(keys.context("a key of the load is none")?))
    }

    /// The messages of events.
    pub(super) fn checks(events: &[Signed]) -> anyhow::Result<Vec<Check>> {
        let checks = events.par_iter().map(|it| {
            let envelope = Envelope::parse(&it.envelope)?;
            let [signature] = &envelope.signatures[..] else { bail!("one signs each event") };
            let signature = Signature::from_bytes(&signature.signature);
            let message = pae(EVENT_PAYLOAD_TYPE, &envelope.payload);
            Ok(Check { signer: it.signer, signature, message })
        });
        checks.collect()
    }

    /// Checks all of them; how long it took.
    pub(super) fn measure(&self, checks: &[Check]) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        let hold = checks.par_iter().all(|it| {
            let key = self.0.get(it.signer);
            key.is_some_and(|key| key.verify_strict(&it.message, &it.signature).is_ok())
        });
        let took = begun.elapsed();
        if hold { Ok(took) } else { bail!("a signature of the load does not hold") }
    }
}
