//! `urbanmine bench`: how fast this machine's ledger is, against plain signature checks.
//!
//! *Owns:* the load (keys and signed events, all from a seed), the node that is measured (another
//! process, on loopback), windows and their clocks, the yardstick, targets, and how figures are
//! told.
//!
//! *Never:* reaches into the node: it sees what a client and an operator see. Its fractions stay in
//! `rate.rs`.
//!
//! *See:* `docs/PERFORMANCE.md`, on how to read the figures.

mod drive;
mod load;
mod rate;
mod service;
mod yardstick;

use std::path::PathBuf;

use anyhow::Context as _;
use bytes::Bytes;
use clap::Args;
use serde_json::{Value as Json, json};

use super::client::AccessArgs;
use super::output::{bar, print_json, table};
use super::runtime;
use crate::domain::Origin;
use crate::limits::{MAX_BATCH_EVENTS, MAX_BENCH_SIGNERS, MAX_BENCH_WINDOW_ENTRIES};
use drive::Lines;
use load::{Load, Signed};
use rate::{mean, median, per_second, ratio};
use service::{Place, Service};
use yardstick::Yardstick;

/// Name of a ledger that nothing but a bench writes.
const ORIGIN: &str = "urbanmine.example/bench";

/// Measure a node on this machine: appends, latency, audit, reads, disk, memory, reopening, and
/// each beside plain signature checks on all cores in the same run.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Entries that are recorded.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1_000..))]
    entries: u64,
    /// Parties that sign, each with one key.
    #[arg(long, default_value_t = 64,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_BENCH_SIGNERS)))]
    signers: u32,
    /// Where keys and events come from: the same seed gives the same load.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Windows of each measurement; medians are told.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(1..=50))]
    rounds: u8,
    /// Where the ledger goes, and stays [default: a new directory among the temporary files, which
    /// is removed]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &BenchArgs) -> anyhow::Result<()> {
    let load = Load::new(args.seed, Origin::parse(ORIGIN)?, args.signers as usize);
    let place = Place::make(args.data.as_deref())?;
    let runtime = runtime()?;
    runtime.block_on(place.found(&load, ORIGIN))?;
    let service = Service::start(&place)?;
    let lines = runtime.block_on(Lines::open(&service.url, &AccessArgs::default()))?;
    runtime.block_on(drive::batches(&lines, &load.registry()))?;
    let yardstick = Yardstick::of(&load.public_keys())?;
    let rounds = u64::from(args.rounds);
    let window = (args.entries / rounds).clamp(MAX_BATCH_EVENTS as u64, MAX_BENCH_WINDOW_ENTRIES);
    let progress = bar(args.entries, "appending");
    let mut measured = Vec::new();
    for round in 0..rounds {
        let events = load.sign(round * window..(round + 1) * window);
        let it = Round::measure(&runtime, &lines, &yardstick, &events)?;
        progress.inc(window);
        measured.push(it);
    }
    progress.finish_and_clear();
    service.kill();
    report(args, &measured)
}

/// Windows next to each other.
struct Round {
    strict: f64,
    batch: f64,
}

impl Round {
    fn measure(
        runtime: &tokio::runtime::Runtime,
        lines: &Lines,
        yardstick: &Yardstick,
        events: &[Signed],
    ) -> anyhow::Result<Self> {
        let checks = Yardstick::checks(events)?;
        let envelopes: Vec<Bytes> = events.iter().map(|it| it.envelope.clone()).collect();
        let before = per_second(checks.len(), yardstick.measure(&checks)?);
        let took = runtime.block_on(drive::batches(lines, &envelopes))?;
        let batch = per_second(envelopes.len(), took);
        // The node syncs its database when nobody asks for anything; that is not the yardstick's.
        std::thread::sleep(std::time::Duration::from_millis(1_000));
        let after = per_second(checks.len(), yardstick.measure(&checks)?);
        Ok(Self { strict: mean(before, after), batch })
    }

    fn ratio(&self) -> Option<f64> {
        ratio(self.batch, self.strict)
    }
}

fn report(args: &BenchArgs, rounds: &[Round]) -> anyhow::Result<()> {
    let ratios: Vec<f64> = rounds.iter().filter_map(Round::ratio).collect();
    let of = |value: fn(&Round) -> f64| median(&rounds.iter().map(value).collect::<Vec<_>>());
    let strict = of(|it| it.strict).context("no round")?;
    let batch = of(|it| it.batch).context("no round")?;
    if args.json {
        let rounds: Vec<Json> = rounds
            .iter()
            .map(|it| json!({ "strict": it.strict, "batch": it.batch, "ratio": it.ratio() }))
            .collect();
        return print_json(&json!({
            "entries": args.entries, "signers": args.signers, "seed": args.seed,
            "yardstick_per_second": strict, "batch_append_per_second": batch, "rounds": rounds,
            "ratios": { "batch_append": median(&ratios) },
        }));
    }
    let mut rows = table(&["round", "verify_strict/s", "batch append/s", "ratio"]);
    for (number, it) in (1..).zip(rounds) {
        let ratio = it.ratio().map_or_else(String::new, |it| format!("{it:.2}"));
        let cells = [format!("{number}"), format!("{:.0}", it.strict), format!("{:.0}", it.batch)];
        rows.add_row(cells.into_iter().chain([ratio]));
    }
    println!("{rows}\nmedian ratio {:.2}", median(&ratios).unwrap_or_default());
    Ok(())
}
