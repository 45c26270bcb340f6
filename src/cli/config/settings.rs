//! The settings as everybody else sees them: parsed once, here.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use zeroize::Zeroizing;

use super::ConfigFault;
use crate::api::doors::{Bounds, DoorSettings};
use crate::cli::init::guard_of;
use crate::cli::keyfile::{KeySource, PassphraseSource};
use crate::node::LotStatePolicy;

/// All of them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Where the ledger lies.
    pub ledger: LedgerSettings,
    /// Where its key comes from.
    pub key: KeySettings,
    /// Where it listens.
    pub listen: ListenSettings,
    /// Who is let in.
    pub doors: DoorSettings,
    /// How much of everything.
    pub bounds: Bounds,
    /// Who cosigns its checkpoints.
    pub witnesses: WitnessSettings,
    /// Where it is measured.
    pub metrics: MetricsSettings,
    /// How it talks about itself.
    pub log: LogSettings,
}

/// Who cosigns the ledger's checkpoints.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WitnessSettings {
    /// A policy file.
    pub policy: Option<PathBuf>,
}

/// Where the ledger lies.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LedgerSettings {
    /// Data directory.
    pub data: Option<PathBuf>,
    /// Directory of the head guard.
    pub guard: Option<PathBuf>,
    /// After how many entries the lots are stated.
    pub lot_state_every_entries: Option<u64>,
    /// How long fewer entries wait for it, in milliseconds.
    pub lot_state_wait_ms: Option<u64>,
}

/// Where the ledger's key comes from.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeySettings {
    /// A key file.
    pub file: Option<PathBuf>,
    /// A credential of the service manager.
    pub credential: Option<String>,
    /// An open file.
    pub fd: Option<u32>,
    /// A file with the passphrase.
    pub passphrase_file: Option<PathBuf>,
    /// A credential with the passphrase.
    pub passphrase_credential: Option<String>,
    /// The passphrase.
    pub passphrase: Option<Secret>,
}

/// A text that is never shown.
#[derive(Clone, Deserialize)]
#[serde(from = "String")]
pub struct Secret(Zeroizing<String>);

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(hidden)")
    }
}

/// Where the service listens.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ListenSettings {
    /// Address and port.
    pub address: Option<SocketAddr>,
}

/// Where the service is measured.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MetricsSettings {
    /// Address and port; none without it.
    pub address: Option<SocketAddr>,
    /// Whether other machines may read them.
    pub beyond_loopback: bool,
}

/// How the service talks about itself.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSettings {
    /// How lines look.
    pub format: LogFormat,
    /// From which level on.
    pub level: LogLevel,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    #[default]
    Text,
}

/// From which level on lines are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// What stopped something.
    Error,
    /// What somebody should look at.
    #[default]
    Warn,
    /// A line per call.
    Info,
    /// A line per commit group.
    Debug,
    /// All there is.
    Trace,
}

impl LogLevel {
    /// As the filter spells it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

impl Settings {
    /// All that the doors are made from.
    pub fn doors(&self) -> DoorSettings {
        DoorSettings { bounds: self.bounds.clone(), ..self.doors.clone() }
    }
}

impl LedgerSettings {
    /// The data directory, which has to be said.
    pub fn data(&self) -> Result<&Path, ConfigFault> {
        self.data.as_deref().ok_or(ConfigFault::Missing {
            what: "the ledger's data directory",
            ways: "--data, URBANMINE_LEDGER_DATA, or data in [ledger]",
        })
    }

    /// When the ledger states its lots' root.
    pub fn lot_state(&self) -> LotStatePolicy {
        let usual = LotStatePolicy::USUAL;
        LotStatePolicy {
            every_entries: self.lot_state_every_entries.unwrap_or(usual.every_entries),
            wait: self.lot_state_wait_ms.map_or(usual.wait, Duration::from_millis),
        }
    }

    /// The guard's directory: as said, or beside the data.
    pub fn guard(&self) -> Result<PathBuf, ConfigFault> {
        Ok(guard_of(self.data()?, self.guard.as_deref()))
    }
}

impl KeySettings {
    /// Where the key comes from; one place only.
    pub fn source(&self) -> Result<KeySource, ConfigFault> {
        let told = [
            self.file.clone().map(|it| ("key.file", KeySource::File(it))),
            self.credential.clone().map(|it| ("key.credential", KeySource::Credential(it))),
            self.fd.map(|it| ("key.fd", KeySource::Descriptor(it))),
        ];
        let mut told = told.into_iter().flatten();
        let missing = ConfigFault::Missing {
            what: "the ledger's key",
            ways: "--ledger-key, --ledger-key-credential or --ledger-key-fd, or file, credential \
                   or fd in [key]",
        };
        let (first, source) = told.next().ok_or(missing)?;
        match told.next() {
            None => Ok(source),
            Some((second, _)) => {
                Err(ConfigFault::Twice { what: "where the ledger's key is", first, second })
            }
        }
    }

    /// Where the passphrase comes from, for a key that needs one.
    pub fn passphrase(&self) -> Result<PassphraseSource, ConfigFault> {
        match (&self.passphrase_file, &self.passphrase_credential) {
            (Some(_), Some(_)) => Err(ConfigFault::Twice {
                what: "where the passphrase is",
                first: "key.passphrase_file",
                second: "key.passphrase_credential",
            }),
            (Some(path), None) => Ok(PassphraseSource::File(path.clone())),
            (None, Some(name)) => Ok(PassphraseSource::Credential(name.clone())),
            (None, None) => match &self.passphrase {
                Some(Secret(text)) => Ok(PassphraseSource::Given(text.clone())),
                None => Ok(PassphraseSource::Terminal),
            },
        }
    }
}
