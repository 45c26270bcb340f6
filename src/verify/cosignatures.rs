//! Cosignatures of witnesses, judged under a policy.

use super::checkpoints::kind_of;
use super::report::{Finding, FindingKind, Findings, Verdict};
use super::told;
use crate::domain::{Origin, PublicKey};
use crate::ledger::{CosignatureReport, Policy};

/// What the judge says of the cosignatures on one checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CosignaturesJudged {
    /// In one word, of these findings alone.
    pub verdict: Verdict,
    /// What was found; nothing when the quorum is met and nothing is wrong.
    pub findings: Vec<Finding>,
    /// Who holds, who is missing, who is wrong; `None` where the text is no checkpoint.
    pub report: Option<CosignatureReport>,
}

/// Judges the cosignatures on a checkpoint under a policy. `origin` and `ledger_keys` are the
/// ledger's as the reader pinned and followed them: where the policy names logs, the ledger has to
/// be among them under one of these keys.
///
/// That the ledger signed the checkpoint, and that its root is that of the entries, is
/// [`super::Verifier`]'s to say: hand it the same text.
pub fn judge_cosignatures(
    checkpoint: &[u8],
    policy: &Policy,
    origin: &Origin,
    ledger_keys: &[PublicKey],
) -> CosignaturesJudged {
    let mut findings = Findings::default();
    if !ledger_keys.iter().any(|key| policy.is_for(origin, key)) {
        let detail = format!(
            "the policy names {} logs, and none of them is {origin} under a key that is known here",
            policy.logs().len()
        );
        findings.overall(FindingKind::PolicyLogUnknown, detail);
    }
    let report = match policy.judge(checkpoint) {
        Ok(report) => {
            report_findings(&report, policy, &mut findings);
            Some(report)
        }
        Err(fault) => {
            findings.overall(kind_of(&fault), told(&fault));
            None
        }
    };
    let verdict = findings.verdict();
    let (findings, _) = findings.into_kept();
    CosignaturesJudged { verdict, findings, report }
}

fn report_findings(report: &CosignatureReport, policy: &Policy, findings: &mut Findings) {
    for (name, fault) in &report.bad {
        let detail = format!("witness {name}: {}", told(fault));
        findings.overall(FindingKind::CosignatureInvalid, detail);
    }
    if report.is_quorum_met {
        return;
    }
    let names = |names: &mut dyn Iterator<Item = String>| {
        let names: Vec<String> = names.collect();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    };
    let held = names(&mut report.held.iter().map(|(name, _)| name.to_string()));
    let missing = names(&mut report.missing.iter().map(ToString::to_string));
    let detail = format!(
        "{} of {} witnesses cosigned ({held}), and the policy's quorum is not met; missing: \
         {missing}",
        report.held.len(),
        policy.witnesses().len()
    );
    findings.overall(FindingKind::CosignaturesMissing, detail);
}
