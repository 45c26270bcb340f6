//! What is measured of the write path. Names end in their unit; nothing here says who.

/// How long an append took, from the call to its receipts, in seconds.
pub const APPEND_SECONDS: &str = "urbanmine_append_duration_seconds";
/// Entries of a commit group.
pub const GROUP_ENTRIES: &str = "urbanmine_group_entries";
/// How long a group took to last: journal, database, read back, signature, guard, in seconds.
pub const COMMIT_SECONDS: &str = "urbanmine_commit_duration_seconds";
/// How long the journal's fdatasync took, in seconds.
pub const JOURNAL_SYNC_SECONDS: &str = "urbanmine_journal_fdatasync_duration_seconds";
/// What witnesses answered, by outcome.
pub const WITNESS_ANSWERS_TOTAL: &str = "urbanmine_witness_answers_total";
/// Every outcome of asking a witness.
pub const WITNESS_OUTCOMES: [&str; 9] = super::witnessing::Outcome::NAMES;
