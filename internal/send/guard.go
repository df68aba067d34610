package send

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"code.dny.dev/ssrf"
	"golang.org/x/net/idna"
)

// Setting is the name of the setting that opens the guard.
const Setting = "SALLYPORT_EGRESS_ALLOW"

// refused are ranges that no request of a customer may reach, beside those of package ssrf
// (the IANA special purpose registries, and everything outside of 2000::/3). Most are among
// them; they stand here so that an update there cannot open them. The IPv6 ones carry IPv4
// addresses inside and would lead around the IPv4 rules.
var refused = prefixes(
	"100.64.0.0/10", // carrier-grade NAT, RFC 6598
	"192.0.0.0/24",  // IETF protocol assignments, RFC 6890
	"198.18.0.0/15", // benchmarking, RFC 2544
	"240.0.0.0/4",   // reserved, RFC 1112, and broadcast
	"::ffff:0:0/96", // IPv4-mapped, RFC 4291
	"64:ff9b::/96",  // NAT64, RFC 6052
	"64:ff9b:1::/48",
	"2002::/16", // 6to4, RFC 3056
	"2001::/32", // Teredo, RFC 4380
)

func prefixes(texts ...string) []netip.Prefix {
	list := make([]netip.Prefix, len(texts))
	for i, t := range texts {
		list[i] = netip.MustParsePrefix(t)
	}
	return list
}

// Guard decides which addresses may be dialled. It looks at the address of each single dial,
// after name resolution, so that a name cannot change its mind between check and use.
type Guard struct {
	special *ssrf.Guardian
	allowed []netip.Prefix
	hosts   map[string]bool
	own     func() []netip.AddrPort
}

// NewGuard makes a guard with exceptions: prefixes ("10.1.0.0/16"), addresses ("127.0.0.1")
// and host names ("receiver.internal", any address it resolves to). own tells the addresses
// our own listeners can be reached at; they are refused unless an exception names them. It
// may be nil, and is called at each dial.
func NewGuard(allow []string, own func() []netip.AddrPort) (*Guard, error) {
	g := &Guard{special: ssrf.New(ssrf.WithAnyPort()), hosts: map[string]bool{}, own: own}
	for _, entry := range allow {
		entry = strings.TrimSpace(entry)
		if entry == "" {
			continue
		}
		if p, err := netip.ParsePrefix(entry); err == nil {
			g.allowed = append(g.allowed, p.Masked())
			continue
		}
		if a, err := netip.ParseAddr(strings.Trim(entry, "[]")); err == nil {
			g.allowed = append(g.allowed, netip.PrefixFrom(a, a.BitLen()))
			continue
		}
		if !isHostName(entry) {
			return nil, fmt.Errorf("%s: %q is neither a prefix such as 10.0.0.0/8, nor an address, nor a host name without port", Setting, entry)
		}
		g.hosts[canonicalHost(entry)] = true
	}
	return g, nil
}

func isHostName(s string) bool {
	return !strings.ContainsAny(s, "/:@*?# \t[]") && !looksNumeric(s)
}

// looksNumeric reports whether the last label could only be meant as part of an address.
func looksNumeric(s string) bool {
	s = strings.TrimSuffix(s, ".")
	last := s[strings.LastIndexByte(s, '.')+1:]
	_, err := strconv.ParseUint(last, 0, 64)
	return err == nil
}

// canonicalHost is how a host name is compared: ASCII, lowercase, without a final dot.
func canonicalHost(host string) string {
	if ascii, err := idna.Lookup.ToASCII(host); err == nil {
		host = ascii
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// EgressError says that the guard refused an address, and by which rule.
type EgressError struct {
	Host string // as in the URL
	Addr netip.AddrPort
	Rule string
}

func (e *EgressError) Error() string {
	where := e.Addr.String()
	if e.Addr.Port() == 0 {
		where = e.Addr.Addr().String()
	}
	if e.Host != "" && e.Host != e.Addr.Addr().String() {
		where += " (" + e.Host + ")"
	}
	return where + " is not allowed: " + e.Rule + "; " + Setting + " can make an exception"
}

// Check returns an *EgressError if a connection to addr, meant for host, is not allowed.
func (g *Guard) Check(host string, addr netip.AddrPort) error {
	if g.hosts[canonicalHost(host)] || g.excepted(addr.Addr()) {
		return nil
	}
	if rule := g.rule(addr); rule != "" {
		return &EgressError{Host: host, Addr: addr, Rule: rule}
	}
	return nil
}

func (g *Guard) excepted(a netip.Addr) bool {
	return slices.ContainsFunc(g.allowed, func(p netip.Prefix) bool { return p.Contains(a) || p.Contains(a.Unmap()) })
}

// rule names what forbids an address, "" if nothing does.
func (g *Guard) rule(addr netip.AddrPort) string {
	a := addr.Addr()
	if a.Zone() != "" {
		return "addresses with a zone stay on the link"
	}
	for _, list := range [][]netip.Prefix{refused, ssrf.IPv4DeniedPrefixes, ssrf.IPv6DeniedPrefixes} {
		for _, p := range list {
			if p.Contains(a) {
				return p.String() + " is not public"
			}
		}
	}
	if err := g.special.SafeAddr(a); err != nil || !a.IsGlobalUnicast() {
		return "not a global unicast address"
	}
	if g.own != nil && slices.Contains(g.own(), addr) {
		return "Sallyport itself listens there"
	}
	return ""
}

// CheckLiteral returns an *EgressError if the host of a URL is an address that the guard
// refuses, in any spelling: decimal, octal, hexadecimal, shortened, IPv4 in IPv6. Host names
// are judged when they are dialled. A URL that cannot be read is not this check's business.
func (g *Guard) CheckLiteral(rawURL string) error {
	u, _ := url.Parse(rawURL)
	if u == nil { // it cannot be read
		return nil
	}
	port := uint16(0)
	switch p, err := strconv.ParseUint(u.Port(), 10, 16); {
	case err == nil:
		port = uint16(p)
	case u.Scheme == "http":
		port = 80
	case u.Scheme == "https":
		port = 443
	}
	return g.checkHost(u.Hostname(), port)
}

// CheckHost is CheckLiteral for a host alone, as (*url.URL).Hostname gives it.
func (g *Guard) CheckHost(host string) error { return g.checkHost(host, 0) }

func (g *Guard) checkHost(host string, port uint16) error {
	canonical := canonicalHost(host)
	addr, err := netip.ParseAddr(canonical)
	if err != nil {
		var ok bool
		if addr, ok = looseIPv4(canonical); !ok {
			return nil
		}
	}
	return g.Check(host, netip.AddrPortFrom(addr, port))
}

// looseIPv4 reads the spellings that inet_aton(3) takes, which some resolvers still do: one
// to four numbers, each decimal, octal or hexadecimal, the last one filling what remains.
func looseIPv4(host string) (netip.Addr, bool) {
	parts := strings.Split(host, ".")
	if len(parts) > 4 {
		return netip.Addr{}, false
	}
	var n uint64
	for i, p := range parts {
		if strings.ContainsAny(p, "_oObB") && !strings.HasPrefix(p, "0x") || strings.Contains(p, "_") {
			return netip.Addr{}, false // Go's own number syntax, unknown to inet_aton
		}
		v, err := strconv.ParseUint(p, 0, 32)
		if err != nil {
			return netip.Addr{}, false
		}
		bits := 8
		if i == len(parts)-1 {
			bits = 8 * (5 - len(parts))
		}
		if v >= 1<<bits {
			return netip.Addr{}, false
		}
		n = n<<bits | v
	}
	return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}), true
}

// hostKey carries the host of the URL to the check of the addresses it resolved to.
type hostKey struct{}

// Dialer returns a dialer whose every connection the guard has judged. It takes a context
// made by ForHost; without it, exceptions by host name do not apply.
func (g *Guard) Dialer(timeout time.Duration) *net.Dialer {
	return &net.Dialer{Timeout: timeout, KeepAlive: 30 * time.Second, ControlContext: g.control}
}

// ForHost tells the dialer which host the address of the dial came from.
func ForHost(ctx context.Context, host string) context.Context {
	return context.WithValue(ctx, hostKey{}, host)
}

func (g *Guard) control(ctx context.Context, network, address string, _ syscall.RawConn) error {
	if network != "tcp4" && network != "tcp6" {
		return fmt.Errorf("network %s is not allowed", network)
	}
	addr, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("checking %s: %w", address, errors.Unwrap(err))
	}
	host, _ := ctx.Value(hostKey{}).(string)
	return g.Check(host, addr)
}
