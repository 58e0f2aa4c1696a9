package gate

import (
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/icpgate/icpgate/gate/authz"
	"github.com/icpgate/icpgate/gate/sniff"
	"github.com/icpgate/icpgate/registry"
)

// ask answers a proxy that asks on behalf of its client, in its own way. It reports
// whether the connection goes on.
func (a *authConn) ask(p authz.Preset, rest []byte, r *sniff.Request, to reply) bool {
	head := a.pending()
	q := p.Read(r, head, rest, a.v.names, a.v.serves.Asked)
	answer := a.v.Ask(&q)
	b := a.buffer()
	switch {
	case !answer.Refused:
		*b = a.appendPass(*b, p, answer.Verdict, to)
	case p == authz.Nginx:
		*b = a.appendRefusal(*b, &q, answer, to)
	default:
		to.stays = to.stays && !to.old // a notice knows no keep-alive
		*b = a.v.notices.AppendHTTP1(*b, Notice{
			Host: q.Host.String(), Verdict: answer.Verdict, RequestID: answer.ID, Time: a.now,
			Accept: string(r.Field(head, "accept")), Language: string(r.Field(head, "accept-language")),
			Head: to.head, Stays: to.stays,
		})
	}
	return a.done(to)
}

// appendPass lets the client pass.
func (a *authConn) appendPass(b []byte, p authz.Preset, v registry.Verdict, to reply) []byte {
	lines := &passes[v.Reason]
	if p == authz.Nginx {
		b = append(b, "HTTP/1.1 204 No Content\r\n"...)
	} else {
		b = append(b, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"...)
	}
	if v.Block { // which is only watched
		lines = &refusals[v.Reason]
	}
	b = append(b, *lines...)
	b = to.appendConnection(b)
	return append(append(b, dateLine(a.now)...), "\r\n"...)
}

// appendRefusal is what nginx understands: it shows the client what it makes of
// the fields itself.
func (a *authConn) appendRefusal(b []byte, q *authz.Question, answer authz.Answer, to reply) []byte {
	b = append(b, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nCache-Control: no-store\r\n"...)
	b = to.appendConnection(b)
	b = append(b, refusals[answer.Verdict.Reason]...)
	b = appendField(b, "X-ICP-Request-Id: ", answer.ID)
	b = appendField(b, "X-ICP-Redirect: ", a.v.notices.RedirectURL(q.Host.String(), answer.Verdict.Reason))
	return append(append(b, dateLine(a.now)...), "\r\n"...)
}

// appendConnection says whether the connection goes on, where that is not what the
// version has by itself.
func (to reply) appendConnection(b []byte) []byte {
	switch {
	case !to.stays:
		return append(b, closeLine...)
	case to.old:
		return append(b, "Connection: keep-alive\r\n"...)
	}
	return b
}

// passes and refusals are the fields of a verdict, by its reason.
var passes, refusals = verdictLines("pass"), verdictLines("block")

func verdictLines(verdict string) []string {
	all := make([]string, len(registry.Reasons()))
	for _, r := range registry.Reasons() {
		all[r] = "X-ICP-Verdict: " + verdict + "\r\nX-ICP-Reason: " + r.String() + "\r\n"
	}
	return all
}

// dated is the field Date of one second.
type dated struct {
	second int64
	line   string
}

var lastDated atomic.Pointer[dated]

// dateLine is the field Date, made once a second.
func dateLine(t time.Time) string {
	if d := lastDated.Load(); d != nil && d.second == t.Unix() {
		return d.line
	}
	d := &dated{t.Unix(), "Date: " + t.UTC().Format(http.TimeFormat) + "\r\n"}
	lastDated.Store(d)
	return d.line
}

// health tells whoever checks it that the listener answers, and is ready.
func (a *authConn) health(ready bool, to reply) bool {
	status, text := http.StatusOK, "ok\n"
	if !ready {
		status, text = http.StatusServiceUnavailable, "no registry is loaded\n"
	}
	a.respond(status, "text/plain; charset=utf-8", "", text, to)
	return a.done(to)
}

// respond answers with a text.
func (a *authConn) respond(status int, contentType, allow, text string, to reply) {
	p := a.buffer()
	b := append(*p, statusLine(status)...)
	b = appendField(b, "Content-Type: ", contentType)
	b = append(b, "Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"...)
	b = appendField(b, "Allow: ", allow)
	b = to.appendConnection(b)
	b = append(b, dateLine(a.now)...)
	b = append(b, "Content-Length: "...)
	b = strconv.AppendInt(b, int64(len(text)), 10)
	b = append(b, "\r\n\r\n"...)
	if !to.head {
		b = append(b, text...)
	}
	*p = b
}
