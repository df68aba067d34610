package api

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"sallyport/api/spec"
	"sallyport/internal/hook"
)

var oneKB = []byte(`{"id":"ord-7-paid","type":"order.paid","entityId":7,"entity":{"total":12,"lines":[` +
	strings.TrimSuffix(strings.Repeat(`{"sku":"A-1","name":"Größe ✓","price":12.5,"tags":["a","b"],"gift":false,"note":null},`, 10), ",") +
	`]},"entityUrl":"https://shop.example.com/orders/7","timestamp":"2026-11-21T02:13:00.207Z"}`)

func BenchmarkParseEvent(b *testing.B) {
	b.SetBytes(int64(len(oneKB)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parseEvent(oneKB); err != nil {
			b.Fatal(err)
		}
	}
}

func TestEntityIsTheBytesReceived(t *testing.T) {
	t.Parallel()
	for _, entity := range []string{
		`{ "a" : 1.50e+3 , "a":2,"b":[ ] }`, "null", `"é\u0000\ud83d\ude00"`, "[1,\n2]", "-0.0", `{"":{"x":{}}}`, "true",
	} {
		ev, err := parseEvent([]byte(`{"type":"t","entity": ` + entity + ` }`))
		if err != nil {
			t.Errorf("%s: %v", entity, err)
		} else if string(ev.Entity) != entity {
			t.Errorf("%s became %s", entity, ev.Entity)
		}
	}
}

func TestEntityIDKeepsItsLiteral(t *testing.T) {
	t.Parallel()
	for literal, want := range map[string]hook.EntityID{
		"7":                                      {Text: "7", Number: true},
		"-0":                                     {Text: "-0", Number: true},
		"12345678901234567890":                   {Text: "12345678901234567890", Number: true},
		"99999999999999999999999999999999999999": {Text: "99999999999999999999999999999999999999", Number: true},
		`"7"`:                                    {Text: "7"},
		`"\u00e9\/"`:                             {Text: "é/"},
		"null":                                   {},
	} {
		ev, err := parseEvent([]byte(`{"type":"t","entityId":` + literal + `}`))
		if err != nil {
			t.Errorf("%s: %v", literal, err)
		} else if ev.EntityID != want {
			t.Errorf("%s: got %+v, want %+v", literal, ev.EntityID, want)
		}
	}
}

// bodies are events good and bad. Those that a schema cannot judge, because it sees
// values and not bytes, say so.
var bodies = map[string]struct {
	body   string
	kind   hook.Kind // "" is good
	field  string
	code   string
	beyond bool // the schema is not asked
}{
	"the least":                              {body: `{"type":"a"}`},
	"everything":                             {body: string(oneKB)},
	"space everywhere":                       {body: " {\n\"type\" :\t\"a\" , \"entity\" : [ ] }\r\n "},
	"nulls for what is not there":            {body: `{"type":"a","entityId":null,"entityUrl":null,"timestamp":null,"entity":null}`},
	"an entity with a key twice":             {body: `{"type":"a","entity":{"a":1,"a":2,"b":[{"c":1,"c":2}]}}`},
	"an entity of any kind":                  {body: `{"type":"a","entity":-1.5E+10}`},
	"escaped names and values":               {body: `{"\u0074ype":"\u0061.b","i\u0064":"x"}`},
	"a type with all characters":             {body: `{"type":"Az09_-:/.b.C"}`},
	"the longest id":                         {body: `{"type":"a","id":"` + strings.Repeat("x", 128) + `"}`},
	"the longest type":                       {body: `{"type":"` + strings.Repeat("x", 128) + `"}`},
	"the longest entityId":                   {body: `{"type":"a","entityId":"` + strings.Repeat("é", 512) + `"}`},
	"38 digits":                              {body: `{"type":"a","entityId":-12345678901234567890123456789012345678}`},
	"a time with an escape":                  {body: `{"type":"a","timestamp":"2026\u002d11-21T02:13:00Z"}`},
	"a time with an offset and nanoseconds":  {body: `{"type":"a","timestamp":"2026-11-21T02:13:00.123456789+01:00"}`},
	"a URL of another scheme":                {body: `{"type":"a","entityUrl":"urn:isbn:0451450523"}`},
	"nested as deep as allowed":              {body: `{"type":"a","entity":` + strings.Repeat("[", 511) + strings.Repeat("]", 511) + `}`},
	"no type":                                {body: `{"id":"x"}`, kind: hook.KindInvalid, field: "type", code: "required"},
	"an empty object":                        {body: `{}`, kind: hook.KindInvalid, field: "type", code: "required"},
	"an empty type":                          {body: `{"type":""}`, kind: hook.KindInvalid, field: "type", code: "invalid_format"},
	"a type of null":                         {body: `{"type":null}`, kind: hook.KindInvalid, field: "type", code: "invalid_format"},
	"a type of dots":                         {body: `{"type":"a..b"}`, kind: hook.KindInvalid, field: "type", code: "invalid_format"},
	"a type that ends with a dot":            {body: `{"type":"a."}`, kind: hook.KindInvalid, field: "type", code: "invalid_format"},
	"a type that begins with a dot":          {body: `{"type":".a"}`, kind: hook.KindInvalid, field: "type", code: "invalid_format"},
	"a pattern as type":                      {body: `{"type":"a.*"}`, kind: hook.KindInvalid, field: "type", code: "invalid_format"},
	"a type with a space":                    {body: `{"type":"a b"}`, kind: hook.KindInvalid, field: "type", code: "invalid_format"},
	"a type in another script":               {body: `{"type":"é"}`, kind: hook.KindInvalid, field: "type", code: "invalid_format"},
	"a type too long":                        {body: `{"type":"` + strings.Repeat("x", 129) + `"}`, kind: hook.KindInvalid, field: "type", code: "invalid_format"},
	"an id with a dot":                       {body: `{"type":"a","id":"a.b"}`, kind: hook.KindInvalid, field: "id", code: "invalid_format"},
	"an id of null":                          {body: `{"type":"a","id":null}`, kind: hook.KindInvalid, field: "id", code: "invalid_format"},
	"an id that is a number":                 {body: `{"type":"a","id":7}`, kind: hook.KindInvalid, field: "id", code: "invalid_format"},
	"an empty id":                            {body: `{"type":"a","id":""}`, kind: hook.KindInvalid, field: "id", code: "invalid_format"},
	"an id too long":                         {body: `{"type":"a","id":"` + strings.Repeat("x", 129) + `"}`, kind: hook.KindInvalid, field: "id", code: "invalid_format"},
	"an id with a line break":                {body: `{"type":"a","id":"a\n"}`, kind: hook.KindInvalid, field: "id", code: "invalid_format"},
	"an entityId that is true":               {body: `{"type":"a","entityId":true}`, kind: hook.KindInvalid, field: "entityId", code: "invalid_format"},
	"an entityId that is a list":             {body: `{"type":"a","entityId":[7]}`, kind: hook.KindInvalid, field: "entityId", code: "invalid_format"},
	"an empty entityId":                      {body: `{"type":"a","entityId":""}`, kind: hook.KindInvalid, field: "entityId", code: "too_short"},
	"an entityId too long":                   {body: `{"type":"a","entityId":"` + strings.Repeat("é", 513) + `"}`, kind: hook.KindInvalid, field: "entityId", code: "too_long"},
	"an entityId with a NUL":                 {body: `{"type":"a","entityId":"a\u0000"}`, kind: hook.KindInvalid, field: "entityId", code: "invalid_format"},
	"an entityId with a fraction":            {body: `{"type":"a","entityId":1.5}`, kind: hook.KindInvalid, field: "entityId", code: "invalid_format"},
	"an entityId with a fraction of nothing": {body: `{"type":"a","entityId":1.0}`, kind: hook.KindInvalid, field: "entityId", code: "invalid_format", beyond: true},
	"an entityId with an exponent":           {body: `{"type":"a","entityId":1e3}`, kind: hook.KindInvalid, field: "entityId", code: "invalid_format", beyond: true},
	"39 digits":                              {body: `{"type":"a","entityId":123456789012345678901234567890123456789}`, kind: hook.KindInvalid, field: "entityId", code: "invalid_format", beyond: true},
	"a URL without a scheme":                 {body: `{"type":"a","entityUrl":"/orders/7"}`, kind: hook.KindInvalid, field: "entityUrl", code: "invalid_url"},
	"a URL with nothing after the scheme":    {body: `{"type":"a","entityUrl":"http:"}`, kind: hook.KindInvalid, field: "entityUrl", code: "invalid_url"},
	"a URL with a space":                     {body: `{"type":"a","entityUrl":"http://a/b c"}`, kind: hook.KindInvalid, field: "entityUrl", code: "invalid_url"},
	"a URL with a line break":                {body: `{"type":"a","entityUrl":"http://a\r\nX: y"}`, kind: hook.KindInvalid, field: "entityUrl", code: "invalid_url"},
	"a URL too long":                         {body: `{"type":"a","entityUrl":"http://` + strings.Repeat("x", 2048) + `"}`, kind: hook.KindInvalid, field: "entityUrl", code: "too_long"},
	"a URL that is a number":                 {body: `{"type":"a","entityUrl":7}`, kind: hook.KindInvalid, field: "entityUrl", code: "invalid_format"},
	"a time that is none":                    {body: `{"type":"a","timestamp":"yesterday"}`, kind: hook.KindInvalid, field: "timestamp", code: "invalid_format"},
	"a time with a comma":                    {body: `{"type":"a","timestamp":"2026-11-21T02:13:00,5Z"}`, kind: hook.KindInvalid, field: "timestamp", code: "invalid_format"},
	"a time of one digit":                    {body: `{"type":"a","timestamp":"2026-11-21T2:13:00Z"}`, kind: hook.KindInvalid, field: "timestamp", code: "invalid_format"},
	"a time without an offset":               {body: `{"type":"a","timestamp":"2026-11-21T02:13:00"}`, kind: hook.KindInvalid, field: "timestamp", code: "invalid_format"},
	"a day that is none":                     {body: `{"type":"a","timestamp":"2026-02-30T02:13:00Z"}`, kind: hook.KindInvalid, field: "timestamp", code: "invalid_format", beyond: true},
	"a time in seconds":                      {body: `{"type":"a","timestamp":1795226400}`, kind: hook.KindInvalid, field: "timestamp", code: "invalid_format"},
	"an unknown field":                       {body: `{"type":"a","entityID":7}`, kind: hook.KindInvalid, field: "entityID", code: "unknown_field"},
	"another case":                           {body: `{"Type":"a","type":"a"}`, kind: hook.KindInvalid, field: "Type", code: "unknown_field"},
	"a list":                                 {body: `[{"type":"a"}]`, kind: hook.KindInvalid, code: "invalid_format"},
	"a text":                                 {body: `"a"`, kind: hook.KindInvalid, code: "invalid_format"},
	"null":                                   {body: `null`, kind: hook.KindInvalid, code: "invalid_format"},
	"a key twice":                            {body: `{"type":"a","type":"b"}`, kind: hook.KindDuplicateKey, beyond: true},
	"a key twice, once escaped":              {body: `{"type":"a","\u0074ype":"a"}`, kind: hook.KindDuplicateKey, beyond: true},
	"an unknown key twice":                   {body: `{"type":"a","x":1,"x":1}`, kind: hook.KindDuplicateKey, beyond: true},
	"nothing":                                {body: ``, kind: hook.KindMalformedJSON},
	"only space":                             {body: "  \n", kind: hook.KindMalformedJSON},
	"an end too early":                       {body: `{"type":"a"`, kind: hook.KindMalformedJSON},
	"a comma too many":                       {body: `{"type":"a",}`, kind: hook.KindMalformedJSON},
	"a comma at the start":                   {body: `{,"type":"a"}`, kind: hook.KindMalformedJSON},
	"a comma missing":                        {body: `{"type":"a" "id":"b"}`, kind: hook.KindMalformedJSON},
	"a comma too many in the entity":         {body: `{"type":"a","entity":[1,]}`, kind: hook.KindMalformedJSON},
	"two documents":                          {body: `{"type":"a"}{"type":"b"}`, kind: hook.KindMalformedJSON},
	"something after it":                     {body: `{"type":"a"} x`, kind: hook.KindMalformedJSON},
	"a comment":                              {body: `{"type":"a"/**/}`, kind: hook.KindMalformedJSON},
	"single quotes":                          {body: `{'type':'a'}`, kind: hook.KindMalformedJSON},
	"a bare control character":               {body: "{\"type\":\"a\x01\"}", kind: hook.KindMalformedJSON},
	"a bare line break in the entity":        {body: "{\"type\":\"a\",\"entity\":\"a\nb\"}", kind: hook.KindMalformedJSON},
	"an escape that is none":                 {body: `{"type":"a","entity":"\x"}`, kind: hook.KindMalformedJSON},
	"half an escape":                         {body: `{"type":"a","entity":"\u12g4"}`, kind: hook.KindMalformedJSON},
	"not UTF-8":                              {body: "{\"type\":\"a\",\"entity\":\"\xc3\"}", kind: hook.KindMalformedJSON},
	"a byte order mark":                      {body: "\ufeff{\"type\":\"a\"}", kind: hook.KindMalformedJSON},
	"a leading zero":                         {body: `{"type":"a","entityId":07}`, kind: hook.KindMalformedJSON},
	"a plus sign":                            {body: `{"type":"a","entityId":+7}`, kind: hook.KindMalformedJSON},
	"a point without digits":                 {body: `{"type":"a","entity":1.}`, kind: hook.KindMalformedJSON},
	"NaN":                                    {body: `{"type":"a","entity":NaN}`, kind: hook.KindMalformedJSON},
	"a word cut short":                       {body: `{"type":"a","entity":tru}`, kind: hook.KindMalformedJSON},
	"mismatched brackets":                    {body: `{"type":"a","entity":[}]}`, kind: hook.KindMalformedJSON},
	"nested too deep":                        {body: `{"type":"a","entity":` + strings.Repeat("[", 512) + strings.Repeat("]", 512) + `}`, kind: hook.KindMalformedJSON, beyond: true},
}

func TestEventsAreReadAsTheContractSays(t *testing.T) {
	t.Parallel()
	schemas := spec.Document().Components.Schemas
	for why, c := range bodies {
		t.Run(why, func(t *testing.T) {
			t.Parallel()
			_, err := parseEvent([]byte(c.body))
			checkParsed(t, err, c.kind, c.field, c.code)

			// A batch of it is judged alike, but faults stay with the item.
			items, err := parseBatch([]byte(`{"data":[{"type":"z"},`+c.body+`]}`), 10, 1<<20)
			switch {
			case c.kind == "" || c.kind == hook.KindInvalid:
				if err != nil {
					if c.kind == "" && strings.Contains(why, "deep") {
						return // two levels deeper
					}
					t.Fatalf("in a batch: %v", err)
				}
				checkParsed(t, hook.Invalid(items[1].faults), c.kind, join("data[1]", c.field), c.code)
			case hook.KindOf(err) != c.kind && !(strings.Contains(why, "two documents") || strings.Contains(why, "nothing") || strings.Contains(why, "space")):
				t.Errorf("in a batch: %v, want %s", err, c.kind)
			}

			// The schema comes to the same conclusion, and so does encoding/json.
			if json.Valid([]byte(c.body)) == (c.kind == hook.KindMalformedJSON) && !c.beyond && why != "not UTF-8" {
				t.Error("encoding/json disagrees")
			}
			if c.beyond || c.kind == hook.KindMalformedJSON {
				return
			}
			if bad := validateBody(schemas["EventInput"].Value, []byte(c.body)) != nil; bad != (c.kind != "") {
				t.Errorf("the schema disagrees: %v", validateBody(schemas["EventInput"].Value, []byte(c.body)))
			}
		})
	}
}

func checkParsed(t *testing.T, err error, kind hook.Kind, field, code string) {
	t.Helper()
	if kind == "" {
		if err != nil {
			t.Errorf("refused: %v", err)
		}
		return
	}
	var e *hook.Error
	if !errors.As(err, &e) || e.Kind != kind {
		t.Fatalf("got %v, want %s", err, kind)
	}
	if kind != hook.KindInvalid {
		return
	}
	for _, f := range e.Faults {
		if f.Field == field && f.Code == code && f.Detail != "" {
			return
		}
	}
	t.Errorf("got %+v, want %s at %q", e.Faults, code, field)
}

func TestAllFaultsOfAnEventAtOnce(t *testing.T) {
	t.Parallel()
	_, err := parseEvent([]byte(`{"id":"a.b","entityId":[],"entityUrl":"x","timestamp":"x","x":{}}`))
	var e *hook.Error
	if !errors.As(err, &e) || len(e.Faults) != 6 {
		t.Fatalf("%v", err)
	}
}

// Who publishes in the manner of another system is told what to send instead.
func TestRefusedBodiesSayWhatIsMeant(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`[{"type":"a"}]`:                 `several go to /v1/events/batch as {"data": […]}`,
		`{"type":"a","payload":{"a":1}}`: "there is no such field; there is id, type, entityId, entity, entityUrl, timestamp",
		`{"type":"a","entityID":7}`:      "there is no such field; did you mean entityId?",
	} {
		if _, err := parseEvent([]byte(body)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", body, err)
		}
	}
	for body, want := range map[string]string{
		`[{"type":"a"}]`:            `a batch is a JSON object with a list of events, {"data": […]}`,
		`{"events":[{"type":"a"}]}`: "there is no such field; there is data",
	} {
		_, err := parseBatch([]byte(body), 3, 100)
		if e := (*hook.Error)(nil); !errors.As(err, &e) || !strings.Contains(e.Faults[0].Detail, want) {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestBatches(t *testing.T) {
	t.Parallel()
	for why, c := range map[string]struct {
		body  string
		kind  hook.Kind
		field string
		code  string
	}{
		"no data":               {`{}`, hook.KindInvalid, "data", "required"},
		"empty":                 {`{"data":[]}`, hook.KindInvalid, "data", "too_short"},
		"data that is null":     {`{"data":null}`, hook.KindInvalid, "data", "invalid_format"},
		"an unknown field":      {`{"data":[{"type":"a"}],"dat":1}`, hook.KindInvalid, "dat", "unknown_field"},
		"a list":                {`[{"type":"a"}]`, hook.KindInvalid, "", "invalid_format"},
		"data twice":            {`{"data":[{"type":"a"}],"data":[]}`, hook.KindDuplicateKey, "", ""},
		"a key twice in one":    {`{"data":[{"type":"a"},{"type":"a","type":"a"}]}`, hook.KindDuplicateKey, "", ""},
		"broken":                {`{"data":[{"type":"a"},]}`, hook.KindMalformedJSON, "", ""},
		"broken after the list": {`{"data":[{"type":"a"}]`, hook.KindMalformedJSON, "", ""},
		"too many":              {`{"data":[{"type":"a"},{"type":"a"},{"type":"a"},{"type":"a"}]}`, hook.KindTooManyItems, "", ""},
	} {
		t.Run(why, func(t *testing.T) {
			t.Parallel()
			_, err := parseBatch([]byte(c.body), 3, 100)
			checkParsed(t, err, c.kind, c.field, c.code)
		})
	}

	t.Run("an item holds on to its own bytes only", func(t *testing.T) {
		t.Parallel()
		body := []byte(`{"data":[{"type":"a","entity":{"a":1}},7]}`)
		items, err := parseBatch(body, 3, 100)
		if err != nil {
			t.Fatal(err)
		}
		clear(body)
		if string(items[0].event.Entity) != `{"a":1}` || len(items[0].faults) != 0 || len(items[1].faults) != 1 {
			t.Errorf("%+v", items)
		}
	})
}

func FuzzParseEvent(f *testing.F) {
	for _, c := range bodies {
		f.Add([]byte(c.body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		event, err := parseEvent(body)
		if hook.KindOf(err) == hook.KindInternal && err != nil {
			t.Fatalf("an error without a kind: %v", err)
		}
		// A repeated key ends the reading before the rest is seen.
		early := err != nil && (hook.KindOf(err) == hook.KindMalformedJSON || hook.KindOf(err) == hook.KindDuplicateKey)
		if !early && !json.Valid(body) {
			t.Fatalf("encoding/json refuses it; here: %v", err)
		}
		if err == nil && event.Entity != nil && !json.Valid(event.Entity) {
			t.Fatalf("entity %q", event.Entity)
		}
	})
}
