//! (c) kill -9 at random moments under load, with a record of receipts outside: every receipt is
//! served again, byte for byte.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use urbanmine::domain::EventId;

use crate::dice::Dice;
use crate::load::{Book, Left, Load, check_served, check_whole, send_again};
use crate::report::Seen;
use crate::world::{Place, Server, Shared};
use crate::{Plan, progress};

/// Kills of one ledger; then a new one begins, so that starts stay fast.
const KILLS_PER_LEDGER: usize = 50;
/// Callers of one node.
const CALLERS: usize = 8;
/// Latest kill after a node answers.
const MAX_LIFE_MS: u64 = 300;
/// One kill of so many comes while the node starts.
const KILLED_IN_START: u64 = 8;
/// Older receipts that are asked for after each restart; at the end all are.
const SAMPLE: usize = 200;

#[derive(Debug, Default)]
struct Tally {
    kills: usize,
    in_start: usize,
    receipts: usize,
    unclear: usize,
    slowest_start: Duration,
}

pub async fn run(world: &Shared, plan: &Plan) -> Result<Seen> {
    let trials = plan.trials(40, 500);
    let mut dice = Dice::new(plan.seed);
    let mut tally = Tally::default();
    while tally.kills < trials {
        progress("kills", tally.kills, trials);
        let kills = KILLS_PER_LEDGER.min(trials - tally.kills);
        let place = world.place("killed")?;
        let done = tally.kills;
        one_ledger(world, &place, kills, &mut dice, &mut tally)
            .await
            .with_context(|| format!("seed {}, after {done} kills", plan.seed))?;
        place.remove()?;
    }
    let Tally { kills, in_start, receipts, unclear, slowest_start } = tally;
    Ok(Seen::done(
        kills,
        format!(
            "{receipts} receipts, all served again byte for byte; {in_start} kills during a start; \
             {unclear} events left unclear by a kill, each recorded once when sent again; slowest \
             start {} ms",
            slowest_start.as_millis()
        ),
    ))
}

async fn one_ledger(
    world: &Shared,
    place: &Place,
    kills: usize,
    dice: &mut Dice,
    tally: &mut Tally,
) -> Result<()> {
    let book = Book::new(place.root.join("receipts.jsonl"))?;
    let mut checked = 0;
    for kill in 0..kills {
        if dice.below(KILLED_IN_START) == 0 {
            kill_in_start(world, place, dice)?;
            tally.in_start += 1;
            tally.kills += 1;
            continue;
        }
        let server = timed_start(world, place, tally)?;
        let address = server.address;
        let load = Load::start(world, address, CALLERS, &book);
        // What the life before acknowledged is asked for while this one works.
        let receipts = book.read()?;
        let young = receipts.get(checked..).unwrap_or_default();
        check_served(address, &[young, &sample(&receipts, dice)].concat())
            .await
            .with_context(|| format!("kill {kill}"))?;
        checked = receipts.len();
        tokio::time::sleep(Duration::from_millis(dice.below(MAX_LIFE_MS))).await;
        server.kill()?;
        let Left { unclear, .. } = load.end().await?;
        tally.kills += 1;
        tally.unclear += unclear.len();

        // A calmer life in between: what was left open is closed.
        let server = timed_start(world, place, tally)?;
        send_again(server.address, &unclear, &book).await?;
        server.kill()?;
    }
    let server = timed_start(world, place, tally)?;
    let receipts = book.read()?;
    check_served(server.address, &receipts).await?;
    server.stop()?;
    let entries = world.verify(place)?;
    check_whole(world, &book, entries)?;
    ensure!(receipts.len() > kills, "there was no load");
    tally.receipts += receipts.len();
    Ok(())
}

fn timed_start(world: &Shared, place: &Place, tally: &mut Tally) -> Result<Server> {
    let begun = Instant::now();
    let server = world.start(place)?;
    tally.slowest_start = tally.slowest_start.max(begun.elapsed());
    Ok(server)
}

fn kill_in_start(world: &Shared, place: &Place, dice: &mut Dice) -> Result<()> {
    let mut child = world.serving(place).stdout(std::process::Stdio::null()).spawn()?;
    std::thread::sleep(Duration::from_millis(dice.below(60)));
    child.kill()?;
    child.wait()?;
    Ok(())
}

fn sample(receipts: &[(EventId, String)], dice: &mut Dice) -> Vec<(EventId, String)> {
    if receipts.is_empty() {
        return Vec::new();
    }
    (0..SAMPLE).map(|_| receipts[dice.place(receipts.len())].clone()).collect()
}
