//! `urbanmine init`: genesis and tables of a new ledger.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use clap::Args;
use serde_json::{Value as Json, json};

use super::event_json::{SymbolContext, event_from_value};
use super::keyfile::{self, KeySource, PassphraseArgs};
use super::names::lookup_samples;
use super::output::{hex, print_json};
use super::runtime;
use crate::domain::apply::RULES_VERSION;
use crate::domain::{Origin, PartyId, tables};
use crate::ledger::checkpoint::SignedCheckpoint;
use crate::ledger::envelope::{EVENT_PAYLOAD_TYPE, Envelope};
use crate::ledger::hash::sha256;
use crate::ledger::keys::SigningKey;
use crate::limits::{MAX_CHECKPOINT_TEXT_BYTES, MAX_TABLE_CHUNK_BYTES};
use crate::node::clock::{Clock as _, SystemClock};
use crate::node::{Node, NodeConfig};

/// Make a new ledger: a genesis signed by the coordinator and the ledger, then the tables.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Data directory; must not hold a ledger.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Directory of the head guard, best on another disk [default: <data>.guard]
    #[arg(long, value_name = "DIR")]
    guard: Option<PathBuf>,
    /// The ledger's name for ever, e.g. `urbanmine.example/jiangxi`.
    #[arg(long)]
    origin: String,
    /// Key file of the ledger (see keygen).
    #[arg(long, value_name = "FILE")]
    ledger_key: PathBuf,
    /// Key file of the first coordinator (see keygen).
    #[arg(long, value_name = "FILE")]
    coordinator_key: PathBuf,
    /// JSON of the first coordinator's record (a party, as in the proto).
    #[arg(long, value_name = "FILE")]
    coordinator: PathBuf,
    /// When the ledger was founded, as RFC 3339: the coordinator's key is valid from then [default:
    /// now]
    #[arg(long, value_name = "TIME")]
    founded_at: Option<String>,
    /// The last known checkpoint of a ledger that was lost and that this one follows: its genesis
    /// cites it (see docs/OPERATIONS.md).
    #[arg(long, value_name = "FILE")]
    previous_checkpoint: Option<PathBuf>,
    #[command(flatten)]
    passphrase: PassphraseArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &InitArgs) -> anyhow::Result<()> {
    let ledger_key =
        keyfile::read_ledger(&KeySource::File(args.ledger_key.clone()), &args.passphrase.source())?;
    let coordinator_key = keyfile::read(&args.coordinator_key, &args.passphrase)?;
    let text = std::fs::read_to_string(&args.coordinator)
        .with_context(|| format!("cannot read {}", args.coordinator.display()))?;
    let coordinator: Json = serde_json::from_str(&text)
        .with_context(|| format!("{} is not JSON", args.coordinator.display()))?;
    let founding = Founding {
        origin: args.origin.clone(),
        coordinator,
        coordinator_key,
        founded_at: founded_at(args.founded_at.as_deref())?,
        previous_checkpoint: match &args.previous_checkpoint {
            Some(path) => previous_checkpoint(path, &args.origin)?,
            None => String::new(),
        },
    };
    let config = NodeConfig::new(&args.data, guard_of(&args.data, args.guard.as_deref()));
    let public = hex(ledger_key.public_key().as_bytes());

    runtime()?.block_on(async {
        let node = founding.found(&config, ledger_key).await?;
        let size = node.reader().size();
        node.shutdown().await;
        if args.json {
            return print_json(
                &json!({ "origin": args.origin, "ledger_key": public, "entries": size.0 }),
            );
        }
        println!("origin      {}", args.origin);
        println!("ledger key  {public}");
        println!("entries     {size}");
        eprintln!("Give origin and ledger key to everybody who checks receipts: they pin both.");
        Ok(())
    })
}

/// The guard's directory: as given, or beside the data.
pub(super) fn guard_of(data: &Path, guard: Option<&Path>) -> PathBuf {
    guard.map_or_else(
        || {
            let mut name = data.as_os_str().to_owned();
            name.push(".guard");
            PathBuf::from(name)
        },
        Path::to_path_buf,
    )
}

/// What a new ledger begins with.
pub(super) struct Founding {
    pub(super) origin: String,
    /// JSON of a `PartyRecord`.
    pub(super) coordinator: Json,
    pub(super) coordinator_key: SigningKey,
    /// RFC 3339, with an offset.
    pub(super) founded_at: String,
    /// Text of the last checkpoint of the ledger that this one follows; else empty.
    pub(super) previous_checkpoint: String,
}

/// Reads the checkpoint that a genesis cites: one, of a ledger of another name.
fn previous_checkpoint(path: &Path, origin: &str) -> anyhow::Result<String> {
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let (said, _) = SignedCheckpoint::parse(text.as_bytes())
        .with_context(|| format!("{} holds no checkpoint", path.display()))?;
    if said.origin.as_str() == origin {
        bail!(
            "{} is of {origin} itself: a ledger that follows another has a name of its own, or two \
             histories would stand under one",
            path.display()
        );
    }
    if text.len() > MAX_CHECKPOINT_TEXT_BYTES {
        bail!("{} has more than {MAX_CHECKPOINT_TEXT_BYTES} bytes", path.display());
    }
    Ok(text)
}

/// The time of the founding: as given, else now.
pub(super) fn founded_at(given: Option<&str>) -> anyhow::Result<String> {
    if let Some(text) = given {
        return Ok(text.to_owned());
    }
    let millis = i64::try_from(SystemClock.now().get())?;
    let now = jiff::Timestamp::from_millisecond(millis)?;
    Ok(now.strftime("%FT%T+00:00").to_string())
}

impl Founding {
    /// Makes the ledger: genesis, then every chunk of the built-in tables as one batch each.
    pub(super) async fn found(
        &self,
        config: &NodeConfig,
        ledger_key: SigningKey,
    ) -> anyhow::Result<Node> {
        Origin::parse(&self.origin)?;
        let set = tables::builtin();
        let tables_hash = sha256(set.as_bytes());
        let genesis = self.genesis(&ledger_key, tables_hash.as_bytes())?;
        let node = Node::init(config, ledger_key, &genesis)?;
        for envelope in self.chunks(set, tables_hash.as_bytes())? {
            node.append(envelope).await.context("the tables are refused")?;
        }
        Ok(node)
    }

    fn genesis(&self, ledger_key: &SigningKey, tables_hash: &[u8; 32]) -> anyhow::Result<Envelope> {
        let mut body = json!({
            "ledger_public_key": hex(ledger_key.public_key().as_bytes()),
            "tables_sha256": hex(tables_hash),
            "rules_version": RULES_VERSION,
            "coordinator": self.coordinator,
            "coordinator_public_key": hex(self.coordinator_key.public_key().as_bytes()),
        });
        let cited = &self.previous_checkpoint;
        if let (false, Some(members)) = (cited.is_empty(), body.as_object_mut()) {
            members.insert("previous_checkpoint".to_owned(), json!(cited));
        }
        self.sign("genesis", body)
    }

    fn chunks(&self, set: &str, tables_hash: &[u8; 32]) -> anyhow::Result<Vec<Bytes>> {
        let parts: Vec<&[u8]> = set.as_bytes().chunks(MAX_TABLE_CHUNK_BYTES).collect();
        let mut envelopes = Vec::with_capacity(parts.len());
        for (chunk, part) in parts.iter().enumerate() {
            let body = json!({
                "tables_sha256": hex(tables_hash),
                "chunk_index": chunk,
                "chunk_count": parts.len(),
                "content": crate::ledger::base64::encode(part),
            });
            envelopes.push(self.sign("publish_tables", body)?.encode());
        }
        Ok(envelopes)
    }

    fn sign(&self, kind: &str, body: Json) -> anyhow::Result<Envelope> {
        let Some(coordinator) = self.coordinator.get("party_id").cloned() else {
            bail!("the coordinator's record has no party_id");
        };
        let mut event = json!({
            "event_id": uuid_v7(),
            "origin": self.origin,
            "actor_party_id": coordinator,
            "occurred_at": self.founded_at,
        });
        if let Some(members) = event.as_object_mut() {
            members.insert(kind.to_owned(), body);
        }
        let mut lookup = |symbol: &SymbolContext<'_>| lookup_samples(symbol);
        let payload = event_from_value(&event, &mut lookup)
            .with_context(|| format!("the {kind} event cannot be written"))?;
        Ok(Envelope::sign(EVENT_PAYLOAD_TYPE, payload.into(), &[&self.coordinator_key]))
    }
}

/// The mint: a new id for an event of our own.
#[expect(clippy::disallowed_methods, reason = "this is the mint")]
pub(super) fn uuid_v7() -> String {
    uuid::Uuid::now_v7().hyphenated().to_string()
}

/// The id of the coordinator in its record.
pub(super) fn party_of(coordinator: &Json) -> anyhow::Result<PartyId> {
    let text = coordinator.get("party_id").and_then(Json::as_str).unwrap_or_default();
    Ok(PartyId::parse(&super::names::id_bytes(text)?)?)
}
