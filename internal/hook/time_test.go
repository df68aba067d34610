package hook_test

import (
	"testing"
	"time"

	"sallyport/internal/hook"
)

func TestParseTime(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]time.Time{
		"2026-11-21T02:13:00Z":                time.Date(2026, 11, 21, 2, 13, 0, 0, time.UTC),
		"2026-11-21T02:13:00.123999999+01:00": time.Date(2026, 11, 21, 1, 13, 0, 123_999_999, time.UTC),
	} {
		if got, err := hook.ParseTime(s); err != nil || !got.Equal(want) || got.Location() != time.UTC {
			t.Errorf("%s is %v, %v", s, got, err)
		}
	}
	for _, s := range []string{
		"", "yesterday", "2026-11-21", "2026-11-21T02:13:00", "2026-11-21T2:13:00Z", "2026-11-21T02:13:00,5Z",
		"2026-11-21 02:13:00Z", "2026-11-21t02:13:00z", "2026-02-30T02:13:00Z", "2026-11-21T24:00:00Z", "12026-11-21T02:13:00Z",
		"9999-12-31T23:59:59-14:00", "0000-01-01T00:00:00+14:00", "2026-11-21T02:13:00+24:00", "2026-11-21T02:13:00+01:60",
	} {
		if got, err := hook.ParseTime(s); err == nil {
			t.Errorf("%q is taken for %v", s, got)
		}
	}
}
