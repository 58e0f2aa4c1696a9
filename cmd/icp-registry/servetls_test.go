package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry/api"
	"github.com/icpgate/icpgate/registry/feed"
)

// authority signs certificates for a test.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, file: filepath.Join(t.TempDir(), "ca.pem")}
	der, key := a.sign("an authority", nil)
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	a.cert, a.key = cert, key
	writePEM(t, a.file, "CERTIFICATE", der)
	return a
}

// sign makes a certificate that is good for servers and clients.
func (a *authority) sign(name string, parent *x509.Certificate) ([]byte, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	signer := a.key
	if parent == nil {
		template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	return der, key
}

// pair writes a certificate and its key to files.
func (a *authority) pair(name, cert, key string) {
	a.t.Helper()
	der, private := a.sign(name, a.cert)
	text, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		a.t.Fatal(err)
	}
	writePEM(a.t, key, "PRIVATE KEY", text)
	writePEM(a.t, cert, "CERTIFICATE", der)
}

func writePEM(t *testing.T, path, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestServeTLS: edges show certificates in place of tokens; the service's own is read
// again when its files change, and a bad file leaves the old one in force.
func TestServeTLS(t *testing.T) {
	a, stranger, dir := newAuthority(t), newAuthority(t), t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	a.pair("first.test", file("server.pem"), file("server.key"))
	a.pair("edge-7", file("edge.pem"), file("edge.key"))
	stranger.pair("edge-8", file("other.pem"), file("other.key"))
	_, url := startServe(t, "--dir", file("registry"), "--listen", "127.0.0.1:0",
		"--cert", file("server.pem"), "--key", file("server.key"), "--client-ca", a.file)
	url = "https" + strings.TrimPrefix(url, "http")
	keys, err := feed.OpenKeys(file("registry/signing.pub.pem"))
	if err != nil {
		t.Fatal(err)
	}
	asks := func(access feed.Access) error {
		t.Helper()
		c, err := access.Open(url)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_, _, err = c.Manifest(t.Context(), keys)
		return err
	}
	if err := asks(feed.Access{CA: a.file, Cert: file("edge.pem"), Key: file("edge.key")}); err != nil {
		t.Errorf("an edge with a certificate: %v", err)
	}
	if err := asks(feed.Access{CA: a.file}); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("without certificate and token: %v; want 401", err)
	}
	if err := asks(feed.Access{CA: a.file, Cert: file("other.pem"), Key: file("other.key")}); err == nil {
		t.Error("a certificate of another authority was taken")
	}
	var unknown x509.UnknownAuthorityError
	if err := asks(feed.Access{CA: stranger.file, Cert: file("edge.pem"), Key: file("edge.key")}); !errors.As(err, &unknown) {
		t.Errorf("a service of another authority: %v", err)
	}
	// What is an edge's by its certificate is no more than that.
	pair, err := tls.LoadX509KeyPair(file("edge.pem"), file("edge.key"))
	if err != nil {
		t.Fatal(err)
	}
	roots, err := feed.ReadAuthorities(a.file)
	if err != nil {
		t.Fatal(err)
	}
	asEdge := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}}}
	for path, want := range map[string]int{api.DecidePath + "?host=a.test": http.StatusOK, "/v1/edges": http.StatusForbidden} {
		resp, err := asEdge.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s with an edge's certificate: %s; want %d", path, resp.Status, want)
		}
	}
	shows := func(want string) {
		t.Helper()
		conn, err := tls.Dial("tcp", strings.TrimPrefix(url, "https://"), &tls.Config{RootCAs: roots})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if got := conn.ConnectionState().PeerCertificates[0].Subject.CommonName; got != want {
			t.Errorf("the service shows %q; want %q", got, want)
		}
	}
	shows("first.test")
	a.pair("second.test", file("next.pem"), file("next.key"))
	for _, name := range []string{"key", "pem"} { // between the two, what does not fit is not taken
		if err := os.Rename(file("next."+name), file("server."+name)); err != nil {
			t.Fatal(err)
		}
		if name == "key" {
			shows("first.test")
		}
	}
	shows("second.test")
	if err := os.WriteFile(file("server.pem"), []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	shows("second.test")
	// Old versions, and HTTP in the clear.
	if conn, err := tls.Dial("tcp", strings.TrimPrefix(url, "https://"), &tls.Config{RootCAs: roots, MaxVersion: tls.VersionTLS11}); err == nil {
		conn.Close()
		t.Error("TLS 1.1 is spoken")
	}
	if resp, err := http.Get("http" + strings.TrimPrefix(url, "https") + "/healthz"); err == nil {
		resp.Body.Close()
		if resp.StatusCode < 400 {
			t.Errorf("HTTP in the clear: %s", resp.Status)
		}
	}
}
