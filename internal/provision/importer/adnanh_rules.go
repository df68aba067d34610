package importer

import (
	"fmt"
	"net/netip"
	"strings"

	"sallyport/internal/provision"
)

// jsonText is a value of a request that has JSON in its text.
type jsonText struct{ source, name string }

// holds reports whether a value is the parameter or lies below it.
func (p jsonText) holds(source, name string) bool {
	return source == p.source && (name == p.name || strings.HasPrefix(name, p.name+"."))
}

// rules imports the trigger rule: what says who may call becomes checks, which refuse; what says whether
// a call matters becomes the condition of the route, which answers and runs nothing, as it was.
func (d *door) rules(f *fields) {
	refuses := 0
	if n, ok := f.number("trigger-rule-mismatch-http-response-code"); ok {
		refuses = int(n)
	}
	f.ignore("trigger-signature-soft-failures")
	for _, p := range f.objects("parse-parameters-as-json") {
		x := fieldsOf(p)
		d.unread = append(d.unread, jsonText{x.text("source"), x.text("name")})
		d.a.warn(d.about, "JSON within the text of %s %s is not read: values below it are empty", x.text("source"), x.text("name"))
	}
	rule := f.object("trigger-rule")
	if rule == nil {
		if f.value("trigger-rule") != nil {
			d.a.warn(d.about, "the trigger rule cannot be written: it is no object")
			d.broken = true
		}
		return
	}
	for _, part := range d.conjuncts(rule.all) {
		d.conjunct(part, refuses)
	}
	if refuses != 0 && refuses != 200 && refuses != 403 {
		d.a.warn(d.about, "refused calls are answered 403, not %d", refuses)
	}
}

// conjuncts are the rules that must all hold.
func (d *door) conjuncts(rule map[string]any) []map[string]any {
	list, ok := rule["and"].([]any)
	if !ok {
		return []map[string]any{rule}
	}
	var all []map[string]any
	for _, e := range list {
		inner, _ := e.(map[string]any) // what is no rule is told as one that cannot be written
		all = append(all, d.conjuncts(inner)...)
	}
	return all
}

func (d *door) conjunct(rule map[string]any, refuses int) {
	if match, ok := rule["match"].(map[string]any); ok && d.check(fieldsOf(match)) {
		return
	}
	condition, proves, err := d.condition(rule)
	switch {
	case err != nil:
		d.a.warn(d.about, "a part of the trigger rule cannot be written: %s", err)
		d.broken = true
	case proves || refuses >= 400:
		d.preProcessors = append(d.preProcessors, provision.Fields{}.With("type", "condition").With("condition", condition))
	default:
		d.conditions = append(d.conditions, condition)
	}
}

// check makes a pre-processor of a rule that says who may call, if it is one.
func (d *door) check(f *fields) bool {
	parameter := f.object("parameter")
	if parameter == nil {
		parameter = fieldsOf(nil)
	}
	source, name := parameter.text("source"), parameter.text("name")
	p := provision.Fields{}
	switch kind := f.text("type"); {
	case kind == "ip-whitelist":
		ranges := strings.Fields(f.text("ip-range"))
		for n, r := range ranges {
			if prefix, err := netip.ParsePrefix(r); err == nil {
				ranges[n] = prefix.Masked().String() // 192.168.0.1/24 is meant as its network
			}
		}
		p = p.With("type", "ip").With("allow", ranges)
	case strings.HasPrefix(kind, "payload-hmac-"), strings.HasPrefix(kind, "payload-hash-"):
		algorithm := kind[len("payload-hmac-"):]
		if source != "header" || parameter.value("headers-to-add-to-signature-payload") != nil {
			return false
		}
		v := provision.Fields{}.With("algorithm", "hmac-"+algorithm).With("header", name).With("separator", ",")
		switch lower := strings.ToLower(name); {
		case strings.HasPrefix(lower, "x-hub-signature"):
			v = v.With("prefix", algorithm+"=")
		case lower != "x-gogs-signature" && lower != "x-gitea-signature":
			d.a.warn(d.about, "the signature in %s is expected by itself; if the sender writes %s before it, add that as prefix", name, algorithm+"=")
		}
		p = p.With("type", "signature").With("secrets", []string{d.secret(f.text("secret"))}).With("verification", v)
	case kind == "scalr-signature":
		d.a.warn(d.about, "the time in Scalr's Date header is signed but not compared with the clock")
		p = p.With("type", "signature").With("secrets", []string{d.secret(f.text("secret"))}).With("verification",
			provision.Fields{}.With("algorithm", "hmac-sha1").With("header", "X-Signature").With("content", "{body}{header:Date}"))
	case kind == "value" && f.text("value") != "" && secretName(name) && source == "header":
		p = p.With("type", "apiKey").With("header", name).With("secrets", []string{d.secret(f.text("value"))})
	case kind == "value" && f.text("value") != "" && secretName(name) && (source == "url" || source == "query"):
		p = p.With("type", "apiKey").With("parameter", name).With("secrets", []string{d.secret(f.text("value"))})
	case kind == "value" && f.text("value") != "" && secretName(name) && source == "payload":
		p = p.With("type", "signature").With("secrets", []string{d.secret(f.text("value"))}).With("verification",
			provision.Fields{}.With("algorithm", "token").With("bodyField", name))
	default:
		return false
	}
	d.preProcessors = append(d.preProcessors, p)
	return true
}

// secret notes a secret of the door and returns its name.
func (d *door) secret(value string) string {
	if name, ok := d.secretNames[value]; ok {
		return name
	}
	name := "secret"
	if n := len(d.secretNames); n > 0 {
		name = fmt.Sprintf("secret-%d", n+1)
	}
	d.secretNames[value] = name
	d.secrets = append(d.secrets, provision.Fields{}.With("name", name).With("value", d.a.maker.secret(d.code+"_"+name, d.about+" secret "+name, value)))
	return name
}

// condition writes a rule as an expression. It reports whether a secret is part of it.
func (d *door) condition(rule map[string]any) (text string, proves bool, err error) {
	for _, joint := range []string{"and", "or"} {
		list, ok := rule[joint].([]any)
		if !ok {
			continue
		}
		var parts []string
		for _, e := range list {
			inner, _ := e.(map[string]any)
			part, secret, err := d.condition(inner)
			if err != nil {
				return "", false, err
			}
			proves = proves || secret
			parts = append(parts, part)
		}
		if len(parts) == 0 { // all of none hold, one of none does not
			return fmt.Sprint(joint == "and"), false, nil
		}
		return "(" + strings.Join(parts, " "+joint+" ") + ")", proves, nil
	}
	if inner, ok := rule["not"].(map[string]any); ok {
		part, secret, err := d.condition(inner)
		return "not (" + part + ")", secret, err
	}
	match, ok := rule["match"].(map[string]any)
	if !ok {
		return "", false, fmt.Errorf("it is none of and, or, not and match")
	}
	return d.match(fieldsOf(match))
}

func (d *door) match(f *fields) (text string, proves bool, err error) {
	kind := f.text("type")
	parameter := f.object("parameter")
	if parameter == nil {
		return "", false, fmt.Errorf("%s has no parameter, and stands where only a condition can", kind)
	}
	name := parameter.text("name")
	left, problem := value(parameter.text("source"), name)
	for _, p := range d.unread {
		if p.holds(parameter.text("source"), name) {
			problem = fmt.Sprintf("%s lies in JSON within a text, which is not read", name)
		}
	}
	if problem != "" {
		return "", false, fmt.Errorf("%s", problem)
	}
	switch {
	case kind == "value":
		want := f.text("value")
		if want == "true" || want == "false" {
			return fmt.Sprintf("(%s)|json_encode in ['%s', '\"%s\"']", left, want, want), false, nil
		}
		if want != "" && secretName(name) {
			return fmt.Sprintf("((%s) ~ '') is same as(secrets[%s])", left, quoted(d.secret(want))), true, nil
		}
		// Without "is same as" true would be equal to any text, and "1e3" to "1000".
		return fmt.Sprintf("((%s) ~ '') is same as(%s)", left, quoted(want)), false, nil
	case kind == "regex":
		return fmt.Sprintf("((%s) ~ '') matches %s", left, quoted("/"+slashed(f.text("regex"))+"/")), false, nil
	case strings.HasPrefix(kind, "payload-hmac-"), strings.HasPrefix(kind, "payload-hash-"):
		if parameter.value("headers-to-add-to-signature-payload") != nil {
			return "", false, fmt.Errorf("a signature over headers, too")
		}
		algorithm := kind[len("payload-hmac-"):]
		sum := fmt.Sprintf("request.rawBody|hash_hmac(%s, secrets[%s])", quoted(algorithm), quoted(d.secret(f.text("secret"))))
		return fmt.Sprintf("((%s)|replace({%s: ''}) is same as(%s))", left, quoted(algorithm+"="), sum), true, nil
	}
	return "", false, fmt.Errorf("the rule %s stands where only a condition can", kind)
}

// slashed escapes the slashes of a regular expression that are not escaped.
func slashed(re string) string {
	var b strings.Builder
	for i := 0; i < len(re); i++ {
		switch {
		case re[i] == '/':
			b.WriteByte('\\')
		case re[i] == '\\' && i+1 < len(re):
			b.WriteByte('\\')
			i++
		}
		b.WriteByte(re[i])
	}
	return b.String()
}
