//! Evidence of a fork, made where one was found and judged for whoever is shown it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use serde_json::{Value as Json, json};

use super::super::output::{print_json, replace_file};
use super::super::second_look::SecondLook;
use super::crew::Source;
use super::print::{checkpoint_json, finding_json};
use super::{read_given, read_rotations};
use crate::domain::{EntryCount, EntryIndex};
use crate::ledger::{Evidence, SignedCheckpoint};
use crate::limits::MAX_EVIDENCE_BYTES;
use crate::verify::{Fork, Pins, Report, verify_evidence};

/// Writes the evidence for a fork that a report tells of, from a source of the newer history;
/// answers whether there is any to write.
pub(in crate::cli) fn write(file: &Path, report: &Report, source: &mut dyn Source) -> Result<bool> {
    let Some(Fork { remembered, size, found, newer: Some(newer) }) = &report.fork else {
        return Ok(false);
    };
    let size_of = |text: &SignedCheckpoint| {
        SignedCheckpoint::parse(text.as_bytes()).map_or(EntryCount(0), |(it, _)| it.size)
    };
    let newest = size_of(newer);
    if newest < *size {
        return Ok(false);
    }
    let tree = SecondLook::read(source, &BTreeSet::new(), newest, EntryIndex(0))?;
    let proof = tree.consistency(*size, newest)?;
    let (older, newer) = (remembered.clone(), newer.clone());
    let evidence = Evidence { older, newer, found: *found, proof };
    replace_file(file, evidence.encode().as_bytes())
        .with_context(|| format!("cannot write {}", file.display()))?;
    Ok(true)
}

/// `verify --evidence`
pub(super) fn check(
    file: &Path,
    rotations: &[PathBuf],
    pins: &Pins,
    is_json: bool,
) -> Result<ExitCode> {
    let bytes = read_given(file, MAX_EVIDENCE_BYTES)?;
    let rotations = read_rotations(rotations)?;
    let report = verify_evidence(&bytes, &rotations, pins);
    if is_json {
        let findings: Vec<Json> = report.findings.iter().map(finding_json).collect();
        print_json(&json!({
            "verdict": report.verdict.name(), "entries": 0, "first_bad": null,
            "findings": findings,
            "checkpoint": report.newer.as_ref().map(checkpoint_json),
            "older_checkpoint": report.older.as_ref().map(checkpoint_json),
        }))?;
    } else {
        println!("{}", report.verdict);
        for finding in &report.findings {
            println!("  {finding}");
        }
    }
    Ok(ExitCode::from(report.verdict.exit_code()))
}
