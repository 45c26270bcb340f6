//! `LedgerService`: append, read, prove.

use bytes::Bytes;
use tonic::{Request, Response, Status};
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use super::convert::{ledger, missing, needed, raw_hashes};
use super::desk::{Desk, answer, id_of};
use super::errors::Failure;
use super::eyes::Eyes;
use super::hush::as_seen;
use super::pages::{List, page_size};
use super::viewer::{Viewer, viewer_of};
use super::watch::{Watches, Watching};
use crate::domain::{EntryCount, EntryIndex, EventId};
use crate::ledger::receipt::Receipt;
use crate::ledger::tiles::{TILE_WIDTH, Tile, TileFault, TileKind, encode_hashes};
use crate::limits::{ENTRY_READ_AHEAD, MAX_PAGE_BYTES, TILE_LEVELS};
use crate::node::{AppendError, BatchError, Reader};
use crate::wire::v1;
use crate::wire::v1::get_receipt_request::Subject;
use crate::wire::v1::ledger_service_server::{LedgerService, SERVICE_NAME};

/// The handlers.
#[derive(Debug)]
pub struct LedgerDesk {
    /// Where they meet the node.
    pub desk: Desk,
    /// Where a node that no longer records is told.
    pub health: HealthReporter,
    /// Those who follow the ledger.
    pub watches: Watches,
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl LedgerService for LedgerDesk {
    async fn get_ledger(
        &self,
        request: Request<v1::GetLedgerRequest>,
    ) -> Answer<v1::GetLedgerResponse> {
        let read = self.desk.read(|reader| {
            let ledger = ledger(&reader.ledger()?, reader.size());
            Ok(v1::GetLedgerResponse { ledger: Some(ledger) })
        });
        answer(id_of(&request), read.await)
    }

    async fn append_event(
        &self,
        request: Request<v1::AppendEventRequest>,
    ) -> Answer<v1::AppendEventResponse> {
        let (id, viewer) = (id_of(&request), viewer_of(&request));
        let outcome = self.append(viewer, request.into_inner()).await;
        let outcome = as_seen(&self.desk, viewer, outcome).await;
        self.tell_health(&outcome).await;
        answer(id, outcome)
    }

    async fn batch_append_events(
        &self,
        request: Request<v1::BatchAppendEventsRequest>,
    ) -> Answer<v1::BatchAppendEventsResponse> {
        let (id, viewer) = (id_of(&request), viewer_of(&request));
        let outcome = self.append_batch(viewer, request.into_inner()).await;
        let outcome = as_seen(&self.desk, viewer, outcome).await;
        self.tell_health(&outcome).await;
        answer(id, outcome)
    }

    async fn get_entry(
        &self,
        request: Request<v1::GetEntryRequest>,
    ) -> Answer<v1::GetEntryResponse> {
        let (id, viewer) = (id_of(&request), viewer_of(&request));
        let index = EntryIndex(request.into_inner().entry_index);
        let read = self.desk.read(move |reader| {
            let is_seen = Eyes::new(reader, viewer).sees_entry(index)?;
            let entry = if is_seen { reader.entry(index)? } else { None };
            let entry = entry.ok_or_else(|| missing("entry", &index))?;
            Ok(v1::GetEntryResponse { entry: Some(v1::Entry { entry_index: index.0, entry }) })
        });
        answer(id, read.await)
    }

    async fn list_entries(
        &self,
        request: Request<v1::ListEntriesRequest>,
    ) -> Answer<v1::ListEntriesResponse> {
        let (id, viewer) = (id_of(&request), viewer_of(&request));
        let request = request.into_inner();
        let read = self.desk.read(move |reader| entry_page(Eyes::new(reader, viewer), &request));
        answer(id, read.await)
    }

    type WatchEntriesStream = Watching;

    async fn watch_entries(
        &self,
        request: Request<v1::WatchEntriesRequest>,
    ) -> Answer<Self::WatchEntriesStream> {
        let id = id_of(&request);
        answer(id, self.watches.begin(&self.desk, request))
    }

    async fn get_checkpoint(
        &self,
        request: Request<v1::GetCheckpointRequest>,
    ) -> Answer<v1::GetCheckpointResponse> {
        let read = self.desk.read(|reader| {
            if reader.size() == EntryCount(0) {
                return Err(missing("checkpoint", &"latest"));
            }
            Ok(v1::GetCheckpointResponse { checkpoint: reader.checkpoint()?.text().to_owned() })
        });
        answer(id_of(&request), read.await)
    }

    async fn get_cosigned_checkpoint(
        &self,
        request: Request<v1::GetCosignedCheckpointRequest>,
    ) -> Answer<v1::GetCosignedCheckpointResponse> {
        let read = self.desk.read(|reader| {
            let cosigned =
                reader.cosigned().ok_or_else(|| missing("cosigned checkpoint", &"any"))?;
            let checkpoint = cosigned.checkpoint.text().to_owned();
            Ok(v1::GetCosignedCheckpointResponse { checkpoint })
        });
        answer(id_of(&request), read.await)
    }

    async fn get_inclusion_proof(
        &self,
        request: Request<v1::GetInclusionProofRequest>,
    ) -> Answer<v1::GetInclusionProofResponse> {
        let id = id_of(&request);
        let request = request.into_inner();
        answer(id, self.desk.read(move |reader| inclusion(reader, &request)).await)
    }

    async fn get_consistency_proof(
        &self,
        request: Request<v1::GetConsistencyProofRequest>,
    ) -> Answer<v1::GetConsistencyProofResponse> {
        let id = id_of(&request);
        let request = request.into_inner();
        answer(id, self.desk.read(move |reader| consistency(reader, &request)).await)
    }

    async fn get_tile(&self, request: Request<v1::GetTileRequest>) -> Answer<v1::GetTileResponse> {
        let id = id_of(&request);
        let request = request.into_inner();
        answer(id, self.desk.read(move |reader| hash_tile(reader, &request)).await)
    }

    async fn get_entry_bundle(
        &self,
        request: Request<v1::GetEntryBundleRequest>,
    ) -> Answer<v1::GetEntryBundleResponse> {
        let id = id_of(&request);
        let request = request.into_inner();
        // The gate lets overseers only come here, who see every entry.
        answer(id, self.desk.read(move |reader| entry_bundle(reader, &request)).await)
    }

    async fn get_receipt(
        &self,
        request: Request<v1::GetReceiptRequest>,
    ) -> Answer<v1::GetReceiptResponse> {
        let (id, viewer) = (id_of(&request), viewer_of(&request));
        let request = request.into_inner();
        let read = self.desk.read(move |reader| {
            let receipt = receipt(Eyes::new(reader, viewer), request.subject, Proven::ByLedger)?;
            Ok(v1::GetReceiptResponse { entry_index: receipt.index.0, receipt: receipt.encode() })
        });
        answer(id, read.await)
    }

    async fn get_cosigned_receipt(
        &self,
        request: Request<v1::GetCosignedReceiptRequest>,
    ) -> Answer<v1::GetCosignedReceiptResponse> {
        use v1::get_cosigned_receipt_request::Subject as Cosigned;
        let (id, viewer) = (id_of(&request), viewer_of(&request));
        let subject = request.into_inner().subject.map(|subject| match subject {
            Cosigned::EventId(id) => Subject::EventId(id),
            Cosigned::EntryIndex(index) => Subject::EntryIndex(index),
        });
        let read = self.desk.read(move |reader| {
            let receipt = receipt(Eyes::new(reader, viewer), subject, Proven::ByWitnesses)?;
            let entry_index = receipt.index.0;
            Ok(v1::GetCosignedReceiptResponse { entry_index, receipt: receipt.encode() })
        });
        answer(id, read.await)
    }
}

impl LedgerDesk {
    /// After a failed write the node records nothing until a restart; health says so from then on.
    async fn tell_health<T>(&self, outcome: &Result<T, Failure>) {
        let Err(Failure::Append(error) | Failure::Batch(BatchError { error, .. })) = outcome else {
            return;
        };
        if matches!(error, AppendError::Poisoned | AppendError::Indeterminate) {
            self.health.set_service_status(SERVICE_NAME, ServingStatus::NotServing).await;
        }
    }

    async fn append(
        &self,
        viewer: Viewer,
        request: v1::AppendEventRequest,
    ) -> Result<v1::AppendEventResponse, Failure> {
        let envelopes = vec![request.envelope];
        let mut appended =
            self.record(viewer, envelopes, request.validate_only).await.map_err(alone)?;
        Ok(v1::AppendEventResponse { appended: appended.pop() })
    }

    async fn append_batch(
        &self,
        viewer: Viewer,
        request: v1::BatchAppendEventsRequest,
    ) -> Result<v1::BatchAppendEventsResponse, Failure> {
        let envelopes: Vec<Bytes> = request.envelopes;
        if envelopes.is_empty() {
            let error = AppendError::BatchEmpty;
            return Err(BatchError { position: None, error }.into());
        }
        let appended = self.record(viewer, envelopes, request.validate_only).await?;
        Ok(v1::BatchAppendEventsResponse { appended })
    }

    /// Records, or judges only: then nothing was appended.
    async fn record(
        &self,
        viewer: Viewer,
        envelopes: Vec<Bytes>,
        validate_only: bool,
    ) -> Result<Vec<v1::AppendedEvent>, Failure> {
        let onlooker = viewer.into();
        let appended = self.desk.write(async move |node, listener| {
            if validate_only {
                node.validate_for(onlooker, envelopes, &listener).await.map(|()| Vec::new())
            } else {
                node.append_for(onlooker, envelopes, &listener).await
            }
        });
        Ok(appended.await?.into_iter().map(v1::AppendedEvent::from).collect())
    }
}

/// One event was judged as a batch of one; its caller knows of no positions.
fn alone(failure: Failure) -> Failure {
    match failure {
        Failure::Batch(batch) => Failure::Append(batch.error),
        other => other,
    }
}

fn entry_page(
    eyes: Eyes<'_>,
    request: &v1::ListEntriesRequest,
) -> Result<v1::ListEntriesResponse, Failure> {
    let list = List::new("ListEntries", &[&request.from_entry_index.to_be_bytes()]);
    let cursor = list.cursor(&request.page_token)?.map(u64::from_be_bytes);
    let mut next = Some(EntryIndex(cursor.unwrap_or(request.from_entry_index)));
    let mut left = page_size(request.page_size);
    let mut bytes = 0;
    let mut entries = Vec::new();
    // Each round reads at least one entry or leaves, and there are at most `left` to read.
    'page: while let (Some(from), true) = (next, left > 0) {
        let (chunk, behind) = eyes.entries(from, left.min(ENTRY_READ_AHEAD))?;
        for (index, entry) in chunk {
            bytes += entry.len();
            if bytes > MAX_PAGE_BYTES && !entries.is_empty() {
                next = Some(index);
                break 'page;
            }
            entries.push(v1::Entry { entry_index: index.0, entry });
            left = left.saturating_sub(1);
        }
        next = behind;
    }
    let token = next.map(|next| list.token(&next.0.to_be_bytes()));
    Ok(v1::ListEntriesResponse { entries, next_page_token: token.unwrap_or_default() })
}

fn inclusion(
    reader: &Reader,
    request: &v1::GetInclusionProofRequest,
) -> Result<v1::GetInclusionProofResponse, Failure> {
    let (index, size) = (EntryIndex(request.entry_index), EntryCount(request.tree_size));
    if index.0 >= size.0 {
        return Err(Failure::field(
            "tree_size",
            format!("more than entry_index, which is {index}"),
            size.to_string(),
        ));
    }
    let proof = reader.inclusion_proof(index, size)?;
    let proof = proof.ok_or_else(|| missing("tree", &size))?;
    Ok(v1::GetInclusionProofResponse { hashes: raw_hashes(&proof) })
}

fn consistency(
    reader: &Reader,
    request: &v1::GetConsistencyProofRequest,
) -> Result<v1::GetConsistencyProofResponse, Failure> {
    let (old, new) = (EntryCount(request.old_size), EntryCount(request.new_size));
    if old.0 == 0 || old.0 > new.0 {
        return Err(Failure::field(
            "old_size",
            format!("1 to new_size, which is {new}"),
            old.to_string(),
        ));
    }
    let proof = reader.consistency_proof(old, new)?;
    let proof = proof.ok_or_else(|| missing("tree", &new))?;
    Ok(v1::GetConsistencyProofResponse { hashes: raw_hashes(&proof) })
}

fn hash_tile(
    reader: &Reader,
    request: &v1::GetTileRequest,
) -> Result<v1::GetTileResponse, Failure> {
    let Ok(level) = u8::try_from(request.level) else {
        let rule = format!("0 to {}", TILE_LEVELS - 1);
        return Err(Failure::field("level", rule, request.level.to_string()));
    };
    let tile = asked_tile(TileKind::Hashes { level }, request.tile_index, request.width)?;
    let hashes = reader.tile(&tile)?.ok_or_else(|| missing("tile", &tile.path()))?;
    Ok(v1::GetTileResponse { tile: encode_hashes(&hashes).into() })
}

fn entry_bundle(
    reader: &Reader,
    request: &v1::GetEntryBundleRequest,
) -> Result<v1::GetEntryBundleResponse, Failure> {
    let tile = asked_tile(TileKind::Entries, request.bundle_index, request.width)?;
    let entries = reader.bundle(&tile)?.ok_or_else(|| missing("entry bundle", &tile.path()))?;
    Ok(v1::GetEntryBundleResponse { entries })
}

/// The tile that a request is about; a width of 0 is that of a full one.
fn asked_tile(kind: TileKind, index: u64, width: u32) -> Result<Tile, Failure> {
    let wide = if width == 0 { Some(TILE_WIDTH) } else { u16::try_from(width).ok() };
    let wide = wide
        .filter(|wide| *wide <= TILE_WIDTH)
        .ok_or_else(|| Failure::field("width", format!("0 to {TILE_WIDTH}"), width.to_string()))?;
    Tile::new(kind, index, wide).map_err(|fault| match fault {
        TileFault::Level { found } => {
            Failure::field("level", format!("0 to {}", TILE_LEVELS - 1), found.to_string())
        }
        // Beyond any tree is beyond this one.
        TileFault::Index { .. } | TileFault::Width { .. } | TileFault::Path => {
            missing("tile", &index)
        }
    })
}

/// Against which checkpoint a receipt is.
#[derive(Clone, Copy)]
enum Proven {
    /// The one at the end of the entry's group.
    ByLedger,
    /// The newest one with a quorum of cosignatures.
    ByWitnesses,
}

fn receipt(eyes: Eyes<'_>, subject: Option<Subject>, proven: Proven) -> Result<Receipt, Failure> {
    let of = |index| match proven {
        Proven::ByLedger => eyes.reader.receipt(index),
        Proven::ByWitnesses => eyes.reader.cosigned_receipt(index),
    };
    match subject {
        Some(Subject::EventId(bytes)) => {
            let event = needed("event_id", &bytes, EventId::parse)?;
            let found = match eyes.event(event)? {
                Some(record) => of(record.index)?,
                None => None,
            };
            found.ok_or_else(|| missing("event", &event))
        }
        Some(Subject::EntryIndex(index)) => {
            let index = EntryIndex(index);
            let found = if eyes.sees_entry(index)? { of(index)? } else { None };
            found.ok_or_else(|| missing("entry", &index))
        }
        None => Err(Failure::field("subject", "event_id or entry_index", "nothing")),
    }
}
