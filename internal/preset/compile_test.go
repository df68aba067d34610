package preset_test

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"sallyport/internal/hook"
	"sallyport/internal/preset"
)

func TestDescriptionFaults(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		description string
		field       string // "" if there is no fault
	}{
		"the least":                           {`{"header":"X-Sig"}`, ""},
		"all of it":                           {`{"algorithm":"hmac-sha512","header":"X-Sig","encoding":"base64url","prefix":"v1=","separator":",","content":"{id}.{timestamp}.{method}{url}{query:a}{header:B}{body:c.0}{body}","key":"base64","idHeader":"X-Id","timestampPrefix":"t=","timestampUnit":"ms","tolerance":"1m"}`, ""},
		"text that only looks like JSON":      {`{"header":"X-Sig","content":"{\"a\":{body}}"}`, ""},
		"no JSON":                             {`x`, "verification"},
		"a list":                              {`[]`, "verification"},
		"two values":                          {`{"header":"X-Sig"} {}`, "verification"},
		"an unknown field":                    {`{"header":"X-Sig","algorthm":"token"}`, "verification.algorthm"},
		"no place":                            {`{}`, "verification.header"},
		"null":                                {`null`, "verification"},
		"two places":                          {`{"header":"X-Sig","query":"sig"}`, "verification.header"},
		"a header name with a space":          {`{"header":"X Sig"}`, "verification.header"},
		"an unknown algorithm":                {`{"header":"X-Sig","algorithm":"md5"}`, "verification.algorithm"},
		"an unknown encoding":                 {`{"header":"X-Sig","encoding":"hexx"}`, "verification.encoding"},
		"an unknown key":                      {`{"header":"X-Sig","key":"pem"}`, "verification.key"},
		"a kind of key for a public key":      {`{"header":"X-Sig","algorithm":"ed25519","key":"hex"}`, "verification.key"},
		"a prefix with a line break":          {`{"header":"X-Sig","prefix":"a\n"}`, "verification.prefix"},
		"an unknown placeholder":              {`{"header":"X-Sig","content":"{bdy}"}`, "verification.content"},
		"a placeholder without a name":        {`{"header":"X-Sig","content":"{body}{header:}"}`, "verification.content"},
		"an open placeholder":                 {`{"header":"X-Sig","content":"{body}{url"}`, "verification.content"},
		"content without the request":         {`{"header":"X-Sig","content":"hello"}`, "verification.content"},
		"only the time":                       {`{"header":"X-Sig","content":"{timestamp}"}`, "verification.content"},
		"an answer's placeholder":             {`{"header":"X-Sig","content":"{body}{hmac}"}`, "verification.content"},
		"a time that is not signed":           {`{"header":"X-Sig","timestampHeader":"X-Time"}`, "verification.content"},
		"two places for the time":             {`{"header":"X-Sig","content":"{timestamp}{body}","timestampHeader":"X-Time","timestampField":"t"}`, "verification.timestampHeader"},
		"a time in the body, which is signed": {`{"header":"X-Sig","timestampField":"t"}`, ""},
		"an unknown unit":                     {`{"header":"X-Sig","content":"{timestamp}{body}","timestampUnit":"us"}`, "verification.timestampUnit"},
		"a unit without a time":               {`{"header":"X-Sig","timestampUnit":"ms"}`, "verification.timestampUnit"},
		"a tolerance without a time":          {`{"header":"X-Sig","tolerance":"5m"}`, "verification.tolerance"},
		"a tolerance that is no duration":     {`{"header":"X-Sig","content":"{timestamp}{body}","tolerance":"5 min"}`, "verification.tolerance"},
		"a tolerance beyond all measure":      {`{"header":"X-Sig","content":"{timestamp}{body}","tolerance":"8d"}`, "verification.tolerance"},
		"an inline time without a separator":  {`{"header":"X-Sig","content":"{timestamp}{body}","timestampPrefix":"t="}`, "verification.separator"},
		"an id that nothing uses":             {`{"header":"X-Sig","idHeader":"X-Id"}`, "verification.idHeader"},
		"a digest in an unsigned URL":         {`{"header":"X-Sig","bodySHA256Query":"d"}`, "verification.bodySHA256Query"},
		"a token with content":                {`{"header":"X-Sig","algorithm":"token","content":"{body}"}`, "verification.content"},
		"a token with an encoding":            {`{"header":"X-Sig","algorithm":"token","encoding":"hex"}`, "verification.encoding"},
	} {
		_, faults := preset.Builtin().Compile(hook.PreProcessor{Signature: []byte(c.description), Secrets: []string{"s"}}, nil)
		switch {
		case c.field == "" && len(faults) > 0:
			t.Errorf("%s: %v", name, faults)
		case c.field != "" && (len(faults) != 1 || faults[0].Field != c.field || faults[0].Detail == "" || faults[0].Code == ""):
			t.Errorf("%s: %v, want one fault of %s", name, faults, c.field)
		}
	}
}

func TestPreProcessorFaults(t *testing.T) {
	t.Parallel()
	minute, tooLong, zero := time.Minute, 8*24*time.Hour, time.Duration(0)
	secrets := func(name string) (hook.Sensitive, bool) {
		s, ok := map[string]hook.Sensitive{"gh": "a-good-secret", "empty": "", "blank": " \n", "pem": otherP256, "rsa": otherRSA}[name]
		return s, ok
	}
	for name, c := range map[string]struct {
		check  hook.PreProcessor
		field  string
		code   string
		detail string // part of it
	}{
		"right":                             {check: hook.PreProcessor{Preset: "github", Secrets: []string{"gh"}}},
		"with a tolerance":                  {check: hook.PreProcessor{Preset: "stripe", Secrets: []string{"gh"}, Tolerance: &minute}},
		"a tolerance of 0 says nothing new": {check: hook.PreProcessor{Preset: "github", Secrets: []string{"gh"}, Tolerance: &zero}},
		"right with a verify token":         {check: hook.PreProcessor{Preset: "meta", Secrets: []string{"gh"}, Handshake: []string{"gh"}}},
		"a mistyped preset":                 {hook.PreProcessor{Preset: "githib", Secrets: []string{"gh"}}, "preset", "invalid_format", `did you mean "github"`},
		"an unknown preset":                 {hook.PreProcessor{Preset: "wombats-and-more-wombats", Secrets: []string{"gh"}}, "preset", "invalid_format", "GET /v1/presets"},
		"neither":                           {hook.PreProcessor{Secrets: []string{"gh"}}, "preset", "required", "signature"},
		"both":                              {hook.PreProcessor{Preset: "github", Signature: []byte(`{}`), Secrets: []string{"gh"}}, "preset", "invalid_format", "not both"},
		"no secret":                         {hook.PreProcessor{Preset: "github"}, "secrets", "required", "name at least one"},
		"an unknown secret":                 {hook.PreProcessor{Preset: "github", Secrets: []string{"gh", "hg"}}, "secrets[1]", "invalid_format", `no secret named "hg"`},
		"an empty secret":                   {hook.PreProcessor{Preset: "github", Secrets: []string{"empty"}}, "secrets[0]", "empty_secret", "everybody could sign"},
		"an empty secret besides a good":    {hook.PreProcessor{Preset: "github", Secrets: []string{"gh", "blank"}}, "secrets[1]", "empty_secret", "everybody could sign"},
		"an empty token":                    {hook.PreProcessor{Preset: "gitlab", Secrets: []string{"empty"}}, "secrets[0]", "empty_secret", ""},
		"an empty verify token":             {hook.PreProcessor{Preset: "meta", Secrets: []string{"gh"}, Handshake: []string{"empty"}}, "handshake[0]", "empty_secret", ""},
		"an unknown verify token":           {hook.PreProcessor{Preset: "meta", Secrets: []string{"gh"}, Handshake: []string{"x"}}, "handshake[0]", "invalid_format", "no secret named"},
		"a verify token for nobody":         {hook.PreProcessor{Preset: "github", Secrets: []string{"gh"}, Handshake: []string{"gh"}}, "handshake", "invalid_format", "leave this out"},
		"a public key for an HMAC":          {hook.PreProcessor{Preset: "github", Secrets: []string{"pem"}}, "secrets[0]", "invalid_format", "public key"},
		"a PEM that is no ECDSA key":        {hook.PreProcessor{Preset: "sendgrid", Secrets: []string{"rsa"}}, "secrets[0]", "invalid_format", "P-256"},
		"no key at all":                     {hook.PreProcessor{Preset: "sendgrid", Secrets: []string{"gh"}}, "secrets[0]", "invalid_format", "P-256"},
		"an ECDSA key for ed25519":          {hook.PreProcessor{Preset: "discord", Secrets: []string{"pem"}}, "secrets[0]", "invalid_format", "64 hex digits"},
		"a tolerance without a time":        {hook.PreProcessor{Preset: "github", Secrets: []string{"gh"}, Tolerance: &minute}, "tolerance", "invalid_format", "no time"},
		"a tolerance beyond all measure":    {hook.PreProcessor{Preset: "stripe", Secrets: []string{"gh"}, Tolerance: &tooLong}, "tolerance", "out_of_range", "7d"},
	} {
		v, faults := preset.Builtin().Compile(c.check, secrets)
		if c.field == "" {
			if v == nil || len(faults) > 0 {
				t.Errorf("%s: %v", name, faults)
			}
			continue
		}
		if v != nil || len(faults) != 1 || faults[0].Field != c.field || faults[0].Code != c.code || !strings.Contains(faults[0].Detail, c.detail) {
			t.Errorf("%s: %v, want %s %s %q", name, faults, c.field, c.code, c.detail)
		}
		for _, f := range faults {
			if strings.Contains(f.Detail, "a-good-secret") || strings.Contains(f.Detail, "BEGIN") {
				t.Errorf("%s: the fault shows the secret: %s", name, f.Detail)
			}
		}
	}
}

func TestCheckSecret(t *testing.T) {
	t.Parallel()
	const whpk = "whpk_A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="
	for name, c := range map[string]struct {
		preset, secret string
		code           string
	}{
		"any text":                    {"github", "x", ""},
		"none":                        {"github", "", "empty_secret"},
		"blanks":                      {"github", "  ", "empty_secret"},
		"whsec_":                      {"standard-webhooks", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", ""},
		"whsec_ and nothing":          {"standard-webhooks", "whsec_", "invalid_format"},
		"whsec_ with something else":  {"standard-webhooks", "whsec_not*base64", "invalid_format"},
		"an ed25519 key as v1a has":   {"standard-webhooks", whpk, ""},
		"where only v1 is":            {"openai", whpk, "invalid_format"},
		"whsec_ for a literal scheme": {"stripe", "whsec_not*base64", ""},
		"a key cut short":             {"discord", discordKey[:62], "invalid_format"},
		"a whole key":                 {"discord", discordKey, ""},
		"hex":                         {"adyen", "79A3EAF309C43708", ""},
		"no hex":                      {"adyen", "79A3EAF309C4370", "invalid_format"},
		"a private key":               {"sendgrid", "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n-----END PRIVATE KEY-----", "invalid_format"},
	} {
		f := preset.Builtin().CheckSecret(hook.PreProcessor{Preset: c.preset}, hook.Sensitive(c.secret))
		switch {
		case c.code == "" && f != nil:
			t.Errorf("%s: %v", name, f)
		case c.code != "" && (f == nil || f.Code != c.code || len(c.secret) > 6 && strings.Contains(f.Detail, c.secret)):
			t.Errorf("%s: %v, want %s", name, f, c.code)
		}
	}
}

// A key of the description's other kind must never make a signature of this kind.
func TestPublicKeyIsNoSharedSecret(t *testing.T) {
	t.Parallel()
	const whpk = "whpk_A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="
	v := compile(t, hook.PreProcessor{Preset: "standard-webhooks", Secrets: []string{whpk}})
	for key, sum := range map[string]string{
		"its text": "vbnQyqqY6PvPTK4SU9h/UYKwf7A2e08bnNKGzlA8JtI=", "its bytes": "dcVHlS15HDYUAnO3zVAUnYNjl1XYBzawnRGdUnXJiRg=", // HMAC-SHA256 of m1.1795294619.{"hello":"world"}
	} {
		if v.Verify(hello("webhook-id", "m1", "webhook-timestamp", "1795294619", "webhook-signature", "v1,"+sum)) == nil {
			t.Errorf("an HMAC made with %s of a public key was accepted", key)
		}
	}
}

func TestLoad(t *testing.T) {
	t.Parallel()
	const own = `{"title":"Acme","documentation":"https://acme.example","secret":{"name":"Key","where":"Settings"},
 "verifications":[{"header":"X-Acme","tolerance":"0s","content":"{timestamp}{body}"}],"eventHeader":"X-Acme-Event","dedupeKey":"{{ request.body.id }}"}`
	table, err := preset.Load(fstest.MapFS{
		"acme.json":     {Data: []byte(own)},
		"github.json":   {Data: []byte(strings.ReplaceAll(own, "Acme", "Own"))},
		"README.md":     {Data: []byte("not a preset")},
		"sub/deep.json": {Data: []byte("not looked at")},
	})
	if err != nil {
		t.Fatal(err)
	}
	acme := table.Get("acme")
	if acme == nil || acme.Name != "acme" || !acme.Operator || acme.EventHeader != "X-Acme-Event" || len(acme.Verifications) != 1 || *acme.Verifications[0].Tolerance != 0 {
		t.Errorf("acme: %+v", acme)
	}
	if g := table.Get("github"); g.Title != "Own" || !g.Operator {
		t.Errorf("an operator's file does not take the place of a built-in: %+v", g)
	}
	if preset.Builtin().Get("github").Operator || preset.Builtin().Get("acme") != nil {
		t.Error("the built-in table has changed")
	}
	if len(table.All()) != len(preset.Builtin().All())+1 {
		t.Errorf("%d presets", len(table.All()))
	}
	if none, err := preset.Load(nil); err != nil || len(none.All()) != len(preset.Builtin().All()) {
		t.Errorf("without a directory: %v", err)
	}
	if _, err := preset.Load(os.DirFS(t.TempDir() + "/absent")); err == nil {
		t.Error("a directory that is not there is nobody's wish")
	}
}

func TestLoadNamesFileAndField(t *testing.T) {
	t.Parallel()
	const head = `{"title":"T","documentation":"https://t.example","secret":{"name":"K","where":"W"},`
	_, err := preset.Load(fstest.MapFS{
		"Bad_Name.json":  {Data: []byte(head + `"verifications":[{"header":"X"}]}`)},
		"syntax.json":    {Data: []byte("{\n\n\"title\": nope}")},
		"unknown.json":   {Data: []byte("{\n\"titel\": \"x\"}")},
		"named.json":     {Data: []byte(`{"name":"x"}`)},
		"bare.json":      {Data: []byte(`{}`)},
		"wrong.json":     {Data: []byte(head + `"verifications":[{"header":"X"},{"header":"X","content":"{bdy}","tolerance":"x"}],"refusalStatus":500}`)},
		"handshake.json": {Data: []byte(head + `"verifications":[{"header":"X"}],"handshakes":[{"method":"PUT","status":302,"contentType":"text/html","when":[{"query":"a","secret":true},{}],"body":"{hmac}"}]}`)},
		"big.json":       {Data: []byte(strings.Repeat(" ", 65<<10))},
	})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{
		"preset Bad_Name.json: name: ", "preset syntax.json: line 3: ", "preset unknown.json: line 2: json: unknown field \"titel\"", "preset named.json: name: the file's name says it",
		"preset bare.json: title: ", "secret.where: ", "verifications: ", "preset wrong.json: ", "verifications[1].content: unknown placeholder {bdy}",
		"verifications[1].tolerance: ", "refusalStatus: ", "handshakes[0].method: ", "handshakes[0].status: ", "handshakes[0].contentType: ",
		"handshakes[0].when[0].secret: ", "handshakes[0].when[1]: ", "handshakes[0].hmac: ", "preset big.json: is larger",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in:\n%v", want, err)
		}
	}
}

func TestBuiltins(t *testing.T) {
	t.Parallel()
	all := preset.Builtin().All()
	if len(all) < 80 {
		t.Errorf("%d presets", len(all))
	}
	for _, name := range strings.Fields("github gitlab stripe shopify slack standard-webhooks svix twilio sendgrid mailgun zoom meta linear square trello sallyport etlworks mixpost") {
		if preset.Builtin().Get(name) == nil {
			t.Errorf("no preset %s", name)
		}
	}
	for _, p := range all {
		if !strings.HasPrefix(p.Documentation, "https://") || p.Description == "" {
			t.Errorf("%s: documentation %q, description %q", p.Name, p.Documentation, p.Description)
		}
		if p.DedupeKey != "" && !strings.Contains(p.DedupeKey, "{{ request.") {
			t.Errorf("%s: dedupe key %q is no template", p.Name, p.DedupeKey)
		}
	}
}
