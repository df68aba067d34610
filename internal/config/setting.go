package config

import (
	"cmp"
	"fmt"
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"sallyport/internal/hook"
)

// Setting describes one setting for help texts and tests.
type Setting struct {
	Name    string // environment variable
	Default string // as one would write it; empty: none
	// DefaultText says what an empty default comes to.
	DefaultText string
	Help        string
	Secret      bool // never shown; also readable from the file that Name_FILE names
	Bool        bool // the flag needs no value

	// set stores a value and returns what is wrong with it, or "".
	set func(c *Config, value string) string
}

// Flag is the name of the setting's flag, without dashes: data-dir for SALLYPORT_DATA_DIR.
func (s Setting) Flag() string {
	return strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(s.Name, prefix)), "_", "-")
}

const prefix = "SALLYPORT_"

// Settings returns the description of every setting, in the order of the documentation.
func Settings() []Setting { return slices.Clone(settings) }

// settings is the one table from which flags, variables, defaults, checks and help come.
var settings = []Setting{
	{
		Name: "SALLYPORT_ADDR", Default: ":8080", Help: "address to listen on, `host:port`",
		set: text(func(c *Config) *string { return &c.Addr }, required, address),
	}, {
		Name: "SALLYPORT_ADMIN_ADDR", DefaultText: "same port", Help: "second address for API, docs and metrics; `SALLYPORT_ADDR` then serves only doors and `/healthz`",
		set: text(func(c *Config) *string { return &c.AdminAddr }, address),
	}, {
		Name: "SALLYPORT_DATA_DIR", Default: "./data", Help: "directory of the SQLite database, generated keys and the lock",
		set: text(func(c *Config) *string { return &c.DataDir }, required),
	}, {
		Name: "SALLYPORT_DATABASE_URL", DefaultText: "SQLite in the data directory", Help: "`postgres://user:password@host/database`; several hosts and `target_session_attrs` are allowed", Secret: true,
		set: secret(func(c *Config) *hook.Sensitive { return &c.DatabaseURL }, databaseURL),
	}, {
		Name: "SALLYPORT_BASE_URL", DefaultText: "from the address", Help: "where clients reach this installation, if not at its own address; may have a path",
		set: baseURL,
	}, {
		Name: "SALLYPORT_ADMIN_KEY", DefaultText: "generated", Help: "platform API key of role admin, for set-up by scripts; 32 characters or more", Secret: true,
		set: secret(func(c *Config) *hook.Sensitive { return &c.AdminKey }, adminKey),
	}, {
		Name: "SALLYPORT_ENCRYPTION_KEY", DefaultText: "generated in the data directory", Help: "key that encrypts secrets at rest, 32 bytes as 64 hex digits or base64; the same on every node", Secret: true,
		set: secret(func(c *Config) *hook.Sensitive { return &c.EncryptionKey }, encryptionKey),
	}, {
		Name: "SALLYPORT_EGRESS_ALLOW", DefaultText: "public addresses only", Help: "CIDRs and host names that may be sent to although they are not public, such as `127.0.0.0/8,erp.internal`",
		set: egressAllow,
	}, {
		Name: "SALLYPORT_EGRESS_PROXY", DefaultText: "direct", Help: "HTTP proxy for all sending; it then decides which addresses are reached",
		set: text(func(c *Config) *string { return &c.EgressProxy }, httpURL),
	}, {
		Name: "SALLYPORT_PRESETS_DIR", DefaultText: "those built in", Help: "directory with further verification presets for incoming webhooks, a JSON file each",
		set: text(func(c *Config) *string { return &c.PresetsDir }),
	}, {
		Name: "SALLYPORT_SMTP_URL", DefaultText: "no mail", Help: "mail server of `sendEmail`: `smtp://user:password@host:587` (STARTTLS; `?tls=required`, `optional` or `none`) or `smtps://host`; it may have any address", Secret: true,
		set: secret(func(c *Config) *hook.Sensitive { return &c.SMTPURL }, smtpURL),
	}, {
		Name: "SALLYPORT_MAIL_FROM", DefaultText: "the mail server's user", Help: "address that mail comes from, such as `Sallyport <hooks@example.com>`",
		set: text(func(c *Config) *string { return &c.MailFrom }, mailAddress),
	}, {
		Name: "SALLYPORT_ALERT_EMAILS", DefaultText: "nobody", Help: "addresses that are mailed when a webhook is suspended, deliveries are given up, or a door refuses many, such as `ops@example.com,night@example.com`; a workspace may name others",
		set: alertEmails,
	}, {
		Name: "SALLYPORT_ALERT_REFUSALS", Default: "20", Help: "refused calls at one incoming webhook, within five minutes and on one node, that make an `IncomingWebhook.Refusing`; at most one an hour; 0 for none",
		set: number(func(c *Config) *int { return &c.AlertRefusals }, 0, 1_000_000),
	}, {
		Name: "SALLYPORT_COMMANDS", DefaultText: "none", Help: "YAML or JSON file that declares what `runCommand` may run; nothing else can be run",
		set: text(func(c *Config) *string { return &c.Commands }),
	}, {
		Name: "SALLYPORT_TRUSTED_PROXIES", DefaultText: "none", Help: "CIDRs of proxies whose `X-Forwarded-For` and `Forwarded` are believed",
		set: trustedProxies,
	}, {
		Name: "SALLYPORT_TLS_CERT", DefaultText: "plain HTTP", Help: "PEM file with the certificate chain, to serve TLS without a proxy",
		set: text(func(c *Config) *string { return &c.TLSCert }),
	}, {
		Name: "SALLYPORT_TLS_KEY", Help: "PEM file with the key of that certificate",
		set: text(func(c *Config) *string { return &c.TLSKey }),
	}, {
		Name: "SALLYPORT_NODE_NAME", DefaultText: "host name", Help: "name of this node in logs and in the API",
		set: text(func(c *Config) *string { return &c.NodeName }),
	}, {
		Name: "SALLYPORT_NODE_HEARTBEAT", Default: "2s", Help: "how often a node says that it lives",
		set: duration(func(c *Config) *time.Duration { return &c.NodeHeartbeat }, 50*time.Millisecond, time.Minute),
	}, {
		Name: "SALLYPORT_NODE_DEAD_AFTER", Default: "10s", Help: "silence after which others take over a node's deliveries; at least three heartbeats",
		set: duration(func(c *Config) *time.Duration { return &c.NodeDeadAfter }, 150*time.Millisecond, time.Hour),
	}, {
		Name: "SALLYPORT_MAX_SLOTS", Default: "4096", Help: "requests that one node sends at the same time",
		set: number(func(c *Config) *int { return &c.MaxSlots }, 1, 1<<16),
	}, {
		Name: "SALLYPORT_MAX_STREAMS", Default: "200", Help: "streams (`GET /v1/stream`) that one node serves at the same time; beyond it the workspace with the most gives way to one with fewer",
		set: number(func(c *Config) *int { return &c.MaxStreams }, 0, 1<<16),
	}, {
		Name: "SALLYPORT_SHUTDOWN_GRACE", Default: "25s", Help: "how long a stop waits for requests under way; Kubernetes kills after 30s",
		set: duration(func(c *Config) *time.Duration { return &c.ShutdownGrace }, 0, time.Hour),
	}, {
		Name: "SALLYPORT_EVENT_MAX_BYTES", Default: "1MiB", Help: "largest body of one published event",
		set: size(func(c *Config) *int64 { return &c.EventMaxBytes }, 1<<10, 64<<20),
	}, {
		Name: "SALLYPORT_BATCH_MAX_BYTES", Default: "16MiB", Help: "largest body of one batch",
		set: size(func(c *Config) *int64 { return &c.BatchMaxBytes }, 1<<10, 256<<20),
	}, {
		Name: "SALLYPORT_BATCH_MAX_ITEMS", Default: "1000", Help: "most events in one batch",
		set: number(func(c *Config) *int { return &c.BatchMaxItems }, 1, 10_000),
	}, {
		Name: "SALLYPORT_EVENT_ID_WINDOW", Default: "7d", Help: "how long a repeated event id is recognised as a duplicate",
		set: duration(func(c *Config) *time.Duration { return &c.EventIDWindow }, time.Second, 365*day),
	}, {
		Name: "SALLYPORT_RESPONSE_READ_BYTES", Default: "1MiB", Help: "how much of a receiver's answer is read",
		set: size(func(c *Config) *int64 { return &c.ResponseReadBytes }, 0, 64<<20),
	}, {
		Name: "SALLYPORT_RESPONSE_KEEP_BYTES", Default: "64KiB", Help: "how much of it is kept in the history",
		set: size(func(c *Config) *int64 { return &c.ResponseKeepBytes }, 0, 64<<20),
	}, {
		Name: "SALLYPORT_REQUEST_KEEP_BYTES", Default: "256KiB", Help: "how much of a sent body is kept in the history",
		set: size(func(c *Config) *int64 { return &c.RequestKeepBytes }, 0, 64<<20),
	}, {
		Name: "SALLYPORT_RETENTION", Default: "30d", Help: "how long events, deliveries and attempts are kept; always the last 100 deliveries of each webhook",
		set: duration(func(c *Config) *time.Duration { return &c.Retention }, time.Second, 3650*day),
	}, {
		Name: "SALLYPORT_AUDIT_RETENTION", Default: "365d", Help: "how long the audit log is kept, the installation's and those of workspaces that do not say",
		set: duration(func(c *Config) *time.Duration { return &c.AuditRetention }, 7*day, 3650*day),
	}, {
		Name: "SALLYPORT_MIN_FREE_DISK", Default: "256MiB", Help: "free space below which publishing is refused with 503 (SQLite); 0 turns the guard off",
		set: size(func(c *Config) *int64 { return &c.MinFreeDisk }, 0, 1<<50),
	}, {
		Name: "SALLYPORT_SUSPEND_AFTER", Default: "5d", Help: "a webhook that only failed for so long, ten attempts at least, is suspended",
		set: duration(func(c *Config) *time.Duration { return &c.SuspendAfter }, time.Second, 365*day),
	}, {
		Name: "SALLYPORT_BREAKER_FAILURES", Default: "10", Help: "failures in a row after which a webhook is only probed",
		set: number(func(c *Config) *int { return &c.BreakerFailures }, 1, 1_000_000),
	}, {
		Name: "SALLYPORT_CONNECT_TIMEOUT", Default: "5s", Help: "how long connecting to a receiver may take",
		set: duration(func(c *Config) *time.Duration { return &c.ConnectTimeout }, 10*time.Millisecond, time.Minute),
	}, {
		Name: "SALLYPORT_LOG_LEVEL", Default: "info", Help: "`debug`, `info`, `warn` or `error`",
		set: logLevel,
	}, {
		Name: "SALLYPORT_LOG_FORMAT", DefaultText: "text on a terminal, else json", Help: "`text` or `json`",
		set: logFormat,
	}, {
		Name: "SALLYPORT_DB_MAX_CONNS", Default: "16", Help: "connections to Postgres of one node, at most",
		set: number(func(c *Config) *int { return &c.DBMaxConns }, 4, 1000),
	}, {
		Name: "SALLYPORT_MIGRATE", Default: "false", Help: "apply pending migrations to a used Postgres at start", Bool: true,
		set: boolean(func(c *Config) *bool { return &c.Migrate }),
	}, {
		Name: "SALLYPORT_HOLD", Default: "false", Help: "put the whole installation on hold at start: it accepts and records, and sends nothing until `POST /v1/dispatch/release`", Bool: true,
		set: boolean(func(c *Config) *bool { return &c.Hold }),
	}, {
		Name: "SALLYPORT_PPROF_ADDR", DefaultText: "off", Help: "address for Go's profiler, which has no access control: loopback only",
		set: text(func(c *Config) *string { return &c.PprofAddr }, address, loopback),
	},
}

const day = 24 * time.Hour

// The makers of set functions: one for each type of setting.

func text(field func(*Config) *string, checks ...func(string) string) func(*Config, string) string {
	return func(c *Config, value string) string {
		*field(c) = value
		return firstProblem(value, checks)
	}
}

func secret(field func(*Config) *hook.Sensitive, checks ...func(string) string) func(*Config, string) string {
	return func(c *Config, value string) string {
		*field(c) = hook.Sensitive(value)
		return firstProblem(value, checks)
	}
}

func firstProblem(value string, checks []func(string) string) string {
	for _, check := range checks {
		if problem := check(value); problem != "" {
			return problem
		}
	}
	return ""
}

// span is the problem of every value outside of its limits.
func span[T cmp.Ordered](value, least, most T, format func(T) string) string {
	if value < least || value > most {
		return fmt.Sprintf("must be from %s to %s", format(least), format(most))
	}
	return ""
}

func duration(field func(*Config) *time.Duration, least, most time.Duration) func(*Config, string) string {
	return func(c *Config, value string) string {
		d, err := hook.ParseDuration(value)
		if err != nil {
			return "is " + hook.ErrDuration.Error()
		}
		*field(c) = d
		return span(d, least, most, hook.FormatDuration)
	}
}

func size(field func(*Config) *int64, least, most int64) func(*Config, string) string {
	return func(c *Config, value string) string {
		n, err := ParseSize(value)
		if err != nil {
			return "is " + errSize.Error()
		}
		*field(c) = n
		return span(n, least, most, FormatSize)
	}
}

func number(field func(*Config) *int, least, most int) func(*Config, string) string {
	return func(c *Config, value string) string {
		n, err := strconv.Atoi(value)
		if err != nil {
			return "is not a whole number"
		}
		*field(c) = n
		return span(n, least, most, strconv.Itoa)
	}
}

func boolean(field func(*Config) *bool) func(*Config, string) string {
	return func(c *Config, value string) string {
		b, err := strconv.ParseBool(value)
		if err != nil {
			return "must be true or false"
		}
		*field(c) = b
		return ""
	}
}

// The checks of single settings. Each takes "" for "not set", which only required refuses.

func required(value string) string {
	if value == "" {
		return "must not be empty"
	}
	return ""
}

func address(value string) string {
	if value == "" {
		return ""
	}
	_, port, err := net.SplitHostPort(value)
	if err != nil {
		return "is not host:port, such as :8080 or 127.0.0.1:8080"
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil {
		return "has no port from 0 to 65535"
	} else if n == 0 && port != "0" {
		return "has no port from 0 to 65535"
	}
	return ""
}

func loopback(value string) string {
	if value == "" {
		return ""
	}
	host, _, _ := net.SplitHostPort(value)
	if ip, err := netip.ParseAddr(host); host == "localhost" || err == nil && ip.IsLoopback() {
		return ""
	}
	return "must be on loopback, such as localhost:6060: whoever reaches it reads the memory"
}

func databaseURL(value string) string {
	if value == "" {
		return ""
	}
	// Not url.Parse: several hosts with ports are legal here and not in a URL. The error of pgx
	// is not passed on, because it quotes the value.
	if !strings.HasPrefix(value, "postgres://") && !strings.HasPrefix(value, "postgresql://") {
		return "must begin with postgres:// (leave it out for SQLite)"
	}
	if _, err := pgx.ParseConfig(value); err != nil {
		return "is not a URL that Postgres clients understand; special characters in the password are written %XX"
	}
	return ""
}

func httpURL(value string) string {
	if value == "" {
		return ""
	}
	u, err := url.Parse(value)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return "is not an http:// or https:// URL"
	}
	return ""
}

func smtpURL(value string) string {
	if value == "" {
		return ""
	}
	u, err := url.Parse(value)
	if err != nil || u.Scheme != "smtp" && u.Scheme != "smtps" || u.Hostname() == "" {
		return "is not a URL such as smtp://user:password@mail.example.com:587 or smtps://mail.example.com; special characters in the password are written %XX"
	}
	return ""
}

func mailAddress(value string) string {
	if value == "" {
		return ""
	}
	if _, err := mail.ParseAddress(value); err != nil {
		return "is not an address such as hooks@example.com or Sallyport <hooks@example.com>"
	}
	return ""
}

func alertEmails(c *Config, value string) string {
	c.AlertEmails = nil
	for _, e := range splitList(value) {
		a, err := mail.ParseAddress(e)
		if err != nil {
			return "has " + strconv.Quote(e) + ", which is not an address such as ops@example.com"
		}
		c.AlertEmails = append(c.AlertEmails, a.Address)
	}
	if len(c.AlertEmails) > hook.MaxAlertEmails {
		return fmt.Sprintf("has %d addresses; at most %d are allowed", len(c.AlertEmails), hook.MaxAlertEmails)
	}
	return ""
}

func baseURL(c *Config, value string) string {
	c.BaseURL = strings.TrimRight(value, "/")
	if problem := httpURL(value); problem != "" {
		return problem
	}
	if u, err := url.Parse(value); err == nil && (u.RawQuery != "" || u.Fragment != "" || u.User != nil) {
		return "may have a path, but no user, query or fragment"
	}
	return ""
}

func adminKey(value string) string {
	if value != "" && len([]rune(value)) < 32 {
		return "must have 32 characters or more"
	}
	if strings.ContainsFunc(value, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "must consist of visible ASCII characters, as it travels in a header"
	}
	return ""
}

func encryptionKey(value string) string {
	if value == "" {
		return ""
	}
	if _, err := decodeKey(value); err != nil {
		return err.Error()
	}
	return ""
}

func trustedProxies(c *Config, value string) string {
	c.TrustedProxies = nil
	for _, entry := range splitList(value) {
		p, err := parsePrefix(entry)
		if err != nil {
			return fmt.Sprintf("has %q, which is not a CIDR such as 10.0.0.0/8", entry)
		}
		c.TrustedProxies = append(c.TrustedProxies, p)
	}
	return ""
}

func egressAllow(c *Config, value string) string {
	c.EgressAllow = splitList(value)
	for _, entry := range c.EgressAllow {
		if _, err := parsePrefix(entry); err != nil && !isHostname(entry) {
			return fmt.Sprintf("has %q, which is neither a CIDR such as 127.0.0.0/8 nor a host name (without scheme, port or *)", entry)
		}
	}
	return ""
}

// splitList splits at commas and white space.
func splitList(value string) []string {
	return strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\n' })
}

// isHostname accepts names as DNS knows them, with the underscore that some have; what looks
// like a number must not pass for one, or 10.0.0.300 would.
func isHostname(name string) bool {
	if len(name) > 253 {
		return false
	}
	labels := strings.Split(name, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, r := range label {
			if r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
				return false
			}
		}
	}
	_, err := strconv.Atoi(labels[len(labels)-1])
	return err != nil
}

func logLevel(c *Config, value string) string {
	switch value {
	case "debug", "info", "warn", "error":
		if err := c.LogLevel.UnmarshalText([]byte(value)); err == nil {
			return ""
		}
	}
	return "must be debug, info, warn or error"
}

func logFormat(c *Config, value string) string {
	c.LogFormat = LogFormat(value)
	switch c.LogFormat {
	case "", LogText, LogJSON:
		return ""
	}
	return "must be text or json"
}
