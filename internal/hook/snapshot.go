package hook

// Snapshot is the configuration of one workspace at one moment, as publishing and
// sending need it. It is immutable: a change makes a new one.
type Snapshot struct {
	Workspace Workspace
	Version   int64 // of the workspace's configuration
	Webhooks  []*Webhook
	Actions   []*Action // deleted ones left out, as of webhooks
	Incoming  []*IncomingWebhook
	Types     map[string]*EventType
	Alerts    Alerts // the workspace's, or else the installation's
}
