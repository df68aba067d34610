package e2e

import (
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"

	"sallyport/internal/testkit"
)

// mailbox is a real SMTP server that keeps what it gets.
type mailbox struct {
	address  string
	password string

	mu    sync.Mutex
	mails []letter
}

type letter struct {
	user, from string
	to         []string
	data       string
}

func (m *mailbox) all() []letter {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.mails)
}

// NewSession begins a conversation.
func (m *mailbox) NewSession(*smtp.Conn) (smtp.Session, error) { return &mailing{m: m}, nil }

type mailing struct {
	m *mailbox
	letter
}

func (s *mailing) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *mailing) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if password != s.m.password {
			return &smtp.SMTPError{Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: "wrong"}
		}
		s.user = user
		return nil
	}), nil
}

func (s *mailing) Mail(from string, _ *smtp.MailOptions) error { s.from = from; return nil }

func (s *mailing) Rcpt(to string, _ *smtp.RcptOptions) error {
	if strings.HasPrefix(to, "nobody@") {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"}
	}
	s.to = append(s.to, to)
	return nil
}

func (s *mailing) Data(r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.data = string(data)
	s.m.mu.Lock()
	defer s.m.mu.Unlock()
	s.m.mails = append(s.m.mails, s.letter)
	return nil
}

func (s *mailing) Reset()        { s.to = nil }
func (s *mailing) Logout() error { return nil }

func newMailbox(t *testing.T, password string) *mailbox {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &mailbox{address: l.Addr().String(), password: password}
	s := smtp.NewServer(m)
	s.AllowInsecureAuth = true
	s.ErrorLog = log.New(io.Discard, "", 0)
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { _ = s.Close() })
	return m
}

// testMailAndCommands: what the operator set up can be used, and nothing else can.
func testMailAndCommands(t *testing.T, s *server) {
	m := newMailbox(t, s.planted.given("mail-password-"+random(16)))
	script := filepath.Join(s.dir, "count.sh")
	testkit.Script(t, script, "printf '%s|' \"$@\"\ncat\necho \"${HIDDEN:-none}\"\nexit ${1#code=}\n")
	declared := filepath.Join(s.dir, "commands.yaml")
	if err := os.WriteFile(declared, []byte("commands:\n  count:\n    path: "+script+"\n    allowArgs: true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.launch("SALLYPORT_SMTP_URL=smtp://hooks%40example.com:"+m.password+"@"+m.address+"?tls=none", "SALLYPORT_MAIL_FROM=Sallyport <hooks@example.com>",
		"SALLYPORT_COMMANDS="+declared, "HIDDEN=not passed on")
	s.awaitReady()
	w := newWorld(t, s)

	w.action("mail", "sendEmail", doc{"to": "{{ item.to }}", "bcc": []string{"audit@example.com"}, "subject": "Stock of {{ item.sku }}\r\nX-Injected: yes", "text": "There are {{ item.qty }} left.", "html": "<p>{{ item.sku|e }}</p>"})
	w.door("mail", doc{"routes": to("mail"), "postProcessors": []doc{{"type": "sendEmail", "config": doc{"to": "after@example.com", "subject": "Done", "text": "{{ request.id }}"}}}})
	a := w.nobody.post(w.in("mail"), `{"to":"erp@example.com","sku":"A<1","qty":3}`).want(http.StatusAccepted)
	w.ran(a, doc{"succeeded": 2})
	mails := m.all()
	slices.SortFunc(mails, func(a, b letter) int { return strings.Compare(b.to[0], a.to[0]) })
	if len(mails) != 2 || strings.Join(mails[0].to, " ") != "erp@example.com audit@example.com" || mails[0].from != "hooks@example.com" || mails[0].user != "hooks@example.com" ||
		!strings.Contains(mails[0].data, "There are 3 left.") || !strings.Contains(mails[0].data, "A&lt;1") || strings.Contains(mails[0].data, "\nX-Injected") || strings.Contains(mails[0].data, "audit@") {
		t.Errorf("sent were %+v", mails)
	}
	if len(mails) == 2 && (mails[1].to[0] != "after@example.com" || !strings.Contains(mails[1].data, a.text("requestId"))) {
		t.Errorf("after it was sent %+v", mails[1])
	}
	w.admin.post("/v1/actions/mail/test", doc{"item": doc{"to": "nobody@example.com"}}).want(http.StatusOK).has("outcome", "failed")
	w.admin.post("/v1/actions", doc{"code": "bad", "type": "sendEmail", "config": doc{"to": "no address", "text": "x"}}).fault("/config/to", "invalid_format")

	w.action("count", "runCommand", doc{"command": "count", "args": []string{"code={{ item.code }}", "$(id)", "; id"}}, doc{"maxAttempts": 1})
	done := w.admin.post("/v1/actions/count/test", doc{"item": doc{"code": 0}}).want(http.StatusOK).has("outcome", "succeeded")
	if got := done.text("response.body"); !strings.Contains(got, `code=0|$(id)|; id|{"code":0}none`) {
		t.Errorf("the command said %q", got)
	}
	w.admin.post("/v1/actions/count/test", doc{"item": doc{"code": 7}}).want(http.StatusOK).has("outcome", "failed", "response.status", "7")
	w.action("other", "runCommand", doc{"command": "other"}, doc{"maxAttempts": 1})
	w.admin.post("/v1/actions/other/test", nil).want(http.StatusOK).has("outcome", "failed", "response", "")
	s.stop()
}

var _ = suite("mail and commands", map[string]func(*world){
	"are off unless the operator sets them up": func(w *world) {
		for kind, config := range map[string]doc{"sendEmail": {"to": "erp@example.com", "text": "x"}, "runCommand": {"command": "id"}} {
			w.action(kind, kind, config, doc{"maxAttempts": 1})
			a := w.admin.post("/v1/actions/"+kind+"/test", nil).want(http.StatusOK).has("outcome", "failed")
			setting := map[string]string{"sendEmail": "SALLYPORT_SMTP_URL", "runCommand": "SALLYPORT_COMMANDS"}[kind]
			if !strings.Contains(a.text("error"), setting) {
				w.t.Errorf("%s says %q", kind, a.text("error"))
			}
		}
	},
})
