//! Private facts: who may read the opening of a commitment, and that erasing it breaks no proof.

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

use std::path::Path;

use bytes::Bytes;
use forge_world::{COLLECTOR, COORD, COPPER, LAB, SMELTER, collecting, new_lot};
use grpc_kit::{Kit, check_receipt, raw, told};
use tonic::transport::Channel;
use urbanmine::domain::event::Commitment;
use urbanmine::domain::vocabulary::CommitmentKind;
use urbanmine::domain::{Body, EventId, Hash32, PartyId};
use urbanmine::limits::{MAX_FACT_BYTES, MAX_OPENING_READERS};
use urbanmine::node::vault::commitment_of;
use urbanmine::node::{Asker, Opening, OpeningFault};
use urbanmine::wire::v1;
use urbanmine::wire::v1::disclosure_service_client::DisclosureServiceClient;

const SELLER: &[u8] = "卖方：赣州市某某废旧物资回收站 / seller 0042".as_bytes();
const PRICE: &[u8] = b"CNY 68,250.00 per tonne";
const SALT: [u8; 32] = [0x5a; 32];
const OTHER_SALT: [u8; 32] = [0xa5; 32];

/// A ledger with one collection whose seller and price are committed to.
struct Scene {
    kit: Kit,
    client: DisclosureServiceClient<Channel>,
    event: EventId,
    receipt: String,
}

impl Scene {
    async fn new() -> Self {
        let mut kit = Kit::start().await;
        let lot = kit.lot();
        let mut collect = collecting(new_lot(lot, COPPER, 1_000));
        collect.seller_commitment = seller();
        let mut event = kit.event(COLLECTOR, Body::CollectLot(Box::new(collect)));
        event.commitments = vec![Commitment { kind: CommitmentKind::Price, sha256: price() }];
        let receipt = kit.append(&event).await.receipt;
        let client = DisclosureServiceClient::new(kit.channel.clone());
        Self { kit, client, event: event.id, receipt }
    }

    async fn deposit(
        &mut self,
        salt: [u8; 32],
        fact: &[u8],
        readers: &[PartyId],
    ) -> Result<Bytes, tonic::Status> {
        let request = v1::DepositOpeningRequest {
            event_id: raw(self.event.as_bytes()),
            salt: raw(&salt),
            fact: raw(fact),
            reader_party_ids: readers.iter().map(|it| raw(it.as_bytes())).collect(),
        };
        let reply = self.client.deposit_opening(request).await?;
        Ok(reply.into_inner().commitment_sha256)
    }

    async fn read_as(&self, party: PartyId, which: Hash32) -> Result<Opening, OpeningFault> {
        let event = self.event;
        let read = self.kit.node().with_vault(move |it| it.read(Asker::Party(party), event, which));
        read.await.unwrap()
    }

    async fn list_as(&self, party: PartyId) -> Vec<Vec<u8>> {
        let event = self.event;
        let list = self.kit.node().with_vault(move |it| it.list(Asker::Party(party), event));
        list.await.unwrap().unwrap().into_iter().map(|it| it.fact).collect()
    }
}

fn seller() -> Hash32 {
    commitment_of(&SALT, SELLER)
}

fn price() -> Hash32 {
    commitment_of(&OTHER_SALT, PRICE)
}

/// Whether a text stands in any file below a folder.
fn stands_in(folder: &Path, text: &[u8]) -> bool {
    std::fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return stands_in(&path, text);
        }
        std::fs::read(&path).unwrap().windows(text.len()).any(|window| window == text)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opening_is_kept_for_those_who_were_chosen() {
    let mut scene = Scene::new().await;
    let which = scene.deposit(SALT, SELLER, &[SMELTER]).await.unwrap();
    assert_eq!(which, raw(seller().as_bytes()));
    scene.deposit(OTHER_SALT, PRICE, &[]).await.unwrap();

    // The depositor and the chosen reader read; a coordinator, who sees the whole ledger, does not.
    let opening = scene.read_as(SMELTER, seller()).await.unwrap();
    assert_eq!((&opening.fact[..], opening.salt), (SELLER, SALT));
    assert_eq!(opening.deposited_by, COLLECTOR);
    assert_eq!(scene.read_as(COLLECTOR, price()).await.unwrap().fact, PRICE);
    for (party, which) in [(SMELTER, price()), (COORD, seller()), (LAB, seller())] {
        let refused = scene.read_as(party, which).await;
        assert!(matches!(refused, Err(OpeningFault::Unknown { .. })), "{party}: {refused:?}");
    }
    // In the order of the commitments, and only what is for the asker.
    assert_eq!(scene.list_as(COLLECTOR).await, [PRICE, SELLER]);
    assert_eq!(scene.list_as(SMELTER).await, [SELLER]);
    assert!(scene.list_as(LAB).await.is_empty());

    // Over the wire, as whoever sits at the node.
    let event_id = raw(scene.event.as_bytes());
    let request = v1::ListOpeningsRequest { event_id: event_id.clone() };
    let listed = scene.client.list_openings(request).await.unwrap().into_inner().openings;
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[1].reader_party_ids, [raw(SMELTER.as_bytes())]);
    let request = v1::GetOpeningRequest { event_id, commitment_sha256: raw(price().as_bytes()) };
    let found = scene.client.get_opening(request).await.unwrap().into_inner().opening.unwrap();
    assert_eq!((&found.fact[..], &found.salt[..]), (PRICE, &OTHER_SALT[..]));
    scene.kit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_the_event_committed_to_is_kept() {
    let mut scene = Scene::new().await;
    let rows: [(&[u8], [u8; 32]); 3] = [(PRICE, SALT), (SELLER, OTHER_SALT), (b"a lie", SALT)];
    for (fact, salt) in rows {
        let refusal = told(&scene.deposit(salt, fact, &[]).await.unwrap_err());
        assert_eq!(refusal.reason, "OPENING_MISMATCH");
        assert_eq!(refusal.metadata["found"], commitment_of(&salt, fact).to_string());
    }
    for fact in [Vec::new(), vec![7; MAX_FACT_BYTES + 1]] {
        let refusal = told(&scene.deposit(SALT, &fact, &[]).await.unwrap_err());
        assert_eq!(
            (refusal.reason.as_str(), &refusal.fields[..]),
            ("REQUEST_INVALID", &["fact".to_owned()][..])
        );
    }
    let crowd = vec![SMELTER; MAX_OPENING_READERS + 1];
    let refusal = told(&scene.deposit(SALT, SELLER, &crowd).await.unwrap_err());
    assert_eq!(refusal.fields, ["reader_party_ids"]);
    let nowhere = v1::DepositOpeningRequest {
        event_id: raw(EventId::from_bytes(grpc_kit::uuid(7_777)).as_bytes()),
        salt: raw(&SALT),
        fact: raw(SELLER),
        reader_party_ids: Vec::new(),
    };
    let refusal = told(&scene.client.deposit_opening(nowhere).await.unwrap_err());
    assert_eq!(refusal.reason, "NOT_FOUND");

    // Another party cannot deposit for the one that acted, even if it knows salt and fact.
    let event = scene.event;
    let deposit = scene.kit.node().with_vault(move |vault| {
        vault.deposit(Asker::Party(SMELTER), event, SALT, SELLER.to_vec(), Vec::new())
    });
    assert!(matches!(deposit.await.unwrap(), Err(OpeningFault::EventUnknown(it)) if it == event));
    assert!(scene.list_as(COLLECTOR).await.is_empty());
    scene.kit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_are_changed_by_the_depositor_alone() {
    let mut scene = Scene::new().await;
    scene.deposit(SALT, SELLER, &[SMELTER]).await.unwrap();
    let event = scene.event;
    let set = |asker, readers: Vec<PartyId>| {
        let node = scene.kit.node().clone();
        async move {
            let done = node.with_vault(move |it| it.set_readers(asker, event, seller(), readers));
            done.await.unwrap()
        }
    };
    assert!(set(Asker::Party(SMELTER), vec![SMELTER, LAB]).await.is_err());
    set(Asker::Party(COLLECTOR), vec![LAB]).await.unwrap();
    assert!(scene.read_as(SMELTER, seller()).await.is_err());
    assert_eq!(scene.read_as(LAB, seller()).await.unwrap().fact, SELLER);
    scene.kit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn erasing_leaves_no_fact_and_every_proof() {
    let mut scene = Scene::new().await;
    scene.deposit(SALT, SELLER, &[SMELTER]).await.unwrap();
    scene.deposit(OTHER_SALT, PRICE, &[]).await.unwrap();
    let folder = scene.kit.folder().to_owned();
    assert!(stands_in(&folder, SELLER) && stands_in(&folder, PRICE));

    let request = v1::EraseOpeningRequest {
        event_id: raw(scene.event.as_bytes()),
        commitment_sha256: raw(seller().as_bytes()),
    };
    // A reader cannot erase; the depositor, or whoever sits at the node, can; once.
    let event = scene.event;
    let erase = move |asker| move |it: &urbanmine::node::Vault| it.erase(asker, event, seller());
    let refused = scene.kit.node().with_vault(erase(Asker::Party(SMELTER))).await.unwrap();
    assert!(matches!(refused, Err(OpeningFault::Unknown { .. })));
    scene.client.erase_opening(request.clone()).await.unwrap();
    let again = told(&scene.client.erase_opening(request).await.unwrap_err());
    assert_eq!(again.reason, "NOT_FOUND");

    assert!(!stands_in(&folder, SELLER), "the fact is still on disk");
    assert!(!stands_in(&folder, &SALT), "the salt is still on disk");
    assert_eq!(scene.list_as(COLLECTOR).await, [PRICE]);
    // The receipt is the same and verifies; the entry still holds the commitment.
    let verified = check_receipt(&scene.receipt);
    let request = v1::GetReceiptRequest {
        subject: Some(v1::get_receipt_request::Subject::EventId(raw(scene.event.as_bytes()))),
    };
    let served = scene.kit.ledger.get_receipt(request).await.unwrap().into_inner().receipt;
    assert_eq!(served, scene.receipt);
    let holds = verified.entry().envelope.windows(32).any(|window| window == seller().as_bytes());
    assert!(holds, "the commitment stands in the entry");
    scene.kit.stop().await;
}
