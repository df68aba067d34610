package template

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// dateRule is one of timelib's formats: a pattern, and what a match says.
type dateRule struct {
	pattern *regexp.Regexp
	apply   func(p *parsedDate, m []string) error
}

// fragments of the patterns, named as in timelib's parse_date.re.
var fragments = strings.NewReplacer(
	"<hour24>", `(?:2[0-4]|[01]?[0-9])`, "<hour24lz>", `(?:[01][0-9]|2[0-4])`, "<hour12>", `(?:1[0-2]|0?[1-9])`,
	"<minute>", `[0-5]?[0-9]`, "<minutelz>", `[0-5][0-9]`, "<second>", `(?:60|[0-5]?[0-9])`, "<secondlz>", `(?:60|[0-5][0-9])`,
	"<meridian>", `(?:[AaPp]\.?[Mm]\.?)(?:[\x00\t ]|$)`,
	"<tz>", `(?:\(?[A-Za-z]{1,6}\)?|[A-Z][a-z]+(?:[_/-][A-Za-z]+)+)`,
	"<tzcorrection>", `(?:GMT)?[+-](?:(?:[01][0-9]|2[0-4]):[0-5][0-9]:[0-5][0-9]|(?:[01][0-9]|2[0-4])[0-5][0-9][0-5][0-9]|(?:2[0-4]|[01]?[0-9])(?::?[0-5]?[0-9])?)`,
	"<month>", `(?:1[0-2]|0?[0-9])`, "<day>", `(?:3[01]|[0-2]?[0-9])`, "<daysuf>", `(?:st|nd|rd|th)?`,
	"<monthlz>", `(?:0[0-9]|1[0-2])`, "<daylz>", `(?:0[0-9]|[1-2][0-9]|3[01])`,
	"<year>", `[0-9]{1,4}`, "<year2>", `[0-9]{2}`, "<year4>", `[0-9]{4}`,
	"<dayofyear>", `(?:00[1-9]|0[1-9][0-9]|[12][0-9][0-9]|3[0-5][0-9]|36[0-6])`, "<weekofyear>", `(?:0[1-9]|[1-4][0-9]|5[0-3])`,
	"<monthfull>", `(?:(?i)january|february|march|april|may|june|july|august|september|october|november|december)`,
	"<monthabbr>", `(?:(?i)jan|feb|mar|apr|may|jun|jul|aug|sept?|oct|nov|dec)`,
	"<monthtext>", `(?:(?i:january|february|march|april|may|june|july|august|september|october|november|december|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)|I{1,3}|I?V|VI{1,3}|I?X|XI{1,2})`,
	"<dayname>", `(?i:sundays?|mondays?|tuesdays?|wednesdays?|thursdays?|fridays?|saturdays?|sun|mon|tue|wed|thu|fri|sat)`,
	"<unit>", `(?i:ms|µs|(?:msec|millisecond|microsecond|usec|sec|second|min|minute|hour|day|fortnight|forthnight|month|year)s?|weeks?|weekdays?|sundays?|mondays?|tuesdays?|wednesdays?|thursdays?|fridays?|saturdays?|sun|mon|tue|wed|thu|fri|sat)`,
	"<ordinalunit>", `(?i:ms|µs|(?:msec|millisecond|microsecond|usec|sec|second|min|minute|hour|day|fortnight|forthnight|month|year)s?|weeks|weekdays?|sundays?|mondays?|tuesdays?|wednesdays?|thursdays?|fridays?|saturdays?|sun|mon|tue|wed|thu|fri|sat)`,
	"<number>", `(?i:first|second|third|fourth|fifth|sixth|seventh|eighth?|ninth|tenth|eleventh|twelfth)`,
	"<which>", `(?i:next|last|previous|this)`,
	"<space>", `[ \t]+`, "<space?>", `[ \t]*`,
)

func dateRuleOf(pattern string, apply func(p *parsedDate, m []string) error) dateRule {
	re := regexp.MustCompile(`^(?:` + fragments.Replace(pattern) + `)`)
	re.Longest()
	return dateRule{re, apply}
}

func nr(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}

// fullYear completes a year of two digits.
func fullYear(s string) int {
	n := nr(s)
	if len(s) < 4 && n < 100 {
		if n < 70 {
			return n + 2000
		}
		return n + 1900
	}
	return n
}

var monthNames = map[string]int{"i": 1, "ii": 2, "iii": 3, "iv": 4, "v": 5, "vi": 6, "vii": 7, "viii": 8, "ix": 9, "x": 10,
	"xi": 11, "xii": 12, "sept": 9}

var weekdayNames = map[string]int{}

func init() {
	for m := time.January; m <= time.December; m++ {
		name := strings.ToLower(m.String())
		monthNames[name], monthNames[name[:3]] = int(m), int(m)
	}
	for d := time.Sunday; d <= time.Saturday; d++ {
		name := strings.ToLower(d.String())
		weekdayNames[name], weekdayNames[name+"s"], weekdayNames[name[:3]] = int(d), int(d), int(d)
	}
}

func monthOf(s string) int { return monthNames[strings.ToLower(s)] }

// micro reads a fraction of a second.
func micro(frac string) int {
	frac = strings.TrimLeft(frac, ".:")
	if len(frac) > 6 {
		frac = frac[:6]
	}
	return nr(frac + strings.Repeat("0", 6-len(frac)))
}

func hour12(h int, meridian string) int {
	if meridian[0] == 'a' || meridian[0] == 'A' {
		if h == 12 {
			return 0
		}
		return h
	}
	if h == 12 {
		return 12
	}
	return h + 12
}

var relativeWords = map[string]int{"first": 1, "next": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6,
	"seventh": 7, "eight": 8, "eighth": 8, "ninth": 9, "tenth": 10, "eleventh": 11, "twelfth": 12, "last": -1,
	"previous": -1, "this": 0}

func relativeWord(s string) (amount, behavior int) {
	s = strings.ToLower(s)
	if s == "this" {
		behavior = 1
	}
	return relativeWords[s], behavior
}

// maxRelative bounds amounts: two million years of seconds, in any unit.
const maxRelative = 1 << 46

func (p *parsedDate) addRelative(amount int, unit string, behavior int, keepTime bool) {
	unit = strings.ToLower(unit)
	add := func(field *int, factor int) {
		*field = max(-maxRelative, min(maxRelative, *field+max(-maxRelative, min(maxRelative, amount))*factor))
	}
	if day, ok := weekdayNames[unit]; ok {
		p.haveWeekly = true
		if !keepTime {
			p.unhaveTime()
		}
		n := amount
		if n > 0 {
			n--
		}
		p.rd += max(-1<<30, min(1<<30, n)) * 7
		p.weekday, p.weekdayBehavior = day, behavior
		return
	}
	if unit == "weekday" || unit == "weekdays" {
		if !keepTime {
			p.unhaveTime()
		}
		p.special, p.specialAmount = specialWeekdays, amount
		return
	}
	switch unit = strings.TrimSuffix(unit, "s"); unit {
	case "m", "msec", "millisecond":
		add(&p.rus, 1000)
	case "µ", "usec", "microsecond":
		add(&p.rus, 1)
	case "sec", "second":
		add(&p.rs, 1)
	case "min", "minute":
		add(&p.ri, 1)
	case "hour":
		add(&p.rh, 1)
	case "day":
		add(&p.rd, 1)
	case "week":
		add(&p.rd, 7)
	case "fortnight", "forthnight":
		add(&p.rd, 14)
	case "month":
		add(&p.rm, 1)
	case "year":
		add(&p.ry, 1)
	}
}

// signed reads an amount with any number of signs.
func signed(s string) int {
	sign := 1
	digits := strings.TrimLeft(s, "+- \t")
	if strings.Count(s[:len(s)-len(digits)], "-")%2 == 1 {
		sign = -1
	}
	return sign * nr(digits)
}

func (p *parsedDate) isoWeek(y, w, d int) error {
	if err := p.claimDate(); err != nil {
		return err
	}
	dow := int(time.Date(y, 1, 1, 0, 0, 0, 0, time.UTC).Weekday())
	if dow > 4 {
		dow -= 7
	}
	p.y, p.m, p.d = y, 1, 1
	p.rd = -dow + (w-1)*7 + d
	return nil
}

func (p *parsedDate) dateAndTime(y, m, d, h, i, s, us int) error {
	if err := p.setTime(h, i, s, us); err != nil {
		return err
	}
	return p.setDate(y, m, d)
}

// dateRules in timelib's order, which decides between matches of one length.
var dateRules []dateRule

func init() {
	dateRules = append(dateRules, wordRules()...)
	dateRules = append(dateRules, timeRules()...)
	dateRules = append(dateRules, calendarRules()...)
	dateRules = append(dateRules, combinedRules()...)
	dateRules = append(dateRules, relativeRules()...)
}

func wordRules() []dateRule {
	return []dateRule{
		dateRuleOf(`(?i:yesterday)`, func(p *parsedDate, _ []string) error { p.unhaveTime(); p.rd = -1; return nil }),
		dateRuleOf(`(?i:now)`, func(*parsedDate, []string) error { return nil }),
		dateRuleOf(`(?i:noon)`, func(p *parsedDate, _ []string) error {
			p.unhaveTime()
			p.haveTime, p.h = true, 12
			return nil
		}),
		dateRuleOf(`(?i:midnight|today)`, func(p *parsedDate, _ []string) error { p.unhaveTime(); return nil }),
		dateRuleOf(`(?i:tomorrow)`, func(p *parsedDate, _ []string) error { p.unhaveTime(); p.rd = 1; return nil }),
		dateRuleOf(`@(-?[0-9]{1,18})(?:\.([0-9]{0,6}))?`, func(p *parsedDate, m []string) error {
			p.haveDate, p.haveTime = false, false
			p.y, p.m, p.d, p.h, p.i, p.s, p.us = 0, 0, 0, 0, 0, 0, 0
			if first, err := p.claimZone(); !first {
				return err
			}
			p.y, p.m, p.d = 1970, 1, 1
			p.rs += max(-maxRelative, min(maxRelative, nr(m[1])))
			if us := micro(m[2]); strings.HasPrefix(m[1], "-") {
				p.rus -= us
			} else {
				p.rus += us
			}
			p.zone = offsetZone(0)
			return nil
		}),
		dateRuleOf(`(?i:(first|last) day of)`, func(p *parsedDate, m []string) error {
			p.firstLast = 1
			if strings.EqualFold(m[1], "last") {
				p.firstLast = 2
			}
			return nil
		}),
		dateRuleOf(`(?i:(back|front) of )(<hour24>)(?:<space?>(<meridian>))?`, func(p *parsedDate, m []string) error {
			h, i := nr(m[2]), 15
			if m[3] != "" {
				h = hour12(h, m[3])
			}
			if m[1][0] != 'b' { // "BACK OF" is PHP's front
				h, i = h-1, 45
			}
			p.unhaveTime()
			return p.setTime(h, i, 0, 0)
		}),
		dateRuleOf(`(<number>|<which>)<space>(<dayname>)<space>(?i:of)`, func(p *parsedDate, m []string) error {
			amount, behavior := relativeWord(m[1])
			p.unhaveTime()
			p.special = specialLastWeekday
			if amount > 0 {
				p.special, behavior = specialNthWeekday, 1
			}
			p.addRelative(amount, m[2], behavior, false)
			return nil
		}),
	}
}

func relativeRules() []dateRule {
	return []dateRule{
		dateRuleOf(`(?i:ago)\b`, func(p *parsedDate, _ []string) error { p.ago(); return nil }),
		dateRuleOf(`(<dayname>|(?i:weekdays?))`, func(p *parsedDate, m []string) error {
			p.haveWeekly = true
			p.unhaveTime()
			day, ok := weekdayNames[strings.ToLower(m[1])]
			if !ok {
				day = 1 // "weekday" by itself
			}
			p.weekday = day
			if p.weekdayBehavior != 2 {
				p.weekdayBehavior = 1
			}
			return nil
		}),
		dateRuleOf(`(<which>)<space>(?i:week)`, func(p *parsedDate, m []string) error {
			amount, behavior := relativeWord(m[1])
			p.addRelative(amount, "week", behavior, false)
			p.weekdayBehavior = 2
			if !p.haveWeekly {
				p.haveWeekly, p.weekday = true, 1
			}
			return nil
		}),
		dateRuleOf(`(<number>|<which>)<space>(<ordinalunit>)`, func(p *parsedDate, m []string) error {
			amount, behavior := relativeWord(m[1])
			p.addRelative(amount, m[2], behavior, false)
			return nil
		}),
		dateRuleOf(`(<monthfull>|<monthabbr>)`, func(p *parsedDate, m []string) error {
			if err := p.claimDate(); err != nil {
				return err
			}
			p.m = monthOf(m[1])
			return nil
		}),
		dateRuleOf(`(<tzcorrection>|<tz>)`, func(p *parsedDate, m []string) error { return p.setZone(m[1]) }),
		dateRuleOf(`([+-]*[ \t]*[0-9]{1,13})<space?>(<unit>)`, func(p *parsedDate, m []string) error {
			p.addRelative(signed(m[1]), m[2], 1, true)
			return nil
		}),
	}
}

// ago turns what is relative around, but for fractions of seconds, as PHP does.
func (p *parsedDate) ago() {
	for _, f := range []*int{&p.ry, &p.rm, &p.rd, &p.rh, &p.ri, &p.rs, &p.weekday} {
		*f = -*f
	}
	if p.weekday == 0 && p.haveWeekly {
		p.weekday = -7
	}
	if p.special == specialWeekdays {
		p.specialAmount = -p.specialAmount
	}
}
