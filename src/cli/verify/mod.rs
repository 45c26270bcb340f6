//! `urbanmine verify`: the judge's findings, for people and scripts.
//!
//! *Owns:* where entries come from (journal, server, export), all cores at one verification, what
//! an auditor remembers, and how findings are told.
//!
//! *Never:* judges: what is right or wrong is `verify`'s to say. Never changes what it reads.
//!
//! *See:* `docs/AUDIT.md`.

mod bundle;
pub(super) mod crew;
mod database;
pub(super) mod evidence;
mod lot_state;
pub(super) mod print;
mod receipt;
pub(super) mod remembered;
pub(super) mod source;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;

use super::client::AccessArgs;
use super::export_source::{Export, ExportFault, open_export};
use super::export_target::read_at_most;
use super::names::id_bytes;
use super::output::{bar, print_json, unhex32};
use super::witness;
use crate::domain::{EntryIndex, LotId, Origin, PublicKey};
use crate::ledger::{Policy, SignedCheckpoint};
use crate::limits::MAX_RECEIPT_BYTES;
use crate::store::read_cosigned;
use crate::verify::{
    Finding, FindingKind, Pins, Remembered, Report, Retold, Verdict, Verifier, Weight,
    judge_cosignatures,
};
use crew::Source;
pub(super) use print::{checkpoint_json, print, report_json};
use source::{Exported, Journal, Server};

/// What is verified and is no whole ledger.
const NO_LEDGERS: [&str; 4] = ["receipt", "bundle", "evidence", "lot_state"];

/// Check a ledger: chain, tree, every signature strictly, lot links, and every rule again.
///
/// Exit codes: 0 verified, 1 tampering found, 2 could not verify, 3 verified with warnings (nobody
/// pinned the key), 64 wrong usage.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true))]
pub struct VerifyArgs {
    /// A data directory; nothing in it is touched, and its node may run.
    #[arg(long, value_name = "DIR", group = "what")]
    data: Option<PathBuf>,
    /// A server, e.g. <http://127.0.0.1:7878>
    #[arg(long, value_name = "URL", group = "what")]
    server: Option<String>,
    #[command(flatten)]
    access: AccessArgs,
    /// An export (see export); with --receipt, what an old receipt is held against.
    #[arg(long, value_name = "DIR", group = "what")]
    export: Option<PathBuf>,
    /// A receipt.
    #[arg(long, value_name = "FILE", group = "what")]
    receipt: Option<PathBuf>,
    /// Evidence of a fork (see --fork-evidence and monitor); exit code 1 says that it proves one.
    #[arg(long, value_name = "FILE", group = "what")]
    evidence: Option<PathBuf>,
    /// A bundle: one lot and its grounds (see bundle).
    #[arg(long, value_name = "FILE", group = "what")]
    bundle: Option<PathBuf>,
    /// A lot's state, or its entries: how many events it has (see lot --prove).
    #[arg(long, value_name = "FILE", group = "what")]
    lot_state: Option<PathBuf>,
    /// The lot that the bundle or lot state has to be about: a UUID, or @name of the sample.
    #[arg(long, value_name = "LOT")]
    lot: Option<String>,
    /// Directory of the head guard, which holds the last checkpoint [default: <data>.guard]
    #[arg(long, value_name = "DIR", conflicts_with_all = NO_LEDGERS, conflicts_with = "server")]
    guard: Option<PathBuf>,
    /// Do not hold the database against the journal (of a stopped node, or a copy: it needs twice
    /// the room of the database among the temporary files).
    #[arg(long, requires = "data")]
    skip_database: bool,
    #[command(flatten)]
    pins: PinArgs,
    /// For a receipt, a lot state or evidence that a later key signed: the receipt of the rotation
    /// that followed the pinned key (see rotate-key); again for each further one, in their order.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["data", "server", "bundle"])]
    rotation: Vec<PathBuf>,
    /// What you remember of this ledger: the last checkpoint that passed a whole check. The ledger
    /// must still begin so; signatures before it are not checked again. Kept anew when all is well;
    /// made when it is not there.
    #[arg(long, value_name = "FILE", conflicts_with_all = NO_LEDGERS)]
    state: Option<PathBuf>,
    /// Check every signature again, also those from before the remembered checkpoint.
    #[arg(long, requires = "state")]
    full: bool,
    /// Where evidence goes when the ledger tells two histories.
    #[arg(long, value_name = "FILE", requires = "state")]
    fork_evidence: Option<PathBuf>,
    /// Policy file (C2SP tlog-policy): so many witnesses have to have cosigned.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["receipt", "evidence", "lot_state"])]
    policy: Option<PathBuf>,
    /// The cosigned checkpoint that the policy is for. Without it: the one that a server gives, or
    /// that lies in the data directory; else the one that is verified.
    #[arg(long, value_name = "FILE", requires = "policy")]
    cosigned: Option<PathBuf>,
    /// Tell one entry step by step: each hash, what the rules read, and what follows.
    #[arg(long, value_name = "INDEX", conflicts_with_all = NO_LEDGERS)]
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
    let done = check_what_was_given(args);
    if let Err(fault) = &done
        && args.json
        && !fault.is::<UsageFault>()
    {
        print_json(&print::unreadable_json(fault))?;
    }
    done
}

/// An error where nothing was printed yet, and nothing can be said.
fn check_what_was_given(args: &VerifyArgs) -> anyhow::Result<ExitCode> {
    let pins = args.pins.parse()?;
    check_one_subject(args)?;
    let policy = args.policy.as_deref().map(witness::read_policy).transpose()?;
    if let Some(file) = &args.receipt {
        return receipt::check(file, &args.rotation, args.export.as_deref(), &pins, args.json);
    }
    if let Some(file) = &args.evidence {
        return evidence::check(file, &args.rotation, &pins, args.json);
    }
    let asked = args.lot.as_deref().map(id_bytes).transpose()?;
    let asked = asked.map(|bytes| LotId::parse(&bytes)).transpose()?;
    if let Some(file) = &args.lot_state {
        return lot_state::check(file, asked, &args.rotation, &pins, args.json);
    }
    if let Some(file) = &args.bundle {
        return bundle::check(file, asked, &pins, policy.as_ref(), args.json);
    }
    let memory = match &args.state {
        Some(file) => remembered::read(file)?,
        None => None,
    };
    let mode = if args.full { Remembered::Consistency } else { Remembered::Checked };
    let mut judged = check(args, &pins, memory.as_deref(), mode, policy.as_ref())?;
    if remembered::needs_full_check(&judged.report) {
        eprintln!("what is remembered does not hold: every signature is checked");
        judged = check(args, &pins, memory.as_deref(), Remembered::Consistency, policy.as_ref())?;
    }
    if let Some(file) = &args.fork_evidence {
        // What was found stands, whether or not it can be read a second time.
        match write_evidence(args, file, &judged.report) {
            Ok(true) => eprintln!("the evidence is in {}", file.display()),
            Ok(false) => {}
            Err(fault) => eprintln!("urbanmine: no evidence could be made: {fault:#}"),
        }
    }
    if args.json {
        print_json(&report_json(&judged))?;
    } else {
        print(&judged);
    }
    if let Some(file) = &args.state
        && let Err(fault) = tell_kept(file, judged.verdict(), &judged.report)
    {
        eprintln!("urbanmine: {fault:#}");
        return Ok(ExitCode::from(Verdict::Undetermined.exit_code()));
    }
    Ok(ExitCode::from(judged.verdict().exit_code()))
}

/// A file that somebody gave us, and one byte beyond its limit at most: its parser then says that
/// it is too long.
fn read_given(file: &Path, limit: usize) -> anyhow::Result<Vec<u8>> {
    let content = read_at_most(file, limit)?;
    content.with_context(|| format!("{} is not there", file.display()))
}

/// Receipts of rotations.
fn read_rotations(files: &[PathBuf]) -> anyhow::Result<Vec<Vec<u8>>> {
    files.iter().map(|file| read_given(file, MAX_RECEIPT_BYTES)).collect()
}

/// What is verified is read once more.
fn write_evidence(args: &VerifyArgs, file: &Path, report: &Report) -> anyhow::Result<bool> {
    match (&args.data, &args.server, &args.export) {
        (Some(data), ..) => {
            evidence::write(file, report, &mut Journal::open(data, args.guard.as_deref())?)
        }
        (None, Some(server), _) => {
            evidence::write(file, report, &mut Server::open(server, &args.access)?)
        }
        (None, None, Some(export)) => {
            evidence::write(file, report, &mut Exported::of(&open_export(export)?))
        }
        (None, None, None) => Ok(false),
    }
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

/// One thing at a time; only a receipt is held against something else.
fn check_one_subject(args: &VerifyArgs) -> Result<(), UsageFault> {
    let given = [
        args.data.is_some(),
        args.server.is_some(),
        args.export.is_some() && args.receipt.is_none(),
        args.receipt.is_some(),
        args.evidence.is_some(),
        args.bundle.is_some(),
        args.lot_state.is_some(),
    ];
    if given.iter().filter(|it| **it).count() == 1 { Ok(()) } else { Err(UsageFault) }
}

/// Wrong usage that clap cannot tell.
#[derive(Debug, thiserror::Error)]
#[error(
    "one at a time: --data, --server, --export, --receipt, --bundle, --lot-state or --evidence"
)]
pub(super) struct UsageFault;

fn check(
    args: &VerifyArgs,
    pins: &Pins,
    memory: Option<&[u8]>,
    mode: Remembered,
    policy: Option<&Policy>,
) -> anyhow::Result<Judged> {
    let mut verifier = Verifier::new(pins.clone());
    if let Some(memory) = memory {
        verifier.remember(memory, mode);
    }
    if let Some(index) = args.explain {
        verifier.explain(EntryIndex(index));
    }
    let mut cosigned = args.cosigned.as_deref().map(read_checkpoint).transpose()?;
    let (mut judged, keys) = match (&args.data, &args.server, &args.export) {
        (Some(data), ..) => {
            if cosigned.is_none() && policy.is_some() {
                cosigned = read_cosigned(data)?;
            }
            give(&mut verifier, cosigned.as_deref());
            let (mut judged, keys) = judge_data(data, args.guard.as_deref(), &mut verifier)?;
            put_away(verifier);
            database::check(data, args.guard.as_deref(), args.skip_database, &mut judged);
            (judged, keys)
        }
        (None, Some(server), _) => {
            let mut source = Server::open(server, &args.access)?;
            if cosigned.is_none() && policy.is_some() {
                cosigned = source.cosigned()?;
                // What is verified is what was cosigned: the head is some seconds ahead of that.
                if let Some(text) = &cosigned {
                    source.take_head(text);
                }
            }
            give(&mut verifier, cosigned.as_deref());
            verifier.checkpoint(source.head.as_bytes());
            let size = source.size;
            judge(&mut verifier, &mut source, size)?;
            if let Some(why) = source.is_short {
                verifier.cut_short(why);
            }
            let judged = (Judged::of(verifier.report()), verifier.ledger_keys());
            put_away(verifier);
            judged
        }
        (None, None, Some(export)) => {
            give(&mut verifier, cosigned.as_deref());
            let judged = judge_export(&open_export(export)?, &mut verifier)?;
            put_away(verifier);
            judged
        }
        (None, None, None) => bail!(UsageFault),
    };
    if let Some(policy) = policy {
        let text = cosigned
            .or_else(|| judged.report.signed_checkpoint.as_ref().map(|it| it.as_bytes().to_vec()));
        judged.hold_to(policy, pins, text.as_deref(), &keys);
    }
    Ok(judged)
}

/// A cosigned checkpoint has to be of these entries, too.
fn give(verifier: &mut Verifier, cosigned: Option<&[u8]>) {
    if let Some(text) = cosigned {
        verifier.checkpoint(text);
    }
}

fn read_checkpoint(file: &Path) -> anyhow::Result<Vec<u8>> {
    let text = remembered::read(file)?;
    text.with_context(|| format!("{} is not there", file.display()))
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

impl Told {
    fn of(finding: Finding) -> Self {
        let verdict = match finding.kind.weight() {
            Weight::Warning => Verdict::Warnings,
            Weight::Undetermined => Verdict::Undetermined,
            Weight::Tampered => Verdict::Tampered,
        };
        let Finding { index, kind, detail } = finding;
        Self { index, kind: kind.name(), detail, verdict }
    }

    /// A file of an export that somebody changed, or that is not there.
    fn damage(index: Option<EntryIndex>, fault: &ExportFault) -> Self {
        let (kind, verdict) = if fault.is_damage() {
            ("export-damaged", Verdict::Tampered)
        } else {
            ("export-incomplete", Verdict::Undetermined)
        };
        Self { index, kind, detail: fault.to_string(), verdict }
    }
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

    /// A quorum of witnesses has seen the checkpoint.
    fn hold_to(&mut self, policy: &Policy, pins: &Pins, text: Option<&[u8]>, keys: &[PublicKey]) {
        let claims = self.report.claims.as_ref().map(|it| &it.origin);
        let (Some(text), Some(origin)) = (text, pins.origin.as_ref().or(claims)) else {
            self.told.push(Told {
                index: None,
                kind: FindingKind::CosignaturesMissing.name(),
                detail: "there is no checkpoint that a witness could have cosigned".to_owned(),
                verdict: Verdict::Undetermined,
            });
            return;
        };
        let said = judge_cosignatures(text, policy, origin, keys);
        if let Some(report) = said.report.filter(|it| it.is_quorum_met) {
            let names: Vec<String> = report.held.iter().map(|(name, _)| name.to_string()).collect();
            let size = SignedCheckpoint::parse(text).map_or(0, |(it, _)| it.size.0);
            let told = format!("{} at {size} entries: the quorum is met", names.join(", "));
            self.checks.push(("cosigned", told));
            let entries = self.report.entries.0;
            if size < entries {
                let detail = format!("entries {size} to {} are cosigned by nobody", entries - 1);
                let (kind, verdict) = ("cosigned-behind", Verdict::Warnings);
                self.told.push(Told { index: None, kind, detail, verdict });
            }
        }
        self.told.extend(said.findings.into_iter().map(Told::of));
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
    let mut verifier = Verifier::new(pins);
    let (judged, _) = judge_data(data, guard, &mut verifier)?;
    put_away(verifier);
    Ok(judged)
}

/// Verifies a data directory or an export, and has somebody hear of every entry that holds.
pub(super) fn retell(
    from: &Ledgers,
    pins: Pins,
    hear: impl FnMut(&Retold<'_>) + Send + 'static,
) -> anyhow::Result<Judged> {
    let mut verifier = Verifier::new(pins);
    verifier.listen(hear);
    Ok(match from {
        Ledgers::Data(dir) => judge_data(dir, None, &mut verifier)?.0,
        Ledgers::Export(dir) => judge_export(&open_export(dir)?, &mut verifier)?.0,
    })
}

/// A whole ledger, without its service.
#[derive(Debug, Clone)]
pub(super) enum Ledgers {
    /// A data directory.
    Data(PathBuf),
    /// An export.
    Export(PathBuf),
}

/// Reads an export, entries and tiles.
pub fn check_export(dir: &Path, pins: Pins) -> anyhow::Result<Judged> {
    Ok(judge_export(&open_export(dir)?, &mut Verifier::new(pins))?.0)
}

fn judge_data(
    data: &Path,
    guard: Option<&Path>,
    verifier: &mut Verifier,
) -> anyhow::Result<(Judged, Vec<PublicKey>)> {
    let mut journal = Journal::open(data, guard)?;
    if let Some(text) = &journal.head {
        verifier.checkpoint(text);
    }
    let covered = journal.covered;
    judge(verifier, &mut journal, covered)?;
    if let Some(detail) = journal.unreadable {
        verifier.cut_short(detail);
    }
    let mut judged = Judged::of(verifier.report());
    judged.unsigned = journal.unsigned;
    judged.told.extend(journal.damage.map(|(index, detail)| Told {
        index: Some(index),
        kind: "journal-damaged",
        detail,
        verdict: Verdict::Tampered,
    }));
    Ok((judged, verifier.ledger_keys()))
}

/// The entries under the checkpoint, then the tiles, which are derived from them.
fn judge_export(
    export: &Export,
    verifier: &mut Verifier,
) -> anyhow::Result<(Judged, Vec<PublicKey>)> {
    verifier.checkpoint(export.checkpoint_text());
    let mut source = Exported::of(export);
    judge(verifier, &mut source, export.size().0)?;
    let at = EntryIndex(verifier.progress().entries);
    let mut told = Vec::new();
    match source.fault {
        Some(fault) if fault.is_damage() => told.push(Told::damage(Some(at), &fault)),
        Some(fault) => verifier.cut_short(fault.to_string()),
        None => {}
    }
    let mut judged = Judged::of(verifier.report());
    if told.is_empty() && judged.report.verdict < Verdict::Undetermined {
        let tiles = export.check_tiles(|_| {});
        let clean = if tiles.is_clean() { "as the entries give them" } else { "see below" };
        judged.checks.push(("tiles", format!("{} of hashes, {clean}", tiles.checked)));
        let faults = tiles.faults.iter().chain(&tiles.stopped);
        told.extend(faults.map(|fault| Told::damage(None, fault)));
    } else {
        judged.checks.push(("tiles", "not checked: the entries are not verified".to_owned()));
    }
    judged.told.extend(told);
    Ok((judged, verifier.ledger_keys()))
}

/// Everything that a source has, under a bar.
fn judge(verifier: &mut Verifier, source: &mut dyn Source, size: u64) -> anyhow::Result<()> {
    let progress = bar(size, "verifying");
    let done = crew::judge(verifier, source, &progress);
    progress.finish_and_clear();
    done
}

/// Frees what was replayed, which takes a twentieth of a verification. Nobody waits for that, least
/// of all a process that ends.
fn put_away(verifier: Verifier) {
    rayon::spawn(move || drop(verifier));
}
