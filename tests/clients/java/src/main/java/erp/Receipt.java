package erp;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;

/** A receipt as docs/FORMAT.md tells it, checked against the pinned ledger and nothing else. */
record Receipt(long index, byte[] entry) {

    static final class Refused extends Exception {
        Refused(String rule) {
            super(rule);
        }
    }

    private static void require(boolean holds, String rule) throws Refused {
        if (!holds) {
            throw new Refused(rule);
        }
    }

    static Receipt verify(String text, String origin, byte[] ledgerKey) throws Exception {
        int end = text.indexOf("\n\n");
        require(end > 0, "a receipt has a proof and a checkpoint");
        String[] lines = text.substring(0, end).split("\n");
        require(lines.length >= 3 && lines[0].equals("c2sp.org/tlog-proof@v1"), "it is a tlog-proof");
        require(lines[1].startsWith("extra ") && lines[2].startsWith("index "), "entry, then index");
        byte[] entry = Base64.getDecoder().decode(lines[1].substring(6));
        long index = Long.parseLong(lines[2].substring(6));
        List<byte[]> proof = new ArrayList<>();
        for (int at = 3; at < lines.length; at++) {
            proof.add(Base64.getDecoder().decode(lines[at]));
        }
        require(proof.size() <= 64, "a proof has at most 64 hashes");
        // Version 2, kind 1, index 8.
        require(ByteBuffer.wrap(entry).getLong(3) == index, "the index is the entry's");
        Checkpoint checkpoint = Checkpoint.open(text.substring(end + 2), origin, ledgerKey);
        byte[] leaf = Keys.sha256(new byte[] {0}, entry);
        byte[] root = root(leaf, index, checkpoint.size(), proof);
        require(Arrays.equals(root, checkpoint.root()), "the proof leads to the signed root");
        return new Receipt(index, entry);
    }

    /** RFC 9162, section 2.1.3.2. */
    private static byte[] root(byte[] leaf, long index, long size, List<byte[]> proof)
            throws Refused {
        require(index < size, "the index is below the size");
        long inner = index;
        long last = size - 1;
        byte[] found = leaf;
        for (byte[] sibling : proof) {
            require(last != 0 && sibling.length == 32, "the proof is not too long");
            if ((inner & 1) == 1 || inner == last) {
                found = Keys.sha256(new byte[] {1}, sibling, found);
                while ((inner & 1) == 0 && inner != 0) {
                    inner >>= 1;
                    last >>= 1;
                }
            } else {
                found = Keys.sha256(new byte[] {1}, found, sibling);
            }
            inner >>= 1;
            last >>= 1;
        }
        require(last == 0, "the proof is not too short");
        return found;
    }

    /** A size and root that the ledger signed: a C2SP checkpoint in a signed note. */
    record Checkpoint(long size, byte[] root) {
        static Checkpoint open(String text, String origin, byte[] ledgerKey) throws Exception {
            int end = text.indexOf("\n\n");
            require(end > 0, "a checkpoint has a body and signatures");
            String body = text.substring(0, end + 1);
            String[] lines = body.split("\n");
            require(lines.length == 3 && lines[0].equals(origin), "three lines, the pinned origin");
            byte[] name = (origin + "\n").getBytes(StandardCharsets.UTF_8);
            byte[] noteKey = Arrays.copyOf(Keys.sha256(name, new byte[] {1}, ledgerKey), 4);
            int good = 0;
            for (String line : text.substring(end + 2).split("\n")) {
                String[] parts = line.split(" ");
                require(parts.length == 3 && parts[0].equals("\u2014"), "a signature line");
                byte[] raw = Base64.getDecoder().decode(parts[2]);
                boolean isOurs = parts[1].equals(origin) && Arrays.equals(Arrays.copyOf(raw, 4), noteKey);
                byte[] signed = Arrays.copyOfRange(raw, 4, raw.length);
                byte[] message = body.getBytes(StandardCharsets.UTF_8);
                if (isOurs && Keys.verify(ledgerKey, message, signed)) {
                    good++;
                }
            }
            require(good == 1, "the pinned ledger signed it, once");
            return new Checkpoint(Long.parseLong(lines[1]), Base64.getDecoder().decode(lines[2]));
        }
    }
}
