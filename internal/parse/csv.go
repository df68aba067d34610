package parse

import (
	"bytes"
	"fmt"
	"unicode/utf8"
)

// csvReader reads rows of UTF-8. It is a value: a copy goes on from where it was made.
type csvReader struct {
	data      []byte
	delimiter string
	enclosure string // "": none
	escape    string // "": none
	valid     bool   // the text is known to be UTF-8
	pos       int
	line      int // of pos, from 1
	fields    [][]byte
	wasted    int // bytes that were read again after broken rows
}

// csvRow is where a row stands.
type csvRow struct{ from, to, line int }

// begins reports whether the character c stands at i.
func begins(data []byte, i int, c string) bool {
	return c != "" && i < len(data) && data[i] == c[0] && (len(c) == 1 || bytes.HasPrefix(data[i:], []byte(c)))
}

// next reads a row into r.fields and returns ok false at the end. A fault says what is
// wrong with the row; the reader then stands at the next line. The fields are good until
// the next call.
func (r *csvReader) next() (row csvRow, fault string, ok bool) {
	r.skipEmpty()
	if r.pos >= len(r.data) {
		return csvRow{}, "", false
	}
	row = csvRow{from: r.pos, line: r.line}
	r.fields = r.fields[:0]
	i, tooMany := r.pos, ""
	for {
		var field []byte
		field, i, fault = r.field(i)
		if fault != "" {
			r.recover(row.from, i)
			return row, fault, true
		}
		if len(r.fields) < maxColumns {
			r.fields = append(r.fields, field)
		} else if tooMany == "" {
			tooMany = fmt.Sprintf("it has more than %d fields; is parser.delimiter right?", maxColumns)
		}
		if begins(r.data, i, r.delimiter) {
			i += len(r.delimiter)
			continue
		}
		break
	}
	row.to, fault = i, tooMany
	if !r.valid && !utf8.Valid(r.data[row.from:row.to]) {
		fault = "the row is not UTF-8; set parser.encoding to what it is written in (windows-1252, for example)"
	}
	r.pos = lineEnd(r.data, i)
	r.line += lines(r.data[row.from:r.pos])
	return row, fault, true
}

// skipEmpty passes lines that have nothing but blanks.
func (r *csvReader) skipEmpty() {
	for i := r.pos; i < len(r.data); i++ {
		switch c := r.data[i]; {
		case c == '\n' || c == '\r':
			end := lineEnd(r.data, i)
			r.pos, r.line, i = end, r.line+1, end-1
		case c != ' ' && c != '\t' || begins(r.data, i, r.delimiter):
			return
		case i == len(r.data)-1:
			r.pos = len(r.data)
		}
	}
}

// field reads the field at i and returns where it ends: at a delimiter, at the end of a
// line or of everything.
func (r *csvReader) field(i int) (field []byte, end int, fault string) {
	start := i
	for i < len(r.data) && (r.data[i] == ' ' || r.data[i] == '\t') && !begins(r.data, i, r.delimiter) {
		i++
	}
	if begins(r.data, i, r.enclosure) {
		return r.enclosed(i + len(r.enclosure))
	}
	first := r.delimiter[0]
	for ; i < len(r.data); i++ {
		c := r.data[i]
		if c == '\n' || c == '\r' || c == first && begins(r.data, i, r.delimiter) {
			break
		}
	}
	return r.data[start:i], i, ""
}

// enclosed reads the field whose text begins at start.
func (r *csvReader) enclosed(start int) (field []byte, end int, fault string) {
	var copied []byte // the text before from, if it differs from what was sent
	from := start
	for i := start; i < len(r.data); i++ {
		switch {
		case begins(r.data, i, r.enclosure):
			next := i + len(r.enclosure)
			if begins(r.data, next, r.enclosure) {
				copied = append(copied, r.data[from:next]...)
				from = next + len(r.enclosure)
				i = from - 1
				continue
			}
			field = r.data[start:i]
			if copied != nil {
				field = append(copied, r.data[from:i]...)
			}
			return r.closed(field, next)
		case begins(r.data, i, r.escape):
			next := i + len(r.escape)
			for _, c := range []string{r.enclosure, r.escape} {
				if begins(r.data, next, c) {
					copied = append(append(copied, r.data[from:i]...), c...)
					from = next + len(c)
					i = from - 1
					break
				}
			}
		}
	}
	return nil, len(r.data), fmt.Sprintf("the enclosure %s that opens field %d is never closed", r.enclosure, len(r.fields)+1)
}

// closed wants nothing but blanks between the enclosure's end and the field's.
func (r *csvReader) closed(field []byte, i int) ([]byte, int, string) {
	for i < len(r.data) && (r.data[i] == ' ' || r.data[i] == '\t') && !begins(r.data, i, r.delimiter) {
		i++
	}
	if i < len(r.data) && r.data[i] != '\n' && r.data[i] != '\r' && !begins(r.data, i, r.delimiter) {
		return nil, i, fmt.Sprintf("there is text after the closing %s of field %d; double the enclosures inside a field", r.enclosure, len(r.fields)+1)
	}
	return field, i, ""
}

// recover goes on after the first line of a broken row, which ended at reached: one stray
// enclosure must not take the rows after it along.
func (r *csvReader) recover(from, reached int) {
	end := from
	for end < len(r.data) && r.data[end] != '\n' && r.data[end] != '\r' {
		end++
	}
	r.pos = lineEnd(r.data, end)
	r.line++
	r.wasted += max(reached-r.pos, 0)
}

// exhausted reports that broken rows made us read everything several times.
func (r *csvReader) exhausted() bool { return r.wasted > 4*len(r.data)+1<<20 }

// lineEnd passes the end of the line at i, be it CR, LF or both.
func lineEnd(data []byte, i int) int {
	if i < len(data) && data[i] == '\r' {
		i++
		if i < len(data) && data[i] == '\n' {
			i++
		}
		return i
	}
	if i < len(data) && data[i] == '\n' {
		i++
	}
	return i
}

// lines counts the ends of lines.
func lines(data []byte) int {
	if n := bytes.Count(data, []byte{'\n'}); n > 0 {
		return n
	}
	return bytes.Count(data, []byte{'\r'})
}

// guessDelimiter takes what stands most often in the first line outside of enclosures.
func guessDelimiter(data []byte, enclosure string) string {
	counts := map[byte]int{',': 0, ';': 0, '\t': 0, '|': 0}
	inside := false
	for i := 0; i < len(data) && (inside || data[i] != '\n' && data[i] != '\r'); i++ {
		if begins(data, i, enclosure) {
			inside = !inside
		} else if _, ok := counts[data[i]]; ok && !inside {
			counts[data[i]]++
		}
	}
	best := byte(',')
	for _, c := range []byte(";\t|") {
		if counts[c] > counts[best] {
			best = c
		}
	}
	return string(best)
}

// separatorLine reads the line sep=; that spreadsheets put before everything else.
func separatorLine(data []byte) (delimiter string, end int) {
	if len(data) < 5 || !bytes.EqualFold(data[:4], []byte("sep=")) {
		return "", 0
	}
	_, n := utf8.DecodeRune(data[4:])
	if i := 4 + n; i >= len(data) || data[i] == '\n' || data[i] == '\r' {
		if c := data[4]; c != '\n' && c != '\r' {
			return string(data[4:i]), lineEnd(data, i)
		}
	}
	return "", 0
}
