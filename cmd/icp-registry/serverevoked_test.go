package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry/api"
	"github.com/icpgate/icpgate/registry/feed"
)

// list writes a revocation list of serial numbers.
func (a *authority) list(path string, serials ...*big.Int) {
	a.t.Helper()
	template := &x509.RevocationList{Number: big.NewInt(time.Now().UnixNano()), ThisUpdate: time.Now().Add(-time.Hour), NextUpdate: time.Now().Add(time.Hour)}
	for _, n := range serials {
		template.RevokedCertificateEntries = append(template.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: n, RevocationTime: time.Now()})
	}
	der, err := x509.CreateRevocationList(rand.Reader, template, a.cert, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	// A whole file comes in the place of the other one, as operators should do it.
	writePEM(a.t, path+".new", "X509 CRL", der)
	if err := os.Rename(path+".new", path); err != nil {
		a.t.Fatal(err)
	}
}

// serialOf is the serial number of a certificate in a file.
func serialOf(t *testing.T, path string) *big.Int {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c.SerialNumber
}

// edge is a client of the service at url with the certificate and key of a pair, whose
// files begin with file.
func (a *authority) edge(t *testing.T, url, file string) *feed.Client {
	t.Helper()
	c, err := feed.Access{CA: a.file, Cert: file + ".pem", Key: file + ".key"}.Open(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// TestServeRevoked: an edge whose certificate is revoked while it follows is not let
// in any more, neither on the connection that it has nor on another one, and its
// stream ends; one that was not goes on.
func TestServeRevoked(t *testing.T) {
	a, stranger, dir := newAuthority(t), newAuthority(t), t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	a.pair("first.test", file("server.pem"), file("server.key"))
	for _, name := range []string{"one", "two"} {
		a.pair(name, file(name+".pem"), file(name+".key"))
	}
	revoked := file("revoked")
	if err := os.WriteFile(revoked, []byte("# nobody yet\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, url, said := startServing(t, "--dir", file("registry"), "--listen", "127.0.0.1:0", "--cert", file("server.pem"), "--key", file("server.key"),
		"--client-ca", a.file, "--client-revoked", revoked)
	url = "https" + strings.TrimPrefix(url, "http")
	keys, err := feed.OpenKeys(file("registry/signing.pub.pem"))
	if err != nil {
		t.Fatal(err)
	}
	open := func(name string) *feed.Client { t.Helper(); return a.edge(t, url, file(name)) }
	asks := func(name string) error {
		t.Helper()
		_, _, err := open(name).Manifest(t.Context(), keys)
		return err
	}
	one := open("one")
	m, _, err := one.Manifest(t.Context(), keys)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	stream, err := one.Feed(ctx, m.Revision)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	// A connection that was made before, and is used again.
	pair, err := tls.LoadX509KeyPair(file("one.pem"), file("one.key"))
	if err != nil {
		t.Fatal(err)
	}
	roots, err := feed.ReadAuthorities(a.file)
	if err != nil {
		t.Fatal(err)
	}
	kept := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}}}
	status := func() int {
		t.Helper()
		resp, err := kept.Get(url + api.DecidePath + "?host=a.test")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var b [1 << 12]byte
		for err == nil {
			_, err = resp.Body.Read(b[:])
		}
		return resp.StatusCode
	}
	if got := status(); got != http.StatusOK {
		t.Fatalf("before: %d", got)
	}

	// What another authority says of it is not believed, and told.
	stranger.list(revoked, serialOf(t, file("one.pem")))
	if err := asks("one"); err != nil {
		t.Errorf("after another authority's list: %v", err)
	}
	awaitLine(t, said, "signed by none of the authorities")

	a.list(revoked, serialOf(t, file("one.pem")), big.NewInt(7))
	if got := status(); got != http.StatusUnauthorized {
		t.Errorf("on the connection that there was: %d", got)
	}
	if err := asks("one"); err == nil {
		t.Error("on another connection it is let in")
	}
	if err := asks("two"); err != nil {
		t.Errorf("another edge: %v", err)
	}
	for {
		if _, err := feed.ReadFrame(stream, nil); err != nil {
			break
		}
	}
	if ctx.Err() != nil {
		t.Error("the stream goes on")
	}

	// Serial numbers alone.
	text := "# left\n" + strings.ToUpper(serialOf(t, file("two.pem")).Text(16)) + " # edge two\n"
	if err := os.WriteFile(revoked, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := asks("two"); err == nil {
		t.Error("by its serial number it is let in")
	}
	if err := asks("one"); err != nil {
		t.Errorf("not on the list any more: %v", err)
	}
}

// below makes an authority between this one and certificates.
func (a *authority) below(name string) *authority {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}, a.cert, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return &authority{t: a.t, cert: cert, key: key}
}

// TestServeRevokedBetween: with the certificate of an authority between, all that it
// has signed is not let in any more, and what is open ends.
func TestServeRevokedBetween(t *testing.T) {
	a, dir := newAuthority(t), t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	between := a.below("an authority between")
	a.pair("first.test", file("server.pem"), file("server.key"))
	a.pair("two", file("two.pem"), file("two.key"))
	between.pair("one", file("one.pem"), file("one.key"))
	leaf, err := os.ReadFile(file("one.pem"))
	if err != nil {
		t.Fatal(err)
	}
	chain := append(leaf, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: between.cert.Raw})...)
	if err := os.WriteFile(file("one.pem"), chain, 0o600); err != nil {
		t.Fatal(err)
	}
	revoked := file("revoked")
	a.list(revoked)
	_, url := startServe(t, "--dir", file("registry"), "--listen", "127.0.0.1:0", "--cert", file("server.pem"), "--key", file("server.key"),
		"--client-ca", a.file, "--client-revoked", revoked)
	url = "https" + strings.TrimPrefix(url, "http")
	keys, err := feed.OpenKeys(file("registry/signing.pub.pem"))
	if err != nil {
		t.Fatal(err)
	}
	open := func(name string) *feed.Client { t.Helper(); return a.edge(t, url, file(name)) }
	one := open("one")
	m, _, err := one.Manifest(t.Context(), keys)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	stream, err := one.Feed(ctx, m.Revision)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	a.list(revoked, between.cert.SerialNumber)
	if _, _, err := open("one").Manifest(t.Context(), keys); err == nil {
		t.Error("what the authority between has signed is let in")
	}
	if _, _, err := open("two").Manifest(t.Context(), keys); err != nil {
		t.Errorf("an edge of the authority itself: %v", err)
	}
	for {
		if _, err := feed.ReadFrame(stream, nil); err != nil {
			break
		}
	}
	if ctx.Err() != nil {
		t.Error("the stream goes on")
	}
}
