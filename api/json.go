package api

import (
	"encoding/json"
	"unicode/utf8"

	"sallyport/internal/hook"
)

// maxDepth bounds how deep JSON may nest: far beyond any entity, far below what
// would cost a receiver's recursive parser its stack.
const maxDepth = 512

// scanner walks JSON (RFC 8259) once, without building values. Its input must be
// valid UTF-8.
type scanner struct {
	b []byte
	i int
	// path of the member being read, for duplicates found by object
	path []step
}

func newScanner(b []byte) (scanner, error) {
	if !utf8.Valid(b) {
		return scanner{}, hook.Errorf(hook.KindMalformedJSON, "the body is not UTF-8")
	}
	return scanner{b: b}, nil
}

func (s *scanner) fail(want string) error {
	if s.i >= len(s.b) {
		if len(s.b) == 0 {
			return hook.Errorf(hook.KindMalformedJSON, "the body is empty; a JSON document was expected")
		}
		return hook.Errorf(hook.KindMalformedJSON, "the JSON ends too early, at byte %d; %s was expected", s.i, want)
	}
	r, _ := utf8.DecodeRune(s.b[s.i:])
	return hook.Errorf(hook.KindMalformedJSON, "the JSON is broken at byte %d: %s was expected, not %q", s.i, want, string(r))
}

func (s *scanner) space() {
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ' ', '\t', '\n', '\r':
			s.i++
		default:
			return
		}
	}
}

// peek skips space and returns the next byte, 0 at the end.
func (s *scanner) peek() byte {
	s.space()
	if s.i < len(s.b) {
		return s.b[s.i]
	}
	return 0
}

// end reports an error unless only space is left.
func (s *scanner) end() error {
	if s.peek(); s.i < len(s.b) {
		return s.fail("the end")
	}
	return nil
}

// plain marks the bytes of a string that need no second look.
var plain = func() (t [256]bool) {
	for c := 0x20; c < 256; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// str reads a string and returns what stands between the quotes, and whether that
// has escapes.
func (s *scanner) str() (raw []byte, escaped bool, err error) {
	if s.i >= len(s.b) || s.b[s.i] != '"' {
		return nil, false, s.fail("a string")
	}
	s.i++
	from := s.i
	for {
		for s.i < len(s.b) && plain[s.b[s.i]] {
			s.i++
		}
		if s.i >= len(s.b) {
			return nil, false, s.fail("the end of a string")
		}
		switch s.b[s.i] {
		case '"':
			raw = s.b[from:s.i]
			s.i++
			return raw, escaped, nil
		case '\\':
			escaped = true
			if err := s.escape(); err != nil {
				return nil, false, err
			}
		default:
			return nil, false, s.fail("no bare control character")
		}
	}
}

func (s *scanner) escape() error {
	s.i++
	if s.i >= len(s.b) {
		return s.fail("an escape")
	}
	switch s.b[s.i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.i++
		return nil
	case 'u':
		s.i++
		for range 4 {
			if s.i >= len(s.b) || !isHex(s.b[s.i]) {
				return s.fail("a hexadecimal digit")
			}
			s.i++
		}
		return nil
	}
	return s.fail("an escape")
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// unescape turns the inside of a string into its text. Lone surrogates become U+FFFD.
func unescape(raw []byte) string {
	var text string
	quoted := make([]byte, 0, len(raw)+2)
	quoted = append(append(append(quoted, '"'), raw...), '"')
	if json.Unmarshal(quoted, &text) != nil { // cannot be: the scanner passed it
		return ""
	}
	return text
}

// text reads a string as text.
func (s *scanner) text() (string, error) {
	raw, escaped, err := s.str()
	if err != nil {
		return "", err
	}
	if escaped {
		return unescape(raw), nil
	}
	return string(raw), nil
}

// number reads a number and returns its literal.
func (s *scanner) number() ([]byte, error) {
	from := s.i
	if s.i < len(s.b) && s.b[s.i] == '-' {
		s.i++
	}
	switch {
	case s.i < len(s.b) && s.b[s.i] == '0':
		s.i++
	case s.i < len(s.b) && isDigit(s.b[s.i]):
		s.digits()
	default:
		return nil, s.fail("a value")
	}
	if s.i < len(s.b) && s.b[s.i] == '.' {
		s.i++
		if !s.digits() {
			return nil, s.fail("a digit")
		}
	}
	if s.i < len(s.b) && (s.b[s.i] == 'e' || s.b[s.i] == 'E') {
		s.i++
		if s.i < len(s.b) && (s.b[s.i] == '+' || s.b[s.i] == '-') {
			s.i++
		}
		if !s.digits() {
			return nil, s.fail("a digit")
		}
	}
	return s.b[from:s.i], nil
}

func (s *scanner) digits() bool {
	from := s.i
	for s.i < len(s.b) && isDigit(s.b[s.i]) {
		s.i++
	}
	return s.i > from
}

func (s *scanner) literal(word string) error {
	if len(s.b)-s.i >= len(word) && string(s.b[s.i:s.i+len(word)]) == word {
		s.i += len(word)
		return nil
	}
	return s.fail("a value")
}

// scalar reads a value that is neither object nor array.
func (s *scanner) scalar() error {
	var err error
	switch s.peek() {
	case '"':
		_, _, err = s.str()
	case 't':
		err = s.literal("true")
	case 'f':
		err = s.literal("false")
	case 'n':
		err = s.literal("null")
	default:
		_, err = s.number()
	}
	return err
}

// skip reads any value and returns its bytes, without looking for repeated keys. depth
// is how deep the value itself stands.
func (s *scanner) skip(depth int) ([]byte, error) {
	var objects [maxDepth + 1]bool // whether the container at that depth is an object
	s.space()
	from, base := s.i, depth
	for {
		opened := false
		switch c := s.peek(); c {
		case '{', '[':
			if depth++; depth > maxDepth {
				return nil, hook.Errorf(hook.KindMalformedJSON, "the JSON nests deeper than %d", maxDepth)
			}
			s.i++
			objects[depth] = c == '{'
			opened = true
		default:
			if err := s.scalar(); err != nil {
				return nil, err
			}
		}
		more, err := s.next(&objects, &depth, base, opened)
		if err != nil {
			return nil, err
		}
		if !more {
			return s.b[from:s.i], nil
		}
	}
}

// next goes from the end of a value, or from the start of a container, to the next
// value, and reports false when the container at base is closed.
func (s *scanner) next(objects *[maxDepth + 1]bool, depth *int, base int, opened bool) (bool, error) {
	for *depth > base {
		object := objects[*depth]
		c := s.peek()
		switch {
		case object && c == '}', !object && c == ']':
			s.i++
			*depth--
			opened = false
			continue
		case opened:
		case c == ',':
			s.i++
			s.space()
		default:
			return false, s.fail(closing(object))
		}
		if object {
			if err := s.key(); err != nil {
				return false, err
			}
		}
		return true, nil
	}
	return false, nil
}

func closing(object bool) string {
	if object {
		return `"," or "}"`
	}
	return `"," or "]"`
}

// key reads a member's name and the colon.
func (s *scanner) key() error {
	s.space()
	if _, _, err := s.str(); err != nil {
		return err
	}
	return s.colon()
}

func (s *scanner) colon() error {
	if s.peek() != ':' {
		return s.fail(`":"`)
	}
	s.i++
	return nil
}
