package send_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sallyport/internal/hook"
	"sallyport/internal/send"
)

func guard(t *testing.T, allow ...string) *send.Guard {
	t.Helper()
	g, err := send.NewGuard(allow, nil)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestGuardCheck(t *testing.T) {
	t.Parallel()
	g := guard(t)
	for _, address := range []string{
		"0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.255.254", "169.254.169.254",
		"172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.2.1", "192.168.1.1", "198.18.0.1", "198.19.255.255", "198.51.100.7",
		"203.0.113.9", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
		"::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::1", "100::1",
		"2001::1", "2001:db8::1", "2002:7f00:1::1", "fc00::1", "fd12:3456::1", "fe80::1", "fe80::1%eth0", "2606:4700::1111%eth0", "ff02::1", "fec0::1",
	} {
		err := g.Check("h.example", netip.AddrPortFrom(netip.MustParseAddr(address), 443))
		if _, ok := errors.AsType[*send.EgressError](err); !ok {
			t.Errorf("%s is let through: %v", address, err)
			continue
		}
		if text := err.Error(); !strings.Contains(text, "SALLYPORT_EGRESS_ALLOW") || !strings.Contains(text, "h.example") {
			t.Errorf("%s: %q names neither setting nor host", address, text)
		} else if strings.Contains(address, "%") && !strings.Contains(text, "zone") {
			t.Errorf("%s: %q does not say that the zone is why", address, text)
		}
	}
	for _, address := range []string{"8.8.8.8", "1.1.1.1", "100.63.255.255", "172.32.0.1", "192.0.1.1", "198.20.0.1", "2606:4700:4700::1111", "2a00:1450:4001::1"} {
		if err := g.Check("h.example", netip.AddrPortFrom(netip.MustParseAddr(address), 8443)); err != nil {
			t.Errorf("%s is refused: %v", address, err)
		}
	}
}

func TestGuardExceptions(t *testing.T) {
	t.Parallel()
	g := guard(t, "127.0.0.0/8", " 10.1.2.3 ", "[fd00::5]", "Receiver.Internal.", "", "bücher.example")
	for _, c := range []struct {
		host, address string
		allowed       bool
	}{
		{"127.0.0.1", "127.0.0.1", true},
		{"x", "127.9.9.9", true},
		{"x", "::ffff:127.0.0.1", true},
		{"x", "10.1.2.3", true},
		{"x", "10.1.2.4", false},
		{"x", "fd00::5", true},
		{"x", "fd00::6", false},
		{"receiver.internal", "192.168.1.1", true},
		{"RECEIVER.internal.", "fe80::1%eth0", true},
		{"other.internal", "192.168.1.1", false},
		{"evil-receiver.internal", "192.168.1.1", false},
		{"xn--bcher-kva.example", "192.168.1.1", true},
	} {
		err := g.Check(c.host, netip.AddrPortFrom(netip.MustParseAddr(c.address), 80))
		if (err == nil) != c.allowed {
			t.Errorf("%s at %s: %v", c.host, c.address, err)
		}
	}
	for _, entry := range []string{"10.0.0.0/99", "host:80", "http://host", "*.internal", "10.1", "2130706433"} {
		if _, err := send.NewGuard([]string{entry}, nil); err == nil || !strings.Contains(err.Error(), entry) {
			t.Errorf("%q: %v", entry, err)
		}
	}
}

func TestGuardRefusesOurOwnListener(t *testing.T) {
	t.Parallel()
	own := netip.MustParseAddrPort("8.8.8.8:8080")
	g, err := send.NewGuard(nil, func() []netip.AddrPort { return []netip.AddrPort{own} })
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Check("x", own); err == nil {
		t.Error("our own listener can be dialled")
	}
	if err := g.Check("x", netip.AddrPortFrom(own.Addr(), 443)); err != nil {
		t.Errorf("another port of this machine: %v", err)
	}
	g, err = send.NewGuard([]string{"8.8.8.8"}, func() []netip.AddrPort { return []netip.AddrPort{own} })
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Check("x", own); err != nil {
		t.Errorf("named as an exception: %v", err)
	}
}

func TestCheckLiteral(t *testing.T) {
	t.Parallel()
	g := guard(t)
	for _, u := range []string{
		"http://127.0.0.1/", "https://10.0.0.1:8443/x", "http://127.0.0.1./", "http://2130706433/", "http://0x7f000001/", "http://0X7F.1/",
		"http://017700000001/", "http://0177.0.0.01/", "http://127.1/", "http://127.0.1/", "http://0/", "http://10.1/",
		"http://[::1]/", "http://[::ffff:127.0.0.1]:80/", "http://[::ffff:7f00:1]/", "http://[64:ff9b::7f00:1]/", "http://[2002:7f00:1::]/",
		"http://[fe80::1%25eth0]/", "http://[::]/", "http://169.254.169.254/latest/meta-data", "http://１２７.0.0.1/",
	} {
		if err := g.CheckLiteral(u); err == nil || !strings.Contains(err.Error(), send.Setting) {
			t.Errorf("%s: %v", u, err)
		}
	}
	for _, u := range []string{
		"https://example.com/", "http://localhost:9000/", "http://8.8.8.8/", "http://[2606:4700::1111]/", "http://1.2.3.4.5/", "http://256.1.1.1/",
		"http://127.0.0.1.example.com/", "http://0x.example/", "://", "http://0b1/", "http://1_0/", "http://08/",
	} {
		if err := g.CheckLiteral(u); err != nil {
			t.Errorf("%s: %v", u, err)
		}
	}
	for host, refused := range map[string]bool{"127.0.0.1": true, "::1": true, "fe80::1%eth0": true, "0x7f.1": true, "example.com": false, "8.8.8.8": false} {
		if err := g.CheckHost(host); (err != nil) != refused {
			t.Errorf("CheckHost(%s): %v", host, err)
		}
	}
	if err := guard(t, "127.0.0.0/8").CheckLiteral("http://2130706433:9000/"); err != nil {
		t.Errorf("an allowed address in another spelling: %v", err)
	}
}

// What the guard refuses is refused at the dial, whatever the URL looks like, and nothing
// reaches the receiver.
func TestEgressDenied(t *testing.T) {
	t.Parallel()
	var hits atomic.Int32
	receiver := serve(t, func(http.ResponseWriter, *http.Request) { hits.Add(1) })
	u, err := url.Parse(receiver)
	if err != nil {
		t.Fatal(err)
	}
	s := sender(t, func(c *send.Config) { c.Guard = guard(t) })
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "[::1]", "127.0.0.1."} {
		for _, m := range []string{"POST", "GET"} {
			a := attempt(t, s, webhook("http://"+host+":"+u.Port()+"/", method(m), timeout(5*time.Second)))
			if host == "127.0.0.1." && (a.ErrorClass == hook.ClassDNS || a.ErrorClass == hook.ClassTimeout) {
				continue // a name to some resolvers, who may ask far away
			}
			want(t, a, hook.OutcomeFailed, hook.ClassEgress)
			if !a.Permanent || !strings.Contains(a.Error, send.Setting) || a.Response != nil {
				t.Errorf("%s: %+v", host, a)
			}
		}
	}
	// Spellings that only some resolvers take must not get through either.
	for _, host := range []string{"2130706433", "0x7f000001", "0177.0.0.1", "127.1"} {
		a := attempt(t, s, webhook("http://"+host+":"+u.Port()+"/", timeout(5*time.Second)))
		if a.Outcome == hook.OutcomeSucceeded {
			t.Errorf("%s got through", host)
		}
	}
	if n := hits.Load(); n != 0 {
		t.Errorf("the receiver was reached %d times", n)
	}

	s = sender(t, func(c *send.Config) { c.Guard = guard(t, "localhost") })
	want(t, attempt(t, s, webhook("http://localhost:"+u.Port()+"/")), hook.OutcomeSucceeded, "")
	want(t, attempt(t, s, webhook("http://127.0.0.1:"+u.Port()+"/")), hook.OutcomeFailed, hook.ClassEgress)
}

// A name that resolves to a forbidden address is refused after resolution.
func TestGuardJudgesResolvedAddresses(t *testing.T) {
	t.Parallel()
	stub := nameserver(t, netip.MustParseAddr("127.0.0.1"))
	for allowed, g := range map[bool]*send.Guard{false: guard(t), true: guard(t, "rebind.test")} {
		receiver, err := url.Parse(serve(t, func(http.ResponseWriter, *http.Request) {}))
		if err != nil {
			t.Fatal(err)
		}
		s := sender(t, func(c *send.Config) { c.Guard, c.Resolver = g, stub })
		a := attempt(t, s, webhook("http://rebind.test:"+receiver.Port()+"/"))
		if allowed {
			want(t, a, hook.OutcomeSucceeded, "")
			continue
		}
		want(t, a, hook.OutcomeFailed, hook.ClassEgress)
		if !strings.Contains(a.Error, "rebind.test") || !strings.Contains(a.Error, "127.0.0.0/8") {
			t.Errorf("error %q", a.Error)
		}
	}
}

// nameserver answers every A question with one address, and every other with nothing.
func nameserver(t *testing.T, addr netip.Addr) *net.Resolver {
	t.Helper()
	stub, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stub.Close() })
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := stub.ReadFrom(buf)
			if err != nil {
				return
			}
			stub.WriteTo(dnsAnswer(buf[:n], addr), from)
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", stub.LocalAddr().String())
	}}
}

// dnsAnswer answers a question (RFC 1035 section 4) without its additional section.
func dnsAnswer(query []byte, addr netip.Addr) []byte {
	end := 12
	for query[end] != 0 {
		end += int(query[end]) + 1
	}
	end += 5
	r := append([]byte(nil), query[:end]...)
	r[2], r[3] = 0x81, 0x80
	clear(r[6:12])
	if query[end-3] == 1 { // A
		r[7] = 1
		ip := addr.As4()
		r = append(r, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4)
		r = append(r, ip[:]...)
	}
	return r
}

func TestProxyFromEnvironmentIsIgnored(t *testing.T) {
	var proxied, direct atomic.Int32
	proxy := serve(t, func(http.ResponseWriter, *http.Request) { proxied.Add(1) })
	for _, name := range []string{"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"} {
		t.Setenv(name, proxy)
	}
	t.Setenv("NO_PROXY", "")
	// A name that is not loopback to net/http, which never proxies localhost.
	receiver, err := url.Parse(serve(t, func(http.ResponseWriter, *http.Request) { direct.Add(1) }))
	if err != nil {
		t.Fatal(err)
	}
	stub := nameserver(t, netip.MustParseAddr("127.0.0.1"))
	s := sender(t, func(c *send.Config) { c.Resolver = stub })
	for _, m := range []string{"POST", "GET"} {
		want(t, attempt(t, s, webhook("http://receiver.test:"+receiver.Port()+"/", method(m))), hook.OutcomeSucceeded, "")
	}
	if proxied.Load() != 0 || direct.Load() != 2 {
		t.Errorf("%d requests through the proxy, %d direct", proxied.Load(), direct.Load())
	}
}

func TestConfiguredProxy(t *testing.T) {
	t.Parallel()
	seen := make(chan string, 10)
	proxy, err := url.Parse(serve(t, func(_ http.ResponseWriter, r *http.Request) { seen <- r.URL.String() }))
	if err != nil {
		t.Fatal(err)
	}
	s := sender(t, func(c *send.Config) { c.Guard, c.Proxy = guard(t), proxy })
	a := attempt(t, s, webhook("http://receiver.test/hooks"))
	want(t, a, hook.OutcomeSucceeded, "")
	if len(seen) != 1 {
		t.Fatalf("the proxy saw %d requests", len(seen))
	}
	if got := <-seen; got != "http://receiver.test/hooks" {
		t.Errorf("the proxy saw %s", got)
	}
	want(t, attempt(t, s, webhook("http://169.254.169.254/latest")), hook.OutcomeFailed, hook.ClassEgress)
	if len(seen) != 0 {
		t.Errorf("the proxy was asked for %s", <-seen)
	}
}
