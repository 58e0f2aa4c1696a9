package gate

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/icpgate/icpgate/gate/sniff"
)

// rewrite makes the request for the upstream: as it came, for the same host.
func (h *h2Conn) rewrite(r *httputil.ProxyRequest) {
	r.Out.URL.Scheme, r.Out.URL.Host = "http", "upstream" // dial knows what is meant
	r.Out.Host = r.In.Host
	r.Out.Trailer = r.In.Trailer // whose values come behind the body
	asItCame(r.Out.URL, r.In.RequestURI)
	forwardFields(r.Out.Header, r.In.Header, h.s.forwarded, h.from.Addr(), h.scheme)
}

// asItCame has the target be written as the client wrote it: package url would
// escape it anew, and the proxy take out what it does not understand of a query.
func asItCame(u *url.URL, target string) {
	path, query, has := strings.Cut(target, "?")
	u.RawQuery, u.ForceQuery = query, has
	// With two slashes an opaque target would be taken for one with an authority.
	if path != "*" && !strings.HasPrefix(path, "//") {
		u.Opaque = path
	}
}

// forwardFields tells an upstream of the client, as appendHead does.
func forwardFields(out, in http.Header, how Forwarded, from netip.Addr, scheme string) {
	const addr, proto, element = "X-Forwarded-For", "X-Forwarded-Proto", "Forwarded"
	for name, v := range in {
		switch tells, alike := sniff.TellsOf([]byte(name)); {
		case tells == sniff.TellsNothing:
		case how == ForwardedReplace, alike && how != ForwardedOff:
			delete(out, name)
		default: // the proxy has taken some of them out, which is ours to say
			out[name] = append([]string(nil), v...)
		}
	}
	if how == ForwardedOff {
		return
	}
	out.Add(addr, string(appendAddr(nil, from)))
	out.Add(element, string(appendElement(nil, from, scheme)))
	if out.Get(proto) == "" {
		out.Set(proto, scheme)
	}
}

// failed answers where there is no response, and tells whose fault that is.
func (h *h2Conn) failed(w http.ResponseWriter, r *http.Request, err error) {
	hw, _ := w.(*h2Writer)
	slow, bad := hw.st.fault()
	status := http.StatusBadGateway
	var timeout net.Error
	switch {
	case hw.st.wasCut() || r.Context().Err() != nil:
		panic(http.ErrAbortHandler) // which resets the stream, if that has not happened
	case slow:
		status = http.StatusRequestTimeout
	case bad:
		status = http.StatusBadRequest
	case errors.As(err, &timeout) && timeout.Timeout():
		status = http.StatusGatewayTimeout
	}
	if status >= http.StatusInternalServerError {
		h.s.metrics.upstreamFailed()
	}
	_ = http.NewResponseController(hw.ResponseWriter).SetWriteDeadline(time.Now().Add(h.s.timeouts.idle))
	h.s.notices.ServeError(hw.ResponseWriter, status, "")
}

// fault reports whether the body came too slowly, or not as it was announced.
func (st *h2Stream) fault() (slow, bad bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.slow, st.bodyErr != nil
}

// h2Body is the body of a request on its way to the upstream.
type h2Body struct {
	io.ReadCloser
	st *h2Stream
}

// Read implements io.Reader.
func (b *h2Body) Read(p []byte) (int, error) {
	b.st.asksForBody()
	n, err := b.ReadCloser.Read(p)
	b.st.bodyCame(n, err)
	return n, err
}

// Close implements io.Closer.
func (b *h2Body) Close() error {
	b.st.bodyCame(0, io.EOF)
	return b.ReadCloser.Close()
}

// asksForBody notes that the upstream has taken what there was.
func (st *h2Stream) asksForBody() {
	now := time.Now()
	st.mu.Lock()
	defer st.mu.Unlock()
	if !st.reading {
		st.reading, st.rate = true, newBodyRate(st.h.s.bodyRate, now)
	}
	if since := st.waits[waitTake]; !since.IsZero() {
		st.rate.stalled(now.Sub(since))
		st.waits[waitTake] = time.Time{}
	}
	st.waits[waitBody] = now
}

// bodyCame notes n bytes of the body that the upstream is to take, or its end.
func (st *h2Stream) bodyCame(n int, err error) {
	now := time.Now()
	st.mu.Lock()
	defer st.mu.Unlock()
	st.waits[waitBody], st.waits[waitTake] = time.Time{}, time.Time{}
	if n > 0 {
		st.rate.count(now, n)
	}
	switch {
	case err == nil:
		st.waits[waitTake] = now
	case err == io.EOF:
		st.reading = false
	case st.bodyErr == nil:
		st.reading, st.bodyErr = false, err
	}
}

// h2Response is the body of a response on its way to the client.
type h2Response struct {
	io.ReadCloser
	st *h2Stream
}

// watchResponse has it be seen how a response comes.
func watchResponse(r *http.Response) error {
	if st, ok := r.Request.Context().Value(h2Key{}).(*h2Stream); ok {
		r.Body = &h2Response{r.Body, st}
	}
	return nil
}

// Read implements io.Reader.
func (r *h2Response) Read(p []byte) (int, error) {
	r.st.waitsFor(waitResponse)
	defer r.st.got(waitResponse)
	return r.ReadCloser.Read(p)
}

// h2Writer writes a response to the client.
type h2Writer struct {
	http.ResponseWriter
	st *h2Stream
}

// WriteHeader implements http.ResponseWriter. What the upstream has not said of
// its response, package http2 is not to guess.
func (w *h2Writer) WriteHeader(status int) {
	if status >= http.StatusOK {
		h := w.Header()
		for _, name := range []string{"Content-Type", "Date"} {
			if _, has := h[name]; !has {
				h[name] = nil
			}
		}
	}
	w.st.waitsFor(waitWrite)
	defer w.st.got(waitWrite)
	w.ResponseWriter.WriteHeader(status)
}

// Write implements io.Writer.
func (w *h2Writer) Write(b []byte) (int, error) {
	w.st.waitsFor(waitWrite)
	defer w.st.got(waitWrite)
	return w.ResponseWriter.Write(b)
}

// FlushError sends what has been written; http.ResponseController asks for it.
func (w *h2Writer) FlushError() error {
	w.st.waitsFor(waitWrite)
	defer w.st.got(waitWrite)
	return http.NewResponseController(w.ResponseWriter).Flush()
}
