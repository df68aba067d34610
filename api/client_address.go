package api

import (
	"net/http"
	"net/netip"
	"strings"
)

// address says where a call comes from.
type address struct {
	client netip.Addr // as far as it can be trusted
	peer   netip.Addr // the other end of the connection
	by     string     // the header that named the client, "" if the connection did
}

// addressOf finds the caller's address. X-Forwarded-For and Forwarded (RFC 7239) are
// believed as far as trusted proxies wrote them: they are walked from the right to the
// first address that is not a trusted proxy's.
func addressOf(r *http.Request, trusted []netip.Prefix) address {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return address{}
	}
	a := address{client: peer.Addr().Unmap(), peer: peer.Addr().Unmap()}
	if !within(a.peer, trusted) {
		return a
	}
	for _, name := range []string{"Forwarded", "X-Forwarded-For"} {
		hops := forwarded(r.Header.Values(name), name == "Forwarded")
		if len(hops) == 0 {
			continue
		}
		a.by = name
		for i := len(hops) - 1; i >= 0; i-- {
			addr, ok := parseHop(hops[i])
			if !ok {
				break // what stands left of it cannot be judged
			}
			a.client = addr
			if !within(addr, trusted) {
				break
			}
		}
		return a
	}
	return a
}

func within(a netip.Addr, prefixes []netip.Prefix) bool {
	for _, p := range prefixes {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// forwarded lists the hops of a header, the nearest last.
func forwarded(values []string, pairs bool) (hops []string) {
	for _, v := range values {
		for hop := range strings.SplitSeq(v, ",") {
			if !pairs {
				hops = append(hops, strings.TrimSpace(hop))
				continue
			}
			who := "" // a hop without for= is one that does not say
			for pair := range strings.SplitSeq(hop, ";") {
				if name, value, _ := strings.Cut(strings.TrimSpace(pair), "="); strings.EqualFold(name, "for") {
					who = strings.Trim(value, `"`)
				}
			}
			hops = append(hops, who)
		}
	}
	return hops
}

// parseHop reads an address with or without a port, IPv6 with or without brackets.
func parseHop(s string) (netip.Addr, bool) {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap(), true
	}
	a, err := netip.ParseAddr(strings.Trim(s, "[]"))
	return a.Unmap(), err == nil
}
