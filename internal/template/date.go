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
	for i := 0; i < len(s); i++ {
		if !isDigit(s[i]) {
			return false
		}
	}
	return s != ""
}

// format is DateTime::format.
func (r *run) format(d *dateValue, layout string) string {
	r.charge(len(layout) * 8)
	t := d.time()
	b := make([]byte, 0, len(layout)*3)
	for i := 0; i < len(layout); i++ {
		c := layout[i]
		if c == '\\' {
			if i++; i < len(layout) {
				b = append(b, layout[i])
			}
			continue
		}
		b = d.appendLetter(b, t, c)
	}
	return string(b)
}

func pad(b []byte, n, width int) []byte {
	s := strconv.Itoa(n)
	for i := len(s); i < width; i++ {
		b = append(b, '0')
	}
	return append(b, s...)
}

func (d *dateValue) appendLetter(b []byte, t time.Time, c byte) []byte {
	switch c {
	case 'd':
		return pad(b, t.Day(), 2)
	case 'D':
		return append(b, t.Weekday().String()[:3]...)
	case 'j':
		return pad(b, t.Day(), 0)
	case 'l':
		return append(b, t.Weekday().String()...)
	case 'N':
		return pad(b, (int(t.Weekday())+6)%7+1, 0)
	case 'S':
		return append(b, ordinal(t.Day())...)
	case 'w':
		return pad(b, int(t.Weekday()), 0)
	case 'z':
		return pad(b, t.YearDay()-1, 0)
	case 'W':
		_, week := t.ISOWeek()
		return pad(b, week, 2)
	case 'o':
		year, _ := t.ISOWeek()
		return pad(b, year, 0)
	case 'F':
		return append(b, t.Month().String()...)
	case 'm':
		return pad(b, int(t.Month()), 2)
	case 'M':
		return append(b, t.Month().String()[:3]...)
	case 'n':
		return pad(b, int(t.Month()), 0)
	case 't':
		return pad(b, daysIn(t.Year(), int(t.Month())), 0)
	case 'L':
		return append(b, '0'+byte(daysIn(t.Year(), 2)-28))
	case 'Y', 'x', 'X':
		return appendYear(b, t.Year(), c)
	case 'y':
		return pad(b, ((t.Year()%100)+100)%100, 2)
	case 'a':
		return append(b, "am pm"[3*(t.Hour()/12):][:2]...)
	case 'A':
		return append(b, "AM PM"[3*(t.Hour()/12):][:2]...)
	case 'B':
		s := (int(d.unix%86400) + 86400 + 3600) % 86400
		return pad(b, s*10/864, 3)
	case 'g':
		return pad(b, (t.Hour()+11)%12+1, 0)
	case 'h':
		return pad(b, (t.Hour()+11)%12+1, 2)
	case 'G':
		return pad(b, t.Hour(), 0)
	case 'H':
		return pad(b, t.Hour(), 2)
	case 'i':
		return pad(b, t.Minute(), 2)
	case 's':
		return pad(b, t.Second(), 2)
	case 'u':
		return pad(b, d.usec, 6)
	case 'v':
		return pad(b, d.usec/1000, 3)
	case 'e':
		return append(b, d.zone.name...)
	case 'I':
		if d.zone.kind == zoneAbbr && d.zone.dst || d.zone.kind == zoneID && t.IsDST() {
			return append(b, '1')
		}
		return append(b, '0')
	case 'O', 'P', 'p', 'Z':
		return d.appendOffset(b, t, c)
	case 'T':
		if d.zone.kind == zoneID {
			name, _ := t.Zone()
			return append(b, name...)
		}
		return append(b, d.zone.name...)
	case 'U':
		return strconv.AppendInt(b, d.unix, 10)
	case 'c':
		return d.appendLetters(b, t, "Y-m-dTH:i:sP")
	case 'r':
		return d.appendLetters(b, t, "D, d M Y H:i:s O")
	}
	return append(b, c)
}

// appendLetters is for the formats that are made of others; their T stands for itself.
func (d *dateValue) appendLetters(b []byte, t time.Time, letters string) []byte {
	for i := 0; i < len(letters); i++ {
		if letters[i] == 'T' {
			b = append(b, 'T')
			continue
		}
		b = d.appendLetter(b, t, letters[i])
	}
	return b
}

func (d *dateValue) appendOffset(b []byte, t time.Time, c byte) []byte {
	_, offset := t.Zone()
	switch c {
	case 'Z':
		return pad(b, offset, 0)
	case 'O':
		return append(b, offsetText(offset, "")...)
	case 'p':
		if offset == 0 && d.zone.name != "+00:00" || d.zone.name == "+00:00" {
			return append(b, 'Z')
		}
	}
	return append(b, offsetText(offset, ":")...)
}

func appendYear(b []byte, year int, c byte) []byte {
	switch {
	case year < 0:
		b, year = append(b, '-'), -year
	case c == 'X', c == 'x' && year > 9999:
		b = append(b, '+')
	}
	return pad(b, year, 4)
}

func ordinal(day int) string {
	if day/10 != 1 {
		switch day % 10 {
		case 1:
			return "st"
		case 2:
			return "nd"
		case 3:
			return "rd"
		}
	}
	return "th"
}

func daysIn(year, month int) int {
	return time.Date(year, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
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
	if v.d < 0 {
		month := x
		if !v.invert {
			v.d += daysIn(x.Year(), int(x.Month()))
		} else {
			month = time.Date(y.Year(), y.Month()-1, 1, 0, 0, 0, 0, time.UTC)
			v.d += daysIn(month.Year(), int(month.Month()))
		}
		v.m--
	}
	borrow(&v.m, &v.y, 12)
	return v
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
		case known && c < 'a' && c == 'Y':
			fmt.Fprintf(&b, "%04d", n)
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
		if name == "name" || name == "getname" {
			return o.zone.name, true
		}
	case *dateValue:
		return dateMember(r, o, name, a, onlyAsk)
	}
	return nil, false
}

func (r *run) need(a args, i int) string {
	if !a.has(i) {
		fail("Too few arguments: %d passed and %d expected", len(a), i+1)
	}
	return r.str(a[i])
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
	case "format", "modify", "diff", "settimezone", "settimestamp", "setdate", "settime":
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
		d.unix = d.zone.instant(wallSeconds(ints(0), ints(1), ints(2), t.Hour(), t.Minute(), t.Second()))
	case "settime":
		t := d.time()
		d.unix = d.zone.instant(wallSeconds(t.Year(), int(t.Month()), t.Day(), ints(0), ints(1), ints(2)))
		d.usec = ints(3) % 1_000_000
	}
	return d, true
}

// wallSeconds counts the seconds of a wall clock as if it showed UTC; fields may overflow, years are kept
// within what can be counted.
func wallSeconds(y, m, d, h, i, s int) int64 {
	const most = 1 << 31
	clamp := func(n int) int { return max(-most, min(most, n)) }
	y = max(-200_000, min(200_000, y))
	return time.Date(y, time.Month(clamp(m)%2_400_000), 1, 0, 0, 0, 0, time.UTC).Unix() +
		86400*int64(clamp(d)-1) + 3600*int64(clamp(h)) + 60*int64(clamp(i)) + int64(clamp(s))
}

func init() {
	if math.MaxInt < math.MaxInt64 {
		panic("template needs 64-bit integers")
	}
}
