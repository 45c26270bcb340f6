"""A ledger taken apart, so that tests can put it together again, wrongly. For tests alone.

Who holds these keys can do everything that an operator and all parties together could. What they
make is a `Copy`, written as an export and as a journal.
"""

import base64
import functools
import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (Encoding, PublicFormat,
                                                          load_pem_private_key)

import journal
import strict
import tiles
from canonical import Walk
from layout import (NO_ENTRY, PAYLOAD_TYPES, Entry, Envelope, Tree, chain_value, leaf_hash,
                    note_key_id, pae, parse_entry)
from ledger import Ledger


# --- Bytes of the record, written ---------------------------------------------------------------


def varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field_of(number: int, value) -> bytes:
    """A protobuf field: a whole number as varint, bytes and text with their length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def message(*fields: tuple[int, object]) -> bytes:
    """Fields as they stand, defaults and wrong orders included."""
    return b"".join(field_of(number, value) for number, value in fields)


def write_envelope(envelope: Envelope, algorithm: int = 1) -> bytes:
    parts = [len(envelope.signatures).to_bytes(1, "big")]
    for key_id, signature in envelope.signatures:
        parts += [key_id, algorithm.to_bytes(2, "big"), signature]
    return b"".join([*parts, len(envelope.payload).to_bytes(4, "big"), envelope.payload])


def write_entry(entry: Entry) -> bytes:
    parts = [b"\x00\x01", bytes([entry.kind]), entry.index.to_bytes(8, "big"), entry.chain_before,
             entry.recorded_at.to_bytes(8, "big"), entry.rules_version.to_bytes(2, "big"),
             entry.tables_hash, entry.batch_first.to_bytes(8, "big"),
             entry.batch_length.to_bytes(2, "big"), len(entry.links).to_bytes(2, "big")]
    for link in entry.links:
        parts += [link.lot_id, link.ordinal.to_bytes(4, "big"), link.previous.to_bytes(8, "big")]
    return b"".join([*parts, write_envelope(entry.envelope)])


def public_of(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def sign(kind: int, payload: bytes, *keys: Ed25519PrivateKey) -> Envelope:
    text = pae(PAYLOAD_TYPES[kind], payload)
    pairs = sorted((strict.key_id(public_of(key)), key.sign(text)) for key in keys)
    return Envelope(tuple(pairs), payload)


@functools.lru_cache(maxsize=65_536)
def write_checkpoint(origin: str, size: int, root: bytes, key: Ed25519PrivateKey,
                     name: str | None = None) -> bytes:
    text = f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n"
    blob = note_key_id(name or origin, public_of(key)) + key.sign(text.encode())
    return f"{text}\n\u2014 {name or origin} {base64.b64encode(blob).decode()}\n".encode()


def seeded_key(name: str) -> Ed25519PrivateKey:
    """A key of this test, the same in every run."""
    return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(name.encode()).digest())


def seeded_id(name: str) -> bytes:
    raw = bytearray(hashlib.sha256(name.encode()).digest()[:16])
    raw[0:6], raw[6], raw[8] = b"\x01\x9b\x76\xda\xa8\x00", raw[6] & 15 | 0x70, raw[8] & 63 | 0x80
    return bytes(raw)


# --- A ledger, and copies of it -----------------------------------------------------------------


@dataclass(frozen=True)
class Copy:
    """Commit groups, each with the checkpoint at its end."""

    groups: tuple[tuple[tuple[bytes, ...], bytes], ...]

    def entries(self) -> list[bytes]:
        return [raw for entries, _ in self.groups for raw in entries]

    def export_files(self, rotations: tuple[int, ...] = ()) -> dict[str, bytes]:
        ends, size = {}, 0
        for entries, text in self.groups:
            size += len(entries)
            ends[size] = text
        points = {index: ends[index + 1] for index in rotations if index + 1 in ends}
        return tiles.export_files(self.entries(), self.groups[-1][1], points)

    def journal_files(self, origin: str, first_key: bytes) -> dict[str, bytes]:
        """`data/..` and `guard/..`, every checksum right."""
        head = (b"UMJOURNL\x00\x01" + journal.ledger_hash(origin, first_key) + bytes(8))
        parts = [head + journal.crc32c(head).to_bytes(4, "big")]
        first, before = 0, b""
        for entries, text in self.groups:
            parts.append(write_frame(first, before, entries))
            first, before = first + len(entries), text
        store = f"urbanmine store 1\norigin {origin}\nledger-key {first_key.hex()}\n"
        return {"data/FORMAT": store.encode(), "data/journal/" + "0" * 20 + ".umj": b"".join(parts),
                "guard/guard": before}


def write_frame(first: int, before: bytes, entries: tuple[bytes, ...]) -> bytes:
    body = before + b"".join(len(raw).to_bytes(4, "big") + raw for raw in entries)
    head = (b"UMJF\x00\x01" + len(entries).to_bytes(2, "big") + first.to_bytes(8, "big")
            + len(body).to_bytes(4, "big") + len(before).to_bytes(4, "big"))
    frame = head + journal.crc32c(head).to_bytes(4, "big") + body
    return frame + journal.crc32c(frame).to_bytes(4, "big")


@dataclass
class World:
    """A real ledger, and the keys of everybody in it."""

    walk: Walk
    copy: Copy
    origin: str
    ledger_key: Ed25519PrivateKey
    keys: dict[bytes, Ed25519PrivateKey]
    coordinator: bytes
    receipts: list[bytes] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    state: Ledger | None = None

    def key_of(self, party: bytes) -> Ed25519PrivateKey:
        """A key of the party that is in force and not revoked."""
        now = self.entries[-1].recorded_at
        return next(self.keys[key_id] for key_id, key in self.state.keys.items()
                    if key.party == party and key_id in self.keys and not key.revoked
                    and key.in_force(now))


def load_world(demo: Path, passphrase: bytes, walk: Walk) -> World:
    """What `urbanmine demo --dir` leaves."""
    data, guard, keys = demo / "data", demo / "data.guard", demo / "keys"
    _, frames = journal.read_journal(data / "journal")
    texts = [frame.checkpoint_before for frame in frames[1:]] + [journal.read_guard(guard)]
    copy = Copy(tuple((tuple(frame.entries), text) for frame, text in zip(frames, texts)))
    state = Ledger(walk, None)
    for raw in copy.entries():
        state.take(raw)
    if state.findings:
        raise ValueError(f"the ledger to begin with is not sound: {state.findings[0]}")
    private = {}
    for path in sorted(keys.glob("*.pem")):
        key = load_pem_private_key(path.read_bytes(), passphrase)
        private[strict.key_id(public_of(key))] = key
    entries = [parse_entry(raw) for raw in copy.entries()]
    genesis = walk.read("Event", entries[0].envelope.payload)
    ledger_key = private[strict.key_id(state.ledger_keys[0].public_key)]
    receipts = [path.read_bytes() for path in sorted((demo / "receipts").iterdir())]
    return World(walk, copy, state.origin, ledger_key, private, genesis["actor_party_id"],
                 receipts, entries, state)


def seal(entries: list[Entry], renumber: bool = True) -> list[Entry]:
    """Chain values computed anew; with `renumber` index, batch and lot links as well, as far as
    they follow from the entries alone."""
    sealed, chain, moved, lots = [], bytes(32), {}, {}
    for place, entry in enumerate(entries):
        if renumber:
            moved.setdefault(entry.batch_first, place - (entry.index - entry.batch_first))
            entry = replace(entry, index=place, batch_first=moved[entry.batch_first],
                            links=tuple(relink(link, place, lots) for link in entry.links))
        entry = replace(entry, chain_before=chain)
        raw = write_entry(entry)
        sealed.append(replace(entry, raw=raw))
        chain = chain_value(raw)
    return sealed


def relink(link, place: int, lots: dict):
    ordinal, previous = lots.get(link.lot_id, (-1, NO_ENTRY))
    lots[link.lot_id] = (ordinal + 1, place)
    return replace(link, ordinal=ordinal + 1, previous=previous)


def sign_groups(origin: str, groups: list[list[bytes]], key_of_size) -> Copy:
    """Groups under checkpoints signed anew; `key_of_size` says by whom."""
    tree, done = Tree(), []
    for entries in groups:
        for raw in entries:
            tree.push(leaf_hash(raw))
        text = write_checkpoint(origin, tree.size, tree.root(), key_of_size(tree.size))
        done.append((tuple(entries), text))
    return Copy(tuple(done))


def group_by_batch(entries: list[Entry]) -> list[list[bytes]]:
    """One commit group for each batch; where batches are wrong, for each entry."""
    groups = []
    for entry in entries:
        raw = entry.raw or write_entry(entry)
        joins = groups and entry.batch_first < entry.index and entry.batch_length > 1
        if joins and len(groups[-1]) < entry.batch_length:
            groups[-1].append(raw)
        else:
            groups.append([raw])
    return groups
