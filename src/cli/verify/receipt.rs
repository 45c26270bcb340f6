//! `verify --receipt`, alone or against an export.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use serde_json::{Value as Json, json};

use super::super::export_source::{Agreement, check_receipt_against, open_export};
use super::super::output::print_json;
use super::print::{checkpoint_json, finding_json};
use super::{read_given, read_rotations};
use crate::limits::MAX_RECEIPT_BYTES;
use crate::verify::{Pins, ReceiptReport, Verdict, verify_receipt_after};

pub(super) fn check(
    file: &Path,
    rotations: &[PathBuf],
    export: Option<&Path>,
    pins: &Pins,
    is_json: bool,
) -> Result<ExitCode> {
    let bytes = read_given(file, MAX_RECEIPT_BYTES)?;
    let (report, agreement) = if let Some(dir) = export {
        let against = check_receipt_against(&open_export(dir)?, &bytes, pins);
        (against.receipt, Some(against.agreement))
    } else {
        let rotations = read_rotations(rotations)?;
        (verify_receipt_after(&bytes, &rotations, pins), None)
    };
    let verdict = report.verdict.max(agreement.as_ref().map_or(Verdict::Verified, verdict_of));
    if is_json {
        print_json(&report_json(&report, agreement.as_ref(), verdict))?;
    } else {
        print(&report, agreement.as_ref(), verdict);
    }
    Ok(ExitCode::from(verdict.exit_code()))
}

const fn verdict_of(agreement: &Agreement) -> Verdict {
    match agreement {
        Agreement::Holds { .. } => Verdict::Verified,
        Agreement::Contradicts(_) => Verdict::Tampered,
        Agreement::Unknown(_) => Verdict::Undetermined,
    }
}

/// Kind and words of a disagreement.
fn told(agreement: &Agreement) -> Option<(&'static str, &str)> {
    match agreement {
        Agreement::Holds { .. } => None,
        Agreement::Contradicts(detail) => Some(("receipt-contradicted", detail)),
        Agreement::Unknown(detail) => Some(("export-undetermined", detail)),
    }
}

fn report_json(report: &ReceiptReport, agreement: Option<&Agreement>, verdict: Verdict) -> Json {
    let mut findings: Vec<Json> = report.findings.iter().map(finding_json).collect();
    if let Some((kind, detail)) = agreement.and_then(told) {
        findings.push(json!({ "index": null, "kind": kind, "detail": detail }));
    }
    let index = report.entry.as_ref().map(|entry| entry.index.0);
    let export = match agreement {
        Some(Agreement::Holds { size }) => json!(size.0),
        _ => Json::Null,
    };
    json!({
        "verdict": verdict.name(), "entries": u8::from(index.is_some()),
        "first_bad": null, "findings": findings, "entry_index": index,
        "export_size": export,
        "checkpoint": report.checkpoint.as_ref().map(checkpoint_json),
    })
}

fn print(report: &ReceiptReport, agreement: Option<&Agreement>, verdict: Verdict) {
    println!("{verdict}");
    if let (Some(entry), Some(checkpoint)) = (&report.entry, &report.checkpoint) {
        println!("entry {} is in the tree of {} entries", entry.index, checkpoint.size);
    }
    if let Some(Agreement::Holds { size }) = agreement {
        println!("the export of {size} entries has it, and begins with that tree");
    }
    for finding in &report.findings {
        println!("  {finding}");
    }
    if let Some((kind, detail)) = agreement.and_then(told) {
        println!("  {kind}: {detail}");
    }
}
