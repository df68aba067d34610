package action_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log"
	"math/big"
	"mime"
	"mime/multipart"
	"net"
	netmail "net/mail"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"sallyport/internal/action"
	"sallyport/internal/hook"
	"sallyport/internal/send"
	"sallyport/internal/testkit"
)

// mailbox is a real SMTP server that keeps what it gets.
type mailbox struct {
	address string
	roots   *x509.CertPool
	refuse  func(to string) error
	hang    chan struct{} // when not nil, a message is only taken after it is closed

	mu    sync.Mutex
	mails []received
}

type received struct {
	from string
	to   []string
	data string
	user string
	tls  bool
}

func (m *mailbox) all() []received {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.mails)
}

func (m *mailbox) NewSession(c *smtp.Conn) (smtp.Session, error) {
	_, secure := c.TLSConnectionState()
	return &session{m: m, received: received{tls: secure}}, nil
}

type session struct {
	m *mailbox
	received
}

func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != "hooks@example.com" || password != "pa:ss/w" {
			return &smtp.SMTPError{Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: "wrong"}
		}
		s.user = user
		return nil
	}), nil
}

func (s *session) Mail(from string, _ *smtp.MailOptions) error { s.from = from; return nil }

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if s.m.refuse != nil {
		if err := s.m.refuse(to); err != nil {
			return err
		}
	}
	s.to = append(s.to, to)
	return nil
}

func (s *session) Data(r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if s.m.hang != nil {
		<-s.m.hang
	}
	s.data = string(data)
	s.m.mu.Lock()
	s.m.mails = append(s.m.mails, s.received)
	s.m.mu.Unlock()
	return nil
}

func (s *session) Reset()        { s.to = nil }
func (s *session) Logout() error { return nil }

// newMailbox starts a server; how is "", "starttls" or "implicit".
func newMailbox(t testing.TB, how string) *mailbox {
	t.Helper()
	m := &mailbox{roots: x509.NewCertPool()}
	server := smtp.NewServer(m)
	server.ErrorLog = log.New(io.Discard, "", 0)
	server.Domain, server.AllowInsecureAuth = "mail.test", how == ""
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m.address = listener.Addr().String()
	if how != "" {
		server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate(t, m.roots)}, MinVersion: tls.VersionTLS12}
	}
	if how == "implicit" {
		listener = tls.NewListener(listener, server.TLSConfig)
	}
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })
	return m
}

func certificate(t testing.TB, roots *x509.CertPool) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mail.test"}, NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots.AddCert(cert)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func (m *mailbox) configured(t testing.TB, scheme, user, query string) func(*action.Config) {
	t.Helper()
	s, err := action.ParseMailServer(scheme+"://"+user+m.address+query, "Sallyport <hooks@example.com>")
	if err != nil {
		t.Fatal(err)
	}
	s.RootCAs = m.roots
	return func(cfg *action.Config) { cfg.Mail = s }
}

const credentials = "hooks%40example.com:pa%3Ass%2Fw@"

func TestSendEmail(t *testing.T) {
	t.Parallel()
	m := newMailbox(t, "starttls")
	w := newWorld()
	a := w.add("mail", hook.ActionSendEmail, `{"to":"{{ item.who }}, B <b@example.com>","cc":["c@example.com","{{ item.none }}"],"bcc":"d@example.com",
		"subject":"Größe {{ item.n }}{{ \"\r\nBcc: evil@example.com\" }}","text":"Hi {{ secrets.k }}\n.\nüber","html":"<b>{{ item.n }}</b>"}`, secrets("k", "s3cr3t!"))
	j := w.job(`{"who":"\"Müller, A\" <a@example.com>","n":7}`, step(2))
	j.Delivery.Step = 0
	x := w.executor(t, m.configured(t, "smtp", credentials, ""))
	got := run(t, x, a, j)
	if got.Outcome != hook.OutcomeSucceeded || got.Response.Status != 250 || got.Request.URL != "mailto:a@example.com,b@example.com" {
		t.Fatalf("%+v", got)
	}
	mails := m.all()
	if len(mails) != 1 {
		t.Fatalf("%d mails", len(mails))
	}
	mail := mails[0]
	if mail.from != "hooks@example.com" || !slices.Equal(mail.to, []string{"a@example.com", "b@example.com", "c@example.com", "d@example.com"}) ||
		!mail.tls || mail.user != "hooks@example.com" {
		t.Errorf("%+v", mail)
	}
	msg, err := netmail.ReadMessage(strings.NewReader(mail.data))
	if err != nil {
		t.Fatal(err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(msg.Header.Get("Subject"))
	if err != nil || subject != "Größe 7 Bcc: evil@example.com" {
		t.Errorf("subject %q, %v", subject, err)
	}
	to, err := msg.Header.AddressList("To")
	if err != nil || len(to) != 2 || to[0].Name != "Müller, A" {
		t.Errorf("%v %v", to, err)
	}
	if msg.Header.Get("Bcc") != "" || strings.Contains(mail.data, "d@example.com") {
		t.Error("the mail tells of its blind copy")
	}
	id := "<" + j.Delivery.ID.String() + ".0@example.com>"
	if msg.Header.Get("Message-Id") != id {
		t.Errorf("%q, want %q", msg.Header.Get("Message-Id"), id)
	}
	_, params, err := mime.ParseMediaType(msg.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	parts := multipart.NewReader(msg.Body, params["boundary"])
	for _, want := range []string{"Hi s3cr3t!\r\n.\r\nüber", "<b>7</b>"} {
		p, err := parts.NextPart()
		if err != nil {
			t.Fatal(err)
		}
		if text, err := io.ReadAll(p); err != nil || strings.TrimRight(string(text), "\r\n") != want {
			t.Errorf("part %q, %v", text, err)
		}
	}
	if strings.Contains(body(got.Request), "s3cr3t!") {
		t.Error("a secret is on record")
	}
	// A second attempt of the same delivery can be told by its id.
	run(t, x, a, j)
	if mails = m.all(); len(mails) != 2 || !strings.Contains(mails[1].data, id) {
		t.Errorf("%d mails", len(mails))
	}
}

// Another attempt is the same mail. What somebody has sent again, by a retry or a replay, is to be seen
// again: whoever gets it would drop what has the id of a mail that he has.
func TestTheIDsOfMails(t *testing.T) {
	t.Parallel()
	m := newMailbox(t, "starttls")
	w := newWorld()
	a := w.add("mail", hook.ActionSendEmail, `{"to":"a@example.com","text":"Hi"}`)
	j := w.job(`{}`)
	x := w.executor(t, m.configured(t, "smtp", credentials, ""))
	var ids []string
	for _, d := range []struct{ attempts, base int }{{0, 0}, {1, 0}, {2, 2}, {3, 2}, {4, 4}} {
		j.Delivery.Attempts, j.Delivery.Base = d.attempts, d.base
		if got := run(t, x, a, j); got.Outcome != hook.OutcomeSucceeded {
			t.Fatalf("%+v", got)
		}
		mails := m.all()
		msg, err := netmail.ReadMessage(strings.NewReader(mails[len(mails)-1].data))
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, msg.Header.Get("Message-Id"))
	}
	if ids[0] != ids[1] || ids[2] != ids[3] || ids[0] == ids[2] || ids[2] == ids[4] || ids[0] == ids[4] {
		t.Errorf("the ids are %q", ids)
	}
}

func TestSendEmailOverImplicitTLSAndPlain(t *testing.T) {
	t.Parallel()
	for how, scheme := range map[string]string{"implicit": "smtps", "": "smtp"} {
		m := newMailbox(t, how)
		w := newWorld()
		user, query := credentials, ""
		if how == "" {
			query = "?tls=none"
		}
		got := run(t, w.executor(t, m.configured(t, scheme, user, query)), w.add("mail", hook.ActionSendEmail, `{"to":"a@example.com","html":"<p>x"}`), w.job(`{}`))
		mails := m.all()
		if got.Outcome != hook.OutcomeSucceeded || len(mails) != 1 || mails[0].tls != (how != "") || mails[0].user == "" || !strings.Contains(mails[0].data, "text/html") {
			t.Errorf("%s: %+v %+v", scheme, got, mails)
		}
	}
}

func TestSendEmailFails(t *testing.T) {
	t.Parallel()
	refusing := func(code int) func(*mailbox) {
		return func(m *mailbox) {
			m.refuse = func(to string) error {
				if to == "b@example.com" {
					return &smtp.SMTPError{Code: code, Message: "no " + to}
				}
				return nil
			}
		}
	}
	for name, c := range map[string]struct {
		how       string
		user      string
		prepare   func(*mailbox)
		to        string
		class     hook.ErrorClass
		permanent bool
		status    int
	}{
		"busy":               {"starttls", credentials, refusing(451), "b@example.com", hook.ClassStatus, false, 451},
		"unknown":            {"starttls", credentials, refusing(550), "b@example.com", hook.ClassStatus, true, 550},
		"wrong password":     {"starttls", "hooks%40example.com:no@", nil, "a@example.com", hook.ClassStatus, false, 535},
		"unknown issuer":     {"starttls", credentials, func(m *mailbox) { m.roots = x509.NewCertPool() }, "a@example.com", hook.ClassTLS, false, 0},
		"TLS is not offered": {"", credentials, nil, "a@example.com", hook.ClassProtocol, false, 0},
		"no address":         {"starttls", credentials, nil, "not an address", hook.ClassTemplate, true, 0},
		"injected":           {"starttls", credentials, nil, "a@example.com\\r\\nBcc: c@example.com", hook.ClassTemplate, true, 0},
		"nobody":             {"starttls", credentials, nil, " ", hook.ClassTemplate, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMailbox(t, c.how)
			if c.prepare != nil {
				c.prepare(m)
			}
			w := newWorld()
			got := run(t, w.executor(t, m.configured(t, "smtp", c.user, "")), w.add("mail", hook.ActionSendEmail, `{"to":"{{ item.to }}","text":"x"}`), w.job(`{"to":"`+c.to+`"}`))
			status := 0
			if got.Response != nil {
				status = got.Response.Status
			}
			if got.Outcome != hook.OutcomeFailed || got.ErrorClass != c.class || got.Permanent != c.permanent || status != c.status || len(m.all()) != 0 {
				t.Errorf("%+v, status %d, %d mails", got, status, len(m.all()))
			}
			if strings.Contains(got.Error, "pa:ss") {
				t.Error(got.Error)
			}
		})
	}
}

// A mailbox that is no more does not keep the mail from the others; one that is busy does, so
// that the others do not get it again.
func TestSendEmailToSomeWhoAreRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		codes     map[string]int
		delivered int
		permanent bool
		status    int
		text      string
	}{
		"one is gone":           {map[string]int{"b": 550}, 1, true, 550, "the mail server answered 550: <b@example.com>: no b; the others have the mail"},
		"one is busy":           {map[string]int{"b": 451}, 0, false, 451, "the mail server answered 451: <b@example.com>: no b"},
		"one is busy, one gone": {map[string]int{"a": 451, "b": 550}, 0, false, 451, "<a@example.com>: no a; <b@example.com>: no b"},
		"all are gone":          {map[string]int{"a": 550, "b": 551, "c": 550}, 0, true, 550, "<b@example.com>: no b; <c@example.com>: no c"},
		"nobody is":             {nil, 1, false, 250, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMailbox(t, "")
			m.refuse = func(to string) error {
				if code := c.codes[to[:1]]; code != 0 {
					return &smtp.SMTPError{Code: code, EnhancedCode: smtp.NoEnhancedCode, Message: "no " + to[:1]}
				}
				return nil
			}
			w := newWorld()
			a := w.add("mail", hook.ActionSendEmail, `{"to":["a@example.com","b@example.com"],"bcc":"c@example.com","text":"x"}`)
			got := run(t, w.executor(t, m.configured(t, "smtp", "", "?tls=none")), a, w.job(`{}`))
			if mails := m.all(); len(mails) != c.delivered || c.delivered == 1 && len(mails[0].to) != 3-len(c.codes) {
				t.Errorf("delivered %+v", mails)
			}
			if (got.Outcome == hook.OutcomeSucceeded) != (c.codes == nil) || got.Permanent != c.permanent || got.Response.Status != c.status || !strings.Contains(got.Error, c.text) {
				t.Errorf("%s %t %d: %s", got.Outcome, got.Permanent, got.Response.Status, got.Error)
			}
		})
	}
}

func TestSendEmailWithoutAServer(t *testing.T) {
	t.Parallel()
	w := newWorld()
	x, a := w.executor(t), w.add("mail", hook.ActionSendEmail, `{"to":"a@example.com","text":"x"}`)
	if got := run(t, x, a, w.job(`{}`)); !got.Permanent || !strings.Contains(got.Error, "SALLYPORT_SMTP_URL") {
		t.Errorf("%+v", got)
	}
	m := &mailbox{address: testkit.FreeAddr(t)} // where nobody listens
	if got := run(t, w.executor(t, m.configured(t, "smtp", "", "")), a, w.job(`{}`)); got.ErrorClass != hook.ClassConnect || got.Permanent {
		t.Errorf("%+v", got)
	}
}

func TestSendEmailEndsInTimeAndWithTheProcess(t *testing.T) {
	t.Parallel()
	m := newMailbox(t, "")
	m.hang = make(chan struct{})
	defer close(m.hang)
	w := newWorld()
	x := w.executor(t, m.configured(t, "smtp", "", ""))
	a := w.add("mail", hook.ActionSendEmail, `{"to":"a@example.com","text":"x"}`, func(a *hook.Action) { a.Timeout = 200 * time.Millisecond })
	if got := run(t, x, a, w.job(`{}`)); got.ErrorClass != hook.ClassTimeout || got.Timings.Total > 30*time.Second {
		t.Errorf("%+v", got)
	}
	b := w.add("mail2", hook.ActionSendEmail, `{"to":"a@example.com","text":"x"}`, func(a *hook.Action) { a.Timeout = time.Minute })
	ctx, cancel := context.WithCancelCause(t.Context())
	time.AfterFunc(200*time.Millisecond, func() { cancel(send.ErrStopping) })
	if got := x.Send(ctx, hook.TargetOfAction(b), w.job(`{}`), 1); got.Outcome != hook.OutcomeAborted {
		t.Errorf("%+v", got)
	}
}

func TestParseMailServer(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]struct {
		port int
		tls  string
	}{
		"smtp://mail.example.com": {587, "optional"}, "smtp://u:p@mail.example.com:25": {25, "required"}, "smtps://u:p@mail.example.com": {465, "implicit"},
		"smtp://u:p@mail.example.com?tls=none": {587, "none"},
	} {
		s, err := action.ParseMailServer(text, "a@example.com")
		if err != nil || s.Port != want.port || s.TLS != want.tls || s.Host != "mail.example.com" {
			t.Errorf("%s: %+v %v", text, s, err)
		}
	}
	for _, text := range []string{"", "mail.example.com:25", "http://x", "smtp://", "smtp://x:99999", "smtp://x?tls=maybe", "smtps://x?tls=none", "smtp://x?y=1", "smtp://x/path"} {
		if _, err := action.ParseMailServer(text, "a@example.com"); err == nil {
			t.Errorf("%s is taken", text)
		}
	}
	for _, from := range []string{"", "nobody", "a@b, c@d"} {
		if _, err := action.ParseMailServer("smtp://x", from); err == nil || !strings.Contains(err.Error(), "SALLYPORT_MAIL_FROM") {
			t.Errorf("from %q: %v", from, err)
		}
	}
	if s, err := action.ParseMailServer("smtp://me%40example.com:p@x", ""); err != nil || s.From.Address != "me@example.com" {
		t.Errorf("%+v %v", s, err)
	}
}
