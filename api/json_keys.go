package api

import (
	"fmt"

	"sallyport/internal/hook"
)

// step is a member's name, or an index when the name is nil.
type step struct {
	name  []byte
	index int
}

// checkJSON reads a whole document, refusing repeated keys everywhere.
func checkJSON(b []byte) error {
	s, err := newScanner(b)
	if err != nil {
		return err
	}
	if err := s.unique(0); err != nil {
		return err
	}
	return s.end()
}

// unique reads a value, refusing repeated keys in it.
func (s *scanner) unique(depth int) error {
	if depth > maxDepth {
		return hook.Errorf(hook.KindMalformedJSON, "the JSON nests deeper than %d", maxDepth)
	}
	switch s.peek() {
	case '{':
		return s.uniqueObject(depth)
	case '[':
		s.i++
		if s.peek() == ']' {
			s.i++
			return nil
		}
		for n := 0; ; n++ {
			s.path = append(s.path, step{index: n})
			if err := s.unique(depth + 1); err != nil {
				return err
			}
			s.path = s.path[:len(s.path)-1]
			if s.peek() == ']' {
				s.i++
				return nil
			}
			if s.peek() != ',' {
				return s.fail(closing(false))
			}
			s.i++
		}
	}
	return s.scalar()
}

func (s *scanner) uniqueObject(depth int) error {
	s.i++
	if s.peek() == '}' {
		s.i++
		return nil
	}
	seen := make(map[string]bool, 8)
	for {
		s.space()
		name, err := s.text()
		if err != nil {
			return err
		}
		s.path = append(s.path, step{name: []byte(name)})
		if seen[name] {
			return duplicateKey(fieldName(s.path))
		}
		seen[name] = true
		if err := s.colon(); err != nil {
			return err
		}
		if err := s.unique(depth + 1); err != nil {
			return err
		}
		s.path = s.path[:len(s.path)-1]
		switch s.peek() {
		case '}':
			s.i++
			return nil
		case ',':
			s.i++
		default:
			return s.fail(closing(true))
		}
	}
}

func duplicateKey(field string) error {
	e := hook.Errorf(hook.KindDuplicateKey, "the key %q is there twice", field)
	e.Field = field
	return e
}

// fieldName writes a path as people do: retry.schedule[2].
func fieldName(path []step) string {
	out := ""
	for _, p := range path {
		switch {
		case p.name == nil:
			out += fmt.Sprintf("[%d]", p.index)
		case out == "":
			out = string(p.name)
		default:
			out += "." + string(p.name)
		}
	}
	return out
}
