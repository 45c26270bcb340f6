//! A report, for people and for scripts.

use serde_json::{Value as Json, json};

use super::super::output::thousands;
use super::Judged;
use crate::ledger::checkpoint::Checkpoint;
use crate::verify::{Finding, Step, Verdict};

pub(super) fn finding_json(finding: &Finding) -> Json {
    json!({ "index": finding.index.map(|it| it.0), "kind": finding.kind.name(),
            "detail": finding.detail })
}

pub(in crate::cli) fn checkpoint_json(checkpoint: &Checkpoint) -> Json {
    json!({ "origin": checkpoint.origin.as_str(), "size": checkpoint.size.0,
            "root": checkpoint.root.to_string() })
}

pub(in crate::cli) fn report_json(judged: &Judged) -> Json {
    let report = &judged.report;
    let mut findings: Vec<Json> = report.findings.iter().map(finding_json).collect();
    for told in &judged.told {
        findings.push(json!({ "index": told.index.map(|it| it.0), "kind": told.kind,
                              "detail": told.detail }));
    }
    let checks: Vec<Json> =
        judged.checks.iter().map(|(name, said)| json!({ "check": name, "result": said })).collect();
    json!({
        "verdict": judged.verdict().name(),
        "entries": report.entries.0,
        "first_bad": judged.first_bad().map(|it| it.0),
        "findings": findings,
        "findings_left_out": report.findings_left_out,
        "unsigned_entries": judged.unsigned,
        "remembered_entries": report.remembered.map(|it| it.0),
        "signatures": report.progress.signatures,
        "signatures_checked_before": report.progress.signatures_trusted,
        "ledger_key": report.ledger_key.map(|key| key.to_string()),
        "ledger_key_rotations": report.rotations,
        "checks": checks,
        "steps": steps_json(&report.steps),
        "checkpoint": report.checkpoint.as_ref().map(checkpoint_json),
    })
}

/// What is to be said when the source failed before anything could be.
pub(in crate::cli) fn unreadable_json(fault: &anyhow::Error) -> Json {
    let finding = json!({ "index": null, "kind": "unreadable", "detail": format!("{fault:#}") });
    json!({
        "verdict": Verdict::Undetermined.name(), "entries": 0, "first_bad": null,
        "findings": [finding], "checkpoint": null,
    })
}

fn steps_json(steps: &[Step]) -> Json {
    let step = |it: &Step| json!({ "part": it.part, "name": it.name, "value": it.value });
    steps.iter().map(step).collect()
}

/// The report as a person reads it.
pub(in crate::cli) fn print(judged: &Judged) {
    let report = &judged.report;
    println!("{}", judged.verdict());
    let (entries, signatures) = (report.entries.0, report.progress.signatures);
    println!(
        "  {} entries, {} signatures, rules replayed for {}",
        thousands(entries),
        thousands(signatures),
        thousands(report.progress.replayed)
    );
    if let Some(before) = report.remembered {
        let trusted = report.progress.signatures_trusted;
        println!("  begins with the {} entries that were checked before", thousands(before.0));
        if trusted > 0 {
            println!("  {} signatures of those were not checked again", thousands(trusted));
        }
    }
    if let Some(checkpoint) = &report.checkpoint {
        println!("  {} at {} entries", checkpoint.origin, checkpoint.size);
        println!("  root {}", checkpoint.root);
    }
    if let (Some(key), 1..) = (report.ledger_key, report.rotations) {
        println!("  ledger key rotated {} times, now {key}", report.rotations);
    }
    for (name, said) in &judged.checks {
        println!("  {name}: {said}");
    }
    for told in &judged.told {
        match told.index {
            Some(index) => println!("  entry {index}: {}: {}", told.kind, told.detail),
            None => println!("  {}: {}", told.kind, told.detail),
        }
    }
    for finding in &report.findings {
        println!("  {finding}");
    }
    if report.findings_left_out > 0 {
        println!("  and {} more", report.findings_left_out);
    }
    print_steps(&report.steps);
    if judged.unsigned > 0 {
        println!(
            "  {} entries at the end are not signed yet and were not checked",
            judged.unsigned
        );
    }
}

fn print_steps(steps: &[Step]) {
    let mut part = "";
    for step in steps {
        if step.part != part {
            part = step.part;
            println!("\n{part}");
        }
        println!("  {}: {}", step.name, step.value);
    }
}
