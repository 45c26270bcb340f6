//! `LotService`: lots, transfers, traces.

use tonic::{Request, Response, Status};

use super::campaigns;
use super::convert::{lot_status, missing, needed, optional, transfer_status};
use super::desk::{Desk, answer, id_of};
use super::errors::Failure;
use super::eyes::{Eyes, SeenLot, SeenLots};
use super::pages::{List, cut, page_size};
use super::viewer::{Viewer, viewer_of};
use super::visibility::LotSight;
use super::{credits, recall, traces};
use crate::domain::{EventId, LotId, PartyId, SiteId};
use crate::ledger::WayEnd;
use crate::limits::MAX_CODE_BYTES;
use crate::node::{LotFilter, Reader, TransferFilter, TransferScan};
use crate::wire::v1;
use crate::wire::v1::lot_service_server::LotService;

/// The handlers.
#[derive(Debug)]
pub struct LotDesk(pub Desk);

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl LotService for LotDesk {
    async fn get_lot(&self, request: Request<v1::GetLotRequest>) -> Answer<v1::GetLotResponse> {
        let (id, viewer) = (id_of(&request), viewer_of(&request));
        let request = request.into_inner();
        let read = self.0.read(move |reader| {
            let eyes = Eyes::new(reader, viewer);
            let lot = existing(eyes, &request.lot_id)?;
            Ok(v1::GetLotResponse { lot: Some(eyes.tell_lot(&lot)?) })
        });
        answer(id, read.await)
    }

    async fn list_lots(
        &self,
        request: Request<v1::ListLotsRequest>,
    ) -> Answer<v1::ListLotsResponse> {
        let (id, viewer) = (id_of(&request), viewer_of(&request));
        let request = request.into_inner();
        answer(id, self.0.read(move |reader| lot_page(Eyes::new(reader, viewer), &request)).await)
    }

    async fn list_lot_events(
        &self,
        request: Request<v1::ListLotEventsRequest>,
    ) -> Answer<v1::ListLotEventsResponse> {
        let (id, viewer) = (id_of(&request), viewer_of(&request));
        let request = request.into_inner();
        answer(id, self.0.read(move |reader| life_page(Eyes::new(reader, viewer), &request)).await)
    }

    async fn get_lot_state_proof(
        &self,
        request: Request<v1::GetLotStateProofRequest>,
    ) -> Answer<v1::GetLotStateProofResponse> {
        let (id, viewer) = (id_of(&request), viewer_of(&request));
        let request = request.into_inner();
        answer(
            id,
            self.0.read(move |reader| state_proof(Eyes::new(reader, viewer), &request)).await,
        )
    }

    async fn trace_origins(
        &self,
        request: Request<v1::TraceOriginsRequest>,
    ) -> Answer<v1::TraceOriginsResponse> {
        let (id, viewer) = (id_of(&request), viewer_of(&request));
        let request = request.into_inner();
        let read = self.0.read(move |reader| {
            let eyes = Eyes::new(reader, viewer);
            let lot = standing(eyes, &request.lot_id)?;
            let measure = traces::measure(request.substance)?;
            traces::origins_page(eyes, &lot, measure, &request)
        });
        answer(id, read.await)
    }

    async fn trace_destinations(
        &self,
        request: Request<v1::TraceDestinationsRequest>,
    ) -> Answer<v1::TraceDestinationsResponse> {
        let (id, viewer) = (id_of(&request), viewer_of(&request));
        let request = request.into_inner();
        let read = self.0.read(move |reader| {
            let eyes = Eyes::new(reader, viewer);
            let lot = standing(eyes, &request.lot_id)?;
            traces::destinations_page(eyes, &lot, &request)
        });
        answer(id, read.await)
    }

    async fn list_recall(
        &self,
        request: Request<v1::ListRecallRequest>,
    ) -> Answer<v1::ListRecallResponse> {
        let (id, viewer) = (id_of(&request), viewer_of(&request));
        let request = request.into_inner();
        let read = self.0.read(move |reader| {
            let eyes = Eyes::new(reader, viewer);
            let lot = standing(eyes, &request.lot_id)?;
            recall::page(eyes, &lot, &request)
        });
        answer(id, read.await)
    }

    async fn get_transfer(
        &self,
        request: Request<v1::GetTransferRequest>,
    ) -> Answer<v1::GetTransferResponse> {
        let (id, viewer) = (id_of(&request), viewer_of(&request));
        let request = request.into_inner();
        let read = self.0.read(move |reader| {
            let offer = needed("offer_event_id", &request.offer_event_id, EventId::parse)?;
            let transfer = Eyes::new(reader, viewer).transfer(offer)?;
            let transfer = transfer.ok_or_else(|| missing("transfer", &offer))?;
            Ok(v1::GetTransferResponse { transfer: Some((&transfer).into()) })
        });
        answer(id, read.await)
    }

    async fn get_credit_balance(
        &self,
        request: Request<v1::GetCreditBalanceRequest>,
    ) -> Answer<v1::GetCreditBalanceResponse> {
        let (id, viewer) = (id_of(&request), viewer_of(&request));
        let request = request.into_inner();
        answer(id, self.0.read(move |reader| credits::balance(reader, viewer, &request)).await)
    }

    async fn get_campaign(
        &self,
        request: Request<v1::GetCampaignRequest>,
    ) -> Answer<v1::GetCampaignResponse> {
        let (id, viewer) = (id_of(&request), viewer_of(&request));
        let request = request.into_inner();
        let read = self.0.read(move |reader| campaigns::one(Eyes::new(reader, viewer), &request));
        answer(id, read.await)
    }

    async fn list_campaigns(
        &self,
        request: Request<v1::ListCampaignsRequest>,
    ) -> Answer<v1::ListCampaignsResponse> {
        let (id, viewer) = (id_of(&request), viewer_of(&request));
        let request = request.into_inner();
        let read = self.0.read(move |reader| campaigns::page(Eyes::new(reader, viewer), &request));
        answer(id, read.await)
    }

    async fn list_transfers(
        &self,
        request: Request<v1::ListTransfersRequest>,
    ) -> Answer<v1::ListTransfersResponse> {
        let (id, viewer) = (id_of(&request), viewer_of(&request));
        let request = request.into_inner();
        answer(id, self.0.read(move |reader| transfer_page(reader, viewer, &request)).await)
    }
}

fn transfer_page(
    reader: &Reader,
    viewer: Viewer,
    request: &v1::ListTransfersRequest,
) -> Result<v1::ListTransfersResponse, Failure> {
    let mut filter = TransferFilter {
        party: None,
        sender: optional("sender_party_id", &request.sender_party_id, PartyId::parse)?,
        consignee: optional("consignee_party_id", &request.consignee_party_id, PartyId::parse)?,
        lot: optional("lot_id", &request.lot_id, LotId::parse)?,
        status: transfer_status(request.status)?,
    };
    let list = List::new(
        "ListTransfers",
        &[
            &request.sender_party_id,
            &request.consignee_party_id,
            &request.lot_id,
            &request.status.to_be_bytes(),
        ],
    );
    let after = list.cursor(&request.page_token)?.map(EventId::from_bytes);
    let size = page_size(request.page_size);
    // As in ListLots: a page may be short, even empty, and its token leads on.
    let scan = match viewer {
        Viewer::Overseer => reader.transfers(after, size, &filter)?,
        Viewer::Party(own) => {
            filter.party = Some(own);
            reader.transfers(after, size, &filter)?
        }
        Viewer::Stranger => TransferScan::default(),
    };
    let mut transfers = scan.transfers.iter().map(v1::Transfer::from).collect();
    let kept = cut(&mut transfers, size).and_then(|at| scan.transfers.get(at)).map(|it| it.offer);
    let next = kept.or(scan.stopped_at).map(|offer| list.token(offer.as_bytes()));
    Ok(v1::ListTransfersResponse { transfers, next_page_token: next.unwrap_or_default() })
}

/// A lot that is recorded, and seen.
fn existing(eyes: Eyes<'_>, bytes: &[u8]) -> Result<SeenLot, Failure> {
    let lot = needed("lot_id", bytes, LotId::parse)?;
    eyes.lot(lot)?.ok_or_else(|| missing("lot", &lot))
}

/// A party gets it where the lot itself tells it the number of entries, and never that a lot is not
/// there: the proof of that names a lot of somebody else, and would answer guesses.
fn state_proof(
    eyes: Eyes<'_>,
    request: &v1::GetLotStateProofRequest,
) -> Result<v1::GetLotStateProofResponse, Failure> {
    let lot = needed("lot_id", &request.lot_id, LotId::parse)?;
    if eyes.viewer != Viewer::Overseer {
        let seen = eyes.lot(lot)?.ok_or_else(|| missing("lot", &lot))?;
        let told = eyes.tell_lot(&seen)?;
        if told.view() != v1::LotView::Whole || told.entry_count == 0 {
            return Err(missing("lot", &lot));
        }
    }
    let proof = eyes.reader.lot_state_proof(lot)?.ok_or_else(|| missing("lot_state", &lot))?;
    let state = match proof.way.end {
        WayEnd::Lot(state) => Some(state),
        WayEnd::Empty | WayEnd::Other(..) if eyes.viewer == Viewer::Overseer => None,
        WayEnd::Empty | WayEnd::Other(..) => return Err(missing("lot_state", &lot)),
    };
    Ok(v1::GetLotStateProofResponse {
        tree_size: proof.statement.index.0,
        entry_count: state.map_or(0, |state| state.entry_count),
        last_entry_index: state.map_or(0, |state| state.last.0),
        proof: proof.encode(),
    })
}

/// A lot that has a history: one whose birth was declared an error came from nowhere, and one step
/// away the history is another's.
fn standing(eyes: Eyes<'_>, bytes: &[u8]) -> Result<SeenLot, Failure> {
    let seen = existing(eyes, bytes)?;
    let is_retracted = match &seen.sight {
        LotSight::Whole { .. } | LotSight::Granted { .. } => seen.lot.retracted_by.is_some(),
        LotSight::AsLeft { stood, .. } => stood.retracted_by.is_some(),
        LotSight::Step(..) | LotSight::Hidden => true,
    };
    if is_retracted { Err(missing("lot_history", &seen.lot.id)) } else { Ok(seen) }
}

fn lot_page(
    eyes: Eyes<'_>,
    request: &v1::ListLotsRequest,
) -> Result<v1::ListLotsResponse, Failure> {
    let filter = filter(request)?;
    let list = List::new(
        "ListLots",
        &[
            &request.owner_party_id,
            &request.possessor_party_id,
            &request.site_id,
            request.material.as_bytes(),
            &request.status.to_be_bytes(),
        ],
    );
    let after = list.cursor(&request.page_token)?.map(LotId::from_bytes);
    let size = page_size(request.page_size);
    // A filter that little matches stops where the scan does: such a page is short, even empty, and
    // its token leads on.
    let SeenLots { mut lots, ids, stopped_at } = lots_seen(eyes, after, size, &filter)?;
    let kept = cut(&mut lots, size).and_then(|at| ids.get(at)).copied();
    let next = kept.or(stopped_at).map(|lot| list.token(lot.as_bytes()));
    Ok(v1::ListLotsResponse { lots, next_page_token: next.unwrap_or_default() })
}

/// Overseers look at all lots; a party at its own stock by the indexes of owners and holders, and
/// at all that it is related to by its own index.
fn lots_seen(
    eyes: Eyes<'_>,
    after: Option<LotId>,
    size: usize,
    filter: &LotFilter,
) -> Result<SeenLots, Failure> {
    let own = match eyes.viewer {
        Viewer::Overseer => None,
        Viewer::Party(own) => Some(own),
        Viewer::Stranger => return Ok(SeenLots::default()),
    };
    // The store looks by owner first; a filter that names another owner would walk that one's
    // rows.
    if let Some(own) = own
        && filter.owner.or(filter.possessor) != Some(own)
    {
        return Ok(eyes.lots(own, after, size, filter)?);
    }
    let scan = eyes.reader.lots(after, size, filter)?;
    let mut seen = SeenLots { stopped_at: scan.stopped_at, ..SeenLots::default() };
    for lot in scan.lots {
        if let Some(lot) = eyes.lot(lot.id)? {
            seen.ids.push(lot.lot.id);
            seen.lots.push(eyes.tell_lot(&lot)?);
        }
    }
    Ok(seen)
}

fn filter(request: &v1::ListLotsRequest) -> Result<LotFilter, Failure> {
    let material = request.material.as_str();
    if material.len() > MAX_CODE_BYTES {
        return Err(Failure::field(
            "material",
            format!("at most {MAX_CODE_BYTES} bytes"),
            format!("{} bytes", material.len()),
        ));
    }
    let possessor = optional("possessor_party_id", &request.possessor_party_id, PartyId::parse)?;
    Ok(LotFilter {
        owner: optional("owner_party_id", &request.owner_party_id, PartyId::parse)?,
        possessor,
        site: optional("site_id", &request.site_id, SiteId::parse)?,
        material: (!material.is_empty()).then(|| material.to_owned()),
        status: lot_status(request.status)?,
    })
}

/// The events that concern the viewer: a page of them is as full as it would be if there were no
/// others.
fn life_page(
    eyes: Eyes<'_>,
    request: &v1::ListLotEventsRequest,
) -> Result<v1::ListLotEventsResponse, Failure> {
    let lot = existing(eyes, &request.lot_id)?.lot.id;
    let list = List::new("ListLotEvents", &[&request.lot_id]);
    let first = list.cursor(&request.page_token)?.map_or(0, u32::from_be_bytes);
    let size = page_size(request.page_size);
    let life = eyes.reader.life(lot)?;
    let (mut events, mut next) = (Vec::new(), None);
    // The ordinal of an event in the life of a lot is a u32 of the format.
    for (ordinal, (index, event)) in (0_u32..).zip(&life).skip_while(|(at, _)| *at < first) {
        if !eyes.sees_entry(*index)? {
            continue;
        }
        if events.len() >= size {
            next = Some(list.token(&ordinal.to_be_bytes()));
            break;
        }
        let record = eyes.reader.event(*event)?.ok_or_else(|| missing("event", event))?;
        events.push(eyes.tell_event(ordinal, *index, record)?);
    }
    Ok(v1::ListLotEventsResponse { events, next_page_token: next.unwrap_or_default() })
}
