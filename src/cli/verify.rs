//! `urbanmine verify`: the judge's findings, for people and scripts.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::{Value as Json, json};

use super::client::{AccessArgs, Client, Refused};
use super::init::guard_of;
use super::output::{bar, print_json, thousands, unhex32};
use super::runtime;
use crate::domain::{EntryIndex, Origin, PublicKey};
use crate::ledger::checkpoint::{Checkpoint, SignedCheckpoint};
use crate::ledger::receipt::Receipt;
use crate::store::{JournalCause, read_guard, read_journal};
use crate::verify::{GroupInput, Pins, Report, Verdict, Verifier, verify_receipt_after};
use crate::wire::v1;

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
    /// Directory of the head guard, which holds the last checkpoint [default: <data>.guard]
    #[arg(long, value_name = "DIR", conflicts_with_all = ["server", "receipt"])]
    guard: Option<PathBuf>,
    /// The ledger's public key, 64 hexadecimal digits, from somebody you trust: its first, its
    /// newest, or one between. For a receipt: the one in force when it was given.
    #[arg(long, value_name = "HEX")]
    ledger_key: Option<String>,
    /// For a receipt that a later key signed: the receipt of the rotation that followed the pinned
    /// key (see rotate-key); again for each further one, in their order.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["data", "server"])]
    rotation: Vec<PathBuf>,
    /// The ledger's origin, from somebody you trust.
    #[arg(long)]
    origin: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &VerifyArgs) -> anyhow::Result<ExitCode> {
    let pins = pins(args.origin.as_deref(), args.ledger_key.as_deref())?;
    if let Some(file) = &args.receipt {
        return check_receipt(file, &args.rotation, &pins, args.json);
    }
    let judged = match (&args.data, &args.server) {
        (Some(data), _) => check_data(data, args.guard.as_deref(), pins)?,
        (None, Some(server)) => runtime()?.block_on(check_server(server, &args.access, pins))?,
        (None, None) => bail!("say what to verify: --data, --server or --receipt"),
    };
    if args.json {
        print_json(&report_json(&judged))?;
    } else {
        print(&judged);
    }
    Ok(ExitCode::from(judged.verdict().exit_code()))
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

/// The judge's report, and what the carrier of the entries adds to it.
pub(super) struct Judged {
    pub(super) report: Report,
    /// The journal itself is damaged: before which entry, and how.
    damage: Option<(EntryIndex, String)>,
    /// Entries after the last signed checkpoint.
    unsigned: u64,
}

impl Judged {
    pub(super) fn verdict(&self) -> Verdict {
        match self.damage {
            Some(_) => Verdict::Tampered,
            None => self.report.verdict,
        }
    }
}

/// Reads the journal and the guard's checkpoint; takes no lock.
pub(super) fn check_data(data: &Path, guard: Option<&Path>, pins: Pins) -> anyhow::Result<Judged> {
    // The guard first: what is appended meanwhile is newer than it, never older.
    let head = read_guard(&guard_of(data, guard)).context("the head guard cannot be read")?;
    let mut verifier = Verifier::new(pins);
    let mut covered = match &head {
        Some(text) => SignedCheckpoint::parse(text).map_or(0, |(head, _)| head.size.0),
        None => 0,
    };
    if let Some(text) = &head {
        verifier.checkpoint(text);
    }
    let progress = bar(covered, "verifying");
    let (mut damage, mut unsigned) = (None, 0);
    let mut last_group: Option<crate::ledger::frame::Group> = None;
    let journal = read_journal(data)
        .with_context(|| format!("{} holds no ledger that can be read", data.display()))?;
    for group in journal {
        match group {
            Ok(group) => {
                // A frame repeats the checkpoint of the group before it, so that one is covered.
                covered = covered.max(group.first.0);
                if let Some(before) = last_group.replace(group) {
                    feed(&mut verifier, &before);
                    progress.set_position(before.end().0);
                }
            }
            // Half a frame at the very end: a write under way, or a crash. Nobody was told of it.
            Err(fault) if matches!(fault.cause, JournalCause::Torn(_)) => break,
            Err(fault) => {
                let place = format!("{}, byte {}", fault.segment, fault.offset);
                damage = Some((fault.entry, format!("{place}: {}", fault.cause)));
                break;
            }
        }
    }
    if let Some(last) = last_group {
        if last.end().0 <= covered {
            feed(&mut verifier, &last);
        } else {
            unsigned = last.entries.len() as u64;
        }
    }
    progress.finish_and_clear();
    Ok(Judged { report: verifier.finish(), damage, unsigned })
}

fn feed(verifier: &mut Verifier, group: &crate::ledger::frame::Group) {
    verifier.feed_group(&GroupInput {
        first: group.first,
        entries: &group.entries,
        previous_checkpoint: Some(&group.previous_checkpoint),
    });
}

/// Reads every entry from a server, up to its last checkpoint.
async fn check_server(server: &str, access: &AccessArgs, pins: Pins) -> anyhow::Result<Judged> {
    let mut client = Client::connect_with(server, access).await?;
    let reply = client.ledger.get_checkpoint(v1::GetCheckpointRequest {}).await;
    let text = reply.map_err(|it| Refused::of(&it))?.into_inner().checkpoint;
    let size = SignedCheckpoint::parse(text.as_bytes()).map_or(u64::MAX, |(it, _)| it.size.0);
    let mut verifier = Verifier::new(pins);
    verifier.checkpoint(text.as_bytes());
    let progress = bar(size, "verifying");
    let mut next = 0;
    while next < size {
        let request = v1::ListEntriesRequest {
            from_entry_index: next,
            page_size: crate::limits::MAX_PAGE_SIZE,
            page_token: String::new(),
        };
        let reply = client.ledger.list_entries(request).await;
        let page = reply.map_err(|it| Refused::of(&it))?.into_inner();
        if page.entries.is_empty() {
            break; // the judge misses what the checkpoint promises
        }
        for entry in page.entries.iter().take_while(|it| it.entry_index < size) {
            verifier.feed_entry(&entry.entry);
            if let Some(rotated) = verifier.awaits_checkpoint() {
                // The old key's last checkpoint stands in the receipt of the statement.
                if let Some(text) = checkpoint_over(&mut client, rotated).await? {
                    verifier.checkpoint(&text);
                }
            }
        }
        next += page.entries.len() as u64;
        progress.set_position(next);
    }
    progress.finish_and_clear();
    Ok(Judged { report: verifier.finish(), damage: None, unsigned: 0 })
}

/// The checkpoint in the receipt of an entry.
async fn checkpoint_over(
    client: &mut Client,
    index: EntryIndex,
) -> anyhow::Result<Option<Vec<u8>>> {
    let subject = Some(v1::get_receipt_request::Subject::EntryIndex(index.0));
    let reply = client.ledger.get_receipt(v1::GetReceiptRequest { subject }).await;
    let text = reply.map_err(|it| Refused::of(&it))?.into_inner().receipt;
    let receipt = Receipt::parse(text.as_bytes()).ok();
    Ok(receipt.map(|receipt| receipt.checkpoint.as_bytes().to_vec()))
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

fn finding_json(finding: &crate::verify::Finding) -> Json {
    json!({ "index": finding.index.map(|it| it.0), "kind": finding.kind.name(),
            "detail": finding.detail })
}

pub(super) fn checkpoint_json(checkpoint: &Checkpoint) -> Json {
    json!({ "origin": checkpoint.origin.as_str(), "size": checkpoint.size.0,
            "root": checkpoint.root.to_string() })
}

pub(super) fn report_json(judged: &Judged) -> Json {
    let report = &judged.report;
    let mut findings: Vec<Json> = report.findings.iter().map(finding_json).collect();
    let mut first_bad = report.first_bad.map(|it| it.0);
    if let Some((index, rule)) = &judged.damage {
        findings.push(json!({ "index": index.0, "kind": "journal-damaged", "detail": rule }));
        first_bad = Some(first_bad.map_or(index.0, |first| first.min(index.0)));
    }
    json!({
        "verdict": judged.verdict().name(),
        "entries": report.entries.0,
        "first_bad": first_bad,
        "findings": findings,
        "findings_left_out": report.findings_left_out,
        "unsigned_entries": judged.unsigned,
        "ledger_key": report.ledger_key.map(|key| key.to_string()),
        "ledger_key_rotations": report.rotations,
        "checkpoint": report.checkpoint.as_ref().map(checkpoint_json),
    })
}

/// The report as a person reads it.
pub(super) fn print(judged: &Judged) {
    let report = &judged.report;
    println!("{}", judged.verdict());
    let (entries, signatures) = (report.entries.0, report.progress.signatures);
    println!(
        "  {} entries, {} signatures, rules replayed for {}",
        thousands(entries),
        thousands(signatures),
        thousands(report.progress.replayed)
    );
    if let Some(checkpoint) = &report.checkpoint {
        println!("  {} at {} entries", checkpoint.origin, checkpoint.size);
        println!("  root {}", checkpoint.root);
    }
    if let (Some(key), 1..) = (report.ledger_key, report.rotations) {
        println!("  ledger key rotated {} times, now {key}", report.rotations);
    }
    if let Some((index, rule)) = &judged.damage {
        println!("  entry {index}: journal-damaged: {rule}");
    }
    for finding in &report.findings {
        println!("  {finding}");
    }
    if report.findings_left_out > 0 {
        println!("  and {} more", report.findings_left_out);
    }
    if judged.unsigned > 0 {
        println!(
            "  {} entries at the end are not signed yet and were not checked",
            judged.unsigned
        );
    }
}
