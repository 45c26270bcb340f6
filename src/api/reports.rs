//! `ReportService`: balances, reports, flags.

use tonic::{Request, Response, Status};

use super::anomalies;
use super::desk::{Desk, answer, id_of};
use crate::wire::v1;
use crate::wire::v1::report_service_server::ReportService;

/// The handlers.
#[derive(Debug)]
pub struct ReportDesk(pub Desk);

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl ReportService for ReportDesk {
    async fn list_anomalies(
        &self,
        request: Request<v1::ListAnomaliesRequest>,
    ) -> Answer<v1::ListAnomaliesResponse> {
        let id = id_of(&request);
        let request = request.into_inner();
        let asked = self.0.ask(move |book| anomalies::page(book, &request));
        answer(id, asked.await)
    }

    async fn get_anomaly(
        &self,
        request: Request<v1::GetAnomalyRequest>,
    ) -> Answer<v1::GetAnomalyResponse> {
        let id = id_of(&request);
        let request = request.into_inner();
        let asked = self.0.ask(move |book| anomalies::one(book, &request));
        answer(id, asked.await)
    }
}
