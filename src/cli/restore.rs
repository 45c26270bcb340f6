//! `urbanmine restore`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::{Value as Json, json};

use super::backup::WithoutArgs;
use super::init::guard_of;
use super::output::{bar, print_json};
use super::verify::{self, Judged};
use crate::store::{
    Faults, Guard, NewerCheckpoint, RestoreFault, Staging, Store, StoreConfig, Unpacked,
    check_unpacked, read_guard,
};
use crate::verify::Verdict;

/// Restore a ledger from a backup: everything in it is judged as `verify` does, and only then it
/// gets its place. The next start makes the database.
///
/// Exit codes: 0 restored and verified, 3 restored with warnings (nobody pinned the key), 1 not
/// restored: tampering found, 2 not restored: anything else, 64 wrong usage.
#[derive(Debug, Args)]
pub struct RestoreArgs {
    /// The backup.
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// Data directory to make; must not exist, or be empty.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Directory of the head guard [default: <data>.guard]
    #[arg(long, value_name = "DIR")]
    guard: Option<PathBuf>,
    /// The ledger's public key, 64 hexadecimal digits: its first, its newest, or one between.
    #[arg(long, value_name = "HEX")]
    ledger_public_key: Option<String>,
    /// The ledger's origin.
    #[arg(long)]
    origin: Option<String>,
    /// Say that the head guard is lost and that this ledger signed nothing after this backup. If
    /// that is false, going on signs a second history under the same key (a fork): every witness,
    /// and everybody who holds a newer receipt or checkpoint, can prove that to everybody. Ask the
    /// parties that were active last. Where a head guard is, this changes nothing.
    #[arg(long)]
    no_newer_checkpoint_exists: bool,
    #[command(flatten)]
    without: WithoutArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &RestoreArgs) -> anyhow::Result<ExitCode> {
    let pins = verify::pins(args.origin.as_deref(), args.ledger_public_key.as_deref())?;
    let guard_dir = guard_of(&args.data, args.guard.as_deref());
    // Held until everything is in its place: no node starts under this guard meanwhile.
    let held =
        if guard_dir.is_dir() { Some(Guard::open(&guard_dir, Faults::default())?) } else { None };
    let seen = read_guard(&guard_dir).context("the head guard cannot be read")?;
    let newer = if args.no_newer_checkpoint_exists {
        NewerCheckpoint::DoesNotExist
    } else {
        NewerCheckpoint::Unknown
    };
    let staging = Staging::beside(&args.data).context("nothing is restored")?;
    let unpacked = unpack(args, &staging)?;
    check_unpacked(&staging, &unpacked, seen.as_deref(), newer)
        .map_err(explained)
        .context("nothing is restored")?;
    let judged = verify::check_data(&staging.data(), Some(&staging.guard()), pins)?;
    let verdict = judged.verdict();
    let is_sound = matches!(verdict, Verdict::Verified | Verdict::Warnings);
    if is_sound {
        check_claims(&staging, &unpacked, &judged).context("nothing is restored")?;
        settle(staging, &unpacked, &guard_dir, held, seen.as_deref())?;
    }
    tell(args, &unpacked, &judged, is_sound)?;
    Ok(ExitCode::from(verdict.exit_code()))
}

fn unpack(args: &RestoreArgs, staging: &Staging) -> anyhow::Result<Unpacked> {
    let progress = bar(0, "unpacking");
    let unpacked = staging.unpack(&args.from, &args.without.drawers(), &mut |done, all| {
        progress.set_length(all);
        progress.set_position(done);
    });
    progress.finish_and_clear();
    unpacked.context("nothing is restored")
}

/// Says what to do where a guard is missing.
fn explained(fault: RestoreFault) -> anyhow::Error {
    let is_missing = matches!(fault, RestoreFault::GuardMissing { .. });
    let fault = anyhow::Error::from(fault);
    if is_missing {
        return fault.context(
            "find the newest head guard, or say --no-newer-checkpoint-exists if you know that \
             nothing was signed after this backup (see docs/OPERATIONS.md)",
        );
    }
    fault
}

/// The store says of which ledger it is; so does the genesis, which the judge read.
fn check_claims(staging: &Staging, unpacked: &Unpacked, judged: &Judged) -> anyhow::Result<()> {
    let config = StoreConfig::new(staging.data(), staging.guard());
    let store = Store::open_read_only(&config)?;
    let claims = judged.report().claims.as_ref();
    let is_same = claims.is_some_and(|claims| {
        claims.origin == *store.origin() && claims.ledger_key == *store.ledger_key()
    });
    if !is_same {
        bail!("its file FORMAT names another ledger than its genesis");
    }
    let (entries, end) = (judged.report().entries, unpacked.checkpoint.size);
    if entries != end || judged.report().checkpoint.as_ref() != Some(&unpacked.checkpoint) {
        bail!("its checkpoint over {end} entries does not hold over the {entries} in its journal");
    }
    Ok(())
}

/// The guard first: a crash between the two leaves a guard that is true, and the next restore finds
/// it. The other way round it would leave a ledger without one.
fn settle(
    staging: Staging,
    unpacked: &Unpacked,
    guard_dir: &Path,
    held: Option<Guard>,
    seen: Option<&[u8]>,
) -> anyhow::Result<()> {
    let guard = match held {
        Some(held) => held,
        None => Guard::open(guard_dir, Faults::default())?,
    };
    if guard.current()?.as_deref() != Some(&unpacked.signed[..]) {
        // From what was checked, or not at all: somebody else may have made a directory that was
        // not there.
        guard.advance(seen, &unpacked.signed)?;
    }
    staging.settle().context("the head guard is set, and the data is not in its place")?;
    Ok(())
}

fn tell(
    args: &RestoreArgs,
    unpacked: &Unpacked,
    judged: &Judged,
    is_restored: bool,
) -> anyhow::Result<()> {
    if args.json {
        let mut report = verify::report_json(judged);
        if let Json::Object(fields) = &mut report {
            fields.insert("restored".to_owned(), json!(is_restored));
            fields.insert("drafts".to_owned(), json!(unpacked.drafts));
            fields.insert("openings".to_owned(), json!(unpacked.openings));
        }
        return print_json(&report);
    }
    verify::print(judged);
    if is_restored {
        let (drafts, openings) = (unpacked.drafts, unpacked.openings);
        println!("  restored, with {drafts} drafts and {openings} openings");
        eprintln!("The next start makes the database from the journal, which takes a while.");
    } else {
        println!("  not restored; nothing is left of it");
    }
    Ok(())
}
