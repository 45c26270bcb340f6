//! (f) The database deleted, cut, bit-flipped: the same ledger comes out of the journal, or the
//! node says where it is broken. The journal or the guard bit-flipped: refused with the place, and
//! nothing is signed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};
use urbanmine::domain::EventId;
use urbanmine::wire::v1;

use crate::dice::Dice;
use crate::load::{Book, Ledger, ledger_at, receipt_of, send_again};
use crate::report::Seen;
use crate::world::{Place, Server, Shared, text_of, used_bytes};
use crate::{Plan, progress};

const EVENTS: usize = 150;

/// What is done to a ledger that was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Damage {
    DatabaseDeleted,
    DatabaseFileDeleted,
    DatabaseCut,
    DatabaseFlipped,
    DatabaseBlanked,
    JournalFlipped,
    JournalCut,
    GuardFlipped,
    FormatFlipped,
}

impl Damage {
    const ALL: &[Self] = &[
        Self::DatabaseDeleted,
        Self::DatabaseFileDeleted,
        Self::DatabaseCut,
        Self::DatabaseFlipped,
        Self::DatabaseBlanked,
        Self::JournalFlipped,
        Self::JournalCut,
        Self::GuardFlipped,
        Self::FormatFlipped,
    ];

    fn is_of_database(self) -> bool {
        use Damage as D;
        match self {
            D::DatabaseDeleted
            | D::DatabaseFileDeleted
            | D::DatabaseCut
            | D::DatabaseFlipped
            | D::DatabaseBlanked => true,
            D::JournalFlipped | D::JournalCut | D::GuardFlipped | D::FormatFlipped => false,
        }
    }

    /// Does it; where.
    fn to(self, place: &Place, dice: &mut Dice) -> Result<String> {
        let database = files_in(&place.database())?;
        let (journal, guard) = (place.segment(0), place.guard().join("guard"));
        match self {
            Self::DatabaseDeleted => {
                fs::remove_dir_all(place.database())?;
                Ok("all of it".to_owned())
            }
            Self::DatabaseFileDeleted => {
                let file = &database[dice.place(database.len())];
                fs::remove_file(file)?;
                Ok(name_of(file))
            }
            Self::DatabaseCut => {
                let file = &database[dice.place(database.len())];
                cut(file, dice.below(fs::metadata(file)?.len().max(1)))
            }
            Self::DatabaseFlipped => flip(&database[dice.place(database.len())], 0, dice),
            Self::DatabaseBlanked => {
                let file = &database[dice.place(database.len())];
                let mut content = fs::read(file)?;
                let at = dice.place(content.len());
                let end = content.len().min(at + 4_096);
                content[at..end].fill(0);
                fs::write(file, content)?;
                Ok(format!("{} from byte {at}", name_of(file)))
            }
            Self::JournalFlipped => flip(&journal, 0, dice),
            Self::JournalCut => cut(&journal, dice.below(used_bytes(&journal)?)),
            Self::GuardFlipped => flip(&guard, 0, dice),
            Self::FormatFlipped => flip(&place.data().join("FORMAT"), 0, dice),
        }
    }
}

/// A sound ledger, and what it told.
struct Sound {
    place: Place,
    receipts: Vec<(EventId, String)>,
    checkpoint: String,
}

pub async fn run(world: &Shared, plan: &Plan) -> Result<Seen> {
    let sound = sound(world).await?;
    let mut dice = Dice::new(plan.seed);
    let trials = plan.trials(36, 450);
    let mut seen = BTreeMap::<(Damage, &'static str), usize>::new();
    for trial in 0..trials {
        progress("damages", trial, trials);
        let damage = Damage::ALL[trial % Damage::ALL.len()];
        let place = sound.place.copy_to(&world.scratch.join("damaged"))?;
        let at = damage.to(&place, &mut dice)?;
        let outcome = if damage.is_of_database() {
            database_trial(world, &sound, &place).await
        } else {
            record_trial(world, &sound, &place).await
        };
        let outcome = outcome.with_context(|| format!("seed {}, {damage:?} at {at}", plan.seed))?;
        *seen.entry((damage, outcome)).or_default() += 1;
        place.remove()?;
    }
    sound.place.remove()?;
    let seen: Vec<String> = seen
        .iter()
        .map(|((damage, outcome), count)| format!("{damage:?}: {count} {outcome}"))
        .collect();
    Ok(Seen::done(trials, seen.join("; ")))
}

async fn sound(world: &Shared) -> Result<Sound> {
    let place = world.place("sound")?;
    let book = Book::new(world.scratch.join("sound.jsonl"))?;
    let server = world.start(&place)?;
    let events: Vec<_> = (0..EVENTS).map(|_| world.event()).collect();
    send_again(server.address, &events, &book).await?;
    let checkpoint = checkpoint_of(&mut ledger_at(server.address)).await?;
    server.stop()?;
    Ok(Sound { place, receipts: book.read()?, checkpoint })
}

/// It opens and tells the same, or is refused in words; and a rebuild brings the same ledger back.
async fn database_trial(world: &Shared, sound: &Sound, place: &Place) -> Result<&'static str> {
    let outcome = match world.try_start(place)? {
        Ok(server) => {
            let unreadable = compare(&server, sound).await?;
            if unreadable == 0 {
                server.stop()?;
                world.verify(place)?;
                return Ok("came out the same at the start");
            }
            server.kill()?;
            "refused when read, the same after a rebuild"
        }
        Err(refused) => {
            let said = refused.0;
            let is_told = ["database", "sled"].iter().any(|word| said.contains(word));
            ensure!(is_told, "the refusal names no place: {said}");
            // sled panics over some damage; that is caught, and said.
            let is_caught = !said.contains("panicked") || said.contains("rebuild it");
            ensure!(is_caught, "a start panics: {said}");
            "refused at the start, the same after a rebuild"
        }
    };
    let output = world.rebuild(place)?;
    ensure!(output.status.success(), "rebuild: {}", text_of(&output));
    let server = world.start(place).context("after the rebuild")?;
    let unreadable = compare(&server, sound).await?;
    ensure!(unreadable == 0, "{unreadable} receipts cannot be read after a rebuild");
    server.stop()?;
    world.verify(place)?;
    Ok(outcome)
}

/// What it serves is what it told, or nothing: a wrong answer is never given. How many answers are
/// not given.
async fn compare(server: &Server, sound: &Sound) -> Result<usize> {
    let mut ledger = ledger_at(server.address);
    let mut unreadable = 0;
    match checkpoint_of(&mut ledger).await {
        Ok(checkpoint) => ensure!(checkpoint == sound.checkpoint, "another root: {checkpoint}"),
        Err(_) => unreadable += 1,
    }
    for (id, kept) in &sound.receipts {
        match receipt_of(&mut ledger, *id).await {
            Ok(Some(found)) => ensure!(found == *kept, "the receipt of {id} is another"),
            Ok(None) => bail!("the acknowledged event {id} is said not to be there"),
            Err(_) => unreadable += 1,
        }
    }
    Ok(unreadable)
}

/// The record itself is damaged: nothing is served, nothing is signed, nothing is touched.
async fn record_trial(world: &Shared, sound: &Sound, place: &Place) -> Result<&'static str> {
    let before = contents(place)?;
    match world.try_start(place)? {
        Ok(server) => {
            let unreadable = compare(&server, sound).await?;
            server.stop()?;
            ensure!(unreadable == 0, "it serves a damaged record");
            world.verify(place)?;
            Ok("harmless")
        }
        Err(refused) => {
            let said = refused.0;
            ensure!(!said.contains("panicked"), "a start panics: {said}");
            let words = ["journal segment", "guard", "FORMAT", "version", "ledger"];
            ensure!(words.iter().any(|word| said.contains(word)), "no place: {said}");
            ensure!(before == contents(place)?, "a refused start changed something");
            Ok("refused with the place, nothing signed or changed")
        }
    }
}

/// What a refused start may not touch.
fn contents(place: &Place) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let mut found = BTreeMap::new();
    for dir in [place.journal(), place.guard()] {
        for file in files_in(&dir)? {
            let content = fs::read(&file)?;
            found.insert(file, content);
        }
    }
    let format = place.data().join("FORMAT");
    let content = fs::read(&format)?;
    found.insert(format, content);
    Ok(found)
}

async fn checkpoint_of(ledger: &mut Ledger) -> Result<String> {
    let reply = ledger.get_checkpoint(v1::GetCheckpointRequest {}).await?;
    Ok(reply.into_inner().checkpoint)
}

/// Flips a bit among the bytes that are used.
fn flip(file: &Path, from: usize, dice: &mut Dice) -> Result<String> {
    let mut content = fs::read(file)?;
    let used = content.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    ensure!(used > from, "{} is blank", file.display());
    let (at, bit) = (from + dice.place(used - from), dice.below(8));
    content[at] ^= 1 << bit;
    fs::write(file, content)?;
    Ok(format!("{} byte {at} bit {bit}", name_of(file)))
}

fn cut(file: &Path, len: u64) -> Result<String> {
    fs::OpenOptions::new().write(true).open(file)?.set_len(len)?;
    Ok(format!("{} at byte {len}", name_of(file)))
}

/// The files of a directory and those in it that are not empty, in order.
fn files_in(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        for item in fs::read_dir(dir)? {
            let item = item?;
            let data = item.metadata()?;
            if data.is_dir() {
                open.push(item.path());
            } else if data.len() > 0 && item.file_name() != "LOCK" {
                found.push(item.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

fn name_of(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
