package gate_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/icpgate/icpgate/gate"
)

// bulkBytes is how long a long body is: 1 GiB in the long form of the tests.
func bulkBytes() int64 {
	if soak() {
		return 1 << 30
	}
	return 32 << 20
}

// random are n bytes that are the same for the same seed.
func random(seed byte, n int64) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{seed}), n)
}

func sum(t testing.TB, r io.Reader) string {
	t.Helper()
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		t.Error(err)
	}
	return hex(h)
}

func hex(h hash.Hash) string { return fmt.Sprintf("%x", h.Sum(nil)) }

// TestBulkHTTP sends a long body each way at the same time, with a length and in
// chunks or streams, in plaintext and in TLS that ends at the gate, and compares
// what arrives.
func TestBulkHTTP(t *testing.T) {
	n := bulkBytes()
	srv := newBulkOrigin(t, n)
	up, down := sum(t, random(1, n)), sum(t, random(2, n))
	plain := serve(t, gate.TestService{Upstream: srv})
	ended := serve(t, gate.TestService{Kind: "tls", Upstream: srv, Certificates: []gate.Certificate{newCertificate(t, "filed.example")}})
	for _, c := range []struct {
		name, url string
		client    func() (*http.Client, func())
	}{
		{"plaintext", "http://" + plain.Addr(), func() (*http.Client, func()) {
			tr := new(http.Transport)
			return &http.Client{Transport: tr}, tr.CloseIdleConnections
		}},
		{"TLS and HTTP/1", "https://filed.example", func() (*http.Client, func()) { return over(ended.Addr(), "filed.example", false) }},
		{"TLS and HTTP/2", "https://filed.example", func() (*http.Client, func()) { return over(ended.Addr(), "filed.example", true) }},
	} {
		for _, length := range []int64{n, -1} {
			t.Run(fmt.Sprintf("%s, length %d", c.name, length), func(t *testing.T) {
				client, done := c.client()
				if client == nil {
					t.Fatal("no connection for a filed name")
				}
				defer done()
				r, err := http.NewRequest("POST", c.url+"/", random(1, n))
				if err != nil {
					t.Fatal(err)
				}
				r.Host, r.ContentLength = "filed.example", length
				resp, err := client.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				if got := sum(t, resp.Body); got != down {
					t.Errorf("the response's body has sum %s; want %s", got, down)
				}
				if got := resp.Trailer.Get("Got"); got != up {
					t.Errorf("the request's body has sum %s; want %s", got, up)
				}
			})
		}
	}
}

// newBulkOrigin answers with n bytes while it reads what it is sent, and tells the
// sum of that in a trailer.
func newBulkOrigin(t *testing.T, n int64) string {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		got := make(chan string)
		go func() {
			h := sha256.New()
			_, _ = io.Copy(h, r.Body)
			got <- hex(h)
		}()
		w.Header().Set("Trailer", "Got")
		if _, err := io.Copy(w, random(2, n)); err != nil {
			t.Errorf("origin: %v", err)
		}
		w.Header().Set("Got", <-got)
	}))
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String()
}

// TestBulkResponse reads a long body with a length.
func TestBulkResponse(t *testing.T) {
	n := bulkBytes()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(n))
		_, _ = io.Copy(w, random(2, n))
	}))
	defer srv.Close()
	l := serve(t, gate.TestService{Upstream: srv.Listener.Addr().String()})
	c, err := net.Dial("tcp", l.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: filed.example\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got, want := sum(t, resp.Body), sum(t, random(2, n)); got != want || resp.ContentLength != n {
		t.Errorf("a body of %d bytes with sum %s; want %d and %s", resp.ContentLength, got, n, want)
	}
}

// TestBulkTLS sends a long stream each way through a tunnel, in large pieces and
// with small ones among them, which take another way.
func TestBulkTLS(t *testing.T) {
	n := bulkBytes()
	hello := helloFor(t, "filed.example")
	got := make(chan string, 1)
	origin := gate.LocalTCP(t, func(c net.Conn) {
		written := make(chan struct{})
		go func() {
			defer close(written)
			writeUneven(c, random(2, n))
			_ = c.(*net.TCPConn).CloseWrite()
		}()
		h := sha256.New()
		_, _ = io.Copy(h, c)
		got <- hex(h)
		<-written // or closing would cut it off
	})
	l := serve(t, gate.TestService{Kind: "tls", Upstream: origin})
	c, err := net.Dial("tcp", l.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	go func() {
		_, _ = c.Write(hello)
		writeUneven(c, random(1, n))
		_ = c.(*net.TCPConn).CloseWrite()
	}()
	if got, want := sum(t, c), sum(t, random(2, n)); got != want {
		t.Errorf("what came back has sum %s; want %s", got, want)
	}
	if got, want := <-got, sum(t, io.MultiReader(bytes.NewReader(hello), random(1, n))); got != want {
		t.Errorf("what went up has sum %s; want %s", got, want)
	}
}

// writeUneven writes all of r, in pieces of 100 bytes to 2 MB.
func writeUneven(w io.Writer, r io.Reader) {
	b := make([]byte, 2<<20)
	for sizes := rand.New(rand.NewPCG(1, 1)); ; {
		k := 100 << sizes.IntN(15)
		k, err := io.ReadFull(r, b[:k])
		if _, werr := w.Write(b[:k]); err != nil || werr != nil {
			return
		}
	}
}
