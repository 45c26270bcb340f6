//! `verify --lot-state`: how many events a lot has, by the ledger's own word.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use serde_json::{Value as Json, json};

use super::super::output::{print_json, thousands};
use super::print::{checkpoint_json, finding_json};
use super::{read_given, read_rotations};
use crate::domain::LotId;
use crate::limits::MAX_STORY_BYTES;
use crate::verify::{LotReport, LotStanding, Pins, verify_lot};

pub(super) fn check(
    file: &Path,
    lot: Option<LotId>,
    rotations: &[PathBuf],
    pins: &Pins,
    is_json: bool,
) -> Result<ExitCode> {
    let bytes = read_given(file, MAX_STORY_BYTES)?;
    let rotations = read_rotations(rotations)?;
    let report = verify_lot(&bytes, lot, &rotations, pins);
    if is_json {
        print_json(&report_json(&report))?;
    } else {
        print(&report);
    }
    Ok(ExitCode::from(report.verdict.exit_code()))
}

fn report_json(report: &LotReport) -> Json {
    let findings: Vec<Json> = report.findings.iter().map(finding_json).collect();
    let story = report.story.as_ref();
    let indexes = story.map(|it| it.iter().map(|entry| entry.index.0).collect::<Vec<_>>());
    let standing = report.standing.map(|standing| match standing {
        LotStanding::Present(state) => {
            json!({ "entry_count": state.entry_count, "last_entry_index": state.last.0 })
        }
        LotStanding::Absent => json!({ "entry_count": 0, "last_entry_index": null }),
    });
    json!({
        "verdict": report.verdict.name(),
        "entries": story.map_or(0, Vec::len),
        "first_bad": null,
        "findings": findings,
        "lot": report.lot.map(|it| it.to_string()),
        "standing": standing,
        "as_of": report.as_of.map(|it| it.0),
        "story": indexes,
        "checkpoint": report.checkpoint.as_ref().map(checkpoint_json),
    })
}

fn print(report: &LotReport) {
    println!("{}", report.verdict);
    if let (Some(lot), Some(standing), Some(as_of)) = (report.lot, report.standing, report.as_of) {
        let as_of = thousands(as_of.0);
        match standing {
            LotStanding::Present(state) => println!(
                "lot {lot} has {} events as of {as_of} entries, the last in entry {}",
                state.entry_count, state.last
            ),
            LotStanding::Absent => println!("there is no lot {lot} as of {as_of} entries"),
        }
    }
    if let Some(story) = &report.story {
        println!("these are all of them:");
        for entry in story {
            println!("  entry {}", entry.index);
        }
    }
    for finding in &report.findings {
        println!("  {finding}");
    }
}
