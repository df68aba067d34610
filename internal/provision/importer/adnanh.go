package importer

import (
	"cmp"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"sallyport/internal/provision"
)

// getenv is how hooks files that are templates read the environment.
var getenv = regexp.MustCompile("\\{\\{-?\\s*getenv\\s+[\"`]([A-Za-z_][A-Za-z0-9_]*)[\"`]\\s*(\\|\\s*js\\s*)?-?\\}\\}")

// Adnanh imports the hooks.json or hooks.yaml of adnanh/webhook: each hook becomes an incoming webhook
// and an action that runs its command, which the operator must declare.
func Adnanh(text []byte, set string) (*Result, error) {
	hooks, err := list(getenv.ReplaceAll(text, []byte("$${$1:?}")), "hooks of adnanh/webhook")
	if err != nil {
		return nil, err
	}
	m := newMaker("adnanh/webhook", set)
	a := &adnanh{maker: m, declared: map[string]string{}}
	for _, h := range hooks {
		if err := a.hook(fieldsOf(h)); err != nil {
			return nil, err
		}
	}
	if len(hooks) > 0 {
		m.warn("", "hooks are called at /in/CODE (in a workspace /w/WORKSPACE/in/CODE), not at /hooks/ID")
		m.warn("", "a command runs once at a time on each node, up to 30m, and is not retried; concurrency, timeout and maxAttempts change that")
		m.warn("", "a rule about what was sent that does not hold is answered as a success and runs nothing; a wrong signature, token or address is refused with 403")
	}
	a.declare()
	return m.result()
}

// adnanh imports hooks.
type adnanh struct {
	*maker
	declared map[string]string // name of a command by its declaration
	order    []string          // declarations
}

// door is a hook in the making.
type door struct {
	a             *adnanh
	code, about   string
	secrets       []provision.Fields
	secretNames   map[string]string // by value
	preProcessors []provision.Fields
	conditions    []string // of the route
	unread        []jsonText
	broken        bool // something that decides who may call is missing: it stays shut
}

func (a *adnanh) hook(f *fields) error {
	id := f.text("id")
	if id == "" || f.text("execute-command") == "" {
		return without("hooks of adnanh/webhook", "id or no execute-command")
	}
	code := a.code(id, "hook")
	d := &door{a: a, code: code, about: "incomingWebhooks/" + code, secretNames: map[string]string{}}
	if code != id {
		a.warn(d.about, "was called %s there", id)
	}
	a.command(f, d)
	d.rules(f)
	response := d.response(f)
	o := provision.Fields{}.With("code", code)
	if code != id {
		o = o.With("name", id[:min(len(id), 200)])
	}
	if d.broken {
		o = o.With("enabled", false)
		a.warn(d.about, "is disabled, since who may call it could not be imported whole")
	}
	o = o.With("methods", d.methods(f))
	if len(d.secrets) > 0 {
		o = o.With("secrets", d.secrets)
	}
	if len(d.preProcessors) > 0 {
		o = o.With("preProcessors", d.preProcessors)
	} else {
		a.warn(d.about, "has no check: whoever knows the URL can call it")
	}
	// A call was one run there, also of a list.
	o = o.With("parser", provision.Fields{}.With("type", d.parser(f)).With("split", false))
	route := provision.Fields{}.With("action", code)
	if len(d.conditions) > 0 {
		route = route.With("condition", strings.Join(d.conditions, " and "))
	}
	o = o.With("routes", []provision.Fields{route}).With("response", response)
	f.rest(a.maker, d.about)
	a.add("incomingWebhooks", o)
	return nil
}

func (d *door) methods(f *fields) []string {
	known := []string{"GET", "POST", "PUT", "PATCH", "DELETE"}
	var methods []string
	for _, method := range f.texts("http-methods") {
		method = strings.ToUpper(strings.TrimSpace(method))
		if slices.Contains(known, method) {
			methods = append(methods, method)
		} else {
			d.a.warn(d.about, "the method %s has no equivalent", method)
		}
	}
	if len(methods) == 0 {
		d.a.warn("", "hooks without http-methods took any method; GET and POST are imported")
		return []string{"GET", "POST"}
	}
	return methods
}

// parser is what the hook takes bodies for, whatever they say.
func (d *door) parser(f *fields) string {
	kind, _, _ := strings.Cut(strings.ToLower(f.text("incoming-payload-content-type")), ";")
	switch {
	case kind == "":
		return "auto"
	case strings.Contains(kind, "json"):
		return "json"
	case strings.Contains(kind, "x-www-form-urlencoded"):
		return "form"
	case strings.Contains(kind, "multipart"):
		return "multipart"
	case strings.Contains(kind, "xml"):
		return "xml"
	}
	d.a.warn(d.about, "incoming-payload-content-type %s has no parser; bodies are read by their own content type", kind)
	return "auto"
}

func (d *door) response(f *fields) provision.Fields {
	r := provision.Fields{}
	if f.flag("include-command-output-in-response", false) {
		d.a.warn(d.about, "answers once the command has ended, but without its output, which is in the history of the action; after 25s it answers 202")
		r = r.With("mode", "wait").With("timeout", "25s")
	}
	f.ignore("include-command-output-in-response-on-error")
	status := 200
	if n, ok := f.number("success-http-response-code"); ok && n > 0 {
		status = int(n)
		if status < 200 || status > 399 {
			d.a.warn(d.about, "the answer %d is not possible; it answers 200", status)
			status = 200
		}
	}
	r = r.With("status", status)
	var headers []provision.Fields
	for _, h := range f.objects("response-headers") {
		x := fieldsOf(h)
		headers = append(headers, provision.Fields{}.With("name", x.text("name")).With("value", x.text("value")))
	}
	if len(headers) > 0 {
		r = r.With("headers", headers)
	}
	return r.With("body", plain(f.text("response-message")))
}

// command makes the action, and the declaration of what it runs.
func (a *adnanh) command(f *fields, d *door) {
	about := "actions/" + d.code
	var args []string
	for _, x := range f.objects("pass-arguments-to-command") {
		args = append(args, d.argument(fieldsOf(x), about))
	}
	var names, values []string
	for _, x := range f.objects("pass-environment-to-command") {
		arg := fieldsOf(x)
		name := cmp.Or(arg.text("envname"), "HOOK_"+arg.text("name"))
		if !twigName.MatchString(name) {
			a.warn(about, "%q cannot be the name of a variable of a command", name)
			continue
		}
		names = append(names, name)
		// With its name in front, no value can be taken for an option of the shell.
		values = append(values, name+"="+d.argument(arg, about))
	}
	for _, x := range f.objects("pass-file-to-command") {
		arg := fieldsOf(x)
		a.warn(about, "the file of %s %s (%s) has no equivalent: the command gets the whole body on standard input", arg.text("source"), arg.text("name"), cmp.Or(arg.text("envname"), "HOOK_"+strings.ToUpper(arg.text("name"))))
	}
	if f.text("pre-hook-command") != "" {
		a.warn(about, "pre-hook-command has no equivalent")
		d.broken = true
	}
	if len(args) > 0 {
		a.warn("", "an argument that the caller chose and that begins with a dash is refused; a pattern in allowArgs allows it")
	}
	name := a.declaration(f.text("execute-command"), f.text("command-working-directory"), names, len(args)+len(values))
	config := provision.Fields{}.With("command", name)
	if all := append(values, args...); len(all) > 0 {
		config = config.With("args", all)
	}
	a.add("actions", provision.Fields{}.With("code", d.code).With("type", "runCommand").With("config", config).With("maxAttempts", 1).With("timeout", "30m"))
}

// argument is a template for a value of a request.
func (d *door) argument(f *fields, about string) string {
	source, name := f.text("source"), f.text("name")
	f.ignore("envname", "base64decode")
	switch source {
	case "string":
		return plain(name)
	case "template":
		d.a.warn(about, "the template of Go %q has no equivalent; write it in Twig", name)
		return ""
	}
	expression, problem := value(source, name)
	if problem != "" {
		d.a.warn(about, "%s", problem)
		return ""
	}
	if source == "payload" {
		// Objects, lists and truth values are JSON there; of others nothing is left of a missing one.
		return fmt.Sprintf("{%% set v = %s %%}{{ v is iterable or v is same as(true) or v is same as(false) ? v|json_encode : v }}", expression)
	}
	return "{{ " + expression + " }}"
}

// value is an expression for a value of a request.
func value(source, name string) (expression, problem string) {
	switch source {
	case "payload":
		expression = "request.body"
		for part := range strings.SplitSeq(name, ".") {
			expression += subscript(part)
		}
		return expression + "|default('')", ""
	case "header":
		return "request.headers[" + quoted(name) + "]|default('')", ""
	case "url", "query":
		return "request.query[" + quoted(name) + "]|default('')", ""
	case "request":
		switch strings.ToLower(name) {
		case "method":
			return "request.method", ""
		case "remote-addr":
			return "request.ip", ""
		}
		return "", fmt.Sprintf("the value %s of requests has no equivalent", name)
	case "entire-payload":
		return "request.body|json_encode", ""
	case "entire-headers":
		return "request.headers|json_encode", ""
	case "entire-query":
		return "request.query|json_encode", ""
	case "raw-request-body":
		return "request.rawBody", ""
	case "string":
		return quoted(name), ""
	}
	return "", fmt.Sprintf("the source %q has no equivalent", source)
}

// declaration notes what the operator must declare, and returns its name.
func (a *adnanh) declaration(command, directory string, env []string, args int) string {
	var b strings.Builder
	if len(env) == 0 {
		fmt.Fprintf(&b, "    path: %s\n", yamlText(command))
	} else {
		// Variables can be set by the operator only: a shell takes them as its first arguments.
		script := ""
		for _, name := range env {
			script += fmt.Sprintf("export %s=\"${1#%s=}\"; shift; ", name, name)
		}
		fmt.Fprintf(&b, "    path: /bin/sh\n    args: [-c, %s, sh]\n", yamlText(script+"exec "+shellText(command)+` "$@"`))
	}
	if directory != "" {
		fmt.Fprintf(&b, "    directory: %s\n", yamlText(directory))
	}
	if args > 0 {
		fmt.Fprintf(&b, "    allowArgs: %d\n", args)
	}
	b.WriteString("    env: [PATH, HOME]\n")
	if name, ok := a.declared[b.String()]; ok {
		return name
	}
	base := strings.Trim(notCode.ReplaceAllString(strings.ToLower(strings.TrimSuffix(path.Base(command), path.Ext(command))), "-"), "-")
	base = cmp.Or(base[:min(len(base), 50)], "command")
	name := base
	for n := 2; slices.ContainsFunc(a.order, func(s string) bool { return a.declared[s] == name }); n++ {
		name = fmt.Sprintf("%s-%d", base, n)
	}
	if !path.IsAbs(command) {
		a.warn("command "+name, "the path %s must become an absolute one in the declaration", command)
	}
	a.declared[b.String()] = name
	a.order = append(a.order, b.String())
	return name
}

// declare writes what the operator must declare.
func (a *adnanh) declare() {
	if len(a.order) == 0 {
		return
	}
	var b strings.Builder
	b.WriteString("commands:\n")
	for _, d := range a.order {
		fmt.Fprintf(&b, "  %s:\n%s", a.declared[d], d)
	}
	a.commands = []byte(b.String())
	a.foot = []string{"Whoever runs the installation declares the commands in a file, and names it in SALLYPORT_COMMANDS:", ""}
	for line := range strings.Lines(b.String()) {
		a.foot = append(a.foot, "  "+strings.TrimRight(line, "\n"))
	}
}

// yamlText is a text that YAML reads as it is.
func yamlText(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// shellText is a text that sh reads as it is.
func shellText(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
