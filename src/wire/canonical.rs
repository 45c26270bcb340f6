//! Canonical admission: one meaning, one byte string.
//!
//! The bytes are walked by the schema alone, without trusting any decoder: what is admitted here is
//! exactly what a protobuf library writes when it serialises a message once. A decoder may be
//! lenient afterwards, because nothing is left to be lenient about.

mod schema;
#[cfg(test)]
mod tests;

use std::sync::OnceLock;

use schema::{FieldKind, FieldShape, MessageShape, Schema};

pub use schema::SchemaFault;

/// Largest field number of protobuf.
const MAX_FIELD_NUMBER: u64 = (1 << 29) - 1;
/// Bytes of the longest varint: 64 bits in groups of 7.
const MAX_VARINT_BYTES: usize = 10;

/// Which message the bytes should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MessageName {
    /// `urbanmine.v1.Event`.
    Event,
    /// `urbanmine.v1.Statement`.
    Statement,
}

/// Bytes that are not the canonical spelling of a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not canonical at byte {offset}{}: {rule}", at_path(.path))]
pub struct NonCanonical {
    /// The field, as in `collect_lot.lot.net_mass_g`; empty for the message itself.
    pub path: String,
    /// Where in the bytes the offending item begins.
    pub offset: usize,
    /// What it breaks.
    pub rule: CanonicalRule,
}

/// The rules of the canonical spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum CanonicalRule {
    /// The bytes end inside an item.
    #[error("the bytes end in the middle of a tag, a length or a value")]
    Truncated,
    /// A varint of more than 64 bits.
    #[error("a varint has at most 64 bits")]
    VarintTooLong,
    /// A varint with needless bytes.
    #[error("a varint uses the fewest bytes that hold its value")]
    VarintNotMinimal,
    /// A field number of 0 or over 2^29 - 1.
    #[error("a field number is 1 to 536870911")]
    FieldNumber,
    /// A group, or a wire type that does not exist.
    #[error("a field is a varint, fixed or length-delimited; groups are not used")]
    Group,
    /// A number the schema does not know.
    #[error("the message has no field of this number")]
    UnknownField,
    /// A known field in another field's spelling.
    #[error("the wire type is not that of the field's type")]
    WireType,
    /// A smaller number after a larger one.
    #[error("fields stand in ascending order of their numbers")]
    Order,
    /// A singular field again.
    #[error("a field that is not repeated stands at most once")]
    Repeated,
    /// Two members of a oneof.
    #[error("at most one member of a oneof is present")]
    OneofTwice,
    /// No member where one is needed.
    #[error("the message needs exactly one body")]
    OneofMissing,
    /// A default written out.
    #[error("a field without presence is absent when it holds its default")]
    Default,
    /// A number beyond its type.
    #[error("the number is outside the range of the field's type")]
    Range,
    /// An enum number without a name.
    #[error("the enum has no value of this number")]
    UnknownEnumValue,
    /// A text that is none.
    #[error("a string is valid UTF-8")]
    Utf8,
    /// A length that reaches beyond the message around it.
    #[error("a length stays inside the message around it")]
    Length,
    /// A repeated scalar, unpacked.
    #[error("repeated scalars are packed")]
    NotPacked,
    /// A packed field without elements.
    #[error("a packed field without elements is absent")]
    PackedEmpty,
    /// A packed field in two pieces.
    #[error("a packed field stands in one piece")]
    PackedTwice,
    /// The walk passed and the decoder did not; kept so that the two can never disagree silently.
    #[error("the bytes are not a message of this kind")]
    Undecodable,
}

/// Checks that bytes are the canonical spelling of a message.
pub fn check(message: MessageName, bytes: &[u8]) -> Result<(), NonCanonical> {
    let Catalogue { schema, event, statement } = catalogue();
    let root = match message {
        MessageName::Event => *event,
        MessageName::Statement => *statement,
    };
    check_root(schema, root, bytes)
}

fn check_root(schema: &Schema, root: usize, bytes: &[u8]) -> Result<(), NonCanonical> {
    let shape = schema.message(root);
    let oneofs = walk(schema, shape, bytes, 0).map_err(Located::into_fault)?;
    for (position, name) in shape.oneofs.iter().enumerate() {
        if oneofs & (1 << position) == 0 {
            let (path, rule) = (name.clone(), CanonicalRule::OneofMissing);
            return Err(NonCanonical { path, offset: bytes.len(), rule });
        }
    }
    Ok(())
}

struct Catalogue {
    schema: Schema,
    event: usize,
    statement: usize,
}

impl Catalogue {
    fn build(descriptors: &[u8]) -> Result<Self, SchemaFault> {
        let schema = Schema::build(descriptors)?;
        let event = schema.position(".urbanmine.v1.Event")?;
        let statement = schema.position(".urbanmine.v1.Statement")?;
        Ok(Self { schema, event, statement })
    }
}

#[expect(clippy::expect_used, reason = "the descriptors are a build constant; a test reads them")]
fn catalogue() -> &'static Catalogue {
    static CATALOGUE: OnceLock<Catalogue> = OnceLock::new();
    CATALOGUE.get_or_init(|| {
        Catalogue::build(super::DESCRIPTORS).expect("the protos have no maps, floats or groups")
    })
}

fn at_path(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!(", field {path}") }
}

/// A fault on its way out: each message on the way puts its step in front.
struct Located {
    steps: Vec<String>,
    offset: usize,
    rule: CanonicalRule,
}

impl Located {
    fn at(offset: usize, rule: CanonicalRule) -> Self {
        Self { steps: Vec::new(), offset, rule }
    }

    fn inside(mut self, step: String) -> Self {
        self.steps.push(step);
        self
    }

    fn into_fault(self) -> NonCanonical {
        let steps: Vec<String> = self.steps.into_iter().rev().collect();
        NonCanonical { path: steps.join("."), offset: self.offset, rule: self.rule }
    }
}

/// Reads bytes from the front; `base` is where they begin in the whole.
struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
    base: usize,
}

impl<'a> Reader<'a> {
    fn offset(&self) -> usize {
        self.base + self.position
    }

    fn is_done(&self) -> bool {
        self.position >= self.bytes.len()
    }

    fn varint(&mut self) -> Result<u64, Located> {
        let start = self.offset();
        let mut value = 0_u64;
        for step in 0..MAX_VARINT_BYTES {
            let Some(byte) = self.bytes.get(self.position).copied() else {
                return Err(Located::at(start, CanonicalRule::Truncated));
            };
            self.position += 1;
            let is_last_step = step == MAX_VARINT_BYTES - 1;
            if is_last_step && byte > 1 {
                return Err(Located::at(start, CanonicalRule::VarintTooLong));
            }
            value |= u64::from(byte & 0x7f) << (7 * step);
            if byte & 0x80 == 0 {
                let is_minimal = step == 0 || byte != 0;
                return if is_minimal {
                    Ok(value)
                } else {
                    Err(Located::at(start, CanonicalRule::VarintNotMinimal))
                };
            }
        }
        Err(Located::at(start, CanonicalRule::VarintTooLong))
    }

    fn take(&mut self, length: usize, rule: CanonicalRule) -> Result<&'a [u8], Located> {
        let rest = self.bytes.get(self.position..).unwrap_or_default();
        let Some(taken) = rest.get(..length) else {
            return Err(Located::at(self.offset(), rule));
        };
        self.position += length;
        Ok(taken)
    }

    /// A length and what it spans, with where that begins.
    fn delimited(&mut self) -> Result<(usize, &'a [u8]), Located> {
        let start = self.offset();
        let length = usize::try_from(self.varint()?)
            .map_err(|_| Located::at(start, CanonicalRule::Length))?;
        let begins = self.offset();
        let span = self.take(length, CanonicalRule::Length);
        Ok((begins, span.map_err(|fault| Located { offset: start, ..fault })?))
    }
}

/// What came before in the message that is walked.
#[derive(Default)]
struct Progress {
    last_number: u32,
    /// How often the last number stood, to name an element.
    repeats: usize,
    /// Bit `n`: a member of oneof `n` stands.
    oneofs: u64,
}

/// Walks one message. Depth is bounded because the schema is: it was refused if deeper. Gives the
/// oneofs that have a member.
fn walk(schema: &Schema, shape: &MessageShape, bytes: &[u8], base: usize) -> Result<u64, Located> {
    let mut reader = Reader { bytes, position: 0, base };
    let mut progress = Progress::default();
    while !reader.is_done() {
        let start = reader.offset();
        let (number, wire_type) = tag(&mut reader)?;
        let Some(field) = shape.field(number) else {
            let step = format!("#{number}");
            return Err(Located::at(start, CanonicalRule::UnknownField).inside(step));
        };
        let verdict = progress
            .admit(field, start)
            .and_then(|()| wire_type_fits(field, wire_type, start))
            .and_then(|()| value(schema, field, wire_type, &mut reader));
        verdict.map_err(|fault| fault.inside(progress.step(field)))?;
    }
    Ok(progress.oneofs)
}

/// A tag: field number and wire type.
fn tag(reader: &mut Reader<'_>) -> Result<(u32, WireType), Located> {
    let start = reader.offset();
    let raw = reader.varint()?;
    let number = raw >> 3;
    if number == 0 || number > MAX_FIELD_NUMBER {
        return Err(Located::at(start, CanonicalRule::FieldNumber));
    }
    let number =
        u32::try_from(number).map_err(|_| Located::at(start, CanonicalRule::FieldNumber))?;
    let wire_type = match raw & 7 {
        0 => WireType::Varint,
        1 => WireType::Fixed64,
        2 => WireType::Delimited,
        5 => WireType::Fixed32,
        _ => return Err(Located::at(start, CanonicalRule::Group).inside(format!("#{number}"))),
    };
    Ok((number, wire_type))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WireType {
    Varint,
    Fixed64,
    Delimited,
    Fixed32,
}

impl Progress {
    /// Order, repetition, oneof.
    fn admit(&mut self, field: &FieldShape, start: usize) -> Result<(), Located> {
        if field.number < self.last_number {
            return Err(Located::at(start, CanonicalRule::Order));
        }
        let is_again = field.number == self.last_number;
        if is_again && !field.is_repeated {
            return Err(Located::at(start, CanonicalRule::Repeated));
        }
        if is_again && field.kind.is_scalar() {
            return Err(Located::at(start, CanonicalRule::PackedTwice));
        }
        self.repeats = if is_again { self.repeats + 1 } else { 0 };
        self.last_number = field.number;
        if let Some(oneof) = field.oneof {
            // Oneofs of one message are a handful; the schema test holds them under 64.
            let bit = 1 << oneof;
            if self.oneofs & bit != 0 {
                return Err(Located::at(start, CanonicalRule::OneofTwice));
            }
            self.oneofs |= bit;
        }
        Ok(())
    }

    /// The step of a path: elements of repeated messages and texts carry their position.
    fn step(&self, field: &FieldShape) -> String {
        if field.is_repeated && !field.kind.is_scalar() {
            format!("{}[{}]", field.name, self.repeats)
        } else {
            field.name.clone()
        }
    }
}

impl FieldKind {
    /// Whether repeated values are packed.
    fn is_scalar(&self) -> bool {
        !matches!(self, Self::Text | Self::Bytes | Self::Message(_))
    }

    /// How one value is spelled.
    fn wire_type(&self) -> WireType {
        match self {
            Self::Fixed32 => WireType::Fixed32,
            Self::Fixed64 => WireType::Fixed64,
            Self::Text | Self::Bytes | Self::Message(_) => WireType::Delimited,
            _ => WireType::Varint,
        }
    }
}

fn wire_type_fits(field: &FieldShape, found: WireType, start: usize) -> Result<(), Located> {
    let is_packed = field.is_repeated && field.kind.is_scalar();
    let single = field.kind.wire_type();
    if is_packed && found == single {
        return Err(Located::at(start, CanonicalRule::NotPacked));
    }
    let expected = if is_packed { WireType::Delimited } else { single };
    if found == expected { Ok(()) } else { Err(Located::at(start, CanonicalRule::WireType)) }
}

fn value(
    schema: &Schema,
    field: &FieldShape,
    wire_type: WireType,
    reader: &mut Reader<'_>,
) -> Result<(), Located> {
    let start = reader.offset();
    if wire_type != WireType::Delimited {
        let is_default = scalar(&field.kind, reader)?;
        return refuse_default(is_default && !field.has_presence, start);
    }
    let (begins, span) = reader.delimited()?;
    match &field.kind {
        FieldKind::Message(position) => {
            walk(schema, schema.message(*position), span, begins).map(|_| ())
        }
        FieldKind::Text => {
            if std::str::from_utf8(span).is_err() {
                return Err(Located::at(begins, CanonicalRule::Utf8));
            }
            refuse_default(span.is_empty() && !field.has_presence && !field.is_repeated, start)
        }
        FieldKind::Bytes => {
            refuse_default(span.is_empty() && !field.has_presence && !field.is_repeated, start)
        }
        scalar_kind => packed(scalar_kind, span, begins),
    }
}

fn refuse_default(is_default: bool, start: usize) -> Result<(), Located> {
    if is_default { Err(Located::at(start, CanonicalRule::Default)) } else { Ok(()) }
}

fn packed(kind: &FieldKind, span: &[u8], begins: usize) -> Result<(), Located> {
    if span.is_empty() {
        return Err(Located::at(begins, CanonicalRule::PackedEmpty));
    }
    let mut elements = Reader { bytes: span, position: 0, base: begins };
    while !elements.is_done() {
        scalar(kind, &mut elements)?;
    }
    Ok(())
}

/// Reads one number and holds it against its type; gives whether it is the default.
fn scalar(kind: &FieldKind, reader: &mut Reader<'_>) -> Result<bool, Located> {
    let start = reader.offset();
    let fixed_length = match kind.wire_type() {
        WireType::Fixed32 => Some(4),
        WireType::Fixed64 => Some(8),
        WireType::Varint | WireType::Delimited => None,
    };
    if let Some(length) = fixed_length {
        let span = reader.take(length, CanonicalRule::Truncated)?;
        return Ok(span.iter().all(|byte| *byte == 0));
    }
    let raw = reader.varint()?;
    let is_in_range = match kind {
        FieldKind::Bool => raw <= 1,
        // Zigzag of 32 bits fills exactly the unsigned range.
        FieldKind::Uint32 | FieldKind::Sint32 => u32::try_from(raw).is_ok(),
        // Negative numbers are spelled with the sign extended to 64 bits.
        FieldKind::Int32 | FieldKind::Enum(_) => i32::try_from(raw.cast_signed()).is_ok(),
        _ => true,
    };
    if !is_in_range {
        return Err(Located::at(start, CanonicalRule::Range));
    }
    if let FieldKind::Enum(numbers) = kind {
        let is_known = i32::try_from(raw.cast_signed())
            .is_ok_and(|number| numbers.binary_search(&number).is_ok());
        if !is_known {
            return Err(Located::at(start, CanonicalRule::UnknownEnumValue));
        }
    }
    Ok(raw == 0)
}
