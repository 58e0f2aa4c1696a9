package sniff_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/icpgate/icpgate/gate/sniff"
)

// relay stands between one client and a server, as a gate does, and reads what
// goes by. It hands on what is fit for it, and fails the test where something of
// a proper client is not.
type relay struct {
	t      *testing.T
	front  net.PacketConn
	back   net.Conn
	client net.Addr // written by the first datagram, read behind it

	// lose tells whether the nth datagram of the client is lost.
	lose func(n int) bool
	// hold keeps the server's answers back until it is closed, when early data has
	// gone by; nil does not.
	hold chan struct{}

	mu      sync.Mutex
	q       sniff.QUICHello
	w       sniff.QUICWork
	begun   bool
	last    sniff.QUICSeen
	name    string
	n       int
	types   sniff.QUICTypes // of the client
	retries int
	short   int // length of the ids that the server has chosen
}

func newRelay(t *testing.T, server string, lose func(int) bool, early bool) *relay {
	t.Helper()
	r := &relay{t: t, lose: lose}
	if early {
		r.hold = make(chan struct{})
	}
	var err error
	if r.front, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	if r.back, err = net.Dial("udp", server); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(r.forth)
	wg.Go(r.backAgain)
	t.Cleanup(func() { r.front.Close(); r.back.Close(); wg.Wait() })
	return r
}

func (r *relay) addr() string { return r.front.LocalAddr().String() }

// forth takes what the client sends.
func (r *relay) forth() {
	b := make([]byte, 2048)
	for {
		n, from, err := r.front.ReadFrom(b)
		if err != nil {
			return
		}
		r.mu.Lock()
		r.client = from
		pass := r.read(b[:n])
		r.mu.Unlock()
		if pass {
			_, _ = r.back.Write(b[:n])
		}
	}
}

// read looks at a datagram of the client, and tells whether it may go on.
func (r *relay) read(b []byte) bool {
	r.n++
	if r.lose != nil && r.lose(r.n) {
		return false
	}
	d := sniff.ScanQUIC(b, r.short)
	if d.Cause != sniff.NoCause {
		r.t.Errorf("datagram %d of the client: %s", r.n, d.Cause)
		return false
	}
	if r.hold != nil && d.Types.Has(sniff.QUICZeroRTT) && !r.types.Has(sniff.QUICZeroRTT) {
		close(r.hold)
	}
	r.types |= d.Types
	if !d.Types.Has(sniff.QUICInitial) {
		return true
	}
	if !r.begun {
		r.q.Start(d.First.Version, firstID(r.t, b))
		r.begun = true
	}
	seen := r.q.Feed(b, &r.w)
	if !seen.Fit() || seen.Failed > 0 || seen.Anew {
		r.t.Errorf("datagram %d of the client: got %+v", r.n, seen)
		return false
	}
	r.last, r.name = seen, string(seen.Hello.Name)
	return true
}

// backAgain takes what the server sends.
func (r *relay) backAgain() {
	b := make([]byte, 2048)
	for {
		n, err := r.back.Read(b)
		if err != nil {
			return
		}
		if r.hold != nil {
			select {
			case <-r.hold:
			case <-r.t.Context().Done():
				return
			}
		}
		r.mu.Lock()
		d := sniff.ScanQUIC(b[:n], 0)
		if d.Cause != sniff.NoCause {
			r.t.Errorf("a datagram of the server: %s", d.Cause)
		}
		if d.First.Type != sniff.QUICShort {
			r.short = len(d.First.SCID)
		}
		if d.Types.Has(sniff.QUICRetry) && r.q.Retry(&d.First) {
			r.retries++
		}
		to := r.client
		r.mu.Unlock()
		_, _ = r.front.WriteTo(b[:n], to)
	}
}

// selfSigned is a certificate for a name, and a pool that holds it.
func selfSigned(t *testing.T, name string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
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

// echo has a server send back what comes on each stream.
func echo(ln *quic.EarlyListener) {
	for {
		c, err := ln.Accept(context.Background())
		if err != nil {
			return
		}
		go func() {
			for {
				s, err := c.AcceptStream(context.Background())
				if err != nil {
					return
				}
				_, _ = io.Copy(s, s)
				_ = s.Close()
			}
		}()
	}
}

// TestQUICHandshakes: everything that a client sends until it has its answer is
// read and found fit, with servers that ask for another hello, for a token, and
// for nothing, with early data, and with datagrams lost on the way (Q07, Q16).
func TestQUICHandshakes(t *testing.T) {
	for _, tt := range []struct {
		name    string
		version quic.Version
		retry   bool
		groups  []tls.CurveID // of the server
		early   bool
		token   bool // of a connection before
		lose    func(int) bool
		hellos  int
	}{
		{name: "version 1", version: quic.Version1, hellos: 1},
		{name: "version 2", version: quic.Version2, hellos: 1},
		{name: "Retry", version: quic.Version1, retry: true, hellos: 1},
		{name: "Retry, version 2", version: quic.Version2, retry: true, hellos: 1},
		{name: "HelloRetryRequest", version: quic.Version1, groups: []tls.CurveID{tls.CurveP521}, hellos: 2},
		{name: "HelloRetryRequest and Retry", version: quic.Version2, retry: true, groups: []tls.CurveID{tls.CurveP521}, hellos: 2},
		{name: "early data", version: quic.Version1, early: true, hellos: 1},
		{name: "early data, version 2", version: quic.Version2, early: true, hellos: 1},
		{name: "early data and Retry", version: quic.Version1, early: true, retry: true, hellos: 1},
		{name: "early data with a token", version: quic.Version1, early: true, retry: true, token: true, hellos: 1},
		{name: "the first is lost", version: quic.Version1, lose: func(n int) bool { return n == 1 }, hellos: 1},
		{name: "the second is lost", version: quic.Version1, lose: func(n int) bool { return n == 2 }, hellos: 1},
		{name: "every third is lost", version: quic.Version2, lose: func(n int) bool { return n%3 == 0 && n < 10 }, hellos: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cert, pool := selfSigned(t, filed)
			pc, err := net.ListenPacket("udp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer pc.Close()
			tr := quic.Transport{Conn: pc, VerifySourceAddress: func(net.Addr) bool { return tt.retry }}
			defer tr.Close()
			versions := []quic.Version{tt.version}
			ln, err := tr.ListenEarly(&tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"echo"}, CurvePreferences: tt.groups},
				&quic.Config{Versions: versions, Allow0RTT: true})
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			go echo(ln)
			tickets := make(chan struct{}, 10)
			cfg := &tls.Config{ServerName: filed, RootCAs: pool, NextProtos: []string{"echo"}, ClientSessionCache: told{tls.NewLRUClientSessionCache(1), tickets}}
			conf := &quic.Config{Versions: versions}
			if tt.token {
				conf.TokenStore = quic.NewLRUTokenStore(1, 1)
			}
			if tt.early { // a connection before, for the ticket
				say(t, newRelay(t, pc.LocalAddr().String(), nil, false), cfg, conf)
				select {
				case <-tickets:
				case <-time.After(time.Minute):
					t.Fatal("no ticket comes")
				}
			}
			r := newRelay(t, pc.LocalAddr().String(), tt.lose, tt.early)
			say(t, r, cfg, conf)
			r.mu.Lock()
			defer r.mu.Unlock()
			if h := r.last.Hello; h.Kind != sniff.Name || r.name != filed || r.last.Hellos != tt.hellos {
				t.Errorf("got %s %q, %d hellos; want %d", h.Kind, r.name, r.last.Hellos, tt.hellos)
			}
			if r.types.Has(sniff.QUICZeroRTT) != tt.early {
				t.Errorf("early data is seen: %t; want %t", !tt.early, tt.early)
			}
			if got := r.retries > 0; got != (tt.retry && !tt.token) {
				t.Errorf("got %d Retry packets", r.retries)
			}
			t.Logf("%d datagrams", r.n)
		})
	}
}

// told is a cache that tells when a session came.
type told struct {
	tls.ClientSessionCache
	came chan<- struct{}
}

func (c told) Put(key string, s *tls.ClientSessionState) {
	c.ClientSessionCache.Put(key, s)
	select {
	case c.came <- struct{}{}:
	default:
	}
}

// say connects, says a few thousand bytes and hears them again.
func say(t *testing.T, r *relay, cfg *tls.Config, conf *quic.Config) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c, err := quic.DialAddrEarly(ctx, r.addr(), cfg, conf)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.CloseWithError(0, "") }()
	s, err := c.OpenStreamSync(ctx)
	if err != nil {
		t.Fatal(err)
	}
	said := bytes.Repeat([]byte("hear, hear "), 500)
	if _, err := fmt.Fprintf(s, "%s", said); err != nil {
		t.Fatal(err)
	}
	_ = s.Close()
	heard, err := io.ReadAll(s)
	if err != nil || !bytes.Equal(heard, said) {
		t.Fatalf("heard %d bytes: %v", len(heard), err)
	}
	select {
	case <-c.HandshakeComplete():
	case <-ctx.Done():
		t.Fatal(ctx.Err())
	}
}
