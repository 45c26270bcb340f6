//! (e) The disk is full while events come, and then has space again.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::Plan;
use crate::dice::Dice;
use crate::disk::{self, Disk, fill};
use crate::load::{Answer, Book, Load, append, check_served, ledger_at, send_again};
use crate::report::Seen;
use crate::world::{Place, Shared, text_of};

const CALLERS: usize = 6;
/// How long a full disk may go unnoticed: what is reserved is filled first.
const MAX_LIFE: Duration = Duration::from_secs(60);
const ANSWER: Duration = Duration::from_secs(10);

/// What runs out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Full {
    /// Everything but so much.
    Disk { leave_kib: u64 },
    /// There is no room for the journal's next segment.
    NextSegment,
}

#[derive(Debug, Default)]
struct Tally {
    receipts: usize,
    unclear: usize,
    ends: BTreeMap<&'static str, usize>,
    starts_while_full: usize,
    refused_while_full: usize,
}

pub async fn run(world: &Shared, plan: &Plan) -> Result<Seen> {
    if let Some(why) = disk::missing(&world.scratch) {
        return Ok(Seen::Skipped(why));
    }
    let folder = world.scratch.join("full");
    fs::create_dir_all(&folder)?;
    let mut dice = Dice::new(plan.seed);
    let (trials, mut tally) = (plan.trials(4, 24), Tally::default());
    for trial in 0..trials {
        let full = match trial % 4 {
            3 => Full::NextSegment,
            _ => Full::Disk { leave_kib: dice.below(2_048) },
        };
        one(world, &folder, full, &mut tally)
            .await
            .with_context(|| format!("seed {}, trial {trial}, {full:?}", plan.seed))?;
    }
    fs::remove_dir_all(&folder)?;
    let Tally { receipts, unclear, ends, starts_while_full, refused_while_full } = tally;
    let ends: Vec<String> = ends.iter().map(|(end, count)| format!("{count} {end}")).collect();
    Ok(Seen::done(
        trials,
        format!(
            "{receipts} receipts, none lost; {unclear} events unclear, each recorded once when \
             there was space again; the node {}; a start on the full disk {starts_while_full} \
             times, refused {refused_while_full} times",
            ends.join(", ")
        ),
    ))
}

async fn one(world: &Shared, folder: &Path, full: Full, tally: &mut Tally) -> Result<()> {
    let image = folder.join("disk.img");
    let _ = fs::remove_file(&image);
    let disk = Disk::make(&image, 512)?;
    let place = Place { root: disk.root().join("ledger") };
    let leave = match full {
        Full::Disk { leave_kib } => {
            fs::create_dir(&place.root)?;
            world.place_in(&place.root)?;
            leave_kib << 10
        }
        Full::NextSegment => {
            let filled = world.filled_place("filled-once").await?;
            filled.copy_to(&place.root)?;
            filled.remove()?;
            // For the database, not for a segment of 64 MiB.
            48 << 20
        }
    };
    let book = Book::new(folder.join("receipts.jsonl"))?;
    let mut server = world.start(&place)?;
    let first: Vec<_> = (0..5).map(|_| world.event()).collect();
    send_again(server.address, &first, &book).await?;
    let balloon = disk.root().join("balloon");
    fill(&disk, &balloon, leave)?;

    let load = Load::start(world, server.address, CALLERS, &book);
    let mut ledger = ledger_at(server.address);
    let mut more = Vec::new();
    let begun = std::time::Instant::now();
    // Long events fill what is left sooner. The first that is not recorded ends it.
    loop {
        let batch: Vec<_> = (0..200).map(|_| world.long_event()).collect();
        match append(&mut ledger, &batch, ANSWER).await {
            Ok(receipts) => {
                for (sent, receipt) in batch.iter().zip(&receipts) {
                    book.keep(sent.id, receipt)?;
                }
            }
            Err(Answer::Refused { wait: Some(wait), .. }) => tokio::time::sleep(wait).await,
            Err(_) => {
                more = batch;
                break;
            }
        }
        if begun.elapsed() > MAX_LIFE {
            break;
        }
    }
    ensure!(!more.is_empty(), "the disk was never full");
    let left = load.end().await?;
    let end = if server.is_alive() { "stayed up and refused" } else { "ended" };
    *tally.ends.entry(end).or_default() += 1;
    if server.is_alive() {
        // It goes on to serve what it told.
        let receipts = book.read()?;
        let read = check_served(server.address, &receipts).await;
        if let Err(fault) = read {
            // sled answers nothing any more once a write of its own failed. That is told as what it
            // is, and a restart with space mends it, which is looked at below.
            ensure!(is_unreadable(&fault), "while the disk is full: {fault:#}");
            *tally.ends.entry("could not read until a restart").or_default() += 1;
        }
        let late = append(&mut ledger, &[world.event()], ANSWER).await;
        ensure!(late.is_err(), "it records again without a restart");
    }
    server.kill()?;
    tally.unclear += left.unclear.len() + more.len();

    start_while_full(world, &place, &book, tally).await?;
    fs::remove_file(&balloon)?;
    let server = match world.start(&place) {
        Ok(server) => server,
        // On a disk as small as this a start does not make a database anew by itself; that it has
        // to, a full disk may leave behind. Whoever keeps the node says so.
        Err(fault) if format!("{fault:#}").contains("open the database") => {
            let output = world.rebuild(&place)?;
            ensure!(output.status.success(), "rebuild with space again: {}", text_of(&output));
            *tally.ends.entry("needed a rebuild").or_default() += 1;
            world.start(&place).context("after a rebuild")?
        }
        Err(fault) => return Err(fault.context("with space again")),
    };
    let receipts = book.read()?;
    check_served(server.address, &receipts).await?;
    send_again(server.address, &[left.unclear, more].concat(), &book).await?;
    server.stop()?;
    world.verify(&place)?;
    tally.receipts += receipts.len();
    disk.unmount()
}

/// A start needs space; without, it says so, or serves what is there. It makes nothing worse.
async fn start_while_full(
    world: &Shared,
    place: &Place,
    book: &Book,
    tally: &mut Tally,
) -> Result<()> {
    match world.try_start(place)? {
        Ok(server) => {
            tally.starts_while_full += 1;
            check_served(server.address, &book.read()?).await?;
            server.kill()
        }
        Err(refused) => {
            tally.refused_while_full += 1;
            ensure!(!refused.0.contains("panicked"), "a start panics: {}", refused.0);
            Ok(())
        }
    }
}

/// Whether a node said that it cannot read its own store.
fn is_unreadable(fault: &anyhow::Error) -> bool {
    format!("{fault:#}").contains("the service could not read its own store")
}
