package erp;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.MessageDigest;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.Signature;
import java.security.spec.PKCS8EncodedKeySpec;
import java.security.spec.X509EncodedKeySpec;
import java.util.Arrays;
import java.util.HexFormat;
import org.bouncycastle.asn1.pkcs.PrivateKeyInfo;
import org.bouncycastle.crypto.params.Ed25519PrivateKeyParameters;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.openssl.PEMParser;
import org.bouncycastle.openssl.jcajce.JceOpenSSLPKCS8DecryptorProviderBuilder;
import org.bouncycastle.pkcs.PKCS8EncryptedPrivateKeyInfo;

/** A party's signing key: read from its encrypted file, never sent anywhere. */
final class Keys {
    /** What stands before the 32 bytes of an ed25519 key in its X.509 form (RFC 8410). */
    private static final byte[] X509_HEAD = HexFormat.of().parseHex("302a300506032b6570032100");

    private final PrivateKey key;
    private final byte[] publicBytes;

    private Keys(PrivateKey key, byte[] publicBytes) {
        this.key = key;
        this.publicBytes = publicBytes;
    }

    static Keys read(Path file, char[] passphrase) throws Exception {
        try (var reader = Files.newBufferedReader(file); var pem = new PEMParser(reader)) {
            if (!(pem.readObject() instanceof PKCS8EncryptedPrivateKeyInfo encrypted)) {
                throw new IOException(file + " is not an encrypted PKCS#8 key");
            }
            var decryptor = new JceOpenSSLPKCS8DecryptorProviderBuilder()
                    .setProvider(new BouncyCastleProvider())
                    .build(passphrase);
            PrivateKeyInfo info = encrypted.decryptPrivateKeyInfo(decryptor);
            // The octet string in the octet string: the seed of RFC 8032.
            byte[] octets = info.parsePrivateKey().toASN1Primitive().getEncoded();
            byte[] seed = Arrays.copyOfRange(octets, octets.length - 32, octets.length);
            byte[] open = new Ed25519PrivateKeyParameters(seed, 0).generatePublicKey().getEncoded();
            var spec = new PKCS8EncodedKeySpec(info.getEncoded());
            return new Keys(KeyFactory.getInstance("Ed25519").generatePrivate(spec), open);
        }
    }

    /** How an envelope names a signer. */
    byte[] id() {
        return sha256(publicBytes);
    }

    byte[] sign(byte[] message) throws GeneralSecurityException {
        var signature = Signature.getInstance("Ed25519");
        signature.initSign(key);
        signature.update(message);
        return signature.sign();
    }

    static boolean verify(byte[] publicBytes, byte[] message, byte[] signed)
            throws GeneralSecurityException {
        byte[] encoded = Arrays.copyOf(X509_HEAD, X509_HEAD.length + 32);
        System.arraycopy(publicBytes, 0, encoded, X509_HEAD.length, 32);
        PublicKey key = KeyFactory.getInstance("Ed25519").generatePublic(new X509EncodedKeySpec(encoded));
        var signature = Signature.getInstance("Ed25519");
        signature.initVerify(key);
        signature.update(message);
        return signature.verify(signed);
    }

    static byte[] sha256(byte[]... parts) {
        try {
            var digest = MessageDigest.getInstance("SHA-256");
            for (byte[] part : parts) {
                digest.update(part);
            }
            return digest.digest();
        } catch (GeneralSecurityException impossible) {
            // Every JDK has SHA-256.
            throw new IllegalStateException(impossible);
        }
    }
}
