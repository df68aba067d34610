package template

import (
	"strconv"
	"time"
)

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
		if d.zone.kind == zoneOffset {
			return append(append(b, "GMT"...), offsetText(d.zone.offset, "")...)
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
	for i := range len(letters) {
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
		if name, _ := t.Zone(); offset == 0 && (d.zone.kind == zoneOffset || name == "UTC" || name == "Z") {
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
