package wire_test

import (
	"encoding/json"
	"testing"
	"time"

	"sallyport/api/wire"
)

func TestTimesHaveThreeDigits(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`"2026-11-21T02:13:00Z"`:                `"2026-11-21T02:13:00.000Z"`,
		`"2026-11-21T02:13:00.2+01:00"`:         `"2026-11-21T01:13:00.200Z"`,
		`"2026-11-21T02:13:00.207999999-00:30"`: `"2026-11-21T02:43:00.207Z"`,
	} {
		var at wire.Time
		if err := json.Unmarshal([]byte(in), &at); err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		if out, err := json.Marshal(at); err != nil || string(out) != want {
			t.Errorf("%s became %s, %v; want %s", in, out, err, want)
		}
	}
	for _, in := range []string{`7`, `"yesterday"`, `""`, `null`, `"2026-11-21 02:13:00Z"`} {
		var at wire.Time
		if err := json.Unmarshal([]byte(in), &at); err == nil && in != "null" {
			t.Errorf("%s was taken for %s", in, at)
		}
	}
	var bound wire.Time
	if err := bound.Bind("2026-11-21T02:13:00+01:00"); err != nil || !bound.Equal(time.Date(2026, 11, 21, 1, 13, 0, 0, time.UTC)) {
		t.Errorf("%s, %v", bound, err)
	}
}
