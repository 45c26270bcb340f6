//! A report as CSV, and the spelling of values that every form shares.

use super::day::time_text;
use super::table::{Cell, ColumnUnit, Language, Table, Value};
use crate::domain::composition::div_half_even;
use crate::domain::{PartyId, SiteId};

/// Spreadsheets take a file for UTF-8 when it begins with this.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// A report as CSV (RFC 4180, UTF-8 with a byte order mark): a line with the stable names of the
/// columns, and a line for each row. Masses are whole grams, fractions whole parts of 1e8. Beside
/// each party and site stands its name in a column `<name>_name`.
pub fn csv(table: &Table, language: Language) -> Vec<u8> {
    let mut out = BYTE_ORDER_MARK.to_vec();
    let mut writer =
        csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(vec![]);
    // A vector takes every write, and every record has as many fields as the first.
    let mut head = Vec::new();
    for column in &table.columns {
        head.push(column.name.to_string());
        if is_named(column.unit) {
            head.push(format!("{}_name", column.name));
        }
    }
    let _ = writer.write_record(&head);
    for row in &table.rows {
        let mut fields = Vec::with_capacity(head.len());
        for (cell, column) in row.iter().zip(&table.columns) {
            fields.push(harmless(value_text(&cell.value, language), &cell.value));
            if is_named(column.unit) {
                let name = name_text(table, cell, language);
                fields.push(harmless(name, &Value::Text(String::new())));
            }
        }
        let _ = writer.write_record(&fields);
    }
    out.extend(writer.into_inner().unwrap_or_default());
    out
}

const fn is_named(unit: ColumnUnit) -> bool {
    matches!(unit, ColumnUnit::Party | ColumnUnit::Parties | ColumnUnit::Site)
}

/// Text that a spreadsheet would take for a formula gets a quote before it.
fn harmless(text: String, value: &Value) -> String {
    let is_words = matches!(value, Value::Text(_) | Value::Code(_));
    if is_words && text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{text}")
    } else {
        text
    }
}

/// Names of the parties or the site of a cell; empty where there are none.
fn name_text(table: &Table, cell: &Cell, language: Language) -> String {
    let party =
        |id: &PartyId| table.parties.get(id).map(|it| it.in_language(language)).unwrap_or_default();
    let site =
        |id: &SiteId| table.sites.get(id).map(|it| it.in_language(language)).unwrap_or_default();
    match &cell.value {
        Value::Party(id) => party(id).to_owned(),
        Value::Parties(ids) => ids.iter().map(party).collect::<Vec<_>>().join("; "),
        Value::Site(id) => site(id).to_owned(),
        _ => String::new(),
    }
}

/// A value as files spell it: whole numbers, ids, times of Beijing; nothing is empty.
pub fn value_text(value: &Value, language: Language) -> String {
    match value {
        Value::Campaign(id) => id.to_string(),
        Value::Code(text) | Value::Text(text) => text.clone(),
        Value::Count(number) | Value::FractionE8(number) | Value::Grams(number) => {
            number.to_string()
        }
        Value::Date(day) => day.to_string(),
        Value::Entry(index) => index.to_string(),
        Value::Lot(id) => id.to_string(),
        Value::Nothing => String::new(),
        Value::Parties(ids) => ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
        Value::Party(id) => id.to_string(),
        Value::Site(id) => id.to_string(),
        Value::Time(at) => time_text(*at),
        Value::Words(text) => text.in_language(language).to_owned(),
    }
}

/// Grams for people, with thousands apart: `-12,500 g`.
pub fn grams_text(grams: i128) -> String {
    format!("{} g", signed(grams, &thousands(grams.unsigned_abs())))
}

/// Tonnes for people, with three decimals, half to even: `12.500 t`.
pub fn tonnes_text(grams: i128) -> String {
    let kilograms = div_half_even(grams.unsigned_abs(), 1_000);
    let text = format!("{}.{:03} t", thousands(kilograms / 1_000), kilograms % 1_000);
    // What rounds to nothing is not less than nothing.
    signed(if kilograms == 0 { 0 } else { grams }, &text)
}

/// A fraction for people, in per cent with two decimals, half to even: `1.25 %`.
pub fn fraction_text(fraction_e8: i128) -> String {
    let basis_points = div_half_even(fraction_e8.unsigned_abs(), 10_000);
    let text = format!("{}.{:02} %", thousands(basis_points / 100), basis_points % 100);
    signed(if basis_points == 0 { 0 } else { fraction_e8 }, &text)
}

fn signed(number: i128, text: &str) -> String {
    format!("{}{text}", if number < 0 { "-" } else { "" })
}

fn thousands(number: u128) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_people_write_them() {
        assert_eq!(grams_text(-12_500), "-12,500 g");
        assert_eq!(tonnes_text(12_500_500), "12.500 t");
        assert_eq!(tonnes_text(12_501_500), "12.502 t");
        assert_eq!(tonnes_text(-1_234_567_000), "-1,234.567 t");
        assert_eq!(tonnes_text(-499), "0.000 t");
        assert_eq!(fraction_text(2_000_000), "2.00 %");
        assert_eq!(fraction_text(-1_005_000), "-1.00 %");
        assert_eq!(fraction_text(-1), "0.00 %");
    }
}
