"""`record.py` against the golden vectors, and against damage. Needs no server."""

import pathlib
import unittest

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import record

VECTORS = pathlib.Path(__file__).resolve().parents[2] / "vectors"
ORIGIN = "urbanmine.example/jiangxi"


def named(file: str) -> dict[str, str]:
    lines = (VECTORS / file).read_text().splitlines()
    pairs = (line.split(": ", 1) for line in lines if ": " in line)
    return {name: value for name, value in pairs}


class Golden(unittest.TestCase):
    def setUp(self):
        self.values = named("envelope.txt")
        self.receipt = (VECTORS / "receipt.txt").read_text()
        self.ledger_key = bytes.fromhex(self.values["ledger public key"])

    def test_the_envelope_has_the_golden_bytes(self):
        seed = bytes.fromhex(self.values["coordinator seed"])
        key = Ed25519PrivateKey.from_private_bytes(seed)
        payload = bytes.fromhex(self.values["hold payload"])
        signed = record.pae(record.EVENT_PAYLOAD_TYPE, payload)
        self.assertEqual(signed.hex(), self.values["hold signed bytes"])
        built = record.envelope(payload, [key])
        self.assertEqual(built.hex(), self.values["hold envelope"])
        self.assertEqual(record.payload_of(built), payload)

    def test_the_golden_receipt_holds(self):
        entry = record.verify_receipt(self.receipt, ORIGIN, self.ledger_key)
        self.assertEqual(entry.index, 2)
        self.assertEqual(entry.envelope.hex(), self.values["hold envelope"])

    def test_another_key_or_origin_is_refused(self):
        other = bytes.fromhex(self.values["coordinator public key"])
        for origin, key in [(ORIGIN, other), ("urbanmine.example/other", self.ledger_key)]:
            with self.assertRaises(record.Refused):
                record.verify_receipt(self.receipt, origin, key)

    def test_a_receipt_changed_anywhere_is_refused(self):
        accepted = []
        for at, letter in enumerate(self.receipt):
            changed = self.receipt[:at] + ("B" if letter != "B" else "C") + self.receipt[at + 1 :]
            try:
                record.verify_receipt(changed, ORIGIN, self.ledger_key)
                accepted.append(at)
            except (record.Refused, ValueError, IndexError):
                pass
        self.assertEqual(accepted, [])


if __name__ == "__main__":
    unittest.main()
