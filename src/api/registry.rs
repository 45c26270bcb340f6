//! `RegistryService`: parties, sites, keys, tables.

use tonic::{Request, Response, Status};

use super::convert::{missing, needed, optional, raw};
use super::desk::{Desk, answer, id_of};
use super::errors::Failure;
use super::eyes::Eyes;
use super::pages::{List, cut, page_size};
use super::viewer::{Viewer, viewer_of};
use super::visibility::PartySight;
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
        let (id, viewer) = (id_of(&request), viewer_of(&request));
        let request = request.into_inner();
        let read = self.0.read(move |reader| {
            let party = needed("party_id", &request.party_id, PartyId::parse)?;
            let sight = Eyes::new(reader, viewer).party_in_sight(party)?;
            let party = reader.party(party)?.ok_or_else(|| missing("party", &party))?;
            Ok(v1::GetPartyResponse { party: Some(sight.party((&party).into())) })
        });
        answer(id, read.await)
    }

    async fn list_parties(
        &self,
        request: Request<v1::ListPartiesRequest>,
    ) -> Answer<v1::ListPartiesResponse> {
        let (id, viewer) = (id_of(&request), viewer_of(&request));
        let request = request.into_inner();
        answer(id, self.0.read(move |reader| party_page(Eyes::new(reader, viewer), &request)).await)
    }

    async fn get_site(&self, request: Request<v1::GetSiteRequest>) -> Answer<v1::GetSiteResponse> {
        let (id, viewer) = (id_of(&request), viewer_of(&request));
        let request = request.into_inner();
        let read = self.0.read(move |reader| {
            let site = needed("site_id", &request.site_id, SiteId::parse)?;
            let found = reader.site(site)?.ok_or_else(|| missing("site", &site))?;
            let sight = Eyes::new(reader, viewer).party_sight(found.party)?;
            let told = sight.site((&found).into()).ok_or_else(|| missing("site", &site))?;
            Ok(v1::GetSiteResponse { site: Some(told) })
        });
        answer(id, read.await)
    }

    async fn list_sites(
        &self,
        request: Request<v1::ListSitesRequest>,
    ) -> Answer<v1::ListSitesResponse> {
        let (id, viewer) = (id_of(&request), viewer_of(&request));
        let request = request.into_inner();
        answer(id, self.0.read(move |reader| site_page(Eyes::new(reader, viewer), &request)).await)
    }

    async fn list_keys(
        &self,
        request: Request<v1::ListKeysRequest>,
    ) -> Answer<v1::ListKeysResponse> {
        let (id, viewer) = (id_of(&request), viewer_of(&request));
        let request = request.into_inner();
        answer(id, self.0.read(move |reader| key_page(Eyes::new(reader, viewer), &request)).await)
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
    eyes: Eyes<'_>,
    request: &v1::ListPartiesRequest,
) -> Result<v1::ListPartiesResponse, Failure> {
    let list = List::new("ListParties", &[]);
    let after = list.cursor(&request.page_token)?.map(PartyId::from_bytes);
    let size = page_size(request.page_size);
    let found = parties_seen(eyes, after, size.saturating_add(1))?;
    let (ids, mut parties): (Vec<_>, Vec<_>) = found.into_iter().unzip();
    let final_item = cut(&mut parties, size).and_then(|at| ids.get(at));
    let next = final_item.map(|id: &PartyId| list.token(id.as_bytes()));
    Ok(v1::ListPartiesResponse { parties, next_page_token: next.unwrap_or_default() })
}

fn parties_seen(
    eyes: Eyes<'_>,
    after: Option<PartyId>,
    max: usize,
) -> Result<Vec<(PartyId, v1::Party)>, Failure> {
    let own = match eyes.viewer {
        Viewer::Overseer => {
            let found = eyes.reader.parties(after, max)?;
            return Ok(found.iter().map(|state| (state.party.id, state.into())).collect());
        }
        Viewer::Party(own) => own,
        Viewer::Stranger => return Ok(Vec::new()),
    };
    let mut parties = Vec::new();
    for party in eyes.parties(own, after, max)? {
        let sight = eyes.party_in_sight(party)?;
        let state = eyes.reader.party(party)?.ok_or_else(|| missing("party", &party))?;
        parties.push((party, sight.party((&state).into())));
    }
    Ok(parties)
}

/// For overseers it looks at one page of all sites and shows those of the party: so a page costs
/// the same with a filter, and may be empty although the list goes on.
fn site_page(
    eyes: Eyes<'_>,
    request: &v1::ListSitesRequest,
) -> Result<v1::ListSitesResponse, Failure> {
    let party = optional("party_id", &request.party_id, PartyId::parse)?;
    let list = List::new("ListSites", &[&request.party_id]);
    let after = list.cursor(&request.page_token)?.map(SiteId::from_bytes);
    let size = page_size(request.page_size);
    let found = sites_seen(eyes, party, after, size.saturating_add(1))?;
    let (ids, mut sites): (Vec<_>, Vec<_>) = found.into_iter().unzip();
    let final_item = cut(&mut sites, size).and_then(|at| ids.get(at));
    let next = final_item.map(|id: &SiteId| list.token(id.as_bytes()));
    if eyes.viewer == Viewer::Overseer {
        sites.retain(|site: &v1::SiteRecord| {
            party.is_none_or(|party| site.party_id == party.as_bytes()[..])
        });
    }
    Ok(v1::ListSitesResponse { sites, next_page_token: next.unwrap_or_default() })
}

/// A party looks at its own sites, or at those of one that it knows.
fn sites_seen(
    eyes: Eyes<'_>,
    party: Option<PartyId>,
    after: Option<SiteId>,
    max: usize,
) -> Result<Vec<(SiteId, v1::SiteRecord)>, Failure> {
    let own = match eyes.viewer {
        Viewer::Overseer => {
            let found = eyes.reader.sites(after, max)?;
            return Ok(found.iter().map(|site| (site.id, site.into())).collect());
        }
        Viewer::Party(own) => own,
        Viewer::Stranger => return Ok(Vec::new()),
    };
    let of = party.unwrap_or(own);
    let sight = eyes.party_sight(of)?;
    let mut sites = Vec::new();
    if sight == PartySight::Hidden {
        return Ok(sites);
    }
    for id in eyes.reader.sites_of(of, after, max)? {
        let site = eyes.reader.site(id)?.ok_or_else(|| missing("site", &id))?;
        sites.extend(sight.site((&site).into()).map(|told| (id, told)));
    }
    Ok(sites)
}

fn key_page(
    eyes: Eyes<'_>,
    request: &v1::ListKeysRequest,
) -> Result<v1::ListKeysResponse, Failure> {
    let party = needed("party_id", &request.party_id, PartyId::parse)?;
    let sight = eyes.party_in_sight(party)?;
    let state = eyes.reader.party(party)?.ok_or_else(|| missing("party", &party))?;
    let list = List::new("ListKeys", &[&request.party_id]);
    let first = list.cursor(&request.page_token)?.map_or(0, u32::from_be_bytes);
    let mut page = (0_u32..).zip(&state.keys).skip_while(|(ordinal, _)| *ordinal < first);
    let mut keys = Vec::new();
    for (_, key) in page.by_ref().take(page_size(request.page_size)) {
        let key = eyes.reader.key(*key)?.ok_or_else(|| missing("key", key))?;
        keys.push(sight.key(v1::PartyKey::from(&key)));
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
