//! Callers of a node, and the book outside of it in which they write down what they were told.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value as Json, json};
use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use urbanmine::domain::EventId;
use urbanmine::wire::v1;
use urbanmine::wire::v1::ledger_service_client::LedgerServiceClient;

use crate::world::{Sent, Shared, World, check_receipt, hex};

/// How long a caller waits for an answer.
pub const ANSWER: Duration = Duration::from_secs(20);
/// Receipts that are asked for at one time.
const ASKED_AT_ONCE: usize = 16;
/// Events in every fourth call of a caller.
const BATCH: usize = 5;

pub type Ledger = LedgerServiceClient<Channel>;

/// What a caller was told of an event.
#[derive(Debug, Clone)]
pub enum Answer {
    /// It is recorded: the receipt.
    Receipt(String),
    /// Nothing was recorded, and why; after how long to come again, if at all.
    Refused { reason: String, wait: Option<Duration> },
    /// It may be recorded or not, and what was said.
    Unclear(String),
}

/// Receipts, in a file that the node knows nothing of.
#[derive(Debug)]
pub struct Book {
    path: PathBuf,
    file: Mutex<File>,
}

/// Callers at work, each with one call under way at a time.
pub struct Load {
    stop: Arc<AtomicBool>,
    tasks: JoinSet<()>,
    unclear: Arc<Mutex<Vec<Sent>>>,
    acknowledged: Arc<AtomicU64>,
    refusals: Arc<Mutex<BTreeMap<String, u64>>>,
}

/// What is left when the callers have ended.
#[derive(Debug)]
pub struct Left {
    /// Events of which nobody knows whether they are recorded.
    pub unclear: Vec<Sent>,
    pub acknowledged: u64,
    /// Reasons of refusals, and how often each.
    pub refusals: BTreeMap<String, u64>,
}

impl Book {
    /// An empty one.
    pub fn new(path: PathBuf) -> Result<Arc<Self>> {
        let file = File::create(&path).with_context(|| format!("make {}", path.display()))?;
        Ok(Arc::new(Self { path, file: Mutex::new(file) }))
    }

    /// Writes a receipt down, after it was checked without the ledger.
    pub fn keep(&self, id: EventId, receipt: &str) -> Result<u64> {
        let index = check_receipt(&id, receipt)?;
        let line = json!({ "event": hex(id.as_bytes()), "receipt": receipt });
        let mut file = self.file.lock().unwrap();
        file.write_all(format!("{line}\n").as_bytes())?;
        Ok(index)
    }

    /// All that is in it. The same receipt may stand in it twice, two of one event may not.
    pub fn read(&self) -> Result<Vec<(EventId, String)>> {
        let (mut order, mut seen) = (Vec::new(), BTreeMap::<EventId, String>::new());
        for line in fs::read_to_string(&self.path)?.lines() {
            let line: Json = serde_json::from_str(line)?;
            let text = |name: &str| line[name].as_str().map(str::to_owned).context("a text");
            let (id, receipt) = (event_id(&text("event")?)?, text("receipt")?);
            if let Some(before) = seen.get(&id) {
                ensure!(*before == receipt, "two receipts of {id}");
                continue;
            }
            seen.insert(id, receipt.clone());
            order.push((id, receipt));
        }
        Ok(order)
    }
}

impl Load {
    /// So many callers begin.
    pub fn start(world: &Shared, address: SocketAddr, callers: usize, book: &Arc<Book>) -> Self {
        let mut load = Self {
            stop: Arc::default(),
            tasks: JoinSet::new(),
            unclear: Arc::default(),
            acknowledged: Arc::default(),
            refusals: Arc::default(),
        };
        for number in 0..callers {
            let caller = Caller {
                world: Arc::clone(world),
                book: Arc::clone(book),
                stop: Arc::clone(&load.stop),
                unclear: Arc::clone(&load.unclear),
                acknowledged: Arc::clone(&load.acknowledged),
                refusals: Arc::clone(&load.refusals),
            };
            load.tasks.spawn(caller.work(address, number));
        }
        load
    }

    /// Receipts so far.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::SeqCst)
    }

    /// They finish their calls.
    pub async fn end(mut self) -> Result<Left> {
        self.stop.store(true, Ordering::SeqCst);
        while let Some(done) = self.tasks.join_next().await {
            done.context("a caller")?;
        }
        let unclear = std::mem::take(&mut *self.unclear.lock().unwrap());
        let refusals = std::mem::take(&mut *self.refusals.lock().unwrap());
        Ok(Left { unclear, acknowledged: self.acknowledged(), refusals })
    }
}

struct Caller {
    world: Shared,
    book: Arc<Book>,
    stop: Arc<AtomicBool>,
    unclear: Arc<Mutex<Vec<Sent>>>,
    acknowledged: Arc<AtomicU64>,
    refusals: Arc<Mutex<BTreeMap<String, u64>>>,
}

impl Caller {
    async fn work(self, address: SocketAddr, number: usize) {
        let mut ledger = ledger_at(address);
        for turn in number.. {
            if self.stop.load(Ordering::SeqCst) {
                return;
            }
            let count = if turn % 4 == 3 { BATCH } else { 1 };
            let batch: Vec<Sent> = (0..count).map(|_| self.world.event()).collect();
            match append(&mut ledger, &batch, ANSWER).await {
                Ok(receipts) => {
                    for (sent, receipt) in batch.iter().zip(&receipts) {
                        self.book.keep(sent.id, receipt).unwrap();
                    }
                    self.acknowledged.fetch_add(count as u64, Ordering::SeqCst);
                }
                Err(Answer::Refused { reason, wait: Some(wait) }) => {
                    *self.refusals.lock().unwrap().entry(reason).or_default() += 1;
                    tokio::time::sleep(wait).await;
                }
                Err(Answer::Refused { reason, wait: None }) => {
                    *self.refusals.lock().unwrap().entry(reason).or_default() += 1;
                    return;
                }
                Err(_) => {
                    self.unclear.lock().unwrap().extend(batch);
                    return;
                }
            }
        }
    }
}

/// The service at an address; it connects when it is called.
pub fn ledger_at(address: SocketAddr) -> Ledger {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    LedgerServiceClient::new(endpoint.connect_lazy())
        .max_decoding_message_size(urbanmine::limits::MAX_REPLY_BYTES)
}

/// Appends one event, or several as a batch; their receipts.
pub async fn append(
    ledger: &mut Ledger,
    batch: &[Sent],
    answer: Duration,
) -> std::result::Result<Vec<String>, Answer> {
    let (receipts, failed) = match batch {
        [one] => {
            let envelope = one.envelope.clone();
            let message = v1::AppendEventRequest { envelope, validate_only: false };
            let mut request = tonic::Request::new(message);
            request.set_timeout(answer);
            match ledger.append_event(request).await {
                Ok(reply) => (reply.into_inner().appended.into_iter().collect(), None),
                Err(status) => (Vec::new(), Some(status)),
            }
        }
        _ => {
            let envelopes = batch.iter().map(|sent| sent.envelope.clone()).collect();
            let message = v1::BatchAppendEventsRequest { envelopes, validate_only: false };
            let mut request = tonic::Request::new(message);
            request.set_timeout(answer);
            match ledger.batch_append_events(request).await {
                Ok(reply) => (reply.into_inner().appended, None),
                Err(status) => (Vec::new(), Some(status)),
            }
        }
    };
    match failed {
        Some(status) => Err(answer_of(&status)),
        None => Ok(receipts.into_iter().map(|it: v1::AppendedEvent| it.receipt).collect()),
    }
}

/// What a refusal means for the caller. A status without our reason is of the transport, and tells
/// nothing.
pub fn answer_of(status: &Status) -> Answer {
    let details = status.get_error_details();
    let Some(info) = details.error_info() else {
        return Answer::Unclear(format!("{:?}: {}", status.code(), status.message()));
    };
    if info.metadata.get("had_no_effect").map(String::as_str) != Some("true") {
        return Answer::Unclear(info.reason.clone());
    }
    let wait = details.retry_info().and_then(|retry| retry.retry_delay);
    Answer::Refused { reason: info.reason.clone(), wait }
}

/// Every receipt of these is served again, byte for byte.
pub async fn check_served(address: SocketAddr, receipts: &[(EventId, String)]) -> Result<()> {
    let mut asked = JoinSet::new();
    let ledger = ledger_at(address);
    let part = receipts.len().div_ceil(ASKED_AT_ONCE).max(1);
    for part in receipts.chunks(part) {
        let (mut ledger, part) = (ledger.clone(), part.to_vec());
        asked.spawn(async move {
            for (id, kept) in part {
                let found = receipt_of(&mut ledger, id).await?;
                let Some(found) = found else { bail!("the acknowledged event {id} is lost") };
                ensure!(found == kept, "the receipt of {id} changed");
            }
            Ok(())
        });
    }
    while let Some(done) = asked.join_next().await {
        done??;
    }
    Ok(())
}

/// The receipt of an event; `None` when it is not recorded.
pub async fn receipt_of(ledger: &mut Ledger, id: EventId) -> Result<Option<String>> {
    let subject = v1::get_receipt_request::Subject::EventId(id.as_bytes().to_vec().into());
    let request = v1::GetReceiptRequest { subject: Some(subject) };
    match ledger.get_receipt(request).await {
        Ok(reply) => Ok(Some(reply.into_inner().receipt)),
        Err(status) if status.code() == Code::NotFound => Ok(None),
        Err(status) => bail!("the receipt of {id}: {status}"),
    }
}

/// Sends again what was left unclear; every one is recorded now, and written down.
pub async fn send_again(address: SocketAddr, unclear: &[Sent], book: &Book) -> Result<()> {
    let mut ledger = ledger_at(address);
    for sent in unclear {
        let told = append(&mut ledger, std::slice::from_ref(sent), ANSWER).await;
        let receipts = told.map_err(|it| anyhow::anyhow!("{} sent again: {it:?}", sent.id))?;
        let receipt = receipts.first().context("a receipt")?;
        book.keep(sent.id, receipt)?;
    }
    Ok(())
}

/// What is recorded is what was acknowledged, each once, without a gap.
pub fn check_whole(world: &World, book: &Book, entries: u64) -> Result<()> {
    let mut indexes = Vec::new();
    for (id, receipt) in book.read()? {
        indexes.push(check_receipt(&id, &receipt)?);
    }
    indexes.sort_unstable();
    let expected: Vec<u64> = (world.founding_count()..entries).collect();
    ensure!(
        indexes == expected,
        "{} receipts for entries {} to {entries}",
        indexes.len(),
        world.founding_count()
    );
    Ok(())
}

fn event_id(text: &str) -> Result<EventId> {
    let digit = |at: usize| u8::from_str_radix(text.get(at..at + 2).unwrap_or("x"), 16);
    let mut raw = [0; 16];
    for (number, byte) in raw.iter_mut().enumerate() {
        *byte = digit(number * 2)?;
    }
    Ok(EventId::from_bytes(raw))
}
