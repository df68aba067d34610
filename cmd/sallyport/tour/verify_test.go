package tour

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// request is one that a receiver got.
type request struct {
	Secret  string            `json:"secret"`
	Headers map[string]string `json:"headers"`
	Body    []byte            `json:"body"`
}

// signed makes a request as Standard Webhooks describes it: HMAC-SHA256 of id.timestamp.body.
func signed(secret string, key []byte, at time.Time, body string) request {
	stamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("ord-7." + stamp + "." + body))
	return request{secret, map[string]string{
		"webhook-id": "ord-7", "webhook-timestamp": stamp, "webhook-signature": "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)),
	}, []byte(body)}
}

// languages say how a block of the page is run: the program around it reads requests as JSON
// and prints a list of verdicts.
var languages = map[string]struct {
	file, before, after string
	command             []string
}{
	"node": {"verify.mjs", "", `
import { readFileSync } from "node:fs";
console.log(JSON.stringify(JSON.parse(readFileSync(0)).map((r) => verify(r.secret, r.headers, Buffer.from(r.body, "base64")))));
`, []string{"node"}},
	"python": {"verify.py", "", `
import json, sys
print(json.dumps([verify(r["secret"], r["headers"], base64.b64decode(r["body"])) for r in json.load(sys.stdin)]))
`, []string{"python3"}},
	"php": {"verify.php", "<?php\n", `
echo json_encode(array_map(fn($r) => verify($r['secret'], $r['headers'], base64_decode($r['body'])), json_decode(file_get_contents('php://stdin'), true)));
`, []string{"php"}},
	"go": {"verify.go", `package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

`, `
func main() {
	var requests []struct {
		Secret  string
		Headers map[string]string
		Body    []byte
	}
	if err := json.NewDecoder(os.Stdin).Decode(&requests); err != nil {
		panic(err)
	}
	verdicts := []bool{}
	for _, r := range requests {
		h := http.Header{}
		for name, value := range r.Headers {
			h.Set(name, value)
		}
		verdicts = append(verdicts, verify(r.Secret, h, r.Body))
	}
	_ = json.NewEncoder(os.Stdout).Encode(verdicts)
}
`, []string{"go", "run"}},
}

func TestVerify(t *testing.T) {
	t.Parallel()
	const plain, body = "a-secret-for-the-first-tour", `{"total":12,"note":"ü"}`
	key := []byte("0123456789abcdef0123456789abcdef")
	prefixed := "whsec_" + base64.StdEncoding.EncodeToString(key)
	now := time.Now()

	rotated := signed(prefixed, key, now, body)
	rotated.Headers["webhook-signature"] = "v1,AAAA v2,x " + rotated.Headers["webhook-signature"]
	changed := signed(plain, []byte(plain), now, body)
	changed.Body = append(changed.Body, ' ')
	otherID := signed(plain, []byte(plain), now, body)
	otherID.Headers["webhook-id"] = "ord-8"
	unsigned := signed(plain, []byte(plain), now, body)
	unsigned.Headers["webhook-signature"] = ""
	cases := []struct {
		why     string
		request request
		want    bool
	}{
		{"a plain secret", signed(plain, []byte(plain), now, body), true},
		{"a whsec_ secret", signed(prefixed, key, now, body), true},
		{"one of several signatures", rotated, true},
		{"no body", signed(plain, []byte(plain), now, ""), true},
		{"another body", changed, false},
		{"another id", otherID, false},
		{"another secret", signed(plain, key, now, body), false},
		{"too old", signed(plain, []byte(plain), now.Add(-6*time.Minute), body), false},
		{"of the future", signed(plain, []byte(plain), now.Add(6*time.Minute), body), false},
		{"no signature", unsigned, false},
	}
	var requests []request
	for _, c := range cases {
		requests = append(requests, c.request)
	}
	tried := 0
	for _, b := range page(t) {
		language, ok := strings.CutPrefix(b.mark, "verify: ")
		if !ok {
			continue
		}
		tried++
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			for i, got := range verdicts(t, language, b.text, requests) {
				if got != cases[i].want {
					t.Errorf("README.md:%d: %s: %v", b.line, cases[i].why, got)
				}
			}
		})
	}
	if tried != len(languages) {
		t.Errorf("%d languages on the page, %d known here", tried, len(languages))
	}
}

// verdicts runs a block of the page on requests.
func verdicts(t *testing.T, language, text string, requests []request) []bool {
	t.Helper()
	l, ok := languages[language]
	if !ok {
		t.Fatalf("nobody knows how to run %s", language)
	}
	file := filepath.Join(t.TempDir(), l.file)
	if err := os.WriteFile(file, []byte(l.before+text+l.after), 0o600); err != nil {
		t.Fatal(err)
	}
	in, err := json.Marshal(requests)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), l.command[0], append(l.command[1:], file)...)
	var errs bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v (.ci/setup installs what this needs)\n%s", l.command, err, errs.String())
	}
	var got []bool
	if err := json.Unmarshal(out, &got); err != nil || len(got) != len(requests) {
		t.Fatalf("%v: %s", err, out)
	}
	return got
}
