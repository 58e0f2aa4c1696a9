package edge

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/net/netutil"
)

// Limits of an admin listener. Who asks it is an operator or a program of one,
// so they are tight.
const (
	adminHeadTimeout = 5 * time.Second
	adminTimeout     = 10 * time.Second
	adminIdle        = time.Minute
	adminHead        = 8 << 10
	adminConns       = 64
	// adminDrain is how long requests under way get when the listener goes.
	adminDrain = 2 * time.Second
)

// listener is an admin listener, shared by the Edges that name its address.
type listener struct {
	server *http.Server
	refs   int // guarded by listeners.mu
	// profiles is how many of the Edges ask for profiles; guarded by listeners.mu.
	profiles int
	done     chan struct{} // closed when it serves no more
}

// listeners are the open ones of the process.
var listeners = struct {
	mu sync.Mutex
	at map[netip.AddrPort]*listener
}{at: map[netip.AddrPort]*listener{}}

// holdAdmin listens where the configuration says, unless another Edge does so
// already. At a reload the new Edge opens before the old one closes, so that the
// listener goes from one to the other without a gap.
func (e *Edge) holdAdmin() error {
	addr := e.cfg.Admin
	if !addr.IsValid() {
		return nil
	}
	listeners.mu.Lock()
	defer listeners.mu.Unlock()
	l := listeners.at[addr]
	if l == nil {
		listen := e.cfg.Listen
		if listen == nil {
			listen = net.Listen
		}
		tcp, err := listen("tcp", addr.String())
		if err != nil {
			return fmt.Errorf("admin: %w", err)
		}
		l = serve(tcp, Admin(addr))
		listeners.at[addr] = l
	}
	l.refs++
	if e.cfg.AdminProfiles {
		l.profiles++
	}
	e.closeAdmin = sync.OnceFunc(func() { releaseListener(addr, l, e.cfg.AdminProfiles) })
	e.closers = append(e.closers, e.closeAdmin)
	return nil
}

// serve answers on a listener until its server is shut down.
func serve(tcp net.Listener, h http.Handler) *listener {
	l := &listener{
		server: &http.Server{
			Handler: h, ReadHeaderTimeout: adminHeadTimeout, ReadTimeout: adminTimeout,
			WriteTimeout: adminTimeout, IdleTimeout: adminIdle, MaxHeaderBytes: adminHead,
			// What scanners send is no matter for an operator's log.
			ErrorLog: discardLog,
		},
		done: make(chan struct{}),
	}
	go func() {
		defer close(l.done)
		l.server.Serve(netutil.LimitListener(tcp, adminConns))
	}()
	return l
}

// releaseListener gives up one hold; the last one closes the listener.
func releaseListener(addr netip.AddrPort, l *listener, profiles bool) {
	listeners.mu.Lock()
	defer listeners.mu.Unlock()
	if profiles {
		l.profiles--
	}
	if l.refs--; l.refs > 0 {
		return
	}
	delete(listeners.at, addr)
	ctx, cancel := context.WithTimeout(context.Background(), adminDrain)
	defer cancel()
	if err := l.server.Shutdown(ctx); errors.Is(err, context.DeadlineExceeded) {
		l.server.Close()
	}
	<-l.done
}
