package gate

import (
	"bytes"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// noticeBuffers hold bodies while they are written.
var noticeBuffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// readyNotice is an answer with its values.
type readyNotice struct {
	*noticeAnswer
	values   noticeValues // escaped for the body
	location string       // "" for no redirect
	id       string
	page     *bytes.Buffer // the operator's page, nil for the made body; goes back to noticeBuffers
}

// ready negotiates, and finds the answer to n.
func (s *Notices) ready(n *Notice) (r readyNotice) {
	k := noticeKey{
		noticeSubject: noticeSubject{negotiateLang(n.Language), n.Verdict.Reason, n.Verdict.Advisories},
		format:        negotiateFormat(n.Accept),
		redirect:      s.redirect.leads(n.Host),
	}
	other := readable(n.Host)
	k.readable = other != "" && k.format != noticeJSON
	r.noticeAnswer = s.answer(k)
	if k.redirect {
		r.location = s.RedirectURL(n.Host, k.reason)
	}
	r.id = visible(n.RequestID)
	if r.custom != nil {
		r.page = noticeBuffers.Get().(*bytes.Buffer)
		r.page.Reset()
		if s.writePage(r.page, r.custom, k.noticeSubject, n) == nil {
			return r
		}
		r.release()
	}
	r.values = n.values(r.body.want, k.lang, k.format)
	r.values[placeUnicode] = other
	r.body.escaped(&r.values)
	return r
}

// release gives the page back.
func (r *readyNotice) release() {
	if r.page != nil {
		noticeBuffers.Put(r.page)
		r.page = nil
	}
}

func (r *readyNotice) len() int {
	if r.page != nil {
		return r.page.Len()
	}
	return r.body.len(&r.values)
}

func (r *readyNotice) appendBody(b []byte) []byte {
	if r.page != nil {
		return append(b, r.page.Bytes()...)
	}
	return r.body.appendTo(b, &r.values)
}

// writePage executes an operator's page.
func (s *Notices) writePage(b *bytes.Buffer, page *template.Template, about noticeSubject, n *Notice) error {
	v := n.values(allPlaces, about.lang, noticeHTML)
	return page.Execute(b, s.view(about, &v))
}

// AppendHTTP1 appends a whole HTTP/1.1 response that answers a blocked request
// and ends its connection, unless that stays.
func (s *Notices) AppendHTTP1(b []byte, n Notice) []byte {
	r := s.ready(&n)
	defer r.release()
	b = append(b, r.start...)
	if !n.Stays {
		b = append(b, closeLine...)
	}
	b = append(b, r.head...)
	b = appendDate(b, n.Time)
	b = appendField(b, "X-ICP-Request-Id: ", r.id)
	if r.location != "" {
		b = appendField(b, "Location: ", r.location)
		b = appendField(b, "X-ICP-Redirect: ", r.location)
	}
	b = append(b, "Content-Length: "...)
	b = strconv.AppendInt(b, int64(r.len()), 10)
	b = append(b, "\r\n\r\n"...)
	if n.Head {
		return b
	}
	return r.appendBody(b)
}

func appendField(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	b = append(b, name...)
	b = append(b, value...)
	return append(b, "\r\n"...)
}

func appendDate(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return b
	}
	b = append(b, "Date: "...)
	b = t.UTC().AppendFormat(b, http.TimeFormat)
	return append(b, "\r\n"...)
}

// ServeNotice writes the same answer to w, for HTTP/2 and for servers of
// net/http. Whether the connection goes on is the server's business: HTTP/2 knows
// no Connection header.
func (s *Notices) ServeNotice(w http.ResponseWriter, n Notice) {
	r := s.ready(&n)
	defer r.release()
	h := w.Header()
	for _, f := range r.fields {
		h.Set(f[0], f[1])
	}
	if !n.Time.IsZero() {
		h.Set("Date", n.Time.UTC().Format(http.TimeFormat))
	}
	if r.id != "" {
		h.Set("X-ICP-Request-Id", r.id)
	}
	if r.location != "" {
		h.Set("Location", r.location)
		h.Set("X-ICP-Redirect", r.location)
	}
	h.Set("Content-Length", strconv.Itoa(r.len()))
	w.WriteHeader(r.status)
	if n.Head {
		return
	}
	b := noticeBuffers.Get().(*bytes.Buffer)
	defer noticeBuffers.Put(b)
	b.Reset()
	b.Grow(r.len())
	// An error here is the client's having gone, which the server sees as well.
	_, _ = w.Write(r.appendBody(b.AvailableBuffer()))
}

// pageError names the template file where the template's own error does not.
func pageError(file string, err error) error {
	return fmt.Errorf("notice: template %s: %w", file, err)
}
