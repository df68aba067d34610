package template

import (
	"bufio"
	"encoding/json"
	"os"
	"strings"
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

// TestDatesAsPHP reads testdata/dates.json, which PHP 8.2 wrote as well: what zones are called, what two
// moments are apart, all letters of formats, and dates modified beside changes of the clock.
func TestDatesAsPHP(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/dates.json")
	if err != nil {
		t.Fatal(err)
	}
	var want struct {
		Zone           [][2]string
		Diff, Fmt, Dst [][]any
	}
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	at := func(seconds, name any) *dateValue {
		z, ok := findZone(name.(string))
		if !ok {
			t.Fatalf("zone %s", name)
		}
		return &dateValue{unix: int64(seconds.(float64)), zone: z}
	}
	format := func(d *dateValue, layout string) string {
		return (&run{deadline: time.Now().Add(time.Minute)}).format(d, layout)
	}
	check := func(what any, got string, want any) {
		if got != want {
			t.Errorf("%v: %s, PHP says %s", what, got, want)
		}
	}
	for _, c := range want.Zone {
		got := "ERR"
		if z, ok := findZone(c[0]); ok {
			got = format(&dateValue{unix: 1753000000, zone: z}, "c e T I Z O p")
		}
		check(c[0], got, c[1])
	}
	for _, c := range want.Diff {
		check(c[:3], diff(at(c[0], c[2]), at(c[1], c[2])).format("%R %y %m %d %h %i %s %a"), c[3])
	}
	for _, c := range want.Fmt {
		check(c[:2], format(at(c[0], c[1]), strings.Join(strings.Split("dDjlNSwzWFmMntLoYyaABgGhHisuveIOPpTZcrUxX", ""), "|")), c[2])
	}
	for _, c := range want.Dst {
		p, err := parseDate(c[2].(string))
		if err != nil {
			t.Fatal(err)
		}
		check(c[:3], format(p.modify(at(c[0], c[1])), "c T"), c[3])
	}
	if n := len(want.Zone) + len(want.Diff) + len(want.Fmt) + len(want.Dst); n < 450 {
		t.Errorf("only %d lines", n)
	}
}
