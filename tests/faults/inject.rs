//! (b) EIO, ENOSPC and KILL at each system call by which an append, a rotation or a backup writes.
//!
//! Which calls there are is found by a trace without faults, so this does not know how the writer
//! works: a point is a file, a call, and how often the call was made on the file before.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::load::{Answer, Book, append, check_served, ledger_at, send_again};
use crate::node_kit::{ledger_key, origin};
use crate::report::Seen;
use crate::strace::{self, Call, Tracer, calls};
use crate::world::{Place, Sent, Server, Shared, hex, own_settings, text_of};
use crate::{Plan, progress};

/// Calls that change what is on disk. An `openat` counts when it may write.
const CHANGES: &str = "openat,write,pwrite64,writev,pwritev,pwritev2,fsync,fdatasync,\
                       sync_file_range,rename,renameat,renameat2,ftruncate,fallocate,unlink,\
                       unlinkat,mkdir,mkdirat,linkat";
const SYNCS: [&str; 2] = ["fsync", "fdatasync"];
const FAULTS: [Fault; 3] = [Fault::Error("EIO"), Fault::Error("ENOSPC"), Fault::Kill];
/// How long an append may take before it counts as unclear.
const ANSWER: Duration = Duration::from_secs(10);
/// The writer syncs its database when nothing came for half a second.
const IDLE: Duration = Duration::from_millis(900);
/// Of one call on one file, how many places are tried where not all are.
const PLACES: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Error(&'static str),
    Kill,
}

/// Where a fault comes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Point {
    /// From the place's root.
    file: PathBuf,
    call: String,
    /// The first is 1.
    occurrence: usize,
}

/// What is done while the fault waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Append,
    Rotation,
}

#[derive(Debug, Default)]
struct Tally {
    trials: usize,
    points: BTreeSet<String>,
    answers: BTreeMap<&'static str, usize>,
    not_reached: usize,
}

pub async fn run(world: &Shared, plan: &Plan) -> Result<Seen> {
    if !strace::is_there() {
        return Ok(Seen::Skipped("strace is not there, or may not trace".to_owned()));
    }
    let mut told = Vec::new();
    let mut trials = 0;
    for deed in [Deed::Append, Deed::Rotation] {
        let tally = deed_under_faults(world, plan, deed).await?;
        told.push(tally.told(&format!("{deed:?}").to_lowercase()));
        trials += tally.trials;
    }
    let tally = backup_under_faults(world, plan).await?;
    told.push(tally.told("backup"));
    trials += tally.trials;
    Ok(Seen::done(trials, told.join("; ")))
}

async fn deed_under_faults(world: &Shared, plan: &Plan, deed: Deed) -> Result<Tally> {
    let mut tally = Tally::default();
    let found = points_of(world, deed).await?;
    ensure!(!found.is_empty(), "{deed:?} writes nothing");
    let chosen = if plan.is_long() { found } else { thinned(found, 1) };
    for (number, point) in chosen.iter().enumerate() {
        progress(&format!("{deed:?}, calls"), number, chosen.len());
        tally.points.insert(format!("{} {}", point.call, point.file.display()));
        for fault in faults_at(point, number, plan) {
            trial(world, deed, point, fault, &mut tally)
                .await
                .with_context(|| format!("{deed:?}, {fault:?} at {point:?}"))?;
            tally.trials += 1;
        }
    }
    Ok(tally)
}

impl Deed {
    async fn place(self, world: &Shared) -> Result<Place> {
        match self {
            Self::Append => world.place("injected"),
            Self::Rotation => world.filled_place("injected").await,
        }
    }

    /// What is appended, call by call.
    fn batches(self, world: &Shared) -> Vec<Vec<Sent>> {
        match self {
            Self::Append => vec![vec![world.event()]],
            // More than is left of the segment, less than two segments.
            Self::Rotation => {
                let batch = || (0..256).map(|_| world.long_event()).collect();
                vec![batch(), batch()]
            }
        }
    }

    /// Which files the faults are for.
    fn is_for(self, file: &Path) -> bool {
        match self {
            Self::Append => true,
            Self::Rotation => file.starts_with("data/journal"),
        }
    }
}

async fn points_of(world: &Shared, deed: Deed) -> Result<Vec<Point>> {
    let place = deed.place(world).await?;
    let server = world.start(&place)?;
    let book = Book::new(place.root.join("receipts.jsonl"))?;
    warm_up(world, &server, &book).await?;
    let options = ["-xx", "-y", "-s", "4096", "-e", &format!("trace={CHANGES}")];
    let options = options.map(str::to_owned);
    let tracer = Tracer::attach(server.pid(), &place.root.join("trace"), &options)?;
    let mut ledger = ledger_at(server.address);
    for batch in deed.batches(world) {
        let told = append(&mut ledger, &batch, ANSWER).await;
        told.map_err(|it| anyhow::anyhow!("the append without a fault: {it:?}"))?;
    }
    tokio::time::sleep(IDLE).await;
    let calls = tracer.detach()?;
    server.stop()?;
    let mut points = points_in(&calls, &place.root)?;
    points.retain(|point| deed.is_for(&point.file));
    place.remove()?;
    Ok(points)
}

/// The places of a trace at which a file of ours is changed.
fn points_in(calls: &[Call], root: &Path) -> Result<Vec<Point>> {
    let root = root.canonicalize()?;
    let mut counts = BTreeMap::<(u32, String, String), usize>::new();
    let mut points = BTreeSet::new();
    for call in calls {
        let Some(file) = file_of(call)? else { continue };
        let Ok(inner) = Path::new(&file).strip_prefix(&root) else { continue };
        let count = counts.entry((call.thread, call.name.clone(), file.clone())).or_default();
        *count += 1;
        let is_open = call.name == "openat";
        let may_write = ["O_CREAT", "O_WRONLY", "O_RDWR"].iter().any(|it| call.args.contains(it));
        if is_open && !may_write {
            continue;
        }
        let (file, call, occurrence) = (inner.to_owned(), call.name.clone(), *count);
        points.insert(Point { file, call, occurrence });
    }
    Ok(points.into_iter().collect())
}

/// The file that a call changes: by name where it is a call on names.
fn file_of(call: &Call) -> Result<Option<String>> {
    let is_on_names = ["openat", "rename", "unlink", "mkdir", "linkat"];
    if is_on_names.iter().any(|name| call.name.starts_with(name)) {
        return Ok(call.strings()?.first().map(|name| strace::text(name)));
    }
    Ok(call.file())
}

/// All faults where a promise hangs on the call; elsewhere, in the short form, they take turns.
fn faults_at(point: &Point, number: usize, plan: &Plan) -> Vec<Fault> {
    if plan.is_long() || is_promise(point) {
        return FAULTS.to_vec();
    }
    vec![FAULTS[number % FAULTS.len()]]
}

/// Of many places of the same call on the same file the first, some between, and, where there are
/// several, the last.
fn thinned(points: Vec<Point>, places: usize) -> Vec<Point> {
    let mut groups = BTreeMap::<(PathBuf, String), Vec<Point>>::new();
    for point in points {
        groups.entry((point.file.clone(), point.call.clone())).or_default().push(point);
    }
    let thin = |group: Vec<Point>| {
        let step = group.len().div_ceil(places).max(1);
        let last = group.last().cloned().filter(|_| places > 1);
        let mut kept: Vec<Point> = group.into_iter().step_by(step).collect();
        kept.extend(last);
        kept.dedup();
        kept
    };
    groups.into_values().flat_map(thin).collect()
}

async fn warm_up(world: &Shared, server: &Server, book: &Book) -> Result<()> {
    let first: Vec<Sent> = (0..3).map(|_| world.event()).collect();
    send_again(server.address, &first, book).await?;
    // Its idle sync is over when the tracer comes.
    tokio::time::sleep(IDLE).await;
    Ok(())
}

async fn trial(
    world: &Shared,
    deed: Deed,
    point: &Point,
    fault: Fault,
    tally: &mut Tally,
) -> Result<()> {
    let place = deed.place(world).await?;
    let book = Book::new(place.root.join("receipts.jsonl"))?;
    let mut server = world.start(&place)?;
    warm_up(world, &server, &book).await?;
    let options = options(point, fault, &place.root)?;
    let tracer = Tracer::attach(server.pid(), &place.root.join("trace"), &options)?;
    let mut ledger = ledger_at(server.address);
    let (mut sent, mut answers) = (Vec::new(), Vec::new());
    for batch in deed.batches(world) {
        let answer = append(&mut ledger, &batch, ANSWER).await;
        answers.push(keep(&book, &batch, answer)?);
        sent.extend(batch);
    }
    if answers.iter().all(|answer| matches!(answer, Answer::Receipt(_))) {
        tokio::time::sleep(IDLE).await;
    }
    // Whoever comes after the fault.
    let late = [world.event()];
    let answer = append(&mut ledger, &late, ANSWER).await;
    let late_answer = keep(&book, &late, answer)?;
    let is_hit = tracer.has_seen("(INJECTED)") || !server.is_alive();
    drop(tracer);
    server.kill()?;
    sent.extend(late);

    if !is_hit {
        tally.not_reached += 1;
    }
    for answer in answers.iter().chain([&late_answer]) {
        *tally.answers.entry(word_of(answer)).or_default() += 1;
    }
    if is_hit && is_promise(point) && fault != Fault::Kill {
        let refused = answers.iter().any(|it| !matches!(it, Answer::Receipt(_)));
        ensure!(refused, "acknowledged after {} failed: {answers:?}", point.call);
        ensure!(
            !matches!(late_answer, Answer::Receipt(_)),
            "the writer went on after {} failed",
            point.call
        );
    }
    goes_on(world, &place, &book, &sent).await?;
    // A full segment takes the judge long; one that was begun is judged every time.
    if deed == Deed::Append {
        world.verify(&place)?;
    }
    place.remove()
}

/// A restart serves every receipt, and takes what was sent again.
async fn goes_on(world: &Shared, place: &Place, book: &Book, sent: &[Sent]) -> Result<()> {
    let server = world.start(place).context("after the fault")?;
    check_served(server.address, &book.read()?).await?;
    send_again(server.address, sent, book).await?;
    check_served(server.address, &book.read()?).await?;
    server.stop()?;
    Ok(())
}

fn keep(
    book: &Book,
    batch: &[Sent],
    answer: std::result::Result<Vec<String>, Answer>,
) -> Result<Answer> {
    match answer {
        Ok(receipts) => {
            for (sent, receipt) in batch.iter().zip(&receipts) {
                book.keep(sent.id, receipt)?;
            }
            Ok(Answer::Receipt(receipts.concat()))
        }
        Err(other) => Ok(other),
    }
}

/// A failed sync of these may not be followed by an acknowledgement. The database is not among
/// them: it is made again from the journal.
fn is_promise(point: &Point) -> bool {
    let is_sync = SYNCS.contains(&point.call.as_str());
    is_sync && (point.file.starts_with("data/journal") || point.file.starts_with("guard"))
}

fn word_of(answer: &Answer) -> &'static str {
    match answer {
        Answer::Receipt(_) => "acknowledged",
        Answer::Refused { .. } => "refused without effect",
        Answer::Unclear(_) => "told as unclear",
    }
}

fn options(point: &Point, fault: Fault, root: &Path) -> Result<Vec<String>> {
    let file = root.canonicalize()?.join(&point.file);
    let file = file.to_str().context("a path in UTF-8")?.to_owned();
    let what = match fault {
        Fault::Error(name) => format!("error={name}"),
        Fault::Kill => "signal=KILL".to_owned(),
    };
    let inject = format!("inject={}:{what}:when={}", point.call, point.occurrence);
    let trace = format!("trace={}", point.call);
    let options = ["-y", "-s", "16", "-P", &file, "-e", &trace, "-e", &inject];
    Ok(options.map(str::to_owned).to_vec())
}

// --- backup ------------------------------------------------------------------------------------

/// The backup is a process of its own, so strace starts it.
async fn backup_under_faults(world: &Shared, plan: &Plan) -> Result<Tally> {
    let place = world.place("backed-up")?;
    let book = Book::new(place.root.join("receipts.jsonl"))?;
    let server = world.start(&place)?;
    let sent: Vec<Sent> = (0..200).map(|_| world.event()).collect();
    send_again(server.address, &sent, &book).await?;
    let to = place.root.join("out/backup.tar");
    fs::create_dir(place.root.join("out"))?;
    let log = place.root.join("trace");
    let options = ["-xx", "-y", "-s", "65536", "-e", &format!("trace={CHANGES}")];
    let output = traced_backup(world, &place, &to, &log, &options.map(str::to_owned))?;
    ensure!(output.status.success(), "{}", text_of(&output));
    let found = points_in(&calls(&fs::read_to_string(&log)?)?, &place.root)?;
    let found: Vec<Point> = found.into_iter().filter(|it| it.file.starts_with("out")).collect();
    ensure!(!found.is_empty(), "a backup writes nothing");
    let mut tally = Tally::default();
    // Each call on each file is met; of a hundred alike writes some.
    let places = if plan.is_long() { PLACES } else { 1 };
    let chosen = thinned(found, places);
    for (number, point) in chosen.iter().enumerate() {
        progress("backup, calls", number, chosen.len());
        tally.points.insert(format!("{} {}", point.call, point.file.display()));
        for fault in faults_at(point, number, plan) {
            backup_trial(world, &place, &to, point, fault, &mut tally)
                .with_context(|| format!("backup, {fault:?} at {point:?}"))?;
        }
    }
    // The node never noticed.
    check_served(server.address, &book.read()?).await?;
    server.stop()?;
    world.verify(&place)?;
    place.remove()?;
    Ok(tally)
}

fn backup_trial(
    world: &Shared,
    place: &Place,
    to: &Path,
    point: &Point,
    fault: Fault,
    tally: &mut Tally,
) -> Result<()> {
    let out = to.parent().context("a folder")?;
    fs::remove_dir_all(out)?;
    fs::create_dir(out)?;
    let log = place.root.join("trace");
    let output = traced_backup(world, place, to, &log, &options(point, fault, &place.root)?)?;
    tally.trials += 1;
    let is_hit = !output.status.success()
        || fs::read_to_string(&log).is_ok_and(|log| log.contains("(INJECTED)"));
    if !is_hit {
        tally.not_reached += 1;
    }
    if output.status.success() {
        *tally.answers.entry("whole").or_default() += 1;
        return restores(world, place, to);
    }
    *tally.answers.entry("refused").or_default() += 1;
    // A name that is there is that of a whole backup: the fault came behind the rename.
    if to.exists() {
        *tally.answers.entry("whole under its name").or_default() += 1;
        restores(world, place, to)?;
        fs::remove_file(to)?;
    }
    // What is left of it is in nobody's way.
    let again = backup_command(world, place, to).output()?;
    ensure!(again.status.success(), "the next backup: {}", text_of(&again));
    Ok(())
}

fn backup_command(world: &Shared, place: &Place, to: &Path) -> Command {
    let mut command = world.command(&["backup"]);
    command.arg("--data").arg(place.data()).arg("--guard").arg(place.guard()).arg("--to").arg(to);
    command
}

fn traced_backup(
    world: &Shared,
    place: &Place,
    to: &Path,
    log: &Path,
    options: &[String],
) -> Result<std::process::Output> {
    let inner = backup_command(world, place, to);
    let mut command = Command::new("strace");
    own_settings(&mut command);
    command.args(["-f", "-o"]).arg(log).args(options);
    command.arg(inner.get_program()).args(inner.get_args());
    let begun = Instant::now();
    let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output()?;
    if begun.elapsed() > Duration::from_secs(60) {
        bail!("the backup took {} s", begun.elapsed().as_secs());
    }
    Ok(output)
}

fn restores(world: &Shared, place: &Place, from: &Path) -> Result<()> {
    let to = place.root.join("restored");
    let key = hex(ledger_key().public_key().as_bytes());
    let mut command = world.command(&["restore", "--origin", origin().as_str()]);
    command.args(["--ledger-public-key", &key, "--no-newer-checkpoint-exists"]);
    command.arg("--from").arg(from).arg("--data").arg(to.join("data"));
    command.arg("--guard").arg(to.join("guard"));
    fs::create_dir_all(&to)?;
    let output = command.output()?;
    ensure!(output.status.success(), "it does not restore: {}", text_of(&output));
    fs::remove_dir_all(&to)?;
    Ok(())
}

impl Tally {
    fn told(&self, deed: &str) -> String {
        let answers: Vec<String> =
            self.answers.iter().map(|(word, count)| format!("{count} {word}")).collect();
        format!(
            "{deed}: {} faults at {} calls on files ({} not reached), answers: {}",
            self.trials,
            self.points.len(),
            self.not_reached,
            answers.join(", ")
        )
    }
}
