//! One rule per kind of field. Faults are collected, so that a client mends an event in one go.

use std::fmt::{self, Display};

use crate::domain::ids::IdFault;
use crate::domain::units::{UnitFault, Validity};
use crate::domain::{FractionE8, Grams, Origin, TimeMs};
use crate::limits::{MAX_CODE_BYTES, MAX_FIELD_FAULTS, MAX_FOUND_BYTES};

const _: () = assert!(MAX_CODE_BYTES == 32, "the rule of a code says this number in words");

/// A field that breaks its rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldFault {
    /// Where, as in `collect_lot.lot.net_mass_g`.
    pub field: String,
    /// What it should be.
    pub rule: String,
    /// What it is; long values are cut.
    pub found: String,
}

impl Display for FieldFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}, found {}", self.field, self.rule, self.found)
    }
}

/// Where the reading is, and what was found wrong so far. A method that gives `None` has told why.
#[derive(Debug, Default)]
pub(in crate::wire) struct Fields {
    path: Vec<Step>,
    faults: Vec<FieldFault>,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Name(&'static str),
    Element(&'static str, usize),
}

impl Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Element(name, position) => write!(f, "{name}[{position}]"),
        }
    }
}

#[expect(
    clippy::option_option,
    reason = "the outer option says whether the field was sound, the inner one whether it was there"
)]
impl Fields {
    /// What was wrong; empty when nothing was.
    pub(in crate::wire) fn into_faults(self) -> Vec<FieldFault> {
        self.faults
    }

    /// Whether anything was wrong.
    pub(in crate::wire) fn has_faults(&self) -> bool {
        !self.faults.is_empty()
    }

    /// Notes a fault of a field here.
    pub(in crate::wire) fn fault(&mut self, field: &str, rule: impl Display, found: impl Display) {
        if self.faults.len() >= MAX_FIELD_FAULTS {
            return;
        }
        let mut steps: Vec<String> = self.path.iter().map(Step::to_string).collect();
        // A rule of an element itself has no field name of its own.
        if !field.is_empty() {
            steps.push(field.to_owned());
        }
        let path = steps.join(".");
        self.faults.push(FieldFault { field: path, rule: rule.to_string(), found: cut(found) });
    }

    /// Notes a rule that does not hold.
    pub(in crate::wire) fn require(
        &mut self,
        holds: bool,
        field: &str,
        rule: &str,
        found: impl Display,
    ) -> Option<()> {
        if !holds {
            self.fault(field, rule, found);
        }
        holds.then_some(())
    }

    /// A message that has to be there, read one step deeper.
    pub(in crate::wire) fn message<M, T>(
        &mut self,
        name: &'static str,
        message: Option<&M>,
        read: impl FnOnce(&mut Self, &M) -> Option<T>,
    ) -> Option<T> {
        let Some(message) = message else {
            self.fault(name, "has to be present", "nothing");
            return None;
        };
        self.inside(Step::Name(name), |fields| read(fields, message))
    }

    /// A message that may be absent.
    pub(in crate::wire) fn optional<M, T>(
        &mut self,
        name: &'static str,
        message: Option<&M>,
        read: impl FnOnce(&mut Self, &M) -> Option<T>,
    ) -> Option<Option<T>> {
        match message {
            None => Some(None),
            Some(message) => {
                self.inside(Step::Name(name), |fields| read(fields, message)).map(Some)
            }
        }
    }

    /// A list of `least` to `most` elements; all of them are read, so that all faults are told.
    pub(in crate::wire) fn list<M, T>(
        &mut self,
        name: &'static str,
        elements: &[M],
        (least, most): (usize, usize),
        mut read: impl FnMut(&mut Self, &M) -> Option<T>,
    ) -> Option<Vec<T>> {
        if elements.len() < least || elements.len() > most {
            self.fault(name, format!("has {least} to {most} elements"), elements.len());
            return None;
        }
        let mut read_ones = Vec::with_capacity(elements.len());
        for (position, element) in elements.iter().enumerate() {
            let one = self.inside(Step::Element(name, position), |fields| read(fields, element));
            read_ones.extend(one);
        }
        (read_ones.len() == elements.len()).then_some(read_ones)
    }

    /// An id: 16 bytes that are a `UUIDv7`.
    pub(in crate::wire) fn id<T>(
        &mut self,
        field: &str,
        bytes: &[u8],
        parse: impl FnOnce(&[u8]) -> Result<T, IdFault>,
    ) -> Option<T> {
        if bytes.is_empty() {
            self.fault(field, "has to be present", "nothing");
            return None;
        }
        parse(bytes).map_err(|rule| self.fault(field, rule, Hex(bytes))).ok()
    }

    /// An id that may be absent.
    pub(in crate::wire) fn optional_id<T>(
        &mut self,
        field: &str,
        bytes: &[u8],
        parse: impl FnOnce(&[u8]) -> Result<T, IdFault>,
    ) -> Option<Option<T>> {
        if bytes.is_empty() { Some(None) } else { self.id(field, bytes, parse).map(Some) }
    }

    /// A field that has no place here.
    pub(in crate::wire) fn absent_bytes(
        &mut self,
        field: &str,
        bytes: &[u8],
        rule: &str,
    ) -> Option<()> {
        self.require(bytes.is_empty(), field, rule, Hex(bytes))
    }

    /// A hash or key: exactly 32 bytes.
    pub(in crate::wire) fn bytes32(&mut self, field: &str, bytes: &[u8]) -> Option<[u8; 32]> {
        let fixed = <[u8; 32]>::try_from(bytes).ok();
        self.require(fixed.is_some(), field, "has exactly 32 bytes", Hex(bytes))?;
        fixed
    }

    /// A word of a closed list; the number is known to the proto.
    pub(in crate::wire) fn word<T>(
        &mut self,
        field: &str,
        number: i32,
        from_number: impl FnOnce(i32) -> Option<T>,
    ) -> Option<T> {
        let word = from_number(number);
        self.require(word.is_some(), field, "has to be one of its words", number)?;
        word
    }

    /// A word that may be absent.
    pub(in crate::wire) fn optional_word<T>(
        &mut self,
        field: &str,
        number: i32,
        from_number: impl FnOnce(i32) -> Option<T>,
    ) -> Option<Option<T>> {
        if number == 0 { Some(None) } else { self.word(field, number, from_number).map(Some) }
    }

    /// A text of `least` to `most` bytes without control characters.
    pub(in crate::wire) fn text(
        &mut self,
        field: &str,
        text: &str,
        (least, most): (usize, usize),
    ) -> Option<String> {
        if text.len() < least || text.len() > most {
            let rule = format!("has {least} to {most} bytes, not {}", text.len());
            self.fault(field, rule, Quoted(text));
            return None;
        }
        let is_plain = !text.chars().any(char::is_control);
        self.require(is_plain, field, "has no control characters", Quoted(text))?;
        Some(text.to_owned())
    }

    /// A code of a table: capital letters, digits and underscores.
    pub(in crate::wire) fn code(&mut self, field: &str, text: &str) -> Option<String> {
        let is_code = (1..=MAX_CODE_BYTES).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
        let rule = "is a code of 1 to 32 characters, A to Z, 0 to 9 and _";
        self.require(is_code, field, rule, Quoted(text))?;
        Some(text.to_owned())
    }

    /// A text of exactly `count` ASCII digits.
    pub(in crate::wire) fn digits(
        &mut self,
        field: &str,
        text: &str,
        count: usize,
    ) -> Option<String> {
        let are_digits = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
        if !are_digits {
            self.fault(field, format!("has exactly {count} ASCII digits"), Quoted(text));
        }
        are_digits.then(|| text.to_owned())
    }

    /// The name of a ledger.
    pub(in crate::wire) fn origin(&mut self, field: &str, text: &str) -> Option<Origin> {
        Origin::parse(text).map_err(|rule| self.fault(field, rule, Quoted(text))).ok()
    }

    /// A mass that may be zero.
    pub(in crate::wire) fn mass(&mut self, field: &str, grams: u64) -> Option<Grams> {
        self.unit(field, Grams::new(grams), grams)
    }

    /// A mass of at least a gram.
    pub(in crate::wire) fn positive_mass(&mut self, field: &str, grams: u64) -> Option<Grams> {
        self.require(grams > 0, field, "is more than 0 g", grams)?;
        self.mass(field, grams)
    }

    /// A fraction of 0 to 100 %.
    pub(in crate::wire) fn fraction(&mut self, field: &str, parts: u32) -> Option<FractionE8> {
        self.unit(field, FractionE8::new(parts), parts)
    }

    /// A time that has to be there.
    pub(in crate::wire) fn time(&mut self, field: &str, millis: u64) -> Option<TimeMs> {
        self.require(millis > 0, field, "has to be present", "nothing")?;
        self.unit(field, TimeMs::new(millis), millis)
    }

    /// An end that may be absent: 0 is without end.
    pub(in crate::wire) fn end(&mut self, field: &str, millis: u64) -> Option<Option<TimeMs>> {
        let end = self.unit(field, TimeMs::new(millis), millis);
        end.map(|end| (millis != 0).then_some(end))
    }

    /// A half-open interval; `to` of 0 is without end.
    pub(in crate::wire) fn validity(&mut self, from_ms: u64, to_ms: u64) -> Option<Validity> {
        let from = self.unit("valid_from_ms", TimeMs::new(from_ms), from_ms);
        let to = self.unit("valid_to_ms", TimeMs::new(to_ms), to_ms);
        let is_ordered = to_ms == 0 || from_ms < to_ms;
        self.require(is_ordered, "valid_to_ms", "is later than valid_from_ms, or absent", to_ms)?;
        Some(Validity { from: from?, to: to.map(|to| (to_ms != 0).then_some(to))? })
    }

    /// Elements in strictly ascending order.
    pub(in crate::wire) fn ascending<T: PartialOrd>(
        &mut self,
        field: &str,
        keys: &[T],
    ) -> Option<()> {
        let are_ascending = keys.windows(2).all(|pair| pair[0] < pair[1]);
        self.require(are_ascending, field, "ascends, each element once", "another order")
    }

    fn unit<T>(
        &mut self,
        field: &str,
        parsed: Result<T, UnitFault>,
        found: impl Display,
    ) -> Option<T> {
        parsed.map_err(|rule| self.fault(field, rule, found)).ok()
    }

    fn inside<T>(&mut self, step: Step, read: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        self.path.push(step);
        let result = read(self);
        self.path.pop();
        result
    }
}

/// Bytes as hex digits, with a word for none.
pub(in crate::wire) struct Hex<'a>(pub(super) &'a [u8]);

impl Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("nothing");
        }
        write!(f, "{} bytes ", self.0.len())?;
        self.0.iter().take(MAX_FOUND_BYTES / 2).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A text in quotes, control characters escaped.
pub(in crate::wire) struct Quoted<'a>(pub(super) &'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Cut before escaping: a refused text may be as long as an event.
        let head: String = self.0.chars().take(MAX_FOUND_BYTES).collect();
        write!(f, "{head:?}")
    }
}

fn cut(found: impl Display) -> String {
    let mut text = found.to_string();
    let limit = 2 * MAX_FOUND_BYTES;
    if text.len() > limit {
        let end = (0..=limit).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        text.truncate(end);
        text.push('…');
    }
    text
}
