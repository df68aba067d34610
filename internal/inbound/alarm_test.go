package inbound

import (
	"testing"
	"time"

	"sallyport/internal/hook"
)

func TestDoorsThatRefuseMany(t *testing.T) {
	t.Parallel()
	ids := hook.NewIDs()
	door, other := ids.New(), ids.New()
	begin := time.Now()
	a := newAlarms(3)
	refuse := func(door hook.ID, reason string, after time.Duration, want bool) map[string]int {
		t.Helper()
		since, reasons, many := a.refused(door, reason, begin.Add(after))
		if many != want || many && since.After(begin.Add(after)) {
			t.Errorf("after %s: many %v since %s", after, many, since)
		}
		return reasons
	}
	// Few, over a long time, are not many.
	for n := range 10 {
		refuse(door, "hash_mismatch", time.Duration(n)*3*time.Minute, false)
	}
	at := 2 * time.Hour
	refuse(door, "hash_mismatch", at, false)
	refuse(other, "hash_mismatch", at, false)
	refuse(door, "ip_not_allowed", at+time.Minute, false)
	if r := refuse(door, "hash_mismatch", at+2*time.Minute, true); r["hash_mismatch"] != 2 || r["ip_not_allowed"] != 1 {
		t.Errorf("reasons %v", r)
	}
	for n := range 100 { // it goes on, and is told of once
		refuse(door, "hash_mismatch", at+2*time.Minute+time.Duration(n)*time.Second, false)
	}
	at += 2*time.Minute + alarmEvery
	refuse(door, "hash_mismatch", at, false)
	refuse(door, "hash_mismatch", at, false)
	refuse(door, "hash_mismatch", at, true)
	// What is quiet is forgotten.
	refuse(other, "hash_mismatch", at+3*alarmEvery, false)
	if len(a.doors) != 1 {
		t.Errorf("%d doors in memory, want one", len(a.doors))
	}
	a = newAlarms(0)
	for range 100 {
		refuse(door, "hash_mismatch", at, false)
	}
}
