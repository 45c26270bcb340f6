//! Every call of the three services, health and reflection, over real gRPC: what a sound request
//! gets.

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

use std::collections::BTreeSet;

use bytes::Bytes;
use forge::{far_site, party, site};
use forge_world::{
    CATHODE, COLLECTOR, COORD, COPPER, LAB, PARTIES, SLAG, SMELTER, accept, approving, collect,
    collecting, draw, giving_back, leaving, made, new_lot, offering, partly, refine, refining,
    settling, split, with_copper,
};
use grpc_kit::{Kit, REFINE, check_receipt, ledger_key, origin, raw, sealed, signed, told};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use urbanmine::domain::credit::Month;
use urbanmine::domain::event::{
    AcknowledgeAnomaly, Attest, ChargeCampaign, ClaimCredit, CloseCampaign, DrawCampaign, HoldLot,
    MergeLots, OpenCampaign, RegisterKey, SucceedParty, VisibilityGrant, Waiver,
};
use urbanmine::domain::units::Validity;
use urbanmine::domain::vocabulary::{
    AttestResult, CustodyModel, HoldReason, LossKind, PartyRole, Substance,
};
use urbanmine::domain::{
    Body, CampaignId, EntryCount, EntryIndex, Event, EventId, Grams, Hash32, LotId, PartyId,
    TimeMs, tables,
};
use urbanmine::ledger::hash::{leaf_hash, sha256};
use urbanmine::ledger::keys::key_id;
use urbanmine::ledger::tree::{Frontier, verify_consistency, verify_inclusion};
use urbanmine::wire::v1;
use urbanmine::wire::v1::get_receipt_request::Subject;

/// All entries, in pages of a size, and how many pages there were.
async fn entries(kit: &mut Kit, page_size: u32) -> (Vec<v1::Entry>, usize) {
    let (mut entries, mut pages, mut page_token) = (Vec::new(), 0, String::new());
    loop {
        let request = v1::ListEntriesRequest { from_entry_index: 0, page_size, page_token };
        let page = kit.ledger.list_entries(request).await.unwrap().into_inner();
        pages += 1;
        entries.extend(page.entries);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return (entries, pages);
        }
    }
}

fn hashes(raw: &[Bytes]) -> Vec<Hash32> {
    raw.iter().map(|hash| Hash32(hash.as_ref().try_into().unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn appends_answer_with_receipts_that_need_no_ledger() {
    let mut kit = Kit::start().await;
    let before = kit.checkpoint().await;
    let lot = kit.lot();
    let event = kit.event(COLLECTOR, collect(new_lot(lot, COPPER, 1_000)));

    // Judged only: nothing changes, in either call.
    let envelope = signed(&event);
    let request = v1::AppendEventRequest { envelope: envelope.clone(), validate_only: true };
    let reply = kit.ledger.append_event(request).await.unwrap().into_inner();
    assert_eq!(reply.appended, None);
    let envelopes = vec![envelope.clone()];
    let request = v1::BatchAppendEventsRequest { envelopes, validate_only: true };
    let reply = kit.ledger.batch_append_events(request).await.unwrap().into_inner();
    assert!(reply.appended.is_empty());
    assert_eq!(kit.checkpoint().await, before);
    let request = v1::GetLotRequest { lot_id: raw(lot.as_bytes()) };
    assert_eq!(told(&kit.lots.get_lot(request).await.unwrap_err()).reason, "NOT_FOUND");

    let first = kit.append(&event).await;
    assert_eq!((first.entry_index, first.was_recorded_before), (before.size.0, false));
    let receipt = check_receipt(&first.receipt);
    assert_eq!(receipt.entry().index.0, first.entry_index);
    assert_eq!(receipt.entry().envelope, envelope);
    let again = kit.append(&event).await;
    assert!(again.was_recorded_before);
    assert_eq!((again.entry_index, &again.receipt), (first.entry_index, &first.receipt));

    // A batch lies together; a member that is recorded keeps its place.
    let lots = [kit.lot(), kit.lot()];
    let new = lots.map(|lot| kit.event(COLLECTOR, collect(new_lot(lot, COPPER, 2_000))));
    let batch = vec![signed(&new[0]), envelope, signed(&new[1])];
    let appended = kit.send(batch).await.unwrap();
    let places: Vec<_> =
        appended.iter().map(|it| (it.entry_index, it.was_recorded_before)).collect();
    let next = first.entry_index + 1;
    assert_eq!(places, [(next, false), (first.entry_index, true), (next + 1, false)]);
    for it in &appended {
        assert_eq!(check_receipt(&it.receipt).entry().index.0, it.entry_index);
    }
    for (id, it) in [(new[0].id, &appended[0]), (event.id, &first)] {
        let by_event = Subject::EventId(raw(id.as_bytes()));
        for subject in [by_event, Subject::EntryIndex(it.entry_index)] {
            let request = v1::GetReceiptRequest { subject: Some(subject) };
            let reply = kit.ledger.get_receipt(request).await.unwrap().into_inner();
            assert_eq!((reply.entry_index, &reply.receipt), (it.entry_index, &it.receipt));
        }
    }
    kit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_and_proofs_are_those_of_the_signed_tree() {
    let mut kit = Kit::start().await;
    let early = kit.checkpoint().await;
    for _ in 0..3 {
        kit.copper(COLLECTOR, 1_000).await;
    }
    let head = kit.checkpoint().await;
    let ledger = kit.ledger.get_ledger(v1::GetLedgerRequest {}).await.unwrap().into_inner();
    let ledger = ledger.ledger.unwrap();
    assert_eq!(ledger.origin, origin().as_str());
    assert_eq!(ledger.ledger_public_key, ledger_key().as_bytes()[..]);
    assert_eq!(ledger.tables_sha256, sha256(tables::builtin().as_bytes()).as_bytes()[..]);
    assert_eq!((ledger.size, ledger.rules_version), (head.size.0, 1));
    assert!(ledger.are_tables_published);

    let (all, pages) = entries(&mut kit, 7).await;
    assert_eq!(pages, all.len().div_ceil(7));
    assert_eq!(entries(&mut kit, 0).await, (all.clone(), 1));
    let mut frontier = Frontier::default();
    for (index, entry) in (0..).zip(&all) {
        assert_eq!(entry.entry_index, index);
        frontier.push(leaf_hash(&entry.entry));
    }
    assert_eq!((frontier.size(), frontier.root()), (head.size, head.root));

    for entry in &all {
        let request = v1::GetEntryRequest { entry_index: entry.entry_index };
        let reply = kit.ledger.get_entry(request).await.unwrap().into_inner();
        assert_eq!(reply.entry.as_ref(), Some(entry));
        let (entry_index, tree_size) = (entry.entry_index, head.size.0);
        let request = v1::GetInclusionProofRequest { entry_index, tree_size };
        let proof = kit.ledger.get_inclusion_proof(request).await.unwrap().into_inner();
        let leaf = leaf_hash(&entry.entry);
        let (index, proof) = (EntryIndex(entry_index), hashes(&proof.hashes));
        verify_inclusion(&leaf, index, head.size, &proof, &head.root).unwrap();
    }
    let request = v1::GetConsistencyProofRequest { old_size: early.size.0, new_size: head.size.0 };
    let proof = kit.ledger.get_consistency_proof(request).await.unwrap().into_inner();
    let proof = hashes(&proof.hashes);
    verify_consistency(early.size, &early.root, head.size, &head.root, &proof).unwrap();

    // What is not there is not there, however far off it is asked for.
    for entry_index in [head.size.0, u64::MAX] {
        let request = v1::GetEntryRequest { entry_index };
        let refused = kit.ledger.get_entry(request).await.unwrap_err();
        assert_eq!(told(&refused).reason, "NOT_FOUND");
        let subject = Some(Subject::EntryIndex(entry_index));
        let refused = kit.ledger.get_receipt(v1::GetReceiptRequest { subject }).await.unwrap_err();
        assert_eq!(told(&refused).reason, "NOT_FOUND");
        let request = v1::ListEntriesRequest {
            from_entry_index: entry_index,
            ..v1::ListEntriesRequest::default()
        };
        let page = kit.ledger.list_entries(request).await.unwrap().into_inner();
        assert!(page.entries.is_empty() && page.next_page_token.is_empty());
    }
    for (entry_index, tree_size) in [(0, head.size.0 + 1), (u64::MAX - 1, u64::MAX)] {
        let request = v1::GetInclusionProofRequest { entry_index, tree_size };
        let refused = kit.ledger.get_inclusion_proof(request).await.unwrap_err();
        assert_eq!(told(&refused).reason, "NOT_FOUND");
    }
    let sizes = [(0, 1, "REQUEST_INVALID"), (2, 1, "REQUEST_INVALID"), (1, u64::MAX, "NOT_FOUND")];
    for (old_size, new_size, reason) in sizes {
        let request = v1::GetConsistencyProofRequest { old_size, new_size };
        let refused = kit.ledger.get_consistency_proof(request).await.unwrap_err();
        assert_eq!(told(&refused).reason, reason);
    }
    kit.stop().await;
}

/// The ids of a filtered list, in pages of two.
async fn listed(kit: &mut Kit, filter: &v1::ListLotsRequest) -> Vec<Bytes> {
    let (mut ids, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListLotsRequest { page_size: 2, page_token, ..filter.clone() };
        let page = kit.lots.list_lots(request).await.unwrap().into_inner();
        assert!(page.lots.len() <= 2);
        ids.extend(page.lots.into_iter().map(|lot| lot.lot_id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return ids;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lots_are_listed_by_every_filter_and_in_pages() {
    let mut kit = Kit::start().await;
    let mut of_collector = Vec::new();
    for _ in 0..5 {
        of_collector.push(kit.copper(COLLECTOR, 1_000_000).await);
    }
    let of_smelter = kit.copper(SMELTER, 3_000).await;
    let slag = kit.lot();
    kit.say(SMELTER, collect(new_lot(slag, SLAG, 7_000))).await;
    let held = of_collector[1];
    let stop = HoldLot { lot: held, reason: HoldReason::Quality, authority: "office".to_owned() };
    let stopped_by = kit.say(COORD, Body::HoldLot(stop)).await;
    let moving = of_collector[2];
    kit.say(COLLECTOR, Body::OfferTransfer(offering(moving, 1_000_000, SMELTER))).await;

    let none = v1::ListLotsRequest::default;
    let bytes = |ids: &[LotId]| -> Vec<Bytes> { ids.iter().map(|id| raw(id.as_bytes())).collect() };
    let everything = [&of_collector[..], &[of_smelter, slag]].concat();
    let status = |status: v1::LotStatus| v1::ListLotsRequest { status: status.into(), ..none() };
    let whose = |id: PartyId| raw(id.as_bytes());
    let open = [of_collector[0], of_collector[3], of_collector[4], of_smelter, slag];
    let rows: Vec<(v1::ListLotsRequest, Vec<LotId>)> = vec![
        (none(), everything),
        (v1::ListLotsRequest { owner_party_id: whose(COLLECTOR), ..none() }, of_collector.clone()),
        (
            v1::ListLotsRequest { possessor_party_id: whose(SMELTER), ..none() },
            vec![of_smelter, slag],
        ),
        (
            v1::ListLotsRequest { site_id: raw(site(COLLECTOR).as_bytes()), ..none() },
            of_collector.clone(),
        ),
        (v1::ListLotsRequest { site_id: raw(far_site(LAB).as_bytes()), ..none() }, vec![]),
        (v1::ListLotsRequest { material: SLAG.to_owned(), ..none() }, vec![slag]),
        (v1::ListLotsRequest { material: "%' OR 1=1 铜".to_owned(), ..none() }, vec![]),
        (status(v1::LotStatus::OnHold), vec![held]),
        (status(v1::LotStatus::InTransit), vec![moving]),
        (status(v1::LotStatus::Open), open.to_vec()),
        (status(v1::LotStatus::Retracted), vec![]),
        (
            v1::ListLotsRequest {
                material: SLAG.to_owned(),
                owner_party_id: whose(COLLECTOR),
                ..none()
            },
            vec![],
        ),
    ];
    for (filter, expected) in rows {
        assert_eq!(listed(&mut kit, &filter).await, bytes(&expected), "{filter:?}");
    }

    let lot = kit.lot_now(held).await;
    assert_eq!((lot.status(), lot.initial_mass_g), (v1::LotStatus::OnHold, 1_000_000));
    assert_eq!(
        (lot.owner_party_id, lot.site_id),
        (whose(COLLECTOR), raw(site(COLLECTOR).as_bytes()))
    );
    assert_eq!(lot.contents[0].mass_g, 500_000);
    assert_eq!(lot.holds[0].hold_event_id, raw(stopped_by.as_bytes()));
    assert_eq!(kit.lot_now(moving).await.reserved_mass_g, 1_000_000);
    kit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_leads_only_where_it_was_made() {
    let mut kit = Kit::start().await;
    for _ in 0..3 {
        kit.copper(COLLECTOR, 1_000).await;
    }
    let request = v1::ListLotsRequest { page_size: 1, ..v1::ListLotsRequest::default() };
    let token = kit.lots.list_lots(request).await.unwrap().into_inner().next_page_token;
    assert!(!token.is_empty());
    // Another filter, another list with a cursor as long, the end cut off, no token at all.
    let filtered = v1::ListLotsRequest {
        page_token: token.clone(),
        material: COPPER.to_owned(),
        ..v1::ListLotsRequest::default()
    };
    let refused = kit.lots.list_lots(filtered).await.unwrap_err();
    assert_eq!(told(&refused).reason, "PAGE_TOKEN_INVALID");
    let request = v1::ListPartiesRequest {
        page_token: token.clone(),
        page_size: 1,
        ..v1::ListPartiesRequest::default()
    };
    let refused = kit.registry.list_parties(request).await.unwrap_err();
    assert_eq!(told(&refused).reason, "PAGE_TOKEN_INVALID");
    for page_token in ["x".to_owned(), token[2..].to_owned(), "铜".repeat(40_000)] {
        let request = v1::ListLotsRequest { page_token, ..v1::ListLotsRequest::default() };
        let refused = kit.lots.list_lots(request).await.unwrap_err();
        assert_eq!(told(&refused).reason, "PAGE_TOKEN_INVALID");
    }
    // The size of a page may change on the way.
    let request = v1::ListLotsRequest {
        page_token: token,
        page_size: u32::MAX,
        ..v1::ListLotsRequest::default()
    };
    let rest = kit.lots.list_lots(request).await.unwrap().into_inner();
    assert_eq!((rest.lots.len(), rest.next_page_token.as_str()), (2, ""));
    kit.stop().await;
}

/// One lot split; one half to the smelter, merged with the smelter's own, half of that refined.
struct Melt {
    whole: LotId,
    left: LotId,
    right: LotId,
    own: LotId,
    pooled: LotId,
    cathode: LotId,
    slag: LotId,
    offer: EventId,
}

async fn melt(kit: &mut Kit) -> Melt {
    let whole = kit.copper(COLLECTOR, 1_000_000).await;
    let (left, right) = (kit.lot(), kit.lot());
    kit.say(COLLECTOR, split(whole, &[draw(left, 600_000), draw(right, 400_000)])).await;
    let offer = kit.say(COLLECTOR, Body::OfferTransfer(offering(left, 600_000, SMELTER))).await;
    kit.say(SMELTER, accept(offer, 600_000, None)).await;
    let own = kit.copper(SMELTER, 200_000).await;
    let pooled = kit.lot();
    let merge = MergeLots {
        parents: vec![draw(left, 600_000), draw(own, 200_000)],
        output: made(pooled, COPPER, 800_000),
    };
    kit.say(SMELTER, Body::MergeLots(Box::new(merge))).await;
    let (cathode, slag) = (kit.lot(), kit.lot());
    let mut refined = refining(
        &[draw(pooled, 400_000)],
        &[with_copper(made(cathode, CATHODE, 190_000), 99_990_000)],
        &[made(slag, SLAG, 200_000)],
    );
    REFINE.clone_into(&mut refined.process);
    refined.losses = vec![(LossKind::Volatile, Grams::of(10_000))];
    kit.say(SMELTER, refine(refined)).await;
    Melt { whole, left, right, own, pooled, cathode, slag, offer }
}

fn steps(steps: &[v1::TraceStep]) -> BTreeSet<(v1::EventKind, Bytes, Bytes, u64)> {
    let tuple =
        |it: &v1::TraceStep| (it.kind(), it.from_lot_id.clone(), it.to_lot_id.clone(), it.mass_g);
    steps.iter().map(tuple).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn traces_tell_grams_after_a_split_and_a_merge() {
    let mut kit = Kit::start().await;
    let it = melt(&mut kit).await;
    let id = |lot: LotId| raw(lot.as_bytes());

    let request =
        v1::TraceOriginsRequest { lot_id: id(it.cathode), substance: 0, ..Default::default() };
    let origins = kit.lots.trace_origins(request).await.unwrap().into_inner();
    let now = origins.now.unwrap();
    assert!(origins.is_complete && now.is_attributed);
    let shares: BTreeSet<_> = now.shares.iter().map(|it| (it.lot_id.clone(), it.mass_g)).collect();
    // 190,000 g of the pool, which was three parts of one lot and one of the other.
    assert_eq!(now.total_g, Some(190_000));
    assert_eq!(shares, BTreeSet::from([(id(it.whole), 142_500), (id(it.own), 47_500)]));
    let found = steps(&origins.steps);
    for (kind, from, to, grams) in [
        (v1::EventKind::SplitLot, it.whole, it.left, 600_000),
        (v1::EventKind::MergeLots, it.left, it.pooled, 600_000),
        (v1::EventKind::MergeLots, it.own, it.pooled, 200_000),
    ] {
        assert!(found.contains(&(kind, id(from), id(to), grams)), "{found:?}");
    }
    assert!(!origins.lots.iter().any(|lot| lot.lot_id == id(it.right)));

    let request =
        v1::TraceOriginsRequest { lot_id: id(it.cathode), substance: 29, ..Default::default() };
    let of_copper = kit.lots.trace_origins(request).await.unwrap().into_inner().now.unwrap();
    assert_eq!(of_copper.total_g, Some(189_981));
    assert_eq!(of_copper.shares.iter().map(|it| it.mass_g).sum::<u64>(), 189_981);

    let request = v1::TraceDestinationsRequest { lot_id: id(it.whole), ..Default::default() };
    let ahead = kit.lots.trace_destinations(request).await.unwrap().into_inner();
    assert!(ahead.is_complete);
    let lots: BTreeSet<_> = ahead.lots.iter().map(|lot| lot.lot_id.clone()).collect();
    let expected = [it.whole, it.left, it.right, it.pooled, it.cathode, it.slag].map(id);
    assert_eq!(lots, BTreeSet::from(expected));
    let grams = |lot: LotId| {
        let node = ahead.lots.iter().find(|it| it.lot_id == raw(lot.as_bytes())).unwrap();
        node.mass_g
    };
    assert_eq!((grams(it.left), grams(it.right)), (Some(600_000), Some(400_000)));
    // Whatever became of it: in lots, or lost.
    let remaining: u64 = ahead.lots.iter().map(|lot| lot.remaining_g.unwrap()).sum();
    assert_eq!(remaining + ahead.lost_g.unwrap(), 1_000_000);

    let transfer = v1::GetTransferRequest { offer_event_id: raw(it.offer.as_bytes()) };
    let transfer = kit.lots.get_transfer(transfer).await.unwrap().into_inner().transfer.unwrap();
    assert_eq!((transfer.status(), transfer.mass_g), (v1::TransferStatus::Accepted, 600_000));
    assert!(transfer.is_whole_lot);
    kit.stop().await;
}

/// Every campaign that a filter lets through, in pages of one.
async fn campaigns(kit: &mut Kit, filter: &v1::ListCampaignsRequest) -> Vec<v1::Campaign> {
    let (mut all, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListCampaignsRequest { page_size: 1, page_token, ..filter.clone() };
        let page = kit.lots.list_campaigns(request).await.unwrap().into_inner();
        assert!(page.campaigns.len() <= 1);
        all.extend(page.campaigns);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return all;
        }
    }
}

fn begin(campaign: CampaignId, stock: u64) -> Body {
    Body::OpenCampaign(OpenCampaign {
        campaign,
        process: REFINE.to_owned(),
        opening_stock: Grams::of(stock),
        opening_composition: None,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_tells_its_balance_and_what_waits_for_its_close() {
    let mut kit = Kit::start().await;
    let scrap = kit.copper(SMELTER, 1_000_000).await;
    let id = CampaignId::from_bytes(*kit.lot().as_bytes());
    kit.say(SMELTER, begin(id, 0)).await;
    let inputs = vec![draw(scrap, 1_000_000)];
    let charge = ChargeCampaign { campaign: id, inputs, additions: Vec::new() };
    kit.say(SMELTER, Body::ChargeCampaign(charge)).await;
    let cathode = kit.lot();
    let outputs = vec![with_copper(made(cathode, CATHODE, 400_000), 99_990_000)];
    let drawn = DrawCampaign { campaign: id, outputs, residues: Vec::new() };
    kit.say(SMELTER, Body::DrawCampaign(drawn)).await;

    let request = v1::GetCampaignRequest { campaign_id: raw(id.as_bytes()) };
    let open = kit.lots.get_campaign(request.clone()).await.unwrap().into_inner().campaign.unwrap();
    assert_eq!(open.status(), v1::CampaignStatus::Open);
    assert_eq!((open.inputs_g, open.outputs_g, open.event_count), (1_000_000, 400_000, 3));
    assert_eq!((&open.owner_party_id, open.process.as_str()), (&raw(SMELTER.as_bytes()), REFINE));
    let of_copper = &open.balances[0];
    assert_eq!((of_copper.is_balanced, of_copper.inputs_g), (true, Some(500_000)));
    assert_eq!((of_copper.outputs_g, of_copper.variance_e8), (399_960, None));
    let ask = v1::TraceOriginsRequest {
        lot_id: raw(cathode.as_bytes()),
        substance: 29,
        ..Default::default()
    };
    let trace = kit.lots.trace_origins(ask.clone()).await.unwrap().into_inner();
    let now = trace.now.unwrap();
    assert!(!trace.is_final && now.shares.is_empty() && now.is_attributed);
    assert_eq!(trace.pending_campaign_ids, [raw(id.as_bytes())]);
    assert_eq!(
        (&now.pending[0].campaign_id, now.pending[0].mass_g),
        (&raw(id.as_bytes()), 399_960)
    );
    let into = &trace.steps[0];
    assert_eq!(
        (&into.from_lot_id, &into.to_campaign_id),
        (&raw(scrap.as_bytes()), &raw(id.as_bytes()))
    );
    assert!(into.to_lot_id.is_empty() && into.from_campaign_id.is_empty());

    let losses = vec![(LossKind::Effluent, Grams::of(600_000))];
    let end = CloseCampaign {
        campaign: id,
        closing_stock: Grams::ZERO,
        closing_composition: None,
        losses,
        uptakes: Vec::new(),
    };
    let closed_by = kit.say(SMELTER, Body::CloseCampaign(end)).await;
    let closed = kit.lots.get_campaign(request).await.unwrap().into_inner().campaign.unwrap();
    assert_eq!(closed.status(), v1::CampaignStatus::Closed);
    assert_eq!(closed.close_event_id, raw(closed_by.as_bytes()));
    assert_eq!((closed.loss_g, closed.closing_stock_g), (600_000, 0));
    // 100,040 of 500,000 are unaccounted for.
    let of_copper = &closed.balances[0];
    assert_eq!((of_copper.variance_e8, of_copper.is_flagged), (Some(20_008_000), true));
    let trace = kit.lots.trace_origins(ask).await.unwrap().into_inner();
    let now = trace.now.unwrap();
    assert!(trace.is_final && now.pending.is_empty() && trace.pending_campaign_ids.is_empty());
    assert_eq!((&now.shares[0].lot_id, now.shares[0].mass_g), (&raw(scrap.as_bytes()), 399_960));
    let ask = v1::TraceDestinationsRequest { lot_id: raw(scrap.as_bytes()), ..Default::default() };
    let trace = kit.lots.trace_destinations(ask).await.unwrap().into_inner();
    assert_eq!((trace.is_final, trace.lost_g), (true, Some(600_000)));
    assert_eq!(trace.lots.iter().filter(|lot| lot.campaign_id == raw(id.as_bytes())).count(), 1);

    let next = CampaignId::from_bytes(*kit.lot().as_bytes());
    kit.say(SMELTER, begin(next, 0)).await;
    let filter = |status: v1::CampaignStatus| v1::ListCampaignsRequest {
        party_id: raw(SMELTER.as_bytes()),
        site_id: raw(site(SMELTER).as_bytes()),
        status: status.into(),
        ..v1::ListCampaignsRequest::default()
    };
    let ids = |found: Vec<v1::Campaign>| -> Vec<Bytes> {
        found.into_iter().map(|it| it.campaign_id).collect()
    };
    let both = [raw(id.as_bytes()), raw(next.as_bytes())];
    let found = campaigns(&mut kit, &filter(v1::CampaignStatus::Unspecified)).await;
    assert_eq!(ids(found), both);
    let found = campaigns(&mut kit, &filter(v1::CampaignStatus::Open)).await;
    assert_eq!(found[0].previous_campaign_id, both[0]);
    assert_eq!(ids(found), both[1..]);
    let others = v1::ListCampaignsRequest {
        party_id: raw(COLLECTOR.as_bytes()),
        ..v1::ListCampaignsRequest::default()
    };
    assert!(campaigns(&mut kit, &others).await.is_empty());
    let stranger = v1::GetCampaignRequest { campaign_id: raw(kit.lot().as_bytes()) };
    assert_eq!(told(&kit.lots.get_campaign(stranger).await.unwrap_err()).reason, "NOT_FOUND");
    kit.stop().await;
}

/// Every transfer that a filter lets through, in pages of a size.
async fn transfers(kit: &mut Kit, filter: &v1::ListTransfersRequest) -> Vec<v1::Transfer> {
    let (mut all, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListTransfersRequest { page_token, ..filter.clone() };
        let page = kit.lots.list_transfers(request).await.unwrap().into_inner();
        assert!(filter.page_size == 0 || page.transfers.len() <= filter.page_size as usize);
        all.extend(page.transfers);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return all;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn transfers_are_listed_by_party_lot_and_status_through_a_settlement() {
    let mut kit = Kit::start().await;
    let id = |event: &EventId| raw(event.as_bytes());
    let whole = kit.copper(COLLECTOR, 1_000_000).await;
    let sent = kit.say(COLLECTOR, Body::OfferTransfer(offering(whole, 1_000_000, SMELTER))).await;
    let answer = kit.say(SMELTER, accept(sent, 900_000, None)).await;
    let parted = kit.copper(COLLECTOR, 500_000).await;
    let other = kit.say(COLLECTOR, Body::OfferTransfer(offering(parted, 500_000, SMELTER))).await;
    let part = kit.lot();
    kit.say(SMELTER, partly(other, 300_000, 200_000, part)).await;
    let back = kit.say(SMELTER, giving_back(other, part, 100_000)).await;

    // One signature is not enough, and both are the settlement.
    let event = kit.event(SMELTER, settling(sent, 950_000));
    let refused = kit.send(vec![signed(&event)]).await.unwrap_err();
    assert_eq!(told(&refused).reason, "SIGNER_MISSING");
    let seeds = [SMELTER, COLLECTOR].map(forge::seed_of);
    kit.send(vec![sealed(forge::payload(&event).to_vec(), &seeds)]).await.unwrap();
    assert_eq!(kit.lot_now(whole).await.remaining_mass_g, 950_000);

    let none = v1::ListTransfersRequest::default;
    let by = |party: PartyId| raw(party.as_bytes());
    let rows = [
        (none(), vec![sent, other, back]),
        (v1::ListTransfersRequest { page_size: 1, ..none() }, vec![sent, other, back]),
        (v1::ListTransfersRequest { sender_party_id: by(SMELTER), ..none() }, vec![back]),
        (
            v1::ListTransfersRequest { consignee_party_id: by(SMELTER), page_size: 1, ..none() },
            vec![sent, other],
        ),
        (v1::ListTransfersRequest { lot_id: raw(parted.as_bytes()), ..none() }, vec![other]),
        (v1::ListTransfersRequest { lot_id: raw(part.as_bytes()), ..none() }, vec![other, back]),
        (
            v1::ListTransfersRequest { status: v1::TransferStatus::Settled.into(), ..none() },
            vec![sent],
        ),
        (
            v1::ListTransfersRequest {
                sender_party_id: by(COLLECTOR),
                status: v1::TransferStatus::Open.into(),
                ..none()
            },
            vec![],
        ),
    ];
    for (filter, expected) in rows {
        let found = transfers(&mut kit, &filter).await;
        let found: Vec<_> = found.into_iter().map(|it| it.offer_event_id).collect();
        assert_eq!(found, expected.iter().map(id).collect::<Vec<_>>(), "{filter:?}");
    }
    let all = transfers(&mut kit, &none()).await;
    assert_eq!((all[0].received_g, all[0].answer_event_id.clone()), (950_000, id(&answer)));
    assert_eq!((all[1].refused_g, all[1].received_g), (200_000, 300_000));
    assert_eq!(all[1].received_lot_id, raw(part.as_bytes()));
    assert_eq!(all[2].returns_offer_event_id, id(&other));
    let wrong = v1::ListTransfersRequest { status: 99, ..none() };
    let refused = kit.lots.list_transfers(wrong).await.unwrap_err();
    assert_eq!(told(&refused).reason, "REQUEST_INVALID");

    // What was agreed is what provenance knows.
    let request = v1::TraceOriginsRequest {
        lot_id: raw(whole.as_bytes()),
        substance: 0,
        ..Default::default()
    };
    let origins = kit.lots.trace_origins(request).await.unwrap().into_inner();
    assert_eq!(origins.now.unwrap().total_g, Some(950_000));
    kit.say(COLLECTOR, leaving(parted, 200_000)).await;
    assert_eq!(kit.lot_now(parted).await.status(), v1::LotStatus::Exited);
    kit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sale_on_another_invoice_class_is_refused_or_told() {
    use urbanmine::domain::vocabulary::InvoiceClass;
    let mut kit = Kit::start().await;
    let lot = kit.lot();
    let mut bought = collecting(new_lot(lot, COPPER, 1_000));
    bought.invoice_class = InvoiceClass::VatOrdinary;
    kit.say(COLLECTOR, Body::CollectLot(Box::new(bought))).await;
    let sold = |class| {
        let mut offer = offering(lot, 400, SMELTER);
        offer.invoice_class = Some(class);
        Body::OfferTransfer(offer)
    };
    let event = kit.event(COLLECTOR, sold(InvoiceClass::None));
    let refused = told(&kit.send(vec![signed(&event)]).await.unwrap_err());
    assert_eq!(refused.reason, "INVOICE_CLASS_MISMATCH");
    assert_eq!(
        (refused.metadata["bought"].as_str(), refused.metadata["sold"].as_str()),
        ("VAT_ORDINARY", "NONE")
    );
    // No row of the table says whether these match.
    kit.say(COLLECTOR, sold(InvoiceClass::VatSpecial)).await;
    kit.say(COLLECTOR, sold(InvoiceClass::VatOrdinary)).await;
    let lot_id = raw(lot.as_bytes());
    let request = v1::ListLotEventsRequest { lot_id, ..v1::ListLotEventsRequest::default() };
    let life = kit.lots.list_lot_events(request).await.unwrap().into_inner().events;
    let flags: Vec<Vec<String>> = life
        .iter()
        .map(|event| event.flags.iter().map(|flag| flag.rule.clone()).collect())
        .collect();
    assert_eq!(flags, [vec![], vec!["R9".to_owned()], vec![]]);
    kit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_life_of_a_lot_is_listed_in_pages() {
    let mut kit = Kit::start().await;
    let it = melt(&mut kit).await;
    let (mut life, mut page_token) = (Vec::new(), String::new());
    loop {
        let lot_id = raw(it.left.as_bytes());
        let request = v1::ListLotEventsRequest { lot_id, page_size: 2, page_token };
        let page = kit.lots.list_lot_events(request).await.unwrap().into_inner();
        life.extend(page.events);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    let kinds: Vec<_> = life.iter().map(|event| (event.ordinal, event.kind())).collect();
    let expected = [
        (0, v1::EventKind::SplitLot),
        (1, v1::EventKind::OfferTransfer),
        (2, v1::EventKind::AcceptTransfer),
        (3, v1::EventKind::MergeLots),
    ];
    assert_eq!(kinds, expected);
    assert_eq!(life[1].event_id, raw(it.offer.as_bytes()));
    assert!(life.windows(2).all(|pair| pair[0].entry_index < pair[1].entry_index));
    kit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_registry_reads_back() {
    let mut kit = Kit::start().await;
    let party_id = raw(COLLECTOR.as_bytes());
    let request =
        v1::GetPartyRequest { party_id: party_id.clone(), ..v1::GetPartyRequest::default() };
    let found = kit.registry.get_party(request).await.unwrap().into_inner().party.unwrap();
    assert_eq!(found.party.as_ref().unwrap().name_en, "Party 2 (fictional)");
    assert_eq!((found.licences.len(), found.key_ids.len()), (4, 3));

    let (mut parties, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = v1::ListPartiesRequest {
            page_size: 4,
            page_token,
            ..v1::ListPartiesRequest::default()
        };
        let page = kit.registry.list_parties(request).await.unwrap().into_inner();
        parties.extend(page.parties.into_iter().map(|it| it.party.unwrap().party_id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    let all: Vec<Bytes> = PARTIES.iter().map(|row| raw(row.id.as_bytes())).collect();
    assert_eq!(parties, all);

    let site_id = raw(site(COLLECTOR).as_bytes());
    let request = v1::GetSiteRequest { site_id: site_id.clone(), ..v1::GetSiteRequest::default() };
    let found = kit.registry.get_site(request).await.unwrap().into_inner().site.unwrap();
    assert_eq!((found.party_id, found.processes), (party_id.clone(), vec![REFINE.to_owned()]));
    let (mut sites, mut page_token) = (BTreeSet::new(), String::new());
    loop {
        let party_id = party_id.clone();
        let request = v1::ListSitesRequest {
            page_size: 5,
            page_token,
            party_id,
            ..v1::ListSitesRequest::default()
        };
        let page = kit.registry.list_sites(request).await.unwrap().into_inner();
        sites.extend(page.sites.into_iter().map(|it| it.site_id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(sites, BTreeSet::from([site_id, raw(far_site(COLLECTOR).as_bytes())]));

    let request = v1::ListKeysRequest { party_id, ..v1::ListKeysRequest::default() };
    let keys = kit.registry.list_keys(request).await.unwrap().into_inner().keys;
    let ids: BTreeSet<_> = keys.iter().map(|key| key.key_id.clone()).collect();
    let first = key_id(&forge::public(2));
    assert!(ids.contains(&first.as_bytes()[..]));
    assert_eq!(keys.iter().filter(|key| key.revocation.is_some()).count(), 1);

    let (mut text, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = v1::GetTablesRequest { page_token, ..v1::GetTablesRequest::default() };
        let page = kit.registry.get_tables(request).await.unwrap().into_inner();
        text.extend_from_slice(&page.content);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            assert_eq!(page.tables_sha256, sha256(&text).as_bytes()[..]);
            break;
        }
    }
    assert_eq!(text, tables::builtin().as_bytes());

    let nobody = raw(party(99).as_bytes());
    let request =
        v1::GetPartyRequest { party_id: nobody.clone(), ..v1::GetPartyRequest::default() };
    assert_eq!(told(&kit.registry.get_party(request).await.unwrap_err()).reason, "NOT_FOUND");
    let request =
        v1::GetSiteRequest { site_id: raw(&[0xff; 300]), ..v1::GetSiteRequest::default() };
    let refused = told(&kit.registry.get_site(request).await.unwrap_err());
    assert_eq!(
        (refused.reason.as_str(), &refused.fields[..]),
        ("REQUEST_INVALID", &["site_id".to_owned()][..])
    );
    kit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_reflection_need_no_manual() {
    let kit = Kit::start().await;
    let mut health = HealthClient::new(kit.channel.clone());
    let services = ["LedgerService", "LotService", "RegistryService"];
    let ours = services.map(|name| format!("urbanmine.v1.{name}"));
    for service in std::iter::once(String::new()).chain(ours.clone()) {
        let reply = health.check(HealthCheckRequest { service }).await.unwrap().into_inner();
        assert_eq!(reply.status(), tonic_health::pb::health_check_response::ServingStatus::Serving);
    }
    let mut reflection = ServerReflectionClient::new(kit.channel.clone());
    let ask = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let stream = reflection.server_reflection_info(tokio_stream::once(ask)).await.unwrap();
    let answer = stream.into_inner().message().await.unwrap().unwrap().message_response.unwrap();
    let MessageResponse::ListServicesResponse(list) = answer else { panic!("{answer:?}") };
    let names: BTreeSet<String> = list.service.into_iter().map(|it| it.name).collect();
    assert!(ours.iter().all(|name| names.contains(name)), "{names:?}");
    assert!(names.contains("grpc.health.v1.Health"));
    kit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn appends_at_the_same_time_each_get_their_receipt() {
    let mut kit = Kit::start().await;
    let before = kit.checkpoint().await.size;
    let events: Vec<Event> = (0..8)
        .map(|_| {
            let lot = kit.lot();
            kit.event(COLLECTOR, collect(new_lot(lot, COPPER, 1_000)))
        })
        .collect();
    let calls = events.iter().map(|event| {
        let (mut client, envelope) = (kit.ledger.clone(), signed(event));
        tokio::spawn(async move {
            let request = v1::AppendEventRequest { envelope, validate_only: false };
            client.append_event(request).await
        })
    });
    let calls: Vec<_> = calls.collect();
    for call in calls {
        let appended = call.await.unwrap().unwrap().into_inner().appended.unwrap();
        check_receipt(&appended.receipt);
    }
    assert_eq!(kit.checkpoint().await.size, EntryCount(before.0 + 8));
    kit.stop().await;
}

// --- waivers, approvals, grants, successions, words, credits -------------------------------------

fn waiver(subject: &str) -> Body {
    let (reason_code, subject) = ("CREDIT_CODE_INVALID".to_owned(), subject.to_owned());
    Body::Waiver(Waiver { reason_code, subject, valid_to: None })
}

#[tokio::test(flavor = "multi_thread")]
async fn waivers_are_listed_in_pages_as_they_stand() {
    let mut kit = Kit::start().await;
    let codes = ["91350100M0001TGQXM", "91350203M0001FUE2P", "91350211M0000XUF46"];
    kit.say(COORD, waiver(codes[0])).await;
    for code in codes {
        kit.say(COORD, waiver(code)).await;
    }
    let (mut told, mut page_token, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let request = v1::ListWaiversRequest { page_size: 2, page_token };
        let page = kit.registry.list_waivers(request).await.unwrap().into_inner();
        told.extend(page.waivers.into_iter().map(|it| (it.subject, it.valid_to_ms)));
        pages += 1;
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(told, codes.map(|code| (code.to_owned(), 0)));
    assert_eq!(pages, 2);
    kit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lot_shows_its_approvals_and_grants_and_a_party_its_successor() {
    let mut kit = Kit::start().await;
    let lot = kit.copper(COLLECTOR, 1_000).await;
    let approved = kit.say(COORD, approving(lot, COLLECTOR, SMELTER, 300)).await;
    let (reader, depth, valid_to) = (LAB, 4, None);
    let grant = Body::VisibilityGrant(VisibilityGrant { lot, reader, depth, valid_to });
    let granted = kit.say(COLLECTOR, grant).await;
    let told = kit.lot_now(lot).await;
    let approval = &told.approvals[0];
    assert_eq!(approval.event_id, approved.as_bytes()[..]);
    assert_eq!((approval.mass_g, approval.used_g, approval.valid_to_ms), (300, 0, 0));
    let grant = &told.grants[0];
    assert_eq!(grant.event_id, granted.as_bytes()[..]);
    assert_eq!((grant.reader_party_id.as_ref(), grant.depth), (&LAB.as_bytes()[..], 4));
    assert_eq!(grant.owner_party_id, COLLECTOR.as_bytes()[..]);
    let lots = kit.node().reader().granted_lots(LAB, None, 10).unwrap();
    assert_eq!(lots, [lot]);

    let (party, successor) = (COLLECTOR, SMELTER);
    kit.say(COORD, Body::SucceedParty(SucceedParty { party, successor })).await;
    let party = |id: PartyId| v1::GetPartyRequest {
        party_id: raw(id.as_bytes()),
        ..v1::GetPartyRequest::default()
    };
    let left = kit.registry.get_party(party(COLLECTOR)).await.unwrap().into_inner().party.unwrap();
    assert_eq!(left.successions[0].successor_party_id, SMELTER.as_bytes()[..]);
    assert_eq!(left.in_force.unwrap().successor_party_id, SMELTER.as_bytes()[..]);
    let now = kit.registry.get_party(party(SMELTER)).await.unwrap().into_inner().party.unwrap();
    assert_eq!(now.predecessor_party_ids, [raw(COLLECTOR.as_bytes())]);
    kit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn words_on_the_ledger_are_read() {
    let mut kit = Kit::start().await;
    let word = |note: &str| {
        let (anomaly, note) = ("A2-7".to_owned(), note.to_owned());
        Body::AcknowledgeAnomaly(AcknowledgeAnomaly { anomaly, note })
    };
    kit.say(COLLECTOR, word("seen")).await;
    kit.say(COORD, word("asked")).await;
    kit.say(COLLECTOR, word("weighed again")).await;
    let request = |anomaly: &str| v1::ListAcknowledgementsRequest { anomaly: anomaly.to_owned() };
    let reply = kit.registry.list_acknowledgements(request("A2-7")).await.unwrap().into_inner();
    let mut notes: Vec<String> = reply.acknowledgements.into_iter().map(|it| it.note).collect();
    notes.sort();
    assert_eq!(notes, ["asked", "weighed again"]);
    let none = kit.registry.list_acknowledgements(request("A2")).await.unwrap().into_inner();
    assert!(none.acknowledgements.is_empty());
    let refused = kit.registry.list_acknowledgements(request("")).await.unwrap_err();
    assert_eq!(told(&refused).reason, "REQUEST_INVALID");

    // Nobody has attested yet; who is no auditor cannot.
    let request = v1::ListAttestationsRequest::default();
    let reply = kit.registry.list_attestations(request).await.unwrap().into_inner();
    assert!(reply.attestations.is_empty());
    let checkpoint = kit.checkpoint_text().await;
    let (scope, result) = ("all".to_owned(), AttestResult::Passed);
    let attest = Body::Attest(Attest { scope, checkpoint: checkpoint.clone(), result });
    let by_collector = kit.event(COLLECTOR, attest.clone());
    let refused = kit.send(vec![signed(&by_collector)]).await.unwrap_err();
    assert_eq!(told(&refused).reason, "ROLE_NOT_HELD");
    let auditor = party(9);
    let record = forge::party_record(auditor, &[PartyRole::Auditor]);
    kit.say(COORD, Body::RegisterParty(record)).await;
    let validity = Validity { from: TimeMs::of(0), to: None };
    let key = RegisterKey { party: auditor, public_key: forge::public(9), validity };
    kit.say(COORD, Body::RegisterKey(key)).await;
    let by = kit.say(auditor, attest).await;
    let request = v1::ListAttestationsRequest::default();
    let reply = kit.registry.list_attestations(request).await.unwrap().into_inner();
    let found = &reply.attestations[0];
    assert_eq!(found.event_id, by.as_bytes()[..]);
    assert_eq!(found.by_party_id, auditor.as_bytes()[..]);
    let size = checkpoint.lines().nth(1).unwrap();
    assert_eq!(found.size.to_string(), size);
    kit.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credits_are_told_by_the_month() {
    let mut kit = Kit::start().await;
    let lot = kit.lot();
    let mut new = with_copper(new_lot(lot, COPPER, 1_000), 50_000_000);
    new.custody_model = CustodyModel::MassBalance;
    kit.say(COLLECTOR, collect(new)).await;
    let sent = kit.say(COLLECTOR, Body::OfferTransfer(offering(lot, 1_000, SMELTER))).await;
    kit.say(SMELTER, accept(sent, 1_000, None)).await;
    let (out, slag) = (kit.lot(), kit.lot());
    let cathode = with_copper(made(out, CATHODE, 400), 99_000_000);
    let mut melt = refining(&[draw(lot, 1_000)], &[cathode], &[made(slag, SLAG, 600)]);
    melt.process = REFINE.to_owned();
    let event = kit.event(SMELTER, refine(melt));
    kit.append(&event).await;
    let month = Month::of(event.occurred_at);
    let (site, substance) = (site(SMELTER), Substance::Cu);
    let (mass, from, to) = (Grams::of(300), month, month.next());
    kit.say(SMELTER, Body::ClaimCredit(ClaimCredit { site, substance, mass, from, to })).await;

    let request = |from: Month, to: Month| v1::GetCreditBalanceRequest {
        site_id: raw(site.as_bytes()),
        substance: substance.number().into(),
        period_from_ms: from.begin().unwrap().get(),
        period_to_ms: to.begin().unwrap().get(),
    };
    let before = Month::of_number(month.number() - 1);
    let reply = kit.lots.get_credit_balance(request(before, to)).await.unwrap().into_inner();
    let told_months: Vec<_> =
        reply.months.iter().map(|it| (it.month_from_ms, it.earned_g, it.claimed_g)).collect();
    let begin = |month: Month| month.begin().unwrap().get();
    assert_eq!(told_months, [(begin(before), 0, 0), (begin(month), 500, 300)]);
    assert_eq!(reply.available_g, 200);

    let unknown = v1::GetCreditBalanceRequest { site_id: raw(&[0x70; 16]), ..request(month, to) };
    for (refused, reason) in [
        (request(to, month), "REQUEST_INVALID"),
        (request(before, Month::of_number(before.number() + 13)), "REQUEST_INVALID"),
        (v1::GetCreditBalanceRequest { substance: 1, ..request(month, to) }, "REQUEST_INVALID"),
        (
            v1::GetCreditBalanceRequest {
                site_id: raw(kit.lot().as_bytes()),
                ..request(month, to)
            },
            "NOT_FOUND",
        ),
        (unknown, "REQUEST_INVALID"),
    ] {
        let status = kit.lots.get_credit_balance(refused).await.unwrap_err();
        assert_eq!(told(&status).reason, reason);
    }
    kit.stop().await;
}
