//! `DraftService`: events that wait for more signatures.

use bytes::Bytes;
use tonic::{Request, Response, Status};

use super::convert::{needed, optional, raw};
use super::desk::{Desk, answer, asker_of, id_of};
use super::errors::Failure;
use super::hush::as_seen;
use super::pages::{List, cut, page_size};
use super::viewer::{Viewer, viewer_of};
use crate::domain::{EventId, KeyId, PartyId};
use crate::ledger::envelope::EnvelopeSignature;
use crate::ledger::keys::SIGNATURE_LEN;
use crate::limits::MAX_DRAFT_SECONDS;
use crate::node::{Asker, Draft, Signed};
use crate::wire::v1;
use crate::wire::v1::draft_service_server::DraftService;

/// The handlers.
#[derive(Debug)]
pub struct DraftDesk(pub Desk);

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl DraftService for DraftDesk {
    async fn create_draft(
        &self,
        request: Request<v1::CreateDraftRequest>,
    ) -> Answer<v1::CreateDraftResponse> {
        let (id, viewer) = (id_of(&request), viewer_of(&request));
        let v1::CreateDraftRequest { envelope, ttl_seconds } = request.into_inner();
        let outcome = self.create(viewer, envelope, ttl_seconds).await;
        answer(id, as_seen(&self.0, viewer, outcome).await)
    }

    async fn get_draft(
        &self,
        request: Request<v1::GetDraftRequest>,
    ) -> Answer<v1::GetDraftResponse> {
        let (id, asker) = (id_of(&request), asker_of(&request));
        answer(id, self.get(&request.into_inner().draft_id, asker).await)
    }

    async fn list_drafts(
        &self,
        request: Request<v1::ListDraftsRequest>,
    ) -> Answer<v1::ListDraftsResponse> {
        let (id, asker) = (id_of(&request), asker_of(&request));
        answer(id, self.list(request.into_inner(), asker).await)
    }

    async fn sign_draft(
        &self,
        request: Request<v1::SignDraftRequest>,
    ) -> Answer<v1::SignDraftResponse> {
        let (id, asker, viewer) = (id_of(&request), asker_of(&request), viewer_of(&request));
        let outcome = self.sign(&request.into_inner(), asker).await;
        answer(id, as_seen(&self.0, viewer, outcome).await)
    }

    async fn delete_draft(
        &self,
        request: Request<v1::DeleteDraftRequest>,
    ) -> Answer<v1::DeleteDraftResponse> {
        let (id, asker) = (id_of(&request), asker_of(&request));
        answer(id, self.delete(&request.into_inner().draft_id, asker).await)
    }
}

impl DraftDesk {
    async fn create(
        &self,
        viewer: Viewer,
        envelope: Bytes,
        ttl_seconds: u32,
    ) -> Result<v1::CreateDraftResponse, Failure> {
        if ttl_seconds > MAX_DRAFT_SECONDS {
            let rule = format!("0 to {MAX_DRAFT_SECONDS}");
            return Err(Failure::field("ttl_seconds", rule, ttl_seconds.to_string()));
        }
        let onlooker = viewer.into();
        let kept =
            self.0.write(async move |node, _| node.propose(onlooker, envelope, ttl_seconds).await);
        Ok(v1::CreateDraftResponse { draft: Some((&kept.await?).into()) })
    }

    async fn get(&self, id: &Bytes, asker: Asker) -> Result<v1::GetDraftResponse, Failure> {
        let id = needed("draft_id", id, EventId::parse)?;
        let found = self.0.node().with_drafts(move |drafts| drafts.get(id, asker)).await?;
        Ok(v1::GetDraftResponse { draft: Some((&found).into()) })
    }

    async fn list(
        &self,
        request: v1::ListDraftsRequest,
        asker: Asker,
    ) -> Result<v1::ListDraftsResponse, Failure> {
        let of = optional("party_id", &request.party_id, PartyId::parse)?;
        let asker = match (asker, of) {
            (Asker::Operator, Some(party)) => Asker::Party(party),
            // Another party's drafts are not there for this one.
            (Asker::Party(own), Some(party)) if party != own => {
                return Ok(v1::ListDraftsResponse::default());
            }
            (asker, _) => asker,
        };
        let is_unsigned_only = [u8::from(request.unsigned_only)];
        let list = List::new("ListDrafts", &[&request.party_id, &is_unsigned_only]);
        let after = list.cursor(&request.page_token)?.map(EventId::from_bytes);
        let size = page_size(request.page_size);
        let one_more = size.saturating_add(1);
        let found = self.0.node().with_drafts(move |it| it.list(after, one_more, asker)).await?;
        let mut drafts = found.iter().map(v1::Draft::from).collect();
        let end = cut(&mut drafts, size).and_then(|at| found.get(at));
        let next_page_token = end.map(|draft| list.token(draft.event.id.as_bytes()));
        if let (true, Asker::Party(party)) = (request.unsigned_only, asker) {
            // A page may be empty although the list goes on, as with every filter.
            let has_signed = |draft: &v1::Draft| {
                draft.signatures.iter().any(|it| it.party_id == party.as_bytes()[..])
            };
            drafts.retain(|draft| !has_signed(draft));
        }
        Ok(v1::ListDraftsResponse { drafts, next_page_token: next_page_token.unwrap_or_default() })
    }

    async fn sign(
        &self,
        request: &v1::SignDraftRequest,
        asker: Asker,
    ) -> Result<v1::SignDraftResponse, Failure> {
        let id = needed("draft_id", &request.draft_id, EventId::parse)?;
        let key = exact("key_id", &request.key_id).map(KeyId)?;
        let signature: [u8; SIGNATURE_LEN] = exact("signature", &request.signature)?;
        let signature = EnvelopeSignature { key, signature };
        let signed = self.0.write(async move |node, _| node.sign_draft(id, signature, asker).await);
        Ok(match signed.await? {
            Signed::Waits(draft) => {
                v1::SignDraftResponse { draft: Some((&*draft).into()), appended: None }
            }
            Signed::Recorded(appended) => {
                v1::SignDraftResponse { draft: None, appended: Some(appended.into()) }
            }
        })
    }

    async fn delete(&self, id: &Bytes, asker: Asker) -> Result<v1::DeleteDraftResponse, Failure> {
        let id = needed("draft_id", id, EventId::parse)?;
        self.0.node().with_drafts(move |drafts| drafts.discard(id, asker)).await?;
        Ok(v1::DeleteDraftResponse {})
    }
}

/// Bytes of exactly one length.
pub(super) fn exact<const N: usize>(field: &str, bytes: &[u8]) -> Result<[u8; N], Failure> {
    let found = format!("{} bytes", bytes.len());
    bytes.try_into().map_err(|_| Failure::field(field, format!("has exactly {N} bytes"), found))
}

impl From<&Draft> for v1::Draft {
    fn from(draft: &Draft) -> Self {
        let signatures = draft.envelope.signatures.iter().zip(&draft.signed_by);
        let signatures = signatures.map(|(signature, party)| v1::DraftSignature {
            party_id: raw(party.as_bytes()),
            key_id: raw(signature.key.as_bytes()),
        });
        let slip = &draft.slip;
        Self {
            draft_id: raw(draft.event.id.as_bytes()),
            payload: draft.envelope.payload.clone(),
            kind: draft.event.body.kind().number().into(),
            proposed_by_party_id: raw(slip.proposed_by.as_bytes()),
            required_party_ids: slip.required.iter().map(|party| raw(party.as_bytes())).collect(),
            signatures: signatures.collect(),
            created_at_ms: slip.created_at.get(),
            expires_at_ms: slip.expires_at.get(),
        }
    }
}
