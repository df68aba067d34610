package template

import (
	_ "embed"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // templates name zones, and hosts may have none
)

//go:embed data/zones.txt
var zoneNames string

//go:embed data/abbreviations.txt
var abbreviationTable string

// zoneKind distinguishes PHP's three kinds of time zone, which print differently.
type zoneKind int

const (
	zoneID     zoneKind = iota // Europe/Berlin
	zoneOffset                 // +02:00
	zoneAbbr                   // EST
)

type zone struct {
	kind   zoneKind
	name   string
	offset int  // seconds east of UTC; not of an ID
	dst    bool // of an abbreviation
	loc    *time.Location
}

type abbreviation struct {
	offset int
	dst    bool
}

// zoneTables reads the embedded names once: identifiers by their lower case, and abbreviations.
var zoneTables = sync.OnceValues(func() (map[string]string, map[string]abbreviation) {
	names := map[string]string{}
	for _, name := range strings.Fields(zoneNames) {
		names[strings.ToLower(name)] = name
	}
	abbreviations := map[string]abbreviation{}
	for _, line := range strings.Split(strings.TrimSpace(abbreviationTable), "\n") {
		f := strings.Fields(line)
		offset, _ := strconv.Atoi(f[1])
		abbreviations[f[0]] = abbreviation{offset, f[2] == "1"}
	}
	return names, abbreviations
})

var utc = zone{kind: zoneID, name: "UTC", loc: time.UTC}

// loadedZones keeps locations: reading one parses its whole table. Only known names get here.
var loadedZones sync.Map

// findZone knows identifiers, abbreviations and offsets, without regard to case.
func findZone(s string) (zone, bool) {
	if s == "UTC" {
		return utc, true
	}
	if cached, ok := loadedZones.Load(s); ok {
		return cached.(zone), true
	}
	if len(s) > 64 {
		return zone{}, false
	}
	if offset, ok := parseOffset(s); ok {
		return offsetZone(offset), true
	}
	names, abbreviations := zoneTables()
	lower := strings.ToLower(s)
	if lower == "utc" {
		return utc, true
	}
	if a, ok := abbreviations[lower]; ok {
		name := strings.ToUpper(s)
		return zone{kind: zoneAbbr, name: name, offset: a.offset, dst: a.dst, loc: time.FixedZone(name, a.offset)}, true
	}
	name, ok := names[lower]
	if !ok {
		return zone{}, false
	}
	z := zone{kind: zoneID, name: name}
	if cached, ok := loadedZones.Load(name); ok {
		z = cached.(zone)
	} else {
		var err error
		if z.loc, err = time.LoadLocation(name); err != nil {
			return zone{}, false
		}
		loadedZones.Store(name, z)
	}
	z.name = s // as it was written, which format letter e shows
	return z, true
}

func offsetZone(offset int) zone {
	name := offsetText(offset, ":")
	return zone{kind: zoneOffset, name: name, offset: offset, loc: time.FixedZone(name, offset)}
}

func offsetText(offset int, colon string) string {
	sign := '+'
	if offset < 0 {
		sign, offset = '-', -offset
	}
	return fmt.Sprintf("%c%02d%s%02d", sign, offset/3600, colon, offset/60%60)
}

// parseOffset reads +2, +02, +0230, +02:30, +023015 and +02:30:15, with GMT before it or not.
func parseOffset(s string) (int, bool) {
	if len(s) > 3 && strings.EqualFold(s[:3], "GMT") {
		s = s[3:]
	}
	if len(s) < 2 || s[0] != '+' && s[0] != '-' {
		return 0, false
	}
	sign := 1
	if s[0] == '-' {
		sign = -1
	}
	parts := strings.Split(s[1:], ":")
	if len(parts) == 1 {
		d := parts[0]
		switch len(d) {
		case 1, 2:
		case 3:
			parts = []string{d[:1], d[1:]}
		case 4:
			parts = []string{d[:2], d[2:]}
		case 6:
			parts = []string{d[:2], d[2:4], d[4:]}
		default:
			return 0, false
		}
	}
	if len(parts) > 3 {
		return 0, false
	}
	total := 0
	for i, unit := 0, 3600; i < len(parts); i, unit = i+1, unit/60 {
		if len(parts[i]) < 1 || len(parts[i]) > 2 {
			return 0, false
		}
		n, err := strconv.ParseUint(parts[i], 10, 8)
		if err != nil {
			return 0, false
		}
		total += int(n) * unit
	}
	if total > 99*3600+3599 {
		return 0, false
	}
	return sign * total, true
}

// offsetAt is the zone's distance from UTC at an instant.
func (z zone) offsetAt(unix int64) int {
	if z.kind != zoneID {
		return z.offset
	}
	_, offset := time.Unix(unix, 0).In(z.loc).Zone()
	return offset
}

// period is the zone's distance from UTC at an instant, since when it has been so, and whether it is summer time.
func (z zone) period(unix int64) (offset, since int64, summer bool) {
	t := time.Unix(unix, 0).In(z.loc)
	_, seconds := t.Zone()
	start, _ := t.ZoneBounds()
	if start.IsZero() {
		return int64(seconds), math.MinInt64, t.IsDST()
	}
	return int64(seconds), start.Unix(), t.IsDST()
}

// instant finds the moment at which the zone's clock shows wall (seconds as if it were UTC), as timelib does.
// A time that clocks skipped is moved on by the gap. Of one that comes twice it takes the one that a look at the zone
// at wall finds, unless the zone is known beforehand: then summer says which.
func (z zone) instant(wall int64, known, summer bool) int64 {
	if z.kind != zoneID {
		return wall - int64(z.offset)
	}
	current, _, currentSummer := z.period(wall)
	after, since, _ := z.period(wall - current)
	actual := after
	switch {
	case current != after || !known:
	case current >= 0 && summer && !currentSummer:
		if earlier, from, _ := z.period(wall - current - 7200); earlier != after && wall-earlier < since {
			actual, since = earlier, from
		}
	case current <= 0 && currentSummer && !summer:
		if later, from, _ := z.period(wall - current + 7200); later != after && wall-later >= from {
			actual = later
		}
	}
	skipped := since != math.MinInt64 && wall-actual >= since+current-actual && wall-actual < since
	if current != actual && !skipped {
		return wall - actual
	}
	return wall - current
}
