//! (g) Two instances on one directory, copies beside one guard, and old copies that come back.

use std::fs;

use anyhow::{Result, bail, ensure};

use crate::Plan;
use crate::load::{Book, check_served, send_again};
use crate::report::Seen;
use crate::world::{Place, Server, Shared, copy_tree, text_of};

/// Starts at one time on one directory.
const STARTS: usize = 6;

pub async fn run(world: &Shared, plan: &Plan) -> Result<Seen> {
    let rounds = plan.trials(3, 20);
    let mut trials = 0;
    for _ in 0..rounds {
        let place = world.place("copied")?;
        trials += one(world, &place).await?;
        trials += race(world, &place)?;
        place.remove()?;
    }
    Ok(Seen::done(
        trials,
        "a second instance, a second copy beside the same guard, a rebuild beside a running node, \
         an old copy of the data or of the guard, and data without its guard: all refused with \
         the place; of several starts at one time one serves"
            .to_owned(),
    ))
}

async fn one(world: &Shared, place: &Place) -> Result<usize> {
    let book = Book::new(place.root.join("receipts.jsonl"))?;
    let server = world.start(place)?;
    let events: Vec<_> = (0..20).map(|_| world.event()).collect();
    send_again(server.address, &events[..10], &book).await?;

    // While it runs.
    refused(world, place, "in use")?;
    let copy = Place { root: place.root.join("copy") };
    fs::create_dir(&copy.root)?;
    for name in ["data", "ledger.pem"] {
        copy_tree(&place.root.join(name), &copy.root.join(name))?;
    }
    std::os::unix::fs::symlink(place.guard(), copy.guard())?;
    refused(world, &copy, "in use")?;
    let output = world.rebuild(place)?;
    ensure!(!output.status.success(), "a rebuild beside a node: {}", text_of(&output));
    ensure!(text_of(&output).contains("in use"), "{}", text_of(&output));
    server.stop()?;
    let old_guard = fs::read(place.guard().join("guard"))?;
    let old = place.root.join("old");
    fs::create_dir(&old)?;
    copy_tree(&place.data(), &old.join("data"))?;

    let server = world.start(place)?;
    send_again(server.address, &events[10..], &book).await?;
    server.stop()?;

    // The old data come back beside the guard of today.
    fs::remove_file(copy.guard())?;
    fs::remove_dir_all(copy.data())?;
    copy_tree(&old.join("data"), &copy.data())?;
    copy_tree(&place.guard(), &copy.guard())?;
    refused(world, &copy, "guard")?;
    // Without a guard at all.
    fs::remove_dir_all(copy.guard())?;
    refused(world, &copy, "guard")?;
    // The guard of before beside the data of today is what a crash leaves: it is brought up, and
    // nothing is lost.
    let today = fs::read(place.guard().join("guard"))?;
    fs::write(place.guard().join("guard"), old_guard)?;
    let server = world.start(place)?;
    check_served(server.address, &book.read()?).await?;
    server.stop()?;
    ensure!(fs::read(place.guard().join("guard"))? == today, "the guard was not brought up");
    world.verify(place)?;
    Ok(6)
}

/// Several starts at one time: one serves, the others are told.
fn race(world: &Shared, place: &Place) -> Result<usize> {
    let starts: Vec<_> = (0..STARTS)
        .map(|_| {
            let command = world.serving(place);
            std::thread::spawn(move || Server::start(command))
        })
        .collect();
    let mut serving = Vec::new();
    for start in starts {
        let Ok(started) = start.join() else { bail!("a start ended early") };
        match started? {
            Ok(server) => serving.push(server),
            Err(refused) => ensure!(refused.0.contains("in use"), "{}", refused.0),
        }
    }
    ensure!(serving.len() == 1, "{} nodes serve one directory", serving.len());
    for server in serving {
        server.stop()?;
    }
    Ok(1)
}

fn refused(world: &Shared, place: &Place, told: &str) -> Result<()> {
    match world.try_start(place)? {
        Ok(_) => bail!("it starts; it should be refused: {told}"),
        Err(refused) => {
            ensure!(refused.0.contains(told), "refused without {told:?}: {}", refused.0);
            Ok(())
        }
    }
}
