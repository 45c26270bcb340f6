//! `urbanmine rebuild`

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use serde_json::json;

use super::init::guard_of;
use super::keyfile::{self, KeySource, PassphraseArgs};
use super::output::print_json;
use crate::node::{Node, NodeConfig};

/// Make the database anew from the journal; the old one is moved aside.
#[derive(Debug, Args)]
pub struct RebuildArgs {
    /// Data directory of the ledger; no node may run on it.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Directory of the head guard [default: <data>.guard]
    #[arg(long, value_name = "DIR")]
    guard: Option<PathBuf>,
    /// Key file of the ledger.
    #[arg(long, value_name = "FILE")]
    ledger_key: PathBuf,
    #[command(flatten)]
    passphrase: PassphraseArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &RebuildArgs) -> anyhow::Result<()> {
    let ledger_key =
        keyfile::read_ledger(&KeySource::File(args.ledger_key.clone()), &args.passphrase.source())?;
    let config = NodeConfig::new(&args.data, guard_of(&args.data, args.guard.as_deref()));
    let size = Node::rebuild(&config, ledger_key).context("the database cannot be rebuilt")?;
    if args.json {
        return print_json(&json!({ "entries": size.0 }));
    }
    println!("{size} entries");
    eprintln!("The database is as the journal says, and ends in the root that was signed.");
    Ok(())
}
