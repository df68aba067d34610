package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is the release; a build from a tag replaces it through -ldflags.
var version = "0.1.0"

func newVersion(p process) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version of this program",
		GroupID: groupTry,
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			fmt.Fprintf(p.stdout, "sallyport %s%s\n", version, buildDetails())
			return nil
		},
	}
}

// buildDetails says from what and with what the program was built, as far as that is known.
func buildDetails() string {
	details := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		modified := ""
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				details += "commit " + s.Value[:min(12, len(s.Value))]
			case "vcs.modified":
				if s.Value == "true" {
					modified = " (modified)"
				}
			}
		}
		if details != "" {
			details += modified + ", "
		}
	}
	return fmt.Sprintf(" (%s%s, %s/%s)", details, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
