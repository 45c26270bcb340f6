//! `RegistryService`: parties, sites, keys, tables.

use tonic::{Request, Response, Status};

use super::as_of::{self, Asked, told};
use super::convert::{missing, needed, optional, raw};
use super::desk::{Desk, answer, id_of};
use super::errors::Failure;
use super::eyes::Eyes;
use super::pages::{List, cut, page_size};
use super::viewer::{Viewer, viewer_of};
use super::visibility::PartySight;
use crate::domain::waiver::WaiverState;
use crate::domain::{EntryIndex, PartyId, SiteId};
use crate::limits::{MAX_CODE_BYTES, MAX_PAGE_SIZE, MAX_SHORT_TEXT_BYTES, TABLES_PAGE_BYTES};
use crate::node::{AsOf, Reader};
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
            let as_of = asked(request.as_of_ms, request.as_of_entry_index).resolve(reader)?;
            let sight = Eyes::new(reader, viewer).party_in_sight(party)?;
            let found = reader.party_as_of(party, as_of.size)?;
            let state = found.ok_or_else(|| missing("party", &party))?;
            let party = Some(sight.party(as_of::party(reader, &state, as_of)?));
            Ok(v1::GetPartyResponse { party, as_of: Some(told(as_of)) })
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
            let as_of = asked(request.as_of_ms, request.as_of_entry_index).resolve(reader)?;
            let found = reader.site_as_of(site, as_of.size)?;
            let found = found.ok_or_else(|| missing("site", &site))?;
            let sight = Eyes::new(reader, viewer).party_sight(found.party)?;
            let told_site = sight.site((&found).into()).ok_or_else(|| missing("site", &site))?;
            Ok(v1::GetSiteResponse { site: Some(told_site), as_of: Some(told(as_of)) })
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

    async fn list_waivers(
        &self,
        request: Request<v1::ListWaiversRequest>,
    ) -> Answer<v1::ListWaiversResponse> {
        let id = id_of(&request);
        let request = request.into_inner();
        answer(id, self.0.read(move |reader| waiver_page(reader, &request)).await)
    }

    async fn list_attestations(
        &self,
        request: Request<v1::ListAttestationsRequest>,
    ) -> Answer<v1::ListAttestationsResponse> {
        let id = id_of(&request);
        let request = request.into_inner();
        answer(id, self.0.read(move |reader| attestation_page(reader, &request)).await)
    }

    async fn list_acknowledgements(
        &self,
        request: Request<v1::ListAcknowledgementsRequest>,
    ) -> Answer<v1::ListAcknowledgementsResponse> {
        let id = id_of(&request);
        let request = request.into_inner();
        answer(id, self.0.read(move |reader| acknowledgements(reader, &request)).await)
    }
}

fn asked(ms: u64, entry: Option<u64>) -> Asked {
    Asked { ms, entry }
}

/// A page that many parties of after the asked time stand in is short, even empty, and its token
/// leads on.
fn party_page(
    eyes: Eyes<'_>,
    request: &v1::ListPartiesRequest,
) -> Result<v1::ListPartiesResponse, Failure> {
    let asked = asked(request.as_of_ms, request.as_of_entry_index);
    let list = List::new("ListParties", &[&asked.filter()]);
    let after = list.cursor(&request.page_token)?.map(PartyId::from_bytes);
    let as_of = asked.resolve(eyes.reader)?;
    let size = page_size(request.page_size);
    let Seen { ids, items: mut parties, next } = parties_seen(eyes, after, size, as_of)?;
    let kept = cut(&mut parties, size).and_then(|at| ids.get(at)).copied();
    let next = kept.or(next).map(|id: PartyId| list.token(id.as_bytes()));
    let next_page_token = next.unwrap_or_default();
    Ok(v1::ListPartiesResponse { parties, next_page_token, as_of: Some(told(as_of)) })
}

/// Rows that a viewer sees, with their ids, and where the list goes on.
struct Seen<I, M> {
    ids: Vec<I>,
    items: Vec<M>,
    next: Option<I>,
}

impl<I: Copy, M> Seen<I, M> {
    /// Of ids, of which one more than the page was asked for: those of the page.
    fn page(mut found: Vec<I>, size: usize) -> (Vec<I>, Option<I>) {
        let goes_on = found.len() > size;
        found.truncate(size);
        let next = found.last().copied().filter(|_| goes_on);
        (found, next)
    }

    fn push(&mut self, id: I, item: M) {
        self.ids.push(id);
        self.items.push(item);
    }
}

/// Overseers look at all parties, a party at those that it sees.
fn parties_seen(
    eyes: Eyes<'_>,
    after: Option<PartyId>,
    size: usize,
    as_of: AsOf,
) -> Result<Seen<PartyId, v1::Party>, Failure> {
    let mut seen = Seen { ids: Vec::new(), items: Vec::new(), next: None };
    let own = match eyes.viewer {
        Viewer::Overseer => {
            let page = eyes.reader.parties_as_of(after, size, as_of.size)?;
            seen.next = page.next;
            for state in &page.items {
                seen.push(state.party.id, as_of::party(eyes.reader, state, as_of)?);
            }
            return Ok(seen);
        }
        Viewer::Party(own) => own,
        Viewer::Stranger => return Ok(seen),
    };
    let (ids, next) = Seen::<_, ()>::page(eyes.parties(own, after, size.saturating_add(1))?, size);
    seen.next = next;
    for party in ids {
        let sight = eyes.party_in_sight(party)?;
        if let Some(state) = eyes.reader.party_as_of(party, as_of.size)? {
            seen.push(party, sight.party(as_of::party(eyes.reader, &state, as_of)?));
        }
    }
    Ok(seen)
}

/// For overseers it looks at so many sites at most and shows those of the party: so a page may be
/// empty although the list goes on.
fn site_page(
    eyes: Eyes<'_>,
    request: &v1::ListSitesRequest,
) -> Result<v1::ListSitesResponse, Failure> {
    let party = optional("party_id", &request.party_id, PartyId::parse)?;
    let asked = asked(request.as_of_ms, request.as_of_entry_index);
    let list = List::new("ListSites", &[&request.party_id, &asked.filter()]);
    let after = list.cursor(&request.page_token)?.map(SiteId::from_bytes);
    let as_of = asked.resolve(eyes.reader)?;
    let size = page_size(request.page_size);
    let Seen { ids, items: mut sites, next } = sites_seen(eyes, party, after, size, as_of)?;
    let kept = cut(&mut sites, size).and_then(|at| ids.get(at)).copied();
    let next = kept.or(next).map(|id: SiteId| list.token(id.as_bytes()));
    let next_page_token = next.unwrap_or_default();
    Ok(v1::ListSitesResponse { sites, next_page_token, as_of: Some(told(as_of)) })
}

/// A party looks at its own sites, or at those of one that it knows.
fn sites_seen(
    eyes: Eyes<'_>,
    party: Option<PartyId>,
    after: Option<SiteId>,
    size: usize,
    as_of: AsOf,
) -> Result<Seen<SiteId, v1::SiteRecord>, Failure> {
    let mut seen = Seen { ids: Vec::new(), items: Vec::new(), next: None };
    let own = match eyes.viewer {
        Viewer::Overseer => {
            let page = eyes.reader.sites_as_of(party, after, size, as_of.size)?;
            seen.next = page.next;
            for site in &page.items {
                seen.push(site.id, site.into());
            }
            return Ok(seen);
        }
        Viewer::Party(own) => own,
        Viewer::Stranger => return Ok(seen),
    };
    let of = party.unwrap_or(own);
    let sight = eyes.party_sight(of)?;
    if sight == PartySight::Hidden {
        return Ok(seen);
    }
    let found = eyes.reader.sites_of(of, after, size.saturating_add(1))?;
    let (ids, next) = Seen::<_, ()>::page(found, size);
    seen.next = next;
    for id in ids {
        let stood = eyes.reader.site_as_of(id, as_of.size)?;
        if let Some(told) = stood.and_then(|it| sight.site((&it).into())) {
            seen.push(id, told);
        }
    }
    Ok(seen)
}

fn key_page(
    eyes: Eyes<'_>,
    request: &v1::ListKeysRequest,
) -> Result<v1::ListKeysResponse, Failure> {
    let party = needed("party_id", &request.party_id, PartyId::parse)?;
    let asked = asked(request.as_of_ms, request.as_of_entry_index);
    let as_of = asked.resolve(eyes.reader)?;
    let sight = eyes.party_in_sight(party)?;
    let found = eyes.reader.party_as_of(party, as_of.size)?;
    let state = found.ok_or_else(|| missing("party", &party))?;
    let list = List::new("ListKeys", &[&request.party_id, &asked.filter()]);
    let first = list.cursor(&request.page_token)?.map_or(0, u32::from_be_bytes);
    let mut page = (0_u32..).zip(&state.keys).skip_while(|(ordinal, _)| *ordinal < first);
    let mut keys = Vec::new();
    for (_, key) in page.by_ref().take(page_size(request.page_size)) {
        let state = eyes.reader.key_as_of(*key, as_of.size)?;
        let state = state.ok_or_else(|| missing("key", key))?;
        keys.push(sight.key(as_of::key(&state, as_of)));
    }
    let next = page.next().map(|(ordinal, _)| list.token(&ordinal.to_be_bytes()));
    let next_page_token = next.unwrap_or_default();
    Ok(v1::ListKeysResponse { keys, next_page_token, as_of: Some(told(as_of)) })
}

/// A waiver is named by two texts; a token holds both, each after its length, filled up with zeros.
const WAIVER_CURSOR_BYTES: usize = 2 + MAX_CODE_BYTES + MAX_SHORT_TEXT_BYTES;

fn waiver_page(
    reader: &Reader,
    request: &v1::ListWaiversRequest,
) -> Result<v1::ListWaiversResponse, Failure> {
    let list = List::new("ListWaivers", &[]);
    let after = list.cursor(&request.page_token)?.map(waiver_of);
    let size = page_size(request.page_size);
    let found = reader.waivers(after, size.saturating_add(1))?;
    let mut waivers = found.iter().map(v1::WaiverState::from).collect();
    let final_item = cut(&mut waivers, size).and_then(|at| found.get(at));
    let next = final_item.map(|waiver| list.token(&waiver_cursor(waiver)));
    Ok(v1::ListWaiversResponse { waivers, next_page_token: next.unwrap_or_default() })
}

fn waiver_cursor(waiver: &WaiverState) -> Vec<u8> {
    let mut cursor = Vec::with_capacity(WAIVER_CURSOR_BYTES);
    for (text, room) in
        [(&waiver.reason_code, MAX_CODE_BYTES), (&waiver.subject, MAX_SHORT_TEXT_BYTES)]
    {
        cursor.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
        cursor.extend_from_slice(text.as_bytes());
        cursor.resize(cursor.len() + room.saturating_sub(text.len()), 0);
    }
    cursor
}

/// The token was checked, so what does not read is not of this version: the list begins anew.
fn waiver_of(cursor: [u8; WAIVER_CURSOR_BYTES]) -> (String, String) {
    let (reason_code, subject) = cursor.split_at(1 + MAX_CODE_BYTES);
    let text = |part: &[u8]| -> String {
        let (len, text) = part.split_first().unwrap_or((&0, &[]));
        let text = text.get(..usize::from(*len)).unwrap_or_default();
        String::from_utf8_lossy(text).into_owned()
    };
    (text(reason_code), text(subject))
}

fn attestation_page(
    reader: &Reader,
    request: &v1::ListAttestationsRequest,
) -> Result<v1::ListAttestationsResponse, Failure> {
    let list = List::new("ListAttestations", &[]);
    let after = list.cursor(&request.page_token)?.map(|at| EntryIndex(u64::from_be_bytes(at)));
    let size = page_size(request.page_size);
    let found = reader.attestations(after, size.saturating_add(1))?;
    let mut attestations = found.iter().map(v1::Attestation::from).collect();
    let final_item = cut(&mut attestations, size).and_then(|at| found.get(at));
    let next = final_item.map(|it| list.token(&it.index.0.to_be_bytes()));
    Ok(v1::ListAttestationsResponse { attestations, next_page_token: next.unwrap_or_default() })
}

fn acknowledgements(
    reader: &Reader,
    request: &v1::ListAcknowledgementsRequest,
) -> Result<v1::ListAcknowledgementsResponse, Failure> {
    let anomaly = request.anomaly.as_str();
    if !(1..=MAX_SHORT_TEXT_BYTES).contains(&anomaly.len()) {
        let rule = format!("1 to {MAX_SHORT_TEXT_BYTES} bytes");
        return Err(Failure::field("anomaly", rule, format!("{} bytes", anomaly.len())));
    }
    let found = reader.acknowledgements(anomaly, page_size(MAX_PAGE_SIZE))?;
    let acknowledgements = found.iter().map(v1::Acknowledgement::from).collect();
    Ok(v1::ListAcknowledgementsResponse { acknowledgements })
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
