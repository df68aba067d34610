package config_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"sallyport/internal/config"
)

const hexKey = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

// values has, for every setting, values that are accepted and values that are refused. Those
// that other settings limit, too, are chosen to agree with the defaults of these.
var values = map[string]struct{ good, bad []string }{
	"SALLYPORT_ADDR":                {[]string{":8080", "127.0.0.1:0", "[::1]:443", "example.test:80"}, []string{"8080", "localhost", ":65536", ":http", ":", ":00"}},
	"SALLYPORT_ADMIN_ADDR":          {[]string{"127.0.0.1:9090"}, []string{"9090", ":8080"}},
	"SALLYPORT_DATA_DIR":            {[]string{"/var/lib/sallyport"}, nil},
	"SALLYPORT_DATABASE_URL":        {[]string{"postgres://u:p@h:5432/d?sslmode=disable", "postgresql://a,b:5433/d?target_session_attrs=read-write"}, []string{"mysql://h/d", "h/d", "postgres://u:p%@h/d", "postgres://h:port/d"}},
	"SALLYPORT_BASE_URL":            {[]string{"https://hooks.example.test", "http://h:81/path/"}, []string{"hooks.example.test", "ftp://h", "https://h?q=1", "https://u@h", "https://"}},
	"SALLYPORT_ADMIN_KEY":           {[]string{strings.Repeat("k", 32), "sp_" + strings.Repeat("!", 40)}, []string{strings.Repeat("k", 31), strings.Repeat("k", 32) + " ", strings.Repeat("ö", 32)}},
	"SALLYPORT_ENCRYPTION_KEY":      {[]string{hexKey, strings.ToUpper(hexKey), "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8", "__79_Pv6-fj39vX08_Lx8O_u7ezr6uno5-bl5OPi4eA"}, []string{hexKey[:62], hexKey + "20", "not a key", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHg=="}},
	"SALLYPORT_EGRESS_ALLOW":        {[]string{"127.0.0.0/8", "10.0.0.1", "::1", "fd00::/8, erp.internal", "localhost", "a_b.test 10.1.0.0/16"}, []string{"*", "*.internal", "http://h", "h:80", "10.0.0.0/33", "10.0.0.300", "a..b", "-a.b", "::ffff:10.0.0.0/104"}},
	"SALLYPORT_EGRESS_PROXY":        {[]string{"http://proxy:3128"}, []string{"proxy:3128", "socks5://proxy"}},
	"SALLYPORT_PRESETS_DIR":         {[]string{"/etc/sallyport/presets"}, nil},
	"SALLYPORT_SMTP_URL":            {[]string{"smtp://u:p%40@mail.example.com:587", "smtps://mail"}, []string{"mail:25", "http://mail", "smtp://:25", "smtp://u:p%@h"}},
	"SALLYPORT_MAIL_FROM":           {[]string{"a@b.test", "A <a@b.test>"}, []string{"a", "a@b.test, c@d.test"}},
	"SALLYPORT_ALERT_EMAILS":        {nil, []string{"ops", "ops@example.com", strings.Repeat("a@b.test,", 21)}}, // alone; see TestLoadTogether
	"SALLYPORT_ALERT_REFUSALS":      {[]string{"0", "1000000"}, []string{"-1", "1000001", "many"}},
	"SALLYPORT_COMMANDS":            {[]string{"commands.yaml"}, nil},
	"SALLYPORT_TRUSTED_PROXIES":     {[]string{"10.0.0.0/8", "10.0.0.1,::1"}, []string{"proxy.internal", "10.0.0.0/99"}},
	"SALLYPORT_TLS_CERT":            {nil, []string{"cert.pem"}}, // alone; see TestLoadTogether
	"SALLYPORT_TLS_KEY":             {nil, []string{"key.pem"}},
	"SALLYPORT_NODE_NAME":           {[]string{"a"}, nil},
	"SALLYPORT_NODE_HEARTBEAT":      {[]string{"50ms", "3s"}, []string{"2", "0", "49ms", "3334ms", "2m"}},
	"SALLYPORT_NODE_DEAD_AFTER":     {[]string{"6s", "1h"}, []string{"5999ms", "61m", "10"}},
	"SALLYPORT_MAX_SLOTS":           {[]string{"1", "65536"}, []string{"0", "65537", "many", "1.5"}},
	"SALLYPORT_MAX_STREAMS":         {[]string{"0", "65536"}, []string{"-1", "65537", "many"}},
	"SALLYPORT_SHUTDOWN_GRACE":      {[]string{"0", "0s", "1h"}, []string{"-1s", "25", "2h"}},
	"SALLYPORT_EVENT_MAX_BYTES":     {[]string{"1KiB", "16MiB"}, []string{"1023", "17MiB", "1MB", "1 MiB"}},
	"SALLYPORT_BATCH_MAX_BYTES":     {[]string{"1MiB", "256MiB"}, []string{"1023KiB", "1GiB"}},
	"SALLYPORT_BATCH_MAX_ITEMS":     {[]string{"1", "10000"}, []string{"0", "10001"}},
	"SALLYPORT_EVENT_ID_WINDOW":     {[]string{"1s", "365d"}, []string{"0", "366d"}},
	"SALLYPORT_RESPONSE_READ_BYTES": {[]string{"64KiB", "64MiB"}, []string{"63KiB", "65MiB"}},
	"SALLYPORT_RESPONSE_KEEP_BYTES": {[]string{"0", "1MiB"}, []string{"2MiB", "-1"}},
	"SALLYPORT_REQUEST_KEEP_BYTES":  {[]string{"0", "64MiB"}, []string{"65MiB"}},
	"SALLYPORT_RETENTION":           {[]string{"1s", "3650d"}, []string{"0", "10y"}},
	"SALLYPORT_AUDIT_RETENTION":     {[]string{"7d", "3650d"}, []string{"0", "6d"}},
	"SALLYPORT_MIN_FREE_DISK":       {[]string{"0", "10GiB"}, []string{"10%"}},
	"SALLYPORT_SUSPEND_AFTER":       {[]string{"120h"}, []string{"0"}},
	"SALLYPORT_BREAKER_FAILURES":    {[]string{"1"}, []string{"0"}},
	"SALLYPORT_CONNECT_TIMEOUT":     {[]string{"10ms", "1m"}, []string{"9ms", "61s"}},
	"SALLYPORT_LOG_LEVEL":           {[]string{"debug", "info", "warn", "error"}, []string{"trace", "INFO", "info+2"}},
	"SALLYPORT_LOG_FORMAT":          {[]string{"text", "json"}, []string{"logfmt"}},
	"SALLYPORT_DB_MAX_CONNS":        {[]string{"4", "1000"}, []string{"3"}},
	"SALLYPORT_MIGRATE":             {[]string{"true", "false", "1", "0"}, []string{"yes"}},
	"SALLYPORT_HOLD":                {[]string{"true", "false"}, []string{"on"}},
	"SALLYPORT_PPROF_ADDR":          {[]string{"localhost:6060", "127.0.0.1:0", "[::1]:6060"}, []string{":6060", "0.0.0.0:6060", "6060"}},
}

func TestEverySetting(t *testing.T) {
	t.Parallel()
	for _, s := range config.Settings() {
		cases, ok := values[s.Name]
		if !ok {
			t.Errorf("%s has no values to try here", s.Name)
		}
		for _, good := range cases.good {
			if _, err := config.Load([]string{s.Name + "=" + good}, nil); err != nil {
				t.Errorf("%s=%s is refused: %v", s.Name, good, err)
			}
			if _, err := config.Load(nil, map[string]string{s.Flag(): good}); err != nil {
				t.Errorf("--%s=%s is refused: %v", s.Flag(), good, err)
			}
		}
		for _, bad := range cases.bad {
			_, err := config.Load([]string{s.Name + "=" + bad}, nil)
			var fault *config.Fault
			if !errors.As(err, &fault) {
				t.Errorf("%s=%s is accepted", s.Name, bad)
				continue
			}
			if s.Secret && strings.Contains(err.Error(), bad) {
				t.Errorf("the error shows a secret: %v", err)
			}
			// A fault between two settings may stand under the other's name.
			if !strings.Contains(err.Error(), s.Name) {
				t.Errorf("%s=%s: the error does not name it: %v", s.Name, bad, err)
			}
			if !s.Secret && fault.Name == s.Name && fault.Value != bad && !strings.Contains(s.Name, "BYTES") {
				t.Errorf("%s=%s: the error has the value %q", s.Name, bad, fault.Value)
			}
			if _, err := config.Load(nil, map[string]string{s.Flag(): bad}); err == nil {
				t.Errorf("--%s=%s is accepted", s.Flag(), bad)
			}
		}
	}
	if len(values) != len(config.Settings()) {
		t.Error("a setting tried here is none")
	}
}

func TestDefault(t *testing.T) {
	t.Parallel()
	c := config.Default()
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
	loaded, err := config.Load(nil, nil)
	if err != nil || loaded.Addr != ":8080" || loaded.DataDir != "./data" || loaded.Postgres() || loaded.TLS() ||
		loaded.EventMaxBytes != 1<<20 || loaded.BatchMaxBytes != 16<<20 || loaded.ResponseKeepBytes != 64<<10 ||
		loaded.SuspendAfter != 120*time.Hour || loaded.Retention != 30*24*time.Hour || loaded.LogLevel != slog.LevelInfo || loaded.Migrate {
		t.Errorf("defaults are %+v, %v", loaded, err)
	}
	if loaded.NodeName == "" {
		t.Error("the node has no name")
	}
}

func TestLoadReportsEveryFault(t *testing.T) {
	t.Parallel()
	_, err := config.Load([]string{
		"SALLYPORT_ADDR=nowhere", "SALLYPORT_NODE_HEARTBEAT=5s", "SALLYPORT_ADMIN_KEY=short-but-secret", "SALLYPORT_TLS_KEY=key.pem",
	}, map[string]string{"retention": "soon"})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"SALLYPORT_ADDR=nowhere is not host:port", "--retention=soon is not a duration",
		"SALLYPORT_ADMIN_KEY must have 32 characters", "SALLYPORT_NODE_DEAD_AFTER=10s must be at least three times SALLYPORT_NODE_HEARTBEAT (5s)",
		"SALLYPORT_TLS_CERT",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "short-but-secret") {
		t.Errorf("the error shows a secret:\n%v", err)
	}
}

func TestLoadOrder(t *testing.T) {
	t.Parallel()
	c, err := config.Load([]string{"SALLYPORT_ADDR=:1", "SALLYPORT_DATA_DIR=", "SALLYPORT_MAX_SLOTS=7", "OTHER=x"}, map[string]string{"addr": ":2", "check": "true"})
	if err != nil {
		t.Fatal(err)
	}
	if c.Addr != ":2" {
		t.Errorf("Addr = %q: a flag must win over a variable", c.Addr)
	}
	if c.DataDir != "./data" {
		t.Errorf("DataDir = %q: an empty variable counts as not set", c.DataDir)
	}
	if c.MaxSlots != 7 {
		t.Errorf("MaxSlots = %d", c.MaxSlots)
	}
	if _, err := config.Load(nil, map[string]string{"data-dir": ""}); err == nil {
		t.Error("an empty flag is a value, and no directory")
	}
}

func TestLoadTogether(t *testing.T) {
	t.Parallel()
	c, err := config.Load([]string{"SALLYPORT_TLS_CERT=c.pem", "SALLYPORT_TLS_KEY=k.pem"}, nil)
	if err != nil || !c.TLS() {
		t.Errorf("TLS: %v, %v", c.TLS(), err)
	}
	c, err = config.Load([]string{"SALLYPORT_EGRESS_ALLOW=127.0.0.0/8,ERP.internal,10.9.8.7,::1"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(c.EgressPrefixes(), c.EgressHosts()); got != "[127.0.0.0/8 10.9.8.7/32 ::1/128] [erp.internal]" {
		t.Errorf("egress: %s", got)
	}
	c, err = config.Load([]string{"SALLYPORT_ALERT_EMAILS=ops@example.com, night@example.com", "SALLYPORT_SMTP_URL=smtps://mail", "SALLYPORT_MAIL_FROM=a@b.test"}, nil)
	if got := strings.Join(c.AlertEmails, " "); err != nil || got != "ops@example.com night@example.com" {
		t.Errorf("alert mail goes to %s, %v", got, err)
	}
	if _, err = config.Load([]string{"SALLYPORT_ALERT_EMAILS=ops@example.com"}, nil); err == nil || !strings.Contains(err.Error(), "needs a mail server: set SALLYPORT_SMTP_URL") {
		t.Errorf("alert mail without a mail server: %v", err)
	}
	c, err = config.Load([]string{"SALLYPORT_ENCRYPTION_KEY=" + hexKey}, nil)
	if key := c.MasterKey(); err != nil || len(key) != 32 || key[31] != 31 {
		t.Errorf("MasterKey = %x, %v", key, err)
	}
	if config.Default().MasterKey() != nil {
		t.Error("there is a master key that nobody gave")
	}
}

func TestSecretFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	key := strings.Repeat("planted-", 4)
	path := file("key", key+"\r\n")
	for why, load := range map[string]func() (config.Config, error){
		"variable": func() (config.Config, error) { return config.Load([]string{"SALLYPORT_ADMIN_KEY_FILE=" + path}, nil) },
		"flag": func() (config.Config, error) {
			return config.Load([]string{"SALLYPORT_ADMIN_KEY=" + strings.Repeat("other---", 4)}, map[string]string{"admin-key-file": path})
		},
	} {
		if c, err := load(); err != nil || string(c.AdminKey) != key {
			t.Errorf("%s: %q, %v", why, string(c.AdminKey), err)
		}
	}
	for why, env := range map[string][]string{
		"both":    {"SALLYPORT_ADMIN_KEY=" + key, "SALLYPORT_ADMIN_KEY_FILE=" + path},
		"missing": {"SALLYPORT_ADMIN_KEY_FILE=" + filepath.Join(dir, "nothing")},
		"empty":   {"SALLYPORT_ADMIN_KEY_FILE=" + file("empty", "\n")},
		"short":   {"SALLYPORT_ADMIN_KEY_FILE=" + file("short", "planted-short")},
	} {
		_, err := config.Load(env, nil)
		if err == nil || !strings.Contains(err.Error(), "SALLYPORT_ADMIN_KEY_FILE") {
			t.Errorf("%s: %v", why, err)
		} else if strings.Contains(err.Error(), "planted-") {
			t.Errorf("%s: the error shows a secret: %v", why, err)
		}
	}
	if c, err := config.Load([]string{"SALLYPORT_ADDR_FILE=" + path}, nil); err != nil || c.Addr != ":8080" {
		t.Errorf("what is not secret is read from a file: %q, %v", c.Addr, err)
	}
}

func TestSecretsDoNotPrint(t *testing.T) {
	t.Parallel()
	key := strings.Repeat("planted-", 4)
	c, err := config.Load([]string{"SALLYPORT_ADMIN_KEY=" + key, "SALLYPORT_ENCRYPTION_KEY=" + hexKey, "SALLYPORT_DATABASE_URL=postgres://me:planted-password@db.test:5433/hooks?sslmode=disable"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("settings", "config", c, "key", c.AdminKey)
	all := fmt.Sprintf("%v %+v %#v %s %s", c, c, c, log.String(), c.RedactedDatabase())
	for _, planted := range []string{"planted-", hexKey} {
		if strings.Contains(all, planted) {
			t.Errorf("%q is shown in %s", planted, all)
		}
	}
	if got := c.RedactedDatabase(); got != "postgres://db.test:5433/hooks" {
		t.Errorf("RedactedDatabase = %q", got)
	}
}

func TestPublicURL(t *testing.T) {
	t.Parallel()
	tcp := func(ip string) net.Addr { return &net.TCPAddr{IP: net.ParseIP(ip), Port: 8080} }
	plain, tls, based := config.Default(), config.Default(), config.Default()
	tls.TLSCert = "c.pem"
	based.BaseURL = "https://hooks.example.test/in"
	for _, c := range []struct {
		config config.Config
		addr   net.Addr
		want   string
	}{
		{plain, tcp("::"), "http://localhost:8080"},
		{plain, tcp(""), "http://localhost:8080"},
		{plain, tcp("127.0.0.1"), "http://localhost:8080"},
		{plain, tcp("192.0.2.7"), "http://192.0.2.7:8080"},
		{plain, tcp("2001:db8::1"), "http://[2001:db8::1]:8080"},
		{tls, tcp("0.0.0.0"), "https://localhost:8080"},
		{based, tcp("::"), "https://hooks.example.test/in"},
	} {
		if got := c.config.PublicURL(c.addr); got != c.want {
			t.Errorf("PublicURL(%s) = %q, want %q", c.addr, got, c.want)
		}
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	c, err := config.Load([]string{
		"SALLYPORT_ADDDR=:1", "SALLYPORT_ADMIN_KEYFILE=x", "SALLYPORT_KEY=mine", "SALLYPORT_PORT=tcp://10.0.0.1:80",
		"SALLYPORT_SERVICE_HOST=10.0.0.1", "SALLYPORT_TEST_DATABASE_URL=postgres://x", "SALLYPORT_ADDR=:1",
	}, nil)
	want := []string{
		"SALLYPORT_ADDDR is not a setting and has no effect; did you mean SALLYPORT_ADDR?",
		"SALLYPORT_ADMIN_KEYFILE is not a setting and has no effect; did you mean SALLYPORT_ADMIN_KEY_FILE?",
	}
	if err != nil || !slices.Equal(c.Warnings, want) {
		t.Errorf("warnings %q, %v", c.Warnings, err)
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	config.AddFlags(flags)
	if err := flags.Parse([]string{"--migrate", "--addr", ":1", "--retention=2d"}); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(nil, config.FromFlags(flags))
	if err != nil || !c.Migrate || c.Addr != ":1" || c.Retention != 48*time.Hour {
		t.Errorf("%v %q %s, %v", c.Migrate, c.Addr, c.Retention, err)
	}
	some := pflag.NewFlagSet("migrate", pflag.ContinueOnError)
	config.AddFlags(some, "SALLYPORT_DATA_DIR", "SALLYPORT_DATABASE_URL")
	if some.Lookup("data-dir") == nil || some.Lookup("database-url-file") == nil || some.Lookup("addr") != nil {
		t.Error("a command has other flags than those it asked for")
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	help := config.Help()
	for _, s := range config.Settings() {
		if !strings.Contains(help, "--"+s.Flag()) || !strings.Contains(help, s.Name) || s.Default != "" && !strings.Contains(help, "(default "+s.Default+")") {
			t.Errorf("%s is not fully in the help", s.Name)
		}
	}
	if some := config.Help("SALLYPORT_DATA_DIR"); !strings.Contains(some, "--data-dir") || strings.Contains(some, "--addr") {
		t.Errorf("the help of one setting is\n%s", some)
	}
}

// README.md has the table of this package. To bring it up to date after a change here:
// UPDATE_README=1 go test ./internal/config -run README
func TestREADME(t *testing.T) {
	t.Parallel()
	path := filepath.Join("..", "..", "README.md")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begun := strings.Cut(string(content), config.BeginMark+"\n")
	table, after, ended := strings.Cut(rest, config.EndMark)
	if !begun || !ended {
		t.Fatalf("README.md lacks the lines %s and %s", config.BeginMark, config.EndMark)
	}
	if table == config.Markdown() {
		return
	}
	if os.Getenv("UPDATE_README") == "" {
		t.Fatal("the table of settings in README.md is not that of the code; run: UPDATE_README=1 go test ./internal/config -run README")
	}
	updated := before + config.BeginMark + "\n" + config.Markdown() + config.EndMark + after
	if err := os.WriteFile(path, []byte(updated), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestSize(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{"0": 0, "512": 512, "512B": 512, "64KiB": 64 << 10, "1024KiB": 1 << 20, "2GiB": 2 << 30} {
		if got, err := config.ParseSize(text); err != nil || got != want {
			t.Errorf("ParseSize(%q) = %d, %v; want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "KiB", "-1", "+1", "1KB", "1kib", "1K", "1.5MiB", "1 MiB", "9999999999GiB", "1BB"} {
		if got, err := config.ParseSize(text); err == nil {
			t.Errorf("ParseSize(%q) = %d", text, got)
		}
	}
	for n, want := range map[int64]string{0: "0", 1023: "1023", 1024: "1KiB", 1 << 20: "1MiB", 3 << 29: "1536MiB", 1 << 30: "1GiB"} {
		if got := config.FormatSize(n); got != want {
			t.Errorf("FormatSize(%d) = %q, want %q", n, got, want)
		}
	}
}
