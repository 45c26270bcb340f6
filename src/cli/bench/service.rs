//! The node that is measured: another process of this binary, on loopback.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, bail};
use pkcs8::{EncodePrivateKey as _, LineEnding};

use super::super::init::{Founding, uuid_v7};
use super::super::output::write_private;
use super::super::serve::interrupted;
use super::load::Load;
use super::process;
use crate::ledger::keys::SigningKey;
use crate::node::NodeConfig;

/// Exit code of what somebody interrupted (128 and the number of the signal).
const INTERRUPTED: i32 = 130;

/// The process of a node, for all who may have to end it.
type Running = Arc<Mutex<Option<Child>>>;

/// Where the ledger of a run lies.
pub(super) struct Place {
    folder: PathBuf,
    /// Whether it goes when the run ends.
    is_ours: bool,
    /// The node that has it open.
    running: Running,
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
        Ok(Self { folder, is_ours: given.is_none(), running: Running::default() })
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

impl Place {
    /// Ends the node and leaves nothing behind when somebody interrupts us; within a runtime.
    pub(super) fn clear_when_interrupted(&self) {
        let (running, interrupted) = (self.running.clone(), interrupted());
        let folder = self.is_ours.then(|| self.folder.clone());
        tokio::spawn(async move {
            interrupted.await;
            end(&running);
            remove(folder.as_deref());
            std::process::exit(INTERRUPTED);
        });
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        remove(self.is_ours.then_some(self.folder.as_path()));
    }
}

fn remove(folder: Option<&Path>) {
    if let Some(folder) = folder {
        let _ = std::fs::remove_dir_all(folder); // it lies among the temporary files
    }
}

/// kill -9.
fn end(running: &Running) {
    let child = running.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(mut child) = child {
        let _ = child.kill(); // it may have ended by itself
        let _ = child.wait();
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
    running: Running,
    process: u32,
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
        let mut child = command.spawn().context("the node does not start")?;
        let (stdout, process) = (child.stdout.take(), child.id());
        let running = place.running.clone();
        *running.lock().unwrap_or_else(PoisonError::into_inner) = Some(child);
        let mut service = Self { running, process, url: String::new() };
        if let Some(stdout) = stdout {
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
        self.process
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        end(&self.running);
    }
}
