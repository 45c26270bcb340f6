//! `urbanmine monitor`: an auditor that never looks away.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use serde_json::json;

use super::client::AccessArgs;
use super::output::{bar, thousands};
use super::verify::source::Server;
use super::verify::{Judged, PinArgs, crew, evidence, print, remembered};
use crate::limits::MONITOR_SECONDS;
use crate::verify::{Remembered, Report, Verdict, Verifier};

/// Follow a ledger: check every new entry as it comes, and remember the last checkpoint that held.
///
/// Goes on until something is wrong: then it writes the evidence, when there is any, and ends with
/// 1. A server that cannot be reached is tried again. Exit codes: as verify; 0 only with --once.
#[derive(Debug, Args)]
pub struct MonitorArgs {
    /// The server, e.g. <http://127.0.0.1:7878>
    #[arg(long, value_name = "URL")]
    server: String,
    #[command(flatten)]
    access: AccessArgs,
    #[command(flatten)]
    pins: PinArgs,
    /// Where the last checkpoint that passed a whole check is kept; made when it is not there.
    #[arg(long, value_name = "FILE")]
    state: PathBuf,
    /// Where evidence of a fork goes [default: <state>.evidence]
    #[arg(long, value_name = "FILE")]
    evidence: Option<PathBuf>,
    /// Seconds between two looks: 1 to 86,400.
    #[arg(long, default_value_t = MONITOR_SECONDS)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=86_400))]
    interval: u64,
    /// Look once.
    #[arg(long)]
    once: bool,
    /// Print a line of JSON for each look.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &MonitorArgs) -> Result<ExitCode> {
    let pins = args.pins.parse()?;
    if pins.origin.is_none() || pins.ledger_key.is_none() {
        bail!("--ledger-key and --origin are needed: without them any ledger would do");
    }
    let mut watch: Option<Watch> = None;
    // Until something is wrong, or once.
    loop {
        let looked = match &mut watch {
            Some(watch) => watch.look(),
            None => Watch::begin(args).and_then(|mut begun| {
                let report = begun.look();
                watch = Some(begun);
                report
            }),
        };
        match looked {
            Ok(report) => {
                if let Some(code) = settle(args, &report)? {
                    return Ok(code);
                }
            }
            Err(fault) if args.once => return Err(fault),
            Err(fault) => {
                // What was fed is not known to be whole: the next look begins anew.
                eprintln!("urbanmine: {fault:#}; trying again");
                watch = None;
            }
        }
        if args.once {
            return Ok(ExitCode::SUCCESS);
        }
        std::thread::sleep(Duration::from_secs(args.interval));
    }
}

/// Keeps what held, and ends the watch where something does not.
fn settle(args: &MonitorArgs, report: &Report) -> Result<Option<ExitCode>> {
    if !matches!(report.verdict, Verdict::Verified | Verdict::Warnings) {
        return end(args).map(Some);
    }
    remembered::keep(&args.state, report)?;
    let (size, verdict) = (report.entries.0, report.verdict);
    if args.json {
        let root = report.checkpoint.as_ref().map(|it| it.root.to_string());
        println!("{}", json!({ "verdict": verdict.name(), "entries": size, "root": root }));
    } else {
        println!("{verdict}: {} entries", thousands(size));
    }
    let is_worse = verdict == Verdict::Warnings && args.once;
    Ok(is_worse.then(|| ExitCode::from(verdict.exit_code())))
}

/// Something is wrong: everything is checked once more from the first entry, with what was
/// remembered before, so that what is told is the whole of it.
fn end(args: &MonitorArgs) -> Result<ExitCode> {
    let report = Watch::begin_with(args, Remembered::Consistency)?.look()?;
    let file = match &args.evidence {
        Some(file) => file.clone(),
        None => beside(&args.state),
    };
    if evidence::write(&file, &report, &mut Server::open(&args.server, &args.access)?)? {
        eprintln!("the evidence is in {}: urbanmine verify --evidence", file.display());
    }
    let judged = Judged::of(report);
    if args.json {
        println!("{}", print::report_json(&judged));
    } else {
        print::print(&judged);
    }
    let verdict = judged.verdict();
    eprintln!("{} is left as it was", args.state.display());
    // A look that went wrong and cannot be seen again is still not a good one.
    let code = match verdict {
        Verdict::Verified | Verdict::Warnings => Verdict::Undetermined.exit_code(),
        bad => bad.exit_code(),
    };
    Ok(ExitCode::from(code))
}

fn beside(state: &Path) -> PathBuf {
    let mut name = state.as_os_str().to_owned();
    name.push(".evidence");
    PathBuf::from(name)
}

/// A server that is followed, and all that is known of its ledger.
struct Watch {
    source: Server,
    verifier: Verifier,
}

impl Watch {
    fn begin(args: &MonitorArgs) -> Result<Self> {
        Self::begin_with(args, Remembered::Checked)
    }

    fn begin_with(args: &MonitorArgs, mode: Remembered) -> Result<Self> {
        let mut verifier = Verifier::new(args.pins.parse()?);
        if let Some(memory) = remembered::read(&args.state)? {
            verifier.remember(&memory, mode);
        }
        Ok(Self { source: Server::open(&args.server, &args.access)?, verifier })
    }

    /// Takes the latest checkpoint, and the entries up to it.
    fn look(&mut self) -> Result<Report> {
        self.source.refresh()?;
        self.verifier.checkpoint(self.source.head.as_bytes());
        let progress = bar(self.source.size, "verifying");
        let done = crew::judge(&mut self.verifier, &mut self.source, &progress);
        progress.finish_and_clear();
        done?;
        Ok(self.verifier.report())
    }
}
