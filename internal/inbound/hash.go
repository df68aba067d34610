package inbound

import (
	"crypto/subtle"
	"net/url"
	"strings"
	"sync"
	"time"

	"sallyport/internal/hook"
)

// hashStep is how far the instants of a tolerance are apart: any template whose value
// stays the same for so long is covered.
const hashStep = 15 * time.Second

// maxRenderings bounds what one door remembers: two instants a second for ten minutes.
const maxRenderings = 1200

// hasher knows the hashes of one door.
type hasher struct {
	source    string
	static    bool
	zone      string
	tolerance time.Duration
	place     hook.HashPlace
	php       bool // the query is read as PHP reads it
	render    func(now time.Time) (string, error)
	hide      func(text string) string // takes secrets out of what went wrong

	mu       sync.Mutex
	rendered map[int64]rendering // by Unix second
}

type rendering struct {
	text  string
	ok    bool
	fault string // why there is no text; names no secret
}

// isTemplate reports that a hash is to be rendered rather than compared as it is.
func isTemplate(source string) bool {
	return strings.Contains(source, "{{") || strings.Contains(source, "{%") || strings.Contains(source, "{#")
}

func newHasher(w *hook.IncomingWebhook, t Templates) *hasher {
	if w.Hash == "" {
		return nil
	}
	h := &hasher{
		source: string(w.Hash), zone: w.HashTimezone, tolerance: w.HashTolerance, place: w.HashIn,
		php: w.Profile == hook.DoorAtroCore, rendered: map[int64]rendering{},
	}
	if h.place.Name == "" {
		h.place = hook.HashPlace{In: "query", Name: "hash"}
	}
	h.static = !isTemplate(h.source)
	h.hide = func(text string) string { return withoutSecrets(text, w.Secrets) }
	h.render = func(now time.Time) (string, error) { return t.Hash(h.source, h.zone, w.Secrets, now) }
	return h
}

// at is the hash of an instant, if there is one: a template that fails or renders nothing
// refuses, it never opens the door.
func (h *hasher) at(now time.Time) rendering {
	if h.static {
		text := strings.TrimSpace(h.source)
		return rendering{text: text, ok: text != ""}
	}
	second := now.Unix()
	h.mu.Lock()
	r, known := h.rendered[second]
	h.mu.Unlock()
	if known {
		return r
	}
	text, err := h.render(time.Unix(second, 0).UTC())
	text = strings.TrimSpace(text)
	switch {
	case err != nil:
		r.fault = "the hash cannot be rendered: " + h.hide(detailOf(err))
	case text == "" || text == "0" || strings.EqualFold(text, "null"):
		r.fault = "the hash renders nothing to know"
	default:
		r = rendering{text: text, ok: true}
	}
	h.mu.Lock()
	if len(h.rendered) >= maxRenderings {
		clear(h.rendered)
	}
	h.rendered[second] = r
	h.mu.Unlock()
	return r
}

// given finds the hash in a call. With several of them none is.
func (h *hasher) given(c *hook.DoorCall) (value, detail string, ok bool) {
	if h.place.In == "header" {
		values := c.Header.Values(h.place.Name)
		switch len(values) {
		case 0:
			return "", "there is no header " + h.place.Name, false
		case 1:
			return strings.TrimSpace(values[0]), "", true
		}
		return "", "the header " + h.place.Name + " is there more than once", false
	}
	count := 0
	for name, v := range queryPairs(c.RawQuery) {
		if h.php && strings.HasPrefix(name, h.place.Name+"[") { // PHP makes it a list, which no text equals
			value, count = "", -1
			continue
		}
		if name == h.place.Name {
			value, count = v, max(count, 0)+1
		}
	}
	switch {
	case count == 0:
		return "", "there is no query parameter " + h.place.Name, false
	case count < 0:
		return "", "the query parameter " + h.place.Name + " is a list", true
	case count > 1 && !h.php:
		return "", "the query parameter " + h.place.Name + " is there more than once", false
	}
	return strings.TrimSpace(value), "", true
}

// match compares a hash with those of now and of instants nearby, nearest first, and
// returns the offset of the one that matched. The time it takes does not tell which.
func (h *hasher) match(given string, now time.Time) (offset time.Duration, ok bool) {
	step := hashStep
	if h.tolerance < step {
		step = time.Second
	}
	try := func(at time.Duration) {
		want := h.at(now.Add(at))
		if subtle.ConstantTimeCompare([]byte(want.text), []byte(given)) == 1 && want.ok && !ok {
			offset, ok = at, true
		}
	}
	try(0)
	if h.static {
		return offset, ok
	}
	for at := step; at < h.tolerance+step; at += step {
		near := min(at, h.tolerance)
		if near == 0 {
			break
		}
		try(-near)
		try(near)
	}
	return offset, ok
}

// queryPairs goes through a query as forms are read: a plus is a space, and what cannot be
// unescaped stays as it is.
func queryPairs(raw string) func(yield func(name, value string) bool) {
	return func(yield func(name, value string) bool) {
		for pair := range strings.SplitSeq(raw, "&") {
			if pair == "" {
				continue
			}
			name, value, _ := strings.Cut(pair, "=")
			if !yield(unescape(name), unescape(value)) {
				return
			}
		}
	}
}

func unescape(s string) string {
	if u, err := url.QueryUnescape(s); err == nil {
		return u
	}
	return s
}
