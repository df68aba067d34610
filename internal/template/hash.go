package template

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha3"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"hash/adler32"
	"hash/crc32"
	"hash/fnv"
	"math/big"
	"strings"

	"github.com/google/uuid"
)

// hashFilters are both filters and functions.
var hashFilters = map[string]*builtin{
	"md5":    digest("md5"),
	"sha1":   digest("sha1"),
	"sha256": digest("sha256"),
	"sha512": digest("sha512"),
	"crc32":  digest("crc32b"),
	"hash": define("value algo", func(r *run, a args) any {
		return r.digest(r.text(a[1]), r.str(a[0]))
	}),
	"hash_hmac": define("value algo key", func(r *run, a args) any {
		name := strings.ToLower(r.text(a[1]))
		newHash, ok := hashes[name]
		if !ok || !keyed(name) {
			fail("hash_hmac(): Argument #1 ($algo) must be a valid cryptographic hashing algorithm")
		}
		if a[2] == nil {
			fail("hash_hmac(): Argument #3 ($key) must be of type string, null given")
		}
		s := r.str(a[0])
		r.step(len(s) / 64)
		m := hmac.New(newHash, []byte(r.text(a[2])))
		m.Write([]byte(s))
		return hex.EncodeToString(m.Sum(nil))
	}),
	"base64_encode": define("value", func(r *run, a args) any {
		s := r.str(a[0])
		r.charge(len(s) * 4 / 3)
		return base64.StdEncoding.EncodeToString([]byte(s))
	}),
	"base64_decode": define("value", func(r *run, a args) any {
		s := r.str(a[0])
		r.charge(len(s))
		return base64Decode(s)
	}),
	"bin2hex": define("value", func(r *run, a args) any {
		s := r.str(a[0])
		r.charge(len(s) * 2)
		return hex.EncodeToString([]byte(s))
	}),
	"hex2bin": define("value", func(r *run, a args) any {
		s := r.str(a[0])
		r.charge(len(s))
		b, err := hex.DecodeString(s)
		if err != nil {
			return ""
		}
		return string(b)
	}),
}

// hashes are the algorithms by PHP's names.
var hashes = map[string]func() hash.Hash{
	"md5": md5.New, "sha1": sha1.New, "sha224": sha256.New224, "sha256": sha256.New, "sha384": sha512.New384,
	"sha512": sha512.New, "sha512/224": sha512.New512_224, "sha512/256": sha512.New512_256,
	"sha3-224": func() hash.Hash { return sha3.New224() }, "sha3-256": func() hash.Hash { return sha3.New256() },
	"sha3-384": func() hash.Hash { return sha3.New384() }, "sha3-512": func() hash.Hash { return sha3.New512() },
	"crc32":   func() hash.Hash { return &bzipCRC{} },
	"crc32b":  func() hash.Hash { return crc32.NewIEEE() },
	"crc32c":  func() hash.Hash { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) },
	"adler32": func() hash.Hash { return adler32.New() },
	"fnv132":  func() hash.Hash { return fnv.New32() }, "fnv1a32": func() hash.Hash { return fnv.New32a() },
	"fnv164": func() hash.Hash { return fnv.New64() }, "fnv1a64": func() hash.Hash { return fnv.New64a() },
	"joaat": whole(4, joaat), "murmur3a": whole(4, murmur3a), "xxh32": whole(4, xxh32), "xxh64": whole(8, xxh64),
}

func keyed(name string) bool {
	return strings.HasPrefix(name, "md") || strings.HasPrefix(name, "sha")
}

func digest(algorithm string) *builtin {
	return define("value", func(r *run, a args) any { return r.digest(algorithm, r.str(a[0])) })
}

func (r *run) digest(algorithm, s string) string {
	r.step(len(s) / 64)
	switch algorithm { // without allocation, for these are what hash templates call
	case "md5":
		sum := md5.Sum([]byte(s))
		return hex.EncodeToString(sum[:])
	case "sha256":
		sum := sha256.Sum256([]byte(s))
		return hex.EncodeToString(sum[:])
	}
	newHash, ok := hashes[strings.ToLower(algorithm)]
	if !ok {
		fail("hash(): Argument #1 ($algo) must be a valid hashing algorithm")
	}
	h := newHash()
	h.Write([]byte(s))
	return hex.EncodeToString(h.Sum(nil))
}

// bzipCRC is PHP's "crc32": the polynomial of bzip2, most significant bit first, printed in reverse.
type bzipCRC struct{ sum uint32 }

var bzipTable = func() (t [256]uint32) {
	for i := range t {
		c := uint32(i) << 24
		for range 8 {
			if c&0x80000000 != 0 {
				c = c<<1 ^ 0x04c11db7
			} else {
				c <<= 1
			}
		}
		t[i] = c
	}
	return t
}()

func (h *bzipCRC) Write(p []byte) (int, error) {
	c := ^h.sum
	for _, b := range p {
		c = c<<8 ^ bzipTable[byte(c>>24)^b]
	}
	h.sum = ^c
	return len(p), nil
}

func (h *bzipCRC) Sum(b []byte) []byte { return binary.LittleEndian.AppendUint32(b, h.sum) }
func (h *bzipCRC) Reset()              { h.sum = 0 }
func (h *bzipCRC) Size() int           { return 4 }
func (h *bzipCRC) BlockSize() int      { return 1 }

// base64Decode is PHP's, which skips what is not of the alphabet.
func base64Decode(s string) string {
	clean := make([]byte, 0, len(s))
	for i := range len(s) {
		c := s[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || isDigit(c) || c == '+' || c == '/' {
			clean = append(clean, c)
		}
	}
	if len(clean)%4 == 1 {
		clean = clean[:len(clean)-1]
	}
	out, err := base64.RawStdEncoding.DecodeString(string(clean))
	if err != nil {
		return ""
	}
	return string(out)
}

func newUUID() any {
	id, err := uuid.NewV7()
	if err != nil {
		fail("no randomness for a UUID")
	}
	return id.String()
}

// random is Twig's: of an array, of a string's characters, or up to a number.
func (r *run) random(a args) any {
	values := a.at(0, nil)
	low, high := int64(0), int64(2147483647)
	switch v := values.(type) {
	case nil:
		if m := a.at(1, nil); m != nil {
			high = toInt(m)
		}
	case int64, float64:
		if m := a.at(1, nil); m != nil {
			low, high = toInt(v), toInt(m)
		} else if high = toInt(v); high < 0 {
			low, high = high, 0
		}
	case string:
		list := []rune(v)
		if len(list) == 0 {
			return ""
		}
		return string(list[r.pick(int64(len(list)))])
	case *Array:
		if v.Len() == 0 {
			fail("The random function cannot pick from an empty array")
		}
		return v.vals[r.pick(int64(v.Len()))]
	default:
		return values
	}
	if low > high {
		low, high = high, low
	}
	return low + r.pick(high-low+1)
}

func (r *run) pick(n int64) int64 {
	if n <= 0 {
		return 0
	}
	v, err := rand.Int(rand.Reader, big.NewInt(n))
	if err != nil {
		fail("no randomness")
	}
	return v.Int64()
}
