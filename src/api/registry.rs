//! `RegistryService`: parties, sites, keys, tables.

use tonic::{Request, Response, Status};

use super::as_of::{self, Asked, told};
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
            let as_of = asked(request.as_of_ms, request.as_of_entry_index).resolve(reader)?;
            let found = reader.party_as_of(party, as_of.size)?;
            let state = found.ok_or_else(|| missing("party", &party))?;
            let party = Some(as_of::party(reader, &state, as_of)?);
            Ok(v1::GetPartyResponse { party, as_of: Some(told(as_of)) })
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
            let as_of = asked(request.as_of_ms, request.as_of_entry_index).resolve(reader)?;
            let found = reader.site_as_of(site, as_of.size)?;
            let found = found.ok_or_else(|| missing("site", &site))?;
            Ok(v1::GetSiteResponse { site: Some((&found).into()), as_of: Some(told(as_of)) })
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

fn asked(ms: u64, entry: Option<u64>) -> Asked {
    Asked { ms, entry }
}

/// A page that many parties of before the asked time stand behind is short, even empty, and its
/// token leads on.
fn party_page(
    reader: &Reader,
    request: &v1::ListPartiesRequest,
) -> Result<v1::ListPartiesResponse, Failure> {
    let asked = asked(request.as_of_ms, request.as_of_entry_index);
    let list = List::new("ListParties", &[&asked.filter()]);
    let after = list.cursor(&request.page_token)?.map(PartyId::from_bytes);
    let as_of = asked.resolve(reader)?;
    let size = page_size(request.page_size);
    let page = reader.parties_as_of(after, size, as_of.size)?;
    let mut parties = Vec::with_capacity(page.items.len());
    for state in &page.items {
        parties.push(as_of::party(reader, state, as_of)?);
    }
    let kept = cut(&mut parties, size).and_then(|at| page.items.get(at)).map(|it| it.party.id);
    let next = kept.or(page.next).map(|id| list.token(id.as_bytes()));
    let next_page_token = next.unwrap_or_default();
    Ok(v1::ListPartiesResponse { parties, next_page_token, as_of: Some(told(as_of)) })
}

/// Looks at so many sites at most and shows those of the party: so a page may be empty although the
/// list goes on.
fn site_page(
    reader: &Reader,
    request: &v1::ListSitesRequest,
) -> Result<v1::ListSitesResponse, Failure> {
    let party = optional("party_id", &request.party_id, PartyId::parse)?;
    let asked = asked(request.as_of_ms, request.as_of_entry_index);
    let list = List::new("ListSites", &[&request.party_id, &asked.filter()]);
    let after = list.cursor(&request.page_token)?.map(SiteId::from_bytes);
    let as_of = asked.resolve(reader)?;
    let size = page_size(request.page_size);
    let page = reader.sites_as_of(party, after, size, as_of.size)?;
    let mut sites = page.items.iter().map(v1::SiteRecord::from).collect();
    let kept = cut(&mut sites, size).and_then(|at| page.items.get(at)).map(|site| site.id);
    let next = kept.or(page.next).map(|id| list.token(id.as_bytes()));
    let next_page_token = next.unwrap_or_default();
    Ok(v1::ListSitesResponse { sites, next_page_token, as_of: Some(told(as_of)) })
}

fn key_page(
    reader: &Reader,
    request: &v1::ListKeysRequest,
) -> Result<v1::ListKeysResponse, Failure> {
    let party = needed("party_id", &request.party_id, PartyId::parse)?;
    let asked = asked(request.as_of_ms, request.as_of_entry_index);
    let as_of = asked.resolve(reader)?;
    let found = reader.party_as_of(party, as_of.size)?;
    let state = found.ok_or_else(|| missing("party", &party))?;
    let list = List::new("ListKeys", &[&request.party_id, &asked.filter()]);
    let first = list.cursor(&request.page_token)?.map_or(0, u32::from_be_bytes);
    let mut page = (0_u32..).zip(&state.keys).skip_while(|(ordinal, _)| *ordinal < first);
    let mut keys = Vec::new();
    for (_, key) in page.by_ref().take(page_size(request.page_size)) {
        let state = reader.key_as_of(*key, as_of.size)?.ok_or_else(|| missing("key", key))?;
        keys.push(as_of::key(&state, as_of));
    }
    let next = page.next().map(|(ordinal, _)| list.token(&ordinal.to_be_bytes()));
    let next_page_token = next.unwrap_or_default();
    Ok(v1::ListKeysResponse { keys, next_page_token, as_of: Some(told(as_of)) })
}

fn tables_page(
    reader: &Reader,
    request: &v1::GetTablesRequest,
) -> Result<v1::GetTablesResponse, Failure> {
    let asked = asked(request.as_of_ms, request.as_of_entry_index);
    let as_of = asked.resolve(reader)?;
    let tables = reader.tables_as_of(as_of.size)?;
    let tables = tables.ok_or_else(|| missing("tables", &as_of.at.get()))?;
    let (hash, text) = (tables.hash, tables.text);
    // The hash is part of the list, so a token of a set that was replaced meanwhile is refused.
    let list = List::new("GetTables", &[hash.as_bytes(), &asked.filter()]);
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
        as_of: Some(told(as_of)),
    })
}
