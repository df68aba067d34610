package manage_test

import (
	"testing"

	"sallyport/internal/hook"
)

func TestJSONIsComparedByWhatItSays(t *testing.T) {
	t.Parallel()
	w := setup(t)
	const first = `{"url":"https://x.example","body":{"a":2.50,"b":[1,null,"\u00e4"],"big":12345678901234567890}}`
	doc := func(config string) string { return `{"type":"httpRequest","config":` + config + `}` }
	w.putAction(t, "x", doc(first), hook.Created)
	w.putAction(t, "x", doc(`{"body":{"big":12345678901234567890,"b":[ 1.0,null,"ä" ],"a":2.5},"url":"https:\/\/x.example"}`), hook.Unchanged)
	for _, other := range []string{
		`{"url":"https://x.example","body":{"a":2.50,"b":[1,null,"ä"],"big":12345678901234567891}}`,
		`{"url":"https://x.example","body":{"a":2.51,"b":[1,null,"ä"],"big":12345678901234567890}}`,
		`{"url":"https://x.example","body":{"a":"2.5","b":[1,null,"ä"],"big":12345678901234567890}}`,
		`{"url":"https://x.example","body":{"a":2.50,"b":[null,1,"ä"],"big":12345678901234567890}}`,
		`{"url":"https://x.example","body":{"a":2.50,"b":[1,null,"ä"],"big":12345678901234567890,"c":null}}`,
		`{"url":"https://x.example","body":{"a":1e300,"b":[1,null,"ä"],"big":12345678901234567890}}`,
	} {
		w.putAction(t, "x", doc(other), hook.Updated, "config")
		w.putAction(t, "x", doc(first), hook.Updated, "config")
	}
}
