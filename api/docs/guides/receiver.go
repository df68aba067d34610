//go:build ignore

// SECRET=whsec_… go run receiver.go
package main

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

var secret = os.Getenv("SECRET")

// verify looks at webhook-signature: HMAC-SHA256 of id, time and body, in base64; several while
// secrets change.
func verify(h http.Header, body []byte) bool {
	at, err := strconv.ParseInt(h.Get("webhook-timestamp"), 10, 64)
	if err != nil || time.Since(time.Unix(at, 0)).Abs() > 5*time.Minute {
		return false
	}
	key := []byte(secret)
	if encoded, ok := strings.CutPrefix(secret, "whsec_"); ok {
		if key, err = base64.StdEncoding.DecodeString(encoded); err != nil {
			return false
		}
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%d.%s", h.Get("webhook-id"), at, body)
	want := []byte("v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return slices.ContainsFunc(strings.Fields(h.Get("webhook-signature")), func(given string) bool {
		return hmac.Equal(want, []byte(given))
	})
}

// verifyBody looks at X-Signature: HMAC-SHA256 of the body, in hex, under the secret as it is
// written. It has no time. While secrets change, that of the new one is in X-Signature-Next.
func verifyBody(h http.Header, body []byte) bool {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	want := []byte(hex.EncodeToString(mac.Sum(nil)))
	return hmac.Equal(want, []byte(h.Get("X-Signature"))) || hmac.Equal(want, []byte(h.Get("X-Signature-Next")))
}

var (
	mu   sync.Mutex
	seen = map[string]bool{} // in earnest a unique column, written in the transaction that does the work
)

func receive(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body) // the raw bytes, before any parser: they are what is signed
	if err != nil {
		return
	}
	plain := r.URL.Path == "/plain"
	if plain && !verifyBody(r.Header, body) || !plain && !verify(r.Header, body) {
		http.Error(w, "not signed with our secret", http.StatusUnauthorized)
		return
	}
	var event struct {
		EventID   string          `json:"eventId"`
		EventType string          `json:"eventType"`
		Entity    json.RawMessage `json:"entity"`
	}
	if err := json.Unmarshal(body, &event); err != nil {
		http.Error(w, "failed", http.StatusInternalServerError)
		return
	}
	id := r.Header.Get("webhook-id")
	if plain {
		id = event.EventID // whichever is signed
	}
	mu.Lock()
	defer mu.Unlock()
	if seen[id] {
		fmt.Fprint(w, "seen")
		return
	}
	log.Printf("work on %s %s", event.EventType, event.Entity)
	seen[id] = true // after the work: what failed comes again
	fmt.Fprint(w, "done")
}

func main() {
	if secret == "" {
		log.Fatal("SECRET is not set") // or everybody could call
	}
	http.HandleFunc("POST /", receive)
	log.Fatal(http.ListenAndServe(":"+cmp.Or(os.Getenv("PORT"), "9000"), nil))
}
