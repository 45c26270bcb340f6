#!/usr/bin/env python3
"""A second verifier of the record, written from docs/FORMAT.md alone.

    verify.py --export DIR --origin NAME --ledger-key HEX [--json]
    verify.py --data DIR --guard DIR --origin NAME --ledger-key HEX [--json]
    verify.py --receipt FILE [--rotation FILE].. --origin NAME --ledger-key HEX [--json]
    verify.py --receipt FILE --export DIR --origin NAME --ledger-key HEX [--json]

Exit codes: 0 verified, 1 tampering found, 2 could not verify, 3 warnings, 64 usage.
Does everything of section 15 but step 8, the rules.
"""

import argparse
import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

import journal
import strict
from canonical import NonCanonical, Walk, load_schema
from layout import (STATEMENT, MAX_CHECKPOINT, MAX_RECEIPT, PAYLOAD_TYPES, Checkpoint, Receipt,
                    Refused, leaf_hash, node_hash, pae, parse_checkpoint, parse_receipt, require,
                    require_signed, root_of_inclusion)
from ledger import Broken, Finding, Ledger, LedgerKey

EXIT_CODES = {"verified": 0, "tampered": 1, "undetermined": 2, "warnings": 3}
EXIT_USAGE = 64
TILE, MAX_BUNDLE = 256, 256 * (2 + 65_535)


@dataclass
class Report:
    """What `--json` prints."""

    entries: int = 0
    findings: list[Finding] = field(default_factory=list)
    checkpoint: Checkpoint | None = None

    def find(self, index: int | None, kind: str, detail: str) -> None:
        self.findings.append(Finding(index, kind, detail))

    def verdict(self) -> str:
        weights = {finding.weight() for finding in self.findings}
        for weight in ("tampered", "undetermined", "warnings"):
            if weight in weights:
                return weight
        return "verified"

    def first_bad(self) -> int | None:
        bad = [finding.index for finding in self.findings
               if finding.weight() == "tampered" and finding.index is not None]
        return min(bad, default=None)

    def as_json(self) -> dict:
        point = self.checkpoint
        return {
            "verdict": self.verdict(),
            "entries": self.entries,
            "first_bad": self.first_bad(),
            "findings": [vars(finding) for finding in self.findings],
            "checkpoint": point and {"origin": point.origin, "size": point.size,
                                     "root": point.root.hex()},
        }


@dataclass(frozen=True)
class Pins:
    """What the auditor got another way. Without both the answer is never "verified"."""

    origin: str | None
    ledger_key: bytes | None


# --- Export (section 17) ------------------------------------------------------------------------


class Export:
    """A C2SP tlog-tiles directory."""

    def __init__(self, folder: Path):
        self.folder = folder

    def read(self, name: str, limit: int) -> bytes | None:
        """A file; None when it cannot be read. Of one longer than anything could be, no more is
        read than shows that it is."""
        try:
            with open(self.folder / name, "rb") as file:
                return file.read(limit + 1)
        except OSError:
            return None

    def hash_tile(self, level: int, number: int, width: int) -> bytes | None:
        data = self.read(f"tile/{level}/{tile_path(number, width)}", TILE * 32)
        if data is None and width < TILE:
            full = self.read(f"tile/{level}/{tile_path(number, TILE)}", TILE * 32)
            return full and full[: width * 32]
        return data

    def bundle(self, number: int, width: int) -> bytes | None:
        data = self.read(f"tile/entries/{tile_path(number, width)}", MAX_BUNDLE)
        if data is None and width < TILE:
            full = self.read(f"tile/entries/{tile_path(number, TILE)}", MAX_BUNDLE)
            if full is not None and split_bundle(full, TILE)[1] is None:
                return b"".join(framed(raw) for raw in split_bundle(full, TILE)[0][:width])
        return data


def framed(entry: bytes) -> bytes:
    return len(entry).to_bytes(2, "big") + entry


def tile_path(number: int, width: int) -> str:
    """C2SP: groups of three digits, all but the last with an x; partial tiles name their width."""
    groups = [f"{number % 1000:03}"]
    while number >= 1000:
        number //= 1000
        groups.insert(0, f"x{number % 1000:03}")
    return "/".join(groups) + ("" if width == TILE else f".p/{width}")


def tiles_of(size: int):
    """Number and width of the tiles over so many things."""
    for number in range(size // TILE):
        yield number, TILE
    if size % TILE:
        yield size // TILE, size % TILE


def split_bundle(data: bytes, width: int) -> tuple[list[bytes], str | None]:
    """The entries of a bundle, and what is wrong with the rest."""
    entries, at = [], 0
    while len(entries) < width:
        length = int.from_bytes(data[at : at + 2], "big")
        if length == 0 or at + 2 + length > len(data):
            return entries, f"it ends within entry {len(entries)} of {width}, or that is empty"
        entries.append(data[at + 2 : at + 2 + length])
        at += 2 + length
    return entries, None if at == len(data) else f"{len(data) - at} bytes follow its last entry"


def verify_export(folder: Path, pins: Pins, walk: Walk, receipt: Receipt | None = None) -> Report:
    """An export, and whether a receipt tells of the same ledger."""
    report, export = Report(), Export(folder)
    head = read_checkpoint(export.read("checkpoint", MAX_CHECKPOINT), report)
    if head is None:
        return report
    if head.size == 0:
        report.find(None, "checkpoint-empty", "a checkpoint of no entries says nothing")
        return report
    ledger = Ledger(walk, pins.origin)
    sizes = frozenset({head.size, receipt.checkpoint.size if receipt else 0})
    leaves = read_entries(export, head.size, sizes, ledger, report)
    if ledger.next_index == head.size:
        ledger.finish()
    judge(ledger, [*rotation_points(export, ledger, report), head], pins, report)
    if ledger.next_index == head.size:
        check_tiles(export, leaves, report)
    if receipt is not None:
        hold_against(receipt, ledger, leaves, pins, report)
    return report


def hold_against(receipt: Receipt, ledger: Ledger, leaves: list[bytes], pins: Pins,
                 report: Report) -> None:
    """An old receipt against an export that was read. Where that was read to its end, both proofs
    of section 17 are the same as to compare leaf and root."""
    size, index = receipt.checkpoint.size, receipt.index
    key = ledger.key_for(size)
    if key is None or pins.origin is None or size > len(leaves):
        report.find(None, "checkpoint-unchecked",
                    f"the receipt is of {size} entries, the export has {len(leaves)}")
        return
    try:
        require_signed(receipt.checkpoint, pins.origin, key)
        require_proven(receipt)
    except Refused as refusal:
        report.find(index, "receipt-unproven", str(refusal))
        return
    is_there = index < len(leaves) and leaves[index] == leaf_hash(receipt.entry.raw)
    if not is_there or ledger.roots.get(size) != receipt.checkpoint.root:
        report.find(index, "receipt-contradicted", "the export tells of another ledger")


def read_checkpoint(data: bytes | None, report: Report) -> Checkpoint | None:
    """The newest checkpoint at hand."""
    if data is None:
        report.find(None, "checkpoint-missing", "there is no readable checkpoint")
        return None
    try:
        return parse_checkpoint(data)
    except Refused as refusal:
        report.find(None, "checkpoint-malformed", str(refusal))
        return None


def rotation_points(export: Export, ledger: Ledger, report: Report) -> list[Checkpoint]:
    """The checkpoints that old keys signed: `rotation/<r>`, of r + 1 entries. One that is not there
    is missed by `judge`; others than those of the ledger's rotations are not read."""
    points = []
    for index in ledger.rotations():
        data = export.read(f"rotation/{index}", MAX_CHECKPOINT)
        try:
            if data is not None:
                point = parse_checkpoint(data)
                require(point.size == index + 1, f"its size is {point.size}")
                points.append(point)
        except Refused as refusal:
            report.find(None, "checkpoint-malformed", f"rotation/{index}: {refusal}")
    return points


def read_entries(export: Export, size: int, sizes: frozenset[int], ledger: Ledger,
                 report: Report) -> list[bytes]:
    """Reads all bundles into the ledger, up to the first that cannot be read; the leaf hashes."""
    leaves = []
    for number, width in tiles_of(size):
        data = export.bundle(number, width)
        name = f"tile/entries/{tile_path(number, width)}"
        if data is None:
            report.find(ledger.next_index, "export-unreadable", f"{name} is not there")
            return leaves
        entries, wrong = split_bundle(data, width)
        for raw in entries:
            leaves.append(leaf_hash(raw))
            ledger.take(raw, sizes)
        if wrong is not None:
            report.find(ledger.next_index, "bundle-malformed", f"{name}: {wrong}")
            return leaves
    return leaves


def judge(ledger: Ledger, points: list[Checkpoint], pins: Pins, report: Report) -> None:
    """Every checkpoint at hand (the newest is the last), and what section 8 asks of the keys."""
    report.entries = ledger.next_index
    report.findings += ledger.findings
    if pins.origin is None or pins.ledger_key is None:
        report.find(None, "pins-missing", "origin and ledger key are not both pinned")
    good = [point for point in points if judge_checkpoint(ledger, point, pins, report)]
    if points and points[-1] in good:
        report.checkpoint = points[-1]
    keys = [known.public_key for known in ledger.ledger_keys]
    if pins.ledger_key is not None and keys:
        if pins.ledger_key not in keys:
            report.find(0, "ledger-key-mismatch", "the pinned key is none of the ledger's")
        elif all(ledger.key_for(point.size) != pins.ledger_key for point in good):
            report.find(None, "pin-unvouched", "no checkpoint that the pinned key signed holds")
    sizes = {point.size for point in good}
    for index in ledger.rotations():
        if index + 1 not in sizes:
            report.find(index, "rotation-uncovered", f"no checkpoint of {index + 1} entries holds")


def judge_checkpoint(ledger: Ledger, point: Checkpoint, pins: Pins, report: Report) -> bool:
    """Whether it holds: signed by the key of its size, over the root that was computed. Where the
    entries up to its size could not all be read, a rotation may be among them: then another key
    than the last one known is no tampering yet."""
    key = ledger.key_for(point.size) or pins.ledger_key
    origin = pins.origin if pins.origin is not None else ledger.origin
    try:
        require(key is not None, "there is no key to hold it against")
        require(strict.key_refusal(key) is None, "the ledger's key is sound")
        require_signed(point, origin, key)
    except Refused as refusal:
        is_known = point.size <= ledger.next_index or point.origin != origin
        kind = "checkpoint-unsigned" if is_known else "checkpoint-unchecked"
        report.find(None, kind, f"checkpoint of {point.size} entries: {refusal}")
        return False
    root = ledger.roots.get(point.size)
    if root is None:
        return False
    if root != point.root:
        report.find(None, "root-mismatch", f"the first {point.size} entries have another root")
    return root == point.root


def check_tiles(export: Export, leaves: list[bytes], report: Report) -> None:
    """The hash tiles hold what follows from the entries."""
    level, hashes = 0, leaves
    while hashes:
        for number, width in tiles_of(len(hashes)):
            name = f"tile/{level}/{tile_path(number, width)}"
            data = export.hash_tile(level, number, width)
            if data is None:
                report.find(None, "export-unreadable", f"{name} is not there")
            elif data != b"".join(hashes[number * TILE : number * TILE + width]):
                report.find(None, "tile-mismatch", f"{name} is not of these entries")
        full = len(hashes) // TILE
        hashes = [subtree_root(hashes[at * TILE : at * TILE + TILE]) for at in range(full)]
        level += 1


def subtree_root(hashes: list[bytes]) -> bytes:
    while len(hashes) > 1:
        hashes = [node_hash(*hashes[at : at + 2]) for at in range(0, len(hashes), 2)]
    return hashes[0]


# --- Journal (section 14) -----------------------------------------------------------------------


def verify_journal(folder: Path, guard: Path, pins: Pins, walk: Walk) -> Report:
    """A node's data directory and its head guard."""
    report, ledger = Report(), Ledger(walk, pins.origin)
    try:
        named, frames = journal.read_journal(folder / "journal")
    except (Refused, OSError) as refusal:
        report.find(None, "journal-unreadable", str(refusal))
        return report
    points = frame_points(frames, report)
    head = read_checkpoint(Export(guard).read("guard", journal.MAX_FRAME_CHECKPOINT), report)
    if head is not None and head.size == 0:
        report.find(None, "checkpoint-empty", "a checkpoint of no entries says nothing")
    points += [head] if head is not None else []
    if frames and head is not None and head.size < frames[-1].first + len(frames[-1].entries):
        frames.pop()  # Nobody has signed for the last group yet: a crash came before.
    sizes = frozenset(point.size for point in points)
    for frame in frames:
        for raw in frame.entries:
            before = len(ledger.ledger_keys)
            ledger.take(raw, sizes)
            if len(ledger.ledger_keys) > before and len(frame.entries) > 1:
                report.find(ledger.next_index - 1, "statement-invalid",
                            "a rotation is alone in its commit group")
    ledger.finish()
    judge(ledger, points, pins, report)
    cover(ledger, head, report)
    if ledger.ledger_keys and ledger.origin is not None:
        first = ledger.ledger_keys[0].public_key
        if named != journal.ledger_hash(ledger.origin, first):
            report.find(None, "journal-unreadable", "the journal names another ledger")
    return report


def frame_points(frames: list[journal.Frame], report: Report) -> list[Checkpoint]:
    points = []
    for frame in frames:
        try:
            if frame.first:
                point = parse_checkpoint(frame.checkpoint_before)
                require(point.size == frame.first, "it is of the entries before its frame")
                points.append(point)
        except Refused as refusal:
            report.find(None, "checkpoint-malformed", f"before entry {frame.first}: {refusal}")
    return points


def cover(ledger: Ledger, head: Checkpoint | None, report: Report) -> None:
    """Whether the newest checkpoint is of no more than these entries."""
    if ledger.next_index == 0:
        report.find(None, "no-entries", "there is nothing to check")
    elif head is not None and head.size > ledger.next_index:
        report.find(None, "entries-missing", f"{head.size} entries were signed")


# --- Receipt (section 13) -----------------------------------------------------------------------


def verify_receipt(data: bytes, rotations: list[bytes], pins: Pins, walk: Walk) -> Report:
    report = Report()
    try:
        key = pins.ledger_key
        for link in rotations:
            key = next_key(parse_receipt(link), key, pins, walk)
        receipt = parse_receipt(data)
        report.entries, report.checkpoint = 1, receipt.checkpoint
    except (Refused, NonCanonical, Broken) as refusal:
        report.find(None, "receipt-malformed", str(refusal))
        return report
    index = receipt.entry.index
    if pins.origin is None or key is None:
        report.find(None, "checkpoint-unchecked", "origin and ledger key are not both pinned")
        return report
    try:
        require(strict.key_refusal(key) is None, "the ledger's key is sound")
        require_signed(receipt.checkpoint, pins.origin, key)
    except Refused as refusal:
        report.find(None, "checkpoint-unsigned", str(refusal))
    try:
        require_proven(receipt)
    except Refused as refusal:
        report.find(index, "receipt-unproven", str(refusal))
    judge_payload(receipt, key, pins, walk, report)
    return report


def require_proven(receipt: Receipt) -> None:
    entry, point = receipt.entry, receipt.checkpoint
    require(entry.index == receipt.index, "the index is that of the entry")
    root = root_of_inclusion(leaf_hash(entry.raw), receipt.index, point.size, receipt.proof)
    require(root == point.root, "the proof leads to the root")


def next_key(receipt: Receipt, key: bytes | None, pins: Pins, walk: Walk) -> bytes:
    """The key that a rotation names, after everything that its receipt has to show."""
    require(key is not None and pins.origin is not None, "rotations are followed from a pin")
    require(strict.key_refusal(key) is None, "the pinned key is sound")
    require_signed(receipt.checkpoint, pins.origin, key)
    require_proven(receipt)
    entry = receipt.entry
    require(receipt.checkpoint.size == entry.index + 1, "its checkpoint ends with it")
    require(entry.kind == STATEMENT, "the receipt of a rotation holds a statement")
    statement = walk.read("Statement", entry.envelope.payload)
    require(statement.get("origin") == pins.origin, "the statement names the pinned origin")
    require(statement["body"] == "ledger_key_rotation", "the statement is a rotation")
    ledger = Ledger(walk, pins.origin)
    ledger.ledger_keys = [LedgerKey(key, 0)]
    ledger.statement(entry, statement)
    return ledger.ledger_keys[-1].public_key


def judge_payload(receipt: Receipt, key: bytes, pins: Pins, walk: Walk, report: Report) -> None:
    """What the entry of a receipt shows by itself. The keys of parties are not in it."""
    entry, index = receipt.entry, receipt.entry.index
    word = "Statement" if entry.kind == STATEMENT else "Event"
    try:
        message = walk.read(word, entry.envelope.payload)
    except NonCanonical as refusal:
        report.find(index, "non-canonical", str(refusal))
        return
    if message.get("origin", "") != pins.origin:
        report.find(index, "origin-mismatch", "the entry names another origin")
    if entry.kind == STATEMENT:
        judge_statement(entry, key, report)


def judge_statement(entry, key: bytes, report: Report) -> None:
    """A statement is by the ledger key in force, which is the one under the checkpoint, unless a
    rotation stands between them; then the receipt cannot tell."""
    key_id, signature = entry.envelope.signatures[0]
    if key_id != strict.key_id(key):
        return
    message = pae(PAYLOAD_TYPES[STATEMENT], entry.envelope.payload)
    if len(entry.envelope.signatures) != 1 or not strict.holds(key, signature, message):
        report.find(entry.index, "signature-invalid", "the statement's signature does not hold")


# --- Command line -------------------------------------------------------------------------------


class Parser(argparse.ArgumentParser):
    def error(self, message: str):
        self.print_usage(sys.stderr)
        print(f"verify.py: {message}", file=sys.stderr)
        sys.exit(EXIT_USAGE)


def ledger_key(text: str) -> bytes:
    key = bytes.fromhex(text)
    if len(key) != 32 or strict.key_refusal(key) is not None:
        raise ValueError("no ledger key")
    return key


def read_file(path: Path, limit: int) -> bytes:
    with open(path, "rb") as file:
        return file.read(limit + 1)


def parser() -> Parser:
    made = Parser(description=__doc__.split("\n")[0])
    made.add_argument("--export", type=Path, metavar="DIR", help="a tlog-tiles directory")
    made.add_argument("--data", type=Path, metavar="DIR", help="a node's data directory")
    made.add_argument("--guard", type=Path, metavar="DIR", help="head guard of --data")
    made.add_argument("--receipt", type=Path, metavar="FILE", help="with --export: held against it")
    made.add_argument("--rotation", type=Path, metavar="FILE", action="append", default=[],
                      help="receipt of a rotation, from the pinned key on, in their order")
    made.add_argument("--origin", help="the pinned origin")
    made.add_argument("--ledger-key", type=ledger_key, help="the pinned key, 64 hex digits")
    made.add_argument("--json", action="store_true")
    return made


def main(arguments: list[str]) -> int:
    made = parser()
    options = made.parse_args(arguments)
    given = options.export is not None, options.data is not None, options.receipt is not None
    if given not in ((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1)):
        made.error("one of --export, --data, --receipt, or --receipt with --export")
    try:
        report = judge_options(options)
    except OSError as error:
        print(f"verify.py: {error}", file=sys.stderr)
        return EXIT_CODES["undetermined"]
    show(report, options.json)
    return EXIT_CODES[report.verdict()]


def judge_options(options: argparse.Namespace) -> Report:
    pins, walk = Pins(options.origin, options.ledger_key), Walk(load_schema())
    if options.data is not None:
        guard = options.guard or options.data.with_name(options.data.name + ".guard")
        return verify_journal(options.data, guard, pins, walk)
    if options.receipt is None:
        return verify_export(options.export, pins, walk)
    data = read_file(options.receipt, MAX_RECEIPT)
    if options.export is None:
        links = [read_file(path, MAX_RECEIPT) for path in options.rotation]
        return verify_receipt(data, links, pins, walk)
    try:
        receipt = parse_receipt(data)
    except Refused as refusal:
        return Report(findings=[Finding(None, "receipt-malformed", str(refusal))])
    return verify_export(options.export, pins, walk, receipt)


def show(report: Report, as_json: bool) -> None:
    if as_json:
        print(json.dumps(report.as_json(), indent=2))
        return
    print(f"{report.verdict()}: {report.entries} entries")
    for finding in report.findings:
        place = "ledger" if finding.index is None else f"entry {finding.index}"
        print(f"{place}: {finding.kind}: {finding.detail}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
