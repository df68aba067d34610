package manage

import (
	"strconv"
	"strings"

	"sallyport/internal/hook"
)

// ETag is the strong validator of a version (RFC 9110 section 8.8).
func ETag(version int64) string { return `"` + strconv.FormatInt(version, 10) + `"` }

// Guarded compares what the caller expects with what is there; version 0 means that
// nothing is. It returns an error of KindPrecondition where they differ.
func Guarded(g hook.Guard, version int64) error {
	if g.IfMatch != "" && (version == 0 || !tagged(g.IfMatch, version)) {
		return hook.Errorf(hook.KindPrecondition, "If-Match is %s but %s%s", g.IfMatch, shown(version), slip(g.IfMatch, version))
	}
	if g.IfNoneMatch != "" && version != 0 && tagged(g.IfNoneMatch, version) {
		return hook.Errorf(hook.KindPrecondition, "If-None-Match is %s but %s", g.IfNoneMatch, shown(version))
	}
	return nil
}

func shown(version int64) string {
	if version == 0 {
		return "it does not exist"
	}
	return "the version is " + ETag(version)
}

// slip says what is wrong with tags that mean the version and are not its ETag, "" for others.
func slip(tags string, version int64) string {
	number := strings.Trim(ETag(version), `"`)
	for tag := range strings.SplitSeq(tags, ",") {
		switch tag = strings.TrimSpace(tag); {
		case tag == number:
			return "; send it with its quotes"
		case tag == "W/"+ETag(version):
			return "; send it without W/, which a proxy that compresses may have added: weak tags never match"
		}
	}
	return ""
}

// tagged reports whether a list of entity tags, or *, names the version. Weak tags
// never match: all of ours are strong.
func tagged(tags string, version int64) bool {
	for tag := range strings.SplitSeq(tags, ",") {
		if tag = strings.TrimSpace(tag); tag == "*" || tag == ETag(version) {
			return true
		}
	}
	return false
}
