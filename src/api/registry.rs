//! `RegistryService`: parties, sites, keys, tables.

use tonic::{Request, Response, Status};

use super::convert::{missing, needed, optional, raw};
use super::desk::{Desk, answer, id_of};
use super::errors::Failure;
use super::pages::{List, cut, page_size};
use crate::domain::{PartyId, SiteId};
use crate::limits::TABLES_PAGE_BYTES;
use crate::node::Reader;
use crate::wire::v1;
use crate::wire::v1::registry_service_server::RegistryService;

/// The handlers.
#[derive(Debug)]
pub struct RegistryDesk(pub Desk);

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl RegistryService for RegistryDesk {
    async fn get_party(
        &self,
        request: Request<v1::GetPartyRequest>,
    ) -> Answer<v1::GetPartyResponse> {
        let id = id_of(&request);
        let request = request.into_inner();
        let read = self.0.read(move |reader| {
            let party = needed("party_id", &request.party_id, PartyId::parse)?;
            let party = reader.party(party)?.ok_or_else(|| missing("party", &party))?;
            Ok(v1::GetPartyResponse { party: Some((&party).into()) })
        });
        answer(id, read.await)
    }

    async fn list_parties(
        &self,
        request: Request<v1::ListPartiesRequest>,
    ) -> Answer<v1::ListPartiesResponse> {
        let id = id_of(&request);
        let request = request.into_inner();
        answer(id, self.0.read(move |reader| party_page(reader, &request)).await)
    }

    async fn get_site(&self, request: Request<v1::GetSiteRequest>) -> Answer<v1::GetSiteResponse> {
        let id = id_of(&request);
        let request = request.into_inner();
        let read = self.0.read(move |reader| {
            let site = needed("site_id", &request.site_id, SiteId::parse)?;
            let site = reader.site(site)?.ok_or_else(|| missing("site", &site))?;
            Ok(v1::GetSiteResponse { site: Some((&site).into()) })
        });
        answer(id, read.await)
    }

    async fn list_sites(
        &self,
        request: Request<v1::ListSitesRequest>,
    ) -> Answer<v1::ListSitesResponse> {
        let id = id_of(&request);
        let request = request.into_inner();
        answer(id, self.0.read(move |reader| site_page(reader, &request)).await)
    }

    async fn list_keys(
        &self,
        request: Request<v1::ListKeysRequest>,
    ) -> Answer<v1::ListKeysResponse> {
        let id = id_of(&request);
        let request = request.into_inner();
        answer(id, self.0.read(move |reader| key_page(reader, &request)).await)
    }

    async fn get_tables(
        &self,
        request: Request<v1::GetTablesRequest>,
    ) -> Answer<v1::GetTablesResponse> {
        let id = id_of(&request);
        let request = request.into_inner();
        answer(id, self.0.read(move |reader| tables_page(reader, &request)).await)
    }
}

fn party_page(
    reader: &Reader,
    request: &v1::ListPartiesRequest,
) -> Result<v1::ListPartiesResponse, Failure> {
    let list = List::new("ListParties", &[]);
    let after = list.cursor(&request.page_token)?.map(PartyId::from_bytes);
    let size = page_size(request.page_size);
    let found = reader.parties(after, size.saturating_add(1))?;
    let mut parties = found.iter().map(v1::Party::from).collect();
    let final_item = cut(&mut parties, size).and_then(|at| found.get(at));
    let next = final_item.map(|state| list.token(state.party.id.as_bytes()));
    Ok(v1::ListPartiesResponse { parties, next_page_token: next.unwrap_or_default() })
}

/// Looks at one page of all sites and shows those of the party: so a page costs the same with a
/// filter, and may be empty although the list goes on.
fn site_page(
    reader: &Reader,
    request: &v1::ListSitesRequest,
) -> Result<v1::ListSitesResponse, Failure> {
    let party = optional("party_id", &request.party_id, PartyId::parse)?;
    let list = List::new("ListSites", &[&request.party_id]);
    let after = list.cursor(&request.page_token)?.map(SiteId::from_bytes);
    let size = page_size(request.page_size);
    let found = reader.sites(after, size.saturating_add(1))?;
    let mut sites = found.iter().map(v1::SiteRecord::from).collect();
    let final_item = cut(&mut sites, size).and_then(|at| found.get(at));
    let next = final_item.map(|site| list.token(site.id.as_bytes()));
    sites.retain(|site| party.is_none_or(|party| site.party_id == party.as_bytes()[..]));
    Ok(v1::ListSitesResponse { sites, next_page_token: next.unwrap_or_default() })
}

fn key_page(
    reader: &Reader,
    request: &v1::ListKeysRequest,
) -> Result<v1::ListKeysResponse, Failure> {
    let party = needed("party_id", &request.party_id, PartyId::parse)?;
    let state = reader.party(party)?.ok_or_else(|| missing("party", &party))?;
    let list = List::new("ListKeys", &[&request.party_id]);
    let first = list.cursor(&request.page_token)?.map_or(0, u32::from_be_bytes);
    let mut page = (0_u32..).zip(&state.keys).skip_while(|(ordinal, _)| *ordinal < first);
    let mut keys = Vec::new();
    for (_, key) in page.by_ref().take(page_size(request.page_size)) {
        let key = reader.key(*key)?.ok_or_else(|| missing("key", key))?;
        keys.push(v1::PartyKey::from(&key));
    }
    let next = page.next().map(|(ordinal, _)| list.token(&ordinal.to_be_bytes()));
    Ok(v1::ListKeysResponse { keys, next_page_token: next.unwrap_or_default() })
}

fn tables_page(
    reader: &Reader,
    request: &v1::GetTablesRequest,
) -> Result<v1::GetTablesResponse, Failure> {
    let hash = reader.ledger()?.tables_hash;
    let text = reader.tables_text()?;
    // The hash is part of the list, so a token of a set that was replaced meanwhile is refused.
    let list = List::new("GetTables", &[hash.as_bytes()]);
    let page: usize = list
        .cursor(&request.page_token)?
        .map_or(0, |cursor| usize::try_from(u32::from_be_bytes(cursor)).unwrap_or(usize::MAX));
    let mut pages = text.as_bytes().chunks(TABLES_PAGE_BYTES).skip(page);
    let content = pages.next().unwrap_or_default();
    let next = pages.next().and_then(|_| u32::try_from(page.saturating_add(1)).ok());
    Ok(v1::GetTablesResponse {
        tables_sha256: raw(hash.as_bytes()),
        size_bytes: u64::try_from(text.len()).unwrap_or(u64::MAX),
        content: raw(content),
        next_page_token: next.map(|page| list.token(&page.to_be_bytes())).unwrap_or_default(),
    })
}
