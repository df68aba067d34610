package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sallyport/internal/config"
)

// level is how bad a finding is.
type level string

const (
	fine level = "ok"
	warn level = "warn" // it works, and may not tomorrow
	fail level = "fail"
)

// finding is what one check found, and what to do about it.
type finding struct {
	Check  string `json:"check"`
	Level  level  `json:"level"`
	Detail string `json:"detail"`
	Advice string `json:"advice,omitempty"`
}

// doctor examines an installation from the host of one of its nodes. It changes nothing.
type doctor struct {
	cfg      config.Config
	p        process
	url      string // a receiver to try, "" for none
	resolver *net.Resolver
	findings []finding
}

func (d *doctor) found(l level, check, advice, detail string, args ...any) {
	d.findings = append(d.findings, finding{check, l, fmt.Sprintf(detail, args...), advice})
}

// doctorTime bounds one check that waits for others.
const doctorTime = 10 * time.Second

func newDoctor(p process) *cobra.Command {
	var asJSON bool
	var target string
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Examine settings, database, clock, DNS, egress, mail and keys, and say what to do",
		Long: `Examine settings, data directory, database, clock, DNS, egress guard, base URL and proxy, mail and keys, as a node with the
same settings on this host would meet them, and say what to do. With --url it also tries whether a receiver can be reached, without
sending a request. It changes nothing and shows no secrets. Exit code 1 if anything fails; warnings do not count.

` + config.Help(),
		GroupID: groupTry,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d := &doctor{p: p, url: target, resolver: net.DefaultResolver}
			d.examine(cmd.Context(), config.FromFlags(cmd.Flags()))
			return report(p.stdout, d.findings, asJSON)
		},
	}
	config.AddFlags(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the findings as JSON")
	cmd.Flags().StringVar(&target, "url", "", "a receiver's URL, to be resolved, judged and connected to")
	return cmd
}

// examine runs every check that the ones before leave sense in.
func (d *doctor) examine(ctx context.Context, flags map[string]string) {
	if !d.settings(flags) {
		return // every other check would follow from the faults
	}
	d.dataDirectory()
	d.files()
	d.openFiles()
	d.certificate()
	d.database(ctx)
	d.dns(ctx)
	d.egress(ctx)
	d.trusted()
	d.server(ctx)
	d.mail(ctx)
}

func (d *doctor) settings(flags map[string]string) bool {
	cfg, err := config.Load(d.p.environ, flags)
	if err != nil {
		for _, fault := range faultsOf(err) {
			d.found(fail, "settings", "`sallyport serve --help` lists all settings", "%v", fault)
		}
		return false
	}
	d.cfg = cfg
	for _, w := range cfg.Warnings {
		d.found(warn, "settings", "correct or remove it", "%s", w)
	}
	if len(cfg.Warnings) == 0 {
		d.found(fine, "settings", "", "in order")
	}
	return true
}

// faultsOf takes joined errors apart.
func faultsOf(err error) []error {
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		return joined.Unwrap()
	}
	return []error{err}
}

// errUnwell ends the command with exit code 1.
var errUnwell = errors.New("something fails; what to do stands beside it")

func report(w io.Writer, findings []finding, asJSON bool) error {
	count := map[level]int{}
	for _, f := range findings {
		count[f.Level]++
	}
	if asJSON {
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if err := e.Encode(map[string]any{"ok": count[fail] == 0, "checks": findings}); err != nil {
			return err
		}
	} else {
		for _, f := range findings {
			fmt.Fprintf(w, "%-5s %-11s %s\n", f.Level, f.Check, strings.ReplaceAll(f.Detail, "\n", "; "))
			if f.Advice != "" {
				fmt.Fprintf(w, "%-17s -> %s\n", "", f.Advice)
			}
		}
		fmt.Fprintf(w, "%d ok, %d to look at, %d wrong\n", count[fine], count[warn], count[fail])
	}
	if count[fail] > 0 {
		return errUnwell
	}
	return nil
}
