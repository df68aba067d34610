package send_test

import (
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sallyport/internal/hook"
	"sallyport/internal/send"
	"sallyport/internal/testkit"
)

func TestCurl(t *testing.T) {
	t.Parallel()
	r := &hook.SentRequest{Method: "POST", URL: "https://erp.example.com/hooks?a=b&c={d}", Headers: []hook.HeaderField{
		{Name: "Host", Value: "erp.example.com"}, {Name: "User-Agent", Value: "Sallyport/1"}, {Name: "Content-Length", Value: "12"},
		{Name: "Authorization", Redacted: true}, {Name: "Content-Type", Value: "application/json"},
		{Name: "X-Api-Key", Redacted: true}, {Name: "X-Empty"}, {Name: "X-Name", Value: "it's"},
	}, Body: hook.Body{Bytes: []byte(`{"a":"it's"}`), Size: 12}}
	want := `curl -g -X POST 'https://erp.example.com/hooks?a=b&c={d}' -H 'User-Agent: Sallyport/1' -u "erp:$PASSWORD"` +
		` -H 'Content-Type: application/json' -H "X-Api-Key: $X_API_KEY" -H 'X-Empty;' -H 'X-Name: it'\''s' --data-raw '{"a":"it'\''s"}'`
	if got := send.Curl(r, "erp"); got != want {
		t.Errorf("Curl = %s\nwant   %s", got, want)
	}
	if got := send.Curl(r, ""); !strings.Contains(got, `-H "Authorization: $AUTHORIZATION"`) {
		t.Errorf("Curl = %s", got)
	}
	for name, body := range map[string]hook.Body{
		"truncated": {Bytes: []byte("x"), Size: 2, Truncated: true},
		"binary":    {Bytes: []byte("\xff"), Size: 1},
		"NUL":       {Bytes: []byte("a\x00"), Size: 2},
		"long":      {Bytes: make([]byte, 200<<10), Size: 200 << 10},
	} {
		if got := send.Curl(&hook.SentRequest{Method: "POST", URL: "http://x", Body: body}, ""); !strings.HasSuffix(got, "--data-binary @request-body") {
			t.Errorf("%s: %.200s", name, got)
		}
	}
}

// What the shell makes of the command is what was recorded, whatever the values hold.
func TestCurlSurvivesTheShell(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	testkit.Script(t, filepath.Join(dir, "curl"), "for a; do printf '%s\\000' \"$a\"; done\n")
	nasty := "$(touch x) `id` \\ \" ' ! # ; & | \n é"
	r := &hook.SentRequest{Method: "PUT", URL: "http://h/" + nasty, Headers: []hook.HeaderField{
		{Name: "Content-Type", Value: "a/b"}, {Name: "X-A", Value: nasty}, {Name: "Authorization", Redacted: true}, {Name: "1-Key", Redacted: true},
	}, Body: hook.Body{Bytes: []byte(nasty), Size: int64(len(nasty))}}
	cmd := exec.Command("/bin/sh", "-c", send.Curl(r, "u$"+nasty))
	cmd.Env = []string{"PATH=" + dir, "PASSWORD=p w", "_1_KEY=k"}
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	want := []string{"-X", "PUT", "http://h/" + nasty, "-H", "Content-Type: a/b", "-H", "X-A: " + nasty, "-u", "u$" + nasty + ":p w",
		"-H", "1-Key: k", "--data-raw", nasty}
	if strings.Join(got, "\x00") != strings.Join(want, "\x00") {
		t.Errorf("arguments %q\nwant      %q", got, want)
	}
}

// The command sends the same request again.
func TestCurlOfARealAttempt(t *testing.T) {
	t.Parallel()
	type request struct {
		line, body string
		header     http.Header
	}
	seen := make(chan request, 2)
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		seen <- request{r.Method + " " + r.URL.String(), string(body), r.Header}
	})
	a := attempt(t, sender(t), webhook(url+"/in?x=%20y"))
	command := send.Curl(a.Request, "")
	path, err := exec.LookPath("curl")
	if err != nil {
		// The command's arguments are checked without curl above.
		t.Log("no curl on this machine:", command)
		return
	}
	cmd := exec.Command("/bin/sh", "-c", command)
	cmd.Env = []string{"PATH=" + filepath.Dir(path) + ":/bin:/usr/bin"}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	first, second := <-seen, <-seen
	if first.line != second.line || first.body != second.body {
		t.Errorf("sent %s %s\ncurl %s %s", first.line, first.body, second.line, second.body)
	}
	for name, values := range first.header {
		if strings.Join(values, ",") != strings.Join(second.header[name], ",") {
			t.Errorf("%s: %q, with curl %q", name, values, second.header[name])
		}
	}
}
