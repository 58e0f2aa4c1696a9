//lint:file-ignore SA1019 the same as in evasions_test.go: a client of one connection.

package gate_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/icpgate/icpgate/gate"
)

// newCertificate writes a certificate for names, signed by itself.
func newCertificate(t testing.TB, names ...string) gate.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: names, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	c := gate.Certificate{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	for path, block := range map[string]*pem.Block{c.Cert: {Type: "CERTIFICATE", Bytes: cert}, c.Key: {Type: "PRIVATE KEY", Bytes: der}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// over asks a gate that ends TLS for a host, over a connection for a name.
func over(addr, sni string, h2 bool) (*http.Client, func()) {
	config := &tls.Config{ServerName: sni, InsecureSkipVerify: true}
	dial := func() (net.Conn, error) { return tls.Dial("tcp", addr, config) }
	if h2 {
		config.NextProtos = []string{"h2"}
		c, err := dial()
		if err != nil {
			return nil, nil
		}
		cc, err := (&http2.Transport{}).NewClientConn(c)
		if err != nil {
			return nil, nil
		}
		return &http.Client{Transport: cc}, func() { c.Close() }
	}
	tr := &http.Transport{TLSClientConfig: config, DisableKeepAlives: false, DialTLS: func(string, string) (net.Conn, error) { return dial() }}
	return &http.Client{Transport: tr}, tr.CloseIdleConnections
}

func TestTerminate(t *testing.T) {
	cert := newCertificate(t, "www.filed.example", "unfiled.example")
	for _, h2 := range []bool{false, true} {
		var s seen
		l := serve(t, gate.TestService{Kind: "tls", Upstream: newOrigin(t, &s), Certificates: []gate.Certificate{cert}, Forwarded: "add"})
		client, done := over(l.Addr(), "www.filed.example", h2)
		if client == nil {
			t.Fatal("no connection for a filed name")
		}
		for host, want := range map[string]string{"www.filed.example": "200", "unfiled.example": "403", "filed.example": "200", "other.example": "403"} {
			req, _ := http.NewRequest("GET", "https://"+host+"/", nil)
			resp, err := client.Do(req)
			if err != nil {
				t.Fatalf("h2 %v, %s: %v", h2, host, err)
			}
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			if got := resp.Status[:3]; got != want {
				t.Errorf("h2 %v, %s: got %s %q; want %s", h2, host, got, body, want)
			}
			if want == "200" && (resp.Header.Get("Got-X-Forwarded-Proto") != "https" || resp.Header.Get("Got-X-Forwarded-For") != "127.0.0.1") {
				t.Errorf("h2 %v: the origin got %v; want X-Forwarded of https and 127.0.0.1", h2, resp.Header)
			}
		}
		done()
		if got := s.String(); strings.Contains(got, "unfiled") || strings.Contains(got, "other") {
			t.Errorf("h2 %v: the origin saw %s", h2, got)
		}
	}
}

// TestTerminateBlockedHello: a blocked name gets the page where there is a
// certificate for it, else the alert.
func TestTerminateBlockedHello(t *testing.T) {
	l := serve(t, gate.TestService{Kind: "tls", Upstream: "127.0.0.1:1", Certificates: []gate.Certificate{newCertificate(t, "unfiled.example")}})
	client, done := over(l.Addr(), "unfiled.example", false)
	defer done()
	resp, err := client.Get("https://unfiled.example/")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 403 || resp.Header.Get("X-ICP-Reason") != "unfiled" {
		t.Errorf("got %s %v; want 403, unfiled", resp.Status, resp.Header)
	}
	if err := handshake(l.Addr(), "other.example"); !strings.Contains(fmt.Sprint(err), "unrecognized name") {
		t.Errorf("got %v; want the alert", err)
	}
}

// TestPageOnly: with certificates for the page alone TLS passes through, and ends
// here only to show it.
func TestPageOnly(t *testing.T) {
	l := serve(t, gate.TestService{Kind: "tls", Upstream: newTLSOrigin(t), PageOnly: true, Certificates: []gate.Certificate{newCertificate(t, "unfiled.example", "filed.example")}})
	for name, want := range map[string]int{"filed.example": 200, "unfiled.example": 403} {
		for _, h2 := range []bool{false, true} {
			client, done := over(l.Addr(), name, h2)
			if client == nil {
				if name == "filed.example" {
					continue // the web server behind speaks HTTP/1.1 only
				}
				t.Fatalf("no connection for %s", name)
			}
			resp, err := client.Get("https://" + name + "/")
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(resp.Body)
			resp.Body.Close()
			done()
			if resp.StatusCode != want || want == 200 && string(body) != "filed.example filed.example" {
				t.Errorf("%s, h2 %v: got %s %q; want %d", name, h2, resp.Status, body, want)
			}
		}
	}
	if err := handshake(l.Addr(), "other.example"); !strings.Contains(fmt.Sprint(err), "unrecognized name") {
		t.Errorf("got %v; want the alert where there is no certificate", err)
	}
}

// TestMisdirected: a client that asks for a filed name over the connection of a blocked
// one, as browsers do where a certificate is for both, is not told that the filed one
// is blocked: over HTTP/2 it is told to ask over another connection.
func TestMisdirected(t *testing.T) {
	cert := newCertificate(t, "unfiled.example", "*.filed.example")
	for _, pageOnly := range []bool{false, true} {
		for _, h2 := range []bool{false, true} {
			var s seen
			l := serve(t, gate.TestService{Kind: "tls", Upstream: newOrigin(t, &s), PageOnly: pageOnly, Certificates: []gate.Certificate{cert}})
			client, done := over(l.Addr(), "unfiled.example", h2)
			if client == nil {
				t.Fatal("no connection")
			}
			of := func(host string) int {
				resp, err := client.Get("https://" + host + "/")
				if err != nil {
					t.Fatalf("page only %v, h2 %v, %s: %v", pageOnly, h2, host, err)
				}
				resp.Body.Close()
				return resp.StatusCode
			}
			want := []int{403, 403, 403}
			if h2 {
				want[1] = 421
			}
			if got := []int{of("unfiled.example"), of("www.filed.example"), of("other.example")}; !slices.Equal(got, want) {
				t.Errorf("page only %v, h2 %v: got %v; want %v", pageOnly, h2, got, want)
			}
			done()
			if got := s.String(); got != "" {
				t.Errorf("page only %v, h2 %v: the origin saw %s", pageOnly, h2, got)
			}
		}
	}
}

// TestH2C: HTTP/2 without TLS is served where it is on, each stream for itself.
func TestH2C(t *testing.T) {
	var s seen
	l := serve(t, gate.TestService{Upstream: newOrigin(t, &s), H2C: true})
	tr := &http2.Transport{AllowHTTP: true, DialTLS: func(network, _ string, _ *tls.Config) (net.Conn, error) { return net.Dial(network, l.Addr()) }}
	client := &http.Client{Transport: tr}
	defer tr.CloseIdleConnections()
	for _, tt := range []struct{ host, want string }{{"filed.example", "200"}, {"unfiled.example", "403"}, {"filed.example", "200"}} {
		req, _ := http.NewRequest("POST", "http://x/", strings.NewReader("hello"))
		req.Host = tt.host
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if got := resp.Status[:3]; got != tt.want || got == "200" && string(body) != "POST filed.example 5" {
			t.Errorf("%s: got %s %q; want %s", tt.host, got, body, tt.want)
		}
	}
}

// TestCertificatesReload: a new certificate is used, a bad one is not.
func TestCertificatesReload(t *testing.T) {
	cert := newCertificate(t, "a.example")
	certs, err := gate.OpenCertificates([]gate.Certificate{cert})
	if err != nil {
		t.Fatal(err)
	}
	if !certs.Has("a.example") || certs.Has("b.example") || certs.Has("x.a.example") {
		t.Fatal("got other certificates than for a.example")
	}
	replace := func(path, text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(time.Hour)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	replace(cert.Cert, "no certificate")
	if changed, err := certs.Refresh(); !changed || err == nil || !strings.Contains(err.Error(), cert.Cert) || !certs.Has("a.example") {
		t.Errorf("got %v, %v; want an error that names the file, and the old certificate", changed, err)
	}
	other := newCertificate(t, "*.B.example")
	for from, to := range map[string]string{other.Cert: cert.Cert, other.Key: cert.Key} {
		b, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		replace(to, string(b))
	}
	if changed, err := certs.Refresh(); !changed || err != nil || certs.Has("a.example") || !certs.Has("x.b.example") || certs.Has("y.x.b.example") {
		t.Errorf("got %v, %v; want the new certificate, for one label below b.example", changed, err)
	}
	if changed, err := certs.Refresh(); changed || err != nil {
		t.Errorf("got %v, %v; want nothing new", changed, err)
	}
}
