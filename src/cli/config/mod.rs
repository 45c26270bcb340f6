//! What `serve` is told: TOML < environment < flags, each setting with where it came from.
//!
//! *Owns:* the table of settings ([`table`]), how the three sources are laid over each other, and
//! the typed struct that the rest of the house sees ([`Settings`]).
//!
//! *Never:* acts on a setting, or guesses: a key that is not in the table is an error that names it
//! and the nearest one that is.
//!
//! *See:* `docs/OPERATIONS.md`. To add a setting: a row in [`table::ROWS`] and a field in
//! [`Settings`]; a test holds one against the other.

pub mod command;
pub mod settings;
pub mod table;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize as _;
use toml::{Table, Value};

pub use settings::Settings;
use table::{ROWS, Row, Secrecy};

use crate::limits::MAX_CONFIG_BYTES;

/// The environment variable that names the file.
pub const FILE_VARIABLE: &str = "URBANMINE_CONFIG";
/// What every variable of ours begins with.
const PREFIX: &str = "URBANMINE_";
/// Variables of other commands, and of us but not settings.
const OTHER_VARIABLES: [&str; 2] = [FILE_VARIABLE, "URBANMINE_TOKEN"];

/// Where a setting's value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Nobody said anything.
    Default,
    /// The configuration file.
    File(PathBuf),
    /// An environment variable.
    Environment(String),
    /// A flag of the command line.
    Flag(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => f.write_str(name),
            Self::Flag(flag) => f.write_str(flag),
        }
    }
}

/// A value that a flag gives.
#[derive(Debug, Clone)]
pub struct Override {
    /// Key of the setting.
    pub key: &'static str,
    /// The flag.
    pub flag: &'static str,
    /// Its value.
    pub value: Value,
}

/// Why the configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigFault {
    /// The file cannot be read.
    #[error("the configuration {path} cannot be read")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is longer than any sensible one.
    #[error("the configuration {path} has more than {MAX_CONFIG_BYTES} bytes")]
    TooLong {
        /// Which.
        path: PathBuf,
    },
    /// The file is not TOML.
    #[error("the configuration {path} is not TOML: {rule}")]
    NotToml {
        /// Which.
        path: PathBuf,
        /// What is wrong, with line and column; never a value.
        rule: String,
    },
    /// A name that is not one of ours.
    #[error("{from}: there is no setting {key}{hint}")]
    Unknown {
        /// What was written.
        key: String,
        /// Where.
        from: Source,
        /// The nearest one that is there.
        hint: Hint,
    },
    /// A value that does not fit.
    #[error("{from}: setting {key} is {rule}")]
    Value {
        /// Which.
        key: String,
        /// Where.
        from: Source,
        /// What it has to be.
        rule: String,
    },
    /// A secret where everybody reads it.
    #[error("{path}: {key} is a secret and does not stand in a configuration file; use {instead}")]
    SecretInFile {
        /// Which.
        key: &'static str,
        /// Where.
        path: PathBuf,
        /// Where it may stand.
        instead: &'static str,
    },
    /// The table and the struct differ; a fault of ours.
    #[error("the settings do not fit together: {0}")]
    Struct(String),
    /// Something without which nothing can be done.
    #[error("{what} is not known: say {ways}")]
    Missing {
        /// In words.
        what: &'static str,
        /// How to say it.
        ways: &'static str,
    },
    /// Two ways to say the same thing, and both are used.
    #[error("{what} is said twice: {first} and {second}; say it once")]
    Twice {
        /// In words.
        what: &'static str,
        /// One.
        first: &'static str,
        /// The other.
        second: &'static str,
    },
}

/// The nearest known key, where one is near.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hint(pub Option<&'static str>);

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(key) => write!(f, "; did you mean {key}?"),
            None => f.write_str("; `urbanmine config example` lists all"),
        }
    }
}

/// Every setting's effective value, and where it came from.
#[derive(Debug, Clone)]
pub struct Effective {
    /// By key; settings that nobody set and that have no default are not there.
    pub values: BTreeMap<&'static str, (Value, Source)>,
}

impl Effective {
    /// Lays the sources over each other. `environment` is all of it; what is not ours is passed
    /// over.
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
        flags: Vec<Override>,
    ) -> Result<Self, ConfigFault> {
        let environment: Vec<(String, String)> =
            environment.into_iter().filter(|(name, _)| name.starts_with(PREFIX)).collect();
        let named = environment.iter().find(|(name, _)| name == FILE_VARIABLE);
        let file = file.map(Path::to_path_buf).or_else(|| named.map(|(_, path)| path.into()));

        let mut effective = Self { values: BTreeMap::new() };
        for row in &ROWS {
            if let Some(value) = row.default_value() {
                effective.values.insert(row.key, (value, Source::Default));
            }
        }
        if let Some(path) = file {
            effective.take_file(&path)?;
        }
        for (name, text) in environment {
            effective.take_variable(name, &text)?;
        }
        for Override { key, flag, value } in flags {
            effective.take(key, value, Source::Flag(flag))?;
        }
        Ok(effective)
    }

    /// The struct that everybody else sees.
    pub fn settings(&self) -> Result<Settings, ConfigFault> {
        let mut root = Table::new();
        for (key, (value, _)) in &self.values {
            let (section, name) = key.split_once('.').unwrap_or(("", key));
            let inner = root.entry(section).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                inner.insert(name.to_owned(), value.clone());
            }
        }
        Settings::deserialize(root).map_err(|fault| ConfigFault::Struct(fault.to_string()))
    }

    fn take_file(&mut self, path: &Path) -> Result<(), ConfigFault> {
        let unreadable = |source| ConfigFault::Unreadable { path: path.to_owned(), source };
        let length = std::fs::metadata(path).map_err(unreadable)?.len();
        if length > MAX_CONFIG_BYTES {
            return Err(ConfigFault::TooLong { path: path.to_owned() });
        }
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        let root: Table = toml::from_str(&text).map_err(|fault| {
            // Its Display repeats the line, which may hold what nobody else should read.
            let rule = match fault.span() {
                Some(span) => {
                    let line = text.get(..span.start).map_or(0, |before| before.lines().count());
                    format!("line {}: {}", line.max(1), fault.message())
                }
                None => fault.message().to_owned(),
            };
            ConfigFault::NotToml { path: path.to_owned(), rule }
        })?;
        for (section, inner) in root {
            match inner {
                Value::Table(inner) => {
                    for (name, value) in inner {
                        self.take_from_file(&format!("{section}.{name}"), value, path)?;
                    }
                }
                value => self.take_from_file(&section, value, path)?,
            }
        }
        Ok(())
    }

    fn take_from_file(&mut self, key: &str, value: Value, path: &Path) -> Result<(), ConfigFault> {
        let row = table::row_of(key);
        if let Some(Row { key, secrecy: Secrecy::Secret { instead }, .. }) = row {
            return Err(ConfigFault::SecretInFile { key, path: path.to_owned(), instead });
        }
        self.take(key, value, Source::File(path.to_owned()))
    }

    fn take_variable(&mut self, name: String, text: &str) -> Result<(), ConfigFault> {
        // A cluster puts its own into every container beside a service of our name.
        let is_of_cluster = name.starts_with("URBANMINE_SERVICE_")
            || name == "URBANMINE_PORT"
            || name.starts_with("URBANMINE_PORT_");
        if OTHER_VARIABLES.contains(&name.as_str()) || is_of_cluster {
            return Ok(());
        }
        let Some(row) = ROWS.iter().find(|row| row.variable() == name) else {
            let known: Vec<String> = ROWS.iter().map(Row::variable).collect();
            let near = nearest(&name, known.iter().map(String::as_str));
            let key = near.and_then(|near| ROWS.iter().find(|row| row.variable() == near));
            let (hint, from) = (Hint(key.map(|row| row.key)), Source::Environment(name.clone()));
            return Err(ConfigFault::Unknown { key: name, from, hint });
        };
        let from = Source::Environment(name);
        let value = row.kind.from_text(text).map_err(|rule| ConfigFault::Value {
            key: row.key.to_owned(),
            from: from.clone(),
            rule,
        })?;
        self.take(row.key, value, from)
    }

    fn take(&mut self, key: &str, value: Value, from: Source) -> Result<(), ConfigFault> {
        let Some(row) = table::row_of(key) else {
            let hint = Hint(nearest(key, ROWS.iter().map(|row| row.key)));
            return Err(ConfigFault::Unknown { key: key.to_owned(), from, hint });
        };
        if let Err(rule) = row.kind.check(&value) {
            return Err(ConfigFault::Value { key: key.to_owned(), from, rule });
        }
        self.values.insert(row.key, (value, from));
        Ok(())
    }
}

/// The name that takes the fewest changes of one letter; `None` when none is like it.
fn nearest<'a>(asked: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let last = |key: &str| key.rsplit('.').next().unwrap_or_default().to_owned();
    let away = |key: &'a str| {
        // A key under the wrong section is as near as its own name.
        let whole = distance(asked, key);
        let own = distance(&last(asked), &last(key)) + usize::from(last(asked) != asked);
        (whole.min(own), key)
    };
    let (steps, key) = known.map(away).min()?;
    (steps <= asked.len().div_ceil(3)).then_some(key)
}

/// Levenshtein's distance; names of settings are short.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (at, letter) in left.chars().enumerate() {
        let mut diagonal = at;
        row[0] = at + 1;
        for (to, other) in right.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *other);
            diagonal = row[to + 1];
            row[to + 1] = changed.min(row[to] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_file(text: &str) -> Result<Effective, ConfigFault> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("urbanmine.toml");
        std::fs::write(&path, text).unwrap();
        Effective::load(Some(&path), Vec::new(), Vec::new())
    }

    #[test]
    fn a_flag_beats_the_environment_and_that_beats_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("urbanmine.toml");
        std::fs::write(&path, "[ledger]\ndata = 'file'\n[log]\nlevel = 'info'\nformat = 'json'")
            .unwrap();
        let of = |variables: &[(&str, &str)], flags: Vec<Override>| {
            let pairs = variables.iter().map(|(name, text)| ((*name).into(), (*text).into()));
            let effective = Effective::load(Some(&path), pairs.collect::<Vec<_>>(), flags).unwrap();
            effective.values["ledger.data"].clone()
        };
        let flag = || Override { key: "ledger.data", flag: "--data", value: "flag".into() };
        let variable = [("URBANMINE_LEDGER_DATA", "variable"), ("HOME", "/")];
        assert_eq!(of(&[], vec![]), ("file".into(), Source::File(path.clone())));
        let from = Source::Environment("URBANMINE_LEDGER_DATA".into());
        assert_eq!(of(&variable, vec![]), ("variable".into(), from));
        assert_eq!(of(&variable, vec![flag()]), ("flag".into(), Source::Flag("--data")));
    }

    #[test]
    fn an_unknown_key_is_told_with_the_nearest() {
        let rows = [
            ("[ledger]\ndat = 'd'", "ledger.dat", Some("ledger.data")),
            ("[log]\nlisten = 'd'", "log.listen", Some("log.level")),
            ("[ledgr]\ndata = 'd'", "ledgr.data", Some("ledger.data")),
            ("[key]\ndata = 'd'", "key.data", Some("ledger.data")),
            ("data = 'd'", "data", Some("ledger.data")),
            ("[zzzzzzzz]\nqqqqqqq = 1", "zzzzzzzz.qqqqqqq", None),
        ];
        for (text, name, nearest) in rows {
            let Err(ConfigFault::Unknown { key, hint, .. }) = of_file(text) else {
                panic!("{text} is taken");
            };
            assert_eq!((key.as_str(), hint.0), (name, nearest), "{text}");
        }
        let pairs = vec![("URBANMINE_LEDGER_DATE".to_owned(), "d".to_owned())];
        let told = Effective::load(None, pairs, Vec::new()).unwrap_err().to_string();
        assert!(told.contains("URBANMINE_LEDGER_DATE"), "{told}");
        assert!(told.contains("ledger.data"), "{told}");
    }

    #[test]
    fn variables_of_a_cluster_and_of_other_commands_are_passed_over() {
        let names = ["URBANMINE_SERVICE_HOST", "URBANMINE_PORT_7878_TCP", "URBANMINE_TOKEN"];
        let pairs: Vec<_> = names.iter().map(|name| ((*name).into(), "x".into())).collect();
        Effective::load(None, pairs, Vec::new()).unwrap();
    }

    #[test]
    fn a_value_is_held_against_its_kind_and_a_secret_stays_out_of_the_file() {
        let rows = [
            "[ledger]\ndata = 7",
            "[listen]\naddress = 'localhost'",
            "[log]\nformat = 'xml'",
            "[key]\nfd = -1",
        ];
        for text in rows {
            assert!(matches!(of_file(text), Err(ConfigFault::Value { .. })), "{text}");
        }
        let told = of_file("[key]\npassphrase = 'hush-hush'").unwrap_err().to_string();
        assert!(told.contains("secret") && !told.contains("hush"), "{told}");
        let told = of_file("[key]\npassphrase = 'hush-hush").unwrap_err().to_string();
        assert!(told.contains("line 2") && !told.contains("hush"), "{told}");
    }

    #[test]
    fn the_table_and_the_struct_are_one() {
        // Every setting at once: the struct takes each, and would refuse one that it does not know.
        let mut effective = Effective { values: BTreeMap::new() };
        for row in &ROWS {
            effective.take(row.key, row.kind.example(), Source::Default).unwrap();
        }
        effective.settings().unwrap();
        // None at all: the defaults are enough.
        Effective::load(None, Vec::new(), Vec::new()).unwrap().settings().unwrap();
        let mut names: Vec<String> = ROWS.iter().map(Row::variable).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), ROWS.len(), "two settings have one variable");
    }
}
