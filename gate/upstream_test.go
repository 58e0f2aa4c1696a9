package gate

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// webServer accepts connections and hands them over.
func webServer(t *testing.T, network, addr string) (string, chan net.Conn) {
	t.Helper()
	conns := make(chan net.Conn, 64)
	end := make(chan struct{})
	addr, _ = Accepted(t, network, addr, func(c net.Conn) {
		conns <- c
		<-end // it is the test's until then
	})
	t.Cleanup(func() { close(end) })
	return addr, conns
}

func tcp(addrs ...string) (all []Upstream) {
	for _, a := range addrs {
		all = append(all, Upstream{Network: "tcp", Address: a})
	}
	return all
}

// dialed is where a dial of u goes.
func dialed(t *testing.T, u *upstreams) string {
	t.Helper()
	c, err := u.dial(context.Background(), origin{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.RemoteAddr().String()
}

// healthy is how many are not passed over.
func (u *upstreams) healthy() (n int) {
	now := u.now().UnixNano()
	for _, one := range u.all {
		if one.isUp(now) {
			n++
		}
	}
	return n
}

func TestUpstreamsInTurn(t *testing.T) {
	a, _ := webServer(t, "tcp", "127.0.0.1:0")
	b, _ := webServer(t, "tcp", "127.0.0.1:0")
	u := newUpstreams(tcp(a, b), time.Minute, time.Second, nil, nil)
	defer u.close()
	for i, want := range []string{a, b, a, b} {
		if got := dialed(t, u); got != want {
			t.Errorf("dial %d: %s; want %s", i, got, want)
		}
	}
	c, err := u.dial(context.Background(), origin{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, ok := c.(*net.TCPConn); !ok {
		t.Errorf("a %T; the kernel splices a *net.TCPConn only", c)
	}
}

// TestUpstreamsPassive: one that cannot be dialled is passed over for a while;
// the client is served by the next.
func TestUpstreamsPassive(t *testing.T) {
	live, _ := webServer(t, "tcp", "127.0.0.1:0")
	now := time.Unix(1_800_000_000, 0)
	u := newUpstreams(tcp(FreePort(t), live), time.Minute, time.Second, nil, func() time.Time { return now })
	defer u.close()
	for range 3 {
		if got := dialed(t, u); got != live {
			t.Errorf("dialled %s; want %s", got, live)
		}
		if n := u.healthy(); n != 1 {
			t.Errorf("%d healthy; want 1", n)
		}
	}
	now = now.Add(passiveHold)
	if n := u.healthy(); n != 2 {
		t.Errorf("%d healthy after the hold; want 2", n)
	}
}

// TestUpstreamsAllDead: two are tried, both are named; and tried again though
// none is healthy.
func TestUpstreamsAllDead(t *testing.T) {
	a, b := FreePort(t), FreePort(t)
	u := newUpstreams(tcp(a, b), time.Minute, time.Second, nil, nil)
	defer u.close()
	for range 2 {
		_, err := u.dial(context.Background(), origin{})
		if err == nil || !strings.Contains(err.Error(), a) || !strings.Contains(err.Error(), b) {
			t.Errorf("got %v; want an error with %s and %s", err, a, b)
		}
	}
	none := newUpstreams(nil, time.Minute, time.Second, nil, nil)
	defer none.close()
	if _, err := none.dial(context.Background(), origin{}); !errors.Is(err, errNoUpstream) {
		t.Errorf("without upstreams: %v", err)
	}
}

// TestUpstreamsClientGone: a client that gives up does not mark the upstream.
func TestUpstreamsClientGone(t *testing.T) {
	a, _ := webServer(t, "tcp", "127.0.0.1:0")
	u := newUpstreams(tcp(a), time.Minute, time.Second, nil, nil)
	defer u.close()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := u.dial(ctx, origin{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v; want a cancellation", err)
	}
	if n := u.healthy(); n != 1 {
		t.Error("the upstream is marked")
	}
}

func TestUpstreamUnix(t *testing.T) {
	path := filepath.Join(t.TempDir(), "up.sock")
	_, conns := webServer(t, "unix", path)
	u := newUpstreams([]Upstream{{Network: "unix", Address: path, ProxyProtocol: 2}}, time.Minute, time.Second, nil, nil)
	defer u.close()
	o := origin{netip.MustParseAddrPort("198.51.100.7:4660"), netip.MustParseAddrPort("203.0.113.9:443")}
	c, err := u.dial(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, ok := c.(*net.UnixConn); !ok {
		t.Errorf("a %T; want a *net.UnixConn", c)
	}
	s := <-conns
	defer s.Close()
	h, rest, err := readProxyHeader(s, time.Now().Add(time.Minute), make([]byte, 512))
	if err != nil || len(rest) > 0 || origin(h) != o {
		t.Errorf("the upstream reads %v, %q, %v; want %v", h, rest, err, o)
	}
}

// certificate makes one for names and a pool that trusts it.
func certificate(t *testing.T, names ...string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: names, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Unix(1_700_000_000, 0), NotAfter: time.Unix(4_000_000_000, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// TestUpstreamTLS: the certificate is verified for the name, or the address, and
// the PROXY header comes before TLS.
func TestUpstreamTLS(t *testing.T) {
	pair, pool := certificate(t, "backend.example.com")
	for _, tc := range []struct {
		name  string
		roots *x509.CertPool
		fails bool
	}{
		{"backend.example.com", pool, false},
		{"", pool, false},
		{"other.example.com", pool, true},
		{"backend.example.com", nil, true},
	} {
		addr, conns := webServer(t, "tcp", "127.0.0.1:0")
		u := newUpstreams([]Upstream{{Network: "tcp", Address: addr, TLS: true, TLSName: tc.name, ProxyProtocol: 1}}, time.Minute, time.Second, tc.roots, nil)
		got := make(chan string, 1)
		go func() {
			s := <-conns
			defer s.Close()
			head := make([]byte, len("PROXY UNKNOWN\r\n"))
			if _, err := io.ReadFull(s, head); err != nil || string(head) != "PROXY UNKNOWN\r\n" {
				got <- fmt.Sprintf("%q, %v", head, err)
				return
			}
			srv := tls.Server(s, &tls.Config{Certificates: []tls.Certificate{pair}})
			text, _ := io.ReadAll(srv)
			got <- srv.ConnectionState().ServerName + " " + string(text)
		}()
		c, err := u.dial(context.Background(), origin{})
		if (err != nil) != tc.fails {
			t.Errorf("%+v: %v", tc, err)
		}
		if err == nil {
			if _, err := c.Write([]byte("hello")); err != nil {
				t.Error(err)
			}
			c.Close()
		}
		if text := <-got; !tc.fails && text != tc.name+" hello" {
			t.Errorf("%+v: the upstream has %q", tc, text)
		}
		if u.healthy() != 1 {
			t.Error("a certificate that is wrong marks the upstream")
		}
		u.close()
	}
}

// TestUpstreamCheck: a check marks what is dead before a client finds out, and
// brings it back; close waits for the checks.
func TestUpstreamCheck(t *testing.T) {
	addr := FreePort(t)
	u := newUpstreams([]Upstream{{Network: "tcp", Address: addr, ProxyProtocol: 2, Check: time.Hour}}, time.Minute, time.Second, nil, nil)
	one := u.all[0]
	u.checkOnce(context.Background(), one)
	if u.healthy() != 0 {
		t.Error("a dead one is healthy")
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	u.checkOnce(context.Background(), one)
	if u.healthy() != 1 {
		t.Error("a live one is not healthy")
	}
	s, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if h, _, err := readProxyHeader(s, time.Now().Add(time.Minute), make([]byte, 512)); err != nil || h != (proxied{}) {
		t.Errorf("the check says %v, %v; want LOCAL", h, err)
	}
	u.close()
	u.failed(one)
	if one.down.Load() != forever {
		t.Error("a checked one that fails waits for no check")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	u.checkOnce(ctx, one)
	if u.healthy() != 0 {
		t.Error("a check that was ended tells something")
	}
}

// TestUpstreamCheckRuns: the first check comes by itself.
func TestUpstreamCheckRuns(t *testing.T) {
	addr, conns := webServer(t, "tcp", "127.0.0.1:0")
	u := newUpstreams([]Upstream{{Network: "tcp", Address: addr, Check: minCheck}}, time.Minute, time.Second, nil, nil)
	for range 2 {
		(<-conns).Close()
	}
	u.close()
}

func TestDialOriginal(t *testing.T) {
	addr, conns := webServer(t, "tcp", "127.0.0.1:0")
	c, err := dialOriginal(context.Background(), netip.MustParseAddrPort(addr), time.Minute, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	(<-conns).Close()
	if _, ok := c.(*net.TCPConn); !ok {
		t.Errorf("a %T; want a *net.TCPConn", c)
	}
	dead := FreePort(t)
	if c, err := dialOriginal(context.Background(), netip.MustParseAddrPort(dead), time.Minute, time.Second); err == nil || c != nil || !strings.Contains(err.Error(), dead) {
		t.Errorf("a dead one: %v, %v; want an error that names it", c, err)
	}
}
