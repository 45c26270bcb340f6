//! What an auditor remembers of a ledger between two looks: its last checkpoint that passed a whole
//! check.

use std::path::Path;

use anyhow::{Context as _, Result, bail};

use super::super::output::replace_file;
use crate::ledger::SignedCheckpoint;
use crate::limits::MAX_CHECKPOINT_BYTES;
use crate::verify::{FindingKind, Report, Verdict};

/// The remembered checkpoint, verbatim; `None` when the file is not there yet.
pub(in crate::cli) fn read(file: &Path) -> Result<Option<Vec<u8>>> {
    let length = match std::fs::metadata(file) {
        Ok(metadata) => metadata.len(),
        Err(absent) if absent.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(other) => return Err(other).with_context(|| format!("cannot read {}", file.display())),
    };
    if length > MAX_CHECKPOINT_BYTES as u64 {
        bail!("{} has {length} bytes: no checkpoint, which is what it must hold", file.display());
    }
    let text = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(Some(text))
}

/// Keeps the checkpoint of a report that found nothing wrong with a pinned ledger; answers whether
/// it did. *A crash before the rename leaves the old one, which is as good.*
pub(in crate::cli) fn keep(file: &Path, report: &Report) -> Result<bool> {
    let is_pinned = !report.findings.iter().any(|it| it.kind == FindingKind::PinsMissing);
    let is_good = matches!(report.verdict, Verdict::Verified | Verdict::Warnings);
    let Some(checkpoint) = report.signed_checkpoint.as_ref().filter(|_| is_pinned && is_good)
    else {
        return Ok(false);
    };
    // Another look may have come further meanwhile: a memory never shrinks.
    let size_of = |text: &[u8]| SignedCheckpoint::parse(text).map_or(0, |(said, _)| said.size.0);
    let known = read(file)?.map_or(0, |text| size_of(&text));
    if known > size_of(checkpoint.as_bytes()) {
        return Ok(false);
    }
    replace_file(file, checkpoint.as_bytes())
        .with_context(|| format!("cannot keep the checkpoint in {}", file.display()))?;
    Ok(true)
}

/// Whether signatures were passed over because of a memory that does not hold: then all has to be
/// checked again, to say which entry it is.
pub(in crate::cli) fn needs_full_check(report: &Report) -> bool {
    report.progress.signatures_trusted > 0 && report.remembered.is_none()
}
