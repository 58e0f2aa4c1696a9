package gate

import (
	"context"
	"net/http"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/icpgate/icpgate/gate/sniff"
	"github.com/icpgate/icpgate/registry"
)

// h2Stream is one request over HTTP/2 and its response.
type h2Stream struct {
	h      *h2Conn
	w      http.ResponseWriter // of package http2
	cancel context.CancelFunc  // of what is done for it
	swept  atomic.Bool         // it has been told to end, since its name is blocked
	timer  *time.Timer         // calls watch

	mu      sync.Mutex
	asked   asked
	over    bool // w is not ours any more
	gone    bool // it was cut off
	waits   [waitings]time.Time
	rate    bodyRate
	reading bool  // the body has been asked for
	slow    bool  // the body came too slowly, and was given up
	bodyErr error // what was wrong with the body
}

// waiting is for whom a stream waits.
type waiting uint8

const (
	waitBody     waiting = iota // for the client to send of its body
	waitTake                    // for the upstream to take what came of it
	waitResponse                // for the upstream to send of its response
	waitWrite                   // for the client to take what came of it
	waitings
)

// h2Key is the key of a request's *h2Stream in its context.
type h2Key struct{}

// stream serves one request. A defect ends that alone.
func (h *h2Conn) stream(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	st := &h2Stream{h: h, w: w, cancel: cancel}
	if !h.add(st) {
		panic(http.ErrAbortHandler)
	}
	defer h.remove(st)
	defer st.end()
	defer func() {
		if p := recover(); p != nil {
			if p != http.ErrAbortHandler {
				h.s.panicked(p, debug.Stack())
			}
			panic(http.ErrAbortHandler) // which resets the stream
		}
	}()
	st.serve(r.WithContext(context.WithValue(ctx, h2Key{}, st)))
}

// serve judges the request and has it answered.
func (st *h2Stream) serve(r *http.Request) {
	h := st.h
	h.all.heads.Add(1)
	kind, host, cause := readStream(r)
	if h.s.tellsBadHost(hostsTold(r.Header, h.s.passesAlike())) {
		kind, cause = sniff.Malformed, sniff.BadHost
	}
	h.s.metrics.sniffed(kind, cause)
	if kind == sniff.Malformed {
		h.inForce().malformed(&h.route, h.channel(), cause, "")
		h.s.notices.ServeError(st.w, cause.Status(), cause.String())
		return
	}
	a := hostOf(kind, []byte(host), h.channel())
	a.host.ACME = sniff.IsACME([]byte(r.URL.Path))
	st.mean(a)
	s := h.inForce()
	if enforces, exempt := s.treatment(h.from.Addr()); !exempt {
		a, v := h.s.withTold(s, a, s.judge(a, &h.route), &h.route, hostsTold(r.Header, h.s.passesAlike()))
		passes := !v.Block
		if sni := h.sni; h.hasSNI && sni != a && sni.host.Kind() != registry.NoHost {
			v = v.Worse(s.judge(sni, &h.route))
		}
		id := ""
		if v.Block && enforces {
			id = newRequestID()
		}
		s.report(&h.route, a, v, enforces, cause, id)
		switch {
		case id != "" && passes:
			st.misdirected()
			return
		case id != "":
			st.block(r, Notice{Host: a.host.String(), Verdict: v, RequestID: id, Time: time.Now()})
			return
		}
	}
	if h.hasSNI && h.s.pageOnly {
		st.misdirected() // nothing is forwarded by what is there for the page
		return
	}
	st.forward(r)
}

// misdirected answers a request that passes by itself, but not over this connection:
// clients ask for all names of a certificate over the one they have (RFC 9113 §9.1.1),
// and over another this one may well be served. Browsers try that.
func (st *h2Stream) misdirected() {
	st.h.s.notices.ServeError(st.w, http.StatusMisdirectedRequest, "")
}

// readStream tells whom a request is for. What package http2 lets through and two
// readers may take for different things is malformed.
func readStream(r *http.Request) (kind sniff.Kind, host string, cause sniff.Cause) {
	kind, host, cause = sniff.Authority(r.Host)
	_, expects := r.Header["Expect"] // 100-continue has been taken out
	switch {
	case r.Method == http.MethodConnect:
		return sniff.Malformed, "", sniff.Connect
	case !sniff.Token(r.Method):
		return sniff.Malformed, "", sniff.BadRequestLine
	case !sniff.PathTarget(r.Method, r.RequestURI):
		return sniff.Malformed, "", sniff.BadTarget
	case len(r.Header["Host"]) > 0: // one that is :authority has been taken out
		return sniff.Malformed, "", sniff.HostDiffers
	case kind == sniff.NoName:
		return sniff.Malformed, "", sniff.BadHost // RFC 9113 §8.3.1 wants one
	case !agreesOnLength(r):
		return sniff.Malformed, "", sniff.BadLength
	case expects:
		return sniff.Malformed, "", sniff.BadHeader
	}
	return kind, host, cause
}

// agreesOnLength reports whether Content-Length is none, or one number, which was
// taken for the length of the body: package http2 takes the first of several, and
// none where the stream ends with its head.
func agreesOnLength(r *http.Request) bool {
	for name := range r.Header {
		if b := []byte(name); name != "Content-Length" && (sniff.Alike(b, "content-length") || sniff.Alike(b, "transfer-encoding")) {
			return false // as sniff has it
		}
	}
	list, has := r.Header["Content-Length"]
	return !has || len(list) == 1 && list[0] == strconv.FormatInt(r.ContentLength, 10)
}

// block answers a request that may not be served, or resets its stream where
// nothing is to be said.
func (st *h2Stream) block(r *http.Request, n Notice) {
	if st.h.s.refusal != refuseAnswer {
		panic(http.ErrAbortHandler)
	}
	n.Accept, n.Language, n.Head = r.Header.Get("Accept"), r.Header.Get("Accept-Language"), r.Method == http.MethodHead
	st.h.s.notices.ServeNotice(st.w, n)
}

// forward sends the request on and brings its response back, for as long as both
// sides do their part.
func (st *h2Stream) forward(r *http.Request) {
	// The deadline of our own answers is none of this one's.
	_ = http.NewResponseController(st.w).SetWriteDeadline(time.Time{})
	if r.Body != nil && r.ContentLength != 0 {
		r.Body = &h2Body{r.Body, st}
	}
	st.mu.Lock()
	st.timer = time.AfterFunc(min(st.h.s.timeouts.idle, rateWindow), st.watch)
	st.mu.Unlock()
	st.h.proxy.ServeHTTP(&h2Writer{st.w, st}, r)
}

// mean notes whom the request is for.
func (st *h2Stream) mean(a asked) {
	st.mu.Lock()
	st.asked = a
	st.mu.Unlock()
}

// meant returns whom the request is for.
func (st *h2Stream) meant() asked {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.asked
}

// cut ends it at once: the client is told by a reset.
func (st *h2Stream) cut() {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.cutLocked()
}

func (st *h2Stream) cutLocked() {
	if st.over || st.gone {
		return
	}
	st.gone = true
	st.cancel()
	_ = http.NewResponseController(st.w).SetWriteDeadline(past)
}

// wasCut reports whether it was ended by cut.
func (st *h2Stream) wasCut() bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.gone
}

// end lets go of it.
func (st *h2Stream) end() {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.over = true
	if st.timer != nil {
		st.timer.Stop()
	}
}

// limit is how long one may be waited for.
func (st *h2Stream) limit(w waiting) time.Duration {
	if w == waitResponse {
		return st.h.s.response
	}
	return st.h.s.timeouts.idle
}

// watch looks whether the stream has waited for too long, and when to look again.
func (st *h2Stream) watch() {
	defer st.h.contain(st.cancel)
	now := time.Now()
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.over || st.gone {
		return
	}
	next := now.Add(st.h.s.timeouts.idle)
	for w, since := range st.waits {
		if since.IsZero() {
			continue
		}
		end := since.Add(st.limit(waiting(w)))
		late := !end.After(now)
		if waiting(w) == waitBody {
			late = late || st.rate.tooSlow(now)
			if look := st.rate.look(now); !look.IsZero() && look.Before(end) {
				end = look
			}
		}
		switch {
		case late && waiting(w) == waitBody && !st.slow:
			st.slow = true
			// The body fails, and the client is told why if nothing was answered yet.
			_ = http.NewResponseController(st.w).SetReadDeadline(past)
			end = now.Add(st.h.s.timeouts.idle)
		case late:
			st.cutLocked()
			return
		}
		if end.Before(next) {
			next = end
		}
	}
	if st.reading && st.rate.min > 0 && next.Sub(now) > rateWindow {
		next = now.Add(rateWindow) // it may wait for the body by then
	}
	st.timer.Reset(next.Sub(now))
}

// waitsFor notes that it waits for one.
func (st *h2Stream) waitsFor(w waiting) {
	now := time.Now()
	st.mu.Lock()
	st.waits[w] = now
	st.mu.Unlock()
}

// got notes that it waits no more.
func (st *h2Stream) got(w waiting) {
	st.mu.Lock()
	st.waits[w] = time.Time{}
	st.mu.Unlock()
}
