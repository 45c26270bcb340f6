//! The shape of the messages, read once from the descriptor set and kept small for the walk.

use std::collections::HashMap;

use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumValueDescriptorProto, FieldDescriptorProto,
    FileDescriptorSet, MessageOptions,
};

use crate::limits::MAX_MESSAGE_DEPTH;

/// How the packages begin whose messages only annotate ours; they are in no record.
const ANNOTATIONS: &str = "google.";

/// Why a descriptor set cannot be a schema of the record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaFault {
    /// The bytes are not a descriptor set.
    #[error("the descriptor set cannot be read")]
    Unreadable,
    /// A type that the record does not use.
    #[error("field {field} is a {what}; the record has none")]
    Unsupported {
        /// Full name of the field.
        field: String,
        /// A float, a map, a group.
        what: &'static str,
    },
    /// A name that the set does not hold.
    #[error("the descriptor set has no {0}")]
    Missing(String),
    /// Messages within messages without end, or too deep.
    #[error("message {0} lies deeper than {MAX_MESSAGE_DEPTH} messages, or holds itself")]
    TooDeep(String),
}

/// The messages, by position.
#[derive(Debug)]
pub(super) struct Schema {
    messages: Vec<MessageShape>,
    positions: HashMap<String, usize>,
}

/// One message.
#[derive(Debug, Default)]
pub(super) struct MessageShape {
    /// Ascending by number.
    pub(super) fields: Vec<FieldShape>,
    /// Names of its real oneofs.
    pub(super) oneofs: Vec<String>,
}

/// One field.
#[derive(Debug)]
pub(super) struct FieldShape {
    pub(super) number: u32,
    pub(super) name: String,
    pub(super) kind: FieldKind,
    pub(super) is_repeated: bool,
    /// Whether absence differs from the default: members of a oneof, `optional`, messages.
    pub(super) has_presence: bool,
    /// Position of its oneof, when it is a member of one.
    pub(super) oneof: Option<usize>,
}

/// What a field holds.
#[derive(Debug)]
pub(super) enum FieldKind {
    Bool,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    /// Known numbers, ascending.
    Enum(Vec<i32>),
    Text,
    Bytes,
    /// Position of the message.
    Message(usize),
}

impl Schema {
    /// Reads a descriptor set.
    pub(super) fn build(descriptors: &[u8]) -> Result<Self, SchemaFault> {
        let set = FileDescriptorSet::decode(descriptors).map_err(|_| SchemaFault::Unreadable)?;
        let mut names = Names::default();
        for file in set.file.iter().filter(|file| !file.package().starts_with(ANNOTATIONS)) {
            names.add_file(file.package(), &file.message_type, &file.enum_type);
        }
        let positions: HashMap<String, usize> = names
            .messages
            .iter()
            .enumerate()
            .map(|(position, (name, _))| (name.clone(), position))
            .collect();
        let mut messages = Vec::with_capacity(names.messages.len());
        for (name, message) in &names.messages {
            messages.push(message_shape(name, message, &positions, &names.enums)?);
        }
        let schema = Self { messages, positions };
        for (name, position) in &schema.positions {
            if !schema.is_within(*position, MAX_MESSAGE_DEPTH) {
                return Err(SchemaFault::TooDeep(name.clone()));
            }
        }
        Ok(schema)
    }

    /// Position of a message by its full name.
    pub(super) fn position(&self, name: &str) -> Result<usize, SchemaFault> {
        self.positions.get(name).copied().ok_or_else(|| SchemaFault::Missing(name.to_owned()))
    }

    /// The message at a position that this schema gave out.
    pub(super) fn message(&self, position: usize) -> &MessageShape {
        &self.messages[position]
    }

    /// Whether a message and all within it nest at most `depth` deep; so a walk needs no counter.
    fn is_within(&self, position: usize, depth: usize) -> bool {
        let Some(depth) = depth.checked_sub(1) else { return false };
        self.messages[position].fields.iter().all(|field| match field.kind {
            FieldKind::Message(inner) => self.is_within(inner, depth),
            _ => true,
        })
    }
}

impl MessageShape {
    /// The field of a number.
    pub(super) fn field(&self, number: u32) -> Option<&FieldShape> {
        let position = self.fields.binary_search_by_key(&number, |field| field.number).ok()?;
        self.fields.get(position)
    }
}

/// Full names (with a leading dot, as descriptors refer to them) and what they name.
#[derive(Default)]
struct Names<'a> {
    messages: Vec<(String, &'a DescriptorProto)>,
    enums: HashMap<String, Vec<i32>>,
}

impl<'a> Names<'a> {
    fn add_file(
        &mut self,
        package: &str,
        messages: &'a [DescriptorProto],
        enums: &'a [EnumDescriptorProto],
    ) {
        self.add_enums(&format!(".{package}"), enums);
        // A worklist instead of recursion: messages may be declared inside messages.
        let mut waiting: Vec<(String, &'a DescriptorProto)> =
            messages.iter().map(|one| (format!(".{package}.{}", one.name()), one)).collect();
        while let Some((name, message)) = waiting.pop() {
            self.add_enums(&name, &message.enum_type);
            let nested = message.nested_type.iter();
            waiting.extend(nested.map(|one| (format!("{name}.{}", one.name()), one)));
            self.messages.push((name, message));
        }
    }

    fn add_enums(&mut self, scope: &str, enums: &[EnumDescriptorProto]) {
        for one in enums {
            let mut numbers: Vec<i32> =
                one.value.iter().map(EnumValueDescriptorProto::number).collect();
            numbers.sort_unstable();
            self.enums.insert(format!("{scope}.{}", one.name()), numbers);
        }
    }
}

fn message_shape(
    name: &str,
    message: &DescriptorProto,
    positions: &HashMap<String, usize>,
    enums: &HashMap<String, Vec<i32>>,
) -> Result<MessageShape, SchemaFault> {
    let is_map = message.options.as_ref().is_some_and(MessageOptions::map_entry);
    if is_map {
        return Err(SchemaFault::Unsupported { field: name.to_owned(), what: "map" });
    }
    let mut fields = Vec::with_capacity(message.field.len());
    for field in &message.field {
        let kind = field_kind(name, field, positions, enums)?;
        let is_optional = field.proto3_optional();
        let oneof = field.oneof_index.filter(|_| !is_optional);
        fields.push(FieldShape {
            number: u32::try_from(field.number()).map_err(|_| SchemaFault::Unreadable)?,
            name: field.name().to_owned(),
            has_presence: field.oneof_index.is_some() || matches!(kind, FieldKind::Message(_)),
            kind,
            is_repeated: field.label() == Label::Repeated,
            oneof: oneof.and_then(|position| usize::try_from(position).ok()),
        });
    }
    fields.sort_by_key(|field| field.number);
    // `optional` fields lie in oneofs of their own, which come after the real ones.
    let real = fields.iter().filter_map(|field| field.oneof).map(|last| last + 1).max();
    let names = message.oneof_decl.iter().take(real.unwrap_or(0));
    let oneofs = names.map(|oneof| oneof.name().to_owned()).collect();
    Ok(MessageShape { fields, oneofs })
}

fn field_kind(
    message: &str,
    field: &FieldDescriptorProto,
    positions: &HashMap<String, usize>,
    enums: &HashMap<String, Vec<i32>>,
) -> Result<FieldKind, SchemaFault> {
    let missing = || SchemaFault::Missing(field.type_name().to_owned());
    let unsupported = |what| {
        let field = format!("{message}.{}", field.name());
        Err(SchemaFault::Unsupported { field, what })
    };
    Ok(match field.r#type() {
        Type::Double | Type::Float => return unsupported("float"),
        Type::Group => return unsupported("group"),
        Type::Bool => FieldKind::Bool,
        Type::Int32 => FieldKind::Int32,
        Type::Int64 => FieldKind::Int64,
        Type::Uint32 => FieldKind::Uint32,
        Type::Uint64 => FieldKind::Uint64,
        Type::Sint32 => FieldKind::Sint32,
        Type::Sint64 => FieldKind::Sint64,
        Type::Fixed32 | Type::Sfixed32 => FieldKind::Fixed32,
        Type::Fixed64 | Type::Sfixed64 => FieldKind::Fixed64,
        Type::String => FieldKind::Text,
        Type::Bytes => FieldKind::Bytes,
        Type::Enum => FieldKind::Enum(enums.get(field.type_name()).cloned().ok_or_else(missing)?),
        Type::Message => {
            FieldKind::Message(positions.get(field.type_name()).copied().ok_or_else(missing)?)
        }
    })
}
