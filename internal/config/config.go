// Package config holds the settings: each with its name, default, check and line of help, read
// from flags and environment variables. The defaults run on a laptop.
package config

import (
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"sallyport/internal/hook"
)

// Config is every setting of a process. Load returns one that Validate has no fault with.
type Config struct {
	Addr        string
	AdminAddr   string // empty: everything on Addr
	DataDir     string
	DatabaseURL hook.Sensitive // empty: SQLite in DataDir
	BaseURL     string         // without a slash at its end; empty: see PublicURL
	AdminKey    hook.Sensitive
	// EncryptionKey is the text as given; MasterKey decodes it.
	EncryptionKey hook.Sensitive

	EgressAllow    []string // CIDRs and host names; see EgressPrefixes and EgressHosts
	EgressProxy    string
	SMTPURL        hook.Sensitive // empty: no mail
	MailFrom       string
	AlertEmails    []string // addresses; empty: nobody, unless a workspace says otherwise
	AlertRefusals  int      // refused calls of one door within five minutes; 0: never
	Commands       string   // path of their declarations; empty: none can be run
	TrustedProxies []netip.Prefix
	TLSCert        string // paths of PEM files, both or none
	TLSKey         string

	NodeName      string
	NodeHeartbeat time.Duration
	NodeDeadAfter time.Duration
	MaxSlots      int
	MaxStreams    int
	ShutdownGrace time.Duration

	EventMaxBytes     int64
	BatchMaxBytes     int64
	BatchMaxItems     int
	EventIDWindow     time.Duration
	ResponseReadBytes int64
	ResponseKeepBytes int64
	RequestKeepBytes  int64
	Retention         time.Duration
	AuditRetention    time.Duration
	MinFreeDisk       int64

	SuspendAfter    time.Duration
	BreakerFailures int
	ConnectTimeout  time.Duration

	LogLevel   slog.Level
	LogFormat  LogFormat
	DBMaxConns int
	Migrate    bool
	Hold       bool
	PprofAddr  string
	PresetsDir string

	// Warnings are remarks for the log, about nothing that keeps the process from running.
	Warnings []string
}

// LogFormat is how log lines are written.
type LogFormat string

// Formats of the log.
const (
	LogText LogFormat = "text"
	LogJSON LogFormat = "json"
)

// Default returns the settings of a process that was told nothing.
func Default() Config {
	var c Config
	for _, s := range settings {
		if fault := s.set(&c, s.Default); fault != "" {
			panic("default of " + s.Name + ": " + fault)
		}
	}
	c.NodeName = hostname()
	return c
}

// hostname is a name for people; nothing depends on its being unique.
func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "sallyport"
	}
	return name
}

// Postgres reports whether the settings name a Postgres; without it the store is SQLite.
func (c Config) Postgres() bool { return c.DatabaseURL != "" }

// TLS reports whether the process ends TLS itself.
func (c Config) TLS() bool { return c.TLSCert != "" }

// PublicURL is where clients reach the process, without a slash at its end: BaseURL, or what
// follows from the address it listens on (which may have got its port from the system).
func (c Config) PublicURL(listening net.Addr) string {
	if c.BaseURL != "" {
		return c.BaseURL
	}
	scheme := "http"
	if c.TLS() {
		scheme = "https"
	}
	host, port, err := net.SplitHostPort(listening.String())
	if err != nil {
		return scheme + "://" + listening.String()
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && (ip.IsUnspecified() || ip.IsLoopback()) {
		host = "localhost"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

// MasterKey decodes EncryptionKey, which Load has checked; nil if none is set.
func (c Config) MasterKey() []byte {
	key, err := decodeKey(string(c.EncryptionKey))
	if err != nil {
		return nil
	}
	return key
}

// ReadKeyFile reads an encryption key as SALLYPORT_ENCRYPTION_KEY_FILE is read.
func ReadKeyFile(path string) ([]byte, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	key, err := decodeKey(strings.TrimRight(string(content), "\r\n"))
	if err != nil {
		return nil, fmt.Errorf("%s %w", path, err)
	}
	return key, nil
}

// decodeKey reads 32 bytes written as 64 hex digits or as base64 of either alphabet, padded or not.
func decodeKey(text string) ([]byte, error) {
	if key, err := hex.DecodeString(text); err == nil && len(key) == 32 {
		return key, nil
	}
	trimmed := strings.TrimRight(text, "=")
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		if key, err := encoding.DecodeString(trimmed); err == nil && len(key) == 32 {
			return key, nil
		}
	}
	return nil, errors.New("must be 32 bytes as 64 hex digits or base64; make one with: openssl rand -hex 32")
}

// EgressPrefixes are the entries of EgressAllow that are CIDRs or single addresses.
func (c Config) EgressPrefixes() []netip.Prefix {
	var prefixes []netip.Prefix
	for _, entry := range c.EgressAllow {
		if p, err := parsePrefix(entry); err == nil {
			prefixes = append(prefixes, p)
		}
	}
	return prefixes
}

// EgressHosts are the other entries of EgressAllow: host names in lower case.
func (c Config) EgressHosts() []string {
	var hosts []string
	for _, entry := range c.EgressAllow {
		if _, err := parsePrefix(entry); err != nil {
			hosts = append(hosts, strings.ToLower(entry))
		}
	}
	return hosts
}

// parsePrefix reads a CIDR, or one address as the CIDR that holds only it.
func parsePrefix(text string) (netip.Prefix, error) {
	if ip, err := netip.ParseAddr(text); err == nil && ip.Zone() == "" {
		return netip.PrefixFrom(ip.Unmap(), ip.Unmap().BitLen()), nil
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, err
	}
	if p.Addr().Is4In6() {
		return netip.Prefix{}, fmt.Errorf("%s: write the IPv4 form", text)
	}
	return p.Masked(), nil
}

// Validate reports every fault that lies between settings, each with its keys and values; what
// concerns one setting alone is checked when it is read. The error joins one *Fault each.
func (c Config) Validate() error {
	var faults []error
	fault := func(name string, value any, problem string, args ...any) {
		faults = append(faults, &Fault{Name: name, Value: fmt.Sprint(value), Problem: fmt.Sprintf(problem, args...)})
	}
	if c.NodeDeadAfter < 3*c.NodeHeartbeat {
		// One late beat must not look like death.
		fault("SALLYPORT_NODE_DEAD_AFTER", hook.FormatDuration(c.NodeDeadAfter),
			"must be at least three times SALLYPORT_NODE_HEARTBEAT (%s)", hook.FormatDuration(c.NodeHeartbeat))
	}
	if c.BatchMaxBytes < c.EventMaxBytes {
		fault("SALLYPORT_BATCH_MAX_BYTES", FormatSize(c.BatchMaxBytes),
			"must be at least SALLYPORT_EVENT_MAX_BYTES (%s), so that one event fits", FormatSize(c.EventMaxBytes))
	}
	if c.ResponseKeepBytes > c.ResponseReadBytes {
		fault("SALLYPORT_RESPONSE_KEEP_BYTES", FormatSize(c.ResponseKeepBytes),
			"cannot exceed SALLYPORT_RESPONSE_READ_BYTES (%s): only what is read can be kept", FormatSize(c.ResponseReadBytes))
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		fault("SALLYPORT_TLS_CERT", cmp.Or(c.TLSCert, c.TLSKey), "and SALLYPORT_TLS_KEY are set both or not at all")
	}
	if len(c.AlertEmails) > 0 && c.SMTPURL == "" {
		fault("SALLYPORT_ALERT_EMAILS", strings.Join(c.AlertEmails, ","), "needs a mail server: set SALLYPORT_SMTP_URL, and SALLYPORT_MAIL_FROM")
	}
	if c.AdminAddr != "" && c.AdminAddr == c.Addr && !strings.HasSuffix(c.Addr, ":0") {
		fault("SALLYPORT_ADMIN_ADDR", c.AdminAddr, "must differ from SALLYPORT_ADDR; leave it out for one port")
	}
	return errors.Join(faults...)
}

// Fault is what is wrong with one setting.
type Fault struct {
	Name    string // SALLYPORT_...
	Value   string // as given; never that of a secret
	Problem string
}

func (f *Fault) Error() string {
	if f.Value == "" {
		return f.Name + " " + f.Problem
	}
	return fmt.Sprintf("%s=%s %s", f.Name, f.Value, f.Problem)
}

// RedactedDatabase is DatabaseURL for people: host, port and database, without user and password.
func (c Config) RedactedDatabase() string {
	u, err := url.Parse(string(c.DatabaseURL))
	if err != nil {
		return "postgres"
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}
