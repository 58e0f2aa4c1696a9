package gate

import (
	"bytes"
	"encoding/json"
	"net/http"
	"time"

	"github.com/icpgate/icpgate/gate/authz"
	"github.com/icpgate/icpgate/gate/sniff"
	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/edge"
	"github.com/icpgate/icpgate/registry/explain"
)

// check answers a program that asks about hosts in JSON.
func (a *authConn) check(r *sniff.Request, query string, to reply) bool {
	switch string(r.Method.Of(a.pending())) {
	case "GET", "HEAD":
		c, err := authz.ParseQuery(query)
		if err != nil {
			return a.problem(err, to)
		}
		return a.checked([]authz.Check{c}, false, to)
	case "POST":
		return a.checkBody(r, to)
	}
	return a.problem(authz.ErrMethod, to)
}

// checkBody answers the questions of a body.
func (a *authConn) checkBody(r *sniff.Request, to reply) bool {
	if p := authz.CheckType(r.Field(a.pending(), "content-type")); p != nil {
		return a.problem(p, to)
	}
	if r.ContentLength > authz.MaxBody {
		return a.problem(authz.ErrTooLarge, to)
	}
	a.use(to.length)
	to.length = 0
	if r.Expect {
		b := a.buffer()
		if *b = append(*b, "HTTP/1.1 100 Continue\r\n\r\n"...); !a.flush() {
			return false
		}
	}
	body, err := a.readBody(r.Framing)
	if err != nil {
		return a.problem(err, to)
	}
	to.stays = !r.Close && !a.leaving.Load()
	list, many, p := authz.ParseChecks(body)
	if p != nil {
		return a.problem(p, to)
	}
	return a.checked(list, many, to)
}

// readBody reads a body to its end, for no longer than one may wait for a request.
func (a *authConn) readBody(framing sniff.Framing) ([]byte, *authz.Problem) {
	var (
		f    bodyFraming
		body []byte
	)
	f.start(framing, nil)
	a.setRead(a.now.Add(a.v.timeouts.idle), 0)
	for {
		var n int
		body, n = f.appendPayload(body, a.pending())
		a.use(n)
		switch {
		case f.bad():
			return nil, authz.ErrFraming
		case len(body) > authz.MaxBody:
			return nil, authz.ErrTooLarge
		case f.done():
			return body, nil
		}
		_, err := a.client.read(&a.in)
		if a.now = time.Now(); err != nil {
			return nil, authz.ErrTooSlow
		}
	}
}

// checked answers questions that can be read.
func (a *authConn) checked(list []authz.Check, many bool, to reply) bool {
	all := make([]authz.Checked, len(list))
	for i, c := range list {
		x, err := a.v.check(c)
		if err != nil {
			return a.problem(err, to)
		}
		a.v.metrics.checked(x.Answer)
		all[i] = x
	}
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	var v any = all
	if !many {
		v = all[0]
	}
	_ = enc.Encode(v) // what stands in it always has a form
	a.now = time.Now()
	a.respond(http.StatusOK, "application/json", "", text.String(), to)
	return a.done(to)
}

// problem tells why there is no answer.
func (a *authConn) problem(p *authz.Problem, to reply) bool {
	a.respond(p.Status, "application/problem+json", p.Allow, string(p.AppendJSON(nil)), to)
	return a.done(to)
}

// check judges one host as a proxy's question would be, but counts no verdict and
// tells of none: nobody is waiting to be served.
func (s *service) check(c authz.Check) (authz.Checked, *authz.Problem) {
	if !c.Addr.IsValid() && s.serves.IsZero() {
		return authz.Checked{}, authz.ErrNoAddr
	}
	r := route{dest: destination{Told: c.Addr}}
	q := c.Question()
	if q.Cause != sniff.NoCause {
		return authz.NewMalformed(c, s.edge.View().Revision()), nil
	}
	f := s.facts(asked{host: q.Host, channel: q.Channel}, &r, c.Product)
	return authz.NewChecked(c, explain.Explain(explain.English, f)), nil
}

// facts decides as decide does, and tells by what. A product that is told counts
// before what the data say.
func (j *judging) facts(a asked, r *route, product registry.Product) (worst explain.Facts) {
	var (
		k   known
		buf [4]edge.Where
	)
	j.lookUp(&k, a, r)
	for i, w := range j.where.judged(buf[:0], r.dest) {
		f := explain.Facts{Query: edge.At(k.query, w, k.hints), Coverage: k.cover}
		if product != registry.ProductUnknown {
			f.Query.Product = product
		}
		f.Verdict = registry.Decide(f.Query, f.Coverage)
		if i == 0 || worse(worst.Verdict, f.Verdict) {
			worst = f
		}
	}
	worst.Filings = j.edge.Filings(a.host)
	return worst
}

// worse reports whether a verdict is worse than the worst before it: among those that
// pass, one that passes since nobody knows is.
func worse(before, v registry.Verdict) bool {
	if !before.Block && !v.Block {
		return authz.CannotDecide(v.Reason) && !authz.CannotDecide(before.Reason)
	}
	return before.Worse(v) != before
}
