package action

import (
	"context"
	netmail "net/mail"
	"strings"

	"sallyport/internal/hook"
)

// SendAlert mails an operational event and records it as a run of sendEmail is recorded.
// Nobody to mail, which may have changed since the event, ends the delivery skipped.
func (x *Executor) SendAlert(ctx context.Context, j *hook.Job, emails []string, subject, text string) hook.Attempt {
	s := &scene{x: x, workspace: j.Delivery.Workspace, job: j, event: j.Event, now: x.cfg.Now()}
	a := s.attempt()
	a.Action = &hook.RanAction{Type: hook.ActionSendEmail}
	if len(emails) == 0 {
		return hook.Attempt{Skip: hook.ReasonConditionFalse}
	}
	limited, cancel := context.WithTimeoutCause(ctx, defaultTimeout, errTimeout)
	defer cancel()
	c := &call{x: x, outer: ctx, scene: s, place: place{kind: hook.ActionSendEmail}, compiled: &compiled{}}
	if x.cfg.Mail == nil {
		fail(&a, hook.ClassInternal, false, noMailServer, SettingSMTP, SettingFrom)
		return a
	}
	l := letter{subject: subject, text: text, messageID: messageID(j, x.cfg.Mail)}
	for _, e := range emails {
		l.to = append(l.to, &netmail.Address{Address: e})
	}
	c.asked(&a, "mailto:"+strings.Join(emails, ","), new(object).text("from", x.cfg.Mail.From.String()).value("to", emails).
		text("subject", subject).text("text", text).text("messageId", l.messageID))
	answer, err := x.cfg.Mail.send(limited, l.message(x.cfg.Mail))
	if err != nil {
		c.mailFailed(limited, &a, err)
	} else {
		c.answered(&a, 250, []byte(answer))
		a.Outcome = hook.OutcomeSucceeded
	}
	a.Timings.Total = x.cfg.Now().Sub(s.now)
	return a
}
