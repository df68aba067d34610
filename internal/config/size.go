package config

import (
	"errors"
	"math"
	"strconv"
	"strings"
)

var errSize = errors.New("not a size such as 512, 64KiB, 1MiB or 2GiB")

// units of sizes, largest first. Only powers of 1024, by their unmistakable names.
var units = []struct {
	name string
	size int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}, {"", 1}}

// ParseSize reads a number of bytes: a whole number with KiB, MiB, GiB, B or nothing behind it.
func ParseSize(s string) (int64, error) {
	digits := strings.TrimRight(s, "KMGiB")
	for _, u := range units {
		if s[len(digits):] != u.name {
			continue
		}
		n, err := strconv.ParseUint(digits, 10, 63)
		if err != nil || int64(n) > math.MaxInt64/u.size {
			return 0, errSize
		}
		return int64(n) * u.size, nil
	}
	return 0, errSize
}

// FormatSize writes a number of bytes with the largest unit that divides it.
func FormatSize(n int64) string {
	for _, u := range units {
		if n != 0 && n%u.size == 0 && u.size > 1 {
			return strconv.FormatInt(n/u.size, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}
