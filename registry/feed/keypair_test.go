package feed_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"

	"github.com/icpgate/icpgate/registry/feed"
)

// TestKeyPairTells: files that have changed and cannot be used are told of once,
// whatever asks for the pair, and when they can be used again.
func TestKeyPairTells(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	put := func(path, kind string, der []byte) {
		t.Helper()
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pair := func(serial int64) {
		t.Helper()
		public, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		c := &x509.Certificate{SerialNumber: big.NewInt(serial)}
		der, err := x509.CreateCertificate(rand.Reader, c, c, public, private)
		if err != nil {
			t.Fatal(err)
		}
		secret, err := x509.MarshalPKCS8PrivateKey(private)
		if err != nil {
			t.Fatal(err)
		}
		put(cert, "CERTIFICATE", der)
		put(key, "PRIVATE KEY", secret)
	}
	pair(1)
	var told []error
	k, err := feed.OpenKeyPair(cert, key, func(err error) { told = append(told, err) })
	if err != nil {
		t.Fatal(err)
	}
	step := func(what string, bad, good int) {
		t.Helper()
		told = nil
		for range 3 {
			if k.Get() == nil {
				t.Fatalf("%s: no pair is in force", what)
			}
		}
		var errs, ends int
		for _, err := range told {
			if err != nil {
				errs++
			} else {
				ends++
			}
		}
		if errs != bad || ends != good {
			t.Errorf("%s: told of %d failures and %d ends; want %d and %d", what, errs, ends, bad, good)
		}
	}
	step("as it was", 0, 0)
	put(cert, "RUBBISH", []byte("no certificate"))
	step("rubbish", 1, 0)
	os.Remove(cert)
	os.Remove(key)
	step("gone", 1, 0)
	pair(2)
	step("another pair", 0, 1)
	pair(300)
	step("and another", 0, 0)
}
