package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/hook"
)

func newListen(p process) *cobra.Command {
	l := &listener{out: p.stdout, notes: p.stderr}
	var flags remoteFlags
	var types, since, forward string
	f := forwarding{}
	cmd := &cobra.Command{
		Use:   "listen",
		Short: "Follow events as they are accepted, and forward them to a program on this machine",
		Long: `Prints every event of the workspace from now on, or from --since, each once and in the order in which
they were stored. What comes while the connection is lost, or this machine sleeps, comes afterwards.

With --forward each event is sent to a URL that only this machine need reach, as the request that a
webhook would get: bytes, headers and signature. Where nobody answers it is tried twice more, and then
the next one has its turn; real deliveries, with their retries, are the server's.

` + remoteHelp,
		Example: `  sallyport listen
  sallyport listen --forward http://localhost:3000/hooks --event-types "order.*"
  sallyport listen --webhook erp-orders --forward http://localhost:3000 --secret "$SECRET"
  sallyport listen --since 1h --json | jq .type
  sallyport listen --cursor-file .sallyport-cursor      # goes on where it ended`,
		GroupID: groupTry,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if forward == "" && (f.profile != "" || f.secret != "") {
				return usageError(errors.New("--profile and --secret go with --forward: they say how it is sent"))
			}
			if l.query, err = listenQuery(types, f.webhook, since, time.Now()); err != nil {
				return usageError(err)
			}
			if l.remote, err = flags.open(p); err != nil {
				return err
			}
			if forward != "" {
				if l.forward, err = f.open(cmd.Context(), l.remote, forward, p.stderr); err != nil {
					return err
				}
				defer l.forward.close()
			}
			return l.run(cmd.Context())
		},
	}
	flags.add(cmd.Flags())
	cmd.Flags().StringVar(&types, "event-types", "", "only these, such as order.*,stock.moved")
	cmd.Flags().StringVar(&f.webhook, "webhook", "", "only what this webhook would be sent, and as it would be: code or id")
	cmd.Flags().StringVar(&since, "since", "", "begin in the past: how long ago, such as 1h, or a time")
	cmd.Flags().StringVar(&l.cursorFile, "cursor-file", "", "remember here how far it came, and go on from there")
	cmd.Flags().BoolVar(&l.json, "json", false, "print the events as JSON, one line each")
	cmd.Flags().StringVar(&forward, "forward", "", "URL to send each event to")
	cmd.Flags().StringVar(&f.secret, "secret", "", "secret to sign with (default: one of its own, which it prints)")
	cmd.Flags().StringVar(&f.profile, "profile", "", "wire format (default: the webhook's, or default)")
	return cmd
}

// listenQuery makes the parameters of the stream.
func listenQuery(types, webhook, since string, now time.Time) (url.Values, error) {
	q := url.Values{"limit": {"100"}}
	for t := range strings.SplitSeq(types, ",") {
		if t = strings.TrimSpace(t); t != "" {
			q.Add("eventTypes", t)
		}
	}
	if webhook != "" {
		q.Set("webhook", webhook)
	}
	if since == "" {
		return q, nil
	}
	from, err := hook.ParseTime(since)
	if err != nil {
		ago, derr := hook.ParseDuration(since)
		if derr != nil {
			return nil, fmt.Errorf("--since: %q is neither a duration such as 1h nor a time such as 2026-11-21T02:13:00Z", since)
		}
		from = now.Add(-ago)
	}
	q.Set("since", from.UTC().Format(time.RFC3339Nano))
	return q, nil
}

// listener is the listen command at work.
type listener struct {
	remote     *remote
	query      url.Values
	cursorFile string
	json       bool
	forward    *forwarder // nil: only print
	out        io.Writer
	notes      io.Writer

	cursor string
	events int
}

const (
	// listenWait is how long a call waits for events, and listenTimeout after which silence is
	// a connection that is gone, as after a sleep.
	listenWait    = 25 * time.Second
	listenTimeout = 40 * time.Second
	// A server that is away is asked again after these.
	listenRetryFirst = 250 * time.Millisecond
	listenRetryMost  = 10 * time.Second
)

// run follows until ctx ends, which is the usual end.
func (l *listener) run(ctx context.Context) error {
	if err := l.load(); err != nil {
		return err
	}
	retry, away, greeted := listenRetryFirst, false, false
	for ctx.Err() == nil {
		page, err := l.poll(ctx, greeted)
		var problem *problemError
		switch {
		case ctx.Err() != nil:
		case errors.As(err, &problem) && problem.Status < 500 && problem.Status != http.StatusTooManyRequests:
			return l.explained(problem)
		case err != nil && !greeted && l.cursor == "" && problem == nil:
			return err // nothing was begun: the address is wrong, or nobody is there
		case err != nil:
			if !away {
				fmt.Fprintf(l.notes, "connection lost: %v\n", err)
			}
			away = true
			_ = pause(ctx, retry) // its only error ends the loop
			retry = min(2*retry, listenRetryMost)
		default:
			if away {
				fmt.Fprintln(l.notes, "connected again")
			}
			if !greeted {
				fmt.Fprintf(l.notes, "listening at %s; Ctrl-C ends\n", l.remote.base)
			}
			retry, away, greeted = listenRetryFirst, false, true
			if err := l.take(ctx, page); err != nil {
				return err
			}
		}
	}
	l.summary()
	return nil
}

// listenPage is what the stream answers. Entities stay as they came.
type listenPage struct {
	Data       []json.RawMessage `json:"data"`
	NextCursor string            `json:"nextCursor"`
}

// poll asks for what is next. The first call does not wait: it finds out where to begin.
func (l *listener) poll(ctx context.Context, wait bool) (*listenPage, error) {
	q := url.Values{}
	for name, values := range l.query {
		q[name] = values
	}
	if l.cursor != "" {
		q.Set("cursor", l.cursor)
		q.Del("since")
	}
	if wait {
		q.Set("wait", listenWait.String())
	}
	ctx, cancel := context.WithTimeout(ctx, listenTimeout)
	defer cancel()
	var page listenPage
	_, err := l.remote.json(ctx, remoteRequest{method: http.MethodGet, path: "/v1/stream?" + q.Encode(), header: http.Header{"Accept": {"application/json"}}}, &page)
	if err == nil && page.NextCursor == "" {
		err = errors.New("the answer has no cursor: is it a Sallyport that can stream?")
	}
	return &page, err
}

// explained adds what can be done about a cursor that does not serve.
func (l *listener) explained(p *problemError) error {
	if p.Field == "cursor" && l.cursorFile != "" {
		p.hint = "remove " + l.cursorFile + ", and begin with --since"
	}
	return p
}

// take prints and forwards events. The cursor is noted when all of them are done: what was
// under way when the process ended comes again.
func (l *listener) take(ctx context.Context, page *listenPage) error {
	for _, raw := range page.Data {
		l.events++
		var e listenedEvent
		if err := json.Unmarshal(raw, &e); err != nil {
			return fmt.Errorf("an event cannot be read: %w", err)
		}
		if l.json {
			var line bytes.Buffer
			if err := json.Compact(&line, raw); err != nil {
				return fmt.Errorf("an event cannot be read: %w", err)
			}
			fmt.Fprintf(l.out, "%s\n", &line)
		} else {
			fmt.Fprintln(l.out, e.line())
		}
		if !l.passOn(ctx, &e) {
			return nil // not all are done: the cursor stays
		}
	}
	l.cursor = page.NextCursor
	return l.save()
}

// passOn forwards one event, unless ctx has ended.
func (l *listener) passOn(ctx context.Context, e *listenedEvent) bool {
	if l.forward == nil {
		return true
	}
	if ctx.Err() != nil {
		return false
	}
	result := l.forward.send(ctx, e.event())
	if l.json {
		fmt.Fprintf(l.notes, "%s %s\n", e.ID, result)
	} else {
		fmt.Fprintf(l.out, "  %s\n", result)
	}
	return ctx.Err() == nil
}

func (l *listener) summary() {
	fmt.Fprintf(l.notes, "%d events", l.events)
	if l.forward != nil {
		fmt.Fprintf(l.notes, ", %d forwarded, %d of them answered with success", l.forward.sent, l.forward.succeeded)
	}
	fmt.Fprintln(l.notes)
}

// load reads where an earlier run ended.
func (l *listener) load() error {
	if l.cursorFile == "" {
		return nil
	}
	b, err := os.ReadFile(l.cursorFile)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("--cursor-file: %w", err)
	}
	l.cursor = strings.TrimSpace(string(b))
	return nil
}

// save replaces the file, so that a crash leaves the old cursor or the new one.
func (l *listener) save() error {
	if l.cursorFile == "" {
		return nil
	}
	f, err := os.CreateTemp(filepath.Dir(l.cursorFile), ".cursor-*")
	if err == nil {
		_, err = fmt.Fprintln(f, l.cursor)
		err = errors.Join(err, f.Close())
	}
	if err == nil {
		err = os.Rename(f.Name(), l.cursorFile)
	}
	if err != nil {
		return fmt.Errorf("--cursor-file: %w", err)
	}
	return nil
}

// listenedEvent is an event as the API shows it.
type listenedEvent struct {
	ID         string          `json:"id"`
	Type       string          `json:"type"`
	EntityID   json.RawMessage `json:"entityId"`
	Entity     json.RawMessage `json:"entity"`
	EntityURL  string          `json:"entityUrl"`
	Timestamp  time.Time       `json:"timestamp"`
	AcceptedAt time.Time       `json:"acceptedAt"`
	Hops       int             `json:"hops"`
}

// entityShown is how much of an entity stands in a line.
const entityShown = 120

func (e *listenedEvent) line() string {
	entity := ""
	if len(e.Entity) > 0 {
		var short bytes.Buffer
		if json.Compact(&short, e.Entity) == nil {
			entity = visible(short.String())
		}
		if r := []rune(entity); len(r) > entityShown {
			entity = string(r[:entityShown]) + "…"
		}
	}
	return strings.TrimRight(fmt.Sprintf("%s  %s  %s  %s", e.AcceptedAt.Local().Format("15:04:05.000"), visible(cmp.Or(e.Type, "?")), visible(e.ID), entity), " ")
}

// event is what a request is made of.
func (e *listenedEvent) event() *hook.Event {
	out := &hook.Event{ID: e.ID, Type: e.Type, EntityURL: e.EntityURL, Timestamp: e.Timestamp, Hops: e.Hops}
	if len(e.Entity) > 0 {
		out.Entity = e.Entity
	}
	if len(e.EntityID) > 0 {
		if json.Unmarshal(e.EntityID, &out.EntityID.Text) != nil {
			out.EntityID = hook.EntityID{Text: string(e.EntityID), Number: true}
		}
	}
	return out
}
