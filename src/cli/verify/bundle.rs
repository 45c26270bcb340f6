//! `verify --bundle`: one lot and its grounds, judged offline.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use serde_json::{Value as Json, json};

use super::super::output::{grams, per_cent, print_json, table, thousands};
use super::print::{checkpoint_json, finding_json};
use super::read_given;
use crate::domain::lot::{Lot, LotStatus};
use crate::domain::{Grams, LotId};
use crate::ledger::Policy;
use crate::limits::MAX_LOT_BUNDLE_BYTES;
use crate::provenance::{Measure, Origins};
use crate::verify::{BundleReport, Pins, verify_bundle};

pub(super) fn check(
    file: &Path,
    lot: Option<LotId>,
    pins: &Pins,
    policy: Option<&Policy>,
    is_json: bool,
) -> Result<ExitCode> {
    let bytes = read_given(file, MAX_LOT_BUNDLE_BYTES)?;
    let report = verify_bundle(&bytes, lot, pins, policy);
    if is_json {
        print_json(&report_json(&report))?;
    } else {
        print(&report);
    }
    Ok(ExitCode::from(report.verdict.exit_code()))
}

/// What no bundle proves, whatever it holds.
fn unproven(report: &BundleReport) -> Vec<String> {
    let size = report.checkpoint.as_ref().map_or(0, |it| it.size.0);
    vec![
        format!("what was recorded after the {} entries of its checkpoint", thousands(size)),
        match report.complete_to {
            Some(to) => format!(
                "that the lot, and those behind it, have no other events from entry {} on",
                thousands(to.0)
            ),
            None => "that the lot, and those behind it, have no event after their last ones here"
                .to_owned(),
        },
        "that the entries which are not here obey the rules: verify the ledger for that".to_owned(),
        "that none of those revoked a key, ended a role or licence, or used up a waiver on which \
         these rest"
            .to_owned(),
        "that what the parties signed is true".to_owned(),
    ]
}

fn report_json(report: &BundleReport) -> Json {
    let findings: Vec<Json> = report.findings.iter().map(finding_json).collect();
    let state = report.state.as_ref().map(|lot| {
        json!({
            "material": lot.material, "owner": lot.owner.to_string(),
            "possessor": lot.possessor.to_string(), "initial_mass_g": lot.initial_mass.get(),
            "remaining_g": lot.remaining.get(), "status": status(lot),
        })
    });
    let measured: Vec<Json> =
        report.measured.iter().map(|(measure, it)| origins_json(*measure, it)).collect();
    json!({
        "verdict": report.verdict.name(),
        "entries": report.progress.entries,
        "first_bad": report.first_bad.map(|it| it.0),
        "findings": findings,
        "findings_left_out": report.findings_left_out,
        "checkpoint": report.checkpoint.as_ref().map(checkpoint_json),
        "signatures": report.progress.signatures,
        "lot": report.lot.map(|it| it.to_string()),
        "life": report.life.iter().map(|it| it.0).collect::<Vec<_>>(),
        "state": state,
        "complete_to": report.complete_to.map(|it| it.0),
        "origins": measured,
        "not_proved": unproven(report),
    })
}

fn origins_json(measure: Measure, origins: &Origins) -> Json {
    let shares: Vec<Json> = origins
        .at_birth
        .shares
        .iter()
        .map(|(lot, mass)| json!({ "lot": lot.to_string(), "grams": mass.get() }))
        .collect();
    json!({
        "of": name(measure),
        "total_g": origins.at_birth.total.map(Grams::get),
        "remaining_g": origins.total.map(Grams::get),
        "is_attributed": origins.at_birth.is_attributed,
        "shares": shares,
        "pending_campaigns": origins.pending_campaigns.len(),
    })
}

fn status(lot: &Lot) -> &'static str {
    match lot.status() {
        LotStatus::Open => "open",
        LotStatus::InTransit => "in transit",
        LotStatus::OnHold => "on hold",
        LotStatus::Consumed => "consumed",
        LotStatus::Disposed => "disposed",
        LotStatus::Exited => "exited",
        LotStatus::Retracted => "retracted",
    }
}

fn name(measure: Measure) -> String {
    match measure {
        Measure::Mass => "mass".to_owned(),
        Measure::Substance(substance) => substance.to_string(),
    }
}

fn print(report: &BundleReport) {
    println!("{}", report.verdict);
    let (entries, signatures) = (report.progress.entries, report.progress.signatures);
    println!("  {} entries, {} signatures", thousands(entries), thousands(signatures));
    if let Some(checkpoint) = &report.checkpoint {
        println!("  {} at {} entries", checkpoint.origin, checkpoint.size);
        println!("  root {}", checkpoint.root);
    }
    for finding in &report.findings {
        println!("  {finding}");
    }
    if report.findings_left_out > 0 {
        println!("  and {} more", report.findings_left_out);
    }
    let (Some(lot), Some(state)) = (report.lot, &report.state) else { return };
    println!("\nlot {lot}: {}, {}", state.material, status(state));
    println!(
        "  born with {}, {} left",
        grams(state.initial_mass.get()),
        grams(state.remaining.get())
    );
    println!("  owner {}, in the hands of {}", state.owner, state.possessor);
    println!("  {} events in its life", report.life.len());
    if let Some(to) = report.complete_to {
        println!("  all events of it, and of those behind it, up to {} entries", thousands(to.0));
    }
    println!();
    print_origins(report);
    println!("\nA bundle does not prove:");
    for line in unproven(report) {
        println!("  - {line}");
    }
}

/// What no lot stands for has a name of its own.
fn origin_name(lot: LotId) -> String {
    if lot == LotId::UPTAKE {
        return "(joined in processes)".to_owned();
    }
    match lot.waived_stock_of() {
        Some(campaign) => format!("(stock that a waiver let in, campaign {campaign})"),
        None => lot.to_string(),
    }
}

fn print_origins(report: &BundleReport) {
    let mut rows = table(&["of", "origin lot", "grams", "share"]);
    for (measure, origins) in &report.measured {
        let whole = &origins.at_birth;
        let Some(total) = whole.total else {
            rows.add_row([name(*measure), "not known".to_owned(), String::new(), String::new()]);
            continue;
        };
        for (lot, mass) in &whole.shares {
            let share = per_cent(mass.get(), total.get());
            rows.add_row([name(*measure), origin_name(*lot), thousands(mass.get()), share]);
        }
        if !whole.is_attributed {
            let unknown = "not attributed: an input was not analysed".to_owned();
            rows.add_row([name(*measure), unknown, thousands(total.get()), String::new()]);
        }
    }
    println!("{rows}");
}
