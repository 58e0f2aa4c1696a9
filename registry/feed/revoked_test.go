package feed_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/icpgate/icpgate/registry/feed"
)

// TestRevokedFile: what a file of revoked certificates may hold, and that a bad one is
// told and leaves what was in force.
func TestRevokedFile(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "an authority"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, ca, ca, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	if ca, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	block := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	list, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(1), ThisUpdate: time.Now().Add(-2 * time.Hour), NextUpdate: time.Now().Add(-time.Hour), // its time is over
		RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: big.NewInt(0xabc), RevocationTime: time.Now()}, {SerialNumber: big.NewInt(0xdef), RevocationTime: time.Now(), ReasonCode: 8}},
	}, ca, key)
	if err != nil {
		t.Fatal(err)
	}
	path, authorities := filepath.Join(dir, "revoked"), filepath.Join(dir, "ca.pem")
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	write(authorities, block("CERTIFICATE", der))
	write(path, "AB:CD # one\n\n0xab\n")
	if _, err := feed.OpenRevoked(path, authorities, nil); err == nil || !strings.Contains(err.Error(), "line 3") {
		t.Errorf("a bad line: %v", err)
	}
	write(path, "serial=00AB\n")
	if r, err := feed.OpenRevoked(path, authorities, nil); err != nil || !r.Ends([][]*x509.Certificate{{{SerialNumber: big.NewInt(0xab)}}}) {
		t.Errorf("as openssl writes it: %v", err)
	}
	if _, err := feed.OpenRevoked(filepath.Join(dir, "none"), authorities, nil); err == nil {
		t.Error("a file that is not there")
	}
	write(path, "AB:CD # one\n")
	var told []error
	r, err := feed.OpenRevoked(path, authorities, func(err error) { told = append(told, err) })
	if err != nil {
		t.Fatal(err)
	}
	of := func(serial int64, subject []byte) bool {
		return r.Ends([][]*x509.Certificate{{{SerialNumber: big.NewInt(serial), RawIssuer: subject}}})
	}
	if !of(0xabcd, ca.RawSubject) || !of(0xabcd, []byte("another")) || of(0xab, ca.RawSubject) {
		t.Error("by serial numbers")
	}
	// Each of the chains has to hold one that was revoked, wherever it stands.
	good, bad := &x509.Certificate{SerialNumber: big.NewInt(1), RawIssuer: ca.RawSubject}, &x509.Certificate{SerialNumber: big.NewInt(0xabcd), RawIssuer: ca.RawSubject}
	for _, tt := range []struct {
		chains [][]*x509.Certificate
		want   bool
	}{
		{nil, false},
		{[][]*x509.Certificate{{good, good, good}}, false},
		{[][]*x509.Certificate{{good, bad, good}}, true},
		{[][]*x509.Certificate{{good, good, bad}}, false}, // the root's number alone
		{[][]*x509.Certificate{{good, bad, good}, {good, good}}, false},
		{[][]*x509.Certificate{{good, bad, good}, {bad}}, true},
	} {
		if got := r.Ends(tt.chains); got != tt.want {
			t.Errorf("%d chains: got %v; want %v", len(tt.chains), got, tt.want)
		}
	}
	write(path, block("X509 CRL", list))
	if !of(0xabc, ca.RawSubject) || of(0xabc, []byte("another")) || of(0xabcd, ca.RawSubject) || of(0xdef, ca.RawSubject) {
		t.Error("by a revocation list")
	}
	list[len(list)-1] ^= 1
	for _, bad := range []string{block("X509 CRL", list), block("CERTIFICATE", der), block("X509 CRL", []byte("x")), "-----BEGIN X509 CRL-----\n"} {
		before := len(told)
		write(path, bad)
		if !of(0xabc, ca.RawSubject) || len(told) != before+1 {
			t.Errorf("a bad file: told %v", told[before:])
		}
		of(0xabc, ca.RawSubject)
		if len(told) != before+1 {
			t.Error("it is told twice")
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if !of(0xabc, ca.RawSubject) {
		t.Error("a file that is gone makes them good")
	}
}
