package manage

import (
	netmail "net/mail"
	"slices"
	"strings"

	"sallyport/internal/hook"
)

// alerts reads who is mailed about operational events; absent and null are whom the
// installation names, an empty list of addresses is nobody.
func (o *object) alerts(name string, mails bool) *hook.Alerts {
	a := o.objectOrNull(name)
	if a == nil {
		return nil
	}
	out := &hook.Alerts{Emails: []string{}, EventTypes: hook.AlertTypes}
	if !a.has("emails") {
		a.fault(a.at("emails"), "required", "say who is mailed; [] is nobody")
	}
	a.texts("emails", hook.MaxAlertEmails, func(at, s string) {
		// Some readers take a line break in an address for the end of a header.
		mail, err := netmail.ParseAddress(s)
		if err != nil || mail.Name != "" || mail.Address != strings.TrimSpace(s) {
			a.fault(at, "invalid_format", "%q is not an address such as ops@example.com, without a name", clip(s))
			return
		}
		out.Emails = append(out.Emails, mail.Address)
	})
	if len(out.Emails) > 0 && !mails {
		a.fault(a.at("emails"), "no_mail_server", "this installation has no mail server; whoever runs it sets SALLYPORT_SMTP_URL and SALLYPORT_MAIL_FROM")
	}
	if a.has("eventTypes") {
		out.EventTypes = []string{}
		n, ok := a.texts("eventTypes", len(hook.OperationalTypes), func(at, s string) {
			switch {
			case !hook.IsOperational(s):
				a.fault(at, "invalid_format", "%q is none of %s", clip(s), strings.Join(hook.OperationalTypes, ", "))
			case !slices.Contains(out.EventTypes, s):
				out.EventTypes = append(out.EventTypes, s)
			}
		})
		if ok && n == 0 {
			a.fault(a.at("eventTypes"), "empty_event_types", "is empty; leave it out for %s, or say \"emails\": [] for no mail", strings.Join(hook.AlertTypes, ", "))
		}
	}
	a.done()
	return out
}
