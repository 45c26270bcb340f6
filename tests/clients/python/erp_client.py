"""An ERP's client: signs an event with generated code, appends it, keeps and checks the receipt.

Needs Python 3.10, `grpcio`, `grpcio-tools` (for the generated code) and `cryptography`; nothing of
ours but the protos and docs/FORMAT.md. Origin and ledger key are given by hand, as anybody would
pin them.

    python erp_client.py --server 127.0.0.1:7878 --origin ORIGIN --ledger-key HEX \\
        --key party.pem --receipts receipts
"""

import argparse
import importlib
import os
import pathlib
import sys
import tempfile
import time
import uuid

import grpc
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from grpc_tools import protoc

import record

HERE = pathlib.Path(__file__).resolve().parent
PROTO = HERE.parents[2] / "proto"
DEADLINE_S = 20
MAX_REPLY_BYTES = 16 * 1024 * 1024
TRIES = 5
RETRY = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.UNKNOWN,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}


# --- Generated code ---------------------------------------------------------------------------


class Generated:
    """The modules that protoc makes from the protos."""

    def __init__(self, folder: str):
        folders = [PROTO / "urbanmine" / "v1", PROTO / "google" / "api"]
        protos = sorted(str(path) for it in folders for path in it.glob("*.proto"))
        common = os.path.join(os.path.dirname(protoc.__file__), "_proto")
        roots = [f"-I{PROTO}", f"-I{HERE}", f"-I{common}"]
        out = [f"--python_out={folder}", f"--grpc_python_out={folder}"]
        code = protoc.main(["protoc", *roots, *out, *protos, str(HERE / "google_rpc.proto")])
        if code != 0:
            raise SystemExit("the protos do not compile")
        sys.path.insert(0, folder)
        self.event = importlib.import_module("urbanmine.v1.event_pb2")
        self.ledger = importlib.import_module("urbanmine.v1.ledger_service_pb2")
        self.ledger_grpc = importlib.import_module("urbanmine.v1.ledger_service_pb2_grpc")
        self.registry = importlib.import_module("urbanmine.v1.registry_service_pb2")
        self.registry_grpc = importlib.import_module("urbanmine.v1.registry_service_pb2_grpc")
        self.rpc = importlib.import_module("google_rpc_pb2")


def uuid_v7() -> bytes:
    """A new id: 48 bits of time, the rest random (RFC 9562)."""
    raw = bytearray((time.time_ns() // 1_000_000).to_bytes(6, "big") + os.urandom(10))
    raw[6] = 0x70 | (raw[6] & 0x0F)
    raw[8] = 0x80 | (raw[8] & 0x3F)
    return bytes(raw)


def is_valid(record) -> bool:
    """Whether a dated record holds now: the end is outside, and 0 is none."""
    now_ms = time.time_ns() // 1_000_000
    has_ended = record.valid_to_ms != 0 and record.valid_to_ms <= now_ms
    return record.valid_from_ms <= now_ms and not has_ended


def in_force(key) -> bool:
    """Whether a registered key may sign now."""
    return is_valid(key) and not key.HasField("revocation")


# --- The client -------------------------------------------------------------------------------


class Client:
    """One ledger, pinned by origin and key, and one party's signing key."""

    def __init__(self, generated: Generated, arguments: argparse.Namespace):
        self.generated = generated
        self.origin = arguments.origin
        self.ledger_key = bytes.fromhex(arguments.ledger_key)
        self.receipts = pathlib.Path(arguments.receipts)
        self.receipts.mkdir(parents=True, exist_ok=True)
        options = [("grpc.max_receive_message_length", MAX_REPLY_BYTES)]
        address = arguments.server.removeprefix("http://")
        channel = grpc.insecure_channel(address, options=options)
        grpc.channel_ready_future(channel).result(timeout=DEADLINE_S)
        self.ledger = generated.ledger_grpc.LedgerServiceStub(channel)
        self.registry = generated.registry_grpc.RegistryServiceStub(channel)

    def find_party(self, keys: list[Ed25519PrivateKey]):
        """The first key in force of a licensed collector with a site: (key, party id, site id)."""
        words, event = self.generated.registry, self.generated.event
        by_id = {record.key_id(record.public_bytes(key)): key for key in keys}
        token = ""
        while True:
            page = self.registry.ListParties(
                words.ListPartiesRequest(page_token=token), timeout=DEADLINE_S
            )
            for party in page.parties:
                roles = [role.role for role in party.party.roles]
                kinds = [licence.kind for licence in party.licences if is_valid(licence)]
                if event.PARTY_ROLE_COLLECTOR not in roles:
                    continue
                if event.LICENCE_KIND_RENEWABLE_RESOURCE_RECYCLING not in kinds:
                    continue
                party_id = party.party.party_id
                known = self.registry.ListKeys(
                    words.ListKeysRequest(party_id=party_id), timeout=DEADLINE_S
                ).keys
                ours = [by_id[it.key_id] for it in known if it.key_id in by_id and in_force(it)]
                sites = self.registry.ListSites(
                    words.ListSitesRequest(party_id=party_id), timeout=DEADLINE_S
                ).sites
                if ours and sites:
                    return ours[0], party_id, sites[0].site_id
            token = page.next_page_token
            if not token:
                raise SystemExit("none of the keys belongs to a collector with a site")

    def append(self, envelope: bytes):
        """Appends; the same bytes again are safe, so it tries again where the answer is unclear."""
        request = self.generated.ledger.AppendEventRequest(envelope=envelope)
        for left in reversed(range(TRIES)):
            try:
                return self.ledger.AppendEvent(request, timeout=DEADLINE_S).appended
            except grpc.RpcError as error:
                if error.code() not in RETRY or left == 0:
                    raise
                time.sleep(0.2)

    def keep(self, event_id: bytes, receipt: str, envelope: bytes) -> record.Entry:
        """Keeps a receipt once it holds, and holds what was sent."""
        entry = record.verify_receipt(receipt, self.origin, self.ledger_key)
        record.require(entry.envelope == envelope, "the receipt is of the envelope that was sent")
        (self.receipts / f"{uuid.UUID(bytes=event_id)}.tlog-proof").write_text(receipt)
        return entry

    def refusal(self, envelope: bytes):
        """Sends what must be refused; returns (gRPC code, reason, metadata, texts)."""
        try:
            self.append(envelope)
        except grpc.RpcError as error:
            return self.read_error(error)
        raise SystemExit("this should have been refused, and was recorded")

    def read_error(self, error: grpc.RpcError):
        rpc = self.generated.rpc
        status, info, texts = rpc.Status(), rpc.ErrorInfo(), {}
        for name, value in error.trailing_metadata() or ():
            if name == "grpc-status-details-bin":
                status.ParseFromString(value)
        for detail in status.details:
            detail.Unpack(info)
            text = rpc.LocalizedMessage()
            if detail.Unpack(text):
                texts[text.locale] = text.message
        return error.code(), info.reason, dict(info.metadata), texts


def collect_event(generated: Generated, origin: str, party: bytes, site: bytes):
    """Two tonnes of copper cable, from an enterprise, over a weighbridge."""
    words = generated.event
    event = words.Event(
        event_id=uuid_v7(),
        origin=origin,
        actor_party_id=party,
        site_id=site,
        occurred_at_ms=time.time_ns() // 1_000_000,
        occurred_at_offset_min=480,
        external_ref="ERP-4500012345",
    )
    event.collect_lot.CopyFrom(
        words.CollectLot(
            lot=words.NewLot(
                lot_id=uuid_v7(),
                material="CU_SCRAP_NO2",
                form="CABLE",
                origin_kind=words.ORIGIN_KIND_POST_CONSUMER,
                net_mass_g=2_000_000,
                custody_model=words.CUSTODY_MODEL_SEGREGATED,
            ),
            seller_kind=words.SELLER_KIND_ENTERPRISE,
            seller_commitment=os.urandom(32),
            seller_certificate="EXAMPLE-CERTIFICATE-1",
            weighing=words.Weighing(
                gross_g=14_500_000, tare_g=12_500_000, net_g=2_000_000, ticket="T-2026-000001"
            ),
            origin_region="360102",
            invoice_class=words.INVOICE_CLASS_VAT_SPECIAL,
        )
    )
    return event


def show_refusal(what: str, refusal) -> None:
    code, reason, metadata, texts = refusal
    print(f"refused     {what}: {code.name} {reason}")
    for key in sorted(metadata):
        print(f"              {key} = {metadata[key]}")
    for locale in sorted(texts):
        print(f"              {locale}: {texts[locale]}")


def run(client: Client, keys: list[Ed25519PrivateKey]) -> None:
    generated = client.generated
    key, party, site = client.find_party(keys)
    event = collect_event(generated, client.origin, party, site)

    # Serialised once; these bytes are signed, sent and kept.
    payload = event.SerializeToString()
    envelope = record.envelope(payload, [key])
    appended = client.append(envelope)
    entry = client.keep(event.event_id, appended.receipt, envelope)
    record.require(entry.index == appended.entry_index, "answer and receipt name one entry")
    record.require(not appended.was_recorded_before, "it is recorded for the first time")
    print(f"recorded    entry {entry.index}, receipt of {len(appended.receipt)} bytes holds")

    again = client.append(envelope)
    record.require(again.receipt == appended.receipt, "the same event has the same receipt")
    record.require(again.was_recorded_before, "and says that it was recorded before")
    print("sent again  the same receipt, byte for byte")

    other = generated.event.Event()
    other.CopyFrom(event)
    other.external_ref = "ERP-4500012346"
    refusal = client.refusal(record.envelope(other.SerializeToString(), [key]))
    show_refusal("the same event id with other bytes", refusal)
    record.require(refusal[0] == grpc.StatusCode.ALREADY_EXISTS, "it already exists")
    record.require(refusal[1] == "EVENT_ID_CONFLICT", "the id is taken")

    other = collect_event(generated, client.origin, party, site)
    other.collect_lot.weighing.net_g += 1_000
    other.collect_lot.lot.net_mass_g += 1_000
    refusal = client.refusal(record.envelope(other.SerializeToString(), [key]))
    show_refusal("a net mass that is not gross less tare", refusal)
    record.require(refusal[0] == grpc.StatusCode.FAILED_PRECONDITION, "a rule refuses it")
    record.require(refusal[1] == "WEIGHING_MISMATCH", "the weighing does not add up")

    other = collect_event(generated, client.origin, party, site)
    stranger = Ed25519PrivateKey.generate()
    refusal = client.refusal(record.envelope(other.SerializeToString(), [stranger]))
    show_refusal("a key that nobody registered", refusal)
    record.require(refusal[1] == "KEY_UNKNOWN", "the key is unknown")

    entries = client.ledger.ListEntries(
        generated.ledger.ListEntriesRequest(from_entry_index=entry.index), timeout=DEADLINE_S
    ).entries
    record.require(len(entries) == 1, "what was refused is not recorded")
    print("afterwards  one entry more, and nothing else")


def read_key(path: str, passphrase: bytes) -> Ed25519PrivateKey:
    key = load_pem_private_key(pathlib.Path(path).read_bytes(), passphrase)
    if not isinstance(key, Ed25519PrivateKey):
        raise SystemExit(f"{path} holds no ed25519 key")
    return key


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", required=True)
    parser.add_argument("--origin", required=True, help="pinned, got another way")
    parser.add_argument("--ledger-key", required=True, help="pinned, 64 hex digits")
    parser.add_argument("--key", required=True, nargs="+", help="encrypted PKCS#8 PEM")
    parser.add_argument("--receipts", required=True, help="directory")
    arguments = parser.parse_args()
    passphrase = os.environ["URBANMINE_PASSPHRASE"].encode()
    keys = [read_key(path, passphrase) for path in arguments.key]
    with tempfile.TemporaryDirectory() as folder:
        run(Client(Generated(folder), arguments), keys)


if __name__ == "__main__":
    main()
