package sniff_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/icpgate/icpgate/gate/sniff"
)

// catchDatagrams listens, has a client connect that gets no answer, and returns
// its first datagrams, as many as make a hello.
func catchDatagrams(t *testing.T, client string, connect func(ctx context.Context, port string)) (all [][]byte) {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	done := make(chan struct{})
	defer func() { cancel(); <-done }()
	_, port, _ := net.SplitHostPort(pc.LocalAddr().String())
	go func() { defer close(done); connect(ctx, port) }()
	_ = pc.SetReadDeadline(time.Now().Add(time.Minute))
	var q sniff.QUICHello
	var w sniff.QUICWork
	for kind := sniff.More; kind == sniff.More; {
		b := make([]byte, 2048)
		n, _, err := pc.ReadFrom(b)
		if err != nil {
			t.Fatalf("%s: %v after %d datagrams", client, err, len(all))
		}
		b = b[:n]
		if len(all) == 0 {
			d, cause := sniff.FirstQUIC(b)
			if cause != sniff.NoCause {
				t.Fatalf("%s begins with %x: %s", client, b, cause)
			}
			q.Start(d.First.Version, d.First.DCID)
		}
		all = append(all, b)
		kind = q.Feed(b, &w).Hello.Kind
	}
	return all
}

// quicGo is the client of quic-go.
func quicGo(cfg *tls.Config, conf *quic.Config) func(context.Context, string) {
	cfg.ServerName, cfg.InsecureSkipVerify = "www.filed.example", true
	if len(cfg.NextProtos) == 0 {
		cfg.NextProtos = []string{"h3"}
	}
	return func(ctx context.Context, port string) {
		if c, err := quic.DialAddr(ctx, "127.0.0.1:"+port, cfg, conf); err == nil {
			_ = c.CloseWithError(0, "")
		}
	}
}

// quicCorpus is what clients send first.
type quicCorpus struct {
	client    string
	version   uint32
	alpn      string
	ech       bool
	datagrams [][]byte
}

func quicClients(t *testing.T) (list []quicCorpus) {
	classical := &tls.Config{CurvePreferences: []tls.CurveID{tls.X25519}}
	var many []string
	for i := range 150 {
		many = append(many, fmt.Sprintf("a-protocol-%03d", i))
	}
	v2 := &quic.Config{Versions: []quic.Version{quic.Version2}}
	add := func(client string, version uint32, alpn string, connect func(context.Context, string)) {
		list = append(list, quicCorpus{client, version, alpn, false, catchDatagrams(t, client, connect)})
	}
	add("quic-go", sniff.QUICv1, "\x02h3", quicGo(&tls.Config{}, nil))
	add("quic-go, classical", sniff.QUICv1, "\x02h3", quicGo(classical, nil))
	add("quic-go, version 2", sniff.QUICv2, "\x02h3", quicGo(&tls.Config{}, v2))
	add("quic-go, DoQ", sniff.QUICv1, "\x03doq", quicGo(&tls.Config{NextProtos: []string{"doq"}}, nil))
	add("quic-go, 4 KB", sniff.QUICv2, "", quicGo(&tls.Config{NextProtos: many}, v2))
	t.Setenv("QUIC_GO_DISABLE_CLIENTHELLO_SCRAMBLING", "1")
	add("quic-go, in order", sniff.QUICv1, "\x02h3", quicGo(&tls.Config{}, nil))
	add("quic-go, small, in order", sniff.QUICv1, "\x02h3", quicGo(classical, nil))
	if need(t, "chromium") {
		c := quicCorpus{"chromium", sniff.QUICv1, "\x02h3", true, nil}
		c.datagrams = catchDatagrams(t, c.client, func(ctx context.Context, port string) {
			_ = exec.CommandContext(ctx, "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--enable-quic",
				"--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-proxy-server",
				"--user-data-dir="+profileDir(t), "--origin-to-force-quic-on=www.filed.example:"+port,
				"--host-resolver-rules=MAP www.filed.example 127.0.0.1", "--dump-dom", "https://www.filed.example:"+port+"/").Run()
		})
		list = append(list, c)
	}
	return list
}

// TestQUICClients: the name is found in what real clients send, in every order of
// their datagrams, with each of them twice, and never before the last has come
// (Q01, Q02, Q04, Q26).
func TestQUICClients(t *testing.T) {
	for _, c := range quicClients(t) {
		for _, order := range permutations(len(c.datagrams)) {
			var q sniff.QUICHello
			var w sniff.QUICWork
			var seen sniff.QUICSeen
			q.Start(c.version, firstID(t, c.datagrams[0]))
			for _, i := range order {
				if seen.Hello.Kind != sniff.More {
					t.Errorf("%s, order %v: got %s early", c.client, order, seen.Hello.Kind)
				}
				for range 2 {
					if seen = q.Feed(c.datagrams[i], &w); !seen.Fit() || seen.Failed > 0 {
						t.Fatalf("%s, order %v: got %+v", c.client, order, seen)
					}
				}
			}
			h := seen.Hello
			if h.Kind != sniff.Name || string(h.Name) != "www.filed.example" || seen.Hellos != 1 || h.ECH != c.ech || c.alpn != "" && string(h.ALPN) != c.alpn {
				t.Errorf("%s, order %v: got %+v", c.client, order, seen)
			}
		}
		t.Logf("%-26s %d datagrams", c.client, len(c.datagrams))
	}
}

// firstID is the id that a client chose.
func firstID(t *testing.T, b []byte) []byte {
	d, cause := sniff.FirstQUIC(b)
	if cause != sniff.NoCause {
		t.Fatal(cause)
	}
	return d.First.DCID
}

// permutations of 0 to n-1.
func permutations(n int) (all [][]int) {
	if n == 0 {
		return [][]int{nil}
	}
	for _, p := range permutations(n - 1) {
		for at := 0; at <= len(p); at++ {
			q := append(append(append([]int(nil), p[:at]...), n-1), p[at:]...)
			all = append(all, q)
		}
	}
	return all
}

// TestQUICCloseIsUnderstood: a client that is answered by a CONNECTION_CLOSE gives
// up at once, for the reason that it is given.
func TestQUICCloseIsUnderstood(t *testing.T) {
	for _, version := range []quic.Version{quic.Version1, quic.Version2} {
		pc, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer pc.Close()
		go refuse(pc)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err = quic.DialAddr(ctx, pc.LocalAddr().String(), &tls.Config{ServerName: unfiled, NextProtos: []string{"h3"}}, &quic.Config{Versions: []quic.Version{version}})
		var transport *quic.TransportError
		if !errors.As(err, &transport) || transport.ErrorCode != 0x170 || !transport.Remote {
			t.Errorf("%s: got %v; want error 0x170", version, err)
		} else if !strings.Contains(err.Error(), "unrecognized name") {
			t.Errorf("%s: got %v", version, err)
		}
	}
}

// refuse answers everybody that his name is not known.
func refuse(pc net.PacketConn) {
	b := make([]byte, 2048)
	for {
		n, from, err := pc.ReadFrom(b)
		if err != nil {
			return
		}
		if d, cause := sniff.FirstQUIC(b[:n]); cause == sniff.NoCause {
			p := d.First
			_, _ = pc.WriteTo(sniff.AppendQUICClose(nil, sniff.QUICAnswer{Version: p.Version, ID: p.DCID, Client: p.SCID, Error: sniff.QUICError(sniff.AlertUnrecognizedName)}), from)
		}
	}
}

// profileDir is a directory for Chromium's profile. Its processes may outlive the
// one that was started by a moment and still write there, so that what cannot be
// removed is left.
func profileDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "chromium-profile-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
