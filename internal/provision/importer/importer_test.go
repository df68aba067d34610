package importer_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sallyport/internal/provision"
	"sallyport/internal/provision/importer"
)

func read(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// golden compares with a file of testdata; UPDATE_GOLDEN=1 writes it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if want := read(t, name); !bytes.Equal(got, want) {
		t.Errorf("%s differs; look, then UPDATE_GOLDEN=1 go test ./internal/provision/importer\n%s", name, got)
	}
}

func checker(t *testing.T) *provision.Checker {
	t.Helper()
	contract, err := os.ReadFile(filepath.Join("..", "..", "..", "openapi.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	schema, err := provision.Schema(contract)
	if err != nil {
		t.Fatal(err)
	}
	c, err := provision.NewChecker(schema)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestImports(t *testing.T) {
	t.Parallel()
	c := checker(t)
	for name, run := range map[string]func() (*importer.Result, error){
		"adnanh":   func() (*importer.Result, error) { return importer.Adnanh(read(t, "adnanh.json"), "adnanh") },
		"etlworks": func() (*importer.Result, error) { return importer.Etlworks(read(t, "etlworks.json"), "etlworks") },
		"svix":     func() (*importer.Result, error) { return importer.Svix(read(t, "svix.json"), "svix") },
		"convoy": func() (*importer.Result, error) {
			return importer.Convoy(read(t, "convoy-endpoints.json"), read(t, "convoy-subscriptions.json"), "convoy")
		},
	} {
		r, err := run()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		golden(t, name+".want.yaml", r.File)
		var environ []string
		for _, s := range r.Secrets {
			value := s.Value
			if value == "" {
				value = "kept-elsewhere"
			} else if bytes.Contains(r.File, []byte(value)) {
				t.Errorf("%s: the secret of %s is in the file", name, s.For)
			}
			environ = append(environ, s.Name+"="+value)
		}
		set, err := c.Load([]provision.Source{{Name: name, Text: r.File}}, provision.Environ(environ), provision.Everything)
		if err != nil || len(set.Items) == 0 {
			t.Errorf("%s: the file cannot be loaded: %v", name, err)
		}
		for _, w := range r.Warnings {
			if !bytes.Contains(r.File, []byte(w)) {
				t.Errorf("%s: the file's head has not %q", name, w)
			}
		}
	}
}

func TestConvoyWithoutSubscriptions(t *testing.T) {
	t.Parallel()
	r, err := importer.Convoy(read(t, "convoy-endpoints.json"), nil, "convoy")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(r.File), "eventTypes") || strings.Contains(string(r.File), "enabled: false") || !strings.Contains(strings.Join(r.Warnings, "\n"), "every endpoint gets all events") {
		t.Errorf("%s", r.File)
	}
}

// Every key that the sources know is either in the file or in a warning: a key that is unknown
// to the importer must be told, whatever it is.
func TestNothingIsDroppedInSilence(t *testing.T) {
	t.Parallel()
	for name, run := range map[string]func() (*importer.Result, error){
		"adnanh": func() (*importer.Result, error) {
			return importer.Adnanh([]byte(`[{"id":"a","execute-command":"/a","new-in-3.0":{"x":1}}]`), "s")
		},
		"etlworks": func() (*importer.Result, error) {
			return importer.Etlworks([]byte(`{"id":1,"name":"a","url":"https://a.example","new-in-3.0":"x"}`), "s")
		},
		"svix": func() (*importer.Result, error) {
			return importer.Svix([]byte(`[{"id":"ep_1","url":"https://a.example","new-in-3.0":[1]}]`), "s")
		},
		"convoy": func() (*importer.Result, error) {
			return importer.Convoy([]byte(`[{"uid":"1","name":"a","url":"https://a.example"}]`), []byte(`[{"uid":"s","endpoint_id":"1","new-in-3.0":true}]`), "s")
		},
	} {
		r, err := run()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !regexp.MustCompile(`new-in-3\.0 has no equivalent and is left out`).MatchString(strings.Join(r.Warnings, "\n")) {
			t.Errorf("%s: %q", name, r.Warnings)
		}
	}
}

// JSON has things that YAML reads otherwise, and APIs indent by tabs.
func TestJSONAsItIs(t *testing.T) {
	t.Parallel()
	r, err := importer.Etlworks([]byte("[\n\t{\"id\": 12345678, \"name\": \"\\ud83d\\ude00 \\/ no\", \"description\": \"no\", \"url\": \"https:\\/\\/a.example\", \"events\": [\"a.b\"]}\n]\n"), "s")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"name: \"\\U0001F600 / no\"", "url: https://a.example", "code: no\n"} {
		if !strings.Contains(string(r.File), want) {
			t.Errorf("%q is not in\n%s", want, r.File)
		}
	}
	r, err = importer.Etlworks([]byte(`[{"id": 12345678, "url": "https://a.example"}]`), "s")
	if err != nil || !strings.Contains(string(r.File), "code: webhook-12345678\n") {
		t.Errorf("%v\n%s", err, r.File)
	}
}

func TestWhatIsNoList(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "7", "[7]", `"x"`, "[", `[{"id":"a"}]`} {
		if _, err := importer.Adnanh([]byte(text), "s"); err == nil {
			t.Errorf("%s: taken", text)
		}
	}
}

// An API that pages or refuses answers 200 documents, too, that are no list of all there is.
func TestWhatIsNotTheWholeList(t *testing.T) {
	t.Parallel()
	convoy := func(text []byte, set string) (*importer.Result, error) { return importer.Convoy(text, nil, set) }
	for why, c := range map[string]struct {
		run  func([]byte, string) (*importer.Result, error)
		text string
	}{
		"a page of Svix":        {importer.Svix, `{"data":[{"id":"ep_1","url":"https://a.example"}],"iterator":"i","done":false}`},
		"a page of Convoy":      {convoy, `{"status":true,"data":{"content":[{"uid":"1","url":"https://a.example"}],"pagination":{"has_next_page":true}}}`},
		"a refusal of Svix":     {importer.Svix, `{"code":"authentication_failed","detail":"Invalid token"}`},
		"a refusal of Convoy":   {convoy, `{"status":false,"message":"unauthorized"}`},
		"a refusal of Etlworks": {importer.Etlworks, `{"message":"not authorized"}`},
	} {
		if r, err := c.run([]byte(c.text), "s"); err == nil {
			t.Errorf("%s: taken for all there is:\n%s", why, r.File)
		}
	}
	for why, c := range map[string]string{
		"the last page": `{"data":[{"id":"ep_1","url":"https://a.example"}],"iterator":"i","done":true}`,
		"one endpoint":  `{"id":"ep_1","url":"https://a.example"}`,
	} {
		if _, err := importer.Svix([]byte(c), "s"); err != nil {
			t.Errorf("%s: %v", why, err)
		}
	}
}

// A part of a rule that cannot be written must not open a door.
func TestWhoMayCallIsNeverLost(t *testing.T) {
	t.Parallel()
	for why, rule := range map[string]string{
		"an unknown rule":             `{"match":{"type":"new","parameter":{"source":"header","name":"X"}}}`,
		"no rule at all":              `{"xor":[]}`,
		"addresses as an alternative": `{"or":[{"match":{"type":"ip-whitelist","ip-range":"10.0.0.0/8"}}]}`,
		"addresses that may not":      `{"not":{"match":{"type":"ip-whitelist","ip-range":"10.0.0.0/8"}}}`,
		"an unknown source":           `{"match":{"type":"value","value":"x","parameter":{"source":"context","name":"X"}}}`,
		"signed headers":              `{"match":{"type":"payload-hmac-sha1","secret":"s","parameter":{"source":"header","name":"X","headers-to-add-to-signature-payload":["Date"]}}}`,
		"a list of rules":             `[{"match":{"type":"value","value":"x","parameter":{"source":"header","name":"X-Token"}}}]`,
		"what is no rule":             `{"and":["x",{"match":{"type":"value","value":"x","parameter":{"source":"header","name":"X-Token"}}}]}`,
		"what lies in a text":         `{"not":{"match":{"type":"value","value":"x","parameter":{"source":"payload","name":"payload.user"}}}}`,
		"one of several":              `{"and":[{"match":{"type":"value","value":"x","parameter":{"source":"payload","name":"X"}}},{"match":{"type":"new"}}]}`,
	} {
		r, err := importer.Adnanh([]byte(`[{"id":"a","execute-command":"/a","parse-parameters-as-json":[{"source":"payload","name":"payload"}],"trigger-rule":`+rule+`}]`), "s")
		if err != nil {
			t.Errorf("%s: %v", why, err)
			continue
		}
		if !strings.Contains(string(r.File), "enabled: false") || !strings.Contains(strings.Join(r.Warnings, "\n"), "cannot be written") {
			t.Errorf("%s: %s", why, r.File)
		}
	}
}

func TestSlashesOfExpressions(t *testing.T) {
	t.Parallel()
	for re, want := range map[string]string{ // as Twig writes a text
		`^refs/heads/x$`:     `'/^refs\\/heads\\/x$/'`,
		`^refs\\/heads\\/x$`: `'/^refs\\/heads\\/x$/'`,
		`a\\\\/b\\d`:         `'/a\\\\\\/b\\d/'`,
	} {
		r, err := importer.Adnanh([]byte(`[{"id":"a","execute-command":"/a","trigger-rule":{"match":{"type":"regex","regex":"`+re+`","parameter":{"source":"payload","name":"ref"}}}}]`), "s")
		if err != nil || !strings.Contains(string(r.File), want) {
			t.Errorf("%s is not %s: %v\n%s", re, want, err, r.File)
		}
	}
}
