"""The record as docs/FORMAT.md tells it: envelope, entry, receipt.

Standard library and `cryptography` only. Written from that page alone, so that it shows whether the
page is enough.
"""

import base64
import hashlib
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

EVENT_PAYLOAD_TYPE = b"application/vnd.urbanmine.event.v1+protobuf"
ALGORITHM_ED25519 = 1
ENTRY_HEADER_BYTES = 97
LOT_LINK_BYTES = 28
SIGNATURE_BYTES = 98


class Refused(Exception):
    """A receipt, an entry or an envelope does not hold."""


def require(holds: bool, rule: str) -> None:
    if not holds:
        raise Refused(rule)


# --- Signing (sections 3 to 5) ----------------------------------------------------------------


def pae(payload_type: bytes, payload: bytes) -> bytes:
    """The bytes that are signed: the pre-authentication encoding of DSSE v1."""
    return b"DSSEv1 %d %b %d %b" % (len(payload_type), payload_type, len(payload), payload)


def public_bytes(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def key_id(public_key: bytes) -> bytes:
    return hashlib.sha256(public_key).digest()


def envelope(payload: bytes, keys: list[Ed25519PrivateKey]) -> bytes:
    """The payload with one signature per key, sorted by key id."""
    message = pae(EVENT_PAYLOAD_TYPE, payload)
    signed = sorted((key_id(public_bytes(key)), key.sign(message)) for key in keys)
    parts = [len(signed).to_bytes(1, "big")]
    for key, signature in signed:
        parts += [key, ALGORITHM_ED25519.to_bytes(2, "big"), signature]
    parts += [len(payload).to_bytes(4, "big"), payload]
    return b"".join(parts)


def payload_of(envelope_bytes: bytes) -> bytes:
    """The payload of an envelope."""
    at = 1 + SIGNATURE_BYTES * envelope_bytes[0]
    length = int.from_bytes(envelope_bytes[at : at + 4], "big")
    payload = envelope_bytes[at + 4 :]
    require(len(payload) == length, "nothing follows the payload")
    return payload


# --- Entry (section 6) ------------------------------------------------------------------------


@dataclass(frozen=True)
class Entry:
    """What a receipt's reader needs of an entry."""

    index: int
    recorded_at_ms: int
    envelope: bytes


def parse_entry(entry: bytes) -> Entry:
    require(ENTRY_HEADER_BYTES < len(entry) <= 65_535, "an entry has 97 to 65535 bytes")
    require(entry[0:2] == b"\x00\x01", "the format version is 1")
    require(entry[2] in (0, 1), "the kind is event or statement")
    links = int.from_bytes(entry[95:97], "big")
    require(links <= 512, "an entry has at most 512 lot links")
    return Entry(
        index=int.from_bytes(entry[3:11], "big"),
        recorded_at_ms=int.from_bytes(entry[43:51], "big"),
        envelope=entry[ENTRY_HEADER_BYTES + LOT_LINK_BYTES * links :],
    )


# --- Tree (section 11) ------------------------------------------------------------------------


def leaf_hash(entry: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of_proof(leaf: bytes, index: int, size: int, proof: list[bytes]) -> bytes:
    """RFC 9162, section 2.1.3.2."""
    require(index < size, "the index is below the size")
    inner, last, found = index, size - 1, leaf
    for sibling in proof:
        require(last != 0, "the proof is not too long")
        if inner & 1 or inner == last:
            found = node_hash(sibling, found)
            while not inner & 1 and inner != 0:
                inner >>= 1
                last >>= 1
        else:
            found = node_hash(found, sibling)
        inner >>= 1
        last >>= 1
    require(last == 0, "the proof is not too short")
    return found


# --- Checkpoint (section 12) ------------------------------------------------------------------


@dataclass(frozen=True)
class Checkpoint:
    """A size and root that the ledger signed."""

    size: int
    root: bytes


def open_checkpoint(text: str, origin: str, ledger_key: bytes) -> Checkpoint:
    """Checks the ledger's signature, and that origin and key are the pinned ones."""
    signed, _, signatures = text.partition("\n\n")
    signed += "\n"
    lines = signed.split("\n")
    require(len(lines) == 4 and lines[3] == "", "a checkpoint has three lines")
    require(lines[0] == origin, "the origin is the pinned one")
    require(lines[1].isdigit() and str(int(lines[1])) == lines[1], "the size is a decimal number")
    note_key = hashlib.sha256(origin.encode() + b"\n\x01" + ledger_key).digest()[:4]
    ours = []
    for line in signatures.splitlines():
        dash, name, blob = line.split(" ")
        require(dash == "\u2014", "a signature line begins with a dash")
        raw = base64.b64decode(blob, validate=True)
        if name == origin and raw[:4] == note_key:
            ours.append(raw[4:])
    require(len(ours) == 1, "the ledger signed once")
    try:
        Ed25519PublicKey.from_public_bytes(ledger_key).verify(ours[0], signed.encode())
    except InvalidSignature:
        raise Refused("the ledger's signature is good") from None
    return Checkpoint(size=int(lines[1]), root=base64.b64decode(lines[2], validate=True))


# --- Receipt (section 13) ---------------------------------------------------------------------


def verify_receipt(text: str, origin: str, ledger_key: bytes) -> Entry:
    """Checks a receipt against the pinned ledger, without the ledger; returns its entry."""
    head, _, checkpoint_text = text.partition("\n\n")
    lines = head.split("\n")
    require(lines[0] == "c2sp.org/tlog-proof@v1", "it is a tlog-proof")
    require(lines[1].startswith("extra "), "the entry stands in the extra line")
    require(lines[2].startswith("index "), "the index follows")
    raw = base64.b64decode(lines[1].removeprefix("extra "), validate=True)
    index = int(lines[2].removeprefix("index "))
    proof = [base64.b64decode(line, validate=True) for line in lines[3:]]
    require(all(len(sibling) == 32 for sibling in proof), "a hash has 32 bytes")
    require(len(proof) <= 64, "a proof has at most 64 hashes")

    checkpoint = open_checkpoint(checkpoint_text, origin, ledger_key)
    entry = parse_entry(raw)
    require(entry.index == index, "the index is the entry's")
    root = root_of_proof(leaf_hash(raw), index, checkpoint.size, proof)
    require(root == checkpoint.root, "the proof leads to the signed root")
    return entry
