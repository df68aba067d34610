package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sallyport/internal/testkit"
)

// pair is a certificate for localhost that signs itself, in two files.
type pair struct {
	t         *testing.T
	cert, key string
}

func newPair(t *testing.T, serial int64) *pair {
	t.Helper()
	dir := t.TempDir()
	p := &pair{t: t, cert: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem")}
	p.renew(serial)
	return p
}

func (p *pair) renew(serial int64) {
	p.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		p.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "localhost"}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		p.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		p.t.Fatal(err)
	}
	p.write(p.cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	p.write(p.key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
}

func (p *pair) write(path string, content []byte) {
	p.t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// get calls over TLS, trusting the certificate in the file, on a new connection. It returns the
// certificate's serial number; 0 if the handshake failed.
func (p *pair) get(url string) (status int, serial int64) {
	p.t.Helper()
	content, err := os.ReadFile(p.cert)
	if err != nil {
		p.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(content)
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, url, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	res, err := client.Do(req)
	if err != nil {
		return 0, 0
	}
	if err := res.Body.Close(); err != nil {
		p.t.Error(err)
	}
	return res.StatusCode, res.TLS.PeerCertificates[0].SerialNumber.Int64()
}

// Own TLS on both listeners; a renewed certificate is served without a restart.
func TestTLS(t *testing.T) {
	t.Parallel()
	p := newPair(t, 1)
	s := prepare(t, "sqlite")
	public := testkit.FreeAddr(t)
	s.launch("SALLYPORT_ADDR="+public, "SALLYPORT_ADMIN_ADDR=127.0.0.1:0", "SALLYPORT_TLS_CERT="+p.cert, "SALLYPORT_TLS_KEY="+p.key)
	admin := strings.Replace(s.url, "127.0.0.1", "localhost", 1)
	if !strings.HasPrefix(admin, "https://") {
		t.Fatalf("it listens at %s", admin)
	}
	outside := "https://" + strings.Replace(public, "127.0.0.1", "localhost", 1)
	is := func(url string, status int, serial int64) bool {
		gotStatus, gotSerial := p.get(url)
		return gotStatus == status && gotSerial == serial
	}
	eventually(t, "both listeners to serve TLS", func() bool { return is(admin+"/readyz", http.StatusOK, 1) && is(outside+"/healthz", http.StatusOK, 1) })
	if !is(outside+"/v1/info", http.StatusNotFound, 1) {
		t.Error("the API is at the public address")
	}
	p.renew(2)
	eventually(t, "the renewed certificate", func() bool { return is(admin+"/healthz", http.StatusOK, 2) && is(outside+"/healthz", http.StatusOK, 2) })
	p.renew(3)
	hangup := func(says string) {
		t.Helper()
		if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		eventually(t, says, func() bool { return strings.Contains(s.said(), says) })
	}
	hangup("certificate.renewed")
	eventually(t, "the certificate after SIGHUP", func() bool { return is(admin+"/healthz", http.StatusOK, 3) })
	// Half a renewal: what was goes on, and the log says why.
	p.write(p.key, []byte("no key"))
	hangup("certificate.not_renewed")
	if !is(admin+"/healthz", http.StatusOK, 3) {
		t.Error("a broken file took the certificate away")
	}
	s.stop()
}
