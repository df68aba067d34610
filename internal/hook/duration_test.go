package hook_test

import (
	"errors"
	"testing"
	"time"

	"sallyport/internal/hook"
)

func TestParseDuration(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"0":         0,
		"0s":        0,
		"500ms":     500 * time.Millisecond,
		"15s":       15 * time.Second,
		"300s":      5 * time.Minute,
		"1h30m":     90 * time.Minute,
		"7d":        7 * 24 * time.Hour,
		"1d12h":     36 * time.Hour,
		"1.5s":      1500 * time.Millisecond,
		"0.001s":    time.Millisecond,
		"0.10s":     100 * time.Millisecond,
		"2.0ms":     2 * time.Millisecond,
		"0.25d":     6 * time.Hour,
		"1m0.500s":  time.Minute + 500*time.Millisecond,
		"00000010s": 10 * time.Second,
	} {
		got, err := hook.ParseDuration(text)
		if err != nil || got != want {
			t.Errorf("ParseDuration(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
}

func TestParseDurationRefuses(t *testing.T) {
	t.Parallel()
	for why, text := range map[string]string{
		"empty":                          "",
		"no unit":                        "30",
		"no number":                      "s",
		"negative":                       "-5s",
		"plus sign":                      "+5s",
		"space":                          "5 s",
		"capital unit":                   "5S",
		"microseconds":                   "5us",
		"weeks":                          "1w",
		"unit twice":                     "1m1m",
		"small unit first":               "30m1h",
		"below a millisecond":            "0.0001s",
		"fraction of a millisecond":      "1.5ms",
		"two dots":                       "1.2.3s",
		"dot without digits":             "1.s",
		"dot first":                      ".5s",
		"number too large":               "99999999999999999999s",
		"product too large":              "200000d",
		"sum too large":                  "106751d1000000h",
		"trailing digits":                "1h30",
		"exponent":                       "1e3s",
		"arabic digits":                  "٥s",
		"the ISO form of other products": "PT5M",
	} {
		if got, err := hook.ParseDuration(text); !errors.Is(err, hook.ErrDuration) {
			t.Errorf("%s: ParseDuration(%q) = %v, %v; want ErrDuration", why, text, got, err)
		}
	}
}

func TestFormatDuration(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0:                                    "0s",
		-time.Second:                         "0s",
		time.Nanosecond:                      "0s",
		100 * time.Millisecond:               "100ms",
		1500 * time.Millisecond:              "1500ms",
		300 * time.Second:                    "5m",
		90 * time.Second:                     "90s",
		90 * time.Minute:                     "90m",
		24 * time.Hour:                       "1d",
		120 * time.Hour:                      "5d",
		36 * time.Hour:                       "36h",
		30 * 24 * time.Hour:                  "30d",
		24*time.Hour + time.Second:           "1d1s",
		time.Hour + time.Millisecond:         "1h1ms",
		15*time.Second + 999*time.Nanosecond: "15s",
	} {
		if got := hook.FormatDuration(d); got != want {
			t.Errorf("FormatDuration(%d) = %q, want %q", d, got, want)
		}
	}
}

func FuzzDuration(f *testing.F) {
	for _, seed := range []string{"0", "5m", "1h30m", "0.25d", "1d1ms", "106751d", "9223372036854ms"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := hook.ParseDuration(text)
		if err != nil {
			return
		}
		if d < 0 || d%time.Millisecond != 0 {
			t.Fatalf("ParseDuration(%q) = %d", text, d)
		}
		printed := hook.FormatDuration(d)
		if again, err := hook.ParseDuration(printed); err != nil || again != d {
			t.Fatalf("%q is printed as %q, which reads as %v, %v", text, printed, again, err)
		}
		if len(printed) > len(text) && text != "0" {
			t.Fatalf("%q is printed longer, as %q", text, printed)
		}
	})
}
