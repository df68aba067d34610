package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"github.com/gofrs/flock"

	"sallyport/internal/testkit"
)

// The libraries of receivers and senders, at the versions of clients/package-lock.json.
//
//go:embed clients
var clients embed.FS

// claim is a request that a library is to verify.
type claim struct {
	Name    string            `json:"name"`
	Library string            `json:"library"`
	Secret  string            `json:"secret"`
	Headers map[string]string `json:"headers"`
	Body    []byte            `json:"body"`
}

func claimOf(name, library, secret string, q testkit.Received) claim {
	headers := map[string]string{}
	for n, values := range q.Header {
		headers[strings.ToLower(n)] = strings.Join(values, ", ")
	}
	return claim{Name: name, Library: library, Secret: secret, Headers: headers, Body: q.Body}
}

var _ = suite("clients", map[string]func(*world){
	"the libraries of receivers verify what we sign": func(w *world) {
		var claims []claim
		rotated := w.planted.given("of-the-clients-next-" + random(16))
		for _, c := range []struct{ profile, library string }{
			{"default", "standardwebhooks"}, {"default", "svix"}, {"standard-webhooks", "standardwebhooks"}, {"cloudevents", "svix"},
			{"stripe", "stripe"}, {"github", "octokit"}, {"shopify", "shopify"},
		} {
			r := w.receiver()
			event := full.with(doc{"entity": doc{"name": "Ä/<é>\u2028", "total": 1.5}, "type": "only." + random(8)})
			made := w.webhook(r, doc{"code": c.profile + "-" + c.library, "profile": c.profile, "generateSecret": true, "eventTypes": []any{event["type"]}}).text("secret")
			name := c.profile + " with a generated secret"
			claims = append(claims, claimOf(name, c.library, made, w.next(r, event)))
			w.admin.post("/v1/webhooks/"+c.profile+"-"+c.library+"/secret/rotate", doc{"secret": rotated}).want(http.StatusOK)
			q := w.next(r, event)
			claims = append(claims, claimOf(name+", rotated", c.library, made, q))
			next := rotated
			switch c.library {
			case "standardwebhooks", "svix": // as the field's description says
				next = "whsec_" + base64.StdEncoding.EncodeToString([]byte(rotated))
			case "octokit": // has room for one: the newest has a header of its own
				q.Header.Set("X-Hub-Signature-256", q.Header.Get("X-Hub-Signature-256-Next"))
			case "shopify":
				q.Header.Set("X-Shopify-Hmac-Sha256", q.Header.Get("X-Shopify-Hmac-Sha256-Next"))
			}
			claims = append(claims, claimOf(name+", the new one", c.library, next, q))
		}
		for i, refused := range w.verify(claims) {
			if refused != "" {
				w.t.Errorf("%s refuses %s: %s", claims[i].Library, claims[i].Name, refused)
			}
		}
		for i := range claims {
			claims[i].Body = bytes.Replace(claims[i].Body, []byte("1.5"), []byte("1.6"), 1)
		}
		for i, refused := range w.verify(claims) {
			if refused == "" {
				w.t.Errorf("%s takes %s with another body", claims[i].Library, claims[i].Name)
			}
		}
	},
	"three lines of PHP verify X-Signature": func(w *world) {
		script := filepath.Join(w.t.TempDir(), "verify.php")
		source, err := clients.ReadFile("clients/verify.php")
		if err != nil {
			w.t.Fatal(err)
		}
		if err := os.WriteFile(script, source, 0o600); err != nil {
			w.t.Fatal(err)
		}
		for _, profile := range []string{"default", "mixpost"} {
			r := w.receiver()
			secret := w.planted.given("of-the-php-receiver-" + random(16))
			w.webhook(r, doc{"profile": profile, "secret": secret, "eventTypes": []string{profile + ".*"}})
			q := w.next(r, doc{"type": profile + ".a", "entity": doc{"url": "https://example.com/café"}})
			for body, want := range map[string]bool{string(q.Body): true, string(q.Body) + " ": false} {
				php := exec.CommandContext(w.t.Context(), "php", script, secret, q.Header.Get("X-Signature"))
				php.Stdin = strings.NewReader(body)
				if err := php.Run(); (err == nil) != want {
					w.t.Errorf("%s: PHP says %v of %q", profile, err, body)
				}
			}
		}
	},
})

// verify has every claim verified by its library and returns why it was refused, "" if not.
func (w *world) verify(claims []claim) []string {
	w.t.Helper()
	var refusals []*string
	w.node("verify.mjs", claims, &refusals)
	if len(refusals) != len(claims) {
		w.t.Fatalf("%d verdicts on %d claims", len(refusals), len(claims))
	}
	texts := make([]string, len(refusals))
	for i, r := range refusals {
		if r != nil {
			texts[i] = *r + "!"
		}
	}
	return texts
}

// node runs a program of clients, which reads one JSON value and writes another.
func (w *world) node(program string, in, out any) {
	w.t.Helper()
	dir, err := installed()
	if err != nil {
		w.t.Fatalf("installing the libraries: %v", err)
	}
	input, err := json.Marshal(in)
	if err != nil {
		w.t.Fatal(err)
	}
	node := exec.CommandContext(w.t.Context(), "node", filepath.Join(dir, program))
	node.Stdin = bytes.NewReader(input)
	var said bytes.Buffer
	node.Stderr = &said
	written, err := node.Output()
	if err != nil {
		w.t.Fatalf("%s: %v\n%s", program, err, said.String())
	}
	if err := json.Unmarshal(written, out); err != nil {
		w.t.Fatalf("%s wrote %s: %v", program, written, err)
	}
}

// installed is a directory of the user's cache with the libraries at the locked versions.
var installed = sync.OnceValues(func() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	files := map[string][]byte{}
	key := sha256.New()
	for _, name := range []string{"package.json", "package-lock.json", "verify.mjs", "sign.mjs"} {
		if files[name], err = clients.ReadFile("clients/" + name); err != nil {
			return "", err
		}
		key.Write(files[name])
	}
	parent := filepath.Join(cache, "sallyport-test")
	dir := filepath.Join(parent, fmt.Sprintf("clients-%x", key.Sum(nil)[:6]))
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return "", err
	}
	lock := flock.New(filepath.Join(parent, "clients.lock"))
	if err := lock.Lock(); err != nil {
		return "", err
	}
	defer lock.Close() // closing frees it in any case
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	temporary, err := os.MkdirTemp(parent, "installing-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(temporary) // gone by then if all went well
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(temporary, name), content, 0o600); err != nil {
			return "", err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 4*patience)
	defer cancel()
	for attempt := 1; ; attempt++ {
		npm := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", "--fetch-retries=5")
		npm.Dir = temporary
		said, err := npm.CombinedOutput()
		if err == nil {
			return dir, os.Rename(temporary, dir)
		}
		if attempt == 3 || ctx.Err() != nil { // the registry may have had a bad moment
			return "", fmt.Errorf("npm ci: %w\n%s", err, said)
		}
	}
})
