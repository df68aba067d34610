package template

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// unset marks a field a date string says nothing about.
const unset = -1 << 40

// special kinds of relative dates, applied after the plain ones.
const (
	specialNone = iota
	specialWeekdays
	specialNthWeekday  // first monday of
	specialLastWeekday // last monday of
)

// parsedDate is what a date string says, before it is applied to a moment. It is timelib's structure.
type parsedDate struct {
	y, m, d, h, i, s, us                     int
	haveTime, haveDate, haveZone, haveWeekly bool
	haveYear                                 bool // behind a time
	zone                                     zone
	zones                                    int
	ry, rm, rd, rh, ri, rs, rus              int // relative amounts
	weekday, weekdayBehavior                 int
	firstLast                                int // 1 first day of, 2 last day of the month
	special, specialAmount                   int
}

// parsedDates caches what strings say: templates repeat the same few.
var parsedDates struct {
	sync.RWMutex
	m map[string]*parsedDate
}

// maxParsedDates bounds the cache; when it is full it starts anew.
const maxParsedDates = 1024

// parseDate reads a date string by the rules of PHP's strtotime.
func parseDate(s string) (*parsedDate, error) {
	parsedDates.RLock()
	p := parsedDates.m[s]
	parsedDates.RUnlock()
	if p != nil {
		return p, nil
	}
	p, err := scanDate(s)
	if err == nil && len(s) <= 64 {
		parsedDates.Lock()
		if parsedDates.m == nil || len(parsedDates.m) >= maxParsedDates {
			parsedDates.m = map[string]*parsedDate{}
		}
		parsedDates.m[s] = p
		parsedDates.Unlock()
	}
	return p, err
}

// maxDateString is longer than any date; the scanner tries all rules at each place.
const maxDateString = 256

func newParsedDate() *parsedDate {
	return &parsedDate{y: unset, m: unset, d: unset, h: unset, i: unset, s: unset, us: unset}
}

func scanDate(s string) (*parsedDate, error) {
	if len(s) > maxDateString {
		return nil, fmt.Errorf("a date of %d bytes", len(s))
	}
	p := newParsedDate()
	text := strings.Trim(s, " \t\n\r\v\x00")
	for at := 0; at < len(text); {
		rule, groups := longestRule(text[at:])
		if rule == nil {
			if strings.IndexByte(" .,\t", text[at]) >= 0 {
				at++
				continue
			}
			return nil, fmt.Errorf("unexpected character at position %d (%q)", at, text[at])
		}
		if err := rule.apply(p, groups); err != nil {
			return nil, fmt.Errorf("%w at position %d", err, at)
		}
		at += len(groups[0])
	}
	if p.haveTime && (p.h > 24 || p.i > 59 || p.s > 60) || p.haveDate && (p.m != unset && p.m > 12) {
		return nil, fmt.Errorf("out of range")
	}
	return p, nil
}

// longestRule is re2c's choice: the longest match, and of equals the first.
func longestRule(s string) (*dateRule, []string) {
	var best *dateRule
	var groups []string
	for i := range dateRules {
		rule := &dateRules[i]
		if m := rule.pattern.FindStringSubmatch(s); m != nil && len(m[0]) > 0 && (best == nil || len(m[0]) > len(groups[0])) {
			best, groups = rule, m
		}
	}
	return best, groups
}

var (
	errDoubleTime = fmt.Errorf("double time specification")
	errDoubleDate = fmt.Errorf("double date specification")
	errDoubleZone = fmt.Errorf("double timezone specification")
)

func (p *parsedDate) unhaveTime() {
	p.haveTime = false
	p.h, p.i, p.s, p.us = 0, 0, 0, 0
}

func (p *parsedDate) setTime(h, i, s, us int) error {
	if p.haveTime {
		return errDoubleTime
	}
	p.haveTime = true
	p.h, p.i, p.s, p.us = h, i, s, us
	return nil
}

func (p *parsedDate) claimDate() error {
	if p.haveDate {
		return errDoubleDate
	}
	p.haveDate = true
	return nil
}

func (p *parsedDate) setDate(y, m, d int) error {
	if err := p.claimDate(); err != nil {
		return err
	}
	p.y, p.m, p.d = y, m, d
	return nil
}

// claimZone says whether this zone is the first: the second PHP overlooks, whatever it is, the third is an error.
func (p *parsedDate) claimZone() (first bool, err error) {
	if p.zones++; p.zones > 2 {
		return false, errDoubleZone
	}
	p.haveZone = true
	return p.zones == 1, nil
}

func (p *parsedDate) setZone(text string) error {
	text = strings.TrimSpace(text)
	if text == "" {
		return nil
	}
	if first, err := p.claimZone(); !first {
		return err
	}
	z, ok := findZone(strings.Trim(text, "()"))
	if !ok {
		return fmt.Errorf("the timezone could not be found in the database")
	}
	p.zone = z
	return nil
}

// fill completes the fields from a moment: as the constructor of DateTime does, or as modify does, which
// keeps the time of day when only a date is given.
func (p parsedDate) fill(t time.Time, us int, constructing bool) parsedDate {
	if constructing && p.haveDate && !p.haveTime {
		p.h, p.i, p.s, p.us = 0, 0, 0, 0
	}
	if p.us == unset {
		if p.us = us; constructing && (p.y != unset || p.m != unset || p.d != unset || p.h != unset || p.i != unset || p.s != unset) {
			p.us = 0
		}
	}
	set := func(field *int, v int) {
		if *field == unset {
			*field = v
		}
	}
	set(&p.y, t.Year())
	set(&p.m, int(t.Month()))
	set(&p.d, t.Day())
	set(&p.h, t.Hour())
	set(&p.i, t.Minute())
	set(&p.s, t.Second())
	return p
}

// resolve is the moment a string means for a DateTime made at now.
func (p *parsedDate) resolve(now *dateValue) *dateValue {
	z := now.zone
	if p.haveZone {
		z = p.zone
	}
	return p.apply(now, z, true)
}

// modify is the moment a string means when it is applied to a date.
func (p *parsedDate) modify(d *dateValue) *dateValue {
	if p.y == 1970 && p.m == 1 && p.d == 1 && p.h == 0 && p.i == 0 && p.s == 0 && p.haveZone && p.zone.kind == zoneOffset && p.zone.offset == 0 {
		return p.apply(d, p.zone, false) // a timestamp takes the date to UTC
	}
	return p.apply(d, d.zone, false)
}

func (p *parsedDate) apply(base *dateValue, z zone, constructing bool) *dateValue {
	same := p.y == unset && p.m == unset && p.d == unset && p.h == unset && p.ry == 0 && p.rm == 0 && p.rd == 0 &&
		!p.haveWeekly && p.special == specialNone && p.firstLast == 0 && z == base.zone
	f := p.fill(base.time(), base.usec, constructing)
	unix := base.unix
	if !same {
		f.specialEarly()
		f.relative()
		f.specialLate()
		summer := true
		if !constructing {
			summer = base.time().IsDST()
		}
		unix = z.instant(wallSeconds(f.y, f.m, f.d, f.h, f.i, f.s), !constructing || p.haveZone, summer)
	}
	unix += int64(f.rh)*3600 + int64(f.ri)*60 + int64(f.rs)
	us := f.us + f.rus
	unix += int64(floorDiv(us, 1_000_000))
	const farthest = 1 << 46 // seconds, two million years: what Go's calendar counts safely
	return &dateValue{unix: max(-farthest, min(farthest, unix)), usec: us - floorDiv(us, 1_000_000)*1_000_000, zone: z}
}

func floorDiv(a, b int) int {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// normal makes day and time real ones: 24:00 is the next day.
func (p *parsedDate) normal() {
	t := time.Unix(wallSeconds(p.y, p.m, p.d, p.h, p.i, p.s), 0).UTC()
	p.y, p.m, p.d = t.Year(), int(t.Month()), t.Day()
	p.h, p.i, p.s = t.Hour(), t.Minute(), t.Second()
}

func (p *parsedDate) dayOfWeek() int {
	return int(time.Unix(wallSeconds(p.y, p.m, p.d, 0, 0, 0), 0).UTC().Weekday())
}

func (p *parsedDate) specialEarly() {
	switch p.special {
	case specialNthWeekday:
		p.d = 1
		p.m += p.rm
		p.rm = 0
	case specialLastWeekday:
		p.d = 1
		p.m += p.rm + 1
		p.rm = 0
	}
	switch p.firstLast {
	case 1:
		p.d = 1
	case 2:
		p.d = 0
		p.m++
	}
	p.normal()
}

func (p *parsedDate) relative() {
	if p.haveWeekly {
		p.adjustWeekday()
	}
	p.normal()
	p.d += p.rd
	p.m += p.rm
	p.y += p.ry
	switch p.firstLast {
	case 1:
		p.d = 1
	case 2:
		p.d = 0
		p.m++
	}
	p.normal()
}

func (p *parsedDate) adjustWeekday() {
	today, want := p.dayOfWeek(), p.weekday
	if p.weekdayBehavior == 2 {
		if today == 0 && want != 0 {
			want -= 7
		}
		if want == 0 && today != 0 {
			want = 7
		}
		p.d += want - today
		return
	}
	difference := want - today
	if p.rd < 0 && difference < 0 || p.rd >= 0 && difference <= -p.weekdayBehavior {
		difference += 7
	}
	if want >= 0 {
		p.d += difference
	} else {
		p.d -= 7 - (-want - today)
	}
}

// specialLate counts working days.
func (p *parsedDate) specialLate() {
	if p.special != specialWeekdays {
		return
	}
	p.h, p.i, p.s = p.h+p.rh, p.i+p.ri, p.s+p.rs // hours count before working days
	p.rh, p.ri, p.rs = 0, 0, 0
	p.normal()
	n := max(-1_000_000, min(1_000_000, p.specialAmount))
	const sunday, saturday = 0, 6
	today, rest := p.dayOfWeek(), n%5
	p.d += n/5*7 + rest // five working days are a week, wherever one begins
	switch {
	case n > 0 && rest == 0 && today == sunday:
		p.d -= 2
	case n > 0 && rest == 0 && today == saturday:
		p.d--
	case n > 0 && rest > 0 && today == saturday:
		p.d++
	case n > 0 && rest > 0 && today+rest > 5:
		p.d += 2
	case n <= 0 && rest == 0 && today == saturday:
		p.d += 2
	case n <= 0 && rest == 0 && today == sunday:
		p.d++
	case n <= 0 && rest < 0 && today == sunday:
		p.d--
	case n <= 0 && rest < 0 && today+rest < 1:
		p.d -= 2
	}
	p.normal()
}
