package gate_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// newWebsocketOrigin sends back what it is sent, message by message, until it is
// told "bye"; over TLS where there is a certificate.
func newWebsocketOrigin(t *testing.T, cert *tls.Certificate) string {
	t.Helper()
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{CompressionMode: websocket.CompressionContextTakeover, Subprotocols: []string{"echo"}})
		if err != nil {
			return // it was told, as who asks without upgrade
		}
		defer c.CloseNow()
		c.SetReadLimit(-1)
		for {
			kind, b, err := c.Read(r.Context())
			if err != nil {
				return
			}
			if string(b) == "bye" {
				c.Close(4000, "as you wish")
				return
			}
			if c.Write(r.Context(), kind, b) != nil {
				return
			}
		}
	}))
	if cert == nil {
		srv.Start()
	} else {
		srv.TLS = &tls.Config{Certificates: []tls.Certificate{*cert}}
		srv.StartTLS()
	}
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String()
}

// dialWebsocket asks a gate for a websocket of a URL.
func dialWebsocket(t *testing.T, addr, url string) (*websocket.Conn, *http.Response, error) {
	t.Helper()
	tr := &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, addr)
		},
	}
	return websocket.Dial(t.Context(), url, &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: tr}, CompressionMode: websocket.CompressionContextTakeover, Subprotocols: []string{"echo"},
	})
}

// TestWebsocket (H50): a websocket library talks to another one through every kind
// of listener: short, long and many messages, in frames of its own making,
// compressed, with pings among them, to an end that is told; and is refused where
// the name is not filed.
func TestWebsocket(t *testing.T) {
	cert := newCertificate(t, "filed.example", "unfiled.example")
	pair, err := tls.LoadX509KeyPair(cert.Cert, cert.Key)
	if err != nil {
		t.Fatal(err)
	}
	plain := newWebsocketOrigin(t, nil)
	p := start(t, 4, fmt.Sprintf(`
http://127.0.0.1:0 {
	ICP
	upstream %[1]s
}
tls://127.0.0.2:0 {
	ICP
	upstream %[1]s
	tls %[2]s %[3]s
}
tls://127.0.0.3:0 {
	ICP
	upstream %[4]s
}
http://127.0.0.4:0 {
	ICP
	upstream %[1]s
	upgrade off
}`, plain, cert.Cert, cert.Key, newWebsocketOrigin(t, &pair)), nil)
	for _, tt := range []struct{ name, listener, scheme, refused string }{
		{"plaintext", "http://127.0.0.1:", "ws", "got 403"},
		{"TLS that ends here", "tls://127.0.0.2:", "wss", "got 403"},
		{"TLS that passes", "tls://127.0.0.3:", "wss", "unrecognized name"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			addr := p.addr(t, tt.listener)
			var all sync.WaitGroup
			for i := range 20 {
				all.Go(func() {
					if err := talkWebsocket(t, addr, tt.scheme+"://filed.example/chat", i); err != nil {
						t.Errorf("connection %d: %v", i, err)
					}
				})
			}
			all.Wait()
			c, _, err := dialWebsocket(t, addr, tt.scheme+"://unfiled.example/chat")
			if err == nil {
				c.CloseNow()
			}
			if err == nil || !strings.Contains(err.Error(), tt.refused) {
				t.Errorf("an unfiled name: got %v; want %q", err, tt.refused)
			}
		})
	}
	// The origin gets a plain request, and says so.
	if _, _, err := dialWebsocket(t, p.addr(t, "http://127.0.0.4:"), "ws://filed.example/chat"); err == nil || !strings.Contains(err.Error(), "got 426") {
		t.Errorf("upgrade off: got %v; want the origin's 426", err)
	}
}

// talkWebsocket says what there is to say, and looks whether it comes back.
func talkWebsocket(t *testing.T, addr, url string, seed int) error {
	c, resp, err := dialWebsocket(t, addr, url)
	if err != nil {
		return err
	}
	defer c.CloseNow()
	if c.Subprotocol() != "echo" || !strings.Contains(resp.Header.Get("Sec-Websocket-Extensions"), "permessage-deflate") {
		return fmt.Errorf("agreed on %q, %q; want echo, permessage-deflate", c.Subprotocol(), resp.Header.Get("Sec-Websocket-Extensions"))
	}
	c.SetReadLimit(-1)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, n := range []int{0, 1, 125, 126, 65536, 1 << 20} {
		b, _ := io.ReadAll(random(byte(seed), int64(n)))
		if err := echoed(ctx, c, websocket.MessageBinary, b, 1+n/3); err != nil {
			return fmt.Errorf("%d bytes: %w", n, err)
		}
	}
	for i := range 200 {
		if err := echoed(ctx, c, websocket.MessageText, fmt.Appendf(nil, "网站 %d", i), 1000); err != nil {
			return fmt.Errorf("message %d: %w", i, err)
		}
	}
	if err := pinged(ctx, c); err != nil {
		return fmt.Errorf("ping: %w", err)
	}
	if err := c.Write(ctx, websocket.MessageText, []byte("bye")); err != nil {
		return err
	}
	_, _, err = c.Read(ctx)
	var end websocket.CloseError
	if !errors.As(err, &end) || end.Code != 4000 || end.Reason != "as you wish" {
		return fmt.Errorf("ended with %v; want 4000, as you wish", err)
	}
	return nil
}

// echoed writes a message in pieces of k bytes, each a frame, and reads it back.
func echoed(ctx context.Context, c *websocket.Conn, kind websocket.MessageType, b []byte, k int) error {
	w, err := c.Writer(ctx, kind)
	if err != nil {
		return err
	}
	for rest := b; len(rest) > 0; rest = rest[min(k, len(rest)):] {
		if _, err := w.Write(rest[:min(k, len(rest))]); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	gotKind, got, err := c.Read(ctx)
	if err != nil {
		return err
	}
	if gotKind != kind || !bytes.Equal(got, b) {
		return fmt.Errorf("%s of %d bytes came back; want %s of %d", gotKind, len(got), kind, len(b))
	}
	return nil
}

// pinged waits for the answer to a ping, which is read beside.
func pinged(ctx context.Context, c *websocket.Conn) error {
	read := make(chan error, 1)
	go func() {
		_, b, err := c.Read(ctx)
		if err == nil && string(b) != "after" {
			err = fmt.Errorf("got %q; want after", b)
		}
		read <- err
	}()
	if err := c.Ping(ctx); err != nil {
		return err
	}
	if err := c.Write(ctx, websocket.MessageText, []byte("after")); err != nil {
		return err
	}
	return <-read
}

// upgraded has a websocket library talk through a gate of its own (H50).
func upgraded(t *testing.T, _ *evaded) string {
	addr := start(t, 1, "http://127.0.0.1:0 {\nICP\nupstream "+newWebsocketOrigin(t, nil)+"\n}", nil).addr(t, "http:")
	c, resp, err := dialWebsocket(t, addr, "ws://filed.example/")
	if err != nil {
		return err.Error()
	}
	defer c.CloseNow()
	if err := c.Write(t.Context(), websocket.MessageText, []byte("as it was sent")); err != nil {
		return err.Error()
	}
	_, b, err := c.Read(t.Context())
	if err != nil {
		return err.Error()
	}
	_, refused, err := dialWebsocket(t, addr, "ws://unfiled.example/")
	if err == nil || refused == nil {
		return fmt.Sprintf("an unfiled name: %v", err)
	}
	return fmt.Sprintf("%d, then %s; %d", resp.StatusCode, b, refused.StatusCode)
}
