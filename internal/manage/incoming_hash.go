package manage

import (
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"sallyport/internal/hook"
)

// hash reads what callers must know, and checks that it is something: a template that
// renders nothing would let everybody in, or nobody. Left out, the present one stays.
func (r *incomingReader) hash() {
	w := r.next
	w.HashTimezone = r.text("hashTimezone", defaultZone, 1, 100)
	zoned := r.s.rules.KnowsZone(w.HashTimezone)
	if !zoned {
		r.fault("hashTimezone", "invalid_format", "there is no time zone %q; use a name such as Europe/Berlin", clip(w.HashTimezone))
	}
	w.HashTolerance = r.duration("hashTolerance", r.d.tolerance, 0, maxHashTolerance)
	w.HashIn = hook.HashPlace{In: "query", Name: defaultHashName}
	if o := r.object.object("hashIn"); o != nil {
		w.HashIn.In = o.oneOf("in", "query", "query", "header")
		w.HashIn.Name = o.text("name", defaultHashName, 1, maxHeaderName)
		if w.HashIn.In == "header" && !httpguts.ValidHeaderFieldName(w.HashIn.Name) {
			o.fault(o.at("name"), "invalid_format", "%q is no header name", clip(w.HashIn.Name))
		}
		o.done()
	}
	if r.has("hash") {
		w.Hash = r.sensitiveHash()
	}
	// Secrets that it uses may have changed under one that stays.
	if w.Hash == "" || r.told["hash"] || !zoned {
		return
	}
	source := string(w.Hash)
	if !isTemplate(source) {
		r.emptyHash(source)
		return
	}
	if err := r.s.rules.CheckTemplate(source); err != nil {
		r.language("hash", err)
		return
	}
	// To a template what is not there is empty, and anybody can compute the hash of nothing.
	r.onlySecrets("hash", r.s.rules.SecretsOf(source, false), w.Secrets)
	if r.told["hash"] {
		return
	}
	out, err := r.s.rules.RenderHash(source, w.HashTimezone, w.Secrets)
	if err != nil {
		r.language("hash", err)
		return
	}
	r.emptyHash(out)
}

func (r *incomingReader) sensitiveHash() hook.Sensitive {
	var s string
	if r.isNull("hash") || r.value("hash", "a string", &s) && strings.TrimSpace(s) == "" {
		r.fault("hash", "empty_secret", "is null or empty; is the variable that should hold it unset? To drop the check on purpose, DELETE .../hash")
		return ""
	}
	r.checkText("hash", s, 0, maxTemplate)
	return hook.Sensitive(s)
}

// emptyHash refuses what others have taken for no hash at all.
func (r *incomingReader) emptyHash(rendered string) {
	if s := strings.TrimSpace(rendered); s == "" || s == "0" || strings.EqualFold(s, "null") {
		r.fault("hash", "template_renders_empty", "renders %q, which is nothing to know; to drop the check on purpose, DELETE .../hash", clip(s))
	}
}

func isTemplate(hash string) bool {
	return strings.Contains(hash, "{{") || strings.Contains(hash, "{%") || strings.Contains(hash, "{#")
}

var usesMD5 = regexp.MustCompile(`(?i)\bmd5\b`)

// incomingWarnings tells what might not be meant about a door.
func incomingWarnings(w *hook.IncomingWebhook) []string {
	out := []string{}
	if w.Hash == "" && len(w.IPAllowList) == 0 && len(w.PreProcessors) == 0 {
		out = append(out, "no_check")
	}
	if isTemplate(string(w.Hash)) && usesMD5.MatchString(string(w.Hash)) {
		out = append(out, "hash_md5")
	}
	if len(w.Routes) == 0 && len(w.PostProcessors) == 0 {
		out = append(out, "no_route")
	}
	return slices.Clip(out)
}
