package store

import (
	"encoding/json"
	"fmt"
	"time"

	"sallyport/internal/hook"
)

type incomingRow struct {
	ID          rowID `gorm:"primaryKey"`
	WorkspaceID rowID
	Code        string
	CodeKey     string
	Name        string
	Enabled     bool
	Config      string
	Metadata    string
	Version     int64
	CreatedAt   int64 `gorm:"autoCreateTime:false"`
	UpdatedAt   int64 `gorm:"autoUpdateTime:false"`
	DeletedAt   *int64
}

func (incomingRow) TableName() string { return "incoming_webhooks" }

func (r *incomingRow) place() (workspace, id rowID) { return r.WorkspaceID, r.ID }
func (r *incomingRow) deleted() bool                { return r.DeletedAt != nil }

// incomingConfig is the column config; see webhookConfig. JSON within it lies in strings,
// which keep every byte.
type incomingConfig struct {
	Description    string                `json:"description,omitempty"`
	Methods        []string              `json:"methods"`
	Profile        string                `json:"profile"`
	IPAllowList    []string              `json:"ipAllowList,omitempty"`
	HashTimezone   string                `json:"hashTimezone"`
	HashTolerance  time.Duration         `json:"hashTolerance"`
	HashIn         string                `json:"hashIn"`
	HashName       string                `json:"hashName"`
	PreProcessors  []preProcessorConfig  `json:"preProcessors,omitempty"`
	Parser         parserConfig          `json:"parser"`
	Routes         []routeConfig         `json:"routes,omitempty"`
	PostProcessors []postProcessorConfig `json:"postProcessors,omitempty"`
	Dedupe         *dedupeConfig         `json:"dedupe,omitempty"`
	RateRequests   int                   `json:"rateRequests,omitempty"` // 0: no rateLimit
	RatePer        time.Duration         `json:"ratePer,omitempty"`
	MaxBodyBytes   int64                 `json:"maxBodyBytes"`
	BodyTimeout    time.Duration         `json:"bodyTimeout"`
	Logging        string                `json:"logging"`
	Response       doorResponseConfig    `json:"response"`
	Refusal        string                `json:"refusal"`
}

type preProcessorConfig struct {
	Name      string         `json:"name"`
	Type      string         `json:"type"`
	Header    string         `json:"header,omitempty"`
	Parameter string         `json:"parameter,omitempty"`
	Path      string         `json:"path,omitempty"`
	Equals    *string        `json:"equals,omitempty"`
	Matches   string         `json:"matches,omitempty"`
	Username  string         `json:"username,omitempty"`
	Secrets   []string       `json:"secrets,omitempty"` // names
	Allow     []string       `json:"allow,omitempty"`
	Schema    string         `json:"schema,omitempty"`
	Condition string         `json:"condition,omitempty"`
	Preset    string         `json:"preset,omitempty"`
	Signature string         `json:"signature,omitempty"`
	Tolerance *time.Duration `json:"tolerance,omitempty"`
	Handshake []string       `json:"handshake,omitempty"` // names of secrets
}

type parserConfig struct {
	Type        string   `json:"type"`
	Delimiter   string   `json:"delimiter,omitempty"`
	Enclosure   string   `json:"enclosure,omitempty"`
	Escape      string   `json:"escape,omitempty"`
	Header      bool     `json:"header"`
	Columns     []string `json:"columns,omitempty"`
	Encoding    string   `json:"encoding,omitempty"`
	Items       string   `json:"items,omitempty"`
	Split       bool     `json:"split"`
	MaxItems    int      `json:"maxItems"`
	OnItemError string   `json:"onItemError"`
}

type routeConfig struct {
	Name      string        `json:"name"`
	Action    string        `json:"action"`
	Condition string        `json:"condition,omitempty"`
	Parser    *parserConfig `json:"parser,omitempty"`
	Transform string        `json:"transform,omitempty"`
}

type postProcessorConfig struct {
	Type   string `json:"type"`
	Config string `json:"config,omitempty"`
	Action string `json:"action,omitempty"`
}

type dedupeConfig struct {
	Key         string        `json:"key"`
	Window      time.Duration `json:"window"`
	OnDuplicate string        `json:"onDuplicate"`
}

type doorResponseConfig struct {
	Mode    string         `json:"mode"`
	Status  int            `json:"status"`
	Headers []headerConfig `json:"headers,omitempty"`
	Body    *string        `json:"body,omitempty"`
	Timeout time.Duration  `json:"timeout"`
}

// incomingRowOf splits an incoming webhook into its row and its secret values.
func incomingRowOf(w *hook.IncomingWebhook) (*incomingRow, []secretValue, error) {
	c := incomingConfig{
		Description: w.Description, Methods: w.Methods, Profile: w.Profile, IPAllowList: w.IPAllowList, HashTimezone: w.HashTimezone,
		HashTolerance: w.HashTolerance, HashIn: w.HashIn.In, HashName: w.HashIn.Name, Parser: parserConfig(w.Parser),
		MaxBodyBytes: w.MaxBodyBytes, BodyTimeout: w.BodyTimeout, Logging: w.Logging, Refusal: w.Refusal,
		Response: doorResponseConfig{Mode: w.Response.Mode, Status: w.Response.Status, Body: w.Response.Body, Timeout: w.Response.Timeout},
	}
	for _, p := range w.PreProcessors {
		c.PreProcessors = append(c.PreProcessors, preProcessorConfig{
			Name: p.Name, Type: p.Type, Header: p.Header, Parameter: p.Parameter, Path: p.Path, Equals: p.Equals, Matches: p.Matches,
			Username: p.Username, Secrets: p.Secrets, Allow: p.Allow, Schema: string(p.Schema), Condition: p.Condition, Preset: p.Preset,
			Signature: string(p.Signature), Tolerance: p.Tolerance, Handshake: p.Handshake,
		})
	}
	for _, r := range w.Routes {
		c.Routes = append(c.Routes, routeConfig{r.Name, r.Action, r.Condition, (*parserConfig)(r.Parser), r.Transform})
	}
	for _, p := range w.PostProcessors {
		c.PostProcessors = append(c.PostProcessors, postProcessorConfig{p.Type, string(p.Config), p.Action})
	}
	if w.Dedupe != nil {
		d := dedupeConfig(*w.Dedupe)
		c.Dedupe = &d
	}
	if r := w.RateLimit; r != nil {
		c.RateRequests, c.RatePer = r.Requests, r.Per
	}
	for _, h := range w.Response.Headers {
		c.Response.Headers = append(c.Response.Headers, headerConfig{Name: h.Name, Value: string(h.Value)})
	}
	text, err := json.Marshal(&c)
	if err != nil {
		return nil, nil, fmt.Errorf("encoding incoming webhook %s: %w", w.ID, err)
	}
	secrets := namedValues(w.Secrets)
	if w.Hash != "" {
		secrets = append(secrets, secretValue{field: fieldHash, value: string(w.Hash)})
	}
	return &incomingRow{
		ID: rowID(w.ID), WorkspaceID: rowID(w.Workspace), Code: w.Code, CodeKey: codeKey(w.Code), Name: w.Name, Enabled: w.Enabled,
		Config: string(text), Metadata: metadataText(w.Metadata), Version: w.Version,
		CreatedAt: micros(w.CreatedAt), UpdatedAt: micros(w.UpdatedAt), DeletedAt: microsPtr(w.DeletedAt),
	}, secrets, nil
}

func (r *incomingRow) noun(secrets []secretRow, open opener) (*hook.IncomingWebhook, error) {
	var c incomingConfig
	if err := json.Unmarshal([]byte(r.Config), &c); err != nil {
		return nil, fmt.Errorf("incoming webhook %s: configuration: %w", hook.ID(r.ID), err)
	}
	m, err := metadataOf(r.Metadata)
	if err != nil {
		return nil, fmt.Errorf("incoming webhook %s: metadata: %w", hook.ID(r.ID), err)
	}
	w := &hook.IncomingWebhook{
		ID: hook.ID(r.ID), Workspace: hook.ID(r.WorkspaceID), IncomingSpec: c.spec(), Version: r.Version,
		CreatedAt: fromMicros(r.CreatedAt), UpdatedAt: fromMicros(r.UpdatedAt), DeletedAt: fromMicrosPtr(r.DeletedAt),
	}
	w.Code, w.Name, w.Enabled, w.Metadata = r.Code, r.Name, r.Enabled, m
	if w.Secrets, err = named(secrets, open); err != nil {
		return nil, err
	}
	for i := range secrets {
		if secrets[i].Field == fieldHash && open != nil {
			value, err := open(&secrets[i])
			if err != nil {
				return nil, err
			}
			w.Hash = hook.Sensitive(value)
		}
	}
	return w, nil
}

// spec is the specification but for what has columns of its own.
func (c *incomingConfig) spec() hook.IncomingSpec {
	s := hook.IncomingSpec{
		Description: c.Description, Methods: c.Methods, Profile: c.Profile, IPAllowList: c.IPAllowList, HashTimezone: c.HashTimezone,
		HashTolerance: c.HashTolerance, HashIn: hook.HashPlace{In: c.HashIn, Name: c.HashName}, Parser: hook.Parser(c.Parser),
		MaxBodyBytes: c.MaxBodyBytes, BodyTimeout: c.BodyTimeout, Logging: c.Logging, Refusal: c.Refusal,
		Response: hook.DoorResponse{Mode: c.Response.Mode, Status: c.Response.Status, Body: c.Response.Body, Timeout: c.Response.Timeout},
	}
	for _, p := range c.PreProcessors {
		s.PreProcessors = append(s.PreProcessors, hook.PreProcessor{
			Name: p.Name, Type: p.Type, Header: p.Header, Parameter: p.Parameter, Path: p.Path, Equals: p.Equals, Matches: p.Matches,
			Username: p.Username, Secrets: p.Secrets, Allow: p.Allow, Schema: bytesOf(p.Schema), Condition: p.Condition, Preset: p.Preset,
			Signature: bytesOf(p.Signature), Tolerance: p.Tolerance, Handshake: p.Handshake,
		})
	}
	for _, r := range c.Routes {
		s.Routes = append(s.Routes, hook.Route{Name: r.Name, Action: r.Action, Condition: r.Condition, Parser: (*hook.Parser)(r.Parser), Transform: r.Transform})
	}
	for _, p := range c.PostProcessors {
		s.PostProcessors = append(s.PostProcessors, hook.PostProcessor{Type: p.Type, Config: bytesOf(p.Config), Action: p.Action})
	}
	if c.Dedupe != nil {
		d := hook.Dedupe(*c.Dedupe)
		s.Dedupe = &d
	}
	if c.RateRequests > 0 {
		s.RateLimit = &hook.RateLimit{Requests: c.RateRequests, Per: c.RatePer}
	}
	for _, h := range c.Response.Headers {
		s.Response.Headers = append(s.Response.Headers, hook.Header{Name: h.Name, Value: hook.Sensitive(h.Value)})
	}
	return s
}

// bytesOf is nil for none.
func bytesOf(s string) []byte {
	if s == "" {
		return nil
	}
	return []byte(s)
}
