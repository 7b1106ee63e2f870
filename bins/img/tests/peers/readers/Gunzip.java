import java.io.FileInputStream;
import java.io.InputStream;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.zip.GZIPInputStream;

/** Prints the SHA-256 of what the Java library makes of a gzip file. */
class Gunzip {
    public static void main(String[] arguments) throws Exception {
        MessageDigest digest = MessageDigest.getInstance("SHA-256");
        byte[] buffer = new byte[1 << 16];
        try (InputStream input = new GZIPInputStream(new FileInputStream(arguments[0]))) {
            for (int count; (count = input.read(buffer)) >= 0; ) {
                digest.update(buffer, 0, count);
            }
        }
        System.out.println(HexFormat.of().formatHex(digest.digest()));
    }
}
