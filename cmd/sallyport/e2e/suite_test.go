// Package e2e runs the real program, on both engines, and tests what the contract promises as
// its users see it: callers of the API on one side, receivers on the other.
package e2e

import (
	"sync"
	"testing"
)

// cases are the tests that share one server on each engine; every one has a workspace of its own.
var cases = map[string]func(*world){}

// suite adds tests of one noun to the cases.
func suite(noun string, tests map[string]func(*world)) bool {
	for name, test := range tests {
		cases[noun+"/"+name] = test
	}
	return true
}

// codesSeen has the problem codes that any server of an engine answered.
type codesSeen struct {
	mu    sync.Mutex
	codes map[string]bool
}

func TestContract(t *testing.T) {
	t.Parallel()
	for _, engine := range engines {
		t.Run(engine, func(t *testing.T) {
			t.Parallel()
			s := start(t, engine, "SALLYPORT_EGRESS_ALLOW=127.0.0.0/8")
			seen := &codesSeen{codes: map[string]bool{}}
			t.Run("case", func(t *testing.T) {
				for name, test := range cases {
					t.Run(name, func(t *testing.T) {
						t.Parallel()
						test(newWorld(t, s))
					})
				}
			})
			t.Run("trouble", func(t *testing.T) { testTrouble(t, engine, seen) })
			seen.add(s.validator.Codes())
			t.Run("every problem code was seen", func(t *testing.T) {
				checkCodes(t, engine, seen.codes)
				checkFaults(t, s.validator.Answers())
			})
			t.Run("the audit log is read", func(t *testing.T) { readAuditLog(t, s) })
			s.stop()
			t.Run("no secret shows", func(t *testing.T) { checkSecrets(t, s) })
		})
	}
}

func (c *codesSeen) add(codes []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, code := range codes {
		c.codes[code] = true
	}
}
