//! (a) Every acknowledgement follows a sync that covers it, as the kernel sees it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::Plan;
use crate::load::{Book, Load, send_again};
use crate::promise::{Doctored, Shown, TRACED, Watched, check, concerning, watched};
use crate::report::Seen;
use crate::strace::{self, Call, Tracer};
use crate::world::{Place, Shared};

const CALLERS: usize = 8;
/// How long the load may take; under strace a node is slow.
const MAX_LOAD: Duration = Duration::from_secs(600);

pub async fn run(world: &Shared, plan: &Plan) -> Result<Seen> {
    if !strace::is_there() {
        return Ok(Seen::Skipped("strace is not there, or may not trace".to_owned()));
    }
    let wanted = plan.trials(300, 3_000) as u64;
    let place = world.filled_place("traced").await?;
    let (calls, watched, receipts) = trace(world, &place, wanted).await?;
    let shown = check(&calls, &watched)?;
    ensure!(
        shown.broken.is_empty(),
        "{} acknowledgements came too early: {}",
        shown.broken.len(),
        shown.broken[0]
    );
    compare(&shown, &receipts)?;
    ensure!(place.segments()?.len() > 1, "there was no rotation");
    let refused = refuse_doctored(&calls, &watched)?;
    world.verify(&place)?;
    place.remove()?;
    Ok(Seen::done(
        shown.acknowledged.len(),
        format!(
            "each of {} acknowledgements left after a sync of the journal ({} of them, a rotation \
             among them) and of the guard that cover it; doctored traces refused: {refused}",
            shown.acknowledged.len(),
            shown.journal_syncs,
        ),
    ))
}

/// Load under strace, from the first byte of every connection.
async fn trace(
    world: &Shared,
    place: &Place,
    wanted: u64,
) -> Result<(Vec<Call>, Watched, BTreeSet<String>)> {
    let book = Book::new(place.root.join("receipts.jsonl"))?;
    let entries_before = world.verify(place)?;
    let server = world.start(place)?;
    let watched = watched(&place.data(), &place.guard(), entries_before)?;
    let log = place.root.join("trace");
    let tracer = Tracer::attach(server.pid(), &log, &options())?;
    let load = Load::start(world, server.address, CALLERS, &book);
    let begun = Instant::now();
    while load.acknowledged() < wanted || place.segments()?.len() < 2 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        ensure!(begun.elapsed() < MAX_LOAD, "after {} receipts: too slow", load.acknowledged());
    }
    let left = load.end().await?;
    ensure!(left.refusals.is_empty(), "refused: {:?}", left.refusals);
    let calls = concerning(tracer.detach()?, &watched);
    let receipts = book.read()?.into_iter().map(|(_, receipt)| receipt).collect();
    send_again(server.address, &left.unclear, &book).await?;
    server.stop()?;
    Ok((calls, watched, receipts))
}

/// Everything, with whole strings in hexadecimal and the names of files and connections.
fn options() -> Vec<String> {
    ["-xx", "-yy", "-s", "33554432", "-e", TRACED].map(str::to_owned).to_vec()
}

/// The trace shows every acknowledgement that a caller got, so it hides none.
fn compare(shown: &Shown, receipts: &BTreeSet<String>) -> Result<()> {
    let seen: BTreeSet<&String> = shown.acknowledged.iter().map(|ack| &ack.receipt).collect();
    let missing = receipts.iter().filter(|receipt| !seen.contains(receipt)).count();
    ensure!(missing == 0, "{missing} of {} acknowledgements are not in the trace", receipts.len());
    ensure!(!receipts.is_empty(), "there was no load");
    Ok(())
}

/// A checker that cannot fail checks nothing.
fn refuse_doctored(calls: &[Call], watched: &Watched) -> Result<usize> {
    let mut refused = 0;
    for doctored in Doctored::ALL {
        let (mut is_refused, mut places) = (false, 0);
        for back in 0..doctored.tries() {
            let Some(calls) = doctored.of(calls, watched, back) else { break };
            places += 1;
            let shown = check(&calls, watched).with_context(|| format!("{doctored:?}"))?;
            is_refused |= !shown.broken.is_empty();
            if is_refused {
                break;
            }
        }
        if places == 0 {
            ensure!(*doctored == Doctored::GuardUnnamed, "{doctored:?} finds nothing to change");
            continue;
        }
        ensure!(is_refused, "a doctored trace passes: {doctored:?}");
        refused += 1;
    }
    Ok(refused)
}
