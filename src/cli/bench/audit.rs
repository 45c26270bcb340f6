//! An audit of the ledger that was made, by `urbanmine verify` in a process of its own.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::Value as Json;

use super::process::peak_until_end;
use super::service::Place;

/// What an audit took.
pub(super) struct Audit {
    /// Entries that were verified.
    pub(super) entries: u64,
    /// From the start of the process to its end.
    pub(super) took: Duration,
    /// The most memory that it had, in bytes.
    pub(super) peak: Option<u64>,
}

impl Audit {
    /// Verifies the journal, every signature and every rule; the database is not compared.
    pub(super) fn of(place: &Place, origin: &str, ledger_key: &str) -> anyhow::Result<Self> {
        let begun = Instant::now();
        let mut child = Command::new(std::env::current_exe()?)
            .args(["verify", "--json", "--skip-database", "--origin", origin])
            .args(["--ledger-key", ledger_key, "--data"])
            .arg(place.data())
            .arg("--guard")
            .arg(place.guard())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        // The report has some lines, which a pipe holds.
        let peak = peak_until_end(&mut child)?;
        let took = begun.elapsed();
        let said = child.wait_with_output()?.stdout;
        let said: Json = serde_json::from_slice(&said).context("the audit said nothing")?;
        if said.get("verdict").and_then(Json::as_str) != Some("verified") {
            bail!("the audit does not verify what was recorded: {said}");
        }
        let entries = said.get("entries").and_then(Json::as_u64).context("no count of entries")?;
        Ok(Self { entries, took, peak })
    }
}
