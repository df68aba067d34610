package template

// The formats of times and dates, alone and together.

func timeRules() []dateRule {
	return []dateRule{
		dateRuleOf(`(<hour12>)(?:[:.](<minutelz>))?<space?>(<meridian>)`, func(p *parsedDate, m []string) error {
			return p.setTime(hour12(nr(m[1]), m[3]), nr(m[2]), 0, 0)
		}),
		dateRuleOf(`(<hour12>)[:.](<minute>)[:.](<secondlz>)<space?>(<meridian>)`, func(p *parsedDate, m []string) error {
			return p.setTime(hour12(nr(m[1]), m[4]), nr(m[2]), nr(m[3]), 0)
		}),
		dateRuleOf(`(<hour12>):(<minutelz>):(<secondlz>)[:.]([0-9]+)(<meridian>)`, func(p *parsedDate, m []string) error {
			return p.setTime(hour12(nr(m[1]), m[5]), nr(m[2]), nr(m[3]), micro(m[4]))
		}),
		dateRuleOf(`[tT](<hour24>)`, func(p *parsedDate, m []string) error { return p.setTime(nr(m[1]), 0, 0, 0) }),
		dateRuleOf(`[tT]?(<hour24>)[:.](<minute>)(?:[:.](<second>)(\.[0-9]+)?)?`, func(p *parsedDate, m []string) error {
			return p.setTime(nr(m[1]), nr(m[2]), nr(m[3]), micro(m[4]))
		}),
		dateRuleOf(`[tT]?(<hour24lz>)(<minutelz>)`, func(p *parsedDate, m []string) error {
			if p.haveTime && !p.haveYear { // 10:00:00 1844
				p.haveYear, p.y = true, nr(m[1]+m[2])
				return nil
			}
			return p.setTime(nr(m[1]), nr(m[2]), 0, unset) // modify keeps the fraction of the second
		}),
		dateRuleOf(`[tT]?(<hour24lz>)(<minutelz>)(<secondlz>)`, func(p *parsedDate, m []string) error {
			return p.setTime(nr(m[1]), nr(m[2]), nr(m[3]), 0)
		}),
	}
}

func calendarRules() []dateRule {
	ymd := func(p *parsedDate, m []string) error { return p.setDate(nr(m[1]), nr(m[2]), nr(m[3])) }
	return []dateRule{
		dateRuleOf(`(<month>)/(<day>)<daysuf>(?:/(<year>))?`, func(p *parsedDate, m []string) error {
			y := unset
			if m[3] != "" {
				y = fullYear(m[3])
			}
			return p.setDate(y, nr(m[1]), nr(m[2]))
		}),
		dateRuleOf(`(<year4>)/(<monthlz>)/(<daylz>)/?`, ymd),
		dateRuleOf(`(<year4>)/(<month>)/(<day>)`, ymd),
		dateRuleOf(`([+-]?<year4>)-(<monthlz>)-(<daylz>)`, ymd),
		dateRuleOf(`(<year2>)-(<monthlz>)-(<daylz>)`, func(p *parsedDate, m []string) error {
			return p.setDate(fullYear(m[1]), nr(m[2]), nr(m[3]))
		}),
		dateRuleOf(`([+-][0-9]{5,6})-(<monthlz>)-(<daylz>)`, ymd),
		dateRuleOf(`(<year4>)-(<month>)`, func(p *parsedDate, m []string) error { return p.setDate(nr(m[1]), nr(m[2]), 1) }),
		dateRuleOf(`(<year>)-(<month>)-(<day>)`, func(p *parsedDate, m []string) error {
			return p.setDate(fullYear(m[1]), nr(m[2]), nr(m[3]))
		}),
		dateRuleOf(`(<day>)<daysuf>[ \t.-]*(<monthtext>)[ \t.-]*(<year>)`, func(p *parsedDate, m []string) error {
			return p.setDate(fullYear(m[3]), monthOf(m[2]), nr(m[1]))
		}),
		dateRuleOf(`(<day>)[.\t-](<month>)[.-](<year4>)`, func(p *parsedDate, m []string) error {
			return p.setDate(nr(m[3]), nr(m[2]), nr(m[1]))
		}),
		dateRuleOf(`(<day>)[.\t](<month>)\.(<year2>)`, func(p *parsedDate, m []string) error {
			return p.setDate(fullYear(m[3]), nr(m[2]), nr(m[1]))
		}),
		dateRuleOf(`(<monthtext>)[ .\t-]*(<year4>)`, func(p *parsedDate, m []string) error {
			return p.setDate(nr(m[2]), monthOf(m[1]), 1)
		}),
		dateRuleOf(`(<year4>)[ .\t-]*(<monthtext>)`, func(p *parsedDate, m []string) error {
			return p.setDate(nr(m[1]), monthOf(m[2]), 1)
		}),
		dateRuleOf(`(<monthtext>)[ .\t-]*(<day>)[,.stndrh\t ]+(<year>)`, func(p *parsedDate, m []string) error {
			return p.setDate(fullYear(m[3]), monthOf(m[1]), nr(m[2]))
		}),
		dateRuleOf(`(<monthtext>)[ .\t-]*(<day>)(?:[,.stndrh\t ]+|\x00|$)`, func(p *parsedDate, m []string) error {
			return p.setDate(unset, monthOf(m[1]), nr(m[2]))
		}),
		dateRuleOf(`(<day>)<daysuf>[ \t.-]*(<monthtext>)`, func(p *parsedDate, m []string) error {
			return p.setDate(unset, monthOf(m[2]), nr(m[1]))
		}),
		dateRuleOf(`(<year4>)(<monthlz>)(<daylz>)`, ymd),
		dateRuleOf(`(<year4>)[.-]?(<dayofyear>)`, func(p *parsedDate, m []string) error {
			return p.setDate(nr(m[1]), 1, nr(m[2]))
		}),
		dateRuleOf(`(<year4>)-?W(<weekofyear>)-?([0-7])`, func(p *parsedDate, m []string) error {
			return p.isoWeek(nr(m[1]), nr(m[2]), nr(m[3]))
		}),
		dateRuleOf(`(<year4>)-?W(<weekofyear>)`, func(p *parsedDate, m []string) error {
			return p.isoWeek(nr(m[1]), nr(m[2]), 1)
		}),
		dateRuleOf(`(<monthabbr>)-(<daylz>)-(<year>)`, func(p *parsedDate, m []string) error {
			return p.setDate(fullYear(m[3]), monthOf(m[1]), nr(m[2]))
		}),
		dateRuleOf(`(<year>)-(<monthabbr>)-(<daylz>)`, func(p *parsedDate, m []string) error {
			return p.setDate(fullYear(m[1]), monthOf(m[2]), nr(m[3]))
		}),
		dateRuleOf(`(<year4>)`, func(p *parsedDate, m []string) error { p.y = nr(m[1]); return nil }),
	}
}

func combinedRules() []dateRule {
	whole := func(p *parsedDate, m []string) error {
		return p.dateAndTime(nr(m[1]), nr(m[2]), nr(m[3]), nr(m[4]), nr(m[5]), nr(m[6]), 0)
	}
	short := func(p *parsedDate, m []string) error {
		if err := p.setDate(unset, monthOf(m[1]), nr(m[2])); err != nil {
			return err
		}
		h := nr(m[3])
		if m[6] != "" {
			h = hour12(h, m[6])
		}
		if err := p.setTime(h, nr(m[4]), nr(m[5]), 0); err != nil {
			return err
		}
		return p.setZone(m[7])
	}
	return []dateRule{
		dateRuleOf(`(<year4>)-(<monthlz>)-(<daylz>)T(<hour24lz>):(<minutelz>):(<secondlz>)(\.[0-9]+)(<tzcorrection>)?`, func(p *parsedDate, m []string) error {
			if err := p.dateAndTime(nr(m[1]), nr(m[2]), nr(m[3]), nr(m[4]), nr(m[5]), nr(m[6]), micro(m[7])); err != nil {
				return err
			}
			return p.setZone(m[8])
		}),
		dateRuleOf(`(<year4>)(<monthlz>)(<daylz>)T(<hour24>):(<minutelz>):(<secondlz>)`, whole),
		dateRuleOf(`(<year4>)(<monthlz>)(<daylz>)[tT](<hour24>)(<minutelz>)(<secondlz>)`, whole),
		dateRuleOf(`(<year4>)-(<month>)-(<day>)T(<hour24>):(<minute>):(<second>)`, whole),
		dateRuleOf(`(<year4>):(<monthlz>):(<daylz>) (<hour24lz>):(<minutelz>):(<secondlz>)`, whole),
		dateRuleOf(`(<day>)/(<monthabbr>)/(<year4>):(<hour24lz>):(<minutelz>):(<secondlz>)<space>(<tzcorrection>)`, func(p *parsedDate, m []string) error {
			if err := p.dateAndTime(nr(m[3]), monthOf(m[2]), nr(m[1]), nr(m[4]), nr(m[5]), nr(m[6]), 0); err != nil {
				return err
			}
			return p.setZone(m[7])
		}),
		dateRuleOf(`(<monthtext>)[ .\t-]*(<day>)[,.stndrh\t ]+(<hour12>)[:.](<minutelz>)()<space?>(<meridian>)()`, short),
		dateRuleOf(`(<monthtext>)[ .\t-]*(<day>)[,.stndrh\t ]+(<hour12>)[:.](<minute>)[:.](<secondlz>)<space?>(<meridian>)()`, short),
		dateRuleOf(`(<monthtext>)[ .\t-]*(<day>)[,.stndrh\t ]+(<hour24>)[:.](<minute>)()()()`, short),
		dateRuleOf(`(<monthtext>)[ .\t-]*(<day>)[,.stndrh\t ]+(<hour24>)[:.](<minute>)[:.](<second>)()()`, short),
		dateRuleOf(`(<monthtext>)[ .\t-]*(<day>)[,.stndrh\t ]+(<hour24>)[:.](<minute>)[:.](<secondlz>)()<space?>(<tzcorrection>|<tz>)`, short),
	}
}
