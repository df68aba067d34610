package hook

import (
	"strings"
	"sync"
)

// View is a workspace's snapshot made ready for publishing and sending. It is
// immutable but for a memory of which event type goes where.
type View struct {
	Snapshot
	Targets map[ID]*Target

	actions map[string]*Target          // by code in lower case
	doors   map[string]*IncomingWebhook // likewise

	matches sync.Map // event type -> []*Target, at most maxMatches
	mu      sync.Mutex
	count   int
}

// maxMatches bounds the memory of a view: publishers choose the names of types.
const maxMatches = 10_000

// NewView makes a view of a snapshot.
func NewView(s Snapshot) *View {
	v := &View{
		Snapshot: s, Targets: make(map[ID]*Target, len(s.Webhooks)+len(s.Actions)+len(s.Incoming)+1),
		actions: make(map[string]*Target, len(s.Actions)), doors: make(map[string]*IncomingWebhook, len(s.Incoming)),
	}
	for _, w := range s.Webhooks {
		v.Targets[w.ID] = TargetOf(w)
	}
	// There also when nobody gets mail: what was to be mailed before has to end.
	v.Targets[s.Workspace.ID] = TargetOfAlerts(&s.Workspace, &s.Alerts)
	for _, a := range s.Actions {
		t := TargetOfAction(a)
		v.Targets[a.ID], v.actions[strings.ToLower(a.Code)] = t, t
	}
	for _, w := range s.Incoming {
		v.Targets[w.ID], v.doors[strings.ToLower(w.Code)] = TargetOfIncoming(w), w
	}
	return v
}

// Action returns the action with a code, nil if there is none.
func (v *View) Action(code string) *Target { return v.actions[strings.ToLower(code)] }

// Door returns the incoming webhook with a code, nil if there is none.
func (v *View) Door(code string) *IncomingWebhook { return v.doors[strings.ToLower(code)] }

// Match returns the targets that an event of this type becomes deliveries for now.
// The slice is shared: do not change it.
func (v *View) Match(eventType string) []*Target {
	if m, ok := v.matches.Load(eventType); ok {
		return m.([]*Target)
	}
	operational := IsOperational(eventType)
	var m []*Target
	for _, w := range v.Webhooks {
		if !w.Receives() {
			continue
		}
		for _, pattern := range w.EventTypes {
			if MatchType(pattern, eventType, operational) {
				m = append(m, v.Targets[w.ID])
				break
			}
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.count < maxMatches {
		v.count++
		v.matches.Store(eventType, m)
	}
	return m
}
