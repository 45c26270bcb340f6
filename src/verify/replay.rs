//! The replay: every event judged again, by the state that the events before it made.

use std::cell::LazyCell;
use std::convert::Infallible;
use std::sync::Arc;

use super::explain::{self, Explained, Step};
use super::history::{self, Grounds, Measured, Rests};
use super::keys::LedgerKeys;
use super::lot_map::LotMap;
use super::prepare::{Known, KnownKeys, Parsed, Payload};
use super::report::{FindingKind, Findings};
use super::retold::{Listener, Retold};
use super::told;
use super::verifier::Pins;
use crate::domain::apply::{RULES_VERSION, Refusal, apply_unseen, rotate_ledger_key};
use crate::domain::effects::{Effects, LotLink};
use crate::domain::event::Genesis;
use crate::domain::fact::Fact;
use crate::domain::lot::Lot;
use crate::domain::memory::MemoryState;
use crate::domain::subject::{Recorder, Subject};
use crate::domain::{
    Body, EntryCount, EntryIndex, Event, KeyId, LotId, Moment, Origin, PublicKey, Rejection,
    Signed, Tables, apply,
};
use crate::ledger::checkpoint::read_checkpoint;
use crate::ledger::envelope::pae;
use crate::ledger::hash::sha256;
use crate::ledger::keys::key_id;
use crate::ledger::{Entry, EntryKind, StrictKey};
use crate::wire::statement::{Statement, StatementBody};
use crate::wire::{DecodeFault, encode_possession};

/// Who a ledger says it is, in its genesis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its name.
    pub origin: Origin,
    /// The key that signs its checkpoints.
    pub ledger_key: PublicKey,
}

/// What was found is in the findings; the state after this entry is not known.
struct Stop;

/// The replayed state, and how far it got.
#[derive(Debug, Default)]
pub(super) struct Replay {
    state: MemoryState,
    /// The tables that judge; `None` until those of the genesis are published.
    tables: Option<Arc<Tables>>,
    /// Keys that were parsed.
    keys: KnownKeys,
    claims: Option<Identity>,
    /// The keys that the ledger itself had; none while no genesis holds.
    ledger_keys: LedgerKeys,
    /// The last entry that named a next one.
    rotated_at: Option<EntryIndex>,
    /// How far the life of every lot got.
    lots: LotMap,
    stopped_at: Option<EntryIndex>,
    replayed: u64,
    signatures: u64,
    /// The signatures of so many entries were checked another time.
    trusted: EntryCount,
    signatures_trusted: u64,
    /// What entries rest on; kept when grounds are to be told, with the movements of metal.
    rests: Option<Rests>,
    /// The last entry that states the lots.
    lots_stated_at: Option<EntryIndex>,
    /// The entry that is told step by step.
    explained: Option<Explained>,
    /// Who hears of every entry that held.
    listener: Option<Listener>,
}

impl Replay {
    /// Who the ledger says it is, once its genesis was read.
    pub(super) fn claims(&self) -> Option<&Identity> {
        self.claims.as_ref()
    }

    /// The ledger's own keys so far.
    pub(super) fn keys(&self) -> &LedgerKeys {
        &self.ledger_keys
    }

    /// The last entry that named a next ledger key.
    pub(super) fn rotated_at(&self) -> Option<EntryIndex> {
        self.rotated_at
    }

    /// The entry whose effects are not known.
    pub(super) fn stopped_at(&self) -> Option<EntryIndex> {
        self.stopped_at
    }

    /// Entries whose rules were replayed.
    pub(super) fn replayed(&self) -> u64 {
        self.replayed
    }

    /// Signatures that were checked.
    pub(super) fn signatures(&self) -> u64 {
        self.signatures
    }

    /// Signatures that were checked another time.
    pub(super) fn signatures_trusted(&self) -> u64 {
        self.signatures_trusted
    }

    /// Every key that was put in force so far.
    pub(super) fn known_keys(&self) -> &KnownKeys {
        &self.keys
    }

    /// Keeps what entries rest on, from now on.
    pub(super) fn keep_history(&mut self) {
        self.rests.get_or_insert_default();
    }

    /// Tells every entry that holds, from now on.
    pub(super) fn listen(&mut self, listener: Listener) {
        self.listener = Some(listener);
    }

    /// Tells one entry step by step, when it comes.
    pub(super) fn explain(&mut self, at: EntryIndex) {
        self.keep_history();
        self.explained = Some(Explained { at, steps: Vec::new() });
    }

    /// The entry that is told, and its steps so far.
    pub(super) fn explained(&mut self) -> Option<(EntryIndex, &mut Vec<Step>)> {
        self.explained.as_mut().map(|it| (it.at, &mut it.steps))
    }

    /// The steps of the entry that was told.
    pub(super) fn steps(&self) -> &[Step] {
        self.explained.as_ref().map_or(&[], |it| &it.steps)
    }

    /// The grounds of a lot; needs the history.
    pub(super) fn grounds(&self, lot: LotId) -> Result<Grounds, String> {
        match &self.rests {
            Some(rests) => history::grounds(&self.state, rests, lot),
            None => Err("the history was not kept".to_owned()),
        }
    }

    /// The last entry that states the lots.
    pub(super) fn lots_stated_at(&self) -> Option<EntryIndex> {
        self.lots_stated_at
    }

    /// Where the grams of a lot come from; needs the history.
    pub(super) fn measure(&self, lot: LotId) -> Result<Vec<Measured>, String> {
        history::measure(&self.state, &self.state, lot)
    }

    /// A lot as it stands.
    pub(super) fn lot(&self, lot: LotId) -> Option<&Lot> {
        self.state.lots.get(&lot).map(AsRef::as_ref)
    }

    /// Whether the signatures of an entry were checked another time.
    pub(super) fn is_trusted(&self, index: EntryIndex) -> bool {
        index.0 < self.trusted.0
    }

    /// The signatures of so many entries were checked another time, over the same bytes: whether
    /// they are the same, the tree tells.
    pub(super) fn trust_signatures(&mut self, entries: EntryCount) {
        self.trusted = entries;
    }

    /// From here on the state is not known.
    pub(super) fn stop(&mut self, at: EntryIndex) {
        self.stopped_at.get_or_insert(at);
    }

    /// Judges one entry, as far as the state is known.
    pub(super) fn judge(
        &mut self,
        at: EntryIndex,
        parsed: &Parsed,
        pins: &Pins,
        findings: &mut Findings,
    ) {
        // The ledger's own words rest on its keys alone, so they are followed without a state.
        let is_event = matches!(parsed.payload, Payload::Event(_));
        let has_no_keys = self.ledger_keys.current().is_none();
        if self.stopped_at.is_some() && (is_event || has_no_keys) {
            return self.check_without_state(at, parsed, findings);
        }
        let verdict = match &parsed.payload {
            Payload::Event(event) => self.event(at, parsed, event, pins, findings),
            Payload::Statement(statement) => self.statement(at, parsed, statement, findings),
        };
        match verdict {
            Ok(()) if self.stopped_at.is_some() => {}
            Ok(()) => self.replayed = self.replayed.saturating_add(1),
            Err(Stop) => self.stop(at),
        }
    }

    /// What an entry shows without any state: form, and signatures under keys that are known.
    fn check_without_state(&mut self, at: EntryIndex, parsed: &Parsed, findings: &mut Findings) {
        if let Some(fault) = parsed.payload.fault() {
            findings.at(at, decode_kind(fault), told(fault));
        }
        self.check_known_signers(at, parsed, findings);
    }

    /// Where a batch ends, or the ledger itself speaks, nothing announced may be missing.
    /// From then on the rules would ask every event for them, so the replay ends there.
    pub(super) fn check_no_correctives_missing(&mut self, at: EntryIndex, findings: &mut Findings) {
        if let Some(detail) = self.missing_correctives() {
            findings.at(at, FindingKind::CorrectivesMissing, detail);
            self.stop(at);
        }
    }

    /// What a declared error announced and did not come, in words.
    pub(super) fn missing_correctives(&self) -> Option<String> {
        let ledger = self.state.ledger.as_ref().filter(|_| self.stopped_at.is_none())?;
        let (expected, _) = ledger.expected_correctives.first()?;
        let count = ledger.expected_correctives.len();
        Some(format!(
            "{count} correctives that a declared error announced did not follow it directly, in \
             its batch; the next would be event {expected}"
        ))
    }

    // --- events ----------------------------------------------------------------------------------

    fn event(
        &mut self,
        at: EntryIndex,
        parsed: &Parsed,
        event: &Result<Box<Event>, DecodeFault>,
        pins: &Pins,
        findings: &mut Findings,
    ) -> Result<(), Stop> {
        let entry = &parsed.entry;
        self.check_judged_by(at, entry, findings);
        let event = match event {
            Ok(event) => event,
            Err(fault) => {
                findings.at(at, decode_kind(fault), told(fault));
                // Who changed signed bytes left a signature that does not hold: that is told, too.
                self.check_known_signers(at, parsed, findings);
                return Err(Stop);
            }
        };
        if self.state.ledger.is_none()
            && let Body::Genesis(genesis) = &event.body
        {
            self.meet_genesis(at, entry, event, genesis, pins, findings)?;
        }
        let signers = self.check_signers(at, parsed, findings)?;
        if self.ledger_keys.current().is_none()
            && let Some(claims) = &self.claims
        {
            // Both keys signed the genesis, so what it says of them is theirs.
            self.ledger_keys = LedgerKeys::begin(claims.ledger_key);
        }
        if let Body::RegisterKey(new) = &event.body {
            self.check_new_key(at, &new.public_key, findings);
        }
        let payload_hash = parsed.payload_hash;
        let signed = Signed { event, payload_hash, signers: &signers };
        let effects = self.apply(at, entry, signed, findings)?;
        check_links(at, &entry.links, &effects.links, findings);
        self.lots.note(at, &effects.links);
        if let Some(listener) = &mut self.listener {
            let fact = Fact::of(entry.index, entry.recorded_at, event.id, &effects);
            let (tables, tables_hash) = (self.tables.as_deref(), entry.tables_hash);
            listener.tell(&Retold { event, fact: &fact, tables, tables_hash });
        }
        if let Some(tables) = &effects.activated_tables {
            self.tables = Some(Arc::clone(tables));
        }
        self.state.absorb(effects, event.id);
        if self.rests.is_none() {
            history::forget(&mut self.state);
        }
        Ok(())
    }

    /// Rules and tables are those in force. Before the genesis, its own body says which.
    fn check_judged_by(&self, at: EntryIndex, entry: &Entry, findings: &mut Findings) {
        let Some(ledger) = &self.state.ledger else { return };
        judged_by(at, entry, ledger.rules_version, ledger.tables_hash, findings);
    }

    /// Takes in what the genesis claims, with its keys, and holds it against the pins.
    fn meet_genesis(
        &mut self,
        at: EntryIndex,
        entry: &Entry,
        event: &Event,
        genesis: &Genesis,
        pins: &Pins,
        findings: &mut Findings,
    ) -> Result<(), Stop> {
        let claims = Identity { origin: event.origin.clone(), ledger_key: genesis.ledger_key };
        check_origin(at, pins, &claims, findings);
        self.claims = Some(claims);
        judged_by(at, entry, genesis.rules_version, genesis.tables_hash, findings);
        if genesis.rules_version != RULES_VERSION {
            let found = genesis.rules_version;
            let detail = format!("rules version {found}; this software executes {RULES_VERSION}");
            findings.at(at, FindingKind::RulesUnknown, detail);
            return Err(Stop);
        }
        // Only in the genesis is a key taken from the event that it signs.
        self.check_new_key(at, &genesis.coordinator_key, findings);
        self.check_new_key(at, &genesis.ledger_key, findings);
        Ok(())
    }

    /// Asks the rules again, with the time and place of the entry.
    fn apply(
        &mut self,
        at: EntryIndex,
        entry: &Entry,
        signed: Signed<'_>,
        findings: &mut Findings,
    ) -> Result<Effects, Stop> {
        let passed = entry.index.0.saturating_sub(entry.batch_first.0);
        let following = u64::from(entry.batch_len).saturating_sub(passed.saturating_add(1));
        let moment = Moment {
            index: entry.index,
            recorded_at: entry.recorded_at,
            following: usize::try_from(following).unwrap_or(usize::MAX),
            tables: self.tables.as_deref(),
            sha256,
            checkpoint: read_checkpoint,
        };
        let view = Recorder::new(&self.state);
        let judged = match &self.rests {
            None if self.listener.is_none() => apply_unseen(&self.state, signed, moment),
            None => apply(&self.state, signed, moment),
            Some(_) => apply(&view, signed, moment),
        };
        if let (Some(rests), Ok(effects)) = (&mut self.rests, &judged) {
            let mut read = view.into_read();
            read.extend(signed.signers.iter().map(|key| Subject::Key(*key)));
            if let Some(explained) = self.explained.as_mut().filter(|it| it.at == at) {
                let steps = explain::of_rules(&self.state, rests, &read, effects);
                explained.steps.extend(steps);
            }
            rests.note(at, &read, effects.subjects(signed.event.id));
        }
        judged.map_err(|refusal: Refusal<Infallible>| {
            let Refusal::Rejected(rejection) = refusal;
            let event = signed.event;
            let detail = format!(
                "{}: {rejection} ({} {})",
                rule_name(&rejection),
                event.body.kind(),
                event.id
            );
            findings.at(at, FindingKind::RuleBroken, detail);
            Stop
        })
    }

    // --- signatures ------------------------------------------------------------------------------

    /// Every signature holds strictly, under a key that was registered by now. Gives the signers,
    /// ascending: whether they are the required ones is a rule.
    fn check_signers(
        &mut self,
        at: EntryIndex,
        parsed: &Parsed,
        findings: &mut Findings,
    ) -> Result<Vec<KeyId>, Stop> {
        let signatures = &parsed.envelope.signatures;
        // Before the genesis nobody is registered. An entry 0 that is none breaks that rule first.
        let has_registry = self.state.ledger.is_some() || self.claims.is_some();
        let unknown = signatures.iter().find(|signature| !self.keys.contains(&signature.key));
        if has_registry && let Some(unknown) = unknown {
            let detail = format!("R4: signed by key {}, which is not registered", unknown.key);
            findings.at(at, FindingKind::SignerUnknown, detail);
            return Err(Stop);
        }
        if !self.check_known_signers(at, parsed, findings) {
            return Err(Stop);
        }
        Ok(signatures.iter().map(|signature| signature.key).collect())
    }

    /// Checks the signatures under keys that are known, and gives whether all of those hold.
    fn check_known_signers(
        &mut self,
        at: EntryIndex,
        parsed: &Parsed,
        findings: &mut Findings,
    ) -> bool {
        let is_trusted = self.is_trusted(at);
        let message =
            LazyCell::new(|| pae(parsed.entry.kind.payload_type(), &parsed.envelope.payload));
        let mut do_all_hold = true;
        for (signature, verdict) in parsed.envelope.signatures.iter().zip(&parsed.verdicts) {
            let known = self.keys.get(&signature.key);
            if known == Known::Nowhere {
                continue;
            }
            let holds = match verdict {
                Some(holds) => *holds,
                None if is_trusted => {
                    self.signatures_trusted = self.signatures_trusted.saturating_add(1);
                    continue;
                }
                None => known.holds(&message, &signature.signature),
            };
            self.signatures = self.signatures.saturating_add(1);
            if let Some(explained) = self.explained.as_mut().filter(|it| it.at == at) {
                explained.steps.push(explain::of_signature(&signature.key, holds));
            }
            if !holds {
                let detail = format!("R4: the signature under key {} does not hold", signature.key);
                findings.at(at, FindingKind::SignatureInvalid, detail);
                do_all_hold = false;
            }
        }
        do_all_hold
    }

    /// A key enters the registry; one that is not sound never signs anything.
    fn check_new_key(&mut self, at: EntryIndex, key: &PublicKey, findings: &mut Findings) {
        let id = key_id(key);
        let strict = StrictKey::parse(key);
        if let Err(fault) = &strict {
            findings.at(at, FindingKind::KeyUnsound, format!("key id {id}: {}", told(fault)));
        }
        self.keys.insert(id, strict.ok());
    }

    // --- statements ------------------------------------------------------------------------------

    /// The ledger speaks: under its key in force alone, about itself. (Whether the pinned key is
    /// one of its keys is asked at the end.)
    fn statement(
        &mut self,
        at: EntryIndex,
        parsed: &Parsed,
        statement: &Result<Box<Statement>, DecodeFault>,
        findings: &mut Findings,
    ) -> Result<(), Stop> {
        let entry = &parsed.entry;
        if self.stopped_at.is_none() {
            self.check_judged_by(at, entry, findings);
            self.check_no_correctives_missing(at, findings);
            if self.stopped_at.is_some() {
                self.check_known_signers(at, parsed, findings);
                return Err(Stop);
            }
        }
        let (Some(ledger), Some(in_force)) = (self.claims.clone(), self.ledger_keys.current())
        else {
            let detail = "a statement before any genesis says whose it is";
            findings.at(at, FindingKind::StatementInvalid, detail);
            return Err(Stop);
        };
        let statement = match statement {
            Ok(statement) => statement,
            Err(fault) => {
                findings.at(at, decode_kind(fault), told(fault));
                self.check_known_signers(at, parsed, findings);
                return Ok(()); // a statement that says nothing changes nothing
            }
        };
        let signatures = parsed.envelope.signatures.iter();
        let signers: Vec<KeyId> = signatures.map(|it| it.key).collect();
        if signers != [key_id(&in_force)] {
            let detail =
                format!("signed by {} keys, not by the ledger key in force alone", signers.len());
            findings.at(at, FindingKind::StatementInvalid, detail);
            return Ok(());
        }
        let holds = self.check_known_signers(at, parsed, findings);
        if statement.origin != ledger.origin {
            let detail = format!("a statement of {}, not of {}", statement.origin, ledger.origin);
            findings.at(at, FindingKind::StatementInvalid, detail);
            return Ok(());
        }
        match &statement.body {
            StatementBody::RestartNote { .. } => Ok(()),
            StatementBody::LotStateRoot { size, root } => {
                // Without the state the lots are not known either, and the report says so.
                if entry.batch_len != 1 {
                    let detail = format!("a root of lots in a batch of {}", entry.batch_len);
                    findings.at(at, FindingKind::StatementInvalid, detail);
                }
                if self.stopped_at.is_none() {
                    self.lots.check_stated(at, *size, *root, findings);
                    self.lots_stated_at = Some(at);
                }
                Ok(())
            }
            // A next key that the old one did not sign for is not followed.
            StatementBody::LedgerKeyRotation { .. } if !holds => Ok(()),
            StatementBody::LedgerKeyRotation { next_key, possession } => {
                if let Err(detail) = self.follow(at, entry, &ledger.origin, *next_key, possession) {
                    findings.at(at, FindingKind::StatementInvalid, detail);
                }
                Ok(())
            }
        }
    }

    /// The key in force names the next one, which shows that somebody holds it.
    fn follow(
        &mut self,
        at: EntryIndex,
        entry: &Entry,
        origin: &Origin,
        next: PublicKey,
        possession: &[u8; 64],
    ) -> Result<(), String> {
        if entry.batch_len != 1 {
            return Err(format!("a next ledger key in a batch of {}", entry.batch_len));
        }
        if self.ledger_keys.is_full() {
            return Err("the ledger has had as many keys as it may".to_owned());
        }
        if self.ledger_keys.contains(&next) {
            return Err(format!("key {next} is or was the ledger's own, and cannot follow"));
        }
        let id = key_id(&next);
        if self.keys.contains(&id) {
            return Err(format!("key {id} is registered for a party, and cannot follow"));
        }
        let key = StrictKey::parse(&next).map_err(|fault| told(&fault))?;
        let unproven = encode_possession(origin, &next);
        key.verify(&pae(EntryKind::Statement.payload_type(), &unproven), possession)
            .map_err(|_| format!("key {next} did not sign that somebody holds it"))?;
        self.signatures = self.signatures.saturating_add(1);
        if self.stopped_at.is_none()
            && let Some(ledger) = self.state.ledger.clone()
        {
            let Ok(after) = rotate_ledger_key(&self.state, &ledger, next, entry.index, sha256);
            self.state.ledger = Some(after.map_err(|fault| fault.to_string())?);
            if let Some(rests) = &mut self.rests {
                let read = [Subject::Ledger, Subject::Key(id)].into();
                rests.note(at, &read, std::iter::once(Subject::Ledger));
            }
        }
        self.keys.insert(id, Some(key));
        self.ledger_keys.push(next, at);
        self.rotated_at = Some(at);
        Ok(())
    }
}

fn check_origin(at: EntryIndex, pins: &Pins, claims: &Identity, findings: &mut Findings) {
    if let Some(pinned) = &pins.origin
        && *pinned != claims.origin
    {
        let detail = format!("pinned is {pinned}, the genesis says {}", claims.origin);
        findings.at(at, FindingKind::OriginMismatch, detail);
    }
}

fn judged_by(
    at: EntryIndex,
    entry: &Entry,
    rules_version: u16,
    tables_hash: crate::domain::Hash32,
    findings: &mut Findings,
) {
    if entry.rules_version != rules_version {
        let detail = format!(
            "rules version {rules_version} is in force, the entry says {}",
            entry.rules_version
        );
        findings.at(at, FindingKind::RulesWrong, detail);
    }
    if entry.tables_hash != tables_hash {
        let detail =
            format!("tables {tables_hash} are in force, the entry says {}", entry.tables_hash);
        findings.at(at, FindingKind::TablesWrong, detail);
    }
}

const fn decode_kind(fault: &DecodeFault) -> FindingKind {
    match fault {
        DecodeFault::NonCanonical(_) => FindingKind::NonCanonical,
        DecodeFault::TooLarge { .. } | DecodeFault::Field(_) => FindingKind::EventMalformed,
    }
}

/// Names the first place where the links differ.
fn check_links(at: EntryIndex, found: &[LotLink], expected: &[LotLink], findings: &mut Findings) {
    if found == expected {
        return;
    }
    let told = |link: Option<&LotLink>| match link {
        None => "no link".to_owned(),
        Some(LotLink { lot, ordinal, previous: None }) => format!("lot {lot}, ordinal {ordinal}"),
        Some(LotLink { lot, ordinal, previous: Some(previous) }) => {
            format!("lot {lot}, ordinal {ordinal} after entry {previous}")
        }
    };
    let longest = found.len().max(expected.len());
    let first = (0..longest).find(|place| found.get(*place) != expected.get(*place));
    let place = first.unwrap_or_default();
    let detail = format!(
        "link {place} of {}: {}; it follows from the events that it is {} of {}",
        found.len(),
        told(found.get(place)),
        told(expected.get(place)),
        expected.len()
    );
    findings.at(at, FindingKind::LinksWrong, detail);
}

/// `R5, reason 189 MASS_NOT_CONSERVED`: the hard rule of the domain, where there is one, and the
/// reason.
fn rule_name(rejection: &Rejection) -> String {
    let (number, reason) = (rejection.number(), rejection.reason());
    match hard_rule(number) {
        Some(rule) => format!("{rule}, reason {number} {reason}"),
        None => format!("reason {number} {reason}"),
    }
}

/// The hard rule that a reason belongs to.
const fn hard_rule(number: u16) -> Option<&'static str> {
    Some(match number {
        180 => "R1",
        187 | 196 => "R2",
        116 | 174 => "R3",
        111..=115 | 117 | 118 => "R4",
        188 | 189 | 197 => "R5",
        190..=192 => "R6",
        182..=184 | 198 => "R7",
        104 | 105 => "R8",
        199 => "R9",
        170 | 171 | 185 => "R10",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hard_rules_stand_behind_the_reasons_that_belong_to_them() {
        let rows = [
            ("ORE_FORBIDDEN", "R1"),
            ("INSUFFICIENT_MASS", "R2"),
            ("OCCURRED_IN_FUTURE", "R3"),
            ("EVENT_BEFORE_LOT", "R3"),
            ("KEY_UNKNOWN", "R4"),
            ("SIGNER_MISSING", "R4"),
            ("KEY_REVOKED", "R4"),
            ("ROLE_NOT_HELD", "R4"),
            ("LICENCE_NOT_HELD", "R4"),
            ("WEIGHING_MISMATCH", "R5"),
            ("MASS_NOT_CONSERVED", "R5"),
            ("ASSAY_MISSING", "R6"),
            ("ELEMENT_GAINED", "R6"),
            ("MANIFEST_MISSING", "R7"),
            ("PERMIT_MISSING", "R7"),
            ("APPROVAL_MISSING", "R7"),
            ("TRANSFER_MASS_EXCEEDED", "R2"),
            ("STOCKTAKE_BEYOND_TOLERANCE", "R5"),
            ("HAZARDOUS_EXIT", "R7"),
            ("INVOICE_CLASS_MISMATCH", "R9"),
            ("EVENT_ID_CONFLICT", "R8"),
            ("EVENT_ALREADY_RECORDED", "R8"),
            ("LOT_NOT_HELD", "R10"),
            ("LOT_NOT_OWNED", "R10"),
        ];
        for (reason, rule) in rows {
            let number = Rejection::ALL.iter().find(|(_, name)| *name == reason).unwrap().0;
            assert_eq!(hard_rule(number), Some(rule), "{reason}");
        }
    }
}
