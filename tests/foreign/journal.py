"""Reads a journal and a head guard: docs/FORMAT.md, section 14."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from layout import Reader, Refused, require

MAX_FRAME_ENTRIES, MAX_BODY, MAX_FRAME_CHECKPOINT, MAX_ENTRIES = 1_024, 8_394_752, 2_048, 8 << 20


def crc_table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


CRC_TABLE = crc_table()


def crc32c(data: bytes) -> int:
    value = 0xFFFFFFFF
    for byte in data:
        value = value >> 8 ^ CRC_TABLE[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF


@dataclass(frozen=True)
class Frame:
    """One commit group, and the checkpoint of the group before it."""

    first: int
    checkpoint_before: bytes
    entries: list[bytes]


def read_journal(folder: Path) -> tuple[bytes, list[Frame]]:
    """The ledger hash and the frames. Refused where anything is torn or damaged."""
    names = sorted(path.name for path in folder.iterdir() if path.suffix == ".umj")
    require(bool(names), "a journal has a segment")
    frames, ledger_hash, following = [], None, 0
    for name in names:
        data = (folder / name).read_bytes()
        found, first = read_segment_header(data)
        require(name == f"{first:020}.umj" and first == following, "segments follow each other")
        require(ledger_hash in (None, found), "all segments are of one ledger")
        ledger_hash = found
        frames += read_frames(data, following)
        following = frames[-1].first + len(frames[-1].entries) if frames else 0
    return ledger_hash, frames


def read_segment_header(data: bytes) -> tuple[bytes, int]:
    reader = Reader(data)
    require(reader.take(8) == b"UMJOURNL", "a segment begins with its magic")
    require(reader.number(2) == 1, "the version of a segment is 1")
    ledger_hash, first = reader.take(32), reader.number(8)
    require(reader.number(4) == crc32c(data[:50]), "the checksum of the segment's header")
    return ledger_hash, first


def read_frames(data: bytes, first: int) -> list[Frame]:
    frames, at = [], 54
    while data[at : at + 4].strip(b"\0"):
        frame, at = read_frame(data, at)
        require(frame.first == first, f"frame of {frame.first} where {first} follows")
        first += len(frame.entries)
        frames.append(frame)
    require(not data[at:].strip(b"\0"), "zeros follow the last frame")
    return frames


def read_frame(data: bytes, at: int) -> tuple[Frame, int]:
    reader = Reader(data[at : at + 28])
    require(reader.take(4) == b"UMJF" and reader.number(2) == 1, "a frame has magic and version")
    count, first, body, point = (reader.number(width) for width in (2, 8, 4, 4))
    require(reader.number(4) == crc32c(data[at : at + 24]), "the checksum of the frame's header")
    require(1 <= count <= MAX_FRAME_ENTRIES, "a frame has 1 to 1024 entries")
    require(body <= MAX_BODY and point <= min(body, MAX_FRAME_CHECKPOINT), "the frame's lengths")
    require((point == 0) == (first == 0), "only the first frame has no checkpoint")
    end = at + 28 + body
    require(data[end : end + 4] == crc32c(data[at:end]).to_bytes(4, "big"), "the frame's checksum")
    inside = Reader(data[at + 28 : end])
    checkpoint, entries = inside.take(point), []
    for _ in range(count):
        length = inside.number(4)
        require(1 <= length <= 65_535, "the length of an entry")
        entries.append(inside.take(length))
    require(not inside.rest(), "the entries fill the body")
    require(sum(map(len, entries)) <= MAX_ENTRIES, "the entries of a frame have 8 MiB at most")
    return Frame(first, checkpoint, entries), end + 4


def ledger_hash(origin: str, public_key: bytes) -> bytes:
    return hashlib.sha256(origin.encode() + b"\n" + public_key).digest()


def read_guard(folder: Path) -> bytes:
    """The newest checkpoint."""
    data = (folder / "guard").read_bytes()
    if len(data) > MAX_FRAME_CHECKPOINT:
        raise Refused("a head guard has at most 2048 bytes")
    return data
