package manage

import (
	"fmt"
	"strconv"
	"strings"

	"sallyport/internal/hook"
)

// maxName is how many characters a name may have.
const maxName = 200

// checkCode notes what is wrong with a code.
func (r *reader) checkCode(field, code string) {
	switch {
	case !hook.IsCode(code):
		r.fault(field, "invalid_format", "%q is not a code: 1 to %d of A-Z a-z 0-9 _ -", clip(code), hook.MaxCode)
	case hook.IsID(code):
		r.fault(field, "invalid_format", "a code must not look like an id")
	}
}

// identity is how a resource is called.
type identity struct {
	id         hook.ID // NoID: it is new
	code, name string
	derive     bool // the code is to be made of the name
}

// identify reads code, name and id. ref is what the path says, "" for POST; current is
// what the path leads to, if anything.
func identify[R resource](o *object, ref string, current R) identity {
	var none R
	var is hook.AuditSubject
	if current != none {
		is = current.AuditSubject()
	}
	out := identity{id: is.ID}
	code := o.raw("code")
	given := ""
	if code != nil && o.value("code", "a string", &given) {
		o.checkCode(o.at("code"), given)
	}
	if o.has("id") {
		var s string
		if o.value("id", "a string", &s) && ref != "" && (is.ID == hook.NoID || !strings.EqualFold(s, is.ID.String())) {
			o.fault("id", "code_mismatch", "is not the id of what the path names; leave it out")
		}
	}
	switch {
	case is.ID != hook.NoID:
		if given != "" && !strings.EqualFold(given, is.Code) {
			o.fault("code", "code_mismatch", "%q is not the code of what the path names, %q; codes cannot change", clip(given), is.Code)
		}
		out.code = is.Code
	case ref != "":
		if given != "" && !strings.EqualFold(given, ref) {
			o.fault("code", "code_mismatch", "%q is not the code in the path, %q", clip(given), ref)
		} else if given == "" {
			o.checkCode("code", ref)
		}
		out.code = ref
		if given != "" {
			out.code = given
		}
	default:
		out.code = given
	}
	out.name = o.text("name", out.code, 1, maxName)
	if out.name != "" && strings.TrimSpace(out.name) == "" {
		o.fault(o.at("name"), "required", "must not be blank")
	}
	if out.code == "" && code == nil {
		if !o.has("name") {
			o.fault("name", "required", "name or code is needed")
		}
		out.derive = true
	}
	return out
}

// settle checks that the code of a new resource is free, or makes one of the name: "ERP Stock"
// becomes erp-stock, the second one erp-stock-2.
func (i *identity) settle(s hook.Scene, noun string) error {
	if i.id != hook.NoID {
		return nil
	}
	if !i.derive {
		return codeFree(s, i.code, noun)
	}
	base := slug(i.name)
	if base == "" || hook.IsID(base) {
		base = strings.Trim(slug(noun)+"-"+base, "-")
	}
	for n := 1; ; n++ {
		suffix := ""
		if n > 1 {
			suffix = "-" + strconv.Itoa(n)
		}
		code := strings.TrimRight(base[:min(len(base), hook.MaxCode-len(suffix))], "-") + suffix
		owner, err := s.CodeOwner(code)
		if err != nil {
			return fmt.Errorf("looking for a free code: %w", err)
		}
		if owner == hook.NoID {
			i.code = code
			return nil
		}
	}
}

func codeFree(s hook.Scene, code, noun string) error {
	owner, err := s.CodeOwner(code)
	if err != nil {
		return fmt.Errorf("looking for the code: %w", err)
	}
	if owner != hook.NoID {
		e := hook.Errorf(hook.KindCodeTaken, "the code %q belongs to another %s", code, noun)
		e.Field, e.Owner = "code", owner.String()
		return e
	}
	return nil
}

// nameFree checks that no other resource has the name.
func nameFree(s hook.Scene, name, noun string, self hook.ID) error {
	owner, err := s.NameOwner(name)
	if err != nil {
		return fmt.Errorf("looking for the name: %w", err)
	}
	if owner != hook.NoID && owner != self {
		e := hook.Errorf(hook.KindNameTaken, "the name %q belongs to another %s", name, noun)
		e.Field, e.Owner = "name", owner.String()
		return e
	}
	return nil
}

// slug is the lowercase ASCII of a name, its words joined by dashes.
func slug(name string) string {
	var b strings.Builder
	for _, c := range strings.ToLower(name) {
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '_':
			b.WriteRune(c)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	return strings.Trim(b.String(), "-")
}
