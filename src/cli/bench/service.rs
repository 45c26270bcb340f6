//! The node that is measured: another process of this binary, on loopback.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, bail};
use pkcs8::{EncodePrivateKey as _, LineEnding};

use super::super::init::{Founding, uuid_v7};
use super::super::output::write_private;
use super::load::Load;
use super::process;
use crate::ledger::keys::SigningKey;
use crate::node::NodeConfig;

/// Where the ledger of a run lies.
pub(super) struct Place {
    folder: PathBuf,
    /// Whether it goes when the run ends.
    is_ours: bool,
}

impl Place {
    /// The directory given, which must be empty; else a new one among the temporary files.
    pub(super) fn make(given: Option<&Path>) -> anyhow::Result<Self> {
        let folder = given.map_or_else(
            || std::env::temp_dir().join(format!("urbanmine-bench-{}", uuid_v7())),
            Path::to_path_buf,
        );
        if folder.exists() && folder.read_dir()?.next().is_some() {
            bail!("{} is not empty; the bench makes a new ledger", folder.display());
        }
        std::fs::create_dir_all(&folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
        if process::is_in_memory(&folder) {
            eprintln!(
                "{} lies in memory, so nothing durable is measured: give --data on a disk",
                folder.display()
            );
        }
        Ok(Self { folder, is_ours: given.is_none() })
    }

    pub(super) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    pub(super) fn guard(&self) -> PathBuf {
        self.folder.join("data.guard")
    }

    fn key(&self) -> PathBuf {
        self.folder.join("ledger.pem")
    }

    fn log(&self) -> PathBuf {
        self.folder.join("serve.log")
    }

    /// Makes the ledger that the load is for, and the key file that its node reads.
    pub(super) async fn found(&self, load: &Load, origin: &str) -> anyhow::Result<()> {
        let (ledger_key, coordinator_key) = load.keys_of_ledger();
        keep_key(&self.key(), &ledger_key)?;
        let founding = Founding {
            origin: origin.to_owned(),
            coordinator: load.coordinator_record(),
            coordinator_key,
            founded_at: "2024-01-01T08:00:00+08:00".to_owned(),
            previous_checkpoint: String::new(),
        };
        let config = NodeConfig::new(self.data(), self.guard());
        founding.found(&config, ledger_key).await?.shutdown().await;
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.is_ours {
            let _ = std::fs::remove_dir_all(&self.folder); // it lies among the temporary files
        }
    }
}

/// Without a passphrase: the time to stretch one would be measured as time to reopen. Everybody can
/// compute this key anyway.
fn keep_key(path: &Path, key: &SigningKey) -> anyhow::Result<()> {
    let secret = pkcs8_of(key);
    let pem = secret.to_pkcs8_pem(LineEnding::LF).context("the key cannot be written")?;
    write_private(path, pem.as_bytes())
}

fn pkcs8_of(key: &SigningKey) -> ed25519_dalek::pkcs8::KeypairBytes {
    ed25519_dalek::pkcs8::KeypairBytes { secret_key: *key.seed(), public_key: None }
}

/// A running node; killed (kill -9) when it is dropped.
pub(super) struct Service {
    child: Child,
    /// Where it listens.
    pub(super) url: String,
}

impl Service {
    /// Starts it, and waits until it says where it listens.
    pub(super) fn start(place: &Place) -> anyhow::Result<Self> {
        let log = std::fs::File::create(place.log())?;
        let mut command = Command::new(std::env::current_exe()?);
        // Settings of whoever runs the bench are not those of the node that is measured.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("URBANMINE_") {
                command.env_remove(name);
            }
        }
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--log-level", "warn", "--data"])
            .arg(place.data())
            .arg("--guard")
            .arg(place.guard())
            .arg("--ledger-key")
            .arg(place.key())
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log);
        let mut service =
            Self { child: command.spawn().context("the node does not start")?, url: String::new() };
        if let Some(stdout) = service.child.stdout.take() {
            BufReader::new(stdout).read_line(&mut service.url)?;
        }
        service.url = service.url.trim_end().to_owned();
        if service.url.is_empty() {
            let told = std::fs::read_to_string(place.log()).unwrap_or_default();
            bail!("the node does not start: {told}");
        }
        Ok(service)
    }

    /// Its process.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill(); // it may have ended by itself
        let _ = self.child.wait();
    }
}
