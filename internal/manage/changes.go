package manage

import "maps"

// field is one of a resource's fields in a comparison.
type field struct {
	name string
	same bool
}

func same(name string, equal bool) field { return field{name, equal} }

// changes names the fields that differ.
func changes(fields ...field) []string {
	var names []string
	for _, f := range fields {
		if !f.same {
			names = append(names, f.name)
		}
	}
	return names
}

func sameMetadata(a, b map[string]string) bool { return maps.Equal(a, b) }

func samePtr[T comparable](a, b *T) bool { return a == b || a != nil && b != nil && *a == *b }
