//! `urbanmine demo`: a ledger from nothing, with sample data sent through real gRPC.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::{Value as Json, json};

use super::client::{Client, Refused};
use super::event_json::{SampleIds, SymbolContext, sample_id};
use super::init::{Founding, party_of};
use super::output::{bar, hex, print_json, thousands};
use super::script::{self, ScriptBatch, ScriptEvent};
use super::submit::sign_all;
use super::{keyfile, runtime, serve, trace, verify};
use crate::api::Listener;
use crate::domain::units::{TimeMs, Validity};
use crate::domain::vocabulary::Substance;
use crate::domain::{Body, KeyId, PartyId, PublicKey};
use crate::ledger::hash::sha256;
use crate::ledger::keys::SigningKey;
use crate::node::{Clock as _, LotStatePolicy, NodeConfig, SystemClock};
use crate::wire::v1;

/// Passphrase of the demo's key files: they protect nothing.
const DEMO_PASSPHRASE: &str = "urbanmine demo";
/// Entries after which the demo's lots are stated: few, so that its ledger has such statements.
const DEMO_LOT_STATE: u64 = 256;

/// The sample: what a reader finds in `samples/jiangxi`.
const LEDGER: &str = include_str!("../../samples/jiangxi/ledger.json");
const SCRIPTS: &[(&str, &str)] = &[
    ("01-registry", include_str!("../../samples/jiangxi/01-registry.jsonl")),
    ("02-copper", include_str!("../../samples/jiangxi/02-copper.jsonl")),
    ("03-aluminium", include_str!("../../samples/jiangxi/03-aluminium.jsonl")),
    ("04-lead", include_str!("../../samples/jiangxi/04-lead.jsonl")),
    ("05-rare-earth", include_str!("../../samples/jiangxi/05-rare-earth.jsonl")),
    (
        "06-corrections-and-holds",
        include_str!("../../samples/jiangxi/06-corrections-and-holds.jsonl"),
    ),
    (
        "07-the-rest-of-the-trade",
        include_str!("../../samples/jiangxi/07-the-rest-of-the-trade.jsonl"),
    ),
    ("08-daily-trade", include_str!("../../samples/jiangxi/08-daily-trade.jsonl")),
    ("09-launderers", include_str!("../../samples/jiangxi/09-launderers.jsonl")),
    ("10-paper-trails", include_str!("../../samples/jiangxi/10-paper-trails.jsonl")),
];

/// Start a node with sample data, trace four metals, verify, and stay up.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Where the demo's ledger and keys go [default: a new directory among the temporary files]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Address to listen on; port 0 takes a free one.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Leave after the summary.
    #[arg(long)]
    exit: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &DemoArgs) -> anyhow::Result<ExitCode> {
    let folder = DemoFolder::make(args.dir.as_deref())?;
    let sample = Sample::read()?;
    runtime()?.block_on(async {
        let lot_state = LotStatePolicy { every_entries: DEMO_LOT_STATE, ..LotStatePolicy::USUAL };
        let config = NodeConfig { lot_state, ..NodeConfig::new(folder.data(), folder.guard()) };
        let ledger_key = keyfile::generate();
        let public = ledger_key.public_key();
        folder.keep_key("ledger", &ledger_key)?;
        for (name, key) in &sample.keys {
            folder.keep_key(name.trim_start_matches("key/"), key)?;
        }
        let node = sample.founding()?.found(&config, ledger_key).await?;
        let listener = Listener::bind(args.listen).await?;
        let server = format!("http://{}", listener.address());
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let serving = tokio::spawn(crate::api::serve(node.clone(), listener, async {
            let _ = stopped.await;
        }));
        let verdict = show(args, &folder, &sample, &server, &public).await;
        if verdict.is_ok() && !args.exit {
            eprintln!("The node stays up at {server} until Ctrl-C.");
            serve::interrupted().await;
        }
        let _ = stop.send(());
        serving.await.context("the server's task failed")??;
        node.shutdown().await;
        verdict
    })
}

/// Sends, traces, verifies, and sums up.
async fn show(
    args: &DemoArgs,
    folder: &DemoFolder,
    sample: &Sample,
    server: &str,
    ledger_key: &PublicKey,
) -> anyhow::Result<ExitCode> {
    let mut client = Client::connect(server).await?;
    let began = Instant::now();
    let batches = sample.batches()?;
    let sent = send(&mut client, sample, &batches, &folder.receipts()).await?;
    let millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let lots = lots_born(&batches);
    if !args.json {
        let names = lot_names();
        println!("urbanmine demo: the fictional urban mine of Jiangxi\n");
        println!("{sent} events signed by {} keys and recorded in {millis} ms", sample.keys.len());
        for name in &sample.showcase {
            show_lot(&mut client, name, &names).await?;
        }
    }
    let anomalies =
        super::anomalies::of_server(&mut client, v1::ListAnomaliesRequest::default()).await?;
    if !args.json {
        show_anomalies(&mut client, &anomalies).await;
    }
    let public = hex(ledger_key.as_bytes());
    let judge = || -> anyhow::Result<_> {
        let pins = verify::pins(Some(&sample.origin), Some(&public))?;
        verify::check_data(&folder.data(), Some(&folder.guard()), pins)
    };
    let mut judged = judge()?;
    let mut attested = None;
    if judged.verdict().exit_code() == 0 {
        // What the auditor has just checked it says in the ledger, where everybody reads it.
        attested = Some(attest(&mut client, sample, &folder.receipts()).await?);
        judged = judge()?;
    }
    let entries = judged.report().entries.0;
    if args.json {
        print_json(&json!({
            "origin": sample.origin, "ledger_key": public, "entries": entries, "lots": lots,
            "data": folder.data(), "guard": folder.guard(), "keys": folder.keys(),
            "receipts": folder.receipts(), "server": server, "events_sent": sent,
            "sending_ms": millis, "verdict": judged.verdict().name(),
            "attested_entry": attested, "anomalies": by_severity(&anomalies),
            "showcase": sample.showcase.iter()
                .map(|name| super::names::id_text(&sample_id(name))).collect::<Vec<_>>(),
        }))?;
    } else {
        println!(
            "\nVerification of all {} entries, offline, from the journal:",
            thousands(entries)
        );
        verify::print(&judged);
        if let Some(index) = attested {
            println!(
                "\nThe auditor had verified the {} entries before, and says so in entry {index}.",
                thousands(index)
            );
        }
        say_where(folder, sample, server, &public, lots);
    }
    Ok(ExitCode::from(judged.verdict().exit_code()))
}

/// What somebody should ask about: the last two files of the sample are lawful, and tell of it.
async fn show_anomalies(client: &mut Client, anomalies: &[v1::Anomaly]) {
    let counts = by_severity(anomalies);
    println!("\nWhat cannot be true, or is hard to believe, by the rules A1 to A17: {counts}");
    let graver = |it: &&v1::Anomaly| it.severity() > v1::Severity::Low;
    let graver: Vec<v1::Anomaly> = anomalies.iter().filter(graver).cloned().collect();
    let names = super::anomalies::Names::of_server(client, &graver).await;
    super::anomalies::print(&graver, &names);
}

fn by_severity(anomalies: &[v1::Anomaly]) -> Json {
    let mut counts = BTreeMap::new();
    for it in anomalies {
        *counts.entry(super::anomalies::severity(it)).or_insert(0_u32) += 1;
    }
    json!(counts)
}

/// The auditor's word on the latest checkpoint; its entry. It quotes what this ledger has signed,
/// so it can stand in no file of the sample.
async fn attest(client: &mut Client, sample: &Sample, receipts: &Path) -> anyhow::Result<u64> {
    let reply = client.ledger.get_checkpoint(v1::GetCheckpointRequest {}).await;
    let checkpoint = reply.map_err(|it| Refused::of(&it))?.into_inner().checkpoint;
    let line = json!({
        "event_id": "@event/attest/demo", "actor_party_id": "@party/auditor",
        "occurred_at_ms": SystemClock.now().get(), "occurred_at_offset_min": 480,
        "attest": {
            "scope": "all entries, from the journal, offline", "checkpoint": checkpoint,
            "result": "PASSED",
        },
    });
    let key = sample.keys.get("key/auditor").context("the sample has an auditor")?;
    let batches = script::read(&line.to_string(), &sample.origin, &super::names::lookup_samples)?;
    let batch = batches.first().context("an attestation is one event")?;
    let appended = client.append(sign_all(batch, |_| Ok(key))?).await?;
    let (event, it) =
        batch.events.first().zip(appended.first()).context("one event, one answer")?;
    keep_receipt(receipts, event, &it.receipt)?;
    Ok(it.entry_index)
}

fn say_where(folder: &DemoFolder, sample: &Sample, server: &str, public: &str, lots: usize) {
    let data = folder.data();
    println!("\n  origin      {}", sample.origin);
    println!("  ledger key  {public}");
    println!("  lots        {lots}");
    println!("  server      {server}");
    println!("  data        {}", data.display());
    println!("  keys        {}  (passphrase \"{DEMO_PASSPHRASE}\")", folder.keys().display());
    println!("  receipts    {}", folder.receipts().display());
    println!("\nCheck it yourself:");
    println!(
        "  urbanmine verify --data {} --ledger-key {public} --origin {}",
        data.display(),
        sample.origin
    );
    if let Some(name) = sample.showcase.first() {
        println!("  urbanmine trace @{name} --server {server}");
        println!("  urbanmine report coverage --region 36 --server {server}");
    }
}

/// One lot of the showcase: where it came from, in grams, and its main metal's origins.
async fn show_lot(
    client: &mut Client,
    name: &str,
    names: &BTreeMap<[u8; 16], String>,
) -> anyhow::Result<()> {
    let name_of = |id: &[u8]| {
        let known = <[u8; 16]>::try_from(id).ok().and_then(|id| names.get(&id));
        known.map_or_else(|| super::names::id_text(id), |name| format!("{name:32}"))
    };
    let id = sample_id(name);
    let lot_id = bytes::Bytes::copy_from_slice(&id);
    let text = trace::describe(client, &lot_id).await?;
    println!("\n── {name}: {text}");
    let by_mass = trace::origins(client, id, None).await?;
    println!(
        "   {} lots and {} steps behind it{}",
        by_mass.lots.len().saturating_sub(1),
        by_mass.steps.len(),
        if by_mass.is_complete { "" } else { " (cut off)" }
    );
    for substance in main_substances(name) {
        let by_metal = trace::origins(client, id, Some(*substance)).await?;
        trace::print_shares(client, Some(*substance), &by_metal, &name_of).await?;
    }
    Ok(())
}

/// What a showcase lot is bought for.
fn main_substances(name: &str) -> &'static [Substance] {
    let lot = name.rsplit('/').next().unwrap_or(name);
    match lot.split('-').next() {
        Some("cu") => &[Substance::Cu],
        Some("al") => &[Substance::Al],
        Some("pb") => &[Substance::Pb],
        _ => &[Substance::Pr, Substance::Nd],
    }
}

/// Sends every batch; keeps every receipt.
async fn send(
    client: &mut Client,
    sample: &Sample,
    batches: &[ScriptBatch],
    receipts: &Path,
) -> anyhow::Result<usize> {
    let total: usize = batches.iter().map(|batch| batch.events.len()).sum();
    let progress = bar(total as u64, "sending");
    let mut ring = Ring::new(sample)?;
    for batch in batches {
        for event in &batch.events {
            ring.learn(&event.event.body);
        }
        let at = batch.events.first().map(|event| event.event.occurred_at).unwrap_or_default();
        let envelopes = sign_all(batch, |party| ring.key_of(party, at))?;
        let appended = match client.append(envelopes).await {
            Ok(appended) => appended,
            Err(refused) => bail!("line {} of the sample is refused: {refused}", batch.line),
        };
        for (event, it) in batch.events.iter().zip(appended) {
            keep_receipt(receipts, event, &it.receipt)?;
        }
        progress.inc(batch.events.len() as u64);
    }
    progress.finish_and_clear();
    Ok(total)
}

fn keep_receipt(folder: &Path, event: &ScriptEvent, receipt: &str) -> anyhow::Result<()> {
    let path = folder.join(format!("{}.tlog-proof", event.id));
    std::fs::write(&path, receipt).with_context(|| format!("cannot write {}", path.display()))
}

fn lots_born(batches: &[ScriptBatch]) -> usize {
    let born = |event: &ScriptEvent| match &event.event.body {
        Body::CollectLot(_) | Body::MergeLots(_) | Body::PartlyAcceptTransfer(_) => 1,
        Body::OpeningInventory(inventory) => inventory.lots.len(),
        Body::SplitLot(split) => split.children.len(),
        Body::TransformLots(melt) => melt.outputs.len() + melt.residues.len(),
        Body::DrawCampaign(draw) => draw.outputs.len() + draw.residues.len(),
        Body::AcceptTransfer(accept) => usize::from(accept.received_lot.is_some()),
        _ => 0,
    };
    batches.iter().flat_map(|batch| &batch.events).map(born).sum()
}

/// The sample's texts and keys.
struct Sample {
    origin: String,
    coordinator: Json,
    showcase: Vec<String>,
    founded_at: String,
    keys: BTreeMap<String, SigningKey>,
}

impl Sample {
    fn read() -> anyhow::Result<Self> {
        let ledger: Json = serde_json::from_str(LEDGER).context("ledger.json")?;
        let text = |name: &str| {
            let found = ledger.get(name).and_then(Json::as_str);
            found.map(str::to_owned).with_context(|| format!("ledger.json has no {name}"))
        };
        let coordinator = ledger.get("coordinator").cloned().context("no coordinator")?;
        let names = ledger.get("showcase").and_then(Json::as_array).context("no showcase")?;
        let showcase = names.iter().filter_map(Json::as_str);
        let showcase = showcase.map(|name| name.trim_start_matches('@').to_owned()).collect();
        let mut keys = BTreeMap::new();
        for name in SCRIPTS.iter().flat_map(|(_, script)| names_of(script, "key")) {
            let key = demo_key(&name);
            keys.insert(name, key);
        }
        let own = coordinator_key_name(&coordinator)?;
        let key = demo_key(&own);
        keys.insert(own, key);
        Ok(Self {
            origin: text("origin")?,
            founded_at: text("founded_at")?,
            coordinator,
            showcase,
            keys,
        })
    }

    fn founding(&self) -> anyhow::Result<Founding> {
        let name = coordinator_key_name(&self.coordinator)?;
        Ok(Founding {
            origin: self.origin.clone(),
            coordinator: self.coordinator.clone(),
            coordinator_key: demo_key(&name),
            founded_at: self.founded_at.clone(),
            previous_checkpoint: String::new(),
        })
    }

    fn batches(&self) -> anyhow::Result<Vec<ScriptBatch>> {
        let known = self.keys.iter().map(|(name, key)| (name.clone(), key.public_key()));
        let ids = SampleIds::new(known.collect());
        let lookup = |symbol: &SymbolContext<'_>| ids.resolve(symbol);
        let mut batches = Vec::new();
        for (name, text) in SCRIPTS {
            let read = script::read(text, &self.origin, &lookup);
            batches.extend(read.with_context(|| format!("samples/jiangxi/{name}.jsonl"))?);
        }
        Ok(batches)
    }
}

/// A key that everybody can compute: for samples, never for use.
fn demo_key(name: &str) -> SigningKey {
    SigningKey::from_seed(
        sha256(format!("urbanmine demo key, for nothing else\n{name}").as_bytes()).0,
    )
}

/// Every `@<kind>/…` that a script names, without its `@`.
fn names_of(script: &str, kind: &str) -> Vec<String> {
    let mark = format!("\"@{kind}/");
    let pieces = script.split(mark.as_str()).skip(1);
    let names = pieces.filter_map(|rest| rest.split('"').next());
    names.map(|name| format!("{kind}/{name}")).collect()
}

/// What the sample calls its lots.
fn lot_names() -> BTreeMap<[u8; 16], String> {
    let names = SCRIPTS.iter().flat_map(|(_, script)| names_of(script, "lot"));
    names.map(|name| (sample_id(&name), format!("@{name}"))).collect()
}

/// `@party/x` signs with `key/x`.
fn coordinator_key_name(coordinator: &Json) -> anyhow::Result<String> {
    let id = coordinator.get("party_id").and_then(Json::as_str).unwrap_or_default();
    let name = id.strip_prefix("@party/").context("the coordinator's party_id is @party/<name>")?;
    Ok(format!("key/{name}"))
}

/// Which key signs for a party, as the script registers and revokes them.
struct Ring<'a> {
    keys: BTreeMap<PublicKey, &'a SigningKey>,
    valid: BTreeMap<PartyId, Vec<(KeyId, Validity, &'a SigningKey)>>,
}

impl<'a> Ring<'a> {
    fn new(sample: &'a Sample) -> anyhow::Result<Self> {
        let keys: BTreeMap<_, _> =
            sample.keys.values().map(|key| (key.public_key(), key)).collect();
        let coordinator = party_of(&sample.coordinator)?;
        let name = coordinator_key_name(&sample.coordinator)?;
        let mut valid = BTreeMap::new();
        if let Some(key) = sample.keys.get(&name) {
            let always = Validity { from: TimeMs::default(), to: None };
            valid.insert(coordinator, vec![(key.key_id(), always, key)]);
        }
        Ok(Self { keys, valid })
    }

    fn learn(&mut self, body: &Body) {
        match body {
            Body::RegisterKey(new) => {
                if let Some(key) = self.keys.get(&new.public_key) {
                    let row = (key.key_id(), new.validity, *key);
                    self.valid.entry(new.party).or_default().push(row);
                }
            }
            Body::RevokeKey(revoke) => {
                for rows in self.valid.values_mut() {
                    rows.retain(|(id, _, _)| *id != revoke.key);
                }
            }
            _ => {}
        }
    }

    fn key_of(&self, party: PartyId, at: TimeMs) -> anyhow::Result<&'a SigningKey> {
        let rows = self.valid.get(&party).map_or(&[][..], Vec::as_slice);
        let row = rows.iter().find(|(_, validity, _)| validity.contains(at));
        row.map(|(_, _, key)| *key).with_context(|| format!("party {party} has no key then"))
    }
}

/// Where the demo keeps its things.
struct DemoFolder(PathBuf);

impl DemoFolder {
    fn make(given: Option<&Path>) -> anyhow::Result<Self> {
        let path = given.map_or_else(
            || std::env::temp_dir().join(format!("urbanmine-demo-{}", super::init::uuid_v7())),
            Path::to_path_buf,
        );
        if path.exists() && path.read_dir()?.next().is_some() {
            bail!("{} is not empty; the demo makes a new ledger", path.display());
        }
        let folder = Self(path);
        for inner in [folder.keys(), folder.receipts()] {
            std::fs::create_dir_all(&inner)
                .with_context(|| format!("cannot make {}", inner.display()))?;
        }
        Ok(folder)
    }

    fn data(&self) -> PathBuf {
        self.0.join("data")
    }

    fn guard(&self) -> PathBuf {
        self.0.join("data.guard")
    }

    fn keys(&self) -> PathBuf {
        self.0.join("keys")
    }

    fn receipts(&self) -> PathBuf {
        self.0.join("receipts")
    }

    fn keep_key(&self, name: &str, key: &SigningKey) -> anyhow::Result<()> {
        let file = self.keys().join(format!("{}.pem", name.replace('/', "-")));
        keyfile::write(&file, key, DEMO_PASSPHRASE)
    }
}
