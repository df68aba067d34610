package template

import "time"

// What one template may take. Source, output and time are the product's promise; the others stand
// behind them, because a deadline alone cannot stop a value that grows, or a stack that deepens.
const (
	maxSource  = 64 << 10
	maxOutput  = 256 << 10
	maxTime    = 100 * time.Millisecond
	maxSteps   = 500_000  // evaluated nodes and elements touched
	maxString  = 2 << 20  // bytes of one value; bodies of requests are 1 MiB
	maxMemory  = 32 << 20 // bytes of all values made in one rendering
	maxNesting = 100      // brackets, tags, chains of prefix operators
	maxChain   = 400      // a.b.c.d, a + b + c, x|f|g: these nest to the left
	maxDepth   = 128      // calls of macros and blocks, nested values compared
	maxRange   = 50_000   // elements of one range or list
)

// clockEvery is how many steps pass between two looks at the clock.
const clockEvery = 128

// On a busy machine a rendering stands still while others run. What passes between two looks
// beyond a time slice was not its own, and does not count, up to a second in all.
const (
	slice       = 10 * time.Millisecond
	maxForgiven = time.Second
)

// late looks at the clock.
func (r *run) late() bool { return r.lateAfter(slice) }

// lateAfter looks at the clock after what takes no longer than most by itself.
func (r *run) lateAfter(most time.Duration) bool {
	now := time.Now()
	if !r.looked.IsZero() {
		stood := min(now.Sub(r.looked)-most, maxForgiven-r.forgiven)
		if stood > 0 {
			r.forgiven += stood
			r.deadline = r.deadline.Add(stood)
		}
	}
	r.looked = now
	return now.After(r.deadline)
}

func limit(message string) {
	panic(failure{kind: Limit, message: message, pos: -1})
}

// step counts work; n is roughly the number of elements or of dozens of bytes touched.
func (r *run) step(n int) {
	r.steps += n
	r.sinceClock += n
	if r.sinceClock >= clockEvery {
		r.sinceClock = 0
		if r.steps > maxSteps {
			limit("the template takes too many steps")
		}
		if r.late() {
			limit("the template takes longer than " + maxTime.String())
		}
	}
}

// charge accounts for a value of n bytes before it is made.
func (r *run) charge(n int) {
	if n < 0 || n > maxString {
		limit("a value of the template grows too large")
	}
	r.memory += n
	if r.memory > maxMemory {
		limit("the template takes too much memory")
	}
	r.step(1 + n/512)
}

// chargeElements accounts for an array of n elements.
func (r *run) chargeElements(n int) {
	if n < 0 || n > maxRange {
		limit("a list of the template grows too long")
	}
	r.memory += 40 * n
	if r.memory > maxMemory {
		limit("the template takes too much memory")
	}
	r.step(1 + n)
}
