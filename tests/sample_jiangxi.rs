//! The Jiangxi sample is what its README says: every kind, names once, codes of the tables, exact
//! masses.
//!
//! The rules themselves are asked elsewhere; here the text is read by other means than the sender.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test says what it expects")]

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;
use urbanmine::domain::tables::builtin;
use urbanmine::domain::{Tables, TimeMs};

const LEDGER: &str = include_str!("../samples/jiangxi/ledger.json");
/// The honest part.
const FILES: [&str; 8] = [
    include_str!("../samples/jiangxi/01-registry.jsonl"),
    include_str!("../samples/jiangxi/02-copper.jsonl"),
    include_str!("../samples/jiangxi/03-aluminium.jsonl"),
    include_str!("../samples/jiangxi/04-lead.jsonl"),
    include_str!("../samples/jiangxi/05-rare-earth.jsonl"),
    include_str!("../samples/jiangxi/06-corrections-and-holds.jsonl"),
    include_str!("../samples/jiangxi/07-the-rest-of-the-trade.jsonl"),
    include_str!("../samples/jiangxi/08-daily-trade.jsonl"),
];
/// Lawful, and told of by the anomaly rules. The second is late and out of order on purpose, and
/// receives more than was sent.
const SUSPECTS: [&str; 2] = [
    include_str!("../samples/jiangxi/09-launderers.jsonl"),
    include_str!("../samples/jiangxi/10-paper-trails.jsonl"),
];
/// Keys of a line that are not its body.
const HEAD: [&str; 9] = [
    "event_id",
    "actor_party_id",
    "site_id",
    "occurred_at",
    "documents",
    "commitments",
    "external_ref",
    "batch",
    "cosigners",
];
/// Lots that the sample names.
const LOTS: usize = 459;
/// 2026-03-02, 12:00 in Beijing: no table row of the sample changes in 2026.
const IN_2026: TimeMs = TimeMs::of(1_772_424_000_000);

struct Line {
    head: Json,
    kind: String,
    body: Json,
}

fn lines_of(file: &str) -> Vec<Line> {
    file.lines()
        .map(|text| {
            let head: Json = serde_json::from_str(text).expect("a line is JSON");
            let members = head.as_object().expect("a line is an object");
            let bodies: Vec<&String> =
                members.keys().filter(|key| !HEAD.contains(&key.as_str())).collect();
            assert_eq!(bodies.len(), 1, "one body a line: {text}");
            let kind = bodies[0].clone();
            let body = head[&kind].clone();
            Line { head, kind, body }
        })
        .collect()
}

fn lines() -> Vec<Line> {
    FILES.iter().flat_map(|file| lines_of(file)).collect()
}

fn all_lines() -> Vec<Line> {
    FILES.iter().chain(&SUSPECTS).flat_map(|file| lines_of(file)).collect()
}

/// Grams of `12.5 t`, `300 kg`, `7 g`.
fn grams(json: &Json) -> u64 {
    let text = json.as_str().expect("a mass is a text");
    let (number, unit) = text.split_once(' ').expect("a mass has a unit");
    let decimals = match unit {
        "t" => 6,
        "kg" => 3,
        "g" => 0,
        other => unreachable!("{other} is not a unit"),
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    assert!(part.len() <= decimals, "{text} has more decimals than grams");
    format!("{whole}{part:0<decimals$}").parse().expect("a mass is a number")
}

fn list<'a>(json: &'a Json, key: &str) -> &'a [Json] {
    json.get(key).and_then(Json::as_array).map_or(&[], Vec::as_slice)
}

fn sum(json: &Json, key: &str, field: &str) -> u64 {
    list(json, key).iter().map(|item| grams(&item[field])).sum()
}

/// Lots that a line brings into being.
fn born(line: &Line) -> Vec<&Json> {
    let body = &line.body;
    match line.kind.as_str() {
        "collect_lot" => vec![&body["lot"]],
        "opening_inventory" => list(body, "lots").iter().collect(),
        "merge_lots" => vec![&body["output"]],
        "transform_lots" | "draw_campaign" => {
            list(body, "outputs").iter().chain(list(body, "residues")).collect()
        }
        _ => Vec::new(),
    }
}

/// Every text in a JSON value that is the name of a lot.
fn lot_names(json: &Json, found: &mut BTreeSet<String>) {
    match json {
        Json::String(text) if text.starts_with("@lot/") => {
            found.insert(text.clone());
        }
        Json::Array(items) => items.iter().for_each(|item| lot_names(item, found)),
        Json::Object(members) => members.values().for_each(|item| lot_names(item, found)),
        _ => {}
    }
}

#[test]
fn every_supported_kind_is_there_often_enough() {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for line in lines() {
        *counts.entry(line.kind).or_default() += 1;
    }
    let least = [
        ("register_party", 10),
        ("amend_party", 1),
        ("register_site", 10),
        ("amend_site", 1),
        ("register_licence", 15),
        ("amend_licence", 1),
        ("register_affiliation", 5),
        ("amend_affiliation", 1),
        ("register_key", 10),
        ("revoke_key", 1),
        ("opening_inventory", 2),
        ("collect_lot", 60),
        ("assay_lot", 60),
        ("split_lot", 5),
        ("merge_lots", 10),
        ("transform_lots", 40),
        ("offer_transfer", 60),
        ("accept_transfer", 60),
        ("reject_transfer", 1),
        ("cancel_transfer", 1),
        ("hold_lot", 4),
        ("release_lot", 3),
        ("declare_error", 5),
        ("waiver", 1),
        ("approval", 2),
        ("visibility_grant", 1),
        ("succeed_party", 1),
        ("open_campaign", 2),
        ("charge_campaign", 3),
        ("draw_campaign", 2),
        ("close_campaign", 2),
        ("partly_accept_transfer", 1),
        ("return_transfer", 1),
        ("settle_discrepancy", 3),
        ("stocktake", 4),
        ("dispose_residue", 1),
        ("exit_lot", 2),
        ("acknowledge_anomaly", 1),
        ("claim_credit", 1),
    ];
    for (kind, number) in least {
        assert!(counts.get(kind).is_some_and(|found| *found >= number), "{kind}: {counts:?}");
    }
    assert_eq!(counts.len(), least.len(), "no other kinds: {counts:?}");
    assert_eq!(counts.values().sum::<usize>(), 820);
}

#[test]
fn names_are_used_once_and_nothing_is_named_that_does_not_exist() {
    let (mut events, mut lots) = (BTreeSet::new(), BTreeSet::new());
    for line in all_lines() {
        let event = line.head["event_id"].as_str().unwrap().to_owned();
        assert!(events.insert(event.clone()), "{event} twice");
        let mut used = BTreeSet::new();
        lot_names(&line.body, &mut used);
        let mut new: Vec<&str> =
            born(&line).into_iter().map(|lot| lot["lot_id"].as_str().unwrap()).collect();
        new.extend(list(&line.body, "children").iter().map(|it| it["lot_id"].as_str().unwrap()));
        new.extend(line.body.get("received_lot_id").and_then(Json::as_str));
        for name in new {
            assert!(lots.insert(name.to_owned()), "{name} twice");
        }
        for name in used {
            assert!(lots.contains(&name), "{event} names {name}, which is not there yet");
        }
    }
    assert_eq!(lots.len(), LOTS);
    let ledger: Json = serde_json::from_str(LEDGER).expect("ledger.json");
    assert_eq!(ledger["origin"], "urbanmine.example/jiangxi-demo");
    let showcase = list(&ledger, "showcase");
    assert_eq!(showcase.len(), 4);
    for (name, prefix) in showcase.iter().zip(["cu-cathode", "al-ingot", "pb-pig", "prnd-oxide"]) {
        let name = name.as_str().unwrap();
        assert!(lots.contains(name) && name.starts_with(&format!("@lot/{prefix}-")), "{name}");
    }
}

#[test]
fn every_gram_is_declared() {
    let mut remaining: BTreeMap<String, u64> = BTreeMap::new();
    let lines = lines();
    for line in &lines {
        let body = &line.body;
        let draws = ["inputs", "additions", "parents"].map(|key| list(body, key)).concat();
        for draw in &draws {
            let rest = remaining.get_mut(draw["lot_id"].as_str().unwrap()).expect("a lot");
            let asked = grams(&draw["mass_g"]);
            assert!(*rest >= asked, "{}: {asked} of {rest}", line.head["event_id"]);
            *rest -= asked;
        }
        let taken: u64 = draws.iter().map(|draw| grams(&draw["mass_g"])).sum();
        let made: u64 = born(line).into_iter().map(|lot| grams(&lot["net_mass_g"])).sum();
        match line.kind.as_str() {
            "transform_lots" => {
                let into = taken + sum(body, "uptakes", "mass_g");
                assert_eq!(into, made + sum(body, "losses", "mass_g"), "{}", line.head["event_id"]);
            }
            "merge_lots" => assert_eq!(taken, made, "{}", line.head["event_id"]),
            "split_lot" => {
                let parent = body["parent_lot_id"].as_str().unwrap();
                let loss = body.get("handling_loss_g").map_or(0, grams);
                let parts = sum(body, "children", "mass_g") + loss;
                assert_eq!(remaining.insert(parent.to_owned(), 0), Some(parts), "{parent}");
                for child in list(body, "children") {
                    let name = child["lot_id"].as_str().unwrap().to_owned();
                    remaining.insert(name, grams(&child["mass_g"]));
                }
            }
            "collect_lot" => {
                let scale = &body["weighing"];
                assert_eq!(grams(&scale["gross_g"]) - grams(&scale["tare_g"]), made);
                assert_eq!(grams(&scale["net_g"]), made);
            }
            "stocktake" => {
                let name = body["lot_id"].as_str().unwrap().to_owned();
                remaining.insert(name, grams(&body["counted_g"]));
            }
            "settle_discrepancy" => {
                let lot = lot_of_offer(&lines, &body["offer_event_id"]);
                remaining.insert(lot, grams(&body["agreed_g"]));
            }
            "exit_lot" | "dispose_residue" => {
                let draw = if line.kind == "exit_lot" { &body["lot"] } else { &body["residue"] };
                let rest = remaining.get_mut(draw["lot_id"].as_str().unwrap()).expect("a lot");
                *rest = rest.checked_sub(grams(&draw["mass_g"])).expect("no more than remains");
            }
            _ => {}
        }
        for lot in born(line) {
            let name = lot["lot_id"].as_str().unwrap().to_owned();
            remaining.insert(name, grams(&lot["net_mass_g"]));
        }
        follow_transfer(line, &lines, &mut remaining);
    }
}

/// The lot that an offer, or a return, is of.
fn lot_of_offer(lines: &[Line], event: &Json) -> String {
    let offer = lines.iter().find(|it| it.head["event_id"] == *event).expect("an offer");
    offer.body["lot_id"].as_str().unwrap().to_owned()
}

/// What an accepted transfer does to the books.
fn follow_transfer(line: &Line, lines: &[Line], remaining: &mut BTreeMap<String, u64>) {
    let is_arrival = ["accept_transfer", "partly_accept_transfer"].contains(&line.kind.as_str());
    let (Some(received), true) = (line.body.get("received"), is_arrival) else { return };
    let net = grams(&received["net_g"]);
    assert_eq!(grams(&received["gross_g"]) - grams(&received["tare_g"]), net);
    let offer_id = &line.body["offer_event_id"];
    let offer = lines.iter().find(|it| it.head["event_id"] == *offer_id).expect("an offer");
    let lot = lot_of_offer(lines, offer_id);
    let refused = line.body.get("refused_g").map_or(0, grams);
    let offered = grams(&offer.body["mass_g"]) - refused;
    let is_settled = lines
        .iter()
        .any(|it| it.kind == "settle_discrepancy" && it.body["offer_event_id"] == *offer_id);
    let is_near = offered - net <= offered / 100;
    assert!(net <= offered && is_near != is_settled, "{lot}: {net} of {offered}");
    match line.body.get("received_lot_id").and_then(Json::as_str) {
        Some(part) => {
            *remaining.get_mut(&lot).expect("a lot") -= offered;
            remaining.insert(part.to_owned(), net);
        }
        None => assert_eq!(remaining.insert(lot.clone(), net), Some(offered), "{lot} whole"),
    }
}

#[test]
fn codes_are_those_of_the_tables() {
    let tables = Tables::parse(builtin()).expect("the built-in set");
    for line in all_lines() {
        for lot in born(&line) {
            let material = lot["material"].as_str().unwrap();
            assert!(tables.material(material, IN_2026).is_some(), "{material}");
            assert!(tables.forms.contains_key(lot["form"].as_str().unwrap()), "{}", lot["form"]);
            for grade in list(lot, "grades") {
                let text = |key: &str| grade[key].as_str().unwrap().to_owned();
                assert!(tables.grade(&text("scheme"), &text("code")).is_some(), "{grade}");
            }
        }
        let processes = list(&line.body["site"], "processes").iter();
        let runs = ["transform_lots", "open_campaign"].contains(&line.kind.as_str());
        let run = runs.then_some(&line.body["process"]);
        for code in processes.chain(run).map(|code| code.as_str().unwrap()) {
            assert!(tables.process(code, IN_2026).is_some(), "{code}");
        }
        for region in [&line.body["origin_region"], &line.body["site"]["region_code"]] {
            let Some(code) = region.as_str() else { continue };
            let is_near = code.starts_with("36") || code == "440111";
            assert!(is_near && tables.has_region(code, IN_2026), "{code}");
        }
    }
}

#[test]
fn parties_are_fictional_and_their_codes_check() {
    let mut codes = BTreeSet::new();
    let ledger: Json = serde_json::from_str(LEDGER).expect("ledger.json");
    let mut parties = vec![ledger["coordinator"].clone()];
    let registered = all_lines().into_iter().filter(|line| line.kind == "register_party");
    parties.extend(registered.map(|line| line.body["party"].clone()));
    assert!(parties.len() >= 14);
    for party in parties {
        assert!(party["name_zh"].as_str().unwrap().starts_with("虚构"), "{party}");
        assert!(party["name_en"].as_str().unwrap().starts_with("Fictional "), "{party}");
        let code = party["credit_code"].as_str().unwrap().to_owned();
        let alphabet = "0123456789ABCDEFGHJKLMNPQRTUWXY";
        let value = |letter| alphabet.find(letter).expect("a letter of GB 32100");
        let (weighted, _) = code.chars().take(17).fold((0, 1), |(total, weight), letter| {
            (total + value(letter) * weight, weight * 3 % 31)
        });
        let last = code.chars().last().unwrap();
        // One has a code that fails its check, and a coordinator's waiver for it.
        let is_waived = party.get("credit_code_waiver_event_id").is_some();
        assert_eq!((weighted + value(last)) % 31 != 0, is_waived, "{code}");
        assert!(codes.insert(code), "a credit code twice");
    }
}

#[test]
fn time_never_steps_back_inside_a_file_and_lies_in_2026_before_october() {
    for file in FILES.into_iter().chain([SUSPECTS[0]]) {
        let mut last = "2026-01-01T00:00:00+08:00".to_owned();
        for line in lines_of(file) {
            let at = line.head["occurred_at"].as_str().unwrap().to_owned();
            // One offset and one length: texts order as times do.
            assert!(at.ends_with("+08:00") && at.len() == last.len(), "{at}");
            assert!(last < at && at.as_str() < "2026-10-01", "{last} then {at}");
            last = at;
        }
    }
}

#[test]
fn correctives_follow_their_error_in_one_batch() {
    let lines = lines();
    let mut batch_count = 0;
    for (position, line) in lines.iter().enumerate() {
        let correctives = list(&line.body, "correctives");
        if line.kind != "declare_error" || correctives.is_empty() {
            continue;
        }
        batch_count += 1;
        assert!(line.head["batch"].is_string());
        for (corrective, next) in correctives.iter().zip(&lines[position + 1..]) {
            assert_eq!(corrective["event_id"], next.head["event_id"]);
            assert_eq!(next.head["batch"], line.head["batch"]);
        }
    }
    assert_eq!(batch_count, 3);
}
