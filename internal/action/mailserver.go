package action

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"

	"sallyport/internal/hook"
)

// Settings of the installation's mail server.
const (
	SettingSMTP = "SALLYPORT_SMTP_URL"
	SettingFrom = "SALLYPORT_MAIL_FROM"
)

// MailServer is the installation's mail server: whoever runs the installation chose it, so
// that connections to it are allowed whatever address it has. No customer can choose another.
type MailServer struct {
	Host     string
	Port     int
	TLS      string // implicit, required, optional, none
	User     string
	Password hook.Sensitive
	From     *netmail.Address

	RootCAs *x509.CertPool // nil: the system's
	// Dial connects; nil is a plain dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// How a mail server's connections are encrypted.
const (
	tlsImplicit = "implicit" // smtps://
	tlsRequired = "required" // STARTTLS, or nothing is sent; the default with a user
	tlsOptional = "optional" // STARTTLS if the server has it; the default without one
	tlsNone     = "none"
)

// ParseMailServer reads smtp://user:password@host:587 or smtps://host, with ?tls=required,
// optional or none for the former, and the address that mail comes from, which may have a
// name: Sallyport <hooks@example.com>. Without one the user is it. No error shows a password.
func ParseMailServer(text, from string) (*MailServer, error) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "smtp" && u.Scheme != "smtps" || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" {
		return nil, errors.New("is not a URL such as smtp://user:password@mail.example.com:587 or smtps://mail.example.com; special characters in the password are written %XX")
	}
	s := &MailServer{Host: u.Hostname(), Port: 587, TLS: tlsOptional}
	if u.Scheme == "smtps" {
		s.Port, s.TLS = 465, tlsImplicit
	}
	if u.User != nil {
		password, _ := u.User.Password()
		s.User, s.Password = u.User.Username(), hook.Sensitive(password)
		if s.TLS == tlsOptional {
			s.TLS = tlsRequired
		}
	}
	if p := u.Port(); p != "" {
		if s.Port, err = strconv.Atoi(p); err != nil || s.Port < 1 || s.Port > 65535 {
			return nil, errors.New("has no port from 1 to 65535")
		}
	}
	for name, values := range u.Query() {
		if name != "tls" || s.TLS == tlsImplicit {
			return nil, fmt.Errorf("has the parameter %s; there is only tls, for smtp://", name)
		}
		switch s.TLS = values[len(values)-1]; s.TLS {
		case tlsRequired, tlsOptional, tlsNone:
		default:
			return nil, errors.New("has a tls that is none of required, optional, none")
		}
	}
	if from = cmp.Or(from, s.User); strings.Contains(from, "@") {
		if s.From, err = netmail.ParseAddress(from); err != nil {
			return nil, fmt.Errorf("needs %s, an address such as Sallyport <hooks@example.com>", SettingFrom)
		}
	}
	if s.From == nil {
		return nil, fmt.Errorf("needs %s, the address that mail comes from", SettingFrom)
	}
	return s, nil
}

// send hands a message to the server and returns its answer; errors as of handOver.
func (s *MailServer) send(ctx context.Context, m *mail.Msg) (string, error) {
	// The client sets deadlines of its own, and closes nothing that fails; closing ends
	// whatever it waits for, when ctx ends and when this returns.
	ctx, done := context.WithCancel(ctx)
	defer done()
	dial := func(dialing context.Context, network, address string) (net.Conn, error) {
		return s.dial(ctx, dialing, network, address)
	}
	timeout := defaultTimeout
	if deadline, ok := ctx.Deadline(); ok {
		timeout = max(time.Until(deadline), 0) + 5*time.Second // ours ends first, and says so
	}
	client, err := mail.NewClient(s.Host, s.options(dial, timeout)...)
	if err != nil {
		return "", err
	}
	session, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return "", err
	}
	answer, err := handOver(session, m)
	client.CloseWithSMTPClient(session) //nolint:errcheck // a farewell
	return answer, err
}

// mailRefused is an answer of a mail server that is no consent.
type mailRefused struct {
	code int
	text string
}

func (e *mailRefused) Error() string { return e.text }

// refusedMail makes one of an answer to what; other errors are returned as they are.
func refusedMail(what string, err error) error {
	var answer *textproto.Error
	if !errors.As(err, &answer) {
		return err
	}
	return &mailRefused{answer.Code, what + answer.Msg}
}

// handOver is one transaction. Recipients that are refused for good do not keep the mail from
// the others; the error tells of them. If one is refused for now nobody gets the mail, so that
// nobody gets it twice when it is tried again.
func handOver(session *smtp.Client, m *mail.Msg) (answer string, err error) {
	from, err := m.GetSender(false)
	if err != nil {
		return "", err
	}
	recipients, err := m.GetRecipients()
	if err != nil {
		return "", err
	}
	if err := session.Mail(from); err != nil {
		return "", refusedMail("from "+from+": ", err)
	}
	var refused, later *mailRefused
	taken, texts := 0, []string{}
	for _, to := range recipients {
		err := session.Rcpt(to)
		if err == nil {
			taken++
			continue
		}
		var known *mailRefused
		if err = refusedMail(to+": ", err); !errors.As(err, &known) {
			return "", err
		}
		texts = append(texts, known.text)
		if refused = known; known.code < 500 {
			later = known
		}
	}
	if refused != nil && (taken == 0 || later != nil) {
		return "", &mailRefused{cmp.Or(later, refused).code, strings.Join(texts, "; ")}
	}
	w, err := session.Data()
	if err != nil {
		return "", refusedMail("", err)
	}
	if _, err = m.WriteTo(w); err != nil {
		return "", err
	}
	if err = w.Close(); err != nil {
		return "", refusedMail("", err)
	}
	if closed, ok := w.(*smtp.DataCloser); ok {
		answer = closed.ServerResponse()
	}
	if refused != nil {
		return answer, &mailRefused{refused.code, strings.Join(texts, "; ") + "; the others have the mail"}
	}
	return answer, nil
}

// Check connects as for a mail, with STARTTLS and login, and sends nothing.
func (s *MailServer) Check(ctx context.Context) error {
	ctx, done := context.WithCancel(ctx)
	defer done()
	dial := func(dialing context.Context, network, address string) (net.Conn, error) {
		return s.dial(ctx, dialing, network, address)
	}
	client, err := mail.NewClient(s.Host, s.options(dial, defaultTimeout)...)
	if err != nil {
		return err
	}
	session, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return err
	}
	return client.CloseWithSMTPClient(session)
}

func (s *MailServer) options(dial mail.DialContextFunc, timeout time.Duration) []mail.Option {
	policy := mail.TLSOpportunistic // over implicit TLS no server offers STARTTLS
	switch s.TLS {
	case tlsRequired:
		policy = mail.TLSMandatory
	case tlsNone:
		policy = mail.NoTLS
	}
	options := []mail.Option{
		mail.WithPort(s.Port), mail.WithTimeout(timeout), mail.WithTLSPolicy(policy), mail.WithTLSConfig(s.tlsConfig()),
		mail.WithDialContextFunc(dial), mail.WithoutNoop(),
	}
	if s.User != "" {
		auth := mail.SMTPAuthAutoDiscover
		if s.TLS == tlsNone || s.TLS == tlsOptional { // said so by the operator
			auth = mail.SMTPAuthPlainNoEnc
		}
		options = append(options, mail.WithSMTPAuth(auth), mail.WithUsername(s.User), mail.WithPassword(string(s.Password)))
	}
	return options
}

func (s *MailServer) tlsConfig() *tls.Config {
	return &tls.Config{ServerName: s.Host, RootCAs: s.RootCAs, MinVersion: tls.VersionTLS12}
}

// dial connects; the connection is closed when ctx ends.
func (s *MailServer) dial(ctx, dialing context.Context, network, address string) (net.Conn, error) {
	dial := s.Dial
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	c, err := dial(dialing, network, address)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() { c.Close() }) //nolint:errcheck // the mail is sent or not by then
	if s.TLS != tlsImplicit {
		return c, nil
	}
	secure := tls.Client(c, s.tlsConfig())
	if err := secure.HandshakeContext(dialing); err != nil {
		return nil, err
	}
	return secure, nil
}

// mailFailed sorts an error of a mail server. What a server refuses for good is permanent,
// but for our own credentials: the operator can mend those, and the mail is not to blame.
func (c *call) mailFailed(ctx context.Context, a *hook.Attempt, err error) {
	code, text := 0, err.Error()
	var refused *mailRefused
	var answer *textproto.Error
	var dns *net.DNSError
	var verification *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var op *net.OpError
	switch {
	case errors.As(err, &refused):
		code = refused.code
	case errors.As(err, &answer):
		code = answer.Code
	}
	login := strings.HasPrefix(text, "SMTP AUTH failed")
	switch {
	case code != 0:
		c.answered(a, code, []byte(text))
		fail(a, hook.ClassStatus, code >= 500 && !login, "the mail server answered %d: %s", code, text)
	case ctx.Err() != nil:
		c.x.ended(ctx, a)
	case errors.As(err, &dns):
		fail(a, hook.ClassDNS, false, "looking up the mail server %s: %s", dns.Name, dns.Err)
	case errors.As(err, &verification), errors.As(err, &record):
		fail(a, hook.ClassTLS, false, "TLS with the mail server: %s", text)
	case errors.As(err, &op) && op.Op == "dial":
		fail(a, hook.ClassConnect, false, "could not connect to the mail server: %s", op.Err)
	default:
		fail(a, hook.ClassProtocol, false, "the mail server: %s", text)
	}
}
