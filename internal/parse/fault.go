package parse

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"sallyport/internal/hook"
)

// malformed is an error without a place.
func malformed(format string, args ...any) error {
	return hook.Errorf(hook.KindMalformedBody, format, args...)
}

// malformedAt is an error at a byte of the text, which the detail names by line and column.
func malformedAt(data []byte, at int, format string, args ...any) error {
	line, column := place(data, at)
	e := hook.Errorf(hook.KindMalformedBody, "%s (line %d, column %d)", fmt.Sprintf(format, args...), line, column)
	e.Line, e.Column = line, column
	return e
}

// place counts lines from 1 and columns in characters from 1.
func place(data []byte, at int) (line, column int) {
	before := data[:min(max(at, 0), len(data))]
	line = 1 + bytes.Count(before, []byte("\n"))
	return line, 1 + utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])
}

// invalidUTF8 is the error about the first byte that is not UTF-8.
func invalidUTF8(data []byte, what string) error {
	at := 0
	for at < len(data) {
		r, n := utf8.DecodeRune(data[at:])
		if r == utf8.RuneError && n == 1 {
			break
		}
		at += n
	}
	return malformedAt(data, at, "%s is not UTF-8; send a charset parameter in Content-Type, or set parser.encoding (windows-1252, for example)", what)
}
