package action

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"sallyport/internal/hook"
)

// SettingCommands names the file in which the operator declares commands.
const SettingCommands = "SALLYPORT_COMMANDS"

// Defaults of a command's declaration.
const (
	defaultOutput = 64 << 10
	maxOutput     = 4 << 20
)

// Commands are those that the operator declared. Nothing else can be run.
type Commands struct {
	byName map[string]*command
}

// command is one declared command, made ready to run.
type command struct {
	name      string
	path      string
	args      []string // before those of an action
	mayArgs   int      // most arguments that an action may add
	pattern   *regexp.Regexp
	env       []string // names of variables that are passed through
	directory string
	timeout   time.Duration // 0: the action's
	maxOutput int
	slots     chan struct{} // as many as may run at once
}

// declaration is a command as the file has it.
type declaration struct {
	Path        string    `yaml:"path"`
	Args        []string  `yaml:"args"`
	AllowArgs   yaml.Node `yaml:"allowArgs"` // true, a number, or a pattern that each must match
	Env         []string  `yaml:"env"`
	Directory   string    `yaml:"directory"`
	Timeout     string    `yaml:"timeout"`
	Concurrency *int      `yaml:"concurrency"`
	MaxOutput   int       `yaml:"maxOutput"`
}

// LoadCommands reads the operator's declarations, YAML or JSON:
//
//	commands:
//	  backup:
//	    path: /usr/local/bin/backup     # absolute
//	    args: [--verbose]               # always first
//	    allowArgs: "[a-z]+"             # true, how many, or what each must match whole; left out: none
//	    env: [PATH, HOME]               # passed through; all else is left out
//	    directory: /var/lib/backup
//	    timeout: 1m                     # if shorter than the action's
//	    concurrency: 1                  # on this node
//	    maxOutput: 65536
//
// Whoever can write the file decides what runs here, so that it must not be writable by all.
func LoadCommands(path string) (*Commands, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o002 != 0 {
		return nil, fmt.Errorf("%s can be written by everybody; chmod o-w it", path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return ParseCommands(text)
}

// ParseCommands reads declarations as LoadCommands does. The error joins every fault.
func ParseCommands(text []byte) (*Commands, error) {
	var file struct {
		Commands map[string]declaration `yaml:"commands"`
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&file); err != nil {
		return nil, fmt.Errorf("reading the commands: %w", err)
	}
	all := &Commands{byName: map[string]*command{}}
	var faults []error
	for name, declared := range file.Commands {
		c, err := declared.command(name)
		if err != nil {
			faults = append(faults, fmt.Errorf("command %s: %w", name, err))
			continue
		}
		all.byName[name] = c
	}
	return all, errors.Join(faults...)
}

func (d *declaration) command(name string) (*command, error) {
	concurrency := 1
	if d.Concurrency != nil {
		concurrency = *d.Concurrency
	}
	c := &command{
		name: name, path: d.Path, args: d.Args, env: d.Env, directory: cmp.Or(d.Directory, os.TempDir()), maxOutput: cmp.Or(d.MaxOutput, defaultOutput),
	}
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if !hook.IsCode(name) {
		fault("its name must be 1 to 64 of A-Z a-z 0-9 _ -")
	}
	switch info, err := os.Stat(d.Path); {
	case !filepath.IsAbs(d.Path):
		fault("path %q must be absolute", d.Path)
	case err != nil:
		fault("path: %w", err)
	case info.IsDir() || info.Mode().Perm()&0o111 == 0:
		fault("path %s cannot be executed", d.Path)
	}
	if info, err := os.Stat(c.directory); err != nil || !info.IsDir() {
		fault("directory %s is none", c.directory)
	}
	if d.Timeout != "" {
		var err error
		if c.timeout, err = hook.ParseDuration(d.Timeout); err != nil || c.timeout <= 0 {
			fault("timeout %q is not a duration such as 30s", d.Timeout)
		}
	}
	if concurrency < 1 || concurrency > 1000 {
		fault("concurrency must be from 1 to 1000")
	} else {
		c.slots = make(chan struct{}, concurrency)
	}
	if c.maxOutput < 0 || c.maxOutput > maxOutput {
		fault("maxOutput must be at most %d", maxOutput)
	}
	for _, v := range d.Env {
		if v == "" || strings.ContainsAny(v, "=\x00") {
			fault("env: %q is not the name of a variable", v)
		}
		if strings.HasPrefix(v, "SALLYPORT_") {
			fault("env: %s is Sallyport's own; it may hold a secret", v)
		}
	}
	if err := c.allow(&d.AllowArgs); err != nil {
		fault("%w", err)
	}
	return c, errors.Join(faults...)
}

// allow reads what arguments an action may add.
func (c *command) allow(n *yaml.Node) error {
	switch n.Tag {
	case "", "!!null":
		return nil
	case "!!bool":
		var yes bool
		if err := n.Decode(&yes); err != nil {
			return err
		}
		if yes {
			c.mayArgs = maxArgs
		}
		return nil
	case "!!int":
		if err := n.Decode(&c.mayArgs); err != nil || c.mayArgs < 0 || c.mayArgs > maxArgs {
			return fmt.Errorf("allowArgs must be at most %d", maxArgs)
		}
		return nil
	case "!!str":
		pattern, err := regexp.Compile(`^(?:` + n.Value + `)$`)
		if err != nil {
			return fmt.Errorf("allowArgs: %w", err)
		}
		c.mayArgs, c.pattern = maxArgs, pattern
		return nil
	}
	return errors.New("allowArgs must be true, a number, or a pattern")
}

// environment is what the command sees: the variables that its declaration names, and facts.
func (c *command) environment(facts []string) []string {
	var env []string
	for _, name := range c.env {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return append(env, facts...)
}
