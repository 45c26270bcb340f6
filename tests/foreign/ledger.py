"""What has to hold between entries: docs/FORMAT.md, sections 5, 7 to 9 and 18.

`Ledger.take` reads one entry after the other, from 0. Whether an event was *allowed* (section 15,
step 8: custody, mass, roles) is a matter of the rules, which are not on that page, and not here.
"""

import hashlib
from dataclasses import dataclass, field

import strict
from canonical import NonCanonical, Walk
from layout import (EVENT, NO_ENTRY, PAYLOAD_TYPES, STATEMENT, Entry, Refused, Tree, chain_value,
                    is_id, leaf_hash, pae, parse_entry, require)
from lots import map_root

FIRST_SKEW_MS = 300_000
MAX_LEDGER_KEYS = 64
MAX_CHUNK, MAX_CHUNKS = 40_000, 64
MAX_SOFTWARE = 64
MAX_SUCCESSION_CHAIN = 8

TAMPERED, UNDETERMINED, WARNING = "tampered", "undetermined", "warnings"
WEIGHTS = {
    "checkpoint-empty": UNDETERMINED,
    "checkpoint-missing": UNDETERMINED,
    "checkpoint-unchecked": UNDETERMINED,
    "export-unreadable": UNDETERMINED,
    "format-unknown": UNDETERMINED,
    "journal-unreadable": UNDETERMINED,
    "no-entries": UNDETERMINED,
    "pin-unvouched": UNDETERMINED,
    "pins-missing": WARNING,
    "rotation-uncovered": UNDETERMINED,
}


@dataclass(frozen=True)
class Finding:
    """`kind` is the name that the ledger's own verifier has for it; those that are not in WEIGHTS
    are tampering."""

    index: int | None
    kind: str
    detail: str

    def weight(self) -> str:
        return WEIGHTS.get(self.kind, TAMPERED)


class Broken(Exception):
    """An entry breaks a rule between entries."""

    def __init__(self, kind: str, detail: str, index: int | None = None):
        super().__init__(detail)
        self.kind, self.index = kind, index


def hold(holds: bool, kind: str, detail: str, index: int | None = None) -> None:
    if not holds:
        raise Broken(kind, detail, index)


@dataclass
class PartyKey:
    """A registered key (section 5)."""

    public_key: bytes
    party: bytes
    valid_from: int
    valid_to: int
    revoked: bool = False

    def in_force(self, at_ms: int) -> bool:
        return self.valid_from <= at_ms and (self.valid_to == 0 or at_ms < self.valid_to)


@dataclass
class Publication:
    """A table set on its way (section 9)."""

    set_hash: bytes
    count: int
    chunks: list[bytes] = field(default_factory=list)


@dataclass(frozen=True)
class LedgerKey:
    """A key of the ledger: it signs checkpoints of more than `after` entries."""

    public_key: bytes
    after: int


class Ledger:
    """The state that follows from the entries read so far."""

    def __init__(self, walk: Walk, pinned_origin: str | None):
        self.walk = walk
        self.origin = pinned_origin
        self.findings: list[Finding] = []
        self.tree, self.roots = Tree(), {}
        self.next_index, self.chain, self.recorded_at = 0, bytes(32), 0
        self.batch = (0, 0)
        self.lots: dict[bytes, tuple[int, int]] = {}
        # Replay: what the events made. It ends at the first entry that is wrong.
        self.replays = True
        self.keys: dict[bytes, PartyKey] = {}
        self.ledger_keys: list[LedgerKey] = []
        self.event_ids: dict[bytes, int] = {}
        self.parties_of_offer: dict[bytes, tuple[bytes, bytes]] = {}
        self.offer_of_settlement: dict[bytes, bytes] = {}
        self.successions: dict[bytes, list[tuple[bytes, int]]] = {}
        self.correctives: list[tuple[bytes, bytes, int]] = []
        self.rules_version, self.tables_hash, self.skew_ms = 0, b"", FIRST_SKEW_MS
        self.publication: Publication | None = None
        self.has_tables = False

    # --- Sequence ---------------------------------------------------------------------------

    def take(self, raw: bytes, sizes: frozenset[int] = frozenset()) -> None:
        """Reads the next entry. Roots at `sizes` and behind rotations are kept in `roots`."""
        place, key_count = self.next_index, len(self.ledger_keys)
        try:
            entry = parse_entry(raw)
        except Refused as refusal:
            kind = "entry-malformed"
            if len(raw) >= 2 and raw[:2] != b"\x00\x01":
                kind = "format-unknown"
            self.find(place, kind, str(refusal))
            entry = None
        if entry is not None:
            for check in (self.check_index, self.check_chain, self.check_time, self.check_batch,
                          self.check_links):
                self.guard(place, check, entry)
            if self.replays:
                self.guard(place, self.replay, entry)
        self.chain = chain_value(raw)
        self.tree.push(leaf_hash(raw))
        self.next_index += 1
        if self.next_index in sizes or len(self.ledger_keys) > key_count:
            self.roots[self.next_index] = self.tree.root()

    def guard(self, place: int, check, entry: Entry) -> None:
        try:
            check(entry)
        except NonCanonical as refusal:
            self.find(place, "non-canonical", str(refusal))
        except Refused as refusal:
            self.find(place, "event-malformed", str(refusal))
        except Broken as broken:
            self.find(place if broken.index is None else broken.index, broken.kind, str(broken))

    def find(self, index: int | None, kind: str, detail: str) -> None:
        self.findings.append(Finding(index, kind, detail))
        if WEIGHTS.get(kind, TAMPERED) == TAMPERED or kind == "format-unknown":
            self.replays = False

    def check_index(self, entry: Entry) -> None:
        hold(entry.index == self.next_index, "index-wrong",
             f"index {entry.index} at place {self.next_index}")

    def check_chain(self, entry: Entry) -> None:
        hold(entry.chain_before == self.chain, "chain-broken",
             "the chain value before is not that of the entry before")

    def check_time(self, entry: Entry) -> None:
        before, self.recorded_at = self.recorded_at, max(self.recorded_at, entry.recorded_at)
        hold(before <= entry.recorded_at, "time-decreases",
             f"recorded_at {entry.recorded_at} after {before}")

    def check_batch(self, entry: Entry) -> None:
        first, length = self.batch
        named = (entry.batch_first, entry.batch_length)
        is_member = self.next_index < first + length
        self.batch = self.batch if is_member else named
        if is_member:
            hold(named == (first, length), "batch-broken", f"batch {named} within {self.batch}")
        else:
            hold(named[0] == self.next_index, "batch-broken",
                 f"a batch begins at {self.next_index}, and says {named[0]}")

    def check_links(self, entry: Entry) -> None:
        for link in entry.links:
            before = self.lots.get(link.lot_id)
            expected = (0, NO_ENTRY) if before is None else (before[0] + 1, before[1])
            self.lots[link.lot_id] = (link.ordinal, self.next_index)
            hold((link.ordinal, link.previous) == expected, "links-wrong",
                 f"lot {link.lot_id.hex()}: ordinal and previous entry are "
                 f"{(link.ordinal, link.previous)}, not {expected}")

    # --- Replay -----------------------------------------------------------------------------

    def replay(self, entry: Entry) -> None:
        word = "Event" if entry.kind == EVENT else "Statement"
        message = self.walk.read(word, entry.envelope.payload)
        if self.origin is None:
            self.origin = message.get("origin", "")
        hold(message.get("origin", "") == self.origin, "origin-mismatch",
             f"origin {message.get('origin', '')!r}, pinned {self.origin!r}")
        if entry.index == 0:
            self.genesis(entry, message)
            return
        hold((entry.rules_version, entry.tables_hash) == (self.rules_version, self.tables_hash),
             "rules-wrong" if entry.rules_version != self.rules_version else "tables-wrong",
             "rules version and tables hash are not those in force")
        if entry.kind == STATEMENT:
            hold(not self.correctives, "correctives-missing", "a statement stands where a "
                 "corrective should")
            self.statement(entry, message)
        else:
            self.event(entry, message)

    def genesis(self, entry: Entry, event: dict) -> None:
        hold(event["body"] == "genesis", "rule-broken", "entry 0 is a genesis")
        genesis, coordinator = event["genesis"], event["genesis"].get("coordinator", {})
        self.check_event_fields(entry, event, skew_ms=0)
        actor, party = event.get("actor_party_id", b""), coordinator.get("party_id", b"")
        hold(actor == party, "event-malformed", "the actor is the coordinator that it names")
        ledger_key = genesis.get("ledger_public_key", b"")
        own_key = genesis.get("coordinator_public_key", b"")
        for key in (ledger_key, own_key):
            hold(strict.key_refusal(key) is None, "key-unsound", strict.key_refusal(key) or "")
        hold(ledger_key != own_key, "key-unsound", "coordinator and ledger have two keys")
        named = (genesis.get("rules_version", 0), genesis.get("tables_sha256", b""))
        hold((entry.rules_version, entry.tables_hash) == named, "rules-wrong",
             "the genesis carries the rules version and the tables hash that it names")
        self.rules_version, self.tables_hash = named
        self.check_signatures(entry, [own_key, ledger_key])
        self.ledger_keys = [LedgerKey(ledger_key, 0)]
        self.keys[strict.key_id(own_key)] = PartyKey(own_key, party, event["occurred_at_ms"], 0)

    def event(self, entry: Entry, event: dict) -> None:
        body = event[event["body"]]
        hold(event["body"] != "genesis", "rule-broken", "no entry but the first is a genesis")
        hold(self.has_tables or event["body"] == "publish_tables", "rule-broken",
             "until the first tables are published no other event is admitted")
        self.check_event_fields(entry, event, self.skew_ms)
        self.check_corrective(entry, event)
        self.check_signers(entry, event)
        handler = getattr(self, f"take_{event['body']}", None)
        if handler is not None:
            handler(entry, event, body)

    def check_event_fields(self, entry: Entry, event: dict, skew_ms: int) -> None:
        event_id = event.get("event_id", b"")
        require(is_id(event_id), "event_id is a UUID of version 7")
        require(is_id(event.get("actor_party_id", b"")), "actor_party_id is a UUID of version 7")
        before = self.event_ids.setdefault(event_id, entry.index)
        hold(before == entry.index, "rule-broken", f"event id {event_id.hex()} is that of {before}")
        occurred = event.setdefault("occurred_at_ms", 0)
        hold(occurred <= entry.recorded_at + skew_ms, "rule-broken",
             f"occurred_at_ms {occurred} is after recorded_at {entry.recorded_at} plus {skew_ms}")

    def check_corrective(self, entry: Entry, event: dict) -> None:
        if not self.correctives:
            return
        event_id, payload_hash, declared = self.correctives.pop(0)
        found = hashlib.sha256(entry.envelope.payload).digest()
        hold((event.get("event_id"), found) == (event_id, payload_hash), "correctives-missing",
             f"entry {declared} announced another corrective here")

    # --- Signers (section 5) ------------------------------------------------------------------

    def check_signers(self, entry: Entry, event: dict) -> None:
        actor, occurred = event["actor_party_id"], event["occurred_at_ms"]
        parties = [actor]
        offer = None
        if event["body"] == "settle_discrepancy":
            offer = event["settle_discrepancy"].get("offer_event_id", b"")
        elif event["body"] == "declare_error":
            target = event["declare_error"].get("target_event_id", b"")
            offer = self.offer_of_settlement.get(target)
        if offer is not None:
            hold(offer in self.parties_of_offer, "rule-broken", "the transfer is not known")
            parties = {self.acting(party, occurred) for party in self.parties_of_offer[offer]}
            hold(actor in parties, "rule-broken", "the actor is one of the transfer's parties")
        keys = []
        for key_id, _ in entry.envelope.signatures:
            key = self.keys.get(key_id)
            hold(key is not None, "signer-unknown", f"key {key_id.hex()} is not registered")
            hold(not key.revoked, "signer-unknown", f"key {key_id.hex()} was revoked")
            hold(key.in_force(occurred), "signer-unknown",
                 f"key {key_id.hex()} is not in force at {occurred}")
            keys.append(key)
        hold(sorted(key.party for key in keys) == sorted(parties), "signer-unknown",
             "the signers are not exactly one key of each party that has to sign")
        self.check_signatures(entry, [key.public_key for key in keys])

    def acting(self, party: bytes, at_ms: int) -> bytes:
        """Who acts for a party at a moment: the successor in its latest succession by then, and so
        on. A party that was named its own successor acts for itself."""
        for _ in range(MAX_SUCCESSION_CHAIN):
            successors = [successor for successor, since in self.successions.get(party, ())
                          if since <= at_ms]
            if not successors or successors[-1] == party:
                break
            party = successors[-1]
        return party

    def check_signatures(self, entry: Entry, public_keys: list[bytes]) -> None:
        """The signatures are by exactly these (accepted) keys, and hold."""
        by_id = {strict.key_id(key): key for key in public_keys}
        ids = [key_id for key_id, _ in entry.envelope.signatures]
        hold(ids == sorted(by_id), "signer-unknown", "the signers are not exactly those required")
        message = pae(PAYLOAD_TYPES[entry.kind], entry.envelope.payload)
        for key_id, signature in entry.envelope.signatures:
            hold(strict.holds(by_id[key_id], signature, message), "signature-invalid",
                 f"the signature by key {key_id.hex()} does not hold")

    # --- Events that change what is checked here -----------------------------------------------

    def take_register_key(self, entry: Entry, event: dict, body: dict) -> None:
        public_key = body.get("public_key", b"")
        refusal = strict.key_refusal(public_key)
        hold(refusal is None, "key-unsound", refusal or "")
        key_id = strict.key_id(public_key)
        hold(key_id not in self.keys, "rule-broken", "a public key is registered once")
        hold(all(key.public_key != public_key for key in self.ledger_keys), "rule-broken",
             "a key of the ledger is never a party's")
        self.keys[key_id] = PartyKey(public_key, body.get("party_id", b""),
                                     body.get("valid_from_ms", 0), body.get("valid_to_ms", 0))

    def take_revoke_key(self, entry: Entry, event: dict, body: dict) -> None:
        key = self.keys.get(body.get("key_id", b""))
        hold(key is not None, "rule-broken", "the key that is revoked is not registered")
        key.revoked = True

    def take_offer_transfer(self, entry: Entry, event: dict, body: dict) -> None:
        pair = event["actor_party_id"], body.get("consignee_party_id", b"")
        self.parties_of_offer[event["event_id"]] = pair

    def take_return_transfer(self, entry: Entry, event: dict, body: dict) -> None:
        before = self.parties_of_offer.get(body.get("offer_event_id", b""))
        hold(before is not None, "rule-broken", "the transfer that goes back is not known")
        self.parties_of_offer[event["event_id"]] = event["actor_party_id"], before[0]

    def take_settle_discrepancy(self, entry: Entry, event: dict, body: dict) -> None:
        self.offer_of_settlement[event["event_id"]] = body["offer_event_id"]

    def take_succeed_party(self, entry: Entry, event: dict, body: dict) -> None:
        succession = body.get("successor_party_id", b""), event["occurred_at_ms"]
        self.successions.setdefault(body.get("party_id", b""), []).append(succession)

    def take_declare_error(self, entry: Entry, event: dict, body: dict) -> None:
        announced = body.get("correctives", [])
        end = entry.batch_first + entry.batch_length
        hold(entry.index + len(announced) < end, "correctives-missing",
             "the batch has no room for the correctives")
        self.correctives = [(item.get("event_id", b""), item.get("payload_sha256", b""),
                             entry.index) for item in announced]

    # --- Tables (section 9) --------------------------------------------------------------------

    def take_publish_tables(self, entry: Entry, event: dict, body: dict) -> None:
        set_hash, count = body.get("tables_sha256", b""), body.get("chunk_count", 0)
        number, content = body.get("chunk_index", 0), body.get("content", b"")
        hold(1 <= count <= MAX_CHUNKS and number < count, "rule-broken",
             f"chunk {number} of {count}: a set has 1 to {MAX_CHUNKS} chunks")
        hold(1 <= len(content) <= MAX_CHUNK, "rule-broken",
             f"a chunk has 1 to {MAX_CHUNK} bytes, not {len(content)}")
        hold(self.has_tables or set_hash == self.tables_hash, "rule-broken",
             "the first set is the one that the genesis names")
        if number == 0:
            self.publication = Publication(set_hash, count)
        under_way = self.publication
        hold(under_way is not None and (under_way.set_hash, under_way.count) == (set_hash, count)
             and len(under_way.chunks) == number, "rule-broken",
             f"chunk {number} of {count} is not the next of the publication under way")
        under_way.chunks.append(content)
        if number + 1 == count:
            self.publication = None
            self.publish(b"".join(under_way.chunks), set_hash)

    def publish(self, whole: bytes, set_hash: bytes) -> None:
        hold(hashlib.sha256(whole).digest() == set_hash, "rule-broken",
             "the chunks do not hash to the table set")
        self.skew_ms = clock_skew(parse_table_set(whole))
        self.tables_hash, self.has_tables = set_hash, True

    # --- Statements (section 8) ----------------------------------------------------------------

    def statement(self, entry: Entry, statement: dict) -> None:
        self.check_signatures(entry, [self.ledger_keys[-1].public_key])
        body = statement[statement["body"]]
        if statement["body"] == "ledger_key_rotation":
            self.rotate(entry, body)
        elif statement["body"] == "restart_note":
            require(len(body.get("software", "").encode()) <= MAX_SOFTWARE,
                    f"software has at most {MAX_SOFTWARE} bytes")
        elif statement["body"] == "lot_state_root":
            self.state_lots(entry, body)

    def rotate(self, entry: Entry, body: dict) -> None:
        wrong, key = "statement-invalid", body.get("next_public_key", b"")
        refusal = strict.key_refusal(key)
        hold(refusal is None, wrong, refusal or "")
        hold(all(known.public_key != key for known in self.ledger_keys), wrong,
             "the next key is or was a key of this ledger")
        hold(strict.key_id(key) not in self.keys, wrong, "the next key is registered for a party")
        hold(len(self.ledger_keys) < MAX_LEDGER_KEYS, wrong, "a ledger has at most 64 keys")
        message = pae(PAYLOAD_TYPES[STATEMENT], without_possession(entry.envelope.payload))
        possession = body.get("possession_signature", b"")
        hold(strict.holds(key, possession, message), wrong, "the possession signature holds")
        hold(entry.batch_length == 1, wrong, "a rotation is alone in its batch")
        self.ledger_keys.append(LedgerKey(key, entry.index + 1))

    def state_lots(self, entry: Entry, body: dict) -> None:
        """Section 18. A statement has no links, so the lots are as the entries before it left
        them."""
        wrong = "statement-invalid"
        hold(body.get("tree_size", 0) == entry.index, wrong,
             f"tree_size {body.get('tree_size', 0)} in entry {entry.index}")
        hold(entry.batch_length == 1, wrong, "a lot-state root is alone in its batch")
        states = {lot_id: (ordinal + 1, last) for lot_id, (ordinal, last) in self.lots.items()}
        hold(body.get("root", b"") == map_root(states), wrong, "the lots have another root")

    # --- What the caller asks at the end --------------------------------------------------------

    def key_for(self, size: int) -> bytes | None:
        """The key that signs a checkpoint of so many entries."""
        keys = [known.public_key for known in self.ledger_keys if known.after < size or size == 0]
        return (keys[0] if size == 0 else keys[-1]) if keys else None

    def rotations(self) -> list[int]:
        """The indexes of the rotations."""
        return [known.after - 1 for known in self.ledger_keys[1:]]

    def finish(self) -> None:
        """After the last entry."""
        first, length = self.batch
        if self.next_index and first + length > self.next_index:
            self.find(self.next_index, "batch-broken",
                      f"the batch from {first} of {length} is not complete")
        if self.correctives and self.replays:
            self.find(self.correctives[0][2], "correctives-missing", "the correctives are missing")


def without_possession(payload: bytes) -> bytes:
    """The statement without its last field `12 40 ..` (66 bytes), its body 66 bytes shorter."""
    before = payload[:-66]
    at = len(before) - 35
    require(len(payload) > 101 and payload[-66:-64] == b"\x12\x40" and payload[at] == 0x64
            and payload[at + 1 : at + 3] == b"\x0a\x20", "a rotation holds a key and a signature")
    return before[:at] + b"\x22" + before[at + 1 :]


def parse_table_set(whole: bytes) -> dict[bytes, bytes]:
    """The files of a table set by name."""
    files, at = {}, 0
    while at < len(whole):
        end = whole.find(b"\n", at)
        hold(end >= 0, "rule-broken", "a header of the table set ends with its line")
        parts = whole[at:end].split(b" ")
        hold(len(parts) == 3 and parts[0] == b"==" and parts[1] != b"", "rule-broken",
             "a header of the table set is `== <file name> <length>`")
        name, digits = parts[1], parts[2]
        hold(digits.isdigit() and str(int(digits)).encode() == digits, "rule-broken",
             "the length of a table is a decimal")
        hold(not files or max(files) < name, "rule-broken", "table files ascend by name")
        at = end + 1 + int(digits)
        hold(at <= len(whole), "rule-broken", "a table ends early")
        files[name] = whole[end + 1 : at]
    return files


def clock_skew(files: dict[bytes, bytes]) -> int:
    """The row CLOCK_SKEW_MS of parameters.csv, in milliseconds. Tables have no quoting."""
    lines = files.get(b"parameters.csv", b"").split(b"\n")
    hold(lines[0] == b"name,value,unit,source", "rule-broken", "the table set has parameters.csv")
    values = [fields[1] for fields in (line.split(b",") for line in lines[1:])
              if fields[0] == b"CLOCK_SKEW_MS" and len(fields) == 4]
    hold(len(values) == 1 and values[0].isdigit(), "rule-broken", "CLOCK_SKEW_MS is one number")
    return int(values[0])
