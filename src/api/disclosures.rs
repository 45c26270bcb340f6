//! `DisclosureService`: the openings of commitments, for those who may read them.

use std::collections::BTreeSet;

use bytes::Bytes;
use tonic::{Request, Response, Status};

use super::convert::{needed, raw};
use super::desk::{Desk, answer, asker_of, id_of};
use super::drafts::exact;
use super::errors::Failure;
use crate::domain::{EventId, Hash32, PartyId};
use crate::limits::{MAX_FACT_BYTES, MAX_OPENING_READERS};
use crate::node::{Asker, Opening, OpeningFault, Vault};
use crate::wire::v1;
use crate::wire::v1::disclosure_service_server::DisclosureService;

/// The handlers.
#[derive(Debug)]
pub struct DisclosureDesk(pub Desk);

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl DisclosureService for DisclosureDesk {
    async fn deposit_opening(
        &self,
        request: Request<v1::DepositOpeningRequest>,
    ) -> Answer<v1::DepositOpeningResponse> {
        let (id, asker) = (id_of(&request), asker_of(&request));
        answer(id, self.deposit(request.into_inner(), asker).await)
    }

    async fn get_opening(
        &self,
        request: Request<v1::GetOpeningRequest>,
    ) -> Answer<v1::GetOpeningResponse> {
        let (id, asker) = (id_of(&request), asker_of(&request));
        let v1::GetOpeningRequest { event_id, commitment_sha256 } = request.into_inner();
        let read = async {
            let (event, commitment) = subject(&event_id, &commitment_sha256)?;
            let found = self.vault(move |vault| vault.read(asker, event, commitment)).await?;
            Ok(v1::GetOpeningResponse { opening: Some(shown(&found, asker)) })
        };
        answer(id, read.await)
    }

    async fn list_openings(
        &self,
        request: Request<v1::ListOpeningsRequest>,
    ) -> Answer<v1::ListOpeningsResponse> {
        let (id, asker) = (id_of(&request), asker_of(&request));
        let event_id = request.into_inner().event_id;
        let read = async {
            let event = needed("event_id", &event_id, EventId::parse)?;
            let found = self.vault(move |vault| vault.list(asker, event)).await?;
            let openings = found.iter().map(|opening| shown(opening, asker)).collect();
            Ok(v1::ListOpeningsResponse { openings })
        };
        answer(id, read.await)
    }

    async fn update_opening_readers(
        &self,
        request: Request<v1::UpdateOpeningReadersRequest>,
    ) -> Answer<v1::UpdateOpeningReadersResponse> {
        let (id, asker) = (id_of(&request), asker_of(&request));
        let request = request.into_inner();
        let change = async {
            let (event, commitment) = subject(&request.event_id, &request.commitment_sha256)?;
            let readers = readers(&request.reader_party_ids)?;
            self.vault(move |it| it.set_readers(asker, event, commitment, readers)).await?;
            Ok(v1::UpdateOpeningReadersResponse {})
        };
        answer(id, change.await)
    }

    async fn erase_opening(
        &self,
        request: Request<v1::EraseOpeningRequest>,
    ) -> Answer<v1::EraseOpeningResponse> {
        let (id, asker) = (id_of(&request), asker_of(&request));
        let v1::EraseOpeningRequest { event_id, commitment_sha256 } = request.into_inner();
        let change = async {
            let (event, commitment) = subject(&event_id, &commitment_sha256)?;
            self.vault(move |vault| vault.erase(asker, event, commitment)).await?;
            Ok(v1::EraseOpeningResponse {})
        };
        answer(id, change.await)
    }
}

impl DisclosureDesk {
    async fn deposit(
        &self,
        request: v1::DepositOpeningRequest,
        asker: Asker,
    ) -> Result<v1::DepositOpeningResponse, Failure> {
        let event = needed("event_id", &request.event_id, EventId::parse)?;
        let salt = exact("salt", &request.salt)?;
        let readers = readers(&request.reader_party_ids)?;
        let fact = request.fact.to_vec();
        if fact.is_empty() || fact.len() > MAX_FACT_BYTES {
            let rule = format!("1 to {MAX_FACT_BYTES} bytes");
            return Err(Failure::field("fact", rule, format!("{} bytes", fact.len())));
        }
        let deposit = move |vault: &Vault| vault.deposit(asker, event, salt, fact, readers);
        let commitment = self.vault(deposit).await?;
        Ok(v1::DepositOpeningResponse { commitment_sha256: raw(commitment.as_bytes()) })
    }

    async fn vault<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Vault) -> Result<T, OpeningFault> + Send + 'static,
    ) -> Result<T, Failure> {
        let done = self.0.node().with_vault(work).await.ok_or(Failure::WorkerLost)?;
        done.map_err(Failure::from)
    }
}

fn subject(event: &Bytes, commitment: &Bytes) -> Result<(EventId, Hash32), Failure> {
    let event = needed("event_id", event, EventId::parse)?;
    Ok((event, Hash32(exact("commitment_sha256", commitment)?)))
}

fn readers(given: &[Bytes]) -> Result<Vec<PartyId>, Failure> {
    if given.len() > MAX_OPENING_READERS {
        let rule = format!("at most {MAX_OPENING_READERS}");
        return Err(Failure::field("reader_party_ids", rule, given.len().to_string()));
    }
    let each = given.iter().map(|id| needed("reader_party_ids", id, PartyId::parse));
    let sorted: BTreeSet<PartyId> = each.collect::<Result<_, _>>()?;
    Ok(sorted.into_iter().collect())
}

/// An opening as the asker sees it: who else may read it is its depositor's business.
fn shown(opening: &Opening, asker: Asker) -> v1::Opening {
    let is_own = match asker {
        Asker::Party(party) => party == opening.deposited_by,
        Asker::Operator => true,
    };
    let readers = opening.readers.iter().filter(|_| is_own);
    v1::Opening {
        event_id: raw(opening.event.as_bytes()),
        commitment_sha256: raw(opening.commitment.as_bytes()),
        salt: raw(&opening.salt),
        fact: raw(&opening.fact),
        reader_party_ids: readers.map(|party| raw(party.as_bytes())).collect(),
        deposited_by_party_id: raw(opening.deposited_by.as_bytes()),
    }
}
