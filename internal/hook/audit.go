package hook

import (
	"context"
	"time"
)

// AuditAction is what somebody did.
type AuditAction string

// Actions of the audit log. The first three follow from what a change did; the others are
// verbs, which say more than that something was updated.
const (
	AuditCreate AuditAction = "create"
	AuditUpdate AuditAction = "update"
	AuditDelete AuditAction = "delete"

	AuditRotateSecret AuditAction = "rotate_secret"
	AuditDeleteSecret AuditAction = "delete_secret"
	AuditDeleteHash   AuditAction = "delete_hash"
	AuditPause        AuditAction = "pause"
	AuditResume       AuditAction = "resume"
	AuditSuspend      AuditAction = "suspend"
	AuditRetry        AuditAction = "retry"
	AuditSkip         AuditAction = "skip"
	AuditReplay       AuditAction = "replay"
	AuditCancel       AuditAction = "cancel"
	AuditHold         AuditAction = "hold"
	AuditRelease      AuditAction = "release"
)

// AuditKind is what it was done to.
type AuditKind string

// Kinds of resources in the audit log.
const (
	AuditWorkspace    AuditKind = "workspace"
	AuditAPIKey       AuditKind = "apiKey"
	AuditEventType    AuditKind = "eventType"
	AuditWebhook      AuditKind = "webhook"
	AuditIncoming     AuditKind = "incomingWebhook"
	AuditOfAction     AuditKind = "action"
	AuditRecord       AuditKind = "record"
	AuditDelivery     AuditKind = "delivery"
	AuditRequest      AuditKind = "request"
	AuditOfReplay     AuditKind = "replay"
	AuditInstallation AuditKind = "installation"
)

// ActorKind tells who acts: the holder of an API key, Sallyport by itself, or a command on
// the host.
type ActorKind string

// Kinds of actors.
const (
	ActorKey    ActorKind = "apiKey"
	ActorSystem ActorKind = "system"
	ActorCLI    ActorKind = "cli"
)

// Actor is who does something, and how it came here. The zero Actor is Sallyport itself.
type Actor struct {
	Kind          ActorKind
	Key           ID // with its code and name as they were then
	Code          string
	Name          string
	Role          Role
	Command       string // of ActorCLI, such as "sallyport keys create"
	ClientAddress string
	RequestID     ID // the X-Request-Id of the answer
}

type actorKey struct{}

// WithActor says who does what is done with the context.
func WithActor(ctx context.Context, a Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, a)
}

// ActorOf returns who acts; Sallyport itself if nobody was named.
func ActorOf(ctx context.Context) Actor {
	if a, ok := ctx.Value(actorKey{}).(Actor); ok {
		return a
	}
	return Actor{Kind: ActorSystem}
}

type verbKey struct{}

// WithVerb says by which verb a change is made, where it is more than an update.
func WithVerb(ctx context.Context, verb AuditAction) context.Context {
	return context.WithValue(ctx, verbKey{}, verb)
}

// VerbOf returns the verb of a change, "" if none was named.
func VerbOf(ctx context.Context) AuditAction {
	verb, _ := ctx.Value(verbKey{}).(AuditAction)
	return verb
}

// AuditSubject is what a change was made to.
type AuditSubject struct {
	Kind    AuditKind
	ID      ID // NoID for what has none
	Code    string
	Name    string
	Version int64
	Deleted bool // it is a tombstone
}

// Audited is configuration whose changes are on record.
type Audited interface{ AuditSubject() AuditSubject }

// AuditSubject tells what a workspace is in the audit log.
func (w *Workspace) AuditSubject() AuditSubject {
	return AuditSubject{Kind: AuditWorkspace, ID: w.ID, Code: w.Code, Name: w.Name, Version: w.Version}
}

// AuditSubject tells what a key is in the audit log.
func (k *APIKey) AuditSubject() AuditSubject {
	return AuditSubject{Kind: AuditAPIKey, ID: k.ID, Code: k.Code, Name: k.Name, Version: k.Version}
}

// AuditSubject tells what an event type is in the audit log.
func (t *EventType) AuditSubject() AuditSubject {
	return AuditSubject{Kind: AuditEventType, ID: t.ID, Code: t.Name, Name: t.Name, Version: t.Version}
}

// AuditSubject tells what a webhook is in the audit log.
func (w *Webhook) AuditSubject() AuditSubject {
	return AuditSubject{Kind: AuditWebhook, ID: w.ID, Code: w.Code, Name: w.Name, Version: w.Version, Deleted: w.DeletedAt != nil}
}

// AuditSubject tells what an incoming webhook is in the audit log.
func (w *IncomingWebhook) AuditSubject() AuditSubject {
	return AuditSubject{Kind: AuditIncoming, ID: w.ID, Code: w.Code, Name: w.Name, Version: w.Version, Deleted: w.DeletedAt != nil}
}

// AuditSubject tells what an action is in the audit log.
func (a *Action) AuditSubject() AuditSubject {
	return AuditSubject{Kind: AuditOfAction, ID: a.ID, Code: a.Code, Name: a.Name, Version: a.Version, Deleted: a.DeletedAt != nil}
}

// AuditSubject tells what a record is in the audit log: its code is collection/key.
func (r *Record) AuditSubject() AuditSubject {
	return AuditSubject{Kind: AuditRecord, Code: r.Collection + "/" + r.Key, Version: r.Version}
}

// AuditDescription is a change in words: the names of fields that differ, and the resource
// before and after as JSON, nil where there was or is none. There is no secret value in it.
type AuditDescription struct {
	Changed []string
	Before  []byte
	After   []byte
}

// AuditEntry is one row of the audit log. It is never changed.
type AuditEntry struct {
	ID            ID // of the time when it happened
	Workspace     ID // NoID: it is the installation's
	WorkspaceCode string
	Actor         Actor
	Action        AuditAction
	Kind          AuditKind
	Resource      ID
	Code          string
	Name          string
	VersionBefore int64 // 0: there was none
	VersionAfter  int64
	AuditDescription
}

// NewAuditEntry is what a change is on record as. verb is "" for what follows from the
// change; before or after is nil where there was or is nothing.
func NewAuditEntry(verb AuditAction, workspace ID, before, after Audited, d AuditDescription) *AuditEntry {
	e := &AuditEntry{Workspace: workspace, AuditDescription: d}
	set := func(s AuditSubject) { e.Kind, e.Resource, e.Code, e.Name = s.Kind, s.ID, s.Code, s.Name }
	e.Action = AuditUpdate
	if before != nil {
		s := before.AuditSubject()
		set(s)
		e.VersionBefore = s.Version
	} else {
		e.Action = AuditCreate
	}
	gone := after == nil
	if !gone {
		s := after.AuditSubject()
		set(s)
		if gone = s.Deleted; !gone {
			e.VersionAfter = s.Version
		}
	}
	switch {
	case gone:
		e.Action = AuditDelete
	case verb != "":
		e.Action = verb
	}
	return e
}

// AuditScope says whose rows are asked for.
type AuditScope string

// Scopes. The installation's rows about a workspace (that it was made, how it was changed)
// count as the workspace's, too.
const (
	AuditOfWorkspace     AuditScope = "workspace"
	AuditOfInstallation  AuditScope = "installation"
	AuditOfBoth          AuditScope = "both"
	AuditOfAllWorkspaces AuditScope = "all"
)

// AuditFilter selects rows. Zero fields do not restrict; lists are any-of. Since is
// inclusive, Until exclusive.
type AuditFilter struct {
	Scope      AuditScope
	Workspace  ID // for the scopes that have one
	Kinds      []AuditKind
	Actions    []AuditAction
	ActorKinds []ActorKind
	Resource   string // id or code
	Actor      string // id or code of an API key
	RequestID  ID
	Since      time.Time
	Until      time.Time
}
