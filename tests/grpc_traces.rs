//! Traces over real gRPC: categories, possible ranges, pages of one history, and recalls.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

#[path = "common/forge.rs"]
#[allow(dead_code, reason = "the forged ledgers are other tests'")]
mod forge;
#[path = "common/forge_world.rs"]
#[allow(dead_code, reason = "the forged ledgers are other tests'")]
mod forge_world;
#[path = "common/grpc_kit.rs"]
#[allow(dead_code, reason = "each test uses its part of the kit")]
mod kit;

use bytes::Bytes;
use forge::site;
use forge_world::{
    COLLECTOR, COPPER, SMELTER, accept, collect, draw, error, made, new_lot, offering, split,
};
use kit::{Kit, bearer, raw, told};
use tonic::Request;
use urbanmine::domain::event::MergeLots;
use urbanmine::domain::vocabulary::OriginKind;
use urbanmine::domain::{Body, LotId, PartyId};
use urbanmine::wire::v1;
use urbanmine::wire::v1::lot_service_client::LotServiceClient;

/// One lot split; one half to the smelter and merged with what the smelter imported.
struct Story {
    kit: Kit,
    whole: LotId,
    halves: [LotId; 2],
    imported: LotId,
    pooled: LotId,
}

async fn story() -> Story {
    let mut kit = Kit::start().await;
    let whole = kit.copper(COLLECTOR, 1_000_000).await;
    let halves = [kit.lot(), kit.lot()];
    let parts = [draw(halves[0], 600_000), draw(halves[1], 400_000)];
    kit.say(COLLECTOR, split(whole, &parts)).await;
    let offer = Body::OfferTransfer(offering(halves[0], 600_000, SMELTER));
    let offer = kit.say(COLLECTOR, offer).await;
    kit.say(SMELTER, accept(offer, 600_000, None)).await;
    let imported = kit.lot();
    let mut new = new_lot(imported, COPPER, 200_000);
    new.origin_kind = Some(OriginKind::ImportedRawMaterial);
    kit.say(SMELTER, collect(new)).await;
    let pooled = kit.lot();
    let merge = MergeLots {
        parents: vec![draw(halves[0], 600_000), draw(imported, 100_000)],
        output: made(pooled, COPPER, 700_000),
    };
    kit.say(SMELTER, Body::MergeLots(Box::new(merge))).await;
    Story { kit, whole, halves, imported, pooled }
}

fn id(lot: LotId) -> Bytes {
    raw(lot.as_bytes())
}

fn asked<T>(party: PartyId, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", bearer(party).parse().unwrap());
    request
}

#[tokio::test(flavor = "multi_thread")]
async fn categories_and_ranges_of_a_lot() {
    let mut story = story().await;
    let parts = [story.kit.lot(), story.kit.lot()];
    let body = split(story.pooled, &[draw(parts[0], 650_000), draw(parts[1], 50_000)]);
    story.kit.say(SMELTER, body).await;
    let request = v1::TraceOriginsRequest {
        lot_id: id(parts[0]),
        with_range: true,
        ..v1::TraceOriginsRequest::default()
    };
    let trace = story.kit.lots.trace_origins(request.clone()).await.unwrap().into_inner();
    let now = trace.now.unwrap();
    let sums = now.categories.unwrap();
    // 650,000 of 600,000 post-consumer and 100,000 imported: 557,142.86 and 92,857.14.
    assert_eq!((sums.recycled_g, sums.imported_g), (557_143, 92_857));
    assert_eq!(sums.recycled_content_g, 650_000);
    assert_eq!((sums.primary_g, sums.unknown_g, sums.uptake_g, sums.pending_g), (0, 0, 0, 0));
    let kinds: Vec<_> = sums.kinds.iter().map(|it| (it.origin_kind(), it.mass_g)).collect();
    let (bought, imported) = (v1::OriginKind::PostConsumer, v1::OriginKind::ImportedRawMaterial);
    assert_eq!(kinds, [(bought, 557_143), (imported, 92_857)]);
    assert!(sums.kinds.iter().all(|it| it.is_recycled));
    let range = |lot: LotId| {
        let share = now.shares.iter().find(|it| it.lot_id == id(lot)).unwrap();
        (share.least_g, share.most_g)
    };
    assert_eq!(range(story.whole), (Some(550_000), Some(600_000)));
    assert_eq!(range(story.imported), (Some(50_000), Some(100_000)));

    // A party is told what it may see and no ranges.
    let door = story.kit.asking_door(&[SMELTER]).await;
    let mut own = LotServiceClient::new(door);
    let told = own.trace_origins(asked(SMELTER, request)).await.unwrap().into_inner();
    let theirs = told.now.unwrap();
    assert_eq!(theirs.categories.unwrap(), sums);
    assert!(theirs.shares.iter().all(|share| share.least_g.is_none() && share.most_g.is_none()));
    story.kit.stop().await;
}

/// Pages, and what the last one says.
async fn pages(
    kit: &mut Kit,
    mut request: v1::TraceOriginsRequest,
) -> (Vec<v1::TraceOriginsResponse>, Vec<String>) {
    let (mut all, mut tokens) = (Vec::new(), Vec::new());
    loop {
        let page = kit.lots.trace_origins(request.clone()).await.unwrap().into_inner();
        request.page_token.clone_from(&page.next_page_token);
        all.push(page);
        if request.page_token.is_empty() {
            return (all, tokens);
        }
        tokens.push(request.page_token.clone());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_a_trace_are_of_one_history_or_are_refused() {
    let mut story = story().await;
    let request =
        v1::TraceOriginsRequest { lot_id: id(story.pooled), ..v1::TraceOriginsRequest::default() };
    let whole = story.kit.lots.trace_origins(request.clone()).await.unwrap().into_inner();
    assert_eq!((whole.lots.len(), whole.steps.len()), (4, 3));
    assert_eq!(whole.next_page_token, "");
    let paged = v1::TraceOriginsRequest { page_size: 2, ..request.clone() };
    let (all, tokens) = pages(&mut story.kit, paged.clone()).await;
    assert_eq!(all.len(), 4);
    let lots: Vec<_> = all.iter().flat_map(|page| page.lots.clone()).collect();
    let steps: Vec<_> = all.iter().flat_map(|page| page.steps.clone()).collect();
    assert_eq!((&lots, &steps), (&whole.lots, &whole.steps));
    assert_eq!((&all[0].now, &all[0].at_birth), (&whole.now, &whole.at_birth));
    assert!(all.iter().all(|page| page.is_complete && page.is_final));
    assert!(all[1..].iter().all(|page| page.now.is_none() && page.lineage_lot_ids.is_empty()));

    // The ledger grows, also by entries of these lots: the pages stay those of the first.
    let parts = [story.kit.lot(), story.kit.lot()];
    let body = split(story.pooled, &[draw(parts[0], 1), draw(parts[1], 699_999)]);
    story.kit.say(SMELTER, body).await;
    let on = v1::TraceOriginsRequest { page_token: tokens[0].clone(), ..paged.clone() };
    let page = story.kit.lots.trace_origins(on.clone()).await.unwrap().into_inner();
    assert_eq!((&page.lots, page.ledger_size), (&all[1].lots, whole.ledger_size));

    // A token is of one question.
    let other = v1::TraceOriginsRequest { lot_id: id(story.whole), ..on.clone() };
    let refused = story.kit.lots.trace_origins(other).await.unwrap_err();
    assert_eq!(told(&refused).reason, "PAGE_TOKEN_INVALID");
    story.kit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_was_corrected_refuses_its_next_page() {
    let mut kit = Kit::start().await;
    let whole = kit.copper(COLLECTOR, 1_000_000).await;
    let halves = [kit.lot(), kit.lot()];
    let parts = [draw(halves[0], 600_000), draw(halves[1], 400_000)];
    let parting = kit.say(COLLECTOR, split(whole, &parts)).await;
    let first = v1::TraceDestinationsRequest {
        lot_id: id(whole),
        page_size: 1,
        ..v1::TraceDestinationsRequest::default()
    };
    let page = kit.lots.trace_destinations(first.clone()).await.unwrap().into_inner();
    let on = v1::TraceDestinationsRequest { page_token: page.next_page_token, ..first };
    assert!(kit.lots.trace_destinations(on.clone()).await.is_ok());
    kit.say(COLLECTOR, error(parting, &[])).await;
    let refused = kit.lots.trace_destinations(on).await.unwrap_err();
    assert_eq!(told(&refused).reason, "PAGE_TOKEN_INVALID");
    kit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recall_lists_who_has_what_of_a_lot() {
    let mut story = story().await;
    let ask = v1::ListRecallRequest { lot_id: id(story.whole), ..v1::ListRecallRequest::default() };
    let all = story.kit.lots.list_recall(ask.clone()).await.unwrap().into_inner();
    assert!(all.is_complete && all.next_page_token.is_empty());
    let rows: Vec<_> = all.rows.iter().map(|row| (row.lot_id.clone(), row.recalled_g)).collect();
    // The recalled lot and the half that was merged are used up.
    assert_eq!(rows, [(id(story.halves[1]), Some(400_000)), (id(story.pooled), Some(600_000))]);
    let pooled = &all.rows[1];
    assert_eq!(pooled.remaining_mass_g, Some(700_000));
    assert_eq!(pooled.owner_party_id, raw(SMELTER.as_bytes()));
    assert_eq!(pooled.possessor_party_id, raw(SMELTER.as_bytes()));
    assert_eq!(pooled.site_id, raw(site(SMELTER).as_bytes()));
    assert_eq!((pooled.material.as_str(), pooled.status()), (COPPER, v1::LotStatus::Open));

    let every = v1::ListRecallRequest { with_used_up: true, page_size: 3, ..ask.clone() };
    let page = story.kit.lots.list_recall(every.clone()).await.unwrap().into_inner();
    assert_eq!((page.rows.len(), &page.rows[0].lot_id), (3, &id(story.whole)));
    let rest = v1::ListRecallRequest { page_token: page.next_page_token.clone(), ..every };
    let rest = story.kit.lots.list_recall(rest).await.unwrap().into_inner();
    assert_eq!((rest.rows.len(), rest.next_page_token.as_str()), (1, ""));
    let wrong = v1::ListRecallRequest { page_token: page.next_page_token, ..ask.clone() };
    let refused = story.kit.lots.list_recall(wrong).await.unwrap_err();
    assert_eq!(told(&refused).reason, "PAGE_TOKEN_INVALID");

    // The seller sees its own and one step down: that half of it went to the smelter, and not what
    // became of it there.
    let door = story.kit.asking_door(&[COLLECTOR, SMELTER]).await;
    let mut lots = LotServiceClient::new(door);
    let seen = lots.list_recall(asked(COLLECTOR, ask)).await.unwrap().into_inner();
    let seen: Vec<_> = seen.rows.iter().map(|row| row.lot_id.clone()).collect();
    assert!(seen.contains(&id(story.halves[0])) && seen.contains(&id(story.halves[1])));
    assert!(!seen.contains(&id(story.pooled)));
    let hidden = v1::ListRecallRequest { lot_id: id(story.imported), ..Default::default() };
    let refused = lots.list_recall(asked(COLLECTOR, hidden)).await.unwrap_err();
    assert_eq!(told(&refused).reason, "NOT_FOUND");
    story.kit.stop().await;
}
