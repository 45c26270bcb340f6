package erp;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;

/** The envelope of docs/FORMAT.md: the payload as signed, with its signatures by key id. */
final class Envelope {
    private static final String PAYLOAD_TYPE = "application/vnd.urbanmine.event.v1+protobuf";
    private static final short ED25519 = 1;
    private static final int SIGNATURE_BYTES = 32 + 2 + 64;

    private Envelope() {}

    private record Signed(byte[] key, byte[] signature) {}

    /** The pre-authentication encoding of DSSE v1: what is signed. */
    static byte[] pae(byte[] payload) {
        String head = "DSSEv1 " + PAYLOAD_TYPE.length() + " " + PAYLOAD_TYPE + " " + payload.length + " ";
        byte[] begin = head.getBytes(StandardCharsets.US_ASCII);
        byte[] all = Arrays.copyOf(begin, begin.length + payload.length);
        System.arraycopy(payload, 0, all, begin.length, payload.length);
        return all;
    }

    static byte[] sign(byte[] payload, List<Keys> keys) throws Exception {
        byte[] message = pae(payload);
        var signed = new java.util.ArrayList<Signed>();
        for (Keys key : keys) {
            signed.add(new Signed(key.id(), key.sign(message)));
        }
        signed.sort(Comparator.comparing(Signed::key, Arrays::compareUnsigned));
        var out = ByteBuffer.allocate(1 + signed.size() * SIGNATURE_BYTES + 4 + payload.length);
        out.put((byte) signed.size());
        for (Signed one : signed) {
            out.put(one.key()).putShort(ED25519).put(one.signature());
        }
        return out.putInt(payload.length).put(payload).array();
    }
}
