//! `urbanmine witness`

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::json;
use tokio::net::TcpListener;

use super::keyfile::{self, KeySource, PassphraseArgs};
use super::runtime;
use crate::ledger::cosignature::Cosigner;
use crate::ledger::policy::Policy;
use crate::ledger::vkey::{SignatureType, VerifierKey};
use crate::limits::MAX_POLICY_BYTES;
use crate::node::{Clock as _, SystemClock};
use crate::witness::{Witness, server};

/// What an operator of a witness has to know, under its help.
const HELP: &str = "\
It cosigns a checkpoint of a log only when it continues the last one that it cosigned of that log,
and keeps it on disk before the cosignature leaves (C2SP tlog-witness).

Plain HTTP: put it behind a proxy that speaks TLS where others reach it. Nothing here is secret, and
everything is signed.

A log whose key is rotated: give its next key as a further --log behind the one before, and start
again. From the first checkpoint that the next key signed on, the older one counts no more. The
order of the keys of one log is the order in which they followed each other.

Never restore the state from a backup: the witness would forget what it saw. One that lost its state
takes a new name and key.";

/// Run a witness: cosign the checkpoints of logs that only grow.
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub struct WitnessArgs {
    /// Key file of the witness (see keygen). The key must sign nothing else.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    #[command(flatten)]
    passphrase: PassphraseArgs,
    /// Name of the witness: a URL without a scheme, such as witness.example/w1.
    #[arg(long, value_name = "NAME")]
    name: String,
    /// Verifier key of a log (signature type 0x01); its name is the log's origin.
    #[arg(long = "log", value_name = "VKEY", required = true)]
    logs: Vec<String>,
    /// Directory of the state; this process's alone. Made where it is missing.
    #[arg(long, value_name = "DIR")]
    state: PathBuf,
    /// Address to listen on.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7880")]
    listen: SocketAddr,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &WitnessArgs) -> anyhow::Result<()> {
    let mut logs = Vec::with_capacity(args.logs.len());
    for text in &args.logs {
        let log = VerifierKey::parse_as(SignatureType::Ed25519, text);
        logs.push(log.with_context(|| format!("--log {text:?}"))?);
    }
    let source = KeySource::File(args.key.clone());
    let key = keyfile::read_ledger(&source, &args.passphrase.source())?;
    if logs.iter().any(|log| log.public_key() == key.public_key()) {
        bail!("the witness's key is a log's key, too: whoever has it could cosign itself");
    }
    let cosigner = Cosigner::new(&args.name, key).context("--name")?;
    let clock = SystemClock;
    let now = Box::new(move || clock.now().get() / 1_000);
    let witness = Arc::new(Witness::open(cosigner, logs, &args.state, now)?);
    runtime()?.block_on(async {
        let listener = TcpListener::bind(args.listen).await;
        let listener = listener.with_context(|| format!("cannot listen on {}", args.listen))?;
        let (url, vkey) = (format!("http://{}", listener.local_addr()?), witness.vkey().clone());
        // Before anybody learns the address: who knows it may ask us to end.
        let interrupted = super::serve::interrupted();
        if args.json {
            println!("{}", json!({ "url": url, "vkey": vkey.to_string() }));
        } else {
            // One text, so one write: a reader that has the first line may close.
            let lines = format!("{url}\n{vkey}\n");
            print!("{lines}");
        }
        eprintln!("in a policy: witness NAME {vkey} {url}");
        server::serve(witness, listener, interrupted).await;
        eprintln!("stopped; everything cosigned is on disk");
        Ok(())
    })
}

/// Reads a policy file.
pub(super) fn read_policy(path: &Path) -> anyhow::Result<Policy> {
    let told = || format!("policy {}", path.display());
    let length = std::fs::metadata(path).with_context(told)?.len();
    if length > MAX_POLICY_BYTES as u64 {
        bail!("policy {} has {length} bytes, at most {MAX_POLICY_BYTES}", path.display());
    }
    let text = std::fs::read(path).with_context(told)?;
    Policy::parse(&text).with_context(told)
}
