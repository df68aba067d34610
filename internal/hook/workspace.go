package hook

import "time"

// DefaultWorkspace is the code of the workspace that exists from the start.
const DefaultWorkspace = "default"

// Workspace is a tenant: everything but platform keys belongs to one.
type Workspace struct {
	ID        ID
	Code      string
	Name      string
	Strict    bool          // unknown event types are refused instead of added
	Retention time.Duration // of events, deliveries and attempts; 0: the installation's
	// AuditRetention is how long the audit log is kept; 0: the installation's.
	AuditRetention time.Duration
	Limits         Limits
	Alerts         *Alerts // nil: the installation's
	Metadata       map[string]string
	Version        int64 // counts changes, the ETag
	CreatedAt      time.Time
	UpdatedAt      time.Time
}

// Limits bound one workspace; zero means none.
type Limits struct {
	EventsPerSecond   int
	PendingDeliveries int
}

// Role says what an API key may do.
type Role string

// Roles, strongest first.
const (
	RoleAdmin     Role = "admin"     // everything within the workspace
	RoleOperator  Role = "operator"  // read, retry, skip, pause, resume, test
	RolePublisher Role = "publisher" // publish, and read the events it published
	RoleViewer    Role = "viewer"    // read everything but keys
)

// APIKey lets a program in. Only a SHA-256 of the key is stored.
type APIKey struct {
	ID         ID
	Workspace  ID // NoID for a platform key
	Code       string
	Name       string
	Role       Role
	Platform   bool
	Prefix     string // first characters, to recognise it
	Hash       [32]byte
	Metadata   map[string]string
	ExpiresAt  *time.Time
	LastUsedAt *time.Time
	Version    int64
	CreatedAt  time.Time
	UpdatedAt  time.Time
}

// Principal is who makes a call, and in which workspace.
type Principal struct {
	Key           ID
	KeyHash       [32]byte // SHA-256 of the key
	KeyCode       string
	KeyName       string
	Role          Role
	Platform      bool
	Workspace     ID
	WorkspaceCode string
}
