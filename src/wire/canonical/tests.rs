//! What the record's own schema never uses: packed scalars, narrow types, maps, floats, recursion.
//! Held against hand-made descriptors, because the schema may grow.

use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet, MessageOptions,
};

use super::schema::{Schema, SchemaFault};
use super::{CanonicalRule as Rule, Catalogue, check_root};

fn field(name: &str, number: i32, label: Label, kind: Type) -> FieldDescriptorProto {
    FieldDescriptorProto {
        name: Some(name.to_owned()),
        number: Some(number),
        label: Some(label.into()),
        r#type: Some(kind.into()),
        ..FieldDescriptorProto::default()
    }
}

fn set(message: DescriptorProto) -> Vec<u8> {
    let file = FileDescriptorProto {
        package: Some("t".to_owned()),
        message_type: vec![message],
        ..FileDescriptorProto::default()
    };
    FileDescriptorSet { file: vec![file] }.encode_to_vec()
}

fn message(fields: Vec<FieldDescriptorProto>) -> DescriptorProto {
    DescriptorProto { name: Some("M".to_owned()), field: fields, ..DescriptorProto::default() }
}

fn verdict(kind: Type, label: Label, bytes: &[u8]) -> Result<(), Rule> {
    let schema = Schema::build(&set(message(vec![field("f", 1, label, kind)]))).unwrap();
    let root = schema.position(".t.M").unwrap();
    check_root(&schema, root, bytes).map_err(|fault| fault.rule)
}

#[test]
fn the_schema_of_the_record_has_no_maps_floats_groups_or_recursion() {
    let catalogue = Catalogue::build(crate::wire::DESCRIPTORS).unwrap();
    let event = catalogue.schema.message(catalogue.event);
    assert_eq!(event.oneofs, ["body"]);
    let bodies = event.fields.iter().filter(|field| field.oneof.is_some()).count();
    assert_eq!(bodies, crate::domain::vocabulary::EventKind::ALL.len());
    assert_eq!(catalogue.schema.message(catalogue.statement).oneofs, ["body"]);
}

#[test]
fn packed_scalars() {
    let packed = |bytes: &[u8]| verdict(Type::Uint32, Label::Repeated, bytes);
    assert_eq!(packed(&[0x0a, 0x02, 0x00, 0x05]), Ok(()), "zero is an element like any");
    assert_eq!(packed(&[0x08, 0x05]), Err(Rule::NotPacked));
    assert_eq!(packed(&[0x0a, 0x00]), Err(Rule::PackedEmpty));
    assert_eq!(packed(&[0x0a, 0x01, 0x05, 0x0a, 0x01, 0x05]), Err(Rule::PackedTwice));
    assert_eq!(packed(&[0x0a, 0x02, 0x85, 0x00]), Err(Rule::VarintNotMinimal));
    assert_eq!(packed(&[0x0a, 0x01, 0x85]), Err(Rule::Truncated));
}

#[test]
fn ranges_of_the_other_types() {
    let single = |kind, bytes: &[u8]| verdict(kind, Label::Optional, bytes);
    assert_eq!(single(Type::Bool, &[0x08, 0x01]), Ok(()));
    assert_eq!(single(Type::Bool, &[0x08, 0x02]), Err(Rule::Range));
    let minus_one = [vec![0x08], vec![0xff; 9], vec![0x01]].concat();
    assert_eq!(single(Type::Int32, &minus_one), Ok(()), "sign extended to 64 bits");
    let unextended = [0x08, 0xff, 0xff, 0xff, 0xff, 0x0f];
    assert_eq!(single(Type::Int32, &unextended), Err(Rule::Range));
    assert_eq!(single(Type::Sint32, &unextended), Ok(()));
    assert_eq!(single(Type::Sint64, &minus_one), Ok(()));
    assert_eq!(single(Type::Int64, &minus_one), Ok(()));
    assert_eq!(single(Type::Fixed32, &[0x0d, 0, 0, 0, 1]), Ok(()));
    assert_eq!(single(Type::Fixed32, &[0x0d, 0, 0, 0, 0]), Err(Rule::Default));
    assert_eq!(single(Type::Sfixed64, &[0x09, 0, 0, 0]), Err(Rule::Truncated));
}

#[test]
fn optional_fields_have_presence() {
    let mut optional = field("f", 1, Label::Optional, Type::Uint32);
    optional.proto3_optional = Some(true);
    optional.oneof_index = Some(0);
    let schema = Schema::build(&set(message(vec![optional]))).unwrap();
    let root = schema.position(".t.M").unwrap();
    assert_eq!(check_root(&schema, root, &[0x08, 0x00]), Ok(()));
    assert_eq!(check_root(&schema, root, &[]), Ok(()), "its synthetic oneof needs no member");
}

#[test]
fn schemas_that_are_refused() {
    let refused = |message| Schema::build(&set(message)).err();
    for (kind, what) in [(Type::Float, "float"), (Type::Double, "float"), (Type::Group, "group")] {
        let fault = refused(message(vec![field("f", 1, Label::Optional, kind)]));
        assert_eq!(fault, Some(SchemaFault::Unsupported { field: ".t.M.f".to_owned(), what }));
    }
    let map = DescriptorProto {
        options: Some(MessageOptions { map_entry: Some(true), ..MessageOptions::default() }),
        ..message(Vec::new())
    };
    let fault = refused(map);
    assert_eq!(fault, Some(SchemaFault::Unsupported { field: ".t.M".to_owned(), what: "map" }));
    let mut inner = field("f", 1, Label::Optional, Type::Message);
    inner.type_name = Some(".t.M".to_owned());
    let Some(SchemaFault::TooDeep(_)) = refused(message(vec![inner])) else {
        panic!("a message that holds itself is refused");
    };
    assert_eq!(Schema::build(&[0xff]).err(), Some(SchemaFault::Unreadable));
}
