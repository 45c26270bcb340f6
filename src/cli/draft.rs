//! `urbanmine draft`

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use clap::{Args, Subcommand};
use comfy_table::{Table, presets};
use serde_json::{Value as Json, json};

use super::client::{AccessArgs, Client, Refused};
use super::event_json::event_to_json;
use super::keyfile::{self, PassphraseArgs};
use super::lot::kind;
use super::names::{id_bytes, id_text, lookup_samples};
use super::output::{hex, print_json, time};
use super::runtime;
use super::script;
use super::submit::{KeyRing, read_text};
use crate::ledger::envelope::{EVENT_PAYLOAD_TYPE, Envelope, pae};
use crate::ledger::hash::sha256;
use crate::wire::v1;

/// Propose, read, sign and discard events that need more than one signature.
///
/// A draft is no entry: nothing is recorded before the last party has signed. Only the parties that
/// have to sign see it.
#[derive(Debug, Args)]
pub struct DraftArgs {
    #[command(subcommand)]
    command: Command,
    /// The server.
    #[arg(long, global = true, default_value = "http://127.0.0.1:7878")]
    server: String,
    #[command(flatten)]
    access: AccessArgs,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Sign an event and propose it to whoever else has to sign.
    Create {
        /// File with one event as a JSON line; `-` reads standard input.
        file: PathBuf,
        /// Key file of the party that proposes.
        #[arg(long = "key", value_name = "[PARTY=]FILE", required = true)]
        keys: Vec<String>,
        #[command(flatten)]
        passphrase: PassphraseArgs,
        /// Hours that it waits for the others, at most 720.
        #[arg(long, default_value_t = 168, value_parser = clap::value_parser!(u32).range(1..=720))]
        hours: u32,
    },
    /// List drafts.
    List {
        /// Of which party; a caller that is a party sees its own.
        #[arg(long, value_name = "PARTY")]
        party: Option<String>,
        /// Only those that the party has not signed yet.
        #[arg(long)]
        unsigned: bool,
    },
    /// Show a draft with its event.
    Show {
        /// The draft: the id of its event.
        draft: String,
    },
    /// Sign a draft; the last signature records the event.
    Sign {
        /// The draft: the id of its event.
        draft: String,
        /// Key file of the party that signs.
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        #[command(flatten)]
        passphrase: PassphraseArgs,
        /// Sign only these bytes: SHA-256 of the payload that was read and agreed to, in hex.
        #[arg(long, value_name = "HEX")]
        payload_sha256: Option<String>,
        /// File for the receipt.
        #[arg(long, value_name = "FILE")]
        receipt: Option<PathBuf>,
    },
    /// Discard a draft.
    Delete {
        /// The draft: the id of its event.
        draft: String,
    },
}

pub(super) fn run(args: &DraftArgs) -> anyhow::Result<()> {
    runtime()?.block_on(async {
        let mut client = Client::connect_with(&args.server, &args.access).await?;
        match &args.command {
            Command::Create { file, keys, passphrase, hours } => {
                let keys = KeyRing::read(keys, passphrase)?;
                let draft = create(&mut client, file, &keys, *hours).await?;
                show(args, &draft)
            }
            Command::List { party, unsigned } => {
                let drafts = list(&mut client, party.as_deref(), *unsigned).await?;
                print_list(args, &drafts)
            }
            Command::Show { draft } => show(args, &find(&mut client, draft).await?),
            Command::Sign { draft, key, passphrase, payload_sha256, receipt } => {
                let key = keyfile::read(key, passphrase)?;
                let found = find(&mut client, draft).await?;
                check_agreed(&found, payload_sha256.as_deref())?;
                let message = pae(EVENT_PAYLOAD_TYPE, &found.payload);
                let request = v1::SignDraftRequest {
                    draft_id: found.draft_id,
                    key_id: Bytes::copy_from_slice(key.key_id().as_bytes()),
                    signature: Bytes::copy_from_slice(&key.sign(&message)),
                };
                let reply = client.drafts.sign_draft(request).await;
                signed(args, reply.map_err(|it| Refused::of(&it))?.into_inner(), receipt.as_deref())
            }
            Command::Delete { draft } => {
                let draft_id = Bytes::copy_from_slice(&id_bytes(draft)?);
                let request = v1::DeleteDraftRequest { draft_id };
                client.drafts.delete_draft(request).await.map_err(|it| Refused::of(&it))?;
                eprintln!("draft {draft} is gone; nothing was recorded");
                Ok(())
            }
        }
    })
}

async fn create(
    client: &mut Client,
    file: &Path,
    keys: &KeyRing,
    hours: u32,
) -> anyhow::Result<v1::Draft> {
    let ledger = client.ledger.get_ledger(v1::GetLedgerRequest {}).await;
    let ledger = ledger.map_err(|it| Refused::of(&it))?.into_inner().ledger;
    let origin = ledger.context("the server names no ledger")?.origin;
    let batches = script::read(&read_text(file)?, &origin, &lookup_samples)?;
    let [batch] = &batches[..] else { bail!("{} has one event, on one line", file.display()) };
    let [event] = &batch.events[..] else { bail!("{} has one event", file.display()) };
    let key = keys.of(event.actor)?;
    let envelope = Envelope::sign(EVENT_PAYLOAD_TYPE, event.payload.clone(), &[key]).encode();
    let request = v1::CreateDraftRequest { envelope, ttl_seconds: hours.saturating_mul(3_600) };
    let reply = client.drafts.create_draft(request).await.map_err(|it| Refused::of(&it))?;
    reply.into_inner().draft.context("the server sent no draft")
}

async fn find(client: &mut Client, draft: &str) -> anyhow::Result<v1::Draft> {
    let draft_id = Bytes::copy_from_slice(&id_bytes(draft)?);
    let request = v1::GetDraftRequest { draft_id };
    let reply = client.drafts.get_draft(request).await.map_err(|it| Refused::of(&it))?;
    reply.into_inner().draft.context("the server sent no draft")
}

async fn list(
    client: &mut Client,
    party: Option<&str>,
    unsigned_only: bool,
) -> anyhow::Result<Vec<v1::Draft>> {
    let party = party.map(id_bytes).transpose()?;
    let party_id = party.map_or_else(Bytes::new, |id| Bytes::copy_from_slice(&id));
    let (mut drafts, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListDraftsRequest {
            page_size: 0,
            page_token: page_token.clone(),
            party_id: party_id.clone(),
            unsigned_only,
        };
        let reply = client.drafts.list_drafts(request).await.map_err(|it| Refused::of(&it))?;
        let page = reply.into_inner();
        drafts.extend(page.drafts);
        // A token that leads back to its own page would never end.
        if page.next_page_token.is_empty() || page.next_page_token == page_token {
            return Ok(drafts);
        }
        page_token = page.next_page_token;
    }
}

/// What the server holds is what was agreed to, or nothing is signed.
fn check_agreed(draft: &v1::Draft, agreed: Option<&str>) -> anyhow::Result<()> {
    let found = sha256(&draft.payload).to_string();
    if let Some(agreed) = agreed {
        ensure!(
            agreed.eq_ignore_ascii_case(&found),
            "the draft's payload has SHA-256 {found}, not the {agreed} that was agreed to; \
             nothing was signed"
        );
        return Ok(());
    }
    eprintln!("signing payload {found}");
    Ok(())
}

fn signed(
    args: &DraftArgs,
    reply: v1::SignDraftResponse,
    receipt: Option<&Path>,
) -> anyhow::Result<()> {
    let Some(appended) = reply.appended else {
        eprintln!("signed; others still have to");
        return show(args, &reply.draft.context("the server sent neither draft nor receipt")?);
    };
    if let Some(path) = receipt {
        std::fs::write(path, &appended.receipt)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    if args.json {
        return print_json(&json!({
            "entry_index": appended.entry_index, "receipt": appended.receipt,
        }));
    }
    println!("recorded as entry {}", appended.entry_index);
    Ok(())
}

fn draft_json(draft: &v1::Draft) -> anyhow::Result<Json> {
    let event = event_to_json(&draft.payload).context("the draft's payload is no event")?;
    let ids = |ids: &[Bytes]| ids.iter().map(|id| id_text(id)).collect::<Vec<_>>();
    let signed: Vec<Bytes> = draft.signatures.iter().map(|it| it.party_id.clone()).collect();
    Ok(json!({
        "draft_id": id_text(&draft.draft_id),
        "kind": kind(draft.kind),
        "payload_sha256": sha256(&draft.payload).to_string(),
        "payload_hex": hex(&draft.payload),
        "proposed_by_party_id": id_text(&draft.proposed_by_party_id),
        "required_party_ids": ids(&draft.required_party_ids),
        "signed_party_ids": ids(&signed),
        "created_at_ms": draft.created_at_ms,
        "expires_at_ms": draft.expires_at_ms,
        "event": event,
    }))
}

fn show(args: &DraftArgs, draft: &v1::Draft) -> anyhow::Result<()> {
    let shown = draft_json(draft)?;
    if args.json {
        return print_json(&shown);
    }
    println!("draft     {}", id_text(&draft.draft_id));
    println!("kind      {}", kind(draft.kind));
    println!("payload   {}", sha256(&draft.payload));
    println!("expires   {}", time(draft.expires_at_ms));
    for party in &draft.required_party_ids {
        let has_signed = draft.signatures.iter().any(|it| it.party_id == *party);
        let state = if has_signed { "has signed" } else { "has to sign" };
        println!("  {} {state}", id_text(party));
    }
    println!("{}", serde_json::to_string_pretty(&shown["event"])?);
    Ok(())
}

fn print_list(args: &DraftArgs, drafts: &[v1::Draft]) -> anyhow::Result<()> {
    if args.json {
        let all: anyhow::Result<Vec<Json>> = drafts.iter().map(draft_json).collect();
        return print_json(&Json::Array(all?));
    }
    let mut table = Table::new();
    table.load_style(presets::UTF8_BORDERS_ONLY);
    table.set_header(["draft", "event", "proposed by", "signed", "expires"]);
    for draft in drafts {
        table.add_row([
            id_text(&draft.draft_id),
            kind(draft.kind),
            id_text(&draft.proposed_by_party_id),
            format!("{} of {}", draft.signatures.len(), draft.required_party_ids.len()),
            time(draft.expires_at_ms),
        ]);
    }
    println!("{table}");
    Ok(())
}
