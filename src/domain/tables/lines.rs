//! From the text of a set to rows of fields: framing, lines, and the plain types of a field.

use super::TableFault;
use crate::domain::units::{FractionE8, TimeMs, Validity};
use crate::limits::{MAX_CODE_BYTES, MAX_NAME_BYTES, MAX_TABLE_SET_BYTES};

/// Beijing time is 8 hours ahead of UTC: a date of a table begins 8 hours before that date in UTC.
const OFFSET_MS: u64 = 8 * 3_600_000;
const DAY_MS: u64 = 24 * 3_600_000;

/// One file of a set.
#[derive(Clone, Copy)]
pub(super) struct File<'a> {
    pub name: &'static str,
    content: &'a str,
    /// Sets were published before some files were thought of.
    is_left_out: bool,
}

/// One row, with what a fault needs to say where it is.
pub(super) struct Row<'a> {
    file: &'static str,
    line: usize,
    fields: Vec<&'a str>,
}

/// Cuts a set into its files, which stand in the given order and are all there, but for those that
/// may be left out.
pub(super) fn cut<'a, const N: usize>(
    set: &'a str,
    names: [&'static str; N],
    optional: &[&str],
) -> Result<[File<'a>; N], TableFault> {
    if set.len() > MAX_TABLE_SET_BYTES {
        let rule = format!("a set has at most {MAX_TABLE_SET_BYTES} bytes, not {}", set.len());
        return Err(fault("set", 1, &rule));
    }
    let mut rest = set;
    let mut files = names.map(|name| File { name, content: "", is_left_out: false });
    for file in &mut files {
        let found = rest.strip_prefix("== ").and_then(|head| head.split(' ').next());
        if optional.contains(&file.name) && found != Some(file.name) {
            file.is_left_out = true;
            continue;
        }
        let (content, after) = cut_one(rest, file.name, &names)?;
        file.content = content;
        rest = after;
    }
    if rest.is_empty() {
        Ok(files)
    } else {
        Err(fault("set", 1, &format!("{} bytes follow the last file", rest.len())))
    }
}

fn cut_one<'a>(
    rest: &'a str,
    name: &'static str,
    names: &[&'static str],
) -> Result<(&'a str, &'a str), TableFault> {
    if rest.is_empty() {
        return Err(fault(name, 1, "the file is missing"));
    }
    let headless = || fault("set", 1, &format!("before {name} a head `== name length` is needed"));
    let head = rest.strip_prefix("== ").ok_or_else(headless)?;
    let (head, body) = head.split_once('\n').ok_or_else(headless)?;
    let (found, length) = head.split_once(' ').ok_or_else(headless)?;
    if !names.contains(&found) {
        return Err(fault("set", 1, &format!("{found:?} is not a file of a table set")));
    }
    if found != name {
        return Err(fault(name, 1, &format!("the file is missing, {found} stands in its place")));
    }
    let rule = "the length in the file's head is not that of its bytes";
    let length = decimal(length).ok_or_else(|| fault(name, 1, rule))?;
    let length = usize::try_from(length).map_err(|_| fault(name, 1, rule))?;
    body.split_at_checked(length).ok_or_else(|| fault(name, 1, rule))
}

impl<'a> File<'a> {
    /// The rows under a header that has to be exactly this; none of a file that is left out.
    pub fn rows(self, header: &str) -> Result<Vec<Row<'a>>, TableFault> {
        if self.is_left_out {
            return Ok(Vec::new());
        }
        let at = |line: usize, rule: &str| fault(self.name, line, rule);
        let body = self.content.strip_suffix('\n').ok_or_else(|| {
            at(self.content.lines().count().max(1), "the last line does not end with a line feed")
        })?;
        let columns = header.split(',').count();
        let mut rows = Vec::new();
        for (position, text) in body.split('\n').enumerate() {
            let line = position + 1;
            if line == 1 {
                if text != header {
                    return Err(at(1, &format!("the header has to be {header:?}")));
                }
                continue;
            }
            let fields: Vec<&str> = text.split(',').collect();
            if fields.len() != columns {
                let rule = format!("{columns} fields are needed, not {}", fields.len());
                return Err(at(line, &rule));
            }
            let row = Row { file: self.name, line, fields };
            row.check_plain()?;
            rows.push(row);
        }
        if rows.is_empty() {
            return Err(at(1, "no row follows the header"));
        }
        Ok(rows)
    }

    /// A fault of the file as a whole.
    pub fn fault(self, rule: &str) -> TableFault {
        fault(self.name, 1, rule)
    }
}

impl<'a> Row<'a> {
    /// A fault in this row.
    pub fn fault(&self, rule: &str) -> TableFault {
        fault(self.file, self.line, rule)
    }

    /// A field as it stands; the header fixed how many there are.
    pub fn field(&self, column: usize) -> &'a str {
        self.fields.get(column).copied().unwrap_or_default()
    }

    /// A short word of a code list: letters, digits, underscore, and the given others.
    pub fn code(&self, column: usize, others: &str) -> Result<String, TableFault> {
        let text = self.field(column);
        let is_sound = !text.is_empty()
            && text.len() <= MAX_CODE_BYTES
            && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || others.contains(c));
        if is_sound {
            return Ok(text.to_owned());
        }
        let rule = format!("{text:?} is not a code of 1 to {MAX_CODE_BYTES} letters and digits");
        Err(self.fault(&rule))
    }

    /// A name or note: not empty, not too long.
    pub fn name(&self, column: usize) -> Result<String, TableFault> {
        let text = self.field(column);
        if text.is_empty() || text.len() > MAX_NAME_BYTES {
            let rule = format!("a text of 1 to {MAX_NAME_BYTES} bytes is needed, not {text:?}");
            return Err(self.fault(&rule));
        }
        Ok(text.to_owned())
    }

    /// A whole number without sign or leading zeros.
    pub fn number(&self, column: usize) -> Result<u64, TableFault> {
        let text = self.field(column);
        decimal(text).ok_or_else(|| self.fault(&format!("{text:?} is not a whole number")))
    }

    /// A fraction in 1e-8 parts.
    pub fn fraction(&self, column: usize) -> Result<FractionE8, TableFault> {
        let number = self.number(column)?;
        let parts = u32::try_from(number).ok().and_then(|parts| FractionE8::new(parts).ok());
        parts.ok_or_else(|| self.fault(&format!("{number} is more than 100 % in 1e-8 parts")))
    }

    /// `yes` or `no`.
    pub fn yes(&self, column: usize) -> Result<bool, TableFault> {
        match self.field(column) {
            "yes" => Ok(true),
            "no" => Ok(false),
            other => Err(self.fault(&format!("{other:?} is neither yes nor no"))),
        }
    }

    /// A word of a vocabulary.
    pub fn word<W>(&self, column: usize, parse: fn(&str) -> Option<W>) -> Result<W, TableFault> {
        self.parse_word(self.field(column), parse)
    }

    /// Words joined by `;`, each once; an empty field is an empty list.
    pub fn words<W: PartialEq>(
        &self,
        column: usize,
        parse: fn(&str) -> Option<W>,
    ) -> Result<Vec<W>, TableFault> {
        let text = self.field(column);
        let mut words = Vec::new();
        for item in text.split(';').filter(|_| !text.is_empty()) {
            let word = self.parse_word(item, parse)?;
            if words.contains(&word) {
                return Err(self.fault(&format!("{item:?} stands twice in a list")));
            }
            words.push(word);
        }
        Ok(words)
    }

    /// From the first moment of a date, without end.
    pub fn validity_from(&self, column: usize) -> Result<Validity, TableFault> {
        Ok(Validity { from: self.date(column)?, to: None })
    }

    /// From the first moment of a date to the first moment of another (outside), or without end.
    pub fn validity(&self, from: usize, to: usize) -> Result<Validity, TableFault> {
        let end = if self.field(to).is_empty() { None } else { Some(self.date(to)?) };
        let from = self.date(from)?;
        if end.is_some_and(|end| end <= from) {
            return Err(self.fault("the interval ends before it begins"));
        }
        Ok(Validity { from, to: end })
    }

    fn parse_word<W>(&self, text: &str, parse: fn(&str) -> Option<W>) -> Result<W, TableFault> {
        parse(text).ok_or_else(|| self.fault(&format!("{text:?} is not a word of its list")))
    }

    /// 00:00 in Beijing (UTC+8) on a date `YYYY-MM-DD`.
    fn date(&self, column: usize) -> Result<TimeMs, TableFault> {
        let text = self.field(column);
        let rule = || self.fault(&format!("{text:?} is not a date YYYY-MM-DD from 1971 to 9998"));
        let days = days_of(text).ok_or_else(rule)?;
        let millis = days.checked_mul(DAY_MS).and_then(|it| it.checked_sub(OFFSET_MS));
        millis.and_then(|it| TimeMs::new(it).ok()).ok_or_else(rule)
    }

    /// No quotes, no control characters, no blanks at the edges: a text has one spelling.
    fn check_plain(&self) -> Result<(), TableFault> {
        for text in &self.fields {
            if text.contains(|c: char| c == '"' || c.is_control()) {
                return Err(self.fault("quotes and control characters are not allowed"));
            }
            if text.trim() != *text {
                return Err(self.fault("a field begins or ends with a blank"));
            }
        }
        Ok(())
    }
}

/// A whole number in its only spelling.
fn decimal(text: &str) -> Option<u64> {
    let is_plain = !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && (text == "0" || !text.starts_with('0'));
    if is_plain { text.parse().ok() } else { None }
}

/// Days from 1970-01-01 to a date of the Gregorian calendar, 1971 to 9998.
fn days_of(text: &str) -> Option<u64> {
    let has_shape = text.len() == 10 && text.bytes().enumerate().all(is_date_byte);
    if !has_shape {
        return None;
    }
    let year: u64 = text[..4].parse().ok()?;
    let month: usize = text[5..7].parse().ok()?;
    let day: u64 = text[8..].parse().ok()?;
    let is_leap = (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400);
    let february = if is_leap { 29 } else { 28 };
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let length = *months.get(month.checked_sub(1)?)?;
    if !(1971..=9998).contains(&year) || !(1..=length).contains(&day) {
        return None;
    }
    let past = year - 1;
    let leap_days = past / 4 - past / 100 + past / 400 - LEAP_DAYS_BEFORE_1970;
    let whole_years = (year - 1970) * 365 + leap_days;
    Some(whole_years + months[..month - 1].iter().sum::<u64>() + day - 1)
}

/// Leap days up to the end of 1969: 1969 / 4 - 1969 / 100 + 1969 / 400.
const LEAP_DAYS_BEFORE_1970: u64 = 492 - 19 + 4;

fn is_date_byte((position, byte): (usize, u8)) -> bool {
    if position == 4 || position == 7 { byte == b'-' } else { byte.is_ascii_digit() }
}

fn fault(file: &str, line: usize, rule: &str) -> TableFault {
    TableFault { file: file.to_owned(), line, rule: rule.to_owned() }
}
