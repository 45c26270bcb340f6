"""The bytes of the record: envelope, entry, chain, tree, checkpoint, receipt.

docs/FORMAT.md, sections 1, 3, 5, 6 and 10 to 13. Everything that one object alone can break is
refused here, with the rule in words; what has to hold between entries is in `ledger.py`.
"""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

import blake3

import strict

PAYLOAD_TYPES = {
    0: b"application/vnd.urbanmine.event.v1+protobuf",
    1: b"application/vnd.urbanmine.statement.v1+protobuf",
}
EVENT, STATEMENT = 0, 1
LAST_MS = 253_402_300_799_999
NO_ENTRY = 2**64 - 1
MAX_ENTRY, MAX_PAYLOAD, MAX_SIGNATURES, MAX_LINKS = 65_535, 49_152, 4, 512
MAX_CHECKPOINT, MAX_RECEIPT, MAX_PROOF = 131_072, 221_588, 64
CHAIN_CONTEXT = "urbanmine 2026-11 v1 chain of entries"
ORIGIN = re.compile(r"[A-Za-z0-9.\-_/:~]{1,128}")
DECIMAL = re.compile(r"0|[1-9][0-9]{0,19}")


class Refused(Exception):
    """An object is not valid."""


def require(holds: bool, rule: str) -> None:
    if not holds:
        raise Refused(rule)


class Reader:
    """Takes big-endian fields from the front."""

    def __init__(self, data: bytes):
        self.data, self.at = data, 0

    def take(self, count: int) -> bytes:
        require(count <= len(self.data) - self.at, "it ends early")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, count: int) -> int:
        return int.from_bytes(self.take(count), "big")

    def rest(self) -> bytes:
        return self.take(len(self.data) - self.at)


def is_id(value: bytes) -> bool:
    """A UUID of version 7 and of the RFC 9562 variant."""
    return len(value) == 16 and value[6] >> 4 == 0b0111 and value[8] >> 6 == 0b10


def decimal(text: str, name: str) -> int:
    """ASCII decimal without leading zeros, below 2^64."""
    require(DECIMAL.fullmatch(text) is not None, f"{name} is a decimal without leading zeros")
    require(int(text) < 2**64, f"{name} is below 2^64")
    return int(text)


def from_base64(text: str, name: str) -> bytes:
    """RFC 4648, section 4: padded, unused bits zero, nothing between."""
    try:
        value = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise Refused(f"{name} is base64") from None
    require(base64.b64encode(value).decode() == text, f"{name} is canonical base64")
    return value


# --- Signing and envelope (sections 3 and 5) --------------------------------------------------


def pae(payload_type: bytes, payload: bytes) -> bytes:
    return b"DSSEv1 %d %b %d %b" % (len(payload_type), payload_type, len(payload), payload)


@dataclass(frozen=True)
class Envelope:
    signatures: tuple[tuple[bytes, bytes], ...]
    payload: bytes


def parse_envelope(data: bytes) -> Envelope:
    reader, signatures = Reader(data), []
    count = reader.number(1)
    require(1 <= count <= MAX_SIGNATURES, f"an envelope has 1 to 4 signatures, this one {count}")
    for _ in range(count):
        key, algorithm, signature = reader.take(32), reader.number(2), reader.take(64)
        require(algorithm == 1, f"the algorithm is 1, not {algorithm}")
        require(not signatures or signatures[-1][0] < key, "key ids ascend strictly")
        signatures.append((key, signature))
    length = reader.number(4)
    require(1 <= length <= MAX_PAYLOAD, f"a payload has 1 to {MAX_PAYLOAD} bytes, not {length}")
    payload = reader.take(length)
    require(not reader.rest(), "nothing follows the payload")
    return Envelope(tuple(signatures), payload)


# --- Entry (section 6) ------------------------------------------------------------------------


@dataclass(frozen=True)
class Link:
    lot_id: bytes
    ordinal: int
    previous: int


@dataclass(frozen=True)
class Entry:
    raw: bytes
    kind: int
    index: int
    chain_before: bytes
    recorded_at: int
    rules_version: int
    tables_hash: bytes
    batch_first: int
    batch_length: int
    links: tuple[Link, ...]
    envelope: Envelope


def parse_entry(raw: bytes) -> Entry:
    require(len(raw) <= MAX_ENTRY, f"an entry has at most {MAX_ENTRY} bytes, this one {len(raw)}")
    reader = Reader(raw)
    version, kind = reader.number(2), reader.number(1)
    require(version == 1, f"the format version is 1, not {version}")
    require(kind in PAYLOAD_TYPES, f"the kind is 0 or 1, not {kind}")
    index, chain_before, recorded_at = reader.number(8), reader.take(32), reader.number(8)
    rules_version, tables_hash = reader.number(2), reader.take(32)
    first, length, count = reader.number(8), reader.number(2), reader.number(2)
    require(count <= MAX_LINKS, f"an entry has at most {MAX_LINKS} lot links, this one {count}")
    links = tuple(Link(reader.take(16), reader.number(4), reader.number(8)) for _ in range(count))
    entry = Entry(raw, kind, index, chain_before, recorded_at, rules_version, tables_hash,
                  first, length, links, parse_envelope(reader.rest()))
    require_sound(entry)
    return entry


def require_sound(entry: Entry) -> None:
    """What one entry alone can break, beyond its lengths."""
    index = entry.index
    if index == 0:
        require(entry.kind == EVENT, "entry 0 is an event")
        require(not entry.links, "entry 0 has no lot links")
        require(entry.chain_before == bytes(32), "the chain value before entry 0 is zeros")
    require(entry.recorded_at <= LAST_MS, "recorded_at is not after the year 9999")
    end = entry.batch_first + entry.batch_length
    require(entry.batch_first <= index < end < 2**64, "the batch contains the entry")
    require(entry.kind == EVENT or not entry.links, "a statement has no lot links")
    for before, link in zip((None, *entry.links), entry.links):
        require(is_id(link.lot_id), "a lot id is a UUID of version 7")
        require(before is None or before.lot_id < link.lot_id, "lot ids ascend strictly")
        has_previous = link.previous != NO_ENTRY
        require((link.ordinal > 0) == has_previous, "ordinal 0 has no previous entry, others one")
        require(not has_previous or link.previous < index, "a previous entry is below the index")


def chain_value(raw: bytes) -> bytes:
    """Section 10."""
    return blake3.blake3(raw, derive_key_context=CHAIN_CONTEXT).digest()


# --- Tree (section 11) ------------------------------------------------------------------------


def leaf_hash(raw: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + raw).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """The roots of a growing tree: the complete subtrees from the left, as in RFC 9162, 2.1.2."""

    def __init__(self):
        self.size, self.stack = 0, []

    def push(self, leaf: bytes) -> None:
        self.stack.append(leaf)
        self.size += 1
        size = self.size
        while size & 1 == 0:
            right, left = self.stack.pop(), self.stack.pop()
            self.stack.append(node_hash(left, right))
            size >>= 1

    def root(self) -> bytes:
        if not self.stack:
            return hashlib.sha256(b"").digest()
        root = self.stack[-1]
        for left in reversed(self.stack[:-1]):
            root = node_hash(left, root)
        return root


def root_of_inclusion(leaf: bytes, index: int, size: int, proof: list[bytes]) -> bytes:
    """RFC 9162, section 2.1.3.2: the root that an inclusion proof leads to."""
    require(index < size, f"the index {index} is below the size {size}")
    place, last, found = index, size - 1, leaf
    for sibling in proof:
        require(last != 0, "the inclusion proof is too long")
        if place & 1 or place == last:
            found = node_hash(sibling, found)
            while place & 1 == 0 and place != 0:
                place, last = place >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        place, last = place >> 1, last >> 1
    require(last == 0, "the inclusion proof is too short")
    return found


def require_consistency(first: int, second: int, old: bytes, new: bytes,
                        proof: list[bytes]) -> None:
    """RFC 9162, section 2.1.4.2, with the edges of section 11."""
    require(first <= second, "the older tree is not larger")
    if first == 0 or first == second:
        require(not proof, "the consistency proof is empty")
        empty = hashlib.sha256(b"").digest()
        require(old == (new if first == second else empty), "the roots are equal")
        return
    require(bool(proof), "the consistency proof is too short")
    path = [old, *proof] if first & (first - 1) == 0 else list(proof)
    place, last = first - 1, second - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    from_old = from_new = path[0]
    for sibling in path[1:]:
        require(last != 0, "the consistency proof is too long")
        if place & 1 or place == last:
            from_old, from_new = node_hash(sibling, from_old), node_hash(sibling, from_new)
            while place & 1 == 0 and place != 0:
                place, last = place >> 1, last >> 1
        else:
            from_new = node_hash(from_new, sibling)
        place, last = place >> 1, last >> 1
    require(last == 0, "the consistency proof is too short")
    require(from_old == old and from_new == new, "the consistency proof leads to both roots")


# --- Checkpoint (section 12) ------------------------------------------------------------------


@dataclass(frozen=True)
class Checkpoint:
    """A parsed checkpoint, not yet held against a key."""

    origin: str
    size: int
    root: bytes
    signed: bytes
    signatures: tuple[tuple[str, bytes], ...]


def parse_checkpoint(data: bytes) -> Checkpoint:
    require(len(data) <= MAX_CHECKPOINT, f"a checkpoint has at most {MAX_CHECKPOINT} bytes")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise Refused("a checkpoint is UTF-8") from None
    require(all(char >= " " or char == "\n" for char in text), "no byte below 0x20 but newlines")
    lines = text.split("\n")
    require(len(lines) >= 6 and lines[-1] == "", "three lines, an empty one, signatures; each ends")
    origin, size, root, empty, *signatures = lines[:-1]
    require(empty == "", "an empty line follows the three lines of a checkpoint")
    require(ORIGIN.fullmatch(origin) is not None, "the origin has its characters and length")
    root_bytes = from_base64(root, "the root")
    require(len(root_bytes) == 32, "a root has 32 bytes")
    signed = "\n".join((origin, size, root, "")).encode()
    return Checkpoint(origin, decimal(size, "the size"), root_bytes, signed,
                      tuple(parse_signature_line(line) for line in signatures))


def parse_signature_line(line: str) -> tuple[str, bytes]:
    parts = line.split(" ")
    require(len(parts) == 3 and parts[0] == "\u2014", "a signature line is dash, name, base64")
    name, blob = parts[1], from_base64(parts[2], "a signature")
    good = bool(name) and "+" not in name and not any(char.isspace() for char in name)
    require(good, "the name of a key is not empty and has no white space and no plus")
    require(len(blob) >= 5, "a signature holds a key id and at least one byte more")
    return name, blob


def note_key_id(origin: str, public_key: bytes) -> bytes:
    return hashlib.sha256(origin.encode() + b"\n\x01" + public_key).digest()[:4]


def verifier_key(origin: str, public_key: bytes) -> str:
    """What other tools ask for."""
    encoded = base64.b64encode(b"\x01" + public_key).decode()
    return f"{origin}+{note_key_id(origin, public_key).hex()}+{encoded}"


def require_signed(checkpoint: Checkpoint, origin: str, public_key: bytes) -> None:
    """Whether a checkpoint is valid for an origin and the (accepted) key whose turn it is."""
    require(checkpoint.origin == origin, f"the checkpoint is of {checkpoint.origin}, not {origin}")
    key = note_key_id(origin, public_key)
    ours = [blob for name, blob in checkpoint.signatures if name == origin and blob[:4] == key]
    require(len(ours) == 1, f"one line is by the ledger's key, not {len(ours)}")
    require(strict.holds(public_key, ours[0][4:], checkpoint.signed),
            "the ledger's signature under the checkpoint holds")


# --- Receipt (section 13) ---------------------------------------------------------------------


@dataclass(frozen=True)
class Receipt:
    entry: Entry
    index: int
    proof: list[bytes]
    checkpoint: Checkpoint


def parse_receipt(data: bytes) -> Receipt:
    require(len(data) <= MAX_RECEIPT, f"a receipt has at most {MAX_RECEIPT} bytes")
    head, empty, note = data.partition(b"\n\n")
    require(empty != b"", "an empty line ends the proof")
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise Refused("a proof is ASCII") from None
    require(lines[0] == "c2sp.org/tlog-proof@v1", "a receipt begins with its version")
    require(len(lines) >= 3 and lines[1].startswith("extra "), "the entry is in the second line")
    require(lines[2].startswith("index "), "the index is in the third line")
    entry = parse_entry(from_base64(lines[1][len("extra "):], "the entry"))
    index = decimal(lines[2][len("index "):], "the index")
    proof = [from_base64(line, "a hash of the proof") for line in lines[3:]]
    require(len(proof) <= MAX_PROOF, f"a proof has at most {MAX_PROOF} hashes")
    require(all(len(sibling) == 32 for sibling in proof), "a hash has 32 bytes")
    return Receipt(entry, index, proof, parse_checkpoint(note))
