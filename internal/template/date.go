package template

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// dateValue is PHP's DateTime. Its modify changes it in place, as there.
type dateValue struct {
	unix int64
	usec int
	zone zone
}

// intervalValue is PHP's DateInterval, as diff makes it.
type intervalValue struct {
	y, m, d, h, i, s, us int
	days                 int
	invert               bool
}

// zoneValue is PHP's DateTimeZone.
type zoneValue struct{ zone zone }

func dateOf(t time.Time, z zone) *dateValue {
	return &dateValue{unix: t.Unix(), usec: t.Nanosecond() / 1000, zone: z}
}

func (d *dateValue) time() time.Time {
	return time.Unix(d.unix, int64(d.usec)*1000).In(d.zone.loc)
}

func compareDates(a, b *dateValue) int {
	if c := compareNumbers(a.unix, b.unix); c != 0 {
		return c
	}
	return compareNumbers(int64(a.usec), int64(b.usec))
}

// toDate is twig_date_converter. zoneArg is absent for the default zone, false for the date's own.
func (r *run) toDate(v, zoneArg any) *dateValue {
	target, keep := r.zone, false
	switch z := zoneArg.(type) {
	case absent, nil:
	case *zoneValue:
		target = z.zone
	case bool:
		if z {
			fail("DateTimeZone::__construct(): Unknown or bad timezone (1)")
		}
		keep = true
	default:
		target = r.findZone(r.str(z))
	}
	switch v := v.(type) {
	case *dateValue:
		d := *v
		if !keep {
			d.zone = target
		}
		return &d
	case absent, nil:
		return dateOf(r.now, target)
	}
	s := r.str(v)
	if s == "now" {
		return dateOf(r.now, target)
	}
	var d *dateValue
	if n := strings.TrimPrefix(s, "-"); n != "" && allDigits(n) {
		unix, err := strconv.ParseInt(s, 10, 64)
		if err != nil || unix > 1<<46 || unix < -(1<<46) {
			fail("Failed to parse time string (@%s): the number is out of range", s)
		}
		d = &dateValue{unix: unix, zone: offsetZone(0)}
	} else {
		p, err := parseDate(s)
		if err != nil {
			fail("Failed to parse time string (%s): %s", s, err)
		}
		d = p.resolve(dateOf(r.now, r.zone))
	}
	if !keep {
		d.zone = target
	}
	return d
}

func (r *run) findZone(name string) zone {
	z, ok := findZone(name)
	if !ok {
		fail("DateTimeZone::__construct(): Unknown or bad timezone (%s)", name)
	}
	return z
}

func allDigits(s string) bool {
	for i := range len(s) {
		if !isDigit(s[i]) {
			return false
		}
	}
	return s != ""
}

// diff is DateTime::diff for what two dates are apart on the clock of the first one's zone.
func diff(a, b *dateValue) *intervalValue {
	v := &intervalValue{}
	from, to := a, b
	if compareDates(a, b) > 0 {
		from, to, v.invert = b, a, true
	}
	x, y := from.time(), to.time().In(from.zone.loc)
	v.days = int((dayNumber(y) - dayNumber(x)))
	v.y, v.m, v.d = y.Year()-x.Year(), int(y.Month()-x.Month()), y.Day()-x.Day()
	v.h, v.i, v.s, v.us = y.Hour()-x.Hour(), y.Minute()-x.Minute(), y.Second()-x.Second(), to.usec-from.usec
	borrow := func(low, high *int, unit int) {
		if *low < 0 {
			*low += unit
			*high--
		}
	}
	borrow(&v.us, &v.s, 1_000_000)
	borrow(&v.s, &v.i, 60)
	borrow(&v.i, &v.h, 60)
	if v.h < 0 {
		v.h += 24
		v.d--
		v.days--
	}
	for month := 0; v.d < 0; month++ { // by as many months as it takes: after a long one comes February
		if v.invert {
			v.d += daysIn(x.Year(), int(x.Month())+month)
		} else {
			v.d += daysIn(y.Year(), int(y.Month())-1-month)
		}
		v.m--
	}
	borrow(&v.m, &v.y, 12)
	return v
}

// relative is the interval as a date string would say it.
func (v *intervalValue) relative(backwards bool) *parsedDate {
	p := newParsedDate()
	p.ry, p.rm, p.rd, p.rh, p.ri, p.rs, p.rus = v.y, v.m, v.d, v.h, v.i, v.s, v.us
	if backwards {
		p.ago()
		p.rus = -p.rus
	}
	return p
}

func dayNumber(t time.Time) int64 {
	return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC).Unix() / 86400
}

// format is DateInterval::format.
func (v *intervalValue) format(layout string) string {
	var b strings.Builder
	sign := ""
	if v.invert {
		sign = "-"
	}
	fields := map[byte]int{'y': v.y, 'm': v.m, 'd': v.d, 'h': v.h, 'i': v.i, 's': v.s}
	for i := 0; i < len(layout); i++ {
		if layout[i] != '%' || i+1 >= len(layout) {
			b.WriteByte(layout[i])
			continue
		}
		i++
		c := layout[i]
		n, known := fields[c|0x20]
		switch {
		case c == 'a':
			fmt.Fprintf(&b, "%d", v.days)
		case c == 'R' && !v.invert:
			b.WriteByte('+')
		case c == 'R', c == 'r':
			b.WriteString(sign)
		case c == 'f':
			fmt.Fprintf(&b, "%d", v.us)
		case c == 'F':
			fmt.Fprintf(&b, "%06d", v.us)
		case c == '%':
			b.WriteByte('%')
		case known && c < 'a':
			fmt.Fprintf(&b, "%02d", n)
		case known:
			fmt.Fprintf(&b, "%d", n)
		default:
			b.WriteByte('%')
			b.WriteByte(c)
		}
	}
	return b.String()
}

// properties are those that PHP shows of an object as an array.
func (r *run) properties(object any) *Array {
	zoneOf := func(m *Array, z zone) *Array {
		return m.Set("timezone_type", int64([]int{3, 1, 2}[z.kind])).Set("timezone", z.name)
	}
	switch o := object.(type) {
	case *dateValue:
		return zoneOf(NewMap().Set("date", r.format(o, "Y-m-d H:i:s.u")), o.zone)
	case *zoneValue:
		return zoneOf(NewMap(), o.zone)
	case *intervalValue:
		m := NewMap()
		for _, name := range []string{"y", "m", "d", "h", "i", "s", "f", "invert", "days"} {
			v, _ := member(r, o, name, nil, false)
			m.Set(name, v)
		}
		return m.Set("from_string", false)
	case *markup:
		return NewMap().Set("content", o.text).Set("charset", "UTF-8")
	}
	return nil
}

// member is an attribute or method of a date, an interval or a zone, as far as they only compute.
// With onlyAsk it says whether there is one.
func member(r *run, object any, name string, a args, onlyAsk bool) (any, bool) {
	name = strings.ToLower(name)
	switch o := object.(type) {
	case *intervalValue:
		values := map[string]any{"y": o.y, "m": o.m, "d": o.d, "h": o.h, "i": o.i, "s": o.s, "days": o.days}
		if n, ok := values[name]; ok {
			return int64(n.(int)), true
		}
		switch name {
		case "f":
			return float64(o.us) / 1e6, true
		case "invert":
			if o.invert {
				return int64(1), true
			}
			return int64(0), true
		case "format":
			if onlyAsk {
				return nil, true
			}
			return o.format(r.need(a, 0)), true
		}
	case *zoneValue:
		switch name {
		case "name", "getname":
			return o.zone.name, true
		case "offset", "getoffset":
			if onlyAsk {
				return nil, true
			}
			d, ok := a.at(0, nil).(*dateValue)
			if !ok {
				fail("DateTimeZone::getOffset(): Argument #1 must be of type DateTimeInterface")
			}
			return int64(o.zone.offsetAt(d.unix)), true
		}
	case *dateValue:
		return dateMember(r, o, name, a, onlyAsk)
	case *markup:
		switch name {
		case "count":
			return int64(charCount(o.text)), true
		case "jsonserialize", "__tostring":
			return o.text, true
		}
	}
	return nil, false
}

func (r *run) need(a args, i int) string {
	if !a.has(i) {
		fail("Too few arguments: %d passed and %d expected", len(a), i+1)
	}
	return r.text(a[i])
}

func dateMember(r *run, d *dateValue, name string, a args, onlyAsk bool) (any, bool) {
	ints := func(i int) int {
		if !a.has(i) {
			return 0
		}
		return r.intParam(a[i])
	}
	switch strings.TrimPrefix(name, "get") {
	case "timestamp":
		return d.unix, true
	case "offset":
		return int64(d.zone.offsetAt(d.unix)), true
	case "timezone":
		return &zoneValue{d.zone}, true
	}
	switch name {
	case "format", "modify", "diff", "add", "sub", "settimezone", "settimestamp", "setdate", "setisodate", "settime":
	default:
		return nil, false
	}
	if onlyAsk {
		return nil, true
	}
	switch name {
	case "format":
		return r.format(d, r.need(a, 0)), true
	case "modify":
		p, err := parseDate(r.need(a, 0))
		if err != nil {
			return false, true
		}
		*d = *p.modify(d)
		return d, true
	case "diff":
		other, ok := a.at(0, nil).(*dateValue)
		if !ok {
			fail("DateTime::diff(): Argument #1 must be a date")
		}
		return diff(d, other), true
	case "add", "sub":
		v, ok := a.at(0, nil).(*intervalValue)
		if !ok {
			fail("DateTime::%s(): Argument #1 must be of type DateInterval", name)
		}
		*d = *v.relative(v.invert != (name == "sub")).modify(d)
		return d, true
	case "settimezone":
		z, ok := a.at(0, nil).(*zoneValue)
		if !ok {
			fail("DateTime::setTimezone(): Argument #1 must be of type DateTimeZone")
		}
		d.zone = z.zone
	case "settimestamp":
		d.unix, d.usec = int64(ints(0)), 0
	case "setdate":
		t := d.time()
		d.unix = d.zone.instant(wallSeconds(ints(0), ints(1), ints(2), t.Hour(), t.Minute(), t.Second()), true, t.IsDST())
	case "setisodate":
		p := newParsedDate()
		day := 1
		if a.has(2) {
			day = ints(2)
		}
		if err := p.isoWeek(ints(0), ints(1), day); err != nil {
			fail("DateTime::setISODate(): %s", err)
		}
		*d = *p.modify(d)
	case "settime":
		t := d.time()
		d.unix = d.zone.instant(wallSeconds(t.Year(), int(t.Month()), t.Day(), ints(0), ints(1), ints(2)), true, t.IsDST())
		d.usec = ints(3) % 1_000_000
	}
	return d, true
}

// wallSeconds counts the seconds of a wall clock as if it showed UTC; fields may overflow, years are kept
// within what can be counted.
func wallSeconds(y, m, d, h, i, s int) int64 {
	const most = 1 << 31
	clamp := func(n int) int { return max(-most, min(most, n)) }
	y = max(-2_000_000, min(2_000_000, y))
	return time.Date(y, time.Month(clamp(m)%2_400_000), 1, 0, 0, 0, 0, time.UTC).Unix() +
		86400*int64(clamp(d)-1) + 3600*int64(clamp(h)) + 60*int64(clamp(i)) + int64(clamp(s))
}

func init() {
	if math.MaxInt < math.MaxInt64 {
		panic("template needs 64-bit integers")
	}
}
