//! Flags over real gRPC: what parties say of them in signed events stands beside them.

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

use forge_world::{COLLECTOR, COORD, SMELTER, accept, offering};
use kit::{Kit, raw};
use urbanmine::domain::event::AcknowledgeAnomaly;
use urbanmine::domain::{Body, PartyId};
use urbanmine::wire::v1;
use urbanmine::wire::v1::report_service_client::ReportServiceClient;

async fn anomalies(kit: &Kit, request: v1::ListAnomaliesRequest) -> Vec<v1::Anomaly> {
    let mut reports = ReportServiceClient::new(kit.channel.clone());
    let request = v1::ListAnomaliesRequest { rule: 5, ..request };
    reports.list_anomalies(request).await.unwrap().into_inner().anomalies
}

/// Who said what of a flag.
fn said(anomaly: &v1::Anomaly) -> Vec<(PartyId, &str)> {
    let words = anomaly.acknowledgements.iter();
    let id = |bytes: &[u8]| PartyId::from_bytes(bytes.try_into().unwrap());
    words.map(|it| (id(&it.party_id), it.note.as_str())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flag_that_was_acknowledged_says_by_whom_and_is_not_open() {
    let mut kit = Kit::start().await;
    let lot = kit.copper(COLLECTOR, 1_000_000).await;
    let offer = kit.say(COLLECTOR, Body::OfferTransfer(offering(lot, 1_000_000, SMELTER))).await;
    // A hundredth more than was sent.
    kit.say(SMELTER, accept(offer, 1_010_000, None)).await;
    let all = v1::ListAnomaliesRequest::default();
    let open = v1::ListAnomaliesRequest { only_open: true, ..all.clone() };

    let found = anomalies(&kit, all.clone()).await;
    let [flag] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((flag.variant.as_str(), &flag.lot_id), ("arrival", &raw(lot.as_bytes())));
    assert_eq!((said(flag), anomalies(&kit, open.clone()).await.len()), (vec![], 1));
    let size_before = kit.checkpoint().await.size.0;

    let word = |note: &str| {
        let (anomaly, note) = (flag.anomaly_id.clone(), note.to_owned());
        Body::AcknowledgeAnomaly(AcknowledgeAnomaly { anomaly, note })
    };
    kit.say(SMELTER, word("scales are looked at")).await;
    kit.say(COORD, word("asked")).await;
    kit.say(SMELTER, word("scales were wrong")).await;

    let found = anomalies(&kit, all.clone()).await;
    let mut words = said(&found[0]);
    words.sort_unstable();
    let mut expected = vec![(COORD, "asked"), (SMELTER, "scales were wrong")];
    expected.sort_unstable();
    assert_eq!(words, expected, "the last word of each party");
    assert!(found[0].acknowledgements.iter().all(|it| it.entry_index >= size_before));
    assert_eq!(anomalies(&kit, open.clone()).await, []);
    let one = v1::GetAnomalyRequest { anomaly_id: flag.anomaly_id.clone() };
    let mut reports = ReportServiceClient::new(kit.channel.clone());
    let told = reports.get_anomaly(one).await.unwrap().into_inner().anomaly.unwrap();
    assert_eq!(told, found[0]);

    // Before those words it was open.
    let as_of_entry_index = Some(size_before - 1);
    let then = anomalies(&kit, v1::ListAnomaliesRequest { as_of_entry_index, ..open }).await;
    assert_eq!((then.len(), said(&then[0])), (1, vec![]));
    kit.stop().await;
}
