package api

import (
	"embed"
	"html/template"
	"net/http"
	"strings"
	"sync"

	"github.com/labstack/echo/v4"
)

// Guides are the programs that /docs/guides shows. They are run as tests.
//
//go:embed docs/guides
var Guides embed.FS

//go:embed docs/guides.html
var guidesPage string

var guidesTemplate = template.Must(template.New("guides").Parse(guidesPage))

// program is one of them, in one language.
type program struct{ ID, Name, Code string }

var (
	receivers = []program{{"node", "Node", "receiver.mjs"}, {"python", "Python", "receiver.py"}, {"php", "PHP", "receiver.php"}, {"go", "Go", "receiver.go"}, {"java", "Java", "Receiver.java"}}
	callers   = []program{
		{"call-curl", "curl", "call.sh"}, {"call-node", "Node", "call.mjs"}, {"call-python", "Python", "call.py"}, {"call-php", "PHP", "call.php"}, {"call-java", "Java", "Call.java"},
		{"call-st", "Structured Text (IEC 61131-3)", "call.st"},
	}
)

// guide is what a file holds, without what only the Go tools want to know.
func guide(name string) (string, error) {
	text, err := Guides.ReadFile("docs/guides/" + name)
	return strings.TrimPrefix(string(text), "//go:build ignore\n\n"), err
}

// guideTexts are the programs with their text.
var guideTexts = sync.OnceValues(func() (map[string]any, error) {
	read := func(list []program) ([]program, error) {
		out := make([]program, len(list))
		for i, p := range list {
			text, err := guide(p.Code)
			if err != nil {
				return nil, err
			}
			out[i] = program{p.ID, p.Name, text}
		}
		return out, nil
	}
	r, err := read(receivers)
	if err != nil {
		return nil, err
	}
	c, err := read(callers)
	if err != nil {
		return nil, err
	}
	rotation, err := guide("rotate.sh")
	if err != nil {
		return nil, err
	}
	client, err := guide("client.ts")
	return map[string]any{"Receivers": r, "Callers": c, "Rotation": rotation, "Client": client}, err
})

func (s *Server) docsGuides(c echo.Context) error {
	texts, err := guideTexts()
	if err != nil {
		return err
	}
	values := map[string]any{"Prefix": s.prefix}
	for name, text := range texts {
		values[name] = text
	}
	var page strings.Builder
	if err := guidesTemplate.Execute(&page, values); err != nil {
		return err
	}
	h := c.Response().Header()
	h.Set("Content-Security-Policy", docsPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	return c.HTML(http.StatusOK, page.String())
}
