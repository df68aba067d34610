import static java.nio.charset.StandardCharsets.UTF_8;

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.security.MessageDigest;
import java.time.ZoneOffset;
import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.util.HexFormat;

public class Call {
    public static void main(String[] args) throws Exception {
        String minute = ZonedDateTime.now(ZoneOffset.UTC).format(DateTimeFormatter.ofPattern("yyyy-MM-dd_HH-mm"));
        byte[] sum = MessageDigest.getInstance("SHA-256").digest((System.getenv("SECRET") + minute).getBytes(UTF_8));
        var call = HttpRequest.newBuilder(URI.create(System.getenv("URL") + "?hash=" + HexFormat.of().formatHex(sum)))
            .header("Content-Type", "application/json")
            .POST(HttpRequest.BodyPublishers.ofString("{\"sku\":\"A-7\", \"quantity\":3}"))
            .build();
        System.out.println(HttpClient.newHttpClient().send(call, BodyHandlers.ofString()).body());
    }
}
