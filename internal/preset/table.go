package preset

import (
	"embed"
	"io/fs"
	"maps"
	"slices"
	"sync"

	"sallyport/internal/hook"
)

//go:embed data/*.json
var data embed.FS

// Table is the presets by name. It does not change once made.
type Table struct{ presets map[string]*hook.Preset }

// Builtin is the table of the presets that come with the binary.
var Builtin = sync.OnceValue(func() *Table {
	builtin, err := fs.Sub(data, "data")
	if err == nil {
		var presets map[string]*hook.Preset
		if presets, err = read(builtin); err == nil {
			return &Table{presets: presets}
		}
	}
	// A test reads them all.
	panic("preset: " + err.Error())
})

// Load returns the built-in presets and those of an operator's directory: each file NAME.json
// of it is the preset NAME, and takes the place of a built-in one of that name. The error
// names every file and field that is wrong. A nil dir has no files.
func Load(dir fs.FS) (*Table, error) {
	t := &Table{presets: maps.Clone(Builtin().presets)}
	if dir == nil {
		return t, nil
	}
	own, err := read(dir)
	if err != nil {
		return nil, err
	}
	for name, p := range own {
		p.Operator = true
		t.presets[name] = p
	}
	return t, nil
}

// Get returns a preset, nil if there is none of that name. Treat it as a constant.
func (t *Table) Get(name string) *hook.Preset { return t.presets[name] }

// All returns the presets by name. Treat them as constants.
func (t *Table) All() []*hook.Preset {
	all := make([]*hook.Preset, 0, len(t.presets))
	for _, name := range t.Names() {
		all = append(all, t.presets[name])
	}
	return all
}

// Names lists the presets.
func (t *Table) Names() []string { return slices.Sorted(maps.Keys(t.presets)) }
