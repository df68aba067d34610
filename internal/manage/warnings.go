package manage

import (
	"slices"
	"strings"

	"sallyport/internal/hook"
	"sallyport/internal/nearest"
	"sallyport/internal/profile"
)

// warnings tells what might not be meant about a webhook. known is the workspace's
// catalogue.
func warnings(w *hook.Webhook, known []string) []string {
	out := []string{}
	if len(w.Secrets) == 0 {
		out = append(out, "no_secret")
	} else if w.Secrets[len(w.Secrets)-1].Short {
		out = append(out, "short_secret")
	}
	d, _ := profile.DefaultsOf(w.Profile)
	for _, t := range w.EventTypes {
		if unknownType(t, known, d.EventTypes) {
			out = append(out, "unknown_event_type: "+t+meant(t, known, d.EventTypes))
		}
		if left := leftOut(t, w.EventTypes); len(left) > 0 {
			out = append(out, "operational_by_name: "+t+" leaves out "+strings.Join(left, ", "))
		}
	}
	return out
}

// leftOut are the operational types that a pattern looks as if it meant: it matches none, and
// they are not named beside it. The pattern for everything means none.
func leftOut(pattern string, beside []string) []string {
	prefix, ok := strings.CutSuffix(pattern, ".*")
	if !ok {
		return nil
	}
	var out []string
	for _, t := range hook.OperationalTypes {
		if strings.HasPrefix(t, prefix+".") && !slices.Contains(beside, t) {
			out = append(out, t)
		}
	}
	return out
}

// unknownType reports whether a subscription names a type that nobody knows. A pattern
// names none.
func unknownType(subscribed string, lists ...[]string) bool {
	if strings.HasSuffix(subscribed, "*") || hook.IsOperational(subscribed) {
		return false
	}
	return !slices.ContainsFunc(lists, func(list []string) bool { return slices.Contains(list, subscribed) })
}

// meant is a hint at the name that was probably meant.
func meant(name string, lists ...[]string) string {
	all := slices.Concat(append(lists, hook.OperationalTypes)...)
	slices.Sort(all)
	if near := nearest.Name(name, all); near != "" {
		return "; did you mean " + near + "?"
	}
	return ""
}
