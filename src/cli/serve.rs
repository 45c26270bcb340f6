//! `urbanmine serve`

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use toml::Value;

use super::config::settings::MetricsSettings;
use super::config::{ConfigFault, Effective, Override};
use super::keyfile::{self, PassphraseArgs};
use super::output::hex;
use super::{runtime, witness};
use crate::api::Doors;
use crate::api::measure::{Measure, MeasureFault, Reach};
use crate::ledger::checkpoint::vkey;
use crate::node::{Node, NodeConfig};

/// Serve a ledger over gRPC. Settings come from a file, the environment and these flags; see
/// config.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Configuration file (TOML); also `URBANMINE_CONFIG`.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Data directory of the ledger (see init).
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Directory of the head guard [default: <data>.guard]
    #[arg(long, value_name = "DIR")]
    guard: Option<PathBuf>,
    #[command(flatten)]
    key: LedgerKeyArgs,
    #[command(flatten)]
    passphrase: PassphraseArgs,
    /// Address to listen on; others than loopback need --tls-cert [default: 127.0.0.1:7878]
    #[arg(long)]
    listen: Option<SocketAddr>,
    #[command(flatten)]
    doors: DoorArgs,
    /// Policy file (C2SP tlog-policy) whose witnesses cosign every newest checkpoint.
    #[arg(long, value_name = "FILE")]
    witness_policy: Option<PathBuf>,
    /// Address of the metrics (Prometheus); none without it.
    #[arg(long, value_name = "ADDRESS")]
    metrics: Option<SocketAddr>,
    /// How log lines look.
    #[arg(long, value_name = "FORMAT", value_parser = ["text", "json"])]
    log_format: Option<String>,
    /// From which level on log lines are written.
    #[arg(long, value_name = "LEVEL", value_parser = ["error", "warn", "info", "debug", "trace"])]
    log_level: Option<String>,
}

/// Where the ledger's key is; one of them.
#[derive(Debug, Default, Args)]
#[group(multiple = false)]
pub struct LedgerKeyArgs {
    /// Key file of the ledger.
    #[arg(long = "ledger-key", id = "ledger_key", value_name = "FILE")]
    file: Option<PathBuf>,
    /// Credential of the service manager that holds the key.
    #[arg(long = "ledger-key-credential", id = "ledger_key_credential", value_name = "NAME")]
    credential: Option<String>,
    /// Open file descriptor that gives the key.
    #[arg(long = "ledger-key-fd", id = "ledger_key_fd", value_name = "NUMBER")]
    fd: Option<u32>,
}

/// Who is let in.
#[derive(Debug, Default, Args)]
pub struct DoorArgs {
    /// The server's certificate, and those between it and its authority (PEM).
    #[arg(long, value_name = "FILE")]
    tls_cert: Option<PathBuf>,
    /// The key of the server's certificate (PEM).
    #[arg(long, value_name = "FILE")]
    tls_key: Option<PathBuf>,
    /// Authorities whose client certificates identify parties (PEM).
    #[arg(long, value_name = "FILE")]
    client_ca: Option<PathBuf>,
    /// File of tokens (see token).
    #[arg(long, value_name = "FILE")]
    tokens: Option<PathBuf>,
    /// Give those who do not say who they are nothing but health: not even what is public.
    #[arg(long)]
    require_identity: bool,
    /// Serve without TLS where other machines reach it. DANGER: whoever is on the way reads
    /// everything, takes tokens, and changes answers. Only behind something that encrypts.
    #[arg(long)]
    plaintext_beyond_loopback: bool,
}

impl ServeArgs {
    /// Every setting, from all sources.
    pub(super) fn effective(&self) -> Result<Effective, ConfigFault> {
        // A variable that is not UTF-8 is none of ours.
        let environment = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        Effective::load(self.config.as_deref(), environment, self.overrides())
    }

    fn overrides(&self) -> Vec<Override> {
        let path = |path: &PathBuf| Value::String(path.to_string_lossy().into_owned());
        let text = |text: &String| Value::String(text.clone());
        let address = |address: &SocketAddr| Value::String(address.to_string());
        let (key, passphrase, doors) = (&self.key, &self.passphrase, &self.doors);
        // A flag that is not there leaves it to the other sources.
        let yes = |said: bool| said.then_some(Value::Boolean(true));
        let said = [
            ("ledger.data", "--data", self.data.as_ref().map(path)),
            ("ledger.guard", "--guard", self.guard.as_ref().map(path)),
            ("key.file", "--ledger-key", key.file.as_ref().map(path)),
            ("key.credential", "--ledger-key-credential", key.credential.as_ref().map(text)),
            ("key.fd", "--ledger-key-fd", key.fd.map(|fd| Value::Integer(fd.into()))),
            (
                "key.passphrase_file",
                "--passphrase-file",
                passphrase.passphrase_file.as_ref().map(path),
            ),
            (
                "key.passphrase_credential",
                "--passphrase-credential",
                passphrase.passphrase_credential.as_ref().map(text),
            ),
            ("listen.address", "--listen", self.listen.as_ref().map(address)),
            ("doors.tls_cert", "--tls-cert", doors.tls_cert.as_ref().map(path)),
            ("doors.tls_key", "--tls-key", doors.tls_key.as_ref().map(path)),
            ("doors.client_ca", "--client-ca", doors.client_ca.as_ref().map(path)),
            ("doors.tokens", "--tokens", doors.tokens.as_ref().map(path)),
            ("doors.require_identity", "--require-identity", yes(doors.require_identity)),
            (
                "doors.plaintext_beyond_loopback",
                "--plaintext-beyond-loopback",
                yes(doors.plaintext_beyond_loopback),
            ),
            ("witnesses.policy", "--witness-policy", self.witness_policy.as_ref().map(path)),
            ("metrics.address", "--metrics", self.metrics.as_ref().map(address)),
            ("log.format", "--log-format", self.log_format.as_ref().map(text)),
            ("log.level", "--log-level", self.log_level.as_ref().map(text)),
        ];
        let said = said.into_iter();
        said.filter_map(|(key, flag, value)| Some(Override { key, flag, value: value? })).collect()
    }
}

pub(super) fn run(args: &ServeArgs) -> anyhow::Result<()> {
    let settings = args.effective()?.settings()?;
    super::log::start(&settings.log);
    let config = NodeConfig {
        lot_state: settings.ledger.lot_state(),
        ..NodeConfig::new(settings.ledger.data()?, settings.ledger.guard()?)
    };
    let policy = settings.witnesses.policy.as_deref().map(witness::read_policy).transpose()?;
    let ledger_key = keyfile::read_ledger(&settings.key.source()?, &settings.key.passphrase()?)?;
    let public = hex(ledger_key.public_key().as_bytes());
    // The table has a default, so there is one.
    let listen = settings.listen.address.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 7878)));
    runtime()?.block_on(async {
        let doors = Doors::open(settings.doors())?;
        let read_anew = doors.read_anew();
        let listener = doors.listen(listen).await?;
        // Caught before anybody learns the address.
        let rereading = tokio::spawn(on_hangup(move || read_anew.now()));
        let measure = measure(&settings.metrics).await?;
        let node = Node::open(&config, ledger_key).context("the node does not start")?;
        let address = listener.address();
        let ledger = node.reader().ledger()?;
        eprintln!("ledger {} with {} entries", ledger.origin, node.reader().size());
        eprintln!("ledger key {public}");
        eprintln!("verifier key {}", vkey(&ledger.origin, &ledger.ledger_key));
        if let Some(measure) = measure {
            eprintln!("metrics on http://{}/metrics", measure.address());
            // Ends with the runtime.
            tokio::spawn(measure.serve(node.clone()));
        }
        let collector = policy.map(|policy| node.collect(policy)).transpose();
        let collector = collector.context("no cosignatures can be collected")?;
        // Before anybody learns the address: who knows it may ask us to end.
        let interrupted = interrupted();
        println!("{}://{address}", listener.scheme());
        crate::api::serve(node.clone(), listener, interrupted).await?;
        rereading.abort();
        drop(collector);
        node.shutdown().await;
        eprintln!("stopped; everything acknowledged is on disk");
        Ok(())
    })
}

/// The listener for metrics, where one is asked for.
async fn measure(settings: &MetricsSettings) -> Result<Option<Measure>, MeasureFault> {
    let Some(address) = settings.address else { return Ok(None) };
    let reach = if settings.beyond_loopback { Reach::Anywhere } else { Reach::Loopback };
    Measure::bind(address, reach).await.map(Some)
}

/// Calls back whenever a hangup signal comes: certificates and tokens are read anew.
fn on_hangup(call: impl Fn() + Send) -> impl Future<Output = ()> + Send {
    #[cfg(unix)]
    let hung_up = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup());
    async move {
        #[cfg(unix)]
        if let Ok(mut hung_up) = hung_up {
            while hung_up.recv().await.is_some() {
                call();
            }
        }
    }
}

/// Resolves on Ctrl-C or a termination signal; both are caught from this call on, within a runtime.
pub(super) fn interrupted() -> impl Future<Output = ()> + Send {
    #[cfg(unix)]
    let terminated = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
    #[cfg(unix)]
    let interrupt = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt());
    async move {
        #[cfg(unix)]
        if let (Ok(mut terminated), Ok(mut interrupt)) = (terminated, interrupt) {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminated.recv() => {}
            }
            return;
        }
        let _ = tokio::signal::ctrl_c().await;
    }
}
