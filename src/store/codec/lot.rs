//! Lots, transfers, and what is remembered of events.

use super::{Codec, CodecFault, Input, codec_enum, codec_struct, codec_vocabulary};
use crate::domain::event::GradeRef;
use crate::domain::flag::{Flag, Variance};
use crate::domain::lot::{
    Arrived, Content, Contents, Count, Delta, Ending, EventRecord, Hold, Life, Lot, LotApproval,
    LotGrant, Settlement, Standing, Tally, Transfer, TransferStatus,
};
use crate::domain::vocabulary::{
    CustodyModel, EventKind, HoldReason, InvoiceClass, OriginKinds, Substance, TransferScope,
};

codec_vocabulary!(CustodyModel, EventKind, HoldReason, InvoiceClass, Substance, TransferScope);
codec_struct!(GradeRef { scheme, code });
codec_struct!(Life { count, last });
codec_struct!(Content { substance, contained, uncertainty });
codec_struct!(Contents { of_mass, items });
codec_struct!(Hold { event, reason, placed_by });
codec_enum!(Ending { 1 Disposed, 2 Exited });
codec_struct!(Tally { at, gained, missing });
codec_struct!(LotApproval { event, from, to, mass, used, number, validity });
codec_struct!(LotGrant { event, reader, depth, owner, validity });
codec_struct!(Lot {
    id,
    material,
    form,
    origin_kinds,
    custody_model,
    grades,
    owner,
    possessor,
    site,
    origin_region,
    invoice_class,
    born_at,
    born_by,
    born_occurred_at,
    moved_at,
    initial_mass,
    remaining,
    reserved,
    contents,
    assayed_by,
    holds,
    ended,
    tally,
    has_earned,
    approvals,
    grants,
    retracted_by,
    last_occurred_at,
    life,
});
codec_enum!(TransferStatus {
    1 Open,
    2 Accepted,
    3 Discrepant,
    4 Rejected,
    5 Cancelled,
    6 Retracted,
    7 Settled,
    8 PartlyAccepted,
});
codec_struct!(Arrived { by, lot, booked });
codec_struct!(Transfer {
    offer,
    lot,
    mass,
    is_whole_lot,
    sender,
    consignee,
    consignee_site,
    scope,
    from_site,
    invoice_class,
    bought_class,
    offered_at,
    occurred_at,
    approval,
    status,
    refused,
    arrived,
    returns,
});
codec_struct!(Standing { lot, owner, possessor, site, invoice_class, moved_at, loss });
codec_struct!(Settlement { lot, hold, booked, agreed, initial });
codec_struct!(Count { booked, counted, contents, tally });
codec_enum!(Delta {
    1 Born(lot, mass),
    2 Drawn(lot, mass),
    3 Assayed(lot, contents, assay),
    4 Offered(offer),
    5 AcceptedPart(offer),
    6 AcceptedWhole(offer, before),
    7 Closed(offer),
    8 Held(lot, event),
    9 Released(lot, hold),
    20 CampaignOpened(campaign),
    21 CampaignCharged(campaign, inputs, additions),
    22 CampaignDrawn(campaign, outputs, residues),
    23 CampaignClosed(campaign),
    30 Settled(offer, settlement),
    31 Counted(lot, count),
    40 ApprovalUsed(lot, approval, mass),
    41 Earned(account, mass),
    42 Claimed(account, mass),
});
codec_struct!(Variance { substance, into, out, limit_e8 });
codec_enum!(Flag {
    1 InvoiceClassUnmatched(bought, sold),
    2 PeriodVariance(variance),
});
codec_struct!(EventRecord {
    id,
    index,
    payload_hash,
    kind,
    actor,
    occurred_at,
    deltas,
    flags,
    corrected_by,
});

impl Codec for OriginKinds {
    fn put(&self, out: &mut Vec<u8>) {
        self.bits().put(out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, CodecFault> {
        let kinds = Self::from_bits(u16::take(input)?);
        let known = kinds.iter().fold(Self::default(), |set, kind| set.union(Self::of(kind)));
        if known == kinds { Ok(kinds) } else { Err(input.fault("a bit that no OriginKind has")) }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::{assert_round_trip, campaign, decode, encode};
    use super::*;
    use crate::domain::credit::Month;
    use crate::domain::units::Validity;
    use crate::domain::vocabulary::OriginKind;
    use crate::domain::{
        CampaignId, EntryIndex, EventId, Grams, Hash32, LotId, PartyId, SiteId, TimeMs,
    };

    const EVENT: EventId = EventId::from_bytes([1; 16]);
    const LOT: LotId = LotId::from_bytes([2; 16]);
    const CAMPAIGN: CampaignId = CampaignId::from_bytes([5; 16]);
    const PARTY: PartyId = PartyId::from_bytes([3; 16]);
    const SITE: SiteId = SiteId::from_bytes([4; 16]);

    pub(in super::super) fn contents() -> Contents {
        let content = |substance: &Substance| Content {
            substance: *substance,
            contained: Grams::of(7),
            uncertainty: Grams::of(1),
        };
        let items = Substance::ALL.iter().map(content).collect();
        Contents { of_mass: Grams::of(1_000), items }
    }

    fn hold(reason: Option<HoldReason>) -> Hold {
        Hold { event: EVENT, reason, placed_by: PARTY }
    }

    fn tally() -> Tally {
        Tally { at: Some(EntryIndex(7)), gained: Grams::of(3), missing: Grams::of(4) }
    }

    fn approval() -> LotApproval {
        let validity = Validity { from: TimeMs::of(3), to: Some(TimeMs::of(4)) };
        LotApproval {
            event: EVENT,
            from: PARTY,
            to: PARTY,
            mass: Grams::of(5),
            used: Grams::of(4),
            number: "赣环 1".to_owned(),
            validity,
        }
    }

    fn grant(owner: Option<PartyId>) -> LotGrant {
        let validity = Validity { from: TimeMs::of(3), to: None };
        LotGrant { event: EVENT, reader: PARTY, depth: 4, owner, validity }
    }

    pub(in super::super) fn full_lot() -> Lot {
        let holds = HoldReason::ALL.iter().map(|reason| hold(Some(*reason)));
        Lot {
            id: LOT,
            material: "CU-BRIGHT".to_owned(),
            form: "WIRE".to_owned(),
            origin_kinds: OriginKinds::of(OriginKind::Unknown)
                .union(OriginKinds::of(OriginKind::Ore)),
            custody_model: CustodyModel::MassBalance,
            grades: vec![GradeRef { scheme: "GB".to_owned(), code: "1".to_owned() }],
            owner: PARTY,
            possessor: PartyId::from_bytes([9; 16]),
            site: SITE,
            origin_region: "360704".to_owned(),
            invoice_class: Some(InvoiceClass::Reverse),
            born_at: EntryIndex(4),
            born_by: EVENT,
            born_occurred_at: TimeMs::of(44),
            moved_at: EntryIndex(5),
            initial_mass: Grams::of(1_000),
            remaining: Grams::of(900),
            reserved: Grams::of(10),
            contents: contents(),
            assayed_by: Some(EVENT),
            holds: holds.chain([hold(None)]).collect(),
            ended: Some(Ending::Exited),
            tally: tally(),
            has_earned: true,
            approvals: vec![approval()],
            grants: vec![grant(None), grant(Some(PARTY))],
            retracted_by: Some(EVENT),
            last_occurred_at: TimeMs::of(45),
            life: Life { count: 3, last: EntryIndex(8) },
        }
    }

    #[test]
    fn lots_come_back() {
        let full = full_lot();
        assert_round_trip(&full);
        assert_round_trip(&Lot {
            invoice_class: None,
            grades: vec![],
            contents: Contents::default(),
            assayed_by: None,
            holds: vec![],
            ended: None,
            approvals: vec![],
            grants: vec![],
            retracted_by: None,
            ..full.clone()
        });
        assert_round_trip(&Lot { ended: Some(Ending::Disposed), tally: Tally::default(), ..full });
    }

    #[test]
    fn transfers_come_back() {
        use TransferStatus::{
            Accepted, Cancelled, Discrepant, Open, PartlyAccepted, Rejected, Retracted, Settled,
        };
        let answered = [Accepted, Discrepant, Settled, PartlyAccepted];
        let arrived = Arrived { by: EVENT, lot: LOT, booked: Grams::of(4) };
        for status in [Open, Rejected, Cancelled, Retracted].into_iter().chain(answered) {
            assert_round_trip(&Transfer {
                offer: EVENT,
                lot: LOT,
                mass: Grams::of(5),
                is_whole_lot: status == Open,
                sender: PARTY,
                consignee: PARTY,
                consignee_site: (status == Open).then_some(SITE),
                scope: TransferScope::Custody,
                from_site: SITE,
                invoice_class: None,
                bought_class: Some(InvoiceClass::Reverse),
                offered_at: EntryIndex(9),
                occurred_at: TimeMs::of(1),
                approval: (status == Open).then_some(EVENT),
                status,
                refused: Grams::of(1),
                arrived: answered.contains(&status).then_some(arrived),
                returns: (status == Open).then_some(EVENT),
            });
        }
    }

    #[test]
    fn events_come_back() {
        let before = Standing {
            lot: LOT,
            owner: PARTY,
            possessor: PARTY,
            site: SITE,
            invoice_class: Some(InvoiceClass::None),
            moved_at: EntryIndex(6),
            loss: Grams::of(2),
        };
        let deltas = vec![
            Delta::Born(LOT, Grams::of(1)),
            Delta::Drawn(LOT, Grams::of(2)),
            Delta::Assayed(LOT, contents().into(), None),
            Delta::Offered(EVENT),
            Delta::AcceptedPart(EVENT),
            Delta::AcceptedWhole(EVENT, before.into()),
            Delta::Closed(EVENT),
            Delta::Held(LOT, EVENT),
            Delta::Released(LOT, hold(None).into()),
            Delta::CampaignOpened(CAMPAIGN),
            Delta::CampaignCharged(CAMPAIGN, campaign::tests::flow().into(), Box::default()),
            Delta::CampaignDrawn(CAMPAIGN, Box::default(), campaign::tests::flow().into()),
            Delta::CampaignClosed(CAMPAIGN),
            Delta::Settled(
                EVENT,
                Box::new(Settlement {
                    lot: LOT,
                    hold: hold(None),
                    booked: Grams::of(1),
                    agreed: Grams::of(2),
                    initial: Grams::of(3),
                }),
            ),
            Delta::Counted(
                LOT,
                Box::new(Count {
                    booked: Grams::of(1),
                    counted: Grams::of(2),
                    contents: contents(),
                    tally: tally(),
                }),
            ),
            Delta::ApprovalUsed(LOT, EVENT, Grams::of(4)),
            Delta::Earned((SITE, Substance::Nd, Month::of_number(560)), Grams::of(3)),
            Delta::Claimed((SITE, Substance::Nd, Month::of_number(561)), Grams::of(2)),
        ];
        let variance = Variance {
            substance: Substance::Nd,
            into: Grams::of(100),
            out: Grams::of(97),
            limit_e8: 2_000_000,
        };
        let flags = [
            Flag::InvoiceClassUnmatched(InvoiceClass::None, InvoiceClass::VatSpecial),
            Flag::PeriodVariance(variance),
        ];
        for kind in EventKind::ALL {
            assert_round_trip(&EventRecord {
                id: EVENT,
                index: EntryIndex(1),
                payload_hash: Hash32([7; 32]),
                kind: *kind,
                actor: PARTY,
                occurred_at: TimeMs::of(3),
                deltas: if *kind == EventKind::SplitLot { deltas.clone() } else { vec![] },
                flags: if *kind == EventKind::CloseCampaign { flags.to_vec() } else { vec![] },
                corrected_by: (*kind == EventKind::HoldLot).then_some(EVENT),
            });
        }
    }

    #[test]
    fn numbers_of_no_word_are_refused() {
        assert!(decode::<Substance>(&[1]).is_err());
        assert!(decode::<Delta>(&[0]).is_err());
        assert!(decode::<TransferStatus>(&[9]).is_err());
        assert!(decode::<OriginKinds>(&encode(&1_u16)).is_err());
    }
}
