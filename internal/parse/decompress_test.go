package parse

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"sallyport/internal/hook"
)

func squeeze(t *testing.T, open func(io.Writer) io.WriteCloser, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := open(&b)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestDecompress(t *testing.T) {
	t.Parallel()
	const text = "sku;qty\nA-1;3\n"
	zip := func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }
	bare := func(w io.Writer) io.WriteCloser { f, _ := flate.NewWriter(w, 9); return f }
	zipped := squeeze(t, zip, text)
	cut := errors.New("the line was cut")
	for name, c := range map[string]struct {
		encoding string
		in       io.Reader
		limit    int64
		want     string
		err      error
		kind     hook.Kind
	}{
		"nothing to do":                   {"", strings.NewReader(text), 100, text, nil, ""},
		"identity":                        {"Identity", strings.NewReader(text), int64(len(text)), text, nil, ""},
		"gzip":                            {"gzip", bytes.NewReader(zipped), int64(len(text)), text, nil, ""},
		"gzip by its old name":            {" X-GZIP", bytes.NewReader(zipped), 100, text, nil, ""},
		"deflate as the standard has it":  {"deflate", bytes.NewReader(squeeze(t, func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) }, text)), 100, text, nil, ""},
		"deflate as some send it":         {"deflate", bytes.NewReader(squeeze(t, bare, text)), 100, text, nil, ""},
		"one byte at a time":              {"gzip", iotest.OneByteReader(bytes.NewReader(zipped)), 100, text, nil, ""},
		"one byte too many":               {"", strings.NewReader(text), int64(len(text)) - 1, text[:len(text)-1], nil, hook.KindTooLarge},
		"one byte too many after gzip":    {"gzip", bytes.NewReader(zipped), int64(len(text)) - 1, text[:len(text)-1], nil, hook.KindTooLarge},
		"a bomb":                          {"gzip", bytes.NewReader(squeeze(t, zip, strings.Repeat("\x00", 64<<20))), 1000, strings.Repeat("\x00", 1000), nil, hook.KindTooLarge},
		"no gzip at all":                  {"gzip", strings.NewReader(text), 100, "", nil, hook.KindMalformedBody},
		"nothing at all":                  {"gzip", strings.NewReader(""), 100, "", nil, ""},
		"gzip of which one byte came":     {"gzip", strings.NewReader("\x1f"), 100, "", nil, hook.KindMalformedBody},
		"gzip that was cut":               {"gzip", bytes.NewReader(zipped[:len(zipped)-9]), 100, "", nil, hook.KindMalformedBody},
		"deflate that is none":            {"deflate", strings.NewReader("\xff\xff\xff"), 100, "", nil, hook.KindMalformedBody},
		"an encoding that is not known":   {"br", strings.NewReader(text), 100, "", nil, hook.KindUnsupportedCoding},
		"two encodings":                   {"gzip, gzip", strings.NewReader(text), 100, "", nil, hook.KindUnsupportedCoding},
		"the line's own error":            {"", iotest.ErrReader(cut), 100, "", cut, ""},
		"the line's own error under gzip": {"gzip", io.MultiReader(bytes.NewReader(zipped[:12]), iotest.ErrReader(cut)), 100, "", cut, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := Decompress(c.encoding, c.in, c.limit)
			var got []byte
			if err == nil {
				got, err = io.ReadAll(r)
			}
			switch {
			case c.err != nil && !errors.Is(err, c.err):
				t.Errorf("err = %v", err)
			case c.kind != "" && hook.KindOf(err) != c.kind:
				t.Errorf("err = %v, want %s", err, c.kind)
			case c.err == nil && c.kind == "" && err != nil:
				t.Errorf("err = %v", err)
			}
			if c.want != "" && string(got) != c.want {
				t.Errorf("got %.50q", got)
			}
		})
	}
}
