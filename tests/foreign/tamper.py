"""Tampered copies of a ledger, each with what a verifier has to say of it. For tests alone.

Everything is drawn from one seed, so that a name and a seed are enough to have a copy again.
"""

import base64
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import strict
from forge import forged
from layout import note_key_id
from world import (Copy, World, group_by_batch, public_of, seal, seeded_key, sign_groups,
                   write_checkpoint, write_entry)

VERIFIED, TAMPERED, UNDETERMINED = "verified", "tampered", "undetermined"
EMPTY_ROOT = bytes.fromhex("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")


@dataclass(frozen=True)
class Case:
    """A copy in one of its two forms, and the verdicts that are right for it."""

    name: str
    form: str
    files: Callable[[], dict[str, bytes]]
    verdicts: tuple[str, ...]
    origin: str
    ledger_key: bytes
    # The rules may refuse it besides (section 15, step 8); only the full verifier can say so.
    rules_may_refuse: bool = False


def cases(world: World, seed: int, flips: int) -> Iterator[Case]:
    yield from sound(world)
    yield from damaged_files(world, random.Random(f"{seed} files"), flips)
    yield from rearranged(world, random.Random(f"{seed} entries"))
    yield from checkpoints(world)
    yield from pins(world)
    yield from forged_copies(world)
    yield from receipts(world, random.Random(f"{seed} receipts"), flips)


def both(world: World, name: str, copy: Copy, verdicts: tuple[str, ...], *,
         rotations: tuple[int, ...] = (), pin: bytes | None = None, origin: str | None = None,
         rules_may_refuse: bool = False) -> Iterator[Case]:
    """A copy as an export and as a journal."""
    first_key = world.state.ledger_keys[0].public_key
    origin, pin = origin or world.origin, pin or first_key
    yield Case(f"export/{name}", "export", lambda: copy.export_files(rotations), verdicts, origin,
               pin, rules_may_refuse)
    yield Case(f"journal/{name}", "journal",
               lambda: copy.journal_files(world.origin, first_key), verdicts, origin, pin,
               rules_may_refuse)


# --- Sound copies --------------------------------------------------------------------------------


def sound(world: World) -> Iterator[Case]:
    """What was never touched, and its beginnings: a verifier that says no to everything agrees on
    every tampered copy."""
    yield from both(world, "whole", world.copy, (VERIFIED,))
    total = len(world.copy.groups)
    for count in sorted({1, 2, 3, 256, 257, total // 2, total - 1}):
        if count <= total:
            beginning = Copy(world.copy.groups[:count])
            yield from both(world, f"first-{count}-groups", beginning, (VERIFIED,))


# --- Files ---------------------------------------------------------------------------------------


def damaged_files(world: World, draw: random.Random, flips: int) -> Iterator[Case]:
    files, pin = world.copy.export_files(), world.state.ledger_keys[0].public_key
    bad = (TAMPERED, UNDETERMINED)

    def case(name: str, changed: dict[str, bytes | None], verdicts=bad) -> Case:
        whole = {key: data for key, data in {**files, **changed}.items() if data is not None}
        # A flip can land in the links of an entry, which follow from the rules.
        in_entries = any("entries" in key for key in changed)
        return Case(f"export/{name}", "export", lambda: whole, verdicts, world.origin, pin,
                    rules_may_refuse=in_entries)

    for name, data in files.items():
        label = name.replace("/", "-")
        for _ in range(flips * (3 if "entries" in name else 1)):
            bit = draw.randrange(8 * len(data))
            broken = bytearray(data)
            broken[bit // 8] ^= 1 << bit % 8
            yield case(f"flip-{label}-{bit}", {name: bytes(broken)}, (TAMPERED,)
                       if name != "checkpoint" and "entries" not in name else bad)
        for cut in sorted(draw.sample(range(1, len(data)), 3)):
            yield case(f"cut-{label}-{cut}", {name: data[:cut]})
        yield case(f"empty-{label}", {name: b""})
        yield case(f"longer-{label}", {name: data + draw.randbytes(1)}, (TAMPERED,)
                   if name != "checkpoint" and "entries" not in name else bad)
        yield case(f"gone-{label}", {name: None})
    names = [name for name in files if "entries" in name]
    for left, right in zip(names, names[1:]):
        label = f"swapped-{left}-{right}".replace("/", "-")
        yield case(label, {left: files[right], right: files[left]})


# --- Entries -------------------------------------------------------------------------------------


def rearranged(world: World, draw: random.Random) -> Iterator[Case]:
    """Entries dropped, doubled, swapped and dated later: as they are; with chain and tiles computed
    anew; signed by a stranger; and signed by the ledger's own key."""
    stranger = seeded_key("a stranger")
    for turn in range(4):
        for what in ("drop", "double", "swap"):
            at = draw.randrange(1, len(world.entries) - 2)
            entries = list(world.entries)
            if what == "drop":
                del entries[at]
            elif what == "double":
                entries.insert(at, entries[at])
            else:
                entries[at : at + 2] = entries[at + 1], entries[at]
            yield from laundered(world, f"{what}-{at}", entries, stranger)
    for at in sorted(draw.sample(range(len(world.entries)), 4)):
        entries = list(world.entries)
        later = replace(entries[at], recorded_at=entries[at].recorded_at + 1)
        entries[at] = later
        yield from laundered(world, f"later-{at}", entries, stranger)


def laundered(world: World, name: str, entries: list, stranger) -> Iterator[Case]:
    """One wrong ledger at every depth of effort."""
    head = world.copy.groups[-1][1]
    as_is = [[entry.raw if entry in world.entries else write_entry(entry)] for entry in entries]
    # With another count the last bundle has another name than the checkpoint asks for.
    bad = (TAMPERED, UNDETERMINED) if len(entries) != len(world.entries) else (TAMPERED,)
    yield from both(world, f"{name}-as-is", kept_points(world, as_is, head), bad)
    sealed = seal(entries)
    groups = group_by_batch(sealed)
    yield from both(world, f"{name}-resealed", kept_points(world, groups, head), bad,
                    rules_may_refuse=True)
    by_stranger = sign_groups(world.origin, groups, lambda size: stranger)
    yield from both(world, f"{name}-by-stranger", by_stranger, (TAMPERED,), rules_may_refuse=True)
    # With the true key everything that is hashed and signed by the ledger is right; what is left
    # are links, signers, ids and rules, and a moment that may be changed unseen.
    by_ledger = sign_groups(world.origin, groups, lambda size: world.ledger_key)
    yield from both(world, f"{name}-by-ledger", by_ledger, (TAMPERED, VERIFIED),
                    rules_may_refuse=True)


def kept_points(world: World, groups: list[list[bytes]], head: bytes) -> Copy:
    """New groups under the checkpoints that the ledger did sign, where there is one of the size."""
    signed, size = {}, 0
    for entries, text in world.copy.groups:
        size += len(entries)
        signed[size] = text
    done, size = [], 0
    pending: list[bytes] = []
    for entries in groups:
        pending += entries
        size += len(entries)
        if size in signed and len(pending) <= 1_000:
            done.append((tuple(pending), signed[size]))
            pending = []
    if pending:
        done.append((tuple(pending), head))
    if done:
        done[-1] = (done[-1][0], head)
    return Copy(tuple(done))


# --- Checkpoints ---------------------------------------------------------------------------------


def with_head(world: World, text: bytes) -> Copy:
    *before, (entries, _) = world.copy.groups
    return Copy((*before, (entries, text)))


def checkpoints(world: World) -> Iterator[Case]:
    head = world.copy.groups[-1][1]
    size, root, key = len(world.entries), world.state.tree.root(), world.ledger_key
    origin, stranger = world.origin, seeded_key("a stranger")
    lines = head.decode().split("\n")
    signature = lines[4] + "\n"
    witness = "\u2014 witness.example/one " + base64.b64encode(bytes(76)).decode() + "\n"

    def spelled(*parts: str) -> bytes:
        return "".join(parts).encode()

    text = "\n".join(lines[:3]) + "\n\n"
    good = {
        "with-witness-line": spelled(text, signature, witness),
        "witness-first": spelled(text, witness, signature),
        "same-name-other-key": head + stranger_line(origin, stranger),
    }
    bad = {
        "other-origin": write_checkpoint(origin + ".x", size, root, key),
        "other-key": write_checkpoint(origin, size, root, stranger),
        "other-root": write_checkpoint(origin, size, bytes(32), key),
        "signed-twice": spelled(text, signature, signature),
        "no-signature": spelled(text),
        "witness-alone": spelled(text, witness),
        "extension-line": resigned(f"{origin}\n{size}\n{lines[2]}\nmore\n", origin, key),
        "zeros-before-size": resigned(f"{origin}\n0{size}\n{lines[2]}\n", origin, key),
        "plus-before-size": resigned(f"{origin}\n+{size}\n{lines[2]}\n", origin, key),
        "huge-size": resigned(f"{origin}\n{2**64}\n{lines[2]}\n", origin, key),
        "carriage-returns": head.replace(b"\n", b"\r\n"),
        "no-last-newline": head[:-1],
        "newline-more": head + b"\n",
        "bad-witness-line": spelled(text, signature, "\u2014 one+two AAAAAAA=\n"),
        "short-witness-line": spelled(text, signature, "\u2014 one AAAAAA==\n"),
        "base64-unused-bits": spelled(text, signature, "\u2014 one AAAAAAB=\n"),
        "hyphen-for-dash": spelled(text, signature.replace("\u2014", "-")),
        "name-with-wide-blank": spelled(text, signature, "\u2014 a\u2003b AAAAAAA=\n"),
        "origin-with-blank": resigned(f"a b\n{size}\n{lines[2]}\n", origin, key),
        "origin-of-129": resigned(f"{'a' * 129}\n{size}\n{lines[2]}\n", origin, key),
        "no-origin": resigned(f"\n{size}\n{lines[2]}\n", origin, key),
        "short-root": resigned(f"{origin}\n{size}\n{lines[2][:40]}\n", origin, key),
        "s-plus-l": malleated(lines, signature),
    }
    for name, made in good.items():
        yield from both(world, f"checkpoint-{name}", with_head(world, made), (VERIFIED,))
    for name, made in bad.items():
        yield from both(world, f"checkpoint-{name}", with_head(world, made), (TAMPERED,))
    yield from sizes_of_head(world)


def sizes_of_head(world: World) -> Iterator[Case]:
    """A head of no entries, and heads of fewer and of more entries than there are."""
    origin, key, pin = world.origin, world.ledger_key, world.state.ledger_keys[0].public_key
    empty = write_checkpoint(origin, 0, EMPTY_ROOT, key)
    yield Case("export/checkpoint-size-0", "export", lambda: {"checkpoint": empty},
               (UNDETERMINED,), origin, pin)
    yield from both(world, "checkpoint-size-0-of-all", with_head(world, empty),
                    (UNDETERMINED, TAMPERED))
    size, root = len(world.entries), world.state.tree.root()
    more = write_checkpoint(origin, size + 1, root, key)
    yield from both(world, "checkpoint-of-one-more", with_head(world, more),
                    (TAMPERED, UNDETERMINED))
    before = world.copy.groups[-2][1]
    yield Case("export/checkpoint-older", "export",
               lambda: {**world.copy.export_files(), "checkpoint": before},
               (VERIFIED, UNDETERMINED, "warnings"), origin, pin)
    yield Case("journal/checkpoint-older", "journal",
               lambda: with_head(world, before).journal_files(origin, pin), (VERIFIED,), origin,
               pin)


def stranger_line(origin: str, stranger) -> bytes:
    text = write_checkpoint(origin, 1, bytes(32), stranger)
    return text.split(b"\n\n")[1]


def resigned(text: str, origin: str, key) -> bytes:
    blob = note_key_id(origin, public_of(key)) + key.sign(text.encode())
    return f"{text}\n\u2014 {origin} {base64.b64encode(blob).decode()}\n".encode()


def malleated(lines: list[str], signature: str) -> bytes:
    """The ledger's signature with S + L in the place of S."""
    dash, name, blob = signature.strip().split(" ")
    raw = base64.b64decode(blob)
    scalar = int.from_bytes(raw[36:], "little") + strict.L
    raw = raw[:36] + scalar.to_bytes(32, "little")
    line = f"{dash} {name} {base64.b64encode(raw).decode()}\n"
    return ("\n".join(lines[:3]) + "\n\n" + line).encode()


# --- Pins, and what whoever holds the keys can make ----------------------------------------------


def pins(world: World) -> Iterator[Case]:
    other = public_of(seeded_key("a stranger"))
    yield from both(world, "pin-other-key", world.copy, (TAMPERED,), pin=other)
    yield from both(world, "pin-other-origin", world.copy, (TAMPERED,), origin=world.origin + ".x")
    party = next(key.public_key for key in world.state.keys.values())
    yield from both(world, "pin-key-of-a-party", world.copy, (TAMPERED,), pin=party)


def forged_copies(world: World) -> Iterator[Case]:
    for made in forged(world):
        yield from both(world, f"forged-{made.name}", made.copy, made.verdicts,
                        rotations=made.rotations, pin=made.pin,
                        rules_may_refuse=made.rules_may_refuse)
        if made.name == "rotation-good":
            yield from damaged_rotation(world, made)


def damaged_rotation(world: World, made) -> Iterator[Case]:
    """The old key's checkpoint, which an export keeps beside the tree."""
    files, (index,) = made.copy.export_files(made.rotations), made.rotations
    name, pin = f"rotation/{index}", world.state.ledger_keys[0].public_key
    text, bad = files[name], (TAMPERED, UNDETERMINED)
    for label, data, verdicts in (
        ("gone", None, (UNDETERMINED,)), ("empty", b"", bad), ("cut", text[:-2], bad),
        ("of-the-head", files["checkpoint"], bad),
        ("of-another-size", world.copy.groups[0][1], bad),
        ("flipped", other_letter(text), bad),
        ("by-a-stranger", write_checkpoint(world.origin, index + 1, bytes(32),
                                           seeded_key("a stranger")), bad),
    ):
        changed = {key: value for key, value in {**files, name: data}.items() if value is not None}
        yield Case(f"export/rotation-{label}", "export", lambda changed=changed: changed, verdicts,
                   world.origin, pin)


def other_letter(text: bytes) -> bytes:
    """Another root: its first letter is another one, whatever it was."""
    at = text.index(b"\n", text.index(b"\n") + 1) + 1
    return text[:at] + (b"B" if text[at : at + 1] == b"A" else b"A") + text[at + 1 :]


# --- Receipts ------------------------------------------------------------------------------------


def receipts(world: World, draw: random.Random, flips: int) -> Iterator[Case]:
    """Receipts that the ledger gave, untouched, flipped, cut, and led astray."""
    pin = world.state.ledger_keys[0].public_key
    texts = [world.receipts[at] for at in sorted(draw.sample(range(len(world.receipts)), 4))]

    def case(name: str, data: bytes, verdict: str, key: bytes = pin, origin=None) -> Case:
        return Case(f"receipt/{name}", "receipt", lambda: {"receipt": data}, (verdict,),
                    origin or world.origin, key)

    for number, text in enumerate(texts):
        yield case(f"whole-{number}", text, VERIFIED)
        yield case(f"other-key-{number}", text, TAMPERED, public_of(seeded_key("a stranger")))
        yield case(f"other-origin-{number}", text, TAMPERED, origin=world.origin + ".x")
        for _ in range(4 * flips):
            bit = draw.randrange(8 * len(text))
            broken = bytearray(text)
            broken[bit // 8] ^= 1 << bit % 8
            yield case(f"flip-{number}-{bit}", bytes(broken), TAMPERED)
        for cut in draw.sample(range(len(text)), 4):
            yield case(f"cut-{number}-{cut}", text[:cut], TAMPERED)
        yield case(f"newline-more-{number}", text + b"\n", TAMPERED)
        lines = text.split(b"\n")
        hashes = lines[3 : lines.index(b"")]
        for name, other in (("proof-longer", [*hashes, hashes[-1]]), ("proof-short", hashes[:-1]),
                            ("proof-of-31-bytes", [*hashes[:-1], base64.b64encode(bytes(31))]),
                            ("proof-of-65", (hashes * 65)[:65]), ("proof-turned", hashes[::-1])):
            changed = lines[:3] + other + lines[3 + len(hashes):]
            yield case(f"{name}-{number}", b"\n".join(changed), TAMPERED)
    for left, right in zip(texts, texts[1:]):
        foreign = left.split(b"\n\n", 1)[0] + b"\n\n" + right.split(b"\n\n", 1)[1]
        yield case(f"checkpoint-of-another-{len(left)}", foreign, TAMPERED)
