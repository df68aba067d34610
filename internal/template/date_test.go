package template

import (
	"bufio"
	"encoding/json"
	"os"
	"testing"
	"time"
)

// TestDateStringsAsPHP reads testdata/dates.jsonl, which PHP 8.2 wrote: for each string what date() makes of
// strtotime($date, $now), and of a DateTime at now after modify($date), in the zone; FALSE for what it refuses.
func TestDateStringsAsPHP(t *testing.T) {
	t.Parallel()
	f, err := os.Open("testdata/dates.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n := 0
	for lines := bufio.NewScanner(f); lines.Scan(); n++ {
		var c struct {
			Date, Zone, New, Modified string
			Now                       int64
		}
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			t.Fatal(err)
		}
		z, ok := findZone(c.Zone)
		if !ok {
			t.Fatalf("zone %s", c.Zone)
		}
		now := dateOf(time.Unix(c.Now, 0), z)
		r := &run{deadline: time.Now().Add(time.Minute)}
		made, modified := "FALSE", "FALSE"
		if p, err := parseDate(c.Date); err == nil {
			d := p.resolve(now)
			d.zone = z
			made, modified = r.format(d, "Y-m-d H:i:s T"), r.format(p.modify(now), "Y-m-d H:i:s T")
		}
		if made != c.New || modified != c.Modified {
			t.Errorf("%q at %d in %s: %s and modified %s, PHP says %s and %s", c.Date, c.Now, c.Zone, made, modified, c.New, c.Modified)
		}
	}
	if n < 1000 {
		t.Errorf("%d dates, want about 1015", n)
	}
}
