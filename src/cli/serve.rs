//! `urbanmine serve`

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use super::init::guard_of;
use super::keyfile::{self, PassphraseArgs};
use super::output::hex;
use super::runtime;
use crate::api::Listener;
use crate::node::{Node, NodeConfig};

/// Serve a ledger over gRPC.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Data directory of the ledger (see init).
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
    /// Address to listen on; loopback only in this version.
    #[arg(long, default_value = "127.0.0.1:7878")]
    listen: SocketAddr,
}

pub(super) fn run(args: &ServeArgs) -> anyhow::Result<()> {
    let ledger_key = keyfile::read(&args.ledger_key, &args.passphrase)?;
    let config = NodeConfig::new(&args.data, guard_of(&args.data, args.guard.as_deref()));
    let public = hex(ledger_key.public_key().as_bytes());
    runtime()?.block_on(async {
        let listener = Listener::bind(args.listen).await?;
        let node = Node::open(&config, ledger_key).context("the node does not start")?;
        let address = listener.address();
        let ledger = node.reader().ledger()?;
        eprintln!("ledger {} with {} entries", ledger.origin, node.reader().size());
        eprintln!("ledger key {public}");
        println!("http://{address}");
        crate::api::serve(node.clone(), listener, interrupted()).await?;
        node.shutdown().await;
        eprintln!("stopped; everything acknowledged is on disk");
        Ok(())
    })
}

/// Resolves on Ctrl-C or a termination signal.
pub(super) async fn interrupted() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}
