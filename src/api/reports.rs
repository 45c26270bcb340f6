//! `ReportService`: balances, reports, flags.

use tonic::{Request, Response, Status};

use super::anomalies;
use super::desk::{Desk, answer, id_of};
use super::errors::Failure;
use super::pages::{List, cut, page_size};
use super::report_lots::{label, passport};
use super::report_requests::{Asking, Made, as_of};
use super::report_tables;
use super::viewer::viewer_of;
use crate::domain::{Tables, TimeMs};
use crate::insight::Book;
use crate::insight::reports::{Figure, entries_behind};
use crate::node::Reader;
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
        let asked = self.0.ask(move |book, _| anomalies::page(book, &request));
        answer(id, asked.await)
    }

    async fn get_anomaly(
        &self,
        request: Request<v1::GetAnomalyRequest>,
    ) -> Answer<v1::GetAnomalyResponse> {
        let id = id_of(&request);
        let request = request.into_inner();
        let asked = self.0.ask(move |book, _| anomalies::one(book, &request));
        answer(id, asked.await)
    }

    async fn get_report(
        &self,
        request: Request<v1::GetReportRequest>,
    ) -> Answer<v1::GetReportResponse> {
        let (id, viewer) = (id_of(&request), viewer_of(&request));
        let request = request.into_inner();
        let asked = self.0.ask(move |book, reader| {
            let tables = tables_of(reader, book)?;
            let desk = Asking { book, tables: &tables, now: reader.now(), viewer };
            let table = match desk.make(&request)? {
                Made::Table(table) => *table,
                Made::Label(of) => label(book, reader, &of, &tables)?,
                Made::Passport(of) => passport(book, reader, &of, &tables)?,
            };
            Ok(v1::GetReportResponse { table: Some(report_tables::told(&table)) })
        });
        answer(id, asked.await)
    }

    async fn list_figure_entries(
        &self,
        request: Request<v1::ListFigureEntriesRequest>,
    ) -> Answer<v1::ListFigureEntriesResponse> {
        let id = id_of(&request);
        let request = request.into_inner();
        let asked = self.0.ask(move |book, reader| figure_page(book, reader.now(), &request));
        answer(id, asked.await)
    }
}

/// The tables in force behind the book's last entry.
fn tables_of(reader: &Reader, book: &Book) -> Result<Tables, Failure> {
    let found = reader.tables_as_of(book.size())?;
    // Until they are published there is nothing to report.
    Ok(found.and_then(|tables| Tables::parse(&tables.text).ok()).unwrap_or_default())
}

/// A page of the entries behind a figure.
fn figure_page(
    book: &Book,
    now: TimeMs,
    request: &v1::ListFigureEntriesRequest,
) -> Result<v1::ListFigureEntriesResponse, Failure> {
    let figure = Figure::parse(&request.figure)
        .map_err(|fault| Failure::field("figure", fault.to_string(), request.figure.clone()))?;
    let entry = request.as_of_entry_index.map_or([0; 8], u64::to_be_bytes);
    let has_entry = [u8::from(request.as_of_entry_index.is_some())];
    let at = request.as_of_ms.to_be_bytes();
    let filter: [&[u8]; 4] = [request.figure.as_bytes(), &has_entry, &entry, &at];
    let list = List::new("ListFigureEntries", &filter);
    let from = list.cursor::<8>(&request.page_token)?.map_or(0, u64::from_be_bytes);
    let as_of = as_of(request.as_of_entry_index, request.as_of_ms, book, now);
    let size = page_size(request.page_size);
    let found = entries_behind(book, as_of, &figure);
    let rest = found.into_iter().filter(|(index, _)| index.0 >= from).take(size.saturating_add(1));
    let mut entries: Vec<v1::FigureEntry> = rest
        .map(|(index, amount)| v1::FigureEntry {
            entry_index: index.0,
            // A sum of postings of one entry, of at most 1e12 g each.
            amount: i64::try_from(amount).unwrap_or(i64::MAX),
        })
        .collect();
    let next = cut(&mut entries, size).and_then(|at| entries.get(at)).map(|last| {
        let after = last.entry_index.saturating_add(1);
        list.token(&after.to_be_bytes())
    });
    Ok(v1::ListFigureEntriesResponse { entries, next_page_token: next.unwrap_or_default() })
}
