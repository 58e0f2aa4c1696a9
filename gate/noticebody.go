package gate

import (
	"encoding/json"
	"strings"

	"github.com/icpgate/icpgate/registry"
)

// noticeJSONBody are the fields of a notice in JSON, with the rule book's words.
type noticeJSONBody struct {
	Verdict    string              `json:"verdict"`
	Reason     registry.Reason     `json:"reason"`
	Page       registry.Page       `json:"page"`
	Host       string              `json:"host"`
	Advisories []registry.Advisory `json:"advisories"`
	Message    string              `json:"message"`
	RequestID  string              `json:"request_id"`
	Time       string              `json:"time"`
	Redirect   string              `json:"redirect,omitempty"`
}

// json writes a notice for programs.
func (w *noticeView) json(n noticeSubject) string {
	// Strings and our own words always have a form in JSON.
	b, _ := json.Marshal(noticeJSONBody{
		Verdict: "block", Reason: n.reason, Page: n.page(), Host: w.Host, Advisories: n.advisories.Slice(),
		Message: w.ReasonTitle + w.Labels.Colon + w.ReasonText, RequestID: w.RequestID, Time: w.Time, Redirect: w.Redirect,
	})
	return string(b) + "\n"
}

// text writes a notice for terminals.
func (w *noticeView) text() string {
	var b strings.Builder
	line := func(parts ...string) {
		for _, p := range parts {
			b.WriteString(p)
		}
		b.WriteByte('\n')
	}
	line(w.Heading)
	line()
	host := w.Host
	if w.Unicode != "" {
		host += " (" + w.Unicode + ")"
	}
	line(w.Labels.Host, w.Labels.Colon, host)
	line(w.Labels.Reason, w.Labels.Colon, w.ReasonTitle, " (", w.Reason, ")")
	line(w.ReasonText)
	for _, note := range w.Notes {
		line(note.Title, w.Labels.Colon, note.Text)
	}
	if w.Redirect != "" {
		line()
		line(w.Labels.More, w.Labels.Colon, w.Redirect)
	}
	w.writeSteps(line)
	w.writeContact(line)
	line()
	line(w.Labels.RequestID, w.Labels.Colon, w.RequestID)
	line(w.Labels.Time, w.Labels.Colon, w.Time)
	return b.String()
}

// writeSteps writes what the site's owner can do.
func (w *noticeView) writeSteps(line func(...string)) {
	if len(w.Steps) == 0 && w.FilingURL == "" && w.AccessURL == "" {
		return
	}
	line()
	line(w.Labels.Steps, strings.TrimRight(w.Labels.Colon, " "))
	for _, step := range w.Steps {
		line("- ", step)
	}
	if w.FilingURL != "" {
		line("- ", w.Labels.Filing, w.Labels.Colon, w.FilingURL)
	}
	if w.AccessURL != "" {
		line("- ", w.Labels.Access, w.Labels.Colon, w.AccessURL)
	}
}

// writeContact writes whom the site's owner can ask.
func (w *noticeView) writeContact(line func(...string)) {
	if w.Contact == nil {
		return
	}
	var all []string
	for _, s := range []string{w.Contact.Text, w.Contact.URL, w.Contact.Mail} {
		if s != "" {
			all = append(all, s)
		}
	}
	line()
	line(w.Labels.Contact, w.Labels.Colon, strings.Join(all, ", "))
}
