package hook

import "time"

// Hold is whether the installation accepts and records but sends nothing.
type Hold struct {
	On    bool
	Since time.Time // when that began; zero if it was never on hold
}
