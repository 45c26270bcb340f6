//! `urbanmine backup`

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use serde_json::json;

use super::init::guard_of;
use super::output::{bar, print_json, thousands};
use crate::store::{BackupPlan, Drawer, back_up};

/// Back up a ledger into one file, while its node runs or not; takes no lock and changes nothing.
///
/// In it are the journal up to the head guard's checkpoint, that checkpoint, drafts, and openings
/// of private facts. The ledger's key is not in it: keep that apart. The file is a tar with a
/// manifest that `sha256sum --check` reads.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// Data directory of the ledger.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Directory of the head guard [default: <data>.guard]
    #[arg(long, value_name = "DIR")]
    guard: Option<PathBuf>,
    /// The file to make; must not exist.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    #[command(flatten)]
    without: WithoutArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What lies beside the ledger, and is left out.
#[derive(Debug, Args)]
pub(super) struct WithoutArgs {
    /// Leave the openings of private facts out: what is erased later is then not in the file.
    #[arg(long)]
    without_openings: bool,
    /// Leave drafts that wait for a signature out.
    #[arg(long)]
    without_drafts: bool,
}

impl WithoutArgs {
    pub(super) fn drawers(&self) -> Vec<Drawer> {
        let is_out = |drawer: &Drawer| match drawer {
            Drawer::Drafts => self.without_drafts,
            Drawer::Openings => self.without_openings,
        };
        Drawer::ALL.into_iter().filter(is_out).collect()
    }
}

pub(super) fn run(args: &BackupArgs) -> anyhow::Result<()> {
    let (guard, without) = (guard_of(&args.data, args.guard.as_deref()), args.without.drawers());
    let plan = BackupPlan { data: &args.data, guard: &guard, to: &args.to, without: &without };
    let progress = bar(0, "backing up");
    let done = back_up(&plan, &mut |done, all| {
        progress.set_length(all.0);
        progress.set_position(done.0);
    });
    progress.finish_and_clear();
    let done = done.context("there is no backup")?;
    if args.json {
        return print_json(&json!({
            "file": shown(&args.to),
            "bytes": done.bytes,
            "ledger_key": done.ledger_key.to_string(),
            "checkpoint": super::verify::checkpoint_json(&done.checkpoint),
            "drafts": done.drafts,
            "openings": done.openings,
        }));
    }
    println!("entries   {}", done.checkpoint.size);
    println!("root      {}", done.checkpoint.root);
    println!("drafts    {}", done.drafts);
    println!("openings  {}", done.openings);
    println!("bytes     {}", thousands(done.bytes));
    eprintln!("The ledger's key is not in it: keep it, and this file, in different places.");
    if done.openings > 0 {
        eprintln!("It holds private facts, also when they are erased later: let it expire.");
    }
    Ok(())
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
