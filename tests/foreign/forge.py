"""Entries that whoever holds every key could append, each right but for one thing. For tests alone.

Each list of steps goes behind the last entry of a real ledger, with chain, tree and checkpoints
right and signed by the ledger's own key: only the one thing is left to be found.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import strict
from layout import EVENT, NO_ENTRY, STATEMENT, Entry, Envelope, Link, pae, parse_entry
from ledger import MAX_CHUNK, clock_skew, parse_table_set
from lots import map_root
from world import (Copy, World, chain_value, message, public_of, seal, seeded_id, seeded_key,
                   sign, sign_groups, varint, write_entry)

VERIFIED, TAMPERED, UNDETERMINED = ("verified",), ("tampered",), ("undetermined",)
BOTH_BAD = ("tampered", "undetermined")
REGISTER_KEY, REVOKE_KEY, PUBLISH_TABLES, HOLD_LOT, ACKNOWLEDGE = 29, 30, 31, 60, 72
SUCCEED_PARTY, RETURN, SETTLE = 36, 55, 56
LOT_STATE_ROOT, ROTATION, RESTART_NOTE = 20, 21, 22


@dataclass(frozen=True)
class Made:
    name: str
    copy: Copy
    verdicts: tuple[str, ...]
    rotations: tuple[int, ...] = ()
    pin: bytes | None = None
    rules_may_refuse: bool = False


@dataclass(frozen=True)
class Step:
    """An entry to come: its envelope, and what is turned in it after it was made right."""

    envelope: Envelope
    kind: int = EVENT
    turn: Callable[[Entry], Entry] = lambda entry: entry
    links: tuple[Link, ...] = ()
    raw: Callable[[bytes], bytes] = lambda raw: raw
    after_ms: int = 1_000


class Bench:
    """What the forged entries are made with."""

    def __init__(self, world: World):
        self.world = world
        self.last = world.entries[-1]
        self.now = self.last.recorded_at + 1_000
        self.coordinator = world.key_of(world.coordinator)
        self.party, self.party_key = next(
            (key.party, world.key_of(key.party)) for key in world.state.keys.values()
            if key.party != world.coordinator and not key.revoked)
        self.stranger = seeded_key("a stranger")
        self.number = 0

    def payload(self, body: int, inside: bytes, *, actor: bytes | None = None,
                occurred: int | None = None, origin: str | None = None,
                event_id: bytes | None = None) -> bytes:
        self.number += 1
        return message(
            (1, event_id or seeded_id(f"event {self.number}")),
            (2, self.world.origin if origin is None else origin),
            (3, actor or self.world.coordinator),
            (5, self.now if occurred is None else occurred), (6, 960), (body, inside))

    def event(self, body: int, inside: bytes, *, keys=None, **fields) -> Step:
        payload = self.payload(body, inside, **fields)
        return Step(sign(EVENT, payload, *(keys or [self.coordinator])))

    def note(self, *, keys=None, **fields) -> Step:
        """An event that changes nothing: an anomaly is acknowledged."""
        return self.event(ACKNOWLEDGE, message((1, "A0"), (2, "seen")), keys=keys, **fields)

    def signed(self, payload: bytes) -> Step:
        """A payload as it stands, by the coordinator."""
        return Step(sign(EVENT, payload, self.coordinator))

    def statement(self, body: int, inside: bytes, *, key=None, origin=None) -> Step:
        payload = message((1, self.world.origin if origin is None else origin), (body, inside))
        return Step(sign(STATEMENT, payload, key or self.world.ledger_key), STATEMENT)

    def restart(self, **fields) -> Step:
        return self.statement(RESTART_NOTE, message((1, "urbanmine test")), **fields)

    def register(self, public_key: bytes, *, party: bytes | None = None, since: int = 1,
                 until: int | None = None) -> Step:
        fields = [(1, party or self.world.coordinator), (2, public_key), (3, since)]
        return self.event(REGISTER_KEY, message(*fields, *([(4, until)] if until else [])))

    def rotation(self, following, *, key=None, possession=None) -> Step:
        public = public_of(following)
        bare = message((1, self.world.origin), (ROTATION, message((1, public))))
        made = possession or following.sign(pae(
            b"application/vnd.urbanmine.statement.v1+protobuf", bare))
        return self.statement(ROTATION, message((1, public), (2, made)), key=key)

    # --- Putting it together --------------------------------------------------------------

    def append(self, *batches: list[Step], key_of_size=None, before=None) -> Copy:
        """Each batch behind the last entry of all groups, or of those `before`, in a group of its
        own."""
        old = before or [list(raws) for raws, _ in self.world.copy.groups]
        last, groups = parse_entry(old[-1][-1]), []
        chain, index, at_ms = chain_value(last.raw), last.index + 1, last.recorded_at
        for batch in batches:
            group, first = [], index
            for step in batch:
                at_ms += step.after_ms
                entry = step.turn(Entry(b"", step.kind, index, chain, at_ms,
                                        self.last.rules_version, self.last.tables_hash, first,
                                        len(batch), step.links, step.envelope))
                raw = step.raw(write_entry(entry))
                group.append(raw)
                chain, index = chain_value(raw), index + 1
            groups.append(group)
        key_of_size = key_of_size or (lambda size: self.world.ledger_key)
        signed = sign_groups(self.world.origin, old + groups, key_of_size)
        return signed


def forged(world: World) -> Iterator[Made]:
    for table in (lawful, fields, signers, signatures, canonical, entries, keys, statements,
                  rotations, tables, correctives, geneses):
        yield from table(Bench(world))


def lawful(bench: Bench) -> Iterator[Made]:
    yield Made("note", bench.append([bench.note()]), VERIFIED)
    yield Made("two-notes", bench.append([bench.note()], [bench.note()]), VERIFIED)
    yield Made("batch-of-two", bench.append([bench.note(), bench.note()]), VERIFIED)
    yield Made("note-by-party", bench.append(
        [bench.note(actor=bench.party, keys=[bench.party_key])]), VERIFIED)
    yield Made("statement-before-the-tables", bench.append(
        [bench.restart()], before=[list(bench.world.copy.groups[0][0])]), VERIFIED)
    yield Made("event-before-the-tables", bench.append(
        [bench.note()], before=[list(bench.world.copy.groups[0][0])]), TAMPERED)
    yield Made("restart", bench.append([bench.restart()]), VERIFIED)
    yield Made("restart-in-a-batch", bench.append([bench.restart(), bench.note()]),
               VERIFIED + TAMPERED)
    yield Made("two-restarts-in-a-batch", bench.append([bench.restart(), bench.restart()]),
               VERIFIED + TAMPERED)


def fields(bench: Bench) -> Iterator[Made]:
    """What section 7 and 15 ask of an event's own fields."""
    skew = bench.world.state.skew_ms
    latest = bench.now + skew
    first = bench.world.walk.read("Event", bench.world.entries[5].envelope.payload)["event_id"]
    again = bench.note()
    for name, step, verdict in (
        ("at-the-skew", bench.note(occurred=latest), VERIFIED),
        ("after-the-skew", bench.note(occurred=latest + 1), TAMPERED),
        ("occurred-at-0", bench.signed(message(
            (1, seeded_id("none")), (2, bench.world.origin), (3, bench.world.coordinator),
            (ACKNOWLEDGE, message((1, "A0"))))), TAMPERED),
        ("old-event-id", bench.note(event_id=first), TAMPERED),
        ("event-id-of-version-4", bench.note(event_id=first[:6] + b"\x40" + first[7:]), TAMPERED),
        ("event-id-of-15-bytes", bench.note(event_id=first[:15]), TAMPERED),
        ("other-origin", bench.note(origin="urbanmine.example/other"), TAMPERED),
        ("no-origin", bench.signed(message(
            (1, seeded_id("none")), (3, bench.world.coordinator), (5, bench.now),
            (ACKNOWLEDGE, message((1, "A0"))))), TAMPERED),
        ("unknown-actor", bench.note(actor=seeded_id("nobody")), TAMPERED),
        ("actor-of-15-bytes", bench.note(actor=bench.world.coordinator[:15]), TAMPERED),
        ("unknown-transfer-settled", bench.event(SETTLE, message((1, first), (3, 1))), TAMPERED),
        ("unknown-transfer-returned", bench.event(RETURN, message(
            (1, first), (2, first), (3, 5), (4, 1))), TAMPERED),
        ("second-genesis", bench.signed(
            bench.world.entries[0].envelope.payload), TAMPERED),
    ):
        yield Made(name, bench.append([step]), verdict)
    yield Made("same-entry-again", bench.append([again], [again]), TAMPERED)


def signers(bench: Bench) -> Iterator[Made]:
    """Section 5: exactly those required."""
    note = bench.note
    other_offer = bench.world.key_of(bench.world.coordinator)
    for name, step in (
        ("by-another-party", note(keys=[bench.party_key])),
        ("by-nobody-known", note(keys=[bench.stranger])),
        ("by-the-ledger", note(keys=[bench.world.ledger_key])),
        ("by-one-too-many", note(keys=[other_offer, bench.party_key])),
        ("by-a-stranger-besides", note(keys=[other_offer, bench.stranger])),
    ):
        yield Made(name, bench.append([step]), TAMPERED)
    for entry in bench.world.entries:
        if entry.kind == EVENT and entry.index and len(entry.envelope.signatures) == 2:
            yield from settlement(bench, entry)
            yield from succeeded(bench, entry)
            return


def settlement(bench: Bench, entry: Entry) -> Iterator[Made]:
    """A settlement that is there, cut back to one signature: all behind it is dropped."""
    groups, size = [], 0
    for raws, _ in bench.world.copy.groups:
        size += len(raws)
        if size > entry.index + 1:
            break
        groups.append(list(raws))
    if sum(map(len, groups)) != entry.index + 1:
        return
    for at in range(2):
        pair = entry.envelope.signatures
        cut = replace(entry, envelope=Envelope(pair[at : at + 1], entry.envelope.payload))
        made = groups[:-1] + [groups[-1][:-1] + [write_entry(cut)]]
        yield Made(f"settled-by-one-{at}", signed(bench, made), TAMPERED)
    event = bench.world.walk.read("Event", entry.envelope.payload)
    outsider = next(key.party for key in bench.world.state.keys.values()
                    if strict.key_id(key.public_key) not in dict(pair) and not key.revoked)
    payload = entry.envelope.payload.replace(event["actor_party_id"], outsider, 1)
    keys = [bench.world.keys[key_id] for key_id, _ in pair]
    cut = replace(entry, envelope=sign(EVENT, payload, *keys))
    yield Made("settled-by-an-outsider",
               signed(bench, groups[:-1] + [groups[-1][:-1] + [write_entry(cut)]]), TAMPERED)
    twice = [pair[0], (pair[1][0], pair[0][1])]
    cut = replace(entry, envelope=Envelope(tuple(twice), entry.envelope.payload))
    yield Made("settled-by-one-signature-twice",
               signed(bench, groups[:-1] + [groups[-1][:-1] + [write_entry(cut)]]), TAMPERED)


def succeeded(bench: Bench, entry: Entry) -> Iterator[Made]:
    """The same settlement, after another party took the place of the one that is not its actor."""
    before = [(list(raws), size) for raws, size in groups_with_ends(bench.world)
              if size <= entry.index]
    if not before or before[-1][1] != entry.index:
        return
    world, event = bench.world, bench.world.walk.read("Event", entry.envelope.payload)
    settled, actor = event["settle_discrepancy"], event["actor_party_id"]
    pair = world.state.parties_of_offer[settled["offer_event_id"]]
    other = next(party for party in pair if party != actor)
    heir = next(key.party for key in world.state.keys.values()
                if key.party not in (*pair, world.coordinator) and not key.revoked)
    fields = [(1, settled["offer_event_id"]), (2, settled.get("agreed_g", 0)),
              (3, settled.get("cause", 0))]
    inside = message(*((number, value) for number, value in fields if value))
    last = parse_entry(before[-1][0][-1])
    when = last.recorded_at
    succeed = bench.event(SUCCEED_PARTY, message((1, other), (2, heir)), occurred=when)
    payload = message((1, event["event_id"]), (2, world.origin), (3, actor),
                      (4, event["site_id"]), (5, when + 1), (6, 960), (SETTLE, inside))
    for name, second, verdict in (("by-heir", heir, VERIFIED), ("by-heirless", other, TAMPERED)):
        step = Step(sign(EVENT, payload, world.key_of(actor), world.key_of(second)),
                    links=entry.links)
        made = bench.append([succeed], [step], before=[raws for raws, _ in before])
        yield Made(f"settled-{name}", made, verdict)


def groups_with_ends(world: World) -> list[tuple[tuple[bytes, ...], int]]:
    ends, size = [], 0
    for raws, _ in world.copy.groups:
        size += len(raws)
        ends.append((raws, size))
    return ends


def signed(bench: Bench, groups: list[list[bytes]]) -> Copy:
    return sign_groups(bench.world.origin, groups, lambda size: bench.world.ledger_key)


def signatures(bench: Bench) -> Iterator[Made]:
    """Section 4, and the layout of section 5."""
    good = bench.note().envelope
    (key_id, signature), = good.signatures
    scalar = int.from_bytes(signature[32:], "little")

    def with_signature(*pairs: tuple[bytes, bytes]) -> Step:
        return Step(Envelope(tuple(pairs), good.payload))

    plus_l = signature[:32] + (scalar + strict.L).to_bytes(32, "little")
    small = sorted(strict.SMALL_ORDER)
    event_type = sign(STATEMENT, good.payload, bench.coordinator)
    two = sign(EVENT, good.payload, bench.coordinator, bench.party_key).signatures
    for name, step in (
        ("s-plus-l", with_signature((key_id, plus_l))),
        ("signature-of-zeros", with_signature((key_id, bytes(64)))),
        ("r-of-small-order", with_signature((key_id, small[0] + signature[32:]))),
        ("signed-as-a-statement", Step(event_type)),
        ("same-key-twice", with_signature((key_id, signature), (key_id, signature))),
        ("key-ids-descend", with_signature(*reversed(two))),
        ("five-signatures", with_signature(*((bytes([n]) * 32, signature) for n in range(5)))),
        ("no-signature", with_signature()),
        ("algorithm-2", Step(good, raw=lambda raw: at_envelope(raw, 33, b"\x00\x02"))),
        ("byte-behind-payload", Step(good, raw=lambda raw: raw + b"\x00")),
        ("payload-length-short", Step(good, raw=shorter_payload)),
        ("empty-payload", Step(sign(EVENT, b"", bench.coordinator))),
    ):
        yield Made(name, bench.append([step]), TAMPERED)


def at_envelope(raw: bytes, offset: int, data: bytes) -> bytes:
    at = 97 + 28 * int.from_bytes(raw[95:97], "big") + offset
    return raw[:at] + data + raw[at + len(data):]


def shorter_payload(raw: bytes) -> bytes:
    at = 97 + 28 * int.from_bytes(raw[95:97], "big") + 99
    length = int.from_bytes(raw[at : at + 4], "big") - 1
    return raw[:at] + length.to_bytes(4, "big") + raw[at + 4 :]


def canonical(bench: Bench) -> Iterator[Made]:
    """Section 2, rule by rule. Each payload is signed as it stands."""
    good = bench.payload(ACKNOWLEDGE, message((1, "A0"), (2, "seen")))
    head = message((1, seeded_id("odd")), (2, bench.world.origin), (3, bench.world.coordinator))
    when, zone = message((5, bench.now)), message((6, 960))
    body = message((ACKNOWLEDGE, message((1, "A0"), (2, "seen"))))
    document = message((7, message((1, 1), (2, "T1"))))

    def ack(inside: bytes) -> bytes:
        return head + when + message((ACKNOWLEDGE, inside))

    for name, payload in (
        ("r1-ends-early", good[:-1]),
        ("r1-tag-alone", good + b"\x08"),
        ("r2-unknown-field", head + when + message((19, 1)) + body),
        ("r2-unknown-inside", ack(message((1, "A0"), (9, 1)))),
        ("r2-varint-for-bytes", head + when + message((9, 1)) + body),
        ("r2-fixed-width", head + when + varint(9 << 3 | 1) + bytes(8) + body),
        ("r2-group", head + when + varint(9 << 3 | 3) + varint(9 << 3 | 4) + body),
        ("r2-field-0", head + when + b"\x00\x01" + body),
        ("r3-descending", head + zone + when + body),
        ("r3-twice", head + when + when + body),
        ("r5-long-varint", head + b"\x28" + long_varint(bench.now) + body),
        ("r5-long-length",
         head + when + varint(ACKNOWLEDGE << 3 | 2) + b"\x84\x00\x0a\x02A0"),
        ("r5-long-tag", head + when + b"\xb0\x00\xc0\x07" + body),
        ("r5-eleven-bytes", head + b"\x28" + b"\xff" * 10 + b"\x01" + body),
        ("r5-over-2-64", head + b"\x28" + b"\xff" * 9 + b"\x02" + body),
        ("r5-sint-too-large", head + when + message((6, 2**32)) + body),
        ("r6-default-integer", head + when + message((6, 0)) + body),
        ("r6-default-string", ack(message((1, "A0"), (2, "")))),
        ("r7-unknown-enum", head + when + message((7, message((1, 11), (2, "T1")))) + body),
        ("r7-huge-enum", head + when + message((7, message((1, 2**40), (2, "T1")))) + body),
        ("r8-no-body", head + when),
        ("r8-two-bodies", head + when + message((71, message((1, "x")))) + body),
        ("r9-no-utf-8", ack(message((1, b"A\xff")))),
        ("r9-surrogate", ack(message((1, b"\xed\xa0\x80")))),
    ):
        yield Made(f"canonical-{name}", bench.append([bench.signed(payload)]), TAMPERED)
    yield Made("canonical-documents", bench.append(
        [bench.signed(head + when + document + body)]), VERIFIED)
    yield Made("canonical-negative-offset", bench.append(
        [bench.signed(head + when + message((6, 959)) + body)]), VERIFIED)


def long_varint(value: int) -> bytes:
    short = varint(value)
    return short[:-1] + bytes([short[-1] | 0x80, 0])


def entries(bench: Bench) -> Iterator[Made]:
    """Section 6, and the sequence of section 7."""
    lot = next(iter(bench.world.state.lots))
    ordinal, before = bench.world.state.lots[lot]
    fresh = seeded_id("a lot")

    def turned(step: Step, **changes) -> Step:
        return replace(step, turn=lambda entry: replace(entry, **changes))

    def linked(*links: Link) -> Step:
        hold = bench.event(HOLD_LOT, message((1, lot), (2, 1), (3, "notice")))
        return replace(hold, links=links)

    last, note = bench.last, bench.note
    for name, step, verdict in (
        ("index-one-more", turned(note(), index=last.index + 2), TAMPERED),
        ("index-one-less", turned(note(), index=last.index), TAMPERED),
        ("chain-of-zeros", turned(note(), chain_before=bytes(32)), TAMPERED),
        ("recorded-before", turned(note(occurred=last.recorded_at - 10),
                                   recorded_at=last.recorded_at - 1), TAMPERED),
        ("recorded-same-time", turned(note(occurred=last.recorded_at),
                                      recorded_at=last.recorded_at), VERIFIED),
        ("recorded-last-moment", turned(note(), recorded_at=253402300799999), VERIFIED),
        ("recorded-year-10000", turned(note(), recorded_at=253402300800000), TAMPERED),
        ("rules-version-0", turned(note(), rules_version=0), BOTH_BAD),
        ("rules-version-2", turned(note(), rules_version=2), BOTH_BAD),
        ("other-tables", turned(note(), tables_hash=bytes(32)), TAMPERED),
        ("batch-of-0", turned(note(), batch_length=0), TAMPERED),
        ("batch-of-2-alone", turned(note(), batch_length=2), TAMPERED),
        ("batch-begins-before", turned(note(), batch_first=last.index, batch_length=2), TAMPERED),
        ("batch-to-the-end", turned(note(), batch_first=last.index + 1, batch_length=65535),
         TAMPERED),
        ("kind-2", replace(note(), raw=lambda raw: raw[:2] + b"\x02" + raw[3:]), BOTH_BAD),
        ("version-2", replace(note(), raw=lambda raw: b"\x00\x02" + raw[2:]), BOTH_BAD),
        ("513-links", replace(note(), raw=lambda raw: raw[:95] + b"\x02\x01" + raw[97:]), TAMPERED),
        ("of-65535-bytes", replace(note(), raw=lambda raw: raw + bytes(65_535 - len(raw))),
         TAMPERED),
        ("header-alone", replace(note(), raw=lambda raw: raw[:97]), TAMPERED),
        ("cut-in-header", replace(note(), raw=lambda raw: raw[:60]), TAMPERED),
        ("of-one-byte", replace(note(), raw=lambda raw: raw[:1]), BOTH_BAD),
        ("hold", linked(Link(lot, ordinal + 1, before)), VERIFIED),
        ("hold-ordinal-wrong", linked(Link(lot, ordinal + 2, before)), TAMPERED),
        ("hold-previous-wrong", linked(Link(lot, ordinal + 1, before - 1)), TAMPERED),
        ("hold-as-if-new", linked(Link(lot, 0, NO_ENTRY)), TAMPERED),
        ("hold-linked-twice", linked(*[Link(lot, ordinal + 1, before)] * 2), TAMPERED),
        ("hold-ordinal-0-with-previous", linked(Link(lot, 0, before)), TAMPERED),
        ("hold-previous-ahead", linked(Link(lot, ordinal + 1, last.index + 1)), TAMPERED),
        ("hold-new-with-ordinal", linked(Link(fresh, 1, 5)), TAMPERED),
        ("hold-lot-id-no-id", linked(Link(bytes(16), 0, NO_ENTRY)), TAMPERED),
        ("hold-links-descend", linked(*sorted([Link(lot, ordinal + 1, before),
         Link(fresh, 0, NO_ENTRY)], key=lambda link: link.lot_id, reverse=True)), TAMPERED),
    ):
        yield Made(f"entry-{name}", bench.append([step]), verdict)
    # Which lots an event changes is a matter of the rules: these two the rules alone can see.
    for name, step in (("hold-without-link", linked()),
                       ("hold-one-link-more", linked(*sorted(
                           [Link(lot, ordinal + 1, before), Link(fresh, 0, NO_ENTRY)],
                           key=lambda link: link.lot_id)))):
        yield Made(f"entry-{name}", bench.append([step]), VERIFIED, rules_may_refuse=True)
    uneven = [turned(note(), batch_length=2), turned(note(), batch_length=3)]
    yield Made("entry-batch-lengths-differ", bench.append(uneven), TAMPERED)
    yield Made("entry-after-short-batch", bench.append(
        [turned(note(), batch_length=3)], [note()]), TAMPERED)


def keys(bench: Bench) -> Iterator[Made]:
    """Registration, validity and revocation."""
    fresh = seeded_key("a fresh key")
    public, owner = public_of(fresh), bench.world.coordinator
    by_fresh = bench.note(keys=[fresh])
    registered = bench.register(public)
    revoke = message((1, strict.key_id(public)), (2, 1), (3, "lost"))
    at = bench.now + 1_000
    use_at = lambda when: bench.note(keys=[fresh], occurred=when)
    revoked = bench.event(REVOKE_KEY, revoke)
    for name, batches, verdict in (
        ("key-registered", [[registered], [by_fresh]], VERIFIED),
        ("key-registered-same-batch", [[registered, by_fresh]], VERIFIED),
        ("key-used-before", [[by_fresh], [registered]], TAMPERED),
        ("key-registered-by-itself",
         [[bench.event(REGISTER_KEY, message((1, owner), (2, public), (3, 1)), keys=[fresh])]],
         TAMPERED),
        ("key-registered-twice", [[registered], [bench.register(public)]], TAMPERED),
        ("key-registered-for-another",
         [[registered], [bench.register(public, party=bench.party)]], TAMPERED),
        ("key-of-another-party",
         [[bench.register(public, party=bench.party)], [by_fresh]], TAMPERED),
        ("key-of-the-ledger",
         [[bench.register(public_of(bench.world.ledger_key))]], TAMPERED),
        ("key-not-yet", [[bench.register(public, since=at)], [use_at(at - 1)]], TAMPERED),
        ("key-from-now", [[bench.register(public, since=at)], [use_at(at)]], VERIFIED),
        ("key-until-now", [[bench.register(public, until=at)], [use_at(at)]], TAMPERED),
        ("key-until-then", [[bench.register(public, until=at)], [use_at(at - 1)]], VERIFIED),
        ("key-revoked", [[registered], [revoked], [by_fresh]], TAMPERED),
        ("key-revoked-after", [[registered], [by_fresh], [bench.event(REVOKE_KEY, revoke)]],
         VERIFIED),
        ("key-revokes-itself",
         [[registered], [bench.event(REVOKE_KEY, revoke, keys=[fresh])]], VERIFIED),
        ("key-revoked-twice",
         [[registered], [revoked], [bench.event(REVOKE_KEY, revoke)]], TAMPERED + VERIFIED),
        ("key-unknown-revoked", [[bench.event(REVOKE_KEY, revoke)]], TAMPERED),
        ("key-revoked-registered-again",
         [[registered], [revoked], [bench.register(public)]], TAMPERED),
    ):
        yield Made(name, bench.append(*batches), verdict, rules_may_refuse="twice" in name)
    for name, odd in odd_keys():
        yield Made(f"key-{name}", bench.append([bench.register(odd)]), TAMPERED)


def odd_keys() -> Iterator[tuple[str, bytes]]:
    for at, small in enumerate(sorted(strict.SMALL_ORDER)):
        yield f"small-order-{at}", small
    yield "y-not-below-p", (strict.P + 3).to_bytes(32, "little")
    yield "x-0-with-sign", (1 | 1 << 255).to_bytes(32, "little")
    yield "no-point", next(y.to_bytes(32, "little") for y in map(lambda n: n, range(2, 99))
                           if strict.decode(y.to_bytes(32, "little")) is None)
    yield "of-31-bytes", bytes(range(31))


def statements(bench: Bench) -> Iterator[Made]:
    good = bench.restart()
    two = sign(STATEMENT, good.envelope.payload, bench.world.ledger_key, bench.coordinator)
    as_event = sign(EVENT, good.envelope.payload, bench.world.ledger_key)
    link = Link(seeded_id("a lot"), 0, NO_ENTRY)
    for name, step, verdict in (
        ("by-coordinator", bench.restart(key=bench.coordinator), TAMPERED),
        ("by-stranger", bench.restart(key=bench.stranger), TAMPERED),
        ("by-two", Step(two, STATEMENT), TAMPERED),
        ("signed-as-an-event", Step(as_event, STATEMENT), TAMPERED),
        ("other-origin", bench.restart(origin="urbanmine.example/other"), TAMPERED),
        ("with-link", replace(good, links=(link,)), TAMPERED),
        ("event-of-the-kind", replace(bench.note(), kind=STATEMENT), TAMPERED),
        ("empty-note", bench.statement(RESTART_NOTE, b""), BOTH_BAD + VERIFIED),
        ("long-note", bench.statement(RESTART_NOTE, message((1, "x" * 65))), TAMPERED),
        ("no-body", Step(sign(STATEMENT, message((1, bench.world.origin)),
                              bench.world.ledger_key), STATEMENT), TAMPERED),
    ):
        yield Made(f"statement-{name}", bench.append([step]), verdict)
    yield from lot_states(bench)


def lot_states(bench: Bench) -> Iterator[Made]:
    """Section 18: the stated root is the one that the entries give."""
    size, lots = bench.last.index + 1, bench.world.state.lots
    right = map_root({lot: (ordinal + 1, last) for lot, (ordinal, last) in lots.items()})
    one_less = map_root({lot: (ordinal + 1, last) for lot, (ordinal, last) in list(
        lots.items())[1:]})

    def state(root: bytes, tree_size: int = size, **fields) -> Step:
        return bench.statement(LOT_STATE_ROOT, message((1, tree_size), (2, root)), **fields)

    for name, batch, verdict in (
        ("right", [state(right)], VERIFIED),
        ("root-of-zeros", [state(bytes(32))], TAMPERED),
        ("root-without-a-lot", [state(one_less)], TAMPERED),
        ("root-of-31-bytes", [state(right[:31])], TAMPERED),
        ("size-one-less", [state(right, size - 1)], TAMPERED),
        ("size-one-more", [state(right, size + 1)], TAMPERED),
        ("by-coordinator", [state(right, key=bench.coordinator)], TAMPERED),
        ("in-a-batch", [state(right), bench.note()], TAMPERED),
    ):
        yield Made(f"lot-states-{name}", bench.append(batch), verdict)


def rotations(bench: Bench) -> Iterator[Made]:
    following, after = seeded_key("the next ledger key"), seeded_key("the one after")
    old, r = bench.world.ledger_key, bench.last.index + 1
    new_pin, note = public_of(following), bench.restart(key=following)
    turn = lambda size: old if size <= r + 1 else following
    sound = [bench.rotation(following)]

    def made(name, *batches, verdict, keys=turn, at=(r,), pin=None) -> Made:
        return Made(f"rotation-{name}", bench.append(*batches, key_of_size=keys), verdict,
                    rotations=at, pin=pin)

    yield made("good", sound, [note], verdict=VERIFIED)
    yield made("good-by-new-pin", sound, [note], verdict=VERIFIED, pin=new_pin)
    yield made("good-event-after", sound, [bench.note()], verdict=VERIFIED)
    yield made("last-entry", sound, verdict=VERIFIED)
    yield made("last-entry-by-new-pin", sound, verdict=UNDETERMINED, pin=new_pin)
    yield made("checkpoint-by-old-key", sound, [note], verdict=TAMPERED, keys=lambda size: old)
    yield made("checkpoint-by-new-key", sound, [note], verdict=TAMPERED,
               keys=lambda size: old if size <= r else following)
    yield made("statement-by-old-key", sound, [bench.restart()], verdict=TAMPERED)
    yield made("by-new-key", [bench.rotation(following, key=following)], [note],
               verdict=TAMPERED)
    yield made("possession-by-old-key", [bench.rotation(following, possession=old.sign(b"x"))],
               [note], verdict=TAMPERED)
    yield made("possession-of-zeros", [bench.rotation(following, possession=bytes(64))], [note],
               verdict=TAMPERED)
    yield made("to-itself", [bench.rotation(old)], [bench.restart()], verdict=TAMPERED,
               keys=lambda size: old)
    yield made("to-a-party", [bench.rotation(bench.party_key)], verdict=TAMPERED)
    bare = bench.statement(ROTATION, message((1, new_pin)))
    yield made("without-possession", [bare], [note], verdict=TAMPERED)
    small = message((1, min(strict.SMALL_ORDER)), (2, bytes(64)))
    yield made("to-small-order", [bench.statement(ROTATION, small)], verdict=TAMPERED,
               keys=lambda size: old)
    yield made("key-of-31-bytes", [bench.statement(ROTATION, message((1, new_pin[:31]),
               (2, bytes(64))))], verdict=TAMPERED, keys=lambda size: old)
    for count, verdict in ((63, VERIFIED), (64, TAMPERED)):
        chain = [old, *(seeded_key(f"key {number}") for number in range(count))]
        steps = [[bench.rotation(to, key=by)] for by, to in zip(chain, chain[1:])]
        by_size = lambda size, chain=chain: chain[min(max(size - r - 1, 0), len(chain) - 1)]
        yield made(f"{count}-times", *steps, [bench.restart(key=chain[-1])], verdict=verdict,
                   keys=by_size, at=tuple(range(r, r + count)))
    yield made("registered-after", sound, [bench.register(new_pin)], verdict=TAMPERED)
    yield made("in-a-batch", [bench.rotation(following), bench.restart()], verdict=TAMPERED,
               keys=lambda size: old if size <= r else following)
    second = bench.rotation(after, key=following)
    late = lambda size: old if size <= r + 1 else following if size <= r + 2 else after
    yield made("twice", sound, [second], [bench.restart(key=after)], verdict=VERIFIED, keys=late,
               at=(r, r + 1))
    yield made("twice-by-middle-pin", sound, [second], [bench.restart(key=after)],
               verdict=VERIFIED, keys=late, at=(r, r + 1), pin=new_pin)
    yield made("and-back", sound, [bench.rotation(old, key=following)], verdict=TAMPERED)


def tables(bench: Bench) -> Iterator[Made]:
    """A second table set, whose clock skew is another."""
    world = bench.world
    whole = published(world)
    skew = clock_skew(parse_table_set(whole))
    changed = with_skew(whole, skew, skew + 7)
    names = strict.hashlib.sha256(changed).digest()
    chunks = [changed[at : at + MAX_CHUNK] for at in range(0, len(changed), MAX_CHUNK)]

    def chunk(number: int, content: bytes, *, count: int = len(chunks), name: bytes = names):
        numbered = [(2, number)] if number else []
        return bench.event(PUBLISH_TABLES, message((1, name), *numbered, (3, count), (4, content)))

    steps = [chunk(number, content) for number, content in enumerate(chunks)]
    latest = bench.now + 1_000 * len(chunks) + skew
    under_new = lambda step: replace(step, turn=lambda entry: replace(entry, tables_hash=names))
    alone = [[step] for step in steps]
    for name, batches, verdict in (
        ("published", [*alone, [under_new(bench.note())]], VERIFIED),
        ("published-new-skew", [*alone, [under_new(bench.note(occurred=latest + 7))]], VERIFIED),
        ("published-beyond-skew", [*alone, [under_new(bench.note(occurred=latest + 8))]],
         TAMPERED),
        ("old-hash-after", [*alone, [bench.note()]], TAMPERED),
        ("new-hash-early", [*alone[:-1], [under_new(steps[-1])]], TAMPERED),
        ("last-chunk-missing", alone[:-1], VERIFIED),
        ("begun-again", [alone[0], *alone_again(chunk, chunks)], VERIFIED),
        ("chunk-out-of-order", [alone[0], alone[-1]] if len(alone) > 2 else [alone[-1]], TAMPERED),
        ("chunk-count-changes", [alone[0], [chunk(1, chunks[1], count=len(chunks) + 1)]],
         TAMPERED),
        ("chunk-changed", [*alone[:-1], [chunk(len(chunks) - 1, chunks[-1] + b"x")]], TAMPERED),
        ("event-between", [alone[0], [bench.note()], *alone[1:]], VERIFIED),
    ):
        yield Made(f"tables-{name}", bench.append(*batches), verdict)
    for name, step in (
        ("no-chunks", chunk(0, b"x", count=0)), ("65-chunks", chunk(0, b"x", count=65)),
        ("chunk-beyond", chunk(1, b"x", count=1)), ("chunk-empty", chunk(0, b"")),
        ("chunk-too-long", chunk(0, bytes(MAX_CHUNK + 1))),
    ):
        yield Made(f"tables-{name}", bench.append([step]), TAMPERED)
    first = [list(world.copy.groups[0][0])]
    yield Made("tables-first-is-another", bench.append([steps[0]], before=first), TAMPERED)
    yield from malformed_tables(bench, whole)


def malformed_tables(bench: Bench, whole: bytes) -> Iterator[Made]:
    """Sets that hash as they say, and are none."""
    files = parse_table_set(whole)
    parameters = files[b"parameters.csv"]
    skew = next(line for line in parameters.split(b"\n") if line.startswith(b"CLOCK_SKEW_MS,"))
    in_words = skew.replace(skew.split(b",")[1], b"five", 1)

    def with_parameters(data: bytes) -> bytes:
        return joined({**files, b"parameters.csv": data})

    for name, made in (
        ("cut", whole[:-1]), ("longer", whole + b"x"), ("no-equals", b"=" + whole[3:]),
        ("zero-before-length", whole.replace(b" ", b" 0", 2).replace(b" 0", b" ", 1)),
        ("two-blanks", whole.replace(b"== ", b"==  ", 1)),
        ("descending", joined(dict(reversed(files.items())))),
        ("no-parameters", joined({key: data for key, data in files.items()
                                  if key != b"parameters.csv"})),
        ("other-header", with_parameters(parameters.replace(b"name,value", b"value,name", 1))),
        ("no-skew", with_parameters(parameters.replace(skew + b"\n", b""))),
        ("skew-twice", with_parameters(parameters.replace(skew, skew + b"\n" + skew))),
        ("skew-in-words", with_parameters(parameters.replace(skew, in_words))),
    ):
        steps = [[bench.event(PUBLISH_TABLES, content)] for content in chunks_of(made)]
        yield Made(f"tables-{name}", bench.append(*steps), TAMPERED)


def chunks_of(whole: bytes) -> list[bytes]:
    """The bodies of the events that publish a set."""
    name = strict.hashlib.sha256(whole).digest()
    parts = [whole[at : at + MAX_CHUNK] for at in range(0, len(whole), MAX_CHUNK)]
    return [message((1, name), *([(2, number)] if number else []), (3, len(parts)), (4, part))
            for number, part in enumerate(parts)]


def joined(files: dict[bytes, bytes]) -> bytes:
    return b"".join(b"== %b %d\n%b" % (name, len(data), data) for name, data in files.items())


def alone_again(chunk, chunks: list[bytes]) -> list[list[Step]]:
    return [[chunk(number, content)] for number, content in enumerate(chunks)]


def published(world: World) -> bytes:
    """The table set that is in the ledger."""
    parts = []
    for entry in world.entries:
        event = world.walk.read("Event", entry.envelope.payload) if entry.kind == EVENT else {}
        if event.get("body") == "publish_tables":
            parts.append(event["publish_tables"]["content"])
            if len(parts) == event["publish_tables"]["chunk_count"]:
                break
    return b"".join(parts)


def with_skew(whole: bytes, before: int, after: int) -> bytes:
    files = parse_table_set(whole)
    old, new = (f"CLOCK_SKEW_MS,{value},".encode() for value in (before, after))
    files[b"parameters.csv"] = files[b"parameters.csv"].replace(old, new)
    return joined(files)


def correctives(bench: Bench) -> Iterator[Made]:
    """Section 7: what an error announces follows it, in order, in the same batch."""
    world = bench.world
    for entry in world.entries[1:]:
        event = world.walk.read("Event", entry.envelope.payload) if entry.kind == EVENT else {}
        if event.get("body") == "declare_error" and "correctives" in event["declare_error"]:
            break
    else:
        return
    first, end = entry.batch_first, entry.batch_first + entry.batch_length
    before = [list(raws) for raws, size in groups_with_ends(world) if size <= first]
    if sum(map(len, before)) != first or entry.index != first:
        return
    declared, *following = [Step(one.envelope, links=one.links) for one in
                            world.entries[first:end]]
    key = world.key_of(event["actor_party_id"])
    payload = following[0].envelope.payload
    resigned = replace(following[0], envelope=sign(EVENT, payload, key))
    changed = replace(following[0], envelope=sign(EVENT, payload.replace(
        following_id(world, payload), seeded_id("another corrective")), key))
    for name, batches, verdict in (
        ("as-announced", [[declared, *following]], VERIFIED),
        ("signed-again", [[declared, resigned, *following[1:]]], VERIFIED),
        ("missing", [[declared]], TAMPERED),
        ("in-the-next-batch", [[declared], following], TAMPERED),
        ("note-instead", [[declared, *[bench.note() for _ in following]]], TAMPERED),
        ("note-between", [[declared, bench.note(), *following]], TAMPERED),
        ("statement-instead", [[declared, bench.restart(), *following]], TAMPERED),
        ("other-id", [[declared, changed, *following[1:]]], TAMPERED),
        ("note-after", [[declared, *following, bench.note()]], VERIFIED),
    ):
        yield Made(f"correctives-{name}", bench.append(*batches, before=before), verdict)


def following_id(world: World, payload: bytes) -> bytes:
    return world.walk.read("Event", payload)["event_id"]


def geneses(bench: Bench) -> Iterator[Made]:
    """Section 8: the first entry made anew, and everything behind it sealed and signed again."""
    world, first = bench.world, bench.world.entries[0]
    payload = first.envelope.payload
    event = world.walk.read("Event", payload)
    own, ledger = (world.keys[strict.key_id(event["genesis"][name])] for name in
                   ("coordinator_public_key", "ledger_public_key"))
    moment = varint(5 << 3) + varint(event["occurred_at_ms"])
    later = varint(5 << 3) + varint(first.recorded_at + 1)
    party, other = event["actor_party_id"], seeded_id("another coordinator")
    actor = message((3, party))
    by = lambda changed, *keys: replace(first, envelope=sign(EVENT, changed, *keys))
    both, small = (own, ledger), min(strict.SMALL_ORDER)
    for name, entry, verdict in (
        ("again", by(payload, *both), VERIFIED),
        ("by-coordinator-alone", by(payload, own), TAMPERED),
        ("by-ledger-alone", by(payload, ledger), TAMPERED),
        ("by-three", by(payload, *both, bench.party_key), TAMPERED),
        ("by-strangers", by(payload, own, bench.stranger), TAMPERED),
        ("after-it-is-recorded", by(payload.replace(moment, later), *both), TAMPERED),
        ("other-actor", by(payload.replace(actor, message((3, other)), 1), *both), TAMPERED),
        ("other-tables", replace(first, tables_hash=bytes(32)), TAMPERED),
        ("other-rules-version", replace(first, rules_version=first.rules_version + 1), BOTH_BAD),
        ("batch-of-2", replace(first, batch_length=2), TAMPERED),
        ("with-a-link", replace(first, links=(Link(seeded_id("a lot"), 0, NO_ENTRY),)), TAMPERED),
        ("a-statement", replace(first, kind=STATEMENT), TAMPERED),
        ("ledger-key-small", by(payload.replace(public_of(ledger), small), *both), TAMPERED),
        ("own-key-small", by(payload.replace(public_of(own), small), *both), TAMPERED),
        ("one-key-for-both", by(payload.replace(public_of(ledger), public_of(own)), own),
         TAMPERED),
    ):
        rest = world.entries[1:]
        sealed = seal([entry, *rest], renumber=False)
        groups, at = [], 0
        for raws, _ in world.copy.groups:
            groups.append([one.raw for one in sealed[at : at + len(raws)]])
            at += len(raws)
        yield Made(f"genesis-{name}", signed(bench, groups), verdict)
    yield Made("genesis-missing", signed(bench, [[one.raw] for one in seal(world.entries[1:])]),
               TAMPERED)
    zeros = [replace(first, chain_before=b"\x01" * 32, raw=b""), *world.entries[1:]]
    raws = [one.raw or write_entry(one) for one in zeros]
    yield Made("genesis-after-something", signed(bench, [[raw] for raw in raws]), TAMPERED)
