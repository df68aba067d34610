package template

// zendSort is PHP's sort: insertion up to 16 elements, else a division around a pivot. What order elements come to
// have whose comparison contradicts itself, such as that of numbers and text, follows from its very steps.
func zendSort(list []int, compare func(a, b int) int) {
	above := func(i, j int) bool { return compare(list[i], list[j]) > 0 }
	for len(list) > 16 {
		n := len(list)
		middle := n / 2
		if n >= 1024 {
			zendSortAt(list, compare, 0, middle/2, middle, middle+middle/2, n-1)
		} else {
			zendSortAt(list, compare, 0, middle, n-1)
		}
		list[1], list[middle] = list[middle], list[1]
		i := divide(list, above)
		list[1], list[i-1] = list[i-1], list[1]
		if i-1 < n-i {
			zendSort(list[:i-1], compare)
			list = list[i:]
		} else {
			zendSort(list[i:], compare)
			list = list[:i-1]
		}
	}
	if len(list) <= 5 {
		at := []int{0, 1, 2, 3, 4}
		zendSortAt(list, compare, at[:len(list)]...)
		return
	}
	insertionSort(list, above)
}

// divide moves what is below the pivot, element 1, before what is above it, and says where that begins.
func divide(list []int, above func(i, j int) bool) int {
	i, j := 2, len(list)-1
	for {
		for above(1, i) {
			if i++; i == j {
				return i
			}
		}
		if j--; j == i {
			return i
		}
		for above(j, 1) {
			if j--; j == i {
				return i
			}
		}
		list[i], list[j] = list[j], list[i]
		if i++; i == j {
			return i
		}
	}
}

// zendSortAt sorts the elements at up to five places.
func zendSortAt(list []int, compare func(a, b int) int, at ...int) {
	above := func(i, j int) bool { return compare(list[at[i]], list[at[j]]) > 0 }
	swap := func(i, j int) { list[at[i]], list[at[j]] = list[at[j]], list[at[i]] }
	switch {
	case len(at) < 2:
	case len(at) == 2:
		if above(0, 1) {
			swap(0, 1)
		}
	case !above(0, 1):
		if above(1, 2) {
			swap(1, 2)
			if above(0, 1) {
				swap(0, 1)
			}
		}
	case !above(2, 1):
		swap(0, 2)
	default:
		swap(0, 1)
		if above(1, 2) {
			swap(1, 2)
		}
	}
	for last := 3; last < len(at); last++ {
		for i := last; i > 0 && above(i-1, i); i-- {
			swap(i-1, i)
		}
	}
}

// insertionSort puts each element into the sorted ones before it: the first six one by one, later ones in steps of two.
func insertionSort(list []int, above func(i, j int) bool) {
	for i := 1; i < len(list); i++ {
		j := i - 1
		if !above(j, i) {
			continue
		}
		if i < 6 {
			for j > 0 && above(j-1, i) {
				j--
			}
		} else {
			j = place(i, above)
		}
		moved := list[i]
		copy(list[j+1:i+1], list[j:i])
		list[j] = moved
	}
}

func place(i int, above func(i, j int) bool) int {
	j := i - 1
	for {
		j -= 2
		switch {
		case !above(j, i):
			if j++; !above(j, i) {
				j++
			}
			return j
		case j == 0:
			return 0
		case j == 1:
			if j = 0; above(i, j) {
				j = 1
			}
			return j
		}
	}
}
