package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"sallyport/internal/hook"
	"sallyport/internal/signature"
)

func newReceive(p process) *cobra.Command {
	r := &receiver{out: p.stdout, now: time.Now}
	var addr, delay, tolerance string
	var port int
	var headers []string
	cmd := &cobra.Command{
		Use:   "receive",
		Short: "Receive webhooks: print each request, check its signatures, answer",
		Long: `Receives whatever is sent to it, on any path: prints each request, checks its signatures
against the secrets given, and answers what it was told to, verified or not. A receiver for trying
things out; it listens on this machine only unless --addr says otherwise.

The webhook needs an address that Sallyport may send to:
  SALLYPORT_EGRESS_ALLOW=127.0.0.0/8 sallyport serve`,
		Example: `  sallyport receive --port 9000 --secret "$SECRET"
  sallyport receive --fail-first 3            # 500 three times, then 200: watch the retries
  sallyport receive --status 410              # gone: suspends the webhook
  sallyport receive --json | jq .verified`,
		GroupID: groupTry,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if r.delay, err = hook.ParseDuration(delay); err != nil {
				return usageError(fmt.Errorf("--delay: %w", err))
			}
			if r.tolerance, err = hook.ParseDuration(tolerance); err != nil {
				return usageError(fmt.Errorf("--tolerance: %w", err))
			}
			if r.header, err = parseHeaders(headers); err != nil {
				return usageError(fmt.Errorf("--header: %w", err))
			}
			for _, status := range []int{r.status, r.failStatus} {
				// 1xx are no final answers, and net/http panics above three digits.
				if status < 200 || status > 599 {
					return usageError(fmt.Errorf("%d is not a status from 200 to 599", status))
				}
			}
			if !cmd.Flags().Changed("addr") {
				if port < 0 || port > 65535 {
					return usageError(fmt.Errorf("--port: %d is not a port", port))
				}
				addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
			}
			return r.serve(cmd.Context(), addr, p.stderr)
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&port, "port", 9000, "port to listen on; 0 lets the system choose")
	flags.StringVar(&addr, "addr", "", "address to listen on instead of 127.0.0.1 and --port")
	flags.StringArrayVar(&r.secrets, "secret", nil, "secret that signatures may be made with; repeat it during a rotation")
	flags.StringVar(&tolerance, "tolerance", "5m", "how far a signed timestamp may be from now; 0 does not look")
	flags.IntVar(&r.status, "status", 200, "status to answer")
	flags.StringVar(&r.body, "body", "", "body to answer")
	flags.StringArrayVar(&headers, "header", nil, `header to answer, as "Name: value"; may be repeated`)
	flags.StringVar(&delay, "delay", "0", "how long to wait before answering, such as 500ms or 20s")
	flags.IntVar(&r.failFirst, "fail-first", 0, "answer --fail-status to this many requests before --status")
	flags.IntVar(&r.failStatus, "fail-status", 500, "status for --fail-first")
	flags.BoolVar(&r.quiet, "quiet", false, "print one line per request")
	flags.BoolVar(&r.json, "json", false, "print one JSON object per request")
	return cmd
}

// receiver is the server of the receive command.
type receiver struct {
	secrets    []string
	tolerance  time.Duration
	status     int
	failStatus int
	failFirst  int
	body       string
	header     http.Header
	delay      time.Duration
	quiet      bool
	json       bool
	now        func() time.Time

	mu  sync.Mutex // of count and out, so that requests are printed one after the other
	n   int
	out io.Writer
}

// receiveBodyLimit keeps a mistaken upload from filling the memory.
const receiveBodyLimit = 64 << 20

// serve answers until ctx ends. What it prints about itself goes to notes, as out is for requests.
func (r *receiver) serve(ctx context.Context, addr string, notes io.Writer) error {
	var listen net.ListenConfig
	listener, err := listen.Listen(ctx, "tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%s is in use; choose another with --port", addr)
	}
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	fmt.Fprintf(notes, "receiving on http://%s\n", listener.Addr())
	server := &http.Server{
		Handler: r, ReadHeaderTimeout: 10 * time.Second,
		// Who hangs in a long --delay is let go as soon as we stop.
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	stopped := context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if server.Shutdown(grace) != nil {
			server.Close() //nolint:errcheck // we end in any case
		}
	})
	defer stopped()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving: %w", err)
	}
	return nil
}

// receipt is one request as it is printed; the JSON form is for scripts and stable.
type receipt struct {
	N            int           `json:"n"`
	At           time.Time     `json:"at"`
	Method       string        `json:"method"`
	URL          string        `json:"url"`
	Headers      []nameValue   `json:"headers"`
	Body         string        `json:"body"`
	BodyEncoding string        `json:"bodyEncoding"` // utf8 or base64
	BodyError    string        `json:"bodyError,omitempty"`
	Signatures   []headerCheck `json:"signatures"`
	// Verified is absent if there was no secret to check with.
	Verified *bool `json:"verified,omitempty"`
	Status   int   `json:"status"`
}

type nameValue struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// headerCheck is the verdict on one signature header.
type headerCheck struct {
	Header  string `json:"header"`
	Valid   bool   `json:"valid"`
	Problem string `json:"problem,omitempty"`
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, q.Body, receiveBodyLimit))
	got := receipt{At: r.now().UTC(), Method: q.Method, URL: q.RequestURI, BodyEncoding: "utf8", Body: string(body), Signatures: []headerCheck{}}
	if err != nil {
		got.BodyError = err.Error()
	}
	if !utf8.Valid(body) {
		got.BodyEncoding, got.Body = "base64", base64.StdEncoding.EncodeToString(body)
	}
	for _, name := range slices.Sorted(maps.Keys(q.Header)) {
		for _, value := range q.Header[name] {
			got.Headers = append(got.Headers, nameValue{name, value})
		}
	}
	if len(r.secrets) > 0 {
		got.Signatures = r.check(q.Header, body, got.At)
		verified := len(got.Signatures) > 0 && !slices.ContainsFunc(got.Signatures, func(c headerCheck) bool { return !c.Valid })
		got.Verified = &verified
	}
	r.record(&got)

	if r.delay > 0 {
		timer := time.NewTimer(r.delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-q.Context().Done():
			return
		}
	}
	for name, values := range r.header {
		w.Header()[name] = values
	}
	w.WriteHeader(got.Status)
	io.WriteString(w, r.body) //nolint:errcheck // the sender may have gone
}

// check looks at every signature that the request carries. During a rotation one secret of
// several suffices, and of two schemes that share a header the one that fits.
func (r *receiver) check(header http.Header, body []byte, at time.Time) []headerCheck {
	var checks []headerCheck
	for _, secret := range r.secrets {
		for _, f := range signature.VerifyAll(secret, header, body, at, r.tolerance) {
			i := slices.IndexFunc(checks, func(c headerCheck) bool { return c.Header == f.Header })
			if i < 0 {
				checks = append(checks, headerCheck{Header: f.Header})
				i = len(checks) - 1
			}
			switch c := &checks[i]; {
			case f.Err == nil:
				c.Valid, c.Problem = true, ""
			case !c.Valid:
				c.Problem = f.Err.Error()
			}
		}
	}
	return checks
}

// record numbers the request, decides its status and prints it.
func (r *receiver) record(got *receipt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.n++
	got.N, got.Status = r.n, r.status
	if r.n <= r.failFirst {
		got.Status = r.failStatus
	}
	var text bytes.Buffer
	switch {
	case r.json:
		encoder := json.NewEncoder(&text)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(got); err != nil {
			fmt.Fprintf(&text, "{\"error\":%q}\n", err)
		}
	case r.quiet:
		got.printLine(&text)
	default:
		got.print(&text)
	}
	r.out.Write(text.Bytes()) //nolint:errcheck // nobody reads us any more
}

// printLine is the short form: one line.
func (got *receipt) printLine(w io.Writer) {
	fmt.Fprintf(w, "%d  %s  %s %s  %s -> %d\n", got.N, got.At.Local().Format("15:04:05.000"), got.Method, got.URL, got.verdict(), got.Status)
}

// print is the long form: the line, headers, body, and the verdict on each signature.
func (got *receipt) print(w io.Writer) {
	got.printLine(w)
	for _, h := range got.Headers {
		fmt.Fprintf(w, "   %s: %s\n", h.Name, visible(h.Value))
	}
	switch {
	case got.BodyEncoding == "base64":
		fmt.Fprintf(w, "\n   (binary, as base64) %s\n", got.Body)
	case got.Body != "":
		fmt.Fprintf(w, "\n   %s\n", visible(got.Body))
	}
	if got.BodyError != "" {
		fmt.Fprintf(w, "   the body broke off: %s\n", got.BodyError)
	}
	for _, c := range got.Signatures {
		verdict := "ok"
		if !c.Valid {
			verdict = "NOT VALID: " + c.Problem
		}
		fmt.Fprintf(w, "   %s: %s\n", c.Header, verdict)
	}
	fmt.Fprintln(w)
}

func (got *receipt) verdict() string {
	switch {
	case got.Verified == nil:
		return "not checked (no --secret)"
	case *got.Verified:
		return "verified"
	case len(got.Signatures) == 0:
		return "NOT SIGNED"
	default:
		return "NOT VERIFIED"
	}
}

// visible replaces control characters, so that what a stranger sends cannot drive the terminal.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || r >= ' ' && r != 0x7f && (r < 0x80 || r > 0x9f) {
			return r
		}
		return '\uFFFD'
	}, s)
}

// parseHeaders reads "Name: value" lines.
func parseHeaders(lines []string) (http.Header, error) {
	header := http.Header{}
	for _, line := range lines {
		name, value, ok := strings.Cut(line, ":")
		if name = strings.TrimSpace(name); !ok || name == "" || strings.ContainsAny(name, " \t\r\n") || strings.ContainsAny(value, "\r\n") {
			return nil, fmt.Errorf("%q is not of the form Name: value", line)
		}
		header.Add(name, strings.TrimSpace(value))
	}
	return header, nil
}
