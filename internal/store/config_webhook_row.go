package store

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"sallyport/internal/hook"
)

type webhookRow struct {
	ID          rowID `gorm:"primaryKey"`
	WorkspaceID rowID
	Number      int64
	Code        string
	CodeKey     string
	Name        string
	Enabled     bool
	Paused      bool
	Suspended   string
	StateSince  int64
	Config      string
	Metadata    string
	Version     int64
	CreatedAt   int64 `gorm:"autoCreateTime:false"`
	UpdatedAt   int64 `gorm:"autoUpdateTime:false"`
	DeletedAt   *int64
}

func (webhookRow) TableName() string { return "webhooks" }

func (r *webhookRow) place() (workspace, id rowID) { return r.WorkspaceID, r.ID }
func (r *webhookRow) deleted() bool                { return r.DeletedAt != nil }

// webhookConfig is the column config: the specification without what has a column of
// its own, and without secret values; and what came later and needs none. Names are short-lived nowhere: rows written by
// old binaries are read by new ones, so a field may be added but never change meaning.
type webhookConfig struct {
	Description   string           `json:"description,omitempty"`
	URL           string           `json:"url"`
	URLSecret     bool             `json:"urlSecret,omitempty"`
	Method        string           `json:"method"`
	ContentType   string           `json:"contentType"`
	Profile       string           `json:"profile"`
	Signature     *signatureConfig `json:"signature,omitempty"`
	EventTypes    []string         `json:"eventTypes"`
	Filter        string           `json:"filter,omitempty"`
	IncludeEntity bool             `json:"includeEntity"`
	Username      *string          `json:"username,omitempty"` // of basicAuth
	Headers       []headerConfig   `json:"headers,omitempty"`
	MaxAttempts   int              `json:"maxAttempts"`
	Retry         retryConfig      `json:"retry"`
	Timeout       time.Duration    `json:"timeout"` // nanoseconds, as all durations here
	SuccessCodes  []string         `json:"successCodes"`
	MaxInFlight   int              `json:"maxInFlight,omitempty"`
	RateRequests  int              `json:"rateRequests,omitempty"` // 0: no rateLimit
	RatePer       time.Duration    `json:"ratePer,omitempty"`
	Ordering      string           `json:"ordering"`
	MissingSince  int64            `json:"missingSince,omitempty"` // microseconds; 0: as state_since
}

type signatureConfig struct {
	Algorithm string `json:"algorithm"`
	Header    string `json:"header"`
	Encoding  string `json:"encoding"`
	Prefix    string `json:"prefix,omitempty"`
	Content   string `json:"content"`
}

type headerConfig struct {
	Name   string `json:"name"`
	Value  string `json:"value,omitempty"` // of one that is not secret
	Secret bool   `json:"secret,omitempty"`
}

type retryConfig struct {
	Schedule []time.Duration `json:"schedule,omitempty"`
	Initial  time.Duration   `json:"initial,omitempty"` // of exponential
	Factor   float64         `json:"factor,omitempty"`
	Max      time.Duration   `json:"max,omitempty"`
	Interval time.Duration   `json:"interval,omitempty"` // of linear
	Jitter   float64         `json:"jitter,omitempty"`
}

func retryConfigOf(r hook.Retry) retryConfig {
	c := retryConfig{Schedule: r.Schedule, Jitter: r.Jitter}
	if e := r.Exponential; e != nil {
		c.Initial, c.Factor, c.Max = e.Initial, e.Factor, e.Max
	}
	if l := r.Linear; l != nil {
		c.Interval = l.Interval
	}
	return c
}

func (c *retryConfig) noun() hook.Retry {
	r := hook.Retry{Schedule: c.Schedule, Jitter: c.Jitter}
	if c.Initial > 0 {
		r.Exponential = &hook.Exponential{Initial: c.Initial, Factor: c.Factor, Max: c.Max}
	}
	if c.Interval > 0 {
		r.Linear = &hook.Linear{Interval: c.Interval}
	}
	return r
}

// webhookRowOf splits a webhook into its row and its secret values.
func webhookRowOf(w *hook.Webhook) (*webhookRow, []secretValue, error) {
	c := webhookConfig{
		Description: w.Description, URL: w.URL, URLSecret: w.URLSecret, Method: w.Method, ContentType: w.ContentType,
		Profile: w.Profile, EventTypes: w.EventTypes, Filter: w.Filter, IncludeEntity: w.IncludeEntity, MaxAttempts: w.MaxAttempts,
		Timeout: w.Timeout, SuccessCodes: w.SuccessCodes, MaxInFlight: w.MaxInFlight, Ordering: w.Ordering,
		Retry: retryConfigOf(w.Retry),
	}
	if !w.MissingSince.IsZero() {
		c.MissingSince = micros(w.MissingSince)
	}
	if r := w.RateLimit; r != nil {
		c.RateRequests, c.RatePer = r.Requests, r.Per
	}
	if g := w.Signature; g != nil {
		c.Signature = &signatureConfig{g.Algorithm, g.Header, g.Encoding, g.Prefix, g.Content}
	}
	var secrets []secretValue
	for _, x := range w.Secrets {
		secrets = append(secrets, secretValue{id: x.ID, field: fieldSecret, value: string(x.Value), createdAt: x.CreatedAt, expiresAt: x.ExpiresAt})
	}
	if b := w.BasicAuth; b != nil {
		c.Username = &b.Username
		secrets = append(secrets, secretValue{field: fieldPassword, value: string(b.Password)})
	}
	for _, h := range w.Headers {
		x := headerConfig{Name: h.Name, Secret: h.Secret}
		if h.Secret {
			secrets = append(secrets, secretValue{field: fieldHeader, name: strings.ToLower(h.Name), value: string(h.Value)})
		} else {
			x.Value = string(h.Value)
		}
		c.Headers = append(c.Headers, x)
	}
	text, err := json.Marshal(&c)
	if err != nil {
		return nil, nil, fmt.Errorf("encoding webhook %s: %w", w.ID, err)
	}
	return &webhookRow{
		ID: rowID(w.ID), WorkspaceID: rowID(w.Workspace), Number: w.Number, Code: w.Code, CodeKey: codeKey(w.Code), Name: w.Name,
		Enabled: w.Enabled, Paused: w.Paused, Suspended: w.Suspended, StateSince: micros(w.StateSince), Config: string(text),
		Metadata: metadataText(w.Metadata), Version: w.Version, CreatedAt: micros(w.CreatedAt), UpdatedAt: micros(w.UpdatedAt),
		DeletedAt: microsPtr(w.DeletedAt),
	}, secrets, nil
}

// noun joins a row with the rows of its secrets. open tells their values; nil leaves
// them out.
func (r *webhookRow) noun(secrets []secretRow, open opener) (*hook.Webhook, error) {
	var c webhookConfig
	if err := json.Unmarshal([]byte(r.Config), &c); err != nil {
		return nil, fmt.Errorf("webhook %s: configuration: %w", hook.ID(r.ID), err)
	}
	m, err := metadataOf(r.Metadata)
	if err != nil {
		return nil, fmt.Errorf("webhook %s: metadata: %w", hook.ID(r.ID), err)
	}
	w := &hook.Webhook{
		ID: hook.ID(r.ID), Workspace: hook.ID(r.WorkspaceID), Number: r.Number,
		WebhookSpec: hook.WebhookSpec{
			Code: r.Code, Name: r.Name, Description: c.Description, URL: c.URL, URLSecret: c.URLSecret, Method: c.Method,
			ContentType: c.ContentType, Profile: c.Profile, EventTypes: c.EventTypes, Filter: c.Filter, IncludeEntity: c.IncludeEntity,
			Enabled: r.Enabled, MaxAttempts: c.MaxAttempts, Retry: c.Retry.noun(),
			Timeout: c.Timeout, SuccessCodes: c.SuccessCodes, MaxInFlight: c.MaxInFlight, Ordering: c.Ordering, Metadata: m,
		},
		Paused: r.Paused, Suspended: r.Suspended, StateSince: fromMicros(r.StateSince), Version: r.Version,
		CreatedAt: fromMicros(r.CreatedAt), UpdatedAt: fromMicros(r.UpdatedAt), DeletedAt: fromMicrosPtr(r.DeletedAt),
	}
	if w.Misses() { // a binary that does not know the field drops it
		w.MissingSince = fromMicros(cmp.Or(c.MissingSince, r.StateSince))
	}
	if c.RateRequests > 0 {
		w.RateLimit = &hook.RateLimit{Requests: c.RateRequests, Per: c.RatePer}
	}
	if g := c.Signature; g != nil {
		w.Signature = &hook.CustomSignature{Algorithm: g.Algorithm, Header: g.Header, Encoding: g.Encoding, Prefix: g.Prefix, Content: g.Content}
	}
	if c.Username != nil {
		w.BasicAuth = &hook.BasicAuth{Username: *c.Username}
	}
	for _, h := range c.Headers {
		w.Headers = append(w.Headers, hook.Header{Name: h.Name, Value: hook.Sensitive(h.Value), Secret: h.Secret})
	}
	for i := range secrets {
		if err := addSecret(w, &secrets[i], open); err != nil {
			return nil, err
		}
	}
	return w, nil
}

func addSecret(w *hook.Webhook, r *secretRow, open opener) error {
	value := ""
	if open != nil {
		var err error
		if value, err = open(r); err != nil {
			return err
		}
	}
	switch r.Field {
	case fieldSecret:
		w.Secrets = append(w.Secrets, hook.Secret{
			ID: hook.ID(r.ID), Value: hook.Sensitive(value), Hint: r.Hint, Short: r.Short,
			CreatedAt: fromMicros(r.CreatedAt), ExpiresAt: fromMicrosPtr(r.ExpiresAt),
		})
	case fieldPassword:
		if w.BasicAuth != nil {
			w.BasicAuth.Password = hook.Sensitive(value)
		}
	case fieldHeader:
		for i := range w.Headers {
			if w.Headers[i].Secret && strings.ToLower(w.Headers[i].Name) == r.Name {
				w.Headers[i].Value = hook.Sensitive(value)
			}
		}
	}
	return nil
}
