package parse

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"sallyport/internal/hook"
)

// maxColumns is how many columns a table may have: what spreadsheets allow.
const maxColumns = 16_384

// markEvery is how many rows lie between places that reading can begin at again.
const markEvery = 256

// table is a CSV whose rows were checked and counted.
type table struct {
	start  csvReader // at the first row of data
	names  [][]byte  // of the columns, as `"sku":`
	max    int       // bytes of one row's names and punctuation
	marks  []csvReader
	result *Result
}

// csv reads a table.
func (p *Parser) csv(in *input) (*Result, error) {
	c, body, err := p.charset(in, nil)
	if err != nil {
		return nil, err
	}
	text, err := c.decode(body)
	if err != nil {
		return nil, err
	}
	text = bytes.TrimSuffix(text, []byte{0x1a}) // how DOS, and what is as old, ends a text
	t := &table{result: &Result{}}
	t.start = csvReader{data: text, line: 1, enclosure: p.enclosure, escape: p.escape, delimiter: p.delimiter, valid: c.codec != nil}
	if separator, end := separatorLine(text); end > 0 {
		t.start.pos, t.start.line = end, 2
		if t.start.delimiter == "" {
			t.start.delimiter = separator
		}
	}
	if t.start.delimiter == "" && in.mediaType == "text/tab-separated-values" {
		t.start.delimiter = "\t"
	}
	t.start.skipBlankLines()
	if t.start.delimiter == "" {
		t.start.delimiter = guessDelimiter(text[t.start.pos:], p.enclosure)
	}
	if err := t.columns(p); err != nil {
		return nil, err
	}
	if err := t.count(p); err != nil {
		return nil, err
	}
	r := t.result
	r.body = sync.OnceValue(t.json)
	switch {
	case p.query != nil:
		selected, err := p.selected(r.body())
		if err != nil {
			return nil, err
		}
		selected.Skipped, selected.SkippedCount = r.Skipped, r.SkippedCount
		return selected, nil
	case !p.conf.Split:
		one := whole(r.body)
		one.Skipped, one.SkippedCount = r.Skipped, r.SkippedCount
		return one, nil
	}
	r.each = t.each
	return r, nil
}

// skipBlankLines passes empty lines before the delimiter is known.
func (r *csvReader) skipBlankLines() {
	for r.pos < len(r.data) && (r.data[r.pos] == '\n' || r.data[r.pos] == '\r') {
		r.pos = lineEnd(r.data, r.pos)
		r.line++
	}
}

// columns finds the names, from the header row if there is one.
func (t *table) columns(p *Parser) error {
	names := p.conf.Columns
	if p.conf.Header {
		row, fault, ok := t.start.next()
		if !ok {
			return malformed("the body is empty; a CSV with a header row was expected")
		}
		if fault != "" {
			return rowError(row, "the header row cannot be read: "+fault)
		}
		names = headerNames(t.start.fields, p.conf.Columns)
	} else if len(names) == 0 {
		first := t.start // a copy: the row is data, too
		for _, fault, ok := first.next(); ok; _, fault, ok = first.next() {
			if fault == "" {
				names = headerNames(make([][]byte, len(first.fields)), nil)
				break
			}
		}
	}
	t.max = 2
	for _, name := range names {
		t.names = append(t.names, append(appendString(nil, name), ':'))
		t.max += len(t.names[len(t.names)-1]) + 3 // quotes and comma of the value
	}
	return nil
}

// headerNames makes names out of a header row: those that were configured go before,
// empty ones at the end are no columns, and none is there twice.
func headerNames(row [][]byte, configured []string) []string {
	names := make([]string, 0, max(len(row), len(configured)))
	named := len(row) == 0
	for _, field := range row {
		name := strings.TrimSpace(strings.ToValidUTF8(string(field), "\uFFFD"))
		named = named || name != ""
		names = append(names, name)
	}
	for named && len(names) > len(configured) && names[len(names)-1] == "" {
		names = names[:len(names)-1]
	}
	for i, name := range configured {
		if i < len(names) {
			names[i] = name
		} else {
			names = append(names, name)
		}
	}
	taken := make(map[string]bool, len(names))
	for _, name := range names {
		taken[name] = true
	}
	seen, next := make(map[string]bool, len(names)), make(map[string]int)
	for i, name := range names {
		if name == "" {
			name = "column_" + strconv.Itoa(i+1)
		} else if !seen[name] {
			seen[name] = true
			continue
		}
		base := name
		for taken[name] {
			next[base] = max(next[base], 1) + 1
			name = base + "_" + strconv.Itoa(next[base])
		}
		taken[name], seen[name], names[i] = true, true, name
	}
	return names
}

// count goes through all rows once.
func (t *table) count(p *Parser) error {
	r := t.start
	r.fields = nil
	total := 0
	for number := 1; ; number++ {
		mark := r
		row, fault, ok := r.next()
		if !ok {
			return nil
		}
		if fault == "" {
			fault = t.ragged(&r)
		}
		if fault != "" {
			fault = fmt.Sprintf("row %d cannot be read: %s", number, fault)
			if p.conf.OnItemError != hook.OnItemErrorSkip {
				return rowError(row, fault)
			}
			if r.exhausted() {
				return rowError(row, "too many broken rows; "+fault)
			}
			if t.result.SkippedCount++; len(t.result.Skipped) < maxSkipped {
				t.result.Skipped = append(t.result.Skipped, Skipped{Row: number, Line: row.line, Reason: fault})
			}
			continue
		}
		if t.result.Count%markEvery == 0 {
			mark.fields = nil
			t.marks = append(t.marks, mark)
		}
		t.result.Count++
		if p.conf.Split && p.query == nil {
			if err := p.bounded(t.result.Count); err != nil {
				return err
			}
		}
		if total += t.max + row.to - row.from; total > maxOutput {
			return tooMuch()
		}
	}
}

// ragged cuts empty fields beyond the columns off the row and says if it has more or fewer.
func (t *table) ragged(r *csvReader) string {
	for len(r.fields) > len(t.names) && len(r.fields[len(r.fields)-1]) == 0 {
		r.fields = r.fields[:len(r.fields)-1]
	}
	if len(r.fields) == len(t.names) {
		return ""
	}
	return fmt.Sprintf("it has %d fields, but there are %d columns", len(r.fields), len(t.names))
}

func rowError(row csvRow, detail string) error {
	e := hook.Errorf(hook.KindMalformedBody, "%s (line %d)", detail, row.line)
	e.Line, e.Column = row.line, 1
	return e
}

// each makes rows of the items from ≤ index < to.
func (t *table) each(from, to int, yield func(int, json.RawMessage) bool) {
	r := t.marks[from/markEvery]
	for i := from / markEvery * markEvery; i < to; {
		_, fault, ok := r.next()
		if !ok {
			return
		}
		if fault != "" || t.ragged(&r) != "" {
			continue
		}
		if i >= from && !yield(i, t.row(nil, r.fields)) {
			return
		}
		i++
	}
}

// row writes the object of a row.
func (t *table) row(dst []byte, fields [][]byte) []byte {
	if dst == nil {
		size := t.max
		for _, f := range fields {
			size += len(f)
		}
		dst = make([]byte, 0, size+8)
	}
	dst = append(dst, '{')
	for i, f := range fields {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendString(append(dst, t.names[i]...), f)
	}
	return append(dst, '}')
}

// json writes all rows as a list.
func (t *table) json() []byte {
	var out bytes.Buffer
	out.WriteByte('[')
	if t.result.Count > 0 {
		var row []byte
		r := t.marks[0]
		for i := 0; i < t.result.Count; {
			_, fault, ok := r.next()
			if !ok {
				break
			}
			if fault != "" || t.ragged(&r) != "" {
				continue
			}
			if i > 0 {
				out.WriteByte(',')
			}
			row = t.row(append(row[:0], ""...), r.fields)
			out.Write(row)
			i++
		}
	}
	out.WriteByte(']')
	return out.Bytes()
}
