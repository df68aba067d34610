package config

import (
	"fmt"
	"slices"
	"strings"
)

// The marks in README.md between which Markdown's table stands.
const (
	BeginMark = "<!-- settings:begin -->"
	EndMark   = "<!-- settings:end -->"
)

// Markdown is the table of all settings for README.md.
func Markdown() string {
	var b strings.Builder
	b.WriteString("| variable | flag | default | |\n|---|---|---|---|\n")
	for _, s := range settings {
		name, flag := "`"+s.Name+"`", "`--"+s.Flag()+"`"
		if s.Secret {
			name += ", `…_FILE`"
			flag += ", `…-file`"
		}
		fallback := s.DefaultText
		if s.Default != "" {
			fallback = "`" + s.Default + "`"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", name, flag, fallback, s.Help)
	}
	return b.String()
}

// Help is the same table for a terminal, of the settings with these names or of all.
func Help(names ...string) string {
	var b strings.Builder
	b.WriteString("Settings (flag, or environment variable; a flag wins):\n")
	for _, s := range selected(names) {
		value := " value"
		if s.Bool {
			value = ""
		}
		fmt.Fprintf(&b, "\n  --%s%s, %s\n      %s", s.Flag(), value, s.Name, strings.ReplaceAll(s.Help, "`", ""))
		switch {
		case s.Default != "":
			fmt.Fprintf(&b, " (default %s)", s.Default)
		case s.DefaultText != "":
			fmt.Fprintf(&b, " (default: %s)", s.DefaultText)
		}
		b.WriteString("\n")
		if s.Secret {
			fmt.Fprintf(&b, "      or from a file: --%s, %s%s (other users see flags in the process list)\n", flagOfFile(s), s.Name, fileSuffix)
		}
	}
	return b.String()
}

// selected returns the settings with these names, in their order here, or all. A name that no
// setting has is a mistake in the program.
func selected(names []string) []Setting {
	if len(names) == 0 {
		return settings
	}
	var found []Setting
	for _, s := range settings {
		if slices.Contains(names, s.Name) {
			found = append(found, s)
		}
	}
	if len(found) != len(names) {
		panic(fmt.Sprintf("config: not all of %q are settings", names))
	}
	return found
}
