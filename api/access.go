package api

import (
	"slices"
	"strings"

	"sallyport/internal/hook"
)

// grant says who may call an operation.
type grant struct {
	roles    []hook.Role
	platform bool // only keys of the installation
}

var (
	admins     = grant{roles: []hook.Role{hook.RoleAdmin}}
	operators  = grant{roles: []hook.Role{hook.RoleAdmin, hook.RoleOperator}}
	publishers = grant{roles: []hook.Role{hook.RoleAdmin, hook.RolePublisher}}
	viewers    = grant{roles: []hook.Role{hook.RoleAdmin, hook.RoleOperator, hook.RoleViewer}}
	readers    = grant{roles: []hook.Role{hook.RoleAdmin, hook.RoleOperator, hook.RoleViewer, hook.RolePublisher}}
	owners     = grant{roles: []hook.Role{hook.RoleAdmin}, platform: true}
	overseers  = grant{roles: viewers.roles, platform: true}
	stewards   = grant{roles: operators.roles, platform: true}
)

// access is the only place where roles meet operations. What is not in it is refused.
var access = map[string]grant{
	"GetInfo":  readers,
	"GetStats": viewers,

	"ListWorkspaces":  overseers,
	"GetWorkspace":    overseers,
	"CreateWorkspace": owners,
	"PutWorkspace":    owners,
	"PatchWorkspace":  owners,
	"DeleteWorkspace": owners,

	"ListAPIKeys":  admins,
	"GetAPIKey":    admins,
	"CreateAPIKey": admins,
	"PutAPIKey":    admins,
	"PatchAPIKey":  admins,
	"DeleteAPIKey": admins,

	"ListEventTypes":  viewers,
	"GetEventType":    viewers,
	"CreateEventType": admins,
	"PutEventType":    admins,
	"PatchEventType":  admins,
	"DeleteEventType": admins,

	"PublishEvent":        publishers,
	"PublishEvents":       publishers,
	"ListEvents":          readers,
	"GetEvent":            readers,
	"ListEventDeliveries": viewers,
	"ListEventMatches":    viewers,
	"StreamEvents":        viewers,

	"ListWebhooks":          viewers,
	"GetWebhook":            viewers,
	"GetWebhookHealth":      viewers,
	"ListWebhookDeliveries": viewers,
	"CreateWebhook":         admins,
	"PutWebhook":            admins,
	"PatchWebhook":          admins,
	"DeleteWebhook":         admins,
	"RotateWebhookSecret":   admins,
	"DeleteWebhookSecret":   admins,
	"PauseWebhook":          operators,
	"ResumeWebhook":         operators,
	"TestWebhook":           operators,

	"ListIncomingWebhooks":        viewers,
	"GetIncomingWebhook":          viewers,
	"ListIncomingWebhookRequests": viewers,
	"CreateIncomingWebhook":       admins,
	"PutIncomingWebhook":          admins,
	"PatchIncomingWebhook":        admins,
	"DeleteIncomingWebhook":       admins,
	"DeleteIncomingWebhookHash":   admins,

	"ListActions":          viewers,
	"GetAction":            viewers,
	"ListActionDeliveries": viewers,
	"CreateAction":         admins,
	"PutAction":            admins,
	"PatchAction":          admins,
	"DeleteAction":         admins,
	"TestAction":           admins,

	"ListRequests":   viewers,
	"GetRequest":     viewers,
	"GetRequestBody": viewers,
	"ReplayRequest":  operators,
	"VerifyRequest":  operators,

	"ListPresets": viewers,
	"GetPreset":   viewers,

	"ListCollections": viewers,
	"ListRecords":     viewers,
	"GetRecord":       viewers,
	"PutRecord":       admins,
	"DeleteRecord":    admins,

	"ListDeliveries":         viewers,
	"GetDelivery":            viewers,
	"GetAttemptRequestBody":  viewers,
	"GetAttemptResponseBody": viewers,
	"RetryDelivery":          operators,
	"SkipDelivery":           operators,

	"HoldDispatch":    stewards,
	"ReleaseDispatch": stewards,
	"ListReplays":     viewers,
	"GetReplay":       viewers,
	"CreateReplay":    operators,
	"PauseReplay":     operators,
	"ResumeReplay":    operators,
	"CancelReplay":    operators,

	"RenderTemplate": operators,

	"ListAuditLog": admins,

	"GetMetrics": overseers,
}

// allow reports, as an error, that the principal may not call the operation.
func allow(op string, p hook.Principal) error {
	g := access[op]
	if g.platform && !p.Platform {
		return hook.Errorf(hook.KindForbidden, "this needs a platform key, one that belongs to no workspace")
	}
	if slices.Contains(g.roles, p.Role) {
		return nil
	}
	names := make([]string, 0, len(g.roles))
	for _, r := range g.roles {
		names = append(names, string(r))
	}
	return hook.Errorf(hook.KindForbidden, "this needs a key of role %s; this one's is %s", strings.Join(names, " or "), p.Role)
}

// auditScope is whose rows of the audit log are asked for. Holders of a platform key see
// what is the installation's beside the workspace's, as they do its keys.
func auditScope(p hook.Principal, asked *hook.AuditScope) (hook.AuditScope, error) {
	switch {
	case asked == nil && p.Platform:
		return hook.AuditOfBoth, nil
	case asked == nil:
		return hook.AuditOfWorkspace, nil
	case *asked != hook.AuditOfWorkspace && !p.Platform:
		return "", hook.Errorf(hook.KindForbidden, "scope=%s needs a platform key, one that belongs to no workspace", *asked)
	}
	return *asked, nil
}

// onlySource is the source whose events the principal may read, NoID for all:
// publishers see what they published themselves.
func onlySource(p hook.Principal) hook.ID {
	if p.Role == hook.RolePublisher {
		return p.Key
	}
	return hook.NoID
}
