// SECRET=whsec_… java Receiver.java (17 or later)
import static java.nio.charset.StandardCharsets.UTF_8;

import com.sun.net.httpserver.Headers;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.security.GeneralSecurityException;
import java.security.MessageDigest;
import java.util.Base64;
import java.util.HexFormat;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.regex.Pattern;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

public class Receiver {
    static final String SECRET = System.getenv().getOrDefault("SECRET", "");
    // In earnest a unique column, written in the transaction that does the work.
    static final Set<String> seen = ConcurrentHashMap.newKeySet();
    static final Pattern EVENT_ID = Pattern.compile("\\A\\{\"eventId\":\"([^\"]+)\""); // in earnest a JSON library

    static byte[] hmac(byte[] key, byte[]... parts) throws GeneralSecurityException {
        Mac mac = Mac.getInstance("HmacSHA256");
        mac.init(new SecretKeySpec(key, "HmacSHA256"));
        for (byte[] part : parts) mac.update(part);
        return mac.doFinal();
    }

    static boolean equal(String want, String given) { // takes as long wherever they differ
        return given != null && MessageDigest.isEqual(want.getBytes(UTF_8), given.getBytes(UTF_8));
    }

    /** webhook-signature: HMAC-SHA256 of id, time and body, in base64; several while secrets change. */
    static boolean verify(Headers h, byte[] body) throws GeneralSecurityException {
        String id = h.getFirst("webhook-id"), at = h.getFirst("webhook-timestamp"), given = h.getFirst("webhook-signature");
        if (id == null || given == null || at == null || !at.matches("[0-9]{1,12}")) return false;
        if (Math.abs(System.currentTimeMillis() / 1000 - Long.parseLong(at)) > 300) return false; // not of these five minutes
        byte[] key = SECRET.startsWith("whsec_") ? Base64.getDecoder().decode(SECRET.substring(6)) : SECRET.getBytes(UTF_8);
        String want = "v1," + Base64.getEncoder().encodeToString(hmac(key, (id + "." + at + ".").getBytes(UTF_8), body));
        for (String one : given.split(" ")) {
            if (equal(want, one)) return true;
        }
        return false;
    }

    /**
     * X-Signature: HMAC-SHA256 of the body, in hex, under the secret as it is written. It has no time. While secrets
     * change, that of the new one is in X-Signature-Next.
     */
    static boolean verifyBody(Headers h, byte[] body) throws GeneralSecurityException {
        String want = HexFormat.of().formatHex(hmac(SECRET.getBytes(UTF_8), body));
        return equal(want, h.getFirst("X-Signature")) || equal(want, h.getFirst("X-Signature-Next"));
    }

    record Answer(int status, String text) {}

    static Answer receive(Headers h, String path, byte[] body) throws GeneralSecurityException {
        boolean plain = path.equals("/plain");
        if (plain ? !verifyBody(h, body) : !verify(h, body)) return new Answer(401, "not signed with our secret");
        String event = new String(body, UTF_8), id = h.getFirst("webhook-id");
        if (plain) { // whichever is signed
            var found = EVENT_ID.matcher(event);
            if (!found.find()) return new Answer(400, "no eventId");
            id = found.group(1);
        }
        if (seen.contains(id)) return new Answer(200, "seen");
        System.out.println("work on " + event);
        seen.add(id); // after the work: what failed comes again
        return new Answer(200, "done");
    }

    static void handle(HttpExchange x) throws IOException {
        byte[] body = x.getRequestBody().readAllBytes(); // the raw bytes, before any parser: they are what is signed
        Answer answer;
        try {
            answer = receive(x.getRequestHeaders(), x.getRequestURI().getPath(), body);
        } catch (GeneralSecurityException | RuntimeException e) {
            answer = new Answer(500, "failed");
        }
        x.sendResponseHeaders(answer.status, answer.text.length());
        x.getResponseBody().write(answer.text.getBytes(UTF_8));
        x.close();
    }

    public static void main(String[] args) throws IOException {
        if (SECRET.isEmpty()) throw new IllegalStateException("SECRET is not set"); // or everybody could call
        var server = HttpServer.create(new InetSocketAddress(Integer.parseInt(System.getenv().getOrDefault("PORT", "9000"))), 0);
        server.createContext("/", Receiver::handle);
        server.setExecutor(Executors.newCachedThreadPool());
        server.start();
    }
}
