package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"

	"sallyport/internal/config"
	"sallyport/internal/obs"
)

// newLogger writes to stderr: text if a person looks there, else JSON, unless set.
func newLogger(cfg config.Config, p process) *slog.Logger {
	json := cfg.LogFormat == config.LogJSON
	if cfg.LogFormat == "" {
		json = !terminal(p.stderr)
	}
	return obs.Logger(p.stderr, cfg.LogLevel, json)
}

func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && obs.Terminal(f)
}

// started is what somebody who starts a node wants to know.
type started struct {
	url       string // of the API
	engine    string
	database  string // where it is, without its password
	state     string // of the schema
	sends     string
	key       string // new, else ""
	keyFile   string
	keyGiven  bool
	vaultFile string // with a new encryption key, else ""
	hold      bool   // the installation sends nothing
}

// announce says what runs: a few lines to a person, else one log line for each fact.
func (n *node) announce(ctx context.Context, public, admin net.Listener, p process) {
	s := started{
		url: n.cfg.PublicURL(public.Addr()), engine: n.store.Engine(), database: n.cfg.DataDir + "/sallyport.db",
		key: string(n.keys.Key), keyFile: n.keys.KeyFile, keyGiven: n.cfg.AdminKey != "",
		sends: "public addresses only; for this machine: SALLYPORT_EGRESS_ALLOW=127.0.0.0/8",
	}
	if admin != nil {
		s.url = "http://" + admin.Addr().String()
		if n.cfg.TLS() {
			s.url = "https://" + admin.Addr().String()
		}
	}
	if n.cfg.Postgres() {
		s.database = n.cfg.RedactedDatabase()
	}
	if current, _, _, err := n.store.MigrationStatus(ctx); err == nil {
		s.state = fmt.Sprintf("schema %d", current)
		if n.fresh {
			s.state = "new, " + s.state
		}
	}
	if len(n.cfg.EgressAllow) > 0 {
		s.sends = "public addresses and " + strings.Join(n.cfg.EgressAllow, ", ")
	}
	if n.cfg.EgressProxy != "" {
		s.sends = "whatever the proxy of SALLYPORT_EGRESS_PROXY reaches"
	}
	s.hold = n.worker.Held()
	if n.vault.Generated {
		s.vaultFile = n.vault.KeyFile
	}
	if terminal(p.stdout) {
		s.banner(p.stdout)
	} else {
		s.log(n.log)
	}
}

// banner is for a person at a terminal, the only place where the key is shown: logs are shipped.
func (s started) banner(w io.Writer) {
	fmt.Fprintf(w, "sallyport %s\n", version)
	fmt.Fprintf(w, "  listening   %-30s docs %s/docs   contract %s/openapi.yaml\n", s.url, s.url, s.url)
	fmt.Fprintf(w, "  database    %s %s (%s)\n", s.engine, s.database, s.state)
	if s.vaultFile != "" {
		fmt.Fprintf(w, "  encryption  new key in %s: keep a copy apart from the database; further nodes need it\n", s.vaultFile)
	}
	fmt.Fprintf(w, "  sends to    %s\n", s.sends)
	if s.hold {
		fmt.Fprintln(w, "  on hold     nothing is sent until POST /v1/dispatch/release")
	}
	key := "made before; lost it: sallyport keys create --role admin --platform"
	switch {
	case s.key != "":
		key = fmt.Sprintf("%s (new; also in %s)", s.key, s.keyFile)
	case s.keyGiven:
		key = "as in SALLYPORT_ADMIN_KEY"
	}
	fmt.Fprintf(w, "  admin key   %-48s next: README, \"Five minutes\"\n", key)
}

// log is for everybody else.
func (s started) log(log *slog.Logger) {
	log.Info("listening", "url", s.url, "docs", s.url+"/docs", "version", version)
	log.Info("database", "engine", s.engine, "at", s.database, "state", s.state)
	log.Info("sends_to", "what", s.sends)
	if s.hold {
		log.Warn("on_hold", "note", "nothing is sent until POST /v1/dispatch/release")
	}
	if s.key != "" {
		log.Info("admin_key", "new", true, "file", s.keyFile)
	}
	if s.vaultFile != "" {
		log.Warn("encryption_key", "new", true, "file", s.vaultFile,
			"note", "keep a copy apart from the database; every further node needs it as SALLYPORT_ENCRYPTION_KEY")
	}
}
