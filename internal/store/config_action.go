package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"

	"sallyport/internal/hook"
)

type actionRow struct {
	ID          rowID `gorm:"primaryKey"`
	WorkspaceID rowID
	Code        string
	CodeKey     string
	Name        string
	Type        string
	Enabled     bool
	Config      string
	Metadata    string
	Version     int64
	CreatedAt   int64 `gorm:"autoCreateTime:false"`
	UpdatedAt   int64 `gorm:"autoUpdateTime:false"`
	DeletedAt   *int64
}

func (actionRow) TableName() string { return "actions" }

func (r *actionRow) place() (workspace, id rowID) { return r.WorkspaceID, r.ID }
func (r *actionRow) deleted() bool                { return r.DeletedAt != nil }

// actionConfig is the column config; see webhookConfig.
type actionConfig struct {
	Description string        `json:"description,omitempty"`
	Config      string        `json:"config"` // JSON in a string, which keeps every byte of it
	Condition   string        `json:"condition,omitempty"`
	MaxAttempts int           `json:"maxAttempts"`
	Retry       retryConfig   `json:"retry"`
	Timeout     time.Duration `json:"timeout"`
}

func actionRowOf(a *hook.Action) (*actionRow, error) {
	text, err := json.Marshal(&actionConfig{
		Description: a.Description, Config: string(a.Config), Condition: a.Condition, MaxAttempts: a.MaxAttempts,
		Retry: retryConfigOf(a.Retry), Timeout: a.Timeout,
	})
	if err != nil {
		return nil, fmt.Errorf("encoding action %s: %w", a.ID, err)
	}
	return &actionRow{
		ID: rowID(a.ID), WorkspaceID: rowID(a.Workspace), Code: a.Code, CodeKey: codeKey(a.Code), Name: a.Name, Type: string(a.Type),
		Enabled: a.Enabled, Config: string(text), Metadata: metadataText(a.Metadata), Version: a.Version,
		CreatedAt: micros(a.CreatedAt), UpdatedAt: micros(a.UpdatedAt), DeletedAt: microsPtr(a.DeletedAt),
	}, nil
}

func (r *actionRow) noun(secrets []secretRow, open opener) (*hook.Action, error) {
	var c actionConfig
	if err := json.Unmarshal([]byte(r.Config), &c); err != nil {
		return nil, fmt.Errorf("action %s: configuration: %w", hook.ID(r.ID), err)
	}
	m, err := metadataOf(r.Metadata)
	if err != nil {
		return nil, fmt.Errorf("action %s: metadata: %w", hook.ID(r.ID), err)
	}
	values, err := named(secrets, open)
	if err != nil {
		return nil, err
	}
	return &hook.Action{
		ID: hook.ID(r.ID), Workspace: hook.ID(r.WorkspaceID),
		ActionSpec: hook.ActionSpec{
			Code: r.Code, Name: r.Name, Description: c.Description, Type: hook.ActionType(r.Type), Config: []byte(c.Config),
			Condition: c.Condition, Enabled: r.Enabled, MaxAttempts: c.MaxAttempts, Retry: c.Retry.noun(), Timeout: c.Timeout, Metadata: m,
		},
		Secrets: values, Version: r.Version,
		CreatedAt: fromMicros(r.CreatedAt), UpdatedAt: fromMicros(r.UpdatedAt), DeletedAt: fromMicrosPtr(r.DeletedAt),
	}, nil
}

// Action returns an action by id or code, without secret values.
func (s *Store) Action(ctx context.Context, workspace hook.ID, ref string) (*hook.Action, error) {
	return one(ctx, s, hook.NotFound("action", ref), func(tx *gorm.DB) (*hook.Action, error) {
		return foundWithSecrets[*actionRow](s, tx, workspace, ref, nil)
	})
}

// Actions lists actions without secret values, and reports whether more follow.
func (s *Store) Actions(ctx context.Context, workspace hook.ID, f hook.ListFilter, p hook.Page) ([]*hook.Action, bool, error) {
	return listingWithSecrets[*actionRow](ctx, s, nil, workspace, f, p)
}

// LoadAction returns an action with its secrets in clear, also a deleted one (which has
// none left), for history and for deliveries that are still under way.
func (s *Store) LoadAction(ctx context.Context, workspace, id hook.ID) (*hook.Action, error) {
	return loaded[*actionRow](ctx, s, hook.NotFound("action", id.String()), workspace, id)
}

// EditAction lets decide make the next state of an action; see EditWebhook.
func (s *Store) EditAction(ctx context.Context, workspace hook.ID, ref string, dry bool, decide func(hook.ActionScene) (*hook.Action, error)) (*hook.Action, error) {
	return editing(ctx, s, workspace, dry, func(tx *gorm.DB) (cur, next *hook.Action, err error) {
		w, err := workspaceIn(tx, workspace)
		if err != nil {
			return nil, nil, err
		}
		if ref != "" {
			if cur, err = foundWithSecrets[*actionRow](s, tx, workspace, ref, s.openSecret); err != nil {
				return nil, nil, err
			}
		}
		scene := hook.ActionScene{Current: cur, Scene: hook.Scene{
			Workspace: *w, Now: s.now(), CodeOwner: codeOwner(tx, &actionRow{}, &workspace, true),
		}}
		if scene.Actions, err = s.actionsByCode(tx, workspace); err != nil {
			return nil, nil, err
		}
		if cur != nil {
			if scene.UsedBy, err = s.usersOf(tx, cur, scene.Actions); err != nil {
				return nil, nil, err
			}
		}
		if next, err = decide(scene); err != nil || next == nil {
			return cur, nil, err
		}
		next.Workspace, next.UpdatedAt = workspace, scene.Now
		if cur == nil {
			next.ID, next.Version, next.CreatedAt = s.ids.New(), 1, scene.Now
		} else {
			next.ID, next.CreatedAt, next.Version = cur.ID, cur.CreatedAt, cur.Version+1
		}
		hinted(next.Secrets)
		row, err := actionRowOf(next)
		if err != nil {
			return nil, nil, err
		}
		return cur, next, s.save(tx, row, cur == nil, namedValues(next.Secrets), next.UpdatedAt)
	})
}

// actionsByCode returns a workspace's actions by code in lower case, without secret values.
func (s *Store) actionsByCode(tx *gorm.DB, workspace hook.ID) (map[string]*hook.Action, error) {
	list, err := allWithSecrets[*actionRow](s, tx, workspace, nil)
	if err != nil {
		return nil, err
	}
	out := make(map[string]*hook.Action, len(list))
	for _, a := range list {
		out[codeKey(a.Code)] = a
	}
	return out, nil
}

// usersOf names what refers to an action, which must not be deleted then.
func (s *Store) usersOf(tx *gorm.DB, a *hook.Action, actions map[string]*hook.Action) ([]string, error) {
	var users []string
	is := func(code string) bool { return strings.EqualFold(code, a.Code) }
	doors, err := allWithSecrets[*incomingRow](s, tx, a.Workspace, nil)
	if err != nil {
		return nil, err
	}
	for _, d := range doors {
		for _, r := range d.Routes {
			if is(r.Action) {
				users = append(users, fmt.Sprintf("incoming webhook %s, route %s", d.Code, r.Name))
			}
		}
		for i, p := range d.PostProcessors {
			if p.Type == hook.PostAction && is(p.Action) {
				users = append(users, fmt.Sprintf("incoming webhook %s, postProcessors[%d]", d.Code, i))
			}
		}
	}
	var sets []string
	for _, set := range actions {
		if slices.ContainsFunc(set.Members(), is) {
			sets = append(sets, "action "+set.Code)
		}
	}
	slices.Sort(sets)
	return append(users, sets...), nil
}
