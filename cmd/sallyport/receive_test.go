package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Signed with openssl, so that code and test cannot be wrong together:
//
//	printf %s "$body" | openssl dgst -sha256 -hmac "$secret"
//	printf %s "$id.$unix.$body" | openssl dgst -sha256 -hmac "$secret" -binary | base64
const (
	receiveSecret = "a-secret-of-the-receiver"
	receiveBody   = `{"eventId":"ord-7-paid"}`
	receiveID     = "ord-7-paid"
	receiveUnix   = "1767225600"
	receivePlain  = "6ab9f644394548dc4bdebd025cbcdbd4f62e52aad4d338cb4f95d18f50a75237"
	receiveV1     = "yWHJzQbs8/iYIAS7f1vZrf78Mvk1Pqygf4S4P4FSnto="
)

// startReceive runs the command until the test ends and returns its URL and the lines it prints.
func startReceive(t *testing.T, args ...string) (url string, lines *bufio.Reader) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	outRead, outWrite := io.Pipe()
	errRead, errWrite := io.Pipe()
	done := make(chan int)
	go func() {
		done <- run(ctx, process{args: append([]string{"receive", "--port", "0"}, args...), stdout: outWrite, stderr: errWrite})
	}()
	t.Cleanup(func() {
		go io.Copy(io.Discard, outRead)
		go io.Copy(io.Discard, errRead)
		cancel()
		if code := <-done; code != exitOK {
			t.Errorf("receive ended with %d", code)
		}
	})
	line, err := bufio.NewReader(errRead).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	url = regexp.MustCompile(`http://127\.0\.0\.1:\d+`).FindString(line)
	if url == "" {
		t.Fatalf("receive does not say where it listens: %q", line)
	}
	return url, bufio.NewReader(outRead)
}

type answer struct {
	status int
	header http.Header
	body   string
}

// post sends a request without waiting for its answer, since the command prints first.
func post(t *testing.T, url, body string, header map[string]string) <-chan answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), "POST", url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range header {
		request.Header.Set(name, value)
	}
	answers := make(chan answer, 1)
	go func() {
		defer close(answers)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Error(err)
			return
		}
		defer response.Body.Close()
		content, err := io.ReadAll(response.Body)
		if err != nil {
			t.Error(err)
		}
		answers <- answer{response.StatusCode, response.Header, string(content)}
	}()
	return answers
}

// nextReceipt reads one line of --json.
func nextReceipt(t *testing.T, lines *bufio.Reader) receipt {
	t.Helper()
	line, err := lines.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var got receipt
	if err := json.Unmarshal([]byte(line), &got); err != nil {
		t.Fatalf("%v: %s", err, line)
	}
	return got
}

func TestReceiveVerifies(t *testing.T) {
	t.Parallel()
	url, lines := startReceive(t, "--json", "--secret", "another-secret-rotated-out", "--secret", receiveSecret, "--tolerance", "0")
	signed := map[string]string{"X-Signature": receivePlain, "webhook-id": receiveID, "webhook-timestamp": receiveUnix, "webhook-signature": "v1," + receiveV1}
	with := func(name, value string) map[string]string {
		changed := map[string]string{}
		for n, v := range signed {
			changed[n] = v
		}
		changed[name] = value
		return changed
	}
	for _, c := range []struct {
		why      string
		header   map[string]string
		body     string
		verified bool
		checks   int
	}{
		{"signed", signed, receiveBody, true, 2},
		{"another body", signed, receiveBody + " ", false, 2},
		{"one of two signatures is wrong", with("X-Signature", strings.Repeat("0", 64)), receiveBody, false, 2},
		{"another time", with("webhook-timestamp", "1767225601"), receiveBody, false, 2},
		{"not signed", nil, receiveBody, false, 0},
	} {
		answers := post(t, url+"/hook?q=1", c.body, c.header)
		got := nextReceipt(t, lines)
		if got.Verified == nil || *got.Verified != c.verified || len(got.Signatures) != c.checks {
			t.Errorf("%s: %+v", c.why, got)
		}
		if got.Method != "POST" || got.URL != "/hook?q=1" || got.Body != c.body || got.BodyEncoding != "utf8" || got.Status != 200 {
			t.Errorf("%s: %+v", c.why, got)
		}
		if a := <-answers; a.status != 200 {
			t.Errorf("%s: answered %d", c.why, a.status)
		}
	}
}

func TestReceiveLooksAtTheClock(t *testing.T) {
	t.Parallel()
	url, lines := startReceive(t, "--json", "--secret", receiveSecret)
	answers := post(t, url, receiveBody, map[string]string{"webhook-id": receiveID, "webhook-timestamp": receiveUnix, "webhook-signature": "v1," + receiveV1})
	if got := nextReceipt(t, lines); *got.Verified || !strings.Contains(got.Signatures[0].Problem, "time is too far") {
		t.Errorf("%+v", got)
	}
	<-answers
}

func TestReceiveAnswers(t *testing.T) {
	t.Parallel()
	url, lines := startReceive(t, "--json", "--fail-first", "2", "--fail-status", "503", "--status", "202",
		"--body", `{"ok":true}`, "--header", "X-One: 1", "--header", "X-One:2", "--delay", "1ms")
	for i, want := range []int{503, 503, 202, 202} {
		answers := post(t, url, "\xff", nil)
		got := nextReceipt(t, lines)
		if got.N != i+1 || got.Status != want || got.Verified != nil || got.BodyEncoding != "base64" || got.Body != "/w==" {
			t.Errorf("%+v", got)
		}
		if a := <-answers; a.status != want || a.body != `{"ok":true}` || strings.Join(a.header["X-One"], ",") != "1,2" {
			t.Errorf("%+v", a)
		}
	}
}

func TestReceivePrints(t *testing.T) {
	t.Parallel()
	url, lines := startReceive(t, "--secret", receiveSecret)
	answers := post(t, url+"/a", "line\x1b[2J", map[string]string{"X-Signature": "00", "X-Other": "value"})
	var text strings.Builder
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		text.WriteString(line)
		if strings.Contains(line, "NOT VALID") {
			break
		}
	}
	for _, want := range []string{"  POST /a  NOT VERIFIED -> 200\n", "   X-Other: value\n", "\n   line\uFFFD[2J\n", "   X-Signature: NOT VALID: "} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not in\n%s", want, text.String())
		}
	}
	<-answers
}

func TestReceiveQuiet(t *testing.T) {
	t.Parallel()
	url, lines := startReceive(t, "--quiet")
	for range 2 {
		answers := post(t, url+"/q", "body", nil)
		line, err := lines.ReadString('\n')
		if err != nil || !strings.HasSuffix(line, "  POST /q  not checked (no --secret) -> 200\n") {
			t.Errorf("%q, %v", line, err)
		}
		<-answers
	}
}

// Ctrl-C must not wait for a long --delay.
func TestReceiveStopsAtOnce(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	outRead, outWrite := io.Pipe()
	errRead, errWrite := io.Pipe()
	running, stop := context.WithCancel(context.Background())
	done := make(chan int)
	go func() {
		done <- run(running, process{args: []string{"receive", "--port", "0", "--delay", "1h", "--quiet"}, stdout: outWrite, stderr: errWrite})
	}()
	line, err := bufio.NewReader(errRead).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(ctx, "GET", regexp.MustCompile(`http://\S+`).FindString(line), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		if response, err := http.DefaultClient.Do(request); err == nil {
			response.Body.Close()
		}
	}()
	if _, err := bufio.NewReader(outRead).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	stop()
	select {
	case code := <-done:
		if code != exitOK {
			t.Errorf("ended with %d", code)
		}
	case <-ctx.Done():
		t.Error("receive does not stop while a request waits")
	}
}
