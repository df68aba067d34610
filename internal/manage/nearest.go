package manage

import "strings"

// nearest returns the name that was probably meant by s, "" if none is near.
func nearest(s string, names []string) string {
	best, most := "", len(s)/4+2
	for _, n := range names {
		if d := distance(strings.ToLower(s), strings.ToLower(n)); d < most && d < len(n) {
			best, most = n, d
		}
	}
	return best
}

// distance is Levenshtein's, in bytes.
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
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
