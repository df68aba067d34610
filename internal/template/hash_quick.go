package template

import (
	"encoding/binary"
	"hash"
	mathbits "math/bits" // bits is one of the operators here
)

// PHP's hashes that are quick and no cryptography, as far as the standard library lacks them.

// wholeHash computes its sum from the whole text, at the end.
type wholeHash struct {
	text []byte
	size int
	sum  func(text []byte) uint64
}

func whole(size int, sum func(text []byte) uint64) func() hash.Hash {
	return func() hash.Hash { return &wholeHash{size: size, sum: sum} }
}

func (h *wholeHash) Write(p []byte) (int, error) {
	h.text = append(h.text, p...)
	return len(p), nil
}

func (h *wholeHash) Sum(b []byte) []byte {
	if h.size == 4 {
		return binary.BigEndian.AppendUint32(b, uint32(h.sum(h.text)))
	}
	return binary.BigEndian.AppendUint64(b, h.sum(h.text))
}

func (h *wholeHash) Reset()         { h.text = nil }
func (h *wholeHash) Size() int      { return h.size }
func (h *wholeHash) BlockSize() int { return 1 }

// joaat is Jenkins's one-at-a-time.
func joaat(text []byte) uint64 {
	var h uint32
	for _, c := range text {
		h += uint32(c)
		h += h << 10
		h ^= h >> 6
	}
	h += h << 3
	h ^= h >> 11
	h += h << 15
	return uint64(h)
}

// murmur3a is MurmurHash3 of 32 bits.
func murmur3a(text []byte) uint64 {
	mix := func(k uint32) uint32 { return mathbits.RotateLeft32(k*0xcc9e2d51, 15) * 0x1b873593 }
	var h uint32
	rest := text
	for ; len(rest) >= 4; rest = rest[4:] {
		h = mathbits.RotateLeft32(h^mix(binary.LittleEndian.Uint32(rest)), 13)*5 + 0xe6546b64
	}
	var tail uint32
	for i, c := range rest {
		tail |= uint32(c) << (8 * i)
	}
	h ^= mix(tail)
	h ^= uint32(len(text))
	h = (h ^ h>>16) * 0x85ebca6b
	h = (h ^ h>>13) * 0xc2b2ae35
	return uint64(h ^ h>>16)
}

func xxh32(text []byte) uint64 {
	const p1, p2, p3, p4, p5 uint32 = 2654435761, 2246822519, 3266489917, 668265263, 374761393
	h, rest := p5, text
	if len(rest) >= 16 {
		p := p1 // a variable, for constants may not overflow
		lanes := [4]uint32{p + p2, p2, 0, -p}
		for ; len(rest) >= 16; rest = rest[16:] {
			for i := range lanes {
				lanes[i] = mathbits.RotateLeft32(lanes[i]+binary.LittleEndian.Uint32(rest[4*i:])*p2, 13) * p1
			}
		}
		h = mathbits.RotateLeft32(lanes[0], 1) + mathbits.RotateLeft32(lanes[1], 7) + mathbits.RotateLeft32(lanes[2], 12) + mathbits.RotateLeft32(lanes[3], 18)
	}
	h += uint32(len(text))
	for ; len(rest) >= 4; rest = rest[4:] {
		h = mathbits.RotateLeft32(h+binary.LittleEndian.Uint32(rest)*p3, 17) * p4
	}
	for _, c := range rest {
		h = mathbits.RotateLeft32(h+uint32(c)*p5, 11) * p1
	}
	h = (h ^ h>>15) * p2
	h = (h ^ h>>13) * p3
	return uint64(h ^ h>>16)
}

func xxh64(text []byte) uint64 {
	const p1, p2, p3, p4, p5 uint64 = 11400714785074694791, 14029467366897019727, 1609587929392839161, 9650029242287828579, 2870177450012600261
	round := func(lane, input uint64) uint64 { return mathbits.RotateLeft64(lane+input*p2, 31) * p1 }
	h, rest := p5, text
	if len(rest) >= 32 {
		p := p1
		lanes := [4]uint64{p + p2, p2, 0, -p}
		for ; len(rest) >= 32; rest = rest[32:] {
			for i := range lanes {
				lanes[i] = round(lanes[i], binary.LittleEndian.Uint64(rest[8*i:]))
			}
		}
		h = mathbits.RotateLeft64(lanes[0], 1) + mathbits.RotateLeft64(lanes[1], 7) + mathbits.RotateLeft64(lanes[2], 12) + mathbits.RotateLeft64(lanes[3], 18)
		for _, lane := range lanes {
			h = (h^round(0, lane))*p1 + p4
		}
	}
	h += uint64(len(text))
	for ; len(rest) >= 8; rest = rest[8:] {
		h = mathbits.RotateLeft64(h^round(0, binary.LittleEndian.Uint64(rest)), 27)*p1 + p4
	}
	if len(rest) >= 4 {
		h = mathbits.RotateLeft64(h^uint64(binary.LittleEndian.Uint32(rest))*p1, 23)*p2 + p3
		rest = rest[4:]
	}
	for _, c := range rest {
		h = mathbits.RotateLeft64(h^uint64(c)*p5, 11) * p1
	}
	h = (h ^ h>>33) * p2
	h = (h ^ h>>29) * p3
	return h ^ h>>32
}
