//! Random events that keep every field rule of the border (not the rules of the domain).

#![allow(dead_code, reason = "each test file uses some of them")]
#![allow(clippy::expect_used, reason = "a test may stop")]

use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use urbanmine::domain::credit::Month;
use urbanmine::domain::event::{
    AcceptTransfer, AcknowledgeAnomaly, Approval, AssayLot, AssayValue, Attest, Body,
    ChargeCampaign, ClaimCredit, CloseCampaign, CloseTransfer, CollectLot, Commitment, Composition,
    DeclareError, DisposeResidue, Document, DrawCampaign, Event, ExitLot, Genesis, GradeRef,
    HoldLot, LotDraw, Manifest, MergeLots, NewLot, OfferTransfer, OpenCampaign, OpeningInventory,
    PartlyAcceptTransfer, PublishTables, RegisterKey, ReleaseLot, ReturnTransfer, RevokeKey,
    SettleDiscrepancy, SplitLot, Stocktake, SucceedParty, TransformLots, VisibilityGrant, Waiver,
    Weighing,
};
use urbanmine::domain::party::{Affiliation, DatedRole, Licence, Party, Site};
use urbanmine::domain::units::Validity;
use urbanmine::domain::vocabulary::{
    AffiliationKind, AssayBasis, AttestResult, BuyerKind, CommitmentKind, CustodyModel,
    DocumentKind, ErrorKind, HoldReason, InvoiceClass, LicenceKind, LossKind, OriginKind,
    PartyRole, SellerKind, Substance, TransferReason, TransferScope, UptakeKind,
};
use urbanmine::domain::{
    AffiliationId, CampaignId, EventId, FractionE8, Grams, Hash32, KeyId, LicenceId, LotId,
    OffsetMin, Origin, PartyId, PublicKey, SiteId, TimeMs,
};
use urbanmine::limits::{MAX_LOT_MASS_G, WHOLE_E8};

/// Any event of a kind that has its rules.
pub fn event() -> impl Strategy<Value = Event> {
    body().prop_flat_map(event_with)
}

/// An event around a body, with a site where the body needs one.
pub fn event_with(body: Body) -> impl Strategy<Value = Event> {
    let site = match &body {
        Body::HoldLot(_) | Body::ReleaseLot(_) | Body::SettleDiscrepancy(_) => {
            option::of(id(SiteId::from_bytes)).boxed()
        }
        Body::CollectLot(_)
        | Body::AssayLot(_)
        | Body::SplitLot(_)
        | Body::MergeLots(_)
        | Body::TransformLots(_)
        | Body::OpenCampaign(_)
        | Body::ChargeCampaign(_)
        | Body::DrawCampaign(_)
        | Body::CloseCampaign(_)
        | Body::OfferTransfer(_)
        | Body::AcceptTransfer(_)
        | Body::RejectTransfer(_)
        | Body::CancelTransfer(_)
        | Body::PartlyAcceptTransfer(_)
        | Body::ReturnTransfer(_)
        | Body::DisposeResidue(_)
        | Body::Stocktake(_)
        | Body::ExitLot(_)
        | Body::OpeningInventory(_) => id(SiteId::from_bytes).prop_map(Some).boxed(),
        _ => Just(None).boxed(),
    };
    let head = (id(EventId::from_bytes), id(PartyId::from_bytes), site, time(), -720..=840_i32);
    let rest = (vec(document(), 0..3), vec(commitment(), 0..3), short_text(0));
    (head, rest).prop_map(move |((id, actor, site, occurred_at, offset), rest)| Event {
        id,
        origin: Origin::parse("urbanmine.example/test").expect("an origin"),
        actor,
        site,
        occurred_at,
        occurred_at_offset: OffsetMin::new(offset).expect("in range"),
        documents: rest.0,
        commitments: rest.1,
        external_ref: rest.2,
        body: body.clone(),
    })
}

/// A body of any kind that has its rules.
pub fn body() -> BoxedStrategy<Body> {
    prop_oneof![registry_body(), lot_body(), transfer_body(), ending_body()].boxed()
}

fn registry_body() -> BoxedStrategy<Body> {
    prop_oneof![
        genesis().prop_map(Body::Genesis),
        party().prop_map(Body::RegisterParty),
        party().prop_map(Body::AmendParty),
        site().prop_map(Body::RegisterSite),
        site().prop_map(Body::AmendSite),
        (id(PartyId::from_bytes), licence()).prop_map(|(of, one)| Body::RegisterLicence(of, one)),
        (id(PartyId::from_bytes), licence()).prop_map(|(of, one)| Body::AmendLicence(of, one)),
        (id(PartyId::from_bytes), affiliation())
            .prop_map(|(of, one)| Body::RegisterAffiliation(of, one)),
        (id(PartyId::from_bytes), affiliation())
            .prop_map(|(of, one)| Body::AmendAffiliation(of, one)),
        (id(PartyId::from_bytes), any::<[u8; 32]>(), validity()).prop_map(
            |(party, key, validity)| {
                Body::RegisterKey(RegisterKey { party, public_key: PublicKey(key), validity })
            }
        ),
        (any::<[u8; 32]>(), time(), short_text(0)).prop_map(|(key, revoked_at, reason)| {
            Body::RevokeKey(RevokeKey { key: KeyId(key), revoked_at, reason })
        }),
        publish_tables().prop_map(Body::PublishTables),
        waiver().prop_map(Body::Waiver),
        approval().prop_map(Body::Approval),
        word_body(),
    ]
    .boxed()
}

fn lot_body() -> BoxedStrategy<Body> {
    prop_oneof![
        (id(PartyId::from_bytes), vec(new_lot(true), 1..4))
            .prop_map(|(party, lots)| Body::OpeningInventory(OpeningInventory { party, lots })),
        collect_lot().prop_map(|one| Body::CollectLot(Box::new(one))),
        (id(LotId::from_bytes), composition())
            .prop_map(|(lot, composition)| Body::AssayLot(AssayLot { lot, composition })),
        (id(LotId::from_bytes), vec(draw(), 1..5), mass(0)).prop_map(
            |(parent, children, handling_loss)| {
                Body::SplitLot(SplitLot { parent, children, handling_loss })
            }
        ),
        (vec(draw(), 2..5), new_lot(false)).prop_map(|(parents, output)| {
            Body::MergeLots(Box::new(MergeLots { parents, output }))
        }),
        transform_lots().prop_map(|one| Body::TransformLots(Box::new(one))),
        campaign_body(),
    ]
    .boxed()
}

fn campaign_body() -> BoxedStrategy<Body> {
    let campaign = || id(CampaignId::from_bytes);
    let stock = || {
        (mass(0), option::of(composition())).prop_map(|(mass, found)| {
            let found = found.filter(|_| !mass.is_zero());
            (mass, found)
        })
    };
    let losses = btree_set(select(LossKind::ALL), 0..4);
    let uptakes = btree_set(select(UptakeKind::ALL), 0..4);
    prop_oneof![
        (campaign(), code(), stock()).prop_map(|(campaign, process, (mass, found))| {
            Body::OpenCampaign(OpenCampaign {
                campaign,
                process,
                opening_stock: mass,
                opening_composition: found,
            })
        }),
        (campaign(), vec(draw(), 1..4), vec(draw(), 0..3)).prop_map(
            |(campaign, inputs, additions)| {
                Body::ChargeCampaign(ChargeCampaign { campaign, inputs, additions })
            }
        ),
        (campaign(), vec(new_lot(false), 0..3), vec(new_lot(false), 1..2)).prop_map(
            |(campaign, outputs, residues)| {
                Body::DrawCampaign(DrawCampaign { campaign, outputs, residues })
            }
        ),
        (campaign(), stock(), losses, uptakes, mass(1)).prop_map(
            |(campaign, (closing_stock, closing_composition), losses, uptakes, mass)| {
                Body::CloseCampaign(CloseCampaign {
                    campaign,
                    closing_stock,
                    closing_composition,
                    losses: losses.into_iter().map(|kind| (kind, mass)).collect(),
                    uptakes: uptakes.into_iter().map(|kind| (kind, mass)).collect(),
                })
            }
        ),
    ]
    .boxed()
}

fn transfer_body() -> BoxedStrategy<Body> {
    let accept =
        (id(EventId::from_bytes), option::of(weighing()), option::of(id(LotId::from_bytes)));
    prop_oneof![
        offer_transfer().prop_map(Body::OfferTransfer),
        accept.prop_map(|(offer, received, received_lot)| {
            Body::AcceptTransfer(AcceptTransfer { offer, received, received_lot })
        }),
        close_transfer().prop_map(Body::RejectTransfer),
        close_transfer().prop_map(Body::CancelTransfer),
        (id(LotId::from_bytes), select(HoldReason::ALL), short_text(0))
            .prop_map(|(lot, reason, authority)| Body::HoldLot(HoldLot { lot, reason, authority })),
        (id(LotId::from_bytes), id(EventId::from_bytes), short_text(0))
            .prop_map(|(lot, hold, note)| Body::ReleaseLot(ReleaseLot { lot, hold, note })),
        declare_error().prop_map(Body::DeclareError),
    ]
    .boxed()
}

/// Bodies that end a transfer otherwise than whole, count a lot, or end it.
fn ending_body() -> BoxedStrategy<Body> {
    let offer = || id(EventId::from_bytes);
    let lot = || id(LotId::from_bytes);
    let reason = || select(TransferReason::ALL);
    prop_oneof![
        (offer(), option::of(weighing()), lot(), mass(1), reason()).prop_map(
            |(offer, received, received_lot, refused, reason)| {
                Body::PartlyAcceptTransfer(PartlyAcceptTransfer {
                    offer,
                    received,
                    received_lot,
                    refused,
                    reason,
                })
            }
        ),
        (offer(), draw(), reason()).prop_map(|(offer, draw, reason)| {
            let (lot, mass) = (draw.lot, draw.mass);
            Body::ReturnTransfer(ReturnTransfer { offer, lot, mass, reason })
        }),
        (offer(), mass(0), reason()).prop_map(|(offer, agreed, cause)| {
            Body::SettleDiscrepancy(SettleDiscrepancy { offer, agreed, cause })
        }),
        (draw(), short_text(1), id(PartyId::from_bytes), option::of(manifest())).prop_map(
            |(residue, route, facility, manifest)| {
                Body::DisposeResidue(DisposeResidue { residue, route, facility, manifest })
            }
        ),
        (lot(), mass(0), short_text(1))
            .prop_map(|(lot, counted, reason)| Body::Stocktake(Stocktake { lot, counted, reason })),
        (draw(), select(BuyerKind::ALL), short_text(1), hash()).prop_map(
            |(lot, buyer_kind, customs_number, buyer_commitment)| {
                Body::ExitLot(ExitLot { lot, buyer_kind, customs_number, buyer_commitment })
            }
        ),
    ]
    .boxed()
}

/// A `UUIDv7` in any of the id types.
pub fn id<T: std::fmt::Debug>(wrap: fn([u8; 16]) -> T) -> impl Strategy<Value = T> {
    any::<[u8; 16]>().prop_map(move |mut raw| {
        raw[6] = 0x70 | (raw[6] & 0x0f);
        raw[8] = 0x80 | (raw[8] & 0x3f);
        wrap(raw)
    })
}

/// A time up to the year 9999, not zero.
pub fn time() -> impl Strategy<Value = TimeMs> {
    (1..=TimeMs::MAX.get()).prop_map(TimeMs::of)
}

fn validity() -> impl Strategy<Value = Validity> {
    (0..1_000_000_000_000_u64, option::of(1..1_000_000_000_000_u64)).prop_map(|(from, length)| {
        let to = length.map(|length| TimeMs::of(from + length));
        Validity { from: TimeMs::of(from), to }
    })
}

/// A mass of at least so many grams.
pub fn mass(least: u64) -> impl Strategy<Value = Grams> {
    prop_oneof![least..1_000, least..=MAX_LOT_MASS_G].prop_map(Grams::of)
}

fn fraction(least: u32) -> impl Strategy<Value = FractionE8> {
    (least..=WHOLE_E8).prop_map(|parts| FractionE8::new(parts).expect("in range"))
}

fn hash() -> impl Strategy<Value = Hash32> {
    any::<[u8; 32]>().prop_map(Hash32)
}

fn short_text(least: usize) -> impl Strategy<Value = String> {
    vec(select(vec!['A', 'z', '7', '-', ' ', '铜', 'é']), least..16)
        .prop_map(|letters| letters.into_iter().collect())
}

fn code() -> impl Strategy<Value = String> {
    "[A-Z0-9_]{1,32}"
}

fn document() -> impl Strategy<Value = Document> {
    (select(DocumentKind::ALL), short_text(0), option::of(hash()))
        .prop_map(|(kind, number, sha256)| Document { kind, number, sha256 })
}

fn commitment() -> impl Strategy<Value = Commitment> {
    (select(CommitmentKind::ALL), hash()).prop_map(|(kind, sha256)| Commitment { kind, sha256 })
}

fn genesis() -> impl Strategy<Value = Genesis> {
    let keys = (any::<[u8; 32]>(), any::<[u8; 32]>());
    (keys, hash(), 1..=u16::MAX, party(), "[a-z \n]{0,40}").prop_map(
        |((ledger_key, coordinator_key), tables_hash, rules_version, coordinator, text)| Genesis {
            ledger_key: PublicKey(ledger_key),
            tables_hash,
            rules_version,
            coordinator,
            coordinator_key: PublicKey(coordinator_key),
            previous_checkpoint: text,
        },
    )
}

/// A party's record; its credit code has the alphabet, seldom the check digit.
pub fn party() -> impl Strategy<Value = Party> {
    let role = (select(PartyRole::ALL), validity())
        .prop_map(|(role, validity)| DatedRole { role, validity });
    let waiver = option::of(id(EventId::from_bytes));
    (
        id(PartyId::from_bytes),
        "[0-9A-HJ-NP-RT-UW-Y]{18}",
        short_text(0),
        short_text(0),
        vec(role, 1..4),
        waiver,
    )
        .prop_map(|(id, credit_code, name_zh, name_en, roles, credit_code_waiver)| Party {
            id,
            credit_code,
            name_zh,
            name_en,
            roles,
            credit_code_waiver,
        })
}

fn site() -> impl Strategy<Value = Site> {
    let ids = (id(SiteId::from_bytes), id(PartyId::from_bytes));
    let names = (short_text(0), short_text(0), short_text(0));
    (ids, names, "[0-9]{6}", btree_set(code(), 0..4), any::<u32>()).prop_map(
        |((id, party), (name_zh, name_en, base), region_code, processes, capacity)| Site {
            id,
            party,
            name_zh,
            name_en,
            region_code,
            base,
            processes: processes.into_iter().collect(),
            yearly_capacity: Grams::of(u64::from(capacity)),
        },
    )
}

fn licence() -> impl Strategy<Value = Licence> {
    let codes = btree_set("[0-9]{3}-[0-9]{3}-[0-9]{2}", 0..4);
    (id(LicenceId::from_bytes), select(LicenceKind::ALL), short_text(1), codes, mass(0), validity())
        .prop_map(|(id, kind, number, codes, yearly_capacity, validity)| {
            let covers_waste =
                matches!(kind, LicenceKind::HazardousWaste | LicenceKind::HazardousTransport);
            let waste_codes = if covers_waste { codes.into_iter().collect() } else { Vec::new() };
            Licence { id, kind, number, waste_codes, yearly_capacity, validity }
        })
}

fn affiliation() -> impl Strategy<Value = Affiliation> {
    let group = id(PartyId::from_bytes);
    (id(AffiliationId::from_bytes), select(AffiliationKind::ALL), group, validity()).prop_map(
        |(id, kind, group, validity)| {
            let is_in_group = kind.number() <= 3;
            Affiliation { id, kind, group: is_in_group.then_some(group), validity }
        },
    )
}

fn waiver() -> impl Strategy<Value = Waiver> {
    (code(), short_text(1), option::of(time()))
        .prop_map(|(reason_code, subject, valid_to)| Waiver { reason_code, subject, valid_to })
}

fn approval() -> impl Strategy<Value = Approval> {
    let parties = (id(PartyId::from_bytes), id(PartyId::from_bytes));
    (draw(), parties, short_text(1), option::of(time())).prop_map(
        |(draw, (from, to), number, valid_to)| {
            let LotDraw { lot, mass } = draw;
            Approval { lot, from, to, mass, number, valid_to }
        },
    )
}

/// What is said of lots, parties and the ledger.
fn word_body() -> BoxedStrategy<Body> {
    let parties = (id(PartyId::from_bytes), id(PartyId::from_bytes));
    let attest = (short_text(1), "[a-z0-9 \n]{0,40}", select(AttestResult::ALL));
    prop_oneof![
        (id(LotId::from_bytes), id(PartyId::from_bytes), 1..=64_u32, option::of(time())).prop_map(
            |(lot, reader, depth, valid_to)| {
                Body::VisibilityGrant(VisibilityGrant { lot, reader, depth, valid_to })
            }
        ),
        parties.prop_map(|(party, successor)| {
            Body::SucceedParty(SucceedParty { party, successor })
        }),
        attest.prop_map(|(scope, checkpoint, result)| {
            Body::Attest(Attest { scope, checkpoint, result })
        }),
        (short_text(1), short_text(0)).prop_map(|(anomaly, note)| {
            Body::AcknowledgeAnomaly(AcknowledgeAnomaly { anomaly, note })
        }),
        claim().prop_map(Body::ClaimCredit),
    ]
    .boxed()
}

/// Months after January 1970 and up to the year 9999.
fn claim() -> impl Strategy<Value = ClaimCredit> {
    let months = (1..(9_999 - 1_970) * 12_u32, 1..=12_u32);
    (id(SiteId::from_bytes), select(Substance::ALL), mass(1), months).prop_map(
        |(site, substance, mass, (from, count))| {
            let to = Month::of_number(from + count);
            ClaimCredit { site, substance, mass, from: Month::of_number(from), to }
        },
    )
}

fn publish_tables() -> impl Strategy<Value = PublishTables> {
    (hash(), 1..=64_u32, any::<u32>(), vec(any::<u8>(), 1..80)).prop_map(
        |(tables_hash, chunk_count, seed, content)| PublishTables {
            tables_hash,
            chunk_index: seed % chunk_count,
            chunk_count,
            content,
        },
    )
}

/// A lot that comes into being; with an origin kind when it enters the ledger.
pub fn new_lot(enters: bool) -> impl Strategy<Value = NewLot> {
    let grade = (short_text(1), short_text(1)).prop_map(|(scheme, code)| {
        let cut = |text: String| text.chars().take(8).collect();
        GradeRef { scheme: cut(scheme), code: cut(code) }
    });
    (
        (id(LotId::from_bytes), code(), code(), select(OriginKind::ALL)),
        (mass(1), select(CustodyModel::ALL), vec(grade, 0..3), option::of(composition())),
    )
        .prop_map(
            move |((id, material, form, kind), (net_mass, custody_model, grades, found))| NewLot {
                id,
                material,
                form,
                origin_kind: enters.then_some(kind),
                net_mass,
                custody_model,
                grades,
                composition: found,
            },
        )
}

/// A composition with one kind of total, or none.
pub fn composition() -> impl Strategy<Value = Composition> {
    let total_basis = select(vec![AssayBasis::ReoOfTreo, AssayBasis::Metal]);
    let substances = btree_set(select(Substance::ALL), 1..8);
    let value = (any::<bool>(), any::<bool>(), fraction(0), fraction(0));
    let texts = (short_text(0), short_text(0), option::of(id(PartyId::from_bytes)));
    let totals = (fraction(0), fraction(1), fraction(0));
    (total_basis, substances, vec(value, 8), texts, totals).prop_map(
        |(total_basis, substances, seeds, (method, sample, laboratory), totals)| {
            let values: Vec<AssayValue> = substances
                .into_iter()
                .zip(seeds)
                .map(|(substance, (of_total, is_dry, fraction, uncertainty))| AssayValue {
                    substance,
                    basis: match (of_total && substance.is_rare_earth(), is_dry) {
                        (true, _) => total_basis,
                        (false, true) => AssayBasis::Dry,
                        (false, false) => AssayBasis::AsReceived,
                    },
                    fraction,
                    uncertainty,
                })
                .collect();
            let has_total = values.iter().any(|value| value.basis == total_basis);
            let zero = FractionE8::ZERO;
            Composition {
                values,
                moisture: totals.0,
                total: if has_total { totals.1 } else { zero },
                total_uncertainty: if has_total { totals.2 } else { zero },
                method,
                laboratory,
                sample,
            }
        },
    )
}

/// Grams of a lot.
pub fn draw() -> impl Strategy<Value = LotDraw> {
    (id(LotId::from_bytes), mass(1)).prop_map(|(lot, mass)| LotDraw { lot, mass })
}

fn weighing() -> impl Strategy<Value = Weighing> {
    (mass(0), mass(0), mass(0), short_text(1)).prop_map(|(gross, tare, net, ticket)| Weighing {
        gross,
        tare,
        net,
        ticket,
    })
}

fn manifest() -> impl Strategy<Value = Manifest> {
    ("[0-9]{14}", option::of(id(PartyId::from_bytes)), "[A-Z0-9]{0,16}")
        .prop_map(|(number, carrier, vehicle)| Manifest { number, carrier, vehicle })
}

fn collect_lot() -> impl Strategy<Value = CollectLot> {
    let seller = (select(SellerKind::ALL), hash(), short_text(0));
    (
        new_lot(true),
        seller,
        weighing(),
        "[0-9]{6}",
        select(InvoiceClass::ALL),
        option::of(manifest()),
    )
        .prop_map(|(lot, seller, weighing, origin_region, invoice_class, manifest)| {
            CollectLot {
                lot,
                seller_kind: seller.0,
                seller_commitment: seller.1,
                seller_certificate: seller.2,
                weighing,
                origin_region,
                invoice_class,
                manifest,
            }
        })
}

fn transform_lots() -> impl Strategy<Value = TransformLots> {
    let losses = btree_set(select(LossKind::ALL), 0..4);
    let uptakes = btree_set(select(UptakeKind::ALL), 0..4);
    let made = (vec(new_lot(false), 1..3), vec(new_lot(false), 0..2));
    let lines = (losses, uptakes, mass(1), any::<u64>());
    (code(), vec(draw(), 1..4), vec(draw(), 0..3), made, lines).prop_map(
        |(process, inputs, additions, (outputs, residues), lines)| {
            let (losses, uptakes, mass, energy_wh) = lines;
            TransformLots {
                process,
                inputs,
                additions,
                outputs,
                residues,
                losses: losses.into_iter().map(|kind| (kind, mass)).collect(),
                uptakes: uptakes.into_iter().map(|kind| (kind, mass)).collect(),
                energy_wh,
            }
        },
    )
}

fn offer_transfer() -> impl Strategy<Value = OfferTransfer> {
    let to = (id(PartyId::from_bytes), id(SiteId::from_bytes), select(TransferScope::ALL));
    let by = (option::of(id(PartyId::from_bytes)), "[A-Z0-9]{0,16}");
    let papers = (option::of(select(InvoiceClass::ALL)), option::of(manifest()));
    (draw(), to, by, papers).prop_map(|(draw, (consignee, site, scope), by, papers)| {
        OfferTransfer {
            lot: draw.lot,
            mass: draw.mass,
            consignee,
            consignee_site: scope.moves_custody().then_some(site),
            scope,
            carrier: by.0,
            vehicle: by.1,
            invoice_class: papers.0,
            manifest: papers.1,
        }
    })
}

fn close_transfer() -> impl Strategy<Value = CloseTransfer> {
    (id(EventId::from_bytes), select(TransferReason::ALL), short_text(0))
        .prop_map(|(offer, reason, note)| CloseTransfer { offer, reason, note })
}

fn declare_error() -> impl Strategy<Value = DeclareError> {
    let corrective = (id(EventId::from_bytes), hash());
    (id(EventId::from_bytes), select(ErrorKind::ALL), short_text(0), vec(corrective, 1..4))
        .prop_map(|(target, kind, note, correctives)| DeclareError {
            target,
            kind,
            note,
            correctives: match kind {
                ErrorKind::DidNotOccur => Vec::new(),
                ErrorKind::IncorrectData => correctives,
            },
        })
}
