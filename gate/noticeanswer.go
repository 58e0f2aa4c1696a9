package gate

import (
	"bytes"
	"html/template"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/explain"
)

// noticeKey is what all of an answer depends on but the values.
type noticeKey struct {
	noticeSubject
	format   noticeFormat
	readable bool // the host has a readable form
	redirect bool
}

// noticeAnswer is an answer without its values. Immutable.
type noticeAnswer struct {
	status int
	fields [][2]string // in the order in which they are sent
	start  string      // status line, for HTTP/1.1
	head   string      // fields, for HTTP/1.1
	body   madeNotice
	// custom is the operator's page, nil for none; body stands in where it fails.
	custom *template.Template
}

// maxNoticeAnswers bounds the answers that are kept, some 5 KB each. A registry
// gives rise to some hundred; clients cannot choose advisories.
const maxNoticeAnswers = 1 << 10

// answer finds an answer, or makes it the first time it is asked for.
func (s *Notices) answer(k noticeKey) *noticeAnswer {
	if all := s.answers.Load(); all != nil {
		if a, ok := (*all)[k]; ok {
			return a
		}
	}
	a := s.newAnswer(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	next := map[noticeKey]*noticeAnswer{}
	if all := s.answers.Load(); all != nil {
		if len(*all) >= maxNoticeAnswers {
			return a
		}
		maps.Copy(next, *all)
	}
	next[k] = a
	s.answers.Store(&next)
	return a
}

func (s *Notices) newAnswer(k noticeKey) *noticeAnswer {
	a := &noticeAnswer{status: s.status(k), body: newMadeNotice(s.builtinBody(k), k.format)}
	policy := cspNothing
	if k.format == noticeHTML {
		policy = cspBuiltin()
		if a.custom = s.pages.page(k.page(), k.lang); a.custom != nil {
			policy = cspOperator
		}
	}
	a.fields = [][2]string{
		{"Content-Type", noticeTypes[k.format]},
		{"Content-Language", noticeLabelsOf(k.lang).tag},
		{"Vary", "Accept, Accept-Language"},
		{"Cache-Control", "no-store"},
		{"X-ICP-Verdict", "block"},
		{"X-ICP-Reason", k.reason.String()},
		{"X-Content-Type-Options", "nosniff"},
		{"Content-Security-Policy", policy},
		{"Referrer-Policy", "no-referrer"},
	}
	if a.status == http.StatusUnavailableForLegalReasons && s.link != "" {
		a.fields = append(a.fields, [2]string{"Link", s.link})
	}
	a.start, a.head = statusLine(a.status), fieldLines(a.fields)
	return a
}

var noticeTypes = [noticeFormats]string{"text/html; charset=utf-8", "application/json", "text/plain; charset=utf-8"}

// status is that of an answer.
func (s *Notices) status(k noticeKey) int {
	switch {
	case k.redirect:
		return http.StatusFound
	case s.cfg.Status == 0:
		return http.StatusForbidden
	}
	return s.cfg.Status
}

// statusLine writes the first line of a response.
func statusLine(status int) string {
	return "HTTP/1.1 " + strconv.Itoa(status) + " " + http.StatusText(status) + "\r\n"
}

// closeLine ends the connection behind a response.
const closeLine = "Connection: close\r\n"

// fieldLines writes fields as HTTP/1.1 has them.
func fieldLines(fields [][2]string) string {
	var b strings.Builder
	for _, f := range fields {
		b.WriteString(f[0] + ": " + f[1] + "\r\n")
	}
	return b.String()
}

// builtinBody makes a body of ours, with marks at the places.
func (s *Notices) builtinBody(k noticeKey) string {
	v := placeMarks
	if !k.readable {
		v[placeUnicode] = ""
	}
	w := s.view(k.noticeSubject, &v)
	if k.redirect { // for whoever does not come to see the header
		w.Redirect = canonicalURL(s.cfg.Redirect)
	}
	switch k.format {
	case noticeHTML:
		return builtinPage(w)
	case noticeJSON:
		return w.json(k.noticeSubject)
	}
	return w.text()
}

// tryAll makes the answers of all reasons, and executes the operator's pages
// with hosts of each kind, so that a fault in them shows at load.
func (s *Notices) tryAll() error {
	for _, reason := range registry.Reasons() {
		if reason.Page() == registry.PageNone {
			continue
		}
		for _, lang := range []explain.Lang{explain.English, explain.Chinese} {
			for f := range noticeFormats {
				s.answer(noticeKey{noticeSubject: noticeSubject{lang: lang, reason: reason}, format: f})
			}
			for _, advisories := range []registry.Advisories{0, ^registry.Advisories(0)} {
				if err := s.tryPage(noticeSubject{lang, reason, advisories}); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// tryPage executes the operator's page of a notice, if there is one.
func (s *Notices) tryPage(n noticeSubject) error {
	page := s.pages.page(n.page(), n.lang)
	if page == nil {
		return nil
	}
	for _, host := range []string{"www.example.com", "www.xn--fsqu00a.example", "192.0.2.1", ""} {
		try := Notice{Host: host, RequestID: "0", Time: time.Unix(0, 0)}
		if err := s.writePage(new(bytes.Buffer), page, n, &try); err != nil {
			return pageError(s.pages.file, err)
		}
	}
	return nil
}
