//! The registry as of a time: what was recorded by then, and what of it was in force then, exact to
//! the millisecond at both ends.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

mod common {
    pub mod node_kit;
}

use std::collections::BTreeMap;

use bytes::Bytes;
use common::node_kit::{
    COLLECTOR, COORD, Kit, START_MS, party_record, secret, signed_by, site_record, uuid,
};
use proptest::prelude::*;
use proptest::sample::select;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::Channel;
use urbanmine::api::{self, Listener};
use urbanmine::domain::event::{PublishTables, RegisterKey, RevokeKey};
use urbanmine::domain::party::{Affiliation, DatedRole, Licence, Party, Site};
use urbanmine::domain::units::Validity;
use urbanmine::domain::vocabulary::{AffiliationKind, LicenceKind, PartyRole};
use urbanmine::domain::{
    AffiliationId, Body, Event, Grams, LicenceId, PartyId, Rejection, SiteId, TimeMs, tables,
};
use urbanmine::ledger::hash::sha256;
use urbanmine::limits::MAX_TABLE_CHUNK_BYTES;
use urbanmine::node::{AppendError, Node};
use urbanmine::wire::v1;
use urbanmine::wire::v1::registry_service_client::RegistryServiceClient;

/// A ledger on a clock of ours, asked over gRPC.
struct Office {
    kit: Kit,
    node: Node,
    registry: RegistryServiceClient<Channel>,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

/// As of when: a time (0 is none) and an entry.
type When = (u64, Option<u64>);

impl Office {
    async fn open() -> Self {
        let (kit, node) = Kit::new().await;
        Self::serve(kit, node).await
    }

    async fn serve(kit: Kit, node: Node) -> Self {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let server = format!("http://{}", listener.address());
        let (stop, stopped) = oneshot::channel::<()>();
        let ledger = node.clone();
        let serving = tokio::spawn(async move {
            let until = async {
                let _ = stopped.await;
            };
            api::serve(ledger, listener, until).await.unwrap();
        });
        let registry = RegistryServiceClient::connect(server).await.unwrap();
        Self { kit, node, registry, stop, serving }
    }

    async fn close(self) -> Kit {
        let Self { kit, node, registry, stop, serving } = self;
        drop(registry);
        let _ = stop.send(());
        serving.await.unwrap();
        node.shutdown().await;
        kit
    }

    /// Records what the coordinator says at a time; the index of its entry.
    async fn say(&mut self, at: u64, body: Body) -> u64 {
        self.kit.clock.set(at);
        let event = self.kit.event(COORD, body);
        self.kit.append(&self.node, &event).await.index.0
    }

    async fn party(&mut self, id: PartyId, when: When) -> Option<v1::Party> {
        let (as_of_ms, as_of_entry_index) = when;
        let party_id = raw(id.as_bytes());
        let request = v1::GetPartyRequest { party_id, as_of_ms, as_of_entry_index };
        found(self.registry.get_party(request).await)?.party
    }

    async fn site(&mut self, id: SiteId, when: When) -> Option<v1::SiteRecord> {
        let (as_of_ms, as_of_entry_index) = when;
        let site_id = raw(id.as_bytes());
        let request = v1::GetSiteRequest { site_id, as_of_ms, as_of_entry_index };
        found(self.registry.get_site(request).await)?.site
    }

    async fn in_force(&mut self, id: PartyId, when: When) -> v1::PartyInForce {
        self.party(id, when).await.unwrap().in_force.unwrap()
    }

    async fn keys(&mut self, of: PartyId, when: When) -> Option<Vec<v1::PartyKey>> {
        let (mut keys, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = v1::ListKeysRequest {
                party_id: raw(of.as_bytes()),
                page_size: 2,
                page_token,
                as_of_ms: when.0,
                as_of_entry_index: when.1,
            };
            let page = found(self.registry.list_keys(request).await)?;
            keys.extend(page.keys);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Some(keys);
            }
        }
    }

    async fn parties(&mut self, when: When) -> Vec<v1::Party> {
        let (mut parties, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = v1::ListPartiesRequest {
                page_size: 2,
                page_token,
                as_of_ms: when.0,
                as_of_entry_index: when.1,
            };
            let page = self.registry.list_parties(request).await.unwrap().into_inner();
            parties.extend(page.parties);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return parties;
            }
        }
    }

    async fn sites(&mut self, of: Option<PartyId>, when: When) -> Vec<v1::SiteRecord> {
        let (mut sites, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = v1::ListSitesRequest {
                page_size: 2,
                page_token,
                party_id: of.map(|of| raw(of.as_bytes())).unwrap_or_default(),
                as_of_ms: when.0,
                as_of_entry_index: when.1,
            };
            let page = self.registry.list_sites(request).await.unwrap().into_inner();
            sites.extend(page.sites);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return sites;
            }
        }
    }

    async fn tables(&mut self, when: When) -> Option<(Bytes, Vec<u8>)> {
        let (mut content, mut page_token) = (Vec::new(), String::new());
        loop {
            let request =
                v1::GetTablesRequest { page_token, as_of_ms: when.0, as_of_entry_index: when.1 };
            let page = found(self.registry.get_tables(request).await)?;
            content.extend(page.content);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Some((page.tables_sha256, content));
            }
        }
    }
}

fn found<T>(reply: Result<tonic::Response<T>, tonic::Status>) -> Option<T> {
    match reply {
        Ok(reply) => Some(reply.into_inner()),
        Err(status) if status.code() == tonic::Code::NotFound => None,
        Err(status) => panic!("{status}"),
    }
}

fn raw(id: &[u8]) -> Bytes {
    Bytes::copy_from_slice(id)
}

const fn between(from: u64, to: u64) -> Validity {
    Validity { from: TimeMs::of(from), to: Some(TimeMs::of(to)) }
}

const NEWCOMER: PartyId = PartyId::from_bytes(uuid(500));

fn newcomer(roles: Vec<DatedRole>) -> Party {
    Party { roles, ..party_record(NEWCOMER, "91360702000000500", PartyRole::Trader) }
}

fn any_role() -> Vec<DatedRole> {
    party_record(NEWCOMER, "91360702000000500", PartyRole::Trader).roles
}

fn licence(n: u64, validity: Validity) -> Licence {
    Licence {
        id: LicenceId::from_bytes(uuid(n)),
        kind: LicenceKind::Business,
        number: format!("L-{n}"),
        waste_codes: Vec::new(),
        yearly_capacity: Grams::ZERO,
        validity,
    }
}

fn affiliation(n: u64, validity: Validity) -> Affiliation {
    let id = AffiliationId::from_bytes(uuid(n));
    Affiliation { id, kind: AffiliationKind::Independent, group: None, validity }
}

fn key(party: PartyId, seed: u8, validity: Validity) -> Body {
    Body::RegisterKey(RegisterKey { party, public_key: secret(seed).public_key(), validity })
}

#[tokio::test(flavor = "multi_thread")]
async fn dated_things_are_in_force_from_their_first_millisecond_to_before_their_last() {
    let mut office = Office::open().await;
    let (from, to, at) = (START_MS + 5_000, START_MS + 9_000, START_MS + 100);
    let dated = DatedRole { role: PartyRole::Trader, validity: between(from, to) };
    office.say(at, Body::RegisterParty(newcomer(vec![dated]))).await;
    office.say(at, Body::RegisterLicence(NEWCOMER, licence(501, between(from, to)))).await;
    let kind = affiliation(502, between(from, to));
    office.say(at, Body::RegisterAffiliation(NEWCOMER, kind)).await;
    let last = office.say(at, key(NEWCOMER, 50, between(from, to))).await;
    office.kit.clock.set(to + 10_000);

    let bounds = [
        (from - 1, false),
        (from, true),
        (from + 1, true),
        (to - 1, true),
        (to, false),
        (to + 1, false),
    ];
    for (time, is_in_force) in bounds {
        // By the time alone, and by the time within the ledger of an entry.
        for when in [(time, None), (time, Some(last))] {
            let told = office.in_force(NEWCOMER, when).await;
            let counts = [
                told.roles.len(),
                told.licence_ids.len(),
                told.affiliation_ids.len(),
                told.key_ids.len(),
            ];
            assert_eq!(counts, [usize::from(is_in_force); 4], "{when:?}: {told:?}");
            let keys = office.keys(NEWCOMER, when).await.unwrap();
            assert_eq!((keys.len(), keys[0].is_in_force), (1, is_in_force), "{when:?}");
            // The records are told whole, in force or not.
            let whole = office.party(NEWCOMER, when).await.unwrap();
            assert_eq!((whole.licences.len(), whole.affiliations.len()), (1, 1));
        }
    }
    // Without a time: now, by the node's clock, and then when the entry was recorded.
    for (clock, is_in_force) in [(from - 1, false), (from, true), (to - 1, true), (to, false)] {
        office.kit.clock.set(clock);
        let told = office.in_force(NEWCOMER, (0, None)).await;
        assert_eq!(told.roles.len(), usize::from(is_in_force), "{clock}");
        assert!(office.in_force(NEWCOMER, (0, Some(last))).await.roles.is_empty());
    }
    office.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_shows_from_the_millisecond_in_which_it_was_recorded() {
    let mut office = Office::open().await;
    let site = Site { party: NEWCOMER, ..site_record(SiteId::from_bytes(uuid(510))) };
    let site_id = site.id;
    let (born, moved, revoked) = (START_MS + 1_000, START_MS + 2_000, START_MS + 3_000);
    let key_id = secret(51).key_id();

    office.say(born, Body::RegisterParty(newcomer(any_role()))).await;
    let seeded = office.say(born, key(NEWCOMER, 51, Validity { to: None, ..between(born, 0) }));
    let seeded = seeded.await;
    office.say(born, Body::RegisterSite(site.clone())).await;
    let amended = Party { name_en: "Renamed (fictional)".to_owned(), ..newcomer(any_role()) };
    office.say(moved, Body::AmendParty(amended)).await;
    let there = Site { region_code: "360703".to_owned(), ..site };
    office.say(moved, Body::AmendSite(there)).await;
    let revocation =
        RevokeKey { key: key_id, revoked_at: TimeMs::of(born + 500), reason: "lost".to_owned() };
    let last = office.say(revoked, Body::RevokeKey(revocation)).await;

    for time in [born - 1, START_MS] {
        assert_eq!(office.party(NEWCOMER, (time, None)).await, None);
        assert_eq!(office.site(site_id, (time, None)).await, None);
        assert_eq!(office.keys(NEWCOMER, (time, None)).await, None);
        assert!(office.sites(Some(NEWCOMER), (time, None)).await.is_empty());
    }
    for (time, is_moved) in
        [(born, false), (born + 1, false), (moved - 1, false), (moved, true), (moved + 1, true)]
    {
        let party = office.party(NEWCOMER, (time, None)).await.unwrap().party.unwrap();
        assert_eq!(party.name_en.starts_with("Renamed"), is_moved, "{time}");
        let found = office.site(site_id, (time, None)).await.unwrap();
        let region = if is_moved { "360703" } else { "360702" };
        assert_eq!(found.region_code, region, "{time}");
        let of_newcomer = office.sites(Some(NEWCOMER), (time, None)).await;
        assert_eq!(of_newcomer, [found], "{time}");
    }
    // The revocation is dated back; a view that was recorded before does not know of it.
    for (when, is_in_force, is_known) in [
        ((revoked - 1, None), true, false),
        ((revoked, None), false, true),
        ((born + 499, Some(last)), true, true),
        ((born + 500, Some(last)), false, true),
        ((born + 500, Some(last - 1)), true, false),
        ((0, Some(seeded)), true, false),
    ] {
        let keys = office.keys(NEWCOMER, when).await.unwrap();
        assert_eq!(keys[0].is_in_force, is_in_force, "{when:?}");
        assert_eq!(keys[0].revocation.is_some(), is_known, "{when:?}");
        let in_force = office.in_force(NEWCOMER, when).await;
        assert_eq!(in_force.key_ids.contains(&raw(key_id.as_bytes())), is_in_force, "{when:?}");
    }
    office.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_recorded_late_changes_no_earlier_view() {
    let mut office = Office::open().await;
    let start = START_MS + 1_000;
    office.say(start, Body::RegisterParty(newcomer(any_role()))).await;
    let begins = licence(520, between(start, start + 100_000));
    let early = office.say(start, Body::RegisterLicence(NEWCOMER, begins)).await;
    let before_ms = office.party(NEWCOMER, (start + 50, None)).await;
    let before_entry = office.party(NEWCOMER, (start + 50, Some(early))).await;

    // Much later it turns out that the licence had ended long ago.
    let ended = licence(520, between(start, start + 10));
    let late = office.say(start + 60_000, Body::AmendLicence(NEWCOMER, ended)).await;
    assert_eq!(office.party(NEWCOMER, (start + 50, None)).await, before_ms);
    assert_eq!(office.party(NEWCOMER, (start + 50, Some(early))).await, before_entry);
    let in_force = |party: Option<v1::Party>| party.unwrap().in_force.unwrap().licence_ids.len();
    assert_eq!(in_force(before_ms), 1);
    // The same moment, as it is known since: the entry decides what is recorded.
    assert_eq!(in_force(office.party(NEWCOMER, (start + 50, Some(late))).await), 0);
    assert_eq!(in_force(office.party(NEWCOMER, (start + 9, Some(late))).await), 1);
    office.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_impossible_time_is_refused_and_pages_belong_to_one_time() {
    let mut office = Office::open().await;
    let size = office.node.reader().size().0;
    let request = v1::ListPartiesRequest {
        as_of_ms: TimeMs::MAX.get() + 1,
        ..v1::ListPartiesRequest::default()
    };
    let refusal = office.registry.list_parties(request).await.unwrap_err();
    assert_eq!(refusal.code(), tonic::Code::InvalidArgument);
    assert!(refusal.message().contains("as_of_ms"), "{}", refusal.message());
    let request = v1::ListPartiesRequest {
        as_of_entry_index: Some(size),
        ..v1::ListPartiesRequest::default()
    };
    let refusal = office.registry.list_parties(request).await.unwrap_err();
    assert_eq!(refusal.code(), tonic::Code::NotFound);

    let request = v1::ListPartiesRequest { page_size: 1, ..v1::ListPartiesRequest::default() };
    let page = office.registry.list_parties(request).await.unwrap().into_inner();
    assert_eq!(page.as_of.unwrap().ledger_size, size);
    let request = v1::ListPartiesRequest {
        page_token: page.next_page_token,
        as_of_ms: START_MS,
        ..v1::ListPartiesRequest::default()
    };
    let refusal = office.registry.list_parties(request).await.unwrap_err();
    assert_eq!(refusal.code(), tonic::Code::InvalidArgument, "a token of another time");
    office.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_those_that_judged_then() {
    let mut office = Office::open().await;
    let first = tables::builtin();
    let first_hash = raw(sha256(first.as_bytes()).as_bytes());
    let chunks = u64::try_from(first.len().div_ceil(MAX_TABLE_CHUNK_BYTES)).unwrap();
    assert_eq!(office.tables((START_MS - 1, None)).await, None, "before the genesis");
    // The genesis names the set; it has no content before its last chunk.
    for entry in 0..chunks {
        let nothing = (first_hash.clone(), Vec::new());
        assert_eq!(office.tables((0, Some(entry))).await, Some(nothing), "{entry}");
    }
    let whole = (first_hash, first.as_bytes().to_vec());
    assert_eq!(office.tables((0, Some(chunks))).await.as_ref(), Some(&whole));
    assert_eq!(office.tables((START_MS, None)).await.as_ref(), Some(&whole));

    let second = first.replacen("Anode plate", "Anode PLATE", 1);
    let hash = sha256(second.as_bytes());
    let parts: Vec<&[u8]> = second.as_bytes().chunks(MAX_TABLE_CHUNK_BYTES).collect();
    let published = START_MS + 1_000;
    let mut last = 0;
    for (chunk_index, content) in (0_u32..).zip(&parts) {
        let body = Body::PublishTables(PublishTables {
            tables_hash: hash,
            chunk_index,
            chunk_count: u32::try_from(parts.len()).unwrap(),
            content: content.to_vec(),
        });
        last = office.say(published, body).await;
    }
    let newer = (raw(hash.as_bytes()), second.into_bytes());
    for (when, expected) in [
        ((0, Some(last - 1)), &whole),
        ((0, Some(last)), &newer),
        ((published - 1, None), &whole),
        ((published, None), &newer),
        ((0, None), &newer),
    ] {
        assert_eq!(office.tables(when).await.as_ref(), Some(expected), "{when:?}");
    }
    office.close().await;
}

/// The same bounds judge events: role, licence and key at the time of the event.
#[tokio::test(flavor = "multi_thread")]
async fn events_are_judged_by_the_same_bounds() {
    let (mut kit, node) = Kit::new().await;
    let (from, to) = (START_MS + 5_000, START_MS + 9_000);
    kit.clock.set(to + 1_000);
    let role = DatedRole { role: PartyRole::Collector, validity: between(from, to) };
    let record = party_record(COLLECTOR, "91360702000000002", PartyRole::Collector);
    let dated = kit.event(COORD, Body::AmendParty(Party { roles: vec![role], ..record.clone() }));
    kit.append(&node, &dated).await;
    for (time, is_allowed) in half_open(from, to) {
        let refusal = collect_at(&mut kit, &node, time, 2).await.err();
        let is_role = matches!(refusal, Some(Rejection::RoleNotHeld { .. }));
        assert_eq!((is_role, refusal.is_none()), (!is_allowed, is_allowed), "{time} {refusal:?}");
    }
    // The role again, then a licence that has bounds.
    let always = kit.event(COORD, Body::AmendParty(record));
    kit.append(&node, &always).await;
    let amended = Licence {
        id: LicenceId::from_bytes(uuid(11)),
        kind: LicenceKind::RenewableResourceRecycling,
        ..licence(11, between(from, to))
    };
    let dated = kit.event(COORD, Body::AmendLicence(COLLECTOR, amended.clone()));
    kit.append(&node, &dated).await;
    for (time, is_allowed) in half_open(from, to) {
        let refusal = collect_at(&mut kit, &node, time, 2).await.err();
        let is_licence = matches!(refusal, Some(Rejection::LicenceNotHeld { .. }));
        assert_eq!((is_licence, refusal.is_none()), (!is_allowed, is_allowed), "{time}");
    }
    let always = Licence { validity: Validity { to: None, ..between(1, 0) }, ..amended };
    let always = kit.event(COORD, Body::AmendLicence(COLLECTOR, always));
    kit.append(&node, &always).await;
    let dated = kit.event(COORD, key(COLLECTOR, 60, between(from, to)));
    kit.append(&node, &dated).await;
    for (time, is_allowed) in half_open(from, to) {
        let refusal = collect_at(&mut kit, &node, time, 60).await.err();
        let is_key = matches!(refusal, Some(Rejection::KeyNotValid { .. }));
        assert_eq!((is_key, refusal.is_none()), (!is_allowed, is_allowed), "{time} {refusal:?}");
    }
    kit.verify_all(&node);
    node.shutdown().await;
}

fn half_open(from: u64, to: u64) -> [(u64, bool); 6] {
    [
        (from - 1, false),
        (from, true),
        (from + 1, true),
        (to - 1, true),
        (to, false),
        (to + 1, false),
    ]
}

async fn collect_at(kit: &mut Kit, node: &Node, time: u64, seed: u8) -> Result<(), Rejection> {
    let event = Event { occurred_at: TimeMs::of(time), ..kit.copper() };
    match node.append(signed_by(&event, seed)).await {
        Ok(_) => Ok(()),
        Err(AppendError::Rejected(rejection)) => Err(rejection),
        Err(other) => panic!("{other:?}"),
    }
}

// --- against a naive replay ----------------------------------------------------------------------

/// A step of a history: how far the clock goes on, what is said, of whom, and when that holds.
type Step = (u64, Act, u64, Validity);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Party,
    Licence,
    Affiliation,
    Key,
    Revoke,
    Site,
}

const ACTS: [Act; 6] =
    [Act::Party, Act::Licence, Act::Affiliation, Act::Key, Act::Revoke, Act::Site];
const PEOPLE: u64 = 5;
const SPAN_MS: u64 = 60;

fn step() -> impl Strategy<Value = Step> {
    let validity = (0..SPAN_MS, prop::option::of(1..30_u64)).prop_map(|(from, length)| Validity {
        from: TimeMs::of(START_MS + from),
        to: length.map(|length| TimeMs::of(START_MS + from + length)),
    });
    (0..3_u64, select(ACTS.to_vec()), 0..PEOPLE, validity)
}

/// What was said, with the entry and the time that recorded it.
struct Said {
    index: u64,
    recorded_at: u64,
    body: Body,
}

/// The registry by a replay of what was said: nothing shared with what it is held against.
#[derive(Default)]
struct Naive {
    parties: BTreeMap<PartyId, NaiveParty>,
    sites: BTreeMap<SiteId, Site>,
}

#[derive(Clone)]
struct NaiveParty {
    record: Party,
    licences: Vec<Licence>,
    affiliations: Vec<Affiliation>,
    keys: Vec<(u8, Validity, Option<u64>)>,
}

impl Naive {
    fn replay<'a>(said: impl Iterator<Item = &'a Said>) -> Self {
        let mut naive = Self::default();
        for said in said {
            naive.take(&said.body);
        }
        naive
    }

    fn take(&mut self, body: &Body) {
        let seed = |key| (1..=u8::MAX).find(|seed| secret(*seed).public_key() == key).unwrap();
        match body {
            Body::RegisterParty(party) => {
                let record = party.clone();
                let (licences, affiliations, keys) = (Vec::new(), Vec::new(), Vec::new());
                let new = NaiveParty { record, licences, affiliations, keys };
                self.parties.insert(party.id, new);
            }
            Body::AmendParty(party) => self.of(party.id).record = party.clone(),
            Body::RegisterLicence(of, licence) => self.of(*of).licences.push(licence.clone()),
            Body::AmendLicence(of, licence) => {
                let held = &mut self.of(*of).licences;
                *held.iter_mut().find(|it| it.id == licence.id).unwrap() = licence.clone();
            }
            Body::RegisterAffiliation(of, new) => self.of(*of).affiliations.push(*new),
            Body::AmendAffiliation(of, new) => {
                let held = &mut self.of(*of).affiliations;
                *held.iter_mut().find(|it| it.id == new.id).unwrap() = *new;
            }
            Body::RegisterKey(new) => {
                let key = (seed(new.public_key), new.validity, None);
                self.of(new.party).keys.push(key);
            }
            Body::RevokeKey(revoke) => {
                let all = self.parties.values_mut().flat_map(|party| &mut party.keys);
                let mut hit = all.filter(|(seed, ..)| secret(*seed).key_id() == revoke.key);
                hit.next().unwrap().2 = Some(revoke.revoked_at.get());
            }
            Body::RegisterSite(site) | Body::AmendSite(site) => {
                self.sites.insert(site.id, site.clone());
            }
            other => panic!("{other:?}"),
        }
    }

    fn of(&mut self, id: PartyId) -> &mut NaiveParty {
        self.parties.get_mut(&id).unwrap()
    }
}

fn holds(validity: Validity, at: u64) -> bool {
    let to = validity.to.map_or(u64::MAX, TimeMs::get);
    (validity.from.get()..to).contains(&at)
}

impl NaiveParty {
    fn told(&self, at: u64) -> v1::PartyInForce {
        let ids = |dated: Vec<(&[u8; 16], Validity)>| {
            let held = dated.into_iter().filter(|(_, validity)| holds(*validity, at));
            held.map(|(id, _)| raw(id)).collect::<Vec<_>>()
        };
        let roles = self.record.roles.iter().filter(|dated| holds(dated.validity, at));
        let mut roles: Vec<i32> = roles.map(|dated| i32::from(dated.role.number())).collect();
        roles.sort_unstable();
        roles.dedup();
        v1::PartyInForce {
            roles,
            licence_ids: ids(self
                .licences
                .iter()
                .map(|it| (it.id.as_bytes(), it.validity))
                .collect()),
            affiliation_ids: ids(self
                .affiliations
                .iter()
                .map(|it| (it.id.as_bytes(), it.validity))
                .collect()),
            key_ids: self.keys.iter().filter(|key| key_holds(key, at)).map(key_of).collect(),
            successor_party_id: bytes::Bytes::new(),
        }
    }
}

fn key_holds((_, validity, revoked): &(u8, Validity, Option<u64>), at: u64) -> bool {
    holds(*validity, at) && revoked.is_none_or(|from| at < from)
}

fn key_of((seed, ..): &(u8, Validity, Option<u64>)) -> Bytes {
    raw(secret(*seed).key_id().as_bytes())
}

/// Turns a step into something that the rules let pass.
fn body_of(naive: &Naive, serial: u64, step: &Step) -> Option<Body> {
    let (_, act, who, validity) = *step;
    let party = PartyId::from_bytes(uuid(600 + who));
    let known = naive.parties.get(&party);
    let is_even = serial.is_multiple_of(2);
    Some(match (act, known) {
        (Act::Party, known) => {
            let role = if is_even { PartyRole::Trader } else { PartyRole::Carrier };
            let mut record = party_record(party, &format!("9136070200000060{who}"), role);
            record.roles = vec![DatedRole { role, validity }];
            record.name_en = format!("Name {serial}");
            if known.is_some() { Body::AmendParty(record) } else { Body::RegisterParty(record) }
        }
        (_, None) => return None,
        (Act::Licence, Some(known)) => match known.licences.first() {
            Some(held) if is_even => {
                Body::AmendLicence(party, Licence { validity, ..held.clone() })
            }
            _ => Body::RegisterLicence(party, licence(1_000 + serial, validity)),
        },
        (Act::Affiliation, Some(known)) => match known.affiliations.first() {
            Some(held) if is_even => {
                Body::AmendAffiliation(party, Affiliation { validity, ..*held })
            }
            _ => Body::RegisterAffiliation(party, affiliation(1_000 + serial, validity)),
        },
        (Act::Key, Some(_)) => {
            let taken: usize = naive.parties.values().map(|party| party.keys.len()).sum();
            key(party, 70 + u8::try_from(taken).ok()?, validity)
        }
        (Act::Revoke, Some(known)) => {
            let (seed, ..) = known.keys.iter().find(|(_, _, revoked)| revoked.is_none())?;
            let (key, revoked_at) = (secret(*seed).key_id(), validity.from);
            Body::RevokeKey(RevokeKey { key, revoked_at, reason: String::new() })
        }
        (Act::Site, Some(_)) => {
            // A site stays its party's.
            let id = SiteId::from_bytes(uuid(700 + who));
            let site = Site { party, name_en: format!("Name {serial}"), ..site_record(id) };
            if naive.sites.contains_key(&id) {
                Body::AmendSite(site)
            } else {
                Body::RegisterSite(site)
            }
        }
    })
}

async fn tell(office: &mut Office, steps: &[Step]) -> Vec<Said> {
    let mut said: Vec<Said> = Vec::new();
    let mut now = START_MS;
    for (serial, step) in (0_u64..).zip(steps) {
        now += step.0;
        let naive = Naive::replay(said.iter());
        let Some(body) = body_of(&naive, serial, step) else { continue };
        let index = office.say(now, body.clone()).await;
        said.push(Said { index, recorded_at: now, body });
    }
    said
}

/// Everything that the service tells of the parties and sites of the history, as of one time, is
/// what a replay to that time gives.
async fn hold_against(office: &mut Office, said: &[Said], when: When, now: u64) {
    let (at, recorded) = match when {
        (0, None) => (now, said.len()),
        (at, None) => (at, said.iter().filter(|it| it.recorded_at <= at).count()),
        (at, Some(entry)) => {
            let counted = said.iter().filter(|it| it.index <= entry);
            let at = if at > 0 { at } else { counted.clone().next_back().unwrap().recorded_at };
            (at, counted.count())
        }
    };
    let naive = Naive::replay(said[..recorded].iter());
    let is_ours = |id: &Bytes| {
        let ours = (0..PEOPLE).map(|who| raw(&uuid(600 + who)));
        ours.into_iter().any(|it| it == *id)
    };
    let told: BTreeMap<Bytes, v1::Party> = (office.parties(when).await.into_iter())
        .map(|party| (party.party.as_ref().unwrap().party_id.clone(), party))
        .filter(|(id, _)| is_ours(id))
        .collect();
    let expected: Vec<Bytes> = naive.parties.keys().map(|id| raw(id.as_bytes())).collect();
    assert_eq!(told.keys().cloned().collect::<Vec<_>>(), expected, "{when:?}");
    for who in 0..PEOPLE {
        let id = PartyId::from_bytes(uuid(600 + who));
        let party = office.party(id, when).await;
        assert_eq!(party.as_ref(), told.get(&raw(id.as_bytes())), "{when:?}");
        let keys = office.keys(id, when).await;
        let Some(expected) = naive.parties.get(&id) else {
            assert!(party.is_none() && keys.is_none(), "{when:?}");
            continue;
        };
        let (party, keys) = (party.unwrap(), keys.unwrap());
        assert_eq!(party.party.unwrap().name_en, expected.record.name_en, "{when:?}");
        assert_eq!(party.in_force.unwrap(), expected.told(at), "{when:?}");
        assert_eq!(party.licences.len(), expected.licences.len());
        assert_eq!(party.affiliations.len(), expected.affiliations.len());
        let flags: Vec<(Bytes, bool, bool)> = (keys.into_iter())
            .map(|key| (key.key_id, key.is_in_force, key.revocation.is_some()))
            .collect();
        let expected_flags: Vec<(Bytes, bool, bool)> = (expected.keys.iter())
            .map(|key| (key_of(key), key_holds(key, at), key.2.is_some()))
            .collect();
        assert_eq!(flags, expected_flags, "{when:?}");
        let sites: Vec<String> =
            (office.sites(Some(id), when).await.into_iter()).map(|site| site.name_en).collect();
        let of_party = naive.sites.values().filter(|site| site.party == id);
        let expected: Vec<String> = of_party.map(|site| site.name_en.clone()).collect();
        assert_eq!(sites, expected, "{when:?}");
    }
    for who in 0..PEOPLE {
        let id = SiteId::from_bytes(uuid(700 + who));
        let found = office.site(id, when).await.map(|site| site.name_en);
        assert_eq!(found, naive.sites.get(&id).map(|site| site.name_en.clone()), "{when:?}");
    }
}

async fn play(steps: &[Step]) {
    let mut office = Office::open().await;
    let said = tell(&mut office, steps).await;
    let now = said.last().map_or(START_MS, |it| it.recorded_at);
    ask_everything(&mut office, &said, now).await;
    // The versions are made again from the journal.
    let kit = office.close().await;
    kit.rebuild().unwrap();
    let node = kit.open();
    let mut office = Office::serve(kit, node).await;
    hold_against(&mut office, &said, (0, None), now).await;
    hold_against(&mut office, &said, (START_MS + SPAN_MS / 2, None), now).await;
    let kit = office.close().await;
    drop(kit);
}

async fn ask_everything(office: &mut Office, said: &[Said], now: u64) {
    hold_against(office, said, (0, None), now).await;
    for at in START_MS - 1..START_MS + SPAN_MS + 40 {
        hold_against(office, said, (at, None), now).await;
    }
    for it in said {
        hold_against(office, said, (0, Some(it.index)), now).await;
        let other = START_MS + it.index % SPAN_MS;
        hold_against(office, said, (other, Some(it.index)), now).await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 8, ..ProptestConfig::with_cases(3) })]

    #[test]
    fn as_of_is_a_replay_to_that_time(steps in prop::collection::vec(step(), 30..60)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        runtime.block_on(play(&steps));
    }
}
