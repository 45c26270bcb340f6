//! Refusals without what their reader may not see.
//!
//! The node has already asked the rules again over what the party knows, so a refusal names only
//! things that are there for it. What is left are numbers and names *about* these things that are
//! others' to know: who holds a lot now, which entry, how much remains.

use super::desk::Desk;
use super::errors::Failure;
use super::eyes::Eyes;
use super::messages_zh::fill;
use super::numbers::{Number, metadata};
use super::viewer::Viewer;
use super::visibility::PartySight;
use crate::domain::{EntryIndex, EventId, LotId, PartyId, Rejection};
use crate::node::{AppendError, BatchError, ReadFault};

/// What a reader knows of the things that a refusal speaks of.
pub trait Knowledge {
    /// What goes wrong when that cannot be found out.
    type Fault;

    /// Whether a lot is its property or in its hands.
    fn has_lot(&self, lot: LotId) -> Result<bool, Self::Fault>;
    /// Whether it knows a party.
    fn knows_party(&self, party: PartyId) -> Result<bool, Self::Fault>;
    /// Whether an entry concerns it.
    fn sees_entry(&self, index: EntryIndex) -> Result<bool, Self::Fault>;
    /// Whether the entry of an event concerns it.
    fn sees_event(&self, event: EventId) -> Result<bool, Self::Fault>;
}

/// A refusal of which some fields are not told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hushed {
    /// The refusal.
    pub rejection: Rejection,
    /// The fields that are not told; never empty.
    pub hidden: Vec<&'static str>,
}

/// What is left out of a refusal for a reader; `None` when it may be told as it is.
pub fn hush<K: Knowledge>(knows: &K, rejection: &Rejection) -> Result<Option<Hushed>, K::Fault> {
    if let Rejection::CorrectionBlocked { target, lot, blocking, more } = rejection {
        return hush_blocked(knows, (*target, *lot), blocking, *more);
    }
    let hidden = hidden_fields(knows, rejection)?;
    let is_whole = hidden.is_empty();
    Ok((!is_whole).then(|| Hushed { rejection: rejection.clone(), hidden }))
}

/// Events in the way are told when they concern the reader; how many others there are is not.
fn hush_blocked<K: Knowledge>(
    knows: &K,
    (target, lot): (EventId, LotId),
    blocking: &[EventId],
    more: usize,
) -> Result<Option<Hushed>, K::Fault> {
    let mut seen = Vec::with_capacity(blocking.len());
    for &event in blocking {
        if knows.sees_event(event)? {
            seen.push(event);
        }
    }
    let sees_all = seen.len() == blocking.len() && (more == 0 || knows.has_lot(lot)?);
    let hidden = if seen.is_empty() { vec!["blocking", "more"] } else { vec!["more"] };
    let rejection = Rejection::CorrectionBlocked { target, lot, blocking: seen, more: 0 };
    Ok((!sees_all).then_some(Hushed { rejection, hidden }))
}

/// The fields of a refusal that its reader may not know. No `_`: whoever adds a refusal says here
/// what it tells.
#[rustfmt::skip]
fn hidden_fields<K: Knowledge>(
    knows: &K,
    rejection: &Rejection,
) -> Result<Vec<&'static str>, K::Fault> {
    use Rejection as R;
    let of_lot = |lot: &LotId, fields: &[&'static str]| -> Result<Vec<&'static str>, K::Fault> {
        Ok(if knows.has_lot(*lot)? { Vec::new() } else { fields.to_vec() })
    };
    let of = |is_known: bool, field| if is_known { Vec::new() } else { vec![field] };
    Ok(match rejection {
        R::EventIdConflict { recorded_at, .. } | R::EventAlreadyRecorded { recorded_at, .. }
            => of(knows.sees_entry(*recorded_at)?, "recorded_at"),
        R::SignerUnexpected { party, .. } => of(knows.knows_party(*party)?, "party"),
        R::KeyRevoked { by, .. } | R::KeyAlreadyRevoked { by, .. }
            => of(knows.sees_entry(*by)?, "by"),
        R::PartySucceeded { successor, .. } => of(knows.knows_party(*successor)?, "successor"),
        R::EventBeforeTarget { target, .. } => of(knows.sees_event(*target)?, "last"),
        R::SiteNotOfParty { owner, .. } => of(knows.knows_party(*owner)?, "owner"),
        R::CreditCodeTaken { by, .. } => of(knows.knows_party(*by)?, "by"),
        R::NotTheConsignee { consignee, .. } => of(knows.knows_party(*consignee)?, "consignee"),
        R::NotTheSender { sender, .. } => of(knows.knows_party(*sender)?, "sender"),
        R::LotRetracted { by, .. } | R::TargetCorrected { by, .. }
            => of(knows.sees_event(*by)?, "by"),
        R::LotNotHeld { lot, .. } => of_lot(lot, &["possessor"])?,
        R::LotNotOwned { lot, .. } => of_lot(lot, &["owner"])?,
        R::LotElsewhere { lot, .. } => of_lot(lot, &["site"])?,
        R::LotOnHold { hold, .. } => of(knows.sees_event(*hold)?, "hold"),
        R::EventBeforeLot { lot, .. } => of_lot(lot, &["last"])?,
        R::HoldNotYours { placed_by, .. } => of(knows.knows_party(*placed_by)?, "placed_by"),
        R::ApprovalMissing { lot, .. } => of_lot(lot, &["from_province", "to_province", "unused"])?,
        R::MergeOwnersDiffer { lot, .. } => of_lot(lot, &["owner", "other"])?,
        R::MergeClassesDiffer { lot, .. } => of_lot(lot, &["group", "other"])?,
        R::InsufficientMass { lot, .. } => of_lot(lot, &["available", "remaining"])?,
        R::StocktakeBeyondTolerance { lot, .. } => of_lot(lot, &["booked", "limit"])?,
        R::InvoiceClassMismatch { lot, .. } => of_lot(lot, &["bought"])?,
        R::TargetNotYours { actor, .. } => of(knows.knows_party(*actor)?, "actor"),
        // Its fields are the caller's own words, the tables' or the public's; of a correction that
        // is blocked see `hush_blocked`.
        R::CorrectionBlocked { .. }
        | R::OriginMismatch { .. } | R::GenesisMisplaced { .. }
        | R::GenesisMalformed { .. } | R::CorrectiveExpected { .. }
        | R::CorrectivesIncomplete { .. } | R::TablesNotPublished { .. }
        | R::CorrectiveNested { .. } | R::ActorUnknown { .. } | R::KeyUnknown { .. }
        | R::SignerMissing { .. } | R::KeyNotValid { .. } | R::OccurredInFuture { .. }
        | R::RoleNotHeld { .. } | R::LicenceNotHeld { .. } | R::SiteUnknown { .. }
        | R::PartyExists { .. } | R::PartyUnknown { .. } | R::CreditCodeInvalid { .. }
        | R::SiteExists { .. } | R::RegionUnknown { .. } | R::LicenceExists { .. }
        | R::LicenceUnknown { .. } | R::WasteCodeUnknown { .. } | R::AffiliationExists { .. }
        | R::AffiliationUnknown { .. } | R::KeyExists { .. } | R::RegistryFull { .. }
        | R::TableChunkUnexpected { .. } | R::TablesInvalid { .. } | R::MaterialUnknown { .. }
        | R::FormUnknown { .. } | R::GradeUnknown { .. } | R::ProcessUnknown { .. }
        | R::ProcessNotAtSite { .. } | R::LotRepeated { .. } | R::LotExists { .. }
        | R::TransferUnknown { .. } | R::TransferClosed { .. } | R::TransferToSelf { .. }
        | R::ReceivedLotMismatch { .. } | R::LotUnknown { .. } | R::HoldUnknown { .. }
        | R::HoldIsDiscrepancy { .. } | R::TooManyHolds { .. } | R::OreForbidden { .. }
        | R::SellerCertificateMissing { .. } | R::ManifestMissing { .. }
        | R::PermitMissing { .. } | R::WeighingMismatch { .. } | R::MassNotConserved { .. }
        | R::CompositionInconsistent { .. } | R::AssayMissing { .. } | R::ElementGained { .. }
        | R::TargetUnknown { .. } | R::TargetNotCorrectable { .. } | R::WaiverNotPossible { .. }
        | R::TransferStateMismatch { .. } | R::TransferMassExceeded { .. }
        | R::SuccessionNotPossible { .. } | R::CheckpointInvalid { .. }
        | R::CreditInsufficient { .. } | R::CreditClaimed { .. }
        | R::HazardousExit { .. } | R::CampaignExists { .. } | R::CampaignUnknown { .. }
        | R::CampaignTakesNoMore { .. } | R::CampaignElsewhere { .. }
        | R::CampaignRunning { .. } | R::OpeningStockMismatch { .. }
        | R::CampaignNotAnalysed { .. } | R::EventBeforeCampaign { .. }
        | R::ValidityEmpty { .. } | R::LotRecordsFull { .. }
            => Vec::new(),
    })
}

/// The refusal of an append as its reader may know it.
fn for_reader(eyes: Eyes<'_>, failure: Failure) -> Result<Failure, Failure> {
    let (position, rejection) = match &failure {
        _ if eyes.viewer == Viewer::Overseer => return Ok(failure),
        Failure::Append(AppendError::Rejected(rejection)) => (None, rejection),
        Failure::Batch(BatchError { position, error: AppendError::Rejected(rejection) }) => {
            (*position, rejection)
        }
        _ => return Ok(failure),
    };
    Ok(match hush(&eyes, rejection)? {
        Some(hushed) => Failure::Hushed { position, hushed: Box::new(hushed) },
        None => failure,
    })
}

/// An outcome with its refusal as the viewer may know it.
pub async fn as_seen<T>(
    desk: &Desk,
    viewer: Viewer,
    outcome: Result<T, Failure>,
) -> Result<T, Failure> {
    match outcome {
        Err(failure) if viewer != Viewer::Overseer => {
            let seen = desk.read(move |reader| for_reader(Eyes::new(reader, viewer), failure));
            Err(seen.await.unwrap_or_else(|unreadable| unreadable))
        }
        other => other,
    }
}

impl Hushed {
    /// The numbers that are told.
    pub fn numbers(&self) -> Vec<Number> {
        let mut numbers = metadata(&self.rejection);
        numbers.retain(|(key, _)| !self.hidden.contains(key));
        numbers
    }

    /// What happened, in English.
    pub fn english(&self) -> String {
        fill(self.sentences().1, &self.numbers())
    }

    /// What happened, in Chinese.
    pub fn chinese(&self) -> String {
        fill(self.sentences().2, &self.numbers())
    }

    fn sentences(&self) -> &'static (u16, &'static str, &'static str) {
        const OTHER: &(u16, &str, &str) = &(0, "the rules refuse the event", "规则拒绝该事件");
        let number = self.rejection.number();
        SENTENCES.iter().find(|(known, ..)| *known == number).unwrap_or(OTHER)
    }
}

/// Sentences that say no more than any reader may know: by the number of the refusal, in English
/// and in Chinese. (A test holds that every refusal that can be hushed has one.)
#[rustfmt::skip]
pub const SENTENCES: &[(u16, &str, &str)] = &[
    (104, "event {event} is recorded with other bytes", "事件 {event} 已记录，且内容不同"),
    (105, "event {event} is recorded", "事件 {event} 已记录"),
    (112, "key {key} signs, and this event does not need it", "不需要密钥 {key} 的签名"),
    (115, "key {key} was revoked as of {revoked_at} ms", "密钥 {key} 已吊销，自 {revoked_at} 毫秒起"),
    (120, "site {site} does not belong to party {party}", "场所 {site} 不属于主体 {party}"),
    (121, "another party acts for party {party} in what occurs from {since} ms on",
        "自 {since} 毫秒起，主体 {party} 的事务由其他主体承接"),
    (129, "this event, at {occurred_at} ms, would undo event {target} before it happened",
        "本事件发生于 {occurred_at} 毫秒，早于所撤销的事件 {target}"),
    (133, "credit code {code} is taken", "统一社会信用代码 {code} 已被使用"),
    (142, "key {key} was revoked", "密钥 {key} 已吊销"),
    (164, "transfer {offer} is not for party {actor}", "转移 {offer} 的接收方不是 {actor}"),
    (165, "transfer {offer} is not party {actor}'s", "转移 {offer} 的发出方不是 {actor}"),
    (169, "the birth of lot {lot} was declared an error", "批次 {lot} 的产生已被声明为错误"),
    (170, "lot {lot} is not in the hands of party {actor}", "批次 {lot} 不由 {actor} 持有"),
    (171, "lot {lot} is not the property of party {actor}", "批次 {lot} 不归 {actor} 所有"),
    (172, "lot {lot} is not at {event_site}", "批次 {lot} 不在 {event_site}"),
    (173, "lot {lot} is on hold", "批次 {lot} 已被冻结"),
    (174, "the event occurred at {occurred_at} ms, before the last event of lot {lot}",
        "事件发生于 {occurred_at} 毫秒，早于批次 {lot} 的上一事件"),
    (176, "hold {hold} was placed by another party", "冻结 {hold} 由其他主体设置"),
    (184, "hazardous lot {lot} would go to another province: an approval comes first",
        "危险废物批次 {lot} 将转往他省，须先取得批准"),
    (185, "lot {lot} is not the property of the others' owner", "批次 {lot} 与其余批次所有者不同，不能合并"),
    (186, "lot {lot} is of another merge group than the others", "批次 {lot} 与其余批次属于不同合并组，不能合并"),
    (187, "{asked} g are asked of lot {lot}, which is more than it has",
        "批次 {lot} 需用 {asked} 克，超过可用量"),
    (197, "{counted} g were counted in lot {lot}, which is too far from what is booked",
        "批次 {lot} 盘点为 {counted} 克，与账面相差过大"),
    (199, "lot {lot} is sold on {sold}, which does not match how it was bought",
        "批次 {lot} 以 {sold} 出售，与其购入凭证不符"),
    (201, "event {target} is another party's", "事件 {target} 属于其他主体"),
    (203, "event {target} was declared an error", "事件 {target} 已被声明为错误"),
    (204, "what event {target} did to lot {lot} was used since; in the way, as far as it concerns \
        you: {blocking}",
        "事件 {target} 对批次 {lot} 的影响已被使用；其中与贵方有关的事件：{blocking}"),
];

impl Knowledge for Eyes<'_> {
    type Fault = ReadFault;

    fn has_lot(&self, lot: LotId) -> Result<bool, ReadFault> {
        let found = self.reader.lot(lot)?;
        Ok(match self.viewer {
            Viewer::Overseer => true,
            Viewer::Party(own) => found.is_some_and(|lot| lot.owner == own || lot.possessor == own),
            Viewer::Stranger => false,
        })
    }

    fn knows_party(&self, party: PartyId) -> Result<bool, ReadFault> {
        Ok(self.party_sight(party)? != PartySight::Hidden)
    }

    fn sees_entry(&self, index: EntryIndex) -> Result<bool, ReadFault> {
        Eyes::sees_entry(self, index)
    }

    fn sees_event(&self, event: EventId) -> Result<bool, ReadFault> {
        Eyes::sees_event(self, event)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::domain::vocabulary::InvoiceClass;
    use crate::domain::{Grams, KeyId, SiteId, TimeMs};

    /// Knows everything, or nothing.
    struct Reader(bool);

    impl Knowledge for Reader {
        type Fault = Infallible;

        fn has_lot(&self, _: LotId) -> Result<bool, Infallible> {
            Ok(self.0)
        }

        fn knows_party(&self, _: PartyId) -> Result<bool, Infallible> {
            Ok(self.0)
        }

        fn sees_entry(&self, _: EntryIndex) -> Result<bool, Infallible> {
            Ok(self.0)
        }

        fn sees_event(&self, _: EventId) -> Result<bool, Infallible> {
            Ok(self.0)
        }
    }

    const LOT: LotId = LotId::from_bytes([0x11; 16]);
    const ACTOR: PartyId = PartyId::from_bytes([0x22; 16]);
    const EVENT: EventId = EventId::from_bytes([0x33; 16]);
    const SITE: SiteId = SiteId::from_bytes([0x44; 16]);
    const KEY: KeyId = KeyId([0x55; 32]);
    /// What must not be told: ids of these bytes, and these digits.
    const SECRET: [u8; 16] = [0x77; 16];
    const DIGITS: u64 = 7_777_777;

    #[rustfmt::skip]
    fn samples() -> Vec<Rejection> {
        use Rejection as R;
        let (party, event) = (PartyId::from_bytes(SECRET), EventId::from_bytes(SECRET));
        let (site, index) = (SiteId::from_bytes(SECRET), EntryIndex(DIGITS));
        let (time, grams) = (TimeMs::of(DIGITS), Grams::of(DIGITS));
        let (now, word) = (TimeMs::of(5), || "7777777".to_owned());
        vec![
            R::EventIdConflict { event: EVENT, recorded_at: index },
            R::EventAlreadyRecorded { event: EVENT, recorded_at: index },
            R::SignerUnexpected { key: KEY, party },
            R::KeyRevoked { key: KEY, revoked_at: now, by: index },
            R::KeyAlreadyRevoked { key: KEY, by: index },
            R::PartySucceeded { party: ACTOR, successor: party, since: now },
            R::EventBeforeTarget { target: EVENT, last: time, occurred_at: now },
            R::SiteNotOfParty { site: SITE, party: ACTOR, owner: party },
            R::CreditCodeTaken { code: "A".to_owned(), by: party },
            R::NotTheConsignee { offer: EVENT, consignee: party, actor: ACTOR },
            R::NotTheSender { offer: EVENT, sender: party, actor: ACTOR },
            R::LotRetracted { lot: LOT, by: event },
            R::LotNotHeld { lot: LOT, possessor: party, actor: ACTOR },
            R::LotNotOwned { lot: LOT, owner: party, actor: ACTOR },
            R::LotElsewhere { lot: LOT, site, event_site: SITE },
            R::LotOnHold { lot: LOT, hold: event },
            R::EventBeforeLot { lot: LOT, last: time, occurred_at: now },
            R::HoldNotYours { hold: EVENT, placed_by: party },
            R::ApprovalMissing {
                lot: LOT, from_province: word(), to_province: word(), asked: Grams::of(5),
                unused: grams,
            },
            R::MergeOwnersDiffer { lot: LOT, owner: party, other: party },
            R::MergeClassesDiffer { lot: LOT, group: word(), other: word() },
            R::InsufficientMass {
                lot: LOT, asked: Grams::of(5), available: grams, remaining: grams,
            },
            R::StocktakeBeyondTolerance {
                lot: LOT, counted: Grams::of(5), booked: grams, limit: grams,
            },
            R::InvoiceClassMismatch {
                lot: LOT, bought: InvoiceClass::Reverse, sold: InvoiceClass::VatSpecial,
            },
            R::TargetNotYours { target: EVENT, actor: party },
            R::TargetCorrected { target: EVENT, by: event },
            R::CorrectionBlocked {
                target: EVENT, lot: LOT, blocking: vec![event], more: 7_777_777,
            },
        ]
    }

    #[test]
    fn whoever_may_know_everything_is_told_it() {
        for rejection in samples() {
            assert_eq!(hush(&Reader(true), &rejection), Ok(None), "{rejection}");
        }
    }

    #[test]
    fn what_may_not_be_known_stands_nowhere() {
        for rejection in samples() {
            let hushed = hush(&Reader(false), &rejection).unwrap().unwrap();
            let told = format!("{} {} {:?}", hushed.english(), hushed.chinese(), hushed.numbers());
            assert!(!told.contains("7777777") && !told.contains("REVERSE"), "{told}");
            assert!(SENTENCES.iter().any(|(number, ..)| *number == rejection.number()), "{told}");
        }
    }

    #[test]
    fn sentences_are_of_refusals_that_can_be_hushed_and_fill_from_what_is_told() {
        for (number, english, chinese) in SENTENCES {
            let sample = samples().into_iter().find(|it| it.number() == *number);
            let hushed = hush(&Reader(false), &sample.unwrap()).unwrap().unwrap();
            let known: Vec<_> = hushed.numbers().into_iter().map(|(key, _)| key).collect();
            for sentence in [english, chinese] {
                for part in sentence.split('{').skip(1) {
                    let key = part.split('}').next().unwrap();
                    // Events in the way that concern nobody are an empty list.
                    assert!(known.contains(&key) || key == "blocking", "{sentence}");
                }
            }
        }
    }

    #[test]
    fn events_in_the_way_are_told_to_whom_they_concern() {
        struct Some33;
        impl Knowledge for Some33 {
            type Fault = Infallible;
            fn has_lot(&self, _: LotId) -> Result<bool, Infallible> {
                Ok(false)
            }
            fn knows_party(&self, _: PartyId) -> Result<bool, Infallible> {
                Ok(false)
            }
            fn sees_entry(&self, _: EntryIndex) -> Result<bool, Infallible> {
                Ok(false)
            }
            fn sees_event(&self, event: EventId) -> Result<bool, Infallible> {
                Ok(event == EVENT)
            }
        }
        let blocking = vec![EVENT, EventId::from_bytes(SECRET)];
        let rejection = Rejection::CorrectionBlocked { target: EVENT, lot: LOT, blocking, more: 4 };
        let hushed = hush(&Some33, &rejection).unwrap().unwrap();
        let told: Vec<_> = hushed.numbers();
        assert_eq!(told.iter().find(|(key, _)| *key == "blocking").unwrap().1, EVENT.to_string());
        assert!(told.iter().all(|(key, _)| *key != "more"));
    }
}
