//! Reports as JSON, and as tables for people.

use serde_json::{Map, Value as Json, json};

use super::output;
use crate::insight::reports::{
    Cell, ColumnUnit, Language, Table, Text, Value, fraction_text, time_text, tonnes_text,
    value_text,
};

/// A report as JSON; `docs/REPORTS.md` says what stands where.
pub fn json(table: &Table) -> Json {
    let columns: Vec<Json> = table
        .columns
        .iter()
        .map(|it| {
            let (zh, en) = (&it.title.zh, &it.title.en);
            json!({"name": it.name, "zh": zh, "en": en, "unit": unit(it.unit)})
        })
        .collect();
    let row = |cells: &Vec<Cell>, value: &dyn Fn(&Cell) -> Option<Json>| -> Json {
        let named = table.columns.iter().zip(cells);
        let told = named.filter_map(|(head, cell)| Some((head.name.to_string(), value(cell)?)));
        Json::Object(told.collect())
    };
    let figure = |cell: &Cell| cell.figure.as_ref().map(|it| Json::String(it.to_text()));
    let value = |cell: &Cell| Some(value_json(&cell.value));
    json!({
        "report": table.kind.name(),
        "title": text(&table.title),
        "as_of": {
            "entry_count": table.as_of.size.0,
            "time_ms": table.as_of.time.get(),
            "time": time_text(table.as_of.time),
        },
        "columns": columns,
        "rows": table.rows.iter().map(|it| row(it, &value)).collect::<Vec<_>>(),
        "figures": table.rows.iter().map(|it| row(it, &figure)).collect::<Vec<_>>(),
        "rows_left_out": table.left_out,
        "notes": table.notes.iter().map(text).collect::<Vec<_>>(),
        "parties": names(table.parties.iter().map(|(id, name)| (id.to_string(), name))),
        "sites": names(table.sites.iter().map(|(id, name)| (id.to_string(), name))),
    })
}

fn text(text: &Text) -> Json {
    json!({"zh": text.zh, "en": text.en})
}

fn names<'a>(names: impl Iterator<Item = (String, &'a Text)>) -> Json {
    Json::Object(names.map(|(id, name)| (id, text(name))).collect::<Map<_, _>>())
}

fn value_json(value: &Value) -> Json {
    match value {
        Value::Count(number) | Value::FractionE8(number) | Value::Grams(number) => {
            // Nine trillion tonnes do not fit a number; they would be told as text.
            i64::try_from(*number).map_or_else(|_| number.to_string().into(), Json::from)
        }
        Value::Entry(index) => index.0.into(),
        Value::Nothing => Json::Null,
        Value::Parties(ids) => ids.iter().map(ToString::to_string).collect(),
        Value::Words(words) => text(words),
        Value::Campaign(_)
        | Value::Code(_)
        | Value::Date(_)
        | Value::Lot(_)
        | Value::Party(_)
        | Value::Site(_)
        | Value::Text(_)
        | Value::Time(_) => value_text(value, Language::En).into(),
    }
}

fn unit(unit: ColumnUnit) -> &'static str {
    match unit {
        ColumnUnit::Campaign => "campaign",
        ColumnUnit::Code => "code",
        ColumnUnit::Count => "count",
        ColumnUnit::Date => "date",
        ColumnUnit::Entry => "entry",
        ColumnUnit::FractionE8 => "fraction_e8",
        ColumnUnit::Grams => "grams",
        ColumnUnit::Lot => "lot",
        ColumnUnit::Parties => "parties",
        ColumnUnit::Party => "party",
        ColumnUnit::Site => "site",
        ColumnUnit::Text => "text",
        ColumnUnit::Time => "time",
        ColumnUnit::Value => "value",
    }
}

/// A report for people: title, rows with names in place of ids and tonnes in place of grams, notes.
/// A column of masses in which nothing but zero stands is left out, and named below.
pub fn human(table: &Table, language: Language) -> String {
    let is_idle = |place: usize| {
        let mut cells = table.rows.iter().filter_map(|row| row.get(place));
        table.columns[place].unit == ColumnUnit::Grams
            && !table.rows.is_empty()
            && cells.all(|cell| matches!(cell.value, Value::Grams(0)))
    };
    let (idle, told): (Vec<usize>, Vec<usize>) =
        (0..table.columns.len()).partition(|it| is_idle(*it));
    let title = |place: &usize| table.columns[*place].title.in_language(language);
    let heads: Vec<&str> = told.iter().map(title).collect();
    let mut shown = output::table(&heads);
    for row in &table.rows {
        let cells = told.iter().filter_map(|place| row.get(*place));
        shown.add_row(cells.map(|cell| cell_text(table, cell, language)));
    }
    let (size, time) = (table.as_of.size, time_text(table.as_of.time));
    let mut lines = vec![
        table.title.in_language(language).to_owned(),
        match language {
            Language::Zh => format!("截至 {size} 个条目，{time} 之前"),
            Language::En => format!("as of {size} entries, before {time}"),
        },
        shown.to_string(),
    ];
    if !idle.is_empty() {
        let names = idle.iter().map(title).collect::<Vec<_>>().join(", ");
        lines.push(match language {
            Language::Zh => format!("全为零，未列出：{names}"),
            Language::En => format!("zero in every row, and left out here: {names}"),
        });
    }
    if table.left_out > 0 {
        lines.push(match language {
            Language::Zh => format!("另有 {} 行未列出", table.left_out),
            Language::En => format!("{} more rows are left out", table.left_out),
        });
    }
    lines.extend(table.notes.iter().map(|note| note.in_language(language).to_owned()));
    lines.join("\n")
}

fn cell_text(table: &Table, cell: &Cell, language: Language) -> String {
    let named = |name: Option<&Text>| {
        let name = name.map(|it| it.in_language(language)).filter(|name| !name.is_empty());
        name.map_or_else(|| value_text(&cell.value, language), str::to_owned)
    };
    match &cell.value {
        Value::FractionE8(fraction) => fraction_text(*fraction),
        Value::Grams(grams) => tonnes_text(*grams),
        Value::Party(id) => named(table.parties.get(id)),
        Value::Site(id) => named(table.sites.get(id)),
        value => value_text(value, language),
    }
}
