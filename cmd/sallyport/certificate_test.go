package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestFilesThatAreNoCertificateAreRefusedBeforeAnythingIsMade(t *testing.T) {
	t.Parallel()
	p := &place{t: t, dir: filepath.Join(t.TempDir(), "data")}
	file := p.file("none.pem")
	if err := os.WriteFile(file, []byte("none"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, cert := range []string{file, p.file("missing.pem")} {
		p.want(exitError, "SALLYPORT_TLS_CERT and SALLYPORT_TLS_KEY: ", "serve", "--addr", "127.0.0.1:0", "--tls-cert", cert, "--tls-key", cert)
	}
	if _, err := os.Stat(p.dir); !os.IsNotExist(err) {
		t.Errorf("a data directory was made: %v", err)
	}
}
