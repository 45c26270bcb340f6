package erp;

import com.google.protobuf.ByteString;
import io.grpc.ChannelCredentials;
import io.grpc.Grpc;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.TlsChannelCredentials;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.MetadataUtils;
import java.io.File;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import urbanmine.v1.DraftServiceGrpc;
import urbanmine.v1.DraftServiceOuterClass.CreateDraftRequest;
import urbanmine.v1.DraftServiceOuterClass.Draft;
import urbanmine.v1.DraftServiceOuterClass.ListDraftsRequest;
import urbanmine.v1.DraftServiceOuterClass.SignDraftRequest;
import urbanmine.v1.EventOuterClass.AcceptTransfer;
import urbanmine.v1.EventOuterClass.CollectLot;
import urbanmine.v1.EventOuterClass.CustodyModel;
import urbanmine.v1.EventOuterClass.Event;
import urbanmine.v1.EventOuterClass.InvoiceClass;
import urbanmine.v1.EventOuterClass.NewLot;
import urbanmine.v1.EventOuterClass.OfferTransfer;
import urbanmine.v1.EventOuterClass.OriginKind;
import urbanmine.v1.EventOuterClass.SellerKind;
import urbanmine.v1.EventOuterClass.SettleDiscrepancy;
import urbanmine.v1.EventOuterClass.TransferReason;
import urbanmine.v1.EventOuterClass.TransferScope;
import urbanmine.v1.EventOuterClass.Weighing;
import urbanmine.v1.LedgerServiceGrpc;
import urbanmine.v1.LedgerServiceOuterClass.AppendEventRequest;
import urbanmine.v1.LedgerServiceOuterClass.ListEntriesRequest;
import urbanmine.v1.LedgerServiceOuterClass.WatchEntriesRequest;
import urbanmine.v1.LotServiceOuterClass.EventKind;

/**
 * Two ERPs over mutual TLS: append, co-sign, watch; and what a wrong certificate gets.
 *
 * <p>Run by tests/clients/network.sh, which says by ERP_* variables where the server is.
 */
public final class Main {
    private static final long DEADLINE_S = 20;
    private static final long SENT_G = 3_000_000;
    private static final long RECEIVED_G = 2_800_000;
    private static final long AGREED_G = 2_900_000;
    private static final long TARE_G = 12_500_000;

    private static final String ORIGIN = System.getenv("ERP_ORIGIN");
    private static final byte[] LEDGER_KEY = HexFormat.of().parseHex(System.getenv("ERP_LEDGER_KEY"));
    private static final Path CERTS = Path.of(System.getenv("ERP_CERTS"));

    private Main() {}

    private static void require(boolean holds, String rule) {
        if (!holds) {
            throw new IllegalStateException(rule);
        }
    }

    private static ByteString bytes(byte[] raw) {
        return ByteString.copyFrom(raw);
    }

    /** The sample's ids can be computed from their names: samples/jiangxi/README.md. */
    private static byte[] sampleId(String name) {
        byte[] text = ("urbanmine sample id\n" + name).getBytes(StandardCharsets.UTF_8);
        return stamped(Arrays.copyOf(Keys.sha256(text), 16), 1_767_225_600_000L);
    }

    /** A new id: 48 bits of time, the rest random (RFC 9562). */
    private static byte[] uuidV7() {
        byte[] raw = new byte[16];
        new SecureRandom().nextBytes(raw);
        return stamped(raw, System.currentTimeMillis());
    }

    private static byte[] stamped(byte[] raw, long millis) {
        System.arraycopy(ByteBuffer.allocate(8).putLong(millis).array(), 2, raw, 0, 6);
        raw[6] = (byte) (0x70 | (raw[6] & 0x0F));
        raw[8] = (byte) (0x80 | (raw[8] & 0x3F));
        return raw;
    }

    /** A connection that trusts the server's authority; with a certificate, or without. */
    private static ManagedChannel channel(Path certs, byte[] party) throws Exception {
        var builder = TlsChannelCredentials.newBuilder().trustManager(CERTS.resolve("ca.pem").toFile());
        if (certs != null) {
            var id = ByteBuffer.wrap(party);
            String name = "client-" + new UUID(id.getLong(), id.getLong());
            File chain = certs.resolve(name + ".pem").toFile();
            builder.keyManager(chain, certs.resolve(name + "-key.pem").toFile());
        }
        ChannelCredentials credentials = builder.build();
        return Grpc.newChannelBuilder(System.getenv("ERP_SERVER"), credentials)
                .maxInboundMessageSize(16 * 1024 * 1024)
                .build();
    }

    /** One enterprise: its certificate says who calls, its key says who states. */
    private static final class Erp {
        final byte[] party;
        final byte[] site;
        final Keys key;
        private final LedgerServiceGrpc.LedgerServiceBlockingStub entries;
        private final DraftServiceGrpc.DraftServiceBlockingStub drafts;

        Erp(String name, String place) throws Exception {
            party = sampleId("party/" + name);
            site = sampleId("site/" + place);
            char[] passphrase = System.getenv("URBANMINE_PASSPHRASE").toCharArray();
            key = Keys.read(Path.of(System.getenv("ERP_KEYS"), name + ".pem"), passphrase);
            ManagedChannel channel = channel(CERTS, party);
            entries = LedgerServiceGrpc.newBlockingStub(channel);
            drafts = DraftServiceGrpc.newBlockingStub(channel);
        }

        LedgerServiceGrpc.LedgerServiceBlockingStub entries() {
            return entries.withDeadlineAfter(DEADLINE_S, TimeUnit.SECONDS);
        }

        DraftServiceGrpc.DraftServiceBlockingStub drafts() {
            return drafts.withDeadlineAfter(DEADLINE_S, TimeUnit.SECONDS);
        }

        Event.Builder event() {
            return Event.newBuilder()
                    .setEventId(bytes(uuidV7()))
                    .setOrigin(ORIGIN)
                    .setActorPartyId(bytes(party))
                    .setSiteId(bytes(site))
                    .setOccurredAtMs(System.currentTimeMillis())
                    .setOccurredAtOffsetMin(480);
        }

        Receipt append(Event event) throws Exception {
            byte[] envelope = Envelope.sign(event.toByteArray(), List.of(key));
            var request = AppendEventRequest.newBuilder().setEnvelope(bytes(envelope)).build();
            var appended = entries().appendEvent(request).getAppended();
            return Receipt.verify(appended.getReceipt(), ORIGIN, LEDGER_KEY);
        }
    }

    private static Weighing weighing(long net, String ticket) {
        return Weighing.newBuilder()
                .setGrossG(TARE_G + net)
                .setTareG(TARE_G)
                .setNetG(net)
                .setTicket(ticket)
                .build();
    }

    private record Delivery(byte[] lot, ByteString offer) {}

    /** Three tonnes are sent, and some of it is missing. */
    private static Delivery trade(Erp base, Erp smelter) throws Exception {
        byte[] lot = uuidV7();
        byte[] commitment = new byte[32];
        new SecureRandom().nextBytes(commitment);
        var collect = base.event()
                .setCollectLot(CollectLot.newBuilder()
                        .setLot(NewLot.newBuilder()
                                .setLotId(bytes(lot))
                                .setMaterial("CU_SCRAP_NO2")
                                .setForm("CABLE")
                                .setOriginKind(OriginKind.ORIGIN_KIND_POST_CONSUMER)
                                .setNetMassG(SENT_G)
                                .setCustodyModel(CustodyModel.CUSTODY_MODEL_SEGREGATED))
                        .setSellerKind(SellerKind.SELLER_KIND_ENTERPRISE)
                        .setSellerCommitment(bytes(commitment))
                        .setSellerCertificate("EXAMPLE-CERTIFICATE-3")
                        .setWeighing(weighing(SENT_G, "T-2026-000201"))
                        .setOriginRegion("360702")
                        .setInvoiceClass(InvoiceClass.INVOICE_CLASS_VAT_SPECIAL))
                .build();
        Receipt receipt = base.append(collect);
        System.out.printf(
                "appended    collection as entry %d, over mutual TLS; the receipt holds%n", receipt.index());
        var offer = base.event()
                .setOfferTransfer(OfferTransfer.newBuilder()
                        .setLotId(bytes(lot))
                        .setMassG(SENT_G)
                        .setConsigneePartyId(bytes(smelter.party))
                        .setConsigneeSiteId(bytes(smelter.site))
                        .setScope(TransferScope.TRANSFER_SCOPE_CUSTODY_AND_OWNERSHIP)
                        .setInvoiceClass(InvoiceClass.INVOICE_CLASS_VAT_SPECIAL))
                .build();
        base.append(offer);
        smelter.append(smelter.event()
                .setAcceptTransfer(AcceptTransfer.newBuilder()
                        .setOfferEventId(offer.getEventId())
                        .setReceived(weighing(RECEIVED_G, "T-2026-000202")))
                .build());
        System.out.printf(
                "delivered   %d g were sent, %d g arrived: the lot is on hold%n", SENT_G, RECEIVED_G);
        return new Delivery(lot, offer.getEventId());
    }

    /** One proposes, the other reads, signs the very same bytes, and the event is recorded. */
    private static void settle(Erp base, Erp smelter, ByteString offer) throws Exception {
        var event = base.event()
                .setSettleDiscrepancy(SettleDiscrepancy.newBuilder()
                        .setOfferEventId(offer)
                        .setAgreedG(AGREED_G)
                        .setCause(TransferReason.TRANSFER_REASON_QUANTITY))
                .build();
        byte[] envelope = Envelope.sign(event.toByteArray(), List.of(base.key));
        var create = CreateDraftRequest.newBuilder().setEnvelope(bytes(envelope)).build();
        Draft proposed = base.drafts().createDraft(create).getDraft();

        var list = ListDraftsRequest.newBuilder().setUnsignedOnly(true).build();
        List<Draft> waiting = smelter.drafts().listDrafts(list).getDraftsList();
        require(waiting.size() == 1 && waiting.get(0).getDraftId().equals(proposed.getDraftId()),
                "one draft waits");
        byte[] payload = waiting.get(0).getPayload().toByteArray();
        require(Event.parseFrom(payload).getSettleDiscrepancy().getAgreedG() == AGREED_G,
                "it says what was agreed");
        var sign = SignDraftRequest.newBuilder()
                .setDraftId(proposed.getDraftId())
                .setKeyId(bytes(smelter.key.id()))
                .setSignature(bytes(smelter.key.sign(Envelope.pae(payload))))
                .build();
        String text = smelter.drafts().signDraft(sign).getAppended().getReceipt();
        Receipt receipt = Receipt.verify(text, ORIGIN, LEDGER_KEY);
        System.out.printf(
                "co-signed   settlement as entry %d, two signatures, one receipt%n", receipt.index());
    }

    private record Watched(List<EventKind> kinds, int checkpoints) {}

    /** Follows a lot: what was recorded already, then what is recorded meanwhile. */
    private static Watched watch(Erp erp, byte[] lot, int until) {
        var request = WatchEntriesRequest.newBuilder()
                .setLotId(bytes(lot))
                .setHeartbeatSeconds(1)
                .build();
        var kinds = new ArrayList<EventKind>();
        int checkpoints = 0;
        try {
            var messages = erp.entries().watchEntries(request);
            while (messages.hasNext()) {
                var message = messages.next();
                if (message.hasHeartbeat()) {
                    Receipt.Checkpoint.open(message.getHeartbeat().getCheckpoint(), ORIGIN, LEDGER_KEY);
                    checkpoints++;
                } else {
                    kinds.add(message.getEntry().getKind());
                }
                if (kinds.size() >= until && checkpoints > 0) {
                    break;
                }
            }
        } catch (Exception fault) {
            throw new IllegalStateException("the watch", fault);
        }
        return new Watched(kinds, checkpoints);
    }

    private static void refused(
            String what, ManagedChannel channel, String token, Status.Code code, String reason)
            throws Exception {
        var stub = LedgerServiceGrpc.newBlockingStub(channel).withDeadlineAfter(DEADLINE_S, TimeUnit.SECONDS);
        if (token != null) {
            var headers = new Metadata();
            var name = Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);
            headers.put(name, "Bearer " + token);
            stub = stub.withInterceptors(MetadataUtils.newAttachHeadersInterceptor(headers));
        }
        try {
            stub.listEntries(ListEntriesRequest.getDefaultInstance());
        } catch (StatusRuntimeException error) {
            String found = "";
            var status = StatusProto.fromThrowable(error);
            for (var detail : status == null ? List.<com.google.protobuf.Any>of() : status.getDetailsList()) {
                if (detail.is(com.google.rpc.ErrorInfo.class)) {
                    found = detail.unpack(com.google.rpc.ErrorInfo.class).getReason();
                }
            }
            boolean isExpected = error.getStatus().getCode() == code && found.equals(reason);
            require(isExpected, what + ": " + error.getStatus() + " " + found);
            System.out.println(("refused     " + what + ": " + code + " " + reason).strip());
            return;
        } finally {
            channel.shutdownNow();
        }
        throw new IllegalStateException(what + ": this should have been refused");
    }

    public static void main(String[] arguments) throws Exception {
        var base = new Erp("base-ganzhou", "base-ganzhou/yard");
        var smelter = new Erp("copper-smelter", "copper-smelter/works");
        Delivery delivery = trade(base, smelter);
        var watching = CompletableFuture.supplyAsync(() -> watch(base, delivery.lot(), 4));
        settle(base, smelter, delivery.offer());
        Watched watched = watching.get(DEADLINE_S, TimeUnit.SECONDS);
        var expected = List.of(
                EventKind.EVENT_KIND_COLLECT_LOT,
                EventKind.EVENT_KIND_OFFER_TRANSFER,
                EventKind.EVENT_KIND_ACCEPT_TRANSFER,
                EventKind.EVENT_KIND_SETTLE_DISCREPANCY);
        require(watched.kinds().equals(expected), "the watch saw " + watched.kinds());
        System.out.printf("watched     %s; %d checkpoints hold%n", watched.kinds(), watched.checkpoints());

        refused("no identity at all", channel(null, null), null,
                Status.Code.UNAUTHENTICATED, "IDENTITY_MISSING");
        refused("a certificate of another authority",
                channel(Path.of(System.getenv("ERP_STRANGER")), base.party), null,
                Status.Code.UNAVAILABLE, "");
        refused("an expired token", channel(null, null), System.getenv("ERP_EXPIRED_TOKEN"),
                Status.Code.UNAUTHENTICATED, "TOKEN_EXPIRED");
        System.exit(0);
    }
}
