"""The second verifier against the page's golden vectors, and against input built to fool it.

    python -m unittest test_verify        (in this folder; needs requirements.txt and nothing built)
"""

import base64
import hashlib
import random
import re
import tempfile
import unittest
from dataclasses import replace
from pathlib import Path

import strict
from canonical import NonCanonical, Walk, load_schema
from forge import long_varint
from journal import crc32c
from layout import (EVENT, STATEMENT, Entry, Refused, Tree, chain_value, leaf_hash, node_hash, pae,
                    parse_checkpoint, parse_entry, parse_receipt, require_consistency,
                    require_signed, root_of_inclusion, verifier_key, PAYLOAD_TYPES)
from ledger import Ledger, clock_skew, parse_table_set, without_possession
from lots import EMPTY, key_of, leaf_of, map_root, value_of
from tiles import write_files
from verify import Pins, split_bundle, tile_path, tiles_of, verify_export, verify_receipt
from world import (Copy, field_of, group_by_batch, message, public_of, seal, seeded_id, seeded_key,
                   sign, sign_groups, varint, write_checkpoint, write_entry)

PAGE = Path(__file__).resolve().parents[2] / "docs" / "FORMAT.md"
ORIGIN = "urbanmine.example/jiangxi"
WALK = Walk(load_schema())


# --- The page -------------------------------------------------------------------------------------


def golden() -> str:
    """Section 16 as it stands."""
    text = PAGE.read_text("utf-8")
    begin = text.index("\n## 16. Golden vectors")
    end = text.find("\n## ", begin + 4)
    return text[begin : end if end >= 0 else None]


def block(after: str) -> str:
    """The first fenced block behind some words of section 16."""
    text = golden()
    return re.search(r"```\n(.*?)```", text[text.index(after):], re.S).group(1)


def hexadecimal(after: str) -> bytes:
    return bytes.fromhex("".join(block(after).split()))


def named(after: str) -> dict[str, bytes]:
    pairs = re.findall(r"^(.+?)\s{2,}([0-9a-f]{64})$", block(after).replace("\u00a0", " "), re.M)
    pairs += re.findall(r"^(\D+\d+|.+ \d) +([0-9a-f]{64})$", block(after), re.M)
    return {name.strip(): bytes.fromhex(value) for name, value in pairs}


KEYS = named("### Keys")
LEDGER_KEY = KEYS["ledger public key"]
ENTRIES = [hexadecimal(f"Entry {index},") for index in range(4)]
PINS = Pins(ORIGIN, LEDGER_KEY)


def golden_receipt() -> bytes:
    """The receipt, its second line put together again."""
    lines = block("### Receipt").split("\n")
    last = next(at for at, line in enumerate(lines) if line.startswith("index "))
    return "\n".join([lines[0], "".join(lines[1:last]), *lines[last:]]).encode()


class GoldenVectors(unittest.TestCase):
    def test_keys(self):
        for who in ("coordinator", "ledger", "collector"):
            key = seeded(KEYS[f"{who} seed"])
            self.assertEqual(public_of(key), KEYS[f"{who} public key"])
            self.assertEqual(strict.key_id(public_of(key)), KEYS[f"{who} key id"])
            self.assertIsNone(strict.key_refusal(public_of(key)))

    def test_envelope(self):
        payload, signature = hexadecimal("its payload"), hexadecimal("the signature,")
        self.assertEqual(pae(PAYLOAD_TYPES[EVENT], payload), hexadecimal("the PAE that is signed"))
        key = KEYS["coordinator public key"]
        self.assertTrue(strict.holds(key, signature, hexadecimal("the PAE that is signed")))
        entry = parse_entry(ENTRIES[2])
        self.assertEqual(entry.envelope.payload, payload)
        self.assertEqual(entry.envelope.signatures, ((strict.key_id(key), signature),))
        self.assertTrue(ENTRIES[2].endswith(hexadecimal("and the envelope.")))
        made = sign(EVENT, payload, seeded(KEYS["coordinator seed"]))
        self.assertEqual(made, entry.envelope)

    def test_statement(self):
        entry = parse_entry(ENTRIES[3])
        text = pae(PAYLOAD_TYPES[STATEMENT], entry.envelope.payload)
        self.assertEqual(text, hexadecimal("the PAE that the ledger key signs"))
        (key_id, signature), = entry.envelope.signatures
        self.assertEqual(key_id, KEYS["ledger key id"])
        self.assertTrue(strict.holds(LEDGER_KEY, signature, text))

    def test_entries_are_written_as_they_are_read(self):
        for index, raw in enumerate(ENTRIES):
            entry = parse_entry(raw)
            self.assertEqual(entry.index, index)
            self.assertEqual(write_entry(entry), raw)
            word = "Event" if entry.kind == EVENT else "Statement"
            self.assertEqual(WALK.read(word, entry.envelope.payload)["origin"], ORIGIN)

    def test_payload_types_have_the_lengths_of_the_page(self):
        self.assertEqual([len(PAYLOAD_TYPES[kind]) for kind in (EVENT, STATEMENT)], [43, 47])

    def test_tables_hash(self):
        table_set = b"== a.csv 4\nx,1\n== b.csv 6\ny,2,3\n"
        self.assertEqual(hashlib.sha256(table_set).digest(), hexadecimal("has the tables hash"))
        self.assertEqual(parse_table_set(table_set), {b"a.csv": b"x,1\n", b"b.csv": b"y,2,3\n"})

    def test_chain_and_tree(self):
        values, tree = named("### Chain and tree"), Tree()
        self.assertEqual(len(values), 12)
        for index, raw in enumerate(ENTRIES):
            tree.push(leaf_hash(raw))
            self.assertEqual(chain_value(raw), values[f"chain value {index}"])
            self.assertEqual(leaf_hash(raw), values[f"leaf {index}"])
            self.assertEqual(tree.root(), values[f"root of {index + 1}"])

    def test_the_entries_follow_each_other(self):
        """All of sequence and signatures holds; only the tables were never published."""
        ledger = Ledger(WALK, ORIGIN)
        for raw in ENTRIES:
            ledger.take(raw)
        ledger.finish()
        self.assertEqual([(found.index, found.kind) for found in ledger.findings],
                         [(1, "rule-broken")])

    def test_checkpoint(self):
        text = block("### Checkpoint").encode()
        point = parse_checkpoint(text)
        require_signed(point, ORIGIN, LEDGER_KEY)
        self.assertEqual((point.size, point.root), (4, named("### Chain and tree")["root of 4"]))
        self.assertEqual(verifier_key(ORIGIN, LEDGER_KEY), block("Verifier key:").strip())

    def test_receipt(self):
        receipt = parse_receipt(golden_receipt())
        self.assertEqual((receipt.entry.raw, receipt.index), (ENTRIES[2], 2))
        self.assertEqual(verify_receipt(golden_receipt(), [], PINS, WALK).verdict(), "verified")

    def test_checksum(self):
        self.assertEqual(crc32c(b"123456789"), 0xE3069283)


def seeded(seed: bytes):
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    return Ed25519PrivateKey.from_private_bytes(seed)


# --- Signatures -----------------------------------------------------------------------------------

BASE = strict.decode((4 * pow(5, -1, strict.P) % strict.P).to_bytes(32, "little"))
TORSION = next(point for point in map(strict.decode, sorted(strict.SMALL_ORDER))
               if strict.times(4, point) != strict.NEUTRAL)


def hand_made(secret: int, nonce: int, message: bytes, key_part=strict.NEUTRAL,
              r_part=strict.NEUTRAL) -> tuple[bytes, bytes, int]:
    """A signature by the textbook, with parts of small order where they are asked for."""
    public = strict.encode(strict.add(strict.times(secret, BASE), key_part))
    big_r = strict.encode(strict.add(strict.times(nonce, BASE), r_part))
    k = int.from_bytes(hashlib.sha512(big_r + public + message).digest(), "little") % strict.L
    scalar = (nonce + k * secret) % strict.L
    return public, big_r + scalar.to_bytes(32, "little"), k


class Strictness(unittest.TestCase):
    def judge(self, public: bytes, signature: bytes, message: bytes) -> bool:
        """Both ways of checking give the same answer."""
        fast = strict.holds(public, signature, message)
        self.assertEqual(fast, strict.holds_by_the_page(public, signature, message))
        return fast

    def test_there_are_eight_points_of_small_order(self):
        self.assertEqual(len(strict.SMALL_ORDER), 8)
        for encoding in strict.SMALL_ORDER:
            self.assertEqual(strict.encode(strict.decode(encoding)), encoding)
            self.assertIn("small order", strict.key_refusal(encoding))

    def test_second_spellings_of_a_key_are_refused(self):
        """y from p to p + 18 is a second spelling, and so is the sign of an x that is 0."""
        decodable = 0
        for y in range(strict.P, 2**255):
            for sign in (0, 1 << 255):
                encoding = (y | sign).to_bytes(32, "little")
                self.assertIsNotNone(strict.key_refusal(encoding))
                decodable += strict.decode(encoding) is not None
        self.assertGreater(decodable, 10)
        for y in (1, strict.P - 1):
            encoding = (y | 1 << 255).to_bytes(32, "little")
            self.assertIn("canonical", strict.key_refusal(encoding))

    def test_what_is_no_point_is_refused(self):
        for encoding in ((2).to_bytes(32, "little"), b"", bytes(31), bytes(33)):
            self.assertIsNotNone(strict.key_refusal(encoding))

    def test_an_honest_signature_holds(self):
        public, signature, _ = hand_made(7, 11, b"m")
        self.assertTrue(self.judge(public, signature, b"m"))
        self.assertFalse(self.judge(public, signature, b"n"))

    def test_s_has_one_spelling(self):
        public, signature, _ = hand_made(7, 11, b"m")
        scalar = int.from_bytes(signature[32:], "little")
        for more in range(1, 15):
            other = signature[:32] + (scalar + more * strict.L).to_bytes(32, "little")
            self.assertFalse(self.judge(public, other, b"m"))
        zero = signature[:32] + bytes(32)
        last = signature[:32] + strict.L.to_bytes(32, "little")
        self.assertFalse(self.judge(public, zero, b"m"))
        self.assertFalse(self.judge(public, last, b"m"))

    def test_r_of_small_order_is_refused_where_the_equation_holds(self):
        """Nonce 0: R is the neutral element, and the equation is right."""
        public, signature, k = hand_made(7, 0, b"m")
        self.assertEqual(signature[:32], strict.encode(strict.NEUTRAL))
        self.assertEqual(int.from_bytes(signature[32:], "little"), 7 * k % strict.L)
        self.assertFalse(self.judge(public, signature, b"m"))

    def test_a_key_of_mixed_order_is_judged_without_the_cofactor(self):
        """Such a key is accepted; its signature holds where k takes the small part away."""
        answers = {}
        for number in range(64):
            text = b"message %d" % number
            public, signature, k = hand_made(7, 11, text, key_part=TORSION)
            self.assertIsNone(strict.key_refusal(public))
            self.assertEqual(self.judge(public, signature, text), k % 8 == 0)
            answers[k % 8 == 0] = True
        self.assertEqual(answers, {True: True, False: True})

    def test_r_of_mixed_order_never_holds(self):
        for number in range(8):
            text = b"message %d" % number
            public, signature, _ = hand_made(7, 11, text, r_part=TORSION)
            self.assertFalse(self.judge(public, signature, text))

    def test_flips(self):
        public, signature, _ = hand_made(7, 11, b"m")
        for bit in range(0, 512, 5):
            broken = bytearray(signature)
            broken[bit // 8] ^= 1 << bit % 8
            self.assertFalse(self.judge(public, bytes(broken), b"m"))

    def test_length(self):
        public, signature, _ = hand_made(7, 11, b"m")
        self.assertFalse(strict.holds(public, signature[:-1], b"m"))
        self.assertFalse(strict.holds(public, signature + b"\0", b"m"))


# --- Canonical bytes ------------------------------------------------------------------------------


class CanonicalBytes(unittest.TestCase):
    HEAD = message((1, seeded_id("e")), (2, ORIGIN), (3, seeded_id("p")))
    BODY = message((72, message((1, "A0"))))

    def refused(self, rule: int, data: bytes, word: str = "Event") -> None:
        with self.assertRaises(NonCanonical) as caught:
            WALK.read(word, data)
        self.assertEqual(caught.exception.rule, rule, str(caught.exception))

    def test_what_is_canonical(self):
        event = WALK.read("Event", self.HEAD + message((5, 2**64 - 1), (6, 959)) + self.BODY)
        self.assertEqual(event["occurred_at_ms"], 2**64 - 1)
        self.assertEqual(event["occurred_at_offset_min"], -480)
        self.assertEqual(event["acknowledge_anomaly"], {"anomaly": "A0"})
        twice = message((7, message((1, 1))), (7, b""), (72, b""))
        self.assertEqual(len(WALK.read("Event", self.HEAD + twice)["documents"]), 2)

    def test_rule_1(self):
        whole = self.HEAD + self.BODY
        for cut in range(1, len(whole)):
            with self.assertRaises(NonCanonical):
                WALK.read("Event", whole[:cut])
        self.refused(1, whole[:-1])
        self.refused(1, whole + b"\xff")
        self.refused(1, b"\x0a\xff\xff\xff\xff\x0f")

    def test_rule_2(self):
        self.refused(2, self.HEAD + message((10, 1)) + self.BODY)
        self.refused(2, self.HEAD + message((5, b"x")) + self.BODY)
        self.refused(2, self.HEAD + message((9, 1)) + self.BODY)
        for wire_type in (1, 3, 4, 5, 6, 7):
            self.refused(2, self.HEAD + varint(9 << 3 | wire_type) + bytes(8) + self.BODY)
        self.refused(2, b"\x00\x00" + self.BODY)
        self.refused(2, self.HEAD + message((72, message((3, 1)))))

    def test_rule_3(self):
        self.refused(3, message((2, ORIGIN), (1, seeded_id("e"))) + self.BODY)
        self.refused(3, message((5, 1), (5, 1)) + self.BODY)
        self.refused(3, message((7, message((1, 1))), (8, message((1, 1))), (7, message((1, 1))))
                     + self.BODY)
        self.refused(3, self.HEAD + self.BODY + self.BODY)

    def test_rule_4(self):
        """No message of ours has a repeated integer today; the rule is tried on one that has."""
        from canonical import read_schema
        walk = Walk(read_schema("message M {\n  repeated uint32 n = 1;\n}\n"))
        self.assertEqual(walk.read("M", message((1, b"\x00\x05"))), {"n": [0, 5]})
        for data in (b"\x08\x05", message((1, b""))):
            with self.assertRaises(NonCanonical) as caught:
                walk.read("M", data)
            self.assertEqual(caught.exception.rule, 4)

    def test_rule_5(self):
        self.refused(5, self.HEAD + b"\x28" + long_varint(5) + self.BODY)
        self.refused(5, self.HEAD + b"\x28\x80\x00" + self.BODY)
        self.refused(5, self.HEAD + b"\xb0\x00\x05" + self.BODY)
        self.refused(5, self.HEAD + b"\x4a\x81\x00x" + self.BODY)
        self.refused(5, self.HEAD + b"\x28" + b"\xff" * 9 + b"\x02" + self.BODY)
        self.refused(5, self.HEAD + b"\x28" + b"\xff" * 10 + b"\x01" + self.BODY)
        self.refused(5, self.HEAD + message((6, 2**32)) + self.BODY)
        self.refused(5, self.HEAD + message((7, message((1, 2**32)))) + self.BODY)

    def test_rule_6(self):
        self.refused(6, message((1, b"")) + self.BODY)
        self.refused(6, message((2, "")) + self.BODY)
        self.refused(6, message((5, 0)) + self.BODY)
        self.refused(6, message((7, message((1, 0)))) + self.BODY)

    def test_rule_7(self):
        self.refused(7, self.HEAD + message((7, message((1, 11)))) + self.BODY)
        composition = message((1, message((1, 1), (2, 1))))
        self.refused(7, self.HEAD + message((41, message((1, seeded_id("l")), (2, composition)))))

    def test_rule_8(self):
        self.refused(8, self.HEAD)
        self.refused(8, b"")
        self.refused(8, self.HEAD + message((71, b""), (72, b"")))
        self.refused(8, message((1, ORIGIN)), "Statement")

    def test_rule_9(self):
        for odd in (b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x80"):
            self.refused(9, self.HEAD + message((9, odd)) + self.BODY)

    def test_every_word_of_the_protos_is_understood(self):
        schema = load_schema()
        texts = "".join((PAGE.parents[1] / "proto/urbanmine/v1" / name).read_text("utf-8")
                        for name in ("event.proto", "statement.proto"))
        plain = re.sub(r"//[^\n]*", "", texts)
        self.assertEqual(len(re.findall(r"\bmessage \w+ \{", plain)), len(schema.messages))
        self.assertEqual(len(re.findall(r"\benum \w+ \{", plain)), len(schema.enums))
        numbers = len(re.findall(r" = \d+;", plain))
        self.assertEqual(numbers, sum(map(len, schema.messages.values()))
                         + sum(map(len, schema.enums.values())))


# --- Proofs ---------------------------------------------------------------------------------------


def plain_root(leaves: list[bytes]) -> bytes:
    """By the definition of section 11."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return node_hash(plain_root(leaves[:split]), plain_root(leaves[split:]))


def inclusion(leaves: list[bytes], index: int) -> list[bytes]:
    if len(leaves) == 1:
        return []
    split = 1 << (len(leaves) - 1).bit_length() - 1
    left, right = leaves[:split], leaves[split:]
    if index < split:
        return inclusion(left, index) + [plain_root(right)]
    return inclusion(right, index - split) + [plain_root(left)]


def consistency(leaves: list[bytes], first: int, whole: bool = True) -> list[bytes]:
    if first == len(leaves):
        return [] if whole else [plain_root(leaves)]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if first <= split:
        return consistency(leaves[:split], first, whole) + [plain_root(leaves[split:])]
    return consistency(leaves[split:], first - split, False) + [plain_root(leaves[:split])]


class Proofs(unittest.TestCase):
    LEAVES = [leaf_hash(b"%d" % number) for number in range(40)]

    def test_roots(self):
        tree = Tree()
        self.assertEqual(tree.root(), plain_root([]))
        for size, leaf in enumerate(self.LEAVES, 1):
            tree.push(leaf)
            self.assertEqual(tree.root(), plain_root(self.LEAVES[:size]))

    def test_inclusion(self):
        for size in range(1, 41):
            leaves = self.LEAVES[:size]
            for index in range(size):
                proof = inclusion(leaves, index)
                root = root_of_inclusion(leaves[index], index, size, proof)
                self.assertEqual(root, plain_root(leaves))
                self.refused(root, leaves[index], index, size, proof + [bytes(32)])
                self.refused(root, leaves[index], index, size + 64, proof)
                if proof:
                    self.refused(root, leaves[index], index, size, proof[:-1])
                    self.refused(root, leaves[index], index, size, proof[1:])
                    self.refused(root, leaves[index], index ^ 1, size, proof)

    def refused(self, root, leaf, index, size, proof):
        try:
            self.assertNotEqual(root_of_inclusion(leaf, index, size, proof), root)
        except Refused:
            pass

    def test_inclusion_beyond_the_tree(self):
        with self.assertRaises(Refused):
            root_of_inclusion(self.LEAVES[0], 1, 1, [])

    def test_consistency(self):
        for size in range(1, 41):
            new = plain_root(self.LEAVES[:size])
            for first in range(1, size + 1):
                old = plain_root(self.LEAVES[:first])
                proof = consistency(self.LEAVES[:size], first)
                require_consistency(first, size, old, new, proof)
                wrong = [proof + [bytes(32)], [bytes(32), *proof]]
                wrong += [proof[:-1], proof[1:]] if proof else []
                for other in wrong:
                    with self.assertRaises(Refused):
                        require_consistency(first, size, old, new, other)
                with self.assertRaises(Refused):
                    require_consistency(first, size, bytes(32), new, proof)

    def test_consistency_of_the_empty_tree(self):
        new, empty = plain_root(self.LEAVES), plain_root([])
        require_consistency(0, 40, empty, new, [])
        require_consistency(0, 0, empty, empty, [])
        for first, old, proof in ((0, new, []), (0, empty, [new]), (41, new, [])):
            with self.assertRaises(Refused):
                require_consistency(first, 40, old, new, proof)


# --- Lot states -----------------------------------------------------------------------------------


class LotStates(unittest.TestCase):
    """The worked example of section 18."""

    IDS = {name: bytes.fromhex("015898000000700080000000000000" + name) for name in
           ("b1", "b2", "b3")}
    STATES = {"b1": (3, 7), "b2": (1, 4), "b3": (2, 8)}
    ROOT = "3c5135d1cca6b5ac95960da1e4355c8da071c92a250623f46077e42000632722"

    def test_worked_example(self):
        key = key_of(self.IDS["b1"])
        self.assertEqual(key.hex(),
                         "1230947e279853ea8987df95222c76f286afa0231760422b0109273147dc471d")
        self.assertEqual(value_of(3, 7).hex(),
                         "d8a04ca95a6ef56ab2be80e984cffa6cc73c67e5aaec5501a9fada2fd394e379")
        self.assertEqual(leaf_of(key, value_of(3, 7)).hex(),
                         "c2f5fa6f55f27f62b76a35f97c1193e3a2bc4bb3609854bb1ffd11c37ead2419")
        states = {self.IDS[name]: state for name, state in self.STATES.items()}
        self.assertEqual(map_root(states).hex(), self.ROOT)

    def test_every_state_counts(self):
        for left_out in self.IDS:
            states = {self.IDS[name]: state for name, state in self.STATES.items()
                      if name != left_out}
            self.assertNotEqual(map_root(states).hex(), self.ROOT)
        self.assertEqual(map_root({}), EMPTY)


# --- Receipts -------------------------------------------------------------------------------------


class Receipts(unittest.TestCase):
    def verdict(self, data: bytes, pins: Pins = PINS) -> str:
        return verify_receipt(data, [], pins, WALK).verdict()

    def test_every_byte_counts(self):
        good = golden_receipt()
        for at in range(len(good)):
            broken = bytearray(good)
            broken[at] ^= 1 << at % 7
            self.assertEqual(self.verdict(bytes(broken)), "tampered", f"byte {at}")

    def test_every_beginning_is_refused(self):
        good = golden_receipt()
        for cut in range(len(good)):
            self.assertEqual(self.verdict(good[:cut]), "tampered", f"{cut} bytes")

    def test_pins(self):
        self.assertEqual(self.verdict(golden_receipt(), Pins(None, None)), "undetermined")
        other = Pins(ORIGIN, KEYS["collector public key"])
        self.assertEqual(self.verdict(golden_receipt(), other), "tampered")
        self.assertEqual(self.verdict(golden_receipt(), Pins("other", LEDGER_KEY)), "tampered")

    def test_spellings(self):
        text = golden_receipt().decode()
        for old, new in (("index 2", "index 02"), ("index 2", "index +2"), ("index 2", "index 1"),
                         ("extra ", "extra  "), ("tlog-proof@v1", "tlog-proof@v2"),
                         ("\n", "\r\n"), ("\nindex", "\n\nindex")):
            self.assertIn(old, text)
            self.assertEqual(self.verdict(text.replace(old, new).encode()), "tampered")


# --- A whole ledger, without a binary -------------------------------------------------------------


class SmallLedger:
    """A ledger of seven entries: genesis, tables, a key, a batch, a rotation, a note."""

    TABLES = b"== parameters.csv 64\n" + (
        b"name,value,unit,source\nCLOCK_SKEW_MS,120000,ms,five minutes: a rule\n")

    def __init__(self):
        self.ledger_key, self.next_key = seeded_key("small ledger"), seeded_key("small next")
        self.coordinator, self.member = seeded_key("small coordinator"), seeded_key("small member")
        self.party, self.at_ms = seeded_id("small party"), 1_780_000_000_000
        size = len(self.TABLES) - len(b"== parameters.csv 64\n")
        self.tables = self.TABLES.replace(b" 64\n", b" %d\n" % size)
        self.tables_hash = hashlib.sha256(self.tables).digest()
        drafts = [(EVENT, self.genesis(), 0, 1), (EVENT, self.publication(), 1, 1),
                  (EVENT, self.registration(), 2, 1), (EVENT, self.note("n1"), 3, 2),
                  (EVENT, self.note("n2", self.member), 3, 2), (STATEMENT, self.rotation(), 5, 1),
                  (STATEMENT, self.restart(), 6, 1)]
        entries = [Entry(b"", kind, index, b"", self.at_ms, 1, self.tables_hash, first, length,
                         (), envelope)
                   for index, (kind, envelope, first, length) in enumerate(drafts)]
        keys = lambda size: self.ledger_key if size <= 6 else self.next_key
        self.copy = sign_groups(ORIGIN, group_by_batch(seal(entries, renumber=False)), keys)
        self.pins = Pins(ORIGIN, public_of(self.ledger_key))

    def event(self, name: str, body: int, inside: bytes, *keys):
        payload = message((1, seeded_id(name)), (2, ORIGIN), (3, self.party), (5, self.at_ms),
                          (body, inside))
        return sign(EVENT, payload, *(keys or [self.coordinator]))

    def genesis(self):
        inside = message((1, public_of(self.ledger_key)), (2, self.tables_hash), (3, 1),
                         (4, message((1, self.party))), (5, public_of(self.coordinator)))
        return self.event("genesis", 20, inside, self.coordinator, self.ledger_key)

    def publication(self):
        return self.event("tables", 31, message((1, self.tables_hash), (3, 1), (4, self.tables)))

    def registration(self):
        inside = message((1, self.party), (2, public_of(self.member)), (3, 1))
        return self.event("key", 29, inside)

    def note(self, name: str, *keys):
        return self.event(name, 72, message((1, "A0")), *keys)

    def rotation(self):
        public = public_of(self.next_key)
        bare = message((1, ORIGIN), (21, message((1, public))))
        possession = self.next_key.sign(pae(PAYLOAD_TYPES[STATEMENT], bare))
        payload = message((1, ORIGIN), (21, message((1, public), (2, possession))))
        assert without_possession(payload) == bare
        return sign(STATEMENT, payload, self.ledger_key)

    def restart(self):
        return sign(STATEMENT, message((1, ORIGIN), (22, message((1, "test")))), self.next_key)

    def files(self) -> dict[str, bytes]:
        return self.copy.export_files((5,))


def receipt_text(index: int, leaves: list[bytes], raw: bytes, text: bytes) -> bytes:
    lines = ["c2sp.org/tlog-proof@v1", "extra " + base64.b64encode(raw).decode(), f"index {index}"]
    lines += [base64.b64encode(one).decode() for one in inclusion(leaves, index)]
    return "\n".join([*lines, "", ""]).encode() + text


class WholeLedger(unittest.TestCase):
    SMALL = SmallLedger()

    def report(self, files: dict[str, bytes], pins: Pins | None = None):
        with tempfile.TemporaryDirectory() as name:
            write_files(Path(name), files)
            return verify_export(Path(name), pins or self.SMALL.pins, WALK)

    def test_it_is_verified(self):
        report = self.report(self.SMALL.files())
        self.assertEqual((report.verdict(), report.findings), ("verified", []))
        self.assertEqual((report.entries, report.checkpoint.size), (7, 7))

    def test_under_the_newer_key_as_well(self):
        pins = Pins(ORIGIN, public_of(self.SMALL.next_key))
        self.assertEqual(self.report(self.SMALL.files(), pins).verdict(), "verified")

    def test_without_pins_it_is_never_verified(self):
        for pins in (Pins(None, None), Pins(ORIGIN, None), Pins(None, self.SMALL.pins.ledger_key)):
            self.assertEqual(self.report(self.SMALL.files(), pins).verdict(), "warnings")

    def test_a_missing_rotation_checkpoint_is_missed(self):
        files = self.SMALL.files()
        del files["rotation/5"]
        self.assertEqual(self.report(files).verdict(), "undetermined")

    def test_a_missing_file_is_not_tampering(self):
        for name in self.SMALL.files():
            files = self.SMALL.files()
            del files[name]
            self.assertEqual(self.report(files).verdict(), "undetermined", name)

    def test_every_byte_counts(self):
        """One bit of every byte of every file, seeded: never verified, and never a crash."""
        draw = random.Random(20261101)
        for name, data in self.SMALL.files().items():
            for at in range(len(data)):
                broken = bytearray(data)
                broken[at] ^= 1 << draw.randrange(8)
                files = {**self.SMALL.files(), name: bytes(broken)}
                self.assertIn(self.report(files).verdict(), ("tampered", "undetermined"),
                              f"{name}, byte {at}")

    def test_a_full_tile_stands_for_a_partial_one(self):
        files = self.SMALL.files()
        files["tile/0/000"] = files.pop("tile/0/000.p/7") + bytes(32 * 249)
        self.assertEqual(self.report(files).verdict(), "verified")

    def test_files_that_nobody_asks_for_are_not_read(self):
        files = {**self.SMALL.files(), "rotation/2": b"x", "tile/0/000.p/3": b"x", "a.next": b"x"}
        self.assertEqual(self.report(files).verdict(), "verified")

    def test_an_old_receipt_against_the_export(self):
        entries = self.SMALL.copy.entries()
        leaves = [leaf_hash(raw) for raw in entries]
        size = 0
        for raws, text in self.SMALL.copy.groups:
            size += len(raws)
            for index in range(size - len(raws), size):
                receipt = self.receipt(index, leaves[:size], entries[index], text)
                self.assertEqual(self.against(receipt), "verified")
        # The same key tells another story: the note that came last is another one.
        other = sign(STATEMENT, message((1, ORIGIN), (22, message((1, "other")))),
                     self.SMALL.next_key)
        changed = replace(parse_entry(entries[6]), envelope=other)
        raw = write_entry(changed)
        leaves[6] = leaf_hash(raw)
        text = write_checkpoint(ORIGIN, 7, plain_root(leaves), self.SMALL.next_key)
        self.assertEqual(self.against(self.receipt(6, leaves, raw, text)), "tampered")
        self.assertEqual(self.against(self.receipt(0, leaves, entries[0], text)), "tampered")

    def test_receipts_behind_rotations(self):
        """Who pinned the first key gets to the second by the receipt of the rotation."""
        entries, ends, size = self.SMALL.copy.entries(), {}, 0
        leaves = [leaf_hash(raw) for raw in entries]
        for raws, text in self.SMALL.copy.groups:
            size += len(raws)
            ends[size] = text
        texts = [receipt_text(index, leaves[:size], entries[index], ends[size])
                 for index, size in ((2, 3), (5, 6), (6, 7))]
        key, rotation, last = texts
        judge = lambda links: verify_receipt(last, links, self.SMALL.pins, WALK).verdict()
        self.assertEqual(judge([rotation]), "verified")
        for links in ([], [key], [last], [rotation, rotation], [rotation[:-9]], [b""]):
            self.assertEqual(judge(links), "tampered", links)
        late = receipt_text(5, leaves, entries[5], ends[7])
        self.assertEqual(judge([late]), "tampered")

    def receipt(self, index: int, leaves: list[bytes], raw: bytes, text: bytes):
        return parse_receipt(receipt_text(index, leaves, raw, text))

    def against(self, receipt) -> str:
        with tempfile.TemporaryDirectory() as name:
            write_files(Path(name), self.SMALL.files())
            return verify_export(Path(name), self.SMALL.pins, WALK, receipt).verdict()

    def test_skew_of_the_tables(self):
        files = parse_table_set(self.SMALL.tables)
        self.assertEqual(clock_skew(files), 120_000)


class Layout(unittest.TestCase):
    def test_tile_paths(self):
        self.assertEqual(tile_path(5, 256), "005")
        self.assertEqual(tile_path(1_234_067, 256), "x001/x234/067")
        self.assertEqual(tile_path(1_234, 17), "x001/234.p/17")
        self.assertEqual(list(tiles_of(600)), [(0, 256), (1, 256), (2, 88)])
        self.assertEqual(list(tiles_of(256)), [(0, 256)])

    def test_bounds(self):
        for parse, size in ((parse_entry, 65_536), (parse_checkpoint, 131_073),
                            (parse_receipt, 221_589)):
            with self.assertRaisesRegex(Refused, "at most"):
                parse(bytes(size))

    def test_bundles(self):
        data = b"\x00\x01a\x00\x02bc"
        self.assertEqual(split_bundle(data, 2), ([b"a", b"bc"], None))
        for wrong, width in ((data, 1), (data, 3), (data[:-1], 2), (b"\x00\x00", 1), (b"\x00", 1)):
            self.assertIsNotNone(split_bundle(wrong, width)[1])

    def test_fields(self):
        self.assertEqual(field_of(1, 150), b"\x08\x96\x01")
        self.assertEqual(Copy(()).entries(), [])


if __name__ == "__main__":
    unittest.main()
