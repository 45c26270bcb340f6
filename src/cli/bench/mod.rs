//! `urbanmine bench`: how fast this machine's ledger is, against plain signature checks.
//!
//! *Owns:* the load (keys and signed events, all from a seed), the node that is measured (another
//! process, on loopback), windows and their clocks, the yardstick, targets, and how figures are
//! told.
//!
//! *Never:* reaches into the node: it sees what a client and an operator see. Fractions are
//! computed in `rate.rs` only.
//!
//! *See:* `docs/PERFORMANCE.md`, on how to read the figures.

mod audit;
mod drive;
mod figures;
mod load;
mod plan;
mod process;
mod rate;
mod service;
mod yardstick;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use clap::Args;
use indicatif::ProgressBar;
use serde_json::json;
use tokio::runtime::Runtime;

use super::client::AccessArgs;
use super::keyfile::{self, PassphraseArgs};
use super::names::id_bytes;
use super::output::{bar, hex, print_json};
use super::runtime;
use crate::domain::{LotId, Origin, PartyId};
use crate::limits::{
    BENCH_AUDITS, BENCH_FIRST_POINT, BENCH_READS, ENVELOPE_OF_ONE_BYTES, MAX_BENCH_ENTRIES,
    MAX_BENCH_ROUNDS, MAX_BENCH_SIGNERS, MAX_BENCH_WINDOW_ENTRIES, MAX_KEYS,
};
use crate::node::clock::{Clock as _, SystemClock};
use audit::Audit;
use drive::{Latencies, Lines, Sent};
use figures::{Audited, Inside, Point, Reopened, Round, Strict, Window};
use load::{Coordinator, Events, Load, Mix, Signed};
use plan::Step;
use process::{Disk, Spent, peak_bytes, settle};
use rate::{gap_at_half, per_second};
use service::{Place, Service};
use yardstick::Yardstick;

/// Name of a ledger that nothing but a bench writes.
const ORIGIN: &str = "urbanmine.example/bench";

/// Measure a node on this machine: appends, latency, audit, reads, disk, memory, reopening; beside
/// plain signature checks on all cores in the same run.
///
/// The load is made from the seed and signed before anything is measured. At 100,000, 1,000,000 and
/// 10,000,000 entries, and at the end, everything is measured anew.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Entries of the ledger at the end.
    #[arg(long, default_value_t = 100_000,
          value_parser = clap::value_parser!(u64).range(1..=MAX_BENCH_ENTRIES))]
    entries: u64,
    /// Parties that sign, each with one key.
    #[arg(long, default_value_t = 64,
          value_parser = clap::value_parser!(u32).range(1..=i64::from(MAX_BENCH_SIGNERS)))]
    signers: u32,
    /// How many in a hundred of the events that are measured are signed by a key that signed
    /// nothing before.
    #[arg(long, value_name = "PERCENT", default_value_t = 0,
          value_parser = clap::value_parser!(u8).range(0..=100))]
    fresh_percent: u8,
    /// What the events are.
    #[arg(long, value_enum, default_value_t = Mix::Collect)]
    mix: Mix,
    /// Where keys and events come from: the same seed gives the same load.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Windows of each measurement; medians are told.
    #[arg(long, default_value_t = 5,
          value_parser = clap::value_parser!(u8).range(1..=i64::from(MAX_BENCH_ROUNDS)))]
    rounds: u8,
    /// Where the ledger goes, and stays; on the disk that is to be measured [default: a new
    /// directory among the temporary files, which is removed]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    target: TargetArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// A node that is there.
#[derive(Debug, Args)]
struct TargetArgs {
    /// A node that is there, in place of one of our own. The load is RECORDED in its ledger, for
    /// good. Audit, disk, memory and reopening are not measured.
    #[arg(long, value_name = "URL", conflicts_with = "data", requires = "coordinator")]
    server: Option<String>,
    /// Key file of a coordinator of that ledger, who registers the parties of the load.
    #[arg(long, value_name = "PARTY=FILE", requires = "server")]
    coordinator: Option<String>,
    #[command(flatten)]
    passphrase: PassphraseArgs,
    #[command(flatten)]
    access: AccessArgs,
}

pub(super) fn run(args: &BenchArgs) -> anyhow::Result<()> {
    if args.mix == Mix::Trade && args.fresh_percent > 0 {
        bail!("--fresh-percent is for --mix collect: a story is signed by one seller");
    }
    let mut bench = Bench::start(args)?;
    let progress = bar(args.entries, "");
    let (mut points, begun) = (Vec::new(), bench.size()?);
    let base = if bench.own.is_some() { 0 } else { begun };
    bench.register()?;
    for entries in plan::points(args.entries) {
        points.push(bench.reach(base + entries, &progress)?);
    }
    progress.finish_and_clear();
    let about = json!({
        "mix": if args.mix == Mix::Collect { "collect" } else { "trade" },
        "entries": args.entries, "signers": args.signers, "fresh_percent": args.fresh_percent,
        "seed": args.seed, "rounds": args.rounds,
        "cores": std::thread::available_parallelism().map_or(1, usize::from),
    });
    if args.json {
        return print_json(&figures::json(&points, &about));
    }
    figures::print(&points, &about);
    Ok(())
}

/// A node of our own.
struct Own {
    place: Place,
    /// None while it is down.
    service: Option<Service>,
}

/// A run.
struct Bench<'a> {
    args: &'a BenchArgs,
    runtime: Runtime,
    load: Load,
    own: Option<Own>,
    lines: Lines,
    /// The number of the next event.
    next: u64,
    /// The next key that is used once.
    fresh: u64,
}

impl<'a> Bench<'a> {
    fn start(args: &'a BenchArgs) -> anyhow::Result<Self> {
        let runtime = runtime()?;
        let made = |origin: &str| {
            anyhow::Ok(Load::new(args.seed, Origin::parse(origin)?, args.signers, args.mix))
        };
        let (load, own, lines) = if let Some(server) = &args.target.server {
            let lines = runtime.block_on(Lines::open(server, &args.target.access))?;
            let origin = runtime.block_on(lines.ledger())?.origin;
            (made(&origin)?.registered_by(args.target.coordinator()?), None, lines)
        } else {
            let (place, load) = (Place::make(args.data.as_deref())?, made(ORIGIN)?);
            runtime.block_on(async {
                place.clear_when_interrupted();
                place.found(&load, ORIGIN).await
            })?;
            let service = Service::start(&place)?;
            let lines = runtime.block_on(Lines::open(&service.url, &AccessArgs::default()))?;
            (load, Some(Own { place, service: Some(service) }), lines)
        };
        Ok(Self { args, runtime, load, own, lines, next: 0, fresh: 0 })
    }

    fn size(&self) -> anyhow::Result<u64> {
        Ok(self.runtime.block_on(self.lines.ledger())?.size)
    }

    fn register(&self) -> anyhow::Result<()> {
        let registered = drive::batches(&self.lines, self.load.registry());
        self.runtime.block_on(registered).context("the parties of the load are not registered")?;
        Ok(())
    }

    /// The process that is measured.
    fn process(&self) -> Option<u32> {
        self.own.as_ref()?.service.as_ref().map(Service::id)
    }

    /// Lets the ledger grow to a size, and measures there.
    fn reach(&mut self, entries: u64, progress: &ProgressBar) -> anyhow::Result<Point> {
        let rounds = u64::from(self.args.rounds);
        let left = entries.saturating_sub(self.size()?);
        let step = Step::new(left, rounds, u64::from(self.args.fresh_percent))?;
        progress.set_message("filling in");
        self.fill(step.fill, progress)?;
        let (mut measured, mut receipts) = (Vec::new(), drive::latencies()?);
        let mut payload_bytes = 0;
        for number in 1..=rounds {
            progress.set_message(format!("round {number} of {rounds}"));
            let windows = self.windows(&step)?;
            payload_bytes = windows.payload_bytes();
            measured.push(self.round(windows, &mut receipts)?);
            progress.set_position(self.next);
        }
        progress.set_message("reading");
        let (proofs, lots) = self.reads()?;
        let size = self.size()?;
        let entry_bytes = self.entry_bytes(size)?;
        progress.set_message("audit, kill, reopen");
        let inside = self.inside(step.burst)?;
        progress.set_position(self.next);
        let rounds = measured;
        Ok(Point {
            entries: size,
            entry_bytes,
            payload_bytes,
            rounds,
            receipts,
            proofs,
            lots,
            inside,
        })
    }

    /// Events that are not measured, signed and sent piece by piece.
    fn fill(&mut self, count: u64, progress: &ProgressBar) -> anyhow::Result<()> {
        let end = self.next + count;
        while self.next < end {
            let piece = (end - self.next).min(MAX_BENCH_WINDOW_ENTRIES);
            let events = self.events(piece, 0)?;
            let batches = drive::in_batches(&envelopes(&events));
            self.runtime.block_on(drive::batches(&self.lines, batches))?;
            progress.set_position(self.next);
        }
        Ok(())
    }

    /// The next events; keys that are used once are registered before.
    fn events(&mut self, count: u64, fresh_percent: u64) -> anyhow::Result<Vec<Signed>> {
        let numbers = self.next..self.next + count;
        let events = Events { numbers, fresh_percent, first_fresh: self.fresh };
        let keys = events.fresh_keys();
        if keys > 0 {
            let batches = self.load.fresh_registry(self.fresh, keys);
            self.runtime.block_on(drive::batches(&self.lines, batches))?;
        }
        self.next += count;
        self.fresh = (self.fresh + keys).next_multiple_of(MAX_KEYS as u64);
        Ok(self.load.sign(&events))
    }

    /// Signs what a round sends.
    fn windows(&mut self, step: &Step) -> anyhow::Result<Windows> {
        let fresh = u64::from(self.args.fresh_percent);
        let batch = self.events(step.batch, fresh)?;
        let (single, paced) = (self.events(step.single, fresh)?, self.events(step.paced, fresh)?);
        Ok(Windows { batch, single: self.in_stages(&single), paced: self.in_stages(&paced) })
    }

    /// For events that are sent one by one, each on its own way: those that need another one are
    /// sent when all of an earlier stage are recorded.
    fn in_stages(&self, events: &[Signed]) -> Vec<Vec<Bytes>> {
        let stages = if self.args.mix == Mix::Trade { 4 } else { 1 };
        let stage = |first: usize| events.iter().skip(first).step_by(stages);
        (0..stages).map(|it| stage(it).map(|it| it.envelope.clone()).collect()).collect()
    }

    /// Yardstick, batches, yardstick, single appends, yardstick, half of that.
    fn round(&self, windows: Windows, receipts: &mut Latencies) -> anyhow::Result<Round> {
        let (yardstick, process) = (Yardstick::of(&windows.batch)?, self.process());
        let entries = (windows.batch.len() as u64, windows.single.iter().flatten().count() as u64);
        let batches = drive::in_batches(&envelopes(&windows.batch));
        let mut strict = Strict::default();
        settle(process);
        let before = strict.measure(&yardstick)?;
        let spent = Spent::so_far(process);
        let all_sent = self.runtime.block_on(drive::batches(&self.lines, batches))?;
        settle(process);
        let batch_spent = spent.since(process);
        let between = strict.measure(&yardstick)?;
        let spent = Spent::so_far(process);
        let single = self.runtime.block_on(self.singles(windows.single))?;
        settle(process);
        let single_spent = spent.since(process);
        let after = strict.measure(&yardstick)?;
        let batch = Window::of(entries.0, &all_sent, batch_spent);
        let single = Window::of(entries.1, &single, single_spent);
        for stage in windows.paced {
            let paced = drive::paced(&self.lines, stage, gap_at_half(single.per_second));
            receipts.add(self.runtime.block_on(paced)?)?;
        }
        Ok(Round { strict: [before, between, after], spent: strict, batch, single })
    }

    async fn singles(&self, stages: Vec<Vec<Bytes>>) -> anyhow::Result<Sent> {
        let mut all = Sent::default();
        for stage in stages {
            let sent = drive::singles(&self.lines, stage).await?;
            all.took += sent.took;
            all.retries += sent.retries;
        }
        Ok(all)
    }

    /// Proofs and lots from all over the ledger.
    fn reads(&self) -> anyhow::Result<(Latencies, Latencies)> {
        settle(self.process());
        let size = self.size()?;
        let places: Vec<u64> = (0..BENCH_READS.min(size / 4)).map(|it| self.load.any(it)).collect();
        let indexes: Vec<u64> = places.iter().map(|it| it % size).collect();
        let lots: Vec<LotId> = places.iter().map(|it| self.load.lot(it % self.next)).collect();
        self.runtime.block_on(async {
            let proofs = drive::proofs(&self.lines, &indexes, size).await?;
            Ok((proofs, drive::lots(&self.lines, &lots).await?))
        })
    }

    /// Bytes of an entry on average, from some of the newer half, where no tables lie.
    fn entry_bytes(&self, size: u64) -> anyhow::Result<u64> {
        const SAMPLE: u64 = 256;
        let mut bytes = 0;
        for number in 0..SAMPLE {
            let index = size / 2 + size / 2 * number / SAMPLE;
            bytes += self.runtime.block_on(self.lines.entry_bytes(index))?;
        }
        Ok(bytes / SAMPLE)
    }

    /// What only a node of our own tells; it is killed while it works, and started again.
    fn inside(&mut self, burst: u64) -> anyhow::Result<Option<Inside>> {
        let events = self.events(burst, 0)?;
        let batches = drive::in_batches(&envelopes(&events));
        if self.own.is_none() {
            self.runtime.block_on(drive::batches(&self.lines, batches))?;
            return Ok(None);
        }
        let (yardstick, process) = (Yardstick::of(&events)?, self.process());
        let audits = self.audits(&yardstick)?;
        let Some(own) = &mut self.own else { return Ok(None) };
        let disk = Disk::of(&own.place.data())?;
        let peak = process.and_then(peak_bytes);
        let service = own.service.take();
        let killed = drive::interrupted(&self.lines, batches.clone(), || drop(service));
        let acknowledged = self.runtime.block_on(killed);
        let begun = Instant::now();
        let service = Service::start(&own.place)?;
        let access = AccessArgs::default();
        self.lines = self.runtime.block_on(Lines::open(&service.url, &access))?;
        self.runtime.block_on(self.lines.ledger())?;
        let took_ms = u64::try_from(begun.elapsed().as_millis())?;
        let reopened = Reopened { took_ms, peak: peak_bytes(service.id()) };
        own.service = Some(service);
        self.runtime.block_on(drive::again(&self.lines, &batches, &acknowledged))?;
        Ok(Some(Inside { audits, disk, peak, reopened }))
    }

    /// Audits of the whole ledger; the node is up and has nothing to do.
    fn audits(&self, yardstick: &Yardstick) -> anyhow::Result<Vec<Audited>> {
        let Some(own) = &self.own else { return Ok(Vec::new()) };
        let (ledger_key, _) = self.load.keys_of_ledger();
        let ledger_key = hex(ledger_key.public_key().as_bytes());
        let is_long = self.size()? > BENCH_FIRST_POINT;
        let rounds = if is_long { 1 } else { BENCH_AUDITS.min(self.args.rounds) };
        let mut audits = Vec::new();
        for _ in 0..rounds {
            let before = yardstick.measure()?;
            let audit = Audit::of(&own.place, ORIGIN, &ledger_key)?;
            audits.push(Audited {
                strict: [before, yardstick.measure()?],
                per_second: per_second(audit.entries, audit.took),
                peak: audit.peak,
            });
        }
        Ok(audits)
    }
}

/// Events of a round, signed.
struct Windows {
    batch: Vec<Signed>,
    /// In stages, as the other ones.
    single: Vec<Vec<Bytes>>,
    paced: Vec<Vec<Bytes>>,
}

impl Windows {
    /// Signed bytes of an event on average.
    fn payload_bytes(&self) -> u64 {
        let all: usize = self.batch.iter().map(|it| it.envelope.len()).sum();
        ((all / self.batch.len().max(1)) as u64).saturating_sub(ENVELOPE_OF_ONE_BYTES as u64)
    }
}

fn envelopes(events: &[Signed]) -> Vec<Bytes> {
    events.iter().map(|it| it.envelope.clone()).collect()
}

impl TargetArgs {
    fn coordinator(&self) -> anyhow::Result<Coordinator> {
        let given = self.coordinator.as_deref().unwrap_or_default();
        let (party, file) = given.split_once('=').context("--coordinator is PARTY=FILE")?;
        Ok(Coordinator {
            party: PartyId::parse(&id_bytes(party)?)?,
            key: keyfile::read(file.as_ref(), &self.passphrase)?,
            registers_at: SystemClock.now(),
        })
    }
}
