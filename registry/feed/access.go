package feed

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
)

// Access is how a client shows who it is, and by what it knows the service: files,
// each optional. Token and certificate are read again when they change, CA is not.
type Access struct {
	Token     string // what Authorization bears
	CA        string // authorities of the service's certificate, PEM; "": the system's
	Cert, Key string // the client's certificate and its key, PEM
}

// Open returns a client of the service at a URL with its access. See NewClient.
func (a Access) Open(service string) (*Client, error) {
	var show func() (string, error)
	if a.Token != "" {
		t := &tokenFile{path: a.Token}
		if _, err := t.read(); err != nil {
			return nil, err
		}
		show = t.read
	}
	c, err := NewClient(service, show)
	if err != nil || a.CA == "" && a.Cert == "" {
		return c, err
	}
	if !strings.HasPrefix(c.base, "https:") {
		return nil, fmt.Errorf("%s: certificates go with https", service)
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12}
	if a.CA != "" {
		if t.RootCAs, err = ReadAuthorities(a.CA); err != nil {
			return nil, err
		}
	}
	if a.Cert != "" {
		pair, err := OpenKeyPair(a.Cert, a.Key, nil)
		if err != nil {
			return nil, err
		}
		t.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return pair.Get(), nil }
	}
	c.http.Transport.(*http.Transport).TLSClientConfig = t
	return c, nil
}

// ReadAuthorities reads the certificates of authorities from a PEM file.
func ReadAuthorities(path string) (*x509.CertPool, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s: no certificate; expect PEM", path)
	}
	return pool, nil
}

// KeyPair is a certificate in files, read again when one of them changes. What
// cannot be read leaves the old one in force. It is safe for concurrent use.
type KeyPair struct {
	cert, key string
	failed    func(error)

	mu     sync.Mutex
	stamps [2]os.FileInfo
	pair   *tls.Certificate

	failing bool
	bad     [2]os.FileInfo // of the files then
}

// OpenKeyPair reads a certificate and its key. Failed, if not nil, is told once of
// files that have changed and cannot be used, with the pair's lock held, and with nil
// when they can again.
func OpenKeyPair(cert, key string, failed func(error)) (*KeyPair, error) {
	k := &KeyPair{cert: cert, key: key, failed: failed, stamps: [2]os.FileInfo{stampOf(cert), stampOf(key)}}
	pair, err := tls.LoadX509KeyPair(cert, key)
	k.pair = &pair
	return k, err
}

// Get returns the pair in force.
func (k *KeyPair) Get() *tls.Certificate {
	k.mu.Lock()
	defer k.mu.Unlock()
	stamps := [2]os.FileInfo{stampOf(k.cert), stampOf(k.key)}
	if sameFile(stamps[0], k.stamps[0]) && sameFile(stamps[1], k.stamps[1]) {
		return k.pair
	}
	pair, err := tls.LoadX509KeyPair(k.cert, k.key)
	if err == nil {
		k.pair, k.stamps = &pair, stamps
	}
	k.tell(stamps, err)
	return k.pair
}

// tell tells of files that cannot be used, once, and of those that can again; k.mu
// is held.
func (k *KeyPair) tell(stamps [2]os.FileInfo, err error) {
	same := func(a, b os.FileInfo) bool { return sameFile(a, b) || a == nil && b == nil }
	again := k.failing && same(stamps[0], k.bad[0]) && same(stamps[1], k.bad[1])
	if err == nil && !k.failing || err != nil && again {
		return
	}
	if k.failing, k.bad = err != nil, stamps; k.failed != nil {
		k.failed(err)
	}
}

// stampOf is what tells that a file is another; nil is none.
func stampOf(path string) os.FileInfo {
	info, err := os.Stat(path)
	if err != nil {
		return nil
	}
	return info
}

func sameFile(a, b os.FileInfo) bool {
	return a != nil && b != nil && os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
}

// tokenFile is a secret in a file, read again when the file changes. It is safe for
// concurrent use.
type tokenFile struct {
	path string

	mu    sync.Mutex
	stamp os.FileInfo
	text  string
}

// maxToken bounds the file of a token; a header line may be some 8 KiB.
const maxToken = 4096

// read returns the token. Its errors never hold any of it.
func (t *tokenFile) read() (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	info, err := os.Stat(t.path)
	switch {
	case err != nil:
		return "", fmt.Errorf("token: %w", err)
	case sameFile(t.stamp, info):
		return t.text, nil
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o007 != 0:
		return "", fmt.Errorf("token: file %q may be read by everybody (mode %s); make it 0600", t.path, info.Mode().Perm())
	case !info.Mode().IsRegular() || info.Size() > maxToken:
		return "", fmt.Errorf("token: %q is no file of at most %d bytes", t.path, maxToken)
	}
	b, err := os.ReadFile(t.path)
	if err != nil {
		return "", fmt.Errorf("token: %w", err)
	}
	text := strings.TrimSpace(string(b))
	if err := checkToken(text); err != nil {
		return "", fmt.Errorf("token: file %q %w", t.path, err)
	}
	t.stamp, t.text = info, text
	return text, nil
}

// checkToken refuses what a header cannot hold.
func checkToken(s string) error {
	if s == "" {
		return errors.New("is empty; expect one line with the token")
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return errors.New("holds more than one word of ASCII; expect one line with the token")
		}
	}
	return nil
}
