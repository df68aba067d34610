// Package provision keeps the configuration of a workspace in files: it reads a set of files,
// says what would have to change for the workspace to be so, changes it, and writes such files.
//
// What has been read is checked against a JSON Schema that Schema makes of the API's contract,
// so that a file has the fields of the API and no others. Whether a value is right the server
// decides, which is asked with dryRun; its answers come back with the line of the file.
package provision

import (
	"fmt"
	"slices"
	"strings"
)

// Kind is a kind of configuration that files may have.
type Kind struct {
	Field string // in a file, and in front of the code wherever something is named
	Path  string // in the API, below /v1
	Key   string // the field by which it is known
	Input string // schema of the contract for what a client writes
}

// kinds are in the order in which they are applied: what refers comes after what it refers to.
var kinds = []*Kind{
	{Field: "eventTypes", Path: "event-types", Key: "name", Input: "EventTypeInput"},
	{Field: "actions", Path: "actions", Key: "code", Input: "ActionInput"},
	{Field: "incomingWebhooks", Path: "incoming-webhooks", Key: "code", Input: "IncomingWebhookInput"},
	{Field: "webhooks", Path: "webhooks", Key: "code", Input: "WebhookInput"},
}

// Kinds returns all kinds in the order in which they are applied.
func Kinds() []*Kind { return slices.Clone(kinds) }

// KindNamed finds a kind by its name in files or in the API; nil if there is none.
func KindNamed(name string) *Kind {
	for _, k := range kinds {
		if strings.EqualFold(k.Field, name) || k.Path == name {
			return k
		}
	}
	return nil
}

func (k *Kind) order() int { return slices.Index(kinds, k) }

// ManagedBy is the key in an object's metadata that says to which set it belongs.
const ManagedBy = "managed-by"

// Source is a file with its content.
type Source struct {
	Name string
	Text []byte
}

// Place is a line of a file.
type Place struct {
	File string
	Line int // from 1; 0 is the file as a whole
}

func (p Place) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}

// Fault is something wrong in a file.
type Fault struct {
	Place   Place
	Problem string
}

func (f *Fault) Error() string { return f.Place.String() + ": " + f.Problem }

// Faults are several, in the order in which they were found. They are an error of the files,
// not of the server.
type Faults []*Fault

func (f Faults) Error() string {
	if len(f) == 1 {
		return f[0].Error()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d things are wrong", len(f))
	for _, one := range f {
		b.WriteString("\n" + one.Error())
	}
	return b.String()
}

// add notes a fault.
func (f *Faults) add(at Place, format string, args ...any) {
	*f = append(*f, &Fault{Place: at, Problem: fmt.Sprintf(format, args...)})
}

// err is the error that these faults are, nil if there are none.
func (f Faults) err() error {
	if len(f) == 0 {
		return nil
	}
	return f
}
