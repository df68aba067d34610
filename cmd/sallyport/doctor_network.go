package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"sallyport/internal/action"
	"sallyport/internal/hook"
	"sallyport/internal/send"
)

// dns asks for a name that cannot exist: being told so is an answer, and needs no network
// beyond the resolver.
func (d *doctor) dns(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, doctorTime)
	defer cancel()
	began := time.Now()
	_, err := d.resolver.LookupHost(ctx, "sallyport-doctor.invalid.")
	var failed *net.DNSError
	if errors.As(err, &failed) && failed.IsNotFound {
		d.found(fine, "dns", "", "the resolver answers, in %s", time.Since(began).Round(time.Millisecond))
	} else if err == nil {
		d.found(warn, "dns", "use a resolver that does not invent addresses", "the resolver knows a name that cannot exist")
	} else {
		d.found(fail, "dns", "see /etc/resolv.conf: receivers named by host cannot be found", "the resolver does not answer: %v", err)
	}
}

// egress says what may be reached, and tries the URL that was asked about.
func (d *doctor) egress(ctx context.Context) {
	const check = "egress"
	if d.cfg.EgressProxy != "" {
		d.egressProxy(ctx)
		if d.url != "" {
			d.found(warn, check, "try it by a test of the webhook: POST /v1/webhooks/{webhook}/test", "--url is not tried: the proxy would have to")
		}
		return
	}
	guard, err := send.NewGuard(d.cfg.EgressAllow, nil)
	if err != nil {
		d.found(fail, check, "see SALLYPORT_EGRESS_ALLOW", "%v", err)
		return
	}
	allowed := "public addresses only"
	if len(d.cfg.EgressAllow) > 0 {
		allowed = "public addresses and " + strings.Join(d.cfg.EgressAllow, ", ")
	}
	d.found(fine, check, "", "%s", allowed)
	for _, p := range d.cfg.EgressPrefixes() {
		if p.Bits() == 0 || p.Contains(netip.MustParseAddr("169.254.169.254")) {
			d.found(warn, check, "name only the networks of receivers in SALLYPORT_EGRESS_ALLOW", "%s also opens the cloud's metadata service, which gives out credentials", p)
		}
	}
	if d.url != "" {
		d.receiver(ctx, guard)
	}
}

// egressProxy connects to what everything is sent through.
func (d *doctor) egressProxy(ctx context.Context) {
	const check = "egress"
	u, err := url.Parse(d.cfg.EgressProxy)
	if err != nil { // Load has refused it
		return
	}
	where := net.JoinHostPort(u.Hostname(), cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme]))
	dialer := net.Dialer{Timeout: d.cfg.ConnectTimeout, Resolver: d.resolver}
	c, err := dialer.DialContext(ctx, "tcp", where)
	if err != nil {
		d.found(fail, check, "see SALLYPORT_EGRESS_PROXY, and whether the proxy runs and lets this machine in", "nothing can be sent, the proxy %s does not answer: %v", where, err)
		return
	}
	_ = c.Close() // nothing was sent
	d.found(fine, check, "", "everything goes through the proxy %s, which decides", where)
}

// receiver takes every step to a receiver but the request.
func (d *doctor) receiver(ctx context.Context, guard *send.Guard) {
	const check = "receiver"
	u, err := url.Parse(d.url)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		d.found(fail, check, "give --url https://host/path", "--url is no http:// or https:// URL") // it may have secrets: not shown
		return
	}
	ctx, cancel := context.WithTimeout(send.ForHost(ctx, u.Hostname()), doctorTime)
	defer cancel()
	host, port := u.Hostname(), cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
	addrs, err := d.resolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		d.found(fail, check, "check the name, and whether this machine's resolver knows it", "%s cannot be resolved: %v", host, err)
		return
	}
	for _, a := range addrs {
		if err := guard.Check(host, netip.AddrPortFrom(a.Unmap(), 0)); err != nil {
			allow := strings.Join(append(slices.Clone(d.cfg.EgressAllow), host), ",")
			d.found(fail, check, "if it is meant: SALLYPORT_EGRESS_ALLOW="+allow, "%v", err)
			return
		}
	}
	c, err := guard.Dialer(d.cfg.ConnectTimeout).DialContext(ctx, "tcp", net.JoinHostPort(host, port))
	if err != nil {
		d.found(fail, check, "check that it runs, and the firewalls between", "no connection to %s: %v", net.JoinHostPort(host, port), err)
		return
	}
	defer c.Close() //nolint:errcheck // nothing was sent
	if u.Scheme == "http" {
		d.found(fine, check, "", "%s takes connections, at %s", host, c.RemoteAddr())
		return
	}
	secure := tls.Client(c, &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12})
	if err := secure.HandshakeContext(ctx); err != nil {
		d.found(fail, check, "the receiver needs a certificate for that name from an authority that this machine trusts", "no TLS with %s: %v", host, err)
		return
	}
	d.found(fine, check, "", "%s takes TLS connections, at %s; its certificate ends %s", host, c.RemoteAddr(),
		secure.ConnectionState().PeerCertificates[0].NotAfter.UTC().Format(time.DateOnly))
}

// mail goes as far as the login.
func (d *doctor) mail(ctx context.Context) {
	if d.cfg.SMTPURL == "" {
		d.found(fine, "mail", "", "none is sent (SALLYPORT_SMTP_URL is not set)")
		return
	}
	m, err := action.ParseMailServer(string(d.cfg.SMTPURL), d.cfg.MailFrom)
	if err != nil {
		d.found(fail, "mail", "see SALLYPORT_SMTP_URL and SALLYPORT_MAIL_FROM", "SALLYPORT_SMTP_URL %v", err)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, doctorTime)
	defer cancel()
	where := fmt.Sprintf("%s:%d", m.Host, m.Port)
	if err := m.Check(ctx); err != nil {
		text := err.Error()
		if m.Password != "" { // some servers repeat what they refuse
			text = strings.ReplaceAll(text, string(m.Password), hook.HiddenMark)
		}
		d.found(fail, "mail", "see SALLYPORT_SMTP_URL: host, port, ?tls=, user and password", "%s: %s", where, text)
		return
	}
	d.found(fine, "mail", "", "%s takes mail of %s", where, m.From.Address)
}

// info is what GET /v1/info answers, as far as it matters here.
type info struct {
	Version     string `json:"version"`
	BaseURL     string `json:"baseUrl"`
	YourAddress string `json:"yourAddress"`
	PeerAddress string `json:"peerAddress"`
	ForwardedBy string `json:"forwardedBy"`
}

// trusted judges whose word on callers' addresses is taken.
func (d *doctor) trusted() {
	for _, p := range d.cfg.TrustedProxies {
		if p.Bits() == 0 {
			d.found(warn, "proxy", "name only the addresses of the proxies themselves in SALLYPORT_TRUSTED_PROXIES",
				"%s trusts everybody: a caller that writes X-Forwarded-For passes any ipAllowList", p)
		}
	}
}

// server asks the running installation, at the URL that others use, as whom it sees us.
func (d *doctor) server(ctx context.Context) {
	const check = "base URL"
	base := d.cfg.BaseURL
	if base == "" {
		addr := d.cfg.Addr
		if d.cfg.AdminAddr != "" {
			addr = d.cfg.AdminAddr
		}
		tcp, err := net.ResolveTCPAddr("tcp", addr)
		if err != nil {
			d.found(fail, check, "see SALLYPORT_ADDR", "%v", err)
			return
		}
		base = d.cfg.PublicURL(tcp)
	}
	ctx, cancel := context.WithTimeout(ctx, doctorTime)
	defer cancel()
	if d.cfg.BaseURL != "" && d.cfg.AdminAddr != "" { // it serves only doors and this
		if _, status, err := d.ask(ctx, base+"/healthz", ""); err != nil || status != http.StatusOK {
			d.found(warn, check, "see SALLYPORT_BASE_URL, the proxy's route to SALLYPORT_ADDR, and whether a server runs", "%s/healthz: %d %v", base, status, err)
			return
		}
		d.found(fine, check, "", "%s leads here", base)
		return
	}
	key := d.apiKey()
	body, status, err := d.ask(ctx, base+"/v1/info", key)
	switch {
	case err != nil:
		d.found(warn, check, "start `sallyport serve`, or see SALLYPORT_BASE_URL and the proxy", "nobody answers at %s: %v", base, err)
		return
	case key == "" && status == http.StatusUnauthorized:
		d.found(fine, check, "give SALLYPORT_ADMIN_KEY, or run it where admin.key is, to have the proxy chain checked", "%s leads to a Sallyport", base)
		return
	case status == http.StatusUnauthorized:
		d.found(warn, check, "check that the base URL and this key belong to one installation", "%s refuses the key at hand", base)
		return
	case status != http.StatusOK:
		d.found(fail, check, "see SALLYPORT_BASE_URL, and where the proxy sends this path", "%s/v1/info answers %d, not as Sallyport does", base, status)
		return
	}
	var i info
	if err := json.Unmarshal(body, &i); err != nil || i.Version == "" {
		d.found(fail, check, "see SALLYPORT_BASE_URL, and where the proxy sends this path", "%s/v1/info answers something else than Sallyport", base)
		return
	}
	d.chain(base, i)
}

// chain judges what the server said about the way to it.
func (d *doctor) chain(base string, i info) {
	const check = "base URL"
	if i.BaseURL != base && d.cfg.BaseURL != "" {
		d.found(fail, check, "give every node the same SALLYPORT_BASE_URL", "the server behind %s takes itself to be %s", base, i.BaseURL)
		return
	}
	if i.Version != version {
		d.found(warn, check, "upgrade one of them", "the server is of version %s, this program of %s", i.Version, version)
	}
	d.found(fine, check, "", "%s answers", base)
	peer, err := netip.ParseAddr(i.PeerAddress)
	if err != nil {
		return
	}
	trusted := slices.ContainsFunc(d.cfg.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(peer.Unmap()) })
	switch {
	case i.ForwardedBy != "":
		d.found(fine, "proxy", "", "%s is trusted, and its %s says that we are %s", i.PeerAddress, i.ForwardedBy, i.YourAddress)
	case trusted && d.cfg.BaseURL != "":
		d.found(warn, "proxy", "have it set X-Forwarded-For or Forwarded; until then every caller has its address", "%s is trusted and does not say for whom it calls", i.PeerAddress)
	case d.cfg.BaseURL != "":
		d.found(warn, "proxy", "if that is a proxy: SALLYPORT_TRUSTED_PROXIES="+i.PeerAddress+"; if there is none, nothing", "the server sees us as %s, by the connection alone", i.PeerAddress)
	default:
		d.found(fine, "proxy", "", "none (SALLYPORT_BASE_URL is not set)")
	}
}

// apiKey is a key to ask the server with, "" if there is none at hand.
func (d *doctor) apiKey() string {
	if d.cfg.AdminKey != "" {
		return string(d.cfg.AdminKey)
	}
	key, err := os.ReadFile(filepath.Join(d.cfg.DataDir, "admin.key"))
	if err != nil {
		return ""
	}
	return trimmed(key)
}

// ask makes a GET. A redirect is an answer, not to be followed with the key.
func (d *doctor) ask(ctx context.Context, address, key string) (body []byte, status int, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, 0, err
	}
	if key != "" {
		req.Header.Set("Authorization", "Bearer "+key)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		return nil, 0, err
	}
	defer res.Body.Close()
	body, err = io.ReadAll(io.LimitReader(res.Body, 1<<16))
	return body, res.StatusCode, err
}
