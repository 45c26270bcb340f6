//! (d) A power cut: the node is stopped at a random moment under load, the disk is copied as it
//! is, and the copy is mounted and opened. Nothing acknowledged may be lost.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use urbanmine::domain::EventId;

use crate::dice::Dice;
use crate::disk::{self, Disk};
use crate::load::{Book, Load, check_served, send_again};
use crate::report::Seen;
use crate::strace;
use crate::world::{Place, Server, Shared, copy_tree, own_settings, text_of};
use crate::{Plan, progress};

/// A start makes a broken database anew only where there is room.
const IMAGE_MIB: u64 = 640;
const CALLERS: usize = 6;
/// Latest moment of the cut after the first acknowledgement.
const MAX_LIFE_MS: u64 = 400;
/// How long an answer that had left may still be on its way to its caller.
const ON_THE_WAY: Duration = Duration::from_millis(30);
/// Trials in which syncs do nothing: the campaign has to notice.
const FAKED: usize = 2;

/// Whether syncs are what they say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Syncs {
    Real,
    /// They return at once and do nothing.
    Faked,
}

pub async fn run(world: &Shared, plan: &Plan) -> Result<Seen> {
    if let Some(why) = disk::missing(&world.scratch) {
        return Ok(Seen::Skipped(why));
    }
    let folder = world.scratch.join("power");
    fs::create_dir_all(&folder)?;
    let base = folder.join("base.img");
    let disk = Disk::make(&base, IMAGE_MIB)?;
    world.place_in(disk.root())?;
    disk.unmount()?;

    let mut dice = Dice::new(plan.seed);
    let (trials, mut receipts, mut ends) = (plan.trials(8, 100), 0, Ends::new());
    for trial in 0..trials {
        progress("cuts", trial, trials);
        receipts += cut(world, &folder, &mut dice, Syncs::Real, &mut ends)
            .await
            .with_context(|| format!("seed {}, cut {trial}", plan.seed))?;
    }
    let noticed = notice_faked(world, &folder, &mut dice).await?;
    fs::remove_dir_all(&folder)?;
    Ok(Seen::done(
        trials,
        format!("{receipts} receipts, none lost; databases: {ends:?}; {noticed}"),
    ))
}

/// With syncs that do nothing receipts have to be lost, or the campaign shows nothing.
async fn notice_faked(world: &Shared, folder: &Path, dice: &mut Dice) -> Result<String> {
    if !strace::is_there() {
        return Ok("not tried with syncs that do nothing (no strace)".to_owned());
    }
    for _ in 0..FAKED {
        match cut(world, folder, dice, Syncs::Faked, &mut Ends::new()).await {
            Ok(_) => {}
            Err(fault) => {
                let told = format!("{fault:#}");
                let told: String = told.chars().take(120).collect();
                return Ok(format!("with syncs that do nothing it is noticed ({told})"));
            }
        }
    }
    bail!("syncs that do nothing are not noticed: the campaign shows nothing")
}

type Ends = BTreeMap<&'static str, usize>;

/// Opens what the cut left. Where the database did not come through, the journal makes it again.
async fn open_after(
    world: &Shared,
    place: &Place,
    receipts: &[(EventId, String)],
) -> Result<(Server, &'static str)> {
    let end = match world.try_start(place)? {
        Ok(server) if check_served(server.address, receipts).await.is_ok() => {
            let was_made_anew = place.data().join("sled.lost-1").exists();
            let end = if was_made_anew { "opened, made anew by the start" } else { "opened" };
            return Ok((server, end));
        }
        Ok(server) => {
            server.kill()?;
            "opened, unreadable until a rebuild"
        }
        Err(refused) => {
            eprintln!("{}", refused.0);
            "refused until a rebuild"
        }
    };
    let output = world.rebuild(place)?;
    ensure!(output.status.success(), "rebuild after the cut: {}", text_of(&output));
    Ok((world.start(place).context("after the cut and a rebuild")?, end))
}

async fn cut(
    world: &Shared,
    folder: &Path,
    dice: &mut Dice,
    syncs: Syncs,
    ends: &mut Ends,
) -> Result<usize> {
    let (image, cut_image) = (folder.join("live.img"), folder.join("cut.img"));
    for old in [&image, &cut_image] {
        let _ = fs::remove_file(old);
    }
    copy_tree(&folder.join("base.img"), &image)?;
    let disk = Disk::mount(&image)?;
    let place = Place { root: disk.root().to_owned() };
    let book = Book::new(folder.join("receipts.jsonl"))?;
    let server = start(world, &place, syncs)?;
    let load = Load::start(world, server.address, CALLERS, &book);
    while load.acknowledged() == 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    tokio::time::sleep(Duration::from_millis(dice.below(MAX_LIFE_MS))).await;
    server.stop_all()?;
    // What had left has arrived; nothing leaves any more.
    tokio::time::sleep(ON_THE_WAY).await;
    let receipts = book.read()?;
    disk.cut(&cut_image)?;
    server.kill()?;
    let left = load.end().await?;
    disk.unmount()?;

    let disk = Disk::mount(&cut_image).context("the disk after the cut")?;
    let place = Place { root: disk.root().to_owned() };
    let (server, end) = open_after(world, &place, &receipts).await?;
    *ends.entry(end).or_default() += 1;
    check_served(server.address, &receipts).await?;
    send_again(server.address, &left.unclear, &book).await?;
    server.stop()?;
    world.verify(&place)?;
    disk.unmount()?;
    ensure!(!receipts.is_empty(), "there was no load");
    Ok(receipts.len())
}

fn start(world: &Shared, place: &Place, syncs: Syncs) -> Result<Server> {
    if syncs == Syncs::Real {
        return world.start(place);
    }
    let inner = world.serving(place);
    let mut command = std::process::Command::new("strace");
    own_settings(&mut command);
    let fake = ["fsync", "fdatasync", "sync_file_range"];
    let (fake, log) = (fake.join(","), place.root.with_extension("log"));
    command.args(["-f", "-o"]).arg(log).args(["-e", &format!("trace={fake}")]);
    command.args(["-e", &format!("inject={fake}:retval=0")]);
    command.arg(inner.get_program()).args(inner.get_args());
    match Server::start(command)? {
        Ok(server) => Ok(server),
        Err(refused) => bail!("the node does not start: {refused:?}"),
    }
}
