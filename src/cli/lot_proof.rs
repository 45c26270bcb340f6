//! `urbanmine lot LOT --prove FILE`: what a stranger needs to see that these are all entries of a
//! lot.

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use serde_json::json;

use super::client::{Client, Refused};
use super::lot::events_of;
use super::output::{bar, print_json};
use crate::domain::{Hash32, LotId};
use crate::ledger::{LotFile, ProvenEntry, SignedCheckpoint, WayEnd};
use crate::limits::MAX_STORY_ENTRIES;
use crate::wire::v1;

/// Fetches the proof, and the entries unless only the state is asked for; writes the file.
pub(super) async fn write(
    client: &mut Client,
    lot: [u8; 16],
    file: &Path,
    state_only: bool,
    is_json: bool,
) -> anyhow::Result<()> {
    let lot = LotId::parse(&lot)?;
    let lot_id = Bytes::copy_from_slice(lot.as_bytes());
    let request = v1::GetLotStateProofRequest { lot_id: lot_id.clone() };
    let reply = client.lots.get_lot_state_proof(request).await.map_err(|it| Refused::of(&it))?;
    let text = reply.into_inner().proof;
    let mut proof = LotFile::parse(text.as_bytes()).context("the server's proof is refused")?;
    let as_of = proof.state.statement.index.0;
    let counted = match proof.state.way.end {
        WayEnd::Lot(state) => state.entry_count,
        WayEnd::Empty | WayEnd::Other(..) => 0,
    };
    if !state_only {
        proof.story = Some(story(client, &lot_id, &proof, as_of).await?);
    }
    let told = proof.story.as_ref().map(Vec::len);
    let is_short = told.is_some_and(|told| u64::try_from(told).ok() != Some(counted));
    if is_short {
        bail!(
            "the ledger stated {counted} entries of the lot, and the server shows you {}: a story \
             that leaves some out proves nothing; --state-only writes what was stated",
            told.unwrap_or_default()
        );
    }
    let text = proof.encode();
    if file == Path::new("-") {
        std::io::stdout().write_all(text.as_bytes())?;
    } else {
        std::fs::write(file, &text).with_context(|| format!("cannot write {}", file.display()))?;
    }
    if is_json && file != Path::new("-") {
        return print_json(&json!({
            "lot_id": lot.to_string(), "file": file, "as_of_entries": as_of,
            "entry_count": counted, "story_entries": told,
        }));
    }
    eprintln!("lot {lot} has {counted} entries as of the first {as_of} of the ledger");
    Ok(())
}

/// Every entry of the lot that the statement covers, proven under the statement's checkpoint.
async fn story(
    client: &mut Client,
    lot_id: &Bytes,
    proof: &LotFile,
    as_of: u64,
) -> anyhow::Result<Vec<ProvenEntry>> {
    let (said, _) = SignedCheckpoint::parse(proof.state.statement.checkpoint.as_bytes())?;
    if proof.state.way.end == WayEnd::Empty || matches!(proof.state.way.end, WayEnd::Other(..)) {
        return Ok(Vec::new());
    }
    let events = events_of(client, lot_id).await?;
    let covered: Vec<u64> =
        events.iter().map(|it| it.entry_index).filter(|at| *at < as_of).collect();
    if covered.len() > MAX_STORY_ENTRIES {
        bail!("a story has at most {MAX_STORY_ENTRIES} entries, and the lot has {}", covered.len());
    }
    let progress = bar(covered.len() as u64, "proving");
    let mut story = Vec::with_capacity(covered.len());
    for entry_index in covered {
        let request = v1::GetEntryRequest { entry_index };
        let reply = client.ledger.get_entry(request).await.map_err(|it| Refused::of(&it))?;
        let entry = reply.into_inner().entry.context("the server sent no entry")?.entry;
        let request = v1::GetInclusionProofRequest { entry_index, tree_size: said.size.0 };
        let reply = client.ledger.get_inclusion_proof(request).await;
        let hashes = reply.map_err(|it| Refused::of(&it))?.into_inner().hashes;
        let hashes = hashes.iter().map(|raw| raw.as_ref().try_into().map(Hash32));
        let proof = hashes.collect::<Result<_, _>>().context("a proof holds 32-byte hashes")?;
        story.push(ProvenEntry { entry, proof });
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok(story)
}
