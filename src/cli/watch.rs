//! `urbanmine watch`

use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use bytes::Bytes;
use clap::Args;
use serde_json::{Value as Json, json};
use tonic::{Code, Status};

use super::client::{Client, Refused};
use super::lot::kind;
use super::names::{id_bytes, id_text};
use super::output::time;
use super::runtime;
use super::serve::interrupted;
use crate::domain::vocabulary::EventKind;
use crate::ledger::base64;
use crate::limits::{MAX_WATCH_RETRY_MS, WATCH_RETRY_MS};
use crate::wire::v1;
use crate::wire::v1::watch_entries_response::Message;

/// Show entries as they are recorded, until Ctrl-C.
///
/// Goes on by itself after a cut: nothing is left out and nothing comes twice. With several filters
/// all of them must hold.
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// The server.
    #[arg(long, default_value = "http://127.0.0.1:7878")]
    server: String,
    /// Only entries that name this lot: a UUID, or `@name` of the sample.
    #[arg(long, value_name = "LOT")]
    lot: Option<String>,
    /// Only entries that concern this party: a UUID, or `@name` of the sample.
    #[arg(long, value_name = "PARTY")]
    party: Option<String>,
    /// Only events of this kind, e.g. `COLLECT_LOT`.
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// Index of the first entry.
    #[arg(long, value_name = "INDEX", default_value_t = 0)]
    from: u64,
    /// Print JSON lines: entries, and heartbeats with the signed checkpoint.
    #[arg(long)]
    json: bool,
}

/// Exit code of a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

pub(super) fn run(args: &WatchArgs) -> anyhow::Result<ExitCode> {
    let mut request = v1::WatchEntriesRequest {
        from_entry_index: args.from,
        lot_id: id_of(args.lot.as_deref())?,
        party_id: id_of(args.party.as_deref())?,
        kind: args.kind.as_deref().map(kind_number).transpose()?.unwrap_or_default(),
        heartbeat_seconds: 0,
    };
    runtime()?.block_on(async {
        tokio::select! {
            () = interrupted() => Ok(ExitCode::from(INTERRUPTED)),
            ended = follow(args, &mut request) => ended.map(|()| ExitCode::SUCCESS),
        }
    })
}

fn id_of(text: Option<&str>) -> anyhow::Result<Bytes> {
    let id = text.map(id_bytes).transpose()?;
    Ok(id.map(|id| Bytes::copy_from_slice(&id)).unwrap_or_default())
}

fn kind_number(text: &str) -> anyhow::Result<i32> {
    let word = text.to_ascii_uppercase().replace('-', "_");
    let Some(kind) = EventKind::from_name(&word) else {
        let known: Vec<&str> = EventKind::ALL.iter().map(|kind| kind.name()).collect();
        bail!("{text} is no kind of event; there are {}", known.join(", "))
    };
    Ok(kind.number().into())
}

/// Watches, and watches again from where it was. Ends only when going on would not help.
async fn follow(args: &WatchArgs, request: &mut v1::WatchEntriesRequest) -> anyhow::Result<()> {
    let shortest = Duration::from_millis(WATCH_RETRY_MS);
    let mut pause = shortest;
    let mut client = Client::connect(&args.server).await?;
    loop {
        let before = request.from_entry_index;
        let cut = watch(&mut client, args, request).await;
        if !may_go_on(&cut) {
            return Err(Refused::of(&cut).into());
        }
        if request.from_entry_index > before {
            pause = shortest;
        }
        let (from, millis) = (request.from_entry_index, pause.as_millis());
        eprintln!("{}; going on with entry {from} in {millis} ms", cut.message());
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(MAX_WATCH_RETRY_MS));
        // The channel connects again by itself when it has to.
    }
}

/// One watch, to its end. `from_entry_index` goes on with what was shown.
async fn watch(
    client: &mut Client,
    args: &WatchArgs,
    request: &mut v1::WatchEntriesRequest,
) -> Status {
    let mut entries = match client.ledger.watch_entries(request.clone()).await {
        Ok(reply) => reply.into_inner(),
        Err(status) => return status,
    };
    loop {
        match entries.message().await {
            Ok(Some(v1::WatchEntriesResponse { message: Some(message) })) => {
                request.from_entry_index = match &message {
                    Message::Entry(entry) => entry.entry_index.saturating_add(1),
                    Message::Heartbeat(heartbeat) => heartbeat.next_entry_index,
                };
                show(args, &message);
            }
            Ok(Some(_)) => {}
            Ok(None) => return Status::unavailable("the server ended the watch"),
            Err(status) => return status,
        }
    }
}

/// Everything but an answer that would be the same the next time.
fn may_go_on(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::Unavailable
            | Code::Aborted
            | Code::DeadlineExceeded
            | Code::ResourceExhausted
            | Code::Unknown
            | Code::Internal
            | Code::Cancelled
    )
}

fn show(args: &WatchArgs, message: &Message) {
    match message {
        _ if args.json => println!("{}", line(message)),
        Message::Entry(entry) => println!(
            "{:>8}  {}  {:24} {}",
            entry.entry_index,
            time(entry.recorded_at_ms),
            kind(entry.kind),
            id_text(&entry.event_id)
        ),
        Message::Heartbeat(_) => {}
    }
}

fn line(message: &Message) -> Json {
    match message {
        Message::Entry(entry) => json!({
            "type": "entry",
            "entry_index": entry.entry_index,
            "recorded_at_ms": entry.recorded_at_ms,
            "kind": kind(entry.kind),
            "event_id": id_text(&entry.event_id),
            "entry": base64::encode(&entry.entry),
        }),
        Message::Heartbeat(heartbeat) => json!({
            "type": "heartbeat",
            "next_entry_index": heartbeat.next_entry_index,
            "checkpoint": heartbeat.checkpoint,
        }),
    }
}
