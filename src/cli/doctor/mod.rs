//! `urbanmine doctor`: looks at everything a node needs, explains, and changes nothing.
//!
//! *Owns:* the checks, their words in two languages, and the exit code: 0 fine, 1 problems, 2
//! something could not be checked.
//!
//! *Never:* writes into the ledger's directories, or mends. Where a database has to be opened,
//! which sled cannot do without writing, a copy elsewhere is opened.
//!
//! *See:* `docs/OPERATIONS.md`, which says what to do about each.

mod certificates;
mod ledger;
mod machine;

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::config::{ConfigFault, Settings};
use super::output::{print_json, table};
use super::serve::ServeArgs;

/// Check directories, ledger, key, clock and machine; nothing is changed.
///
/// Exit codes: 0 fine, 1 problems, 2 something could not be checked.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    #[command(flatten)]
    serve: Box<ServeArgs>,
    /// Copy and open the database however large it is; else only up to 256 MiB.
    #[arg(long)]
    deep: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// As it should be.
    Fine,
    /// Works, and could be better.
    Advice,
    /// Nobody asked for it, or it does not apply here.
    Skipped,
    /// It should have been checked and could not be.
    Unknown,
    /// Something has to be done.
    Problem,
}

impl State {
    const fn name(self) -> &'static str {
        match self {
            Self::Fine => "fine",
            Self::Advice => "advice",
            Self::Skipped => "skipped",
            Self::Unknown => "unknown",
            Self::Problem => "problem",
        }
    }

    const fn name_zh(self) -> &'static str {
        match self {
            Self::Fine => "正常",
            Self::Advice => "建议",
            Self::Skipped => "跳过",
            Self::Unknown => "未知",
            Self::Problem => "问题",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone)]
pub(super) struct Check {
    name: &'static str,
    state: State,
    en: String,
    zh: String,
}

impl Check {
    fn new(name: &'static str, state: State, en: impl Into<String>, zh: impl Into<String>) -> Self {
        Self { name, state, en: en.into(), zh: zh.into() }
    }
}

pub(super) fn run(args: &DoctorArgs) -> anyhow::Result<ExitCode> {
    let settings = args.serve.effective()?.settings()?;
    let checks = examine(&settings, args.deep)?;
    let code = exit_code(&checks);
    if args.json {
        let told: Vec<_> = checks
            .iter()
            .map(|it| {
                json!({ "check": it.name, "state": it.state.name(), "en": it.en, "zh": it.zh })
            })
            .collect();
        print_json(&json!({ "exit_code": code, "checks": told }))?;
    } else {
        let mut lines = table(&["check", "state", "what"]);
        for check in &checks {
            let state = format!("{}\n{}", check.state.name(), check.state.name_zh());
            let told = format!("{}\n{}", check.en, check.zh);
            lines.add_row(vec![check.name.to_owned(), state, told]);
        }
        println!("{lines}");
    }
    Ok(ExitCode::from(code))
}

/// All checks, in the order in which somebody would mend things.
fn examine(settings: &Settings, is_deep: bool) -> Result<Vec<Check>, ConfigFault> {
    let (data, guard) = (settings.ledger.data()?, settings.ledger.guard()?);
    let mut checks = vec![machine::versions()];
    checks.extend(machine::directories(data, &guard));
    checks.push(machine::free_space(data));
    checks.push(machine::open_files());
    checks.push(machine::sync_time(data));
    let (is_running, lock) = ledger::lock(data);
    checks.push(lock);
    let (found, journal) = ledger::journal(data, &guard);
    checks.push(journal);
    match &found {
        Some(found) => {
            checks.push(ledger::guard(&guard, found));
            checks.push(ledger::database(data, &guard, is_running, is_deep));
            checks.push(machine::clock(found.last_recorded_at));
        }
        None => checks.push(machine::clock(None)),
    }
    checks.push(ledger::key(&settings.key, found.as_ref()));
    checks.extend(certificates::all(&settings.doors()));
    Ok(checks)
}

fn exit_code(checks: &[Check]) -> u8 {
    let has = |state| checks.iter().any(|check| check.state == state);
    match (has(State::Problem), has(State::Unknown)) {
        (true, _) => 1,
        (false, true) => 2,
        (false, false) => 0,
    }
}
