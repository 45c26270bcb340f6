//! `urbanmine monitor`: an auditor that never looks away.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use serde_json::json;

use super::client::AccessArgs;
use super::output::{bar, replace_file, thousands};
use super::verify::source::Server;
use super::verify::{Judged, PinArgs, crew, evidence, print, remembered};
use crate::limits::MONITOR_SECONDS;
use crate::verify::{Remembered, Report, Verdict, Verifier};

/// Follow a ledger: check every new entry as it comes, and remember the last checkpoint that held.
///
/// Goes on until something is wrong: then it writes the evidence, when there is any, keeps the
/// checkpoint that it was shown in <state>.shown, and ends with 1 or 2. A server that cannot be
/// reached is tried again. Exit codes: as verify; 0 only with --once.
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
    /// Print a line of JSON for each look, also for one that failed (verdict "undetermined").
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
            None => Watch::begin(args).and_then(|begun| watch.insert(begun).look()),
        };
        match looked {
            Ok(report) => {
                let shown = watch.as_ref().map_or("", |watch| &watch.source.head);
                if let Some(code) = settle(args, report, shown)? {
                    return Ok(code);
                }
            }
            Err(fault) => {
                if args.json {
                    println!("{}", print::unreadable_json(&fault));
                }
                if args.once {
                    return Err(fault);
                }
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
fn settle(args: &MonitorArgs, report: Report, shown: &str) -> Result<Option<ExitCode>> {
    if !matches!(report.verdict, Verdict::Verified | Verdict::Warnings) {
        return end(args, report, shown).map(Some);
    }
    remembered::keep(&args.state, &report)?;
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
/// remembered before, so that what is told is the whole of it. A server that then behaves better,
/// or says no more, does not unsay what it showed: its head is kept, and the first verdict stands.
fn end(args: &MonitorArgs, first: Report, shown: &str) -> Result<ExitCode> {
    let head = beside(&args.state, ".shown");
    replace_file(&head, shown.as_bytes())?;
    eprintln!("the checkpoint that was shown is in {}", head.display());
    let again = match check_again(args) {
        Ok(report) => Some(report).filter(|again| again.verdict >= first.verdict),
        Err(fault) => {
            eprintln!("urbanmine: {fault:#}");
            None
        }
    };
    if again.is_none() {
        eprintln!("it could not be seen again, and stands as it was seen");
    }
    let judged = Judged::of(again.unwrap_or(first));
    if args.json {
        println!("{}", print::report_json(&judged));
    } else {
        print::print(&judged);
    }
    eprintln!("{} is left as it was", args.state.display());
    Ok(ExitCode::from(judged.verdict().exit_code()))
}

/// From the first entry on, and the evidence where there is any.
fn check_again(args: &MonitorArgs) -> Result<Report> {
    let report = Watch::begin_with(args, Remembered::Consistency)?.look()?;
    let file = args.evidence.clone().unwrap_or_else(|| beside(&args.state, ".evidence"));
    let written = Server::open(&args.server, &args.access)
        .and_then(|mut source| evidence::write(&file, &report, &mut source));
    match written {
        Ok(true) => {
            eprintln!("the evidence is in {}: urbanmine verify --evidence", file.display());
        }
        Ok(false) => {}
        Err(fault) => eprintln!("urbanmine: no evidence could be made: {fault:#}"),
    }
    Ok(report)
}

fn beside(state: &Path, ending: &str) -> PathBuf {
    let mut name = state.as_os_str().to_owned();
    name.push(ending);
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
        if let Some(why) = self.source.is_short.take() {
            bail!("{why}");
        }
        Ok(self.verifier.report())
    }
}
