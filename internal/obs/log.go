// Package obs is how the process is watched: log lines and metrics.
package obs

import (
	"io"
	"log"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/mattn/go-isatty"
)

// Logger writes lines of this level and above to w: as text for people, with a short local time,
// or as one JSON object each, with the full time in UTC.
func Logger(w io.Writer, level slog.Level, json bool) *slog.Logger {
	if json {
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: replaceTime(time.RFC3339Nano, time.UTC)}))
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: replaceTime("15:04:05.000", time.Local)}))
}

// Libraries sends what libraries print by package log to a logger, at debug level: they know no
// levels, and no other form. It is for the whole process.
func Libraries(to *slog.Logger) {
	log.SetFlags(0)
	log.SetOutput(libraries{to})
}

type libraries struct{ to *slog.Logger }

// Write logs one message. net/http quotes what a receiver sends unasked, which may be anything,
// a secret of ours that it echoes included: that is left out.
func (l libraries) Write(line []byte) (int, error) {
	text, _, _ := strings.Cut(strings.TrimRight(string(line), "\n"), " starting with ")
	l.to.Debug("library.said", "text", text)
	return len(line), nil
}

// replaceTime gives the time of a line its form. Times among the fields stay what they are.
func replaceTime(layout string, where *time.Location) func([]string, slog.Attr) slog.Attr {
	return func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey && a.Value.Kind() == slog.KindTime {
			return slog.String(slog.TimeKey, a.Value.Time().In(where).Format(layout))
		}
		return a
	}
}

// Terminal reports whether a person looks at the file: only then may a key be printed, and is
// text the better default than JSON.
func Terminal(f *os.File) bool {
	return isatty.IsTerminal(f.Fd()) || isatty.IsCygwinTerminal(f.Fd())
}
