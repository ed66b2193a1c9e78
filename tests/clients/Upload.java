import java.io.FileInputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.Arrays;
import java.util.List;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/** Uploads that are refused, by java.net.http: Upload CERTIFICATE URL TOKEN STATUS:PATH... over HTTP/2 and HTTP/1.1. */
public class Upload {
    static SSLContext trusting(String certificate) throws Exception {
        KeyStore roots = KeyStore.getInstance(KeyStore.getDefaultType());
        roots.load(null, null);
        try (FileInputStream file = new FileInputStream(certificate)) {
            var factory = CertificateFactory.getInstance("X.509");
            roots.setCertificateEntry("gateway", factory.generateCertificate(file));
        }
        var trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(roots);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, trust.getTrustManagers(), null);
        return context;
    }

    public static void main(String[] arguments) throws Exception {
        SSLContext context = trusting(arguments[0]);
        String base = arguments[1];
        String token = arguments[2];
        List<String> cases = Arrays.asList(arguments).subList(3, arguments.length);
        for (var version : HttpClient.Version.values()) {
            HttpClient client = HttpClient.newBuilder().version(version).sslContext(context).build();
            for (String one : cases) {
                String[] parts = one.split(":");
                for (int size : new int[] {1 << 10, 1 << 20, 10 << 20}) {
                    var request = HttpRequest.newBuilder(URI.create(base + parts[1]))
                            .POST(HttpRequest.BodyPublishers.ofByteArray(new byte[size]));
                    if (parts[0].equals("403")) {
                        request.header("Authorization", "Bearer " + token);
                    }
                    String what = version + " " + one + ", " + size + " bytes: ";
                    int status;
                    try {
                        status = client.send(request.build(), BodyHandlers.ofString()).statusCode();
                    } catch (Exception error) {
                        throw new Exception(what, error);
                    }
                    if (status != Integer.parseInt(parts[0])) {
                        throw new Exception(what + status);
                    }
                }
            }
        }
    }
}
