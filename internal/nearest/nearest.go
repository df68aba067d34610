// Package nearest finds the name that a mistyped one probably meant. It is a pure leaf
// library: it imports the standard library only, and any room may import it.
package nearest

import "strings"

// Name returns the name most like s, of equals the first, or "" when none is near enough
// to be meant: more than a third of it would have to change, or nothing of the name would
// be left. Upper and lower case count as the same.
func Name(s string, names []string) string { return Within(len(s)/3+1, s, names) }

// Within is Name with a bound of its own: most bytes may have to be inserted, removed or
// replaced.
func Within(most int, s string, names []string) string {
	best, name := most+1, ""
	lower := strings.ToLower(s)
	for _, n := range names {
		// The length alone rules most of them out; it also bounds what a long s costs.
		if abs(len(s)-len(n)) >= best {
			continue
		}
		if d := distance(lower, strings.ToLower(n)); d < best && d < len(n) {
			best, name = d, n
		}
	}
	return name
}

func abs(n int) int { return max(n, -n) }

// distance is the least number of bytes to insert, remove or replace (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
