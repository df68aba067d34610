package hook

// IdempotencyScope is where an Idempotency-Key counts: the same key text in another
// scope is another key.
type IdempotencyScope struct {
	Workspace ID
	Key       ID // the API key
	Method    string
	Path      string
	Value     string // of the header, 1 to 255 bytes
}

// Answer is a stored HTTP answer. It may carry a once-only secret: it is encrypted
// wherever it rests.
type Answer struct {
	Status int
	Header [][2]string
	Body   []byte
}
