//! What a campaign saw, as a row of the table at the end.

use std::fmt::Write as _;
use std::time::Duration;

/// How a campaign ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Passed,
    /// It cannot be run on this machine.
    Skipped(String),
    Failed(String),
}

/// A row.
#[derive(Debug, Clone)]
pub struct Row {
    pub campaign: String,
    pub trials: usize,
    pub outcome: Outcome,
    /// What was seen, in a few words.
    pub seen: String,
    pub took: Duration,
}

/// What a campaign gives back when nothing broke a promise.
#[derive(Debug)]
pub enum Seen {
    Done { trials: usize, seen: String },
    Skipped(String),
}

impl Seen {
    pub fn done(trials: usize, seen: impl Into<String>) -> Self {
        Self::Done { trials, seen: seen.into() }
    }
}

impl Row {
    pub fn new(campaign: &str, found: anyhow::Result<Seen>, took: Duration) -> Self {
        let (trials, outcome, seen) = match found {
            Ok(Seen::Done { trials, seen }) => (trials, Outcome::Passed, seen),
            Ok(Seen::Skipped(why)) => (0, Outcome::Skipped(why), String::new()),
            Err(fault) => (0, Outcome::Failed(format!("{fault:#}")), String::new()),
        };
        Self { campaign: campaign.to_owned(), trials, outcome, seen, took }
    }

    pub fn has_failed(&self) -> bool {
        matches!(self.outcome, Outcome::Failed(_))
    }
}

/// The table, as Markdown.
pub fn table(rows: &[Row]) -> String {
    let mut text =
        "| campaign | trials | outcome | seen | took |\n|---|---|---|---|---|\n".to_owned();
    for row in rows {
        let (outcome, seen) = match &row.outcome {
            Outcome::Passed => ("passed", row.seen.as_str()),
            Outcome::Skipped(why) => ("SKIPPED", why.as_str()),
            Outcome::Failed(why) => ("FAILED", why.as_str()),
        };
        let seen = seen.replace('\n', " ").replace('|', "/");
        let (campaign, trials, took) = (&row.campaign, row.trials, row.took.as_secs());
        let _ = writeln!(text, "| {campaign} | {trials} | {outcome} | {seen} | {took} s |");
    }
    text
}
