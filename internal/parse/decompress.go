package parse

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"strings"

	"sallyport/internal/hook"
)

// Decompress undoes the Content-Encoding of a request's body and lets at most limit bytes
// out, counted after decompression: one more is an error of KindTooLarge. Known are gzip,
// deflate (zlib's form or the bare one), identity and "". Errors of r itself pass through
// unchanged; other ones are of KindMalformedBody. An empty body is empty under any encoding.
// Nothing is read before the first Read.
func Decompress(encoding string, r io.Reader, limit int64) (io.Reader, error) {
	source := &source{r: r}
	out := &inflater{source: source, limit: limit}
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "", "identity":
		out.body = source
	case "gzip", "x-gzip":
		out.name = "gzip"
		out.open = func() (io.Reader, error) { return gzip.NewReader(source) }
	case "deflate":
		out.name = "deflate"
		out.open = func() (io.Reader, error) { return inflate(bufio.NewReader(source)) }
	default:
		e := hook.Errorf(hook.KindUnsupportedCoding, "the content encoding %q is not supported; send gzip, deflate, or the body as it is", clip(encoding))
		e.Field = "Content-Encoding"
		return nil, e
	}
	return out, nil
}

// inflate tells the form that the standard means from the one that some senders took it for.
func inflate(r *bufio.Reader) (io.Reader, error) {
	head, err := r.Peek(2)
	if err == nil && head[0]&0x0f == 8 && (int(head[0])<<8|int(head[1]))%31 == 0 {
		return zlib.NewReader(r)
	}
	if len(head) == 0 && err != nil {
		return nil, err
	}
	return flate.NewReader(r), nil
}

// source remembers the error of the reader below, which is not the decompressor's.
type source struct {
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

type inflater struct {
	source *source
	open   func() (io.Reader, error)
	body   io.Reader
	name   string
	limit  int64 // what may still come out
	err    error
}

func (f *inflater) Read(p []byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	if f.body == nil {
		body, err := f.open()
		if err != nil {
			f.err = f.explain(err)
			return 0, f.err
		}
		f.body = body
	}
	// One byte more than allowed tells a body that is exactly as large from a larger one.
	if int64(len(p)) > f.limit+1 {
		p = p[:f.limit+1]
	}
	n, err := f.body.Read(p)
	if int64(n) > f.limit {
		n = int(f.limit)
		err = hook.Errorf(hook.KindTooLarge, "the body is larger than allowed after decompression; send it in parts")
		if f.name == "" {
			err = hook.Errorf(hook.KindTooLarge, "the body is larger than allowed; send it in parts")
		}
	}
	f.limit -= int64(n)
	f.err = f.explain(err)
	return n, f.err
}

func (f *inflater) explain(err error) error {
	var known *hook.Error
	switch {
	case err == nil, f.source.err != nil && f.name == "", errors.As(err, &known):
		return err
	case f.source.err != nil:
		return f.source.err
	case errors.Is(err, io.EOF): // a body without a byte is empty, whatever its encoding
		return io.EOF
	}
	return &hook.Error{Kind: hook.KindMalformedBody, Err: err,
		Detail: "the body is not " + f.name + ", or it was cut; send it as its Content-Encoding says"}
}
