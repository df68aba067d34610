package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strings"
	"time"

	"sallyport/internal/action"
	"sallyport/internal/hook"
	"sallyport/internal/inbound"
	"sallyport/internal/parse"
	"sallyport/internal/preset"
	"sallyport/internal/publish"
	"sallyport/internal/template"
)

// newDoors joins the doors to what they need. baseURL is how the installation is reached.
func (n *node) newDoors(baseURL string) *inbound.Doors {
	origin := baseURL
	if u, err := url.Parse(baseURL); err == nil {
		origin = u.Scheme + "://" + u.Host
	}
	return inbound.New(inbound.Config{
		Presets: n.presets, Node: n.worker.Node, Origin: origin, Held: n.worker.Held, AlertAfter: n.cfg.AlertRefusals,
		Refusing: func(notice hook.Notice, workspace hook.ID) {
			go func() {
				ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
				defer cancel()
				n.tell(ctx, workspace, notice)
			}()
		},
	}, n.catalog, n.publish, n.store, doorTemplates{siteURL: baseURL}, n.actions, n.meters(), n.log)
}

// loadPresets reads the presets that come with the binary and the operator's own.
func loadPresets(dir string) (*preset.Table, error) {
	if dir == "" {
		return preset.Load(nil)
	}
	if info, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("SALLYPORT_PRESETS_DIR: %w", err)
	} else if !info.IsDir() {
		return nil, fmt.Errorf("SALLYPORT_PRESETS_DIR: %s is no directory", dir)
	}
	var files fs.FS = os.DirFS(dir)
	t, err := preset.Load(files)
	if err != nil {
		return nil, fmt.Errorf("SALLYPORT_PRESETS_DIR: %w", err)
	}
	return t, nil
}

// doorTemplates evaluates the texts of doors.
type doorTemplates struct{ siteURL string }

// Hash renders a hash. It sees secrets, config.siteUrl and now, and not the request: else
// nothing could be said of it when it is saved.
func (d doorTemplates) Hash(source, zone string, secrets []hook.NamedSecret, now time.Time) (string, error) {
	t, err := template.Compile(source)
	if err != nil {
		return "", err
	}
	if err := missing(t.Reads("secrets"), secrets); err != nil {
		return "", err
	}
	values := template.NewMap().Set("secrets", secretValues(secrets)).Set("config", template.NewMap().Set("siteUrl", d.siteURL))
	return t.Render(values, template.Options{Now: now, Zone: zone})
}

// missing is an error if a secret that a template reads is not there. It must not become
// nothing: what is left of a hash others can compute, and nothing equals nothing.
func missing(read []string, secrets []hook.NamedSecret) error {
	names := make([]string, len(secrets))
	for i, s := range secrets {
		names[i] = s.Name
	}
	if unknown := hook.UnknownSecrets(read, names); len(unknown) > 0 {
		return hook.Errorf(hook.KindTemplateRuntime, "%s", unknown[0])
	}
	return nil
}

func secretValues(secrets []hook.NamedSecret) *template.Array {
	v := template.NewMap()
	for _, s := range secrets {
		v.Set(s.Name, string(s.Value))
	}
	return v
}

func (doorTemplates) Condition(expression string, s *inbound.Scene) (bool, error) {
	x, err := template.CompileExpression(expression)
	if err == nil {
		err = missing(x.Reads("secrets"), s.Door.Secrets)
	}
	if err != nil {
		return false, err
	}
	return x.True(sceneValues(expression, s), template.Options{Now: s.Now})
}

func (doorTemplates) Render(source string, s *inbound.Scene) (string, error) {
	t, err := template.Compile(source)
	if err != nil {
		return "", err
	}
	return t.Render(sceneValues(source, s), template.Options{Now: s.Now})
}

// sceneValues is what the templates of a door see. The body is parsed only for a template
// that may look at it.
func sceneValues(source string, s *inbound.Scene) *template.Array {
	v := template.NewMap().Set("request", requestValues(s, s.Body != nil && mayRead(source, "body"))).Set("webhook", action.DoorValues(s.Door)).
		Set("secrets", secretValues(s.Door.Secrets)).Set("now", s.Now.UTC().Format("2006-01-02T15:04:05.000Z07:00"))
	if s.Item != nil && mayRead(source, "item") {
		if item, err := template.DecodeJSON(s.Item); err == nil {
			v.Set("item", item)
		}
	}
	if s.Results != nil {
		results := make([]any, len(s.Results))
		for i, r := range s.Results {
			results[i] = template.NewMap().Set("action", r.Action).Set("state", string(r.State)).Set("status", int64(r.Status)).Set("body", r.Body)
		}
		v.Set("results", template.NewList(results...))
	}
	return v
}

// requestValues is what templates see of the request. It is made once for all items: of
// each it would copy and read the whole body.
func requestValues(s *inbound.Scene, withBody bool) *template.Array {
	key := "request"
	if withBody {
		key = "request with its body"
	}
	if made, ok := s.Kept[key].(*template.Array); ok {
		return made
	}
	var body any
	if withBody {
		if text := s.Body(); text != nil {
			body, _ = template.DecodeJSON(text) // null if it cannot be read
		}
	}
	made := action.RequestValues(s.Request, body)
	if s.Kept != nil {
		s.Kept[key] = made
	}
	return made
}

// mayRead reports that a source may look at a name: it has it, or a way to look names up.
func mayRead(source, name string) bool {
	return strings.Contains(source, name) || strings.Contains(source, "_context") || strings.Contains(source, "attribute") || strings.Contains(source, "request[")
}

func (doorTemplates) Schema(schema []byte) (func([]byte) error, error) {
	compiled, err := publish.CompileSchema(schema)
	if err != nil {
		return nil, err
	}
	return func(document []byte) error {
		faults, err := compiled.Mismatches(document, "item")
		if err != nil || len(faults) == 0 {
			return err
		}
		return fmt.Errorf("%s: %s", faults[0].Field, faults[0].Detail)
	}, nil
}

// Select finds a value in a document by JMESPath; strings are given without quotes.
func (doorTemplates) Select(path string) (func([]byte) (string, bool), error) {
	p, faults := parse.Compile(hook.Parser{Type: hook.ParserJSON, Items: path})
	if err := hook.Invalid(faults); err != nil {
		return nil, err
	}
	return func(document []byte) (string, bool) {
		r, err := p.Parse(parse.Input{ContentType: "application/json", Body: document})
		if err != nil {
			return "", false
		}
		for _, item := range r.Items(0, 1) {
			var text string
			if json.Unmarshal(item, &text) == nil && len(item) > 0 && item[0] == '"' {
				return text, true
			}
			return string(item), string(item) != "null"
		}
		return "", false
	}, nil
}
