package testkit_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"sallyport/internal/testkit"
)

// client has a pool of its own: httptest's servers close the idle connections of
// http.DefaultTransport when they end, those of tests beside them too.
var client = &http.Client{Transport: &http.Transport{}}

func send(ctx context.Context, method, url, body string, header map[string]string) (int, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	for name, value := range header {
		request.Header[name] = []string{value}
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}

func TestReceiverRecords(t *testing.T) {
	t.Parallel()
	r := testkit.NewReceiver(t)
	for _, body := range []string{"first \x00\xff", "", strings.Repeat("x", 1<<20)} {
		status, err := send(t.Context(), "POST", r.URL+"/a%2Fb?q=1+2", body, map[string]string{"X-Etl-Webhook-Entity-URL": "here"})
		if err != nil || status != 200 {
			t.Fatal(status, err)
		}
	}
	all := r.Wait(3)
	for i, want := range []string{"first \x00\xff", "", strings.Repeat("x", 1<<20)} {
		got := all[i]
		if got.Method != "POST" || got.URL != "/a%2Fb?q=1+2" || got.Host != r.Address() || string(got.Body) != want || got.BodyErr != nil {
			t.Errorf("request %d: %s %s at %s with %d bytes, %v", i, got.Method, got.URL, got.Host, len(got.Body), got.BodyErr)
		}
		if value, ok := got.HeaderLine("X-Etl-Webhook-Entity-URL"); !ok || value != "here" {
			t.Errorf("request %d: the head has lost the name as sent:\n%s", i, got.Head)
		}
		if _, ok := got.HeaderLine("X-Etl-Webhook-Entity-Url"); ok {
			t.Errorf("request %d: HeaderLine is not exact", i)
		}
		if !strings.HasPrefix(string(got.Head), "POST /a%2Fb?q=1+2 HTTP/1.1\r\n") {
			t.Errorf("request %d: the head begins %.40q", i, got.Head)
		}
	}
	if all[0].Remote != all[2].Remote {
		t.Error("the connection was not reused, so that nothing is known about heads after the first")
	}
}

func TestReceiverAnswers(t *testing.T) {
	t.Parallel()
	r := testkit.NewReceiver(t)
	r.Then(testkit.Answer{Status: 500}, testkit.Answer{Cut: true})
	r.Respond(testkit.Answer{Status: 204})
	if status, err := send(t.Context(), "POST", r.URL, "1", nil); status != 500 {
		t.Errorf("first answer %d, %v", status, err)
	}
	if status, err := send(t.Context(), "POST", r.URL, "2", nil); err == nil {
		t.Errorf("second answer %d although the connection was to be cut", status)
	}
	if status, err := send(t.Context(), "POST", r.URL, "3", nil); status != 204 {
		t.Errorf("third answer %d, %v", status, err)
	}
}

func TestReceiverHangs(t *testing.T) {
	t.Parallel()
	r := testkit.NewReceiver(t)
	r.Respond(testkit.Answer{Status: 201, Hang: true})
	type result struct {
		status int
		err    error
	}
	answers := make(chan result, 2)
	impatient, leave := context.WithCancel(t.Context())
	for _, ctx := range []context.Context{t.Context(), impatient} {
		go func() {
			status, err := send(ctx, "POST", r.URL, "", nil)
			answers <- result{status, err}
		}()
	}
	r.WaitOpen(2)
	leave()
	if got := <-answers; !errors.Is(got.err, context.Canceled) {
		t.Errorf("the one who left got %d, %v", got.status, got.err)
	}
	r.WaitOpen(1)
	r.Release()
	if got := <-answers; got.status != 201 {
		t.Errorf("the one who stayed got %d, %v", got.status, got.err)
	}
	r.WaitOpen(0)
	r.Respond(testkit.Answer{Hang: true}) // what still hangs must not keep the test from ending
	go send(context.Background(), "POST", r.URL, "", nil)
	r.WaitOpen(1)
}

func TestReceiverStops(t *testing.T) {
	t.Parallel()
	r := testkit.NewReceiver(t)
	r.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if status, err := send(ctx, "POST", r.URL, "", nil); err == nil {
		t.Errorf("a stopped receiver answered %d", status)
	}
}
