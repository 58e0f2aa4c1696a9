//lint:file-ignore SA1019 net/http serves no single connection of which bytes were read already, and tells no single one to go; x/net/http2 does.

package gate

import (
	"context"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httputil"
	"slices"
	"sync"
	"time"

	"golang.org/x/net/http2"

	"github.com/icpgate/icpgate/registry"
)

// h2Conn is a client's connection with HTTP/2. Every stream is judged for itself,
// and goes on to the upstream as HTTP/1.1, over connections of this client alone:
// what one client says must not become part of what another does.
type h2Conn struct {
	*conn
	sni    asked // of the TLS connection; judged with every host
	hasSNI bool
	scheme string // "http", or "https" where TLS is ended here

	proxy *httputil.ReverseProxy
	// server is this connection's only: told to end, it has the client told.
	server *http.Server
	begins sync.Once // when there is a client to be told

	mu      sync.Mutex
	streams map[*h2Stream]struct{}
	ended   bool // no more streams
	tasks   sync.WaitGroup
}

// Limits of HTTP/2 that no option sets: those of net/http and nginx.
const (
	maxStreams = 128
	maxFrame   = 16 << 10
)

// quietLog is for what clients do wrong, which is counted and not told.
var quietLog = log.New(io.Discard, "", 0)

func newH2Conn(c *conn, sni asked, hasSNI bool) *h2Conn {
	h := &h2Conn{conn: c, sni: sni, hasSNI: hasSNI, scheme: "http", streams: map[*h2Stream]struct{}{}}
	if hasSNI {
		h.scheme = "https"
	}
	h.proxy = &httputil.ReverseProxy{
		Rewrite: h.rewrite, Transport: h.transport(), ModifyResponse: watchResponse, ErrorHandler: h.failed,
		ErrorLog: quietLog, FlushInterval: -1, BufferPool: copying,
	}
	return h
}

// transport reaches the upstream for this client.
func (h *h2Conn) transport() *http.Transport {
	return &http.Transport{
		DialContext:            func(ctx context.Context, _, _ string) (net.Conn, error) { return h.dial(ctx) },
		MaxIdleConnsPerHost:    maxStreams,
		IdleConnTimeout:        h.s.kept,
		ResponseHeaderTimeout:  h.s.response,
		MaxResponseHeaderBytes: maxResponseHead,
		DisableCompression:     true,
	}
}

// dial connects to the upstream. It is called beside the connection.
func (h *h2Conn) dial(ctx context.Context) (c net.Conn, err error) {
	defer h.contain(func() { err = errPanic })
	ctx, cancel := context.WithTimeout(ctx, h.s.dial)
	defer cancel()
	return h.s.upstream.dial(ctx, h.origin())
}

// copyBuffers are for responses on their way: larger than a buffer for heads, since
// each piece is written and told of by itself. It is as httputil has it.
type copyBuffers struct{ *sync.Pool }

var copying = copyBuffers{&sync.Pool{New: func() any { return new([32 << 10]byte) }}}

// Get implements httputil.BufferPool.
func (c copyBuffers) Get() []byte { return c.Pool.Get().(*[32 << 10]byte)[:] }

// Put implements httputil.BufferPool.
func (c copyBuffers) Put(b []byte) { c.Pool.Put((*[32 << 10]byte)(b)) }

// serveH2 serves a connection with HTTP/2. sni is the name in its hello, where
// there was TLS.
func (c *conn) serveH2(nc net.Conn, sni asked, hasSNI bool) {
	h := newH2Conn(c, sni, hasSNI)
	c.h2.Store(h)
	wire := newH2Wire(nc, c)
	c.onEnd(func() { wire.Close() })
	defer wire.Close()
	defer h.close()
	limits := h.configure()
	limits.ServeConn(wire, &http2.ServeConnOpts{BaseConfig: h.server, Handler: http.HandlerFunc(h.stream)})
}

// configure makes what serves the connection, and bounds what a client may make
// us hold. No write may wait for longer than idle, and no answer of our own take
// longer; a client that says nothing while streams are open is asked whether it
// is there.
func (h *h2Conn) configure() *http2.Server {
	t := h.s.timeouts
	h.server = &http.Server{MaxHeaderBytes: h.s.limits.Head, ErrorLog: quietLog, WriteTimeout: t.idle, ConnState: h.state}
	if h.server.MaxHeaderBytes == 0 {
		h.server.MaxHeaderBytes = DefaultHead
	}
	limits := &http2.Server{
		MaxConcurrentStreams: maxStreams, MaxReadFrameSize: maxFrame,
		IdleTimeout: t.idle, ReadIdleTimeout: t.idle / 2, PingTimeout: t.idle / 2, WriteByteTimeout: t.idle,
	}
	// It fails for cipher suites only, of which none are named.
	_ = http2.ConfigureServer(h.server, limits)
	return limits
}

// state is told of what the connection does; the first time is when the client
// has said that it speaks HTTP/2.
func (h *h2Conn) state(net.Conn, http.ConnState) {
	h.begins.Do(func() {
		h.onLeave(h.goAway)
		if h.replaced() {
			h.leave()
		}
	})
}

// goAway tells the client to send no more requests. Streams that it has begun
// come to their end; what it sends behind them it may send again elsewhere, and
// knows that.
func (h *h2Conn) goAway() {
	// It knows of no listener and no connection, for which it would wait.
	_ = h.server.Shutdown(context.Background())
}

// close ends what is left, and waits for it.
func (h *h2Conn) close() {
	h.onLeave(nil)
	h.mu.Lock()
	h.ended = true
	for st := range h.streams {
		st.cancel()
	}
	h.mu.Unlock()
	h.tasks.Wait()
	h.proxy.Transport.(*http.Transport).CloseIdleConnections()
}

// add takes a stream among the open ones, unless the connection has ended.
func (h *h2Conn) add(st *h2Stream) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended {
		return false
	}
	h.streams[st] = struct{}{}
	h.tasks.Add(1)
	return true
}

func (h *h2Conn) remove(st *h2Stream) {
	h.mu.Lock()
	delete(h.streams, st)
	h.mu.Unlock()
	h.tasks.Done()
}

// sweep ends the streams whose name a service would block now: they have as long
// as is granted to come to their end. The connection goes on; whom its next
// streams are for is judged anyhow.
func (h *h2Conn) sweep(w *sweeping) {
	h.mu.Lock()
	list := slices.Collect(maps.Keys(h.streams))
	h.mu.Unlock()
	for _, st := range list {
		if a := st.meant(); !a.known || st.swept.Load() || !w.blocks(a, &h.route) {
			continue
		}
		st.swept.Store(true)
		w.s.metrics.ended.Inc()
		time.AfterFunc(orDefault(w.s.established.After, DefaultEstablished), st.cut)
	}
}

func (h *h2Conn) channel() registry.Channel {
	if h.hasSNI {
		return registry.ChannelHTTPS
	}
	return registry.ChannelHTTP
}
