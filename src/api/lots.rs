//! `LotService`: lots, transfers, traces.

use tonic::{Request, Response, Status};

use super::convert::{lot_event, lot_status, missing, needed, optional};
use super::desk::{Desk, answer, id_of};
use super::errors::Failure;
use super::pages::{List, cut, page_size};
use super::viewer::viewer_of;
use super::{credits, traces};
use crate::domain::lot::Lot;
use crate::domain::{EventId, LotId, PartyId, SiteId};
use crate::limits::MAX_CODE_BYTES;
use crate::node::{Direction, LotFilter, Reader};
use crate::wire::v1;
use crate::wire::v1::lot_service_server::LotService;

/// The handlers.
#[derive(Debug)]
pub struct LotDesk(pub Desk);

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl LotService for LotDesk {
    async fn get_lot(&self, request: Request<v1::GetLotRequest>) -> Answer<v1::GetLotResponse> {
        let id = id_of(&request);
        let request = request.into_inner();
        let read = self.0.read(move |reader| {
            let lot = existing(reader, &request.lot_id)?;
            Ok(v1::GetLotResponse { lot: Some((&lot).into()) })
        });
        answer(id, read.await)
    }

    async fn list_lots(
        &self,
        request: Request<v1::ListLotsRequest>,
    ) -> Answer<v1::ListLotsResponse> {
        let id = id_of(&request);
        let request = request.into_inner();
        answer(id, self.0.read(move |reader| lot_page(reader, &request)).await)
    }

    async fn list_lot_events(
        &self,
        request: Request<v1::ListLotEventsRequest>,
    ) -> Answer<v1::ListLotEventsResponse> {
        let id = id_of(&request);
        let request = request.into_inner();
        answer(id, self.0.read(move |reader| life_page(reader, &request)).await)
    }

    async fn trace_origins(
        &self,
        request: Request<v1::TraceOriginsRequest>,
    ) -> Answer<v1::TraceOriginsResponse> {
        let id = id_of(&request);
        let request = request.into_inner();
        let read = self.0.read(move |reader| {
            let lot = standing(reader, &request.lot_id)?;
            let measure = traces::measure(request.substance)?;
            let origins = reader.origins(lot, measure)?;
            let trace = reader.trace(lot, Direction::Back)?;
            Ok(traces::origins(&origins, &trace))
        });
        answer(id, read.await)
    }

    async fn trace_destinations(
        &self,
        request: Request<v1::TraceDestinationsRequest>,
    ) -> Answer<v1::TraceDestinationsResponse> {
        let id = id_of(&request);
        let request = request.into_inner();
        let read = self.0.read(move |reader| {
            let lot = standing(reader, &request.lot_id)?;
            Ok(traces::destinations(&reader.trace(lot, Direction::Forward)?))
        });
        answer(id, read.await)
    }

    async fn get_transfer(
        &self,
        request: Request<v1::GetTransferRequest>,
    ) -> Answer<v1::GetTransferResponse> {
        let id = id_of(&request);
        let request = request.into_inner();
        let read = self.0.read(move |reader| {
            let offer = needed("offer_event_id", &request.offer_event_id, EventId::parse)?;
            let transfer = reader.transfer(offer)?.ok_or_else(|| missing("transfer", &offer))?;
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
}

/// A lot that is recorded.
fn existing(reader: &Reader, bytes: &[u8]) -> Result<Lot, Failure> {
    let lot = needed("lot_id", bytes, LotId::parse)?;
    reader.lot(lot)?.ok_or_else(|| missing("lot", &lot))
}

/// A lot that has a history: one whose birth was declared an error came from nowhere.
fn standing(reader: &Reader, bytes: &[u8]) -> Result<LotId, Failure> {
    let lot = existing(reader, bytes)?;
    match lot.retracted_by {
        None => Ok(lot.id),
        Some(_) => Err(missing("lot_history", &lot.id)),
    }
}

fn lot_page(
    reader: &Reader,
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
    let scan = reader.lots(after, size, &filter)?;
    let mut lots = scan.lots.iter().map(v1::Lot::from).collect();
    let kept = cut(&mut lots, size).and_then(|at| scan.lots.get(at)).map(|lot| lot.id);
    let next = kept.or(scan.stopped_at).map(|lot| list.token(lot.as_bytes()));
    Ok(v1::ListLotsResponse { lots, next_page_token: next.unwrap_or_default() })
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

fn life_page(
    reader: &Reader,
    request: &v1::ListLotEventsRequest,
) -> Result<v1::ListLotEventsResponse, Failure> {
    let lot = existing(reader, &request.lot_id)?.id;
    let list = List::new("ListLotEvents", &[&request.lot_id]);
    let first = list.cursor(&request.page_token)?.map_or(0, u32::from_be_bytes);
    let size = page_size(request.page_size);
    let life = reader.life(lot)?;
    // The ordinal of an event in the life of a lot is a u32 of the format.
    let mut page = (0_u32..).zip(&life).skip_while(|(ordinal, _)| *ordinal < first);
    let mut events = Vec::new();
    for (ordinal, (index, event)) in page.by_ref().take(size) {
        let record = reader.event(*event)?.ok_or_else(|| missing("event", event))?;
        events.push(lot_event(ordinal, *index, &record));
    }
    let next = page.next().map(|(ordinal, _)| list.token(&ordinal.to_be_bytes()));
    Ok(v1::ListLotEventsResponse { events, next_page_token: next.unwrap_or_default() })
}
