"""Canonical protobuf, docs/FORMAT.md, section 2: the nine rules, by a walk of its own.

The words (which field has which number and type) are read from the `.proto` texts themselves, so
that there is no second table to keep in step. No protobuf library is used.
"""

import re
from dataclasses import dataclass
from pathlib import Path

PROTO_DIR = Path(__file__).resolve().parents[2] / "proto" / "urbanmine" / "v1"
INTEGERS = {"uint32": 2**32, "uint64": 2**64, "sint32": 2**32}


class NonCanonical(Exception):
    """The bytes are refused; `rule` is the number in section 2."""

    def __init__(self, rule: int, detail: str):
        super().__init__(f"rule {rule} of canonical bytes: {detail}")
        self.rule = rule


@dataclass(frozen=True)
class Field:
    name: str
    type: str
    repeated: bool
    in_body: bool


@dataclass(frozen=True)
class Schema:
    messages: dict[str, dict[int, Field]]
    enums: dict[str, frozenset[int]]


def read_schema(*texts: str) -> Schema:
    """The messages and enums of `.proto` texts: the part of the language that ours use."""
    messages, enums = {}, {}
    for text in texts:
        text = re.sub(r"//[^\n]*", "", text)
        blocks = re.finditer(r"^(message|enum) (\w+) \{(.*?)(?:^\}|\}$)", text, re.M | re.S)
        for kind, name, inside in (found.groups() for found in blocks):
            if kind == "enum":
                values = re.findall(r"\w+ = (\d+);", inside)
                enums[name] = frozenset(int(value) for value in values)
            else:
                messages[name] = read_fields(inside)
    known = messages.keys() | enums.keys() | INTEGERS.keys() | {"string", "bytes"}
    for fields in messages.values():
        for field in fields.values():
            if field.type not in known:
                raise ValueError(f"{field.name} has the type {field.type}, which is not declared")
    return Schema(messages, enums)


def read_fields(inside: str) -> dict[int, Field]:
    fields, in_body = {}, False
    for line in filter(None, (line.strip() for line in inside.splitlines())):
        if re.fullmatch(r"oneof \w+ \{", line):
            in_body = True
        elif line == "}":
            in_body = False
        else:
            found = re.fullmatch(r"(repeated )?(\w+) (\w+) = (\d+);", line)
            if found is None:
                raise ValueError(f"a line of a proto is not understood: {line}")
            repeated, kind, name, number = found.groups()
            fields[int(number)] = Field(name, kind, repeated is not None, in_body)
    return fields


def load_schema(folder: Path = PROTO_DIR) -> Schema:
    names = ("event.proto", "statement.proto")
    return read_schema(*((folder / name).read_text("utf-8") for name in names))


class Walk:
    """Reads one message after the other; refuses what is not canonical."""

    def __init__(self, schema: Schema):
        self.schema = schema

    def read(self, message: str, data: bytes) -> dict:
        """The fields that are there: name to value, list for repeated ones. A body is told by
        `body`: the name of its field."""
        fields, found, last, at = self.schema.messages[message], {}, 0, 0
        while at < len(data):
            tag, at = varint(data, at)
            number, wire_type = tag >> 3, tag & 7
            field = fields.get(number)
            if field is None:
                raise NonCanonical(2, f"{message} has no field {number}")
            is_length = not self.is_integer(field.type) or field.repeated
            if wire_type != (2 if is_length else 0):
                rule = 4 if field.repeated and wire_type == 0 else 2
                raise NonCanonical(rule, f"{message}.{field.name} has wire type {wire_type}")
            again = field.repeated and not self.is_integer(field.type)
            if number < last or number == last and not again:
                raise NonCanonical(3, f"{message}.{field.name} is out of order or there twice")
            last = number
            if is_length:
                size, at = varint(data, at)
                if size > len(data) - at:
                    raise NonCanonical(1, f"{message}.{field.name} ends early")
                value, at = self.value(message, field, data[at : at + size]), at + size
            else:
                value, at = varint(data, at)
                value = self.integer(message, field, value)
            self.keep(message, field, value, found)
        if any(field.in_body for field in fields.values()) and "body" not in found:
            raise NonCanonical(8, f"{message} has no body")
        return found

    def is_integer(self, kind: str) -> bool:
        return kind in INTEGERS or kind in self.schema.enums

    def keep(self, message: str, field: Field, value, found: dict) -> None:
        if field.in_body:
            if "body" in found:
                raise NonCanonical(8, f"{message} has two bodies")
            found["body"] = field.name
        if field.repeated and not self.is_integer(field.type):
            found.setdefault(field.name, []).append(value)
            return
        has_presence = field.in_body or field.type in self.schema.messages
        if not field.repeated and not has_presence and not value:
            raise NonCanonical(6, f"{message}.{field.name} is there with its default")
        found[field.name] = value

    def value(self, message: str, field: Field, data: bytes):
        if field.type in self.schema.messages:
            return self.read(field.type, data)
        if field.type == "bytes":
            return data
        if field.type == "string":
            try:
                return data.decode("utf-8")
            except UnicodeDecodeError:
                raise NonCanonical(9, f"{message}.{field.name} is no UTF-8") from None
        values, at = [], 0
        while at < len(data):
            value, at = varint(data, at)
            values.append(self.integer(message, field, value))
        if not values:
            raise NonCanonical(4, f"{message}.{field.name} is packed and empty")
        return values

    def integer(self, message: str, field: Field, value: int) -> int:
        if value >= INTEGERS.get(field.type, 2**32):
            raise NonCanonical(5, f"{message}.{field.name} is too large for its type")
        if field.type == "sint32":
            return value >> 1 ^ -(value & 1)
        if field.type in self.schema.enums and value not in self.schema.enums[field.type]:
            raise NonCanonical(7, f"{message}.{field.name} has no value {value}")
        return value


def varint(data: bytes, at: int) -> tuple[int, int]:
    """A minimal varint below 2^64, and where it ends."""
    value = 0
    for place in range(10):
        if at + place >= len(data):
            raise NonCanonical(1, "a varint ends early")
        byte = data[at + place]
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            if place > 0 and byte == 0:
                raise NonCanonical(5, "a varint is not minimal")
            if value >= 2**64:
                raise NonCanonical(5, "a varint is 2^64 or more")
            return value, at + place + 1
    raise NonCanonical(5, "a varint has more than 10 bytes")
