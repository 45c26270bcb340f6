//! What came of a run: figures, targets beside them, as a table and as JSON.

use serde_json::{Map, Value as Json, json};

use super::super::output::{table, thousands};
use super::drive::{Latencies, Sent};
use super::process::{Disk, Spent};
use super::rate::{mean, median, mib, per_second, quotient, ratio, thousandth};
use super::yardstick::Yardstick;

/// What the yardstick took of the processors.
#[derive(Debug, Default)]
pub(super) struct Strict {
    checks: u64,
    processor_ms: Option<u64>,
}

impl Strict {
    /// Runs the yardstick once more; how many a second.
    pub(super) fn measure(&mut self, yardstick: &Yardstick) -> anyhow::Result<f64> {
        let spent = Spent::so_far(None);
        let rate = yardstick.measure()?;
        let spent = spent.since(None).client;
        self.checks += yardstick.count();
        self.processor_ms = spent.map(|it| it + self.processor_ms.unwrap_or_default());
        Ok(rate)
    }

    fn microseconds(&self) -> Option<f64> {
        quotient(self.processor_ms? * 1_000, self.checks)
    }
}

/// A window of appends.
#[derive(Debug)]
pub(super) struct Window {
    entries: u64,
    /// Entries a second.
    pub(super) per_second: f64,
    /// Of the processors, until the node was at rest again.
    spent: Spent,
    /// Times that the node was too busy.
    retries: usize,
}

impl Window {
    pub(super) fn of(entries: u64, sent: &Sent, cost: Spent) -> Self {
        let per_second = per_second(entries, sent.took);
        Self { entries, per_second, spent: cost, retries: sent.retries }
    }

    fn node_us(&self) -> Option<f64> {
        quotient(self.spent.node? * 1_000, self.entries)
    }

    fn client_us(&self) -> Option<f64> {
        quotient(self.spent.client? * 1_000, self.entries)
    }

    /// A strict check to an append, both in processor time of all that take part: the ratio that
    /// the rates would have if nothing ever waited.
    fn by_processor(&self, strict: &Strict) -> Option<f64> {
        let both = quotient((self.spent.node? + self.spent.client?) * 1_000, self.entries)?;
        ratio(strict.microseconds()?, both)
    }
}

/// Windows next to each other: yardstick, batches, yardstick, single appends, yardstick, half of
/// that.
#[derive(Debug)]
pub(super) struct Round {
    /// Strict signature checks a second: before, between and after.
    pub(super) strict: [f64; 3],
    /// And of the processors.
    pub(super) spent: Strict,
    /// In batches.
    pub(super) batch: Window,
    /// One by one.
    pub(super) single: Window,
}

impl Round {
    fn batch_ratio(&self) -> Option<f64> {
        ratio(self.batch.per_second, mean(self.strict[0], self.strict[1]))
    }

    fn single_ratio(&self) -> Option<f64> {
        ratio(self.single.per_second, mean(self.strict[1], self.strict[2]))
    }
}

/// An audit between two yardsticks.
#[derive(Debug)]
pub(super) struct Audited {
    pub(super) strict: [f64; 2],
    pub(super) per_second: f64,
    pub(super) peak: Option<u64>,
}

impl Audited {
    fn ratio(&self) -> Option<f64> {
        ratio(self.per_second, mean(self.strict[0], self.strict[1]))
    }
}

/// A node that was killed, and started again.
#[derive(Debug)]
pub(super) struct Reopened {
    pub(super) took_ms: u64,
    pub(super) peak: Option<u64>,
}

/// What only a node of our own tells.
#[derive(Debug)]
pub(super) struct Inside {
    pub(super) audits: Vec<Audited>,
    pub(super) disk: Disk,
    pub(super) peak: Option<u64>,
    pub(super) reopened: Reopened,
}

/// Everything at one size.
pub(super) struct Point {
    /// Entries of the ledger.
    pub(super) entries: u64,
    /// Bytes of an entry, and of what was signed in it, on average.
    pub(super) entry_bytes: u64,
    pub(super) payload_bytes: u64,
    pub(super) rounds: Vec<Round>,
    pub(super) receipts: Latencies,
    pub(super) proofs: Latencies,
    pub(super) lots: Latencies,
    pub(super) inside: Option<Inside>,
}

impl Point {
    fn of(&self, figure: impl Fn(&Round) -> Option<f64>) -> Option<f64> {
        median(self.rounds.iter().filter_map(figure))
    }

    fn of_audits(&self, figure: impl Fn(&Audited) -> Option<f64>) -> Option<f64> {
        median(self.inside.as_ref()?.audits.iter().filter_map(figure))
    }

    fn disk_by(&self, bytes: u64) -> Option<f64> {
        let disk = self.inside.as_ref()?.disk;
        quotient(disk.bytes - disk.set_aside, self.entries * bytes)
    }
}

/// What is hoped for.
#[derive(Clone, Copy)]
struct Target {
    must: f64,
    aim: f64,
    /// Whether less is better.
    is_most: bool,
    /// The size that it is meant for.
    at: u64,
}

const fn at_least(must: f64, aim: f64) -> Target {
    Target { must, aim, is_most: false, at: 0 }
}

const fn at_most(must: f64, aim: f64, at: u64) -> Target {
    Target { must, aim, is_most: true, at }
}

/// One figure.
struct Row {
    key: &'static str,
    label: &'static str,
    digits: usize,
    target: Option<Target>,
    /// At a size; the first size is given beside it.
    value: fn(&Point, &Point) -> Option<f64>,
}

const fn row(
    key: &'static str,
    label: &'static str,
    digits: usize,
    target: Option<Target>,
    value: fn(&Point, &Point) -> Option<f64>,
) -> Row {
    Row { key, label, digits, target, value }
}

const MILLION: u64 = 1_000_000;

fn ms(latencies: &Latencies, quantile: f64) -> Option<f64> {
    let is_measured = !latencies.is_empty();
    is_measured.then(|| thousandth(latencies.value_at_quantile(quantile)))
}

/// All figures, in the order in which they are told.
const ROWS: [Row; 28] = [
    row("verify_strict_per_s", "verify_strict on all cores, /s", 0, None, |it, _| {
        it.of(|round| median(round.strict))
    }),
    row("verify_strict_us", "  processor time, us each", 1, None, |it, _| {
        it.of(|round| round.spent.microseconds())
    }),
    row("batch_append_per_s", "batch append, 256 a call, /s", 0, None, |it, _| {
        it.of(|round| Some(round.batch.per_second))
    }),
    row("batch_append", "  to verify_strict", 2, Some(at_least(0.8, 1.5)), |it, _| {
        it.of(Round::batch_ratio)
    }),
    row("batch_growth", "  to that at the first size", 2, Some(at_least(0.7, 0.9)), |it, first| {
        ratio(it.of(Round::batch_ratio)?, first.of(Round::batch_ratio)?)
    }),
    row("batch_by_processor", "  the same by processor time", 2, None, |it, _| {
        it.of(|round| round.batch.by_processor(&round.spent))
    }),
    row("batch_node_us", "  processor time of the node, us", 1, None, |it, _| {
        it.of(|round| round.batch.node_us())
    }),
    row("batch_client_us", "  and of its client, us", 1, None, |it, _| {
        it.of(|round| round.batch.client_us())
    }),
    row("single_append_per_s", "single append, 256 in flight, /s", 0, None, |it, _| {
        it.of(|round| Some(round.single.per_second))
    }),
    row("single_append", "  to verify_strict", 2, Some(at_least(0.3, 0.45)), |it, _| {
        it.of(Round::single_ratio)
    }),
    row("single_by_processor", "  the same by processor time", 2, None, |it, _| {
        it.of(|round| round.single.by_processor(&round.spent))
    }),
    row("single_node_us", "  processor time of the node, us", 1, None, |it, _| {
        it.of(|round| round.single.node_us())
    }),
    row("single_client_us", "  and of its client, us", 1, None, |it, _| {
        it.of(|round| round.single.client_us())
    }),
    row("receipt_p50_ms", "receipt at half of that, p50, ms", 1, None, |it, _| {
        ms(&it.receipts, 0.5)
    }),
    row("receipt_p99_ms", "  p99, ms", 1, Some(at_most(50.0, 20.0, 0)), |it, _| {
        ms(&it.receipts, 0.99)
    }),
    row("audit_per_s", "audit, /s", 0, None, |it, _| it.of_audits(|audit| Some(audit.per_second))),
    row("audit", "  to verify_strict", 2, Some(at_least(1.5, 2.2)), |it, _| {
        it.of_audits(Audited::ratio)
    }),
    row("audit_memory_mib", "  memory, MiB", 0, None, |it, _| it.of_audits(|it| it.peak.map(mib))),
    row("inclusion_proof_p50_ms", "inclusion proof, p50, ms", 2, None, |it, _| ms(&it.proofs, 0.5)),
    row("inclusion_proof_p99_ms", "  p99, ms", 2, Some(at_most(2.0, 0.5, MILLION)), |it, _| {
        ms(&it.proofs, 0.99)
    }),
    row("lot_read_p50_ms", "lot, p50, ms", 2, None, |it, _| ms(&it.lots, 0.5)),
    row("lot_read_p99_ms", "  p99, ms", 2, None, |it, _| ms(&it.lots, 0.99)),
    row(
        "disk_per_entry_byte",
        "disk, bytes a byte of entries",
        2,
        Some(at_most(3.5, 2.0, 0)),
        |it, _| it.disk_by(it.entry_bytes),
    ),
    row("disk_per_signed_byte", "  bytes a signed byte", 2, None, |it, _| {
        it.disk_by(it.payload_bytes)
    }),
    row("disk_set_aside_mib", "  set aside for the journal, MiB", 0, None, |it, _| {
        it.inside.as_ref().map(|it| mib(it.disk.set_aside))
    }),
    row("memory_mib", "node's memory at most, MiB", 0, None, |it, _| {
        it.inside.as_ref()?.peak.map(mib)
    }),
    row("reopen_s", "reopening after kill -9, s", 2, Some(at_most(3.0, 1.0, MILLION)), |it, _| {
        it.inside.as_ref().map(|it| thousandth(it.reopened.took_ms))
    }),
    row("reopen_memory_mib", "  memory, MiB", 0, Some(at_most(512.0, 256.0, MILLION)), |it, _| {
        it.inside.as_ref()?.reopened.peak.map(mib)
    }),
];

/// The ratios that are told apart.
const RATIOS: [&str; 3] = ["batch_append", "single_append", "audit"];

fn said(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "not measured".to_owned(), |value| format!("{value:.digits$}"))
}

fn holds(value: Option<f64>, target: Target) -> &'static str {
    let reaches =
        |goal: f64| value.is_some_and(|it| if target.is_most { it <= goal } else { it >= goal });
    match (value.is_some(), reaches(target.aim), reaches(target.must)) {
        (false, ..) => "not measured",
        (_, true, _) => "aim reached",
        (_, _, true) => "must reached",
        _ => "missed",
    }
}

/// Prints what came of a run; `about` is what it was of.
pub(super) fn print(points: &[Point], about: &Json) {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return };
    let mut head = vec![String::new()];
    head.extend(points.iter().map(|it| thousands(it.entries)));
    head.extend(["must", "aim", ""].map(str::to_owned));
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    let mut rows = table(&head);
    for row in &ROWS {
        let mut cells = vec![row.label.to_owned()];
        cells.extend(points.iter().map(|it| said((row.value)(it, first), row.digits)));
        if let Some(target) = row.target {
            let verdict = holds((row.value)(last, first), target);
            let at = if target.at == 0 { "" } else { " (at 1,000,000)" };
            cells.extend([format!("{}", target.must), format!("{}", target.aim)]);
            cells.push(format!("{verdict}{at}"));
        }
        rows.add_row(cells);
    }
    println!("{rows}");
    println!(
        "\nentries of {} bytes, {} of them signed; {about}",
        last.entry_bytes, last.payload_bytes
    );
}

/// The same for scripts.
pub(super) fn json(points: &[Point], about: &Json) -> Json {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return Json::Null };
    let value = |row: &Row| json!((row.value)(last, first));
    let ratios: Map<String, Json> = ROWS
        .iter()
        .filter(|row| RATIOS.contains(&row.key))
        .map(|row| (row.key.to_owned(), value(row)))
        .collect();
    let targets: Vec<Json> = ROWS
        .iter()
        .filter_map(|row| row.target.map(|target| (row, target)))
        .map(|(row, target)| {
            json!({
                "figure": row.key, "measured": value(row), "must": target.must, "aim": target.aim,
                "is": if target.is_most { "at most" } else { "at least" },
                "at_entries": (target.at > 0).then_some(target.at),
                "holds": holds((row.value)(last, first), target),
            })
        })
        .collect();
    let points: Vec<Json> = points.iter().map(|it| point_json(it, first)).collect();
    json!({ "load": about, "ratios": ratios, "targets": targets, "points": points })
}

fn point_json(point: &Point, first: &Point) -> Json {
    let mut all = Map::new();
    all.insert("entries".to_owned(), json!(point.entries));
    all.insert("entry_bytes".to_owned(), json!(point.entry_bytes));
    all.insert("signed_bytes".to_owned(), json!(point.payload_bytes));
    for row in &ROWS {
        all.insert(row.key.to_owned(), json!((row.value)(point, first)));
    }
    let rounds: Vec<Json> = point
        .rounds
        .iter()
        .map(|it| {
            json!({
                "verify_strict_per_s": it.strict, "verify_strict_us": it.spent.microseconds(),
                "batch_append_per_s": it.batch.per_second, "batch_append": it.batch_ratio(),
                "batch_by_processor": it.batch.by_processor(&it.spent),
                "batch_node_us": it.batch.node_us(),
                "single_append_per_s": it.single.per_second, "single_append": it.single_ratio(),
                "single_by_processor": it.single.by_processor(&it.spent),
                "busy_answers": it.batch.retries + it.single.retries,
            })
        })
        .collect();
    all.insert("rounds".to_owned(), json!(rounds));
    let audits = point.inside.iter().flat_map(|it| &it.audits);
    let audits: Vec<Json> = audits
        .map(|it| {
            json!({ "verify_strict_per_s": it.strict, "audit_per_s": it.per_second,
                    "audit": it.ratio() })
        })
        .collect();
    all.insert("audits".to_owned(), json!(audits));
    Json::Object(all)
}
