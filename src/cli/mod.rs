//! How operators and auditors drive it.
//!
//! *Owns:* the command line: arguments, key files, scripts of events, tables and bars, exit codes.
//!
//! *Never:* holds a rule, a format or a path of the write: it calls the rooms that do. anyhow lives
//! here.
//!
//! *See:* `README.md` for a tour. stdout is data, stderr is talk; `--json` everywhere.

pub mod anomalies;
pub mod backup;
pub mod bench;
pub mod bundle;
pub mod campaign;
pub mod cert;
pub mod client;
pub mod commitment;
pub mod config;
pub mod demo;
pub mod doctor;
pub mod draft;
pub mod event_json;
pub mod export;
mod export_source;
mod export_target;
pub mod init;
mod insight;
pub mod keyfile;
pub mod keygen;
mod log;
pub mod lot;
mod lot_proof;
pub mod monitor;
pub mod names;
pub mod output;
pub mod pages;
pub mod rebuild;
pub mod recall;
pub mod report;
pub mod report_render;
pub mod restore;
pub mod rotate_key;
pub mod script;
mod second_look;
pub mod serve;
pub mod submit;
pub mod token;
pub mod trace;
pub mod transfers;
pub mod verify;
pub mod watch;
pub mod witness;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A recycled-metal traceability ledger: append-only, signed, and re-checkable by anybody.
#[derive(Debug, Parser)]
#[command(name = "urbanmine", version, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start a node with sample data, trace four metals, verify, and stay up.
    Demo(demo::DemoArgs),
    /// Make a new ledger: genesis and tables.
    Init(init::InitArgs),
    /// Serve a ledger over gRPC.
    Serve(Box<serve::ServeArgs>),
    /// Show the settings of serve, or an example of its configuration file.
    Config(config::command::ConfigArgs),
    /// Give out tokens, by which callers say who they are.
    Token(token::TokenArgs),
    /// Make certificates for development.
    Cert(cert::CertArgs),
    /// Make a signing key in an encrypted key file.
    Keygen(keygen::KeygenArgs),
    /// Sign events from JSON lines and send them; the same file again records nothing twice.
    Submit(submit::SubmitArgs),
    /// Propose, read, sign and discard events that need more than one signature.
    Draft(draft::DraftArgs),
    /// Commit to a private fact, and show it to whom you choose.
    Commitment(commitment::CommitmentArgs),
    /// Show a lot and its life.
    Lot(lot::LotArgs),
    /// Show a campaign and its balance.
    Campaign(campaign::CampaignArgs),
    /// List transfers: of a party or a lot, and how they stand.
    Transfers(transfers::TransfersArgs),
    /// Show where a lot's metal came from, or where it went, in grams.
    Trace(trace::TraceArgs),
    /// List what cannot be true, or is hard to believe.
    Anomalies(Box<anomalies::AnomaliesArgs>),
    /// Reports: coverage, flows, balances, labels, and the entries behind each number.
    Report(Box<report::ReportArgs>),
    /// List the lots that a recall of a lot has to reach, and who has them.
    Recall(recall::RecallArgs),
    /// Show entries as they are recorded, until Ctrl-C; goes on by itself after a cut.
    Watch(watch::WatchArgs),
    /// Check a ledger: chain, tree, every signature, lot links, and every rule again.
    Verify(Box<verify::VerifyArgs>),
    /// Follow a ledger, check every new entry, and keep evidence of a fork.
    Monitor(monitor::MonitorArgs),
    /// Write one lot and its grounds, with the proofs, into a file.
    Bundle(bundle::BundleArgs),
    /// Run a witness: cosign the checkpoints of logs that only grow.
    Witness(Box<witness::WitnessArgs>),
    /// Write the ledger as files that verify without the service (C2SP tlog-tiles).
    Export(export::ExportArgs),
    /// Measure a node on this machine, beside plain signature checks in the same run.
    Bench(bench::BenchArgs),
    /// Check directories, ledger, key, clock and machine; nothing is changed.
    Doctor(doctor::DoctorArgs),
    /// Write the completions of a shell.
    Completions(pages::CompletionsArgs),
    /// Write the manual pages.
    Man(pages::ManArgs),
    /// Back up a ledger into one file, while its node runs.
    Backup(backup::BackupArgs),
    /// Restore a ledger from a backup, once everything in it is verified.
    Restore(restore::RestoreArgs),
    /// Make the database anew from the journal.
    Rebuild(rebuild::RebuildArgs),
    /// Give a stopped ledger its next key.
    RotateKey(rotate_key::RotateKeyArgs),
}

/// Exit code for a command line that is not understood (`sysexits.h`).
const USAGE: u8 = 64;
/// Exit code for anything else that did not work.
const FAILED: u8 = 1;
/// Exit code of what verifies, `verify` and `restore`, when it could not do its work.
const COULD_NOT_VERIFY: u8 = 2;

/// Runs the command line.
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            // Help and version are answers; clap's own code 2 would read as "could not verify".
            return if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
        }
    };
    // A service reads its configuration first, which says how it logs.
    if !matches!(cli.command, Command::Serve(_)) {
        log::start(&config::settings::LogSettings::default());
    }
    keep_quiet_about_stdout();
    let is_verify =
        matches!(cli.command, Command::Verify(_) | Command::Monitor(_) | Command::Restore(_));
    // Where stdout is full or gone a print panics, and a panic's own exit code is in no contract.
    let done = catch_unwind(AssertUnwindSafe(|| dispatch(cli.command)));
    let done = done.unwrap_or_else(|told| Err(fault_of(told.as_ref())));
    done.unwrap_or_else(|error| {
        eprintln!("urbanmine: {error:#}");
        let is_usage = error.is::<config::ConfigFault>() || error.is::<verify::UsageFault>();
        ExitCode::from(match (is_usage, is_verify) {
            (true, _) => USAGE,
            (false, true) => COULD_NOT_VERIFY,
            (false, false) => FAILED,
        })
    })
}

fn dispatch(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Demo(args) => demo::run(&args),
        Command::Init(args) => init::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Serve(args) => serve::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Config(args) => config::command::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Token(args) => token::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Cert(args) => cert::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Keygen(args) => keygen::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Submit(args) => submit::run(&args),
        Command::Draft(args) => draft::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Commitment(args) => commitment::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Lot(args) => lot::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Campaign(args) => campaign::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Transfers(args) => transfers::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Trace(args) => trace::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Anomalies(args) => anomalies::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Recall(args) => recall::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Watch(args) => watch::run(&args),
        Command::Verify(args) => verify::run(&args),
        Command::Monitor(args) => monitor::run(&args),
        Command::Bundle(args) => bundle::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Witness(args) => witness::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Export(args) => export::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Bench(args) => bench::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Doctor(args) => doctor::run(&args),
        Command::Completions(args) => {
            pages::completions(&args);
            Ok(ExitCode::SUCCESS)
        }
        Command::Man(args) => pages::man(&args).map(|()| ExitCode::SUCCESS),
        Command::Backup(args) => backup::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Restore(args) => restore::run(&args),
        Command::Rebuild(args) => rebuild::run(&args).map(|()| ExitCode::SUCCESS),
        Command::RotateKey(args) => rotate_key::run(&args).map(|()| ExitCode::SUCCESS),
    }
}

/// What a print that fails panics with; `println!` gives no other sign.
const STDOUT_FAILED: &str = "failed printing to stdout";

/// A closed pipe (`urbanmine lot … | head`) is not worth a stack trace; every other panic is.
fn keep_quiet_about_stdout() {
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !said(panic.payload()).starts_with(STDOUT_FAILED) {
            tell(panic);
        }
    }));
}

fn fault_of(payload: &(dyn std::any::Any + Send)) -> anyhow::Error {
    if said(payload).starts_with(STDOUT_FAILED) {
        return anyhow::anyhow!("standard output took no more; the answer is not whole");
    }
    anyhow::anyhow!("stopped by a fault, told above")
}

fn said(payload: &(dyn std::any::Any + Send)) -> &str {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or_default()
}

/// A runtime for commands that talk.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}
