//! `urbanmine rotate-key`

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use serde_json::json;

use super::init::guard_of;
use super::keyfile::{self, KeySource, PassphraseArgs, PassphraseSource};
use super::output::{hex, print_json};
use crate::node::{Node, NodeConfig};

/// Give the ledger its next key. The ledger says so itself, in an entry that both keys sign; from
/// then on the old key does not serve it. Called again with the same keys it finishes what a crash
/// left.
#[derive(Debug, Args)]
pub struct RotateKeyArgs {
    /// Data directory of the ledger; no node may run on it.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Directory of the head guard [default: <data>.guard]
    #[arg(long, value_name = "DIR")]
    guard: Option<PathBuf>,
    /// Key file of the ledger, as it is now.
    #[arg(long, value_name = "FILE")]
    ledger_key: PathBuf,
    /// Key file of the key that follows (see keygen).
    #[arg(long, value_name = "FILE")]
    next_key: PathBuf,
    #[command(flatten)]
    passphrase: PassphraseArgs,
    /// File whose first line is the passphrase of the next key, when it is another one.
    #[arg(long, value_name = "FILE")]
    next_passphrase_file: Option<PathBuf>,
    /// Write the receipt of the entry here: give it to everybody who pinned the old key.
    #[arg(long, value_name = "FILE")]
    receipt: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &RotateKeyArgs) -> anyhow::Result<()> {
    let passphrase = args.passphrase.source();
    let old = keyfile::read_ledger(&KeySource::File(args.ledger_key.clone()), &passphrase)?;
    let of_next = args.next_passphrase_file.clone().map(PassphraseSource::File);
    let of_next = of_next.unwrap_or(passphrase);
    let next = keyfile::read_ledger(&KeySource::File(args.next_key.clone()), &of_next)?;
    let public = hex(next.public_key().as_bytes());
    let config = NodeConfig::new(&args.data, guard_of(&args.data, args.guard.as_deref()));
    let done = Node::rotate(&config, old, next).context("the key is not rotated")?;
    if let Some(path) = &args.receipt {
        std::fs::write(path, done.receipt.encode())
            .with_context(|| format!("the key is rotated; cannot write {}", path.display()))?;
    }
    if args.json {
        return print_json(&json!({
            "entry_index": done.index.0, "entries": done.size.0, "ledger_key": public,
            "was_begun_before": done.was_begun_before,
        }));
    }
    println!("entry       {}", done.index);
    println!("ledger key  {public}");
    eprintln!("Tell everybody who pins the ledger. Who pinned an older key need not change it:");
    eprintln!("verify follows. Keep the old key until all of them know; then destroy it.");
    Ok(())
}
