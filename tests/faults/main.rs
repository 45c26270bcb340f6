//! The fault campaign: what an operator fears, done to the real binary from outside.
//!
//! `cargo test --test faults -- short` in minutes, `-- long` in full, or one campaign by its name
//! with `--trials` and `--seed`. Ends with a table, and with 1 when a promise was broken. See
//! `docs/FAULTS.md`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]
#![allow(clippy::float_arithmetic, reason = "rates of load; no mass is near")]
#![allow(missing_docs, reason = "a program of tests")]
#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "rates of load, far below 2^52"
)]
#![allow(clippy::single_match_else, reason = "both ways read alike")]
#![allow(dead_code, reason = "answers are told when a trial fails, by their Debug")]

#[path = "../common/node_kit.rs"]
mod node_kit;

mod acks;
mod callers;
mod copies;
mod damage;
mod dice;
mod disk;
mod full;
mod inject;
mod kills;
mod load;
mod overload;
mod power;
mod promise;
mod report;
mod strace;
mod world;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result};
use clap::{Parser, ValueEnum};
use report::{Row, Seen};
use world::{Shared, World};

#[derive(Debug, Parser)]
#[command(about = "What an operator fears, done to the real binary from outside.")]
struct Args {
    /// What to do; all of them, briefly, when nothing is said.
    #[arg(value_enum, default_values_t = [Campaign::Short])]
    campaigns: Vec<Campaign>,
    /// How many trials of each campaign, instead of its own number.
    #[arg(long)]
    trials: Option<usize>,
    /// Where chance begins.
    #[arg(long, default_value_t = 6)]
    seed: u64,
    /// The binary under test.
    #[arg(long, default_value = env!("CARGO_BIN_EXE_urbanmine"))]
    binary: PathBuf,
    /// Directory for the trials, which stays; else one that goes.
    #[arg(long)]
    scratch: Option<PathBuf>,
    /// File that the table is written to as well.
    #[arg(long)]
    table: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Campaign {
    /// All, in minutes.
    Short,
    /// All, in full.
    Long,
    /// (a) Every acknowledgement follows a sync.
    Acks,
    /// (b) Faults at each system call.
    Inject,
    /// (c) kill -9 at random moments.
    Kills,
    /// (d) Power cuts.
    Power,
    /// (e) Full disks.
    Full,
    /// (f) Damaged files.
    Damage,
    /// (g) Second instances and old copies.
    Copies,
    /// (h) Three times the load.
    Overload,
    /// (i) Callers that misbehave.
    Callers,
}

/// Says how far a campaign is, to whoever waits.
pub fn progress(what: &str, done: usize, all: usize) {
    let every = (all / 20).max(1);
    if done.is_multiple_of(every) {
        eprintln!("{what}: {done} of {all}");
    }
}

/// How much is done.
#[derive(Debug, Clone)]
pub struct Plan {
    pub seed: u64,
    is_long: bool,
    trials: Option<usize>,
}

impl Plan {
    /// How many trials: what was asked for, or the campaign's own short or long number.
    pub fn trials(&self, short: usize, long: usize) -> usize {
        self.trials.unwrap_or(if self.is_long { long } else { short })
    }

    /// Whether minutes do not matter.
    pub fn is_long(&self) -> bool {
        self.is_long
    }
}

impl Campaign {
    const ALL: &[Self] = &[
        Self::Acks,
        Self::Inject,
        Self::Kills,
        Self::Power,
        Self::Full,
        Self::Damage,
        Self::Copies,
        Self::Overload,
        Self::Callers,
    ];

    fn title(self) -> &'static str {
        match self {
            Self::Short | Self::Long => "all",
            Self::Acks => "(a) acknowledged after a sync",
            Self::Inject => "(b) EIO, ENOSPC, KILL at each call",
            Self::Kills => "(c) kill -9 under load",
            Self::Power => "(d) power cut",
            Self::Full => "(e) disk full",
            Self::Damage => "(f) damaged files",
            Self::Copies => "(g) second instances, old copies",
            Self::Overload => "(h) three times the load",
            Self::Callers => "(i) callers that misbehave",
        }
    }

    async fn run(self, world: &Shared, plan: &Plan) -> Result<Seen> {
        match self {
            Self::Short | Self::Long => unreachable!("they are taken apart before"),
            Self::Acks => acks::run(world, plan).await,
            Self::Inject => inject::run(world, plan).await,
            Self::Kills => kills::run(world, plan).await,
            Self::Power => power::run(world, plan).await,
            Self::Full => full::run(world, plan).await,
            Self::Damage => damage::run(world, plan).await,
            Self::Copies => copies::run(world, plan).await,
            Self::Overload => overload::run(world, plan).await,
            Self::Callers => callers::run(world, plan).await,
        }
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    match tokio::runtime::Runtime::new().context("no runtime").and_then(|it| it.block_on(run(args)))
    {
        Ok(code) => code,
        Err(fault) => {
            eprintln!("{fault:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<ExitCode> {
    let kept;
    let scratch = match &args.scratch {
        Some(path) => path.clone(),
        None => {
            kept = tempfile::tempdir()?;
            kept.path().to_owned()
        }
    };
    std::fs::create_dir_all(&scratch)?;
    // Names in a trace are compared with it.
    let scratch = scratch.canonicalize()?;
    let binary = args.binary.canonicalize().context("the binary under test")?;
    let world = Arc::new(World::found(binary, &scratch).await?);
    let is_long = args.campaigns.contains(&Campaign::Long);
    let plan = Plan { seed: args.seed, is_long, trials: args.trials };
    let is_all = is_long || args.campaigns.contains(&Campaign::Short);
    let campaigns = if is_all { Campaign::ALL } else { &args.campaigns };
    let mut rows = Vec::new();
    for campaign in campaigns {
        eprintln!("--- {}", campaign.title());
        let begun = Instant::now();
        let found = campaign.run(&world, &plan).await;
        let row = Row::new(campaign.title(), found, begun.elapsed());
        eprint!("{}", report::table(std::slice::from_ref(&row)));
        rows.push(row);
    }
    let table = report::table(&rows);
    println!("seed {}\n\n{table}", plan.seed);
    if let Some(path) = &args.table {
        std::fs::write(path, &table)?;
    }
    let has_failed = rows.iter().any(Row::has_failed);
    Ok(if has_failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
