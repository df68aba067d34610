package action

import (
	"context"
	"time"

	"sallyport/internal/hook"
	"sallyport/internal/template"
)

type values = *template.Array

// runner does what one configuration says.
type runner interface {
	// run makes the attempt a. ctx ends with the action's timeout.
	run(ctx context.Context, c *call, a *hook.Attempt)
}

// place is where a configuration stands: in an action, or among a door's post-processors.
type place struct {
	key     placeKey
	version int64
	id      hook.ID // of the action; NoID in a door
	code    string
	kind    hook.ActionType
	config  []byte
	secrets []hook.NamedSecret
	timeout time.Duration
	door    *hook.IncomingWebhook // whose post-processor it is; nil for an action
}

type placeKey struct {
	owner hook.ID
	index int // of a post-processor; -1 for an action
}

// compiled is a configuration made ready to run. It is never changed after.
type compiled struct {
	version      int64
	runner       runner
	uses         uses
	secretValues values
	hidden       []string // spellings of the secrets
}

// compile returns the compiled form of a configuration, kept as long as its version lasts.
func (x *Executor) compile(p place) (*compiled, error) {
	old, ok := x.compiled.Load(p.key)
	if ok && old.(*compiled).version == p.version {
		return old.(*compiled), nil
	}
	b := builder{}
	r := b.build(p.kind, p.config)
	if len(b.faults) > 0 {
		f := b.faults[0]
		return nil, &badTemplate{field: f.Field, text: f.Detail}
	}
	c := &compiled{version: p.version, runner: r, uses: b.uses, hidden: spellings(p.secrets), secretValues: template.NewMap()}
	for _, s := range p.secrets {
		c.secretValues.Set(s.Name, string(s.Value))
	}
	if p.key.owner == hook.NoID {
		return c, nil
	}
	if !ok && x.count.Add(1) > maxCompiled {
		x.compiled.Clear()
		x.count.Store(1)
	}
	x.compiled.Store(p.key, c)
	return c, nil
}

// CheckConfig returns the faults of a configuration for a type of action; its templates may
// name these secrets. Fields are named from the action: config.url.
func CheckConfig(t hook.ActionType, config []byte, secrets []string) []hook.Fault {
	b := builder{secrets: secrets, checks: true}
	b.build(t, config)
	return b.faults
}

// builder reads a configuration and notes what is wrong with it.
type builder struct {
	faults  []hook.Fault
	uses    uses
	secrets []string // that there are
	checks  bool     // whether its templates may name no others
}

func (b *builder) build(t hook.ActionType, config []byte) runner {
	o := b.open("config", config)
	if o == nil {
		return nil
	}
	defer o.done()
	switch t {
	case hook.ActionPublishEvent:
		return newPublishEvent(o)
	case hook.ActionHTTPRequest:
		return newHTTPRequest(o)
	case hook.ActionCreateRecord, hook.ActionUpsertRecord, hook.ActionUpdateRecord, hook.ActionDeleteRecord:
		return newRecord(t, o)
	case hook.ActionSendEmail:
		return newSendEmail(o)
	case hook.ActionRunCommand:
		return newRunCommand(o)
	case hook.ActionSet:
		return newSet(o)
	default:
		b.fault("type", "invalid_format", "there is no action of type "+string(t))
		return nil
	}
}

func (b *builder) fault(field, code, detail string) {
	b.faults = append(b.faults, hook.Fault{Field: field, Code: code, Detail: detail})
}
