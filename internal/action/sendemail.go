package action

import (
	"context"
	"encoding/json"
	netmail "net/mail"
	"strconv"
	"strings"

	"github.com/wneessen/go-mail"

	"sallyport/internal/hook"
)

// maxRecipients bounds those of one mail.
const maxRecipients = 100

// sendEmail sends a mail through the installation's mail server.
type sendEmail struct {
	to, cc, bcc recipients
	subject     *text
	text        *text
	html        *text
}

// recipients are templates for addresses; each may render several, separated by commas.
type recipients []*text

func newSendEmail(o *settings) runner {
	e := &sendEmail{
		to: o.recipients("to"), cc: o.recipients("cc"), bcc: o.recipients("bcc"),
		subject: o.text("subject"), text: o.text("text"), html: o.text("html"),
	}
	if o.fields["to"] == nil || len(e.to) == 0 && string(o.fields["to"]) == "[]" {
		o.b.fault(o.field("to"), "required", "say who gets the mail")
	}
	if e.text == nil && e.html == nil {
		o.b.fault(o.field("text"), "required", "the mail needs a text, or html")
	}
	return e
}

// recipients reads a string or a list of strings. Addresses without templates are checked.
func (s *settings) recipients(name string) recipients {
	raw := s.raw(name)
	if raw == nil {
		return nil
	}
	list := []json.RawMessage{raw}
	field := func(int) string { return s.field(name) }
	if raw[0] == '[' {
		list = s.list(name)
		field = func(i int) string { return element(s.field(name), i) }
	}
	var out recipients
	for i, raw := range list {
		t := s.textOf(field(i), raw)
		if t == nil {
			continue
		}
		if t.template == nil && !isTemplate(t.source) {
			if _, err := addresses(t.source); err != nil {
				s.b.fault(t.field, "invalid_format", err.Error())
			}
		}
		out = append(out, t)
	}
	return out
}

type addressError struct{ text string }

func (e *addressError) Error() string {
	return strconv.Quote(shortened(e.text)) + " is not an address such as erp@example.com or ERP <erp@example.com>"
}

// addresses reads addresses separated by commas; none of blank text.
func addresses(s string) ([]*netmail.Address, error) {
	s = strings.Trim(s, ", \t\r\n")
	if s == "" {
		return nil, nil
	}
	if hook.HasControl(s) {
		return nil, &addressError{s}
	}
	list, err := netmail.ParseAddressList(s)
	if err != nil {
		return nil, &addressError{s}
	}
	for _, a := range list {
		if hook.HasControl(a.Name + a.Address) {
			return nil, &addressError{s}
		}
	}
	return list, nil
}

func (r recipients) render(c *call) ([]*netmail.Address, error) {
	var list []*netmail.Address
	for _, t := range r {
		s, err := t.render(c)
		if err != nil {
			return nil, err
		}
		some, err := addresses(s)
		if err != nil {
			return nil, bad(t.field, "%s", err.Error())
		}
		list = append(list, some...)
	}
	return list, nil
}

// letter is a rendered mail.
type letter struct {
	to, cc, bcc []*netmail.Address
	subject     string
	text, html  string
	messageID   string
}

func (e *sendEmail) render(c *call, server *MailServer) (l letter, err error) {
	if l.to, err = e.to.render(c); err != nil {
		return l, err
	}
	if l.cc, err = e.cc.render(c); err != nil {
		return l, err
	}
	if l.bcc, err = e.bcc.render(c); err != nil {
		return l, err
	}
	switch n := len(l.to) + len(l.cc) + len(l.bcc); {
	case n == 0:
		return l, bad("config.to", "the mail has no recipient")
	case n > maxRecipients:
		return l, bad("config.to", "the mail has %d recipients; at most %d are allowed", n, maxRecipients)
	}
	if l.subject, err = e.subject.render(c); err != nil {
		return l, err
	}
	l.subject = strings.Join(strings.FieldsFunc(l.subject, func(r rune) bool { return r < ' ' || r == 0x7f }), " ")
	if l.text, err = e.text.render(c); err != nil {
		return l, err
	}
	if l.html, err = e.html.render(c); err != nil {
		return l, err
	}
	l.messageID = messageID(c.scene.job, server)
	return l, nil
}

// messageID is the same on every attempt that Sallyport makes of its own accord, so that a mail that
// comes twice can be told. Who has it sent again, by a retry or a replay, wants it seen again: mail
// servers and clients drop what has the id of a mail that they have.
func messageID(j *hook.Job, server *MailServer) string {
	domain := server.From.Address[strings.LastIndexByte(server.From.Address, '@')+1:]
	id := j.Delivery.ID.String() + "." + strconv.Itoa(j.Delivery.Step)
	if j.Delivery.Base > 0 {
		id += "." + strconv.Itoa(j.Delivery.Base)
	}
	return id + "@" + domain
}

// noMailServer says which settings are missing.
const noMailServer = "this installation has no mail server; whoever runs it sets %s and %s"

func (e *sendEmail) run(ctx context.Context, c *call, a *hook.Attempt) {
	server := c.x.cfg.Mail
	if server == nil {
		fail(a, hook.ClassInternal, true, noMailServer, SettingSMTP, SettingFrom)
		return
	}
	l, err := e.render(c, server)
	if err != nil {
		c.x.failed(ctx, a, err)
		return
	}
	config := new(object).text("from", server.From.String()).value("to", shown(l.to))
	if len(l.cc) > 0 {
		config.value("cc", shown(l.cc))
	}
	if len(l.bcc) > 0 {
		config.value("bcc", shown(l.bcc))
	}
	config.text("subject", l.subject).textIf("text", l.text).textIf("html", l.html).text("messageId", l.messageID)
	c.asked(a, "mailto:"+strings.Join(bare(l.to), ","), config)
	answer, err := server.send(ctx, l.message(server))
	if err != nil {
		c.mailFailed(ctx, a, err)
		return
	}
	c.answered(a, 250, []byte(answer))
	a.Outcome = hook.OutcomeSucceeded
}

func shown(list []*netmail.Address) []string {
	out := make([]string, len(list))
	for i, a := range list {
		if out[i] = a.Address; a.Name != "" {
			out[i] = a.Name + " <" + a.Address + ">"
		}
	}
	return out
}

func bare(list []*netmail.Address) []string {
	out := make([]string, len(list))
	for i, a := range list {
		out[i] = a.Address
	}
	return out
}

func (l *letter) message(server *MailServer) *mail.Msg {
	m := mail.NewMsg(mail.WithNoDefaultUserAgent())
	m.SetAddrHeaderFromMailAddress(mail.HeaderFrom, server.From)
	m.SetAddrHeaderFromMailAddress(mail.HeaderTo, l.to...)
	if len(l.cc) > 0 {
		m.SetAddrHeaderFromMailAddress(mail.HeaderCc, l.cc...)
	}
	if len(l.bcc) > 0 {
		m.SetAddrHeaderFromMailAddress(mail.HeaderBcc, l.bcc...)
	}
	m.Subject(l.subject)
	m.SetMessageIDWithValue(l.messageID)
	m.SetDate()
	// No machine answers a machine: RFC 3834.
	m.SetGenHeader("Auto-Submitted", "auto-generated")
	switch {
	case l.html == "":
		m.SetBodyString(mail.TypeTextPlain, l.text)
	case l.text == "":
		m.SetBodyString(mail.TypeTextHTML, l.html)
	default:
		m.SetBodyString(mail.TypeTextPlain, l.text)
		m.AddAlternativeString(mail.TypeTextHTML, l.html)
	}
	return m
}
