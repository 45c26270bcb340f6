"""Two ERPs over mutual TLS: append, co-sign, watch; and what a wrong certificate gets.

Run by tests/clients/network.sh, which starts the server and says by ERP_* variables where it is.
Needs Python 3.10, `grpcio`, `grpcio-tools` and `cryptography`.
"""

import hashlib
import importlib
import os
import pathlib
import tempfile
import threading
import time
import uuid

import grpc
from cryptography.hazmat.primitives.serialization import load_pem_private_key

import record
from erp_client import DEADLINE_S, MAX_REPLY_BYTES, Generated, uuid_v7

SENT_G, RECEIVED_G, AGREED_G = 2_000_000, 1_900_000, 1_950_000
TARE_G = 12_500_000


def sample_id(name: str) -> bytes:
    """The sample's ids can be computed from their names: samples/jiangxi/README.md."""
    raw = bytearray(hashlib.sha256(b"urbanmine sample id\n" + name.encode()).digest()[:16])
    raw[:6] = (1_767_225_600_000).to_bytes(6, "big")
    raw[6] = 0x70 | (raw[6] & 0x0F)
    raw[8] = 0x80 | (raw[8] & 0x3F)
    return bytes(raw)


class Ledger:
    """What everybody pins, and the generated code."""

    def __init__(self, generated: Generated):
        self.generated = generated
        self.server = os.environ["ERP_SERVER"]
        self.origin = os.environ["ERP_ORIGIN"]
        self.key = bytes.fromhex(os.environ["ERP_LEDGER_KEY"])
        self.certs = pathlib.Path(os.environ["ERP_CERTS"])
        self.words = generated.event
        self.draft = importlib.import_module("urbanmine.v1.draft_service_pb2")
        self.draft_grpc = importlib.import_module("urbanmine.v1.draft_service_pb2_grpc")

    def channel(self, certs: pathlib.Path | None, party: bytes | None) -> grpc.Channel:
        """A connection that trusts the server's authority; with a certificate, or without."""
        root = (self.certs / "ca.pem").read_bytes()
        chain = key = None
        if certs is not None:
            name = f"client-{uuid.UUID(bytes=party)}"
            chain = (certs / f"{name}.pem").read_bytes()
            key = (certs / f"{name}-key.pem").read_bytes()
        credentials = grpc.ssl_channel_credentials(root, key, chain)
        options = [("grpc.max_receive_message_length", MAX_REPLY_BYTES)]
        return grpc.secure_channel(self.server, credentials, options=options)

    def reason(self, error: grpc.RpcError) -> str:
        status, info = self.generated.rpc.Status(), self.generated.rpc.ErrorInfo()
        for name, value in error.trailing_metadata() or ():
            if name == "grpc-status-details-bin":
                status.ParseFromString(value)
        for detail in status.details:
            detail.Unpack(info)
        return info.reason


class Erp:
    """One enterprise: its certificate says who calls, its key says who states."""

    def __init__(self, ledger: Ledger, name: str, site: str):
        self.ledger, self.name = ledger, name
        self.party, self.site = sample_id(f"party/{name}"), sample_id(f"site/{site}")
        passphrase = os.environ["URBANMINE_PASSPHRASE"].encode()
        file = pathlib.Path(os.environ["ERP_KEYS"]) / f"{name}.pem"
        self.key = load_pem_private_key(file.read_bytes(), passphrase)
        channel = ledger.channel(ledger.certs, self.party)
        self.entries = ledger.generated.ledger_grpc.LedgerServiceStub(channel)
        self.drafts = ledger.draft_grpc.DraftServiceStub(channel)

    def event(self):
        return self.ledger.words.Event(
            event_id=uuid_v7(),
            origin=self.ledger.origin,
            actor_party_id=self.party,
            site_id=self.site,
            occurred_at_ms=time.time_ns() // 1_000_000,
            occurred_at_offset_min=480,
        )

    def append(self, event) -> record.Entry:
        payload = event.SerializeToString()
        envelope = record.envelope(payload, [self.key])
        request = self.ledger.generated.ledger.AppendEventRequest(envelope=envelope)
        appended = self.entries.AppendEvent(request, timeout=DEADLINE_S).appended
        return record.verify_receipt(appended.receipt, self.ledger.origin, self.ledger.key)


def trade(base: Erp, smelter: Erp) -> tuple[bytes, bytes]:
    """Two tonnes are sent, and a twentieth is missing: (lot, offer)."""
    words = base.ledger.words
    collect = base.event()
    lot = uuid_v7()
    collect.collect_lot.CopyFrom(
        words.CollectLot(
            lot=words.NewLot(
                lot_id=lot,
                material="CU_SCRAP_NO2",
                form="CABLE",
                origin_kind=words.ORIGIN_KIND_POST_CONSUMER,
                net_mass_g=SENT_G,
                custody_model=words.CUSTODY_MODEL_SEGREGATED,
            ),
            seller_kind=words.SELLER_KIND_ENTERPRISE,
            seller_commitment=os.urandom(32),
            seller_certificate="EXAMPLE-CERTIFICATE-2",
            weighing=words.Weighing(
                gross_g=TARE_G + SENT_G, tare_g=TARE_G, net_g=SENT_G, ticket="T-2026-000101"
            ),
            origin_region="360702",
            invoice_class=words.INVOICE_CLASS_VAT_SPECIAL,
        )
    )
    entry = base.append(collect)
    print(f"appended    collection as entry {entry.index}, over mutual TLS; the receipt holds")
    offer = base.event()
    offer.offer_transfer.CopyFrom(
        words.OfferTransfer(
            lot_id=lot,
            mass_g=SENT_G,
            consignee_party_id=smelter.party,
            consignee_site_id=smelter.site,
            scope=words.TRANSFER_SCOPE_CUSTODY_AND_OWNERSHIP,
            invoice_class=words.INVOICE_CLASS_VAT_SPECIAL,
        )
    )
    base.append(offer)
    accept = smelter.event()
    accept.accept_transfer.CopyFrom(
        words.AcceptTransfer(
            offer_event_id=offer.event_id,
            received=words.Weighing(
                gross_g=TARE_G + RECEIVED_G, tare_g=TARE_G, net_g=RECEIVED_G, ticket="T-2026-000102"
            ),
        )
    )
    smelter.append(accept)
    print(f"delivered   {SENT_G} g were sent, {RECEIVED_G} g arrived: the lot is on hold")
    return lot, offer.event_id


def settle(base: Erp, smelter: Erp, offer: bytes) -> record.Entry:
    """One proposes, the other reads, signs the very same bytes, and the event is recorded."""
    words, draft = base.ledger.words, base.ledger.draft
    event = base.event()
    event.settle_discrepancy.CopyFrom(
        words.SettleDiscrepancy(
            offer_event_id=offer, agreed_g=AGREED_G, cause=words.TRANSFER_REASON_QUANTITY
        )
    )
    envelope = record.envelope(event.SerializeToString(), [base.key])
    request = draft.CreateDraftRequest(envelope=envelope)
    proposed = base.drafts.CreateDraft(request, timeout=DEADLINE_S).draft

    waiting = smelter.drafts.ListDrafts(
        draft.ListDraftsRequest(unsigned_only=True), timeout=DEADLINE_S
    ).drafts
    record.require([it.draft_id for it in waiting] == [proposed.draft_id], "one draft waits")
    read = words.Event.FromString(waiting[0].payload)
    record.require(read.settle_discrepancy.agreed_g == AGREED_G, "it says what was agreed")
    message = record.pae(record.EVENT_PAYLOAD_TYPE, waiting[0].payload)
    request = draft.SignDraftRequest(
        draft_id=waiting[0].draft_id,
        key_id=record.key_id(record.public_bytes(smelter.key)),
        signature=smelter.key.sign(message),
    )
    reply = smelter.drafts.SignDraft(request, timeout=DEADLINE_S)
    entry = record.verify_receipt(reply.appended.receipt, base.ledger.origin, base.ledger.key)
    record.require(record.payload_of(entry.envelope) == waiting[0].payload, "the bytes as signed")
    print(f"co-signed   settlement as entry {entry.index}, two signatures, one receipt")
    return entry


class Watch(threading.Thread):
    """Follows a lot: what was recorded already, then what is recorded meanwhile."""

    def __init__(self, erp: Erp, lot: bytes, until: int):
        super().__init__(daemon=True)
        self.erp, self.lot, self.until = erp, lot, until
        self.kinds, self.checkpoints, self.fault = [], 0, None

    def run(self):
        try:
            self.follow()
        except Exception as fault:  # told by the thread that waits for this one
            self.fault = fault

    def follow(self):
        words = self.erp.ledger.generated.ledger
        request = words.WatchEntriesRequest(lot_id=self.lot, heartbeat_seconds=1)
        call = self.erp.entries.WatchEntries(request, timeout=DEADLINE_S)
        for message in call:
            if message.WhichOneof("message") == "heartbeat":
                ledger = self.erp.ledger
                text = message.heartbeat.checkpoint
                record.open_checkpoint(text, ledger.origin, ledger.key)
                self.checkpoints += 1
            else:
                entry = record.parse_entry(message.entry.entry)
                record.require(entry.index == message.entry.entry_index, "the entry's index")
                self.kinds.append(message.entry.kind)
            if len(self.kinds) >= self.until and self.checkpoints > 0:
                call.cancel()
                return


def refused(ledger: Ledger, what: str, channel: grpc.Channel, code, reason: str, metadata=()):
    stub = ledger.generated.ledger_grpc.LedgerServiceStub(channel)
    request = ledger.generated.ledger.ListEntriesRequest()
    try:
        stub.ListEntries(request, timeout=DEADLINE_S, metadata=metadata)
    except grpc.RpcError as error:
        found = error.code(), ledger.reason(error)
        record.require(found == (code, reason), f"{what}: {found}")
        print(f"refused     {what}: {code.name} {reason}".rstrip())
        return
    raise SystemExit(f"{what}: this should have been refused")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(Generated(folder))
        base = Erp(ledger, "base-ganzhou", "base-ganzhou/yard")
        smelter = Erp(ledger, "copper-smelter", "copper-smelter/works")
        lot, offer = trade(base, smelter)
        watch = Watch(base, lot, until=4)
        watch.start()
        settle(base, smelter, offer)
        watch.join(DEADLINE_S)
        record.require(watch.fault is None and not watch.is_alive(), f"the watch: {watch.fault}")
        words = ledger.words.Event.DESCRIPTOR.fields_by_number
        story = [words[kind].name for kind in watch.kinds]
        expected = ["collect_lot", "offer_transfer", "accept_transfer", "settle_discrepancy"]
        record.require(story == expected, f"the watch saw {story}")
        print(f"watched     {', '.join(story)}; {watch.checkpoints} checkpoints hold")

        stranger = pathlib.Path(os.environ["ERP_STRANGER"])
        code = grpc.StatusCode
        refused(ledger, "no identity at all", ledger.channel(None, None),
                code.UNAUTHENTICATED, "IDENTITY_MISSING")
        refused(ledger, "a certificate of another authority",
                ledger.channel(stranger, base.party), code.UNAVAILABLE, "")
        bearer = (("authorization", f"Bearer {os.environ['ERP_EXPIRED_TOKEN']}"),)
        refused(ledger, "an expired token", ledger.channel(None, None),
                code.UNAUTHENTICATED, "TOKEN_EXPIRED", bearer)


if __name__ == "__main__":
    main()
