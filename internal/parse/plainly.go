package parse

// plainlyJSON reports that data is a JSON document. It says no to some that are as well, if they
// are nested deeply: those are looked at again. On what callers send it is several times as fast
// as json.Valid, which steps through a state machine byte by byte.
func plainlyJSON(data []byte) bool {
	v := validator{data}
	i, ok := v.value(skipBlank(data, 0), 64)
	return ok && skipBlank(data, i) == len(data)
}

type validator struct{ data []byte }

// inText marks the bytes of a string that need no second look.
var inText = func() (t [256]bool) {
	for c := 0x20; c < 256; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// value goes over the value at i and returns where it ends.
func (v validator) value(i, levels int) (end int, ok bool) {
	if i >= len(v.data) || levels == 0 {
		return i, false
	}
	switch c := v.data[i]; {
	case c == '"':
		return v.text(i)
	case c == '{':
		return v.object(i, levels)
	case c == '[':
		return v.list(i, levels)
	case c == '-' || '0' <= c && c <= '9':
		return v.number(i)
	case c == 't':
		return v.word(i, "true")
	case c == 'f':
		return v.word(i, "false")
	}
	return v.word(i, "null")
}

func (v validator) word(i int, w string) (end int, ok bool) {
	end = i + len(w)
	return end, end <= len(v.data) && string(v.data[i:end]) == w
}

func (v validator) text(i int) (end int, ok bool) {
	data := v.data
	for i++; ; i++ {
		for i < len(data) && inText[data[i]] {
			i++
		}
		if i >= len(data) {
			return i, false
		}
		switch data[i] {
		case '"':
			return i + 1, true
		case '\\':
			i++
			if i >= len(data) {
				return i, false
			}
			switch data[i] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				for range 4 {
					if i++; i >= len(data) || !isHexDigit(data[i]) {
						return i, false
					}
				}
			default:
				return i, false
			}
		default: // a bare control character
			return i, false
		}
	}
}

func isHexDigit(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

func (v validator) number(i int) (end int, ok bool) {
	if v.data[i] == '-' {
		i++
	}
	from := i
	if i = v.digits(i); i == from || v.data[from] == '0' && i > from+1 {
		return i, false
	}
	if i < len(v.data) && v.data[i] == '.' {
		from = i + 1
		if i = v.digits(from); i == from {
			return i, false
		}
	}
	if i < len(v.data) && v.data[i]|0x20 == 'e' {
		if i++; i < len(v.data) && (v.data[i] == '+' || v.data[i] == '-') {
			i++
		}
		from = i
		if i = v.digits(from); i == from {
			return i, false
		}
	}
	return i, true
}

func (v validator) digits(i int) int {
	for i < len(v.data) && '0' <= v.data[i] && v.data[i] <= '9' {
		i++
	}
	return i
}

func (v validator) list(i, levels int) (end int, ok bool) {
	if i = skipBlank(v.data, i+1); i < len(v.data) && v.data[i] == ']' {
		return i + 1, true
	}
	for {
		if i, ok = v.value(i, levels-1); !ok {
			return i, false
		}
		if i = skipBlank(v.data, i); i >= len(v.data) {
			return i, false
		}
		switch v.data[i] {
		case ']':
			return i + 1, true
		case ',':
			i = skipBlank(v.data, i+1)
		default:
			return i, false
		}
	}
}

func (v validator) object(i, levels int) (end int, ok bool) {
	if i = skipBlank(v.data, i+1); i < len(v.data) && v.data[i] == '}' {
		return i + 1, true
	}
	for {
		if i >= len(v.data) || v.data[i] != '"' {
			return i, false
		}
		if i, ok = v.text(i); !ok {
			return i, false
		}
		if i = skipBlank(v.data, i); i >= len(v.data) || v.data[i] != ':' {
			return i, false
		}
		if i, ok = v.value(skipBlank(v.data, i+1), levels-1); !ok {
			return i, false
		}
		if i = skipBlank(v.data, i); i >= len(v.data) {
			return i, false
		}
		switch v.data[i] {
		case '}':
			return i + 1, true
		case ',':
			i = skipBlank(v.data, i+1)
		default:
			return i, false
		}
	}
}
