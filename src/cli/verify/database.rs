//! Whether a data directory's database says the same as its journal.

use std::path::Path;

use super::super::init::guard_of;
use super::super::output::{bar, thousands};
use super::{Judged, Told};
use crate::node::{DatabaseCheck, Node, NodeConfig};
use crate::verify::Verdict;

/// Adds what comes of it. Only a journal that was verified is worth replaying.
pub(super) fn check(data: &Path, guard: Option<&Path>, is_skipped: bool, judged: &mut Judged) {
    let why_not = if is_skipped {
        Some("not performed: it was not asked for")
    } else if judged.verdict() >= Verdict::Undetermined {
        Some("not performed: the journal is not verified")
    } else {
        None
    };
    let said = match why_not {
        Some(why) => why.to_owned(),
        None => compare(data, guard, judged),
    };
    judged.checks.push(("database", said));
}

fn compare(data: &Path, guard: Option<&Path>, judged: &mut Judged) -> String {
    let config = NodeConfig::new(data, guard_of(data, guard));
    let progress = bar(judged.report.entries.0, "comparing the database");
    let mut seen = |entries: crate::domain::EntryCount| progress.set_position(entries.0);
    let checked = Node::compare_database(&config, &std::env::temp_dir(), &mut seen);
    progress.finish_and_clear();
    match checked {
        Ok(DatabaseCheck::NotPerformed { why }) => format!("not performed: {why}"),
        Ok(DatabaseCheck::Same { rows, .. }) => {
            format!("says the same as the journal in all of its {} rows", thousands(rows))
        }
        Ok(DatabaseCheck::Differs { differing, first, .. }) => {
            judged.told.push(Told {
                index: first.entry,
                kind: "database-differs",
                detail: format!("{differing} rows differ from the journal; first: {first}"),
                verdict: Verdict::Tampered,
            });
            "does not say the same as the journal".to_owned()
        }
        Ok(DatabaseCheck::Unreadable { why }) => undetermined(judged, why),
        Err(fault) => undetermined(judged, format!("{:#}", anyhow::Error::from(fault))),
    }
}

/// A database that cannot be read loses no entry: the journal makes it again.
fn undetermined(judged: &mut Judged, detail: String) -> String {
    let (kind, verdict) = ("database-unreadable", Verdict::Undetermined);
    judged.told.push(Told { index: None, kind, detail, verdict });
    "could not be compared".to_owned()
}
