//! `urbanmine submit`

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use clap::Args;
use serde_json::json;

use super::client::{AccessArgs, Client, Refused};
use super::keyfile::{self, PassphraseArgs};
use super::names::{id_bytes, lookup_samples};
use super::output::{bar, print_json};
use super::runtime;
use super::script::{self, ScriptBatch};
use crate::domain::PartyId;
use crate::ledger::entry::Entry;
use crate::ledger::envelope::{EVENT_PAYLOAD_TYPE, Envelope};
use crate::ledger::keys::SigningKey;
use crate::ledger::receipt::Receipt;
use crate::limits::MAX_BATCH_EVENTS;

/// Sign events from JSON lines and send them.
///
/// One event a line; lines next to each other with the same "batch" go as one atomic batch. Sending
/// the
/// same file again records nothing twice: every event keeps its id and bytes, and its first receipt
/// comes
/// back. So after a break, send the file again.
#[derive(Debug, Args)]
pub struct SubmitArgs {
    /// File of JSON lines; `-` reads standard input.
    file: PathBuf,
    /// The server.
    #[arg(long, default_value = "http://127.0.0.1:7878")]
    server: String,
    #[command(flatten)]
    access: AccessArgs,
    /// Key file of a party: `FILE`, or `PARTY=FILE` when several parties sign.
    #[arg(long = "key", value_name = "[PARTY=]FILE", required = true)]
    keys: Vec<String>,
    #[command(flatten)]
    passphrase: PassphraseArgs,
    /// Directory for receipts, one file an event; those that are there are not sent again.
    #[arg(long, value_name = "DIR")]
    receipts: Option<PathBuf>,
    /// Judge only, record nothing.
    #[arg(long)]
    validate_only: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &SubmitArgs) -> anyhow::Result<ExitCode> {
    let text = read_text(&args.file)?;
    let keys = KeyRing::read(&args.keys, &args.passphrase)?;
    if let Some(folder) = &args.receipts {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
    }
    runtime()?.block_on(async {
        let mut client = Client::connect_with(&args.server, &args.access).await?;
        let ledger = client.ledger.get_ledger(crate::wire::v1::GetLedgerRequest {}).await;
        let ledger = ledger.map_err(|it| Refused::of(&it))?.into_inner().ledger;
        let origin = ledger.context("the server names no ledger")?.origin;
        let batches = script::read(&text, &origin, &lookup_samples)?;
        send(args, &mut client, &keys, batches).await
    })
}

pub(super) fn read_text(file: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    if file == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).context("cannot read standard input")?;
        return Ok(text);
    }
    std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

/// Who can sign here.
pub(super) struct KeyRing {
    any: Option<SigningKey>,
    by_party: BTreeMap<PartyId, SigningKey>,
}

impl KeyRing {
    /// Reads keys given as `FILE` or `PARTY=FILE`.
    pub(super) fn read(keys: &[String], passphrase: &PassphraseArgs) -> anyhow::Result<Self> {
        let mut ring = Self { any: None, by_party: BTreeMap::new() };
        for given in keys {
            if let Some((party, file)) = given.split_once('=') {
                let party = PartyId::parse(&id_bytes(party)?)?;
                let key = keyfile::read(Path::new(file), passphrase)?;
                ring.by_party.insert(party, key);
            } else if ring.any.is_some() {
                bail!("several keys: say whose each is, with --key PARTY=FILE");
            } else {
                ring.any = Some(keyfile::read(Path::new(given), passphrase)?);
            }
        }
        Ok(ring)
    }

    /// The key that signs for a party.
    pub(super) fn of(&self, party: PartyId) -> anyhow::Result<&SigningKey> {
        let key = self.by_party.get(&party).or(self.any.as_ref());
        key.with_context(|| format!("no key for party {party}: give --key {party}=FILE"))
    }
}

/// Signs the events of a batch.
pub(super) fn sign_all<'k>(
    batch: &ScriptBatch,
    key_of: impl Fn(PartyId) -> anyhow::Result<&'k SigningKey>,
) -> anyhow::Result<Vec<Bytes>> {
    let sign = |event: &script::ScriptEvent| {
        let parties = [event.actor].into_iter().chain(event.cosigners.iter().copied());
        let keys = parties.map(&key_of).collect::<anyhow::Result<Vec<_>>>();
        let keys = keys.with_context(|| format!("line {}", event.line))?;
        Ok(Envelope::sign(EVENT_PAYLOAD_TYPE, event.payload.clone(), &keys).encode())
    };
    batch.events.iter().map(sign).collect()
}

async fn send(
    args: &SubmitArgs,
    client: &mut Client,
    keys: &KeyRing,
    batches: Vec<ScriptBatch>,
) -> anyhow::Result<ExitCode> {
    let total: usize = batches.iter().map(|batch| batch.events.len()).sum();
    let progress = bar(total as u64, "sending");
    let (mut recorded, mut before, mut skipped) = (0_usize, 0_usize, 0_usize);
    for batch in batches {
        progress.inc(batch.events.len() as u64);
        if batch.events.iter().all(|event| has_receipt(args, event)) {
            skipped += batch.events.len();
            continue;
        }
        debug_assert!(batch.events.len() <= MAX_BATCH_EVENTS);
        let envelopes = sign_all(&batch, |party| keys.of(party))?;
        let answer = if args.validate_only {
            client.validate(envelopes).await.map(|()| Vec::new())
        } else {
            client.append(envelopes).await
        };
        let appended = match answer {
            Ok(appended) => appended,
            Err(refused) => {
                progress.abandon();
                return refuse(args, &batch, &refused, recorded + before);
            }
        };
        for (event, it) in batch.events.iter().zip(&appended) {
            if it.was_recorded_before {
                before += 1;
            } else {
                recorded += 1;
            }
            keep_receipt(args, event, &it.receipt)?;
        }
    }
    progress.finish_and_clear();
    if args.json {
        print_json(&json!({
            "events": total, "recorded": recorded, "recorded_before": before, "skipped": skipped,
            "validated_only": args.validate_only,
        }))?;
    } else if args.validate_only {
        println!("{total} events would be recorded; nothing was");
    } else {
        println!("{recorded} recorded, {before} recorded before, {skipped} had their receipt");
    }
    Ok(ExitCode::SUCCESS)
}

fn refuse(
    args: &SubmitArgs,
    batch: &ScriptBatch,
    refused: &Refused,
    done: usize,
) -> anyhow::Result<ExitCode> {
    let line = batch.line;
    if args.json {
        print_json(&json!({
            "line": line, "reason": refused.reason, "message": refused.message,
            "message_zh": refused.message_zh, "fields": refused.fields, "recorded": done,
        }))?;
    }
    let what = if batch.is_atomic { "the batch from line" } else { "line" };
    // The node gives a reason with every refusal: without one nobody answered.
    if refused.reason.is_empty() || refused.reason == "INDETERMINATE" {
        eprintln!(
            "{what} {line} has no clear answer: it may be recorded; {done} events before it are\n\
             send the same file again, nothing is recorded twice\n{refused}"
        );
    } else {
        eprintln!("{what} {line} is refused; {done} events before it are recorded\n{refused}");
    }
    Ok(ExitCode::from(super::FAILED))
}

fn receipt_path(args: &SubmitArgs, event: &script::ScriptEvent) -> Option<PathBuf> {
    let folder = args.receipts.as_ref()?;
    Some(folder.join(format!("{}.tlog-proof", event.id)))
}

/// Whether the receipt of this very event is there. Half of one, or another file of that name, is
/// not it:
/// the event is then sent again, and its receipt written over.
fn has_receipt(args: &SubmitArgs, event: &script::ScriptEvent) -> bool {
    let Some(path) = receipt_path(args, event) else { return false };
    if args.validate_only {
        return false;
    }
    let is_of_event = |bytes: Vec<u8>| {
        let receipt = Receipt::parse(&bytes).ok()?;
        let entry = Entry::parse(&receipt.entry).ok()?;
        let envelope = Envelope::parse(&entry.envelope).ok()?;
        Some(envelope.payload == event.payload)
    };
    std::fs::read(path).ok().and_then(is_of_event).unwrap_or(false)
}

/// A receipt appears whole or not at all, so that a break never leaves half of one.
fn keep_receipt(
    args: &SubmitArgs,
    event: &script::ScriptEvent,
    receipt: &str,
) -> anyhow::Result<()> {
    let Some(path) = receipt_path(args, event) else { return Ok(()) };
    let part = path.with_extension("part");
    let written = std::fs::File::create(&part).and_then(|mut file| {
        file.write_all(receipt.as_bytes())?;
        file.sync_all()
    });
    written.with_context(|| format!("cannot write {}", part.display()))?;
    std::fs::rename(&part, &path).with_context(|| format!("cannot write {}", path.display()))
}
