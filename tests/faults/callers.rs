//! (i) Callers that hang up, stall, and send one byte at a time, all at once, beside callers that
//! behave. Each kind alone is the business of `tests/grpc_hostile.rs` and `tests/grpc_hoarders.rs`;
//! here the process is looked at while all of them are there.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::Plan;
use crate::dice::Dice;
use crate::load::{Book, Load, append, check_served, check_whole, ledger_at, send_again};
use crate::report::Seen;
use crate::world::{Sent, Server, Shared};

const SOUND: usize = 4;
const STALLED: usize = 40;
const SLOW: usize = 40;
const HANGING_UP: usize = 8;
/// Memory that all of them together may cost.
const MAX_GROWTH_BYTES: u64 = 128 << 20;
/// What callers that behave get done beside the others, in parts of what they do alone. The others
/// work on the same processors.
const LEFT: f64 = 0.2;
/// The head of a connection, and of a call that never ends.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

pub async fn run(world: &Shared, plan: &Plan) -> Result<Seen> {
    let span = Duration::from_secs(if plan.is_long() { 20 } else { 4 });
    let place = world.place("crowded")?;
    let book = Book::new(place.root.join("receipts.jsonl"))?;
    let server = world.start(&place)?;
    let alone = sound(world, &server, &book, span).await?;
    let before = server.resident_bytes()?;

    let crowd = Crowd::gather(world, server.address, plan.seed);
    let crowded = sound(world, &server, &book, span).await?;
    let growth = server.resident_bytes()?.saturating_sub(before);
    let (hung_up, unclear) = crowd.leave().await;
    ensure!(crowded >= LEFT * alone, "{crowded:.0} events/s instead of {alone:.0}");
    ensure!(growth < MAX_GROWTH_BYTES, "memory grew by {} MiB", growth >> 20);
    // Whoever hung up left a whole event or none: sent again it is recorded once.
    send_again(server.address, &unclear, &book).await?;
    check_served(server.address, &book.read()?).await?;
    server.stop()?;
    let entries = world.verify(&place)?;
    check_whole(world, &book, entries)?;
    place.remove()?;
    Ok(Seen::done(
        1,
        format!(
            "{STALLED} stalled, {SLOW} a byte at a time, {hung_up} hang-ups in the middle of an \
             append, beside {SOUND} sound callers: {crowded:.0} events/s (alone {alone:.0}), \
             memory +{} MiB, every event once",
            growth >> 20
        ),
    ))
}

/// What callers that behave get done in a second.
async fn sound(world: &Shared, server: &Server, book: &Arc<Book>, span: Duration) -> Result<f64> {
    let begun = Instant::now();
    let load = Load::start(world, server.address, SOUND, book);
    tokio::time::sleep(span).await;
    let left = load.end().await?;
    ensure!(left.unclear.is_empty(), "{} calls were cut off", left.unclear.len());
    ensure!(left.refusals.is_empty(), "refused: {:?}", left.refusals);
    Ok(left.acknowledged as f64 / begun.elapsed().as_secs_f64())
}

struct Crowd {
    stop: Arc<AtomicBool>,
    tasks: JoinSet<Vec<Sent>>,
    hung_up: Arc<AtomicU64>,
}

impl Crowd {
    fn gather(world: &Shared, address: SocketAddr, seed: u64) -> Self {
        let mut crowd =
            Self { stop: Arc::default(), tasks: JoinSet::new(), hung_up: Arc::default() };
        for _ in 0..STALLED {
            let stop = Arc::clone(&crowd.stop);
            crowd.tasks.spawn(stall(address, stop));
        }
        for _ in 0..SLOW {
            let stop = Arc::clone(&crowd.stop);
            crowd.tasks.spawn(one_byte_at_a_time(address, stop));
        }
        for number in 0..HANGING_UP {
            let (stop, hung_up) = (Arc::clone(&crowd.stop), Arc::clone(&crowd.hung_up));
            let (world, dice) = (Arc::clone(world), Dice::new(seed + number as u64));
            crowd.tasks.spawn(hang_up(world, address, dice, stop, hung_up));
        }
        crowd
    }

    /// How often somebody hung up, and on what.
    async fn leave(self) -> (u64, Vec<Sent>) {
        self.stop.store(true, Ordering::SeqCst);
        let unclear = self.tasks.join_all().await.concat();
        (self.hung_up.load(Ordering::SeqCst), unclear)
    }
}

/// Begins a connection, and says nothing more until it is cut off; then it comes again.
async fn stall(address: SocketAddr, stop: Arc<AtomicBool>) -> Vec<Sent> {
    while !stop.load(Ordering::SeqCst) {
        let Ok(mut stream) = TcpStream::connect(address).await else { continue };
        let _ = stream.write_all(PREFACE).await;
        let begun = Instant::now();
        while !stop.load(Ordering::SeqCst) && begun.elapsed() < Duration::from_secs(5) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    Vec::new()
}

async fn one_byte_at_a_time(address: SocketAddr, stop: Arc<AtomicBool>) -> Vec<Sent> {
    while !stop.load(Ordering::SeqCst) {
        let Ok(mut stream) = TcpStream::connect(address).await else { continue };
        let text = b"POST /v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n\r\n{";
        for byte in text.iter().cycle() {
            if stop.load(Ordering::SeqCst) || stream.write_all(&[*byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    Vec::new()
}

/// Appends, and is gone before the answer.
async fn hang_up(
    world: Shared,
    address: SocketAddr,
    mut dice: Dice,
    stop: Arc<AtomicBool>,
    hung_up: Arc<AtomicU64>,
) -> Vec<Sent> {
    let mut unclear = Vec::new();
    while !stop.load(Ordering::SeqCst) {
        // A connection of its own, which ends with the call.
        let mut ledger = ledger_at(address);
        let sent = [world.event()];
        let wait = Duration::from_micros(dice.below(8_000));
        let call = append(&mut ledger, &sent, Duration::from_secs(5));
        if tokio::time::timeout(wait, call).await.is_err() {
            hung_up.fetch_add(1, Ordering::SeqCst);
        }
        unclear.extend(sent);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    unclear
}
