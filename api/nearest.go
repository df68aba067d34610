package api

// nearest returns the name most like s, or "" when none is near enough to be meant:
// more than a third of it would have to change.
func nearest(s string, names []string) string {
	best, name := len(s)/3+1, ""
	for _, n := range names {
		if d := distance(s, n); d < best || d == best && name == "" {
			best, name = d, n
		}
	}
	return name
}

// distance is the least number of bytes to insert, remove or replace (Levenshtein).
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return max(len(a), len(b))
	}
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
