package manage_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"sallyport/internal/hook"
)

// fakeRules has a word or two for each thing that can be wrong.
type fakeRules struct{ fakeConditions }

func (fakeRules) CheckTemplate(source string) error {
	if strings.Contains(source, "{{ broken") {
		return &hook.Error{Kind: hook.KindTemplateSyntax, Detail: "it is broken (line 1, column 4)", Line: 1, Column: 4}
	}
	return nil
}

// RenderHash takes braces away, after putting the values of secrets in.
func (fakeRules) RenderHash(source, _ string, secrets []hook.NamedSecret) (string, error) {
	if strings.Contains(source, "fails") {
		return "", &hook.Error{Kind: hook.KindTemplateRuntime, Detail: "it fails"}
	}
	for _, s := range secrets {
		source = strings.ReplaceAll(source, "secrets."+s.Name, string(s.Value))
	}
	if strings.HasPrefix(source, "{#") {
		return "", nil
	}
	return strings.Trim(source, "{}"), nil
}

func (fakeRules) KnowsZone(name string) bool { return name == "UTC" || name == "Europe/Berlin" }

func (fakeRules) CheckParser(p hook.Parser) []hook.Fault {
	var out []hook.Fault
	if p.Type == "yaml" {
		out = append(out, hook.Fault{Field: "type", Code: "invalid_format", Detail: "no such parser"})
	}
	if p.Items == "[" {
		out = append(out, hook.Fault{Field: "items", Code: "invalid_format", Detail: "no JMESPath"})
	}
	return out
}

func (fakeRules) CheckSignature(p hook.PreProcessor, secret func(string) (hook.Sensitive, bool)) []hook.Fault {
	var out []hook.Fault
	if p.Preset == "githib" {
		out = append(out, hook.Fault{Field: "preset", Code: "invalid_format", Detail: `did you mean "github"?`})
	}
	if p.Signature != nil && !json.Valid(p.Signature) || strings.Contains(string(p.Signature), "md5") {
		out = append(out, hook.Fault{Field: "verification.algorithm", Code: "invalid_format", Detail: "no such algorithm"})
	}
	for i, name := range p.Secrets {
		if secret == nil {
			break
		}
		if v, ok := secret(name); !ok || v == "unfit" {
			out = append(out, hook.Fault{Field: fmt.Sprintf("secrets[%d]", i), Code: "invalid_format", Detail: "no key"})
		}
	}
	return out
}

func (fakeRules) DedupeKey(preset string) string {
	if preset == "github" {
		return `{{ request.headers["X-GitHub-Delivery"] }}`
	}
	return ""
}

func (fakeRules) SendsMail() bool { return true }

// secretInTemplate finds what a template reads of secrets, by dot or in brackets, and whether
// it says itself what is to be where there is none.
var secretInTemplate = regexp.MustCompile(`\bsecrets(?:\.(\w+)|\[\s*(?:"([^"]+)"|'([^']+)')\s*\])(\s*\?\?|\s*\|\s*default\b|\s+is\b)?`)

func (fakeRules) SecretsOf(source string, _ bool) []string {
	var out []string
	for _, m := range secretInTemplate.FindAllStringSubmatch(source, -1) {
		if m[4] == "" {
			out = append(out, cmp.Or(m[1], m[2], m[3]))
		}
	}
	return out
}

func (r fakeRules) CheckAction(t hook.ActionType, config []byte, secrets []string) []hook.Fault {
	for _, detail := range hook.UnknownSecrets(r.SecretsOf(string(config), false), secrets) {
		return []hook.Fault{{Field: "config", Code: "invalid_format", Detail: detail}}
	}
	var c map[string]any
	if err := json.Unmarshal(config, &c); err != nil {
		return []hook.Fault{{Field: "config", Code: "invalid_format", Detail: err.Error()}}
	}
	need := map[hook.ActionType]string{hook.ActionHTTPRequest: "url", hook.ActionPublishEvent: "type", hook.ActionSet: "actions"}[t]
	if need != "" && c[need] == nil {
		return []hook.Fault{{Field: "config." + need, Code: "required", Detail: "is needed"}}
	}
	return nil
}

func (s *fakeStore) findAction(workspace hook.ID, ref string) *hook.Action {
	return pick(s.actions, func(a *hook.Action) bool {
		return a.Workspace == workspace && a.DeletedAt == nil && named(ref, a.ID, a.Code)
	})
}

func (s *fakeStore) Action(_ context.Context, workspace hook.ID, ref string) (*hook.Action, error) {
	a := s.findAction(workspace, ref)
	if a == nil {
		return nil, hook.NotFound("action", ref)
	}
	c := *a
	return &c, nil
}

func (s *fakeStore) Actions(_ context.Context, workspace hook.ID, _ hook.ListFilter, _ hook.Page) (out []*hook.Action, more bool, err error) {
	for _, a := range s.actions {
		if a.Workspace == workspace && a.DeletedAt == nil {
			out = append(out, a)
		}
	}
	slices.SortFunc(out, func(a, b *hook.Action) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return out, false, nil
}

func (s *fakeStore) actionsByCode(workspace hook.ID) map[string]*hook.Action {
	out := map[string]*hook.Action{}
	for _, a := range s.actions {
		if a.Workspace == workspace && a.DeletedAt == nil {
			out[strings.ToLower(a.Code)] = a
		}
	}
	return out
}

func (s *fakeStore) EditAction(_ context.Context, workspace hook.ID, ref string, dry bool, decide func(hook.ActionScene) (*hook.Action, error)) (*hook.Action, error) {
	scene := hook.ActionScene{Scene: s.scene(workspace), Actions: s.actionsByCode(workspace)}
	scene.CodeOwner = func(code string) (hook.ID, error) {
		return idOf(scene.Actions[strings.ToLower(code)], func(a *hook.Action) hook.ID { return a.ID }), nil
	}
	if a := s.findAction(workspace, ref); ref != "" && a != nil {
		c := *a
		c.Secrets = slices.Clone(a.Secrets)
		scene.Current = &c
		for _, d := range s.doors {
			for _, r := range d.Routes {
				if d.DeletedAt == nil && strings.EqualFold(r.Action, a.Code) {
					scene.UsedBy = append(scene.UsedBy, "incoming webhook "+d.Code+", route "+r.Name)
				}
			}
		}
	}
	next, err := twice(scene, decide)
	if err != nil || next == nil {
		return scene.Current, err
	}
	next.Workspace, next.UpdatedAt = workspace, s.now
	if cur := scene.Current; cur != nil {
		next.ID, next.CreatedAt, next.Version = cur.ID, cur.CreatedAt, cur.Version+1
	} else {
		next.ID, next.CreatedAt, next.Version = s.ids.New(), s.now, 1
	}
	hints(next.Secrets)
	if !dry {
		s.versions[workspace]++
		s.actions = append(slices.DeleteFunc(s.actions, func(a *hook.Action) bool { return a.ID == next.ID }), next)
	}
	c := *next
	return &c, nil
}

func hints(secrets []hook.NamedSecret) {
	for i := range secrets {
		secrets[i].Hint = hook.Hint(string(secrets[i].Value))
	}
}

func (s *fakeStore) findDoor(workspace hook.ID, ref string) *hook.IncomingWebhook {
	return pick(s.doors, func(w *hook.IncomingWebhook) bool {
		return w.Workspace == workspace && w.DeletedAt == nil && named(ref, w.ID, w.Code)
	})
}

func (s *fakeStore) IncomingWebhook(_ context.Context, workspace hook.ID, ref string) (*hook.IncomingWebhook, error) {
	w := s.findDoor(workspace, ref)
	if w == nil {
		return nil, hook.NotFound("incoming webhook", ref)
	}
	c := *w
	return &c, nil
}

func (s *fakeStore) IncomingWebhooks(_ context.Context, workspace hook.ID, _ hook.ListFilter, _ hook.Page) (out []*hook.IncomingWebhook, more bool, err error) {
	for _, w := range s.doors {
		if w.Workspace == workspace && w.DeletedAt == nil {
			out = append(out, w)
		}
	}
	slices.SortFunc(out, func(a, b *hook.IncomingWebhook) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return out, false, nil
}

func (s *fakeStore) EditIncoming(_ context.Context, workspace hook.ID, ref string, dry bool, decide func(hook.IncomingScene) (*hook.IncomingWebhook, error)) (*hook.IncomingWebhook, error) {
	scene := hook.IncomingScene{Scene: s.scene(workspace), Actions: s.actionsByCode(workspace)}
	scene.CodeOwner = func(code string) (hook.ID, error) {
		return idOf(s.findDoor(workspace, code), func(w *hook.IncomingWebhook) hook.ID { return w.ID }), nil
	}
	if ref != "" {
		if w := s.findDoor(workspace, ref); w != nil {
			c := *w
			c.Secrets = slices.Clone(w.Secrets)
			scene.Current = &c
		}
	}
	next, err := twice(scene, decide)
	if err != nil || next == nil {
		return scene.Current, err
	}
	next.Workspace, next.UpdatedAt = workspace, s.now
	if cur := scene.Current; cur != nil {
		if cur.Version < 1 {
			return nil, errors.New("it was stored without a version")
		}
		next.ID, next.CreatedAt, next.Version = cur.ID, cur.CreatedAt, cur.Version+1
	} else {
		next.ID, next.CreatedAt, next.Version = s.ids.New(), s.now, 1
	}
	hints(next.Secrets)
	if !dry {
		s.versions[workspace]++
		s.doors = append(slices.DeleteFunc(s.doors, func(w *hook.IncomingWebhook) bool { return w.ID == next.ID }), next)
	}
	c := *next
	return &c, nil
}
