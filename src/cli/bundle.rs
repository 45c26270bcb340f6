//! `urbanmine bundle`: one lot and its grounds, in a file that proves itself.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use serde_json::json;

use super::client::AccessArgs;
use super::names::id_bytes;
use super::output::{bar, print_json, replace_file, thousands};
use super::second_look::SecondLook;
use super::verify::crew::{self, Source};
use super::verify::source::{Journal, Server, naming_keys};
use super::verify::{PinArgs, remembered};
use crate::domain::{EntryCount, EntryIndex, LotId};
use crate::ledger::checkpoint::SignedCheckpoint;
use crate::ledger::{Bundle, BundledEntry, LotFile, LotStateProof, Receipt, WayEnd};
use crate::limits::MAX_LOT_BUNDLE_ENTRIES;
use crate::verify::{Grounds, Verdict, Verifier, verify_bundle};

/// Write one lot and its grounds into a file: every entry behind it, each proven, so that anybody
/// with the ledger's key can check it offline and gets the grams and their origins.
///
/// The whole ledger is checked first; nothing is written about one that does not verify. Who may
/// read every entry can make one: a coordinator, an auditor, a regulator, or whoever has the data.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("from").required(true))]
pub struct BundleArgs {
    /// The lot: a UUID, or @name of the sample.
    lot: String,
    /// A data directory; its node may run.
    #[arg(long, value_name = "DIR", group = "from")]
    data: Option<PathBuf>,
    /// A server, e.g. <http://127.0.0.1:7878>
    #[arg(long, value_name = "URL", group = "from")]
    server: Option<String>,
    #[command(flatten)]
    access: AccessArgs,
    /// Directory of the head guard [default: <data>.guard]
    #[arg(long, value_name = "DIR", conflicts_with = "server")]
    guard: Option<PathBuf>,
    #[command(flatten)]
    pins: PinArgs,
    /// A checkpoint of the same tree that witnesses have cosigned; it goes into the bundle instead
    /// of the bare one.
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// Where to; a file that is there is replaced.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &BundleArgs) -> Result<()> {
    let lot = LotId::parse(&id_bytes(&args.lot)?)?;
    let mut verifier = Verifier::new(args.pins.parse()?);
    verifier.keep_history();
    let mut first = open(args)?;
    verifier.checkpoint(&first.head);
    let progress = bar(first.size, "verifying");
    let done = crew::judge(&mut verifier, &mut *first.source, &progress);
    progress.finish_and_clear();
    done?;
    let report = verifier.report();
    if !matches!(report.verdict, Verdict::Verified | Verdict::Warnings) {
        let first = report.findings.first().map(ToString::to_string).unwrap_or_default();
        bail!("nothing is written: the ledger is {}: {first}", report.verdict);
    }
    let Some(head) = &report.signed_checkpoint else { bail!("no checkpoint of the ledger holds") };
    let grounds = verifier.grounds(lot).map_err(anyhow::Error::msg)?;
    let head = match &args.checkpoint {
        Some(file) => cosigned(file, head)?,
        None => newest_that_counts(args, &verifier, &grounds)?.unwrap_or_else(|| head.clone()),
    };
    let size = size_of(&head)?;
    let bundle = build(args, lot, &verifier, &grounds, (size, head))?;
    let text = bundle.encode();
    // What is given away was read once more than it had to be.
    let checked = verify_bundle(text.as_bytes(), Some(lot), &args.pins.parse()?, None);
    if checked.verdict >= Verdict::Undetermined {
        let first = checked.findings.first().map(ToString::to_string).unwrap_or_default();
        bail!("nothing is written: the bundle would not verify: {first}");
    }
    replace_file(&args.out, text.as_bytes())
        .with_context(|| format!("cannot write {}", args.out.display()))?;
    tell(args, &bundle, &grounds, size, text.len())
}

fn tell(
    args: &BundleArgs,
    bundle: &Bundle,
    grounds: &Grounds,
    size: EntryCount,
    bytes: usize,
) -> Result<()> {
    let (entries, lots) = (bundle.entries.len() as u64, grounds.lots.len() as u64);
    if args.json {
        return print_json(&json!({
            "lot": bundle.lot.to_string(), "file": args.out, "bytes": bytes, "entries": entries,
            "lots": lots, "rotations": bundle.rotations.len(), "size": size.0,
        }));
    }
    println!(
        "{}: lot {}, {} of {} entries, {} lots, {} bytes",
        args.out.display(),
        bundle.lot,
        thousands(entries),
        thousands(size.0),
        thousands(lots),
        thousands(bytes as u64)
    );
    Ok(())
}

/// A source with its signed head.
struct Opened {
    source: Box<dyn Source>,
    head: Vec<u8>,
    size: u64,
}

fn open(args: &BundleArgs) -> Result<Opened> {
    match (&args.data, &args.server) {
        (Some(data), _) => {
            let journal = Journal::open(data, args.guard.as_deref())?;
            let head = journal.head.clone().context("the head guard holds no checkpoint yet")?;
            Ok(Opened { size: journal.covered, head: head.to_vec(), source: Box::new(journal) })
        }
        (None, Some(server)) => {
            let server = Server::open(server, &args.access)?;
            let (head, size) = (server.head.clone().into_bytes(), server.size);
            Ok(Opened { source: Box::new(server), head, size })
        }
        (None, None) => bail!("say where from: --data or --server"),
    }
}

fn size_of(text: &SignedCheckpoint) -> Result<EntryCount> {
    Ok(SignedCheckpoint::parse(text.as_bytes())?.0.size)
}

/// The checkpoint that ends with the ledger's last word on its lots, when it covers all of the
/// grounds: under it the bundle is complete. `None` when something of them came later.
fn newest_that_counts(
    args: &BundleArgs,
    verifier: &Verifier,
    grounds: &Grounds,
) -> Result<Option<SignedCheckpoint>> {
    let Some(last) = grounds.entries.last() else { return Ok(None) };
    let stating = match verifier.stating_checkpoint() {
        Some(stating) => Some(stating.clone()),
        None => of_receipt(args, verifier)?,
    };
    let Some(stating) = stating else { return Ok(None) };
    Ok((last.0 < size_of(&stating)?.0).then_some(stating))
}

/// A server shows no groups: the checkpoint that ended with that word is the one of its receipt.
/// `None` when its group went on. Whether it is of these entries is seen when the bundle is read.
fn of_receipt(args: &BundleArgs, verifier: &Verifier) -> Result<Option<SignedCheckpoint>> {
    let (Some(server), Some(stated)) = (&args.server, verifier.lots_stated_at()) else {
        return Ok(None);
    };
    let text = Server::open(server, &args.access)?.checkpoint_over(stated)?;
    let said = text.and_then(|text| SignedCheckpoint::parse(&text).ok());
    Ok(said.filter(|(said, _)| said.size.0 == stated.next().0).map(|(_, text)| text))
}

/// The checkpoint of a file, when it is the head with more signatures.
fn cosigned(file: &Path, head: &SignedCheckpoint) -> Result<SignedCheckpoint> {
    let text = remembered::read(file)?;
    let text = text.with_context(|| format!("{} is not there", file.display()))?;
    let (found, text) = SignedCheckpoint::parse(&text)?;
    let (expected, _) = SignedCheckpoint::parse(head.as_bytes())?;
    if found != expected {
        bail!(
            "{} is of {} entries, the ledger has {}: fetch one of the same tree",
            file.display(),
            found.size,
            expected.size
        );
    }
    Ok(text)
}

fn build(
    args: &BundleArgs,
    lot: LotId,
    verifier: &Verifier,
    grounds: &Grounds,
    (size, checkpoint): (EntryCount, SignedCheckpoint),
) -> Result<Bundle> {
    let mut wanted: BTreeSet<EntryIndex> = grounds.entries.iter().copied().collect();
    // Where a key was followed, its last checkpoint ends with the entry that says so.
    let mut ends = Vec::new();
    for (_, text) in verifier.last_checkpoints() {
        let its_size = size_of(text)?;
        let last = EntryIndex(its_size.0.saturating_sub(1));
        if its_size <= size {
            ends.push((last, its_size, text));
            wanted.insert(last);
        }
    }
    // The ledger's last word on its lots, when the bundle's checkpoint covers it.
    let stated_at = verifier.lots_stated_at().filter(|at| at.0 < size.0);
    wanted.extend(stated_at);
    let mut second = open(args)?;
    let lots_before = stated_at.unwrap_or(EntryIndex(0));
    let picked = SecondLook::read(&mut *second.source, &wanted, size, lots_before)?;
    let names_key = |index: &EntryIndex| {
        let entry = picked.entry(*index).ok();
        !naming_keys(*index, entry.as_slice()).is_empty()
    };
    let mut rotations = Vec::new();
    for (index, size, text) in ends {
        if !names_key(&index) {
            continue;
        }
        let entry = picked.entry(index)?;
        let (proof, checkpoint) = (picked.inclusion(index, size)?, text.clone());
        rotations.push(Receipt { entry, index, proof, checkpoint }.encode().into_bytes());
    }
    let told: BTreeSet<EntryIndex> = grounds.entries.iter().copied().collect();
    let is_told = |index: &EntryIndex| told.contains(index) || names_key(index);
    let mut entries = Vec::new();
    for index in wanted.into_iter().filter(is_told) {
        let (entry, proof) = (picked.entry(index)?, picked.inclusion(index, size)?);
        entries.push(BundledEntry { index, entry, proof });
    }
    if entries.len() > MAX_LOT_BUNDLE_ENTRIES {
        bail!("{} entries, and a bundle has at most {MAX_LOT_BUNDLE_ENTRIES}", entries.len());
    }
    let lot_states = match stated_at {
        Some(at) => lot_states(&picked, &grounds.lots, at, size, &checkpoint)?,
        None => Vec::new(),
    };
    Ok(Bundle { lot, entries, rotations, lot_states, checkpoint })
}

/// How the lots of the grounds stand by the ledger's own word, under the bundle's checkpoint. One
/// that was born after it has none.
fn lot_states(
    picked: &SecondLook,
    lots: &[LotId],
    at: EntryIndex,
    size: EntryCount,
    checkpoint: &SignedCheckpoint,
) -> Result<Vec<Vec<u8>>> {
    let (entry, proof) = (picked.entry(at)?, picked.inclusion(at, size)?);
    let statement = Receipt { entry, index: at, proof, checkpoint: checkpoint.clone() };
    let mut found = Vec::new();
    for lot in lots {
        let way = picked.lot(*lot)?;
        if let WayEnd::Lot(_) = way.end {
            let state = LotStateProof { lot: *lot, way, statement: statement.clone() };
            found.push(LotFile { state, story: None }.encode().into_bytes());
        }
    }
    Ok(found)
}
