//! Scripts of events: JSON lines, read whole, in batches, ready to be signed.
//!
//! One event a line; empty lines and lines that begin with `#` are passed over. Lines next to each
//! other with the same `"batch"` go as one atomic batch. A corrective's `payload_sha256` may be
//! left out, or name its event: it is then filled in from the line that follows. `"cosigners"` are
//! the parties that sign beside the actor: a settlement takes both.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use serde_json::Value as Json;

use super::event_json::{SymbolContext, event_from_value};
use super::names::id_bytes;
use crate::domain::{Body, Event, EventId, PartyId};
use crate::ledger::hash::sha256;
use crate::limits::{MAX_BATCH_EVENTS, MAX_SCRIPT_LINES, MAX_SIGNATURES};
use crate::wire;

/// Looks up `@name` of a field.
pub type Lookup<'a> = &'a dyn Fn(&SymbolContext<'_>) -> Result<Vec<u8>, String>;

/// Events that go together.
#[derive(Debug, Clone)]
pub struct ScriptBatch {
    /// Line of the first, from 1.
    pub line: usize,
    /// Its events.
    pub events: Vec<ScriptEvent>,
    /// Whether the lines asked to be one atomic batch.
    pub is_atomic: bool,
}

/// One event, as the bytes that will be signed.
#[derive(Debug, Clone)]
pub struct ScriptEvent {
    /// Line, from 1.
    pub line: usize,
    /// Its id.
    pub id: EventId,
    /// Who acts, and has to sign.
    pub actor: PartyId,
    /// Who signs beside the actor.
    pub cosigners: Vec<PartyId>,
    /// The canonical bytes.
    pub payload: Bytes,
    /// The event.
    pub event: Event,
}

/// Lines with their numbers.
type Lines = Vec<(usize, Json)>;

/// Reads a script. `origin` is filled in where a line has none.
pub fn read(text: &str, origin: &str, lookup: Lookup<'_>) -> anyhow::Result<Vec<ScriptBatch>> {
    let mut batches: Vec<(Option<String>, Lines)> = Vec::new();
    for (position, line) in text.lines().enumerate() {
        let line_number = position + 1;
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        if line_number > MAX_SCRIPT_LINES {
            bail!("a script has at most {MAX_SCRIPT_LINES} lines");
        }
        let json: Json = serde_json::from_str(line)
            .with_context(|| format!("line {line_number} is not JSON"))?;
        let Json::Object(mut members) = json else {
            bail!("line {line_number} is not a JSON object");
        };
        let batch = match members.remove("batch") {
            None => None,
            Some(Json::String(name)) => Some(name),
            Some(other) => bail!("line {line_number}: batch is a text, not {other}"),
        };
        members.entry("origin").or_insert_with(|| Json::String(origin.to_owned()));
        let json = Json::Object(members);
        match batches.last_mut() {
            Some((open, lines)) if open.is_some() && *open == batch => {
                lines.push((line_number, json));
            }
            _ => batches.push((batch, vec![(line_number, json)])),
        }
    }
    batches.into_iter().map(|(name, lines)| read_batch(name.is_some(), lines, lookup)).collect()
}

fn read_batch(is_atomic: bool, lines: Lines, lookup: Lookup<'_>) -> anyhow::Result<ScriptBatch> {
    let first = lines.first().map_or(0, |(line, _)| *line);
    if lines.len() > MAX_BATCH_EVENTS {
        bail!("line {first}: a batch has at most {MAX_BATCH_EVENTS} events, not {}", lines.len());
    }
    // Last line first: what declares an error holds the hashes of the lines after it.
    let mut hashes: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    let mut events = Vec::with_capacity(lines.len());
    for (line, mut json) in lines.into_iter().rev() {
        fill_in_hashes(&mut json);
        let cosigners = take_cosigners(&mut json, lookup)
            .map_err(|fault| anyhow::anyhow!("line {line}: {fault}"))?;
        let mut resolve = |symbol: &SymbolContext<'_>| {
            if symbol.field != "payload_sha256" {
                return lookup(symbol);
            }
            let id = lookup(&SymbolContext { field: "event_id", name: symbol.name })?;
            let hash = hashes.get(&id).cloned();
            hash.ok_or_else(|| "is the name of an event that follows in the batch".to_owned())
        };
        let payload = event_from_value(&json, &mut resolve)
            .map_err(|fault| anyhow::anyhow!("line {line}: {fault}"))?;
        let event = wire::decode_event(&payload)
            .map_err(|fault| anyhow::anyhow!("line {line}: {fault}"))?;
        if matches!(event.body, Body::Genesis(_)) {
            bail!("line {line}: a genesis is made by `urbanmine init`");
        }
        hashes.insert(event.id.as_bytes().to_vec(), sha256(&payload).as_bytes().to_vec());
        let (id, actor) = (event.id, event.actor);
        events.push(ScriptEvent { line, id, actor, cosigners, payload: payload.into(), event });
    }
    events.reverse();
    Ok(ScriptBatch { line: first, events, is_atomic })
}

/// Takes the parties that sign beside the actor off a line.
fn take_cosigners(json: &mut Json, lookup: Lookup<'_>) -> anyhow::Result<Vec<PartyId>> {
    let named = json.as_object_mut().and_then(|members| members.remove("cosigners"));
    let named = match named {
        None => return Ok(Vec::new()),
        Some(Json::Array(named)) if named.len() < MAX_SIGNATURES => named,
        Some(_) => bail!("cosigners is a list of at most {} parties", MAX_SIGNATURES - 1),
    };
    let party = |one: &Json| {
        let Json::String(text) = one else { bail!("a cosigner is a text, not {one}") };
        let raw = match text.strip_prefix('@') {
            Some(name) => lookup(&SymbolContext { field: "actor_party_id", name })
                .map_err(|fault| anyhow::anyhow!("cosigner {text}: {fault}"))?,
            None => id_bytes(text)?.to_vec(),
        };
        PartyId::parse(&raw).with_context(|| format!("cosigner {text}"))
    };
    named.iter().map(party).collect()
}

/// A corrective without a hash, or with `@hash/…`, gets the hash of the event that it names.
fn fill_in_hashes(json: &mut Json) {
    let correctives = json.pointer_mut("/declare_error/correctives").and_then(Json::as_array_mut);
    for corrective in correctives.into_iter().flatten() {
        let Some(members) = corrective.as_object_mut() else { continue };
        let Some(Json::String(id)) = members.get("event_id").cloned() else { continue };
        let is_open = members
            .get("payload_sha256")
            .is_none_or(|hash| matches!(hash, Json::String(text) if text.starts_with('@')));
        if id.starts_with('@') && is_open {
            members.insert("payload_sha256".to_owned(), Json::String(id));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::names::{id_bytes, lookup_samples};
    use super::*;

    fn settlement(cosigners: &Json) -> String {
        json!({
            "event_id": "@e/1", "actor_party_id": "@party/a", "occurred_at_ms": 1,
            "cosigners": cosigners,
            "settle_discrepancy": {
                "offer_event_id": "@e/0", "agreed_g": 5, "cause": "QUANTITY",
            },
        })
        .to_string()
    }

    #[test]
    fn cosigners_are_named_beside_the_event_and_are_no_part_of_it() {
        let origin = "urbanmine.example/test";
        let read = |line: &str| read(line, origin, &lookup_samples);
        let batches = read(&settlement(&json!(["@party/b"]))).unwrap();
        let event = &batches[0].events[0];
        let other = PartyId::parse(&id_bytes("@party/b").unwrap()).unwrap();
        assert_eq!(event.cosigners, [other]);
        let alone = read(&settlement(&json!([]))).unwrap();
        assert_eq!(alone[0].events[0].payload, event.payload, "the bytes that are signed");
        for wrong in [json!("@party/b"), json!([7]), json!(["b"]), json!(["@a", "@b", "@c", "@d"])]
        {
            assert!(read(&settlement(&wrong)).is_err(), "{wrong}");
        }
    }
}
