//! Co-signing: an event that two parties sign, from the first signature to the receipt.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

#[path = "common/forge.rs"]
#[allow(dead_code, reason = "the forged ledgers are other tests'")]
mod forge;
#[path = "common/forge_world.rs"]
#[allow(dead_code, reason = "the forged ledgers are other tests'")]
mod forge_world;
#[path = "common/grpc_kit.rs"]
#[allow(dead_code, reason = "each test uses its part of the kit")]
mod grpc_kit;

use std::time::Duration;

use bytes::Bytes;
use forge::{payload, secret, seed_of};
use forge_world::{COLLECTOR, COORD, LAB, SMELTER, accept, offering};
use grpc_kit::{Kit, check_receipt, raw, sealed, signed, told};
use tonic::transport::Channel;
use urbanmine::domain::event::SettleDiscrepancy;
use urbanmine::domain::vocabulary::TransferReason;
use urbanmine::domain::{Body, Event, EventId, Grams, LotId, PartyId};
use urbanmine::ledger::envelope::{EVENT_PAYLOAD_TYPE, pae};
use urbanmine::limits::{MAX_DRAFT_SECONDS, MAX_DRAFTS_PER_PARTY};
use urbanmine::node::{Asker, DraftFault};
use urbanmine::wire::v1;
use urbanmine::wire::v1::draft_service_client::DraftServiceClient;

const SENT: u64 = 100_000;
const ARRIVED: u64 = 90_000;

/// A ledger with one transfer of which a tenth did not arrive.
struct Scene {
    kit: Kit,
    drafts: DraftServiceClient<Channel>,
    offer: EventId,
    lot: LotId,
}

impl Scene {
    async fn new() -> Self {
        let mut kit = Kit::start().await;
        let lot = kit.copper(COLLECTOR, SENT).await;
        let offer = Body::OfferTransfer(offering(lot, SENT, SMELTER));
        let offer = kit.say(COLLECTOR, offer).await;
        kit.say(SMELTER, accept(offer, ARRIVED, None)).await;
        let drafts = DraftServiceClient::new(kit.channel.clone());
        Self { kit, drafts, offer, lot }
    }

    /// A settlement that a party proposes.
    fn settlement(&mut self, by: PartyId, agreed: u64) -> Event {
        let body = Body::SettleDiscrepancy(SettleDiscrepancy {
            offer: self.offer,
            agreed: Grams::of(agreed),
            cause: TransferReason::Quantity,
        });
        self.kit.event(by, body)
    }

    async fn propose(&mut self, event: &Event, ttl: u32) -> Result<v1::Draft, tonic::Status> {
        let envelope = signed(event);
        let request = v1::CreateDraftRequest { envelope, ttl_seconds: ttl };
        Ok(self.drafts.create_draft(request).await?.into_inner().draft.unwrap())
    }

    async fn sign(
        &mut self,
        draft: &v1::Draft,
        party: PartyId,
    ) -> Result<v1::SignDraftResponse, tonic::Status> {
        let request = signature(draft, seed_of(party), &draft.payload);
        Ok(self.drafts.sign_draft(request).await?.into_inner())
    }

    async fn ids(&mut self, party: PartyId, unsigned_only: bool) -> Vec<Bytes> {
        let request = v1::ListDraftsRequest {
            party_id: raw(party.as_bytes()),
            unsigned_only,
            ..v1::ListDraftsRequest::default()
        };
        let page = self.drafts.list_drafts(request).await.unwrap().into_inner();
        page.drafts.into_iter().map(|draft| draft.draft_id).collect()
    }

    async fn size(&mut self) -> u64 {
        self.kit.checkpoint().await.size.0
    }
}

/// A signature of a draft over some bytes.
fn signature(draft: &v1::Draft, seed: u8, over: &[u8]) -> v1::SignDraftRequest {
    let key = secret(seed);
    v1::SignDraftRequest {
        draft_id: draft.draft_id.clone(),
        key_id: raw(key.key_id().as_bytes()),
        signature: raw(&key.sign(&pae(EVENT_PAYLOAD_TYPE, over))),
    }
}

fn reason(status: &tonic::Status) -> String {
    told(status).reason
}

#[tokio::test(flavor = "multi_thread")]
async fn two_parties_settle_and_both_hold_the_receipt() {
    let mut scene = Scene::new().await;
    let event = scene.settlement(COLLECTOR, 95_000);
    let before = scene.size().await;
    let draft = scene.propose(&event, 0).await.unwrap();
    assert_eq!(draft.payload, payload(&event));
    assert_eq!(draft.required_party_ids, [raw(COLLECTOR.as_bytes()), raw(SMELTER.as_bytes())]);
    assert_eq!(draft.proposed_by_party_id, raw(COLLECTOR.as_bytes()));
    assert_eq!(draft.signatures.len(), 1);
    assert_eq!(draft.expires_at_ms - draft.created_at_ms, 7 * 24 * 3_600_000);
    assert_eq!(scene.size().await, before, "a draft is no entry");

    // The same bytes again are the same draft; the other side finds it among those it has to sign.
    assert_eq!(scene.propose(&event, 0).await.unwrap(), draft);
    assert_eq!(scene.ids(SMELTER, true).await, std::slice::from_ref(&draft.draft_id));
    assert_eq!(scene.ids(COLLECTOR, true).await, Vec::<Bytes>::new());
    assert_eq!(scene.ids(COLLECTOR, false).await, std::slice::from_ref(&draft.draft_id));
    assert!(scene.ids(LAB, false).await.is_empty());

    let request = v1::GetDraftRequest { draft_id: draft.draft_id.clone() };
    let found = scene.drafts.get_draft(request.clone()).await.unwrap().into_inner().draft;
    assert_eq!(found.as_ref(), Some(&draft));

    let appended = scene.sign(&draft, SMELTER).await.unwrap().appended.unwrap();
    assert_eq!(appended.entry_index, before);
    let verified = check_receipt(&appended.receipt);
    let both = sealed(payload(&event).to_vec(), &[seed_of(COLLECTOR), seed_of(SMELTER)]);
    assert_eq!(verified.entry().envelope, both, "the bytes as both signed them");
    assert_eq!(scene.kit.lot_now(scene.lot).await.remaining_mass_g, 95_000);

    // The draft is gone, and its event has a receipt for whoever asks by its id.
    let gone = scene.drafts.get_draft(request).await.unwrap_err();
    assert_eq!(reason(&gone), "NOT_FOUND");
    assert!(scene.ids(SMELTER, false).await.is_empty());
    let subject = v1::get_receipt_request::Subject::EventId(draft.draft_id.clone());
    let request = v1::GetReceiptRequest { subject: Some(subject) };
    let receipt = scene.kit.ledger.get_receipt(request).await.unwrap().into_inner().receipt;
    assert_eq!(receipt, appended.receipt);
    scene.kit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_those_who_sign_see_a_draft() {
    let mut scene = Scene::new().await;
    let event = scene.settlement(COLLECTOR, 95_000);
    scene.propose(&event, 0).await.unwrap();
    let id = event.id;
    for (party, sees) in [(COLLECTOR, true), (SMELTER, true), (LAB, false), (COORD, false)] {
        let asker = Asker::Party(party);
        let node = scene.kit.node().clone();
        let found = node.with_drafts(move |drafts| drafts.get(id, asker)).await;
        assert_eq!(found.is_ok(), sees, "{party}");
        let listed = node.with_drafts(move |drafts| drafts.list(None, 10, asker)).await;
        assert_eq!(listed.unwrap().len(), usize::from(sees), "{party}");
        if !sees {
            let ended = node.with_drafts(move |drafts| drafts.discard(id, asker)).await;
            // The answer is that of a draft that never was.
            assert!(matches!(ended, Err(DraftFault::Unknown(it)) if it == id));
            assert!(matches!(found, Err(DraftFault::Unknown(it)) if it == id));
        }
    }
    scene.kit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_rules_refuse_is_refused_when_it_is_proposed() {
    let mut scene = Scene::new().await;
    let before = scene.size().await;
    // More than was sent, and an event that one party signs.
    let event = scene.settlement(COLLECTOR, SENT + 1);
    let refusal = scene.propose(&event, 0).await.unwrap_err();
    assert_eq!(reason(&refusal), "TRANSFER_MASS_EXCEEDED");
    let alone = scene.kit.event(COLLECTOR, Body::OfferTransfer(offering(scene.lot, 1, SMELTER)));
    assert_eq!(reason(&scene.propose(&alone, 0).await.unwrap_err()), "DRAFT_NOT_NEEDED");

    // Signed by somebody whom it is no business of, or by both at once.
    let event = scene.settlement(COLLECTOR, 95_000);
    let rows: [(&[u8], &str); 2] = [
        (&[seed_of(LAB)], "SIGNER_UNEXPECTED"),
        (&[seed_of(COLLECTOR), seed_of(SMELTER)], "DRAFT_NOT_NEEDED"),
    ];
    for (seeds, expected) in rows {
        let envelope = sealed(payload(&event).to_vec(), seeds);
        let request = v1::CreateDraftRequest { envelope, ttl_seconds: 0 };
        let refusal = scene.drafts.create_draft(request).await.unwrap_err();
        assert_eq!(reason(&refusal), expected);
    }
    let refusal = told(&scene.propose(&event, MAX_DRAFT_SECONDS + 1).await.unwrap_err());
    assert_eq!(
        (refusal.reason.as_str(), refusal.fields),
        ("REQUEST_INVALID", vec!["ttl_seconds".to_owned()])
    );

    // The same id with other bytes.
    scene.propose(&event, 0).await.unwrap();
    let mut other = event.clone();
    other.external_ref = "another".to_owned();
    assert_eq!(reason(&scene.propose(&other, 0).await.unwrap_err()), "DRAFT_CONFLICT");
    assert_eq!(scene.size().await, before);
    scene.kit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_that_does_not_count_changes_nothing() {
    let mut scene = Scene::new().await;
    let event = scene.settlement(SMELTER, 95_000);
    let draft = scene.propose(&event, 0).await.unwrap();
    let mut foreign = signature(&draft, seed_of(COLLECTOR), &draft.payload);
    foreign.key_id = raw(&[9; 32]);
    let rows = [
        (signature(&draft, seed_of(COLLECTOR), b"other bytes"), "SIGNATURE_INVALID"),
        (signature(&draft, seed_of(LAB), &draft.payload), "SIGNER_UNEXPECTED"),
        (foreign, "KEY_UNKNOWN"),
    ];
    for (request, expected) in rows {
        let refusal = scene.drafts.sign_draft(request).await.unwrap_err();
        assert_eq!(reason(&refusal), expected);
    }
    // Its own signature again is no second one.
    let again = scene.sign(&draft, SMELTER).await.unwrap();
    assert_eq!((again.appended, again.draft), (None, Some(draft.clone())));
    assert!(scene.sign(&draft, COLLECTOR).await.unwrap().appended.is_some());
    scene.kit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_ends_by_its_time_or_by_hand() {
    let mut scene = Scene::new().await;
    let short = scene.settlement(COLLECTOR, 95_000);
    let draft = scene.propose(&short, 1).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    assert_eq!(reason(&scene.sign(&draft, SMELTER).await.unwrap_err()), "NOT_FOUND");

    let other = scene.settlement(COLLECTOR, 96_000);
    let draft = scene.propose(&other, 0).await.unwrap();
    let request = v1::DeleteDraftRequest { draft_id: draft.draft_id.clone() };
    scene.drafts.delete_draft(request.clone()).await.unwrap();
    assert_eq!(reason(&scene.drafts.delete_draft(request).await.unwrap_err()), "NOT_FOUND");
    assert_eq!(reason(&scene.sign(&draft, SMELTER).await.unwrap_err()), "NOT_FOUND");
    let drawer = scene.kit.folder().join("data/drafts");
    assert_eq!(std::fs::read_dir(drawer).unwrap().count(), 0, "nothing of them is left on disk");
    scene.kit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_party_does_not_fill_the_drawer() {
    let mut scene = Scene::new().await;
    for number in 0..MAX_DRAFTS_PER_PARTY {
        let event = scene.settlement(COLLECTOR, 50_000 + u64::try_from(number).unwrap());
        scene.propose(&event, 0).await.unwrap();
    }
    let event = scene.settlement(COLLECTOR, 95_000);
    let refusal = told(&scene.propose(&event, 0).await.unwrap_err());
    assert_eq!(refusal.reason, "DRAFTS_FULL");
    assert_eq!(refusal.metadata["limit"], MAX_DRAFTS_PER_PARTY.to_string());
    // The other party is not kept from proposing, and pages lead through all of them.
    let event = scene.settlement(SMELTER, 95_000);
    scene.propose(&event, 0).await.unwrap();
    let (mut seen, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListDraftsRequest {
            page_size: 100,
            page_token,
            party_id: raw(SMELTER.as_bytes()),
            unsigned_only: false,
        };
        let page = scene.drafts.list_drafts(request).await.unwrap().into_inner();
        seen.extend(page.drafts.into_iter().map(|draft| draft.draft_id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(seen.len(), MAX_DRAFTS_PER_PARTY + 1);
    assert!(seen.is_sorted());
    scene.kit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_at_the_last_signature_leaves_the_draft() {
    let mut scene = Scene::new().await;
    let first = scene.settlement(COLLECTOR, 95_000);
    let second = scene.settlement(COLLECTOR, 96_000);
    let kept = scene.propose(&second, 0).await.unwrap();
    let draft = scene.propose(&first, 0).await.unwrap();
    assert!(scene.sign(&draft, SMELTER).await.unwrap().appended.is_some());
    // Settled meanwhile: the second one has all its signatures, and the ledger refuses it.
    let refusal = scene.sign(&kept, SMELTER).await.unwrap_err();
    assert_eq!(reason(&refusal), "TRANSFER_STATE_MISMATCH");
    assert_eq!(scene.ids(SMELTER, false).await, std::slice::from_ref(&kept.draft_id));
    let request = v1::DeleteDraftRequest { draft_id: kept.draft_id };
    scene.drafts.delete_draft(request).await.unwrap();
    scene.kit.stop().await;
}
