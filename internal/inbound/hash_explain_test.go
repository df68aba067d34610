package inbound

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// What the clocks, zones and tools of callers make of the hash of a minute.
func TestExplainHash(t *testing.T) {
	t.Parallel()
	synctest.Test(t, explanations) // whoever explains is not to run out of time
}

func explanations(t *testing.T) {
	now := time.Date(2026, 11, 21, 2, 13, 40, 0, time.UTC)
	minute := func(secret string, at time.Time) string {
		sum := sha256.Sum256([]byte(secret + at.Format("2006-01-02_15-04")))
		return hex.EncodeToString(sum[:])
	}
	h := &hasher{
		zone: "UTC", tolerance: 30 * time.Second, rendered: map[int64]rendering{},
		render: func(at time.Time) (string, error) { return minute("s3cr3t", at), nil },
	}
	for given, want := range map[string]string{
		minute("s3cr3t", now.Add(time.Hour)):                   "that of a time 1h later",
		minute("s3cr3t", now.Add(-5*time.Hour-30*time.Minute)): "that of a time 5h30m earlier",
		minute("s3cr3t", now.Add(-4*time.Minute)):              "that of a time 3m45s earlier",
		minute("s3cr3t", now.Add(10*time.Hour+25*time.Second)): "that of a time 10h0m30s later: the caller's clock is off, or its dates are not in hashTimezone, UTC",
		strings.ToUpper(minute("s3cr3t", now)):                 "right but for upper and lower case",
		minute("s3cr3t", now)[:32]:                             "it has 32 characters, and should have 64",
		minute("another", now):                                 "no time within 14h has it either",
		strings.ToUpper(minute("another", now)):                "no time within 14h has it either",
	} {
		if got := h.explain(given, now); !strings.Contains(got, want) {
			t.Errorf("%q is not in %q", want, got)
		}
	}
	static := &hasher{source: "s3cr3t", static: true}
	for given, want := range map[string]string{"S3CR3T": "it is right but for upper and lower case", "s3cr": ""} {
		if got := static.explain(given, now); got != want {
			t.Errorf("of %q it says %q, want %q", given, got, want)
		}
	}
}
