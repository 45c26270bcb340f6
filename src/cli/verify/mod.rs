//! `urbanmine verify`: the judge's findings, for people and scripts.

pub(super) mod crew;
pub(super) mod evidence;
pub(super) mod print;
pub(super) mod remembered;
pub(super) mod source;
mod story;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::{Value as Json, json};

use super::client::AccessArgs;
use super::names::id_bytes;
use super::output::{bar, print_json, unhex32};
use crate::domain::{EntryIndex, LotId, Origin, PublicKey};
use crate::verify::{Pins, Remembered, Report, Verdict, Verifier, verify_receipt_after};
use crew::Source;
pub(super) use print::print;
use print::{checkpoint_json, finding_json, report_json};
use source::{Journal, Server};

/// Check a ledger: chain, tree, every signature strictly, lot links, and every rule again.
///
/// Exit codes: 0 verified, 1 tampering found, 2 could not verify, 3 verified with warnings (nobody
/// pinned the key), 64 wrong usage.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub struct VerifyArgs {
    /// A data directory; nothing in it is touched, and its node may run.
    #[arg(long, value_name = "DIR", group = "what")]
    data: Option<PathBuf>,
    /// A server, e.g. <http://127.0.0.1:7878>
    #[arg(long, value_name = "URL", group = "what")]
    server: Option<String>,
    #[command(flatten)]
    access: AccessArgs,
    /// A receipt.
    #[arg(long, value_name = "FILE", group = "what")]
    receipt: Option<PathBuf>,
    /// Evidence of a fork (see --fork-evidence and monitor); exit code 1 says that it proves one.
    #[arg(long, value_name = "FILE", group = "what")]
    evidence: Option<PathBuf>,
    /// A bundle: one lot's story (see bundle).
    #[arg(long, value_name = "FILE", group = "what")]
    bundle: Option<PathBuf>,
    /// The lot whose story the bundle has to be: a UUID, or @name of the sample.
    #[arg(long, value_name = "LOT", requires = "bundle")]
    lot: Option<String>,
    /// Directory of the head guard, which holds the last checkpoint [default: <data>.guard]
    #[arg(long, value_name = "DIR", conflicts_with_all = ["server", "receipt", "bundle", "evidence"])]
    guard: Option<PathBuf>,
    #[command(flatten)]
    pins: PinArgs,
    /// For a receipt that a later key signed: the receipt of the rotation that followed the pinned
    /// key (see rotate-key); again for each further one, in their order.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["data", "server", "bundle", "evidence"])]
    rotation: Vec<PathBuf>,
    /// What you remember of this ledger: the last checkpoint that passed a whole check. The ledger
    /// must still begin so; signatures before it are not checked again. Kept anew when all is well;
    /// made when it is not there.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["receipt", "bundle", "evidence"])]
    state: Option<PathBuf>,
    /// Check every signature again, also those from before the remembered checkpoint.
    #[arg(long, requires = "state")]
    full: bool,
    /// Where evidence goes when the ledger tells two histories.
    #[arg(long, value_name = "FILE", requires = "state")]
    fork_evidence: Option<PathBuf>,
    /// Tell one entry step by step: each hash, what the rules read, and what follows.
    #[arg(long, value_name = "INDEX", conflicts_with_all = ["receipt", "bundle", "evidence"])]
    explain: Option<u64>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Who the ledger must be.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct PinArgs {
    /// The ledger's public key, 64 hexadecimal digits, from somebody you trust: its first, its
    /// newest, or one between. For a receipt: the one in force when it was given.
    #[arg(long, value_name = "HEX")]
    ledger_key: Option<String>,
    /// The ledger's origin, from somebody you trust.
    #[arg(long)]
    origin: Option<String>,
}

impl PinArgs {
    pub(super) fn parse(&self) -> anyhow::Result<Pins> {
        pins(self.origin.as_deref(), self.ledger_key.as_deref())
    }
}

pub(super) fn run(args: &VerifyArgs) -> anyhow::Result<ExitCode> {
    let pins = args.pins.parse()?;
    if let Some(file) = &args.receipt {
        return check_receipt(file, &args.rotation, &pins, args.json);
    }
    if let Some(file) = &args.evidence {
        return evidence::check(file, &pins, args.json);
    }
    if let Some(file) = &args.bundle {
        let asked = args.lot.as_deref().map(id_bytes).transpose()?;
        let asked = asked.map(|bytes| LotId::parse(&bytes)).transpose()?;
        return story::check(file, asked, &pins, args.json);
    }
    let memory = match &args.state {
        Some(file) => remembered::read(file)?,
        None => None,
    };
    let mode = if args.full { Remembered::Consistency } else { Remembered::Checked };
    let mut judged = check(args, &pins, memory.as_deref(), mode)?;
    if remembered::needs_full_check(&judged.report) {
        eprintln!("what is remembered does not hold: every signature is checked");
        judged = check(args, &pins, memory.as_deref(), Remembered::Consistency)?;
    }
    if let Some(file) = &args.fork_evidence
        && evidence::write(file, &judged.report, &mut *source_of(args)?)?
    {
        eprintln!("the evidence is in {}", file.display());
    }
    if args.json {
        print_json(&report_json(&judged))?;
    } else {
        print(&judged);
    }
    if let Some(file) = &args.state {
        tell_kept(file, judged.verdict(), &judged.report)?;
    }
    Ok(ExitCode::from(judged.verdict().exit_code()))
}

/// What is verified, to be read once more.
fn source_of(args: &VerifyArgs) -> anyhow::Result<Box<dyn Source>> {
    Ok(match (&args.data, &args.server) {
        (Some(data), _) => Box::new(Journal::open(data, args.guard.as_deref())?),
        (None, Some(server)) => Box::new(Server::open(server, &args.access)?),
        (None, None) => bail!("say what to verify"),
    })
}

fn tell_kept(file: &Path, verdict: Verdict, report: &Report) -> anyhow::Result<()> {
    let is_good = verdict == report.verdict;
    if is_good && remembered::keep(file, report)? {
        eprintln!("the checkpoint is kept in {}", file.display());
    } else {
        eprintln!("{} is left as it was", file.display());
    }
    Ok(())
}

fn check(
    args: &VerifyArgs,
    pins: &Pins,
    memory: Option<&[u8]>,
    mode: Remembered,
) -> anyhow::Result<Judged> {
    let mut verifier = Verifier::new(pins.clone());
    if let Some(memory) = memory {
        verifier.remember(memory, mode);
    }
    if let Some(index) = args.explain {
        verifier.explain(EntryIndex(index));
    }
    match (&args.data, &args.server) {
        (Some(data), _) => judge_data(data, args.guard.as_deref(), verifier),
        (None, Some(server)) => {
            let mut source = Server::open(server, &args.access)?;
            verifier.checkpoint(source.head.as_bytes());
            let size = source.size;
            Ok(Judged::of(judge(verifier, &mut source, size)?))
        }
        (None, None) => bail!("say what to verify: --data, --server, --receipt or --bundle"),
    }
}

pub(super) fn pins(origin: Option<&str>, ledger_key: Option<&str>) -> anyhow::Result<Pins> {
    let origin = origin.map(Origin::parse).transpose()?;
    let ledger_key = match ledger_key {
        None => None,
        Some(text) => {
            let bytes = unhex32(text)
                .with_context(|| format!("--ledger-key has 64 hexadecimal digits, not {text:?}"))?;
            Some(PublicKey(bytes))
        }
    };
    Ok(Pins { origin, ledger_key })
}

/// Something that the carrier of the entries tells of itself, beside the judge.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) index: Option<EntryIndex>,
    pub(super) kind: &'static str,
    pub(super) detail: String,
    pub(super) verdict: Verdict,
}

/// The judge's report, and what the carrier of the entries adds to it.
#[derive(Debug)]
pub struct Judged {
    report: Report,
    told: Vec<Told>,
    /// Checks beside the judge's: what was looked at, and what came of it.
    checks: Vec<(&'static str, String)>,
    /// Entries after the last signed checkpoint.
    unsigned: u64,
}

impl Judged {
    pub(super) fn of(report: Report) -> Self {
        Self { report, told: Vec::new(), checks: Vec::new(), unsigned: 0 }
    }

    /// What the judge said.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// The worse of all that was said.
    pub fn verdict(&self) -> Verdict {
        let told = self.told.iter().map(|told| told.verdict);
        told.fold(self.report.verdict, Verdict::max)
    }

    /// The first entry with which something is wrong.
    pub fn first_bad(&self) -> Option<EntryIndex> {
        let told = self.told.iter().filter(|told| told.verdict == Verdict::Tampered);
        let places = told.filter_map(|told| told.index);
        places.chain(self.report.first_bad).min()
    }
}

/// Reads the journal and the guard's checkpoint; takes no lock.
pub fn check_data(data: &Path, guard: Option<&Path>, pins: Pins) -> anyhow::Result<Judged> {
    judge_data(data, guard, Verifier::new(pins))
}

fn judge_data(data: &Path, guard: Option<&Path>, mut verifier: Verifier) -> anyhow::Result<Judged> {
    let mut journal = Journal::open(data, guard)?;
    if let Some(text) = &journal.head {
        verifier.checkpoint(text);
    }
    let covered = journal.covered;
    let mut judged = Judged::of(judge(verifier, &mut journal, covered)?);
    judged.unsigned = journal.unsigned;
    judged.told.extend(journal.damage.map(|(index, detail)| Told {
        index: Some(index),
        kind: "journal-damaged",
        detail,
        verdict: Verdict::Tampered,
    }));
    Ok(judged)
}

/// Everything that a source has, under a bar.
fn judge(mut verifier: Verifier, source: &mut dyn Source, size: u64) -> anyhow::Result<Report> {
    let progress = bar(size, "verifying");
    let done = crew::judge(&mut verifier, source, &progress);
    progress.finish_and_clear();
    done?;
    Ok(verifier.finish())
}

fn check_receipt(
    file: &Path,
    rotations: &[PathBuf],
    pins: &Pins,
    is_json: bool,
) -> anyhow::Result<ExitCode> {
    let read = |file: &Path| {
        std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))
    };
    let bytes = read(file)?;
    let rotations: Vec<Vec<u8>> =
        rotations.iter().map(|file| read(file)).collect::<anyhow::Result<_>>()?;
    let report = verify_receipt_after(&bytes, &rotations, pins);
    let index = report.entry.as_ref().map(|entry| entry.index.0);
    if is_json {
        let findings: Vec<Json> = report.findings.iter().map(finding_json).collect();
        print_json(&json!({
            "verdict": report.verdict.name(), "entries": u8::from(index.is_some()),
            "first_bad": null, "findings": findings, "entry_index": index,
            "checkpoint": report.checkpoint.as_ref().map(checkpoint_json),
        }))?;
    } else {
        println!("{}", report.verdict);
        if let (Some(index), Some(checkpoint)) = (index, &report.checkpoint) {
            println!("entry {index} is in the tree of {} entries", checkpoint.size);
        }
        for finding in &report.findings {
            println!("  {finding}");
        }
    }
    Ok(ExitCode::from(report.verdict.exit_code()))
}
