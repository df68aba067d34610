package api

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"html/template"
	"net/http"
	"strings"
	"sync"

	"github.com/labstack/echo/v4"

	"sallyport/gen"
)

// Beside the API: what it is, health, metrics, the contract and its documentation.

var (
	//go:embed docs/index.html
	docsPage string
	//go:embed docs/problems.html
	problemsPage string
	//go:embed docs/rapidoc-min.js
	docsScript []byte
)

// docsScriptHash changes with the script, which browsers keep for a day.
var docsScriptHash = sync.OnceValue(func() string {
	sum := sha256.Sum256(docsScript)
	return hex.EncodeToString(sum[:6])
})

// contractJSON is openapi.yaml as JSON.
var contractJSON = sync.OnceValues(func() ([]byte, error) { return json.Marshal(theContract().doc) })

// besides registers everything outside of /v1.
func (s *Server) besides(e *echo.Echo) {
	// Balancers like to ask with HEAD.
	e.Match([]string{http.MethodGet, http.MethodHead}, "/healthz", s.health)
	e.Match([]string{http.MethodGet, http.MethodHead}, "/readyz", s.ready)
	e.GET("/openapi.yaml", func(c echo.Context) error { return c.Blob(http.StatusOK, "application/yaml", gen.Contract) })
	e.GET("/openapi.json", func(c echo.Context) error {
		doc, err := contractJSON()
		if err != nil {
			return err
		}
		return c.Blob(http.StatusOK, "application/json", doc)
	})
	if s.options.Schema != nil {
		e.GET("/schema/provision.json", func(c echo.Context) error {
			schema, err := s.options.Schema()
			if err != nil {
				return err
			}
			return c.Blob(http.StatusOK, "application/schema+json", schema)
		})
	}
	e.GET("/docs", s.docs)
	e.GET("/docs/", func(c echo.Context) error { return c.Redirect(http.StatusMovedPermanently, s.prefix+"/docs") })
	e.GET("/docs/problems", s.docsProblems)
	e.GET("/docs/guides", s.docsGuides)
	e.GET("/docs/rapidoc-min.js", func(c echo.Context) error {
		c.Response().Header().Set("Cache-Control", "public, max-age=86400")
		return c.Blob(http.StatusOK, "text/javascript; charset=utf-8", docsScript)
	})
	if s.options.Metrics != nil {
		e.GET("/metrics", s.metrics)
	}
}

func (s *Server) root(c echo.Context) error {
	return c.JSON(http.StatusOK, struct {
		Name    string `json:"name"`
		Version string `json:"version"`
		Docs    string `json:"docs"`
		OpenAPI string `json:"openapi"`
	}{"sallyport", s.options.Version, s.prefix + "/docs", s.prefix + "/openapi.yaml"})
}

type status struct {
	Status string `json:"status"`
	Hold   bool   `json:"hold,omitempty"`
	Detail string `json:"detail,omitempty"`
}

func (s *Server) health(c echo.Context) error { return c.JSON(http.StatusOK, status{Status: "ok"}) }

func (s *Server) ready(c echo.Context) error {
	if s.options.Ready != nil {
		if err := s.options.Ready(c.Request().Context()); err != nil {
			// Why is for the log: the path is open to everybody.
			s.log.WarnContext(c.Request().Context(), "http.not_ready", "error", err)
			return c.JSON(http.StatusServiceUnavailable, status{Status: "unavailable", Hold: s.hold()})
		}
	}
	return c.JSON(http.StatusOK, status{Status: "ok", Hold: s.hold()})
}

// metrics is open to a loopback peer that forwards for nobody, else to platform keys.
func (s *Server) metrics(c echo.Context) error {
	r := c.Request()
	local := addressOf(r, nil).peer.IsLoopback()
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Real-Ip", "Via"} {
		local = local && r.Header.Get(name) == ""
	}
	if !local {
		if _, err := s.admit(r, "GetMetrics", ""); err != nil {
			return err
		}
	}
	s.options.Metrics.ServeHTTP(c.Response(), r)
	return nil
}

// docsPolicy lets the page run its own script and talk to this server, nothing else.
// The reference styles itself inline.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"

func (s *Server) docs(c echo.Context) error {
	h := c.Response().Header()
	h.Set("Content-Security-Policy", docsPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	return c.HTML(http.StatusOK, strings.NewReplacer("{{prefix}}", s.prefix, "{{script}}", docsScriptHash()).Replace(docsPage))
}

var problemsTemplate = template.Must(template.New("problems").Funcs(template.FuncMap{"text": spans}).Parse(problemsPage))

// spans makes code of what stands in backticks.
func spans(text string) template.HTML {
	var b strings.Builder
	for i, part := range strings.Split(template.HTMLEscapeString(text), "`") {
		if i%2 == 1 {
			part = "<code>" + part + "</code>"
		}
		b.WriteString(part)
	}
	return template.HTML(b.String()) //nolint:gosec // escaped above
}

func (s *Server) docsProblems(c echo.Context) error {
	h := c.Response().Header()
	h.Set("Content-Security-Policy", docsPolicy)
	h.Set("X-Content-Type-Options", "nosniff")
	var page strings.Builder
	if err := problemsTemplate.Execute(&page, map[string]any{"Problems": problems, "Faults": faultCodes, "Prefix": s.prefix}); err != nil {
		return err
	}
	return c.HTML(http.StatusOK, page.String())
}

// ProblemsMarkdown is the list of codes as the README has it.
func ProblemsMarkdown() string {
	var b strings.Builder
	b.WriteString("| status | code | meaning |\n|---|---|---|\n")
	for _, p := range problems {
		b.WriteString("| " + number(float64(p.Status)) + " | `" + string(p.Code) + "` | " + p.Title + ". " + p.Advice + " |\n")
	}
	return b.String()
}
